/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

/*
 * What people may type: the table of commands, and a line taken apart by it.  To add a command is to add a
 * row here and its handler in actions.c or queries.c (and to chat-client(1), which a test compares).
 *
 * Threads: any; the table is constant.
 */

#include <stdbool.h>
#include <stddef.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "client/text.h"

struct plain;

#define COMMAND_ARGS_MAX 256

/* What an argument is, for completion. */
enum command_arg { ARG_NONE, ARG_OTHER, ARG_ROOM, ARG_INVITATION, ARG_ACCOUNT, ARG_COMMAND };

struct command {
	const char *name; /* without the slash */
	const char *args; /* as help shows them */
	size_t min, max;  /* arguments; the last one of several takes the rest of the line, unless `words' */
	bool words;       /* every word is an argument */
	bool at_once;     /* waits for no line before it */
	enum command_arg first; /* what the first argument is, */
	enum command_arg more;  /* and the others */
	void (*run)(
	    struct plain *p, char *const *args, size_t count); /* args: NUL-terminated, min to max of them */
	const char *help;
};

extern const struct command command_table[];
extern const size_t command_count;

const struct command *command_find(const char *name);    /* exactly; NULL: none */
const struct command *command_nearest(const char *name); /* what may have been meant; NULL: nothing is near */

/* A line, taken apart.  Owns one copy of the line, into which args point. */
struct command_line {
	const struct command *command; /* NULL: it is a text */
	size_t count;
	char *args[COMMAND_ARGS_MAX];
	const char *text; /* where it is a text: what is to be said; borrowed from the line given */
	size_t text_len;
	char *copy; /* owned */
};

/*
 * CHAT_ERR_UNKNOWN_REQUEST: no such command; CHAT_ERR_SYNTAX: too few or too many arguments; why and mend
 * then say so (what was typed is filtered).  CHAT_ERR_NOMEM.  An empty line is an empty text.
 */
enum chat_err command_parse(
    const char *line, size_t len, struct command_line *ret, struct text *why, struct text *mend) MUST_USE;
void command_line_fini(struct command_line *cl);

#endif
