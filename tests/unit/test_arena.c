/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/arena.h"
#include "failalloc.h"

TEST(hands_out_aligned_memory_that_does_not_overlap)
{
	struct arena arena;
	uint8_t *p[200];

	arena_init(&arena, 256, 1 << 20);
	for (size_t i = 0; i < 200; i++) {
		p[i] = arena_alloc(&arena, i);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % ARENA_ALIGN, 0);
		memset(p[i], (int)i, i);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal(p[i][j], i);
	}
	assert_false(arena.failed);
	arena_fini(&arena);
}

TEST(no_memory_is_taken_before_it_is_needed)
{
	struct arena arena;

	arena_init(&arena, 4096, 4096);
	assert_int_equal(arena.held_bytes, 0);
	arena_reset(&arena);
	arena_reset_secret(&arena);
	assert_int_equal(arena.held_bytes, 0);
	arena_fini(&arena);
}

TEST(after_a_reset_the_kept_block_serves_without_malloc)
{
	struct arena arena;

	arena_init(&arena, 4096, 1 << 20);
	void *first = arena_alloc(&arena, 100);
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&arena, 1000));
	assert_true(arena.held_bytes > 4096);
	arena_reset(&arena);
	assert_int_equal(arena.held_bytes, 4096);

	failalloc_arm(0);
	void *again = arena_alloc(&arena, 100);
	void *more = arena_alloc(&arena, 2000);
	assert_false(failalloc_disarm());
	assert_ptr_equal(again, first);
	assert_non_null(more);
	arena_fini(&arena);
}

TEST(never_holds_more_than_its_maximum)
{
	struct arena arena;
	size_t total = 0;

	arena_init(&arena, 1024, 10000);
	while (arena_alloc(&arena, 64) != NULL)
		total += 64;
	assert_true(arena.held_bytes <= 10000);
	assert_true(total <= 10000);
#ifndef __SANITIZE_ADDRESS__ /* which puts a gap behind each */
	assert_true(total > 10000 - 1024);
#endif
	assert_true(arena.failed);
	assert_true(arena.full);

	/* It stays said until the reset, and then all is well again. */
	assert_null(arena_alloc(&arena, 64));
	assert_true(arena.failed);
	arena_reset(&arena);
	assert_false(arena.failed);
	assert_false(arena.full);
	assert_non_null(arena_alloc(&arena, 64));
	arena_fini(&arena);
}

TEST(what_cannot_fit_is_refused_at_once)
{
	struct arena arena;

	arena_init(&arena, 1024, 8192);
	assert_null(arena_alloc(&arena, 8193));
	assert_true(arena.full);
	arena_reset(&arena);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX - 8));
	assert_true(arena.full);
	assert_int_equal(arena.held_bytes, 0);
	/* Larger than the first block, but allowed: it gets a block of its own. */
	arena_reset(&arena);
	uint8_t *large = arena_alloc(&arena, 5000);
	assert_non_null(large);
	memset(large, 1, 5000);
	arena_fini(&arena);
}

TEST(exactly_full_is_not_too_full)
{
	struct arena arena;

	arena_init(&arena, 1024, 1024);
#ifdef __SANITIZE_ADDRESS__
	assert_non_null(arena_alloc(&arena, 1024 - ARENA_ALIGN));
#else
	assert_non_null(arena_alloc(&arena, 1024));
#endif
	assert_false(arena.failed);
	assert_null(arena_alloc(&arena, 1));
	assert_true(arena.full);
	arena_fini(&arena);
}

TEST(a_failing_malloc_is_not_full)
{
	struct arena arena;

	arena_init(&arena, 1024, 8192);
	failalloc_arm(0);
	void *p = arena_alloc(&arena, 16);
	assert_true(failalloc_disarm());
	assert_null(p);
	assert_true(arena.failed);
	assert_false(arena.full);
	assert_int_equal(arena.held_bytes, 0);
	/* The next one may succeed; the failure is still told. */
	assert_non_null(arena_alloc(&arena, 16));
	assert_true(arena.failed);
	arena_fini(&arena);
}

TEST(a_copy_is_a_copy)
{
	struct arena arena;
	char text[] = "some text";
	struct bytes copy;

	arena_init(&arena, 1024, 1024);
	assert_true(arena_copy(&arena, BYTES(text, 9), &copy));
	text[0] = 'S';
	assert_bytes_equal(copy, BYTES("some text", 9));
	assert_true(arena_copy(&arena, BYTES_EMPTY, &copy));
	assert_int_equal(copy.len, 0);

	struct bytes before = copy;
	static const uint8_t large[2000];
	assert_false(arena_copy(&arena, BYTES_ARRAY(large), &copy));
	assert_ptr_equal(copy.data, before.data);
	arena_fini(&arena);
}

/* The kept block is handed out again as it is, so what it holds can be looked at. */
static void
check_all(const uint8_t *p, size_t n, uint8_t expected)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], expected);
}

TEST(a_secret_is_overwritten)
{
	struct arena arena;

	arena_init(&arena, 1024, 8192);
	uint8_t *p = arena_alloc(&arena, 96);
	memset(p, 0x5a, 96);
	arena_reset_secret(&arena);
	assert_ptr_equal(arena_alloc(&arena, 96), p);
	check_all(p, 96, 0);

	/* The same where it is not the newest block that is kept. */
	memset(p, 0x5a, 96);
	assert_non_null(arena_alloc(&arena, 2000));
	arena_reset_secret(&arena);
	assert_ptr_equal(arena_alloc(&arena, 96), p);
	check_all(p, 96, 0);

	/* The other reset leaves it, or this test proves nothing. */
	memset(p, 0x5a, 96);
	arena_reset(&arena);
	assert_ptr_equal(arena_alloc(&arena, 96), p);
	check_all(p, 96, 0x5a);
	arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hands_out_aligned_memory_that_does_not_overlap),
	    cmocka_unit_test(no_memory_is_taken_before_it_is_needed),
	    cmocka_unit_test(after_a_reset_the_kept_block_serves_without_malloc),
	    cmocka_unit_test(never_holds_more_than_its_maximum),
	    cmocka_unit_test(what_cannot_fit_is_refused_at_once),
	    cmocka_unit_test(exactly_full_is_not_too_full),
	    cmocka_unit_test(a_failing_malloc_is_not_full),
	    cmocka_unit_test(a_copy_is_a_copy),
	    cmocka_unit_test(a_secret_is_overwritten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
