/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The SQLite store as one of the kinds behind store.h: the commit, and the table of functions. */

#include "store/store_sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_backup.h"
#include "store/sqlite_open.h"
#include "store/sqlite_read.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_write.h"

static struct store_sqlite *
of(struct store *store)
{
	return (struct store_sqlite *)(void *)store;
}

static struct store_sqlite_reader *
of_reader(struct store_reader *reader)
{
	return (struct store_sqlite_reader *)(void *)reader;
}

/* ---- writing ---- */

static void
ops_reset(struct store_batch *batch)
{
	for (size_t i = 0; i < store_batch_count(batch); i++)
		store_batch_op(batch, i)->result = (struct store_result){.outcome = STORE_FAILED};
}

static enum chat_err
commit(struct store *store, struct store_batch *batch)
{
	struct store_sqlite *s = of(store);
	struct sq_conn *conn = &s->conn;
	enum chat_err err;

	ops_reset(batch);
	err = sq_run(conn, conn->stmts[SQ_BEGIN_WRITE]);
	for (size_t i = 0; !err && i < store_batch_count(batch); i++)
		err = sq_apply(&s->rooms, store_batch_op(batch, i));
	if (!err)
		err = sq_rooms_flush(&s->rooms);
	if (!err)
		err = sq_run(conn, conn->stmts[SQ_COMMIT]);
	s->failing = err != CHAT_OK;
	if (err) {
		/* A failed COMMIT, or an error such as a full disk, may or may not have ended the
		 * transaction. */
		sq_read_leave(conn, true);
		sq_rooms_forget(&s->rooms);
		ops_reset(batch);
		s->failed_commits++;
	}
	return err;
}

static enum chat_err
adopt_backup(struct store *store)
{
	enum chat_err err = schema_adopt_backup(&of(store)->conn);

	if (!err)
		store->is_backup = false;
	return err;
}

static void
maintain(struct store *store)
{
	sq_checkpoint_step(&of(store)->checkpoint, &of(store)->conn);
}

static bool
is_congested(const struct store *store)
{
	return sq_checkpoint_congested(&((const struct store_sqlite *)(const void *)store)->checkpoint);
}

static enum chat_err
vacuum_step(struct store *store, uint32_t max_pages, uint64_t *ret_left)
{
	struct sq_conn *conn = &of(store)->conn;
	char sql[64];
	enum chat_err err;

	(void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%u)", max_pages);
	err = sq_exec(conn, sql);
	return err ? err : sq_query_u64(conn, "PRAGMA freelist_count", ret_left);
}

static enum chat_err
status(struct store *store, struct store_status *ret)
{
	struct store_sqlite *s = of(store);
	struct store_status status = {
	    .wal_bytes = s->checkpoint.wal_bytes, .failed_commits = s->failed_commits, .failing = s->failing};
	uint64_t pages = 0, page_size = 0, free_pages = 0;
	enum chat_err err =
	    sq_query_u64(&s->conn, "SELECT ifnull(max(room_no), 0) FROM rooms", &status.rooms);

	if (!err)
		err = sq_query_u64(&s->conn, "SELECT ifnull(max(entry_id), 0) FROM entries", &status.entries);
	if (!err)
		err = sq_query_u64(&s->conn, "PRAGMA page_count", &pages);
	if (!err)
		err = sq_query_u64(&s->conn, "PRAGMA page_size", &page_size);
	if (!err)
		err = sq_query_u64(&s->conn, "PRAGMA freelist_count", &free_pages);
	if (err)
		return err;
	status.database_bytes = pages * page_size;
	status.free_bytes = free_pages * page_size;
	*ret = status;
	return CHAT_OK;
}

/* ---- lookups ---- */

static enum chat_err
account_by_name(struct store *store, struct bytes account, struct store_account *ret)
{
	return sq_account_by_name(&of(store)->conn, account, ret);
}

static enum chat_err
account_by_member(struct store *store, const struct digest *member_id, struct store_account *ret)
{
	return sq_account_by_member(&of(store)->conn, member_id, ret);
}

static enum chat_err
accounts_each(struct store *store, store_account_fn fn, void *ctx)
{
	return sq_accounts_each(&of(store)->conn, fn, ctx);
}

static enum chat_err
room_by_id(struct store *store, const struct digest *room_id, struct store_room *ret)
{
	struct sq_room room;
	enum chat_err err = sq_room_by_id(&of(store)->conn, room_id, &room);

	if (!err)
		*ret = sq_room_public(&room);
	return err;
}

static enum chat_err
rooms_each(struct store *store, uint64_t from_no, store_room_fn fn, void *ctx)
{
	return sq_rooms_each(&of(store)->conn, from_no, fn, ctx);
}

static enum chat_err
member_rooms_each(struct store *store, const struct digest *member_id, store_member_room_fn fn, void *ctx)
{
	return sq_member_rooms_each(&of(store)->conn, member_id, fn, ctx);
}

static enum chat_err
events_each(struct store *store, uint64_t room_no, store_entry_fn fn, void *ctx)
{
	return sq_events(&of(store)->conn, room_no, 1, fn, ctx);
}

static enum chat_err
counters_each(struct store *store, uint64_t room_no, store_counter_fn fn, void *ctx)
{
	return sq_counters_each(&of(store)->conn, room_no, fn, ctx);
}

static enum chat_err
log_hash(struct store *store, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	return sq_log_hash(&of(store)->conn, room_no, seq, ret);
}

static enum chat_err
seq_at_time(struct store *store, uint64_t room_no, uint64_t unix_ms, uint64_t *ret)
{
	return sq_seq_at_time(&of(store)->conn, room_no, unix_ms, ret);
}

/* ---- readers ---- */

static enum chat_err
reader_begin(struct store_reader *reader)
{
	struct sq_conn *conn = &of_reader(reader)->conn;

	return sq_run(conn, conn->stmts[SQ_BEGIN]);
}

static void
reader_end(struct store_reader *reader)
{
	sq_read_leave(&of_reader(reader)->conn, true);
}

static enum chat_err
reader_room(struct store_reader *reader, const struct digest *room_id, struct store_room *ret)
{
	struct sq_room room;
	enum chat_err err = sq_room_by_id(&of_reader(reader)->conn, room_id, &room);

	if (!err)
		*ret = sq_room_public(&room);
	return err;
}

static enum chat_err
reader_range(struct store_reader *reader, uint64_t room_no, uint64_t from_seq, uint64_t to_seq, bool stubs,
    store_entry_fn fn, void *ctx)
{
	return sq_range(&of_reader(reader)->conn, room_no, from_seq, to_seq, stubs, fn, ctx);
}

static enum chat_err
reader_back(struct store_reader *reader, uint64_t room_no, uint64_t before_seq, store_entry_fn fn, void *ctx)
{
	return sq_back(&of_reader(reader)->conn, room_no, before_seq, fn, ctx);
}

static enum chat_err
reader_events(struct store_reader *reader, uint64_t room_no, uint64_t from_seq, store_entry_fn fn, void *ctx)
{
	return sq_events(&of_reader(reader)->conn, room_no, from_seq, fn, ctx);
}

static enum chat_err
reader_log_hash(struct store_reader *reader, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	return sq_log_hash(&of_reader(reader)->conn, room_no, seq, ret);
}

static enum chat_err
reader_preimage(struct store_reader *reader, uint64_t room_no, uint64_t seq, struct log_preimage *ret)
{
	return sq_preimage(&of_reader(reader)->conn, room_no, seq, ret);
}

static enum chat_err
reader_wraps(struct store_reader *reader, uint64_t room_no, const struct digest *member_id,
    const struct digest *epoch_ids, uint32_t epoch_count, store_wraps_fn fn, void *ctx)
{
	return sq_wraps(&of_reader(reader)->conn, room_no, member_id, epoch_ids, epoch_count, fn, ctx);
}

static enum chat_err
reader_backup(struct store_reader *reader, const char *path)
{
	return sq_backup(&of_reader(reader)->conn, path);
}

static enum chat_err
reader_check(struct store_reader *reader, const struct store_check_options *options, struct buf *report)
{
	return sq_check(&of_reader(reader)->conn, options, report);
}

const struct store_ops store_sqlite_ops = {
    .close = store_sqlite_close,
    .adopt_backup = adopt_backup,
    .commit = commit,
    .maintain = maintain,
    .is_congested = is_congested,
    .vacuum_step = vacuum_step,
    .status = status,
    .account_by_name = account_by_name,
    .account_by_member = account_by_member,
    .accounts_each = accounts_each,
    .room_by_id = room_by_id,
    .rooms_each = rooms_each,
    .member_rooms_each = member_rooms_each,
    .events_each = events_each,
    .counters_each = counters_each,
    .log_hash = log_hash,
    .seq_at_time = seq_at_time,
    .reader_open = store_sqlite_reader_open,
    .reader_close = store_sqlite_reader_close,
    .reader_begin = reader_begin,
    .reader_end = reader_end,
    .reader_room = reader_room,
    .reader_range = reader_range,
    .reader_back = reader_back,
    .reader_events = reader_events,
    .reader_log_hash = reader_log_hash,
    .reader_preimage = reader_preimage,
    .reader_wraps = reader_wraps,
    .reader_backup = reader_backup,
    .reader_check = reader_check,
};
