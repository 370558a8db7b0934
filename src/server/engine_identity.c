/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Identities: the first card, the ones that follow, and the sealed blobs. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/card.h"
#include "server/audit.h"
#include "server/engine_impl.h"

/* ---- publishing ---- */

void
judge_publish_identity(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct store_put_identity *put;
	struct card card;
	enum chat_err err;

	if (account_entry(engine, cmd->publish_identity.account, cmd->publish_identity.account_id) == NULL) {
		pending_refuse(p, CHAT_ERR_LOGIN_REFUSED, NULL, NULL);
		return;
	}
	err = card_decode(cmd->publish_identity.card, &card);
	if (err != CHAT_OK) {
		pending_refuse(p, err, NULL, NULL);
		return;
	}
	if (card.serial != 1 || card.retired || !realm_equal(&card.realm, store_realm(engine->store)) ||
	    !bytes_equal(account_bytes(&card.account), cmd->publish_identity.account)) {
		pending_refuse(p, CHAT_ERR_NOT_ALLOWED, "the card is not a first one of this account", NULL);
		return;
	}
	p->op = store_batch_add(engine->batch, STORE_PUT_IDENTITY);
	if (p->op == NULL) {
		pending_refuse(p, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	put = &p->op->put_identity;
	put->account = cmd->publish_identity.account;
	put->account_id = cmd->publish_identity.account_id;
	put->member_id = card.member_id;
	put->card_hash = card.card_hash;
	put->card = cmd->publish_identity.card;
	put->bag = cmd->publish_identity.bag;
	put->bag_version = 1;
	put->recovery = cmd->publish_identity.recovery;
	put->proof = cmd->publish_identity.proof;
}

void
finish_publish_identity(struct engine *engine, struct pending *p)
{
	struct account *account;

	finish_op(engine, p);
	if (p->op->result.outcome != STORE_STORED ||
	    account_get(engine, p->cmd->publish_identity.account, &account) != CHAT_OK)
		return;
	audit_identity_published(account_bytes(&account->name), &account->member_id);
	watches_end(engine, account);
}

void
judge_publish_card(struct engine *engine, struct pending *p)
{
	struct account *account = p->session->account;
	struct card old, next;
	enum chat_err err;

	err = card_decode(p->cmd->publish_card.card, &next);
	if (err == CHAT_OK)
		err = card_decode(account->card, &old);
	if (err != CHAT_OK) {
		pending_refuse(p, err, NULL, NULL);
		return;
	}
	if (!digest_equal(&next.card_hash, &old.card_hash) && !card_may_follow(&old, &next)) {
		pending_refuse(p, CHAT_ERR_CONFLICT, NULL, NULL);
		p->refusal.has_current = true;
		p->refusal.current = old.card_hash;
		return;
	}
	if (!digest_equal(&next.card_hash, &old.card_hash) &&
	    !pending_take(
		engine, p, &account->card_bucket, CARDS_PER_HOUR, UINT64_C(3600000) / CARDS_PER_HOUR)) {
		pending_refuse(p, CHAT_ERR_RATE, "an identity publishes one card an hour", NULL);
		return;
	}
	p->op = store_batch_add(engine->batch, STORE_PUT_CARD);
	if (p->op == NULL) {
		pending_give_back(p);
		pending_refuse(p, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	p->op->put_card.account = account_bytes(&account->name);
	p->op->put_card.expected_hash = old.card_hash;
	p->op->put_card.card_hash = next.card_hash;
	p->op->put_card.card = p->cmd->publish_card.card;
}

void
finish_publish_card(struct engine *engine, struct pending *p)
{
	struct account *account = p->session->account;
	struct session *session;
	struct card card;

	finish_op(engine, p);
	if (p->op->result.outcome != STORE_STORED) {
		pending_give_back(p);
		return;
	}
	if (account_take_card(account, p->cmd->publish_card.card) != CHAT_OK ||
	    card_decode(account->card, &card) != CHAT_OK) {
		account_lose(engine, account);
		return;
	}
	audit_card_published(account_bytes(&account->name), card.serial, card.retired);
	TAILQ_FOREACH (session, &account->sessions, account_link)
		if (session != p->session)
			push_card(engine, session->conn, account);
}

/* ---- blobs ---- */

void
finish_op(struct engine *engine, struct pending *p)
{
	const struct store_result *result = &p->op->result;

	if (result->outcome == STORE_STORED || result->outcome == STORE_ALREADY) {
		engine_out(engine, OUT_OK, p->cmd->from, p->cmd->request_id);
		return;
	}
	pending_refuse(p, CHAT_ERR_CONFLICT, NULL, NULL);
	p->number = result->version;
	p->refusal.has_current = !digest_is_zero(&result->current);
	p->refusal.current = result->current;
	engine_out_error(engine, p);
}

/* Whose blob: the session's, or before the key is proved the account's whose password was right.  An identity
 * that waits to be retired is not that account's. */
static enum chat_err
blob_account(struct engine *engine, struct pending *p, struct store_account *ret)
{
	const struct session *session = engine_session(engine, p->cmd->from);
	struct bytes name =
	    session != NULL ? account_bytes(&session->account->name) : p->cmd->account.account;
	enum chat_err err = store_account_by_name(engine->store, name, ret);

	if (err == CHAT_OK && account_entry(engine, name, ret->account_id) == NULL)
		err = CHAT_ERR_NOT_FOUND;
	if (err == CHAT_ERR_NOT_FOUND)
		engine_refuse(engine, p, CHAT_ERR_NO_IDENTITY, NULL);
	else if (err != CHAT_OK)
		engine_refuse(engine, p, CHAT_ERR_STORE_UNAVAILABLE, NULL);
	return err;
}

void
finish_get_recovery(struct engine *engine, struct pending *p)
{
	Chat__V1__Recovery answer = CHAT__V1__RECOVERY__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct store_account stored;

	if (blob_account(engine, p, &stored) != CHAT_OK)
		return;
	answer.blob.data = (uint8_t *)(uintptr_t)stored.recovery.data;
	answer.blob.len = stored.recovery.len;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_RECOVERY;
	frame.recovery = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
}

void
finish_get_bag(struct engine *engine, struct pending *p)
{
	Chat__V1__BagBlob answer = CHAT__V1__BAG_BLOB__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct store_account stored;

	if (blob_account(engine, p, &stored) != CHAT_OK)
		return;
	answer.blob.data = (uint8_t *)(uintptr_t)stored.bag.data;
	answer.blob.len = stored.bag.len;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_BAG;
	frame.bag = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
}

void
judge_put_recovery(struct engine *engine, struct pending *p)
{
	p->op = store_batch_add(engine->batch, STORE_PUT_RECOVERY);
	if (p->op == NULL) {
		pending_refuse(p, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	p->op->put_recovery.account = account_bytes(&p->session->account->name);
	p->op->put_recovery.recovery = p->cmd->blob.blob;
}

void
finish_put_recovery(struct engine *engine, struct pending *p)
{
	finish_op(engine, p);
	if (p->op->result.outcome == STORE_STORED)
		p->session->account->has_recovery = p->cmd->blob.blob.len > 0;
}

void
judge_put_bag(struct engine *engine, struct pending *p)
{
	struct reader rd;
	uint64_t version;

	/* u8 1 || u64 version || ...: the version is outside the seal, for the server to compare. */
	rd_init(&rd, p->cmd->blob.blob);
	if (rd_u8(&rd) != 1) {
		pending_refuse(p, CHAT_ERR_UNSUPPORTED, NULL, NULL);
		return;
	}
	version = rd_u64(&rd);
	if (rd.failed || version != p->cmd->blob.expected_version + 1) {
		pending_refuse(
		    p, CHAT_ERR_MALFORMED, "the bag's version is not the one after expected_version", NULL);
		return;
	}
	p->op = store_batch_add(engine->batch, STORE_PUT_BAG);
	if (p->op == NULL) {
		pending_refuse(p, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	p->op->put_bag.account = account_bytes(&p->session->account->name);
	p->op->put_bag.expected_version = p->cmd->blob.expected_version;
	p->op->put_bag.version = version;
	p->op->put_bag.bag = p->cmd->blob.blob;
}

void
finish_put_bag(struct engine *engine, struct pending *p)
{
	finish_op(engine, p);
	if (p->op->result.outcome == STORE_STORED)
		p->session->account->bag_version = p->op->put_bag.version;
}
