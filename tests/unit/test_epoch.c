/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failalloc.h"
#include "group_vectors.h"

#include "base/compiler.h"
#include "group/content.h"
#include "group/epoch.h"

/* A well-formed modulus of nobody: sealing needs no more. */
static void
make_rsa_n(uint8_t ret[static RSA_BYTES])
{
	memset(ret, 0xa7, RSA_BYTES);
}

static const struct epoch_context some_epoch = {
    .room_id = {{1}}, .number = 3, .after = {{2}}, .actor = {{4}}};

TEST(everything_in_its_context_counts_for_an_epoch)
{
	struct epoch_context other;
	struct digest salt = epoch_salt(&some_epoch), other_salt;

	other = some_epoch;
	other.room_id.b[31] ^= 1;
	other_salt = epoch_salt(&other);
	assert_false(digest_equal(&salt, &other_salt));
	other = some_epoch;
	other.number++;
	other_salt = epoch_salt(&other);
	assert_false(digest_equal(&salt, &other_salt));
	other = some_epoch;
	other.after.b[31] ^= 1;
	other_salt = epoch_salt(&other);
	assert_false(digest_equal(&salt, &other_salt));
	other = some_epoch;
	other.actor.b[31] ^= 1;
	other_salt = epoch_salt(&other);
	assert_false(digest_equal(&salt, &other_salt));
}

TEST(keys_are_what_random_gives_and_go_when_told)
{
	struct given_random given;
	struct epoch_key key;

	given_random_init(&given, BYTES("0123456789abcdef", 16));
	epoch_key_generate(&given.source, &key);
	given_random_assert_empty(&given);
	assert_memory_equal(key.b, "0123456789abcdef", 16);
	epoch_key_fini(&key);
	for (size_t i = 0; i < sizeof(key); i++)
		assert_int_equal(key.b[i], 0);
}

TEST(a_wrap_opens_for_its_reader_in_its_epoch)
{
	struct rsa_key *rsa = NULL;
	uint8_t n[RSA_BYTES], wrap[WRAP_BYTES], label[WRAP_LABEL_BYTES];
	const uint8_t oaep_seed[OAEP_SEED_BYTES] = {5};
	struct epoch_key key, got = {{77}};
	struct digest salt = epoch_salt(&some_epoch), commitment, other_commitment;
	struct wrap_target target = {.member_id = {{5}}, .card_hash = {{6}}}, other_target;
	struct epoch_context other;

	assert_ok(rsa_key_generate(&random_kernel, &rsa));
	rsa_key_modulus(rsa, n);
	epoch_key_generate(&random_kernel, &key);
	commitment = epoch_commitment(&key, &salt);
	assert_ok(wrap_seal(&some_epoch, &commitment, &target, n, &key, &random_kernel, wrap));

	other = some_epoch;
	other.room_id.b[0] ^= 1;
	assert_err(wrap_open(&other, &commitment, &target, rsa, BYTES_ARRAY(wrap), &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	other = some_epoch;
	other.actor.b[0] ^= 1; /* not in the label: the commitment tells */
	assert_err(wrap_open(&other, &commitment, &target, rsa, BYTES_ARRAY(wrap), &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	other_commitment = commitment;
	other_commitment.b[31] ^= 1;
	assert_err(
	    wrap_open(&some_epoch, &other_commitment, &target, rsa, BYTES_ARRAY(wrap), &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	other_target = target;
	other_target.card_hash.b[0] ^= 1;
	assert_err(
	    wrap_open(&some_epoch, &commitment, &other_target, rsa, BYTES_ARRAY(wrap), &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	assert_err(wrap_open(&some_epoch, &commitment, &target, rsa, BYTES(wrap, 383), &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	assert_err(wrap_open(&some_epoch, &commitment, &target, rsa, BYTES_EMPTY, &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	/* a K cut by its last byte, which was 0, is not K */
	key.b[EPOCH_KEY_BYTES - 1] = 0;
	commitment = epoch_commitment(&key, &salt);
	wrap_label(&some_epoch, &commitment, &target, label);
	assert_ok(rsa_oaep_seal(
	    BYTES_ARRAY(n), BYTES_ARRAY(label), BYTES(key.b, EPOCH_KEY_BYTES - 1), oaep_seed, wrap));
	assert_err(wrap_open(&some_epoch, &commitment, &target, rsa, BYTES_ARRAY(wrap), &random_kernel, &got),
	    CHAT_ERR_CANNOT_OPEN);
	assert_int_equal(got.b[0], 77); /* untouched all the while */
	assert_ok(wrap_seal(&some_epoch, &commitment, &target, n, &key, &random_kernel, wrap));
	assert_ok(wrap_open(&some_epoch, &commitment, &target, rsa, BYTES_ARRAY(wrap), &random_kernel, &got));
	assert_memory_equal(got.b, key.b, sizeof(key.b));
	rsa_key_free(rsa);
}

TEST(a_wrap_is_sealed_only_to_a_modulus)
{
	struct epoch_key key = {{1}};
	struct wrap_target target = {0};
	struct digest commitment = {{0}};
	uint8_t n[RSA_BYTES], wrap[WRAP_BYTES], again[WRAP_BYTES];

	make_rsa_n(n);
	assert_ok(wrap_seal(&some_epoch, &commitment, &target, n, &key, &random_kernel, wrap));
	assert_ok(wrap_seal(&some_epoch, &commitment, &target, n, &key, &random_kernel, again));
	assert_memory_not_equal(wrap, again, sizeof(wrap));
	n[RSA_BYTES - 1] ^= 1;
	assert_err(
	    wrap_seal(&some_epoch, &commitment, &target, n, &key, &random_kernel, wrap), CHAT_ERR_MALFORMED);
	make_rsa_n(n);
	n[0] = 0x7f;
	assert_err(
	    wrap_seal(&some_epoch, &commitment, &target, n, &key, &random_kernel, wrap), CHAT_ERR_MALFORMED);
}

TEST(an_info_box_takes_64_times_24)
{
	static const struct {
		size_t content, box;
	} cases[] = {{0, 80}, {60, 80}, {61, 144}, {1532, 1552}};
	static uint8_t content[1533];
	struct digest salt = epoch_salt(&some_epoch), room = {{1}}, other_room = {{2}};
	struct epoch_key key = {{1}};
	struct info_key info;
	struct buf box = {0}, plain = {0};
	struct bytes got;

	memset(content, 0x42, sizeof(content));
	info_key_derive(&key, &salt, &info);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes in = BYTES(content, cases[i].content);

		buf_clear(&box);
		assert_ok(info_box_seal(&info, &room, 3, in, &box));
		assert_int_equal(box.len, cases[i].box);
		assert_true(info_box_length_valid(box.len));
		assert_ok(info_box_open(&info, &room, 3, buf_bytes(&box), &plain, &got));
		assert_bytes_equal(got, in);
		assert_err(
		    info_box_open(&info, &room, 4, buf_bytes(&box), &plain, &got), CHAT_ERR_CANNOT_OPEN);
		assert_err(info_box_open(&info, &other_room, 3, buf_bytes(&box), &plain, &got),
		    CHAT_ERR_CANNOT_OPEN);
		box.data[box.len - 1] ^= 1;
		assert_err(
		    info_box_open(&info, &room, 3, buf_bytes(&box), &plain, &got), CHAT_ERR_CANNOT_OPEN);
		assert_err(info_box_open(&info, &room, 3, BYTES(box.data, box.len - 1), &plain, &got),
		    CHAT_ERR_MALFORMED);
	}
	assert_int_equal(box.len, INFO_BOX_MAX_BYTES);
	assert_err(info_box_seal(&info, &room, 3, BYTES_ARRAY(content), &box), CHAT_ERR_RANGE);
	assert_int_equal(box.len, INFO_BOX_MAX_BYTES);
	assert_false(info_box_length_valid(0));
	assert_false(info_box_length_valid(16));
	assert_false(info_box_length_valid(64));
	assert_false(info_box_length_valid(81));
	assert_false(info_box_length_valid(64 * 32 + 16));
	info_key_fini(&info);
	buf_fini(&box);
	buf_fini_secret(&plain);
}

TEST(a_box_without_memory)
{
	struct info_key key = {{1}, {2}};
	struct digest room = {{1}};
	struct buf box = {0}, plain = {0};
	struct bytes got;

	failalloc_arm(0);
	assert_err(info_box_seal(&key, &room, 3, BYTES_STR("x"), &box), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_int_equal(box.len, 0);
	assert_ok(info_box_seal(&key, &room, 3, BYTES_STR("x"), &box));
	failalloc_arm(0);
	assert_err(info_box_open(&key, &room, 3, buf_bytes(&box), &plain, &got), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	buf_fini(&box);
	buf_fini_secret(&plain);
}

TEST(a_rewrap_comes_back_as_it_was_built)
{
	uint8_t seed[ED25519_SEED_BYTES] = {8}, other_seed[ED25519_SEED_BYTES] = {9};
	uint8_t wrap[WRAP_BYTES], wire[REWRAP_BYTES + 1] = {0};
	struct sign_key key, other;
	struct rewrap in = {.epoch_id = {{1}},
	    .recipient = {{2}},
	    .card_hash = {{3}},
	    .wrapper = {{4}},
	    .wrap = BYTES_ARRAY(wrap)};
	struct rewrap got;

	sign_key_init(seed, &key);
	sign_key_init(other_seed, &other);
	memset(wrap, 0x55, sizeof(wrap));
	rewrap_build(&key, &in, wire);
	for (size_t len = 0; len < REWRAP_BYTES; len++)
		assert_err(rewrap_decode(BYTES(wire, len), &got), CHAT_ERR_MALFORMED);
	assert_err(rewrap_decode(BYTES(wire, REWRAP_BYTES + 1), &got), CHAT_ERR_MALFORMED);
	assert_ok(rewrap_decode(BYTES(wire, REWRAP_BYTES), &got));
	assert_true(digest_equal(&got.epoch_id, &in.epoch_id));
	assert_true(digest_equal(&got.recipient, &in.recipient));
	assert_true(digest_equal(&got.card_hash, &in.card_hash));
	assert_true(digest_equal(&got.wrapper, &in.wrapper));
	assert_bytes_equal(got.wrap, in.wrap);
	assert_true(rewrap_signature_good(&got, key.pk));
	assert_false(rewrap_signature_good(&got, other.pk));
	for (size_t i = 1; i < REWRAP_BYTES; i += 13) {
		wire[i] ^= 2;
		assert_ok(rewrap_decode(BYTES(wire, REWRAP_BYTES), &got));
		assert_false(rewrap_signature_good(&got, key.pk));
		wire[i] ^= 2;
	}
	wire[0] = 2;
	assert_err(rewrap_decode(BYTES(wire, REWRAP_BYTES), &got), CHAT_ERR_UNSUPPORTED);
	assert_err(rewrap_decode(BYTES(wire, 1), &got), CHAT_ERR_UNSUPPORTED);
}

static struct epoch_context
context_of(const json_t *test)
{
	return (struct epoch_context){
	    .room_id = vec_digest(test, "room_id"),
	    .number = vec_u64(test, "epoch"),
	    .after = vec_digest(test, "after"),
	    .actor = vec_digest(test, "actor"),
	};
}

TEST(published_epochs)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "epoch"), i, test)
	{
		struct epoch_context ctx = context_of(test);
		struct digest salt = epoch_salt(&ctx), commitment;
		struct epoch_key key;
		struct info_key info;

		gv_copy(&v, test, "K", key.b, sizeof(key.b));
		vec_assert_bytes(test, "esalt", digest_bytes(&salt), vec_hex(&v, test, "esalt"));
		commitment = epoch_commitment(&key, &salt);
		vec_assert_bytes(
		    test, "commitment", digest_bytes(&commitment), vec_hex(&v, test, "commitment"));
		info_key_derive(&key, &salt, &info);
		vec_assert_bytes(test, "ik", BYTES_ARRAY(info.key), vec_hex(&v, test, "ik"));
		vec_assert_bytes(test, "iv", BYTES_ARRAY(info.iv), vec_hex(&v, test, "iv"));
		gv_assert_err(test, CHAT_OK, gv_result(test), &count);
	}
	vec_count_print("epoch", &count);
	vec_close(&v);
}

TEST(published_info_boxes)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "info_box"), i, test)
	{
		struct digest room_id = vec_digest(test, "room_id");
		uint64_t epoch = vec_u64(test, "epoch");
		struct bytes box = vec_hex(&v, test, "box"), room_info;
		struct info_key key;
		struct buf plain = {0}, sealed = {0};

		gv_copy(&v, test, "ik", key.key, sizeof(key.key));
		gv_copy(&v, test, "iv", key.iv, sizeof(key.iv));
		gv_assert_err(test, info_box_open(&key, &room_id, epoch, box, &plain, &room_info),
		    gv_result(test), &count);
		if (gv_result(test) == CHAT_OK) {
			vec_assert_bytes(test, "room_info", room_info, vec_hex(&v, test, "room_info"));
			vec_assert_bytes(test, "padded", buf_bytes(&plain), vec_hex(&v, test, "padded"));
			if (vec_has(test, "name")) {
				struct room_info info;

				assert_ok(room_info_decode(room_info, &info));
				vec_assert_bytes(test, "name", info.name, vec_str_bytes(test, "name"));
				vec_assert_bytes(test, "topic", info.topic, vec_str_bytes(test, "topic"));
			}
			assert_ok(info_box_seal(&key, &room_id, epoch, room_info, &sealed));
			vec_assert_bytes(test, "box, sealed", buf_bytes(&sealed), box);
		}
		buf_fini(&sealed);
		buf_fini_secret(&plain);
	}
	vec_count_print("info_box", &count);
	vec_close(&v);
}

TEST(published_wraps)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "wrap"), i, test)
	{
		struct epoch_context ctx = context_of(test);
		struct digest commitment = vec_digest(test, "commitment");
		struct wrap_target target = {
		    .member_id = vec_digest(test, "member_id"), .card_hash = vec_digest(test, "card_hash")};
		struct rsa_key *rsa = gv_rsa_key(&v, vec_u64(test, "rsa_key"));
		struct bytes wrap = vec_hex(&v, test, "wrap");
		struct epoch_key key = {{77}};

		gv_assert_err(test, wrap_open(&ctx, &commitment, &target, rsa, wrap, &random_kernel, &key),
		    gv_result(test), &count);
		if (gv_result(test) == CHAT_OK) {
			uint8_t label[WRAP_LABEL_BYTES], n[RSA_BYTES], sealed[WRAP_BYTES];
			struct given_random seed;

			vec_assert_bytes(test, "K", BYTES_ARRAY(key.b), vec_hex(&v, test, "K"));
			wrap_label(&ctx, &commitment, &target, label);
			vec_assert_bytes(test, "label", BYTES_ARRAY(label), vec_hex(&v, test, "label"));
			rsa_key_modulus(rsa, n);
			given_random_init(&seed, vec_hex(&v, test, "oaep_seed"));
			assert_ok(wrap_seal(&ctx, &commitment, &target, n, &key, &seed.source, sealed));
			given_random_assert_empty(&seed);
			vec_assert_bytes(test, "wrap, sealed", BYTES_ARRAY(sealed), wrap);
		} else {
			assert_int_equal(key.b[0], 77);
		}
		rsa_key_free(rsa);
	}
	vec_count_print("wrap", &count);
	vec_close(&v);
}

static struct digest
hash_of_wraps(struct vectors *v, const json_t *wraps)
{
	struct wraps_hash wh;
	size_t i;
	json_t *wrap;

	wraps_hash_init(&wh, (uint32_t)json_array_size(wraps));
	json_array_foreach(wraps, i, wrap)
	{
		struct digest h = hash_once(vec_hex_value(v, wrap));

		wraps_hash_add(&wh, &h);
	}
	return wraps_hash_end(&wh);
}

TEST(published_wraps_hashes)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "wraps_hash"), i, test)
	{
		struct digest got = hash_of_wraps(&v, vec_array(test, "wraps"));

		vec_assert_bytes(test, "wraps_hash", digest_bytes(&got), vec_hex(&v, test, "wraps_hash"));
		gv_assert_err(test, CHAT_OK, gv_result(test), &count);
	}
	vec_count_print("wraps_hash", &count);
	vec_close(&v);
}

TEST(published_rewraps)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "rewrap"), i, test)
	{
		struct rewrap rewrap;
		uint8_t pk[ED25519_PK_BYTES];
		enum chat_err err = rewrap_decode(vec_hex(&v, test, "rewrap"), &rewrap);

		gv_copy(&v, test, "ed_pk", pk, sizeof(pk));
		if (err == CHAT_OK && !rewrap_signature_good(&rewrap, pk))
			err = CHAT_ERR_BAD_SIGNATURE;
		gv_assert_err(test, err, gv_result(test), &count);
		if (err != CHAT_OK)
			continue;
		vec_assert_bytes(
		    test, "epoch_id", digest_bytes(&rewrap.epoch_id), vec_hex(&v, test, "epoch_id"));
		vec_assert_bytes(
		    test, "recipient", digest_bytes(&rewrap.recipient), vec_hex(&v, test, "recipient"));
		vec_assert_bytes(
		    test, "card_hash", digest_bytes(&rewrap.card_hash), vec_hex(&v, test, "card_hash"));
		vec_assert_bytes(
		    test, "wrapper", digest_bytes(&rewrap.wrapper), vec_hex(&v, test, "wrapper"));
		vec_assert_bytes(test, "wrap", rewrap.wrap, vec_hex(&v, test, "wrap"));
	}
	vec_count_print("rewrap", &count);
	vec_close(&v);
}

/* What a rekey of the published rooms says; its event is looked at by fixed offsets, for event.h has its own
 * tests. */
struct rekey {
	struct epoch_context ctx;
	struct digest commitment;
	struct digest wraps_hash;
	struct bytes info_box;
	struct digest epoch_id;
};

static bool
read_rekey(struct bytes wire, const struct digest *room_id, struct rekey *ret)
{
	struct reader rd;

	rd_init(&rd, wire);
	if (rd_u8(&rd) != 1 || rd_u8(&rd) != 10)
		return false;
	rd_copy(&rd, ret->ctx.room_id.b, DIGEST_BYTES);
	if (digest_is_zero(&ret->ctx.room_id))
		ret->ctx.room_id = *room_id;
	rd_copy(&rd, ret->ctx.actor.b, DIGEST_BYTES);
	rd_copy(&rd, ret->ctx.after.b, DIGEST_BYTES);
	rd_take(&rd, 8 + DIGEST_BYTES + 8);
	ret->ctx.number = rd_u64(&rd);
	rd_copy(&rd, ret->commitment.b, DIGEST_BYTES);
	rd_copy(&rd, ret->wraps_hash.b, DIGEST_BYTES);
	ret->info_box = rd_str16(&rd);
	rd_take(&rd, ED25519_SIG_BYTES);
	assert_true(rd_done(&rd));
	ret->epoch_id = hash_domain_once("event", BYTES(wire.data, wire.len - ED25519_SIG_BYTES));
	return true;
}

/* Seals the wraps again with the seeds given, each for the reader's card in the chain, and opens them. */
static void
check_wraps(struct vectors *v, const json_t *room, const json_t *step, const json_t *given,
    const struct rekey *rekey, const struct epoch_key *key, struct vec_count *count)
{
	json_t *state = vec_object(step, "state"), *name;
	json_t *wraps = vec_array(given, "wraps"), *seeds = vec_array(given, "oaep_seeds");
	size_t i;

	assert_int_equal(json_array_size(wraps), json_array_size(vec_array(state, "readers")));
	json_array_foreach(vec_array(state, "readers"), i, name)
	{
		json_t *person = vec_object(vec_object(room, "people"), json_string_value(name));
		struct wrap_target target = {
		    .member_id = vec_digest(person, "member_id"),
		    .card_hash = vec_digest(
			vec_object(vec_object(state, "members"), json_string_value(name)), "card_hash"),
		};
		const json_t *card = gv_person_card(person, &target.card_hash);
		struct bytes want = vec_hex_value(v, json_array_get(wraps, i));
		uint8_t n[RSA_BYTES], wrap[WRAP_BYTES];
		struct given_random seed;
		struct rsa_key *rsa;
		struct epoch_key got;

		assert_non_null(card);
		rsa = gv_rsa_key(v, vec_u64(card, "rsa_key"));
		rsa_key_modulus(rsa, n);
		given_random_init(&seed, vec_hex_value(v, json_array_get(seeds, i)));
		assert_ok(wrap_seal(&rekey->ctx, &rekey->commitment, &target, n, key, &seed.source, wrap));
		given_random_assert_empty(&seed);
		vec_assert_bytes(step, "wrap", BYTES_ARRAY(wrap), want);
		assert_ok(
		    wrap_open(&rekey->ctx, &rekey->commitment, &target, rsa, want, &random_kernel, &got));
		assert_memory_equal(got.b, key->b, sizeof(got.b));
		rsa_key_free(rsa);
		count->accepted++;
	}
}

static void
check_rekey(struct vectors *v, const json_t *step, const json_t *given, const struct rekey *rekey,
    const struct epoch_key *key)
{
	struct digest salt = epoch_salt(&rekey->ctx), commitment = epoch_commitment(key, &salt);
	struct digest wraps_hash = hash_of_wraps(v, vec_array(given, "wraps"));
	struct room_info info = {vec_str_bytes(given, "name"), vec_str_bytes(given, "topic")};
	uint8_t room_info[1536];
	struct info_key info_key;
	struct buf box = {0};

	vec_assert_bytes(step, "commitment", digest_bytes(&commitment), digest_bytes(&rekey->commitment));
	vec_assert_bytes(step, "wraps_hash", digest_bytes(&wraps_hash), digest_bytes(&rekey->wraps_hash));
	assert_true(room_info_encoded_bytes(&info) <= sizeof(room_info));
	room_info_encode(&info, room_info);
	info_key_derive(key, &salt, &info_key);
	assert_ok(info_box_seal(&info_key, &rekey->ctx.room_id, rekey->ctx.number,
	    BYTES(room_info, room_info_encoded_bytes(&info)), &box));
	vec_assert_bytes(step, "info_box", buf_bytes(&box), rekey->info_box);
	buf_fini(&box);
}

TEST(rekeys_of_published_rooms)
{
	struct vectors v;
	struct vec_count rekeys = {0}, wraps = {0};
	size_t i, k, e;
	json_t *room, *step, *event;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "rooms"), i, room)
	{
		json_array_foreach(vec_array(room, "steps"), k, step)
		{
			bool taken = gv_result(step) == CHAT_OK;
			struct digest room_id = {{0}};
			size_t seen = 0;

			if (!vec_has(step, "rekeys"))
				continue;
			if (taken)
				room_id = vec_digest(vec_object(step, "state"), "room_id");
			json_array_foreach(vec_array(step, "events"), e, event)
			{
				const json_t *given = json_array_get(vec_array(step, "rekeys"), seen);
				struct rekey rekey;
				struct epoch_key key;

				if (!read_rekey(vec_hex_value(&v, event), &room_id, &rekey))
					continue;
				gv_copy(&v, given, "K", key.b, sizeof(key.b));
				seen++;
				/* of the refused ones some are wrong in just these */
				if (!taken) {
					rekeys.skipped++;
					continue;
				}
				check_rekey(&v, step, given, &rekey, &key);
				check_wraps(&v, room, step, given, &rekey, &key, &wraps);
				rekeys.accepted++;
			}
			assert_int_equal(seen, json_array_size(vec_array(step, "rekeys")));
		}
	}
	vec_count_print("rekeys of rooms", &rekeys);
	vec_count_print("their wraps", &wraps);
	vec_close(&v);
}

/* Finds an epoch of the room by its id. */
static bool
find_epoch(struct vectors *v, const json_t *room, const struct digest *epoch_id, struct rekey *ret,
    struct epoch_key *ret_key)
{
	size_t k, e;
	json_t *step, *event;

	json_array_foreach(vec_array(room, "steps"), k, step)
	{
		size_t seen = 0;

		if (!vec_has(step, "rekeys") || gv_result(step) != CHAT_OK)
			continue;
		json_array_foreach(vec_array(step, "events"), e, event)
		{
			struct digest room_id = vec_digest(vec_object(step, "state"), "room_id");

			if (!read_rekey(vec_hex_value(v, event), &room_id, ret))
				continue;
			gv_copy(v, json_array_get(vec_array(step, "rekeys"), seen++), "K", ret_key->b,
			    sizeof(ret_key->b));
			if (digest_equal(&ret->epoch_id, epoch_id))
				return true;
		}
	}
	return false;
}

TEST(rewraps_of_published_rooms)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i, k;
	json_t *room, *step;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "rooms"), i, room)
	{
		json_array_foreach(vec_array(room, "steps"), k, step)
		{
			const json_t *recipient, *wrapper, *card;
			struct rewrap rewrap;
			struct identity identity;
			struct rekey rekey;
			struct wrap_target target;
			struct rsa_key *rsa;
			struct epoch_key want, got;
			uint8_t built[REWRAP_BYTES];

			if (!vec_has(step, "rewrap") || gv_result(step) != CHAT_OK)
				continue;
			assert_ok(rewrap_decode(vec_hex(&v, step, "rewrap"), &rewrap));
			wrapper = gv_person(room, &rewrap.wrapper);
			recipient = gv_person(room, &rewrap.recipient);
			assert_non_null(wrapper);
			assert_non_null(recipient);
			gv_person_identity(&v, wrapper, &identity);
			assert_true(rewrap_signature_good(&rewrap, identity.sign.pk));
			rewrap_build(&identity.sign, &rewrap, built);
			vec_assert_bytes(
			    step, "rewrap, built", BYTES_ARRAY(built), vec_hex(&v, step, "rewrap"));

			card = gv_person_card(recipient, &rewrap.card_hash);
			assert_non_null(card);
			assert_true(find_epoch(&v, room, &rewrap.epoch_id, &rekey, &want));
			target = (struct wrap_target){rewrap.recipient, rewrap.card_hash};
			rsa = gv_rsa_key(&v, vec_u64(card, "rsa_key"));
			assert_ok(wrap_open(
			    &rekey.ctx, &rekey.commitment, &target, rsa, rewrap.wrap, &random_kernel, &got));
			assert_memory_equal(got.b, want.b, sizeof(got.b));
			rsa_key_free(rsa);
			count.accepted++;
		}
	}
	vec_count_print("rewraps of rooms", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_in_its_context_counts_for_an_epoch),
	    cmocka_unit_test(keys_are_what_random_gives_and_go_when_told),
	    cmocka_unit_test(a_wrap_opens_for_its_reader_in_its_epoch),
	    cmocka_unit_test(a_wrap_is_sealed_only_to_a_modulus),
	    cmocka_unit_test(an_info_box_takes_64_times_24),
	    cmocka_unit_test(a_box_without_memory),
	    cmocka_unit_test(a_rewrap_comes_back_as_it_was_built),
	    cmocka_unit_test(published_epochs),
	    cmocka_unit_test(published_info_boxes),
	    cmocka_unit_test(published_wraps),
	    cmocka_unit_test(published_wraps_hashes),
	    cmocka_unit_test(published_rewraps),
	    cmocka_unit_test(rekeys_of_published_rooms),
	    cmocka_unit_test(rewraps_of_published_rooms),
	};

	return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
