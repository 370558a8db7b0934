/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/card.h"
#include "proto/frame.h"
#include "server/audit.h"
#include "server/engine_impl.h"

/* ---- loading ---- */

static enum chat_err
copy_bytes(struct bytes from, struct bytes *to)
{
	uint8_t *copy = NULL;

	if (from.len > 0) {
		copy = malloc(from.len);
		if (copy == NULL)
			return CHAT_ERR_NOMEM;
		memcpy(copy, from.data, from.len);
	}
	free((void *)(uintptr_t)to->data);
	*to = BYTES(copy, from.len);
	return CHAT_OK;
}

static void
free_bytes(struct bytes *b)
{
	free((void *)(uintptr_t)b->data);
	*b = BYTES_EMPTY;
}

static void
stay_free(struct stay *stay)
{
	if (stay->read_dirty)
		LIST_REMOVE(stay, dirty_link);
	free(stay);
}

void
account_forget_rooms(struct account *account)
{
	struct stay *stay;
	size_t at = 0;

	while ((stay = map_next(&account->rooms, &at)) != NULL)
		stay_free(stay);
	map_clear(&account->rooms);
	account->rooms_loaded = false;
	account->reading_count = 0;
}

static void
account_free(struct account *account)
{
	assert(TAILQ_EMPTY(&account->sessions));
	account_forget_rooms(account);
	map_fini(&account->rooms);
	free_bytes(&account->account_id);
	free_bytes(&account->card);
	free(account);
}

void
account_fini_all(struct engine *engine)
{
	struct account *account;
	size_t at = 0;

	while ((account = map_next(&engine->accounts, &at)) != NULL)
		account_free(account);
	map_fini(&engine->accounts);
	map_fini(&engine->members);
}

static enum chat_err
take_card(struct account *account, struct bytes wire)
{
	struct card card;
	enum chat_err err;

	err = card_decode(wire, &card);
	if (err != CHAT_OK)
		return CHAT_ERR_CORRUPT; /* it was checked before it was stored */
	err = copy_bytes(wire, &account->card);
	if (err != CHAT_OK)
		return err;
	account->card_hash = card.card_hash;
	account->card_retired = card.retired;
	memcpy(account->ed_pk, card.ed_pk, sizeof account->ed_pk);
	return CHAT_OK;
}

enum chat_err
account_get(struct engine *engine, struct bytes name, struct account **ret)
{
	struct account *account = map_get(&engine->accounts, name);
	struct store_account stored;
	enum chat_err err;

	if (account != NULL) {
		*ret = account;
		return CHAT_OK;
	}
	err = store_account_by_name(engine->store, name, &stored);
	if (err != CHAT_OK)
		return err;
	account = calloc(1, sizeof *account);
	if (account == NULL)
		return CHAT_ERR_NOMEM;
	TAILQ_INIT(&account->sessions);
	account->member_id = stored.member_id;
	account->proof = stored.proof;
	account->bag_version = stored.bag_version;
	account->has_recovery = stored.recovery.len > 0;
	err = account_name_set(stored.account, &account->name);
	if (err == CHAT_OK)
		err = copy_bytes(stored.account_id, &account->account_id);
	if (err == CHAT_OK)
		err = take_card(account, stored.card);
	if (err == CHAT_OK)
		err = map_put(&engine->accounts, account_bytes(&account->name), account);
	if (err != CHAT_OK)
		goto out;
	err = map_put(&engine->members, digest_bytes(&account->member_id), account);
	if (err != CHAT_OK) {
		map_remove(&engine->accounts, account_bytes(&account->name));
		goto out;
	}
	*ret = account;
	account = NULL;
out:
	if (account != NULL)
		account_free(account);
	return err;
}

struct account *
account_of_member(const struct engine *engine, const struct digest *member_id)
{
	return map_get(&engine->members, digest_bytes(member_id));
}

struct load_rooms {
	struct account *account;
	enum chat_err err;
};

static bool
load_room(void *ctx, const struct store_member_room *from)
{
	struct load_rooms *load = ctx;
	struct stay *stay = calloc(1, sizeof *stay);

	if (stay == NULL) {
		load->err = CHAT_ERR_NOMEM;
		return false;
	}
	stay->account = load->account;
	stay->room_id = from->room_id;
	stay->room_no = from->room_no;
	stay->stay = from->stay;
	stay->since_seq = from->since_seq;
	stay->read_seq = from->read_seq;
	load->err = map_put(&load->account->rooms, digest_bytes(&stay->room_id), stay);
	if (load->err != CHAT_OK) {
		free(stay);
		return false;
	}
	if (stay->stay != STORE_OUT)
		load->account->reading_count++;
	return true;
}

enum chat_err
account_load_rooms(struct engine *engine, struct account *account)
{
	struct load_rooms load = {.account = account};
	enum chat_err err;

	if (account->rooms_loaded)
		return CHAT_OK;
	err = store_member_rooms_each(engine->store, &account->member_id, load_room, &load);
	if (err == CHAT_OK)
		err = load.err;
	if (err != CHAT_OK) {
		account_forget_rooms(account);
		return err;
	}
	account->rooms_loaded = true;
	return CHAT_OK;
}

struct stay *
account_stay(const struct account *account, const struct digest *room_id)
{
	struct stay *stay = map_get(&account->rooms, digest_bytes(room_id));

	return stay == NULL || stay->stay == STORE_OUT ? NULL : stay;
}

void
account_note_stay(
    struct engine *engine, struct account *account, const struct room *room, const struct store_stay_change *change)
{
	struct stay *stay;

	(void)engine;
	if (!account->rooms_loaded)
		return;
	stay = map_get(&account->rooms, digest_bytes(&room->id));
	if (stay == NULL) {
		stay = calloc(1, sizeof *stay);
		if (stay != NULL)
			stay->room_id = room->id;
		if (stay == NULL || map_put(&account->rooms, digest_bytes(&stay->room_id), stay) != CHAT_OK) {
			free(stay);
			account_forget_rooms(account); /* loaded again when next needed */
			return;
		}
		stay->account = account;
		stay->stay = STORE_OUT;
	}
	if (stay->stay != STORE_OUT)
		account->reading_count--;
	stay->room_no = room->room_no;
	stay->stay = change->stay;
	stay->since_seq = change->since_seq;
	if (stay->stay != STORE_OUT)
		account->reading_count++;
}

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
	TAILQ_REMOVE(&account->sessions, session, account_link);
	account->session_count--;
	engine->session_count--;
	engine->sessions[session->conn.loop][session->conn.slot] = NULL;
	free(session);
}

/* Ends what a connection has here, whether it got as far as a session or not. */
static void
forget_connection(struct engine *engine, struct conn_ref conn)
{
	struct session *session = engine_session(engine, conn);
	struct watch *watch, *next;

	if (session != NULL)
		session_close(engine, session);
	LIST_FOREACH_SAFE (watch, &engine->watches, link, next) {
		if (watch->conn.loop == conn.loop && watch->conn.slot == conn.slot) {
			LIST_REMOVE(watch, link);
			free(watch);
		}
	}
}

void
finish_session_close(struct engine *engine, struct pending *p)
{
	forget_connection(engine, p->cmd->from);
}

/* The file's word on an account, now: NULL unless it is there, under this id. */
static const struct passwd_entry *
entry_of(const struct engine *engine, struct bytes name, struct bytes account_id)
{
	const struct passwd_entry *entry;

	if (engine->table == NULL)
		return NULL;
	entry = passwd_table_find(engine->table, name);
	if (entry == NULL || !bytes_equal(BYTES_STR(entry->id), account_id))
		return NULL;
	return entry;
}

static void
refuse_login(struct pending *p)
{
	pending_refuse(p, CHAT_ERR_LOGIN_REFUSED, NULL, NULL);
}

void
finish_key_proved(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	const struct passwd_entry *entry;
	struct account *account = NULL;
	struct session *session = NULL;
	struct outcome *out;
	enum chat_err err;

	entry = entry_of(engine, cmd->key_proved.account, cmd->key_proved.account_id);
	err = account_get(engine, cmd->key_proved.account, &account);
	if (err == CHAT_ERR_NOT_FOUND || (err == CHAT_OK && (entry == NULL || entry->locked))) {
		refuse_login(p);
		goto out;
	}
	if (err == CHAT_OK && (!digest_equal(&account->member_id, &cmd->key_proved.member_id) ||
	                          !bytes_equal(account->account_id, cmd->key_proved.account_id))) {
		refuse_login(p);
		goto out;
	}
	if (err == CHAT_OK && !digest_equal(&account->proof, &cmd->key_proved.proof)) {
		pending_refuse(p, CHAT_ERR_PASSWORD_REQUIRED, "the password was changed; give it once more", NULL);
		goto out;
	}
	if (err == CHAT_OK && account->session_count >= engine->config.sessions_per_account) {
		pending_refuse(p, CHAT_ERR_LIMIT, "this account has as many sessions as the server allows",
		    "close one of them");
		goto out;
	}
	if (err == CHAT_OK)
		err = account_load_rooms(engine, account);
	if (err != CHAT_OK) {
		pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, NULL);
		goto out;
	}
	if (engine_session(engine, cmd->from) != NULL) {
		pending_refuse(p, CHAT_ERR_WRONG_PHASE, "this connection is logged in already", NULL);
		goto out;
	}
	session = calloc(1, sizeof *session);
	out = engine_out(engine, OUT_LOGIN_OK, cmd->from, cmd->request_id);
	if (session == NULL || out == NULL || copy_bytes(account->card, &out->login_ok.card) != CHAT_OK) {
		if (out != NULL)
			out->type = OUT_OK; /* unreachable for a loop: the connection is closed by its time limit */
		free(session);
		return;
	}
	session->conn = cmd->from;
	session->account = account;
	session->since_unix_ms = engine->now.unix_ms;
	snprintf(session->addr, sizeof session->addr, "%.*s", (int)cmd->key_proved.addr.len,
	    (const char *)cmd->key_proved.addr.data);
	LIST_INIT(&session->subscribers);
	TAILQ_INSERT_TAIL(&account->sessions, session, account_link);
	account->session_count++;
	engine->session_count++;
	engine->sessions[cmd->from.loop][cmd->from.slot] = session;

	out->login_ok.bag_version = account->bag_version;
	out->login_ok.sessions = account->session_count;
	out->login_ok.member_id = account->member_id;
	memcpy(out->login_ok.ed_pk, account->ed_pk, sizeof out->login_ok.ed_pk);
	return;
out:
	engine_out_error(engine, p);
}

/* ---- the password file ---- */

static void
add_retire(struct engine *engine, struct bytes name)
{
	struct store_op *op = store_batch_add(engine->batch, STORE_RETIRE_ACCOUNT);
	uint8_t *copy;

	if (op == NULL)
		return; /* the next table finds it again */
	copy = store_batch_alloc(engine->batch, name.len);
	if (copy == NULL) {
		store_batch_drop_last(engine->batch);
		return;
	}
	memcpy(copy, name.data, name.len);
	op->retire_account.account = BYTES(copy, name.len);
}

static bool
retire_unless_listed(void *ctx, struct bytes account, struct bytes account_id, const struct digest *member_id)
{
	struct engine *engine = ctx;

	(void)member_id;
	if (entry_of(engine, account, account_id) == NULL)
		add_retire(engine, account);
	return true;
}

/* An account that is not in the file any more, or is there as another one, is retired: who gets the name next inherits
 * nothing. */
void
judge_accounts(struct engine *engine, struct pending *p)
{
	enum chat_err err;

	passwd_table_unref(engine->table);
	engine->table = passwd_table_ref(p->cmd->accounts.table);
	err = store_accounts_each(engine->store, retire_unless_listed, engine);
	if (err != CHAT_OK)
		pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, NULL);
}

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

void
finish_accounts(struct engine *engine, struct pending *p)
{
	struct account *account;
	size_t at = 0;

	(void)p;
	while ((account = map_next(&engine->accounts, &at)) != NULL) {
		const struct passwd_entry *entry =
		    entry_of(engine, account_bytes(&account->name), account->account_id);

		if (entry == NULL || entry->locked)
			close_sessions(engine, account, entry == NULL ? "deleted" : "locked");
		if (entry == NULL) {
			audit_account_retired(account_bytes(&account->name));
			map_remove(&engine->members, digest_bytes(&account->member_id));
			map_remove(&engine->accounts, account_bytes(&account->name));
			account_free(account);
		}
	}
}

/* ---- after a password ---- */

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
	struct account *account;
	enum chat_err err;

	if (entry_of(engine, cmd->password_proved.account, cmd->password_proved.account_id) == NULL) {
		refuse_login(p);
		return;
	}
	err = account_get(engine, cmd->password_proved.account, &account);
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
	struct account *account = NULL;
	struct outcome *out;
	enum chat_err err;

	err = account_get(engine, cmd->password_proved.account, &account);
	if (err != CHAT_OK && err != CHAT_ERR_NOT_FOUND) {
		pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, NULL);
		engine_out_error(engine, p);
		return;
	}
	out = engine_out(engine, OUT_PASSWORD_OK, cmd->from, cmd->request_id);
	if (out == NULL || account == NULL)
		return;
	account->proof = cmd->password_proved.proof;
	out->password_ok.has_identity = copy_bytes(account->card, &out->password_ok.card) == CHAT_OK;
	out->password_ok.has_recovery = account->has_recovery;
}

void
judge_password_changed(struct engine *engine, struct pending *p)
{
	set_proof(engine, p, account_bytes(&p->session->account->name), &p->cmd->password_changed.proof);
	p->session->account->proof = p->cmd->password_changed.proof;
}

void
judge_publish_identity(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct store_put_identity *put;
	struct card card;
	enum chat_err err;

	if (entry_of(engine, cmd->publish_identity.account, cmd->publish_identity.account_id) == NULL) {
		refuse_login(p);
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

static void
push_card(struct engine *engine, struct conn_ref to, struct account *account)
{
	Chat__V1__CardPublished push = CHAT__V1__CARD_PUBLISHED__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	push.account = account->name.s;
	push.card.data = (uint8_t *)(uintptr_t)account->card.data;
	push.card.len = account->card.len;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED;
	frame.card_published = &push;
	engine_out_frame(engine, to, &frame, 0);
}

void
finish_publish_identity(struct engine *engine, struct pending *p)
{
	struct watch *watch, *next;
	struct account *account;

	finish_op(engine, p);
	if (p->op->result.outcome != STORE_STORED ||
	    account_get(engine, p->cmd->publish_identity.account, &account) != CHAT_OK)
		return;
	audit_identity_published(account_bytes(&account->name), &account->member_id);
	LIST_FOREACH_SAFE (watch, &engine->watches, link, next) {
		if (!account_equal(&watch->name, &account->name))
			continue;
		push_card(engine, watch->conn, account);
		LIST_REMOVE(watch, link);
		free(watch);
	}
}

/* ---- blobs and cards ---- */

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

/* Whose blob: the session's, or before the key is proved the account's whose password was right. */
static enum chat_err
blob_account(struct engine *engine, struct pending *p, struct store_account *ret)
{
	const struct session *session = engine_session(engine, p->cmd->from);
	struct bytes name = session != NULL ? account_bytes(&session->account->name) : p->cmd->account.account;
	enum chat_err err;

	err = store_account_by_name(engine->store, name, ret);
	if (err == CHAT_ERR_NOT_FOUND)
		pending_refuse(p, CHAT_ERR_NO_IDENTITY, NULL, NULL);
	else if (err != CHAT_OK)
		pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, NULL);
	return err;
}

void
finish_get_recovery(struct engine *engine, struct pending *p)
{
	Chat__V1__Recovery answer = CHAT__V1__RECOVERY__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct store_account stored;

	if (blob_account(engine, p, &stored) != CHAT_OK) {
		engine_out_error(engine, p);
		return;
	}
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

	if (blob_account(engine, p, &stored) != CHAT_OK) {
		engine_out_error(engine, p);
		return;
	}
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
		pending_refuse(p, CHAT_ERR_MALFORMED, "the bag's version is not the one after expected_version", NULL);
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
	    !bucket_take(&account->card_bucket, engine->now.mono_ms, CARDS_PER_HOUR, UINT64_C(3600000) / CARDS_PER_HOUR,
	        &p->retry_after_ms)) {
		pending_refuse(p, CHAT_ERR_RATE, "an identity publishes one card an hour", NULL);
		return;
	}
	p->op = store_batch_add(engine->batch, STORE_PUT_CARD);
	if (p->op == NULL) {
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
	if (p->op->result.outcome != STORE_STORED)
		return;
	if (take_card(account, p->cmd->publish_card.card) != CHAT_OK ||
	    card_decode(account->card, &card) != CHAT_OK)
		return;
	audit_card_published(account_bytes(&account->name), card.serial, card.retired);
	TAILQ_FOREACH (session, &account->sessions, account_link)
		if (session != p->session)
			push_card(engine, session->conn, account);
}

static uint32_t
count_watches(const struct engine *engine, struct conn_ref conn)
{
	const struct watch *watch;
	uint32_t count = 0;

	LIST_FOREACH (watch, &engine->watches, link)
		count += watch->conn.loop == conn.loop && watch->conn.slot == conn.slot;
	return count;
}

/* A full list of watches is no error: the client asks again when it next needs the card. */
static void
add_watch(struct engine *engine, struct conn_ref conn, struct bytes name)
{
	struct watch *watch;

	if (count_watches(engine, conn) >= WATCHES_PER_CONN)
		return;
	watch = calloc(1, sizeof *watch);
	if (watch == NULL || account_name_set(name, &watch->name) != CHAT_OK) {
		free(watch);
		return;
	}
	watch->conn = conn;
	LIST_INSERT_HEAD(&engine->watches, watch, link);
}

void
finish_get_card(struct engine *engine, struct pending *p)
{
	Chat__V1__Card answer = CHAT__V1__CARD__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct bytes name = p->cmd->get_card.account;
	struct account *account;
	enum chat_err err;

	if (engine->table == NULL || passwd_table_find(engine->table, name) == NULL) {
		pending_refuse(p, CHAT_ERR_NO_ACCOUNT, NULL, NULL);
		engine_out_error(engine, p);
		return;
	}
	err = account_get(engine, name, &account);
	if (err == CHAT_ERR_NOT_FOUND) {
		if (p->cmd->get_card.watch)
			add_watch(engine, p->cmd->from, name);
		pending_refuse(p, CHAT_ERR_NO_IDENTITY, NULL, NULL);
		engine_out_error(engine, p);
		return;
	}
	if (err != CHAT_OK) {
		pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, NULL);
		engine_out_error(engine, p);
		return;
	}
	answer.account = account->name.s;
	answer.card.data = (uint8_t *)(uintptr_t)account->card.data;
	answer.card.len = account->card.len;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_CARD;
	frame.card = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
}

/* ---- who is online ---- */

/* So many fit a frame whatever the names. */
#define WHO_PAGE 1000

static int
compare_names(const void *a, const void *b)
{
	const struct account *x = *(struct account *const *)a, *y = *(struct account *const *)b;

	return strcmp(x->name.s, y->name.s);
}

void
finish_who(struct engine *engine, struct pending *p)
{
	Chat__V1__WhoOnline answer = CHAT__V1__WHO_ONLINE__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__OnlineAccount *items = NULL, **list = NULL;
	struct account **online = NULL, *account;
	struct account_name after = {0};
	size_t count = 0, at = 0, page;

	if (p->cmd->page.after.len > 0 && account_name_set(p->cmd->page.after, &after) != CHAT_OK) {
		pending_refuse(p, CHAT_ERR_MALFORMED, "`after` is no account name", NULL);
		engine_out_error(engine, p);
		return;
	}
	online = calloc(engine->accounts.count + 1, sizeof(struct account *));
	if (online == NULL)
		goto out;
	while ((account = map_next(&engine->accounts, &at)) != NULL)
		if (account->session_count > 0 && strcmp(account->name.s, after.s) > 0)
			online[count++] = account;
	qsort(online, count, sizeof(struct account *), compare_names);
	page = count < WHO_PAGE ? count : WHO_PAGE;
	items = calloc(page + 1, sizeof *items);
	list = calloc(page + 1, sizeof(Chat__V1__OnlineAccount *));
	if (items == NULL || list == NULL)
		goto out;
	for (size_t i = 0; i < page; i++) {
		chat__v1__online_account__init(&items[i]);
		items[i].account = online[i]->name.s;
		items[i].sessions = online[i]->session_count;
		items[i].since_unix_ms = TAILQ_FIRST(&online[i]->sessions)->since_unix_ms;
		items[i].member_id.data = online[i]->member_id.b;
		items[i].member_id.len = DIGEST_BYTES;
		list[i] = &items[i];
	}
	answer.account = list;
	answer.n_account = page;
	answer.more = count > page;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WHO_ONLINE;
	frame.who_online = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
out:
	free(online);
	free(items);
	free(list);
}
