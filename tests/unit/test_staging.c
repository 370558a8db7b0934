/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/clock.h"
#include "crypto/hash.h"
#include "group/epoch.h"
#include "server/staging.h"

#define TTL 60000

struct wraps {
	uint32_t count;
	uint8_t *data;
	struct digest hash;
};

static struct wraps
wraps_make(uint32_t count, uint64_t seed)
{
	struct wraps w = {.count = count, .data = malloc((size_t)count * WRAP_BYTES)};
	struct random_source random = unit_random(&seed);
	struct wraps_hash wh;

	assert_non_null(w.data);
	random.fill(random.ctx, w.data, (size_t)count * WRAP_BYTES);
	wraps_hash_init(&wh, count);
	for (uint32_t i = 0; i < count; i++) {
		struct digest one = hash_once(BYTES(w.data + (size_t)i * WRAP_BYTES, WRAP_BYTES));

		wraps_hash_add(&wh, &one);
	}
	w.hash = wraps_hash_end(&wh);
	return w;
}

static enum chat_err
put(struct staging *st, const struct wraps *w, uint32_t first, uint32_t n, uint64_t expires_ms)
{
	return staging_put(st, &w->hash, w->count, first,
	    BYTES(w->data + (size_t)first * WRAP_BYTES, (size_t)n * WRAP_BYTES), expires_ms);
}

static void
assert_there(const struct staging *st, const struct wraps *w)
{
	struct wrap_set *set = NULL;

	assert_ok(staging_copy(st, &w->hash, &set));
	assert_int_equal(set->count, w->count);
	assert_true(digest_equal(&set->wraps_hash, &w->hash));
	assert_memory_equal(set->wraps, w->data, (size_t)w->count * WRAP_BYTES);
	wrap_set_free_list(set);
}

static void
assert_not_there(const struct staging *st, const struct wraps *w)
{
	struct wrap_set *set = NULL;

	assert_err(staging_copy(st, &w->hash, &set), CHAT_ERR_NOT_FOUND);
	assert_null(set);
}

TEST(one_piece)
{
	struct wraps w = wraps_make(1, 1), most = wraps_make(ROOM_READERS_MAX, 2);
	struct staging st = {0};

	assert_not_there(&st, &w);
	assert_ok(put(&st, &w, 0, 1, TTL));
	assert_there(&st, &w);
	assert_ok(put(&st, &most, 0, ROOM_READERS_MAX, TTL));
	assert_there(&st, &most);
	assert_there(&st, &w);
	staging_fini(&st);
	free(w.data);
	free(most.data);
}

/* Pieces in any order, some twice; complete exactly with the last that was missing. */
TEST(pieces_in_any_order)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		uint64_t s = seed;
		struct wraps w = wraps_make((uint32_t)(unit_rand(&s) % 40 + 1), seed);
		struct staging st = {0};
		bool have[40] = {false};
		uint32_t missing = w.count;

		while (missing > 0) {
			uint32_t first = (uint32_t)(unit_rand(&s) % w.count);
			uint32_t n = (uint32_t)(unit_rand(&s) % (w.count - first) + 1);

			assert_not_there(&st, &w);
			assert_ok(put(&st, &w, first, n, TTL));
			for (uint32_t i = first; i < first + n; i++) {
				missing -= !have[i];
				have[i] = true;
			}
		}
		assert_there(&st, &w);
		staging_fini(&st);
		free(w.data);
	}
}

TEST(wrong_bytes_are_found_at_the_end)
{
	struct wraps w = wraps_make(3, 1);
	struct staging st = {0};

	w.data[2 * WRAP_BYTES + 5] ^= 1;
	assert_ok(put(&st, &w, 0, 1, TTL));
	assert_ok(put(&st, &w, 2, 1, TTL));
	assert_err(put(&st, &w, 1, 1, TTL), CHAT_ERR_BAD_WRAPS);
	assert_not_there(&st, &w);
	assert_int_equal(staging_next_ms(&st), NEVER_MS);
	/* From the start again, with the right ones. */
	w.data[2 * WRAP_BYTES + 5] ^= 1;
	assert_ok(put(&st, &w, 0, 3, TTL));
	assert_there(&st, &w);
	/* What is complete and right stays so, whatever comes. */
	w.data[0] ^= 1;
	assert_ok(put(&st, &w, 0, 1, TTL));
	w.data[0] ^= 1;
	assert_there(&st, &w);
	staging_fini(&st);
	free(w.data);
}

TEST(another_count_is_refused)
{
	struct wraps w = wraps_make(3, 1);
	struct staging st = {0};

	assert_ok(put(&st, &w, 0, 1, TTL));
	w.count = 4;
	assert_err(put(&st, &w, 0, 1, TTL), CHAT_ERR_CONFLICT);
	w.count = 3;
	assert_ok(put(&st, &w, 1, 2, TTL));
	assert_there(&st, &w);
	staging_fini(&st);
	free(w.data);
}

TEST(the_oldest_makes_room)
{
	struct wraps w[STAGED_WRAPS_PER_CONN + 1];
	struct staging st = {0};

	for (uint32_t i = 0; i <= STAGED_WRAPS_PER_CONN; i++)
		w[i] = wraps_make(2, i + 1);
	for (uint32_t i = 0; i < STAGED_WRAPS_PER_CONN; i++)
		assert_ok(put(&st, &w[i], 0, 2, TTL));
	for (uint32_t i = 0; i < STAGED_WRAPS_PER_CONN; i++)
		assert_there(&st, &w[i]);
	assert_ok(put(&st, &w[STAGED_WRAPS_PER_CONN], 0, 2, TTL));
	assert_not_there(&st, &w[0]);
	for (uint32_t i = 1; i <= STAGED_WRAPS_PER_CONN; i++)
		assert_there(&st, &w[i]);
	staging_fini(&st);
	for (uint32_t i = 0; i <= STAGED_WRAPS_PER_CONN; i++)
		free(w[i].data);
}

TEST(time_ends_a_set)
{
	struct wraps a = wraps_make(2, 1), b = wraps_make(2, 2);
	struct staging st = {0};

	assert_ok(put(&st, &a, 0, 2, 1000));
	assert_ok(put(&st, &b, 0, 1, 2000));
	assert_int_equal(staging_next_ms(&st), 1000);
	staging_expire(&st, 999);
	assert_there(&st, &a);
	staging_expire(&st, 1000);
	assert_not_there(&st, &a);
	assert_int_equal(staging_next_ms(&st), 2000);
	/* Each piece gives it time anew. */
	assert_ok(put(&st, &b, 1, 1, 3000));
	staging_expire(&st, 2999);
	assert_there(&st, &b);
	staging_expire(&st, 3000);
	assert_not_there(&st, &b);
	assert_int_equal(staging_next_ms(&st), NEVER_MS);
	free(a.data);
	free(b.data);
}

/* A set outlives a post whose fate is not known, and ends with one that was answered well. */
TEST(a_post_that_succeeds_ends_its_set)
{
	struct wraps a = wraps_make(2, 1), b = wraps_make(2, 2);
	struct staging st = {0};

	assert_ok(put(&st, &a, 0, 2, TTL));
	assert_ok(put(&st, &b, 0, 2, TTL));
	staging_use(&st, &a.hash, 7);
	staging_posted(&st, 8);
	assert_there(&st, &a);
	staging_use(&st, &a.hash, 9);
	staging_posted(&st, 7);
	assert_there(&st, &a);
	staging_posted(&st, 9);
	assert_not_there(&st, &a);
	assert_there(&st, &b);
	staging_fini(&st);
	free(a.data);
	free(b.data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_piece),
	    cmocka_unit_test(pieces_in_any_order),
	    cmocka_unit_test(wrong_bytes_are_found_at_the_end),
	    cmocka_unit_test(another_count_is_refused),
	    cmocka_unit_test(the_oldest_makes_room),
	    cmocka_unit_test(time_ends_a_set),
	    cmocka_unit_test(a_post_that_succeeds_ends_its_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
