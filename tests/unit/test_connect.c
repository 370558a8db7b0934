/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Connecting, against local listeners that do what servers should not.  Time is given, so nothing here waits
 * for any. */

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "base/clock.h"
#include "libchat/connect.h"
#include "tls/tls_internal.h"
#include "tls/tls_pins.h"
#include "tls_pair.h"

/* ---- servers ---- */

/* A bound socket on loopback; it listens if backlog is not negative. */
static int
listener(int backlog, uint16_t *ret_port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	*ret_port = ntohs(addr.sin_port);
	return fd;
}

/* What a server does with a connection, once for each turn: returns false when it is done with it. */
typedef bool (*serve_fn)(void *ctx, int fd);

struct server {
	int listen_fd, fd;
	uint16_t port;
	serve_fn serve;
	void *ctx;
	unsigned accepted;
};

static void
server_start(struct server *s, serve_fn serve, void *ctx)
{
	*s = (struct server){.fd = -1, .serve = serve, .ctx = ctx};
	s->listen_fd = listener(8, &s->port);
}

static void
server_turn(struct server *s)
{
	if (s->fd < 0) {
		s->fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		s->accepted += s->fd >= 0;
	}
	if (s->fd >= 0 && s->serve && !s->serve(s->ctx, s->fd)) {
		close(s->fd);
		s->fd = -1;
	}
}

static void
server_stop(struct server *s)
{
	if (s->fd >= 0)
		close(s->fd);
	close(s->listen_fd);
}

/* A real TLS server of ours. */
struct tls_side {
	struct tls_identity *identity;
	struct tls_conn *conn;
};

static bool
serve_tls(void *ctx, int fd)
{
	struct tls_side *side = ctx;
	struct tls_transport transport = tls_transport_fd(fd);

	if (!side->conn)
		assert_ok(tls_server_new(side->identity, &transport, NULL, &side->conn));
	switch (tls_handshake(side->conn)) {
	case TLS_OK:
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		return true;
	case TLS_CLOSED:
	case TLS_FAILED:
		break;
	}
	tls_conn_free(side->conn);
	side->conn = NULL;
	return false;
}

/* ---- the client's side ---- */

struct world {
	struct server server;
	struct tls_side tls;
	char *pins;
	struct connector *c;
	struct tls_readahead readahead;
	uint8_t readahead_data[16384];
	uint64_t now_ms;
};

static struct connect_config
config_of(struct world *w)
{
	struct connect_config config = {
	    .pins_path = w->pins,
	    .timing = {.resolve_ms = 1000, .connect_ms = 1000, .stagger_ms = 100, .handshake_ms = 1000},
	    .calls = resolve_system,
	    .readahead = &w->readahead,
	};
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", w->server.port);
	assert_ok(server_name_set("127.0.0.1", port, &config.server));
	return config;
}

static void
world_init(struct world *w, serve_fn serve)
{
	char *dir = unit_temp_dir();

	memset(w, 0, sizeof(*w));
	w->readahead = (struct tls_readahead){.data = w->readahead_data, .cap = sizeof(w->readahead_data)};
	w->tls.identity = pair_identity();
	server_start(&w->server, serve, &w->tls);
	assert_true(asprintf(&w->pins, "%s/known_servers", dir) > 0);
	w->now_ms = 1000000;
	free(dir);
}

static void
world_begin(struct world *w, const struct connect_config *config)
{
	connector_free(w->c);
	w->c = NULL;
	assert_ok(connector_new(config, &w->c));
	connector_start(w->c, w->now_ms);
}

static void
world_fini(struct world *w)
{
	connector_free(w->c);
	tls_conn_free(w->tls.conn);
	server_stop(&w->server);
	free(w->pins);
}

/* Turns both sides until the connector has an answer, or both wait for nothing but time. */
static enum connect_step
pump(struct world *w)
{
	for (;;) {
		struct pollfd fds[CONNECT_ADDRESSES_MAX];
		enum connect_step step = connector_step(w->c, w->now_ms);
		size_t n;

		if (step != CONNECT_WAIT)
			return step;
		server_turn(&w->server);
		n = connector_poll(w->c, fds);
		assert_true(n > 0);
		/* Loopback answers at once, or in the time of a softirq. */
		if (poll(fds, (nfds_t)n, 20) == 0)
			return connector_step(w->c, w->now_ms);
	}
}

/* As pump(), for what certainly comes. */
static enum connect_step
pump_to_end(struct world *w)
{
	enum connect_step step;

	do
		step = pump(w);
	while (step == CONNECT_WAIT);
	return step;
}

static void
expect_failure(struct world *w, enum chat_err err, bool final, const char *in_text)
{
	const struct connect_failure *failure;

	assert_int_equal(pump_to_end(w), CONNECT_FAILED);
	failure = connector_failure(w->c);
	assert_err(failure->err, err);
	assert_int_equal(failure->final, final);
	if (!strstr(failure->text, in_text))
		fail_msg("\"%s\" is not in \"%s\"", in_text, failure->text);
}

static void
expect_connected(struct world *w)
{
	struct connect_line line;
	int on = 0;
	socklen_t len = sizeof(on);

	assert_int_equal(pump_to_end(w), CONNECT_DONE);
	assert_true(digest_equal(connector_peer(w->c), tls_identity_fingerprint(w->tls.identity)));
	connector_take(w->c, &line);
	assert_true(line.tls->trusted);
	assert_int_equal(getsockopt(line.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_not_equal(on, 0);
	assert_int_not_equal(fcntl(line.fd, F_GETFD) & FD_CLOEXEC, 0);
	tls_conn_free(line.tls);
	close(line.fd);
}

/* ---- trust ---- */

TEST(asks_once)
{
	struct world w;
	struct connect_config config;

	world_init(&w, serve_tls);
	config = config_of(&w);
	world_begin(&w, &config);
	assert_int_equal(pump_to_end(&w), CONNECT_ASK);
	assert_true(digest_equal(connector_peer(w.c), tls_identity_fingerprint(w.tls.identity)));
	/* It waits for the answer as long as it takes. */
	w.now_ms += 3600000;
	assert_int_equal(connector_step(w.c, w.now_ms), CONNECT_ASK);
	assert_true(connector_deadline_ms(w.c) == NEVER_MS);
	assert_int_not_equal(access(w.pins, F_OK), 0);
	connector_answer(w.c, true);
	expect_connected(&w);
	tls_conn_free(w.tls.conn);
	w.tls.conn = NULL;
	close(w.server.fd);
	w.server.fd = -1;
	world_begin(&w, &config);
	expect_connected(&w);
	world_fini(&w);
}

TEST(not_agreed)
{
	struct world w;
	struct connect_config config;

	world_init(&w, serve_tls);
	config = config_of(&w);
	world_begin(&w, &config);
	assert_int_equal(pump_to_end(&w), CONNECT_ASK);
	connector_answer(w.c, false);
	expect_failure(&w, CHAT_ERR_PEER_UNKNOWN, true, "not agreed");
	assert_int_not_equal(access(w.pins, F_OK), 0);
	world_fini(&w);
}

TEST(accepts_new_but_not_changed)
{
	struct world w;
	struct connect_config config;
	struct digest other = {{1}};
	char port[8], mend[64];

	world_init(&w, serve_tls);
	config = config_of(&w);
	config.accept_new = true;
	world_begin(&w, &config);
	expect_connected(&w);
	assert_ok(tls_pins_put(w.pins, "127.0.0.1", w.server.port, &other));
	tls_conn_free(w.tls.conn);
	w.tls.conn = NULL;
	close(w.server.fd);
	w.server.fd = -1;
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_PEER_CHANGED, true, "has changed");
	(void)snprintf(port, sizeof(port), "%u", w.server.port);
	(void)snprintf(mend, sizeof(mend), "chat-client server forget 127.0.0.1 %s", port);
	assert_string_equal(connector_failure(w.c)->mend, mend);
	world_fini(&w);
}

TEST(demanded)
{
	struct world w;
	struct connect_config config;
	struct digest other = {{1}};

	world_init(&w, serve_tls);
	config = config_of(&w);
	config.fingerprint = &other;
	config.accept_new = true; /* makes no difference */
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_PEER_CHANGED, true, "not the one demanded");
	assert_int_not_equal(access(w.pins, F_OK), 0);
	/* The right one, in place of what was pinned. */
	config.fingerprint = tls_identity_fingerprint(w.tls.identity);
	config.accept_new = false;
	assert_ok(tls_pins_put(w.pins, "127.0.0.1", w.server.port, &other));
	server_turn(&w.server);
	tls_conn_free(w.tls.conn);
	w.tls.conn = NULL;
	if (w.server.fd >= 0)
		close(w.server.fd);
	w.server.fd = -1;
	world_begin(&w, &config);
	expect_connected(&w);
	assert_ok(tls_pins_get(w.pins, "127.0.0.1", w.server.port, &other));
	assert_true(digest_equal(&other, config.fingerprint));
	world_fini(&w);
}

TEST(pins_that_cannot_be_read)
{
	struct world w;
	struct connect_config config;

	world_init(&w, serve_tls);
	config = config_of(&w);
	config.accept_new = true;
	assert_int_equal(mkdir(w.pins, 0700), 0);
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_IO, true, w.pins);
	world_fini(&w);
}

/* ---- servers that are none ---- */

TEST(refused)
{
	struct world w;
	struct connect_config config;
	int fd;

	world_init(&w, NULL);
	config = config_of(&w);
	fd = listener(-1, &config.server.port); /* bound, so that nobody else listens there */
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_CONNECT, false, "Connection refused");
	close(fd);
	world_fini(&w);
}

TEST(no_such_host)
{
	struct world w;
	struct connect_config config;

	world_init(&w, NULL);
	config = config_of(&w);
	/* RFC 6761: it is never there, whoever is asked. */
	assert_ok(server_name_set("nowhere.invalid", "1", &config.server));
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_CONNECT, false, "nowhere.invalid: ");
	world_fini(&w);
}

TEST(silent)
{
	struct world w;
	struct connect_config config;

	world_init(&w, NULL);
	config = config_of(&w);
	world_begin(&w, &config);
	assert_int_equal(pump(&w), CONNECT_WAIT);
	while (connector_deadline_ms(w.c) > w.now_ms + 1000 || w.server.accepted == 0)
		assert_int_equal(pump(&w), CONNECT_WAIT);
	w.now_ms += 999;
	assert_int_equal(pump(&w), CONNECT_WAIT);
	w.now_ms += 1;
	expect_failure(&w, CHAT_ERR_TIMEOUT, false, "said nothing");
	world_fini(&w);
}

static bool
say_hello(void *ctx, int fd)
{
	(void)ctx;
	return send(fd, "HTTP/1.0 200 OK\r\n\r\n", 19, MSG_NOSIGNAL) < 0;
}

TEST(not_tls)
{
	struct world w;
	struct connect_config config;

	world_init(&w, say_hello);
	config = config_of(&w);
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_TLS, false, "does not speak TLS;");
	world_fini(&w);
}

static bool
hang_up(void *ctx, int fd)
{
	char some[4096];

	(void)ctx;
	return recv(fd, some, sizeof(some), 0) < 0; /* all is read: closing is no reset */
}

TEST(hangs_up)
{
	struct world w;
	struct connect_config config;

	world_init(&w, hang_up);
	config = config_of(&w);
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_CLOSED, false, "before it was secure");
	world_fini(&w);
}

struct old_tls {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
};

static bool
serve_tls12(void *ctx, int fd)
{
	struct old_tls *old = ctx;
	int rc;

	if (!old->session) {
		assert_int_equal(gnutls_init(&old->session, GNUTLS_SERVER | GNUTLS_NONBLOCK), 0);
		assert_int_equal(
		    gnutls_priority_set_direct(old->session, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL), 0);
		assert_int_equal(gnutls_certificate_allocate_credentials(&old->credentials), 0);
		assert_int_equal(
		    gnutls_credentials_set(old->session, GNUTLS_CRD_CERTIFICATE, old->credentials), 0);
		gnutls_transport_set_int(old->session, fd);
	}
	rc = gnutls_handshake(old->session);
	if (rc >= 0 || !gnutls_error_is_fatal(rc))
		return true;
	(void)gnutls_alert_send_appropriate(old->session, rc);
	gnutls_deinit(old->session);
	gnutls_certificate_free_credentials(old->credentials);
	old->session = NULL;
	return false;
}

TEST(tls12_only)
{
	struct world w;
	struct connect_config config;
	struct old_tls old = {NULL, NULL};

	world_init(&w, serve_tls12);
	w.server.ctx = &old;
	config = config_of(&w);
	world_begin(&w, &config);
	expect_failure(&w, CHAT_ERR_TLS, false, "refused TLS 1.3");
	assert_null(old.session);
	world_fini(&w);
}

/* ---- several addresses ---- */

#define PATIENCE_S 30

static struct {
	struct addrinfo list[CONNECT_ADDRESSES_MAX + 2];
	struct sockaddr_in addr[CONNECT_ADDRESSES_MAX + 2];
	size_t count;
	sem_t released;       /* posted by whichever thread gives the list back */
	pthread_mutex_t gate; /* held by the test: the lookup hangs */
} fake = {.gate = PTHREAD_MUTEX_INITIALIZER};

static void
fake_add(uint16_t port)
{
	size_t i = fake.count++;

	fake.addr[i] = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	fake.list[i] = (struct addrinfo){.ai_family = AF_INET,
	    .ai_socktype = SOCK_STREAM,
	    .ai_addr = (struct sockaddr *)&fake.addr[i],
	    .ai_addrlen = sizeof(fake.addr[i])};
	if (i > 0)
		fake.list[i - 1].ai_next = &fake.list[i];
}

static int
fake_lookup(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
	(void)host;
	(void)port;
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	(void)pthread_mutex_lock(&fake.gate);
	*ret = fake.list;
	(void)pthread_mutex_unlock(&fake.gate);
	return 0;
}

static void
fake_release(struct addrinfo *list)
{
	assert_ptr_equal(list, fake.list);
	(void)sem_post(&fake.released);
}

static const struct resolve_calls fake_calls = {fake_lookup, fake_release};

static void
fake_clear(void)
{
	memset(fake.list, 0, sizeof(fake.list));
	fake.count = 0;
	assert_int_equal(sem_init(&fake.released, 0, 0), 0);
}

/* So many lookups' lists have been given back, or are in a moment, and no more. */
static void
fake_expect_released(unsigned count)
{
	struct timespec end;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
	end.tv_sec += PATIENCE_S;
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(sem_timedwait(&fake.released, &end), 0);
	assert_int_equal(sem_trywait(&fake.released), -1);
}

/* A listener whose queue is full: the kernel drops who knocks, as a firewall does. */
struct hole {
	int listen_fd, in_queue[4];
	uint16_t port;
};

static void
hole_open(struct hole *hole)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	hole->listen_fd = listener(0, &hole->port);
	addr.sin_port = htons(hole->port);
	for (size_t i = 0; i < ARRAY_LEN(hole->in_queue); i++) {
		hole->in_queue[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(hole->in_queue[i] >= 0);
		(void)connect(hole->in_queue[i], (struct sockaddr *)&addr, sizeof(addr));
	}
}

static void
hole_close(struct hole *hole)
{
	for (size_t i = 0; i < ARRAY_LEN(hole->in_queue); i++)
		close(hole->in_queue[i]);
	close(hole->listen_fd);
}

TEST(all_addresses_are_tried)
{
	struct world w;
	struct connect_config config;
	struct hole hole;
	uint16_t refusing;
	int fd = listener(-1, &refusing);

	world_init(&w, serve_tls);
	config = config_of(&w);
	config.calls = fake_calls;
	config.accept_new = true;
	hole_open(&hole);
	fake_clear();
	fake_add(refusing);
	fake_add(hole.port);
	fake_add(w.server.port);
	world_begin(&w, &config);
	/* The first refuses, the second is silent, and the third is tried a tenth of a second after it. */
	while (pump(&w) == CONNECT_WAIT && connector_deadline_ms(w.c) != w.now_ms + 100)
		;
	assert_int_equal(w.server.accepted, 0);
	w.now_ms += 99;
	assert_int_equal(pump(&w), CONNECT_WAIT);
	server_turn(&w.server);
	assert_int_equal(w.server.accepted, 0);
	w.now_ms += 1;
	expect_connected(&w);
	fake_expect_released(1);
	hole_close(&hole);
	close(fd);
	world_fini(&w);
}

TEST(none_answers)
{
	struct world w;
	struct connect_config config;
	struct hole hole;

	world_init(&w, NULL);
	config = config_of(&w);
	config.calls = fake_calls;
	hole_open(&hole);
	fake_clear();
	for (size_t i = 0; i < ARRAY_LEN(fake.list); i++)
		fake_add(hole.port);
	world_begin(&w, &config);
	while (pump(&w) == CONNECT_WAIT && connector_deadline_ms(w.c) < w.now_ms + 1000 && w.now_ms < 1001000)
		w.now_ms += 100;
	w.now_ms = 1001000;
	expect_failure(&w, CHAT_ERR_TIMEOUT, false, "no answer");
	hole_close(&hole);
	world_fini(&w);
}

/* A name server that takes its time holds up nobody who gives up. */
TEST(lookup_that_hangs)
{
	struct world w;
	struct connect_config config;

	world_init(&w, NULL);
	config = config_of(&w);
	config.calls = fake_calls;
	fake_clear();
	fake_add(w.server.port);
	(void)pthread_mutex_lock(&fake.gate);
	world_begin(&w, &config);
	assert_int_equal(pump(&w), CONNECT_WAIT);
	w.now_ms += 1000;
	expect_failure(&w, CHAT_ERR_TIMEOUT, false, "name server");
	connector_start(w.c, w.now_ms);
	connector_free(w.c);
	w.c = NULL;
	(void)pthread_mutex_unlock(&fake.gate);
	/* Each of the two threads that nobody waits for cleans up behind itself. */
	fake_expect_released(2);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(asks_once),
	    cmocka_unit_test(not_agreed),
	    cmocka_unit_test(accepts_new_but_not_changed),
	    cmocka_unit_test(demanded),
	    cmocka_unit_test(pins_that_cannot_be_read),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(no_such_host),
	    cmocka_unit_test(silent),
	    cmocka_unit_test(not_tls),
	    cmocka_unit_test(hangs_up),
	    cmocka_unit_test(tls12_only),
	    cmocka_unit_test(all_addresses_are_tried),
	    cmocka_unit_test(none_answers),
	    cmocka_unit_test(lookup_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
