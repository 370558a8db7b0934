/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "libchat/op.h"
#include "libchat/room.h"

/* ---- who ---- */

struct who_op {
	struct op op;
	struct chat_online *list; /* owned, as are the names until they are moved behind it */
	struct account_name *names;
	size_t count, cap;
};

static struct who_op *
who_of(struct op *op)
{
	return (struct who_op *)(void *)op;
}

static void
who_fini(struct op *op)
{
	free(who_of(op)->list);
	free(who_of(op)->names);
}

static bool
add_online(struct who_op *own, const Chat__V1__OnlineAccount *from)
{
	if (own->count == own->cap) {
		size_t cap = own->cap > 0 ? 2 * own->cap : 64;
		struct chat_online *list = reallocarray(own->list, cap, sizeof *list);
		struct account_name *names;

		if (list == NULL)
			return false;
		own->list = list;
		names = reallocarray(own->names, cap, sizeof *names);
		if (names == NULL)
			return false;
		own->names = names;
		own->cap = cap;
	}
	if (account_name_set(wire_str(from->account), &own->names[own->count]) != CHAT_OK)
		return true;
	own->list[own->count++] =
	    (struct chat_online){.sessions = from->sessions, .since_unix_ms = from->since_unix_ms};
	return true;
}

/* The list and its names in one piece, which the event takes over. */
static bool
give_online(struct who_op *own, struct chat_event *done)
{
	struct chat_online *list = calloc(1, own->count * (sizeof *list + sizeof *own->names) + 1);
	struct account_name *names;

	if (list == NULL)
		return false;
	names = (struct account_name *)(void *)(list + own->count);
	for (size_t i = 0; i < own->count; i++) {
		names[i] = own->names[i];
		list[i] = own->list[i];
		list[i].account = names[i].s;
	}
	done->online = list;
	done->online_count = own->count;
	return true;
}

static void
on_who(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct op *op = call->ctx;
	struct who_op *own = who_of(op);

	op->waiting = false;
	if (refusal.err != CHAT_OK) {
		op_batch_ended(s, op, &refusal);
		return;
	}
	for (size_t i = 0; i < answer->who_online->n_account; i++)
		if (!add_online(own, answer->who_online->account[i])) {
			op_end(s, op, CHAT_ERR_NOMEM, NULL, NULL);
			return;
		}
	if (answer->who_online->more)
		op->type->run(s, op);
	else if (!give_online(own, op->done))
		op_end(s, op, CHAT_ERR_NOMEM, NULL, NULL);
	else
		op_end(s, op, CHAT_OK, NULL, NULL);
}

static void
run_who(struct chat_session *s, struct op *op)
{
	struct who_op *own = who_of(op);
	Chat__V1__Who who = CHAT__V1__WHO__INIT;

	if (own->count > 0)
		who.after = own->names[own->count - 1].s;
	op->waiting = true;
	call_make(s, CLIENT_FRAME(WHO, who, &who), on_who, NULL, op, 0);
}

static void
who_disconnected(struct chat_session *s, struct op *op)
{
	(void)s;
	who_of(op)->count = 0;
}

static const struct op_type who_type = {.run = run_who, .disconnected = who_disconnected, .fini = who_fini};

void
session_who(struct chat_session *s, struct chat_event *done, struct now now)
{
	struct who_op *own = calloc(1, sizeof *own);

	session_begin(s, now);
	if (own == NULL)
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
	else
		op_start(s, &own->op, &who_type, done, NULL);
	session_run(s);
}

/* ---- the password ---- */

struct password_op {
	struct op op;
	struct buf old, new; /* secret, owned */
};

static struct password_op *
password_of(struct op *op)
{
	return (struct password_op *)(void *)op;
}

static void
password_fini(struct op *op)
{
	buf_fini_secret(&password_of(op)->old);
	buf_fini_secret(&password_of(op)->new);
}

static void
on_changed(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct op *op = call->ctx;

	op->waiting = false;
	if (refusal.err == CHAT_OK)
		op_end(s, op, CHAT_OK, NULL, NULL);
	else if (refusal.err == CHAT_ERR_LOGIN_REFUSED)
		op_end(s, op, refusal.err, "The old password is not right.", NULL);
	else
		op_batch_ended(s, op, &refusal);
}

static void
run_password(struct chat_session *s, struct op *op)
{
	struct password_op *own = password_of(op);
	Chat__V1__ChangePassword change = CHAT__V1__CHANGE_PASSWORD__INIT;

	if (op->tried) {
		op_end(s, op, CHAT_ERR_CLOSED,
		    "The connection was lost meanwhile; the password may have been changed or not.",
		    "try the new password first");
		return;
	}
	op->tried = op->waiting = true;
	change.old_password = wire_from_bytes(buf_bytes(&own->old));
	change.new_password = wire_from_bytes(buf_bytes(&own->new));
	call_make(s, CLIENT_FRAME(CHANGE_PASSWORD, change_password, &change), on_changed, NULL, op, 0);
}

static const struct op_type password_type = {.run = run_password, .fini = password_fini};

static bool
length_is_good(struct bytes password)
{
	return password.len >= 1 && password.len <= PASSWORD_MAX_BYTES;
}

void
session_change_password(struct chat_session *s, struct chat_event *done, struct bytes old_password,
    struct bytes new_password, struct now now)
{
	struct password_op *own;

	session_begin(s, now);
	own = calloc(1, sizeof *own);
	if (!length_is_good(old_password) || !length_is_good(new_password)) {
		free(own);
		done_now(s, done, CHAT_ERR_INVALID, "A password has 1 to 511 bytes.", NULL);
	} else if (own == NULL || buf_append(&own->old, old_password.data, old_password.len) != CHAT_OK ||
		   buf_append(&own->new, new_password.data, new_password.len) != CHAT_OK) {
		if (own != NULL)
			password_fini(&own->op);
		free(own);
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
	} else
		op_start(s, &own->op, &password_type, done, NULL);
	session_run(s);
}

/* ---- history ---- */

struct history_op {
	struct op op;
	size_t wanted;
	uint64_t from_seq, to_seq; /* once it has begun */
	bool fetched;
};

static struct history_op *
history_of(struct op *op)
{
	return (struct history_op *)(void *)op;
}

static void
run_history(struct chat_session *s, struct op *op)
{
	struct history_op *own = history_of(op);
	struct room *room = op->room;
	bool offline_will_do;

	own->to_seq = room->oldest_shown > 0 ? room->oldest_shown - 1 : 0;
	if (own->to_seq > room_head(room)->seq)
		own->to_seq = room_head(room)->seq;
	own->from_seq = own->to_seq > own->wanted ? own->to_seq - own->wanted + 1 : 1;
	if (own->to_seq == 0) {
		op_end(s, op, CHAT_OK, NULL, NULL);
		return;
	}
	/* A room that one has left is read as far as it is kept. */
	offline_will_do = room->gone || room->phase == ROOM_STOPPED;
	if (offline_will_do && own->from_seq < room->first_seq)
		own->from_seq = room->first_seq;
	if (own->from_seq > own->to_seq) {
		op_end(s, op, CHAT_OK, NULL, NULL);
		return;
	}
	if (!offline_will_do && (!room_is_live(room) || room->fetch != NULL))
		return;
	op->waiting = true;
	if (offline_will_do)
		show_job_add(room, own->from_seq, own->to_seq, 0, false, CHAT_FLAG_HISTORY, op);
	else
		fetch_range(room, own->from_seq, own->to_seq, op);
}

void
op_fetched(struct chat_session *s, struct op *op, const struct refusal *refusal)
{
	struct history_op *own = history_of(op);

	if (refusal->err != CHAT_OK) {
		op->waiting = false;
		op_batch_ended(s, op, refusal);
		return;
	}
	show_job_add(op->room, own->from_seq, own->to_seq, 0, false, CHAT_FLAG_HISTORY, op);
}

void
op_job_done(struct chat_session *s, struct op *op, uint64_t count)
{
	struct history_op *own = history_of(op);
	struct room *room = op->room;

	room->oldest_shown = own->from_seq;
	if (op->done != NULL) {
		op->done->number = count;
		if (own->from_seq < room->oldest_whole_seq)
			event_printf(op->done,
			    "Messages before entry %llu were removed by the server's retention.",
			    (unsigned long long)room->oldest_whole_seq);
		else if (own->from_seq == 1)
			event_printf(op->done, "This is the beginning of %s.", room->label);
	}
	op_end(s, op, CHAT_OK, NULL, NULL);
}

static void
history_disconnected(struct chat_session *s, struct op *op)
{
	struct show_job *job;

	(void)s;
	/* Fetched already: its events come, and it ends with them. */
	STAILQ_FOREACH (job, &op->room->jobs, link)
		if (job->op == op)
			op->waiting = true;
}

static const struct op_type history_type = {.run = run_history, .disconnected = history_disconnected};

void
session_history(struct chat_session *s, struct chat_event *done, const struct digest *room_id, size_t count,
    struct now now)
{
	struct history_op *own;
	struct room *room;

	session_begin(s, now);
	if (count < 1 || count > HISTORY_LIMIT_MAX) {
		done_now(
		    s, done, CHAT_ERR_INVALID, "History is given in pieces of 1 to 1,000 entries.", NULL);
		session_run(s);
		return;
	}
	room = op_room(s, done, room_id);
	own = room != NULL ? calloc(1, sizeof *own) : NULL;
	if (own != NULL) {
		own->wanted = count;
		op_start(s, &own->op, &history_type, done, room);
	} else if (room != NULL)
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
	session_run(s);
}
