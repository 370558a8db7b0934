/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The client around a session: its thread, its queues, its connection.  The session is one without a protocol
 * (fake_session.h); sockets, TLS, pins, storage and threads are real. */

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "fake_session.h"
#include "libchat/client.h"
#include "libchat/storage_sqlite.h"
#include "proto/limits.h"
#include "tls/tls_pins.h"
#include "tls_pair.h"

#define PATIENCE_MS 30000 /* for what certainly comes */

/* ---- the server ---- */

struct peer {
	int listen_fd, fd;
	uint16_t port;
	struct tls_conn *tls;
	struct buf in; /* what came and was not looked at */
};

static void
peer_init(struct peer *peer)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	*peer = (struct peer){.fd = -1};
	peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(peer->listen_fd >= 0);
	assert_int_equal(bind(peer->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(peer->listen_fd, 8), 0);
	assert_int_equal(getsockname(peer->listen_fd, (struct sockaddr *)&addr, &len), 0);
	peer->port = ntohs(addr.sin_port);
}

static void
peer_hang_up(struct peer *peer)
{
	tls_conn_free(peer->tls);
	peer->tls = NULL;
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
	buf_clear(&peer->in);
}

static void
peer_fini(struct peer *peer)
{
	peer_hang_up(peer);
	buf_fini(&peer->in);
	close(peer->listen_fd);
}

static void
peer_wait(struct peer *peer, enum tls_result result)
{
	struct pollfd p = {.fd = peer->fd, .events = result == TLS_WANT_WRITE ? POLLOUT : POLLIN};

	assert_true(result == TLS_WANT_READ || result == TLS_WANT_WRITE);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

/* Takes the next connection, up to the end of the handshake.  False: the client has left it already. */
static bool
peer_try_accept(struct peer *peer)
{
	struct pollfd p = {.fd = peer->listen_fd, .events = POLLIN};
	struct tls_transport transport;
	enum tls_result result;

	peer_hang_up(peer);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	peer->fd = accept4(peer->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(peer->fd >= 0);
	transport = tls_transport_fd(peer->fd);
	assert_ok(tls_server_new(pair_identity(), &transport, NULL, &peer->tls));
	while ((result = tls_handshake(peer->tls)) != TLS_OK) {
		if (result == TLS_CLOSED)
			return false;
		peer_wait(peer, result);
	}
	return true;
}

static void
peer_accept(struct peer *peer)
{
	assert_true(peer_try_accept(peer));
}

static void
peer_say(struct peer *peer, const char *bytes)
{
	write_all(peer->tls, bytes, strlen(bytes));
}

/* Reads once; false: the client is gone. */
static bool
peer_read(struct peer *peer)
{
	uint8_t some[4096];
	enum tls_result result;
	size_t n;

	for (;;) {
		result = tls_read(peer->tls, some, sizeof(some), &n);
		if (result == TLS_OK) {
			assert_ok(buf_append(&peer->in, some, n));
			return true;
		}
		if (result == TLS_CLOSED)
			return false;
		peer_wait(peer, result);
	}
}

/* Waits for exactly these bytes. */
static void
peer_expect(struct peer *peer, const char *bytes)
{
	size_t len = strlen(bytes);

	while (peer->in.len < len)
		assert_true(peer_read(peer));
	assert_memory_equal(peer->in.data, bytes, len);
	buf_drop(&peer->in, len);
}

/* Takes a connection and its hello, which is bound to it. */
static void
peer_greet(struct peer *peer)
{
	uint8_t binding[LOGIN_BINDING_BYTES];

	peer_accept(peer);
	while (peer->in.len < 1 + sizeof(binding))
		assert_true(peer_read(peer));
	assert_ok(tls_export_binding(peer->tls, binding));
	assert_int_equal(peer->in.data[0], 'H');
	assert_memory_equal(peer->in.data + 1, binding, sizeof(binding));
	buf_drop(&peer->in, 1 + sizeof(binding));
}

/* Waits for close_notify, not a mere end. */
static void
peer_expect_goodbye(struct peer *peer)
{
	while (peer_read(peer))
		;
	assert_int_equal(tls_failure(peer->tls), TLS_FAILURE_GOODBYE);
}

/* ---- the client ---- */

struct world {
	struct peer peer;
	char *dir;
	struct chat_config *config;
	struct client_tuning tuning;
	struct chat_client *client;
	struct chat_id room;
};

static void
world_init(struct world *w)
{
	char port[8];

	memset(w, 0, sizeof(*w));
	peer_init(&w->peer);
	w->dir = unit_temp_dir();
	(void)snprintf(port, sizeof(port), "%u", w->peer.port);
	assert_ok(chat_config_new(&w->config));
	assert_ok(chat_config_set_account(w->config, "alice"));
	assert_ok(chat_config_set_server(w->config, "127.0.0.1", port));
	assert_ok(chat_config_set_data_dir(w->config, w->dir));
	chat_config_set_accept_new(w->config, true);
	w->tuning = client_tuning_default;
	memcpy(w->room.b, fake_room.b, sizeof(w->room.b));
}

static void
world_start(struct world *w)
{
	assert_ok(client_new(w->config, &w->tuning, &w->client, NULL));
	assert_ok(chat_client_start(w->client));
}

static void
world_fini(struct world *w)
{
	chat_client_free(w->client);
	chat_config_free(w->config);
	peer_fini(&w->peer);
	free(w->dir);
}

static struct chat_event *
next(struct world *w)
{
	struct chat_event *event = NULL;

	assert_ok(chat_next_event(w->client, PATIENCE_MS, &event));
	return event;
}

/* The next event is of this type; returned for a closer look. */
static struct chat_event *
expect(struct world *w, enum chat_event_type type)
{
	struct chat_event *event = next(w);

	if (chat_event_type(event) != type)
		fail_msg("got %s (%s)", chat_event_type_name(event), chat_event_text(event));
	return event;
}

static void
pass(struct world *w, enum chat_event_type type)
{
	chat_event_free(expect(w, type));
}

static void
expect_closed(struct world *w)
{
	struct chat_event *event = NULL;

	assert_err(chat_next_event(w->client, PATIENCE_MS, &event), CHAT_ERR_CLOSED);
	assert_err(chat_next_event(w->client, 0, &event), CHAT_ERR_CLOSED);
	assert_null(event);
}

static bool
fd_is_readable(struct world *w)
{
	struct pollfd p = {.fd = chat_event_fd(w->client), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Up to logged in. */
static void
world_connect(struct world *w)
{
	world_start(w);
	peer_greet(&w->peer);
	peer_say(&w->peer, "c");
	pass(w, CHAT_EVENT_CONNECTING);
	pass(w, CHAT_EVENT_CONNECTED);
	pass(w, CHAT_EVENT_SYNCED);
}

static uint64_t
send_text(struct world *w, const char *text)
{
	uint64_t token = 0;

	assert_ok(chat_send(w->client, &w->room, text, strlen(text), &token));
	assert_true(token > 0);
	return token;
}

/* ---- life ---- */

TEST(says_hello_and_goodbye)
{
	struct world w;

	world_init(&w);
	world_connect(&w);
	assert_err(chat_client_start(w.client), CHAT_ERR_INVALID);
	chat_client_free(w.client);
	w.client = NULL;
	peer_expect_goodbye(&w.peer);
	world_fini(&w);
	chat_client_free(NULL);
}

/* A client can be freed in any state, in no more time than it takes. */
TEST(freed_at_any_time)
{
	struct world w;

	world_init(&w);
	assert_ok(client_new(w.config, &w.tuning, &w.client, NULL)); /* never started */
	chat_client_free(w.client);
	world_start(&w); /* connecting: nobody takes the connection */
	pass(&w, CHAT_EVENT_CONNECTING);
	chat_client_free(w.client);
	chat_config_set_accept_new(w.config, false);
	world_start(&w);                  /* asking */
	while (!peer_try_accept(&w.peer)) /* the one before was cut, so there may be two */
		;
	while (true) {
		struct pollfd p = {.fd = chat_event_fd(w.client), .events = POLLIN};
		struct chat_event *event = NULL;
		enum chat_event_type type;

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_ok(chat_next_event(w.client, 0, &event));
		type = chat_event_type(event);
		chat_event_free(event);
		if (type == CHAT_EVENT_SERVER_UNKNOWN)
			break;
	}
	chat_client_free(w.client);
	chat_config_set_accept_new(w.config, true);
	world_start(&w); /* online, with a request open and unread events */
	peer_greet(&w.peer);
	peer_say(&w.peer, "cmmmm");
	(void)send_text(&w, "hello");
	peer_expect(&w.peer, "Shello");
	world_fini(&w);
}

TEST(needs_account_and_server)
{
	struct chat_config *config = NULL;
	struct chat_client *client = NULL;
	char *text = NULL;

	assert_ok(chat_config_new(&config));
	assert_err(chat_client_new(config, &client, &text), CHAT_ERR_INVALID);
	assert_non_null(text);
	free(text);
	assert_ok(chat_config_set_account(config, "alice"));
	assert_err(chat_client_new(config, &client, NULL), CHAT_ERR_INVALID);
	chat_config_free(config);
	chat_config_free(NULL);
}

TEST(others_can_read_the_directory)
{
	struct world w;
	char *text = NULL;

	world_init(&w);
	assert_int_equal(chmod(w.dir, 0755), 0);
	assert_err(chat_client_new(w.config, &w.client, &text), CHAT_ERR_PERMISSION);
	assert_non_null(strstr(text, w.dir));
	free(text);
	world_fini(&w);
}

/* ---- trust and password ---- */

TEST(asks_whether_to_trust)
{
	struct world w;
	struct chat_event *event;
	struct chat_whoami *who;
	char hex[DIGEST_HEX_CHARS + 1];

	world_init(&w);
	chat_config_set_accept_new(w.config, false);
	world_start(&w);
	assert_err(chat_trust_server(w.client, true), CHAT_ERR_INVALID);
	peer_accept(&w.peer);
	pass(&w, CHAT_EVENT_CONNECTING);
	event = expect(&w, CHAT_EVENT_SERVER_UNKNOWN);
	digest_hex(tls_identity_fingerprint(pair_identity()), hex);
	assert_string_equal(chat_event_text(event), hex);
	chat_event_free(event);
	assert_ok(chat_whoami(w.client, &who));
	assert_string_equal(who->fingerprint, "");
	chat_whoami_free(who);
	assert_ok(chat_trust_server(w.client, true));
	assert_err(chat_trust_server(w.client, true), CHAT_ERR_INVALID);
	while (w.peer.in.len < 33)
		assert_true(peer_read(&w.peer));
	peer_say(&w.peer, "c");
	pass(&w, CHAT_EVENT_CONNECTED);
	assert_ok(chat_whoami(w.client, &who));
	assert_string_equal(who->fingerprint, hex);
	assert_true(who->connected);
	assert_string_equal(who->account, "alice");
	assert_string_equal(who->data_dir, w.dir);
	assert_memory_equal(who->server, "127.0.0.1:", 10);
	assert_int_equal(strlen(who->digits), DIGITS_CHARS);
	assert_memory_equal(who->member_id.b, fake_room.b, CHAT_ID_BYTES);
	chat_whoami_free(who);
	world_fini(&w);
}

/* Who takes long to agree finds that the server has given up waiting: a new connection, and no second
 * question. */
TEST(agreed_late)
{
	struct world w;

	world_init(&w);
	chat_config_set_accept_new(w.config, false);
	w.tuning.trust_fresh_ms = 0;
	world_start(&w);
	peer_accept(&w.peer);
	pass(&w, CHAT_EVENT_CONNECTING);
	pass(&w, CHAT_EVENT_SERVER_UNKNOWN);
	for (uint64_t start = clock_mono_ms(); clock_mono_ms() <= start + 1;)
		;
	assert_ok(chat_trust_server(w.client, true));
	peer_greet(&w.peer);
	peer_say(&w.peer, "c");
	pass(&w, CHAT_EVENT_CONNECTED);
	world_fini(&w);
}

TEST(not_trusted)
{
	struct world w;
	struct chat_event *event;

	world_init(&w);
	chat_config_set_accept_new(w.config, false);
	world_start(&w);
	peer_accept(&w.peer);
	pass(&w, CHAT_EVENT_CONNECTING);
	pass(&w, CHAT_EVENT_SERVER_UNKNOWN);
	assert_ok(chat_trust_server(w.client, false));
	event = expect(&w, CHAT_EVENT_FAILED);
	assert_err(chat_event_err(event), CHAT_ERR_PEER_UNKNOWN);
	chat_event_free(event);
	expect_closed(&w);
	world_fini(&w);
}

TEST(changed_server)
{
	struct world w;
	struct chat_event *event;
	struct digest other = {{1}};
	char *pins = NULL;

	world_init(&w);
	assert_true(asprintf(&pins, "%s/known_servers", w.dir) > 0);
	assert_ok(tls_pins_put(pins, "127.0.0.1", w.peer.port, &other));
	world_start(&w);
	peer_accept(&w.peer);
	pass(&w, CHAT_EVENT_CONNECTING);
	event = expect(&w, CHAT_EVENT_FAILED);
	assert_err(chat_event_err(event), CHAT_ERR_PEER_CHANGED);
	assert_memory_equal(chat_event_mend(event), "chat-client server forget 127.0.0.1 ", 36);
	chat_event_free(event);
	expect_closed(&w);
	chat_client_free(w.client);
	/* The line that mends it does this. */
	assert_ok(chat_forget_server(w.config));
	assert_err(chat_forget_server(w.config), CHAT_ERR_NOT_FOUND);
	world_start(&w);
	peer_greet(&w.peer);
	free(pins);
	world_fini(&w);
}

TEST(password)
{
	struct world w;
	char longest[PASSWORD_MAX_BYTES + 1];

	world_init(&w);
	world_start(&w);
	peer_greet(&w.peer);
	assert_err(chat_give_password(w.client, "x", 1), CHAT_ERR_INVALID);
	peer_say(&w.peer, "p");
	pass(&w, CHAT_EVENT_CONNECTING);
	pass(&w, CHAT_EVENT_PASSWORD_NEEDED);
	memset(longest, 'a', sizeof(longest));
	assert_err(chat_give_password(w.client, longest, sizeof(longest)), CHAT_ERR_INVALID);
	assert_err(chat_give_password(w.client, "", 0), CHAT_ERR_INVALID);
	assert_err(chat_give_password(w.client, NULL, 1), CHAT_ERR_INVALID);
	assert_ok(chat_give_password(w.client, "secret", 6));
	assert_err(chat_give_password(w.client, "secret", 6), CHAT_ERR_INVALID);
	peer_expect(&w.peer, "Wsecret");
	/* A question that went with its connection cannot be answered. */
	peer_say(&w.peer, "p");
	pass(&w, CHAT_EVENT_PASSWORD_NEEDED);
	peer_hang_up(&w.peer);
	pass(&w, CHAT_EVENT_DISCONNECTED);
	assert_err(chat_give_password(w.client, "secret", 6), CHAT_ERR_INVALID);
	world_fini(&w);
}

/* ---- connections lost ---- */

TEST(reconnects)
{
	struct world w;
	struct chat_event *event;
	uint64_t token;

	world_init(&w);
	world_connect(&w);
	token = send_text(&w, "one");
	peer_expect(&w.peer, "Sone");
	peer_hang_up(&w.peer);
	pass(&w, CHAT_EVENT_QUEUED);
	event = expect(&w, CHAT_EVENT_DISCONNECTED);
	assert_err(chat_event_err(event), CHAT_ERR_CLOSED);
	assert_non_null(strstr(chat_event_text(event), "127.0.0.1"));
	assert_in_range(chat_event_number(event), 100, 200);
	chat_event_free(event);
	peer_greet(&w.peer);
	peer_say(&w.peer, "cd");
	pass(&w, CHAT_EVENT_CONNECTING);
	pass(&w, CHAT_EVENT_CONNECTED);
	pass(&w, CHAT_EVENT_SYNCED);
	event = expect(&w, CHAT_EVENT_DONE);
	assert_int_equal(chat_event_token(event), token);
	chat_event_free(event);
	world_fini(&w);
}

TEST(goodbye_with_a_time)
{
	struct world w;
	struct chat_event *event;

	world_init(&w);
	/* The least that the back-off gives is 100 ms: what it says then comes from the server's 70 no more.
	 */
	world_connect(&w);
	peer_say(&w.peer, "g");
	event = expect(&w, CHAT_EVENT_DISCONNECTED);
	assert_err(chat_event_err(event), CHAT_ERR_SHUTDOWN);
	assert_string_equal(chat_event_text(event), "going down");
	assert_in_range(chat_event_number(event), 100, 200);
	chat_event_free(event);
	peer_expect_goodbye(&w.peer);
	world_fini(&w);
}

TEST(nobody_there)
{
	struct world w;
	struct chat_event *event;
	uint64_t last_ms = 0;

	world_init(&w);
	close(w.peer.listen_fd);
	world_start(&w);
	for (int i = 0; i < 3; i++) {
		pass(&w, CHAT_EVENT_CONNECTING);
		event = expect(&w, CHAT_EVENT_DISCONNECTED);
		assert_err(chat_event_err(event), CHAT_ERR_CONNECT);
		assert_in_range(chat_event_number(event), 100u << i, 200u << i);
		assert_true(chat_event_number(event) >= last_ms);
		last_ms = chat_event_number(event);
		chat_event_free(event);
	}
	/* Before it is connected requests are taken, and kept. */
	(void)send_text(&w, "later");
	while (true) {
		enum chat_event_type type;

		event = next(&w);
		type = chat_event_type(event);
		chat_event_free(event);
		if (type == CHAT_EVENT_QUEUED)
			break;
	}
	w.peer.listen_fd = -1;
	world_fini(&w);
}

TEST(without_reconnecting)
{
	struct world w;
	struct chat_event *event;

	world_init(&w);
	chat_config_set_reconnect(w.config, false);
	world_connect(&w);
	peer_hang_up(&w.peer);
	event = expect(&w, CHAT_EVENT_FAILED);
	assert_err(chat_event_err(event), CHAT_ERR_CLOSED);
	chat_event_free(event);
	expect_closed(&w);
	world_fini(&w);
}

/* ---- the end ---- */

/* What came before it, then FAILED, then the DONE of each open request, then nothing. */
TEST(fails_for_good)
{
	struct world w;
	struct chat_event *event;
	struct chat_room_list *rooms;
	uint64_t tokens[3], token;

	world_init(&w);
	world_connect(&w);
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
		assert_ok(chat_who(w.client, &tokens[i]));
	peer_expect(&w.peer, "RRR");
	peer_say(&w.peer, "mf");
	pass(&w, CHAT_EVENT_MESSAGE);
	event = expect(&w, CHAT_EVENT_FAILED);
	assert_err(chat_event_err(event), CHAT_ERR_LOGIN_REFUSED);
	assert_string_equal(chat_event_text(event), "refused");
	assert_string_equal(chat_event_mend(event), "mend it");
	chat_event_free(event);
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		event = expect(&w, CHAT_EVENT_DONE);
		assert_int_equal(chat_event_token(event), tokens[i]);
		assert_err(chat_event_err(event), CHAT_ERR_LOGIN_REFUSED);
		chat_event_free(event);
	}
	expect_closed(&w);
	assert_true(fd_is_readable(&w)); /* for who waits with poll() */
	assert_err(chat_who(w.client, &token), CHAT_ERR_CLOSED);
	assert_err(chat_trust_server(w.client, true), CHAT_ERR_INVALID);
	/* What was known stays known. */
	assert_ok(chat_rooms(w.client, &rooms));
	assert_int_equal(rooms->count, 1);
	chat_room_list_free(rooms);
	world_fini(&w);
}

/* A storage that fails is named. */
TEST(fails_with_its_storage)
{
	struct world w;
	struct chat_event *event;
	char *path = NULL;
	sqlite3 *db = NULL;

	world_init(&w);
	world_connect(&w);
	assert_true(asprintf(&path, "%s/chat.db", w.client->dir.account) > 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "INSERT INTO identity VALUES (1, x'00', x'00', x'00', 0, 0)", NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	peer_say(&w.peer, "i");
	event = expect(&w, CHAT_EVENT_FAILED);
	assert_err(chat_event_err(event), CHAT_ERR_IO);
	assert_memory_equal(chat_event_text(event), path, strlen(path));
	chat_event_free(event);
	expect_closed(&w);
	free(path);
	world_fini(&w);
}

/* Requests that are made while it fails end too: none is forgotten between the queues. */
static void *
ask_until_closed(void *arg)
{
	struct world *w = arg;
	uint64_t token, *count = calloc(1, sizeof(*count));
	enum chat_err err;

	do {
		err = chat_who(w->client, &token);
		if (err == CHAT_OK)
			(*count)++;
	} while (err == CHAT_OK || err == CHAT_ERR_LIMIT);
	if (err != CHAT_ERR_CLOSED)
		abort();
	return count;
}

TEST(fails_while_asked)
{
	struct world w;
	pthread_t thread;
	uint64_t done = 0;
	void *asked = NULL;

	world_init(&w);
	world_connect(&w);
	assert_int_equal(pthread_create(&thread, NULL, ask_until_closed, &w), 0);
	peer_expect(&w.peer, "RRRRRRRR");
	peer_say(&w.peer, "f");
	for (;;) {
		struct chat_event *event = NULL;
		enum chat_err err = chat_next_event(w.client, PATIENCE_MS, &event);

		if (err == CHAT_ERR_CLOSED)
			break;
		assert_ok(err);
		done += chat_event_type(event) == CHAT_EVENT_DONE;
		chat_event_free(event);
	}
	assert_int_equal(pthread_join(thread, &asked), 0);
	assert_int_equal(done, *(uint64_t *)asked);
	free(asked);
	world_fini(&w);
}

/* ---- queues ---- */

TEST(descriptor_tells_the_truth)
{
	struct world w;
	struct chat_event *event = NULL;

	world_init(&w);
	world_connect(&w);
	assert_false(fd_is_readable(&w));
	assert_err(chat_next_event(w.client, 0, &event), CHAT_ERR_TIMEOUT);
	assert_err(chat_next_event(w.client, 5, &event), CHAT_ERR_TIMEOUT);
	peer_say(&w.peer, "mm");
	for (int i = 0; i < 2; i++) {
		struct pollfd p = {.fd = chat_event_fd(w.client), .events = POLLIN};

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_true(fd_is_readable(&w));
		pass(&w, CHAT_EVENT_MESSAGE);
	}
	assert_false(fd_is_readable(&w));
	world_fini(&w);
}

static size_t
box_count(struct world *w)
{
	size_t count;

	(void)pthread_mutex_lock(&w->client->box.mtx);
	count = w->client->box.count;
	(void)pthread_mutex_unlock(&w->client->box.mtx);
	return count;
}

/* A program that takes no events: the queue stays in its bounds, the server is not read, and it is no reason
 * to hang up. */
TEST(queue_is_bounded)
{
	struct world w;
	struct chat_event *event;
	size_t sent = 0, n = 0;
	char messages[16384];

	world_init(&w);
	assert_ok(chat_config_set_event_limit(w.config, 16));
	fake_ping_ms = 40;
	w.tuning.silence_ms = 60; /* after the ping, and before it is dead at 80 */
	world_connect(&w);
	memset(messages, 'm', sizeof(messages));
	for (;;) {
		struct pollfd p = {.fd = w.peer.fd, .events = POLLOUT};
		enum tls_result result = tls_write(w.peer.tls, messages, sizeof(messages), &n);

		sent += n;
		if (result == TLS_WANT_WRITE && poll(&p, 1, 200) == 0)
			break; /* it is stuck: nobody reads */
		assert_true(result == TLS_OK || result == TLS_WANT_WRITE);
		assert_true(sent < 256 * 1024 * 1024);
	}
	assert_true(box_count(&w) <= 16);
	/* It still pings, again and again. */
	peer_expect(&w.peer, "PPPP");
	assert_true(box_count(&w) <= 16);
	/* Nothing is lost: every message in its order, among them what came later. */
	for (uint64_t seq = 1; seq <= 20000; seq++) {
		event = expect(&w, CHAT_EVENT_MESSAGE);
		assert_int_equal(chat_event_seq(event), seq);
		chat_event_free(event);
	}
	world_fini(&w);
	fake_ping_ms = 3600000;
}

TEST(requests_are_bounded)
{
	struct world w;
	uint64_t token;

	world_init(&w);
	world_connect(&w);
	for (int i = 0; i < REQUESTS_OPEN_MAX; i++)
		assert_ok(chat_who(w.client, i % 2 ? &token : NULL));
	assert_err(chat_who(w.client, &token), CHAT_ERR_LIMIT);
	/* mark_read has no end that would have to be waited for. */
	assert_ok(chat_mark_read(w.client, &w.room, 1));
	peer_expect(&w.peer, "RRRRRRRR");
	peer_say(&w.peer, "ddd");
	for (int i = 0; i < 3; i++)
		pass(&w, CHAT_EVENT_DONE);
	for (int i = 0; i < 3; i++)
		assert_ok(chat_who(w.client, &token));
	assert_err(chat_who(w.client, &token), CHAT_ERR_LIMIT);
	world_fini(&w);
}

TEST(work_is_done)
{
	struct world w;

	world_init(&w);
	world_connect(&w);
	for (int i = 0; i < 20; i++)
		peer_say(&w.peer, "www");
	for (int i = 0; i < 60; i++)
		pass(&w, CHAT_EVENT_WARNING);
	peer_say(&w.peer, "wwwwwwwwww"); /* some of it unfinished when it is freed */
	world_fini(&w);
}

/* ---- arguments ---- */

TEST(arguments)
{
	static const char *const good = "bob", *const bad = "Bob", *const none = NULL;
	struct world w;
	struct chat_id unknown = {{1}}, found;
	struct chat_member_list *members = NULL;
	char *longest = malloc(CHAT_TEXT_MAX + 1);
	uint64_t token = 77;

	assert_non_null(longest);
	memset(longest, 'a', CHAT_TEXT_MAX + 1);
	world_init(&w);
	world_connect(&w);
	assert_err(chat_send(w.client, &w.room, "", 0, &token), CHAT_ERR_INVALID);
	assert_err(chat_send(w.client, &w.room, NULL, 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_send(w.client, &w.room, "\xff", 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_send(w.client, &w.room, longest, CHAT_TEXT_MAX + 1, &token), CHAT_ERR_TOO_LONG);
	assert_err(chat_send(w.client, NULL, "x", 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_send(w.client, &unknown, "x", 1, &token), CHAT_ERR_NOT_FOUND);
	assert_err(chat_create(w.client, "", &token), CHAT_ERR_INVALID);
	assert_err(chat_create(w.client, " x", &token), CHAT_ERR_INVALID);
	assert_err(chat_create(w.client, NULL, &token), CHAT_ERR_INVALID);
	assert_err(chat_invite(w.client, &w.room, NULL, 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_invite(w.client, &w.room, &good, 0, &token), CHAT_ERR_INVALID);
	assert_err(chat_invite(w.client, &w.room, &bad, 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_invite(w.client, &w.room, &none, 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_invite(w.client, &unknown, &good, 1, &token), CHAT_ERR_NOT_FOUND);
	assert_err(chat_accept(w.client, &unknown, &token), CHAT_ERR_NOT_FOUND);
	assert_err(chat_decline(w.client, &unknown, &token), CHAT_ERR_NOT_FOUND);
	assert_err(chat_leave(w.client, NULL, &token), CHAT_ERR_INVALID);
	assert_err(chat_kick(w.client, &w.room, "", &token), CHAT_ERR_INVALID);
	assert_err(chat_kick(w.client, &w.room, NULL, &token), CHAT_ERR_INVALID);
	assert_err(chat_set_role(w.client, &w.room, "bob", 0, &token), CHAT_ERR_INVALID);
	assert_err(chat_set_role(w.client, &w.room, "bob", 4, &token), CHAT_ERR_INVALID);
	assert_err(chat_set_topic(w.client, &w.room, NULL, &token), CHAT_ERR_INVALID);
	assert_err(chat_set_topic(w.client, &w.room, "\xc3", &token), CHAT_ERR_INVALID);
	longest[1025] = '\0';
	assert_err(chat_set_topic(w.client, &w.room, longest, &token), CHAT_ERR_TOO_LONG);
	assert_err(chat_set_name(w.client, &w.room, "a\nb", &token), CHAT_ERR_INVALID);
	assert_err(chat_direct(w.client, "no such name!", &token), CHAT_ERR_INVALID);
	assert_err(chat_history(w.client, &w.room, 0, &token), CHAT_ERR_INVALID);
	assert_err(chat_history(w.client, &w.room, 1001, &token), CHAT_ERR_INVALID);
	assert_err(chat_change_password(w.client, "", 0, "x", 1, &token), CHAT_ERR_INVALID);
	assert_err(chat_change_password(w.client, "x", 1, longest, 512, &token), CHAT_ERR_TOO_LONG);
	assert_err(chat_mark_read(w.client, &unknown, 1), CHAT_ERR_NOT_FOUND);
	assert_err(chat_members(w.client, &unknown, &members), CHAT_ERR_NOT_FOUND);
	assert_err(chat_find_room(w.client, "nowhere", &found), CHAT_ERR_NOT_FOUND);
	assert_err(chat_find_room(w.client, NULL, &found), CHAT_ERR_NOT_FOUND);
	/* None of them came as far as the session. */
	assert_int_equal(token, 77);
	assert_ok(chat_direct(w.client, "bob", &token));
	assert_int_equal(token, 1);
	peer_expect(&w.peer, "R");
	free(longest);
	world_fini(&w);
}

TEST(every_request_arrives)
{
	const char *const accounts[] = {"bob", "eve"};
	struct world w;

	world_init(&w);
	world_connect(&w);
	assert_ok(chat_create(w.client, "room", NULL));
	assert_ok(chat_invite(w.client, &w.room, accounts, 2, NULL));
	assert_ok(chat_accept(w.client, &w.room, NULL));
	assert_ok(chat_decline(w.client, &w.room, NULL));
	assert_ok(chat_leave(w.client, &w.room, NULL));
	assert_ok(chat_kick(w.client, &w.room, "bob", NULL));
	assert_ok(chat_set_role(w.client, &w.room, "bob", 2, NULL));
	assert_ok(chat_set_topic(w.client, &w.room, "", NULL));
	assert_ok(chat_set_name(w.client, &w.room, "room", NULL));
	assert_ok(chat_direct(w.client, "bob", NULL));
	assert_ok(chat_history(w.client, &w.room, 1000, NULL));
	assert_ok(chat_who(w.client, NULL));
	assert_ok(chat_change_password(w.client, "old", 3, "new", 3, NULL));
	(void)send_text(&w, "text");
	peer_expect(&w.peer, "RRRRRRRRRRRRRStext");
	peer_say(&w.peer, "dddddddddddddd");
	pass(&w, CHAT_EVENT_QUEUED);
	for (uint64_t token = 1; token <= 14; token++) {
		struct chat_event *event = expect(&w, CHAT_EVENT_DONE);

		assert_int_equal(chat_event_token(event), token);
		chat_event_free(event);
	}
	world_fini(&w);
}

/* ---- what is known ---- */

TEST(queries)
{
	struct world w;
	struct chat_room_list *rooms;
	struct chat_member_list *members;
	struct chat_id found;

	world_init(&w);
	assert_ok(client_new(w.config, &w.tuning, &w.client, NULL));
	assert_ok(chat_rooms(w.client, &rooms)); /* before it is started */
	assert_int_equal(rooms->count, 1);
	assert_string_equal(rooms->room[0].label, "hall");
	assert_string_equal(rooms->room[0].name, "the hall");
	assert_string_equal(rooms->room[0].inviter, "");
	chat_room_list_free(rooms);
	assert_ok(chat_find_room(w.client, "hall", &found));
	assert_memory_equal(found.b, fake_room.b, CHAT_ID_BYTES);
	assert_ok(chat_find_room(w.client, "ABCDef00", &found));
	assert_err(chat_find_room(w.client, "abc", &found), CHAT_ERR_NOT_FOUND);
	assert_err(chat_find_room(w.client, "abce", &found), CHAT_ERR_NOT_FOUND);
	assert_ok(chat_client_start(w.client));
	peer_greet(&w.peer);
	peer_say(&w.peer, "c");
	pass(&w, CHAT_EVENT_CONNECTING);
	pass(&w, CHAT_EVENT_CONNECTED);
	pass(&w, CHAT_EVENT_SYNCED);
	/* Who has read an event finds what it tells of. */
	for (size_t i = 1; i <= 20; i++) {
		peer_say(&w.peer, i % 4 ? "j" : "mj");
		if (i % 4 == 0)
			pass(&w, CHAT_EVENT_MESSAGE);
		pass(&w, CHAT_EVENT_JOINED);
		assert_ok(chat_members(w.client, &w.room, &members));
		assert_int_equal(members->count, 1 + i);
		assert_string_equal(members->member[i].account, "somebody");
		chat_member_list_free(members);
		assert_ok(chat_rooms(w.client, &rooms));
		assert_int_equal(rooms->room[0].head_seq, i + i / 4);
		chat_room_list_free(rooms);
	}
	world_fini(&w);
}

/* ---- many threads ---- */

struct crowd {
	struct world *w;
	atomic_bool stop;
	atomic_uint asked;
};

static void *
crowd_thread(void *arg)
{
	struct crowd *crowd = arg;
	struct world *w = crowd->w;

	while (!atomic_load(&crowd->stop)) {
		struct chat_member_list *members = NULL;
		struct chat_room_list *rooms = NULL;
		struct chat_whoami *who = NULL;
		struct chat_id found;
		enum chat_err err;

		if (chat_send(w->client, &w->room, "x", 1, NULL) == CHAT_OK)
			atomic_fetch_add(&crowd->asked, 1);
		if (chat_rooms(w->client, &rooms) != CHAT_OK ||
		    chat_members(w->client, &w->room, &members) != CHAT_OK ||
		    chat_whoami(w->client, &who) != CHAT_OK ||
		    chat_find_room(w->client, "hall", &found) != CHAT_OK)
			abort();
		err = chat_mark_read(w->client, &w->room, 1);
		if (err != CHAT_OK && err != CHAT_ERR_LIMIT)
			abort();
		chat_room_list_free(rooms);
		chat_member_list_free(members);
		chat_whoami_free(who);
	}
	return NULL;
}

TEST(many_threads)
{
	struct world w;
	struct crowd crowd = {.w = &w};
	pthread_t threads[4];
	unsigned done = 0, said = 0;

	world_init(&w);
	world_connect(&w);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, &crowd), 0);
	for (unsigned round = 0; round <= 300 || done < atomic_load(&crowd.asked); round++) {
		struct chat_event *event = NULL;

		if (round == 300) {
			atomic_store(&crowd.stop, true);
			for (size_t i = 0; i < ARRAY_LEN(threads); i++)
				assert_int_equal(pthread_join(threads[i], NULL), 0);
		}
		/* As a server does: an end to each request that came. */
		while (tls_pending(w.peer.tls) || said * 2 < w.peer.in.len || said < 1) {
			while (w.peer.in.len < 2 * (said + 1))
				assert_true(peer_read(&w.peer));
			assert_memory_equal(w.peer.in.data + (size_t)2 * said, "Sx", 2);
			said++;
			peer_say(&w.peer, "djm");
		}
		while (chat_next_event(w.client, round >= 300 ? 10 : 0, &event) == CHAT_OK) {
			done += chat_event_type(event) == CHAT_EVENT_DONE;
			chat_event_free(event);
		}
		if (round >= 300 && done < atomic_load(&crowd.asked) && said < atomic_load(&crowd.asked))
			assert_true(peer_read(&w.peer));
	}
	assert_int_equal(done, atomic_load(&crowd.asked));
	world_fini(&w);
}

/* ---- configuration ---- */

TEST(configuration)
{
	struct chat_config *config = NULL;
	char longest[SOFTWARE_MAX_BYTES + 2];

	assert_ok(chat_config_new(&config));
	assert_err(chat_config_set_account(config, "Alice"), CHAT_ERR_INVALID);
	assert_err(chat_config_set_account(config, NULL), CHAT_ERR_INVALID);
	assert_err(chat_config_set_server(config, "", NULL), CHAT_ERR_INVALID);
	assert_err(chat_config_set_server(config, NULL, NULL), CHAT_ERR_INVALID);
	assert_err(chat_config_set_server(config, "../x", NULL), CHAT_ERR_INVALID);
	assert_err(chat_config_set_server(config, "h", "0"), CHAT_ERR_INVALID);
	assert_err(chat_config_set_data_dir(config, ""), CHAT_ERR_INVALID);
	assert_err(chat_config_set_data_dir(config, NULL), CHAT_ERR_INVALID);
	memset(longest, 'a', sizeof(longest));
	longest[SOFTWARE_MAX_BYTES + 1] = '\0';
	assert_err(chat_config_set_software(config, longest), CHAT_ERR_INVALID);
	longest[SOFTWARE_MAX_BYTES] = '\0';
	assert_ok(chat_config_set_software(config, longest));
	assert_ok(chat_config_set_software(config, "bot 1"));
	assert_err(chat_config_set_software(config, ""), CHAT_ERR_INVALID);
	assert_err(chat_config_set_fingerprint(config, "abcd"), CHAT_ERR_INVALID);
	assert_err(chat_config_set_fingerprint(config, NULL), CHAT_ERR_INVALID);
	assert_ok(chat_config_set_fingerprint(
	    config, "00:11:22:33:44:55:66:77:88:99:AA:bb:cc:dd:ee:ff:00112233445566778899aabbccddeeff"));
	assert_int_equal(config->fingerprint.b[10], 0xaa);
	assert_err(chat_config_set_event_limit(config, 15), CHAT_ERR_INVALID);
	assert_ok(chat_config_set_event_limit(config, 16));
	assert_err(chat_config_set_event_limit(config, SIZE_MAX), CHAT_ERR_INVALID);
	assert_non_null(strstr(chat_version(), "secure-chat "));
	chat_config_free(config);
}

/* ---- moving an identity ---- */

TEST(identity_moves)
{
	struct world w, other;
	struct stored_identity stored, back;
	struct storage *storage = NULL;
	struct digest pin;
	char *account = NULL, *path = NULL, *pins = NULL, *text = NULL, port[8];

	world_init(&w);
	world_init(&other);
	(void)snprintf(port, sizeof(port), "%u", w.peer.port);
	assert_ok(chat_config_set_server(other.config, "127.0.0.1", port));
	assert_true(asprintf(&path, "%s/moved", w.dir) > 0);
	assert_err(chat_identity_export(w.config, path, "pass", 4, &text), CHAT_ERR_NOT_FOUND);
	assert_non_null(strstr(text, "log in first"));
	free(text);
	assert_true(asprintf(&account, "%s/127.0.0.1:%s/alice", w.dir, port) > 0);
	assert_int_not_equal(access(account, F_OK), 0); /* a look leaves nothing behind */

	world_start(&w); /* makes the folder and pins the server */
	peer_greet(&w.peer);
	chat_client_free(w.client);
	w.client = NULL;
	assert_ok(storage_sqlite_open(account, STORAGE_NO_SLOT, &storage, NULL));
	memset(&stored, 0x5a, sizeof(stored));
	stored.bag_version = 3;
	stored.published = false;
	assert_ok(storage->ops->put_identity(storage, &stored));
	/* One that no server knows yet is not moved: two machines would both publish it. */
	assert_err(chat_identity_export(w.config, path, "pass", 4, NULL), CHAT_ERR_NOT_FOUND);
	stored.published = true;
	assert_ok(storage->ops->put_identity(storage, &stored));
	storage_sqlite_close(storage);
	assert_err(chat_identity_export(w.config, path, "", 0, &text), CHAT_ERR_INVALID);
	free(text);
	assert_ok(chat_identity_export(w.config, path, "pass", 4, &text));
	assert_null(text);
	assert_err(chat_identity_export(w.config, path, "pass", 4, &text), CHAT_ERR_EXISTS);
	free(text);

	assert_err(chat_identity_import(other.config, path, "word", 4, &text), CHAT_ERR_CANNOT_OPEN);
	assert_non_null(strstr(text, path));
	free(text);
	assert_ok(chat_config_set_account(other.config, "bob"));
	assert_err(chat_identity_import(other.config, path, "pass", 4, &text), CHAT_ERR_CONFLICT);
	assert_non_null(strstr(text, "alice on 127.0.0.1"));
	free(text);
	assert_ok(chat_config_set_account(other.config, "alice"));
	assert_ok(chat_identity_import(other.config, path, "pass", 4, &text));
	assert_null(text);
	assert_err(chat_identity_import(other.config, path, "pass", 4, &text), CHAT_ERR_EXISTS);
	free(text);
	free(account);
	assert_true(asprintf(&account, "%s/127.0.0.1:%s/alice", other.dir, port) > 0);
	assert_ok(storage_sqlite_open(account, STORAGE_NO_SLOT, &storage, NULL));
	assert_ok(storage->ops->get_identity(storage, &back));
	assert_memory_equal(&back.root, &stored.root, sizeof(back.root));
	assert_memory_equal(back.realm.b, stored.realm.b, REALM_BYTES);
	assert_int_equal(back.bag_version, 3);
	assert_true(back.published);
	storage_sqlite_close(storage);
	assert_true(asprintf(&pins, "%s/known_servers", other.dir) > 0);
	assert_ok(tls_pins_get(pins, "127.0.0.1", w.peer.port, &pin));
	assert_true(digest_equal(&pin, tls_identity_fingerprint(pair_identity())));
	free(account);
	free(path);
	free(pins);
	world_fini(&w);
	world_fini(&other);
}

/* A pin that is there is not overwritten by a file. */
TEST(identity_with_another_pin)
{
	struct world w;
	struct stored_identity stored;
	struct storage *storage = NULL;
	struct digest one = {{1}}, two = {{2}}, pin;
	char *account = NULL, *path = NULL, *pins = NULL, *text = NULL;

	world_init(&w);
	assert_true(asprintf(&path, "%s/moved", w.dir) > 0);
	assert_true(asprintf(&pins, "%s/known_servers", w.dir) > 0);
	assert_ok(client_new(w.config, &w.tuning, &w.client, NULL));
	assert_true(asprintf(&account, "%s/chat.db", w.client->dir.account) > 0);
	assert_ok(tls_pins_put(pins, "127.0.0.1", w.peer.port, &one));
	memset(&stored, 0x5a, sizeof(stored));
	stored.published = true;
	assert_ok(storage_sqlite_open(w.client->dir.account, STORAGE_NO_SLOT, &storage, NULL));
	assert_ok(storage->ops->put_identity(storage, &stored));
	storage_sqlite_close(storage);
	assert_ok(chat_identity_export(w.config, path, "pass", 4, NULL));
	chat_client_free(w.client);
	w.client = NULL;
	assert_int_equal(unlink(account), 0);
	assert_ok(tls_pins_put(pins, "127.0.0.1", w.peer.port, &two));
	assert_err(chat_identity_import(w.config, path, "pass", 4, &text), CHAT_ERR_CONFLICT);
	assert_non_null(strstr(text, "chat-client server forget 127.0.0.1"));
	assert_ok(tls_pins_get(pins, "127.0.0.1", w.peer.port, &pin));
	assert_true(digest_equal(&pin, &two));
	/* And nothing came in half. */
	assert_err(chat_identity_export(w.config, path, "pass", 4, NULL), CHAT_ERR_NOT_FOUND);
	free(text);
	free(account);
	free(path);
	free(pins);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_hello_and_goodbye),
	    cmocka_unit_test(freed_at_any_time),
	    cmocka_unit_test(needs_account_and_server),
	    cmocka_unit_test(others_can_read_the_directory),
	    cmocka_unit_test(asks_whether_to_trust),
	    cmocka_unit_test(agreed_late),
	    cmocka_unit_test(not_trusted),
	    cmocka_unit_test(changed_server),
	    cmocka_unit_test(password),
	    cmocka_unit_test(reconnects),
	    cmocka_unit_test(goodbye_with_a_time),
	    cmocka_unit_test(nobody_there),
	    cmocka_unit_test(without_reconnecting),
	    cmocka_unit_test(fails_for_good),
	    cmocka_unit_test(fails_with_its_storage),
	    cmocka_unit_test(fails_while_asked),
	    cmocka_unit_test(descriptor_tells_the_truth),
	    cmocka_unit_test(queue_is_bounded),
	    cmocka_unit_test(requests_are_bounded),
	    cmocka_unit_test(work_is_done),
	    cmocka_unit_test(arguments),
	    cmocka_unit_test(every_request_arrives),
	    cmocka_unit_test(queries),
	    cmocka_unit_test(many_threads),
	    cmocka_unit_test(configuration),
	    cmocka_unit_test(identity_moves),
	    cmocka_unit_test(identity_with_another_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
