/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The epochs' keys: what is said when one is missing, whose fault it is, and how it comes after all. */

#include "engine_pair.h"

#include "proto/frame.h"
#include "proto/wire.h"

struct keys {
	struct pair pair;
	struct peer *alice, *bob, *carol;
	struct digest room;
	/* what is done to wraps for bob */
	bool withhold, spoil, rewraps_too;
	unsigned touched;
};

static bool
touch_wraps(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	struct keys *k = pair->tamper_ctx;
	const Chat__V1__ServerFrame *was;
	const Chat__V1__Wraps *wraps = NULL;
	struct arena arena;

	if (tamper_peer(pair, conn) != k->bob || (!k->withhold && !k->spoil))
		return true;
	was = tamper_decode(&arena, *frame);
	if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH)
		wraps = was->wraps_push;
	else if (was->body_case == CHAT__V1__SERVER_FRAME__BODY_WRAPS)
		wraps = was->wraps;
	for (size_t i = 0; wraps != NULL && i < wraps->n_epoch; i++) {
		Chat__V1__EpochWraps *epoch = wraps->epoch[i];

		if (epoch->wrap.len > 0) {
			k->touched++;
			if (k->spoil)
				epoch->wrap.data[100] ^= 1;
			else
				epoch->wrap.len = 0;
		}
		if (k->rewraps_too)
			epoch->n_rewrap = 0;
	}
	if (wraps != NULL)
		tamper_replace(frame, was);
	arena_fini(&arena);
	return true;
}

static void
start(struct keys *k)
{
	struct peer *peers[3];

	*k = (struct keys){0};
	pair_start(&k->pair, 21);
	k->alice = peers[0] = peer_start(&k->pair, "alice", NULL);
	k->bob = peers[1] = peer_start(&k->pair, "bob", NULL);
	k->carol = peers[2] = peer_start(&k->pair, "carol", NULL);
	k->room = pair_room(&k->pair, peers, 3);
	k->pair.tamper = touch_wraps;
	k->pair.tamper_ctx = k;
}

static void
say(struct keys *k, struct peer *peer, const char *text)
{
	uint64_t token = peer_say(peer, &k->room, text);

	pair_settle(&k->pair);
	(void)assert_done(peer, token, CHAT_OK);
}

static void
rekey(struct keys *k)
{
	uint64_t token;

	session_set_topic(
	    k->alice->s, peer_done(k->alice, &token), &k->room, BYTES_STR("tea"), pair_now(&k->pair));
	pair_settle(&k->pair);
	(void)assert_done(k->alice, token, CHAT_OK);
}

/* Members re-wrap by themselves, so the reader hardly notices. */
static void
heals_by_a_rewrap(bool spoil)
{
	const struct told *told;
	struct keys k;

	start(&k);
	k.withhold = !spoil;
	k.spoil = spoil;
	rekey(&k);
	say(&k, k.alice, "for all");
	assert_true(k.touched > 0);
	told = peer_told(k.bob, CHAT_EVENT_UNREADABLE);
	assert_non_null(told);
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_UNREADABLE, NULL), 1);
	assert_int_equal(told->err, CHAT_ERR_CANNOT_OPEN);
	assert_non_null(strstr(told->text, spoil ? "that alice made for you does not open"
						 : "the server did not deliver the key that alice made"));
	assert_true(told->mend[0] != '\0');
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_MESSAGE, "for all"), 1);
	assert_string_equal(peer_told(k.alice, CHAT_EVENT_TOPIC)->text, "tea");
	/* He speaks in that epoch too. */
	say(&k, k.bob, "I too");
	assert_int_equal(peer_count(k.carol, CHAT_EVENT_MESSAGE, "I too"), 1);
	assert_true(k.pair.requests[REQUEST_POST_REWRAPS] > 0);
	/* After a restart the key is there, without asking anybody. */
	k.pair.requests[REQUEST_ASK_REWRAP] = 0;
	pair_pass(&k.pair, 2000);
	peer_forget(k.bob);
	peer_crash(k.bob);
	peer_connect(k.bob);
	pair_settle(&k.pair);
	say(&k, k.alice, "again");
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_MESSAGE, "again"), 1);
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_UNREADABLE, NULL), 0);
	assert_int_equal(k.pair.requests[REQUEST_ASK_REWRAP], 0);
	pair_end(&k.pair);
}

TEST(withheld_wrap_is_the_servers_fault_and_heals)
{
	heals_by_a_rewrap(false);
}

TEST(spoiled_wrap_is_the_rekeyers_fault_and_heals)
{
	heals_by_a_rewrap(true);
}

TEST(late_key_shows_what_was_passed_over_in_order)
{
	struct keys k;

	start(&k);
	k.withhold = k.rewraps_too = true;
	rekey(&k);
	say(&k, k.alice, "one");
	say(&k, k.carol, "two");
	rekey(&k);
	say(&k, k.alice, "three");
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_MESSAGE, NULL), 0);
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_UNREADABLE, NULL), 2); /* an epoch, not a message */
	/* What does not need those keys goes on. */
	k.withhold = k.rewraps_too = false;
	rekey(&k);
	say(&k, k.alice, "four");
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_MESSAGE, "four"), 1);
	peer_cut(k.bob);
	peer_connect(k.bob);
	pair_settle(&k.pair);
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_MESSAGE, NULL), 4);
	assert_true(peer_told_text(k.bob, CHAT_EVENT_MESSAGE, "one") <
		    peer_told_text(k.bob, CHAT_EVENT_MESSAGE, "two"));
	assert_true(peer_told_text(k.bob, CHAT_EVENT_MESSAGE, "two") <
		    peer_told_text(k.bob, CHAT_EVENT_MESSAGE, "three"));
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_UNREADABLE, NULL), 2);
	pair_end(&k.pair);
}

TEST(nobody_online_has_the_key)
{
	struct keys k;

	start(&k);
	k.withhold = true;
	rekey(&k);
	say(&k, k.alice, "before"); /* heals while alice and carol are here */
	k.rewraps_too = true;
	rekey(&k);
	say(&k, k.alice, "secret");
	peer_cut(k.alice);
	peer_cut(k.carol);
	peer_cut(k.bob);
	k.withhold = k.rewraps_too = false;
	/* The re-wraps made meanwhile wait for him on the server. */
	peer_connect(k.bob);
	pair_settle(&k.pair);
	assert_int_equal(peer_count(k.bob, CHAT_EVENT_MESSAGE, "secret"), 1);
	pair_end(&k.pair);
}

/* ---- for whom one re-wraps ---- */

static void
push_wanted(struct keys *k, struct peer *to, const struct digest *member, const struct digest *epoch)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__RewrapWanted body = CHAT__V1__REWRAP_WANTED__INIT;
	ProtobufCBinaryData epochs[1] = {wire_from_digest(epoch)};
	struct buf bytes = {0};

	body.room_id = wire_from_digest(&k->room);
	body.member_id = wire_from_digest(member);
	body.epoch_id = epochs;
	body.n_epoch_id = 1;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_REWRAP_WANTED;
	frame.rewrap_wanted = &body;
	assert_ok(frame_encode_server(&frame, &bytes));
	assert_ok(buf_append(&k->pair.conns[to->conn].out, bytes.data, bytes.len));
	buf_fini(&bytes);
	pair_settle(&k->pair);
}

/* The epoch_id of epoch n, from the server's log. */
struct find_epoch {
	uint64_t number;
	struct digest id;
	bool found;
};

static bool
find_rekey(void *ctx, const struct store_entry *entry)
{
	struct find_epoch *find = ctx;
	struct event event;

	assert_ok(event_decode(entry->wire, &event));
	if (event.type == EVENT_REKEY && event.rekey.epoch == find->number) {
		find->id = event.event_hash;
		find->found = true;
	}
	return true;
}

static struct digest
epoch_id(struct keys *k, uint64_t number)
{
	struct find_epoch find = {.number = number};
	struct store_room stored;

	assert_ok(store_room_by_id(k->pair.w.store, &k->room, &stored));
	assert_ok(store_events_each(k->pair.w.store, stored.room_no, find_rekey, &find));
	assert_true(find.found);
	return find.id;
}

TEST(server_cannot_ask_for_who_is_not_entitled)
{
	struct digest first, last, bob, carol, stranger;
	struct peer *dave;
	struct keys k;

	start(&k);
	dave = peer_start(&k.pair, "dave", NULL);
	peer_connect(dave);
	pair_settle(&k.pair);
	assert_true(session_member_id(dave->s, &stranger));
	assert_true(session_member_id(k.bob->s, &bob));
	assert_true(session_member_id(k.carol->s, &carol));
	first = epoch_id(&k, 1); /* alice alone */
	last = epoch_id(&k, 3);  /* all three */
	k.pair.requests[REQUEST_POST_REWRAPS] = 0;
	push_wanted(&k, k.alice, &stranger, &last); /* no member */
	push_wanted(&k, k.alice, &carol, &first);   /* a member, who was none then */
	push_wanted(&k, k.alice, &stranger, &first);
	assert_int_equal(k.pair.requests[REQUEST_POST_REWRAPS], 0);
	push_wanted(&k, k.alice, &bob, &last);
	assert_int_equal(k.pair.requests[REQUEST_POST_REWRAPS], 1);
	pair_end(&k.pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(withheld_wrap_is_the_servers_fault_and_heals),
	    cmocka_unit_test(spoiled_wrap_is_the_rekeyers_fault_and_heals),
	    cmocka_unit_test(late_key_shows_what_was_passed_over_in_order),
	    cmocka_unit_test(nobody_online_has_the_key),
	    cmocka_unit_test(server_cannot_ask_for_who_is_not_entitled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
