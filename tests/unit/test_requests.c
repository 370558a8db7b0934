/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <stdio.h>

#include "unit.h"

#include "proto/frame.h"
#include "group/bag.h"
#include "group/card.h"
#include "group/epoch.h"
#include "group/event.h"
#include "group/identity.h"
#include "group/loghash.h"
#include "group/recovery.h"
#include "group/seal.h"
#include "proto/requests.h"
#include "proto/rules.h"
#include "proto/wire.h"

#include "edges.h"

/* What the layer below the layouts has to say again, for it cannot include them. */
static_assert(WIRE_REALM_BYTES == REALM_BYTES, "realm");
static_assert(WIRE_CARD_MIN_BYTES == CARD_MIN_BYTES && WIRE_CARD_MAX_BYTES == CARD_MAX_BYTES, "card");
static_assert(WIRE_BAG_MIN_BYTES == BAG_OVERHEAD_BYTES + 1, "bag");
static_assert(RECOVERY_BYTES == RECOVERY_BLOB_BYTES, "recovery blob");
static_assert(WIRE_REWRAP_BYTES == REWRAP_BYTES, "re-wrap");
static_assert(WIRE_PREIMAGE_BYTES == LOG_PREIMAGE_BYTES, "preimage of the log hash");
static_assert(MESSAGE_MAX_BYTES <= MESSAGE_FRAME_MAX_BYTES, "message");
static_assert(EVENT_WIRE_MAX <= EVENT_MAX_BYTES, "event");

/* ---- a valid frame of each type, made anew in the same memory ---- */

static uint8_t fill[1024];
static Chat__V1__ClientFrame frame;
static ProtobufCBinaryData list[EDGE_LIST];
static ProtobufCBinaryData rewraps[EDGE_LIST];
static Chat__V1__Entry entries[EDGE_LIST], *entry_list[EDGE_LIST];
static Chat__V1__EpochWraps epochs[EDGE_LIST], *epoch_list[EDGE_LIST];
static union {
	Chat__V1__Hello hello;
	Chat__V1__PasswordLogin password_login;
	Chat__V1__KeyLogin key_login;
	Chat__V1__PublishIdentity publish_identity;
	Chat__V1__GetRecovery get_recovery;
	Chat__V1__GetBag get_bag;
	Chat__V1__PutRecovery put_recovery;
	Chat__V1__PutBag put_bag;
	Chat__V1__PublishCard publish_card;
	Chat__V1__GetCard get_card;
	Chat__V1__ChangePassword change_password;
	Chat__V1__Who who;
	Chat__V1__Ping ping;
	Chat__V1__GetRooms get_rooms;
	Chat__V1__Resume resume;
	Chat__V1__GetHistory get_history;
	Chat__V1__GetRoster get_roster;
	Chat__V1__GetPrefix get_prefix;
	Chat__V1__GetWraps get_wraps;
	Chat__V1__StageWraps stage_wraps;
	Chat__V1__PostEvents post_events;
	Chat__V1__PostMessage post_message;
	Chat__V1__PostRewraps post_rewraps;
	Chat__V1__AskRewrap ask_rewrap;
	Chat__V1__SetCursor set_cursor;
	Chat__V1__OfferEntries offer_entries;
} u;

static ProtobufCBinaryData
of_length(size_t len)
{
	memset(fill, 'f', sizeof(fill));
	assert_true(len <= sizeof(fill));
	return wire_from_bytes(BYTES(fill, len));
}

static ProtobufCBinaryData *
list_of(size_t len)
{
	for (size_t i = 0; i < EDGE_LIST; i++)
		list[i] = of_length(len);
	return list;
}

static void
make_entries(void)
{
	for (size_t i = 0; i < EDGE_LIST; i++) {
		chat__v1__entry__init(&entries[i]);
		entries[i].seq = 100 + i;
		entries[i].kind = 2;
		entries[i].wire = of_length(289);
		entry_list[i] = &entries[i];
		rewraps[i] = of_length(577);
		chat__v1__epoch_wraps__init(&epochs[i]);
		epochs[i].epoch_id = of_length(32);
		epochs[i].wrap = of_length(384);
		epochs[i].n_rewrap = 1;
		epochs[i].rewrap = rewraps;
		epoch_list[i] = &epochs[i];
	}
}

static ProtobufCMessage *
make_account(enum request_type type)
{
	switch ((int)type) {
	case REQUEST_HELLO:
		chat__v1__hello__init(&u.hello);
		u.hello.version = 1;
		u.hello.software = wire_from_str("chat-client 0.1.0");
		return &u.hello.base;
	case REQUEST_PASSWORD_LOGIN:
		chat__v1__password_login__init(&u.password_login);
		u.password_login.account = wire_from_str("alice");
		u.password_login.password = of_length(8);
		return &u.password_login.base;
	case REQUEST_KEY_LOGIN:
		chat__v1__key_login__init(&u.key_login);
		u.key_login.account = wire_from_str("alice");
		u.key_login.member_id = of_length(32);
		u.key_login.ed_pk = of_length(32);
		u.key_login.binding_type = 1;
		u.key_login.signature = of_length(64);
		return &u.key_login.base;
	case REQUEST_PUBLISH_IDENTITY:
		chat__v1__publish_identity__init(&u.publish_identity);
		u.publish_identity.card = of_length(549);
		u.publish_identity.bag = of_length(900);
		u.publish_identity.recovery = of_length(93);
		return &u.publish_identity.base;
	case REQUEST_GET_RECOVERY:
		chat__v1__get_recovery__init(&u.get_recovery);
		return &u.get_recovery.base;
	case REQUEST_GET_BAG:
		chat__v1__get_bag__init(&u.get_bag);
		return &u.get_bag.base;
	case REQUEST_PUT_RECOVERY:
		chat__v1__put_recovery__init(&u.put_recovery);
		u.put_recovery.blob = of_length(93);
		return &u.put_recovery.base;
	case REQUEST_PUT_BAG:
		chat__v1__put_bag__init(&u.put_bag);
		u.put_bag.blob = of_length(900);
		u.put_bag.expected_version = 1;
		return &u.put_bag.base;
	case REQUEST_PUBLISH_CARD:
		chat__v1__publish_card__init(&u.publish_card);
		u.publish_card.card = of_length(549);
		return &u.publish_card.base;
	case REQUEST_GET_CARD:
		chat__v1__get_card__init(&u.get_card);
		u.get_card.account = wire_from_str("bob");
		return &u.get_card.base;
	case REQUEST_CHANGE_PASSWORD:
		chat__v1__change_password__init(&u.change_password);
		u.change_password.old_password = of_length(8);
		u.change_password.new_password = of_length(9);
		return &u.change_password.base;
	case REQUEST_WHO:
		chat__v1__who__init(&u.who);
		return &u.who.base;
	case REQUEST_PING:
		chat__v1__ping__init(&u.ping);
		return &u.ping.base;
	default:
		return NULL;
	}
}

static ProtobufCMessage *
make_room(enum request_type type)
{
	switch ((int)type) {
	case REQUEST_GET_ROOMS:
		chat__v1__get_rooms__init(&u.get_rooms);
		return &u.get_rooms.base;
	case REQUEST_RESUME:
		chat__v1__resume__init(&u.resume);
		u.resume.room_id = of_length(32);
		u.resume.next_seq = 1;
		u.resume.hash = of_length(32);
		return &u.resume.base;
	case REQUEST_GET_HISTORY:
		chat__v1__get_history__init(&u.get_history);
		u.get_history.room_id = of_length(32);
		u.get_history.before_seq = 1000;
		u.get_history.limit = 50;
		return &u.get_history.base;
	case REQUEST_GET_ROSTER:
		chat__v1__get_roster__init(&u.get_roster);
		u.get_roster.room_id = of_length(32);
		u.get_roster.from_seq = 1;
		return &u.get_roster.base;
	case REQUEST_GET_PREFIX:
		chat__v1__get_prefix__init(&u.get_prefix);
		u.get_prefix.room_id = of_length(32);
		return &u.get_prefix.base;
	case REQUEST_GET_WRAPS:
		chat__v1__get_wraps__init(&u.get_wraps);
		u.get_wraps.room_id = of_length(32);
		u.get_wraps.n_epoch_id = 1;
		u.get_wraps.epoch_id = list_of(32);
		return &u.get_wraps.base;
	case REQUEST_STAGE_WRAPS:
		chat__v1__stage_wraps__init(&u.stage_wraps);
		u.stage_wraps.wraps_hash = of_length(32);
		u.stage_wraps.count = 2000;
		u.stage_wraps.wraps = of_length(384);
		return &u.stage_wraps.base;
	case REQUEST_POST_EVENTS:
		chat__v1__post_events__init(&u.post_events);
		u.post_events.room_id = of_length(32);
		u.post_events.n_event = 1;
		u.post_events.event = list_of(210);
		return &u.post_events.base;
	case REQUEST_POST_MESSAGE:
		chat__v1__post_message__init(&u.post_message);
		u.post_message.room_id = of_length(32);
		u.post_message.message = of_length(289);
		return &u.post_message.base;
	case REQUEST_POST_REWRAPS:
		chat__v1__post_rewraps__init(&u.post_rewraps);
		u.post_rewraps.room_id = of_length(32);
		u.post_rewraps.n_rewrap = 1;
		u.post_rewraps.rewrap = list_of(577);
		return &u.post_rewraps.base;
	case REQUEST_ASK_REWRAP:
		chat__v1__ask_rewrap__init(&u.ask_rewrap);
		u.ask_rewrap.room_id = of_length(32);
		u.ask_rewrap.n_epoch_id = 1;
		u.ask_rewrap.epoch_id = list_of(32);
		return &u.ask_rewrap.base;
	case REQUEST_SET_CURSOR:
		chat__v1__set_cursor__init(&u.set_cursor);
		u.set_cursor.room_id = of_length(32);
		u.set_cursor.seq = 5;
		return &u.set_cursor.base;
	case REQUEST_OFFER_ENTRIES:
		make_entries();
		chat__v1__offer_entries__init(&u.offer_entries);
		u.offer_entries.room_id = of_length(32);
		u.offer_entries.n_entry = 1;
		u.offer_entries.entry = entry_list;
		u.offer_entries.n_wraps = 1;
		u.offer_entries.wraps = epoch_list;
		return &u.offer_entries.base;
	default:
		return NULL;
	}
}

static ProtobufCMessage *
make(int type)
{
	ProtobufCMessage *message = make_account((enum request_type)type);

	if (message == NULL)
		message = make_room((enum request_type)type);
	assert_non_null(message);
	chat__v1__client_frame__init(&frame);
	frame.id = 1;
	frame.request_case = (Chat__V1__ClientFrame__RequestCase)(2 + type);
	frame.ping = (Chat__V1__Ping *)message; /* the oneof's members are all pointers */
	return message;
}

/* The phase in which a type is allowed, whichever comes first. */
static enum phase
a_phase_of(int type)
{
	for (unsigned phase = PHASE_NEW; phase <= PHASE_READY; phase <<= 1) {
		if (request_table[type].phases & phase)
			return (enum phase)phase;
	}
	fail_msg("%s is allowed nowhere", request_table[type].name);
	return PHASE_NEW;
}

static enum chat_err
check_in(enum phase phase, size_t frame_bytes)
{
	enum request_type type = REQUEST_TYPE_COUNT;
	struct request_fault fault = {CHAT_OK, NULL};

	enum chat_err err = requests_check(&frame, phase, frame_bytes, &type, &fault);
	if (err == CHAT_OK) {
		assert_int_equal((int)type, (int)frame.request_case - 2);
		assert_null(fault.text);
	} else {
		assert_int_equal(type, REQUEST_TYPE_COUNT);
		assert_int_equal(fault.err, err);
		assert_non_null(fault.text);
		assert_true(strlen(fault.text) > 0);
	}
	return err;
}

/* Its protobuf's length is left out of account: edges are about fields. */
static enum chat_err
check(int type)
{
	return check_in(a_phase_of(type), 10);
}

static bool
is_right(int type)
{
	enum chat_err err = check(type);

	if (err != CHAT_OK && err != CHAT_ERR_UNSUPPORTED)
		assert_err(err, CHAT_ERR_MALFORMED);
	return err == CHAT_OK;
}

static const struct edge_subject subject = {make, is_right};

/* ---- the edges of every field ---- */

#define SEQ_MAX (UINT64_C(1) << 40)

static const struct edge edges[] = {
    {REQUEST_HELLO, "version", EDGE_NUMBER, 1, 1, false},
    {REQUEST_HELLO, "software", EDGE_LENGTH, 0, 64, false},
    {REQUEST_PASSWORD_LOGIN, "account", EDGE_LENGTH, 1, 64, false},
    {REQUEST_PASSWORD_LOGIN, "password", EDGE_LENGTH, 1, 511, false},
    {REQUEST_KEY_LOGIN, "account", EDGE_LENGTH, 1, 64, false},
    {REQUEST_KEY_LOGIN, "member_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_KEY_LOGIN, "ed_pk", EDGE_LENGTH, 32, 32, false},
    {REQUEST_KEY_LOGIN, "binding_type", EDGE_NUMBER, 1, 1, false},
    {REQUEST_KEY_LOGIN, "signature", EDGE_LENGTH, 64, 64, false},
    {REQUEST_PUBLISH_IDENTITY, "card", EDGE_LENGTH, 545, 608, false},
    {REQUEST_PUBLISH_IDENTITY, "bag", EDGE_LENGTH, 38, 14336, false},
    {REQUEST_PUBLISH_IDENTITY, "recovery", EDGE_LENGTH, 93, 93, true},
    {REQUEST_PUT_RECOVERY, "blob", EDGE_LENGTH, 93, 93, false},
    {REQUEST_PUT_BAG, "blob", EDGE_LENGTH, 38, 262144, false},
    {REQUEST_PUT_BAG, "expected_version", EDGE_NUMBER, 1, UINT64_MAX - 1, false},
    {REQUEST_PUBLISH_CARD, "card", EDGE_LENGTH, 545, 608, false},
    {REQUEST_GET_CARD, "account", EDGE_LENGTH, 1, 64, false},
    {REQUEST_GET_CARD, "watch", EDGE_ANY, 0, 0, false},
    {REQUEST_CHANGE_PASSWORD, "old_password", EDGE_LENGTH, 1, 511, false},
    {REQUEST_CHANGE_PASSWORD, "new_password", EDGE_LENGTH, 1, 511, false},
    {REQUEST_WHO, "after", EDGE_LENGTH, 0, 64, false},
    {REQUEST_GET_ROOMS, "after", EDGE_LENGTH, 32, 32, true},
    {REQUEST_RESUME, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_RESUME, "next_seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {REQUEST_RESUME, "hash", EDGE_LENGTH, 32, 32, false},
    {REQUEST_GET_HISTORY, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_GET_HISTORY, "before_seq", EDGE_NUMBER, 1, SEQ_MAX + 1, false},
    {REQUEST_GET_HISTORY, "limit", EDGE_NUMBER, 1, 1000, false},
    {REQUEST_GET_ROSTER, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_GET_ROSTER, "from_seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {REQUEST_GET_PREFIX, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_GET_PREFIX, "from_seq", EDGE_NUMBER, 0, SEQ_MAX, false},
    {REQUEST_GET_WRAPS, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_GET_WRAPS, "epoch_id", EDGE_COUNT, 1, 64, false},
    {REQUEST_GET_WRAPS, "epoch_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_STAGE_WRAPS, "wraps_hash", EDGE_LENGTH, 32, 32, false},
    {REQUEST_STAGE_WRAPS, "count", EDGE_NUMBER, 1, 2000, false},
    {REQUEST_STAGE_WRAPS, "first", EDGE_NUMBER, 0, 1999, false},
    {REQUEST_STAGE_WRAPS, "wraps", EDGE_LENGTH, 384, 768000, false},
    {REQUEST_POST_EVENTS, "room_id", EDGE_LENGTH, 32, 32, true},
    {REQUEST_POST_EVENTS, "event", EDGE_COUNT, 1, 64, false},
    {REQUEST_POST_EVENTS, "event", EDGE_LENGTH, 1, 2048, false},
    {REQUEST_POST_MESSAGE, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_POST_MESSAGE, "message", EDGE_LENGTH, 1, 50176, false},
    {REQUEST_POST_REWRAPS, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_POST_REWRAPS, "rewrap", EDGE_COUNT, 1, 64, false},
    {REQUEST_POST_REWRAPS, "rewrap", EDGE_LENGTH, 577, 577, false},
    {REQUEST_ASK_REWRAP, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_ASK_REWRAP, "epoch_id", EDGE_COUNT, 1, 64, false},
    {REQUEST_ASK_REWRAP, "epoch_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_SET_CURSOR, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_SET_CURSOR, "seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {REQUEST_OFFER_ENTRIES, "room_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_OFFER_ENTRIES, "entry", EDGE_COUNT, 1, 1000, false},
    {REQUEST_OFFER_ENTRIES, "entry.room_id", EDGE_LENGTH, 0, 0, false},
    {REQUEST_OFFER_ENTRIES, "entry.seq", EDGE_NUMBER, 1, SEQ_MAX, false},
    {REQUEST_OFFER_ENTRIES, "entry.server_time_ms", EDGE_NUMBER, 0, UINT64_MAX, false},
    {REQUEST_OFFER_ENTRIES, "entry.kind", EDGE_NUMBER, 1, 2, false},
    {REQUEST_OFFER_ENTRIES, "entry.wire", EDGE_LENGTH, 1, 50176, false},
    {REQUEST_OFFER_ENTRIES, "entry.entry_hash", EDGE_LENGTH, 0, 0, false},
    {REQUEST_OFFER_ENTRIES, "wraps", EDGE_COUNT, 0, 1000, false},
    {REQUEST_OFFER_ENTRIES, "wraps.epoch_id", EDGE_LENGTH, 32, 32, false},
    {REQUEST_OFFER_ENTRIES, "wraps.wrap", EDGE_LENGTH, 384, 384, true},
    {REQUEST_OFFER_ENTRIES, "wraps.rewrap", EDGE_COUNT, 0, 64, false},
    {REQUEST_OFFER_ENTRIES, "wraps.rewrap", EDGE_LENGTH, 577, 577, false},
};

TEST(every_field_at_its_edges)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++)
		edges_check(type, edges, ARRAY_LEN(edges), &subject);
}

/* ---- each request in each phase ---- */

/* The letters of the phases that take it: new, hello, password, ready. */
static const struct {
	const char *name, *phases;
} allowed[] = {
    {"hello", "n"},
    {"password_login", "h"},
    {"key_login", "hp"},
    {"publish_identity", "p"},
    {"get_recovery", "pr"},
    {"get_bag", "pr"},
    {"put_recovery", "r"},
    {"put_bag", "r"},
    {"publish_card", "r"},
    {"get_card", "r"},
    {"change_password", "r"},
    {"who", "r"},
    {"ping", "nhpr"},
    {"get_rooms", "r"},
    {"resume", "r"},
    {"get_history", "r"},
    {"get_roster", "r"},
    {"get_prefix", "r"},
    {"get_wraps", "r"},
    {"stage_wraps", "r"},
    {"post_events", "r"},
    {"post_message", "r"},
    {"post_rewraps", "r"},
    {"ask_rewrap", "r"},
    {"set_cursor", "r"},
    {"offer_entries", "r"},
};

TEST(each_request_in_each_phase)
{
	static const enum phase phases[] = {PHASE_NEW, PHASE_HELLO, PHASE_PASSWORD, PHASE_READY};

	assert_int_equal(ARRAY_LEN(allowed), REQUEST_TYPE_COUNT);
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		assert_string_equal(request_table[type].name, allowed[type].name);
		for (size_t i = 0; i < ARRAY_LEN(phases); i++) {
			make(type);
			bool right = strchr(allowed[type].phases, "nhpr"[i]) != NULL;
			assert_err(check_in(phases[i], 10), right ? CHAT_OK : CHAT_ERR_WRONG_PHASE);
		}
	}
}

TEST(the_table_is_the_schema)
{
	const ProtobufCMessageDescriptor *schema = &chat__v1__client_frame__descriptor;

	/* id and one field for each request, in this order and under these names. */
	assert_int_equal(schema->n_fields, 1 + REQUEST_TYPE_COUNT);
	for (unsigned type = 0; type < REQUEST_TYPE_COUNT; type++) {
		const ProtobufCFieldDescriptor *field =
		    protobuf_c_message_descriptor_get_field(schema, 2 + type);
		assert_non_null(field);
		assert_string_equal(field->name, request_table[type].name);
	}
}

/* ---- what is not a request, and the order of refusals ---- */

TEST(an_unknown_request)
{
	chat__v1__client_frame__init(&frame);
	frame.id = 5;
	assert_err(check_in(PHASE_NEW, 2), CHAT_ERR_UNKNOWN_REQUEST);
	assert_err(check_in(PHASE_READY, 2), CHAT_ERR_UNKNOWN_REQUEST);
	frame.request_case = (Chat__V1__ClientFrame__RequestCase)(2 + REQUEST_TYPE_COUNT);
	assert_err(check_in(PHASE_READY, 2), CHAT_ERR_UNKNOWN_REQUEST);
	frame.request_case = (Chat__V1__ClientFrame__RequestCase)1;
	assert_err(check_in(PHASE_READY, 2), CHAT_ERR_UNKNOWN_REQUEST);
	frame.request_case = (Chat__V1__ClientFrame__RequestCase)-1;
	assert_err(check_in(PHASE_READY, 2), CHAT_ERR_UNKNOWN_REQUEST);
}

TEST(id_0_is_malformed)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		make(type);
		frame.id = 0;
		assert_err(check(type), CHAT_ERR_MALFORMED);
		frame.id = UINT64_MAX;
		assert_ok(check(type));
	}
}

TEST(each_request_has_its_own_length)
{
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		size_t max = request_table[type].max_bytes;

		make(type);
		assert_in_range(max, 1, FRAME_MAX_AFTER_LOGIN);
		assert_ok(check_in(a_phase_of(type), max));
		assert_err(check_in(a_phase_of(type), max + 1), CHAT_ERR_TOO_LONG);
		if (request_table[type].phases & (PHASE_NEW | PHASE_HELLO | PHASE_PASSWORD))
			assert_in_range(max, 1, FRAME_MAX_BEFORE_LOGIN);
	}
}

/* The longest that the rules allow is let through by the length too, on its way over the wire. */
TEST(the_longest_of_each_request_fits)
{
	struct arena arena;

	frame_arena_init(&arena);
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		ProtobufCMessage *message = make(type);
		struct buf wire = {0};
		struct bytes body;
		size_t n;
		const Chat__V1__ClientFrame *decoded;
		enum request_type got;
		struct request_fault fault;

		frame.id = UINT64_MAX;
		if (type != REQUEST_OFFER_ENTRIES) { /* which only the frame bounds */
			for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
				if (edges[i].type == type && edges[i].kind == EDGE_COUNT)
					edge_set_count(message, edges[i].path, edges[i].max);
			}
			for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
				if (edges[i].type == type && edges[i].kind == EDGE_LENGTH)
					edge_set_length(message, edges[i].path, edges[i].max);
			}
			/* A length is set in the last of a list, which has 64 at most. */
			for (size_t i = 0; i < 63; i++)
				list[i] = list[63];
		}
		assert_ok(frame_encode_client(&frame, &wire));
		assert_ok(frame_split(buf_bytes(&wire), FRAME_MAX_AFTER_LOGIN, &body, &n));
		arena_reset(&arena);
		assert_ok(frame_decode_client(body, &arena, &decoded));
		if (requests_check(decoded, a_phase_of(type), body.len, &got, &fault) != CHAT_OK)
			fail_msg("%s of %zu bytes: %s", request_table[type].name, body.len, fault.text);
		assert_int_equal(got, type);
		buf_fini(&wire);
	}
	arena_fini(&arena);
}

TEST(refusals_come_in_their_order)
{
	make(REQUEST_POST_MESSAGE);
	frame.id = 0;
	u.post_message.room_id.len = 31;
	assert_err(check_in(PHASE_HELLO, SIZE_MAX), CHAT_ERR_WRONG_PHASE);
	assert_err(check_in(PHASE_READY, SIZE_MAX), CHAT_ERR_TOO_LONG);
	assert_err(check_in(PHASE_READY, 100), CHAT_ERR_MALFORMED);
	make(REQUEST_HELLO);
	u.hello.version = 2;
	u.hello.software = wire_from_str("\xff");
	assert_err(check_in(PHASE_HELLO, 10), CHAT_ERR_WRONG_PHASE);
	assert_err(check_in(PHASE_NEW, 10), CHAT_ERR_UNSUPPORTED);
	u.hello.version = 1;
	assert_err(check_in(PHASE_NEW, 10), CHAT_ERR_MALFORMED);
}

/* ---- what edges do not reach ---- */

TEST(names_of_accounts)
{
	static const char *const right[] = {"a", "0", "alice", "a.b_c-d", "9lives"};
	static const char *const wrong[] = {
	    "", "Alice", ".a", "-a", "_a", "al ice", "al\xc3\xa9", "a\n", "a/b"};
	static const int types[] = {REQUEST_PASSWORD_LOGIN, REQUEST_KEY_LOGIN, REQUEST_GET_CARD};

	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (size_t i = 0; i < ARRAY_LEN(right); i++) {
			edge_set_string(make(types[t]), "account", right[i]);
			assert_ok(check(types[t]));
		}
		for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
			edge_set_string(make(types[t]), "account", wrong[i]);
			assert_err(check(types[t]), CHAT_ERR_MALFORMED);
		}
	}
	for (size_t i = 1; i < ARRAY_LEN(wrong); i++) {
		edge_set_string(make(REQUEST_WHO), "after", wrong[i]);
		assert_err(check(REQUEST_WHO), CHAT_ERR_MALFORMED);
	}
}

TEST(software_is_utf_8)
{
	edge_set_string(make(REQUEST_HELLO), "software", "chat\xc3\xa9");
	assert_ok(check(REQUEST_HELLO));
	edge_set_string(make(REQUEST_HELLO), "software", "chat\xc3");
	assert_err(check(REQUEST_HELLO), CHAT_ERR_MALFORMED);
}

TEST(a_password_has_no_nul)
{
	static uint8_t with_nul[] = {'p', 0, 'w'};

	make(REQUEST_PASSWORD_LOGIN);
	u.password_login.password = wire_from_bytes(BYTES_ARRAY(with_nul));
	assert_err(check(REQUEST_PASSWORD_LOGIN), CHAT_ERR_MALFORMED);
	make(REQUEST_CHANGE_PASSWORD);
	u.change_password.old_password = wire_from_bytes(BYTES_ARRAY(with_nul));
	assert_err(check(REQUEST_CHANGE_PASSWORD), CHAT_ERR_MALFORMED);
	make(REQUEST_CHANGE_PASSWORD);
	u.change_password.new_password = wire_from_bytes(BYTES_ARRAY(with_nul));
	assert_err(check(REQUEST_CHANGE_PASSWORD), CHAT_ERR_MALFORMED);
}

TEST(versions_and_bindings_that_are_not_spoken)
{
	make(REQUEST_HELLO);
	u.hello.version = 2;
	assert_err(check(REQUEST_HELLO), CHAT_ERR_UNSUPPORTED);
	u.hello.version = 0;
	assert_err(check(REQUEST_HELLO), CHAT_ERR_UNSUPPORTED);
	make(REQUEST_KEY_LOGIN);
	u.key_login.binding_type = 2;
	assert_err(check(REQUEST_KEY_LOGIN), CHAT_ERR_UNSUPPORTED);
}

TEST(staged_wraps_lie_inside_their_list)
{
	static const struct {
		uint32_t count, first;
		size_t bytes;
		bool right;
	} cases[] = {
	    {1, 0, 384, true},
	    {1, 0, 768, false},
	    {1, 1, 384, false},
	    {10, 9, 384, true},
	    {10, 9, 768, false},
	    {10, 8, 768, true},
	    {10, 10, 384, false},
	    {10, UINT32_MAX, 384, false},
	    {10, 0, 3840, true},
	    {10, 0, 3841, false},
	    {10, 0, 385, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ProtobufCMessage *message = make(REQUEST_STAGE_WRAPS);
		u.stage_wraps.count = cases[i].count;
		u.stage_wraps.first = cases[i].first;
		edge_set_length(message, "wraps", cases[i].bytes);
		assert_int_equal(is_right(REQUEST_STAGE_WRAPS), cases[i].right);
	}
}

TEST(offered_entries_follow_one_another)
{
	make(REQUEST_OFFER_ENTRIES);
	u.offer_entries.n_entry = 3;
	assert_ok(check(REQUEST_OFFER_ENTRIES));
	entries[2].seq = entries[1].seq;
	assert_err(check(REQUEST_OFFER_ENTRIES), CHAT_ERR_MALFORMED);
	entries[2].seq = entries[1].seq + 2;
	assert_err(check(REQUEST_OFFER_ENTRIES), CHAT_ERR_MALFORMED);
	entries[2].seq = entries[1].seq - 1;
	assert_err(check(REQUEST_OFFER_ENTRIES), CHAT_ERR_MALFORMED);
}

/* Not only the first of a list is looked at. */
TEST(the_last_of_a_list_is_checked_too)
{
	ProtobufCMessage *message = make(REQUEST_GET_WRAPS);

	u.get_wraps.n_epoch_id = 64;
	assert_ok(check(REQUEST_GET_WRAPS));
	edge_set_length(message, "epoch_id", 31);
	assert_err(check(REQUEST_GET_WRAPS), CHAT_ERR_MALFORMED);
	make(REQUEST_OFFER_ENTRIES);
	u.offer_entries.n_wraps = 5;
	assert_ok(check(REQUEST_OFFER_ENTRIES));
	epochs[4].epoch_id.len = 33;
	assert_err(check(REQUEST_OFFER_ENTRIES), CHAT_ERR_MALFORMED);
}

TEST(costs_grow_with_what_is_asked)
{
	make(REQUEST_PING);
	assert_int_equal(requests_cost(&frame), 1);
	make(REQUEST_POST_EVENTS);
	uint32_t one = requests_cost(&frame);
	u.post_events.n_event = 3;
	assert_int_equal(requests_cost(&frame), one + 2 * request_table[REQUEST_POST_EVENTS].item_cost);
	make(REQUEST_OFFER_ENTRIES);
	u.offer_entries.n_entry = 7;
	u.offer_entries.n_wraps = 2;
	assert_int_equal(requests_cost(&frame),
	    request_table[REQUEST_OFFER_ENTRIES].cost + 9 * request_table[REQUEST_OFFER_ENTRIES].item_cost);
	for (int type = 0; type < REQUEST_TYPE_COUNT; type++) {
		make(type);
		assert_true(requests_cost(&frame) > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_field_at_its_edges),
	    cmocka_unit_test(each_request_in_each_phase),
	    cmocka_unit_test(the_table_is_the_schema),
	    cmocka_unit_test(an_unknown_request),
	    cmocka_unit_test(id_0_is_malformed),
	    cmocka_unit_test(each_request_has_its_own_length),
	    cmocka_unit_test(the_longest_of_each_request_fits),
	    cmocka_unit_test(refusals_come_in_their_order),
	    cmocka_unit_test(names_of_accounts),
	    cmocka_unit_test(software_is_utf_8),
	    cmocka_unit_test(a_password_has_no_nul),
	    cmocka_unit_test(versions_and_bindings_that_are_not_spoken),
	    cmocka_unit_test(staged_wraps_lie_inside_their_list),
	    cmocka_unit_test(offered_entries_follow_one_another),
	    cmocka_unit_test(the_last_of_a_list_is_checked_too),
	    cmocka_unit_test(costs_grow_with_what_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
