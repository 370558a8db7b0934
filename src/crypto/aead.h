/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

/*
 * AES-GCM with a 12-byte nonce and a 16-byte tag behind the ciphertext (NIST SP 800-38D).  The key's length chooses:
 * 16 bytes AES-128, 32 bytes AES-256.
 *
 * Threads: any.
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define AEAD_NONCE_BYTES 12
#define AEAD_TAG_BYTES   16
#define AES128_KEY_BYTES 16
#define AES256_KEY_BYTES 32

/* Writes pt.len + AEAD_TAG_BYTES bytes to ret_ct, which may be pt.data itself.  key.len is 16 or 32 (asserted). */
void aead_seal(struct bytes key, const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes aad, struct bytes pt,
    uint8_t *ret_ct);

/* Writes ct.len - AEAD_TAG_BYTES bytes to ret_pt, which may be ct.data itself.  CHAT_ERR_CANNOT_OPEN if ct is shorter
 * than a tag or the tag (compared in constant time) is wrong; ret_pt then holds zeros. */
enum chat_err aead_open(struct bytes key, const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes aad, struct bytes ct,
    uint8_t *ret_pt) MUST_USE;

#endif
