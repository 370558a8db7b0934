/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is not said or done yet: the outbox of this slot, and invitations that wait. */

#include <assert.h>

#include "libchat/storage_ops.h"

enum chat_err
sqlite_add_outbox(
    struct storage *st, const struct digest *room_id, struct bytes sealed_text, uint64_t *ret_id)
{
	struct storage_sqlite *s = storage_sqlite_of(st);
	struct db *db = &s->db;
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, DB_ADD_OUTBOX, &stmt);

	if (err)
		return err;
	assert(s->slot.lock_fd >= 0);
	db_bind_u64(stmt, 1, s->slot.number);
	db_bind_digest(stmt, 2, room_id);
	db_bind_bytes(stmt, 3, sealed_text);
	err = db_run(db, DB_ADD_OUTBOX, stmt);
	if (!err)
		*ret_id = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
	return err;
}

enum chat_err
sqlite_seal_outbox(struct storage *st, uint64_t id, uint64_t counter, struct bytes wire)
{
	struct db *db = &storage_sqlite_of(st)->db;
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, DB_SEAL_OUTBOX, &stmt);

	if (err)
		return err;
	db_bind_u64(stmt, 1, id);
	db_bind_u64(stmt, 2, counter);
	db_bind_bytes(stmt, 3, wire);
	err = db_run(db, DB_SEAL_OUTBOX, stmt);
	return !err && sqlite3_changes(db->sqlite) == 0 ? CHAT_ERR_NOT_FOUND : err;
}

enum chat_err
sqlite_remove_outbox(struct storage *st, uint64_t id)
{
	struct db *db = &storage_sqlite_of(st)->db;
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, DB_REMOVE_OUTBOX, &stmt);

	if (err)
		return err;
	db_bind_u64(stmt, 1, id);
	return db_run(db, DB_REMOVE_OUTBOX, stmt);
}

enum chat_err
sqlite_each_outbox(struct storage *st, storage_outbox_fn fn, void *ctx)
{
	struct storage_sqlite *s = storage_sqlite_of(st);
	struct db *db = &s->db;
	struct outbox_item item;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_EACH_OUTBOX, &stmt);

	if (err)
		return err;
	assert(s->slot.lock_fd >= 0);
	db_bind_u64(stmt, 1, s->slot.number);
	while (!(err = db_step(db, stmt, &row)) && row) {
		item.id = db_col_u64(stmt, 0);
		if (!db_col_copy(stmt, 1, item.room_id.b, DIGEST_BYTES)) {
			err = db_corrupt(db, "an item of the outbox");
			break;
		}
		item.state = db_col_u64(stmt, 2) == OUTBOX_WAITING ? OUTBOX_WAITING : OUTBOX_SEALED;
		item.sealed_text = db_col_bytes(stmt, 3);
		item.counter = db_col_u64(stmt, 4);
		item.wire = db_col_bytes(stmt, 5);
		if (!fn(ctx, &item))
			break;
	}
	db_done(db, DB_EACH_OUTBOX, stmt);
	return err;
}

static enum chat_err
run_invite(struct storage *st, enum db_stmt which, const struct digest *room_id, struct bytes account)
{
	struct db *db = &storage_sqlite_of(st)->db;
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, which, &stmt);

	if (err)
		return err;
	db_bind_digest(stmt, 1, room_id);
	db_bind_bytes(stmt, 2, account);
	return db_run(db, which, stmt);
}

enum chat_err
sqlite_put_invite(struct storage *st, const struct digest *room_id, struct bytes account)
{
	return run_invite(st, DB_PUT_INVITE, room_id, account);
}

enum chat_err
sqlite_remove_invite(struct storage *st, const struct digest *room_id, struct bytes account)
{
	return run_invite(st, DB_REMOVE_INVITE, room_id, account);
}

enum chat_err
sqlite_each_invite(struct storage *st, storage_invite_fn fn, void *ctx)
{
	struct db *db = &storage_sqlite_of(st)->db;
	struct digest room_id;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_EACH_INVITE, &stmt);

	if (err)
		return err;
	while (!(err = db_step(db, stmt, &row)) && row) {
		if (!db_col_copy(stmt, 0, room_id.b, DIGEST_BYTES)) {
			err = db_corrupt(db, "an invitation");
			break;
		}
		if (!fn(ctx, &room_id, db_col_bytes(stmt, 1)))
			break;
	}
	db_done(db, DB_EACH_INVITE, stmt);
	return err;
}
