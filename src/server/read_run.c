/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/read_impl.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/wire.h"
#include "server/loop_mail.h"

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

bool
read_is_whole(const struct run *run, const struct store_entry *entry)
{
	return entry->whole && (entry->kind == ENTRY_EVENT || view_allows(run->request->view, entry->seq));
}

enum chat_err
read_take_frames(struct run *run, const struct buf *from)
{
	struct frame_ref *frames = frame_ref_new(from->len);

	if (frames == NULL)
		return CHAT_ERR_NOMEM;
	if (from->len > 0)
		memcpy(frames->data, from->data, from->len);
	run->result->frames = frames;
	return CHAT_OK;
}

enum chat_err
read_take_answer(struct run *run, Chat__V1__ServerFrame *frame)
{
	enum chat_err err;

	frame->id = run->request->request_id;
	buf_clear(&run->scratch->more_bytes);
	err = frame_encode_server(frame, &run->scratch->more_bytes);
	if (err == CHAT_OK)
		err = read_take_frames(run, &run->scratch->more_bytes);
	return err;
}

void
read_fill_wraps(const struct store_epoch_wraps *wraps, Chat__V1__EpochWraps *ret,
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

/* ---- all of them ---- */

struct read_result *
read_run(struct store_reader *reader, const struct read_request *request, struct read_scratch *scratch)
{
	static enum chat_err (*const runs[])(struct run *) = {
	    [READ_RANGE] = read_range,
	    [READ_HISTORY] = read_history,
	    [READ_ROSTER] = read_roster,
	    [READ_PREFIX] = read_prefix,
	    [READ_WRAPS] = read_wraps,
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
