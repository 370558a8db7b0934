/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Peers that cost nothing but time and room: who say nothing, or too little, too slowly, or all at once. Each
 * has a time limit that nothing it does moves, and each address a number of connections; meanwhile the others
 * talk.
 */

#include "stage.h"

#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "proto/frame.h"
#include "proto/wire.h"

/* Of the server's options; an idle session cannot be given less. */
#define HANDSHAKE_MS   1500
#define HELLO_MS       1500
#define LOGIN_MS       1500
#define IDLE_MS        20000
#define PER_ADDRESS    300
#define ALTOGETHER     1400
#define CROWD          1000
#define WITNESS_COUNT  2
#define ROUNDS_IN_IDLE 10

static struct person mallory;
/* From the beginning on, for the last test. */
static struct peer idler;
static uint64_t idle_since_ms;

static int
set_up(void **state)
{
	static const char *const accounts[] = {"mallory", NULL};
	struct rlimit files;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	stage_up("loops = 2\nhandshake_timeout = 1500ms\nhello_timeout = 1500ms\nlogin_timeout = 1500ms\n"
		 "idle_timeout = 20s\nconnections_per_address = 300\nconnections_max = 1400\n",
	    accounts);
	crowd_join(host, &mallory, "mallory");
	peer_login(&idler, host, &mallory);
	idle_since_ms = host_now_ms();
	return 0;
}

/* ---- too little ---- */

/* A ClientHello without its end. */
static const struct bytes half_hello = {(const uint8_t *)"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11};

/* What the peer does while it waits for its end, so often. */
typedef void (*pastime_fn)(struct peer *peer, unsigned n);

static void
do_nothing(struct peer *peer, unsigned n)
{
	(void)peer;
	(void)n;
}

static void
send_one_byte(struct peer *peer, unsigned n)
{
	uint8_t byte = n < half_hello.len ? half_hello.data[n] : 0;

	peer_send_tcp(peer, BYTES(&byte, 1));
}

static void
send_ping(struct peer *peer, unsigned n)
{
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;

	(void)n;
	(void)peer_send(peer, REQUEST(PING), &ping.base);
}

/* Goes on until the server has closed the connection: TCP only. */
static void
expect_tcp_end_after(struct peer *peer, uint64_t since_ms, uint64_t limit_ms, pastime_fn pastime)
{
	struct pollfd pfd = {.fd = peer->fd, .events = POLLIN};

	for (unsigned n = 0; poll(&pfd, 1, 25) == 0; n++) {
		assert_true(host_now_ms() - since_ms < host_patience_ms());
		pastime(peer, n);
	}
	assert_int_equal(peer_wait_tcp_end(peer), 0);
	assert_true(host_now_ms() - since_ms >= limit_ms);
	peer_close(peer);
}

ATTACK(no_handshake)
{
	size_t before = host_log_count(host, " warn handshake_failed ", " reason=timeout ", NULL);
	uint64_t since_ms = host_now_ms();
	struct peer silent, half, slow;

	peer_connect(&silent, host, NULL);
	peer_connect(&half, host, NULL);
	peer_send_tcp(&half, half_hello);
	peer_connect(&slow, host, NULL);
	expect_tcp_end_after(&slow, since_ms, HANDSHAKE_MS, send_one_byte);
	expect_tcp_end_after(&half, since_ms, HANDSHAKE_MS, do_nothing);
	expect_tcp_end_after(&silent, since_ms, HANDSHAKE_MS, do_nothing);
	host_log_wait(host, before + 3, " warn handshake_failed ", " reason=timeout ", NULL);
}

/* Pings and waits until the server says goodbye; no ping makes it wait longer. */
static void
expect_goodbye_after(struct peer *peer, uint64_t since_ms, uint64_t limit_ms)
{
	for (unsigned n = 0; !peer->ended && peer->pushes[ANSWER(GOODBYE)] == 0; n++) {
		assert_true(host_now_ms() - since_ms < host_patience_ms());
		if (peer_readable(peer, 25))
			(void)peer_next(peer);
		else
			send_ping(peer, n);
	}
	assert_int_equal(peer->pushes[ANSWER(GOODBYE)], 1);
	assert_int_equal(peer->goodbye, CHAT__V1__ERROR_CODE__ERROR_NONE);
	while (peer_next(peer) != NULL)
		;
	assert_true(host_now_ms() - since_ms >= limit_ms);
	peer_close(peer);
}

ATTACK(no_hello)
{
	uint64_t since_ms = host_now_ms();
	struct peer silent, talking;

	peer_open(&silent, host);
	peer_open(&talking, host);
	expect_goodbye_after(&talking, since_ms, HELLO_MS);
	peer_expect_goodbye(&silent, CHAT_OK);
	assert_true(host_now_ms() - since_ms >= HELLO_MS);
	peer_close(&silent);
	host_log_wait(host, 2, " disconnected ", " reason=hello_timeout ", NULL);
}

ATTACK(no_login)
{
	uint64_t since_ms = host_now_ms();
	struct peer silent, talking, proving;

	peer_open(&silent, host);
	peer_hello(&silent);
	peer_open(&talking, host);
	peer_hello(&talking);
	/* A password alone is no login. */
	peer_open(&proving, host);
	peer_hello(&proving);
	peer_password(&proving, "mallory");
	expect_goodbye_after(&talking, since_ms, LOGIN_MS);
	peer_expect_goodbye(&silent, CHAT_OK);
	expect_goodbye_after(&proving, since_ms, LOGIN_MS);
	assert_true(host_now_ms() - since_ms >= LOGIN_MS);
	peer_close(&silent);
	host_log_wait(host, 3, " disconnected ", " reason=login_timeout ", NULL);
}

/* ---- too many ---- */

static void
connect_nth(struct peer *peer, unsigned net, unsigned n)
{
	char from[32];

	snprintf(from, sizeof(from), "127.%u.0.%u", net, 1 + n / (PER_ADDRESS - 50));
	peer_connect(peer, host, from);
}

ATTACK(a_thousand_half_open_connections)
{
	struct peer *crowd = calloc(CROWD, sizeof(*crowd));
	struct peer peer;

	assert_non_null(crowd);
	for (unsigned i = 0; i < CROWD; i++) {
		connect_nth(&crowd[i], 1, i);
		if (i % 3 == 1)
			peer_send_tcp(&crowd[i], half_hello);
		if (i % 100 == 99)
			witness_check(&witness);
	}
	/* They are all there (where the machine is not too slow for that), and nobody notices. */
	if (!host_is_sanitized())
		assert_true(host_status(host, "connections") >= CROWD);
	for (unsigned i = 0; i < 10; i++)
		witness_check(&witness);
	peer_login(&peer, host, &mallory);
	peer_close(&peer);
	for (unsigned i = 0; i < CROWD; i++) {
		assert_int_equal(peer_wait_tcp_end(&crowd[i]), 0);
		peer_close(&crowd[i]);
	}
	free(crowd);
}

/* True if the server has closed it already, without a word. */
static bool
was_shut_out(struct peer *peer)
{
	char byte;

	return recv(peer->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

ATTACK(too_many_from_an_address)
{
	struct peer *crowd = calloc(PER_ADDRESS + 1, sizeof(*crowd));
	struct peer elsewhere;

	assert_non_null(crowd);
	for (unsigned i = 0; i < PER_ADDRESS; i++)
		peer_connect(&crowd[i], host, "127.2.0.1");
	peer_connect(&crowd[PER_ADDRESS], host, "127.2.0.1");
	assert_int_equal(peer_wait_tcp_end(&crowd[PER_ADDRESS]), 0);
	host_log_wait(host, 1, " warn limit_hit ", " addr=127.2.0.1:", "connections_per_address", NULL);
	/* Those that were there before stay; another address is another matter. */
	if (!host_is_sanitized())
		for (unsigned i = 0; i < PER_ADDRESS; i++)
			assert_false(was_shut_out(&crowd[i]));
	peer_connect(&elsewhere, host, "127.2.0.2");
	peer_handshake(&elsewhere);
	peer_enter(&elsewhere, &mallory);
	peer_close(&elsewhere);
	/* Where one ends there is room for another, as soon as the server has seen it. */
	peer_close(&crowd[0]);
	do {
		peer_close(&crowd[PER_ADDRESS]);
		peer_connect(&crowd[PER_ADDRESS], host, "127.2.0.1");
	} while (peer_readable(&crowd[PER_ADDRESS], 10));
	for (unsigned i = 1; i <= PER_ADDRESS; i++)
		peer_close(&crowd[i]);
	free(crowd);
}

ATTACK(too_many_altogether)
{
	struct peer *crowd = calloc(ALTOGETHER, sizeof(*crowd));
	struct peer peer;
	uint64_t until_ms;

	assert_non_null(crowd);
	for (unsigned i = 0; i < ALTOGETHER; i++)
		connect_nth(&crowd[i], 3, i);
	witness_check(&witness);
	if (!host_is_sanitized()) {
		/* The witness, and who idles, were there first. */
		assert_int_equal(peer_wait_tcp_end(&crowd[ALTOGETHER - 1]), 0);
		host_log_wait(host, 1, " warn limit_hit ", "connections_max", NULL);
	}
	for (unsigned i = 0; i < ALTOGETHER; i++)
		peer_close(&crowd[i]);
	free(crowd);
	/* They are gone, and there is room again. */
	until_ms = host_now_ms() + host_patience_ms();
	while (host_status(host, "connections") > WITNESS_COUNT + 1)
		assert_true(host_now_ms() < until_ms);
	peer_login(&peer, host, &mallory);
	peer_close(&peer);
}

/* ---- too quiet ---- */

ATTACK(a_session_that_says_nothing)
{
	/* Meanwhile those who do are not taken for idle. */
	for (unsigned i = 0; i < ROUNDS_IN_IDLE; i++) {
		if (peer_readable(&idler, IDLE_MS / ROUNDS_IN_IDLE))
			break;
		witness_check(&witness);
	}
	peer_expect_goodbye(&idler, CHAT_OK);
	assert_true(host_now_ms() - idle_since_ms >= IDLE_MS);
	peer_close(&idler);
	host_log_wait(host, 1, " disconnected ", " account=mallory ", " reason=idle ", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_handshake),
	    cmocka_unit_test(no_hello),
	    cmocka_unit_test(no_login),
	    cmocka_unit_test(a_thousand_half_open_connections),
	    cmocka_unit_test(too_many_from_an_address),
	    cmocka_unit_test(too_many_altogether),
	    cmocka_unit_test(a_session_that_says_nothing),
	    cmocka_unit_test(nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
