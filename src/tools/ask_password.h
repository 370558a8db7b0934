/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TOOLS_ASK_PASSWORD_H
#define TOOLS_ASK_PASSWORD_H

/*
 * Getting a password from a person or a pipe: from the terminal without echo, or one line of standard input.
 *
 * Threads: one; it takes the terminal and signals while it asks.
 */

#include <stdbool.h>
#include <stddef.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* Twice the longest password: what is too long must be seen to be, and not be cut. */
#define ASK_PASSWORD_BYTES 1024

struct password {
	char text[ASK_PASSWORD_BYTES];
	size_t len;
};

void password_wipe(struct password *password);
struct bytes password_bytes(const struct password *password); /* borrowed */
bool password_equal(const struct password *a, const struct password *b);

/* Asks on the terminal of the process.  CHAT_ERR_NOT_FOUND: it has none; CHAT_ERR_IO with errno set. */
enum chat_err password_ask(const char *prompt, struct password *ret_password) MUST_USE;

/*
 * The first line of standard input, without its newline, and nothing behind it.  CHAT_ERR_TOO_LONG;
 * CHAT_ERR_NOT_FOUND: there is not even an empty line; CHAT_ERR_IO with errno set.
 */
enum chat_err password_read_stdin(struct password *ret_password) MUST_USE;

#endif
