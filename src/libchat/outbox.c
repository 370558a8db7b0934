/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/outbox.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"

#define OUTBOX_VERSION    1
#define OUTBOX_HEAD_BYTES (1 + AEAD_NONCE_BYTES)
#define AAD_MAX_BYTES     (DOMAIN_MAX_BYTES + REALM_BYTES + 1 + ACCOUNT_MAX_BYTES + DIGEST_BYTES)

static void
derive_key(const struct identity *identity, uint8_t ret[static AES256_KEY_BYTES])
{
	uint8_t info[DOMAIN_MAX_BYTES];
	size_t len = domain_put("outbox", info);

	hkdf_sha256(BYTES_ARRAY(identity->bag_key), BYTES_ARRAY(identity->realm.b), BYTES(info, len), ret,
	    AES256_KEY_BYTES);
}

static struct bytes
put_aad(const struct identity *identity, const struct digest *room_id, uint8_t ret[static AAD_MAX_BYTES])
{
	struct writer wr;
	size_t len = domain_put("outbox", ret);

	wr_init(&wr, ret + len, AAD_MAX_BYTES - len);
	wr_bytes(&wr, identity->realm.b, REALM_BYTES);
	wr_str8(&wr, account_bytes(&identity->account));
	wr_bytes(&wr, room_id->b, DIGEST_BYTES);
	return BYTES(ret, len + wr.len);
}

enum chat_err
outbox_seal(const struct identity *identity, const struct digest *room_id, struct bytes text,
    const struct random_source *random, struct buf *ret_sealed)
{
	uint8_t key[AES256_KEY_BYTES], aad[AAD_MAX_BYTES];
	uint8_t *at;
	enum chat_err err;

	err = buf_reserve(ret_sealed, OUTBOX_HEAD_BYTES + text.len + AEAD_TAG_BYTES);
	if (err != CHAT_OK)
		return err;
	at = ret_sealed->data + ret_sealed->len;
	at[0] = OUTBOX_VERSION;
	random->fill(random->ctx, at + 1, AEAD_NONCE_BYTES);
	derive_key(identity, key);
	aead_seal(BYTES_ARRAY(key), at + 1, put_aad(identity, room_id, aad), text, at + OUTBOX_HEAD_BYTES);
	ret_sealed->len += OUTBOX_HEAD_BYTES + text.len + AEAD_TAG_BYTES;
	explicit_bzero(key, sizeof key);
	return CHAT_OK;
}

enum chat_err
outbox_open(
    const struct identity *identity, const struct digest *room_id, struct bytes sealed, struct buf *ret_text)
{
	uint8_t key[AES256_KEY_BYTES], aad[AAD_MAX_BYTES];
	enum chat_err err;
	size_t len;

	if (sealed.len >= 1 && sealed.data[0] != OUTBOX_VERSION)
		return CHAT_ERR_UNSUPPORTED;
	if (sealed.len < OUTBOX_HEAD_BYTES + AEAD_TAG_BYTES)
		return CHAT_ERR_CANNOT_OPEN;
	len = sealed.len - OUTBOX_HEAD_BYTES - AEAD_TAG_BYTES;
	err = buf_reserve(ret_text, len + 1);
	if (err != CHAT_OK)
		return err;
	derive_key(identity, key);
	err = aead_open(BYTES_ARRAY(key), sealed.data + 1, put_aad(identity, room_id, aad),
	    BYTES(sealed.data + OUTBOX_HEAD_BYTES, sealed.len - OUTBOX_HEAD_BYTES),
	    ret_text->data + ret_text->len);
	if (err == CHAT_OK)
		ret_text->len += len;
	explicit_bzero(key, sizeof key);
	return err;
}
