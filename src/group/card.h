/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_CARD_H
#define GROUP_CARD_H

/*
 * Cards: what an identity publishes, its signing key and its current RSA key, signed by itself and chained by
 * number and hash (chat-protocol(7), Identity).
 *
 * Not here: whether a card is the published one, and what a card does in a room (roster.h).
 *
 * Threads: any.  A decoded card is a plain value; only `body` and `sig` are borrowed from the bytes it came
 * from.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "crypto/ed25519.h"
#include "crypto/rsa_oaep.h"
#include "group/identity.h"

#define CARD_VERSION 1
#define SUITE_1      1 /* Ed25519, RSA-3072-OAEP-SHA-256, HKDF-SHA-256, AES-128-GCM */

#define CARD_FLAG_RETIRED 0x01

/* Of the whole card, with its signature, for an account name of one byte and of 64. */
#define CARD_FIXED_BYTES                                                                                     \
	(3 + REALM_BYTES + 1 + ED25519_PK_BYTES + 4 + DIGEST_BYTES + RSA_BYTES + 8 + ED25519_SIG_BYTES)
#define CARD_MIN_BYTES (CARD_FIXED_BYTES + 1)
#define CARD_MAX_BYTES (CARD_FIXED_BYTES + ACCOUNT_MAX_BYTES)

struct card {
	struct realm realm;
	struct account_name account;
	uint8_t ed_pk[ED25519_PK_BYTES]; /* canonical, not of small order */
	bool retired;
	uint32_t serial; /* from 1 */
	struct digest prev_card;
	uint8_t rsa_n[RSA_BYTES]; /* odd, top bit set */
	uint64_t time_ms;         /* wall time, for people only */

	struct digest card_hash;
	struct digest member_id;

	struct bytes body; /* borrowed from the input of card_decode() */
	struct bytes sig;  /* borrowed likewise; ED25519_SIG_BYTES long */
};

/*
 * Reads a card and checks all of its form, left to right; not its signature.  CHAT_ERR_UNSUPPORTED: a
 * version, suite or flag that is unknown.  CHAT_ERR_MALFORMED: everything else.  *ret is untouched then.
 */
enum chat_err card_decode(struct bytes wire, struct card *ret) MUST_USE;

/* Whether the card is signed by the key in it.  body and sig must still be there. */
bool card_signature_good(const struct card *card) MUST_USE;

/* Both of the above: CHAT_ERR_BAD_SIGNATURE besides the errors of card_decode(). */
enum chat_err card_decode_verify(struct bytes wire, struct card *ret) MUST_USE;

/* Whether `next` is the card right behind `old`: the same identity, serial + 1, chained by hash, and `old`
 * not retired. */
bool card_may_follow(const struct card *old, const struct card *next) MUST_USE;

/*
 * Builds and signs a card and appends it to ret_wire; `prev` is the card before it, or NULL for the first.
 * CHAT_ERR_INVALID if prev is another identity's, CHAT_ERR_NOT_ALLOWED if it is retired, CHAT_ERR_MALFORMED
 * if rsa_n is even or short, CHAT_ERR_RANGE if there is no next serial, CHAT_ERR_NOMEM; ret_wire is as it was
 * then.
 */
enum chat_err card_build(const struct identity *identity, const struct card *prev, bool retired,
    const uint8_t rsa_n[static RSA_BYTES], uint64_t time_ms, struct buf *ret_wire) MUST_USE;

#endif
