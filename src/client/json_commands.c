/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/json.h"

#include <stdlib.h>
#include <string.h>

#include "client/queries.h"

#define FIELDS_MAX      3
#define HISTORY_DEFAULT 20

enum field_type { FIELD_STRING, FIELD_TEXT, FIELD_ROOM, FIELD_BOOL, FIELD_NUMBER, FIELD_STRINGS };

struct field {
	const char *name; /* NULL: no more */
	enum field_type type;
	bool optional;
};

/* What a handler gets: its fields in the order of its row, checked. */
struct call {
	struct app *app;
	struct chat_client *client;
	const json_t *value[FIELDS_MAX]; /* NULL: an optional one that is absent */
	struct chat_id room;             /* of the field of that type */
	struct json_result *result;
	struct text *why;
};

struct json_row {
	const char *name;
	enum chat_err (*run)(struct call *call);
	struct field field[FIELDS_MAX];
};

static const char *
string_of(const struct call *call, size_t i)
{
	return json_string_value(call->value[i]);
}

static size_t
length_of(const struct call *call, size_t i)
{
	return json_string_length(call->value[i]);
}

/* ---- requests ---- */

static enum chat_err
run_send(struct call *c)
{
	return chat_send(c->client, &c->room, string_of(c, 1), length_of(c, 1), &c->result->token);
}

static enum chat_err
run_create(struct call *c)
{
	return chat_create(c->client, string_of(c, 0), &c->result->token);
}

static enum chat_err
run_invite(struct call *c)
{
	size_t count = json_array_size(c->value[1]);
	const char **accounts = reallocarray(NULL, count ? count : 1, sizeof(*accounts));
	enum chat_err err;

	if (!accounts)
		return CHAT_ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		accounts[i] = json_string_value(json_array_get(c->value[1], i));
	err = chat_invite(c->client, &c->room, accounts, count, &c->result->token);
	free(accounts);
	return err;
}

static enum chat_err
run_accept(struct call *c)
{
	return chat_accept(c->client, &c->room, &c->result->token);
}

static enum chat_err
run_decline(struct call *c)
{
	return chat_decline(c->client, &c->room, &c->result->token);
}

static enum chat_err
run_leave(struct call *c)
{
	return chat_leave(c->client, &c->room, &c->result->token);
}

static enum chat_err
run_kick(struct call *c)
{
	return chat_kick(c->client, &c->room, string_of(c, 1), &c->result->token);
}

static enum chat_err
run_role(struct call *c)
{
	json_int_t role = json_integer_value(c->value[2]);

	if (role > 3)
		return CHAT_ERR_INVALID;
	return chat_set_role(c->client, &c->room, string_of(c, 1), (unsigned)role, &c->result->token);
}

static enum chat_err
run_topic(struct call *c)
{
	return chat_set_topic(c->client, &c->room, string_of(c, 1), &c->result->token);
}

static enum chat_err
run_name(struct call *c)
{
	return chat_set_name(c->client, &c->room, string_of(c, 1), &c->result->token);
}

static enum chat_err
run_direct(struct call *c)
{
	return chat_direct(c->client, string_of(c, 0), &c->result->token);
}

static enum chat_err
run_history(struct call *c)
{
	size_t count = c->value[1] ? (size_t)json_integer_value(c->value[1]) : HISTORY_DEFAULT;

	return chat_history(c->client, &c->room, count, &c->result->token);
}

static enum chat_err
run_who(struct call *c)
{
	return chat_who(c->client, &c->result->token);
}

static enum chat_err
run_change_password(struct call *c)
{
	return chat_change_password(
	    c->client, string_of(c, 0), length_of(c, 0), string_of(c, 1), length_of(c, 1), &c->result->token);
}

/* ---- what ends at once ---- */

static enum chat_err
run_read(struct call *c)
{
	return chat_mark_read(c->client, &c->room, (uint64_t)json_integer_value(c->value[1]));
}

static enum chat_err
run_trust(struct call *c)
{
	enum chat_err err = chat_trust_server(c->client, json_is_true(c->value[0]));

	if (err == CHAT_ERR_INVALID)
		text_str(c->why, "nothing was asked");
	else if (err == CHAT_OK)
		c->app->asked = 0;
	return err;
}

static enum chat_err
run_password(struct call *c)
{
	enum chat_err err = chat_give_password(c->client, string_of(c, 0), length_of(c, 0));

	if (err == CHAT_ERR_INVALID)
		text_str(c->why, "nothing was asked, or that cannot be a password");
	else if (err == CHAT_OK)
		c->app->asked = 0;
	return err;
}

static enum chat_err
run_quit(struct call *c)
{
	c->result->quit = true;
	return CHAT_OK;
}

static const char *
stay_name(enum chat_stay stay)
{
	switch (stay) {
	case CHAT_STAY_OUT:
		return "out";
	case CHAT_STAY_INVITED:
		return "invited";
	case CHAT_STAY_JOINED:
		return "joined";
	}
	return "unknown";
}

static json_t *
digits(const struct chat_id *hash)
{
	struct text t = {0};
	json_t *json;

	query_digits(&t, hash);
	json = json_string(text_cstr(&t));
	text_fini(&t);
	return json;
}

static json_t *
string_or_empty(const char *s)
{
	return json_text(BYTES_STR(s ? s : ""));
}

/* json_pack() frees what it was given where it fails. */
static json_t *
room_object(const struct chat_room_info *room)
{
	return json_pack("{so so so so so ss sb sb sI sI sI sI sI so so sI}", "room", json_id(&room->id),
	    "label", string_or_empty(room->label), "name", string_or_empty(room->name), "topic",
	    string_or_empty(room->topic), "inviter", string_or_empty(room->inviter), "stay",
	    stay_name(room->stay), "direct", room->direct, "read_only", room->read_only, "role",
	    (json_int_t)room->role, "member_count", (json_int_t)room->member_count, "head_seq",
	    (json_int_t)room->head_seq, "read_seq", (json_int_t)room->read_seq, "unread_count",
	    (json_int_t)room->unread_count, "log_hash", json_id(&room->log_hash), "digits",
	    digits(&room->log_hash), "epoch", (json_int_t)room->epoch);
}

static json_t *
member_object(const struct chat_member_info *member)
{
	return json_pack("{so so so ss sI sb}", "member_id", json_id(&member->member_id), "digits",
	    digits(&member->member_id), "account", string_or_empty(member->account), "stay",
	    stay_name(member->stay), "role", (json_int_t)member->role, "self", member->self);
}

/* Takes over list. */
static enum chat_err
give_list(struct call *c, const char *name, json_t *list, bool complete)
{
	if (complete)
		c->result->fields = json_pack("{so}", name, list);
	else
		json_decref(list);
	return c->result->fields ? CHAT_OK : CHAT_ERR_NOMEM;
}

static enum chat_err
run_rooms(struct call *c)
{
	struct chat_room_list *rooms;
	enum chat_err err = chat_rooms(c->client, &rooms);
	json_t *list;
	bool complete = true;

	if (err != CHAT_OK)
		return err;
	list = json_array();
	for (size_t i = 0; i < rooms->count; i++)
		complete &= json_array_append_new(list, room_object(&rooms->room[i])) == 0;
	chat_room_list_free(rooms);
	return give_list(c, "rooms", list, complete);
}

static enum chat_err
run_members(struct call *c)
{
	struct chat_member_list *members;
	enum chat_err err = chat_members(c->client, &c->room, &members);
	json_t *list;
	bool complete = true;

	if (err != CHAT_OK)
		return err;
	list = json_array();
	for (size_t i = 0; i < members->count; i++)
		complete &= json_array_append_new(list, member_object(&members->member[i])) == 0;
	chat_member_list_free(members);
	return give_list(c, "members", list, complete);
}

static enum chat_err
run_whoami(struct call *c)
{
	struct chat_whoami *me;
	enum chat_err err = chat_whoami(c->client, &me);

	if (err != CHAT_OK)
		return err;
	c->result->fields = json_pack("{so so so so so so sb}", "account", string_or_empty(me->account),
	    "server", string_or_empty(me->server), "fingerprint", string_or_empty(me->fingerprint), "digits",
	    string_or_empty(me->digits), "data_dir", string_or_empty(me->data_dir), "member_id",
	    json_id(&me->member_id), "connected", me->connected);
	chat_whoami_free(me);
	return c->result->fields ? CHAT_OK : CHAT_ERR_NOMEM;
}

/* ---- the table ---- */

static const struct json_row rows[] = {
    {"send", run_send, {{"room", FIELD_ROOM, false}, {"text", FIELD_TEXT, false}}},
    {"create", run_create, {{"name", FIELD_STRING, false}}},
    {"invite", run_invite, {{"room", FIELD_ROOM, false}, {"accounts", FIELD_STRINGS, false}}},
    {"accept", run_accept, {{"room", FIELD_ROOM, false}}},
    {"decline", run_decline, {{"room", FIELD_ROOM, false}}},
    {"leave", run_leave, {{"room", FIELD_ROOM, false}}},
    {"kick", run_kick, {{"room", FIELD_ROOM, false}, {"account", FIELD_STRING, false}}},
    {"role", run_role,
	{{"room", FIELD_ROOM, false}, {"account", FIELD_STRING, false}, {"role", FIELD_NUMBER, false}}},
    {"topic", run_topic, {{"room", FIELD_ROOM, false}, {"topic", FIELD_STRING, false}}},
    {"name", run_name, {{"room", FIELD_ROOM, false}, {"name", FIELD_STRING, false}}},
    {"direct", run_direct, {{"account", FIELD_STRING, false}}},
    {"history", run_history, {{"room", FIELD_ROOM, false}, {"count", FIELD_NUMBER, true}}},
    {"who", run_who, {{0}}},
    {"change_password", run_change_password, {{"old", FIELD_TEXT, false}, {"new", FIELD_TEXT, false}}},
    {"read", run_read, {{"room", FIELD_ROOM, false}, {"seq", FIELD_NUMBER, false}}},
    {"rooms", run_rooms, {{0}}},
    {"members", run_members, {{"room", FIELD_ROOM, false}}},
    {"whoami", run_whoami, {{0}}},
    {"trust", run_trust, {{"agree", FIELD_BOOL, false}}},
    {"password", run_password, {{"password", FIELD_TEXT, false}}},
    {"quit", run_quit, {{0}}},
};

const char *
json_command_name(size_t i)
{
	return i < ARRAY_LEN(rows) ? rows[i].name : NULL;
}

const char *
json_command_field(size_t i, size_t field)
{
	return field < FIELDS_MAX ? rows[i].field[field].name : NULL;
}

/* ---- checks ---- */

static const struct json_row *
find_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

/* A string that goes on as a C string must not end before its end. */
static bool
is_cstring(const json_t *value)
{
	return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

/* NULL, or what the field has to be. */
static const char *
wrong_type(const json_t *value, enum field_type type)
{
	switch (type) {
	case FIELD_STRING:
		return is_cstring(value) ? NULL : "has to be a string without NUL";
	case FIELD_ROOM:
		return is_cstring(value) ? NULL : "has to be a label or an id, as a string";
	case FIELD_TEXT:
		return json_is_string(value) ? NULL : "has to be a string";
	case FIELD_BOOL:
		return json_is_boolean(value) ? NULL : "has to be true or false";
	case FIELD_NUMBER:
		return json_is_integer(value) && json_integer_value(value) >= 0
			   ? NULL
			   : "has to be a whole number from 0";
	case FIELD_STRINGS:
		if (!json_is_array(value))
			return "has to be a list of strings";
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (!is_cstring(json_array_get(value, i)))
				return "has to be a list of strings without NUL";
		}
		break;
	}
	return NULL;
}

static enum chat_err
take_field(struct call *call, size_t i, const struct json_row *row, const json_t *command)
{
	const struct field *field = &row->field[i];
	const json_t *value = json_object_get(command, field->name);
	const char *wrong;

	call->value[i] = value;
	if (!value && field->optional)
		return CHAT_OK;
	wrong = value ? wrong_type(value, field->type) : "is missing";
	if (wrong) {
		text_printf(call->why, "%s: \"%s\" %s", row->name, field->name, wrong);
		return CHAT_ERR_INVALID;
	}
	if (field->type == FIELD_ROOM &&
	    chat_find_room(call->client, string_of(call, i), &call->room) != CHAT_OK) {
		text_printf(call->why, "%s: there is no such room here", row->name);
		return CHAT_ERR_NOT_FOUND;
	}
	return CHAT_OK;
}

/* A field that no row names is a mistake that would go unnoticed. */
static enum chat_err
check_names(const struct json_row *row, const json_t *command, struct text *why)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)command, key, value)
	{
		bool known = strcmp(key, "cmd") == 0 || strcmp(key, "id") == 0;

		for (size_t i = 0; i < FIELDS_MAX && row->field[i].name; i++)
			known |= strcmp(key, row->field[i].name) == 0;
		if (!known) {
			text_printf(why, "%s: there is no field \"", row->name);
			text_name(why, key);
			text_str(why, "\"");
			return CHAT_ERR_INVALID;
		}
	}
	return CHAT_OK;
}

void
json_command(struct app *app, const json_t *command, struct json_result *ret, struct text *why)
{
	struct json_result result = {.err = CHAT_OK};
	struct call call = {.app = app, .client = app->client, .result = &result, .why = why};
	const char *name = json_string_value(json_object_get(command, "cmd"));
	const struct json_row *row = name ? find_row(name) : NULL;

	if (!row) {
		result.err = CHAT_ERR_UNKNOWN_REQUEST;
		text_str(
		    why, name ? "there is no such cmd; chat-client(1) lists them" : "\"cmd\" is missing");
		*ret = result;
		return;
	}
	result.cmd = row->name;
	result.err = check_names(row, command, why);
	for (size_t i = 0; result.err == CHAT_OK && i < FIELDS_MAX && row->field[i].name; i++)
		result.err = take_field(&call, i, row, command);
	if (result.err == CHAT_OK)
		result.err = row->run(&call);
	*ret = result;
}

void
json_result_fini(struct json_result *result)
{
	json_decref(result->fields);
}
