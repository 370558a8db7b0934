/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/frame.h"
#include "proto/wire.h"
#include "server/outcome.h"
#include "server/session.h"

void
session_send(struct conn *c, uint64_t id, Chat__V1__ServerFrame *frame)
{
	struct frame_ref *ref;
	size_t len;

	frame->id = id;
	len = frame_server_bytes(frame);
	ref = frame_ref_new(len);
	if (ref == NULL) {
		conn_drop(c, "nomem");
		return;
	}
	frame_server_put(frame, ref->data, len);
	conn_send(c, ref);
}

void
session_send_ok(struct conn *c, uint64_t id)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Ok body = CHAT__V1__OK__INIT;

	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_OK;
	frame.ok = &body;
	session_send(c, id, &frame);
}

static void
send_error(struct conn *c, uint64_t id, enum chat_err err, const char *text, uint64_t retry_after_ms)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Error body = CHAT__V1__ERROR__INIT;

	body.code = error_to_wire(err);
	body.text = wire_from_str(text != NULL ? text : chat_strerror(err));
	body.retry_after_ms = retry_after_ms;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
	frame.error = &body;
	session_send(c, id, &frame);
}

void
session_send_error(struct conn *c, uint64_t id, enum chat_err err, const char *text)
{
	send_error(c, id, err, text, 0);
}

void
session_send_busy(struct conn *c, uint64_t id, uint64_t retry_after_ms)
{
	send_error(c, id, CHAT_ERR_BUSY, NULL, retry_after_ms);
}

void
session_send_goodbye(struct conn *c, enum chat_err reason, const char *text, uint64_t retry_after_ms)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Goodbye body = CHAT__V1__GOODBYE__INIT;

	body.reason = error_to_wire(reason);
	body.text = wire_from_str(text != NULL ? text : chat_strerror(reason));
	body.retry_after_ms = retry_after_ms;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_GOODBYE;
	frame.goodbye = &body;
	session_send(c, 0, &frame);
}

void
session_send_outcome_error(struct conn *c, const struct outcome *outcome)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Error body = CHAT__V1__ERROR__INIT;

	body.code = error_to_wire(outcome->error.err);
	body.text = wire_from_str(outcome->error.text);
	body.mend = wire_from_str(outcome->error.mend);
	body.index = outcome->error.index;
	if (outcome->error.has_current)
		body.current = wire_from_digest(&outcome->error.current);
	body.retry_after_ms = outcome->error.retry_after_ms;
	body.number = outcome->error.number;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
	frame.error = &body;
	session_send(c, outcome->request_id, &frame);
}

void
session_send_posted(struct conn *c, const struct outcome *outcome)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Posted body = CHAT__V1__POSTED__INIT;

	body.first_seq = outcome->posted.first_seq;
	body.count = outcome->posted.count;
	body.server_time_ms = outcome->posted.server_time_ms;
	body.hash = wire_from_digest(&outcome->posted.hash);
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_POSTED;
	frame.posted = &body;
	session_send(c, outcome->request_id, &frame);
}

void
session_send_resumed(struct conn *c, const struct outcome *outcome)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Resumed body = CHAT__V1__RESUMED__INIT;

	body.head_seq = outcome->subscribed.head_seq;
	body.head_hash = wire_from_digest(&outcome->subscribed.head_hash);
	body.oldest_whole_seq = outcome->subscribed.oldest_whole_seq;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_RESUMED;
	frame.resumed = &body;
	session_send(c, outcome->request_id, &frame);
}
