/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

/*
 * Test vectors in JSON files, for the unit tests.  Two places:
 *
 * - our own directory, tests/vectors: always there; a missing file is a failure;
 * - the published files (Wycheproof, and protocol-v1.json), which are not part of the source: in the
 * directory that WYCHEPROOF_DIR names, else in ../shared/vectors beside the source tree.  Where a file is
 * absent the test is skipped with a line that says where it was looked for.
 *
 * A field that is missing or of another form fails the running test: vectors are not input.  Everything a
 * struct vectors gives is borrowed from it and lives until vec_close().
 *
 * Threads: one.
 */

#include <stdbool.h>

#include <jansson.h>

#include "base/digest.h"
#include "unit.h"

struct vectors {
	json_t *root;  /* owned */
	void **chunks; /* owned: the decoded bytes */
	size_t chunk_count;
};

/* Opens tests/vectors/NAME. */
void vec_open(struct vectors *v, const char *name);
/* Opens a published file; does not return (skips the running test) if it is absent. */
void vec_open_published(struct vectors *v, const char *name);
void vec_close(struct vectors *v);

/* The member `key` of the object `obj`.  Hex may be empty. */
struct bytes vec_hex(struct vectors *v, const json_t *obj, const char *key);
/* The same, of a JSON string. */
struct bytes vec_hex_value(struct vectors *v, const json_t *string);
struct digest vec_digest(const json_t *obj, const char *key);
const char *vec_str(const json_t *obj, const char *key);
struct bytes vec_str_bytes(const json_t *obj, const char *key); /* the UTF-8, without a NUL */
uint64_t vec_u64(const json_t *obj, const char *key);
json_t *vec_array(const json_t *obj, const char *key);
json_t *vec_object(const json_t *obj, const char *key);
bool vec_has(const json_t *obj, const char *key);
/* True where the string `key` is `value`. */
bool vec_is(const json_t *obj, const char *key, const char *value);

/* Compares, and names the case (its tcId or comment) on failure. */
void vec_assert_bytes(const json_t *test, const char *what, struct bytes got, struct bytes want);

/* What became of a file's cases. */
struct vec_count {
	unsigned accepted; /* valid, and we agree */
	unsigned refused;  /* invalid, and we agree */
	unsigned skipped;  /* not applicable to our use */
};

/* Prints "# NAME: A valid accepted, R invalid refused, S not applicable". */
void vec_count_print(const char *name, const struct vec_count *count);

#endif
