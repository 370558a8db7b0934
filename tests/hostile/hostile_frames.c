/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is no TLS, no frame, no protobuf, no request, or not now: the peer is told why where it can still read
 * it, the connection is closed, and nobody else is disturbed.
 */

#include "stage.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "base/random.h"
#include "proto/frame.h"
#include "proto/requests.h"
#include "proto/wire.h"

static struct person mallory;

static int
set_up(void **state)
{
	static const char *const accounts[] = {"mallory", "fresh", "newer", NULL};

	(void)state;
	stage_up("loops = 2\nlogin_fail_delay = 100ms\n", accounts);
	crowd_join(host, &mallory, "mallory");
	return 0;
}

static void
open_in(struct peer *peer, enum phase phase)
{
	if (phase == PHASE_READY) {
		peer_login(peer, host, &mallory);
		return;
	}
	peer_open(peer, host);
	if (phase != PHASE_NEW)
		peer_hello(peer);
	if (phase == PHASE_PASSWORD)
		peer_password(peer, "mallory");
}

static const enum phase phases[] = {PHASE_NEW, PHASE_HELLO, PHASE_PASSWORD, PHASE_READY};

/* ---- frames ---- */

ATTACK(one_line_in_the_log)
{
	size_t before = host_log_count(host, " warn protocol_error ", NULL);
	struct peer peer;
	char *line;

	peer_open(&peer, host);
	peer_send_frame(&peer, BYTES_STR("\xff\xff\xff"));
	peer_expect_fault(&peer, 0, CHAT_ERR_MALFORMED);
	peer_close(&peer);
	line = host_log_line(host, before + 1, " warn protocol_error ", NULL);
	assert_non_null(strstr(line, " addr=127.0.0.1:"));
	assert_non_null(strstr(line, "malformed"));
	free(line);
	host_log_wait(host, 1, "disconnected", "reason=protocol_error", NULL);
	assert_int_equal(host_log_count(host, " warn protocol_error ", NULL), before + 1);
}

ATTACK(too_long)
{
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		uint32_t most = phases[i] == PHASE_READY ? FRAME_MAX_AFTER_LOGIN : FRAME_MAX_BEFORE_LOGIN;

		open_in(&peer, phases[i]);
		peer_send_frame_header(&peer, most + 1);
		peer_expect_fault(&peer, 0, CHAT_ERR_TOO_LONG);
		peer_close(&peer);
		open_in(&peer, phases[i]);
		peer_send_frame_header(&peer, UINT32_MAX);
		peer_expect_fault(&peer, 0, CHAT_ERR_TOO_LONG);
		peer_close(&peer);
	}
}

/* Makes the one frame in the buffer so long, by a field that nobody knows. */
static void
pad_frame(struct buf *frame, size_t body_bytes)
{
	size_t pad = body_bytes - (frame->len - FRAME_HEADER_BYTES) - 6;
	/* Field 1000, of a length that is written in four bytes. */
	uint8_t head[6] = {0xc2, 0x3e, (uint8_t)(0x80 | (pad & 0x7f)), (uint8_t)(0x80 | (pad >> 7 & 0x7f)),
	    (uint8_t)(0x80 | (pad >> 14 & 0x7f)), (uint8_t)(pad >> 21)};

	assert_ok(buf_append(frame, head, sizeof(head)));
	assert_ok(buf_reserve(frame, pad));
	memset(frame->data + frame->len, 'x', pad);
	frame->len += pad;
	be32_put(frame->data, (uint32_t)body_bytes);
}

/* The longest that may be, before the login and after it: taken. */
ATTACK(exactly_as_long_as_may_be)
{
	Chat__V1__PublishIdentity publish = CHAT__V1__PUBLISH_IDENTITY__INIT;
	Chat__V1__PutBag put_bag = CHAT__V1__PUT_BAG__INIT;
	uint8_t bag[FAKE_BAG_BYTES];
	struct buf frame = {0};
	struct person fresh;
	struct peer peer;
	uint64_t id;

	fake_bag(bag);
	peer_open(&peer, host);
	peer_hello(&peer);
	peer_password(&peer, "fresh");
	person_init_at(&fresh, "fresh", 7, host_realm(host));
	publish.card = wire_from_bytes(person_card(&fresh));
	publish.bag = wire_from_bytes(BYTES_ARRAY(bag));
	id = peer_encode(&peer, REQUEST(PUBLISH_IDENTITY), &publish.base, &frame);
	pad_frame(&frame, FRAME_MAX_BEFORE_LOGIN);
	peer_send_bytes(&peer, buf_bytes(&frame));
	assert_answer(peer_answer(&peer, id), ANSWER(OK));
	peer_close(&peer);

	peer_login(&peer, host, &fresh);
	be64_put(bag + 1, 2);
	put_bag.blob = wire_from_bytes(BYTES_ARRAY(bag));
	put_bag.expected_version = 1;
	buf_clear(&frame);
	id = peer_encode(&peer, REQUEST(PUT_BAG), &put_bag.base, &frame);
	pad_frame(&frame, FRAME_MAX_AFTER_LOGIN);
	peer_send_bytes(&peer, buf_bytes(&frame));
	assert_answer(peer_answer(&peer, id), ANSWER(OK));
	peer_ping(&peer);
	peer_close(&peer);
	buf_fini(&frame);
	person_fini(&fresh);
}

/* A request has a limit of its own below the frame's. */
ATTACK(too_long_for_the_request)
{
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;
	size_t most = request_table[REQUEST_PING].max_bytes;
	struct buf frame = {0};
	struct peer peer;
	uint64_t id;

	peer_login(&peer, host, &mallory);
	id = peer_encode(&peer, REQUEST(PING), &ping.base, &frame);
	pad_frame(&frame, most);
	peer_send_bytes(&peer, buf_bytes(&frame));
	assert_answer(peer_answer(&peer, id), ANSWER(PONG));
	buf_clear(&frame);
	id = peer_encode(&peer, REQUEST(PING), &ping.base, &frame);
	pad_frame(&frame, most + 1);
	peer_send_bytes(&peer, buf_bytes(&frame));
	peer_expect_fault(&peer, id, CHAT_ERR_TOO_LONG);
	peer_close(&peer);
	buf_fini(&frame);
}

ATTACK(truncated)
{
	size_t ended = host_log_count(host, "disconnected", NULL);
	Chat__V1__GetRooms get_rooms = CHAT__V1__GET_ROOMS__INIT;
	struct buf frame = {0};
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		for (unsigned how = 0; how < 3; how++) {
			open_in(&peer, phases[i]);
			buf_clear(&frame);
			peer_encode(&peer, REQUEST(GET_ROOMS), &get_rooms.base, &frame);
			pad_frame(&frame, 200);
			/* In the middle of the length, and of the rest. */
			peer_send_bytes(&peer, BYTES(frame.data, how == 0 ? 2 : 100));
			if (how == 2)
				peer_reset(&peer);
			else
				peer_close(&peer);
			host_log_wait(host, ++ended, "disconnected", NULL);
		}
	}
	buf_fini(&frame);
}

/* Nothing is wrong with a peer who is slow. */
ATTACK(one_byte_at_a_time)
{
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;
	struct buf frame = {0};
	struct peer peer;
	uint64_t id;

	/* Each byte of TLS in a packet of its own ... */
	peer_connect(&peer, host, NULL);
	peer.dribble = true;
	peer_handshake(&peer);
	peer_enter(&peer, &mallory);
	peer_ping(&peer);
	/* ... and each byte of a frame in a record of its own. */
	peer.dribble = false;
	id = peer_encode(&peer, REQUEST(PING), &ping.base, &frame);
	for (size_t i = 0; i < frame.len; i++)
		peer_send_bytes(&peer, BYTES(frame.data + i, 1));
	assert_answer(peer_answer(&peer, id), ANSWER(PONG));
	peer_close(&peer);
	buf_fini(&frame);
}

ATTACK(no_protobuf)
{
	static const struct bytes bodies[] = {
	    {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12}, /* an endless number */
	    {(const uint8_t *)"\x12\x7f", 2},                                          /* hello, cut off */
	    {(const uint8_t *)"\x0b\x0c", 2},                                          /* a group */
	    {(const uint8_t *)"\x0f\x00", 2},                                          /* wire type 7 */
	    {(const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18},
	};
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		for (size_t j = 0; j < ARRAY_LEN(bodies); j++) {
			open_in(&peer, phases[i]);
			peer_send_frame(&peer, bodies[j]);
			peer_expect_fault(&peer, 0, CHAT_ERR_MALFORMED);
			peer_close(&peer);
		}
	}
}

ATTACK(random_bytes_in_frames)
{
	uint8_t noise[512];
	struct peer peer;

	for (unsigned i = 0; i < 50; i++) {
		const Chat__V1__ServerFrame *answer;

		random_bytes(noise, sizeof(noise));
		peer_open(&peer, host);
		peer_send_frame(&peer, BYTES(noise, 1 + noise[0]));
		/* Whatever it turns out to be, it is answered, and the end. */
		answer = peer_next_answer(&peer);
		assert_non_null(answer);
		assert_answer(answer, ANSWER(ERROR));
		peer_expect_goodbye(&peer, answer_err(answer));
		peer_close(&peer);
	}
}

/* A frame within its limit, which decoded would take a hundred times as much memory. */
ATTACK(a_frame_that_swells)
{
	uint8_t *body = malloc(FRAME_MAX_AFTER_LOGIN);
	struct peer peer;

	assert_non_null(body);
	for (size_t i = 0; i < FRAME_MAX_AFTER_LOGIN; i += 2) {
		body[i] = 0x08; /* id, again and again */
		body[i + 1] = 0x01;
	}
	peer_login(&peer, host, &mallory);
	peer_send_frame(&peer, BYTES(body, FRAME_MAX_AFTER_LOGIN));
	peer_expect_fault(&peer, 0, CHAT_ERR_TOO_LONG);
	peer_close(&peer);
	free(body);
}

/* ---- requests ---- */

ATTACK(unknown_requests)
{
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		/* id 5 and field 2000, a message; only an id; nothing at all. */
		open_in(&peer, phases[i]);
		peer_send_frame(&peer, BYTES_STR("\x08\x05\x82\x7d\x01\x31"));
		peer_expect_fault(&peer, 5, CHAT_ERR_UNKNOWN_REQUEST);
		peer_close(&peer);
		open_in(&peer, phases[i]);
		peer_send_frame(&peer, BYTES_STR("\x08\x07"));
		peer_expect_fault(&peer, 7, CHAT_ERR_UNKNOWN_REQUEST);
		peer_close(&peer);
		open_in(&peer, phases[i]);
		peer_send_frame(&peer, BYTES_EMPTY);
		peer_expect_fault(&peer, 0, CHAT_ERR_UNKNOWN_REQUEST);
		peer_close(&peer);
	}
}

ATTACK(every_request_out_of_its_phase)
{
	Chat__V1__Ping empty = CHAT__V1__PING__INIT;
	unsigned illegal = 0;
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
		for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
			uint64_t id;

			if ((request_table[type].phases & phases[i]) != 0)
				continue;
			illegal++;
			open_in(&peer, phases[i]);
			/* An empty message is every message with nothing in it. */
			id = peer_send(&peer, REQUEST(HELLO) + type, &empty.base);
			peer_expect_fault(&peer, id, CHAT_ERR_WRONG_PHASE);
			peer_close(&peer);
		}
	}
	print_message("# %u requests out of their phase\n", illegal);
	assert_true(illegal > 2 * REQUEST_TYPE_COUNT);
}

ATTACK(another_version)
{
	Chat__V1__Hello hello = CHAT__V1__HELLO__INIT;
	struct peer peer;
	uint64_t id;

	for (uint32_t version = 0; version < 4; version++) {
		if (version == PROTOCOL_VERSION)
			continue;
		peer_open(&peer, host);
		hello.version = version;
		id = peer_send(&peer, REQUEST(HELLO), &hello.base);
		peer_expect_fault(&peer, id, CHAT_ERR_UNSUPPORTED);
		peer_close(&peer);
	}
}

/* ---- not the right TLS ---- */

static void
expect_not_tls(struct bytes first, const char *reason)
{
	size_t before = host_log_count(host, "handshake_failed", reason, NULL);
	struct peer peer;

	peer_connect(&peer, host, NULL);
	peer_send_tcp(&peer, first);
	assert_int_equal(peer_wait_tcp_end(&peer), 0);
	peer_close(&peer);
	host_log_wait(host, before + 1, "handshake_failed", reason, " warn ", NULL);
}

ATTACK(no_tls)
{
	uint8_t noise[300];

	expect_not_tls(BYTES_STR("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "reason=not_tls");
	expect_not_tls(BYTES_STR("SSH-2.0-OpenSSH_9.2\r\n"), "reason=not_tls");
	expect_not_tls(BYTES_STR("\r\n\r\n\r\n"), "reason=not_tls");
	/* A frame of ours without TLS. */
	expect_not_tls(BYTES("\x00\x00\x00\x04\x08\x01\x72\x00", 8), "reason=not_tls");
	/* SSL 2 */
	expect_not_tls(BYTES("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11), "reason=not_tls");
	for (unsigned i = 0; i < 20; i++) {
		random_bytes(noise, sizeof(noise));
		noise[0] = (uint8_t)(0x20 | noise[0]); /* not by chance a record of TLS */
		expect_not_tls(BYTES_ARRAY(noise), "reason=not_tls");
	}
}

/* It begins like TLS, and then is none. */
ATTACK(broken_handshakes)
{
	static const struct bytes starts[] = {
	    {(const uint8_t *)"\x16\x03\x01\x00\x05h\x00\x00\x01x",
		10}, /* a message that TLS does not have */
	    {(const uint8_t *)"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9}, /* a ServerHello */
	    {(const uint8_t *)"\x16\x03\x03\xff\xff"
			      "aaaa",
		9},                                               /* a record longer than there are */
	    {(const uint8_t *)"\x15\x03\x01\x00\x02\x02\x28", 7}, /* an alert */
	    {(const uint8_t *)"\x17\x03\x03\x00\x02hi", 7},       /* data before any handshake */
	};
	size_t before = host_log_count(host, "handshake_failed", NULL);
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		peer_connect(&peer, host, NULL);
		peer_send_tcp(&peer, starts[i]);
		/* An alert may come, but no more than that. */
		assert_true(peer_wait_tcp_end(&peer) < 32);
		peer_close(&peer);
		host_log_wait(host, ++before, "handshake_failed", NULL);
	}
	/* In the middle of it the peer is gone. */
	peer_connect(&peer, host, NULL);
	peer_send_tcp(&peer, BYTES("\x16\x03\x01\x02\x00\x01\x00\x01", 8));
	peer_reset(&peer);
	host_log_wait(host, ++before, "handshake_failed", NULL);
}

/* After the handshake: records that do not decrypt. */
ATTACK(broken_records)
{
	uint8_t record[5 + 64] = {23, 3, 3, 0, 64};
	struct peer peer;

	random_bytes(record + 5, 64);
	peer_login(&peer, host, &mallory);
	peer_send_tcp(&peer, BYTES_ARRAY(record));
	peer_expect_end(&peer);
	assert_int_not_equal(peer.how, TLS_FAILURE_GOODBYE);
	peer_close(&peer);
	host_log_wait(host, 1, "disconnected", "account=mallory", "reason=protocol", NULL);
}

static void
refused_version(const char *priority)
{
	size_t before = host_log_count(host, "handshake_failed", "reason=version", NULL);
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	struct peer peer;
	int result;

	peer_connect(&peer, host, NULL);
	assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
	assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT), 0);
	assert_int_equal(gnutls_priority_set_direct(session, priority, NULL), 0);
	assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), 0);
	gnutls_transport_set_int(session, peer.fd);
	gnutls_handshake_set_timeout(session, host_patience_ms());
	do
		result = gnutls_handshake(session);
	while (result < 0 && gnutls_error_is_fatal(result) == 0);
	/* The peer is told what is wrong, in its own language. */
	assert_int_equal(result, GNUTLS_E_FATAL_ALERT_RECEIVED);
	assert_int_equal(gnutls_alert_get(session), GNUTLS_A_PROTOCOL_VERSION);
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
	peer_close(&peer);
	host_log_wait(host, before + 1, "handshake_failed", "reason=version", " warn ", NULL);
}

ATTACK(old_tls)
{
	refused_version("NORMAL:-VERS-ALL:+VERS-TLS1.2");
	refused_version("NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0:%COMPAT");
}

/* ---- the log ---- */

/* However much is done wrong, the log stays readable; and it says how much it left out. */
ATTACK(the_log_is_not_flooded)
{
	size_t lines = host_log_count(host, " warn protocol_error ", NULL);
	size_t counts = host_log_count(host, " warn protocol_error ", "suppressed=", NULL);
	uint64_t started_ms = host_now_ms();
	unsigned faults = 0;

	do {
		struct peer peer;

		peer_open(&peer, host);
		peer_send_frame(&peer, BYTES_EMPTY);
		peer_expect_fault(&peer, 0, CHAT_ERR_UNKNOWN_REQUEST);
		peer_close(&peer);
		faults++;
		assert_true(host_now_ms() - started_ms < host_patience_ms());
	} while (
	    faults < 200 || host_log_count(host, " warn protocol_error ", "suppressed=", NULL) == counts);
	lines = host_log_count(host, " warn protocol_error ", NULL) - lines;
	/* 50 at once, and then one a second. */
	assert_true(lines <= 50 + (host_now_ms() - started_ms) / 1000 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_line_in_the_log),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(exactly_as_long_as_may_be),
	    cmocka_unit_test(too_long_for_the_request),
	    cmocka_unit_test(truncated),
	    cmocka_unit_test(one_byte_at_a_time),
	    cmocka_unit_test(no_protobuf),
	    cmocka_unit_test(random_bytes_in_frames),
	    cmocka_unit_test(a_frame_that_swells),
	    cmocka_unit_test(unknown_requests),
	    cmocka_unit_test(every_request_out_of_its_phase),
	    cmocka_unit_test(another_version),
	    cmocka_unit_test(no_tls),
	    cmocka_unit_test(broken_handshakes),
	    cmocka_unit_test(broken_records),
	    cmocka_unit_test(old_tls),
	    cmocka_unit_test(the_log_is_not_flooded),
	    cmocka_unit_test(nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
