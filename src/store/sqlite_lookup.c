/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_lookup.h"

#include <inttypes.h>
#include <string.h>

/* ---- rooms ---- */

static enum chat_err
room_row(struct sq_conn *conn, sqlite3_stmt *st, struct sq_room *ret)
{
	ret->room_no = sq_col_u64(st, 0);
	ret->head.seq = sq_col_u64(st, 2);
	ret->head_id = sq_col_u64(st, 3);
	ret->whole_from = sq_col_u64(st, 6);
	if (!sq_col_digest(st, 1, &ret->room_id) || !sq_col_digest(st, 4, &ret->head.L) ||
	    !sq_col_digest(st, 5, &ret->head.E))
		return sq_corrupt(conn, "the row of room %" PRIu64, ret->room_no);
	return CHAT_OK;
}

static enum chat_err
room_by(struct sq_conn *conn, sqlite3_stmt *st, struct sq_room *ret)
{
	struct sq_room room;
	bool row;
	enum chat_err err = sq_next(conn, st, &row);

	if (err)
		return err;
	err = row ? room_row(conn, st, &room) : CHAT_ERR_NOT_FOUND;
	sq_done(st);
	if (!err)
		*ret = room;
	return err;
}

enum chat_err
sq_room_by_id(struct sq_conn *conn, const struct digest *room_id, struct sq_room *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_ROOM_BY_ID];

	sq_bind_digest(st, 1, room_id);
	return room_by(conn, st, ret);
}

enum chat_err
sq_room_by_no(struct sq_conn *conn, uint64_t room_no, struct sq_room *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_ROOM_BY_NO];

	sq_bind_u64(st, 1, room_no);
	return room_by(conn, st, ret);
}

struct store_room
sq_room_public(const struct sq_room *room)
{
	return (struct store_room){.room_id = room->room_id,
	    .room_no = room->room_no,
	    .head = room->head,
	    .oldest_whole_seq = room->whole_from};
}

enum chat_err
sq_rooms_each(struct sq_conn *conn, uint64_t from_no, store_room_fn fn, void *ctx)
{
	sqlite3_stmt *st = conn->stmts[SQ_ROOMS];

	sq_bind_u64(st, 1, from_no);
	for (;;) {
		struct sq_room room;
		struct store_room public;
		bool row;
		enum chat_err err = sq_next(conn, st, &row);

		if (err)
			return err;
		if (row)
			err = room_row(conn, st, &room);
		if (row && !err)
		public = sq_room_public(&room);
		if (err || !row || !fn(ctx, &public)) {
			sq_done(st);
			return err;
		}
	}
}

static enum chat_err
member_room_row(struct sq_conn *conn, sqlite3_stmt *st, struct store_member_room *ret)
{
	uint64_t stay = sq_col_u64(st, 2);

	ret->room_no = sq_col_u64(st, 1);
	ret->stay = stay == STORE_JOINED ? STORE_JOINED : stay == STORE_INVITED ? STORE_INVITED : STORE_OUT;
	ret->since_seq = sq_col_u64(st, 3);
	ret->read_seq = sq_col_u64(st, 4);
	ret->head.seq = sq_col_u64(st, 5);
	if (!sq_col_digest(st, 0, &ret->room_id) || !sq_col_digest(st, 6, &ret->head.L) ||
	    !sq_col_digest(st, 7, &ret->head.E))
		return sq_corrupt(conn, "the row of room %" PRIu64, ret->room_no);
	return CHAT_OK;
}

enum chat_err
sq_member_rooms_each(struct sq_conn *conn, const struct digest *member_id, store_member_room_fn fn, void *ctx)
{
	sqlite3_stmt *st = conn->stmts[SQ_MEMBER_ROOMS];

	sq_bind_digest(st, 1, member_id);
	for (;;) {
		struct store_member_room room;
		bool row;
		enum chat_err err = sq_next(conn, st, &row);

		if (err)
			return err;
		if (row)
			err = member_room_row(conn, st, &room);
		if (err || !row || !fn(ctx, &room)) {
			sq_done(st);
			return err;
		}
	}
}

enum chat_err
sq_counters_each(struct sq_conn *conn, uint64_t room_no, store_counter_fn fn, void *ctx)
{
	sqlite3_stmt *st = conn->stmts[SQ_COUNTERS];

	sq_bind_u64(st, 1, room_no);
	for (;;) {
		struct store_counter counter;
		struct bytes device = BYTES_EMPTY;
		bool row;
		enum chat_err err = sq_next(conn, st, &row);

		if (err)
			return err;
		if (row) {
			device = sq_col_bytes(st, 1);
			counter.last = sq_col_u64(st, 2);
			if (!sq_col_digest(st, 0, &counter.sender) || device.len != sizeof(counter.device.b))
				err = sq_corrupt(conn, "a counter of room %" PRIu64, room_no);
			else
				memcpy(counter.device.b, device.data, device.len);
		}
		if (err || !row || !fn(ctx, &counter)) {
			sq_done(st);
			return err;
		}
	}
}

/* ---- wraps ---- */

/* Appends the column's bytes to the scratch buffer; a wrong length is damage. */
static enum chat_err
keep_wrap(struct sq_conn *conn, sqlite3_stmt *st, size_t want)
{
	struct bytes b = sq_col_bytes(st, 0);

	return b.len == want ? buf_append(&conn->scratch, b.data, b.len) : sq_corrupt(conn, "a wrap");
}

/* Steps through the rows, at most max_rows.  *ret_count of them were kept. */
static enum chat_err
keep_wraps(struct sq_conn *conn, sqlite3_stmt *st, uint64_t room_no, const struct digest *member_id,
    const struct digest *epoch_id, size_t want, uint32_t max_rows, uint32_t *ret_count)
{
	uint32_t count = 0;
	enum chat_err err = CHAT_OK;

	sq_bind_digest(st, 1, epoch_id);
	sq_bind_u64(st, 2, room_no);
	sq_bind_digest(st, 3, member_id);
	while (count < max_rows) {
		bool row;

		err = sq_next(conn, st, &row);
		if (err)
			return err;
		if (!row)
			break;
		err = keep_wrap(conn, st, want);
		if (err)
			break;
		count++;
	}
	sq_done(st);
	*ret_count = count;
	return err;
}

enum chat_err
sq_wraps(struct sq_conn *conn, uint64_t room_no, const struct digest *member_id,
    const struct digest *epoch_ids, uint32_t epoch_count, store_wraps_fn fn, void *ctx)
{
	bool entered = false;
	enum chat_err err = sq_read_enter(conn, &entered);

	for (uint32_t i = 0; !err && i < epoch_count; i++) {
		struct store_epoch_wraps wraps = {.epoch_id = epoch_ids[i]};
		uint32_t wrap_count = 0;
		const uint8_t *data;

		buf_clear(&conn->scratch);
		err = keep_wraps(conn, conn->stmts[SQ_WRAP], room_no, member_id, &epoch_ids[i], WRAP_BYTES, 1,
		    &wrap_count);
		if (!err)
			err = keep_wraps(conn, conn->stmts[SQ_REWRAPS], room_no, member_id, &epoch_ids[i],
			    REWRAP_BYTES, REWRAPS_KEPT, &wraps.rewrap_count);
		if (err)
			break;
		data = conn->scratch.data;
		if (wrap_count) {
			wraps.wrap = BYTES(data, WRAP_BYTES);
			data += WRAP_BYTES;
		}
		for (uint32_t r = 0; r < wraps.rewrap_count; r++)
			wraps.rewraps[r] = BYTES(data + (size_t)r * REWRAP_BYTES, REWRAP_BYTES);
		if (!fn(ctx, &wraps))
			break;
	}
	sq_read_leave(conn, entered);
	return err;
}
