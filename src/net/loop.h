/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NET_LOOP_H
#define NET_LOOP_H

/*
 * An event loop: one thread, one epoll, one mailbox, one timer wheel.  It knows sockets and no protocol.
 *
 * A turn: wait; tasks of loop_next_turn(); fd events; mail; timers; tasks of loop_defer() (where connections
 * with output flush it, once); then the release functions of what was removed in this turn.  Nothing is freed
 * before the turn's end, so a callback may remove any fd, its own or one with an event further down the
 * batch, which is then skipped.
 *
 * Threads: all functions on the loop's thread (which is the one in loop_run(); before that, the one that sets
 * it up), except loop_stop() and posting to loop_mailbox().
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#include <chat/err.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "net/mailbox.h"
#include "net/wheel.h"

struct loop;
struct loop_fd;
struct loop_task;

/* events as epoll_wait(2) reports them; EPOLLERR and EPOLLHUP come unasked. */
typedef void (*loop_fd_fn)(struct loop *loop, struct loop_fd *lfd, uint32_t events);
/* The loop does not know lfd any more: its struct may be freed. */
typedef void (*loop_release_fn)(struct loop *loop, struct loop_fd *lfd);
typedef void (*loop_task_fn)(struct loop *loop, struct loop_task *task);
/* The mail belongs to the function. */
typedef void (*loop_mail_fn)(struct loop *loop, struct mail *mail, void *ctx);

/* Embedded in its owner's struct.  Zero-initialise. */
struct loop_fd {
	loop_fd_fn fn; /* NULL: the loop does not know it */
	loop_release_fn release;
	SLIST_ENTRY(loop_fd) gone;
	int fd;          /* borrowed: the owner closes it, after loop_del() */
	uint32_t events; /* the interest */
};

/* Embedded in its owner's struct.  Zero-initialise. */
struct loop_task {
	TAILQ_ENTRY(loop_task) entry;
	loop_task_fn fn;
	struct loop_tasks *queue; /* NULL: not queued */
};

TAILQ_HEAD(loop_tasks, loop_task);

/* CHAT_ERR_NOMEM, CHAT_ERR_IO with errno set.  mail_fn may be NULL if nobody posts. */
enum chat_err loop_new(loop_mail_fn mail_fn, void *mail_ctx, struct loop **ret_loop) MUST_USE;
/* When it does not run and nobody posts any more.  Runs release functions still due; mail left over goes to
 * the mail function; fds still in the loop are forgotten.  NULL is fine. */
void loop_free(struct loop *loop);

/* Turns until loop_stop(), on the calling thread, which owns the loop from now on.  CHAT_ERR_IO with errno
 * set. */
enum chat_err loop_run(struct loop *loop) MUST_USE;
/* One turn, which waits at most timeout_ms (-1: until something happens, 0: not).  For tests and for main's
 * start. */
enum chat_err loop_turn(struct loop *loop, int timeout_ms) MUST_USE;
/* Any thread.  loop_run() returns at the end of the turn. */
void loop_stop(struct loop *loop);
bool loop_stopping(const struct loop *loop);

/* Aborts unless called on the loop's thread. */
void loop_assert_owner(const struct loop *loop);

/* The time at which this turn began.  Cached: costs nothing. */
struct now loop_now(const struct loop *loop);
struct wheel *loop_wheel(struct loop *loop);
/* Any thread may post to it. */
struct mailbox *loop_mailbox(struct loop *loop);

/* Level-triggered unless events say EPOLLET.  CHAT_ERR_IO with errno set, CHAT_ERR_NOMEM. */
enum chat_err
loop_add(struct loop *loop, struct loop_fd *lfd, int fd, uint32_t events, loop_fd_fn fn) MUST_USE;
/* Changes the interest; no system call if it is the same.  0 is fine: only errors are reported. */
void loop_mod(struct loop *loop, struct loop_fd *lfd, uint32_t events);
/*
 * Removes it: no callback from now on.  The owner may close the fd at once, but must keep the struct, and not
 * add it again, until release is called at the end of the turn or by loop_free() (NULL: nobody is told, but
 * the struct must live as long).  Fine if it is removed already; the first release counts.
 */
void loop_del(struct loop *loop, struct loop_fd *lfd, loop_release_fn release);
bool loop_has(const struct loop_fd *lfd);

/* Calls fn once, at the end of this turn; once more has no effect.  In a task of this kind: after those
 * queued so far. */
void loop_defer(struct loop *loop, struct loop_task *task, loop_task_fn fn);
/* Calls fn once, in the next turn, which then does not wait. */
void loop_next_turn(struct loop *loop, struct loop_task *task, loop_task_fn fn);
void loop_cancel(struct loop *loop, struct loop_task *task); /* fine if not queued */

/* Any thread: how much it did, for chatctl. */
struct loop_stats {
	uint64_t turns;
	uint64_t events;
	uint64_t mails;
};
struct loop_stats loop_stats(const struct loop *loop);

#endif
