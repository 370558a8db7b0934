/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * Time.  Inside a program durations and deadlines are monotonic milliseconds (`mono_ms`); wall time (`unix_ms`)
 * is only for what people and the log see.  The cores of server and client take `now` as an argument and never
 * call these.
 *
 * Threads: any.
 */

#include <stdint.h>

#define NEVER_MS UINT64_MAX /* a deadline that does not come */

uint64_t clock_mono_ms(void);
uint64_t clock_unix_ms(void);

/* Both at one moment, as the cores take it. */
struct now {
	uint64_t mono_ms;
	uint64_t unix_ms;
};
struct now clock_now(void);

#endif
