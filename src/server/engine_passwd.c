/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The password file has the last word on accounts.  One that is locked there loses its sessions.  One that is
 * not there any more, or there as another one, is retired: who gets the name next inherits nothing.
 *
 * Sessions end at once, whatever the store can do; what it could not retire is tried again until it can.
 */

#include <string.h>

#include "server/audit.h"
#include "server/engine_impl.h"

/* After a failed commit, or out of memory. */
#define RETIRE_RETRY_MS 1000

const struct passwd_entry *
account_entry_any(const struct engine *engine, struct bytes name)
{
	return engine->table == NULL ? NULL : passwd_table_find(engine->table, name);
}

const struct passwd_entry *
account_entry(const struct engine *engine, struct bytes name, struct bytes account_id)
{
	const struct passwd_entry *entry = account_entry_any(engine, name);

	return entry != NULL && bytes_equal(BYTES_STR(entry->id), account_id) ? entry : NULL;
}

/* ---- retiring ---- */

static void
retire_later(struct engine *engine)
{
	engine->retire_at_ms = engine->now.mono_ms + RETIRE_RETRY_MS;
}

static bool
add_retire(struct engine *engine, struct bytes name)
{
	struct store_op *op = store_batch_add(engine->batch, STORE_RETIRE_ACCOUNT);
	uint8_t *copy;

	if (op == NULL)
		return false;
	copy = store_batch_alloc(engine->batch, name.len);
	if (copy == NULL) {
		store_batch_drop_last(engine->batch);
		return false;
	}
	memcpy(copy, name.data, name.len);
	op->retire_account.account = BYTES(copy, name.len);
	return true;
}

static bool
retire_unless_listed(void *ctx, struct bytes account, struct bytes account_id, const struct digest *member_id)
{
	struct engine *engine = ctx;

	(void)member_id;
	if (account_entry(engine, account, account_id) == NULL && !add_retire(engine, account))
		retire_later(engine);
	return true;
}

void
retire_judge(struct engine *engine)
{
	engine->retiring = true;
	engine->retire_at_ms = NEVER_MS;
	if (store_accounts_each(engine->store, retire_unless_listed, engine) != CHAT_OK)
		retire_later(engine);
}

void
retire_finish(struct engine *engine)
{
	if (!engine->retiring)
		return;
	engine->retiring = false;
	for (size_t i = 0; i < store_batch_count(engine->batch); i++) {
		const struct store_op *op = store_batch_op(engine->batch, i);

		if (op->type == STORE_RETIRE_ACCOUNT && op->result.outcome == STORE_STORED)
			audit_account_retired(op->retire_account.account);
	}
}

void
retire_failed(struct engine *engine)
{
	if (!engine->retiring)
		return;
	engine->retiring = false;
	retire_later(engine);
}

/* ---- a new file ---- */

static void
close_sessions(struct engine *engine, struct account *account, const char *why)
{
	struct session *session;

	if (account->session_count > 0)
		audit_sessions_ended(account_bytes(&account->name), account->session_count, why);
	while ((session = TAILQ_FIRST(&account->sessions)) != NULL) {
		struct outcome *out = engine_out(engine, OUT_CLOSE, session->conn, 0);

		if (out != NULL)
			out->close.reason = CHAT_ERR_EVICTED;
		session_close(engine, session);
	}
}

/* What is dropped here and could not be retired is loaded again if somebody asks for it, and is still not the
 * one that the file has. */
static void
apply_table(struct engine *engine)
{
	struct account *account;
	size_t at = 0;

	while ((account = map_next(&engine->accounts, &at)) != NULL) {
		const struct passwd_entry *entry =
		    account_entry(engine, account_bytes(&account->name), account->account_id);

		if (entry == NULL || entry->locked)
			close_sessions(engine, account, entry == NULL ? "deleted" : "locked");
		if (entry == NULL)
			account_drop(engine, account);
	}
}

void
judge_accounts(struct engine *engine, struct pending *p)
{
	passwd_table_unref(engine->table);
	engine->table = passwd_table_ref(p->cmd->accounts.table);
	retire_judge(engine);
}

void
finish_accounts(struct engine *engine, struct pending *p)
{
	(void)p;
	retire_finish(engine);
	apply_table(engine);
}

void
failed_accounts(struct engine *engine, struct pending *p)
{
	(void)p;
	retire_failed(engine);
	apply_table(engine);
}
