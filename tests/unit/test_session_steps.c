/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One story, told again and again, each time with the line cut, or the program killed, one step later.
 * Whatever the step, the story comes to the same end.
 */

#include "engine_pair.h"

#include <stdio.h>

enum what { CUT, KILL, RESTART_SERVER };

struct story {
	struct pair pair;
	struct peer *alice, *bob;
	struct digest room;
	unsigned step;     /* done so far */
	unsigned break_at; /* the step behind which it happens; 0: never */
	enum what what;
	struct peer *victim;
	bool broken;
};

/* ---- with something that happens in between ---- */

static void
break_it(struct story *st)
{
	st->broken = true;
	if (st->what == RESTART_SERVER) {
		pair_restart_server(&st->pair);
		peer_connect(st->alice);
		peer_connect(st->bob);
		return;
	}
	if (st->what == CUT)
		peer_cut(st->victim);
	else
		peer_crash(st->victim);
	peer_connect(st->victim);
}

static bool
step(struct story *st)
{
	if (!pair_step(&st->pair))
		return false;
	if (++st->step == st->break_at)
		break_it(st);
	return true;
}

static void
settle(struct story *st)
{
	for (unsigned rounds = 0; rounds < 20; rounds++) {
		while (step(st))
			;
		/* Pauses of a few seconds, for who waits for a lease or tries again. */
		pair_pass(&st->pair, 1000);
		if (storage_memory_outbox_count(st->alice->st) == 0 &&
		    storage_memory_outbox_count(st->bob->st) == 0 && rounds > 0)
			return;
	}
}

/* What a program had asked for when it was killed it asks again, as its user would. */
static bool
is_lost(const struct story *st, const struct peer *peer, uint64_t token)
{
	if (st->what != KILL || st->victim != peer || !st->broken)
		return false;
	return peer_done_of(peer, token) == NULL;
}

static void
fail_story(struct story *st, const char *what)
{
	peer_print(st->alice);
	peer_print(st->bob);
	fail_msg("broken behind step %u: %s", st->break_at, what);
}

static void
expect(struct story *st, struct peer *peer, uint64_t token, const char *what)
{
	const struct told *done = peer_done_of(peer, token);

	if (done == NULL && is_lost(st, peer, token))
		return;
	if (done == NULL || (done->err != CHAT_OK && done->err != CHAT_ERR_ALREADY))
		fail_story(st, what);
}

/* ---- what is so now ---- */

static const struct chat_room_info *
room_of(struct peer *peer, struct chat_room_list **list)
{
	assert_ok(session_rooms(peer->s, list));
	return (*list)->count > 0 ? &(*list)->room[0] : NULL;
}

static enum chat_stay
stay_of(struct story *st, const char *account)
{
	struct chat_member_list *list;
	enum chat_stay stay = CHAT_STAY_OUT;

	assert_ok(session_members(st->alice->s, &st->room, &list));
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->member[i].account, account) == 0)
			stay = list->member[i].stay;
	chat_member_list_free(list);
	return stay;
}

/* ---- the chapters; each is repeated until it is so ---- */

static void
chapter_create(struct story *st)
{
	struct chat_room_list *list;
	const struct chat_room_info *info;
	uint64_t token;

	session_create(st->alice->s, peer_done(st->alice, &token), BYTES_STR("ops"), pair_now(&st->pair));
	settle(st);
	expect(st, st->alice, token, "create");
	info = room_of(st->alice, &list);
	if (info == NULL) {
		chat_room_list_free(list);
		session_create(
		    st->alice->s, peer_done(st->alice, &token), BYTES_STR("ops"), pair_now(&st->pair));
		settle(st);
		expect(st, st->alice, token, "create again");
		info = room_of(st->alice, &list);
	}
	if (info == NULL || list->count != 1 || strcmp(info->label, "ops") != 0)
		fail_story(st, "there is not one room ops");
	memcpy(st->room.b, info->id.b, sizeof st->room.b);
	chat_room_list_free(list);
}

static void
chapter_invite(struct story *st)
{
	struct account_name bob;
	uint64_t token;

	assert_ok(account_name_set(BYTES_STR("bob"), &bob));
	for (unsigned i = 0; i < 2 && stay_of(st, "bob") == CHAT_STAY_OUT; i++) {
		session_invite(
		    st->alice->s, peer_done(st->alice, &token), &st->room, &bob, 1, pair_now(&st->pair));
		settle(st);
		expect(st, st->alice, token, "invite");
	}
	if (stay_of(st, "bob") != CHAT_STAY_INVITED || !session_knows_room(st->bob->s, &st->room))
		fail_story(st, "bob is not invited");
}

static void
chapter_accept(struct story *st)
{
	uint64_t token;

	for (unsigned i = 0; i < 2 && stay_of(st, "bob") != CHAT_STAY_JOINED; i++) {
		session_accept(st->bob->s, peer_done(st->bob, &token), &st->room, pair_now(&st->pair));
		settle(st);
		expect(st, st->bob, token, "accept");
	}
	if (stay_of(st, "bob") != CHAT_STAY_JOINED)
		fail_story(st, "bob has not joined");
}

static void
chapter_talk(struct story *st, const char *tag)
{
	struct peer *peers[2] = {st->alice, st->bob};
	uint64_t tokens[6];
	char text[32];

	for (unsigned i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "%s %u", tag, i);
		tokens[i] = peer_say(peers[i % 2], &st->room, text);
		if (i % 3 == 0)
			(void)step(st);
	}
	settle(st);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "%s %u", tag, i);
		expect(st, peers[i % 2], tokens[i], text);
		for (unsigned k = 0; k < 2; k++) {
			size_t count = peer_count(peers[k], CHAT_EVENT_MESSAGE, text);
			bool killed = st->what == KILL && peers[k] == st->victim;

			/* A killed program may have been shown it before, and is shown it again. */
			if (count != 1 && !(killed && count == 2))
				fail_story(st, text);
		}
	}
	/* What one said is in its order for both. */
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i + 2 < 6; i++) {
			char later[32];

			snprintf(text, sizeof text, "%s %u", tag, i);
			snprintf(later, sizeof later, "%s %u", tag, i + 2);
			if (peer_told_text(peers[k], CHAT_EVENT_MESSAGE, text)->seq >=
			    peer_told_text(peers[k], CHAT_EVENT_MESSAGE, later)->seq)
				fail_story(st, "another order");
		}
}

static void
chapter_topic(struct story *st)
{
	struct chat_room_list *list;
	const struct chat_room_info *info;
	uint64_t token;

	for (unsigned i = 0; i < 2; i++) {
		bool is_so;

		session_set_topic(st->alice->s, peer_done(st->alice, &token), &st->room, BYTES_STR("tea"),
		    pair_now(&st->pair));
		settle(st);
		expect(st, st->alice, token, "topic");
		info = room_of(st->bob, &list);
		is_so = info != NULL && strcmp(info->topic, "tea") == 0;
		chat_room_list_free(list);
		if (is_so)
			return;
	}
	fail_story(st, "bob does not see the topic");
}

static void
chapter_leave(struct story *st)
{
	uint64_t token;

	for (unsigned i = 0; i < 2 && stay_of(st, "bob") != CHAT_STAY_OUT; i++) {
		session_leave(st->bob->s, peer_done(st->bob, &token), &st->room, pair_now(&st->pair));
		settle(st);
		expect(st, st->bob, token, "leave");
	}
	if (stay_of(st, "bob") != CHAT_STAY_OUT)
		fail_story(st, "bob is still there");
	token = peer_say(st->alice, &st->room, "alone");
	settle(st);
	expect(st, st->alice, token, "alone");
	/* A killed program is shown again what it had not yet noted as shown. */
	if (peer_count(st->alice, CHAT_EVENT_MESSAGE, "alone") - (st->what == KILL) > 1 ||
	    peer_count(st->bob, CHAT_EVENT_MESSAGE, "alone") != 0)
		fail_story(st, "alone");
}

static void
check_nothing_odd(struct story *st)
{
	struct peer *peers[2] = {st->alice, st->bob};

	for (unsigned k = 0; k < 2; k++)
		if (peer_told(peers[k], CHAT_EVENT_UNREADABLE) != NULL ||
		    peer_told(peers[k], CHAT_EVENT_READ_ONLY) != NULL ||
		    peer_told(peers[k], CHAT_EVENT_WARNING) != NULL)
			fail_story(st, "was told of something odd");
}

/* The whole story; returns its number of steps. */
static unsigned
tell(enum what what, int victim, unsigned break_at)
{
	struct story *st = calloc(1, sizeof *st);
	unsigned steps;

	assert_non_null(st);
	st->what = what;
	st->break_at = break_at;
	pair_start(&st->pair, 77);
	st->alice = peer_start(&st->pair, "alice", NULL);
	st->bob = peer_start(&st->pair, "bob", NULL);
	st->victim = victim == 0 ? st->alice : st->bob;
	peer_connect(st->alice);
	peer_connect(st->bob);
	settle(st);
	chapter_create(st);
	chapter_invite(st);
	chapter_accept(st);
	chapter_talk(st, "first");
	chapter_topic(st);
	chapter_talk(st, "second");
	chapter_leave(st);
	check_nothing_odd(st);
	steps = st->step;
	pair_end(&st->pair);
	free(st);
	return steps;
}

/* Every fifth step, from another one in each test: bytes move in small pieces, so neighbours differ little.
 */
static void
tell_all(enum what what, int victim, unsigned first)
{
	const char *every = getenv("SESSION_EVERY");
	unsigned steps = tell(what, victim, 0), stride = every != NULL ? 1 : 5;

	assert_true(steps > 100);
	for (unsigned at = first; at <= steps; at += stride)
		(void)tell(what, victim, at);
	print_message("# %u steps\n", steps);
}

TEST(alice_is_cut_off)
{
	tell_all(CUT, 0, 1);
}

TEST(bob_is_cut_off)
{
	tell_all(CUT, 1, 2);
}

TEST(alice_is_killed)
{
	tell_all(KILL, 0, 3);
}

TEST(bob_is_killed)
{
	tell_all(KILL, 1, 4);
}

TEST(server_is_restarted)
{
	tell_all(RESTART_SERVER, 0, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alice_is_cut_off),
	    cmocka_unit_test(bob_is_cut_off),
	    cmocka_unit_test(alice_is_killed),
	    cmocka_unit_test(bob_is_killed),
	    cmocka_unit_test(server_is_restarted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
