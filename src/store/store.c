/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Passes each call on to the kind of store that was opened. */

#include "store/store.h"

#include "store/store_ops.h"
#include "store/store_sqlite.h"

enum chat_err
store_open(const char *path, const struct store_options *options, struct store **ret,
    char error[static STORE_ERROR_BYTES])
{
	return store_sqlite_open(path, options, ret, error);
}

void
store_close(struct store *store)
{
	if (store)
		store->ops->close(store);
}

const struct realm *
store_realm(const struct store *store)
{
	return &store->realm;
}

bool
store_is_backup(const struct store *store)
{
	return store->is_backup;
}

enum chat_err
store_adopt_backup(struct store *store)
{
	return store->ops->adopt_backup(store);
}

const char *
store_error(const struct store *store)
{
	return store->error;
}

enum chat_err
store_commit(struct store *store, struct store_batch *batch)
{
	if (store_batch_count(batch) == 0)
		return CHAT_OK;
	return store->ops->commit(store, batch);
}

void
store_maintain(struct store *store)
{
	store->ops->maintain(store);
}

bool
store_is_congested(const struct store *store)
{
	return store->ops->is_congested(store);
}

enum chat_err
store_vacuum_step(struct store *store, uint32_t max_pages, uint64_t *ret_left)
{
	return store->ops->vacuum_step(store, max_pages, ret_left);
}

enum chat_err
store_status(struct store *store, struct store_status *ret)
{
	return store->ops->status(store, ret);
}

enum chat_err
store_account_by_name(struct store *store, struct bytes account, struct store_account *ret)
{
	return store->ops->account_by_name(store, account, ret);
}

enum chat_err
store_account_by_member(struct store *store, const struct digest *member_id, struct store_account *ret)
{
	return store->ops->account_by_member(store, member_id, ret);
}

enum chat_err
store_accounts_each(struct store *store, store_account_fn fn, void *ctx)
{
	return store->ops->accounts_each(store, fn, ctx);
}

enum chat_err
store_room_by_id(struct store *store, const struct digest *room_id, struct store_room *ret)
{
	return store->ops->room_by_id(store, room_id, ret);
}

enum chat_err
store_rooms_each(struct store *store, uint64_t from_no, store_room_fn fn, void *ctx)
{
	return store->ops->rooms_each(store, from_no, fn, ctx);
}

enum chat_err
store_member_rooms_each(
    struct store *store, const struct digest *member_id, store_member_room_fn fn, void *ctx)
{
	return store->ops->member_rooms_each(store, member_id, fn, ctx);
}

enum chat_err
store_events_each(struct store *store, uint64_t room_no, store_entry_fn fn, void *ctx)
{
	return store->ops->events_each(store, room_no, fn, ctx);
}

enum chat_err
store_counters_each(struct store *store, uint64_t room_no, store_counter_fn fn, void *ctx)
{
	return store->ops->counters_each(store, room_no, fn, ctx);
}

enum chat_err
store_log_hash(struct store *store, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	return store->ops->log_hash(store, room_no, seq, ret);
}

enum chat_err
store_seq_at_time(struct store *store, uint64_t room_no, uint64_t unix_ms, uint64_t *ret)
{
	return store->ops->seq_at_time(store, room_no, unix_ms, ret);
}

enum chat_err
store_reader_open(struct store *store, struct store_reader **ret)
{
	return store->ops->reader_open(store, ret);
}

void
store_reader_close(struct store_reader *reader)
{
	if (reader)
		reader->ops->reader_close(reader);
}

const char *
store_reader_error(const struct store_reader *reader)
{
	return reader->error;
}

enum chat_err
store_reader_begin(struct store_reader *reader)
{
	return reader->ops->reader_begin(reader);
}

void
store_reader_end(struct store_reader *reader)
{
	reader->ops->reader_end(reader);
}

enum chat_err
store_reader_room(struct store_reader *reader, const struct digest *room_id, struct store_room *ret)
{
	return reader->ops->reader_room(reader, room_id, ret);
}

enum chat_err
store_reader_range(struct store_reader *reader, uint64_t room_no, uint64_t from_seq, uint64_t to_seq,
    store_entry_fn fn, void *ctx)
{
	return reader->ops->reader_range(reader, room_no, from_seq, to_seq, false, fn, ctx);
}

enum chat_err
store_reader_stubs(struct store_reader *reader, uint64_t room_no, uint64_t from_seq, uint64_t to_seq,
    store_entry_fn fn, void *ctx)
{
	return reader->ops->reader_range(reader, room_no, from_seq, to_seq, true, fn, ctx);
}

enum chat_err
store_reader_back(
    struct store_reader *reader, uint64_t room_no, uint64_t before_seq, store_entry_fn fn, void *ctx)
{
	return reader->ops->reader_back(reader, room_no, before_seq, fn, ctx);
}

enum chat_err
store_reader_events(
    struct store_reader *reader, uint64_t room_no, uint64_t from_seq, store_entry_fn fn, void *ctx)
{
	return reader->ops->reader_events(reader, room_no, from_seq, fn, ctx);
}

enum chat_err
store_reader_log_hash(struct store_reader *reader, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	return reader->ops->reader_log_hash(reader, room_no, seq, ret);
}

enum chat_err
store_reader_preimage(struct store_reader *reader, uint64_t room_no, uint64_t seq, struct log_preimage *ret)
{
	return reader->ops->reader_preimage(reader, room_no, seq, ret);
}

enum chat_err
store_reader_wraps(struct store_reader *reader, uint64_t room_no, const struct digest *member_id,
    const struct digest *epoch_ids, uint32_t epoch_count, store_wraps_fn fn, void *ctx)
{
	return reader->ops->reader_wraps(reader, room_no, member_id, epoch_ids, epoch_count, fn, ctx);
}

enum chat_err
store_reader_backup(struct store_reader *reader, const char *path)
{
	return reader->ops->reader_backup(reader, path);
}

enum chat_err
store_reader_check(struct store_reader *reader, const struct store_check_options *options, struct buf *report)
{
	return reader->ops->reader_check(reader, options, report);
}

enum chat_err
store_check(const char *path, const struct store_options *options, const struct store_check_options *check,
    struct buf *report)
{
	return store_sqlite_check(path, options, check, report);
}
