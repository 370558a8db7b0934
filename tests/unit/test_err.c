/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

TEST(names_are_stable)
{
	assert_string_equal(chat_err_name(CHAT_OK), "ok");
	assert_string_equal(chat_err_name(CHAT_ERR_NOMEM), "nomem");
	assert_string_equal(chat_err_name(CHAT_ERR_CONFLICT), "conflict");
	assert_int_equal(CHAT_ERR_UNSUPPORTED, 100);
	assert_int_equal(CHAT_ERR_STALE, 110);
	assert_int_equal(CHAT_ERR_EVICTED, 125);
}

/* Names are words for key=value lines; names and sentences are each used once. */
TEST(every_error_has_its_own_texts)
{
	static const enum chat_err all[] = {
#define LIST(constant, number, name, sentence) constant,
	    CHAT_ERRORS(LIST)
#undef LIST
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *name = chat_err_name(all[i]), *sentence = chat_strerror(all[i]);

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		assert_int_equal(sentence[strlen(sentence) - 1], '.');
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(all[i], all[j]);
			assert_string_not_equal(name, chat_err_name(all[j]));
			assert_string_not_equal(sentence, chat_strerror(all[j]));
		}
	}
}

TEST(unlisted_number)
{
	/* A newer server may send one; the range of the enum's type covers it. */
	assert_string_equal(chat_err_name((enum chat_err)99), "unknown");
	assert_string_equal(chat_strerror((enum chat_err)99), "Unknown error.");
	assert_string_equal(chat_err_name((enum chat_err)4000000), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_stable),
	    cmocka_unit_test(every_error_has_its_own_texts),
	    cmocka_unit_test(unlisted_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
