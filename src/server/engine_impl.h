/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_ENGINE_IMPL_H
#define SERVER_ENGINE_IMPL_H

/*
 * The inside of the engine, for its own files only:
 *
 *   engine.c           the turn: take commands, commit, answer; what happens when a commit fails
 *   engine_account.c   accounts and sessions: loading, login, bag, cards, who is online
 *   engine_room.c      rooms: loading, finding, views, subscriptions, what a reader may read
 *   engine_post.c      posts: events, messages, re-wraps, against the roster
 *   engine_status.c    what chatctl shows
 *   engine_announce.c  after a commit: frames of new entries, ended and changed stays, leases
 *
 * A command passes twice.  `judge` looks at it before the commit, where it may change rosters in memory and add operations
 * to the batch; `finish` answers it afterwards, knowing what was stored.  Commands that only look have no judge, so they
 * see what is committed and nothing else.  What is not durable is never told.
 */

#include <sys/queue.h>

#include "accounts/passwd_file.h"
#include "base/map.h"
#include "group/roster.h"
#include "proto/chat.pb-c.h"
#include "proto/limits.h"
#include "server/engine.h"
#include "store/store.h"

struct account;
struct room;
struct session;

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

/* A token bucket: `left` of `burst`, one more every `refill_ms`. */
struct bucket {
	uint64_t since_ms;
	uint32_t left;
	bool started;
};

/* One member's stay in one room, as the account knows it. */
struct stay {
	struct digest room_id;
	uint64_t room_no;
	enum store_stay stay;
	uint64_t since_seq;
	uint64_t read_seq;
	bool read_dirty; /* the cursor is ahead of the store's */
	LIST_ENTRY(stay) dirty_link;
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
	bool card_retired;
	bool has_recovery;
	uint64_t bag_version;
	struct bucket card_bucket;

	bool rooms_loaded;
	struct map rooms; /* room_id -> struct stay, owned */
	uint32_t reading_count; /* rooms with a stay that is not out */

	TAILQ_HEAD(, session) sessions; /* oldest first */
	uint32_t session_count;
};

struct session {
	struct conn_ref conn;
	struct account *account;
	uint64_t since_unix_ms;
	char addr[64];
	TAILQ_ENTRY(session) account_link;
	LIST_HEAD(, subscriber) subscribers;
};

/* A session that follows a room. */
struct subscriber {
	struct session *session;
	struct room *room;
	LIST_ENTRY(subscriber) session_link;
	LIST_ENTRY(subscriber) room_link;
};

/* A connection that waits for an account's first card. */
struct watch {
	struct conn_ref conn;
	LIST_ENTRY(watch) link;
	struct account_name name;
};

/* Somebody who asked for a re-wrap. */
struct rewrap_ask {
	struct digest member_id;
	uint32_t epoch_count;
	TAILQ_ENTRY(rewrap_ask) link;
	struct digest epoch_ids[EPOCHS_ASKED_MAX];
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
	bool *was_out; /* by stay change: the member was out at some moment of this turn */
	uint64_t *out_seq;
	uint32_t stay_count, stay_cap;
	bool closed_by_change; /* a reader-changing event came */
	struct conn_ref last_poster;
};

struct room {
	struct digest id;
	uint64_t room_no; /* 0: its create is not committed yet */
	uint64_t oldest_whole_seq;
	struct roster *roster; /* NULL: to be loaded */
	LIST_HEAD(, subscriber) subscribers;
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
	bool leased, idle;
};

struct member_bucket {
	struct digest member_id;
	struct bucket bucket;
};

/* A command of this turn, between judge and finish. */
struct pending {
	STAILQ_ENTRY(pending) link;
	struct command *cmd;
	struct session *session;  /* NULL: none, or gone */
	enum chat_err err;        /* refused by judge */
	struct roster_refusal refusal;
	const char *text, *mend;  /* of err; static storage, may be NULL */
	uint64_t retry_after_ms;
	uint64_t number;
	struct room *room;        /* of a post: where its entries are in the room's turn */
	uint32_t first_entry, entry_count;
	struct store_op *op;      /* of other changes: the operation that decides */
};

struct engine {
	struct engine_config config;
	struct store *store;
	struct store_batch *batch;
	struct passwd_table *table; /* reference; NULL before the first CMD_ACCOUNTS */

	struct map accounts; /* name -> struct account */
	struct map members;  /* member_id -> struct account */
	struct map rooms;    /* id -> struct room */
	struct session ***sessions; /* [loop][slot] */
	uint32_t session_count;
	LIST_HEAD(, watch) watches;
	LIST_HEAD(, stay) dirty_stays;
	uint64_t dirty_since_ms;
	TAILQ_HEAD(, room) leased_rooms;
	TAILQ_HEAD(, room) idle_rooms; /* loaded, without subscribers; the longest idle first */
	uint32_t idle_count;

	struct now now;
	STAILQ_HEAD(, pending) pendings;
	TAILQ_HEAD(, room) touched;
	struct outcome *out_first, **out_last;
	bool cautious;

	uint64_t started_unix_ms, started_mono_ms;
	uint64_t turns, commands, entries, failed_commits;
};

/* A room that nobody follows is forgotten when more than so many are. */
#define IDLE_ROOMS_KEPT 1024
/* Cursors are written this long after the first one moved. */
#define CURSOR_FLUSH_MS 5000

/* ---- engine.c -------------------------------------------------------------------------------------------------------------- */

/* Appends to the turn's outcomes.  NULL (out of memory) is skipped: the connection then misses an answer and
 * is closed by its loop's timeout; nothing stored is lost by it. */
struct outcome *engine_out(struct engine *engine, enum outcome_type type, struct conn_ref to, uint64_t request_id);
void engine_out_error(struct engine *engine, const struct pending *p);
/* Encodes a server frame as one outcome.  request_id 0: a push. */
void engine_out_frame(struct engine *engine, struct conn_ref to, Chat__V1__ServerFrame *frame, uint64_t request_id);

void pending_refuse(struct pending *p, enum chat_err err, const char *text, const char *mend);
/* True if one may be taken now; *ret_wait_ms is how long until it may otherwise. */
bool bucket_take(struct bucket *bucket, uint64_t now_ms, uint32_t burst, uint64_t refill_ms, uint64_t *ret_wait_ms);

/* ---- engine_account.c -------------------------------------------------------------------------------------------------------- */

struct session *engine_session(const struct engine *engine, struct conn_ref conn); /* NULL: none or another one */
/* Loads it where it is not in memory.  CHAT_ERR_NOT_FOUND: there is no identity of that name. */
enum chat_err account_get(struct engine *engine, struct bytes name, struct account **ret) MUST_USE;
enum chat_err account_load_rooms(struct engine *engine, struct account *account) MUST_USE;
void account_forget_rooms(struct account *account);
/* NULL: not in memory. */
struct account *account_of_member(const struct engine *engine, const struct digest *member_id);
/* Sets what a committed change made of a stay, in memory, where the account's rooms are loaded. */
void account_note_stay(struct engine *engine, struct account *account, const struct room *room,
    const struct store_stay_change *change);
/* A stay that is not out; NULL otherwise. */
struct stay *account_stay(const struct account *account, const struct digest *room_id);
void session_close(struct engine *engine, struct session *session);
void account_fini_all(struct engine *engine);

void judge_accounts(struct engine *engine, struct pending *p);
void finish_accounts(struct engine *engine, struct pending *p);
void judge_password_proved(struct engine *engine, struct pending *p);
void finish_password_proved(struct engine *engine, struct pending *p);
void judge_password_changed(struct engine *engine, struct pending *p);
void judge_publish_identity(struct engine *engine, struct pending *p);
void finish_publish_identity(struct engine *engine, struct pending *p);
void finish_key_proved(struct engine *engine, struct pending *p);
void finish_session_close(struct engine *engine, struct pending *p);
void finish_get_recovery(struct engine *engine, struct pending *p);
void judge_put_recovery(struct engine *engine, struct pending *p);
void finish_put_recovery(struct engine *engine, struct pending *p);
void finish_get_bag(struct engine *engine, struct pending *p);
void judge_put_bag(struct engine *engine, struct pending *p);
void finish_put_bag(struct engine *engine, struct pending *p);
void judge_publish_card(struct engine *engine, struct pending *p);
void finish_publish_card(struct engine *engine, struct pending *p);
void finish_get_card(struct engine *engine, struct pending *p);
void finish_who(struct engine *engine, struct pending *p);
void finish_op(struct engine *engine, struct pending *p); /* ok, or the store's conflict */

/* ---- engine_room.c -------------------------------------------------------------------------------------------------------------- */

/* The room, its roster loaded.  CHAT_ERR_NO_ROOM: none is stored. */
enum chat_err room_get(struct engine *engine, const struct digest *room_id, struct room **ret) MUST_USE;
/* A room that is being created: not in the store yet.  CHAT_ERR_ALREADY. */
enum chat_err room_new(struct engine *engine, const struct digest *room_id, struct roster *roster,
    struct room **ret) MUST_USE;
/* Only among the session's own rooms; everything else is CHAT_ERR_NO_ROOM. */
enum chat_err room_of_session(struct engine *engine, const struct session *session, const struct digest *room_id,
    struct room **ret_room, struct stay **ret_stay) MUST_USE;
void room_forget(struct engine *engine, struct room *room); /* its roster; the whole room if nobody follows it */
void room_free(struct engine *engine, struct room *room);
struct view *room_view(const struct room *room, const struct digest *member_id); /* NULL: out of memory */
struct subscriber *room_subscriber(const struct room *room, const struct session *session);
void subscriber_remove(struct engine *engine, struct subscriber *subscriber);
void room_note_idle(struct engine *engine, struct room *room);
void engine_evict_idle(struct engine *engine);

void finish_get_rooms(struct engine *engine, struct pending *p);
void finish_resume(struct engine *engine, struct pending *p);
void finish_read(struct engine *engine, struct pending *p); /* history, roster, prefix, wraps */
void finish_set_cursor(struct engine *engine, struct pending *p);
void judge_tick(struct engine *engine, struct pending *p);
void finish_tick(struct engine *engine, struct pending *p);
void fill_room_summary(
    const struct room *room, const struct stay *stay, Chat__V1__RoomSummary *ret); /* borrows from both */

/* ---- engine_post.c -------------------------------------------------------------------------------------------------------------- */

void judge_post_events(struct engine *engine, struct pending *p);
void judge_post_message(struct engine *engine, struct pending *p);
void finish_post(struct engine *engine, struct pending *p);
void judge_post_rewraps(struct engine *engine, struct pending *p);
void finish_post_rewraps(struct engine *engine, struct pending *p);
void finish_ask_rewrap(struct engine *engine, struct pending *p);
void judge_offer_entries(struct engine *engine, struct pending *p);
void room_turn_fini(struct room_turn *turn);
void room_turn_reset(struct room_turn *turn);
/* Points the append operation at what was gathered, right before the commit. */
void room_turn_close(struct room *room);

/* ---- engine_status.c ---- */

void finish_status(struct engine *engine, struct pending *p);

/* ---- engine_announce.c ------------------------------------------------------------------------------------------------------------ */

/* A touched room whose append was stored: everybody who follows it is told. */
void room_announce(struct engine *engine, struct room *room);
/* Lends the rekey of a room that is not open to one connection, unless one has it. */
void room_lend_rekey(struct engine *engine, struct room *room, struct conn_ref prefer);
void room_end_lease(struct engine *engine, struct room *room);
void room_push_asks(struct engine *engine, struct room *room, const struct session *to);

#endif
