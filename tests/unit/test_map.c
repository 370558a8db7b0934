/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>

#include "base/map.h"
#include "failalloc.h"

#define ITEMS 2000

struct item {
	char key[12];
	size_t key_len;
	bool inside; /* what the model says */
	bool seen;
};

static struct item items[ITEMS];

static struct bytes
key_of(const struct item *item)
{
	return BYTES(item->key, item->key_len);
}

static int
make_items(void **state __attribute__((unused)))
{
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i].key_len = (size_t)snprintf(items[i].key, sizeof(items[i].key), "key%u", i);
		items[i].inside = false;
		items[i].seen = false;
	}
	return 0;
}

static void
assert_like_model(const struct map *map)
{
	size_t count = 0;

	for (size_t i = 0; i < ITEMS; i++) {
		assert_ptr_equal(map_get(map, key_of(&items[i])), items[i].inside ? &items[i] : NULL);
		count += items[i].inside;
	}
	assert_int_equal(map->count, count);
}

TEST(zero_is_empty)
{
	struct map map = {0};
	size_t iter = 0;

	assert_null(map_get(&map, BYTES_STR("a")));
	assert_null(map_remove(&map, BYTES_STR("a")));
	assert_null(map_next(&map, &iter));
	map_clear(&map);
	map_fini(&map);
}

TEST(keys_are_byte_strings)
{
	struct map map = {0};
	static const struct bytes keys[] = {
	    {NULL, 0},
	    {(const uint8_t *)"\0", 1},
	    {(const uint8_t *)"\0\0", 2},
	    {(const uint8_t *)"a", 1},
	    {(const uint8_t *)"a\0b", 3},
	    {(const uint8_t *)"a\0c", 3},
	    {(const uint8_t *)"1234567", 7},
	    {(const uint8_t *)"12345678", 8},
	    {(const uint8_t *)"123456789", 9},
	};
	int values[ARRAY_LEN(keys)];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_ok(map_put(&map, keys[i], &values[i]));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_ptr_equal(map_get(&map, keys[i]), &values[i]);
	assert_null(map_get(&map, BYTES("a", 2)));
	assert_null(map_get(&map, BYTES("a\0", 3)));
	map_fini(&map);
}

TEST(put_does_not_replace)
{
	struct map map = {0};
	int a, b;

	assert_ok(map_put(&map, BYTES_STR("k"), &a));
	assert_err(map_put(&map, BYTES_STR("k"), &b), CHAT_ERR_EXISTS);
	assert_ptr_equal(map_get(&map, BYTES_STR("k")), &a);
	assert_int_equal(map.count, 1);
	assert_ptr_equal(map_remove(&map, BYTES_STR("k")), &a);
	assert_null(map_remove(&map, BYTES_STR("k")));
	assert_ok(map_put(&map, BYTES_STR("k"), &b));
	assert_ptr_equal(map_get(&map, BYTES_STR("k")), &b);
	map_fini(&map);
}

TEST(grows_and_empties)
{
	struct map map = {0};

	for (size_t i = 0; i < ITEMS; i++) {
		assert_ok(map_put(&map, key_of(&items[i]), &items[i]));
		items[i].inside = true;
		assert_true(map.count <= map.cap / 4 * 3);
	}
	assert_like_model(&map);
	for (size_t i = 0; i < ITEMS; i++) {
		assert_ptr_equal(map_remove(&map, key_of(&items[i])), &items[i]);
		items[i].inside = false;
		if (i % 100 == 0)
			assert_like_model(&map);
	}
	assert_like_model(&map);
	map_fini(&map);
}

/* Puts and removals by turns at all fills, against a plain list. */
TEST(random_schedule)
{
	for (uint64_t round = 0; round < 20; round++) {
		uint64_t seed = round;
		struct map map = {0};
		/* Few keys make every one come and go often; many make the table grow. */
		size_t range = round % 2 ? 10 : ITEMS;

		make_items(NULL);
		for (unsigned step = 0; step < 5000; step++) {
			struct item *item = &items[unit_rand(&seed) % range];

			if (unit_rand(&seed) % 5 < 3) {
				assert_err(map_put(&map, key_of(item), item),
				    item->inside ? CHAT_ERR_EXISTS : CHAT_OK);
				item->inside = true;
			} else {
				assert_ptr_equal(map_remove(&map, key_of(item)), item->inside ? item : NULL);
				item->inside = false;
			}
			if (step % 500 == 0)
				assert_like_model(&map);
		}
		assert_like_model(&map);
		map_fini(&map);
	}
}

/* Each value once, while half of them are removed on the way; in tables of all small sizes, with other seeds,
 * so that entries stand at and behind the end of the table. */
TEST(iteration_with_removal)
{
	for (unsigned round = 0; round < 400; round++) {
		uint64_t seed = round;
		struct map map = {0};
		size_t n = round % 100, iter = 0, count = 0;
		struct item *item;

		make_items(NULL);
		for (size_t i = 0; i < n; i++) {
			assert_ok(map_put(&map, key_of(&items[i]), &items[i]));
			items[i].inside = true;
		}
		while ((item = map_next(&map, &iter)) != NULL) {
			assert_false(item->seen);
			assert_true(item->inside);
			item->seen = true;
			count++;
			if (unit_rand(&seed) % 2) {
				assert_ptr_equal(map_remove(&map, key_of(item)), item);
				item->inside = false;
			}
		}
		assert_int_equal(count, n);
		assert_like_model(&map);
		assert_null(map_next(&map, &iter));
		map_fini(&map);
	}
}

/* Of 400,000 hashes of 32 bits about 19 pairs are equal: then only the key decides. */
TEST(keys_of_one_hash)
{
	struct map map = {0};
	uint32_t *keys = calloc(400000, sizeof(*keys));

	assert_non_null(keys);
	for (uint32_t i = 0; i < 400000; i++) {
		keys[i] = i;
		assert_ok(map_put(&map, BYTES(&keys[i], sizeof(keys[i])), &keys[i]));
	}
	for (uint32_t i = 0; i < 400000; i++) {
		if (map_get(&map, BYTES(&keys[i], sizeof(keys[i]))) != &keys[i])
			fail_msg("%u", i);
	}
	map_fini(&map);
	free(keys);
}

TEST(clear_keeps_the_table)
{
	struct map map = {0};
	size_t cap, iter = 0;

	for (size_t i = 0; i < 100; i++)
		assert_ok(map_put(&map, key_of(&items[i]), &items[i]));
	cap = map.cap;
	map_clear(&map);
	assert_int_equal(map.cap, cap);
	assert_like_model(&map);
	assert_null(map_next(&map, &iter));
	assert_ok(map_put(&map, key_of(&items[5]), &items[5]));
	items[5].inside = true;
	assert_like_model(&map);
	map_fini(&map);
}

/* A peer that knows the order of one table knows nothing of another. */
TEST(tables_differ)
{
	struct map a = {0}, b = {0};
	size_t a_iter = 0, b_iter = 0;
	unsigned same = 0;

	for (size_t i = 0; i < 1000; i++) {
		assert_ok(map_put(&a, key_of(&items[i]), &items[i]));
		assert_ok(map_put(&b, key_of(&items[i]), &items[i]));
	}
	assert_true(a.seed != b.seed);
	for (size_t i = 0; i < 1000; i++)
		same += map_next(&a, &a_iter) == map_next(&b, &b_iter);
	assert_true(same < 100);
	map_fini(&a);
	map_fini(&b);
}

TEST(no_memory)
{
	struct map map = {0};

	failalloc_arm(0);
	assert_err(map_put(&map, key_of(&items[0]), &items[0]), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_like_model(&map);
	for (size_t i = 0; i < 500; i++) {
		enum chat_err err;

		failalloc_arm(0);
		err = map_put(&map, key_of(&items[i]), &items[i]);
		if (failalloc_disarm()) {
			/* The table is what it was, and growing succeeds later. */
			assert_err(err, CHAT_ERR_NOMEM);
			assert_like_model(&map);
			assert_ok(map_put(&map, key_of(&items[i]), &items[i]));
		} else {
			assert_ok(err);
		}
		items[i].inside = true;
	}
	assert_like_model(&map);
	map_fini(&map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zero_is_empty),
	    cmocka_unit_test(keys_are_byte_strings),
	    cmocka_unit_test(put_does_not_replace),
	    cmocka_unit_test_setup(grows_and_empties, make_items),
	    cmocka_unit_test_setup(random_schedule, make_items),
	    cmocka_unit_test_setup(iteration_with_removal, make_items),
	    cmocka_unit_test(keys_of_one_hash),
	    cmocka_unit_test_setup(clear_keeps_the_table, make_items),
	    cmocka_unit_test_setup(tables_differ, make_items),
	    cmocka_unit_test_setup(no_memory, make_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
