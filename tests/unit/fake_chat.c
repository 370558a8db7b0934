/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "fake_chat.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"

struct chat_event {
	STAILQ_ENTRY(chat_event) link;
	struct fake_event e; /* its strings are owned */
	char *text, *mend, *label, *actor, *target;
	struct chat_id room, hash;
	bool has_room;
	struct chat_online *online;
};

struct chat_config {
	char *account, *host, *port, *data_dir, *fingerprint;
	bool accept_new, reconnect;
};

struct chat_client {
	int event_fd;
};

#define ROOMS_MAX   32
#define MEMBERS_MAX 64

static struct {
	STAILQ_HEAD(, chat_event) events;
	bool closed;
	bool has_client;
	struct chat_client client;
	struct chat_room_info room[ROOMS_MAX];
	size_t rooms;
	struct {
		struct chat_id room;
		struct chat_member_info info;
	} member[MEMBERS_MAX];
	size_t members;
	struct buf calls;
	void (*start)(void);
	void (*request)(const char *call, uint64_t token);
	enum chat_err fail;
	uint64_t token;
	uint64_t seq;
	char *kept[512]; /* strings of rooms and members, freed by fake_reset() */
	size_t kept_count;
} fake;

static char *
copy(const char *s)
{
	char *c = s ? strdup(s) : NULL;

	assert_true(!s || c);
	return c;
}

static const char *
keep(const char *s)
{
	assert_true(fake.kept_count < ARRAY_LEN(fake.kept));
	return fake.kept[fake.kept_count++] = copy(s);
}

void
fake_reset(void)
{
	struct chat_event *event;

	assert_false(fake.has_client);
	while ((event = STAILQ_FIRST(&fake.events))) {
		STAILQ_REMOVE_HEAD(&fake.events, link);
		chat_event_free(event);
	}
	while (fake.kept_count > 0)
		free(fake.kept[--fake.kept_count]);
	buf_fini(&fake.calls);
	memset(&fake, 0, sizeof(fake));
	STAILQ_INIT(&fake.events);
	fake.token = 100;
}

/* ---- the script ---- */

static void
called(const char *fmt, ...)
{
	char *line;
	va_list args;

	va_start(args, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	assert_true(vasprintf(&line, fmt, args) >= 0);
#pragma GCC diagnostic pop
	va_end(args);
	assert_ok(buf_append_str(&fake.calls, line));
	assert_ok(buf_append_str(&fake.calls, "\n"));
	free(line);
}

const char *
fake_calls(void)
{
	assert_ok(buf_reserve(&fake.calls, 1));
	fake.calls.data[fake.calls.len] = '\0';
	return (const char *)fake.calls.data;
}

static struct chat_room_info *
find_room(const char *label)
{
	for (size_t i = 0; i < fake.rooms; i++) {
		if (strcmp(fake.room[i].label, label) == 0)
			return &fake.room[i];
	}
	return NULL;
}

static const char *
label_of(const struct chat_id *id)
{
	for (size_t i = 0; i < fake.rooms; i++) {
		if (memcmp(&fake.room[i].id, id, sizeof(*id)) == 0)
			return fake.room[i].label;
	}
	return "?";
}

/* The id is the label, so that it can be read in a failure. */
struct chat_room_info *
fake_room(const char *label, enum chat_stay stay)
{
	struct chat_room_info *room = find_room(label);

	if (!room) {
		assert_true(fake.rooms < ROOMS_MAX);
		room = &fake.room[fake.rooms++];
		room->label = keep(label);
		memcpy(
		    room->id.b, label, strlen(label) < sizeof(room->id) ? strlen(label) : sizeof(room->id));
		room->id.b[31] = 0xaa;
	}
	room->stay = stay;
	return room;
}

void
fake_member(const char *room, const char *account, enum chat_stay stay, unsigned role)
{
	assert_true(fake.members < MEMBERS_MAX);
	fake.member[fake.members].room = fake_room(room, CHAT_STAY_JOINED)->id;
	fake.member[fake.members].info = (struct chat_member_info){
	    .account = keep(account), .stay = stay, .role = role, .self = strcmp(account, "alice") == 0};
	fake.members++;
}

struct chat_event *
fake_make(struct fake_event e)
{
	struct chat_event *event = calloc(1, sizeof(*event));
	const struct chat_room_info *room = e.room ? find_room(e.room) : NULL;

	assert_non_null(event);
	event->e = e;
	if (e.text && e.text_len == 0)
		event->e.text_len = strlen(e.text);
	event->text = malloc(event->e.text_len + 1);
	assert_non_null(event->text);
	if (event->e.text_len > 0)
		memcpy(event->text, e.text, event->e.text_len);
	event->text[event->e.text_len] = '\0';
	event->mend = copy(e.mend ? e.mend : "");
	event->actor = copy(e.actor ? e.actor : "");
	event->target = copy(e.target ? e.target : "");
	event->has_room = e.room != NULL;
	if (room)
		event->room = room->id;
	event->label = copy(e.label ? e.label : e.room ? e.room : "");
	memset(event->hash.b, 0xab, sizeof(event->hash.b));
	if (e.online_count > 0) {
		event->online = calloc(e.online_count, sizeof(*event->online));
		assert_non_null(event->online);
		memcpy(event->online, e.online, e.online_count * sizeof(*event->online));
	}
	return event;
}

void
fake_push(struct fake_event e)
{
	struct chat_event *event = fake_make(e);

	STAILQ_INSERT_TAIL(&fake.events, event, link);
	if (fake.has_client)
		assert_int_equal(eventfd_write(fake.client.event_fd, 1), 0);
}

void
fake_close(void)
{
	fake.closed = true;
}

void
fake_on_start(void (*start)(void))
{
	fake.start = start;
}

void
fake_on_request(void (*request)(const char *call, uint64_t token))
{
	fake.request = request;
}

void
fake_fail(enum chat_err err)
{
	fake.fail = err;
}

/* ---- a friendly server ---- */

static void
entry(enum chat_event_type type, const char *room, const char *target, const char *text)
{
	fake_event(.type = type, .room = room, .actor = "alice", .self = true, .target = target, .text = text,
	    .seq = ++fake.seq, .time_ms = 1700000000000 + fake.seq * 1000, .has_hash = true);
}

void
fake_answer(const char *call, uint64_t token)
{
	char *line = copy(call), *rest = line, *verb = strsep(&rest, " "),
	     *room = rest ? strsep(&rest, " ") : NULL;
	static const struct chat_online online[] = {{"alice", 2, 1700000000000}, {"bob", 1, 1700000060000}};
	struct fake_event done = {.type = CHAT_EVENT_DONE, .token = token};

	if (strcmp(verb, "create") == 0) {
		fake_room(room, CHAT_STAY_JOINED);
		entry(CHAT_EVENT_CREATED, room, NULL, NULL);
		done.room = room;
	} else if (strcmp(verb, "direct") == 0) {
		fake_room(room, CHAT_STAY_JOINED)->direct = true;
		done.room = room;
	} else if (strcmp(verb, "send") == 0) {
		fake_event(.type = CHAT_EVENT_QUEUED, .token = token);
		entry(CHAT_EVENT_MESSAGE, room, NULL, rest);
		done.seq = fake.seq;
	} else if (strcmp(verb, "invite") == 0) {
		for (char *who; (who = strsep(&rest, " "));)
			entry(CHAT_EVENT_INVITED, room, who, NULL);
	} else if (strcmp(verb, "accept") == 0) {
		fake_room(room, CHAT_STAY_JOINED);
		entry(CHAT_EVENT_JOINED, room, NULL, NULL);
	} else if (strcmp(verb, "leave") == 0) {
		entry(CHAT_EVENT_LEFT, room, NULL, NULL);
		fake_event(.type = CHAT_EVENT_ROOM_GONE, .room = room);
		fake_room(room, CHAT_STAY_OUT);
	} else if (strcmp(verb, "topic") == 0) {
		entry(CHAT_EVENT_TOPIC, room, NULL, rest);
	} else if (strcmp(verb, "history") == 0) {
		done.text = "older entries were removed";
	} else if (strcmp(verb, "who") == 0) {
		done.online = online;
		done.online_count = ARRAY_LEN(online);
	}
	fake_push(done);
	free(line);
}

static enum chat_err
take_failure(void)
{
	enum chat_err err = fake.fail;

	fake.fail = CHAT_OK;
	return err;
}

/* Writes the call down, and answers it. */
static enum chat_err
request(uint64_t *ret_token, const char *fmt, ...)
{
	char *call;
	va_list args;
	enum chat_err err = take_failure();

	if (fake.closed)
		err = CHAT_ERR_CLOSED;
	va_start(args, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	assert_true(vasprintf(&call, fmt, args) >= 0);
#pragma GCC diagnostic pop
	va_end(args);
	called("%s", call);
	if (err == CHAT_OK) {
		uint64_t token = ++fake.token;

		*ret_token = token;
		(fake.request ? fake.request : fake_answer)(call, token);
	}
	free(call);
	return err;
}

/* ---- chat.h ---- */

const char *
chat_version(void)
{
	return "secure-chat fake";
}

static enum chat_err
set(char **field, const char *value)
{
	free(*field);
	*field = copy(value);
	return CHAT_OK;
}

enum chat_err
chat_config_new(struct chat_config **ret)
{
	*ret = calloc(1, sizeof(**ret));
	assert_non_null(*ret);
	(*ret)->reconnect = true;
	return CHAT_OK;
}

void
chat_config_free(struct chat_config *config)
{
	if (!config)
		return;
	free(config->account);
	free(config->host);
	free(config->port);
	free(config->data_dir);
	free(config->fingerprint);
	free(config);
}

enum chat_err
chat_config_set_account(struct chat_config *config, const char *account)
{
	return set(&config->account, account);
}

enum chat_err
chat_config_set_server(struct chat_config *config, const char *host, const char *port)
{
	set(&config->host, host);
	return set(&config->port, port);
}

enum chat_err
chat_config_set_data_dir(struct chat_config *config, const char *dir)
{
	return set(&config->data_dir, dir);
}

enum chat_err
chat_config_set_software(struct chat_config *config __attribute__((unused)), const char *software)
{
	assert_non_null(strstr(software, "chat-client "));
	return CHAT_OK;
}

enum chat_err
chat_config_set_fingerprint(struct chat_config *config, const char *hex)
{
	return strlen(hex) == 64 ? set(&config->fingerprint, hex) : CHAT_ERR_INVALID;
}

void
chat_config_set_accept_new(struct chat_config *config, bool accept)
{
	config->accept_new = accept;
}

enum chat_err
chat_config_set_event_limit(
    struct chat_config *config __attribute__((unused)), size_t limit __attribute__((unused)))
{
	return CHAT_OK;
}

void
chat_config_set_reconnect(struct chat_config *config, bool reconnect)
{
	config->reconnect = reconnect;
}

static void
called_config(const char *what, const struct chat_config *config, const char *more)
{
	called("%s %s %s %s%s%s%s%s%s%s%s", what, config->account, config->host, config->port,
	    config->data_dir ? " data=" : "", config->data_dir ? config->data_dir : "",
	    config->fingerprint ? " fingerprint=" : "", config->fingerprint ? config->fingerprint : "",
	    config->accept_new ? " accept-new" : "", config->reconnect ? "" : " no-reconnect", more);
}

enum chat_err
chat_client_new(const struct chat_config *config, struct chat_client **ret, char **ret_text)
{
	enum chat_err err = take_failure();

	assert_false(fake.has_client);
	called_config("new", config, "");
	*ret_text = NULL;
	if (err != CHAT_OK) {
		*ret_text = copy("the data directory is not as it should be");
		return err;
	}
	fake.has_client = true;
	fake.client.event_fd = eventfd(STAILQ_EMPTY(&fake.events) ? 0 : 1, EFD_CLOEXEC | EFD_NONBLOCK);
	*ret = &fake.client;
	return CHAT_OK;
}

enum chat_err
chat_client_start(struct chat_client *client __attribute__((unused)))
{
	called("start");
	if (fake.start) {
		fake.start();
		return CHAT_OK;
	}
	fake_event(.type = CHAT_EVENT_CONNECTING, .text = "localhost 8820");
	fake_event(.type = CHAT_EVENT_CONNECTED, .number = 1);
	fake_event(.type = CHAT_EVENT_SYNCED);
	return CHAT_OK;
}

void
chat_client_free(struct chat_client *client)
{
	if (!client)
		return;
	close(client->event_fd);
	fake.has_client = false;
	called("free");
}

enum chat_err
chat_trust_server(struct chat_client *client __attribute__((unused)), bool agree)
{
	called("trust %s", agree ? "yes" : "no");
	return take_failure();
}

enum chat_err
chat_give_password(struct chat_client *client __attribute__((unused)), const char *password, size_t len)
{
	called("password %.*s", (int)len, password);
	return take_failure();
}

enum chat_err
chat_next_event(struct chat_client *client, int timeout_ms, struct chat_event **ret)
{
	struct chat_event *event = STAILQ_FIRST(&fake.events);
	eventfd_t ignored;

	assert_int_equal(timeout_ms, 0); /* the client never waits here */
	if (!event) {
		(void)!eventfd_read(client->event_fd, &ignored);
		return fake.closed ? CHAT_ERR_CLOSED : CHAT_ERR_TIMEOUT;
	}
	STAILQ_REMOVE_HEAD(&fake.events, link);
	*ret = event;
	return CHAT_OK;
}

int
chat_event_fd(const struct chat_client *client)
{
	return client->event_fd;
}

void
chat_event_free(struct chat_event *event)
{
	if (!event)
		return;
	free(event->text);
	free(event->mend);
	free(event->label);
	free(event->actor);
	free(event->target);
	free(event->online);
	free(event);
}

enum chat_event_type
chat_event_type(const struct chat_event *event)
{
	return event->e.type;
}

const char *
chat_event_type_name(const struct chat_event *event)
{
	switch (event->e.type) {
#define NAME(type, name)                                                                                     \
	case CHAT_EVENT_##type:                                                                              \
		return name
		NAME(CONNECTING, "connecting");
		NAME(SERVER_UNKNOWN, "server_unknown");
		NAME(PASSWORD_NEEDED, "password_needed");
		NAME(CONNECTED, "connected");
		NAME(SYNCED, "synced");
		NAME(DISCONNECTED, "disconnected");
		NAME(FAILED, "failed");
		NAME(PROGRESS, "progress");
		NAME(DONE, "done");
		NAME(QUEUED, "queued");
		NAME(MESSAGE, "message");
		NAME(CREATED, "created");
		NAME(INVITED, "invited");
		NAME(JOINED, "joined");
		NAME(DECLINED, "declined");
		NAME(LEFT, "left");
		NAME(KICKED, "kicked");
		NAME(ROLE, "role");
		NAME(SETTINGS, "settings");
		NAME(CARD, "card");
		NAME(REKEYED, "rekeyed");
		NAME(TOPIC, "topic");
		NAME(NAME, "name");
		NAME(ROOM_ADDED, "room_added");
		NAME(ROOM_GONE, "room_gone");
		NAME(UNREADABLE, "unreadable");
		NAME(WARNING, "warning");
		NAME(READ_ONLY, "read_only");
		NAME(CURSOR, "cursor");
#undef NAME
	}
	return "unknown";
}

uint64_t
chat_event_token(const struct chat_event *event)
{
	return event->e.token;
}

enum chat_err
chat_event_err(const struct chat_event *event)
{
	return event->e.err;
}

const char *
chat_event_text(const struct chat_event *event)
{
	return event->text;
}

size_t
chat_event_text_len(const struct chat_event *event)
{
	return event->e.text_len;
}

const char *
chat_event_mend(const struct chat_event *event)
{
	return event->mend;
}

const struct chat_id *
chat_event_room(const struct chat_event *event)
{
	return event->has_room ? &event->room : NULL;
}

const char *
chat_event_label(const struct chat_event *event)
{
	return event->label;
}

const char *
chat_event_actor(const struct chat_event *event)
{
	return event->actor;
}

const char *
chat_event_target(const struct chat_event *event)
{
	return event->target;
}

bool
chat_event_self(const struct chat_event *event)
{
	return event->e.self;
}

bool
chat_event_target_self(const struct chat_event *event)
{
	return event->e.target_self;
}

uint64_t
chat_event_seq(const struct chat_event *event)
{
	return event->e.seq;
}

uint64_t
chat_event_time_ms(const struct chat_event *event)
{
	return event->e.time_ms;
}

uint64_t
chat_event_number(const struct chat_event *event)
{
	return event->e.number;
}

uint64_t
chat_event_total(const struct chat_event *event)
{
	return event->e.total;
}

uint32_t
chat_event_flags(const struct chat_event *event)
{
	return event->e.flags;
}

const struct chat_id *
chat_event_hash(const struct chat_event *event)
{
	return event->e.has_hash ? &event->hash : NULL;
}

const struct chat_online *
chat_event_online(const struct chat_event *event, size_t *ret_count)
{
	*ret_count = event->e.online_count;
	return event->online;
}

enum chat_err
chat_send(struct chat_client *client __attribute__((unused)), const struct chat_id *room, const char *text,
    size_t len, uint64_t *ret_token)
{
	if (len > CHAT_TEXT_MAX)
		return CHAT_ERR_TOO_LONG;
	return request(ret_token, "send %s %.*s", label_of(room), (int)len, text);
}

enum chat_err
chat_create(struct chat_client *client __attribute__((unused)), const char *name, uint64_t *ret_token)
{
	return request(ret_token, "create %s", name);
}

enum chat_err
chat_invite(struct chat_client *client __attribute__((unused)), const struct chat_id *room,
    const char *const *accounts, size_t count, uint64_t *ret_token)
{
	struct buf all = {0};
	enum chat_err err;

	for (size_t i = 0; i < count; i++)
		assert_ok(buf_printf(&all, " %s", accounts[i]));
	err = request(
	    ret_token, "invite %s%.*s", label_of(room), (int)all.len, all.data ? (const char *)all.data : "");
	buf_fini(&all);
	return err;
}

enum chat_err
chat_accept(
    struct chat_client *client __attribute__((unused)), const struct chat_id *room, uint64_t *ret_token)
{
	return request(ret_token, "accept %s", label_of(room));
}

enum chat_err
chat_decline(
    struct chat_client *client __attribute__((unused)), const struct chat_id *room, uint64_t *ret_token)
{
	return request(ret_token, "decline %s", label_of(room));
}

enum chat_err
chat_leave(
    struct chat_client *client __attribute__((unused)), const struct chat_id *room, uint64_t *ret_token)
{
	return request(ret_token, "leave %s", label_of(room));
}

enum chat_err
chat_kick(struct chat_client *client __attribute__((unused)), const struct chat_id *room, const char *account,
    uint64_t *ret_token)
{
	return request(ret_token, "kick %s %s", label_of(room), account);
}

enum chat_err
chat_set_role(struct chat_client *client __attribute__((unused)), const struct chat_id *room,
    const char *account, unsigned role, uint64_t *ret_token)
{
	return request(ret_token, "role %s %s %u", label_of(room), account, role);
}

enum chat_err
chat_set_topic(struct chat_client *client __attribute__((unused)), const struct chat_id *room,
    const char *topic, uint64_t *ret_token)
{
	return request(ret_token, "topic %s %s", label_of(room), topic);
}

enum chat_err
chat_set_name(struct chat_client *client __attribute__((unused)), const struct chat_id *room,
    const char *name, uint64_t *ret_token)
{
	return request(ret_token, "name %s %s", label_of(room), name);
}

enum chat_err
chat_direct(struct chat_client *client __attribute__((unused)), const char *account, uint64_t *ret_token)
{
	return request(ret_token, "direct %s", account);
}

enum chat_err
chat_history(struct chat_client *client __attribute__((unused)), const struct chat_id *room, size_t count,
    uint64_t *ret_token)
{
	return request(ret_token, "history %s %zu", label_of(room), count);
}

enum chat_err
chat_who(struct chat_client *client __attribute__((unused)), uint64_t *ret_token)
{
	return request(ret_token, "who");
}

enum chat_err
chat_change_password(struct chat_client *client __attribute__((unused)), const char *old_password,
    size_t old_len, const char *new_password, size_t new_len, uint64_t *ret_token)
{
	return request(
	    ret_token, "change_password %.*s %.*s", (int)old_len, old_password, (int)new_len, new_password);
}

enum chat_err
chat_mark_read(struct chat_client *client __attribute__((unused)), const struct chat_id *room, uint64_t seq)
{
	called("read %s %llu", label_of(room), (unsigned long long)seq);
	return take_failure();
}

enum chat_err
chat_rooms(struct chat_client *client __attribute__((unused)), struct chat_room_list **ret)
{
	struct chat_room_list *list = calloc(1, sizeof(*list) + fake.rooms * sizeof(list->room[0]));

	assert_non_null(list);
	for (size_t i = 0; i < fake.rooms; i++) {
		if (fake.room[i].stay != CHAT_STAY_OUT)
			list->room[list->count++] = fake.room[i];
	}
	*ret = list;
	return CHAT_OK;
}

void
chat_room_list_free(struct chat_room_list *list)
{
	free(list);
}

enum chat_err
chat_members(struct chat_client *client __attribute__((unused)), const struct chat_id *room,
    struct chat_member_list **ret)
{
	struct chat_member_list *list = calloc(1, sizeof(*list) + fake.members * sizeof(list->member[0]));

	assert_non_null(list);
	for (size_t i = 0; i < fake.members; i++) {
		if (memcmp(&fake.member[i].room, room, sizeof(*room)) == 0)
			list->member[list->count++] = fake.member[i].info;
	}
	*ret = list;
	return CHAT_OK;
}

void
chat_member_list_free(struct chat_member_list *list)
{
	free(list);
}

enum chat_err
chat_find_room(struct chat_client *client __attribute__((unused)), const char *label, struct chat_id *ret)
{
	char hex[2 * CHAT_ID_BYTES + 1];

	for (size_t i = 0; i < fake.rooms; i++) {
		hex_encode(BYTES_ARRAY(fake.room[i].id.b), hex);
		if (strcmp(fake.room[i].label, label) == 0 ||
		    (strlen(label) >= 4 && strncmp(hex, label, strlen(label)) == 0)) {
			*ret = fake.room[i].id;
			return CHAT_OK;
		}
	}
	return CHAT_ERR_NOT_FOUND;
}

enum chat_err
chat_whoami(struct chat_client *client __attribute__((unused)), struct chat_whoami **ret)
{
	*ret = calloc(1, sizeof(**ret));
	assert_non_null(*ret);
	**ret = (struct chat_whoami){.account = "alice",
	    .server = "localhost:8820",
	    .fingerprint = "",
	    .digits = "12345 00000 12345 00000 12345 00000 12345 00000",
	    .data_dir = "/tmp/alice",
	    .connected = true};
	return CHAT_OK;
}

void
chat_whoami_free(struct chat_whoami *whoami)
{
	free(whoami);
}

static enum chat_err
moved(const char *what, const struct chat_config *config, const char *path, const char *passphrase,
    size_t len, char **ret_text)
{
	enum chat_err err = take_failure();
	char *more;

	assert_true(asprintf(&more, " %s %.*s", path, (int)len, passphrase) > 0);
	called_config(what, config, more);
	free(more);
	*ret_text = err != CHAT_OK ? copy("that file is not as it should be") : NULL;
	return err;
}

enum chat_err
chat_identity_export(
    const struct chat_config *config, const char *path, const char *passphrase, size_t len, char **ret_text)
{
	return moved("export", config, path, passphrase, len, ret_text);
}

enum chat_err
chat_identity_import(
    const struct chat_config *config, const char *path, const char *passphrase, size_t len, char **ret_text)
{
	return moved("import", config, path, passphrase, len, ret_text);
}

enum chat_err
chat_forget_server(const struct chat_config *config)
{
	called_config("forget", config, "");
	return take_failure();
}
