/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What programs call: arguments are looked at here, and the rest goes to the client's thread or is read from
 * its view. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <chat/chat.h>

#include "base/utf8.h"
#include "libchat/client.h"
#include "libchat/request.h"
#include "libchat/view.h"
#include "proto/limits.h"

#define TOPIC_MAX_BYTES 1024 /* an info_box takes 1,536 with the name */

static_assert(CHAT_ID_BYTES == DIGEST_BYTES, "ids are digests");

const char *
chat_version(void)
{
	return "secure-chat " PACKAGE_VERSION;
}

/* ---- events and answers ---- */

enum chat_err
chat_next_event(struct chat_client *client, int timeout_ms, struct chat_event **ret)
{
	return event_box_take(&client->box, timeout_ms, ret);
}

int
chat_event_fd(const struct chat_client *client)
{
	return client->box.event_fd;
}

enum chat_err
chat_trust_server(struct chat_client *client, bool agree)
{
	return request_queue_answer_trust(&client->requests, agree);
}

enum chat_err
chat_give_password(struct chat_client *client, const char *password, size_t len)
{
	if (!password || len == 0 || len > PASSWORD_MAX_BYTES)
		return CHAT_ERR_INVALID;
	return request_queue_answer_password(&client->requests, BYTES(password, len));
}

/* ---- requests ---- */

/* What a request can be about; most have little of it. */
struct what {
	const struct chat_id *room;
	struct bytes text, second;
	const char *const *accounts;
	size_t account_count;
	uint64_t number;
};

static enum chat_err
put_accounts(struct request *request, const char *const *accounts, size_t count)
{
	enum chat_err err = CHAT_OK;

	if (count == 0)
		return CHAT_OK;
	request->accounts = calloc(count, sizeof(*request->accounts));
	if (!request->accounts)
		return CHAT_ERR_NOMEM;
	request->account_count = count;
	for (size_t i = 0; !err && i < count; i++)
		err = accounts[i] ? account_name_set(BYTES_STR(accounts[i]), &request->accounts[i])
				  : CHAT_ERR_INVALID;
	return err;
}

/* needs_room: the view has to know it. */
static enum chat_err
ask(struct chat_client *client, enum request_type type, bool needs_room, const struct what *what,
    uint64_t *ret_token)
{
	struct request *request;
	enum chat_err err = CHAT_OK;

	if (needs_room) {
		struct view *view;

		if (!what->room)
			return CHAT_ERR_INVALID;
		view = view_slot_get(&client->view);
		if (!view_knows_room(view, what->room))
			err = CHAT_ERR_NOT_FOUND;
		view_unref(view);
	}
	if (err)
		return err;
	request = request_new(type, what->text, what->second);
	if (!request)
		return CHAT_ERR_NOMEM;
	request->number = what->number;
	if (what->room)
		memcpy(request->room_id.b, what->room->b, DIGEST_BYTES);
	err = put_accounts(request, what->accounts, what->account_count);
	if (err) {
		request_free(request);
		return err;
	}
	return request_queue_add(&client->requests, request, ret_token);
}

/* Of one account. */
static enum chat_err
ask_account(struct chat_client *client, enum request_type type, const struct chat_id *room, bool needs_room,
    const char *account, uint64_t number, uint64_t *ret_token)
{
	const struct what what = {.room = room, .accounts = &account, .account_count = 1, .number = number};

	if (!account)
		return CHAT_ERR_INVALID;
	return ask(client, type, needs_room, &what, ret_token);
}

enum chat_err
chat_send(
    struct chat_client *client, const struct chat_id *room, const char *text, size_t len, uint64_t *ret_token)
{
	const struct what what = {.room = room, .text = BYTES(text, len)};

	if (!text || len == 0)
		return CHAT_ERR_INVALID;
	if (len > CHAT_TEXT_MAX)
		return CHAT_ERR_TOO_LONG;
	if (!utf8_valid(what.text))
		return CHAT_ERR_INVALID;
	return ask(client, REQUEST_SEND, true, &what, ret_token);
}

enum chat_err
chat_create(struct chat_client *client, const char *name, uint64_t *ret_token)
{
	const struct what what = {.text = BYTES(name, name ? strlen(name) : 0)};

	if (!name || !room_name_valid(what.text))
		return CHAT_ERR_INVALID;
	return ask(client, REQUEST_CREATE, false, &what, ret_token);
}

enum chat_err
chat_invite(struct chat_client *client, const struct chat_id *room, const char *const *accounts, size_t count,
    uint64_t *ret_token)
{
	const struct what what = {.room = room, .accounts = accounts, .account_count = count};

	if (!accounts || count == 0)
		return CHAT_ERR_INVALID;
	if (count > ROOM_READERS_MAX)
		return CHAT_ERR_TOO_LONG;
	return ask(client, REQUEST_INVITE, true, &what, ret_token);
}

enum chat_err
chat_accept(struct chat_client *client, const struct chat_id *room, uint64_t *ret_token)
{
	return ask(client, REQUEST_ACCEPT, true, &(struct what){.room = room}, ret_token);
}

enum chat_err
chat_decline(struct chat_client *client, const struct chat_id *room, uint64_t *ret_token)
{
	return ask(client, REQUEST_DECLINE, true, &(struct what){.room = room}, ret_token);
}

enum chat_err
chat_leave(struct chat_client *client, const struct chat_id *room, uint64_t *ret_token)
{
	return ask(client, REQUEST_LEAVE, true, &(struct what){.room = room}, ret_token);
}

enum chat_err
chat_kick(struct chat_client *client, const struct chat_id *room, const char *account, uint64_t *ret_token)
{
	return ask_account(client, REQUEST_KICK, room, true, account, 0, ret_token);
}

enum chat_err
chat_set_role(struct chat_client *client, const struct chat_id *room, const char *account, unsigned role,
    uint64_t *ret_token)
{
	if (role < 1 || role > 3)
		return CHAT_ERR_INVALID;
	return ask_account(client, REQUEST_SET_ROLE, room, true, account, role, ret_token);
}

enum chat_err
chat_set_topic(struct chat_client *client, const struct chat_id *room, const char *topic, uint64_t *ret_token)
{
	const struct what what = {.room = room, .text = BYTES(topic, topic ? strlen(topic) : 0)};

	if (!topic || !utf8_valid(what.text))
		return CHAT_ERR_INVALID;
	if (what.text.len > TOPIC_MAX_BYTES)
		return CHAT_ERR_TOO_LONG;
	return ask(client, REQUEST_SET_TOPIC, true, &what, ret_token);
}

enum chat_err
chat_set_name(struct chat_client *client, const struct chat_id *room, const char *name, uint64_t *ret_token)
{
	const struct what what = {.room = room, .text = BYTES(name, name ? strlen(name) : 0)};

	if (!name || !room_name_valid(what.text))
		return CHAT_ERR_INVALID;
	return ask(client, REQUEST_SET_NAME, true, &what, ret_token);
}

enum chat_err
chat_direct(struct chat_client *client, const char *account, uint64_t *ret_token)
{
	return ask_account(client, REQUEST_DIRECT, NULL, false, account, 0, ret_token);
}

enum chat_err
chat_history(struct chat_client *client, const struct chat_id *room, size_t count, uint64_t *ret_token)
{
	if (count == 0 || count > HISTORY_LIMIT_MAX)
		return CHAT_ERR_INVALID;
	return ask(client, REQUEST_HISTORY, true, &(struct what){.room = room, .number = count}, ret_token);
}

enum chat_err
chat_who(struct chat_client *client, uint64_t *ret_token)
{
	return ask(client, REQUEST_WHO, false, &(struct what){.number = 0}, ret_token);
}

enum chat_err
chat_change_password(struct chat_client *client, const char *old_password, size_t old_len,
    const char *new_password, size_t new_len, uint64_t *ret_token)
{
	const struct what what = {
	    .text = BYTES(old_password, old_len), .second = BYTES(new_password, new_len)};

	if (!old_password || !new_password || old_len == 0 || new_len == 0)
		return CHAT_ERR_INVALID;
	if (old_len > PASSWORD_MAX_BYTES || new_len > PASSWORD_MAX_BYTES)
		return CHAT_ERR_TOO_LONG;
	return ask(client, REQUEST_CHANGE_PASSWORD, false, &what, ret_token);
}

enum chat_err
chat_mark_read(struct chat_client *client, const struct chat_id *room, uint64_t seq)
{
	return ask(client, REQUEST_MARK_READ, true, &(struct what){.room = room, .number = seq}, NULL);
}

/* ---- what is known now ---- */

enum chat_err
chat_rooms(struct chat_client *client, struct chat_room_list **ret)
{
	struct view *view = view_slot_get(&client->view);
	enum chat_err err = view_copy_rooms(view, ret);

	view_unref(view);
	return err;
}

enum chat_err
chat_members(struct chat_client *client, const struct chat_id *room, struct chat_member_list **ret)
{
	struct view *view;
	enum chat_err err;

	if (!room)
		return CHAT_ERR_NOT_FOUND;
	view = view_slot_get(&client->view);
	err = view_copy_members(view, room, ret);
	view_unref(view);
	return err;
}

enum chat_err
chat_find_room(struct chat_client *client, const char *label, struct chat_id *ret)
{
	struct view *view;
	enum chat_err err;

	if (!label)
		return CHAT_ERR_NOT_FOUND;
	view = view_slot_get(&client->view);
	err = view_find_room(view, label, ret);
	view_unref(view);
	return err;
}

/* One allocation with its strings behind it. */
struct whoami {
	struct chat_whoami base;
	char account[ACCOUNT_MAX_BYTES + 1];
	char server[SERVER_NAME_CHARS];
	char fingerprint[DIGEST_HEX_CHARS + 1];
	char digits[DIGITS_CHARS + 1];
	char data_dir[];
};

enum chat_err
chat_whoami(struct chat_client *client, struct chat_whoami **ret)
{
	size_t dir_bytes = strlen(client->dir.root) + 1;
	struct whoami *who = calloc(1, sizeof(*who) + dir_bytes);
	struct view *view;

	if (!who)
		return CHAT_ERR_NOMEM;
	view = view_slot_get(&client->view);
	memcpy(who->account, client->config.account.s, client->config.account.len);
	memcpy(who->server, client->server_shown, sizeof(who->server));
	memcpy(who->data_dir, client->dir.root, dir_bytes);
	if (view->has_fingerprint)
		digest_hex(&view->fingerprint, who->fingerprint);
	if (view->has_member_id) {
		digest_digits(&view->member_id, who->digits);
		memcpy(who->base.member_id.b, view->member_id.b, CHAT_ID_BYTES);
	}
	who->base.connected = view->connected;
	view_unref(view);
	who->base.account = who->account;
	who->base.server = who->server;
	who->base.fingerprint = who->fingerprint;
	who->base.digits = who->digits;
	who->base.data_dir = who->data_dir;
	*ret = &who->base;
	return CHAT_OK;
}

void
chat_whoami_free(struct chat_whoami *whoami)
{
	free(whoami);
}
