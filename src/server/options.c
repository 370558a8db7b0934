/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/options.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX     32
#define ADDRESS_MAX_CHARS 255 /* of a host name: RFC 1035, 2.3.4 */
#define PATH_MAX_CHARS    4095

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: option_show_number() takes the first that divides. */
static const struct unit size_units[] = {
    {"GiB", UINT64_C(1) << 30}, {"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}, {"", 1}};
static const struct unit duration_units[] = {{"d", UINT64_C(86400000)}, {"h", UINT64_C(3600000)},
    {"m", UINT64_C(60000)}, {"s", UINT64_C(1000)}, {"ms", 1}};
static const struct unit number_units[] = {{"", 1}};

static const struct unit *
units_of(const struct option_row *row, size_t *ret_count)
{
	switch (row->type) {
	case OPTION_SIZE:
		*ret_count = ARRAY_LEN(size_units);
		return size_units;
	case OPTION_DURATION:
		*ret_count = ARRAY_LEN(duration_units);
		return duration_units;
	case OPTION_NUMBER:
	case OPTION_CHOICE:
	case OPTION_PATH:
	case OPTION_ADDRESSES:
		break;
	}
	*ret_count = ARRAY_LEN(number_units);
	return number_units;
}

/* The fields, by the row's type. */

static void *
field(const struct option_row *row, struct options *options)
{
	return (char *)options + row->offset;
}

static const void *
field_const(const struct option_row *row, const struct options *options)
{
	return (const char *)options + row->offset;
}

static uint64_t
number_of(const struct option_row *row, const struct options *options)
{
	return *(const uint64_t *)field_const(row, options);
}

static const char *
path_of(const struct option_row *row, const struct options *options)
{
	return *(char *const *)field_const(row, options);
}

static void
addresses_fini(struct option_addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		free(addresses->items[i]);
	free(addresses->items);
	*addresses = (struct option_addresses){.count = 0};
}

/* ---- reading ---- */

struct bytes
options_trim(struct bytes text)
{
	while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = BYTES(text.data + 1, text.len - 1);
	while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static enum chat_err
range_error(const struct option_row *row, char *why)
{
	struct buf min = {.len = 0}, max = {.len = 0};
	enum chat_err err = option_show_number(row, row->min, &min);

	if (err == CHAT_OK)
		err = option_show_number(row, row->max, &max);
	if (err == CHAT_OK) {
		(void)snprintf(why, OPTION_WHY_CHARS, "is out of range; it may be %.*s to %.*s", (int)min.len,
		    (const char *)min.data, (int)max.len, (const char *)max.data);
		err = CHAT_ERR_RANGE;
	}
	buf_fini(&min);
	buf_fini(&max);
	return err;
}

static enum chat_err
number_syntax_error(const struct option_row *row, char *why)
{
	const char *right = row->type == OPTION_SIZE ? "a size, as 64KiB, 4MiB or a number of bytes"
			    : row->type == OPTION_DURATION
				? "a time with its unit, as 500ms, 10s, 2m, 1h or 7d"
				: "a whole number";

	(void)snprintf(why, OPTION_WHY_CHARS, "has to be %s", right);
	return CHAT_ERR_SYNTAX;
}

/* A number that does not fit is as far out of range as any. */
static bool
parse_digits(struct bytes *text, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < text->len && text->data[i] >= '0' && text->data[i] <= '9'; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text->data[i] - '0'), &value))
			value = UINT64_MAX / 2 + 1; /* stays too large: times ten it overflows again */
	if (i == 0)
		return false;
	*text = BYTES(text->data + i, text->len - i);
	*ret = value;
	return true;
}

static enum chat_err
set_number(struct options *options, const struct option_row *row, struct bytes text, char *why)
{
	size_t count;
	const struct unit *units = units_of(row, &count);
	uint64_t value;

	if (!parse_digits(&text, &value))
		return number_syntax_error(row, why);
	while (text.len > 0 && text.data[0] == ' ')
		text = BYTES(text.data + 1, text.len - 1);
	for (size_t i = 0; i < count; i++) {
		if (!bytes_equal(text, BYTES_STR(units[i].name)))
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, &value) || value < row->min ||
		    value > row->max)
			return range_error(row, why);
		*(uint64_t *)field(row, options) = value;
		return CHAT_OK;
	}
	return number_syntax_error(row, why);
}

static enum chat_err
set_choice(struct options *options, const struct option_row *row, struct bytes text, char *why)
{
	size_t used;

	for (uint64_t i = 0; row->words[i] != NULL; i++)
		if (bytes_equal(text, BYTES_STR(row->words[i]))) {
			*(uint64_t *)field(row, options) = i;
			return CHAT_OK;
		}
	used = strlcpy(why, "has to be one of:", OPTION_WHY_CHARS);
	for (size_t i = 0; row->words[i] != NULL && used < OPTION_WHY_CHARS; i++)
		used += (size_t)snprintf(
		    why + used, OPTION_WHY_CHARS - used, "%s %s", i > 0 ? "," : "", row->words[i]);
	return CHAT_ERR_SYNTAX;
}

static enum chat_err
set_path(struct options *options, const struct option_row *row, struct bytes text, char *why)
{
	char **at = field(row, options), *copy;

	if (text.len == 0 || text.len > PATH_MAX_CHARS || text.data[0] == '~') {
		(void)strlcpy(why,
		    text.len == 0 ? "is empty; leave it out for the default"
		    : text.len > PATH_MAX_CHARS
			? "is too long for a path"
			: "begins with ~, which only a shell understands; write the whole path",
		    OPTION_WHY_CHARS);
		return CHAT_ERR_SYNTAX;
	}
	copy = strndup((const char *)text.data, text.len);
	if (copy == NULL)
		return CHAT_ERR_NOMEM;
	free(*at);
	*at = copy;
	return CHAT_OK;
}

/* Characters of host names and of addresses in numbers; whether there is such a host is seen when it is
 * opened. */
static bool
address_plausible(struct bytes text)
{
	if (text.len == 0 || text.len > ADDRESS_MAX_CHARS)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!isalnum(text.data[i]) && strchr(".:-_%", text.data[i]) == NULL)
			return false;
	return true;
}

/* Takes what stands before the next comma. */
static struct bytes
next_address(struct bytes *text)
{
	const uint8_t *comma = memchr(text->data, ',', text->len);
	size_t len = comma != NULL ? (size_t)(comma - text->data) : text->len;
	struct bytes item = options_trim(BYTES(text->data, len));

	*text = comma != NULL ? BYTES(comma + 1, text->len - len - 1) : BYTES_EMPTY;
	if (item.len > 2 && item.data[0] == '[' && item.data[item.len - 1] == ']')
		item = BYTES(item.data + 1, item.len - 2);
	return item;
}

static enum chat_err
add_address(struct option_addresses *addresses, struct bytes item)
{
	char **items = reallocarray(addresses->items, addresses->count + 1, sizeof *items);

	if (items == NULL)
		return CHAT_ERR_NOMEM;
	addresses->items = items;
	items[addresses->count] = strndup((const char *)item.data, item.len);
	if (items[addresses->count] == NULL)
		return CHAT_ERR_NOMEM;
	addresses->count++;
	return CHAT_OK;
}

static enum chat_err
set_addresses(struct options *options, const struct option_row *row, struct bytes text, char *why)
{
	struct option_addresses addresses = {.count = 0}, *at = field(row, options);
	enum chat_err err = CHAT_OK;

	if (!bytes_equal(text, BYTES_STR(row->special))) {
		do {
			struct bytes item = next_address(&text);

			if (!address_plausible(item) || addresses.count == ADDRESSES_MAX) {
				(void)strlcpy(why,
				    "has to be addresses or host names without port, separated by commas, or "
				    "*",
				    OPTION_WHY_CHARS);
				err = CHAT_ERR_SYNTAX;
				goto out;
			}
			err = add_address(&addresses, item);
			if (err != CHAT_OK)
				goto out;
		} while (text.data != NULL);
	}
	addresses_fini(at);
	*at = addresses;
	addresses = (struct option_addresses){.count = 0};
out:
	addresses_fini(&addresses);
	return err;
}

enum chat_err
option_set(struct options *options, const struct option_row *row, struct bytes value,
    char why[static OPTION_WHY_CHARS])
{
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return set_number(options, row, value, why);
	case OPTION_CHOICE:
		return set_choice(options, row, value, why);
	case OPTION_PATH:
		return set_path(options, row, value, why);
	case OPTION_ADDRESSES:
		return set_addresses(options, row, value, why);
	}
	assert(false);
	return CHAT_ERR_INVALID;
}

/* ---- showing ---- */

enum chat_err
option_show_number(const struct option_row *row, uint64_t value, struct buf *text)
{
	size_t count;
	const struct unit *unit = units_of(row, &count);

	while (unit->factor > 1 && (value == 0 || value % unit->factor != 0))
		unit++;
	return buf_printf(text, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

static enum chat_err
show_addresses(const struct option_row *row, const struct option_addresses *addresses, struct buf *text)
{
	enum chat_err err = addresses->count == 0 ? buf_append_str(text, row->special) : CHAT_OK;

	for (size_t i = 0; i < addresses->count && err == CHAT_OK; i++)
		err = buf_printf(text, "%s%s", i > 0 ? ", " : "", addresses->items[i]);
	return err;
}

enum chat_err
option_show(const struct options *options, const struct option_row *row, struct buf *text)
{
	switch (row->type) {
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return option_show_number(row, number_of(row, options), text);
	case OPTION_CHOICE:
		return buf_append_str(text, row->words[number_of(row, options)]);
	case OPTION_PATH:
		return buf_append_str(text, path_of(row, options));
	case OPTION_ADDRESSES:
		return show_addresses(row, field_const(row, options), text);
	}
	assert(false);
	return CHAT_ERR_INVALID;
}

/* ---- all of them ---- */

enum chat_err
options_init(struct options *ret)
{
	struct options options = {.port = 0};
	char why[OPTION_WHY_CHARS];

	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		enum chat_err err;

		if (row->initial_text == NULL) {
			*(uint64_t *)field(row, &options) = row->initial;
			continue;
		}
		err = option_set(&options, row, BYTES_STR(row->initial_text), why);
		assert(err == CHAT_OK || err == CHAT_ERR_NOMEM);
		if (err != CHAT_OK) {
			options_fini(&options);
			return err;
		}
	}
	*ret = options;
	return CHAT_OK;
}

void
options_fini(struct options *options)
{
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->type == OPTION_PATH)
			free(*(char **)field(row, options));
		else if (row->type == OPTION_ADDRESSES)
			addresses_fini(field(row, options));
	}
	*options = (struct options){.port = 0};
}

enum chat_err
option_copy(struct options *options, const struct option_row *row, const struct options *from)
{
	struct buf text = {.len = 0};
	char why[OPTION_WHY_CHARS];
	enum chat_err err = option_show(from, row, &text);

	if (err == CHAT_OK)
		err = option_set(options, row, buf_bytes(&text), why);
	assert(err == CHAT_OK || err == CHAT_ERR_NOMEM);
	buf_fini(&text);
	return err;
}

bool
option_equal(const struct option_row *row, const struct options *a, const struct options *b)
{
	const struct option_addresses *in_a, *in_b;

	if (row->type == OPTION_PATH)
		return strcmp(path_of(row, a), path_of(row, b)) == 0;
	if (row->type != OPTION_ADDRESSES)
		return number_of(row, a) == number_of(row, b);
	in_a = field_const(row, a);
	in_b = field_const(row, b);
	if (in_a->count != in_b->count)
		return false;
	for (size_t i = 0; i < in_a->count; i++)
		if (strcmp(in_a->items[i], in_b->items[i]) != 0)
			return false;
	return true;
}

const struct option_row *
option_find(struct bytes name)
{
	for (size_t i = 0; i < option_row_count; i++)
		if (bytes_equal(name, BYTES_STR(option_rows[i].name)))
			return &option_rows[i];
	return NULL;
}

const struct option_row *
option_of_flag(char flag)
{
	for (size_t i = 0; i < option_row_count; i++)
		if (option_rows[i].flag == flag)
			return &option_rows[i];
	return NULL;
}

enum chat_err
options_check(
    const struct options *options, const struct option_row **ret_row, char why[static OPTION_WHY_CHARS])
{
	if (options->outbuf_low_bytes >= options->outbuf_high_bytes) {
		*ret_row = option_find(BYTES_STR("outbuf_low"));
		(void)strlcpy(why, "has to be less than outbuf_high", OPTION_WHY_CHARS);
		return CHAT_ERR_RANGE;
	}
	if (options->login_fail_delay_ms > options->login_fail_delay_max_ms) {
		*ret_row = option_find(BYTES_STR("login_fail_delay"));
		(void)strlcpy(why, "may not be more than login_fail_delay_max", OPTION_WHY_CHARS);
		return CHAT_ERR_RANGE;
	}
	return CHAT_OK;
}
