/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The lines of a configuration file. */

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "server/options.h"

#define NAME_SHOWN_MAX 40

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* A # at the start or behind a blank ends the line, so that one inside of a file's name does not. */
static struct bytes
without_comment(struct bytes line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] == '#' && (i == 0 || is_blank(line.data[i - 1])))
			return BYTES(line.data, i);
	return line;
}

static bool
printable(struct bytes line)
{
	while (line.len > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(line, &c);

		if (n == 0 || (utf8_is_control(c) && c != '\t'))
			return false;
		line = BYTES(line.data + n, line.len - n);
	}
	return true;
}

#define DISTANCE_MAX_CHARS 31

/* How many characters have to be added, removed or changed to make a into b (Levenshtein). */
static size_t
distance(struct bytes a, struct bytes b)
{
	size_t row[DISTANCE_MAX_CHARS + 1];

	if (a.len > DISTANCE_MAX_CHARS || b.len > DISTANCE_MAX_CHARS)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = diagonal + (a.data[i - 1] != b.data[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.len];
}

static const char *
nearest_name(struct bytes name)
{
	const char *nearest = NULL;
	size_t best = 4; /* farther off it is no slip of the finger */

	for (size_t i = 0; i < option_row_count; i++) {
		size_t d = distance(name, BYTES_STR(option_rows[i].name));

		/* Of a short name most letters have to be right. */
		if (d < best && d * 2 <= name.len) {
			best = d;
			nearest = option_rows[i].name;
		}
	}
	return nearest;
}

static enum chat_err
unknown_option(struct bytes name, const char *path, unsigned number, struct passwd_why *ret_why)
{
	const char *nearest = nearest_name(name);
	int len = (int)(name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX);

	if (nearest != NULL)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, number,
		    "unknown option \"%.*s\"; did you mean %s?", len, (const char *)name.data, nearest);
	return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, number,
	    "unknown option \"%.*s\"; chat-server.conf(5) lists all options", len, (const char *)name.data);
}

static enum chat_err
parse_line(struct options *options, struct bytes line, const char *path, unsigned number,
    struct options_lines *lines, struct passwd_why *ret_why)
{
	const struct option_row *row;
	const uint8_t *equals;
	struct bytes name, value;
	char why[OPTION_WHY_CHARS];
	enum chat_err err;
	unsigned *first;

	if (!printable(line))
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, number,
		    "the line is not UTF-8, or has control characters; write it again");
	line = options_trim(without_comment(line));
	if (line.len == 0)
		return CHAT_OK;
	equals = memchr(line.data, '=', line.len);
	if (equals == NULL)
		return passwd_why_set(
		    ret_why, CHAT_ERR_SYNTAX, path, number, "the line has no \"=\"; write: option = value");
	name = options_trim(BYTES(line.data, (size_t)(equals - line.data)));
	value = options_trim(BYTES(equals + 1, line.len - (size_t)(equals + 1 - line.data)));
	row = option_find(name);
	if (row == NULL)
		return unknown_option(name, path, number, ret_why);
	first = &lines->line[row - option_rows];
	if (*first != 0)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, number,
		    "%s was already set in line %u; remove one of the two", row->name, *first);
	err = option_set(options, row, value, why);
	if (err == CHAT_ERR_NOMEM)
		return passwd_why_set(ret_why, err, path, number, "out of memory");
	if (err != CHAT_OK)
		return passwd_why_set(ret_why, err, path, number, "%s %s", row->name, why);
	*first = number;
	return CHAT_OK;
}

enum chat_err
options_parse(struct options *options, struct bytes text, const char *path, struct options_lines *ret_lines,
    struct passwd_why *ret_why)
{
	struct options_lines lines = {.line = {0}};
	enum chat_err err;

	if (text.len > OPTIONS_FILE_MAX_BYTES)
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, path, 0,
		    "the file is larger than %d KiB, so it is no configuration; name another file",
		    OPTIONS_FILE_MAX_BYTES / 1024);
	for (unsigned number = 1; text.len > 0; number++) {
		const uint8_t *newline = memchr(text.data, '\n', text.len);
		size_t len = newline != NULL ? (size_t)(newline - text.data) : text.len;
		struct bytes line = BYTES(text.data, len);

		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		err = parse_line(options, line, path, number, &lines, ret_why);
		if (err != CHAT_OK)
			return err;
		text = newline != NULL ? BYTES(newline + 1, text.len - len - 1) : BYTES_EMPTY;
	}
	*ret_lines = lines;
	return CHAT_OK;
}
