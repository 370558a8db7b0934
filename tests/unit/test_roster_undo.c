/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster.h"

#include "unit.h"

#include "failalloc.h"
#include "room_kit.h"

/*
 * --- batches ---
 */

/* Posts the draft inside a batch that has begun; the event's hash is what a later `after` may name. */
static void
in_batch(const struct event *draft, const struct person *actor, enum chat_err expected, uint32_t index)
{
	struct roster_refusal refusal = {0};

	assert_err(kit_post(room, draft, actor, NULL, &refusal), expected);
	if (expected != CHAT_OK)
		assert_int_equal(refusal.index, index);
}

TEST(batch_names_its_own_events)
{
	struct event draft;
	char *before = roster_dump(room);

	roster_begin(room);
	for (int i = 4; i < 6; i++) {
		draft = kit_event(room, EVENT_INVITE, &bob, people[i]);
		draft.seen_seq = 7;
		in_batch(&draft, &bob, CHAT_OK, 0);
	}
	draft = kit_event(room, EVENT_REKEY, &bob, NULL); /* names the second invite */
	assert_int_equal(roster_reader_count(room), 6);
	in_batch(&draft, &bob, CHAT_OK, 0);
	assert_int_equal(roster_state(room)->epoch, 2);
	roster_rollback(room);
	assert_roster_is(room, before);

	/* A rekey that does not name it. */
	draft = kit_event(room, EVENT_REKEY, &bob, NULL);
	roster_begin(room);
	assert_ok(kit_do(room, EVENT_INVITE, &bob, &erin));
	in_batch(&draft, &bob, CHAT_ERR_CONFLICT, 1);
	roster_rollback(room);
	assert_roster_is(room, before);
	free(before);
}

TEST(batch_of_one_actor_and_room)
{
	struct event draft;

	roster_begin(room);
	assert_ok(kit_do(room, EVENT_INVITE, &bob, &erin));
	draft = kit_event(room, EVENT_JOIN, &erin, NULL);
	in_batch(&draft, &erin, CHAT_ERR_MALFORMED, 1);
	draft = kit_create(&bob, NULL);
	in_batch(&draft, &bob, CHAT_ERR_MALFORMED, 1);
	draft = kit_event(room, EVENT_LEAVE, &bob, NULL);
	draft.room_id = *person_id(&bob);
	in_batch(&draft, &bob, CHAT_ERR_MALFORMED, 1);
	draft = kit_event(room, EVENT_LEAVE, &bob, NULL);
	in_batch(&draft, &bob, CHAT_OK, 0);
	draft = kit_event(room, EVENT_REKEY, &bob, NULL); /* judged after the leave */
	in_batch(&draft, &bob, CHAT_ERR_NOT_ALLOWED, 2);
	roster_rollback(room);
}

/* Of every kind, one after the other in one batch, then taken back at each length. */
TEST(rollback_at_every_length)
{
	char *before;

	person_rotate(&bob, false);
	assert_ok(kit_do(room, EVENT_KICK, &alice, &dave));
	assert_ok(set_role(&alice, &bob, ROLE_OWNER));
	kit_rekey(room, &bob);
	assert_ok(kit_say(room, &bob, NULL));
	before = roster_dump(room);
	for (int length = 1; length <= 12; length++) {
		uint64_t counter = bob.counter;
		size_t cards = bob.card_count;

		roster_begin(room);
		if (length >= 1)
			assert_ok(kit_do(room, EVENT_INVITE, &bob, &erin)); /* new */
		if (length >= 2)
			assert_ok(kit_do(room, EVENT_INVITE, &bob, &dave)); /* known */
		if (length >= 3)
			assert_ok(kit_do(room, EVENT_CARD, &bob, NULL));
		if (length >= 4)
			kit_rekey(room, &bob);
		if (length >= 5)
			assert_ok(kit_say(room, &bob, NULL));
		if (length >= 6)
			assert_ok(set_policies(&bob, INVITE_MODERATORS, HISTORY_ALL));
		if (length >= 7)
			kit_rekey(room, &bob);
		if (length >= 8)
			assert_ok(kit_say(room, &carol, NULL)); /* a device's first */
		if (length >= 9)
			assert_ok(set_role(&bob, &carol, ROLE_OWNER));
		if (length >= 10)
			assert_ok(kit_do(room, EVENT_KICK, &bob, &carol));
		if (length >= 11)
			assert_ok(kit_do(room, EVENT_KICK, &bob, &erin));
		if (length >= 12) {
			person_rotate(&bob, true);
			assert_ok(kit_do(room, EVENT_CARD, &bob, NULL));
		}
		assert_roster_sane(room);
		roster_rollback(room);
		assert_roster_is(room, before);
		assert_roster_sane(room);
		bob.counter = counter;
		carol.counter = 0;
		while (bob.card_count > cards)
			buf_fini(&bob.cards[--bob.card_count]);
	}
	/* It was not only equal: it goes on. */
	assert_ok(kit_say(room, &bob, NULL));
	assert_ok(kit_do(room, EVENT_INVITE, &bob, &erin));
	free(before);
}

TEST(commit_keeps)
{
	char *inside;

	roster_begin(room);
	person_rotate(&bob, false);
	assert_ok(kit_do(room, EVENT_CARD, &bob, NULL));
	kit_rekey(room, &bob);
	inside = roster_dump(room);
	roster_commit(room);
	assert_roster_is(room, inside);
	free(inside);
	/* A roster may be freed in the middle of a batch. */
	roster_begin(room);
	assert_ok(kit_do(room, EVENT_INVITE, &bob, &erin));
	roster_free(room);
	room = roster_new(&kit_realm, false);
	assert_non_null(room);
}

/*
 * --- out of memory ---
 */

/* However few allocations succeed, the post is done as a whole or not at all, in a batch and without. */
static void
post_with_failures(const struct event *draft, const struct person *actor, bool batch)
{
	struct built built;
	struct roster_post post = {.signatures_good = true};
	enum chat_err err = CHAT_ERR_NOMEM;
	char *before = roster_dump(room);
	unsigned n;

	built_init(&built, draft, actor);
	post.event = &built.event;
	for (n = 0; err != CHAT_OK; n++) {
		bool failed;

		if (batch)
			roster_begin(room);
		failalloc_arm(n);
		err = roster_post_event(room, &post, NULL, NULL);
		failed = failalloc_disarm();
		assert_int_equal(failed, err == CHAT_ERR_NOMEM);
		assert_true(err == CHAT_OK || err == CHAT_ERR_NOMEM);
		if (err != CHAT_OK)
			assert_roster_is(room, before);
		if (batch && err == CHAT_OK)
			roster_commit(room);
		else if (batch)
			roster_rollback(room);
		assert_roster_sane(room);
	}
	if (draft->type != EVENT_KICK)
		assert_true(n > 1); /* some did fail */
	built_fini(&built);
	free(before);
}

static void
whole_life_with_failures(bool batch)
{
	struct event draft;
	struct roster_range *list;
	size_t count;
	enum chat_err err = CHAT_ERR_NOMEM;

	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	draft = kit_event(room, EVENT_INVITE, &alice, &erin);
	post_with_failures(&draft, &alice, batch);
	person_rotate(&bob, false);
	draft = kit_event(room, EVENT_INVITE, &alice, &bob);
	post_with_failures(&draft, &alice, batch);
	person_rotate(&bob, false);
	draft = kit_event(room, EVENT_CARD, &bob, NULL);
	post_with_failures(&draft, &bob, batch);
	draft = kit_event(room, EVENT_REKEY, &alice, NULL);
	post_with_failures(&draft, &alice, batch);
	draft = kit_event(room, EVENT_KICK, &alice, &bob);
	post_with_failures(&draft, &alice, batch);
	for (unsigned n = 0; err != CHAT_OK; n++) {
		failalloc_arm(n);
		err = roster_read_ranges(room, the(&alice), &list, &count);
		assert_int_equal(failalloc_disarm(), err != CHAT_OK);
	}
	free(list);
}

TEST(out_of_memory)
{
	whole_life_with_failures(false);
}

TEST(out_of_memory_in_a_batch)
{
	whole_life_with_failures(true);
}

TEST(out_of_memory_at_the_start)
{
	struct event draft = kit_create(&alice, &bob);
	struct roster *group = room;

	failalloc_arm(0);
	room = roster_new(&kit_realm, true);
	assert_true(failalloc_disarm());
	assert_null(room);
	room = roster_new(&kit_realm, true);
	assert_non_null(room);
	post_with_failures(&draft, &alice, false);
	roster_free(group);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    KIT_TEST(batch_names_its_own_events),
	    KIT_TEST(batch_of_one_actor_and_room),
	    KIT_TEST(rollback_at_every_length),
	    KIT_TEST(commit_keeps),
	    KIT_TEST(out_of_memory),
	    KIT_TEST(out_of_memory_in_a_batch),
	    KIT_TEST(out_of_memory_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
