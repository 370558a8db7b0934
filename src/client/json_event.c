/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/json.h"

#include <string.h>

#include "base/digest.h"
#include "base/utf8.h"

static const uint8_t replacement[] = {0xef, 0xbf, 0xbd}; /* U+FFFD */

json_t *
json_text(struct bytes text)
{
	struct buf clean = {0};
	json_t *json = NULL;
	uint32_t c;

	if (utf8_valid(text))
		return json_stringn(text.len > 0 ? (const char *)text.data : "", text.len);
	while (text.len > 0) {
		size_t n = utf8_decode(text, &c);
		enum chat_err err = n > 0 ? buf_append(&clean, text.data, n)
					  : buf_append(&clean, replacement, sizeof(replacement));

		if (err != CHAT_OK)
			goto out;
		n = n > 0 ? n : 1;
		text = BYTES(text.data + n, text.len - n);
	}
	json = json_stringn((const char *)clean.data, clean.len);
out:
	buf_fini(&clean);
	return json;
}

json_t *
json_id(const struct chat_id *id)
{
	char hex[2 * CHAT_ID_BYTES + 1];

	hex_encode(BYTES_ARRAY(id->b), hex);
	return json_string(hex);
}

/* Puts fields into an object, and remembers a failure. */
struct fields {
	json_t *object;
	bool failed;
};

static void
put(struct fields *f, const char *name, json_t *value)
{
	if (json_object_set_new(f->object, name, value) != 0)
		f->failed = true;
}

static void
put_string(struct fields *f, const char *name, const char *value)
{
	if (value && *value)
		put(f, name, json_text(BYTES_STR(value)));
}

static void
put_number(struct fields *f, const char *name, uint64_t value)
{
	if (value > 0)
		put(f, name, json_integer((json_int_t)value));
}

static void
put_true(struct fields *f, const char *name, bool value)
{
	if (value)
		put(f, name, json_true());
}

static void
put_flags(struct fields *f, uint32_t flags)
{
	put_true(f, "history", flags & CHAT_FLAG_HISTORY);
	put_true(f, "replay", flags & CHAT_FLAG_REPLAY);
	put_true(f, "own_session", flags & CHAT_FLAG_OWN_SESSION);
}

static void
put_online(struct fields *f, const struct chat_event *event)
{
	size_t count = 0;
	const struct chat_online *online = chat_event_online(event, &count);
	json_t *list;

	if (!online)
		return;
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		struct fields one = {.object = json_object()};

		put(&one, "account", json_text(BYTES_STR(online[i].account)));
		put(&one, "sessions", json_integer(online[i].sessions));
		put(&one, "since_unix_ms", json_integer((json_int_t)online[i].since_unix_ms));
		if (json_array_append_new(list, one.object) != 0 || one.failed)
			f->failed = true;
	}
	put(f, "online", list);
}

static bool
has_err(enum chat_event_type type)
{
	return type == CHAT_EVENT_DONE || type == CHAT_EVENT_DISCONNECTED || type == CHAT_EVENT_FAILED ||
	       type == CHAT_EVENT_PASSWORD_NEEDED;
}

json_t *
json_event(const struct chat_event *event)
{
	struct fields f = {.object = json_object()};
	enum chat_event_type type = chat_event_type(event);

	if (!f.object)
		return NULL;
	put(&f, "event", json_text(BYTES_STR(chat_event_type_name(event))));
	put_number(&f, "token", chat_event_token(event));
	if (has_err(type) || chat_event_err(event) != CHAT_OK)
		put(&f, "err", json_string(chat_err_name(chat_event_err(event))));
	if (chat_event_room(event))
		put(&f, "room", json_id(chat_event_room(event)));
	put_string(&f, "label", chat_event_label(event));
	put_number(&f, "seq", chat_event_seq(event));
	put_number(&f, "time_ms", chat_event_time_ms(event));
	put_string(&f, "actor", chat_event_actor(event));
	put_true(&f, "self", chat_event_self(event));
	put_string(&f, "target", chat_event_target(event));
	put_true(&f, "target_self", chat_event_target_self(event));
	if (chat_event_text_len(event) > 0 || type == CHAT_EVENT_MESSAGE || type == CHAT_EVENT_TOPIC)
		put(&f, "text", json_text(BYTES(chat_event_text(event), chat_event_text_len(event))));
	put_string(&f, "mend", chat_event_mend(event));
	put_number(&f, "number", chat_event_number(event));
	put_number(&f, "total", chat_event_total(event));
	if (chat_event_hash(event))
		put(&f, "hash", json_id(chat_event_hash(event)));
	put_flags(&f, chat_event_flags(event));
	put_online(&f, event);
	if (f.failed) {
		json_decref(f.object);
		return NULL;
	}
	return f.object;
}
