/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_BAG_H
#define GROUP_BAG_H

/*
 * The bag: all RSA private keys of an identity, sealed under its bag key and numbered, for the server to
 * keep, so that every device has every key (chat-protocol(7), Identity).
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "group/identity.h"

#define BAG_HEAD_BYTES     (1 + 8 + AEAD_NONCE_BYTES)
#define BAG_OVERHEAD_BYTES (BAG_HEAD_BYTES + AEAD_TAG_BYTES)

/* An opened bag.  Everything is borrowed from the buffer given to bag_open(). */
struct bag {
	uint64_t version; /* from 1 */
	size_t key_count;
	struct bytes content; /* the protobuf Bag, checked */
};

/*
 * Appends a bag of `count` keys (each PKCS#8 DER) to ret_blob, as `version`, which is 1 or more (asserted).
 * The 12 bytes of the nonce come from `random`.  CHAT_ERR_NOMEM.
 */
enum chat_err bag_seal(const uint8_t bag_key[static BAG_KEY_BYTES], const struct realm *realm,
    const struct account_name *account, uint64_t version, const struct bytes *keys, size_t count,
    const struct random_source *random, struct buf *ret_blob) MUST_USE;

/*
 * Opens a bag.  `known_version` is the highest that this client has seen, 0 for none.  The content goes into
 * `plain`, which is cleared first and ends with buf_fini_secret(); *ret is valid until it changes.
 *
 * CHAT_ERR_UNSUPPORTED: another format.  CHAT_ERR_MALFORMED: too short, version 0, or what was sealed is no
 * Bag. CHAT_ERR_CANNOT_OPEN: another key, realm or account, or other bytes.  CHAT_ERR_STALE: it opens, but
 * the client knew a higher version.  CHAT_ERR_NOMEM.  *ret is untouched then.
 */
enum chat_err bag_open(const uint8_t bag_key[static BAG_KEY_BYTES], const struct realm *realm,
    const struct account_name *account, uint64_t known_version, struct bytes blob, struct buf *plain,
    struct bag *ret) MUST_USE;

/* Visits the keys: start with *at = 0; false at the end.  The key (PKCS#8 DER) is borrowed as the bag is. */
bool bag_next_key(const struct bag *bag, size_t *at, struct bytes *ret_der);

#endif
