/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group_vectors.h"

#include <string.h>

#include "base/compiler.h"
#include "crypto/hash.h"
#include "group/identity.h"

TEST(account_names_at_their_edges)
{
	static const char *const good[] = {"a", "0", "a.b_c-d", "9-", "alice",
	    "abcdefghijklmnopqrstuvwxyz0123456789._-abcdefghijklmnopqrstuvwxyz"};
	static const char *const bad[] = {"", ".a", "_a", "-a", "Alice", "aL", "a b", "a:", "a\n", "\xc5\xbc",
	    "abcdefghijklmnopqrstuvwxyz0123456789._-abcdefghijklmnopqrstuvwxyz"};
	struct account_name name;
	char longest[ACCOUNT_MAX_BYTES + 2];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		size_t len = strlen(good[i]) < ACCOUNT_MAX_BYTES ? strlen(good[i]) : ACCOUNT_MAX_BYTES;

		assert_ok(account_name_set(BYTES(good[i], len), &name));
		assert_true(bytes_equal(account_bytes(&name), BYTES(good[i], len)));
		assert_int_equal(strlen(name.s), len);
	}
	memset(&name, 0x5a, sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_err(account_name_set(BYTES_STR(bad[i]), &name), CHAT_ERR_INVALID);
	assert_int_equal(name.len, 0x5a);
	assert_err(account_name_set(BYTES("a\0b", 3), &name), CHAT_ERR_INVALID);
	assert_err(account_name_set(BYTES_EMPTY, &name), CHAT_ERR_INVALID);

	memset(longest, 'z', sizeof(longest));
	assert_ok(account_name_set(BYTES(longest, 64), &name));
	assert_int_equal(name.len, 64);
	assert_err(account_name_set(BYTES(longest, 65), &name), CHAT_ERR_INVALID);
	assert_err(account_name_set(BYTES(longest, 0), &name), CHAT_ERR_INVALID);
}

TEST(ids_are_shown_in_digits_and_as_qr)
{
	struct digest id = {.b = {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x86, 0x9f,
				0x00, 0x01, 0x86, 0xa0, 0xff, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x00,
				0x00, 0x27, 0x10, 0x7f, 0xff, 0xff, 0xff}};
	char digits[DIGITS_CHARS + 1], qr[MEMBER_QR_CHARS + 1];

	/* 0; 1; 99999; 100000; 2^32 - 1 = 4294967295; 2^31 = 2147483648; 10000; 2147483647 */
	digest_digits(&id, digits);
	assert_string_equal(digits, "00000 00001 99999 00000 67295 83648 10000 83647");

	memset(id.b, 0xff, sizeof(id.b));
	member_id_qr(&id, qr);
	assert_string_equal(qr, "secure-chat:1:__________________________________________8");
	memset(id.b, 0, sizeof(id.b));
	member_id_qr(&id, qr);
	assert_string_equal(qr, "secure-chat:1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

TEST(every_part_counts_in_a_member_id)
{
	struct realm realm = {{1}}, other_realm = {{2}};
	struct account_name ab = gv_account_of("ab"), abc = gv_account_of("abc");
	uint8_t pk[ED25519_PK_BYTES] = {3};
	struct digest id = member_id_of(&realm, &ab, pk), other;

	other = member_id_of(&other_realm, &ab, pk);
	assert_false(digest_equal(&id, &other));
	other = member_id_of(&realm, &abc, pk);
	assert_false(digest_equal(&id, &other));
	pk[31] = 1;
	other = member_id_of(&realm, &ab, pk);
	assert_false(digest_equal(&id, &other));
	assert_false(realm_equal(&realm, &other_realm));
	assert_false(account_equal(&ab, &abc));
}

TEST(an_identity_is_what_its_root_gives)
{
	uint8_t random[ED25519_SEED_BYTES + BAG_KEY_BYTES];
	struct given_random given;
	struct identity_root root;
	struct identity identity;
	struct realm realm = {{7}};
	struct account_name account = gv_account_of("alice");
	struct digest id;

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i + 1);
	given_random_init(&given, BYTES_ARRAY(random));
	identity_root_generate(&given.source, &root);
	given_random_assert_empty(&given);
	identity_init(&root, &realm, &account, &identity);
	assert_memory_equal(identity.sign.seed, random, ED25519_SEED_BYTES);
	assert_memory_equal(identity.bag_key, random + ED25519_SEED_BYTES, BAG_KEY_BYTES);
	id = member_id_of(&realm, &account, identity.sign.pk);
	assert_true(digest_equal(&identity.member_id, &id));

	identity_root_fini(&root);
	identity_fini(&identity);
	for (size_t i = 0; i < sizeof(root); i++)
		assert_int_equal(((const uint8_t *)&root)[i], 0);
	for (size_t i = 0; i < sizeof(identity); i++)
		assert_int_equal(((const uint8_t *)&identity)[i], 0);
}

TEST(a_login_holds_for_one_place_and_connection)
{
	uint8_t seed[ED25519_SEED_BYTES] = {9};
	struct sign_key key;
	struct login login = {.binding_type = LOGIN_BINDING_TLS_EXPORTER, .account = gv_account_of("alice")};
	struct login other;
	uint8_t sig[ED25519_SIG_BYTES];

	sign_key_init(seed, &key);
	login_sign(&key, &login, sig);
	assert_ok(login_verify(key.pk, &login, sig));

	other = login;
	other.realm.b[15] ^= 1;
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_BAD_SIGNATURE);
	other = login;
	other.account = gv_account_of("alic");
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_BAD_SIGNATURE);
	other = login;
	other.member_id.b[0] ^= 1;
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_BAD_SIGNATURE);
	other = login;
	other.binding[31] ^= 1;
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_BAD_SIGNATURE);
	other = login;
	other.binding_type = LOGIN_BINDING_ORIGIN;
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_BAD_SIGNATURE);
	other.binding_type = 0;
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_UNSUPPORTED);
	other.binding_type = 3;
	assert_err(login_verify(key.pk, &other, sig), CHAT_ERR_UNSUPPORTED);
}

TEST(an_origin_has_a_length)
{
	static uint8_t longest[65536];
	static const uint8_t hashed[2 + 5 + LOGIN_CHALLENGE_BYTES] = {0, 5, 'h', 't', 't', 'p', 's', 0xc4};
	uint8_t challenge[LOGIN_CHALLENGE_BYTES] = {0xc4}, binding[LOGIN_BINDING_BYTES];
	struct digest want = hash_domain_once("origin", BYTES_ARRAY(hashed));

	assert_ok(login_origin_binding(BYTES_STR("https"), challenge, binding));
	assert_memory_equal(binding, want.b, sizeof(binding));
	assert_ok(login_origin_binding(BYTES(longest, 65535), challenge, binding));
	assert_err(login_origin_binding(BYTES(longest, 65536), challenge, binding), CHAT_ERR_RANGE);
}

TEST(published_member_ids)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "member_id"), i, test)
	{
		struct realm realm = gv_realm(&v, test);
		struct account_name account = gv_account(test);
		struct digest want = vec_digest(test, "member_id"), id;
		uint8_t seed[ED25519_SEED_BYTES], preimage[MEMBER_PREIMAGE_MAX];
		struct sign_key key;
		size_t len;
		char digits[DIGITS_CHARS + 1], qr[MEMBER_QR_CHARS + 1];

		gv_copy(&v, test, "ed_seed", seed, sizeof(seed));
		sign_key_init(seed, &key);
		vec_assert_bytes(test, "ed_pk", BYTES_ARRAY(key.pk), vec_hex(&v, test, "ed_pk"));
		len = member_id_preimage(&realm, &account, key.pk, preimage);
		vec_assert_bytes(test, "preimage", BYTES(preimage, len), vec_hex(&v, test, "preimage"));
		id = member_id_of(&realm, &account, key.pk);
		vec_assert_bytes(test, "member_id", digest_bytes(&id), digest_bytes(&want));
		digest_digits(&id, digits);
		assert_string_equal(digits, vec_str(test, "digits"));
		member_id_qr(&id, qr);
		assert_string_equal(qr, vec_str(test, "qr"));
		gv_assert_err(test, CHAT_OK, gv_result(test), &count);
	}
	vec_count_print("member_id", &count);
	vec_close(&v);
}

TEST(published_logins)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "login"), i, test)
	{
		struct login login = {
		    .binding_type = (uint8_t)vec_u64(test, "binding_type"),
		    .realm = gv_realm(&v, test),
		    .account = gv_account(test),
		    .member_id = vec_digest(test, "member_id"),
		};
		uint8_t pk[ED25519_PK_BYTES], sig[ED25519_SIG_BYTES];

		gv_copy(&v, test, "ed_pk", pk, sizeof(pk));
		gv_copy(&v, test, "sig", sig, sizeof(sig));
		gv_copy(&v, test, "binding", login.binding, sizeof(login.binding));
		if (vec_has(test, "origin")) {
			uint8_t challenge[LOGIN_CHALLENGE_BYTES], binding[LOGIN_BINDING_BYTES];

			gv_copy(&v, test, "challenge", challenge, sizeof(challenge));
			assert_ok(login_origin_binding(vec_str_bytes(test, "origin"), challenge, binding));
			vec_assert_bytes(test, "binding", BYTES_ARRAY(binding), BYTES_ARRAY(login.binding));
		}
		if (vec_has(test, "signed")) {
			uint8_t b[DOMAIN_MAX_BYTES + LOGIN_SIGNED_MAX];
			size_t len = domain_put("login", b);

			len += login_signed(&login, b + len);
			vec_assert_bytes(test, "signed", BYTES(b, len), vec_hex(&v, test, "signed"));
		}
		gv_assert_err(test, login_verify(pk, &login, sig), gv_result(test), &count);
	}
	vec_count_print("login", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(account_names_at_their_edges),
	    cmocka_unit_test(ids_are_shown_in_digits_and_as_qr),
	    cmocka_unit_test(every_part_counts_in_a_member_id),
	    cmocka_unit_test(an_identity_is_what_its_root_gives),
	    cmocka_unit_test(a_login_holds_for_one_place_and_connection),
	    cmocka_unit_test(an_origin_has_a_length),
	    cmocka_unit_test(published_member_ids),
	    cmocka_unit_test(published_logins),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
