/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/epoch.h"

#include <assert.h>
#include <string.h>

#include "crypto/hkdf.h"

#define INFO_AAD_BYTES (20 + DIGEST_BYTES + 8)

void
epoch_key_generate(const struct random_source *random, struct epoch_key *ret)
{
	random->fill(random->ctx, ret->b, sizeof(ret->b));
}

void
epoch_key_fini(struct epoch_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

struct digest
epoch_salt(const struct epoch_context *ctx)
{
	struct hash hash;

	hash_init_domain(&hash, "epoch");
	hash_digest(&hash, &ctx->room_id);
	hash_u64(&hash, ctx->number);
	hash_digest(&hash, &ctx->after);
	hash_digest(&hash, &ctx->actor);
	return hash_end(&hash);
}

static void
epoch_derive(
    const struct epoch_key *key, const struct digest *salt, const char *purpose, uint8_t *ret, size_t len)
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	const size_t domain_len = domain_put(purpose, domain);

	hkdf_sha256(BYTES_ARRAY(key->b), digest_bytes(salt), BYTES(domain, domain_len), ret, len);
}

struct digest
epoch_commitment(const struct epoch_key *key, const struct digest *salt)
{
	struct digest commitment;

	epoch_derive(key, salt, "commit", commitment.b, sizeof(commitment.b));
	return commitment;
}

void
wrap_label(const struct epoch_context *ctx, const struct digest *commitment, const struct wrap_target *target,
    uint8_t ret[static WRAP_LABEL_BYTES])
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, ret, WRAP_LABEL_BYTES);
	wr_bytes(&wr, domain, domain_put("wrap", domain));
	wr_bytes(&wr, ctx->room_id.b, DIGEST_BYTES);
	wr_u64(&wr, ctx->number);
	wr_bytes(&wr, commitment->b, DIGEST_BYTES);
	wr_bytes(&wr, target->member_id.b, DIGEST_BYTES);
	wr_bytes(&wr, target->card_hash.b, DIGEST_BYTES);
	assert(wr_done(&wr) && wr.len == WRAP_LABEL_BYTES);
}

enum chat_err
wrap_seal(const struct epoch_context *ctx, const struct digest *commitment, const struct wrap_target *target,
    const uint8_t rsa_n[static RSA_BYTES], const struct epoch_key *key, const struct random_source *random,
    uint8_t ret_wrap[static WRAP_BYTES])
{
	uint8_t label[WRAP_LABEL_BYTES];
	uint8_t seed[OAEP_SEED_BYTES];
	enum chat_err err;

	wrap_label(ctx, commitment, target, label);
	random->fill(random->ctx, seed, sizeof(seed));
	err = rsa_oaep_seal(BYTES(rsa_n, RSA_BYTES), BYTES_ARRAY(label), BYTES_ARRAY(key->b), seed, ret_wrap);
	explicit_bzero(seed, sizeof(seed));
	return err;
}

/* digest_equal() is not: no other digest depends on a secret. */
static bool
equal_constant_time(const struct digest *a, const struct digest *b)
{
	uint8_t differ = 0;

	for (size_t i = 0; i < DIGEST_BYTES; i++)
		differ |= a->b[i] ^ b->b[i];
	return differ == 0;
}

enum chat_err
wrap_open(const struct epoch_context *ctx, const struct digest *commitment, const struct wrap_target *target,
    const struct rsa_key *rsa, struct bytes wrap, const struct random_source *random, struct epoch_key *ret)
{
	uint8_t label[WRAP_LABEL_BYTES];
	struct epoch_key key = {0};
	size_t len = 0;
	struct digest salt, expected;
	bool good;

	if (wrap.len != WRAP_BYTES || rsa_key_bytes(rsa) != RSA_BYTES)
		return CHAT_ERR_CANNOT_OPEN;
	wrap_label(ctx, commitment, target, label);
	good = rsa_oaep_open(rsa, BYTES_ARRAY(label), wrap, random, key.b, sizeof(key.b), &len) == CHAT_OK;
	good &= len == sizeof(key.b);
	/* also where nothing came out, so that time does not tell what was wrong */
	salt = epoch_salt(ctx);
	expected = epoch_commitment(&key, &salt);
	good &= equal_constant_time(&expected, commitment);
	if (good)
		*ret = key;
	epoch_key_fini(&key);
	return good ? CHAT_OK : CHAT_ERR_CANNOT_OPEN;
}

void
wraps_hash_init(struct wraps_hash *wh, uint32_t count)
{
	hash_init_domain(&wh->hash, "wraps");
	hash_u32(&wh->hash, count);
	wh->left = count;
}

void
wraps_hash_add(struct wraps_hash *wh, const struct digest *wrap_hash)
{
	assert(wh->left > 0);
	wh->left--;
	hash_digest(&wh->hash, wrap_hash);
}

struct digest
wraps_hash_end(struct wraps_hash *wh)
{
	assert(wh->left == 0);
	return hash_end(&wh->hash);
}

void
info_key_derive(const struct epoch_key *key, const struct digest *salt, struct info_key *ret)
{
	uint8_t out[AES128_KEY_BYTES + AEAD_NONCE_BYTES];

	epoch_derive(key, salt, "info", out, sizeof(out));
	memcpy(ret->key, out, sizeof(ret->key));
	memcpy(ret->iv, out + sizeof(ret->key), sizeof(ret->iv));
	explicit_bzero(out, sizeof(out));
}

void
info_key_fini(struct info_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

bool
info_box_length_valid(size_t box_bytes)
{
	return box_bytes > AEAD_TAG_BYTES &&
	       padded_length_valid(box_bytes - AEAD_TAG_BYTES, PADDING_INFO_UNITS);
}

static void
info_aad(const struct digest *room_id, uint64_t epoch, uint8_t ret[static INFO_AAD_BYTES])
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, ret, INFO_AAD_BYTES);
	wr_bytes(&wr, domain, domain_put("info", domain));
	wr_bytes(&wr, room_id->b, DIGEST_BYTES);
	wr_u64(&wr, epoch);
	assert(wr_done(&wr) && wr.len == INFO_AAD_BYTES);
}

enum chat_err
info_box_seal(const struct info_key *key, const struct digest *room_id, uint64_t epoch,
    struct bytes room_info, struct buf *ret_box)
{
	const size_t padded_len = padded_length(room_info.len, PADDING_INFO_UNITS);
	uint8_t aad[INFO_AAD_BYTES];
	uint8_t *box;
	enum chat_err err;

	if (padded_len == 0)
		return CHAT_ERR_RANGE;
	err = buf_reserve(ret_box, padded_len + AEAD_TAG_BYTES);
	if (err != CHAT_OK)
		return err;
	box = ret_box->data + ret_box->len;
	if (room_info.len > 0)
		memcpy(box + PADDING_LENGTH_BYTES, room_info.data, room_info.len);
	padding_finish(box, room_info.len, padded_len);
	info_aad(room_id, epoch, aad);
	aead_seal(BYTES_ARRAY(key->key), key->iv, BYTES_ARRAY(aad), BYTES(box, padded_len), box);
	ret_box->len += padded_len + AEAD_TAG_BYTES;
	return CHAT_OK;
}

enum chat_err
info_box_open(const struct info_key *key, const struct digest *room_id, uint64_t epoch, struct bytes box,
    struct buf *plain, struct bytes *ret_room_info)
{
	uint8_t aad[INFO_AAD_BYTES];
	enum chat_err err;

	if (!info_box_length_valid(box.len))
		return CHAT_ERR_MALFORMED;
	buf_clear(plain);
	err = buf_reserve(plain, box.len);
	if (err != CHAT_OK)
		return err;
	info_aad(room_id, epoch, aad);
	err = aead_open(BYTES_ARRAY(key->key), key->iv, BYTES_ARRAY(aad), box, plain->data);
	if (err != CHAT_OK)
		return err;
	plain->len = box.len - AEAD_TAG_BYTES;
	return padding_remove(buf_bytes(plain), PADDING_INFO_UNITS, ret_room_info);
}

void
rewrap_build(
    const struct sign_key *wrapper, const struct rewrap *rewrap, uint8_t ret_wire[static REWRAP_BYTES])
{
	uint8_t sig[ED25519_SIG_BYTES];
	struct writer wr;

	assert(rewrap->wrap.len == WRAP_BYTES);
	wr_init(&wr, ret_wire, REWRAP_BYTES);
	wr_u8(&wr, REWRAP_VERSION);
	wr_bytes(&wr, rewrap->epoch_id.b, DIGEST_BYTES);
	wr_bytes(&wr, rewrap->recipient.b, DIGEST_BYTES);
	wr_bytes(&wr, rewrap->card_hash.b, DIGEST_BYTES);
	wr_bytes(&wr, rewrap->wrapper.b, DIGEST_BYTES);
	wr_bytes(&wr, rewrap->wrap.data, rewrap->wrap.len);
	ed25519_sign(wrapper->seed, wrapper->pk, "rewrap", BYTES(ret_wire, wr.len), sig);
	wr_bytes(&wr, sig, sizeof(sig));
	assert(wr_done(&wr) && wr.len == REWRAP_BYTES);
}

enum chat_err
rewrap_decode(struct bytes wire, struct rewrap *ret)
{
	struct rewrap rewrap;
	struct reader rd;
	uint8_t version;

	rd_init(&rd, wire);
	version = rd_u8(&rd);
	if (!rd.failed && version != REWRAP_VERSION)
		return CHAT_ERR_UNSUPPORTED;
	rd_copy(&rd, rewrap.epoch_id.b, DIGEST_BYTES);
	rd_copy(&rd, rewrap.recipient.b, DIGEST_BYTES);
	rd_copy(&rd, rewrap.card_hash.b, DIGEST_BYTES);
	rd_copy(&rd, rewrap.wrapper.b, DIGEST_BYTES);
	rewrap.wrap = rd_take(&rd, WRAP_BYTES);
	rewrap.sig = rd_take(&rd, ED25519_SIG_BYTES);
	if (!rd_done(&rd))
		return CHAT_ERR_MALFORMED;
	rewrap.body = BYTES(wire.data, wire.len - ED25519_SIG_BYTES);
	*ret = rewrap;
	return CHAT_OK;
}

bool
rewrap_signature_good(const struct rewrap *rewrap, const uint8_t wrapper_pk[static ED25519_PK_BYTES])
{
	return ed25519_verify(wrapper_pk, "rewrap", rewrap->body, rewrap->sig.data);
}
