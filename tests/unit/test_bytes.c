/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

TEST(big_endian)
{
	uint8_t p[8];

	be16_put(p, 0x8182);
	assert_memory_equal(p, "\x81\x82", 2);
	assert_int_equal(be16_get(p), 0x8182);
	be32_put(p, 0x81828384u);
	assert_memory_equal(p, "\x81\x82\x83\x84", 4);
	assert_int_equal(be32_get(p), 0x81828384u);
	be64_put(p, 0x8182838485868788u);
	assert_memory_equal(p, "\x81\x82\x83\x84\x85\x86\x87\x88", 8);
	assert_true(be64_get(p) == 0x8182838485868788u);
}

TEST(equality)
{
	assert_true(bytes_equal(BYTES_STR("abc"), BYTES("abcd", 3)));
	assert_false(bytes_equal(BYTES_STR("abc"), BYTES_STR("abd")));
	assert_false(bytes_equal(BYTES_STR("abc"), BYTES_STR("abcd")));
	assert_true(bytes_equal(BYTES_EMPTY, BYTES_STR("")));
	assert_false(bytes_equal(BYTES_EMPTY, BYTES_STR("a")));
}

TEST(read_a_layout)
{
	static const uint8_t in[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
				    "\x02hi\x00\x03you"
				    "1234"
				    "rest";
	struct reader rd;
	uint8_t copy[4];

	rd_init(&rd, BYTES(in, sizeof(in) - 1));
	assert_int_equal(rd_u8(&rd), 1);
	assert_int_equal(rd_u16(&rd), 0x0203);
	assert_int_equal(rd_u32(&rd), 0x04050607);
	assert_true(rd_u64(&rd) == 0x08090a0b0c0d0e0fu);
	assert_bytes_equal(rd_str8(&rd), BYTES_STR("hi"));
	assert_bytes_equal(rd_str16(&rd), BYTES_STR("you"));
	rd_copy(&rd, copy, sizeof(copy));
	assert_memory_equal(copy, "1234", 4);
	assert_false(rd_done(&rd));
	assert_bytes_equal(rd_take(&rd, 1), BYTES_STR("r"));
	assert_bytes_equal(rd_rest(&rd), BYTES_STR("est"));
	assert_true(rd_done(&rd));
	/* Nothing is left, which is no failure to ask for. */
	assert_int_equal(rd_rest(&rd).len, 0);
	assert_int_equal(rd_take(&rd, 0).len, 0);
	assert_true(rd_done(&rd));
}

static void
read_u8(struct reader *rd)
{
	assert_int_equal(rd_u8(rd), 0);
}
static void
read_u16(struct reader *rd)
{
	assert_int_equal(rd_u16(rd), 0);
}
static void
read_u32(struct reader *rd)
{
	assert_int_equal(rd_u32(rd), 0);
}
static void
read_u64(struct reader *rd)
{
	assert_true(rd_u64(rd) == 0);
}
static void
read_take(struct reader *rd)
{
	assert_int_equal(rd_take(rd, 5).len, 0);
}
static void
read_str8(struct reader *rd)
{
	assert_int_equal(rd_str8(rd).len, 0);
}
static void
read_str16(struct reader *rd)
{
	assert_int_equal(rd_str16(rd).len, 0);
}
static void
read_copy(struct reader *rd)
{
	uint8_t copy[5] = {1, 1, 1, 1, 1};

	rd_copy(rd, copy, sizeof(copy));
	assert_memory_equal(copy, "\0\0\0\0\0", 5);
}

/* One byte short of each: the failure is remembered, and what would have fitted does not come any more. */
TEST(read_underflow)
{
	static const struct {
		void (*read)(struct reader *rd);
		struct bytes in;
	} cases[] = {
	    {read_u8, {(const uint8_t *)"", 0}},
	    {read_u16, {(const uint8_t *)"\xff", 1}},
	    {read_u32, {(const uint8_t *)"\xff\xff\xff", 3}},
	    {read_u64, {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff", 7}},
	    {read_take, {(const uint8_t *)"abcd", 4}},
	    {read_copy, {(const uint8_t *)"abcd", 4}},
	    {read_str8, {(const uint8_t *)"\x04"
					  "abc",
			    4}},
	    {read_str8, {(const uint8_t *)"", 0}},
	    {read_str16, {(const uint8_t *)"\x00\x04"
					   "abc",
			     5}},
	    {read_str16, {(const uint8_t *)"\xff\xff"
					   "abc",
			     5}},
	    {read_str16, {(const uint8_t *)"\x00", 1}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* Memory of exactly this size, for the sanitizer. */
		uint8_t *exact = malloc(cases[i].in.len + !cases[i].in.len);
		struct reader rd;

		assert_non_null(exact);
		memcpy(exact, cases[i].in.data, cases[i].in.len);
		rd_init(&rd, BYTES(exact, cases[i].in.len));
		cases[i].read(&rd);
		assert_false(rd_done(&rd));
		assert_int_equal(rd_u8(&rd), 0);
		assert_int_equal(rd_rest(&rd).len, 0);
		assert_false(rd_done(&rd));
		free(exact);
	}
}

TEST(read_nothing)
{
	struct reader rd;

	rd_init(&rd, BYTES_EMPTY);
	assert_true(rd_done(&rd));
	rd_copy(&rd, NULL, 0);
	assert_int_equal(rd_take(&rd, 0).len, 0);
	assert_true(rd_done(&rd));
	assert_int_equal(rd_take(&rd, SIZE_MAX).len, 0);
	assert_false(rd_done(&rd));
}

TEST(write_a_layout)
{
	static const uint8_t expected[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
					  "\x02hi\x00\x03you"
					  "1234";
	uint8_t out[sizeof(expected) - 1];
	struct writer wr;

	wr_init(&wr, out, sizeof(out));
	wr_u8(&wr, 1);
	wr_u16(&wr, 0x0203);
	wr_u32(&wr, 0x04050607);
	wr_u64(&wr, 0x08090a0b0c0d0e0fu);
	wr_str8(&wr, BYTES_STR("hi"));
	wr_str16(&wr, BYTES_STR("you"));
	wr_bytes(&wr, "1234", 4);
	wr_bytes(&wr, NULL, 0);
	/* To the last byte. */
	assert_true(wr_done(&wr));
	assert_bytes_equal(wr_bytes_written(&wr), BYTES(expected, sizeof(expected) - 1));
	wr_u8(&wr, 0);
	assert_false(wr_done(&wr));
}

TEST(write_overflow)
{
	for (size_t cap = 0; cap < 8; cap++) {
		uint8_t *exact = malloc(cap + !cap);
		struct writer wr;

		assert_non_null(exact);
		memset(exact, 0xee, cap + !cap);
		wr_init(&wr, exact, cap);
		wr_u64(&wr, 0);
		assert_false(wr_done(&wr));
		/* Not even what would fit is written after a failure. */
		wr_u8(&wr, 1);
		wr_u16(&wr, 1);
		wr_u32(&wr, 1);
		wr_str8(&wr, BYTES_EMPTY);
		wr_bytes(&wr, "x", 1);
		assert_false(wr_done(&wr));
		for (size_t i = 0; i < cap; i++)
			assert_int_equal(exact[i], 0xee);
		free(exact);
	}
}

TEST(write_strings_of_the_greatest_length)
{
	static uint8_t in[65536], out[65536 + 2];
	struct writer wr;

	wr_init(&wr, out, sizeof(out));
	wr_str8(&wr, BYTES(in, 255));
	assert_true(wr_done(&wr));
	assert_int_equal(out[0], 255);
	wr_init(&wr, out, sizeof(out));
	wr_str8(&wr, BYTES(in, 256));
	assert_false(wr_done(&wr));
	wr_init(&wr, out, sizeof(out));
	wr_str16(&wr, BYTES(in, 65535));
	assert_true(wr_done(&wr));
	assert_memory_equal(out, "\xff\xff", 2);
	assert_int_equal(wr_bytes_written(&wr).len, 65537);
	wr_init(&wr, out, sizeof(out));
	wr_str16(&wr, BYTES(in, 65536));
	assert_false(wr_done(&wr));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(big_endian),
	    cmocka_unit_test(equality),
	    cmocka_unit_test(read_a_layout),
	    cmocka_unit_test(read_underflow),
	    cmocka_unit_test(read_nothing),
	    cmocka_unit_test(write_a_layout),
	    cmocka_unit_test(write_overflow),
	    cmocka_unit_test(write_strings_of_the_greatest_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
