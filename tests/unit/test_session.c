/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A session from its hello to its end: login, first identity, what is kept of it, pings. */

#include "engine_pair.h"

TEST(first_login_makes_an_identity)
{
	struct pair pair;
	struct peer *alice;

	pair_start(&pair, 1);
	alice = peer_start(&pair, "alice", NULL);
	peer_connect(alice);
	pair_settle(&pair);
	assert_int_equal(peer_count(alice, CHAT_EVENT_PASSWORD_NEEDED, NULL), 1);
	assert_int_equal(peer_count(alice, CHAT_EVENT_CONNECTED, NULL), 1);
	assert_int_equal(peer_count(alice, CHAT_EVENT_SYNCED, NULL), 1);
	pair_end(&pair);
}

TEST(a_room_of_three_talks)
{
	struct pair pair;
	struct peer *peers[3];
	struct digest room;
	uint64_t token;

	pair_start(&pair, 2);
	peers[0] = peer_start(&pair, "alice", NULL);
	peers[1] = peer_start(&pair, "bob", NULL);
	peers[2] = peer_start(&pair, "carol", NULL);
	room = pair_room(&pair, peers, 3);
	token = peer_say(peers[1], &room, "hello");
	pair_settle(&pair);
	(void)assert_done(peers[1], token, CHAT_OK);
	for (int i = 0; i < 3; i++) {
		if (peer_count(peers[i], CHAT_EVENT_MESSAGE, "hello") != 1)
			peer_print(peers[i]);
		assert_int_equal(peer_count(peers[i], CHAT_EVENT_MESSAGE, "hello"), 1);
	}
	pair_end(&pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_login_makes_an_identity),
	    cmocka_unit_test(a_room_of_three_talks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
