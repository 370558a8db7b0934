/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/lines.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/filter.h"
#include "client/wrap.h"

#define INDENT 8 /* of the rows behind the first */

/* ---- time ---- */

static bool
local_time(uint64_t unix_ms, struct tm *ret)
{
	time_t t = (time_t)(unix_ms / 1000);

	return localtime_r(&t, ret) != NULL;
}

static int32_t
day_of(const struct tm *tm)
{
	return tm->tm_year * 512 + tm->tm_yday + 1;
}

static void
put_time(struct text *out, const struct tm *tm, const char *format)
{
	char s[64];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (strftime(s, sizeof(s), format, tm) > 0)
		text_str(out, s);
#pragma GCC diagnostic pop
}

void
lines_when(struct text *out, uint64_t unix_ms, uint64_t now_unix_ms)
{
	struct tm tm, today;

	if (!local_time(unix_ms, &tm) || !local_time(now_unix_ms, &today))
		return;
	put_time(out, &tm, day_of(&tm) == day_of(&today) ? "%H:%M" : "%Y-%m-%d %H:%M");
}

/* Begins a line with its time, and before it one with the date where the day is another one. */
static void
begin(struct lines *l, struct text *dated, struct text *line, uint64_t unix_ms)
{
	struct tm tm;

	if (!local_time(unix_ms, &tm))
		return;
	if (day_of(&tm) != l->last_day) {
		text_str(dated, "=== ");
		put_time(dated, &tm, "%A, %-d %B %Y");
		text_char(dated, '\n');
		l->last_day = day_of(&tm);
	}
	put_time(line, &tm, "%H:%M ");
}

static void
end(const struct lines *l, struct text *out, struct text *line)
{
	out->failed |= line->failed;
	wrap_append(out, buf_bytes(&line->buf), l->columns, INDENT);
	text_fini(line);
}

/* ---- parts of lines ---- */

void
lines_label(struct text *out, const char *label)
{
	struct text name = {0};

	text_name(&name, label);
	for (size_t i = 0; i < name.buf.len; i++) {
		if (name.buf.data[i] == '[')
			name.buf.data[i] = '(';
		else if (name.buf.data[i] == ']')
			name.buf.data[i] = ')';
	}
	out->failed |= name.failed;
	text_bytes(out, buf_bytes(&name.buf));
	text_fini(&name);
}

static void
put_label(struct text *out, const char *label)
{
	text_char(out, '[');
	lines_label(out, label);
	text_str(out, "] ");
}

/* A sentence of the library or the server, which may end in a full stop. */
static void
put_sentence(struct text *out, const char *sentence)
{
	size_t len = strlen(sentence);

	if (len > 0 && sentence[len - 1] == '.')
		len--;
	filter_append(out, BYTES(sentence, len), FILTER_BODY);
}

/* A text of several lines: the later ones are marked, so that they cannot pass for lines of ours. */
static void
put_body(struct lines *l, struct text *out, struct text *line, struct bytes body)
{
	for (;;) {
		const uint8_t *nl = body.len > 0 ? memchr(body.data, '\n', body.len) : NULL;
		size_t n = nl ? (size_t)(nl - body.data) : body.len;
		size_t shown = n > 0 && body.data[n - 1] == '\r' ? n - 1 : n;

		filter_append(line, BYTES(body.data, shown), FILTER_BODY);
		if (!nl)
			return;
		body = BYTES(nl + 1, body.len - n - 1);
		end(l, out, line);
		text_spaces(line, INDENT - 2);
		text_str(line, "| ");
	}
}

/* ---- lines of the program's own ---- */

void
lines_notice(struct lines *l, uint64_t now_unix_ms, struct text *out, const char *body)
{
	struct text line = {0};

	begin(l, out, &line, now_unix_ms);
	text_str(&line, "-- ");
	text_str(&line, body);
	end(l, out, &line);
}

void
lines_error(struct lines *l, uint64_t now_unix_ms, struct text *out, const char *label, const char *body,
    const char *mend)
{
	struct text line = {0};

	begin(l, out, &line, now_unix_ms);
	text_str(&line, "! ");
	if (label && *label)
		put_label(&line, label);
	text_body(&line, body);
	if (mend && *mend) {
		text_str(&line, "  -> ");
		text_body(&line, mend);
	}
	end(l, out, &line);
}

void
lines_pending(struct lines *l, uint64_t now_unix_ms, struct text *out, const char *label, struct bytes body,
    const char *why)
{
	struct text line = {0};

	begin(l, out, &line, now_unix_ms);
	put_label(&line, label);
	text_printf(&line, "(%s) ", why);
	put_body(l, out, &line, body);
	end(l, out, &line);
}

void
lines_plain(const struct lines *l, struct text *out, const char *body, unsigned indent)
{
	wrap_append(out, BYTES_STR(body), l->columns, indent);
}

/* ---- events ---- */

static void
separator(struct text *out, const char *body)
{
	text_str(out, "--- ");
	text_str(out, body);
	text_str(out, " ---\n");
}

static void
end_away(struct lines *l, struct text *out)
{
	if (l->away)
		separator(out, "now");
	l->away = false;
}

static const char *
role_name(uint64_t role)
{
	return role == 3 ? "an owner" : role == 2 ? "a moderator" : "a member";
}

/* The subject of a sentence, and the object. */
static void
put_actor(struct text *out, const struct chat_event *event)
{
	if (chat_event_self(event))
		text_str(out, "you");
	else
		text_name(out, chat_event_actor(event));
}

static void
put_target(struct text *out, const struct chat_event *event)
{
	if (chat_event_target_self(event))
		text_str(out, "you");
	else
		text_name(out, chat_event_target(event));
}

static void
put_invited(struct text *out, const struct chat_event *event)
{
	put_actor(out, event);
	text_str(out, " invited ");
	put_target(out, event);
	if (chat_event_target_self(event) && !(chat_event_flags(event) & CHAT_FLAG_HISTORY)) {
		text_str(out, ": /accept ");
		text_name(out, chat_event_label(event));
		text_str(out, " or /decline ");
		text_name(out, chat_event_label(event));
	}
}

static void
put_card(struct text *out, const struct chat_event *event)
{
	put_actor(out, event);
	if (chat_event_number(event) == 1)
		text_str(out, " retired this identity");
	else
		text_str(out, chat_event_self(event) ? " have a new key" : " has a new key");
}

static void
put_named(struct text *out, const struct chat_event *event, const char *what, const char *none)
{
	put_actor(out, event);
	if (*chat_event_text(event)) {
		text_str(out, what);
		text_body(out, chat_event_text(event));
	} else {
		text_str(out, none);
	}
}

/* What one member did to another. */
static void
put_done_to(struct text *out, const struct chat_event *event, enum chat_event_type type)
{
	text_str(out, type == CHAT_EVENT_KICKED ? " removed " : " made ");
	put_target(out, event);
	if (type == CHAT_EVENT_ROLE)
		text_printf(out, " %s", role_name(chat_event_number(event)));
}

/* What an entry of a room says, behind its label.  The rows of a text but its last go to out at once. */
static void
put_entry(struct lines *l, struct text *out, struct text *line, const struct chat_event *event)
{
	enum chat_event_type type = chat_event_type(event);

	if (type == CHAT_EVENT_MESSAGE) {
		text_char(line, '<');
		text_name(line, chat_event_actor(event));
		text_str(line, "> ");
		put_body(l, out, line, BYTES(chat_event_text(event), chat_event_text_len(event)));
		return;
	}
	text_str(line, "-- ");
	if (type == CHAT_EVENT_INVITED) {
		put_invited(line, event);
	} else if (type == CHAT_EVENT_CARD) {
		put_card(line, event);
	} else if (type == CHAT_EVENT_TOPIC) {
		put_named(line, event, " set the topic: ", " removed the topic");
	} else if (type == CHAT_EVENT_NAME) {
		put_named(line, event, " named the room ", " removed the room's name");
	} else {
		put_actor(line, event);
		if (type == CHAT_EVENT_CREATED)
			text_str(line, " created the room");
		else if (type == CHAT_EVENT_JOINED)
			text_str(line, " joined");
		else if (type == CHAT_EVENT_DECLINED)
			text_str(line, " declined the invitation");
		else if (type == CHAT_EVENT_LEFT)
			text_str(line, " left");
		else if (type == CHAT_EVENT_SETTINGS)
			text_str(line, " changed the room's settings");
		else
			put_done_to(line, event, type);
	}
}

static void
entry(struct lines *l, const struct chat_event *event, uint64_t now_unix_ms, struct text *out)
{
	struct text line = {0};
	uint64_t time_ms = chat_event_time_ms(event);

	if ((chat_event_flags(event) & CHAT_FLAG_REPLAY) && !l->away) {
		separator(out, "while you were away");
		l->away = true;
	}
	/* Who accepts an invitation gets what was said since then. */
	if (!(chat_event_flags(event) & CHAT_FLAG_REPLAY) && l->away && l->synced)
		end_away(l, out);
	if ((chat_event_flags(event) & CHAT_FLAG_HISTORY) && !l->older) {
		separator(out, "older entries");
		l->older = true;
	}
	begin(l, out, &line, time_ms > 0 ? time_ms : now_unix_ms);
	put_label(&line, chat_event_label(event));
	put_entry(l, out, &line, event);
	end(l, out, &line);
}

static void
connected(struct lines *l, const struct chat_event *event, uint64_t now_unix_ms, struct text *out)
{
	struct text body = {0};
	uint64_t sessions = chat_event_number(event);

	text_str(&body, l->lost ? "the connection is back" : "logged in");
	if (sessions > 1)
		text_printf(&body, "; this account has %" PRIu64 " sessions", sessions);
	lines_notice(l, now_unix_ms, out, text_cstr(&body));
	text_fini(&body);
	l->connected = true;
	l->lost = false;
}

static void
disconnected(struct lines *l, const struct chat_event *event, uint64_t now_unix_ms, struct text *out)
{
	struct text body = {0};
	const char *why = chat_event_text(event);

	l->connected = false;
	l->synced = false;
	l->away = false;
	if (l->lost)
		return; /* another attempt in vain */
	l->lost = true;
	text_str(&body, "no connection: ");
	put_sentence(&body, *why ? why : chat_strerror(chat_event_err(event)));
	text_str(&body, "; trying again by itself");
	lines_notice(l, now_unix_ms, out, text_cstr(&body));
	text_fini(&body);
}

static void
trouble(struct lines *l, const struct chat_event *event, uint64_t now_unix_ms, struct text *out)
{
	struct text body = {0};
	const char *text = chat_event_text(event);

	/* That something cannot be read, and which entry it is, the library's text says itself. */
	if (chat_event_type(event) == CHAT_EVENT_READ_ONLY)
		text_str(&body, "this room can only be read: ");
	put_sentence(&body, *text ? text : chat_strerror(chat_event_err(event)));
	lines_error(l, now_unix_ms, out, chat_event_label(event), text_cstr(&body), chat_event_mend(event));
	text_fini(&body);
}

void
lines_event(struct lines *l, const struct chat_event *event, uint64_t now_unix_ms, struct text *out)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (chat_event_type(event)) {
	case CHAT_EVENT_CONNECTED:
		connected(l, event, now_unix_ms, out);
		break;
	case CHAT_EVENT_DISCONNECTED:
		disconnected(l, event, now_unix_ms, out);
		break;
	case CHAT_EVENT_SYNCED:
		end_away(l, out);
		l->synced = true;
		break;
	case CHAT_EVENT_MESSAGE:
	case CHAT_EVENT_CREATED:
	case CHAT_EVENT_INVITED:
	case CHAT_EVENT_JOINED:
	case CHAT_EVENT_DECLINED:
	case CHAT_EVENT_LEFT:
	case CHAT_EVENT_KICKED:
	case CHAT_EVENT_ROLE:
	case CHAT_EVENT_SETTINGS:
	case CHAT_EVENT_CARD:
	case CHAT_EVENT_TOPIC:
	case CHAT_EVENT_NAME:
		entry(l, event, now_unix_ms, out);
		break;
	case CHAT_EVENT_UNREADABLE:
	case CHAT_EVENT_WARNING:
	case CHAT_EVENT_READ_ONLY:
		trouble(l, event, now_unix_ms, out);
		break;
	default: /* asked questions, ends of requests, rekeys, what a later library may tell */
		break;
	}
#pragma GCC diagnostic pop
}
