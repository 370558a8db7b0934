/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include "crypto/hash.h"

static void
assert_digest(const struct digest *got, const struct digest *want)
{
	assert_bytes_equal(digest_bytes(got), digest_bytes(want));
}

TEST(published_examples)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open(&v, "sha256.json");
	json_array_foreach(vec_array(v.root, "cases"), i, test)
	{
		struct bytes msg = vec_hex(&v, test, "msg");
		struct digest want = vec_digest(test, "digest"), got;
		struct hash h;

		hash_init(&h);
		for (uint64_t n = vec_u64(test, "repeat"); n > 0; n--)
			hash_bytes(&h, msg);
		got = hash_end(&h);
		assert_digest(&got, &want);
		if (vec_u64(test, "repeat") == 1) {
			got = hash_once(msg);
			assert_digest(&got, &want);
		}
		count.accepted++;
	}
	vec_close(&v);
	vec_count_print("SHA-256", &count);
}

/* Wherever a message is cut, and with empty pieces without an address in it. */
TEST(pieces_make_no_difference)
{
	uint8_t message[200];
	struct digest whole, got;
	struct hash h;

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 7);
	whole = hash_once(BYTES_ARRAY(message));
	for (size_t cut = 0; cut <= sizeof(message); cut++) {
		hash_init(&h);
		hash_bytes(&h, BYTES(message, cut));
		hash_bytes(&h, BYTES_EMPTY);
		hash_bytes(&h, BYTES(message + cut, sizeof(message) - cut));
		got = hash_end(&h);
		assert_digest(&got, &whole);
	}
	message[100] ^= 1;
	got = hash_once(BYTES_ARRAY(message));
	assert_false(digest_equal(&got, &whole));
}

/* D(x) is 'secure-chat x v1' and a zero byte. */
TEST(domain_is_in_front)
{
	static const char x_message[] = "secure-chat message v1";
	/* the 32 letters that still fit */
	static const char longest[] = "abcdefghijklmnopqrstuvwxyzabcdef";
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct digest got, want;
	struct hash h;
	size_t len;

	len = domain_put("message", domain);
	assert_bytes_equal(BYTES(domain, len), BYTES(x_message, sizeof(x_message)));
	assert_int_equal(domain_put(longest, domain), DOMAIN_MAX_BYTES);
	assert_int_equal(domain[DOMAIN_MAX_BYTES - 1], 0);

	hash_init(&h);
	hash_bytes(&h, BYTES(x_message, sizeof(x_message)));
	hash_bytes(&h, BYTES("xyz", 3));
	want = hash_end(&h);
	got = hash_domain_once("message", BYTES("xyz", 3));
	assert_digest(&got, &want);

	hash_init_domain(&h, "message");
	hash_bytes(&h, BYTES("xyz", 3));
	got = hash_end(&h);
	assert_digest(&got, &want);
}

TEST(integers_are_big_endian)
{
	static const uint8_t bytes[] = {
	    0xa1, 0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
	struct digest got, want = hash_once(BYTES_ARRAY(bytes)), zero_twice;
	uint8_t zeros[2 * DIGEST_BYTES] = {0};
	struct hash h;

	hash_init(&h);
	hash_u8(&h, 0xa1);
	hash_u32(&h, 0x01020304);
	hash_u64(&h, 0x1112131415161718);
	got = hash_end(&h);
	assert_digest(&got, &want);

	zero_twice = hash_once(BYTES_ARRAY(zeros));
	hash_init(&h);
	hash_digest(&h, &digest_zero);
	hash_digest(&h, &digest_zero);
	got = hash_end(&h);
	assert_digest(&got, &zero_twice);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_examples),
	    cmocka_unit_test(pieces_make_no_difference),
	    cmocka_unit_test(domain_is_in_front),
	    cmocka_unit_test(integers_are_big_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
