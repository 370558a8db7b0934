/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_LINES_H
#define HOSTILE_LINES_H

/*
 * The lines that another program writes: a thread of their own collects them as they come, so that the
 * program never waits for us, and the test asks for those that hold certain texts.
 *
 * Texts to look for are a list of `const char *` with NULL at the end; a line has to hold all of them.
 *
 * Threads: any one thread at a time asks; the reading thread is private.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct lines;

/* What comes from fd, which is its own from now on.  name: for messages, borrowed. */
struct lines *lines_open(int fd, const char *name);
/* Waits for the end of what comes, which is when the program has ended.  Once, before lines_close(). */
void lines_wait_end(struct lines *lines);
void lines_close(struct lines *lines);

/* How many whole lines hold all the texts. */
size_t lines_count(struct lines *lines, va_list texts);
/* Waits until there are n of them, at most patience_ms, or the test fails; ret_line, unless NULL, gets a copy
 * of the n-th, which the caller frees. */
void lines_wait(struct lines *lines, size_t n, unsigned patience_ms, char **ret_line, va_list texts);
/* The text stands somewhere in what came so far, whole line or not. */
bool lines_hold(struct lines *lines, const char *text);
/* The end of it all to stderr, as comments. */
void lines_show(struct lines *lines);

#endif
