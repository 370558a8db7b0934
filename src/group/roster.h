/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_ROSTER_H
#define GROUP_ROSTER_H

/*
 * The agreed state of one room and the rules by which it changes (chat-protocol(7), Room events, Messages,
 * The log): what the server and every member believe, computed from the room's log alone.  Both sides call
 * these functions.
 *
 * It does no I/O, knows no clock, makes no randomness, and verifies no signature: the caller says whether
 * it was good (event_signatures_good() with roster_actor_key()).  It holds no text and no
 * keys of epochs.
 *
 * A refused post changes nothing.  Between roster_begin() and roster_commit() any number of posts can be
 * taken back as a whole by roster_rollback().
 *
 * Threads: one at a time.
 * Ownership: what the functions return as const pointers belongs to the roster.  Members and epochs stay
 * where they are until roster_free(), or a rollback past the post that brought them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "group/card.h"
#include "group/event.h"
#include "group/epoch.h"
#include "group/identity.h"
#include "group/loghash.h"
#include "group/seal.h"

#define ROSTER_OPEN_END UINT64_MAX

enum member_state { MEMBER_OUT = 0, MEMBER_INVITED = 1, MEMBER_JOINED = 2 };

/* Reader of the room at the places from_seq <= n < to_seq; the last one of a present reader ends at
 * ROSTER_OPEN_END. */
struct roster_stay {
	uint64_t from_seq;
	uint64_t to_seq;
};

/* One who is or ever was invited (or created the room). */
struct roster_member {
	struct digest id;
	enum member_state state;
	enum member_role role;   /* of one who is out: ROLE_MEMBER */
	uint64_t place_seq;      /* of create or the last invite: readers are in this order */
	uint8_t place_peer;      /* 1 for the peer in a direct room's create, which comes second */
	uint64_t owner_since;    /* number of the event that made it owner; 0 if it is none */
	struct digest after;     /* what the next event about it must name */
	struct digest card_hash; /* the card in the chain */
	uint32_t serial;         /* of that card */
	bool retired;            /* by that card */
	struct bytes card;       /* its wire, owned by the roster; empty unless it keeps cards */
	uint8_t ed_pk[ED25519_PK_BYTES];
	struct account_name account;
	uint32_t device_count; /* that have said something: each is remembered for ever */

	struct roster_stay *stays; /* owned by the roster; in order, disjoint */
	size_t stay_count;
	size_t stay_cap;
	struct roster_member *next_reader; /* readers in order; NULL at the end, and for who is out */
	struct roster_member *prev_reader;
};

struct roster_epoch {
	struct digest id;    /* event_hash of the rekey */
	uint64_t number;     /* 1, 2, 3 ... */
	uint64_t seq;        /* place of the rekey */
	struct digest after; /* of the rekey, as is actor: see roster_epoch_context() */
	struct digest actor;
	struct digest commitment;
	bool history_all; /* opened under history_policy `all` */
};

/* What can be read without asking for a member.  All zero before the create. */
struct roster_state {
	struct digest room_id;
	enum room_kind kind;
	enum invite_policy invite_policy;
	enum history_policy history_policy;
	uint32_t keep_days;    /* 0: no limit */
	uint64_t keep_entries; /* 0: no limit */

	bool created;
	bool open;
	bool over;          /* created, and no reader is left: nothing can be posted any more */
	uint64_t epoch;     /* number of the last rekey, 0 before the first */
	uint64_t epoch_seq; /* its place */
	struct digest epoch_id;
	struct log_head head; /* of the last entry: seq, L, E */

	uint32_t reader_count; /* joined and invited */
	uint32_t joined_count;
	uint32_t owner_count; /* joined owners */
	struct roster_member *first_reader;
	struct roster_member *last_reader;

	struct digest settings_after; /* what the next settings must name */
	struct digest rekey_after;    /* what the next rekey must name */
};

struct roster;

/* keep_cards: keeps each member's card, which those need who wrap.  NULL: out of memory. */
struct roster *roster_new(const struct realm *realm, bool keep_cards);
void roster_free(struct roster *roster);

/* Valid as long as the roster; changes under the caller's eyes with each post. */
const struct roster_state *roster_state(const struct roster *roster);

/*
 * --- posting, on the server ---
 */

/*
 * A batch: every event in it must be of one actor.  A post without a begin is a batch of one that commits
 * itself.  Messages may be posted inside too.  Not nested.
 */
void roster_begin(struct roster *roster);
void roster_commit(struct roster *roster);
/* Makes the roster what it was at roster_begin(), exactly.  Pointers to members and epochs that came since
 * dangle. */
void roster_rollback(struct roster *roster);

/* Why a post was refused. */
struct roster_refusal {
	enum chat_err err;
	uint32_t index;        /* which event of the batch, from 0 */
	bool has_current;      /* of CHAT_ERR_CONFLICT: */
	struct digest current; /* what `after`, or a re-wrap's card_hash, should have been */
	uint64_t expected;     /* of a message's already and out_of_order: the device's next counter */
	const char *why;       /* a few words for a log; static storage, never NULL */
};

struct roster_wraps {
	bool staged;    /* all are there, of right length, and the hash over them is the event's wraps_hash */
	uint32_t count; /* of them */
};

struct roster_post {
	const struct event *event;
	/* The member_id of who sends it; NULL: whoever (a log being read or healed). */
	const struct digest *poster;
	/* NULL: not looked at (a reader of the log has only its own wrap). */
	const struct roster_wraps *wraps;
	uint64_t server_time_ms;
	bool signatures_good;   /* event_signatures_good() under the actor's key */
	bool cards_unpublished; /* a card in create or invite is not the published one: conflict */
};

/* What a post changed: for subscriptions, and for lines to print. */
struct roster_change {
	enum event_type type;
	uint64_t seq;
	struct digest entry_hash;
	const struct roster_member *actor;
	const struct roster_member *member;     /* whom it is about; NULL for settings and rekey */
	const struct roster_member *peer;       /* of a direct room's create: the other one, joined too */
	enum member_state old_state, new_state; /* of member */
	enum member_role old_role, new_role;    /* of member */
	bool member_new;                        /* never seen in this room before */
	bool card_changed;                /* the member's card in the chain is another one than before */
	bool retired;                     /* a card event that was a leave */
	bool closed;                      /* the room was open and is not any more */
	bool voluntary;                   /* a rekey while open */
	bool policies_changed;            /* settings: invite_policy or history_policy */
	bool over;                        /* nobody is left */
	const struct roster_epoch *epoch; /* of a rekey: the one it opened */
};

/*
 * Judges the event at the next place and applies it.  CHAT_OK, *ret_change filled in; or a refusal, the first
 * that applies of: malformed (a second actor or room in one batch), already (the same create), no_room,
 * conflict, not_allowed (an actor unknown here, or not the poster), bad_signature, not_allowed, bad_seen,
 * bad_wraps, with *ret_refusal filled in and nothing changed; or CHAT_ERR_NOMEM, nothing changed. Unsupported
 * and malformed bytes were found by event_decode() before.  ret_change and ret_refusal may be NULL.  In a
 * batch the caller rolls back after a refusal.
 */
enum chat_err roster_post_event(struct roster *roster, const struct roster_post *post,
    struct roster_change *ret_change, struct roster_refusal *ret_refusal) MUST_USE;

/* The same judgement without applying. */
enum chat_err roster_judge_event(
    const struct roster *roster, const struct roster_post *post, struct roster_refusal *ret_refusal) MUST_USE;

/*
 * Judges the message at the next place and applies it: already, out_of_order, not_allowed (also: poster,
 * unless NULL, is not the sender), stale, bad_seen.  `entry` is its log_entry_hash().  Its signature is not
 * looked at, for the server does not.  One lookup; allocates only for a device's first message.
 */
enum chat_err
roster_post_message(struct roster *roster, const struct message_header *header, const struct digest *entry,
    const struct digest *poster, uint64_t server_time_ms, struct roster_refusal *ret_refusal) MUST_USE;

/*
 * Judges a re-wrap: not_allowed (unknown epoch, wrapper not joined or not the poster, recipient not
 * entitled), conflict (not the card in the chain; current is that card's hash), bad_signature (by
 * signature_good: rewrap_signature_good() under the wrapper's key).  It is no entry and changes nothing here.
 */
enum chat_err roster_judge_rewrap(const struct roster *roster, const struct rewrap *rewrap,
    const struct digest *poster, bool signature_good, struct roster_refusal *ret_refusal) MUST_USE;

/*
 * --- reading a log, on a client ---
 */

/*
 * Takes the event that stands in the log at head.seq + 1.  A refusal is the server's fault and stops the room
 * there; the roster is then as before.
 */
enum chat_err roster_take_event(struct roster *roster, const struct event *event, bool signatures_good,
    uint64_t server_time_ms, struct roster_change *ret_change, struct roster_refusal *ret_refusal) MUST_USE;

struct roster_message_verdict {
	/* CHAT_OK: to be shown.  CHAT_ERR_ALREADY: a repeat.  Otherwise what makes it invalid: not_allowed,
	 * stale, bad_seen, bad_signature.  What is not OK is not shown. */
	enum chat_err err;
	uint64_t gap;    /* how many of the device's messages are missing before it, though none was a stub */
	const char *why; /* static storage */
};

/*
 * Takes the message that stands in the log at head.seq + 1, valid or not, and says what is wrong with it. One
 * that is valid but for its signature uses its counter; so does one behind a gap.  CHAT_ERR_NOMEM: nothing
 * changed.
 */
enum chat_err
roster_take_message(struct roster *roster, const struct message_header *header, const struct digest *entry,
    bool signature_good, uint64_t server_time_ms, struct roster_message_verdict *ret_verdict) MUST_USE;

/* Takes the entry at head.seq + 1, a message of which only the hash is known. */
void roster_take_stub(struct roster *roster, uint64_t server_time_ms, const struct digest *entry_hash);

/*
 * --- loading ---
 */

/*
 * Applies a stored event at its place without the entries between: seq above that of the last one. Everything
 * is judged as in roster_take_event() except that messages are missing from the log's hash, so
 * state()->head.L is unknown until roster_set_head().  A refusal means that the store is damaged (or, for a
 * newcomer's prefix, that the server lied).
 */
enum chat_err roster_load_event(struct roster *roster, uint64_t seq, const struct event *event,
    bool signatures_good, struct roster_refusal *ret_refusal) MUST_USE;
/* The head after loading.  CHAT_ERR_CORRUPT, nothing changed: seq or E is not that of the events loaded. */
enum chat_err roster_set_head(struct roster *roster, const struct log_head *head) MUST_USE;
/* After roster_set_head(): the device's last counter, as it was stored.  CHAT_ERR_NOMEM. */
enum chat_err roster_set_counter(struct roster *roster, const struct digest *sender,
    const struct device_id *device, uint64_t last) MUST_USE;
/* After roster_set_head(): the counters are at least what was set, for of some messages only stubs were seen.
 * A device's first message from here on proves no gap. */
void roster_set_blind(struct roster *roster);

/*
 * --- asking ---
 */

/* NULL: never in this room. */
const struct roster_member *roster_member(const struct roster *roster, const struct digest *member_id);
/* All that ever were, in order of their first event: index 0 .. roster_member_count() - 1. */
size_t roster_member_count(const struct roster *roster);
const struct roster_member *roster_member_at(const struct roster *roster, size_t index);
/* Of a direct room: the other one of the two.  NULL in a group, or if self is not in it. */
const struct roster_member *roster_peer(const struct roster *roster, const struct digest *self);

bool member_is_reader(const struct roster_member *member); /* joined or invited; false for NULL */
bool member_is_joined(const struct roster_member *member); /* false for NULL */
/* The RSA key of the card in the chain, RSA_BYTES, for wrap_seal(); the roster keeps cards (asserted).  Valid
 * until that card is replaced. */
const uint8_t *member_rsa_n(const struct roster_member *member);
uint32_t roster_reader_count(const struct roster *roster);
/* Readers in order: start with NULL; NULL at the end. */
const struct roster_member *
roster_next_reader(const struct roster *roster, const struct roster_member *previous);

size_t roster_epoch_count(const struct roster *roster);
/* By number, 1 .. count, or by id; NULL: none such. */
const struct roster_epoch *roster_epoch_at(const struct roster *roster, uint64_t number);
const struct roster_epoch *roster_epoch(const struct roster *roster, const struct digest *id);
/* What its keys and wraps are bound to. */
struct epoch_context roster_epoch_context(const struct roster *roster, const struct roster_epoch *epoch);
/* The one in force at place seq: of the last rekey at or before it.  NULL before the first. */
const struct roster_epoch *roster_epoch_of_seq(const struct roster *roster, uint64_t seq);

/* May the member have that epoch's key?  NULL for either: false. */
bool roster_entitled(
    const struct roster *roster, const struct roster_member *member, const struct roster_epoch *epoch);

/* May the member get the entry whole?  Events: every reader.  Messages: joined, and entitled to the epoch. */
bool roster_may_read_events(const struct roster *roster, const struct roster_member *member);
bool roster_may_read_messages(
    const struct roster *roster, const struct roster_member *member, const struct roster_epoch *epoch);

struct roster_range {
	uint64_t from_seq;
	uint64_t to_seq; /* not included; ROSTER_OPEN_END while it goes on */
};
/*
 * The places whose messages the member may get whole, in order, disjoint; none unless it is joined.
 * *ret_ranges is the caller's to free() (NULL if there are none).  CHAT_ERR_NOMEM.
 */
enum chat_err roster_read_ranges(const struct roster *roster, const struct roster_member *member,
    struct roster_range **ret_ranges, size_t *ret_count) MUST_USE;

/*
 * What the next event of that type must name as `after`.  member_id is of whom the event is about: of an
 * invite the card's identity, of kick and role the target, of join, decline, leave and card the actor; else
 * NULL.
 */
const struct digest *
roster_next_after(const struct roster *roster, enum event_type type, const struct digest *member_id);

/* There is one who could rekey, and must before anything can be said. */
bool roster_needs_rekey(const struct roster *roster);

/* The key that verifies the event: a create's from its card, otherwise the actor's here.  NULL: the actor is
 * unknown. */
const uint8_t *roster_actor_key(const struct roster *roster, const struct event *event);

/* The device's last counter; 0 if it said nothing yet. */
uint64_t
roster_counter(const struct roster *roster, const struct digest *sender, const struct device_id *device);

struct roster_counter {
	struct digest sender;
	struct device_id device;
	uint64_t last;
};
/* Visits all counters in no order: start with *iter = 0; false at the end. */
bool roster_next_counter(const struct roster *roster, size_t *iter, struct roster_counter *ret);

/* About how much memory it takes. */
size_t roster_bytes(const struct roster *roster);

#endif
