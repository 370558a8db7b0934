/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

/*
 * The control socket, STATE/control: one request in a line, one answer, and the connection ends.
 *
 *     client: status\n                     or: backup /srv/chat-backup.db\n
 *     server: ok 123\n and 123 bytes       or: error no such command\n
 *
 * It serves the server's own user and root, by the socket's mode and by who connects (SO_PEERCRED).  What the
 * commands are and what they do is its owner's table; an answer may come later.
 *
 * Threads: the loop's.
 */

#include <stdbool.h>
#include <stddef.h>

#include <chat/err.h>

#include "accounts/passwd_why.h"
#include "base/bytes.h"
#include "base/compiler.h"

struct control;
struct loop;

#define CONTROL_LINE_MAX_BYTES  8192  /* a command and a path */
#define CONTROL_CONNECTIONS_MAX 16    /* more wait in the kernel's queue */
#define CONTROL_LINE_MS         10000 /* until the line has to be there */

/* One that waits for its answer: exactly one of the two functions below ends it. */
struct control_request;

/* argument: "" where the line has none; borrowed for the call. */
typedef void (*control_fn)(void *ctx, struct control_request *request, const char *argument);

struct control_command {
	const char *name;
	bool has_argument;
	control_fn fn;
};

/*
 * Makes the socket in dir, in place of one that an earlier server left: the caller holds the lock of the
 * directory. Serves on the loop from now on.  commands: borrowed, ended by a row without a name.
 */
enum chat_err control_open(const char *dir, struct loop *loop, const struct control_command *commands,
    void *ctx, struct control **ret_control, struct passwd_why *ret_why) MUST_USE;
/* Removes the socket, so that no request comes any more. */
void control_stop(struct control *control);
/* Stops, and ends every connection: requests without an answer are cut, and their owner forgets them.
 * Outside of the loop's turns.  NULL is allowed. */
void control_free(struct control *control);

void control_answer(struct control_request *request, struct bytes text);
/* why: one line, without its newline. */
void control_refuse(struct control_request *request, const char *why);
/* As control_answer(), but the connection stays open until control_free(): its end is the real answer. */
void control_answer_and_hold(struct control_request *request, struct bytes text);

#endif
