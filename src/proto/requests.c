/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/requests.h"

#include <assert.h>
#include <string.h>

#include "proto/rules.h"
#include "proto/wire.h"

/* ---- what the fields have to look like ---- */

#define ACCOUNT_TEXT "account has to be " ACCOUNT_NAME_RULE
#define BAG_TEXT     "a bag has to be 38 to 262,144 bytes"
#define BLOB_TEXT    "a recovery blob has to be 93 bytes"

static const struct field_rule no_rules[] = {RULES_END};

static const struct field_rule hello_rules[] = {
    FIELD_TEXT(
	Chat__V1__Hello, software, 0, SOFTWARE_MAX_BYTES, "software has to be at most 64 bytes of UTF-8"),
    RULES_END,
};

static const struct field_rule password_login_rules[] = {
    FIELD_ACCOUNT(Chat__V1__PasswordLogin, account, 1, ACCOUNT_TEXT),
    FIELD_PASSWORD(Chat__V1__PasswordLogin, password),
    RULES_END,
};

static const struct field_rule key_login_rules[] = {
    FIELD_ACCOUNT(Chat__V1__KeyLogin, account, 1, ACCOUNT_TEXT),
    FIELD_ID(Chat__V1__KeyLogin, member_id),
    FIELD_ID(Chat__V1__KeyLogin, ed_pk),
    FIELD_BYTES(
	Chat__V1__KeyLogin, signature, ED25519_SIG_BYTES, ED25519_SIG_BYTES, "signature has to be 64 bytes"),
    RULES_END,
};

static const struct field_rule publish_identity_rules[] = {
    FIELD_CARD(Chat__V1__PublishIdentity, card),
    FIELD_BYTES(Chat__V1__PublishIdentity, bag, WIRE_BAG_MIN_BYTES, BAG_FIRST_MAX_BYTES,
        "a first bag has to be 38 to 14,336 bytes"),
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__PublishIdentity, recovery, RECOVERY_BYTES, RECOVERY_BYTES, BLOB_TEXT " or empty"),
    RULES_END,
};

static const struct field_rule put_recovery_rules[] = {
    FIELD_BYTES(Chat__V1__PutRecovery, blob, RECOVERY_BYTES, RECOVERY_BYTES, BLOB_TEXT),
    RULES_END,
};

static const struct field_rule put_bag_rules[] = {
    FIELD_BYTES(Chat__V1__PutBag, blob, WIRE_BAG_MIN_BYTES, BAG_MAX_BYTES, BAG_TEXT),
    /* The bag of version 1 came with the identity; and there is always a next number. */
    FIELD_U64(Chat__V1__PutBag, expected_version, 1, UINT64_MAX - 1, "expected_version has to be at least 1"),
    RULES_END,
};

static const struct field_rule publish_card_rules[] = {
    FIELD_CARD(Chat__V1__PublishCard, card),
    RULES_END,
};

static const struct field_rule get_card_rules[] = {
    FIELD_ACCOUNT(Chat__V1__GetCard, account, 1, ACCOUNT_TEXT),
    RULES_END,
};

static const struct field_rule change_password_rules[] = {
    FIELD_PASSWORD(Chat__V1__ChangePassword, old_password),
    FIELD_PASSWORD(Chat__V1__ChangePassword, new_password),
    RULES_END,
};

static const struct field_rule who_rules[] = {
    FIELD_ACCOUNT(Chat__V1__Who, after, 0, "after has to be an account's name or empty"),
    RULES_END,
};

static const struct field_rule get_rooms_rules[] = {
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__GetRooms, after, DIGEST_BYTES, DIGEST_BYTES, "after has to be 32 bytes or empty"),
    RULES_END,
};

static const struct field_rule resume_rules[] = {
    FIELD_ID(Chat__V1__Resume, room_id),
    FIELD_SEQ(Chat__V1__Resume, next_seq),
    FIELD_ID(Chat__V1__Resume, hash),
    RULES_END,
};

static const struct field_rule get_history_rules[] = {
    FIELD_ID(Chat__V1__GetHistory, room_id),
    FIELD_U64(Chat__V1__GetHistory, before_seq, 1, ROOM_ENTRIES_MAX + 1, "before_seq is not behind an entry"),
    FIELD_U32(Chat__V1__GetHistory, limit, 1, HISTORY_LIMIT_MAX, "limit has to be 1 to 1,000"),
    RULES_END,
};

static const struct field_rule get_roster_rules[] = {
    FIELD_ID(Chat__V1__GetRoster, room_id),
    FIELD_SEQ(Chat__V1__GetRoster, from_seq),
    RULES_END,
};

static const struct field_rule get_prefix_rules[] = {
    FIELD_ID(Chat__V1__GetPrefix, room_id),
    FIELD_U64(
	Chat__V1__GetPrefix, from_seq, 0, ROOM_ENTRIES_MAX, "from_seq is not the number of an entry, or 0"),
    RULES_END,
};

#define EPOCHS_TEXT "epoch_id has to be 1 to 64, each of 32 bytes"

static const struct field_rule get_wraps_rules[] = {
    FIELD_ID(Chat__V1__GetWraps, room_id),
    FIELD_BYTES_LIST(
	Chat__V1__GetWraps, epoch_id, 1, EPOCHS_ASKED_MAX, DIGEST_BYTES, DIGEST_BYTES, EPOCHS_TEXT),
    RULES_END,
};

static const char *
judge_stage_wraps(const ProtobufCMessage *message)
{
	const Chat__V1__StageWraps *stage = (const Chat__V1__StageWraps *)message;
	size_t n = stage->wraps.len / RSA_BYTES;

	if (stage->wraps.len % RSA_BYTES != 0)
		return "wraps has to be a multiple of 384 bytes";
	if (stage->first >= stage->count || n > stage->count - stage->first)
		return "first and wraps go beyond count";
	return NULL;
}

static const struct field_rule stage_wraps_rules[] = {
    FIELD_ID(Chat__V1__StageWraps, wraps_hash),
    FIELD_U32(Chat__V1__StageWraps, count, 1, ROOM_READERS_MAX, "count has to be 1 to 2,000"),
    FIELD_BYTES(Chat__V1__StageWraps, wraps, RSA_BYTES, (uint64_t)ROOM_READERS_MAX *RSA_BYTES,
	"wraps has to be 1 to 2,000 times 384 bytes"),
    WHOLE_MESSAGE(judge_stage_wraps),
    RULES_END,
};

static const struct field_rule post_events_rules[] = {
    /* Empty for create: the room has no id before it. */
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__PostEvents, room_id, DIGEST_BYTES, DIGEST_BYTES, "room_id has to be 32 bytes or empty"),
    FIELD_BYTES_LIST(Chat__V1__PostEvents, event, 1, POST_EVENTS_MAX, 1, EVENT_MAX_BYTES,
	"event has to be 1 to 64, each of 1 to 2,048 bytes"),
    RULES_END,
};

static const struct field_rule post_message_rules[] = {
    FIELD_ID(Chat__V1__PostMessage, room_id),
    FIELD_BYTES(
	Chat__V1__PostMessage, message, 1, MESSAGE_FRAME_MAX_BYTES, "message has to be 1 to 50,176 bytes"),
    RULES_END,
};

static const struct field_rule post_rewraps_rules[] = {
    FIELD_ID(Chat__V1__PostRewraps, room_id),
    FIELD_BYTES_LIST(Chat__V1__PostRewraps, rewrap, 1, REWRAPS_MAX, WIRE_REWRAP_BYTES, WIRE_REWRAP_BYTES,
	"rewrap has to be 1 to 64, each of 577 bytes"),
    RULES_END,
};

static const struct field_rule ask_rewrap_rules[] = {
    FIELD_ID(Chat__V1__AskRewrap, room_id),
    FIELD_BYTES_LIST(
	Chat__V1__AskRewrap, epoch_id, 1, EPOCHS_ASKED_MAX, DIGEST_BYTES, DIGEST_BYTES, EPOCHS_TEXT),
    RULES_END,
};

static const struct field_rule set_cursor_rules[] = {
    FIELD_ID(Chat__V1__SetCursor, room_id),
    FIELD_SEQ(Chat__V1__SetCursor, seq),
    RULES_END,
};

static const struct field_rule offered_entry_rules[] = {
    FIELD_NO_BYTES(Chat__V1__Entry, room_id, "room_id is left out in an offered entry"),
    FIELD_SEQ(Chat__V1__Entry, seq),
    FIELD_U32(Chat__V1__Entry, kind, 1, 2, "kind has to be 1 or 2"),
    FIELD_BYTES(Chat__V1__Entry, wire, 1, MESSAGE_FRAME_MAX_BYTES, "an offered entry has to be whole"),
    FIELD_NO_BYTES(Chat__V1__Entry, entry_hash, "an offered entry has to be whole, without entry_hash"),
    RULES_END,
};

static const char *
judge_offer(const ProtobufCMessage *message)
{
	const Chat__V1__OfferEntries *offer = (const Chat__V1__OfferEntries *)message;

	return entries_ascend(offer->entry, offer->n_entry, true) ? NULL
								  : "entries have to follow one another";
}

static const struct field_rule offer_entries_rules[] = {
    FIELD_ID(Chat__V1__OfferEntries, room_id),
    FIELD_MESSAGE_LIST(Chat__V1__OfferEntries, entry, Chat__V1__Entry, 1, OFFER_ENTRIES_MAX,
	offered_entry_rules, "entry has to be 1 to 1,000"),
    FIELD_MESSAGE_LIST(Chat__V1__OfferEntries, wraps, Chat__V1__EpochWraps, 0, OFFER_ENTRIES_MAX,
	epoch_wraps_rules, "wraps has to be at most 1,000"),
    WHOLE_MESSAGE(judge_offer),
    RULES_END,
};

/* ---- the table ---- */

/*
 * Frame sizes: a few fixed fields fit SMALL with room for fields of later versions; the others are what the
 * rules above allow, rounded up.  Costs: a password is one hash of 14 ms, an Ed25519 signature 65
 * microseconds, a page read from the store some hundred.
 */
#define SMALL           256
#define EPOCHS_BYTES    (4 * 1024)   /* 64 * 34 */
#define EVENTS_BYTES    (136 * 1024) /* 64 * 2,051 */
#define MESSAGE_BYTES   (50 * 1024)  /* 50,176 and 50 */
#define REWRAPS_BYTES   (40 * 1024)  /* 64 * 580 */
#define CARD_BYTES      1024
#define PASSWORDS_BYTES (2 * 1024)

#define PROVED (PHASE_PASSWORD | PHASE_READY)
#define ROW(NAME, name, phases, max_bytes, cost, item_cost, ANSWER, rules)                                   \
	[REQUEST_##NAME] = {#name, (phases), (max_bytes), (cost), (item_cost),                               \
	    CHAT__V1__SERVER_FRAME__BODY_##ANSWER, (rules)}

const struct request_row request_table[] = {
    ROW(HELLO, hello, PHASE_NEW, SMALL, 1, 0, HELLO_OK, hello_rules),
    ROW(PASSWORD_LOGIN, password_login, PHASE_HELLO, PASSWORDS_BYTES, 1400, 0, PASSWORD_OK,
	password_login_rules),
    ROW(KEY_LOGIN, key_login, PHASE_HELLO | PHASE_PASSWORD, SMALL, 10, 0, LOGIN_OK, key_login_rules),
    ROW(PUBLISH_IDENTITY, publish_identity, PHASE_PASSWORD, FRAME_MAX_BEFORE_LOGIN, 30, 0, OK,
	publish_identity_rules),
    ROW(GET_RECOVERY, get_recovery, PROVED, SMALL, 2, 0, RECOVERY, no_rules),
    ROW(GET_BAG, get_bag, PROVED, SMALL, 2, 0, BAG, no_rules),
    ROW(PUT_RECOVERY, put_recovery, PHASE_READY, SMALL, 10, 0, OK, put_recovery_rules),
    ROW(PUT_BAG, put_bag, PHASE_READY, FRAME_MAX_AFTER_LOGIN, 10, 0, OK, put_bag_rules),
    ROW(PUBLISH_CARD, publish_card, PHASE_READY, CARD_BYTES, 20, 0, OK, publish_card_rules),
    ROW(GET_CARD, get_card, PHASE_READY, SMALL, 2, 0, CARD, get_card_rules),
    ROW(CHANGE_PASSWORD, change_password, PHASE_READY, PASSWORDS_BYTES, 2800, 0, OK, change_password_rules),
    ROW(WHO, who, PHASE_READY, SMALL, 5, 0, WHO_ONLINE, who_rules),
    ROW(PING, ping, PHASE_ANY, SMALL, 1, 0, PONG, no_rules),
    ROW(GET_ROOMS, get_rooms, PHASE_READY, SMALL, 100, 0, ROOMS, get_rooms_rules),
    ROW(RESUME, resume, PHASE_READY, SMALL, 20, 0, RESUMED, resume_rules),
    ROW(GET_HISTORY, get_history, PHASE_READY, SMALL, 50, 0, HISTORY, get_history_rules),
    ROW(GET_ROSTER, get_roster, PHASE_READY, SMALL, 50, 0, ROSTER_EVENTS, get_roster_rules),
    ROW(GET_PREFIX, get_prefix, PHASE_READY, SMALL, 50, 0, PREFIX, get_prefix_rules),
    ROW(GET_WRAPS, get_wraps, PHASE_READY, EPOCHS_BYTES, 5, 2, WRAPS, get_wraps_rules),
    ROW(STAGE_WRAPS, stage_wraps, PHASE_READY, FRAME_MAX_AFTER_LOGIN, 50, 0, OK, stage_wraps_rules),
    ROW(POST_EVENTS, post_events, PHASE_READY, EVENTS_BYTES, 5, 10, POSTED, post_events_rules),
    ROW(POST_MESSAGE, post_message, PHASE_READY, MESSAGE_BYTES, 3, 0, POSTED, post_message_rules),
    ROW(POST_REWRAPS, post_rewraps, PHASE_READY, REWRAPS_BYTES, 5, 10, OK, post_rewraps_rules),
    ROW(ASK_REWRAP, ask_rewrap, PHASE_READY, EPOCHS_BYTES, 5, 1, OK, ask_rewrap_rules),
    ROW(SET_CURSOR, set_cursor, PHASE_READY, SMALL, 1, 0, OK, set_cursor_rules),
    ROW(OFFER_ENTRIES, offer_entries, PHASE_READY, FRAME_MAX_AFTER_LOGIN, 10, 10, POSTED,
	offer_entries_rules),
};
static_assert(
    sizeof(request_table) / sizeof(request_table[0]) == REQUEST_TYPE_COUNT, "a row for each request");

/* enum request_type is the oneof's field numbers from 0 on; later numbers of chat.proto go to the end of
 * both. */
#define FIRST_NUMBER CHAT__V1__CLIENT_FRAME__REQUEST_HELLO
#define SAME_PLACE(NAME)                                                                                     \
	static_assert((int)REQUEST_##NAME == CHAT__V1__CLIENT_FRAME__REQUEST_##NAME - FIRST_NUMBER, #NAME)
SAME_PLACE(HELLO);
SAME_PLACE(PASSWORD_LOGIN);
SAME_PLACE(KEY_LOGIN);
SAME_PLACE(PUBLISH_IDENTITY);
SAME_PLACE(GET_RECOVERY);
SAME_PLACE(GET_BAG);
SAME_PLACE(PUT_RECOVERY);
SAME_PLACE(PUT_BAG);
SAME_PLACE(PUBLISH_CARD);
SAME_PLACE(GET_CARD);
SAME_PLACE(CHANGE_PASSWORD);
SAME_PLACE(WHO);
SAME_PLACE(PING);
SAME_PLACE(GET_ROOMS);
SAME_PLACE(RESUME);
SAME_PLACE(GET_HISTORY);
SAME_PLACE(GET_ROSTER);
SAME_PLACE(GET_PREFIX);
SAME_PLACE(GET_WRAPS);
SAME_PLACE(STAGE_WRAPS);
SAME_PLACE(POST_EVENTS);
SAME_PLACE(POST_MESSAGE);
SAME_PLACE(POST_REWRAPS);
SAME_PLACE(ASK_REWRAP);
SAME_PLACE(SET_CURSOR);
SAME_PLACE(OFFER_ENTRIES);

/* ---- the check ---- */

/* The request of whatever type; every member of the oneof is a pointer to a message, whose base comes first.
 */
static const ProtobufCMessage *
request_of(const Chat__V1__ClientFrame *frame)
{
	return &frame->hello->base;
}

/* The two fields with values that are known and not spoken. */
static bool
is_unsupported(const Chat__V1__ClientFrame *frame, enum request_type type, const char **ret_text)
{
	if (type == REQUEST_HELLO && frame->hello->version != PROTOCOL_VERSION) {
		*ret_text = "This server speaks version 1 of the protocol.";
		return true;
	}
	if (type == REQUEST_KEY_LOGIN && frame->key_login->binding_type != 1) {
		*ret_text = "This server takes logins bound to the TLS exporter only (binding_type 1).";
		return true;
	}
	return false;
}

static const char *const not_now[] = {
    "Before hello only hello and ping are answered.",
    "This request needs a login first, or comes too late.",
    "After the password the key has to be proved before anything else.",
    "The login is done already.",
};

static const char *
wrong_phase_text(enum phase phase)
{
	size_t i = 0;

	while (i + 1 < sizeof(not_now) / sizeof(not_now[0]) && (unsigned)phase >> i != 1)
		i++;
	return not_now[i];
}

static struct request_fault
find_fault(const Chat__V1__ClientFrame *frame, enum phase phase, size_t frame_bytes)
{
	struct request_fault fault = {.err = CHAT_OK};

	int number = (int)frame->request_case;
	if (number < FIRST_NUMBER || number >= FIRST_NUMBER + REQUEST_TYPE_COUNT) {
		fault.err = CHAT_ERR_UNKNOWN_REQUEST;
		fault.text = "The frame has no request that this version knows.";
		return fault;
	}
	enum request_type type = (enum request_type)(number - FIRST_NUMBER);
	const struct request_row *row = &request_table[type];
	if ((row->phases & (unsigned)phase) == 0) {
		fault.err = CHAT_ERR_WRONG_PHASE;
		fault.text = wrong_phase_text(phase);
	} else if (frame_bytes > row->max_bytes) {
		fault.err = CHAT_ERR_TOO_LONG;
		fault.text = "The frame is longer than this request may be.";
	} else if (frame->id == 0) {
		fault.err = CHAT_ERR_MALFORMED;
		fault.text = "id has to be other than 0";
	} else if (is_unsupported(frame, type, &fault.text)) {
		fault.err = CHAT_ERR_UNSUPPORTED;
	} else if ((fault.text = rules_check(row->rules, request_of(frame))) != NULL) {
		fault.err = CHAT_ERR_MALFORMED;
	}
	return fault;
}

enum chat_err
requests_check(const Chat__V1__ClientFrame *frame, enum phase phase, size_t frame_bytes,
    enum request_type *ret_type, struct request_fault *ret_fault)
{
	struct request_fault fault = find_fault(frame, phase, frame_bytes);

	if (fault.err == CHAT_OK)
		*ret_type = (enum request_type)((int)frame->request_case - FIRST_NUMBER);
	else
		*ret_fault = fault;
	return fault.err;
}

uint32_t
requests_cost(const Chat__V1__ClientFrame *frame)
{
	const struct request_row *row = &request_table[(int)frame->request_case - FIRST_NUMBER];
	size_t items = rules_count_items(row->rules, request_of(frame));

	return row->cost + row->item_cost * (uint32_t)items;
}
