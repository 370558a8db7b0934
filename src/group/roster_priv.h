/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_ROSTER_PRIV_H
#define GROUP_ROSTER_PRIV_H

/*
 * What the parts of the roster share; nobody else includes it.
 *
 *     roster.c         memory, and asking
 *     roster_judge.c   the rules: may this event stand at that place?  Changes nothing.
 *     roster_apply.c   what an event that may does
 *     roster_log.c     events and messages as entries of the log: posting, taking, loading
 *     roster_undo.c    the journal behind begin, commit and rollback
 *
 * Threads: as roster.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "group/roster.h"

struct counter_key {
	struct digest sender;
	struct device_id device;
};
_Static_assert(sizeof(struct counter_key) == DIGEST_BYTES + DEVICE_ID_BYTES, "it is a key of a map");

struct counter {
	struct counter_key key;
	uint64_t last;
	uint64_t last_seq;            /* of that message; 0 unknown */
	struct roster_member *member; /* the sender, so that a message costs one lookup */
};

enum undo_kind {
	UNDO_MEMBER,     /* it was `was` */
	UNDO_MEMBER_NEW, /* it is the last of members */
	UNDO_CARD,       /* the member's card was this one, which the journal owns now */
	UNDO_EPOCH_NEW,  /* it is the last of epochs */
	UNDO_COUNTER,
	UNDO_COUNTER_NEW,
};

struct undo {
	enum undo_kind kind;
	union {
		struct {
			struct roster_member *member;
			struct roster_member was; /* but for what it owns, which is kept apart */
		} member;
		struct {
			struct roster_member *member;
			struct bytes was; /* owned */
		} card;
		struct {
			struct counter *counter;
			uint64_t last, last_seq;
		} counter;
	};
};

/* What one event may have to write in the journal at most: the member, its two neighbours, its card. */
#define UNDO_PER_EVENT 8

struct roster {
	struct roster_state s;
	struct realm realm;
	bool keep_cards;
	bool headless; /* events were loaded, and L is not known until roster_set_head() */
	uint64_t
	    blind_seq; /* the last place whose message was not seen: gaps in counters prove nothing before */

	struct map member_map;
	struct roster_member **members; /* owned; in order of their first event */
	size_t member_count, member_cap;

	struct map epoch_map;
	struct roster_epoch **epochs; /* owned; epochs[i] has number i + 1 */
	size_t epoch_count, epoch_cap;
	size_t history_all_count; /* of epochs with history_all */

	struct map counter_map; /* of struct counter, owned */

	bool batch; /* between begin and commit or rollback */
	uint32_t batch_events;
	struct digest batch_actor;
	struct roster_state batch_start;
	struct undo *journal; /* owned; empty outside a batch */
	size_t journal_len, journal_cap;
};

/* roster.c */
struct roster_member *roster_find(const struct roster *roster, const struct digest *member_id);
/* The member it is about; NULL for settings and rekey. */
const struct digest *event_subject(const struct event *event);
struct counter *
roster_find_counter(const struct roster *roster, const struct digest *sender, const struct device_id *device);
/* A member not seen before, out and without a stay, behind all others.  NULL: out of memory, nothing changed.
 */
struct roster_member *
roster_add_member(struct roster *roster, const struct card *card, struct bytes card_wire);
void roster_drop_last_member(struct roster *roster);
/* NULL: out of memory, nothing changed. */
struct roster_epoch *roster_add_epoch(struct roster *roster, const struct roster_epoch *epoch);
void roster_drop_last_epoch(struct roster *roster);
struct counter *
roster_add_counter(struct roster *roster, const struct digest *sender, const struct device_id *device);
void roster_drop_counter(struct roster *roster, struct counter *counter);
/* A copy of the wire, or empty if the roster keeps no cards. */
enum chat_err roster_card_copy(const struct roster *roster, struct bytes wire, struct bytes *ret) MUST_USE;
void roster_card_free(struct bytes card);

/* roster_judge.c */
/* As roster_judge_event(), for the place seq; *ret_refusal is not NULL and written on refusal only. */
enum chat_err roster_judge(const struct roster *roster, const struct roster_post *post, uint64_t seq,
    struct roster_refusal *ret_refusal) MUST_USE;
enum chat_err refuse(struct roster_refusal *ret_refusal, enum chat_err err, const char *why);

/* roster_apply.c */
/* Applies an event that was judged, as entry seq.  Does not touch s.head.  CHAT_ERR_NOMEM, nothing changed.
 */
enum chat_err roster_apply(struct roster *roster, const struct event *event, uint64_t seq,
    struct roster_change *ret_change) MUST_USE;

/* roster_undo.c: each writes down what is about to change; without a batch they do nothing. */
enum chat_err undo_reserve(struct roster *roster) MUST_USE; /* for UNDO_PER_EVENT records */
void undo_note_member(struct roster *roster, struct roster_member *member);
void undo_note_member_new(struct roster *roster);
void undo_note_card(struct roster *roster, struct roster_member *member); /* takes the old card over */
void undo_note_epoch_new(struct roster *roster);
void undo_note_counter(struct roster *roster, struct counter *counter);
void undo_note_counter_new(struct roster *roster, struct counter *counter);

#endif
