/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections, a turn at a time, with real TLS and without an engine. */
#include "loop_rig.h"

#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/requests.h"
#include "proto/wire.h"
#include "tls/tls.h"

static struct loop_rig lr;

static int
set_up(void **state)
{
	(void)state;
	lr = (struct loop_rig){.accepted = 0};
	rig_init(&lr.rig, 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_rig_end(&lr);
	return 0;
}

/* ---- requests in phases ---- */

/* An empty request of any type. */
static void
send_empty(struct peer *peer, enum request_type type)
{
	int field = CHAT__V1__CLIENT_FRAME__REQUEST_HELLO + (int)type;
	uint8_t wire[9], *p = wire + 4;

	*p++ = 1 << 3;
	*p++ = 77; /* the id */
	if (field >= 16) {
		*p++ = (uint8_t)(((field << 3 | 2) & 0x7f) | 0x80);
		*p++ = (uint8_t)(field >> 4);
	} else {
		*p++ = (uint8_t)(field << 3 | 2);
	}
	*p++ = 0;
	be32_put(wire, (uint32_t)(p - wire - 4));
	peer_send_bytes(peer, wire, (size_t)(p - wire));
}

static enum chat_err
expected_of(enum request_type type, enum phase phase)
{
	int field = CHAT__V1__CLIENT_FRAME__REQUEST_HELLO + (int)type;
	uint8_t wire[5] = {1 << 3, 77};
	const Chat__V1__ClientFrame *frame;
	struct request_fault fault;
	enum request_type got;
	struct arena arena;
	enum chat_err err;
	size_t n = 2;

	if (field >= 16) {
		wire[n++] = (uint8_t)(((field << 3 | 2) & 0x7f) | 0x80);
		wire[n++] = (uint8_t)(field >> 4);
	} else {
		wire[n++] = (uint8_t)(field << 3 | 2);
	}
	n++;
	frame_arena_init(&arena);
	assert_ok(frame_decode_client(BYTES(wire, n), &arena, &frame));
	err = requests_check(frame, phase, n, &got, &fault);
	arena_fini(&arena);
	return err;
}

/* Every request in every phase: what requests_check() refuses is told, and ends the connection; else it goes
 * on. */
TEST(each_request_in_each_phase)
{
	static const enum phase phases[] = {PHASE_NEW, PHASE_HELLO, PHASE_PASSWORD, PHASE_READY};
	unsigned refused = 0, taken = 0;

	loop_rig_start(&lr);
	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		for (enum request_type type = 0; type < REQUEST_TYPE_COUNT; type++) {
			enum chat_err expected = expected_of(type, phases[i]);
			struct peer peer = {0};
			struct conn *c = loop_rig_open(&lr, &peer, 1);

			conn_set_phase(c, phases[i]);
			send_empty(&peer, type);
			if (expected == CHAT_OK) {
				loop_rig_settle(&lr);
				/* get_bag and get_recovery of an account that does not exist end it, too,
				 * politely. */
				if (phases[i] != PHASE_PASSWORD || type == REQUEST_PING)
					assert_int_equal(c->state, CONN_OPEN);
				taken++;
			} else {
				const Chat__V1__ServerFrame *frame = peer_next(&peer);

				assert_int_equal(frame->id, 77);
				assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ERROR);
				assert_err(error_from_wire(frame->error->code), expected);
				peer_expect_goodbye(&peer, expected);
				refused++;
			}
			peer_close(&peer);
			loop_rig_settle(&lr);
		}
	}
	assert_int_equal(refused + taken, 4 * REQUEST_TYPE_COUNT);
	/* ping 4 times; get_recovery and get_bag twice each; who and get_rooms. */
	assert_int_equal(taken, 10);
}

/* ---- how frames come ---- */

static void
put_ping(struct buf *out, uint64_t id)
{
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;

	frame.id = id;
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_PING;
	frame.ping = &ping;
	assert_ok(frame_encode_client(&frame, out));
}

static void
expect_pongs(struct peer *peer, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		const Chat__V1__ServerFrame *frame = peer_next(peer);

		assert_non_null(frame);
		assert_int_equal(frame->id, id);
		assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_PONG);
	}
}

TEST(a_byte_at_a_time)
{
	struct peer peer = {0};
	struct buf out = {0};
	struct conn *c;

	loop_rig_start(&lr);
	c = loop_rig_open(&lr, &peer, 1);
	put_ping(&out, 1);
	for (size_t i = 0; i < out.len; i++) {
		peer_send_bytes(&peer, out.data + i, 1);
		loop_rig_settle(&lr);
		/* Kept while it is not whole, and then no more. */
		assert_int_equal(c->in.len, i + 1 == out.len ? 0 : i + 1);
	}
	assert_null(c->in.data);
	expect_pongs(&peer, 1, 1);
	buf_fini(&out);
	peer_close(&peer);
}

/* However a stream of frames is cut into records. */
TEST(cut_at_random)
{
	struct peer peer = {0};
	uint64_t seed = 5, next = 1;
	struct conn *c;

	loop_rig_start(&lr);
	c = loop_rig_open(&lr, &peer, 1);
	for (unsigned round = 0; round < 30; round++) {
		struct buf out = {0};
		uint64_t first = next, count = unit_rand(&seed) % 40 + 1;

		for (uint64_t i = 0; i < count; i++)
			put_ping(&out, next++);
		for (size_t at = 0; at < out.len;) {
			size_t n = unit_rand(&seed) % 30 + 1;

			if (n > out.len - at)
				n = out.len - at;
			peer_send_bytes(&peer, out.data + at, n);
			at += n;
			if (unit_rand(&seed) % 4 == 0)
				loop_rig_turn(&lr, 0);
		}
		expect_pongs(&peer, first, next - 1);
		buf_fini(&out);
	}
	loop_rig_settle(&lr);
	assert_null(c->in.data);
	peer_close(&peer);
}

static void
send_header(struct peer *peer, uint32_t len)
{
	uint8_t header[4];

	be32_put(header, len);
	peer_send_bytes(peer, header, sizeof header);
}

static void
expect_fault(struct peer *peer, enum chat_err err)
{
	const Chat__V1__ServerFrame *frame = peer_next(peer);

	assert_non_null(frame);
	assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ERROR);
	assert_err(error_from_wire(frame->error->code), err);
	peer_expect_goodbye(peer, err);
}

TEST(too_long_by_its_header)
{
	struct peer peer = {0};

	loop_rig_start(&lr);
	loop_rig_open(&lr, &peer, 1);
	send_header(&peer, FRAME_MAX_BEFORE_LOGIN + 1);
	expect_fault(&peer, CHAT_ERR_TOO_LONG);
	peer_close(&peer);
	loop_rig_ready(&lr, &peer, 1);
	send_header(&peer, FRAME_MAX_AFTER_LOGIN + 1);
	expect_fault(&peer, CHAT_ERR_TOO_LONG);
	peer_close(&peer);
	loop_rig_ready(&lr, &peer, 1);
	send_header(&peer, UINT32_MAX);
	expect_fault(&peer, CHAT_ERR_TOO_LONG);
	peer_close(&peer);
}

/* The longest frame is taken, in 16 KiB records; it is too long for what it asks, which is another error,
 * with its id. */
TEST(as_long_as_it_may_be)
{
	static const size_t sizes[] = {FRAME_MAX_BEFORE_LOGIN, FRAME_MAX_AFTER_LOGIN};

	loop_rig_start(&lr);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct frame_ref *frame = loop_rig_frame(FRAME_HEADER_BYTES + sizes[i]);
		const Chat__V1__ServerFrame *answer;
		struct peer peer = {0};
		struct conn *c = i == 0 ? loop_rig_open(&lr, &peer, 1) : loop_rig_ready(&lr, &peer, 1);

		/* The tail becomes id and ping: shorten the filling field by their 5 bytes. */
		uint8_t tail[] = {1 << 3, 9, CHAT__V1__CLIENT_FRAME__REQUEST_PING << 3 | 2, 0};
		size_t filling = frame->len - 10 - sizeof tail;

		for (unsigned j = 0; j < 4; j++)
			frame->data[6 + j] = (uint8_t)(filling >> 7 * j & 0x7f) | (j < 3 ? 0x80 : 0);
		memcpy(frame->data + frame->len - sizeof tail, tail, sizeof tail);
		for (size_t at = 0; at < frame->len; at += 10000) {
			peer_send_bytes(
			    &peer, frame->data + at, frame->len - at < 10000 ? frame->len - at : 10000);
			loop_rig_settle(&lr);
			assert_true(c->in.len <= frame->len);
		}
		answer = peer_next(&peer);
		assert_int_equal(answer->id, 9);
		assert_err(error_from_wire(answer->error->code), CHAT_ERR_TOO_LONG);
		peer_expect_goodbye(&peer, CHAT_ERR_TOO_LONG);
		frame_ref_unref(frame);
		peer_close(&peer);
	}
}

TEST(no_protobuf)
{
	static const uint8_t wire[] = {0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff};
	struct peer peer = {0};
	const Chat__V1__ServerFrame *frame;

	loop_rig_start(&lr);
	loop_rig_open(&lr, &peer, 1);
	peer_send_bytes(&peer, wire, sizeof wire);
	frame = peer_next(&peer);
	assert_int_equal(frame->id, 0);
	assert_err(error_from_wire(frame->error->code), CHAT_ERR_MALFORMED);
	peer_expect_goodbye(&peer, CHAT_ERR_MALFORMED);
	peer_close(&peer);
}

TEST(no_request_and_no_id)
{
	static const uint8_t empty[] = {0, 0, 0, 0}, no_id[] = {0, 0, 0, 2, 14 << 3 | 2, 0};
	struct peer peer = {0};

	loop_rig_start(&lr);
	loop_rig_open(&lr, &peer, 1);
	peer_send_bytes(&peer, empty, sizeof empty);
	expect_fault(&peer, CHAT_ERR_UNKNOWN_REQUEST);
	peer_close(&peer);
	loop_rig_open(&lr, &peer, 1);
	peer_send_bytes(&peer, no_id, sizeof no_id);
	expect_fault(&peer, CHAT_ERR_MALFORMED);
	peer_close(&peer);
}

/* What was asked before the fault is answered, what comes behind it is not looked at. */
TEST(nothing_behind_a_fault)
{
	struct peer peer = {0};
	struct buf out = {0};

	loop_rig_start(&lr);
	loop_rig_open(&lr, &peer, 1);
	put_ping(&out, 1);
	assert_ok(buf_append(&out, "\0\0\0\1\xff", 5));
	put_ping(&out, 2);
	peer_send_bytes(&peer, out.data, out.len);
	expect_pongs(&peer, 1, 1);
	expect_fault(&peer, CHAT_ERR_MALFORMED);
	buf_fini(&out);
	peer_close(&peer);
}

/* ---- not TLS, and not at all ---- */

TEST(not_tls)
{
	uint8_t byte;
	int fd;

	loop_rig_start(&lr);
	fd = loop_rig_connect(&lr, 1);
	loop_rig_settle(&lr);
	assert_int_equal(send(fd, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
	loop_rig_settle(&lr);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(lr.ended, 1);
	close(fd);
}

/* Ten at once take three turns, and the loop comes to itself in between. */
TEST(few_handshakes_a_turn)
{
	struct tls_conn *clients[10];
	struct conn *c;
	unsigned queued = 0;
	int fds[10];

	loop_rig_start(&lr);
	for (unsigned i = 0; i < 10; i++) {
		struct tls_transport transport;

		fds[i] = loop_rig_connect(&lr, (uint8_t)i);
		transport = tls_transport_fd(fds[i]);
		assert_ok(tls_client_new(&transport, NULL, &clients[i]));
	}
	loop_rig_turn(&lr, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(tls_handshake(clients[i]), TLS_WANT_READ);
	loop_rig_turn(&lr, 0);
	for (unsigned left = 10;; left -= HANDSHAKES_PER_TURN) {
		queued = 0;
		TAILQ_FOREACH (c, &lr.lt->handshakes, handshake_link)
			queued++;
		assert_int_equal(queued, left);
		if (left < HANDSHAKES_PER_TURN)
			break;
		loop_rig_turn(&lr, 0);
	}
	loop_rig_settle(&lr);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(tls_handshake(clients[i]), TLS_OK);
	loop_rig_settle(&lr);
	TAILQ_FOREACH (c, &lr.lt->conns, link)
		assert_int_equal(c->state, CONN_OPEN);
	for (unsigned i = 0; i < 10; i++) {
		tls_conn_free(clients[i]);
		close(fds[i]);
	}
}

TEST(more_than_there_are_slots)
{
	struct peer peers[3] = {0};
	uint8_t byte;
	int fd;

	lr.rig.limits->connections_max = 3;
	loop_rig_start(&lr);
	for (unsigned i = 0; i < 3; i++)
		loop_rig_open(&lr, &peers[i], 1);
	fd = loop_rig_connect(&lr, 1);
	loop_rig_settle(&lr);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(lr.ended, 1);
	close(fd);
	/* A slot that is free again is used again. */
	peer_close(&peers[1]);
	loop_rig_settle(&lr);
	assert_int_equal(lr.ended, 2);
	loop_rig_open(&lr, &peers[1], 1);
	for (unsigned i = 0; i < 3; i++)
		peer_close(&peers[i]);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(each_request_in_each_phase),
	    TEST_CASE(a_byte_at_a_time),
	    TEST_CASE(cut_at_random),
	    TEST_CASE(too_long_by_its_header),
	    TEST_CASE(as_long_as_it_may_be),
	    TEST_CASE(no_protobuf),
	    TEST_CASE(no_request_and_no_id),
	    TEST_CASE(nothing_behind_a_fault),
	    TEST_CASE(not_tls),
	    TEST_CASE(few_handshakes_a_turn),
	    TEST_CASE(more_than_there_are_slots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
