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
	    cmocka_unit_test(what_came_before_the_session_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
