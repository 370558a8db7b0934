/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

/*
 * A timer wheel: set and cancel in O(1), for deadlines that are many, coarse and mostly never reached.
 *
 * A timer never fires early, and late by less than one tick (250 ms) plus the caller's delay in wheel_run().
 * Moving a deadline further away, which an idle timeout does with every byte, is one store.  Time is the
 * caller's.
 *
 * Timers are intrusive: zero-initialise, keep them at one address while set, cancel before freeing.  The
 * callback may set and cancel any timer, free the struct that its own timer is in, and free others after
 * cancelling them.
 *
 * Threads: one (its loop's).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"

#define WHEEL_TICK_MS 250
#define WHEEL_SLOTS   512 /* a power of two; 128 s a turn: longer deadlines are looked at once a turn */

struct wheel_timer;
typedef void (*wheel_fn)(struct wheel_timer *timer);

struct wheel_timer {
	LIST_ENTRY(wheel_timer) entry;
	uint64_t deadline_ms;
	uint64_t tick; /* whose slot it is in; at most the deadline's, 0: not set */
	wheel_fn fn;
};

LIST_HEAD(wheel_slot, wheel_timer);

struct wheel {
	struct wheel_slot slots[WHEEL_SLOTS];
	uint64_t occupied[WHEEL_SLOTS / 64]; /* a bit for each slot that may hold a timer */
	uint64_t tick;                       /* the last one worked off */
	uint64_t count;
};

void wheel_init(struct wheel *wheel, uint64_t now_mono_ms);

/* Sets or moves a timer; fn is called once by the first wheel_run() at or after deadline_ms (mono_ms).
 * NEVER_MS cancels. One set from a callback for a time that has passed fires in a later wheel_run(). */
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms, wheel_fn fn);
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer); /* fine if not set */
bool wheel_is_set(const struct wheel_timer *timer);

/* Calls the callbacks of what is due.  now_mono_ms never falls. */
void wheel_run(struct wheel *wheel, uint64_t now_mono_ms);
/* When wheel_run() has to be called next: no timer is due before it (there may be none due at it).  NEVER_MS:
 * no timer is set. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
