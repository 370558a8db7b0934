/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/recovery.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "proto/limits.h"

#define RECOVERY_VERSION 1
#define AAD_MAX_BYTES    (DOMAIN_MAX_BYTES + REALM_BYTES + 1 + ACCOUNT_MAX_BYTES + ED25519_PK_BYTES)

_Static_assert(RECOVERY_BLOB_BYTES == RECOVERY_BYTES, "what a frame takes is what is sealed");

#define BASE32_CHARS 26 /* of 128 bits, 5 to a character; the last 2 bits are zeros */
#define GROUP_CHARS  4

static const char base32_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648, 6 */

void
recovery_code_generate(const struct random_source *random, struct recovery_code *ret)
{
	random->fill(random->ctx, ret->b, sizeof(ret->b));
}

void
recovery_code_format(const struct recovery_code *code, char ret[static RECOVERY_CODE_CHARS + 1])
{
	uint32_t bits = 0;
	unsigned bit_count = 0;
	size_t next = 0;

	for (size_t i = 0; i < BASE32_CHARS; i++) {
		if (bit_count < 5) {
			bits = bits << 8 | (next < sizeof(code->b) ? code->b[next] : 0);
			next++;
			bit_count += 8;
		}
		bit_count -= 5;
		if (i > 0 && i % GROUP_CHARS == 0)
			*ret++ = '-';
		*ret++ = base32_alphabet[bits >> bit_count & 31];
	}
	*ret = '\0';
}

/* The value of a character of base32, either case; -1 for any other. */
static int
base32_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -1;
}

enum chat_err
recovery_code_parse(struct bytes text, struct recovery_code *ret)
{
	struct recovery_code code = {0};
	uint32_t bits = 0;
	unsigned bit_count = 0;
	size_t chars = 0, next = 0;
	enum chat_err err = CHAT_ERR_MALFORMED;

	for (size_t i = 0; i < text.len; i++) {
		int value;

		if (text.data[i] == ' ' || text.data[i] == '-')
			continue;
		value = base32_value(text.data[i]);
		if (value < 0 || ++chars > BASE32_CHARS)
			goto out;
		bits = bits << 5 | (uint32_t)value;
		bit_count += 5;
		if (bit_count >= 8 && next < sizeof(code.b)) {
			bit_count -= 8;
			code.b[next++] = (uint8_t)(bits >> bit_count);
		}
	}
	if (chars != BASE32_CHARS || (bits & ((1U << bit_count) - 1)) != 0)
		goto out;
	*ret = code;
	err = CHAT_OK;
out:
	explicit_bzero(&code, sizeof(code));
	explicit_bzero(&bits, sizeof(bits));
	return err;
}

void
recovery_key(const struct recovery_code *code, const struct realm *realm, const struct account_name *account,
    uint8_t ret_key[static RECOVERY_KEY_BYTES])
{
	uint8_t info[DOMAIN_MAX_BYTES + 1 + ACCOUNT_MAX_BYTES];
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, info, sizeof(info));
	wr_bytes(&wr, domain, domain_put("recovery", domain));
	wr_str8(&wr, account_bytes(account));
	assert(wr_done(&wr));
	hkdf_sha256(
	    BYTES_ARRAY(code->b), BYTES_ARRAY(realm->b), wr_bytes_written(&wr), ret_key, RECOVERY_KEY_BYTES);
}

static size_t
recovery_aad(const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES], uint8_t ret[static AAD_MAX_BYTES])
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, ret, AAD_MAX_BYTES);
	wr_bytes(&wr, domain, domain_put("recovery", domain));
	wr_bytes(&wr, realm->b, REALM_BYTES);
	wr_str8(&wr, account_bytes(account));
	wr_bytes(&wr, ed_pk, ED25519_PK_BYTES);
	assert(wr_done(&wr));
	return wr.len;
}

void
recovery_seal(const struct recovery_code *code, const struct identity *identity,
    const struct random_source *random, uint8_t ret_blob[static RECOVERY_BLOB_BYTES])
{
	uint8_t *const nonce = ret_blob + 1;
	uint8_t *const sealed = nonce + AEAD_NONCE_BYTES;
	uint8_t key[RECOVERY_KEY_BYTES];
	uint8_t aad[AAD_MAX_BYTES];
	const size_t aad_len = recovery_aad(&identity->realm, &identity->account, identity->sign.pk, aad);

	ret_blob[0] = RECOVERY_VERSION;
	random->fill(random->ctx, nonce, AEAD_NONCE_BYTES);
	memcpy(sealed, identity->sign.seed, ED25519_SEED_BYTES);
	memcpy(sealed + ED25519_SEED_BYTES, identity->bag_key, BAG_KEY_BYTES);
	recovery_key(code, &identity->realm, &identity->account, key);
	aead_seal(BYTES_ARRAY(key), nonce, BYTES(aad, aad_len),
	    BYTES(sealed, ED25519_SEED_BYTES + BAG_KEY_BYTES), sealed);
	explicit_bzero(key, sizeof(key));
}

enum chat_err
recovery_open(const struct recovery_code *code, const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES], struct bytes blob, struct identity_root *ret)
{
	uint8_t key[RECOVERY_KEY_BYTES];
	uint8_t plain[ED25519_SEED_BYTES + BAG_KEY_BYTES];
	uint8_t pk[ED25519_PK_BYTES];
	uint8_t aad[AAD_MAX_BYTES];
	const size_t aad_len = recovery_aad(realm, account, ed_pk, aad);
	const uint8_t *nonce, *sealed;
	enum chat_err err;

	if (blob.len >= 1 && blob.data[0] != RECOVERY_VERSION)
		return CHAT_ERR_UNSUPPORTED;
	if (blob.len != RECOVERY_BLOB_BYTES)
		return CHAT_ERR_MALFORMED;
	nonce = blob.data + 1;
	sealed = nonce + AEAD_NONCE_BYTES;

	recovery_key(code, realm, account, key);
	err = aead_open(BYTES_ARRAY(key), nonce, BYTES(aad, aad_len),
	    BYTES(sealed, sizeof(plain) + AEAD_TAG_BYTES), plain);
	if (err != CHAT_OK)
		goto out;
	ed25519_public_key(plain, pk);
	if (memcmp(pk, ed_pk, ED25519_PK_BYTES) != 0) {
		err = CHAT_ERR_CANNOT_OPEN;
		goto out;
	}
	memcpy(ret->ed_seed, plain, ED25519_SEED_BYTES);
	memcpy(ret->bag_key, plain + ED25519_SEED_BYTES, BAG_KEY_BYTES);
out:
	explicit_bzero(key, sizeof(key));
	explicit_bzero(plain, sizeof(plain));
	return err;
}
