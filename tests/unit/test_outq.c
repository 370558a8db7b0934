/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/buf.h"
#include "server/outq.h"

static struct frame_ref *
frame_of(uint8_t byte, size_t len)
{
	struct frame_ref *frame = frame_ref_new(len);

	assert_non_null(frame);
	memset(frame->data, byte, len);
	return frame;
}

TEST(empty_gives_nothing)
{
	struct outq_pool pool = {0};
	struct outq q = {0};
	uint8_t out[16];

	assert_int_equal(outq_gather(&q, out, sizeof out), 0);
	outq_consume(&q, &pool, 0);
	outq_clear(&q, &pool);
	assert_null(q.head);
	outq_pool_fini(&pool);
}

/* Frames of any size come out as one stream, whatever is gathered and taken at a time. */
TEST(is_a_stream)
{
	for (uint64_t seed = 1; seed <= 50; seed++) {
		uint64_t s = seed;
		struct outq_pool pool = {0};
		struct outq q = {0};
		struct buf model = {0};
		uint8_t out[700];

		for (unsigned step = 0; step < 400; step++) {
			if (unit_rand(&s) % 2 == 0) {
				/* Empty frames do not exist, but must do no harm. */
				size_t len = unit_rand(&s) % 200;
				uint8_t byte = (uint8_t)unit_rand(&s);
				struct frame_ref *frame = frame_of(byte, len);

				assert_ok(buf_append(&model, frame->data, len));
				assert_true(outq_push(&q, &pool, frame));
			} else {
				size_t cap = unit_rand(&s) % sizeof out + 1, take;
				size_t got = outq_gather(&q, out, cap);

				assert_int_equal(got, cap < model.len ? cap : model.len);
				if (got > 0)
					assert_memory_equal(out, model.data, got);
				take = got == 0 ? 0 : unit_rand(&s) % (got + 1);
				outq_consume(&q, &pool, take);
				buf_drop(&model, take);
			}
			assert_int_equal(q.bytes, model.len);
		}
		outq_clear(&q, &pool);
		assert_int_equal(q.bytes, 0);
		assert_null(q.head);
		buf_fini(&model);
		outq_pool_fini(&pool);
	}
}

TEST(shares_frames)
{
	struct outq_pool pool = {0};
	struct frame_ref *frame = frame_of(7, 100);
	struct outq q[3] = {0};

	for (size_t i = 0; i < 3; i++)
		assert_true(outq_push(&q[i], &pool, frame_ref_ref(frame)));
	assert_int_equal(frame->refs, 4);
	outq_consume(&q[0], &pool, 99);
	assert_int_equal(frame->refs, 4);
	outq_consume(&q[0], &pool, 1);
	assert_int_equal(frame->refs, 3);
	outq_clear(&q[1], &pool);
	outq_clear(&q[2], &pool);
	assert_int_equal(frame->refs, 1);
	frame_ref_unref(frame);
	outq_pool_fini(&pool);
}

/* An empty queue holds nothing, and blocks are used again. */
TEST(gives_blocks_back)
{
	struct outq_pool pool = {0};
	struct outq q = {0};

	for (unsigned i = 0; i < 3 * OUTQ_BLOCK_FRAMES; i++)
		assert_true(outq_push(&q, &pool, frame_of(1, 10)));
	outq_consume(&q, &pool, q.bytes);
	assert_null(q.head);
	assert_int_equal(pool.count, 3);
	for (unsigned i = 0; i < OUTQ_BLOCK_FRAMES + 1; i++)
		assert_true(outq_push(&q, &pool, frame_of(1, 10)));
	assert_int_equal(pool.count, 1);
	outq_clear(&q, &pool);
	assert_int_equal(pool.count, 3);
	outq_pool_fini(&pool);
	assert_null(pool.free);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_gives_nothing),
	    cmocka_unit_test(is_a_stream),
	    cmocka_unit_test(shares_frames),
	    cmocka_unit_test(gives_blocks_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
