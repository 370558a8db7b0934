/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group_vectors.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "group/padding.h"

static const size_t series[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768};

TEST(every_length_has_its_least_fit)
{
	size_t bucket = 0;

	for (size_t len = 0; len <= 64 * 768 - 4; len++) {
		if (len + 4 > 64 * series[bucket])
			bucket++;
		assert_int_equal(padded_length(len, PADDING_MESSAGE_UNITS), 64 * series[bucket]);
		assert_int_equal(
		    padded_length(len, PADDING_INFO_UNITS), len <= 1532 ? 64 * series[bucket] : 0);
	}
	assert_int_equal(bucket, ARRAY_LEN(series) - 1);
	assert_int_equal(padded_length(64 * 768 - 3, PADDING_MESSAGE_UNITS), 0);
	assert_int_equal(padded_length(SIZE_MAX, PADDING_MESSAGE_UNITS), 0);
	assert_int_equal(padded_length(SIZE_MAX - 3, PADDING_INFO_UNITS), 0);
}

TEST(no_other_length_is_valid)
{
	size_t next = 0;

	for (size_t len = 0; len <= 64 * 1024; len++) {
		bool valid = next < ARRAY_LEN(series) && len == 64 * series[next];

		if (valid)
			next++;
		assert_int_equal(padded_length_valid(len, PADDING_MESSAGE_UNITS), valid);
		assert_int_equal(padded_length_valid(len, PADDING_INFO_UNITS), valid && len <= 1536);
	}
	assert_int_equal(next, ARRAY_LEN(series));
}

TEST(padding_comes_off_only_where_it_is_right)
{
	static const size_t lengths[] = {0, 1, 60, 61, 124, 125, 252, 253, 49148};
	struct bytes content;

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		size_t len = lengths[i], padded = padded_length(len, PADDING_MESSAGE_UNITS);
		uint8_t *b = malloc(padded);

		assert_non_null(b);
		memset(b, 0xee, padded);
		padding_finish(b, len, padded);
		assert_ok(padding_remove(BYTES(b, padded), PADDING_MESSAGE_UNITS, &content));
		assert_ptr_equal(content.data, b + 4);
		assert_int_equal(content.len, len);
		if (len > 1532)
			assert_err(padding_remove(BYTES(b, padded), PADDING_INFO_UNITS, &content),
			    CHAT_ERR_MALFORMED);
		assert_err(padding_remove(BYTES(b, padded - 1), PADDING_MESSAGE_UNITS, &content),
		    CHAT_ERR_MALFORMED);
		if (len + 4 < padded) {
			b[padded - 1] = 1;
			assert_err(padding_remove(BYTES(b, padded), PADDING_MESSAGE_UNITS, &content),
			    CHAT_ERR_MALFORMED);
			b[padded - 1] = 0;
			b[len + 4] = 0x80;
			assert_err(padding_remove(BYTES(b, padded), PADDING_MESSAGE_UNITS, &content),
			    CHAT_ERR_MALFORMED);
			b[len + 4] = 0;
		}
		be32_put(b, (uint32_t)padded - 3);
		assert_err(
		    padding_remove(BYTES(b, padded), PADDING_MESSAGE_UNITS, &content), CHAT_ERR_MALFORMED);
		be32_put(b, UINT32_MAX);
		assert_err(
		    padding_remove(BYTES(b, padded), PADDING_MESSAGE_UNITS, &content), CHAT_ERR_MALFORMED);
		free(b);
	}
	assert_err(padding_remove(BYTES_EMPTY, PADDING_MESSAGE_UNITS, &content), CHAT_ERR_MALFORMED);
	assert_err(padding_remove(BYTES("\0\0\0", 3), PADDING_MESSAGE_UNITS, &content), CHAT_ERR_MALFORMED);
}

TEST(a_bucket_too_many_is_refused)
{
	uint8_t b[128] = {0};
	struct bytes content;

	be32_put(b, 60);
	assert_err(padding_remove(BYTES_ARRAY(b), PADDING_MESSAGE_UNITS, &content), CHAT_ERR_MALFORMED);
	be32_put(b, 61);
	assert_ok(padding_remove(BYTES_ARRAY(b), PADDING_MESSAGE_UNITS, &content));
}

TEST(published_padding)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "padding"), i, test)
	{
		size_t max = vec_is(test, "use", "info") ? PADDING_INFO_UNITS : PADDING_MESSAGE_UNITS;

		if (vec_has(test, "length")) {
			size_t padded = padded_length(vec_u64(test, "length"), max);

			gv_assert_err(
			    test, padded != 0 ? CHAT_OK : CHAT_ERR_MALFORMED, gv_result(test), &count);
			if (padded != 0)
				assert_int_equal(padded, vec_u64(test, "padded_length"));
		} else {
			struct bytes padded = vec_hex(&v, test, "padded"), content;

			gv_assert_err(test, padding_remove(padded, max, &content), gv_result(test), &count);
			if (gv_result(test) == CHAT_OK) {
				uint8_t again[64];

				vec_assert_bytes(test, "data", content, vec_hex(&v, test, "data"));
				assert_int_equal(padded_length(content.len, max), sizeof(again));
				memset(again, 0xee, sizeof(again));
				memcpy(again + 4, content.data, content.len);
				padding_finish(again, content.len, sizeof(again));
				vec_assert_bytes(test, "padded", BYTES_ARRAY(again), padded);
			}
		}
	}
	vec_count_print("padding", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_length_has_its_least_fit),
	    cmocka_unit_test(no_other_length_is_valid),
	    cmocka_unit_test(padding_comes_off_only_where_it_is_right),
	    cmocka_unit_test(a_bucket_too_many_is_refused),
	    cmocka_unit_test(published_padding),
	};

	return cmocka_run_group_tests_name("padding", tests, NULL, NULL);
}
