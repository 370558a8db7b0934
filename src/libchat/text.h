/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_TEXT_H
#define LIBCHAT_TEXT_H

/*
 * The sentence that a failing function gives besides its error: which file or host, what is wrong with it,
 * and what to type.  It is for people, and best effort: where memory is short there is none.
 *
 * Threads: any.
 */

#include "base/compiler.h"

/* Formats into fresh memory, the caller's to free(), and puts it in *ret_text in place of what is there
 * (which is freed). ret_text may be NULL: then nothing happens.  errno is kept. */
void text_set(char **ret_text, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
