/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <unistd.h>

#include "client/input.h"

/* Feeds it in pieces of n bytes; the lines, each with "|", a line dropped as "!". */
static char *
lines_of(const char *data, size_t len, size_t n, size_t max_bytes)
{
	struct input in = {.max_bytes = max_bytes};
	struct buf got = {0};
	int fds[2];
	uint8_t *s;

	assert_int_equal(pipe(fds), 0);
	while (!in.end) {
		struct bytes line;
		enum input_result result;
		size_t some = len < n ? len : n;

		if (some > 0) {
			assert_int_equal(write(fds[1], data, some), some);
			data += some;
			len -= some;
		} else if (fds[1] >= 0) {
			close(fds[1]);
			fds[1] = -1;
		}
		input_read(&in, fds[0]);
		while ((result = input_next(&in, &line)) != INPUT_NONE) {
			if (result == INPUT_TOO_LONG) {
				assert_ok(buf_append_str(&got, "!"));
				continue;
			}
			assert_ok(buf_append(&got, line.data, line.len));
			assert_ok(buf_append_str(&got, "|"));
		}
		assert_true(input_empty(&in));
		/* What is kept is bounded. */
		assert_true(in.buf.len - in.taken <= max_bytes);
	}
	assert_false(in.failed);
	assert_ok(buf_append(&got, "", 1));
	close(fds[0]);
	input_fini(&in);
	buf_steal(&got, &s, &len);
	return (char *)s;
}

static void
gives(const char *data, const char *expected)
{
	for (size_t n = 1; n <= strlen(data) + 1; n++) {
		char *got = lines_of(data, strlen(data), n, 8);

		assert_string_equal(got, expected);
		free(got);
	}
}

TEST(lines)
{
	gives("", "");
	gives("\n", "|");
	gives("one\ntwo\n\nthree\n", "one|two||three|");
	gives("one\nlast", "one|last|");
}

TEST(too_long)
{
	gives("12345678\n", "12345678|");
	gives("123456789\n", "!");
	gives("a\n123456789 and much more\nb\n", "a|!b|");
	gives("123456789 and much more", "!");
	gives("123456789\n123456789\n12345678", "!!12345678|");
}

TEST(numbers_of_lines)
{
	struct input in = {.max_bytes = 3};
	struct bytes line;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\nlong\nb\n", 9), 9);
	input_read(&in, fds[0]);
	assert_int_equal(input_next(&in, &line), INPUT_LINE);
	assert_int_equal(in.line, 1);
	assert_int_equal(input_next(&in, &line), INPUT_TOO_LONG);
	assert_int_equal(in.line, 2);
	assert_false(input_empty(&in));
	assert_int_equal(input_next(&in, &line), INPUT_LINE);
	assert_int_equal(in.line, 3);
	assert_bytes_equal(line, BYTES_STR("b"));
	close(fds[0]);
	close(fds[1]);
	/* Reading fails: that is the end. */
	input_read(&in, fds[0]);
	assert_true(in.end && in.failed);
	input_fini(&in);
}

TEST(any_bytes)
{
	char *got = lines_of("a\0b\n\xff\n", 6, 6, 8);

	assert_memory_equal(got, "a\0b|\xff|", 7);
	free(got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(numbers_of_lines),
	    cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
