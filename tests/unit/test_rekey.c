/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When a room is rekeyed, and by whom: leases, waiting, age, lost races, and boxes that do not count. */

#include "engine_pair.h"

#include "libchat/room.h"
#include "proto/frame.h"

struct three {
	struct pair pair;
	struct peer *peers[3]; /* alice, bob, carol */
	struct digest room;
	const struct peer *deaf; /* is not told of RekeyWanted */
	unsigned leases;
};

static bool
watch_leases(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct three *t = pair->tamper_ctx;
	const Chat__V1__ServerFrame *was;
	struct arena arena;
	bool lease;

	was = tamper_decode(&arena, *frame);
	lease = was->body_case == CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED;
	t->leases += lease;
	arena_fini(&arena);
	return !lease || (t->deaf != tamper_peer(pair, conn) && t->deaf != (const struct peer *)t);
}

/* Nobody is told. */
#define ALL(t) ((const struct peer *)(t))

static void
start(struct three *t)
{
	*t = (struct three){0};
	pair_start(&t->pair, 41);
	t->peers[0] = peer_start(&t->pair, "alice", NULL);
	t->peers[1] = peer_start(&t->pair, "bob", NULL);
	t->peers[2] = peer_start(&t->pair, "carol", NULL);
	t->room = pair_room(&t->pair, t->peers, 3);
	t->pair.tamper = watch_leases;
	t->pair.tamper_ctx = t;
}

static void
leave(struct three *t, struct peer *peer)
{
	uint64_t token;

	session_leave(peer->s, peer_done(peer, &token), &t->room, pair_now(&t->pair));
	pair_settle(&t->pair);
	(void)assert_done(peer, token, CHAT_OK);
}

static uint64_t
epoch_of(struct three *t, struct peer *peer)
{
	struct chat_room_list *list;
	uint64_t epoch;

	assert_ok(session_rooms(peer->s, &list));
	assert_int_equal(list->count, 1);
	assert_memory_equal(list->room[0].id.b, t->room.b, DIGEST_BYTES);
	epoch = list->room[0].epoch;
	chat_room_list_free(list);
	return epoch;
}

/* ---- after a change ---- */

TEST(one_is_asked_when_somebody_leaves)
{
	uint64_t token, epoch;
	struct three t;

	start(&t);
	epoch = epoch_of(&t, t.peers[0]);
	leave(&t, t.peers[2]);
	assert_int_equal(t.leases, 1);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch + 1);
	token = peer_say(t.peers[1], &t.room, "without carol");
	pair_settle(&t.pair);
	(void)assert_done(t.peers[1], token, CHAT_OK);
	assert_int_equal(peer_count(t.peers[0], CHAT_EVENT_MESSAGE, "without carol"), 1);
	assert_int_equal(peer_count(t.peers[2], CHAT_EVENT_MESSAGE, NULL), 0);
	pair_end(&t.pair);
}

TEST(whoever_wants_to_speak_waits_for_the_one_who_was_asked)
{
	uint64_t token, epoch;
	struct three t;

	start(&t);
	epoch = epoch_of(&t, t.peers[0]);
	t.deaf = ALL(&t); /* it never learns of its lease */
	leave(&t, t.peers[2]);
	token = peer_say(t.peers[1], &t.room, "patience");
	pair_settle(&t.pair);
	pair_pass(&t.pair, 4500);
	assert_null(peer_done_of(t.peers[1], token));
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch);
	pair_pass(&t.pair, 1000);
	(void)assert_done(t.peers[1], token, CHAT_OK);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch + 1);
	assert_int_equal(peer_count(t.peers[0], CHAT_EVENT_MESSAGE, "patience"), 1);
	pair_end(&t.pair);
}

TEST(nobody_rekeys_a_room_in_which_nobody_speaks)
{
	struct three t;
	uint64_t epoch;

	start(&t);
	epoch = epoch_of(&t, t.peers[0]);
	t.deaf = ALL(&t);
	leave(&t, t.peers[2]);
	pair_pass(&t.pair, 60000);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch);
	pair_end(&t.pair);
}

TEST(two_who_rekey_at_once_agree)
{
	uint64_t tokens[2], epoch;
	struct three t;

	start(&t);
	epoch = epoch_of(&t, t.peers[0]);
	t.deaf = ALL(&t);
	leave(&t, t.peers[2]);
	/* Both wait equally long, so both begin in the same moment. */
	tokens[0] = peer_say(t.peers[0], &t.room, "I");
	tokens[1] = peer_say(t.peers[1], &t.room, "no, I");
	pair_pass(&t.pair, 7000);
	(void)assert_done(t.peers[0], tokens[0], CHAT_OK);
	(void)assert_done(t.peers[1], tokens[1], CHAT_OK);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch + 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(peer_count(t.peers[i], CHAT_EVENT_MESSAGE, NULL), 2);
		assert_int_equal(peer_count(t.peers[i], CHAT_EVENT_WARNING, NULL), 0);
	}
	pair_end(&t.pair);
}

TEST(own_change_brings_its_rekey_along)
{
	struct account_name name;
	uint64_t token, epoch;
	struct three t;

	start(&t);
	epoch = epoch_of(&t, t.peers[0]);
	t.pair.requests[REQUEST_POST_EVENTS] = 0;
	assert_ok(account_name_set(BYTES_STR("carol"), &name));
	session_kick(t.peers[0]->s, peer_done(t.peers[0], &token), &t.room, &name, pair_now(&t.pair));
	pair_settle(&t.pair);
	(void)assert_done(t.peers[0], token, CHAT_OK);
	assert_int_equal(t.pair.requests[REQUEST_POST_EVENTS], 1);
	assert_int_equal(t.leases, 0);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch + 1);
	pair_end(&t.pair);
}

/* ---- by age ---- */

#define WEEK_MS (UINT64_C(7) * 24 * 60 * 60 * 1000)

TEST(week_old_key_is_changed_before_more_is_said)
{
	uint64_t token, epoch;
	struct three t;

	start(&t);
	epoch = epoch_of(&t, t.peers[0]);
	t.pair.w.now.unix_ms += WEEK_MS - 3600000;
	token = peer_say(t.peers[0], &t.room, "not yet");
	pair_settle(&t.pair);
	(void)assert_done(t.peers[0], token, CHAT_OK);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch);
	t.pair.w.now.unix_ms += 3600000;
	token = peer_say(t.peers[0], &t.room, "now");
	pair_settle(&t.pair);
	(void)assert_done(t.peers[0], token, CHAT_OK);
	assert_int_equal(epoch_of(&t, t.peers[0]), epoch + 1);
	assert_int_equal(peer_count(t.peers[1], CHAT_EVENT_MESSAGE, NULL), 2);
	/* Age is a reason for the sender, not for those who listen. */
	assert_int_equal(peer_count(t.peers[1], CHAT_EVENT_WARNING, NULL), 0);
	pair_end(&t.pair);
}

/* Voluntary rekeys are limited; what is to be said is said in the old epoch. */
TEST(refused_voluntary_rekey_keeps_nobody_silent)
{
	uint64_t token, topic;
	struct three t;

	start(&t);
	for (int i = 0; i < 3; i++) { /* the burst */
		session_set_topic(t.peers[0]->s, peer_done(t.peers[0], &topic), &t.room,
		    BYTES_STR(i == 0   ? "a"
			      : i == 1 ? "b"
				       : "c"),
		    pair_now(&t.pair));
		pair_settle(&t.pair);
		(void)assert_done(t.peers[0], topic, CHAT_OK);
	}
	t.pair.w.now.unix_ms += WEEK_MS;
	token = peer_say(t.peers[0], &t.room, "limited");
	pair_settle(&t.pair);
	(void)assert_done(t.peers[0], token, CHAT_OK);
	assert_int_equal(peer_count(t.peers[1], CHAT_EVENT_MESSAGE, "limited"), 1);
	/* A topic waits for its time. */
	session_set_topic(
	    t.peers[0]->s, peer_done(t.peers[0], &topic), &t.room, BYTES_STR("d"), pair_now(&t.pair));
	pair_settle(&t.pair);
	assert_null(peer_done_of(t.peers[0], topic));
	pair_pass(&t.pair, 130000);
	(void)assert_done(t.peers[0], topic, CHAT_OK);
	assert_string_equal(peer_told(t.peers[1], CHAT_EVENT_TOPIC)->text, "d");
	pair_end(&t.pair);
}

/* ---- boxes ---- */

/* A modified client of a mere member puts another name into its rekey. */
TEST(box_changed_by_a_member_does_not_count)
{
	struct chat_room_list *list;
	struct room *room;
	uint64_t token;
	struct three t;

	start(&t);
	room = room_find(t.peers[1]->s, &t.room);
	buf_clear(&room->name);
	assert_ok(buf_append_str(&room->name, "bobs"));
	buf_clear(&room->topic);
	assert_ok(buf_append_str(&room->topic, "all mine"));
	t.pair.w.now.unix_ms += WEEK_MS;
	token = peer_say(t.peers[1], &t.room, "hello");
	pair_settle(&t.pair);
	(void)assert_done(t.peers[1], token, CHAT_OK);
	for (int i = 0; i < 3; i += 2) {
		assert_int_equal(peer_count(t.peers[i], CHAT_EVENT_MESSAGE, "hello"), 1);
		assert_int_equal(peer_count(t.peers[i], CHAT_EVENT_NAME, NULL), 0);
		assert_int_equal(peer_count(t.peers[i], CHAT_EVENT_TOPIC, NULL), 0);
	}
	/* Nor after a restart, when the box in force is looked for. */
	pair_pass(&t.pair, 2000);
	peer_crash(t.peers[2]);
	pair_settle(&t.pair);
	assert_ok(session_rooms(t.peers[2]->s, &list));
	assert_string_equal(list->room[0].name, "ops");
	assert_string_equal(list->room[0].topic, "");
	chat_room_list_free(list);
	pair_end(&t.pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_is_asked_when_somebody_leaves),
	    cmocka_unit_test(whoever_wants_to_speak_waits_for_the_one_who_was_asked),
	    cmocka_unit_test(nobody_rekeys_a_room_in_which_nobody_speaks),
	    cmocka_unit_test(two_who_rekey_at_once_agree),
	    cmocka_unit_test(own_change_brings_its_rekey_along),
	    cmocka_unit_test(week_old_key_is_changed_before_more_is_said),
	    cmocka_unit_test(refused_voluntary_rekey_keeps_nobody_silent),
	    cmocka_unit_test(box_changed_by_a_member_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
