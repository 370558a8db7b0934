/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "libchat/op.h"
#include "libchat/room.h"
#include "libchat/session_impl.h"
#include "proto/answers.h"
#include "proto/frame.h"

/* Above it the owner is to stop reading: about a second of verifying. */
#define QUEUED_HIGH_BYTES (4 * 1024 * 1024)

/* ---- life ---- */

static enum chat_err
load_identity(struct chat_session *s)
{
	enum chat_err err = s->st->ops->get_identity(s->st, &s->stored);

	if (err == CHAT_ERR_NOT_FOUND)
		return CHAT_OK;
	if (err != CHAT_OK)
		return err;
	s->has_stored = true;
	s->has_identity = true;
	s->realm = s->stored.realm;
	s->realm_known = true;
	identity_init(&s->stored.root, &s->stored.realm, &s->account, &s->identity);
	err = login_load_bag(s);
	/* What does not open can be fetched again. */
	return err == CHAT_ERR_NOT_FOUND || err == CHAT_ERR_CANNOT_OPEN ? CHAT_OK : err;
}

enum chat_err
session_new(const struct session_config *config, struct chat_session **ret)
{
	struct chat_session *s = calloc(1, sizeof *s);
	enum chat_err err;

	if (s == NULL)
		return CHAT_ERR_NOMEM;
	s->account = config->account;
	/* Cut to whole characters of what a frame takes. */
	snprintf(s->software, sizeof s->software, "%s", config->software);
	while (!utf8_valid(BYTES_STR(s->software)))
		s->software[strlen(s->software) - 1] = '\0';
	s->st = config->storage;
	s->random = config->random;
	TAILQ_INIT(&s->calls);
	TAILQ_INIT(&s->calls_waiting);
	TAILQ_INIT(&s->room_list);
	TAILQ_INIT(&s->woken);
	TAILQ_INIT(&s->ops);
	TAILQ_INIT(&s->batches);
	STAILQ_INIT(&s->events);
	STAILQ_INIT(&s->works);
	frame_arena_init(&s->arena);
	s->st->ops->get_device(s->st, &s->device);
	err = load_identity(s);
	if (err == CHAT_OK && s->has_identity)
		err = rooms_load(s);
	if (err != CHAT_OK) {
		session_free(s);
		return err;
	}
	*ret = s;
	return CHAT_OK;
}

static void
flush(struct chat_session *s)
{
	struct room *room;

	s->flush_ms = 0;
	if (s->ended && s->end.final)
		return; /* what is in memory may not be what is stored */
	TAILQ_FOREACH (room, &s->room_list, link)
		room_flush(room);
	tx_commit(s);
}

void
session_free(struct chat_session *s)
{
	struct chat_event *event;
	struct room *room;
	struct batch *batch;
	struct work *work;
	struct op *op;

	if (s == NULL)
		return;
	flush(s);
	calls_drop_all(s);
	while ((op = TAILQ_FIRST(&s->ops)) != NULL)
		op_free(s, op);
	while ((batch = TAILQ_FIRST(&s->batches)) != NULL)
		batch_free(s, batch);
	while ((room = TAILQ_FIRST(&s->room_list)) != NULL) {
		TAILQ_REMOVE(&s->room_list, room, link);
		room_dispose(room);
	}
	map_fini(&s->rooms);
	while ((event = STAILQ_FIRST(&s->events)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->events, link);
		event_free(event);
	}
	while ((work = STAILQ_FIRST(&s->works)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->works, link);
		work_free(work);
	}
	keyring_fini(&s->keyring);
	buf_fini(&s->card);
	buf_fini_secret(&s->in);
	buf_fini_secret(&s->out);
	arena_fini(&s->arena);
	identity_fini(&s->identity);
	identity_root_fini(&s->stored.root);
	explicit_bzero(s, sizeof *s);
	free(s);
}

uint64_t
session_new_id(struct chat_session *s)
{
	return ++s->next_id;
}

/* ---- how it ends ---- */

void
session_fail(struct chat_session *s, enum chat_err err, bool final, const char *text, const char *mend)
{
	if (s->ended)
		return;
	s->ended = true;
	s->end_said = true;
	snprintf(s->end_text, sizeof s->end_text, "%s",
	    text != NULL && text[0] != '\0' ? text : chat_strerror(err));
	snprintf(s->end_mend, sizeof s->end_mend, "%s", mend != NULL ? mend : "");
	s->end = (struct session_end){
	    .err = err,
	    .final = final,
	    .text = s->end_text,
	    .mend = s->end_mend[0] != '\0' ? s->end_mend : NULL,
	};
}

bool
session_check(struct chat_session *s, enum chat_err err)
{
	if (err == CHAT_OK)
		return true;
	if (err == CHAT_ERR_NOMEM)
		session_fail(s, err, true, "There is no memory left.", "start the program again");
	else
		session_fail(s, err, true, "The data directory cannot be read or written.",
		    "look at its disk and start the program again");
	return false;
}

const struct session_end *
session_end(const struct chat_session *s)
{
	return s->end_said ? &s->end : NULL;
}

/* ---- the connection ---- */

void
session_begin(struct chat_session *s, struct now now)
{
	s->now = now;
}

void
session_connected(struct chat_session *s, const uint8_t binding[static LOGIN_BINDING_BYTES], struct now now)
{
	assert(s->login == LOGIN_NONE);
	session_begin(s, now);
	if (s->ended)
		return;
	s->end_said = false;
	memcpy(s->binding, binding, sizeof s->binding);
	s->heard_ms = s->said_ms = now.mono_ms;
	s->pinged_ms = 0;
	login_begin(s);
	session_run(s);
}

void
session_disconnected(struct chat_session *s, struct now now)
{
	struct room *room;

	session_begin(s, now);
	s->ended = s->ended && s->end.final;
	s->login = LOGIN_NONE;
	s->rooms_listed = false;
	s->synced = false;
	s->keygen_work = 0;
	login_forget_password(s);
	calls_drop_all(s);
	buf_fini_secret(&s->in);
	buf_fini_secret(&s->out);
	s->out_sent = 0;
	ops_on_disconnect(s);
	TAILQ_FOREACH (room, &s->room_list, link)
		room_on_disconnect(room);
	session_run(s);
}

static void
take_frame(struct chat_session *s, struct bytes body)
{
	const Chat__V1__ServerFrame *frame;
	struct request_fault fault;
	enum chat_err err;

	arena_reset(&s->arena);
	err = frame_decode_server(body, &s->arena, &frame);
	if (err == CHAT_ERR_NOMEM) {
		(void)session_check(s, err);
		return;
	}
	if (err != CHAT_OK) {
		session_fail(s, CHAT_ERR_MALFORMED, false, "The server sent what is no frame.", NULL);
		return;
	}
	err = answers_check(frame, &fault);
	if (err == CHAT_ERR_UNSUPPORTED && frame->id == 0)
		return; /* a push of a later version */
	if (err != CHAT_OK) {
		char text[200];

		snprintf(text, sizeof text, "The server broke the protocol: %s.", fault.text);
		session_fail(s, CHAT_ERR_MALFORMED, false, text, NULL);
		return;
	}
	if (frame->id != 0)
		call_answered(s, frame);
	else
		sync_push(s, frame);
}

void
session_receive(struct chat_session *s, struct bytes in, struct now now)
{
	struct bytes body;
	size_t done = 0, n = 0;
	enum chat_err err;

	session_begin(s, now);
	if (s->login == LOGIN_NONE || s->ended)
		return;
	s->heard_ms = now.mono_ms;
	s->pinged_ms = 0;
	if (!session_check(s, buf_append(&s->in, in.data, in.len)))
		return;
	while (!s->ended) {
		size_t max = s->login == LOGIN_READY ? FRAME_MAX_AFTER_LOGIN : FRAME_MAX_BEFORE_LOGIN;

		err = frame_split(BYTES(s->in.data + done, s->in.len - done), max, &body, &n);
		if (err == CHAT_ERR_AGAIN)
			break;
		if (err != CHAT_OK) {
			session_fail(
			    s, CHAT_ERR_TOO_LONG, false, "The server sent a frame that is too long.", NULL);
			break;
		}
		take_frame(s, body);
		done += n;
	}
	buf_drop(&s->in, done);
	session_run(s);
}

bool
session_is_full(const struct chat_session *s)
{
	return s->queued_bytes > QUEUED_HIGH_BYTES;
}

struct bytes
session_output(const struct chat_session *s)
{
	return BYTES(s->out.data + s->out_sent, s->out.len - s->out_sent);
}

void
session_sent(struct chat_session *s, size_t bytes)
{
	assert(bytes <= s->out.len - s->out_sent);
	explicit_bzero(s->out.data + s->out_sent, bytes); /* it may have held a password */
	s->out_sent += bytes;
	if (s->out_sent == s->out.len) {
		buf_clear(&s->out);
		s->out_sent = 0;
	}
}

/* ---- time ---- */

static void
earlier(uint64_t *deadline, uint64_t ms)
{
	if (ms != 0 && ms < *deadline)
		*deadline = ms;
}

/* Silence of either side: the server's tells that it may be gone, and to the server ours does. */
static uint64_t
ping_due_ms(const struct chat_session *s)
{
	return (s->said_ms < s->heard_ms ? s->said_ms : s->heard_ms) + CLIENT_PING_AFTER_MS;
}

uint64_t
session_next_deadline_ms(const struct chat_session *s)
{
	uint64_t deadline = NEVER_MS;
	const struct room *room;
	const struct op *op;

	if (s->flush_ms != 0)
		earlier(&deadline, s->flush_ms);
	if (s->login == LOGIN_NONE || s->ended)
		return deadline;
	earlier(&deadline, s->pinged_ms == 0 ? ping_due_ms(s) : s->heard_ms + CLIENT_DEAD_AFTER_MS);
	if (s->login == LOGIN_PAUSE)
		earlier(&deadline, s->login_again_ms);
	if (s->login == LOGIN_READY) {
		TAILQ_FOREACH (op, &s->ops, link)
			if (!op->waiting)
				earlier(&deadline, op->not_before_ms);
		TAILQ_FOREACH (room, &s->room_list, link)
			earlier(&deadline, room_deadline_ms(room));
	}
	return deadline;
}

static void
on_pong(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	(void)s;
	(void)call;
	(void)answer;
}

void
session_tick(struct chat_session *s, struct now now)
{
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;
	struct room *room;

	session_begin(s, now);
	if (s->flush_ms != 0 && s->flush_ms <= now.mono_ms)
		flush(s);
	if (s->login == LOGIN_NONE || s->ended)
		return;
	if (now.mono_ms >= s->heard_ms + CLIENT_DEAD_AFTER_MS) {
		session_fail(s, CHAT_ERR_TIMEOUT, false, "The server does not answer.", NULL);
		return;
	}
	if (s->pinged_ms == 0 && now.mono_ms >= ping_due_ms(s)) {
		s->pinged_ms = now.mono_ms;
		call_make(s, CLIENT_FRAME(PING, ping, &ping), on_pong, NULL, NULL, 0);
	}
	login_tick(s);
	TAILQ_FOREACH (room, &s->room_list, link)
		if (room_deadline_ms(room) <= now.mono_ms)
			room_wake(room);
	session_run(s);
}

/* ---- what goes on ---- */

void
session_run(struct chat_session *s)
{
	struct room *room;
	bool was_synced;

	assert(!s->running);
	s->running = true;
	do {
		was_synced = s->synced;
		while (!s->ended && (room = TAILQ_FIRST(&s->woken)) != NULL) {
			TAILQ_REMOVE(&s->woken, room, woken_link);
			room->woken = false;
			room_run(room);
		}
		if (!s->ended)
			ops_run(s);
		if (!s->ended)
			sync_check(s);
	} while (!s->ended && (!TAILQ_EMPTY(&s->woken) || s->synced != was_synced));
	assert(!s->in_tx);
	s->running = false;
}

void
tx_begin(struct chat_session *s)
{
	if (!s->in_tx && session_check(s, s->st->ops->begin(s->st)))
		s->in_tx = true;
}

void
tx_commit(struct chat_session *s)
{
	if (!s->in_tx)
		return;
	s->in_tx = false;
	if (s->ended && s->end.final)
		s->st->ops->rollback(s->st);
	else
		(void)session_check(s, s->st->ops->commit(s->st));
}

/* ---- events ---- */

void
session_emit(struct chat_session *s, struct chat_event *event)
{
	if (event != NULL && event->failed) {
		event_free(event);
		event = NULL;
	}
	if (event == NULL) {
		(void)session_check(s, CHAT_ERR_NOMEM);
		return;
	}
	STAILQ_INSERT_TAIL(&s->events, event, link);
}

struct chat_event *
session_next_event(struct chat_session *s)
{
	struct chat_event *event = STAILQ_FIRST(&s->events);

	if (event == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&s->events, link);
	if (event->shows_seq != 0) {
		struct digest id;
		struct room *room;

		memcpy(id.b, event->room.b, sizeof id.b);
		room = map_get(&s->rooms, digest_bytes(&id));
		if (room != NULL && room_note_shown(room, event->shows_seq) && s->flush_ms == 0)
			s->flush_ms = s->now.mono_ms + ROOM_FLUSH_AFTER_MS;
	}
	return event;
}

struct chat_event *
room_event(const struct room *room, enum chat_event_type type)
{
	struct chat_event *event = event_new(type);

	if (event != NULL)
		event_set_room(event, &room->id, room->label);
	return event;
}

void
session_warn(
    struct chat_session *s, const struct room *room, uint64_t seq, const char *mend, const char *fmt, ...)
{
	struct chat_event *event =
	    room != NULL ? room_event(room, CHAT_EVENT_WARNING) : event_new(CHAT_EVENT_WARNING);
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (event != NULL) {
		event->seq = seq;
		event_set_text(event, BYTES_STR(text));
		event_set_mend(event, mend);
	}
	session_emit(s, event);
}

/* ---- work ---- */

struct work *
session_new_work(struct chat_session *s, enum work_type type, struct room *room)
{
	struct work *work = calloc(1, sizeof *work);

	if (work == NULL)
		return NULL;
	work->type = type;
	work->id = session_new_id(s);
	if (room != NULL)
		work->room_id = room->id;
	work->random = s->random;
	return work;
}

void
session_add_work(struct chat_session *s, struct work *work)
{
	if (work == NULL)
		(void)session_check(s, CHAT_ERR_NOMEM);
	else
		STAILQ_INSERT_TAIL(&s->works, work, link);
}

struct work *
session_next_work(struct chat_session *s)
{
	struct work *work = STAILQ_FIRST(&s->works);

	if (work != NULL)
		STAILQ_REMOVE_HEAD(&s->works, link);
	return work;
}

void
session_work_done(struct chat_session *s, struct work *work, struct now now)
{
	struct room *room = map_get(&s->rooms, digest_bytes(&work->room_id));

	session_begin(s, now);
	if (!s->ended || !s->end.final) {
		if (work->err == CHAT_ERR_NOMEM)
			(void)session_check(s, CHAT_ERR_NOMEM);
		else if (work->type == WORK_KEYGEN)
			login_keygen_done(s, work);
		else if (work->type == WORK_WRAP)
			batch_wrapped(s, work);
		else if (room != NULL && work->type == WORK_UNWRAP)
			keys_opened(room, work);
		else if (room != NULL)
			room_verified(room, work);
	}
	work_free(work);
	session_run(s);
}

bool
session_ready(const struct chat_session *s)
{
	return s->login == LOGIN_READY && !s->ended;
}
