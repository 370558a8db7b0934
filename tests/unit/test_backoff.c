/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "libchat/backoff.h"

/* A random source that gives one number. */
static uint32_t number;

static void
fill_number(void *ctx, void *ret, size_t n)
{
	(void)ctx;
	assert_int_equal(n, sizeof(number));
	memcpy(ret, &number, n);
}

static const struct random_source fixed = {fill_number, NULL};

TEST(doubles_up_to_the_most)
{
	static const uint64_t full[] = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
	struct backoff low, high;

	backoff_init(&low, &fixed);
	backoff_init(&high, &fixed);
	for (size_t i = 0; i < ARRAY_LEN(full); i++) {
		number = 0;
		assert_int_equal(backoff_next_ms(&low, 0), full[i] / 2);
		number = (uint32_t)(full[i] / 2);
		assert_int_equal(backoff_next_ms(&high, 0), full[i]);
	}
	for (int i = 0; i < 1000; i++)
		assert_true(backoff_next_ms(&low, 0) <= BACKOFF_MAX_MS);
}

TEST(spread)
{
	struct backoff b;
	uint64_t seed = 1, least = UINT64_MAX, most = 0;
	struct random_source random = unit_random(&seed);

	for (int i = 0; i < 1000; i++) {
		uint64_t ms;

		backoff_init(&b, &random);
		ms = backoff_next_ms(&b, 0);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_true(least >= 100 && least < 105);
	assert_true(most <= 200 && most > 195);
}

TEST(a_good_connection_begins_anew)
{
	struct backoff b;

	number = 0;
	backoff_init(&b, &fixed);
	for (int i = 0; i < 6; i++)
		(void)backoff_next_ms(&b, 0);
	/* One that was cut at once was none. */
	backoff_stood(&b, BACKOFF_STABLE_MS - 1);
	assert_int_equal(backoff_next_ms(&b, 0), 6400);
	backoff_stood(&b, BACKOFF_STABLE_MS);
	assert_int_equal(backoff_next_ms(&b, 0), 100);
}

TEST(the_server_asks_for_more)
{
	struct backoff b;

	number = 0;
	backoff_init(&b, &fixed);
	assert_int_equal(backoff_next_ms(&b, 7000), 7000);
	assert_int_equal(backoff_next_ms(&b, 10), 200);
	assert_int_equal(backoff_next_ms(&b, UINT64_MAX), 3600000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(doubles_up_to_the_most),
	    cmocka_unit_test(spread),
	    cmocka_unit_test(a_good_connection_begins_anew),
	    cmocka_unit_test(the_server_asks_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
