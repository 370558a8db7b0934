/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_WRITE_H
#define STORE_SQLITE_WRITE_H

/*
 * The operations of a batch, one by one, inside the transaction that the caller has begun.  Each looks before
 * it writes, so that one which ends in a conflict has written nothing; an error here is the whole
 * transaction's.
 *
 * Threads: the writer's.
 */

#include "store/sqlite_rooms.h"

/* Fills op->result. */
enum chat_err sq_apply(struct sq_rooms *rooms, struct store_op *op) MUST_USE;

/* Operations on accounts, and the two lookups; the lookups use the connection's scratch buffer. */
enum chat_err sq_apply_account(struct sq_conn *conn, struct store_op *op) MUST_USE;
enum chat_err
sq_account_by_name(struct sq_conn *conn, struct bytes account, struct store_account *ret) MUST_USE;
enum chat_err sq_account_by_member(
    struct sq_conn *conn, const struct digest *member_id, struct store_account *ret) MUST_USE;
enum chat_err sq_accounts_each(struct sq_conn *conn, store_account_fn fn, void *ctx) MUST_USE;

/* STORE_STRIP. */
enum chat_err sq_apply_strip(struct sq_rooms *rooms, struct store_op *op) MUST_USE;

#endif
