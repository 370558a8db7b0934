/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/read_impl.h"

#include <assert.h>

#include "group/event.h"
#include "proto/wire.h"

/* Of an entry in a page, beside its wire bytes: tags, lengths, number, time. */
#define ITEM_OVERHEAD_BYTES 48

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

	return take_item(run, entry, read_is_whole(run, entry));
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

enum chat_err
read_history(struct run *run)
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
	return read_take_answer(run, &frame);
}

enum chat_err
read_roster(struct run *run)
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
	return read_take_answer(run, &frame);
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

enum chat_err
read_prefix(struct run *run)
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
	return read_take_answer(run, &frame);
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

enum chat_err
read_wraps(struct run *run)
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
		read_fill_wraps(&wraps, &epochs[i], rewraps[i]);
		epochs[i].epoch_id = wire_from_digest(&page.epochs[i].epoch_id);
		epoch_list[i] = &epochs[i];
	}
	body.room_id = wire_from_digest(&run->request->room_id);
	body.n_epoch = page.count;
	body.epoch = epoch_list;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WRAPS;
	frame.wraps = &body;
	return read_take_answer(run, &frame);
}
