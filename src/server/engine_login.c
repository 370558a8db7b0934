/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who may come in: sessions, and the proofs of keys and passwords before them. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/audit.h"
#include "server/engine_impl.h"

/* ---- sessions ---- */

struct session *
engine_session(const struct engine *engine, struct conn_ref conn)
{
	struct session *session;

	if (conn.loop >= engine->config.loop_count || conn.slot >= engine->config.slots_per_loop)
		return NULL;
	session = engine->sessions[conn.loop][conn.slot];
	return session != NULL && session->conn.generation == conn.generation ? session : NULL;
}

void
session_close(struct engine *engine, struct session *session)
{
	struct account *account = session->account;
	struct subscriber *subscriber;

	while ((subscriber = LIST_FIRST(&session->subscribers)) != NULL)
		subscriber_remove(engine, subscriber);
	session_end_watches(engine, session);
	TAILQ_REMOVE(&account->sessions, session, account_link);
	account->session_count--;
	engine->session_count--;
	if (account->session_count == 0) {
		who_remove(engine, account);
		cursors_hurry(engine, account);
		account_touch(engine, account);
	}
	engine->sessions[session->conn.loop][session->conn.slot] = NULL;
	free(session);
}

void
finish_session_close(struct engine *engine, struct pending *p)
{
	struct session *session = engine_session(engine, p->cmd->from);

	if (session != NULL)
		session_close(engine, session);
}

/* ---- by key ---- */

static void
refuse_login(struct pending *p)
{
	pending_refuse(p, CHAT_ERR_LOGIN_REFUSED, NULL, NULL);
}

/* What stands against a session of the account, which may be had as *ret; CHAT_OK: nothing. */
static enum chat_err
judge_key(struct engine *engine, struct pending *p, struct account **ret)
{
	const struct command *cmd = p->cmd;
	const struct passwd_entry *entry =
	    account_entry(engine, cmd->key_proved.account, cmd->key_proved.account_id);
	struct account *account = NULL;
	enum chat_err err;

	err = account_get_as(engine, cmd->key_proved.account, cmd->key_proved.account_id, &account);
	if (err == CHAT_ERR_NOT_FOUND)
		return CHAT_ERR_LOGIN_REFUSED;
	if (err != CHAT_OK)
		return CHAT_ERR_STORE_UNAVAILABLE;
	if (entry == NULL || entry->locked || !digest_equal(&account->member_id, &cmd->key_proved.member_id))
		return CHAT_ERR_LOGIN_REFUSED;
	if (!digest_equal(&account->proof, &cmd->key_proved.proof)) {
		p->text = "the password was changed; give it once more";
		return CHAT_ERR_PASSWORD_REQUIRED;
	}
	if (account->session_count >= engine->config.sessions_per_account) {
		p->text = "this account has as many sessions as the server allows";
		p->mend = "close one of them";
		return CHAT_ERR_LIMIT;
	}
	if (engine_session(engine, cmd->from) != NULL) {
		p->text = "this connection is logged in already";
		return CHAT_ERR_WRONG_PHASE;
	}
	if (account_load_rooms(engine, account) != CHAT_OK)
		return CHAT_ERR_STORE_UNAVAILABLE;
	*ret = account;
	return CHAT_OK;
}

static void
session_open(
    struct engine *engine, struct session *session, struct account *account, const struct command *cmd)
{
	struct session **slot;

	assert(cmd->from.loop < engine->config.loop_count && cmd->from.slot < engine->config.slots_per_loop);
	slot = &engine->sessions[cmd->from.loop][cmd->from.slot];
	/* A slot's loop says that a connection is gone before it gives the slot to another. */
	if (*slot != NULL)
		session_close(engine, *slot);
	session->conn = cmd->from;
	session->account = account;
	session->since_unix_ms = engine->now.unix_ms;
	snprintf(session->addr, sizeof session->addr, "%.*s", (int)cmd->key_proved.addr.len,
	    (const char *)cmd->key_proved.addr.data);
	LIST_INIT(&session->subscribers);
	LIST_INIT(&session->watches);
	if (account->session_count == 0)
		who_add(engine, account);
	TAILQ_INSERT_TAIL(&account->sessions, session, account_link);
	account->session_count++;
	engine->session_count++;
	account_touch(engine, account);
	*slot = session;
}

void
finish_key_proved(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct account *account = NULL;
	struct bytes card = BYTES_EMPTY;
	struct session *session;
	struct outcome *out = NULL;
	enum chat_err err = judge_key(engine, p, &account);

	if (err != CHAT_OK) {
		pending_refuse(p, err, p->text, p->mend);
		engine_out_error(engine, p);
		return;
	}
	session = calloc(1, sizeof *session);
	if (session != NULL && who_reserve(engine) && owned_copy(account->card, &card) == CHAT_OK)
		out = engine_out(engine, OUT_LOGIN_OK, cmd->from, cmd->request_id);
	if (out == NULL) {
		owned_free(&card);
		free(session);
		engine_lose(engine, cmd->from);
		return;
	}
	out->login_ok.card = card;
	session_open(engine, session, account, cmd);
	out->login_ok.bag_version = account->bag_version;
	out->login_ok.sessions = account->session_count;
	out->login_ok.member_id = account->member_id;
	memcpy(out->login_ok.ed_pk, account->ed_pk, sizeof out->login_ok.ed_pk);
}

/* ---- by password ---- */

static void
set_proof(struct engine *engine, struct pending *p, struct bytes name, const struct digest *proof)
{
	p->op = store_batch_add(engine->batch, STORE_SET_PROOF);
	if (p->op == NULL) {
		pending_refuse(p, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	p->op->set_proof.account = name;
	p->op->set_proof.proof = *proof;
}

void
judge_password_proved(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	const struct passwd_entry *entry;
	struct account *account;
	enum chat_err err;

	entry = account_entry(engine, cmd->password_proved.account, cmd->password_proved.account_id);
	if (entry == NULL || entry->locked) {
		refuse_login(p);
		return;
	}
	err = account_get_as(engine, cmd->password_proved.account, cmd->password_proved.account_id, &account);
	if (err == CHAT_ERR_NOT_FOUND)
		return;
	if (err != CHAT_OK) {
		pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, NULL);
		return;
	}
	if (!digest_equal(&account->proof, &cmd->password_proved.proof))
		set_proof(engine, p, cmd->password_proved.account, &cmd->password_proved.proof);
}

void
finish_password_proved(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct bytes card = BYTES_EMPTY;
	struct account *account = NULL;
	struct outcome *out;
	enum chat_err err;

	err = account_get_as(engine, cmd->password_proved.account, cmd->password_proved.account_id, &account);
	if (err != CHAT_OK && err != CHAT_ERR_NOT_FOUND) {
		engine_refuse(engine, p, CHAT_ERR_STORE_UNAVAILABLE, NULL);
		return;
	}
	if (account != NULL && p->op != NULL && p->op->result.outcome == STORE_STORED)
		account->proof = cmd->password_proved.proof;
	if (account != NULL && owned_copy(account->card, &card) != CHAT_OK) {
		engine_lose(engine, cmd->from);
		return;
	}
	out = engine_out(engine, OUT_PASSWORD_OK, cmd->from, cmd->request_id);
	if (out == NULL)
		owned_free(&card);
	if (out == NULL || account == NULL)
		return;
	out->password_ok.has_identity = true;
	out->password_ok.card = card;
	out->password_ok.has_recovery = account->has_recovery;
}

void
judge_password_changed(struct engine *engine, struct pending *p)
{
	set_proof(engine, p, account_bytes(&p->session->account->name), &p->cmd->password_changed.proof);
}

void
finish_password_changed(struct engine *engine, struct pending *p)
{
	if (p->op->result.outcome == STORE_STORED)
		p->session->account->proof = p->cmd->password_changed.proof;
	finish_op(engine, p);
}
