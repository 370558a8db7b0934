/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <stdlib.h>

#include "libchat/session_impl.h"
#include "proto/frame.h"
#include "proto/requests.h"

static void
call_free(struct call *call)
{
	buf_fini_secret(&call->frame);
	free(call);
}

/* Behind what is not sent yet; `from` may hold a password. */
static bool
append_out(struct chat_session *s, struct bytes from)
{
	struct buf grown = {0};

	if (s->out.cap - s->out.len < from.len) {
		/* By hand: realloc() would leave the old bytes behind. */
		if (buf_reserve(&grown, s->out.len + from.len + 4096) != CHAT_OK)
			return false;
		if (buf_append(&grown, s->out.data, s->out.len) != CHAT_OK) {
			buf_fini(&grown);
			return false;
		}
		buf_fini_secret(&s->out);
		s->out = grown;
	}
	s->said_ms = s->now.mono_ms;
	return buf_append(&s->out, from.data, from.len) == CHAT_OK;
}

static void
send_waiting(struct chat_session *s)
{
	struct call *call;

	while (s->calls_under_way < REQUESTS_UNDER_WAY && (call = TAILQ_FIRST(&s->calls_waiting)) != NULL) {
		if (!append_out(s, buf_bytes(&call->frame))) {
			(void)session_check(s, CHAT_ERR_NOMEM);
			return;
		}
		TAILQ_REMOVE(&s->calls_waiting, call, link);
		TAILQ_INSERT_TAIL(&s->calls, call, link);
		buf_fini_secret(&call->frame);
		s->calls_under_way++;
	}
}

void
call_make(struct chat_session *s, Chat__V1__ClientFrame frame, call_fn fn, struct room *room, void *ctx,
    uint64_t number)
{
	struct call *call;
	enum chat_err err;

	assert(s->login != LOGIN_NONE);
	if (s->ended)
		return;
	call = calloc(1, sizeof *call);
	if (call == NULL) {
		(void)session_check(s, CHAT_ERR_NOMEM);
		return;
	}
	call->id = session_new_id(s);
	call->fn = fn;
	call->room = room;
	call->ctx = ctx;
	call->number = number;
	call->want =
	    request_table[frame.request_case - CHAT__V1__CLIENT_FRAME__REQUEST_HELLO + REQUEST_HELLO].answer;
	frame.id = call->id;
	err = frame_encode_client(&frame, &call->frame);
	if (err != CHAT_OK) {
		call_free(call);
		(void)session_check(s, err);
		return;
	}
	TAILQ_INSERT_TAIL(&s->calls_waiting, call, link);
	send_waiting(s);
}

void
call_answered(struct chat_session *s, const Chat__V1__ServerFrame *frame)
{
	struct call *call;

	TAILQ_FOREACH (call, &s->calls, link)
		if (call->id == frame->id)
			break;
	if (call == NULL) {
		session_fail(s, CHAT_ERR_MALFORMED, false, "The server answered what was not asked.", NULL);
		return;
	}
	if (frame->body_case != call->want && frame->body_case != CHAT__V1__SERVER_FRAME__BODY_ERROR) {
		session_fail(s, CHAT_ERR_MALFORMED, false, "The server's answer is of the wrong type.", NULL);
		return;
	}
	TAILQ_REMOVE(&s->calls, call, link);
	s->calls_under_way--;
	send_waiting(s);
	if (call->fn != NULL)
		call->fn(s, call, frame);
	call_free(call);
}

void
calls_forget(struct chat_session *s, const void *ctx)
{
	struct call *call;

	TAILQ_FOREACH (call, &s->calls, link)
		if (call->ctx == ctx)
			call->fn = NULL;
	TAILQ_FOREACH (call, &s->calls_waiting, link)
		if (call->ctx == ctx)
			call->fn = NULL;
}

void
calls_drop_all(struct chat_session *s)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&s->calls)) != NULL) {
		TAILQ_REMOVE(&s->calls, call, link);
		call_free(call);
	}
	while ((call = TAILQ_FIRST(&s->calls_waiting)) != NULL) {
		TAILQ_REMOVE(&s->calls_waiting, call, link);
		call_free(call);
	}
	s->calls_under_way = 0;
}

struct refusal
refusal_of(const Chat__V1__ServerFrame *frame)
{
	const Chat__V1__Error *error;

	if (frame->body_case != CHAT__V1__SERVER_FRAME__BODY_ERROR)
		return (struct refusal){.err = CHAT_OK, .text = "", .mend = ""};
	error = frame->error;
	return (struct refusal){
	    .err = error_from_wire(error->code),
	    .text = error->text,
	    .mend = error->mend,
	    .index = error->index,
	    .number = error->number,
	    .retry_after_ms = error->retry_after_ms,
	};
}

bool
refusal_is_passing(const struct refusal *refusal)
{
	return refusal->err == CHAT_ERR_BUSY || refusal->err == CHAT_ERR_RATE ||
	       refusal->err == CHAT_ERR_STORE_UNAVAILABLE || refusal->err == CHAT_ERR_INTERNAL;
}

#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS   8000

uint64_t
refusal_wait_ms(const struct refusal *refusal, unsigned tries)
{
	uint64_t wait = RETRY_FIRST_MS;

	for (unsigned i = 0; i < tries && wait < RETRY_MAX_MS; i++)
		wait *= 2;
	return refusal->retry_after_ms > wait ? refusal->retry_after_ms : wait;
}
