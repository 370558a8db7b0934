/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

struct chat_event *
event_new(enum chat_event_type type)
{
	struct chat_event *event = calloc(1, sizeof *event);

	if (event != NULL)
		event->type = type;
	return event;
}

struct chat_event *
event_new_done(uint64_t token)
{
	struct chat_event *event = event_new(CHAT_EVENT_DONE);

	if (event != NULL)
		event->token = token;
	return event;
}

void
event_free(struct chat_event *event)
{
	if (event == NULL)
		return;
	if (event->text != NULL)
		explicit_bzero(event->text, event->text_len);
	free(event->text);
	free(event->mend);
	free(event->online);
	free(event);
}

void
event_set_room(struct chat_event *event, const struct digest *room_id, const char *label)
{
	event->has_room = true;
	memcpy(event->room.b, room_id->b, sizeof event->room.b);
	strlcpy(event->label, label, sizeof event->label);
}

void
event_set_hash(struct chat_event *event, const struct digest *hash)
{
	event->has_hash = true;
	memcpy(event->hash.b, hash->b, sizeof event->hash.b);
}

/* Takes over text, which is malloc()ed with a NUL behind it. */
static void
take_text(struct chat_event *event, char *text, size_t len)
{
	if (text == NULL) {
		event->failed = true;
		return;
	}
	free(event->text);
	event->text = text;
	event->text_len = len;
}

void
event_set_text(struct chat_event *event, struct bytes text)
{
	char *copy = malloc(text.len + 1);

	if (copy != NULL) {
		if (text.len > 0)
			memcpy(copy, text.data, text.len);
		copy[text.len] = '\0';
	}
	take_text(event, copy, text.len);
}

void
event_printf(struct chat_event *event, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	take_text(event, n < 0 ? NULL : text, n < 0 ? 0 : (size_t)n);
}

void
event_set_mend(struct chat_event *event, const char *mend)
{
	char *copy;

	if (mend == NULL || mend[0] == '\0')
		return;
	copy = strdup(mend);
	if (copy == NULL) {
		event->failed = true;
		return;
	}
	free(event->mend);
	event->mend = copy;
}

void
event_set_actor(struct chat_event *event, const struct account_name *account)
{
	memcpy(event->actor, account->s, account->len);
	event->actor[account->len] = '\0';
}

void
event_set_target(struct chat_event *event, const struct account_name *account)
{
	memcpy(event->target, account->s, account->len);
	event->target[account->len] = '\0';
}

void
event_set_error(struct chat_event *event, enum chat_err err, const char *text, const char *mend)
{
	event->err = err;
	event_set_text(event, BYTES_STR(text != NULL && text[0] != '\0' ? text : chat_strerror(err)));
	event_set_mend(event, mend);
}

/* ---- reading: chat.h ---- */

void
chat_event_free(struct chat_event *event)
{
	event_free(event);
}

enum chat_event_type
chat_event_type(const struct chat_event *event)
{
	return event->type;
}

const char *
chat_event_type_name(const struct chat_event *event)
{
	switch (event->type) {
	case CHAT_EVENT_CONNECTING:
		return "connecting";
	case CHAT_EVENT_SERVER_UNKNOWN:
		return "server_unknown";
	case CHAT_EVENT_PASSWORD_NEEDED:
		return "password_needed";
	case CHAT_EVENT_CONNECTED:
		return "connected";
	case CHAT_EVENT_SYNCED:
		return "synced";
	case CHAT_EVENT_DISCONNECTED:
		return "disconnected";
	case CHAT_EVENT_FAILED:
		return "failed";
	case CHAT_EVENT_PROGRESS:
		return "progress";
	case CHAT_EVENT_DONE:
		return "done";
	case CHAT_EVENT_QUEUED:
		return "queued";
	case CHAT_EVENT_MESSAGE:
		return "message";
	case CHAT_EVENT_CREATED:
		return "created";
	case CHAT_EVENT_INVITED:
		return "invited";
	case CHAT_EVENT_JOINED:
		return "joined";
	case CHAT_EVENT_DECLINED:
		return "declined";
	case CHAT_EVENT_LEFT:
		return "left";
	case CHAT_EVENT_KICKED:
		return "kicked";
	case CHAT_EVENT_ROLE:
		return "role";
	case CHAT_EVENT_SETTINGS:
		return "settings";
	case CHAT_EVENT_CARD:
		return "card";
	case CHAT_EVENT_REKEYED:
		return "rekeyed";
	case CHAT_EVENT_TOPIC:
		return "topic";
	case CHAT_EVENT_NAME:
		return "name";
	case CHAT_EVENT_ROOM_ADDED:
		return "room_added";
	case CHAT_EVENT_ROOM_GONE:
		return "room_gone";
	case CHAT_EVENT_UNREADABLE:
		return "unreadable";
	case CHAT_EVENT_WARNING:
		return "warning";
	case CHAT_EVENT_READ_ONLY:
		return "read_only";
	case CHAT_EVENT_CURSOR:
		return "cursor";
	}
	return "unknown";
}

uint64_t
chat_event_token(const struct chat_event *event)
{
	return event->token;
}

enum chat_err
chat_event_err(const struct chat_event *event)
{
	return event->err;
}

const char *
chat_event_text(const struct chat_event *event)
{
	return event->text != NULL ? event->text : "";
}

size_t
chat_event_text_len(const struct chat_event *event)
{
	return event->text_len;
}

const char *
chat_event_mend(const struct chat_event *event)
{
	return event->mend != NULL ? event->mend : "";
}

const struct chat_id *
chat_event_room(const struct chat_event *event)
{
	return event->has_room ? &event->room : NULL;
}

const char *
chat_event_label(const struct chat_event *event)
{
	return event->label;
}

const char *
chat_event_actor(const struct chat_event *event)
{
	return event->actor;
}

const char *
chat_event_target(const struct chat_event *event)
{
	return event->target;
}

bool
chat_event_self(const struct chat_event *event)
{
	return event->self;
}

bool
chat_event_target_self(const struct chat_event *event)
{
	return event->target_self;
}

uint64_t
chat_event_seq(const struct chat_event *event)
{
	return event->seq;
}

uint64_t
chat_event_time_ms(const struct chat_event *event)
{
	return event->time_ms;
}

uint64_t
chat_event_number(const struct chat_event *event)
{
	return event->number;
}

uint64_t
chat_event_total(const struct chat_event *event)
{
	return event->total;
}

uint32_t
chat_event_flags(const struct chat_event *event)
{
	return event->flags;
}

const struct chat_id *
chat_event_hash(const struct chat_event *event)
{
	return event->has_hash ? &event->hash : NULL;
}

const struct chat_online *
chat_event_online(const struct chat_event *event, size_t *ret_count)
{
	*ret_count = event->online_count;
	return event->online;
}
