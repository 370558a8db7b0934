/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "unit.h"

#include "proto/answers.h"
#include "proto/wire.h"

#include "edges.h"

/* A type is here the number of the field in ServerFrame. */
#define BODY(name) CHAT__V1__SERVER_FRAME__BODY_##name

/* ---- a valid frame of each type, made anew in the same memory ---- */

static uint8_t fill[1024];
static Chat__V1__ServerFrame frame;
static ProtobufCBinaryData ids[EDGE_LIST], rewraps[EDGE_LIST];
static Chat__V1__Entry entries[EDGE_LIST], *entry_list[EDGE_LIST];
static Chat__V1__EpochWraps epochs[EDGE_LIST], *epoch_list[EDGE_LIST];
static Chat__V1__OnlineAccount accounts[EDGE_LIST], *account_list[EDGE_LIST];
static Chat__V1__RoomSummary rooms[EDGE_LIST], *room_list[EDGE_LIST];
static Chat__V1__Limits limits;
static union {
	Chat__V1__Error error;
	Chat__V1__Ok ok;
	Chat__V1__HelloOk hello_ok;
	Chat__V1__PasswordOk password_ok;
	Chat__V1__LoginOk login_ok;
	Chat__V1__Recovery recovery;
	Chat__V1__BagBlob bag;
	Chat__V1__Card card;
	Chat__V1__WhoOnline who_online;
	Chat__V1__Pong pong;
	Chat__V1__Rooms rooms;
	Chat__V1__Resumed resumed;
	Chat__V1__History history;
	Chat__V1__RosterEvents roster_events;
	Chat__V1__Prefix prefix;
	Chat__V1__Wraps wraps;
	Chat__V1__Posted posted;
	Chat__V1__RoomAdded room_added;
	Chat__V1__CardPublished card_published;
	Chat__V1__RekeyWanted rekey_wanted;
	Chat__V1__RewrapWanted rewrap_wanted;
	Chat__V1__CursorMoved cursor_moved;
	Chat__V1__Goodbye goodbye;
} u;

static ProtobufCBinaryData
of_length(size_t len)
{
	memset(fill, 'f', sizeof(fill));
	assert_true(len <= sizeof(fill));
	return wire_from_bytes(BYTES(fill, len));
}

enum entry_form { MESSAGE, EVENT, STUB };

static void
make_entries(enum entry_form form, bool with_room)
{
	for (size_t i = 0; i < EDGE_LIST; i++) {
		Chat__V1__Entry *entry = entry_list[i] = &entries[i];

		chat__v1__entry__init(entry);
		if (with_room)
			entry->room_id = of_length(32);
		entry->seq = 100 + i;
		entry->server_time_ms = 1700000000000;
		entry->kind = form == EVENT ? 1 : 2;
		if (form == STUB)
			entry->entry_hash = of_length(32);
		else
			entry->wire = of_length(289);
	}
}

static void
make_lists(void)
{
	for (size_t i = 0; i < EDGE_LIST; i++) {
		ids[i] = of_length(32);
		rewraps[i] = of_length(577);
		chat__v1__epoch_wraps__init(&epochs[i]);
		epochs[i].epoch_id = of_length(32);
		epochs[i].wrap = of_length(384);
		epochs[i].n_rewrap = 1;
		epochs[i].rewrap = rewraps;
		epoch_list[i] = &epochs[i];
		chat__v1__online_account__init(&accounts[i]);
		accounts[i].account = wire_from_str("alice");
		accounts[i].sessions = 1;
		accounts[i].member_id = of_length(32);
		account_list[i] = &accounts[i];
		chat__v1__room_summary__init(&rooms[i]);
		rooms[i].room_id = of_length(32);
		rooms[i].stay = CHAT__V1__STAY__STAY_JOINED;
		rooms[i].head_seq = 7;
		rooms[i].head_hash = of_length(32);
		rooms[i].since_seq = 1;
		room_list[i] = &rooms[i];
	}
	chat__v1__limits__init(&limits);
	limits.text_bytes = 16384;
	limits.frame_bytes = 1024 * 1024;
	limits.room_readers = 2000;
	limits.rooms_per_account = 1000;
	limits.requests_under_way = 64;
	limits.idle_ms = 75000;
}

static ProtobufCMessage *
make_login(int type)
{
	switch (type) {
	case BODY(ERROR):
		chat__v1__error__init(&u.error);
		u.error.code = CHAT__V1__ERROR_CODE__STALE;
		return &u.error.base;
	case BODY(OK):
		chat__v1__ok__init(&u.ok);
		return &u.ok.base;
	case BODY(HELLO_OK):
		chat__v1__hello_ok__init(&u.hello_ok);
		u.hello_ok.version = 1;
		u.hello_ok.realm = of_length(16);
		u.hello_ok.limits = &limits;
		return &u.hello_ok.base;
	case BODY(PASSWORD_OK):
		chat__v1__password_ok__init(&u.password_ok);
		u.password_ok.has_identity = true;
		u.password_ok.card = of_length(549);
		return &u.password_ok.base;
	case BODY(LOGIN_OK):
		chat__v1__login_ok__init(&u.login_ok);
		u.login_ok.card = of_length(549);
		u.login_ok.bag_version = 1;
		u.login_ok.sessions = 1;
		return &u.login_ok.base;
	case BODY(RECOVERY):
		chat__v1__recovery__init(&u.recovery);
		return &u.recovery.base;
	case BODY(BAG):
		chat__v1__bag_blob__init(&u.bag);
		u.bag.blob = of_length(900);
		return &u.bag.base;
	case BODY(CARD):
		chat__v1__card__init(&u.card);
		u.card.account = wire_from_str("bob");
		u.card.card = of_length(547);
		return &u.card.base;
	case BODY(WHO_ONLINE):
		chat__v1__who_online__init(&u.who_online);
		u.who_online.n_account = 1;
		u.who_online.account = account_list;
		return &u.who_online.base;
	case BODY(PONG):
		chat__v1__pong__init(&u.pong);
		return &u.pong.base;
	case BODY(GOODBYE):
		chat__v1__goodbye__init(&u.goodbye);
		return &u.goodbye.base;
	default:
		return NULL;
	}
}

static ProtobufCMessage *
make_log(int type)
{
	switch (type) {
	case BODY(RESUMED):
		chat__v1__resumed__init(&u.resumed);
		u.resumed.head_seq = 9;
		u.resumed.head_hash = of_length(32);
		return &u.resumed.base;
	case BODY(HISTORY):
		make_entries(MESSAGE, false);
		chat__v1__history__init(&u.history);
		u.history.n_entry = 1;
		u.history.entry = entry_list;
		u.history.before_hash = of_length(32);
		return &u.history.base;
	case BODY(ROSTER_EVENTS):
		make_entries(EVENT, false);
		chat__v1__roster_events__init(&u.roster_events);
		u.roster_events.n_entry = 1;
		u.roster_events.entry = entry_list;
		return &u.roster_events.base;
	case BODY(PREFIX):
		make_entries(STUB, false);
		chat__v1__prefix__init(&u.prefix);
		u.prefix.preimage = of_length(112);
		u.prefix.n_stub = 1;
		u.prefix.stub = entry_list;
		return &u.prefix.base;
	case BODY(POSTED):
		chat__v1__posted__init(&u.posted);
		u.posted.first_seq = 10;
		u.posted.count = 1;
		u.posted.hash = of_length(32);
		return &u.posted.base;
	case BODY(ENTRY):
		make_entries(MESSAGE, true);
		return &entries[0].base;
	default:
		return NULL;
	}
}

static ProtobufCMessage *
make_room(int type)
{
	switch (type) {
	case BODY(ROOMS):
		chat__v1__rooms__init(&u.rooms);
		u.rooms.n_room = 1;
		u.rooms.room = room_list;
		return &u.rooms.base;
	case BODY(WRAPS):
	case BODY(WRAPS_PUSH):
		chat__v1__wraps__init(&u.wraps);
		u.wraps.room_id = of_length(32);
		u.wraps.n_epoch = 1;
		u.wraps.epoch = epoch_list;
		return &u.wraps.base;
	case BODY(ROOM_ADDED):
		chat__v1__room_added__init(&u.room_added);
		u.room_added.room = &rooms[0];
		return &u.room_added.base;
	case BODY(CARD_PUBLISHED):
		chat__v1__card_published__init(&u.card_published);
		u.card_published.account = wire_from_str("bob");
		u.card_published.card = of_length(547);
		return &u.card_published.base;
	case BODY(REKEY_WANTED):
		chat__v1__rekey_wanted__init(&u.rekey_wanted);
		u.rekey_wanted.room_id = of_length(32);
		u.rekey_wanted.lease_ms = 5000;
		return &u.rekey_wanted.base;
	case BODY(REWRAP_WANTED):
		chat__v1__rewrap_wanted__init(&u.rewrap_wanted);
		u.rewrap_wanted.room_id = of_length(32);
		u.rewrap_wanted.member_id = of_length(32);
		u.rewrap_wanted.n_epoch_id = 1;
		u.rewrap_wanted.epoch_id = ids;
		return &u.rewrap_wanted.base;
	case BODY(CURSOR_MOVED):
		chat__v1__cursor_moved__init(&u.cursor_moved);
		u.cursor_moved.room_id = of_length(32);
		u.cursor_moved.seq = 3;
		return &u.cursor_moved.base;
	default:
		return NULL;
	}
}

static ProtobufCMessage *
make(int type)
{
	make_lists();
	ProtobufCMessage *message = make_login(type);
	if (message == NULL)
		message = make_log(type);
	if (message == NULL)
		message = make_room(type);
	assert_non_null(message);
	chat__v1__server_frame__init(&frame);
	frame.id = type < BODY(ENTRY) ? 1 : 0;
	frame.body_case = (Chat__V1__ServerFrame__BodyCase)type;
	frame.ok = (Chat__V1__Ok *)message; /* the oneof's members are all pointers */
	return message;
}

static enum chat_err
check(void)
{
	struct request_fault fault = {CHAT_OK, NULL};

	enum chat_err err = answers_check(&frame, &fault);
	assert_int_equal(fault.err, err);
	if (err != CHAT_OK)
		assert_true(fault.text != NULL && strlen(fault.text) > 0);
	else
		assert_null(fault.text);
	return err;
}

static bool
is_right(int type)
{
	(void)type;
	enum chat_err err = check();

	if (err != CHAT_OK)
		assert_err(err, CHAT_ERR_MALFORMED);
	return err == CHAT_OK;
}

static const struct edge_subject subject = {make, is_right};

/* ---- the edges of every field ---- */

#define SEQ_MAX (UINT64_C(1) << 40)
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX

/* Of every room summary. */
#define SUMMARY(body, prefix, first_stay)                                                                    \
	{body, prefix "room_id", EDGE_LENGTH, 32, 32, false},                                                \
	    {body, prefix "stay", EDGE_NUMBER, first_stay, 2, false},                                        \
	    {body, prefix "head_seq", EDGE_NUMBER, 1, SEQ_MAX, false},                                       \
	    {body, prefix "head_hash", EDGE_LENGTH, 32, 32, false},                                          \
	    {body, prefix "since_seq", EDGE_NUMBER, 1, SEQ_MAX, false},                                      \
	{                                                                                                    \
		body, prefix "read_seq", EDGE_NUMBER, 0, SEQ_MAX, false                                      \
	}

/* Of the wraps of a room, asked for or pushed. */
#define WRAPS_OF(body)                                                                                       \
	{body, "room_id", EDGE_LENGTH, 32, 32, false}, {body, "epoch", EDGE_COUNT, 0, 64, false},            \
	    {body, "epoch.epoch_id", EDGE_LENGTH, 32, 32, false},                                            \
	    {body, "epoch.wrap", EDGE_LENGTH, 384, 384, true},                                               \
	    {body, "epoch.rewrap", EDGE_COUNT, 0, 64, false},                                                \
	{                                                                                                    \
		body, "epoch.rewrap", EDGE_LENGTH, 577, 577, false                                           \
	}

static const struct edge edges[] = {
    {BODY(ERROR), "code", EDGE_NUMBER, 1, INT32_MAX, false},
    {BODY(ERROR), "text", EDGE_LENGTH, 0, 1024, false},
    {BODY(ERROR), "mend", EDGE_LENGTH, 0, 1024, false},
    {BODY(ERROR), "index", EDGE_ANY, 0, 0, false},
    {BODY(ERROR), "current", EDGE_LENGTH, 32, 32, true},
    {BODY(ERROR), "retry_after_ms", EDGE_ANY, 0, 0, false},
    {BODY(ERROR), "number", EDGE_ANY, 0, 0, false},
    {BODY(HELLO_OK), "version", EDGE_NUMBER, 1, 1, false},
    {BODY(HELLO_OK), "realm", EDGE_LENGTH, 16, 16, false},
    {BODY(HELLO_OK), "software", EDGE_LENGTH, 0, 64, false},
    {BODY(HELLO_OK), "unix_ms", EDGE_ANY, 0, 0, false},
    {BODY(HELLO_OK), "limits.text_bytes", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(HELLO_OK), "limits.frame_bytes", EDGE_NUMBER, 16384, 1048576, false},
    {BODY(HELLO_OK), "limits.room_readers", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(HELLO_OK), "limits.rooms_per_account", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(HELLO_OK), "limits.requests_under_way", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(HELLO_OK), "limits.idle_ms", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(HELLO_OK), "limits.history_days", EDGE_ANY, 0, 0, false},
    {BODY(HELLO_OK), "limits.history_entries", EDGE_ANY, 0, 0, false},
    {BODY(PASSWORD_OK), "has_identity", EDGE_OTHER, 0, 0, false},
    {BODY(PASSWORD_OK), "card", EDGE_LENGTH, 545, 608, false},
    {BODY(PASSWORD_OK), "has_recovery", EDGE_OTHER, 0, 0, false},
    {BODY(LOGIN_OK), "card", EDGE_LENGTH, 545, 608, false},
    {BODY(LOGIN_OK), "bag_version", EDGE_NUMBER, 1, U64_MAX, false},
    {BODY(LOGIN_OK), "sessions", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(RECOVERY), "blob", EDGE_LENGTH, 93, 93, true},
    {BODY(BAG), "blob", EDGE_LENGTH, 38, 262144, false},
    {BODY(CARD), "account", EDGE_LENGTH, 1, 64, false},
    {BODY(CARD), "card", EDGE_LENGTH, 545, 608, false},
    {BODY(WHO_ONLINE), "account", EDGE_ANY, 0, 0, false},
    {BODY(WHO_ONLINE), "account.account", EDGE_LENGTH, 1, 64, false},
    {BODY(WHO_ONLINE), "account.sessions", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(WHO_ONLINE), "account.since_unix_ms", EDGE_ANY, 0, 0, false},
    {BODY(WHO_ONLINE), "account.member_id", EDGE_LENGTH, 32, 32, false},
    {BODY(WHO_ONLINE), "more", EDGE_OTHER, 0, 0, false},
    {BODY(PONG), "unix_ms", EDGE_ANY, 0, 0, false},
    {BODY(ROOMS), "room", EDGE_ANY, 0, 0, false},
    SUMMARY(BODY(ROOMS), "room.", 0),
    {BODY(ROOMS), "more", EDGE_OTHER, 0, 0, false},
    {BODY(RESUMED), "head_seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(RESUMED), "head_hash", EDGE_LENGTH, 32, 32, false},
    {BODY(RESUMED), "oldest_whole_seq", EDGE_NUMBER, 0, SEQ_MAX + 1, false},
    {BODY(HISTORY), "entry", EDGE_COUNT, 0, 1000, false},
    {BODY(HISTORY), "entry.room_id", EDGE_LENGTH, 0, 0, false},
    {BODY(HISTORY), "entry.seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(HISTORY), "entry.server_time_ms", EDGE_ANY, 0, 0, false},
    {BODY(HISTORY), "entry.kind", EDGE_NUMBER, 1, 2, false},
    {BODY(HISTORY), "entry.wire", EDGE_LENGTH, 1, 50176, false},
    {BODY(HISTORY), "entry.entry_hash", EDGE_OTHER, 0, 0, false},
    {BODY(HISTORY), "before_hash", EDGE_LENGTH, 32, 32, false},
    {BODY(HISTORY), "more", EDGE_OTHER, 0, 0, false},
    {BODY(ROSTER_EVENTS), "entry", EDGE_ANY, 0, 0, false},
    {BODY(ROSTER_EVENTS), "entry.room_id", EDGE_LENGTH, 0, 0, false},
    {BODY(ROSTER_EVENTS), "entry.seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(ROSTER_EVENTS), "entry.server_time_ms", EDGE_ANY, 0, 0, false},
    {BODY(ROSTER_EVENTS), "entry.kind", EDGE_NUMBER, 1, 1, false},
    {BODY(ROSTER_EVENTS), "entry.wire", EDGE_LENGTH, 1, 2048, false},
    {BODY(ROSTER_EVENTS), "entry.entry_hash", EDGE_LENGTH, 0, 0, false},
    {BODY(ROSTER_EVENTS), "more", EDGE_OTHER, 0, 0, false},
    {BODY(PREFIX), "preimage", EDGE_LENGTH, 112, 112, true},
    {BODY(PREFIX), "stub", EDGE_ANY, 0, 0, false},
    {BODY(PREFIX), "stub.room_id", EDGE_LENGTH, 0, 0, false},
    {BODY(PREFIX), "stub.seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(PREFIX), "stub.server_time_ms", EDGE_ANY, 0, 0, false},
    {BODY(PREFIX), "stub.kind", EDGE_NUMBER, 0, 2, false},
    {BODY(PREFIX), "stub.wire", EDGE_LENGTH, 0, 0, false},
    {BODY(PREFIX), "stub.entry_hash", EDGE_LENGTH, 32, 32, false},
    {BODY(PREFIX), "more", EDGE_OTHER, 0, 0, false},
    WRAPS_OF(BODY(WRAPS)),
    {BODY(POSTED), "first_seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(POSTED), "count", EDGE_NUMBER, 1, 1000, false},
    {BODY(POSTED), "server_time_ms", EDGE_ANY, 0, 0, false},
    {BODY(POSTED), "hash", EDGE_LENGTH, 32, 32, false},
    {BODY(ENTRY), "room_id", EDGE_LENGTH, 32, 32, false},
    {BODY(ENTRY), "seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(ENTRY), "server_time_ms", EDGE_ANY, 0, 0, false},
    {BODY(ENTRY), "kind", EDGE_NUMBER, 1, 2, false},
    {BODY(ENTRY), "wire", EDGE_LENGTH, 1, 50176, false},
    {BODY(ENTRY), "entry_hash", EDGE_OTHER, 0, 0, false},
    WRAPS_OF(BODY(WRAPS_PUSH)),
    SUMMARY(BODY(ROOM_ADDED), "room.", 1),
    {BODY(CARD_PUBLISHED), "account", EDGE_LENGTH, 1, 64, false},
    {BODY(CARD_PUBLISHED), "card", EDGE_LENGTH, 545, 608, false},
    {BODY(REKEY_WANTED), "room_id", EDGE_LENGTH, 32, 32, false},
    {BODY(REKEY_WANTED), "lease_ms", EDGE_NUMBER, 1, U32_MAX, false},
    {BODY(REWRAP_WANTED), "room_id", EDGE_LENGTH, 32, 32, false},
    {BODY(REWRAP_WANTED), "member_id", EDGE_LENGTH, 32, 32, false},
    {BODY(REWRAP_WANTED), "epoch_id", EDGE_COUNT, 1, 64, false},
    {BODY(REWRAP_WANTED), "epoch_id", EDGE_LENGTH, 32, 32, false},
    {BODY(CURSOR_MOVED), "room_id", EDGE_LENGTH, 32, 32, false},
    {BODY(CURSOR_MOVED), "seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {BODY(GOODBYE), "reason", EDGE_NUMBER, 0, INT32_MAX, false},
    {BODY(GOODBYE), "text", EDGE_LENGTH, 0, 1024, false},
    {BODY(GOODBYE), "retry_after_ms", EDGE_ANY, 0, 0, false},
};

/* Calls back with each number of a body that chat.proto has. */
static unsigned
for_each_body(void (*visit)(int type))
{
	const ProtobufCMessageDescriptor *schema = &chat__v1__server_frame__descriptor;
	unsigned n = 0;

	for (unsigned i = 0; i < schema->n_fields; i++) {
		if (strcmp(schema->fields[i].name, "id") == 0)
			continue;
		visit((int)schema->fields[i].id);
		n++;
	}
	return n;
}

static void
check_edges(int type)
{
	edges_check(type, edges, ARRAY_LEN(edges), &subject);
}

TEST(every_field_at_its_edges)
{
	assert_int_equal(for_each_body(check_edges), 25);
}

/* ---- answers and pushes ---- */

static void
check_id(int type)
{
	bool push = type >= BODY(ENTRY), either = type == BODY(ERROR);

	make(type);
	frame.id = 0;
	assert_err(check(), push || either ? CHAT_OK : CHAT_ERR_MALFORMED);
	frame.id = 1;
	assert_err(check(), push ? CHAT_ERR_MALFORMED : CHAT_OK);
	frame.id = UINT64_MAX;
	assert_err(check(), push ? CHAT_ERR_MALFORMED : CHAT_OK);
}

TEST(a_push_has_id_0_and_an_answer_another)
{
	for_each_body(check_id);
}

TEST(an_unknown_body_is_unsupported)
{
	static const int numbers[] = {0, 1, 19, 29, 38, 1000, -1};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		chat__v1__server_frame__init(&frame);
		frame.id = 1;
		frame.body_case = (Chat__V1__ServerFrame__BodyCase)numbers[i];
		assert_err(check(), CHAT_ERR_UNSUPPORTED);
		frame.id = 0;
		assert_err(check(), CHAT_ERR_UNSUPPORTED);
	}
}

TEST(each_request_has_an_answer_that_is_one)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		make((int)request_table[type].answer);
		frame.id = 1;
		assert_ok(check());
	}
}

/* ---- what edges do not reach ---- */

TEST(an_error_of_a_later_version_is_let_through)
{
	make(BODY(ERROR));
	u.error.code = (Chat__V1__ErrorCode)900;
	assert_ok(check());
	u.error.code = (Chat__V1__ErrorCode)-1;
	assert_err(check(), CHAT_ERR_MALFORMED);
}

TEST(texts_are_utf_8)
{
	static const struct {
		int type;
		const char *path;
	} texts[] = {{BODY(ERROR), "text"}, {BODY(ERROR), "mend"}, {BODY(HELLO_OK), "software"},
	    {BODY(GOODBYE), "text"}};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		edge_set_string(make(texts[i].type), texts[i].path, "na\xc3\xafve");
		assert_ok(check());
		edge_set_string(make(texts[i].type), texts[i].path, "na\xc3");
		assert_err(check(), CHAT_ERR_MALFORMED);
	}
}

TEST(names_of_accounts)
{
	static const struct {
		int type;
		const char *path;
	} names[] = {{BODY(CARD), "account"}, {BODY(WHO_ONLINE), "account.account"},
	    {BODY(CARD_PUBLISHED), "account"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		edge_set_string(make(names[i].type), names[i].path, "b.o-b_2");
		assert_ok(check());
		edge_set_string(make(names[i].type), names[i].path, "Bob");
		assert_err(check(), CHAT_ERR_MALFORMED);
	}
}

TEST(what_is_missing_is_missed)
{
	make(BODY(HELLO_OK));
	u.hello_ok.limits = NULL;
	assert_err(check(), CHAT_ERR_MALFORMED);
	make(BODY(ROOM_ADDED));
	u.room_added.room = NULL;
	assert_err(check(), CHAT_ERR_MALFORMED);
}

TEST(a_password_ok_does_not_contradict_itself)
{
	/* Whether it says there is an identity, gives its card, says there is a recovery blob; and is it
	 * right. */
	static const bool cases[][4] = {
	    {false, false, false, true},
	    {false, false, true, false},
	    {false, true, false, false},
	    {false, true, true, false},
	    {true, false, false, false},
	    {true, false, true, false},
	    {true, true, false, true},
	    {true, true, true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(BODY(PASSWORD_OK));
		u.password_ok.has_identity = cases[i][0];
		if (!cases[i][1])
			u.password_ok.card = of_length(0);
		u.password_ok.has_recovery = cases[i][2];
		assert_err(check(), cases[i][3] ? CHAT_OK : CHAT_ERR_MALFORMED);
	}
}

TEST(more_needs_something_to_go_on_from)
{
	static const struct {
		int type;
		const char *list;
	} pages[] = {{BODY(WHO_ONLINE), "account"}, {BODY(ROOMS), "room"}, {BODY(HISTORY), "entry"},
	    {BODY(ROSTER_EVENTS), "entry"}, {BODY(PREFIX), "stub"}};

	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		ProtobufCMessage *message = make(pages[i].type);

		edge_set_number(message, "more", 1);
		assert_ok(check());
		edge_set_count(message, pages[i].list, 0);
		assert_err(check(), CHAT_ERR_MALFORMED);
		edge_set_number(message, "more", 0);
		assert_ok(check());
	}
}

TEST(an_entry_is_whole_or_a_stub)
{
	make(BODY(ENTRY));
	make_entries(STUB, true);
	assert_ok(check());
	entries[0].entry_hash = of_length(31);
	assert_err(check(), CHAT_ERR_MALFORMED);
	entries[0].entry_hash = of_length(33);
	assert_err(check(), CHAT_ERR_MALFORMED);
	entries[0].entry_hash = of_length(0);
	assert_err(check(), CHAT_ERR_MALFORMED);
	/* Both at once, and an event that is a stub. */
	make_entries(MESSAGE, true);
	entries[0].entry_hash = of_length(32);
	assert_err(check(), CHAT_ERR_MALFORMED);
	make_entries(STUB, true);
	entries[0].kind = 1;
	assert_err(check(), CHAT_ERR_MALFORMED);
	/* An event is shorter than a message may be. */
	make_entries(EVENT, true);
	edge_set_length(&entries[0].base, "wire", 2048);
	assert_ok(check());
	edge_set_length(&entries[0].base, "wire", 2049);
	assert_err(check(), CHAT_ERR_MALFORMED);

	/* Stubs are right in a history too. */
	make(BODY(HISTORY));
	make_entries(STUB, false);
	assert_ok(check());
}

TEST(entries_ascend_as_their_list_has_to)
{
	static const struct {
		int type;
		const char *list;
		bool dense;
	} lists[] = {{BODY(HISTORY), "entry", true}, {BODY(ROSTER_EVENTS), "entry", false},
	    {BODY(PREFIX), "stub", true}};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		edge_set_count(make(lists[i].type), lists[i].list, 3);
		assert_ok(check());
		entries[2].seq = entries[1].seq + 2;
		assert_err(check(), lists[i].dense ? CHAT_ERR_MALFORMED : CHAT_OK);
		entries[2].seq = entries[1].seq;
		assert_err(check(), CHAT_ERR_MALFORMED);
		entries[2].seq = entries[0].seq;
		assert_err(check(), CHAT_ERR_MALFORMED);
	}
}

TEST(an_empty_history_needs_no_hash)
{
	make(BODY(HISTORY));
	u.history.n_entry = 0;
	u.history.before_hash = of_length(0);
	assert_ok(check());
	u.history.before_hash = of_length(31);
	assert_err(check(), CHAT_ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_field_at_its_edges),
	    cmocka_unit_test(a_push_has_id_0_and_an_answer_another),
	    cmocka_unit_test(an_unknown_body_is_unsupported),
	    cmocka_unit_test(each_request_has_an_answer_that_is_one),
	    cmocka_unit_test(an_error_of_a_later_version_is_let_through),
	    cmocka_unit_test(texts_are_utf_8),
	    cmocka_unit_test(names_of_accounts),
	    cmocka_unit_test(what_is_missing_is_missed),
	    cmocka_unit_test(a_password_ok_does_not_contradict_itself),
	    cmocka_unit_test(more_needs_something_to_go_on_from),
	    cmocka_unit_test(an_entry_is_whole_or_a_stub),
	    cmocka_unit_test(entries_ascend_as_their_list_has_to),
	    cmocka_unit_test(an_empty_history_needs_no_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
