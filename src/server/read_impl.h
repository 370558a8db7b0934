/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_READ_IMPL_H
#define SERVER_READ_IMPL_H

/*
 * The inside of read_run.h, for its own files only:
 *
 *   read_run.c    one read: the transaction, what all kinds share
 *   read_range.c  the pushes that a subscription gets
 *   read_page.c   the answers to requests
 */

#include "server/read_run.h"

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

/* ---- read_run.c ---- */

/* May the member have this entry whole, and is it there whole? */
bool read_is_whole(const struct run *run, const struct store_entry *entry);
/* The bytes become the result's frames. */
enum chat_err read_take_frames(struct run *run, const struct buf *from) MUST_USE;
/* The frame, encoded, becomes the result's answer. */
enum chat_err read_take_answer(struct run *run, Chat__V1__ServerFrame *frame) MUST_USE;
/* Borrows from wraps. */
void read_fill_wraps(const struct store_epoch_wraps *wraps, Chat__V1__EpochWraps *ret,
    ProtobufCBinaryData ret_rewraps[static REWRAPS_KEPT]);

/* ---- one for each kind ---- */

enum chat_err read_range(struct run *run) MUST_USE;
enum chat_err read_history(struct run *run) MUST_USE;
enum chat_err read_roster(struct run *run) MUST_USE;
enum chat_err read_prefix(struct run *run) MUST_USE;
enum chat_err read_wraps(struct run *run) MUST_USE;

#endif
