/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group_vectors.h"

#include <string.h>

#include "base/compiler.h"
#include "group/recovery.h"

TEST(a_code_is_typed_in_many_ways)
{
	static const struct recovery_code zeros, ones = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	/* "foobar" and so on: RFC 4648, 10 gives MZXW6YTBOI for it */
	static const struct recovery_code foobar = {
	    {'f', 'o', 'o', 'b', 'a', 'r', 'f', 'o', 'o', 'b', 'f', 'o', 'o', 'b', 'a', 'r'}};
	static const char *const bad[] = {
	    "",
	    "----",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-A",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAA",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AB", /* spare bits */
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AC",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-A0",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-A1",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-A8",
	    "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-A=",
	    "AAAA_AAAA_AAAA_AAAA_AAAA_AAAA_AA",
	    "AAAA\tAAAA\tAAAA\tAAAA\tAAAA\tAAAA\tAA",
	};
	char text[RECOVERY_CODE_CHARS + 1];
	struct recovery_code code;

	recovery_code_format(&zeros, text);
	assert_string_equal(text, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AA");
	recovery_code_format(&ones, text);
	assert_string_equal(text, "7777-7777-7777-7777-7777-7777-74");
	assert_ok(recovery_code_parse(BYTES_STR(text), &code));
	assert_memory_equal(code.b, ones.b, sizeof(code.b));
	assert_ok(recovery_code_parse(BYTES_STR("  7777777777777777 -- 7777777774 "), &code));
	assert_memory_equal(code.b, ones.b, sizeof(code.b));
	recovery_code_format(&foobar, text);
	assert_memory_equal(text, "MZXW-6YTB", 9);
	for (char *c = text; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	assert_ok(recovery_code_parse(BYTES_STR(text), &code));
	assert_memory_equal(code.b, foobar.b, sizeof(code.b));

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(recovery_code_parse(BYTES_STR(bad[i]), &code), CHAT_ERR_MALFORMED);
	assert_err(recovery_code_parse(BYTES_EMPTY, &code), CHAT_ERR_MALFORMED);
	assert_memory_equal(code.b, foobar.b, sizeof(code.b));
}

TEST(a_root_comes_back_by_its_code_alone)
{
	struct identity_root root, got = {.bag_key = {1}};
	struct identity identity;
	struct realm realm = {{1}}, other_realm = {{2}};
	struct account_name account = gv_account_of("alice"), other_account = gv_account_of("bob");
	struct recovery_code code, other_code;
	uint8_t blob[RECOVERY_BLOB_BYTES + 1], second[RECOVERY_BLOB_BYTES], pk[ED25519_PK_BYTES];

	identity_root_generate(&random_kernel, &root);
	identity_init(&root, &realm, &account, &identity);
	recovery_code_generate(&random_kernel, &code);
	other_code = code;
	other_code.b[15] ^= 1;
	recovery_seal(&code, &identity, &random_kernel, blob);
	recovery_seal(&code, &identity, &random_kernel, second);
	assert_memory_not_equal(blob, second, sizeof(second));

	memcpy(pk, identity.sign.pk, sizeof(pk));
	pk[0] ^= 1;
	assert_err(recovery_open(&other_code, &realm, &account, identity.sign.pk,
		       BYTES(blob, RECOVERY_BLOB_BYTES), &got),
	    CHAT_ERR_CANNOT_OPEN);
	assert_err(recovery_open(&code, &other_realm, &account, identity.sign.pk,
		       BYTES(blob, RECOVERY_BLOB_BYTES), &got),
	    CHAT_ERR_CANNOT_OPEN);
	assert_err(recovery_open(&code, &realm, &other_account, identity.sign.pk,
		       BYTES(blob, RECOVERY_BLOB_BYTES), &got),
	    CHAT_ERR_CANNOT_OPEN);
	assert_err(recovery_open(&code, &realm, &account, pk, BYTES(blob, RECOVERY_BLOB_BYTES), &got),
	    CHAT_ERR_CANNOT_OPEN);
	for (size_t len = 0; len <= sizeof(blob); len++) {
		if (len == RECOVERY_BLOB_BYTES)
			continue;
		assert_err(recovery_open(&code, &realm, &account, identity.sign.pk, BYTES(blob, len), &got),
		    CHAT_ERR_MALFORMED);
	}
	for (size_t i = 0; i < RECOVERY_BLOB_BYTES; i++) {
		blob[i] ^= 0x10;
		assert_err(recovery_open(&code, &realm, &account, identity.sign.pk,
			       BYTES(blob, RECOVERY_BLOB_BYTES), &got),
		    i == 0 ? CHAT_ERR_UNSUPPORTED : CHAT_ERR_CANNOT_OPEN);
		blob[i] ^= 0x10;
	}
	assert_int_equal(got.bag_key[0], 1); /* untouched all the while */
	assert_ok(
	    recovery_open(&code, &realm, &account, identity.sign.pk, BYTES(blob, RECOVERY_BLOB_BYTES), &got));
	assert_memory_equal(&got, &root, sizeof(root));
}

TEST(a_root_that_is_not_the_keys_is_no_root)
{
	struct identity_root root = {.ed_seed = {1}}, other_root = {.ed_seed = {2}}, got;
	struct identity identity, other;
	struct realm realm = {{1}};
	struct account_name account = gv_account_of("alice");
	struct recovery_code code = {{3}};
	uint8_t blob[RECOVERY_BLOB_BYTES];

	identity_init(&root, &realm, &account, &identity);
	identity_init(&other_root, &realm, &account, &other);
	/* well sealed for the public key of the one, but with the seed of the other */
	memcpy(other.sign.pk, identity.sign.pk, sizeof(other.sign.pk));
	recovery_seal(&code, &other, &random_kernel, blob);
	assert_err(recovery_open(&code, &realm, &account, identity.sign.pk, BYTES_ARRAY(blob), &got),
	    CHAT_ERR_CANNOT_OPEN);
	recovery_seal(&code, &identity, &random_kernel, blob);
	assert_ok(recovery_open(&code, &realm, &account, identity.sign.pk, BYTES_ARRAY(blob), &got));
}

TEST(published_recovery)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "recovery"), i, test)
	{
		struct realm realm = gv_realm(&v, test);
		struct account_name account = gv_account(test);
		struct recovery_code code, typed;
		uint8_t pk[ED25519_PK_BYTES], rk[RECOVERY_KEY_BYTES], blob[RECOVERY_BLOB_BYTES];
		struct identity_root root;
		struct identity identity;
		struct given_random nonce;

		gv_copy(&v, test, "code", code.b, sizeof(code.b));
		gv_copy(&v, test, "ed_pk", pk, sizeof(pk));
		gv_assert_err(test,
		    recovery_open(&code, &realm, &account, pk, vec_hex(&v, test, "blob"), &root),
		    gv_result(test), &count);
		if (gv_result(test) != CHAT_OK)
			continue;
		vec_assert_bytes(test, "ed_seed", BYTES_ARRAY(root.ed_seed), vec_hex(&v, test, "ed_seed"));
		vec_assert_bytes(test, "bag_key", BYTES_ARRAY(root.bag_key), vec_hex(&v, test, "bag_key"));
		recovery_key(&code, &realm, &account, rk);
		vec_assert_bytes(test, "rk", BYTES_ARRAY(rk), vec_hex(&v, test, "rk"));
		assert_ok(recovery_code_parse(vec_str_bytes(test, "code_text"), &typed));
		vec_assert_bytes(test, "code_text", BYTES_ARRAY(typed.b), BYTES_ARRAY(code.b));

		identity_init(&root, &realm, &account, &identity);
		given_random_init(&nonce, vec_hex(&v, test, "nonce"));
		recovery_seal(&code, &identity, &nonce.source, blob);
		given_random_assert_empty(&nonce);
		vec_assert_bytes(test, "blob, sealed", BYTES_ARRAY(blob), vec_hex(&v, test, "blob"));
	}
	vec_count_print("recovery", &count);
	vec_close(&v);
}

TEST(published_recovery_codes)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "recovery_code"), i, test)
	{
		struct recovery_code code, again;
		char text[RECOVERY_CODE_CHARS + 1];

		gv_assert_err(
		    test, recovery_code_parse(vec_str_bytes(test, "text"), &code), gv_result(test), &count);
		if (gv_result(test) != CHAT_OK)
			continue;
		vec_assert_bytes(test, "code", BYTES_ARRAY(code.b), vec_hex(&v, test, "code"));
		recovery_code_format(&code, text);
		assert_ok(recovery_code_parse(BYTES_STR(text), &again));
		vec_assert_bytes(test, "code, shown", BYTES_ARRAY(again.b), BYTES_ARRAY(code.b));
	}
	vec_count_print("recovery_code", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_code_is_typed_in_many_ways),
	    cmocka_unit_test(a_root_comes_back_by_its_code_alone),
	    cmocka_unit_test(a_root_that_is_not_the_keys_is_no_root),
	    cmocka_unit_test(published_recovery),
	    cmocka_unit_test(published_recovery_codes),
	};

	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
