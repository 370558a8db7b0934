/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include "crypto/ed25519.h"
#include "crypto/hash.h"

TEST(rfc_8032)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open(&v, "ed25519.json");
	json_array_foreach(vec_array(v.root, "cases"), i, test)
	{
		struct bytes seed = vec_hex(&v, test, "seed"), pk = vec_hex(&v, test, "pk");
		struct bytes msg = vec_hex(&v, test, "msg"), sig = vec_hex(&v, test, "sig");
		uint8_t got_pk[ED25519_PK_BYTES], got_sig[ED25519_SIG_BYTES];

		ed25519_public_key(seed.data, got_pk);
		vec_assert_bytes(test, "the public key", BYTES_ARRAY(got_pk), pk);
		assert_true(ed25519_public_key_valid(got_pk));
		ed25519_sign(seed.data, got_pk, NULL, msg, got_sig);
		vec_assert_bytes(test, "the signature", BYTES_ARRAY(got_sig), sig);
		assert_true(ed25519_verify(pk.data, NULL, msg, sig.data));
		count.accepted++;
	}
	vec_close(&v);
	assert_int_equal(count.accepted, 5);
	vec_count_print("RFC 8032, 7.1", &count);
}

/* A signature of another length than 64 bytes is refused where a layout is decoded: here it cannot even be
 * said. */
TEST(wycheproof)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *group, *test;
	size_t i, j;

	vec_open_published(&v, "ed25519_test.json");
	json_array_foreach(vec_array(v.root, "testGroups"), i, group)
	{
		struct bytes pk = vec_hex(&v, vec_object(group, "publicKey"), "pk");

		assert_int_equal(pk.len, ED25519_PK_BYTES);
		assert_true(ed25519_public_key_valid(pk.data));
		json_array_foreach(vec_array(group, "tests"), j, test)
		{
			struct bytes sig = vec_hex(&v, test, "sig");
			bool good;

			good = sig.len == ED25519_SIG_BYTES &&
			       ed25519_verify(pk.data, NULL, vec_hex(&v, test, "msg"), sig.data);
			if (good != vec_is(test, "result", "valid"))
				fail_msg("case %ju \"%s\" is %s", (uintmax_t)vec_u64(test, "tcId"),
				    vec_str(test, "comment"), good ? "accepted" : "refused");
			if (good)
				count.accepted++;
			else
				count.refused++;
		}
	}
	assert_int_equal(count.accepted + count.refused, vec_u64(v.root, "numberOfTests"));
	assert_true(count.accepted > 0 && count.refused > 0);
	vec_close(&v);
	vec_count_print("Wycheproof Ed25519", &count);
}

/*
 * Every y below 2^255 that is one of a point of small order, canonical or not, under both signs: y = 0, 1,
 * -1, the two of order 8, and p, p + 1, which read as 0 and 1.
 */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(small_order_keys_are_refused)
{
	uint8_t pk[ED25519_PK_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(small_order); i++) {
		assert_true(hex_decode(small_order[i], pk, sizeof(pk)));
		assert_false(ed25519_public_key_valid(pk));
		pk[31] ^= 0x80;
		assert_false(ed25519_public_key_valid(pk));
	}
}

/* Why that matters: under the neutral point one signature, R neutral and S = 0, fits every message.  nettle
 * takes the key, so that only the check keeps it out. */
TEST(neutral_key_signs_everything)
{
	uint8_t pk[ED25519_PK_BYTES] = {1}, sig[ED25519_SIG_BYTES] = {1};

	assert_true(ed25519_verify(pk, "message", BYTES("yes", 3), sig));
	assert_true(ed25519_verify(pk, "message", BYTES("no", 2), sig));
	assert_false(ed25519_public_key_valid(pk));
}

/* y from p - 2 up: p - 2 is the last canonical value that is not small; p to 2^255 - 1 are none at all. */
TEST(y_is_canonical)
{
	uint8_t pk[ED25519_PK_BYTES];

	memset(pk, 0xff, sizeof(pk));
	for (unsigned sign = 0; sign < 2; sign++) {
		pk[31] = sign ? 0xff : 0x7f;
		pk[0] = 0xeb; /* p - 2 */
		assert_true(ed25519_public_key_valid(pk));
		for (unsigned low = 0xed; low <= 0xff; low++) {
			pk[0] = (uint8_t)low;
			assert_false(ed25519_public_key_valid(pk));
		}
		/* one less in a high byte: far below p, whatever the low byte is */
		pk[17] = 0xfe;
		assert_true(ed25519_public_key_valid(pk));
		pk[17] = 0xff;
	}
	memset(pk, 0, sizeof(pk));
	pk[0] = 2;
	assert_true(ed25519_public_key_valid(pk));
}

TEST(domain_is_signed)
{
	uint8_t seed[ED25519_SEED_BYTES] = {5}, pk[ED25519_PK_BYTES], sig[ED25519_SIG_BYTES], whole[64];
	struct bytes b = BYTES("text", 4);
	size_t len = domain_put("card", whole);

	ed25519_public_key(seed, pk);
	ed25519_sign(seed, pk, "card", b, sig);
	assert_true(ed25519_verify(pk, "card", b, sig));
	assert_false(ed25519_verify(pk, "event", b, sig));
	assert_false(ed25519_verify(pk, NULL, b, sig));
	/* It is the signature over D(x) || b. */
	memcpy(whole + len, b.data, b.len);
	assert_true(ed25519_verify(pk, NULL, BYTES(whole, len + b.len), sig));

	for (size_t bit = 0; bit < 8 * sizeof(sig); bit++) {
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(ed25519_verify(pk, "card", b, sig));
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ed25519_sign(seed, pk, "card", BYTES_EMPTY, sig);
	assert_true(ed25519_verify(pk, "card", BYTES_EMPTY, sig));
	ed25519_sign(seed, pk, NULL, BYTES_EMPTY, sig);
	assert_true(ed25519_verify(pk, NULL, BYTES_EMPTY, sig));
}

TEST(longest_message)
{
	uint8_t seed[ED25519_SEED_BYTES] = {6}, pk[ED25519_PK_BYTES], sig[ED25519_SIG_BYTES];
	static uint8_t whole[DOMAIN_MAX_BYTES + ED25519_MESSAGE_MAX + 1];
	size_t len = domain_put("event", whole);
	const uint8_t *b = whole + len;

	ed25519_public_key(seed, pk);
	ed25519_sign(seed, pk, "event", BYTES(b, ED25519_MESSAGE_MAX), sig);
	assert_true(ed25519_verify(pk, "event", BYTES(b, ED25519_MESSAGE_MAX), sig));
	/* One byte more is refused, though the signature is right. */
	ed25519_sign(seed, pk, NULL, BYTES(whole, len + ED25519_MESSAGE_MAX + 1), sig);
	assert_true(ed25519_verify(pk, NULL, BYTES(whole, len + ED25519_MESSAGE_MAX + 1), sig));
	assert_false(ed25519_verify(pk, "event", BYTES(b, ED25519_MESSAGE_MAX + 1), sig));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc_8032),
	    cmocka_unit_test(wycheproof),
	    cmocka_unit_test(small_order_keys_are_refused),
	    cmocka_unit_test(neutral_key_signs_everything),
	    cmocka_unit_test(y_is_canonical),
	    cmocka_unit_test(domain_is_signed),
	    cmocka_unit_test(longest_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
