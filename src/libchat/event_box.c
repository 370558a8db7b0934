/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/event_box.h"

#include <assert.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "libchat/thread.h"

enum chat_err
event_box_init(struct event_box *box, size_t limit, int writer_fd)
{
	pthread_condattr_t attr;

	assert(limit >= 2);
	*box = (struct event_box){.limit = limit, .writer_fd = writer_fd, .event_fd = wake_fd_new()};
	STAILQ_INIT(&box->queue);
	(void)pthread_mutex_init(&box->mtx, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&box->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	return box->event_fd < 0 ? CHAT_ERR_NOMEM : CHAT_OK;
}

void
event_box_fini(struct event_box *box)
{
	struct chat_event *event;

	while ((event = STAILQ_FIRST(&box->queue))) {
		STAILQ_REMOVE_HEAD(&box->queue, link);
		event_free(event);
	}
	(void)pthread_cond_destroy(&box->changed);
	(void)pthread_mutex_destroy(&box->mtx);
	if (box->event_fd >= 0)
		(void)close(box->event_fd);
}

size_t
event_box_room(struct event_box *box)
{
	size_t room;

	(void)pthread_mutex_lock(&box->mtx);
	/* Once starved it stays so until half is free, else each event taken would wake the writer for one.
	 */
	room = box->starved || box->count >= box->limit ? 0 : box->limit - box->count;
	box->starved = room == 0;
	(void)pthread_mutex_unlock(&box->mtx);
	return room;
}

void
event_box_put(struct event_box *box, struct event_queue *events)
{
	struct chat_event *event;
	size_t n = 0;

	STAILQ_FOREACH (event, events, link)
		n++;
	if (n == 0)
		return;
	(void)pthread_mutex_lock(&box->mtx);
	assert(!box->closed);
	/* The descriptor is set and cleared under the lock, so that it always tells the truth; neither can
	 * block. */
	if (box->count == 0)
		wake_fd_set(box->event_fd);
	STAILQ_CONCAT(&box->queue, events);
	box->count += n;
	(void)pthread_cond_signal(&box->changed);
	(void)pthread_mutex_unlock(&box->mtx);
}

void
event_box_close(struct event_box *box)
{
	(void)pthread_mutex_lock(&box->mtx);
	box->closed = true;
	wake_fd_set(box->event_fd);
	(void)pthread_cond_broadcast(&box->changed);
	(void)pthread_mutex_unlock(&box->mtx);
}

static struct timespec
deadline_of(int timeout_ms)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += timeout_ms / 1000;
	at.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	return at;
}

enum chat_err
event_box_take(struct event_box *box, int timeout_ms, struct chat_event **ret)
{
	struct timespec deadline = deadline_of(timeout_ms > 0 ? timeout_ms : 0);
	enum chat_err err = CHAT_OK;
	struct chat_event *event;
	bool wake = false;
	int rc = 0;

	(void)pthread_mutex_lock(&box->mtx);
	while (box->count == 0 && !box->closed && timeout_ms != 0 && rc != ETIMEDOUT)
		rc = timeout_ms < 0 ? pthread_cond_wait(&box->changed, &box->mtx)
				    : pthread_cond_timedwait(&box->changed, &box->mtx, &deadline);
	event = STAILQ_FIRST(&box->queue);
	if (event) {
		STAILQ_REMOVE_HEAD(&box->queue, link);
		box->count--;
		if (box->count == 0 && !box->closed)
			wake_fd_clear(box->event_fd);
		wake = box->starved && box->count <= box->limit / 2;
		if (wake)
			box->starved = false;
		*ret = event;
	} else {
		err = box->closed ? CHAT_ERR_CLOSED : CHAT_ERR_TIMEOUT;
	}
	(void)pthread_mutex_unlock(&box->mtx);
	if (wake)
		wake_fd_set(box->writer_fd);
	return err;
}
