/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Retention: the part of sqlite_write.h about it. */

#include <inttypes.h>

#include "store/sqlite_read.h"
#include "store/sqlite_write.h"

/* Of spent epochs so many at a time, or until so many wraps went: one of the largest room has 2,000. */
#define EPOCHS_AT_A_TIME 8
#define WRAPS_AT_A_TIME  512

/* What has to be put back of an entry. */
struct stub {
	uint64_t entry_id, prev_id, server_time_ms, kind;
	bool whole;
	struct digest entry_hash, log_hash;
};

static enum chat_err
look(struct sq_conn *conn, uint64_t room_no, uint64_t seq, uint64_t entry_id, struct stub *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_STUB_AND_PREV];
	bool row;
	enum chat_err err;

	sq_bind_u64(st, 1, entry_id);
	err = sq_next(conn, st, &row);
	if (err)
		return err;
	if (row) {
		ret->entry_id = entry_id;
		ret->prev_id = sq_col_u64(st, 2);
		ret->server_time_ms = sq_col_u64(st, 3);
		ret->kind = sq_col_u64(st, 4);
		ret->whole = sq_col_u64(st, 7) != 0;
	}
	if (!row || sq_col_u64(st, 0) != room_no || sq_col_u64(st, 1) != seq ||
	    !sq_col_digest(st, 5, &ret->entry_hash) || !sq_col_digest(st, 6, &ret->log_hash))
		err = sq_corrupt(
		    conn, "entry %" PRIu64 " of room %" PRIu64 " is not in its place", seq, room_no);
	sq_done(st);
	return err;
}

/*
 * The row is deleted and put back shorter, for SQLite joins pages that became too empty after a deletion, but
 * not after an update: measured, 2,300 pages of stubs take 3,800 instead of 7,600.
 */
static enum chat_err
strip_entry(struct sq_conn *conn, uint64_t room_no, uint64_t seq, const struct stub *stub)
{
	sqlite3_stmt *st = conn->stmts[SQ_DELETE_ENTRY];
	enum chat_err err;

	sq_bind_u64(st, 1, stub->entry_id);
	err = sq_run(conn, st);
	if (err)
		return err;
	st = conn->stmts[SQ_ADD_ENTRY];
	sq_bind_u64(st, 1, stub->entry_id);
	sq_bind_u64(st, 2, room_no);
	sq_bind_u64(st, 3, seq);
	sq_bind_u64(st, 4, stub->prev_id);
	sq_bind_u64(st, 5, stub->server_time_ms);
	sq_bind_u64(st, 6, stub->kind);
	sq_bind_digest(st, 7, &stub->entry_hash);
	sq_bind_digest(st, 8, &stub->log_hash);
	sq_bind_null(st, 9);
	return sq_run(conn, st);
}

/* Strips from .. *end - 1, and sets *end where it stopped before. */
static enum chat_err
strip_range(struct sq_conn *conn, const struct sq_room *room, uint64_t from, uint64_t before_ms,
    uint64_t *end, uint32_t *removed)
{
	while (from < *end) {
		struct sq_ids ids;
		enum chat_err err = sq_ids_at(conn, room, from, &ids);

		for (; !err && from < *end && from <= ids.to; from++) {
			struct stub stub;

			err = look(conn, room->room_no, from, ids.ids[from - ids.first], &stub);
			if (!err && before_ms && stub.server_time_ms >= before_ms) {
				*end = from;
				break;
			}
			if (!err && stub.kind == ENTRY_MESSAGE && stub.whole) {
				err = strip_entry(conn, room->room_no, from, &stub);
				++*removed;
			}
		}
		if (err)
			return err;
	}
	return CHAT_OK;
}

static enum chat_err
run_with(struct sq_conn *conn, enum sq_stmt which, uint64_t v)
{
	sq_bind_u64(conn->stmts[which], 1, v);
	return sq_run(conn, conn->stmts[which]);
}

static enum chat_err
drop_spent_epochs(struct sq_conn *conn, uint64_t room_no, uint64_t whole_from, size_t *ret_dropped)
{
	sqlite3_stmt *st = conn->stmts[SQ_SPENT_EPOCHS];
	uint64_t epochs[EPOCHS_AT_A_TIME];
	size_t count = 0, dropped = 0;
	int wraps = 0;
	enum chat_err err = CHAT_OK;

	sq_bind_u64(st, 1, room_no);
	sq_bind_u64(st, 2, whole_from);
	sq_bind_u64(st, 3, EPOCHS_AT_A_TIME);
	while (count < EPOCHS_AT_A_TIME) {
		bool row;

		err = sq_next(conn, st, &row);
		if (err)
			return err;
		if (!row)
			break;
		epochs[count++] = sq_col_u64(st, 0);
	}
	sq_done(st);
	for (; !err && dropped < count && wraps < WRAPS_AT_A_TIME; dropped++) {
		err = run_with(conn, SQ_DROP_WRAPS, epochs[dropped]);
		wraps += sqlite3_changes(conn->db);
		if (!err)
			err = run_with(conn, SQ_DROP_REWRAPS, epochs[dropped]);
		if (!err)
			err = run_with(conn, SQ_DROP_EPOCH, epochs[dropped]);
	}
	*ret_dropped = dropped;
	return err;
}

enum chat_err
sq_apply_strip(struct sq_rooms *rooms, struct store_op *op)
{
	const struct store_strip *strip = &op->strip;
	struct sq_conn *conn = rooms->conn;
	struct sq_room room;
	uint64_t end;
	uint32_t removed = 0;
	size_t epochs = 0;
	enum chat_err err = sq_rooms_flush(rooms); /* the row is read below */

	if (!err)
		err = sq_room_by_id(conn, &strip->room_id, &room);
	if (err == CHAT_ERR_NOT_FOUND) {
		op->result.outcome = STORE_CONFLICT;
		return CHAT_OK;
	}
	if (err)
		return err;
	op->result.room_no = room.room_no;
	end = strip->below_seq > room.head.seq ? room.head.seq + 1 : strip->below_seq;
	if (end < room.whole_from)
		end = room.whole_from;
	if (end - room.whole_from > strip->max_entries)
		end = room.whole_from + strip->max_entries;
	err = strip_range(conn, &room, room.whole_from, strip->before_ms, &end, &removed);
	if (!err && end > room.whole_from) {
		sq_bind_u64(conn->stmts[SQ_SET_WHOLE_FROM], 1, room.room_no);
		sq_bind_u64(conn->stmts[SQ_SET_WHOLE_FROM], 2, end);
		err = sq_run(conn, conn->stmts[SQ_SET_WHOLE_FROM]);
	}
	if (!err)
		err = drop_spent_epochs(conn, room.room_no, end, &epochs);
	if (err)
		return err;
	op->result.first_seq = end;
	op->result.removed = removed;
	op->result.outcome = end > room.whole_from || epochs > 0 ? STORE_STORED : STORE_ALREADY;
	return CHAT_OK;
}
