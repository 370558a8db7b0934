/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ROOM_KIT_H
#define ROOM_KIT_H

/*
 * For tests of rooms: people with identities and cards, events and messages that fit a roster as it stands
 * (and are then spoiled by the test), and a roster written out as text, to compare two of them completely.
 *
 * The RSA keys in the cards are random numbers of the right form: nothing here is wrapped.
 */

#include "base/buf.h"
#include "group/event.h"
#include "group/roster.h"

#define PERSON_CARDS_MAX 8

struct person {
	struct identity identity;
	struct buf cards[PERSON_CARDS_MAX]; /* wires, in order */
	size_t card_count;
	uint64_t seed; /* of the next card's key */
	struct device_id device;
	uint64_t counter; /* last used */
};

extern const struct realm kit_realm;

/* A person with one card.  Ended by person_fini(). */
void person_init(struct person *person, const char *account, uint64_t seed);
void person_init_at(struct person *person, const char *account, uint64_t seed, const struct realm *realm);
void person_fini(struct person *person);
/* One more card, which follows the last. */
void person_rotate(struct person *person, bool retired);
struct bytes person_card(const struct person *person); /* the last */
const struct digest *person_id(const struct person *person);

/* A draft by the actor that fits now: room, actor, after, seen.  `about` is who it is about, NULL for the
 * actor. */
struct event kit_draft(const struct roster *roster, enum event_type type, const struct person *actor,
    const struct person *about);
/* The whole payload too, of the usual kind: the last card of `about`, role owner, the next epoch ... */
struct event kit_event(const struct roster *roster, enum event_type type, const struct person *actor,
    const struct person *about);
struct event kit_create(const struct person *creator, const struct person *peer); /* peer NULL: a group */

/* A draft built, signed by key, and decoded.  Ended by built_fini(). */
struct built {
	struct buf wire;
	struct event event;
};
void built_init(struct built *built, const struct event *draft, const struct person *signer);
void built_fini(struct built *built);

/* Builds and posts, as the signer, with all signatures good and all wraps there; *ret_* may be NULL. */
enum chat_err kit_post(struct roster *roster, const struct event *draft, const struct person *signer,
    struct roster_change *ret_change, struct roster_refusal *ret_refusal);
/* kit_post() of kit_event(): posts the usual. */
enum chat_err
kit_do(struct roster *roster, enum event_type type, const struct person *actor, const struct person *about);
/* What must succeed, the rekey included where one is needed. */
void kit_rekey(struct roster *roster, const struct person *actor);

/* The header of the device's next message; entry hashes of messages are made up from seq here. */
struct message_header kit_header(const struct roster *roster, const struct person *sender);
struct digest kit_entry(uint64_t seq);
/* Posts the next message; on success the person's counter goes up. */
enum chat_err kit_say(struct roster *roster, struct person *sender, struct roster_refusal *ret_refusal);

/*
 * The kit's room, for tests run by KIT_TEST(name): it is alice's, a group, with bob and carol joined, dave
 * invited, and open in epoch 1, which began at number 7; erin and frank are strangers.
 */
extern struct person alice, bob, carol, dave, erin, frank;
extern struct person *const people[6]; /* in this order */
extern struct roster *room;
int kit_set_up(void **state);
int kit_tear_down(void **state); /* frees `room`, whatever roster it is by now */
#define KIT_TEST(name) cmocka_unit_test_setup_teardown(name, kit_set_up, kit_tear_down)

const struct roster_member *the(const struct person *person); /* in it; there is one */
enum chat_err set_role(const struct person *actor, const struct person *target, enum member_role role);
enum chat_err
set_policies(const struct person *actor, enum invite_policy invite, enum history_policy history);
/* The usual event of that type is answered not_allowed, and nothing changes. */
void refused(enum event_type type, const struct person *actor, const struct person *about);

/* All that can be asked of a roster, as text.  free() it. */
char *roster_dump(const struct roster *roster);
/* Fails the test, showing the first line that differs. */
void assert_dumps_equal(const char *got, const char *want);
/* The same of a roster and a dump made before. */
void assert_roster_is(const struct roster *roster, const char *want);
/* What must be true of every roster. */
void assert_roster_sane(const struct roster *roster);

#endif
