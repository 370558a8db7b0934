/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_SESSION_IMPL_H
#define LIBCHAT_SESSION_IMPL_H

/*
 * The inside of a session, for its own files only:
 *
 *     session.c   life, bytes in and out, deadlines, events, work; what is run after every call
 *     call.c      requests under way to the server, each with what is to be done with its answer
 *     login.c     hello, password, the first identity, key login, the bag
 *     sync.c      which rooms there are, pushes, cursors, who is caught up
 *     room.h      rooms: the log, their keys, what is shown, what is said
 *     op.h        what the program asked for, until it is done
 *     snapshot.c  what is known now
 *
 * One call from outside sets s->now, changes what it has to, and ends with session_run(), which goes on with
 * everything that may go on: so no part calls another one "in the middle", and a part that waits is simply
 * looked at again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/map.h"
#include "libchat/keyring.h"
#include "libchat/session.h"
#include "proto/chat.pb-c.h"
#include "proto/limits.h"
#include "proto/wire.h"

struct batch;
struct op;
struct room;

/* ---- calls: requests under way ---- */

struct call;
/* The answer, of the type that the request has, or an Error.  A connection that is lost calls nothing. */
typedef void (*call_fn)(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer);

struct call {
	TAILQ_ENTRY(call) link;
	uint64_t id;
	Chat__V1__ServerFrame__BodyCase want;
	call_fn fn;
	struct room *room; /* the caller's, as are ctx and number */
	void *ctx;
	uint64_t number;
	struct buf frame; /* not sent yet: too many under way */
};

TAILQ_HEAD(call_list, call);

/* CLIENT_FRAME(GET_BAG, get_bag, &get): a frame around a request. */
#define CLIENT_FRAME(REQUEST, member, request)                                                               \
	((Chat__V1__ClientFrame){.base = PROTOBUF_C_MESSAGE_INIT(&chat__v1__client_frame__descriptor),       \
	    .request_case = CHAT__V1__CLIENT_FRAME__REQUEST_##REQUEST,                                       \
	    .member = (request)})

/* Sends the frame, or keeps it until fewer than REQUESTS_UNDER_WAY are.  The id is set here.  Without memory
 * the session ends. */
void call_make(struct chat_session *s, Chat__V1__ClientFrame frame, call_fn fn, struct room *room, void *ctx,
    uint64_t number);
void call_answered(struct chat_session *s, const Chat__V1__ServerFrame *frame);
/* Answers for ctx come to nothing from now on. */
void calls_forget(struct chat_session *s, const void *ctx);
void calls_drop_all(struct chat_session *s);

/* What an Error said; the texts are borrowed from the frame. */
struct refusal {
	enum chat_err err; /* CHAT_OK: it was no Error */
	const char *text, *mend;
	uint32_t index;
	uint64_t number;
	uint64_t retry_after_ms;
};
struct refusal refusal_of(const Chat__V1__ServerFrame *frame);
/* Whether the same may be asked again later: how long to wait, at the n-th time. */
bool refusal_is_passing(const struct refusal *refusal);
uint64_t refusal_wait_ms(const struct refusal *refusal, unsigned tries);

/* ---- the session ---- */

enum login_state {
	LOGIN_NONE,     /* no connection */
	LOGIN_HELLO,    /* hello under way */
	LOGIN_ASKING,   /* the user is asked for the password */
	LOGIN_PASSWORD, /* password_login under way */
	LOGIN_KEYGEN,   /* the first RSA key is being made */
	LOGIN_PUBLISH,  /* publish_identity under way */
	LOGIN_KEY,      /* key_login under way */
	LOGIN_PAUSE,    /* the server was busy: again at login_again_ms */
	LOGIN_READY,
};

TAILQ_HEAD(room_list, room);
TAILQ_HEAD(op_list, op);
TAILQ_HEAD(batch_list, batch);

struct chat_session {
	/* immutable after session_new() */
	struct account_name account;
	char software[SOFTWARE_MAX_BYTES + 1];
	struct storage *st;
	struct random_source random;

	struct now now; /* of the call from outside */

	/* identity */
	bool has_stored;               /* `stored` holds a root */
	struct stored_identity stored; /* secret */
	bool has_identity;             /* `identity` is derived from it */
	struct identity identity;      /* secret */
	struct buf card;               /* the published one, wire; empty before the first login */
	struct digest card_hash;
	struct keyring keyring;
	struct device_id device;
	bool device_is_copy; /* another store has this device: take a new one */

	/* connection */
	enum login_state login;
	uint8_t binding[LOGIN_BINDING_BYTES];
	bool realm_known;
	struct realm realm; /* of this server */
	struct buf in;
	struct buf out;
	size_t out_sent;
	struct arena arena;
	uint64_t heard_ms;             /* the last byte came */
	uint64_t said_ms;              /* the last frame was sent: who only listens is taken for dead too */
	uint64_t pinged_ms;            /* 0: no ping since the last byte came */
	enum login_state login_paused; /* what to do again at login_again_ms */
	uint64_t login_again_ms;
	unsigned login_tries;
	enum chat_err password_why; /* of the next PASSWORD_NEEDED */
	uint8_t password[PASSWORD_MAX_BYTES];
	size_t password_len; /* 0: none given */
	struct session_end end;
	bool ended;    /* nothing more is done */
	bool end_said; /* `end` says why */
	char end_text[256], end_mend[128];

	uint64_t next_id; /* of calls and work */
	struct call_list calls, calls_waiting;
	unsigned calls_under_way;
	uint64_t keygen_work;

	/* rooms */
	struct map rooms;           /* by id */
	struct room_list room_list; /* all, in order of coming */
	struct room_list woken;     /* to be looked at by session_run() */
	bool rooms_listed;          /* GetRooms is through, on this connection */
	uint64_t hello_unix_ms;     /* the server's clock when this connection began */
	bool synced;                /* SYNCED was said, on this connection */
	size_t queued_bytes;        /* of entries not taken yet, in all rooms */
	uint64_t flush_ms;          /* when to write what is only in memory; 0: nothing is */
	bool in_tx;

	struct op_list ops;
	struct batch_list batches;

	struct event_queue events;
	struct work_queue works;
	bool running; /* inside session_run() */
};

/* ---- session.c ---- */

/* Ends the connection.  The first cause stands. */
void session_fail(struct chat_session *s, enum chat_err err, bool final, const char *text, const char *mend);
/* False: it is no CHAT_OK, and the session has ended for good, for memory and storage do not agree any more.
 */
bool session_check(struct chat_session *s, enum chat_err err);
void session_run(struct chat_session *s);
/* The same with time passed: every entry point begins with it. */
void session_begin(struct chat_session *s, struct now now);

uint64_t session_new_id(struct chat_session *s);
/* Both take over; NULL is an event or item that there was no memory for, and ends the session. */
void session_emit(struct chat_session *s, struct chat_event *event);
void session_add_work(struct chat_session *s, struct work *work);
struct work *session_new_work(struct chat_session *s, enum work_type type, struct room *room);
/* An event about a room, label included; NULL: out of memory. */
struct chat_event *room_event(const struct room *room, enum chat_event_type type);
/* "One plain line", about a room unless room is NULL. */
void session_warn(struct chat_session *s, const struct room *room, uint64_t seq, const char *mend,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

/* A storage transaction around what belongs together; not nested. */
void tx_begin(struct chat_session *s);
void tx_commit(struct chat_session *s);

/* ---- login.c ---- */

void login_begin(struct chat_session *s);
void login_tick(struct chat_session *s);
void login_forget_password(struct chat_session *s);
/* Another session of this account published the next card. */
void login_card_changed(struct chat_session *s, struct bytes wire);
void login_keygen_done(struct chat_session *s, struct work *work);
/* Opens the bag that is stored into the keyring. */
enum chat_err login_load_bag(struct chat_session *s) MUST_USE;

/* ---- sync.c ---- */

void sync_begin(struct chat_session *s);
void sync_push(struct chat_session *s, const Chat__V1__ServerFrame *frame);
void sync_check(struct chat_session *s);
void sync_room_known(struct chat_session *s, const struct digest *room_id, uint64_t since_seq);
void sync_cursor(struct room *room); /* tells the server how far was read, where that is news */

#endif
