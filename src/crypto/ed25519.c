/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/ed25519.h"

#include <assert.h>
#include <string.h>

#include <nettle/eddsa.h>

#include "crypto/hash.h"

_Static_assert(ED25519_SEED_BYTES == ED25519_KEY_SIZE, "RFC 8032, 5.1.5");
_Static_assert(ED25519_PK_BYTES == ED25519_KEY_SIZE, "RFC 8032, 5.1.5");
_Static_assert(ED25519_SIG_BYTES == ED25519_SIGNATURE_SIZE, "RFC 8032, 5.1.6");

/* A key is y, 255 bits little-endian, and in the top bit of the last byte the sign of x. */
#define SIGN_BIT 0x80

/* p = 2^255 - 19 */
static const uint8_t field_prime[ED25519_PK_BYTES] = {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};

/*
 * The y of the eight points whose order divides 8.  Under either sign of x: that is all eight, and the two
 * forms "minus zero" of the points with x = 0, which are no encodings at all.
 */
static const uint8_t small_order_y[][ED25519_PK_BYTES] = {
    /* order 4: y = 0 */
    {0x00},
    /* order 1, the neutral point: y = 1 */
    {0x01},
    /* order 8, two values of y */
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
	0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
	0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    /* order 2: y = p - 1 */
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

/* a < b, as little-endian numbers.  Both are public. */
static bool
le_less(const uint8_t a[static ED25519_PK_BYTES], const uint8_t b[static ED25519_PK_BYTES])
{
	for (size_t i = ED25519_PK_BYTES; i-- > 0;) {
		if (a[i] != b[i])
			return a[i] < b[i];
	}
	return false;
}

void
ed25519_public_key(const uint8_t seed[static ED25519_SEED_BYTES], uint8_t ret_pk[static ED25519_PK_BYTES])
{
	ed25519_sha512_public_key(ret_pk, seed);
}

bool
ed25519_public_key_valid(const uint8_t pk[static ED25519_PK_BYTES])
{
	uint8_t y[ED25519_PK_BYTES];

	memcpy(y, pk, sizeof(y));
	y[ED25519_PK_BYTES - 1] &= (uint8_t)~SIGN_BIT;
	if (!le_less(y, field_prime))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(small_order_y); i++) {
		if (memcmp(y, small_order_y[i], sizeof(y)) == 0)
			return false;
	}
	return true;
}

/* nettle takes one piece of memory: D(x) || b in `scratch`, or b itself without a domain.  False if it does
 * not fit. */
static bool
with_domain(const char *domain, struct bytes b,
    uint8_t scratch[static ED25519_MESSAGE_MAX + DOMAIN_MAX_BYTES], struct bytes *ret_message)
{
	size_t len;

	if (domain == NULL) {
		*ret_message = b.len > 0 ? b : BYTES(scratch, 0); /* an address for empty bytes */
		return true;
	}
	if (b.len > ED25519_MESSAGE_MAX)
		return false;
	len = domain_put(domain, scratch);
	if (b.len > 0)
		memcpy(scratch + len, b.data, b.len);
	*ret_message = BYTES(scratch, len + b.len);
	return true;
}

void
ed25519_sign(const uint8_t seed[static ED25519_SEED_BYTES], const uint8_t pk[static ED25519_PK_BYTES],
    const char *domain, struct bytes b, uint8_t ret_sig[static ED25519_SIG_BYTES])
{
	uint8_t scratch[ED25519_MESSAGE_MAX + DOMAIN_MAX_BYTES];
	struct bytes message;
	bool fits;

	fits = with_domain(domain, b, scratch, &message);
	assert(fits);
	ed25519_sha512_sign(pk, seed, message.len, message.data, ret_sig);
}

bool
ed25519_verify(const uint8_t pk[static ED25519_PK_BYTES], const char *domain, struct bytes b,
    const uint8_t sig[static ED25519_SIG_BYTES])
{
	uint8_t scratch[ED25519_MESSAGE_MAX + DOMAIN_MAX_BYTES];
	struct bytes message;

	if (!with_domain(domain, b, scratch, &message))
		return false;
	return ed25519_sha512_verify(pk, message.len, message.data, sig) == 1;
}
