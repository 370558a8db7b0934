/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_CROWD_H
#define HOSTILE_CROWD_H

/*
 * People and rooms on a real server: identities published, sessions logged in, rooms made and rekeyed, all by
 * frames that the test could as well spoil.  A room is known here by a roster of its own: what the server
 * takes is applied to it too, and the two hashes have to agree.
 *
 * And the witness: two well-behaved people in a room of theirs, who go on talking whatever anybody else does
 * to the server.
 *
 * The RSA keys in the cards are random numbers of the right form, and so are the wraps: the server cannot
 * tell.
 *
 * Threads: the test's own.
 */

#include <stdint.h>

#include "base/bytes.h"
#include "group/epoch.h"
#include "group/roster.h"
#include "host.h"
#include "peer.h"
#include "unit/room_kit.h"

/* ---- people ---- */

/* Hello, on a fresh connection; gives the realm. */
struct realm peer_hello(struct peer *peer);
void peer_password(struct peer *peer, const char *account); /* in PHASE_PASSWORD then */
/* The whole KeyLogin for this connection; sig is its memory. */
Chat__V1__KeyLogin
peer_key_login(struct peer *peer, const struct person *person, uint8_t sig[static ED25519_SIG_BYTES]);
/* Connects and logs in with the key. */
void peer_login(struct peer *peer, struct host *host, const struct person *person);
void peer_login_narrow(struct peer *peer, struct host *host, const struct person *person);
/* Says hello and proves the key on a connection that is there. */
void peer_enter(struct peer *peer, const struct person *person);

/* A bag of version 1 that looks like one. */
#define FAKE_BAG_BYTES 64
void fake_bag(uint8_t ret[static FAKE_BAG_BYTES]);
/* Makes a person of the account, and publishes its identity.  person_fini() ends it. */
void crowd_join(struct host *host, struct person *person, const char *account);

/* ---- rooms ---- */

struct known_room {
	struct roster *roster;
	struct epoch_key key; /* of the last rekey */
	const char *name;     /* what its next rekey calls it; borrowed; NULL: nothing */
};

const struct digest *room_id_of(const struct known_room *known);
uint64_t room_head(const struct known_room *known);
void known_room_fini(struct known_room *known);

/* Posts the event as it is drafted, signed by the peer's person.  CHAT_OK: taken, and applied here too. */
enum chat_err room_post(struct known_room *known, struct peer *peer, const struct event *draft);
/* The usual event of that type. */
enum chat_err
room_do(struct known_room *known, struct peer *peer, enum event_type type, const struct person *about);
/* Wraps the key to each reader, stages that, and posts the rekey. */
enum chat_err room_rekey(struct known_room *known, struct peer *peer);
/* Says something; CHAT_OK: it is in the log. */
enum chat_err room_say(struct known_room *known, struct peer *peer, const char *text);
/* The message that room_say() would post next, sealed; nothing is counted. */
void room_seal(struct known_room *known, const struct person *sender, const char *text, struct buf *into);
/*
 * What is needed to spoil a rekey: a draft with a new key, which is the room's from then on; the wraps of
 * that for all readers; wraps that are none; and their hash.
 */
struct event room_rekey_draft(struct known_room *known, const struct person *actor, struct buf *box);
void room_wrap(const struct known_room *known, const struct event *draft, struct buf *ret_wraps);
void make_false_wraps(uint32_t count, struct buf *ret_wraps);
struct digest wraps_hash_of(struct bytes wraps);
enum chat_err peer_stage(struct peer *peer, const struct digest *hash, uint32_t count, struct bytes wraps);

/* Takes what others have put into the log, as the peer's person may read it. */
void room_learn(struct known_room *known, struct peer *peer);

/* Follows the room from its beginning; waits until all that is there has come. */
void room_follow(struct known_room *known, struct peer *peer);
/* Waits until the peer has all of it, and compares. */
void room_caught_up(struct known_room *known, struct peer *peer);
/* Creates a room of the peer's person, with the others invited and joined, rekeyed. */
void room_make(struct known_room *known, struct peer *owner, struct peer *const *others, size_t other_count);

/* Raw posts: the answer's verdict, whatever it is. */
enum chat_err post_event_wire(struct peer *peer, const struct digest *room_id, struct bytes wire);
enum chat_err post_message_wire(struct peer *peer, const struct digest *room_id, struct bytes wire);

/* ---- the witness ---- */

struct witness {
	struct person people[2];
	struct peer peers[2];
	struct known_room room;
	unsigned said;
};

/* The accounts are "walter" and "wilma", which the server must have. */
#define WITNESS_ACCOUNTS "walter", "wilma"
void witness_init(struct witness *witness, struct host *host);
/* One says something; both get it. */
void witness_check(struct witness *witness);
/* Somebody new reads the room from its first entry: all is there, once, in order; then they leave. */
void witness_fini(struct witness *witness);

#endif
