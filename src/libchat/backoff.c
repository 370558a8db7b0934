/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/backoff.h"

#define RETRY_AFTER_MAX_MS (60 * 60 * 1000) /* a server that asks for more is asked again anyway */

void
backoff_init(struct backoff *b, const struct random_source *random)
{
	*b = (struct backoff){.random = *random};
}

void
backoff_stood(struct backoff *b, uint64_t stood_ms)
{
	if (stood_ms >= BACKOFF_STABLE_MS)
		b->failures = 0;
}

uint64_t
backoff_next_ms(struct backoff *b, uint64_t retry_after_ms)
{
	uint64_t full = BACKOFF_FIRST_MS, delay;
	uint32_t r;

	for (unsigned i = 0; i < b->failures && full < BACKOFF_MAX_MS; i++)
		full *= 2;
	if (full > BACKOFF_MAX_MS)
		full = BACKOFF_MAX_MS;
	b->failures++;
	b->random.fill(b->random.ctx, &r, sizeof(r));
	delay = full / 2 + r % (full / 2 + 1);
	if (retry_after_ms > RETRY_AFTER_MAX_MS)
		retry_after_ms = RETRY_AFTER_MAX_MS;
	return retry_after_ms > delay ? retry_after_ms : delay;
}
