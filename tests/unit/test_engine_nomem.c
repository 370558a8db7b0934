/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The engine where memory runs out, once, at each place in turn: whoever asked is answered or its connection
 * is closed, whoever follows a room hears of each number or is closed, and what the engine remembers is what
 * is stored.
 */

#include "engine_people.h"
#include "failalloc.h"

#define CONNS        5
#define REQUESTS     24
#define FAILURES_MAX 3000

/* What each connection heard. */
struct heard {
	struct conn_ref ref;
	bool closed;
	bool follows;
	bool ended;
	uint64_t seq; /* the last number of the room that it knows of */
};

struct scene {
	struct people t;
	struct copy c;
	struct heard conns[CONNS];
	uint64_t waiting[REQUESTS]; /* ids of requests that are not answered */
	size_t owner[REQUESTS];
	size_t waiting_count;
	struct command *commands[REQUESTS];
	size_t command_count;
};

static size_t
conn_index(const struct scene *s, struct conn_ref ref)
{
	for (size_t i = 0; i < CONNS; i++)
		if (s->conns[i].ref.loop == ref.loop && s->conns[i].ref.slot == ref.slot)
			return i;
	return CONNS;
}

static void
add(struct scene *s, struct command *cmd)
{
	assert_true(s->command_count < REQUESTS);
	s->commands[s->command_count++] = cmd;
	if (cmd->request_id == 0)
		return;
	s->waiting[s->waiting_count] = cmd->request_id;
	s->owner[s->waiting_count++] = conn_index(s, cmd->from);
}

static void
answered(struct scene *s, uint64_t request_id)
{
	for (size_t i = 0; request_id != 0 && i < s->waiting_count; i++)
		if (s->waiting[i] == request_id)
			s->waiting[i] = 0;
}

static void
hear(struct scene *s)
{
	for (const struct outcome *out = s->t.w.out; out != NULL; out = out->next) {
		size_t i = out->type == OUT_ENTRIES ? CONNS : conn_index(s, out->to);

		if (out->type == OUT_ENTRIES) {
			for (size_t k = 0; k < CONNS; k++) {
				struct heard *h = &s->conns[k];

				if (!h->follows || h->ended || h->ref.loop != out->entries.loop)
					continue;
				for (uint32_t n = 0; n < out->entries.count; n++) {
					assert_int_equal(out->entries.frames[n].seq, h->seq + 1);
					h->seq++;
				}
			}
		}
		if (i == CONNS)
			continue;
		answered(s, out->request_id);
		if (out->type == OUT_CLOSE)
			s->conns[i].closed = true;
		if (out->type == OUT_SUBSCRIBED) {
			s->conns[i].follows = true;
			s->conns[i].ended = false;
			s->conns[i].seq = out->subscribed.head_seq;
		}
		if (out->type == OUT_END)
			s->conns[i].ended = true;
	}
}

static struct command *
simple(struct scene *s, enum command_type type, struct conn_ref from)
{
	struct command *cmd = command_new(type, from, ++s->t.w.next_id, 0);

	cmd->room_id = s->c.room_id;
	return cmd;
}

/* Everything at once: what memory runs out in. */
static void
make_turn(struct scene *s)
{
	struct people *t = &s->t;
	struct draft d = {0};
	struct command *cmd;

	add(s, cmd_message(&t->w, ALICE, &t->alice, &s->c));
	draft_simple(&t->w, &d, &t->carol, &s->c, EVENT_JOIN);
	add(s, draft_command(&t->w, &d, CAROL, &s->c.room_id));
	add(s, cmd_message(&t->w, CAROL, &t->carol, &s->c));
	draft_kick(&t->w, &d, &t->alice, &s->c, &t->bob);
	draft_invite(&t->w, &d, &t->alice, &s->c, &t->bob);
	draft_rekey(&t->w, &d, &t->alice, &s->c);
	add(s, draft_command(&t->w, &d, ALICE, &s->c.room_id));
	add(s, simple(s, CMD_GET_ROOMS, CAROL));
	add(s, simple(s, CMD_GET_ROSTER, CAROL));
	add(s, simple(s, CMD_WHO, ALICE));
	cmd = simple(s, CMD_SET_CURSOR, ALICE);
	cmd->cursor.seq = 3;
	add(s, cmd);
	cmd = command_new(CMD_GET_CARD, ALICE, ++t->w.next_id, 3);
	memcpy(cmd->body, "bob", 3);
	cmd->get_card.account = BYTES(cmd->body, 3);
	add(s, cmd);
	add(s, cmd_resume(&t->w, world_conn(0, 9), &s->c.room_id, 1, &digest_zero));
	cmd = command_new(CMD_ASK_REWRAP, CAROL, ++t->w.next_id, DIGEST_BYTES);
	cmd->room_id = s->c.room_id;
	cmd->epochs.epoch_ids = (struct digest *)(void *)cmd->body;
	cmd->epochs.epoch_ids[0] = roster_epoch_at(s->c.roster, 2)->id;
	cmd->epochs.count = 1;
	add(s, cmd);
	person_next_card(&t->w, &t->alice, false);
	add(s, cmd_card(&t->w, ALICE, &t->alice));
	add(s, cmd_key(&t->w, world_conn(1, 10), &t->bob));
}

static void
begin(struct scene *s)
{
	static const struct scene none;
	struct people *t = &s->t;
	struct draft d = {0};

	*s = none;
	people_start(t, 1, NULL);
	people_login(t);
	room_with_bob(t, &s->c);
	bob_joins(t, &s->c);
	draft_invite(&t->w, &d, &t->alice, &s->c, &t->carol);
	draft_rekey(&t->w, &d, &t->alice, &s->c);
	world_turn(&t->w, draft_command(&t->w, &d, ALICE, &s->c.room_id));
	world_turn(&t->w, cmd_key(&t->w, world_conn(0, 9), &t->alice));
	s->conns[0].ref = ALICE;
	s->conns[1].ref = BOB;
	s->conns[2].ref = CAROL;
	s->conns[3].ref = world_conn(0, 9);
	s->conns[4].ref = world_conn(1, 10);
	for (size_t i = 0; i < 3; i++) {
		resume_all(t, &s->c, s->conns[i].ref);
		hear(s);
	}
	make_turn(s);
}

/* The turn, one allocation of which fails.  False: it needed no more than n. */
static bool
run(struct scene *s, unsigned n)
{
	struct world *w = &s->t.w;
	bool failed;

	world_begin(w);
	failalloc_arm(n);
	for (size_t i = 0; i < s->command_count; i++)
		engine_apply(w->engine, s->commands[i]);
	world_commit(w);
	failed = failalloc_disarm();
	hear(s);
	return failed;
}

static void
check(struct scene *s)
{
	struct world *w = &s->t.w;
	uint64_t head;

	/* Whoever could not even be closed is closed in a later turn. */
	for (int i = 0; i < 3 && engine_next_deadline_ms(w->engine) <= w->now.mono_ms + 100; i++) {
		w->now.mono_ms += 100;
		world_turn(w, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
		hear(s);
	}
	for (size_t i = 0; i < s->waiting_count; i++)
		assert_true(s->waiting[i] == 0 || s->conns[s->owner[i]].closed);
	for (size_t i = 0; i < CONNS; i++)
		if (s->conns[i].closed)
			world_turn(w, command_new(CMD_SESSION_CLOSE, s->conns[i].ref, 0, 0));
	/* A session of the test's own, which heard nothing so far. */
	world_turn(w, cmd_key(w, world_conn(1, 20), &s->t.alice));
	assert_answered(w, OUT_LOGIN_OK, world_conn(1, 20));
	world_turn(w, cmd_resume(w, world_conn(1, 20), &s->c.room_id, 1, &digest_zero));
	head = assert_answered(w, OUT_SUBSCRIBED, world_conn(1, 20))->subscribed.head_seq;
	for (size_t i = 0; i < CONNS; i++)
		if (s->conns[i].follows && !s->conns[i].ended && !s->conns[i].closed)
			assert_int_equal(s->conns[i].seq, head);
	/* And after a restart it is the same. */
	world_restart(w);
	people_accounts(&s->t);
	world_turn(w, cmd_key(w, world_conn(1, 20), &s->t.alice));
	assert_answered(w, OUT_LOGIN_OK, world_conn(1, 20));
	world_turn(w, cmd_resume(w, world_conn(1, 20), &s->c.room_id, 1, &digest_zero));
	assert_int_equal(assert_answered(w, OUT_SUBSCRIBED, world_conn(1, 20))->subscribed.head_seq, head);
}

TEST(who_cannot_be_answered_is_closed)
{
	struct scene *s = malloc(sizeof *s);
	size_t closed = 0, failures = 0;
	bool failed = true;

	assert_non_null(s);
	for (unsigned n = 0; failed; n++) {
		assert_true(n < FAILURES_MAX);
		begin(s);
		failed = run(s, n);
		check(s);
		failures += failed;
		for (size_t i = 0; i < CONNS; i++)
			closed += s->conns[i].closed;
		if (!failed)
			for (size_t i = 0; i < CONNS; i++)
				assert_false(s->conns[i].closed);
		copy_fini(&s->c);
		people_end(&s->t);
	}
	free(s);
	print_message("%zu failures, %zu connections closed\n", failures, closed);
	assert_true(failures > 50 && closed > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(who_cannot_be_answered_is_closed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
