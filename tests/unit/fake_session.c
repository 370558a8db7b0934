/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "libchat/session.h"

uint64_t fake_ping_ms = 3600000;

struct chat_session {
	struct storage *storage;
	bool online, ready, pinged, has_end;
	bool password_asked;
	uint64_t heard_ms;
	struct buf out;
	struct session_end end;
	struct event_queue events, open;
	struct work_queue works;
	uint64_t seq;
	size_t members;
};

const struct digest fake_room = {{0xab, 0xcd, 0xef}};

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
say(struct chat_session *s, const void *from, size_t n)
{
	must(buf_append(&s->out, from, n) == CHAT_OK);
}

static struct chat_event *
emit(struct chat_session *s, enum chat_event_type type)
{
	struct chat_event *event = event_new(type);

	must(event != NULL);
	STAILQ_INSERT_TAIL(&s->events, event, link);
	return event;
}

static struct chat_event *
emit_in_room(struct chat_session *s, enum chat_event_type type)
{
	struct chat_event *event = emit(s, type);

	event_set_room(event, &fake_room, "hall");
	event->seq = ++s->seq;
	return event;
}

enum chat_err
session_new(const struct session_config *config, struct chat_session **ret)
{
	struct chat_session *s = calloc(1, sizeof(*s));

	must(s != NULL);
	s->storage = config->storage;
	s->members = 1;
	STAILQ_INIT(&s->events);
	STAILQ_INIT(&s->open);
	STAILQ_INIT(&s->works);
	*ret = s;
	return CHAT_OK;
}

static void
free_events(struct event_queue *queue)
{
	struct chat_event *event;

	while ((event = STAILQ_FIRST(queue))) {
		STAILQ_REMOVE_HEAD(queue, link);
		event_free(event);
	}
}

void
session_free(struct chat_session *s)
{
	struct work *work;

	if (!s)
		return;
	while ((work = session_next_work(s)))
		work_free(work);
	free_events(&s->events);
	free_events(&s->open);
	buf_fini(&s->out);
	free(s);
}

void
session_connected(struct chat_session *s, const uint8_t binding[static LOGIN_BINDING_BYTES], struct now now)
{
	must(!s->online);
	s->online = true;
	s->ready = s->pinged = s->has_end = false;
	s->heard_ms = now.mono_ms;
	say(s, "H", 1);
	say(s, binding, LOGIN_BINDING_BYTES);
}

void
session_disconnected(struct chat_session *s, struct now now)
{
	(void)now;
	must(s->online);
	s->online = s->ready = s->password_asked = false;
	buf_clear(&s->out);
}

static void
end(struct chat_session *s, enum chat_err err, bool final, const char *text, uint64_t retry_after_ms)
{
	s->has_end = true;
	s->end = (struct session_end){.err = err,
	    .final = final,
	    .text = text,
	    .mend = final ? "mend it" : NULL,
	    .retry_after_ms = retry_after_ms};
}

static void
take(struct chat_session *s, uint8_t c)
{
	struct stored_identity identity;
	struct chat_event *event;
	struct work *work;

	switch (c) {
	case 'c':
		s->ready = true;
		(void)emit(s, CHAT_EVENT_CONNECTED);
		(void)emit(s, CHAT_EVENT_SYNCED);
		break;
	case 'p':
		s->password_asked = true;
		(void)emit(s, CHAT_EVENT_PASSWORD_NEEDED);
		break;
	case 'm':
		(void)emit_in_room(s, CHAT_EVENT_MESSAGE);
		break;
	case 'j':
		s->members++;
		(void)emit_in_room(s, CHAT_EVENT_JOINED);
		break;
	case 'd':
		event = STAILQ_FIRST(&s->open);
		must(event != NULL);
		STAILQ_REMOVE_HEAD(&s->open, link);
		STAILQ_INSERT_TAIL(&s->events, event, link);
		break;
	case 'w':
		work = calloc(1, sizeof(*work));
		must(work != NULL);
		work->type = WORK_VERIFY; /* of nothing */
		STAILQ_INSERT_TAIL(&s->works, work, link);
		break;
	case 'g':
		end(s, CHAT_ERR_SHUTDOWN, false, "going down", 70);
		break;
	case 'i':
		(void)!s->storage->ops->get_identity(s->storage, &identity);
		end(s, CHAT_ERR_IO, true, "storage failed", 0);
		break;
	case 'f':
		end(s, CHAT_ERR_LOGIN_REFUSED, true, "refused", 0);
		break;
	default:
		must(false);
	}
}

void
session_receive(struct chat_session *s, struct bytes in, struct now now)
{
	must(s->online);
	s->heard_ms = now.mono_ms;
	s->pinged = false;
	for (size_t i = 0; i < in.len && !s->has_end; i++)
		take(s, in.data[i]);
}

bool
session_is_full(const struct chat_session *s)
{
	(void)s;
	return false;
}

struct bytes
session_output(const struct chat_session *s)
{
	return buf_bytes(&s->out);
}

void
session_sent(struct chat_session *s, size_t bytes)
{
	buf_drop(&s->out, bytes);
}

uint64_t
session_next_deadline_ms(const struct chat_session *s)
{
	if (!s->online || s->has_end)
		return NEVER_MS;
	return s->heard_ms + (s->pinged ? 2 * fake_ping_ms : fake_ping_ms);
}

void
session_tick(struct chat_session *s, struct now now)
{
	if (!s->online || s->has_end)
		return;
	if (now.mono_ms >= s->heard_ms + 2 * fake_ping_ms) {
		end(s, CHAT_ERR_TIMEOUT, false, "dead", 0);
	} else if (now.mono_ms >= s->heard_ms + fake_ping_ms && !s->pinged) {
		s->pinged = true;
		say(s, "P", 1);
	}
}

const struct session_end *
session_end(const struct chat_session *s)
{
	return s->has_end ? &s->end : NULL;
}

bool
session_ready(const struct chat_session *s)
{
	return s->ready;
}

enum chat_err
session_give_password(struct chat_session *s, struct bytes password, struct now now)
{
	(void)now;
	if (!s->password_asked)
		return CHAT_ERR_INVALID;
	s->password_asked = false;
	say(s, "W", 1);
	say(s, password.data, password.len);
	return CHAT_OK;
}

struct chat_event *
session_next_event(struct chat_session *s)
{
	struct chat_event *event = STAILQ_FIRST(&s->events);

	if (event)
		STAILQ_REMOVE_HEAD(&s->events, link);
	return event;
}

struct work *
session_next_work(struct chat_session *s)
{
	struct work *work = STAILQ_FIRST(&s->works);

	if (work)
		STAILQ_REMOVE_HEAD(&s->works, link);
	return work;
}

void
session_work_done(struct chat_session *s, struct work *work, struct now now)
{
	(void)now;
	(void)emit(s, CHAT_EVENT_WARNING);
	work_free(work);
}

/* ---- requests ---- */

static void
ask(struct chat_session *s, struct chat_event *done)
{
	must(done != NULL && done->token != 0);
	STAILQ_INSERT_TAIL(&s->open, done, link);
	if (s->online)
		say(s, "R", 1);
}

void
session_send(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct bytes text,
    struct now now)
{
	struct chat_event *queued = emit(s, CHAT_EVENT_QUEUED);

	(void)now;
	must(digest_equal(room_id, &fake_room));
	queued->token = done->token;
	STAILQ_INSERT_TAIL(&s->open, done, link);
	if (s->online) {
		say(s, "S", 1);
		say(s, text.data, text.len);
	}
}

void
session_create(struct chat_session *s, struct chat_event *done, struct bytes name, struct now now)
{
	(void)name;
	(void)now;
	ask(s, done);
}

void
session_invite(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *accounts, size_t count, struct now now)
{
	(void)room_id;
	(void)accounts;
	(void)count;
	(void)now;
	ask(s, done);
}

void
session_accept(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now)
{
	(void)room_id;
	(void)now;
	ask(s, done);
}

void
session_decline(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now)
{
	session_accept(s, done, room_id, now);
}

void
session_leave(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now)
{
	session_accept(s, done, room_id, now);
}

void
session_kick(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *account, struct now now)
{
	session_invite(s, done, room_id, account, 1, now);
}

void
session_set_role(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *account, unsigned role, struct now now)
{
	(void)role;
	session_invite(s, done, room_id, account, 1, now);
}

void
session_set_topic(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes topic, struct now now)
{
	(void)room_id;
	session_create(s, done, topic, now);
}

void
session_set_name(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes name, struct now now)
{
	(void)room_id;
	session_create(s, done, name, now);
}

void
session_direct(
    struct chat_session *s, struct chat_event *done, const struct account_name *account, struct now now)
{
	session_invite(s, done, &fake_room, account, 1, now);
}

void
session_history(struct chat_session *s, struct chat_event *done, const struct digest *room_id, size_t count,
    struct now now)
{
	(void)count;
	session_accept(s, done, room_id, now);
}

void
session_who(struct chat_session *s, struct chat_event *done, struct now now)
{
	session_accept(s, done, &fake_room, now);
}

void
session_change_password(struct chat_session *s, struct chat_event *done, struct bytes old_password,
    struct bytes new_password, struct now now)
{
	(void)new_password;
	session_create(s, done, old_password, now);
}

void
session_mark_read(struct chat_session *s, const struct digest *room_id, uint64_t seq, struct now now)
{
	(void)s;
	(void)room_id;
	(void)seq;
	(void)now;
}

void
session_abandon(struct chat_session *s, enum chat_err err)
{
	struct chat_event *event;

	while ((event = STAILQ_FIRST(&s->open))) {
		STAILQ_REMOVE_HEAD(&s->open, link);
		event_set_error(event, err, NULL, NULL);
		STAILQ_INSERT_TAIL(&s->events, event, link);
	}
	(void)emit(s, CHAT_EVENT_WARNING); /* is not to be seen */
}

/* ---- what is known ---- */

enum chat_err
session_rooms(const struct chat_session *s, struct chat_room_list **ret)
{
	struct chat_room_list *list = calloc(1, sizeof(*list) + sizeof(list->room[0]));

	must(list != NULL);
	list->count = 1;
	memcpy(list->room[0].id.b, fake_room.b, sizeof(fake_room.b));
	list->room[0].label = "hall";
	list->room[0].name = "the hall";
	list->room[0].topic = "";
	list->room[0].stay = CHAT_STAY_JOINED;
	list->room[0].head_seq = s->seq;
	*ret = list;
	return CHAT_OK;
}

enum chat_err
session_members(const struct chat_session *s, const struct digest *room_id, struct chat_member_list **ret)
{
	struct chat_member_list *list = calloc(1, sizeof(*list) + s->members * sizeof(list->member[0]));

	must(list != NULL && digest_equal(room_id, &fake_room));
	list->count = s->members;
	for (size_t i = 0; i < s->members; i++)
		list->member[i].account = "somebody";
	*ret = list;
	return CHAT_OK;
}

void
chat_room_list_free(struct chat_room_list *list)
{
	free(list);
}

void
chat_member_list_free(struct chat_member_list *list)
{
	free(list);
}

bool
session_member_id(const struct chat_session *s, struct digest *ret)
{
	(void)s;
	*ret = fake_room;
	return true;
}
