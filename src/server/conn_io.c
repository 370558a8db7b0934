/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/container.h"
#include "proto/frame.h"
#include "server/audit.h"
#include "server/conn.h"
#include "server/loop_thread.h"
#include "server/session.h"
#include "server/sub.h"
#include "tls/tls.h"

/* So many records of a connection are written in one turn; then it is another one's turn. */
#define WRITES_PER_TURN   4
#define DISCARDS_PER_TURN 16

static uint64_t
now_ms(const struct conn *c)
{
	return loop_now(c->lt->loop).mono_ms;
}

/* The connection has failed or ended beneath us. */
static void
drop_by_tls(struct conn *c)
{
	conn_drop(c, tls_failure_name(tls_failure(c->tls)));
}

/* ---- the handshake ---- */

/* Nothing is said any more, but the peer is to get what was: a reset would take it away. */
static void
linger(struct conn *c)
{
	if (shutdown(c->fd, SHUT_WR) < 0)
		conn_drop(c, "cut");
	else
		conn_change_state(c, CONN_LINGER);
}

static void
handshake_step(struct conn *c)
{
	enum tls_result result = tls_handshake(c->tls);
	struct tls_info info;

	switch (result) {
	case TLS_OK:
		info = tls_describe(c->tls);
		audit_connected(&c->peer, &info);
		c->heard_ms = now_ms(c);
		conn_change_state(c, CONN_OPEN);
		conn_touch(c);
		break;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		c->wants_write = result == TLS_WANT_WRITE;
		conn_update(c);
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		audit_handshake_failed(
		    &c->peer, tls_failure_name(tls_failure(c->tls)), tls_error_text(c->tls));
		if (result == TLS_FAILED && tls_failure(c->tls) != TLS_FAILURE_NOT_TLS)
			linger(c);
		else
			drop_by_tls(c);
		break;
	}
}

static void
queue_handshake(struct conn *c)
{
	if (c->handshake_queued)
		return;
	c->handshake_queued = true;
	TAILQ_INSERT_TAIL(&c->lt->handshakes, c, handshake_link);
	loop_next_turn(c->lt->loop, &c->lt->handshake_task, conn_on_handshakes);
	conn_update(c);
}

/* A step is 0.1 ms of asymmetric cryptography: a crowd that connects must not keep those who talk waiting. */
void
conn_on_handshakes(struct loop *loop, struct loop_task *task)
{
	struct loop_thread *lt = CONTAINER_OF(task, struct loop_thread, handshake_task);
	struct conn *c;

	for (unsigned i = 0; i < HANDSHAKES_PER_TURN && (c = TAILQ_FIRST(&lt->handshakes)) != NULL; i++) {
		TAILQ_REMOVE(&lt->handshakes, c, handshake_link);
		c->handshake_queued = false;
		handshake_step(c);
	}
	if (!TAILQ_EMPTY(&lt->handshakes))
		loop_next_turn(loop, task, conn_on_handshakes);
}

/* ---- in ---- */

static void
charge(struct conn *c, uint32_t cost)
{
	const struct server_limits *limits = c->lt->limits;
	uint64_t now = now_ms(c);
	int64_t refill = (int64_t)((now - c->units_ms) * limits->request_units_per_ms);

	c->units_ms = now;
	c->units = refill >= (int64_t)limits->request_units_burst - c->units
		       ? (int64_t)limits->request_units_burst
		       : c->units + refill;
	if (c->units >= 0 && c->units < (int64_t)cost)
		audit_limit(&c->peer, account_bytes(&c->account), "requests");
	c->units -= cost;
}

static size_t
frame_max(const struct conn *c)
{
	return c->phase == PHASE_READY ? FRAME_MAX_AFTER_LOGIN : FRAME_MAX_BEFORE_LOGIN;
}

static void
take_frame(struct conn *c, struct bytes body)
{
	struct arena *arena = &c->lt->arena;
	const Chat__V1__ClientFrame *frame;
	struct request_fault fault;
	enum request_type type;
	bool secret = c->phase != PHASE_READY;
	enum chat_err err;

	err = frame_decode_client(body, arena, &frame);
	if (err != CHAT_OK) {
		if (err == CHAT_ERR_NOMEM)
			conn_drop(c, "nomem");
		else
			conn_fault(c, 0, NULL, err, NULL);
		goto out;
	}
	err = requests_check(frame, c->phase, body.len, &type, &fault);
	if (err != CHAT_OK) {
		conn_fault(c, frame->id, NULL, fault.err, fault.text);
		goto out;
	}
	secret = secret || type == REQUEST_CHANGE_PASSWORD;
	charge(c, requests_cost(frame));
	session_request(c, type, frame);
out:
	if (secret)
		arena_reset_secret(arena);
	else
		arena_reset(arena);
}

/* Takes whole frames from the front, as long as more may be taken; returns how many bytes are done with. Once
 * the connection is not open any more nothing of `in` may be looked at. */
static size_t
take_frames(struct conn *c, struct bytes in)
{
	size_t used = 0, n;
	struct bytes body;
	enum chat_err err;

	c->stalled = false;
	while (used < in.len) {
		if (!conn_may_take(c)) {
			c->stalled = true;
			break;
		}
		err = frame_split(BYTES(in.data + used, in.len - used), frame_max(c), &body, &n);
		if (err == CHAT_ERR_AGAIN)
			break;
		if (err != CHAT_OK) {
			conn_fault(c, 0, NULL, err, "A frame is longer than it may be.");
			return in.len;
		}
		used += n;
		take_frame(c, body);
		if (c->state != CONN_OPEN)
			return in.len;
	}
	return used;
}

static void
take_buffered(struct conn *c)
{
	size_t used = take_frames(c, buf_bytes(&c->in));

	if (c->state != CONN_OPEN)
		return;
	buf_drop(&c->in, used);
	if (c->in.len == 0)
		buf_fini_secret(&c->in);
}

static void
take_bytes(struct conn *c, struct bytes in)
{
	size_t used = 0;

	if (c->in.len == 0)
		used = take_frames(c, in);
	if (c->state != CONN_OPEN || used == in.len)
		return;
	if (buf_append(&c->in, in.data + used, in.len - used) != CHAT_OK) {
		conn_drop(c, "nomem");
		return;
	}
	if (used == 0 && c->in.len > in.len)
		take_buffered(c);
}

static void
read_once(struct conn *c)
{
	size_t cap = LOOP_IN_BYTES, len = 0;
	struct loop_thread *lt = c->lt;
	enum tls_result result;
	bool secret = c->phase != PHASE_READY;

	/* A stranger gets no more of our memory than one frame. */
	if (secret)
		cap = FRAME_HEADER_BYTES + FRAME_MAX_BEFORE_LOGIN;
	result = tls_read(c->tls, lt->in, cap, &len);
	c->wants_write = result == TLS_WANT_WRITE;
	switch (result) {
	case TLS_OK:
		c->heard_ms = now_ms(c);
		take_bytes(c, BYTES(lt->in, len));
		if (secret)
			explicit_bzero(lt->in, len);
		break;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		drop_by_tls(c);
		break;
	}
}

/* Goes on with what was left, then with what has come. */
static void
work(struct conn *c, bool readable)
{
	if (c->stalled && conn_may_take(c))
		take_buffered(c);
	if (c->state == CONN_OPEN && !c->stalled && conn_may_take(c) && (readable || tls_pending(c->tls)))
		read_once(c);
	conn_touch(c);
}

static void
on_again(struct loop *loop, struct loop_task *task)
{
	(void)loop;
	work(CONTAINER_OF(task, struct conn, again_task), false);
}

/* Waits for the peer's end. */
static void
discard(struct conn *c)
{
	ssize_t n = 1;

	for (unsigned i = 0; i < DISCARDS_PER_TURN && n > 0; i++)
		n = recv(c->fd, c->lt->in, LOOP_IN_BYTES, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_drop(c, "closed");
}

void
conn_on_fd(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct conn *c = CONTAINER_OF(lfd, struct conn, lfd);

	(void)loop;
	switch (c->state) {
	case CONN_HANDSHAKE:
		queue_handshake(c);
		break;
	case CONN_OPEN:
		/* Of a line that is dead there is no end to the events, and what it has to say can wait no
		 * more. */
		if ((events & (EPOLLERR | EPOLLHUP)) != 0 && !conn_may_take(c))
			conn_drop(c, "cut");
		else
			work(c, (events & ~(uint32_t)EPOLLOUT) != 0 || c->wants_write);
		break;
	case CONN_CLOSING:
		if ((events & (EPOLLERR | EPOLLHUP)) != 0)
			conn_drop(c, "cut");
		else
			conn_touch(c);
		break;
	case CONN_LINGER:
		discard(c);
		break;
	case CONN_GONE:
		break;
	}
}

void
conn_request_done(struct conn *c, uint64_t id)
{
	/* The same id may have been given to several requests; then it does not matter which is which. */
	for (size_t i = 0; i < ANSWER_READS_PER_CONN; i++) {
		if (c->read_ids[i] == id) {
			c->read_ids[i] = 0;
			break;
		}
	}
	if (c->under_way > 0)
		c->under_way--;
	conn_touch(c);
}

/* ---- out ---- */

void
conn_send(struct conn *c, struct frame_ref *frame)
{
	if (c->state != CONN_OPEN) {
		frame_ref_unref(frame);
		return;
	}
	if (!outq_push(&c->out, &c->lt->outq_pool, frame)) {
		conn_drop(c, "nomem");
		return;
	}
	if (c->out.bytes > OUTBUF_CLOSE_BYTES) {
		audit_limit(&c->peer, account_bytes(&c->account), "outbuf");
		conn_drop(c, "too_slow");
		return;
	}
	if (c->out.bytes >= c->lt->limits->outbuf_high_bytes)
		c->choked = true;
	conn_touch(c);
}

bool
conn_has_room(const struct conn *c)
{
	return c->state == CONN_OPEN && !c->choked;
}

/* One record, one system call, for whatever has gathered; then perhaps another.  False: the connection is
 * gone. */
static bool
flush(struct conn *c)
{
	struct loop_thread *lt = c->lt;
	enum tls_result result = TLS_OK;
	size_t before = c->out.bytes;

	for (unsigned i = 0; i < WRITES_PER_TURN && c->out.bytes > 0 && result == TLS_OK; i++) {
		size_t n = outq_gather(&c->out, lt->out, OUT_GATHER_BYTES), accepted = n;

		result = tls_write(c->tls, lt->out, n, &accepted);
		if (result == TLS_OK)
			accepted = n;
		if (result == TLS_OK || result == TLS_WANT_WRITE)
			outq_consume(&c->out, &lt->outq_pool, accepted);
	}
	if (result == TLS_OK && c->out.bytes == 0 && tls_has_unsent(c->tls))
		result = tls_flush(c->tls);
	if (result == TLS_CLOSED || result == TLS_FAILED) {
		drop_by_tls(c);
		return false;
	}
	/* While it is not read it cannot be heard, so what it takes counts. */
	if (c->choked && c->out.bytes < before)
		c->heard_ms = now_ms(c);
	return true;
}

static void
say_bye(struct conn *c)
{
	if (c->out.bytes > 0)
		return;
	switch (tls_bye(c->tls)) {
	case TLS_OK:
		linger(c);
		break;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		drop_by_tls(c);
		break;
	}
}

void
conn_on_flush(struct loop *loop, struct loop_task *task)
{
	struct conn *c = CONTAINER_OF(task, struct conn, flush_task);

	if ((c->state == CONN_OPEN || c->state == CONN_CLOSING) && !flush(c))
		return;
	if (c->state == CONN_OPEN) {
		if (c->choked && c->out.bytes <= c->lt->limits->outbuf_low_bytes)
			c->choked = false;
		sub_pump(c);
		if (c->state == CONN_OPEN && conn_may_take(c) && (c->stalled || tls_pending(c->tls)))
			loop_next_turn(loop, &c->again_task, on_again);
	} else if (c->state == CONN_CLOSING) {
		say_bye(c);
	}
	conn_update(c);
}
