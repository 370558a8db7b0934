/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static char *dir;
static char path[200];

static int
open_log(void **state __attribute__((unused)))
{
	dir = unit_temp_dir();
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_ok(log_open(path));
	return 0;
}

static int
close_log(void **state __attribute__((unused)))
{
	log_set_level(LOG_INFO);
	assert_ok(log_open(NULL));
	free(dir);
	return 0;
}

/* The whole log; free() it. */
static char *
read_log(void)
{
	size_t len;
	char *text = (char *)unit_read_file(path, &len);

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	return text;
}

/* The last line's part behind the time, without the newline, in static storage. */
static const char *
last_line(void)
{
	static char line[5000];
	char *text = read_log(), *start;
	size_t len = strlen(text);

	assert_true(len > 0 && text[len - 1] == '\n');
	text[len - 1] = '\0';
	start = strrchr(text, '\n');
	start = start ? start + 1 : text;
	assert_true(strlen(start) > 25);
	strlcpy(line, start + 25, sizeof(line));
	free(text);
	return line;
}

static size_t
count_lines(void)
{
	char *text = read_log();
	size_t n = 0;

	for (const char *p = text; *p; p++)
		n += *p == '\n';
	free(text);
	return n;
}

TEST(one_line)
{
	char *text;
	unsigned year, month, day, hour, minute, second, ms;
	int used = 0;

	log_event(LOG_INFO, "login", LOG_BYTES("account", BYTES_STR("alice")), LOG_UINT("sessions", 2),
	    LOG_INT("delta", -3), LOG_ERR(CHAT_ERR_CONFLICT));
	text = read_log();
	assert_int_equal(sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day, &hour, &minute,
			     &second, &ms, &used),
	    7);
	assert_int_equal(used, 25);
	assert_true(year >= 2024 && month <= 12);
	assert_string_equal(text + used, "info login account=alice sessions=2 delta=-3 error=conflict\n");
	free(text);
}

TEST(values_are_quoted_where_needed)
{
	static const struct {
		const char *value, *shown;
	} cases[] = {
	    {"plain", "plain"},
	    {"[::1]:8820", "[::1]:8820"},
	    {"", "\"\""},
	    {"two words", "\"two words\""},
	    {"say \"hi\"", "\"say \\\"hi\\\"\""},
	    {"back\\slash", "\"back\\\\slash\""},
	    {"a=b", "\"a=b\""},
	    {"tab\there", "\"tab\\there\""},
	    {"\x01\x1b[31m", "\"\\x01\\x1b[31m\""},
	    {"\x7f", "\"\\x7f\""},
	    {"Zo\xc3\xab", "\"Zo\\xc3\\xab\""},
	    {"\r", "\"\\x0d\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char expected[100];

		snprintf(expected, sizeof(expected), "info e v=%s", cases[i].shown);
		log_event(LOG_INFO, "e", LOG_STR("v", cases[i].value));
		assert_string_equal(last_line(), expected);
		log_event(LOG_INFO, "e", LOG_BYTES("v", BYTES_STR(cases[i].value)));
		assert_string_equal(last_line(), expected);
	}
	log_event(LOG_INFO, "e", LOG_STR("v", NULL));
	assert_string_equal(last_line(), "info e v=\"\"");
	log_event(LOG_INFO, "e", LOG_BYTES("v", BYTES("a\0b", 3)));
	assert_string_equal(last_line(), "info e v=\"a\\x00b\"");
}

/* No value makes a second line, or a second pair: whatever is in it stays between its quotes. */
TEST(no_value_forges_a_line)
{
	log_event(LOG_WARN, "refused",
	    LOG_STR("account", "x\n2026-01-01T00:00:00.000Z info login account=root"), LOG_UINT("n", 1));
	assert_int_equal(count_lines(), 1);
	assert_string_equal(
	    last_line(), "warn refused account=\"x\\n2026-01-01T00:00:00.000Z info login account=root\" n=1");
	log_event(LOG_WARN, "refused", LOG_STR("account", "x\" admin=\"yes"));
	assert_int_equal(count_lines(), 2);
	assert_string_equal(last_line(), "warn refused account=\"x\\\" admin=\\\"yes\"");
	log_event(LOG_WARN, "refused", LOG_STR("account", "x\\"), LOG_STR("b", "c d"));
	assert_string_equal(last_line(), "warn refused account=\"x\\\\\" b=\"c d\"");
	for (int c = 0; c < 256; c++) {
		uint8_t one = (uint8_t)c;

		log_event(LOG_WARN, "refused", LOG_BYTES("account", BYTES(&one, 1)));
		assert_int_equal(count_lines(), (size_t)c + 4);
	}
}

TEST(levels)
{
	log_event(LOG_DEBUG, "e", LOG_UINT("n", 1));
	assert_int_equal(count_lines(), 0);
	log_set_level(LOG_DEBUG);
	log_event(LOG_DEBUG, "e", LOG_UINT("n", 2));
	assert_string_equal(last_line(), "debug e n=2");
	log_set_level(LOG_ERROR);
	log_event(LOG_WARN, "e", LOG_UINT("n", 3));
	assert_int_equal(count_lines(), 1);
	log_event(LOG_ERROR, "e", LOG_UINT("n", 4));
	assert_string_equal(last_line(), "error e n=4");
}

/* Around the greatest length, plain and with every character escaped: a whole line of bounded length, marked.
 */
TEST(long_values_are_cut)
{
	static char value[10000];

	for (int kind = 0; kind < 3; kind++) {
		for (size_t n = 950; n < sizeof(value);
		     n = n < 1100 || (n > 3900 && n < 4200) ? n + 1 : n + 97) {
			const char *line;
			bool whole;

			memset(value, kind == 0 ? 'x' : kind == 1 ? '\xff' : '"', n);
			value[n] = '\0';
			assert_int_equal(truncate(path, 0), 0);
			log_event(LOG_INFO, "e", LOG_STR("v", value), LOG_UINT("after", 1));
			assert_int_equal(count_lines(), 1);
			line = last_line();
			assert_true(strlen(line) + 25 + 1 <= 4096);
			whole = strstr(line, " after=1") != NULL;
			assert_int_equal(whole, !strstr(line, " truncated=yes"));
			if (kind > 0)
				assert_non_null(strstr(line, whole ? "\" after=1" : "\" truncated=yes"));
			if (n == 950)
				assert_true(whole);
		}
	}
}

TEST(errno_is_kept)
{
	errno = ENOENT;
	log_event(LOG_INFO, "e", LOG_UINT("n", 1));
	assert_int_equal(errno, ENOENT);
}

TEST(reopen_after_rotation)
{
	char rotated[220];
	struct stat st;

	log_event(LOG_INFO, "e", LOG_UINT("n", 1));
	snprintf(rotated, sizeof(rotated), "%s.1", path);
	assert_int_equal(rename(path, rotated), 0);
	log_event(LOG_INFO, "e", LOG_UINT("n", 2));
	assert_int_not_equal(stat(path, &st), 0);
	assert_ok(log_open(path));
	log_event(LOG_INFO, "e", LOG_UINT("n", 3));
	assert_string_equal(last_line(), "info e n=3");
	assert_int_equal(count_lines(), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0137, 0);
	/* Appended to, not cut. */
	assert_ok(log_open(path));
	log_event(LOG_INFO, "e", LOG_UINT("n", 4));
	assert_int_equal(count_lines(), 2);
}

TEST(a_file_that_does_not_open)
{
	char missing[300];

	snprintf(missing, sizeof(missing), "%s/no/such", dir);
	assert_err(log_open(missing), CHAT_ERR_IO);
	assert_int_equal(errno, ENOENT);
	log_event(LOG_INFO, "e", LOG_UINT("n", 1));
	assert_string_equal(last_line(), "info e n=1");
}

/* A full disk loses lines; the first that gets through says how many. */
TEST(a_write_that_fails)
{
	assert_ok(log_open("/dev/full"));
	for (int i = 0; i < 3; i++)
		log_event(LOG_INFO, "e", LOG_UINT("n", 1));
	assert_ok(log_open(path));
	log_event(LOG_INFO, "e", LOG_UINT("n", 4));
	assert_string_equal(last_line(), "info e lost_lines=3 n=4");
	log_event(LOG_INFO, "e", LOG_UINT("n", 5));
	assert_string_equal(last_line(), "info e n=5");
}

#define THREADS 4
#define LINES   500

static void *
write_lines(void *arg)
{
	for (unsigned i = 0; i < LINES; i++) {
		log_event(LOG_INFO, "e", LOG_STR("thread", arg), LOG_UINT("n", i), LOG_STR("end", "here"));
		if (i % 100 == 0)
			assert_ok(log_open(path));
	}
	free(arg);
	return NULL;
}

/* From several threads, reopened all the while: every line once and whole. */
TEST(threads)
{
	static const char *const names[THREADS] = {"a", "b", "c", "d"};
	pthread_t threads[THREADS];
	unsigned next[THREADS] = {0};
	char *text, *line, *rest;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, strdup(names[i])), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	text = rest = read_log();
	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		char thread;
		unsigned n;
		int used = 0;

		assert_int_equal(
		    sscanf(line + 25, "info e thread=%c n=%u end=here%n", &thread, &n, &used), 2);
		assert_int_equal(strlen(line + 25), used);
		assert_int_equal(n, next[thread - 'a']++);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(next[i], LINES);
	free(text);
}

TEST(limit_lets_a_burst_through_then_a_rate)
{
	struct log_limit limit = {.burst = 3, .per_min = 60};
	uint64_t suppressed = 77, now = 1000000;

	for (int i = 0; i < 3; i++) {
		suppressed = 77;
		assert_true(log_limit_pass(&limit, now, &suppressed));
		assert_int_equal(suppressed, 0);
	}
	suppressed = 77;
	assert_false(log_limit_pass(&limit, now, &suppressed));
	assert_false(log_limit_pass(&limit, now + 999, &suppressed));
	assert_int_equal(suppressed, 77);
	/* One a second from here on, and it says what was dropped. */
	assert_true(log_limit_pass(&limit, now + 1000, &suppressed));
	assert_int_equal(suppressed, 2);
	assert_false(log_limit_pass(&limit, now + 1999, &suppressed));
	assert_true(log_limit_pass(&limit, now + 2000, &suppressed));
	assert_int_equal(suppressed, 1);
	/* After a rest the burst is whole again, and not greater. */
	now += 1000000;
	for (int i = 0; i < 3; i++)
		assert_true(log_limit_pass(&limit, now, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_limit_pass(&limit, now, &suppressed));
}

TEST(limit_from_the_start_of_the_clock)
{
	struct log_limit limit = {.burst = 1, .per_min = 1};
	uint64_t suppressed;

	assert_true(log_limit_pass(&limit, 0, &suppressed));
	assert_false(log_limit_pass(&limit, 0, &suppressed));
	assert_false(log_limit_pass(&limit, 59999, &suppressed));
	assert_true(log_limit_pass(&limit, 60000, &suppressed));
	assert_int_equal(suppressed, 2);
	assert_false(log_limit_pass(&limit, 60001, &suppressed));
}

/* A thread may bring a time a little older than what another has used. */
TEST(limit_with_a_time_that_goes_back)
{
	struct log_limit limit = {.burst = 2, .per_min = 60};
	uint64_t suppressed;

	assert_true(log_limit_pass(&limit, 5000, &suppressed));
	assert_false(log_limit_pass(&limit, 4900, &suppressed));
	assert_true(log_limit_pass(&limit, 5000, &suppressed));
	assert_int_equal(suppressed, 1);
}

static struct log_limit shared_limit = {.burst = 100, .per_min = 1};
static _Atomic unsigned passed, dropped;

static void *
pass_lines(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++) {
		uint64_t suppressed = 0;

		if (log_limit_pass(&shared_limit, 5, &suppressed))
			passed++;
		else
			dropped++;
	}
	return NULL;
}

TEST(limit_from_threads)
{
	pthread_t threads[THREADS];
	uint64_t suppressed;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pass_lines, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(passed, 100);
	assert_int_equal(dropped, THREADS * 1000 - 100);
	assert_true(log_limit_pass(&shared_limit, 60005, &suppressed));
	assert_true(suppressed <= dropped);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_line, open_log, close_log),
	    cmocka_unit_test_setup_teardown(values_are_quoted_where_needed, open_log, close_log),
	    cmocka_unit_test_setup_teardown(no_value_forges_a_line, open_log, close_log),
	    cmocka_unit_test_setup_teardown(levels, open_log, close_log),
	    cmocka_unit_test_setup_teardown(long_values_are_cut, open_log, close_log),
	    cmocka_unit_test_setup_teardown(errno_is_kept, open_log, close_log),
	    cmocka_unit_test_setup_teardown(reopen_after_rotation, open_log, close_log),
	    cmocka_unit_test_setup_teardown(a_file_that_does_not_open, open_log, close_log),
	    cmocka_unit_test_setup_teardown(a_write_that_fails, open_log, close_log),
	    cmocka_unit_test_setup_teardown(threads, open_log, close_log),
	    cmocka_unit_test(limit_lets_a_burst_through_then_a_rate),
	    cmocka_unit_test(limit_from_the_start_of_the_clock),
	    cmocka_unit_test(limit_with_a_time_that_goes_back),
	    cmocka_unit_test(limit_from_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
