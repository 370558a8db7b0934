/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Random schedules: schedule.h. */

#include "schedule.h"

#include "fault_vfs.h"

#define SEEDS 25
#define STEPS 1400

static struct command *
tick(void)
{
	return command_new(CMD_TICK, (struct conn_ref){0}, 0, 0);
}

/* ---- connections and accounts ---- */

static void
conn_login(struct schedule *s, size_t c)
{
	s->conns[c].ref.generation++;
	s->conns[c].open = true;
	world_turn(&s->w, cmd_key(&s->w, s->conns[c].ref, &s->people[person_of(c)]));
	assert_answered(&s->w, OUT_LOGIN_OK, s->conns[c].ref);
	send_mail(s);
}

/* What its server side forgets of it. */
static void
conn_gone(struct schedule *s, size_t c)
{
	for (size_t r = 0; r < ROOMS; r++) {
		sub_off(&s->conns[c].subs[r]);
		s->conns[c].subs[r].resuming = false;
	}
	s->conns[c].open = false;
}

static void
conn_close(struct schedule *s, size_t c)
{
	conn_gone(s, c);
	world_turn(&s->w, command_new(CMD_SESSION_CLOSE, s->conns[c].ref, 0, 0));
	send_mail(s);
}

static void
accounts(struct schedule *s, size_t without)
{
	const struct person *list[PEOPLE];
	size_t count = 0;

	for (size_t i = 0; i < PEOPLE; i++)
		if (i != without)
			list[count++] = &s->people[i];
	world_accounts(&s->w, list, count, NULL);
}

/* Somebody's account is deleted, and comes back as another one, who is in no room.  The old member stays
 * where it was. */
static void
random_retirement(struct schedule *s)
{
	size_t person = below(s, PEOPLE);
	char name[ACCOUNT_NAME_MAX_BYTES + 1];
	bool failed = below(s, 2) == 0;
	uint8_t bit = (uint8_t)(1u << person);

	if (failed)
		fault_arm(FAULT_WRITE, 0);
	accounts(s, person);
	if (failed)
		assert_true(fault_disarm());
	for (size_t c = person * 2; c < person * 2 + 2; c++) {
		if (s->conns[c].open)
			assert_non_null(find_out(s->w.out, OUT_CLOSE, s->conns[c].ref));
		conn_gone(s, c);
		for (size_t r = 0; r < ROOMS; r++)
			s->conns[c].subs[r].next = 0;
	}
	send_mail(s);
	s->w.now.mono_ms += 60000;
	world_turn(&s->w, tick());
	send_mail(s);
	/* What the old one could read the new one cannot. */
	for (size_t r = 0; r < ROOMS; r++) {
		struct model_room *room = &s->rooms[r];

		room->epoch_readers &= (uint8_t)~bit;
		room->stored_epoch_readers &= (uint8_t)~bit;
		for (uint64_t seq = 1; seq <= room->head; seq++) {
			room->entries[seq].joined &= (uint8_t)~bit;
			room->entries[seq].entitled &= (uint8_t)~bit;
		}
	}
	strlcpy(name, s->people[person].identity.account.s, sizeof name);
	person_end(&s->people[person]);
	person_make(&s->w, &s->people[person], name);
	accounts(s, PEOPLE);
	send_mail(s);
	world_turn(&s->w, cmd_publish(&s->w, world_conn(0, 60), &s->people[person]));
	assert_answered(&s->w, OUT_OK, world_conn(0, 60));
	outcome_list_free(s->w.out);
	s->w.out = NULL;
	conn_login(s, person * 2);
	conn_login(s, person * 2 + 1);
	s->seen.retired++;
}

/* ---- turns ---- */

static void
random_turn(struct schedule *s)
{
	/* Posts name the time of their turn, so they are made right before it begins. */
	uint64_t posts = 1 + below(s, 6);
	bool armed = below(s, 12) == 0, failed;

	outcome_list_free(s->w.out);
	s->w.out = NULL;
	engine_turn_begin(
	    s->w.engine, (struct now){.mono_ms = s->w.now.mono_ms + 1, .unix_ms = s->w.now.unix_ms + 1});
	for (uint64_t k = 0; k < posts; k++) {
		random_post(s);
		if (below(s, 10) == 0)
			random_rewrap(s);
	}
	random_resume(s);
	s->w.now.mono_ms++;
	s->w.now.unix_ms++;
	if (armed)
		fault_arm(below(s, 2) == 0 ? FAULT_WRITE : FAULT_SYNC, below(s, 3));
	world_commit(&s->w);
	failed = armed && fault_disarm();
	s->seen.failed_turns += failed;
	assert_true(!failed || engine_is_cautious(s->w.engine));
	check_answers(s, failed);
	send_mail(s);
	/* Rekeys of an open room are rationed; there is no need of that here. */
	s->w.now.mono_ms += 60000;
}

/* Nobody is online, nothing is in memory, nothing was lost. */
static void
random_restart(struct schedule *s)
{
	store_reader_close(s->reader);
	drop_mail(s);
	for (size_t c = 0; c < CONNS; c++)
		conn_gone(s, c);
	world_restart(&s->w);
	assert_ok(store_reader_open(s->w.store, &s->reader));
	check_logs(s);
	accounts(s, PEOPLE);
	send_mail(s);
	for (size_t c = 0; c < CONNS; c++)
		conn_login(s, c);
	s->seen.restarts++;
}

/* ---- a schedule ---- */

static void
start(struct schedule *s, uint64_t seed)
{
	static const char *names[PEOPLE] = {"ann", "ben", "cid", "dot"};
	static const struct store_options options = {.vfs = "fault"};

	memset(s, 0, sizeof *s);
	fault_vfs_register();
	(void)fault_disarm();
	world_start(&s->w, seed, &options);
	drop_mail(s);
	for (size_t i = 0; i < PEOPLE; i++)
		person_make(&s->w, &s->people[i], names[i]);
	accounts(s, PEOPLE);
	for (size_t i = 0; i < PEOPLE; i++)
		world_turn(&s->w, cmd_publish(&s->w, world_conn(0, 60), &s->people[i]));
	outcome_list_free(s->w.out);
	s->w.out = NULL;
	for (size_t r = 0; r < ROOMS; r++)
		copy_init(&s->w, &s->rooms[r].copy);
	for (size_t c = 0; c < CONNS; c++) {
		s->conns[c].ref = (struct conn_ref){.loop = (uint16_t)(c % WORLD_LOOPS), .slot = (uint32_t)c};
		conn_login(s, c);
	}
	assert_ok(store_reader_open(s->w.store, &s->reader));
}

static void
finish(struct schedule *s)
{
	store_reader_close(s->reader);
	for (size_t c = 0; c < CONNS; c++)
		conn_gone(s, c);
	drop_mail(s);
	for (size_t r = 0; r < ROOMS; r++)
		room_clear(s, &s->rooms[r]);
	for (size_t i = 0; i < PEOPLE; i++)
		person_end(&s->people[i]);
	world_end(&s->w);
}

static void
random_step(struct schedule *s)
{
	uint64_t dice = below(s, 12);

	if (dice < 3) {
		random_turn(s);
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
	} else if (below(s, 40) == 0) {
		random_restart(s);
	} else if (below(s, 60) == 0) {
		random_retirement(s);
	}
	note_joined(s);
}

static void
run(struct schedule *s, uint64_t seed)
{
	start(s, seed);
	for (int i = 0; i < STEPS; i++)
		random_step(s);
	settle(s);
	check_clients(s);
	random_restart(s);
	finish(s);
}

TEST(everybody_gets_everything_once_in_order)
{
	struct schedule *s = malloc(sizeof *s);
	uint64_t total[sizeof s->seen / sizeof(uint64_t)] = {0};
	static const char *const names[] = {"received", "whole", "stubs", "reads", "kicks", "refused",
	    "failed turns", "unknown outcomes", "restarts", "retired", "re-wraps"};
	/* A schedule in which these did not happen would prove little. */
	static const uint64_t least[] = {10000, 1000, 100, 100, 10, 500, 50, 100, 30, 10, 50};

	assert_non_null(s);
	assert_int_equal(ARRAY_LEN(total), ARRAY_LEN(names));
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		run(s, seed);
		for (size_t i = 0; i < ARRAY_LEN(total); i++)
			total[i] += ((const uint64_t *)(const void *)&s->seen)[i];
	}
	free(s);
	for (size_t i = 0; i < ARRAY_LEN(total); i++) {
		print_message("%s %llu, ", names[i], (unsigned long long)total[i]);
		assert_true(total[i] > least[i]);
	}
	print_message("in %d schedules\n", SEEDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(everybody_gets_everything_once_in_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
