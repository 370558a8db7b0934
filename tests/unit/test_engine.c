/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The engine with a real store, one turn at a time: what is asked, what is answered, what others are told. */

#include "engine_people.h"

TEST(an_identity_is_published_once_and_logs_in)
{
	struct people t;

	people_start(&t, 1, NULL);
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	assert_refused(&t.w, ALICE, CHAT_ERR_LOGIN_REFUSED); /* nothing is published yet */
	world_login(&t.w, ALICE, &t.alice);
	world_turn(&t.w, cmd_publish(&t.w, BOB, &t.alice)); /* the same again is fine: an answer was lost */
	assert_answered(&t.w, OUT_OK, BOB);
	people_end(&t);
}

TEST(another_identity_of_the_same_account_is_a_conflict)
{
	struct people t;
	struct person other;

	people_start(&t, 2, NULL);
	world_login(&t.w, ALICE, &t.alice);
	person_make(&t.w, &other, "alice");
	memcpy(other.id, t.alice.id, sizeof other.id);
	world_turn(&t.w, cmd_publish(&t.w, BOB, &other));
	assert_refused(&t.w, BOB, CHAT_ERR_CONFLICT);
	person_end(&other);
	people_end(&t);
}

TEST(a_changed_password_is_asked_for_once_more)
{
	struct people t;
	struct command *cmd;

	people_start(&t, 3, NULL);
	world_login(&t.w, ALICE, &t.alice);
	cmd = cmd_key(&t.w, BOB, &t.alice);
	cmd->key_proved.proof.b[0] = 1;
	world_turn(&t.w, cmd);
	assert_refused(&t.w, BOB, CHAT_ERR_PASSWORD_REQUIRED);
	people_end(&t);
}

TEST(a_locked_account_loses_its_sessions_and_cannot_log_in)
{
	struct people t;
	const struct person *all[] = {&t.alice, &t.bob, &t.carol};

	people_start(&t, 4, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_accounts(&t.w, all, ARRAY_LEN(all), "alice");
	assert_non_null(find_out(t.w.out, OUT_CLOSE, ALICE));
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	assert_refused(&t.w, ALICE, CHAT_ERR_LOGIN_REFUSED);
	world_accounts(&t.w, all, ARRAY_LEN(all), NULL);
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	assert_answered(&t.w, OUT_LOGIN_OK, ALICE);
	people_end(&t);
}

TEST(an_account_deleted_and_added_again_inherits_nothing)
{
	struct people t;
	const struct person *all[] = {&t.alice, &t.bob, &t.carol};
	struct person again;
	struct copy c;

	people_start(&t, 5, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	world_accounts(&t.w, all + 1, 2, NULL);
	assert_non_null(find_out(t.w.out, OUT_CLOSE, ALICE));
	person_make(&t.w, &again, "alice");
	all[0] = &again;
	world_accounts(&t.w, all, ARRAY_LEN(all), NULL);
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	assert_refused(&t.w, ALICE, CHAT_ERR_LOGIN_REFUSED);
	world_login(&t.w, ALICE, &again);
	world_turn(&t.w, cmd_resume(&t.w, ALICE, &c.room_id, 1, &digest_zero));
	assert_refused(&t.w, ALICE, CHAT_ERR_NO_ROOM);
	person_end(&again);
	copy_fini(&c);
	people_end(&t);
}

TEST(sessions_of_an_account_are_limited)
{
	struct people t;

	people_start(&t, 6, NULL);
	world_login(&t.w, world_conn(0, 0), &t.alice);
	for (uint32_t slot = 1; slot < 16; slot++) {
		world_turn(&t.w, cmd_key(&t.w, world_conn(0, slot), &t.alice));
		assert_answered(&t.w, OUT_LOGIN_OK, world_conn(0, slot));
	}
	world_turn(&t.w, cmd_key(&t.w, world_conn(0, 16), &t.alice));
	assert_refused(&t.w, world_conn(0, 16), CHAT_ERR_LIMIT);
	world_turn(&t.w, command_new(CMD_SESSION_CLOSE, world_conn(0, 3), 0, 0));
	world_turn(&t.w, cmd_key(&t.w, world_conn(0, 16), &t.alice));
	assert_answered(&t.w, OUT_LOGIN_OK, world_conn(0, 16));
	people_end(&t);
}

TEST(an_invitation_reaches_who_is_online_and_waits_for_who_is_not)
{
	struct people t;
	struct copy c;

	people_start(&t, 7, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	assert_true(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED));
	assert_true(was_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED));

	world_restart(&t.w); /* nobody is online, nothing is in memory */
	world_accounts(&t.w, (const struct person *[]){&t.alice, &t.bob, &t.carol}, 3, NULL);
	world_turn(&t.w, cmd_key(&t.w, BOB, &t.bob));
	world_turn(&t.w, command_new(CMD_GET_ROOMS, BOB, 7, 0));
	assert_true(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_ROOMS));
	resume_all(&t, &c, BOB);
	bob_joins(&t, &c);
	copy_fini(&c);
	people_end(&t);
}

TEST(messages_reach_members_whole_and_invitees_as_stubs)
{
	struct people t;
	const struct outcome *out;
	struct copy c;

	people_start(&t, 8, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	resume_all(&t, &c, BOB);
	out = find_out(t.w.out, OUT_SUBSCRIBED, BOB);
	assert_int_equal(out->subscribed.view->count, 0); /* invited: no messages */
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	for (uint16_t loop = 0; loop < WORLD_LOOPS; loop++) {
		out = find_out(t.w.out, OUT_ENTRIES, (struct conn_ref){.loop = loop});
		assert_non_null(out);
		assert_int_equal(out->entries.count, 1);
		assert_int_equal(out->entries.frames[0].seq, 4);
		assert_non_null(out->entries.frames[0].whole);
		assert_non_null(out->entries.frames[0].stub);
	}
	bob_joins(&t, &c);
	out = find_out(t.w.out, OUT_VIEW, BOB);
	assert_non_null(out);
	assert_true(view_allows(out->view.view, 4)); /* said after his invitation */
	assert_false(view_allows(out->view.view, 1));
	copy_fini(&c);
	people_end(&t);
}

TEST(a_rekey_brings_each_reader_its_own_wrap)
{
	struct people t;
	struct draft d = {0};
	const struct outcome *out;
	const struct wrap_list *wraps;
	struct copy c;

	people_start(&t, 9, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	out = find_out(t.w.out, OUT_ENTRIES, (struct conn_ref){.loop = 0});
	assert_non_null(out);
	wraps = out->entries.frames[0].wraps;
	assert_non_null(wraps);
	assert_int_equal(wraps->count, 2);
	assert_non_null(wrap_list_find(wraps, &t.alice.identity.member_id));
	assert_non_null(wrap_list_find(wraps, &t.bob.identity.member_id));
	assert_null(wrap_list_find(wraps, &t.carol.identity.member_id));
	copy_fini(&c);
	people_end(&t);
}

TEST(a_rekey_without_its_wraps_is_refused)
{
	struct people t;
	struct draft d = {0};
	struct command *cmd;
	struct copy c;

	people_start(&t, 10, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	draft_rekey(&t.w, &d, &t.alice, &c);
	cmd = draft_command(&t.w, &d, ALICE, &c.room_id);
	wrap_set_free_list(cmd->events.staged);
	cmd->events.staged = NULL;
	world_turn(&t.w, cmd);
	assert_refused(&t.w, ALICE, CHAT_ERR_BAD_WRAPS);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_refused_event_leaves_nothing_of_its_batch)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 11, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	world_login(&t.w, CAROL, &t.carol);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	draft_rekey(&t.w, &d, &t.alice, &c);
	d.bad[1] = true;
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_BAD_SIGNATURE);
	assert_int_equal(find_out(t.w.out, OUT_ERROR, ALICE)->error.index, 1);
	assert_null(find_out(t.w.out, OUT_ENTRIES, (struct conn_ref){.loop = 0}));
	world_turn(&t.w, cmd_resume(&t.w, CAROL, &c.room_id, 1, &digest_zero));
	assert_refused(&t.w, CAROL, CHAT_ERR_NO_ROOM); /* not invited after all */
	world_turn(&t.w, cmd_resume(&t.w, BOB, &c.room_id, 1, &digest_zero));
	assert_int_equal(assert_answered(&t.w, OUT_SUBSCRIBED, BOB)->subscribed.head_seq, 3);
	copy_fini(&c);
	people_end(&t);
}

TEST(who_is_kicked_gets_the_kick_and_nothing_after)
{
	struct people t;
	struct draft d = {0};
	const struct outcome *out;
	struct copy c;

	people_start(&t, 12, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	resume_all(&t, &c, BOB);
	bob_joins(&t, &c);
	draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	out = find_out(t.w.out, OUT_END, BOB);
	assert_non_null(out);
	assert_int_equal(out->end.end_seq, 5);
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	assert_null(find_out(t.w.out, OUT_ENTRIES, (struct conn_ref){.loop = 1})); /* only Bob was there */
	world_turn(&t.w, cmd_resume(&t.w, BOB, &c.room_id, 1, &digest_zero));
	assert_refused(&t.w, BOB, CHAT_ERR_NO_ROOM);
	copy_fini(&c);
	people_end(&t);
}

/* Every request about a room, by somebody who is not in it. */
static struct command *
room_request(struct people *t, enum command_type type, const struct digest *room_id)
{
	struct command *cmd;
	struct copy aside;
	struct draft d = {0};

	if (type == CMD_POST_EVENTS) {
		/* Carol's own event, of some other room. */
		copy_init(&t->w, &aside);
		draft_create(&t->w, &d, &t->carol, &aside);
		cmd = draft_command(&t->w, &d, CAROL, room_id);
		copy_fini(&aside);
		return cmd;
	}
	if (type == CMD_GET_WRAPS || type == CMD_ASK_REWRAP) {
		cmd = command_new(type, CAROL, ++t->w.next_id, sizeof(struct digest));
		cmd->epochs.epoch_ids = (struct digest *)(void *)cmd->body;
		memset(cmd->body, 7, cmd->body_len);
		cmd->epochs.count = 1;
	} else if (type == CMD_POST_MESSAGE) {
		struct message_header header = {.sender = t->carol.identity.member_id, .counter = 1};

		return cmd_message_of(&t->w, CAROL, &t->carol, room_id, &header);
	} else {
		cmd = command_new(type, CAROL, ++t->w.next_id, 0);
		if (type == CMD_RESUME)
			cmd->resume.next_seq = 1;
		if (type == CMD_GET_HISTORY) {
			cmd->history.before_seq = 2;
			cmd->history.limit = 1;
		}
	}
	cmd->room_id = *room_id;
	return cmd;
}

TEST(no_request_tells_a_stranger_that_a_room_exists)
{
	static const enum command_type types[] = {CMD_RESUME, CMD_GET_HISTORY, CMD_GET_ROSTER, CMD_GET_PREFIX,
	    CMD_GET_WRAPS, CMD_POST_EVENTS, CMD_POST_MESSAGE, CMD_POST_REWRAPS, CMD_ASK_REWRAP,
	    CMD_SET_CURSOR, CMD_OFFER_ENTRIES};
	struct people t;
	struct copy c;
	struct digest nowhere;

	people_start(&t, 13, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	world_login(&t.w, CAROL, &t.carol);
	room_with_bob(&t, &c);
	t.w.random.fill(t.w.random.ctx, nowhere.b, sizeof nowhere.b);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct outcome answer[2];

		for (int there = 0; there < 2; there++) {
			world_turn(&t.w, room_request(&t, types[i], there ? &c.room_id : &nowhere));
			assert_refused(&t.w, CAROL, CHAT_ERR_NO_ROOM);
			assert_null(t.w.out->next); /* and nobody else hears of it */
			answer[there] = *t.w.out;
			answer[there].request_id = 0;
			answer[there].next = NULL;
		}
		assert_memory_equal(&answer[0], &answer[1], sizeof answer[0]);
	}
	copy_fini(&c);
	people_end(&t);
}

TEST(commands_that_only_look_see_what_is_committed)
{
	struct people t;
	struct copy c;

	people_start(&t, 14, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	world_begin(&t.w);
	engine_apply(t.w.engine, cmd_message(&t.w, ALICE, &t.alice, &c));
	t.w.now.unix_ms--; /* cmd_message() counts on the turn that begins after it */
	engine_apply(t.w.engine, cmd_resume(&t.w, BOB, &c.room_id, 1, &digest_zero));
	world_commit(&t.w);
	assert_int_equal(assert_answered(&t.w, OUT_SUBSCRIBED, BOB)->subscribed.head_seq, 4);
	copy_fini(&c);
	people_end(&t);
}

TEST(what_was_acknowledged_survives_a_full_disk_and_the_rest_is_refused)
{
	struct store_options small = {.max_pages = 120};
	struct people t;
	struct copy c;
	uint64_t acknowledged = 3;
	bool refused = false;

	people_start(&t, 15, &small);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	for (int i = 0; i < 20000 && !refused; i++) {
		world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c));
		refused = find_out(t.w.out, OUT_ERROR, ALICE) != NULL;
		if (refused)
			assert_refused(&t.w, ALICE, CHAT_ERR_STORE_UNAVAILABLE);
		else
			acknowledged++;
	}
	assert_true(refused);
	assert_true(engine_is_cautious(t.w.engine));
	/* Reading goes on. */
	world_turn(&t.w, cmd_resume(&t.w, BOB, &c.room_id, 1, &digest_zero));
	assert_int_equal(assert_answered(&t.w, OUT_SUBSCRIBED, BOB)->subscribed.head_seq, acknowledged);

	/* Space is back: the room goes on where it was. */
	t.w.options = (struct store_options){0};
	world_restart(&t.w);
	world_accounts(&t.w, (const struct person *[]){&t.alice, &t.bob, &t.carol}, 3, NULL);
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	world_turn(&t.w, cmd_resume(&t.w, ALICE, &c.room_id, 1, &digest_zero));
	assert_int_equal(assert_answered(&t.w, OUT_SUBSCRIBED, ALICE)->subscribed.head_seq, acknowledged);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_wrong_hash_is_history_changed)
{
	struct people t;
	struct copy c;
	struct digest wrong = {{9}};

	people_start(&t, 16, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	world_turn(&t.w, cmd_resume(&t.w, ALICE, &c.room_id, 3, &wrong));
	assert_refused(&t.w, ALICE, CHAT_ERR_HISTORY_CHANGED);
	world_turn(&t.w, cmd_resume(&t.w, ALICE, &c.room_id, 5, &wrong));
	assert_refused(&t.w, ALICE, CHAT_ERR_HISTORY_CHANGED);
	assert_int_equal(find_out(t.w.out, OUT_ERROR, ALICE)->error.number, 3);
	world_turn(&t.w, cmd_resume(&t.w, ALICE, &c.room_id, 4, &roster_state(c.roster)->head.L));
	assert_answered(&t.w, OUT_SUBSCRIBED, ALICE);
	copy_fini(&c);
	people_end(&t);
}

TEST(the_rekey_is_lent_to_one_and_then_to_another)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 17, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	resume_all(&t, &c, BOB);
	bob_joins(&t, &c);
	world_login(&t.w, CAROL, &t.carol);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol); /* without its rekey */
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_true(was_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED));
	assert_false(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED));
	assert_int_equal(engine_next_deadline_ms(t.w.engine), t.w.now.mono_ms + REKEY_LEASE_MS);
	t.w.now.mono_ms += REKEY_LEASE_MS;
	world_turn(&t.w, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
	assert_true(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED));
	/* Bob is gone before he could: Alice again, at once. */
	world_turn(&t.w, command_new(CMD_SESSION_CLOSE, BOB, 0, 0));
	assert_true(was_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED));
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	copy_fini(&c);
	people_end(&t);
}

TEST(voluntary_rekeys_are_three_and_then_one_a_minute)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 18, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_login(&t.w, BOB, &t.bob);
	room_with_bob(&t, &c);
	for (int i = 0; i < REKEY_BURST; i++) {
		draft_rekey(&t.w, &d, &t.alice, &c);
		world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
		assert_answered(&t.w, OUT_POSTED, ALICE);
	}
	roster_begin(c.roster);
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_RATE);
	assert_in_range(find_out(t.w.out, OUT_ERROR, ALICE)->error.retry_after_ms, 1, 60000);
	roster_rollback(c.roster);
	t.w.now.mono_ms += 60000;
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_identity_is_published_once_and_logs_in),
	    cmocka_unit_test(another_identity_of_the_same_account_is_a_conflict),
	    cmocka_unit_test(a_changed_password_is_asked_for_once_more),
	    cmocka_unit_test(a_locked_account_loses_its_sessions_and_cannot_log_in),
	    cmocka_unit_test(an_account_deleted_and_added_again_inherits_nothing),
	    cmocka_unit_test(sessions_of_an_account_are_limited),
	    cmocka_unit_test(an_invitation_reaches_who_is_online_and_waits_for_who_is_not),
	    cmocka_unit_test(messages_reach_members_whole_and_invitees_as_stubs),
	    cmocka_unit_test(a_rekey_brings_each_reader_its_own_wrap),
	    cmocka_unit_test(a_rekey_without_its_wraps_is_refused),
	    cmocka_unit_test(a_refused_event_leaves_nothing_of_its_batch),
	    cmocka_unit_test(who_is_kicked_gets_the_kick_and_nothing_after),
	    cmocka_unit_test(no_request_tells_a_stranger_that_a_room_exists),
	    cmocka_unit_test(commands_that_only_look_see_what_is_committed),
	    cmocka_unit_test(what_was_acknowledged_survives_a_full_disk_and_the_rest_is_refused),
	    cmocka_unit_test(a_wrong_hash_is_history_changed),
	    cmocka_unit_test(the_rekey_is_lent_to_one_and_then_to_another),
	    cmocka_unit_test(voluntary_rekeys_are_three_and_then_one_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
