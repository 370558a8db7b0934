/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/connect.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tls/tls_pins.h"

const struct connect_timing connect_timing_default = {
    .resolve_ms = 20000, .connect_ms = 15000, .stagger_ms = 250, .handshake_ms = 10000};

enum state {
	STATE_IDLE,
	STATE_RESOLVING,
	STATE_CONNECTING,
	STATE_HANDSHAKING,
	STATE_ASKING,
	STATE_DONE,
	STATE_FAILED,
};

struct connector {
	/* immutable after connector_new() */
	struct connect_config config;
	char shown[SERVER_NAME_CHARS];

	enum state state;
	uint64_t deadline_ms; /* of the state */
	struct resolve *resolve;
	const struct addrinfo *next;      /* the next address to try; borrowed from resolve */
	uint64_t next_at_ms;              /* when, if nothing happens before */
	int tries[CONNECT_ADDRESSES_MAX]; /* sockets that are connecting; the first try_count */
	size_t try_count;
	int last_errno; /* of the last address that failed */
	struct connect_line line;
	short interest; /* of the handshake: POLLIN or POLLOUT */
	struct digest peer;
	struct connect_failure failure;
};

static void
close_tries(struct connector *c)
{
	for (size_t i = 0; i < c->try_count; i++)
		(void)close(c->tries[i]);
	c->try_count = 0;
}

static void
close_line(struct connector *c)
{
	tls_conn_free(c->line.tls);
	if (c->line.fd >= 0)
		(void)close(c->line.fd);
	c->line = (struct connect_line){.fd = -1};
}

/* Sets the state, its deadline, and lets go of what only the one before needed. */
static void
change_state(struct connector *c, enum state state, uint64_t deadline_ms)
{
	if (state != STATE_RESOLVING && state != STATE_CONNECTING) {
		close_tries(c);
		resolve_free(c->resolve);
		c->resolve = NULL;
		c->next = NULL;
	}
	if (state == STATE_IDLE || state == STATE_FAILED)
		close_line(c);
	c->state = state;
	c->deadline_ms = deadline_ms;
}

static void fail(struct connector *c, enum chat_err err, bool final, const char *fmt, ...) PRINTF_LIKE(4, 5);

static void
fail(struct connector *c, enum chat_err err, bool final, const char *fmt, ...)
{
	va_list ap;

	change_state(c, STATE_FAILED, NEVER_MS);
	c->failure = (struct connect_failure){.err = err, .final = final};
	va_start(ap, fmt);
	(void)vsnprintf(c->failure.text, sizeof(c->failure.text), fmt, ap);
	va_end(ap);
}

enum chat_err
connector_new(const struct connect_config *config, struct connector **ret)
{
	struct connector *c = calloc(1, sizeof(*c));

	if (!c)
		return CHAT_ERR_NOMEM;
	c->config = *config;
	c->line.fd = -1;
	server_name_show(&config->server, c->shown);
	change_state(c, STATE_IDLE, NEVER_MS);
	*ret = c;
	return CHAT_OK;
}

void
connector_free(struct connector *c)
{
	if (!c)
		return;
	change_state(c, STATE_IDLE, NEVER_MS);
	free(c);
}

void
connector_start(struct connector *c, uint64_t mono_ms)
{
	change_state(c, STATE_IDLE, NEVER_MS);
	c->last_errno = 0;
	if (resolve_start(&c->config.server, &c->config.calls, &c->resolve) != CHAT_OK) {
		fail(c, CHAT_ERR_NOMEM, false, "%s: out of memory", c->shown);
		return;
	}
	change_state(c, STATE_RESOLVING, mono_ms + c->config.timing.resolve_ms);
}

/* ---- resolving ---- */

static void
step_resolving(struct connector *c, uint64_t mono_ms)
{
	const struct addrinfo *list;
	int rc;

	if (!resolve_result(c->resolve, &rc, &list)) {
		if (mono_ms >= c->deadline_ms)
			fail(c, CHAT_ERR_TIMEOUT, false, "%s: no answer from the name server",
			    c->config.server.host);
		return;
	}
	if (rc != 0) {
		fail(c, CHAT_ERR_CONNECT, false, "%s: %s", c->config.server.host, gai_strerror(rc));
		return;
	}
	c->next = list;
	c->next_at_ms = mono_ms;
	change_state(c, STATE_CONNECTING, mono_ms + c->config.timing.connect_ms);
}

/* ---- connecting ---- */

/* A socket that is connecting or connected; -1 with errno. */
static int
try_address(const struct addrinfo *address)
{
	const int on = 1;
	int saved, fd;

	fd = socket(
	    address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
	if (fd < 0)
		return -1;
	/* First: without it the handshake waits 20 to 44 ms for acknowledgements. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
	    (connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS ||
		errno == EINTR))
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

/* 0: connected; EINPROGRESS: not yet; else why not. */
static int
try_result(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int e = 0;
	socklen_t len = sizeof(e);

	if (poll(&p, 1, 0) == 0)
		return EINPROGRESS;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		return errno;
	return e;
}

static void
begin_handshake(struct connector *c, int fd, uint64_t mono_ms)
{
	struct tls_transport transport = tls_transport_fd(fd);

	c->line.fd = fd;
	if (tls_client_new(&transport, c->config.readahead, &c->line.tls) != CHAT_OK) {
		fail(c, CHAT_ERR_NOMEM, false, "%s: out of memory", c->shown);
		return;
	}
	c->interest = POLLOUT;
	change_state(c, STATE_HANDSHAKING, mono_ms + c->config.timing.handshake_ms);
}

static void
step_connecting(struct connector *c, uint64_t mono_ms)
{
	for (size_t i = 0; i < c->try_count;) {
		int fd = c->tries[i], e = try_result(fd);

		if (e == EINPROGRESS) {
			i++;
			continue;
		}
		c->tries[i] = c->tries[--c->try_count];
		if (e == 0) {
			begin_handshake(c, fd, mono_ms);
			return;
		}
		c->last_errno = e;
		c->next_at_ms = mono_ms;
		(void)close(fd);
	}
	while (c->next && mono_ms >= c->next_at_ms && c->try_count < CONNECT_ADDRESSES_MAX) {
		int fd = try_address(c->next);

		c->next = c->next->ai_next;
		if (fd < 0) {
			c->last_errno = errno;
			continue;
		}
		c->tries[c->try_count++] = fd;
		c->next_at_ms = mono_ms + c->config.timing.stagger_ms;
	}
	if (c->try_count == 0)
		fail(c, CHAT_ERR_CONNECT, false, "%s: %s", c->shown, strerror(c->last_errno));
	else if (mono_ms >= c->deadline_ms)
		fail(c, CHAT_ERR_TIMEOUT, false, "%s: no answer", c->shown);
}

/* ---- handshake and pin ---- */

static void
handshake_failed(struct connector *c)
{
	struct tls_conn *tls = c->line.tls;

	switch (tls_failure(tls)) {
	case TLS_FAILURE_NOT_TLS:
		fail(c, CHAT_ERR_TLS, false,
		    "%s: what answers there does not speak TLS; is it a chat-server?", c->shown);
		break;
	case TLS_FAILURE_VERSION:
		fail(c, CHAT_ERR_TLS, false, "%s: the server does not speak TLS 1.3", c->shown);
		break;
	case TLS_FAILURE_GOODBYE:
	case TLS_FAILURE_CUT:
		fail(c, CHAT_ERR_CLOSED, false, "%s: the server closed the connection before it was secure",
		    c->shown);
		break;
	case TLS_FAILURE_NOMEM:
		fail(c, CHAT_ERR_NOMEM, false, "%s: out of memory", c->shown);
		break;
	case TLS_FAILURE_ALERT:
		/* A server of TLS 1.2 finds no cipher suite of its own, and cannot say that it is too old. */
		fail(c, CHAT_ERR_TLS, false, "%s: the server refused TLS 1.3: %s", c->shown,
		    tls_error_text(tls));
		break;
	case TLS_FAILURE_NONE:
	case TLS_FAILURE_PROTOCOL:
	case TLS_FAILURE_IO:
		fail(c, CHAT_ERR_TLS, false, "%s: the TLS handshake failed: %s", c->shown,
		    tls_error_text(tls));
		break;
	}
}

static void
fail_changed(struct connector *c)
{
	char hex[DIGEST_HEX_CHARS + 1], port[SERVER_PORT_CHARS];
	const char *host = c->config.server.host;

	digest_hex(&c->peer, hex);
	if (c->config.fingerprint) {
		fail(c, CHAT_ERR_PEER_CHANGED, true,
		    "%s: the server's key is not the one demanded, but SHA256:%s", c->shown, hex);
		(void)snprintf(c->failure.mend, sizeof(c->failure.mend),
		    "ask the administrator of the server for its fingerprint");
		return;
	}
	server_name_port(&c->config.server, port);
	fail(c, CHAT_ERR_PEER_CHANGED, true,
	    "%s: the server's key has changed: somebody may be listening in, or the server was set up anew; "
	    "its key is now SHA256:%s",
	    c->shown, hex);
	(void)snprintf(
	    c->failure.mend, sizeof(c->failure.mend), "chat-client server forget %s %s", host, port);
}

static void
fail_pins(struct connector *c, enum chat_err err)
{
	int e = errno;

	fail(c, err, true, "%s: %s", c->config.pins_path,
	    err == CHAT_ERR_IO || err == CHAT_ERR_PERMISSION ? strerror(e) : chat_strerror(err));
}

/* Writes the pin, which makes the peer trusted. */
static void
pin_peer(struct connector *c)
{
	enum chat_err err =
	    tls_pins_add(c->config.pins_path, c->config.server.host, c->config.server.port, c->line.tls);

	if (err)
		fail_pins(c, err);
	else
		change_state(c, STATE_DONE, NEVER_MS);
}

static void
check_peer(struct connector *c)
{
	enum chat_err err = tls_peer_fingerprint(c->line.tls, &c->peer);

	if (!err && c->config.fingerprint)
		err = tls_pins_demand(c->config.fingerprint, c->line.tls);
	else if (!err)
		err = tls_pins_check(
		    c->config.pins_path, c->config.server.host, c->config.server.port, c->line.tls);
	if (err == CHAT_ERR_PEER_CHANGED)
		fail_changed(c);
	else if (err == CHAT_ERR_TLS || err == CHAT_ERR_NOMEM)
		fail(c, err, false, "%s: %s", c->shown, chat_strerror(err));
	else if (!err && !c->config.fingerprint)
		change_state(c, STATE_DONE, NEVER_MS);
	else if (!err || (err == CHAT_ERR_PEER_UNKNOWN && c->config.accept_new))
		pin_peer(c);
	else if (err == CHAT_ERR_PEER_UNKNOWN)
		change_state(c, STATE_ASKING, NEVER_MS);
	else
		fail_pins(c, err);
}

static void
step_handshaking(struct connector *c, uint64_t mono_ms)
{
	switch (tls_handshake(c->line.tls)) {
	case TLS_OK:
		check_peer(c);
		return;
	case TLS_WANT_READ:
		c->interest = POLLIN;
		break;
	case TLS_WANT_WRITE:
		c->interest = POLLOUT;
		break;
	case TLS_CLOSED:
	case TLS_FAILED:
		handshake_failed(c);
		return;
	}
	if (mono_ms >= c->deadline_ms)
		fail(c, CHAT_ERR_TIMEOUT, false,
		    "%s: the server took the connection and then said nothing; is it a chat-server?",
		    c->shown);
}

enum connect_step
connector_step(struct connector *c, uint64_t mono_ms)
{
	enum state before;

	do {
		before = c->state;
		if (before == STATE_RESOLVING)
			step_resolving(c, mono_ms);
		else if (before == STATE_CONNECTING)
			step_connecting(c, mono_ms);
		else if (before == STATE_HANDSHAKING)
			step_handshaking(c, mono_ms);
	} while (c->state != before);
	switch (c->state) {
	case STATE_ASKING:
		return CONNECT_ASK;
	case STATE_DONE:
		return CONNECT_DONE;
	case STATE_FAILED:
		return CONNECT_FAILED;
	case STATE_IDLE:
	case STATE_RESOLVING:
	case STATE_CONNECTING:
	case STATE_HANDSHAKING:
		break;
	}
	return CONNECT_WAIT;
}

size_t
connector_poll(const struct connector *c, struct pollfd ret[static CONNECT_ADDRESSES_MAX])
{
	size_t n = 0;

	if (c->state == STATE_RESOLVING)
		ret[n++] = (struct pollfd){.fd = resolve_fd(c->resolve), .events = POLLIN};
	else if (c->state == STATE_HANDSHAKING)
		ret[n++] = (struct pollfd){.fd = c->line.fd, .events = c->interest};
	else if (c->state == STATE_CONNECTING)
		for (size_t i = 0; i < c->try_count; i++)
			ret[n++] = (struct pollfd){.fd = c->tries[i], .events = POLLOUT};
	return n;
}

uint64_t
connector_deadline_ms(const struct connector *c)
{
	bool more = c->state == STATE_CONNECTING && c->next && c->try_count < CONNECT_ADDRESSES_MAX;

	return more && c->next_at_ms < c->deadline_ms ? c->next_at_ms : c->deadline_ms;
}

const struct digest *
connector_peer(const struct connector *c)
{
	return &c->peer;
}

void
connector_answer(struct connector *c, bool agree)
{
	assert(c->state == STATE_ASKING);
	if (agree)
		pin_peer(c);
	else
		fail(c, CHAT_ERR_PEER_UNKNOWN, true, "%s: the server was not agreed to", c->shown);
}

void
connector_take(struct connector *c, struct connect_line *ret)
{
	assert(c->state == STATE_DONE);
	*ret = c->line;
	c->line = (struct connect_line){.fd = -1};
	change_state(c, STATE_IDLE, NEVER_MS);
}

const struct connect_failure *
connector_failure(const struct connector *c)
{
	assert(c->state == STATE_FAILED);
	return &c->failure;
}
