/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_read.h"

#include <assert.h>
#include <inttypes.h>

/* ---- where entries lie ---- */

static enum chat_err
ids_of_full_block(struct sq_conn *conn, const struct sq_room *room, struct sq_ids *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_BLOCK];
	uint64_t block_no = (ret->first - 1) / BLOCK_ENTRIES;
	struct bytes ids;
	bool row;
	enum chat_err err;

	sq_bind_u64(st, 1, room->room_no << BLOCK_NO_BITS | block_no);
	err = sq_next(conn, st, &row);
	if (err)
		return err;
	ids = row ? sq_col_bytes(st, 0) : BYTES_EMPTY;
	if (ids.len == sizeof(ret->ids)) {
		for (size_t i = 0; i < BLOCK_ENTRIES; i++)
			ret->ids[i] = be64_get(ids.data + 8 * i);
	} else {
		err = sq_corrupt(conn, "room %" PRIu64 " misses its block %" PRIu64, room->room_no, block_no);
	}
	sq_done(st);
	ret->from = ret->first;
	ret->to = ret->first + BLOCK_ENTRIES - 1;
	return err;
}

enum chat_err
sq_ids_at(struct sq_conn *conn, const struct sq_room *room, uint64_t seq, struct sq_ids *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_PREV_ID];
	uint64_t id = room->head_id;

	assert(seq >= 1 && seq <= room->head.seq);
	ret->first = (seq - 1) / BLOCK_ENTRIES * BLOCK_ENTRIES + 1;
	if (ret->first + BLOCK_ENTRIES - 1 <= room->head.seq)
		return ids_of_full_block(conn, room, ret);

	ret->from = seq;
	ret->to = room->head.seq;
	for (uint64_t n = room->head.seq;; n--) {
		bool row, right;
		enum chat_err err;

		ret->ids[n - ret->first] = id;
		if (n == seq)
			return CHAT_OK;
		sq_bind_u64(st, 1, id);
		err = sq_next(conn, st, &row);
		if (err)
			return err;
		right = row && sq_col_u64(st, 1) == room->room_no && sq_col_u64(st, 2) == n;
		id = row ? sq_col_u64(st, 0) : 0;
		sq_done(st);
		if (!right)
			return sq_corrupt(conn, "entry %" PRIu64 " of room %" PRIu64 " is not in its place",
			    n, room->room_no);
	}
}

/* ---- entries ---- */

/* A row of SQ_ENTRIES, SQ_STUBS or SQ_EVENTS. */
static enum chat_err
entry_row(struct sq_conn *conn, sqlite3_stmt *st, uint64_t room_no, struct store_entry *ret)
{
	bool stub = sqlite3_column_count(st) < 8 || sq_col_is_null(st, 7);
	uint64_t kind = sq_col_u64(st, 4);

	ret->seq = sq_col_u64(st, 2);
	ret->server_time_ms = sq_col_u64(st, 3);
	ret->kind = kind == ENTRY_EVENT ? ENTRY_EVENT : ENTRY_MESSAGE;
	ret->whole = !stub;
	ret->wire = stub ? BYTES_EMPTY : sq_col_bytes(st, 7);
	if (sq_col_u64(st, 1) != room_no || kind != (uint64_t)ret->kind ||
	    !sq_col_digest(st, 5, &ret->entry_hash) || !sq_col_digest(st, 6, &ret->log_hash))
		return sq_corrupt(conn, "the row of entry %" PRIu64 " of room %" PRIu64, ret->seq, room_no);
	return CHAT_OK;
}

/* The entries of `ids` from a to b, of which consecutive ids are one scan.  *ret_go: the callback wants more.
 */
static enum chat_err
give_run(struct sq_conn *conn, sqlite3_stmt *st, uint64_t room_no, const struct sq_ids *ids, uint64_t a,
    uint64_t b, store_entry_fn fn, void *ctx, bool *ret_go)
{
	enum chat_err err = CHAT_OK;
	bool go = true;

	sq_bind_u64(st, 1, ids->ids[a - ids->first]);
	sq_bind_u64(st, 2, ids->ids[b - ids->first]);
	for (uint64_t seq = a; go && seq <= b; seq++) {
		struct store_entry entry;
		bool row;

		err = sq_next(conn, st, &row);
		if (err)
			return err;
		if (!row) {
			err = sq_corrupt(
			    conn, "entry %" PRIu64 " of room %" PRIu64 " is missing", seq, room_no);
			break;
		}
		err = entry_row(conn, st, room_no, &entry);
		if (!err && entry.seq != seq)
			err = sq_corrupt(
			    conn, "entry %" PRIu64 " of room %" PRIu64 " is not in its place", seq, room_no);
		if (err)
			break;
		go = fn(ctx, &entry);
	}
	sq_done(st);
	*ret_go = go;
	return err;
}

static enum chat_err
give_ids(struct sq_conn *conn, sqlite3_stmt *st, uint64_t room_no, const struct sq_ids *ids, uint64_t from,
    uint64_t to, store_entry_fn fn, void *ctx, bool *ret_go)
{
	enum chat_err err = CHAT_OK;

	*ret_go = true;
	for (uint64_t a = from, b; !err && *ret_go && a <= to; a = b + 1) {
		for (b = a; b < to && ids->ids[b + 1 - ids->first] == ids->ids[b - ids->first] + 1; b++)
			;
		err = give_run(conn, st, room_no, ids, a, b, fn, ctx, ret_go);
	}
	return err;
}

enum chat_err
sq_range(struct sq_conn *conn, uint64_t room_no, uint64_t from_seq, uint64_t to_seq, bool stubs,
    store_entry_fn fn, void *ctx)
{
	struct sq_room room;
	bool entered = false, go = true;
	enum chat_err err = sq_read_enter(conn, &entered);

	if (err)
		return err;
	err = sq_room_by_no(conn, room_no, &room);
	if (err)
		goto out;
	if (from_seq == 0)
		from_seq = 1;
	if (to_seq > room.head.seq)
		to_seq = room.head.seq;
	while (go && from_seq <= to_seq) {
		struct sq_ids ids;

		err = sq_ids_at(conn, &room, from_seq, &ids);
		if (err)
			goto out;
		if (ids.to > to_seq)
			ids.to = to_seq;
		err = give_ids(conn, conn->stmts[stubs ? SQ_STUBS : SQ_ENTRIES], room_no, &ids, from_seq,
		    ids.to, fn, ctx, &go);
		if (err)
			goto out;
		from_seq = ids.to + 1;
	}
out:
	sq_read_leave(conn, entered);
	return err == CHAT_ERR_NOT_FOUND ? CHAT_OK : err;
}

enum chat_err
sq_back(struct sq_conn *conn, uint64_t room_no, uint64_t before_seq, store_entry_fn fn, void *ctx)
{
	struct sq_room room;
	uint64_t seq;
	bool entered = false, go = true;
	enum chat_err err = sq_read_enter(conn, &entered);

	if (err)
		return err;
	err = sq_room_by_no(conn, room_no, &room);
	if (err)
		goto out;
	seq = before_seq > room.head.seq ? room.head.seq : before_seq ? before_seq - 1 : 0;
	while (go && seq > 0) {
		struct sq_ids ids;

		/* All of the block down to its first, whichever kind of block it is. */
		err = sq_ids_at(conn, &room, (seq - 1) / BLOCK_ENTRIES * BLOCK_ENTRIES + 1, &ids);
		for (; !err && go && seq >= ids.from; seq--)
			err = give_run(conn, conn->stmts[SQ_ENTRIES], room_no, &ids, seq, seq, fn, ctx, &go);
		if (err)
			goto out;
	}
out:
	sq_read_leave(conn, entered);
	return err == CHAT_ERR_NOT_FOUND ? CHAT_OK : err;
}

enum chat_err
sq_events(struct sq_conn *conn, uint64_t room_no, uint64_t from_seq, store_entry_fn fn, void *ctx)
{
	sqlite3_stmt *st = conn->stmts[SQ_EVENTS];

	sq_bind_u64(st, 1, room_no);
	sq_bind_u64(st, 2, from_seq);
	for (;;) {
		struct store_entry entry;
		bool row;
		enum chat_err err = sq_next(conn, st, &row);

		if (err)
			return err;
		if (row)
			err = entry_row(conn, st, room_no, &entry);
		if (err || !row || !fn(ctx, &entry)) {
			sq_done(st);
			return err;
		}
	}
}

/* ---- one entry ---- */

static bool
take_stub(void *ctx, const struct store_entry *entry)
{
	*(struct store_entry *)ctx = *entry;
	return false;
}

/* The stub of one entry.  In a transaction.  CHAT_ERR_NOT_FOUND. */
static enum chat_err
stub_at(struct sq_conn *conn, const struct sq_room *room, uint64_t seq, struct store_entry *ret)
{
	struct sq_ids ids;
	bool go;
	enum chat_err err;

	if (seq == 0 || seq > room->head.seq)
		return CHAT_ERR_NOT_FOUND;
	err = sq_ids_at(conn, room, seq, &ids);
	if (err)
		return err;
	return give_run(conn, conn->stmts[SQ_STUBS], room->room_no, &ids, seq, seq, take_stub, ret, &go);
}

static enum chat_err
log_hash_at(struct sq_conn *conn, const struct sq_room *room, uint64_t seq, struct digest *ret)
{
	struct store_entry stub;
	enum chat_err err;

	if (seq == 0 || seq == room->head.seq) {
		*ret = seq ? room->head.L : digest_zero;
		return CHAT_OK;
	}
	err = stub_at(conn, room, seq, &stub);
	if (!err)
		*ret = stub.log_hash;
	return err;
}

enum chat_err
sq_log_hash(struct sq_conn *conn, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	struct sq_room room;
	bool entered = false;
	enum chat_err err;

	if (seq == 0) {
		*ret = digest_zero;
		return CHAT_OK;
	}
	err = sq_read_enter(conn, &entered);
	if (err)
		return err;
	err = sq_room_by_no(conn, room_no, &room);
	if (!err)
		err = log_hash_at(conn, &room, seq, ret);
	sq_read_leave(conn, entered);
	return err;
}

/* E behind entry seq: that of the last event up to there. */
static enum chat_err
chain_at(struct sq_conn *conn, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_CHAIN_AT];
	bool row;
	enum chat_err err;

	sq_bind_u64(st, 1, room_no);
	sq_bind_u64(st, 2, seq);
	err = sq_next(conn, st, &row);
	if (err)
		return err;
	if (!row)
		*ret = digest_zero;
	else if (!sq_col_digest(st, 0, ret))
		err = sq_corrupt(conn, "the events of room %" PRIu64, room_no);
	sq_done(st);
	return err;
}

enum chat_err
sq_preimage(struct sq_conn *conn, uint64_t room_no, uint64_t seq, struct log_preimage *ret)
{
	struct sq_room room;
	struct store_entry stub;
	struct log_preimage preimage;
	bool entered = false;
	enum chat_err err = sq_read_enter(conn, &entered);

	if (err)
		return err;
	err = sq_room_by_no(conn, room_no, &room);
	if (!err)
		err = stub_at(conn, &room, seq, &stub);
	if (!err)
		err = log_hash_at(conn, &room, seq - 1, &preimage.prev_L);
	if (!err)
		err = chain_at(conn, room_no, seq, &preimage.E);
	sq_read_leave(conn, entered);
	if (err)
		return err;
	preimage.seq = seq;
	preimage.server_time_ms = stub.server_time_ms;
	preimage.entry_hash = stub.entry_hash;
	*ret = preimage;
	return CHAT_OK;
}

enum chat_err
sq_seq_at_time(struct sq_conn *conn, uint64_t room_no, uint64_t unix_ms, uint64_t *ret)
{
	struct sq_room room;
	uint64_t low = 1, high;
	bool entered = false;
	enum chat_err err = sq_read_enter(conn, &entered);

	if (err)
		return err;
	err = sq_room_by_no(conn, room_no, &room);
	if (err)
		goto out;
	high = room.head.seq + 1; /* every entry below low is older, none from high on */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct store_entry stub;

		err = stub_at(conn, &room, middle, &stub);
		if (err)
			goto out;
		if (stub.server_time_ms < unix_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
out:
	sq_read_leave(conn, entered);
	return err;
}
