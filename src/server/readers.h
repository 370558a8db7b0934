/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_READERS_H
#define SERVER_READERS_H

/*
 * The reader pool: threads with a reader of the store each, which work off read requests (read_run.h) and
 * post what comes of them to the asking connection's loop.
 *
 * The queue has no limit of its own: each connection has few reads under way (limits.h).
 *
 * Threads: readers_put() on any; the others on the owner's.
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "net/mailbox.h"
#include "server/outcome.h"

struct readers;
struct store;

#define READER_THREADS 2

/* Opens the readers, so that the engine must not run yet.  The store outlives the pool; `loops` are where
 * results go, by conn_ref.loop, borrowed.  CHAT_ERR_NOMEM, and what the store says. */
enum chat_err readers_new(
    struct store *store, struct mailbox *const *loops, uint16_t loop_count, struct readers **ret) MUST_USE;
/* CHAT_ERR_IO with errno set. */
enum chat_err readers_start(struct readers *readers) MUST_USE;
/* Takes the request over.  After readers_stop() it is dropped. */
void readers_put(struct readers *readers, struct read_request *request);
size_t readers_waiting(struct readers *readers);
/* Does what was put, then ends the threads. */
void readers_stop(struct readers *readers);
void readers_free(struct readers *readers); /* stopped; NULL is allowed */

#endif
