/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/answers.h"

#include "proto/rules.h"
#include "proto/wire.h"

/* ---- what the fields have to look like ---- */

#define ACCOUNT_TEXT  "account is not an account's name"
#define EMPTY_AT_MORE "there is more, but nothing in this page"

static const struct field_rule no_rules[] = {RULES_END};

static const struct field_rule error_rules[] = {
    FIELD_ENUM(Chat__V1__Error, code, Chat__V1__ErrorCode, 1, INT32_MAX, "code is no error"),
    FIELD_TEXT(Chat__V1__Error, text, 0, ANSWER_TEXT_MAX_BYTES, "text is not at most 1,024 bytes of UTF-8"),
    FIELD_TEXT(Chat__V1__Error, mend, 0, ANSWER_TEXT_MAX_BYTES, "mend is not at most 1,024 bytes of UTF-8"),
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__Error, current, DIGEST_BYTES, DIGEST_BYTES, "current is not 32 bytes or empty"),
    RULES_END,
};

static const struct field_rule limits_rules[] = {
    FIELD_U32(Chat__V1__Limits, text_bytes, 1, UINT32_MAX, "text_bytes is 0"),
    FIELD_U32(Chat__V1__Limits, frame_bytes, FRAME_MAX_BEFORE_LOGIN, FRAME_MAX_AFTER_LOGIN,
	"frame_bytes is not 16 KiB to 1 MiB"),
    FIELD_U32(Chat__V1__Limits, room_readers, 1, UINT32_MAX, "room_readers is 0"),
    FIELD_U32(Chat__V1__Limits, rooms_per_account, 1, UINT32_MAX, "rooms_per_account is 0"),
    FIELD_U32(Chat__V1__Limits, requests_under_way, 1, UINT32_MAX, "requests_under_way is 0"),
    FIELD_U32(Chat__V1__Limits, idle_ms, 1, UINT32_MAX, "idle_ms is 0"),
    RULES_END,
};

static const struct field_rule hello_ok_rules[] = {
    FIELD_U32(Chat__V1__HelloOk, version, PROTOCOL_VERSION, PROTOCOL_VERSION, "version is not 1"),
    FIELD_BYTES(Chat__V1__HelloOk, realm, WIRE_REALM_BYTES, WIRE_REALM_BYTES, "realm is not 16 bytes"),
    FIELD_TEXT(
	Chat__V1__HelloOk, software, 0, SOFTWARE_MAX_BYTES, "software is not at most 64 bytes of UTF-8"),
    FIELD_MESSAGE(Chat__V1__HelloOk, limits, Chat__V1__Limits, limits_rules, "limits is missing"),
    RULES_END,
};

static const char *
judge_password_ok(const ProtobufCMessage *message)
{
	const Chat__V1__PasswordOk *ok = (const Chat__V1__PasswordOk *)message;

	if ((bool)ok->has_identity != (ok->card.len > 0))
		return "card and has_identity contradict each other";
	if (ok->has_recovery && !ok->has_identity)
		return "has_recovery without has_identity";
	return NULL;
}

static const struct field_rule password_ok_rules[] = {
    FIELD_BYTES_OR_EMPTY(Chat__V1__PasswordOk, card, WIRE_CARD_MIN_BYTES, WIRE_CARD_MAX_BYTES,
	"card is not 545 to 608 bytes or empty"),
    WHOLE_MESSAGE(judge_password_ok),
    RULES_END,
};

static const struct field_rule login_ok_rules[] = {
    FIELD_CARD(Chat__V1__LoginOk, card),
    FIELD_U64(Chat__V1__LoginOk, bag_version, 1, UINT64_MAX, "bag_version is 0"),
    FIELD_U32(Chat__V1__LoginOk, sessions, 1, UINT32_MAX, "sessions is 0"),
    RULES_END,
};

static const struct field_rule recovery_rules[] = {
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__Recovery, blob, RECOVERY_BYTES, RECOVERY_BYTES, "blob is not 93 bytes or empty"),
    RULES_END,
};

static const struct field_rule bag_rules[] = {
    FIELD_BYTES(Chat__V1__BagBlob, blob, WIRE_BAG_MIN_BYTES, BAG_MAX_BYTES, "blob is not 38 to 262,144 bytes"),
    RULES_END,
};

static const struct field_rule card_rules[] = {
    FIELD_ACCOUNT(Chat__V1__Card, account, 1, ACCOUNT_TEXT),
    FIELD_CARD(Chat__V1__Card, card),
    RULES_END,
};

static const struct field_rule online_account_rules[] = {
    FIELD_ACCOUNT(Chat__V1__OnlineAccount, account, 1, ACCOUNT_TEXT),
    FIELD_U32(Chat__V1__OnlineAccount, sessions, 1, UINT32_MAX, "sessions is 0"),
    FIELD_ID(Chat__V1__OnlineAccount, member_id),
    RULES_END,
};

static const char *
judge_who_online(const ProtobufCMessage *message)
{
	const Chat__V1__WhoOnline *who = (const Chat__V1__WhoOnline *)message;

	return who->more && who->n_account == 0 ? EMPTY_AT_MORE : NULL;
}

static const struct field_rule who_online_rules[] = {
    FIELD_MESSAGE_LIST(
	Chat__V1__WhoOnline, account, Chat__V1__OnlineAccount, 0, SIZE_MAX, online_account_rules, ""),
    WHOLE_MESSAGE(judge_who_online),
    RULES_END,
};

static const struct field_rule room_summary_rules[] = {
    FIELD_ID(Chat__V1__RoomSummary, room_id),
    FIELD_ENUM(Chat__V1__RoomSummary, stay, Chat__V1__Stay, 0, 2, "stay is unknown"),
    FIELD_SEQ(Chat__V1__RoomSummary, head_seq),
    FIELD_ID(Chat__V1__RoomSummary, head_hash),
    FIELD_SEQ(Chat__V1__RoomSummary, since_seq),
    FIELD_U64(
	Chat__V1__RoomSummary, read_seq, 0, ROOM_ENTRIES_MAX, "read_seq is not the number of an entry, or 0"),
    RULES_END,
};

static const char *
judge_rooms(const ProtobufCMessage *message)
{
	const Chat__V1__Rooms *rooms = (const Chat__V1__Rooms *)message;

	return rooms->more && rooms->n_room == 0 ? EMPTY_AT_MORE : NULL;
}

static const struct field_rule rooms_rules[] = {
    FIELD_MESSAGE_LIST(Chat__V1__Rooms, room, Chat__V1__RoomSummary, 0, SIZE_MAX, room_summary_rules, ""),
    WHOLE_MESSAGE(judge_rooms),
    RULES_END,
};

static const struct field_rule resumed_rules[] = {
    FIELD_SEQ(Chat__V1__Resumed, head_seq),
    FIELD_ID(Chat__V1__Resumed, head_hash),
    FIELD_U64(
	Chat__V1__Resumed, oldest_whole_seq, 0, ROOM_ENTRIES_MAX + 1, "oldest_whole_seq is out of range"),
    RULES_END,
};

/* An entry is whole or a stub; only messages become stubs. */
static const char *
judge_entry(const ProtobufCMessage *message)
{
	const Chat__V1__Entry *entry = (const Chat__V1__Entry *)message;

	if ((entry->wire.len > 0) == (entry->entry_hash.len > 0))
		return "an entry has to have either wire or entry_hash";
	if (entry->kind == 1 && entry->entry_hash.len > 0)
		return "an event cannot be a stub";
	if (entry->kind == 1 && entry->wire.len > EVENT_MAX_BYTES)
		return "an event is longer than 2,048 bytes";
	return NULL;
}

#define ENTRY_FIELDS                                                                                         \
	FIELD_SEQ(Chat__V1__Entry, seq), FIELD_U32(Chat__V1__Entry, kind, 1, 2, "kind is not 1 or 2"),       \
	    FIELD_BYTES_OR_EMPTY(                                                                            \
		Chat__V1__Entry, wire, 1, MESSAGE_FRAME_MAX_BYTES, "wire is longer than 50,176 bytes"),      \
	    FIELD_BYTES_OR_EMPTY(Chat__V1__Entry, entry_hash, DIGEST_BYTES, DIGEST_BYTES,                    \
		"entry_hash is not 32 bytes or empty"),                                                      \
	    WHOLE_MESSAGE(judge_entry)
#define ROOM_ID_LEFT_OUT FIELD_NO_BYTES(Chat__V1__Entry, room_id, "room_id is not left out in an entry")

static const struct field_rule entry_rules[] = {FIELD_ID(Chat__V1__Entry, room_id), ENTRY_FIELDS, RULES_END};
static const struct field_rule listed_entry_rules[] = {ROOM_ID_LEFT_OUT, ENTRY_FIELDS, RULES_END};

static const char *
judge_history(const ProtobufCMessage *message)
{
	const Chat__V1__History *history = (const Chat__V1__History *)message;

	if (history->more && history->n_entry == 0)
		return EMPTY_AT_MORE;
	if (history->n_entry > 0 && history->before_hash.len == 0)
		return "before_hash is missing";
	return entries_ascend(history->entry, history->n_entry, true) ? NULL
								      : "entries do not follow one another";
}

static const struct field_rule history_rules[] = {
    FIELD_MESSAGE_LIST(Chat__V1__History, entry, Chat__V1__Entry, 0, HISTORY_LIMIT_MAX, listed_entry_rules,
	"there are more than 1,000 entries"),
    FIELD_BYTES_OR_EMPTY(
	Chat__V1__History, before_hash, DIGEST_BYTES, DIGEST_BYTES, "before_hash is not 32 bytes"),
    WHOLE_MESSAGE(judge_history),
    RULES_END,
};

static const char *
judge_roster_events(const ProtobufCMessage *message)
{
	const Chat__V1__RosterEvents *events = (const Chat__V1__RosterEvents *)message;

	if (events->more && events->n_entry == 0)
		return EMPTY_AT_MORE;
	for (size_t i = 0; i < events->n_entry; i++) {
		if (events->entry[i]->kind != 1)
			return "an entry of the roster is no event";
	}
	return entries_ascend(events->entry, events->n_entry, false) ? NULL : "events are not in order";
}

static const struct field_rule roster_events_rules[] = {
    FIELD_MESSAGE_LIST(Chat__V1__RosterEvents, entry, Chat__V1__Entry, 0, SIZE_MAX, listed_entry_rules, ""),
    WHOLE_MESSAGE(judge_roster_events),
    RULES_END,
};

/* Events are among them, for all that a newcomer needs of these is the entry's hash; their kind may be left
 * out. */
static const struct field_rule prefix_stub_rules[] = {
    ROOM_ID_LEFT_OUT,
    FIELD_SEQ(Chat__V1__Entry, seq),
    FIELD_U32(Chat__V1__Entry, kind, 0, 2, "kind is not 0 to 2"),
    FIELD_NO_BYTES(Chat__V1__Entry, wire, "a stub has wire"),
    FIELD_ID(Chat__V1__Entry, entry_hash),
    RULES_END,
};

static const char *
judge_prefix(const ProtobufCMessage *message)
{
	const Chat__V1__Prefix *prefix = (const Chat__V1__Prefix *)message;

	if (prefix->more && prefix->n_stub == 0)
		return EMPTY_AT_MORE;
	return entries_ascend(prefix->stub, prefix->n_stub, true) ? NULL : "stubs do not follow one another";
}

static const struct field_rule prefix_rules[] = {
    FIELD_BYTES_OR_EMPTY(Chat__V1__Prefix, preimage, WIRE_PREIMAGE_BYTES, WIRE_PREIMAGE_BYTES,
	"preimage is not 112 bytes or empty"),
    FIELD_MESSAGE_LIST(Chat__V1__Prefix, stub, Chat__V1__Entry, 0, SIZE_MAX, prefix_stub_rules, ""),
    WHOLE_MESSAGE(judge_prefix),
    RULES_END,
};

static const struct field_rule wraps_rules[] = {
    FIELD_ID(Chat__V1__Wraps, room_id),
    FIELD_MESSAGE_LIST(Chat__V1__Wraps, epoch, Chat__V1__EpochWraps, 0, EPOCHS_ASKED_MAX, epoch_wraps_rules,
	"there are more than 64 epochs"),
    RULES_END,
};

static const struct field_rule posted_rules[] = {
    FIELD_SEQ(Chat__V1__Posted, first_seq),
    FIELD_U32(Chat__V1__Posted, count, 1, OFFER_ENTRIES_MAX, "count is not 1 to 1,000"),
    FIELD_ID(Chat__V1__Posted, hash),
    RULES_END,
};

static const char *
judge_room_added(const ProtobufCMessage *message)
{
	const Chat__V1__RoomAdded *added = (const Chat__V1__RoomAdded *)message;

	return added->room->stay == CHAT__V1__STAY__STAY_OUT ? "no stay began" : NULL;
}

static const struct field_rule room_added_rules[] = {
    FIELD_MESSAGE(Chat__V1__RoomAdded, room, Chat__V1__RoomSummary, room_summary_rules, "room is missing"),
    WHOLE_MESSAGE(judge_room_added),
    RULES_END,
};

static const struct field_rule card_published_rules[] = {
    FIELD_ACCOUNT(Chat__V1__CardPublished, account, 1, ACCOUNT_TEXT),
    FIELD_CARD(Chat__V1__CardPublished, card),
    RULES_END,
};

static const struct field_rule rekey_wanted_rules[] = {
    FIELD_ID(Chat__V1__RekeyWanted, room_id),
    FIELD_U32(Chat__V1__RekeyWanted, lease_ms, 1, UINT32_MAX, "lease_ms is 0"),
    RULES_END,
};

static const struct field_rule rewrap_wanted_rules[] = {
    FIELD_ID(Chat__V1__RewrapWanted, room_id),
    FIELD_ID(Chat__V1__RewrapWanted, member_id),
    FIELD_BYTES_LIST(Chat__V1__RewrapWanted, epoch_id, 1, EPOCHS_ASKED_MAX, DIGEST_BYTES, DIGEST_BYTES,
	"epoch_id is not 1 to 64, each of 32 bytes"),
    RULES_END,
};

static const struct field_rule cursor_moved_rules[] = {
    FIELD_ID(Chat__V1__CursorMoved, room_id),
    FIELD_SEQ(Chat__V1__CursorMoved, seq),
    RULES_END,
};

static const struct field_rule goodbye_rules[] = {
    FIELD_ENUM(Chat__V1__Goodbye, reason, Chat__V1__ErrorCode, 0, INT32_MAX, "reason is out of range"),
    FIELD_TEXT(Chat__V1__Goodbye, text, 0, ANSWER_TEXT_MAX_BYTES, "text is not at most 1,024 bytes of UTF-8"),
    RULES_END,
};

/* ---- the table ---- */

enum sort {
	ANSWER = 1, /* has the id of a request */
	PUSH = 2,   /* has id 0 */
	EITHER = ANSWER | PUSH,
};

struct answer_row {
	enum sort sort;
	const struct field_rule *rules;
};

#define ROW(NAME, sort, rules) [CHAT__V1__SERVER_FRAME__BODY_##NAME] = {(sort), (rules)}

/* By the number of the field in ServerFrame; the numbers between are rows without rules. */
static const struct answer_row answer_table[] = {
    ROW(ERROR, EITHER, error_rules),
    ROW(OK, ANSWER, no_rules),
    ROW(HELLO_OK, ANSWER, hello_ok_rules),
    ROW(PASSWORD_OK, ANSWER, password_ok_rules),
    ROW(LOGIN_OK, ANSWER, login_ok_rules),
    ROW(RECOVERY, ANSWER, recovery_rules),
    ROW(BAG, ANSWER, bag_rules),
    ROW(CARD, ANSWER, card_rules),
    ROW(WHO_ONLINE, ANSWER, who_online_rules),
    ROW(PONG, ANSWER, no_rules),
    ROW(ROOMS, ANSWER, rooms_rules),
    ROW(RESUMED, ANSWER, resumed_rules),
    ROW(HISTORY, ANSWER, history_rules),
    ROW(ROSTER_EVENTS, ANSWER, roster_events_rules),
    ROW(PREFIX, ANSWER, prefix_rules),
    ROW(WRAPS, ANSWER, wraps_rules),
    ROW(POSTED, ANSWER, posted_rules),
    ROW(ENTRY, PUSH, entry_rules),
    ROW(WRAPS_PUSH, PUSH, wraps_rules),
    ROW(ROOM_ADDED, PUSH, room_added_rules),
    ROW(CARD_PUBLISHED, PUSH, card_published_rules),
    ROW(REKEY_WANTED, PUSH, rekey_wanted_rules),
    ROW(REWRAP_WANTED, PUSH, rewrap_wanted_rules),
    ROW(CURSOR_MOVED, PUSH, cursor_moved_rules),
    ROW(GOODBYE, PUSH, goodbye_rules),
};

enum chat_err
answers_check(const Chat__V1__ServerFrame *frame, struct request_fault *ret_fault)
{
	size_t number = (size_t)frame->body_case;
	const char *text = NULL;

	if (number >= sizeof(answer_table) / sizeof(answer_table[0]) || answer_table[number].rules == NULL) {
		*ret_fault = (struct request_fault){CHAT_ERR_UNSUPPORTED, "the frame is of an unknown type"};
		return CHAT_ERR_UNSUPPORTED;
	}
	const struct answer_row *row = &answer_table[number];
	if (((unsigned)row->sort & (frame->id == 0 ? PUSH : ANSWER)) == 0)
		text = row->sort == PUSH ? "a push answers a request" : "an answer has no request's id";
	else
		text =
		    rules_check(row->rules, &frame->error->base); /* whichever it is, its base comes first */
	if (text == NULL)
		return CHAT_OK;
	*ret_fault = (struct request_fault){CHAT_ERR_MALFORMED, text};
	return CHAT_ERR_MALFORMED;
}
