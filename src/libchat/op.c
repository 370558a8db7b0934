/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/op.h"

#include <stdlib.h>
#include <string.h>

#include "libchat/room.h"

#define CONFLICT_WAIT_FIRST_MS 50
#define CONFLICT_WAIT_MAX_MS   3000

/* ---- begin and end ---- */

void
op_start(struct chat_session *s, struct op *op, const struct op_type *type, struct chat_event *done,
    struct room *room)
{
	struct op *other;
	size_t count = 0;

	op->type = type;
	op->done = done;
	op->room = room;
	TAILQ_FOREACH (other, &s->ops, link)
		count++;
	TAILQ_INSERT_TAIL(&s->ops, op, link);
	if (count >= OPS_MAX)
		op_end(s, op, CHAT_ERR_LIMIT, "Too many requests are open.", "wait for some to end");
	else if (s->ended && s->end.final)
		op_end(s, op, CHAT_ERR_CLOSED, NULL, NULL);
}

void
done_now(
    struct chat_session *s, struct chat_event *done, enum chat_err err, const char *text, const char *mend)
{
	if (done == NULL)
		return;
	if (err != CHAT_OK)
		event_set_error(done, err, text, mend);
	/* A text that there was no memory for is no reason to keep the end of a request back. */
	done->failed = false;
	session_emit(s, done);
}

void
op_free(struct chat_session *s, struct op *op)
{
	struct batch *batch, *next;
	struct show_job *job;

	calls_forget(s, op);
	TAILQ_FOREACH_SAFE (batch, &s->batches, link, next)
		if (batch->op == op)
			batch_free(s, batch);
	if (op->room != NULL) {
		STAILQ_FOREACH (job, &op->room->jobs, link)
			if (job->op == op)
				job->op = NULL;
		fetch_forget(op->room, op);
	}
	TAILQ_REMOVE(&s->ops, op, link);
	event_free(op->done);
	if (op->type->fini != NULL)
		op->type->fini(op);
	free(op);
}

void
op_end(struct chat_session *s, struct op *op, enum chat_err err, const char *text, const char *mend)
{
	struct chat_event *done = op->done;

	op->done = NULL;
	if (done != NULL && op->room != NULL)
		event_set_room(done, &op->room->id, op->room->label);
	if (done != NULL && err == CHAT_OK && op->wait_seq != 0)
		done->seq = op->wait_seq;
	done_now(s, done, err, text, mend);
	op_free(s, op);
}

void
session_abandon(struct chat_session *s, enum chat_err err)
{
	struct room *room;
	struct op *op;

	while ((op = TAILQ_FIRST(&s->ops)) != NULL)
		op_end(s, op, err, NULL, NULL);
	TAILQ_FOREACH (room, &s->room_list, link)
		sender_abandon(room, err);
}

/* ---- again ---- */

void
op_again(struct chat_session *s, struct op *op, const struct refusal *refusal)
{
	uint64_t wait = CONFLICT_WAIT_FIRST_MS;

	op->waiting = false;
	if (++op->tries > OP_TRIES_MAX) {
		op_end(s, op, refusal->err, refusal->text, refusal->mend);
		return;
	}
	for (unsigned i = 1; i < op->tries && wait < CONFLICT_WAIT_MAX_MS; i++)
		wait *= 2;
	if (refusal->retry_after_ms > wait)
		wait = refusal->retry_after_ms;
	op->not_before_ms = s->now.mono_ms + wait;
}

void
op_batch_ended(struct chat_session *s, struct op *op, const struct refusal *refusal)
{
	if (refusal->err == CHAT_OK)
		return;
	if (refusal->err == CHAT_ERR_CONFLICT || refusal->err == CHAT_ERR_BAD_WRAPS ||
	    refusal->err == CHAT_ERR_BAD_SEEN || refusal->err == CHAT_ERR_SHUTDOWN ||
	    refusal_is_passing(refusal))
		op_again(s, op, refusal);
	else
		op_end(s, op, refusal->err, refusal->text, refusal->mend);
}

void
ops_on_disconnect(struct chat_session *s)
{
	struct batch *batch, *next;
	struct op *op;

	TAILQ_FOREACH_SAFE (batch, &s->batches, link, next) {
		if (batch->room != NULL)
			batch_free(s, batch); /* the log will say whether it got in */
		else if (batch->state == BATCH_POSTING)
			batch->state = BATCH_READY;
	}
	TAILQ_FOREACH (op, &s->ops, link) {
		op->waiting = false;
		op->not_before_ms = 0;
		if (op->type->disconnected != NULL)
			op->type->disconnected(s, op);
	}
}

/* ---- running ---- */

/* Posted: it is over when the own log is that far, and the program was told of it. */
static bool
is_in_log(const struct op *op)
{
	return room_head(op->room)->seq >= op->wait_seq && op->room->emitted_seq >= op->wait_seq;
}

void
ops_run(struct chat_session *s)
{
	struct op *op, *next;

	if (!session_ready(s) || !s->rooms_listed)
		return;
	TAILQ_FOREACH_SAFE (op, &s->ops, link, next) {
		if (s->ended)
			return;
		if (op->waiting || op->not_before_ms > s->now.mono_ms)
			continue;
		op->not_before_ms = 0;
		if (op->wait_seq != 0) {
			if (is_in_log(op))
				op_end(s, op, CHAT_OK, NULL, NULL);
			else if (op->room->phase == ROOM_STOPPED)
				/* It is durable; only this client cannot see it. */
				op_end(s, op, CHAT_OK, NULL, NULL);
			else if (op->room->gone)
				op_end(s, op, CHAT_OK, NULL, NULL);
			continue;
		}
		op->type->run(s, op);
	}
}

bool
op_room_ready(struct chat_session *s, struct op *op)
{
	struct room *room = op->room;

	if (room->phase == ROOM_STOPPED) {
		op_end(s, op, room->stop_err, room->stop_text, NULL);
		return false;
	}
	if (room->gone) {
		op_end(s, op, CHAT_ERR_NOT_ALLOWED, "You are not a member of this room any more.", NULL);
		return false;
	}
	return room_is_live(room) && room->batch == NULL && !room->info_loading;
}
