/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server_rig.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts/passwd_hash.h"
#include "base/log.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "tls/tls.h"
#include "tls/tls_identity.h"

/* ---- the server ---- */

static const char *
password_hash(void)
{
	static char hash[PASSWD_HASH_MAX_BYTES];
	struct passwd_hasher *hasher;

	if (hash[0] == '\0') {
		assert_ok(passwd_hasher_new(&hasher));
		assert_ok(passwd_hash(hasher, BYTES_STR(RIG_PASSWORD), hash));
		passwd_hasher_free(hasher);
	}
	return hash;
}

void
rig_init(struct rig *rig, uint64_t seed)
{
	char error[STORE_ERROR_BYTES], why[TLS_WHY_CHARS], key[512], cert[512], path[512];
	static const struct store_options options;
	bool made;

	*rig = (struct rig){.loops = 1};
	/* A line that a test causes is no news. */
	log_set_level(LOG_ERROR);
	rig->w = (struct world){.seed = seed, .now = clock_now(), .dir = unit_temp_dir()};
	rig->w.random = unit_random(&rig->w.seed);
	rig->limits = server_limits_new();
	assert_non_null(rig->limits);
	rig->limits->connections_max = 256;
	snprintf(path, sizeof path, "%s/chat.db", rig->w.dir);
	assert_ok(store_open(path, &options, &rig->w.store, error));
	snprintf(key, sizeof key, "%s/key.pem", rig->w.dir);
	snprintf(cert, sizeof cert, "%s/cert.pem", rig->w.dir);
	assert_ok(tls_identity_ensure(key, cert, rig->w.now.unix_ms, why, &made));
	assert_ok(tls_identity_load(key, cert, why, &rig->identity));
	snprintf(rig->passwd_path, sizeof rig->passwd_path, "%s/passwd", rig->w.dir);
	assert_ok(mailbox_init(&rig->main_box, 0, 0));
}

void
rig_person(struct rig *rig, struct person *p, const char *name)
{
	person_make(&rig->w, p, name);
	assert_ok(buf_printf(&rig->passwd, "%s:%s:id=%s\n", name, password_hash(), p->id));
}

void
rig_write_passwd(struct rig *rig, const char *locked, const char *missing)
{
	char temporary[520];
	char *text, *line, *save = NULL;
	FILE *file;
	int fd;

	assert_ok(buf_append(&rig->passwd, "", 1));
	text = strdup((char *)rig->passwd.data);
	rig->passwd.len--;
	snprintf(temporary, sizeof temporary, "%s.new", rig->passwd_path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		size_t name_len = strcspn(line, ":");

		if (missing != NULL && strlen(missing) == name_len && memcmp(line, missing, name_len) == 0)
			continue;
		fprintf(file, "%s%s\n", line,
		    locked != NULL && strlen(locked) == name_len && memcmp(line, locked, name_len) == 0
			? ",locked"
			: "");
	}
	free(text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(temporary, rig->passwd_path), 0);
}

void
rig_renew_account(struct rig *rig, const char *name)
{
	char *line = (char *)rig->passwd.data, *id;
	size_t len = strlen(name);

	while (strncmp(line, name, len) != 0 || line[len] != ':')
		line = strchr(line, '\n') + 1;
	id = strstr(line, ":id=") + 4;
	*id = *id == '0' ? '1' : '0';
	rig_write_passwd(rig, NULL, NULL);
}

static void
on_ended(void *ctx, const struct net_addr *peer)
{
	struct rig *rig = ctx;

	(void)peer;
	atomic_fetch_add(&rig->ended, 1);
}

void
rig_start(struct rig *rig)
{
	struct server_config config = {
	    .limits = rig->limits,
	    .store = rig->w.store,
	    .identity = rig->identity,
	    .passwd_path = rig->passwd_path,
	    .software = "chat-server test",
	    .loop_count = rig->loops,
	    .main_mailbox = &rig->main_box,
	    .connection_ended = on_ended,
	    .ctx = rig,
	};

	if (access(rig->passwd_path, F_OK) != 0)
		rig_write_passwd(rig, NULL, NULL);
	assert_ok(server_start(&config, &rig->server));
}

static void *
drain(void *arg)
{
	server_drain(arg);
	return NULL;
}

void
rig_drain(struct rig *rig)
{
	assert_int_equal(pthread_create(&rig->drainer, NULL, drain, rig->server), 0);
	rig->draining = true;
}

void
rig_stop(struct rig *rig)
{
	if (rig->draining)
		pthread_join(rig->drainer, NULL);
	rig->draining = false;
	server_free(rig->server);
	rig->server = NULL;
	assert_int_equal(atomic_load(&rig->ended), rig->accepted);
}

void
rig_end(struct rig *rig)
{
	struct mail *mail;

	rig_stop(rig);
	mailbox_collect(&rig->main_box);
	while ((mail = mailbox_next(&rig->main_box)) != NULL)
		server_status_free((struct server_status_mail *)(void *)mail);
	mailbox_fini(&rig->main_box);
	store_close(rig->w.store);
	tls_identity_unref(rig->identity);
	server_limits_unref(rig->limits);
	buf_fini(&rig->passwd);
	free(rig->w.dir);
}

struct net_addr
rig_addr(uint8_t last)
{
	return (struct net_addr){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last},
	    .port = (uint16_t)(40000 + last)};
}

int
rig_connect_raw(struct rig *rig, uint8_t last)
{
	struct net_addr addr = rig_addr(last);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	if (rig->sndbuf > 0)
		assert_int_equal(
		    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &rig->sndbuf, sizeof rig->sndbuf), 0);
	rig->accepted++;
	server_accept(rig->server, fds[0], &addr);
	return fds[1];
}

/* ---- what takes several ---- */

void
rig_publish(struct rig *rig, const struct person *p)
{
	struct peer peer = {0};

	peer_open(rig, &peer, 1);
	peer_expect(&peer, peer_hello(&peer), CHAT__V1__SERVER_FRAME__BODY_HELLO_OK);
	peer_expect(&peer, peer_password(&peer, p->identity.account.s, RIG_PASSWORD),
	    CHAT__V1__SERVER_FRAME__BODY_PASSWORD_OK);
	peer_expect(&peer, peer_publish(&peer, p), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_close(&peer);
}

void
peer_login(struct rig *rig, struct peer *peer, const struct person *p, uint8_t last)
{
	peer_open(rig, peer, last);
	peer_expect(peer, peer_hello(peer), CHAT__V1__SERVER_FRAME__BODY_HELLO_OK);
	peer_expect(peer, peer_key(peer, p, 0), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK);
}

void
rig_room(
    struct rig *rig, struct copy *c, struct peer *const *peers, struct person *const *members, size_t count)
{
	struct draft d = {0};

	copy_init(&rig->w, c);
	draft_create(&rig->w, &d, members[0], c);
	peer_expect(peers[0], peer_post(peers[0], &d, NULL), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	for (size_t i = 1; i < count; i++) {
		draft_invite(&rig->w, &d, members[0], c, members[i]);
		peer_expect(
		    peers[0], peer_post(peers[0], &d, &c->room_id), CHAT__V1__SERVER_FRAME__BODY_POSTED);
		draft_simple(&rig->w, &d, members[i], c, EVENT_JOIN);
		peer_expect(
		    peers[i], peer_post(peers[i], &d, &c->room_id), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	}
	draft_rekey(&rig->w, &d, members[0], c);
	peer_expect(peers[0], peer_post(peers[0], &d, &c->room_id), CHAT__V1__SERVER_FRAME__BODY_POSTED);
}
