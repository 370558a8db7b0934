/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/session.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "server/audit.h"
#include "server/engine_thread.h"
#include "server/loop_thread.h"
#include "server/outcome.h"
#include "server/read_run.h"
#include "server/sub.h"
#include "store/store.h"

/* What a client waits before it asks a busy server again. */
#define BUSY_RETRY_MS 500

/* ---- requests ---- */

static void
on_ping(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	Chat__V1__ServerFrame answer = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Pong body = CHAT__V1__PONG__INIT;

	body.unix_ms = loop_now(c->lt->loop).unix_ms;
	answer.body_case = CHAT__V1__SERVER_FRAME__BODY_PONG;
	answer.pong = &body;
	session_send(c, frame->id, &answer);
}

static const request_fn handlers[] = {
    [REQUEST_HELLO] = session_hello,
    [REQUEST_PASSWORD_LOGIN] = session_password_login,
    [REQUEST_KEY_LOGIN] = session_key_login,
    [REQUEST_PUBLISH_IDENTITY] = session_publish_identity,
    [REQUEST_GET_RECOVERY] = session_get_recovery,
    [REQUEST_GET_BAG] = session_get_bag,
    [REQUEST_PUT_RECOVERY] = session_put_recovery,
    [REQUEST_PUT_BAG] = session_put_bag,
    [REQUEST_PUBLISH_CARD] = session_publish_card,
    [REQUEST_GET_CARD] = session_get_card,
    [REQUEST_CHANGE_PASSWORD] = session_change_password,
    [REQUEST_WHO] = session_who,
    [REQUEST_PING] = on_ping,
    [REQUEST_GET_ROOMS] = session_get_rooms,
    [REQUEST_RESUME] = session_resume,
    [REQUEST_GET_HISTORY] = session_get_history,
    [REQUEST_GET_ROSTER] = session_get_roster,
    [REQUEST_GET_PREFIX] = session_get_prefix,
    [REQUEST_GET_WRAPS] = session_get_wraps,
    [REQUEST_STAGE_WRAPS] = session_stage_wraps,
    [REQUEST_POST_EVENTS] = session_post_events,
    [REQUEST_POST_MESSAGE] = session_post_message,
    [REQUEST_POST_REWRAPS] = session_post_rewraps,
    [REQUEST_ASK_REWRAP] = session_ask_rewrap,
    [REQUEST_SET_CURSOR] = session_set_cursor,
    [REQUEST_OFFER_ENTRIES] = session_offer_entries,
};
static_assert(ARRAY_LEN(handlers) == REQUEST_TYPE_COUNT, "a handler for each request");

void
session_request(struct conn *c, enum request_type type, const Chat__V1__ClientFrame *frame)
{
	handlers[type](c, frame);
}

/* ---- commands ---- */

struct command *
session_command(struct conn *c, enum command_type type, const Chat__V1__ClientFrame *frame, size_t body_len)
{
	struct command *cmd = command_new(type, c->ref, frame->id, body_len);

	if (cmd == NULL)
		conn_drop(c, "nomem");
	return cmd;
}

struct bytes
session_put(struct command *cmd, size_t *at, struct bytes from)
{
	struct bytes to = BYTES(cmd->body + *at, from.len);

	assert(from.len <= cmd->body_len - *at);
	if (from.len == 0)
		return BYTES_EMPTY;
	memcpy(cmd->body + *at, from.data, from.len);
	*at += from.len;
	return to;
}

bool
session_post(struct conn *c, struct command *cmd)
{
	uint64_t id = cmd->request_id;
	enum chat_err err = engine_thread_post(c->lt->shared->engine, cmd);

	if (err == CHAT_OK) {
		c->under_way++;
		return true;
	}
	command_free(cmd);
	if (err == CHAT_ERR_BUSY) {
		audit_limit(&c->peer, account_bytes(&c->account), "engine_queue");
		session_send_busy(c, id, BUSY_RETRY_MS);
	} else {
		session_send_error(c, id, CHAT_ERR_SHUTDOWN, NULL);
	}
	return false;
}

bool
session_post_write(struct conn *c, struct command *cmd)
{
	if (!store_is_congested(c->lt->shared->store))
		return session_post(c, cmd);
	audit_limit(&c->peer, account_bytes(&c->account), "store_wal");
	session_send_busy(c, cmd->request_id, BUSY_RETRY_MS);
	command_free(cmd);
	return false;
}

/* ---- outcomes ---- */

void
session_outcome(struct conn *c, struct outcome *outcome)
{
	/* A push has no request to end. */
	if (outcome->request_id != 0)
		conn_request_done(c, outcome->request_id);
	if (session_login_outcome(c, outcome))
		return;
	switch (outcome->type) {
	case OUT_ERROR:
		session_send_outcome_error(c, outcome);
		break;
	case OUT_OK:
		session_send_ok(c, outcome->request_id);
		break;
	case OUT_POSTED:
		staging_posted(&c->staging, outcome->request_id);
		session_send_posted(c, outcome);
		break;
	case OUT_FRAME:
		conn_send(c, outcome->frame);
		outcome->frame = NULL;
		break;
	case OUT_SUBSCRIBED:
		session_send_resumed(c, outcome);
		if (c->state == CONN_OPEN)
			sub_start(c, outcome);
		break;
	case OUT_VIEW:
		sub_set_view(c, outcome);
		break;
	case OUT_END:
		sub_set_end(c, outcome);
		break;
	case OUT_CLOSE:
		conn_goodbye(c, outcome->close.reason, NULL, 0, chat_err_name(outcome->close.reason));
		break;
	case OUT_PASSWORD_OK:
	case OUT_LOGIN_OK:
		break; /* of a login that is not waited for any more */
	case OUT_READ:
	case OUT_ENTRIES:
	case OUT_STATUS:
		assert(false); /* not for one connection */
	}
}

void
session_read_done(struct conn *c, struct read_result *result)
{
	conn_request_done(c, result->request_id);
	if (result->frames != NULL) {
		conn_send(c, result->frames);
		result->frames = NULL;
	} else {
		session_send_error(c, result->request_id, CHAT_ERR_STORE_UNAVAILABLE, NULL);
	}
}

/* ---- time, and the end ---- */

uint64_t
session_next_ms(const struct conn *c)
{
	uint64_t staged_ms = staging_next_ms(&c->staging);

	return staged_ms < c->login.refuse_ms ? staged_ms : c->login.refuse_ms;
}

void
session_tick(struct conn *c, uint64_t now_ms)
{
	staging_expire(&c->staging, now_ms);
	session_login_tick(c, now_ms);
}

void
session_end(struct conn *c)
{
	struct close_mail *close_mail = c->close_mail;

	session_login_end(c);
	sub_end_all(c);
	staging_fini(&c->staging);
	c->close_mail = NULL;
	if (close_mail != NULL)
		engine_thread_close(c->lt->shared->engine, close_mail);
}
