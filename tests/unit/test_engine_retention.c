/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Retention: what is not kept goes, step by step, and nothing else does; who reads what is left can still
 * compute every hash.
 */

#include "engine_people.h"

#include "base/log.h"
#include "fault_vfs.h"
#include "group/newcomer.h"
#include "proto/wire.h"
#include "server/read_run.h"

#define DAY_MS    UINT64_C(86400000)
#define MINUTE_MS 60000
#define STEP_MAX  256 /* entries that one step passes, and as many more as were posted */

static struct command *
tick(void)
{
	return command_new(CMD_TICK, (struct conn_ref){0}, 0, 0);
}

/* The time goes on to the next deadline within `ms`; false: there is none. */
static bool
go_on(struct people *t, uint64_t until_ms)
{
	uint64_t due_ms = engine_next_deadline_ms(t->w.engine);

	if (due_ms > until_ms)
		return false;
	if (due_ms > t->w.now.mono_ms) {
		t->w.now.unix_ms += due_ms - t->w.now.mono_ms;
		t->w.now.mono_ms = due_ms;
	}
	world_turn(&t->w, tick());
	engine_upkeep(t->w.engine);
	return true;
}

/* A minute goes by; how many turns that took. */
static unsigned
minute(struct people *t)
{
	uint64_t until_ms = t->w.now.mono_ms + MINUTE_MS;
	unsigned turns = 0;

	for (; go_on(t, until_ms); turns++)
		assert_true(turns < 100000);
	return turns;
}

/* In turns of up to 50 messages. */
static void
say(struct people *t, struct copy *c, unsigned count)
{
	struct command *cmds[50];

	while (count > 0) {
		unsigned n = count < ARRAY_LEN(cmds) ? count : ARRAY_LEN(cmds);

		for (unsigned i = 0; i < n; i++)
			cmds[i] = cmd_message(&t->w, ALICE, &t->alice, c);
		world_begin(&t->w);
		for (unsigned i = 0; i < n; i++)
			engine_apply(t->w.engine, cmds[i]);
		world_commit(&t->w);
		assert_answered(&t->w, OUT_POSTED, ALICE);
		assert_null(find_out(t->w.out, OUT_ERROR, ALICE));
		count -= n;
	}
}

static void
set_limits(struct people *t, struct copy *c, uint32_t days, uint64_t entries)
{
	struct event event = {.type = EVENT_SETTINGS};
	struct draft d = {0};

	event.after = roster_state(c->roster)->settings_after;
	event.settings.keep_days = days;
	event.settings.keep_entries = entries;
	draft_event(&t->w, &d, &t->alice, c, &event);
	world_turn(&t->w, draft_command(&t->w, &d, ALICE, &c->room_id));
	assert_answered(&t->w, OUT_POSTED, ALICE);
}

static void
set_server_limits(struct people *t, uint32_t days, uint64_t entries)
{
	t->w.config.history_days = days;
	t->w.config.history_entries = entries;
	engine_reconfigure(t->w.engine, &t->w.config);
}

static uint64_t
head_seq(const struct copy *c)
{
	return roster_state(c->roster)->head.seq;
}

/* What the store says; and Resumed has to say the same. */
static uint64_t
whole_from(struct people *t, const struct copy *c)
{
	struct store_room stored;

	assert_ok(store_room_by_id(t->w.store, &c->room_id, &stored));
	world_turn(&t->w, cmd_resume(&t->w, ALICE, &c->room_id, 1, &digest_zero));
	assert_int_equal(assert_answered(&t->w, OUT_SUBSCRIBED, ALICE)->subscribed.oldest_whole_seq,
	    stored.oldest_whole_seq);
	return stored.oldest_whole_seq;
}

/* ---- reading what is left ---- */

struct reading {
	struct store_reader *reader;
	struct read_scratch scratch;
};

static void
reading_start(struct reading *r, struct people *t)
{
	*r = (struct reading){0};
	assert_ok(store_reader_open(t->w.store, &r->reader));
	assert_ok(read_scratch_init(&r->scratch));
}

static void
reading_end(struct reading *r)
{
	read_scratch_fini(&r->scratch);
	store_reader_close(r->reader);
}

/* One entry, as a client takes it.  True: it was a stub. */
static bool
take_entry(struct roster *mine, const Chat__V1__Entry *entry)
{
	struct roster_message_verdict verdict;
	struct roster_refusal refusal = {0};
	struct message message;
	struct digest hash;
	struct event event;

	assert_int_equal(entry->seq, roster_state(mine)->head.seq + 1);
	if (entry->wire.len == 0) {
		assert_int_equal(entry->kind, ENTRY_MESSAGE);
		assert_true(digest_from_bytes(wire_bytes(entry->entry_hash), &hash));
		roster_take_stub(mine, entry->server_time_ms, &hash);
		return true;
	}
	if (entry->kind == ENTRY_EVENT) {
		assert_ok(event_decode(wire_bytes(entry->wire), &event));
		if (roster_take_event(mine, &event, true, entry->server_time_ms, NULL, &refusal) != CHAT_OK)
			fail_msg("event %ju: %s", (uintmax_t)entry->seq, refusal.why);
		return false;
	}
	assert_ok(message_decode(wire_bytes(entry->wire), &message));
	hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	assert_ok(roster_take_message(mine, &message.header, &hash, true, entry->server_time_ms, &verdict));
	assert_ok(verdict.err);
	return false;
}

/* A request of a session that a reader answers; the arena is begun. */
static const Chat__V1__ServerFrame *
ask(struct people *t, struct reading *r, struct command *cmd, struct arena *arena, struct read_result **ret)
{
	const struct outcome *out;
	const Chat__V1__ServerFrame *frame = NULL;
	struct conn_ref from = cmd->from;

	world_turn(&t->w, cmd);
	out = assert_answered(&t->w, OUT_READ, from);
	*ret = read_run(r->reader, out->read, &r->scratch);
	assert_ok((*ret)->err);
	frame_arena_init(arena);
	assert_ok(frame_decode_server(
	    BYTES((*ret)->frames->data + FRAME_HEADER_BYTES, (*ret)->frames->len - FRAME_HEADER_BYTES), arena,
	    &frame));
	return frame;
}

/* Somebody whose copy ends at some place reads on to the end; how many stubs that were. */
static uint64_t
read_on(struct people *t, const struct copy *c, struct roster *mine)
{
	const struct seq_range all = {.from = 1, .to = UINT64_MAX};
	struct view *view = view_new(&all, 1);
	uint64_t stubs = 0;
	struct reading r;

	reading_start(&r, t);
	while (roster_state(mine)->head.seq < head_seq(c)) {
		struct store_room stored;
		struct read_request request = {.kind = READ_RANGE,
		    .room_id = c->room_id,
		    .member_id = t->bob.identity.member_id,
		    .view = view,
		    .from_seq = roster_state(mine)->head.seq + 1,
		    .to_seq = head_seq(c)};
		struct read_result *result;
		uint32_t at = 0;

		assert_ok(store_room_by_id(t->w.store, &c->room_id, &stored));
		request.room_no = stored.room_no;
		result = read_run(r.reader, &request, &r.scratch);
		assert_ok(result->err);
		assert_true(result->count > 0);
		while (at < result->frames->len) {
			const Chat__V1__ServerFrame *frame = NULL;
			uint32_t len = be32_get(result->frames->data + at);
			struct arena arena;

			frame_arena_init(&arena);
			assert_ok(frame_decode_server(
			    BYTES(result->frames->data + at + FRAME_HEADER_BYTES, len), &arena, &frame));
			if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ENTRY)
				stubs += take_entry(mine, frame->entry);
			arena_fini(&arena);
			at += FRAME_HEADER_BYTES + len;
		}
		read_result_free(result);
	}
	assert_true(digest_equal(&roster_state(mine)->head.L, &roster_state(c->roster)->head.L));
	view_unref(view);
	reading_end(&r);
	return stubs;
}

/* From the first entry on, as a new device of a member would. */
static uint64_t
read_all(struct people *t, const struct copy *c)
{
	struct roster *mine = roster_new(store_realm(t->w.store), false);
	uint64_t stubs = read_on(t, c, mine);

	roster_free(mine);
	return stubs;
}

/* ---- limits ---- */

TEST(without_limits_there_is_nothing_to_do)
{
	struct people t;
	struct copy c;

	people_start(&t, 1, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 300);
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	/* Nor after a restart, once the rooms' own settings have been looked at. */
	world_restart(&t.w);
	people_accounts(&t);
	assert_true(minute(&t) > 0);
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	people_login(&t);
	assert_int_equal(whole_from(&t, &c), 1);
	assert_int_equal(read_all(&t, &c), 0);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_room_whose_settings_change_tightens_at_once)
{
	struct people t;
	struct copy c;

	people_start(&t, 2, NULL);
	people_login(&t);
	room_with_bob(&t, &c); /* 1 .. 3 */
	say(&t, &c, 300);
	set_limits(&t, &c, 0, 100); /* 304 */
	assert_true(engine_next_deadline_ms(t.w.engine) <= t.w.now.mono_ms);
	assert_int_equal(whole_from(&t, &c), 1);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 205);
	assert_int_equal(read_all(&t, &c), 204 - 3);
	/* Tighter, and then wider: what is gone stays gone. */
	set_limits(&t, &c, 0, 10);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 296);
	set_limits(&t, &c, 0, 1000);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 296);
	assert_int_equal(read_all(&t, &c), 295 - 3);
	/* No limit any more, of any room: nothing has to be done for that. */
	set_limits(&t, &c, 0, 0);
	minute(&t);
	assert_true(engine_next_deadline_ms(t.w.engine) == NEVER_MS);
	say(&t, &c, 2000);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 296);
	copy_fini(&c);
	people_end(&t);
}

TEST(the_tighter_of_the_two_limits_holds)
{
	static const struct {
		uint64_t server, room, kept;
	} steps[] = {
	    {0, 200, 200}, {150, 200, 150}, {150, 100, 100}, {50, 100, 50}, {50, 0, 50}, {20, 0, 20}};
	struct people t;
	struct copy c;

	people_start(&t, 3, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 297);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		uint64_t head;

		set_server_limits(&t, 0, steps[i].server);
		if (roster_state(c.roster)->keep_entries != steps[i].room)
			set_limits(&t, &c, 0, steps[i].room);
		head = head_seq(&c);
		minute(&t);
		assert_int_equal(whole_from(&t, &c), head - steps[i].kept + 1);
		read_all(&t, &c);
	}
	copy_fini(&c);
	people_end(&t);
}

TEST(messages_grow_old)
{
	struct people t;
	struct copy c;

	people_start(&t, 4, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	for (unsigned day = 0; day < 10; day++) {
		say(&t, &c, 10); /* 4 + day * 10 on */
		t.w.now.unix_ms += DAY_MS;
		t.w.now.mono_ms += DAY_MS;
	}
	set_server_limits(&t, 7, 0);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 4 + 40);
	/* Nobody says anything: the hours alone do it. */
	t.w.now.unix_ms += DAY_MS;
	t.w.now.mono_ms += DAY_MS;
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 4 + 50);
	set_limits(&t, &c, 3, 0);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 4 + 90);
	t.w.now.unix_ms += 30 * DAY_MS;
	t.w.now.mono_ms += 30 * DAY_MS;
	minute(&t);
	assert_int_equal(whole_from(&t, &c), head_seq(&c) + 1);
	say(&t, &c, 3);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), head_seq(&c) - 2);
	assert_int_equal(read_all(&t, &c), 100);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_clock_that_was_wrong_for_a_while_takes_nothing_that_is_young)
{
	struct people t;
	struct copy c;

	people_start(&t, 5, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 50);
	t.w.now.unix_ms -= 5000 * DAY_MS; /* 54 on: as if the machine did not know the year */
	say(&t, &c, 100);
	t.w.now.unix_ms += 5000 * DAY_MS;
	say(&t, &c, 50);
	set_server_limits(&t, 7, 0);
	minute(&t);
	assert_int_equal(whole_from(&t, &c), 1);
	copy_fini(&c);
	people_end(&t);
}

TEST(a_room_that_goes_on_is_kept_near_its_limit)
{
	struct people t;
	struct copy c;

	people_start(&t, 6, NULL);
	people_login(&t);
	set_server_limits(&t, 0, 200);
	minute(&t);
	room_with_bob(&t, &c);
	for (unsigned i = 0; i < 2000; i++) {
		struct store_room stored;

		say(&t, &c, 1);
		while (go_on(&t, t.w.now.mono_ms))
			;
		assert_ok(store_room_by_id(t.w.store, &c.room_id, &stored));
		assert_true(stored.head.seq - stored.oldest_whole_seq < 200 + 64 + 20);
	}
	assert_true(read_all(&t, &c) > 1700);
	copy_fini(&c);
	people_end(&t);
}

/* ---- steps ---- */

TEST(steps_are_short_and_in_nobodys_way)
{
	struct people t;
	struct copy rooms[3];
	uint64_t last[ARRAY_LEN(rooms)];
	unsigned turns = 0;

	people_start(&t, 7, NULL);
	people_login(&t);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		room_with_bob(&t, &rooms[i]);
		say(&t, &rooms[i], 1500);
		last[i] = 1;
	}
	set_server_limits(&t, 0, 1);
	while (engine_next_deadline_ms(t.w.engine) < t.w.now.mono_ms + MINUTE_MS) {
		struct command *cmd = cmd_message(&t.w, ALICE, &t.alice, &rooms[turns % 3]);
		unsigned moved = 0;

		t.w.now.mono_ms = engine_next_deadline_ms(t.w.engine);
		world_begin(&t.w);
		engine_apply(t.w.engine, tick());
		engine_apply(t.w.engine, cmd);
		world_commit(&t.w);
		engine_upkeep(t.w.engine);
		assert_answered(&t.w, OUT_POSTED, ALICE);
		for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
			struct store_room stored;

			assert_ok(store_room_by_id(t.w.store, &rooms[i].room_id, &stored));
			assert_true(stored.oldest_whole_seq - last[i] <= STEP_MAX + 2);
			moved += stored.oldest_whole_seq != last[i];
			last[i] = stored.oldest_whole_seq;
		}
		assert_true(moved <= 1);
		assert_true(turns++ < 1000);
	}
	assert_true(turns > 10);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		assert_true(last[i] > 1500);
		read_all(&t, &rooms[i]);
		copy_fini(&rooms[i]);
	}
	people_end(&t);
}

TEST(rooms_that_nobody_uses_are_found_after_a_restart)
{
	enum { ROOMS = 50 };
	struct people t;
	struct copy rooms[ROOMS];

	people_start(&t, 8, NULL);
	people_login(&t);
	for (unsigned i = 0; i < ROOMS; i++) {
		room_with_bob(&t, &rooms[i]);
		say(&t, &rooms[i], 20); /* 4 .. 23 */
		if (i % 3 == 0)
			set_limits(&t, &rooms[i], 0, 5);
		if (i % 6 == 0)
			set_limits(&t, &rooms[i], 2, 0);
	}
	world_restart(&t.w);
	people_accounts(&t);
	minute(&t);
	t.w.now.unix_ms += 3 * DAY_MS;
	t.w.now.mono_ms += 3 * DAY_MS;
	minute(&t);
	people_login(&t);
	for (unsigned i = 0; i < ROOMS; i++) {
		uint64_t head = head_seq(&rooms[i]);

		assert_int_equal(whole_from(&t, &rooms[i]), i % 6 == 0   ? head + 1
							    : i % 3 == 0 ? head - 4
									 : 1);
		read_all(&t, &rooms[i]);
		copy_fini(&rooms[i]);
	}
	people_end(&t);
}

TEST(a_disk_that_is_full_makes_it_wait)
{
	static const struct store_options options = {.vfs = "fault"};
	struct people t;
	struct copy c;

	fault_vfs_register();
	(void)fault_disarm();
	people_start(&t, 9, &options);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 300);
	set_server_limits(&t, 0, 10);
	fault_arm(FAULT_WRITE, 0);
	assert_true(go_on(&t, t.w.now.mono_ms + 1000));
	assert_true(engine_is_cautious(t.w.engine));
	assert_false(go_on(&t, t.w.now.mono_ms + 1000)); /* not at once again */
	for (unsigned i = 0; i < 5; i++)
		minute(&t);
	assert_true(fault_disarm());
	assert_int_equal(whole_from(&t, &c), 1);
	say(&t, &c, 1); /* which works again */
	for (unsigned i = 0; i < 11; i++)
		minute(&t);
	assert_int_equal(whole_from(&t, &c), head_seq(&c) - 9);
	read_all(&t, &c);
	copy_fini(&c);
	people_end(&t);
}

/* ---- who reads it ---- */

TEST(a_resumer_goes_on_from_wherever_it_was)
{
	struct people t;
	struct roster *mine[8];
	struct copy c;

	people_start(&t, 10, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	for (size_t i = 0; i < ARRAY_LEN(mine); i++) {
		mine[i] = roster_new(store_realm(t.w.store), false);
		read_on(&t, &c, mine[i]);
		say(&t, &c, 37);
	}
	set_limits(&t, &c, 0, 50);
	minute(&t);
	for (size_t i = 0; i < ARRAY_LEN(mine); i++) {
		const struct log_head head = roster_state(mine[i])->head;
		uint64_t from = whole_from(&t, &c);

		/* The server finds the hash of its place among the stubs. */
		world_turn(&t.w, cmd_resume(&t.w, BOB, &c.room_id, head.seq + 1, &head.L));
		assert_answered(&t.w, OUT_SUBSCRIBED, BOB);
		assert_int_equal(read_on(&t, &c, mine[i]), head.seq < from ? from - 1 - head.seq : 0);
		roster_free(mine[i]);
	}
	copy_fini(&c);
	people_end(&t);
}

/* Carol is invited by somebody who had seen the log up to seen_seq. */
static void
invite_carol(struct people *t, struct copy *c, uint64_t seen_seq, const struct digest *seen_hash)
{
	struct event event = {.type = EVENT_INVITE, .room_id = c->room_id}, decoded;
	struct draft d = {.count = 1};

	event.actor = t->alice.identity.member_id;
	event.after = *roster_next_after(c->roster, EVENT_INVITE, &t->carol.identity.member_id);
	event.seen_seq = seen_seq;
	event.seen_hash = *seen_hash;
	event.card_wire = buf_bytes(&t->carol.card);
	assert_ok(event_build(&event, &t->alice.identity.sign, &d.wires[0], NULL));
	assert_ok(event_decode(buf_bytes(&d.wires[0]), &decoded));
	assert_ok(roster_post_event(c->roster,
	    &(const struct roster_post){
		.event = &decoded, .server_time_ms = t->w.now.unix_ms + 1, .signatures_good = true},
	    NULL, NULL));
	world_turn(&t->w, draft_command(&t->w, &d, ALICE, &c->room_id));
	assert_answered(&t->w, OUT_POSTED, ALICE);
}

static struct command *
forward(struct people *t, const struct copy *c, enum command_type type, uint64_t from_seq)
{
	struct command *cmd = command_new(type, CAROL, ++t->w.next_id, 0);

	cmd->room_id = c->room_id;
	cmd->forward.from_seq = from_seq;
	return cmd;
}

TEST(a_newcomer_checks_what_was_before_it)
{
	struct people t;
	struct copy c;
	struct log_head seen;
	struct reading r;
	struct arena roster_arena, prefix_arena;
	struct read_result *roster_result, *prefix_result;
	const Chat__V1__RosterEvents *events;
	const Chat__V1__Prefix *prefix;
	struct newcomer_event *list;
	struct newcomer_stub *stubs;
	struct event *decoded;
	struct log_head head;

	people_start(&t, 11, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 40);
	seen = roster_state(c.roster)->head;
	set_limits(&t, &c, 0, 30);
	say(&t, &c, 60);
	minute(&t);
	assert_true(
	    whole_from(&t, &c) > seen.seq + 10); /* gone: what the inviter saw last, and some behind it */
	invite_carol(&t, &c, seen.seq, &seen.L);

	reading_start(&r, &t);
	events =
	    ask(&t, &r, forward(&t, &c, CMD_GET_ROSTER, 1), &roster_arena, &roster_result)->roster_events;
	prefix = ask(&t, &r, forward(&t, &c, CMD_GET_PREFIX, 0), &prefix_arena, &prefix_result)->prefix;
	assert_false(events->more || prefix->more);
	list = calloc(events->n_entry, sizeof *list);
	decoded = calloc(events->n_entry, sizeof *decoded);
	stubs = calloc(prefix->n_stub, sizeof *stubs);
	for (size_t i = 0; i < events->n_entry; i++) {
		assert_ok(event_decode(wire_bytes(events->entry[i]->wire), &decoded[i]));
		list[i] = (struct newcomer_event){events->entry[i]->seq, &decoded[i]};
	}
	for (size_t i = 0; i < prefix->n_stub; i++) {
		stubs[i].seq = prefix->stub[i]->seq;
		stubs[i].server_time_ms = prefix->stub[i]->server_time_ms;
		assert_true(digest_from_bytes(wire_bytes(prefix->stub[i]->entry_hash), &stubs[i].entry_hash));
	}
	assert_ok(newcomer_check(
	    list, events->n_entry, wire_bytes(prefix->preimage), stubs, prefix->n_stub, &head));
	assert_true(log_head_equal(&head, &roster_state(c.roster)->head));
	free(list);
	free(decoded);
	free(stubs);
	read_result_free(roster_result);
	read_result_free(prefix_result);
	arena_fini(&roster_arena);
	arena_fini(&prefix_arena);
	reading_end(&r);
	copy_fini(&c);
	people_end(&t);
}

/* ---- space ---- */

static void
rekey(struct people *t, struct copy *c)
{
	struct draft d = {0};

	draft_rekey(&t->w, &d, &t->alice, c);
	world_turn(&t->w, draft_command(&t->w, &d, ALICE, &c->room_id));
	assert_answered(&t->w, OUT_POSTED, ALICE);
	t->w.now.mono_ms += MINUTE_MS; /* one voluntary rekey in so long */
}

/* A round of talk in a room with much coming and going, and time for retention. */
static void
churn(struct people *t, struct copy *c, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		say(t, c, 50);
		rekey(t, c);
		minute(t);
		store_maintain(t->w.store);
	}
}

static struct store_status
status_of(struct people *t)
{
	struct store_status status;

	assert_ok(store_status(t->w.store, &status));
	return status;
}

static uint64_t
used_bytes(struct people *t)
{
	struct store_status status = status_of(t);

	return status.database_bytes - status.free_bytes;
}

/* Of a removed message its stub stays, 120 bytes with its part of the index; of a rekey its event, and none
 * of the wraps. */
TEST(the_database_does_not_grow_by_what_is_removed)
{
	const uint64_t stubs = 100 * 50 * 130, rekeys = 100 * 900;
	struct people t;
	struct copy c;
	uint64_t all, some;

	people_start(&t, 12, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	all = used_bytes(&t);
	churn(&t, &c, 100);
	all = used_bytes(&t) - all;
	assert_int_equal(whole_from(&t, &c), 1);
	assert_true(all > 2 * (stubs + rekeys)); /* or the limits here say nothing */
	set_server_limits(&t, 0, 200);
	churn(&t, &c, 40);
	some = used_bytes(&t);
	churn(&t, &c, 100);
	some = used_bytes(&t) - some;
	if (some > stubs + rekeys)
		fail_msg("grown by %ju bytes, and by %ju without a limit", (uintmax_t)some, (uintmax_t)all);
	/* Free pages are used again: the file is no larger than what is in it and what may stay free. */
	assert_true(status_of(&t).database_bytes < used_bytes(&t) + 2 * 1024 * 1024 + 4096);
	assert_true(head_seq(&c) + 1 - whole_from(&t, &c) < 300);
	read_all(&t, &c);
	copy_fini(&c);
	people_end(&t);
}

TEST(free_space_goes_back_to_the_file_system)
{
	struct people t;
	struct copy c;
	struct store_status full, less;

	people_start(&t, 13, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 16000);
	full = status_of(&t);
	assert_true(full.database_bytes > 5 * 1024 * 1024);
	set_server_limits(&t, 0, 100);
	minute(&t);
	minute(&t);
	less = status_of(&t);
	assert_true(less.free_bytes <= 2 * 1024 * 1024);
	assert_true(less.database_bytes < full.database_bytes * 2 / 3);
	assert_int_equal(whole_from(&t, &c), head_seq(&c) - 99);
	assert_int_equal(read_all(&t, &c), head_seq(&c) - 3 - 100);
	copy_fini(&c);
	people_end(&t);
}

/* ---- what chatctl shows ---- */

static void
assert_shown(struct people *t, enum status_what what, const char *line)
{
	struct command *cmd = command_new(CMD_STATUS, (struct conn_ref){0}, 0, 0);
	const struct outcome *out;
	char *text;

	cmd->status.what = what;
	world_turn(&t->w, cmd);
	out = find_out(t->w.out, OUT_STATUS, (struct conn_ref){0});
	assert_non_null(out);
	assert_ok(out->status.err);
	text = strndup((const char *)out->status.text.data, out->status.text.len);
	if (strstr(text, line) == NULL)
		fail_msg("no \"%s\" in \"%s\"", line, text);
	free(text);
}

TEST(status)
{
	struct people t;
	struct copy c;

	people_start(&t, 14, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	say(&t, &c, 1000);
	assert_shown(&t, STATUS_SUMMARY,
	    "history_days=0\nhistory_entries=0\nrooms_with_limits=0\n"
	    "messages_removed=0\nretention=off\n");
	set_limits(&t, &c, 7, 100);
	assert_true(go_on(&t, t.w.now.mono_ms + 1000));
	assert_shown(&t, STATUS_SUMMARY, " from 257 to 904\n");
	minute(&t);
	assert_shown(&t, STATUS_SUMMARY, "rooms_with_limits=1\nmessages_removed=901\nretention=idle\n");
	assert_shown(&t, STATUS_ROOMS, " keep_days=7 keep_entries=100\n");
	assert_shown(&t, STATUS_ROOMS, " entries=1004 whole_from=905 ");
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_limits_there_is_nothing_to_do),
	    cmocka_unit_test(a_room_whose_settings_change_tightens_at_once),
	    cmocka_unit_test(the_tighter_of_the_two_limits_holds),
	    cmocka_unit_test(messages_grow_old),
	    cmocka_unit_test(a_clock_that_was_wrong_for_a_while_takes_nothing_that_is_young),
	    cmocka_unit_test(a_room_that_goes_on_is_kept_near_its_limit),
	    cmocka_unit_test(steps_are_short_and_in_nobodys_way),
	    cmocka_unit_test(rooms_that_nobody_uses_are_found_after_a_restart),
	    cmocka_unit_test(a_disk_that_is_full_makes_it_wait),
	    cmocka_unit_test(a_resumer_goes_on_from_wherever_it_was),
	    cmocka_unit_test(a_newcomer_checks_what_was_before_it),
	    cmocka_unit_test(the_database_does_not_grow_by_what_is_removed),
	    cmocka_unit_test(free_space_goes_back_to_the_file_system),
	    cmocka_unit_test(status),
	};

	log_set_level(LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
