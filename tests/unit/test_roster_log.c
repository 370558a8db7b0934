/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster.h"

#include "unit.h"

#include "failalloc.h"
#include "room_kit.h"

/*
 * --- messages ---
 */

static enum chat_err
post_header(const struct message_header *header, const struct digest *poster)
{
	struct roster_refusal refusal;
	struct digest entry = kit_entry(1);
	char *before = roster_dump(room);
	enum chat_err err;

	roster_begin(room);
	err = roster_post_message(room, header, &entry, poster, 1, &refusal);
	if (err == CHAT_OK)
		roster_rollback(room);
	else
		roster_commit(room);
	if (err == CHAT_ERR_ALREADY || err == CHAT_ERR_OUT_OF_ORDER)
		assert_int_equal(
		    refusal.expected, roster_counter(room, &header->sender, &header->device) + 1);
	assert_roster_is(room, before);
	free(before);
	return err;
}

TEST(message_order_of_refusals)
{
	struct message_header header;

	assert_ok(kit_say(room, &bob, NULL));
	header = kit_header(room, &bob);
	header.counter = 1;
	header.epoch_id = *person_id(&bob);
	header.seen_seq = roster_state(room)->head.seq + 1;
	assert_err(post_header(&header, person_id(&alice)), CHAT_ERR_ALREADY);
	header.counter = 3;
	assert_err(post_header(&header, person_id(&alice)), CHAT_ERR_OUT_OF_ORDER);
	header.counter = 2;
	assert_err(post_header(&header, person_id(&alice)), CHAT_ERR_NOT_ALLOWED);
	assert_err(post_header(&header, person_id(&bob)), CHAT_ERR_STALE);
	header.epoch_id = roster_state(room)->epoch_id;
	assert_err(post_header(&header, person_id(&bob)), CHAT_ERR_BAD_SEEN);
	header.seen_seq = roster_state(room)->epoch_seq - 1;
	assert_err(post_header(&header, person_id(&bob)), CHAT_ERR_BAD_SEEN);
	header.seen_seq = roster_state(room)->epoch_seq;
	assert_ok(post_header(&header, person_id(&bob)));
	assert_ok(post_header(&header, NULL));
	header.seen_seq = roster_state(room)->head.seq;
	assert_ok(post_header(&header, person_id(&bob)));
}

TEST(message_senders)
{
	struct message_header header = kit_header(room, &dave);

	assert_err(post_header(&header, person_id(&dave)), CHAT_ERR_NOT_ALLOWED);
	header = kit_header(room, &erin);
	assert_err(post_header(&header, person_id(&erin)), CHAT_ERR_NOT_ALLOWED);
	assert_ok(kit_say(room, &bob, NULL));
	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	header = kit_header(room, &bob);
	assert_err(post_header(&header, person_id(&bob)), CHAT_ERR_NOT_ALLOWED);
	header.counter = 1;
	assert_err(post_header(&header, person_id(&bob)), CHAT_ERR_ALREADY);
	header = kit_header(room, &carol);
	assert_err(post_header(&header, person_id(&carol)), CHAT_ERR_STALE);
	/* A counter goes on after a stay. */
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &bob));
	assert_ok(kit_do(room, EVENT_JOIN, &bob, NULL));
	kit_rekey(room, &alice);
	assert_ok(kit_say(room, &bob, NULL));
	assert_int_equal(roster_counter(room, person_id(&bob), &bob.device), 2);
}

TEST(devices_count_apart)
{
	struct device_id first = bob.device;

	assert_ok(kit_say(room, &bob, NULL));
	assert_ok(kit_say(room, &bob, NULL));
	bob.device.b[7] ^= 1;
	assert_err(kit_say(room, &bob, NULL), CHAT_ERR_OUT_OF_ORDER);
	bob.counter = 0;
	assert_ok(kit_say(room, &bob, NULL));
	assert_int_equal(roster_counter(room, person_id(&bob), &first), 2);
	assert_int_equal(roster_counter(room, person_id(&bob), &bob.device), 1);
	/* The same device id of another is another device. */
	carol.device = bob.device;
	assert_int_equal(roster_counter(room, person_id(&carol), &carol.device), 0);
	assert_ok(kit_say(room, &carol, NULL));
}

/*
 * --- reading a log ---
 */

static struct roster_message_verdict
take(const struct message_header *header, bool signature_good)
{
	struct roster_message_verdict verdict;
	uint64_t seq = roster_state(room)->head.seq;
	struct digest entry = kit_entry(seq);

	assert_ok(roster_take_message(room, header, &entry, signature_good, 1, &verdict));
	assert_int_equal(roster_state(room)->head.seq, seq + 1);
	return verdict;
}

TEST(log_takes_what_it_must)
{
	struct message_header header = kit_header(room, &bob);
	struct roster_message_verdict verdict = take(&header, true);

	assert_int_equal(verdict.err, CHAT_OK);
	assert_int_equal(verdict.gap, 0);
	verdict = take(&header, true); /* a repeat */
	assert_int_equal(verdict.err, CHAT_ERR_ALREADY);
	header.counter = 5;
	header.seen_seq = roster_state(room)->head.seq + 1;
	verdict = take(&header, true);
	assert_int_equal(verdict.err, CHAT_ERR_BAD_SEEN);
	assert_int_equal(roster_counter(room, person_id(&bob), &bob.device), 1);
	header.seen_seq = roster_state(room)->head.seq;
	verdict = take(&header, true); /* 2, 3 and 4 are missing */
	assert_int_equal(verdict.err, CHAT_OK);
	assert_int_equal(verdict.gap, 3);
	header.counter = 6;
	verdict = take(&header, false); /* badly signed: uses its counter */
	assert_int_equal(verdict.err, CHAT_ERR_BAD_SIGNATURE);
	assert_int_equal(verdict.gap, 0);
	header.counter = 7;
	verdict = take(&header, true);
	assert_int_equal(verdict.err, CHAT_OK);
	header = kit_header(room, &erin);
	assert_int_equal(take(&header, true).err, CHAT_ERR_NOT_ALLOWED);
	assert_int_equal(roster_counter(room, person_id(&erin), &erin.device), 0);
}

/* Behind a stub nobody knows which counters it used. */
TEST(stubs_hide_gaps)
{
	struct message_header header = kit_header(room, &bob);
	struct digest entry = kit_entry(3);

	assert_int_equal(take(&header, true).err, CHAT_OK);
	roster_take_stub(room, 1, &entry);
	header.counter = 4;
	assert_int_equal(take(&header, true).gap, 0);
	header.counter = 6;
	assert_int_equal(take(&header, true).gap, 1);
	roster_begin(room); /* a message taken back was not seen */
	header.counter = 7;
	assert_int_equal(take(&header, true).gap, 0);
	roster_rollback(room);
	roster_take_stub(room, 1, &entry);
	header.counter = 9;
	assert_int_equal(take(&header, true).gap, 0);
	header = kit_header(room, &carol); /* never heard of, and may have said something in the stub */
	header.counter = 3;
	assert_int_equal(take(&header, true).gap, 0);
}

/*
 * --- loading ---
 */

/* What a client knows of counters when it starts again: those that it had kept, and no others. */
TEST(loaded_counters_and_gaps)
{
	struct roster *loaded = roster_new(&kit_realm, true);
	struct message_header header;
	struct event draft;
	struct built built;

	assert_non_null(loaded);
	draft = kit_create(&alice, NULL);
	built_init(&built, &draft, &alice);
	assert_ok(roster_load_event(loaded, 1, &built.event, true, NULL));
	built_fini(&built);
	draft = kit_event(loaded, EVENT_REKEY, &alice, NULL);
	built_init(&built, &draft, &alice);
	assert_ok(roster_load_event(loaded, 2, &built.event, true, NULL));
	built_fini(&built);
	roster_free(room);
	room = loaded;
	assert_ok(roster_set_head(room, &(struct log_head){.seq = 9, .E = roster_state(room)->head.E}));
	assert_ok(roster_set_counter(room, person_id(&alice), &alice.device, 3));

	header = kit_header(room, &alice);
	header.counter = 6;
	assert_int_equal(take(&header, true).gap, 2);
	header.counter = 3;
	header.device.b[0] ^= 1; /* may have said 1 and 2 before */
	assert_int_equal(take(&header, true).gap, 0);
	header.counter = 6;
	assert_int_equal(take(&header, true).gap, 2);
	assert_ok(roster_set_counter(room, person_id(&alice), &header.device, 9)); /* the store knew better */
	header.counter = 9;
	assert_int_equal(take(&header, true).err, CHAT_ERR_ALREADY);

	/* Known to be at least so much only: the next says where it is, and from there on gaps show. */
	roster_set_blind(room);
	header.counter = 15;
	assert_int_equal(take(&header, true).gap, 0);
	header.counter = 18;
	assert_int_equal(take(&header, true).gap, 2);
}

TEST(loading_refuses)
{
	struct roster *loaded = roster_new(&kit_realm, false);
	struct log_head head = {.seq = 3};
	struct event draft = kit_create(&alice, NULL);
	struct roster_refusal refusal;
	struct built create, invite;

	assert_non_null(loaded);
	built_init(&create, &draft, &alice);
	assert_err(roster_load_event(loaded, 1, &create.event, false, &refusal), CHAT_ERR_BAD_SIGNATURE);
	assert_ok(roster_load_event(loaded, 1, &create.event, true, &refusal));
	draft = kit_event(loaded, EVENT_INVITE, &alice, &bob);
	draft.seen_seq = 4;
	built_init(&invite, &draft, &alice);
	assert_err(roster_load_event(loaded, 1, &invite.event, true, &refusal), CHAT_ERR_MALFORMED);
	assert_err(roster_load_event(loaded, 4, &invite.event, true, &refusal), CHAT_ERR_BAD_SEEN);
	assert_ok(roster_load_event(loaded, 5, &invite.event, true, &refusal));
	assert_int_equal(roster_member(loaded, person_id(&bob))->place_seq, 5);
	head.E = roster_state(loaded)->head.E;
	assert_err(roster_set_head(loaded, &head), CHAT_ERR_CORRUPT); /* before the last event */
	head.seq = 6;
	head.E.b[0] ^= 1;
	assert_err(roster_set_head(loaded, &head), CHAT_ERR_CORRUPT);
	head.E.b[0] ^= 1;
	assert_ok(roster_set_head(loaded, &head));
	assert_ok(roster_set_counter(loaded, person_id(&alice), &alice.device, 41));
	assert_int_equal(roster_counter(loaded, person_id(&alice), &alice.device), 41);
	assert_true(roster_bytes(loaded) > 1000);
	assert_err(roster_load_event(loaded, 6, &invite.event, true, NULL), CHAT_ERR_MALFORMED);
	built_fini(&create);
	built_fini(&invite);
	roster_free(loaded);
}

TEST(out_of_memory_for_a_message)
{
	struct message_header header = kit_header(room, &bob);
	struct roster_message_verdict verdict;
	struct digest entry = kit_entry(1);
	char *before = roster_dump(room);
	enum chat_err err = CHAT_ERR_NOMEM;

	for (unsigned n = 0; err != CHAT_OK; n++) {
		failalloc_arm(n);
		err = roster_post_message(room, &header, &entry, NULL, 1, NULL);
		assert_int_equal(failalloc_disarm(), err == CHAT_ERR_NOMEM);
		if (err != CHAT_OK)
			assert_roster_is(room, before);
	}
	/* The device is known now: no allocation at all. */
	header = kit_header(room, &bob);
	header.counter = 2;
	failalloc_arm(0);
	assert_ok(roster_post_message(room, &header, &entry, NULL, 1, NULL));
	header.counter = 3;
	header.seen_seq++;
	assert_ok(roster_take_message(room, &header, &entry, true, 1, &verdict));
	assert_false(failalloc_disarm());
	free(before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    KIT_TEST(message_order_of_refusals),
	    KIT_TEST(message_senders),
	    KIT_TEST(devices_count_apart),
	    KIT_TEST(log_takes_what_it_must),
	    KIT_TEST(stubs_hide_gaps),
	    KIT_TEST(loaded_counters_and_gaps),
	    KIT_TEST(loading_refuses),
	    KIT_TEST(out_of_memory_for_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
