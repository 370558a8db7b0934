/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ACCOUNTS_PASSWD_WHY_H
#define ACCOUNTS_PASSWD_WHY_H

/*
 * Making the messages of this layer: `FILE:LINE: what is wrong; the mend`.  Text from the file or the command
 * line is made harmless for a terminal here, in one place.
 *
 * Threads: any.
 */

#include <stddef.h>

#include "accounts/passwd_file.h"
#include "base/compiler.h"

/*
 * Fills *why.  path may be NULL (no prefix), line 0 (no line).  Control characters and bytes that are not
 * UTF-8 become
 * '?', also those that fmt's arguments bring; a path or a text too long is cut.  Returns err, for `return
 * why_set(...)`.
 */
enum chat_err passwd_why_set(struct passwd_why *why, enum chat_err err, const char *path, unsigned line,
    const char *fmt, ...) PRINTF_LIKE(5, 6);

#define SHELL_WORD_BYTES 600

/*
 * path as it can be typed in a shell: quoted where it has to be.  One that is too long, or has control
 * characters, becomes the word FILE.  Returns ret.
 */
const char *passwd_shell_word(const char *path, char ret[static SHELL_WORD_BYTES]);

#endif
