/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A server that lies, and members who help it, for a real chat-client: what is forged is never shown, one
 * plain line says what is wrong, nothing is done in a loop, and the rest goes on.
 *
 * walter and mallory are people of this test; alice is the client.
 */

#include "crowd.h"
#include "program.h"
#include "villain.h"

#include <stdio.h>
#include <unistd.h>

#include "unit/unit.h"

#include "base/random.h"
#include "proto/frame.h"
#include "proto/wire.h"

/* Stands in everything that alice must never see. */
#define FORGED "forged text"

static struct villain *villain;
static struct program *alice_types;
static struct person walter, wanda, mall, alice_as_known;

/* ---- the stage ---- */

struct scene {
	struct known_room room;
	struct peer walter, mallory;
	const char *name;
	unsigned said;
};

/* A room in which alice is from the beginning on and nobody lies: if it goes on, the client does. */
static struct scene home;

static void
know_alice(struct peer *peer)
{
	Chat__V1__GetCard get = CHAT__V1__GET_CARD__INIT;
	const Chat__V1__ServerFrame *answer;
	struct card card;

	get.account = wire_from_str("alice");
	answer = ASK(peer, GET_CARD, get);
	assert_answer(answer, ANSWER(CARD));
	assert_ok(card_decode_verify(wire_bytes(answer->card->card), &card));
	alice_as_known.identity.member_id = card.member_id;
	alice_as_known.identity.account = card.account;
	assert_ok(buf_append(&alice_as_known.cards[0], answer->card->card.data, answer->card->card.len));
	alice_as_known.card_count = 1;
}

static void
scene_prepare(struct scene *scene, const char *name)
{
	struct peer *const others[] = {&scene->mallory};

	memset(scene, 0, sizeof(*scene));
	scene->name = name;
	walter.counter = mall.counter = 0;
	peer_login(&scene->walter, villain_host(villain), &walter);
	peer_login(&scene->mallory, villain_host(villain), &mall);
	room_make(&scene->room, &scene->walter, others, 1);
	scene->room.name = name;
	assert_ok(room_do(&scene->room, &scene->walter, EVENT_INVITE, &alice_as_known));
	assert_ok(room_rekey(&scene->room, &scene->walter));
}

static void
scene_open(struct scene *scene, const char *name)
{
	char text[64];

	scene_prepare(scene, name);
	snprintf(text, sizeof(text), "[%s]", name);
	program_wait(alice_types, 1, text, "walter invited you", NULL);
	snprintf(text, sizeof(text), "/accept %s", name);
	program_type(alice_types, text);
	snprintf(text, sizeof(text), "[%s]", name);
	program_wait(alice_types, 1, text, "you joined", NULL);
	room_learn(&scene->room, &scene->walter);
}

/* Says it as walter; the room's counter is walter's, whichever room he was in before. */
static void
walter_says(struct scene *scene, const char *text)
{
	walter.counter = roster_counter(scene->room.roster, person_id(&walter), &walter.device);
	assert_ok(room_say(&scene->room, &scene->walter, text));
}

/* Something that was not said before, and alice sees it. */
static void
scene_goes_on(struct scene *scene)
{
	char text[64];

	snprintf(text, sizeof(text), "%s goes on, %u.", scene->name, ++scene->said);
	walter_says(scene, text);
	program_wait(alice_types, 1, "<walter>", text, NULL);
}

static void
scene_close(struct scene *scene)
{
	villain_be_honest(villain);
	peer_close(&scene->walter);
	peer_close(&scene->mallory);
	known_room_fini(&scene->room);
}

static int
set_up(void **state)
{
	static const char *const accounts[] = {"alice", "walter", "mallory", "wanda", NULL};
	struct peer peer;

	(void)state;
	alarm(4 * host_patience_ms() / 1000);
	villain = villain_start(accounts);
	crowd_join(villain_host(villain), &walter, "walter");
	crowd_join(villain_host(villain), &mall, "mallory");
	crowd_join(villain_host(villain), &wanda, "wanda");
	alice_types = program_start(host_port(villain_host(villain)), "alice", NULL, NULL);
	/* A command waits until the login is done, and so the identity is published. */
	program_type(alice_types, "/who");
	program_wait(alice_types, 1, "logged in", NULL);
	peer_login(&peer, villain_host(villain), &walter);
	know_alice(&peer);
	peer_close(&peer);
	scene_open(&home, "home");
	return 0;
}

#define LIE(name)                                                                                            \
	static void lie_##name(void);                                                                        \
	static void name(void **state __attribute__((unused)))                                               \
	{                                                                                                    \
		alarm(4 * host_patience_ms() / 1000);                                                        \
		lie_##name();                                                                                \
		villain_be_honest(villain);                                                                  \
		scene_goes_on(&home);                                                                        \
		assert_false(program_said(alice_types, FORGED));                                             \
		alarm(0);                                                                                    \
	}                                                                                                    \
	static void lie_##name(void)

/* ---- lies ---- */

/* What is to be done to one entry, or from it on. */
struct twist {
	uint64_t seq;
	uint32_t kind;
	struct bytes wire;      /* in place of the entry's own */
	_Atomic unsigned times; /* it was done */
	struct buf kept;        /* an entry that waits for its turn */
};

static bool
is_entry(const Chat__V1__ServerFrame *frame, uint64_t seq)
{
	return frame->body_case == ANSWER(ENTRY) && frame->entry->seq == seq;
}

static bool
replace_entry(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;
	Chat__V1__ServerFrame other = *frame;
	Chat__V1__Entry entry;

	if (!is_entry(frame, twist->seq))
		return false;
	entry = *frame->entry;
	entry.kind = twist->kind;
	entry.wire = wire_from_bytes(twist->wire);
	other.entry = &entry;
	mouth_say(mouth, &other);
	twist->times++;
	return true;
}

/* In the place of what walter says next, alice gets this. */
static void
tell_instead(struct scene *scene, struct twist *twist, enum entry_kind kind, struct bytes wire)
{
	*twist = (struct twist){.seq = room_head(&scene->room) + 1, .kind = kind, .wire = wire};
	villain_lie(villain, "alice", replace_entry, NULL, twist);
	walter_says(scene, "something honest that is not told");
}

LIE(a_message_in_anothers_name)
{
	struct message_header header;
	struct buf wire = {0};
	struct twist twist;
	struct scene scene;

	scene_open(&scene, "forged");
	header = kit_header(scene.room.roster, &mall);
	assert_ok(message_seal(
	    &scene.room.key, &header, BYTES_STR(FORGED), &walter.identity.sign, &random_kernel, &wire));
	tell_instead(&scene, &twist, ENTRY_MESSAGE, buf_bytes(&wire));
	program_wait(alice_types, 1, "! [forged]",
	    "claims to be of mallory and is not signed by them; it is not shown", NULL);
	scene_goes_on(&scene);
	scene_close(&scene);
	buf_fini(&wire);
}

/* The server itself does not look at the signatures of messages: a member can do that too. */
LIE(a_message_that_its_author_did_not_sign)
{
	struct message_header header;
	struct buf wire = {0};
	struct scene scene;

	scene_open(&scene, "unsigned");
	header = kit_header(scene.room.roster, &mall);
	assert_ok(message_seal(
	    &scene.room.key, &header, BYTES_STR(FORGED), &mall.identity.sign, &random_kernel, &wire));
	wire.data[wire.len - 1] ^= 0x08;
	assert_ok(post_message_wire(&scene.mallory, room_id_of(&scene.room), buf_bytes(&wire)));
	program_wait(alice_types, 1, "! [unsigned]", "not signed by them", NULL);
	room_learn(&scene.room, &scene.walter);
	scene_goes_on(&scene);
	scene_close(&scene);
	buf_fini(&wire);
}

LIE(a_message_sealed_with_another_key)
{
	struct epoch_key other = {{1, 2, 3}};
	struct message_header header;
	struct buf wire = {0};
	struct scene scene;

	scene_open(&scene, "sealed");
	header = kit_header(scene.room.roster, &mall);
	assert_ok(
	    message_seal(&other, &header, BYTES_STR(FORGED), &mall.identity.sign, &random_kernel, &wire));
	assert_ok(post_message_wire(&scene.mallory, room_id_of(&scene.room), buf_bytes(&wire)));
	program_wait(alice_types, 1, "! [sealed]", "cannot be read: mallory sealed it wrongly", NULL);
	room_learn(&scene.room, &scene.walter);
	scene_goes_on(&scene);
	scene_close(&scene);
	buf_fini(&wire);
}

LIE(a_message_a_second_time)
{
	struct message_header header;
	struct buf wire = {0};
	struct twist twist;
	struct scene scene;

	scene_open(&scene, "again");
	header = kit_header(scene.room.roster, &mall);
	assert_ok(message_seal(
	    &scene.room.key, &header, BYTES_STR("only once"), &mall.identity.sign, &random_kernel, &wire));
	assert_ok(post_message_wire(&scene.mallory, room_id_of(&scene.room), buf_bytes(&wire)));
	program_wait(alice_types, 1, "<mallory> only once", NULL);
	room_learn(&scene.room, &scene.walter);
	tell_instead(&scene, &twist, ENTRY_MESSAGE, buf_bytes(&wire));
	scene_goes_on(&scene);
	assert_int_equal(twist.times, 1);
	assert_int_equal(program_count(alice_types, "only once", NULL), 1);
	scene_close(&scene);
	buf_fini(&wire);
}

/* ---- what comes, and when ---- */

static bool
say_twice(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;

	if (!is_entry(frame, twist->seq))
		return false;
	twist->times++;
	mouth_say(mouth, frame);
	mouth_say(mouth, frame);
	return true;
}

LIE(an_entry_pushed_twice)
{
	struct twist twist = {0};
	struct scene scene;

	scene_open(&scene, "twice");
	twist.seq = room_head(&scene.room) + 1;
	villain_lie(villain, "alice", say_twice, NULL, &twist);
	scene_goes_on(&scene);
	scene_goes_on(&scene);
	assert_int_equal(twist.times, 1);
	assert_int_equal(program_count(alice_types, "twice goes on, 1.", NULL), 1);
	scene_close(&scene);
}

/* Does not tell an entry, the first so many times. */
static bool
leave_out(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;

	(void)mouth;
	if (!is_entry(frame, twist->seq) || twist->times >= twist->kind)
		return false;
	twist->times++;
	return true;
}

LIE(an_entry_left_out_once)
{
	struct twist twist = {.kind = 1};
	struct scene scene;

	scene_open(&scene, "gap");
	twist.seq = room_head(&scene.room) + 1;
	villain_lie(villain, "alice", leave_out, NULL, &twist);
	walter_says(&scene, "left out at first");
	scene_goes_on(&scene);
	/* It was fetched, and is shown in its place. */
	assert_int_equal(twist.times, 1);
	assert_int_equal(program_count(alice_types, "left out at first", NULL), 1);
	scene_goes_on(&scene);
	scene_close(&scene);
}

LIE(an_entry_always_left_out)
{
	struct twist twist = {.kind = UINT32_MAX};
	struct scene scene;
	char text[80];

	scene_open(&scene, "hole");
	twist.seq = room_head(&scene.room) + 1;
	villain_lie(villain, "alice", leave_out, NULL, &twist);
	walter_says(&scene, "never told");
	walter_says(&scene, "behind a hole");
	snprintf(text, sizeof(text), "The server sent entry %ju where %ju was to come",
	    (uintmax_t)twist.seq + 1, (uintmax_t)twist.seq);
	program_wait(alice_types, 1, "! [hole]", text, NULL);
	assert_true(twist.times < 10);
	assert_int_equal(program_count(alice_types, "behind a hole", NULL), 0);
	scene_close(&scene);
}

/* Tells the next one first. */
static bool
swap(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;

	if (is_entry(frame, twist->seq) && twist->times == 0) {
		twist->times = 1;
		assert_ok(frame_encode_server(frame, &twist->kept));
		return true;
	}
	if (is_entry(frame, twist->seq + 1) && twist->times == 1) {
		twist->times = 2;
		mouth_say(mouth, frame);
		mouth_say_bytes(mouth, buf_bytes(&twist->kept));
		return true;
	}
	return false;
}

LIE(two_entries_in_the_wrong_order)
{
	struct twist twist = {0};
	struct scene scene;

	scene_open(&scene, "order");
	twist.seq = room_head(&scene.room) + 1;
	villain_lie(villain, "alice", swap, NULL, &twist);
	walter_says(&scene, "said first");
	walter_says(&scene, "said second");
	scene_goes_on(&scene);
	assert_int_equal(twist.times, 2);
	assert_int_equal(program_count(alice_types, "said first", NULL), 1);
	assert_int_equal(program_count(alice_types, "said second", NULL), 1);
	scene_close(&scene);
	buf_fini(&twist.kept);
}

/* ---- another log ---- */

/* Another time for an entry, so another hash of the log; the next one cuts the line, so that it is compared.
 */
static bool
change_time(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;
	Chat__V1__ServerFrame other = *frame;
	Chat__V1__Entry entry;

	if (is_entry(frame, twist->seq)) {
		entry = *frame->entry;
		entry.server_time_ms++;
		other.entry = &entry;
		mouth_say(mouth, &other);
		twist->times++;
		return true;
	}
	if (is_entry(frame, twist->seq + 1)) {
		mouth_cut(mouth);
		return true;
	}
	return false;
}

LIE(a_log_that_was_changed)
{
	struct twist twist = {0};
	struct scene scene;

	scene_open(&scene, "changed");
	twist.seq = room_head(&scene.room) + 1;
	villain_lie(villain, "alice", change_time, NULL, &twist);
	walter_says(&scene, "at another time");
	program_wait(alice_types, 1, "at another time", NULL);
	walter_says(&scene, "on top of another log");
	program_wait(alice_types, 1, "! [changed]", "is not the one seen here", NULL);
	/* Nothing of that log is believed until somebody has looked into it. */
	villain_be_honest(villain);
	walter_says(&scene, "on top of another log, too");
	scene_goes_on(&home);
	assert_int_equal(program_count(alice_types, "on top of another log", NULL), 0);
	scene_close(&scene);
}

/* Says of a room that it is further, with a hash of nothing. */
static bool
change_head(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	static const uint8_t other_hash[DIGEST_BYTES] = {9};
	struct twist *twist = ctx;
	Chat__V1__ServerFrame other = *frame;
	Chat__V1__Resumed resumed;

	if (is_entry(frame, twist->seq) && twist->times == 0) {
		twist->times = 1;
		mouth_cut(mouth);
		return true;
	}
	if (frame->body_case != ANSWER(RESUMED) || frame->resumed->head_seq != twist->seq)
		return false;
	resumed = *frame->resumed;
	resumed.head_hash = wire_from_bytes(BYTES_ARRAY(other_hash));
	other.resumed = &resumed;
	mouth_say(mouth, &other);
	return true;
}

LIE(a_head_that_its_entries_do_not_have)
{
	struct twist twist = {0};
	struct scene scene;

	scene_open(&scene, "head");
	/* So that no other room is at that number. */
	for (unsigned i = 0; i < 40; i++)
		walter_says(&scene, "filling up");
	scene_goes_on(&scene);
	twist.seq = room_head(&scene.room) + 1;
	villain_lie(villain, "alice", change_head, NULL, &twist);
	walter_says(&scene, "the line is cut here");
	program_wait(alice_types, 1, "! [head]", "do not give the hash that it names for its log", NULL);
	scene_close(&scene);
}

/* ---- events that are none ---- */

LIE(an_event_that_the_rules_refuse)
{
	struct twist twist;
	struct scene scene;
	struct event draft;
	struct built built;

	scene_open(&scene, "coup");
	/* A plain member puts the owner out. */
	draft = kit_event(scene.room.roster, EVENT_KICK, &mall, &walter);
	built_init(&built, &draft, &mall);
	tell_instead(&scene, &twist, ENTRY_EVENT, buf_bytes(&built.wire));
	program_wait(alice_types, 1, "! [coup]", "breaks the rules of rooms",
	    "the server should have refused it", NULL);
	assert_int_equal(program_count(alice_types, "[coup]", "removed walter", NULL), 0);
	/* What comes behind it is not believed either. */
	walter_says(&scene, "behind a coup");
	scene_goes_on(&home);
	assert_int_equal(program_count(alice_types, "behind a coup", NULL), 0);
	scene_close(&scene);
	built_fini(&built);
}

/* Somebody is let in by the server alone. */
LIE(an_invitation_that_nobody_made)
{
	struct twist twist;
	struct scene scene;
	struct event draft;
	struct built built;

	scene_open(&scene, "guest");
	draft = kit_event(scene.room.roster, EVENT_INVITE, &walter, &wanda);
	built_init(&built, &draft, &wanda);
	tell_instead(&scene, &twist, ENTRY_EVENT, buf_bytes(&built.wire));
	program_wait(alice_types, 1, "! [guest]", "breaks the rules of rooms", NULL);
	program_type(alice_types, "/switch guest");
	program_type(alice_types, "/members");
	program_type(alice_types, "not for a guest");
	program_wait(alice_types, 1, "mallory", NULL);
	assert_int_equal(program_count(alice_types, "wanda", NULL), 0);
	/* And nothing is said into such a room. */
	room_learn(&scene.room, &scene.walter);
	assert_int_equal(program_count(alice_types, "<alice> not for a guest", NULL), 0);
	scene_close(&scene);
	built_fini(&built);
}

LIE(an_event_of_a_later_version)
{
	struct twist twist;
	struct scene scene;
	struct event draft;
	struct built built;
	uint64_t head;

	scene_open(&scene, "newer");
	draft = kit_event(scene.room.roster, EVENT_LEAVE, &mall, NULL);
	built_init(&built, &draft, &mall);
	built.wire.data[1] = 11;
	tell_instead(&scene, &twist, ENTRY_EVENT, buf_bytes(&built.wire));
	program_wait(alice_types, 1, "! [newer]", "needs a newer client", NULL);
	/* Read-only: what is typed there is refused, and the server gets nothing of it. */
	villain_be_honest(villain);
	head = room_head(&scene.room);
	program_type(alice_types, "/switch newer");
	program_type(alice_types, "can I say this");
	program_wait(alice_types, 2, "! ", "newer", NULL);
	room_learn(&scene.room, &scene.walter);
	assert_int_equal(room_head(&scene.room), head);
	scene_close(&scene);
	built_fini(&built);
}

/* ---- keys ---- */

/* A member makes a key for all but alice. */
LIE(a_wrap_that_does_not_open)
{
	struct buf box = {0}, wraps = {0};
	struct scene scene;
	struct event draft;

	scene_open(&scene, "junk");
	mall.counter = 0;
	draft = room_rekey_draft(&scene.room, &mall, &box);
	room_wrap(&scene.room, &draft, &wraps);
	random_bytes(wraps.data + wraps.len - WRAP_BYTES, WRAP_BYTES); /* alice was invited last */
	wraps.data[wraps.len - WRAP_BYTES] = 0;
	draft.rekey.wraps_hash = wraps_hash_of(buf_bytes(&wraps));
	assert_ok(peer_stage(&scene.mallory, &draft.rekey.wraps_hash, 3, buf_bytes(&wraps)));
	assert_ok(room_post(&scene.room, &scene.mallory, &draft));
	walter_says(&scene, FORGED ", for alice has no key to it");
	program_wait(alice_types, 1, "! [junk]", "the key that mallory made for you does not open", NULL);
	/* The next key is right again. */
	assert_ok(room_rekey(&scene.room, &scene.walter));
	scene_goes_on(&scene);
	scene_close(&scene);
	buf_fini(&box);
	buf_fini(&wraps);
}

/* Gives alice another wrap than was made for her: when it is pushed, or always. */
static bool
swap_wraps(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;
	bool pushed = frame->body_case == ANSWER(WRAPS_PUSH);
	Chat__V1__ServerFrame other = *frame;
	uint8_t junk[WRAP_BYTES] = {0, 1, 2, 3};
	Chat__V1__EpochWraps epochs[EPOCHS_ASKED_MAX], *list[EPOCHS_ASKED_MAX];
	Chat__V1__Wraps wraps;

	if (!pushed && (frame->body_case != ANSWER(WRAPS) || twist->kind == 0))
		return false;
	wraps = pushed ? *frame->wraps_push : *frame->wraps;
	for (size_t i = 0; i < wraps.n_epoch; i++) {
		epochs[i] = *wraps.epoch[i];
		epochs[i].wrap = wire_from_bytes(BYTES_ARRAY(junk));
		list[i] = &epochs[i];
	}
	wraps.epoch = list;
	if (pushed)
		other.wraps_push = &wraps;
	else
		other.wraps = &wraps;
	twist->times++;
	mouth_say(mouth, &other);
	return true;
}

LIE(a_wrap_swapped_on_the_way)
{
	struct twist twist = {.kind = 0};
	struct scene scene;

	scene_open(&scene, "swapped");
	villain_lie(villain, "alice", swap_wraps, NULL, &twist);
	assert_ok(room_rekey(&scene.room, &scene.walter));
	/* It asks once more, and gets the right one. */
	scene_goes_on(&scene);
	assert_int_equal(twist.times, 1);
	scene_close(&scene);
}

LIE(a_wrap_swapped_for_good)
{
	struct twist twist = {.kind = 1};
	struct scene scene;

	scene_open(&scene, "kept");
	villain_lie(villain, "alice", swap_wraps, NULL, &twist);
	assert_ok(room_rekey(&scene.room, &scene.walter));
	walter_says(&scene, "alice has no key to this yet");
	program_wait(alice_types, 1, "! [kept]", "cannot be read", NULL);
	assert_int_equal(program_count(alice_types, "alice has no key to this yet", NULL), 0);
	/* Not again and again. */
	assert_true(twist.times < 5);
	villain_be_honest(villain);
	assert_ok(room_rekey(&scene.room, &scene.walter));
	scene_goes_on(&scene);
	scene_close(&scene);
}

static bool
change_prefix(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;
	Chat__V1__ServerFrame other = *frame;
	Chat__V1__Prefix prefix;
	uint8_t preimage[LOG_PREIMAGE_BYTES];

	if (frame->body_case != ANSWER(PREFIX) || frame->prefix->preimage.len != sizeof(preimage))
		return false;
	memcpy(preimage, frame->prefix->preimage.data, sizeof(preimage));
	preimage[40] ^= 1;
	prefix = *frame->prefix;
	prefix.preimage = wire_from_bytes(BYTES_ARRAY(preimage));
	other.prefix = &prefix;
	mouth_say(mouth, &other);
	twist->times++;
	return true;
}

LIE(a_prefix_that_the_inviter_did_not_see)
{
	struct twist twist = {0};
	struct scene scene;

	villain_lie(villain, "alice", change_prefix, NULL, &twist);
	scene_prepare(&scene, "prefix");
	program_wait(
	    alice_types, 1, "! ", "The log before the invitation is not the one that the inviter saw", NULL);
	walter_says(&scene, "behind a false prefix");
	scene_goes_on(&home);
	assert_int_equal(twist.times, 1);
	assert_int_equal(program_count(alice_types, "[prefix]", "invited you", NULL), 0);
	assert_int_equal(program_count(alice_types, "behind a false prefix", NULL), 0);
	scene_close(&scene);
}

/* ---- requests that are not answered as they should be ---- */

/* What alice asks for. */
struct heard {
	_Atomic unsigned rekeys, rewraps, messages, events;
	enum chat_err answer; /* to messages; CHAT_OK: they are posted */
};

static bool
count_requests(void *ctx, const Chat__V1__ClientFrame *frame, struct mouth *mouth)
{
	Chat__V1__ServerFrame refused = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Error error = CHAT__V1__ERROR__INIT;
	struct heard *heard = ctx;
	struct event event;

	if (frame->request_case == REQUEST(POST_REWRAPS))
		heard->rewraps++;
	if (frame->request_case == REQUEST(POST_EVENTS)) {
		heard->events++;
		for (size_t i = 0; i < frame->post_events->n_event; i++)
			if (event_decode(wire_bytes(frame->post_events->event[i]), &event) == CHAT_OK &&
			    event.type == EVENT_REKEY)
				heard->rekeys++;
	}
	if (frame->request_case != REQUEST(POST_MESSAGE))
		return false;
	heard->messages++;
	if (heard->answer == CHAT_OK)
		return false;
	error.code = error_to_wire(heard->answer);
	error.text = wire_from_str("because I say so");
	refused.id = frame->id;
	refused.body_case = ANSWER(ERROR);
	refused.error = &error;
	mouth_say(mouth, &refused);
	return true;
}

LIE(stale_without_a_reason)
{
	struct heard heard = {.answer = CHAT_ERR_STALE};
	struct scene scene;

	scene_open(&scene, "stale");
	villain_lie(villain, "alice", NULL, count_requests, &heard);
	program_type(alice_types, "/switch stale");
	program_type(alice_types, "is this stale");
	program_wait(
	    alice_types, 1, "! ", "wants the room rekeyed first, but its log says nothing of a change", NULL);
	villain_be_honest(villain);
	assert_int_equal(heard.rekeys, 0);
	assert_true(heard.messages < 10);
	/* It can be said again. */
	program_type(alice_types, "this is not stale");
	program_wait(alice_types, 1, "<alice> this is not stale", NULL);
	scene_close(&scene);
}

/* Asks for a rekey that the room does not need, and for keys for somebody who may not have them. */
static bool
ask_favours(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	const struct scene *scene = ctx;
	Chat__V1__ServerFrame push = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__RekeyWanted rekey = CHAT__V1__REKEY_WANTED__INIT;
	Chat__V1__RewrapWanted rewrap = CHAT__V1__REWRAP_WANTED__INIT;
	struct digest epoch_id = roster_state(scene->room.roster)->epoch_id;
	ProtobufCBinaryData epochs[] = {wire_from_digest(&epoch_id)};

	if (frame->body_case != ANSWER(ENTRY))
		return false;
	rekey.room_id = rewrap.room_id = wire_from_digest(room_id_of(&scene->room));
	rekey.lease_ms = 5000;
	rewrap.member_id = wire_from_digest(person_id(&wanda));
	rewrap.epoch_id = epochs;
	rewrap.n_epoch_id = 1;
	for (unsigned i = 0; i < 100; i++) {
		push.body_case = ANSWER(REKEY_WANTED);
		push.rekey_wanted = &rekey;
		mouth_say(mouth, &push);
		push.body_case = ANSWER(REWRAP_WANTED);
		push.rewrap_wanted = &rewrap;
		mouth_say(mouth, &push);
	}
	return false;
}

/* The ear of one, the tongue of the other. */
struct favours {
	struct heard heard;
	struct scene scene;
};

static bool
hear_favours(void *ctx, const Chat__V1__ClientFrame *frame, struct mouth *mouth)
{
	return count_requests(&((struct favours *)ctx)->heard, frame, mouth);
}

static bool
say_favours(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	return ask_favours(&((struct favours *)ctx)->scene, frame, mouth);
}

LIE(favours_that_are_asked_for)
{
	struct favours favours = {.heard = {.answer = CHAT_OK}};

	scene_open(&favours.scene, "favour");
	villain_lie(villain, "alice", say_favours, hear_favours, &favours);
	scene_goes_on(&favours.scene);
	/* She has done whatever she does when what she says after it has arrived. */
	program_type(alice_types, "/switch favour");
	program_type(alice_types, "after all these favours");
	program_wait(alice_types, 1, "<alice> after all these favours", NULL);
	villain_be_honest(villain);
	assert_int_equal(favours.heard.rekeys, 0);
	assert_int_equal(favours.heard.rewraps, 0);
	scene_close(&favours.scene);
}

/* mallory's card in place of wanda's. */
static bool
change_card(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;
	Chat__V1__ServerFrame other = *frame;
	Chat__V1__Card card;

	if (frame->body_case != ANSWER(CARD))
		return false;
	card = *frame->card;
	card.card = wire_from_bytes(person_card(&mall));
	other.card = &card;
	mouth_say(mouth, &other);
	twist->times++;
	return true;
}

LIE(the_card_of_somebody_else)
{
	struct twist twist = {0};
	struct scene scene;
	uint64_t head;

	scene_open(&scene, "card");
	assert_ok(room_do(&scene.room, &scene.mallory, EVENT_LEAVE, NULL));
	assert_ok(room_rekey(&scene.room, &scene.walter));
	head = room_head(&scene.room);
	villain_lie(villain, "alice", change_card, NULL, &twist);
	program_type(alice_types, "/switch card");
	program_type(alice_types, "/invite wanda");
	program_wait(alice_types, 1, "! ", "wanda", NULL);
	villain_be_honest(villain);
	assert_true(twist.times >= 1);
	room_learn(&scene.room, &scene.walter);
	assert_int_equal(room_head(&scene.room), head);
	scene_close(&scene);
}

/* ---- what is no protocol ---- */

struct noise {
	struct bytes bytes; /* said once, instead of the answer to a ping or an entry */
	_Atomic unsigned times;
};

static bool
make_noise(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct noise *noise = ctx;

	if (noise->times > 0 || frame->body_case != ANSWER(ENTRY))
		return false;
	noise->times++;
	mouth_say_bytes(mouth, noise->bytes);
	return true;
}

/* The client says so, connects again, and has missed nothing. */
static void
expect_reconnect(struct bytes bytes, const char *line)
{
	size_t before = program_count(alice_types, line, NULL);
	struct noise noise = {.bytes = bytes};

	villain_lie(villain, "alice", make_noise, NULL, &noise);
	scene_goes_on(&home);
	villain_be_honest(villain);
	program_wait(alice_types, before + 1, line, NULL);
}

LIE(noise_in_place_of_frames)
{
	expect_reconnect(BYTES("\x00\x00\x00\x03\xff\xff\xff", 7), "The server sent what is no frame");
	expect_reconnect(BYTES("\x00\x10\x00\x01", 4), "The server sent a frame that is too long");
	/* An answer to 99999, which was not asked; an answer that answers nothing. */
	expect_reconnect(
	    BYTES("\x00\x00\x00\x06\x08\x9f\x8d\x06\x1a\x00", 10), "The server answered what was not asked");
	expect_reconnect(BYTES("\x00\x00\x00\x02\x1a\x00", 6), "The server broke the protocol");
}

/* Pushes, and fields, of later versions. */
static bool
speak_later_version(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	struct twist *twist = ctx;
	struct buf later = {0};

	if (frame->body_case != ANSWER(ENTRY))
		return false;
	/* Field 500 of the oneof; and the entry with a field 900 behind it. */
	mouth_say_bytes(mouth, BYTES("\x00\x00\x00\x06\xa2\x1f\x03\x08\x01\x00", 10));
	mouth_say_bytes(mouth, BYTES("\x00\x00\x00\x00", 4));
	assert_ok(frame_encode_server(frame, &later));
	assert_ok(buf_append(&later, "\xa0\x38\x07", 3));
	be32_put(later.data, (uint32_t)(later.len - FRAME_HEADER_BYTES));
	mouth_say_bytes(mouth, buf_bytes(&later));
	buf_fini(&later);
	twist->times++;
	return true;
}

LIE(pushes_of_a_later_version)
{
	size_t before = program_count(alice_types, "no connection", NULL);
	struct twist twist = {0};

	villain_lie(villain, "alice", speak_later_version, NULL, &twist);
	scene_goes_on(&home);
	scene_goes_on(&home);
	assert_true(twist.times >= 2);
	assert_int_equal(program_count(alice_types, "no connection", NULL), before);
}

/* The words of a server go to a terminal too. */
static bool
say_escapes(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth)
{
	Chat__V1__ServerFrame other = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Goodbye goodbye = CHAT__V1__GOODBYE__INIT;
	struct twist *twist = ctx;

	if (twist->times > 0 || frame->body_case != ANSWER(ENTRY))
		return false;
	twist->times++;
	goodbye.reason = CHAT__V1__ERROR_CODE__SHUTDOWN;
	goodbye.retry_after_ms = 100;
	goodbye.text = wire_from_str("farewell\x1b]0;owned\x07\x1b[2J\r\nspoofed line\xe2\x80\xae");
	other.body_case = ANSWER(GOODBYE);
	other.goodbye = &goodbye;
	mouth_say(mouth, &other);
	return true;
}

LIE(words_that_are_made_for_terminals)
{
	struct twist twist = {0};

	villain_lie(villain, "alice", say_escapes, NULL, &twist);
	scene_goes_on(&home);
	program_wait(alice_types, 1, "farewell", NULL);
	assert_false(program_said(alice_types, "\x1b"));
	assert_false(program_said(alice_types, "\x07"));
	assert_false(program_said(alice_types, "\r"));
	assert_false(program_said(alice_types, "\xe2\x80\xae"));
	assert_false(program_said(alice_types, "\nspoofed"));
}

/* ---- the end ---- */

/* Whatever was tried, alice ends well, and so does everybody else. */
TEST(all_of_them_go_home)
{
	alarm(2 * host_patience_ms() / 1000);
	/* Some of what she typed was refused, and that is told at the end. */
	program_quit(alice_types, 1);
	scene_close(&home);
	villain_stop(villain);
	alarm(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_in_anothers_name),
	    cmocka_unit_test(a_message_that_its_author_did_not_sign),
	    cmocka_unit_test(a_message_sealed_with_another_key),
	    cmocka_unit_test(a_message_a_second_time),
	    cmocka_unit_test(an_entry_pushed_twice),
	    cmocka_unit_test(an_entry_left_out_once),
	    cmocka_unit_test(an_entry_always_left_out),
	    cmocka_unit_test(two_entries_in_the_wrong_order),
	    cmocka_unit_test(a_log_that_was_changed),
	    cmocka_unit_test(a_head_that_its_entries_do_not_have),
	    cmocka_unit_test(an_event_that_the_rules_refuse),
	    cmocka_unit_test(an_invitation_that_nobody_made),
	    cmocka_unit_test(an_event_of_a_later_version),
	    cmocka_unit_test(a_wrap_that_does_not_open),
	    cmocka_unit_test(a_wrap_swapped_on_the_way),
	    cmocka_unit_test(a_wrap_swapped_for_good),
	    cmocka_unit_test(a_prefix_that_the_inviter_did_not_see),
	    cmocka_unit_test(stale_without_a_reason),
	    cmocka_unit_test(favours_that_are_asked_for),
	    cmocka_unit_test(the_card_of_somebody_else),
	    cmocka_unit_test(noise_in_place_of_frames),
	    cmocka_unit_test(pushes_of_a_later_version),
	    cmocka_unit_test(words_that_are_made_for_terminals),
	    cmocka_unit_test(all_of_them_go_home),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
