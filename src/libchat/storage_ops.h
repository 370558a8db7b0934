/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_STORAGE_OPS_H
#define LIBCHAT_STORAGE_OPS_H

/*
 * What the files of the storage in SQLite share: its struct, and the functions that its table names
 * (storage.h says what each does).  Nobody else includes it.
 */

#include "libchat/storage.h"
#include "libchat/storage_db.h"
#include "libchat/storage_slot.h"

struct storage_sqlite {
	struct storage base; /* first */
	struct db db;
	struct slot slot; /* lock_fd -1: none */
};

static inline struct storage_sqlite *
storage_sqlite_of(struct storage *st)
{
	return (struct storage_sqlite *)(void *)st;
}

/* storage_sqlite_room.c */
enum chat_err sqlite_each_room(struct storage *st, storage_room_fn fn, void *ctx) MUST_USE;
enum chat_err sqlite_put_room(struct storage *st, const struct stored_room *room) MUST_USE;
enum chat_err sqlite_remove_room(struct storage *st, const struct digest *room_id) MUST_USE;
enum chat_err
sqlite_put_entry(struct storage *st, const struct digest *room_id, const struct stored_entry *entry) MUST_USE;
enum chat_err sqlite_each_entry(struct storage *st, const struct digest *room_id, uint64_t from_seq,
    uint64_t to_seq, storage_entry_fn fn, void *ctx) MUST_USE;
enum chat_err
sqlite_each_event(struct storage *st, const struct digest *room_id, storage_entry_fn fn, void *ctx) MUST_USE;
enum chat_err sqlite_put_counter(
    struct storage *st, const struct digest *room_id, const struct stored_counter *counter) MUST_USE;
enum chat_err sqlite_each_counter(
    struct storage *st, const struct digest *room_id, storage_counter_fn fn, void *ctx) MUST_USE;
enum chat_err
sqlite_put_wrap(struct storage *st, const struct digest *room_id, const struct stored_wrap *wrap) MUST_USE;
enum chat_err sqlite_each_wrap(struct storage *st, const struct digest *room_id,
    const struct digest *epoch_id, storage_wrap_fn fn, void *ctx) MUST_USE;

/* storage_sqlite_outbox.c */
enum chat_err sqlite_add_outbox(
    struct storage *st, const struct digest *room_id, struct bytes sealed_text, uint64_t *ret_id) MUST_USE;
enum chat_err
sqlite_seal_outbox(struct storage *st, uint64_t id, uint64_t counter, struct bytes wire) MUST_USE;
enum chat_err sqlite_remove_outbox(struct storage *st, uint64_t id) MUST_USE;
enum chat_err sqlite_each_outbox(struct storage *st, storage_outbox_fn fn, void *ctx) MUST_USE;
enum chat_err
sqlite_put_invite(struct storage *st, const struct digest *room_id, struct bytes account) MUST_USE;
enum chat_err
sqlite_remove_invite(struct storage *st, const struct digest *room_id, struct bytes account) MUST_USE;
enum chat_err sqlite_each_invite(struct storage *st, storage_invite_fn fn, void *ctx) MUST_USE;

#endif
