/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>

#include "proto/limits.h"
#include "server/login_delay.h"

static const struct login_delay_limits limits = {.base_ms = 1000, .max_ms = 30000, .per_address = 3};

static struct net_addr
addr_of(uint32_t n)
{
	return (struct net_addr){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, (uint8_t)(n >> 16),
				     (uint8_t)(n >> 8), (uint8_t)n}};
}

/* The delays of failures one after the other, each from another address. */
static uint64_t
fail_account(struct login_delay *ld, const char *name, uint64_t now_ms)
{
	static uint32_t fresh;
	struct net_addr addr = addr_of(++fresh);

	return login_delay_failed(ld, &addr, BYTES_STR(name), &limits, now_ms);
}

TEST(grows_by_account)
{
	static const uint64_t expected[] = {1000, 1000, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	struct login_delay *ld;

	assert_ok(login_delay_new(&ld));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_int_equal(fail_account(ld, "alice", 1000), expected[i]);
	/* Others are not delayed by that. */
	assert_int_equal(fail_account(ld, "bob", 1000), 1000);
	login_delay_free(ld);
}

TEST(grows_by_address)
{
	struct net_addr addr = addr_of(77), neighbour = addr_of(78);
	struct login_delay *ld;
	char name[16];

	assert_ok(login_delay_new(&ld));
	for (unsigned i = 0; i < 16; i++) {
		uint64_t expected = 1000;

		snprintf(name, sizeof name, "user%u", i);
		for (unsigned j = LOGIN_DELAY_FREE_ADDRESS; j <= i; j++)
			expected = expected * 2 > 30000 ? 30000 : expected * 2;
		assert_int_equal(login_delay_failed(ld, &addr, BYTES_STR(name), &limits, 5), expected);
	}
	assert_int_equal(login_delay_failed(ld, &neighbour, BYTES_STR("carol"), &limits, 5), 1000);
	login_delay_free(ld);
}

TEST(is_forgotten_in_time_and_by_success)
{
	struct net_addr addr = addr_of(1);
	struct login_delay *ld;

	assert_ok(login_delay_new(&ld));
	for (unsigned i = 0; i < 6; i++)
		fail_account(ld, "alice", 1000);
	assert_int_equal(fail_account(ld, "alice", 1000 + LOGIN_FAIL_FORGET_MS - 1), 16000);
	assert_int_equal(fail_account(ld, "alice", 1000 + 2 * LOGIN_FAIL_FORGET_MS - 1), 1000);
	for (unsigned i = 0; i < 6; i++)
		fail_account(ld, "bob", 1000);
	login_delay_right(ld, BYTES_STR("bob"));
	assert_int_equal(fail_account(ld, "bob", 1000), 1000);
	/* An address does not buy itself free with an account of its own. */
	for (unsigned i = 0; i < LOGIN_DELAY_FREE_ADDRESS; i++)
		login_delay_failed(ld, &addr, BYTES_STR("carol"), &limits, 1000);
	login_delay_right(ld, BYTES_STR("carol"));
	assert_int_equal(login_delay_failed(ld, &addr, BYTES_STR("dave"), &limits, 1000), 2000);
	login_delay_right(ld, BYTES_STR("nobody"));
	login_delay_free(ld);
}

TEST(few_at_a_time_from_one_address)
{
	struct net_addr addr = addr_of(1), other = addr_of(2);
	struct login_delay *ld;

	assert_ok(login_delay_new(&ld));
	for (unsigned i = 0; i < limits.per_address; i++)
		assert_ok(login_delay_begin(ld, &addr, &limits));
	assert_err(login_delay_begin(ld, &addr, &limits), CHAT_ERR_BUSY);
	assert_ok(login_delay_begin(ld, &other, &limits));
	login_delay_end(ld, &addr);
	assert_ok(login_delay_begin(ld, &addr, &limits));
	assert_err(login_delay_begin(ld, &addr, &limits), CHAT_ERR_BUSY);
	for (unsigned i = 0; i < limits.per_address; i++)
		login_delay_end(ld, &addr);
	login_delay_end(ld, &other);
	/* Who has neither failed nor is at it is not remembered. */
	assert_int_equal(login_delay_count(ld), 0);
	login_delay_free(ld);
}

/* However many names and addresses there are: the tables do not grow, and of the newest the delay still does.
 */
TEST(tables_are_bounded)
{
	struct login_delay *ld;
	struct net_addr addr, held = addr_of(0xffffff);
	char name[32];

	assert_ok(login_delay_new(&ld));
	assert_ok(login_delay_begin(ld, &held, &limits));
	for (uint32_t i = 0; i < 3 * LOGIN_FAIL_ENTRIES_MAX; i++) {
		addr = addr_of(i);
		snprintf(name, sizeof name, "user%u", i);
		assert_int_equal(login_delay_failed(ld, &addr, BYTES_STR(name), &limits, i), 1000);
		assert_true(login_delay_count(ld) <= 2 * LOGIN_FAIL_ENTRIES_MAX);
	}
	assert_int_equal(login_delay_count(ld), 2 * LOGIN_FAIL_ENTRIES_MAX);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fail_account(ld, name, 100000), 1000);
	assert_int_equal(fail_account(ld, name, 100000), 2000);
	/* The one under way was not pushed out. */
	for (unsigned i = 1; i < limits.per_address; i++)
		assert_ok(login_delay_begin(ld, &held, &limits));
	assert_err(login_delay_begin(ld, &held, &limits), CHAT_ERR_BUSY);
	login_delay_free(ld);
}

TEST(full_of_those_under_way)
{
	struct login_delay *ld;
	struct net_addr addr;

	assert_ok(login_delay_new(&ld));
	for (uint32_t i = 0; i < LOGIN_FAIL_ENTRIES_MAX; i++) {
		addr = addr_of(i);
		assert_ok(login_delay_begin(ld, &addr, &limits));
	}
	addr = addr_of(LOGIN_FAIL_ENTRIES_MAX);
	assert_err(login_delay_begin(ld, &addr, &limits), CHAT_ERR_NOMEM);
	/* What cannot be remembered gets the longest delay. */
	assert_int_equal(login_delay_failed(ld, &addr, BYTES_STR("x"), &limits, 1), 30000);
	login_delay_free(ld);
}

TEST(limits_of_nothing)
{
	struct login_delay_limits none = {.base_ms = 0, .max_ms = 0, .per_address = 1};
	struct net_addr addr = addr_of(1);
	struct login_delay *ld;

	assert_ok(login_delay_new(&ld));
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(login_delay_failed(ld, &addr, BYTES_STR("x"), &none, 1), 0);
	login_delay_free(ld);
	login_delay_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grows_by_account),
	    cmocka_unit_test(grows_by_address),
	    cmocka_unit_test(is_forgotten_in_time_and_by_success),
	    cmocka_unit_test(few_at_a_time_from_one_address),
	    cmocka_unit_test(tables_are_bounded),
	    cmocka_unit_test(full_of_those_under_way),
	    cmocka_unit_test(limits_of_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
