/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Hello, the two logins, the own password (chat-protocol(7), Login).
 *
 * A failed login is answered at a fixed time after its receipt, whatever the reason and whoever found it:
 * this loop, a kdf thread, or the engine.  Until then, and until a good one is answered, nothing more is read
 * of the connection.
 */

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "group/content.h"
#include "proto/wire.h"
#include "server/audit.h"
#include "server/command.h"
#include "server/engine_thread.h"
#include "server/kdf.h"
#include "server/login_delay.h"
#include "server/loop_thread.h"
#include "server/outcome.h"
#include "server/session.h"
#include "store/store.h"
#include "tls/tls.h"

#define BUSY_RETRY_MS 1000

static uint64_t
now_ms(const struct conn *c)
{
	return loop_now(c->lt->loop).mono_ms;
}

/* ---- hello ---- */

void
session_hello(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const struct server_limits *limits = c->lt->limits;
	const struct realm *realm = store_realm(c->lt->shared->store);
	Chat__V1__ServerFrame answer = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__HelloOk body = CHAT__V1__HELLO_OK__INIT;
	Chat__V1__Limits said = CHAT__V1__LIMITS__INIT;

	said.text_bytes = MESSAGE_TEXT_MAX;
	said.frame_bytes = FRAME_MAX_AFTER_LOGIN;
	said.room_readers = limits->room_readers_max;
	said.rooms_per_account = limits->rooms_per_account;
	said.requests_under_way = REQUESTS_UNDER_WAY;
	said.idle_ms = limits->idle_timeout_ms;
	said.history_days = limits->history_days;
	said.history_entries = limits->history_entries;
	body.version = PROTOCOL_VERSION;
	body.realm = wire_from_bytes(BYTES_ARRAY(realm->b));
	body.software = wire_from_str(c->lt->shared->software);
	body.unix_ms = loop_now(c->lt->loop).unix_ms;
	body.limits = &said;
	answer.body_case = CHAT__V1__SERVER_FRAME__BODY_HELLO_OK;
	answer.hello_ok = &body;
	session_send(c, frame->id, &answer);
	if (c->state == CONN_OPEN)
		conn_set_phase(c, PHASE_HELLO);
}

/* ---- attempts ---- */

static struct login_delay_limits
delay_limits(const struct conn *c)
{
	return (struct login_delay_limits){
	    .base_ms = c->lt->limits->login_fail_delay_ms,
	    .max_ms = c->lt->limits->login_fail_delay_max_ms,
	    .per_address = LOGINS_PER_ADDRESS,
	};
}

void
session_login_end(struct conn *c)
{
	if (c->login.kind == LOGIN_NONE)
		return;
	if (c->login.counted)
		login_delay_end(c->lt->shared->login_delay, &c->peer);
	c->login = (struct login_attempt){.kind = LOGIN_NONE, .refuse_ms = NEVER_MS};
	conn_touch(c);
}

/* It cannot be judged now: no word about the account. */
static void
attempt_busy(struct conn *c)
{
	uint64_t id = c->login.request_id;

	session_login_end(c);
	session_send_busy(c, id, BUSY_RETRY_MS);
}

/* Among those that are under way from its address.  False: there are too many. */
static bool
attempt_count(struct conn *c)
{
	struct login_delay_limits limits = delay_limits(c);

	if (!c->login.counted)
		c->login.counted =
		    login_delay_begin(c->lt->shared->login_delay, &c->peer, &limits) == CHAT_OK;
	if (!c->login.counted)
		audit_limit(&c->peer, account_bytes(&c->account), "logins_per_address");
	return c->login.counted;
}

/*
 * False: it was answered `busy`.  Passwords count from the beginning, keys only while a failure waits for its
 * answer: a thousand clients behind one address may come back at once.
 */
static bool
attempt_begin(struct conn *c, enum login_kind kind, uint64_t id)
{
	/* A connection has one at a time; only a change of password leaves room to ask for another. */
	if (c->login.kind != LOGIN_NONE) {
		session_send_busy(c, id, BUSY_RETRY_MS);
		return false;
	}
	c->login = (struct login_attempt){
	    .kind = kind, .request_id = id, .received_ms = now_ms(c), .refuse_ms = NEVER_MS};
	if (kind == LOGIN_KEY || attempt_count(c))
		return true;
	attempt_busy(c);
	return false;
}

/* The answer comes when its time has come. */
static void
attempt_failed(struct conn *c, struct bytes account, const char *why)
{
	static const char *const kinds[] = {
	    [LOGIN_PASSWORD] = "password", [LOGIN_KEY] = "key", [LOGIN_CHANGE] = "change_password"};
	struct login_delay_limits limits = delay_limits(c);
	uint64_t delay_ms =
	    login_delay_failed(c->lt->shared->login_delay, &c->peer, account, &limits, now_ms(c));

	assert(c->login.kind != LOGIN_NONE);
	audit_login_refused(&c->peer, account, kinds[c->login.kind], why, delay_ms);
	if (!attempt_count(c)) {
		attempt_busy(c);
		return;
	}
	c->login.refuse_ms = c->login.received_ms + delay_ms;
	/* A name that was only claimed is nobody's. */
	if (c->phase == PHASE_HELLO)
		c->account = (struct account_name){0};
	conn_touch(c);
}

void
session_login_tick(struct conn *c, uint64_t now)
{
	uint64_t id = c->login.request_id;

	if (now < c->login.refuse_ms)
		return;
	session_login_end(c);
	session_send_error(c, id, CHAT_ERR_LOGIN_REFUSED, NULL);
}

/* ---- by password ---- */

static void
ask_kdf(struct conn *c, const struct account_name *account, struct bytes password, struct bytes new_password)
{
	struct loop_thread *lt = c->lt;
	struct kdf_job *job;

	(void)loop_thread_look(lt);
	job = kdf_job_new(c->ref, c->login.request_id, lt->table, account, password, new_password);
	if (job == NULL) {
		conn_drop(c, "nomem");
		return;
	}
	if (kdf_put(lt->shared->kdf, job) == CHAT_OK)
		return;
	kdf_job_free(job);
	audit_limit(&c->peer, account_bytes(account), "kdf_queue");
	attempt_busy(c);
}

void
session_password_login(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PasswordLogin *request = frame->password_login;
	struct account_name account;

	if (account_name_set(wire_str(request->account), &account) != CHAT_OK)
		assert(false); /* requests_check() */
	if (attempt_begin(c, LOGIN_PASSWORD, frame->id))
		ask_kdf(c, &account, wire_bytes(request->password), BYTES_EMPTY);
}

static void
password_was_right(struct conn *c, const struct kdf_job *job)
{
	const struct passwd_entry *entry;
	struct command *cmd;
	size_t at = 0;

	/* The file may have changed while the hash was computed; its last word counts. */
	entry = passwd_table_find(loop_thread_look(c->lt), account_bytes(&job->account));
	if (entry == NULL || entry->locked) {
		attempt_failed(c, account_bytes(&job->account), entry == NULL ? "no_account" : "locked");
		return;
	}
	login_delay_right(c->lt->shared->login_delay, account_bytes(&job->account));
	c->account = job->account;
	strlcpy(c->account_id, entry->id, sizeof c->account_id);
	c->proof = job->proof;
	cmd = command_new(
	    CMD_PASSWORD_PROVED, c->ref, job->request_id, job->account.len + strlen(c->account_id));
	if (cmd == NULL) {
		conn_drop(c, "nomem");
		return;
	}
	cmd->password_proved.account = session_put(cmd, &at, account_bytes(&c->account));
	cmd->password_proved.account_id = session_put(cmd, &at, BYTES_STR(c->account_id));
	cmd->password_proved.proof = job->proof;
	if (!session_post(c, cmd))
		session_login_end(c);
}

static void
password_was_changed(struct conn *c, const struct kdf_job *job)
{
	struct command *cmd;
	size_t at = 0;

	login_delay_right(c->lt->shared->login_delay, account_bytes(&c->account));
	session_login_end(c);
	audit_password_changed(&c->peer, account_bytes(&c->account));
	/* The engine hears of the new table first, then that this password is proved. */
	(void)loop_thread_look(c->lt);
	c->proof = job->proof;
	cmd = command_new(
	    CMD_PASSWORD_CHANGED, c->ref, job->request_id, c->account.len + strlen(c->account_id));
	if (cmd == NULL) {
		conn_drop(c, "nomem");
		return;
	}
	cmd->password_changed.account = session_put(cmd, &at, account_bytes(&c->account));
	cmd->password_changed.account_id = session_put(cmd, &at, BYTES_STR(c->account_id));
	cmd->password_changed.proof = job->proof;
	session_post(c, cmd);
}

/* The old password was right, but the new one could not be put in its place. */
static void
change_went_wrong(struct conn *c, const struct kdf_job *job)
{
	uint64_t id = c->login.request_id;

	session_login_end(c);
	if (job->err == CHAT_ERR_CONFLICT || job->err == CHAT_ERR_NOT_FOUND) {
		session_send_error(
		    c, id, CHAT_ERR_CONFLICT, "The password was changed by somebody else just now.");
		return;
	}
	if (job->why.text[0] != '\0')
		audit_passwords_bad(&job->why);
	session_send_error(c, id, CHAT_ERR_STORE_UNAVAILABLE, "The password file cannot be written.");
}

void
session_kdf_done(struct conn *c, const struct kdf_job *job)
{
	/* It may be closing, and have forgotten. */
	if (c->login.kind == LOGIN_NONE || c->login.request_id != job->request_id)
		return;
	if (job->verdict == PASSWD_FAILED)
		attempt_busy(c);
	else if (job->verdict != PASSWD_RIGHT)
		attempt_failed(c, account_bytes(&job->account), passwd_verdict_name(job->verdict));
	else if (c->login.kind == LOGIN_PASSWORD)
		password_was_right(c, job);
	else if (job->err != CHAT_OK)
		change_went_wrong(c, job);
	else
		password_was_changed(c, job);
}

void
session_change_password(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct bytes new_password = wire_bytes(frame->change_password->new_password);

	if (passwd_password_check(new_password) != CHAT_OK) {
		session_send_error(c, frame->id, CHAT_ERR_MALFORMED,
		    "A password has to be UTF-8 without control characters.");
		return;
	}
	if (attempt_begin(c, LOGIN_CHANGE, frame->id))
		ask_kdf(c, &c->account, wire_bytes(frame->change_password->old_password), new_password);
}

bool
session_password_holds(struct conn *c, uint64_t id)
{
	const struct passwd_entry *entry;

	if (c->phase != PHASE_PASSWORD)
		return true;
	entry = passwd_table_find(loop_thread_look(c->lt), account_bytes(&c->account));
	if (entry != NULL && !entry->locked && strcmp(entry->id, c->account_id) == 0)
		return true;
	session_send_error(c, id, CHAT_ERR_LOGIN_REFUSED, NULL);
	conn_goodbye(c, CHAT_ERR_EVICTED, NULL, 0, "account_gone");
	return false;
}

/* ---- by key ---- */

/* NULL: the proof is right; else what is wrong with it. */
static const char *
key_fault(struct conn *c, const Chat__V1__KeyLogin *request, struct login *login)
{
	struct digest said = wire_digest(request->member_id);

	login->binding_type = LOGIN_BINDING_TLS_EXPORTER;
	login->realm = *store_realm(c->lt->shared->store);
	if (!ed25519_public_key_valid(request->ed_pk.data))
		return "bad_key";
	login->member_id = member_id_of(&login->realm, &login->account, request->ed_pk.data);
	if (!digest_equal(&login->member_id, &said))
		return "bad_member_id";
	if (tls_export_binding(c->tls, login->binding) != CHAT_OK)
		return "no_binding";
	if (login_verify(request->ed_pk.data, login, request->signature.data) != CHAT_OK)
		return "bad_signature";
	if (c->phase == PHASE_PASSWORD && !account_equal(&login->account, &c->account))
		return "other_account";
	return NULL;
}

static void
key_was_right(struct conn *c, const struct login *login, const struct passwd_entry *entry)
{
	char addr[NET_ADDR_CHARS];
	struct command *cmd;
	size_t at = 0;

	net_addr_text(&c->peer, addr);
	c->account = login->account;
	strlcpy(c->account_id, entry->id, sizeof c->account_id);
	cmd = command_new(CMD_KEY_PROVED, c->ref, c->login.request_id,
	    c->account.len + strlen(c->account_id) + strlen(addr));
	if (c->close_mail == NULL)
		c->close_mail = close_mail_new(c->ref);
	if (cmd == NULL || c->close_mail == NULL) {
		command_free(cmd);
		conn_drop(c, "nomem");
		return;
	}
	cmd->key_proved.account = session_put(cmd, &at, account_bytes(&c->account));
	cmd->key_proved.account_id = session_put(cmd, &at, BYTES_STR(c->account_id));
	cmd->key_proved.addr = session_put(cmd, &at, BYTES_STR(addr));
	cmd->key_proved.proof = kdf_proof_of(entry);
	cmd->key_proved.member_id = login->member_id;
	if (!session_post(c, cmd))
		session_login_end(c);
}

void
session_key_login(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__KeyLogin *request = frame->key_login;
	const struct passwd_entry *entry;
	struct login login;
	const char *fault;

	if (account_name_set(wire_str(request->account), &login.account) != CHAT_OK)
		assert(false); /* requests_check() */
	if (!attempt_begin(c, LOGIN_KEY, frame->id))
		return;
	fault = key_fault(c, request, &login);
	entry = passwd_table_find(loop_thread_look(c->lt), account_bytes(&login.account));
	if (fault == NULL && entry == NULL)
		fault = "no_account";
	if (fault == NULL && entry->locked)
		fault = "locked";
	if (fault != NULL)
		attempt_failed(c, account_bytes(&login.account), fault);
	else
		key_was_right(c, &login, entry);
}

/* ---- what the engine says of them ---- */

static void
send_password_ok(struct conn *c, const struct outcome *outcome)
{
	Chat__V1__ServerFrame answer = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__PasswordOk body = CHAT__V1__PASSWORD_OK__INIT;

	body.has_identity = outcome->password_ok.has_identity;
	body.has_recovery = outcome->password_ok.has_recovery;
	body.card = wire_from_bytes(outcome->password_ok.card);
	answer.body_case = CHAT__V1__SERVER_FRAME__BODY_PASSWORD_OK;
	answer.password_ok = &body;
	session_send(c, outcome->request_id, &answer);
}

static void
send_login_ok(struct conn *c, const struct outcome *outcome)
{
	Chat__V1__ServerFrame answer = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__LoginOk body = CHAT__V1__LOGIN_OK__INIT;

	body.card = wire_from_bytes(outcome->login_ok.card);
	body.bag_version = outcome->login_ok.bag_version;
	body.sessions = outcome->login_ok.sessions;
	answer.body_case = CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK;
	answer.login_ok = &body;
	session_send(c, outcome->request_id, &answer);
}

static void
login_was_good(struct conn *c, const struct outcome *outcome)
{
	c->member_id = outcome->login_ok.member_id;
	memcpy(c->ed_pk, outcome->login_ok.ed_pk, sizeof c->ed_pk);
	login_delay_right(c->lt->shared->login_delay, account_bytes(&c->account));
	audit_login(&c->peer, account_bytes(&c->account), outcome->login_ok.sessions);
	session_login_end(c);
	send_login_ok(c, outcome);
	if (c->state == CONN_OPEN)
		conn_set_phase(c, PHASE_READY);
}

static void
login_was_refused(struct conn *c, const struct outcome *outcome)
{
	/* What anybody may cause with a name alone is told late; the rest only those hear whose proof was
	 * right. */
	struct account_name account = c->account;

	if (outcome->error.err == CHAT_ERR_LOGIN_REFUSED) {
		attempt_failed(c, account_bytes(&account), "not_this_identity");
		return;
	}
	audit_login_refused(
	    &c->peer, account_bytes(&c->account), "key", chat_err_name(outcome->error.err), 0);
	session_login_end(c);
	session_send_outcome_error(c, outcome);
}

bool
session_login_outcome(struct conn *c, struct outcome *outcome)
{
	if ((c->login.kind != LOGIN_PASSWORD && c->login.kind != LOGIN_KEY) || outcome->request_id == 0 ||
	    outcome->request_id != c->login.request_id)
		return false;
	switch (outcome->type) {
	case OUT_PASSWORD_OK:
		audit_password_right(&c->peer, account_bytes(&c->account));
		session_login_end(c);
		send_password_ok(c, outcome);
		if (c->state == CONN_OPEN)
			conn_set_phase(c, PHASE_PASSWORD);
		return true;
	case OUT_LOGIN_OK:
		login_was_good(c, outcome);
		return true;
	case OUT_ERROR:
		login_was_refused(c, outcome);
		return true;
	case OUT_OK:
	case OUT_POSTED:
	case OUT_FRAME:
	case OUT_SUBSCRIBED:
	case OUT_VIEW:
	case OUT_END:
	case OUT_CLOSE:
	case OUT_READ:
	case OUT_ENTRIES:
	case OUT_STATUS:
		break;
	}
	/* The engine had no memory to say what it meant. */
	attempt_busy(c);
	return true;
}
