/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failalloc.h"
#include "tls/tls_internal.h"
#include "tls_pair.h"

/* Most tests want this much. */
struct pair {
	struct wire to_server, to_client;
	struct port server_port, client_port;
	struct tls_conn *server, *client;
};

static void
pair_make(struct pair *pair, struct tls_readahead *readahead)
{
	*pair = (struct pair){.server = NULL};
	pair->server_port = (struct port){.in = &pair->to_server, .out = &pair->to_client};
	pair->client_port = (struct port){.in = &pair->to_client, .out = &pair->to_server};
	pair->server = pair_server(&pair->server_port, readahead);
	pair->client = pair_client(&pair->client_port, NULL);
}

static void
pair_open(struct pair *pair, struct tls_readahead *readahead)
{
	pair_make(pair, readahead);
	pair_handshake(pair->server, pair->client);
}

static void
pair_fini(struct pair *pair)
{
	tls_conn_free(pair->server);
	tls_conn_free(pair->client);
	wire_fini(&pair->to_server);
	wire_fini(&pair->to_client);
}

TEST(handshake)
{
	struct digest fingerprint;
	uint8_t of_server[32], of_client[32], zero[32] = {0};
	struct tls_info info;
	struct pair pair;

	pair_make(&pair, NULL);
	assert_string_equal(tls_describe(pair.server).version, "-");
	assert_err(tls_export_binding(pair.server, of_server), CHAT_ERR_TLS);
	assert_err(tls_peer_fingerprint(pair.client, &fingerprint), CHAT_ERR_TLS);
	pair_handshake(pair.server, pair.client);

	info = tls_describe(pair.server);
	assert_string_equal(info.version, "TLS1.3");
	assert_string_equal(info.cipher, "AES-128-GCM");
	assert_string_equal(info.kx, "X25519");
	info = tls_describe(pair.client);
	assert_string_equal(info.cipher, "AES-128-GCM");
	assert_ok(tls_peer_fingerprint(pair.client, &fingerprint));
	assert_true(digest_equal(&fingerprint, tls_identity_fingerprint(pair_identity())));
	assert_err(tls_peer_fingerprint(pair.server, &fingerprint), CHAT_ERR_TLS);
	assert_ok(tls_export_binding(pair.server, of_server));
	assert_ok(tls_export_binding(pair.client, of_client));
	assert_memory_equal(of_server, of_client, 32);
	assert_memory_not_equal(of_server, zero, 32);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_NONE);
	assert_int_equal(tls_handshake(pair.server), TLS_OK);
	/* No tickets: nothing is left on the wire. */
	assert_int_equal(pair.to_client.bytes.len, 0);
	pair_fini(&pair);
}

TEST(binding_is_of_the_connection)
{
	uint8_t one[32], two[32];
	struct pair a, b;

	pair_open(&a, NULL);
	pair_open(&b, NULL);
	assert_ok(tls_export_binding(a.client, one));
	assert_ok(tls_export_binding(b.client, two));
	assert_memory_not_equal(one, two, 32);
	pair_fini(&a);
	pair_fini(&b);
}

/* The server's hello, certificate, proof and the rest: one packet.  A packet socket shows it, if read whole.
 */
TEST(records_go_together)
{
	uint8_t memory[16384], packet[8192];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	struct tls_transport server_side, client_side;
	struct tls_conn *server = NULL, *client = NULL;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	server_side = tls_transport_fd(fds[0]);
	client_side = tls_transport_fd(fds[1]);
	assert_ok(tls_server_new(pair_identity(), &server_side, &readahead, &server));
	assert_ok(tls_client_new(&client_side, NULL, &client));
	assert_int_equal(tls_handshake(client), TLS_WANT_READ);
	assert_int_equal(tls_handshake(server), TLS_WANT_READ);
	assert_true(recv(fds[1], packet, sizeof(packet), 0) > 100);
	assert_true(recv(fds[1], packet, sizeof(packet), 0) > 500);
	assert_int_equal(recv(fds[1], packet, sizeof(packet), 0), -1);
	assert_int_equal(errno, EAGAIN);
	tls_conn_free(server);
	tls_conn_free(client);
	close(fds[0]);
	close(fds[1]);
}

TEST(over_a_socket)
{
	struct tls_transport server_side, client_side;
	struct tls_conn *server = NULL, *client = NULL;
	uint8_t memory[16384];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	size_t len = 0;
	char got[16];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	server_side = tls_transport_fd(fds[0]);
	client_side = tls_transport_fd(fds[1]);
	assert_ok(tls_server_new(pair_identity(), &server_side, &readahead, &server));
	assert_ok(tls_client_new(&client_side, NULL, &client));
	pair_handshake(server, client);
	write_all(client, "ping", 4);
	read_exactly(server, "ping", 4);
	assert_int_equal(tls_read(server, got, sizeof(got), &len), TLS_WANT_READ);
	write_all(server, "pong", 4);
	read_exactly(client, "pong", 4);

	/* The peer vanishes: no signal, and both directions say so. */
	tls_conn_free(client);
	close(fds[1]);
	assert_int_equal(tls_read(server, got, sizeof(got), &len), TLS_CLOSED);
	assert_int_equal(tls_failure(server), TLS_FAILURE_CUT);
	assert_int_equal(tls_write(server, "x", 1, &len), TLS_CLOSED);
	tls_conn_free(server);
	close(fds[0]);
}

/* A gap-free random stream in both directions at once, over wires that block and cut at random. */
struct flow {
	uint64_t make, check; /* seeds of the same stream */
	size_t left_to_send, left_to_get;
	uint8_t pending[40000]; /* offered, not yet accepted */
	size_t start, end;
};

static void
flow_send(struct flow *flow, struct tls_conn *conn, uint64_t *seed)
{
	enum tls_result result;
	size_t accepted = 0, n;

	if (flow->start == flow->end && flow->left_to_send > 0) {
		n = 1 + unit_rand(seed) % (unit_rand(seed) % 4 == 0 ? sizeof(flow->pending) : 300);
		n = n < flow->left_to_send ? n : flow->left_to_send;
		for (size_t i = 0; i < n; i++)
			flow->pending[i] = (uint8_t)unit_rand(&flow->make);
		flow->start = 0;
		flow->end = n;
		flow->left_to_send -= n;
	}
	if (flow->start == flow->end) {
		result = tls_flush(conn);
		assert_true(result == TLS_OK || result == TLS_WANT_WRITE);
		assert_int_equal(result == TLS_OK, !tls_has_unsent(conn));
		return;
	}
	result = tls_write(conn, flow->pending + flow->start, flow->end - flow->start, &accepted);
	assert_true(result == TLS_OK || result == TLS_WANT_WRITE);
	if (result == TLS_OK)
		assert_int_equal(accepted, flow->end - flow->start);
	else
		assert_true(tls_has_unsent(conn) && accepted < flow->end - flow->start);
	memset(flow->pending + flow->start, 0xee, accepted); /* the caller's again */
	flow->start += accepted;
}

static void
flow_get(struct flow *flow, struct tls_conn *conn, uint64_t *seed)
{
	uint8_t got[5000];
	size_t cap = 1 + unit_rand(seed) % sizeof(got), len = 0;
	enum tls_result result = tls_read(conn, got, cap, &len);

	if (result != TLS_OK) {
		assert_int_equal(result, TLS_WANT_READ);
		return;
	}
	assert_true(len > 0 && len <= cap && len <= flow->left_to_get);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(got[i], (uint8_t)unit_rand(&flow->check));
	flow->left_to_get -= len;
}

/* Asks for new keys in both directions, whatever the other side has half sent.  Returns how often. */
static unsigned
key_update(struct pair *pair)
{
	struct wire was = pair->to_server;
	int code;

	if (tls_has_unsent(pair->client))
		return 0;
	/* For the asking itself the wire is smooth: it would have to be repeated otherwise, which we never
	 * do. */
	pair->to_server.rough = NULL;
	pair->to_server.cap = 0;
	code = gnutls_session_key_update(pair->client->session, GNUTLS_KU_PEER);
	assert_int_equal(code, 0);
	pair->to_server.rough = was.rough;
	pair->to_server.cap = was.cap;
	return 1;
}

static void
transfer(uint64_t seed, size_t bytes, bool read_ahead, unsigned key_updates)
{
	uint8_t memory[16384];
	struct tls_readahead readahead = {.data = memory, .cap = 1 + unit_rand(&seed) % sizeof(memory)};
	struct flow up = {.make = seed, .check = seed, .left_to_send = bytes, .left_to_get = bytes};
	struct flow down = {.make = ~seed, .check = ~seed, .left_to_send = bytes, .left_to_get = bytes};
	unsigned long steps = 0;
	struct pair pair;

	pair_make(&pair, read_ahead ? &readahead : NULL);
	pair.to_server.rough = pair.to_client.rough = &seed;
	pair.to_server.cap = 1 + unit_rand(&seed) % 30000;
	pair.to_client.cap = 1 + unit_rand(&seed) % 30000;
	pair_handshake(pair.server, pair.client);
	while (up.left_to_get > 0 || down.left_to_get > 0) {
		assert_true(++steps < 100 * 1000 * 1000);
		switch (unit_rand(&seed) % 5) {
		case 0:
			flow_send(&up, pair.client, &seed);
			break;
		case 1:
			flow_send(&down, pair.server, &seed);
			break;
		case 2:
			flow_get(&up, pair.server, &seed);
			break;
		case 3:
			flow_get(&down, pair.client, &seed);
			break;
		default:
			if (key_updates > 0 && unit_rand(&seed) % 200 == 0)
				key_updates -= key_update(&pair);
			break;
		}
	}
	assert_int_equal(tls_input_left(pair.server), 0);
	pair_fini(&pair);
}

TEST(rough_transport)
{
	for (uint64_t seed = 1; seed <= 12; seed++)
		transfer(seed, 150 * 1000, seed % 2 == 0, 0);
}

TEST(large_transfer)
{
	transfer(99, 3 * 1000 * 1000, true, 0);
}

/* A peer that is not ours: GnuTLS as it comes, with another priority. */
struct foreign {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	struct port *port;
};

static ssize_t
foreign_pull(gnutls_transport_ptr_t ptr, void *ret, size_t n)
{
	struct foreign *foreign = ptr;
	struct tls_transport transport = port_transport(foreign->port);
	ssize_t got = transport.pull(transport.ctx, ret, n);

	if (got < 0)
		gnutls_transport_set_errno(foreign->session, (int)-got);
	return got < 0 ? -1 : got;
}

static ssize_t
foreign_push(gnutls_transport_ptr_t ptr, const void *from, size_t n)
{
	struct foreign *foreign = ptr;
	struct tls_transport transport = port_transport(foreign->port);
	ssize_t sent = transport.push(transport.ctx, from, n);

	if (sent < 0)
		gnutls_transport_set_errno(foreign->session, (int)-sent);
	return sent < 0 ? -1 : sent;
}

static void
foreign_init(struct foreign *foreign, struct port *port, unsigned flags, const char *priority)
{
	*foreign = (struct foreign){.port = port};
	assert_true(gnutls_init(&foreign->session, flags | GNUTLS_NONBLOCK) >= 0);
	assert_true(gnutls_certificate_allocate_credentials(&foreign->credentials) >= 0);
	assert_true(gnutls_priority_set_direct(foreign->session, priority, NULL) >= 0);
	assert_true(gnutls_credentials_set(foreign->session, GNUTLS_CRD_CERTIFICATE,
			flags & GNUTLS_SERVER ? pair_identity()->credentials : foreign->credentials) >= 0);
	gnutls_transport_set_ptr(foreign->session, foreign);
	gnutls_transport_set_pull_function(foreign->session, foreign_pull);
	gnutls_transport_set_push_function(foreign->session, foreign_push);
}

static void
foreign_fini(struct foreign *foreign)
{
	gnutls_deinit(foreign->session);
	gnutls_certificate_free_credentials(foreign->credentials);
}

TEST(tls12_client_is_refused)
{
	struct foreign old;
	struct pair pair;
	int code;

	pair_make(&pair, NULL);
	foreign_init(&old, &pair.client_port, GNUTLS_CLIENT, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	assert_int_equal(gnutls_handshake(old.session), GNUTLS_E_AGAIN);
	assert_int_equal(tls_handshake(pair.server), TLS_FAILED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_VERSION);
	assert_string_equal(tls_failure_name(tls_failure(pair.server)), "version");
	assert_true(strlen(tls_error_text(pair.server)) > 0);
	/* And it is told why. */
	code = gnutls_handshake(old.session);
	assert_int_equal(code, GNUTLS_E_FATAL_ALERT_RECEIVED);
	assert_int_equal(gnutls_alert_get(old.session), GNUTLS_A_PROTOCOL_VERSION);
	assert_int_equal(tls_handshake(pair.server), TLS_FAILED);
	foreign_fini(&old);
	pair_fini(&pair);
}

TEST(tls12_server_is_refused)
{
	enum tls_result result = TLS_WANT_READ;
	struct foreign old;
	struct pair pair;

	pair_make(&pair, NULL);
	foreign_init(&old, &pair.server_port, GNUTLS_SERVER, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	for (int i = 0; i < 4 && result == TLS_WANT_READ; i++) {
		result = tls_handshake(pair.client);
		(void)gnutls_handshake(old.session);
		gnutls_alert_send(old.session, GNUTLS_AL_FATAL, GNUTLS_A_PROTOCOL_VERSION);
	}
	assert_int_equal(result, TLS_FAILED);
	assert_int_equal(tls_failure(pair.client), TLS_FAILURE_VERSION);
	foreign_fini(&old);
	pair_fini(&pair);
}

TEST(clients_of_others)
{
	const char *const priorities[] = {"NORMAL", "NORMAL:-GROUP-ALL:+GROUP-SECP256R1", "SECURE128",
	    "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305", "NORMAL:%DISABLE_TLS13_COMPAT_MODE"};

	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		enum tls_result result = TLS_WANT_READ;
		struct foreign other;
		struct pair pair;
		char got[8] = "";
		int code = -1;

		pair_make(&pair, NULL);
		foreign_init(&other, &pair.client_port, GNUTLS_CLIENT, priorities[i]);
		for (int n = 0; n < 5 && (result != TLS_OK || code < 0); n++) {
			code = gnutls_handshake(other.session);
			result = tls_handshake(pair.server);
		}
		assert_int_equal(result, TLS_OK);
		assert_int_equal(code, 0);
		write_all(pair.server, "hello", 5);
		assert_int_equal(gnutls_record_recv(other.session, got, sizeof(got)), 5);
		foreign_fini(&other);
		pair_fini(&pair);
	}
}

TEST(nothing_in_common)
{
	struct foreign other;
	struct pair pair;

	pair_make(&pair, NULL);
	foreign_init(&other, &pair.client_port, GNUTLS_CLIENT, "NORMAL:-GROUP-ALL:+GROUP-FFDHE2048");
	(void)gnutls_handshake(other.session);
	assert_int_equal(tls_handshake(pair.server), TLS_FAILED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_PROTOCOL);
	assert_int_equal(gnutls_handshake(other.session), GNUTLS_E_FATAL_ALERT_RECEIVED);
	foreign_fini(&other);
	pair_fini(&pair);
}

TEST(alert_of_the_peer)
{
	struct foreign other;
	struct pair pair;
	int code;

	pair_make(&pair, NULL);
	foreign_init(&other, &pair.client_port, GNUTLS_CLIENT, "NORMAL");
	(void)gnutls_handshake(other.session);
	assert_int_equal(tls_handshake(pair.server), TLS_WANT_READ);
	code = gnutls_handshake(other.session);
	assert_int_equal(code, 0);
	assert_true(gnutls_alert_send(other.session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE) >= 0);
	assert_int_equal(tls_handshake(pair.server), TLS_OK);
	assert_int_equal(tls_read(pair.server, &code, sizeof(code), &(size_t){0}), TLS_FAILED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_ALERT);
	assert_string_equal(tls_error_text(pair.server), gnutls_alert_get_name(GNUTLS_A_BAD_CERTIFICATE));
	foreign_fini(&other);
	pair_fini(&pair);
}

TEST(not_tls_at_all)
{
	const char *const texts[] = {
	    "GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\x16SMTP", "\n", "\x80\x2e\x01\x03\x01"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct pair pair;

		pair_make(&pair, NULL);
		assert_ok(buf_append_str(&pair.to_server.bytes, texts[i]));
		assert_int_equal(tls_handshake(pair.server), TLS_FAILED);
		assert_int_equal(tls_failure(pair.server), TLS_FAILURE_NOT_TLS);
		assert_int_equal(pair.to_client.bytes.len, 0);

		assert_ok(buf_append_str(&pair.to_client.bytes, texts[i]));
		assert_int_equal(tls_handshake(pair.client), TLS_FAILED);
		assert_int_equal(tls_failure(pair.client), TLS_FAILURE_NOT_TLS);
		pair_fini(&pair);
	}
}

TEST(almost_tls)
{
	uint8_t junk[] = {22, 3, 1, 0, 8, 1, 0, 0, 4, 9, 9, 9, 9};
	struct pair pair;

	pair_make(&pair, NULL);
	assert_ok(buf_append(&pair.to_server.bytes, junk, sizeof(junk)));
	assert_int_equal(tls_handshake(pair.server), TLS_FAILED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_PROTOCOL);
	assert_true(pair.to_client.bytes.len >= 7);
	assert_int_equal(pair.to_client.bytes.data[0], 21); /* an alert */
	pair_fini(&pair);
}

TEST(changed_record)
{
	uint8_t got[8];
	size_t len = 0;
	struct pair pair;

	pair_open(&pair, NULL);
	write_all(pair.client, "hello", 5);
	pair.to_server.bytes.data[7] ^= 1;
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_FAILED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_PROTOCOL);
	assert_int_equal(len, 0);
	assert_false(tls_pending(pair.server));
	assert_int_equal(tls_write(pair.server, "x", 1, &len), TLS_FAILED);
	pair_fini(&pair);
}

TEST(one_byte_at_a_time)
{
	struct wire slow = {0};
	struct pair pair;
	size_t fed = 0;

	pair_make(&pair, NULL);
	pair.client_port.out = &slow;
	assert_int_equal(tls_handshake(pair.client), TLS_WANT_READ);
	for (; slow.bytes.len > 0; fed++) {
		assert_int_equal(tls_handshake(pair.server), TLS_WANT_READ);
		assert_ok(buf_append(&pair.to_server.bytes, slow.bytes.data, 1));
		buf_drop(&slow.bytes, 1);
	}
	assert_true(fed > 100);
	assert_int_equal(tls_handshake(pair.server), TLS_WANT_READ);
	assert_int_equal(tls_handshake(pair.client), TLS_OK);
	for (; slow.bytes.len > 0; fed++) {
		assert_int_equal(tls_handshake(pair.server), TLS_WANT_READ);
		assert_ok(buf_append(&pair.to_server.bytes, slow.bytes.data, 1));
		buf_drop(&slow.bytes, 1);
	}
	assert_int_equal(tls_handshake(pair.server), TLS_OK);
	pair_fini(&pair);
	wire_fini(&slow);
}

TEST(end_in_the_handshake)
{
	struct pair pair;

	pair_make(&pair, NULL);
	assert_int_equal(tls_handshake(pair.client), TLS_WANT_READ);
	pair.to_server.bytes.len -= 1;
	pair.to_server.ended = true;
	assert_int_equal(tls_handshake(pair.server), TLS_WANT_READ);
	assert_int_equal(tls_handshake(pair.server), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_CUT);
	assert_int_equal(tls_bye(pair.server), TLS_CLOSED);
	pair_fini(&pair);

	/* A client that connects and goes. */
	pair_make(&pair, NULL);
	pair.to_server.ended = true;
	assert_int_equal(tls_handshake(pair.server), TLS_CLOSED);
	pair_fini(&pair);
}

TEST(goodbye)
{
	char got[16];
	size_t len = 0;
	struct pair pair;

	pair_open(&pair, NULL);
	write_all(pair.client, "last words", 10);
	assert_int_equal(tls_bye(pair.client), TLS_OK);
	assert_int_equal(tls_bye(pair.client), TLS_OK); /* once is enough */
	/* Words first, then the end, of which epoll might not tell again. */
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_OK);
	assert_int_equal(len, 10);
	assert_true(tls_pending(pair.server));
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_GOODBYE);
	assert_false(tls_pending(pair.server));
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_CLOSED);
	/* It can still be answered. */
	write_all(pair.server, "bye", 3);
	assert_int_equal(tls_bye(pair.server), TLS_OK);
	read_exactly(pair.client, "bye", 3);
	assert_int_equal(tls_read(pair.client, got, sizeof(got), &len), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.client), TLS_FAILURE_GOODBYE);
	pair_fini(&pair);
}

TEST(goodbye_blocked)
{
	char got[16];
	size_t len = 0;
	struct pair pair;

	pair_open(&pair, NULL);
	pair.to_server.blocked = true;
	assert_int_equal(tls_write(pair.client, "last", 4, &len), TLS_OK);
	assert_int_equal(len, 4);
	assert_true(tls_has_unsent(pair.client));
	assert_int_equal(tls_bye(pair.client), TLS_WANT_WRITE);
	assert_int_equal(tls_bye(pair.client), TLS_WANT_WRITE);
	assert_int_equal(pair.to_server.bytes.len, 0);
	pair.to_server.blocked = false;
	pair.to_server.cap = 26 + 3; /* the record, and a bit of the alert */
	assert_int_equal(tls_bye(pair.client), TLS_WANT_WRITE);
	assert_int_equal(tls_bye(pair.client), TLS_WANT_WRITE);
	pair.to_server.cap = 0;
	assert_int_equal(tls_bye(pair.client), TLS_OK);
	assert_false(tls_has_unsent(pair.client));
	read_exactly(pair.server, "last", 4);
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_GOODBYE);
	assert_int_equal(pair.to_server.bytes.len, 0); /* said once */
	pair_fini(&pair);
}

TEST(cut)
{
	char got[16];
	size_t len = 0;
	struct pair pair;

	pair_open(&pair, NULL);
	write_all(pair.client, "before", 6);
	pair.to_server.ended = true;
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_OK);
	assert_int_equal(len, 6);
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_CUT);
	assert_int_equal(tls_write(pair.server, "x", 1, &len), TLS_CLOSED);
	pair_fini(&pair);

	/* In the middle of a record. */
	pair_open(&pair, NULL);
	write_all(pair.client, "before", 6);
	pair.to_server.bytes.len--;
	pair.to_server.ended = true;
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_WANT_READ);
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_CUT);
	pair_fini(&pair);
}

TEST(what_came_before_a_broken_write_is_read)
{
	char got[16];
	size_t len = 0;
	struct pair pair;

	pair_open(&pair, NULL);
	write_all(pair.server, "too long", 8);
	assert_int_equal(tls_bye(pair.server), TLS_OK);
	pair.to_server.broken = EPIPE;
	assert_int_equal(tls_write(pair.client, "x", 1, &len), TLS_CLOSED);
	assert_int_equal(tls_failure(pair.client), TLS_FAILURE_CUT);
	assert_false(tls_has_unsent(pair.client));
	assert_int_equal(tls_write(pair.client, "x", 1, &len), TLS_CLOSED);
	assert_int_equal(tls_bye(pair.client), TLS_CLOSED);
	assert_int_equal(tls_read(pair.client, got, sizeof(got), &len), TLS_OK);
	assert_int_equal(len, 8);
	assert_int_equal(tls_read(pair.client, got, sizeof(got), &len), TLS_CLOSED);
	pair_fini(&pair);

	pair_open(&pair, NULL);
	pair.to_server.broken = EIO;
	assert_int_equal(tls_write(pair.client, "x", 1, &len), TLS_FAILED);
	assert_int_equal(tls_failure(pair.client), TLS_FAILURE_IO);
	pair_fini(&pair);
}

TEST(accepted_is_the_callers_again)
{
	uint8_t data[50000], got[50000];
	size_t accepted = 0, len = 0, part = 0, first;
	struct pair pair;

	pair_open(&pair, NULL);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	pair.to_server.cap = 20000; /* the first record, and a part of the second */
	assert_int_equal(tls_write(pair.client, data, sizeof(data), &accepted), TLS_WANT_WRITE);
	assert_int_equal(accepted, 2 * 16384);
	assert_true(tls_has_unsent(pair.client));
	first = accepted;
	memset(data, 0, first);
	assert_int_equal(
	    tls_write(pair.client, data + first, sizeof(data) - first, &accepted), TLS_WANT_WRITE);
	assert_int_equal(accepted, 0);
	pair.to_server.cap = 0;
	assert_int_equal(tls_write(pair.client, data + first, sizeof(data) - first, &accepted), TLS_OK);
	assert_int_equal(accepted, sizeof(data) - first);
	assert_false(tls_has_unsent(pair.client));
	for (; len < sizeof(got); len += part)
		assert_int_equal(tls_read(pair.server, got + len, sizeof(got) - len, &part), TLS_OK);
	for (size_t i = 0; i < sizeof(got); i++)
		assert_int_equal(got[i], (uint8_t)(i % 251));
	pair_fini(&pair);
}

TEST(one_record_for_one_write)
{
	uint8_t data[16384] = {0};
	struct pair pair;

	pair_open(&pair, NULL);
	pair.to_server.pushes = 0;
	write_all(pair.client, data, sizeof(data));
	assert_int_equal(pair.to_server.pushes, 1);
	assert_int_equal(pair.to_server.bytes.len, sizeof(data) + 22);
	write_all(pair.client, data, 0); /* nothing is nothing */
	assert_int_equal(pair.to_server.pushes, 1);
	pair_fini(&pair);
}

/* A peer may want small records; what was accepted must be known although GnuTLS does not say it after
 * EAGAIN. */
TEST(record_size_limit)
{
	enum tls_result result = TLS_WANT_READ;
	uint8_t data[3000], got[3000];
	size_t accepted = 0, len = 0;
	struct foreign small;
	struct pair pair;
	ssize_t part;
	int code = -1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	pair_make(&pair, NULL);
	foreign_init(&small, &pair.client_port, GNUTLS_CLIENT, "NORMAL");
	assert_true(gnutls_record_set_max_recv_size(small.session, 512) >= 0);
	for (int n = 0; n < 5 && (result != TLS_OK || code < 0); n++) {
		code = gnutls_handshake(small.session);
		result = tls_handshake(pair.server);
	}
	assert_int_equal(result, TLS_OK);
	pair.to_client.blocked = true;
	assert_int_equal(tls_write(pair.server, data, sizeof(data), &accepted), TLS_WANT_WRITE);
	assert_true(accepted > 0 && accepted <= 512);
	pair.to_client.blocked = false;
	write_all(pair.server, data + accepted, sizeof(data) - accepted);
	while (len < sizeof(got)) {
		part = gnutls_record_recv(small.session, got + len, sizeof(got) - len);
		assert_true(part > 0 && part <= 512);
		len += (size_t)part;
	}
	assert_memory_equal(got, data, sizeof(data));
	foreign_fini(&small);
	pair_fini(&pair);
}

TEST(key_updates)
{
	/* GnuTLS takes 8 in a second. */
	for (uint64_t seed = 1; seed <= 8; seed++)
		transfer(1000 + seed, 60 * 1000, seed % 2 == 0, 6);
}

TEST(key_update_hides_nothing_read_ahead)
{
	uint8_t memory[16384];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	struct pair pair;

	pair_open(&pair, &readahead);
	/* Both go in with one pull; GnuTLS says "again" after the first, and nobody would poll for the
	 * second. */
	assert_int_equal(gnutls_session_key_update(pair.client->session, 0), 0);
	write_all(pair.client, "after", 5);
	read_exactly(pair.server, "after", 5);
	pair_fini(&pair);
}

TEST(key_update_while_unsent)
{
	size_t len = 0;
	char got[16];
	struct pair pair;

	pair_open(&pair, NULL);
	pair.to_client.blocked = true;
	assert_int_equal(tls_write(pair.server, "unsent", 6, &len), TLS_OK);
	assert_true(tls_has_unsent(pair.server));
	assert_int_equal(gnutls_session_key_update(pair.client->session, GNUTLS_KU_PEER), 0);
	write_all(pair.client, "x", 1);
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_OK);
	assert_int_equal(tls_flush(pair.server), TLS_WANT_WRITE);
	pair.to_client.blocked = false;
	assert_int_equal(tls_flush(pair.server), TLS_OK);
	assert_false(tls_has_unsent(pair.server));
	write_all(pair.server, ", more", 6);
	read_exactly(pair.client, "unsent, more", 12);
	assert_int_equal(tls_failure(pair.server), TLS_FAILURE_NONE);
	pair_fini(&pair);
}

TEST(read_ahead_saves_pulls)
{
	uint8_t memory[16384], got[2000];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	size_t len = 0;
	struct pair pair;

	pair_open(&pair, &readahead);
	for (int i = 0; i < 20; i++)
		write_all(pair.client, "0123456789", 10);
	pair.to_server.pulls = 0;
	assert_int_equal(tls_read(pair.server, got, sizeof(got), &len), TLS_OK);
	assert_int_equal(len, 200);
	assert_int_equal(pair.to_server.pulls, 1);
	assert_false(tls_pending(pair.server));
	pair_fini(&pair);
}

TEST(left_over_input_waits)
{
	uint8_t memory[16384];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	size_t len = 0;
	char got[16];
	struct pair a, b;

	pair_open(&a, &readahead);
	pair_open(&b, &readahead);
	write_all(a.client, "first", 5);
	write_all(a.client, "second", 6);
	/* The caller stops after the first; the second is in no socket any more. */
	assert_int_equal(tls_read(a.server, got, 5, &len), TLS_OK);
	assert_int_equal(len, 5);
	assert_int_equal(a.to_server.bytes.len, 0);
	assert_true(tls_pending(a.server));
	assert_null(a.server->stash);
	write_all(b.client, "other", 5);
	read_exactly(b.server, "other", 5);
	assert_non_null(a.server->stash);
	assert_true(tls_pending(a.server));
	assert_false(tls_pending(b.server));
	write_all(a.client, "third", 5);
	read_exactly(a.server, "secondthird", 11);
	assert_false(tls_pending(a.server));
	assert_null(a.server->stash);
	pair_fini(&a);
	pair_fini(&b);
}

TEST(left_over_input_freed)
{
	uint8_t memory[16384];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	size_t len = 0;
	char got[16];
	struct pair a, b;

	/* Once in the buffer, once on the heap; the other one goes on. */
	for (int moved = 0; moved < 2; moved++) {
		pair_open(&a, &readahead);
		pair_open(&b, &readahead);
		write_all(a.client, "first", 5);
		write_all(a.client, "second", 6);
		assert_int_equal(tls_read(a.server, got, 5, &len), TLS_OK);
		if (moved)
			assert_int_equal(tls_read(b.server, got, 5, &len), TLS_WANT_READ);
		pair_fini(&a);
		write_all(b.client, "other", 5);
		read_exactly(b.server, "other", 5);
		pair_fini(&b);
	}
}

TEST(left_over_input_without_memory)
{
	uint8_t memory[16384];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	size_t len = 0;
	char got[16];
	struct pair a, b;

	pair_open(&a, &readahead);
	pair_open(&b, &readahead);
	write_all(a.client, "first", 5);
	write_all(a.client, "second", 6);
	assert_int_equal(tls_read(a.server, got, 5, &len), TLS_OK);
	write_all(b.client, "other", 5);
	failalloc_arm(0);
	assert_int_equal(tls_read(b.server, got, sizeof(got), &len), TLS_OK);
	assert_true(failalloc_disarm());
	/* Only the one that lost input ends, and its caller gets to know. */
	assert_int_equal(len, 5);
	assert_true(tls_pending(a.server));
	assert_int_equal(tls_read(a.server, got, sizeof(got), &len), TLS_FAILED);
	assert_int_equal(tls_failure(a.server), TLS_FAILURE_NOMEM);
	assert_false(tls_pending(a.server));
	assert_int_equal(tls_write(a.server, "x", 1, &len), TLS_FAILED);
	pair_fini(&a);
	pair_fini(&b);
}

/* Many connections on one buffer, each read now and then and a little; each gets its own stream, whole. */
TEST(shared_read_ahead)
{
	enum { COUNT = 8 };
	static uint8_t memory[20000];
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	struct flow *flows = calloc(COUNT, sizeof(*flows));
	struct pair *pairs = calloc(COUNT, sizeof(*pairs));
	uint64_t seed = 4711;
	size_t done = 0;

	assert_non_null(flows);
	assert_non_null(pairs);
	for (size_t i = 0; i < COUNT; i++) {
		flows[i] = (struct flow){
		    .make = i, .check = i, .left_to_send = 100 * 1000, .left_to_get = 100 * 1000};
		pair_open(&pairs[i], &readahead);
	}
	while (done < COUNT) {
		size_t i = unit_rand(&seed) % COUNT;
		bool was_done = flows[i].left_to_get == 0;

		if (unit_rand(&seed) % 2)
			flow_send(&flows[i], pairs[i].client, &seed);
		else
			flow_get(&flows[i], pairs[i].server, &seed);
		if (!was_done && flows[i].left_to_get == 0)
			done++;
	}
	for (size_t i = 0; i < COUNT; i++) {
		/* Idle, and so without a buffer. */
		assert_null(pairs[i].server->stash);
		assert_false(tls_pending(pairs[i].server));
		pair_fini(&pairs[i]);
	}
	free(flows);
	free(pairs);
}

TEST(one_call_is_bounded)
{
	uint8_t memory[16384], data[16384] = {0};
	struct tls_readahead readahead = {.data = memory, .cap = sizeof(memory)};
	size_t len = 0, total = 0;
	uint8_t *got = malloc(1 << 20);
	struct pair pair;

	assert_non_null(got);
	pair_open(&pair, &readahead);
	for (int i = 0; i < 40; i++)
		write_all(pair.client, data, sizeof(data));
	assert_int_equal(tls_read(pair.server, got, 1 << 20, &len), TLS_OK);
	assert_true(len >= 200 * 1000 && len <= 256 * 1024);
	assert_true(pair.to_server.bytes.len > 0);
	assert_true(tls_pending(pair.server)); /* also for a transport that cannot be polled */
	for (total = len; tls_pending(pair.server); total += len)
		assert_int_equal(tls_read(pair.server, got, 1 << 20, &len), TLS_OK);
	assert_int_equal(total, 40 * sizeof(data));
	free(got);
	pair_fini(&pair);
}

TEST(failing_allocations)
{
	struct wire wire = {0};
	struct port port = {.in = &wire, .out = &wire};
	struct tls_transport transport = port_transport(&port);
	struct tls_conn *conn = NULL;

	(void)pair_identity();
	for (unsigned n = 0;; n++) {
		enum chat_err err;

		failalloc_arm(n);
		err = tls_server_new(pair_identity(), &transport, NULL, &conn);
		if (!failalloc_disarm()) {
			assert_ok(err);
			break;
		}
		assert_err(err, CHAT_ERR_NOMEM);
		assert_null(conn);
	}
	tls_conn_free(conn);
	tls_conn_free(NULL);
}

static void
write_untrusted(struct tls_conn *conn)
{
	size_t len = 0;

	(void)!tls_write(conn, "password", 8, &len);
}

/* No byte goes to a server whose key nobody looked at. */
TEST(no_byte_before_trust)
{
	struct rlimit no_core = {0, 0};
	struct pair pair;
	int status = 0;
	pid_t child;

	pair_make(&pair, NULL);
	for (int i = 0; i < 4; i++) {
		(void)!tls_handshake(pair.client);
		(void)!tls_handshake(pair.server);
	}
	assert_true(tls_handshake_done(pair.client));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		write_untrusted(pair.client);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	pair_fini(&pair);
}

TEST(names)
{
	for (int i = TLS_FAILURE_NONE; i <= TLS_FAILURE_NOMEM; i++)
		assert_string_not_equal(tls_failure_name((enum tls_failure)i), "unknown");
	assert_string_equal(tls_failure_name((enum tls_failure)99), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(handshake),
	    cmocka_unit_test(binding_is_of_the_connection),
	    cmocka_unit_test(records_go_together),
	    cmocka_unit_test(over_a_socket),
	    cmocka_unit_test(rough_transport),
	    cmocka_unit_test(large_transfer),
	    cmocka_unit_test(tls12_client_is_refused),
	    cmocka_unit_test(tls12_server_is_refused),
	    cmocka_unit_test(clients_of_others),
	    cmocka_unit_test(nothing_in_common),
	    cmocka_unit_test(alert_of_the_peer),
	    cmocka_unit_test(not_tls_at_all),
	    cmocka_unit_test(almost_tls),
	    cmocka_unit_test(changed_record),
	    cmocka_unit_test(one_byte_at_a_time),
	    cmocka_unit_test(end_in_the_handshake),
	    cmocka_unit_test(goodbye),
	    cmocka_unit_test(goodbye_blocked),
	    cmocka_unit_test(cut),
	    cmocka_unit_test(what_came_before_a_broken_write_is_read),
	    cmocka_unit_test(accepted_is_the_callers_again),
	    cmocka_unit_test(one_record_for_one_write),
	    cmocka_unit_test(record_size_limit),
	    cmocka_unit_test(key_updates),
	    cmocka_unit_test(key_update_hides_nothing_read_ahead),
	    cmocka_unit_test(key_update_while_unsent),
	    cmocka_unit_test(read_ahead_saves_pulls),
	    cmocka_unit_test(left_over_input_waits),
	    cmocka_unit_test(left_over_input_freed),
	    cmocka_unit_test(left_over_input_without_memory),
	    cmocka_unit_test(shared_read_ahead),
	    cmocka_unit_test(one_call_is_bounded),
	    cmocka_unit_test(failing_allocations),
	    cmocka_unit_test(no_byte_before_trust),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
