/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_PROMPT_H
#define CLIENT_PROMPT_H

/*
 * The line that is being typed, by readline: editing, history (of this run, never on disk), completion, and a
 * prompt that moves out of the way of what is printed.
 *
 * readline is one to a process, and so is this.  While it is not open, or paused, all but prompt_open() do
 * nothing.
 *
 * Threads: the main one.
 */

#include <stdbool.h>

struct plain;

/* Takes over the terminal on descriptors 0 and 1; lines go to plain_typed(), the end to plain_leave(). */
void prompt_open(struct plain *p);
/* Gives it back as it was. */
void prompt_close(void);

void prompt_set(const char *text); /* already filtered */

/* Around what is printed by others. */
void prompt_hide(void);
void prompt_show(void);

/* Around questions and stops of the process; what was typed comes back.  May be called twice. */
void prompt_pause(void);
void prompt_resume(void);

/* The terminal is readable. */
void prompt_input(void);
/* Throws away what is being typed; false: there was nothing. */
bool prompt_clear_line(void);
/* The terminal has another size. */
void prompt_resize(void);

#endif
