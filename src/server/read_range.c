/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/read_impl.h"

#include <assert.h>
#include <stdlib.h>

#include "group/event.h"
#include "proto/frame.h"
#include "proto/wire.h"

#define EVENT_TYPE_AT 1 /* of its wire bytes */

static enum chat_err
note_rekey(struct run *run, const struct store_entry *entry)
{
	struct event event;
	enum chat_err err;

	if (entry->kind != ENTRY_EVENT || entry->wire.len <= EVENT_TYPE_AT ||
	    entry->wire.data[EVENT_TYPE_AT] != EVENT_REKEY)
		return CHAT_OK;
	err = event_decode(entry->wire, &event);
	if (err != CHAT_OK)
		return CHAT_ERR_CORRUPT;
	run->scratch->epochs[run->epoch_count++] =
	    (struct read_epoch){.epoch_id = event.event_hash, .index = run->result->count};
	return CHAT_OK;
}

static bool
take_range_entry(void *ctx, const struct store_entry *entry)
{
	struct run *run = ctx;
	struct read_result *result = run->result;
	struct buf *bytes = &run->scratch->bytes;
	bool whole = read_is_whole(run, entry);
	struct entry_push push = {
	    .room_id = &run->request->room_id,
	    .seq = entry->seq,
	    .server_time_ms = entry->server_time_ms,
	    .kind = (uint32_t)entry->kind,
	    .wire = whole ? entry->wire : BYTES_EMPTY,
	    .entry_hash = whole ? NULL : &entry->entry_hash,
	};
	size_t frame_bytes = frame_entry_bytes(&push);

	if (result->count > 0 && bytes->len + frame_bytes > READ_CHUNK_BYTES)
		return false;
	if (whole)
		run->err = note_rekey(run, entry);
	if (run->err == CHAT_OK)
		run->err = buf_reserve(bytes, frame_bytes);
	if (run->err != CHAT_OK)
		return false;
	frame_entry_put(&push, bytes->data + bytes->len, frame_bytes);
	bytes->len += frame_bytes;
	result->ends[result->count++] = (uint32_t)bytes->len;
	return result->count < READ_PAGE_ITEMS;
}

/* What the member has of the range's rekeys, in their order. */
struct wraps_walk {
	struct run *run;
	struct buf *out; /* the range, with the Wraps pushes put in */
	uint32_t epoch;  /* the next of scratch->epochs */
	uint32_t entry;  /* the next of the range's entries to copy */
	uint32_t copied; /* of the range's bytes */
};

/* Copies the entries before `until`, and notes where each ends now. */
static enum chat_err
copy_entries(struct wraps_walk *walk, uint32_t until)
{
	struct read_result *result = walk->run->result;
	const struct buf *in = &walk->run->scratch->bytes;

	for (; walk->entry < until; walk->entry++) {
		uint32_t end = result->ends[walk->entry];
		enum chat_err err = buf_append(walk->out, in->data + walk->copied, end - walk->copied);

		if (err != CHAT_OK)
			return err;
		walk->copied = end;
		result->ends[walk->entry] = (uint32_t)walk->out->len;
	}
	return CHAT_OK;
}

static bool
put_wraps_push(void *ctx, const struct store_epoch_wraps *wraps)
{
	struct wraps_walk *walk = ctx;
	struct run *run = walk->run;
	ProtobufCBinaryData rewraps[REWRAPS_KEPT];
	Chat__V1__EpochWraps epoch, *epochs[1] = {&epoch};
	Chat__V1__Wraps body = CHAT__V1__WRAPS__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	assert(walk->epoch < run->epoch_count);
	run->err = copy_entries(walk, run->scratch->epochs[walk->epoch++].index);
	if (run->err != CHAT_OK || (wraps->wrap.len == 0 && wraps->rewrap_count == 0))
		return run->err == CHAT_OK;
	read_fill_wraps(wraps, &epoch, rewraps);
	body.room_id = wire_from_digest(&run->request->room_id);
	body.n_epoch = 1;
	body.epoch = epochs;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH;
	frame.wraps_push = &body;
	run->err = frame_encode_server(&frame, walk->out);
	return run->err == CHAT_OK;
}

static enum chat_err
put_wraps_between(struct run *run)
{
	struct wraps_walk walk = {.run = run, .out = &run->scratch->more_bytes};
	struct digest *ids = reallocarray(NULL, run->epoch_count, sizeof *ids);
	enum chat_err err;

	if (ids == NULL)
		return CHAT_ERR_NOMEM;
	for (uint32_t i = 0; i < run->epoch_count; i++)
		ids[i] = run->scratch->epochs[i].epoch_id;
	buf_clear(walk.out);
	err = store_reader_wraps(run->reader, run->request->room_no, &run->request->member_id, ids,
	    run->epoch_count, put_wraps_push, &walk);
	if (err == CHAT_OK)
		err = run->err;
	if (err == CHAT_OK)
		err = copy_entries(&walk, run->result->count);
	if (err == CHAT_OK)
		err = read_take_frames(run, walk.out);
	free(ids);
	return err;
}

enum chat_err
read_range(struct run *run)
{
	struct read_result *result = run->result;
	enum chat_err err;

	result->first_seq = run->request->from_seq;
	result->ends = reallocarray(NULL, READ_PAGE_ITEMS, sizeof *result->ends);
	if (result->ends == NULL)
		return CHAT_ERR_NOMEM;
	err = store_reader_range(run->reader, run->request->room_no, run->request->from_seq,
	    run->request->to_seq, take_range_entry, run);
	if (err == CHAT_OK)
		err = run->err;
	if (err != CHAT_OK || result->count == 0)
		return err;
	return run->epoch_count > 0 ? put_wraps_between(run) : read_take_frames(run, &run->scratch->bytes);
}
