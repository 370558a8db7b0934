/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_CONNECT_H
#define LIBCHAT_CONNECT_H

/*
 * From a host and a port to a TLS connection with a server whose key is agreed to: addresses, sockets,
 * handshake, pin. Nothing of it blocks: its owner polls what connector_poll() says until
 * connector_deadline_ms(), and calls connector_step().
 *
 * All addresses are tried: the next one when one fails, or gives no answer for a while, and the first that
 * connects is taken.
 *
 * What it is not: it knows no frames, does not ask the user, and does not try again.
 *
 * Threads: one at a time.
 */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "libchat/resolve.h"
#include "libchat/server_name.h"
#include "tls/tls.h"

#define CONNECT_ADDRESSES_MAX 8 /* at once; a name with more addresses has its first ones tried */
#define CONNECT_TEXT_CHARS    640

struct connect_timing {
	uint64_t resolve_ms;
	uint64_t connect_ms;   /* for all addresses together */
	uint64_t stagger_ms;   /* for one before the next is tried too (RFC 8305, 5: 250) */
	uint64_t handshake_ms; /* the server allows 10 s */
};
extern const struct connect_timing connect_timing_default;

struct connect_config {
	struct server_name server;
	const char *pins_path;            /* borrowed; outlives the connector */
	const struct digest *fingerprint; /* demanded; NULL: whatever is pinned.  Borrowed likewise. */
	bool accept_new;                  /* pin an unknown server without asking */
	struct connect_timing timing;
	struct resolve_calls calls;
	struct tls_readahead *readahead; /* borrowed; outlives the connections */
};

enum connect_step {
	CONNECT_WAIT,   /* call again when one of the descriptors is ready, or at the deadline */
	CONNECT_ASK,    /* an unknown server: connector_peer(), then connector_answer() */
	CONNECT_DONE,   /* connector_take() */
	CONNECT_FAILED, /* connector_failure() */
};

struct connect_failure {
	enum chat_err err;
	bool final; /* trying again would not help */
	char text[CONNECT_TEXT_CHARS];
	char mend[CONNECT_TEXT_CHARS]; /* or "" */
};

/* A connection as it is handed over; both are the new owner's, who ends them with tls_conn_free() and
 * close(). */
struct connect_line {
	int fd;
	struct tls_conn *tls;
};

struct connector;

enum chat_err
connector_new(const struct connect_config *config, struct connector **ret) MUST_USE; /* CHAT_ERR_NOMEM */
void connector_free(struct connector *c);                                            /* NULL is allowed */

/* Begins, giving up what was under way. */
void connector_start(struct connector *c, uint64_t mono_ms);
enum connect_step connector_step(struct connector *c, uint64_t mono_ms) MUST_USE;
/* Fills at most CONNECT_ADDRESSES_MAX and returns how many. */
size_t connector_poll(const struct connector *c, struct pollfd ret[static CONNECT_ADDRESSES_MAX]);
uint64_t connector_deadline_ms(const struct connector *c); /* NEVER_MS: none */

/* At CONNECT_ASK and CONNECT_DONE: the server's key. */
const struct digest *connector_peer(const struct connector *c);
/* At CONNECT_ASK: pins it, or fails.  The next step tells. */
void connector_answer(struct connector *c, bool agree);
/* At CONNECT_DONE. */
void connector_take(struct connector *c, struct connect_line *ret);
/* At CONNECT_FAILED; borrowed until connector_start(). */
const struct connect_failure *connector_failure(const struct connector *c);

#endif
