/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One room as a client follows it: strict order, what stops it, newcomers, what becomes readable later,
 * history. */

#include "engine_pair.h"

#include <stdio.h>

#include "proto/frame.h"
#include "proto/wire.h"

struct two {
	struct pair pair;
	struct peer *alice, *bob;
	struct digest room;
};

static void
start(struct two *t)
{
	struct peer *peers[2];

	pair_start(&t->pair, 11);
	t->alice = peers[0] = peer_start(&t->pair, "alice", NULL);
	t->bob = peers[1] = peer_start(&t->pair, "bob", NULL);
	t->room = pair_room(&t->pair, peers, 2);
}

static void
end(struct two *t)
{
	pair_end(&t->pair);
}

static void
say(struct two *t, struct peer *peer, const char *text)
{
	uint64_t token = peer_say(peer, &t->room, text);

	pair_settle(&t->pair);
	(void)assert_done(peer, token, CHAT_OK);
}

static const struct chat_room_info *
info_of(struct peer *peer, const struct digest *room, struct chat_room_list **list)
{
	assert_ok(session_rooms(peer->s, list));
	for (size_t i = 0; i < (*list)->count; i++)
		if (memcmp((*list)->room[i].id.b, room->b, DIGEST_BYTES) == 0)
			return &(*list)->room[i];
	return NULL;
}

/* ---- what the program is told ---- */

TEST(a_room_is_told_in_order)
{
	static const enum chat_event_type bob_hears[] = {CHAT_EVENT_ROOM_ADDED, CHAT_EVENT_INVITED,
	    CHAT_EVENT_REKEYED, CHAT_EVENT_JOINED, CHAT_EVENT_DONE, CHAT_EVENT_MESSAGE};
	const struct chat_room_info *info;
	struct chat_room_list *list;
	struct two t;
	size_t at = 0;

	start(&t);
	say(&t, t.alice, "hello");
	for (size_t i = 0; i < t.bob->told_count && at < ARRAY_LEN(bob_hears); i++)
		if (t.bob->told[i].type == bob_hears[at])
			at++;
	if (at != ARRAY_LEN(bob_hears))
		peer_print(t.bob);
	assert_int_equal(at, ARRAY_LEN(bob_hears));
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_INVITED)->actor, "alice");
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_INVITED)->target, "bob");
	assert_true(peer_told(t.bob, CHAT_EVENT_INVITED)->target_self);
	assert_false(peer_told(t.bob, CHAT_EVENT_INVITED)->self);
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_INVITED)->label, "ops");
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_MESSAGE)->actor, "alice");
	assert_true(peer_told(t.alice, CHAT_EVENT_MESSAGE)->self);
	assert_int_equal(peer_told(t.alice, CHAT_EVENT_MESSAGE)->flags, CHAT_FLAG_OWN_SESSION);
	assert_int_equal(peer_told(t.bob, CHAT_EVENT_MESSAGE)->flags, 0);
	info = info_of(t.bob, &t.room, &list);
	assert_non_null(info);
	assert_string_equal(info->label, "ops");
	assert_string_equal(info->name, "ops");
	assert_int_equal(info->stay, CHAT_STAY_JOINED);
	assert_int_equal(info->member_count, 2);
	assert_int_equal(info->role, 1);
	assert_int_equal(info->unread_count, 1);
	assert_int_equal(info->epoch, 2);
	chat_room_list_free(list);
	end(&t);
}

TEST(namesakes_get_labels_of_their_own)
{
	struct digest other, found;
	uint64_t token;
	struct two t;

	start(&t);
	other = peer_create(t.alice, "ops");
	assert_false(digest_equal(&other, &t.room));
	assert_ok(session_find_room(t.alice->s, "ops~2", &found));
	assert_true(digest_equal(&found, &other));
	assert_ok(session_find_room(t.alice->s, "ops", &found));
	assert_true(digest_equal(&found, &t.room));
	assert_err(session_find_room(t.alice->s, "nowhere", &found), CHAT_ERR_NOT_FOUND);
	/* A rename takes the label along, for everybody. */
	session_set_name(
	    t.alice->s, peer_done(t.alice, &token), &t.room, BYTES_STR("pit"), pair_now(&t.pair));
	pair_settle(&t.pair);
	(void)assert_done(t.alice, token, CHAT_OK);
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_NAME)->text, "pit");
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_NAME)->label, "pit");
	assert_ok(session_find_room(t.bob->s, "pit", &found));
	/* Nobody can pose as a direct room. */
	other = peer_create(t.alice, "@bob");
	assert_err(session_find_room(t.alice->s, "@bob", &found), CHAT_ERR_NOT_FOUND);
	end(&t);
}

TEST(name_and_topic_are_there_after_a_restart)
{
	const struct chat_room_info *info;
	struct chat_room_list *list;
	uint64_t token;
	struct two t;

	start(&t);
	session_set_topic(
	    t.alice->s, peer_done(t.alice, &token), &t.room, BYTES_STR("tea"), pair_now(&t.pair));
	pair_settle(&t.pair);
	(void)assert_done(t.alice, token, CHAT_OK);
	assert_string_equal(peer_told(t.bob, CHAT_EVENT_TOPIC)->text, "tea");
	pair_pass(&t.pair, 2000);
	peer_forget(t.bob);
	peer_crash(t.bob); /* and it stays without a connection */
	pair_settle(&t.pair);
	info = info_of(t.bob, &t.room, &list);
	assert_non_null(info);
	assert_string_equal(info->label, "ops");
	assert_string_equal(info->name, "ops");
	assert_string_equal(info->topic, "tea");
	chat_room_list_free(list);
	assert_int_equal(t.bob->told_count, 0);
	end(&t);
}

/* A member may carry name and topic along in a rekey, not change them. */
TEST(members_do_not_change_the_name)
{
	uint64_t token;
	struct two t;

	start(&t);
	session_set_name(t.bob->s, peer_done(t.bob, &token), &t.room, BYTES_STR("bobs"), pair_now(&t.pair));
	pair_settle(&t.pair);
	(void)assert_done(t.bob, token, CHAT_ERR_NOT_ALLOWED);
	end(&t);
}

/* ---- a server that lies ---- */

enum lie {
	LIE_NONE,
	LIE_OTHER_TIME,      /* of an entry: the hashes cannot come out */
	LIE_SPOILED_EVENT,   /* a bit of its signature */
	LIE_SPOILED_MESSAGE, /* the same of a message */
	LIE_NEW_VERSION,     /* an event of a version to come */
	LIE_LEFT_OUT,        /* one entry is not sent */
	LIE_TWICE,           /* and one twice */
};

struct lies {
	enum lie lie;
	struct peer *to;
	uint64_t seq; /* of the entry it is about; 0: of any event */
	unsigned told;
};

static bool
tell_lie(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct lies *lies = pair->tamper_ctx;
	const Chat__V1__ServerFrame *was;
	struct arena arena;
	bool sent = true;

	if (lies->lie == LIE_NONE || tamper_peer(pair, conn) != lies->to)
		return true;
	was = tamper_decode(&arena, *frame);
	if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_ENTRY && was->entry->seq == lies->seq) {
		Chat__V1__ServerFrame with = *was;
		Chat__V1__Entry entry = *was->entry;

		with.entry = &entry;
		lies->told++;
		if (lies->lie == LIE_OTHER_TIME)
			entry.server_time_ms++;
		else if (lies->lie == LIE_NEW_VERSION)
			entry.wire.data[0] = 2;
		else if (lies->lie == LIE_SPOILED_EVENT || lies->lie == LIE_SPOILED_MESSAGE)
			entry.wire.data[entry.wire.len - 1] ^= 1;
		if (lies->lie == LIE_LEFT_OUT)
			sent = lies->told > 1; /* once */
		else
			tamper_replace(frame, &with);
		if (lies->lie == LIE_TWICE)
			assert_ok(buf_append(&conn->out, (*frame)->data, (*frame)->len));
	}
	arena_fini(&arena);
	return sent;
}

static uint64_t
head_of(struct two *t, struct peer *peer)
{
	struct chat_room_list *list;
	uint64_t seq = info_of(peer, &t->room, &list)->head_seq;

	chat_room_list_free(list);
	return seq;
}

static void
lie_to_bob(struct two *t, struct lies *lies, enum lie lie, uint64_t seq)
{
	*lies = (struct lies){.lie = lie, .to = t->bob, .seq = seq};
	t->pair.tamper = tell_lie;
	t->pair.tamper_ctx = lies;
}

TEST(event_that_breaks_the_rules_stops_the_room)
{
	static const enum lie kinds[] = {LIE_SPOILED_EVENT, LIE_NEW_VERSION};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct chat_room_info *info;
		struct chat_room_list *list;
		struct lies lies;
		uint64_t token, head;
		struct two t;

		start(&t);
		head = head_of(&t, t.bob);
		lie_to_bob(&t, &lies, kinds[i], head + 1);
		session_set_topic(
		    t.alice->s, peer_done(t.alice, &token), &t.room, BYTES_STR("tea"), pair_now(&t.pair));
		pair_settle(&t.pair);
		assert_int_equal(lies.told, 1);
		assert_int_equal(peer_count(t.bob, CHAT_EVENT_READ_ONLY, NULL), 1);
		if (kinds[i] == LIE_NEW_VERSION)
			assert_int_equal(peer_told(t.bob, CHAT_EVENT_READ_ONLY)->err, CHAT_ERR_UNSUPPORTED);
		else
			assert_int_equal(peer_told(t.bob, CHAT_EVENT_READ_ONLY)->err, CHAT_ERR_BAD_SIGNATURE);
		/* It stays readable as far as it is right; nothing can be said. */
		info = info_of(t.bob, &t.room, &list);
		assert_true(info->read_only);
		assert_int_equal(info->head_seq, head);
		chat_room_list_free(list);
		token = peer_say(t.bob, &t.room, "no");
		pair_settle(&t.pair);
		(void)assert_done(t.bob, token, CHAT_ERR_UNSUPPORTED);
		/* Another room is not disturbed. */
		t.pair.tamper = NULL;
		t.room = peer_create(t.bob, "mine");
		say(&t, t.bob, "here I can");
		end(&t);
	}
}

TEST(message_badly_signed_is_one_line)
{
	struct lies lies;
	struct two t;
	uint64_t token;

	start(&t);
	lie_to_bob(&t, &lies, LIE_SPOILED_MESSAGE, head_of(&t, t.bob) + 1);
	token = peer_say(t.alice, &t.room, "forged");
	pair_settle(&t.pair);
	(void)assert_done(t.alice, token, CHAT_OK);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "forged"), 0);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_WARNING, NULL), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_READ_ONLY, NULL), 0);
	/* Its counter is used: the next is no gap, and no repeat. */
	t.pair.tamper = NULL;
	say(&t, t.alice, "real");
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "real"), 1);
	/* bob's log is another one now, which alice sees by what he says he has seen, and he by what she has.
	 */
	assert_true(peer_count(t.bob, CHAT_EVENT_WARNING, NULL) >= 2);
	peer_forget(t.alice);
	say(&t, t.bob, "and I");
	assert_int_equal(peer_count(t.alice, CHAT_EVENT_MESSAGE, "and I"), 1);
	assert_int_equal(peer_count(t.alice, CHAT_EVENT_WARNING, NULL), 1);
	assert_non_null(strstr(peer_told(t.alice, CHAT_EVENT_WARNING)->text, "bob had another log"));
	end(&t);
}

TEST(entry_of_another_time_shows_at_the_next_hash)
{
	struct lies lies;
	struct two t;
	uint64_t head;

	start(&t);
	head = head_of(&t, t.bob);
	peer_cut(t.bob);
	say(&t, t.alice, "one");
	say(&t, t.alice, "two");
	lie_to_bob(&t, &lies, LIE_OTHER_TIME, head + 1);
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(lies.told, 1);
	/* Resumed named a hash that these entries do not give. */
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_READ_ONLY, NULL), 1);
	assert_int_equal(peer_told(t.bob, CHAT_EVENT_READ_ONLY)->err, CHAT_ERR_HISTORY_CHANGED);
	/* All others are caught up. */
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_SYNCED, NULL), 2);
	end(&t);
}

TEST(entry_left_out_is_asked_for_again)
{
	struct lies lies;
	struct two t;

	start(&t);
	lie_to_bob(&t, &lies, LIE_LEFT_OUT, head_of(&t, t.bob) + 1);
	say(&t, t.alice, "one");
	say(&t, t.alice, "two");
	assert_true(lies.told >= 2);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "one"), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "two"), 1);
	assert_true(peer_told_text(t.bob, CHAT_EVENT_MESSAGE, "one")->seq <
		    peer_told_text(t.bob, CHAT_EVENT_MESSAGE, "two")->seq);
	end(&t);
}

TEST(entry_sent_twice_is_taken_once)
{
	struct lies lies;
	struct two t;

	start(&t);
	lie_to_bob(&t, &lies, LIE_TWICE, head_of(&t, t.bob) + 1);
	say(&t, t.alice, "one");
	say(&t, t.alice, "two");
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, NULL), 2);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_WARNING, NULL), 0);
	end(&t);
}

/* The server comes back from a backup: what was written since is gone there. */
TEST(restored_server_is_named_by_number)
{
	struct digest other;
	uint64_t token;
	struct two t;

	start(&t);
	other = peer_create(t.alice, "other");
	pair_backup(&t.pair);
	say(&t, t.alice, "after the backup");
	pair_restore(&t.pair);
	peer_forget(t.alice);
	peer_connect(t.alice);
	pair_settle(&t.pair);
	assert_true(session_ready(t.alice->s));
	assert_int_equal(peer_count(t.alice, CHAT_EVENT_WARNING, NULL), 1);
	assert_non_null(strstr(peer_told(t.alice, CHAT_EVENT_WARNING)->text, "ends at"));
	assert_int_equal(peer_count(t.alice, CHAT_EVENT_SYNCED, NULL), 1);
	token = peer_say(t.alice, &t.room, "waits");
	pair_settle(&t.pair);
	assert_null(peer_done_of(t.alice, token));
	/* The other room goes on. */
	t.room = other;
	say(&t, t.alice, "fine here");
	end(&t);
}

/* ---- newcomers ---- */

struct prefix_lie {
	struct peer *to;
	bool stubs, preimage, events;
	unsigned told;
};

static bool
lie_about_prefix(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct prefix_lie *lie = pair->tamper_ctx;
	const Chat__V1__ServerFrame *was;
	struct arena arena;

	if (tamper_peer(pair, conn) != lie->to)
		return true;
	was = tamper_decode(&arena, *frame);
	if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_PREFIX) {
		if (lie->preimage)
			was->prefix->preimage.data[40] ^= 1;
		if (lie->stubs)
			was->prefix->stub[0]->server_time_ms++;
		if (lie->stubs || lie->preimage) {
			tamper_replace(frame, was);
			lie->told++;
		}
	} else if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_ROSTER_EVENTS && lie->events) {
		Chat__V1__Entry *first = was->roster_events->entry[0];

		first->wire.data[first->wire.len - 1] ^= 1;
		tamper_replace(frame, was);
		lie->told++;
	}
	arena_fini(&arena);
	return true;
}

TEST(newcomer_checks_what_was_before)
{
	for (unsigned i = 0; i < 2; i++) {
		struct prefix_lie lie = {.preimage = i == 0, .events = i == 1};
		struct account_name name;
		struct peer *carol;
		uint64_t token;
		struct two t;

		start(&t);
		carol = peer_start(&t.pair, "carol", NULL);
		peer_connect(carol);
		pair_settle(&t.pair);
		lie.to = carol;
		t.pair.tamper = lie_about_prefix;
		t.pair.tamper_ctx = &lie;
		assert_ok(account_name_set(BYTES_STR("carol"), &name));
		session_invite(t.alice->s, peer_done(t.alice, &token), &t.room, &name, 1, pair_now(&t.pair));
		pair_settle(&t.pair);
		(void)assert_done(t.alice, token, CHAT_OK);
		assert_true(lie.told > 0);
		assert_int_equal(peer_count(carol, CHAT_EVENT_READ_ONLY, NULL), 1);
		assert_int_equal(peer_told(carol, CHAT_EVENT_READ_ONLY)->err,
		    i == 0 ? CHAT_ERR_BAD_PREFIX : CHAT_ERR_BAD_SIGNATURE);
		/* The truth, on another connection. */
		t.pair.tamper = NULL;
		peer_forget(carol);
		peer_cut(carol);
		peer_connect(carol);
		pair_settle(&t.pair);
		assert_int_equal(peer_count(carol, CHAT_EVENT_INVITED, NULL), 1);
		peer_accept(carol, &t.room);
		end(&t);
	}
}

/* ---- what becomes readable later ---- */

TEST(invitee_reads_on_joining_what_was_said_meanwhile)
{
	struct peer *carol;
	struct two t;
	char text[32];

	start(&t);
	carol = peer_start(&t.pair, "carol", NULL);
	peer_connect(carol);
	pair_settle(&t.pair);
	say(&t, t.alice, "before she was invited");
	peer_invite(t.alice, &t.room, "carol");
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof text, "meanwhile %d", i);
		say(&t, i % 2 ? t.alice : t.bob, text);
	}
	assert_int_equal(peer_count(carol, CHAT_EVENT_MESSAGE, NULL), 0);
	peer_accept(carol, &t.room);
	assert_int_equal(peer_count(carol, CHAT_EVENT_MESSAGE, NULL), 5);
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof text, "meanwhile %d", i);
		assert_int_equal(peer_count(carol, CHAT_EVENT_MESSAGE, text), 1);
		assert_true(peer_told_text(carol, CHAT_EVENT_MESSAGE, text)->flags & CHAT_FLAG_REPLAY);
		if (i > 0)
			assert_true(peer_told_text(carol, CHAT_EVENT_MESSAGE, text) >
				    peer_told(carol, CHAT_EVENT_INVITED));
	}
	/* She may not read what was before, and nothing says that she should. */
	assert_int_equal(peer_count(carol, CHAT_EVENT_UNREADABLE, NULL), 0);
	end(&t);
}

TEST(replay_is_marked_and_whole)
{
	struct two t;
	char text[32];

	start(&t);
	peer_cut(t.bob);
	for (int i = 0; i < 100; i++) { /* enough for the work items that verify */
		snprintf(text, sizeof text, "away %d", i);
		(void)peer_say(t.alice, &t.room, text);
		pair_settle(&t.pair);
	}
	pair_pass(&t.pair, 10);
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, NULL), 100);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "away %d", i);
		assert_true(peer_told_text(t.bob, CHAT_EVENT_MESSAGE, text)->flags & CHAT_FLAG_REPLAY);
		if (i > 0)
			assert_int_equal(peer_told_text(t.bob, CHAT_EVENT_MESSAGE, text)->seq,
			    peer_told_text(t.bob, CHAT_EVENT_MESSAGE, "away 0")->seq + (uint64_t)i);
	}
	say(&t, t.alice, "live");
	assert_false(peer_told_text(t.bob, CHAT_EVENT_MESSAGE, "live")->flags & CHAT_FLAG_REPLAY);
	end(&t);
}

/* The signatures of a replay are verified by a worker, each under its own entry. */
TEST(forged_message_in_a_replay_is_not_shown)
{
	struct lies lies;
	struct two t;
	uint64_t head;
	char text[32];

	start(&t);
	head = head_of(&t, t.bob);
	peer_cut(t.bob);
	for (int i = 0; i < 60; i++) {
		snprintf(text, sizeof text, "away %d", i);
		(void)peer_say(t.alice, &t.room, text);
		pair_settle(&t.pair);
	}
	lie_to_bob(&t, &lies, LIE_SPOILED_MESSAGE, head + 41);
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(lies.told, 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "away 40"), 0);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "away 39"), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "away 41"), 1);
	end(&t);
}

/* ---- history ---- */

static uint64_t
ask_history(struct two *t, struct peer *peer, size_t count)
{
	uint64_t token;

	peer_forget(peer);
	session_history(peer->s, peer_done(peer, &token), &t->room, count, pair_now(&t->pair));
	pair_settle(&t->pair);
	return assert_done(peer, token, CHAT_OK)->number;
}

TEST(history_pages_backwards)
{
	struct two t;
	char text[32];

	start(&t);
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof text, "said %d", i);
		say(&t, t.alice, text);
	}
	pair_pass(&t.pair, 2000);
	peer_crash(t.bob);
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "said 29"), 1); /* from the run before */
	assert_int_equal(ask_history(&t, t.bob, 10), 10);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, NULL), 10);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "said 29"), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "said 20"), 1);
	assert_true(t.bob->told[0].flags & CHAT_FLAG_HISTORY);
	assert_string_equal(t.bob->told[0].text, "said 20"); /* ascending */
	assert_int_equal(ask_history(&t, t.bob, 15), 15);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "said 19"), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "said 5"), 1);
	/* To the beginning: the rest of the messages, and the events. */
	assert_true(ask_history(&t, t.bob, 1000) > 5);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, NULL), 5);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_CREATED, NULL), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_INVITED, NULL), 1);
	assert_int_equal(ask_history(&t, t.bob, 10), 0);
	end(&t);
}

/* What is older than what is kept here comes from the server, and must lead to what is kept. */
TEST(history_before_the_invitation_is_checked)
{
	const struct told *done;
	struct peer *carol;
	struct two t;

	start(&t);
	carol = peer_start(&t.pair, "carol", NULL);
	peer_connect(carol);
	pair_settle(&t.pair);
	for (int i = 0; i < 5; i++)
		say(&t, t.alice, "old");
	peer_invite(t.alice, &t.room, "carol");
	peer_accept(carol, &t.room);
	(void)ask_history(&t, carol, 100);
	/* Events she may see, the older messages not. */
	assert_int_equal(peer_count(carol, CHAT_EVENT_CREATED, NULL), 1);
	assert_int_equal(peer_count(carol, CHAT_EVENT_MESSAGE, NULL), 0);
	done = peer_told(carol, CHAT_EVENT_DONE);
	assert_non_null(strstr(done->text, "beginning"));
	end(&t);
}

static bool
lie_about_history(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct prefix_lie *lie = pair->tamper_ctx;
	const Chat__V1__ServerFrame *was;
	struct arena arena;

	if (tamper_peer(pair, conn) != lie->to)
		return true;
	was = tamper_decode(&arena, *frame);
	if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_HISTORY && was->history->n_entry > 0) {
		if (lie->preimage)
			was->history->before_hash.data[0] ^= 1;
		else
			was->history->entry[was->history->n_entry - 1]->server_time_ms++;
		tamper_replace(frame, was);
		lie->told++;
	}
	arena_fini(&arena);
	return true;
}

TEST(history_that_leads_elsewhere_is_refused)
{
	for (unsigned i = 0; i < 2; i++) {
		struct prefix_lie lie = {.preimage = i == 0};
		struct peer *carol;
		uint64_t token;
		struct two t;

		start(&t);
		carol = peer_start(&t.pair, "carol", NULL);
		peer_connect(carol);
		pair_settle(&t.pair);
		say(&t, t.alice, "old");
		say(&t, t.alice, "older than her");
		peer_invite(t.alice, &t.room, "carol");
		peer_accept(carol, &t.room);
		lie.to = carol;
		t.pair.tamper = lie_about_history;
		t.pair.tamper_ctx = &lie;
		session_history(carol->s, peer_done(carol, &token), &t.room, 100, pair_now(&t.pair));
		pair_settle(&t.pair);
		assert_true(lie.told > 0);
		/* A page's time is in the hash of what is kept from seen_seq on, and in the chain before
		 * that. */
		(void)assert_done(carol, token, CHAT_ERR_HISTORY_CHANGED);
		assert_int_equal(peer_count(carol, CHAT_EVENT_WARNING, NULL), 1);
		t.pair.tamper = NULL;
		end(&t);
	}
}

/* ---- coming and going ---- */

TEST(removed_while_away)
{
	struct account_name name;
	uint64_t token;
	struct two t;

	start(&t);
	peer_cut(t.bob);
	assert_ok(account_name_set(BYTES_STR("bob"), &name));
	session_kick(t.alice->s, peer_done(t.alice, &token), &t.room, &name, pair_now(&t.pair));
	pair_settle(&t.pair);
	(void)assert_done(t.alice, token, CHAT_OK);
	say(&t, t.alice, "without him");
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_ROOM_GONE, NULL), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_SYNCED, NULL), 2);
	/* Said once, not at every start. */
	pair_pass(&t.pair, 2000);
	peer_crash(t.bob);
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_ROOM_GONE, NULL), 1);
	/* Asked back, he goes on from where he was, and does not read what was said without him. */
	peer_forget(t.bob);
	peer_invite(t.alice, &t.room, "bob");
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_ROOM_ADDED, NULL), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_KICKED, NULL), 1);
	peer_accept(t.bob, &t.room);
	say(&t, t.alice, "welcome back");
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "welcome back"), 1);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_MESSAGE, "without him"), 0);
	assert_int_equal(peer_count(t.bob, CHAT_EVENT_UNREADABLE, NULL), 0);
	end(&t);
}

TEST(cursors_go_to_other_sessions)
{
	const struct chat_room_info *info;
	struct chat_room_list *list;
	struct peer *other;
	struct two t;
	uint64_t head;

	start(&t);
	other = peer_start(&t.pair, "bob", storage_memory_import(t.bob->st, 9));
	peer_connect(other);
	pair_settle(&t.pair);
	say(&t, t.alice, "one");
	say(&t, t.alice, "two");
	head = head_of(&t, t.bob);
	info = info_of(other, &t.room, &list);
	assert_int_equal(info->unread_count, 2);
	chat_room_list_free(list);
	session_mark_read(t.bob->s, &t.room, head - 1, pair_now(&t.pair));
	pair_settle(&t.pair);
	assert_int_equal(peer_told(other, CHAT_EVENT_CURSOR)->seq, head - 1);
	info = info_of(other, &t.room, &list);
	assert_int_equal(info->unread_count, 1);
	assert_int_equal(info->read_seq, head - 1);
	chat_room_list_free(list);
	/* Read without a connection: told when there is one. */
	peer_cut(t.bob);
	session_mark_read(t.bob->s, &t.room, head, pair_now(&t.pair));
	peer_connect(t.bob);
	pair_settle(&t.pair);
	assert_int_equal(peer_told(other, CHAT_EVENT_CURSOR)->seq, head);
	end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_room_is_told_in_order),
	    cmocka_unit_test(namesakes_get_labels_of_their_own),
	    cmocka_unit_test(name_and_topic_are_there_after_a_restart),
	    cmocka_unit_test(members_do_not_change_the_name),
	    cmocka_unit_test(event_that_breaks_the_rules_stops_the_room),
	    cmocka_unit_test(message_badly_signed_is_one_line),
	    cmocka_unit_test(entry_of_another_time_shows_at_the_next_hash),
	    cmocka_unit_test(entry_left_out_is_asked_for_again),
	    cmocka_unit_test(entry_sent_twice_is_taken_once),
	    cmocka_unit_test(restored_server_is_named_by_number),
	    cmocka_unit_test(newcomer_checks_what_was_before),
	    cmocka_unit_test(invitee_reads_on_joining_what_was_said_meanwhile),
	    cmocka_unit_test(replay_is_marked_and_whole),
	    cmocka_unit_test(forged_message_in_a_replay_is_not_shown),
	    cmocka_unit_test(history_pages_backwards),
	    cmocka_unit_test(history_before_the_invitation_is_checked),
	    cmocka_unit_test(history_that_leads_elsewhere_is_refused),
	    cmocka_unit_test(removed_while_away),
	    cmocka_unit_test(cursors_go_to_other_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
