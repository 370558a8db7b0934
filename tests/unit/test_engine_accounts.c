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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_waits_for_a_card_is_told_once),
	    cmocka_unit_test(a_connection_waits_for_so_many_cards_and_no_more),
	    cmocka_unit_test(who_is_online_is_told_by_name_and_by_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
