/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_EVENT_BOX_H
#define LIBCHAT_EVENT_BOX_H

/*
 * The queue between the client's thread, which puts events in, and the program, which takes them out.  It is
 * bounded by its writer: who finds no room stops reading from the server, and is woken when half of it is
 * free again.
 *
 * Threads: one writer; one reader at a time.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "libchat/event.h"

struct event_box {
	/* immutable after event_box_init() */
	size_t limit;
	int event_fd;  /* owned; readable while there is something to take, or the box is closed */
	int writer_fd; /* borrowed; set when there is room again */

	pthread_mutex_t mtx;
	pthread_cond_t changed;
	struct event_queue queue; /* lock: mtx */
	size_t count;             /* lock: mtx */
	bool starved;             /* lock: mtx; the writer waits for room */
	bool closed;              /* lock: mtx */
};

/* limit >= 2.  CHAT_ERR_NOMEM: it needs its _fini() all the same. */
enum chat_err event_box_init(struct event_box *box, size_t limit, int writer_fd) MUST_USE;
void event_box_fini(struct event_box *box); /* with the events in it */

/* Writer: how many events there is room for; at 0 writer_fd will be set when it is worth to ask again. */
size_t event_box_room(struct event_box *box);
/* Writer: appends all of them, also above the limit, and leaves the list empty. */
void event_box_put(struct event_box *box, struct event_queue *events);
/* Writer: nothing more will come. */
void event_box_close(struct event_box *box);

/* Reader.  CHAT_ERR_TIMEOUT; CHAT_ERR_CLOSED: closed and empty. */
enum chat_err event_box_take(struct event_box *box, int timeout_ms, struct chat_event **ret) MUST_USE;

#endif
