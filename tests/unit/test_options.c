/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>

#include "failalloc.h"
#include "proto/limits.h"
#include "server/options.h"
#include "server/server_limits.h"

static struct options
defaults(void)
{
	struct options options;

	assert_ok(options_init(&options));
	return options;
}

/* Sets it, and gives what was said. */
static enum chat_err
set(struct options *options, const char *name, const char *value, char why[static OPTION_WHY_CHARS])
{
	const struct option_row *row = option_find(BYTES_STR(name));

	assert_non_null(row);
	why[0] = '\0';
	return option_set(options, row, BYTES_STR(value), why);
}

static void
assert_set(struct options *options, const char *name, const char *value)
{
	char why[OPTION_WHY_CHARS];

	if (set(options, name, value, why) != CHAT_OK)
		fail_msg("%s = %s: %s", name, value, why);
}

static void
assert_refused(const char *name, const char *value, enum chat_err expected, const char *said)
{
	struct options options = defaults(), before = defaults();
	char why[OPTION_WHY_CHARS];
	enum chat_err err = set(&options, name, value, why);

	if (err != expected || strstr(why, said) == NULL)
		fail_msg("%s = %s: %s, \"%s\" instead of \"%s\"", name, value, chat_err_name(err), why, said);
	for (size_t i = 0; i < option_row_count; i++)
		assert_true(option_equal(&option_rows[i], &options, &before));
	options_fini(&options);
	options_fini(&before);
}

static const char *
show(const struct options *options, const struct option_row *row)
{
	static char text[512];
	struct buf buf = {.len = 0};

	assert_ok(option_show(options, row, &buf));
	assert_true(buf.len < sizeof text);
	memcpy(text, buf.data, buf.len);
	text[buf.len] = '\0';
	buf_fini(&buf);
	return text;
}

static bool
is_number(const struct option_row *row)
{
	return row->type == OPTION_NUMBER || row->type == OPTION_SIZE || row->type == OPTION_DURATION;
}

/* A table that contradicts itself would be found here and not by a user. */
TEST(rows)
{
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		assert_ptr_equal(option_find(BYTES_STR(row->name)), row); /* so no name is there twice */
		assert_true(row->offset < sizeof(struct options) && row->help[0] != '\0');
		assert_int_equal(row->special == NULL, row->special_means == NULL);
		assert_true(i > 0 || row->section != NULL);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(row->offset, option_rows[j].offset);
			assert_true(row->flag == 0 || row->flag != option_rows[j].flag);
		}
		if (is_number(row))
			assert_true(
			    row->min <= row->initial && row->initial <= row->max && row->min < row->max);
		if (row->flag != 0)
			assert_ptr_equal(option_of_flag(row->flag), row);
	}
	assert_null(option_find(BYTES_STR("ports")));
	assert_null(option_find(BYTES_STR("por")));
	assert_null(option_find(BYTES_EMPTY));
	assert_null(option_of_flag('x'));
}

/* Both ends of each range are taken, and one beyond is not. */
TEST(edges)
{
	struct options options = defaults();

	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		const char *unit = row->type == OPTION_DURATION ? "ms" : "";
		char text[32], why[OPTION_WHY_CHARS];

		if (!is_number(row))
			continue;
		(void)snprintf(text, sizeof text, "%" PRIu64 "%s", row->min, unit);
		assert_set(&options, row->name, text);
		assert_int_equal(*(uint64_t *)((char *)&options + row->offset), row->min);
		(void)snprintf(text, sizeof text, "%" PRIu64 "%s", row->max, unit);
		assert_set(&options, row->name, text);
		assert_int_equal(*(uint64_t *)((char *)&options + row->offset), row->max);
		(void)snprintf(text, sizeof text, "%" PRIu64 "%s", row->max + 1, unit);
		assert_err(set(&options, row->name, text, why), CHAT_ERR_RANGE);
		if (row->min > 0) {
			(void)snprintf(text, sizeof text, "%" PRIu64 "%s", row->min - 1, unit);
			assert_err(set(&options, row->name, text, why), CHAT_ERR_RANGE);
		}
		assert_int_equal(*(uint64_t *)((char *)&options + row->offset), row->max);
	}
	options_fini(&options);
}

/* What is shown is understood, and is the same value. */
TEST(show_and_set)
{
	struct options options = defaults(), again = defaults();

	assert_set(&options, "listen", "::1,chat.example.org");
	assert_set(&options, "log_level", "debug");
	assert_set(&options, "login_timeout", "90s");
	assert_set(&options, "outbuf_high", "300KiB");
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		assert_set(&again, row->name, show(&options, row));
		assert_true(option_equal(row, &options, &again));
	}
	assert_string_equal(show(&options, option_find(BYTES_STR("listen"))), "::1, chat.example.org");
	assert_string_equal(show(&options, option_find(BYTES_STR("login_timeout"))), "90s");
	assert_string_equal(show(&options, option_find(BYTES_STR("idle_timeout"))), "75s");
	assert_string_equal(show(&options, option_find(BYTES_STR("outbuf_high"))), "300KiB");
	options_fini(&options);
	options_fini(&again);
}

TEST(copy_and_equal)
{
	static const char *const values[][2] = {{"listen", "::1"}, {"listen", "::1, 127.0.0.1"},
	    {"port", "1"}, {"state_dir", "/srv"}, {"log_level", "warn"}, {"idle_timeout", "1h"},
	    {"outbuf_low", "8KiB"}};
	struct options plain = defaults();

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		const struct option_row *row = option_find(BYTES_STR(values[i][0]));
		struct options a = defaults();

		assert_set(&a, values[i][0], values[i][1]);
		assert_false(option_equal(row, &a, &plain));
		assert_false(option_equal(row, &plain, &a));
		assert_ok(option_copy(&a, row, &plain));
		assert_true(option_equal(row, &a, &plain));
		options_fini(&a);
	}
	options_fini(&plain);
}

TEST(units)
{
	struct options options = defaults();

	assert_set(&options, "idle_timeout", "25000ms");
	assert_int_equal(options.idle_timeout_ms, 25000);
	assert_set(&options, "idle_timeout", "2m");
	assert_int_equal(options.idle_timeout_ms, 120000);
	assert_set(&options, "idle_timeout", "1 h");
	assert_int_equal(options.idle_timeout_ms, 3600000);
	assert_set(&options, "idle_timeout", "1d");
	assert_int_equal(options.idle_timeout_ms, 86400000);
	assert_set(&options, "outbuf_high", "1MiB");
	assert_int_equal(options.outbuf_high_bytes, 1 << 20);
	assert_set(&options, "outbuf_high", "70000");
	assert_int_equal(options.outbuf_high_bytes, 70000);
	options_fini(&options);

	assert_refused("idle_timeout", "60", CHAT_ERR_SYNTAX, "has to be a time with its unit, as 500ms");
	assert_refused("idle_timeout", "60 sec", CHAT_ERR_SYNTAX, "a time with its unit");
	assert_refused("idle_timeout", "1.5h", CHAT_ERR_SYNTAX, "a time with its unit");
	assert_refused("idle_timeout", "s", CHAT_ERR_SYNTAX, "a time with its unit");
	assert_refused("idle_timeout", "-60s", CHAT_ERR_SYNTAX, "a time with its unit");
	assert_refused("idle_timeout", "5s", CHAT_ERR_RANGE, "is out of range; it may be 20s to 1d");
	assert_refused("outbuf_high", "64k", CHAT_ERR_SYNTAX, "has to be a size, as 64KiB");
	assert_refused("outbuf_high", "1GiB", CHAT_ERR_RANGE, "it may be 16KiB to 2MiB");
	assert_refused("port", "8820x", CHAT_ERR_SYNTAX, "has to be a whole number");
	assert_refused("port", "0x10", CHAT_ERR_SYNTAX, "has to be a whole number");
	assert_refused("port", "", CHAT_ERR_SYNTAX, "has to be a whole number");
	assert_refused("port", "65536", CHAT_ERR_RANGE, "it may be 0 to 65535");
}

/* Numbers beyond 64 bits are out of range, not something small. */
TEST(overflow)
{
	assert_refused("port", "18446744073709551616", CHAT_ERR_RANGE, "out of range");
	assert_refused("port", "18446744073709560436", CHAT_ERR_RANGE, "out of range"); /* 2^64 + 8820 */
	assert_refused("port", "99999999999999999999999999999999999999", CHAT_ERR_RANGE, "out of range");
	assert_refused("outbuf_high", "17179869184GiB", CHAT_ERR_RANGE, "out of range"); /* 2^64 bytes */
	assert_refused(
	    "idle_timeout", "213503982335d", CHAT_ERR_RANGE, "out of range"); /* 2^64 ms and some */
}

TEST(choices)
{
	assert_refused("log_level", "loud", CHAT_ERR_SYNTAX, "has to be one of: error, warn, info, debug");
	assert_refused("log_level", "Info", CHAT_ERR_SYNTAX, "has to be one of");
	assert_refused("log_level", "", CHAT_ERR_SYNTAX, "has to be one of");
}

TEST(paths)
{
	struct options options = defaults();
	char *longest = malloc(4097);

	assert_set(&options, "tls_key", "keys/tls = 1.pem");
	assert_string_equal(options.tls_key, "keys/tls = 1.pem");
	memset(longest, 'x', 4096);
	longest[4096] = '\0';
	assert_refused("tls_key", longest, CHAT_ERR_SYNTAX, "is too long for a path");
	assert_set(&options, "tls_key", longest + 1);
	assert_refused("tls_key", "", CHAT_ERR_SYNTAX, "is empty; leave it out for the default");
	assert_refused("tls_key", "~/key.pem", CHAT_ERR_SYNTAX, "begins with ~");
	free(longest);
	options_fini(&options);
}

TEST(addresses)
{
	struct options options = defaults();
	char many[300];

	assert_int_equal(options.listen.count, 0);
	assert_set(&options, "listen", "127.0.0.1");
	assert_int_equal(options.listen.count, 1);
	assert_set(&options, "listen", " 127.0.0.1 ,\t[2001:db8::1],fe80::1%eth0 , my_host-1.example");
	assert_int_equal(options.listen.count, 4);
	assert_string_equal(options.listen.items[0], "127.0.0.1");
	assert_string_equal(options.listen.items[1], "2001:db8::1");
	assert_string_equal(options.listen.items[2], "fe80::1%eth0");
	assert_string_equal(options.listen.items[3], "my_host-1.example");
	assert_set(&options, "listen", "*");
	assert_int_equal(options.listen.count, 0);

	memset(many, 'a', sizeof many);
	for (size_t i = 1; i < 64; i += 2)
		many[i] = ',';
	many[63] = '\0';
	assert_set(&options, "listen", many);
	assert_int_equal(options.listen.count, 32);
	options_fini(&options);

	many[63] = ',';
	many[65] = '\0';
	assert_refused("listen", many, CHAT_ERR_SYNTAX, "has to be addresses or host names");
	memset(many, 'a', sizeof many);
	many[256] = '\0';
	assert_refused("listen", many, CHAT_ERR_SYNTAX, "has to be addresses or host names");
	assert_refused("listen", "", CHAT_ERR_SYNTAX, "has to be addresses or host names");
	assert_refused("listen", "a,", CHAT_ERR_SYNTAX, "has to be addresses or host names");
	assert_refused("listen", "a,,b", CHAT_ERR_SYNTAX, "has to be addresses or host names");
	assert_refused("listen", "*,a", CHAT_ERR_SYNTAX, "has to be addresses or host names");
	assert_refused("listen", "a b", CHAT_ERR_SYNTAX, "has to be addresses or host names");
	assert_refused("listen", "http://a", CHAT_ERR_SYNTAX, "has to be addresses or host names");
}

static enum chat_err
parse(struct options *options, const char *text, struct options_lines *ret_lines, struct passwd_why *ret_why)
{
	ret_why->text[0] = '\0';
	return options_parse(options, BYTES_STR(text), "FILE", ret_lines, ret_why);
}

TEST(file)
{
	struct options options = defaults();
	struct options_lines lines;
	struct passwd_why why;

	assert_ok(parse(&options,
	    "# comment\n"
	    "\n"
	    "port=1 # another\n"
	    " \t log_level \t=\t warn \t \r\n"
	    "tls_key = a#b c # d\n"
	    "   # idle_timeout = nonsense\n"
	    "history_days = 30",
	    &lines, &why));
	assert_int_equal(options.port, 1);
	assert_int_equal(options.log_level, 1);
	assert_string_equal(options.tls_key, "a#b c");
	assert_int_equal(options.idle_timeout_ms, IDLE_TIMEOUT_MS);
	assert_int_equal(options.history_days, 30);
	assert_int_equal(lines.line[option_find(BYTES_STR("port")) - option_rows], 3);
	assert_int_equal(lines.line[option_find(BYTES_STR("history_days")) - option_rows], 7);
	assert_int_equal(lines.line[option_find(BYTES_STR("listen")) - option_rows], 0);
	options_fini(&options);
}

TEST(bad_files)
{
	static const struct {
		const char *text;
		enum chat_err err;
		const char *said;
	} cases[] = {
	    {"\n\nprot = 1\n", CHAT_ERR_SYNTAX, "FILE:3: unknown option \"prot\"; did you mean port?"},
	    {"history_day = 1\n", CHAT_ERR_SYNTAX,
		"FILE:1: unknown option \"history_day\"; did you mean history_days?"},
	    {"xyzzy = 1\n", CHAT_ERR_SYNTAX,
		"FILE:1: unknown option \"xyzzy\"; chat-server.conf(5) lists all options"},
	    {"Port = 1\n", CHAT_ERR_SYNTAX, "FILE:1: unknown option \"Port\"; did you mean port?"},
	    {"= 1\n", CHAT_ERR_SYNTAX, "FILE:1: unknown option \"\"; chat-server.conf(5) lists all options"},
	    {"port 1\n", CHAT_ERR_SYNTAX, "FILE:1: the line has no \"=\"; write: option = value"},
	    {"port\n", CHAT_ERR_SYNTAX, "FILE:1: the line has no \"=\"; write: option = value"},
	    {"port = 1\nloops = 2\nport = 1\n", CHAT_ERR_SYNTAX,
		"FILE:3: port was already set in line 1; remove one of the two"},
	    {"port = 1000000\n", CHAT_ERR_RANGE, "FILE:1: port is out of range; it may be 0 to 65535"},
	    {"port = \n", CHAT_ERR_SYNTAX, "FILE:1: port has to be a whole number"},
	    {"port = # 1\n", CHAT_ERR_SYNTAX, "FILE:1: port has to be a whole number"},
	    {"port = 1\x01\n", CHAT_ERR_SYNTAX,
		"FILE:1: the line is not UTF-8, or has control characters; write it again"},
	    {"# \xff\n", CHAT_ERR_SYNTAX,
		"FILE:1: the line is not UTF-8, or has control characters; write it again"},
	    {"port = 1\r\r\n", CHAT_ERR_SYNTAX,
		"FILE:1: the line is not UTF-8, or has control characters; write it again"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct options options = defaults();
		struct options_lines lines;
		struct passwd_why why;
		enum chat_err err = parse(&options, cases[i].text, &lines, &why);

		assert_err(err, cases[i].err);
		assert_int_equal(why.err, err);
		assert_string_equal(why.text, cases[i].said);
		options_fini(&options);
	}
}

TEST(file_too_long)
{
	struct options options = defaults();
	struct options_lines lines;
	struct passwd_why why;
	char *text = malloc(OPTIONS_FILE_MAX_BYTES + 1);

	memset(text, '\n', OPTIONS_FILE_MAX_BYTES + 1);
	assert_ok(options_parse(&options, BYTES(text, OPTIONS_FILE_MAX_BYTES), "FILE", &lines, &why));
	assert_err(options_parse(&options, BYTES(text, OPTIONS_FILE_MAX_BYTES + 1), "FILE", &lines, &why),
	    CHAT_ERR_SYNTAX);
	assert_non_null(strstr(why.text, "FILE: the file is larger than 256 KiB"));
	free(text);
	options_fini(&options);
}

TEST(contradictions)
{
	struct options options = defaults();
	const struct option_row *row = NULL;
	char why[OPTION_WHY_CHARS];

	assert_ok(options_check(&options, &row, why));
	assert_set(&options, "outbuf_low", "256KiB");
	assert_err(options_check(&options, &row, why), CHAT_ERR_RANGE);
	assert_string_equal(row->name, "outbuf_low");
	assert_string_equal(why, "has to be less than outbuf_high");
	assert_set(&options, "outbuf_high", "257KiB");
	assert_ok(options_check(&options, &row, why));
	assert_set(&options, "login_fail_delay", "30s");
	assert_ok(options_check(&options, &row, why));
	assert_set(&options, "login_fail_delay", "31s");
	assert_err(options_check(&options, &row, why), CHAT_ERR_RANGE);
	assert_string_equal(row->name, "login_fail_delay");
	options_fini(&options);
}

/* The example file, with every option taken out of its comment, is the defaults. */
TEST(example_file)
{
	struct options options = defaults(), plain = defaults();
	struct options_lines lines;
	struct passwd_why why = {.text = ""};
	char path[4096];
	uint8_t *text;
	size_t len;

	(void)snprintf(path, sizeof path, "%s/etc/chat-server.conf", unit_srcdir());
	text = unit_read_file(path, &len);
	assert_non_null(text);
	assert_ok(options_parse(&options, BYTES(text, len), path, &lines, &why));
	for (size_t i = 0; i < option_row_count; i++)
		assert_int_equal(lines.line[i], 0);
	for (size_t i = 0; i + 1 < len; i++)
		if (text[i] == '#' && text[i + 1] != ' ' && (i == 0 || text[i - 1] == '\n'))
			text[i] = ' ';
	if (options_parse(&options, BYTES(text, len), path, &lines, &why) != CHAT_OK)
		fail_msg("%s", why.text);
	for (size_t i = 0; i < option_row_count; i++) {
		assert_int_not_equal(lines.line[i], 0);
		assert_true(option_equal(&option_rows[i], &options, &plain));
	}
	free(text);
	options_fini(&options);
	options_fini(&plain);
}

/* At whichever allocation memory ends, the option is as it was, or as asked. */
TEST(no_memory)
{
	char why[OPTION_WHY_CHARS];
	struct options options;
	enum chat_err err;
	bool failed = true;

	for (unsigned n = 0; failed; n++) {
		failalloc_arm(n);
		err = options_init(&options);
		failed = failalloc_disarm();
		assert_err(err, failed ? CHAT_ERR_NOMEM : CHAT_OK);
		assert_true(failed || n > 0);
	}
	assert_set(&options, "listen", "a,b");
	failed = true;
	for (unsigned n = 0; failed; n++) {
		failalloc_arm(n);
		err = set(&options, "listen", "c,d,e", why);
		failed = failalloc_disarm();
		assert_err(err, failed ? CHAT_ERR_NOMEM : CHAT_OK);
		assert_int_equal(options.listen.count, failed ? 2 : 3);
		assert_true(failed || n > 0);
	}
	options_fini(&options);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows),
	    cmocka_unit_test(edges),
	    cmocka_unit_test(show_and_set),
	    cmocka_unit_test(copy_and_equal),
	    cmocka_unit_test(units),
	    cmocka_unit_test(overflow),
	    cmocka_unit_test(choices),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(file),
	    cmocka_unit_test(bad_files),
	    cmocka_unit_test(file_too_long),
	    cmocka_unit_test(contradictions),
	    cmocka_unit_test(example_file),
	    cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
