/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_BACKOFF_H
#define LIBCHAT_BACKOFF_H

/*
 * When to connect again: after 0.2 s at first, twice as long each time up to 30 s, and a random part of it
 * less, so that clients that lost a server together do not come back together.  What the server asked for is
 * kept to.
 *
 * Threads: one at a time.
 */

#include <stdint.h>

#include "base/random.h"

#define BACKOFF_FIRST_MS  200
#define BACKOFF_MAX_MS    30000
#define BACKOFF_STABLE_MS 5000 /* a connection that stood so long was a good one: begin anew */

struct backoff {
	struct random_source random;
	unsigned failures; /* in a row */
};

void backoff_init(struct backoff *b, const struct random_source *random);
/* A connection ended that was logged in for stood_ms (0: never). */
void backoff_stood(struct backoff *b, uint64_t stood_ms);
/* How long to wait before the next attempt; asked once for each.  retry_after_ms: what the server asked for,
 * or 0. */
uint64_t backoff_next_ms(struct backoff *b, uint64_t retry_after_ms);

#endif
