/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "villain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/mailbox.h"
#include "proto/frame.h"
#include "server/conn.h"
#include "server/server.h"
#include "server/session.h"
#include "store/store.h"
#include "tls/tls_identity.h"

struct villain {
	char *dir;
	struct host *host;
	struct store *store;
	struct tls_identity *identity;
	struct server_limits *limits;
	struct server *server;
	struct mailbox main_box;
	int listen_fd, stop_fd;
	pthread_t acceptor;
};

/* There is one villain, for the two functions know no other way to find it. */
static struct lie {
	pthread_mutex_t lie_mtx;
	char account[ACCOUNT_MAX_BYTES + 1]; /* lock: lie_mtx, like all here */
	tongue_fn tongue;
	ear_fn ear;
	void *ctx;
} lie = {.lie_mtx = PTHREAD_MUTEX_INITIALIZER};

struct mouth {
	struct buf said;
	bool cut;
};

void
mouth_say(struct mouth *mouth, const Chat__V1__ServerFrame *frame)
{
	assert_ok(frame_encode_server(frame, &mouth->said));
}

void
mouth_say_bytes(struct mouth *mouth, struct bytes b)
{
	assert_ok(buf_append(&mouth->said, b.data, b.len));
}

void
mouth_cut(struct mouth *mouth)
{
	mouth->cut = true;
}

/* ---- in front of the server's own ---- */

void __real_conn_send(struct conn *c, struct frame_ref *frame);
void __wrap_conn_send(struct conn *c, struct frame_ref *frame);
void __real_session_request(struct conn *c, enum request_type type, const Chat__V1__ClientFrame *frame);
void __wrap_session_request(struct conn *c, enum request_type type, const Chat__V1__ClientFrame *frame);

static bool
is_for(const struct conn *c)
{
	return strcmp(c->account.s, lie.account) == 0;
}

static void
say(struct conn *c, struct mouth *mouth)
{
	struct frame_ref *ref;

	if (mouth->said.len > 0) {
		ref = frame_ref_new(mouth->said.len);
		assert_non_null(ref);
		memcpy(ref->data, mouth->said.data, mouth->said.len);
		__real_conn_send(c, ref);
	}
	if (mouth->cut)
		conn_drop(c, "villain");
	buf_fini(&mouth->said);
}

/* One frame after the other through the tongue. */
static void
twist(struct bytes frames, struct mouth *mouth)
{
	struct arena arena;

	frame_arena_init(&arena);
	while (frames.len > 0 && !mouth->cut) {
		const Chat__V1__ServerFrame *frame = NULL;
		struct bytes body;
		size_t n = 0;

		assert_ok(frame_split(frames, FRAME_MAX_AFTER_LOGIN, &body, &n));
		assert_ok(frame_decode_server(body, &arena, &frame));
		if (!lie.tongue(lie.ctx, frame, mouth))
			mouth_say_bytes(mouth, BYTES(frames.data, n));
		frames = BYTES(frames.data + n, frames.len - n);
		arena_reset(&arena);
	}
	arena_fini(&arena);
}

void
__wrap_conn_send(struct conn *c, struct frame_ref *frame)
{
	struct mouth mouth = {.cut = false};
	bool lied;

	pthread_mutex_lock(&lie.lie_mtx);
	lied = lie.tongue != NULL && is_for(c);
	if (lied)
		twist(BYTES(frame->data, frame->len), &mouth);
	pthread_mutex_unlock(&lie.lie_mtx);
	if (!lied) {
		__real_conn_send(c, frame);
		return;
	}
	frame_ref_unref(frame);
	say(c, &mouth);
}

void
__wrap_session_request(struct conn *c, enum request_type type, const Chat__V1__ClientFrame *frame)
{
	struct mouth mouth = {.cut = false};
	bool deaf;

	pthread_mutex_lock(&lie.lie_mtx);
	deaf = lie.ear != NULL && is_for(c) && lie.ear(lie.ctx, frame, &mouth);
	pthread_mutex_unlock(&lie.lie_mtx);
	if (!deaf)
		__real_session_request(c, type, frame);
	say(c, &mouth);
}

void
villain_lie(struct villain *villain, const char *account, tongue_fn tongue, ear_fn ear, void *ctx)
{
	(void)villain;
	pthread_mutex_lock(&lie.lie_mtx);
	snprintf(lie.account, sizeof(lie.account), "%s", account);
	lie.tongue = tongue;
	lie.ear = ear;
	lie.ctx = ctx;
	pthread_mutex_unlock(&lie.lie_mtx);
}

void
villain_be_honest(struct villain *villain)
{
	villain_lie(villain, "", NULL, NULL, NULL);
}

/* ---- the rest of a server ---- */

static void *
accept_all(void *arg)
{
	struct villain *villain = arg;
	struct pollfd fds[] = {
	    {.fd = villain->listen_fd, .events = POLLIN}, {.fd = villain->stop_fd, .events = POLLIN}};

	for (;;) {
		struct net_addr peer = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
		int fd;

		if (poll(fds, 2, -1) < 0 && errno == EINTR)
			continue;
		if (fds[1].revents != 0)
			return NULL;
		fd = accept4(villain->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			server_accept(villain->server, fd, &peer);
	}
}

static uint16_t
listen_somewhere(struct villain *villain)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int on = 1;

	villain->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(villain->listen_fd >= 0);
	/* So that somebody else can take the port when this has ended. */
	assert_int_equal(setsockopt(villain->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(villain->listen_fd, (const void *)&at, sizeof(at)), 0);
	assert_int_equal(listen(villain->listen_fd, 64), 0);
	assert_int_equal(getsockname(villain->listen_fd, (void *)&at, &len), 0);
	return ntohs(at.sin_port);
}

static void
start_server(struct villain *villain, const char *passwd_path)
{
	static const struct store_options options;
	char error[STORE_ERROR_BYTES], why[TLS_WHY_CHARS], db[512], key[512], cert[512];
	bool made;

	snprintf(db, sizeof(db), "%s/chat.db", villain->dir);
	snprintf(key, sizeof(key), "%s/key.pem", villain->dir);
	snprintf(cert, sizeof(cert), "%s/cert.pem", villain->dir);
	assert_ok(store_open(db, &options, &villain->store, error));
	assert_ok(tls_identity_ensure(key, cert, clock_now().unix_ms, why, &made));
	assert_ok(tls_identity_load(key, cert, why, &villain->identity));
	assert_ok(mailbox_init(&villain->main_box, 0, 0));
	villain->limits = server_limits_new();
	assert_non_null(villain->limits);
	assert_ok(server_start(
	    &(const struct server_config){
		.limits = villain->limits,
		.store = villain->store,
		.identity = villain->identity,
		.passwd_path = passwd_path,
		.software = "chat-server, it says",
		.loop_count = 2,
		.main_mailbox = &villain->main_box,
	    },
	    &villain->server));
}

struct villain *
villain_start(const char *const *accounts)
{
	struct villain *villain = calloc(1, sizeof(*villain));
	char passwd_path[512];

	assert_non_null(villain);
	/* What a lie causes is no news. */
	log_set_level(LOG_ERROR);
	villain->dir = unit_temp_dir();
	snprintf(passwd_path, sizeof(passwd_path), "%s/passwd", villain->dir);
	host_write_passwords_to(passwd_path, accounts, NULL);
	start_server(villain, passwd_path);
	villain->host = host_at(listen_somewhere(villain));
	villain->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(villain->stop_fd >= 0);
	assert_int_equal(pthread_create(&villain->acceptor, NULL, accept_all, villain), 0);
	return villain;
}

struct host *
villain_host(struct villain *villain)
{
	return villain->host;
}

void
villain_stop(struct villain *villain)
{
	uint64_t one = 1;

	assert_int_equal(write(villain->stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(villain->acceptor, NULL);
	villain_be_honest(villain);
	close(villain->stop_fd);
	close(villain->listen_fd);
	server_free(villain->server);
	mailbox_fini(&villain->main_box);
	store_close(villain->store);
	tls_identity_unref(villain->identity);
	server_limits_unref(villain->limits);
	host_forget(villain->host);
	free(villain->dir);
	free(villain);
}
