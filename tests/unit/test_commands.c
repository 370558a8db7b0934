/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "client/commands.h"

/* "name|arg|arg" of a command, "=text" of a text, "?why -> mend" of a mistake. */
static char *
parsed(const char *line)
{
	struct text t = {0}, why = {0}, mend = {0};
	struct command_line cl;
	enum chat_err err = command_parse(line, strlen(line), &cl, &why, &mend);
	char *s;

	if (err != CHAT_OK) {
		assert_true(err == CHAT_ERR_UNKNOWN_REQUEST || err == CHAT_ERR_SYNTAX);
		text_printf(&t, "?%s -> %s", text_cstr(&why), text_cstr(&mend));
	} else if (!cl.command) {
		text_printf(&t, "=%.*s", (int)cl.text_len, cl.text);
		command_line_fini(&cl);
	} else {
		text_str(&t, cl.command->name);
		for (size_t i = 0; i < cl.count; i++)
			text_printf(&t, "|%s", cl.args[i]);
		command_line_fini(&cl);
	}
	s = strdup(text_cstr(&t));
	assert_non_null(s);
	text_fini(&t);
	text_fini(&why);
	text_fini(&mend);
	return s;
}

static void
parses(const char *line, const char *expected)
{
	char *got = parsed(line);

	assert_string_equal(got, expected);
	free(got);
}

TEST(texts)
{
	parses("", "=");
	parses("hello", "=hello");
	parses(" /quit", "= /quit");
	parses("//quit is a command", "=/quit is a command");
	parses("//", "=/");
	parses("///", "=//");
}

TEST(arguments)
{
	parses("/quit", "quit");
	parses("/quit  ", "quit");
	parses("/create ops", "create|ops");
	parses("/create  the ops room ", "create|the ops room");
	parses("/invite bob", "invite|bob");
	parses("/invite  bob  carol\tdave ", "invite|bob|carol|dave");
	parses("/msg bob hello  there", "msg|bob|hello  there");
	parses("/msg bob", "msg|bob");
	parses("/msg bob /quit", "msg|bob|/quit");
	parses("/accept", "accept");
	parses("/history 5", "history|5");
	parses("/topic", "topic");
	parses("/topic  a  b ", "topic|a  b");
}

TEST(mistakes)
{
	parses("/create", "?/create needs more than that -> /create ROOM: make a room and go there");
	parses("/create  ", "?/create needs more than that -> /create ROOM: make a room and go there");
	parses("/invite", "?/invite needs more than that -> /invite USER...: invite people into this room");
	parses(
	    "/quit now", "?/quit takes less than that -> /quit: leave the program; you stay in your rooms");
	parses("/who is there", "?/who takes less than that -> /who: list who is online");
	parses("/crate ops", "?unknown command: /crate -> did you mean /create ROOM? /help lists all; // "
			     "begins a text with a slash");
	parses("/xyzzy", "?unknown command: /xyzzy -> /help lists all; // begins a text with a slash");
	parses("/", "?unknown command: / -> /help lists all; // begins a text with a slash");
	parses("/ quit", "?unknown command: / -> /help lists all; // begins a text with a slash");
	parses("/\x1b[2J", "?unknown command: /^[[2J -> /help lists all; // begins a text with a slash");
	parses("/CREATE", "?unknown command: /CREATE -> /help lists all; // begins a text with a slash");
}

TEST(as_many_as_fit)
{
	struct text line = {0}, why = {0}, mend = {0};
	struct command_line cl;

	text_str(&line, "/invite");
	for (unsigned i = 0; i < COMMAND_ARGS_MAX; i++)
		text_printf(&line, " u%u", i);
	assert_ok(command_parse(text_cstr(&line), line.buf.len, &cl, &why, &mend));
	assert_int_equal(cl.count, COMMAND_ARGS_MAX);
	assert_string_equal(cl.args[COMMAND_ARGS_MAX - 1], "u255");
	command_line_fini(&cl);
	text_str(&line, " one-more");
	assert_err(command_parse(text_cstr(&line), line.buf.len, &cl, &why, &mend), CHAT_ERR_SYNTAX);
	text_fini(&line);
	text_fini(&why);
	text_fini(&mend);
}

static void
nearest(const char *typed, const char *expected)
{
	const struct command *command = command_nearest(typed);

	assert_string_equal(command ? command->name : "nothing", expected);
}

TEST(what_was_meant)
{
	nearest("swich", "switch");
	nearest("switchh", "switch");
	nearest("swtich", "switch");
	nearest("memebrs", "members");
	nearest("inv", "invite");
	nearest("hist", "history");
	nearest("qiut", "quit");
	nearest("join", "accept");
	nearest("exit", "quit");
	nearest("", "nothing");
	nearest("zzz", "nothing");
	nearest("abcdefghijklmnopqrstuvwxyz", "nothing");
	for (size_t i = 0; i < command_count; i++)
		nearest(command_table[i].name, command_table[i].name);
}

TEST(the_table)
{
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &command_table[i];

		assert_ptr_equal(command_find(c->name), c);
		assert_non_null(c->run);
		assert_true(strlen(c->help) > 0 && c->min <= c->max && c->max <= COMMAND_ARGS_MAX);
		assert_int_equal(c->max > 0, strlen(c->args) > 0);
	}
}

/* Each command has its place in the manual page, as it is typed. */
TEST(the_manual)
{
	char path[4096], item[128];
	size_t len;
	uint8_t *page;

	snprintf(path, sizeof(path), "%s/man/chat-client.1", unit_srcdir());
	page = unit_read_file(path, &len);
	assert_non_null(page);
	for (size_t i = 0; i < command_count; i++) {
		snprintf(item, sizeof(item), ".It Ic /%s", command_table[i].name);
		if (!strstr((const char *)page, item))
			fail_msg("chat-client(1) has no %s", item);
	}
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(texts),
	    cmocka_unit_test(arguments),
	    cmocka_unit_test(mistakes),
	    cmocka_unit_test(as_many_as_fit),
	    cmocka_unit_test(what_was_meant),
	    cmocka_unit_test(the_table),
	    cmocka_unit_test(the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
