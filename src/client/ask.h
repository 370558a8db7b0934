/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

/*
 * One answer from a terminal, with or without echo.  The terminal's own line editing collects it, so the
 * descriptor is polled as any other.  The settings of the terminal are as before from ask_stop() on.
 *
 * What it is not: it prints nothing, and it catches no signals: who owns it stops it before the program ends.
 *
 * Threads: the main one.
 */

#include <stdbool.h>
#include <termios.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/compiler.h"

struct ask {
	int fd; /* borrowed */
	bool active;
	bool hidden;
	struct termios saved;
	struct buf answer; /* secret */
};

enum ask_result { ASK_MORE, ASK_ANSWER, ASK_END /* no answer: end of input */ };

/* What was typed before is thrown away: it was meant for something else.  CHAT_ERR_IO: fd is no terminal. */
enum chat_err ask_start(struct ask *ask, int fd, bool hidden) MUST_USE;
/* The next question of the same kind: the answer is overwritten, and what was typed meanwhile counts. */
void ask_next(struct ask *ask);
/* Call it when fd is readable.  After ASK_ANSWER the answer, without its line feed, is in `answer' until
 * ask_stop(). */
enum ask_result ask_input(struct ask *ask) MUST_USE;
/* Puts the terminal in order and overwrites the answer; does nothing where nothing is being asked. */
void ask_stop(struct ask *ask);

/* Around a stop of the process (SIGTSTP, SIGCONT). */
void ask_suspend(struct ask *ask);
void ask_resume(struct ask *ask);

#endif
