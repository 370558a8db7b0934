/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_ROOMS_H
#define STORE_SQLITE_ROOMS_H

/*
 * The writer's cache of where rooms' logs end, and appending to them.  A room that is posted to often costs
 * no lookup, and its row is written once a transaction, by sq_rooms_flush().
 *
 * Threads: the writer's.
 */

#include "store/sqlite_conn.h"
#include "store/sqlite_schema.h"
#include "store/store.h"

struct sq_tail {
	struct digest room_id;
	uint64_t room_no; /* 0: the slot is empty */
	struct log_head head;
	uint64_t head_id;
	bool dirty;                     /* the row of `rooms` is behind */
	bool listed;                    /* the place is in the list of those that may be dirty */
	uint64_t loaded_seq, loaded_id; /* the head when it was loaded */
	uint64_t ids[BLOCK_ENTRIES];    /* of the head's block, as far as it is above loaded_seq */
};

struct sq_rooms {
	struct sq_conn *conn;  /* borrowed */
	struct sq_tail *tails; /* owned; a room has one possible place */
	uint32_t *listed;      /* owned; places to look at before the commit, each once */
	uint32_t listed_count;
	uint64_t last_entry_id; /* UINT64_MAX: to be read */
};

enum chat_err sq_rooms_init(struct sq_rooms *rooms, struct sq_conn *conn) MUST_USE;
void sq_rooms_fini(struct sq_rooms *rooms);

/* Both: *ret is valid until the next call.  CHAT_ERR_NOT_FOUND. */
enum chat_err
sq_rooms_find(struct sq_rooms *rooms, const struct digest *room_id, struct sq_tail **ret) MUST_USE;
/* The room is not there: look first. */
enum chat_err
sq_rooms_add(struct sq_rooms *rooms, const struct digest *room_id, struct sq_tail **ret) MUST_USE;
/* Stores the entry behind the tail and fills its log_hash. */
enum chat_err
sq_rooms_append(struct sq_rooms *rooms, struct sq_tail *tail, struct store_new_entry *entry) MUST_USE;

/* Before the commit. */
enum chat_err sq_rooms_flush(struct sq_rooms *rooms) MUST_USE;
/* After a rollback: the database is the truth. */
void sq_rooms_forget(struct sq_rooms *rooms);

#endif
