/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The engine, delivery and the readers' side of the store under random schedules.  People talk, invite, join,
 * leave and kick in a few rooms, several commands to a turn; between the engine and each connection are what
 * the server has: mail that waits, queues that fill, reads that come late, connections that end and resume.
 *
 * The model is a plain list for each room: what was acknowledged, in order.  Of each subscription it asks:
 * the numbers from where it resumed on, each once, in order, to the head or to the end of the stay; a message
 * whole for who was joined when it was said and is still, and never whole for who was no reader when its
 * epoch opened.
 */

#include "engine_world.h"

#include "proto/frame.h"
#include "server/delivery.h"
#include "server/view.h"

#define PEOPLE     4
#define ROOMS      3
#define CONNS      8 /* two for each of the people */
#define QUEUE_MARK 6
#define SEQ_MAX    2000

struct model_entry {
	struct digest L;
	bool message;
	uint8_t joined;   /* bit by person: joined when it was said */
	uint8_t entitled; /* bit by person: reader when its epoch opened */
};

struct model_room {
	struct copy copy;
	bool made;
	uint64_t head;
	struct model_entry entries[SEQ_MAX];
	uint8_t epoch_readers;
};

struct model_sub {
	bool on, ended, resuming;
	uint64_t room_no, end_seq;
	struct delivery d;
	struct view *view;
	uint64_t next;         /* what the client wants next: survives the connection */
	uint64_t joined_since; /* 0: not joined now */
	bool reading;
	uint64_t read_from, read_to;
	uint32_t queued;
};

struct model_conn {
	struct conn_ref ref;
	bool open;
	struct model_sub subs[ROOMS];
};

struct schedule {
	struct world w;
	struct person people[PEOPLE];
	struct model_room rooms[ROOMS];
	struct model_conn conns[CONNS];
	struct outcome *mail[WORLD_LOOPS], **mail_last[WORLD_LOOPS];
	struct store_reader *reader;
	uint64_t received, whole, stubs, reads, kicks;
};

static uint64_t
below(struct schedule *s, uint64_t n)
{
	return unit_rand(&s->w.seed) % n;
}

static size_t
person_of(size_t conn)
{
	return conn / 2;
}

static const struct roster_member *
member_of(const struct schedule *s, const struct model_room *room, size_t person)
{
	return roster_member(room->copy.roster, &s->people[person].identity.member_id);
}

static uint8_t
who(const struct schedule *s, const struct model_room *room, bool (*is)(const struct roster_member *))
{
	uint8_t bits = 0;

	for (size_t i = 0; i < PEOPLE; i++)
		if (is(member_of(s, room, i)))
			bits |= (uint8_t)(1u << i);
	return bits;
}

/* ---- what clients check ---- */

static void
receive(struct schedule *s, size_t c, size_t r, uint64_t seq, bool whole)
{
	struct model_sub *sub = &s->conns[c].subs[r];
	const struct model_entry *entry = &s->rooms[r].entries[seq];
	uint8_t bit = (uint8_t)(1u << person_of(c));

	assert_int_equal(seq, sub->next);
	sub->next++;
	sub->queued++;
	s->received++;
	if (!entry->message) {
		assert_true(whole);
		return;
	}
	if (whole)
		s->whole++;
	else
		s->stubs++;
	if (whole)
		assert_true(entry->entitled & bit);
	/* Joined when it was said, and the stay goes on: the text is owed. */
	if ((entry->joined & bit) && member_is_joined(member_of(s, &s->rooms[r], person_of(c))) &&
	    sub->joined_since != 0 && sub->joined_since <= seq)
		assert_true(whole);
}

/* ---- the server's side of a connection ---- */

static void
sub_off(struct model_sub *sub)
{
	view_unref(sub->view);
	sub->view = NULL;
	sub->on = false;
	sub->reading = false;
	sub->queued = 0;
}

static void
maybe_read(struct schedule *s, struct model_sub *sub)
{
	if (sub->on && sub->ended && !sub->reading && delivery_is_over(&sub->d)) {
		assert_int_equal(sub->next, sub->end_seq + 1);
		sub_off(
		    sub); /* as the server forgets it; the client may come again after another invitation */
	}
	if (!sub->on ||
	    !delivery_wants_read(&sub->d, sub->queued < QUEUE_MARK, &sub->read_from, &sub->read_to))
		return;
	delivery_read_started(&sub->d);
	sub->reading = true;
	s->reads++;
}

struct read_ctx {
	struct schedule *s;
	size_t c, r;
	uint64_t limit;
};

static bool
on_read(void *ctx, const struct store_entry *entry)
{
	struct read_ctx *rc = ctx;
	struct model_sub *sub = &rc->s->conns[rc->c].subs[rc->r];
	bool whole = entry->kind == ENTRY_EVENT || view_allows(sub->view, entry->seq);

	assert_true(digest_equal(&entry->log_hash, &rc->s->rooms[rc->r].entries[entry->seq].L));
	if (delivery_offer_read(&sub->d, entry->seq) == DELIVERY_SEND)
		receive(rc->s, rc->c, rc->r, entry->seq, whole);
	return --rc->limit > 0;
}

static void
step_read(struct schedule *s, size_t c, size_t r)
{
	struct model_sub *sub = &s->conns[c].subs[r];
	struct read_ctx rc = {.s = s, .c = c, .r = r, .limit = 1 + below(s, 8)};

	if (!sub->on || !sub->reading)
		return;
	assert_ok(store_reader_begin(s->reader));
	assert_ok(store_reader_range(s->reader, sub->room_no, sub->read_from, sub->read_to, on_read, &rc));
	store_reader_end(s->reader);
	sub->reading = false;
	delivery_read_done(&sub->d);
	maybe_read(s, sub);
}

static struct model_sub *
sub_by_no(struct model_conn *conn, uint64_t room_no, size_t *ret_r)
{
	for (size_t r = 0; r < ROOMS; r++) {
		if (conn->subs[r].on && conn->subs[r].room_no == room_no) {
			*ret_r = r;
			return &conn->subs[r];
		}
	}
	return NULL;
}

static struct model_conn *
conn_of(struct schedule *s, struct conn_ref ref)
{
	for (size_t c = 0; c < CONNS; c++)
		if (s->conns[c].open && s->conns[c].ref.loop == ref.loop &&
		    s->conns[c].ref.slot == ref.slot && s->conns[c].ref.generation == ref.generation)
			return &s->conns[c];
	return NULL;
}

static void
on_subscribed(struct schedule *s, struct model_conn *conn, struct outcome *out)
{
	size_t r;

	for (r = 0; r < ROOMS; r++)
		if (digest_equal(&s->rooms[r].copy.room_id, &out->subscribed.room_id))
			break;
	assert_true(r < ROOMS);
	sub_off(&conn->subs[r]);
	conn->subs[r].on = true;
	conn->subs[r].resuming = false;
	conn->subs[r].ended = false;
	conn->subs[r].end_seq = 0;
	conn->subs[r].room_no = out->subscribed.room_no;
	conn->subs[r].view = out->subscribed.view;
	out->subscribed.view = NULL;
	assert_int_equal(conn->subs[r].next, out->subscribed.next_seq);
	delivery_init(&conn->subs[r].d, out->subscribed.next_seq, out->subscribed.head_seq);
	maybe_read(s, &conn->subs[r]);
}

static void
on_entries(struct schedule *s, uint16_t loop, const struct outcome *out)
{
	for (size_t c = 0; c < CONNS; c++) {
		struct model_conn *conn = &s->conns[c];
		struct model_sub *sub;
		size_t r;

		if (!conn->open || conn->ref.loop != loop)
			continue;
		sub = sub_by_no(conn, out->entries.room_no, &r);
		if (sub == NULL)
			continue;
		for (uint32_t i = 0; i < out->entries.count; i++) {
			const struct entry_frames *f = &out->entries.frames[i];
			bool whole = !s->rooms[r].entries[f->seq].message || view_allows(sub->view, f->seq);

			if (delivery_offer_live(&sub->d, f->seq, sub->queued < QUEUE_MARK) == DELIVERY_SEND) {
				assert_non_null(whole ? f->whole : f->stub);
				receive(s, c, r, f->seq, whole);
			}
		}
		maybe_read(s, sub);
	}
}

static void
step_mail(struct schedule *s, uint16_t loop)
{
	struct outcome *out = s->mail[loop];
	struct model_conn *conn;
	struct model_sub *sub;
	size_t r;

	if (out == NULL)
		return;
	s->mail[loop] = out->next;
	if (s->mail[loop] == NULL)
		s->mail_last[loop] = &s->mail[loop];
	out->next = NULL;
	conn = conn_of(s, out->to);
	if (out->type == OUT_ENTRIES) {
		on_entries(s, loop, out);
	} else if (conn == NULL) {
		/* a connection that ended meanwhile */
	} else if (out->type == OUT_SUBSCRIBED) {
		on_subscribed(s, conn, out);
	} else if (out->type == OUT_VIEW) {
		sub = sub_by_no(conn, out->view.room_no, &r);
		if (sub != NULL) {
			view_unref(sub->view);
			sub->view = out->view.view;
			out->view.view = NULL;
		}
	} else if (out->type == OUT_END) {
		sub = sub_by_no(conn, out->end.room_no, &r);
		if (sub != NULL) {
			delivery_end(&sub->d, out->end.end_seq);
			sub->ended = true;
			sub->end_seq = out->end.end_seq;
			maybe_read(s, sub);
		}
	}
	outcome_free(out);
}

/* ---- turns ---- */

static void
take_outcomes(struct schedule *s)
{
	struct outcome *out = s->w.out;

	s->w.out = NULL;
	while (out != NULL) {
		struct outcome *next = out->next;

		if (out->type == OUT_ERROR)
			fail_msg("refused: %s", out->error.text);
		out->next = NULL;
		*s->mail_last[out->to.loop] = out;
		s->mail_last[out->to.loop] = &out->next;
		out = next;
	}
}

/* The copy of the room has moved on: what it has now stands in the list. */
static void
note_entries(struct schedule *s, struct model_room *room, const struct command *cmd)
{
	const struct roster_state *state = roster_state(room->copy.roster);

	/* The copy knows its last hash only; a batch's inner ones come from the answer of the reader, which
	 * checks them against this list: so they are computed here, entry by entry. */
	if (cmd->type == CMD_POST_MESSAGE) {
		room->head++;
		room->entries[room->head] = (struct model_entry){
		    .L = state->head.L,
		    .message = true,
		    .joined = who(s, room, member_is_joined),
		    .entitled = room->epoch_readers,
		};
	}
	assert_int_equal(room->head, state->head.seq);
}

static void
add_draft(struct schedule *s, struct model_room *room)
{
	const struct roster_state *state = roster_state(room->copy.roster);

	room->head++;
	assert_int_equal(room->head, state->head.seq);
	room->entries[room->head] = (struct model_entry){.L = state->head.L};
	if (state->open && state->epoch_seq == room->head)
		room->epoch_readers = who(s, room, member_is_reader);
}

static size_t
random_open_conn(struct schedule *s, size_t person)
{
	size_t c = person * 2 + below(s, 2);

	return s->conns[c].open ? c : s->conns[c ^ 1].open ? (c ^ 1) : CONNS;
}

static void
apply(struct schedule *s, struct command *cmd)
{
	engine_apply(s->w.engine, cmd);
}

/* One event by a person and, if there is still somebody to do it, the rekey that goes with it. */
static void
post_event(struct schedule *s, size_t person, struct model_room *room, enum event_type type, size_t target)
{
	struct person *p = &s->people[person];
	struct draft d = {0};
	size_t c = random_open_conn(s, person);
	bool create = !room->made;

	if (create)
		draft_create(&s->w, &d, p, &room->copy);
	else if (type == EVENT_INVITE)
		draft_invite(&s->w, &d, p, &room->copy, &s->people[target]);
	else if (type == EVENT_KICK)
		draft_kick(&s->w, &d, p, &room->copy, &s->people[target]);
	else if (type == EVENT_REKEY)
		draft_rekey(&s->w, &d, p, &room->copy);
	else
		draft_simple(&s->w, &d, p, &room->copy, type);
	room->made = true;
	add_draft(s, room);
	s->kicks += type == EVENT_KICK;
	if (type != EVENT_REKEY && member_is_joined(member_of(s, room, person)) &&
	    !roster_state(room->copy.roster)->open) {
		draft_rekey(&s->w, &d, p, &room->copy);
		add_draft(s, room);
	}
	apply(s, draft_command(&s->w, &d, s->conns[c].ref, create ? NULL : &room->copy.room_id));
}

static void
random_post(struct schedule *s)
{
	size_t person = below(s, PEOPLE), other = below(s, PEOPLE);
	struct model_room *room = &s->rooms[below(s, ROOMS)];
	const struct roster_member *me, *them;
	size_t c = random_open_conn(s, person);
	uint64_t dice = below(s, 20);

	if (c == CONNS || room->head + 4 >= SEQ_MAX)
		return;
	if (!room->made) {
		post_event(s, person, room, EVENT_CREATE, 0);
		return;
	}
	me = member_of(s, room, person);
	them = member_of(s, room, other);
	if (me != NULL && me->state == MEMBER_INVITED) {
		post_event(s, person, room, dice < 16 ? EVENT_JOIN : EVENT_DECLINE, 0);
	} else if (!member_is_joined(me)) {
		return;
	} else if (!roster_state(room->copy.roster)->open) {
		post_event(s, person, room, EVENT_REKEY, 0);
	} else if (dice == 0 && me->role != ROLE_OWNER) {
		post_event(s, person, room, EVENT_LEAVE, 0);
	} else if (dice <= 2 && me->role == ROLE_OWNER && other != person && member_is_reader(them)) {
		post_event(s, person, room, EVENT_KICK, other);
	} else if (dice <= 6 && !member_is_reader(them)) {
		post_event(s, person, room, EVENT_INVITE, other);
	} else {
		struct command *cmd = cmd_message(&s->w, s->conns[c].ref, &s->people[person], &room->copy);

		note_entries(s, room, cmd);
		apply(s, cmd);
	}
}

/* Follows a room from where this client stands. */
static void
random_resume(struct schedule *s)
{
	size_t c = below(s, CONNS), r = below(s, ROOMS);
	struct model_room *room = &s->rooms[r];
	struct model_sub *sub = &s->conns[c].subs[r];
	const struct roster_member *me = room->made ? member_of(s, room, person_of(c)) : NULL;

	if (!s->conns[c].open || sub->on || sub->resuming || !member_is_reader(me))
		return;
	if (sub->next == 0 || sub->next > room->head + 1)
		sub->next = 1;
	sub->joined_since = 0;
	apply(s, cmd_resume(&s->w, s->conns[c].ref, &room->copy.room_id, sub->next,
		     sub->next == 1 ? &digest_zero : &room->entries[sub->next - 1].L));
	sub->resuming = true;
}

/* What a client knows of its own stay, for what is owed to it. */
static void
note_joined(struct schedule *s)
{
	for (size_t c = 0; c < CONNS; c++) {
		for (size_t r = 0; r < ROOMS; r++) {
			struct model_sub *sub = &s->conns[c].subs[r];
			bool joined =
			    s->rooms[r].made && member_is_joined(member_of(s, &s->rooms[r], person_of(c)));

			if (!joined || !sub->on)
				sub->joined_since = 0;
			else if (sub->joined_since == 0)
				sub->joined_since = s->rooms[r].head + 1;
		}
	}
}

static void
conn_login(struct schedule *s, size_t c)
{
	s->conns[c].ref.generation++;
	s->conns[c].open = true;
	world_turn(&s->w, cmd_key(&s->w, s->conns[c].ref, &s->people[person_of(c)]));
	assert_answered(&s->w, OUT_LOGIN_OK, s->conns[c].ref);
	take_outcomes(s);
}

static void
conn_close(struct schedule *s, size_t c)
{
	for (size_t r = 0; r < ROOMS; r++) {
		sub_off(&s->conns[c].subs[r]);
		s->conns[c].subs[r].resuming = false;
	}
	s->conns[c].open = false;
	world_turn(&s->w, command_new(CMD_SESSION_CLOSE, s->conns[c].ref, 0, 0));
	take_outcomes(s);
}

static void
start(struct schedule *s, uint64_t seed)
{
	static const char *names[PEOPLE] = {"ann", "ben", "cid", "dot"};
	const struct person *all[PEOPLE];

	memset(s, 0, sizeof *s);
	world_start(&s->w, seed, NULL);
	for (size_t i = 0; i < PEOPLE; i++) {
		person_make(&s->w, &s->people[i], names[i]);
		all[i] = &s->people[i];
	}
	world_accounts(&s->w, all, PEOPLE, NULL);
	for (size_t i = 0; i < PEOPLE; i++)
		world_turn(&s->w, cmd_publish(&s->w, world_conn(0, 60), &s->people[i]));
	outcome_list_free(s->w.out);
	s->w.out = NULL;
	for (uint16_t i = 0; i < WORLD_LOOPS; i++)
		s->mail_last[i] = &s->mail[i];
	for (size_t r = 0; r < ROOMS; r++)
		copy_init(&s->w, &s->rooms[r].copy);
	for (size_t c = 0; c < CONNS; c++) {
		s->conns[c].ref = (struct conn_ref){.loop = (uint16_t)(c % WORLD_LOOPS), .slot = (uint32_t)c};
		conn_login(s, c);
	}
	assert_ok(store_reader_open(s->w.store, &s->reader));
}

static void
settle(struct schedule *s)
{
	for (int i = 0; i < 20000; i++) {
		bool busy = false;

		for (uint16_t loop = 0; loop < WORLD_LOOPS; loop++) {
			busy = busy || s->mail[loop] != NULL;
			step_mail(s, loop);
		}
		for (size_t c = 0; c < CONNS; c++) {
			for (size_t r = 0; r < ROOMS; r++) {
				struct model_sub *sub = &s->conns[c].subs[r];

				busy = busy || sub->reading || sub->queued > 0;
				step_read(s, c, r);
				sub->queued = 0;
				maybe_read(s, sub);
			}
		}
		if (!busy)
			return;
	}
	fail_msg("it does not come to rest");
}

static void
check_end(struct schedule *s)
{
	for (size_t c = 0; c < CONNS; c++) {
		for (size_t r = 0; r < ROOMS; r++) {
			const struct model_sub *sub = &s->conns[c].subs[r];

			if (!sub->on)
				continue;
			if (sub->ended)
				assert_int_equal(sub->next, sub->end_seq + 1);
			else
				assert_int_equal(sub->next, s->rooms[r].head + 1);
		}
	}
}

static void
finish(struct schedule *s)
{
	store_reader_close(s->reader);
	for (size_t c = 0; c < CONNS; c++)
		for (size_t r = 0; r < ROOMS; r++)
			sub_off(&s->conns[c].subs[r]);
	for (uint16_t i = 0; i < WORLD_LOOPS; i++)
		outcome_list_free(s->mail[i]);
	for (size_t r = 0; r < ROOMS; r++)
		copy_fini(&s->rooms[r].copy);
	for (size_t i = 0; i < PEOPLE; i++)
		person_end(&s->people[i]);
	world_end(&s->w);
}

static void
run(struct schedule *s, uint64_t seed, int steps)
{
	start(s, seed);
	for (int i = 0; i < steps; i++) {
		uint64_t dice = below(s, 12);

		if (dice < 3) {
			/* Posts name the time of their turn, so they are made right before it begins. */
			uint64_t posts = 1 + below(s, 4);

			outcome_list_free(s->w.out);
			s->w.out = NULL;
			engine_turn_begin(s->w.engine,
			    (struct now){.mono_ms = s->w.now.mono_ms + 1, .unix_ms = s->w.now.unix_ms + 1});
			for (uint64_t k = 0; k < posts; k++)
				random_post(s);
			random_resume(s);
			s->w.now.mono_ms++;
			s->w.now.unix_ms++;
			world_commit(&s->w);
			take_outcomes(s);
			/* Rekeys of an open room are rationed; there is no need of that here. */
			s->w.now.mono_ms += 60000;
		} else if (dice < 8) {
			step_mail(s, (uint16_t)below(s, WORLD_LOOPS));
		} else if (dice < 10) {
			step_read(s, below(s, CONNS), below(s, ROOMS));
		} else if (dice == 10) {
			struct model_sub *sub = &s->conns[below(s, CONNS)].subs[below(s, ROOMS)];

			sub->queued -= (uint32_t)below(s, sub->queued + 1);
			maybe_read(s, sub);
		} else if (below(s, 8) == 0) {
			size_t c = below(s, CONNS);

			conn_close(s, c);
			conn_login(s, c);
		}
		note_joined(s);
	}
	settle(s);
	check_end(s);
	finish(s);
}

TEST(everybody_gets_everything_once_in_order)
{
	struct schedule *s = malloc(sizeof *s);
	uint64_t received = 0, whole = 0, stubs = 0, reads = 0, kicks = 0;

	assert_non_null(s);
	for (uint64_t seed = 1; seed <= 25; seed++) {
		run(s, seed, 1200);
		received += s->received;
		whole += s->whole;
		stubs += s->stubs;
		reads += s->reads;
		kicks += s->kicks;
	}
	free(s);
	print_message("received %llu entries, %llu messages whole, %llu as stubs, %llu reads, %llu kicks\n",
	    (unsigned long long)received, (unsigned long long)whole, (unsigned long long)stubs,
	    (unsigned long long)reads, (unsigned long long)kicks);
	/* A schedule in which these did not happen would prove little. */
	assert_true(whole > 1000 && stubs > 100 && reads > 100 && kicks > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(everybody_gets_everything_once_in_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
