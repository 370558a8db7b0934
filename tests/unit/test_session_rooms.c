/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about rooms against a whole server: what is posted, staged, read, and what a stranger is told. */
#include "server_rig.h"

#include "proto/limits.h"
#include "proto/wire.h"

static struct rig rig;
static struct person alice, bob, carol;
static struct peer a, b, c;
static struct copy room;

static int
set_up(void **state)
{
	struct person *const members[] = {&alice, &bob};
	struct peer *const peers[] = {&a, &b};

	(void)state;
	rig_init(&rig, 9);
	rig.loops = 2;
	a = b = c = (struct peer){0};
	rig_person(&rig, &alice, "alice");
	rig_person(&rig, &bob, "bob");
	rig_person(&rig, &carol, "carol");
	rig_start(&rig);
	rig_publish(&rig, &alice);
	rig_publish(&rig, &bob);
	rig_publish(&rig, &carol);
	peer_login(&rig, &a, &alice, 1);
	peer_login(&rig, &b, &bob, 2);
	peer_login(&rig, &c, &carol, 3);
	rig_room(&rig, &room, peers, members, 2);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
	copy_fini(&room);
	person_end(&alice);
	person_end(&bob);
	person_end(&carol);
	rig_end(&rig);
	return 0;
}

#define FRAME(request, CASE, Type, INIT)                                                                     \
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;                                          \
	Type body = INIT;                                                                                    \
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_##CASE;                                         \
	frame.request = &body

static uint64_t
get_roster(struct peer *peer, const struct digest *room_id)
{
	FRAME(get_roster, GET_ROSTER, Chat__V1__GetRoster, CHAT__V1__GET_ROSTER__INIT);

	body.room_id = wire_from_digest(room_id);
	body.from_seq = 1;
	return peer_send(peer, &frame);
}

static uint64_t
get_prefix(struct peer *peer, const struct digest *room_id)
{
	FRAME(get_prefix, GET_PREFIX, Chat__V1__GetPrefix, CHAT__V1__GET_PREFIX__INIT);

	body.room_id = wire_from_digest(room_id);
	return peer_send(peer, &frame);
}

static uint64_t
get_wraps(struct peer *peer, const struct digest *room_id, const struct digest *epoch_id)
{
	ProtobufCBinaryData id = wire_from_digest(epoch_id);
	FRAME(get_wraps, GET_WRAPS, Chat__V1__GetWraps, CHAT__V1__GET_WRAPS__INIT);

	body.room_id = wire_from_digest(room_id);
	body.epoch_id = &id;
	body.n_epoch_id = 1;
	return peer_send(peer, &frame);
}

static uint64_t
ask_rewrap(struct peer *peer, const struct digest *room_id, const struct digest *epoch_id)
{
	ProtobufCBinaryData id = wire_from_digest(epoch_id);
	FRAME(ask_rewrap, ASK_REWRAP, Chat__V1__AskRewrap, CHAT__V1__ASK_REWRAP__INIT);

	body.room_id = wire_from_digest(room_id);
	body.epoch_id = &id;
	body.n_epoch_id = 1;
	return peer_send(peer, &frame);
}

static uint64_t
set_cursor(struct peer *peer, const struct digest *room_id)
{
	FRAME(set_cursor, SET_CURSOR, Chat__V1__SetCursor, CHAT__V1__SET_CURSOR__INIT);

	body.room_id = wire_from_digest(room_id);
	body.seq = 1;
	return peer_send(peer, &frame);
}

static uint64_t
post_rewrap(struct peer *peer, const struct digest *room_id, const uint8_t wire[REWRAP_BYTES])
{
	ProtobufCBinaryData rewrap = wire_from_bytes(BYTES(wire, REWRAP_BYTES));
	FRAME(post_rewraps, POST_REWRAPS, Chat__V1__PostRewraps, CHAT__V1__POST_REWRAPS__INIT);

	body.room_id = wire_from_digest(room_id);
	body.rewrap = &rewrap;
	body.n_rewrap = 1;
	return peer_send(peer, &frame);
}

static uint64_t
post_event(struct peer *peer, const struct digest *room_id, struct bytes wire)
{
	ProtobufCBinaryData event = wire_from_bytes(wire);
	FRAME(post_events, POST_EVENTS, Chat__V1__PostEvents, CHAT__V1__POST_EVENTS__INIT);

	if (room_id != NULL)
		body.room_id = wire_from_digest(room_id);
	body.event = &event;
	body.n_event = 1;
	return peer_send(peer, &frame);
}

static uint64_t
post_message(struct peer *peer, const struct digest *room_id, struct bytes wire)
{
	FRAME(post_message, POST_MESSAGE, Chat__V1__PostMessage, CHAT__V1__POST_MESSAGE__INIT);

	body.room_id = wire_from_digest(room_id);
	body.message = wire_from_bytes(wire);
	return peer_send(peer, &frame);
}

static uint64_t
offer(struct peer *peer, const struct digest *room_id, struct bytes wire)
{
	Chat__V1__Entry entry = CHAT__V1__ENTRY__INIT, *list[] = {&entry};
	FRAME(offer_entries, OFFER_ENTRIES, Chat__V1__OfferEntries, CHAT__V1__OFFER_ENTRIES__INIT);

	entry.seq = 8;
	entry.kind = ENTRY_MESSAGE;
	entry.wire = wire_from_bytes(wire);
	body.room_id = wire_from_digest(room_id);
	body.entry = list;
	body.n_entry = 1;
	return peer_send(peer, &frame);
}

/* ---- reading, as a member ---- */

TEST(a_member_reads)
{
	const Chat__V1__ServerFrame *frame;
	struct digest epoch_id = roster_state(room.roster)->epoch_id;

	for (unsigned i = 0; i < 20; i++)
		peer_expect(&a, peer_say(&a, &alice, &room), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	frame = peer_expect(&b, peer_history(&b, &room.room_id, 25, 5), CHAT__V1__SERVER_FRAME__BODY_HISTORY);
	assert_int_equal(frame->history->n_entry, 5);
	assert_int_equal(frame->history->entry[4]->seq, 24);
	assert_true(frame->history->entry[4]->wire.len > 0);
	frame = peer_expect(&b, get_roster(&b, &room.room_id), CHAT__V1__SERVER_FRAME__BODY_ROSTER_EVENTS);
	assert_int_equal(frame->roster_events->n_entry, 4);
	frame = peer_expect(&b, get_prefix(&b, &room.room_id), CHAT__V1__SERVER_FRAME__BODY_PREFIX);
	assert_int_equal(frame->prefix->preimage.len, LOG_PREIMAGE_BYTES);
	assert_int_equal(frame->prefix->n_stub, 1);
	frame = peer_expect(&b, get_wraps(&b, &room.room_id, &epoch_id), CHAT__V1__SERVER_FRAME__BODY_WRAPS);
	assert_int_equal(frame->wraps->n_epoch, 1);
	assert_int_equal(frame->wraps->epoch[0]->wrap.len, WRAP_BYTES);
	peer_expect(&b, set_cursor(&b, &room.room_id), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_expect(&b, ask_rewrap(&b, &room.room_id, &epoch_id), CHAT__V1__SERVER_FRAME__BODY_OK);
}

/* ---- a stranger ---- */

/* Whatever is asked: a room that is not one's own, and one that does not exist, are answered alike. */
TEST(a_stranger_learns_nothing)
{
	struct digest nowhere, epoch_id = roster_state(room.roster)->epoch_id;
	const struct digest *ids[] = {&room.room_id, &nowhere};
	uint8_t rewrap[REWRAP_BYTES];
	struct command *cmd = cmd_message(&rig.w, (struct conn_ref){0}, &alice, &room);
	struct event draft = {.type = EVENT_JOIN};
	struct buf wire = {0};
	struct rewrap parts = {.epoch_id = epoch_id,
	    .recipient = carol.identity.member_id,
	    .card_hash = carol.decoded.card_hash,
	    .wrapper = carol.identity.member_id,
	    .wrap = BYTES(carol.decoded.rsa_n, WRAP_BYTES)};

	rig.w.random.fill(rig.w.random.ctx, nowhere.b, DIGEST_BYTES);
	rewrap_build(&carol.identity.sign, &parts, rewrap);
	draft.room_id = room.room_id;
	draft.actor = carol.identity.member_id;
	draft.after = room.room_id;
	assert_ok(event_build(&draft, &carol.identity.sign, &wire, NULL));

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		uint64_t requests[] = {
		    peer_resume(&c, ids[i], 1, &digest_zero),
		    peer_history(&c, ids[i], 1, 10),
		    get_roster(&c, ids[i]),
		    get_prefix(&c, ids[i]),
		    get_wraps(&c, ids[i], &epoch_id),
		    ask_rewrap(&c, ids[i], &epoch_id),
		    set_cursor(&c, ids[i]),
		    post_event(&c, ids[i], buf_bytes(&wire)),
		    post_message(&c, ids[i], cmd->message.wire),
		    post_rewrap(&c, ids[i], rewrap),
		    offer(&c, ids[i], cmd->message.wire),
		};
		char said[200] = "";

		for (size_t j = 0; j < ARRAY_LEN(requests); j++) {
			const Chat__V1__Error *error = peer_refused(&c, requests[j], CHAT_ERR_NO_ROOM);

			assert_int_equal(error->current.len, 0);
			assert_int_equal(error->number, 0);
			assert_string_equal(error->mend, "");
			if (j == 0)
				strlcpy(said, error->text, sizeof said);
			assert_string_equal(error->text, said);
		}
	}
	command_free(cmd);
	buf_fini(&wire);
}

/* ---- posting ---- */

TEST(forms_are_refused_before_rooms)
{
	static const uint8_t junk[300] = {9}, zeros[300] = {1}, half[10] = {1, EVENT_JOIN};
	struct digest nowhere = {{1}};

	/* Also to a room that is not there: of the form nothing is learnt. */
	peer_refused(&a, post_message(&a, &nowhere, BYTES_ARRAY(junk)), CHAT_ERR_UNSUPPORTED);
	peer_refused(&a, post_message(&a, &nowhere, BYTES_ARRAY(zeros)), CHAT_ERR_MALFORMED);
	peer_refused(&a, post_event(&a, NULL, BYTES_ARRAY(junk)), CHAT_ERR_UNSUPPORTED);
	peer_refused(&a, post_event(&a, NULL, BYTES_ARRAY(half)), CHAT_ERR_MALFORMED);
}

TEST(signatures_are_verified)
{
	struct event draft = {.type = EVENT_LEAVE};
	struct buf wire = {0};

	draft.room_id = room.room_id;
	draft.actor = bob.identity.member_id;
	draft.after = *roster_next_after(room.roster, EVENT_LEAVE, &bob.identity.member_id);
	draft.seen_seq = 1;
	assert_ok(event_build(&draft, &bob.identity.sign, &wire, NULL));
	wire.data[wire.len - 1] ^= 1;
	peer_refused(&b, post_event(&b, &room.room_id, buf_bytes(&wire)), CHAT_ERR_BAD_SIGNATURE);
	wire.data[wire.len - 1] ^= 1;
	/* Well signed by bob, sent by alice. */
	peer_refused(&a, post_event(&a, &room.room_id, buf_bytes(&wire)), CHAT_ERR_NOT_ALLOWED);
	peer_expect(&b, post_event(&b, &room.room_id, buf_bytes(&wire)), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	buf_fini(&wire);
}

TEST(the_current_value_comes_with_a_conflict)
{
	struct event draft = {.type = EVENT_LEAVE};
	struct buf wire = {0};
	const Chat__V1__Error *error;

	draft.room_id = room.room_id;
	draft.actor = bob.identity.member_id;
	draft.after = digest_zero;
	draft.seen_seq = 1;
	assert_ok(event_build(&draft, &bob.identity.sign, &wire, NULL));
	error = peer_refused(&b, post_event(&b, &room.room_id, buf_bytes(&wire)), CHAT_ERR_CONFLICT);
	assert_bytes_equal(wire_bytes(error->current),
	    digest_bytes(roster_next_after(room.roster, EVENT_LEAVE, &bob.identity.member_id)));
	buf_fini(&wire);
}

/* ---- staged wraps ---- */

static uint64_t
post_wires(struct peer *peer, struct draft *d)
{
	return post_event(peer, &room.room_id, buf_bytes(&d->wires[0]));
}

static void
draft_end(struct draft *d)
{
	for (size_t i = 0; i < d->count; i++)
		buf_fini(&d->wires[i]);
	wrap_set_free_list(d->staged);
	*d = (struct draft){0};
}

TEST(a_rekey_needs_its_wraps)
{
	struct draft d = {0};

	draft_rekey(&rig.w, &d, &alice, &room);
	assert_int_equal(d.staged->count, 2);
	peer_refused(&a, post_wires(&a, &d), CHAT_ERR_BAD_WRAPS);
	/* Half of them. */
	peer_expect(&a, peer_stage(&a, d.staged, 1, 1), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_refused(&a, post_wires(&a, &d), CHAT_ERR_BAD_WRAPS);
	/* Somebody else's do not count. */
	peer_expect(&b, peer_stage(&b, d.staged, 0, 2), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_refused(&a, post_wires(&a, &d), CHAT_ERR_BAD_WRAPS);
	peer_expect(&a, peer_stage(&a, d.staged, 0, 1), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_expect(&a, post_wires(&a, &d), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	draft_end(&d);
}

TEST(wraps_that_are_not_those)
{
	struct draft d = {0};

	draft_rekey(&rig.w, &d, &alice, &room);
	d.staged->wraps[5] ^= 1;
	peer_expect(&a, peer_stage(&a, d.staged, 0, 1), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_refused(&a, peer_stage(&a, d.staged, 1, 1), CHAT_ERR_BAD_WRAPS);
	d.staged->wraps[5] ^= 1;
	/* It begins from nothing again. */
	peer_expect(&a, peer_stage(&a, d.staged, 1, 1), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_expect(&a, peer_stage(&a, d.staged, 0, 1), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_expect(&a, post_wires(&a, &d), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	draft_end(&d);
}

TEST(another_count_for_the_same_wraps)
{
	struct draft d = {0};

	draft_rekey(&rig.w, &d, &alice, &room);
	peer_expect(&a, peer_stage(&a, d.staged, 0, 1), CHAT__V1__SERVER_FRAME__BODY_OK);
	d.staged->count = 1;
	peer_refused(&a, peer_stage(&a, d.staged, 0, 1), CHAT_ERR_MALFORMED);
	d.staged->count = 2;
	peer_expect(&a, peer_stage(&a, d.staged, 0, 2), CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_expect(&a, post_wires(&a, &d), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	draft_end(&d);
}

/* A refused rekey does not take its wraps with it: it can be sent again. */
TEST(wraps_outlive_a_refusal)
{
	struct draft d = {0};

	draft_rekey(&rig.w, &d, &alice, &room);
	peer_expect(&a, peer_stage(&a, d.staged, 0, 2), CHAT__V1__SERVER_FRAME__BODY_OK);
	d.wires[0].data[d.wires[0].len - 1] ^= 1;
	peer_refused(&a, post_wires(&a, &d), CHAT_ERR_BAD_SIGNATURE);
	d.wires[0].data[d.wires[0].len - 1] ^= 1;
	peer_expect(&a, post_wires(&a, &d), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	draft_end(&d);
}

/* The whole of a rekey for as many as a frame of wraps can hold is exercised by its limits: 2,000 wraps in
 * one. */
TEST(as_many_wraps_as_there_may_be)
{
	struct wrap_set set = {.count = ROOM_READERS_MAX};

	set.wraps = calloc(set.count, WRAP_BYTES);
	rig.w.random.fill(rig.w.random.ctx, set.wraps, (size_t)set.count * WRAP_BYTES);
	peer_refused(&a, peer_stage(&a, &set, 0, ROOM_READERS_MAX), CHAT_ERR_BAD_WRAPS);
	peer_expect(&a, peer_ping(&a), CHAT__V1__SERVER_FRAME__BODY_PONG);
	free(set.wraps);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(a_member_reads),
	    TEST_CASE(a_stranger_learns_nothing),
	    TEST_CASE(forms_are_refused_before_rooms),
	    TEST_CASE(signatures_are_verified),
	    TEST_CASE(the_current_value_comes_with_a_conflict),
	    TEST_CASE(a_rekey_needs_its_wraps),
	    TEST_CASE(wraps_that_are_not_those),
	    TEST_CASE(another_count_for_the_same_wraps),
	    TEST_CASE(wraps_outlive_a_refusal),
	    TEST_CASE(as_many_wraps_as_there_may_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
