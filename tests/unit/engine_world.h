/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_ENGINE_WORLD_H
#define TESTS_UNIT_ENGINE_WORLD_H

/*
 * The engine with a real store, without sockets: people with real identities post real events, a turn at a
 * time.  RSA moduli are random bytes of the right form, for the server never uses one.
 */

#include "unit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "group/card.h"
#include "group/epoch.h"
#include "group/event.h"
#include "group/identity.h"
#include "group/roster.h"
#include "group/seal.h"
#include "server/engine.h"
#include "store/store.h"

#define WORLD_LOOPS 2
#define WORLD_SLOTS 64

struct person {
	struct identity identity;
	struct buf card;
	struct card decoded;
	struct device_id device;
	char id[17]; /* in the password file */
};

struct world {
	uint64_t seed;
	struct random_source random;
	struct now now;
	char *dir;
	struct store_options options; /* of this store, and of the one after world_restart() */
	struct store *store;
	struct engine *engine;
	struct engine_config config;
	struct outcome *out; /* of the last turn */
	uint64_t next_id;
};

void world_start(struct world *w, uint64_t seed, const struct store_options *options);
void world_restart(struct world *w); /* engine and store anew, on the same database */
void world_end(struct world *w);

void person_make(struct world *w, struct person *p, const char *name);
void person_next_card(struct world *w, struct person *p, bool retired); /* in place of the one it has */
void person_end(struct person *p);
/* Puts the password file in force; a name may carry ":locked". */
void world_accounts(struct world *w, const struct person *const *people, size_t count, const char *locked);

struct conn_ref world_conn(uint16_t loop, uint32_t slot);

/* One turn with one command; its outcomes are w->out until the next. */
void world_turn(struct world *w, struct command *cmd);
void world_begin(struct world *w);
void world_commit(struct world *w);

struct command *cmd_publish(struct world *w, struct conn_ref from, const struct person *p);
struct command *
cmd_card(struct world *w, struct conn_ref from, const struct person *p); /* publishes the next */
struct command *cmd_key(struct world *w, struct conn_ref from, const struct person *p);
/* Publishes and logs in; asserts that both succeed. */
void world_login(struct world *w, struct conn_ref conn, const struct person *p);

/* A post under construction. */
struct draft {
	struct buf wires[8];
	bool bad[8]; /* the loop found the signature bad */
	size_t count;
	struct wrap_set *staged;
};

/* The world's own copy of a room, moved along by what was posted: what `after` and `seen` are taken from. */
struct copy {
	struct roster *roster;
	struct digest room_id;
	uint64_t counters[16];
};
void copy_init(struct world *w, struct copy *c);
void copy_fini(struct copy *c);

void draft_event(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, struct event *event);
void draft_create(struct world *w, struct draft *d, const struct person *actor, struct copy *c);
void draft_create_direct(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, const struct person *peer);
void draft_invite(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, const struct person *who);
void draft_simple(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, enum event_type type);
void draft_kick(
    struct world *w, struct draft *d, const struct person *actor, struct copy *c, const struct person *who);
void draft_rekey(struct world *w, struct draft *d, const struct person *actor, struct copy *c);
struct command *
draft_command(struct world *w, struct draft *d, struct conn_ref from, const struct digest *room_id);

/* What p's next message says of itself as the copy stands, and a message that says so, whatever it is worth.
 */
struct message_header header_next(const struct world *w, const struct person *p, const struct copy *c);
struct command *cmd_message_of(struct world *w, struct conn_ref from, const struct person *p,
    const struct digest *room_id, const struct message_header *header);
/* A message by p as the copy stands; the copy takes it. */
struct command *cmd_message(struct world *w, struct conn_ref from, const struct person *p, struct copy *c);
struct command *cmd_resume(struct world *w, struct conn_ref from, const struct digest *room_id,
    uint64_t next_seq, const struct digest *hash);

/* The first outcome of a type for a connection; NULL if there is none. */
const struct outcome *find_out(const struct outcome *list, enum outcome_type type, struct conn_ref to);
/* Asserts that the turn answered conn with this error. */
#define assert_refused(w, conn, expected) world_assert_refused((w), (conn), (expected), __FILE__, __LINE__)
void world_assert_refused(
    struct world *w, struct conn_ref conn, enum chat_err expected, const char *file, int line);
#define assert_answered(w, type, conn) world_assert_answered((w), (type), (conn), __FILE__, __LINE__)
const struct outcome *world_assert_answered(
    struct world *w, enum outcome_type type, struct conn_ref conn, const char *file, int line);

#endif
