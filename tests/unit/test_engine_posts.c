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

/* ---- what a member may read ---- */

TEST(who_joins_before_the_rekey_reads_what_is_said_after_it)
{
	struct people t;
	struct draft d = {0};
	const struct outcome *out;
	struct copy c;

	people_start(&t, 5, NULL);
	people_login(&t);
	copy_init(&t.w, &c);
	draft_create(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, NULL));
	resume_all(&t, &c, ALICE); /* there is no epoch yet */
	out = find_out(t.w.out, OUT_SUBSCRIBED, ALICE);
	assert_false(view_allows(out->subscribed.view, 1));
	assert_true(view_allows(out->subscribed.view, 2));
	draft_rekey(&t.w, &d, &t.alice, &c); /* 2 */
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c)); /* 3 */

	draft_invite(&t.w, &d, &t.alice, &c, &t.bob); /* 4, without its rekey */
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	resume_all(&t, &c, BOB);
	assert_int_equal(find_out(t.w.out, OUT_SUBSCRIBED, BOB)->subscribed.view->count, 0);
	bob_joins(&t, &c); /* 5 */
	out = find_out(t.w.out, OUT_VIEW, BOB);
	assert_non_null(out);
	assert_false(view_allows(out->view.view, 3));
	assert_true(view_allows(out->view.view, 7));
	draft_rekey(&t.w, &d, &t.alice, &c); /* 6 */
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c)); /* 7 */
	resume_all(&t, &c, BOB);
	out = find_out(t.w.out, OUT_SUBSCRIBED, BOB);
	assert_false(view_allows(out->subscribed.view, 3));
	assert_true(view_allows(out->subscribed.view, 7));
	copy_fini(&c);
	people_end(&t);
}

/* ---- who rekeys ---- */

TEST(a_room_that_a_turn_has_closed_is_lent_whatever_came_after)
{
	struct people t;
	struct draft d = {0};
	struct command *invite;
	struct copy c;

	people_start(&t, 6, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol); /* without its rekey */
	invite = draft_command(&t.w, &d, ALICE, &c.room_id);
	draft_simple(&t.w, &d, &t.bob, &c, EVENT_JOIN);
	world_begin(&t.w);
	engine_apply(t.w.engine, invite);
	engine_apply(t.w.engine, draft_command(&t.w, &d, BOB, &c.room_id));
	world_commit(&t.w);
	assert_answered(&t.w, OUT_POSTED, BOB);
	assert_int_equal(count_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED), 1);
	copy_fini(&c);
	people_end(&t);
}

TEST(the_rekey_goes_round_until_somebody_does_it)
{
	struct people t;
	struct draft d = {0};
	struct copy c;
	unsigned asked[3] = {0};

	people_start(&t, 7, NULL);
	people_login(&t);
	room_of_three(&t, &c);
	resume_all(&t, &c, ALICE);
	resume_all(&t, &c, BOB);
	resume_all(&t, &c, CAROL);
	draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
	draft_invite(&t.w, &d, &t.alice, &c, &t.bob);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	resume_all(&t, &c, BOB); /* invited: not asked */
	draft_simple(&t.w, &d, &t.bob, &c, EVENT_JOIN);
	world_turn(&t.w, draft_command(&t.w, &d, BOB, &c.room_id));
	for (int i = 0; i < 6; i++) {
		t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
		world_turn(&t.w, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
		asked[0] += was_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED);
		asked[1] += was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED);
		asked[2] += was_pushed(&t.w, CAROL, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED);
	}
	assert_int_equal(asked[0], 2);
	assert_int_equal(asked[1], 2);
	assert_int_equal(asked[2], 2);
	copy_fini(&c);
	people_end(&t);
}

/* ---- what is refused first ---- */

TEST(bytes_of_no_form_are_refused_before_the_room_is_looked_for)
{
	static const struct digest nowhere = {{7}};
	struct people t;
	struct draft d = {0};
	struct copy c;
	struct command *cmd;

	people_start(&t, 10, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	for (int there = 0; there < 2; there++) {
		const struct digest *room_id = there ? &c.room_id : &nowhere;
		struct message_header header = {.sender = t.carol.identity.member_id, .counter = 1};

		roster_begin(c.roster);
		draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
		cmd = draft_command(&t.w, &d, CAROL, room_id);
		roster_rollback(c.roster);
		cmd->events.events[0].wire.len--;
		world_turn(&t.w, cmd);
		assert_refused(&t.w, CAROL, CHAT_ERR_MALFORMED);
		cmd = cmd_message_of(&t.w, CAROL, &t.carol, room_id, &header);
		cmd->message.wire.len--;
		world_turn(&t.w, cmd);
		assert_refused(&t.w, CAROL, CHAT_ERR_MALFORMED);
	}
	copy_fini(&c);
	people_end(&t);
}

TEST(anothers_create_is_refused_whether_the_room_is_there_or_not)
{
	struct people t;
	struct draft d = {0};
	struct command *create, *copy;
	struct copy c;

	people_start(&t, 11, NULL);
	people_login(&t);
	copy_init(&t.w, &c);
	draft_create(&t.w, &d, &t.alice, &c);
	create = draft_command(&t.w, &d, ALICE, NULL);
	for (int there = 0; there < 2; there++) {
		copy = command_new(CMD_POST_EVENTS, CAROL, ++t.w.next_id, create->body_len);
		memcpy(copy->body, create->body, create->body_len);
		copy->events.events = (struct command_event *)(void *)copy->body;
		copy->events.events[0].wire.data = copy->body + sizeof(struct command_event);
		copy->events.events[0].signatures_good = false; /* it is not Carol's key */
		copy->events.count = 1;
		world_turn(&t.w, copy);
		assert_refused(&t.w, CAROL, CHAT_ERR_NOT_ALLOWED);
		assert_null(t.w.out->next);
		if (!there) {
			copy = command_new(CMD_POST_EVENTS, ALICE, ++t.w.next_id, create->body_len);
			memcpy(copy->body, create->body, create->body_len);
			copy->events.events = (struct command_event *)(void *)copy->body;
			copy->events.events[0].wire.data = copy->body + sizeof(struct command_event);
			copy->events.count = 1;
			world_turn(&t.w, copy);
			assert_answered(&t.w, OUT_POSTED, ALICE);
		}
	}
	command_free(create);
	copy_fini(&c);
	people_end(&t);
}

static void
reconfigure(struct people *t, uint32_t rooms_per_account, uint32_t room_readers_max)
{
	t->w.config.rooms_per_account = rooms_per_account;
	t->w.config.room_readers_max = room_readers_max;
	engine_reconfigure(t->w.engine, &t->w.config);
}

TEST(limits_say_nothing_to_who_may_not)
{
	struct people t;
	struct draft d = {0};
	struct event event = {.type = EVENT_INVITE};
	struct copy c, carols;

	people_start(&t, 12, NULL);
	people_login(&t);
	reconfigure(&t, 1, 2);
	copy_init(&t.w, &carols);
	draft_create(&t.w, &d, &t.carol, &carols);
	world_turn(&t.w, draft_command(&t.w, &d, CAROL, NULL));
	assert_answered(&t.w, OUT_POSTED, CAROL);
	room_with_bob(&t, &c);
	/* Bob is invited only.  That Carol is in a room, and that this one is full, is not for him. */
	event.room_id = c.room_id;
	event.actor = t.bob.identity.member_id;
	event.after = *roster_next_after(c.roster, EVENT_INVITE, &t.carol.identity.member_id);
	event.card_wire = buf_bytes(&t.carol.card);
	assert_ok(event_build(&event, &t.bob.identity.sign, &d.wires[0], NULL));
	d.count = 1;
	world_turn(&t.w, draft_command(&t.w, &d, BOB, &c.room_id));
	assert_refused(&t.w, BOB, CHAT_ERR_NOT_ALLOWED);
	/* Alice may invite, and is told. */
	roster_begin(c.roster);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_LIMIT);
	roster_rollback(c.roster);
	copy_fini(&c);
	copy_fini(&carols);
	people_end(&t);
}

TEST(rooms_of_an_account_are_limited_whoever_brings_it_in)
{
	struct people t;
	struct draft d = {0};
	struct copy c, direct;

	people_start(&t, 13, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	reconfigure(&t, 1, 2000);
	/* A direct room brings two into one more. */
	copy_init(&t.w, &direct);
	draft_create_direct(&t.w, &d, &t.carol, &direct, &t.bob);
	world_turn(&t.w, draft_command(&t.w, &d, CAROL, NULL));
	assert_refused(&t.w, CAROL, CHAT_ERR_LIMIT);
	copy_fini(&direct);
	copy_init(&t.w, &direct);
	draft_create_direct(&t.w, &d, &t.bob, &direct, &t.carol);
	world_turn(&t.w, draft_command(&t.w, &d, BOB, NULL));
	assert_refused(&t.w, BOB, CHAT_ERR_LIMIT);
	copy_fini(&direct);
	/* Out and in again in one batch is no room more. */
	draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
	draft_invite(&t.w, &d, &t.alice, &c, &t.bob);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	/* Carol is in none yet, for what was refused left nothing. */
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	copy_fini(&c);
	people_end(&t);
}

TEST(readers_of_a_room_are_limited)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 14, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	reconfigure(&t, 1000, 2);
	roster_begin(c.roster);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_LIMIT);
	roster_rollback(c.roster);
	reconfigure(&t, 1000, 3);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	copy_fini(&c);
	people_end(&t);
}

TEST(staged_wraps_are_for_one_rekey)
{
	struct people t;
	struct draft d = {0};
	struct event event = {.type = EVENT_REKEY};
	uint8_t box[PADDING_UNIT_BYTES + AEAD_TAG_BYTES] = {0};
	struct copy c;

	people_start(&t, 15, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	roster_begin(c.roster);
	draft_rekey(&t.w, &d, &t.alice, &c);
	event.after = *roster_next_after(c.roster, EVENT_REKEY, NULL);
	event.rekey.epoch = roster_state(c.roster)->epoch + 1;
	event.rekey.wraps_hash = d.staged->wraps_hash;
	event.rekey.info_box = BYTES_ARRAY(box);
	draft_event(&t.w, &d, &t.alice, &c, &event);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_BAD_WRAPS);
	assert_int_equal(find_out(t.w.out, OUT_ERROR, ALICE)->error.index, 1);
	roster_rollback(c.roster);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_repeated_message_is_already_there_and_says_the_next_number)
{
	struct people t;
	struct message_header header;
	struct copy c;

	people_start(&t, 16, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	header = header_next(&t.w, &t.alice, &c);
	world_begin(&t.w);
	engine_apply(t.w.engine, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
	engine_apply(t.w.engine, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
	world_commit(&t.w);
	assert_answered(&t.w, OUT_POSTED, ALICE);
	assert_refused(&t.w, ALICE, CHAT_ERR_ALREADY);
	assert_int_equal(find_out(t.w.out, OUT_ERROR, ALICE)->error.number, header.counter + 1);
	assert_int_equal(head_of(&t, &c.room_id), 4);
	copy_fini(&c);
	people_end(&t);
}

TEST(devices_of_a_member_are_limited)
{
	struct people t;
	struct message_header header;
	struct device_id first;
	struct copy c;

	people_start(&t, 17, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	first = t.alice.device;
	for (uint32_t n = 0; n < DEVICES_PER_MEMBER;) {
		world_begin(&t.w);
		for (int i = 0; i < 512 && n < DEVICES_PER_MEMBER; i++, n++) {
			header = header_next(&t.w, &t.alice, &c);
			memcpy(header.device.b, &n, sizeof n);
			header.counter = 1;
			engine_apply(t.w.engine, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
		}
		world_commit(&t.w);
		assert_null(find_out(t.w.out, OUT_ERROR, ALICE));
	}
	/* One more, unless there is something else wrong with it; also after the room was loaded anew. */
	for (int again = 0; again < 2; again++) {
		header = header_next(&t.w, &t.alice, &c);
		header.device = first;
		header.counter = 1;
		world_turn(&t.w, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
		assert_refused(&t.w, ALICE, CHAT_ERR_LIMIT);
		assert_null(t.w.out->next);
		header.epoch_id.b[0] ^= 1;
		world_turn(&t.w, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
		assert_refused(&t.w, ALICE, CHAT_ERR_STALE);
		/* Those that are known go on. */
		header.epoch_id.b[0] ^= 1;
		memset(header.device.b, 0, sizeof(uint32_t)); /* the first of them */
		header.counter = 2 + (uint64_t)again;
		world_turn(&t.w, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
		assert_answered(&t.w, OUT_POSTED, ALICE);
		world_restart(&t.w);
		people_accounts(&t);
		world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	}
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
	    cmocka_unit_test(who_joins_before_the_rekey_reads_what_is_said_after_it),
	    cmocka_unit_test(a_room_that_a_turn_has_closed_is_lent_whatever_came_after),
	    cmocka_unit_test(the_rekey_goes_round_until_somebody_does_it),
	    cmocka_unit_test(bytes_of_no_form_are_refused_before_the_room_is_looked_for),
	    cmocka_unit_test(anothers_create_is_refused_whether_the_room_is_there_or_not),
	    cmocka_unit_test(limits_say_nothing_to_who_may_not),
	    cmocka_unit_test(rooms_of_an_account_are_limited_whoever_brings_it_in),
	    cmocka_unit_test(readers_of_a_room_are_limited),
	    cmocka_unit_test(staged_wraps_are_for_one_rekey),
	    cmocka_unit_test(devices_of_a_member_are_limited),
	    cmocka_unit_test(a_repeated_message_is_already_there_and_says_the_next_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
