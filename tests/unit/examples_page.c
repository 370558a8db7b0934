/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "examples.h"

#include <stdio.h>

#include "base/digest.h"
#include "crypto/hash.h"
#include "limits_table.h"
#include "proto/requests.h"

#define LINE_CHARS        66 /* of a literal display, indented, in a page of 80 columns */
#define HEX_PER_LINE      64
#define SHORT_BYTES       400 /* what is longer is given by its length and hash */
#define BLOCK_BEGIN       ".\\\" BEGIN "
#define BLOCK_END         ".\\\" END\n"
#define EXAMPLE_WORD      "example "
#define TABLE_WORD        "table "
#define NUMBER_TEXT_CHARS 32

/* 1048576 as 1,048,576. */
static const char *
number_text(uint64_t v, char ret[static NUMBER_TEXT_CHARS])
{
	char plain[NUMBER_TEXT_CHARS];
	size_t len = (size_t)snprintf(plain, sizeof(plain), "%ju", (uintmax_t)v), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			ret[at++] = ',';
		ret[at++] = plain[i];
	}
	ret[at] = '\0';
	return ret;
}

/* ---- examples ---- */

static const char *
name_of(const json_t *value)
{
	const char *name = json_string_value(json_object_get(value, "name"));

	assert_non_null(name);
	return name;
}

static void
print_long(FILE *to, const char *text)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += HEX_PER_LINE)
		fprintf(to, "  %.*s\n", HEX_PER_LINE, text + at);
}

static void
print_hash(FILE *to, const char *name, const char *hex)
{
	size_t len;
	uint8_t *data = unit_hex(hex, &len);
	struct digest hash = hash_once(BYTES(data, len));
	char text[DIGEST_HEX_CHARS + 1], number[NUMBER_TEXT_CHARS];

	digest_hex(&hash, text);
	fprintf(to, "%s: %s bytes, with the SHA-256\n", name, number_text(len, number));
	print_long(to, text);
	free(data);
}

static void
print_value(FILE *to, const json_t *value, size_t name_width)
{
	const char *name = name_of(value);
	const char *hex = json_string_value(json_object_get(value, "hex"));
	const char *text = json_string_value(json_object_get(value, "text"));
	char number[NUMBER_TEXT_CHARS];

	if (hex != NULL && strlen(hex) > 2 * SHORT_BYTES) {
		print_hash(to, name, hex);
		return;
	}
	if (hex == NULL && text == NULL) {
		snprintf(number, sizeof(number), "%ju",
		    (uintmax_t)json_integer_value(json_object_get(value, "number")));
		text = number;
	}
	if (text == NULL)
		text = hex;
	if (name_width + strlen(" = ") + strlen(text) <= LINE_CHARS)
		fprintf(to, "%-*s = %s\n", (int)name_width, name, text);
	else {
		fprintf(to, "%s =\n", name);
		print_long(to, text);
	}
}

/* The first name that comes again begins a group each time; NULL: there is none. */
static const char *
group_name(const json_t *values)
{
	size_t i, j;
	json_t *a, *b;

	json_array_foreach(values, i, a)
	{
		json_array_foreach(values, j, b)
		{
			if (j > i && strcmp(name_of(a), name_of(b)) == 0)
				return name_of(a);
		}
	}
	return NULL;
}

static void
print_example(FILE *to, const json_t *values)
{
	const char *group = group_name(values);
	size_t i, name_width = 0;
	json_t *value;

	json_array_foreach(values, i, value)
	{
		if (strlen(name_of(value)) > name_width)
			name_width = strlen(name_of(value));
	}
	fprintf(to, ".Bd -literal -offset indent\n");
	json_array_foreach(values, i, value)
	{
		if (i > 0 && group != NULL && strcmp(name_of(value), group) == 0)
			fprintf(to, "\n");
		print_value(to, value, name_width);
	}
	fprintf(to, ".Ed\n");
}

/* NULL: there is none of that name. */
static const json_t *
find_example(const json_t *examples, const char *name, size_t len)
{
	size_t i;
	json_t *example;

	json_array_foreach(examples, i, example)
	{
		if (strlen(name_of(example)) == len && memcmp(name_of(example), name, len) == 0)
			return json_object_get(example, "values");
	}
	return NULL;
}

/* ---- tables ---- */

static void
print_phases(FILE *to, unsigned phases)
{
	static const char letters[] = "NHPR";
	const char *space = "";

	for (size_t i = 0; letters[i] != '\0'; i++) {
		if ((phases & 1u << i) == 0)
			continue;
		fprintf(to, "%s%c", space, letters[i]);
		space = " ";
	}
}

static void
print_requests(FILE *to)
{
	const ProtobufCMessageDescriptor *client = &chat__v1__client_frame__descriptor;
	const ProtobufCMessageDescriptor *server = &chat__v1__server_frame__descriptor;
	char number[NUMBER_TEXT_CHARS];

	fprintf(
	    to, ".Bl -column \"publish_identity\" \"number\" \"N H P R\" \"1,048,576\" \"RosterEvents\"\n");
	fprintf(to, ".It Em request Ta Em number Ta Em phases Ta Em bytes Ta Em answer\n");
	for (size_t i = 0; i < REQUEST_TYPE_COUNT; i++) {
		const struct request_row *row = &request_table[i];
		const ProtobufCFieldDescriptor *request =
		    protobuf_c_message_descriptor_get_field_by_name(client, row->name);
		const ProtobufCFieldDescriptor *answer =
		    protobuf_c_message_descriptor_get_field(server, (unsigned)row->answer);
		const ProtobufCMessageDescriptor *type;

		assert_non_null(request);
		assert_non_null(answer);
		type = answer->descriptor;
		fprintf(to, ".It Cm %s Ta %u Ta ", row->name, request->id);
		print_phases(to, row->phases);
		fprintf(to, " Ta %s Ta Vt %s\n", number_text(row->max_bytes, number), type->short_name);
	}
	fprintf(to, ".El\n");
}

static void
print_limits(FILE *to)
{
	char number[NUMBER_TEXT_CHARS];

	fprintf(to, ".Bl -column \"a connection not heard is closed after (ms) *\" \"1,099,511,627,776\"\n");
	for (size_t i = 0; i < limits_table_count; i++) {
		const struct limit_row *row = &limits_table[i];

		if (row->text != NULL)
			fprintf(to, ".It %s%s Ta %s\n", row->text, row->option ? " *" : "",
			    number_text(row->value, number));
	}
	fprintf(to, ".El\n");
}

/* ---- the page ---- */

static bool
is_word(const char *at, const char *word)
{
	return strncmp(at, word, strlen(word)) == 0;
}

static bool
is_table(const char *name, size_t len, const char *table)
{
	return strlen(table) == len && memcmp(name, table, len) == 0;
}

/* What belongs into the block whose first line goes on with `what`; true if it was an example. */
static bool
print_block(FILE *to, const json_t *examples, const char *what)
{
	size_t len = strcspn(what, "\n");

	if (is_word(what, EXAMPLE_WORD)) {
		const char *name = what + strlen(EXAMPLE_WORD);
		const json_t *values = find_example(examples, name, len - strlen(EXAMPLE_WORD));

		if (values == NULL)
			fail_msg("the page has an unknown block: %.*s", (int)len, what);
		print_example(to, values);
		return true;
	}
	if (is_word(what, TABLE_WORD)) {
		const char *name = what + strlen(TABLE_WORD);

		len -= strlen(TABLE_WORD);
		if (is_table(name, len, "requests"))
			print_requests(to);
		else if (is_table(name, len, "limits"))
			print_limits(to);
		else
			fail_msg("the page has an unknown table: %.*s", (int)len, name);
		return false;
	}
	fail_msg("the page has an unknown block: %.*s", (int)len, what);
	return false;
}

char *
examples_into_page(const json_t *examples, const char *page)
{
	char *text = NULL;
	size_t text_len = 0, used = 0;
	FILE *to = open_memstream(&text, &text_len);
	const char *line = page;

	assert_non_null(to);
	while (*line != '\0') {
		const char *next = strchr(line, '\n');

		assert_non_null(next);
		next++;
		fwrite(line, 1, (size_t)(next - line), to);
		if (is_word(line, BLOCK_BEGIN)) {
			used += print_block(to, examples, line + strlen(BLOCK_BEGIN));
			next = strstr(next, BLOCK_END);
			assert_non_null(next);
		}
		line = next;
	}
	assert_int_equal(fclose(to), 0);
	if (used != json_array_size(examples))
		fail_msg(
		    "%zu examples, but %zu blocks for them in the page", json_array_size(examples), used);
	return text;
}
