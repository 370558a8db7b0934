/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/conn.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container.h"
#include "server/audit.h"
#include "server/loop_thread.h"
#include "server/session.h"
#include "server/sub.h"
#include "tls/tls.h"

static void on_timer(struct wheel_timer *timer);

static uint64_t
now_ms(const struct conn *c)
{
	return loop_now(c->lt->loop).mono_ms;
}

/* ---- what is waited for, and until when ---- */

uint64_t
conn_throttle_ms(const struct conn *c)
{
	const struct server_limits *limits = c->lt->limits;
	uint64_t wait_ms, waited_ms;

	if (c->units >= 0)
		return 0;
	wait_ms = (uint64_t)-c->units / limits->request_units_per_ms + 1;
	waited_ms = now_ms(c) - c->units_ms;
	return wait_ms > waited_ms ? wait_ms - waited_ms : 0;
}

static bool
reads_are_full(const struct conn *c)
{
	for (size_t i = 0; i < ANSWER_READS_PER_CONN; i++)
		if (c->read_ids[i] == 0)
			return false;
	return true;
}

bool
conn_may_take(const struct conn *c)
{
	/* A login's answer decides what may be asked next. */
	bool login_under_way = c->login.kind == LOGIN_PASSWORD || c->login.kind == LOGIN_KEY;

	return c->state == CONN_OPEN && !c->lt->quiet && !login_under_way && !c->choked &&
	       c->under_way < REQUESTS_UNDER_WAY && !reads_are_full(c) && conn_throttle_ms(c) == 0;
}

/* The time limit of the state itself. */
static uint64_t
limit_ms(const struct conn *c)
{
	const struct server_limits *limits = c->lt->limits;

	switch (c->state) {
	case CONN_HANDSHAKE:
		return c->opened_ms + limits->handshake_timeout_ms;
	case CONN_OPEN:
		if (c->phase == PHASE_NEW)
			return c->since_ms + limits->hello_timeout_ms;
		if (c->phase == PHASE_READY)
			return c->heard_ms + limits->idle_timeout_ms;
		return c->since_ms + limits->login_timeout_ms;
	case CONN_CLOSING:
	case CONN_LINGER:
		return c->since_ms + CLOSING_TIMEOUT_MS;
	case CONN_GONE:
		break;
	}
	return NEVER_MS;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
deadline_ms(const struct conn *c)
{
	uint64_t deadline = limit_ms(c), throttle_ms;

	if (c->state != CONN_OPEN)
		return deadline;
	throttle_ms = conn_throttle_ms(c);
	if (throttle_ms > 0)
		deadline = earlier(deadline, now_ms(c) + throttle_ms);
	return earlier(deadline, earlier(session_next_ms(c), sub_next_ms(c)));
}

static uint32_t
interest(const struct conn *c)
{
	uint32_t events = 0;

	switch (c->state) {
	case CONN_HANDSHAKE:
		if (c->handshake_queued)
			return 0;
		return c->wants_write ? EPOLLOUT : EPOLLIN;
	case CONN_OPEN:
		if (conn_may_take(c))
			events |= c->wants_write ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN;
		if (c->out.bytes > 0 || tls_has_unsent(c->tls))
			events |= EPOLLOUT;
		return events;
	case CONN_CLOSING:
		return EPOLLOUT;
	case CONN_LINGER:
		return EPOLLIN;
	case CONN_GONE:
		break;
	}
	return 0;
}

void
conn_update(struct conn *c)
{
	if (c->state == CONN_GONE)
		return;
	wheel_set(loop_wheel(c->lt->loop), &c->timer, deadline_ms(c), on_timer);
	loop_mod(c->lt->loop, &c->lfd, interest(c));
}

void
conn_change_state(struct conn *c, enum conn_state state)
{
	c->state = state;
	c->since_ms = now_ms(c);
	c->wants_write = false;
	conn_update(c);
}

void
conn_set_phase(struct conn *c, enum phase phase)
{
	assert(c->state == CONN_OPEN);
	c->phase = phase;
	c->since_ms = c->heard_ms = now_ms(c);
	conn_touch(c);
}

void
conn_touch(struct conn *c)
{
	if (c->state != CONN_GONE)
		loop_defer(c->lt->loop, &c->flush_task, conn_on_flush);
}

static void
time_is_over(struct conn *c)
{
	switch (c->state) {
	case CONN_HANDSHAKE:
		audit_handshake_failed(&c->peer, "timeout", "the handshake was not completed in time");
		conn_drop(c, "handshake_timeout");
		break;
	case CONN_OPEN:
		if (c->phase == PHASE_READY)
			conn_goodbye(c, CHAT_OK, "Nothing was heard for too long.", 0, "idle");
		else if (c->phase == PHASE_NEW)
			conn_goodbye(c, CHAT_OK, "No hello came.", 0, "hello_timeout");
		else
			conn_goodbye(c, CHAT_OK, "The login took too long.", 0, "login_timeout");
		break;
	case CONN_CLOSING:
	case CONN_LINGER:
		conn_drop(c, "closing_timeout");
		break;
	case CONN_GONE:
		break;
	}
}

static void
on_timer(struct wheel_timer *timer)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, timer);
	uint64_t now = now_ms(c);

	if (now >= limit_ms(c)) {
		time_is_over(c);
		return;
	}
	if (c->state == CONN_OPEN)
		session_tick(c, now);
	conn_touch(c);
}

/* ---- the beginning and the end ---- */

static void
count_end(struct loop_thread *lt, const struct net_addr *peer)
{
	atomic_fetch_sub(&lt->conn_count, 1);
	if (lt->shared->connection_ended != NULL)
		lt->shared->connection_ended(lt->shared->ctx, peer);
}

void
conn_open(struct loop_thread *lt, int fd, const struct net_addr *peer)
{
	struct tls_transport transport = tls_transport_fd(fd);
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		goto fail;
	c->lt = lt;
	c->fd = fd;
	c->peer = *peer;
	c->phase = PHASE_NEW;
	c->opened_ms = c->since_ms = c->heard_ms = c->units_ms = now_ms(c);
	c->units = lt->limits->request_units_burst;
	c->login.refuse_ms = NEVER_MS;
	LIST_INIT(&c->subs);
	TAILQ_INIT(&c->wanting);
	if (lt->quiet || tls_server_new(lt->shared->identity, &transport, &lt->readahead, &c->tls) != CHAT_OK)
		goto fail;
	if (!loop_thread_enter(lt, c)) {
		audit_limit(peer, BYTES_EMPTY, "connections");
		goto fail;
	}
	if (loop_add(lt->loop, &c->lfd, fd, EPOLLIN, conn_on_fd) != CHAT_OK) {
		loop_thread_leave(lt, c);
		goto fail;
	}
	conn_change_state(c, CONN_HANDSHAKE);
	return;
fail:
	if (c != NULL)
		tls_conn_free(c->tls);
	free(c);
	close(fd);
	count_end(lt, peer);
}

static void
release(struct loop *loop, struct loop_fd *lfd)
{
	(void)loop;
	free(CONTAINER_OF(lfd, struct conn, lfd));
}

void
conn_drop(struct conn *c, const char *why)
{
	struct loop_thread *lt = c->lt;

	if (c->state == CONN_GONE)
		return;
	/* Of what never got through its handshake another line has told. */
	if (tls_handshake_done(c->tls))
		audit_disconnected(&c->peer, account_bytes(&c->account), c->why != NULL ? c->why : why,
		    (now_ms(c) - c->opened_ms) / 1000);
	session_end(c);
	c->state = CONN_GONE;
	wheel_cancel(loop_wheel(lt->loop), &c->timer);
	loop_cancel(lt->loop, &c->flush_task);
	loop_cancel(lt->loop, &c->again_task);
	if (c->handshake_queued)
		TAILQ_REMOVE(&lt->handshakes, c, handshake_link);
	loop_del(lt->loop, &c->lfd, release);
	tls_conn_free(c->tls);
	c->tls = NULL;
	close(c->fd);
	outq_clear(&c->out, &lt->outq_pool);
	buf_fini_secret(&c->in);
	loop_thread_leave(lt, c);
	count_end(lt, &c->peer);
	if (lt->finishing && TAILQ_EMPTY(&lt->conns))
		loop_stop(lt->loop);
}

void
conn_goodbye(struct conn *c, enum chat_err reason, const char *text, uint64_t retry_after_ms, const char *why)
{
	if (c->state == CONN_HANDSHAKE) {
		conn_drop(c, why);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	session_send_goodbye(c, reason, text, retry_after_ms);
	if (c->state != CONN_OPEN)
		return;
	c->why = why;
	session_end(c);
	buf_fini_secret(&c->in);
	c->stalled = false;
	conn_change_state(c, CONN_CLOSING);
	conn_touch(c);
}

void
conn_fault(struct conn *c, uint64_t id, const char *request, enum chat_err err, const char *text)
{
	audit_protocol_error(&c->peer, account_bytes(&c->account), request, err, text);
	session_send_error(c, id, err, text);
	conn_goodbye(c, err, text, 0, "protocol_error");
}
