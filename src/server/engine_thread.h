/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_ENGINE_THREAD_H
#define SERVER_ENGINE_THREAD_H

/*
 * The thread around the engine: takes commands from one mailbox, gives the engine turns that are bounded in
 * commands, bytes and time, and hands what came of each turn to the loops, to the readers and to main.
 *
 * Threads: the posting functions on any; the others on the owner's.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "net/mailbox.h"
#include "server/command.h"
#include "server/server_limits.h"

struct engine_thread;
struct readers;
struct store;

struct engine_thread_config {
	struct store *store; /* borrowed; this thread's alone once it is started */
	struct server_limits *limits;
	struct readers *readers;      /* borrowed */
	struct mailbox *const *loops; /* borrowed, by conn_ref.loop */
	uint16_t loop_count;
	uint32_t slots_per_loop;
	struct mailbox *main_mailbox; /* borrowed; NULL: nobody asks for a status */
};

/* Does not run yet, but can be posted to.  CHAT_ERR_NOMEM, CHAT_ERR_IO with errno set. */
enum chat_err
engine_thread_new(const struct engine_thread_config *config, struct engine_thread **ret) MUST_USE;
/* CHAT_ERR_IO with errno set. */
enum chat_err engine_thread_start(struct engine_thread *et) MUST_USE;

/* Takes the command over.  CHAT_ERR_BUSY: ENGINE_MAILBOX_MAX wait already; CHAT_ERR_CLOSED: it is ending. The
 * command is the caller's still then. */
enum chat_err engine_thread_post(struct engine_thread *et, struct command *cmd) MUST_USE;
/* The same for what must not be lost, whatever waits; after the end it is dropped. */
void engine_thread_post_always(struct engine_thread *et, struct command *cmd);
/*
 * The word that a connection is gone.  It is made when the engine first hears of the connection, so that
 * giving it later cannot fail; and it is small, for each connection has one.
 */
struct close_mail {
	struct mail mail;
	struct conn_ref conn;
};
struct close_mail *close_mail_new(struct conn_ref conn) MUST_USE; /* NULL: out of memory */
/* Takes it over. */
void engine_thread_close(struct engine_thread *et, struct close_mail *close_mail);
/* Limits for the turns to come; out of memory leaves the old ones in force. */
enum chat_err engine_thread_reconfigure(struct engine_thread *et, struct server_limits *limits) MUST_USE;

size_t engine_thread_waiting(struct engine_thread *et);

/* Works off what was posted, hands its outcomes on, ends the thread.  Nothing can be posted any more. */
void engine_thread_stop(struct engine_thread *et);
void engine_thread_free(struct engine_thread *et); /* stopped, or never started; NULL is allowed */

#endif
