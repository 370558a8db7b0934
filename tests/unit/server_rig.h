/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_SERVER_RIG_H
#define TESTS_UNIT_SERVER_RIG_H

/*
 * A whole server in this process, real parts throughout: SQLite in a temporary directory, TLS over
 * socketpairs, its own threads.  And peers, who speak the protocol step by step from the test's thread,
 * blocking, with a deadline that fails the test.
 *
 * People and drafts of posts are engine_world.h's.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "engine_world.h"
#include "net/addr.h"
#include "net/mailbox.h"
#include "proto/chat.pb-c.h"
#include "server/server.h"

#define RIG_PASSWORD "correct horse"

struct rig {
	struct world w; /* only what people and drafts need of it: seed, random, now, dir, store */
	struct server_limits *limits; /* change before rig_start() */
	uint16_t loops;               /* likewise; 1 after rig_init() */
	int sndbuf;                   /* SO_SNDBUF of the server's sockets; 0: as the system has it */
	struct server *server;
	struct tls_identity *identity;
	struct mailbox main_box;
	char passwd_path[512];
	struct buf passwd;
	uint32_t accepted;
	_Atomic uint32_t ended;
	pthread_t drainer;
	bool draining;
};

void rig_init(struct rig *rig, uint64_t seed);
/* Makes a person and an account; before rig_start(), or followed by rig_write_passwd(). */
void rig_person(struct rig *rig, struct person *p, const char *name);
/* Replaces the password file by what rig_person() made, with these two in it as said (NULL: nobody). */
void rig_write_passwd(struct rig *rig, const char *locked, const char *missing);
/* As if the account had been deleted and added again: its line gets another id. */
void rig_renew_account(struct rig *rig, const char *name);
void rig_start(struct rig *rig);
/* Drains on another thread, so that peers can listen to it; rig_stop() waits for that. */
void rig_drain(struct rig *rig);
void rig_stop(
    struct rig *rig); /* drains and frees the server: every connection is over afterwards, which it asserts */
void rig_end(struct rig *rig);
struct net_addr rig_addr(uint8_t last); /* 192.0.2.last */

/* A client.  Zero-initialise. */
struct peer {
	struct rig *rig;
	void (*turn)(struct peer
		*peer); /* called while it waits, instead of poll(2); NULL where the server has threads */
	int fd;
	struct tls_conn *tls;
	struct buf in;
	struct arena arena;
	uint64_t next_id;
	bool ended;     /* the server has closed */
	bool clean_end; /* with close_notify */
	/* Called with every push that peer_answer() meets; NULL: they are dropped. */
	void (*on_push)(struct peer *peer, const Chat__V1__ServerFrame *frame);
	void *ctx;
};

/* Connects; the handshake is done.  Asserts. */
void peer_open(struct rig *rig, struct peer *peer, uint8_t last);
/* The same over any socket, which is the peer's from then on. */
void peer_start(struct peer *peer, int fd);
/* Connects, without a byte of TLS: returns the fd. */
int rig_connect_raw(struct rig *rig, uint8_t last);
void peer_close(struct peer *peer); /* at once, without a goodbye */

void peer_send_bytes(struct peer *peer, const void *from, size_t n);
/* Sends a request and returns its id. */
uint64_t peer_send(struct peer *peer, Chat__V1__ClientFrame *frame);
/* The next frame, whatever it is, valid until the next call; NULL: the connection has ended. */
const Chat__V1__ServerFrame *peer_next(struct peer *peer);
/* The same, but NULL too if nothing came for so long. */
const Chat__V1__ServerFrame *peer_next_within(struct peer *peer, int timeout_ms);
/* The answer to a request; pushes go to on_push. */
const Chat__V1__ServerFrame *peer_answer(struct peer *peer, uint64_t id);

/* Asserts that the answer is of this case, or this error. */
#define peer_expect(peer, id, body_case) peer_expect_at((peer), (id), (body_case), __FILE__, __LINE__)
const Chat__V1__ServerFrame *peer_expect_at(
    struct peer *peer, uint64_t id, Chat__V1__ServerFrame__BodyCase body_case, const char *file, int line);
#define peer_refused(peer, id, err) peer_refused_at((peer), (id), (err), __FILE__, __LINE__)
const Chat__V1__Error *
peer_refused_at(struct peer *peer, uint64_t id, enum chat_err err, const char *file, int line);
/* Asserts that the server says Goodbye with this reason and closes properly. */
#define peer_expect_goodbye(peer, err) peer_expect_goodbye_at((peer), (err), __FILE__, __LINE__)
void peer_expect_goodbye_at(struct peer *peer, enum chat_err err, const char *file, int line);

/* ---- requests; each returns the id ---- */

uint64_t peer_hello(struct peer *peer);
uint64_t peer_password(struct peer *peer, const char *account, const char *password);
uint64_t peer_publish(struct peer *peer, const struct person *p);
/* `spoil`: 0, or which part of the proof is wrong: 's'ignature, 'm'ember_id, 'k'ey, 'b'inding. */
uint64_t peer_key(struct peer *peer, const struct person *p, char spoil);
/* A right proof for whichever connection. */
uint64_t peer_key_bound(struct peer *peer, const struct person *p, struct tls_conn *bound_to);
uint64_t peer_ping(struct peer *peer);
uint64_t
peer_resume(struct peer *peer, const struct digest *room_id, uint64_t next_seq, const struct digest *hash);
uint64_t peer_history(struct peer *peer, const struct digest *room_id, uint64_t before_seq, uint32_t limit);
uint64_t peer_stage(struct peer *peer, const struct wrap_set *set, uint32_t first, uint32_t n);
/* Stages the draft's wraps, posts its events, and ends the draft. */
uint64_t peer_post(struct peer *peer, struct draft *d, const struct digest *room_id);
uint64_t peer_say(struct peer *peer, const struct person *p, struct copy *c);

/* ---- what takes several ---- */

/* Password, identity, gone again: from now on the person logs in by key. */
void rig_publish(struct rig *rig, const struct person *p);
/* A connection that is logged in. */
void peer_login(struct rig *rig, struct peer *peer, const struct person *p, uint8_t last);
/* A room of `members`, the first its owner, all joined and rekeyed. */
void rig_room(
    struct rig *rig, struct copy *c, struct peer *const *peers, struct person *const *members, size_t count);

#endif
