/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the engine shows of itself: summary, sessions, rooms. */

#include "engine_people.h"

#include <stdio.h>

static const char *
status(struct people *t, enum status_what what)
{
	struct command *cmd = command_new(CMD_STATUS, (struct conn_ref){0}, 0, 0);
	static char text[8192];
	const struct outcome *out;
	int token;

	assert_non_null(cmd);
	cmd->status.what = what;
	cmd->status.token = &token;
	world_turn(&t->w, cmd);
	for (out = t->w.out; out != NULL && out->type != OUT_STATUS; out = out->next)
		continue;
	if (out == NULL)
		abort(); /* as the assertion would, but known to the compiler */
	assert_ptr_equal(out->status.token, &token);
	assert_int_equal(out->status.what, what);
	assert_ok(out->status.err);
	assert_true(out->status.text.len < sizeof text);
	(void)snprintf(
	    text, sizeof text, "%.*s", (int)out->status.text.len, (const char *)out->status.text.data);
	return text;
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no \"%s\" in \"%s\"", part, text);
}

static unsigned
lines(const char *text)
{
	unsigned count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

TEST(nothing)
{
	struct people t;

	people_start(&t, 1, NULL);
	assert_has(status(&t, STATUS_SUMMARY), "\nsessions=0\nrooms=0\n");
	assert_has(status(&t, STATUS_SUMMARY), "\nentries=0\n");
	assert_has(status(&t, STATUS_SUMMARY), "\nstore=ok\n");
	assert_string_equal(status(&t, STATUS_SESSIONS), "");
	assert_string_equal(status(&t, STATUS_ROOMS), "");
	people_end(&t);
}

TEST(summary)
{
	struct people t;
	struct copy c;

	people_start(&t, 2, NULL);
	people_login(&t);
	assert_has(status(&t, STATUS_SUMMARY), "uptime_s=0\n");
	room_with_bob(&t, &c);
	t.w.now.mono_ms += 61500;
	assert_has(status(&t, STATUS_SUMMARY), "uptime_s=61\n");
	assert_has(status(&t, STATUS_SUMMARY), "\nsessions=3\nrooms=1\nrooms_in_memory=1\n"
					       "accounts_in_memory=3\nentries=3\nentries_since_start=3\n");
	copy_fini(&c);
	people_end(&t);
}

TEST(sessions)
{
	struct people t;
	struct copy c;
	const char *text;

	people_start(&t, 3, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	resume_all(&t, &c, BOB);
	world_turn(&t.w, cmd_key(&t.w, world_conn(1, 9), &t.alice));
	t.w.now.unix_ms += 90000;
	text = status(&t, STATUS_SESSIONS);
	assert_int_equal(lines(text), 4);
	assert_has(text, "account=bob addr=");
	assert_has(text, " since_s=90 following=1\n");
	assert_has(text, "account=carol addr=");
	assert_has(text, " since_s=90 following=0\n");
	world_turn(&t.w, command_new(CMD_SESSION_CLOSE, BOB, 0, 0));
	text = status(&t, STATUS_SESSIONS);
	assert_int_equal(lines(text), 3);
	assert_null(strstr(text, "account=bob "));
	copy_fini(&c);
	people_end(&t);
}

TEST(a_clock_that_was_put_back_is_no_time)
{
	struct people t;

	people_start(&t, 4, NULL);
	world_login(&t.w, ALICE, &t.alice);
	t.w.now.unix_ms -= 3600000;
	assert_has(status(&t, STATUS_SESSIONS), " since_s=0 ");
	people_end(&t);
}

TEST(rooms)
{
	struct people t;
	struct copy c;
	char hex[DIGEST_HEX_CHARS + 1], expected[256];
	const char *text;

	people_start(&t, 5, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	resume_all(&t, &c, BOB);
	digest_hex(&c.room_id, hex);
	text = status(&t, STATUS_ROOMS);
	(void)snprintf(expected, sizeof expected,
	    "room=%s entries=3 whole_from=1 sessions=1 joined=1 invited=1 epoch=1 kind=group\n", hex);
	assert_string_equal(text, expected);

	/* Of a room that nobody has touched since the start only the store's part is known. */
	world_restart(&t.w);
	(void)snprintf(expected, sizeof expected, "room=%s entries=3 whole_from=1 sessions=0\n", hex);
	assert_string_equal(status(&t, STATUS_ROOMS), expected);
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing),
	    cmocka_unit_test(summary),
	    cmocka_unit_test(sessions),
	    cmocka_unit_test(a_clock_that_was_put_back_is_no_time),
	    cmocka_unit_test(rooms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
