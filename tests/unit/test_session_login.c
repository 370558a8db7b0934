/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logins against a whole server: who gets in, who does not, what that costs and when it is said. */
#include "server_rig.h"

#include "accounts/passwd_edit.h"
#include "accounts/passwd_hash.h"
#include "proto/limits.h"
#include "proto/wire.h"

static struct rig rig;
static struct person alice, bob;

#define DELAY_MS 300

static int
set_up(void **state)
{
	(void)state;
	rig_init(&rig, 7);
	rig.limits->login_fail_delay_ms = DELAY_MS;
	rig.limits->login_fail_delay_max_ms = DELAY_MS;
	rig_person(&rig, &alice, "alice");
	rig_person(&rig, &bob, "bob");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	rig_end(&rig);
	person_end(&alice);
	person_end(&bob);
	return 0;
}

static void
hello(struct peer *peer, uint8_t last)
{
	peer_open(&rig, peer, last);
	peer_expect(peer, peer_hello(peer), CHAT__V1__SERVER_FRAME__BODY_HELLO_OK);
}

static const Chat__V1__PasswordOk *
password_ok(struct peer *peer, const char *account, const char *password)
{
	return peer_expect(
	    peer, peer_password(peer, account, password), CHAT__V1__SERVER_FRAME__BODY_PASSWORD_OK)
	    ->password_ok;
}

/* Refused, not before the time, and with so many hashes. */
static void
refused_late(struct peer *peer, uint64_t id, uint64_t hashes, uint64_t sent_ms, uint64_t hashes_before)
{
	peer_refused(peer, id, CHAT_ERR_LOGIN_REFUSED);
	assert_true(clock_mono_ms() - sent_ms >= DELAY_MS);
	assert_int_equal(server_hash_count(rig.server) - hashes_before, hashes);
}

static void
wrong_password(struct peer *peer, const char *account, const char *password)
{
	uint64_t sent_ms = clock_mono_ms(), before = server_hash_count(rig.server);

	refused_late(peer, peer_password(peer, account, password), 1, sent_ms, before);
}

TEST(hello_says_what_this_is)
{
	struct peer peer = {0};
	const Chat__V1__HelloOk *ok;

	rig_start(&rig);
	peer_open(&rig, &peer, 1);
	ok = peer_expect(&peer, peer_hello(&peer), CHAT__V1__SERVER_FRAME__BODY_HELLO_OK)->hello_ok;
	assert_int_equal(ok->version, 1);
	assert_bytes_equal(wire_bytes(ok->realm), BYTES_ARRAY(store_realm(rig.w.store)->b));
	assert_string_equal(ok->software, "chat-server test");
	assert_int_equal(ok->limits->requests_under_way, REQUESTS_UNDER_WAY);
	assert_int_equal(ok->limits->idle_ms, rig.limits->idle_timeout_ms);
	peer_close(&peer);
}

TEST(first_login)
{
	struct peer peer = {0};
	const Chat__V1__PasswordOk *ok;
	const Chat__V1__LoginOk *in;

	rig_start(&rig);
	hello(&peer, 1);
	ok = password_ok(&peer, "alice", RIG_PASSWORD);
	assert_false(ok->has_identity);
	assert_int_equal(ok->card.len, 0);
	peer_expect(&peer, peer_publish(&peer, &alice), CHAT__V1__SERVER_FRAME__BODY_OK);
	in = peer_expect(&peer, peer_key(&peer, &alice, 0), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK)->login_ok;
	assert_bytes_equal(wire_bytes(in->card), buf_bytes(&alice.card));
	assert_int_equal(in->sessions, 1);
	assert_int_equal(in->bag_version, 1);
	peer_close(&peer);

	/* The next time the key alone does; and with the password the card is there. */
	peer_login(&rig, &peer, &alice, 1);
	peer_close(&peer);
	hello(&peer, 1);
	ok = password_ok(&peer, "alice", RIG_PASSWORD);
	assert_true(ok->has_identity);
	assert_bytes_equal(wire_bytes(ok->card), buf_bytes(&alice.card));
	/* There is one already. */
	peer_refused(&peer, peer_publish(&peer, &bob), CHAT_ERR_NOT_ALLOWED);
	peer_close(&peer);
}

/* Wrong, unknown, locked: the same answer, as late, for the same one hash; and the connection may try again.
 */
TEST(whatever_the_reason)
{
	struct peer peer = {0};

	rig_write_passwd(&rig, "bob", NULL);
	rig_start(&rig);
	hello(&peer, 1);
	wrong_password(&peer, "alice", "wrong");
	wrong_password(&peer, "nobody", RIG_PASSWORD);
	wrong_password(&peer, "bob", RIG_PASSWORD);
	wrong_password(&peer, "bob", "wrong");
	password_ok(&peer, "alice", RIG_PASSWORD);
	peer_close(&peer);
}

/* What comes while a login is judged waits for its end. */
TEST(one_thing_at_a_time)
{
	struct peer peer = {0};
	uint64_t login, ping;
	const Chat__V1__ServerFrame *frame;

	rig_start(&rig);
	hello(&peer, 1);
	login = peer_password(&peer, "alice", "wrong");
	ping = peer_ping(&peer);
	frame = peer_next(&peer);
	assert_int_equal(frame->id, login);
	frame = peer_next(&peer);
	assert_int_equal(frame->id, ping);
	peer_close(&peer);
}

TEST(a_key_that_is_not_right)
{
	static const char spoils[] = {'s', 'm', 'k', 'b'};
	struct peer peer = {0};
	uint64_t sent_ms;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	hello(&peer, 1);
	for (size_t i = 0; i < sizeof spoils; i++) {
		uint64_t before = server_hash_count(rig.server);

		sent_ms = clock_mono_ms();
		refused_late(&peer, peer_key(&peer, &alice, spoils[i]), 0, sent_ms, before);
	}
	/* Well signed, but nobody's here. */
	sent_ms = clock_mono_ms();
	refused_late(&peer, peer_key(&peer, &bob, 0), 0, sent_ms, server_hash_count(rig.server));
	peer_expect(&peer, peer_key(&peer, &alice, 0), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK);
	peer_close(&peer);
}

/* An identity of the right name and another key is not the published one. */
TEST(another_key_of_the_same_name)
{
	struct person other;
	struct peer peer = {0};
	uint64_t sent_ms;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	person_make(&rig.w, &other, "alice");
	hello(&peer, 1);
	sent_ms = clock_mono_ms();
	refused_late(&peer, peer_key(&peer, &other, 0), 0, sent_ms, server_hash_count(rig.server));
	peer_close(&peer);
	person_end(&other);
}

/* A proof for one connection is none for another. */
TEST(a_proof_is_bound_to_its_connection)
{
	struct peer one = {0}, two = {0};
	uint64_t sent_ms;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	hello(&one, 1);
	hello(&two, 2);
	/* Made for two, sent on one. */
	sent_ms = clock_mono_ms();
	refused_late(&one, peer_key_bound(&one, &alice, two.tls), 0, sent_ms, server_hash_count(rig.server));
	peer_expect(&one, peer_key_bound(&one, &alice, one.tls), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK);
	peer_close(&one);
	peer_close(&two);
}

TEST(the_key_honours_the_password_file)
{
	struct peer peer = {0};
	uint64_t sent_ms;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	hello(&peer, 1);
	rig_write_passwd(&rig, "alice", NULL);
	sent_ms = clock_mono_ms();
	refused_late(&peer, peer_key(&peer, &alice, 0), 0, sent_ms, server_hash_count(rig.server));
	/* Looked at before each login: at once. */
	rig_write_passwd(&rig, NULL, NULL);
	peer_expect(&peer, peer_key(&peer, &alice, 0), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK);
	peer_close(&peer);
}

/* After a password only that account's own key. */
TEST(password_of_one_key_of_another)
{
	struct peer peer = {0};
	uint64_t sent_ms;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	rig_publish(&rig, &bob);
	hello(&peer, 1);
	password_ok(&peer, "alice", RIG_PASSWORD);
	sent_ms = clock_mono_ms();
	refused_late(&peer, peer_key(&peer, &bob, 0), 0, sent_ms, server_hash_count(rig.server));
	peer_expect(&peer, peer_key(&peer, &alice, 0), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK);
	peer_close(&peer);
}

TEST(publishing_is_checked)
{
	struct peer peer = {0};
	struct person spoiled = alice;

	rig_start(&rig);
	hello(&peer, 1);
	password_ok(&peer, "alice", RIG_PASSWORD);
	/* Another account's card; one whose signature is wrong. */
	peer_refused(&peer, peer_publish(&peer, &bob), CHAT_ERR_NOT_ALLOWED);
	spoiled.card = (struct buf){0};
	assert_ok(buf_append(&spoiled.card, alice.card.data, alice.card.len));
	spoiled.card.data[spoiled.card.len - 1] ^= 1;
	peer_refused(&peer, peer_publish(&peer, &spoiled), CHAT_ERR_BAD_SIGNATURE);
	spoiled.card.data[0] = 9;
	peer_refused(&peer, peer_publish(&peer, &spoiled), CHAT_ERR_UNSUPPORTED);
	peer_expect(&peer, peer_publish(&peer, &alice), CHAT__V1__SERVER_FRAME__BODY_OK);
	buf_fini(&spoiled.card);
	peer_close(&peer);
}

/* Locked in mid-session: out within a second; deleted while only the password is proved: no more answers. */
TEST(locked_while_connected)
{
	struct peer in = {0}, half = {0};
	uint64_t begin_ms;
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__GetBag get = CHAT__V1__GET_BAG__INIT;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	rig_publish(&rig, &bob);
	peer_login(&rig, &in, &alice, 1);
	hello(&half, 2);
	password_ok(&half, "bob", RIG_PASSWORD);
	begin_ms = clock_mono_ms();
	rig_write_passwd(&rig, "alice", "bob");
	peer_expect_goodbye(&in, CHAT_ERR_EVICTED);
	assert_true(clock_mono_ms() - begin_ms < 5000);
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_GET_BAG;
	frame.get_bag = &get;
	peer_refused(&half, peer_send(&half, &frame), CHAT_ERR_LOGIN_REFUSED);
	peer_expect_goodbye(&half, CHAT_ERR_EVICTED);
	peer_close(&in);
	peer_close(&half);
}

/* Deleted and added again is another account, which inherits nothing. */
TEST(added_again_is_another_account)
{
	struct peer peer = {0};
	uint64_t sent_ms;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	/* The line has another id, and nobody looked in between. */
	rig_renew_account(&rig, "alice");
	hello(&peer, 1);
	sent_ms = clock_mono_ms();
	refused_late(&peer, peer_key(&peer, &alice, 0), 0, sent_ms, server_hash_count(rig.server));
	assert_false(password_ok(&peer, "alice", RIG_PASSWORD)->has_identity);
	peer_close(&peer);
}

static uint64_t
change_password(struct peer *peer, const char *old_password, const char *new_password)
{
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__ChangePassword change = CHAT__V1__CHANGE_PASSWORD__INIT;

	change.old_password = wire_from_bytes(BYTES_STR(old_password));
	change.new_password = wire_from_bytes(BYTES_STR(new_password));
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_CHANGE_PASSWORD;
	frame.change_password = &change;
	return peer_send(peer, &frame);
}

TEST(changes_the_own_password)
{
	struct peer in = {0}, other = {0}, next = {0};
	uint64_t id, before;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	peer_login(&rig, &in, &alice, 1);
	peer_login(&rig, &other, &alice, 2);

	id = clock_mono_ms();
	before = server_hash_count(rig.server);
	refused_late(&in, change_password(&in, "wrong", "new one"), 1, id, before);
	peer_refused(&in, change_password(&in, RIG_PASSWORD, "bad\x07one"), CHAT_ERR_MALFORMED);
	peer_expect(&in, change_password(&in, RIG_PASSWORD, "new one"), CHAT__V1__SERVER_FRAME__BODY_OK);
	assert_int_equal(server_hash_count(rig.server) - before, 3);

	/* Other sessions go on, keys still log in, the new password is the password. */
	peer_expect(&other, peer_ping(&other), CHAT__V1__SERVER_FRAME__BODY_PONG);
	peer_login(&rig, &next, &alice, 3);
	peer_close(&next);
	hello(&next, 3);
	wrong_password(&next, "alice", RIG_PASSWORD);
	password_ok(&next, "alice", "new one");
	peer_close(&next);
	peer_close(&in);
	peer_close(&other);
}

/* While one change is judged late there is no other, and everything else goes on. */
TEST(one_change_at_a_time)
{
	struct peer in = {0};
	uint64_t late;

	rig_start(&rig);
	rig_publish(&rig, &alice);
	peer_login(&rig, &in, &alice, 1);
	late = change_password(&in, "wrong", "new one");
	peer_refused(&in, change_password(&in, RIG_PASSWORD, "new one"), CHAT_ERR_BUSY);
	peer_expect(&in, peer_ping(&in), CHAT__V1__SERVER_FRAME__BODY_PONG);
	peer_refused(&in, late, CHAT_ERR_LOGIN_REFUSED);
	peer_close(&in);
}

static void
set_other_hash(const char *account)
{
	char hash[PASSWD_HASH_MAX_BYTES];
	struct passwd_hasher *hasher;
	struct passwd_edit *edit;
	struct passwd_why why;

	assert_ok(passwd_hasher_new(&hasher));
	assert_ok(passwd_hash(hasher, BYTES_STR(RIG_PASSWORD), hash));
	passwd_hasher_free(hasher);
	assert_ok(passwd_edit_open(rig.passwd_path, 0, &edit, &why));
	assert_ok(passwd_edit_set_hash(edit, account, hash, NULL));
	assert_ok(passwd_edit_commit(edit, &why));
	passwd_edit_free(edit);
}

/* Somebody else changed it: the key is not enough until the password was given once more. */
TEST(password_required)
{
	struct peer in = {0}, peer = {0};

	rig_start(&rig);
	rig_publish(&rig, &alice);
	rig_publish(&rig, &bob);
	peer_login(&rig, &in, &bob, 1);
	/* As chat-passwd does: alice gets another hash, which happens to be of the same password. */
	set_other_hash("alice");
	hello(&peer, 2);
	peer_refused(&peer, peer_key(&peer, &alice, 0), CHAT_ERR_PASSWORD_REQUIRED);
	password_ok(&peer, "alice", RIG_PASSWORD);
	peer_expect(&peer, peer_key(&peer, &alice, 0), CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK);
	peer_close(&peer);
	peer_login(&rig, &peer, &alice, 2);
	peer_close(&peer);
	peer_expect(&in, peer_ping(&in), CHAT__V1__SERVER_FRAME__BODY_PONG);
	peer_close(&in);
}

/* Few from one address at a time, late answers counted in; others are not concerned. */
TEST(many_from_one_address)
{
	struct peer peers[LOGINS_PER_ADDRESS] = {{0}}, more = {0};
	uint64_t ids[LOGINS_PER_ADDRESS], before;

	/* Late enough that all are under way when the one too many comes. */
	rig.limits->login_fail_delay_ms = rig.limits->login_fail_delay_max_ms = 3000;
	rig_start(&rig);
	before = server_hash_count(rig.server);
	for (unsigned i = 0; i < LOGINS_PER_ADDRESS; i++) {
		hello(&peers[i], 1);
		ids[i] = peer_password(&peers[i], "alice", "wrong");
	}
	hello(&more, 1);
	peer_refused(&more, peer_password(&more, "alice", RIG_PASSWORD), CHAT_ERR_BUSY);
	peer_close(&more);
	hello(&more, 2);
	password_ok(&more, "alice", RIG_PASSWORD);
	peer_close(&more);
	/* One that goes away makes room, answered or not. */
	peer_close(&peers[0]);
	for (unsigned i = 1; i < LOGINS_PER_ADDRESS; i++)
		peer_refused(&peers[i], ids[i], CHAT_ERR_LOGIN_REFUSED);
	hello(&more, 1);
	password_ok(&more, "alice", RIG_PASSWORD);
	peer_close(&more);
	assert_int_equal(server_hash_count(rig.server) - before, LOGINS_PER_ADDRESS + 2);
	for (unsigned i = 1; i < LOGINS_PER_ADDRESS; i++)
		peer_close(&peers[i]);
}

/* Keys are not counted while they are judged, but those that failed are while they wait. */
TEST(keys_that_fail_count_too)
{
	struct peer peers[LOGINS_PER_ADDRESS + 1] = {{0}}, more = {0};
	uint64_t ids[LOGINS_PER_ADDRESS + 1];

	rig.limits->login_fail_delay_ms = rig.limits->login_fail_delay_max_ms = 3000;
	rig_start(&rig);
	rig_publish(&rig, &alice);
	for (unsigned i = 0; i <= LOGINS_PER_ADDRESS; i++) {
		hello(&peers[i], 1);
		ids[i] = peer_key(&peers[i], &alice, 's');
	}
	peer_refused(&peers[LOGINS_PER_ADDRESS], ids[LOGINS_PER_ADDRESS], CHAT_ERR_BUSY);
	peer_login(&rig, &more, &alice, 1);
	peer_close(&more);
	hello(&more, 1);
	peer_refused(&more, peer_password(&more, "alice", RIG_PASSWORD), CHAT_ERR_BUSY);
	peer_close(&more);
	for (unsigned i = 0; i <= LOGINS_PER_ADDRESS; i++)
		peer_close(&peers[i]);
}

TEST(as_many_sessions_as_allowed)
{
	struct peer peers[3] = {{0}};

	rig.limits->sessions_per_account = 2;
	rig_start(&rig);
	rig_publish(&rig, &alice);
	peer_login(&rig, &peers[0], &alice, 1);
	peer_login(&rig, &peers[1], &alice, 1);
	hello(&peers[2], 1);
	peer_refused(&peers[2], peer_key(&peers[2], &alice, 0), CHAT_ERR_LIMIT);
	/* One that ends makes room as soon as the server knows. */
	peer_close(&peers[0]);
	while (peer_answer(&peers[2], peer_key(&peers[2], &alice, 0))->body_case !=
	       CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK)
		;
	peer_close(&peers[1]);
	peer_close(&peers[2]);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(hello_says_what_this_is),
	    TEST_CASE(first_login),
	    TEST_CASE(whatever_the_reason),
	    TEST_CASE(one_thing_at_a_time),
	    TEST_CASE(a_key_that_is_not_right),
	    TEST_CASE(another_key_of_the_same_name),
	    TEST_CASE(a_proof_is_bound_to_its_connection),
	    TEST_CASE(the_key_honours_the_password_file),
	    TEST_CASE(password_of_one_key_of_another),
	    TEST_CASE(publishing_is_checked),
	    TEST_CASE(locked_while_connected),
	    TEST_CASE(added_again_is_another_account),
	    TEST_CASE(changes_the_own_password),
	    TEST_CASE(one_change_at_a_time),
	    TEST_CASE(password_required),
	    TEST_CASE(many_from_one_address),
	    TEST_CASE(keys_that_fail_count_too),
	    TEST_CASE(as_many_sessions_as_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
