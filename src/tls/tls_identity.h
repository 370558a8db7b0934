/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TLS_TLS_IDENTITY_H
#define TLS_TLS_IDENTITY_H

/*
 * A server's TLS identity: a private key and a certificate in two PEM files.  Clients pin the key, not the
 * certificate, so a certificate can be made anew (remove its file, start again) without anybody noticing.
 * Keys made by others, ECDSA, Ed25519 or RSA, are loaded too; a chain is sent as it stands in the file.
 *
 * Threads: any; an identity is immutable and counted, and a connection holds a reference.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "base/digest.h"

struct tls_identity;

#define TLS_WHY_CHARS 512

/*
 * Makes what is missing: an ECDSA P-256 key (0600) and a self-signed certificate of ten years (0644), each
 * written aside, synced and renamed, never over an existing file.  With a key but no certificate only the
 * certificate is made. *ret_made tells whether anything was.  On failure why holds one sentence which names
 * the file. CHAT_ERR_NOT_FOUND (a certificate without its key), CHAT_ERR_IO, CHAT_ERR_PERMISSION,
 * CHAT_ERR_SYNTAX, CHAT_ERR_NOMEM.
 */
enum chat_err tls_identity_ensure(const char *key_path, const char *cert_path, uint64_t unix_ms,
    char why[static TLS_WHY_CHARS], bool *ret_made) MUST_USE;

/*
 * Loads both files.  CHAT_ERR_NOT_FOUND, CHAT_ERR_IO, CHAT_ERR_PERMISSION (others can read the key),
 * CHAT_ERR_SYNTAX (no PEM of the kind), CHAT_ERR_INVALID (the certificate is of another key), CHAT_ERR_NOMEM;
 * why as above.
 */
enum chat_err tls_identity_load(const char *key_path, const char *cert_path, char why[static TLS_WHY_CHARS],
    struct tls_identity **ret_identity) MUST_USE;

struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity); /* NULL is fine */

/* SHA-256 of the key's SubjectPublicKeyInfo.  Borrowed; as long as the identity. */
const struct digest *tls_identity_fingerprint(const struct tls_identity *identity);

#endif
