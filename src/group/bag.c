/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/bag.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "group/content.h"

#define BAG_VERSION   1
#define AAD_MAX_BYTES (DOMAIN_MAX_BYTES + REALM_BYTES + 1 + ACCOUNT_MAX_BYTES + 8)

static void
bag_aes_key(const uint8_t bag_key[static BAG_KEY_BYTES], const struct realm *realm,
    uint8_t ret[static AES256_KEY_BYTES])
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	const size_t len = domain_put("bag", domain);

	hkdf_sha256(
	    BYTES(bag_key, BAG_KEY_BYTES), BYTES_ARRAY(realm->b), BYTES(domain, len), ret, AES256_KEY_BYTES);
}

static size_t
bag_aad(const struct realm *realm, const struct account_name *account, uint64_t version,
    uint8_t ret[static AAD_MAX_BYTES])
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, ret, AAD_MAX_BYTES);
	wr_bytes(&wr, domain, domain_put("bag", domain));
	wr_bytes(&wr, realm->b, REALM_BYTES);
	wr_str8(&wr, account_bytes(account));
	wr_u64(&wr, version);
	assert(wr_done(&wr));
	return wr.len;
}

enum chat_err
bag_seal(const uint8_t bag_key[static BAG_KEY_BYTES], const struct realm *realm,
    const struct account_name *account, uint64_t version, const struct bytes *keys, size_t count,
    const struct random_source *random, struct buf *ret_blob)
{
	const size_t content_len = bag_content_encoded_bytes(keys, count);
	uint8_t aes_key[AES256_KEY_BYTES];
	uint8_t aad[AAD_MAX_BYTES];
	const size_t aad_len = bag_aad(realm, account, version, aad);
	uint8_t *blob, *nonce, *sealed;
	enum chat_err err;

	assert(version >= 1);
	err = buf_reserve(ret_blob, BAG_OVERHEAD_BYTES + content_len);
	if (err != CHAT_OK)
		return err;
	blob = ret_blob->data + ret_blob->len;
	nonce = blob + 1 + 8;
	sealed = blob + BAG_HEAD_BYTES;
	blob[0] = BAG_VERSION;
	be64_put(blob + 1, version);
	random->fill(random->ctx, nonce, AEAD_NONCE_BYTES);
	bag_content_encode(keys, count, sealed);
	bag_aes_key(bag_key, realm, aes_key);
	aead_seal(BYTES_ARRAY(aes_key), nonce, BYTES(aad, aad_len), BYTES(sealed, content_len), sealed);
	ret_blob->len += BAG_OVERHEAD_BYTES + content_len;
	explicit_bzero(aes_key, sizeof(aes_key));
	return CHAT_OK;
}

enum chat_err
bag_open(const uint8_t bag_key[static BAG_KEY_BYTES], const struct realm *realm,
    const struct account_name *account, uint64_t known_version, struct bytes blob, struct buf *plain,
    struct bag *ret)
{
	struct reader rd;
	struct bytes nonce, sealed;
	uint8_t aes_key[AES256_KEY_BYTES];
	uint8_t aad[AAD_MAX_BYTES];
	size_t aad_len;
	uint8_t format;
	struct bag bag;
	enum chat_err err;

	rd_init(&rd, blob);
	format = rd_u8(&rd);
	if (!rd.failed && format != BAG_VERSION)
		return CHAT_ERR_UNSUPPORTED;
	bag.version = rd_u64(&rd);
	nonce = rd_take(&rd, AEAD_NONCE_BYTES);
	if (rd.failed || bag.version == 0)
		return CHAT_ERR_MALFORMED;
	sealed = rd_rest(&rd);
	if (sealed.len < AEAD_TAG_BYTES)
		return CHAT_ERR_MALFORMED;

	buf_clear(plain);
	err = buf_reserve(plain, sealed.len);
	if (err != CHAT_OK)
		return err;
	aad_len = bag_aad(realm, account, bag.version, aad);
	bag_aes_key(bag_key, realm, aes_key);
	err = aead_open(BYTES_ARRAY(aes_key), nonce.data, BYTES(aad, aad_len), sealed, plain->data);
	explicit_bzero(aes_key, sizeof(aes_key));
	if (err != CHAT_OK)
		return err;
	plain->len = sealed.len - AEAD_TAG_BYTES;

	/* only behind the tag, so that `stale` says: this was once the bag, and is kept from us or forgotten
	 */
	if (bag.version < known_version)
		return CHAT_ERR_STALE;
	bag.content = buf_bytes(plain);
	err = bag_content_check(bag.content, &bag.key_count);
	if (err != CHAT_OK)
		return err;
	*ret = bag;
	return CHAT_OK;
}

bool
bag_next_key(const struct bag *bag, size_t *at, struct bytes *ret_der)
{
	return bag_content_next(bag->content, at, ret_der);
}
