/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include "crypto/eme_oaep.h"
#include "crypto/rsa_oaep.h"

#define PLAIN_ROOM (RSA_PLAIN_MAX + 8) /* more than any plaintext */

/* Every refusal is this one error, leaves *ret_len alone and the room for the plaintext zeroed. */
static void
assert_cannot_open_cap(const struct rsa_key *key, struct bytes label, struct bytes c, size_t cap)
{
	uint8_t plain[PLAIN_ROOM];
	size_t len = 4711;

	memset(plain, 0xa5, sizeof(plain));
	assert_err(rsa_oaep_open(key, label, c, &random_kernel, plain, cap, &len), CHAT_ERR_CANNOT_OPEN);
	assert_int_equal(len, 4711);
	for (size_t i = 0; i < sizeof(plain); i++)
		assert_int_equal(plain[i], i < cap ? 0 : 0xa5);
}

static void
assert_cannot_open(const struct rsa_key *key, struct bytes label, struct bytes c)
{
	assert_cannot_open_cap(key, label, c, RSA_PLAIN_MAX);
}

static void
assert_opens(
    const json_t *test, const struct rsa_key *key, struct bytes label, struct bytes c, struct bytes msg)
{
	uint8_t plain[PLAIN_ROOM];
	size_t len = 4711;
	enum chat_err err;

	/* With as much room as the plaintext needs, and with more than enough. */
	for (unsigned ample = 0; ample < 2; ample++) {
		size_t cap = ample ? PLAIN_ROOM : msg.len;

		memset(plain, 0xa5, sizeof(plain));
		err = rsa_oaep_open(key, label, c, &random_kernel, plain, cap, &len);
		if (err != CHAT_OK)
			fail_msg("\"%s\": %s", vec_str(test, "comment"), chat_err_name(err));
		vec_assert_bytes(test, "the plaintext", BYTES(plain, len), msg);
		for (size_t i = len; i < sizeof(plain); i++)
			assert_int_equal(plain[i], i < cap ? 0 : 0xa5);
	}
	if (msg.len > 0)
		assert_cannot_open_cap(key, label, c, msg.len - 1);
}

/* Known answers: padding, ciphertext and back, through the functions that the protocol uses. */
TEST(known_answers)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *entry, *test;
	size_t i, j;

	vec_open(&v, "rsa_oaep.json");
	json_array_foreach(vec_array(v.root, "keys"), i, entry)
	{
		struct bytes n = vec_hex(&v, entry, "n");
		struct rsa_key *key = NULL;

		assert_ok(rsa_key_from_pkcs8(vec_hex(&v, entry, "pkcs8"), &key));
		json_array_foreach(vec_array(entry, "cases"), j, test)
		{
			struct bytes label = vec_hex(&v, test, "label"), msg = vec_hex(&v, test, "msg");
			struct bytes seed = vec_hex(&v, test, "seed"), ct = vec_hex(&v, test, "ct");
			uint8_t c[RSA_BYTES];

			assert_ok(rsa_oaep_seal(n, label, msg, seed.data, c));
			vec_assert_bytes(test, "the ciphertext", BYTES(c, n.len), ct);
			assert_opens(test, key, label, ct, msg);
			count.accepted++;
		}
		json_array_foreach(vec_array(entry, "invalid"), j, test)
		{
			assert_cannot_open(key, vec_hex(&v, test, "label"), vec_hex(&v, test, "ct"));
			count.refused++;
		}
		rsa_key_free(key);
	}
	vec_close(&v);
	assert_int_equal(count.accepted, 10);
	assert_int_equal(count.refused, 32);
	vec_count_print("RSA-OAEP, own", &count);
}

/* EME-OAEP by itself: the same cases, and every byte of the padding. */
TEST(padding)
{
	struct vectors v;
	json_t *entry, *test;
	size_t i, j;

	vec_open(&v, "rsa_oaep.json");
	json_array_foreach(vec_array(v.root, "keys"), i, entry)
	{
		json_array_foreach(vec_array(entry, "cases"), j, test)
		{
			struct bytes label = vec_hex(&v, test, "label"), msg = vec_hex(&v, test, "msg");
			struct bytes seed = vec_hex(&v, test, "seed"), want = vec_hex(&v, test, "em");
			uint8_t em[RSA_BYTES], broken[RSA_BYTES], plain[RSA_BYTES];
			size_t len = 0;

			eme_oaep_encode(label, msg, seed.data, em, want.len);
			vec_assert_bytes(test, "the padded plaintext", BYTES(em, want.len), want);
			/* lHash is 32 bytes under a mask of everything else: no change anywhere gets past it.
			 */
			for (size_t at = 0; at < want.len; at++) {
				memcpy(broken, em, want.len);
				broken[at] ^= (uint8_t)(1u << at % 8);
				assert_false(
				    eme_oaep_decode(label, broken, want.len, plain, sizeof(plain), &len));
			}
			assert_true(eme_oaep_decode(label, em, want.len, plain, sizeof(plain), &len));
			vec_assert_bytes(test, "the plaintext", BYTES(plain, len), msg);
		}
		json_array_foreach(vec_array(entry, "invalid"), j, test)
		{
			struct bytes label = vec_hex(&v, test, "label"), em = vec_hex(&v, test, "em");
			uint8_t copy[RSA_BYTES], plain[RSA_BYTES];
			size_t len = 4711;

			memcpy(copy, em.data, em.len);
			if (eme_oaep_decode(label, copy, em.len, plain, sizeof(plain), &len))
				fail_msg("accepted: %s", vec_str(test, "comment"));
			assert_int_equal(len, 4711);
		}
	}
	vec_close(&v);
}

/* The room for the plaintext, from one byte too few on, and the lengths at both ends. */
TEST(room)
{
	static const uint8_t seed[OAEP_SEED_BYTES] = {1};
	uint8_t em[RSA_BYTES], copy[RSA_BYTES], plain[RSA_BYTES], ones[RSA_PLAIN_MAX];
	struct bytes label = BYTES("l", 1);
	size_t len = 0;

	/* Of 01 only the first ends the zeros; the others are plaintext. */
	memset(ones, 1, sizeof(ones));
	for (size_t n = 1; n <= RSA_PLAIN_MAX; n++) {
		eme_oaep_encode(label, BYTES(ones, n), seed, em, sizeof(em));
		memcpy(copy, em, sizeof(em));
		assert_false(eme_oaep_decode(label, copy, sizeof(em), plain, n - 1, &len));
		memcpy(copy, em, sizeof(em));
		assert_true(eme_oaep_decode(label, copy, sizeof(em), plain, n, &len));
		assert_bytes_equal(BYTES(plain, len), BYTES(ones, n));
		assert_true(eme_oaep_decode(label, em, sizeof(em), plain, SIZE_MAX, &len));
	}
	eme_oaep_encode(label, BYTES_EMPTY, seed, em, sizeof(em));
	assert_true(eme_oaep_decode(label, em, sizeof(em), NULL, 0, &len));
	assert_int_equal(len, 0);
	/* The smallest block: nothing fits but the empty plaintext. */
	eme_oaep_encode(label, BYTES_EMPTY, seed, em, EME_OVERHEAD);
	assert_true(eme_oaep_decode(label, em, EME_OVERHEAD, NULL, 0, &len));
	assert_int_equal(len, 0);
}

static void
wycheproof(const char *name)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *group, *test;
	size_t i, j;

	vec_open_published(&v, name);
	json_array_foreach(vec_array(v.root, "testGroups"), i, group)
	{
		struct rsa_key *key = NULL;

		assert_ok(rsa_key_from_pkcs8(vec_hex(&v, group, "privateKeyPkcs8"), &key));
		assert_int_equal(rsa_key_bytes(key), vec_u64(group, "keySize") / 8);
		json_array_foreach(vec_array(group, "tests"), j, test)
		{
			struct bytes label = vec_hex(&v, test, "label"), ct = vec_hex(&v, test, "ct");

			if (vec_is(test, "result", "valid")) {
				assert_opens(test, key, label, ct, vec_hex(&v, test, "msg"));
				count.accepted++;
			} else {
				assert_cannot_open(key, label, ct);
				count.refused++;
			}
		}
		rsa_key_free(key);
	}
	assert_int_equal(count.accepted + count.refused, vec_u64(v.root, "numberOfTests"));
	assert_true(count.accepted > 0 && count.refused > 0);
	vec_close(&v);
	vec_count_print(name, &count);
}

TEST(wycheproof_2048)
{
	wycheproof("rsa_oaep_2048_sha256_mgf1sha256_test.json");
}

TEST(wycheproof_3072)
{
	wycheproof("rsa_oaep_3072_sha256_mgf1sha256_test.json");
}

/* The first key of rsa_oaep.json (3,072 bits), and its first case. */
struct fixture {
	struct vectors v;
	struct rsa_key *key;
	struct bytes n, label, msg, ct, seed;
};

static void
fixture_open(struct fixture *f)
{
	const json_t *entry, *test;

	vec_open(&f->v, "rsa_oaep.json");
	entry = json_array_get(vec_array(f->v.root, "keys"), 0);
	test = json_array_get(vec_array(entry, "cases"), 0);
	f->key = NULL;
	assert_ok(rsa_key_from_pkcs8(vec_hex(&f->v, entry, "pkcs8"), &f->key));
	f->n = vec_hex(&f->v, entry, "n");
	f->label = vec_hex(&f->v, test, "label");
	f->msg = vec_hex(&f->v, test, "msg");
	f->ct = vec_hex(&f->v, test, "ct");
	f->seed = vec_hex(&f->v, test, "seed");
	assert_int_equal(f->n.len, RSA_BYTES);
}

static void
fixture_close(struct fixture *f)
{
	rsa_key_free(f->key);
	vec_close(&f->v);
}

/* a += b, or a -= b, big-endian; gives the carry or borrow. */
static unsigned
number_add(uint8_t *a, const uint8_t *b, size_t len, bool subtract)
{
	unsigned carry = subtract ? 1 : 0;

	for (size_t i = len; i-- > 0;) {
		carry += a[i] + (unsigned)(subtract ? (uint8_t)~b[i] : b[i]);
		a[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return subtract ? !carry : carry;
}

TEST(range_of_c)
{
	struct fixture f;
	uint8_t c[RSA_BYTES + 1], one[RSA_BYTES] = {0};

	fixture_open(&f);
	one[RSA_BYTES - 1] = 1;

	memset(c, 0, sizeof(c));
	assert_cannot_open(f.key, f.label, BYTES(c, RSA_BYTES)); /* 0 */
	assert_cannot_open(f.key, f.label, BYTES_ARRAY(one));
	memcpy(c, f.n.data, RSA_BYTES);
	assert_cannot_open(f.key, f.label, BYTES(c, RSA_BYTES)); /* n */
	number_add(c, one, RSA_BYTES, true);
	assert_cannot_open(f.key, f.label, BYTES(c, RSA_BYTES)); /* n - 1 */
	memcpy(c, f.n.data, RSA_BYTES);
	number_add(c, one, RSA_BYTES, false);
	assert_cannot_open(f.key, f.label, BYTES(c, RSA_BYTES)); /* n + 1 */
	memset(c, 0xff, sizeof(c));
	assert_cannot_open(f.key, f.label, BYTES(c, RSA_BYTES)); /* 2^3072 - 1 */
	fixture_close(&f);
}

/*
 * c + n, which opens like c where nobody looks at the range, in 384 bytes.  It takes a c small enough: seeds
 * are tried until there is one (n has its top bit set, so a good part of all c will do).
 */
TEST(c_plus_n)
{
	struct fixture f;
	uint8_t c[RSA_BYTES], seed[OAEP_SEED_BYTES] = {0}, plain[16];
	size_t len = 0;
	unsigned tries, carry = 1;

	fixture_open(&f);
	for (tries = 0; tries < 200 && carry != 0; tries++) {
		seed[0] = (uint8_t)tries;
		assert_ok(rsa_oaep_seal(f.n, f.label, f.msg, seed, c));
		assert_ok(rsa_oaep_open(
		    f.key, f.label, BYTES_ARRAY(c), &random_kernel, plain, sizeof(plain), &len));
		carry = number_add(c, f.n.data, RSA_BYTES, false);
	}
	assert_int_equal(carry, 0);
	assert_cannot_open(f.key, f.label, BYTES_ARRAY(c));
	number_add(c, f.n.data, RSA_BYTES, true);
	assert_ok(rsa_oaep_open(f.key, f.label, BYTES_ARRAY(c), &random_kernel, plain, sizeof(plain), &len));
	fixture_close(&f);
}

TEST(length_of_c)
{
	struct fixture f;
	uint8_t *c;

	fixture_open(&f);
	assert_cannot_open(f.key, f.label, BYTES_EMPTY);
	for (size_t len = 1; len <= RSA_BYTES + 2; len++) {
		/* All around 384; a few of the others. */
		if (len == RSA_BYTES || (len < RSA_BYTES - 2 && len % 64 != 0))
			continue;
		c = calloc(1, len);
		assert_non_null(c);
		memcpy(c, f.ct.data, len < RSA_BYTES ? len : RSA_BYTES);
		assert_cannot_open(f.key, f.label, BYTES(c, len));
		/* The same number with zeros in front. */
		if (len > RSA_BYTES) {
			memset(c, 0, len);
			memcpy(c + len - RSA_BYTES, f.ct.data, RSA_BYTES);
			assert_cannot_open(f.key, f.label, BYTES(c, len));
		}
		free(c);
	}
	fixture_close(&f);
}

TEST(wrong_label_key_or_bit)
{
	struct fixture f;
	uint8_t label[256], c[RSA_BYTES];
	const json_t *other;
	struct rsa_key *key = NULL;

	fixture_open(&f);
	memcpy(label, f.label.data, f.label.len);
	label[f.label.len] = 0;
	assert_cannot_open(f.key, BYTES_EMPTY, f.ct);
	assert_cannot_open(f.key, BYTES(label, f.label.len - 1), f.ct);
	assert_cannot_open(f.key, BYTES(label, f.label.len + 1), f.ct);
	label[f.label.len - 1] ^= 1;
	assert_cannot_open(f.key, BYTES(label, f.label.len), f.ct);

	other = json_array_get(vec_array(f.v.root, "keys"), 1);
	assert_ok(rsa_key_from_pkcs8(vec_hex(&f.v, other, "pkcs8"), &key));
	assert_cannot_open(key, f.label, f.ct);
	rsa_key_free(key);

	for (size_t at = 0; at < RSA_BYTES; at += 37) {
		memcpy(c, f.ct.data, sizeof(c));
		c[at] ^= 0x10;
		assert_cannot_open(f.key, f.label, BYTES_ARRAY(c));
	}
	fixture_close(&f);
}

/* The exponentiation is blinded with the source given, and gives the same whatever that says. */
TEST(blinding)
{
	struct fixture f;
	uint64_t seed = 1, before;
	struct random_source random = unit_random(&seed);
	uint8_t plain[16];
	size_t len;

	fixture_open(&f);
	for (unsigned i = 0; i < 4; i++) {
		before = seed;
		memset(plain, 0, sizeof(plain));
		assert_ok(rsa_oaep_open(f.key, f.label, f.ct, &random, plain, sizeof(plain), &len));
		assert_bytes_equal(BYTES(plain, len), f.msg);
		assert_true(seed != before);
	}
	/* A ciphertext out of range costs the same work. */
	before = seed;
	assert_err(rsa_oaep_open(f.key, f.label, BYTES_EMPTY, &random, plain, sizeof(plain), &len),
	    CHAT_ERR_CANNOT_OPEN);
	assert_true(seed != before);
	fixture_close(&f);
}

TEST(seal_refuses)
{
	struct fixture f;
	uint8_t n[RSA_BYTES + 128], c[RSA_BYTES] = {0}, long_plain[RSA_PLAIN_MAX + 1] = {0};

	fixture_open(&f);
	memset(n, 0xff, sizeof(n));
	memcpy(n, f.n.data, RSA_BYTES);
	assert_ok(
	    rsa_oaep_seal(BYTES(n, RSA_BYTES), f.label, BYTES(long_plain, RSA_PLAIN_MAX), f.seed.data, c));
	memset(c, 0xa5, sizeof(c));
	assert_err(rsa_oaep_seal(BYTES(n, RSA_BYTES), f.label, BYTES_ARRAY(long_plain), f.seed.data, c),
	    CHAT_ERR_RANGE);
	assert_err(rsa_oaep_seal(BYTES(n, 256 - 1), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	assert_err(
	    rsa_oaep_seal(BYTES(n, RSA_BYTES - 1), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	assert_err(
	    rsa_oaep_seal(BYTES(n, RSA_BYTES + 1), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	assert_err(rsa_oaep_seal(BYTES(n, 128), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	assert_err(rsa_oaep_seal(BYTES(n, 512), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	assert_err(rsa_oaep_seal(BYTES_EMPTY, f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	n[0] &= 0x7f;
	assert_err(rsa_oaep_seal(BYTES(n, RSA_BYTES), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	n[0] |= 0x80;
	n[RSA_BYTES - 1] &= 0xfe;
	assert_err(rsa_oaep_seal(BYTES(n, RSA_BYTES), f.label, f.msg, f.seed.data, c), CHAT_ERR_MALFORMED);
	for (size_t i = 0; i < sizeof(c); i++)
		assert_int_equal(c[i], 0xa5);
	fixture_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_answers),
	    cmocka_unit_test(padding),
	    cmocka_unit_test(room),
	    cmocka_unit_test(wycheproof_2048),
	    cmocka_unit_test(wycheproof_3072),
	    cmocka_unit_test(range_of_c),
	    cmocka_unit_test(c_plus_n),
	    cmocka_unit_test(length_of_c),
	    cmocka_unit_test(wrong_label_key_or_bit),
	    cmocka_unit_test(blinding),
	    cmocka_unit_test(seal_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
