/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "tls_pair.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static ssize_t
port_pull(void *ctx, void *ret, size_t n)
{
	struct port *port = ctx;
	struct wire *in = port->in;
	size_t len = in->bytes.len;

	in->pulls++;
	if (len == 0)
		return in->ended ? 0 : -EAGAIN;
	if (in->rough) {
		if (unit_rand(in->rough) % 4 == 0)
			return -EAGAIN;
		n = 1 + unit_rand(in->rough) % n;
	}
	n = n < len ? n : len;
	memcpy(ret, in->bytes.data, n);
	buf_drop(&in->bytes, n);
	return (ssize_t)n;
}

static ssize_t
port_push(void *ctx, const void *from, size_t n)
{
	struct port *port = ctx;
	struct wire *out = port->out;

	if (out->broken)
		return -out->broken;
	if (out->blocked)
		return -EAGAIN;
	if (out->rough) {
		if (unit_rand(out->rough) % 3 == 0)
			return -EAGAIN;
		n = 1 + unit_rand(out->rough) % n;
	}
	if (out->cap > 0 && out->bytes.len + n > out->cap)
		n = out->bytes.len < out->cap ? out->cap - out->bytes.len : 0;
	if (n == 0)
		return -EAGAIN;
	assert_ok(buf_append(&out->bytes, from, n));
	out->pushes++;
	return (ssize_t)n;
}

struct tls_transport
port_transport(struct port *port)
{
	return (struct tls_transport){.pull = port_pull, .push = port_push, .ctx = port};
}

struct tls_identity *
pair_identity(void)
{
	static struct tls_identity *identity;
	char why[TLS_WHY_CHARS] = "", *dir, *key = NULL, *cert = NULL;
	bool made = false;

	if (identity)
		return identity;
	dir = unit_temp_dir();
	assert_true(asprintf(&key, "%s/key.pem", dir) > 0);
	assert_true(asprintf(&cert, "%s/cert.pem", dir) > 0);
	assert_ok(tls_identity_ensure(key, cert, (uint64_t)time(NULL) * 1000, why, &made));
	assert_true(made);
	assert_ok(tls_identity_load(key, cert, why, &identity));
	free(cert);
	free(key);
	free(dir);
	return identity;
}

struct tls_conn *
pair_server(struct port *port, struct tls_readahead *readahead)
{
	struct tls_transport transport = port_transport(port);
	struct tls_conn *conn = NULL;

	assert_ok(tls_server_new(pair_identity(), &transport, readahead, &conn));
	return conn;
}

struct tls_conn *
pair_client(struct port *port, struct tls_readahead *readahead)
{
	struct tls_transport transport = port_transport(port);
	struct tls_conn *conn = NULL;

	assert_ok(tls_client_new(&transport, readahead, &conn));
	return conn;
}

void
pair_handshake(struct tls_conn *server, struct tls_conn *client)
{
	enum tls_result of_server = TLS_WANT_READ, of_client = TLS_WANT_READ;

	for (int i = 0; i < 100000 && (of_server != TLS_OK || of_client != TLS_OK); i++) {
		of_client = tls_handshake(client);
		of_server = tls_handshake(server);
		assert_true(of_client == TLS_OK || of_client == TLS_WANT_READ || of_client == TLS_WANT_WRITE);
		assert_true(of_server == TLS_OK || of_server == TLS_WANT_READ || of_server == TLS_WANT_WRITE);
	}
	assert_int_equal(of_server, TLS_OK);
	assert_int_equal(of_client, TLS_OK);
	assert_true(tls_handshake_done(server) && tls_handshake_done(client));
	tls_trust_peer(client);
}

void
wire_fini(struct wire *wire)
{
	buf_fini(&wire->bytes);
}

void
write_all(struct tls_conn *conn, const void *from, size_t n)
{
	size_t accepted = 0;

	assert_int_equal(tls_write(conn, from, n, &accepted), TLS_OK);
	assert_int_equal(accepted, n);
	while (tls_has_unsent(conn))
		assert_int_equal(tls_flush(conn), TLS_OK);
}

void
read_exactly(struct tls_conn *conn, const void *expected, size_t n)
{
	uint8_t got[4096];
	size_t len = 0, part = 0;

	assert_true(n <= sizeof(got));
	while (len < n) {
		assert_int_equal(tls_read(conn, got + len, sizeof(got) - len, &part), TLS_OK);
		len += part;
	}
	assert_bytes_equal(BYTES(got, len), BYTES(expected, n));
}
