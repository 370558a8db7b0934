/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_LOOKUP_H
#define STORE_SQLITE_LOOKUP_H

/*
 * Looking up what belongs to rooms beside their logs: the rooms themselves, stays, counters, wraps.  Named as
 * the functions of store.h, whose contract they keep.
 *
 * Threads: as the connection; stays and counters are the writer's only.
 */

#include "store/sqlite_conn.h"
#include "store/store.h"

/* A row of `rooms`. */
struct sq_room {
	uint64_t room_no;
	struct digest room_id;
	struct log_head head;
	uint64_t head_id; /* entry_id of the head */
	uint64_t whole_from;
};

/* CHAT_ERR_NOT_FOUND. */
enum chat_err sq_room_by_id(struct sq_conn *conn, const struct digest *room_id, struct sq_room *ret) MUST_USE;
enum chat_err sq_room_by_no(struct sq_conn *conn, uint64_t room_no, struct sq_room *ret) MUST_USE;
struct store_room sq_room_public(const struct sq_room *room);

enum chat_err sq_rooms_each(struct sq_conn *conn, uint64_t from_no, store_room_fn fn, void *ctx) MUST_USE;
enum chat_err sq_member_rooms_each(
    struct sq_conn *conn, const struct digest *member_id, store_member_room_fn fn, void *ctx) MUST_USE;
enum chat_err
sq_counters_each(struct sq_conn *conn, uint64_t room_no, store_counter_fn fn, void *ctx) MUST_USE;
enum chat_err sq_wraps(struct sq_conn *conn, uint64_t room_no, const struct digest *member_id,
    const struct digest *epoch_ids, uint32_t epoch_count, store_wraps_fn fn, void *ctx) MUST_USE;

#endif
