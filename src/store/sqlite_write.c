/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_write.h"

#include "store/sqlite_read.h"

/* The room, or a conflict. */
static enum chat_err
room_or_conflict(
    struct sq_rooms *rooms, const struct digest *room_id, struct store_result *result, struct sq_tail **ret)
{
	enum chat_err err = sq_rooms_find(rooms, room_id, ret);

	if (err == CHAT_ERR_NOT_FOUND) {
		*ret = NULL;
		result->outcome = STORE_CONFLICT;
		return CHAT_OK;
	}
	if (!err)
		result->room_no = (*ret)->room_no;
	return err;
}

/* 0: the room has no such epoch. */
static enum chat_err
epoch_no_of(struct sq_conn *conn, uint64_t room_no, const struct digest *epoch_id, uint64_t *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_EPOCH_NO];
	bool row;
	enum chat_err err;

	sq_bind_digest(st, 1, epoch_id);
	sq_bind_u64(st, 2, room_no);
	err = sq_next(conn, st, &row);
	if (err)
		return err;
	*ret = row ? sq_col_u64(st, 0) : 0;
	sq_done(st);
	return CHAT_OK;
}

static enum chat_err
epoch_or_conflict(struct sq_rooms *rooms, const struct digest *room_id, const struct digest *epoch_id,
    struct store_result *result, uint64_t *ret)
{
	struct sq_tail *tail;
	enum chat_err err = room_or_conflict(rooms, room_id, result, &tail);

	*ret = 0;
	if (!err && tail)
		err = epoch_no_of(rooms->conn, tail->room_no, epoch_id, ret);
	if (!err && *ret == 0)
		result->outcome = STORE_CONFLICT;
	return err;
}

/* ---- append ---- */

static enum chat_err
put_counters(struct sq_conn *conn, uint64_t room_no, const struct store_append *append)
{
	sqlite3_stmt *st = conn->stmts[SQ_PUT_COUNTER];

	for (uint32_t i = 0; i < append->counter_count; i++) {
		const struct store_counter *counter = &append->counters[i];
		enum chat_err err;

		sq_bind_u64(st, 1, room_no);
		sq_bind_digest(st, 2, &counter->sender);
		sq_bind_bytes(st, 3, BYTES_ARRAY(counter->device.b));
		sq_bind_u64(st, 4, counter->last);
		err = sq_run(conn, st);
		if (err)
			return err;
	}
	return CHAT_OK;
}

static enum chat_err
put_stays(struct sq_conn *conn, uint64_t room_no, const struct store_append *append)
{
	for (uint32_t i = 0; i < append->stay_count; i++) {
		const struct store_stay_change *change = &append->stays[i];
		bool ended = change->stay == STORE_OUT;
		sqlite3_stmt *st = conn->stmts[ended ? SQ_END_STAY : SQ_PUT_STAY];
		enum chat_err err;

		sq_bind_digest(st, 1, &change->member_id);
		sq_bind_u64(st, 2, room_no);
		if (!ended) {
			sq_bind_u64(st, 3, change->stay);
			sq_bind_u64(st, 4, change->since_seq);
		}
		err = sq_run(conn, st);
		if (err)
			return err;
	}
	return CHAT_OK;
}

static enum chat_err
add_wrap(struct sq_conn *conn, uint64_t epoch_no, const struct store_wrap *wrap)
{
	sqlite3_stmt *st = conn->stmts[SQ_ADD_WRAP];

	sq_bind_u64(st, 1, epoch_no);
	sq_bind_digest(st, 2, &wrap->member_id);
	sq_bind_bytes(st, 3, BYTES(wrap->wrap, WRAP_BYTES));
	return sq_run(conn, st);
}

static enum chat_err
add_wraps(struct sq_conn *conn, uint64_t room_no, const struct store_append *append)
{
	const struct digest *epoch_id = NULL; /* that of epoch_no: they come in runs */
	uint64_t epoch_no = 0;

	for (uint32_t i = 0; i < append->wrap_count; i++) {
		const struct store_wrap *wrap = &append->wraps[i];
		enum chat_err err = CHAT_OK;

		if (!epoch_id || !digest_equal(epoch_id, &wrap->epoch_id)) {
			epoch_id = &wrap->epoch_id;
			err = epoch_no_of(conn, room_no, epoch_id, &epoch_no);
		}
		if (!err && epoch_no)
			err = add_wrap(conn, epoch_no, wrap);
		if (err)
			return err;
	}
	return CHAT_OK;
}

/* The tail to append to, or NULL with the outcome set. */
static enum chat_err
tail_to_append(struct sq_rooms *rooms, const struct store_append *append, struct store_result *result,
    struct sq_tail **ret)
{
	struct sq_tail *tail;
	enum chat_err err = sq_rooms_find(rooms, &append->room_id, &tail);

	if (err == CHAT_ERR_NOT_FOUND) {
		if (append->expected_seq == 0)
			return sq_rooms_add(rooms, &append->room_id, ret);
		result->outcome = STORE_CONFLICT;
		*ret = NULL;
		return CHAT_OK;
	}
	if (err)
		return err;
	result->room_no = tail->room_no;
	result->head = tail->head;
	*ret = NULL;
	if (append->expected_seq == 0)
		result->outcome = STORE_ALREADY;
	else if (append->expected_seq != tail->head.seq)
		result->outcome = STORE_CONFLICT;
	else
		*ret = tail;
	return CHAT_OK;
}

static enum chat_err
apply_append(struct sq_rooms *rooms, struct store_op *op)
{
	const struct store_append *append = &op->append;
	struct store_result *result = &op->result;
	struct sq_tail *tail;
	enum chat_err err = tail_to_append(rooms, append, result, &tail);

	if (err || !tail)
		return err;
	result->room_no = tail->room_no;
	result->first_seq = tail->head.seq + 1;
	for (uint32_t i = 0; i < append->entry_count; i++) {
		err = sq_rooms_append(rooms, tail, &append->entries[i]);
		if (err)
			return err;
	}
	result->head = tail->head;
	err = put_counters(rooms->conn, tail->room_no, append);
	if (!err)
		err = put_stays(rooms->conn, tail->room_no, append);
	if (!err)
		err = add_wraps(rooms->conn, tail->room_no, append);
	if (!err)
		result->outcome = STORE_STORED;
	return err;
}

/* ---- keys and cursors ---- */

static enum chat_err
apply_put_wrap(struct sq_rooms *rooms, struct store_op *op)
{
	const struct store_put_wrap *put = &op->put_wrap;
	uint64_t epoch_no;
	enum chat_err err =
	    epoch_or_conflict(rooms, &put->room_id, &put->wrap.epoch_id, &op->result, &epoch_no);

	if (err || !epoch_no)
		return err;
	err = add_wrap(rooms->conn, epoch_no, &put->wrap);
	if (!err)
		op->result.outcome = sqlite3_changes(rooms->conn->db) ? STORE_STORED : STORE_ALREADY;
	return err;
}

static enum chat_err
apply_put_rewrap(struct sq_rooms *rooms, struct store_op *op)
{
	const struct store_put_rewrap *put = &op->put_rewrap;
	struct sq_conn *conn = rooms->conn;
	sqlite3_stmt *st = conn->stmts[SQ_PUT_REWRAP];
	uint64_t epoch_no;
	enum chat_err err = epoch_or_conflict(rooms, &put->room_id, &put->epoch_id, &op->result, &epoch_no);

	if (err || !epoch_no)
		return err;
	sq_bind_u64(st, 1, epoch_no);
	sq_bind_digest(st, 2, &put->recipient);
	sq_bind_digest(st, 3, &put->wrapper);
	sq_bind_bytes(st, 4, BYTES(put->wire, REWRAP_BYTES));
	err = sq_run(conn, st);
	if (err)
		return err;
	st = conn->stmts[SQ_DROP_OLD_REWRAPS];
	sq_bind_u64(st, 1, epoch_no);
	sq_bind_digest(st, 2, &put->recipient);
	sq_bind_u64(st, 3, REWRAPS_KEPT);
	err = sq_run(conn, st);
	if (!err)
		op->result.outcome = STORE_STORED;
	return err;
}

static enum chat_err
apply_set_cursor(struct sq_rooms *rooms, struct store_op *op)
{
	const struct store_set_cursor *set = &op->set_cursor;
	sqlite3_stmt *st = rooms->conn->stmts[SQ_SET_CURSOR];
	struct sq_tail *tail;
	enum chat_err err = room_or_conflict(rooms, &set->room_id, &op->result, &tail);

	if (err || !tail)
		return err;
	sq_bind_digest(st, 1, &set->member_id);
	sq_bind_u64(st, 2, tail->room_no);
	sq_bind_u64(st, 3, set->seq);
	err = sq_run(rooms->conn, st);
	if (!err)
		op->result.outcome = sqlite3_changes(rooms->conn->db) ? STORE_STORED : STORE_CONFLICT;
	return err;
}

enum chat_err
sq_apply(struct sq_rooms *rooms, struct store_op *op)
{
	switch (op->type) {
	case STORE_APPEND:
		return apply_append(rooms, op);
	case STORE_PUT_IDENTITY:
	case STORE_PUT_BAG:
	case STORE_PUT_CARD:
	case STORE_PUT_RECOVERY:
	case STORE_SET_PROOF:
	case STORE_RETIRE_ACCOUNT:
		return sq_apply_account(rooms->conn, op);
	case STORE_PUT_WRAP:
		return apply_put_wrap(rooms, op);
	case STORE_PUT_REWRAP:
		return apply_put_rewrap(rooms, op);
	case STORE_SET_CURSOR:
		return apply_set_cursor(rooms, op);
	case STORE_STRIP:
		return sq_apply_strip(rooms, op);
	case STORE_OP_TYPE_COUNT:
		break;
	}
	return CHAT_ERR_INVALID;
}
