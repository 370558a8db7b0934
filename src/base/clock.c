/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t
read_ms(clockid_t id)
{
	struct timespec ts;
	int failed = clock_gettime(id, &ts);

	assert(!failed);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
clock_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t
clock_unix_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

struct now
clock_now(void)
{
	return (struct now){.mono_ms = clock_mono_ms(), .unix_ms = clock_unix_ms()};
}
