/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/read_run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/event.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "server/loop_mail.h"

/* Of an entry in a page, beside its wire bytes: tags, lengths, number, time. */
#define ITEM_OVERHEAD_BYTES 48
#define EVENT_TYPE_AT       1 /* of its wire bytes */

/* A rekey in a range: where its entry's frame begins, and what the member has of it. */
struct read_epoch {
	struct digest epoch_id;
	uint32_t index; /* of the entry */
};

/* One read under way. */
struct run {
	struct store_reader *reader;
	const struct read_request *request;
	struct read_scratch *scratch;
	struct read_result *result;
	enum chat_err err;   /* of a callback */
	uint32_t item_count; /* in a page */
	uint32_t item_max;
	size_t page_bytes;
	bool more;
	uint32_t epoch_count;
};

enum chat_err
read_scratch_init(struct read_scratch *scratch)
{
	*scratch = (struct read_scratch){
	    .items = reallocarray(NULL, READ_PAGE_ITEMS, sizeof *scratch->items),
	    .epochs = reallocarray(NULL, READ_PAGE_ITEMS, sizeof *scratch->epochs),
	    .entries = reallocarray(NULL, READ_PAGE_ITEMS, sizeof *scratch->entries),
	    .entry_list = reallocarray(NULL, READ_PAGE_ITEMS, sizeof *scratch->entry_list),
	};
	if (scratch->items == NULL || scratch->epochs == NULL || scratch->entries == NULL ||
	    scratch->entry_list == NULL)
		return CHAT_ERR_NOMEM;
	return CHAT_OK;
}

void
read_scratch_fini(struct read_scratch *scratch)
{
	buf_fini(&scratch->bytes);
	buf_fini(&scratch->more_bytes);
	free(scratch->items);
	free(scratch->epochs);
	free(scratch->entries);
	free(scratch->entry_list);
	*scratch = (struct read_scratch){0};
}

void
read_result_free(struct read_result *result)
{
	if (result == NULL)
		return;
	frame_ref_unref(result->frames);
	free(result->ends);
	free(result);
}

/* May the member have this entry whole, and is it there whole? */
static bool
is_whole(const struct run *run, const struct store_entry *entry)
{
	return entry->whole && (entry->kind == ENTRY_EVENT || view_allows(run->request->view, entry->seq));
}

static enum chat_err
take_frames(struct run *run, const struct buf *from)
{
	struct frame_ref *frames = frame_ref_new(from->len);

	if (frames == NULL)
		return CHAT_ERR_NOMEM;
	if (from->len > 0)
		memcpy(frames->data, from->data, from->len);
	run->result->frames = frames;
	return CHAT_OK;
}

/* Encodes the answer of a request into the result. */
static enum chat_err
take_answer(struct run *run, Chat__V1__ServerFrame *frame)
{
	enum chat_err err;

	frame->id = run->request->request_id;
	buf_clear(&run->scratch->more_bytes);
	err = frame_encode_server(frame, &run->scratch->more_bytes);
	if (err == CHAT_OK)
		err = take_frames(run, &run->scratch->more_bytes);
	return err;
}

/* ---- ranges: the pushes that a subscription gets ---- */

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
	bool whole = is_whole(run, entry);
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

static void
fill_epoch_wraps(const struct store_epoch_wraps *wraps, Chat__V1__EpochWraps *ret,
    ProtobufCBinaryData ret_rewraps[static REWRAPS_KEPT])
{
	chat__v1__epoch_wraps__init(ret);
	ret->epoch_id = wire_from_digest(&wraps->epoch_id);
	ret->wrap = wire_from_bytes(wraps->wrap);
	for (uint32_t i = 0; i < wraps->rewrap_count; i++)
		ret_rewraps[i] = wire_from_bytes(wraps->rewraps[i]);
	ret->n_rewrap = wraps->rewrap_count;
	ret->rewrap = ret_rewraps;
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
	fill_epoch_wraps(wraps, &epoch, rewraps);
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
		err = take_frames(run, walk.out);
	free(ids);
	return err;
}

static enum chat_err
run_range(struct run *run)
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
	return run->epoch_count > 0 ? put_wraps_between(run) : take_frames(run, &run->scratch->bytes);
}

/* ---- pages: answers that list entries ---- */

/* False: it does not fit any more. */
static bool
take_item(struct run *run, const struct store_entry *entry, bool whole)
{
	size_t wire_len = whole ? entry->wire.len : 0;
	size_t bytes = ITEM_OVERHEAD_BYTES + (whole ? wire_len : DIGEST_BYTES);

	if (run->item_count == run->item_max ||
	    (run->item_count > 0 && run->page_bytes + bytes > READ_CHUNK_BYTES)) {
		run->more = true;
		return false;
	}
	run->err = buf_append(&run->scratch->bytes, entry->wire.data, wire_len);
	if (run->err != CHAT_OK)
		return false;
	run->scratch->items[run->item_count++] = (struct read_item){
	    .seq = entry->seq,
	    .server_time_ms = entry->server_time_ms,
	    .kind = (uint8_t)entry->kind,
	    .whole = whole,
	    .wire_at = run->scratch->bytes.len - wire_len,
	    .wire_len = wire_len,
	    .entry_hash = entry->entry_hash,
	};
	run->page_bytes += bytes;
	return true;
}

static bool
take_viewed(void *ctx, const struct store_entry *entry)
{
	struct run *run = ctx;

	return take_item(run, entry, is_whole(run, entry));
}

static bool
take_event(void *ctx, const struct store_entry *entry)
{
	struct run *run = ctx;

	return entry->seq <= run->request->to_seq && take_item(run, entry, true);
}

static bool
take_stub(void *ctx, const struct store_entry *entry)
{
	return take_item(ctx, entry, false);
}

/* The items as entries, in order or in reverse; nothing may be added to the scratch afterwards. */
static void
fill_entries(struct run *run, bool reverse)
{
	struct read_scratch *scratch = run->scratch;

	for (uint32_t i = 0; i < run->item_count; i++) {
		const struct read_item *item = &scratch->items[reverse ? run->item_count - 1 - i : i];
		Chat__V1__Entry *entry = &scratch->entries[i];

		chat__v1__entry__init(entry);
		entry->seq = item->seq;
		entry->server_time_ms = item->server_time_ms;
		entry->kind = item->kind;
		if (item->whole)
			entry->wire =
			    wire_from_bytes(BYTES(scratch->bytes.data + item->wire_at, item->wire_len));
		else
			entry->entry_hash = wire_from_digest(&item->entry_hash);
		scratch->entry_list[i] = entry;
	}
}

static enum chat_err
run_history(struct run *run)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__History body = CHAT__V1__HISTORY__INIT;
	struct digest before_hash;
	enum chat_err err;

	run->item_max = run->request->limit < READ_PAGE_ITEMS ? run->request->limit : READ_PAGE_ITEMS;
	err = store_reader_back(run->reader, run->request->room_no, run->request->from_seq, take_viewed, run);
	if (err == CHAT_OK)
		err = run->err;
	if (err == CHAT_OK && run->item_count > 0) {
		uint64_t first_seq = run->scratch->items[run->item_count - 1].seq;

		err = store_reader_log_hash(run->reader, run->request->room_no, first_seq - 1, &before_hash);
		body.before_hash = wire_from_digest(&before_hash);
		body.more = first_seq > 1;
	}
	if (err != CHAT_OK)
		return err;
	fill_entries(run, true);
	body.n_entry = run->item_count;
	body.entry = run->scratch->entry_list;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_HISTORY;
	frame.history = &body;
	return take_answer(run, &frame);
}

static enum chat_err
run_roster(struct run *run)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__RosterEvents body = CHAT__V1__ROSTER_EVENTS__INIT;
	enum chat_err err;

	err =
	    store_reader_events(run->reader, run->request->room_no, run->request->from_seq, take_event, run);
	if (err == CHAT_OK)
		err = run->err;
	if (err != CHAT_OK)
		return err;
	fill_entries(run, false);
	body.n_entry = run->item_count;
	body.entry = run->scratch->entry_list;
	body.more = run->more;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ROSTER_EVENTS;
	frame.roster_events = &body;
	return take_answer(run, &frame);
}

/* The event with which the stay began. */
struct prefix_event {
	enum chat_err err;
	bool create;
	uint64_t seen_seq;
};

static bool
take_prefix_event(void *ctx, const struct store_entry *entry)
{
	struct prefix_event *found = ctx;
	struct event event;

	found->err = entry->kind == ENTRY_EVENT ? event_decode(entry->wire, &event) : CHAT_ERR_CORRUPT;
	if (found->err != CHAT_OK) {
		found->err = CHAT_ERR_CORRUPT;
		return false;
	}
	found->create = event.type == EVENT_CREATE;
	found->seen_seq = event.seen_seq;
	return false;
}

static enum chat_err
run_prefix(struct run *run)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Prefix body = CHAT__V1__PREFIX__INIT;
	const struct read_request *request = run->request;
	struct prefix_event since = {.err = CHAT_ERR_CORRUPT};
	uint8_t preimage_wire[LOG_PREIMAGE_BYTES];
	struct log_preimage preimage;
	uint64_t from_seq;
	enum chat_err err;

	err = store_reader_range(
	    run->reader, request->room_no, request->to_seq, request->to_seq, take_prefix_event, &since);
	if (err == CHAT_OK)
		err = since.err;
	if (err == CHAT_OK && !since.create && since.seen_seq > 0 && request->from_seq == 0) {
		err = store_reader_preimage(run->reader, request->room_no, since.seen_seq, &preimage);
		if (err == CHAT_OK) {
			log_preimage_encode(&preimage, preimage_wire);
			body.preimage = wire_from_bytes(BYTES_ARRAY(preimage_wire));
		}
	}
	from_seq = request->from_seq > since.seen_seq ? request->from_seq : since.seen_seq;
	if (err == CHAT_OK && !since.create && from_seq < request->to_seq)
		err = store_reader_stubs(
		    run->reader, request->room_no, from_seq + 1, request->to_seq, take_stub, run);
	if (err == CHAT_OK)
		err = run->err;
	if (err != CHAT_OK)
		return err;
	fill_entries(run, false);
	body.n_stub = run->item_count;
	body.stub = run->scratch->entry_list;
	body.more = run->more;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_PREFIX;
	frame.prefix = &body;
	return take_answer(run, &frame);
}

/* ---- wraps ---- */

/* The store's bytes are gone after each callback, so they are copied, and pointed at at the end. */
struct wraps_page {
	struct run *run;
	uint32_t count;
	struct {
		struct digest epoch_id;
		size_t at, wrap_len;
		uint32_t rewrap_count;
	} epochs[EPOCHS_ASKED_MAX];
};

static bool
take_epoch_wraps(void *ctx, const struct store_epoch_wraps *wraps)
{
	struct wraps_page *page = ctx;
	struct buf *bytes = &page->run->scratch->bytes;
	enum chat_err err;

	assert(page->count < EPOCHS_ASKED_MAX);
	page->epochs[page->count].epoch_id = wraps->epoch_id;
	page->epochs[page->count].at = bytes->len;
	page->epochs[page->count].wrap_len = wraps->wrap.len;
	page->epochs[page->count].rewrap_count = wraps->rewrap_count;
	page->count++;
	err = buf_append(bytes, wraps->wrap.data, wraps->wrap.len);
	for (uint32_t i = 0; i < wraps->rewrap_count && err == CHAT_OK; i++)
		err = buf_append(bytes, wraps->rewraps[i].data, REWRAP_BYTES);
	page->run->err = err;
	return err == CHAT_OK;
}

static enum chat_err
run_wraps(struct run *run)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Wraps body = CHAT__V1__WRAPS__INIT;
	Chat__V1__EpochWraps epochs[EPOCHS_ASKED_MAX], *epoch_list[EPOCHS_ASKED_MAX];
	ProtobufCBinaryData rewraps[EPOCHS_ASKED_MAX][REWRAPS_KEPT];
	struct wraps_page page = {.run = run};
	enum chat_err err;

	assert(run->request->epoch_count <= EPOCHS_ASKED_MAX);
	err = store_reader_wraps(run->reader, run->request->room_no, &run->request->member_id,
	    run->request->epoch_ids, run->request->epoch_count, take_epoch_wraps, &page);
	if (err == CHAT_OK)
		err = run->err;
	if (err != CHAT_OK)
		return err;
	for (uint32_t i = 0; i < page.count; i++) {
		const uint8_t *at = run->scratch->bytes.data + page.epochs[i].at;
		struct store_epoch_wraps wraps = {
		    .epoch_id = page.epochs[i].epoch_id,
		    .wrap = BYTES(at, page.epochs[i].wrap_len),
		    .rewrap_count = page.epochs[i].rewrap_count,
		};

		at += page.epochs[i].wrap_len;
		for (uint32_t j = 0; j < wraps.rewrap_count; j++)
			wraps.rewraps[j] = BYTES(at + (size_t)j * REWRAP_BYTES, REWRAP_BYTES);
		fill_epoch_wraps(&wraps, &epochs[i], rewraps[i]);
		epochs[i].epoch_id = wire_from_digest(&page.epochs[i].epoch_id);
		epoch_list[i] = &epochs[i];
	}
	body.room_id = wire_from_digest(&run->request->room_id);
	body.n_epoch = page.count;
	body.epoch = epoch_list;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WRAPS;
	frame.wraps = &body;
	return take_answer(run, &frame);
}

/* ---- all of them ---- */

struct read_result *
read_run(struct store_reader *reader, const struct read_request *request, struct read_scratch *scratch)
{
	static enum chat_err (*const runs[])(struct run *) = {
	    [READ_RANGE] = run_range,
	    [READ_HISTORY] = run_history,
	    [READ_ROSTER] = run_roster,
	    [READ_PREFIX] = run_prefix,
	    [READ_WRAPS] = run_wraps,
	};
	struct read_result *result = calloc(1, sizeof *result);
	struct run run = {.reader = reader,
	    .request = request,
	    .scratch = scratch,
	    .result = result,
	    .item_max = READ_PAGE_ITEMS};

	if (result == NULL)
		return NULL;
	result->mail.tag = LOOP_MAIL_READ;
	result->kind = request->kind;
	result->conn = request->conn;
	result->request_id = request->request_id;
	result->room_no = request->room_no;
	buf_clear(&scratch->bytes);
	result->err = store_reader_begin(reader);
	if (result->err == CHAT_OK) {
		result->err = runs[request->kind](&run);
		store_reader_end(reader);
	}
	if (result->err != CHAT_OK) {
		frame_ref_unref(result->frames);
		result->frames = NULL;
		result->count = 0;
	}
	if (result->frames != NULL)
		result->mail.bytes = result->frames->len;
	return result;
}
