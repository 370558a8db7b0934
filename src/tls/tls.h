/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TLS_TLS_H
#define TLS_TLS_H

/*
 * One TLS connection, server's or client's, over a non-blocking socket or any other transport.
 *
 * TLS 1.3 only: AES-128-GCM first, X25519 first, no tickets, no resumption, no early data.  This folder alone
 * knows GnuTLS; none of its types is in a header that others read.  This module does not poll, has no
 * timeouts, knows no frames, and decides no trust: on a client, tls_peer_fingerprint() and tls_pins.h say
 * whose key it is, and tls_trust_peer() (or tls_pins_check()/tls_pins_add()) must come before the first
 * tls_read() or tls_write().
 *
 * Every step answers with one of five results.  Poll interest is computed from them and from the two
 * questions tls_has_unsent() (wait for writable) and tls_pending() (do not wait: read again, epoll will not
 * tell).  Polling is level-triggered: after a short read from the socket the next one is left to the next
 * event.
 *
 * Threads: a connection and its read-ahead buffer belong to one thread at a time; different ones are
 * independent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"

struct tls_conn;
struct tls_identity;

enum tls_result {
	TLS_OK,
	TLS_WANT_READ,  /* call again when the transport is readable */
	TLS_WANT_WRITE, /* call again when the transport is writable */
	TLS_CLOSED,     /* the peer said goodbye, or the line was cut: tls_failure() tells which; final */
	TLS_FAILED,     /* final; the rest is tls_failure() and tls_conn_free() */
};

/* Why a connection is TLS_CLOSED or TLS_FAILED. */
enum tls_failure {
	TLS_FAILURE_NONE,
	TLS_FAILURE_GOODBYE,  /* the peer's close_notify */
	TLS_FAILURE_CUT,      /* end of file or reset without it */
	TLS_FAILURE_NOT_TLS,  /* the first bytes are no TLS record; nothing was sent to the peer */
	TLS_FAILURE_VERSION,  /* the peer does not speak TLS 1.3 */
	TLS_FAILURE_ALERT,    /* the peer sent a fatal alert (another than about the version) */
	TLS_FAILURE_PROTOCOL, /* the peer broke the protocol, or nothing in common */
	TLS_FAILURE_IO,       /* the transport failed */
	TLS_FAILURE_NOMEM,
};

/*
 * What carries the bytes.  Both functions return the number of bytes moved, or -errno: -EAGAIN when they
 * would block.  pull returns 0 at the end of file; fewer bytes than asked for mean that there are no more
 * now, and it is not called again in the same tls_ function.
 */
struct tls_transport {
	ssize_t (*pull)(void *ctx, void *ret, size_t n);
	ssize_t (*push)(void *ctx, const void *from, size_t n);
	void *ctx; /* borrowed */
};

/* A connected non-blocking socket.  Borrowed: the caller closes it after tls_conn_free(). */
struct tls_transport tls_transport_fd(int fd);

/*
 * A read-ahead buffer, one per thread and shared by all its connections: one recv() then serves many records,
 * and an idle connection holds no buffer.  What a connection leaves unread in it (because its caller stopped
 * reading) stays its own: it is moved to the heap when another connection needs the buffer, and freed once
 * read.  The caller need not do anything about it but ask tls_pending().
 *
 * Must outlive every connection made with it.  Zero-initialise, then set data and cap.
 */
struct tls_readahead {
	uint8_t *data; /* borrowed from the caller; immutable while connections use it */
	size_t cap;    /* 16 to 64 KiB; also the most that a connection which is not read can hold back */

	struct tls_conn *holder; /* private: whose bytes are in data[start..end), if start < end */
	size_t start;
	size_t end;
};

/*
 * The identity is kept alive by the connection; transport->ctx and readahead are borrowed.  readahead may be
 * NULL: each record then takes two pulls.  CHAT_ERR_NOMEM.
 */
enum chat_err tls_server_new(struct tls_identity *identity, const struct tls_transport *transport,
    struct tls_readahead *readahead, struct tls_conn **ret_conn) MUST_USE;
enum chat_err tls_client_new(const struct tls_transport *transport, struct tls_readahead *readahead,
    struct tls_conn **ret_conn) MUST_USE;

/* Sends nothing: tls_bye() comes first where it should.  NULL is fine. */
void tls_conn_free(struct tls_conn *conn);

/* On TLS_FAILED an alert was sent to the peer as far as the transport took it, unless it does not speak TLS.
 */
enum tls_result tls_handshake(struct tls_conn *conn) MUST_USE;
bool tls_handshake_done(const struct tls_conn *conn);

/*
 * Reads 1 to cap bytes of application data, from as many records as are there.  TLS_OK: *ret_len > 0, and if
 * it is less than cap there is nothing more now, so the next read may wait for the next event unless
 * tls_pending(). Bytes that came before an end of the connection are delivered first.  Otherwise *ret_len is
 * untouched.
 */
enum tls_result tls_read(struct tls_conn *conn, void *ret, size_t cap, size_t *ret_len) MUST_USE;

/*
 * True if tls_read() would do something although the socket may not be readable: there is decrypted data,
 * unread input in the read-ahead buffer, or an end of the connection not yet told.
 */
bool tls_pending(const struct tls_conn *conn);

/*
 * Encrypts and sends; every 16 KiB make one record, and a shorter call makes a shorter one, so gather before
 * calling. TLS_OK: all of it is accepted.  TLS_WANT_WRITE: *ret_accepted bytes (perhaps 0) are accepted, the
 * rest is to be offered again later.  Accepted means: will be sent, the caller may reuse its memory; the end
 * of it may still be unsent, see tls_has_unsent().  *ret_accepted is set in these two cases only.
 *
 * Writing has an end of its own: it goes on after the peer's goodbye, and reading goes on when a write found
 * the line cut, so that what the peer said last can be read.
 */
enum tls_result tls_write(struct tls_conn *conn, const void *from, size_t len, size_t *ret_accepted) MUST_USE;

/* True if accepted bytes wait for the transport: poll for writable, then tls_flush(). */
bool tls_has_unsent(const struct tls_conn *conn);
enum tls_result tls_flush(struct tls_conn *conn) MUST_USE; /* TLS_OK: nothing is unsent */

/* Flushes, then sends close_notify; does not wait for the peer's.  No tls_write() afterwards; reading goes
 * on. */
enum tls_result tls_bye(struct tls_conn *conn) MUST_USE;

/* The channel binding tls-exporter of RFC 9266; equal on both sides.  After the handshake.  CHAT_ERR_TLS. */
enum chat_err tls_export_binding(struct tls_conn *conn, uint8_t ret[static 32]) MUST_USE;

/* Client: SHA-256 of the server's SubjectPublicKeyInfo.  After the handshake.  CHAT_ERR_TLS, CHAT_ERR_NOMEM.
 */
enum chat_err tls_peer_fingerprint(const struct tls_conn *conn, struct digest *ret) MUST_USE;
/* Client: the caller is satisfied with whose key it is. */
void tls_trust_peer(struct tls_conn *conn);

/* For the log.  Static strings, never NULL: "TLS1.3", "AES-128-GCM", "X25519". */
struct tls_info {
	const char *version;
	const char *cipher;
	const char *kx;
};
struct tls_info tls_describe(const struct tls_conn *conn); /* "-" thrice before the handshake is done */

enum tls_failure tls_failure(const struct tls_conn *conn);
const char *tls_failure_name(enum tls_failure failure); /* "not_tls", "version", ...: static, for the log */
/* One short text for the log, as "Error in protocol version".  Static; never NULL. */
const char *tls_error_text(const struct tls_conn *conn);

/*
 * Fingerprints as people type them: 64 hex digits of either case, colons, spaces or hyphens between them
 * allowed, and a prefix "SHA256:".  False, *ret unspecified, for anything else.  (digest_hex() shows them.)
 */
bool tls_fingerprint_parse(const char *text, struct digest *ret) MUST_USE;

#endif
