/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/card.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"

static bool
rsa_n_valid(const uint8_t n[static RSA_BYTES])
{
	return (n[0] & 0x80) != 0 && (n[RSA_BYTES - 1] & 1) != 0;
}

enum chat_err
card_decode(struct bytes wire, struct card *ret)
{
	struct card card = {0};
	struct reader rd;
	uint8_t version, suite, flags;
	struct bytes account;

	rd_init(&rd, wire);
	version = rd_u8(&rd);
	if (!rd.failed && version != CARD_VERSION)
		return CHAT_ERR_UNSUPPORTED;
	suite = rd_u8(&rd);
	if (!rd.failed && suite != SUITE_1)
		return CHAT_ERR_UNSUPPORTED;
	flags = rd_u8(&rd);
	if (!rd.failed && (flags & ~CARD_FLAG_RETIRED) != 0)
		return CHAT_ERR_UNSUPPORTED;
	card.retired = (flags & CARD_FLAG_RETIRED) != 0;
	rd_copy(&rd, card.realm.b, REALM_BYTES);
	account = rd_str8(&rd);
	rd_copy(&rd, card.ed_pk, ED25519_PK_BYTES);
	card.serial = rd_u32(&rd);
	rd_copy(&rd, card.prev_card.b, DIGEST_BYTES);
	rd_copy(&rd, card.rsa_n, RSA_BYTES);
	card.time_ms = rd_u64(&rd);
	card.sig = rd_take(&rd, ED25519_SIG_BYTES);
	if (!rd_done(&rd))
		return CHAT_ERR_MALFORMED;
	card.body = BYTES(wire.data, wire.len - ED25519_SIG_BYTES);

	if (account_name_set(account, &card.account) != CHAT_OK || card.serial == 0 ||
	    (card.serial == 1) != digest_is_zero(&card.prev_card) || !rsa_n_valid(card.rsa_n) ||
	    !ed25519_public_key_valid(card.ed_pk))
		return CHAT_ERR_MALFORMED;

	card.card_hash = hash_domain_once("card", card.body);
	card.member_id = member_id_of(&card.realm, &card.account, card.ed_pk);
	*ret = card;
	return CHAT_OK;
}

bool
card_signature_good(const struct card *card)
{
	return ed25519_verify(card->ed_pk, "card", card->body, card->sig.data);
}

enum chat_err
card_decode_verify(struct bytes wire, struct card *ret)
{
	struct card card;
	enum chat_err err = card_decode(wire, &card);

	if (err != CHAT_OK)
		return err;
	if (!card_signature_good(&card))
		return CHAT_ERR_BAD_SIGNATURE;
	*ret = card;
	return CHAT_OK;
}

bool
card_may_follow(const struct card *old, const struct card *next)
{
	return digest_equal(&old->member_id, &next->member_id) && !old->retired &&
	       old->serial != UINT32_MAX && next->serial == old->serial + 1 &&
	       digest_equal(&next->prev_card, &old->card_hash);
}

enum chat_err
card_build(const struct identity *identity, const struct card *prev, bool retired,
    const uint8_t rsa_n[static RSA_BYTES], uint64_t time_ms, struct buf *ret_wire)
{
	uint8_t wire[CARD_MAX_BYTES];
	uint8_t sig[ED25519_SIG_BYTES];
	struct writer wr;

	if (prev != NULL && !digest_equal(&prev->member_id, &identity->member_id))
		return CHAT_ERR_INVALID;
	if (prev != NULL && prev->retired)
		return CHAT_ERR_NOT_ALLOWED;
	if (prev != NULL && prev->serial == UINT32_MAX)
		return CHAT_ERR_RANGE;
	if (!rsa_n_valid(rsa_n))
		return CHAT_ERR_MALFORMED;

	wr_init(&wr, wire, sizeof(wire));
	wr_u8(&wr, CARD_VERSION);
	wr_u8(&wr, SUITE_1);
	wr_u8(&wr, retired ? CARD_FLAG_RETIRED : 0);
	wr_bytes(&wr, identity->realm.b, REALM_BYTES);
	wr_str8(&wr, account_bytes(&identity->account));
	wr_bytes(&wr, identity->sign.pk, ED25519_PK_BYTES);
	wr_u32(&wr, prev == NULL ? 1 : prev->serial + 1);
	wr_bytes(&wr, prev == NULL ? digest_zero.b : prev->card_hash.b, DIGEST_BYTES);
	wr_bytes(&wr, rsa_n, RSA_BYTES);
	wr_u64(&wr, time_ms);
	ed25519_sign(identity->sign.seed, identity->sign.pk, "card", BYTES(wire, wr.len), sig);
	wr_bytes(&wr, sig, sizeof(sig));
	assert(wr_done(&wr));
	return buf_append(ret_wire, wire, wr.len);
}
