/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts: who is online, who waits for whose card, and that what is remembered of them is bounded. */

#include "engine_people.h"

#include <stdio.h>

static struct command *
cmd_get_card(struct people *t, struct conn_ref from, const char *name)
{
	struct command *cmd = command_new(CMD_GET_CARD, from, ++t->w.next_id, strlen(name));

	memcpy(cmd->body, name, strlen(name));
	cmd->get_card.account = BYTES(cmd->body, cmd->body_len);
	cmd->get_card.watch = true;
	return cmd;
}

/* ---- waiting for a card ---- */

TEST(who_waits_for_a_card_is_told_once)
{
	struct people t;
	struct conn_ref other = world_conn(1, 9);

	people_start(&t, 1, NULL);
	world_login(&t.w, ALICE, &t.alice);
	world_turn(&t.w, cmd_key(&t.w, other, &t.alice));
	world_login(&t.w, BOB, &t.bob);
	for (int i = 0; i < 3; i++) {
		world_turn(&t.w, cmd_get_card(&t, ALICE, "carol"));
		assert_refused(&t.w, ALICE, CHAT_ERR_NO_IDENTITY);
	}
	world_turn(&t.w, cmd_get_card(&t, other, "carol"));
	world_turn(&t.w, cmd_get_card(&t, BOB, "carol"));
	world_turn(&t.w, command_new(CMD_SESSION_CLOSE, other, 0, 0));
	world_turn(&t.w, cmd_publish(&t.w, CAROL, &t.carol));
	assert_int_equal(count_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED), 1);
	assert_int_equal(count_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED), 1);
	assert_int_equal(count_pushed(&t.w, other, CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED), 0);
	people_end(&t);
}

TEST(a_connection_waits_for_so_many_cards_and_no_more)
{
	struct people t;
	struct person people[WATCHES_PER_CONN + 1];
	const struct person *all[ARRAY_LEN(people) + 1];
	size_t told = 0;

	people_start(&t, 2, NULL);
	all[0] = &t.alice;
	for (size_t i = 0; i < ARRAY_LEN(people); i++) {
		char name[16];

		snprintf(name, sizeof name, "user%zu", i);
		person_make(&t.w, &people[i], name);
		all[i + 1] = &people[i];
	}
	world_accounts(&t.w, all, ARRAY_LEN(all), NULL);
	world_login(&t.w, ALICE, &t.alice);
	for (size_t i = 0; i < ARRAY_LEN(people); i++)
		world_turn(&t.w, cmd_get_card(&t, ALICE, people[i].identity.account.s));
	for (size_t i = 0; i < ARRAY_LEN(people); i++) {
		world_turn(&t.w, cmd_publish(&t.w, BOB, &people[i]));
		told += count_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED);
		person_end(&people[i]);
	}
	assert_int_equal(told, WATCHES_PER_CONN);
	people_end(&t);
}

/* ---- who is online ---- */

static struct command *
cmd_who(struct people *t, struct conn_ref from, const char *after)
{
	struct command *cmd = command_new(CMD_WHO, from, ++t->w.next_id, strlen(after));

	if (cmd->body_len > 0)
		memcpy(cmd->body, after, cmd->body_len);
	cmd->page.after = BYTES(cmd->body, cmd->body_len);
	return cmd;
}

TEST(who_is_online_is_told_by_name_and_by_page)
{
	enum { COUNT = 1203 };
	struct people t;
	struct person *people = calloc(COUNT, sizeof *people);
	const struct person **all = calloc(COUNT, sizeof(struct person *));
	char after[16] = "", expected[16];
	size_t seen = 0;
	bool more = true;

	assert_true(people != NULL && all != NULL);
	people_start(&t, 3, NULL);
	engine_free(t.w.engine);
	t.w.config.slots_per_loop = COUNT;
	assert_ok(engine_new(&t.w.config, t.w.store, &t.w.engine));
	for (size_t i = 0; i < COUNT; i++) {
		char name[16];

		snprintf(name, sizeof name, "u%04zu", i);
		person_make(&t.w, &people[i], name);
		all[i] = &people[i];
	}
	world_accounts(&t.w, all, COUNT, NULL);
	/* In an order that has nothing to do with their names: 7 has no factor of 1203. */
	for (size_t i = 0; i < COUNT; i++)
		world_login(&t.w, world_conn((uint16_t)(i % 2), (uint32_t)i), &people[i * 7 % COUNT]);
	/* The fourth of each ten goes; the fifth has a second session, of which the first goes. */
	for (size_t i = 0; i < COUNT; i++) {
		struct conn_ref conn = world_conn((uint16_t)(i % 2), (uint32_t)i);
		const struct person *p = &people[i * 7 % COUNT];
		size_t which = i * 7 % COUNT % 10;

		if (which == 5)
			world_turn(&t.w, cmd_key(&t.w, world_conn((uint16_t)(1 - i % 2), (uint32_t)i), p));
		if (which == 4 || which == 5)
			world_turn(&t.w, command_new(CMD_SESSION_CLOSE, conn, 0, 0));
	}
	while (more) {
		const Chat__V1__ServerFrame *frame;
		struct arena arena;

		world_turn(&t.w, cmd_who(&t, world_conn(0, 0), after));
		frame = get_pushed(&t.w, world_conn(0, 0), CHAT__V1__SERVER_FRAME__BODY_WHO_ONLINE, &arena);
		assert_true(frame->who_online->n_account > 0);
		for (size_t i = 0; i < frame->who_online->n_account; i++) {
			seen += seen % 10 == 4;
			snprintf(expected, sizeof expected, "u%04zu", seen++);
			assert_string_equal(frame->who_online->account[i]->account, expected);
			assert_int_equal(frame->who_online->account[i]->sessions, 1);
		}
		snprintf(after, sizeof after, "%s", expected);
		more = frame->who_online->more;
		assert_true(!more || frame->who_online->n_account == 250);
		arena_fini(&arena);
	}
	assert_int_equal(seen, COUNT);
	world_turn(&t.w, cmd_who(&t, world_conn(0, 0), "No Name"));
	assert_refused(&t.w, world_conn(0, 0), CHAT_ERR_MALFORMED);
	for (size_t i = 0; i < COUNT; i++)
		person_end(&people[i]);
	free(people);
	free(all);
	people_end(&t);
}

/* ---- what is remembered ---- */

/* A number from `chatctl status`. */
static uint64_t
status_number(struct people *t, const char *key)
{
	struct command *cmd = command_new(CMD_STATUS, (struct conn_ref){0}, 0, 0);
	const struct outcome *out;
	const char *at;
	uint64_t n;

	world_turn(&t->w, cmd);
	out = find_out(t->w.out, OUT_STATUS, (struct conn_ref){0});
	assert_non_null(out);
	assert_ok(out->status.err);
	at = memmem(out->status.text.data, out->status.text.len, key, strlen(key));
	assert_non_null(at);
	n = strtoull(at + strlen(key), NULL, 10);
	return n;
}

TEST(accounts_that_nobody_uses_are_forgotten)
{
	struct people t;
	struct person p;
	const struct person *all[IDLE_ACCOUNTS_KEPT + 8];
	char(*names)[16] = calloc(ARRAY_LEN(all), sizeof *names);
	struct person *people = calloc(ARRAY_LEN(all), sizeof *people);

	assert_true(names != NULL && people != NULL);
	people_start(&t, 4, NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		snprintf(names[i], sizeof names[i], "u%zu", i);
		person_make(&t.w, &people[i], names[i]);
		all[i] = &people[i];
	}
	world_accounts(&t.w, all, ARRAY_LEN(all), NULL);
	world_begin(&t.w);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		engine_apply(t.w.engine, cmd_publish(&t.w, BOB, all[i]));
	world_commit(&t.w);
	/* The first is used again, and one has a session: they stay. */
	world_turn(&t.w, cmd_key(&t.w, ALICE, &people[9]));
	assert_answered(&t.w, OUT_LOGIN_OK, ALICE);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		world_turn(&t.w, cmd_get_card(&t, ALICE, names[i]));
		assert_true(was_pushed(&t.w, ALICE, CHAT__V1__SERVER_FRAME__BODY_CARD));
	}
	assert_int_equal(status_number(&t, "accounts_in_memory="), IDLE_ACCOUNTS_KEPT + 1);
	p = people[0];
	world_turn(&t.w, cmd_key(&t.w, BOB, &p)); /* loaded again */
	assert_answered(&t.w, OUT_LOGIN_OK, BOB);
	assert_int_equal(status_number(&t, "accounts_in_memory="), IDLE_ACCOUNTS_KEPT + 2);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		person_end(&people[i]);
	free(names);
	free(people);
	people_end(&t);
}

TEST(rooms_that_nobody_follows_are_forgotten)
{
	struct people t;
	struct draft d = {0};
	struct copy *copies = calloc(IDLE_ROOMS_KEPT + 8, sizeof *copies);

	assert_non_null(copies);
	people_start(&t, 5, NULL);
	t.w.config.rooms_per_account = IDLE_ROOMS_KEPT + 8;
	engine_reconfigure(t.w.engine, &t.w.config);
	people_login(&t);
	for (size_t i = 0; i < IDLE_ROOMS_KEPT + 8; i++) {
		copy_init(&t.w, &copies[i]);
		draft_create(&t.w, &d, &t.alice, &copies[i]);
		world_turn(&t.w, draft_command(&t.w, &d, ALICE, NULL));
		assert_answered(&t.w, OUT_POSTED, ALICE);
		if (i == 0)
			resume_all(&t, &copies[0], ALICE);
	}
	assert_int_equal(status_number(&t, "rooms_in_memory="), IDLE_ROOMS_KEPT + 1);
	/* Followed all the time; loaded again. */
	for (size_t i = 0; i < 2; i++) {
		draft_rekey(&t.w, &d, &t.alice, &copies[i]);
		world_turn(&t.w, draft_command(&t.w, &d, ALICE, &copies[i].room_id));
		assert_int_equal(assert_answered(&t.w, OUT_POSTED, ALICE)->posted.first_seq, 2);
	}
	for (size_t i = 0; i < IDLE_ROOMS_KEPT + 8; i++)
		copy_fini(&copies[i]);
	free(copies);
	people_end(&t);
}

/* Others make rooms and put somebody in and out of them: that leaves nothing. */
TEST(rooms_that_an_account_is_out_of_are_not_counted)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 6, NULL);
	t.w.config.rooms_per_account = 2;
	engine_reconfigure(t.w.engine, &t.w.config);
	people_login(&t);
	copy_init(&t.w, &c);
	draft_create(&t.w, &d, &t.alice, &c);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, NULL));
	for (int i = 0; i < 5; i++) {
		draft_invite(&t.w, &d, &t.alice, &c, &t.bob);
		world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
		assert_answered(&t.w, OUT_POSTED, ALICE);
		assert_true(was_pushed(&t.w, BOB, CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED));
		draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
		world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
		assert_answered(&t.w, OUT_POSTED, ALICE);
	}
	world_turn(&t.w, cmd_resume(&t.w, BOB, &c.room_id, 1, &digest_zero));
	assert_refused(&t.w, BOB, CHAT_ERR_NO_ROOM);
	copy_fini(&c);
	people_end(&t);
}

/* ---- read cursors ---- */

static struct command *
cmd_cursor(struct people *t, struct conn_ref from, const struct copy *c, uint64_t seq)
{
	struct command *cmd = command_new(CMD_SET_CURSOR, from, ++t->w.next_id, 0);

	cmd->room_id = c->room_id;
	cmd->cursor.seq = seq;
	return cmd;
}

static uint64_t
cursor_of(struct people *t, struct conn_ref conn)
{
	const Chat__V1__ServerFrame *frame;
	struct arena arena;
	uint64_t seq;

	world_turn(&t->w, command_new(CMD_GET_ROOMS, conn, ++t->w.next_id, 0));
	frame = get_pushed(&t->w, conn, CHAT__V1__SERVER_FRAME__BODY_ROOMS, &arena);
	assert_int_equal(frame->rooms->n_room, 1);
	seq = frame->rooms->room[0]->read_seq;
	arena_fini(&arena);
	return seq;
}

TEST(a_cursor_is_of_a_stay_and_begins_anew_with_the_next)
{
	struct people t;
	struct draft d = {0};
	struct copy c;

	people_start(&t, 7, NULL);
	people_login(&t);
	room_of_three(&t, &c);
	world_turn(&t.w, cmd_cursor(&t, BOB, &c, 4));
	assert_int_equal(cursor_of(&t, BOB), 4);
	draft_kick(&t.w, &d, &t.alice, &c, &t.bob);
	draft_invite(&t.w, &d, &t.alice, &c, &t.bob);
	world_turn(&t.w, draft_command(&t.w, &d, ALICE, &c.room_id));
	assert_int_equal(cursor_of(&t, BOB), 0);
	/* What was to be written of the old one is not. */
	t.w.now.mono_ms += 10000;
	world_turn(&t.w, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
	world_restart(&t.w);
	people_accounts(&t);
	world_turn(&t.w, cmd_key(&t.w, BOB, &t.bob));
	assert_int_equal(cursor_of(&t, BOB), 0);
	copy_fini(&c);
	people_end(&t);
}

TEST(cursors_are_written_when_nobody_is_left_to_move_them)
{
	struct people t;
	struct copy c;

	people_start(&t, 8, NULL);
	people_login(&t);
	room_of_three(&t, &c);
	world_turn(&t.w, cmd_cursor(&t, ALICE, &c, 3));
	world_turn(&t.w, cmd_cursor(&t, BOB, &c, 4));
	assert_true(engine_next_deadline_ms(t.w.engine) > t.w.now.mono_ms + 1000);
	world_turn(&t.w, command_new(CMD_SESSION_CLOSE, BOB, 0, 0));
	assert_true(engine_next_deadline_ms(t.w.engine) <= t.w.now.mono_ms);
	world_turn(&t.w, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	/* And before the end. */
	world_turn(&t.w, cmd_cursor(&t, ALICE, &c, 5));
	engine_write_out(t.w.engine);
	assert_true(engine_next_deadline_ms(t.w.engine) <= t.w.now.mono_ms);
	world_turn(&t.w, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
	world_restart(&t.w);
	people_accounts(&t);
	world_turn(&t.w, cmd_key(&t.w, BOB, &t.bob));
	assert_int_equal(cursor_of(&t, BOB), 4);
	world_turn(&t.w, cmd_key(&t.w, ALICE, &t.alice));
	assert_int_equal(cursor_of(&t, ALICE), 5);
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_waits_for_a_card_is_told_once),
	    cmocka_unit_test(a_connection_waits_for_so_many_cards_and_no_more),
	    cmocka_unit_test(who_is_online_is_told_by_name_and_by_page),
	    cmocka_unit_test(accounts_that_nobody_uses_are_forgotten),
	    cmocka_unit_test(rooms_that_nobody_follows_are_forgotten),
	    cmocka_unit_test(rooms_that_an_account_is_out_of_are_not_counted),
	    cmocka_unit_test(a_cursor_is_of_a_stay_and_begins_anew_with_the_next),
	    cmocka_unit_test(cursors_are_written_when_nobody_is_left_to_move_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
