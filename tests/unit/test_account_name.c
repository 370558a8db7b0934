/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/account_name.h"

TEST(names)
{
	static const char *const good[] = {"a", "0", "alice", "bob.smith", "a_b-c.", "9to5", "x--", "z..z",
	    "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggggggghhhhhhhh"};
	static const char *const bad[] = {"", ".a", "-a", "_a", "Alice", "al ice", " a", "a ", "a:b", "a,b",
	    "a/b", "a\n", "\xc3\xa4", "a\xc3\xa4", "a\x80", "a@b",
	    "aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffffgggggggghhhhhhhhi"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!account_name_valid(BYTES_STR(good[i])))
			fail_msg("'%s' is refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (account_name_valid(BYTES_STR(bad[i])))
			fail_msg("'%s' is accepted", bad[i]);
	assert_false(account_name_valid(BYTES("a\0b", 3)));
	assert_false(account_name_valid(BYTES_EMPTY));
}

/* Every byte, first and later: the rule as a list. */
TEST(every_byte)
{
	for (unsigned c = 0; c < 256; c++) {
		const uint8_t alone[] = {(uint8_t)c}, later[] = {'a', (uint8_t)c};
		bool first = c != 0 && strchr("abcdefghijklmnopqrstuvwxyz0123456789", (int)c) != NULL;
		bool any = first || c == '.' || c == '_' || c == '-';

		assert_int_equal(account_name_valid(BYTES_ARRAY(alone)), first);
		assert_int_equal(account_name_valid(BYTES_ARRAY(later)), any);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
