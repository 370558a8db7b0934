/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/loop_thread.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "base/log.h"
#include "base/random.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "server/audit.h"
#include "server/conn.h"
#include "server/engine_thread.h"
#include "server/kdf.h"
#include "server/loop_mail.h"
#include "server/outcome.h"
#include "server/read_run.h"
#include "server/server.h"
#include "server/session.h"
#include "server/sub.h"

#define NO_SLOT UINT32_MAX

/* A crowd that was sent away comes back spread over this long. */
#define COME_BACK_MIN_MS 200
#define COME_BACK_MAX_MS 3000

static void on_mail(struct loop *loop, struct mail *mail, void *ctx);

/* ---- slots ---- */

struct conn *
loop_thread_conn(const struct loop_thread *lt, struct conn_ref ref)
{
	const struct conn_slot *slot;

	assert(ref.loop == lt->index && ref.slot < lt->shared->slot_count);
	slot = &lt->slots[ref.slot];
	return slot->generation == ref.generation ? slot->conn : NULL;
}

bool
loop_thread_enter(struct loop_thread *lt, struct conn *conn)
{
	uint32_t i = lt->first_free;
	struct conn_slot *slot;

	if (i == NO_SLOT)
		return false;
	slot = &lt->slots[i];
	lt->first_free = slot->next_free;
	slot->conn = conn;
	/* 0 is no connection's. */
	if (++slot->generation == 0)
		slot->generation = 1;
	conn->ref = (struct conn_ref){.loop = lt->index, .slot = i, .generation = slot->generation};
	TAILQ_INSERT_TAIL(&lt->conns, conn, link);
	return true;
}

void
loop_thread_leave(struct loop_thread *lt, struct conn *conn)
{
	struct conn_slot *slot = &lt->slots[conn->ref.slot];

	assert(slot->conn == conn);
	TAILQ_REMOVE(&lt->conns, conn, link);
	slot->conn = NULL;
	slot->next_free = lt->first_free;
	lt->first_free = conn->ref.slot;
}

/* ---- the password file ---- */

const struct passwd_table *
loop_thread_look(struct loop_thread *lt)
{
	struct passwd_table *table;
	struct command *cmd;
	struct passwd_why why;

	switch (passwd_watch_check(lt->shared->watch, &table, &why)) {
	case PASSWD_SAME:
		break;
	case PASSWD_NEW:
		audit_passwords_loaded(passwd_table_count(table));
		break;
	case PASSWD_BAD:
		audit_passwords_bad(&why);
		break;
	}
	/* Each loop tells the engine, so that what it posts next is judged by no older table.  An empty one
	 * from before the first good look is not told: it would end every account. */
	if (passwd_table_serial(table) > passwd_table_serial(lt->table)) {
		cmd = command_new(CMD_ACCOUNTS, (struct conn_ref){.loop = lt->index}, 0, 0);
		if (cmd == NULL) {
			passwd_table_unref(table);
			return lt->table;
		}
		cmd->accounts.table = passwd_table_ref(table);
		engine_thread_post_always(lt->shared->engine, cmd);
	}
	passwd_table_unref(lt->table);
	lt->table = table;
	return table;
}

static void
on_look_timer(struct wheel_timer *timer)
{
	struct loop_thread *lt = CONTAINER_OF(timer, struct loop_thread, look_timer);

	(void)loop_thread_look(lt);
	wheel_set(loop_wheel(lt->loop), timer, loop_now(lt->loop).mono_ms + LOOK_INTERVAL_MS, on_look_timer);
}

/* ---- the end ---- */

static void
be_quiet(struct loop_thread *lt)
{
	struct conn *c, *next;

	lt->quiet = true;
	TAILQ_FOREACH_SAFE (c, &lt->conns, link, next) {
		if (c->state == CONN_HANDSHAKE)
			conn_drop(c, "shutdown");
		else
			conn_touch(c);
	}
}

static void
on_finish_timer(struct wheel_timer *timer)
{
	struct loop_thread *lt = CONTAINER_OF(timer, struct loop_thread, finish_timer);
	struct conn *c;

	while ((c = TAILQ_FIRST(&lt->conns)) != NULL)
		conn_drop(c, "shutdown");
	loop_stop(lt->loop);
}

static void
finish(struct loop_thread *lt)
{
	uint64_t now_ms = loop_now(lt->loop).mono_ms;
	struct conn *c, *next;
	uint32_t jitter;

	lt->quiet = true;
	lt->finishing = true;
	wheel_cancel(loop_wheel(lt->loop), &lt->look_timer);
	wheel_set(loop_wheel(lt->loop), &lt->finish_timer, now_ms + SERVER_DRAIN_MS, on_finish_timer);
	TAILQ_FOREACH_SAFE (c, &lt->conns, link, next) {
		random_bytes(&jitter, sizeof jitter);
		conn_goodbye(c, CHAT_ERR_SHUTDOWN, NULL,
		    COME_BACK_MIN_MS + jitter % (COME_BACK_MAX_MS - COME_BACK_MIN_MS), "shutdown");
	}
	if (TAILQ_EMPTY(&lt->conns))
		loop_stop(lt->loop);
}

static void
pass_barrier(struct loop_barrier *barrier)
{
	pthread_mutex_lock(&barrier->barrier_mtx);
	if (--barrier->missing == 0)
		pthread_cond_signal(&barrier->barrier_cond);
	pthread_mutex_unlock(&barrier->barrier_mtx);
}

/* ---- mail ---- */

static void
take_outcomes(struct loop_thread *lt, struct outcomes_mail *mail)
{
	struct outcome *outcome;

	while ((outcome = mail->list) != NULL) {
		mail->list = outcome->next;
		outcome->next = NULL;
		if (outcome->type == OUT_ENTRIES) {
			sub_entries(lt, outcome);
		} else {
			struct conn *c = loop_thread_conn(lt, outcome->to);

			if (c != NULL)
				session_outcome(c, outcome);
		}
		outcome_free(outcome);
	}
	free(mail);
}

static void
take_read(struct loop_thread *lt, struct read_result *result)
{
	struct conn *c = loop_thread_conn(lt, result->conn);

	if (c != NULL && result->kind == READ_RANGE)
		sub_read_done(c, result);
	else if (c != NULL)
		session_read_done(c, result);
	read_result_free(result);
}

static void
take_kdf(struct loop_thread *lt, struct kdf_job *job)
{
	struct conn *c = loop_thread_conn(lt, job->conn);

	if (c != NULL)
		session_kdf_done(c, job);
	kdf_job_free(job);
}

static void
take_limits(struct loop_thread *lt, struct limits_mail *mail)
{
	struct conn *c;

	server_limits_unref(lt->limits);
	lt->limits = mail->limits;
	free(mail);
	TAILQ_FOREACH (c, &lt->conns, link)
		conn_touch(c);
}

static void
on_mail(struct loop *loop, struct mail *mail, void *ctx)
{
	struct loop_thread *lt = ctx;
	void *whole = mail; /* the mail is at its head */

	(void)loop;
	switch ((enum loop_mail_tag)mail->tag) {
	case LOOP_MAIL_ACCEPT: {
		struct accept_mail *accepted = whole;

		conn_open(lt, accepted->fd, &accepted->peer);
		free(accepted);
		break;
	}
	case LOOP_MAIL_OUTCOMES:
		take_outcomes(lt, whole);
		break;
	case LOOP_MAIL_READ:
		take_read(lt, whole);
		break;
	case LOOP_MAIL_KDF:
		take_kdf(lt, whole);
		break;
	case LOOP_MAIL_LIMITS:
		take_limits(lt, whole);
		break;
	case LOOP_MAIL_LOOK:
		(void)loop_thread_look(lt);
		free(mail);
		break;
	case LOOP_MAIL_BARRIER: {
		struct barrier_mail *barrier = whole;

		pass_barrier(barrier->barrier);
		free(barrier);
		break;
	}
	case LOOP_MAIL_QUIET:
		be_quiet(lt);
		free(mail);
		break;
	case LOOP_MAIL_FINISH:
		finish(lt);
		free(mail);
		break;
	}
}

/* ---- life ---- */

enum chat_err
loop_thread_new(
    const struct loop_shared *shared, uint16_t index, struct server_limits *limits, struct loop_thread **ret)
{
	struct loop_thread *lt = calloc(1, sizeof *lt);
	enum chat_err err = CHAT_ERR_NOMEM;

	if (lt == NULL)
		return CHAT_ERR_NOMEM;
	lt->shared = shared;
	lt->index = index;
	lt->limits = server_limits_ref(limits);
	TAILQ_INIT(&lt->conns);
	TAILQ_INIT(&lt->handshakes);
	frame_arena_init(&lt->arena);
	lt->table = passwd_watch_table(shared->watch);
	lt->slots = calloc(shared->slot_count, sizeof *lt->slots);
	lt->in = malloc(LOOP_IN_BYTES);
	lt->out = malloc(OUT_GATHER_BYTES);
	lt->readahead.data = malloc(LOOP_READAHEAD_BYTES);
	lt->readahead.cap = LOOP_READAHEAD_BYTES;
	if (lt->slots == NULL || lt->in == NULL || lt->out == NULL || lt->readahead.data == NULL)
		goto fail;
	for (uint32_t i = 0; i < shared->slot_count; i++)
		lt->slots[i].next_free = i + 1 < shared->slot_count ? i + 1 : NO_SLOT;
	err = loop_new(on_mail, lt, &lt->loop);
	if (err != CHAT_OK)
		goto fail;
	*ret = lt;
	return CHAT_OK;
fail:
	loop_thread_free(lt);
	return err;
}

static void *
run(void *arg)
{
	struct loop_thread *lt = arg;
	enum chat_err err = loop_run(lt->loop);

	/* epoll_wait() fails only for what is our own mistake. */
	if (err != CHAT_OK) {
		log_event(
		    LOG_ERROR, "loop_failed", LOG_UINT("loop", lt->index), LOG_STR("text", strerror(errno)));
		abort();
	}
	return NULL;
}

enum chat_err
loop_thread_start(struct loop_thread *lt)
{
	char name[16];
	int failed;

	if (lt->index == 0)
		wheel_set(loop_wheel(lt->loop), &lt->look_timer,
		    loop_now(lt->loop).mono_ms + LOOK_INTERVAL_MS, on_look_timer);
	failed = pthread_create(&lt->thread, NULL, run, lt);
	if (failed != 0) {
		errno = failed;
		return CHAT_ERR_IO;
	}
	snprintf(name, sizeof name, "loop%u", lt->index);
	pthread_setname_np(lt->thread, name);
	lt->started = true;
	return CHAT_OK;
}

void
loop_thread_join(struct loop_thread *lt)
{
	if (!lt->started)
		return;
	pthread_join(lt->thread, NULL);
	lt->started = false;
}

void
loop_thread_free(struct loop_thread *lt)
{
	if (lt == NULL)
		return;
	assert(!lt->started && TAILQ_EMPTY(&lt->conns));
	lt->quiet = true;
	if (lt->loop != NULL) {
		/* What still came for it is taken, and finds no connection. */
		mailbox_close(loop_mailbox(lt->loop));
		loop_free(lt->loop);
	}
	map_fini(&lt->sub_rooms);
	outq_pool_fini(&lt->outq_pool);
	arena_fini(&lt->arena);
	passwd_table_unref(lt->table);
	server_limits_unref(lt->limits);
	free(lt->slots);
	free(lt->in);
	free(lt->out);
	free(lt->readahead.data);
	free(lt);
}
