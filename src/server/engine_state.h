/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_ENGINE_STATE_H
#define SERVER_ENGINE_STATE_H

/*
 * What the engine remembers, for its own files only.  All of it is a cache of the store but for: sessions and
 * who follows what, watches, asks and leases, the rates, and read cursors that are not written yet.
 *
 * Ownership: the engine owns accounts and rooms, an account its sessions and stays, a session its
 * subscriptions, a room what the turn adds to it.  Pointers between them are followed only in one direction
 * at the end of a life: accounts go with their sessions, sessions with their subscriptions; a room is kept as
 * long as somebody follows it.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounts/passwd_file.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/map.h"
#include "group/identity.h"
#include "group/roster.h"
#include "proto/limits.h"
#include "server/engine.h"
#include "store/store.h"

struct account;
struct room;
struct session;

/* A token bucket: `left` of `burst`, one more every `refill_ms`. */
struct bucket {
	uint64_t since_ms;
	uint32_t left;
	uint32_t burst; /* 0: nothing was taken yet */
};

/* One member's stay in one room, as the account knows it. */
struct stay {
	struct digest room_id;
	enum store_stay stay; /* never STORE_OUT */
	uint64_t since_seq;
	uint64_t read_seq;
	uint64_t read_written; /* what is being written */
	bool read_dirty;       /* the cursor is ahead of the store's */
	bool read_writing;     /* in this turn */
	TAILQ_ENTRY(stay) dirty_link;
	struct account *account;
};

struct account {
	struct account_name name;
	struct bytes account_id; /* owned */
	struct digest member_id;
	struct digest card_hash;
	struct digest proof;
	struct bytes card; /* owned */
	uint8_t ed_pk[ED25519_PK_BYTES];
	bool has_recovery;
	uint64_t bag_version;
	struct bucket card_bucket;

	bool rooms_loaded;
	struct map rooms;     /* room_id -> struct stay, owned */
	uint32_t dirty_count; /* of its stays */

	TAILQ_HEAD(, session) sessions; /* oldest first */
	uint32_t session_count;

	bool idle;              /* no sessions, and nothing of it is to be written */
	size_t idle_stay_count; /* as it is counted in the engine */
	TAILQ_ENTRY(account) idle_link;
};

struct session {
	struct conn_ref conn;
	struct account *account;
	uint64_t since_unix_ms;
	char addr[64];
	TAILQ_ENTRY(session) account_link;
	LIST_HEAD(, subscriber) subscribers;
	uint32_t subscriber_count;
	LIST_HEAD(, watch) watches;
	uint32_t watch_count;
};

/* A session that follows a room. */
struct subscriber {
	struct session *session;
	struct room *room;
	LIST_ENTRY(subscriber) session_link;
	TAILQ_ENTRY(subscriber) room_link;
};

/* A session that waits for an account's first card. */
struct watch {
	struct session *session;
	struct watched *watched;
	LIST_ENTRY(watch) session_link;
	LIST_ENTRY(watch) watched_link;
};

/* An account without an identity that somebody waits for. */
struct watched {
	struct account_name name;
	LIST_HEAD(, watch) watches; /* at least one */
};

/* Somebody who asked for a re-wrap. */
struct rewrap_ask {
	struct digest member_id;
	uint32_t passed_on; /* to so many sessions */
	TAILQ_ENTRY(rewrap_ask) link;
	uint32_t epoch_count;
	struct digest epoch_ids[];
};

/* What this turn adds to a room; its arrays are kept between turns. */
struct room_turn {
	struct store_op *op; /* the append; NULL: the room is untouched */
	struct store_new_entry *entries;
	struct wrap_list **wraps; /* by entry; references, NULL where it is no rekey */
	uint32_t entry_count, entry_cap;
	struct store_counter *counters;
	uint32_t counter_count, counter_cap;
	struct store_wrap *store_wraps;
	uint32_t wrap_count, wrap_cap;
	struct store_stay_change *stays;
	uint64_t *out_seq;
	uint32_t stay_count, stay_cap;
	struct conn_ref last_poster;
};

struct room {
	struct digest id;
	uint64_t room_no; /* 0: its create is not committed yet */
	uint64_t oldest_whole_seq;
	struct roster *roster;                /* NULL: to be loaded */
	TAILQ_HEAD(, subscriber) subscribers; /* who was asked for something last comes last */
	uint32_t subscriber_count;
	uint32_t *loop_subscribers; /* by loop */

	struct conn_ref lease; /* asked to rekey */
	uint64_t lease_until_ms;
	struct map rekey_buckets; /* member_id -> struct member_bucket, owned */
	TAILQ_HEAD(, rewrap_ask) asks;
	uint32_t ask_count;

	struct room_turn turn;
	TAILQ_ENTRY(room) touched_link;
	TAILQ_ENTRY(room) lease_link;
	TAILQ_ENTRY(room) idle_link;
	TAILQ_ENTRY(room) strip_link;
	size_t idle_bytes; /* as it is counted in the engine */
	bool leased, idle, strip_due;
};

struct member_bucket {
	struct digest member_id;
	struct bucket bucket;
};

/* A command of this turn, between judge and finish. */
struct pending {
	STAILQ_ENTRY(pending) link;
	struct command *cmd;
	struct session *session; /* NULL: none, or gone */
	enum chat_err err;       /* refused by judge */
	struct roster_refusal refusal;
	const char *text, *mend; /* of err; static storage, may be NULL */
	uint64_t retry_after_ms;
	uint64_t number;
	struct bucket *taken; /* tokens that are given back if nothing comes of it */
	uint32_t taken_count;
	struct room *room; /* of a post: where its entries are in the room's turn */
	uint32_t first_entry, entry_count;
	size_t first_op;     /* of re-wraps: where their operations begin in the batch */
	struct store_op *op; /* of other changes: the operation that decides */
};

/* What is kept of messages: the steps by which the others are removed. */
struct retention {
	struct map keeps;  /* room_id -> struct room_keep, owned: the rooms whose settings have limits */
	uint64_t known_to; /* of the rooms up to this number it is known whether they are among them */
	TAILQ_HEAD(, room) rooms; /* to be looked at ahead of time */
	bool walking;             /* through all rooms; */
	uint64_t walk_no;         /* the next one */
	uint64_t walk_due_ms;
	uint64_t due_ms; /* of the next step; NEVER_MS: nothing to do */
	bool waiting;    /* something failed: the store is left alone for a while */

	/* the room under way */
	bool busy, by_age;
	struct digest room_id;
	uint64_t room_no, whole_from, below_seq, before_ms, days, room_removed;
	struct store_op *op;   /* in this turn's batch; NULL: no step in it */
	uint64_t entries_seen; /* engine->entries at the last step */

	uint64_t removed; /* messages, since the start */
	bool freed;       /* pages of the database, since the last vacuum */
	bool vacuuming;
	uint64_t vacuum_due_ms, vacuum_to_bytes;
};

struct engine {
	struct engine_config config;
	struct store *store;
	struct store_batch *batch;
	struct passwd_table *table; /* reference; NULL before the first CMD_ACCOUNTS */

	struct map accounts;        /* name -> struct account */
	struct map members;         /* member_id -> struct account */
	struct map rooms;           /* id -> struct room */
	struct session ***sessions; /* [loop][slot] */
	uint32_t session_count;
	struct account **online; /* owned: those with sessions, by name */
	uint32_t online_count, online_cap;
	struct map watched;             /* name -> struct watched */
	TAILQ_HEAD(, stay) dirty_stays; /* the longest waiting first */
	uint64_t cursors_due_ms;
	uint64_t retire_at_ms; /* accounts that the store could not retire are tried again; NEVER_MS: none */
	bool retiring;         /* some may be in this turn's batch */
	TAILQ_HEAD(, room) leased_rooms;
	TAILQ_HEAD(, room) idle_rooms; /* loaded, without subscribers; the longest idle first */
	uint32_t idle_count;
	size_t idle_bytes;
	TAILQ_HEAD(, account) idle_accounts; /* the longest idle first */
	uint32_t idle_account_count;
	size_t idle_stay_count;
	struct retention retention;

	struct now now;
	STAILQ_HEAD(, pending) pendings;
	TAILQ_HEAD(, room) touched;
	struct pending *pool; /* owned: enough for a turn; those that are free are in free_pendings */
	STAILQ_HEAD(, pending) free_pendings;
	struct outcome *out_first, **out_last;
	uint32_t **lost; /* [loop][slot]: generation of a connection that is to be closed; 0: none */
	uint32_t lost_count;
	bool cautious;

	uint64_t started_unix_ms, started_mono_ms;
	uint64_t turns, commands, entries, failed_commits;
};

#endif
