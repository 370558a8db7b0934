/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failalloc.h"
#include "group_vectors.h"

#include "base/compiler.h"
#include "crypto/hash.h"
#include "group/loghash.h"
#include "group/seal.h"

/* Both ways of decoding find the same. */
static enum chat_err
decode(struct bytes wire, struct message *ret)
{
	struct message_header header;
	enum chat_err err = message_decode(wire, ret);

	assert_err(message_decode_header(wire, &header), err);
	if (err == CHAT_OK) {
		uint8_t bytes[MESSAGE_HEADER_BYTES];

		message_header_encode(&header, bytes);
		assert_bytes_equal(BYTES_ARRAY(bytes), ret->header_wire);
	}
	return err;
}

enum {
	AT_COUNTER = 73,
	AT_SALT = 129,
	AT_CT = 145,
};

static const struct message_header some_header = {
    .epoch_id = {{1}},
    .sender = {{2}},
    .device = {{3}},
    .counter = 4,
    .seen_seq = 5,
    .seen_hash = {{6}},
    .time_ms = 7,
};

static void
make_sign_key(uint8_t first, struct sign_key *ret)
{
	uint8_t seed[ED25519_SEED_BYTES] = {first};

	sign_key_init(seed, ret);
}

static enum chat_err
seal_text(const struct epoch_key *key, size_t len, struct buf *ret)
{
	static uint8_t text[MESSAGE_TEXT_MAX + 1];
	struct sign_key sender;

	memset(text, 'x', sizeof(text));
	make_sign_key(1, &sender);
	return message_seal(key, &some_header, BYTES(text, len), &sender, &random_kernel, ret);
}

static bool
headers_equal(const struct message_header *a, const struct message_header *b)
{
	uint8_t wa[MESSAGE_HEADER_BYTES], wb[MESSAGE_HEADER_BYTES];

	message_header_encode(a, wa);
	message_header_encode(b, wb);
	return memcmp(wa, wb, sizeof(wa)) == 0;
}

TEST(text_of_every_allowed_length_comes_back)
{
	/* around the steps of padding and of protobuf's lengths, up to the limit */
	static const struct {
		size_t text, padded;
	} cases[] = {{0, 64}, {1, 64}, {58, 64}, {59, 128}, {121, 128}, {122, 128}, {123, 192}, {127, 192},
	    {128, 192}, {16376, 16384}, {16377, 16384}, {16378, 24576}, {16383, 24576}, {16384, 24576}};
	struct epoch_key key = {{1}};
	struct sign_key sender;

	make_sign_key(1, &sender);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf wire = {0}, plain = {0};
		struct message message;
		struct bytes content, text;

		assert_ok(seal_text(&key, cases[i].text, &wire));
		assert_int_equal(wire.len, MESSAGE_WIRE_BYTES(cases[i].padded));
		assert_ok(decode(buf_bytes(&wire), &message));
		assert_true(headers_equal(&message.header, &some_header));
		assert_true(message_signature_good(&message, sender.pk));
		assert_ok(message_open(&key, &message, &plain, &content));
		assert_ok(content_decode(content, &text));
		assert_int_equal(text.len, cases[i].text);
		for (size_t k = 0; k < text.len; k++)
			assert_int_equal(text.data[k], 'x');
		buf_fini(&wire);
		buf_fini_secret(&plain);
	}
}

TEST(what_cannot_be_said)
{
	struct epoch_key key = {{1}};
	struct message_header header = some_header;
	struct sign_key sender;
	struct buf wire = {0};

	make_sign_key(1, &sender);
	assert_ok(buf_append_str(&wire, "before"));
	assert_err(seal_text(&key, MESSAGE_TEXT_MAX + 1, &wire), CHAT_ERR_RANGE);
	assert_err(
	    message_seal(&key, &header, BYTES("\xff", 1), &sender, &random_kernel, &wire), CHAT_ERR_INVALID);
	header.counter = 0;
	assert_err(
	    message_seal(&key, &header, BYTES_STR("a"), &sender, &random_kernel, &wire), CHAT_ERR_INVALID);
	assert_bytes_equal(buf_bytes(&wire), BYTES_STR("before"));
	/* it is appended, not put in the place of what was there */
	assert_ok(seal_text(&key, 1, &wire));
	assert_int_equal(wire.len, 6 + MESSAGE_WIRE_BYTES(64));
	assert_memory_equal(wire.data, "before", 6);
	buf_fini(&wire);
}

TEST(equal_messages_share_no_ciphertext)
{
	struct epoch_key key = {{1}};
	struct buf a = {0}, b = {0};
	size_t equal = 0;

	assert_ok(seal_text(&key, 5, &a));
	assert_ok(seal_text(&key, 5, &b));
	assert_int_equal(a.len, b.len);
	for (size_t i = AT_CT; i < AT_CT + 80; i++)
		equal += a.data[i] == b.data[i];
	assert_true(equal < 16); /* by chance about 0.3 of 80 */
	buf_fini(&a);
	buf_fini(&b);
}

TEST(a_message_is_read_left_to_right)
{
	struct epoch_key key = {{1}};
	struct buf wire = {0};
	struct message message;
	uint8_t *longer;

	assert_ok(seal_text(&key, 5, &wire));
	assert_int_equal(wire.len, 289);
	for (size_t len = 0; len < wire.len; len++)
		assert_err(decode(BYTES(wire.data, len), &message), CHAT_ERR_MALFORMED);
	assert_ok(decode(buf_bytes(&wire), &message));
	memset(wire.data + AT_COUNTER, 0, 8);
	assert_err(decode(buf_bytes(&wire), &message), CHAT_ERR_MALFORMED);
	wire.data[0] = 0;
	assert_err(decode(buf_bytes(&wire), &message), CHAT_ERR_UNSUPPORTED);
	wire.data[0] = 2;
	assert_err(decode(BYTES(wire.data, 1), &message), CHAT_ERR_UNSUPPORTED);
	buf_fini(&wire);

	/* of the lengths there are only the padded ones, up to the largest */
	longer = calloc(1, MESSAGE_MAX_BYTES + 64 * 256);
	assert_non_null(longer);
	longer[0] = 1;
	longer[AT_COUNTER] = 1;
	assert_ok(decode(BYTES(longer, MESSAGE_MAX_BYTES), &message));
	assert_err(decode(BYTES(longer, MESSAGE_MAX_BYTES + 1), &message), CHAT_ERR_MALFORMED);
	assert_err(decode(BYTES(longer, MESSAGE_MAX_BYTES + 64 * 256), &message), CHAT_ERR_MALFORMED);
	assert_err(decode(BYTES(longer, MESSAGE_WIRE_BYTES(64 * 5)), &message), CHAT_ERR_MALFORMED);
	assert_err(decode(BYTES(longer, MESSAGE_WIRE_BYTES(0)), &message), CHAT_ERR_MALFORMED);
	free(longer);
}

TEST(every_bit_of_a_message_is_signed)
{
	struct epoch_key key = {{1}};
	struct sign_key sender, other;
	struct buf wire = {0};
	struct message message;

	make_sign_key(1, &sender);
	make_sign_key(2, &other);
	assert_ok(seal_text(&key, 5, &wire));
	assert_ok(decode(buf_bytes(&wire), &message));
	assert_true(message_signature_good(&message, sender.pk));
	assert_false(message_signature_good(&message, other.pk));
	for (size_t i = 1; i < wire.len; i++) {
		wire.data[i] ^= (uint8_t)(1U << i % 8);
		assert_ok(decode(buf_bytes(&wire), &message));
		assert_false(message_signature_good(&message, sender.pk));
		wire.data[i] ^= (uint8_t)(1U << i % 8);
	}
	buf_fini(&wire);
}

TEST(a_message_opens_with_its_key_and_header_alone)
{
	struct epoch_key key = {{1}}, other = {{2}};
	struct buf wire = {0}, plain = {0};
	struct message message;
	struct bytes content;

	assert_ok(seal_text(&key, 5, &wire));
	assert_ok(decode(buf_bytes(&wire), &message));
	assert_err(message_open(&other, &message, &plain, &content), CHAT_ERR_CANNOT_OPEN);
	for (size_t i = 1; i < wire.len - ED25519_SIG_BYTES; i++) {
		wire.data[i] ^= 8;
		assert_ok(decode(buf_bytes(&wire), &message));
		assert_err(message_open(&key, &message, &plain, &content), CHAT_ERR_CANNOT_OPEN);
		wire.data[i] ^= 8;
	}
	assert_ok(decode(buf_bytes(&wire), &message));
	assert_ok(message_open(&key, &message, &plain, &content));
	buf_fini(&wire);
	buf_fini_secret(&plain);
}

TEST(without_memory_nothing_is_appended)
{
	struct epoch_key key = {{1}};
	struct buf wire = {0}, plain = {0};
	struct message message;
	struct bytes content;

	failalloc_arm(0);
	assert_err(seal_text(&key, 5, &wire), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_int_equal(wire.len, 0);
	assert_ok(seal_text(&key, 5, &wire));
	failalloc_arm(0);
	assert_ok(decode(buf_bytes(&wire), &message)); /* takes none */
	assert_err(message_open(&key, &message, &plain, &content), CHAT_ERR_NOMEM);
	assert_true(failalloc_disarm());
	assert_ok(message_open(&key, &message, &plain, &content));
	buf_fini(&wire);
	buf_fini_secret(&plain);
}

/* All values on the way, from K to the content. */
static void
check_open_message(struct vectors *v, const json_t *test, const struct epoch_key *key,
    const struct message *message, struct bytes padded, struct bytes content)
{
	struct message_key message_key;
	struct digest entry;
	struct bytes text;
	struct sign_key sender;
	struct given_random salt;
	struct buf sealed = {0};

	vec_assert_bytes(test, "header", message->header_wire, vec_hex(v, test, "header"));
	vec_assert_bytes(test, "salt", message->salt, vec_hex(v, test, "salt"));
	vec_assert_bytes(test, "ct", message->ct, vec_hex(v, test, "ct"));
	vec_assert_bytes(test, "sig", message->sig, vec_hex(v, test, "sig"));
	vec_assert_bytes(
	    test, "epoch_id", digest_bytes(&message->header.epoch_id), vec_hex(v, test, "epoch_id"));
	vec_assert_bytes(test, "sender", digest_bytes(&message->header.sender), vec_hex(v, test, "sender"));
	vec_assert_bytes(test, "device", BYTES_ARRAY(message->header.device.b), vec_hex(v, test, "device"));
	assert_int_equal(message->header.counter, vec_u64(test, "counter"));
	assert_int_equal(message->header.seen_seq, vec_u64(test, "seen_seq"));
	vec_assert_bytes(
	    test, "seen_hash", digest_bytes(&message->header.seen_hash), vec_hex(v, test, "seen_hash"));
	assert_int_equal(message->header.time_ms, vec_u64(test, "time_ms"));

	vec_assert_bytes(test, "body_hash", digest_bytes(&message->body_hash), vec_hex(v, test, "body_hash"));
	vec_assert_bytes(test, "msg_hash", digest_bytes(&message->msg_hash), vec_hex(v, test, "msg_hash"));
	entry = log_entry_hash(ENTRY_MESSAGE, &message->msg_hash, message->sig.data);
	vec_assert_bytes(test, "entry_hash", digest_bytes(&entry), vec_hex(v, test, "entry_hash"));
	message_key_derive(key, message->salt, message->header_wire, &message_key);
	vec_assert_bytes(test, "key", BYTES_ARRAY(message_key.key), vec_hex(v, test, "key"));
	vec_assert_bytes(test, "iv", BYTES_ARRAY(message_key.iv), vec_hex(v, test, "iv"));
	vec_assert_bytes(test, "padded", padded, vec_hex(v, test, "padded"));
	vec_assert_bytes(test, "content", content, vec_hex(v, test, "content"));
	assert_ok(content_decode(content, &text));
	vec_assert_bytes(test, "text", text, vec_str_bytes(test, "text"));

	/* the seed behind ed_pk is not published: all but the signature must come out again */
	make_sign_key(1, &sender);
	given_random_init(&salt, message->salt);
	assert_ok(message_seal(key, &message->header, text, &sender, &salt.source, &sealed));
	given_random_assert_empty(&salt);
	sealed.len -= ED25519_SIG_BYTES;
	vec_assert_bytes(test, "message, sealed", buf_bytes(&sealed),
	    BYTES(message->header_wire.data, AT_CT + message->ct.len));
	buf_fini(&sealed);
}

TEST(published_messages)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i;
	json_t *test;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "message"), i, test)
	{
		struct epoch_key key;
		uint8_t pk[ED25519_PK_BYTES];
		struct message message;
		struct buf plain = {0};
		struct bytes content;
		enum chat_err err;

		gv_copy(&v, test, "K", key.b, sizeof(key.b));
		gv_copy(&v, test, "ed_pk", pk, sizeof(pk));
		err = decode(vec_hex(&v, test, "message"), &message);
		if (err == CHAT_OK && !message_signature_good(&message, pk))
			err = CHAT_ERR_BAD_SIGNATURE;
		if (err == CHAT_OK)
			err = message_open(&key, &message, &plain, &content);
		gv_assert_err(test, err, gv_result(test), &count);
		if (err == CHAT_OK)
			check_open_message(&v, test, &key, &message, buf_bytes(&plain), content);
		buf_fini_secret(&plain);
	}
	vec_count_print("message", &count);
	vec_close(&v);
}

/* K of an epoch of the room, by its id: the hash of the rekey's body. */
static bool
find_key(struct vectors *v, const json_t *room, const struct digest *epoch_id, struct epoch_key *ret)
{
	size_t k, e;
	json_t *step, *event;

	json_array_foreach(vec_array(room, "steps"), k, step)
	{
		size_t seen = 0;

		if (!vec_has(step, "rekeys"))
			continue;
		json_array_foreach(vec_array(step, "events"), e, event)
		{
			struct bytes wire = vec_hex_value(v, event);
			struct digest id;

			if (wire.len <= ED25519_SIG_BYTES || wire.data[1] != 10)
				continue;
			gv_copy(v, json_array_get(vec_array(step, "rekeys"), seen++), "K", ret->b,
			    sizeof(ret->b));
			id = hash_domain_once("event", BYTES(wire.data, wire.len - ED25519_SIG_BYTES));
			if (digest_equal(&id, epoch_id))
				return true;
		}
	}
	return false;
}

/* The people of the rooms come with their seeds: what they said must come out of message_seal() byte by byte.
 */
TEST(messages_of_published_rooms)
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
			struct bytes wire, content, text;
			struct message message;
			const json_t *person;
			struct identity identity;
			struct epoch_key key;
			struct given_random salt;
			struct buf plain = {0}, sealed = {0};

			if (!vec_has(step, "message"))
				continue;
			wire = vec_hex(&v, step, "message");
			/* without a text: wrong in itself */
			if (!vec_has(step, "text")) {
				count.skipped++;
				continue;
			}
			assert_ok(decode(wire, &message));
			/* from before the first rekey, under no key that is given */
			if (digest_is_zero(&message.header.epoch_id)) {
				count.skipped++;
				continue;
			}
			person = gv_person(room, &message.header.sender);
			assert_non_null(person);
			gv_person_identity(&v, person, &identity);
			assert_true(message_signature_good(&message, identity.sign.pk));
			assert_true(find_key(&v, room, &message.header.epoch_id, &key));
			assert_ok(message_open(&key, &message, &plain, &content));
			assert_ok(content_decode(content, &text));
			vec_assert_bytes(step, "text", text, vec_str_bytes(step, "text"));

			given_random_init(&salt, message.salt);
			assert_ok(
			    message_seal(&key, &message.header, text, &identity.sign, &salt.source, &sealed));
			vec_assert_bytes(step, "message, sealed", buf_bytes(&sealed), wire);
			buf_fini(&sealed);
			buf_fini_secret(&plain);
			count.accepted++;
		}
	}
	vec_count_print("messages of rooms", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_of_every_allowed_length_comes_back),
	    cmocka_unit_test(what_cannot_be_said),
	    cmocka_unit_test(equal_messages_share_no_ciphertext),
	    cmocka_unit_test(a_message_is_read_left_to_right),
	    cmocka_unit_test(every_bit_of_a_message_is_signed),
	    cmocka_unit_test(a_message_opens_with_its_key_and_header_alone),
	    cmocka_unit_test(without_memory_nothing_is_appended),
	    cmocka_unit_test(published_messages),
	    cmocka_unit_test(messages_of_published_rooms),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
