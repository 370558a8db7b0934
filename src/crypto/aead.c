/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/aead.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <nettle/gcm.h>
#include <nettle/memops.h>

_Static_assert(AEAD_NONCE_BYTES == GCM_IV_SIZE, "the nonce that GCM uses as it is");
_Static_assert(AEAD_TAG_BYTES == GCM_DIGEST_SIZE, "the whole tag");

/* SP 800-38D, 5.2.1.1: at most 2^39 - 256 bits under one nonce, for the counter has 32 bits. */
#define PLAIN_MAX ((UINT64_C(1) << 36) - 32)

/* One of the two ciphers, ready for a message. */
struct gcm {
	bool aes256;
	union {
		struct gcm_aes128_ctx k128;
		struct gcm_aes256_ctx k256;
	};
};

static void
gcm_start(struct gcm *g, struct bytes key, const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes aad)
{
	assert(key.len == AES128_KEY_BYTES || key.len == AES256_KEY_BYTES);
	g->aes256 = key.len == AES256_KEY_BYTES;
	if (g->aes256) {
		gcm_aes256_set_key(&g->k256, key.data);
		gcm_aes256_set_iv(&g->k256, AEAD_NONCE_BYTES, nonce);
		if (aad.len > 0)
			gcm_aes256_update(&g->k256, aad.len, aad.data);
	} else {
		gcm_aes128_set_key(&g->k128, key.data);
		gcm_aes128_set_iv(&g->k128, AEAD_NONCE_BYTES, nonce);
		if (aad.len > 0)
			gcm_aes128_update(&g->k128, aad.len, aad.data);
	}
}

static void
gcm_finish(struct gcm *g, uint8_t ret_tag[static AEAD_TAG_BYTES])
{
	if (g->aes256)
		gcm_aes256_digest(&g->k256, AEAD_TAG_BYTES, ret_tag);
	else
		gcm_aes128_digest(&g->k128, AEAD_TAG_BYTES, ret_tag);
	explicit_bzero(g, sizeof(*g));
}

void
aead_seal(struct bytes key, const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes aad, struct bytes pt,
    uint8_t *ret_ct)
{
	struct gcm g;

	assert(pt.len <= PLAIN_MAX);
	gcm_start(&g, key, nonce, aad);
	if (pt.len > 0 && g.aes256)
		gcm_aes256_encrypt(&g.k256, pt.len, ret_ct, pt.data);
	else if (pt.len > 0)
		gcm_aes128_encrypt(&g.k128, pt.len, ret_ct, pt.data);
	gcm_finish(&g, ret_ct + pt.len);
}

enum chat_err
aead_open(struct bytes key, const uint8_t nonce[static AEAD_NONCE_BYTES], struct bytes aad, struct bytes ct,
    uint8_t *ret_pt)
{
	uint8_t tag[AEAD_TAG_BYTES];
	enum chat_err err = CHAT_OK;
	struct gcm g;
	size_t len;

	if (ct.len < AEAD_TAG_BYTES)
		return CHAT_ERR_CANNOT_OPEN;
	len = ct.len - AEAD_TAG_BYTES;
	if (len > PLAIN_MAX)
		return CHAT_ERR_CANNOT_OPEN;

	gcm_start(&g, key, nonce, aad);
	if (len > 0 && g.aes256)
		gcm_aes256_decrypt(&g.k256, len, ret_pt, ct.data);
	else if (len > 0)
		gcm_aes128_decrypt(&g.k128, len, ret_pt, ct.data);
	gcm_finish(&g, tag);

	/* The plaintext of a forgery never leaves: it would tell what the key stream is. */
	if (!memeql_sec(tag, ct.data + len, AEAD_TAG_BYTES)) {
		if (len > 0)
			explicit_bzero(ret_pt, len);
		err = CHAT_ERR_CANNOT_OPEN;
	}
	/* The right tag for chosen bytes is a forgery. */
	explicit_bzero(tag, sizeof(tag));
	return err;
}
