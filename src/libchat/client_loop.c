/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The client's thread: its states, its turn, and what it gives out. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libchat/client.h"
#include "libchat/thread.h"
#include "tls/tls.h"

void
client_change_state(struct chat_client *c, enum client_state state, uint64_t deadline_ms)
{
	c->state = state;
	c->deadline_ms = deadline_ms;
}

void
client_emit(struct chat_client *c, struct chat_event *event)
{
	if (event)
		STAILQ_INSERT_TAIL(&c->own, event, link);
}

/* ---- how it ends ---- */

void
client_fail(struct chat_client *c, enum chat_err err, const char *text, const char *mend)
{
	if (c->state >= CLIENT_FAILING)
		return;
	client_line_close(c);
	c->end.err = err;
	event_set_error(c->failed_event, err, text, mend);
	client_change_state(c, CLIENT_FAILING, NEVER_MS);
}

void
client_lost(struct chat_client *c, enum chat_err err, bool final, const char *text, const char *mend,
    uint64_t retry_ms)
{
	uint64_t now_ms = clock_mono_ms(), wait_ms;
	struct chat_event *event;

	if (final || c->config.no_reconnect) {
		client_fail(c, err, text, mend);
		return;
	}
	if (c->ready_ms)
		backoff_stood(&c->backoff, now_ms - c->ready_ms);
	c->ready_ms = 0;
	client_line_close(c);
	wait_ms = backoff_next_ms(&c->backoff, retry_ms);
	event = event_new(CHAT_EVENT_DISCONNECTED);
	if (event) {
		event_set_error(event, err, text, mend);
		event->number = wait_ms;
	}
	client_emit(c, event);
	client_change_state(c, CLIENT_PAUSING, now_ms + wait_ms);
}

/* After FAILED: what is still open ends with the same error. */
static void
end_requests(struct chat_client *c)
{
	struct request_list left = STAILQ_HEAD_INITIALIZER(left);
	struct request *request;

	request_queue_close(&c->requests);
	session_abandon(c->session, c->end.err);
	request_queue_take(&c->requests, &left);
	while ((request = STAILQ_FIRST(&left))) {
		STAILQ_REMOVE_HEAD(&left, link);
		if (request->done) {
			event_set_error(request->done, c->end.err, NULL, NULL);
			client_emit(c, request->done);
			request->done = NULL;
		}
		request_free(request);
	}
}

/* ---- what is given out ---- */

void
client_publish(struct chat_client *c)
{
	struct view *view;

	if (!c->view_dirty || view_make(c->session, c->view.view, &c->stale, &view) != CHAT_OK)
		return;
	view->connected = session_ready(c->session);
	view->has_fingerprint = c->has_peer;
	view->fingerprint = c->peer;
	view_slot_put(&c->view, view);
	c->stale = (struct view_stale){.count = 0};
	c->view_dirty = false;
}

/* What an event of the session's means to the client itself. */
static void
note_event(struct chat_client *c, const struct chat_event *event)
{
	if (event->type == CHAT_EVENT_PASSWORD_NEEDED)
		request_queue_ask_password(&c->requests, true);
	else if (event->type == CHAT_EVENT_SYNCED)
		c->stale.all = true;
	else if (event->has_room && event->type != CHAT_EVENT_MESSAGE && event->type != CHAT_EVENT_DONE &&
		 event->type != CHAT_EVENT_QUEUED && !(event->flags & CHAT_FLAG_HISTORY))
		view_stale_add(&c->stale, &event->room);
}

/* Moves up to `room` events of the session's behind `out`; returns whether it has no more. */
static bool
take_events(struct chat_client *c, size_t room, struct event_queue *out)
{
	struct chat_event *event;

	for (size_t i = 0; i < room; i++) {
		event = session_next_event(c->session);
		if (!event)
			return true;
		if (c->failed_told && event->type != CHAT_EVENT_DONE) {
			event_free(event);
			continue;
		}
		note_event(c, event);
		STAILQ_INSERT_TAIL(out, event, link);
	}
	return false;
}

/* Gives out what there is room for: the session's events, then ours.  What they tell of is published before.
 */
static void
give_some(struct chat_client *c, size_t room, bool *ret_drained)
{
	struct event_queue out = STAILQ_HEAD_INITIALIZER(out);
	bool drained = take_events(c, room, &out);
	struct chat_event *event;
	size_t ended = 0;

	if (drained)
		STAILQ_CONCAT(&out, &c->own);
	if (drained && c->state == CLIENT_FAILING && !c->failed_told) {
		STAILQ_INSERT_TAIL(&out, c->failed_event, link);
		c->failed_event = NULL;
		c->failed_told = true;
		end_requests(c);
		drained = false;
	}
	STAILQ_FOREACH (event, &out, link)
		ended += event->type == CHAT_EVENT_DONE;
	client_publish(c);
	request_queue_ended(&c->requests, ended);
	event_box_put(&c->box, &out);
	*ret_drained = drained;
}

static void
give_events(struct chat_client *c)
{
	bool drained = false;
	size_t room;

	/* Room that came meanwhile is used at once: only who finds none is woken when there is some. */
	while ((room = event_box_room(&c->box)) > 0 && !drained)
		give_some(c, room, &drained);
	c->starved = room == 0;
	client_publish(c);
	if (drained && c->failed_told) {
		event_box_close(&c->box);
		client_change_state(c, CLIENT_ENDED, NEVER_MS);
	}
}

/* ---- a turn ---- */

static void
begin_connecting(struct chat_client *c, uint64_t now_ms, bool tell)
{
	struct chat_event *event = tell ? event_new(CHAT_EVENT_CONNECTING) : NULL;

	if (event)
		event_set_text(event, BYTES_STR(c->server_shown));
	client_emit(c, event);
	connector_start(c->connector, now_ms);
	client_change_state(c, CLIENT_CONNECTING, NEVER_MS);
}

static void
ask_trust(struct chat_client *c, uint64_t now_ms)
{
	struct chat_event *event = event_new(CHAT_EVENT_SERVER_UNKNOWN);
	char hex[DIGEST_HEX_CHARS + 1];

	if (event) {
		digest_hex(connector_peer(c->connector), hex);
		event_set_text(event, BYTES_STR(hex));
	}
	if (!event || event->failed) {
		event_free(event);
		client_lost(c, CHAT_ERR_NOMEM, false, chat_strerror(CHAT_ERR_NOMEM), NULL, 0);
		return;
	}
	request_queue_ask_trust(&c->requests);
	client_emit(c, event);
	c->asked_ms = now_ms;
	client_change_state(c, CLIENT_ASKING, NEVER_MS);
}

static void
step_connecting(struct chat_client *c, struct now now)
{
	const struct connect_failure *failure;

	switch (connector_step(c->connector, now.mono_ms)) {
	case CONNECT_WAIT:
		break;
	case CONNECT_ASK:
		ask_trust(c, now.mono_ms);
		break;
	case CONNECT_DONE:
		client_line_begin(c, now);
		break;
	case CONNECT_FAILED:
		failure = connector_failure(c->connector);
		client_lost(
		    c, failure->err, failure->final, failure->text, *failure->mend ? failure->mend : NULL, 0);
		break;
	}
}

static void
step_asking(struct chat_client *c, struct now now)
{
	bool agree;

	if (!request_queue_take_trust(&c->requests, &agree))
		return;
	connector_answer(c->connector, agree);
	client_change_state(c, CLIENT_CONNECTING, NEVER_MS);
	if (connector_step(c->connector, now.mono_ms) == CONNECT_DONE &&
	    now.mono_ms - c->asked_ms > c->tuning.trust_fresh_ms)
		begin_connecting(c, now.mono_ms, false);
	step_connecting(c, now);
}

static void
take_requests(struct chat_client *c, struct now now)
{
	struct request_list list = STAILQ_HEAD_INITIALIZER(list);
	struct request *request;
	uint8_t *password;
	size_t len;

	request_queue_take(&c->requests, &list);
	while ((request = STAILQ_FIRST(&list))) {
		STAILQ_REMOVE_HEAD(&list, link);
		c->view_dirty = true;
		request_run(request, c->session, now);
	}
	if (request_queue_take_password(&c->requests, &password, &len)) {
		/* Nobody wants it any more if the connection went meanwhile: then it is asked for again. */
		enum chat_err err = session_give_password(c->session, BYTES(password, len), now);

		(void)err;
		freezero(password, len);
	}
}

static void
take_work(struct chat_client *c, struct now now)
{
	struct work *work;

	while ((work = worker_pool_take(&c->workers))) {
		c->view_dirty = true;
		session_work_done(c->session, work, now);
	}
}

static void
pass_time(struct chat_client *c, struct now now)
{
	if (now.mono_ms < session_next_deadline_ms(c->session))
		return;
	c->view_dirty = true;
	if (c->state == CLIENT_ONLINE && !client_line_reads(c) &&
	    now.mono_ms - c->heard_ms >= c->tuning.silence_ms) {
		c->heard_ms = now.mono_ms;
		session_receive(c->session, BYTES("", 0), now);
	} else {
		session_tick(c->session, now);
	}
}

static void
turn(struct chat_client *c)
{
	struct now now = clock_now();
	struct work *work;

	wake_fd_clear(c->wake_fd);
	if (c->state < CLIENT_FAILING || !c->failed_told)
		take_requests(c, now);
	take_work(c, now);
	switch (c->state) {
	case CLIENT_PAUSING:
		if (now.mono_ms >= c->deadline_ms && !c->starved && STAILQ_EMPTY(&c->own))
			begin_connecting(c, now.mono_ms, true);
		break;
	case CLIENT_CONNECTING:
		step_connecting(c, now);
		break;
	case CLIENT_ASKING:
		step_asking(c, now);
		break;
	case CLIENT_ONLINE:
		client_line_read(c);
		break;
	case CLIENT_CLOSING:
	case CLIENT_FAILING:
	case CLIENT_ENDED:
		break;
	}
	pass_time(c, now);
	while ((work = session_next_work(c->session)))
		worker_pool_add(&c->workers, work);
	client_line_write(c);
	client_line_check_end(c);
	if (c->ready_ms == 0 && session_ready(c->session))
		c->ready_ms = now.mono_ms;
	give_events(c);
}

/* ---- waiting ---- */

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int
timeout_of(const struct chat_client *c)
{
	uint64_t deadline = session_next_deadline_ms(c->session), now_ms = clock_mono_ms();

	if (c->state == CLIENT_CONNECTING)
		deadline = earlier(deadline, connector_deadline_ms(c->connector));
	/* A pause that is over waits for the program to take events. */
	if (c->state != CLIENT_PAUSING || !(c->starved || !STAILQ_EMPTY(&c->own)))
		deadline = earlier(deadline, c->deadline_ms);
	if (client_line_reads(c) && tls_pending(c->line.tls))
		return 0;
	if (deadline == NEVER_MS)
		return -1;
	if (deadline <= now_ms)
		return 0;
	return deadline - now_ms > 3600000 ? 3600000 : (int)(deadline - now_ms);
}

static void
wait_for_something(struct chat_client *c)
{
	struct pollfd fds[1 + CONNECT_ADDRESSES_MAX];
	short interest = client_line_interest(c);
	size_t n = 0;

	fds[n++] = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
	if (c->state == CLIENT_CONNECTING)
		n += connector_poll(c->connector, fds + n);
	/* Without any interest it is left out: a hang-up would be reported again and again. */
	else if (interest)
		fds[n++] = (struct pollfd){.fd = c->line.fd, .events = interest};
	(void)poll(fds, (nfds_t)n, timeout_of(c));
}

/* Sends what the session still has to say, and close_notify, as far as the time allowed goes. */
static void
say_goodbye(struct chat_client *c)
{
	uint64_t end_ms = clock_mono_ms() + c->tuning.goodbye_ms, now_ms;

	if (c->line.fd < 0)
		return;
	client_line_write(c);
	while (!c->write_broken && (session_output(c->session).len || tls_has_unsent(c->line.tls)) &&
	       (now_ms = clock_mono_ms()) < end_ms) {
		struct pollfd p = {.fd = c->line.fd, .events = POLLOUT};

		(void)poll(&p, 1, (int)(end_ms - now_ms));
		client_line_write(c);
	}
	if (!c->write_broken)
		(void)!tls_bye(c->line.tls);
	client_line_close(c);
}

void *
client_thread(void *arg)
{
	struct chat_client *c = arg;

	while (c->state != CLIENT_ENDED && !request_queue_stopped(&c->requests)) {
		turn(c);
		if (c->state != CLIENT_ENDED)
			wait_for_something(c);
	}
	say_goodbye(c);
	return NULL;
}
