/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_ROOM_H
#define LIBCHAT_ROOM_H

/*
 * One room, as one client sees it:
 *
 *     room.c       life, loading, following: Resume, and what came in strict order
 *     room_log.c   one entry after the other into the roster and the storage
 *     join.c       a room never seen: its events, the newcomer's check
 *     keys.c       the epochs' keys: wraps, asking for them, re-wraps for others
 *     show.c       what was taken becomes events for the program, once the keys are there, in order
 *     fetch.c      older entries: those before the first kept, and stubs that may be read by now
 *     label.c      the room's name, topic and local label
 *     sender.c     the outbox
 *     rekey.c      when the room's key is changed, and by whom
 *
 * An entry goes through two stages.  It is *taken*: judged by the rules, hashed, stored, in a transaction.
 * Then it is *shown*: its event is given out as soon as everything before it was.  Keys hold up the second
 * stage only.
 *
 * Internal to the session; threads: its own.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "group/event.h"
#include "group/roster.h"
#include "libchat/op.h"
#include "libchat/session_impl.h"

enum room_phase {
	ROOM_KEPT,     /* known from the storage, not followed on this connection */
	ROOM_JOINING,  /* never seen: its events and prefix are fetched */
	ROOM_RESUMING, /* Resume under way */
	ROOM_FOLLOWED, /* entries come */
	ROOM_STOPPED,  /* not followed until the next connection: `stopped` says why */
};

/* ---- an entry that came, and is not taken yet ---- */

enum sig_state { SIG_UNKNOWN, SIG_UNDER_WAY, SIG_GOOD, SIG_BAD };

struct in_entry {
	STAILQ_ENTRY(in_entry) link;
	uint64_t seq, server_time_ms;
	enum entry_kind kind;
	enum sig_state sig;       /* of a message */
	uint32_t sig_index;       /* SIG_UNDER_WAY: in the work item */
	struct digest entry_hash; /* of a stub */
	size_t len;               /* 0: a stub */
	uint8_t wire[];
};
STAILQ_HEAD(in_queue, in_entry);

/* ---- an entry that was taken, and is not shown yet ---- */

struct show_item {
	STAILQ_ENTRY(show_item) link;
	uint64_t seq, time_ms;
	uint32_t flags; /* of the event */
	struct digest hash;
	struct chat_event *event;         /* of an event; owned, NULL when given out */
	const struct roster_epoch *epoch; /* whose key it takes: a message's, and a rekey's own; NULL: none */
	struct digest sender;             /* of a message */
	bool own_device;
	size_t len; /* of a message or rekey */
	uint8_t wire[];
};
STAILQ_HEAD(show_queue, show_item);

/* ---- an epoch's key ---- */

enum key_state {
	KEY_UNKNOWN, /* nobody needed it yet */
	KEY_WANTED,  /* no wrap here: the server is to be asked */
	KEY_ASKED,   /* GetWraps under way */
	KEY_OPENING, /* a work item has its wraps */
	KEY_HAVE,
	KEY_MISSING, /* no wrap opens */
};

struct key_slot {
	enum key_state state;
	bool by_moderator;    /* the rekeyer was one: what its box says counts */
	bool server_asked;    /* for wraps, since the key was first wanted on this connection */
	bool had_wrap;        /* there was one, which does not open */
	bool rewrap_asked;    /* other members, on this connection */
	bool told;            /* UNREADABLE was said */
	struct epoch_key key; /* secret */
	uint64_t work_id;
	uint64_t skipped_from, skipped_to; /* messages passed over without it; 0: none */
};

/* A reader who is to get an epoch's key from here. */
struct rewrap_want {
	struct digest member_id;
	uint64_t epoch;
};

/* ---- stored entries to be shown: history, and what became readable late ---- */

struct show_job {
	STAILQ_ENTRY(show_job) link;
	uint64_t from_seq, to_seq;
	uint64_t epoch; /* only messages of this one; 0: all entries */
	bool messages;  /* only messages */
	uint32_t flags;
	uint64_t count; /* entries shown */
	uint64_t *only; /* owned: these numbers alone, ascending; NULL: all */
	size_t only_count;
	struct op *op; /* told when it is through; may be NULL */
};
STAILQ_HEAD(show_jobs, show_job);

/* ---- the outbox ---- */

struct out_item {
	TAILQ_ENTRY(out_item) link;
	uint64_t id;             /* the storage's */
	struct chat_event *done; /* owned; NULL: said, or of an earlier run */
	struct buf sealed_text;
	/* sealed: */
	struct buf wire; /* empty: not yet */
	struct digest epoch_id, entry_hash;
	struct device_id device;
	uint64_t counter;
	/* on this connection: */
	bool in_flight;
	bool settled; /* in the log, says the server: it will come */
	bool reseal;
	unsigned tries;
};
TAILQ_HEAD(out_list, out_item);

/* How long what was shown may be remembered in memory only. */
#define ROOM_FLUSH_AFTER_MS 1000
#define ROOM_RING           256 /* hashes of the log kept to compare a seen_hash with */
#define EARLY_WRAPS_MAX     8

struct early_wrap {
	struct digest epoch_id;
	enum wrap_source source;
	uint8_t wire[REWRAP_BYTES];
	size_t len;
};

struct joining; /* join.c */
struct fetch;   /* fetch.c */

struct room {
	TAILQ_ENTRY(room) link, woken_link;
	struct chat_session *s;
	struct digest id;
	bool woken;
	enum room_phase phase;
	struct roster *roster; /* never NULL; empty until the create is taken */

	/* as stored */
	bool gone;          /* the own stay ended */
	uint64_t since_seq; /* where it began, as the server says; 0: not listed on this connection */
	uint64_t first_seq;
	struct digest base_hash;
	uint64_t shown_seq, read_seq;
	char label[LABEL_CHARS];
	bool has_inviter;
	struct digest inviter; /* whose the last invitation was */
	bool dirty;            /* differs from what is stored */
	bool stored;

	/* following */
	bool read_only;           /* its log broke the rules, or needs a newer client */
	bool caught_up;           /* to where it was when Resume was answered */
	bool history_differs;     /* the server has another log */
	uint64_t resume_again_ms; /* 0: not */
	unsigned resume_tries;
	unsigned gap_tries; /* since an entry was taken */
	enum chat_err stop_err; /* ROOM_STOPPED: why */
	char stop_text[200];
	uint64_t resumed_seq;
	uint64_t oldest_whole_seq; /* messages below are stubs on the server too */
	struct digest resumed_hash;
	struct in_queue in;
	uint32_t in_count;
	uint64_t verify_work;
	struct digest *ring; /* owned; L of seq in ring[seq % ROOM_RING] from ring_from on; NULL at first */
	uint64_t ring_from;
	struct joining *joining;  /* owned; NULL unless ROOM_JOINING */
	struct early_wrap *early; /* owned; wraps of rekeys that have not come yet */
	uint32_t early_count;

	/* keys */
	struct key_slot *slots; /* owned; by epoch number - 1 */
	size_t slot_count, slot_cap;
	bool keys_wanted; /* some slot is KEY_WANTED */
	bool rewraps_to_ask;
	bool wraps_under_way;
	uint64_t keys_again_ms; /* 0: not */
	struct fresh_key {      /* of rekeys posted here, by epoch_id, until their entries come */
		struct digest epoch_id;
		struct epoch_key key;
	} fresh[4];
	uint32_t fresh_next;
	struct rewrap_want *wants; /* owned */
	size_t want_count, want_cap;
	bool rewraps_under_way;
	struct {
		uint64_t from_seq;
		struct digest card_hash;
	} own_cards[16]; /* which of the own cards was in the chain from when on */
	uint32_t own_card_count;

	/* showing */
	struct show_queue show;
	uint64_t emitted_seq;   /* up to here events were made */
	uint32_t events_queued; /* not taken by the program yet */
	uint64_t oldest_shown;  /* history goes on before it */
	bool added_said;        /* ROOM_ADDED was */
	bool gone_said;
	uint64_t unread_count;
	struct show_jobs jobs;
	struct fetch *fetch; /* owned; one at a time, or NULL */
	bool late_fetch;     /* stubs of the own stay are to be fetched */
	uint64_t late_from, late_to;

	/* name and topic, as the boxes say */
	bool info_known;     /* some box counted */
	bool info_loading;   /* the one in force at the start is being opened */
	uint64_t info_epoch; /* of which */
	struct buf name, topic;
	bool label_is_final; /* it is of a name or a peer, no stopgap */

	/* outbox */
	struct out_list out;
	unsigned out_in_flight;
	bool out_hold;         /* one was refused: nothing more until all in flight are answered */
	uint64_t out_pause_ms; /* not before */
	uint64_t stale_seq;    /* the head when the server said stale; 0: it did not */
	uint64_t stale_until_ms;

	/* rekey */
	struct batch *batch;          /* under way in this room; NULL: none */
	uint64_t lease_until_ms;      /* the server asked this connection to rekey; 0: not */
	uint64_t closed_since_ms;     /* since when somebody here waits for the room to open; 0: nobody */
	uint64_t rekey_not_before_ms; /* 0: now */
	uint64_t rekey_posted_seq;    /* the own one is in the log up to here, and may be on its way */
	uint64_t voluntary_not_before_ms;
	unsigned rekey_tries;
	uint64_t epoch_time_ms; /* the server's time of the last rekey; 0: unknown */

	/* read cursor */
	bool cursor_dirty, cursor_under_way;
};

/* ---- room.c ---- */

/* All stored rooms and the outbox. */
enum chat_err rooms_load(struct chat_session *s) MUST_USE;
/* A new room.  NULL: out of memory, and the session has ended. */
struct room *rooms_add(struct chat_session *s, const struct digest *id);
void room_dispose(struct room *room);
struct room *room_find(const struct chat_session *s, const struct digest *id);

/* It is looked at again before the call from outside ends. */
void room_wake(struct room *room);
void room_run(struct room *room);
void room_on_disconnect(struct room *room);
uint64_t room_deadline_ms(const struct room *room); /* NEVER_MS: none */

/* Begins to follow it, as it has to be begun: from the head, or by way of join.c. */
void room_follow(struct room *room);
/* Resume from the head. */
void room_resume(struct room *room);
/* An entry was pushed. */
void room_entry(struct room *room, const Chat__V1__Entry *entry);
void room_verified(struct room *room, struct work *work);
/* What was sent does not follow: what has come is dropped, and the subscription begun again. */
void room_on_gap(struct room *room);
/* No more of it is taken: for good with read_only, else until the next connection. */
void room_stop(struct room *room, bool read_only, enum chat_err err, const char *text, const char *mend);
/* The own stay ended; `text` says how where no event does. */
void room_leave(struct room *room, const char *text);
/* Writes what differs from the storage, in a transaction that the caller commits. */
void room_flush(struct room *room);
void room_put(struct room *room);                      /* the same, whether or not it differs */
bool room_note_shown(struct room *room, uint64_t seq); /* true if that is news */
void room_count_unread(struct room *room);

const struct roster_member *room_self(const struct room *room); /* NULL: never in it */
bool room_is_joined(const struct room *room);
bool room_is_self(const struct room *room, const struct digest *member_id);
/* Followed, caught up, and not stopped: what is known here is what the server knows. */
bool room_is_live(const struct room *room);
const struct log_head *room_head(const struct room *room);
/* A member's name for people; "somebody" for one who is unknown. */
const char *room_name_of(const struct room *room, const struct digest *member_id);

/* ---- room_log.c ---- */

/* Takes what has come, as far as it can be taken now. */
void log_take(struct room *room);

/* ---- join.c ---- */

void join_begin(struct room *room);
/* The stay is another one than that which is being joined. */
void room_restart_join(struct room *room);
void join_verified(struct room *room, struct work *work);
void join_free(struct joining *joining);

/* ---- keys.c ---- */

/* The epoch's slot; grows the array.  NULL: out of memory. */
struct key_slot *keys_slot(struct room *room, const struct roster_epoch *epoch);
/* The key if it is here; otherwise it is being got, or found missing: see the slot's state. */
const struct epoch_key *keys_get(struct room *room, const struct roster_epoch *epoch);
bool keys_are_pending(const struct room *room, const struct roster_epoch *epoch); /* keys_get() was called */
/* Sends what keys_get() found to be asked for. */
void keys_run(struct room *room);
void keys_opened(struct room *room, struct work *work);
void keys_take_wraps(struct room *room, const Chat__V1__EpochWraps *wraps);
/* A rekey's entry was taken: its early wraps are stored, its key may be known here. */
void keys_epoch_opened(struct room *room, const struct roster_epoch *epoch);
/* A rekey made here is about to be posted. */
void keys_remember(struct room *room, const struct digest *epoch_id, const struct epoch_key *key);
void keys_on_disconnect(struct room *room);
void keys_fini(struct room *room);
/* An event with a card was taken or loaded: it may be an own one. */
void keys_note_card_of(struct room *room, uint64_t seq, const struct event *event);

/* ---- rewrap.c ---- */

void rewrap_want(struct room *room, const struct digest *member_id, uint64_t epoch);
void rewrap_run(struct room *room);
/* An invitation by this client was taken: under history `all` its invitee gets the older keys too. */
void rewrap_for_invitee(struct room *room, const struct roster_member *invitee);

/* ---- show.c ---- */

/* Puts an item behind the others; takes it over. */
void show_add(struct room *room, struct show_item *item);
struct show_item *show_item_new(uint64_t seq, uint64_t time_ms, struct bytes wire);
void show_run(struct room *room);
void show_job_add(struct room *room, uint64_t from_seq, uint64_t to_seq, uint64_t epoch, bool messages,
    uint32_t flags, struct op *op);
/* Messages of these numbers (ascending), which have become readable; takes the list over. */
void show_job_of(struct room *room, uint64_t *seqs, size_t count);
/* The key of messages passed over has come. */
void show_skipped(struct room *room, const struct roster_epoch *epoch);
/* The event of a room event's entry, without label and hash.  NULL: out of memory. */
struct chat_event *
show_event_of(const struct room *room, const struct event *event, uint64_t seq, uint64_t time_ms);
void show_fini(struct room *room);

/* ---- fetch.c ---- */

/* The stubs between from and to, if they can be read now, are fetched, stored and shown. */
void fetch_late(struct room *room, uint64_t from_seq, uint64_t to_seq);
void fetch_run(struct room *room);
uint64_t fetch_deadline_ms(const struct room *room); /* NEVER_MS: none */
/* For history: makes entries from_seq .. to_seq be kept whole, as far as the server gives them; tells op. */
void fetch_range(struct room *room, uint64_t from_seq, uint64_t to_seq, struct op *op);
void fetch_on_disconnect(struct room *room);
void fetch_forget(struct room *room, const struct op *op); /* op is told nothing any more */
void fetch_free(struct room *room);

/* ---- label.c ---- */

/* What the box of this epoch says, if it counts; true if name or topic changed by it. */
void label_take_box(struct room *room, const struct roster_epoch *epoch, struct bytes info_box,
    bool *ret_name, bool *ret_topic);
/* Takes only the label from it, before its rekey is shown.  True if that is final. */
bool label_peek(struct room *room, const struct roster_epoch *epoch, struct bytes info_box);
/* A label of this name that no other room has. */
bool label_set(struct room *room, struct bytes name);
/* Makes the label from the name, the peer or the id.  True if it is final. */
bool label_update(struct room *room);
/* Finds and opens the box in force, after loading. */
void label_load(struct room *room);

/* ---- sender.c ---- */

void sender_load(struct chat_session *s, enum chat_err *err);
void sender_add(struct room *room, struct chat_event *done, struct bytes text);
void sender_run(struct room *room);
/* An own message was taken from the log.  True if it was sent from here. */
bool sender_saw(struct room *room, const struct message *message, const struct digest *entry_hash);
void sender_saw_stub(struct room *room, const struct digest *entry_hash);
/* Ends all that is in it. */
void sender_fail_all(struct room *room, enum chat_err err, const char *text, const char *mend);
void sender_abandon(struct room *room, enum chat_err err); /* only the DONEs; the texts stay */
void sender_on_disconnect(struct room *room);
void sender_fini(struct room *room);

/* ---- rekey.c ---- */

void rekey_wanted(struct room *room, uint32_t lease_ms);
void rekey_run(struct room *room);
void rekey_batch_ended(struct room *room, const struct refusal *refusal, bool voluntary, uint64_t last_seq);
/* Somebody here wants to say something: true if the room is open for it now. */
bool rekey_open_for_saying(struct room *room);
uint64_t rekey_deadline_ms(const struct room *room);

#endif
