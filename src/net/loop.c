/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_EVENTS 256

struct loop {
	/* immutable after loop_new() */
	int epoll_fd;
	loop_mail_fn mail_fn;
	void *mail_ctx;

	/* owner: loop */
	pthread_t owner;
	bool has_owner;
	struct now now;
	struct wheel wheel;
	struct loop_fd box_fd;
	struct loop_tasks deferred;
	struct loop_tasks next[2]; /* one collects for the next turn while the other is worked off */
	unsigned next_index;       /* of the one that collects */
	SLIST_HEAD(, loop_fd) gone;
	struct epoll_event events[BATCH_EVENTS];

	/* any thread */
	struct mailbox box;
	atomic_bool stopping;
	_Atomic uint64_t stat_turns;
	_Atomic uint64_t stat_events;
	_Atomic uint64_t stat_mails;
};

/* The loop is the only writer, so no read-modify-write is needed. */
static void
stat_add(_Atomic uint64_t *stat, uint64_t n)
{
	uint64_t was = atomic_load_explicit(stat, memory_order_relaxed);

	atomic_store_explicit(stat, was + n, memory_order_relaxed);
}

/* What a removed lfd does with an event of the batch that is being worked off. */
static void
gone_fn(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	(void)loop;
	(void)lfd;
	(void)events;
}

/* The mail itself is taken in every turn; the event only ends the wait.  Edge-triggered, so that the eventfd
 * need not be read: each write is a new edge. */
static void
box_fn(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	(void)loop;
	(void)lfd;
	(void)events;
}

enum chat_err
loop_new(loop_mail_fn mail_fn, void *mail_ctx, struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	enum chat_err err;

	if (!loop)
		return CHAT_ERR_NOMEM;
	loop->mail_fn = mail_fn;
	loop->mail_ctx = mail_ctx;
	loop->now = clock_now();
	wheel_init(&loop->wheel, loop->now.mono_ms);
	TAILQ_INIT(&loop->deferred);
	TAILQ_INIT(&loop->next[0]);
	TAILQ_INIT(&loop->next[1]);
	SLIST_INIT(&loop->gone);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return CHAT_ERR_IO;
	}
	err = mailbox_init(&loop->box, 0, 0);
	if (err != CHAT_OK)
		goto fail;
	err = loop_add(loop, &loop->box_fd, loop->box.event_fd, EPOLLIN | EPOLLET, box_fn);
	if (err != CHAT_OK) {
		mailbox_fini(&loop->box);
		goto fail;
	}
	*ret_loop = loop;
	return CHAT_OK;
fail:
	close(loop->epoll_fd);
	free(loop);
	return err;
}

static void
mail_run(struct loop *loop)
{
	struct mail *mail;
	uint64_t count = 0;

	if (!mailbox_collect(&loop->box))
		return;
	while ((mail = mailbox_next(&loop->box))) {
		assert(loop->mail_fn);
		loop->mail_fn(loop, mail, loop->mail_ctx);
		count++;
	}
	stat_add(&loop->stat_mails, count);
}

static void
tasks_run(struct loop *loop, struct loop_tasks *tasks)
{
	struct loop_task *task;

	while ((task = TAILQ_FIRST(tasks))) {
		loop_cancel(loop, task);
		task->fn(loop, task);
	}
}

static void
gone_run(struct loop *loop)
{
	struct loop_fd *lfd;
	loop_release_fn release;

	while ((lfd = SLIST_FIRST(&loop->gone))) {
		SLIST_REMOVE_HEAD(&loop->gone, gone);
		release = lfd->release;
		lfd->fn = NULL;
		lfd->release = NULL;
		if (release)
			release(loop, lfd);
	}
}

void
loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop->has_owner = false;
	mail_run(loop);
	gone_run(loop);
	mailbox_fini(&loop->box);
	close(loop->epoll_fd);
	free(loop);
}

void
loop_assert_owner(const struct loop *loop)
{
	assert(!loop->has_owner || pthread_equal(loop->owner, pthread_self()));
}

static int
wait_ms(struct loop *loop, int timeout_ms)
{
	uint64_t next_ms, now_ms;

	if (!TAILQ_EMPTY(&loop->next[loop->next_index]) || loop_stopping(loop) ||
	    !mailbox_may_sleep(&loop->box))
		return 0;
	next_ms = wheel_next_ms(&loop->wheel);
	if (next_ms == NEVER_MS)
		return timeout_ms;
	now_ms = clock_mono_ms();
	if (next_ms <= now_ms)
		return 0;
	next_ms -= now_ms;
	if (timeout_ms >= 0 && next_ms > (uint64_t)timeout_ms)
		return timeout_ms;
	return next_ms > INT_MAX ? INT_MAX : (int)next_ms;
}

enum chat_err
loop_turn(struct loop *loop, int timeout_ms)
{
	struct loop_tasks *tasks;
	int count;

	loop_assert_owner(loop);
	count = epoll_wait(loop->epoll_fd, loop->events, BATCH_EVENTS, wait_ms(loop, timeout_ms));
	if (count < 0) {
		if (errno != EINTR)
			return CHAT_ERR_IO;
		count = 0;
	}
	loop->now = clock_now();
	tasks = &loop->next[loop->next_index];
	loop->next_index ^= 1;
	tasks_run(loop, tasks);
	for (int i = 0; i < count; i++) {
		struct loop_fd *lfd = loop->events[i].data.ptr;

		lfd->fn(loop, lfd, loop->events[i].events);
	}
	mail_run(loop);
	wheel_run(&loop->wheel, loop->now.mono_ms);
	tasks_run(loop, &loop->deferred);
	gone_run(loop);
	stat_add(&loop->stat_turns, 1);
	stat_add(&loop->stat_events, (uint64_t)count);
	return CHAT_OK;
}

enum chat_err
loop_run(struct loop *loop)
{
	enum chat_err err = CHAT_OK;

	loop->owner = pthread_self();
	loop->has_owner = true;
	while (err == CHAT_OK && !loop_stopping(loop))
		err = loop_turn(loop, -1);
	return err;
}

void
loop_stop(struct loop *loop)
{
	atomic_store_explicit(&loop->stopping, true, memory_order_release);
	mailbox_wake(&loop->box);
}

bool
loop_stopping(const struct loop *loop)
{
	return atomic_load_explicit(&loop->stopping, memory_order_acquire);
}

struct now
loop_now(const struct loop *loop)
{
	return loop->now;
}

struct wheel *
loop_wheel(struct loop *loop)
{
	return &loop->wheel;
}

struct mailbox *
loop_mailbox(struct loop *loop)
{
	return &loop->box;
}

enum chat_err
loop_add(struct loop *loop, struct loop_fd *lfd, int fd, uint32_t events, loop_fd_fn fn)
{
	struct epoll_event event = {.events = events, .data.ptr = lfd};

	loop_assert_owner(loop);
	assert(fn && !lfd->fn);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return errno == ENOMEM ? CHAT_ERR_NOMEM : CHAT_ERR_IO;
	lfd->fn = fn;
	lfd->release = NULL;
	lfd->fd = fd;
	lfd->events = events;
	return CHAT_OK;
}

void
loop_mod(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = lfd};
	int ret;

	loop_assert_owner(loop);
	assert(loop_has(lfd));
	if (lfd->events == events)
		return;
	/* It can fail only for an fd that is not there: our mistake. */
	ret = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, lfd->fd, &event);
	assert(ret == 0);
	lfd->events = events;
}

void
loop_del(struct loop *loop, struct loop_fd *lfd, loop_release_fn release)
{
	int ret;

	loop_assert_owner(loop);
	if (!loop_has(lfd))
		return;
	ret = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, lfd->fd, NULL);
	assert(ret == 0);
	lfd->fn = gone_fn;
	lfd->release = release;
	SLIST_INSERT_HEAD(&loop->gone, lfd, gone);
}

bool
loop_has(const struct loop_fd *lfd)
{
	return lfd->fn && lfd->fn != gone_fn;
}

static void
task_queue(struct loop *loop, struct loop_task *task, loop_task_fn fn, struct loop_tasks *queue)
{
	loop_assert_owner(loop);
	assert(fn);
	if (task->queue == queue) {
		task->fn = fn;
		return;
	}
	loop_cancel(loop, task);
	task->fn = fn;
	task->queue = queue;
	TAILQ_INSERT_TAIL(queue, task, entry);
}

void
loop_defer(struct loop *loop, struct loop_task *task, loop_task_fn fn)
{
	task_queue(loop, task, fn, &loop->deferred);
}

void
loop_next_turn(struct loop *loop, struct loop_task *task, loop_task_fn fn)
{
	task_queue(loop, task, fn, &loop->next[loop->next_index]);
}

void
loop_cancel(struct loop *loop, struct loop_task *task)
{
	loop_assert_owner(loop);
	if (!task->queue)
		return;
	TAILQ_REMOVE(task->queue, task, entry);
	task->queue = NULL;
}

struct loop_stats
loop_stats(const struct loop *loop)
{
	return (struct loop_stats){
	    .turns = atomic_load_explicit(&loop->stat_turns, memory_order_relaxed),
	    .events = atomic_load_explicit(&loop->stat_events, memory_order_relaxed),
	    .mails = atomic_load_explicit(&loop->stat_mails, memory_order_relaxed),
	};
}
