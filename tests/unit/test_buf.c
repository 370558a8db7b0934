/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/buf.h"
#include "failalloc.h"

TEST(zero_is_empty)
{
	struct buf buf = {0};

	assert_int_equal(buf_bytes(&buf).len, 0);
	assert_ok(buf_append(&buf, NULL, 0));
	assert_ok(buf_reserve(&buf, 0));
	assert_null(buf.data);
	buf_clear(&buf);
	buf_drop(&buf, 0);
	buf_fini(&buf);
	buf_fini_secret(&buf);
}

TEST(append_keeps_what_is_there)
{
	struct buf buf = {0};

	for (unsigned i = 0; i < 1000; i++) {
		uint8_t two[] = {(uint8_t)i, (uint8_t)(i >> 8)};

		assert_ok(buf_append(&buf, two, sizeof(two)));
		assert_true(buf.cap >= buf.len);
	}
	assert_int_equal(buf.len, 2000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(buf.data[2 * i] | buf.data[2 * i + 1] << 8, i);
	buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_non_null(buf.data);
	assert_ok(buf_append_str(&buf, "again"));
	assert_bytes_equal(buf_bytes(&buf), BYTES_STR("again"));
	buf_fini(&buf);
	assert_null(buf.data);
}

TEST(reserve_makes_room_once)
{
	struct buf buf = {0};
	uint8_t *data;

	assert_ok(buf_append_str(&buf, "abc"));
	assert_ok(buf_reserve(&buf, 5000));
	assert_true(buf.cap - buf.len >= 5000);
	data = buf.data;
	for (int i = 0; i < 5000; i++)
		assert_ok(buf_append(&buf, "x", 1));
	assert_ptr_equal(buf.data, data);
	buf_fini(&buf);
}

TEST(absurd_sizes)
{
	struct buf buf = {0};

	assert_ok(buf_append_str(&buf, "abc"));
	assert_err(buf_reserve(&buf, SIZE_MAX), CHAT_ERR_NOMEM);
	assert_err(buf_reserve(&buf, SIZE_MAX - 2), CHAT_ERR_NOMEM);
	assert_err(buf_reserve(&buf, SIZE_MAX / 2), CHAT_ERR_NOMEM);
	assert_bytes_equal(buf_bytes(&buf), BYTES_STR("abc"));
	buf_fini(&buf);
}

TEST(drop_from_the_front)
{
	struct buf buf = {0};

	assert_ok(buf_append_str(&buf, "0123456789"));
	buf_drop(&buf, 3);
	assert_bytes_equal(buf_bytes(&buf), BYTES_STR("3456789"));
	buf_drop(&buf, 0);
	assert_bytes_equal(buf_bytes(&buf), BYTES_STR("3456789"));
	buf_drop(&buf, 7);
	assert_int_equal(buf.len, 0);
	buf_fini(&buf);
}

TEST(print)
{
	struct buf buf = {0};
	char big[1000];

	assert_ok(buf_printf(&buf, "%s %d", "answer", 42));
	assert_ok(buf_printf(&buf, "%s", ""));
	assert_bytes_equal(buf_bytes(&buf), BYTES_STR("answer 42"));
	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_ok(buf_printf(&buf, "/%s", big));
	assert_int_equal(buf.len, 9 + 1 + 999);
	assert_int_equal(buf.data[9], '/');
	assert_memory_equal(buf.data + 10, big, 999);
	buf_fini(&buf);
}

/* The text fits and its NUL does not: at every fill around the first capacity. */
TEST(print_at_the_edge)
{
	for (size_t fill = 50; fill < 70; fill++) {
		struct buf buf = {0};

		for (size_t i = 0; i < fill; i++)
			assert_ok(buf_append(&buf, "x", 1));
		assert_ok(buf_printf(&buf, "%s", "abcd"));
		assert_int_equal(buf.len, fill + 4);
		assert_memory_equal(buf.data + fill, "abcd", 4);
		buf_fini(&buf);
	}
}

TEST(steal)
{
	struct buf buf = {0};
	uint8_t *data;
	size_t len;

	assert_ok(buf_append_str(&buf, "mine"));
	buf_steal(&buf, &data, &len);
	assert_bytes_equal(BYTES(data, len), BYTES_STR("mine"));
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf.cap, 0);
	assert_ok(buf_append_str(&buf, "other"));
	assert_bytes_equal(BYTES(data, len), BYTES_STR("mine"));
	free(data);
	buf_fini(&buf);
}

TEST(no_memory)
{
	struct buf buf = {0};

	failalloc_arm(0);
	assert_err(buf_append_str(&buf, "abc"), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_null(buf.data);

	assert_ok(buf_append_str(&buf, "abc"));
	failalloc_arm(0);
	assert_err(buf_reserve(&buf, 10000), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	failalloc_arm(0);
	assert_err(buf_printf(&buf, "%500d", 1), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_bytes_equal(buf_bytes(&buf), BYTES_STR("abc"));
	/* What fits needs no memory. */
	failalloc_arm(0);
	assert_ok(buf_append_str(&buf, "def"));
	assert_false(failalloc_disarm());
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zero_is_empty),
	    cmocka_unit_test(append_keeps_what_is_there),
	    cmocka_unit_test(reserve_makes_room_once),
	    cmocka_unit_test(absurd_sizes),
	    cmocka_unit_test(drop_from_the_front),
	    cmocka_unit_test(print),
	    cmocka_unit_test(print_at_the_edge),
	    cmocka_unit_test(steal),
	    cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
