/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_SECRET_H
#define CLIENT_SECRET_H

/*
 * A password or passphrase from a file: its first line.
 *
 * Threads: any.  Ownership: the buffer is the caller's, to be ended with buf_fini_secret().
 */

#include <chat/err.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "client/text.h"

#define SECRET_MAX_BYTES 1024

/*
 * CHAT_ERR_PERMISSION: others than its owner can get at it; CHAT_ERR_INVALID: it holds none, or one longer
 * than SECRET_MAX_BYTES; CHAT_ERR_NOT_FOUND, CHAT_ERR_IO, CHAT_ERR_NOMEM.  why then has a line with the file
 * and the mend. A pipe (as of a shell's process substitution) is read to its end, so only once.
 */
enum chat_err secret_read(const char *path, struct buf *secret, struct text *why) MUST_USE;

#endif
