/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_LINES_H
#define CLIENT_LINES_H

/*
 * Events as lines for people: what the plain mode prints.
 *
 *     === Thursday, 20 November 2025
 *     09:41 [ops] <alice> hello
 *     09:42 [ops] -- alice invited bob
 *     09:42 -- connection lost: the server cannot be reached; trying again
 *     09:42 ! [ops] entry 7 cannot be read: ...
 *
 * Everything that is not the program's own goes through the filter; rows are broken at the width of the
 * terminal (wrap.h), and brackets in a label are shown as round ones: so no text looks like another line.
 *
 * What it is not: it prints nothing, asks nothing, and does not know which room is the current one.
 *
 * Threads: one at a time.  The time zone and the locale are the process's.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/chat.h>

#include "client/text.h"

struct lines {
	unsigned columns; /* of the terminal; 0: no terminal, nothing is broken */
	bool connected;   /* as far as was said */
	bool lost;        /* the line about the loss was written; the next one is about the return */
	bool synced;      /* what happens from now on is live, unless it says otherwise */
	bool away;        /* inside of what happened while away */
	bool older;       /* inside of what answers chat_history(); who asked for it ends it */
	int32_t last_day; /* of the last line: year * 512 + day of the year; 0: none yet */
};

/* Appends zero or more lines for the event.  PASSWORD_NEEDED, SERVER_UNKNOWN, PROGRESS, FAILED and DONE give
 * none: they are more than a line, and the business of whoever asked. */
void lines_event(struct lines *l, const struct chat_event *event, uint64_t now_unix_ms, struct text *out);

/* A line of the program's own; body: already filtered where it has to be. */
void lines_notice(struct lines *l, uint64_t now_unix_ms, struct text *out, const char *body);
/* The same for what went wrong; label NULL: of no room; mend NULL or "": nothing to do about it. */
void lines_error(struct lines *l, uint64_t now_unix_ms, struct text *out, const char *label, const char *body,
    const char *mend);
/* A text that was typed and is not on the server yet. */
void lines_pending(struct lines *l, uint64_t now_unix_ms, struct text *out, const char *label,
    struct bytes body, const char *why);
/* Without a time, broken at the width, following rows indented: tables and help. */
void lines_plain(const struct lines *l, struct text *out, const char *body, unsigned indent);

/* The label as it is shown: filtered, without square brackets. */
void lines_label(struct text *out, const char *label);
/* HH:MM of today, or the date before it where it was another day. */
void lines_when(struct text *out, uint64_t unix_ms, uint64_t now_unix_ms);

#endif
