/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/thread.h"

#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum chat_err
thread_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg)
{
	sigset_t all, saved;
	int rc;

	(void)sigfillset(&all);
	rc = pthread_sigmask(SIG_SETMASK, &all, &saved);
	if (rc == 0) {
		rc = pthread_create(ret, NULL, fn, arg);
		(void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
	}
	if (rc != 0)
		return CHAT_ERR_NOMEM;
	(void)pthread_setname_np(*ret, name);
	return CHAT_OK;
}

int
wake_fd_new(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void
wake_fd_set(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; /* EAGAIN: it has been set 2^64 times and is readable */
}

void
wake_fd_clear(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n; /* EAGAIN: it was not set */
}
