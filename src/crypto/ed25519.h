/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

/*
 * Ed25519 signatures (RFC 8032) over D(x) || message.  Public keys are checked once, where they come in
 * (ed25519_public_key_valid): canonical (y < p) and none of the eight points of small order, which nettle accepts.
 *
 * nettle signs one piece of memory, so D(x) || message is put together on the stack: hence
 * ED25519_MESSAGE_MAX.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define ED25519_SEED_BYTES 32
#define ED25519_PK_BYTES   32
#define ED25519_SIG_BYTES  64

/* The longest b under a domain.  The protocol's longest is a rekey with the largest box, 1,772 bytes. */
#define ED25519_MESSAGE_MAX 4096

void ed25519_public_key(const uint8_t seed[static ED25519_SEED_BYTES], uint8_t ret_pk[static ED25519_PK_BYTES]);
bool ed25519_public_key_valid(const uint8_t pk[static ED25519_PK_BYTES]) MUST_USE;

/*
 * Sign(x, b): the signature over D(x) || b.  domain NULL: over b alone, of any length (published vectors).
 * Under a domain, a b above ED25519_MESSAGE_MAX is asserted against by ed25519_sign, and false for
 * ed25519_verify.
 */
void ed25519_sign(const uint8_t seed[static ED25519_SEED_BYTES], const uint8_t pk[static ED25519_PK_BYTES],
    const char *domain, struct bytes b, uint8_t ret_sig[static ED25519_SIG_BYTES]);
bool ed25519_verify(const uint8_t pk[static ED25519_PK_BYTES], const char *domain, struct bytes b,
    const uint8_t sig[static ED25519_SIG_BYTES]) MUST_USE;

#endif
