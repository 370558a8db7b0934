/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts: the part of sqlite_write.h about them. */

#include <string.h>

#include "store/sqlite_write.h"

/* Columns of SQ_ACCOUNT_BY_*. */
enum {
	COL_ACCOUNT,
	COL_ACCOUNT_ID,
	COL_RETIRED,
	COL_MEMBER,
	COL_CARD_HASH,
	COL_PROOF,
	COL_BAG_VERSION,
	COL_CARD,
	COL_BAG,
	COL_RECOVERY
};

static const int byte_columns[] = {COL_ACCOUNT, COL_ACCOUNT_ID, COL_CARD, COL_BAG, COL_RECOVERY};

/* Copies the row's byte strings into the scratch buffer, so that no statement stays open. */
static enum chat_err
account_row(struct sq_conn *conn, sqlite3_stmt *st, struct store_account *ret)
{
	struct store_account account = {0};
	struct bytes *const targets[ARRAY_LEN(byte_columns)] = {
	    &account.account, &account.account_id, &account.card, &account.bag, &account.recovery};
	const uint8_t *data;
	size_t total = 0;
	enum chat_err err;

	account.retired = sq_col_u64(st, COL_RETIRED) != 0;
	account.bag_version = sq_col_u64(st, COL_BAG_VERSION);
	if (!sq_col_digest(st, COL_MEMBER, &account.member_id) ||
	    !sq_col_digest(st, COL_CARD_HASH, &account.card_hash) ||
	    !sq_col_digest(st, COL_PROOF, &account.proof))
		return sq_corrupt(conn, "the row of an account");

	buf_clear(&conn->scratch);
	for (size_t i = 0; i < ARRAY_LEN(byte_columns); i++) {
		struct bytes b = sq_col_bytes(st, byte_columns[i]);

		targets[i]->len = b.len;
		total += b.len;
	}
	err = buf_reserve(&conn->scratch, total);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_LEN(byte_columns); i++) {
		err = buf_append(&conn->scratch, sq_col_bytes(st, byte_columns[i]).data, targets[i]->len);
		if (err)
			return err;
	}
	data = conn->scratch.data;
	for (size_t i = 0; i < ARRAY_LEN(byte_columns); i++) {
		targets[i]->data = data;
		data += targets[i]->len;
	}
	*ret = account;
	return CHAT_OK;
}

static enum chat_err
account_by(struct sq_conn *conn, sqlite3_stmt *st, struct store_account *ret)
{
	bool row;
	enum chat_err err = sq_next(conn, st, &row);

	if (err)
		return err;
	err = row ? account_row(conn, st, ret) : CHAT_ERR_NOT_FOUND;
	sq_done(st);
	return err;
}

enum chat_err
sq_account_by_name(struct sq_conn *conn, struct bytes account, struct store_account *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_ACCOUNT_BY_NAME];

	sq_bind_text(st, 1, account);
	return account_by(conn, st, ret);
}

enum chat_err
sq_account_by_member(struct sq_conn *conn, const struct digest *member_id, struct store_account *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_ACCOUNT_BY_MEMBER];

	sq_bind_digest(st, 1, member_id);
	return account_by(conn, st, ret);
}

enum chat_err
sq_accounts_each(struct sq_conn *conn, store_account_fn fn, void *ctx)
{
	sqlite3_stmt *st = conn->stmts[SQ_ACCOUNTS];

	for (;;) {
		struct digest member_id;
		bool row;
		enum chat_err err = sq_next(conn, st, &row);

		if (err)
			return err;
		if (row && !sq_col_digest(st, 2, &member_id))
			err = sq_corrupt(conn, "the row of an account");
		if (err || !row || !fn(ctx, sq_col_bytes(st, 0), sq_col_bytes(st, 1), &member_id)) {
			sq_done(st);
			return err;
		}
	}
}

/* ---- operations ---- */

/* Runs it; what the look before it found stays true, for there is one writer. */
static enum chat_err
store_it(struct sq_conn *conn, sqlite3_stmt *st, struct store_result *result)
{
	enum chat_err err = sq_run(conn, st);

	if (!err)
		result->outcome = STORE_STORED;
	return err;
}

static enum chat_err
apply_put_identity(struct sq_conn *conn, const struct store_put_identity *put, struct store_result *result)
{
	sqlite3_stmt *st = conn->stmts[SQ_ADD_ACCOUNT];
	struct store_account there;
	enum chat_err err = sq_account_by_name(conn, put->account, &there);

	if (err == CHAT_ERR_NOT_FOUND)
		err = sq_account_by_member(conn, &put->member_id, &there);
	if (!err) {
		result->current = there.member_id;
		result->outcome = !there.retired && bytes_equal(there.account, put->account) &&
					  digest_equal(&there.card_hash, &put->card_hash)
				      ? STORE_ALREADY
				      : STORE_CONFLICT;
		return CHAT_OK;
	}
	if (err != CHAT_ERR_NOT_FOUND)
		return err;
	sq_bind_text(st, 1, put->account);
	sq_bind_text(st, 2, put->account_id);
	sq_bind_digest(st, 3, &put->member_id);
	sq_bind_digest(st, 4, &put->card_hash);
	sq_bind_digest(st, 5, &put->proof);
	sq_bind_u64(st, 6, put->bag_version);
	sq_bind_bytes(st, 7, put->card);
	sq_bind_bytes(st, 8, put->bag);
	sq_bind_bytes(st, 9, put->recovery);
	return store_it(conn, st, result);
}

static enum chat_err
apply_put_bag(struct sq_conn *conn, const struct store_put_bag *put, const struct store_account *there,
    struct store_result *result)
{
	sqlite3_stmt *st = conn->stmts[SQ_SET_BAG];
	enum chat_err err;

	result->version = there->bag_version;
	if (there->bag_version == put->version && bytes_equal(there->bag, put->bag)) {
		result->outcome = STORE_ALREADY;
		return CHAT_OK;
	}
	if (there->bag_version != put->expected_version) {
		result->outcome = STORE_CONFLICT;
		return CHAT_OK;
	}
	sq_bind_text(st, 1, put->account);
	sq_bind_u64(st, 2, put->version);
	sq_bind_bytes(st, 3, put->bag);
	err = store_it(conn, st, result);
	if (!err)
		result->version = put->version;
	return err;
}

static enum chat_err
apply_put_card(struct sq_conn *conn, const struct store_put_card *put, const struct store_account *there,
    struct store_result *result)
{
	sqlite3_stmt *st = conn->stmts[SQ_SET_CARD];
	enum chat_err err;

	result->current = there->card_hash;
	if (digest_equal(&there->card_hash, &put->card_hash)) {
		result->outcome = STORE_ALREADY;
		return CHAT_OK;
	}
	if (!digest_equal(&there->card_hash, &put->expected_hash)) {
		result->outcome = STORE_CONFLICT;
		return CHAT_OK;
	}
	sq_bind_text(st, 1, put->account);
	sq_bind_digest(st, 2, &put->card_hash);
	sq_bind_bytes(st, 3, put->card);
	err = store_it(conn, st, result);
	if (!err)
		result->current = put->card_hash;
	return err;
}

static struct bytes
account_of(const struct store_op *op)
{
	switch (op->type) {
	case STORE_PUT_BAG:
		return op->put_bag.account;
	case STORE_PUT_CARD:
		return op->put_card.account;
	case STORE_PUT_RECOVERY:
		return op->put_recovery.account;
	case STORE_SET_PROOF:
		return op->set_proof.account;
	case STORE_RETIRE_ACCOUNT:
		return op->retire_account.account;
	case STORE_PUT_IDENTITY:
	case STORE_APPEND:
	case STORE_PUT_WRAP:
	case STORE_PUT_REWRAP:
	case STORE_SET_CURSOR:
	case STORE_STRIP:
	case STORE_OP_TYPE_COUNT:
		break;
	}
	return BYTES_EMPTY;
}

enum chat_err
sq_apply_account(struct sq_conn *conn, struct store_op *op)
{
	struct bytes name = account_of(op);
	struct store_account there;
	sqlite3_stmt *st;
	enum chat_err err;

	if (op->type == STORE_PUT_IDENTITY)
		return apply_put_identity(conn, &op->put_identity, &op->result);
	err = sq_account_by_name(conn, name, &there);
	if (err == CHAT_ERR_NOT_FOUND) {
		op->result.outcome = STORE_CONFLICT;
		return CHAT_OK;
	}
	if (err)
		return err;
	if (op->type == STORE_PUT_BAG)
		return apply_put_bag(conn, &op->put_bag, &there, &op->result);
	if (op->type == STORE_PUT_CARD)
		return apply_put_card(conn, &op->put_card, &there, &op->result);

	if (op->type == STORE_PUT_RECOVERY) {
		st = conn->stmts[SQ_SET_RECOVERY];
		sq_bind_bytes(st, 2, op->put_recovery.recovery);
	} else if (op->type == STORE_SET_PROOF) {
		st = conn->stmts[SQ_SET_PROOF];
		sq_bind_digest(st, 2, &op->set_proof.proof);
	} else {
		st = conn->stmts[SQ_RETIRE_ACCOUNT];
	}
	sq_bind_text(st, 1, name);
	return store_it(conn, st, &op->result);
}
