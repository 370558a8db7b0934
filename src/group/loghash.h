/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_LOGHASH_H
#define GROUP_LOGHASH_H

/*
 * The running hashes of a room's log: E over its events, L over all its entries (chat-protocol(7), The log).
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "crypto/ed25519.h"

enum entry_kind {
	ENTRY_EVENT = 1,
	ENTRY_MESSAGE = 2,
};

/* own_hash is the event_hash or msg_hash. */
struct digest log_entry_hash(
    enum entry_kind kind, const struct digest *own_hash, const uint8_t sig[static ED25519_SIG_BYTES]);

/* Where a log stands.  All zeros: before its first entry. */
struct log_head {
	uint64_t seq;
	struct digest L;
	struct digest E;
};

bool log_head_equal(const struct log_head *a, const struct log_head *b);

/* E after one more event. */
struct digest log_chain_next(const struct digest *E, const struct digest *event_hash);

/* Takes one more entry, which gets number head->seq + 1.  event_hash is NULL for a message, also for its
 * stub. */
void log_head_advance(struct log_head *head, uint64_t server_time_ms, const struct digest *entry,
    const struct digest *event_hash);

/* What L_n is the hash of, behind D("log"). */
#define LOG_PREIMAGE_BYTES (DIGEST_BYTES + 8 + 8 + DIGEST_BYTES + DIGEST_BYTES)

struct log_preimage {
	struct digest prev_L;
	uint64_t seq;
	uint64_t server_time_ms;
	struct digest entry_hash;
	struct digest E;
};

void log_preimage_encode(const struct log_preimage *preimage, uint8_t ret[static LOG_PREIMAGE_BYTES]);
/* CHAT_ERR_MALFORMED, *ret untouched, for another length. */
enum chat_err log_preimage_decode(struct bytes wire, struct log_preimage *ret) MUST_USE;
struct digest log_preimage_hash(const struct log_preimage *preimage); /* L_n */

#endif
