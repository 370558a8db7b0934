/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <locale.h>

#include "base/utf8.h"
#include "client/filter.h"
#include "client/wrap.h"

static char *
filtered(const char *in, size_t len, enum filter_kind kind)
{
	struct text t = {0};
	char *s;

	filter_append(&t, BYTES(in, len), kind);
	assert_false(t.failed);
	s = strdup(text_cstr(&t));
	assert_non_null(s);
	assert_int_equal(strlen(s), t.buf.len);
	text_fini(&t);
	return s;
}

static void
expect_of(const char *in, size_t len, enum filter_kind kind, const char *expected)
{
	char *got = filtered(in, len, kind);

	assert_string_equal(got, expected);
	assert_int_equal(
	    filter_clean(BYTES(in, len), kind), len == strlen(expected) && memcmp(in, got, len) == 0);
	free(got);
}

#define body_is(in, expected) expect_of(in, sizeof(in) - 1, FILTER_BODY, expected)
#define name_is(in, expected) expect_of(in, sizeof(in) - 1, FILTER_NAME, expected)

TEST(what_is_harmless_passes)
{
	body_is("", "");
	body_is("hello, world ~", "hello, world ~");
	body_is("gr\u00fc\u00dfe \u65e5\u672c\u8a9e \u05e9\u05dc\u05d5\u05dd",
	    "gr\u00fc\u00dfe \u65e5\u672c\u8a9e \u05e9\u05dc\u05d5\u05dd");
	/* A family by joiners, a heart by variation selector, the flag of a region by tags. */
	body_is("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467");
	body_is("\u2764\ufe0f", "\u2764\ufe0f");
	body_is("\U0001f3f4\U000e0067\U000e007f", "\U0001f3f4\U000e0067\U000e007f");
	name_is("ops~2", "ops~2");
	name_is("caf\u00e9", "caf\u00e9");
}

TEST(controls_are_shown)
{
	body_is("\x1b[2J\x1b]0;title\x07", "^[[2J^[]0;title^G");
	body_is("a\rb\nc\bd", "a^Mb^Jc^Hd");
	body_is("a\0b", "a^@b");
	body_is("\x7f", "^?");
	body_is("\xc2\x9b"
		"31m",
	    "<U+009B>31m");
	body_is("\xc2\x85", "<U+0085>");
	body_is("a\tb", "a    b");
	name_is("a\tb", "a^Ib");
}

TEST(directions_are_shown)
{
	body_is("user\u202e\u2066exe.txt", "user<U+202E><U+2066>exe.txt");
	body_is("\u200e\u200f\u061c", "<U+200E><U+200F><U+061C>");
	body_is("\ufeff\u2028\u2029", "<U+FEFF><U+2028><U+2029>");
}

TEST(bytes_that_are_no_utf8_are_shown)
{
	body_is("a\xff"
		"b",
	    "a<FF>b");
	body_is("\xc0\x9b", "<C0><9B>");         /* overlong ESC-like forms */
	body_is("\xed\xa0\x80", "<ED><A0><80>"); /* a surrogate */
	body_is("\xf4\x90\x80\x80", "<F4><90><80><80>");
	body_is("\xe2\x80", "<E2><80>"); /* cut off */
	body_is("\x9b"
		"31m",
	    "<9B>31m"); /* CSI of an 8-bit terminal */
}

TEST(what_stands_for_nothing_is_shown)
{
	body_is("\ufffe\uffff", "<U+FFFE><U+FFFF>");
	body_is("\U0001fffe", "<U+1FFFE>");
	body_is("\ufdd0", "<U+FDD0>");
	body_is("\U000e0001", "<U+E0001>");
	body_is("\ufff9x\ufffb", "<U+FFF9>x<U+FFFB>");
}

/* bob and bo<zero width space>b must not look alike. */
TEST(names_hide_nothing)
{
	name_is("bo\u200b"
		"b",
	    "bo<U+200B>b");
	name_is("ops\xc2\xa0", "ops<U+00A0>");
	name_is("ops\u3164", "ops<U+3164>");
	name_is("o\u00adps", "o<U+00AD>ps");
	name_is("\u2764\ufe0f", "\u2764<U+FE0F>");
	name_is("a\u2003"
		"b",
	    "a<U+2003>b");
}

TEST(marks_do_not_pile_up)
{
	char in[2 * 20 + 2] = "e";
	char *got;

	for (size_t i = 0; i < 20; i++)
		memcpy(in + 1 + 2 * i, "\xcc\x81", 2); /* U+0301 */
	got = filtered(in, 41, FILTER_BODY);
	assert_int_equal(filter_columns(BYTES_STR(got)), 1 + 12 * strlen("<U+0301>"));
	free(got);
	/* As many as a script needs. */
	body_is("e\u0301\u0301\u0301\u0301", "e\u0301\u0301\u0301\u0301");
}

/* Whatever comes in: what comes out is UTF-8 of one line without controls, and passes again unchanged. */
TEST(anything)
{
	uint64_t seed = 7;

	for (unsigned round = 0; round < 2000; round++) {
		char in[64];
		size_t len = unit_rand(&seed) % sizeof(in);
		enum filter_kind kind = unit_rand(&seed) % 2 ? FILTER_BODY : FILTER_NAME;
		char *got;
		uint32_t c;

		for (size_t i = 0; i < len; i++)
			in[i] = (char)unit_rand(&seed);
		got = filtered(in, len, kind);
		assert_true(utf8_valid(BYTES_STR(got)));
		for (struct bytes left = BYTES_STR(got); left.len > 0;) {
			size_t n = utf8_decode(left, &c);

			assert_false(utf8_is_control(c));
			left = BYTES(left.data + n, left.len - n);
		}
		assert_true(filter_clean(BYTES_STR(got), kind));
		free(got);
	}
}

static void
wraps(const char *line, unsigned columns, unsigned indent, const char *expected)
{
	struct text t = {0};

	wrap_append(&t, BYTES_STR(line), columns, indent);
	assert_false(t.failed);
	assert_string_equal(text_cstr(&t), expected);
	text_fini(&t);
}

TEST(rows)
{
	wraps("", 40, 4, "\n");
	wraps("short", 40, 4, "short\n");
	wraps("one two three four five", 21, 4, "one two three four\n    five\n");
	wraps("one two three four five six seven eight", 0, 4, "one two three four five six seven eight\n");
	wraps("one two three four five six seven eight", 19, 4, "one two three four five six seven eight\n");
	/* Exactly what fits, and one more. */
	wraps("12345678901234567890", 21, 4, "12345678901234567890\n");
	wraps("12345678901234567890x", 21, 4, "12345678901234567890\n    x\n");
	wraps("12345678901234567890 y", 21, 4, "12345678901234567890\n    y\n");
	/* A word longer than a row is broken, the space before it is no reason to waste one. */
	wraps("a 1234567890123456789012345678", 21, 4, "a 123456789012345678\n    9012345678\n");
}

TEST(rows_of_wide_characters)
{
	/* Ten of them are twenty columns. */
	wraps("\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u672c", 21, 4,
	    "\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\n    \u672c\n");
	/* Half of one does not fit. */
	wraps("x\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5", 21, 4,
	    "x\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\u65e5\n    \u65e5\n");
}

/* No row of a text begins in the first column, whatever it is made of. */
TEST(no_row_looks_like_a_line)
{
	uint64_t seed = 3;
	static const char *const parts[] = {
	    " ", "  ", "a", "word", "\u65e5", "e\u0301", "09:41 [ops] <bob> hi"};

	for (unsigned round = 0; round < 500; round++) {
		struct text line = {0}, t = {0};
		const char *row;

		text_str(&line, "09:41 [ops] <eve> ");
		for (unsigned i = 0; i < 40; i++)
			text_str(&line, parts[unit_rand(&seed) % ARRAY_LEN(parts)]);
		wrap_append(&t, buf_bytes(&line.buf), 40, 8);
		row = text_cstr(&t);
		for (bool first = true; *row; first = false) {
			const char *nl = strchr(row, '\n');

			assert_true(first || strncmp(row, "        ", 8) == 0);
			assert_true(filter_columns(BYTES(row, (size_t)(nl - row))) < 40);
			row = nl + 1;
		}
		text_fini(&line);
		text_fini(&t);
	}
}

/* For a terminal of another character set.  The last test: it is for the whole process. */
TEST(only_ascii)
{
	filter_ascii_only();
	body_is("plain ~", "plain ~");
	body_is("\u00db31m", "<U+00DB>31m"); /* its second byte is CSI where there is no UTF-8 */
	name_is("caf\u00e9", "caf<U+00E9>");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_harmless_passes),
	    cmocka_unit_test(controls_are_shown),
	    cmocka_unit_test(directions_are_shown),
	    cmocka_unit_test(bytes_that_are_no_utf8_are_shown),
	    cmocka_unit_test(what_stands_for_nothing_is_shown),
	    cmocka_unit_test(names_hide_nothing),
	    cmocka_unit_test(marks_do_not_pile_up),
	    cmocka_unit_test(anything),
	    cmocka_unit_test(rows),
	    cmocka_unit_test(rows_of_wide_characters),
	    cmocka_unit_test(no_row_looks_like_a_line),
	    cmocka_unit_test(only_ascii),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
