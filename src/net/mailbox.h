/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NET_MAILBOX_H
#define NET_MAILBOX_H

/*
 * A mailbox: many threads post, one thread takes, in order of posting.  It is the only way threads talk.
 *
 * Messages are intrusive: a struct mail at the head of the sender's own struct, which belongs to the mailbox
 *from a successful post on and to the consumer once mailbox_next() returned it.  The lock covers pointers
 *only; the whole list is detached at once, and worked off without it.  The consumer is woken (eventfd) only
 *if it sleeps, that is when the mailbox goes from empty to non-empty; a burst costs one wake-up.
 *
 * The consumer's turn:
 *	mailbox_collect()                  what was posted up to now
 *	while ((mail = mailbox_next()))    may stop early; the rest stays first in line
 *	mailbox_may_sleep()                true: poll the eventfd; false: there is more, take another turn
 * A struct loop does this by itself; a thread without one calls mailbox_wait().
 *
 * Threads: as each function says.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"

struct mail {
	struct mail *next; /* the mailbox's while posted */
	uint32_t bytes;    /* set by the poster: what it weighs; may be 0 */
	uint32_t tag;      /* set by the poster: what it is; the mailbox does not look */
};

struct mailbox {
	pthread_mutex_t box_mtx;
	struct mail *head;  /* lock: box_mtx */
	struct mail **tail; /* lock: box_mtx */
	bool asleep;        /* lock: box_mtx; the consumer waits for the eventfd */
	bool closed;        /* lock: box_mtx */
	bool poked;         /* lock: box_mtx; mailbox_wake() while it was awake */

	struct mail *taken_head;  /* owner: consumer; collected, not yet worked off */
	struct mail **taken_tail; /* owner: consumer */

	_Atomic size_t count; /* posted and not yet returned by mailbox_next() */
	_Atomic size_t bytes;
	size_t max_count; /* immutable after init; 0 = no limit */
	size_t max_bytes; /* the same */
	int event_fd;     /* immutable after init; owned */
};

/* Limits of 0 are none.  CHAT_ERR_IO with errno set. */
enum chat_err mailbox_init(struct mailbox *box, size_t max_count, size_t max_bytes) MUST_USE;
/* After the last poster and the consumer are done, and the mailbox is empty (asserted). */
void mailbox_fini(struct mailbox *box);

/*
 * Any thread.  Posts whatever the limits say: for what must not be lost.  False only after mailbox_close():
 * the mail is still the caller's.
 */
bool mailbox_post(struct mailbox *box, struct mail *mail) MUST_USE;
/*
 * Any thread.  CHAT_ERR_BUSY if as much is waiting as the limits allow (one message always fits an empty
 * mailbox), CHAT_ERR_CLOSED after mailbox_close(); the mail is still the caller's then.
 */
enum chat_err mailbox_try_post(struct mailbox *box, struct mail *mail) MUST_USE;
/* Any thread.  Wakes the consumer without a message. */
void mailbox_wake(struct mailbox *box);
/* Any thread.  No post succeeds afterwards; what was posted before can still be taken. */
void mailbox_close(struct mailbox *box);

/* Consumer.  True if there is something to take. */
bool mailbox_collect(struct mailbox *box);
/* Consumer.  The next message of those collected, NULL if there is none. */
struct mail *mailbox_next(struct mailbox *box);
/* Consumer.  True if nothing waits; from then on a post wakes through the eventfd.  False: take a turn
 * instead. */
bool mailbox_may_sleep(struct mailbox *box);
/*
 * Consumer without a loop.  Waits until something is posted, mailbox_wake() was called, or timeout_ms passed
 * (-1: for ever), then collects.  True if there is something to take.
 */
bool mailbox_wait(struct mailbox *box, int timeout_ms);

/* Any thread: what waits now; old as soon as it is read. */
struct mailbox_stats {
	size_t count;
	size_t bytes;
};
struct mailbox_stats mailbox_stats(struct mailbox *box);

#endif
