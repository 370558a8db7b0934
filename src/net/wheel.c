/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A timer lies in the slot of a tick that is not later than its deadline's.  When the wheel comes to that
 * slot, a timer whose deadline is later (it was moved away, or lies beyond a turn of the wheel) is put into
 * the right one anew.
 */

#include "net/wheel.h"

#include <assert.h>
#include <stddef.h>

static_assert((WHEEL_SLOTS & (WHEEL_SLOTS - 1)) == 0 && WHEEL_SLOTS % 64 == 0, "slots are found by masks");

/* The first tick at which the deadline has passed. */
static uint64_t
tick_of_deadline(uint64_t deadline_ms)
{
	return deadline_ms / WHEEL_TICK_MS + (deadline_ms % WHEEL_TICK_MS != 0);
}

static unsigned
slot_of(uint64_t tick)
{
	return (unsigned)(tick & (WHEEL_SLOTS - 1));
}

void
wheel_init(struct wheel *wheel, uint64_t now_mono_ms)
{
	*wheel = (struct wheel){.tick = now_mono_ms / WHEEL_TICK_MS};
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		LIST_INIT(&wheel->slots[i]);
}

static void
link_at(struct wheel *wheel, struct wheel_timer *timer, uint64_t tick)
{
	unsigned slot = slot_of(tick);

	timer->tick = tick;
	LIST_INSERT_HEAD(&wheel->slots[slot], timer, entry);
	wheel->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
}

static void
mark_if_empty(struct wheel *wheel, unsigned slot)
{
	if (LIST_EMPTY(&wheel->slots[slot]))
		wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

bool
wheel_is_set(const struct wheel_timer *timer)
{
	return timer->tick != 0;
}

void
wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
	unsigned slot = slot_of(timer->tick);

	if (!wheel_is_set(timer))
		return;
	LIST_REMOVE(timer, entry);
	timer->tick = 0;
	wheel->count--;
	mark_if_empty(wheel, slot);
}

void
wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms, wheel_fn fn)
{
	uint64_t tick;

	assert(fn);
	if (deadline_ms == NEVER_MS) {
		wheel_cancel(wheel, timer);
		return;
	}
	tick = tick_of_deadline(deadline_ms);
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	/* Where it is will do, unless that is the list of those due now (its tick has passed). */
	if (!wheel_is_set(timer) || timer->tick > tick || timer->tick <= wheel->tick) {
		wheel_cancel(wheel, timer);
		link_at(wheel, timer, tick);
		wheel->count++;
	}
	timer->deadline_ms = deadline_ms;
	timer->fn = fn;
}

/* Takes what is due at tick `to` out of a slot into *due, where each is still set and can be cancelled. */
static void
slot_sort(struct wheel *wheel, unsigned slot, uint64_t to, struct wheel_slot *due)
{
	struct wheel_timer *timer = LIST_FIRST(&wheel->slots[slot]), *next;

	for (; timer; timer = next) {
		uint64_t tick = tick_of_deadline(timer->deadline_ms);

		next = LIST_NEXT(timer, entry);
		LIST_REMOVE(timer, entry);
		if (tick <= to)
			LIST_INSERT_HEAD(due, timer, entry);
		else
			link_at(wheel, timer, tick);
	}
	mark_if_empty(wheel, slot);
}

void
wheel_run(struct wheel *wheel, uint64_t now_mono_ms)
{
	struct wheel_slot due = LIST_HEAD_INITIALIZER(due);
	uint64_t from = wheel->tick, to = now_mono_ms / WHEEL_TICK_MS;
	struct wheel_timer *timer;

	if (to <= from)
		return;
	wheel->tick = to;
	if (to - from > WHEEL_SLOTS)
		from = to - WHEEL_SLOTS; /* after a long sleep: every slot once */
	for (uint64_t tick = from + 1; tick <= to; tick++)
		slot_sort(wheel, slot_of(tick), to, &due);
	while ((timer = LIST_FIRST(&due))) {
		LIST_REMOVE(timer, entry);
		timer->tick = 0;
		wheel->count--;
		timer->fn(timer);
	}
}

uint64_t
wheel_next_ms(const struct wheel *wheel)
{
	unsigned first = slot_of(wheel->tick + 1);

	/* The word that `first` is in comes twice: its upper bits at the start, its lower ones at the end. */
	for (unsigned i = 0; i <= WHEEL_SLOTS / 64; i++) {
		unsigned word = (first / 64 + i) % (WHEEL_SLOTS / 64);
		uint64_t bits = wheel->occupied[word];
		uint64_t upper = ~UINT64_C(0) << first % 64;

		if (i == 0)
			bits &= upper;
		else if (i == WHEEL_SLOTS / 64)
			bits &= ~upper;
		if (bits != 0) {
			unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits);

			return (wheel->tick + 1 + slot_of(slot + WHEEL_SLOTS - first)) * WHEEL_TICK_MS;
		}
	}
	return NEVER_MS;
}
