/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_THREAD_H
#define LIBCHAT_THREAD_H

/*
 * Threads inside somebody else's program: they take no signals, for those are the program's, and they are
 * told to wake up through a descriptor that poll(2) can wait for.
 */

#include <pthread.h>

#include <chat/err.h>

#include "base/compiler.h"

/* A joinable thread with all signals blocked.  name: at most 15 characters, for debuggers.  CHAT_ERR_NOMEM:
 * the system has none to give. */
enum chat_err thread_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg) MUST_USE;

/* An eventfd that does not block; -1: none to be had.  Both calls are for any thread and cannot block. */
int wake_fd_new(void);
void wake_fd_set(int fd);   /* readable from now on */
void wake_fd_clear(int fd); /* not readable until set again */

#endif
