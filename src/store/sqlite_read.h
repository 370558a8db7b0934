/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_READ_H
#define STORE_SQLITE_READ_H

/*
 * Reading rooms' logs, on the writer's connection and on readers' alike.  The functions named as those of
 * store.h keep their contract; each runs in one transaction, its own where none is open.
 *
 * Threads: as the connection.
 */

#include "store/sqlite_conn.h"
#include "store/sqlite_lookup.h"
#include "store/sqlite_schema.h"
#include "store/store.h"

/* Where entries lie: entry_ids of the numbers from .. to, at ids[seq - first]. */
struct sq_ids {
	uint64_t first; /* of the block, which from .. to is a part of */
	uint64_t from, to;
	uint64_t ids[BLOCK_ENTRIES];
};

/* The ids of seq's block: all of it, or from seq to the head where it is unfinished.  1 <= seq <= head. */
enum chat_err
sq_ids_at(struct sq_conn *conn, const struct sq_room *room, uint64_t seq, struct sq_ids *ret) MUST_USE;

enum chat_err sq_range(struct sq_conn *conn, uint64_t room_no, uint64_t from_seq, uint64_t to_seq, bool stubs,
    store_entry_fn fn, void *ctx) MUST_USE;
enum chat_err
sq_back(struct sq_conn *conn, uint64_t room_no, uint64_t before_seq, store_entry_fn fn, void *ctx) MUST_USE;
enum chat_err
sq_events(struct sq_conn *conn, uint64_t room_no, uint64_t from_seq, store_entry_fn fn, void *ctx) MUST_USE;
enum chat_err sq_log_hash(struct sq_conn *conn, uint64_t room_no, uint64_t seq, struct digest *ret) MUST_USE;
enum chat_err
sq_preimage(struct sq_conn *conn, uint64_t room_no, uint64_t seq, struct log_preimage *ret) MUST_USE;
enum chat_err
sq_seq_at_time(struct sq_conn *conn, uint64_t room_no, uint64_t unix_ms, uint64_t *ret) MUST_USE;

#endif
