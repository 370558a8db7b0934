/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_ENGINE_PEOPLE_H
#define TESTS_UNIT_ENGINE_PEOPLE_H

/*
 * Three accounts of an engine's world, each with a connection of its own, and the steps by which most tests
 * begin.  Nobody is logged in at first.
 */

#include "engine_world.h"

#include "proto/frame.h"

#define ALICE world_conn(0, 1)
#define BOB   world_conn(1, 2)
#define CAROL world_conn(0, 3)

struct people {
	struct world w;
	struct person alice, bob, carol;
};

void people_start(struct people *t, uint64_t seed, const struct store_options *options);
void people_end(struct people *t);
/* Puts the password file in force as it was; after world_restart(). */
void people_accounts(struct people *t);
/* The three publish their identities and log in. */
void people_login(struct people *t);

/* Alice makes a room, invites Bob and rekeys, in one batch. */
void room_with_bob(struct people *t, struct copy *c);
/* Everybody has a room, joined, open: Alice owns it. */
void room_of_three(struct people *t, struct copy *c);
void resume_all(struct people *t, const struct copy *c, struct conn_ref conn);
void bob_joins(struct people *t, struct copy *c);

/* The room's head by Alice's Resume, as the engine says it. */
uint64_t head_of(struct people *t, const struct digest *room_id);

/* Decodes an outcome's frame into the arena, which it begins; the caller ends it. */
const Chat__V1__ServerFrame *decode(const struct outcome *out, struct arena *arena);
/* How many frames of this kind were sent to a connection in the last turn. */
size_t count_pushed(struct world *w, struct conn_ref to, Chat__V1__ServerFrame__BodyCase what);
bool was_pushed(struct world *w, struct conn_ref to, Chat__V1__ServerFrame__BodyCase what);
/* The first of them, decoded as above. */
const Chat__V1__ServerFrame *
get_pushed(struct world *w, struct conn_ref to, Chat__V1__ServerFrame__BodyCase what, struct arena *arena);

#endif
