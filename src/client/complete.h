/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_COMPLETE_H
#define CLIENT_COMPLETE_H

/*
 * What Tab may mean: commands, rooms, invitations, accounts, by what the command table says of an argument;
 * in a text the members of the current room.
 *
 * What it is not: it knows nothing of readline (prompt.c does).
 *
 * Threads: the main one.
 */

#include <stddef.h>

#include "base/compiler.h"

struct plain;

/* What may stand in place of the word that begins at `start` of the line; the line ends at the cursor. */
struct completions {
	char **word; /* each and the list are the caller's: completions_fini() */
	size_t count;
	size_t cap;
};

/* Whatever cannot be had (no memory, no rooms) is just not offered. */
void complete_line(struct plain *p, const char *line, size_t start, struct completions *ret);
void completions_fini(struct completions *c);

#endif
