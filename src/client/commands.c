/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/commands.h"

#include <stdlib.h>
#include <string.h>

#include "client/actions.h"
#include "client/queries.h"

#define MANY COMMAND_ARGS_MAX

const struct command command_table[] = {
    {"create", "ROOM", 1, 1, false, false, ARG_OTHER, ARG_NONE, action_create, "make a room and go there"},
    {"invite", "USER...", 1, MANY, true, false, ARG_ACCOUNT, ARG_ACCOUNT, action_invite,
	"invite people into this room"},
    {"accept", "[ROOM]", 0, 1, false, false, ARG_INVITATION, ARG_NONE, action_accept,
	"accept an invitation and go there"},
    {"decline", "[ROOM]", 0, 1, false, false, ARG_INVITATION, ARG_NONE, action_decline,
	"decline an invitation"},
    {"rooms", "", 0, 0, false, false, ARG_NONE, ARG_NONE, query_rooms, "list your rooms and invitations"},
    {"switch", "ROOM", 1, 1, false, false, ARG_ROOM, ARG_NONE, query_switch, "talk in another room"},
    {"who", "", 0, 0, false, false, ARG_NONE, ARG_NONE, query_who, "list who is online"},
    {"members", "", 0, 0, false, false, ARG_NONE, ARG_NONE, query_members, "list the members of this room"},
    {"msg", "USER [TEXT]", 1, 2, false, false, ARG_ACCOUNT, ARG_OTHER, action_msg,
	"say something to one person alone; without TEXT go to that room"},
    {"leave", "[ROOM]", 0, 1, false, false, ARG_ROOM, ARG_NONE, action_leave, "leave this room, or ROOM"},
    {"topic", "[TEXT]", 0, 1, false, false, ARG_OTHER, ARG_NONE, action_topic,
	"set the topic of this room; - removes it; without TEXT show it"},
    {"name", "NAME", 1, 1, false, false, ARG_OTHER, ARG_NONE, action_name, "rename this room"},
    {"history", "[N]", 0, 1, false, false, ARG_OTHER, ARG_NONE, action_history,
	"show N older entries of this room (1 to 1000; else 20)"},
    {"passwd", "", 0, 0, false, false, ARG_NONE, ARG_NONE, action_passwd, "change your password"},
    {"whoami", "", 0, 0, false, false, ARG_NONE, ARG_NONE, query_whoami,
	"show account, server and safety digits"},
    {"audit", "", 0, 0, false, false, ARG_NONE, ARG_NONE, query_audit,
	"show this room's log as digits, to compare with another member"},
    {"help", "[COMMAND]", 0, 1, false, true, ARG_COMMAND, ARG_NONE, query_help,
	"list the commands, or explain one"},
    {"quit", "", 0, 0, false, true, ARG_NONE, ARG_NONE, action_quit,
	"leave the program; you stay in your rooms"},
};
const size_t command_count = ARRAY_LEN(command_table);

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(command_table[i].name, name) == 0)
			return &command_table[i];
	}
	return NULL;
}

/* ---- what may have been meant ---- */

#define NAME_MAX_CHARS 16

static size_t
min3(size_t a, size_t b, size_t c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Letters to insert, remove, change or swap (optimal string alignment). */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t d[NAME_MAX_CHARS + 1][NAME_MAX_CHARS + 1];

	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= b_len; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			d[i][j] =
			    min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[a_len][b_len];
}

/* Habits from other programs. */
static const struct {
	const char *typed, *meant;
} synonyms[] = {
    {"join", "accept"},
    {"part", "leave"},
    {"exit", "quit"},
    {"bye", "quit"},
    {"names", "members"},
    {"query", "msg"},
    {"tell", "msg"},
    {"list", "rooms"},
    {"new", "create"},
    {"reject", "decline"},
    {"password", "passwd"},
    {"rename", "name"},
    {"log", "history"},
    {"go", "switch"},
    {"add", "invite"},
};

const struct command *
command_nearest(const char *name)
{
	size_t len = strlen(name), best = 3;
	const struct command *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(synonyms); i++) {
		if (strcmp(synonyms[i].typed, name) == 0)
			return command_find(synonyms[i].meant);
	}
	if (len == 0 || len > NAME_MAX_CHARS)
		return NULL;
	for (size_t i = 0; i < command_count; i++) {
		const char *candidate = command_table[i].name;
		/* A beginning of it is nearer than any mistake; of short names half may be wrong, not all. */
		size_t n = strncmp(candidate, name, len) == 0
			       ? 0
			       : distance(name, len, candidate, strlen(candidate));

		if (n < best && n * 2 <= strlen(candidate)) {
			best = n;
			found = &command_table[i];
		}
	}
	return found;
}

/* ---- a line taken apart ---- */

static char *
skip_spaces(char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Ends the word at s with a NUL, and returns what follows the spaces behind it. */
static char *
cut_word(char *s)
{
	s += strcspn(s, " \t");
	if (*s != '\0')
		*s++ = '\0';
	return skip_spaces(s);
}

static void
cut_trailing_spaces(char *s)
{
	size_t len = strlen(s);

	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		s[--len] = '\0';
}

static enum chat_err
unknown(const char *name, struct text *why, struct text *mend)
{
	const struct command *nearest = command_nearest(name);

	text_str(why, "unknown command: /");
	text_name(why, name);
	if (nearest)
		text_printf(mend, "did you mean /%s%s%s? /help lists all; // begins a text with a slash",
		    nearest->name, *nearest->args ? " " : "", nearest->args);
	else
		text_str(mend, "/help lists all; // begins a text with a slash");
	return CHAT_ERR_UNKNOWN_REQUEST;
}

static enum chat_err
split_args(char *rest, struct command_line *cl, struct text *why, struct text *mend)
{
	const struct command *command = cl->command;
	bool too_many = false;

	while (*rest != '\0' && !too_many) {
		too_many = cl->count == command->max;
		if (too_many)
			break;
		cl->args[cl->count++] = rest;
		if (!command->words && cl->count == command->max)
			break; /* it takes the rest */
		rest = cut_word(rest);
	}
	if (cl->count >= command->min && !too_many)
		return CHAT_OK;
	text_printf(why, too_many ? "/%s takes less than that" : "/%s needs more than that", command->name);
	text_printf(
	    mend, "/%s%s%s: %s", command->name, *command->args ? " " : "", command->args, command->help);
	return CHAT_ERR_SYNTAX;
}

enum chat_err
command_parse(const char *line, size_t len, struct command_line *ret, struct text *why, struct text *mend)
{
	struct command_line cl = {.text = line, .text_len = len};
	enum chat_err err = CHAT_OK;
	char *rest;

	if (len == 0 || line[0] != '/') {
		*ret = cl;
		return CHAT_OK;
	}
	if (len > 1 && line[1] == '/') {
		cl.text++;
		cl.text_len--;
		*ret = cl;
		return CHAT_OK;
	}
	cl.copy = strndup(line + 1, len - 1);
	if (!cl.copy)
		return CHAT_ERR_NOMEM;
	rest = cut_word(cl.copy);
	cut_trailing_spaces(rest);
	cl.command = command_find(cl.copy);
	err = cl.command ? split_args(rest, &cl, why, mend) : unknown(cl.copy, why, mend);
	if (err == CHAT_OK) {
		*ret = cl;
		cl.copy = NULL;
	}
	free(cl.copy);
	return err;
}

void
command_line_fini(struct command_line *cl)
{
	free(cl->copy);
}
