/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include "failalloc.h"

#include "crypto/rsa_oaep.h"

static void
assert_refused(const char *what, struct bytes der)
{
	struct rsa_key *key = NULL;
	enum chat_err err = rsa_key_from_pkcs8(der, &key);

	if (err != CHAT_ERR_MALFORMED)
		fail_msg("%s: %s", what, chat_err_name(err));
	assert_null(key);
}

/* It parses, and is written as it was read. */
static void
assert_roundtrip(struct bytes der, size_t modulus_bytes)
{
	struct rsa_key *key = NULL;
	struct buf out = {0};

	assert_ok(rsa_key_from_pkcs8(der, &key));
	assert_int_equal(rsa_key_bytes(key), modulus_bytes);
	/* It appends. */
	assert_ok(buf_append_str(&out, "in front"));
	assert_ok(rsa_key_to_pkcs8(key, &out));
	assert_memory_equal(out.data, "in front", 8);
	assert_bytes_equal(BYTES(out.data + 8, out.len - 8), der);
	buf_fini_secret(&out);
	rsa_key_free(key);
}

TEST(pkcs8_forms)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open(&v, "rsa_pkcs8.json");
	json_array_foreach(vec_array(v.root, "valid"), i, test)
	{
		assert_roundtrip(vec_hex(&v, test, "pkcs8"), 256);
		count.accepted++;
	}
	json_array_foreach(vec_array(v.root, "invalid"), i, test)
	{
		assert_refused(vec_str(test, "comment"), vec_hex(&v, test, "pkcs8"));
		count.refused++;
	}
	vec_close(&v);
	assert_true(count.accepted > 0 && count.refused > 0);
	vec_count_print("PKCS#8", &count);
	assert_refused("no address", BYTES_EMPTY);
}

/* Redundant as a private key is, no bit of it can change and no byte be missing. */
TEST(every_bit_counts)
{
	struct vectors v;
	struct bytes der;
	uint8_t *copy;

	vec_open(&v, "rsa_pkcs8.json");
	der = vec_hex(&v, json_array_get(vec_array(v.root, "valid"), 0), "pkcs8");
	copy = malloc(der.len);
	assert_non_null(copy);
	memcpy(copy, der.data, der.len);
	for (size_t at = 0; at < der.len; at++) {
		/* One bit of each byte, another at each place: all 8 would take seconds. */
		copy[at] ^= (uint8_t)(1u << at % 8);
		assert_refused("a bit flipped", BYTES(copy, der.len));
		copy[at] = der.data[at];
	}
	free(copy);
	for (size_t len = 0; len < der.len; len++) {
		copy = malloc(len > 0 ? len : 1);
		assert_non_null(copy);
		memcpy(copy, der.data, len);
		assert_refused("cut", BYTES(copy, len));
		free(copy);
	}
	vec_close(&v);
}

TEST(modulus)
{
	struct vectors v;
	json_t *entry;
	size_t i;

	vec_open(&v, "rsa_oaep.json");
	json_array_foreach(vec_array(v.root, "keys"), i, entry)
	{
		struct bytes der = vec_hex(&v, entry, "pkcs8"), n = vec_hex(&v, entry, "n");
		struct rsa_key *key = NULL;
		uint8_t got[RSA_BYTES];

		assert_ok(rsa_key_from_pkcs8(der, &key));
		assert_int_equal(rsa_key_bytes(key), n.len);
		assert_int_equal(rsa_key_bytes(key), vec_u64(entry, "bits") / 8);
		rsa_key_modulus(key, got);
		assert_bytes_equal(BYTES(got, n.len), n);
		rsa_key_free(key);
	}
	vec_close(&v);
	rsa_key_free(NULL);
}

TEST(out_of_memory)
{
	struct rsa_key *key = NULL;
	struct buf out = {0};
	struct vectors v;
	struct bytes der;
	enum chat_err err;
	unsigned n;

	vec_open(&v, "rsa_pkcs8.json");
	der = vec_hex(&v, json_array_get(vec_array(v.root, "valid"), 0), "pkcs8");
	for (n = 0;; n++) {
		failalloc_arm(n);
		err = rsa_key_from_pkcs8(der, &key);
		if (!failalloc_disarm())
			break;
		assert_err(err, CHAT_ERR_NOMEM);
		assert_null(key);
	}
	assert_ok(err);
	assert_true(n > 0);

	failalloc_arm(0);
	err = rsa_key_to_pkcs8(key, &out);
	assert_true(failalloc_disarm());
	assert_err(err, CHAT_ERR_NOMEM);
	assert_int_equal(out.len, 0);
	rsa_key_free(key);
	vec_close(&v);
}

/* The one slow test: making a key.  All that the protocol asks of one (chat-protocol(7), Identity), and use.
 */
TEST(generate)
{
	static const uint8_t seed[OAEP_SEED_BYTES] = {3};
	uint64_t random_seed = 8820;
	struct random_source random = unit_random(&random_seed);
	struct rsa_key *key = NULL, *again = NULL;
	uint8_t n[RSA_BYTES], c[RSA_BYTES], plain[16];
	struct buf der = {0};
	size_t len = 0;

	assert_ok(rsa_key_generate(&random, &key));
	assert_int_equal(rsa_key_bytes(key), RSA_BYTES);
	rsa_key_modulus(key, n);
	assert_true((n[0] & 0x80) != 0);
	assert_true((n[RSA_BYTES - 1] & 1) != 0);

	assert_ok(rsa_key_to_pkcs8(key, &der));
	assert_roundtrip(buf_bytes(&der), RSA_BYTES);
	assert_ok(rsa_key_from_pkcs8(buf_bytes(&der), &again));
	assert_ok(rsa_oaep_seal(BYTES_ARRAY(n), BYTES("label", 5), BYTES("sixteen bytes ..", 16), seed, c));
	assert_ok(rsa_oaep_open(
	    key, BYTES("label", 5), BYTES_ARRAY(c), &random_kernel, plain, sizeof(plain), &len));
	assert_bytes_equal(BYTES(plain, len), BYTES("sixteen bytes ..", 16));
	memset(plain, 0, sizeof(plain));
	assert_ok(rsa_oaep_open(
	    again, BYTES("label", 5), BYTES_ARRAY(c), &random_kernel, plain, sizeof(plain), &len));
	assert_bytes_equal(BYTES(plain, len), BYTES("sixteen bytes ..", 16));

	buf_fini_secret(&der);
	rsa_key_free(key);
	rsa_key_free(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pkcs8_forms),
	    cmocka_unit_test(every_bit_counts),
	    cmocka_unit_test(modulus),
	    cmocka_unit_test(out_of_memory),
	    cmocka_unit_test(generate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
