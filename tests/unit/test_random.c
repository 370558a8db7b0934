/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/random.h"

/* The kernel's answer, cut short and interrupted where a test says so (the linker's --wrap). */
static size_t most = SIZE_MAX;
static unsigned interruptions;
ssize_t __real_getrandom(void *ret, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *ret, size_t n, unsigned flags);

ssize_t
__wrap_getrandom(void *ret, size_t n, unsigned flags)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return __real_getrandom(ret, n < most ? n : most, flags);
}

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

/* A signal may end the system call with nothing, or with less than was asked for. */
TEST(goes_on_after_a_signal)
{
	uint8_t seen[300] = {0}, got[301];

	for (most = 7; most < 300; most += 97) {
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 64; i++) {
			interruptions = 3;
			got[300] = 0;
			random_bytes(got, 300);
			assert_int_equal(got[300], 0);
			for (size_t j = 0; j < sizeof(seen); j++)
				seen[j] |= got[j];
		}
		for (size_t j = 0; j < sizeof(seen); j++)
			assert_int_not_equal(seen[j], 0);
	}
	most = SIZE_MAX;
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
	    cmocka_unit_test(goes_on_after_a_signal),
	    cmocka_unit_test(test_source_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
