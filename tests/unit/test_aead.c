/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include "crypto/aead.h"

static uint8_t *
fresh(size_t len)
{
	uint8_t *p = malloc(len > 0 ? len : 1);

	assert_non_null(p);
	memset(p, 0xa5, len);
	return p;
}

/* ct || tag of a case, as one piece of exactly its length; free() the data. */
static struct bytes
sealed_of(struct vectors *v, const json_t *test)
{
	struct bytes ct = vec_hex(v, test, "ct"), tag = vec_hex(v, test, "tag");
	uint8_t *sealed = fresh(ct.len + tag.len);

	if (ct.len > 0)
		memcpy(sealed, ct.data, ct.len);
	memcpy(sealed + ct.len, tag.data, tag.len);
	return BYTES(sealed, ct.len + tag.len);
}

static void
check_valid(struct vectors *v, const json_t *test)
{
	struct bytes key = vec_hex(v, test, "key"), iv = vec_hex(v, test, "iv"),
		     aad = vec_hex(v, test, "aad");
	struct bytes msg = vec_hex(v, test, "msg"), sealed = sealed_of(v, test);
	uint8_t *out = fresh(sealed.len), *back = fresh(msg.len);

	aead_seal(key, iv.data, aad, msg, out);
	vec_assert_bytes(test, "the ciphertext", BYTES(out, sealed.len), sealed);
	assert_ok(aead_open(key, iv.data, aad, sealed, back));
	vec_assert_bytes(test, "the plaintext", BYTES(back, msg.len), msg);

	/* In place, both ways. */
	if (msg.len > 0)
		memcpy(out, msg.data, msg.len);
	aead_seal(key, iv.data, aad, BYTES(out, msg.len), out);
	vec_assert_bytes(test, "the ciphertext in place", BYTES(out, sealed.len), sealed);
	assert_ok(aead_open(key, iv.data, aad, BYTES(out, sealed.len), out));
	vec_assert_bytes(test, "the plaintext in place", BYTES(out, msg.len), msg);

	free(out);
	free(back);
	free((void *)(uintptr_t)sealed.data);
}

static void
check_refused(struct bytes key, struct bytes iv, struct bytes aad, struct bytes sealed)
{
	size_t len = sealed.len < AEAD_TAG_BYTES ? 0 : sealed.len - AEAD_TAG_BYTES;
	uint8_t *out = fresh(len);

	assert_err(aead_open(key, iv.data, aad, sealed, out), CHAT_ERR_CANNOT_OPEN);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(out[i], 0);
	free(out);
}

TEST(gcm_specification)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open(&v, "aes_gcm.json");
	json_array_foreach(vec_array(v.root, "cases"), i, test)
	{
		check_valid(&v, test);
		count.accepted++;
	}
	vec_close(&v);
	assert_int_equal(count.accepted, 8);
	vec_count_print("GCM specification", &count);
}

/* Not applicable: nonces of other sizes than 12 bytes, and AES-192, which the interface cannot even say. */
TEST(wycheproof)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *group, *test;
	size_t i, j;

	vec_open_published(&v, "aes_gcm_test.json");
	json_array_foreach(vec_array(v.root, "testGroups"), i, group)
	{
		bool ours = vec_u64(group, "ivSize") == 8 * AEAD_NONCE_BYTES &&
			    vec_u64(group, "tagSize") == 8 * AEAD_TAG_BYTES &&
			    vec_u64(group, "keySize") != 192;

		json_array_foreach(vec_array(group, "tests"), j, test)
		{
			if (!ours) {
				count.skipped++;
			} else if (vec_is(test, "result", "valid")) {
				check_valid(&v, test);
				count.accepted++;
			} else {
				struct bytes sealed = sealed_of(&v, test);

				check_refused(vec_hex(&v, test, "key"), vec_hex(&v, test, "iv"),
				    vec_hex(&v, test, "aad"), sealed);
				free((void *)(uintptr_t)sealed.data);
				count.refused++;
			}
		}
	}
	assert_int_equal(count.accepted + count.refused + count.skipped, vec_u64(v.root, "numberOfTests"));
	assert_true(count.accepted > 0 && count.refused > 0);
	vec_close(&v);
	vec_count_print("Wycheproof AES-GCM", &count);
}

/* Each bit of ciphertext, tag, nonce and associated data counts, for both ciphers, and the plaintext stays
 * hidden. */
TEST(every_bit_counts)
{
	uint8_t key[AES256_KEY_BYTES] = {1, 2, 3}, nonce[AEAD_NONCE_BYTES] = {9}, aad[5] = "about";
	uint8_t sealed[20 + AEAD_TAG_BYTES];
	struct bytes text = BYTES("twenty bytes of text", 20);

	for (size_t key_len = AES128_KEY_BYTES; key_len <= AES256_KEY_BYTES; key_len += 16) {
		struct bytes k = BYTES(key, key_len);
		const struct {
			uint8_t *data;
			size_t len;
		} parts[] = {
		    {sealed, sizeof(sealed)}, {nonce, sizeof(nonce)}, {aad, sizeof(aad)}, {key, key_len}};

		aead_seal(k, nonce, BYTES_ARRAY(aad), text, sealed);
		for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
			for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
				parts[p].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
				check_refused(k, BYTES_ARRAY(nonce), BYTES_ARRAY(aad), BYTES_ARRAY(sealed));
				parts[p].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
		}
		/* Put back, it opens: the refusals above were for the bits. */
		uint8_t back[20];

		assert_ok(aead_open(k, nonce, BYTES_ARRAY(aad), BYTES_ARRAY(sealed), back));
		assert_bytes_equal(BYTES_ARRAY(back), text);
	}
}

TEST(too_short_and_cut)
{
	uint8_t key[AES128_KEY_BYTES] = {7}, nonce[AEAD_NONCE_BYTES] = {0}, sealed[3 + AEAD_TAG_BYTES];

	aead_seal(BYTES_ARRAY(key), nonce, BYTES_EMPTY, BYTES("abc", 3), sealed);
	for (size_t len = 0; len < sizeof(sealed); len++)
		check_refused(BYTES_ARRAY(key), BYTES_ARRAY(nonce), BYTES_EMPTY, BYTES(sealed, len));
	check_refused(BYTES_ARRAY(key), BYTES_ARRAY(nonce), BYTES_EMPTY, BYTES_EMPTY);
}

/* Nothing to seal, nothing beside it: still a tag, which authenticates the nothing. */
TEST(empty_without_an_address)
{
	uint8_t key[AES256_KEY_BYTES] = {7}, nonce[AEAD_NONCE_BYTES] = {0}, tag[AEAD_TAG_BYTES];

	aead_seal(BYTES_ARRAY(key), nonce, BYTES_EMPTY, BYTES_EMPTY, tag);
	assert_ok(aead_open(BYTES_ARRAY(key), nonce, BYTES_EMPTY, BYTES_ARRAY(tag), NULL));
	tag[0] ^= 1;
	assert_err(
	    aead_open(BYTES_ARRAY(key), nonce, BYTES_EMPTY, BYTES_ARRAY(tag), NULL), CHAT_ERR_CANNOT_OPEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gcm_specification),
	    cmocka_unit_test(wycheproof),
	    cmocka_unit_test(every_bit_counts),
	    cmocka_unit_test(too_short_and_cut),
	    cmocka_unit_test(empty_without_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
