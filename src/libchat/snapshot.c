/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "libchat/op.h"
#include "libchat/room.h"

/* Lists of what is known now.  Each is one allocation: the entries, and their strings behind them. */

struct strings {
	char *at;
};

static const char *
put_string(struct strings *strings, const void *from, size_t len)
{
	char *s = strings->at;

	if (len > 0)
		memcpy(s, from, len);
	s[len] = '\0';
	strings->at += len + 1;
	return s;
}

static void
put_id(struct chat_id *to, const struct digest *from)
{
	memcpy(to->b, from->b, sizeof to->b);
}

static bool
is_listed(const struct room *room)
{
	return !room->gone && member_is_reader(room_self(room));
}

static int
compare_rooms(const void *a, const void *b)
{
	const struct room *const *x = a, *const *y = b;

	return strcmp((*x)->label, (*y)->label);
}

static const struct account_name *
inviter_of(const struct room *room)
{
	const struct roster_member *inviter;

	if (!room->has_inviter)
		return NULL;
	inviter = roster_member(room->roster, &room->inviter);
	return inviter != NULL ? &inviter->account : NULL;
}

static void
fill_room(const struct room *room, struct strings *strings, struct chat_room_info *to)
{
	const struct roster_state *state = roster_state(room->roster);
	const struct roster_member *self = room_self(room);
	const struct account_name *inviter = inviter_of(room);

	put_id(&to->id, &room->id);
	to->label = put_string(strings, room->label, strlen(room->label));
	to->name = put_string(strings, room->name.data, room->name.len);
	to->topic = put_string(strings, room->topic.data, room->topic.len);
	to->stay = (enum chat_stay)self->state;
	to->inviter = self->state == MEMBER_INVITED && inviter != NULL
			  ? put_string(strings, inviter->s, inviter->len)
			  : put_string(strings, NULL, 0);
	to->direct = state->kind == ROOM_DIRECT;
	to->read_only = room->read_only;
	to->role = (unsigned)self->role;
	to->member_count = state->joined_count;
	to->head_seq = state->head.seq;
	to->read_seq = room->read_seq;
	to->unread_count = room->unread_count;
	put_id(&to->log_hash, &state->head.L);
	to->epoch = state->epoch;
}

enum chat_err
session_rooms(const struct chat_session *s, struct chat_room_list **ret)
{
	struct chat_room_list *list = NULL;
	const struct room **rooms;
	const struct room *room;
	size_t count = 0, bytes = 0;
	struct strings strings;

	TAILQ_FOREACH (room, &s->room_list, link)
		count++;
	rooms = calloc(count + 1, sizeof(struct room *));
	if (rooms == NULL)
		return CHAT_ERR_NOMEM;
	count = 0;
	TAILQ_FOREACH (room, &s->room_list, link)
		if (is_listed(room)) {
			rooms[count++] = room;
			bytes +=
			    strlen(room->label) + room->name.len + room->topic.len + ACCOUNT_MAX_BYTES + 4;
		}
	qsort(rooms, count, sizeof(struct room *), compare_rooms);
	list = calloc(1, sizeof *list + count * sizeof list->room[0] + bytes);
	if (list != NULL) {
		list->count = count;
		strings.at = (char *)(list->room + count);
		for (size_t i = 0; i < count; i++)
			fill_room(rooms[i], &strings, &list->room[i]);
		*ret = list;
	}
	free(rooms);
	return list != NULL ? CHAT_OK : CHAT_ERR_NOMEM;
}

enum chat_err
session_members(const struct chat_session *s, const struct digest *room_id, struct chat_member_list **ret)
{
	const struct room *room = room_find(s, room_id);
	const struct roster_member *member = NULL;
	struct chat_member_list *list;
	struct strings strings;
	size_t count;

	if (room == NULL)
		return CHAT_ERR_NOT_FOUND;
	count = roster_reader_count(room->roster);
	list = calloc(1, sizeof *list + count * (sizeof list->member[0] + ACCOUNT_MAX_BYTES + 1));
	if (list == NULL)
		return CHAT_ERR_NOMEM;
	strings.at = (char *)(list->member + count);
	while ((member = roster_next_reader(room->roster, member)) != NULL) {
		struct chat_member_info *to = &list->member[list->count++];

		put_id(&to->member_id, &member->id);
		to->account = put_string(&strings, member->account.s, member->account.len);
		to->stay = (enum chat_stay)member->state;
		to->role = (unsigned)member->role;
		to->self = room_is_self(room, &member->id);
	}
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

#define ID_DIGITS_MIN 4 /* fewer hex digits of an id are taken for a label */

enum chat_err
session_find_room(const struct chat_session *s, const char *label, struct digest *ret)
{
	const struct room *room, *found = NULL;
	size_t len = strlen(label), matches = 0;
	char hex[DIGEST_HEX_CHARS + 1];

	TAILQ_FOREACH (room, &s->room_list, link)
		if (is_listed(room) && strcmp(room->label, label) == 0) {
			*ret = room->id;
			return CHAT_OK;
		}
	TAILQ_FOREACH (room, &s->room_list, link) {
		digest_hex(&room->id, hex);
		if (is_listed(room) && len >= ID_DIGITS_MIN && strncasecmp(hex, label, len) == 0) {
			found = room;
			matches++;
		}
	}
	if (matches != 1)
		return CHAT_ERR_NOT_FOUND;
	*ret = found->id;
	return CHAT_OK;
}

bool
session_knows_room(const struct chat_session *s, const struct digest *room_id)
{
	return room_find(s, room_id) != NULL;
}

bool
session_member_id(const struct chat_session *s, struct digest *ret)
{
	if (!s->has_identity)
		return false;
	*ret = s->identity.member_id;
	return true;
}

bool
session_realm(const struct chat_session *s, struct realm *ret)
{
	if (!s->realm_known)
		return false;
	*ret = s->realm;
	return true;
}
