/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "client/json.h"
#include "client_run.h"
#include "fake_chat.h"

#define CONNECTED "{\"event\":\"connected\",\"number\":1}\n"
#define BEGINNING                                                                                            \
	"{\"event\":\"connecting\",\"text\":\"localhost 8820\"}\n" CONNECTED "{\"event\":\"synced\"}\n"
#define OPS                                                                                                  \
	"6f7073"                                                                                             \
	"00000000000000000000000000000000000000000000000000000000"                                           \
	"aa"

static int
setup(void **state __attribute__((unused)))
{
	fake_reset();
	return 0;
}

static void
runs_with(const char *args, const char *input, int exit_code, const char *out, const char *last_words)
{
	struct client_run run = client_run(args, input);

	assert_string_equal(run.out, out);
	assert_string_equal(run.last_words, last_words);
	assert_int_equal(run.exit_code, exit_code);
	client_run_fini(&run);
}

#define runs(input, out) runs_with("--json", input, 0, BEGINNING out, "")

/* The answer to one command, of the first line that is not an event of the beginning. */
static void
answers(const char *command, const char *expected)
{
	struct client_run run;
	char *input, *line, *rest;

	fake_reset();
	fake_room("ops", CHAT_STAY_JOINED);
	assert_true(asprintf(&input, "%s\n", command) > 0);
	run = client_run("--json", input);
	for (rest = run.out; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "{\"event\":\"done\"", 15) == 0)
			break;
	}
	assert_string_equal(line ? line : "", expected);
	assert_int_equal(run.exit_code, 0);
	client_run_fini(&run);
	free(input);
}

static void
called(const char *expected)
{
	const char *start = strstr(fake_calls(), "start\n");

	assert_non_null(start);
	assert_int_equal(strncmp(start + 6, expected, strlen(expected)), 0);
	assert_string_equal(start + 6 + strlen(expected), "free\n");
}

/* ---- events ---- */

static void
as_json(struct fake_event e, const char *expected)
{
	struct chat_event *event = fake_make(e);
	json_t *json = json_event(event);
	char *s;

	assert_non_null(json);
	s = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
	assert_string_equal(s, expected);
	free(s);
	json_decref(json);
	chat_event_free(event);
}

#define is_json(expected, ...) as_json((struct fake_event){__VA_ARGS__}, expected)

TEST(every_field)
{
	static const struct chat_online online[] = {{"bob", 2, 1700000000000}};

	fake_room("ops", CHAT_STAY_JOINED);
	is_json("{\"event\":\"message\",\"room\":\"" OPS
		"\",\"label\":\"ops\",\"seq\":7,\"time_ms\":1700000000000,"
		"\"actor\":\"alice\",\"self\":true,\"text\":\"hi\","
		"\"hash\":\"abababababababababababababababababababababababababababababababab\",\"own_"
		"session\":true}",
	    .type = CHAT_EVENT_MESSAGE, .room = "ops", .seq = 7, .time_ms = 1700000000000, .actor = "alice",
	    .self = true, .text = "hi", .has_hash = true, .flags = CHAT_FLAG_OWN_SESSION);
	is_json("{\"event\":\"invited\",\"room\":\"" OPS
		"\",\"label\":\"ops~2\",\"actor\":\"a\",\"target\":\"b\","
		"\"target_self\":true,\"history\":true,\"replay\":true}",
	    .type = CHAT_EVENT_INVITED, .room = "ops", .label = "ops~2", .actor = "a", .target = "b",
	    .target_self = true, .flags = CHAT_FLAG_HISTORY | CHAT_FLAG_REPLAY);
	is_json(
	    "{\"event\":\"done\",\"token\":5,\"err\":\"ok\",\"online\":[{\"account\":\"bob\",\"sessions\":2,"
	    "\"since_unix_ms\":1700000000000}]}",
	    .type = CHAT_EVENT_DONE, .token = 5, .online = online, .online_count = 1);
	is_json("{\"event\":\"done\",\"token\":5,\"err\":\"not_allowed\",\"text\":\"No.\",\"mend\":\"ask\"}",
	    .type = CHAT_EVENT_DONE, .token = 5, .err = CHAT_ERR_NOT_ALLOWED, .text = "No.", .mend = "ask");
	is_json("{\"event\":\"progress\",\"text\":\"work\",\"number\":1,\"total\":2}",
	    .type = CHAT_EVENT_PROGRESS, .text = "work", .number = 1, .total = 2);
	is_json("{\"event\":\"password_needed\",\"err\":\"ok\"}", .type = CHAT_EVENT_PASSWORD_NEEDED);
	is_json("{\"event\":\"message\",\"text\":\"\"}", .type = CHAT_EVENT_MESSAGE);
}

TEST(any_text)
{
	is_json("{\"event\":\"message\",\"text\":\"a\\u0000b\\n\\u001B\\u00E9\\uD83D\\uDE00\\u202E\"}",
	    .type = CHAT_EVENT_MESSAGE, .text = "a\0b\n\x1b\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xae",
	    .text_len = 14);
	is_json("{\"event\":\"message\",\"text\":\"a\\uFFFD\\uFFFDb\"}", .type = CHAT_EVENT_MESSAGE,
	    .text = "a\xff\xc3"
		    "b");
	is_json("{\"event\":\"joined\",\"label\":\"\\uFFFD\"}", .type = CHAT_EVENT_JOINED, .label = "\xff");
}

/* A terminal may be where it goes to. */
TEST(only_ascii_is_printed)
{
	struct client_run run;

	fake_room("ops", CHAT_STAY_JOINED);
	run = client_run(
	    "--json", "{\"cmd\":\"send\",\"room\":\"ops\",\"text\":\"\xc3\xa9\xc2\x9b\xe2\x80\xae\"}\n");
	assert_non_null(strstr(run.out, "\"text\":\"\\u00E9\\u009B\\u202E\""));
	for (const char *c = run.out; *c; c++)
		assert_true((*c >= ' ' && *c < 0x7f) || *c == '\n');
	client_run_fini(&run);
}

/* ---- commands ---- */

TEST(nothing)
{
	runs("", "");
	runs("\n  \t\r\n", "");
}

TEST(requests)
{
	answers("{\"cmd\":\"send\",\"room\":\"ops\",\"text\":\"hi there\",\"id\":1}",
	    "{\"event\":\"done\",\"token\":101,\"err\":\"ok\",\"seq\":1,\"cmd\":\"send\",\"id\":1}");
	called("send ops hi there\n");
}

/* By a table: what goes to the library. */
TEST(every_request)
{
	static const struct {
		const char *command, *call;
	} cases[] = {
	    {"\"send\",\"room\":\"ops\",\"text\":\"x\"", "send ops x"},
	    {"\"send\",\"room\":\"6f70730000\",\"text\":\"x\"", "send ops x"},
	    {"\"create\",\"name\":\"dev\"", "create dev"},
	    {"\"invite\",\"room\":\"ops\",\"accounts\":[\"bob\",\"carol\"]", "invite ops bob carol"},
	    {"\"accept\",\"room\":\"ops\"", "accept ops"},
	    {"\"decline\",\"room\":\"ops\"", "decline ops"},
	    {"\"leave\",\"room\":\"ops\"", "leave ops"},
	    {"\"kick\",\"room\":\"ops\",\"account\":\"bob\"", "kick ops bob"},
	    {"\"role\",\"room\":\"ops\",\"account\":\"bob\",\"role\":2", "role ops bob 2"},
	    {"\"topic\",\"room\":\"ops\",\"topic\":\"\"", "topic ops "},
	    {"\"name\",\"room\":\"ops\",\"name\":\"x\"", "name ops x"},
	    {"\"direct\",\"account\":\"bob\"", "direct bob"},
	    {"\"history\",\"room\":\"ops\"", "history ops 20"},
	    {"\"history\",\"room\":\"ops\",\"count\":7", "history ops 7"},
	    {"\"who\"", "who"},
	    {"\"change_password\",\"old\":\"a b\",\"new\":\"c\"", "change_password a b c"},
	    {"\"read\",\"room\":\"ops\",\"seq\":9", "read ops 9"},
	    {"\"trust\",\"agree\":true", "trust yes"},
	    {"\"trust\",\"agree\":false", "trust no"},
	    {"\"password\",\"password\":\"s\\u00e9cret\"", "password s\xc3\xa9"
							   "cret"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct client_run run;
		const char *done;
		char *input;

		fake_reset();
		fake_room("ops", CHAT_STAY_JOINED);
		assert_true(asprintf(&input, "{\"cmd\":%s,\"id\":42}\n", cases[i].command) > 0);
		run = client_run("--json", input);
		if (!strstr(fake_calls(), cases[i].call))
			fail_msg("%s became %s", input, fake_calls());
		/* Exactly one end. */
		done = strstr(run.out, "\"event\":\"done\"");
		assert_non_null(done);
		assert_non_null(strstr(done, "\"err\":\"ok\""));
		assert_non_null(strstr(done, "\"id\":42}"));
		assert_null(strstr(done + 1, "\"event\":\"done\""));
		client_run_fini(&run);
		free(input);
	}
}

TEST(ids_come_back)
{
	answers("{\"cmd\":\"read\",\"room\":\"ops\",\"seq\":1}",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"read\"}");
	answers("{\"cmd\":\"read\",\"room\":\"ops\",\"seq\":1,\"id\":null}",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"read\",\"id\":null}");
	answers("{\"cmd\":\"read\",\"room\":\"ops\",\"seq\":1,\"id\":[1,{\"a\":2}]}",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"read\",\"id\":[1,{\"a\":2}]}");
}

TEST(what_is_known)
{
	answers("{\"cmd\":\"rooms\",\"id\":1}",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"rooms\",\"id\":1,\"rooms\":[{\"room\":\"" OPS
	    "\",\"label\":\"ops\",\"name\":\"\",\"topic\":\"\",\"inviter\":\"\",\"stay\":\"joined\","
	    "\"direct\":false,"
	    "\"read_only\":false,\"role\":0,\"member_count\":0,\"head_seq\":0,\"read_seq\":0,\"unread_"
	    "count\":0,"
	    "\"log_hash\":\"0000000000000000000000000000000000000000000000000000000000000000\","
	    "\"digits\":\"00000 00000 00000 00000 00000 00000 00000 00000\",\"epoch\":0}]}");
	answers("{\"cmd\":\"members\",\"room\":\"ops\"}",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"members\",\"members\":[]}");
	answers("{\"cmd\":\"whoami\"}",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"whoami\",\"account\":\"alice\",\"server\":"
	    "\"localhost:8820\","
	    "\"fingerprint\":\"\",\"digits\":\"12345 00000 12345 00000 12345 00000 12345 "
	    "00000\",\"data_dir\":\"/tmp/alice\","
	    "\"member_id\":\"0000000000000000000000000000000000000000000000000000000000000000\","
	    "\"connected\":true}");
}

TEST(members)
{
	struct client_run run;

	fake_room("ops", CHAT_STAY_JOINED);
	fake_member("ops", "alice", CHAT_STAY_JOINED, 3);
	run = client_run("--json", "{\"cmd\":\"members\",\"room\":\"ops\"}\n");
	assert_non_null(
	    strstr(run.out, "\"account\":\"alice\",\"stay\":\"joined\",\"role\":3,\"self\":true}]}\n"));
	client_run_fini(&run);
}

TEST(mistakes)
{
#define ERR(cmd, err, text) "{\"event\":\"done\",\"err\":\"" err "\"" cmd ",\"text\":\"" text "\"}"
	answers("hello", ERR("", "syntax", "line 1: invalid token near 'hello'"));
	answers("{\"cmd\":\"who\"", ERR("", "syntax", "line 1: '}' expected near end of file"));
	answers("{\"cmd\":\"who\"} x", ERR("", "syntax", "line 1: end of file expected near 'x'"));
	answers("{\"cmd\":\"who\",\"cmd\":\"who\"}",
	    ERR("", "syntax", "line 1: duplicate object key near '\\\"cmd\\\"'"));
	answers("[1]", ERR("", "syntax", "line 1: a command is an object: {\\\"cmd\\\":...}"));
	answers("7", ERR("", "syntax", "line 1: a command is an object: {\\\"cmd\\\":...}"));
	answers("{}", ERR("", "unknown_request", "\\\"cmd\\\" is missing"));
	answers("{\"cmd\":1}", ERR("", "unknown_request", "\\\"cmd\\\" is missing"));
	answers("{\"cmd\":\"frob\"}",
	    ERR("", "unknown_request", "there is no such cmd; chat-client(1) lists them"));
	answers(
	    "{\"cmd\":\"create\"}", ERR(",\"cmd\":\"create\"", "invalid", "create: \\\"name\\\" is missing"));
	answers("{\"cmd\":\"create\",\"name\":1}",
	    ERR(",\"cmd\":\"create\"", "invalid", "create: \\\"name\\\" has to be a string without NUL"));
	answers("{\"cmd\":\"create\",\"name\":\"a\\u0000b\"}",
	    ERR(",\"cmd\":\"create\"", "invalid", "create: \\\"name\\\" has to be a string without NUL"));
	answers("{\"cmd\":\"create\",\"nmae\":\"x\"}",
	    ERR(",\"cmd\":\"create\"", "invalid", "create: there is no field \\\"nmae\\\""));
	answers("{\"cmd\":\"send\",\"room\":\"dev\",\"text\":\"x\"}",
	    ERR(",\"cmd\":\"send\"", "not_found", "send: there is no such room here"));
	answers("{\"cmd\":\"trust\",\"agree\":1}",
	    ERR(",\"cmd\":\"trust\"", "invalid", "trust: \\\"agree\\\" has to be true or false"));
	answers("{\"cmd\":\"read\",\"room\":\"ops\",\"seq\":-1}",
	    ERR(",\"cmd\":\"read\"", "invalid", "read: \\\"seq\\\" has to be a whole number from 0"));
	answers("{\"cmd\":\"invite\",\"room\":\"ops\",\"accounts\":\"bob\"}",
	    ERR(",\"cmd\":\"invite\"", "invalid", "invite: \\\"accounts\\\" has to be a list of strings"));
	answers("{\"cmd\":\"invite\",\"room\":\"ops\",\"accounts\":[1]}",
	    ERR(",\"cmd\":\"invite\"", "invalid",
		"invite: \\\"accounts\\\" has to be a list of strings without NUL"));
	answers("{\"cmd\":\"role\",\"room\":\"ops\",\"account\":\"bob\",\"role\":4294967298}",
	    ERR(",\"cmd\":\"role\"", "invalid", "An argument is out of range or of the wrong form."));
	called("");
}

TEST(lines_without_end)
{
	size_t n = 300 * 1024;
	char *in = malloc(n + 32);

	assert_non_null(in);
	memset(in, ' ', n);
	strcpy(in + n, "\n{\"cmd\":\"quit\"}\n");
	answers(in, "{\"event\":\"done\",\"err\":\"too_long\",\"text\":\"line 1: the line is too long\"}");
	free(in);
}

static void
start_full(void)
{
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	fake_fail(CHAT_ERR_LIMIT);
}

TEST(not_taken)
{
	fake_on_start(start_full);
	runs_with("--json", "{\"cmd\":\"who\",\"id\":3}\n", 0,
	    CONNECTED "{\"event\":\"done\",\"err\":\"limit\",\"cmd\":\"who\",\"id\":3,"
		      "\"text\":\"A limit of the server is reached.\"}\n",
	    "");
}

static void
start_password(void)
{
	fake_event(.type = CHAT_EVENT_PASSWORD_NEEDED, .err = CHAT_ERR_LOGIN_REFUSED);
}

/* 512 requests, as many as may be open, and a line behind them. */
static struct client_run
run_many(const char *last)
{
	struct client_run run;
	char *in = malloc(512 * 16 + 64);
	size_t n = 0;

	assert_non_null(in);
	for (int i = 0; i < 512; i++)
		n += (size_t)sprintf(in + n, "{\"cmd\":\"who\"}\n");
	strcpy(in + n, last);
	run = client_run("--json", in);
	free(in);
	return run;
}

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		text++;
		n++;
	}
	return n;
}

/* A pipe of any length: no line is run while too many are open. */
TEST(the_input_waits)
{
	struct client_run run = run_many("{\"cmd\":\"rooms\"}\n");
	const char *who = strstr(run.out, "\"cmd\":\"who\""), *rooms = strstr(run.out, "\"cmd\":\"rooms\"");

	assert_non_null(who);
	assert_non_null(rooms);
	assert_true(who < rooms);
	assert_int_equal(count(run.out, "\"event\":\"done\""), 513);
	assert_int_equal(run.exit_code, 0);
	client_run_fini(&run);
}

/* The answer to a question may be behind many commands that wait for it. */
TEST(the_input_does_not_wait_for_itself)
{
	struct client_run run;
	const char *who, *password;

	fake_on_start(start_password);
	run = run_many("{\"cmd\":\"password\",\"password\":\"s\"}\n");
	who = strstr(run.out, "\"cmd\":\"who\"");
	password = strstr(run.out, "\"cmd\":\"password\"");
	assert_non_null(who);
	assert_non_null(password);
	assert_true(password < who);
	client_run_fini(&run);
}

/* ---- the end ---- */

TEST(quit)
{
	runs("{\"cmd\":\"quit\",\"id\":1}\n{\"cmd\":\"who\"}\n",
	    "{\"event\":\"done\",\"err\":\"ok\",\"cmd\":\"quit\",\"id\":1}\n");
	called("");
}

static uint64_t held;

static void
fail_when_asked(const char *call __attribute__((unused)), uint64_t token)
{
	held = token;
	fake_event(.type = CHAT_EVENT_FAILED, .err = CHAT_ERR_CLOSED, .text = "The connection was lost.");
	fake_close();
}

/* The library never told the end of it: the program does. */
TEST(no_command_is_left_without_an_end)
{
	fake_on_request(fail_when_asked);
	runs_with("--json", "{\"cmd\":\"who\",\"id\":1}\n", 6,
	    BEGINNING "{\"event\":\"failed\",\"err\":\"closed\",\"text\":\"The connection was lost.\"}\n"
		      "{\"event\":\"done\",\"err\":\"timeout\",\"cmd\":\"who\",\"id\":1,\"text\":\"The time "
		      "allowed ran out.\"}\n",
	    "The connection was lost.");
}

static void
start_questions(void)
{
	fake_event(.type = CHAT_EVENT_SERVER_UNKNOWN, .text = "abcd");
}

TEST(a_question_at_the_end)
{
	fake_on_start(start_questions);
	runs_with("--json", "", 3, "{\"event\":\"server_unknown\",\"text\":\"abcd\"}\n",
	    "nobody is there to say whether the server is the right one");
}

TEST(a_password_at_the_end)
{
	fake_on_start(start_password);
	runs_with("--json", "", 4, "{\"event\":\"password_needed\",\"err\":\"login_refused\"}\n",
	    "the server wants the password, and nobody is there to give it");
}

/* Each command and field is in the manual page, and each event of the library that has one. */
TEST(the_manual)
{
	char path[4096], item[128];
	uint8_t *page;
	size_t len;

	snprintf(path, sizeof(path), "%s/man/chat-client.1", unit_srcdir());
	page = unit_read_file(path, &len);
	assert_non_null(page);
	for (size_t i = 0; json_command_name(i); i++) {
		snprintf(item, sizeof(item), ".It Cm %s", json_command_name(i));
		for (size_t f = 0; json_command_field(i, f); f++) {
			size_t at = strlen(item);

			snprintf(item + at, sizeof(item) - at, " %s", json_command_field(i, f));
		}
		if (!strstr((const char *)page, item))
			fail_msg("chat-client(1) has no %s", item);
	}
	for (int type = 1; type < 100; type++) {
		struct chat_event *event = fake_make_event(.type = (enum chat_event_type)type);
		const char *name = chat_event_type_name(event);

		snprintf(item, sizeof(item), ".It Cm %s\n", name);
		if (strcmp(name, "unknown") != 0 && !strstr((const char *)page, item))
			fail_msg("chat-client(1) has no event %s", name);
		chat_event_free(event);
	}
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
	    T(every_field),
	    T(any_text),
	    T(only_ascii_is_printed),
	    T(nothing),
	    T(requests),
	    T(every_request),
	    T(ids_come_back),
	    T(what_is_known),
	    T(members),
	    T(mistakes),
	    T(lines_without_end),
	    T(not_taken),
	    T(the_input_waits),
	    T(the_input_does_not_wait_for_itself),
	    T(quit),
	    T(no_command_is_left_without_an_end),
	    T(a_question_at_the_end),
	    T(a_password_at_the_end),
	    T(the_manual),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
