/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_EPOCH_H
#define GROUP_EPOCH_H

/*
 * Epochs: the room key K, what a rekey commits to, the wraps that bring K to each reader, the box with the
 * room's name and topic, and re-wraps for readers who came later (chat-protocol(7), Epochs).
 *
 * Not here: the rekey event itself (event.h), and who is a reader or entitled (roster.h).
 *
 * Threads: any.  K is a secret: the caller overwrites its copies.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/rsa_oaep.h"
#include "group/identity.h"
#include "group/padding.h"

#define EPOCH_KEY_BYTES 16
#define WRAP_BYTES      RSA_BYTES

/* K: 16 random bytes, fresh for every attempt at a rekey. */
struct epoch_key {
	uint8_t b[EPOCH_KEY_BYTES];
};

void epoch_key_generate(const struct random_source *random, struct epoch_key *ret);
void epoch_key_fini(struct epoch_key *key); /* overwrites it */

/* What an epoch is bound to: all of it stands in its rekey event. */
struct epoch_context {
	struct digest room_id;
	uint64_t number; /* from 1 */
	struct digest after;
	struct digest actor;
};

struct digest epoch_salt(const struct epoch_context *ctx); /* esalt */
struct digest epoch_commitment(const struct epoch_key *key, const struct digest *salt);

/* Wraps.  A wrap is for one card of one member. */
struct wrap_target {
	struct digest member_id;
	struct digest card_hash;
};

/* The OAEP label: D("wrap") and all that the wrap is for. */
#define WRAP_LABEL_BYTES (20 + 32 + 8 + 32 + 32 + 32)
void wrap_label(const struct epoch_context *ctx, const struct digest *commitment,
    const struct wrap_target *target, uint8_t ret[static WRAP_LABEL_BYTES]);

/*
 * Seals K to a card's RSA key; 31 us.  The 32 bytes of the OAEP seed come from `random`.
 * CHAT_ERR_MALFORMED if rsa_n is even or its top bit is clear, which no decoded card's is.
 */
enum chat_err wrap_seal(const struct epoch_context *ctx, const struct digest *commitment,
    const struct wrap_target *target, const uint8_t rsa_n[static RSA_BYTES], const struct epoch_key *key,
    const struct random_source *random, uint8_t ret_wrap[static WRAP_BYTES]) MUST_USE;

/*
 * Opens a wrap and checks K against the commitment in constant time; 2.6 ms.  CHAT_ERR_CANNOT_OPEN for every
 * cause, *ret untouched.  `random` blinds the private operation.
 */
enum chat_err wrap_open(const struct epoch_context *ctx, const struct digest *commitment,
    const struct wrap_target *target, const struct rsa_key *rsa, struct bytes wrap,
    const struct random_source *random, struct epoch_key *ret) MUST_USE;

/* The hash over all wraps of a rekey, in the order of the readers, from the hashes of each. */
struct wraps_hash {
	struct hash hash;
	uint32_t left; /* hashes still to come */
};

void wraps_hash_init(struct wraps_hash *wh, uint32_t count);
void wraps_hash_add(struct wraps_hash *wh, const struct digest *wrap_hash); /* H(wrap_i) */
struct digest wraps_hash_end(struct wraps_hash *wh); /* after exactly `count` of them */

/* The key of an epoch's info box. */
struct info_key {
	uint8_t key[AES128_KEY_BYTES];
	uint8_t iv[AEAD_NONCE_BYTES];
};

void info_key_derive(const struct epoch_key *key, const struct digest *salt, struct info_key *ret);
void info_key_fini(struct info_key *key); /* overwrites it */

#define INFO_BOX_MAX_BYTES (PADDING_UNIT_BYTES * PADDING_INFO_UNITS + AEAD_TAG_BYTES)

bool info_box_length_valid(size_t box_bytes) MUST_USE;

/*
 * Seals the room's encoded RoomInfo (content.h) and appends the box to ret_box.  A key is for one box:
 * another content needs another K.  CHAT_ERR_RANGE if it is longer than a box takes, CHAT_ERR_NOMEM.
 */
enum chat_err info_box_seal(const struct info_key *key, const struct digest *room_id, uint64_t epoch,
    struct bytes room_info, struct buf *ret_box) MUST_USE;

/*
 * Opens a box into `plain` (cleared first; end it with buf_fini_secret()); *ret_room_info is borrowed from it
 * and still encoded.  CHAT_ERR_MALFORMED: a length that no box has, or padding that is not right.
 * CHAT_ERR_CANNOT_OPEN, CHAT_ERR_NOMEM.
 */
enum chat_err info_box_open(const struct info_key *key, const struct digest *room_id, uint64_t epoch,
    struct bytes box, struct buf *plain, struct bytes *ret_room_info) MUST_USE;

/* Re-wraps: an epoch's key, wrapped later and by another member, for somebody entitled to it. */
#define REWRAP_VERSION 1
#define REWRAP_BYTES   (1 + 4 * DIGEST_BYTES + WRAP_BYTES + ED25519_SIG_BYTES)

struct rewrap {
	struct digest epoch_id; /* event_hash of the epoch's rekey */
	struct digest recipient;
	struct digest card_hash;
	struct digest wrapper;
	struct bytes wrap; /* borrowed; WRAP_BYTES long */
	struct bytes body; /* borrowed: what is signed.  Not read by rewrap_build(). */
	struct bytes sig;  /* borrowed; ED25519_SIG_BYTES long.  Not read by rewrap_build(). */
};

/* The wrap in it is wrap_seal()'s.  rewrap->wrap is WRAP_BYTES long (asserted). */
void rewrap_build(
    const struct sign_key *wrapper, const struct rewrap *rewrap, uint8_t ret_wire[static REWRAP_BYTES]);

/* CHAT_ERR_UNSUPPORTED: another version.  CHAT_ERR_MALFORMED: another length.  The signature is not verified.
 */
enum chat_err rewrap_decode(struct bytes wire, struct rewrap *ret) MUST_USE;
bool rewrap_signature_good(
    const struct rewrap *rewrap, const uint8_t wrapper_pk[static ED25519_PK_BYTES]) MUST_USE;

#endif
