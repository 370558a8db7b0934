/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <locale.h>
#include <time.h>

#include "client/lines.h"
#include "fake_chat.h"

#define NOON 1763640000000 /* 20 November 2025, 12:00 UTC */
#define MIN  60000

static struct lines lines;

static int
setup(void **state __attribute__((unused)))
{
	fake_reset();
	fake_room("ops", CHAT_STAY_JOINED);
	lines = (struct lines){0};
	/* The date has been said. */
	lines.last_day = 125 * 512 + 324;
	return 0;
}

static void
says_at(struct fake_event e, uint64_t now_ms, const char *expected)
{
	struct chat_event *event = fake_make(e);
	struct text t = {0};

	lines_event(&lines, event, now_ms, &t);
	assert_false(t.failed);
	assert_string_equal(text_cstr(&t), expected);
	text_fini(&t);
	chat_event_free(event);
}

#define says(expected, ...) says_at((struct fake_event){__VA_ARGS__}, NOON, expected)

TEST(messages)
{
	says("11:59 [ops] <alice> hello\n", .type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "alice",
	    .text = "hello", .time_ms = NOON - MIN);
	says("12:00 [ops] <bob> no time of its own\n", .type = CHAT_EVENT_MESSAGE, .room = "ops",
	    .actor = "bob", .text = "no time of its own");
	says("12:00 [ops] <bob> \n", .type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob", .text = "");
}

/* A text of several lines cannot pass for several texts. */
TEST(lines_in_a_text)
{
	says("12:00 [ops] <bob> one\n      | 12:00 [ops] <alice> two\n      | \n      | four\n",
	    .type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob",
	    .text = "one\n12:00 [ops] <alice> two\r\n\nfour");
	lines.columns = 30;
	says("12:00 [ops] <bob> one two\n        three four five six\n      | seven eight nine ten\n        "
	     "eleven\n",
	    .type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob",
	    .text = "one two three four five six\nseven eight nine ten eleven");
}

TEST(nothing_passes_by_the_filter)
{
	says("12:00 [o^(ps] <bo<U+202E>b> x^[[2Jy^@z\n", .type = CHAT_EVENT_MESSAGE, .room = "ops",
	    .label = "o\x1bps",
	    .actor = "bo\u202e"
		     "b",
	    .text = "x\x1b[2Jy\0z", .text_len = 8);
	says("12:00 [ops] -- bob set the topic: a^[]0;b^G\n", .type = CHAT_EVENT_TOPIC, .room = "ops",
	    .actor = "bob", .text = "a\x1b]0;b\a");
	says("12:00 [ops] -- bob named the room x^Jy\n", .type = CHAT_EVENT_NAME, .room = "ops",
	    .actor = "bob", .text = "x\ny");
	says("12:00 ! [ops] a^[b  -> /help ^G\n", .type = CHAT_EVENT_WARNING, .room = "ops",
	    .text = "a\x1b"
		    "b",
	    .mend = "/help \a");
	says("12:00 -- no connection: gone^[; trying again by itself\n", .type = CHAT_EVENT_DISCONNECTED,
	    .text = "gone\x1b");
}

/* A room's name cannot end its own brackets. */
TEST(labels_keep_in_their_brackets)
{
	says("12:00 [ops) <bob> hi (] <eve> real\n", .type = CHAT_EVENT_MESSAGE, .room = "ops",
	    .label = "ops] <bob> hi [", .actor = "eve", .text = "real");
}

TEST(members_come_and_go)
{
	says("12:00 [ops] -- alice created the room\n", .type = CHAT_EVENT_CREATED, .room = "ops",
	    .actor = "alice");
	says("12:00 [ops] -- you created the room\n", .type = CHAT_EVENT_CREATED, .room = "ops",
	    .actor = "alice", .self = true);
	says("12:00 [ops] -- alice invited bob\n", .type = CHAT_EVENT_INVITED, .room = "ops",
	    .actor = "alice", .target = "bob");
	says("12:00 [ops] -- alice invited you: /accept ops or /decline ops\n", .type = CHAT_EVENT_INVITED,
	    .room = "ops", .actor = "alice", .target = "bob", .target_self = true);
	says("--- older entries ---\n12:00 [ops] -- alice invited you\n", .type = CHAT_EVENT_INVITED,
	    .room = "ops", .actor = "alice", .target = "bob", .target_self = true,
	    .flags = CHAT_FLAG_HISTORY);
	says("12:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED, .room = "ops", .actor = "bob");
	says("12:00 [ops] -- you joined\n", .type = CHAT_EVENT_JOINED, .room = "ops", .actor = "bob",
	    .self = true);
	says("12:00 [ops] -- bob declined the invitation\n", .type = CHAT_EVENT_DECLINED, .room = "ops",
	    .actor = "bob");
	says("12:00 [ops] -- bob left\n", .type = CHAT_EVENT_LEFT, .room = "ops", .actor = "bob");
	says("12:00 [ops] -- alice removed bob\n", .type = CHAT_EVENT_KICKED, .room = "ops", .actor = "alice",
	    .target = "bob");
	says("12:00 [ops] -- alice removed you\n", .type = CHAT_EVENT_KICKED, .room = "ops", .actor = "alice",
	    .target = "bob", .target_self = true);
}

TEST(rooms_change)
{
	says("12:00 [ops] -- alice made bob a moderator\n", .type = CHAT_EVENT_ROLE, .room = "ops",
	    .actor = "alice", .target = "bob", .number = 2);
	says("12:00 [ops] -- alice made bob an owner\n", .type = CHAT_EVENT_ROLE, .room = "ops",
	    .actor = "alice", .target = "bob", .number = 3);
	says("12:00 [ops] -- alice changed the room's settings\n", .type = CHAT_EVENT_SETTINGS, .room = "ops",
	    .actor = "alice");
	says("12:00 [ops] -- bob has a new key\n", .type = CHAT_EVENT_CARD, .room = "ops", .actor = "bob");
	says("12:00 [ops] -- you have a new key\n", .type = CHAT_EVENT_CARD, .room = "ops", .actor = "bob",
	    .self = true);
	says("12:00 [ops] -- bob retired this identity\n", .type = CHAT_EVENT_CARD, .room = "ops",
	    .actor = "bob", .number = 1);
	says("12:00 [ops] -- bob removed the topic\n", .type = CHAT_EVENT_TOPIC, .room = "ops",
	    .actor = "bob");
	says("", .type = CHAT_EVENT_REKEYED, .room = "ops", .actor = "bob", .number = 2);
	says("", .type = CHAT_EVENT_CURSOR, .room = "ops", .seq = 2);
	says("", .type = (enum chat_event_type)9999, .room = "ops");
}

TEST(trouble)
{
	says("12:00 ! [ops] Entry 7 of ops cannot be read: bob sealed it wrongly  -> /history\n",
	    .type = CHAT_EVENT_UNREADABLE, .room = "ops", .seq = 7, .err = CHAT_ERR_CANNOT_OPEN,
	    .text = "Entry 7 of ops cannot be read: bob sealed it wrongly.", .mend = "/history");
	says("12:00 ! [ops] It does not open with this key\n", .type = CHAT_EVENT_UNREADABLE, .room = "ops",
	    .err = CHAT_ERR_CANNOT_OPEN);
	says("12:00 ! bob has two cards\n", .type = CHAT_EVENT_WARNING, .text = "bob has two cards.");
	says("12:00 ! [ops] this room can only be read: it needs a newer client\n",
	    .type = CHAT_EVENT_READ_ONLY, .room = "ops", .text = "it needs a newer client.");
}

/* One line at the loss, one at the return, whatever the number of attempts. */
TEST(the_connection)
{
	says("12:00 -- logged in\n", .type = CHAT_EVENT_CONNECTED, .number = 1);
	says("12:00 -- no connection: the server went away; trying again by itself\n",
	    .type = CHAT_EVENT_DISCONNECTED, .err = CHAT_ERR_CLOSED, .text = "the server went away.");
	says("", .type = CHAT_EVENT_DISCONNECTED, .err = CHAT_ERR_CONNECT, .text = "nobody listens");
	says("", .type = CHAT_EVENT_DISCONNECTED, .err = CHAT_ERR_CONNECT, .text = "nobody listens");
	says("12:00 -- the connection is back; this account has 3 sessions\n", .type = CHAT_EVENT_CONNECTED,
	    .number = 3);
	says("12:00 -- no connection: The server cannot be reached; trying again by itself\n",
	    .type = CHAT_EVENT_DISCONNECTED, .err = CHAT_ERR_CONNECT);
}

TEST(while_away)
{
	says("--- while you were away ---\n11:00 [ops] <bob> first\n", .type = CHAT_EVENT_MESSAGE,
	    .room = "ops", .actor = "bob", .text = "first", .time_ms = NOON - 60 * MIN,
	    .flags = CHAT_FLAG_REPLAY);
	says("11:01 [ops] <bob> second\n", .type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob",
	    .text = "second", .time_ms = NOON - 59 * MIN, .flags = CHAT_FLAG_REPLAY);
	says("--- now ---\n", .type = CHAT_EVENT_SYNCED);
	says("", .type = CHAT_EVENT_SYNCED);
	says("12:00 [ops] <bob> live\n", .type = CHAT_EVENT_MESSAGE, .room = "ops", .actor = "bob",
	    .text = "live", .time_ms = NOON);
}

/* Live entries come between the replay of rooms until all are caught up with; after that one ends a replay.
 */
TEST(replays_end)
{
	says("--- while you were away ---\n12:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED,
	    .room = "ops", .actor = "bob", .flags = CHAT_FLAG_REPLAY);
	says("12:00 [ops] -- bob left\n", .type = CHAT_EVENT_LEFT, .room = "ops", .actor = "bob");
	says("--- now ---\n", .type = CHAT_EVENT_SYNCED);
	says("--- while you were away ---\n12:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED,
	    .room = "ops", .actor = "bob", .flags = CHAT_FLAG_REPLAY);
	says(
	    "--- now ---\n12:00 [ops] -- bob left\n", .type = CHAT_EVENT_LEFT, .room = "ops", .actor = "bob");
	says("12:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED, .room = "ops", .actor = "bob");
}

TEST(days)
{
	lines.last_day = 0;
	says("=== Thursday, 20 November 2025\n12:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED,
	    .room = "ops", .actor = "bob", .time_ms = NOON);
	says("12:01 [ops] -- bob left\n", .type = CHAT_EVENT_LEFT, .room = "ops", .actor = "bob",
	    .time_ms = NOON + MIN);
	says("=== Friday, 21 November 2025\n00:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED,
	    .room = "ops", .actor = "bob", .time_ms = NOON + 720 * MIN);
	/* The same day of the year before. */
	says("=== Thursday, 21 November 2024\n00:00 [ops] -- bob joined\n", .type = CHAT_EVENT_JOINED,
	    .room = "ops", .actor = "bob", .time_ms = NOON + 720 * MIN - 365ull * 1440 * MIN);
}

TEST(moments)
{
	struct text t = {0};

	lines_when(&t, NOON - MIN, NOON);
	assert_string_equal(text_cstr(&t), "11:59");
	text_clear(&t);
	lines_when(&t, NOON - 721 * MIN, NOON);
	assert_string_equal(text_cstr(&t), "2025-11-19 23:59");
	text_fini(&t);
}

TEST(lines_of_our_own)
{
	struct text t = {0};

	lines_notice(&lines, NOON, &t, "ready");
	lines_error(&lines, NOON, &t, NULL, "no room", "make one");
	lines_error(&lines, NOON, &t, "ops", "no\x1b", NULL);
	lines_pending(&lines, NOON, &t, "ops", BYTES_STR("hello\nthere"), "waiting");
	assert_string_equal(text_cstr(&t),
	    "12:00 -- ready\n12:00 ! no room  -> make one\n12:00 ! [ops] no^[\n"
	    "12:00 [ops] (waiting) hello\n      | there\n");
	text_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(messages, setup),
	    cmocka_unit_test_setup(lines_in_a_text, setup),
	    cmocka_unit_test_setup(nothing_passes_by_the_filter, setup),
	    cmocka_unit_test_setup(labels_keep_in_their_brackets, setup),
	    cmocka_unit_test_setup(members_come_and_go, setup),
	    cmocka_unit_test_setup(rooms_change, setup),
	    cmocka_unit_test_setup(trouble, setup),
	    cmocka_unit_test_setup(the_connection, setup),
	    cmocka_unit_test_setup(while_away, setup),
	    cmocka_unit_test_setup(replays_end, setup),
	    cmocka_unit_test_setup(days, setup),
	    cmocka_unit_test_setup(moments, setup),
	    cmocka_unit_test_setup(lines_of_our_own, setup),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
