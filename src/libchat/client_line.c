/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The connection of a client while it stands: bytes between the socket, TLS and the session. */

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libchat/client.h"
#include "libchat/storage_sqlite.h"
#include "tls/tls.h"

#define READS_A_TURN 4 /* records; then what they brought is given out */

void
client_line_close(struct chat_client *c)
{
	if (c->line.fd < 0)
		return;
	tls_conn_free(c->line.tls);
	(void)close(c->line.fd);
	c->line = (struct connect_line){.fd = -1};
	session_disconnected(c->session, clock_now());
	request_queue_ask_password(&c->requests, false);
	c->view_dirty = true;
}

void
client_line_begin(struct chat_client *c, struct now now)
{
	uint8_t binding[LOGIN_BINDING_BYTES];
	enum chat_err err;

	c->has_peer = true;
	c->peer = *connector_peer(c->connector);
	connector_take(c->connector, &c->line);
	c->write_blocked = false;
	c->write_broken = false;
	c->ready_ms = 0;
	c->heard_ms = now.mono_ms;
	client_change_state(c, CLIENT_ONLINE, NEVER_MS);
	err = tls_export_binding(c->line.tls, binding);
	if (err) {
		client_lost(c, err, false, chat_strerror(err), NULL, 0);
		return;
	}
	session_connected(c->session, binding, now);
	c->view_dirty = true;
}

bool
client_line_reads(const struct chat_client *c)
{
	return c->state == CLIENT_ONLINE && !c->starved && !session_is_full(c->session) &&
	       !session_end(c->session);
}

short
client_line_interest(const struct chat_client *c)
{
	short interest = 0;

	if (client_line_reads(c))
		interest |= POLLIN;
	if (c->line.fd >= 0 && !c->write_broken && (c->write_blocked || tls_has_unsent(c->line.tls)))
		interest |= POLLOUT;
	return interest;
}

/* The server is gone, with or without a word of the session's about it. */
static void
line_cut(struct chat_client *c)
{
	const struct session_end *end = session_end(c->session);
	enum tls_failure failure = tls_failure(c->line.tls);
	char text[CONNECT_TEXT_CHARS];
	enum chat_err err = CHAT_ERR_CLOSED;

	if (end)
		return; /* client_line_check_end() has more to say */
	if (failure == TLS_FAILURE_GOODBYE) {
		(void)snprintf(text, sizeof(text), "%s: the server closed the connection", c->server_shown);
	} else if (failure == TLS_FAILURE_CUT) {
		(void)snprintf(text, sizeof(text), "%s: the connection was cut", c->server_shown);
	} else {
		err = failure == TLS_FAILURE_NOMEM ? CHAT_ERR_NOMEM : CHAT_ERR_TLS;
		(void)snprintf(text, sizeof(text), "%s: %s", c->server_shown, tls_error_text(c->line.tls));
	}
	client_lost(c, err, false, text, NULL, 0);
}

void
client_line_read(struct chat_client *c)
{
	for (int i = 0; i < READS_A_TURN && client_line_reads(c); i++) {
		struct now now = clock_now();
		size_t n;

		switch (tls_read(c->line.tls, c->in, sizeof(c->in), &n)) {
		case TLS_OK:
			c->heard_ms = now.mono_ms;
			c->view_dirty = true;
			session_receive(c->session, BYTES(c->in, n), now);
			break;
		case TLS_WANT_READ:
		case TLS_WANT_WRITE:
			return;
		case TLS_CLOSED:
		case TLS_FAILED:
			line_cut(c);
			return;
		}
	}
}

void
client_line_write(struct chat_client *c)
{
	if (c->line.fd < 0 || c->write_broken)
		return;
	for (;;) {
		struct bytes out = session_output(c->session);
		enum tls_result result;
		size_t n = 0;

		result = out.len ? tls_write(c->line.tls, out.data, out.len, &n) : tls_flush(c->line.tls);
		c->write_blocked = result == TLS_WANT_WRITE || result == TLS_WANT_READ;
		c->write_broken = result == TLS_CLOSED || result == TLS_FAILED;
		if (n)
			session_sent(c->session, n);
		if (result != TLS_OK || out.len == 0)
			return;
	}
}

/* The session knows that its storage failed; the storage knows where. */
static const char *
end_text(const struct chat_client *c, const struct session_end *end)
{
	const char *line = storage_sqlite_error(c->storage);

	return end->final && *line && (end->err == CHAT_ERR_IO || end->err == CHAT_ERR_CORRUPT) ? line
												: end->text;
}

void
client_line_check_end(struct chat_client *c)
{
	const struct session_end *end = session_end(c->session);
	bool flushed;

	if (!end || (c->line.fd < 0 && !end->final) || c->state >= CLIENT_FAILING)
		return;
	if (c->state != CLIENT_CLOSING) {
		c->end = (struct connect_failure){.err = end->err, .final = end->final};
		(void)snprintf(c->end.text, sizeof(c->end.text), "%s", end_text(c, end));
		(void)snprintf(c->end.mend, sizeof(c->end.mend), "%s", end->mend ? end->mend : "");
		c->end_retry_ms = end->retry_after_ms;
		client_change_state(c, CLIENT_CLOSING, clock_mono_ms() + c->tuning.goodbye_ms);
	}
	flushed = c->line.fd < 0 || c->write_broken ||
		  (session_output(c->session).len == 0 && !tls_has_unsent(c->line.tls));
	if (!flushed && clock_mono_ms() < c->deadline_ms)
		return;
	if (c->line.fd >= 0 && !c->write_broken)
		(void)!tls_bye(c->line.tls);
	client_lost(
	    c, c->end.err, c->end.final, c->end.text, *c->end.mend ? c->end.mend : NULL, c->end_retry_ms);
}
