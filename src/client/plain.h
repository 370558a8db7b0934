/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_PLAIN_H
#define CLIENT_PLAIN_H

/*
 * The plain mode: lines in, lines out.  On a terminal they are edited with readline, and the program asks
 * where it has to know something; otherwise each line of the input is a command or a text, one after the
 * other.
 *
 * A line is done when what it asked for has ended: the lines behind a command wait for it, so that `/create
 * ops' and the text behind it mean what they seem to.  Texts do not wait for each other.
 *
 * The struct is shared by the files of the mode: plain.c (events, order of lines), requests.c (what is under
 * way), rooms.c (names of rooms, the current one), actions.c and queries.c (commands), questions.c, prompt.c
 * (readline).
 *
 * Threads: the main one.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/chat.h>

#include "base/compiler.h"
#include "client/app.h"
#include "client/input.h"
#include "client/lines.h"
#include "client/questions.h"
#include "client/requests.h"
#include "client/text.h"

#define PLAIN_LABEL_BYTES 256

/* A line of the input that waits for its turn. */
struct typed {
	STAILQ_ENTRY(typed) link;
	size_t len;
	char line[]; /* NUL behind it */
};

struct plain {
	struct app *app;
	struct lines lines;
	struct text text;   /* lines that are to be printed as soon as no question stands on the screen */
	bool terminal;      /* the input is one: questions may be asked */
	bool editing;       /* and the output too: with readline */
	bool end;           /* of the input */
	bool failed;        /* something that the input asked for was refused */
	bool started;       /* the rooms were caught up with once, and one was chosen */
	bool connecting;    /* that was said */
	struct input input; /* where nothing is edited */
	STAILQ_HEAD(, typed) typed; /* lines that wait; where nothing is edited at most one */
	struct requests requests;
	struct questions questions;
	bool in_room;
	struct chat_id room;              /* the current one, while in_room */
	char label[PLAIN_LABEL_BYTES];    /* its label */
	char progress[PLAIN_LABEL_BYTES]; /* what long work is being done; "": none */
};

/* Runs the mode on an app that app_init() opened; in_fd and out_fd as given there. */
void plain_run(struct app *app, int in_fd, int out_fd);

/* ---- for the files of the mode ---- */

/* Prints a line of the program's own; what others wrote has to be filtered. */
void plain_notice(struct plain *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Says what is wrong and what to do.  Of input that is no terminal the exit code tells it too. */
void plain_error(struct plain *p, const char *mend, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same for a request that was not taken or has failed; name: of its command. */
void plain_refused(struct plain *p, const char *name, enum chat_err err, const char *text, const char *mend);
/* A line without a time, of a table. */
void plain_row(struct plain *p, struct text *row, unsigned indent);

/* A line typed on a terminal: it is done in the next tick, or when those before it are. */
void plain_typed(struct plain *p, const char *line, size_t len);
/* The input has ended, or /quit was said: ends when what is under way has. */
void plain_leave(struct plain *p, uint64_t wait_ms);
/* The prompt shows the room and what is being worked on. */
void plain_update_prompt(struct plain *p);

#endif
