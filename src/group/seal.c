/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/seal.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "proto/limits.h"

_Static_assert(MESSAGE_MAX_BYTES <= MESSAGE_FRAME_MAX_BYTES, "the longest message fits a frame");

#define SIGNED_BYTES (MESSAGE_HEADER_BYTES + DIGEST_BYTES)

void
message_header_encode(const struct message_header *header, uint8_t ret[static MESSAGE_HEADER_BYTES])
{
	struct writer wr;

	wr_init(&wr, ret, MESSAGE_HEADER_BYTES);
	wr_u8(&wr, MESSAGE_VERSION);
	wr_bytes(&wr, header->epoch_id.b, DIGEST_BYTES);
	wr_bytes(&wr, header->sender.b, DIGEST_BYTES);
	wr_bytes(&wr, header->device.b, DEVICE_ID_BYTES);
	wr_u64(&wr, header->counter);
	wr_u64(&wr, header->seen_seq);
	wr_bytes(&wr, header->seen_hash.b, DIGEST_BYTES);
	wr_u64(&wr, header->time_ms);
	assert(wr_done(&wr) && wr.len == MESSAGE_HEADER_BYTES);
}

/* header || body_hash: what is signed, and hashed as msg_hash. */
static void
signed_bytes(const uint8_t header[static MESSAGE_HEADER_BYTES], const struct digest *body_hash,
    uint8_t ret[static SIGNED_BYTES])
{
	memcpy(ret, header, MESSAGE_HEADER_BYTES);
	memcpy(ret + MESSAGE_HEADER_BYTES, body_hash->b, DIGEST_BYTES);
}

/* All but the hashes. */
static enum chat_err
decode_form(struct bytes wire, struct message *ret)
{
	struct message_header *const header = &ret->header;
	struct reader rd;
	uint8_t version;

	rd_init(&rd, wire);
	version = rd_u8(&rd);
	if (!rd.failed && version != MESSAGE_VERSION)
		return CHAT_ERR_UNSUPPORTED;
	rd_copy(&rd, header->epoch_id.b, DIGEST_BYTES);
	rd_copy(&rd, header->sender.b, DIGEST_BYTES);
	rd_copy(&rd, header->device.b, DEVICE_ID_BYTES);
	header->counter = rd_u64(&rd);
	header->seen_seq = rd_u64(&rd);
	rd_copy(&rd, header->seen_hash.b, DIGEST_BYTES);
	header->time_ms = rd_u64(&rd);
	ret->salt = rd_take(&rd, MESSAGE_SALT_BYTES);
	if (rd.failed || rd.left < AEAD_TAG_BYTES + ED25519_SIG_BYTES)
		return CHAT_ERR_MALFORMED;
	ret->ct = rd_take(&rd, rd.left - ED25519_SIG_BYTES);
	ret->sig = rd_take(&rd, ED25519_SIG_BYTES);
	if (!rd_done(&rd) || header->counter == 0 ||
	    !padded_length_valid(ret->ct.len - AEAD_TAG_BYTES, PADDING_MESSAGE_UNITS))
		return CHAT_ERR_MALFORMED;

	ret->header_wire = BYTES(wire.data, MESSAGE_HEADER_BYTES);
	return CHAT_OK;
}

enum chat_err
message_decode(struct bytes wire, struct message *ret)
{
	struct message message;
	uint8_t b[SIGNED_BYTES];
	enum chat_err err = decode_form(wire, &message);

	if (err != CHAT_OK)
		return err;
	/* salt and ct lie side by side */
	message.body_hash = hash_once(BYTES(message.salt.data, message.salt.len + message.ct.len));
	signed_bytes(wire.data, &message.body_hash, b);
	message.msg_hash = hash_domain_once("message", BYTES_ARRAY(b));
	*ret = message;
	return CHAT_OK;
}

enum chat_err
message_decode_header(struct bytes wire, struct message_header *ret)
{
	struct message message;
	enum chat_err err = decode_form(wire, &message);

	if (err == CHAT_OK)
		*ret = message.header;
	return err;
}

bool
message_signature_good(const struct message *message, const uint8_t sender_pk[static ED25519_PK_BYTES])
{
	uint8_t b[SIGNED_BYTES];

	signed_bytes(message->header_wire.data, &message->body_hash, b);
	return ed25519_verify(sender_pk, "message", BYTES_ARRAY(b), message->sig.data);
}

void
message_key_derive(
    const struct epoch_key *key, struct bytes salt, struct bytes header_wire, struct message_key *ret)
{
	uint8_t info[DOMAIN_MAX_BYTES + DIGEST_BYTES];
	const size_t domain_len = domain_put("message", info);
	const struct digest header_hash = hash_once(header_wire);
	uint8_t out[AES128_KEY_BYTES + AEAD_NONCE_BYTES];

	memcpy(info + domain_len, header_hash.b, DIGEST_BYTES);
	hkdf_sha256(BYTES_ARRAY(key->b), salt, BYTES(info, domain_len + DIGEST_BYTES), out, sizeof(out));
	memcpy(ret->key, out, sizeof(ret->key));
	memcpy(ret->iv, out + sizeof(ret->key), sizeof(ret->iv));
	explicit_bzero(out, sizeof(out));
}

enum chat_err
message_open(
    const struct epoch_key *key, const struct message *message, struct buf *plain, struct bytes *ret_content)
{
	struct message_key message_key;
	enum chat_err err;

	buf_clear(plain);
	err = buf_reserve(plain, message->ct.len);
	if (err != CHAT_OK)
		return err;
	message_key_derive(key, message->salt, message->header_wire, &message_key);
	err = aead_open(
	    BYTES_ARRAY(message_key.key), message_key.iv, message->header_wire, message->ct, plain->data);
	explicit_bzero(&message_key, sizeof(message_key));
	if (err != CHAT_OK)
		return err;
	plain->len = message->ct.len - AEAD_TAG_BYTES;
	return padding_remove(buf_bytes(plain), PADDING_MESSAGE_UNITS, ret_content);
}

enum chat_err
message_seal(const struct epoch_key *key, const struct message_header *header, struct bytes text,
    const struct sign_key *sender, const struct random_source *random, struct buf *ret_wire)
{
	const size_t content_len = content_encoded_bytes(text);
	const size_t padded_len = padded_length(content_len, PADDING_MESSAGE_UNITS);
	const size_t wire_len = MESSAGE_WIRE_BYTES(padded_len);
	struct message_key message_key;
	struct digest body_hash;
	uint8_t b[SIGNED_BYTES];
	uint8_t *wire, *salt, *ct;
	enum chat_err err;

	if (text.len > MESSAGE_TEXT_MAX)
		return CHAT_ERR_RANGE;
	if (header->counter == 0 || !utf8_valid(text))
		return CHAT_ERR_INVALID;
	assert(padded_len != 0);
	err = buf_reserve(ret_wire, wire_len);
	if (err != CHAT_OK)
		return err;

	wire = ret_wire->data + ret_wire->len;
	salt = wire + MESSAGE_HEADER_BYTES;
	ct = salt + MESSAGE_SALT_BYTES;
	message_header_encode(header, wire);
	random->fill(random->ctx, salt, MESSAGE_SALT_BYTES);
	content_encode(text, ct + PADDING_LENGTH_BYTES);
	padding_finish(ct, content_len, padded_len);
	message_key_derive(
	    key, BYTES(salt, MESSAGE_SALT_BYTES), BYTES(wire, MESSAGE_HEADER_BYTES), &message_key);
	aead_seal(BYTES_ARRAY(message_key.key), message_key.iv, BYTES(wire, MESSAGE_HEADER_BYTES),
	    BYTES(ct, padded_len), ct);
	explicit_bzero(&message_key, sizeof(message_key));
	body_hash = hash_once(BYTES(salt, MESSAGE_SALT_BYTES + padded_len + AEAD_TAG_BYTES));
	signed_bytes(wire, &body_hash, b);
	ed25519_sign(
	    sender->seed, sender->pk, "message", BYTES_ARRAY(b), wire + wire_len - ED25519_SIG_BYTES);
	ret_wire->len += wire_len;
	return CHAT_OK;
}
