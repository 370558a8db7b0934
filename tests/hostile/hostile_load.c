/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Peers that take more than their share: who ask faster than they can be answered, and who do not read what
 * they are told.  The server's memory stays bounded, everybody else gets everything at once, and who comes
 * back to reading has lost nothing.
 */

#include "stage.h"

#include "proto/frame.h"
#include "proto/wire.h"

#define MIB ((size_t)1024 * 1024)

static struct person mallory, alf, bea;

static int
set_up(void **state)
{
	static const char *const accounts[] = {"mallory", "alf", "bea", NULL};

	(void)state;
	stage_up("loops = 2\n", accounts);
	crowd_join(host, &mallory, "mallory");
	crowd_join(host, &alf, "alf");
	crowd_join(host, &bea, "bea");
	return 0;
}

/* A room with the three of them. */
struct trio {
	struct known_room room;
	struct peer alf, bea, mallory;
};

static void
trio_open(struct trio *trio)
{
	struct peer *const others[] = {&trio->bea, &trio->mallory};

	alf.counter = bea.counter = mallory.counter = 0;
	peer_login(&trio->alf, host, &alf);
	peer_login(&trio->bea, host, &bea);
	peer_login_narrow(&trio->mallory, host, &mallory);
	room_make(&trio->room, &trio->alf, others, 2);
	room_follow(&trio->room, &trio->alf);
	room_follow(&trio->room, &trio->bea);
}

static void
trio_close(struct trio *trio)
{
	assert_ok(room_say(&trio->room, &trio->alf, "hush, still here"));
	room_caught_up(&trio->room, &trio->alf);
	room_caught_up(&trio->room, &trio->bea);
	peer_close(&trio->alf);
	peer_close(&trio->bea);
	peer_close(&trio->mallory);
	known_room_fini(&trio->room);
}

/* How much more memory the server has than `before`, unless that means nothing. */
static void
assert_grew_less(size_t before, size_t by)
{
	size_t now = host_rss_bytes(host);

	print_message("# %zu KiB more\n", now > before ? (now - before) / 1024 : 0);
	if (!host_is_sanitized())
		assert_true(now < before + by);
}

/* ---- asking too much ---- */

/* More requests at once than may be under way: they wait, and are answered, each once, in their order. */
ATTACK(more_requests_than_may_be_under_way)
{
	enum { COUNT = 10 * REQUESTS_UNDER_WAY + 1 };
	Chat__V1__GetRooms rooms = CHAT__V1__GET_ROOMS__INIT;
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;
	struct buf frames = {0};
	uint64_t ids[COUNT];
	struct peer peer;

	peer_login(&peer, host, &mallory);
	for (unsigned i = 0; i < COUNT; i++)
		ids[i] = peer_encode(&peer, REQUEST(GET_ROOMS), &rooms.base, &frames);
	peer_send_bytes(&peer, buf_bytes(&frames));
	for (unsigned i = 0; i < COUNT; i++)
		assert_answer(peer_answer(&peer, ids[i]), ANSWER(ROOMS));
	buf_clear(&frames);
	/* Those that are answered without asking anybody else. */
	for (unsigned i = 0; i < COUNT; i++)
		ids[i] = peer_encode(&peer, REQUEST(PING), &ping.base, &frames);
	peer_send_bytes(&peer, buf_bytes(&frames));
	for (unsigned i = 0; i < COUNT; i++)
		assert_answer(peer_answer(&peer, ids[i]), ANSWER(PONG));
	peer_close(&peer);
	buf_fini(&frames);
}

/* All messages of a minute in one go: each is taken, in order. */
ATTACK(posts_in_one_go)
{
	enum { COUNT = 500 };
	Chat__V1__PostMessage post = CHAT__V1__POST_MESSAGE__INIT;
	struct buf frames = {0}, wire = {0};
	struct message_header header;
	uint64_t ids[COUNT];
	struct trio trio;

	trio_open(&trio);
	header = kit_header(trio.room.roster, &mallory);
	post.room_id = wire_from_digest(room_id_of(&trio.room));
	for (unsigned i = 0; i < COUNT; i++) {
		buf_clear(&wire);
		assert_ok(message_seal(&trio.room.key, &header, BYTES_STR("hush, a flood"),
		    &mallory.identity.sign, &random_kernel, &wire));
		post.message = wire_from_bytes(buf_bytes(&wire));
		ids[i] = peer_encode(&trio.mallory, REQUEST(POST_MESSAGE), &post.base, &frames);
		header.counter++;
	}
	peer_send_bytes(&trio.mallory, buf_bytes(&frames));
	witness_check(&witness);
	for (unsigned i = 0; i < COUNT; i++) {
		const Chat__V1__ServerFrame *answer = peer_answer(&trio.mallory, ids[i]);

		assert_answer(answer, ANSWER(POSTED));
		assert_int_equal(answer->posted->first_seq, room_head(&trio.room) + 1 + i);
	}
	/* The others have it all, and the same. */
	peer_wait_entries(&trio.alf, room_id_of(&trio.room), room_head(&trio.room) + COUNT);
	peer_wait_entries(&trio.bea, room_id_of(&trio.room), room_head(&trio.room) + COUNT);
	assert_true(log_head_equal(&peer_room(&trio.alf, room_id_of(&trio.room))->head,
	    &peer_room(&trio.bea, room_id_of(&trio.room))->head));
	buf_fini(&frames);
	buf_fini(&wire);
	peer_close(&trio.alf);
	peer_close(&trio.bea);
	peer_close(&trio.mallory);
	known_room_fini(&trio.room);
}

/* ---- not reading ---- */

/* The longest text that there is. */
static const char *
long_text(void)
{
	static char text[MESSAGE_TEXT_MAX + 1];

	memset(text, 'x', MESSAGE_TEXT_MAX);
	memcpy(text, "hush", 4);
	return text;
}

#define LONG_MESSAGES 1500 /* 16 KiB and more each: 25 MiB */

ATTACK(a_reader_that_does_not_read)
{
	size_t before;
	struct trio trio;

	trio_open(&trio);
	room_follow(&trio.room, &trio.mallory);
	for (unsigned i = 0; i < LONG_MESSAGES / 2; i++)
		assert_ok(room_say(&trio.room, &trio.alf, long_text()));
	/* The caches of the database are full before anything is measured. */
	for (unsigned i = 0; i < 4; i++) {
		struct peer again;

		peer_login(&again, host, &bea);
		room_follow(&trio.room, &again);
		peer_close(&again);
	}
	before = host_rss_bytes(host);
	for (unsigned i = 0; i < LONG_MESSAGES / 2; i++) {
		assert_ok(room_say(&trio.room, &trio.alf, long_text()));
		if (i % 50 == 0) {
			room_caught_up(&trio.room, &trio.bea);
			witness_check(&witness);
		}
	}
	room_caught_up(&trio.room, &trio.alf);
	room_caught_up(&trio.room, &trio.bea);
	assert_grew_less(before, 8 * MIB);
	/* And now it reads: all of it, in order, each once. */
	room_caught_up(&trio.room, &trio.mallory);
	assert_int_equal(peer_room(&trio.mallory, room_id_of(&trio.room))->stubs, 0);
	trio_close(&trio);
}

/* Asks, and does not read the answers: then it is not listened to any more, until it does. */
ATTACK(an_asker_that_does_not_read)
{
	enum { COUNT = 2000 }; /* answers of 64 KiB: 125 MiB, if they were all made at once */
	Chat__V1__GetHistory history = CHAT__V1__GET_HISTORY__INIT;
	bool *answered = calloc(COUNT, sizeof(*answered));
	struct buf frames = {0};
	uint64_t first_id, until_ms;
	struct trio trio;
	size_t before;

	assert_non_null(answered);
	trio_open(&trio);
	for (unsigned i = 0; i < 10; i++)
		assert_ok(room_say(&trio.room, &trio.alf, long_text()));
	history.room_id = wire_from_digest(room_id_of(&trio.room));
	history.before_seq = room_head(&trio.room) + 1;
	history.limit = HISTORY_LIMIT_MAX;
	first_id = trio.mallory.last_id + 1;
	for (unsigned i = 0; i < COUNT; i++)
		(void)peer_encode(&trio.mallory, REQUEST(GET_HISTORY), &history.base, &frames);
	before = host_rss_bytes(host);
	peer_send_bytes(&trio.mallory, buf_bytes(&frames));
	/* Long enough to answer them all, if it did. */
	until_ms = host_now_ms() + 500;
	while (host_now_ms() < until_ms)
		witness_check(&witness);
	assert_grew_less(before, 8 * MIB);
	/* It listens again as soon as it is read. */
	for (unsigned i = 0; i < COUNT; i++) {
		const Chat__V1__ServerFrame *answer = peer_next_answer(&trio.mallory);

		assert_non_null(answer);
		assert_answer(answer, ANSWER(HISTORY));
		/* Several are read at once, so they may overtake each other. */
		assert_in_range(answer->id, first_id, first_id + COUNT - 1);
		assert_false(answered[answer->id - first_id]);
		answered[answer->id - first_id] = true;
	}
	buf_fini(&frames);
	free(answered);
	trio_close(&trio);
}

/* What is told without being asked, and cannot wait in the database: who does not read it is closed. */
ATTACK(pushes_that_nobody_reads)
{
	enum { ROUND = 1000 };
	Chat__V1__SetCursor cursor = CHAT__V1__SET_CURSOR__INIT;
	struct buf frames = {0};
	uint64_t ids[ROUND], until_ms = host_now_ms() + host_patience_ms();
	struct trio trio;
	struct peer other;
	unsigned rounds = 0;

	if (host_is_sanitized()) {
		print_message("# too slow with a sanitizer\n");
		skip();
	}
	trio_open(&trio);
	peer_login(&other, host, &mallory);
	cursor.room_id = wire_from_digest(room_id_of(&trio.room));
	/* Each moves the cursor in the account's other session. */
	while (host_log_count(host, " disconnected ", " account=mallory ", "reason=too_slow", NULL) == 0) {
		assert_true(host_now_ms() < until_ms);
		buf_clear(&frames);
		for (unsigned i = 0; i < ROUND; i++) {
			cursor.seq = 1 + i % 2;
			ids[i] = peer_encode(&other, REQUEST(SET_CURSOR), &cursor.base, &frames);
		}
		peer_send_bytes(&other, buf_bytes(&frames));
		for (unsigned i = 0; i < ROUND; i++)
			assert_answer(peer_answer(&other, ids[i]), ANSWER(OK));
		rounds++;
	}
	print_message("# after %u pushes\n", rounds * ROUND);
	while (peer_next(&trio.mallory) != NULL)
		;
	peer_ping(&other);
	peer_close(&other);
	buf_fini(&frames);
	trio_close(&trio);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(more_requests_than_may_be_under_way),
	    cmocka_unit_test(posts_in_one_go),
	    cmocka_unit_test(a_reader_that_does_not_read),
	    cmocka_unit_test(an_asker_that_does_not_read),
	    cmocka_unit_test(pushes_that_nobody_reads),
	    cmocka_unit_test(nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
