/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_READ_RUN_H
#define SERVER_READ_RUN_H

/*
 * One read of a room's log: a read request becomes encoded frames, in one short transaction and of about
 * READ_CHUNK_BYTES at most.  The member's view decides what is whole and what is a stub.
 *
 * READ_RANGE gives the pushes of entries, in order, from from_seq on; a rekey's Wraps push for the member
 * stands right before its entry.  The others give the one frame that answers the request.
 *
 * It knows the store, and neither connections nor threads.  Threads: each thread with a reader and a scratch
 * of its own.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "net/mailbox.h"
#include "proto/chat.pb-c.h"
#include "proto/limits.h"
#include "server/outcome.h"
#include "store/store.h"

/* An entry that was read, to be put into a page; its bytes are in the scratch. */
struct read_item {
	uint64_t seq;
	uint64_t server_time_ms;
	uint8_t kind;
	bool whole;
	size_t wire_at, wire_len;
	struct digest entry_hash;
};

/* Memory that is used again and again.  Zero-initialise, then read_scratch_init(). */
struct read_epoch;

struct read_scratch {
	struct buf bytes;
	struct buf more_bytes;
	struct read_item *items;      /* READ_PAGE_ITEMS */
	struct read_epoch *epochs;    /* READ_PAGE_ITEMS */
	Chat__V1__Entry *entries;     /* READ_PAGE_ITEMS */
	Chat__V1__Entry **entry_list; /* READ_PAGE_ITEMS */
};

#define READ_PAGE_ITEMS HISTORY_LIMIT_MAX

/* CHAT_ERR_NOMEM; end it with read_scratch_fini() anyhow. */
enum chat_err read_scratch_init(struct read_scratch *scratch) MUST_USE;
void read_scratch_fini(struct read_scratch *scratch);

/* What came of a read request.  For mailboxes: the mail is at its head. */
struct read_result {
	struct mail mail;
	enum read_kind kind;
	struct conn_ref conn;
	uint64_t request_id;
	uint64_t room_no;
	enum chat_err err;
	/* The answer; or, of READ_RANGE, the frames of the entries first_seq .. first_seq + count - 1, the
	 * i-th with what stands before it ending at ends[i].  Owned; NULL with an error, and with a range of
	 * which nothing was there. */
	struct frame_ref *frames;
	uint64_t first_seq;
	uint32_t count;
	uint32_t *ends; /* owned */
};

void read_result_free(struct read_result *result); /* NULL is allowed */

/* Always gives a result, if only an error, unless memory for that is missing too: NULL. */
struct read_result *read_run(
    struct store_reader *reader, const struct read_request *request, struct read_scratch *scratch) MUST_USE;

#endif
