/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Logins that must not succeed, and how they fail: whatever is wrong, the answer is the same and comes at a
 * time that was fixed before anything was looked at; a password costs one hash, whatever the reason;
 * repeating it costs time, a flood costs only those who flood.  And identities that must not be published.
 */

#include "stage.h"

#include <stdio.h>

#include "crypto/ed25519.h"
#include "group/card.h"
#include "proto/frame.h"
#include "proto/wire.h"

#define BASE_MS 100
#define MOST_MS 800

static const char *const accounts[] = {
    "mallory", "locked", "fresh", "prey", "busy", "many", "changing", NULL};
static struct person mallory, changing;

static int
set_up(void **state)
{
	(void)state;
	stage_up("loops = 2\nlogin_fail_delay = 100ms\nlogin_fail_delay_max = 800ms\nkdf_queue_max = 4\n",
	    accounts);
	crowd_join(host, &mallory, "mallory");
	crowd_join(host, &changing, "changing");
	return 0;
}

/* Every address has failures of its own, so most attempts here come from one that was not used before. */
static void
open_from(struct peer *peer, unsigned address)
{
	char from[32];

	snprintf(from, sizeof(from), "127.0.%u.%u", 1 + address / 200, 1 + address % 200);
	peer_connect(peer, host, from);
	peer_handshake(peer);
	peer_hello(peer);
}

static unsigned
fresh_address(void)
{
	static unsigned used;

	return used++;
}

static uint64_t
send_password(struct peer *peer, const char *account, const char *password)
{
	Chat__V1__PasswordLogin login = CHAT__V1__PASSWORD_LOGIN__INIT;

	login.account = wire_from_str(account);
	login.password = wire_from_bytes(BYTES_STR(password));
	return peer_send(peer, REQUEST(PASSWORD_LOGIN), &login.base);
}

/* What a refused login looks like; all of them have to look like this one. */
static void
expect_refused(struct peer *peer, uint64_t id, uint64_t sent_ms, uint64_t delay_ms)
{
	const Chat__V1__ServerFrame *answer = peer_answer(peer, id);

	assert_answer(answer, ANSWER(ERROR));
	assert_err(answer_err(answer), CHAT_ERR_LOGIN_REFUSED);
	assert_string_equal(answer->error->text, chat_strerror(CHAT_ERR_LOGIN_REFUSED));
	assert_string_equal(answer->error->mend, "");
	assert_int_equal(answer->error->index, 0);
	assert_int_equal(answer->error->current.len, 0);
	assert_int_equal(answer->error->retry_after_ms, 0);
	assert_int_equal(answer->error->number, 0);
	/* Never before its time.  (How long after is the machine's affair.) */
	assert_true(host_now_ms() - sent_ms >= delay_ms);
}

/* ---- all alike ---- */

struct key_attempt {
	const char *reason; /* in the log, for the operator only */
	void (*spoil)(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig);
};

/* The login of mallory, signed for somewhere or somebody else. */
static void
sign_otherwise(struct peer *peer, uint8_t *sig, void (*change)(struct login *login))
{
	struct login login = {
	    .binding_type = LOGIN_BINDING_TLS_EXPORTER,
	    .realm = *host_realm(host),
	    .account = mallory.identity.account,
	    .member_id = mallory.identity.member_id,
	};

	assert_ok(tls_export_binding(peer->tls, login.binding));
	change(&login);
	login_sign(&mallory.identity.sign, &login, sig);
}

static void
wrong_binding(struct login *login)
{
	login->binding[0] ^= 1;
}

static void
other_realm(struct login *login)
{
	login->realm.b[0] ^= 1;
}

static void
other_type(struct login *login)
{
	login->binding_type = LOGIN_BINDING_ORIGIN;
}

static void
spoil_binding(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	(void)body;
	sign_otherwise(peer, sig, wrong_binding);
}

static void
spoil_realm(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	(void)body;
	sign_otherwise(peer, sig, other_realm);
}

/* Says type 1, but what was signed is a login of type 2. */
static void
spoil_type(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	(void)body;
	sign_otherwise(peer, sig, other_type);
}

static void
spoil_signature(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	(void)body;
	(void)peer;
	sig[63] ^= 0x20;
}

static void
spoil_account(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	(void)peer;
	(void)sig;
	body->account = wire_from_str("wilma");
}

static void
spoil_member(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	(void)peer;
	(void)sig;
	body->member_id = wire_from_digest(person_id(&witness.people[0]));
}

/* An identity of my own making, right in itself, for an account that has another. */
static void
spoil_identity(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	static struct person fake;

	person_init_at(&fake, "wilma", 666, host_realm(host));
	*body = peer_key_login(peer, &fake, sig);
	person_fini(&fake);
}

static void
spoil_no_account(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	static struct person nobody;

	person_init_at(&nobody, "nobody-there", 667, host_realm(host));
	*body = peer_key_login(peer, &nobody, sig);
	person_fini(&nobody);
}

static void
spoil_no_identity(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	static struct person early;

	person_init_at(&early, "fresh", 668, host_realm(host));
	*body = peer_key_login(peer, &early, sig);
	person_fini(&early);
}

/* The neutral element as a key: this signature of it verifies for any bytes, if only the equation is asked.
 */
static const uint8_t neutral_pk[ED25519_PK_BYTES] = {1};
static const uint8_t neutral_sig[ED25519_SIG_BYTES] = {1};

static void
spoil_small_order(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	static struct digest member_id;
	struct account_name name;

	(void)peer;
	assert_ok(account_name_set(BYTES_STR("fresh"), &name));
	member_id = member_id_of(host_realm(host), &name, neutral_pk);
	memcpy(sig, neutral_sig, ED25519_SIG_BYTES);
	body->account = wire_from_str("fresh");
	body->member_id = wire_from_digest(&member_id);
	body->ed_pk = wire_from_bytes(BYTES_ARRAY(neutral_pk));
}

static void
spoil_key_not_canonical(Chat__V1__KeyLogin *body, struct peer *peer, uint8_t *sig)
{
	static uint8_t pk[ED25519_PK_BYTES];
	static struct digest member_id;

	(void)peer;
	(void)sig;
	memset(pk, 0xff, sizeof(pk)); /* y = 2^255 - 1, above p */
	member_id = member_id_of(host_realm(host), &mallory.identity.account, pk);
	body->member_id = wire_from_digest(&member_id);
	body->ed_pk = wire_from_bytes(BYTES_ARRAY(pk));
}

static const struct key_attempt key_attempts[] = {
    {"bad_signature", spoil_binding},
    {"bad_signature", spoil_realm},
    {"bad_signature", spoil_type},
    {"bad_signature", spoil_signature},
    {"bad_member_id", spoil_account},
    {"bad_member_id", spoil_member},
    {"not_this_identity", spoil_identity},
    {"no_account", spoil_no_account},
    {"not_this_identity", spoil_no_identity},
    {"bad_key", spoil_small_order},
    {"bad_key", spoil_key_not_canonical},
};

ATTACK(keys_are_refused_alike)
{
	for (size_t i = 0; i < ARRAY_LEN(key_attempts); i++) {
		char reason[64], *line;
		struct peer own;
		uint8_t sig[ED25519_SIG_BYTES];
		Chat__V1__KeyLogin body;
		uint64_t sent_ms, id;
		struct peer peer;
		size_t before;

		snprintf(reason, sizeof(reason), " reason=%s ", key_attempts[i].reason);
		before = host_log_count(host, " warn login_refused ", " by=key ", reason, NULL);
		open_from(&peer, fresh_address());
		body = peer_key_login(&peer, &mallory, sig);
		key_attempts[i].spoil(&body, &peer, sig);
		sent_ms = host_now_ms();
		id = peer_send(&peer, REQUEST(KEY_LOGIN), &body.base);
		line = host_log_line(host, before + 1, " warn login_refused ", " by=key ", reason, NULL);
		expect_refused(&peer, id, sent_ms, host_log_number(line, "delay_ms"));
		free(line);
		/* It may try again. */
		peer_ping(&peer);
		peer_close(&peer);
		/* That counted against mallory's name; the right key takes it back. */
		peer_login(&own, host, &mallory);
		peer_close(&own);
	}
}

ATTACK(passwords_are_refused_alike)
{
	static const struct {
		const char *account, *reason;
	} attempts[] = {
	    {"prey", " reason=wrong_password "},
	    {"nobody-here", " reason=no_account "},
	    {"locked", " reason=locked "},
	};
	static const char *const locked[] = {"locked", NULL};
	static const char *const others[] = {
	    WITNESS_ACCOUNTS, "mallory", "fresh", "prey", "busy", "many", "changing", NULL};

	host_write_passwords(host, others, locked);
	host_log_wait(host, 2, " passwords_loaded ", NULL);
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		uint64_t hashes = host_status(host, "password_hashes"), sent_ms, id;
		struct peer peer;
		char *line;

		open_from(&peer, fresh_address());
		sent_ms = host_now_ms();
		/* Of the locked account it is the right one. */
		id = send_password(
		    &peer, attempts[i].account, i == 2 ? host_password("locked") : "hush, a wrong one");
		line =
		    host_log_line(host, 1, " warn login_refused ", " by=password ", attempts[i].reason, NULL);
		assert_int_equal(host_log_number(line, "delay_ms"), BASE_MS);
		free(line);
		expect_refused(&peer, id, sent_ms, BASE_MS);
		assert_int_equal(host_status(host, "password_hashes"), hashes + 1);
		peer_ping(&peer);
		peer_close(&peer);
	}
	{
		/* And the right one: one, too. */
		uint64_t hashes = host_status(host, "password_hashes");
		struct peer peer;

		open_from(&peer, fresh_address());
		peer_password(&peer, "prey");
		assert_int_equal(host_status(host, "password_hashes"), hashes + 1);
		peer_close(&peer);
	}
}

/* A login that was recorded, or is for another kind of connection. */
ATTACK(replays)
{
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin body;
	struct peer first, second;
	uint64_t sent_ms, id;

	open_from(&first, fresh_address());
	body = peer_key_login(&first, &mallory, sig);
	assert_answer(ASK(&first, KEY_LOGIN, body), ANSWER(LOGIN_OK));
	open_from(&second, fresh_address());
	sent_ms = host_now_ms();
	id = peer_send(&second, REQUEST(KEY_LOGIN), &body.base);
	expect_refused(&second, id, sent_ms, BASE_MS);
	peer_ping(&first);
	peer_close(&first);
	peer_close(&second);
}

ATTACK(other_bindings)
{
	static const uint32_t types[] = {0, 2, 3, 255, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		uint8_t sig[ED25519_SIG_BYTES];
		Chat__V1__KeyLogin body;
		struct peer peer;

		open_from(&peer, fresh_address());
		body = peer_key_login(&peer, &mallory, sig);
		body.binding_type = types[i];
		peer_expect_fault(
		    &peer, peer_send(&peer, REQUEST(KEY_LOGIN), &body.base), CHAT_ERR_UNSUPPORTED);
		peer_close(&peer);
	}
}

/* The password of one, the key of another. */
ATTACK(a_password_opens_no_other_account)
{
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin body;
	struct peer peer;
	uint64_t sent_ms, id;

	open_from(&peer, fresh_address());
	peer_password(&peer, "prey");
	body = peer_key_login(&peer, &mallory, sig);
	sent_ms = host_now_ms();
	id = peer_send(&peer, REQUEST(KEY_LOGIN), &body.base);
	expect_refused(&peer, id, sent_ms, BASE_MS);
	peer_close(&peer);
}

/* ---- again and again ---- */

static uint64_t
fail_once(struct peer *peer, const char *account)
{
	size_t before = host_log_count(host, " warn login_refused ", account, NULL);
	uint64_t sent_ms = host_now_ms(), delay_ms;
	uint64_t id = send_password(peer, account, "hush, guessed");
	char *line = host_log_line(host, before + 1, " warn login_refused ", account, NULL);

	delay_ms = host_log_number(line, "delay_ms");
	free(line);
	expect_refused(peer, id, sent_ms, delay_ms);
	return delay_ms;
}

/* An account that is guessed at from everywhere; a right password begins anew. */
ATTACK(guessing_at_an_account_takes_longer_and_longer)
{
	static const uint64_t delays_ms[] = {
	    BASE_MS, BASE_MS, BASE_MS, 2 * BASE_MS, 4 * BASE_MS, MOST_MS, MOST_MS};
	struct peer peer;

	for (size_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
		open_from(&peer, fresh_address());
		assert_int_equal(fail_once(&peer, "prey"), delays_ms[i]);
		peer_close(&peer);
	}
	/* Whom the account belongs to does not wait. */
	open_from(&peer, fresh_address());
	peer_password(&peer, "prey");
	peer_close(&peer);
	open_from(&peer, fresh_address());
	assert_int_equal(fail_once(&peer, "prey"), BASE_MS);
	peer_close(&peer);
}

/* One address that guesses at all accounts. */
ATTACK(guessing_from_an_address_takes_longer_and_longer)
{
	unsigned address = fresh_address();
	uint64_t last_ms = BASE_MS;
	struct peer peer;

	open_from(&peer, address);
	for (unsigned i = 0; i < 13; i++) {
		char account[32];
		uint64_t delay_ms;

		/* Names that do not exist count as those that do. */
		snprintf(account, sizeof(account), "guess-%u", i);
		delay_ms = fail_once(&peer, account);
		assert_int_equal(delay_ms, i < 10 ? BASE_MS : 2 * last_ms);
		last_ms = delay_ms;
	}
	peer_close(&peer);
}

/* ---- floods ---- */

static void
expect_busy(struct peer *peer, uint64_t id)
{
	const Chat__V1__ServerFrame *answer = peer_answer(peer, id);

	assert_err(answer_err(answer), CHAT_ERR_BUSY);
	assert_true(answer->error->retry_after_ms > 0);
	/* Nothing wrong was done. */
	peer_ping(peer);
}

static uint64_t
send_bad_key(struct peer *peer)
{
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin body = peer_key_login(peer, &mallory, sig);

	sig[0] ^= 1;
	return peer_send(peer, REQUEST(KEY_LOGIN), &body.base);
}

/* Which of them has something to say first. */
static size_t
first_to_answer(struct peer *peers, size_t count)
{
	uint64_t until_ms = host_now_ms() + host_patience_ms();

	while (host_now_ms() < until_ms)
		for (size_t i = 0; i < count; i++)
			if (peer_readable(&peers[i], i == 0 ? 1 : 0))
				return i;
	fail_msg("nobody is answered");
	return 0;
}

/* An address has so many attempts under way, whose answers wait; one more is told to come again. */
ATTACK(many_at_once_from_an_address)
{
	enum { COUNT = LOGINS_PER_ADDRESS + 1 };
	struct peer peers[COUNT], others[8], *over;
	unsigned address = fresh_address();
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin body;
	uint64_t ids[COUNT];
	size_t at;

	/* Make the answers wait for as long as they may. */
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		open_from(&others[i], fresh_address());
		ids[i] = send_bad_key(&others[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_err(answer_err(peer_answer(&others[i], ids[i])), CHAT_ERR_LOGIN_REFUSED);
	for (size_t i = 0; i < COUNT; i++)
		open_from(&peers[i], address);
	for (size_t i = 0; i < COUNT; i++)
		ids[i] = send_bad_key(&peers[i]);
	/* Any of them may have come last. */
	at = first_to_answer(peers, COUNT);
	over = &peers[at];
	expect_busy(over, ids[at]);
	host_log_wait(host, 1, " warn limit_hit ", "logins_per_address", NULL);
	/* Elsewhere a login is a login. */
	peer_close(&others[0]);
	open_from(&others[0], fresh_address());
	peer_password(&others[0], "prey");
	/* Who was answered makes room. */
	for (size_t i = 0; i < COUNT; i++) {
		if (i == at)
			continue;
		assert_err(answer_err(peer_answer(&peers[i], ids[i])), CHAT_ERR_LOGIN_REFUSED);
		peer_close(&peers[i]);
	}
	body = peer_key_login(over, &mallory, sig);
	assert_answer(ASK(over, KEY_LOGIN, body), ANSWER(LOGIN_OK));
	peer_close(over);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		peer_close(&others[i]);
}

/* More passwords than can be hashed: the rest is told to come again, and costs nothing. */
ATTACK(a_flood_of_passwords)
{
	enum { FLOOD = 64 };
	struct peer *peers = calloc(FLOOD, sizeof(*peers));
	uint64_t ids[FLOOD], hashes;
	unsigned refused = 0, busy = 0;

	assert_non_null(peers);
	for (size_t i = 0; i < FLOOD; i++)
		open_from(&peers[i], fresh_address());
	hashes = host_status(host, "password_hashes");
	for (size_t i = 0; i < FLOOD; i++)
		ids[i] = send_password(&peers[i], "nobody-at-all", "hush, a flood");
	/* Those who talk go on, while it is at its highest. */
	witness_check(&witness);
	for (size_t i = 0; i < FLOOD; i++) {
		const Chat__V1__ServerFrame *answer = peer_answer(&peers[i], ids[i]);

		if (answer_err(answer) == CHAT_ERR_BUSY) {
			assert_true(answer->error->retry_after_ms > 0);
			busy++;
		} else {
			assert_err(answer_err(answer), CHAT_ERR_LOGIN_REFUSED);
			refused++;
		}
		peer_ping(&peers[i]);
		peer_close(&peers[i]);
	}
	print_message("# %u refused, %u told to come again\n", refused, busy);
	assert_int_equal(host_status(host, "password_hashes"), hashes + refused);
	assert_true(busy > 0 && refused >= 4);
	host_log_wait(host, 1, " warn limit_hit ", "kdf_queue", NULL);
	free(peers);
}

/* ---- who may no longer ---- */

ATTACK(the_password_file_has_the_last_word)
{
	static const char *const locked[] = {"changing", "locked", NULL};
	static const char *const before[] = {
	    WITNESS_ACCOUNTS, "mallory", "fresh", "prey", "busy", "many", NULL};
	static const char *const after[] = {
	    WITNESS_ACCOUNTS, "mallory", "fresh", "prey", "busy", "many", "changing", NULL};
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin body;
	struct peer peer;
	uint64_t sent_ms, id;

	peer_login(&peer, host, &changing);
	host_write_passwords(host, before, locked);
	peer_expect_goodbye(&peer, CHAT_ERR_EVICTED);
	peer_close(&peer);
	open_from(&peer, fresh_address());
	body = peer_key_login(&peer, &changing, sig);
	sent_ms = host_now_ms();
	id = peer_send(&peer, REQUEST(KEY_LOGIN), &body.base);
	expect_refused(&peer, id, sent_ms, BASE_MS);
	host_log_wait(host, 1, " warn login_refused ", " by=key ", " reason=locked ", NULL);
	/* The same password, so the same line as at first: the key alone is enough again. */
	host_write_passwords(host, after, locked + 1);
	body = peer_key_login(&peer, &changing, sig);
	assert_answer(ASK(&peer, KEY_LOGIN, body), ANSWER(LOGIN_OK));
	peer_close(&peer);
}

ATTACK(one_session_too_many)
{
	struct peer peers[SESSIONS_PER_ACCOUNT + 1];
	struct person many;
	struct peer *last = &peers[SESSIONS_PER_ACCOUNT];
	const Chat__V1__ServerFrame *answer;
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin body;
	enum chat_err err;

	crowd_join(host, &many, "many");
	for (size_t i = 0; i < SESSIONS_PER_ACCOUNT; i++)
		peer_login(&peers[i], host, &many);
	open_from(last, fresh_address());
	body = peer_key_login(last, &many, sig);
	answer = ASK(last, KEY_LOGIN, body);
	assert_err(answer_err(answer), CHAT_ERR_LIMIT);
	assert_true(strlen(answer->error->mend) > 0);
	for (size_t i = 0; i < SESSIONS_PER_ACCOUNT; i++)
		peer_ping(&peers[i]);
	/* Where one ends there is room for another, as soon as the server has heard of it. */
	peer_close(&peers[3]);
	do {
		answer = ASK(last, KEY_LOGIN, body);
		err = answer_err(answer);
	} while (err == CHAT_ERR_LIMIT);
	assert_ok(err);
	assert_int_equal(answer->login_ok->sessions, SESSIONS_PER_ACCOUNT);
	for (size_t i = 0; i < ARRAY_LEN(peers); i++)
		if (i != 3)
			peer_close(&peers[i]);
	person_fini(&many);
}

/* ---- identities ---- */

/* A card's parts by their places, for an account's name of five letters. */
enum {
	CARD_SUITE = 1,
	CARD_FLAGS = 2,
	CARD_REALM = 3,
	CARD_NAME = 20,
	CARD_PK = CARD_NAME + 5,
	CARD_SERIAL = CARD_PK + 32,
	CARD_PREV = CARD_SERIAL + 4,
	CARD_N = CARD_PREV + 32,
	CARD_BODY_BYTES = CARD_N + RSA_BYTES + 8,
};

struct bad_card {
	size_t at;
	uint8_t flip;
	bool sign_again;
	enum chat_err err;
};

static const struct bad_card bad_cards[] = {
    {CARD_N + 5, 0x01, false, CHAT_ERR_BAD_SIGNATURE},
    {CARD_BODY_BYTES + 3, 0x01, false, CHAT_ERR_BAD_SIGNATURE}, {0, 0x03, true, CHAT_ERR_UNSUPPORTED},
    {CARD_SUITE, 0x03, true, CHAT_ERR_UNSUPPORTED}, {CARD_FLAGS, 0x80, true, CHAT_ERR_UNSUPPORTED},
    {CARD_REALM, 0x01, true, CHAT_ERR_NOT_ALLOWED},
    {CARD_NAME, 'f' ^ 'g', true, CHAT_ERR_NOT_ALLOWED}, /* gresh */
    {CARD_NAME, 'f' ^ 'F', true, CHAT_ERR_MALFORMED},
    {CARD_SERIAL + 3, 0x03, true, CHAT_ERR_MALFORMED}, /* serial 2 without a card before it */
    {CARD_SERIAL + 3, 0x01, true, CHAT_ERR_MALFORMED}, /* serial 0 */
    {CARD_PREV, 0x01, true, CHAT_ERR_MALFORMED},
    {CARD_N, 0x80, true, CHAT_ERR_MALFORMED},                 /* a modulus of 3,071 bits */
    {CARD_N + RSA_BYTES - 1, 0x01, true, CHAT_ERR_MALFORMED}, /* an even one */
};

static enum chat_err
try_to_publish(struct peer *peer, struct bytes card)
{
	Chat__V1__PublishIdentity publish = CHAT__V1__PUBLISH_IDENTITY__INIT;
	uint8_t bag[FAKE_BAG_BYTES];

	fake_bag(bag);
	publish.card = wire_from_bytes(card);
	publish.bag = wire_from_bytes(BYTES_ARRAY(bag));
	return answer_err(ASK(peer, PUBLISH_IDENTITY, publish));
}

ATTACK(cards_of_the_wrong_form)
{
	uint8_t wire[CARD_MAX_BYTES];
	struct person fresh;
	struct peer peer;
	struct bytes card;

	person_init_at(&fresh, "fresh", 77, host_realm(host));
	open_from(&peer, fresh_address());
	peer_password(&peer, "fresh");
	card = person_card(&fresh);
	assert_int_equal(card.len, CARD_BODY_BYTES + ED25519_SIG_BYTES);
	for (size_t i = 0; i < ARRAY_LEN(bad_cards); i++) {
		memcpy(wire, card.data, card.len);
		wire[bad_cards[i].at] ^= bad_cards[i].flip;
		if (bad_cards[i].sign_again)
			ed25519_sign(fresh.identity.sign.seed, fresh.identity.sign.pk, "card",
			    BYTES(wire, CARD_BODY_BYTES), wire + CARD_BODY_BYTES);
		assert_err(try_to_publish(&peer, BYTES(wire, card.len)), bad_cards[i].err);
	}

	/* A key that everybody can sign for. */
	memcpy(wire, card.data, card.len);
	memcpy(wire + CARD_PK, neutral_pk, sizeof(neutral_pk));
	memcpy(wire + CARD_BODY_BYTES, neutral_sig, sizeof(neutral_sig));
	assert_true(ed25519_verify(neutral_pk, "card", BYTES(wire, CARD_BODY_BYTES), wire + CARD_BODY_BYTES));
	assert_err(try_to_publish(&peer, BYTES(wire, card.len)), CHAT_ERR_MALFORMED);

	/* Nothing of all that was kept: the right one is the first.  It can be sent again, but not replaced.
	 */
	assert_ok(try_to_publish(&peer, card));
	assert_ok(try_to_publish(&peer, card));
	person_fini(&fresh);
	person_init_at(&fresh, "fresh", 78, host_realm(host));
	assert_err(try_to_publish(&peer, person_card(&fresh)), CHAT_ERR_CONFLICT);
	peer_close(&peer);
	person_fini(&fresh);
}

ATTACK(bags_of_the_wrong_form)
{
	Chat__V1__PublishIdentity publish = CHAT__V1__PUBLISH_IDENTITY__INIT;
	uint8_t bag[FAKE_BAG_BYTES];
	struct person prey;
	struct peer peer;

	person_init_at(&prey, "prey", 79, host_realm(host));
	publish.card = wire_from_bytes(person_card(&prey));
	publish.bag = wire_from_bytes(BYTES_ARRAY(bag));
	open_from(&peer, fresh_address());
	peer_password(&peer, "prey");
	fake_bag(bag);
	bag[0] = 2;
	assert_err(answer_err(ASK(&peer, PUBLISH_IDENTITY, publish)), CHAT_ERR_UNSUPPORTED);
	fake_bag(bag);
	be64_put(bag + 1, 2);
	assert_err(answer_err(ASK(&peer, PUBLISH_IDENTITY, publish)), CHAT_ERR_MALFORMED);
	fake_bag(bag);
	be64_put(bag + 1, 0);
	assert_err(answer_err(ASK(&peer, PUBLISH_IDENTITY, publish)), CHAT_ERR_MALFORMED);
	peer_ping(&peer);
	peer_close(&peer);
	person_fini(&prey);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_refused_alike),
	    cmocka_unit_test(passwords_are_refused_alike),
	    cmocka_unit_test(replays),
	    cmocka_unit_test(other_bindings),
	    cmocka_unit_test(a_password_opens_no_other_account),
	    cmocka_unit_test(guessing_at_an_account_takes_longer_and_longer),
	    cmocka_unit_test(guessing_from_an_address_takes_longer_and_longer),
	    cmocka_unit_test(the_password_file_has_the_last_word),
	    cmocka_unit_test(one_session_too_many),
	    cmocka_unit_test(cards_of_the_wrong_form),
	    cmocka_unit_test(bags_of_the_wrong_form),
	    /* The log leaves refusals out from here on. */
	    cmocka_unit_test(many_at_once_from_an_address),
	    cmocka_unit_test(a_flood_of_passwords),
	    cmocka_unit_test(nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
