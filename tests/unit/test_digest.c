/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/digest.h"

TEST(zero)
{
	struct digest d = {{0}};

	assert_true(digest_is_zero(&d));
	assert_true(digest_is_zero(&digest_zero));
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		d.b[i] = 1;
		assert_false(digest_is_zero(&d));
		assert_false(digest_equal(&d, &digest_zero));
		d.b[i] = 0;
	}
	assert_true(digest_equal(&d, &digest_zero));
}

TEST(order)
{
	struct digest a = {{1}}, b = {{2}}, c = {{1}};

	c.b[31] = 0xff;
	assert_true(digest_compare(&a, &b) < 0);
	assert_true(digest_compare(&b, &a) > 0);
	assert_true(digest_compare(&a, &a) == 0);
	assert_true(digest_compare(&a, &c) < 0);
	assert_true(digest_compare(&c, &b) < 0);
}

TEST(from_bytes)
{
	static const uint8_t in[33] = {1, 2, 3, [31] = 9, [32] = 10};
	struct digest d = {{7}};

	assert_false(digest_from_bytes(BYTES(in, 31), &d));
	assert_false(digest_from_bytes(BYTES(in, 33), &d));
	assert_false(digest_from_bytes(BYTES_EMPTY, &d));
	assert_int_equal(d.b[0], 7);
	assert_true(digest_from_bytes(BYTES(in, 32), &d));
	assert_bytes_equal(digest_bytes(&d), BYTES(in, 32));
}

TEST(hex)
{
	struct digest d = {{0x00, 0x0f, 0xf0, 0xab, [31] = 0xff}};
	char text[DIGEST_HEX_CHARS + 1];
	uint8_t back[32];

	digest_hex(&d, text);
	assert_string_equal(text, "000ff0ab000000000000000000000000000000000000000000000000000000ff");
	assert_true(hex_decode(text, back, sizeof(back)));
	assert_memory_equal(back, d.b, 32);
	hex_encode(BYTES_EMPTY, text);
	assert_string_equal(text, "");
}

TEST(hex_decode_is_exact)
{
	uint8_t out[2];

	assert_true(hex_decode("aBCd", out, 2));
	assert_memory_equal(out, "\xab\xcd", 2);
	assert_true(hex_decode("", out, 0));
	assert_false(hex_decode("abc", out, 2));
	assert_false(hex_decode("ab", out, 2));
	assert_false(hex_decode("", out, 2));
	assert_false(hex_decode("abcde", out, 2));
	assert_false(hex_decode("abcdef", out, 2));
	assert_false(hex_decode("a", out, 0));
	assert_false(hex_decode("abcd\n", out, 2));
}

/* Every byte that is not a hex digit, in both places. */
TEST(hex_decode_refuses_other_characters)
{
	for (int c = 1; c < 256; c++) {
		char text[3] = {(char)c, '0', '\0'};
		uint8_t out;
		bool is_digit = strchr("0123456789abcdefABCDEF", c) != NULL;

		assert_int_equal(hex_decode(text, &out, 1), is_digit);
		text[0] = '0';
		text[1] = (char)c;
		assert_int_equal(hex_decode(text, &out, 1), is_digit);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zero),
	    cmocka_unit_test(order),
	    cmocka_unit_test(from_bytes),
	    cmocka_unit_test(hex),
	    cmocka_unit_test(hex_decode_is_exact),
	    cmocka_unit_test(hex_decode_refuses_other_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
