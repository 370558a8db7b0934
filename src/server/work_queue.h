/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_WORK_QUEUE_H
#define SERVER_WORK_QUEUE_H

/*
 * A pool of threads and the queue in front of it: many threads put work in, the first idle one takes it, in
 * order.  What comes of the work goes back by mailbox.  (A mailbox has one consumer, hence this.)
 *
 * Threads: any, but for start, stop and fini, which are the owner's.  No lock is held while work is done.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "net/mailbox.h"

#define WORK_THREADS_MAX 8

/* Works it off; the mail is the function's.  `index` is the thread's, from 0. */
typedef void (*work_fn)(void *ctx, unsigned index, struct mail *work);

struct work_queue {
	pthread_mutex_t work_mtx;
	pthread_cond_t work_cond;
	struct mail *head;  /* lock: work_mtx */
	struct mail **tail; /* lock: work_mtx */
	size_t count;       /* lock: work_mtx */
	bool ending;        /* lock: work_mtx */

	size_t max_count; /* immutable after init; 0 = no limit */
	work_fn fn;
	void *ctx;

	unsigned thread_count; /* owner: who starts and stops */
	struct work_thread {
		struct work_queue *queue;
		unsigned index;
		pthread_t thread;
	} threads[WORK_THREADS_MAX];
};

void work_queue_init(struct work_queue *q, size_t max_count, work_fn fn, void *ctx);
/* CHAT_ERR_IO with errno set; those that started are stopped then. */
enum chat_err work_queue_start(struct work_queue *q, unsigned thread_count, const char *name) MUST_USE;

/* Any thread.  CHAT_ERR_BUSY: it is full; CHAT_ERR_CLOSED: it ends.  The work is the caller's still. */
enum chat_err work_queue_put(struct work_queue *q, struct mail *work) MUST_USE;
size_t work_queue_count(struct work_queue *q);

/* Ends the threads once they have done what they are at.  What nobody began is returned, a list in order, or
 * done first where `all`. */
struct mail *work_queue_stop(struct work_queue *q, bool all) MUST_USE;
void work_queue_fini(struct work_queue *q); /* stopped, and empty */

#endif
