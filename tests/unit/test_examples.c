/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chat-protocol(7) and tests/vectors/examples.json say what the code does.
 *
 *     test_examples             compares (TAP)
 *     test_examples --update    writes both anew, in the source tree; called by `make update-examples'
 */
#include <stdio.h>

#include "examples.h"
#include "limits_table.h"
#include "proto/requests.h"
#include "vectors.h"

#define PAGE_PATH     "man/chat-protocol.7"
#define EXAMPLES_PATH "tests/vectors/examples.json"
#define SAY_UPDATE    "; if that is what was meant, run `make update-examples'"

static char *
tree_path(const char *path)
{
	char *full;

	assert_true(asprintf(&full, "%s/%s", unit_srcdir(), path) > 0);
	return full;
}

static char *
read_text(const char *path)
{
	char *full = tree_path(path), *text;
	size_t len;

	text = (char *)unit_read_file(full, &len);
	if (text == NULL)
		fail_msg("%s is not there", full);
	free(full);
	return text;
}

/* ---- writing ---- */

static void
write_text(const char *path, const char *text)
{
	char *full = tree_path(path);
	FILE *to = fopen(full, "w");

	assert_non_null(to);
	assert_true(fputs(text, to) >= 0);
	assert_int_equal(fclose(to), 0);
	free(full);
}

/* One value a line. */
static char *
json_text(const json_t *examples)
{
	char *text = NULL, *line;
	size_t len = 0, i, j;
	FILE *to = open_memstream(&text, &len);
	json_t *example, *values, *value;

	assert_non_null(to);
	fprintf(to,
	    "{\n \"source\": \"made by tests/unit/test_examples --update; chat-protocol(7), EXAMPLES; "
	    "the keys are for tests only\",\n \"examples\": [");
	json_array_foreach(examples, i, example)
	{
		fprintf(to, "%s\n  {\n   \"name\": \"%s\",\n   \"values\": [", i > 0 ? "," : "",
		    json_string_value(json_object_get(example, "name")));
		values = json_object_get(example, "values");
		json_array_foreach(values, j, value)
		{
			line = json_dumps(value, 0);
			assert_non_null(line);
			fprintf(to, "%s\n    %s", j > 0 ? "," : "", line);
			free(line);
		}
		fprintf(to, "\n   ]\n  }");
	}
	fprintf(to, "\n ]\n}\n");
	assert_int_equal(fclose(to), 0);
	return text;
}

static int
update(void)
{
	json_t *examples = examples_make();
	char *text = json_text(examples), *old = read_text(PAGE_PATH), *page;

	page = examples_into_page(examples, old);
	write_text(EXAMPLES_PATH, text);
	write_text(PAGE_PATH, page);
	free(text);
	free(old);
	free(page);
	json_decref(examples);
	return 0;
}

/* ---- comparing ---- */

/* Says where they begin to differ; a whole value may be longer than a message can be. */
static void
assert_value(const char *example, const json_t *got, const json_t *want)
{
	char *got_text = json_dumps(got, JSON_SORT_KEYS), *want_text = json_dumps(want, JSON_SORT_KEYS);
	const char *name = vec_str(got, "name");
	size_t at = 0;

	assert_non_null(got_text);
	if (want_text == NULL)
		fail_msg("%s, %s is not in the file" SAY_UPDATE, example, name);
	while (got_text[at] != '\0' && got_text[at] == want_text[at])
		at++;
	if (got_text[at] != want_text[at])
		fail_msg("%s, %s: the code gives ...%.40s, the file has ...%.40s" SAY_UPDATE, example, name,
		    got_text + at, want_text + at);
	free(got_text);
	free(want_text);
}

TEST(examples_are_those_of_the_file)
{
	json_t *examples = examples_make(), *example, *value;
	struct vectors file;
	size_t i, j;

	vec_open(&file, "examples.json");
	json_array_foreach(examples, i, example)
	{
		const json_t *there = json_array_get(vec_array(file.root, "examples"), i);
		const char *name = vec_str(example, "name");

		if (there == NULL || !vec_is(there, "name", name))
			fail_msg("%s is not the file's example %zu" SAY_UPDATE, name, i);
		json_array_foreach(vec_array(example, "values"), j, value)
		    assert_value(name, value, json_array_get(vec_array(there, "values"), j));
		assert_int_equal(j, json_array_size(vec_array(there, "values")));
	}
	assert_int_equal(i, json_array_size(vec_array(file.root, "examples")));
	vec_close(&file);
	json_decref(examples);
}

TEST(page_has_examples_and_tables)
{
	json_t *examples = examples_make();
	char *page = read_text(PAGE_PATH);
	char *want = examples_into_page(examples, page);
	unsigned line = 1;

	for (const char *p = page, *w = want; *p != '\0' || *w != '\0';) {
		size_t p_len = strcspn(p, "\n"), w_len = strcspn(w, "\n");

		if (p_len != w_len || memcmp(p, w, p_len) != 0)
			fail_msg(PAGE_PATH ":%u is \"%.*s\", not \"%.*s\"" SAY_UPDATE, line, (int)p_len, p,
			    (int)w_len, w);
		p += p_len + (p[p_len] == '\n');
		w += w_len + (w[w_len] == '\n');
		line++;
	}
	free(page);
	free(want);
	json_decref(examples);
}

/* The section of that name, without its heading; free() it. */
static char *
read_section(const char *name)
{
	char *page = read_text(PAGE_PATH), *heading, *at, *end, *section;

	assert_true(asprintf(&heading, "\n.Sh %s\n", name) > 0);
	at = strstr(page, heading);
	if (at == NULL)
		fail_msg("the page has no section %s", name);
	at += strlen(heading) - 1;
	end = strstr(at, "\n.Sh ");
	assert_non_null(end);
	section = strndup(at, (size_t)(end + 1 - at));
	assert_non_null(section);
	free(page);
	free(heading);
	return section;
}

static size_t
count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		count++;
	return count;
}

/* The section has the line ".It Cm NAME" once. */
static void
assert_item(const char *section, const char *in, const char *name)
{
	char *line;

	assert_true(asprintf(&line, "\n.It Cm %s\n", name) > 0);
	if (count_of(section, line) != 1)
		fail_msg("section %s says %zu times of %s what it is", in, count_of(section, line), name);
	free(line);
}

TEST(page_describes_each_request)
{
	char *section = read_section("REQUESTS");

	for (size_t i = 0; i < REQUEST_TYPE_COUNT; i++)
		assert_item(section, "REQUESTS", request_table[i].name);
	/* in the list, and in the table */
	assert_int_equal(count_of(section, "\n.It Cm "), 2 * REQUEST_TYPE_COUNT);
	free(section);
}

/* Pushes have the numbers from 30 on; in the page wraps_push goes by the name of what it carries. */
TEST(page_describes_each_push)
{
	const ProtobufCMessageDescriptor *frame = &chat__v1__server_frame__descriptor;
	char *section = read_section("PUSHES");
	size_t count = 0;

	for (unsigned i = 0; i < frame->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &frame->fields[i];

		if (field->id < CHAT__V1__SERVER_FRAME__BODY_ENTRY)
			continue;
		assert_item(section, "PUSHES",
		    field->id == CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH ? "wraps" : field->name);
		count++;
	}
	assert_int_equal(count_of(section, "\n.It Cm "), count);
	free(section);
}

/* All refusals of the protocol, by name and number, in order, and nothing else. */
TEST(page_describes_each_error)
{
	static const struct {
		const char *name;
		unsigned number;
	} errors[] = {
#define ROW(constant, number, name, sentence) {name, number},
	    CHAT_ERRORS(ROW)
#undef ROW
	};
	char *section = read_section("ERROR CODES"), *line;
	const char *at = section;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		if (errors[i].number < CHAT_ERR_UNSUPPORTED)
			continue;
		assert_true(asprintf(&line, "\n.It Cm %s Pq %u\n", errors[i].name, errors[i].number) > 0);
		at = strstr(at, line);
		if (at == NULL)
			fail_msg("no %s (%u) at its place", errors[i].name, errors[i].number);
		at += strlen(line) - 1;
		free(line);
		count++;
	}
	assert_int_equal(count_of(section, "\n.It "), count);
	/* and the schema has the same */
	assert_int_equal(chat__v1__error_code__descriptor.n_values, count + 1);
	free(section);
}

TEST(each_limit_is_known_to_the_page)
{
	static const char define[] = "\n#define ";
	char *header = read_text("src/proto/limits.h");
	size_t found = 0, rows = 0;

	for (const char *at = header; (at = strstr(at, define)) != NULL;) {
		size_t len, i;

		at += strlen(define);
		len = strcspn(at, " \n");
		if (len == strlen("PROTO_LIMITS_H") && memcmp(at, "PROTO_LIMITS_H", len) == 0)
			continue;
		for (i = 0; i < limits_table_count; i++)
			if (strlen(limits_table[i].name) == len && memcmp(limits_table[i].name, at, len) == 0)
				break;
		if (i == limits_table_count)
			fail_msg("tests/unit/limits_table.c has no row for %.*s", (int)len, at);
		found++;
	}
	for (size_t i = 0; i < limits_table_count; i++)
		rows += strcmp(limits_table[i].name, "MESSAGE_TEXT_MAX") != 0; /* of another header */
	assert_int_equal(found, rows);
	free(header);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(examples_are_those_of_the_file),
	    cmocka_unit_test(page_has_examples_and_tables),
	    cmocka_unit_test(page_describes_each_request),
	    cmocka_unit_test(page_describes_each_push),
	    cmocka_unit_test(page_describes_each_error),
	    cmocka_unit_test(each_limit_is_known_to_the_page),
	};

	if (argc == 2 && strcmp(argv[1], "--update") == 0)
		return update();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
