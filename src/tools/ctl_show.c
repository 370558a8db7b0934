/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/ctl_show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define COLUMNS_MAX 16

enum format { PLAIN, SECONDS, BYTE_COUNT, OR_NONE, OR_ALL };

static const struct label {
	const char *key, *label;
	enum format format;
} labels[] = {
    {"version", "version", PLAIN},
    {"protocol", "protocol version", PLAIN},
    {"pid", "process", PLAIN},
    {"uptime_s", "uptime", SECONDS},
    {"listening", "listening on", PLAIN},
    {"fingerprint", "fingerprint", PLAIN},
    {"state_dir", "state directory", PLAIN},
    {"configuration", "configuration", OR_NONE},
    {"waiting_for_restart", "waiting for a restart", OR_NONE},
    {"password_file", "password file", PLAIN},
    {"password_file_state", "password file is", PLAIN},
    {"accounts", "accounts", PLAIN},
    {"sessions", "sessions", PLAIN},
    {"connections", "connections", PLAIN},
    {"connections_max", "connections at most", PLAIN},
    {"rooms", "rooms", PLAIN},
    {"rooms_in_memory", "rooms in memory", PLAIN},
    {"accounts_in_memory", "accounts in memory", PLAIN},
    {"entries", "entries", PLAIN},
    {"entries_since_start", "entries since the start", PLAIN},
    {"store", "database", PLAIN},
    {"database_check", "database check", PLAIN},
    {"database_bytes", "database size", BYTE_COUNT},
    {"free_bytes", "free in it", BYTE_COUNT},
    {"wal_bytes", "database log", BYTE_COUNT},
    {"failed_commits", "failed commits", PLAIN},
    {"history_days", "days of history", OR_ALL},
    {"history_entries", "entries of a room", OR_ALL},
    {"rooms_with_limits", "rooms with own limits", PLAIN},
    {"messages_removed", "messages removed", PLAIN},
    {"retention", "retention", PLAIN},
    {"turns", "turns of the engine", PLAIN},
    {"commands", "commands", PLAIN},
    {"engine_queue", "engine queue", PLAIN},
    {"reader_queue", "reader queue", PLAIN},
    {"kdf_queue", "password queue", PLAIN},
    {"password_hashes", "password hashes", PLAIN},
    {"loops", "loops", PLAIN},
};

void
ctl_show_text(struct bytes text)
{
	(void)fwrite(text.data, 1, text.len, stdout);
}

/* The next line, without its newline; false at the end. */
static bool
next_line(struct bytes *text, struct bytes *ret)
{
	const uint8_t *newline = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;

	if (newline == NULL)
		return false;
	*ret = BYTES(text->data, (size_t)(newline - text->data));
	*text = BYTES(newline + 1, text->len - ret->len - 1);
	return true;
}

/* key=value; value is empty where there is no =. */
static void
split(struct bytes pair, struct bytes *ret_key, struct bytes *ret_value)
{
	const uint8_t *equals = pair.len > 0 ? memchr(pair.data, '=', pair.len) : NULL;
	size_t len = equals != NULL ? (size_t)(equals - pair.data) : pair.len;

	*ret_key = BYTES(pair.data, len);
	*ret_value = equals != NULL ? BYTES(equals + 1, pair.len - len - 1) : BYTES_EMPTY;
}

static uint64_t
number(struct bytes text)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
		value = value * 10 + (text.data[i] - '0');
	return value;
}

static void
print_seconds(uint64_t seconds)
{
	uint64_t days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;

	if (days > 0)
		(void)printf("%" PRIu64 " d %" PRIu64 " h\n", days, hours);
	else if (hours > 0)
		(void)printf("%" PRIu64 " h %" PRIu64 " min\n", hours, minutes);
	else if (minutes > 0)
		(void)printf("%" PRIu64 " min %" PRIu64 " s\n", minutes, seconds % 60);
	else
		(void)printf("%" PRIu64 " s\n", seconds);
}

static void
print_byte_count(uint64_t count)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	double value = (double)count;

	while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	(void)printf(unit == 0 ? "%.0f %s\n" : "%.1f %s\n", value, units[unit]);
}

static void
print_value(enum format format, struct bytes value)
{
	switch (format) {
	case SECONDS:
		print_seconds(number(value));
		break;
	case BYTE_COUNT:
		print_byte_count(number(value));
		break;
	case OR_NONE:
		if (value.len == 0)
			value = BYTES("none", 4);
		(void)printf("%.*s\n", (int)value.len, (const char *)value.data);
		break;
	case OR_ALL:
		if (bytes_equal(value, BYTES_STR("0")))
			value = BYTES_STR("all are kept");
		/* fall through */
	case PLAIN:
		(void)printf("%.*s\n", (int)value.len, (const char *)value.data);
		break;
	}
}

static const struct label *
find_label(struct bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		if (bytes_equal(key, BYTES_STR(labels[i].key)))
			return &labels[i];
	return NULL;
}

/* The value of a key in the text; false where it has none. */
static bool
find_value(struct bytes text, const char *key, struct bytes *ret)
{
	struct bytes line, k;

	while (next_line(&text, &line)) {
		split(line, &k, ret);
		if (bytes_equal(k, BYTES_STR(key)))
			return true;
	}
	return false;
}

void
ctl_show_status(struct bytes text)
{
	struct bytes line, key, value;

	/* In the order of the labels, and then what has none. */
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (!find_value(text, labels[i].key, &value))
			continue;
		(void)printf("%-24s ", labels[i].label);
		print_value(labels[i].format, value);
	}
	while (next_line(&text, &line)) {
		split(line, &key, &value);
		if (find_label(key) == NULL)
			(void)printf("%-24.*s %.*s\n", (int)key.len, (const char *)key.data, (int)value.len,
			    (const char *)value.data);
	}
}

/* ---- tables ---- */

struct column {
	struct bytes key;
	size_t width;
};

/* The next word of a line; false at its end. */
static bool
next_word(struct bytes *line, struct bytes *ret)
{
	size_t len = 0;

	while (line->len > 0 && line->data[0] == ' ')
		*line = BYTES(line->data + 1, line->len - 1);
	while (len < line->len && line->data[len] != ' ')
		len++;
	*ret = BYTES(line->data, len);
	*line = BYTES(line->data + len, line->len - len);
	return len > 0;
}

static size_t
find_column(struct column *columns, size_t *count, struct bytes key)
{
	size_t i = 0;

	while (i < *count && !bytes_equal(columns[i].key, key))
		i++;
	if (i == *count && i < COLUMNS_MAX)
		columns[(*count)++] = (struct column){.key = key, .width = key.len};
	return i;
}

/* Whether the line is a row of the table: its first key is that of the first line. */
static bool
is_row(struct bytes line, struct bytes first_key)
{
	struct bytes word, key, value;

	if (!next_word(&line, &word))
		return false;
	split(word, &key, &value);
	return bytes_equal(key, first_key);
}

static struct bytes
first_key_of(struct bytes text)
{
	struct bytes line, word, key = BYTES_EMPTY, value;

	if (next_line(&text, &line) && next_word(&line, &word))
		split(word, &key, &value);
	return key;
}

/* Every key that any row has, in the order in which they first come. */
static size_t
measure(struct bytes text, struct column *columns)
{
	struct bytes first = first_key_of(text), line, word, key, value;
	size_t count = 0;

	while (next_line(&text, &line)) {
		if (!is_row(line, first))
			continue;
		while (next_word(&line, &word)) {
			size_t i;

			split(word, &key, &value);
			i = find_column(columns, &count, key);
			if (i < COLUMNS_MAX && value.len > columns[i].width)
				columns[i].width = value.len;
		}
	}
	return count;
}

static void
print_cell(struct bytes text, const struct column *column, bool last)
{
	(void)printf(last ? "%.*s\n" : "%.*s", (int)text.len, (const char *)text.data);
	for (size_t i = text.len; i < column->width + 2 && !last; i++)
		(void)putchar(' ');
}

static void
print_row(struct bytes line, struct column *columns, size_t count)
{
	struct bytes cells[COLUMNS_MAX], word, key, value;

	for (size_t i = 0; i < count; i++)
		cells[i] = BYTES("-", 1);
	while (next_word(&line, &word)) {
		size_t i;

		split(word, &key, &value);
		i = find_column(columns, &count, key);
		if (i < count)
			cells[i] = value;
	}
	for (size_t i = 0; i < count; i++)
		print_cell(cells[i], &columns[i], i + 1 == count);
}

void
ctl_show_table(struct bytes text)
{
	struct column columns[COLUMNS_MAX];
	size_t count = measure(text, columns);
	struct bytes first = first_key_of(text), line;

	if (count == 0)
		(void)printf("none\n");
	for (size_t i = 0; i < count; i++)
		print_cell(columns[i].key, &columns[i], i + 1 == count);
	while (next_line(&text, &line)) {
		if (is_row(line, first))
			print_row(line, columns, count);
		else
			(void)printf("%.*s\n", (int)line.len, (const char *)line.data);
	}
}
