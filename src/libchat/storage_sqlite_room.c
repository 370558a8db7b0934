/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms, their entries, counters and wraps. */

#include <string.h>

#include "libchat/storage_ops.h"

/* CHAT_ERR_NOT_FOUND: no such room. */
static enum chat_err
room_no_get(struct db *db, const struct digest *room_id, uint64_t *ret)
{
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_GET_ROOM_NO, &stmt);

	if (err)
		return err;
	db_bind_digest(stmt, 1, room_id);
	err = db_step(db, stmt, &row);
	if (!err && row)
		*ret = db_col_u64(stmt, 0);
	db_done(db, DB_GET_ROOM_NO, stmt);
	if (!err && row && (*ret == 0 || *ret > ROOM_NO_MAX))
		err = db_corrupt(db, "a room's number");
	return err || row ? err : CHAT_ERR_NOT_FOUND;
}

/* The room's number, a new one for a new room. */
static enum chat_err
room_no_make(struct db *db, const struct digest *room_id, uint64_t *ret)
{
	sqlite3_stmt *stmt;
	enum chat_err err = room_no_get(db, room_id, ret);

	if (err != CHAT_ERR_NOT_FOUND)
		return err;
	err = db_stmt(db, DB_ADD_ROOM_NO, &stmt);
	if (err)
		return err;
	db_bind_digest(stmt, 1, room_id);
	err = db_run(db, DB_ADD_ROOM_NO, stmt);
	return err ? err : room_no_get(db, room_id, ret);
}

/* For the each_... functions: a room that was never stored has nothing. */
static enum chat_err
none_is_fine(enum chat_err err)
{
	return err == CHAT_ERR_NOT_FOUND ? CHAT_OK : err;
}

static uint64_t
entry_key(uint64_t room_no, uint64_t seq)
{
	return room_no << ENTRY_KEY_BITS | (seq < ENTRY_SEQ_MAX ? seq : ENTRY_SEQ_MAX);
}

/* ---- rooms ---- */

static bool
room_read(sqlite3_stmt *stmt, struct stored_room *ret)
{
	struct stored_room room = {
	    .head.seq = db_col_u64(stmt, 1),
	    .first_seq = db_col_u64(stmt, 4),
	    .shown_seq = db_col_u64(stmt, 6),
	    .read_seq = db_col_u64(stmt, 7),
	    .gone = db_col_u64(stmt, 8) != 0,
	};
	struct bytes label = db_col_bytes(stmt, 9);

	if (!db_col_copy(stmt, 0, room.room_id.b, DIGEST_BYTES) ||
	    !db_col_copy(stmt, 2, room.head.L.b, DIGEST_BYTES) ||
	    !db_col_copy(stmt, 3, room.head.E.b, DIGEST_BYTES) ||
	    !db_col_copy(stmt, 5, room.base_hash.b, DIGEST_BYTES) || label.len >= sizeof(room.label))
		return false;
	if (label.len)
		memcpy(room.label, label.data, label.len);
	*ret = room;
	return true;
}

enum chat_err
sqlite_each_room(struct storage *st, storage_room_fn fn, void *ctx)
{
	struct db *db = &storage_sqlite_of(st)->db;
	struct stored_room room;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_EACH_ROOM, &stmt);

	if (err)
		return err;
	while (!(err = db_step(db, stmt, &row)) && row) {
		if (!room_read(stmt, &room)) {
			err = db_corrupt(db, "a room");
			break;
		}
		if (!fn(ctx, &room))
			break;
	}
	db_done(db, DB_EACH_ROOM, stmt);
	return err;
}

enum chat_err
sqlite_put_room(struct storage *st, const struct stored_room *room)
{
	struct db *db = &storage_sqlite_of(st)->db;
	uint64_t room_no;
	sqlite3_stmt *stmt;
	enum chat_err err = room_no_make(db, &room->room_id, &room_no);

	if (!err)
		err = db_stmt(db, DB_PUT_ROOM, &stmt);
	if (err)
		return err;
	db_bind_u64(stmt, 1, room_no);
	db_bind_u64(stmt, 2, room->head.seq);
	db_bind_digest(stmt, 3, &room->head.L);
	db_bind_digest(stmt, 4, &room->head.E);
	db_bind_u64(stmt, 5, room->first_seq);
	db_bind_digest(stmt, 6, &room->base_hash);
	db_bind_u64(stmt, 7, room->shown_seq);
	db_bind_u64(stmt, 8, room->read_seq);
	db_bind_u64(stmt, 9, room->gone);
	db_bind_text(stmt, 10, room->label);
	return db_run(db, DB_PUT_ROOM, stmt);
}

/* The rows of a room in one table. */
static enum chat_err
remove_rows(struct db *db, enum db_stmt which, uint64_t room_no, const struct digest *room_id)
{
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, which, &stmt);

	if (err)
		return err;
	if (which == DB_REMOVE_ENTRIES) {
		db_bind_u64(stmt, 1, entry_key(room_no, 0));
		db_bind_u64(stmt, 2, entry_key(room_no, ENTRY_SEQ_MAX));
	} else if (room_id) {
		db_bind_digest(stmt, 1, room_id);
	} else {
		db_bind_u64(stmt, 1, room_no);
	}
	return db_run(db, which, stmt);
}

enum chat_err
sqlite_remove_room(struct storage *st, const struct digest *room_id)
{
	static const enum db_stmt by_no[] = {
	    DB_REMOVE_ROOM, DB_REMOVE_ENTRIES, DB_REMOVE_COUNTERS, DB_REMOVE_WRAPS};
	struct db *db = &storage_sqlite_of(st)->db;
	bool own = !db_in_transaction(db);
	uint64_t room_no;
	enum chat_err err = room_no_get(db, room_id, &room_no);
	bool known = !err;

	err = none_is_fine(err);
	if (!err && own)
		err = db_begin(db);
	if (err)
		return err;
	for (size_t i = 0; known && !err && i < ARRAY_LEN(by_no); i++)
		err = remove_rows(db, by_no[i], room_no, NULL);
	if (!err)
		err = remove_rows(db, DB_REMOVE_ROOM_OUTBOX, 0, room_id);
	if (!err)
		err = remove_rows(db, DB_REMOVE_ROOM_INVITES, 0, room_id);
	if (own && !err)
		err = db_commit(db);
	else if (own)
		db_rollback(db);
	return err;
}

/* ---- entries ---- */

enum chat_err
sqlite_put_entry(struct storage *st, const struct digest *room_id, const struct stored_entry *entry)
{
	struct db *db = &storage_sqlite_of(st)->db;
	uint64_t room_no;
	sqlite3_stmt *stmt;
	enum chat_err err;

	if (entry->seq >= ENTRY_SEQ_MAX)
		return db_corrupt(db, "an entry's number above all limits");
	err = room_no_make(db, room_id, &room_no);
	if (!err)
		err = db_stmt(db, DB_PUT_ENTRY, &stmt);
	if (err)
		return err;
	db_bind_u64(stmt, 1, entry_key(room_no, entry->seq));
	db_bind_u64(stmt, 2, entry->server_time_ms);
	db_bind_u64(stmt, 3, entry->kind);
	db_bind_digest(stmt, 4, &entry->entry_hash);
	if (entry->wire.len)
		db_bind_bytes(stmt, 5, entry->wire);
	else
		db_bind_null(stmt, 5);
	return db_run(db, DB_PUT_ENTRY, stmt);
}

static enum chat_err
each_in_range(struct db *db, enum db_stmt which, const struct digest *room_id, uint64_t from_seq,
    uint64_t to_seq, storage_entry_fn fn, void *ctx)
{
	struct stored_entry entry;
	uint64_t room_no;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = room_no_get(db, room_id, &room_no);

	if (!err)
		err = db_stmt(db, which, &stmt);
	if (err)
		return none_is_fine(err);
	db_bind_u64(stmt, 1, entry_key(room_no, from_seq));
	db_bind_u64(stmt, 2, entry_key(room_no, to_seq));
	while (!(err = db_step(db, stmt, &row)) && row) {
		uint64_t kind = db_col_u64(stmt, 2);

		entry.seq = db_col_u64(stmt, 0) & ENTRY_SEQ_MAX;
		entry.server_time_ms = db_col_u64(stmt, 1);
		entry.wire = db_col_bytes(stmt, 4);
		if ((kind != ENTRY_EVENT && kind != ENTRY_MESSAGE) ||
		    !db_col_copy(stmt, 3, entry.entry_hash.b, DIGEST_BYTES)) {
			err = db_corrupt(db, "an entry");
			break;
		}
		entry.kind = kind == ENTRY_EVENT ? ENTRY_EVENT : ENTRY_MESSAGE;
		if (!fn(ctx, &entry))
			break;
	}
	db_done(db, which, stmt);
	return err;
}

enum chat_err
sqlite_each_entry(struct storage *st, const struct digest *room_id, uint64_t from_seq, uint64_t to_seq,
    storage_entry_fn fn, void *ctx)
{
	return each_in_range(&storage_sqlite_of(st)->db, DB_EACH_ENTRY, room_id, from_seq, to_seq, fn, ctx);
}

enum chat_err
sqlite_each_event(struct storage *st, const struct digest *room_id, storage_entry_fn fn, void *ctx)
{
	return each_in_range(&storage_sqlite_of(st)->db, DB_EACH_EVENT, room_id, 0, ENTRY_SEQ_MAX, fn, ctx);
}

/* ---- counters and wraps ---- */

enum chat_err
sqlite_put_counter(struct storage *st, const struct digest *room_id, const struct stored_counter *counter)
{
	struct db *db = &storage_sqlite_of(st)->db;
	uint64_t room_no;
	sqlite3_stmt *stmt;
	enum chat_err err = room_no_make(db, room_id, &room_no);

	if (!err)
		err = db_stmt(db, DB_PUT_COUNTER, &stmt);
	if (err)
		return err;
	db_bind_u64(stmt, 1, room_no);
	db_bind_digest(stmt, 2, &counter->sender);
	db_bind_bytes(stmt, 3, BYTES_ARRAY(counter->device.b));
	db_bind_u64(stmt, 4, counter->last);
	return db_run(db, DB_PUT_COUNTER, stmt);
}

enum chat_err
sqlite_each_counter(struct storage *st, const struct digest *room_id, storage_counter_fn fn, void *ctx)
{
	struct db *db = &storage_sqlite_of(st)->db;
	struct stored_counter counter;
	uint64_t room_no;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = room_no_get(db, room_id, &room_no);

	if (!err)
		err = db_stmt(db, DB_EACH_COUNTER, &stmt);
	if (err)
		return none_is_fine(err);
	db_bind_u64(stmt, 1, room_no);
	while (!(err = db_step(db, stmt, &row)) && row) {
		if (!db_col_copy(stmt, 0, counter.sender.b, DIGEST_BYTES) ||
		    !db_col_copy(stmt, 1, counter.device.b, DEVICE_ID_BYTES)) {
			err = db_corrupt(db, "a counter");
			break;
		}
		counter.last = db_col_u64(stmt, 2);
		if (!fn(ctx, &counter))
			break;
	}
	db_done(db, DB_EACH_COUNTER, stmt);
	return err;
}

enum chat_err
sqlite_put_wrap(struct storage *st, const struct digest *room_id, const struct stored_wrap *wrap)
{
	struct db *db = &storage_sqlite_of(st)->db;
	uint64_t room_no;
	sqlite3_stmt *stmt;
	enum chat_err err = room_no_make(db, room_id, &room_no);

	if (!err)
		err = db_stmt(db, DB_PUT_WRAP, &stmt);
	if (err)
		return err;
	db_bind_u64(stmt, 1, room_no);
	db_bind_digest(stmt, 2, &wrap->epoch_id);
	db_bind_u64(stmt, 3, wrap->source);
	db_bind_bytes(stmt, 4, wrap->wire);
	return db_run(db, DB_PUT_WRAP, stmt);
}

enum chat_err
sqlite_each_wrap(struct storage *st, const struct digest *room_id, const struct digest *epoch_id,
    storage_wrap_fn fn, void *ctx)
{
	struct db *db = &storage_sqlite_of(st)->db;
	struct stored_wrap wrap = {.epoch_id = *epoch_id};
	uint64_t room_no;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = room_no_get(db, room_id, &room_no);

	if (!err)
		err = db_stmt(db, DB_EACH_WRAP, &stmt);
	if (err)
		return none_is_fine(err);
	db_bind_u64(stmt, 1, room_no);
	db_bind_digest(stmt, 2, &wrap.epoch_id);
	while (!(err = db_step(db, stmt, &row)) && row) {
		wrap.source = db_col_u64(stmt, 0) == WRAP_LISTED ? WRAP_LISTED : WRAP_REWRAP;
		wrap.wire = db_col_bytes(stmt, 1);
		if (!fn(ctx, &wrap))
			break;
	}
	db_done(db, DB_EACH_WRAP, stmt);
	return err;
}
