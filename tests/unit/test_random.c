/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/random.h"

/* All sizes up to where the kernel may give less than asked for; nothing behind the end is touched. */
TEST(fills_exactly)
{
	static uint8_t once[600], twice[600];

	for (size_t n = 0; n < sizeof(once) - 1; n++) {
		memset(once, 0, sizeof(once));
		memset(twice, 0, sizeof(twice));
		random_bytes(once, n);
		random_kernel.fill(random_kernel.ctx, twice, n);
		assert_int_equal(once[n], 0);
		assert_int_equal(twice[n], 0);
		/* 2^-128 at 16 bytes. */
		if (n >= 16)
			assert_memory_not_equal(once, twice, n);
	}
}

TEST(every_byte_is_random)
{
	uint8_t seen[300] = {0}, got[300];

	/* Each byte stays zero through 64 fills with probability 2^-512. */
	for (int i = 0; i < 64; i++) {
		random_bytes(got, sizeof(got));
		for (size_t j = 0; j < sizeof(got); j++)
			seen[j] |= got[j];
	}
	for (size_t j = 0; j < sizeof(seen); j++)
		assert_int_not_equal(seen[j], 0);
}

/* The source that other tests are driven by gives the same for the same start. */
TEST(test_source_repeats)
{
	uint64_t a = 5, b = 5, c = 6;
	struct random_source from_a = unit_random(&a), from_b = unit_random(&b), from_c = unit_random(&c);
	uint8_t x[32], y[32], z[32];

	from_a.fill(from_a.ctx, x, sizeof(x));
	from_b.fill(from_b.ctx, y, sizeof(y));
	from_c.fill(from_c.ctx, z, sizeof(z));
	assert_memory_equal(x, y, sizeof(x));
	assert_memory_not_equal(x, z, sizeof(x));
	from_a.fill(from_a.ctx, x, sizeof(x));
	assert_memory_not_equal(x, y, sizeof(x));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fills_exactly),
	    cmocka_unit_test(every_byte_is_random),
	    cmocka_unit_test(test_source_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
