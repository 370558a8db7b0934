/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Cards: a card that decodes has exactly one form, and that is what came. */

#include "fuzz.h"

#include <assert.h>

#include "group/card.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct card card;
	uint8_t again[CARD_MAX_BYTES];
	struct writer wr;

	if (card_decode(BYTES(data, size), &card) != CHAT_OK)
		return 0;
	assert(size >= CARD_MIN_BYTES && size <= CARD_MAX_BYTES);
	assert(card.body.data == data && card.sig.len == ED25519_SIG_BYTES);
	assert(card.body.len + card.sig.len == size && card.sig.data == data + card.body.len);
	assert(account_name_valid(account_bytes(&card.account)));
	assert(card.serial > 0 && digest_is_zero(&card.prev_card) == (card.serial == 1));

	wr_init(&wr, again, sizeof(again));
	wr_u8(&wr, CARD_VERSION);
	wr_u8(&wr, SUITE_1);
	wr_u8(&wr, card.retired ? CARD_FLAG_RETIRED : 0);
	wr_bytes(&wr, card.realm.b, sizeof(card.realm.b));
	wr_str8(&wr, account_bytes(&card.account));
	wr_bytes(&wr, card.ed_pk, sizeof(card.ed_pk));
	wr_u32(&wr, card.serial);
	wr_bytes(&wr, card.prev_card.b, DIGEST_BYTES);
	wr_bytes(&wr, card.rsa_n, sizeof(card.rsa_n));
	wr_u64(&wr, card.time_ms);
	assert(wr_done(&wr) && bytes_equal(wr_bytes_written(&wr), card.body));

	assert(!card_may_follow(&card, &card));
	assert(card_signature_good(&card) == (card_decode_verify(BYTES(data, size), &card) == CHAT_OK));
	return 0;
}
