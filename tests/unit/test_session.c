/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A session from its hello to its end: login, the first identity and what is kept of it, pings, the server's
 * goodbye. */

#include "engine_pair.h"

struct one {
	struct pair pair;
	struct peer *alice;
};

static void
start(struct one *o)
{
	pair_start(&o->pair, 3);
	o->alice = peer_start(&o->pair, "alice", NULL);
}

/* ---- the first login ---- */

TEST(first_login_makes_an_identity)
{
	struct stored_identity stored;
	struct digest id;
	struct one o;

	start(&o);
	assert_false(session_member_id(o.alice->s, &id));
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_PASSWORD_NEEDED, NULL), 1);
	assert_int_equal(peer_told(o.alice, CHAT_EVENT_PASSWORD_NEEDED)->err, CHAT_OK);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_PROGRESS, NULL), 1);
	assert_int_equal(peer_told(o.alice, CHAT_EVENT_CONNECTED)->number, 1);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_SYNCED, NULL), 1);
	assert_true(session_ready(o.alice->s));
	assert_true(session_member_id(o.alice->s, &id));
	assert_ok(o.alice->st->ops->get_identity(o.alice->st, &stored));
	assert_true(stored.published);
	assert_int_equal(stored.bag_version, 1);
	pair_end(&o.pair);
}

TEST(later_logins_ask_for_no_password)
{
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	for (int i = 0; i < 2; i++) {
		peer_forget(o.alice);
		if (i == 0)
			peer_cut(o.alice);
		else
			peer_crash(o.alice);
		peer_connect(o.alice);
		pair_settle(&o.pair);
		assert_int_equal(peer_count(o.alice, CHAT_EVENT_PASSWORD_NEEDED, NULL), 0);
		assert_int_equal(peer_count(o.alice, CHAT_EVENT_CONNECTED, NULL), 1);
	}
	assert_int_equal(o.pair.hashes, 1);
	pair_end(&o.pair);
}

/* The program is killed at each step of its first login: the next start makes the same identity, and one
 * only. */
TEST(killed_at_every_step_of_the_first_login)
{
	for (unsigned at = 0;; at++) {
		struct stored_identity before = {0}, after;
		bool had_root, ended = false;
		struct one o;

		start(&o);
		peer_connect(o.alice);
		for (unsigned i = 0; i < at && !ended; i++)
			ended = !pair_step(&o.pair);
		peer_crash(o.alice);
		had_root = o.alice->st->ops->get_identity(o.alice->st, &before) == CHAT_OK;
		peer_connect(o.alice);
		pair_settle(&o.pair);
		assert_true(session_ready(o.alice->s));
		assert_ok(o.alice->st->ops->get_identity(o.alice->st, &after));
		assert_true(after.published);
		if (had_root)
			assert_memory_equal(&before.root, &after.root, sizeof after.root);
		pair_end(&o.pair);
		if (ended)
			break;
		assert_true(at < 500);
	}
}

TEST(two_machines_race_for_the_first_identity)
{
	struct peer *other;
	struct one o;

	start(&o);
	other = peer_start(&o.pair, "alice", NULL);
	peer_connect(o.alice);
	peer_connect(other);
	pair_settle(&o.pair);
	/* One has it; the other is told what to do, and will not try again by itself. */
	assert_int_not_equal(session_ready(o.alice->s), session_ready(other->s));
	if (session_ready(other->s))
		other = o.alice;
	assert_non_null(session_end(other->s));
	assert_true(session_end(other->s)->final);
	assert_int_equal(session_end(other->s)->err, CHAT_ERR_LOGIN_REFUSED);
	assert_non_null(session_end(other->s)->mend);
	pair_end(&o.pair);
}

TEST(imported_identity_fetches_its_bag)
{
	struct stored_identity stored;
	struct peer *other;
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	other = peer_start(&o.pair, "alice", storage_memory_import(o.alice->st, 5));
	peer_connect(other);
	pair_settle(&o.pair);
	assert_true(session_ready(other->s));
	assert_int_equal(peer_count(other, CHAT_EVENT_PASSWORD_NEEDED, NULL), 0);
	assert_int_equal(peer_told(other, CHAT_EVENT_CONNECTED)->number, 2);
	assert_ok(other->st->ops->get_identity(other->st, &stored));
	assert_int_equal(stored.bag_version, 1);
	pair_end(&o.pair);
}

/* ---- passwords ---- */

TEST(wrong_password_is_asked_for_again)
{
	struct one o;

	start(&o);
	o.alice->no_password = true;
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_err(session_give_password(o.alice->s, BYTES_EMPTY, pair_now(&o.pair)), CHAT_ERR_INVALID);
	assert_ok(session_give_password(o.alice->s, BYTES_STR("wrong"), pair_now(&o.pair)));
	/* One at a time. */
	assert_err(
	    session_give_password(o.alice->s, BYTES_STR("wrong"), pair_now(&o.pair)), CHAT_ERR_INVALID);
	pair_settle(&o.pair);
	assert_int_equal(peer_told(o.alice, CHAT_EVENT_PASSWORD_NEEDED)->err, CHAT_ERR_LOGIN_REFUSED);
	assert_ok(session_give_password(o.alice->s, BYTES_STR("open sesame"), pair_now(&o.pair)));
	pair_settle(&o.pair);
	assert_true(session_ready(o.alice->s));
	pair_end(&o.pair);
}

TEST(changed_password_is_asked_for_once_more)
{
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	peer_cut(o.alice);
	o.pair.accounts[0].proof.b[0]++; /* another hash in the password file */
	peer_forget(o.alice);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_PASSWORD_NEEDED, NULL), 1);
	assert_int_equal(peer_told(o.alice, CHAT_EVENT_PASSWORD_NEEDED)->err, CHAT_ERR_PASSWORD_REQUIRED);
	assert_true(session_ready(o.alice->s));
	pair_end(&o.pair);
}

TEST(own_password_is_changed)
{
	uint64_t wrong, right;
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	session_change_password(o.alice->s, peer_done(o.alice, &wrong), BYTES_STR("not it"),
	    BYTES_STR("changed"), pair_now(&o.pair));
	session_change_password(o.alice->s, peer_done(o.alice, &right), BYTES_STR("open sesame"),
	    BYTES_STR("changed"), pair_now(&o.pair));
	pair_settle(&o.pair);
	(void)assert_done(o.alice, wrong, CHAT_ERR_LOGIN_REFUSED);
	(void)assert_done(o.alice, right, CHAT_OK);
	/* The new one is proved: no more asking. */
	peer_forget(o.alice);
	peer_cut(o.alice);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_PASSWORD_NEEDED, NULL), 0);
	pair_end(&o.pair);
}

static bool
is_never(struct pair *pair, struct pair_conn *conn, struct frame_ref **frame)
{
	(void)pair;
	(void)conn;
	(void)frame;
	return false;
}

TEST(password_change_of_unknown_outcome_says_so)
{
	uint64_t token;
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	session_change_password(o.alice->s, peer_done(o.alice, &token), BYTES_STR("open sesame"),
	    BYTES_STR("changed"), pair_now(&o.pair));
	o.pair.tamper = is_never;
	pair_settle(&o.pair);
	o.pair.tamper = NULL;
	peer_cut(o.alice);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	(void)assert_done(o.alice, token, CHAT_ERR_CLOSED);
	pair_end(&o.pair);
}

TEST(locked_account_is_refused_for_good)
{
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	/* While it is logged in: told so, and out. */
	o.pair.accounts[0].locked = true;
	pair_accounts(&o.pair);
	pair_settle(&o.pair);
	assert_int_equal(o.alice->conn, -1);
	assert_int_equal(session_end(o.alice->s)->err, CHAT_ERR_EVICTED);
	assert_true(session_end(o.alice->s)->final);
	peer_crash(o.alice);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(session_end(o.alice->s)->err, CHAT_ERR_LOGIN_REFUSED);
	assert_true(session_end(o.alice->s)->final);
	assert_non_null(strstr(session_end(o.alice->s)->mend, "the administrator knows"));
	pair_end(&o.pair);
}

TEST(another_realm_is_not_talked_to)
{
	struct storage *kept;
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	kept = storage_memory_copy(o.alice->st);
	pair_end(&o.pair);

	pair_start(&o.pair, 4);
	o.alice = peer_start(&o.pair, "alice", kept);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_int_equal(session_end(o.alice->s)->err, CHAT_ERR_PEER_CHANGED);
	assert_true(session_end(o.alice->s)->final);
	assert_int_equal(o.pair.hashes, 0);
	pair_end(&o.pair);
}

/* ---- a busy server ---- */

TEST(busy_server_is_asked_again_after_its_time)
{
	struct one o;

	start(&o);
	o.pair.busy = 2;
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_false(session_ready(o.alice->s));
	assert_int_equal(o.pair.hashes, 1);
	pair_pass(&o.pair, 699);
	assert_int_equal(o.pair.hashes, 1);
	pair_pass(&o.pair, 2);
	assert_int_equal(o.pair.hashes, 2);
	pair_pass(&o.pair, 5000);
	assert_true(session_ready(o.alice->s));
	assert_int_equal(o.pair.hashes, 3);
	/* The password is asked of the user once. */
	assert_int_equal(peer_count(o.alice, CHAT_EVENT_PASSWORD_NEEDED, NULL), 1);
	pair_end(&o.pair);
}

/* ---- the line ---- */

TEST(silence_is_pinged_and_then_given_up)
{
	struct one o;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	pair_pass(&o.pair, 60000); /* pongs come */
	assert_true(session_ready(o.alice->s));
	o.pair.tamper = is_never;
	pair_pass(&o.pair, CLIENT_DEAD_AFTER_MS + CLIENT_PING_AFTER_MS + 1);
	assert_int_equal(o.alice->conn, -1);
	assert_int_equal(session_end(o.alice->s)->err, CHAT_ERR_TIMEOUT);
	assert_false(session_end(o.alice->s)->final);
	o.pair.tamper = NULL;
	peer_connect(o.alice);
	pair_settle(&o.pair);
	assert_true(session_ready(o.alice->s));
	pair_end(&o.pair);
}

/* Pushes come all the time and nothing is to be said: the server would take such a client for dead. */
TEST(who_only_listens_pings_too)
{
	static const uint8_t push[4] = {0}; /* of a later version: passed over */
	struct one o;
	struct now now;
	bool pinged = false;

	start(&o);
	peer_connect(o.alice);
	pair_settle(&o.pair);
	now = pair_now(&o.pair);
	for (int i = 0; i < 5 && !pinged; i++) {
		now.mono_ms += CLIENT_PING_AFTER_MS / 5;
		session_receive(o.alice->s, BYTES_ARRAY(push), now);
		assert_int_equal(session_output(o.alice->s).len, 0);
		if (now.mono_ms >= session_next_deadline_ms(o.alice->s))
			session_tick(o.alice->s, now);
		pinged = session_output(o.alice->s).len > 0;
	}
	assert_true(pinged);
	pair_end(&o.pair);
}

struct garbage {
	const char *bytes;
	size_t len;
	enum chat_err err;
};

TEST(what_is_no_protocol_ends_the_connection)
{
	static const struct garbage all[] = {
	    {"\x00\x00\x00\x03\xff\xff\xff", 7, CHAT_ERR_MALFORMED},     /* no protobuf */
	    {"\xff\xff\xff\xff", 4, CHAT_ERR_TOO_LONG},                  /* a frame of 4 GiB */
	    {"\x00\x00\x00\x00", 4, CHAT_OK},                            /* a push of a later version */
	    {"\x00\x00\x00\x02\x08\x63", 6, CHAT_ERR_MALFORMED},         /* an answer with nothing in it */
	    {"\x00\x00\x00\x04\x08\x63\x1a\x00", 8, CHAT_ERR_MALFORMED}, /* Ok to what was not asked */
	    {"\x00\x00\x00\x02\x1a\x00", 6, CHAT_ERR_MALFORMED},         /* Ok as a push */
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct one o;

		start(&o);
		peer_connect(o.alice);
		pair_settle(&o.pair);
		session_receive(o.alice->s, BYTES(all[i].bytes, all[i].len), pair_now(&o.pair));
		if (all[i].err == CHAT_OK)
			assert_null(session_end(o.alice->s));
		else {
			assert_non_null(session_end(o.alice->s));
			assert_int_equal(session_end(o.alice->s)->err, all[i].err);
			assert_false(session_end(o.alice->s)->final);
		}
		pair_end(&o.pair);
	}
}

/* ---- the storage ---- */

TEST(storage_that_fails_ends_the_client)
{
	unsigned reached = 0;

	for (unsigned n = 1; n < 40; n++) {
		struct chat_event *done;
		uint64_t token;
		struct one o;

		start(&o);
		peer_connect(o.alice);
		pair_settle(&o.pair);
		storage_memory_fail_after(o.alice->st, n);
		session_create(o.alice->s, peer_done(o.alice, &token), BYTES_STR("ops"), pair_now(&o.pair));
		pair_settle(&o.pair);
		if (session_end(o.alice->s) != NULL) {
			reached++;
			assert_int_equal(session_end(o.alice->s)->err, CHAT_ERR_IO);
			assert_true(session_end(o.alice->s)->final);
			/* Whoever asked hears of it. */
			session_abandon(o.alice->s, CHAT_ERR_IO);
			done = session_next_event(o.alice->s);
			while (done != NULL && chat_event_type(done) != CHAT_EVENT_DONE) {
				chat_event_free(done);
				done = session_next_event(o.alice->s);
			}
			if (peer_done_of(o.alice, token) == NULL)
				assert_non_null(done);
			chat_event_free(done);
		}
		storage_memory_fail_after(o.alice->st, 0);
		pair_end(&o.pair);
	}
	assert_true(reached > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_login_makes_an_identity),
	    cmocka_unit_test(later_logins_ask_for_no_password),
	    cmocka_unit_test(killed_at_every_step_of_the_first_login),
	    cmocka_unit_test(two_machines_race_for_the_first_identity),
	    cmocka_unit_test(imported_identity_fetches_its_bag),
	    cmocka_unit_test(wrong_password_is_asked_for_again),
	    cmocka_unit_test(changed_password_is_asked_for_once_more),
	    cmocka_unit_test(own_password_is_changed),
	    cmocka_unit_test(password_change_of_unknown_outcome_says_so),
	    cmocka_unit_test(locked_account_is_refused_for_good),
	    cmocka_unit_test(another_realm_is_not_talked_to),
	    cmocka_unit_test(busy_server_is_asked_again_after_its_time),
	    cmocka_unit_test(silence_is_pinged_and_then_given_up),
	    cmocka_unit_test(who_only_listens_pings_too),
	    cmocka_unit_test(what_is_no_protocol_ends_the_connection),
	    cmocka_unit_test(storage_that_fails_ends_the_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
