/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The engine where a commit fails: every command of the turn is answered `store_unavailable`, nobody is told
 * of anything that is not durable, and what the engine remembers is what the store has.
 */

#include "engine_people.h"
#include "fault_vfs.h"

static void
faulty_start(struct people *t, uint64_t seed)
{
	static const struct store_options options = {.vfs = "fault"};

	fault_vfs_register();
	(void)fault_disarm(); /* of a test that failed */
	people_start(t, seed, &options);
	people_login(t);
}

/* Commits the turn that has begun, with a disk that is full. */
static void
failing_commit(struct people *t)
{
	fault_arm(FAULT_WRITE, 0);
	world_commit(&t->w);
	assert_true(fault_disarm());
	assert_true(engine_is_cautious(t->w.engine));
}

static void
failing_turn(struct people *t, struct command *cmd)
{
	world_begin(&t->w);
	engine_apply(t->w.engine, cmd);
	failing_commit(t);
}

TEST(a_repeat_of_what_was_not_stored_is_not_called_already_there)
{
	struct people t;
	struct message_header header;
	struct command *first, *again;
	struct copy c;

	faulty_start(&t, 1);
	room_with_bob(&t, &c);
	header = header_next(&t.w, &t.alice, &c);
	first = cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header);
	again = cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header);
	world_begin(&t.w);
	engine_apply(t.w.engine, first);
	engine_apply(t.w.engine, again);
	failing_commit(&t);
	for (const struct outcome *out = t.w.out; out != NULL; out = out->next) {
		assert_int_equal(out->type, OUT_ERROR);
		assert_err(out->error.err, CHAT_ERR_STORE_UNAVAILABLE);
		assert_false(out->error.has_current);
		assert_int_equal(out->error.number, 0);
	}
	world_turn(&t.w, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
	assert_int_equal(assert_answered(&t.w, OUT_POSTED, ALICE)->posted.first_seq, 4);
	assert_false(engine_is_cautious(t.w.engine));
	copy_fini(&c);
	people_end(&t);
}

static struct command *
copy_of_create(struct people *t, const struct command *from)
{
	struct command *cmd = command_new(CMD_POST_EVENTS, from->from, ++t->w.next_id, from->body_len);
	size_t at = from->events.count * sizeof(struct command_event);

	assert_int_equal(from->events.count, 1);
	memcpy(cmd->body, from->body, from->body_len);
	cmd->events.events = (struct command_event *)(void *)cmd->body;
	cmd->events.events[0].wire.data = cmd->body + at;
	cmd->events.count = 1;
	return cmd;
}

TEST(a_room_that_was_not_stored_can_be_created_by_the_same_event)
{
	struct people t;
	struct draft d = {0};
	struct command *create, *again, *later;
	struct copy c;

	faulty_start(&t, 2);
	copy_init(&t.w, &c);
	draft_create(&t.w, &d, &t.alice, &c);
	create = draft_command(&t.w, &d, ALICE, NULL);
	again = copy_of_create(&t, create);
	later = copy_of_create(&t, create);
	world_begin(&t.w);
	engine_apply(t.w.engine, create);
	engine_apply(t.w.engine, again);
	failing_commit(&t);
	for (const struct outcome *out = t.w.out; out != NULL; out = out->next)
		assert_err(out->error.err, CHAT_ERR_STORE_UNAVAILABLE);
	again = copy_of_create(&t, later);
	world_begin(&t.w);
	engine_apply(t.w.engine, later);
	engine_apply(t.w.engine, again);
	world_commit(&t.w);
	assert_int_equal(assert_answered(&t.w, OUT_POSTED, ALICE)->posted.first_seq, 1);
	assert_refused(&t.w, ALICE, CHAT_ERR_ALREADY); /* the second of the two */
	copy_fini(&c);
	people_end(&t);
}

TEST(who_was_invited_by_a_turn_that_failed_is_not)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	faulty_start(&t, 3);
	room_with_bob(&t, &c);
	roster_begin(c.roster);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	draft_rekey(&t.w, &d, &t.alice, &c);
	failing_turn(&t, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_STORE_UNAVAILABLE);
	assert_false(was_pushed(&t.w, CAROL, CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED));
	roster_rollback(c.roster);
	world_turn(&t.w, cmd_resume(&t.w, CAROL, &c.room_id, 1, &digest_zero));
	assert_refused(&t.w, CAROL, CHAT_ERR_NO_ROOM);
	bob_joins(&t, &c);
	assert_int_equal(head_of(&t, &c.room_id), 4);
	copy_fini(&c);
	people_end(&t);
}

static struct command *
tick(void)
{
	return command_new(CMD_TICK, (struct conn_ref){0}, 0, 0);
}

TEST(a_locked_account_loses_its_sessions_though_nothing_can_be_stored)
{
	struct people t;
	const struct person *all[] = {&t.alice, &t.bob, &t.carol};

	faulty_start(&t, 5);
	fault_arm(FAULT_WRITE, 0);
	world_accounts(&t.w, all + 1, 2, "bob"); /* and Alice is not in the file any more */
	assert_true(fault_disarm());
	assert_non_null(find_out(t.w.out, OUT_CLOSE, ALICE));
	assert_non_null(find_out(t.w.out, OUT_CLOSE, BOB));
	assert_null(find_out(t.w.out, OUT_CLOSE, CAROL));
	people_end(&t);
}

TEST(a_deleted_account_is_retired_when_the_store_can)
{
	struct people t;
	const struct person *all[] = {&t.alice, &t.bob, &t.carol};
	struct person again;

	faulty_start(&t, 6);
	fault_arm(FAULT_WRITE, 0);
	world_accounts(&t.w, all + 1, 2, NULL);
	assert_true(engine_next_deadline_ms(t.w.engine) <= t.w.now.mono_ms + 1000);
	t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
	world_turn(&t.w, tick());
	assert_true(fault_disarm());
	assert_true(engine_next_deadline_ms(t.w.engine) > t.w.now.mono_ms); /* not at once again */
	t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
	world_turn(&t.w, tick());
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	/* The line comes back without an id of its own, as another program would write it: nobody could tell
	 * the two apart if the first had not been retired. */
	person_make(&t.w, &again, "alice");
	memcpy(again.id, t.alice.id, sizeof again.id);
	all[0] = &again;
	world_accounts(&t.w, all, 3, NULL);
	world_login(&t.w, ALICE, &again);
	person_end(&again);
	people_end(&t);
}

TEST(an_identity_that_waits_to_be_retired_is_nobodys)
{
	struct people t;
	const struct person *all[] = {&t.alice, &t.bob, &t.carol};
	struct person again;
	struct draft d = {0};
	struct command *cmd;
	struct copy c;

	faulty_start(&t, 12);
	room_with_bob(&t, &c);
	person_make(&t.w, &again, "carol");
	all[2] = &again;
	fault_arm(FAULT_WRITE, 0);
	world_accounts(&t.w, all, 3, NULL); /* another Carol; the first cannot be retired yet */
	assert_true(fault_disarm());
	world_turn(&t.w, cmd_key(&t.w, CAROL, &t.carol));
	assert_refused(&t.w, CAROL, CHAT_ERR_LOGIN_REFUSED);
	cmd = command_new(CMD_GET_BAG, CAROL, ++t.w.next_id, 5);
	memcpy(cmd->body, "carol", 5);
	cmd->account.account = BYTES(cmd->body, 5);
	world_turn(&t.w, cmd);
	assert_refused(&t.w, CAROL, CHAT_ERR_NO_IDENTITY);
	cmd = command_new(CMD_GET_CARD, BOB, ++t.w.next_id, 5);
	memcpy(cmd->body, "carol", 5);
	cmd->get_card.account = BYTES(cmd->body, 5);
	world_turn(&t.w, cmd);
	assert_refused(&t.w, BOB, CHAT_ERR_NO_IDENTITY);
	cmd = command_new(CMD_PASSWORD_PROVED, CAROL, ++t.w.next_id, 5 + strlen(again.id));
	memcpy(cmd->body, "carol", 5);
	memcpy(cmd->body + 5, again.id, strlen(again.id));
	cmd->password_proved.account = BYTES(cmd->body, 5);
	cmd->password_proved.account_id = BYTES(cmd->body + 5, strlen(again.id));
	world_turn(&t.w, cmd);
	assert_false(assert_answered(&t.w, OUT_PASSWORD_OK, CAROL)->password_ok.has_identity);
	roster_begin(c.roster);
	draft_invite(&t.w, &d, &t.alice, &c, &t.carol);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_refused(&t.w, ALICE, CHAT_ERR_CONFLICT);
	roster_rollback(c.roster);
	person_end(&again);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_new_password_is_not_proved_before_it_is_stored)
{
	struct people t;
	struct command *cmd;

	faulty_start(&t, 7);
	cmd = command_new(CMD_PASSWORD_CHANGED, ALICE, ++t.w.next_id, 0);
	cmd->password_changed.proof.b[0] = 1;
	failing_turn(&t, cmd);
	assert_refused(&t.w, ALICE, CHAT_ERR_STORE_UNAVAILABLE);
	cmd = cmd_key(&t.w, world_conn(0, 9), &t.alice);
	cmd->key_proved.proof.b[0] = 1;
	world_turn(&t.w, cmd);
	assert_refused(&t.w, world_conn(0, 9), CHAT_ERR_PASSWORD_REQUIRED);
	people_end(&t);
}

static struct command *
cmd_cursor(struct people *t, struct conn_ref from, const struct copy *c, uint64_t seq)
{
	struct command *cmd = command_new(CMD_SET_CURSOR, from, ++t->w.next_id, 0);

	cmd->room_id = c->room_id;
	cmd->cursor.seq = seq;
	return cmd;
}

static uint64_t
stored_cursor(struct people *t)
{
	const Chat__V1__ServerFrame *frame;
	struct arena arena;
	uint64_t seq;

	world_restart(&t->w);
	people_accounts(t);
	world_turn(&t->w, cmd_key(&t->w, ALICE, &t->alice));
	world_turn(&t->w, command_new(CMD_GET_ROOMS, ALICE, ++t->w.next_id, 0));
	frame = get_pushed(&t->w, ALICE, CHAT__V1__SERVER_FRAME__BODY_ROOMS, &arena);
	assert_int_equal(frame->rooms->n_room, 1);
	seq = frame->rooms->room[0]->read_seq;
	arena_fini(&arena);
	return seq;
}

TEST(a_cursor_that_could_not_be_written_is_written_later)
{
	struct people t;
	struct copy c;

	faulty_start(&t, 8);
	room_with_bob(&t, &c);
	world_turn(&t.w, cmd_cursor(&t, ALICE, &c, 2));
	t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
	failing_turn(&t, tick());
	assert_true(engine_next_deadline_ms(t.w.engine) > t.w.now.mono_ms); /* not at once again */
	t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
	world_turn(&t.w, tick());
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	assert_int_equal(stored_cursor(&t), 2);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_cursor_that_moves_while_it_is_written_is_written_again)
{
	struct people t;
	struct copy c;

	faulty_start(&t, 9);
	room_with_bob(&t, &c);
	world_turn(&t.w, cmd_cursor(&t, ALICE, &c, 2));
	t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
	world_begin(&t.w);
	engine_apply(t.w.engine, tick());
	engine_apply(t.w.engine, cmd_cursor(&t, ALICE, &c, 3));
	world_commit(&t.w);
	t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
	world_turn(&t.w, tick());
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	assert_int_equal(stored_cursor(&t), 3);
	copy_fini(&c);
	people_end(&t);
}

TEST(what_was_not_stored_does_not_count_against_a_rate)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	faulty_start(&t, 10);
	room_with_bob(&t, &c);
	person_next_card(&t.w, &t.alice, false);
	failing_turn(&t, cmd_card(&t.w, ALICE, &t.alice));
	world_turn(&t.w, cmd_card(&t.w, ALICE, &t.alice));
	assert_answered(&t.w, OUT_OK, ALICE);
	world_turn(&t.w, cmd_card(&t.w, ALICE, &t.alice)); /* the same again is fine at any time */
	assert_answered(&t.w, OUT_OK, ALICE);
	person_next_card(&t.w, &t.alice, false);
	world_turn(&t.w, cmd_card(&t.w, ALICE, &t.alice));
	assert_refused(&t.w, ALICE, CHAT_ERR_RATE);

	resume_all(&t, &c, ALICE); /* so that the room stays in memory */
	for (int i = 0; i < REKEY_BURST + 1; i++) {
		roster_begin(c.roster);
		draft_rekey(&t.w, &d, &t.alice, &c);
		failing_turn(&t, draft_command(&t.w, &d, ALICE, &c.room_id));
		roster_rollback(c.roster);
	}
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_batch_that_is_refused_does_not_count_against_a_rate)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	faulty_start(&t, 11);
	room_with_bob(&t, &c);
	for (int i = 0; i < REKEY_BURST + 1; i++) {
		roster_begin(c.roster);
		draft_rekey(&t.w, &d, &t.alice, &c);
		draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
		d.bad[1] = true;
		world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
		assert_refused(&t.w, ALICE, CHAT_ERR_BAD_SIGNATURE);
		roster_rollback(c.roster);
	}
	draft_rekey(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_answered(&t.w, OUT_POSTED, ALICE);
	copy_fini(&c);
	people_end(&t);
}

/* A loop does not ask before it was told of the session; if one did, it is nobody who asks. */
TEST(what_came_before_the_session_is_not_answered)
{
	struct people t;
	struct command *cmd;

	faulty_start(&t, 4);
	world_turn(&t.w, command_new(CMD_SESSION_CLOSE, ALICE, 0, 0));
	cmd = command_new(CMD_PUT_BAG, ALICE, ++t.w.next_id, 64);
	memset(cmd->body, 0, 64);
	cmd->body[0] = 1;
	cmd->body[8] = 2;
	cmd->blob.blob = BYTES(cmd->body, 64);
	cmd->blob.expected_version = 1;
	world_begin(&t.w);
	engine_apply(t.w.engine, cmd_key(&t.w, ALICE, &t.alice));
	engine_apply(t.w.engine, cmd);
	world_commit(&t.w);
	assert_answered(&t.w, OUT_LOGIN_OK, ALICE);
	assert_null(t.w.out->next);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_repeat_of_what_was_not_stored_is_not_called_already_there),
	    cmocka_unit_test(a_room_that_was_not_stored_can_be_created_by_the_same_event),
	    cmocka_unit_test(who_was_invited_by_a_turn_that_failed_is_not),
	    cmocka_unit_test(a_locked_account_loses_its_sessions_though_nothing_can_be_stored),
	    cmocka_unit_test(a_deleted_account_is_retired_when_the_store_can),
	    cmocka_unit_test(an_identity_that_waits_to_be_retired_is_nobodys),
	    cmocka_unit_test(a_new_password_is_not_proved_before_it_is_stored),
	    cmocka_unit_test(a_cursor_that_could_not_be_written_is_written_later),
	    cmocka_unit_test(a_cursor_that_moves_while_it_is_written_is_written_again),
	    cmocka_unit_test(what_was_not_stored_does_not_count_against_a_rate),
	    cmocka_unit_test(a_batch_that_is_refused_does_not_count_against_a_rate),
	    cmocka_unit_test(what_came_before_the_session_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
