/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_RSA_OAEP_H
#define CRYPTO_RSA_OAEP_H

/*
 * RSA keys, and RSAES-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017, 7.1), e = 65537 always.
 *
 * Opening is side-channel silent: nettle's rsa_compute_root_tr and a decoding of fixed width and time with one error
 * for every cause (RFC 8017, 7.1.2, note).  The protocol uses 3,072-bit keys only; 2,048 bits are accepted by the
 * primitive for the published vectors, and the caller says which size it wants.
 *
 * Threads: any; a struct rsa_key is read-only after it is made and may be shared.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/random.h"

#define RSA_BYTES         384 /* modulus and ciphertext of a 3,072-bit key */
#define OAEP_SEED_BYTES   32
#define RSA_PLAIN_MAX     (RSA_BYTES - 2 * 32 - 2)

struct rsa_key; /* a private key */

/* Makes a key of 3,072 bits; 0.1 to 1 s of CPU.  CHAT_ERR_NOMEM. */
enum chat_err rsa_key_generate(const struct random_source *random, struct rsa_key **ret_key) MUST_USE;
/* From PKCS#8 DER (unencrypted, rsaEncryption, e = 65537).  The parts are checked against each other.
 * CHAT_ERR_MALFORMED, CHAT_ERR_NOMEM. */
enum chat_err rsa_key_from_pkcs8(struct bytes der, struct rsa_key **ret_key) MUST_USE;
/* Appends PKCS#8 DER to ret_der, which then holds a secret. */
enum chat_err rsa_key_to_pkcs8(const struct rsa_key *key, struct buf *ret_der) MUST_USE;
size_t rsa_key_bytes(const struct rsa_key *key); /* of the modulus */
/* The modulus, rsa_key_bytes() long, big-endian. */
void rsa_key_modulus(const struct rsa_key *key, uint8_t *ret_n);
void rsa_key_free(struct rsa_key *key); /* overwrites; NULL is allowed */

/* Seals `plain` (at most n.len - 66 bytes) to the public key (n, 65537); writes n.len bytes to ret_c.
 * CHAT_ERR_MALFORMED if n is even or its top bit is clear; CHAT_ERR_RANGE if plain is too long. */
enum chat_err rsa_oaep_seal(struct bytes n, struct bytes label, struct bytes plain,
    const uint8_t seed[static OAEP_SEED_BYTES], uint8_t *ret_c) MUST_USE;

/*
 * Opens c.  *ret_len is the plaintext's length, at most cap.  CHAT_ERR_CANNOT_OPEN, always after the same work and with
 * ret_plain zeroed: c not exactly as long as the modulus, c = 0, c >= n, or a padding that is not right for this label.
 * A plaintext longer than cap is that error too.  `random` blinds the exponentiation.
 */
enum chat_err rsa_oaep_open(const struct rsa_key *key, struct bytes label, struct bytes c,
    const struct random_source *random, uint8_t *ret_plain, size_t cap, size_t *ret_len) MUST_USE;

#endif
