/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/actions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <chat/chat.h>

#include "base/account_name.h"
#include "base/utf8.h"
#include "client/plain.h"
#include "client/queries.h"
#include "client/rooms.h"

#define HISTORY_DEFAULT 20
#define HISTORY_MAX     1000

/*
 * What follows chat_...(): err is what it returned, and token where it put it.  A request that was taken
 * holds the lines behind it until it ends; its name says what it was where it fails.
 */
static void
follow(struct plain *p, const char *name, enum chat_err err, const uint64_t *token, request_end *end)
{
	struct request *request;

	if (err != CHAT_OK) {
		plain_refused(p, name, err, NULL, NULL);
		return;
	}
	request = requests_add(&p->requests, *token, name, NULL, NULL, 0);
	if (!request) {
		plain_refused(p, name, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	request->end = end;
	requests_set_gate(&p->requests, request);
}

/* ---- saying something ---- */

static void
say_in(struct plain *p, const struct chat_id *room, const char *label, const char *text, size_t len)
{
	uint64_t token;
	enum chat_err err;
	struct request *request;

	if (memchr(text, '\0', len) || !utf8_valid(BYTES(text, len))) {
		plain_error(p, "the terminal has to be set to UTF-8", "that is not UTF-8, and was not sent");
		return;
	}
	err = chat_send(p->app->client, room, text, len, &token);
	if (err == CHAT_ERR_TOO_LONG) {
		plain_error(p, "say it in several", "not sent: a text has at most %d bytes, this one %zu",
		    CHAT_TEXT_MAX, len);
		return;
	}
	if (err != CHAT_OK) {
		plain_refused(p, "not sent", err, NULL, NULL);
		return;
	}
	request = requests_add(&p->requests, token, "not sent", label, text, len);
	if (request)
		requests_set_said(&p->requests, request);
}

void
action_say(struct plain *p, const char *text, size_t len)
{
	struct chat_id room;

	if (rooms_here(p, &room))
		say_in(p, &room, p->label, text, len);
}

/* ---- rooms ---- */

static void
go_there(
    struct plain *p, const struct request *request __attribute__((unused)), const struct chat_event *done)
{
	if (chat_event_room(done))
		rooms_enter(p, chat_event_room(done), chat_event_label(done));
}

void
action_create(struct plain *p, char *const *args, size_t count __attribute__((unused)))
{
	uint64_t token = 0;

	if (!room_name_valid(BYTES_STR(args[0]))) {
		plain_error(
		    p, "1 to 64 characters, no control characters", "that cannot be the name of a room");
		return;
	}
	follow(p, "/create", chat_create(p->app->client, args[0], &token), &token, go_there);
}

void
action_invite(struct plain *p, char *const *args, size_t count)
{
	struct chat_id room;
	uint64_t token = 0;

	if (!rooms_here(p, &room))
		return;
	for (size_t i = 0; i < count; i++) {
		struct text shown = {0};

		if (account_name_valid(BYTES_STR(args[i])))
			continue;
		text_name(&shown, args[i]);
		plain_error(
		    p, ACCOUNT_NAME_RULE, "nobody was invited: \"%s\" is no account name", text_cstr(&shown));
		text_fini(&shown);
		return;
	}
	follow(p, "/invite", chat_invite(p->app->client, &room, (const char *const *)args, count, &token),
	    &token, NULL);
}

/* The room is known from the request: its DONE names none. */
static void
enter_accepted(
    struct plain *p, const struct request *request, const struct chat_event *done __attribute__((unused)))
{
	rooms_enter(p, &request->room, request->label);
}

static bool
find_invitation(
    struct plain *p, char *const *args, size_t count, bool whole, struct chat_id *ret, char *ret_label)
{
	return count > 0 ? rooms_find(p, args[0], ROOMS_INVITED, whole, ret, ret_label)
			 : rooms_find_only(p, ROOMS_INVITED, ret, ret_label);
}

void
action_accept(struct plain *p, char *const *args, size_t count)
{
	char label[PLAIN_LABEL_BYTES];
	struct request *request;
	struct chat_id room;
	uint64_t token;
	enum chat_err err;

	if (!find_invitation(p, args, count, false, &room, label))
		return;
	err = chat_accept(p->app->client, &room, &token);
	request = err == CHAT_OK ? requests_add(&p->requests, token, "/accept", label, NULL, 0) : NULL;
	if (!request) {
		plain_refused(p, "/accept", err == CHAT_OK ? CHAT_ERR_NOMEM : err, NULL, NULL);
		return;
	}
	request->room = room;
	request->end = enter_accepted;
	requests_set_gate(&p->requests, request);
}

void
action_decline(struct plain *p, char *const *args, size_t count)
{
	char label[PLAIN_LABEL_BYTES];
	struct chat_id room;
	uint64_t token = 0;

	if (find_invitation(p, args, count, true, &room, label))
		follow(p, "/decline", chat_decline(p->app->client, &room, &token), &token, NULL);
}

void
action_leave(struct plain *p, char *const *args, size_t count)
{
	char label[PLAIN_LABEL_BYTES];
	struct chat_id room;
	uint64_t token = 0;

	if (count > 0 ? rooms_find(p, args[0], ROOMS_JOINED, true, &room, label) : rooms_here(p, &room))
		follow(p, "/leave", chat_leave(p->app->client, &room, &token), &token, NULL);
}

void
action_topic(struct plain *p, char *const *args, size_t count)
{
	struct chat_id room;
	uint64_t token = 0;
	const char *topic;

	if (!rooms_here(p, &room))
		return;
	if (count == 0) {
		query_topic(p, &room);
		return;
	}
	topic = strcmp(args[0], "-") == 0 ? "" : args[0];
	follow(p, "/topic", chat_set_topic(p->app->client, &room, topic, &token), &token, NULL);
}

void
action_name(struct plain *p, char *const *args, size_t count __attribute__((unused)))
{
	struct chat_id room;
	uint64_t token = 0;

	if (!rooms_here(p, &room))
		return;
	if (!room_name_valid(BYTES_STR(args[0]))) {
		plain_error(
		    p, "1 to 64 characters, no control characters", "that cannot be the name of a room");
		return;
	}
	follow(p, "/name", chat_set_name(p->app->client, &room, args[0], &token), &token, NULL);
}

/* ---- people ---- */

static void
say_there(struct plain *p, const struct request *request, const struct chat_event *done)
{
	const struct chat_id *room = chat_event_room(done);

	if (room && request->text)
		say_in(p, room, chat_event_label(done), request->text, request->len);
}

/* The account is that of another member: in every direct room there is also our own. */
static bool
has_peer(struct plain *p, const struct chat_id *room, const char *account)
{
	struct chat_member_list *list;
	bool found = false;

	if (chat_members(p->app->client, room, &list) != CHAT_OK)
		return false;
	for (size_t i = 0; i < list->count; i++)
		found |= !list->member[i].self && list->member[i].stay == CHAT_STAY_JOINED &&
			 strcmp(list->member[i].account, account) == 0;
	chat_member_list_free(list);
	return found;
}

/* Says it in the direct room where there is one already: so it is in the outbox also without a connection. */
static bool
say_in_known(struct plain *p, const char *account, const char *text)
{
	struct chat_room_list *list;
	bool said = false;

	if (chat_rooms(p->app->client, &list) != CHAT_OK)
		return false;
	for (size_t i = 0; !said && i < list->count; i++) {
		const struct chat_room_info *room = &list->room[i];

		if (!room->direct || room->stay != CHAT_STAY_JOINED || !has_peer(p, &room->id, account))
			continue;
		say_in(p, &room->id, room->label, text, strlen(text));
		said = true;
	}
	chat_room_list_free(list);
	return said;
}

void
action_msg(struct plain *p, char *const *args, size_t count)
{
	const char *text = count > 1 ? args[1] : NULL;
	struct request *request;
	uint64_t token;
	enum chat_err err;

	if (!account_name_valid(BYTES_STR(args[0]))) {
		plain_error(p, ACCOUNT_NAME_RULE, "that is no account name");
		return;
	}
	if (text && say_in_known(p, args[0], text))
		return;
	err = chat_direct(p->app->client, args[0], &token);
	request = err == CHAT_OK
		      ? requests_add(&p->requests, token, "/msg", NULL, text, text ? strlen(text) : 0)
		      : NULL;
	if (!request) {
		plain_refused(p, "/msg", err == CHAT_OK ? CHAT_ERR_NOMEM : err, NULL, NULL);
		return;
	}
	request->end = text ? say_there : go_there;
	requests_set_gate(&p->requests, request);
}

/* ---- the rest ---- */

static void
history_ends(
    struct plain *p, const struct request *request __attribute__((unused)), const struct chat_event *done)
{
	struct text why = {0};

	p->lines.older = false;
	text_body(&why, chat_event_text(done));
	plain_notice(p, "%s%s%s",
	    chat_event_number(done) > 0 ? "end of the older entries" : "there are no older entries",
	    why.buf.len > 0 ? ": " : "", text_cstr(&why));
	text_fini(&why);
}

void
action_history(struct plain *p, char *const *args, size_t count)
{
	unsigned long n = HISTORY_DEFAULT;
	struct chat_id room;
	uint64_t token = 0;
	char *end;

	if (count > 0) {
		n = strtoul(args[0], &end, 10);
		if (*end != '\0' || args[0][0] < '0' || args[0][0] > '9' || n < 1 || n > HISTORY_MAX) {
			plain_error(p, "a number from 1 to 1000", "that is no number of entries");
			return;
		}
	}
	if (rooms_here(p, &room))
		follow(p, "/history", chat_history(p->app->client, &room, n, &token), &token, history_ends);
}

void
action_passwd(
    struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	if (p->terminal)
		questions_passwd(p);
	else
		plain_error(p, "use a terminal, or --json and change_password", "/passwd asks for passwords");
}

void
action_quit(struct plain *p, char *const *args __attribute__((unused)), size_t count __attribute__((unused)))
{
	plain_leave(p, p->terminal ? APP_LEAVE_MS : APP_DRAIN_MS);
}
