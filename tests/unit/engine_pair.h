/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_ENGINE_PAIR_H
#define TESTS_UNIT_ENGINE_PAIR_H

/*
 * Several clients' sessions and the real engine, store, readers' work and delivery in one process, without
 * sockets, threads or clocks: bytes are moved, turns taken, reads done and work items run one step at a time,
 * in whatever order a test (or chance) wants.  What stands between a connection and the engine in the server
 * (frames to commands, outcomes to frames, positions) is done here in the plainest way.
 *
 * A peer is one client program: its session, its storage, and all events that it was given.
 */

#include "engine_world.h"

#include "base/arena.h"
#include "libchat/session.h"
#include "proto/requests.h"
#include "server/delivery.h"
#include "server/read_run.h"
#include "server/staging.h"
#include "server/view.h"
#include "storage_memory.h"

#define PAIR_ACCOUNTS 4 /* alice, bob, carol, dave: as many fixture keys as there are */
#define PAIR_PEERS    10
#define PAIR_SUBS     16

struct pair_account {
	const char *name;
	const char *password;
	char id[17];
	bool locked;
	struct digest proof;
};

struct pair_sub {
	bool used;
	uint64_t room_no;
	struct digest room_id;
	struct delivery delivery;
	struct view *view;
};

struct pair_conn {
	bool open;
	struct conn_ref ref;
	enum phase phase;
	struct buf in, out; /* from the client, to the client */
	uint8_t binding[LOGIN_BINDING_BYTES];
	struct pair_account *account;
	struct digest member_id;
	uint8_t ed_pk[ED25519_PK_BYTES];
	struct staging staging;
	struct pair_sub subs[PAIR_SUBS];
};

/* What a peer was told, as a test wants to look at it. */
struct told {
	enum chat_event_type type;
	uint32_t flags;
	enum chat_err err;
	uint64_t token, seq, number;
	struct digest room;
	char label[80], actor[65], target[65], text[128], mend[128];
	bool self, target_self;
};

struct peer {
	struct pair *pair;
	const char *account;
	struct storage *st;     /* owned */
	struct chat_session *s; /* NULL: the program does not run */
	int conn;               /* -1: not connected */
	struct told *told;
	size_t told_count, told_cap;
	uint64_t last_token;
	bool deaf;               /* its events are left to the test */
	bool no_password;        /* PASSWORD_NEEDED is left to the test */
	struct work_queue works; /* taken from the session, not run yet */
};

struct pair {
	struct world w;
	struct store_reader *reader;
	struct read_scratch scratch;
	struct pair_account accounts[PAIR_ACCOUNTS];
	struct pair_conn conns[PAIR_PEERS];
	struct peer peers[PAIR_PEERS];
	size_t peer_count;
	STAILQ_HEAD(, pair_mail) mailbox; /* commands not applied yet */
	STAILQ_HEAD(, pair_read) reads;   /* reads not done yet */
	uint32_t generation;
	uint64_t seed;                         /* of the schedule */
	unsigned hashes;                       /* passwords compared */
	unsigned requests[REQUEST_TYPE_COUNT]; /* taken from clients */
	unsigned busy;                         /* so many password logins are answered `busy` */
	size_t live_limit; /* bytes a client may be behind before live entries are not queued */
	/* Tampering: called with every frame for a client before it is queued; false: it is not sent.  NULL:
	 * nobody does. */
	bool (*tamper)(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame);
	void *tamper_ctx;
};

void pair_start(struct pair *pair, uint64_t seed);
void pair_end(struct pair *pair);
/* Puts the password file in force as `accounts` has it. */
void pair_accounts(struct pair *pair);
/* The engine and the store anew on the same database; connections are lost. */
void pair_restart_server(struct pair *pair);
/* A backup of what is stored now, and the server anew on it, as after a restore; pair_restore() uses it up.
 */
void pair_backup(struct pair *pair);
void pair_restore(struct pair *pair);

/* A client program of that account starts, on a storage of its own, or on `st`, which is taken over. */
struct peer *peer_start(struct pair *pair, const char *account, struct storage *st);
/* Connects, and answers PASSWORD_NEEDED by itself unless no_password. */
void peer_connect(struct peer *peer);
/* The line is cut; what is on it is lost. */
void peer_cut(struct peer *peer);
/* The program is killed and started again on what it had stored; not connected. */
void peer_crash(struct peer *peer);

/* One small step of a random kind; false: there is nothing to do. */
bool pair_step(struct pair *pair);
/* Steps until nothing is left to do at this time. */
void pair_settle(struct pair *pair);
/* The same for a while: time goes on to each deadline within it. */
void pair_pass(struct pair *pair, uint64_t ms);
/* Settles, connecting whoever was cut off, until all are logged in and caught up; fails the test if that
 * takes long. */
void pair_heal(struct pair *pair);

struct now pair_now(const struct pair *pair);
/* The DONE of a request to be made; its token. */
struct chat_event *peer_done(struct peer *peer, uint64_t *ret_token);

/* The events that a peer was given.  NULL: there was none. */
const struct told *peer_told(const struct peer *peer, enum chat_event_type type); /* the last */
const struct told *peer_told_text(const struct peer *peer, enum chat_event_type type, const char *text);
const struct told *peer_done_of(const struct peer *peer, uint64_t token);
size_t peer_count(const struct peer *peer, enum chat_event_type type, const char *text); /* text NULL: any */
void peer_forget(struct peer *peer);
void peer_print(const struct peer *peer); /* all of it, for a failure */

/* Asserts that the request ended well (or so), printing all that the peer was told where not. */
#define assert_done(peer, token, err) pair_assert_done((peer), (token), (err), __FILE__, __LINE__)
const struct told *
pair_assert_done(struct peer *peer, uint64_t token, enum chat_err err, const char *file, int line);

/* ---- a server that lies ---- */

/* What pair->tamper may do with a frame: look at it, and put another in its place. */
const Chat__V1__ServerFrame *tamper_decode(struct arena *arena, const struct frame_ref *frame);
void tamper_replace(struct frame_ref **frame, const Chat__V1__ServerFrame *with);
/* The peer at the end of a connection. */
struct peer *tamper_peer(struct pair *pair, const struct pair_conn *conn);

/* ---- the usual requests, and settling ---- */

struct digest peer_create(struct peer *peer, const char *name);
void peer_invite(struct peer *peer, const struct digest *room, const char *account);
void peer_accept(struct peer *peer, const struct digest *room);
uint64_t peer_say(struct peer *peer, const struct digest *room, const char *text); /* does not settle */
/* alice's room "ops" with all the others joined; everybody connected. */
struct digest pair_room(struct pair *pair, struct peer **peers, size_t count);

#endif
