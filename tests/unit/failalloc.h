/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FAILALLOC_H
#define FAILALLOC_H

/*
 * An allocator that fails on demand, for code linked into the test with $(failalloc_ldflags) (shared
 * libraries keep the real one).  To visit every failure path of a function:
 *
 *	for (unsigned n = 0;; n++) {
 *		failalloc_arm(n);
 *		err = function();
 *		if (!failalloc_disarm())
 *			break;	// it needed no more than n allocations
 *		assert_err(err, CHAT_ERR_NOMEM);
 *	}
 *
 * Threads: the counter is the calling thread's.
 */

#include <stdbool.h>

/* Of the calling thread's allocations, n succeed and the next one fails; later ones succeed again. */
void failalloc_arm(unsigned n);
/* Ends it; true if an allocation was made to fail. */
bool failalloc_disarm(void);

#endif
