/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Re-wraps, who hears of them, and who is asked for them. */

#include "engine_people.h"

/* A re-wrap of the room's epoch `number`, by one for another, as the copy stands. */
static struct command *
cmd_rewrap(struct people *t, struct conn_ref from, const struct person *by, const struct person *for_whom,
    const struct copy *c, uint64_t number, bool good)
{
	static const uint8_t wrap[WRAP_BYTES] = {1};
	struct command *cmd =
	    command_new(CMD_POST_REWRAPS, from, ++t->w.next_id, sizeof(struct command_event) + REWRAP_BYTES);
	struct rewrap rewrap = {
	    .epoch_id = roster_epoch_at(c->roster, number)->id,
	    .recipient = for_whom->identity.member_id,
	    .card_hash = for_whom->decoded.card_hash,
	    .wrapper = by->identity.member_id,
	    .wrap = BYTES_ARRAY(wrap),
	};

	cmd->room_id = c->room_id;
	cmd->rewraps.rewraps = (struct command_event *)(void *)cmd->body;
	cmd->rewraps.count = 1;
	rewrap_build(&by->identity.sign, &rewrap, cmd->body + sizeof(struct command_event));
	cmd->rewraps.rewraps[0].wire = BYTES(cmd->body + sizeof(struct command_event), REWRAP_BYTES);
	cmd->rewraps.rewraps[0].signatures_good = good;
	return cmd;
}

static struct command *
cmd_ask(struct people *t, struct conn_ref from, const struct digest *room_id, const struct digest *ids,
    uint32_t count)
{
	struct command *cmd = command_new(CMD_ASK_REWRAP, from, ++t->w.next_id, count * sizeof *ids);

	cmd->room_id = *room_id;
	memcpy(cmd->body, ids, cmd->body_len);
	cmd->epochs.epoch_ids = (struct digest *)(void *)cmd->body;
	cmd->epochs.count = count;
	return cmd;
}

static size_t
asked(struct people *t, struct conn_ref conn)
{
	return count_pushed(&t->w, conn, CHAT__V1__SERVER_FRAME__BODY_REWRAP_WANTED);
}

TEST(a_rewrap_reaches_its_recipient_wherever_it_is)
{
	struct people t;
	struct conn_ref other = world_conn(0, 9);
	struct copy c;

	people_start(&t, 1, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	world_turn(&t.w, cmd_key(&t.w, other, &t.bob));
	world_turn(&t.w, cmd_rewrap(&t, ALICE, &t.alice, &t.bob, &c, 1, true));
	assert_answered(&t.w, OUT_OK, ALICE);
	assert_true(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH));
	assert_true(was_pushed(&t.w, other, CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH));
	copy_fini(&c);
	people_end(&t);
}

TEST(rewraps_are_refused_by_the_rules)
{
	struct people t;
	struct copy c;

	people_start(&t, 2, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	world_turn(&t.w, cmd_rewrap(&t, ALICE, &t.alice, &t.bob, &c, 1, false));
	assert_refused(&t.w, ALICE, CHAT_ERR_BAD_SIGNATURE);
	assert_false(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH));
	world_turn(&t.w, cmd_rewrap(&t, BOB, &t.bob, &t.alice, &c, 1, true)); /* not joined */
	assert_refused(&t.w, BOB, CHAT_ERR_NOT_ALLOWED);
	world_turn(&t.w, cmd_rewrap(&t, ALICE, &t.alice, &t.carol, &c, 1, true)); /* not entitled */
	assert_refused(&t.w, ALICE, CHAT_ERR_NOT_ALLOWED);
	world_turn(&t.w, cmd_rewrap(&t, CAROL, &t.carol, &t.bob, &c, 1, true));
	assert_refused(&t.w, CAROL, CHAT_ERR_NO_ROOM);
	person_next_card(&t.w, &t.bob, false);
	world_turn(&t.w, cmd_rewrap(&t, ALICE, &t.alice, &t.bob, &c, 1, true));
	assert_refused(&t.w, ALICE, CHAT_ERR_CONFLICT);
	assert_true(find_out(t.w.out, OUT_ERROR, ALICE)->error.has_current);
	copy_fini(&c);
	people_end(&t);
}

TEST(an_ask_goes_to_two_members_and_to_those_who_come_later)
{
	struct people t;
	struct digest epoch_id;
	struct copy c;

	people_start(&t, 3, NULL);
	people_login(&t);
	room_of_three(&t, &c);
	epoch_id = roster_state(c.roster)->epoch_id;
	resume_all(&t, &c, ALICE);
	world_turn(&t.w, cmd_key(&t.w, world_conn(1, 9), &t.alice)); /* her keys are the same everywhere */
	resume_all(&t, &c, world_conn(1, 9));
	world_turn(&t.w, cmd_ask(&t, BOB, &c.room_id, &epoch_id, 1));
	assert_answered(&t.w, OUT_OK, BOB);
	assert_int_equal(asked(&t, ALICE) + asked(&t, world_conn(1, 9)), 1);
	resume_all(&t, &c, CAROL);
	assert_int_equal(asked(&t, CAROL), 1);
	resume_all(&t, &c, BOB); /* not who asks */
	assert_int_equal(asked(&t, BOB), 0);
	/* Done: nobody hears of it any more. */
	world_turn(&t.w, cmd_rewrap(&t, CAROL, &t.carol, &t.bob, &c, 2, true));
	assert_answered(&t.w, OUT_OK, CAROL);
	resume_all(&t, &c, CAROL);
	assert_int_equal(asked(&t, CAROL), 0);
	copy_fini(&c);
	people_end(&t);
}

TEST(one_who_asks_does_not_repeat_the_others_asks)
{
	struct people t;
	struct digest epoch_id;
	struct copy c;

	people_start(&t, 4, NULL);
	people_login(&t);
	room_of_three(&t, &c);
	epoch_id = roster_state(c.roster)->epoch_id;
	resume_all(&t, &c, ALICE);
	world_turn(&t.w, cmd_ask(&t, BOB, &c.room_id, &epoch_id, 1));
	assert_int_equal(asked(&t, ALICE), 1);
	world_turn(&t.w, cmd_ask(&t, CAROL, &c.room_id, &epoch_id, 1));
	assert_int_equal(asked(&t, ALICE), 1);
	copy_fini(&c);
	people_end(&t);
}

TEST(an_ask_is_passed_on_so_often_and_no_more)
{
	struct people t;
	struct digest epoch_id;
	struct copy c;
	size_t count = 0;

	people_start(&t, 5, NULL);
	people_login(&t);
	room_of_three(&t, &c);
	epoch_id = roster_state(c.roster)->epoch_id;
	for (int round = 0; round < 2; round++) {
		world_turn(&t.w, cmd_ask(&t, BOB, &c.room_id, &epoch_id, 1));
		count = asked(&t, CAROL);
		for (int i = 0; i < 20; i++) {
			resume_all(&t, &c, CAROL);
			count += asked(&t, CAROL);
		}
		assert_int_equal(count, 8);
	}
	copy_fini(&c);
	people_end(&t);
}

TEST(only_what_one_may_have_is_asked_for)
{
	struct people t;
	struct draft d = {0};
	struct digest ids[3];
	const Chat__V1__ServerFrame *frame;
	struct arena arena;
	struct copy c;

	people_start(&t, 6, NULL);
	people_login(&t);
	room_of_three(&t, &c); /* Carol came in the second epoch */
	resume_all(&t, &c, ALICE);
	ids[0] = roster_epoch_at(c.roster, 1)->id;
	ids[1] = (struct digest){{7}};
	ids[2] = roster_epoch_at(c.roster, 2)->id;
	world_turn(&t.w, cmd_ask(&t, CAROL, &c.room_id, ids, 2));
	assert_refused(&t.w, CAROL, CHAT_ERR_NOT_ALLOWED);
	assert_int_equal(asked(&t, ALICE), 0);
	world_turn(&t.w, cmd_ask(&t, CAROL, &c.room_id, ids, 3));
	frame = get_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_REWRAP_WANTED, &arena);
	assert_int_equal(frame->rewrap_wanted->n_epoch_id, 1);
	assert_memory_equal(frame->rewrap_wanted->epoch_id[0].data, ids[2].b, DIGEST_BYTES);
	arena_fini(&arena);
	/* Whose stay ends asks no more. */
	draft_kick(&t.w, &d, &t.alice, &c, &t.carol);
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	resume_all(&t, &c, BOB);
	assert_int_equal(asked(&t, BOB), 0);
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rewrap_reaches_its_recipient_wherever_it_is),
	    cmocka_unit_test(rewraps_are_refused_by_the_rules),
	    cmocka_unit_test(an_ask_goes_to_two_members_and_to_those_who_come_later),
	    cmocka_unit_test(one_who_asks_does_not_repeat_the_others_asks),
	    cmocka_unit_test(an_ask_is_passed_on_so_often_and_no_more),
	    cmocka_unit_test(only_what_one_may_have_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
