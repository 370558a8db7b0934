/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "examples.h"

#include "crypto/eme_oaep.h"
#include "crypto/hash.h"
#include "group/content.h"
#include "group/epoch.h"
#include "group/event.h"
#include "group/newcomer.h"
#include "group/roster.h"
#include "group/seal.h"
#include "group_vectors.h"
#include "proto/frame.h"
#include "proto/wire.h"

#define ENTRIES 5 /* create, invite, rekey, join, message */

/* The server takes one entry a second. */
#define SERVER_TIME_MS(seq) (EXAMPLE_TIME_MS + 1000 * (seq))

struct made {
	struct buf wire;
	struct event event; /* of an event */
	struct digest own_hash, entry_hash;
	struct log_head head; /* behind it */
};

struct example_room {
	const struct example_person *alice, *bob;
	struct roster *roster;
	struct made entries[ENTRIES + 1]; /* by number */
	struct epoch_key key;
};

/* ---- events ---- */

/* What all events of the room have in common, as they are now. */
static struct event
draft(const struct example_room *room, enum event_type type, const struct example_person *actor,
    const struct digest *about)
{
	const struct roster_state *state = roster_state(room->roster);
	struct event event = {.type = type};

	event.room_id = state->room_id;
	event.actor = actor->identity.member_id;
	event.after = *roster_next_after(room->roster, type, about);
	event.seen_seq = state->head.seq;
	event.seen_hash = state->head.L;
	event.time_ms = SERVER_TIME_MS(state->head.seq + 1) - 50;
	return event;
}

/* Signs it, has it judged as the server does, and notes what the log has become. */
static void
post(struct example_room *room, const struct event *draft, const struct example_person *actor)
{
	struct made *made = &room->entries[roster_state(room->roster)->head.seq + 1];
	const struct roster_wraps wraps = {.staged = true, .count = roster_reader_count(room->roster)};
	struct roster_change change;
	struct roster_post post;

	assert_ok(event_build(draft, &actor->identity.sign, &made->wire, &made->own_hash));
	assert_ok(event_decode(buf_bytes(&made->wire), &made->event));
	post = (struct roster_post){
	    .event = &made->event,
	    .poster = &actor->identity.member_id,
	    .wraps = &wraps,
	    .server_time_ms = SERVER_TIME_MS(roster_state(room->roster)->head.seq + 1),
	    .signatures_good = event_signatures_good(&made->event, actor->identity.sign.pk),
	};
	assert_ok(roster_post_event(room->roster, &post, &change, NULL));
	made->entry_hash = change.entry_hash;
	made->head = roster_state(room->roster)->head;
}

/* The fields that every event has; the payload is read on by the caller. */
static json_t *
put_header(json_t *examples, const char *name, const struct made *made, struct reader *ret_rd)
{
	json_t *values = example_add(examples, name);

	rd_init(ret_rd, buf_bytes(&made->wire));
	put_hex(values, "version", rd_take(ret_rd, 1));
	put_hex(values, "type", rd_take(ret_rd, 1));
	put_hex(values, "room_id", rd_take(ret_rd, DIGEST_BYTES));
	put_hex(values, "actor", rd_take(ret_rd, DIGEST_BYTES));
	put_hex(values, "after", rd_take(ret_rd, DIGEST_BYTES));
	put_hex(values, "seen_seq", rd_take(ret_rd, 8));
	put_hex(values, "seen_hash", rd_take(ret_rd, DIGEST_BYTES));
	put_hex(values, "time_ms", rd_take(ret_rd, 8));
	return values;
}

static void
put_end(json_t *values, const struct made *made, struct reader *rd)
{
	put_hex(values, "sig", rd_take(rd, ED25519_SIG_BYTES));
	assert_true(rd_done(rd));
	put_hex(values, "wire", buf_bytes(&made->wire));
	put_digest(values, "event_hash", &made->own_hash);
}

static struct bytes
take_str16(struct reader *rd)
{
	struct bytes at = BYTES(rd->pos, 2);

	at.len += rd_str16(rd).len;
	return at;
}

static void
example_create(json_t *examples, struct example_room *room)
{
	struct event event = {.type = EVENT_CREATE};
	json_t *values;
	struct reader rd;

	event.actor = room->alice->identity.member_id;
	event.time_ms = SERVER_TIME_MS(1) - 50;
	memcpy(event.create.nonce, counting(0xd0, EVENT_NONCE_BYTES).data, EVENT_NONCE_BYTES);
	event.create.realm = room->alice->identity.realm;
	event.card_wire = buf_bytes(&room->alice->card_wire);
	post(room, &event, room->alice);

	values = put_header(examples, "create", &room->entries[1], &rd);
	put_hex(values, "nonce", rd_take(&rd, EVENT_NONCE_BYTES));
	put_hex(values, "suite", rd_take(&rd, 1));
	put_hex(values, "kind", rd_take(&rd, 1));
	put_hex(values, "invite_policy", rd_take(&rd, 1));
	put_hex(values, "history_policy", rd_take(&rd, 1));
	put_hex(values, "realm", rd_take(&rd, REALM_BYTES));
	put_hex(values, "str16 card", take_str16(&rd));
	put_end(values, &room->entries[1], &rd);
	assert_true(digest_equal(&room->entries[1].own_hash, &roster_state(room->roster)->room_id));
}

static void
example_invite(json_t *examples, struct example_room *room)
{
	struct event event = draft(room, EVENT_INVITE, room->alice, &room->bob->identity.member_id);
	json_t *values;
	struct reader rd;

	event.card_wire = buf_bytes(&room->bob->card_wire);
	post(room, &event, room->alice);
	values = put_header(examples, "invite", &room->entries[2], &rd);
	put_hex(values, "str16 card", take_str16(&rd));
	put_end(values, &room->entries[2], &rd);
}

static void
example_join(json_t *examples, struct example_room *room)
{
	struct event event = draft(room, EVENT_JOIN, room->bob, &room->bob->identity.member_id);
	json_t *values;
	struct reader rd;

	post(room, &event, room->bob);
	values = put_header(examples, "join", &room->entries[4], &rd);
	put_end(values, &room->entries[4], &rd);
}

/* ---- the epoch ---- */

static struct wrap_target
target_of(const struct example_person *person)
{
	return (struct wrap_target){
	    .member_id = person->identity.member_id, .card_hash = person->card.card_hash};
}

/* A wrap for the person, with this seed, and all that leads to it. */
static void
put_wrap(json_t *values, const struct example_room *room, const struct epoch_context *ctx,
    const struct digest *commitment, const struct example_person *person, uint8_t seed_first,
    uint8_t ret_wrap[static WRAP_BYTES])
{
	const struct wrap_target target = target_of(person);
	struct bytes seed = counting(seed_first, OAEP_SEED_BYTES);
	uint8_t label[WRAP_LABEL_BYTES], em[RSA_BYTES];
	struct given_random given;
	struct epoch_key opened;

	wrap_label(ctx, commitment, &target, label);
	eme_oaep_encode(BYTES_ARRAY(label), BYTES_ARRAY(room->key.b), seed.data, em, sizeof(em));
	given_random_init(&given, seed);
	assert_ok(wrap_seal(ctx, commitment, &target, person->rsa_n, &room->key, &given.source, ret_wrap));
	given_random_assert_empty(&given);
	assert_ok(wrap_open(
	    ctx, commitment, &target, person->rsa, BYTES(ret_wrap, WRAP_BYTES), &random_kernel, &opened));
	assert_memory_equal(&opened, &room->key, sizeof(opened));
	put_text(values, "to", person->identity.account.s);
	put_hex(values, "label", BYTES_ARRAY(label));
	put_hex(values, "OAEP seed", seed);
	put_hex(values, "EM", BYTES_ARRAY(em));
	put_hex(values, "wrap", BYTES(ret_wrap, WRAP_BYTES));
}

/* Content or RoomInfo, padded; free() it. */
static uint8_t *
padded(struct bytes content, size_t max_units, size_t *ret_len)
{
	size_t len = padded_length(content.len, max_units);
	uint8_t *pt = calloc(1, len);

	assert_non_null(pt);
	memcpy(pt + PADDING_LENGTH_BYTES, content.data, content.len);
	padding_finish(pt, content.len, len);
	*ret_len = len;
	return pt;
}

/* Seals pt once more by the formula itself: it has to be what was sealed. */
static void
assert_sealed(struct bytes key, const uint8_t *iv, struct bytes aad, struct bytes pt, struct bytes ct)
{
	uint8_t again[1024];

	assert_true(pt.len + AEAD_TAG_BYTES <= sizeof(again));
	aead_seal(key, iv, aad, pt, again);
	assert_bytes_equal(ct, BYTES(again, pt.len + AEAD_TAG_BYTES));
}

static void
make_box(json_t *values, const struct example_room *room, const struct digest *esalt, struct buf *ret_box)
{
	const struct room_info info = {.name = BYTES_STR("tea"), .topic = BYTES_STR("green or black")};
	const struct digest *room_id = &roster_state(room->roster)->room_id;
	uint8_t domain[DOMAIN_MAX_BYTES], aad[256], wire[64], *pt;
	size_t wire_len = room_info_encoded_bytes(&info), pt_len;
	struct info_key key;
	struct writer wr;

	assert_true(wire_len <= sizeof(wire));
	room_info_encode(&info, wire);
	info_key_derive(&room->key, esalt, &key);
	assert_ok(info_box_seal(&key, room_id, 1, BYTES(wire, wire_len), ret_box));
	wr_init(&wr, aad, sizeof(aad));
	wr_bytes(&wr, domain, domain_put("info", domain));
	wr_bytes(&wr, room_id->b, DIGEST_BYTES);
	wr_u64(&wr, 1);
	assert_true(wr_done(&wr));
	pt = padded(BYTES(wire, wire_len), PADDING_INFO_UNITS, &pt_len);
	assert_sealed(
	    BYTES_ARRAY(key.key), key.iv, wr_bytes_written(&wr), BYTES(pt, pt_len), buf_bytes(ret_box));

	put_hex(values, "ik", BYTES_ARRAY(key.key));
	put_hex(values, "iv", BYTES_ARRAY(key.iv));
	put_hex(values, "aad", wr_bytes_written(&wr));
	put_text(values, "name", "tea");
	put_text(values, "topic", "green or black");
	put_hex(values, "RoomInfo", BYTES(wire, wire_len));
	put_hex(values, "padded", BYTES(pt, pt_len));
	put_hex(values, "info_box", buf_bytes(ret_box));
	free(pt);
}

static void
example_rekey(json_t *examples, struct example_room *room)
{
	const struct example_person *readers[] = {room->alice, room->bob};
	json_t *values = example_add(examples, "epoch");
	struct event event = draft(room, EVENT_REKEY, room->alice, NULL);
	struct epoch_context ctx = {
	    .room_id = event.room_id, .number = 1, .after = event.after, .actor = event.actor};
	struct digest esalt = epoch_salt(&ctx);
	uint8_t wrap[WRAP_BYTES];
	struct wraps_hash wh;
	struct buf box = {0};
	struct reader rd;

	memcpy(room->key.b, counting(0xa0, EPOCH_KEY_BYTES).data, EPOCH_KEY_BYTES);
	event.rekey.epoch = 1;
	event.rekey.commitment = epoch_commitment(&room->key, &esalt);
	put_hex(values, "K", BYTES_ARRAY(room->key.b));
	put_digest(values, "esalt", &esalt);
	put_digest(values, "commitment", &event.rekey.commitment);
	wraps_hash_init(&wh, ARRAY_LEN(readers));
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		struct digest hash;

		put_wrap(values, room, &ctx, &event.rekey.commitment, readers[i], (uint8_t)(0x60 + 0x20 * i),
		    wrap);
		hash = hash_once(BYTES_ARRAY(wrap));
		put_digest(values, "H(wrap)", &hash);
		wraps_hash_add(&wh, &hash);
	}
	event.rekey.wraps_hash = wraps_hash_end(&wh);
	put_digest(values, "wraps_hash", &event.rekey.wraps_hash);
	make_box(values, room, &esalt, &box);
	event.rekey.info_box = buf_bytes(&box);
	post(room, &event, room->alice);
	buf_fini(&box);

	values = put_header(examples, "rekey", &room->entries[3], &rd);
	put_hex(values, "epoch", rd_take(&rd, 8));
	put_hex(values, "commitment", rd_take(&rd, DIGEST_BYTES));
	put_hex(values, "wraps_hash", rd_take(&rd, DIGEST_BYTES));
	put_hex(values, "str16 info_box", take_str16(&rd));
	put_end(values, &room->entries[3], &rd);
}

static void
example_rewrap(json_t *examples, const struct example_room *room)
{
	json_t *values = example_add(examples, "rewrap");
	const struct roster_epoch *epoch = roster_epoch_at(room->roster, 1);
	struct epoch_context ctx = roster_epoch_context(room->roster, epoch);
	uint8_t wrap[WRAP_BYTES], wire[REWRAP_BYTES];
	struct rewrap rewrap = {
	    .epoch_id = epoch->id,
	    .recipient = room->bob->identity.member_id,
	    .card_hash = room->bob->card.card_hash,
	    .wrapper = room->alice->identity.member_id,
	    .wrap = BYTES_ARRAY(wrap),
	};

	put_wrap(values, room, &ctx, &epoch->commitment, room->bob, 0x10, wrap);
	rewrap_build(&room->alice->identity.sign, &rewrap, wire);
	assert_ok(rewrap_decode(BYTES_ARRAY(wire), &rewrap));
	assert_ok(roster_judge_rewrap(room->roster, &rewrap, &room->alice->identity.member_id,
	    rewrap_signature_good(&rewrap, room->alice->identity.sign.pk), NULL));
	put_hex(values, "b", rewrap.body);
	put_hex(values, "sig", rewrap.sig);
}

/* ---- the message ---- */

static void
put_sealed(json_t *values, const struct example_room *room, const struct message *message)
{
	struct bytes text = BYTES_STR("Hello, Bob!");
	size_t content_len = content_encoded_bytes(text), pt_len;
	struct message_key key;
	uint8_t content[64], *pt;

	assert_true(content_len <= sizeof(content));
	content_encode(text, content);
	pt = padded(BYTES(content, content_len), PADDING_MESSAGE_UNITS, &pt_len);
	message_key_derive(&room->key, message->salt, message->header_wire, &key);
	assert_sealed(BYTES_ARRAY(key.key), key.iv, message->header_wire, BYTES(pt, pt_len), message->ct);
	put_hex(values, "salt", message->salt);
	put_hex(values, "key", BYTES_ARRAY(key.key));
	put_hex(values, "iv", BYTES_ARRAY(key.iv));
	put_text(values, "text", "Hello, Bob!");
	put_hex(values, "Content", BYTES(content, content_len));
	put_hex(values, "pt", BYTES(pt, pt_len));
	put_hex(values, "ct", message->ct);
	free(pt);
}

static void
example_message(json_t *examples, struct example_room *room)
{
	json_t *values = example_add(examples, "message");
	struct made *made = &room->entries[5];
	const struct roster_state *state = roster_state(room->roster);
	struct message_header header = {
	    .epoch_id = state->epoch_id,
	    .sender = room->alice->identity.member_id,
	    .counter = 1,
	    .seen_seq = state->head.seq,
	    .seen_hash = state->head.L,
	    .time_ms = SERVER_TIME_MS(5) - 50,
	};
	struct given_random given;
	struct message message;
	struct buf plain = {0};
	struct bytes content, text;
	struct reader rd;

	memcpy(header.device.b, counting(0xe0, DEVICE_ID_BYTES).data, DEVICE_ID_BYTES);
	given_random_init(&given, counting(0xf0, MESSAGE_SALT_BYTES));
	assert_ok(message_seal(&room->key, &header, BYTES_STR("Hello, Bob!"), &room->alice->identity.sign,
	    &given.source, &made->wire));
	given_random_assert_empty(&given);
	assert_ok(message_decode(buf_bytes(&made->wire), &message));
	assert_true(message_signature_good(&message, room->alice->identity.sign.pk));
	assert_ok(message_open(&room->key, &message, &plain, &content));
	assert_ok(content_decode(content, &text));
	assert_bytes_equal(text, BYTES_STR("Hello, Bob!"));
	buf_fini(&plain);
	made->own_hash = message.msg_hash;
	made->entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	assert_ok(roster_post_message(
	    room->roster, &header, &made->entry_hash, &header.sender, SERVER_TIME_MS(5), NULL));
	made->head = state->head;

	rd_init(&rd, message.header_wire);
	put_hex(values, "version", rd_take(&rd, 1));
	put_hex(values, "epoch_id", rd_take(&rd, DIGEST_BYTES));
	put_hex(values, "sender", rd_take(&rd, DIGEST_BYTES));
	put_hex(values, "device", rd_take(&rd, DEVICE_ID_BYTES));
	put_hex(values, "counter", rd_take(&rd, 8));
	put_hex(values, "seen_seq", rd_take(&rd, 8));
	put_hex(values, "seen_hash", rd_take(&rd, DIGEST_BYTES));
	put_hex(values, "time_ms", rd_take(&rd, 8));
	assert_true(rd_done(&rd));
	put_sealed(values, room, &message);
	put_digest(values, "body_hash", &message.body_hash);
	put_hex(values, "sig", message.sig);
	put_digest(values, "msg_hash", &message.msg_hash);
	put_hex(values, "wire", buf_bytes(&made->wire));
}

static void
example_message_frames(json_t *examples, const struct example_room *room)
{
	const struct made *made = &room->entries[5];
	const struct digest *room_id = &roster_state(room->roster)->room_id;
	const struct entry_push stub = {
	    .room_id = room_id,
	    .seq = 5,
	    .server_time_ms = SERVER_TIME_MS(5),
	    .kind = ENTRY_MESSAGE,
	    .entry_hash = &made->entry_hash,
	};
	Chat__V1__PostMessage post = CHAT__V1__POST_MESSAGE__INIT;
	Chat__V1__ClientFrame request = CHAT__V1__CLIENT_FRAME__INIT;
	struct buf frame = {0};
	size_t len = frame_entry_bytes(&stub);

	post.room_id = wire_from_digest(room_id);
	post.message = wire_from_bytes(buf_bytes(&made->wire));
	request.id = 7;
	request.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_POST_MESSAGE;
	request.post_message = &post;
	assert_ok(frame_encode_client(&request, &frame));
	put_frame(examples, "post_message", &frame);

	assert_ok(buf_reserve(&frame, len));
	frame_entry_put(&stub, frame.data, len);
	frame.len = len;
	put_frame(examples, "stub", &frame);
}

/* ---- the log ---- */

static void
example_log(json_t *examples, const struct example_room *room)
{
	json_t *values = example_add(examples, "log");

	for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
		const struct made *made = &room->entries[seq];

		put_number(values, "n", seq);
		put_u64(values, "server_time_ms", SERVER_TIME_MS(seq));
		put_digest(values, "entry_hash", &made->entry_hash);
		put_digest(values, "E", &made->head.E);
		put_digest(values, "L", &made->head.L);
	}
}

/* Bob's check of what was before its invitation, at 2, when alice had seen 1. */
static void
example_newcomer(json_t *examples, const struct example_room *room)
{
	json_t *values = example_add(examples, "newcomer");
	const struct newcomer_event events[] = {{1, &room->entries[1].event}, {2, &room->entries[2].event}};
	const struct newcomer_stub stubs[] = {{2, SERVER_TIME_MS(2), room->entries[2].entry_hash}};
	const struct log_preimage preimage = {
	    .seq = 1,
	    .server_time_ms = SERVER_TIME_MS(1),
	    .entry_hash = room->entries[1].entry_hash,
	    .E = room->entries[1].head.E,
	};
	uint8_t wire[LOG_PREIMAGE_BYTES];
	struct log_head head;

	log_preimage_encode(&preimage, wire);
	assert_ok(
	    newcomer_check(events, ARRAY_LEN(events), BYTES_ARRAY(wire), stubs, ARRAY_LEN(stubs), &head));
	assert_true(log_head_equal(&head, &room->entries[2].head));
	put_number(values, "seen_seq", 1);
	put_digest(values, "seen_hash", &room->entries[2].event.seen_hash);
	put_hex(values, "preimage", BYTES_ARRAY(wire));
	put_number(values, "stub", 2);
	put_u64(values, "server_time_ms", SERVER_TIME_MS(2));
	put_digest(values, "entry_hash", &room->entries[2].entry_hash);
	put_digest(values, "E", &head.E);
	put_digest(values, "L", &head.L);
}

void
example_room(json_t *examples, const struct example_person *alice, const struct example_person *bob)
{
	struct example_room room = {.alice = alice, .bob = bob};

	room.roster = roster_new(&alice->identity.realm, true);
	assert_non_null(room.roster);
	example_create(examples, &room);
	example_invite(examples, &room);
	example_rekey(examples, &room);
	example_rewrap(examples, &room);
	example_join(examples, &room);
	example_message(examples, &room);
	example_message_frames(examples, &room);
	example_log(examples, &room);
	example_newcomer(examples, &room);
	roster_free(room.roster);
	for (size_t i = 0; i < ARRAY_LEN(room.entries); i++)
		buf_fini(&room.entries[i].wire);
}
