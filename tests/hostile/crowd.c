/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crowd.h"

#include <stdio.h>

#include "unit/unit.h"

#include "base/random.h"
#include "crypto/hash.h"
#include "proto/limits.h"
#include "proto/wire.h"

/* ---- people ---- */

struct realm
peer_hello(struct peer *peer)
{
	Chat__V1__Hello hello = CHAT__V1__HELLO__INIT;
	const Chat__V1__ServerFrame *answer;
	struct realm realm;

	hello.version = PROTOCOL_VERSION;
	hello.software = wire_from_str("hostile 1");
	answer = ASK(peer, HELLO, hello);
	assert_answer(answer, ANSWER(HELLO_OK));
	assert_int_equal(answer->hello_ok->realm.len, REALM_BYTES);
	memcpy(realm.b, answer->hello_ok->realm.data, REALM_BYTES);
	return realm;
}

void
peer_password(struct peer *peer, const char *account)
{
	Chat__V1__PasswordLogin login = CHAT__V1__PASSWORD_LOGIN__INIT;

	login.account = wire_from_str(account);
	login.password = wire_from_bytes(BYTES_STR(host_password(account)));
	assert_answer(ASK(peer, PASSWORD_LOGIN, login), ANSWER(PASSWORD_OK));
}

Chat__V1__KeyLogin
peer_key_login(struct peer *peer, const struct person *person, uint8_t sig[static ED25519_SIG_BYTES])
{
	Chat__V1__KeyLogin body = CHAT__V1__KEY_LOGIN__INIT;
	struct login login = {
	    .binding_type = LOGIN_BINDING_TLS_EXPORTER,
	    .realm = person->identity.realm,
	    .account = person->identity.account,
	    .member_id = person->identity.member_id,
	};

	assert_ok(tls_export_binding(peer->tls, login.binding));
	login_sign(&person->identity.sign, &login, sig);
	body.account = wire_from_str(person->identity.account.s);
	body.member_id = wire_from_digest(&person->identity.member_id);
	body.binding_type = LOGIN_BINDING_TLS_EXPORTER;
	body.signature = wire_from_bytes(BYTES(sig, ED25519_SIG_BYTES));
	body.ed_pk = wire_from_bytes(BYTES_ARRAY(person->identity.sign.pk));
	return body;
}

static void
prove_key(struct peer *peer, const struct person *person)
{
	uint8_t sig[ED25519_SIG_BYTES];
	Chat__V1__KeyLogin login = peer_key_login(peer, person, sig);

	assert_answer(ASK(peer, KEY_LOGIN, login), ANSWER(LOGIN_OK));
	peer->person = person;
}

void
peer_enter(struct peer *peer, const struct person *person)
{
	peer_hello(peer);
	prove_key(peer, person);
}

void
peer_login(struct peer *peer, struct host *host, const struct person *person)
{
	peer_open(peer, host);
	peer_enter(peer, person);
}

void
peer_login_narrow(struct peer *peer, struct host *host, const struct person *person)
{
	peer_open_narrow(peer, host);
	peer_enter(peer, person);
}

void
fake_bag(uint8_t ret[static FAKE_BAG_BYTES])
{
	memset(ret, 0xb6, FAKE_BAG_BYTES);
	ret[0] = 1;
	be64_put(ret + 1, 1);
}

void
crowd_join(struct host *host, struct person *person, const char *account)
{
	Chat__V1__PublishIdentity publish = CHAT__V1__PUBLISH_IDENTITY__INIT;
	uint8_t bag[FAKE_BAG_BYTES];
	struct realm realm;
	struct peer peer;
	uint64_t seed;

	random_bytes(&seed, sizeof(seed));
	fake_bag(bag);
	peer_open(&peer, host);
	realm = peer_hello(&peer);
	host_set_realm(host, &realm);
	peer_password(&peer, account);
	person_init_at(person, account, seed, &realm);
	publish.card = wire_from_bytes(person_card(person));
	publish.bag = wire_from_bytes(BYTES_ARRAY(bag));
	assert_answer(ASK(&peer, PUBLISH_IDENTITY, publish), ANSWER(OK));
	peer_close(&peer);
}

/* ---- rooms ---- */

const struct digest *
room_id_of(const struct known_room *known)
{
	return &roster_state(known->roster)->room_id;
}

uint64_t
room_head(const struct known_room *known)
{
	return roster_state(known->roster)->head.seq;
}

void
known_room_fini(struct known_room *known)
{
	roster_free(known->roster);
	known->roster = NULL;
}

enum chat_err
post_event_wire(struct peer *peer, const struct digest *room_id, struct bytes wire)
{
	Chat__V1__PostEvents post = CHAT__V1__POST_EVENTS__INIT;
	ProtobufCBinaryData events[] = {wire_from_bytes(wire)};

	if (room_id != NULL)
		post.room_id = wire_from_digest(room_id);
	post.event = events;
	post.n_event = 1;
	return answer_err(ASK(peer, POST_EVENTS, post));
}

enum chat_err
post_message_wire(struct peer *peer, const struct digest *room_id, struct bytes wire)
{
	Chat__V1__PostMessage post = CHAT__V1__POST_MESSAGE__INIT;

	post.room_id = wire_from_digest(room_id);
	post.message = wire_from_bytes(wire);
	return answer_err(ASK(peer, POST_MESSAGE, post));
}

/* What the server says of the log has to be what it is here. */
static void
compare_head(const struct known_room *known, const Chat__V1__Posted *posted)
{
	const struct log_head *head = &roster_state(known->roster)->head;

	assert_int_equal(posted->count, 1);
	assert_int_equal(posted->first_seq, head->seq);
	assert_bytes_equal(wire_bytes(posted->hash), digest_bytes(&head->L));
}

enum chat_err
room_post(struct known_room *known, struct peer *peer, const struct event *draft)
{
	const struct roster_wraps wraps = {.staged = true, .count = roster_reader_count(known->roster)};
	Chat__V1__PostEvents post = CHAT__V1__POST_EVENTS__INIT;
	const Chat__V1__ServerFrame *answer;
	ProtobufCBinaryData events[1];
	struct roster_post taken;
	struct built built;
	enum chat_err err;

	built_init(&built, draft, peer->person);
	events[0] = wire_from_bytes(buf_bytes(&built.wire));
	if (draft->type != EVENT_CREATE)
		post.room_id = wire_from_digest(room_id_of(known));
	post.event = events;
	post.n_event = 1;
	answer = ASK(peer, POST_EVENTS, post);
	err = answer_err(answer);
	if (err == CHAT_OK) {
		assert_answer(answer, ANSWER(POSTED));
		taken = (struct roster_post){
		    .event = &built.event,
		    .poster = &peer->person->identity.member_id,
		    .wraps = &wraps,
		    .server_time_ms = answer->posted->server_time_ms,
		    .signatures_good = true,
		};
		assert_ok(roster_post_event(known->roster, &taken, NULL, NULL));
		compare_head(known, answer->posted);
	}
	built_fini(&built);
	return err;
}

enum chat_err
room_do(struct known_room *known, struct peer *peer, enum event_type type, const struct person *about)
{
	struct event draft = kit_event(known->roster, type, peer->person, about);

	return room_post(known, peer, &draft);
}

void
make_false_wraps(uint32_t count, struct buf *ret_wraps)
{
	assert_ok(buf_reserve(ret_wraps, (size_t)count * WRAP_BYTES));
	random_bytes(ret_wraps->data + ret_wraps->len, (size_t)count * WRAP_BYTES);
	ret_wraps->len += (size_t)count * WRAP_BYTES;
}

struct digest
wraps_hash_of(struct bytes wraps)
{
	uint32_t count = (uint32_t)(wraps.len / WRAP_BYTES);
	struct wraps_hash all;

	wraps_hash_init(&all, count);
	for (uint32_t i = 0; i < count; i++) {
		struct digest hash = hash_once(BYTES(wraps.data + (size_t)i * WRAP_BYTES, WRAP_BYTES));

		wraps_hash_add(&all, &hash);
	}
	return wraps_hash_end(&all);
}

enum chat_err
peer_stage(struct peer *peer, const struct digest *hash, uint32_t count, struct bytes wraps)
{
	Chat__V1__StageWraps stage = CHAT__V1__STAGE_WRAPS__INIT;

	stage.wraps_hash = wire_from_digest(hash);
	stage.count = count;
	stage.wraps = wire_from_bytes(wraps);
	return answer_err(ASK(peer, STAGE_WRAPS, stage));
}

static struct epoch_context
context_of(const struct event *draft)
{
	return (struct epoch_context){
	    .room_id = draft->room_id,
	    .number = draft->rekey.epoch,
	    .after = draft->after,
	    .actor = draft->actor,
	};
}

struct event
room_rekey_draft(struct known_room *known, const struct person *actor, struct buf *box)
{
	struct event draft = kit_event(known->roster, EVENT_REKEY, actor, NULL);
	struct epoch_context ctx = context_of(&draft);
	struct digest salt = epoch_salt(&ctx);
	struct room_info info = {.name = BYTES_EMPTY};
	struct info_key info_key;
	uint8_t wire[256];

	if (known->name != NULL)
		info.name = BYTES_STR(known->name);
	assert_true(room_info_encoded_bytes(&info) <= sizeof(wire));
	room_info_encode(&info, wire);
	epoch_key_generate(&random_kernel, &known->key);
	draft.rekey.commitment = epoch_commitment(&known->key, &salt);
	info_key_derive(&known->key, &salt, &info_key);
	assert_ok(info_box_seal(
	    &info_key, &draft.room_id, draft.rekey.epoch, BYTES(wire, room_info_encoded_bytes(&info)), box));
	draft.rekey.info_box = buf_bytes(box);
	return draft;
}

void
room_wrap(const struct known_room *known, const struct event *draft, struct buf *ret_wraps)
{
	struct epoch_context ctx = context_of(draft);
	const struct roster_member *reader = NULL;

	while ((reader = roster_next_reader(known->roster, reader)) != NULL) {
		struct wrap_target target = {.member_id = reader->id, .card_hash = reader->card_hash};
		uint8_t wrap[WRAP_BYTES];

		assert_ok(wrap_seal(&ctx, &draft->rekey.commitment, &target, member_rsa_n(reader),
		    &known->key, &random_kernel, wrap));
		assert_ok(buf_append(ret_wraps, wrap, sizeof(wrap)));
	}
}

enum chat_err
room_rekey(struct known_room *known, struct peer *peer)
{
	struct epoch_key before = known->key;
	struct buf wraps = {0}, box = {0};
	struct event draft = room_rekey_draft(known, peer->person, &box);
	enum chat_err err;

	room_wrap(known, &draft, &wraps);
	draft.rekey.wraps_hash = wraps_hash_of(buf_bytes(&wraps));
	err =
	    peer_stage(peer, &draft.rekey.wraps_hash, roster_reader_count(known->roster), buf_bytes(&wraps));
	if (err == CHAT_OK)
		err = room_post(known, peer, &draft);
	if (err != CHAT_OK)
		known->key = before;
	buf_fini(&wraps);
	buf_fini(&box);
	return err;
}

void
room_seal(struct known_room *known, const struct person *sender, const char *text, struct buf *into)
{
	struct message_header header = kit_header(known->roster, sender);

	assert_ok(message_seal(
	    &known->key, &header, BYTES_STR(text), &sender->identity.sign, &random_kernel, into));
}

enum chat_err
room_say(struct known_room *known, struct peer *peer, const char *text)
{
	/* The counter is the person's; everything else about a logged-in person stays as it is. */
	struct person *sender = (struct person *)(uintptr_t)peer->person;
	Chat__V1__PostMessage post = CHAT__V1__POST_MESSAGE__INIT;
	const Chat__V1__ServerFrame *answer;
	struct message message;
	struct buf wire = {0};
	struct digest entry;
	enum chat_err err;

	room_seal(known, sender, text, &wire);
	post.room_id = wire_from_digest(room_id_of(known));
	post.message = wire_from_bytes(buf_bytes(&wire));
	answer = ASK(peer, POST_MESSAGE, post);
	err = answer_err(answer);
	if (err == CHAT_OK) {
		assert_answer(answer, ANSWER(POSTED));
		assert_ok(message_decode(buf_bytes(&wire), &message));
		entry = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
		assert_ok(roster_post_message(known->roster, &message.header, &entry, person_id(sender),
		    answer->posted->server_time_ms, NULL));
		sender->counter++;
		compare_head(known, answer->posted);
	}
	buf_fini(&wire);
	return err;
}

static void
learn(struct known_room *known, const Chat__V1__Entry *entry)
{
	struct roster_message_verdict verdict;
	struct message message;
	struct event event;
	struct digest hash;

	if (entry->kind == ENTRY_EVENT) {
		assert_ok(event_decode(wire_bytes(entry->wire), &event));
		assert_ok(roster_take_event(known->roster, &event, true, entry->server_time_ms, NULL, NULL));
		return;
	}
	assert_ok(message_decode(wire_bytes(entry->wire), &message));
	hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	assert_ok(roster_take_message(
	    known->roster, &message.header, &hash, true, entry->server_time_ms, &verdict));
}

void
room_learn(struct known_room *known, struct peer *peer)
{
	Chat__V1__GetHistory get = CHAT__V1__GET_HISTORY__INIT;
	const Chat__V1__ServerFrame *answer;

	get.room_id = wire_from_digest(room_id_of(known));
	get.before_seq = ROOM_ENTRIES_MAX;
	get.limit = HISTORY_LIMIT_MAX;
	answer = ASK(peer, GET_HISTORY, get);
	assert_answer(answer, ANSWER(HISTORY));
	for (size_t i = 0; i < answer->history->n_entry; i++)
		if (answer->history->entry[i]->seq == room_head(known) + 1)
			learn(known, answer->history->entry[i]);
}

void
room_follow(struct known_room *known, struct peer *peer)
{
	Chat__V1__Resume resume = CHAT__V1__RESUME__INIT;

	assert_true(peer->room_count < PEER_ROOMS_MAX);
	peer->rooms[peer->room_count++] = (struct peer_room){.room_id = *room_id_of(known)};
	resume.room_id = wire_from_digest(room_id_of(known));
	resume.next_seq = 1;
	resume.hash = wire_from_digest(&digest_zero);
	assert_answer(ASK(peer, RESUME, resume), ANSWER(RESUMED));
	room_caught_up(known, peer);
}

void
room_caught_up(struct known_room *known, struct peer *peer)
{
	peer_wait_entries(peer, room_id_of(known), room_head(known));
	assert_true(
	    log_head_equal(&peer_room(peer, room_id_of(known))->head, &roster_state(known->roster)->head));
}

void
room_make(struct known_room *known, struct peer *owner, struct peer *const *others, size_t other_count)
{
	struct event create;

	memset(known, 0, sizeof(*known));
	known->roster = roster_new(&owner->person->identity.realm, true);
	assert_non_null(known->roster);
	create = kit_create(owner->person, NULL);
	random_bytes(create.create.nonce, sizeof(create.create.nonce));
	assert_ok(room_post(known, owner, &create));
	for (size_t i = 0; i < other_count; i++) {
		assert_ok(room_do(known, owner, EVENT_INVITE, others[i]->person));
		assert_ok(room_do(known, others[i], EVENT_JOIN, NULL));
	}
	assert_ok(room_rekey(known, owner));
}

/* ---- the witness ---- */

void
witness_init(struct witness *witness, struct host *host)
{
	static const char *const names[] = {WITNESS_ACCOUNTS};
	struct peer *other = &witness->peers[1];

	witness->said = 0;
	for (size_t i = 0; i < 2; i++) {
		crowd_join(host, &witness->people[i], names[i]);
		peer_login(&witness->peers[i], host, &witness->people[i]);
	}
	room_make(&witness->room, &witness->peers[0], &other, 1);
	for (size_t i = 0; i < 2; i++)
		room_follow(&witness->room, &witness->peers[i]);
}

void
witness_check(struct witness *witness)
{
	char text[64];

	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "hush, this is said for the %uth time", ++witness->said);
		assert_ok(room_say(&witness->room, &witness->peers[i], text));
	}
	for (size_t i = 0; i < 2; i++) {
		room_caught_up(&witness->room, &witness->peers[i]);
		peer_ping(&witness->peers[i]);
	}
}

void
witness_fini(struct witness *witness)
{
	struct peer again;

	witness_check(witness);
	peer_login(&again, witness->peers[0].host, &witness->people[1]);
	room_follow(&witness->room, &again);
	assert_int_equal(peer_room(&again, room_id_of(&witness->room))->stubs, 0);
	peer_close(&again);
	for (size_t i = 0; i < 2; i++) {
		peer_close(&witness->peers[i]);
		person_fini(&witness->people[i]);
	}
	known_room_fini(&witness->room);
}
