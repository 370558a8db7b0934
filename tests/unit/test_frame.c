/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "proto/frame.h"
#include "proto/wire.h"

#include "failalloc.h"

static struct arena arena;

static int
make_arena(void **state)
{
	(void)state;
	frame_arena_init(&arena);
	return 0;
}

static int
free_arena(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* ---- splitting ---- */

TEST(split_names_what_it_needs)
{
	const uint8_t frame[] = {0, 0, 0, 3, 'a', 'b', 'c', 'X'};
	struct bytes body = BYTES(frame, 1);
	size_t n = 99;

	/* One byte more each time; `body` stays untouched until the frame is there. */
	for (size_t have = 0; have < 7; have++) {
		assert_err(frame_split(BYTES(frame, have), 100, &body, &n), CHAT_ERR_AGAIN);
		assert_int_equal(n, have < 4 ? 4 : 7);
		assert_ptr_equal(body.data, frame);
		assert_int_equal(body.len, 1);
	}
	for (size_t have = 7; have <= 8; have++) {
		assert_ok(frame_split(BYTES(frame, have), 100, &body, &n));
		assert_int_equal(n, 7);
		assert_ptr_equal(body.data, frame + 4);
		assert_int_equal(body.len, 3);
	}
	assert_err(frame_split(BYTES_EMPTY, 100, &body, &n), CHAT_ERR_AGAIN);
	assert_int_equal(n, 4);
}

TEST(split_of_length_0)
{
	const uint8_t frame[] = {0, 0, 0, 0, 'X'};
	struct bytes body;
	size_t n;

	assert_ok(frame_split(BYTES_ARRAY(frame), 100, &body, &n));
	assert_int_equal(n, 4);
	assert_int_equal(body.len, 0);
}

TEST(split_at_the_limit)
{
	static const uint32_t limits[] = {0, 1, FRAME_MAX_BEFORE_LOGIN, FRAME_MAX_AFTER_LOGIN};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		uint32_t max = limits[i];
		uint8_t *frame = calloc(1, 4 + (size_t)max);
		struct bytes body = BYTES_EMPTY;
		size_t n = 99;

		assert_non_null(frame);
		be32_put(frame, max);
		assert_ok(frame_split(BYTES(frame, 4 + (size_t)max), max, &body, &n));
		assert_int_equal(body.len, max);
		assert_int_equal(n, 4 + (size_t)max);
		/* One more, known from the length alone, and nothing else is said. */
		be32_put(frame, max + 1);
		body = BYTES_EMPTY;
		n = 99;
		assert_err(frame_split(BYTES(frame, 4), max, &body, &n), CHAT_ERR_TOO_LONG);
		assert_null(body.data);
		assert_int_equal(n, 99);
		be32_put(frame, UINT32_MAX);
		assert_err(frame_split(BYTES(frame, 4), max, &body, &n), CHAT_ERR_TOO_LONG);
		free(frame);
	}
}

/* A stream of frames of many sizes, cut at every place: always the same frames come out. */
TEST(split_wherever_the_stream_is_cut)
{
	struct buf stream = {0};
	static const uint32_t sizes[] = {0, 1, 5, 0, 130, 2, 17};
	uint8_t content[130];

	memset(content, 'c', sizeof(content));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t length[4];
		be32_put(length, sizes[i]);
		assert_ok(buf_append(&stream, length, 4));
		assert_ok(buf_append(&stream, content, sizes[i]));
	}
	for (size_t cut = 0; cut <= stream.len; cut++) {
		size_t have = cut, pos = 0, frames = 0;

		while (pos < stream.len) {
			struct bytes body;
			size_t n = 0;
			enum chat_err err = frame_split(BYTES(stream.data + pos, have - pos), 200, &body, &n);
			if (err == CHAT_ERR_AGAIN) {
				assert_true(n > have - pos);
				assert_int_not_equal(have, stream.len);
				have = stream.len;
				continue;
			}
			assert_ok(err);
			assert_int_equal(body.len, sizes[frames]);
			frames++;
			pos += n;
			assert_true(pos <= have);
		}
		assert_int_equal(frames, ARRAY_LEN(sizes));
	}
	buf_fini(&stream);
}

/* ---- decoding ---- */

static struct bytes
body_of(const struct buf *frame)
{
	struct bytes body;
	size_t n;

	assert_ok(frame_split(buf_bytes(frame), FRAME_MAX_AFTER_LOGIN, &body, &n));
	assert_int_equal(n, frame->len);
	return body;
}

static struct buf
post_message_frame(void)
{
	static uint8_t fill[289];
	Chat__V1__PostMessage post = CHAT__V1__POST_MESSAGE__INIT;
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	struct buf into = {0};

	memset(fill, 'm', sizeof(fill));
	post.room_id = wire_from_bytes(BYTES(fill, 32));
	post.message = wire_from_bytes(BYTES_ARRAY(fill));
	frame.id = 300;
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_POST_MESSAGE;
	frame.post_message = &post;
	assert_ok(frame_encode_client(&frame, &into));
	return into;
}

TEST(what_was_encoded_is_decoded)
{
	struct buf wire = post_message_frame();
	const Chat__V1__ClientFrame *frame;

	assert_ok(frame_decode_client(body_of(&wire), &arena, &frame));
	/* It owns what it points to. */
	memset(wire.data, 0, wire.len);
	buf_fini(&wire);
	assert_int_equal(frame->id, 300);
	assert_int_equal(frame->request_case, CHAT__V1__CLIENT_FRAME__REQUEST_POST_MESSAGE);
	assert_int_equal(frame->post_message->room_id.len, 32);
	assert_int_equal(frame->post_message->message.len, 289);
	assert_int_equal(frame->post_message->message.data[288], 'm');
}

TEST(decoding_into_a_warm_arena_takes_no_malloc)
{
	struct buf wire = post_message_frame();
	const Chat__V1__ClientFrame *frame;

	assert_ok(frame_decode_client(body_of(&wire), &arena, &frame));
	arena_reset(&arena);
	failalloc_arm(0);
	enum chat_err err = frame_decode_client(body_of(&wire), &arena, &frame);
	assert_false(failalloc_disarm());
	assert_ok(err);
	buf_fini(&wire);
}

TEST(decoding_without_memory_says_so)
{
	struct buf wire = post_message_frame();
	const Chat__V1__ClientFrame *frame = NULL;

	failalloc_arm(0);
	enum chat_err err = frame_decode_client(body_of(&wire), &arena, &frame);
	assert_true(failalloc_disarm());
	assert_err(err, CHAT_ERR_NOMEM);
	assert_null(frame);
	arena_reset(&arena);
	assert_ok(frame_decode_client(body_of(&wire), &arena, &frame));
	buf_fini(&wire);
}

/* Every strict prefix of a frame is either refused or a shorter message; none is read past its end. */
TEST(a_truncated_body_never_decodes_to_the_whole)
{
	struct buf wire = post_message_frame();
	struct bytes whole = body_of(&wire);

	for (size_t len = 0; len < whole.len; len++) {
		const Chat__V1__ClientFrame *frame = NULL;
		/* Of its own size, so that a sanitizer sees a read behind it. */
		uint8_t *part = malloc(len == 0 ? 1 : len);

		assert_non_null(part);
		memcpy(part, whole.data, len);
		enum chat_err err = frame_decode_client(BYTES(part, len), &arena, &frame);
		if (err == CHAT_OK)
			assert_int_equal(frame->request_case, CHAT__V1__CLIENT_FRAME__REQUEST__NOT_SET);
		else
			assert_err(err, CHAT_ERR_MALFORMED);
		/* Nothing, or the id alone (3 bytes: its number is 300). */
		assert_true((err == CHAT_OK) == (len == 0 || len == 3));
		free(part);
		arena_reset(&arena);
	}
	buf_fini(&wire);
}

static enum chat_err
decode_hex(const char *hex, const Chat__V1__ClientFrame **ret_frame)
{
	size_t len;
	uint8_t *body = unit_hex(hex, &len);
	const Chat__V1__ClientFrame *frame = NULL;

	arena_reset(&arena);
	enum chat_err err = frame_decode_client(BYTES(body, len), &arena, &frame);
	free(body);
	if (err == CHAT_OK)
		*ret_frame = frame;
	else
		assert_null(frame);
	return err;
}

TEST(what_is_not_protobuf_is_malformed)
{
	static const char *const bodies[] = {
	    "ff",                       /* a tag without end */
	    "ffffffffffffffffffffff01", /* a tag longer than a tag can be */
	    "08",                       /* id without value */
	    "08ffffffffffffffffffff01", /* a varint of 11 bytes */
	    "0d01",                     /* id as fixed32, cut short */
	    "b20105",                   /* post_events of 5 bytes, of which none is there */
	    "b20103120401",             /* an event of 4 bytes in a post_events of 3 */
	    "b201021204",               /* an event of 4 bytes where the frame ends */
	    "b20180808080f0ffffffff01", /* a length near 2^64 */
	    "b201ffffffff0f",           /* a length of 2^32 - 1 */
	    "f60101",                   /* wire type 6 */
	    "f30101",                   /* a group, which nobody uses */
	    "00",                       /* field number 0 */
	};
	const Chat__V1__ClientFrame *frame;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		print_message("# %s\n", bodies[i]);
		assert_err(decode_hex(bodies[i], &frame), CHAT_ERR_MALFORMED);
	}
}

TEST(unknown_fields_are_skipped)
{
	const Chat__V1__ClientFrame *frame;

	/* id 5; field 1000 as varint, bytes, fixed32 and fixed64; ping with a field 9 inside. */
	assert_ok(decode_hex("0805"
			     "c03e07"
			     "c23e03616263"
			     "c53e01020304"
			     "c13e0102030405060708"
			     "72024801",
	    &frame));
	assert_int_equal(frame->id, 5);
	assert_int_equal(frame->request_case, CHAT__V1__CLIENT_FRAME__REQUEST_PING);
}

TEST(an_unknown_request_decodes_with_its_id)
{
	const Chat__V1__ClientFrame *frame;

	assert_ok(decode_hex("0805ca3e00", &frame)); /* field 1001 */
	assert_int_equal(frame->id, 5);
	assert_int_equal(frame->request_case, CHAT__V1__CLIENT_FRAME__REQUEST__NOT_SET);
	assert_ok(decode_hex("", &frame));
	assert_int_equal(frame->id, 0);
	assert_int_equal(frame->request_case, CHAT__V1__CLIENT_FRAME__REQUEST__NOT_SET);
}

TEST(of_two_requests_in_a_frame_the_last_counts)
{
	const Chat__V1__ClientFrame *frame;

	/* id 5, ping, who{after "abc"}. */
	assert_ok(decode_hex("080572006a050a03616263", &frame));
	assert_int_equal(frame->request_case, CHAT__V1__CLIENT_FRAME__REQUEST_WHO);
	assert_string_equal(frame->who->after, "abc");
}

/* Protobuf of many tiny fields grows in memory; the arena ends it, and the next frame is served. */
TEST(a_frame_that_grows_when_decoded_is_too_long)
{
	enum { LEN = 1024 * 1024 };
	struct buf good = post_message_frame();
	const Chat__V1__ClientFrame *frame = NULL;
	uint8_t *body = malloc(LEN);

	assert_non_null(body);
	for (size_t i = 0; i < LEN; i += 2) { /* id, half a million times: an honest decoder keeps the last */
		body[i] = 0x08;
		body[i + 1] = 1;
	}
	assert_err(frame_decode_client(BYTES(body, LEN), &arena, &frame), CHAT_ERR_TOO_LONG);
	assert_null(frame);
	assert_true(arena.held_bytes <= FRAME_ARENA_MAX_BYTES);

	/* post_events with one empty event, again and again: each is allocated, the last counts. */
	size_t n = 0;
	for (; n + 5 <= LEN; n += 5)
		memcpy(body + n, "\xb2\x01\x02\x12\x00", 5);
	arena_reset(&arena);
	assert_err(frame_decode_client(BYTES(body, n), &arena, &frame), CHAT_ERR_TOO_LONG);
	assert_true(arena.held_bytes <= FRAME_ARENA_MAX_BYTES);

	arena_reset(&arena);
	assert_int_equal(arena.held_bytes, FRAME_ARENA_KEEP_BYTES);
	assert_ok(frame_decode_client(body_of(&good), &arena, &frame));
	free(body);
	buf_fini(&good);
}

/* ---- encoding ---- */

TEST(encoding_takes_one_allocation_at_most)
{
	struct buf into = {0};

	failalloc_arm(1);
	enum chat_err err = frame_encode_error(7, CHAT_ERR_STALE, "x", &into);
	assert_false(failalloc_disarm());
	assert_ok(err);
	/* And none where there is room. */
	buf_clear(&into);
	failalloc_arm(0);
	err = frame_encode_error(7, CHAT_ERR_STALE, "x", &into);
	assert_false(failalloc_disarm());
	assert_ok(err);
	buf_fini(&into);
}

TEST(a_failed_encoding_leaves_the_buffer)
{
	struct buf into = {0};
	static uint8_t fill[FRAME_MAX_AFTER_LOGIN];
	Chat__V1__BagBlob bag = CHAT__V1__BAG_BLOB__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	enum chat_err err;

	assert_ok(buf_append_str(&into, "before"));
	frame.id = 1;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_BAG;
	frame.bag = &bag;

	bag.blob = wire_from_bytes(BYTES(fill, 5000));
	failalloc_arm(0);
	err = frame_encode_server(&frame, &into);
	assert_true(failalloc_disarm());
	assert_err(err, CHAT_ERR_NOMEM);
	assert_bytes_equal(buf_bytes(&into), BYTES_STR("before"));

	/* id 2, bag's tag 1 and length 3, blob's tag 1 and length 3: exactly the longest frame, and one more.
	 */
	bag.blob.len = FRAME_MAX_AFTER_LOGIN - 10;
	assert_int_equal(frame_server_bytes(&frame), 4 + FRAME_MAX_AFTER_LOGIN);
	assert_ok(frame_encode_server(&frame, &into));
	assert_int_equal(into.len, 6 + 4 + FRAME_MAX_AFTER_LOGIN);
	into.len = 6;
	bag.blob.len++;
	assert_err(frame_encode_server(&frame, &into), CHAT_ERR_TOO_LONG);
	assert_bytes_equal(buf_bytes(&into), BYTES_STR("before"));
	buf_fini(&into);
}

TEST(frames_are_appended)
{
	struct buf into = {0};
	struct bytes body;
	size_t first, second;
	const Chat__V1__ServerFrame *frame;

	assert_ok(frame_encode_ok(9, &into));
	assert_ok(frame_encode_error(0, CHAT_ERR_MALFORMED, NULL, &into));
	assert_ok(frame_split(buf_bytes(&into), 100, &body, &first));
	assert_ok(frame_decode_server(body, &arena, &frame));
	assert_int_equal(frame->id, 9);
	assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_OK);

	buf_drop(&into, first);
	assert_ok(frame_split(buf_bytes(&into), 100, &body, &second));
	assert_int_equal(second, into.len);
	assert_ok(frame_decode_server(body, &arena, &frame));
	assert_int_equal(frame->id, 0);
	assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ERROR);
	assert_int_equal(frame->error->code, CHAT__V1__ERROR_CODE__MALFORMED);
	assert_string_equal(frame->error->text, chat_strerror(CHAT_ERR_MALFORMED));
	buf_fini(&into);
}

TEST(an_error_says_what_it_is_told_to)
{
	struct buf into = {0};
	const Chat__V1__ServerFrame *frame;

	assert_ok(frame_encode_error(1, CHAT_ERR_NOMEM, "no room for that", &into));
	assert_ok(frame_decode_server(body_of(&into), &arena, &frame));
	assert_int_equal(frame->error->code, CHAT__V1__ERROR_CODE__INTERNAL);
	assert_string_equal(frame->error->text, "no room for that");
	buf_fini(&into);
}

/* ---- the pushes without a struct ---- */

static void
check_entry_push(const struct entry_push *push)
{
	Chat__V1__Entry entry = CHAT__V1__ENTRY__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	entry.room_id = wire_from_digest(push->room_id);
	entry.seq = push->seq;
	entry.server_time_ms = push->server_time_ms;
	entry.kind = push->kind;
	entry.wire = wire_from_bytes(push->wire);
	if (push->entry_hash != NULL)
		entry.entry_hash = wire_from_digest(push->entry_hash);
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ENTRY;
	frame.entry = &entry;

	size_t n = frame_server_bytes(&frame);
	assert_int_equal(frame_entry_bytes(push), n);
	uint8_t *expected = malloc(n), *got = malloc(n);
	assert_non_null(expected);
	assert_non_null(got);
	frame_server_put(&frame, expected, n);
	frame_entry_put(push, got, n);
	assert_bytes_equal(BYTES(got, n), BYTES(expected, n));
	free(expected);
	free(got);
}

TEST(an_entry_push_is_what_the_generated_code_writes)
{
	static const uint64_t numbers[] = {
	    0, 1, 127, 128, 16383, 16384, 1700000000000, ROOM_ENTRIES_MAX, UINT64_MAX};
	static const size_t lengths[] = {1, 90, 127, 128, 289, 16383, 16384, 49377, 50176};
	static uint8_t fill[50176];
	struct digest room, hash;

	memset(fill, 'w', sizeof(fill));
	memset(&room, 'r', sizeof(room));
	memset(&hash, 'h', sizeof(hash));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		for (size_t j = 0; j < ARRAY_LEN(lengths); j++) {
			struct entry_push push = {.room_id = &room,
			    .seq = numbers[i],
			    .server_time_ms = numbers[ARRAY_LEN(numbers) - 1 - i],
			    .kind = 1 + (uint32_t)(j & 1),
			    .wire = BYTES(fill, lengths[j])};
			check_entry_push(&push);
			push.wire = BYTES_EMPTY;
			push.entry_hash = &hash;
			check_entry_push(&push);
		}
	}
}

TEST(a_wrap_push_is_what_the_generated_code_writes)
{
	struct digest room, epoch;
	uint8_t wrap[384], got[FRAME_WRAP_PUSH_BYTES], expected[FRAME_WRAP_PUSH_BYTES];
	Chat__V1__EpochWraps epoch_wraps = CHAT__V1__EPOCH_WRAPS__INIT, *list[] = {&epoch_wraps};
	Chat__V1__Wraps wraps = CHAT__V1__WRAPS__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	memset(&room, 'r', sizeof(room));
	memset(&epoch, 'e', sizeof(epoch));
	memset(wrap, 'w', sizeof(wrap));
	epoch_wraps.epoch_id = wire_from_digest(&epoch);
	epoch_wraps.wrap = wire_from_bytes(BYTES_ARRAY(wrap));
	wraps.room_id = wire_from_digest(&room);
	wraps.n_epoch = 1;
	wraps.epoch = list;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH;
	frame.wraps_push = &wraps;
	assert_int_equal(frame_server_bytes(&frame), FRAME_WRAP_PUSH_BYTES);
	frame_server_put(&frame, expected, sizeof(expected));
	frame_wrap_push_put(&room, &epoch, wrap, got);
	assert_bytes_equal(BYTES_ARRAY(got), BYTES_ARRAY(expected));
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, make_arena, free_arena)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(split_names_what_it_needs),
	    cmocka_unit_test(split_of_length_0),
	    cmocka_unit_test(split_at_the_limit),
	    cmocka_unit_test(split_wherever_the_stream_is_cut),
	    WITH_ARENA(what_was_encoded_is_decoded),
	    WITH_ARENA(decoding_into_a_warm_arena_takes_no_malloc),
	    WITH_ARENA(decoding_without_memory_says_so),
	    WITH_ARENA(a_truncated_body_never_decodes_to_the_whole),
	    WITH_ARENA(what_is_not_protobuf_is_malformed),
	    WITH_ARENA(unknown_fields_are_skipped),
	    WITH_ARENA(an_unknown_request_decodes_with_its_id),
	    WITH_ARENA(of_two_requests_in_a_frame_the_last_counts),
	    WITH_ARENA(a_frame_that_grows_when_decoded_is_too_long),
	    cmocka_unit_test(encoding_takes_one_allocation_at_most),
	    cmocka_unit_test(a_failed_encoding_leaves_the_buffer),
	    WITH_ARENA(frames_are_appended),
	    WITH_ARENA(an_error_says_what_it_is_told_to),
	    cmocka_unit_test(an_entry_push_is_what_the_generated_code_writes),
	    cmocka_unit_test(a_wrap_push_is_what_the_generated_code_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
