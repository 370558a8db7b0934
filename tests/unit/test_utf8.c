/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/utf8.h"

/* By the definition, for every number there is: encode, and expect it back exactly where a character is
 * allowed. */
TEST(every_character)
{
	for (uint32_t c = 0; c < 0x120000; c++) {
		uint8_t s[4];
		size_t n;
		uint32_t got = 0xffffffff;
		bool allowed = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);

		if (c < 0x80) {
			s[0] = (uint8_t)c;
			n = 1;
		} else if (c < 0x800) {
			s[0] = (uint8_t)(0xc0 | c >> 6);
			s[1] = (uint8_t)(0x80 | (c & 0x3f));
			n = 2;
		} else if (c < 0x10000) {
			s[0] = (uint8_t)(0xe0 | c >> 12);
			s[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
			s[2] = (uint8_t)(0x80 | (c & 0x3f));
			n = 3;
		} else {
			s[0] = (uint8_t)(0xf0 | c >> 18);
			s[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
			s[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
			s[3] = (uint8_t)(0x80 | (c & 0x3f));
			n = 4;
		}
		if (allowed) {
			if (utf8_decode(BYTES(s, n), &got) != n || got != c)
				fail_msg("U+%04X", c);
			/* Cut short it is nothing. */
			if (utf8_decode(BYTES(s, n - 1), &got) != 0)
				fail_msg("U+%04X cut", c);
		} else if (utf8_decode(BYTES(s, n), &got) != 0 || got != 0xffffffff) {
			fail_msg("U+%04X is not allowed", c);
		}
	}
}

/* Of all strings of two bytes, and of three with a lead of three, exactly the characters are valid. */
TEST(every_short_string)
{
	unsigned two = 0, three = 0;
	uint32_t c;

	for (unsigned i = 0; i < 0x10000; i++) {
		uint8_t s[] = {(uint8_t)(i >> 8), (uint8_t)i};

		two += utf8_decode(BYTES_ARRAY(s), &c) == 2;
	}
	assert_int_equal(two, 0x800 - 0x80);
	for (unsigned i = 0xe00000; i < 0xf00000; i++) {
		uint8_t s[] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

		three += utf8_decode(BYTES_ARRAY(s), &c) == 3;
	}
	assert_int_equal(three, 0x10000 - 0x800 - 0x800);
}

TEST(invalid)
{
	static const char *const bad[] = {
	    "\x80",                                         /* continuation without a lead */
	    "\xbf",                                         /* */
	    "\xc0\x80",                                     /* overlong NUL */
	    "\xc1\xbf",                                     /* overlong */
	    "\xe0\x9f\xbf",                                 /* overlong */
	    "\xf0\x8f\xbf\xbf",                             /* overlong */
	    "\xed\xa0\x80",                                 /* U+D800 */
	    "\xed\xbf\xbf",                                 /* U+DFFF */
	    "\xf4\x90\x80\x80",                             /* U+110000 */
	    "\xf5\x80\x80\x80",                             /* */
	    "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xc3", /* cut */
	    "\xe2\x82",                                     /* */
	    "\xf0\x9f\x98",                                 /* */
	    "\xc3(",                                        /* a lead, and then no continuation */
	    "\xe2(\xa1",                                    /* */
	    "\xe2\x82(",                                    /* */
	    "\xf0\x90(\xbc",                                /* */
	    "\xf0\x90\x8c(",                                /* */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char around[16] = "a";
		uint32_t c = 77;

		assert_false(utf8_valid(BYTES_STR(bad[i])));
		assert_int_equal(utf8_decode(BYTES_STR(bad[i]), &c), 0);
		assert_int_equal(c, 77);
		strlcat(around, bad[i], sizeof(around));
		assert_false(utf8_valid(BYTES_STR(around)));
		strlcat(around, "b", sizeof(around));
		assert_false(utf8_valid(BYTES_STR(around)));
	}
	assert_int_equal(utf8_decode(BYTES_EMPTY, &(uint32_t){0}), 0);
}

TEST(valid)
{
	assert_true(utf8_valid(BYTES_EMPTY));
	assert_true(utf8_valid(BYTES("a\0b", 3)));
	assert_true(utf8_valid(BYTES_STR("κόσμε – 世界 😀")));
	assert_int_equal(utf8_char_count(BYTES_STR("κόσμε – 世界 😀")), 12);
	assert_int_equal(utf8_char_count(BYTES_EMPTY), 0);
}

TEST(control_characters)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x2028, 0x202e},
	    {0x2066, 0x2069}, {0xfeff, 0xfeff}};

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		if (ranges[i].first > 0)
			assert_false(utf8_is_control(ranges[i].first - 1));
		for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++)
			assert_true(utf8_is_control(c));
		assert_false(utf8_is_control(ranges[i].last + 1));
	}
}

TEST(room_names)
{
	static const char *const good[] = {
	    "o", "ops", "the night watch", "ночная смена", "当直", "a/b:c", "~", "😀", "a\xc2\xa0z"};
	static const char *const bad[] = {"", " ", " ops", "ops ", "a\nb", "a\tb", "\x7f", "a\xc2\x85z",
	    "a\xe2\x80\xaez", "\xef\xbb\xbfops", "\xc2\xa0ops", "ops\xe3\x80\x80", "\xe2\x80\x83ops", "a\xff",
	    "\xed\xa0\x80"};
	char text[4 * 65 + 1] = "";

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(room_name_valid(BYTES_STR(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(room_name_valid(BYTES_STR(bad[i])));
	assert_false(room_name_valid(BYTES("a\0b", 3)));
	/* Characters are counted, not bytes. */
	for (int i = 0; i < 64; i++)
		strlcat(text, "😀", sizeof(text));
	assert_true(room_name_valid(BYTES_STR(text)));
	strlcat(text, "x", sizeof(text));
	assert_false(room_name_valid(BYTES_STR(text)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_character),
	    cmocka_unit_test(every_short_string),
	    cmocka_unit_test(invalid),
	    cmocka_unit_test(valid),
	    cmocka_unit_test(control_characters),
	    cmocka_unit_test(room_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
