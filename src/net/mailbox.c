/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum chat_err
mailbox_init(struct mailbox *box, size_t max_count, size_t max_bytes)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return CHAT_ERR_IO;
	*box = (struct mailbox){.max_count = max_count, .max_bytes = max_bytes, .event_fd = fd};
	pthread_mutex_init(&box->box_mtx, NULL);
	box->tail = &box->head;
	box->taken_tail = &box->taken_head;
	return CHAT_OK;
}

void
mailbox_fini(struct mailbox *box)
{
	assert(!box->head && !box->taken_head);
	pthread_mutex_destroy(&box->box_mtx);
	close(box->event_fd);
}

/* Outside of the lock.  It fails only if 2^64 - 1 wake-ups are unread, and the consumer is awake then. */
static void
wake(struct mailbox *box)
{
	uint64_t one = 1;
	ssize_t put;

	do
		put = write(box->event_fd, &one, sizeof(one));
	while (put < 0 && errno == EINTR);
}

static bool
is_full_locked(struct mailbox *box)
{
	size_t count = atomic_load_explicit(&box->count, memory_order_relaxed);
	size_t bytes = atomic_load_explicit(&box->bytes, memory_order_relaxed);

	if (count == 0)
		return false;
	return (box->max_count > 0 && count >= box->max_count) ||
	       (box->max_bytes > 0 && bytes >= box->max_bytes);
}

static enum chat_err
post(struct mailbox *box, struct mail *mail, bool bounded)
{
	enum chat_err err = CHAT_OK;
	bool must_wake = false;

	mail->next = NULL;
	pthread_mutex_lock(&box->box_mtx);
	if (box->closed) {
		err = CHAT_ERR_CLOSED;
	} else if (bounded && is_full_locked(box)) {
		err = CHAT_ERR_BUSY;
	} else {
		*box->tail = mail;
		box->tail = &mail->next;
		atomic_fetch_add_explicit(&box->count, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&box->bytes, mail->bytes, memory_order_relaxed);
		must_wake = box->asleep;
		box->asleep = false;
	}
	pthread_mutex_unlock(&box->box_mtx);
	if (must_wake)
		wake(box);
	return err;
}

bool
mailbox_post(struct mailbox *box, struct mail *mail)
{
	return post(box, mail, false) == CHAT_OK;
}

enum chat_err
mailbox_try_post(struct mailbox *box, struct mail *mail)
{
	return post(box, mail, true);
}

void
mailbox_wake(struct mailbox *box)
{
	bool must_wake;

	pthread_mutex_lock(&box->box_mtx);
	must_wake = box->asleep;
	box->asleep = false;
	box->poked = true;
	pthread_mutex_unlock(&box->box_mtx);
	if (must_wake)
		wake(box);
}

void
mailbox_close(struct mailbox *box)
{
	pthread_mutex_lock(&box->box_mtx);
	box->closed = true;
	pthread_mutex_unlock(&box->box_mtx);
}

bool
mailbox_collect(struct mailbox *box)
{
	pthread_mutex_lock(&box->box_mtx);
	box->asleep = false;
	box->poked = false;
	if (box->head) {
		*box->taken_tail = box->head;
		box->taken_tail = box->tail;
		box->head = NULL;
		box->tail = &box->head;
	}
	pthread_mutex_unlock(&box->box_mtx);
	return box->taken_head != NULL;
}

struct mail *
mailbox_next(struct mailbox *box)
{
	struct mail *mail = box->taken_head;

	if (!mail)
		return NULL;
	box->taken_head = mail->next;
	if (!box->taken_head)
		box->taken_tail = &box->taken_head;
	mail->next = NULL;
	atomic_fetch_sub_explicit(&box->count, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&box->bytes, mail->bytes, memory_order_relaxed);
	return mail;
}

bool
mailbox_may_sleep(struct mailbox *box)
{
	bool may;

	if (box->taken_head)
		return false;
	pthread_mutex_lock(&box->box_mtx);
	may = !box->head && !box->poked;
	box->poked = false;
	box->asleep = may;
	pthread_mutex_unlock(&box->box_mtx);
	return may;
}

bool
mailbox_wait(struct mailbox *box, int timeout_ms)
{
	struct pollfd pfd = {.fd = box->event_fd, .events = POLLIN};
	uint64_t wakes;

	if (mailbox_may_sleep(box)) {
		(void)poll(&pfd, 1, timeout_ms); /* a signal ends the wait early, which is no harm */
		if (pfd.revents & POLLIN)
			(void)!read(box->event_fd, &wakes, sizeof(wakes));
	}
	return mailbox_collect(box);
}

struct mailbox_stats
mailbox_stats(struct mailbox *box)
{
	return (struct mailbox_stats){
	    .count = atomic_load_explicit(&box->count, memory_order_relaxed),
	    .bytes = atomic_load_explicit(&box->bytes, memory_order_relaxed),
	};
}
