/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster.h"

#include "unit.h"

#include "room_kit.h"

/*
 * --- entitlement ---
 */

static struct {
	struct roster_range *list;
	size_t count;
} ranges;

static void
read_ranges(const struct person *person)
{
	free(ranges.list);
	assert_ok(
	    roster_read_ranges(room, roster_member(room, person_id(person)), &ranges.list, &ranges.count));
}

TEST(ranges_of_stays)
{
	uint64_t first = roster_state(room)->epoch_seq, second, third;

	read_ranges(&bob);
	assert_int_equal(ranges.count, 1);
	assert_int_equal(ranges.list[0].from_seq, first);
	assert_int_equal(ranges.list[0].to_seq, ROSTER_OPEN_END);
	read_ranges(&dave); /* an invitee, entitled but not joined */
	assert_int_equal(ranges.count, 0);
	assert_true(roster_entitled(room, the(&dave), roster_epoch_at(room, 1)));
	assert_true(roster_may_read_events(room, the(&dave)));
	assert_false(roster_may_read_messages(room, the(&dave), roster_epoch_at(room, 1)));
	read_ranges(&erin); /* a stranger */
	assert_int_equal(ranges.count, 0);
	assert_false(roster_may_read_events(room, NULL));
	assert_false(roster_entitled(room, the(&bob), NULL));

	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	read_ranges(&bob);
	assert_int_equal(ranges.count, 0);
	assert_false(roster_entitled(room, the(&bob), roster_epoch_at(room, 1)));
	kit_rekey(room, &alice);
	second = roster_state(room)->epoch_seq;
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &bob));
	assert_ok(kit_do(room, EVENT_JOIN, &bob, NULL));
	kit_rekey(room, &alice);
	third = roster_state(room)->epoch_seq;
	read_ranges(&bob); /* the earlier stay counts again; the epoch between does not */
	assert_int_equal(ranges.count, 2);
	assert_int_equal(ranges.list[0].from_seq, first);
	assert_int_equal(ranges.list[0].to_seq, second);
	assert_int_equal(ranges.list[1].from_seq, third);
	assert_int_equal(ranges.list[1].to_seq, ROSTER_OPEN_END);
	assert_false(roster_entitled(room, the(&bob), roster_epoch_at(room, 2)));
	assert_true(roster_entitled(room, the(&bob), roster_epoch_at(room, 3)));
	read_ranges(&alice);
	assert_int_equal(ranges.count, 1);
	free(ranges.list);
	ranges.list = NULL;
}

TEST(ranges_under_history_all)
{
	uint64_t all_from, all_to;

	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	assert_ok(set_policies(&alice, INVITE_MEMBERS, HISTORY_ALL));
	kit_rekey(room, &alice);
	all_from = roster_state(room)->epoch_seq;
	assert_ok(set_policies(&alice, INVITE_MEMBERS, HISTORY_FROM_INVITATION));
	kit_rekey(room, &alice);
	all_to = roster_state(room)->epoch_seq;
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &erin));
	assert_ok(kit_do(room, EVENT_JOIN, &erin, NULL));
	read_ranges(&erin); /* not yet rekeyed for erin: what was open to all */
	assert_int_equal(ranges.count, 1);
	assert_int_equal(ranges.list[0].from_seq, all_from);
	assert_int_equal(ranges.list[0].to_seq, all_to);
	kit_rekey(room, &alice);
	read_ranges(&erin);
	assert_int_equal(ranges.count, 2);
	assert_int_equal(ranges.list[1].to_seq, ROSTER_OPEN_END);
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &bob));
	assert_ok(kit_do(room, EVENT_JOIN, &bob, NULL));
	kit_rekey(room, &alice);
	read_ranges(&bob); /* the first stay, then open to all; the gap; the second stay */
	assert_int_equal(ranges.count, 2);
	assert_int_equal(ranges.list[0].from_seq, 7);
	assert_int_equal(ranges.list[0].to_seq, all_to);
	free(ranges.list);
	ranges.list = NULL;
}

TEST(rekey)
{
	struct event draft = kit_event(room, EVENT_REKEY, &bob, NULL);
	struct roster_change change;
	struct epoch_context ctx;

	draft.rekey.epoch = 1;
	assert_err(kit_post(room, &draft, &bob, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.rekey.epoch = 3;
	assert_err(kit_post(room, &draft, &bob, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.rekey.epoch = 2;
	assert_ok(kit_post(room, &draft, &bob, &change, NULL));
	assert_true(change.voluntary);
	assert_int_equal(change.epoch->number, 2);
	assert_int_equal(change.epoch->seq, roster_state(room)->head.seq);
	ctx = roster_epoch_context(room, change.epoch);
	assert_true(digest_equal(&ctx.after, &draft.after));
	assert_true(digest_equal(&ctx.actor, person_id(&bob)));
	assert_true(digest_equal(&ctx.room_id, &roster_state(room)->room_id));
	assert_int_equal(ctx.number, 2);
	assert_ptr_equal(roster_epoch(room, &change.epoch->id), change.epoch);
	assert_ptr_equal(roster_epoch_at(room, 2), change.epoch);
	assert_null(roster_epoch_at(room, 0));
	assert_null(roster_epoch_at(room, 3));
	assert_null(roster_epoch(room, person_id(&bob)));
	assert_null(roster_epoch_of_seq(room, 6));
	assert_int_equal(roster_epoch_of_seq(room, 7)->number, 1);
	assert_int_equal(roster_epoch_of_seq(room, change.epoch->seq)->number, 2);
	assert_int_equal(roster_epoch_of_seq(room, UINT64_MAX)->number, 2);
	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	draft = kit_event(room, EVENT_REKEY, &carol, NULL);
	assert_ok(kit_post(room, &draft, &carol, &change, NULL));
	assert_false(change.voluntary);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    KIT_TEST(ranges_of_stays),
	    KIT_TEST(ranges_under_history_all),
	    KIT_TEST(rekey),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
