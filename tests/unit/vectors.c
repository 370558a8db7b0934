/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vectors.h"

#include <stdio.h>
#include <unistd.h>

static void
open_path(struct vectors *v, const char *path)
{
	json_error_t error;

	memset(v, 0, sizeof(*v));
	v->root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (v->root == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
}

/* The path is the caller's to free(). */
static char *
make_path(const char *dir, const char *below, const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s%s/%s", dir, below, name) > 0);
	return path;
}

void
vec_open(struct vectors *v, const char *name)
{
	char *path = make_path(unit_srcdir(), "/tests/vectors", name);

	open_path(v, path);
	free(path);
}

void
vec_open_published(struct vectors *v, const char *name)
{
	const char *dir = getenv("WYCHEPROOF_DIR");
	char *path;

	if (dir != NULL && dir[0] != '\0')
		path = make_path(dir, "", name);
	else
		path = make_path(unit_srcdir(), "/../shared/vectors", name);
	if (access(path, F_OK) != 0) {
		printf("# SKIP no %s (WYCHEPROOF_DIR names another directory)\n", path);
		fflush(stdout);
		free(path);
		skip();
	}
	open_path(v, path);
	free(path);
}

void
vec_close(struct vectors *v)
{
	for (size_t i = 0; i < v->chunk_count; i++)
		free(v->chunks[i]);
	free(v->chunks);
	json_decref(v->root);
	memset(v, 0, sizeof(*v));
}

static json_t *
member(const json_t *obj, const char *key)
{
	json_t *value = json_object_get(obj, key);

	if (value == NULL)
		fail_msg("the case has no \"%s\"", key);
	return value;
}

struct bytes
vec_hex_value(struct vectors *v, const json_t *string)
{
	const char *hex = json_string_value(string);
	size_t chars = json_string_length(string);
	uint8_t *data;
	void **chunks;

	if (hex == NULL || chars % 2 != 0)
		fail_msg("not hex: %s", hex != NULL ? hex : "(no string)");
	/* Exactly the length (one byte where it is 0), so that a sanitizer sees the slightest overread. */
	data = malloc(chars > 1 ? chars / 2 : 1);
	chunks = reallocarray(v->chunks, v->chunk_count + 1, sizeof(*chunks));
	assert_non_null(data);
	assert_non_null(chunks);
	v->chunks = chunks;
	v->chunks[v->chunk_count++] = data;
	if (!hex_decode(hex, data, chars / 2))
		fail_msg("not hex: %s", hex);
	return BYTES(data, chars / 2);
}

struct bytes
vec_hex(struct vectors *v, const json_t *obj, const char *key)
{
	return vec_hex_value(v, member(obj, key));
}

struct digest
vec_digest(const json_t *obj, const char *key)
{
	struct digest d = {0};

	if (!hex_decode(vec_str(obj, key), d.b, sizeof(d.b)))
		fail_msg("\"%s\" is not 32 bytes of hex", key);
	return d;
}

const char *
vec_str(const json_t *obj, const char *key)
{
	const char *s = json_string_value(member(obj, key));

	if (s == NULL)
		fail_msg("\"%s\" is not a string", key);
	return s;
}

struct bytes
vec_str_bytes(const json_t *obj, const char *key)
{
	return BYTES(vec_str(obj, key), json_string_length(member(obj, key)));
}

uint64_t
vec_u64(const json_t *obj, const char *key)
{
	const json_t *value = member(obj, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		fail_msg("\"%s\" is not a number", key);
	return (uint64_t)json_integer_value(value);
}

json_t *
vec_array(const json_t *obj, const char *key)
{
	json_t *value = member(obj, key);

	if (!json_is_array(value))
		fail_msg("\"%s\" is not an array", key);
	return value;
}

json_t *
vec_object(const json_t *obj, const char *key)
{
	json_t *value = member(obj, key);

	if (!json_is_object(value))
		fail_msg("\"%s\" is not an object", key);
	return value;
}

bool
vec_has(const json_t *obj, const char *key)
{
	return json_object_get(obj, key) != NULL;
}

bool
vec_is(const json_t *obj, const char *key, const char *value)
{
	return strcmp(vec_str(obj, key), value) == 0;
}

void
vec_assert_bytes(const json_t *test, const char *what, struct bytes got, struct bytes want)
{
	const json_t *id = json_object_get(test, "tcId");
	const json_t *comment = json_object_get(test, "comment");

	if (bytes_equal(got, want))
		return;
	print_error("case %lld \"%s\": %s is not what it should be\n",
	    json_is_integer(id) ? (long long)json_integer_value(id) : -1LL,
	    json_is_string(comment) ? json_string_value(comment) : "", what);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
	fail();
}

void
vec_count_print(const char *name, const struct vec_count *count)
{
	printf("# %s: %u valid accepted, %u invalid refused, %u not applicable\n", name, count->accepted,
	    count->refused, count->skipped);
	fflush(stdout);
}
