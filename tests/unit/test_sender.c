/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The outbox: what is promised with QUEUED, what is sent again, what a copied storage does, when to give up.
 */

#include "engine_pair.h"

#include <stdio.h>

#include "proto/frame.h"
#include "proto/wire.h"

struct sender {
	struct pair pair;
	struct peer *alice, *bob;
	struct digest room;
	/* what answers to posts become */
	enum chat_err refuse;
	unsigned refusals; /* so many; UINT_MAX: all */
	bool swallow;      /* answers and entries do not arrive */
};

static bool
touch_posted(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct sender *x = pair->tamper_ctx;
	Chat__V1__ServerFrame with = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Error error = CHAT__V1__ERROR__INIT;
	const Chat__V1__ServerFrame *was;
	struct arena arena;

	if (tamper_peer(pair, conn) != x->alice)
		return true;
	if (x->swallow)
		return false;
	was = tamper_decode(&arena, *frame);
	if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_POSTED && x->refusals > 0) {
		x->refusals--;
		error.code = error_to_wire(x->refuse);
		error.retry_after_ms = 50;
		with.id = was->id;
		with.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
		with.error = &error;
		tamper_replace(frame, &with);
	}
	arena_fini(&arena);
	return true;
}

static void
start(struct sender *x)
{
	struct peer *peers[2];

	*x = (struct sender){0};
	pair_start(&x->pair, 31);
	x->alice = peers[0] = peer_start(&x->pair, "alice", NULL);
	x->bob = peers[1] = peer_start(&x->pair, "bob", NULL);
	x->room = pair_room(&x->pair, peers, 2);
	x->pair.tamper = touch_posted;
	x->pair.tamper_ctx = x;
}

TEST(queued_is_kept_sealed_and_sent_after_a_restart)
{
	static const char secret[] = "meet me at the pier";
	struct sender x;

	start(&x);
	peer_cut(x.alice);
	(void)peer_say(x.alice, &x.room, secret);
	assert_int_equal(peer_count(x.alice, CHAT_EVENT_QUEUED, NULL), 1);
	assert_int_equal(storage_memory_outbox_count(x.alice->st), 1);
	assert_false(storage_memory_contains(x.alice->st, BYTES_STR(secret)));
	peer_crash(x.alice);
	peer_connect(x.alice);
	pair_settle(&x.pair);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, secret), 1);
	assert_int_equal(storage_memory_outbox_count(x.alice->st), 0);
	assert_false(storage_memory_contains(x.alice->st, BYTES_STR(secret)));
	pair_end(&x.pair);
}

TEST(lost_answer_is_no_second_message)
{
	struct sender x;
	uint64_t token;

	for (int kill = 0; kill < 2; kill++) {
		start(&x);
		x.swallow = true;
		token = peer_say(x.alice, &x.room, "once");
		pair_settle(&x.pair);
		assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "once"), 1);
		assert_null(peer_done_of(x.alice, token));
		x.swallow = false;
		if (kill)
			peer_crash(x.alice);
		else
			peer_cut(x.alice);
		peer_connect(x.alice);
		pair_settle(&x.pair);
		if (!kill)
			(void)assert_done(x.alice, token, CHAT_OK);
		assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "once"), 1);
		assert_int_equal(peer_count(x.alice, CHAT_EVENT_MESSAGE, "once"), 1);
		assert_int_equal(storage_memory_outbox_count(x.alice->st), 0);
		pair_end(&x.pair);
	}
}

TEST(what_is_said_keeps_its_order)
{
	struct sender x;
	uint64_t tokens[50], last = 0;
	char text[32];

	start(&x);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "n %d", i);
		tokens[i] = peer_say(x.alice, &x.room, text);
		if (i == 20) { /* in the middle the room changes under it */
			uint64_t token;

			session_set_topic(x.alice->s, peer_done(x.alice, &token), &x.room, BYTES_STR("tea"),
			    pair_now(&x.pair));
		}
		if (i % 7 == 0)
			(void)pair_step(&x.pair);
	}
	pair_settle(&x.pair);
	for (int i = 0; i < 50; i++) {
		const struct told *done = assert_done(x.alice, tokens[i], CHAT_OK);

		assert_true(done->seq > last);
		last = done->seq;
	}
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, NULL), 50);
	pair_end(&x.pair);
}

TEST(busy_store_is_tried_again_with_the_same_bytes)
{
	static const enum chat_err passing[] = {CHAT_ERR_BUSY, CHAT_ERR_STORE_UNAVAILABLE, CHAT_ERR_RATE};
	struct sender x;
	uint64_t token;

	for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
		start(&x);
		/* The outcome is unknown: here it is in the log all the same. */
		x.refuse = passing[i];
		x.refusals = 2;
		token = peer_say(x.alice, &x.room, "patience");
		pair_pass(&x.pair, 10000);
		(void)assert_done(x.alice, token, CHAT_OK);
		assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "patience"), 1);
		pair_end(&x.pair);
	}
}

static bool
refuse_stale(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct sender *x = pair->tamper_ctx;
	const Chat__V1__ServerFrame *was;
	struct arena arena;
	bool is_entry;

	if (tamper_peer(pair, conn) != x->alice)
		return true;
	was = tamper_decode(&arena, *frame);
	/* The server took it, says stale, and does not send the entry either. */
	is_entry = was->body_case == CHAT__V1__SERVER_FRAME__BODY_ENTRY;
	arena_fini(&arena);
	return !is_entry && touch_posted(pair, conn, frame);
}

TEST(stale_without_a_reason_is_an_error_and_no_loop)
{
	struct sender x;
	uint64_t token;

	start(&x);
	x.pair.tamper = refuse_stale;
	x.refuse = CHAT_ERR_STALE;
	x.refusals = 1;
	x.pair.requests[REQUEST_POST_EVENTS] = 0;
	token = peer_say(x.alice, &x.room, "never");
	pair_settle(&x.pair);
	assert_null(peer_done_of(x.alice, token));
	pair_pass(&x.pair, 6000);
	(void)assert_done(x.alice, token, CHAT_ERR_STALE);
	assert_int_equal(x.pair.requests[REQUEST_POST_EVENTS], 0);
	assert_int_equal(x.pair.requests[REQUEST_POST_MESSAGE], 1);
	assert_int_equal(storage_memory_outbox_count(x.alice->st), 0);
	pair_end(&x.pair);
}

TEST(text_that_cannot_be_sent)
{
	static char longest[CHAT_TEXT_MAX + 1];
	struct sender x;
	uint64_t empty, invalid, too_long, fits, nowhere;
	struct digest none = {{1}};
	struct now now;

	start(&x);
	now = pair_now(&x.pair);
	memset(longest, 'x', sizeof longest);
	session_send(x.alice->s, peer_done(x.alice, &empty), &x.room, BYTES_EMPTY, now);
	session_send(x.alice->s, peer_done(x.alice, &invalid), &x.room, BYTES_STR("\xff"), now);
	session_send(x.alice->s, peer_done(x.alice, &too_long), &x.room, BYTES_ARRAY(longest), now);
	session_send(x.alice->s, peer_done(x.alice, &fits), &x.room, BYTES(longest, CHAT_TEXT_MAX), now);
	session_send(x.alice->s, peer_done(x.alice, &nowhere), &none, BYTES_STR("hello"), now);
	pair_settle(&x.pair);
	(void)assert_done(x.alice, empty, CHAT_ERR_INVALID);
	(void)assert_done(x.alice, invalid, CHAT_ERR_INVALID);
	(void)assert_done(x.alice, too_long, CHAT_ERR_TOO_LONG);
	(void)assert_done(x.alice, fits, CHAT_OK);
	(void)assert_done(x.alice, nowhere, CHAT_ERR_NOT_FOUND);
	pair_end(&x.pair);
}

TEST(removed_while_it_waits)
{
	struct account_name name;
	uint64_t token, kick;
	struct sender x;

	start(&x);
	peer_cut(x.bob);
	token = peer_say(x.bob, &x.room, "too late");
	assert_ok(account_name_set(BYTES_STR("bob"), &name));
	session_kick(x.alice->s, peer_done(x.alice, &kick), &x.room, &name, pair_now(&x.pair));
	pair_settle(&x.pair);
	(void)assert_done(x.alice, kick, CHAT_OK);
	peer_connect(x.bob);
	pair_settle(&x.pair);
	(void)assert_done(x.bob, token, CHAT_ERR_NOT_ALLOWED);
	assert_int_equal(storage_memory_outbox_count(x.bob->st), 0);
	assert_int_equal(peer_count(x.alice, CHAT_EVENT_MESSAGE, NULL), 0);
	pair_end(&x.pair);
}

/* ---- copies of a storage ---- */

/* A virtual machine was cloned: two programs with one device id. */
TEST(cloned_storage_takes_a_new_device)
{
	struct device_id one, two;
	struct peer *clone;
	uint64_t first, second;
	struct sender x;

	start(&x);
	first = peer_say(x.alice, &x.room, "before the clone");
	pair_settle(&x.pair);
	(void)assert_done(x.alice, first, CHAT_OK);
	peer_cut(x.alice);
	clone = peer_start(&x.pair, "alice", storage_memory_copy(x.alice->st));
	/* Both say something at once, with the same number. */
	first = peer_say(x.alice, &x.room, "from one");
	second = peer_say(clone, &x.room, "from the other");
	peer_connect(x.alice);
	peer_connect(clone);
	pair_pass(&x.pair, 10000);
	(void)assert_done(x.alice, first, CHAT_OK);
	(void)assert_done(clone, second, CHAT_OK);
	for (int i = 0; i < 3; i++) {
		first = peer_say(x.alice, &x.room, "on");
		second = peer_say(clone, &x.room, "and on");
		pair_pass(&x.pair, 3000);
		(void)assert_done(x.alice, first, CHAT_OK);
		(void)assert_done(clone, second, CHAT_OK);
	}
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "from one"), 1);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "from the other"), 1);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "on"), 3);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "and on"), 3);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_WARNING, NULL), 0);
	x.alice->st->ops->get_device(x.alice->st, &one);
	clone->st->ops->get_device(clone->st, &two);
	assert_memory_not_equal(&one, &two, sizeof one);
	assert_true(
	    peer_count(x.alice, CHAT_EVENT_WARNING, NULL) + peer_count(clone, CHAT_EVENT_WARNING, NULL) >= 1);
	pair_end(&x.pair);
}

/* An old backup of the storage comes back: its numbers were used since. */
TEST(restored_storage_takes_a_new_device)
{
	struct storage *backup;
	struct peer *restored;
	struct device_id was, is;
	struct sender x;
	uint64_t token;

	start(&x);
	backup = storage_memory_copy(x.alice->st);
	backup->ops->get_device(backup, &was);
	for (int i = 0; i < 3; i++) {
		token = peer_say(x.alice, &x.room, "since");
		pair_settle(&x.pair);
		(void)assert_done(x.alice, token, CHAT_OK);
	}
	peer_cut(x.alice);
	restored = peer_start(&x.pair, "alice", backup);
	token = peer_say(restored, &x.room, "from the past"); /* before it hears of the others */
	peer_connect(restored);
	pair_pass(&x.pair, 3000);
	(void)assert_done(restored, token, CHAT_OK);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "since"), 3);
	assert_int_equal(peer_count(x.bob, CHAT_EVENT_MESSAGE, "from the past"), 1);
	assert_int_equal(peer_count(restored, CHAT_EVENT_MESSAGE, "since"), 3);
	restored->st->ops->get_device(restored->st, &is);
	assert_memory_not_equal(&was, &is, sizeof is);
	pair_end(&x.pair);
}

/* ---- what the server stores ---- */

struct wires {
	struct buf wire[2];
	size_t count;
};

static bool
keep_message(void *ctx, const struct store_entry *entry)
{
	struct wires *wires = ctx;

	if (entry->kind == ENTRY_MESSAGE && wires->count < 2)
		assert_ok(buf_append(&wires->wire[wires->count++], entry->wire.data, entry->wire.len));
	return true;
}

TEST(equal_texts_share_no_bytes)
{
	struct wires wires = {0};
	struct message one, two;
	struct store_room stored;
	struct sender x;

	start(&x);
	(void)peer_say(x.alice, &x.room, "the same");
	pair_settle(&x.pair);
	(void)peer_say(x.alice, &x.room, "the same");
	pair_settle(&x.pair);
	assert_ok(store_room_by_id(x.pair.w.store, &x.room, &stored));
	assert_ok(
	    store_reader_range(x.pair.reader, stored.room_no, 1, stored.head.seq, keep_message, &wires));
	assert_int_equal(wires.count, 2);
	assert_ok(message_decode(buf_bytes(&wires.wire[0]), &one));
	assert_ok(message_decode(buf_bytes(&wires.wire[1]), &two));
	assert_int_equal(one.ct.len, two.ct.len);
	for (size_t i = 0; i + 16 <= one.ct.len; i += 16)
		assert_memory_not_equal(one.ct.data + i, two.ct.data + i, 16);
	buf_fini(&wires.wire[0]);
	buf_fini(&wires.wire[1]);
	pair_end(&x.pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queued_is_kept_sealed_and_sent_after_a_restart),
	    cmocka_unit_test(lost_answer_is_no_second_message),
	    cmocka_unit_test(what_is_said_keeps_its_order),
	    cmocka_unit_test(busy_store_is_tried_again_with_the_same_bytes),
	    cmocka_unit_test(stale_without_a_reason_is_an_error_and_no_loop),
	    cmocka_unit_test(text_that_cannot_be_sent),
	    cmocka_unit_test(removed_while_it_waits),
	    cmocka_unit_test(cloned_storage_takes_a_new_device),
	    cmocka_unit_test(restored_storage_takes_a_new_device),
	    cmocka_unit_test(equal_texts_share_no_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
