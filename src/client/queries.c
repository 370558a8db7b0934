/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/queries.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "client/commands.h"
#include "client/filter.h"
#include "client/plain.h"
#include "client/rooms.h"

#define LABEL_COLUMNS 16

/* A name, and spaces up to a column. */
static void
put_column(struct text *out, const char *name, size_t columns)
{
	struct text shown = {0};
	size_t taken;

	lines_label(&shown, name);
	taken = filter_columns(buf_bytes(&shown.buf));
	text_str(out, text_cstr(&shown));
	text_spaces(out, taken < columns ? columns - taken : 1);
	text_fini(&shown);
}

void
query_digits(struct text *out, const struct chat_id *hash)
{
	for (size_t i = 0; i < 8; i++)
		text_printf(out, "%s%05u", i > 0 ? " " : "", (unsigned)(be32_get(hash->b + 4 * i) % 100000));
}

static const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- rooms ---- */

static void
put_room(struct plain *p, struct text *row, const struct chat_room_info *room)
{
	bool here = p->in_room && room_id_equal(&room->id, &p->room);

	text_str(row, here ? "* " : "  ");
	put_column(row, room->label, LABEL_COLUMNS);
	if (room->stay == CHAT_STAY_INVITED) {
		text_name(row, room->inviter ? room->inviter : "");
		text_str(row, " invited you: /accept ");
		text_name(row, room->label);
		text_str(row, " or /decline ");
		text_name(row, room->label);
		return;
	}
	if (room->direct)
		text_str(row, "the two of you");
	else
		text_printf(row, "%zu member%s", room->member_count, plural(room->member_count));
	if (room->unread_count > 0)
		text_printf(row, ", %" PRIu64 " unread", room->unread_count);
	if (room->read_only)
		text_str(row, ", can only be read");
	if (room->topic && *room->topic) {
		text_str(row, ", topic: ");
		text_body(row, room->topic);
	}
}

void
query_rooms(struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	struct chat_room_list *list;
	enum chat_err err = chat_rooms(p->app->client, &list);
	struct text row = {0};

	if (err != CHAT_OK) {
		plain_refused(p, "/rooms", err, NULL, NULL);
		return;
	}
	if (list->count == 0)
		plain_notice(p, "you are in no room yet; make one: /create ROOM");
	for (size_t i = 0; i < list->count; i++) {
		put_room(p, &row, &list->room[i]);
		plain_row(p, &row, LABEL_COLUMNS + 2);
	}
	text_fini(&row);
	chat_room_list_free(list);
}

void
query_switch(struct plain *p, char *const *args, size_t count __attribute__((unused)))
{
	char label[PLAIN_LABEL_BYTES];
	struct chat_id id;

	if (rooms_find(p, args[0], ROOMS_JOINED, false, &id, label))
		rooms_enter(p, &id, label);
}

/* The room's row in the list of all; *ret_list is the caller's.  NULL: the user was told. */
static const struct chat_room_info *
room_info(struct plain *p, const char *name, const struct chat_id *id, struct chat_room_list **ret_list)
{
	enum chat_err err = chat_rooms(p->app->client, ret_list);

	if (err != CHAT_OK) {
		plain_refused(p, name, err, NULL, NULL);
		return NULL;
	}
	for (size_t i = 0; i < (*ret_list)->count; i++) {
		if (room_id_equal(&(*ret_list)->room[i].id, id))
			return &(*ret_list)->room[i];
	}
	plain_refused(p, name, CHAT_ERR_NOT_FOUND, NULL, NULL);
	chat_room_list_free(*ret_list);
	return NULL;
}

void
query_topic(struct plain *p, const struct chat_id *room)
{
	struct chat_room_list *list;
	const struct chat_room_info *info = room_info(p, "/topic", room, &list);
	struct text topic = {0};

	if (!info)
		return;
	if (info->topic && *info->topic) {
		text_body(&topic, info->topic);
		plain_notice(p, "the topic: %s", text_cstr(&topic));
	} else {
		plain_notice(p, "this room has no topic; set one: /topic TEXT");
	}
	text_fini(&topic);
	chat_room_list_free(list);
}

void
query_audit(struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	const struct chat_room_info *info;
	struct chat_room_list *list;
	struct text row = {0};
	struct chat_id id;

	if (!rooms_here(p, &id) || !(info = room_info(p, "/audit", &id, &list)))
		return;
	plain_notice(p, "the log up to entry %" PRIu64 ", epoch %" PRIu64 ":", info->head_seq, info->epoch);
	text_spaces(&row, 6);
	query_digits(&row, &info->log_hash);
	plain_row(p, &row, 6);
	text_str(&row, "      Who reads out other digits for the same entry was shown another log than you.");
	plain_row(p, &row, 6);
	text_fini(&row);
	chat_room_list_free(list);
}

/* ---- people ---- */

static void
who_ends(
    struct plain *p, const struct request *request __attribute__((unused)), const struct chat_event *done)
{
	size_t count = 0;
	const struct chat_online *online = chat_event_online(done, &count);
	struct text row = {0};

	for (size_t i = 0; online && i < count; i++) {
		text_str(&row, "  ");
		put_column(&row, online[i].account, LABEL_COLUMNS);
		text_str(&row, "since ");
		lines_when(&row, online[i].since_unix_ms, clock_unix_ms());
		if (online[i].sessions > 1)
			text_printf(&row, ", %u sessions", online[i].sessions);
		plain_row(p, &row, LABEL_COLUMNS + 2);
	}
	if (count == 0)
		plain_notice(p, "nobody you share a room with is online");
	text_fini(&row);
}

void
query_who(struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	uint64_t token;
	enum chat_err err = chat_who(p->app->client, &token);
	struct request *request =
	    err == CHAT_OK ? requests_add(&p->requests, token, "/who", NULL, NULL, 0) : NULL;

	if (!request) {
		plain_refused(p, "/who", err == CHAT_OK ? CHAT_ERR_NOMEM : err, NULL, NULL);
		return;
	}
	request->end = who_ends;
	requests_set_gate(&p->requests, request);
}

void
query_members(
    struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	static const char *const role_names[] = {"", "member", "moderator", "owner"};
	struct chat_member_list *list;
	struct text row = {0};
	struct chat_id room;
	enum chat_err err;

	if (!rooms_here(p, &room))
		return;
	err = chat_members(p->app->client, &room, &list);
	if (err != CHAT_OK) {
		plain_refused(p, "/members", err, NULL, NULL);
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct chat_member_info *member = &list->member[i];

		text_str(&row, "  ");
		put_column(&row, member->account, LABEL_COLUMNS);
		if (member->stay == CHAT_STAY_INVITED)
			text_str(&row, "invited");
		else
			text_str(&row, member->role < ARRAY_LEN(role_names) ? role_names[member->role] : "?");
		if (member->self)
			text_str(&row, ", you");
		plain_row(p, &row, LABEL_COLUMNS + 2);
	}
	text_fini(&row);
	chat_member_list_free(list);
}

void
query_whoami(struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	struct chat_whoami *me;
	enum chat_err err = chat_whoami(p->app->client, &me);
	struct text row = {0};

	if (err != CHAT_OK) {
		plain_refused(p, "/whoami", err, NULL, NULL);
		return;
	}
	const struct {
		const char *name, *value;
	} rows[] = {
	    {"account", me->account},
	    {"digits", *me->digits ? me->digits : "none yet: they come with the first login"},
	    {"server", me->server},
	    {"fingerprint", *me->fingerprint ? me->fingerprint : "not known yet"},
	    {"connected", me->connected ? "yes" : "no"},
	    {"kept in", me->data_dir},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		text_str(&row, "  ");
		put_column(&row, rows[i].name, LABEL_COLUMNS);
		text_body(&row, rows[i].value);
		plain_row(p, &row, LABEL_COLUMNS + 2);
	}
	text_fini(&row);
	chat_whoami_free(me);
}

/* ---- help ---- */

#define HELP_COLUMNS 22

static void
put_help(struct plain *p, const struct command *command)
{
	struct text usage = {0}, row = {0};

	text_printf(&usage, "/%s %s", command->name, command->args);
	text_printf(&row, "  %-*s%s", HELP_COLUMNS, text_cstr(&usage), command->help);
	plain_row(p, &row, HELP_COLUMNS + 2);
	text_fini(&usage);
	text_fini(&row);
}

void
query_help(struct plain *p, char *const *args, size_t count)
{
	const char *name = count > 0 ? args[0] + (args[0][0] == '/') : NULL;
	const struct command *command = name ? command_find(name) : NULL;
	struct text shown = {0}, row = {0};

	if (name && !command) {
		command = command_nearest(name);
		text_name(&shown, name);
		plain_error(p, command ? NULL : "/help lists all", "there is no /%s", text_cstr(&shown));
		if (!command)
			goto out;
	}
	if (command) {
		put_help(p, command);
		goto out;
	}
	for (size_t i = 0; i < command_count; i++)
		put_help(p, &command_table[i]);
	text_str(&row, "Anything else is said in the current room; // begins a text with a slash.");
	plain_row(p, &row, 0);
	if (p->editing) {
		text_str(
		    &row, "Tab completes, the arrow keys bring back what you typed.  More: man chat-client.");
		plain_row(p, &row, 0);
	}
out:
	text_fini(&shown);
	text_fini(&row);
}
