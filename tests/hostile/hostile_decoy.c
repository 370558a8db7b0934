/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What answers where chat-client expects its server, and is none: another key, another realm, TLS 1.2, no TLS
 * at all, or TLS with something else in it.  The client says so in a line, ends with the status for it, and
 * has told the stranger nothing.
 */

#include "crowd.h"
#include "program.h"
#include "villain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "unit/unit.h"

#include "base/clock.h"
#include "proto/wire.h"
#include "tls/tls_identity.h"

enum {
	EXIT_CONNECT = 3,
	EXIT_CHANGED = 5,
	EXIT_LOST = 6,
};

static struct tls_identity *other_key;
static char other_key_path[512], other_cert_path[512];
static const char *const once[] = {"--no-reconnect", NULL};

static int
set_up(void **state)
{
	char *dir = unit_temp_dir(), why[TLS_WHY_CHARS];
	bool made;

	(void)state;
	snprintf(other_key_path, sizeof(other_key_path), "%s/key.pem", dir);
	snprintf(other_cert_path, sizeof(other_cert_path), "%s/cert.pem", dir);
	assert_ok(tls_identity_ensure(other_key_path, other_cert_path, clock_now().unix_ms, why, &made));
	assert_ok(tls_identity_load(other_key_path, other_cert_path, why, &other_key));
	free(dir);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	tls_identity_unref(other_key);
	return 0;
}

/* ---- a listener that does one thing to who connects ---- */

struct decoy {
	int listen_fd;
	uint16_t port;
	pthread_t thread;
	void (*greet)(struct decoy *decoy, int fd); /* on the thread; closes nothing */
	struct bytes says;
	_Atomic size_t heard; /* bytes that were meant for the server */
	_Atomic unsigned visits;
};

static void *
serve(void *arg)
{
	struct decoy *decoy = arg;
	int fd;

	while ((fd = accept4(decoy->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		decoy->visits++;
		decoy->greet(decoy, fd);
		close(fd);
	}
	return NULL;
}

static void
decoy_open(struct decoy *decoy, uint16_t port)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int on = 1;

	decoy->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(decoy->listen_fd >= 0);
	assert_int_equal(setsockopt(decoy->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(decoy->listen_fd, (const void *)&at, sizeof(at)), 0);
	assert_int_equal(listen(decoy->listen_fd, 8), 0);
	assert_int_equal(getsockname(decoy->listen_fd, (void *)&at, &len), 0);
	decoy->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&decoy->thread, NULL, serve, decoy), 0);
}

static void
decoy_close(struct decoy *decoy)
{
	/* accept() returns then. */
	assert_int_equal(shutdown(decoy->listen_fd, SHUT_RDWR), 0);
	pthread_join(decoy->thread, NULL);
	close(decoy->listen_fd);
}

/* Until the client hangs up. */
static void
drain(int fd)
{
	char chunk[4096];
	ssize_t n;

	do
		n = recv(fd, chunk, sizeof(chunk), 0);
	while (n > 0 || (n < 0 && errno == EINTR));
}

static void
greet_in_clear(struct decoy *decoy, int fd)
{
	(void)send(fd, decoy->says.data, decoy->says.len, MSG_NOSIGNAL);
	drain(fd);
}

static void
greet_in_tls12(struct decoy *decoy, int fd)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	char chunk[4096];
	ssize_t n;
	int result;

	if (gnutls_certificate_allocate_credentials(&credentials) != 0)
		abort();
	if (gnutls_certificate_set_x509_key_file(
		credentials, other_cert_path, other_key_path, GNUTLS_X509_FMT_PEM) < 0 ||
	    gnutls_init(&session, GNUTLS_SERVER) != 0 ||
	    gnutls_priority_set_direct(session, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL) != 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) != 0)
		abort();
	gnutls_transport_set_int(session, fd);
	do
		result = gnutls_handshake(session);
	while (result < 0 && gnutls_error_is_fatal(result) == 0);
	while (result == 0 && (n = gnutls_record_recv(session, chunk, sizeof(chunk))) > 0)
		decoy->heard += (size_t)n;
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
}

/* TLS as it should be, with another key. */
static void
greet_in_tls(struct decoy *decoy, int fd)
{
	struct tls_transport transport = tls_transport_fd(fd);
	struct tls_conn *conn = NULL;
	enum tls_result result;
	uint8_t chunk[4096];
	size_t n;

	/* The socket blocks, so nothing has to be waited for. */
	if (tls_server_new(other_key, &transport, NULL, &conn) != CHAT_OK)
		abort();
	do
		result = tls_handshake(conn);
	while (result == TLS_WANT_READ || result == TLS_WANT_WRITE);
	if (result == TLS_OK && decoy->says.len > 0)
		result = tls_write(conn, decoy->says.data, decoy->says.len, &n);
	while (result == TLS_OK || result == TLS_WANT_READ) {
		n = 0;
		result = tls_read(conn, chunk, sizeof(chunk), &n);
		if (result == TLS_OK)
			decoy->heard += n;
	}
	tls_conn_free(conn);
}

/* ---- strangers ---- */

/* mend: what it says to do, in a line of its own; NULL: nothing. */
static void
expect_status(uint16_t port, const char *data_dir, const char *const *args, int status, const char *line,
    const char *mend)
{
	struct program *client = program_start(port, "alice", data_dir, args);
	int got = program_wait_end(client);

	program_wait(client, 1, line, NULL);
	if (mend != NULL)
		program_wait(client, 1, mend, NULL);
	else
		assert_int_equal(program_count(client, "forget", NULL), 0);
	assert_int_equal(got, status);
	program_free(client);
}

static void
expect_stranger(void (*greet)(struct decoy *decoy, int fd), struct bytes says, int status, const char *line)
{
	struct decoy decoy = {.greet = greet, .says = says};

	decoy_open(&decoy, 0);
	expect_status(decoy.port, NULL, once, status, line, NULL);
	assert_true(decoy.visits >= 1);
	decoy_close(&decoy);
}

TEST(no_tls)
{
	alarm(2 * host_patience_ms() / 1000);
	expect_stranger(
	    greet_in_clear, BYTES_STR("HTTP/1.1 400 Bad Request\r\n\r\nhello"), EXIT_CONNECT, "127.0.0.1");
	expect_stranger(greet_in_clear, BYTES_STR("SSH-2.0-OpenSSH_9.2\r\n"), EXIT_CONNECT, "127.0.0.1");
	expect_stranger(greet_in_clear, BYTES("\x15\x03\x03\x00\x02\x02\x28", 7), EXIT_CONNECT, "127.0.0.1");
	alarm(0);
}

TEST(old_tls)
{
	struct decoy decoy = {.greet = greet_in_tls12};

	alarm(2 * host_patience_ms() / 1000);
	decoy_open(&decoy, 0);
	expect_status(decoy.port, NULL, once, EXIT_CONNECT, "127.0.0.1", NULL);
	assert_int_equal(decoy.heard, 0);
	decoy_close(&decoy);
	alarm(0);
}

/* A first contact, with somebody who speaks TLS and nothing else that we know. */
TEST(another_protocol_in_tls)
{
	alarm(2 * host_patience_ms() / 1000);
	expect_stranger(greet_in_tls, BYTES_STR("220 mail.example.org ESMTP\r\n"), EXIT_CONNECT,
	    "The server sent a frame that is too long");
	expect_stranger(greet_in_tls, BYTES("\x00\x00\x00\x02\xff\xff", 6), EXIT_CONNECT,
	    "The server sent what is no frame");
	/* An entry before anybody has logged in. */
	expect_stranger(greet_in_tls, BYTES("\x00\x00\x00\x06\x9a\x02\x03\x0a\x01\x61", 10), EXIT_CONNECT,
	    "The server broke the protocol");
	alarm(0);
}

TEST(another_key_than_demanded)
{
	static const char *const args[] = {"--no-reconnect", "--fingerprint",
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", NULL};
	struct decoy decoy = {.greet = greet_in_tls};

	alarm(2 * host_patience_ms() / 1000);
	decoy_open(&decoy, 0);
	expect_status(decoy.port, NULL, args, EXIT_CHANGED, "is not the one demanded",
	    "ask the administrator of the server for its fingerprint");
	assert_int_equal(decoy.heard, 0);
	decoy_close(&decoy);
	alarm(0);
}

/* ---- who was known, and is another now ---- */

static bool
change_realm(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	static const uint8_t other_realm[REALM_BYTES] = {1, 2, 3};
	Chat__V1__ServerFrame other = *frame;
	Chat__V1__HelloOk hello;

	(void)ctx;
	if (frame->body_case != ANSWER(HELLO_OK))
		return false;
	hello = *frame->hello_ok;
	hello.realm = wire_from_bytes(BYTES_ARRAY(other_realm));
	other.hello_ok = &hello;
	mouth_say(mouth, &other);
	return true;
}

/* A password or a key must not be asked for by who only looks like the server. */
static bool
hear_login(void *ctx, const Chat__V1__ClientFrame *frame, struct mouth *mouth)
{
	_Atomic unsigned *logins = ctx;

	(void)mouth;
	if (frame->request_case == REQUEST(KEY_LOGIN) || frame->request_case == REQUEST(PASSWORD_LOGIN))
		(*logins)++;
	return false;
}

TEST(another_realm_and_another_key)
{
	static const char *const accounts[] = {"alice", NULL};
	struct villain *villain;
	struct program *client;
	struct decoy decoy = {.greet = greet_in_tls};
	_Atomic unsigned logins = 0;
	char *data_dir;
	uint16_t port;

	alarm(2 * host_patience_ms() / 1000);
	villain = villain_start(accounts);
	port = host_port(villain_host(villain));
	client = program_start(port, "alice", NULL, once);
	program_type(client, "/who");
	program_wait(client, 1, "logged in", NULL);
	data_dir = strdup(program_data_dir(client));
	program_quit(client, 0);

	/* The same key, but accounts of another place. */
	villain_lie(villain, "", change_realm, hear_login, &logins);
	expect_status(port, data_dir, NULL, EXIT_CHANGED, "This is another server",
	    "use another data directory for it");
	assert_int_equal(logins, 0);
	villain_be_honest(villain);
	client = program_start(port, "alice", data_dir, once);
	program_type(client, "/who");
	program_wait(client, 1, "logged in", NULL);
	program_quit(client, 0);
	villain_stop(villain);

	/* The same place, but another key; --accept-new is no leave to take it. */
	decoy_open(&decoy, port);
	expect_status(port, data_dir, NULL, EXIT_CHANGED, "the server's key has changed",
	    "If that was expected, type: chat-client server forget");
	assert_int_equal(decoy.heard, 0);
	decoy_close(&decoy);
	free(data_dir);
	alarm(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_tls),
	    cmocka_unit_test(old_tls),
	    cmocka_unit_test(another_protocol_in_tls),
	    cmocka_unit_test(another_key_than_demanded),
	    cmocka_unit_test(another_realm_and_another_key),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
