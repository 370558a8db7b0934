/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Writes what the rows of options.h say: `options-doc conf` the example file, `options-doc man` the list of
 * chat-server.conf(5).  tests/check-options.sh holds what is committed to it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/options.h"

static struct buf text; /* of the row's default, or of one number */

static const char *
show(enum chat_err err)
{
	if (err == CHAT_OK)
		err = buf_append(&text, "", 1);
	if (err != CHAT_OK) {
		(void)fprintf(stderr, "options-doc: %s\n", chat_strerror(err));
		exit(1);
	}
	return (const char *)text.data;
}

static const char *
number(const struct option_row *row, uint64_t value)
{
	buf_clear(&text);
	return show(option_show_number(row, value, &text));
}

static const char *
value_of(const struct options *options, const struct option_row *row)
{
	buf_clear(&text);
	return show(option_show(options, row, &text));
}

/* What may stand behind the =, as a sentence. */
static void
print_range(const struct option_row *row, const char *prefix)
{
	switch (row->type) {
	case OPTION_CHOICE:
		(void)printf("%sOne of", prefix);
		for (size_t i = 0; row->words[i] != NULL; i++)
			(void)printf("%s %s", i > 0 ? "," : "", row->words[i]);
		(void)printf(".\n");
		break;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		(void)printf("%sFrom %s ", prefix, number(row, row->min));
		(void)printf("to %s%s%s", number(row, row->max), row->unit != NULL ? " " : "",
		    row->unit != NULL ? row->unit : "");
		(void)printf(".\n");
		break;
	case OPTION_PATH:
	case OPTION_ADDRESSES:
		break;
	}
}

/* Each line but the first gets the prefix. */
static void
print_lines(const char *lines, const char *prefix, const char *end)
{
	for (const char *newline; (newline = strchr(lines, '\n')) != NULL; lines = newline + 1)
		(void)printf("%.*s\n%s", (int)(newline - lines), lines, prefix);
	(void)printf("%s%s\n", lines, end);
}

static void
print_help(const struct option_row *row, const char *prefix)
{
	(void)printf("%s", prefix);
	print_lines(row->help, prefix, "");
	print_range(row, prefix);
}

static void
print_conf(const struct options *defaults)
{
	(void)printf(
	    "# The configuration of chat-server, see chat-server.conf(5).\n"
	    "# Every option is here with its default.  What is marked \"restart\" takes a new start;\n"
	    "# for the rest a reload is enough: chatctl reload, or SIGHUP.\n");
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->section != NULL)
			(void)printf("\n# ---- %s ----\n", row->section);
		(void)printf("\n");
		print_help(row, "# ");
		if (row->special != NULL) {
			(void)printf("# %s means ", row->special);
			print_lines(row->special_means, "# ", ".");
		}
		if (row->when == OPTION_RESTART)
			(void)printf("# (restart)\n");
		(void)printf("#%s = %s\n", row->name, value_of(defaults, row));
	}
}

static void
print_man(const struct options *defaults)
{
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->section != NULL)
			(void)printf("%s.Ss %s\n.Bl -tag -width Ds\n", i > 0 ? ".El\n" : "", row->section);
		(void)printf(".It Ic %s Ns \" = \" Ns Ar %s\n", row->name,
		    row->type == OPTION_SIZE        ? "size"
		    : row->type == OPTION_DURATION  ? "time"
		    : row->type == OPTION_CHOICE    ? "word"
		    : row->type == OPTION_PATH      ? "path"
		    : row->type == OPTION_ADDRESSES ? "addresses"
						    : "number");
		print_help(row, "");
		if (row->special != NULL) {
			(void)printf(".Ql %s\nmeans ", row->special);
			print_lines(row->special_means, "", ".");
		}
		(void)printf("The default is\n.Ql %s .\n", value_of(defaults, row));
		if (row->flag == '#')
			(void)printf("The operand of\n.Xr chat-server 8\ncomes first.\n");
		else if (row->flag != 0)
			(void)printf("The option\n.Fl %c\nof\n.Xr chat-server 8\ncomes first.\n", row->flag);
		if (row->when == OPTION_RESTART)
			(void)printf("A new value needs a restart.\n");
	}
	(void)printf(".El\n");
}

int
main(int argc, char **argv)
{
	struct options defaults;
	enum chat_err err = options_init(&defaults);

	if (err != CHAT_OK || argc != 2 || (strcmp(argv[1], "conf") != 0 && strcmp(argv[1], "man") != 0)) {
		(void)fprintf(stderr, "usage: options-doc conf | man\n");
		return 2;
	}
	if (strcmp(argv[1], "conf") == 0)
		print_conf(&defaults);
	else
		print_man(&defaults);
	options_fini(&defaults);
	buf_fini(&text);
	return fflush(stdout) == 0 ? 0 : 1;
}
