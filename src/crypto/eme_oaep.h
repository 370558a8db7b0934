/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_EME_OAEP_H
#define CRYPTO_EME_OAEP_H

/*
 * EME-OAEP with SHA-256 and MGF1-SHA-256: the padding of RSAES-OAEP (RFC 8017, 7.1.1 step 2 and 7.1.2 step
 * 3), bytes in, bytes out, no RSA; rsa_oaep.c adds that.  em_len is 66 to EME_BYTES_MAX (asserted).
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "crypto/rsa_oaep.h"

#define EME_BYTES_MAX RSA_BYTES
#define EME_OVERHEAD  (2 * 32 + 2) /* seed, lHash, the first 00, the 01 */

/* Writes em_len bytes to ret_em; plain.len is at most em_len - EME_OVERHEAD (asserted). */
void eme_oaep_encode(struct bytes label, struct bytes plain, const uint8_t seed[static OAEP_SEED_BYTES],
    uint8_t *ret_em, size_t em_len);

/*
 * Undoes it, in place: em is unusable afterwards, and holds secrets.  False, with ret_plain and *ret_len
 * untouched, if anything is wrong or the plaintext is longer than cap.  Up to this answer, time and memory
 * accesses depend on the lengths of em and label only.
 */
bool eme_oaep_decode(
    struct bytes label, uint8_t *em, size_t em_len, uint8_t *ret_plain, size_t cap, size_t *ret_len) MUST_USE;

#endif
