/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/storage_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/state_dir.h"
#include "libchat/storage_ops.h"
#include "libchat/text.h"

#define DATABASE_FILE "chat.db"
#define OPEN_LOCK                                                                                            \
	"open.lock" /* held while a process opens, so that only one makes the tables and chooses a slot */
#define BUSY_WAIT_MS 10000 /* a transaction of another process takes milliseconds */

/* ---- transactions ---- */

static enum chat_err
sqlite_begin(struct storage *st)
{
	return db_begin(&storage_sqlite_of(st)->db);
}

static enum chat_err
sqlite_commit(struct storage *st)
{
	return db_commit(&storage_sqlite_of(st)->db);
}

static void
sqlite_rollback(struct storage *st)
{
	db_rollback(&storage_sqlite_of(st)->db);
}

/* ---- the identity ---- */

static enum chat_err
sqlite_get_identity(struct storage *st, struct stored_identity *ret)
{
	struct db *db = &storage_sqlite_of(st)->db;
	struct stored_identity identity;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_GET_IDENTITY, &stmt);

	if (err)
		return err;
	err = db_step(db, stmt, &row);
	if (err)
		goto out;
	if (!row) {
		err = CHAT_ERR_NOT_FOUND;
		goto out;
	}
	if (!db_col_copy(stmt, 0, identity.realm.b, sizeof(identity.realm.b)) ||
	    !db_col_copy(stmt, 1, identity.root.ed_seed, sizeof(identity.root.ed_seed)) ||
	    !db_col_copy(stmt, 2, identity.root.bag_key, sizeof(identity.root.bag_key))) {
		err = db_corrupt(db, "the identity");
		goto out;
	}
	identity.bag_version = db_col_u64(stmt, 3);
	identity.published = db_col_u64(stmt, 4) != 0;
	*ret = identity;
out:
	db_done(db, DB_GET_IDENTITY, stmt);
	explicit_bzero(&identity, sizeof(identity));
	return err;
}

static enum chat_err
sqlite_put_identity(struct storage *st, const struct stored_identity *identity)
{
	struct db *db = &storage_sqlite_of(st)->db;
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, DB_PUT_IDENTITY, &stmt);

	if (err)
		return err;
	db_bind_bytes(stmt, 1, BYTES_ARRAY(identity->realm.b));
	db_bind_bytes(stmt, 2, BYTES_ARRAY(identity->root.ed_seed));
	db_bind_bytes(stmt, 3, BYTES_ARRAY(identity->root.bag_key));
	db_bind_u64(stmt, 4, identity->bag_version);
	db_bind_u64(stmt, 5, identity->published);
	return db_run(db, DB_PUT_IDENTITY, stmt);
}

static enum chat_err
sqlite_get_bag(struct storage *st, struct buf *ret_blob)
{
	struct db *db = &storage_sqlite_of(st)->db;
	sqlite3_stmt *stmt;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_GET_BAG, &stmt);

	if (err)
		return err;
	err = db_step(db, stmt, &row);
	if (!err && !row)
		err = CHAT_ERR_NOT_FOUND;
	if (!err) {
		struct bytes blob = db_col_bytes(stmt, 0);

		err = buf_append(ret_blob, blob.data, blob.len);
	}
	db_done(db, DB_GET_BAG, stmt);
	return err;
}

static enum chat_err
sqlite_put_bag(struct storage *st, struct bytes blob, uint64_t version)
{
	struct db *db = &storage_sqlite_of(st)->db;
	sqlite3_stmt *stmt;
	enum chat_err err = db_stmt(db, DB_PUT_BAG, &stmt);

	if (err)
		return err;
	db_bind_u64(stmt, 1, version);
	db_bind_bytes(stmt, 2, blob);
	return db_run(db, DB_PUT_BAG, stmt);
}

static void
sqlite_get_device(struct storage *st, struct device_id *ret)
{
	struct storage_sqlite *s = storage_sqlite_of(st);

	assert(s->slot.lock_fd >= 0);
	*ret = s->slot.device;
}

static enum chat_err
sqlite_renew_device(struct storage *st, struct device_id *ret)
{
	struct storage_sqlite *s = storage_sqlite_of(st);
	enum chat_err err;

	assert(s->slot.lock_fd >= 0);
	err = slot_renew_device(&s->slot, &s->db);
	if (!err)
		*ret = s->slot.device;
	return err;
}

static const struct storage_ops sqlite_ops = {
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .get_identity = sqlite_get_identity,
    .put_identity = sqlite_put_identity,
    .get_bag = sqlite_get_bag,
    .put_bag = sqlite_put_bag,
    .get_device = sqlite_get_device,
    .renew_device = sqlite_renew_device,
    .each_room = sqlite_each_room,
    .put_room = sqlite_put_room,
    .remove_room = sqlite_remove_room,
    .put_entry = sqlite_put_entry,
    .each_entry = sqlite_each_entry,
    .each_event = sqlite_each_event,
    .put_counter = sqlite_put_counter,
    .each_counter = sqlite_each_counter,
    .put_wrap = sqlite_put_wrap,
    .each_wrap = sqlite_each_wrap,
    .add_outbox = sqlite_add_outbox,
    .seal_outbox = sqlite_seal_outbox,
    .remove_outbox = sqlite_remove_outbox,
    .each_outbox = sqlite_each_outbox,
    .put_invite = sqlite_put_invite,
    .remove_invite = sqlite_remove_invite,
    .each_invite = sqlite_each_invite,
};

/* ---- opening ---- */

enum chat_err
storage_sqlite_open(const char *dir, enum storage_use use, struct storage **ret, char **ret_text)
{
	struct storage_sqlite *s = calloc(1, sizeof(*s));
	bool opened = false;
	char *path = NULL;
	enum chat_err err;
	int lock_fd = -1;

	if (!s)
		return CHAT_ERR_NOMEM;
	s->base.ops = &sqlite_ops;
	s->slot.lock_fd = -1;
	err = state_dir_file(dir, DATABASE_FILE, &path);
	if (err)
		goto out;
	err = slot_lock_file(dir, OPEN_LOCK, BUSY_WAIT_MS, &lock_fd);
	if (err) {
		text_set(ret_text, "%s/%s: %s", dir, OPEN_LOCK,
		    err == CHAT_ERR_IO ? strerror(errno) : chat_strerror(err));
		goto out;
	}
	err = db_open(&s->db, path, BUSY_WAIT_MS);
	if (!err) {
		opened = true;
		if (use == STORAGE_SLOT)
			err = slot_take(&s->db, dir, &s->slot);
	}
	if (err) {
		text_set(ret_text, "%s", *s->db.error ? s->db.error : chat_strerror(err));
		goto out;
	}
	*ret = &s->base;
	s = NULL;
out:
	if (lock_fd >= 0)
		(void)close(lock_fd);
	free(path);
	if (s && opened)
		db_close(&s->db);
	free(s);
	return err;
}

void
storage_sqlite_close(struct storage *st)
{
	struct storage_sqlite *s = storage_sqlite_of(st);

	if (!s)
		return;
	db_rollback(&s->db);
	db_close(&s->db); /* before the slot is free for others */
	slot_leave(&s->slot);
	free(s);
}

const char *
storage_sqlite_error(const struct storage *st)
{
	const struct storage_sqlite *s = (const struct storage_sqlite *)(const void *)st;

	return s->db.error;
}
