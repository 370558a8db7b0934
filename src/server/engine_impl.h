/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_ENGINE_IMPL_H
#define SERVER_ENGINE_IMPL_H

/*
 * How the engine's files call each other.  What they share in memory is engine_state.h.
 *
 *   engine.c           the turn: take commands, commit, answer; what happens when a commit fails
 *   engine_out.c       what is said, and how often somebody may ask
 *
 *   engine_account.c   accounts in memory, and the rooms they are in
 *   engine_passwd.c    what the password file says of them
 *   engine_login.c     sessions: by key, by password
 *   engine_identity.c  identities, cards, sealed blobs
 *   engine_watch.c     cards of others, and who waits for one
 *   engine_who.c       who is online
 *
 *   engine_room.c      rooms in memory, who follows them, what a member may read
 *   engine_follow.c    what a session asks of its rooms: lists, following, reading
 *   engine_cursor.c    how far it has read them
 *   engine_turn.c      what a turn adds to a room
 *   engine_post.c      posts: messages and events against the roster
 *   engine_rewrap.c    re-wraps, and who is asked for them
 *   engine_announce.c  after a commit: frames of new entries, ended and changed stays
 *   engine_lease.c     who rekeys
 *   engine_retention.c what is not kept
 *
 *   engine_status.c    what chatctl shows
 *
 * A command passes twice.  `judge` looks at it before the commit, where it may change rosters in memory and
 * add operations to the batch; `finish` answers it afterwards, knowing what was stored.  Commands that only
 * look have no judge, so they see what is committed and nothing else.  What is not durable is never told.
 */

#include "proto/chat.pb-c.h"
#include "server/engine_state.h"

/* ---- engine_out.c ---- */

/*
 * Appends to the turn's outcomes, for one connection.  NULL: out of memory; the connection is then closed, by
 * the end of this turn or of a later one, so that whoever asked is not left without an answer.  That goes for
 * all of these.
 */
struct outcome *
engine_out(struct engine *engine, enum outcome_type type, struct conn_ref to, uint64_t request_id);
/* For a loop, with zeroed frames.  NULL: out of memory, and nobody is lost by that yet. */
struct outcome *engine_out_entries(struct engine *engine, uint16_t loop, uint32_t count);
void engine_out_error(struct engine *engine, const struct pending *p);
/* Encodes a server frame as one outcome.  request_id 0: a push. */
void engine_out_frame(
    struct engine *engine, struct conn_ref to, Chat__V1__ServerFrame *frame, uint64_t request_id);

/* The connection misses something that it has to have: it is closed. */
void engine_lose(struct engine *engine, struct conn_ref conn);
void engine_close_lost(struct engine *engine); /* at the end of a turn */

/* CHAT_ERR_NOMEM is ours; the peer is told `busy`. */
void pending_refuse(struct pending *p, enum chat_err err, const char *text, const char *mend);
/* Whether it is stored is not known, whatever was found before. */
void pending_unknown(struct pending *p);
/* Refuses and says so: in `finish`. */
void engine_refuse(struct engine *engine, struct pending *p, enum chat_err err, const char *text);
/* Takes a token for the command, which has it until it is given back.  False: p->retry_after_ms says when. */
bool pending_take(
    struct engine *engine, struct pending *p, struct bucket *bucket, uint32_t burst, uint64_t refill_ms);
void pending_give_back(struct pending *p);

/* ---- engine_account.c ---- */

/* Makes *to a copy of from in place of what it was; the data is to be freed. */
enum chat_err owned_copy(struct bytes from, struct bytes *to) MUST_USE;
void owned_free(struct bytes *b);

/* Loads it where it is not in memory.  CHAT_ERR_NOT_FOUND: there is no identity of that name. */
enum chat_err account_get(struct engine *engine, struct bytes name, struct account **ret) MUST_USE;
/* Only as this line of the password file: else CHAT_ERR_NOT_FOUND, for it waits to be retired. */
enum chat_err account_get_as(
    struct engine *engine, struct bytes name, struct bytes account_id, struct account **ret) MUST_USE;
enum chat_err account_load_rooms(struct engine *engine, struct account *account) MUST_USE;
void account_forget_rooms(struct engine *engine, struct account *account);
/* NULL: not in memory. */
struct account *account_of_member(const struct engine *engine, const struct digest *member_id);
enum chat_err account_take_card(struct account *account, struct bytes wire) MUST_USE;
/* Does to the account's rooms, where they are loaded, what the store does. */
void account_note_stay(struct engine *engine, struct account *account, const struct room *room,
    const struct store_stay_change *change);
/* NULL: none, or the account's rooms are not loaded. */
struct stay *account_stay(const struct account *account, const struct digest *room_id);
void account_drop(struct engine *engine, struct account *account); /* it has no sessions */
/* What is in memory is not what is stored, for lack of it: its connections are closed, and it is loaded
 * again. */
void account_lose(struct engine *engine, struct account *account);
/* It was used, or may have become idle: the longest idle are dropped at the end of a turn. */
void account_touch(struct engine *engine, struct account *account);
void accounts_evict_idle(struct engine *engine);
void account_fini_all(struct engine *engine);

/* ---- engine_passwd.c ---- */

/* The password file's word on an account, now: NULL if it is not there; with an id, unless it is there under
 * that. */
const struct passwd_entry *account_entry_any(const struct engine *engine, struct bytes name);
const struct passwd_entry *
account_entry(const struct engine *engine, struct bytes name, struct bytes account_id);

/* Accounts that the file does not have any more: with a new file, and again at retire_at_ms. */
void retire_judge(struct engine *engine);
void retire_finish(struct engine *engine);
void retire_failed(struct engine *engine);

void judge_accounts(struct engine *engine, struct pending *p);
void finish_accounts(struct engine *engine, struct pending *p);
void failed_accounts(struct engine *engine, struct pending *p);

/* ---- engine_login.c ---- */

struct session *
engine_session(const struct engine *engine, struct conn_ref conn); /* NULL: none or another one */
void session_close(struct engine *engine, struct session *session);

void judge_password_proved(struct engine *engine, struct pending *p);
void finish_password_proved(struct engine *engine, struct pending *p);
void judge_password_changed(struct engine *engine, struct pending *p);
void finish_password_changed(struct engine *engine, struct pending *p);
void finish_key_proved(struct engine *engine, struct pending *p);
void finish_session_close(struct engine *engine, struct pending *p);

/* ---- engine_identity.c ---- */

void judge_publish_identity(struct engine *engine, struct pending *p);
void finish_publish_identity(struct engine *engine, struct pending *p);
void finish_get_recovery(struct engine *engine, struct pending *p);
void judge_put_recovery(struct engine *engine, struct pending *p);
void finish_put_recovery(struct engine *engine, struct pending *p);
void finish_get_bag(struct engine *engine, struct pending *p);
void judge_put_bag(struct engine *engine, struct pending *p);
void finish_put_bag(struct engine *engine, struct pending *p);
void judge_publish_card(struct engine *engine, struct pending *p);
void finish_publish_card(struct engine *engine, struct pending *p);
void finish_op(struct engine *engine, struct pending *p); /* ok, or the store's conflict */

/* ---- engine_watch.c ---- */

void push_card(struct engine *engine, struct conn_ref to, struct account *account);
/* The account has a card now: those who wait are told, and wait no longer. */
void watches_end(struct engine *engine, struct account *account);
void session_end_watches(struct engine *engine, struct session *session);

void finish_get_card(struct engine *engine, struct pending *p);

/* ---- engine_who.c ---- */

/* An account's first session begins, its last one has ended. */
bool who_reserve(struct engine *engine) MUST_USE; /* room for one more; false: no memory */
void who_add(struct engine *engine, struct account *account);
void who_remove(struct engine *engine, struct account *account);

void finish_who(struct engine *engine, struct pending *p);

/* ---- engine_room.c ---- */

/* The room, its roster loaded.  CHAT_ERR_NO_ROOM: none is stored. */
enum chat_err room_get(struct engine *engine, const struct digest *room_id, struct room **ret) MUST_USE;
/* A room that is being created: not in the store yet.  CHAT_ERR_ALREADY. */
enum chat_err room_new(
    struct engine *engine, const struct digest *room_id, struct roster *roster, struct room **ret) MUST_USE;
/* Only among the session's own rooms; everything else is CHAT_ERR_NO_ROOM. */
enum chat_err room_of_session(struct engine *engine, const struct session *session,
    const struct digest *room_id, struct room **ret_room, struct stay **ret_stay) MUST_USE;
void room_forget(struct engine *engine, struct room *room); /* its roster; the whole room if nobody follows */
void room_free(struct engine *engine, struct room *room);
struct view *room_view(const struct room *room, const struct digest *member_id); /* NULL: out of memory */

struct subscriber *room_subscriber(const struct room *room, const struct session *session);
/* It was asked for something: the others come first the next time. */
void room_asked(struct room *room, struct subscriber *subscriber);
enum chat_err room_subscribe(struct engine *engine, struct room *room, struct session *session) MUST_USE;
void subscriber_remove(struct engine *engine, struct subscriber *subscriber);

/* Only rooms that nobody follows and nothing is added to are idle; the longest idle go first. */
void room_note_idle(struct engine *engine, struct room *room);
void room_note_busy(struct engine *engine, struct room *room);
void rooms_evict_idle(struct engine *engine); /* at the end of a turn */

/* ---- engine_follow.c ---- */

void finish_get_rooms(struct engine *engine, struct pending *p);
void finish_resume(struct engine *engine, struct pending *p);
void finish_read(struct engine *engine, struct pending *p); /* history, roster, prefix, wraps */
void fill_room_summary(
    const struct room *room, const struct stay *stay, Chat__V1__RoomSummary *ret); /* borrows from both */

/* ---- engine_cursor.c ---- */

void finish_set_cursor(struct engine *engine, struct pending *p);
/* The stay is about to be freed. */
void cursor_forget(struct engine *engine, struct stay *stay);
/* The account's last session ended, or (NULL) everything ends: nothing is left to wait for. */
void cursors_hurry(struct engine *engine, const struct account *account);
/* Writes those that moved some seconds ago: a part in each turn with a CMD_TICK. */
uint64_t cursors_due_ms(const struct engine *engine);
void cursors_judge(struct engine *engine);
void cursors_finish(struct engine *engine);
void cursors_failed(struct engine *engine);

/* ---- engine_turn.c ---- */

void room_turn_fini(struct room_turn *turn);
void room_turn_reset(struct room_turn *turn);
/* Points the append operation at what was gathered, right before the commit. */
void room_turn_close(struct room *room);

/* The room's operation of this turn; its expected head is the one before the first post.  False: no memory.
 */
bool room_touch(struct engine *engine, struct room *room, uint64_t expected_seq) MUST_USE;
/* Takes that back if nothing was added since: the store appends no empty lists. */
void room_untouch(struct engine *engine, struct room *room);
/* Room for one more entry, and for one more counter.  False: no memory. */
bool room_turn_reserve(struct room_turn *turn) MUST_USE;
/* The entry's bytes are borrowed until the commit; the wraps (of a rekey, else NULL) are taken over. */
void
room_turn_add_entry(struct room_turn *turn, const struct store_new_entry *entry, struct wrap_list *wraps);
bool room_turn_note_counter(struct room_turn *turn, const struct message_header *header) MUST_USE;
bool room_turn_note_wraps(struct room_turn *turn, const struct wrap_list *list) MUST_USE;

/* Where a batch began, and what the stays were that it changed: to take it back, and to know them. */
struct turn_mark {
	uint32_t entry_count, wrap_count, stay_count;
	uint32_t change_count;
	struct {
		uint32_t i; /* of the turn's stays; from stay_count on they are the batch's own */
		struct store_stay_change stay;
		uint64_t out_seq;
	} changes[POST_EVENTS_MAX + 1]; /* each event changes one, a create two */
};
void room_turn_mark(const struct room_turn *turn, struct turn_mark *ret);
/* Makes the turn what it was at the mark. */
void room_turn_cut(struct room_turn *turn, const struct turn_mark *mark);
bool room_turn_note_stay(struct room_turn *turn, struct turn_mark *mark, const struct roster_member *member,
    uint64_t seq) MUST_USE;
/* The stays that the batch changed are in memory for the commands behind it in the turn. */
void room_turn_note_accounts(struct engine *engine, struct room *room, const struct turn_mark *mark);

/* ---- engine_post.c ---- */

void pending_refuse_by_rules(struct pending *p, enum chat_err err);

void judge_post_events(struct engine *engine, struct pending *p);
void judge_post_message(struct engine *engine, struct pending *p);
void finish_post(struct engine *engine, struct pending *p);
void judge_offer_entries(struct engine *engine, struct pending *p);

/* ---- engine_rewrap.c ---- */

void judge_post_rewraps(struct engine *engine, struct pending *p);
void finish_post_rewraps(struct engine *engine, struct pending *p);
void finish_ask_rewrap(struct engine *engine, struct pending *p);
/* The member's stay has ended. */
void room_end_ask(struct room *room, const struct digest *member_id);
/* Passes the room's asks on to a session that has come to follow it. */
void room_push_asks(struct engine *engine, struct room *room, const struct session *to);

/* ---- engine_announce.c ---- */

/* A touched room whose append was stored: everybody who follows it is told. */
void room_announce(struct engine *engine, struct room *room);

/* ---- engine_lease.c ---- */

/* Lends the rekey of a room that is not open to one connection, unless one has it. */
void room_lend_rekey(struct engine *engine, struct room *room, struct conn_ref prefer);
void room_end_lease(struct engine *engine, struct room *room);
/* Those whose time is over go to somebody else. */
void leases_end_due(struct engine *engine);
bool session_is_joined(const struct room *room, const struct session *session);

/* ---- engine_retention.c ---- */

void retention_init(struct engine *engine);
void retention_fini(struct engine *engine);
void retention_reconfigured(struct engine *engine); /* other limits */
void retention_stop(struct engine *engine);         /* nothing is begun any more */
/* The room's turn was stored: it may have other limits now, or more than they allow. */
void retention_note(struct engine *engine, struct room *room);
void retention_forget_room(struct engine *engine, struct room *room); /* it is about to be freed */
/* One step where it is due, in a turn with a CMD_TICK. */
uint64_t retention_due_ms(const struct engine *engine);
void retention_judge(struct engine *engine);
void retention_finish(struct engine *engine);
void retention_failed(struct engine *engine);
enum chat_err retention_append(const struct engine *engine, struct buf *text) MUST_USE; /* lines for status */

/* ---- engine_status.c ---- */

void finish_status(struct engine *engine, struct pending *p);

#endif
