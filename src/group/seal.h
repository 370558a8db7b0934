/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_SEAL_H
#define GROUP_SEAL_H

/*
 * Messages: header, sealed content, signature (chat-protocol(7), Messages).
 *
 * Not here: whether a message is valid at its place (roster.h), and what its text may do to a terminal.
 *
 * Threads: any.  Decoding borrows and allocates nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "group/content.h"
#include "group/epoch.h"
#include "group/identity.h"
#include "group/padding.h"

#define MESSAGE_VERSION      1
#define DEVICE_ID_BYTES      8
#define MESSAGE_SALT_BYTES   16
#define MESSAGE_HEADER_BYTES (1 + 2 * DIGEST_BYTES + DEVICE_ID_BYTES + 8 + 8 + DIGEST_BYTES + 8)

/* Of the whole message, with content of c padded bytes. */
#define MESSAGE_WIRE_BYTES(c)                                                                                \
	(MESSAGE_HEADER_BYTES + MESSAGE_SALT_BYTES + (c) + AEAD_TAG_BYTES + ED25519_SIG_BYTES)
#define MESSAGE_MAX_BYTES MESSAGE_WIRE_BYTES(PADDING_UNIT_BYTES *PADDING_MESSAGE_UNITS)

struct device_id {
	uint8_t b[DEVICE_ID_BYTES];
};

struct message_header {
	struct digest epoch_id;
	struct digest sender;
	struct device_id device;
	uint64_t counter; /* from 1, per room, sender and device */
	uint64_t seen_seq;
	struct digest seen_hash;
	uint64_t time_ms; /* wall time of the sender, for people only */
};

/* A decoded message.  The slices are borrowed from the input of message_decode(). */
struct message {
	struct message_header header;
	struct bytes header_wire; /* MESSAGE_HEADER_BYTES */
	struct bytes salt;        /* MESSAGE_SALT_BYTES */
	struct bytes ct;          /* with its tag */
	struct bytes sig;         /* ED25519_SIG_BYTES */
	struct digest body_hash;
	struct digest msg_hash;
};

void message_header_encode(const struct message_header *header, uint8_t ret[static MESSAGE_HEADER_BYTES]);

/*
 * Checks the form, left to right, and computes the two hashes.  CHAT_ERR_UNSUPPORTED: another version.
 * CHAT_ERR_MALFORMED: everything else; *ret untouched.  The signature is not verified.
 */
enum chat_err message_decode(struct bytes wire, struct message *ret) MUST_USE;

/* The same check of the form, without the hashes: for who has them already. */
enum chat_err message_decode_header(struct bytes wire, struct message_header *ret) MUST_USE;

bool message_signature_good(
    const struct message *message, const uint8_t sender_pk[static ED25519_PK_BYTES]) MUST_USE;

/*
 * Opens a message into `plain` (cleared first; end it with buf_fini_secret()); *ret_content is borrowed from
 * it and still encoded: content_decode() gives the text.  CHAT_ERR_CANNOT_OPEN: another K, or other bytes.
 * CHAT_ERR_MALFORMED: it opens, but is not padded as it must be.  CHAT_ERR_NOMEM.  Verify the signature
 * first.
 */
enum chat_err message_open(const struct epoch_key *key, const struct message *message, struct buf *plain,
    struct bytes *ret_content) MUST_USE;

/*
 * Seals and signs `text` (UTF-8) and appends the message to ret_wire.  The 16 bytes of the salt come from
 * `random`. CHAT_ERR_RANGE: text longer than MESSAGE_TEXT_MAX.  CHAT_ERR_INVALID: it is not UTF-8, or the
 * counter is 0. CHAT_ERR_NOMEM.  ret_wire is as it was then.
 */
enum chat_err
message_seal(const struct epoch_key *key, const struct message_header *header, struct bytes text,
    const struct sign_key *sender, const struct random_source *random, struct buf *ret_wire) MUST_USE;

/* The key and nonce of one message, for the worked examples; the functions above derive them themselves. */
struct message_key {
	uint8_t key[AES128_KEY_BYTES];
	uint8_t iv[AEAD_NONCE_BYTES];
};
void message_key_derive(
    const struct epoch_key *key, struct bytes salt, struct bytes header_wire, struct message_key *ret);

#endif
