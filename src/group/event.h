/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_EVENT_H
#define GROUP_EVENT_H

/*
 * The ten room events as bytes: decoding, building, signatures (chat-protocol(7), Room events).
 *
 * It knows layouts only.  Who may post what, and when, is group/roster.h.
 *
 * Threads: any; no state.
 * Ownership: a struct event borrows from the wire it was decoded from (wire, info_box, the cards' bytes); the
 * wire must outlive it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "crypto/ed25519.h"
#include "group/card.h"
#include "group/epoch.h"
#include "group/identity.h"

enum event_type {
	EVENT_CREATE = 1,
	EVENT_INVITE = 2,
	EVENT_JOIN = 3,
	EVENT_DECLINE = 4,
	EVENT_LEAVE = 5,
	EVENT_KICK = 6,
	EVENT_ROLE = 7,
	EVENT_SETTINGS = 8,
	EVENT_CARD = 9,
	EVENT_REKEY = 10,
};

enum room_kind { ROOM_GROUP = 0, ROOM_DIRECT = 1 };
enum invite_policy { INVITE_MEMBERS = 0, INVITE_MODERATORS = 1 };
enum history_policy { HISTORY_FROM_INVITATION = 0, HISTORY_ALL = 1 };
enum member_role { ROLE_MEMBER = 1, ROLE_MODERATOR = 2, ROLE_OWNER = 3 };

#define EVENT_NONCE_BYTES  16
#define EVENT_HEADER_BYTES 146 /* version to time_ms */
#define EVENT_WIRE_MIN     (EVENT_HEADER_BYTES + ED25519_SIG_BYTES)
/* A rekey with the largest box; a direct create with two of the largest cards is shorter. */
#define EVENT_WIRE_MAX (EVENT_HEADER_BYTES + 8 + 32 + 32 + 2 + INFO_BOX_MAX_BYTES + ED25519_SIG_BYTES)

struct event {
	enum event_type type;
	struct digest room_id; /* of a create its own event_hash */
	struct digest actor;
	struct digest after;
	uint64_t seen_seq;
	struct digest seen_hash;
	uint64_t time_ms; /* what the actor's clock said; no rule reads it */

	/* The payload; which member holds is said by type.  join, decline and leave have none. */
	union {
		struct {
			uint8_t nonce[EVENT_NONCE_BYTES];
			enum room_kind kind;
			enum invite_policy invite_policy;
			enum history_policy history_policy;
			struct realm realm;
		} create; /* and card, and in a direct room peer_card */
		struct {
			struct digest target;
			uint8_t reason_code; /* any; 0 none */
		} kick;
		struct {
			struct digest target;
			enum member_role role;
		} role;
		struct {
			enum invite_policy invite_policy;
			enum history_policy history_policy;
			uint32_t keep_days;    /* 0: no limit */
			uint64_t keep_entries; /* 0: no limit */
		} settings;
		struct {
			uint64_t epoch;
			struct digest commitment;
			struct digest wraps_hash;
			struct bytes info_box; /* borrowed */
		} rekey;
	};
	struct bytes card_wire;      /* borrowed; create, invite, card; empty in the others */
	struct bytes peer_card_wire; /* borrowed; create of a direct room; empty in the others */

	/* From here on event_decode() fills in and event_build() does not look. */
	struct card card;
	struct card peer_card;
	struct digest event_hash;
	uint8_t sig[ED25519_SIG_BYTES];
	struct bytes wire; /* borrowed; body and signature */
};

/*
 * Reads wire (body and signature) strictly, from left to right: the first thing that is wrong decides between
 * CHAT_ERR_UNSUPPORTED (version, type, suite, kind, policy, role; also of a card in it) and
 * CHAT_ERR_MALFORMED.  No signature is checked.  *ret is untouched on failure.
 */
enum chat_err event_decode(struct bytes wire, struct event *ret) MUST_USE;

/* True if the event's own signature verifies under the actor's key. */
bool
event_signature_good(const struct event *event, const uint8_t actor_ed_pk[static ED25519_PK_BYTES]) MUST_USE;

/* The event's own signature, and that of each card in it under the card's own key. */
bool
event_signatures_good(const struct event *event, const uint8_t actor_ed_pk[static ED25519_PK_BYTES]) MUST_USE;

/*
 * Encodes and signs the draft and appends the wire to `into`.  Reads of the draft the fields down to the two
 * cards' wires; a create's room_id, after and seen are written as zeros whatever the draft holds.
 * *ret_event_hash may be NULL.  CHAT_ERR_NOMEM; CHAT_ERR_INVALID for a card, box or enum that does not fit
 * the layout. Nothing is appended on failure.
 */
enum chat_err event_build(const struct event *draft, const struct sign_key *key, struct buf *into,
    struct digest *ret_event_hash) MUST_USE;

/* "create", "invite" ...; "unknown" for another number. */
const char *event_type_name(enum event_type type);

#endif
