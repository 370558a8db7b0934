/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <string.h>

#include "group/bag.h"
#include "group/card.h"
#include "libchat/session_impl.h"

static void log_in(struct chat_session *s);
static void send_password(struct chat_session *s);
static void send_identity(struct chat_session *s);

/* ---- what any step may be answered ---- */

static void
pause_login(struct chat_session *s, enum login_state again, const struct refusal *refusal)
{
	s->login = LOGIN_PAUSE;
	s->login_paused = again;
	s->login_again_ms = s->now.mono_ms + refusal_wait_ms(refusal, s->login_tries++);
}

/* True if that was the end of it, or of it for now. */
static bool
login_refused(struct chat_session *s, enum login_state step, const struct refusal *refusal)
{
	const char *mend = refusal->mend;

	if (refusal->err == CHAT_OK)
		return false;
	if (refusal_is_passing(refusal)) {
		pause_login(s, step, refusal);
		return true;
	}
	/* The server tells nobody why; here a key is known that it once took. */
	if (step == LOGIN_KEY && refusal->err == CHAT_ERR_LOGIN_REFUSED &&
	    (refusal->mend == NULL || *refusal->mend == '\0'))
		mend =
		    "the administrator knows whether the account is locked or was deleted; one that was made "
		    "anew takes another data directory";
	session_fail(s, refusal->err, refusal->err != CHAT_ERR_LIMIT && refusal->err != CHAT_ERR_SHUTDOWN,
	    refusal->text, mend);
	s->end.retry_after_ms = refusal->retry_after_ms;
	return true;
}

void
login_tick(struct chat_session *s)
{
	if (s->login != LOGIN_PAUSE || s->now.mono_ms < s->login_again_ms)
		return;
	s->login = s->login_paused;
	if (s->login == LOGIN_PASSWORD)
		send_password(s);
	else if (s->login == LOGIN_PUBLISH)
		send_identity(s);
	else if (s->login == LOGIN_KEY)
		log_in(s);
	else
		login_begin(s);
}

/* ---- hello ---- */

static void
ask_password(struct chat_session *s, enum chat_err why)
{
	struct chat_event *event = event_new(CHAT_EVENT_PASSWORD_NEEDED);

	s->login = LOGIN_ASKING;
	if (event != NULL)
		event->err = why;
	session_emit(s, event);
}

static void
on_hello(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct realm realm;

	(void)call;
	if (login_refused(s, LOGIN_HELLO, &refusal))
		return;
	memcpy(realm.b, answer->hello_ok->realm.data, sizeof realm.b);
	s->hello_unix_ms = answer->hello_ok->unix_ms;
	if (s->has_stored && !realm_equal(&realm, &s->stored.realm)) {
		session_fail(s, CHAT_ERR_PEER_CHANGED, true,
		    "This is another server than the one that the stored identity belongs to.",
		    "use another data directory for it");
		return;
	}
	s->realm = realm;
	s->realm_known = true;
	if (s->has_stored && s->stored.published && s->password_why == CHAT_OK)
		log_in(s);
	else
		ask_password(s, s->password_why);
}

void
login_begin(struct chat_session *s)
{
	Chat__V1__Hello hello = CHAT__V1__HELLO__INIT;

	s->login = LOGIN_HELLO;
	s->login_tries = 0;
	hello.version = PROTOCOL_VERSION;
	hello.software = s->software;
	call_make(s, CLIENT_FRAME(HELLO, hello, &hello), on_hello, NULL, NULL, 0);
}

/* ---- the password ---- */

void
login_forget_password(struct chat_session *s)
{
	explicit_bzero(s->password, sizeof s->password);
	s->password_len = 0;
}

static enum chat_err
put_identity(struct chat_session *s)
{
	return s->st->ops->put_identity(s->st, &s->stored);
}

/* The root, before anything of it is told to the server: what comes after can be repeated with it. */
static void
make_root(struct chat_session *s)
{
	identity_root_generate(&s->random, &s->stored.root);
	s->stored.realm = s->realm;
	s->stored.bag_version = 0;
	s->stored.published = false;
	if (!session_check(s, put_identity(s)))
		return;
	s->has_stored = true;
	identity_init(&s->stored.root, &s->realm, &s->account, &s->identity);
	s->has_identity = true;
}

static void
make_identity(struct chat_session *s)
{
	struct chat_event *event;
	struct work *work;

	if (!s->has_stored)
		make_root(s);
	if (s->ended)
		return;
	if (s->keyring.count > 0) {
		send_identity(s);
		return;
	}
	s->login = LOGIN_KEYGEN;
	event = event_new(CHAT_EVENT_PROGRESS);
	if (event != NULL)
		event_printf(event, "making an RSA key of 3072 bits");
	session_emit(s, event);
	work = session_new_work(s, WORK_KEYGEN, NULL);
	if (work != NULL)
		s->keygen_work = work->id;
	session_add_work(s, work);
}

static void
other_identity(struct chat_session *s)
{
	session_fail(s, CHAT_ERR_LOGIN_REFUSED, true,
	    "This account has an identity already, and it is not in this data directory.",
	    "export it on the other machine and import it here: chat-client identity export, identity "
	    "import");
}

static void
on_password(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct card card;

	(void)call;
	if (refusal.err == CHAT_ERR_LOGIN_REFUSED) {
		login_forget_password(s);
		s->password_why = CHAT_ERR_LOGIN_REFUSED;
		ask_password(s, s->password_why);
		return;
	}
	if (login_refused(s, LOGIN_PASSWORD, &refusal))
		return;
	login_forget_password(s);
	s->password_why = CHAT_OK;
	if (!answer->password_ok->has_identity) {
		if (s->has_stored && s->stored.published)
			session_fail(s, CHAT_ERR_LOGIN_REFUSED, true,
			    "The server has forgotten this account's identity; it was deleted or is another "
			    "account.",
			    "use another data directory for the new account");
		else
			make_identity(s);
		return;
	}
	if (!s->has_stored || card_decode_verify(wire_bytes(answer->password_ok->card), &card) != CHAT_OK ||
	    !digest_equal(&card.member_id, &s->identity.member_id)) {
		other_identity(s);
		return;
	}
	if (!s->stored.published) {
		/* It was, and the answer was lost. */
		s->stored.published = true;
		if (!session_check(s, put_identity(s)))
			return;
	}
	log_in(s);
}

static void
send_password(struct chat_session *s)
{
	Chat__V1__PasswordLogin login = CHAT__V1__PASSWORD_LOGIN__INIT;

	s->login = LOGIN_PASSWORD;
	login.account = s->account.s;
	login.password = wire_from_bytes(BYTES(s->password, s->password_len));
	call_make(s, CLIENT_FRAME(PASSWORD_LOGIN, password_login, &login), on_password, NULL, NULL, 0);
}

enum chat_err
session_give_password(struct chat_session *s, struct bytes password, struct now now)
{
	if (s->login != LOGIN_ASKING || s->ended || password.len < 1 || password.len > PASSWORD_MAX_BYTES)
		return CHAT_ERR_INVALID;
	session_begin(s, now);
	memcpy(s->password, password.data, password.len);
	s->password_len = password.len;
	send_password(s);
	session_run(s);
	return CHAT_OK;
}

/* ---- the first identity ---- */

/* The first bag, stored before it is sent. */
static enum chat_err
store_first_bag(struct chat_session *s, const struct rsa_key *key)
{
	struct buf der = {0}, blob = {0};
	struct bytes keys[1];
	enum chat_err err;

	err = rsa_key_to_pkcs8(key, &der);
	if (err != CHAT_OK)
		goto out;
	keys[0] = buf_bytes(&der);
	err = bag_seal(
	    s->stored.root.bag_key, &s->realm, &s->account, 1, keys, ARRAY_LEN(keys), &s->random, &blob);
	if (err != CHAT_OK)
		goto out;
	s->stored.bag_version = 1;
	err = s->st->ops->put_bag(s->st, buf_bytes(&blob), 1);
	if (err == CHAT_OK)
		err = put_identity(s);
	if (err == CHAT_OK)
		err = login_load_bag(s);
out:
	buf_fini_secret(&der);
	buf_fini(&blob);
	return err;
}

void
login_keygen_done(struct chat_session *s, struct work *work)
{
	if (work->id != s->keygen_work)
		return; /* of a connection that was lost; the next one makes its own */
	s->keygen_work = 0;
	if (work->err != CHAT_OK) {
		session_fail(s, work->err, true, "An RSA key could not be made.", NULL);
		return;
	}
	if (session_check(s, store_first_bag(s, work->keygen.key)))
		send_identity(s);
}

static void
on_identity(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);

	(void)call;
	if (refusal.err == CHAT_ERR_CONFLICT) {
		other_identity(s);
		return;
	}
	if (login_refused(s, LOGIN_PUBLISH, &refusal))
		return;
	s->stored.published = true;
	if (session_check(s, put_identity(s)))
		log_in(s);
}

static void
send_identity(struct chat_session *s)
{
	Chat__V1__PublishIdentity publish = CHAT__V1__PUBLISH_IDENTITY__INIT;
	const struct rsa_key_ref *key = s->keyring.keys[s->keyring.count - 1];
	struct buf bag = {0}, card = {0};
	enum chat_err err;

	s->login = LOGIN_PUBLISH;
	err = s->st->ops->get_bag(s->st, &bag);
	if (err == CHAT_OK)
		err = card_build(&s->identity, NULL, false, key->n, s->now.unix_ms, &card);
	if (session_check(s, err)) {
		publish.card = wire_from_bytes(buf_bytes(&card));
		publish.bag = wire_from_bytes(buf_bytes(&bag));
		call_make(s, CLIENT_FRAME(PUBLISH_IDENTITY, publish_identity, &publish), on_identity, NULL,
		    NULL, 0);
	}
	buf_fini(&bag);
	buf_fini(&card);
}

/* ---- the key ---- */

static bool
take_own_card(struct chat_session *s, struct bytes wire)
{
	struct card card;

	if (card_decode_verify(wire, &card) != CHAT_OK ||
	    !digest_equal(&card.member_id, &s->identity.member_id)) {
		session_fail(
		    s, CHAT_ERR_MALFORMED, true, "The server gave another's card for this account.", NULL);
		return false;
	}
	if (card.retired) {
		session_fail(s, CHAT_ERR_LOGIN_REFUSED, true, "This identity was retired.",
		    "use another data directory for the new one");
		return false;
	}
	buf_clear(&s->card);
	if (!session_check(s, buf_append(&s->card, wire.data, wire.len)))
		return false;
	s->card_hash = card.card_hash;
	return true;
}

enum chat_err
login_load_bag(struct chat_session *s)
{
	struct buf blob = {0}, plain = {0};
	struct bag bag;
	enum chat_err err;

	err = s->st->ops->get_bag(s->st, &blob);
	if (err == CHAT_OK)
		err = bag_open(
		    s->stored.root.bag_key, &s->stored.realm, &s->account, 0, buf_bytes(&blob), &plain, &bag);
	if (err == CHAT_OK)
		err = keyring_load(&s->keyring, &bag);
	buf_fini(&blob);
	buf_fini_secret(&plain);
	return err;
}

/* A bag that cannot be used is no reason not to talk: what was read before stays readable. */
static enum chat_err
take_bag(struct chat_session *s, struct bytes blob)
{
	struct buf plain = {0};
	struct bag bag;
	enum chat_err err;

	err = bag_open(
	    s->stored.root.bag_key, &s->realm, &s->account, s->stored.bag_version, blob, &plain, &bag);
	if (err == CHAT_OK)
		err = keyring_load(&s->keyring, &bag);
	if (err == CHAT_OK) {
		s->stored.bag_version = bag.version;
		err = s->st->ops->put_bag(s->st, blob, bag.version);
		if (session_check(s, err))
			(void)session_check(s, put_identity(s));
	} else if (err == CHAT_ERR_NOMEM)
		(void)session_check(s, err);
	buf_fini_secret(&plain);
	return err;
}

/* call->number: 1 at login, which goes on with the rooms. */
static void
on_bag(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	enum chat_err err = refusal.err;

	if (err == CHAT_OK)
		err = take_bag(s, wire_bytes(answer->bag->blob));
	if (s->ended)
		return;
	if (err == CHAT_ERR_STALE)
		session_warn(s, NULL, 0, NULL,
		    "The server's bag of RSA keys is older than the one seen before; it is not used.");
	else if (err != CHAT_OK)
		session_warn(s, NULL, 0, "import the identity again from a machine that works",
		    "The bag of RSA keys from the server does not open (%s).", chat_err_name(err));
	if (call->number == 1)
		sync_begin(s);
}

void
login_card_changed(struct chat_session *s, struct bytes wire)
{
	Chat__V1__GetBag get = CHAT__V1__GET_BAG__INIT;

	if (take_own_card(s, wire))
		call_make(s, CLIENT_FRAME(GET_BAG, get_bag, &get), on_bag, NULL, NULL, 0);
}

static void
on_key(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	Chat__V1__GetBag get = CHAT__V1__GET_BAG__INIT;
	struct chat_event *event;

	(void)call;
	if (refusal.err == CHAT_ERR_PASSWORD_REQUIRED) {
		s->password_why = CHAT_ERR_PASSWORD_REQUIRED;
		ask_password(s, s->password_why);
		return;
	}
	if (login_refused(s, LOGIN_KEY, &refusal) || !take_own_card(s, wire_bytes(answer->login_ok->card)))
		return;
	s->login = LOGIN_READY;
	event = event_new(CHAT_EVENT_CONNECTED);
	if (event != NULL)
		event->number = answer->login_ok->sessions;
	session_emit(s, event);
	if (s->keyring.count == 0 || answer->login_ok->bag_version != s->stored.bag_version)
		call_make(s, CLIENT_FRAME(GET_BAG, get_bag, &get), on_bag, NULL, NULL, 1);
	else
		sync_begin(s);
}

static void
log_in(struct chat_session *s)
{
	Chat__V1__KeyLogin key = CHAT__V1__KEY_LOGIN__INIT;
	uint8_t sig[ED25519_SIG_BYTES];
	struct login login = {
	    .binding_type = LOGIN_BINDING_TLS_EXPORTER,
	    .realm = s->realm,
	    .account = s->account,
	    .member_id = s->identity.member_id,
	};

	s->login = LOGIN_KEY;
	memcpy(login.binding, s->binding, sizeof login.binding);
	login_sign(&s->identity.sign, &login, sig);
	key.account = s->account.s;
	key.member_id = wire_from_digest(&s->identity.member_id);
	key.binding_type = LOGIN_BINDING_TLS_EXPORTER;
	key.signature = wire_from_bytes(BYTES_ARRAY(sig));
	key.ed_pk = wire_from_bytes(BYTES_ARRAY(s->identity.sign.pk));
	call_make(s, CLIENT_FRAME(KEY_LOGIN, key_login, &key), on_key, NULL, NULL, 0);
}
