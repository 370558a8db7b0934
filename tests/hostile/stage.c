/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stage.h"

#include <stdio.h>
#include <unistd.h>

#define ACCOUNTS_MAX 32

struct host *host;
struct witness witness;

int
stage_up(const char *conf, const char *const *accounts)
{
	const char *all[ACCOUNTS_MAX + 1] = {WITNESS_ACCOUNTS};
	size_t count = 2;

	for (; *accounts != NULL; accounts++) {
		assert_true(count < ACCOUNTS_MAX);
		all[count++] = *accounts;
	}
	/* For what comes before the first attack, too. */
	stage_begin();
	host = host_start(conf, all);
	witness_init(&witness, host);
	return 0;
}

void
stage_begin(void)
{
	/* Every step has its own limit; this is for a mistake that loops.  The server dies with the test. */
	alarm(4 * host_patience_ms() / 1000);
}

void
stage_end(void)
{
	witness_check(&witness);
	alarm(0);
}

void
nothing_was_lost(void **state)
{
	(void)state;
	stage_begin();
	witness_fini(&witness);
	host_stop(host);
	alarm(0);
}
