/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a program may ask for: how each request ends, and with which words. */

#include "engine_pair.h"

#include <stdio.h>

struct ops {
	struct pair pair;
	struct peer *alice, *bob;
};

static void
start(struct ops *o)
{
	pair_start(&o->pair, 51);
	o->alice = peer_start(&o->pair, "alice", NULL);
	o->bob = peer_start(&o->pair, "bob", NULL);
	peer_connect(o->alice);
	peer_connect(o->bob);
	pair_settle(&o->pair);
}

static struct account_name
account(const char *name)
{
	struct account_name ret;

	assert_ok(account_name_set(BYTES_STR(name), &ret));
	return ret;
}

static uint64_t
invite(struct ops *o, struct peer *peer, const struct digest *room, const char *const *names, size_t count)
{
	struct account_name list[8];
	uint64_t token;

	for (size_t i = 0; i < count; i++)
		list[i] = account(names[i]);
	session_invite(peer->s, peer_done(peer, &token), room, list, count, pair_now(&o->pair));
	pair_settle(&o->pair);
	return token;
}

/* ---- direct rooms ---- */

TEST(direct_room_is_made_and_found)
{
	struct account_name bob = account("bob"), alice = account("alice");
	const struct told *done;
	struct digest room;
	struct ops o;
	uint64_t token;

	start(&o);
	session_direct(o.alice->s, peer_done(o.alice, &token), &bob, pair_now(&o.pair));
	pair_settle(&o.pair);
	done = assert_done(o.alice, token, CHAT_OK);
	room = done->room;
	assert_string_equal(done->label, "@bob");
	assert_string_equal(peer_told(o.bob, CHAT_EVENT_ROOM_ADDED)->label, "@alice");
	/* Both are in it from the start; neither has to accept. */
	(void)peer_say(o.bob, &room, "hello");
	pair_settle(&o.pair);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_MESSAGE, "hello"), 1);
	/* Asked for again, by either, it is that one. */
	session_direct(o.bob->s, peer_done(o.bob, &token), &alice, pair_now(&o.pair));
	pair_settle(&o.pair);
	done = assert_done(o.bob, token, CHAT_OK);
	assert_true(digest_equal(&done->room, &room));
	session_direct(o.bob->s, peer_done(o.bob, &token), &bob, pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.bob, token, CHAT_ERR_INVALID);
	pair_end(&o.pair);
}

TEST(two_direct_rooms_at_once_become_the_lower)
{
	struct account_name bob = account("bob"), alice = account("alice");
	struct digest one, two;
	uint64_t tokens[2];
	struct ops o;

	start(&o);
	session_direct(o.alice->s, peer_done(o.alice, &tokens[0]), &bob, pair_now(&o.pair));
	session_direct(o.bob->s, peer_done(o.bob, &tokens[1]), &alice, pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.alice, tokens[0], CHAT_OK);
	(void)assert_done(o.bob, tokens[1], CHAT_OK);
	/* Whatever each got, from now on both find the same. */
	session_direct(o.alice->s, peer_done(o.alice, &tokens[0]), &bob, pair_now(&o.pair));
	session_direct(o.bob->s, peer_done(o.bob, &tokens[1]), &alice, pair_now(&o.pair));
	pair_settle(&o.pair);
	one = assert_done(o.alice, tokens[0], CHAT_OK)->room;
	two = assert_done(o.bob, tokens[1], CHAT_OK)->room;
	assert_true(digest_equal(&one, &two));
	pair_end(&o.pair);
}

TEST(direct_with_who_is_not_there)
{
	struct account_name carol = account("carol"), nobody = account("nobody");
	uint64_t tokens[2];
	struct ops o;

	start(&o);
	session_direct(o.alice->s, peer_done(o.alice, &tokens[0]), &carol, pair_now(&o.pair));
	session_direct(o.alice->s, peer_done(o.alice, &tokens[1]), &nobody, pair_now(&o.pair));
	pair_settle(&o.pair);
	assert_non_null(strstr(assert_done(o.alice, tokens[0], CHAT_ERR_NO_IDENTITY)->text, "carol"));
	(void)assert_done(o.alice, tokens[1], CHAT_ERR_NO_ACCOUNT);
	pair_end(&o.pair);
}

/* ---- invitations ---- */

TEST(several_are_invited_with_one_rekey)
{
	static const char *const names[] = {"bob", "carol", "dave", "bob"};
	struct peer *carol, *dave;
	struct digest room;
	struct ops o;

	start(&o);
	carol = peer_start(&o.pair, "carol", NULL);
	dave = peer_start(&o.pair, "dave", NULL);
	peer_connect(carol);
	peer_connect(dave);
	pair_settle(&o.pair);
	room = peer_create(o.alice, "ops");
	peer_forget(o.alice);
	(void)assert_done(o.alice, invite(&o, o.alice, &room, names, ARRAY_LEN(names)), CHAT_OK);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_INVITED, NULL), 3);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_REKEYED, NULL), 1);
	assert_int_equal(
	    peer_count(carol, CHAT_EVENT_INVITED, NULL), 2); /* her own, and who came after her */
	peer_accept(o.bob, &room);
	peer_accept(carol, &room);
	/* Once more is no error of anybody's. */
	(void)assert_done(o.alice, invite(&o, o.alice, &room, names, 1), CHAT_ERR_ALREADY);
	pair_end(&o.pair);
}

TEST(invitation_waits_for_an_identity)
{
	static const char *const names[] = {"bob", "carol", "nobody"};
	const struct told *done;
	struct peer *carol;
	struct digest room;
	struct ops o;

	start(&o);
	room = peer_create(o.alice, "ops");
	done = assert_done(o.alice, invite(&o, o.alice, &room, names, 2), CHAT_ERR_NO_IDENTITY);
	assert_non_null(strstr(done->text, "carol"));
	assert_null(strstr(done->text, "bob"));
	assert_int_equal(peer_count(o.bob, CHAT_EVENT_INVITED, NULL), 1);
	done = assert_done(o.alice, invite(&o, o.alice, &room, names, 3), CHAT_ERR_NO_ACCOUNT);
	assert_non_null(strstr(done->text, "nobody: no such account"));
	assert_non_null(strstr(done->text, "carol: never logged in"));
	/* She comes: it is sent by itself. */
	carol = peer_start(&o.pair, "carol", NULL);
	peer_connect(carol);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(carol, CHAT_EVENT_INVITED, NULL), 1);
	peer_accept(carol, &room);
	pair_end(&o.pair);
}

TEST(kept_invitation_outlives_the_program)
{
	static const char *const names[] = {"carol"};
	struct peer *carol;
	struct digest room;
	struct ops o;

	start(&o);
	room = peer_create(o.alice, "ops");
	(void)assert_done(o.alice, invite(&o, o.alice, &room, names, 1), CHAT_ERR_NO_IDENTITY);
	peer_crash(o.alice);
	carol = peer_start(&o.pair, "carol", NULL);
	peer_connect(carol);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(carol, CHAT_EVENT_INVITED, NULL), 0);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(carol, CHAT_EVENT_INVITED, NULL), 1);
	/* And not once more. */
	peer_crash(o.alice);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_WARNING, NULL), 0);
	pair_end(&o.pair);
}

TEST(invited_while_away)
{
	static const char *const names[] = {"bob"};
	struct digest room;
	uint64_t token;
	struct ops o;

	start(&o);
	peer_cut(o.bob);
	room = peer_create(o.alice, "ops");
	(void)assert_done(o.alice, invite(&o, o.alice, &room, names, 1), CHAT_OK);
	token = peer_say(o.alice, &room, "are you there?");
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_OK);
	peer_connect(o.bob);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(o.bob, CHAT_EVENT_INVITED, NULL), 1);
	assert_string_equal(peer_told(o.bob, CHAT_EVENT_INVITED)->label, "ops");
	peer_accept(o.bob, &room);
	assert_int_equal(peer_count(o.bob, CHAT_EVENT_MESSAGE, "are you there?"), 1);
	pair_end(&o.pair);
}

/* ---- refusals ---- */

TEST(refusals_say_why)
{
	static const char *const names[] = {"bob"};
	struct account_name bob = account("bob"), carol = account("carol");
	struct digest room, none = {{9}};
	uint64_t t[12];
	struct now now;
	struct ops o;

	start(&o);
	room = peer_create(o.alice, "ops");
	(void)assert_done(o.alice, invite(&o, o.alice, &room, names, 1), CHAT_OK);
	now = pair_now(&o.pair);
	session_leave(o.bob->s, peer_done(o.bob, &t[0]), &room, now); /* invited: declines instead */
	session_send(o.bob->s, peer_done(o.bob, &t[1]), &room, BYTES_STR("hi"), now);
	session_accept(o.alice->s, peer_done(o.alice, &t[2]), &room, now); /* is in it */
	session_decline(o.alice->s, peer_done(o.alice, &t[3]), &room, now);
	session_kick(o.alice->s, peer_done(o.alice, &t[4]), &room, &carol, now);
	session_set_role(o.alice->s, peer_done(o.alice, &t[5]), &room, &bob, 9, now);
	session_create(o.alice->s, peer_done(o.alice, &t[6]), BYTES_STR(" padded"), now);
	session_set_name(o.alice->s, peer_done(o.alice, &t[7]), &room, BYTES_STR("a\nb"), now);
	session_accept(o.alice->s, peer_done(o.alice, &t[8]), &none, now);
	session_history(o.alice->s, peer_done(o.alice, &t[9]), &room, 0, now);
	session_leave(o.alice->s, peer_done(o.alice, &t[10]), &room, now); /* the only owner */
	session_kick(o.bob->s, peer_done(o.bob, &t[11]), &room, &bob, now);
	pair_settle(&o.pair);
	assert_string_equal(assert_done(o.bob, t[0], CHAT_ERR_NOT_ALLOWED)->mend, "/decline");
	assert_string_equal(assert_done(o.bob, t[1], CHAT_ERR_NOT_ALLOWED)->mend, "/accept");
	(void)assert_done(o.alice, t[2], CHAT_ERR_ALREADY);
	assert_string_equal(assert_done(o.alice, t[3], CHAT_ERR_NOT_ALLOWED)->mend, "/leave");
	assert_non_null(strstr(assert_done(o.alice, t[4], CHAT_ERR_NOT_FOUND)->text, "carol"));
	(void)assert_done(o.alice, t[5], CHAT_ERR_INVALID);
	(void)assert_done(o.alice, t[6], CHAT_ERR_INVALID);
	(void)assert_done(o.alice, t[7], CHAT_ERR_INVALID);
	(void)assert_done(o.alice, t[8], CHAT_ERR_NOT_FOUND);
	(void)assert_done(o.alice, t[9], CHAT_ERR_INVALID);
	assert_non_null(strstr(assert_done(o.alice, t[10], CHAT_ERR_NOT_ALLOWED)->mend, "/role"));
	(void)assert_done(o.bob, t[11], CHAT_ERR_NOT_ALLOWED);
	/* Nothing of it went to the server. */
	pair_end(&o.pair);
}

TEST(roles_are_given)
{
	static const char *const names[] = {"bob"};
	struct account_name bob = account("bob");
	struct chat_member_list *list;
	struct digest room;
	uint64_t token;
	struct ops o;

	start(&o);
	room = peer_create(o.alice, "ops");
	(void)assert_done(o.alice, invite(&o, o.alice, &room, names, 1), CHAT_OK);
	peer_accept(o.bob, &room);
	session_set_role(o.alice->s, peer_done(o.alice, &token), &room, &bob, 3, pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_OK);
	assert_int_equal(peer_told(o.bob, CHAT_EVENT_ROLE)->number, 3);
	assert_true(peer_told(o.bob, CHAT_EVENT_ROLE)->target_self);
	assert_ok(session_members(o.bob->s, &room, &list));
	assert_int_equal(list->count, 2);
	assert_string_equal(list->member[0].account, "alice");
	assert_string_equal(list->member[1].account, "bob");
	assert_int_equal(list->member[1].role, 3);
	assert_true(list->member[1].self);
	chat_member_list_free(list);
	session_set_role(o.alice->s, peer_done(o.alice, &token), &room, &bob, 3, pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_ERR_ALREADY);
	/* Now she may go. */
	session_leave(o.alice->s, peer_done(o.alice, &token), &room, pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_OK);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_ROOM_GONE, NULL), 1);
	pair_end(&o.pair);
}

/* ---- the rest ---- */

static void
check_online(struct chat_event *event, unsigned *seen)
{
	size_t count;
	const struct chat_online *online = chat_event_online(event, &count);

	if (chat_event_type(event) != CHAT_EVENT_DONE)
		return;
	assert_int_equal(chat_event_err(event), CHAT_OK);
	assert_int_equal(count, 2);
	assert_string_equal(online[0].account, "alice");
	assert_int_equal(online[0].sessions, 1);
	assert_string_equal(online[1].account, "bob");
	assert_true(online[1].since_unix_ms > 0);
	(*seen)++;
}

TEST(who_is_online)
{
	struct chat_event *event;
	unsigned seen = 0;
	uint64_t token;
	struct ops o;

	start(&o);
	session_who(o.alice->s, peer_done(o.alice, &token), pair_now(&o.pair));
	/* By hand, for the list is in the event itself. */
	while (seen == 0) {
		struct bytes out = session_output(o.alice->s);

		if (out.len > 0) {
			assert_ok(buf_append(&o.pair.conns[o.alice->conn].in, out.data, out.len));
			session_sent(o.alice->s, out.len);
		}
		o.alice->deaf = true;
		(void)pair_step(&o.pair);
		while ((event = session_next_event(o.alice->s)) != NULL) {
			check_online(event, &seen);
			chat_event_free(event);
		}
	}
	pair_end(&o.pair);
}

TEST(requests_wait_for_the_connection)
{
	uint64_t token;
	struct ops o;

	start(&o);
	peer_cut(o.alice);
	session_create(o.alice->s, peer_done(o.alice, &token), BYTES_STR("later"), pair_now(&o.pair));
	pair_settle(&o.pair);
	assert_null(peer_done_of(o.alice, token));
	peer_connect(o.alice);
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_OK);
	pair_end(&o.pair);
}

TEST(abandoned_requests_end)
{
	struct digest room;
	uint64_t tokens[3];
	struct ops o;

	start(&o);
	room = peer_create(o.alice, "ops");
	peer_cut(o.alice);
	session_create(o.alice->s, peer_done(o.alice, &tokens[0]), BYTES_STR("never"), pair_now(&o.pair));
	session_who(o.alice->s, peer_done(o.alice, &tokens[1]), pair_now(&o.pair));
	tokens[2] = peer_say(o.alice, &room, "kept");
	session_abandon(o.alice->s, CHAT_ERR_CLOSED);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	for (int i = 0; i < 3; i++)
		(void)assert_done(o.alice, tokens[i], CHAT_ERR_CLOSED);
	/* The text was in the outbox, and is sent. */
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_MESSAGE, "kept"), 1);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_ROOM_ADDED, NULL), 1);
	pair_end(&o.pair);
}

TEST(too_many_requests_are_refused)
{
	uint64_t token = 0;
	struct ops o;

	start(&o);
	peer_cut(o.alice);
	for (int i = 0; i < 1001; i++)
		session_who(o.alice->s, peer_done(o.alice, &token), pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_ERR_LIMIT);
	pair_end(&o.pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(direct_room_is_made_and_found),
	    cmocka_unit_test(two_direct_rooms_at_once_become_the_lower),
	    cmocka_unit_test(direct_with_who_is_not_there),
	    cmocka_unit_test(several_are_invited_with_one_rekey),
	    cmocka_unit_test(invitation_waits_for_an_identity),
	    cmocka_unit_test(kept_invitation_outlives_the_program),
	    cmocka_unit_test(invited_while_away),
	    cmocka_unit_test(refusals_say_why),
	    cmocka_unit_test(roles_are_given),
	    cmocka_unit_test(who_is_online),
	    cmocka_unit_test(requests_wait_for_the_connection),
	    cmocka_unit_test(abandoned_requests_end),
	    cmocka_unit_test(too_many_requests_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
