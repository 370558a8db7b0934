/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/engine_thread.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "accounts/passwd_file.h"
#include "base/clock.h"
#include "proto/limits.h"
#include "server/engine.h"
#include "server/loop_mail.h"
#include "server/readers.h"
#include "server/server.h"
#include "store/store.h"

/* What is in the mailbox. */
enum { MAIL_COMMAND, MAIL_CLOSE, MAIL_LIMITS, MAIL_END };

/* Outcomes of one loop, in order.  They stay here if there is no memory for the mail that carries them. */
struct outbox {
	struct outcome *first, **last;
	uint64_t frame_bytes;
};

struct engine_thread {
	struct engine_thread_config config; /* immutable */
	struct mailbox box;
	struct mail end; /* posted by engine_thread_stop() */
	pthread_t thread;
	bool started; /* owner: who starts and stops */

	/* owner: the engine thread */
	struct engine *engine;
	struct outbox *outboxes;
	uint64_t passwd_serial; /* of the newest table the engine has */
	bool ending;
};

enum chat_err
engine_thread_new(const struct engine_thread_config *config, struct engine_thread **ret)
{
	struct engine_config engine_config =
	    server_limits_engine(config->limits, config->loop_count, config->slots_per_loop);
	struct engine_thread *et = calloc(1, sizeof *et);
	enum chat_err err;

	if (et == NULL)
		return CHAT_ERR_NOMEM;
	err = mailbox_init(&et->box, ENGINE_MAILBOX_MAX, 0);
	if (err != CHAT_OK) {
		free(et);
		return err;
	}
	et->config = *config;
	et->config.limits = NULL; /* the engine has copied what is its */
	et->end.tag = MAIL_END;
	et->outboxes = calloc(config->loop_count, sizeof *et->outboxes);
	err = et->outboxes == NULL ? CHAT_ERR_NOMEM : engine_new(&engine_config, config->store, &et->engine);
	if (err != CHAT_OK) {
		engine_thread_free(et);
		return err;
	}
	for (uint16_t i = 0; i < config->loop_count; i++)
		et->outboxes[i].last = &et->outboxes[i].first;
	*ret = et;
	return CHAT_OK;
}

/* ---- out ---- */

/* A loop with so much waiting gets the numbers alone, and reads what its subscriptions need: memory stays
 * bounded. */
static void
drop_frames(struct outcome *list)
{
	for (; list != NULL; list = list->next) {
		if (list->type != OUT_ENTRIES)
			continue;
		for (uint32_t i = 0; i < list->entries.count; i++) {
			struct entry_frames *frames = &list->entries.frames[i];

			frame_ref_unref(frames->whole);
			frame_ref_unref(frames->stub);
			wrap_list_unref(frames->wraps);
			frames->whole = frames->stub = NULL;
			frames->wraps = NULL;
		}
	}
}

static void
post_outbox(struct engine_thread *et, uint16_t loop)
{
	struct outbox *outbox = &et->outboxes[loop];
	struct mailbox *box = et->config.loops[loop];
	struct outcomes_mail *mail;

	if (outbox->first == NULL)
		return;
	if (mailbox_stats(box).bytes + outbox->frame_bytes > LOOP_FRAMES_HIGH_BYTES) {
		drop_frames(outbox->first);
		outbox->frame_bytes = 0;
	}
	mail = calloc(1, sizeof *mail);
	if (mail == NULL)
		return;
	mail->mail.tag = LOOP_MAIL_OUTCOMES;
	mail->mail.bytes = (uint32_t)outbox->frame_bytes;
	mail->list = outbox->first;
	outbox->first = NULL;
	outbox->last = &outbox->first;
	outbox->frame_bytes = 0;
	if (!mailbox_post(box, &mail->mail)) {
		outcome_list_free(mail->list);
		free(mail);
	}
}

static uint64_t
frame_bytes_of(const struct outcome *outcome)
{
	uint64_t bytes = 0;

	if (outcome->type == OUT_FRAME)
		return outcome->frame->len;
	if (outcome->type != OUT_ENTRIES)
		return 0;
	for (uint32_t i = 0; i < outcome->entries.count; i++) {
		const struct entry_frames *frames = &outcome->entries.frames[i];

		bytes += frames->whole != NULL ? frames->whole->len : 0;
		bytes += frames->stub != NULL ? frames->stub->len : 0;
	}
	return bytes;
}

static void
put_outbox(struct engine_thread *et, uint16_t loop, struct outcome *outcome)
{
	struct outbox *outbox = &et->outboxes[loop];

	assert(loop < et->config.loop_count);
	outcome->next = NULL;
	*outbox->last = outcome;
	outbox->last = &outcome->next;
	outbox->frame_bytes += frame_bytes_of(outcome);
}

static void
post_status(struct engine_thread *et, struct outcome *outcome)
{
	struct server_status_mail *status = calloc(1, sizeof *status);

	if (status == NULL || et->config.main_mailbox == NULL) {
		free(status);
		return;
	}
	status->mail.tag = SERVER_MAIL_STATUS;
	status->token = outcome->status.token;
	status->what = outcome->status.what;
	status->err = outcome->status.err;
	status->text = outcome->status.text;
	outcome->status.text = (struct buf){0};
	if (!mailbox_post(et->config.main_mailbox, &status->mail))
		server_status_free(status);
}

static void
hand_out(struct engine_thread *et, struct outcome *list)
{
	while (list != NULL) {
		struct outcome *outcome = list;

		list = list->next;
		outcome->next = NULL;
		if (outcome->type == OUT_READ) {
			readers_put(et->config.readers, outcome->read);
			outcome->read = NULL;
			outcome_free(outcome);
		} else if (outcome->type == OUT_STATUS) {
			post_status(et, outcome);
			outcome_free(outcome);
		} else if (outcome->type == OUT_ENTRIES) {
			put_outbox(et, outcome->entries.loop, outcome);
		} else {
			put_outbox(et, outcome->to.loop, outcome);
		}
	}
	for (uint16_t i = 0; i < et->config.loop_count; i++)
		post_outbox(et, i);
}

/* ---- turns ---- */

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Loops that see a change of the password file at once may tell of it in either order. */
static bool
is_old_table(struct engine_thread *et, const struct command *cmd)
{
	uint64_t serial;

	if (cmd->type != CMD_ACCOUNTS)
		return false;
	serial = passwd_table_serial(cmd->accounts.table);
	if (serial <= et->passwd_serial)
		return true;
	et->passwd_serial = serial;
	return false;
}

static void
take_limits(struct engine_thread *et, struct limits_mail *mail)
{
	struct engine_config config =
	    server_limits_engine(mail->limits, et->config.loop_count, et->config.slots_per_loop);

	engine_reconfigure(et->engine, &config);
	server_limits_unref(mail->limits);
	free(mail);
}

static struct command *
close_command(struct close_mail *close_mail)
{
	struct command *cmd;

	/* A session that stays would be somebody else's as soon as the slot is used again.  Without memory
	 * there is nothing better to do than to wait for it. */
	while ((cmd = command_new(CMD_SESSION_CLOSE, close_mail->conn, 0, 0)) == NULL)
		usleep(1000);
	free(close_mail);
	return cmd;
}

/* What does not belong into a turn: new limits, the end. */
static void
take_other(struct engine_thread *et, struct mail *mail)
{
	if (mail->tag == MAIL_LIMITS)
		take_limits(et, (struct limits_mail *)(void *)mail);
	else
		et->ending = true;
}

static void
add_tick(struct engine_thread *et, struct now now)
{
	struct command *tick;

	if (engine_next_deadline_ms(et->engine) > now.mono_ms)
		return;
	tick = command_new(CMD_TICK, (struct conn_ref){0}, 0, 0);
	if (tick != NULL)
		engine_apply(et->engine, tick);
}

static void
turn(struct engine_thread *et)
{
	uint64_t end_us = now_us() + TURN_US_MAX;
	uint32_t commands = 0;
	size_t bytes = 0;
	struct now now = clock_now();
	struct mail *mail;

	engine_turn_begin(et->engine, now);
	add_tick(et, now);
	/* The clock is asked after each command: a batch of events may take a millisecond of its own. */
	while (commands < TURN_COMMANDS_MAX && bytes < TURN_BYTES_MAX &&
	       (commands == 0 || now_us() < end_us) && (mail = mailbox_next(&et->box)) != NULL) {
		struct command *cmd;

		if (mail->tag != MAIL_COMMAND && mail->tag != MAIL_CLOSE) {
			take_other(et, mail);
			continue;
		}
		bytes += mail->bytes;
		cmd = mail->tag == MAIL_CLOSE ? close_command((struct close_mail *)(void *)mail)
					      : (struct command *)(void *)mail;
		if (is_old_table(et, cmd)) {
			command_free(cmd);
			continue;
		}
		commands++;
		engine_apply(et->engine, cmd);
		if (engine_is_cautious(et->engine))
			break;
	}
	hand_out(et, engine_turn_commit(et->engine));
	store_maintain(et->config.store);
	engine_upkeep(et->engine);
}

static int
wait_ms(struct engine_thread *et)
{
	uint64_t deadline_ms = engine_next_deadline_ms(et->engine), now_ms;

	if (deadline_ms == NEVER_MS)
		return -1;
	now_ms = clock_mono_ms();
	if (deadline_ms <= now_ms)
		return 0;
	return deadline_ms - now_ms > INT_MAX ? INT_MAX : (int)(deadline_ms - now_ms);
}

static void *
run(void *arg)
{
	struct engine_thread *et = arg;

	while (!et->ending || mailbox_collect(&et->box)) {
		/* What is collected and not yet worked off makes the wait none. */
		(void)mailbox_wait(&et->box, wait_ms(et));
		turn(et);
	}
	engine_write_out(et->engine);
	while (engine_next_deadline_ms(et->engine) <= clock_mono_ms())
		turn(et);
	return NULL;
}

enum chat_err
engine_thread_start(struct engine_thread *et)
{
	int failed = pthread_create(&et->thread, NULL, run, et);

	if (failed != 0) {
		errno = failed;
		return CHAT_ERR_IO;
	}
	pthread_setname_np(et->thread, "engine");
	et->started = true;
	return CHAT_OK;
}

/* ---- in ---- */

enum chat_err
engine_thread_post(struct engine_thread *et, struct command *cmd)
{
	cmd->mail.tag = MAIL_COMMAND;
	return mailbox_try_post(&et->box, &cmd->mail);
}

void
engine_thread_post_always(struct engine_thread *et, struct command *cmd)
{
	cmd->mail.tag = MAIL_COMMAND;
	if (!mailbox_post(&et->box, &cmd->mail))
		command_free(cmd);
}

struct close_mail *
close_mail_new(struct conn_ref conn)
{
	struct close_mail *close_mail = calloc(1, sizeof *close_mail);

	if (close_mail != NULL)
		close_mail->conn = conn;
	return close_mail;
}

void
engine_thread_close(struct engine_thread *et, struct close_mail *close_mail)
{
	close_mail->mail.tag = MAIL_CLOSE;
	if (!mailbox_post(&et->box, &close_mail->mail))
		free(close_mail);
}

enum chat_err
engine_thread_reconfigure(struct engine_thread *et, struct server_limits *limits)
{
	struct limits_mail *mail = calloc(1, sizeof *mail);

	if (mail == NULL)
		return CHAT_ERR_NOMEM;
	mail->mail.tag = MAIL_LIMITS;
	mail->limits = server_limits_ref(limits);
	if (!mailbox_post(&et->box, &mail->mail)) {
		server_limits_unref(limits);
		free(mail);
		return CHAT_ERR_CLOSED;
	}
	return CHAT_OK;
}

size_t
engine_thread_waiting(struct engine_thread *et)
{
	return mailbox_stats(&et->box).count;
}

void
engine_thread_stop(struct engine_thread *et)
{
	if (!et->started)
		return;
	if (!mailbox_post(&et->box, &et->end))
		assert(false); /* nobody else closes it */
	mailbox_close(&et->box);
	pthread_join(et->thread, NULL);
	et->started = false;
}

void
engine_thread_free(struct engine_thread *et)
{
	struct mail *mail;

	if (et == NULL)
		return;
	assert(!et->started);
	mailbox_collect(&et->box);
	while ((mail = mailbox_next(&et->box)) != NULL) {
		if (mail->tag == MAIL_COMMAND)
			command_free((struct command *)(void *)mail);
		else if (mail->tag == MAIL_CLOSE)
			free(mail);
		else
			take_other(et, mail);
	}
	mailbox_fini(&et->box);
	for (uint16_t i = 0; et->outboxes != NULL && i < et->config.loop_count; i++)
		outcome_list_free(et->outboxes[i].first);
	free(et->outboxes);
	engine_free(et->engine);
	free(et);
}
