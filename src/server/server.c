/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/server.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/limits.h"
#include "server/audit.h"
#include "server/engine_thread.h"
#include "server/kdf.h"
#include "server/login_delay.h"
#include "server/loop_mail.h"
#include "server/loop_thread.h"
#include "server/readers.h"
#include "tls/tls_identity.h"

struct server {
	struct loop_shared shared; /* immutable once loops run */
	struct mailbox **boxes;    /* immutable: of the loops */
	struct loop_thread **loops;
	uint16_t loop_count;
	struct server_limits *limits; /* a reference */
	bool drained;
};

void
server_status_free(struct server_status_mail *status)
{
	if (status == NULL)
		return;
	buf_fini(&status->text);
	free(status);
}

/* ---- starting ---- */

static enum chat_err
make_loops(struct server *server, const struct server_config *config)
{
	server->loops = calloc(config->loop_count, sizeof(struct loop_thread *));
	server->boxes = calloc(config->loop_count, sizeof(struct mailbox *));
	if (server->loops == NULL || server->boxes == NULL)
		return CHAT_ERR_NOMEM;
	for (; server->loop_count < config->loop_count; server->loop_count++) {
		uint16_t i = server->loop_count;
		enum chat_err err = loop_thread_new(&server->shared, i, config->limits, &server->loops[i]);

		if (err != CHAT_OK)
			return err;
		server->boxes[i] = loop_mailbox(server->loops[i]->loop);
	}
	return CHAT_OK;
}

/* The first look, before there is a loop to do it. */
static enum chat_err
look_at_passwords(struct server *server)
{
	struct passwd_table *table;
	struct passwd_why why;
	struct command *cmd;

	switch (passwd_watch_check(server->shared.watch, &table, &why)) {
	case PASSWD_SAME:
		break;
	case PASSWD_NEW:
		audit_passwords_loaded(passwd_table_count(table));
		break;
	case PASSWD_BAD:
		/* No file is a server without accounts, and main has said so. */
		if (why.err != CHAT_ERR_NOT_FOUND)
			audit_passwords_bad(&why);
		break;
	}
	if (passwd_table_serial(table) == 0) {
		passwd_table_unref(table);
		return CHAT_OK;
	}
	cmd = command_new(CMD_ACCOUNTS, (struct conn_ref){0}, 0, 0);
	if (cmd == NULL) {
		passwd_table_unref(table);
		return CHAT_ERR_NOMEM;
	}
	cmd->accounts.table = table;
	engine_thread_post_always(server->shared.engine, cmd);
	return CHAT_OK;
}

static enum chat_err
make_parts(struct server *server, const struct server_config *config)
{
	struct loop_shared *shared = &server->shared;
	enum chat_err err;

	err = passwd_watch_new(config->passwd_path, &shared->watch);
	if (err == CHAT_OK)
		err = login_delay_new(&shared->login_delay);
	if (err == CHAT_OK)
		err = make_loops(server, config);
	if (err == CHAT_OK)
		err = readers_new(config->store, server->boxes, server->loop_count, &shared->readers);
	if (err == CHAT_OK)
		err = engine_thread_new(
		    &(const struct engine_thread_config){
			.store = config->store,
			.limits = config->limits,
			.readers = shared->readers,
			.loops = server->boxes,
			.loop_count = server->loop_count,
			.slots_per_loop = shared->slot_count,
			.main_mailbox = config->main_mailbox,
		    },
		    &shared->engine);
	return err;
}

static enum chat_err
start_threads(struct server *server, const struct server_config *config)
{
	struct loop_shared *shared = &server->shared;
	enum chat_err err;

	err = look_at_passwords(server);
	if (err == CHAT_OK)
		err = kdf_start(
		    &(const struct kdf_config){
			.passwd_path = config->passwd_path,
			.thread_count = KDF_THREADS,
			.queue_max = config->limits->kdf_queue_max,
			.loops = server->boxes,
			.loop_count = server->loop_count,
		    },
		    &shared->kdf);
	if (err == CHAT_OK)
		err = readers_start(shared->readers);
	if (err == CHAT_OK)
		err = engine_thread_start(shared->engine);
	for (uint16_t i = 0; i < server->loop_count && err == CHAT_OK; i++)
		err = loop_thread_start(server->loops[i]);
	return err;
}

enum chat_err
server_start(const struct server_config *config, struct server **ret)
{
	struct server *server = calloc(1, sizeof *server);
	enum chat_err err;

	assert(config->loop_count >= 1);
	if (server == NULL)
		return CHAT_ERR_NOMEM;
	server->limits = server_limits_ref(config->limits);
	server->shared.store = config->store;
	server->shared.identity = tls_identity_ref(config->identity);
	server->shared.software = config->software;
	server->shared.slot_count = config->limits->connections_max;
	server->shared.connection_ended = config->connection_ended;
	server->shared.ctx = config->ctx;
	err = make_parts(server, config);
	if (err == CHAT_OK)
		err = start_threads(server, config);
	if (err != CHAT_OK) {
		server_free(server);
		return err;
	}
	*ret = server;
	return CHAT_OK;
}

/* ---- while it runs ---- */

static void
refuse(struct server *server, int fd, const struct net_addr *peer)
{
	close(fd);
	if (server->shared.connection_ended != NULL)
		server->shared.connection_ended(server->shared.ctx, peer);
}

void
server_accept(struct server *server, int fd, const struct net_addr *peer)
{
	struct accept_mail *mail = calloc(1, sizeof *mail);
	struct loop_thread *least = server->loops[0];

	for (uint16_t i = 1; i < server->loop_count; i++)
		if (atomic_load(&server->loops[i]->conn_count) < atomic_load(&least->conn_count))
			least = server->loops[i];
	if (mail == NULL || server->drained) {
		free(mail);
		refuse(server, fd, peer);
		return;
	}
	mail->mail.tag = LOOP_MAIL_ACCEPT;
	mail->fd = fd;
	mail->peer = *peer;
	atomic_fetch_add(&least->conn_count, 1);
	if (!mailbox_post(server->boxes[least->index], &mail->mail))
		assert(false); /* it is closed after the end */
}

/* Posts a mail that says all by its tag.  Without memory for it the caller looks again later, or has other
 * means. */
static bool
post_tag(struct server *server, uint16_t loop, enum loop_mail_tag tag)
{
	struct mail *mail = calloc(1, sizeof *mail);

	if (mail == NULL)
		return false;
	mail->tag = tag;
	if (!mailbox_post(server->boxes[loop], mail))
		assert(false); /* as above */
	return true;
}

void
server_reload(struct server *server, struct server_limits *limits)
{
	server_limits_unref(server->limits);
	server->limits = server_limits_ref(limits);
	for (uint16_t i = 0; i < server->loop_count; i++) {
		struct limits_mail *mail = calloc(1, sizeof *mail);

		if (mail == NULL)
			continue; /* that loop goes on with the old ones */
		mail->mail.tag = LOOP_MAIL_LIMITS;
		mail->limits = server_limits_ref(limits);
		if (!mailbox_post(server->boxes[i], &mail->mail))
			assert(false); /* as above */
	}
	if (engine_thread_reconfigure(server->shared.engine, limits) != CHAT_OK)
		audit_limit(NULL, BYTES_EMPTY, "memory");
}

void
server_look_at_passwords(struct server *server)
{
	(void)post_tag(server, 0, LOOP_MAIL_LOOK);
}

enum chat_err
server_status(struct server *server, enum status_what what, void *token)
{
	struct command *cmd;

	if (server->drained)
		return CHAT_ERR_CLOSED;
	cmd = command_new(CMD_STATUS, (struct conn_ref){0}, 0, 0);
	if (cmd == NULL)
		return CHAT_ERR_NOMEM;
	cmd->status.token = token;
	cmd->status.what = what;
	engine_thread_post_always(server->shared.engine, cmd);
	return CHAT_OK;
}

uint32_t
server_connection_count(const struct server *server)
{
	uint32_t count = 0;

	for (uint16_t i = 0; i < server->loop_count; i++)
		count += atomic_load(&server->loops[i]->conn_count);
	return count;
}

uint64_t
server_hash_count(const struct server *server)
{
	return kdf_hash_count(server->shared.kdf);
}

enum chat_err
server_append_queues(const struct server *server, struct buf *text)
{
	struct passwd_table *table = passwd_watch_table(server->shared.watch);
	size_t accounts = passwd_table_count(table);
	struct passwd_why why = {.text = "ok"};

	passwd_table_unref(table);
	(void)passwd_watch_complaint(server->shared.watch, &why);
	return buf_printf(text,
	    "accounts=%zu\npassword_file_state=%s\nconnections=%u\nengine_queue=%zu\nreader_queue=%zu\n"
	    "kdf_queue=%zu\npassword_hashes=%" PRIu64 "\n",
	    accounts, why.text, server_connection_count(server), engine_thread_waiting(server->shared.engine),
	    readers_waiting(server->shared.readers), kdf_waiting(server->shared.kdf), server_hash_count(server));
}

/* ---- the end ---- */

/* Waits until every loop has worked off what was posted to it before. */
static void
wait_for_loops(struct server *server)
{
	struct loop_barrier barrier = {.missing = 0};

	pthread_mutex_init(&barrier.barrier_mtx, NULL);
	pthread_cond_init(&barrier.barrier_cond, NULL);
	pthread_mutex_lock(&barrier.barrier_mtx);
	for (uint16_t i = 0; i < server->loop_count; i++) {
		struct barrier_mail *mail;

		if (!server->loops[i]->started)
			continue;
		mail = calloc(1, sizeof *mail);
		if (mail == NULL)
			continue; /* its last answers may be lost, as if the line had been cut */
		mail->mail.tag = LOOP_MAIL_BARRIER;
		mail->barrier = &barrier;
		barrier.missing++;
		if (!mailbox_post(server->boxes[i], &mail->mail))
			assert(false); /* as above */
	}
	while (barrier.missing > 0)
		pthread_cond_wait(&barrier.barrier_cond, &barrier.barrier_mtx);
	pthread_mutex_unlock(&barrier.barrier_mtx);
	pthread_cond_destroy(&barrier.barrier_cond);
	pthread_mutex_destroy(&barrier.barrier_mtx);
}

/*
 * From the loops' requests to the loops' answers, one part after the other: when a part is stopped nobody
 * before it puts anything in any more, and what it has made lies in the mailboxes behind it.
 */
void
server_drain(struct server *server)
{
	struct loop_shared *shared = &server->shared;

	if (server->drained)
		return;
	server->drained = true;
	for (uint16_t i = 0; i < server->loop_count; i++)
		(void)post_tag(server, i, LOOP_MAIL_QUIET);
	wait_for_loops(server);
	if (shared->kdf != NULL)
		kdf_stop(shared->kdf);
	wait_for_loops(server);
	if (shared->engine != NULL)
		engine_thread_stop(shared->engine);
	if (shared->readers != NULL)
		readers_stop(shared->readers);
	for (uint16_t i = 0; i < server->loop_count; i++) {
		/* Without it the thread would never end: then its memory has to come from somewhere. */
		while (server->loops[i]->started && !post_tag(server, i, LOOP_MAIL_FINISH))
			usleep(1000);
	}
	for (uint16_t i = 0; i < server->loop_count; i++)
		loop_thread_join(server->loops[i]);
}

void
server_free(struct server *server)
{
	if (server == NULL)
		return;
	server_drain(server);
	for (uint16_t i = 0; i < server->loop_count; i++)
		loop_thread_free(server->loops[i]);
	engine_thread_free(server->shared.engine);
	readers_free(server->shared.readers);
	kdf_free(server->shared.kdf);
	login_delay_free(server->shared.login_delay);
	passwd_watch_free(server->shared.watch);
	tls_identity_unref(server->shared.identity);
	server_limits_unref(server->limits);
	free(server->loops);
	free(server->boxes);
	free(server);
}
