/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/complete.h"

#include <stdlib.h>
#include <string.h>

#include <chat/chat.h>

#include "base/bytes.h"
#include "client/commands.h"
#include "client/filter.h"
#include "client/plain.h"

void
completions_fini(struct completions *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->word[i]);
	free(c->word);
	*c = (struct completions){0};
}

/* What is typed so far: the argument from its beginning, and the part of it in which the cursor is. */
struct typed_arg {
	const char *whole;
	size_t whole_len;
	size_t before; /* of whole, bytes before the word that is completed: a room's label may have spaces */
};

/* Offers a candidate where it fits, and what shows as it is: others could not be told apart on the screen. */
static void
offer(struct completions *c, const struct typed_arg *arg, const char *prefix, const char *candidate)
{
	char *word;

	if (strncmp(candidate, arg->whole, arg->whole_len) != 0 ||
	    !filter_clean(BYTES_STR(candidate), FILTER_NAME))
		return;
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->word[i] + strlen(prefix), candidate + arg->before) == 0)
			return;
	}
	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		char **grown = reallocarray(c->word, cap, sizeof(*grown));

		if (!grown)
			return;
		c->word = grown;
		c->cap = cap;
	}
	if (asprintf(&word, "%s%s", prefix, candidate + arg->before) >= 0)
		c->word[c->count++] = word;
}

static void
offer_commands(struct completions *c, const struct typed_arg *arg, const char *prefix)
{
	for (size_t i = 0; i < command_count; i++)
		offer(c, arg, prefix, command_table[i].name);
}

static void
offer_rooms(struct plain *p, struct completions *c, const struct typed_arg *arg, enum chat_stay stay)
{
	struct chat_room_list *list;

	if (chat_rooms(p->app->client, &list) != CHAT_OK)
		return;
	for (size_t i = 0; i < list->count; i++) {
		if (list->room[i].stay == stay)
			offer(c, arg, "", list->room[i].label);
	}
	chat_room_list_free(list);
}

static void
offer_members(struct plain *p, struct completions *c, const struct typed_arg *arg, const struct chat_id *room)
{
	struct chat_member_list *list;

	if (chat_members(p->app->client, room, &list) != CHAT_OK)
		return;
	for (size_t i = 0; i < list->count; i++) {
		if (!list->member[i].self)
			offer(c, arg, "", list->member[i].account);
	}
	chat_member_list_free(list);
}

/* Everybody who is in a room with us. */
static void
offer_accounts(struct plain *p, struct completions *c, const struct typed_arg *arg)
{
	struct chat_room_list *list;

	if (chat_rooms(p->app->client, &list) != CHAT_OK)
		return;
	for (size_t i = 0; i < list->count; i++)
		offer_members(p, c, arg, &list->room[i].id);
	chat_room_list_free(list);
}

static void
offer_arg(struct plain *p, struct completions *c, const struct typed_arg *arg, enum command_arg kind)
{
	switch (kind) {
	case ARG_ROOM:
		offer_rooms(p, c, arg, CHAT_STAY_JOINED);
		break;
	case ARG_INVITATION:
		offer_rooms(p, c, arg, CHAT_STAY_INVITED);
		break;
	case ARG_ACCOUNT:
		offer_accounts(p, c, arg);
		break;
	case ARG_COMMAND:
		offer_commands(c, arg, "");
		break;
	case ARG_NONE:
	case ARG_OTHER:
		break;
	}
}

void
complete_line(struct plain *p, const char *line, size_t start, struct completions *ret)
{
	struct completions c = {0};
	struct typed_arg arg = {.whole = line + start, .whole_len = strlen(line + start)};
	char name[32] = "";
	size_t name_len = strcspn(line, " "), at;
	const struct command *command;

	if (line[0] != '/' || line[1] == '/') {
		/* A text: whom it is for, at its beginning or in it. */
		if (p->in_room && arg.whole_len > 0)
			offer_members(p, &c, &arg, &p->room);
	} else if (start < name_len || line[name_len] == '\0') {
		arg.whole = line + 1;
		arg.whole_len = strlen(arg.whole);
		offer_commands(&c, &arg, start == 0 ? "/" : "");
	} else if (name_len - 1 < sizeof(name)) {
		memcpy(name, line + 1, name_len - 1);
		command = command_find(name);
		at = name_len + strspn(line + name_len, " ");
		if (command && (command->words || command->max == 1) && !command->words) {
			arg.before = start - at;
			arg.whole = line + at;
			arg.whole_len = strlen(arg.whole);
		}
		if (command)
			offer_arg(
			    p, &c, &arg, start == at || arg.before > 0 ? command->first : command->more);
	}
	*ret = c;
}
