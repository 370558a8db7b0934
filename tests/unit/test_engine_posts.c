/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Posts, several to a turn: what is refused, in which order, and that nothing of it stays. */

#include "engine_people.h"

#define LOOP(n) ((struct conn_ref){.loop = (n)})

TEST(a_refused_message_adds_nothing_to_the_turn)
{
	struct people t;
	struct message_header header;
	struct copy c;

	people_start(&t, 1, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	header = header_next(&t.w, &t.alice, &c);
	header.counter++;
	world_turn(&t.w, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
	assert_refused(&t.w, ALICE, CHAT_ERR_OUT_OF_ORDER);
	assert_int_equal(find_out(t.w.out, OUT_ERROR, ALICE)->error.number, header.counter - 1);
	assert_null(t.w.out->next); /* no entries for anybody */
	/* And the room goes on. */
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c));
	assert_int_equal(assert_answered(&t.w, OUT_POSTED, ALICE)->posted.first_seq, 4);
	assert_int_equal(find_out(t.w.out, OUT_ENTRIES, LOOP(0))->entries.count, 1);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_refused_batch_leaves_the_stays_that_the_turn_had)
{
	struct people t;
	struct draft d = {0};
	struct copy c;
	struct command *join;

	people_start(&t, 2, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	resume_all(&t, &c, BOB);
	draft_simple(&t.w, &d, &t.bob, &c, EVENT_JOIN);
	join = draft_command(&t.w, &d, BOB, &c.room_id);
	roster_begin(c.roster);
	draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
	draft_rekey(&t.w, &d, &t.alice, &c);
	d.bad[1] = true;
	world_begin(&t.w);
	engine_apply(t.w.engine, join);
	engine_apply(t.w.engine, draft_command(&t.w, &d, ALICE, &c.room_id));
	world_commit(&t.w);
	roster_rollback(c.roster);
	assert_refused(&t.w, ALICE, CHAT_ERR_BAD_SIGNATURE);
	assert_answered(&t.w, OUT_POSTED, BOB);
	assert_null(find_out(t.w.out, OUT_END, BOB));
	assert_non_null(find_out(t.w.out, OUT_VIEW, BOB));
	/* The engine still knows that he follows the room. */
	world_turn(&t.w, cmd_message(&t.w, BOB, &t.bob, &c));
	assert_answered(&t.w, OUT_POSTED, BOB);
	assert_non_null(find_out(t.w.out, OUT_ENTRIES, LOOP(1)));
	copy_fini(&c);
	people_end(&t);
}

TEST(who_is_kicked_and_invited_again_in_one_turn_starts_anew)
{
	struct people t;
	struct draft d = {0};
	const struct outcome *out;
	struct copy c;

	people_start(&t, 3, NULL);
	people_login(&t);
	room_of_three(&t, &c); /* 7 entries */
	resume_all(&t, &c, BOB);
	draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
	draft_invite(&t.w, &d, &t.alice, &c, &t.bob);
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	out = find_out(t.w.out, OUT_END, BOB);
	assert_non_null(out);
	assert_int_equal(out->end.end_seq, 8);
	assert_int_equal(count_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED), 1);
	/* Until he resumes he gets nothing, then everything. */
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c));
	assert_null(find_out(t.w.out, OUT_ENTRIES, LOOP(1)));
	resume_all(&t, &c, BOB);
	assert_int_equal(find_out(t.w.out, OUT_SUBSCRIBED, BOB)->subscribed.view->count, 0);
	bob_joins(&t, &c);
	out = find_out(t.w.out, OUT_VIEW, BOB);
	assert_non_null(out);
	assert_true(view_allows(out->view.view, 11)); /* said after he was invited again */
	copy_fini(&c);
	people_end(&t);
}

TEST(a_room_is_made_and_used_in_one_turn)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 4, NULL);
	people_login(&t);
	copy_init(&t.w, &c);
	world_begin(&t.w);
	t.w.now.unix_ms--; /* drafts count on the turn that begins after them */
	t.w.now.mono_ms--;
	draft_create(&t.w, &d, &t.alice, &c);
	draft_invite(&t.w, &d, &t.alice, &c, &t.bob);
	draft_rekey(&t.w, &d, &t.alice, &c);
	engine_apply(t.w.engine, draft_command(&t.w, &d, ALICE, NULL));
	engine_apply(t.w.engine, cmd_message(&t.w, ALICE, &t.alice, &c));
	draft_simple(&t.w, &d, &t.bob, &c, EVENT_JOIN);
	engine_apply(t.w.engine, draft_command(&t.w, &d, BOB, &c.room_id));
	engine_apply(t.w.engine, cmd_message(&t.w, BOB, &t.bob, &c));
	engine_apply(t.w.engine, cmd_resume(&t.w, BOB, &c.room_id, 1, &digest_zero));
	world_commit(&t.w);
	t.w.now.unix_ms++;
	t.w.now.mono_ms++;
	for (const struct outcome *out = t.w.out; out != NULL; out = out->next)
		assert_int_not_equal(out->type, OUT_ERROR);
	assert_int_equal(assert_answered(&t.w, OUT_SUBSCRIBED, BOB)->subscribed.head_seq, 6);
	assert_true(find_out(t.w.out, OUT_SUBSCRIBED, BOB)->subscribed.room_no > 0);
	assert_int_equal(assert_answered(&t.w, OUT_POSTED, BOB)->posted.first_seq, 5);
	world_restart(&t.w);
	people_accounts(&t);
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	assert_int_equal(head_of(&t, &c.room_id), 6);
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_refused_message_adds_nothing_to_the_turn),
	    cmocka_unit_test(a_refused_batch_leaves_the_stays_that_the_turn_had),
	    cmocka_unit_test(who_is_kicked_and_invited_again_in_one_turn_starts_anew),
	    cmocka_unit_test(a_room_is_made_and_used_in_one_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
