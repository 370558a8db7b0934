/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Somebody with an account, who breaks the rules of rooms: where they are not let in nothing tells that there
 * is a room; where they are, what the rules refuse is refused with its code, the connection goes on, and the
 * log of the room is what it was.
 */

#include "stage.h"

#include "base/random.h"
#include "proto/frame.h"
#include "proto/wire.h"

static struct person mallory, victor, ivan;

static int
set_up(void **state)
{
	static const char *const accounts[] = {"mallory", "victor", "ivan", "without", NULL};

	(void)state;
	stage_up("loops = 2\n", accounts);
	crowd_join(host, &mallory, "mallory");
	crowd_join(host, &victor, "victor");
	crowd_join(host, &ivan, "ivan");
	return 0;
}

/* A room of victor's with mallory in it, who both follow it. */
struct club {
	struct known_room room;
	struct peer owner, mallory;
};

static void
club_open(struct club *club)
{
	struct peer *const others[] = {&club->mallory};

	/* They count anew in each room. */
	victor.counter = mallory.counter = ivan.counter = 0;
	peer_login(&club->owner, host, &victor);
	peer_login(&club->mallory, host, &mallory);
	room_make(&club->room, &club->owner, others, 1);
	room_follow(&club->room, &club->owner);
	room_follow(&club->room, &club->mallory);
}

/* Whatever was tried, the room is as its owner knows it, and in order. */
static void
club_close(struct club *club)
{
	assert_ok(room_say(&club->room, &club->owner, "hush, still here"));
	room_caught_up(&club->room, &club->owner);
	peer_ping(&club->owner);
	peer_ping(&club->mallory);
	peer_close(&club->owner);
	peer_close(&club->mallory);
	known_room_fini(&club->room);
}

static struct digest
random_digest(void)
{
	struct digest d;

	random_bytes(d.b, sizeof(d.b));
	return d;
}

/* ---- those who are not let in ---- */

#define EVENTS_FIRST 10

/* The n-th of all requests about a room, as well made as a stranger can make it; 0: there are no more. */
static uint64_t
send_room_request(struct peer *peer, unsigned n, const struct digest *room_id)
{
	Chat__V1__Resume resume = CHAT__V1__RESUME__INIT;
	Chat__V1__GetHistory history = CHAT__V1__GET_HISTORY__INIT;
	Chat__V1__GetRoster roster = CHAT__V1__GET_ROSTER__INIT;
	Chat__V1__GetPrefix prefix = CHAT__V1__GET_PREFIX__INIT;
	Chat__V1__GetWraps wraps = CHAT__V1__GET_WRAPS__INIT;
	Chat__V1__AskRewrap ask = CHAT__V1__ASK_REWRAP__INIT;
	Chat__V1__SetCursor cursor = CHAT__V1__SET_CURSOR__INIT;
	Chat__V1__PostMessage message = CHAT__V1__POST_MESSAGE__INIT;
	Chat__V1__PostRewraps rewraps = CHAT__V1__POST_REWRAPS__INIT;
	Chat__V1__OfferEntries offer = CHAT__V1__OFFER_ENTRIES__INIT;
	Chat__V1__Entry entry = CHAT__V1__ENTRY__INIT, *entries[] = {&entry};
	Chat__V1__PostEvents events = CHAT__V1__POST_EVENTS__INIT;
	const struct person *self = peer->person;
	struct message_header header = {.epoch_id = *room_id, .sender = *person_id(self), .counter = 1};
	struct epoch_key key = {{0}};
	uint8_t wrap[WRAP_BYTES] = {1}, rewrap_wire[REWRAP_BYTES];
	struct rewrap rewrap = {.epoch_id = *room_id,
	    .recipient = *person_id(self),
	    .wrapper = *person_id(self),
	    .wrap = BYTES_ARRAY(wrap)};
	struct event draft = {
	    .room_id = *room_id, .actor = *person_id(self), .after = *room_id, .seen_seq = 1};
	ProtobufCBinaryData id = wire_from_digest(room_id), one[1];
	uint8_t box[64 + AEAD_TAG_BYTES] = {0};
	struct buf wire = {0};
	struct built built = {0};
	uint64_t request = 0;

	switch (n) {
	case 0:
		resume.room_id = id;
		resume.next_seq = 1;
		resume.hash = wire_from_digest(&digest_zero);
		return peer_send(peer, REQUEST(RESUME), &resume.base);
	case 1:
		history.room_id = id;
		history.before_seq = 5;
		history.limit = 10;
		return peer_send(peer, REQUEST(GET_HISTORY), &history.base);
	case 2:
		roster.room_id = id;
		roster.from_seq = 1;
		return peer_send(peer, REQUEST(GET_ROSTER), &roster.base);
	case 3:
		prefix.room_id = id;
		return peer_send(peer, REQUEST(GET_PREFIX), &prefix.base);
	case 4:
		wraps.room_id = id;
		wraps.epoch_id = &id;
		wraps.n_epoch_id = 1;
		return peer_send(peer, REQUEST(GET_WRAPS), &wraps.base);
	case 5:
		ask.room_id = id;
		ask.epoch_id = &id;
		ask.n_epoch_id = 1;
		return peer_send(peer, REQUEST(ASK_REWRAP), &ask.base);
	case 6:
		cursor.room_id = id;
		cursor.seq = 1;
		return peer_send(peer, REQUEST(SET_CURSOR), &cursor.base);
	case 7:
		assert_ok(
		    message_seal(&key, &header, BYTES_STR("x"), &self->identity.sign, &random_kernel, &wire));
		message.room_id = id;
		message.message = wire_from_bytes(buf_bytes(&wire));
		request = peer_send(peer, REQUEST(POST_MESSAGE), &message.base);
		buf_fini(&wire);
		return request;
	case 8:
		rewrap_build(&self->identity.sign, &rewrap, rewrap_wire);
		one[0] = wire_from_bytes(BYTES_ARRAY(rewrap_wire));
		rewraps.room_id = id;
		rewraps.rewrap = one;
		rewraps.n_rewrap = 1;
		return peer_send(peer, REQUEST(POST_REWRAPS), &rewraps.base);
	case 9:
		draft.type = EVENT_JOIN;
		built_init(&built, &draft, self);
		entry.seq = 3;
		entry.kind = 1;
		entry.wire = wire_from_bytes(buf_bytes(&built.wire));
		offer.room_id = id;
		offer.entry = entries;
		offer.n_entry = 1;
		request = peer_send(peer, REQUEST(OFFER_ENTRIES), &offer.base);
		built_fini(&built);
		return request;
	default:
		break;
	}
	/* And one for each event but the first, which makes a room. */
	if (n - EVENTS_FIRST > EVENT_REKEY - EVENT_INVITE)
		return 0;
	draft.type = (enum event_type)(EVENT_INVITE + (n - EVENTS_FIRST));
	if (draft.type == EVENT_INVITE || draft.type == EVENT_CARD)
		draft.card_wire = person_card(self);
	if (draft.type == EVENT_KICK)
		draft.kick.target = *person_id(&witness.people[0]);
	if (draft.type == EVENT_ROLE) {
		draft.role.target = *person_id(self);
		draft.role.role = ROLE_OWNER;
	}
	if (draft.type == EVENT_REKEY) {
		draft.rekey.epoch = 2;
		draft.rekey.info_box = BYTES_ARRAY(box);
	}
	built_init(&built, &draft, self);
	one[0] = wire_from_bytes(buf_bytes(&built.wire));
	events.room_id = id;
	events.event = one;
	events.n_event = 1;
	request = peer_send(peer, REQUEST(POST_EVENTS), &events.base);
	built_fini(&built);
	return request;
}

/* The whole answer as bytes, without the id. */
static void
keep_answer(struct peer *peer, uint64_t id, struct buf *into)
{
	Chat__V1__ServerFrame copy = *peer_answer(peer, id);
	size_t n;

	copy.id = 0;
	n = frame_server_bytes(&copy);
	buf_clear(into);
	assert_ok(buf_reserve(into, n));
	frame_server_put(&copy, into->data, n);
	into->len = n;
}

/* The room answers this peer as one that was never there. */
static void
expect_no_such_room(struct peer *peer, const struct digest *room_id)
{
	struct buf real = {0}, imagined = {0};
	unsigned n = 0;

	for (;; n++) {
		struct digest nowhere = random_digest();
		uint64_t id = send_room_request(peer, n, room_id);

		if (id == 0)
			break;
		keep_answer(peer, id, &real);
		id = send_room_request(peer, n, &nowhere);
		assert_err(answer_err(peer_answer(peer, id)), CHAT_ERR_NO_ROOM);
		id = send_room_request(peer, n, &nowhere);
		keep_answer(peer, id, &imagined);
		assert_bytes_equal(buf_bytes(&real), buf_bytes(&imagined));
	}
	assert_int_equal(n, EVENTS_FIRST + 9);
	buf_fini(&real);
	buf_fini(&imagined);
	assert_int_equal(peer->pushes[ANSWER(ENTRY)], 0);
}

ATTACK(a_stranger_learns_nothing)
{
	struct peer peer;

	peer_login(&peer, host, &mallory);
	expect_no_such_room(&peer, room_id_of(&witness.room));
	peer_close(&peer);
}

/* The events of a room that exists, which somebody has come to know, under another's name. */
ATTACK(a_stranger_with_the_create_learns_nothing)
{
	Chat__V1__GetRoster get = CHAT__V1__GET_ROSTER__INIT;
	const Chat__V1__ServerFrame *answer;
	struct buf real = {0}, other = {0}, wire = {0};
	ProtobufCBinaryData one[1];
	Chat__V1__PostEvents post = CHAT__V1__POST_EVENTS__INIT;
	struct event draft;
	struct built built;
	struct peer peer;

	get.room_id = wire_from_digest(room_id_of(&witness.room));
	get.from_seq = 1;
	answer = ASK(&witness.peers[0], GET_ROSTER, get);
	assert_answer(answer, ANSWER(ROSTER_EVENTS));
	assert_ok(buf_append(
	    &wire, answer->roster_events->entry[0]->wire.data, answer->roster_events->entry[0]->wire.len));
	peer_login(&peer, host, &mallory);
	post.event = one;
	post.n_event = 1;
	one[0] = wire_from_bytes(buf_bytes(&wire));
	keep_answer(&peer, peer_send(&peer, REQUEST(POST_EVENTS), &post.base), &real);
	/* One that walter never posted. */
	draft = kit_create(&witness.people[0], NULL);
	draft.create.nonce[0] = 99;
	built_init(&built, &draft, &witness.people[0]);
	one[0] = wire_from_bytes(buf_bytes(&built.wire));
	keep_answer(&peer, peer_send(&peer, REQUEST(POST_EVENTS), &post.base), &other);
	assert_bytes_equal(buf_bytes(&real), buf_bytes(&other));
	peer_close(&peer);
	built_fini(&built);
	buf_fini(&wire);
	buf_fini(&real);
	buf_fini(&other);
}

ATTACK(who_was_kicked_is_a_stranger)
{
	struct event draft;
	struct club club;
	struct peer fresh;
	uint64_t kicked_at;

	club_open(&club);
	assert_ok(room_say(&club.room, &club.owner, "hush, all of us"));
	draft = kit_event(club.room.roster, EVENT_KICK, &victor, &mallory);
	assert_ok(room_post(&club.room, &club.owner, &draft));
	kicked_at = room_head(&club.room);
	assert_ok(room_rekey(&club.room, &club.owner));
	assert_ok(room_say(&club.room, &club.owner, "hush, only we"));
	/* Up to the kick, and not an entry further. */
	peer_wait_entries(&club.mallory, room_id_of(&club.room), kicked_at);
	peer_ping(&club.mallory);
	assert_int_equal(peer_room(&club.mallory, room_id_of(&club.room))->head.seq, kicked_at);
	memset(club.mallory.pushes, 0, sizeof(club.mallory.pushes));
	expect_no_such_room(&club.mallory, room_id_of(&club.room));
	/* And on a connection that never followed it. */
	peer_login(&fresh, host, &mallory);
	expect_no_such_room(&fresh, room_id_of(&club.room));
	peer_close(&fresh);
	assert_ok(room_say(&club.room, &club.owner, "hush, nothing of this"));
	peer_ping(&club.mallory);
	assert_int_equal(peer_room(&club.mallory, room_id_of(&club.room))->head.seq, kicked_at);
	club_close(&club);
}

ATTACK(who_left_or_declined_is_a_stranger)
{
	struct peer peer, fresh;
	struct club club;

	club_open(&club);
	assert_ok(room_do(&club.room, &club.owner, EVENT_INVITE, &ivan));
	peer_login(&peer, host, &ivan);
	assert_ok(room_do(&club.room, &peer, EVENT_DECLINE, NULL));
	expect_no_such_room(&peer, room_id_of(&club.room));
	peer_close(&peer);
	assert_ok(room_do(&club.room, &club.mallory, EVENT_LEAVE, NULL));
	peer_login(&fresh, host, &mallory);
	expect_no_such_room(&fresh, room_id_of(&club.room));
	peer_close(&fresh);
	assert_ok(room_rekey(&club.room, &club.owner));
	club_close(&club);
}

/* An invitation lets one see who is there, not what was or is said; and do nothing but answer it. */
ATTACK(an_invitee_reads_no_messages)
{
	Chat__V1__GetHistory history = CHAT__V1__GET_HISTORY__INIT;
	const Chat__V1__ServerFrame *answer;
	struct event draft;
	struct club club;
	struct peer peer;

	club_open(&club);
	assert_ok(room_say(&club.room, &club.owner, "hush, before"));
	assert_ok(room_do(&club.room, &club.owner, EVENT_INVITE, &ivan));
	assert_ok(room_rekey(&club.room, &club.owner));
	peer_login(&peer, host, &ivan);
	room_follow(&club.room, &peer);
	assert_ok(room_say(&club.room, &club.owner, "hush, after"));
	room_caught_up(&club.room, &peer);
	assert_int_equal(peer_room(&peer, room_id_of(&club.room))->stubs, 2);
	history.room_id = wire_from_digest(room_id_of(&club.room));
	history.before_seq = room_head(&club.room) + 1;
	history.limit = HISTORY_LIMIT_MAX;
	answer = ASK(&peer, GET_HISTORY, history);
	assert_answer(answer, ANSWER(HISTORY));
	for (size_t i = 0; i < answer->history->n_entry; i++)
		assert_true(answer->history->entry[i]->kind == ENTRY_EVENT ||
			    answer->history->entry[i]->wire.len == 0);

	assert_err(room_say(&club.room, &peer, "hush, let me in"), CHAT_ERR_NOT_ALLOWED);
	assert_err(room_rekey(&club.room, &peer), CHAT_ERR_NOT_ALLOWED);
	assert_err(room_do(&club.room, &peer, EVENT_LEAVE, NULL), CHAT_ERR_NOT_ALLOWED);
	draft = kit_event(club.room.roster, EVENT_KICK, &ivan, &mallory);
	assert_err(room_post(&club.room, &peer, &draft), CHAT_ERR_NOT_ALLOWED);
	draft = kit_event(club.room.roster, EVENT_ROLE, &ivan, &ivan);
	assert_err(room_post(&club.room, &peer, &draft), CHAT_ERR_NOT_ALLOWED);
	peer_close(&peer);
	club_close(&club);
}

/* ---- members who break the rules ---- */

ATTACK(events_in_anothers_name)
{
	Chat__V1__PostEvents post = CHAT__V1__POST_EVENTS__INIT;
	const Chat__V1__ServerFrame *answer;
	ProtobufCBinaryData two[2];
	struct event draft;
	struct built own, others;
	struct club club;

	club_open(&club);
	/* What victor really signed, sent by mallory; and what mallory signed with victor's name under it. */
	draft = kit_event(club.room.roster, EVENT_INVITE, &victor, &ivan);
	built_init(&others, &draft, &victor);
	assert_err(post_event_wire(&club.mallory, room_id_of(&club.room), buf_bytes(&others.wire)),
	    CHAT_ERR_NOT_ALLOWED);
	built_init(&own, &draft, &mallory);
	assert_err(post_event_wire(&club.mallory, room_id_of(&club.room), buf_bytes(&own.wire)),
	    CHAT_ERR_NOT_ALLOWED);
	built_fini(&own);
	/* Mallory's own name, and no signature of hers. */
	draft = kit_event(club.room.roster, EVENT_INVITE, &mallory, &ivan);
	built_init(&own, &draft, &victor);
	assert_err(post_event_wire(&club.mallory, room_id_of(&club.room), buf_bytes(&own.wire)),
	    CHAT_ERR_BAD_SIGNATURE);
	built_fini(&own);
	/* A batch of two people, the first event of which would be right: none of it is done. */
	built_init(&own, &draft, &mallory);
	draft = kit_event(club.room.roster, EVENT_LEAVE, &victor, NULL);
	built_fini(&others);
	built_init(&others, &draft, &victor);
	two[0] = wire_from_bytes(buf_bytes(&own.wire));
	two[1] = wire_from_bytes(buf_bytes(&others.wire));
	post.room_id = wire_from_digest(room_id_of(&club.room));
	post.event = two;
	post.n_event = 2;
	answer = ASK(&club.mallory, POST_EVENTS, post);
	assert_err(answer_err(answer), CHAT_ERR_MALFORMED);
	assert_int_equal(answer->error->index, 1);
	built_fini(&own);
	built_fini(&others);
	club_close(&club);
}

ATTACK(events_of_the_wrong_form)
{
	const struct digest *room_id;
	struct built built;
	struct event draft;
	struct club club;
	uint8_t *w;

	club_open(&club);
	room_id = room_id_of(&club.room);
	draft = kit_event(club.room.roster, EVENT_LEAVE, &mallory, NULL);
	built_init(&built, &draft, &mallory);
	w = built.wire.data;
	for (size_t len = 1; len < built.wire.len; len += 37)
		assert_err(post_event_wire(&club.mallory, room_id, BYTES(w, len)), CHAT_ERR_MALFORMED);
	assert_ok(buf_append(&built.wire, "", 1));
	assert_err(post_event_wire(&club.mallory, room_id, buf_bytes(&built.wire)), CHAT_ERR_MALFORMED);
	built.wire.len--;
	w = built.wire.data;
	w[0] = 2;
	assert_err(post_event_wire(&club.mallory, room_id, buf_bytes(&built.wire)), CHAT_ERR_UNSUPPORTED);
	w[0] = 1;
	w[1] = 11;
	assert_err(post_event_wire(&club.mallory, room_id, buf_bytes(&built.wire)), CHAT_ERR_UNSUPPORTED);
	w[1] = EVENT_LEAVE;
	w[built.wire.len - 1] ^= 0x10;
	assert_err(post_event_wire(&club.mallory, room_id, buf_bytes(&built.wire)), CHAT_ERR_BAD_SIGNATURE);
	built_fini(&built);

	/* The right form, and nothing that can be right. */
	draft.after = random_digest();
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_CONFLICT);
	draft = kit_event(club.room.roster, EVENT_LEAVE, &mallory, NULL);
	draft.seen_seq = room_head(&club.room) + 1;
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_BAD_SEEN);
	draft = kit_event(club.room.roster, EVENT_LEAVE, &mallory, NULL);
	draft.room_id = *room_id_of(&witness.room);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_NO_ROOM);
	club_close(&club);
}

ATTACK(what_members_may_not)
{
	struct person stranger;
	struct event draft;
	struct club club;

	club_open(&club);
	/* Make oneself an owner, put the owner out, change the room, take the owner's name from it. */
	draft = kit_event(club.room.roster, EVENT_ROLE, &mallory, &mallory);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_NOT_ALLOWED);
	draft = kit_event(club.room.roster, EVENT_KICK, &mallory, &victor);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_NOT_ALLOWED);
	draft = kit_event(club.room.roster, EVENT_SETTINGS, &mallory, NULL);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_NOT_ALLOWED);
	draft = kit_event(club.room.roster, EVENT_CARD, &mallory, NULL);
	draft.card_wire = person_card(&victor);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_NOT_ALLOWED);
	assert_err(room_do(&club.room, &club.mallory, EVENT_JOIN, NULL), CHAT_ERR_NOT_ALLOWED);
	/* Invite somebody who is in, whom the server does not know, or under a card that is not published. */
	draft = kit_event(club.room.roster, EVENT_INVITE, &mallory, &victor);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_NOT_ALLOWED);
	person_init_at(&stranger, "without", 4711, host_realm(host));
	draft = kit_event(club.room.roster, EVENT_INVITE, &mallory, &stranger);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_CONFLICT);
	person_fini(&stranger);
	person_init_at(&stranger, "ivan", 4712, host_realm(host));
	draft = kit_event(club.room.roster, EVENT_INVITE, &mallory, &stranger);
	assert_err(room_post(&club.room, &club.mallory, &draft), CHAT_ERR_CONFLICT);
	person_fini(&stranger);
	club_close(&club);
}

/* Rooms of nowhere, of others, with oneself. */
ATTACK(creates_that_are_none)
{
	struct event draft;
	struct built built;
	struct peer peer;

	peer_login(&peer, host, &mallory);
	draft = kit_create(&mallory, NULL);
	draft.create.realm.b[0] ^= 1;
	built_init(&built, &draft, &mallory);
	assert_err(post_event_wire(&peer, NULL, buf_bytes(&built.wire)), CHAT_ERR_NOT_ALLOWED);
	built_fini(&built);
	draft = kit_create(&mallory, NULL);
	draft.card_wire = person_card(&victor);
	built_init(&built, &draft, &mallory);
	assert_int_not_equal(post_event_wire(&peer, NULL, buf_bytes(&built.wire)), CHAT_OK);
	built_fini(&built);
	draft = kit_create(&mallory, &mallory);
	draft.create.kind = ROOM_DIRECT;
	draft.peer_card_wire = person_card(&mallory);
	built_init(&built, &draft, &mallory);
	assert_err(post_event_wire(&peer, NULL, buf_bytes(&built.wire)), CHAT_ERR_NOT_ALLOWED);
	built_fini(&built);
	/* An event that is no create makes no room. */
	draft = (struct event){.type = EVENT_JOIN, .actor = *person_id(&mallory)};
	built_init(&built, &draft, &mallory);
	assert_err(post_event_wire(&peer, NULL, buf_bytes(&built.wire)), CHAT_ERR_NO_ROOM);
	built_fini(&built);
	peer_close(&peer);
}

/* ---- wraps ---- */

static enum chat_err
post_rekey(struct club *club, struct peer *peer, const struct digest *wraps_hash)
{
	struct buf box = {0};
	struct epoch_key before = club->room.key;
	struct event draft = room_rekey_draft(&club->room, peer->person, &box);
	enum chat_err err;

	draft.rekey.wraps_hash = *wraps_hash;
	err = room_post(&club->room, peer, &draft);
	if (err != CHAT_OK)
		club->room.key = before;
	buf_fini(&box);
	return err;
}

static enum chat_err
stage_part(struct peer *peer, const struct digest *hash, uint32_t count, uint32_t first, struct bytes wraps)
{
	Chat__V1__StageWraps stage = CHAT__V1__STAGE_WRAPS__INIT;

	stage.wraps_hash = wire_from_digest(hash);
	stage.count = count;
	stage.first = first;
	stage.wraps = wire_from_bytes(wraps);
	return answer_err(ASK(peer, STAGE_WRAPS, stage));
}

ATTACK(wraps_that_are_not_there)
{
	struct buf right = {0}, fewer = {0}, more = {0};
	struct digest hash, fewer_hash, more_hash;
	struct peer other;
	struct club club;

	club_open(&club);
	make_false_wraps(2, &right);
	hash = wraps_hash_of(buf_bytes(&right));
	make_false_wraps(1, &fewer);
	fewer_hash = wraps_hash_of(buf_bytes(&fewer));
	make_false_wraps(3, &more);
	more_hash = wraps_hash_of(buf_bytes(&more));
	/* None, too few, too many, half of them. */
	assert_err(post_rekey(&club, &club.mallory, &hash), CHAT_ERR_BAD_WRAPS);
	assert_ok(peer_stage(&club.mallory, &fewer_hash, 1, buf_bytes(&fewer)));
	assert_err(post_rekey(&club, &club.mallory, &fewer_hash), CHAT_ERR_BAD_WRAPS);
	assert_ok(peer_stage(&club.mallory, &more_hash, 3, buf_bytes(&more)));
	assert_err(post_rekey(&club, &club.mallory, &more_hash), CHAT_ERR_BAD_WRAPS);
	assert_ok(stage_part(&club.mallory, &hash, 2, 1, BYTES(right.data + WRAP_BYTES, WRAP_BYTES)));
	assert_err(post_rekey(&club, &club.mallory, &hash), CHAT_ERR_BAD_WRAPS);
	/* Another count for the same; then the other half, which is not it: the set is gone. */
	assert_err(stage_part(&club.mallory, &hash, 3, 0, BYTES(right.data, WRAP_BYTES)), CHAT_ERR_MALFORMED);
	assert_err(stage_part(&club.mallory, &hash, 2, 0, BYTES(fewer.data, WRAP_BYTES)), CHAT_ERR_BAD_WRAPS);
	assert_err(post_rekey(&club, &club.mallory, &hash), CHAT_ERR_BAD_WRAPS);
	/* Not those that the hash names. */
	assert_err(peer_stage(&club.mallory, &fewer_hash, 2, buf_bytes(&right)), CHAT_ERR_BAD_WRAPS);
	/* Staged by another connection, also of the same account. */
	peer_login(&other, host, &mallory);
	assert_ok(peer_stage(&other, &hash, 2, buf_bytes(&right)));
	assert_err(post_rekey(&club, &club.mallory, &hash), CHAT_ERR_BAD_WRAPS);
	peer_close(&other);
	/* The right ones at last, in two parts, the second first. */
	assert_ok(stage_part(&club.mallory, &hash, 2, 1, BYTES(right.data + WRAP_BYTES, WRAP_BYTES)));
	assert_ok(stage_part(&club.mallory, &hash, 2, 0, BYTES(right.data, WRAP_BYTES)));
	assert_ok(post_rekey(&club, &club.mallory, &hash));
	buf_fini(&right);
	buf_fini(&fewer);
	buf_fini(&more);
	club_close(&club);
}

/* Sets for which there is never a rekey: each one more pushes the oldest out, and costs the server nothing.
 */
ATTACK(more_and_more_wraps)
{
	struct buf right = {0}, junk = {0};
	struct digest hash;
	struct club club;
	size_t before;

	club_open(&club);
	make_false_wraps(2, &right);
	hash = wraps_hash_of(buf_bytes(&right));
	assert_ok(buf_reserve(&junk, (size_t)ROOM_READERS_MAX * WRAP_BYTES));
	junk.len = (size_t)(ROOM_READERS_MAX - 1) * WRAP_BYTES;
	memset(junk.data, 0x5a, junk.len);
	assert_ok(peer_stage(&club.mallory, &hash, 2, buf_bytes(&right)));
	before = host_rss_bytes(host);
	for (unsigned i = 0; i < 60; i++) {
		struct digest name = random_digest();

		assert_ok(stage_part(&club.mallory, &name, ROOM_READERS_MAX, 0, buf_bytes(&junk)));
	}
	if (!host_is_sanitized())
		assert_true(host_rss_bytes(host) < before + 12 * 1024 * 1024);
	assert_err(post_rekey(&club, &club.mallory, &hash), CHAT_ERR_BAD_WRAPS);
	assert_ok(peer_stage(&club.mallory, &hash, 2, buf_bytes(&right)));
	assert_ok(post_rekey(&club, &club.mallory, &hash));
	buf_fini(&right);
	buf_fini(&junk);
	club_close(&club);
}

/* ---- messages ---- */

static enum chat_err
post_header(
    struct club *club, struct peer *peer, const struct message_header *header, const struct person *signer)
{
	struct buf wire = {0};
	enum chat_err err;

	assert_ok(message_seal(&club->room.key, header, BYTES_STR("hush, forged"), &signer->identity.sign,
	    &random_kernel, &wire));
	err = post_message_wire(peer, room_id_of(&club->room), buf_bytes(&wire));
	buf_fini(&wire);
	return err;
}

ATTACK(messages_that_do_not_fit)
{
	struct message_header right, header;
	struct club club;

	club_open(&club);
	right = kit_header(club.room.roster, &mallory);
	/* In another's name; signed by whomever, the server asks who sends it. */
	header = kit_header(club.room.roster, &victor);
	assert_err(post_header(&club, &club.mallory, &header, &victor), CHAT_ERR_NOT_ALLOWED);
	/* Counters. */
	header = right;
	header.counter += 1;
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_OUT_OF_ORDER);
	header.counter = UINT64_MAX;
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_OUT_OF_ORDER);
	assert_ok(room_say(&club.room, &club.mallory, "hush, this is right"));
	header = right;
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_ALREADY);
	/* Of another epoch; of the epoch of another room. */
	header = kit_header(club.room.roster, &mallory);
	header.epoch_id = random_digest();
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_STALE);
	header.epoch_id = roster_state(witness.room.roster)->epoch_id;
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_STALE);
	/* Having seen what is not there yet, or not even the epoch. */
	header = kit_header(club.room.roster, &mallory);
	header.seen_seq++;
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_BAD_SEEN);
	header.seen_seq = 1;
	assert_err(post_header(&club, &club.mallory, &header, &mallory), CHAT_ERR_BAD_SEEN);
	/* None of that used a counter. */
	assert_ok(room_say(&club.room, &club.mallory, "hush, this is right again"));
	club_close(&club);
}

ATTACK(messages_of_the_wrong_form)
{
	struct buf wire = {0};
	struct club club;

	club_open(&club);
	room_seal(&club.room, &mallory, "hush", &wire);
	for (size_t len = 1; len < wire.len; len += 41)
		assert_err(post_message_wire(&club.mallory, room_id_of(&club.room), BYTES(wire.data, len)),
		    CHAT_ERR_MALFORMED);
	wire.data[0] = 2;
	assert_err(
	    post_message_wire(&club.mallory, room_id_of(&club.room), buf_bytes(&wire)), CHAT_ERR_UNSUPPORTED);
	wire.data[0] = 1;
	memset(wire.data + 1 + 2 * DIGEST_BYTES + DEVICE_ID_BYTES, 0, 8); /* counter 0 */
	assert_err(
	    post_message_wire(&club.mallory, room_id_of(&club.room), buf_bytes(&wire)), CHAT_ERR_MALFORMED);
	buf_fini(&wire);
	club_close(&club);
}

/* A room that somebody has to rekey takes nothing before. */
ATTACK(messages_for_a_room_that_is_not_open)
{
	struct club club;

	club_open(&club);
	assert_ok(room_do(&club.room, &club.owner, EVENT_INVITE, &ivan));
	assert_err(room_say(&club.room, &club.mallory, "hush, to the old ones"), CHAT_ERR_STALE);
	assert_ok(room_rekey(&club.room, &club.owner));
	assert_ok(room_say(&club.room, &club.mallory, "hush, to the new ones"));
	club_close(&club);
}

/* ---- the rest ---- */

ATTACK(rewraps_that_do_not_count)
{
	Chat__V1__PostRewraps post = CHAT__V1__POST_REWRAPS__INIT;
	uint8_t wire[REWRAP_BYTES], wrap[WRAP_BYTES] = {1};
	ProtobufCBinaryData one[] = {wire_from_bytes(BYTES_ARRAY(wire))};
	struct rewrap right, rewrap;
	struct club club;

	club_open(&club);
	post.room_id = wire_from_digest(room_id_of(&club.room));
	post.rewrap = one;
	post.n_rewrap = 1;
	right = (struct rewrap){
	    .epoch_id = roster_state(club.room.roster)->epoch_id,
	    .recipient = *person_id(&victor),
	    .card_hash = roster_member(club.room.roster, person_id(&victor))->card_hash,
	    .wrapper = *person_id(&mallory),
	    .wrap = BYTES_ARRAY(wrap),
	};
	/* No such epoch, an epoch of another room; nobody, a stranger. */
	rewrap = right;
	rewrap.epoch_id = random_digest();
	rewrap_build(&mallory.identity.sign, &rewrap, wire);
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_NOT_ALLOWED);
	rewrap.epoch_id = roster_state(witness.room.roster)->epoch_id;
	rewrap_build(&mallory.identity.sign, &rewrap, wire);
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_NOT_ALLOWED);
	rewrap = right;
	rewrap.recipient = *person_id(&ivan);
	rewrap_build(&mallory.identity.sign, &rewrap, wire);
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_NOT_ALLOWED);
	/* In another's name; to another card; not signed. */
	rewrap = right;
	rewrap.wrapper = *person_id(&victor);
	rewrap_build(&victor.identity.sign, &rewrap, wire);
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_NOT_ALLOWED);
	rewrap = right;
	rewrap.card_hash = random_digest();
	rewrap_build(&mallory.identity.sign, &rewrap, wire);
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_CONFLICT);
	rewrap_build(&victor.identity.sign, &right, wire);
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_BAD_SIGNATURE);
	wire[0] = 2;
	assert_err(answer_err(ASK(&club.mallory, POST_REWRAPS, post)), CHAT_ERR_UNSUPPORTED);
	rewrap_build(&mallory.identity.sign, &right, wire);
	assert_ok(answer_err(ASK(&club.mallory, POST_REWRAPS, post)));
	club_close(&club);
}

ATTACK(places_that_are_not_there)
{
	Chat__V1__Resume resume = CHAT__V1__RESUME__INIT;
	Chat__V1__SetCursor cursor = CHAT__V1__SET_CURSOR__INIT;
	struct digest wrong = random_digest();
	const Chat__V1__ServerFrame *answer;
	struct club club;
	struct peer peer;

	club_open(&club);
	peer_login(&peer, host, &mallory);
	resume.room_id = wire_from_digest(room_id_of(&club.room));
	/* A hash that the log never had, and a place that it has not reached. */
	resume.next_seq = room_head(&club.room);
	resume.hash = wire_from_digest(&wrong);
	answer = ASK(&peer, RESUME, resume);
	assert_err(answer_err(answer), CHAT_ERR_HISTORY_CHANGED);
	assert_int_equal(answer->error->number, room_head(&club.room));
	resume.next_seq = room_head(&club.room) + 2;
	assert_err(answer_err(ASK(&peer, RESUME, resume)), CHAT_ERR_HISTORY_CHANGED);
	/* Not subscribed by that. */
	assert_ok(room_say(&club.room, &club.owner, "hush, not for that connection"));
	cursor.room_id = wire_from_digest(room_id_of(&club.room));
	cursor.seq = room_head(&club.room) + 1;
	assert_err(answer_err(ASK(&peer, SET_CURSOR, cursor)), CHAT_ERR_MALFORMED);
	peer_ping(&peer);
	assert_int_equal(peer.pushes[ANSWER(ENTRY)], 0);
	peer_close(&peer);
	club_close(&club);
}

/* Entries that were never there, offered as those that a restored server has lost. */
ATTACK(offers_that_are_forged)
{
	Chat__V1__OfferEntries offer = CHAT__V1__OFFER_ENTRIES__INIT;
	Chat__V1__Entry entry = CHAT__V1__ENTRY__INIT, *entries[] = {&entry};
	struct message_header header;
	struct buf wire = {0};
	struct club club;

	club_open(&club);
	header = kit_header(club.room.roster, &victor);
	assert_ok(message_seal(&club.room.key, &header, BYTES_STR("hush, never said"), &mallory.identity.sign,
	    &random_kernel, &wire));
	offer.room_id = wire_from_digest(room_id_of(&club.room));
	offer.entry = entries;
	offer.n_entry = 1;
	entry.seq = room_head(&club.room) + 1;
	entry.kind = ENTRY_MESSAGE;
	entry.server_time_ms = 1;
	entry.wire = wire_from_bytes(buf_bytes(&wire));
	assert_int_not_equal(answer_err(ASK(&club.mallory, OFFER_ENTRIES, offer)), CHAT_OK);
	/* In the place of one that is there, and far behind the end. */
	entry.seq = room_head(&club.room);
	assert_int_not_equal(answer_err(ASK(&club.mallory, OFFER_ENTRIES, offer)), CHAT_OK);
	entry.seq = room_head(&club.room) + 1000;
	assert_int_not_equal(answer_err(ASK(&club.mallory, OFFER_ENTRIES, offer)), CHAT_OK);
	buf_fini(&wire);
	club_close(&club);
}

ATTACK(cards_and_bags_of_others)
{
	Chat__V1__PublishCard publish = CHAT__V1__PUBLISH_CARD__INIT;
	Chat__V1__PutBag put_bag = CHAT__V1__PUT_BAG__INIT;
	uint8_t bag[FAKE_BAG_BYTES];
	struct person next;
	struct peer peer;

	peer_login(&peer, host, &mallory);
	publish.card = wire_from_bytes(person_card(&victor));
	assert_err(answer_err(ASK(&peer, PUBLISH_CARD, publish)), CHAT_ERR_NOT_ALLOWED);
	/* Another identity for the own account; a second card that does not follow the first. */
	person_init_at(&next, "mallory", 12345, host_realm(host));
	publish.card = wire_from_bytes(person_card(&next));
	assert_err(answer_err(ASK(&peer, PUBLISH_CARD, publish)), CHAT_ERR_NOT_ALLOWED);
	person_rotate(&next, false);
	publish.card = wire_from_bytes(person_card(&next));
	assert_err(answer_err(ASK(&peer, PUBLISH_CARD, publish)), CHAT_ERR_NOT_ALLOWED);
	person_fini(&next);
	/* A bag that skips a version, or goes back. */
	put_bag.blob = wire_from_bytes(BYTES_ARRAY(bag));
	fake_bag(bag);
	be64_put(bag + 1, 3);
	put_bag.expected_version = 2;
	assert_err(answer_err(ASK(&peer, PUT_BAG, put_bag)), CHAT_ERR_CONFLICT);
	be64_put(bag + 1, 7);
	put_bag.expected_version = 1;
	assert_int_not_equal(answer_err(ASK(&peer, PUT_BAG, put_bag)), CHAT_OK);
	peer_ping(&peer);
	peer_close(&peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stranger_learns_nothing),
	    cmocka_unit_test(a_stranger_with_the_create_learns_nothing),
	    cmocka_unit_test(who_was_kicked_is_a_stranger),
	    cmocka_unit_test(who_left_or_declined_is_a_stranger),
	    cmocka_unit_test(an_invitee_reads_no_messages),
	    cmocka_unit_test(events_in_anothers_name),
	    cmocka_unit_test(events_of_the_wrong_form),
	    cmocka_unit_test(what_members_may_not),
	    cmocka_unit_test(creates_that_are_none),
	    cmocka_unit_test(wraps_that_are_not_there),
	    cmocka_unit_test(more_and_more_wraps),
	    cmocka_unit_test(messages_that_do_not_fit),
	    cmocka_unit_test(messages_of_the_wrong_form),
	    cmocka_unit_test(messages_for_a_room_that_is_not_open),
	    cmocka_unit_test(rewraps_that_do_not_count),
	    cmocka_unit_test(places_that_are_not_there),
	    cmocka_unit_test(offers_that_are_forged),
	    cmocka_unit_test(cards_and_bags_of_others),
	    cmocka_unit_test(nothing_was_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
