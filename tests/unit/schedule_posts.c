/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What people do.  The model says of each request what is to come of it: where it is refused nothing changes,
 * where it is not its entries stand in the room's list at once, and are struck again if the commit fails.
 */

#include "schedule.h"

#include "group/loghash.h"
#include "proto/frame.h"

/* ---- the list ---- */

static void
strike(struct model_room *room, uint64_t from)
{
	for (uint64_t seq = from; seq <= room->head; seq++) {
		buf_fini(&room->entries[seq].wire);
		room->entries[seq] = (struct model_entry){0};
	}
	room->head = from - 1;
}

void
room_clear(struct schedule *s, struct model_room *room)
{
	(void)s;
	strike(room, 1);
	copy_fini(&room->copy);
}

/* The copy, made again from the list. */
static void
copy_again(struct schedule *s, struct model_room *room)
{
	copy_fini(&room->copy);
	copy_init(&s->w, &room->copy);
	for (uint64_t seq = 1; seq <= room->head; seq++) {
		const struct model_entry *entry = &room->entries[seq];
		struct roster_message_verdict verdict;
		struct message message;
		struct digest hash;
		struct event event;

		if (entry->message) {
			assert_ok(message_decode(buf_bytes(&entry->wire), &message));
			hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
			assert_ok(roster_take_message(room->copy.roster, &message.header, &hash, true,
			    entry->server_time_ms, &verdict));
			assert_ok(verdict.err);
		} else {
			assert_ok(event_decode(buf_bytes(&entry->wire), &event));
			assert_ok(roster_take_event(
			    room->copy.roster, &event, true, entry->server_time_ms, NULL, NULL));
		}
		assert_true(digest_equal(&roster_state(room->copy.roster)->head.L, &entry->L));
	}
	room->copy.room_id = roster_state(room->copy.roster)->room_id;
}

static void
add_entry(struct schedule *s, struct model_room *room, struct bytes wire, bool message)
{
	const struct roster_state *state = roster_state(room->copy.roster);
	struct model_entry *entry = &room->entries[++room->head];

	assert_int_equal(room->head, state->head.seq);
	*entry = (struct model_entry){
	    .L = state->head.L, .message = message, .server_time_ms = s->w.now.unix_ms + 1};
	assert_ok(buf_append(&entry->wire, wire.data, wire.len));
	if (message) {
		entry->joined = who(s, room, member_is_joined);
		entry->entitled = room->epoch_readers;
	} else if (state->open && state->epoch_seq == room->head) {
		room->epoch_readers = who(s, room, member_is_reader);
	}
}

static struct expected *
expect(struct schedule *s, const struct command *cmd, enum chat_err err, enum outcome_type type)
{
	struct expected *e = &s->expected[s->expected_count++];

	assert_true(s->expected_count <= EXPECTED_MAX);
	*e = (struct expected){.request_id = cmd->request_id, .err = err, .type = type};
	s->seen.refused += err != CHAT_OK;
	return e;
}

static void
expect_posted(struct schedule *s, const struct model_room *room, const struct command *cmd, uint32_t count)
{
	struct expected *e = expect(s, cmd, CHAT_OK, OUT_POSTED);

	e->last_seq = room->head;
	e->count = count;
	e->L = room->entries[room->head].L;
}

static struct expected *
expect_look(struct schedule *s, const struct command *cmd, enum outcome_type type, size_t person,
    const struct model_room *room)
{
	struct expected *e = expect(s, cmd, CHAT_OK, type);

	e->looks_only = true;
	e->person = person;
	e->room = room;
	return e;
}

static size_t
random_open_conn(struct schedule *s, size_t person)
{
	size_t c = person * 2 + below(s, 2);

	return s->conns[c].open ? c : s->conns[c ^ 1].open ? (c ^ 1) : CONNS;
}

/* ---- what is accepted ---- */

/* One event by a person and, mostly, the rekey that goes with it if there is still somebody to do it. */
static void
post_event(struct schedule *s, size_t person, struct model_room *room, enum event_type type, size_t target)
{
	struct person *p = &s->people[person];
	struct draft d = {0};
	struct conn_ref from = s->conns[random_open_conn(s, person)].ref;
	bool create = !room->made;
	struct command *cmd;

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
	add_entry(s, room, buf_bytes(&d.wires[0]), false);
	s->seen.kicks += type == EVENT_KICK;
	if (type != EVENT_REKEY && member_is_joined(member_of(s, room, person)) &&
	    !roster_state(room->copy.roster)->open && below(s, 8) > 0) {
		draft_rekey(&s->w, &d, p, &room->copy);
		add_entry(s, room, buf_bytes(&d.wires[1]), false);
	}
	cmd = draft_command(&s->w, &d, from, create ? NULL : &room->copy.room_id);
	expect_posted(s, room, cmd, cmd->events.count);
	engine_apply(s->w.engine, cmd);
}

static void
post_message(struct schedule *s, size_t person, struct model_room *room)
{
	struct conn_ref from = s->conns[random_open_conn(s, person)].ref;
	struct command *cmd = cmd_message(&s->w, from, &s->people[person], &room->copy);

	add_entry(s, room, cmd->message.wire, true);
	expect_posted(s, room, cmd, 1);
	engine_apply(s->w.engine, cmd);
}

/* ---- what is refused ---- */

static void
refused_message(struct schedule *s, size_t person, struct model_room *room)
{
	const struct person *p = &s->people[person];
	const struct roster_member *me = member_of(s, room, person);
	const struct roster_state *state = roster_state(room->copy.roster);
	struct message_header header = header_next(&s->w, p, &room->copy);
	enum chat_err err = CHAT_OK;
	struct command *cmd;
	struct expected *e;
	uint64_t next = header.counter;

	/* Two things are wrong sometimes: the first in the order of the rules is told. */
	if (below(s, 3) == 0) {
		header.seen_seq = state->head.seq + 1 + below(s, 3);
		err = CHAT_ERR_BAD_SEEN;
	}
	if (below(s, 3) == 0 || !state->open) {
		header.epoch_id.b[below(s, DIGEST_BYTES)] ^= 1;
		err = CHAT_ERR_STALE;
	}
	if (!member_is_joined(me))
		err = CHAT_ERR_NOT_ALLOWED;
	if (below(s, 3) == 0 || err == CHAT_OK) {
		header.counter += 1 + below(s, 2);
		err = CHAT_ERR_OUT_OF_ORDER;
		if (next > 1 && below(s, 2) == 0) {
			header.counter = 1 + below(s, next - 1);
			err = CHAT_ERR_ALREADY;
		}
	}
	if (!member_is_reader(me))
		err = CHAT_ERR_NO_ROOM;
	cmd =
	    cmd_message_of(&s->w, s->conns[random_open_conn(s, person)].ref, p, &room->copy.room_id, &header);
	e = expect(s, cmd, err, OUT_ERROR);
	if (err == CHAT_ERR_OUT_OF_ORDER || err == CHAT_ERR_ALREADY)
		e->number = next;
	engine_apply(s->w.engine, cmd);
}

/* An event with what the rules do not look at before `after`, and that may be signed badly. */
static void
raw_event(struct schedule *s, struct draft *d, const struct person *actor, const struct model_room *room,
    struct event *event, bool bad)
{
	const struct roster_state *state = roster_state(room->copy.roster);

	event->room_id = state->room_id;
	event->actor = actor->identity.member_id;
	event->seen_seq = state->head.seq;
	event->seen_hash = state->head.L;
	event->time_ms = s->w.now.unix_ms;
	assert_ok(event_build(event, &actor->identity.sign, &d->wires[d->count], NULL));
	d->bad[d->count++] = bad;
}

/* One that would be accepted; false: the person may do none of these. */
static bool
good_event(struct schedule *s, struct draft *d, size_t person, struct model_room *room)
{
	const struct roster_member *me = member_of(s, room, person), *them;
	const struct person *p = &s->people[person];
	size_t other = below(s, PEOPLE);

	if (!member_is_joined(me) || !roster_state(room->copy.roster)->open)
		return false;
	them = member_of(s, room, other);
	if (!member_is_reader(them) && random_open_conn(s, other) != CONNS)
		draft_invite(&s->w, d, p, &room->copy, &s->people[other]);
	else if (me->role == ROLE_OWNER && other != person && member_is_reader(them))
		draft_kick(&s->w, d, p, &room->copy, &s->people[other]);
	else
		draft_rekey(&s->w, d, p, &room->copy);
	return true;
}

/* Sometimes there is a good one before it in the batch: that is undone, too. */
static void
refused_event(struct schedule *s, size_t person, struct model_room *room)
{
	const struct person *p = &s->people[person];
	const struct roster_member *me = member_of(s, room, person);
	struct event event = {.type = EVENT_DECLINE};
	struct draft d = {0};
	enum chat_err err = CHAT_ERR_NOT_ALLOWED; /* nobody of those below is invited */
	bool bad = false;
	struct command *cmd;
	struct expected *e;

	if (me != NULL && me->state == MEMBER_INVITED)
		event.type = EVENT_LEAVE;
	roster_begin(room->copy.roster);
	(void)(below(s, 3) > 0 && good_event(s, &d, person, room));
	event.after = *roster_next_after(room->copy.roster, event.type, &p->identity.member_id);
	if (below(s, 2) == 0) {
		bad = true;
		err = CHAT_ERR_BAD_SIGNATURE;
	}
	e = &s->expected[s->expected_count];
	*e = (struct expected){0};
	if (below(s, 3) == 0) {
		event.after.b[0] ^= 1;
		err = CHAT_ERR_CONFLICT;
	}
	if (!member_is_reader(me))
		err = CHAT_ERR_NO_ROOM;
	raw_event(s, &d, p, room, &event, bad);
	event.after.b[0] ^= err == CHAT_ERR_CONFLICT;
	roster_rollback(room->copy.roster);
	cmd = draft_command(&s->w, &d, s->conns[random_open_conn(s, person)].ref, &room->copy.room_id);
	e = expect(s, cmd, err, OUT_ERROR);
	if (err == CHAT_ERR_CONFLICT) {
		e->has_current = true;
		e->current = event.after;
	}
	engine_apply(s->w.engine, cmd);
}

/* ---- at random ---- */

void
random_post(struct schedule *s)
{
	size_t person = below(s, PEOPLE), other = below(s, PEOPLE);
	struct model_room *room = &s->rooms[below(s, ROOMS)];
	const struct roster_member *me, *them;
	uint64_t dice = below(s, 28);

	if (random_open_conn(s, person) == CONNS || room->head + 8 >= SEQ_MAX)
		return;
	if (!room->made) {
		post_event(s, person, room, EVENT_CREATE, 0);
		return;
	}
	me = member_of(s, room, person);
	them = member_of(s, room, other);
	if (dice >= 24) {
		if (dice % 2 == 0)
			refused_message(s, person, room);
		else
			refused_event(s, person, room);
	} else if (me != NULL && me->state == MEMBER_INVITED) {
		post_event(s, person, room, dice < 20 ? EVENT_JOIN : EVENT_DECLINE, 0);
	} else if (!member_is_joined(me)) {
		return;
	} else if (!roster_state(room->copy.roster)->open) {
		post_event(s, person, room, EVENT_REKEY, 0);
	} else if (dice == 0 && me->role != ROLE_OWNER) {
		post_event(s, person, room, EVENT_LEAVE, 0);
	} else if (dice <= 2 && me->role == ROLE_OWNER && other != person && member_is_reader(them)) {
		post_event(s, person, room, EVENT_KICK, other);
	} else if (dice <= 6 && !member_is_reader(them) && random_open_conn(s, other) != CONNS) {
		post_event(s, person, room, EVENT_INVITE, other);
	} else {
		post_message(s, person, room);
	}
}

/* Follows a room from where this client stands. */
void
random_resume(struct schedule *s)
{
	size_t c = below(s, CONNS), r = below(s, ROOMS);
	struct model_room *room = &s->rooms[r];
	struct model_sub *sub = &s->conns[c].subs[r];
	const struct roster_member *me = room->made ? member_of(s, room, person_of(c)) : NULL;
	struct command *cmd;
	struct expected *e;

	if (!s->conns[c].open || sub->on || sub->resuming || !member_is_reader(me))
		return;
	if (sub->next == 0 || sub->next > room->head + 1)
		sub->next = 1;
	sub->joined_since = 0;
	cmd = cmd_resume(&s->w, s->conns[c].ref, &room->copy.room_id, sub->next,
	    sub->next == 1 ? &digest_zero : &room->entries[sub->next - 1].L);
	e = expect_look(s, cmd, OUT_SUBSCRIBED, person_of(c), room);
	e->sub = sub;
	sub->resuming = true;
	engine_apply(s->w.engine, cmd);
}

/* A member wraps the last epoch's key once more for another, or asks for it. */
void
random_rewrap(struct schedule *s)
{
	static const uint8_t wrap[WRAP_BYTES] = {1};
	size_t person = below(s, PEOPLE), other = below(s, PEOPLE);
	struct model_room *room = &s->rooms[below(s, ROOMS)];
	const struct roster_state *state = roster_state(room->copy.roster);
	const struct roster_member *me, *them;
	const struct roster_epoch *epoch;
	struct command *cmd;
	struct rewrap rewrap;
	size_t c = random_open_conn(s, person);

	if (!room->made || c == CONNS || state->epoch == 0)
		return;
	me = member_of(s, room, person);
	them = member_of(s, room, other);
	epoch = roster_epoch_at(room->copy.roster, state->epoch);
	if (!member_is_joined(me)) {
		if (!roster_entitled(room->copy.roster, me, epoch))
			return;
		cmd = command_new(CMD_ASK_REWRAP, s->conns[c].ref, ++s->w.next_id, DIGEST_BYTES);
		cmd->epochs.epoch_ids = (struct digest *)(void *)cmd->body;
		cmd->epochs.epoch_ids[0] = epoch->id;
		cmd->epochs.count = 1;
		expect_look(s, cmd, OUT_OK, person, room)->epoch_id = epoch->id;
	} else {
		if (them == NULL)
			return;
		cmd = command_new(CMD_POST_REWRAPS, s->conns[c].ref, ++s->w.next_id,
		    sizeof(struct command_event) + REWRAP_BYTES);
		rewrap = (struct rewrap){.epoch_id = epoch->id,
		    .recipient = them->id,
		    .card_hash = them->card_hash,
		    .wrapper = me->id,
		    .wrap = BYTES_ARRAY(wrap)};
		rewrap_build(
		    &s->people[person].identity.sign, &rewrap, cmd->body + sizeof(struct command_event));
		cmd->rewraps.rewraps = (struct command_event *)(void *)cmd->body;
		cmd->rewraps.count = 1;
		cmd->rewraps.rewraps[0].wire = BYTES(cmd->body + sizeof(struct command_event), REWRAP_BYTES);
		cmd->rewraps.rewraps[0].signatures_good = true;
		if (roster_entitled(room->copy.roster, them, epoch)) {
			expect(s, cmd, CHAT_OK, OUT_OK);
			s->rewrapped |= (uint8_t)(1u << other);
			s->seen.rewraps++;
		} else {
			expect(s, cmd, CHAT_ERR_NOT_ALLOWED, OUT_ERROR);
		}
	}
	cmd->room_id = room->copy.room_id;
	engine_apply(s->w.engine, cmd);
}

/* ---- what came of it ---- */

static struct expected *
find_expected(struct schedule *s, uint64_t request_id)
{
	for (size_t i = 0; request_id != 0 && i < s->expected_count; i++)
		if (s->expected[i].request_id == request_id)
			return &s->expected[i];
	return NULL;
}

/* Of what only looks, by what the turn has left. */
static enum chat_err
judge_look(const struct schedule *s, const struct expected *e)
{
	const struct model_room *room = e->room;
	const struct roster_member *me = member_of(s, room, e->person);

	if (!room->made || !member_is_reader(me))
		return CHAT_ERR_NO_ROOM;
	if (e->sub == NULL &&
	    !roster_entitled(room->copy.roster, me, roster_epoch(room->copy.roster, &e->epoch_id)))
		return CHAT_ERR_NOT_ALLOWED;
	return CHAT_OK;
}

static void
check_error(struct schedule *s, struct expected *e, const struct outcome *out, bool failed)
{
	if (e->looks_only) {
		assert_err(out->error.err, e->err);
		if (e->sub != NULL)
			e->sub->resuming = false;
	} else if (failed) {
		assert_err(out->error.err, CHAT_ERR_STORE_UNAVAILABLE);
		s->seen.unknown++;
	} else {
		assert_err(out->error.err, e->err);
		assert_int_equal(out->error.has_current, e->has_current);
		assert_true(digest_equal(&out->error.current, &e->current));
		assert_int_equal(out->error.number, e->number);
	}
}

static void
check_frame(struct schedule *s, const struct outcome *out)
{
	const Chat__V1__ServerFrame *frame = NULL;
	struct model_conn *conn = conn_of(s, out->to);
	struct arena arena;

	frame_arena_init(&arena);
	assert_ok(frame_decode_server(
	    BYTES(out->frame->data + FRAME_HEADER_BYTES, out->frame->len - FRAME_HEADER_BYTES), &arena,
	    &frame));
	if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH && conn != NULL)
		assert_true(s->rewrapped & 1u << person_of((size_t)(conn - s->conns)));
	arena_fini(&arena);
}

/* A turn that failed leaves the rooms as they were. */
static void
end_turn(struct schedule *s, bool failed)
{
	for (size_t r = 0; r < ROOMS; r++) {
		struct model_room *room = &s->rooms[r];

		if (failed && room->head != room->stored_head) {
			strike(room, room->stored_head + 1);
			room->epoch_readers = room->stored_epoch_readers;
			room->made = room->head > 0;
			copy_again(s, room);
		}
		room->stored_head = room->head;
		room->stored_epoch_readers = room->epoch_readers;
	}
	if (failed)
		s->rewrapped = 0;
}

void
check_answers(struct schedule *s, bool failed)
{
	end_turn(s, failed);
	for (size_t i = 0; i < s->expected_count; i++)
		if (s->expected[i].looks_only)
			s->expected[i].err = judge_look(s, &s->expected[i]);
	for (const struct outcome *out = s->w.out; out != NULL; out = out->next) {
		struct expected *e = find_expected(s, out->request_id);

		if (out->type == OUT_FRAME)
			check_frame(s, out);
		if (out->type == OUT_ERROR) {
			if (e == NULL)
				fail_msg("refused, and nobody asked: %s", out->error.text);
			else
				check_error(s, e, out, failed);
		} else if (e != NULL) {
			assert_ok(e->err);
			assert_int_equal(out->type, e->type);
			assert_true(!failed || e->looks_only);
		}
		if (e != NULL) {
			assert_false(e->answered);
			e->answered = true;
		}
		if (out->type == OUT_POSTED && e != NULL) {
			assert_int_equal(out->posted.count, e->count);
			assert_int_equal(out->posted.first_seq + out->posted.count - 1, e->last_seq);
			assert_true(digest_equal(&out->posted.hash, &e->L));
		}
	}
	for (size_t i = 0; i < s->expected_count; i++)
		assert_true(s->expected[i].answered);
	s->expected_count = 0;
	s->rewrapped = 0;
}

/* ---- the store's word ---- */

struct log_check {
	const struct model_room *room;
	uint64_t seq;
};

static bool
check_entry(void *ctx, const struct store_entry *entry)
{
	struct log_check *check = ctx;
	const struct model_entry *want = &check->room->entries[++check->seq];

	assert_true(check->seq <= check->room->head);
	assert_int_equal(entry->seq, check->seq);
	assert_int_equal(entry->kind, want->message ? ENTRY_MESSAGE : ENTRY_EVENT);
	assert_int_equal(entry->server_time_ms, want->server_time_ms);
	assert_bytes_equal(entry->wire, buf_bytes(&want->wire));
	assert_true(digest_equal(&entry->log_hash, &want->L));
	return true;
}

void
check_logs(struct schedule *s)
{
	for (size_t r = 0; r < ROOMS; r++) {
		struct log_check check = {.room = &s->rooms[r]};
		struct store_room stored;

		if (!s->rooms[r].made)
			continue;
		assert_ok(store_room_by_id(s->w.store, &s->rooms[r].copy.room_id, &stored));
		assert_ok(store_reader_range(
		    s->reader, stored.room_no, 1, s->rooms[r].head + 1, check_entry, &check));
		assert_int_equal(check.seq, s->rooms[r].head);
	}
}
