/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Delivery, whole: random schedules of people who talk, come, go, stop reading and are thrown out, against a
 * plain list of what was posted.  Each connection gets each entry once, in order, whole if its member may
 * read it, each rekey behind the member's wrap; also where its queue is full most of the time, for the
 * sockets and queues here are tiny.
 */
#include "server_rig.h"

#include "group/loghash.h"
#include "proto/limits.h"
#include "proto/wire.h"

#define PEOPLE      4 /* alice owns the room; bob and carol are in it; dave comes and goes */
#define DAVE        3
#define FOLLOWERS   8
#define ENTRIES_MAX 4000
#define STEPS       160

struct told {
	enum entry_kind kind;
	struct buf wire;
	bool rekey;
	uint64_t rekey_seq; /* the last at or before it */
	unsigned stay;      /* of dave's stays the latest that had begun; 0: none */
	struct digest reader[PEOPLE];
	struct buf wraps; /* in that order */
	uint32_t reader_count;
};

/* A connection that follows the room, and what it has so far. */
struct follower {
	struct peer peer;
	bool open;
	unsigned who;
	struct log_head head;
	uint64_t end_seq; /* nothing comes behind it; UINT64_MAX: no end */
	bool wrap_came;
	uint8_t wrap[WRAP_BYTES];
};

static struct rig rig;
static struct person people[PEOPLE];
static struct peer posters[PEOPLE];
static struct copy room;
static struct told told[ENTRIES_MAX + 1];
static uint64_t head;
static struct follower followers[FOLLOWERS];
static uint64_t seed;
/* Dave's stay: the numbers of his last join, and of the rekey at his last invitation; 0: not in this stay. */
static uint64_t dave_joined, dave_invited;
static unsigned stay;        /* of his, counted from 1 */
static unsigned stay_joined; /* the last one in which he has joined */
static uint64_t entries_got, stubs_got;

/* ---- posting ---- */

static void
post_draft(struct draft *d, unsigned actor, bool first)
{
	struct wrap_set *staged = d->staged;
	const struct roster_member *next = NULL;

	for (size_t i = 0; i < d->count; i++) {
		struct told *t = &told[++head];

		assert_true(head <= ENTRIES_MAX);
		t->kind = ENTRY_EVENT;
		assert_ok(buf_append(&t->wire, d->wires[i].data, d->wires[i].len));
		t->rekey = t->wire.data[1] == EVENT_REKEY;
		t->rekey_seq = t->rekey ? head : told[head - 1].rekey_seq;
		if (!t->rekey)
			continue;
		assert_ok(buf_append(&t->wraps, staged->wraps, (size_t)staged->count * WRAP_BYTES));
		while ((next = roster_next_reader(room.roster, next)) != NULL)
			t->reader[t->reader_count++] = next->id;
		assert_int_equal(t->reader_count, staged->count);
	}
	peer_expect(&posters[actor], peer_post(&posters[actor], d, first ? NULL : &room.room_id),
	    CHAT__V1__SERVER_FRAME__BODY_POSTED);
}

static void
say(unsigned actor, unsigned count)
{
	uint64_t ids[REQUESTS_UNDER_WAY];

	for (unsigned i = 0; i < count; i++) {
		struct command *cmd = cmd_message(&rig.w, (struct conn_ref){0}, &people[actor], &room);
		Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
		Chat__V1__PostMessage body = CHAT__V1__POST_MESSAGE__INIT;
		struct told *t = &told[++head];

		assert_true(head <= ENTRIES_MAX);
		t->kind = ENTRY_MESSAGE;
		t->stay = stay;
		t->rekey_seq = told[head - 1].rekey_seq;
		assert_ok(buf_append(&t->wire, cmd->message.wire.data, cmd->message.wire.len));
		body.room_id = wire_from_digest(&room.room_id);
		body.message = wire_from_bytes(cmd->message.wire);
		frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_POST_MESSAGE;
		frame.post_message = &body;
		ids[i] = peer_send(&posters[actor], &frame);
		command_free(cmd);
	}
	for (unsigned i = 0; i < count; i++)
		peer_expect(&posters[actor], ids[i], CHAT__V1__SERVER_FRAME__BODY_POSTED);
}

/* ---- following ---- */

static const uint8_t *
wrap_of(const struct told *t, unsigned who)
{
	for (uint32_t i = 0; i < t->reader_count; i++)
		if (digest_equal(&t->reader[i], &people[who].identity.member_id))
			return t->wraps.data + (size_t)i * WRAP_BYTES;
	return NULL;
}

/* Of dave a message of an epoch that he was not there for, or from before he has ever joined since, is a
 * stub; one behind his joining is whole; one from between his invitation and that is whole if it was read
 * afterwards. */
static void
check_wholeness(const struct follower *f, uint64_t seq, bool whole)
{
	if (told[seq].kind == ENTRY_EVENT || f->who != DAVE)
		assert_true(whole);
	else if (wrap_of(&told[told[seq].rekey_seq], DAVE) == NULL || stay_joined < told[seq].stay)
		assert_false(whole);
	else if (dave_joined != 0 && seq > dave_joined)
		assert_true(whole);
	entries_got++;
	stubs_got += !whole;
}

static void
take_entry(struct follower *f, const Chat__V1__Entry *entry)
{
	uint64_t seq = f->head.seq + 1;
	const struct told *t = &told[seq];
	bool whole = entry->wire.len > 0;
	struct digest entry_hash;
	struct message message;
	struct event event;

	assert_int_equal(entry->seq, seq);
	assert_true(seq <= head && seq <= f->end_seq);
	assert_int_equal(entry->kind, t->kind);
	assert_bytes_equal(wire_bytes(entry->room_id), digest_bytes(&room.room_id));
	check_wholeness(f, seq, whole);
	if (whole)
		assert_bytes_equal(wire_bytes(entry->wire), buf_bytes(&t->wire));
	if (t->kind == ENTRY_EVENT) {
		assert_ok(event_decode(buf_bytes(&t->wire), &event));
		entry_hash = log_entry_hash(ENTRY_EVENT, &event.event_hash, event.sig);
	} else {
		assert_ok(message_decode(buf_bytes(&t->wire), &message));
		entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	}
	if (!whole)
		assert_bytes_equal(wire_bytes(entry->entry_hash), digest_bytes(&entry_hash));
	log_head_advance(
	    &f->head, entry->server_time_ms, &entry_hash, t->kind == ENTRY_EVENT ? &event.event_hash : NULL);

	if (t->rekey && wrap_of(t, f->who) != NULL) {
		assert_true(f->wrap_came);
		assert_memory_equal(f->wrap, wrap_of(t, f->who), WRAP_BYTES);
	} else {
		assert_false(f->wrap_came);
	}
	f->wrap_came = false;
}

static void
take_push(struct peer *peer, const Chat__V1__ServerFrame *frame)
{
	struct follower *f = peer->ctx;

	if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ENTRY) {
		take_entry(f, frame->entry);
	} else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH) {
		assert_false(f->wrap_came);
		assert_int_equal(frame->wraps_push->n_epoch, 1);
		assert_int_equal(frame->wraps_push->epoch[0]->wrap.len, WRAP_BYTES);
		memcpy(f->wrap, frame->wraps_push->epoch[0]->wrap.data, WRAP_BYTES);
		f->wrap_came = true;
	}
}

static void
resume(struct follower *f)
{
	const Chat__V1__Resumed *resumed;
	struct log_head from = f->head;

	resumed = peer_expect(&f->peer, peer_resume(&f->peer, &room.room_id, f->head.seq + 1, &f->head.L),
	    CHAT__V1__SERVER_FRAME__BODY_RESUMED)
		      ->resumed;
	assert_int_equal(resumed->head_seq, head);
	/* What was on its way before is the old subscription's; the new one begins where it was asked to. */
	f->head = from;
	f->wrap_came = false;
}

static void
come(struct follower *f)
{
	if (f->open || (f->who == DAVE && dave_invited == 0))
		return;
	f->peer = (struct peer){.on_push = take_push, .ctx = f};
	peer_login(&rig, &f->peer, &people[f->who], (uint8_t)(f - followers));
	f->open = true;
	f->end_seq = UINT64_MAX;
	resume(f);
}

static void
go(struct follower *f)
{
	if (!f->open)
		return;
	peer_close(&f->peer);
	f->open = false;
	/* Sometimes it has lost a part of what it had. */
	if (unit_rand(&seed) % 4 == 0)
		f->head = (struct log_head){0};
}

static void
read_some(struct follower *f, unsigned count)
{
	const Chat__V1__ServerFrame *frame;

	for (unsigned i = 0; f->open && i < count; i++) {
		frame = peer_next_within(&f->peer, 0);
		if (frame == NULL)
			break;
		take_push(&f->peer, frame);
	}
}

/* Everything that is to come; and nothing else comes. */
static void
read_all(struct follower *f)
{
	if (!f->open)
		return;
	while (f->head.seq < head && f->head.seq < f->end_seq)
		take_push(&f->peer, peer_next(&f->peer));
	peer_expect(&f->peer, peer_ping(&f->peer), CHAT__V1__SERVER_FRAME__BODY_PONG);
	assert_int_equal(f->head.seq, head < f->end_seq ? head : f->end_seq);
}

/* ---- dave ---- */

static void
dave_moves(void)
{
	struct draft d = {0};

	if (dave_invited == 0) {
		draft_invite(&rig.w, &d, &people[0], &room, &people[DAVE]);
		draft_rekey(&rig.w, &d, &people[0], &room);
		post_draft(&d, 0, false);
		dave_invited = head;
		stay++;
	} else if (dave_joined == 0 && unit_rand(&seed) % 3 != 0) {
		draft_simple(&rig.w, &d, &people[DAVE], &room, EVENT_JOIN);
		post_draft(&d, DAVE, false);
		dave_joined = head;
		stay_joined = stay;
	} else {
		uint64_t kick_seq = head + 1;

		draft_kick(&rig.w, &d, &people[0], &room, &people[DAVE]);
		draft_rekey(&rig.w, &d, &people[0], &room);
		post_draft(&d, 0, false);
		dave_invited = dave_joined = 0;
		for (unsigned i = 0; i < FOLLOWERS; i++)
			if (followers[i].who == DAVE && followers[i].open &&
			    followers[i].end_seq == UINT64_MAX)
				followers[i].end_seq = kick_seq;
	}
}

/* Back in the room, a connection of his has to resume by itself. */
static void
dave_resumes(void)
{
	for (unsigned i = 0; i < FOLLOWERS; i++) {
		struct follower *f = &followers[i];

		if (f->who != DAVE || !f->open || f->end_seq == UINT64_MAX || dave_invited == 0)
			continue;
		read_all(f);
		f->end_seq = UINT64_MAX;
		resume(f);
	}
}

/* ---- the schedule ---- */

static void
begin(uint64_t s)
{
	static const char *const names[PEOPLE] = {"alice", "bob", "carol", "dave"};
	struct draft d = {0};

	seed = s;
	head = dave_joined = dave_invited = 0;
	stay = stay_joined = 0;
	memset(told, 0, sizeof told);
	rig_init(&rig, s);
	rig.loops = 2;
	rig.sndbuf = 4096;
	rig.limits->outbuf_high_bytes = 6000;
	rig.limits->outbuf_low_bytes = 2000;
	for (unsigned i = 0; i < PEOPLE; i++)
		rig_person(&rig, &people[i], names[i]);
	rig_start(&rig);
	for (unsigned i = 0; i < PEOPLE; i++) {
		posters[i] = (struct peer){0};
		rig_publish(&rig, &people[i]);
		peer_login(&rig, &posters[i], &people[i], 100);
	}
	copy_init(&rig.w, &room);
	draft_create(&rig.w, &d, &people[0], &room);
	post_draft(&d, 0, true);
	for (unsigned i = 1; i < DAVE; i++) {
		draft_invite(&rig.w, &d, &people[0], &room, &people[i]);
		post_draft(&d, 0, false);
		draft_simple(&rig.w, &d, &people[i], &room, EVENT_JOIN);
		post_draft(&d, i, false);
	}
	draft_rekey(&rig.w, &d, &people[0], &room);
	post_draft(&d, 0, false);
	for (unsigned i = 0; i < FOLLOWERS; i++)
		followers[i] = (struct follower){.who = i % PEOPLE, .end_seq = UINT64_MAX};
}

static void
end(void)
{
	for (unsigned i = 0; i < FOLLOWERS; i++)
		if (followers[i].open)
			peer_close(&followers[i].peer);
	for (unsigned i = 0; i < PEOPLE; i++) {
		peer_close(&posters[i]);
		person_end(&people[i]);
	}
	for (uint64_t i = 1; i <= head; i++) {
		buf_fini(&told[i].wire);
		buf_fini(&told[i].wraps);
	}
	copy_fini(&room);
	rig_end(&rig);
}

static void
step(void)
{
	struct follower *f = &followers[unit_rand(&seed) % FOLLOWERS];

	switch (unit_rand(&seed) % 10) {
	case 0:
	case 1:
	case 2:
		say((unsigned)(unit_rand(&seed) % 3), (unsigned)(unit_rand(&seed) % 40 + 1));
		break;
	case 3:
	case 4:
		come(f);
		break;
	case 5:
		go(f);
		break;
	case 6:
		if (unit_rand(&seed) % 2 == 0)
			dave_moves();
		else
			dave_resumes();
		break;
	case 7:
		if (f->open && f->who != DAVE) {
			/* Again from where it is, in the middle of everything. */
			resume(f);
		}
		break;
	default:
		read_some(f, (unsigned)(unit_rand(&seed) % 100));
		break;
	}
}

static void
run(uint64_t s)
{
	print_message("# seed %u\n", (unsigned)s);
	begin(s);
	for (unsigned i = 0; i < STEPS && head + 60 < ENTRIES_MAX; i++)
		step();
	for (unsigned i = 0; i < FOLLOWERS; i++)
		read_all(&followers[i]);
	/* Whoever comes late gets the same. */
	dave_resumes();
	for (unsigned i = 0; i < FOLLOWERS; i++) {
		come(&followers[i]);
		read_all(&followers[i]);
	}
	end();
}

TEST(schedules)
{
	for (uint64_t s = 1; s <= 12; s++)
		run(s);
	print_message(
	    "# %u entries received, %u of them stubs\n", (unsigned)entries_got, (unsigned)stubs_got);
	assert_true(stubs_got > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(schedules)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
