/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/unit.h"

#include "proto/answers.h"
#include "proto/frame.h"
#include "proto/wire.h"

/* Less than the longest packet of the loopback device would make every packet wait for a timer. */
#define NARROW_BYTES (128 * 1024)

/* ---- the line ---- */

static void
set_option(int fd, int level, int option, int value)
{
	assert_int_equal(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

static void
connect_with(struct peer *peer, struct host *host, const char *from, int rcvbuf)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(host_port(host))};
	struct sockaddr_in source = {.sin_family = AF_INET};

	memset(peer, 0, sizeof(*peer));
	peer->host = host;
	frame_arena_init(&peer->arena);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(peer->fd >= 0);
	if (rcvbuf > 0)
		set_option(peer->fd, SOL_SOCKET, SO_RCVBUF, rcvbuf);
	if (from != NULL) {
		/* Many connections: the port is chosen at connect(). */
		set_option(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		assert_int_equal(inet_pton(AF_INET, from, &source.sin_addr), 1);
		assert_int_equal(bind(peer->fd, (const void *)&source, sizeof(source)), 0);
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(peer->fd, (const void *)&to, sizeof(to)), 0);
	set_option(peer->fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void
peer_connect(struct peer *peer, struct host *host, const char *from)
{
	connect_with(peer, host, from, 0);
}

static void
wait_fd(const struct peer *peer, short events)
{
	struct pollfd pfd = {.fd = peer->fd, .events = events};
	int n;

	do
		n = poll(&pfd, 1, (int)host_patience_ms());
	while (n < 0 && errno == EINTR);
	if (n == 0)
		fail_msg("nothing from the server in time");
	assert_int_equal(n, 1);
}

bool
peer_readable(struct peer *peer, int timeout_ms)
{
	struct pollfd pfd = {.fd = peer->fd, .events = POLLIN};

	if (peer->in.len > 0 || (peer->tls != NULL && tls_pending(peer->tls)))
		return true;
	return poll(&pfd, 1, timeout_ms) == 1;
}

static ssize_t
pull(void *ctx, void *ret, size_t n)
{
	const struct peer *peer = ctx;
	ssize_t got = recv(peer->fd, ret, n, MSG_DONTWAIT);

	return got < 0 ? -errno : got;
}

static ssize_t
push(void *ctx, const void *from, size_t n)
{
	const struct peer *peer = ctx;
	ssize_t sent;

	if (peer->dribble && n > 1)
		n = 1;
	sent = send(peer->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

/* Waits for what TLS waits for; false: the connection is over. */
static bool
go_on(struct peer *peer, enum tls_result result)
{
	switch (result) {
	case TLS_OK:
		return true;
	case TLS_WANT_READ:
		wait_fd(peer, POLLIN);
		return true;
	case TLS_WANT_WRITE:
		wait_fd(peer, POLLOUT);
		return true;
	case TLS_CLOSED:
	case TLS_FAILED:
		peer->ended = true;
		peer->how = tls_failure(peer->tls);
		return false;
	}
	return false;
}

void
peer_handshake(struct peer *peer)
{
	struct tls_transport transport = {.pull = pull, .push = push, .ctx = peer};
	enum tls_result result;

	assert_ok(tls_client_new(&transport, NULL, &peer->tls));
	do
		result = tls_handshake(peer->tls);
	while (result != TLS_OK && go_on(peer, result));
	if (result != TLS_OK)
		fail_msg("handshake: %s", tls_error_text(peer->tls));
	tls_trust_peer(peer->tls);
}

void
peer_open(struct peer *peer, struct host *host)
{
	peer_connect(peer, host, NULL);
	peer_handshake(peer);
}

void
peer_open_narrow(struct peer *peer, struct host *host)
{
	connect_with(peer, host, NULL, NARROW_BYTES);
	peer_handshake(peer);
}

void
peer_close(struct peer *peer)
{
	tls_conn_free(peer->tls);
	peer->tls = NULL;
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	buf_fini(&peer->in);
	arena_fini(&peer->arena);
}

void
peer_reset(struct peer *peer)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	peer_close(peer);
}

void
peer_send_tcp(struct peer *peer, struct bytes b)
{
	while (b.len > 0) {
		ssize_t n = push(peer, b.data, b.len);

		if (n == -EAGAIN) {
			wait_fd(peer, POLLOUT);
			continue;
		}
		if (n < 0)
			return;
		b = BYTES(b.data + n, b.len - (size_t)n);
	}
}

void
peer_send_bytes(struct peer *peer, struct bytes b)
{
	enum tls_result result = TLS_OK;

	while (b.len > 0 && go_on(peer, result)) {
		size_t accepted = 0;

		result = tls_write(peer->tls, b.data, b.len, &accepted);
		if (result == TLS_OK)
			accepted = b.len;
		b = BYTES(b.data + accepted, b.len - accepted);
	}
	while (tls_has_unsent(peer->tls) && go_on(peer, result))
		result = tls_flush(peer->tls);
	/* It may have said why before it closed. */
	peer->ended = false;
}

size_t
peer_send_what_goes(struct peer *peer, struct bytes b)
{
	size_t accepted = 0;

	if (tls_has_unsent(peer->tls) && tls_flush(peer->tls) != TLS_OK)
		return 0;
	return tls_write(peer->tls, b.data, b.len, &accepted) == TLS_OK ? b.len : accepted;
}

size_t
peer_wait_tcp_end(struct peer *peer)
{
	char chunk[4096];
	size_t got = 0;
	ssize_t n;

	do {
		wait_fd(peer, POLLIN);
		n = pull(peer, chunk, sizeof(chunk));
		if (n > 0)
			got += (size_t)n;
	} while (n > 0 || n == -EAGAIN);
	return got;
}

/* ---- frames out ---- */

void
peer_send_frame_header(struct peer *peer, uint32_t body_bytes)
{
	uint8_t header[FRAME_HEADER_BYTES];

	be32_put(header, body_bytes);
	peer_send_bytes(peer, BYTES_ARRAY(header));
}

void
peer_send_frame(struct peer *peer, struct bytes body)
{
	peer_send_frame_header(peer, (uint32_t)body.len);
	peer_send_bytes(peer, body);
}

uint64_t
peer_encode(struct peer *peer, int request_case, const ProtobufCMessage *message, struct buf *into)
{
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;

	frame.id = ++peer->last_id;
	frame.request_case = (Chat__V1__ClientFrame__RequestCase)request_case;
	/* Every member of the oneof is a pointer to a message, whose base comes first. */
	frame.hello = (Chat__V1__Hello *)(uintptr_t)message;
	assert_ok(frame_encode_client(&frame, into));
	return frame.id;
}

uint64_t
peer_send(struct peer *peer, int request_case, const ProtobufCMessage *message)
{
	struct buf frame = {0};
	uint64_t id = peer_encode(peer, request_case, message, &frame);

	peer_send_bytes(peer, buf_bytes(&frame));
	buf_fini(&frame);
	return id;
}

/* ---- frames in ---- */

struct peer_room *
peer_room(struct peer *peer, const struct digest *room_id)
{
	for (size_t i = 0; i < peer->room_count; i++)
		if (digest_equal(&peer->rooms[i].room_id, room_id))
			return &peer->rooms[i];
	fail_msg("the peer does not follow this room");
	abort();
}

/* The entry is the next of its room; the room's hash goes on with it. */
static void
follow(struct peer *peer, const Chat__V1__Entry *entry)
{
	struct digest room_id = wire_digest(entry->room_id), hash = digest_zero;
	struct peer_room *at = peer_room(peer, &room_id);
	const struct digest *event_hash = NULL;
	struct message message;
	struct event event;

	assert_int_equal(entry->seq, at->head.seq + 1);
	if (entry->entry_hash.len > 0) {
		hash = wire_digest(entry->entry_hash);
		at->stubs++;
	} else if (entry->kind == ENTRY_EVENT) {
		assert_ok(event_decode(wire_bytes(entry->wire), &event));
		hash = log_entry_hash(ENTRY_EVENT, &event.event_hash, event.sig);
		event_hash = &event.event_hash;
	} else {
		assert_ok(message_decode(wire_bytes(entry->wire), &message));
		hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	}
	log_head_advance(&at->head, entry->server_time_ms, &hash, event_hash);
}

static bool
is_push(const Chat__V1__ServerFrame *frame)
{
	return frame->id == 0 && frame->body_case != CHAT__V1__SERVER_FRAME__BODY_ERROR;
}

static const Chat__V1__ServerFrame *
take(struct peer *peer, struct bytes body, size_t frame_bytes)
{
	const Chat__V1__ServerFrame *frame = NULL;
	struct request_fault fault;

	/* Decoded frames point into the arena, and that is reset here. */
	arena_reset(&peer->arena);
	assert_ok(frame_decode_server(body, &peer->arena, &frame));
	buf_drop(&peer->in, frame_bytes);
	if (answers_check(frame, &fault) != CHAT_OK)
		fail_msg("the server broke the protocol: %s", fault.text);
	if (!is_push(frame))
		return frame;
	assert_true((size_t)frame->body_case < PEER_PUSHES_MAX);
	peer->pushes[frame->body_case]++;
	if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ENTRY)
		follow(peer, frame->entry);
	else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_GOODBYE)
		peer->goodbye = frame->goodbye->reason;
	return frame;
}

const Chat__V1__ServerFrame *
peer_next(struct peer *peer)
{
	uint8_t chunk[16384];

	for (;;) {
		enum tls_result result;
		struct bytes body;
		size_t n = 0;
		enum chat_err err = frame_split(buf_bytes(&peer->in), FRAME_MAX_AFTER_LOGIN, &body, &n);

		if (err == CHAT_OK)
			return take(peer, body, n);
		assert_err(err, CHAT_ERR_AGAIN);
		if (peer->ended)
			return NULL;
		result = tls_read(peer->tls, chunk, sizeof(chunk), &n);
		if (result == TLS_OK)
			assert_ok(buf_append(&peer->in, chunk, n));
		else
			go_on(peer, result);
	}
}

const Chat__V1__ServerFrame *
peer_next_answer(struct peer *peer)
{
	const Chat__V1__ServerFrame *frame;

	do
		frame = peer_next(peer);
	while (frame != NULL && is_push(frame));
	return frame;
}

const Chat__V1__ServerFrame *
peer_answer(struct peer *peer, uint64_t id)
{
	const Chat__V1__ServerFrame *frame = peer_next_answer(peer);

	if (frame == NULL) {
		host_log_show(peer->host);
		fail_msg("the server closed the connection (%s) instead of answering, saying %s",
		    tls_failure_name(peer->how), chat_err_name(error_from_wire(peer->goodbye)));
	}
	if (frame->id != id && frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ERROR)
		fail_msg("answer to %ju instead of %ju: %s", (uintmax_t)frame->id, (uintmax_t)id,
		    frame->error->text);
	assert_int_equal(frame->id, id);
	return frame;
}

const Chat__V1__ServerFrame *
peer_ask(struct peer *peer, int request_case, const ProtobufCMessage *message)
{
	return peer_answer(peer, peer_send(peer, request_case, message));
}

enum chat_err
answer_err(const Chat__V1__ServerFrame *answer)
{
	if (answer->body_case != CHAT__V1__SERVER_FRAME__BODY_ERROR)
		return CHAT_OK;
	return error_from_wire(answer->error->code);
}

void
assert_answer(const Chat__V1__ServerFrame *answer, Chat__V1__ServerFrame__BodyCase body)
{
	if (answer->body_case == CHAT__V1__SERVER_FRAME__BODY_ERROR && body != answer->body_case)
		fail_msg("answered %s: %s", chat_err_name(answer_err(answer)), answer->error->text);
	assert_int_equal(answer->body_case, body);
}

void
peer_ping(struct peer *peer)
{
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;

	assert_answer(ASK(peer, PING, ping), ANSWER(PONG));
}

/* ---- ends ---- */

void
peer_expect_end(struct peer *peer)
{
	const Chat__V1__ServerFrame *frame = peer_next(peer);

	if (frame != NULL)
		fail_msg("the server says %d instead of closing", (int)frame->body_case);
}

void
peer_expect_goodbye(struct peer *peer, enum chat_err reason)
{
	const Chat__V1__ServerFrame *frame;

	do {
		frame = peer_next(peer);
		if (frame == NULL)
			fail_msg("the server closed without goodbye: %s", tls_failure_name(peer->how));
	} while (is_push(frame) && frame->body_case != CHAT__V1__SERVER_FRAME__BODY_GOODBYE);
	assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_GOODBYE);
	assert_err(error_from_wire(frame->goodbye->reason), reason);
	peer_expect_end(peer);
	assert_int_equal(peer->how, TLS_FAILURE_GOODBYE);
}

void
peer_expect_fault(struct peer *peer, uint64_t id, enum chat_err err)
{
	const Chat__V1__ServerFrame *answer = peer_answer(peer, id);

	assert_answer(answer, ANSWER(ERROR));
	assert_err(answer_err(answer), err);
	/* A person has to understand it, too. */
	assert_true(strlen(answer->error->text) > 0);
	peer_expect_goodbye(peer, err);
}

void
peer_wait_entries(struct peer *peer, const struct digest *room_id, uint64_t seq)
{
	const struct peer_room *at = peer_room(peer, room_id);

	while (at->head.seq < seq)
		if (peer_next(peer) == NULL)
			fail_msg("the server closed the connection: %s", tls_failure_name(peer->how));
}
