/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

/* HKDF-SHA-256, RFC 5869 extract and expand.  Threads: any. */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define HKDF_MAX_BYTES (255 * 32) /* RFC 5869, 2.3 */

/* Fills ret with len bytes, 1 <= len <= HKDF_MAX_BYTES (asserted).  An empty salt is 32 zero bytes. */
void hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info, uint8_t *ret, size_t len);

#endif
