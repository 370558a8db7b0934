/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failalloc.h"
#include "group_vectors.h"

#include <string.h>

#include "base/compiler.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "group/bag.h"

struct owner {
	uint8_t bag_key[BAG_KEY_BYTES];
	struct realm realm;
	struct account_name account;
};

static enum chat_err
open_as(const struct owner *owner, uint64_t known, struct bytes blob, struct buf *plain, struct bag *ret)
{
	return bag_open(owner->bag_key, &owner->realm, &owner->account, known, blob, plain, ret);
}

static enum chat_err
seal_as(const struct owner *owner, uint64_t version, const struct bytes *keys, size_t count, struct buf *ret)
{
	return bag_seal(
	    owner->bag_key, &owner->realm, &owner->account, version, keys, count, &random_kernel, ret);
}

TEST(all_keys_come_back_in_order)
{
	/* lengths around the steps of protobuf's lengths */
	static uint8_t bytes[16384];
	static const size_t lengths[] = {0, 1, 127, 128, 1794, 16383, 16384};
	struct owner owner = {.bag_key = {1}, .realm = {{2}}, .account = gv_account_of("alice")};
	struct bytes keys[ARRAY_LEN(lengths)], got;
	struct buf blob = {0}, plain = {0};
	struct bag bag;
	size_t at;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		keys[i] = BYTES(bytes, lengths[i]);
	for (size_t count = 0; count <= ARRAY_LEN(lengths); count++) {
		buf_clear(&blob);
		assert_ok(seal_as(&owner, count + 1, keys, count, &blob));
		assert_ok(open_as(&owner, count + 1, buf_bytes(&blob), &plain, &bag));
		assert_int_equal(bag.version, count + 1);
		assert_int_equal(bag.key_count, count);
		at = 0;
		for (size_t i = 0; i < count; i++) {
			assert_true(bag_next_key(&bag, &at, &got));
			assert_true(bytes_equal(got, keys[i]));
		}
		assert_false(bag_next_key(&bag, &at, &got));
		assert_false(bag_next_key(&bag, &at, &got));
	}
	buf_fini(&blob);
	buf_fini_secret(&plain);
}

TEST(a_version_that_falls_is_stale)
{
	struct owner owner = {.bag_key = {1}, .account = gv_account_of("alice")};
	struct bytes key = BYTES("key", 3);
	struct buf blob = {0}, plain = {0};
	struct bag bag = {.key_count = 77};

	assert_ok(seal_as(&owner, 5, &key, 1, &blob));
	assert_err(open_as(&owner, 6, buf_bytes(&blob), &plain, &bag), CHAT_ERR_STALE);
	assert_err(open_as(&owner, UINT64_MAX, buf_bytes(&blob), &plain, &bag), CHAT_ERR_STALE);
	assert_int_equal(bag.key_count, 77);
	assert_ok(open_as(&owner, 5, buf_bytes(&blob), &plain, &bag));
	assert_ok(open_as(&owner, 4, buf_bytes(&blob), &plain, &bag));
	assert_ok(open_as(&owner, 0, buf_bytes(&blob), &plain, &bag));
	buf_fini(&blob);
	buf_fini_secret(&plain);
}

TEST(a_bag_opens_for_its_owner_as_it_is)
{
	struct owner owner = {.bag_key = {1}, .realm = {{2}}, .account = gv_account_of("alice")}, other;
	struct bytes key = BYTES("key", 3);
	struct buf blob = {0}, plain = {0};
	struct bag bag;

	assert_ok(seal_as(&owner, 1, &key, 1, &blob));
	other = owner;
	other.bag_key[31] ^= 1;
	assert_err(open_as(&other, 0, buf_bytes(&blob), &plain, &bag), CHAT_ERR_CANNOT_OPEN);
	other = owner;
	other.realm.b[0] ^= 1;
	assert_err(open_as(&other, 0, buf_bytes(&blob), &plain, &bag), CHAT_ERR_CANNOT_OPEN);
	other = owner;
	other.account = gv_account_of("bob");
	assert_err(open_as(&other, 0, buf_bytes(&blob), &plain, &bag), CHAT_ERR_CANNOT_OPEN);

	for (size_t len = 0; len < BAG_OVERHEAD_BYTES; len++)
		assert_err(open_as(&owner, 0, BYTES(blob.data, len), &plain, &bag), CHAT_ERR_MALFORMED);
	for (size_t len = BAG_OVERHEAD_BYTES; len < blob.len; len++)
		assert_err(open_as(&owner, 0, BYTES(blob.data, len), &plain, &bag), CHAT_ERR_CANNOT_OPEN);
	for (size_t i = 0; i < blob.len; i++) {
		enum chat_err want = i == 0 ? CHAT_ERR_UNSUPPORTED : CHAT_ERR_CANNOT_OPEN;

		blob.data[i] ^= 0x40;
		assert_err(open_as(&owner, 0, buf_bytes(&blob), &plain, &bag), want);
		blob.data[i] ^= 0x40;
	}
	be64_put(blob.data + 1, 0);
	assert_err(open_as(&owner, 0, buf_bytes(&blob), &plain, &bag), CHAT_ERR_MALFORMED);
	buf_fini(&blob);
	buf_fini_secret(&plain);
}

TEST(what_is_sealed_must_be_a_bag)
{
	static const uint8_t cut[] = {0x0a, 0x05, 'h', 'i'};
	struct owner owner = {.bag_key = {1}, .account = gv_account_of("a")};
	uint8_t domain[DOMAIN_MAX_BYTES], aes_key[AES256_KEY_BYTES], aad[DOMAIN_MAX_BYTES + REALM_BYTES + 10];
	uint8_t blob[BAG_OVERHEAD_BYTES + sizeof(cut)] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
	size_t domain_len = domain_put("bag", domain);
	struct writer wr;
	struct buf plain = {0};
	struct bag bag;

	hkdf_sha256(BYTES_ARRAY(owner.bag_key), BYTES_ARRAY(owner.realm.b), BYTES(domain, domain_len),
	    aes_key, sizeof(aes_key));
	wr_init(&wr, aad, sizeof(aad));
	wr_bytes(&wr, domain, domain_len);
	wr_bytes(&wr, owner.realm.b, REALM_BYTES);
	wr_str8(&wr, account_bytes(&owner.account));
	wr_u64(&wr, 1);
	assert_true(wr_done(&wr));
	aead_seal(
	    BYTES_ARRAY(aes_key), blob + 9, wr_bytes_written(&wr), BYTES_ARRAY(cut), blob + BAG_HEAD_BYTES);
	assert_err(open_as(&owner, 0, BYTES_ARRAY(blob), &plain, &bag), CHAT_ERR_MALFORMED);
	buf_fini_secret(&plain);
}

TEST(without_memory_nothing_is_appended)
{
	struct owner owner = {.bag_key = {1}, .account = gv_account_of("alice")};
	struct bytes key = BYTES("key", 3);
	struct buf blob = {0}, plain = {0};
	struct bag bag;

	failalloc_arm(0);
	assert_err(seal_as(&owner, 1, &key, 1, &blob), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_int_equal(blob.len, 0);
	assert_ok(seal_as(&owner, 1, &key, 1, &blob));
	failalloc_arm(0);
	assert_err(open_as(&owner, 0, buf_bytes(&blob), &plain, &bag), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	buf_fini(&blob);
	buf_fini_secret(&plain);
}

TEST(published_bags)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i, k;
	json_t *test, *wanted;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "bag"), i, test)
	{
		struct owner owner = {.realm = gv_realm(&v, test), .account = gv_account(test)};
		struct buf plain = {0}, sealed = {0};
		struct bytes keys[8], key;
		struct given_random nonce;
		struct bag bag;
		size_t at = 0;

		gv_copy(&v, test, "bag_key", owner.bag_key, sizeof(owner.bag_key));
		gv_assert_err(test,
		    open_as(&owner, vec_u64(test, "known_version"), vec_hex(&v, test, "blob"), &plain, &bag),
		    gv_result(test), &count);
		if (gv_result(test) == CHAT_OK) {
			assert_int_equal(bag.version, vec_u64(test, "version"));
			vec_assert_bytes(test, "bag", bag.content, vec_hex(&v, test, "bag"));
			assert_int_equal(bag.key_count, json_array_size(vec_array(test, "rsa_keys")));
			assert_true(bag.key_count <= ARRAY_LEN(keys));
			json_array_foreach(vec_array(test, "rsa_keys"), k, wanted)
			{
				struct rsa_key *rsa = NULL;

				keys[k] = vec_hex_value(&v, wanted);
				assert_true(bag_next_key(&bag, &at, &key));
				vec_assert_bytes(test, "rsa_key", key, keys[k]);
				assert_ok(rsa_key_from_pkcs8(key, &rsa));
				rsa_key_free(rsa);
			}
			assert_false(bag_next_key(&bag, &at, &key));

			given_random_init(&nonce, vec_hex(&v, test, "nonce"));
			assert_ok(bag_seal(owner.bag_key, &owner.realm, &owner.account, bag.version, keys,
			    bag.key_count, &nonce.source, &sealed));
			given_random_assert_empty(&nonce);
			vec_assert_bytes(test, "blob, sealed", buf_bytes(&sealed), vec_hex(&v, test, "blob"));
		}
		buf_fini(&sealed);
		buf_fini_secret(&plain);
	}
	vec_count_print("bag", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_keys_come_back_in_order),
	    cmocka_unit_test(a_version_that_falls_is_stale),
	    cmocka_unit_test(a_bag_opens_for_its_owner_as_it_is),
	    cmocka_unit_test(what_is_sealed_must_be_a_bag),
	    cmocka_unit_test(without_memory_nothing_is_appended),
	    cmocka_unit_test(published_bags),
	};

	return cmocka_run_group_tests_name("bag", tests, NULL, NULL);
}
