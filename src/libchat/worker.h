/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_WORKER_H
#define LIBCHAT_WORKER_H

/*
 * Threads for long work (work.h).  They are started with the first items, so that a client which never has
 * any has no such thread; where the system gives none the caller does the work itself.
 *
 * Threads: all calls belong to one thread, the client's.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "libchat/work.h"

#define WORKERS_MAX                                                                                          \
	2 /* verifying a long log is what keeps two busy; more would take a small machine's last core */

struct worker_pool {
	/* immutable after worker_pool_init() */
	int done_fd; /* borrowed; set when something is done */

	/* owner: the client's thread */
	pthread_t threads[WORKERS_MAX];
	unsigned thread_count;

	pthread_mutex_t mtx;
	pthread_cond_t changed;
	struct work_queue waiting; /* lock: mtx */
	struct work_queue done;    /* lock: mtx */
	size_t waiting_count;      /* lock: mtx */
	size_t idle;               /* lock: mtx; threads that wait */
	bool stop;                 /* lock: mtx */
};

void worker_pool_init(struct worker_pool *pool, int done_fd);
/* Waits for what is being worked on; the rest is freed undone. */
void worker_pool_fini(struct worker_pool *pool);

/* Takes the item over. */
void worker_pool_add(struct worker_pool *pool, struct work *work);
/* One that is done, the caller's; NULL: none is. */
struct work *worker_pool_take(struct worker_pool *pool);

#endif
