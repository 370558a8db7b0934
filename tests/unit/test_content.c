/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group_vectors.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "group/content.h"
#include "proto/chat.pb-c.h"

#define WIRE(...) BYTES(((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__}))

TEST(text_of_every_length_comes_back)
{
	static const size_t lengths[] = {1, 127, 128, 16383, 16384, 20000};
	static uint8_t text[20000], wire[20004];
	struct bytes got;

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct bytes in = BYTES(text, lengths[i]);
		size_t len = content_encoded_bytes(in);

		assert_int_equal(len, lengths[i] + (lengths[i] < 128 ? 2U : lengths[i] < 16384 ? 3U : 4U));
		content_encode(in, wire);
		assert_ok(content_decode(BYTES(wire, len), &got));
		assert_true(bytes_equal(got, in));
		assert_err(content_decode(BYTES(wire, len - 1), &got), CHAT_ERR_MALFORMED);
	}
	assert_int_equal(content_encoded_bytes(BYTES_EMPTY), 0);
	assert_ok(content_decode(BYTES_EMPTY, &got));
	assert_int_equal(got.len, 0);
}

TEST(a_content_without_a_known_field_needs_a_newer_client)
{
	struct bytes text = BYTES_EMPTY;

	/* field 2 as bytes; field 10 as varint; field 1, but as a varint */
	assert_err(content_decode(WIRE(0x12, 1, 'x'), &text), CHAT_ERR_UNSUPPORTED);
	assert_err(content_decode(WIRE(0x50, 7), &text), CHAT_ERR_UNSUPPORTED);
	assert_err(content_decode(WIRE(0x08, 7), &text), CHAT_ERR_UNSUPPORTED);
	/* but beside a text, and be it empty, they are skipped */
	assert_ok(content_decode(WIRE(0x12, 1, 'x', 0x0a, 0), &text));
	assert_int_equal(text.len, 0);
	assert_ok(content_decode(WIRE(0x0d, 1, 2, 3, 4, 0x0a, 1, 'a', 0x11, 1, 2, 3, 4, 5, 6, 7, 8), &text));
	assert_true(bytes_equal(text, BYTES_STR("a")));
	/* the last of a field counts */
	assert_ok(content_decode(WIRE(0x0a, 1, 'a', 0x0a, 1, 'b'), &text));
	assert_true(bytes_equal(text, BYTES_STR("b")));
	/* a number of two bytes, and one of five: field 536870911 */
	assert_ok(content_decode(WIRE(0x0a, 1, 'a', 0x80, 0x01, 1), &text));
	assert_ok(content_decode(WIRE(0x0a, 1, 'a', 0xf8, 0xff, 0xff, 0xff, 0x0f, 1), &text));
}

TEST(what_is_not_protobuf_is_malformed)
{
	struct bytes text;

	assert_err(content_decode(WIRE(0x0a), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x0a, 2, 'a'), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x0a, 1, 'a', 0), &text), CHAT_ERR_MALFORMED); /* field 0 */
	assert_err(content_decode(WIRE(0x02, 0), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x0a, 1, 'a', 0x80), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x13, 0x14), &text), CHAT_ERR_MALFORMED); /* a group */
	assert_err(content_decode(WIRE(0x16, 0), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x17, 0), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x0d, 1, 2, 3), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x09, 1, 2, 3, 4, 5, 6, 7), &text), CHAT_ERR_MALFORMED);
	/* a varint of eleven bytes; a length of 2^64 - 1; a number of 2^29 */
	assert_err(
	    content_decode(WIRE(0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0), &text),
	    CHAT_ERR_MALFORMED);
	assert_err(
	    content_decode(WIRE(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'a'), &text),
	    CHAT_ERR_MALFORMED);
	assert_err(
	    content_decode(WIRE(0x80, 0x80, 0x80, 0x80, 0x10, 0, 0x0a, 1, 'a'), &text), CHAT_ERR_MALFORMED);
	/* not UTF-8: a byte alone, a surrogate, an overlong NUL */
	assert_err(content_decode(WIRE(0x0a, 1, 0xff), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x0a, 3, 0xed, 0xa0, 0x80), &text), CHAT_ERR_MALFORMED);
	assert_err(content_decode(WIRE(0x0a, 2, 0xc0, 0x80), &text), CHAT_ERR_MALFORMED);
}

TEST(a_nul_does_not_end_a_text)
{
	struct bytes text;

	assert_ok(content_decode(WIRE(0x0a, 3, 'a', 0, 'b'), &text));
	assert_true(bytes_equal(text, BYTES("a\0b", 3)));
}

TEST(a_room_has_a_name_and_a_topic_or_neither)
{
	static const struct {
		const char *name, *topic;
	} cases[] = {{"", ""}, {"ops", ""}, {"", "only a topic"}, {"ops", "on call"}};
	struct room_info got;
	uint8_t wire[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct room_info info = {BYTES_STR(cases[i].name), BYTES_STR(cases[i].topic)};
		size_t len = room_info_encoded_bytes(&info);

		assert_true(len <= sizeof(wire));
		room_info_encode(&info, wire);
		assert_ok(room_info_decode(BYTES(wire, len), &got));
		assert_true(bytes_equal(got.name, info.name));
		assert_true(bytes_equal(got.topic, info.topic));
	}
	/* unknown fields do not hinder, nor are they an error by themselves */
	assert_ok(room_info_decode(WIRE(0x1a, 1, 'x', 0x0a, 1, 'n', 0x10, 5), &got));
	assert_true(bytes_equal(got.name, BYTES_STR("n")));
	assert_int_equal(got.topic.len, 0);
	assert_ok(room_info_decode(WIRE(0x1a, 1, 'x'), &got));
	assert_err(room_info_decode(WIRE(0x0a, 1, 0xff), &got), CHAT_ERR_MALFORMED);
	assert_err(room_info_decode(WIRE(0x12, 1, 0xff), &got), CHAT_ERR_MALFORMED);
	assert_err(room_info_decode(WIRE(0x0a, 2, 'n'), &got), CHAT_ERR_MALFORMED);
	assert_err(room_info_decode(WIRE(0), &got), CHAT_ERR_MALFORMED);
}

/* chat.proto is the schema: what its generated code writes is read, and the other way round. */
TEST(generated_code_agrees)
{
	static const char *const texts[] = {"", "hello", "\xc5\xbc\xc3\xb3\xc5\x82w \xf0\x9f\x90\xa2"};
	static uint8_t key_a[1794], key_b[1];
	uint8_t wire[4096];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char text[64], topic[64];
		Chat__V1__Content content = CHAT__V1__CONTENT__INIT, *content_back;
		Chat__V1__RoomInfo info = CHAT__V1__ROOM_INFO__INIT, *info_back;
		struct bytes got;
		struct room_info got_info;
		size_t len;

		snprintf(text, sizeof(text), "%s", texts[i]);
		snprintf(topic, sizeof(topic), "%s", texts[(i + 1) % ARRAY_LEN(texts)]);
		content.text = text;
		len = chat__v1__content__pack(&content, wire);
		assert_ok(content_decode(BYTES(wire, len), &got));
		assert_bytes_equal(got, BYTES_STR(text));
		content_encode(got, wire + len);
		assert_bytes_equal(BYTES(wire + len, content_encoded_bytes(got)), BYTES(wire, len));
		content_back = chat__v1__content__unpack(NULL, content_encoded_bytes(got), wire + len);
		assert_non_null(content_back);
		assert_string_equal(content_back->text, text);
		chat__v1__content__free_unpacked(content_back, NULL);

		info.name = text;
		info.topic = topic;
		len = chat__v1__room_info__pack(&info, wire);
		assert_ok(room_info_decode(BYTES(wire, len), &got_info));
		assert_bytes_equal(got_info.name, BYTES_STR(text));
		assert_bytes_equal(got_info.topic, BYTES_STR(topic));
		room_info_encode(&got_info, wire + len);
		info_back = chat__v1__room_info__unpack(NULL, room_info_encoded_bytes(&got_info), wire + len);
		assert_non_null(info_back);
		assert_string_equal(info_back->name, text);
		assert_string_equal(info_back->topic, topic);
		chat__v1__room_info__free_unpacked(info_back, NULL);
	}

	ProtobufCBinaryData keys[] = {{sizeof(key_a), key_a}, {sizeof(key_b), key_b}};
	Chat__V1__Bag bag = CHAT__V1__BAG__INIT, *bag_back;
	struct bytes got, mine[] = {BYTES_ARRAY(key_a), BYTES_ARRAY(key_b)};
	size_t len, count = 0, at = 0;

	memset(key_a, 0x30, sizeof(key_a));
	bag.rsa_key = keys;
	bag.n_rsa_key = ARRAY_LEN(keys);
	len = chat__v1__bag__pack(&bag, wire);
	assert_ok(bag_content_check(BYTES(wire, len), &count));
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		assert_true(bag_content_next(BYTES(wire, len), &at, &got));
		assert_bytes_equal(got, mine[i]);
	}
	assert_false(bag_content_next(BYTES(wire, len), &at, &got));
	assert_int_equal(bag_content_encoded_bytes(mine, 2), len);
	bag_content_encode(mine, 2, wire + len);
	assert_bytes_equal(BYTES(wire + len, len), BYTES(wire, len));
	bag_back = chat__v1__bag__unpack(NULL, len, wire + len);
	assert_non_null(bag_back);
	assert_int_equal(bag_back->n_rsa_key, 2);
	chat__v1__bag__free_unpacked(bag_back, NULL);
}

TEST(published_protobuf)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i, k;
	json_t *test, *field;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "protobuf"), i, test)
	{
		struct bytes wire = vec_hex(&v, test, "wire");
		struct bytes text = BYTES_EMPTY, wanted[3] = {BYTES_EMPTY, BYTES_EMPTY, BYTES_EMPTY};
		struct room_info info;
		/* an unknown field is not written again */
		bool canonical = !vec_is(test, "comment", "an unknown field is skipped");
		uint8_t again[1024];

		if (vec_has(test, "fields")) {
			json_array_foreach(vec_array(test, "fields"), k, field)
			{
				json_int_t number = json_integer_value(json_array_get(field, 0));
				const json_t *value = json_array_get(field, 1);

				assert_in_range(number, 1, 2);
				wanted[number] = BYTES(json_string_value(value), json_string_length(value));
			}
		}
		if (vec_is(test, "message", "Content")) {
			gv_assert_err(test, content_decode(wire, &text), gv_result(test), &count);
			if (gv_result(test) != CHAT_OK)
				continue;
			vec_assert_bytes(test, "text", text, wanted[1]);
			if (canonical) {
				assert_true(content_encoded_bytes(text) <= sizeof(again));
				content_encode(text, again);
				vec_assert_bytes(
				    test, "wire", BYTES(again, content_encoded_bytes(text)), wire);
			}
		} else {
			assert_true(vec_is(test, "message", "RoomInfo"));
			gv_assert_err(test, room_info_decode(wire, &info), gv_result(test), &count);
			if (gv_result(test) != CHAT_OK)
				continue;
			vec_assert_bytes(test, "name", info.name, wanted[1]);
			vec_assert_bytes(test, "topic", info.topic, wanted[2]);
			assert_true(room_info_encoded_bytes(&info) <= sizeof(again));
			room_info_encode(&info, again);
			vec_assert_bytes(test, "wire", BYTES(again, room_info_encoded_bytes(&info)), wire);
		}
	}
	vec_count_print("protobuf", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_of_every_length_comes_back),
	    cmocka_unit_test(a_content_without_a_known_field_needs_a_newer_client),
	    cmocka_unit_test(what_is_not_protobuf_is_malformed),
	    cmocka_unit_test(a_nul_does_not_end_a_text),
	    cmocka_unit_test(a_room_has_a_name_and_a_topic_or_neither),
	    cmocka_unit_test(generated_code_agrees),
	    cmocka_unit_test(published_protobuf),
	};

	return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
