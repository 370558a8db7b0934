/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/rooms.h"

#include <stdio.h>
#include <string.h>

#include "client/plain.h"

bool
room_id_equal(const struct chat_id *a, const struct chat_id *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static bool
meant(const struct chat_room_info *room, enum rooms_which which)
{
	switch (which) {
	case ROOMS_JOINED:
		return room->stay == CHAT_STAY_JOINED;
	case ROOMS_INVITED:
		return room->stay == CHAT_STAY_INVITED;
	case ROOMS_ANY:
		break;
	}
	return true;
}

static size_t
count_meant(const struct chat_room_list *list, enum rooms_which which)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += meant(&list->room[i], which);
	return count;
}

/* "ops, dev", of those whose label begins so. */
static void
put_labels(struct text *out, const struct chat_room_list *list, enum rooms_which which, const char *begins)
{
	bool first = true;

	for (size_t i = 0; i < list->count; i++) {
		const struct chat_room_info *room = &list->room[i];

		if (!meant(room, which) || strncmp(room->label, begins, strlen(begins)) != 0)
			continue;
		if (!first)
			text_str(out, ", ");
		text_name(out, room->label);
		first = false;
	}
}

static void
say_none(struct plain *p, const struct chat_room_list *list, enum rooms_which which, const char *name)
{
	struct text shown = {0}, mend = {0};
	bool any = count_meant(list, which) > 0;

	text_name(&shown, name);
	if (which == ROOMS_INVITED) {
		text_str(&mend, any ? "you are invited to: " : "nobody has invited you");
	} else {
		text_str(&mend, any ? "your rooms: " : "make one: /create ROOM");
	}
	put_labels(&mend, list, which, "");
	plain_error(p, text_cstr(&mend),
	    which == ROOMS_INVITED ? "no invitation to \"%s\"" : "no room \"%s\"", text_cstr(&shown));
	text_fini(&shown);
	text_fini(&mend);
}

static void
say_ambiguous(struct plain *p, const struct chat_room_list *list, enum rooms_which which, const char *name)
{
	struct text shown = {0}, mend = {0};

	text_name(&shown, name);
	text_str(&mend, "type more of it: ");
	put_labels(&mend, list, which, name);
	plain_error(p, text_cstr(&mend), "\"%s\" may be several rooms", text_cstr(&shown));
	text_fini(&shown);
	text_fini(&mend);
}

static void
take(const struct chat_room_info *room, struct chat_id *ret_id, char *ret_label)
{
	*ret_id = room->id;
	snprintf(ret_label, PLAIN_LABEL_BYTES, "%s", room->label);
}

/* The index of the room; list->count: none, list->count + 1: several. */
static size_t
find(struct plain *p, const struct chat_room_list *list, const char *name, enum rooms_which which, bool whole)
{
	size_t found = list->count;
	struct chat_id id;

	for (size_t i = 0; i < list->count; i++) {
		if (meant(&list->room[i], which) && strcmp(list->room[i].label, name) == 0)
			return i;
	}
	for (size_t i = 0; !whole && i < list->count; i++) {
		if (!meant(&list->room[i], which) || strncmp(list->room[i].label, name, strlen(name)) != 0)
			continue;
		if (found < list->count)
			return list->count + 1;
		found = i;
	}
	if (found < list->count || chat_find_room(p->app->client, name, &id) != CHAT_OK)
		return found;
	for (size_t i = 0; i < list->count; i++) {
		if (meant(&list->room[i], which) && room_id_equal(&list->room[i].id, &id))
			return i;
	}
	return found;
}

bool
rooms_find(struct plain *p, const char *name, enum rooms_which which, bool whole, struct chat_id *ret_id,
    char *ret_label)
{
	struct chat_room_list *list;
	enum chat_err err = chat_rooms(p->app->client, &list);
	size_t i;

	if (err != CHAT_OK) {
		plain_error(p, NULL, "%s", chat_strerror(err));
		return false;
	}
	i = find(p, list, name, which, whole);
	if (i < list->count)
		take(&list->room[i], ret_id, ret_label);
	else if (i == list->count)
		say_none(p, list, which, name);
	else
		say_ambiguous(p, list, which, name);
	i = i < list->count;
	chat_room_list_free(list);
	return i == 1;
}

bool
rooms_find_only(struct plain *p, enum rooms_which which, struct chat_id *ret_id, char *ret_label)
{
	struct chat_room_list *list;
	enum chat_err err = chat_rooms(p->app->client, &list);
	struct text mend = {0};
	bool only;

	if (err != CHAT_OK) {
		plain_error(p, NULL, "%s", chat_strerror(err));
		return false;
	}
	only = count_meant(list, which) == 1;
	for (size_t i = 0; only && i < list->count; i++) {
		if (meant(&list->room[i], which))
			take(&list->room[i], ret_id, ret_label);
	}
	if (!only && count_meant(list, which) == 0) {
		plain_error(
		    p, NULL, which == ROOMS_INVITED ? "nobody has invited you" : "you are in no room");
	} else if (!only) {
		put_labels(&mend, list, which, "");
		plain_error(p, text_cstr(&mend), "name the room, there are several");
	}
	text_fini(&mend);
	chat_room_list_free(list);
	return only;
}

bool
rooms_here(struct plain *p, struct chat_id *ret_id)
{
	struct chat_room_list *list;
	bool some = false;

	if (p->in_room) {
		*ret_id = p->room;
		return true;
	}
	if (chat_rooms(p->app->client, &list) == CHAT_OK) {
		some = count_meant(list, ROOMS_JOINED) > 0;
		chat_room_list_free(list);
	}
	plain_error(p,
	    some ? "go to one: /switch ROOM (/rooms lists them)" : "join or create one: /create ROOM",
	    some ? "no room is chosen" : "you are in no room");
	return false;
}

void
rooms_enter(struct plain *p, const struct chat_id *id, const char *label)
{
	p->in_room = label != NULL;
	if (label) {
		p->room = *id;
		snprintf(p->label, sizeof(p->label), "%s", label);
	}
	plain_update_prompt(p);
}

void
rooms_enter_first(struct plain *p)
{
	const char *name = p->app->opt->room;
	char label[PLAIN_LABEL_BYTES];
	struct chat_room_list *list;
	struct chat_id id;

	if (name) {
		if (rooms_find(p, name, ROOMS_JOINED, true, &id, label))
			rooms_enter(p, &id, label);
		return;
	}
	if (p->in_room || chat_rooms(p->app->client, &list) != CHAT_OK)
		return;
	for (size_t i = 0; count_meant(list, ROOMS_JOINED) == 1 && i < list->count; i++) {
		if (meant(&list->room[i], ROOMS_JOINED))
			rooms_enter(p, &list->room[i].id, list->room[i].label);
	}
	chat_room_list_free(list);
}

void
rooms_event(struct plain *p, const struct chat_event *event)
{
	const struct chat_id *id = chat_event_room(event);

	if (!p->in_room || !id || !room_id_equal(id, &p->room))
		return;
	if (chat_event_type(event) == CHAT_EVENT_ROOM_GONE) {
		plain_notice(p, "you are in no room now");
		rooms_enter(p, NULL, NULL);
	} else if (*chat_event_label(event) && strcmp(chat_event_label(event), p->label) != 0) {
		rooms_enter(p, id, chat_event_label(event));
	}
}
