/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failalloc.h"
#include "group_vectors.h"

#include <string.h>

#include "group/card.h"

/* Where the fields of a card of "alice" begin. */
enum {
	AT_VERSION = 0,
	AT_SUITE = 1,
	AT_FLAGS = 2,
	AT_REALM = 3,
	AT_ACCOUNT = 19,
	AT_ED_PK = 25,
	AT_SERIAL = 57,
	AT_PREV = 61,
	AT_RSA_N = 93,
	AT_TIME = 477,
	AT_SIG = 485,
	ALICE_BYTES = 549,
};

static void
make_identity(const char *name, struct identity *ret)
{
	struct identity_root root = {.ed_seed = {4}, .bag_key = {5}};
	struct realm realm = {{6}};
	struct account_name account = gv_account_of(name);

	identity_init(&root, &realm, &account, ret);
}

/* No card looks at the modulus beyond its first and last bit. */
static void
make_rsa_n(uint8_t ret[static RSA_BYTES])
{
	for (size_t i = 0; i < RSA_BYTES; i++)
		ret[i] = (uint8_t)(i * 7);
	ret[0] = 0x80;
	ret[RSA_BYTES - 1] = 1;
}

TEST(a_card_comes_back_as_it_was_built)
{
	struct identity identity;
	struct card first, second, retired;
	uint8_t n[RSA_BYTES];
	struct buf a = {0}, b = {0}, c = {0};

	make_identity("alice", &identity);
	make_rsa_n(n);
	assert_ok(card_build(&identity, NULL, false, n, 1234567890123, &a));
	assert_int_equal(a.len, ALICE_BYTES);
	assert_ok(card_decode_verify(buf_bytes(&a), &first));
	assert_true(realm_equal(&first.realm, &identity.realm));
	assert_true(account_equal(&first.account, &identity.account));
	assert_memory_equal(first.ed_pk, identity.sign.pk, ED25519_PK_BYTES);
	assert_false(first.retired);
	assert_int_equal(first.serial, 1);
	assert_true(digest_is_zero(&first.prev_card));
	assert_memory_equal(first.rsa_n, n, RSA_BYTES);
	assert_int_equal(first.time_ms, 1234567890123);
	assert_true(digest_equal(&first.member_id, &identity.member_id));
	assert_int_equal(first.body.len, AT_SIG);
	assert_ptr_equal(first.sig.data, a.data + AT_SIG);

	n[1] ^= 0xff;
	assert_ok(card_build(&identity, &first, false, n, 2, &b));
	assert_ok(card_decode_verify(buf_bytes(&b), &second));
	assert_int_equal(second.serial, 2);
	assert_true(digest_equal(&second.prev_card, &first.card_hash));
	assert_ok(card_build(&identity, &second, true, n, 3, &c));
	assert_ok(card_decode_verify(buf_bytes(&c), &retired));
	assert_true(retired.retired);

	assert_true(card_may_follow(&first, &second));
	assert_true(card_may_follow(&second, &retired));
	assert_false(card_may_follow(&first, &retired));
	assert_false(card_may_follow(&second, &first));
	assert_false(card_may_follow(&first, &first));
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

TEST(nothing_follows_what_must_not_be_followed)
{
	struct identity identity, other;
	struct card last = {.serial = 1, .retired = true}, next;
	uint8_t n[RSA_BYTES];
	struct buf wire = {0};

	make_identity("alice", &identity);
	make_identity("alicia", &other);
	make_rsa_n(n);
	last.member_id = identity.member_id;
	assert_err(card_build(&identity, &last, false, n, 0, &wire), CHAT_ERR_NOT_ALLOWED);
	last.retired = false;
	assert_err(card_build(&other, &last, false, n, 0, &wire), CHAT_ERR_INVALID);
	last.card_hash.b[0] = 9;
	next = (struct card){.member_id = last.member_id, .serial = 2, .prev_card = last.card_hash};
	assert_true(card_may_follow(&last, &next));
	last.retired = true;
	assert_false(card_may_follow(&last, &next));
	last.retired = false;
	next.member_id.b[31] ^= 1;
	assert_false(card_may_follow(&last, &next));
	next.member_id = last.member_id;
	next.prev_card.b[31] ^= 1;
	assert_false(card_may_follow(&last, &next));
	next.prev_card = last.card_hash;
	next.serial = 3;
	assert_false(card_may_follow(&last, &next));
	next.serial = 1;
	assert_false(card_may_follow(&last, &next));

	last.serial = UINT32_MAX;
	assert_err(card_build(&identity, &last, false, n, 0, &wire), CHAT_ERR_RANGE);
	next = last;
	next.serial = 0;
	next.prev_card = last.card_hash;
	assert_false(card_may_follow(&last, &next));
	last.serial = UINT32_MAX - 1;
	last.card_hash.b[0] = 1;
	n[0] = 0x7f;
	assert_err(card_build(&identity, &last, false, n, 0, &wire), CHAT_ERR_MALFORMED);
	n[0] = 0x80;
	n[RSA_BYTES - 1] = 2;
	assert_err(card_build(&identity, &last, false, n, 0, &wire), CHAT_ERR_MALFORMED);
	n[RSA_BYTES - 1] = 3;
	assert_int_equal(wire.len, 0);
	assert_ok(card_build(&identity, &last, false, n, 0, &wire));
	assert_ok(card_decode_verify(buf_bytes(&wire), &next));
	assert_int_equal(next.serial, UINT32_MAX);
	buf_fini(&wire);
}

TEST(a_card_without_memory)
{
	struct identity identity;
	uint8_t n[RSA_BYTES];
	struct buf wire = {0};

	make_identity("alice", &identity);
	make_rsa_n(n);
	failalloc_arm(0);
	assert_err(card_build(&identity, NULL, false, n, 0, &wire), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_int_equal(wire.len, 0);
}

TEST(the_shortest_and_the_longest_card)
{
	struct identity identity;
	struct card card;
	uint8_t n[RSA_BYTES];
	char name[ACCOUNT_MAX_BYTES + 1] = {0};
	struct buf wire = {0};

	make_rsa_n(n);
	make_identity("a", &identity);
	assert_ok(card_build(&identity, NULL, false, n, 0, &wire));
	assert_int_equal(wire.len, CARD_MIN_BYTES);
	assert_ok(card_decode_verify(buf_bytes(&wire), &card));

	buf_clear(&wire);
	memset(name, 'x', ACCOUNT_MAX_BYTES);
	make_identity(name, &identity);
	assert_ok(card_build(&identity, NULL, false, n, UINT64_MAX, &wire));
	assert_int_equal(wire.len, CARD_MAX_BYTES);
	assert_ok(card_decode_verify(buf_bytes(&wire), &card));
	assert_int_equal(card.account.len, ACCOUNT_MAX_BYTES);
	buf_fini(&wire);
}

TEST(a_card_is_read_left_to_right)
{
	struct identity identity;
	struct card card = {.serial = 77};
	uint8_t n[RSA_BYTES], wire[ALICE_BYTES + 1], bad[ALICE_BYTES + 1];
	struct buf built = {0};

	make_identity("alice", &identity);
	make_rsa_n(n);
	assert_ok(card_build(&identity, NULL, false, n, 0, &built));
	memcpy(wire, built.data, ALICE_BYTES);
	wire[ALICE_BYTES] = 0;
	buf_fini(&built);

	for (size_t len = 0; len < ALICE_BYTES; len++)
		assert_err(card_decode(BYTES(wire, len), &card), CHAT_ERR_MALFORMED);
	assert_err(card_decode(BYTES(wire, ALICE_BYTES + 1), &card), CHAT_ERR_MALFORMED);

	static const struct {
		size_t at;
		uint8_t value;
		enum chat_err err;
	} cases[] = {
	    {AT_VERSION, 0, CHAT_ERR_UNSUPPORTED},
	    {AT_VERSION, 2, CHAT_ERR_UNSUPPORTED},
	    {AT_SUITE, 0, CHAT_ERR_UNSUPPORTED},
	    {AT_SUITE, 2, CHAT_ERR_UNSUPPORTED},
	    {AT_FLAGS, 2, CHAT_ERR_UNSUPPORTED},
	    {AT_FLAGS, 0x81, CHAT_ERR_UNSUPPORTED},
	    {AT_FLAGS, 1, CHAT_ERR_BAD_SIGNATURE},
	    {AT_REALM, 0, CHAT_ERR_BAD_SIGNATURE},
	    {AT_ACCOUNT, 4, CHAT_ERR_MALFORMED},
	    {AT_ACCOUNT, 6, CHAT_ERR_MALFORMED},
	    {AT_ACCOUNT, 0, CHAT_ERR_MALFORMED},
	    {AT_ACCOUNT, 255, CHAT_ERR_MALFORMED},
	    {AT_ACCOUNT + 1, 'A', CHAT_ERR_MALFORMED},
	    {AT_ACCOUNT + 1, 'b', CHAT_ERR_BAD_SIGNATURE},
	    {AT_SERIAL + 3, 0, CHAT_ERR_MALFORMED},
	    {AT_SERIAL + 3, 2, CHAT_ERR_MALFORMED},
	    {AT_PREV + 31, 1, CHAT_ERR_MALFORMED},
	    {AT_RSA_N, 0x7f, CHAT_ERR_MALFORMED},
	    {AT_RSA_N, 0x81, CHAT_ERR_BAD_SIGNATURE},
	    {AT_RSA_N + RSA_BYTES - 1, 2, CHAT_ERR_MALFORMED},
	    {AT_TIME, 1, CHAT_ERR_BAD_SIGNATURE},
	    {AT_SIG, (uint8_t)~0U, CHAT_ERR_BAD_SIGNATURE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bad, wire, sizeof(bad));
		bad[cases[i].at] = cases[i].value;
		assert_err(card_decode_verify(BYTES(bad, ALICE_BYTES), &card), cases[i].err);
	}
	/* no card before the first: serial 0, and with a card before it */
	memcpy(bad, wire, sizeof(bad));
	bad[AT_SERIAL + 3] = 0;
	bad[AT_PREV] = 1;
	assert_err(card_decode(BYTES(bad, ALICE_BYTES), &card), CHAT_ERR_MALFORMED);
	/* what comes first decides, also where the rest is not even there */
	bad[AT_VERSION] = 9;
	assert_err(card_decode(BYTES(bad, 1), &card), CHAT_ERR_UNSUPPORTED);
	/* the identity point, under which any signature can be made to hold */
	memcpy(bad, wire, sizeof(bad));
	memset(bad + AT_ED_PK, 0, ED25519_PK_BYTES);
	bad[AT_ED_PK] = 1;
	assert_err(card_decode(BYTES(bad, ALICE_BYTES), &card), CHAT_ERR_MALFORMED);
	assert_int_equal(card.serial, 77); /* untouched all the while */
}

TEST(published_cards)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "card"), i, test)
	{
		struct card card;
		struct digest want;

		gv_assert_err(
		    test, card_decode_verify(vec_hex(&v, test, "card"), &card), gv_result(test), &count);
		if (gv_result(test) != CHAT_OK)
			continue;
		want = vec_digest(test, "card_hash");
		vec_assert_bytes(test, "card_hash", digest_bytes(&card.card_hash), digest_bytes(&want));
		want = vec_digest(test, "member_id");
		vec_assert_bytes(test, "member_id", digest_bytes(&card.member_id), digest_bytes(&want));
		want = vec_digest(test, "prev_card");
		vec_assert_bytes(test, "prev_card", digest_bytes(&card.prev_card), digest_bytes(&want));
		vec_assert_bytes(
		    test, "account", account_bytes(&card.account), vec_str_bytes(test, "account"));
		assert_int_equal(card.serial, vec_u64(test, "serial"));
		assert_int_equal(card.time_ms, vec_u64(test, "time_ms"));
		assert_int_equal(card.retired, json_is_true(json_object_get(test, "retired")));
	}
	vec_count_print("card", &count);
	vec_close(&v);
}

TEST(published_card_chains)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "card_chain"), i, test)
	{
		struct card old, next;

		assert_ok(card_decode_verify(vec_hex(&v, test, "old"), &old));
		assert_ok(card_decode_verify(vec_hex(&v, test, "new"), &next));
		gv_assert_err(test, card_may_follow(&old, &next) ? CHAT_OK : CHAT_ERR_NOT_ALLOWED,
		    gv_result(test), &count);
	}
	vec_count_print("card_chain", &count);
	vec_close(&v);
}

/* The people of the rooms come with their seeds: their cards must come out of card_build() byte by byte. */
TEST(published_cards_rebuilt)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i, k;
	json_t *room, *person, *wanted;
	const char *name;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "rooms"), i, room)
	{
		json_object_foreach(vec_object(room, "people"), name, person)
		{
			struct identity identity;
			struct card cards[2];

			gv_person_identity(&v, person, &identity);
			json_array_foreach(vec_array(person, "cards"), k, wanted)
			{
				struct card *card = &cards[k % 2], *prev = k > 0 ? &cards[(k + 1) % 2] : NULL;
				struct bytes wire = vec_hex(&v, wanted, "wire");
				struct buf built = {0};

				assert_ok(card_decode_verify(wire, card));
				assert_ok(card_build(
				    &identity, prev, card->retired, card->rsa_n, card->time_ms, &built));
				vec_assert_bytes(wanted, "card", buf_bytes(&built), wire);
				buf_fini(&built);
				count.accepted++;
			}
		}
	}
	vec_count_print("cards of rooms", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_card_comes_back_as_it_was_built),
	    cmocka_unit_test(nothing_follows_what_must_not_be_followed),
	    cmocka_unit_test(a_card_without_memory),
	    cmocka_unit_test(the_shortest_and_the_longest_card),
	    cmocka_unit_test(a_card_is_read_left_to_right),
	    cmocka_unit_test(published_cards),
	    cmocka_unit_test(published_card_chains),
	    cmocka_unit_test(published_cards_rebuilt),
	};

	return cmocka_run_group_tests_name("card", tests, NULL, NULL);
}
