/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_STORE_OPS_H
#define STORE_STORE_OPS_H

/*
 * What a kind of store provides behind store.h: one table of functions, and the two structs that its own
 * begin with. Each function keeps the contract of the one in store.h with its name.
 *
 * Threads: as store.h.
 */

#include "store/store.h"

struct store_ops {
	void (*close)(struct store *store);
	enum chat_err (*adopt_backup)(struct store *store);
	enum chat_err (*commit)(struct store *store, struct store_batch *batch);
	void (*maintain)(struct store *store);
	bool (*is_congested)(const struct store *store);
	enum chat_err (*vacuum_step)(struct store *store, uint32_t max_pages, uint64_t *ret_left);
	enum chat_err (*status)(struct store *store, struct store_status *ret);

	enum chat_err (*account_by_name)(
	    struct store *store, struct bytes account, struct store_account *ret);
	enum chat_err (*account_by_member)(
	    struct store *store, const struct digest *member_id, struct store_account *ret);
	enum chat_err (*accounts_each)(struct store *store, store_account_fn fn, void *ctx);
	enum chat_err (*room_by_id)(
	    struct store *store, const struct digest *room_id, struct store_room *ret);
	enum chat_err (*rooms_each)(struct store *store, uint64_t from_no, store_room_fn fn, void *ctx);
	enum chat_err (*member_rooms_each)(
	    struct store *store, const struct digest *member_id, store_member_room_fn fn, void *ctx);
	enum chat_err (*events_each)(struct store *store, uint64_t room_no, store_entry_fn fn, void *ctx);
	enum chat_err (*counters_each)(struct store *store, uint64_t room_no, store_counter_fn fn, void *ctx);
	enum chat_err (*log_hash)(struct store *store, uint64_t room_no, uint64_t seq, struct digest *ret);
	enum chat_err (*seq_at_time)(struct store *store, uint64_t room_no, uint64_t unix_ms, uint64_t *ret);

	enum chat_err (*reader_open)(struct store *store, struct store_reader **ret);
	void (*reader_close)(struct store_reader *reader);
	enum chat_err (*reader_begin)(struct store_reader *reader);
	void (*reader_end)(struct store_reader *reader);
	enum chat_err (*reader_room)(
	    struct store_reader *reader, const struct digest *room_id, struct store_room *ret);
	enum chat_err (*reader_range)(struct store_reader *reader, uint64_t room_no, uint64_t from_seq,
	    uint64_t to_seq, bool stubs, store_entry_fn fn, void *ctx);
	enum chat_err (*reader_back)(
	    struct store_reader *reader, uint64_t room_no, uint64_t before_seq, store_entry_fn fn, void *ctx);
	enum chat_err (*reader_events)(
	    struct store_reader *reader, uint64_t room_no, uint64_t from_seq, store_entry_fn fn, void *ctx);
	enum chat_err (*reader_log_hash)(
	    struct store_reader *reader, uint64_t room_no, uint64_t seq, struct digest *ret);
	enum chat_err (*reader_preimage)(
	    struct store_reader *reader, uint64_t room_no, uint64_t seq, struct log_preimage *ret);
	enum chat_err (*reader_wraps)(struct store_reader *reader, uint64_t room_no,
	    const struct digest *member_id, const struct digest *epoch_ids, uint32_t epoch_count,
	    store_wraps_fn fn, void *ctx);
	enum chat_err (*reader_backup)(struct store_reader *reader, const char *path);
	enum chat_err (*reader_check)(
	    struct store_reader *reader, const struct store_check_options *options, struct buf *report);
};

/* The first member of a store of any kind. */
struct store {
	const struct store_ops *ops;
	struct realm realm;
	bool is_backup;
	char error[STORE_ERROR_BYTES];
};

/* The first member of its readers. */
struct store_reader {
	const struct store_ops *ops;
	char error[STORE_ERROR_BYTES];
};

#endif
