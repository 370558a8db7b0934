/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_NEWCOMER_H
#define GROUP_NEWCOMER_H

/*
 * The newcomer's check: is the log before an invitation the one that the inviter saw and signed?
 * (chat-protocol(7), The log.)  It computes hashes only; the rules of the events are judged by group/roster.h
 * afterwards.
 *
 * Threads: any; no state.
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "crypto/ed25519.h"
#include "group/event.h"
#include "group/loghash.h"

struct newcomer_event {
	uint64_t seq;
	const struct event *event; /* borrowed */
};

struct newcomer_stub {
	uint64_t seq;
	uint64_t server_time_ms;
	struct digest entry_hash;
};

/*
 * events: every event of the room from the create up to the invitation, which is the last, in order of seq;
 * for the peer of a direct room the create alone. preimage: the 112 bytes behind D("log") of L at the
 * invitation's seen_seq; empty if that is 0. stubs: one for each entry from seen_seq + 1 up to the
 * invitation, in order. Gives the head of the log at the invitation.  CHAT_ERR_BAD_PREFIX, *ret_head
 * untouched, for anything that does not agree.
 */
enum chat_err newcomer_check(const struct newcomer_event *events, size_t event_count, struct bytes preimage,
    const struct newcomer_stub *stubs, size_t stub_count, struct log_head *ret_head) MUST_USE;

#endif
