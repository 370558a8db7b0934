/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_OUTBOX_H
#define LIBCHAT_OUTBOX_H

/*
 * The text of a message that was not sent yet, sealed for the own disk: whoever gets the storage without the
 * identity reads nothing, as of the log.
 *
 *     key    = HKDF(bag_key, realm, D("outbox"), 32)
 *     sealed = u8 1 || nonce[12] || AES-256-GCM(key, nonce, aad = D("outbox") || realm || str8 account ||
 * room_id, text)
 *              || tag[16]
 *
 * It never leaves the machine, so it is no part of the protocol; the domain is its own, so that nothing
 * sealed for another use opens as a text.
 *
 * Threads: any.
 */

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/random.h"
#include "group/identity.h"

/* Appends to ret_sealed.  The nonce comes from `random`.  CHAT_ERR_NOMEM. */
enum chat_err outbox_seal(const struct identity *identity, const struct digest *room_id, struct bytes text,
    const struct random_source *random, struct buf *ret_sealed) MUST_USE;
/* Appends to ret_text, which ends with buf_fini_secret().  CHAT_ERR_UNSUPPORTED: another format;
 * CHAT_ERR_CANNOT_OPEN; CHAT_ERR_NOMEM. */
enum chat_err outbox_open(const struct identity *identity, const struct digest *room_id, struct bytes sealed,
    struct buf *ret_text) MUST_USE;

#endif
