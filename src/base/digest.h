/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

/*
 * A 32-byte value: a SHA-256 hash, and so every id of the protocol (member, card, event, room, epoch, log).
 * Comparison is not constant time: none of these is a secret.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define DIGEST_BYTES     32
#define DIGEST_HEX_CHARS 64

struct digest {
	uint8_t b[DIGEST_BYTES];
};

extern const struct digest digest_zero;

bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);
int digest_compare(const struct digest *a, const struct digest *b); /* as memcmp */
struct bytes digest_bytes(const struct digest *d);                   /* borrowed */
/* Lower-case hex with a final NUL. */
void digest_hex(const struct digest *d, char ret[static DIGEST_HEX_CHARS + 1]);
/* False, *ret untouched, unless b is exactly 32 bytes. */
bool digest_from_bytes(struct bytes b, struct digest *ret) MUST_USE;

/* Hex of any bytes, lower case, NUL-terminated; ret has 2 * b.len + 1 chars. */
void hex_encode(struct bytes b, char *ret);
/* Reads exactly 2 * n hex digits (either case); false, ret unspecified, for anything else. */
bool hex_decode(const char *hex, uint8_t *ret, size_t n) MUST_USE;

#endif
