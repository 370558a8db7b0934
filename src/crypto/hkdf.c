/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hkdf.h"

#include <assert.h>
#include <string.h>

#include <nettle/hkdf.h>
#include <nettle/hmac.h>

/* nettle's HKDF takes any MAC, through functions of a context without type. */

static void
update(void *ctx, size_t len, const uint8_t *data)
{
	hmac_sha256_update(ctx, len, data);
}

static void
digest(void *ctx, size_t len, uint8_t *ret)
{
	hmac_sha256_digest(ctx, len, ret);
}

void
hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info, uint8_t *ret, size_t len)
{
	static const uint8_t no_salt[SHA256_DIGEST_SIZE];
	static const uint8_t nothing[1]; /* an address for empty bytes */
	uint8_t prk[SHA256_DIGEST_SIZE];
	struct hmac_sha256_ctx mac;

	assert(len >= 1 && len <= HKDF_MAX_BYTES);
	if (salt.len == 0)
		salt = BYTES_ARRAY(no_salt); /* RFC 5869, 2.2 */
	if (ikm.len == 0)
		ikm.data = nothing;
	if (info.len == 0)
		info.data = nothing;

	hmac_sha256_set_key(&mac, salt.len, salt.data);
	hkdf_extract(&mac, update, digest, sizeof(prk), ikm.len, ikm.data, prk);
	hmac_sha256_set_key(&mac, sizeof(prk), prk);
	hkdf_expand(&mac, update, digest, sizeof(prk), info.len, info.data, len, ret);

	explicit_bzero(prk, sizeof(prk));
	explicit_bzero(&mac, sizeof(mac));
}
