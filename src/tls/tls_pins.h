/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TLS_TLS_PINS_H
#define TLS_TLS_PINS_H

/*
 * Trust on first use: which key a server had, by host and port, in a file of ours (never ~/.gnutls).  The
 * file is in GnuTLS's known-hosts format, a line per server; it is replaced atomically, under a lock in
 * PATH.lock, so that several clients can share it.
 *
 * A client asks after the handshake and before the first application byte.  This module asks nobody: what to
 * do with an unknown or changed key is its caller's to decide.
 *
 * Threads: any.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "base/digest.h"

struct tls_conn;

/*
 * Compares the server's key with the pinned one, and trusts the peer (tls_trust_peer()) if it is the same.
 * CHAT_OK: known.  CHAT_ERR_PEER_UNKNOWN: no pin for this host and port (also: no file).
 * CHAT_ERR_PEER_CHANGED: pinned, with another key.  tls_peer_fingerprint() says which key it has now.
 * CHAT_ERR_IO or CHAT_ERR_PERMISSION with errno set: the file cannot be read, which is never taken for
 * "unknown". CHAT_ERR_INVALID: host is empty or holds a character that the file cannot (space, control, '|',
 * '*'). CHAT_ERR_TLS: no handshake, no certificate.
 */
enum chat_err
tls_pins_check(const char *path, const char *host, uint16_t port, struct tls_conn *conn) MUST_USE;

/*
 * Pins the peer's key for host and port in place of whatever was pinned for them, and trusts the peer.  The
 * file is made (0600) if missing; its folder must exist.  CHAT_ERR_IO with errno set; the others as above.
 */
enum chat_err tls_pins_add(const char *path, const char *host, uint16_t port, struct tls_conn *conn) MUST_USE;

/* Forgets host and port.  CHAT_ERR_NOT_FOUND if there was nothing. */
enum chat_err tls_pins_forget(const char *path, const char *host, uint16_t port) MUST_USE;

/* The fingerprint that is pinned.  CHAT_ERR_NOT_FOUND (also: no file); CHAT_ERR_SYNTAX: the line is no pin of
 * a form known here; the others as tls_pins_check(). */
enum chat_err
tls_pins_get(const char *path, const char *host, uint16_t port, struct digest *ret_fingerprint) MUST_USE;

/* Pins a fingerprint that came another way, as tls_pins_add() does a peer's key. */
enum chat_err
tls_pins_put(const char *path, const char *host, uint16_t port, const struct digest *fingerprint) MUST_USE;

/*
 * Trusts the peer if its key has this fingerprint, whatever is pinned (nothing is stored: tls_pins_add()
 * does). CHAT_OK, CHAT_ERR_PEER_CHANGED, CHAT_ERR_TLS.
 */
enum chat_err tls_pins_demand(const struct digest *fingerprint, struct tls_conn *conn) MUST_USE;

#endif
