/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/view.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX_MIN 4 /* hex digits: fewer are more likely a label that is not there */

struct view_members {
	atomic_uint refs;
	struct chat_member_list *list; /* owned; immutable */
};

static struct view_members *
members_ref(struct view_members *members)
{
	if (members)
		(void)atomic_fetch_add_explicit(&members->refs, 1, memory_order_relaxed);
	return members;
}

static void
members_unref(struct view_members *members)
{
	if (!members || atomic_fetch_sub_explicit(&members->refs, 1, memory_order_acq_rel) != 1)
		return;
	chat_member_list_free(members->list);
	free(members);
}

struct view *
view_ref(struct view *view)
{
	(void)atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
	return view;
}

void
view_unref(struct view *view)
{
	if (!view || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; view->members && i < view->rooms->count; i++)
		members_unref(view->members[i]);
	free(view->members);
	chat_room_list_free(view->rooms);
	free(view);
}

static bool
id_equal(const struct chat_id *a, const struct chat_id *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void
view_stale_add(struct view_stale *stale, const struct chat_id *room)
{
	for (size_t i = 0; i < stale->count; i++) {
		if (id_equal(&stale->rooms[i], room))
			return;
	}
	if (stale->count == VIEW_STALE_MAX)
		stale->all = true;
	else
		stale->rooms[stale->count++] = *room;
}

/* ---- making one ---- */

/* The index of a room; list->count: it is not there.  It is usually where it was. */
static size_t
room_index(const struct chat_room_list *list, const struct chat_id *room, size_t guess)
{
	if (guess < list->count && id_equal(&list->room[guess].id, room))
		return guess;
	for (size_t i = 0; i < list->count; i++) {
		if (id_equal(&list->room[i].id, room))
			return i;
	}
	return list->count;
}

/* The previous list of members, a reference, where it still holds; else NULL. */
static struct view_members *
members_as_before(const struct view *previous, const struct view_stale *stale,
    const struct chat_room_info *room, size_t index)
{
	const struct chat_room_info *before;
	size_t i;

	if (!previous || stale->all)
		return NULL;
	for (i = 0; i < stale->count; i++) {
		if (id_equal(&stale->rooms[i], &room->id))
			return NULL;
	}
	i = room_index(previous->rooms, &room->id, index);
	if (i == previous->rooms->count)
		return NULL;
	before = &previous->rooms->room[i];
	if (before->stay != room->stay || before->role != room->role ||
	    before->member_count != room->member_count || before->epoch != room->epoch)
		return NULL;
	return members_ref(previous->members[i]);
}

static enum chat_err
members_make(const struct chat_session *session, const struct chat_id *room, struct view_members **ret)
{
	struct view_members *members = calloc(1, sizeof(*members));
	struct digest id;
	enum chat_err err;

	if (!members)
		return CHAT_ERR_NOMEM;
	atomic_init(&members->refs, 1);
	memcpy(id.b, room->b, sizeof(id.b));
	err = session_members(session, &id, &members->list);
	if (err)
		free(members);
	else
		*ret = members;
	return err;
}

enum chat_err
view_make(const struct chat_session *session, const struct view *previous, const struct view_stale *stale,
    struct view **ret)
{
	struct view *view = calloc(1, sizeof(*view));
	enum chat_err err;

	if (!view)
		return CHAT_ERR_NOMEM;
	atomic_init(&view->refs, 1);
	err = session_rooms(session, &view->rooms);
	if (err) {
		free(view);
		return err;
	}
	view->members = calloc(view->rooms->count + 1, sizeof(struct view_members *));
	if (!view->members)
		err = CHAT_ERR_NOMEM;
	for (size_t i = 0; !err && i < view->rooms->count; i++) {
		const struct chat_room_info *room = &view->rooms->room[i];

		view->members[i] = members_as_before(previous, stale, room, i);
		if (!view->members[i])
			err = members_make(session, &room->id, &view->members[i]);
		if (err == CHAT_ERR_NOT_FOUND)
			err = CHAT_OK;
	}
	view->has_member_id = session_member_id(session, &view->member_id);
	if (err)
		view_unref(view);
	else
		*ret = view;
	return err;
}

/* ---- the slot ---- */

void
view_slot_init(struct view_slot *slot)
{
	(void)pthread_mutex_init(&slot->mtx, NULL);
	slot->view = NULL;
}

void
view_slot_fini(struct view_slot *slot)
{
	view_unref(slot->view);
	(void)pthread_mutex_destroy(&slot->mtx);
}

void
view_slot_put(struct view_slot *slot, struct view *view)
{
	struct view *old;

	(void)pthread_mutex_lock(&slot->mtx);
	old = slot->view;
	slot->view = view;
	(void)pthread_mutex_unlock(&slot->mtx);
	view_unref(old);
}

struct view *
view_slot_get(struct view_slot *slot)
{
	struct view *view;

	(void)pthread_mutex_lock(&slot->mtx);
	view = view_ref(slot->view);
	(void)pthread_mutex_unlock(&slot->mtx);
	return view;
}

/* ---- queries ---- */

bool
view_knows_room(const struct view *view, const struct chat_id *room)
{
	return room_index(view->rooms, room, 0) < view->rooms->count;
}

/* Copies a string to *at and moves *at behind it. */
static const char *
string_put(char **at, const char *s)
{
	size_t n = strlen(s ? s : "") + 1;
	char *copy = *at;

	memcpy(copy, s ? s : "", n);
	*at += n;
	return copy;
}

static size_t
string_bytes(const char *s)
{
	return strlen(s ? s : "") + 1;
}

enum chat_err
view_copy_rooms(const struct view *view, struct chat_room_list **ret)
{
	const struct chat_room_list *from = view->rooms;
	size_t fixed = sizeof(*from) + from->count * sizeof(from->room[0]), bytes = fixed;
	struct chat_room_list *list;
	char *at;

	for (size_t i = 0; i < from->count; i++)
		bytes += string_bytes(from->room[i].label) + string_bytes(from->room[i].name) +
			 string_bytes(from->room[i].topic) + string_bytes(from->room[i].inviter);
	list = malloc(bytes);
	if (!list)
		return CHAT_ERR_NOMEM;
	memcpy(list, from, fixed);
	at = (char *)list + fixed;
	for (size_t i = 0; i < list->count; i++) {
		struct chat_room_info *room = &list->room[i];

		room->label = string_put(&at, room->label);
		room->name = string_put(&at, room->name);
		room->topic = string_put(&at, room->topic);
		room->inviter = string_put(&at, room->inviter);
	}
	*ret = list;
	return CHAT_OK;
}

enum chat_err
view_copy_members(const struct view *view, const struct chat_id *room, struct chat_member_list **ret)
{
	size_t i = room_index(view->rooms, room, 0), fixed, bytes;
	const struct chat_member_list *from;
	struct chat_member_list *list;
	char *at;

	if (i == view->rooms->count || !view->members[i])
		return CHAT_ERR_NOT_FOUND;
	from = view->members[i]->list;
	fixed = bytes = sizeof(*from) + from->count * sizeof(from->member[0]);
	for (i = 0; i < from->count; i++)
		bytes += string_bytes(from->member[i].account);
	list = malloc(bytes);
	if (!list)
		return CHAT_ERR_NOMEM;
	memcpy(list, from, fixed);
	at = (char *)list + fixed;
	for (i = 0; i < list->count; i++)
		list->member[i].account = string_put(&at, list->member[i].account);
	*ret = list;
	return CHAT_OK;
}

/* Whether the hex digits of an id begin with these, which may be of either case. */
static bool
id_begins(const struct chat_id *id, const char *digits, size_t len)
{
	char hex[2 * CHAT_ID_BYTES + 1];

	hex_encode(BYTES_ARRAY(id->b), hex);
	return len < sizeof(hex) && strncasecmp(hex, digits, len) == 0;
}

enum chat_err
view_find_room(const struct view *view, const char *label, struct chat_id *ret)
{
	const struct chat_room_info *found = NULL;
	size_t len = strlen(label);

	for (size_t i = 0; i < view->rooms->count; i++) {
		if (strcmp(view->rooms->room[i].label, label) == 0) {
			*ret = view->rooms->room[i].id;
			return CHAT_OK;
		}
	}
	for (size_t i = 0; len >= PREFIX_MIN && i < view->rooms->count; i++) {
		const struct chat_room_info *room = &view->rooms->room[i];

		if (!id_begins(&room->id, label, len))
			continue;
		if (found)
			return CHAT_ERR_NOT_FOUND;
		found = room;
	}
	if (!found)
		return CHAT_ERR_NOT_FOUND;
	*ret = found->id;
	return CHAT_OK;
}
