/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/container.h"
#include "net/wheel.h"

/* A timer, and what a plain model knows of it. */
struct alarm {
	struct wheel_timer timer;
	uint64_t deadline_ms; /* NEVER_MS: not set */
	unsigned fired;
};

static struct wheel wheel;
static uint64_t now_ms;

static uint64_t
tick_of(uint64_t ms)
{
	return ms / WHEEL_TICK_MS;
}

static void
fired(struct wheel_timer *timer)
{
	struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

	assert_false(wheel_is_set(timer));
	assert_true(alarm->deadline_ms <= now_ms);
	alarm->deadline_ms = NEVER_MS;
	alarm->fired++;
}

static void
set(struct alarm *alarm, uint64_t deadline_ms)
{
	wheel_set(&wheel, &alarm->timer, deadline_ms, fired);
	alarm->deadline_ms = deadline_ms;
}

static void
start(uint64_t ms)
{
	now_ms = ms;
	wheel_init(&wheel, now_ms);
}

static void
run(uint64_t ms)
{
	now_ms = ms;
	wheel_run(&wheel, now_ms);
}

TEST(never_early_and_soon_enough)
{
	const uint64_t starts[] = {0, 1, 249, 250, 251, 1000 * 1000 * 1000};

	for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
		for (uint64_t after = 0; after < 1600; after += 7) {
			struct alarm alarm = {.fired = 0};
			uint64_t deadline;

			start(starts[s]);
			deadline = starts[s] + after;
			set(&alarm, deadline);
			assert_true(wheel_is_set(&alarm.timer));
			for (uint64_t ms = starts[s]; !alarm.fired; ms++) {
				assert_true(ms <= deadline + WHEEL_TICK_MS);
				run(ms);
			}
			assert_int_equal(wheel.count, 0);
			assert_true(wheel_next_ms(&wheel) == NEVER_MS);
		}
	}
}

TEST(cancel)
{
	struct alarm alarm = {.fired = 0};

	start(5000);
	wheel_cancel(&wheel, &alarm.timer); /* not set: fine */
	set(&alarm, 6000);
	wheel_cancel(&wheel, &alarm.timer);
	assert_false(wheel_is_set(&alarm.timer));
	assert_true(wheel_next_ms(&wheel) == NEVER_MS);
	set(&alarm, 6000);
	set(&alarm, NEVER_MS);
	assert_false(wheel_is_set(&alarm.timer));
	run(10000);
	assert_int_equal(alarm.fired, 0);
}

TEST(moving_away_is_lazy)
{
	struct alarm alarm = {.fired = 0};
	uint64_t tick;

	start(0);
	set(&alarm, 1000);
	tick = alarm.timer.tick;
	set(&alarm, 75 * 1000);
	assert_int_equal(alarm.timer.tick, tick); /* nothing was linked anew */
	assert_int_equal(wheel_next_ms(&wheel), 1000);
	run(1000);
	assert_int_equal(alarm.fired, 0);
	assert_int_equal(wheel_next_ms(&wheel), 75 * 1000);
	set(&alarm, 2000); /* nearer */
	assert_int_equal(wheel_next_ms(&wheel), 2000);
	run(2000);
	assert_int_equal(alarm.fired, 1);
}

TEST(beyond_a_turn)
{
	const uint64_t turn = (uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
	struct alarm alarm = {.fired = 0};

	start(12345);
	set(&alarm, 12345 + 10 * turn);
	for (uint64_t ms = 12345; ms < 12345 + 10 * turn; ms += 1000) {
		run(ms);
		assert_int_equal(alarm.fired, 0);
		assert_true(wheel_next_ms(&wheel) <= ms + turn + WHEEL_TICK_MS);
	}
	run(12345 + 10 * turn + WHEEL_TICK_MS);
	assert_int_equal(alarm.fired, 1);
}

TEST(a_long_sleep)
{
	struct alarm alarms[100] = {0};

	start(1);
	for (size_t i = 0; i < ARRAY_LEN(alarms); i++)
		set(&alarms[i], 1000 * i);
	run(1000 * 1000 * 1000);
	for (size_t i = 0; i < ARRAY_LEN(alarms); i++)
		assert_int_equal(alarms[i].fired, 1);
	assert_int_equal(wheel.count, 0);
}

TEST(farthest_deadline)
{
	struct alarm alarm = {.fired = 0};

	start(1000);
	set(&alarm, NEVER_MS - 1);
	assert_true(wheel_is_set(&alarm.timer));
	run(UINT64_C(1) << 50);
	assert_int_equal(alarm.fired, 0);
	wheel_cancel(&wheel, &alarm.timer);
	assert_int_equal(wheel.count, 0);
}

/* Callbacks that change others due at the same moment. */
static struct alarm *victims[2];

static void
cancels(struct wheel_timer *timer)
{
	fired(timer);
	for (size_t i = 0; i < ARRAY_LEN(victims); i++) {
		if (victims[i] && &victims[i]->timer != timer) {
			wheel_cancel(&wheel, &victims[i]->timer);
			free(victims[i]);
			victims[i] = NULL;
		}
	}
}

static void
postpones(struct wheel_timer *timer)
{
	fired(timer);
	for (size_t i = 0; i < ARRAY_LEN(victims); i++) {
		if (&victims[i]->timer != timer) {
			wheel_set(&wheel, &victims[i]->timer, now_ms + 1000, fired);
			victims[i]->deadline_ms = now_ms + 1000;
		}
	}
}

static void
repeats(struct wheel_timer *timer)
{
	fired(timer);
	wheel_set(&wheel, timer, now_ms, repeats);
	CONTAINER_OF(timer, struct alarm, timer)->deadline_ms = now_ms;
}

static void
victims_start(wheel_fn fn)
{
	start(1000);
	for (size_t i = 0; i < ARRAY_LEN(victims); i++) {
		victims[i] = calloc(1, sizeof(*victims[i]));
		assert_non_null(victims[i]);
		wheel_set(&wheel, &victims[i]->timer, 2000, fn);
		victims[i]->deadline_ms = 2000;
	}
}

TEST(a_callback_cancels_and_frees_another)
{
	struct alarm *left;

	victims_start(cancels);
	run(2000);
	assert_true(!victims[0] != !victims[1]); /* one of the two, whichever came first */
	left = victims[0] ? victims[0] : victims[1];
	assert_int_equal(left->fired, 1);
	assert_int_equal(wheel.count, 0);
	free(left);
}

TEST(a_callback_postpones_another)
{
	victims_start(postpones);
	run(2000);
	assert_int_equal(victims[0]->fired + victims[1]->fired, 1);
	assert_int_equal(wheel.count, 1);
	assert_int_equal(wheel_next_ms(&wheel), 3000);
	run(3000);
	assert_int_equal(victims[0]->fired, 1);
	assert_int_equal(victims[1]->fired, 1);
	free(victims[0]);
	free(victims[1]);
}

TEST(a_callback_sets_itself_for_now)
{
	struct alarm alarm = {.fired = 0};

	start(0);
	wheel_set(&wheel, &alarm.timer, 250, repeats);
	alarm.deadline_ms = 250;
	run(5000);
	assert_int_equal(alarm.fired, 1); /* not for ever */
	run(5249);
	assert_int_equal(alarm.fired, 1);
	run(5250);
	assert_int_equal(alarm.fired, 2);
	wheel_cancel(&wheel, &alarm.timer);
}

/* Random schedules: the wheel and a list agree on what fires in each run, and the next deadline is never
 * missed. */
enum { ALARMS = 300 };

static uint64_t
random_deadline(uint64_t *seed)
{
	const uint64_t spans[] = {1, 300, 5000, 130 * 1000, 400 * 1000, 3600 * 1000};
	uint64_t span = spans[unit_rand(seed) % ARRAY_LEN(spans)], past = unit_rand(seed) % 500;

	return unit_rand(seed) % 10 == 0 ? now_ms - (past < now_ms ? past : now_ms)
					 : now_ms + unit_rand(seed) % span;
}

static void
check_run(struct alarm *alarms, uint64_t ms)
{
	static bool due[ALARMS];
	static unsigned before[ALARMS];
	uint64_t next = wheel_next_ms(&wheel), earliest = NEVER_MS;

	for (size_t i = 0; i < ALARMS; i++) {
		uint64_t deadline = alarms[i].deadline_ms;

		/* At the first tick at or after the deadline, and after the one that is past. */
		due[i] = deadline != NEVER_MS && tick_of(ms) > wheel.tick &&
			 tick_of(ms) * WHEEL_TICK_MS >= deadline;
		before[i] = alarms[i].fired;
		if (deadline < earliest)
			earliest = deadline;
	}
	/* It may be told too soon, by a timer moved away, but not too late. */
	if (earliest == NEVER_MS)
		assert_true(next == NEVER_MS);
	else
		assert_true(next > now_ms - now_ms % WHEEL_TICK_MS &&
			    (next < earliest + WHEEL_TICK_MS || next == (wheel.tick + 1) * WHEEL_TICK_MS));
	run(ms);
	for (size_t i = 0; i < ALARMS; i++) {
		assert_int_equal(alarms[i].fired - before[i], due[i]);
		assert_int_equal(wheel_is_set(&alarms[i].timer), alarms[i].deadline_ms != NEVER_MS);
	}
}

TEST(random_schedules)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		static struct alarm alarms[ALARMS];
		uint64_t rng = seed, set_count;

		memset(alarms, 0, sizeof(alarms));
		for (size_t i = 0; i < ALARMS; i++)
			alarms[i].deadline_ms = NEVER_MS;
		start(seed % 3 == 0 ? 0 : unit_rand(&rng) % 1000000);
		for (int step = 0; step < 3000; step++) {
			struct alarm *alarm = &alarms[unit_rand(&rng) % ALARMS];

			switch (unit_rand(&rng) % 8) {
			case 0:
				wheel_cancel(&wheel, &alarm->timer);
				alarm->deadline_ms = NEVER_MS;
				break;
			case 1:
				check_run(alarms, now_ms + unit_rand(&rng) % 2000);
				break;
			case 2:
				if (unit_rand(&rng) % 50 == 0)
					check_run(alarms, now_ms + unit_rand(&rng) % (1000 * 1000));
				break;
			default:
				set(alarm, random_deadline(&rng));
				break;
			}
		}
		set_count = 0;
		for (size_t i = 0; i < ALARMS; i++)
			set_count += alarms[i].deadline_ms != NEVER_MS;
		assert_int_equal(wheel.count, set_count);
		/* A loop that sleeps until the next deadline each time ends with all of them fired. */
		while (wheel_next_ms(&wheel) != NEVER_MS)
			check_run(alarms, wheel_next_ms(&wheel));
		assert_int_equal(wheel.count, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(never_early_and_soon_enough),
	    cmocka_unit_test(cancel),
	    cmocka_unit_test(moving_away_is_lazy),
	    cmocka_unit_test(beyond_a_turn),
	    cmocka_unit_test(a_long_sleep),
	    cmocka_unit_test(farthest_deadline),
	    cmocka_unit_test(a_callback_cancels_and_frees_another),
	    cmocka_unit_test(a_callback_postpones_another),
	    cmocka_unit_test(a_callback_sets_itself_for_now),
	    cmocka_unit_test(random_schedules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
