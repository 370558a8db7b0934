/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tls/tls_internal.h"
#include "tls/tls_pins.h"
#include "tls_pair.h"

/* A client after its handshake with a server of this key. */
struct visit {
	struct wire to_server, to_client;
	struct port server_port, client_port;
	struct tls_conn *server, *client;
};

static struct tls_identity *
identity_new(void)
{
	struct tls_identity *identity = NULL;
	char why[TLS_WHY_CHARS] = "", *dir = unit_temp_dir(), *key = NULL, *cert = NULL;
	bool made = false;

	assert_true(asprintf(&key, "%s/key.pem", dir) > 0);
	assert_true(asprintf(&cert, "%s/cert.pem", dir) > 0);
	assert_ok(tls_identity_ensure(key, cert, (uint64_t)time(NULL) * 1000, why, &made));
	assert_ok(tls_identity_load(key, cert, why, &identity));
	free(dir);
	free(key);
	free(cert);
	return identity;
}

static void
visit_init(struct visit *visit, struct tls_identity *identity)
{
	struct tls_transport transport;

	*visit = (struct visit){.server = NULL};
	visit->server_port = (struct port){.in = &visit->to_server, .out = &visit->to_client};
	visit->client_port = (struct port){.in = &visit->to_client, .out = &visit->to_server};
	transport = port_transport(&visit->server_port);
	assert_ok(tls_server_new(identity, &transport, NULL, &visit->server));
	visit->client = pair_client(&visit->client_port, NULL);
	for (int i = 0; i < 4; i++) {
		(void)!tls_handshake(visit->client);
		(void)!tls_handshake(visit->server);
	}
	assert_true(tls_handshake_done(visit->client));
}

static void
visit_fini(struct visit *visit)
{
	tls_conn_free(visit->server);
	tls_conn_free(visit->client);
	wire_fini(&visit->to_server);
	wire_fini(&visit->to_client);
}

/* What a check says, on a new connection each time; and that it trusts exactly if it says yes. */
static enum chat_err
check(const char *path, const char *host, uint16_t port, struct tls_identity *identity)
{
	struct visit visit;
	enum chat_err err;

	visit_init(&visit, identity);
	assert_false(visit.client->trusted);
	err = tls_pins_check(path, host, port, visit.client);
	assert_int_equal(visit.client->trusted, err == CHAT_OK);
	visit_fini(&visit);
	return err;
}

static enum chat_err
add(const char *path, const char *host, uint16_t port, struct tls_identity *identity)
{
	struct visit visit;
	enum chat_err err;

	visit_init(&visit, identity);
	err = tls_pins_add(path, host, port, visit.client);
	assert_int_equal(visit.client->trusted, err == CHAT_OK);
	visit_fini(&visit);
	return err;
}

static char *
pins_path(void)
{
	char *dir = unit_temp_dir(), *path = NULL;

	assert_true(asprintf(&path, "%s/known_servers", dir) > 0);
	free(dir);
	return path;
}

static void
put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static size_t
line_count(const char *path)
{
	size_t len = 0, lines = 0;
	uint8_t *content = unit_read_file(path, &len);

	assert_non_null(content);
	for (size_t i = 0; i < len; i++)
		lines += content[i] == '\n';
	free(content);
	return lines;
}

TEST(unknown_known_changed)
{
	struct tls_identity *one = identity_new(), *two = identity_new();
	char *path = pins_path();
	struct stat st;

	assert_err(check(path, "chat.example", 8820, one), CHAT_ERR_PEER_UNKNOWN);
	assert_ok(add(path, "chat.example", 8820, one));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(check(path, "chat.example", 8820, one));
	assert_err(check(path, "chat.example", 8820, two), CHAT_ERR_PEER_CHANGED);
	/* The name is as DNS has it; port and name count. */
	assert_ok(check(path, "Chat.EXAMPLE", 8820, one));
	assert_err(check(path, "chat.example", 8821, one), CHAT_ERR_PEER_UNKNOWN);
	assert_err(check(path, "chat.example", 882, one), CHAT_ERR_PEER_UNKNOWN);
	assert_err(check(path, "chat.exampl", 8820, one), CHAT_ERR_PEER_UNKNOWN);
	assert_err(check(path, "hat.example", 8820, one), CHAT_ERR_PEER_UNKNOWN);
	tls_identity_unref(one);
	tls_identity_unref(two);
	free(path);
}

/* A change that was agreed to replaces: the old key, which somebody may have stolen, is good no more. */
TEST(the_old_key_is_forgotten)
{
	struct tls_identity *one = identity_new(), *two = identity_new();
	char *path = pins_path();

	assert_ok(add(path, "::1", 8820, one));
	assert_ok(add(path, "other.example", 8820, one));
	assert_ok(add(path, "::1", 8820, two));
	assert_ok(add(path, "::1", 8820, two));
	assert_int_equal(line_count(path), 2);
	assert_ok(check(path, "::1", 8820, two));
	assert_err(check(path, "::1", 8820, one), CHAT_ERR_PEER_CHANGED);
	assert_ok(check(path, "other.example", 8820, one));

	assert_ok(tls_pins_forget(path, "::1", 8820));
	assert_err(tls_pins_forget(path, "::1", 8820), CHAT_ERR_NOT_FOUND);
	assert_err(check(path, "::1", 8820, two), CHAT_ERR_PEER_UNKNOWN);
	assert_ok(check(path, "other.example", 8820, one));
	tls_identity_unref(one);
	tls_identity_unref(two);
	free(path);
}

TEST(forget_without_a_file)
{
	char *path = pins_path();

	assert_err(tls_pins_forget(path, "localhost", 8820), CHAT_ERR_NOT_FOUND);
	assert_int_not_equal(access(path, F_OK), 0);
	free(path);
	assert_err(tls_pins_forget("/nowhere/at/all", "localhost", 8820), CHAT_ERR_NOT_FOUND);
}

TEST(a_renewed_certificate_is_known)
{
	char why[TLS_WHY_CHARS] = "", *dir = unit_temp_dir(), *key = NULL, *cert = NULL, *path = pins_path();
	struct tls_identity *identity = NULL;
	bool made = false;

	assert_true(asprintf(&key, "%s/key.pem", dir) > 0);
	assert_true(asprintf(&cert, "%s/cert.pem", dir) > 0);
	assert_ok(tls_identity_ensure(key, cert, 1600000000000, why, &made));
	assert_ok(tls_identity_load(key, cert, why, &identity));
	assert_ok(add(path, "localhost", 1, identity));
	tls_identity_unref(identity);
	assert_int_equal(unlink(cert), 0);
	assert_ok(tls_identity_ensure(key, cert, 1700000000000, why, &made));
	assert_ok(tls_identity_load(key, cert, why, &identity));
	assert_ok(check(path, "localhost", 1, identity));
	tls_identity_unref(identity);
	free(dir);
	free(key);
	free(cert);
	free(path);
}

TEST(names_that_the_file_cannot_hold)
{
	const char *const bad[] = {"", "*", "a*", "a|b", "a b", "a\nb", "a\tb", "\x7f"};
	struct tls_identity *identity = pair_identity();
	char *path = pins_path(), *longest = malloc(300);

	assert_non_null(longest);
	memset(longest, 'a', 299);
	longest[299] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_err(check(path, bad[i], 8820, identity), CHAT_ERR_INVALID);
		assert_err(add(path, bad[i], 8820, identity), CHAT_ERR_INVALID);
		assert_err(tls_pins_forget(path, bad[i], 8820), CHAT_ERR_INVALID);
	}
	assert_err(add(path, longest, 8820, identity), CHAT_ERR_INVALID);
	assert_int_not_equal(access(path, F_OK), 0);
	longest[255] = '\0';
	assert_ok(add(path, longest, 65535, identity));
	assert_ok(check(path, longest, 65535, identity));
	free(longest);
	free(path);
}

/* What GnuTLS cannot read, or takes for a wildcard, is never "unknown, shall I trust it", nor trusted. */
TEST(damaged_files)
{
	struct tls_identity *identity = pair_identity();
	char *path = pins_path(), *text = NULL;
	uint8_t *good;
	size_t len = 0;

	put_file(path, "|g0|localhost|8820|0|bm9uc2Vuc2U=\n");
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_PEER_CHANGED);
	put_file(path, "|g0|localhost|8820|");
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_PEER_CHANGED);
	put_file(path, "nonsense\n\n|g0|\n|g0|localhost\n|x\n|g0|localhost|8820\n");
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_PEER_UNKNOWN);
	/* Others' lines are kept as they are. */
	assert_ok(add(path, "localhost", 8820, identity));
	assert_ok(check(path, "localhost", 8820, identity));
	assert_int_equal(line_count(path), 6);

	assert_int_equal(unlink(path), 0);
	assert_ok(add(path, "localhost", 8820, identity));
	good = unit_read_file(path, &len);
	assert_non_null(good);
	assert_true(asprintf(&text, "|g0|*|*%s", strstr((char *)good, "|0|")) > 0);
	put_file(path, text);
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_PEER_UNKNOWN);
	/* Expired, as the format allows. */
	free(text);
	assert_true(asprintf(&text, "|g0|localhost|8820|1%s", strstr((char *)good, "|0|") + 2) > 0);
	put_file(path, text);
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_PEER_CHANGED);
	free(text);
	free(good);
	free(path);
}

TEST(a_file_that_cannot_be_read)
{
	struct tls_identity *identity = pair_identity();
	char *path = pins_path();

	assert_int_equal(mkdir(path, 0700), 0);
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_IO);
	assert_err(add(path, "localhost", 8820, identity), CHAT_ERR_IO);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("known_servers", path), 0);
	assert_err(check(path, "localhost", 8820, identity), CHAT_ERR_IO);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(unlink(path), 0);
	free(path);
}

TEST(a_folder_that_is_not_there)
{
	struct tls_identity *identity = pair_identity();
	char *path = pins_path(), *under = NULL;

	assert_true(asprintf(&under, "%s/known_servers", path) > 0);
	assert_err(check(under, "localhost", 8820, identity), CHAT_ERR_PEER_UNKNOWN);
	assert_err(add(under, "localhost", 8820, identity), CHAT_ERR_IO);
	free(under);
	free(path);
}

TEST(before_the_handshake)
{
	struct wire wire = {0};
	struct port port = {.in = &wire, .out = &wire};
	struct tls_conn *client = pair_client(&port, NULL);
	struct digest fingerprint = digest_zero;
	char *path = pins_path();

	assert_err(tls_pins_check(path, "localhost", 8820, client), CHAT_ERR_TLS);
	assert_err(tls_pins_add(path, "localhost", 8820, client), CHAT_ERR_TLS);
	assert_err(tls_pins_demand(&fingerprint, client), CHAT_ERR_TLS);
	tls_conn_free(client);
	free(path);
}

TEST(a_demanded_fingerprint)
{
	struct tls_identity *identity = pair_identity();
	struct digest wrong = *tls_identity_fingerprint(identity);
	struct visit visit;

	visit_init(&visit, identity);
	wrong.b[31] ^= 1;
	assert_err(tls_pins_demand(&wrong, visit.client), CHAT_ERR_PEER_CHANGED);
	assert_false(visit.client->trusted);
	assert_ok(tls_pins_demand(tls_identity_fingerprint(identity), visit.client));
	assert_true(visit.client->trusted);
	visit_fini(&visit);
}

/* A pin that is moved from one machine to another, without the server. */
TEST(a_pin_is_taken_along)
{
	struct tls_identity *one = identity_new(), *two = identity_new();
	char *path = pins_path(), *elsewhere = pins_path();
	struct digest pin = digest_zero, again = digest_zero;

	assert_err(tls_pins_get(path, "localhost", 8820, &pin), CHAT_ERR_NOT_FOUND);
	assert_ok(add(path, "localhost", 8820, one));
	assert_ok(add(path, "localhost", 8821, two));
	assert_ok(tls_pins_get(path, "LocalHost", 8820, &pin));
	assert_memory_equal(pin.b, tls_identity_fingerprint(one)->b, DIGEST_BYTES);
	assert_err(tls_pins_get(path, "localhost", 8822, &again), CHAT_ERR_NOT_FOUND);

	assert_ok(tls_pins_put(elsewhere, "localhost", 8820, &pin));
	assert_ok(check(elsewhere, "localhost", 8820, one));
	assert_err(check(elsewhere, "localhost", 8820, two), CHAT_ERR_PEER_CHANGED);
	assert_ok(tls_pins_get(elsewhere, "localhost", 8820, &again));
	assert_memory_equal(pin.b, again.b, DIGEST_BYTES);
	/* Either kind of line replaces the other. */
	assert_ok(tls_pins_put(elsewhere, "localhost", 8820, tls_identity_fingerprint(two)));
	assert_err(check(elsewhere, "localhost", 8820, one), CHAT_ERR_PEER_CHANGED);
	assert_ok(add(elsewhere, "localhost", 8820, one));
	assert_err(check(elsewhere, "localhost", 8820, two), CHAT_ERR_PEER_CHANGED);
	assert_int_equal(line_count(elsewhere), 1);
	assert_ok(tls_pins_put(elsewhere, "localhost", 8820, &pin));
	assert_ok(tls_pins_forget(elsewhere, "localhost", 8820));
	assert_err(check(elsewhere, "localhost", 8820, one), CHAT_ERR_PEER_UNKNOWN);
	tls_identity_unref(one);
	tls_identity_unref(two);
	free(path);
	free(elsewhere);
}

TEST(pins_that_are_none)
{
	static const char *const bad[] = {"|g0|h|1|0|\n", "|g0|h|1|0|!!!\n", "|g0|h|1|", "|c0|h|1|0|6|abcd\n",
	    "|c0|h|1|0|6|zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n"};
	struct digest pin;
	char *path = pins_path();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put_file(path, bad[i]);
		assert_err(tls_pins_get(path, "h", 1, &pin), CHAT_ERR_SYNTAX);
	}
	assert_err(tls_pins_get(path, "a b", 1, &pin), CHAT_ERR_INVALID);
	assert_err(tls_pins_put(path, "a b", 1, &digest_zero), CHAT_ERR_INVALID);
	free(path);
}

/* Several programs at once lose none of each other's pins. */
TEST(shared_by_processes)
{
	enum { PROCESSES = 4, PINS = 8 };
	struct tls_identity *identity = pair_identity();
	char *path = pins_path(), host[32];
	struct visit visit;
	pid_t children[PROCESSES];
	int status;

	visit_init(&visit, identity);
	for (int p = 0; p < PROCESSES; p++) {
		children[p] = fork();
		assert_true(children[p] >= 0);
		if (children[p] != 0)
			continue;
		for (int i = 0; i < PINS; i++) {
			snprintf(host, sizeof(host), "host-%d-%d", p, i);
			if (tls_pins_add(path, host, 8820, visit.client) != CHAT_OK)
				_exit(1);
		}
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		assert_int_equal(waitpid(children[p], &status, 0), children[p]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(line_count(path), PROCESSES * PINS);
	for (int p = 0; p < PROCESSES; p++) {
		for (int i = 0; i < PINS; i++) {
			snprintf(host, sizeof(host), "host-%d-%d", p, i);
			assert_ok(tls_pins_check(path, host, 8820, visit.client));
		}
	}
	visit_fini(&visit);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unknown_known_changed),
	    cmocka_unit_test(the_old_key_is_forgotten),
	    cmocka_unit_test(forget_without_a_file),
	    cmocka_unit_test(a_renewed_certificate_is_known),
	    cmocka_unit_test(names_that_the_file_cannot_hold),
	    cmocka_unit_test(damaged_files),
	    cmocka_unit_test(a_file_that_cannot_be_read),
	    cmocka_unit_test(a_folder_that_is_not_there),
	    cmocka_unit_test(before_the_handshake),
	    cmocka_unit_test(a_demanded_fingerprint),
	    cmocka_unit_test(a_pin_is_taken_along),
	    cmocka_unit_test(pins_that_are_none),
	    cmocka_unit_test(shared_by_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
