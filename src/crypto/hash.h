/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

/*
 * SHA-256, and the protocol's domain separation: D(x) = "secure-chat x v1" and one 00 byte, hashed or signed in
 * front of everything (chat-protocol(7), Notation).
 *
 * Threads: any; a struct hash belongs to one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

#include "base/bytes.h"
#include "base/digest.h"

#define DOMAIN_MAX_BYTES 48 /* the longest D(x) */

struct hash {
	struct sha256_ctx ctx;
};

void hash_init(struct hash *h);                         /* plain SHA-256 */
void hash_init_domain(struct hash *h, const char *x);   /* starts with D(x) */
void hash_bytes(struct hash *h, struct bytes b);
void hash_digest(struct hash *h, const struct digest *d);
void hash_u8(struct hash *h, uint8_t v);
void hash_u32(struct hash *h, uint32_t v);
void hash_u64(struct hash *h, uint64_t v);
struct digest hash_end(struct hash *h);

struct digest hash_once(struct bytes b);                      /* H(b) */
struct digest hash_domain_once(const char *x, struct bytes b); /* H(D(x) || b) */

/* Writes D(x) into ret and gives its length. */
size_t domain_put(const char *x, uint8_t ret[static DOMAIN_MAX_BYTES]);

#endif
