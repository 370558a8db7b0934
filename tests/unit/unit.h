/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UNIT_H
#define UNIT_H

/*
 * What the unit tests share: cmocka with the headers it wants before it, and assertions for our own types.
 *
 *	TEST(empty)
 *	{
 *		assert_ok(buf_reserve(&b, 0));
 *	}
 *	int main(void)
 *	{
 *		const struct CMUnitTest tests[] = {cmocka_unit_test(empty)};
 *		return cmocka_run_group_tests(tests, NULL, NULL);
 *	}
 *
 * One group to a program, for a group is a TAP plan.  A test that needs something the machine lacks prints
 * why and calls skip().
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/random.h"

#define TEST(name) static void name(void **state __attribute__((unused)))

/* The source tree: for files of tests/.  Static storage. */
const char *unit_srcdir(void);

/* The content of a file, with a NUL behind it that *ret_len does not count; NULL: it is not there.  free()
 * it. */
uint8_t *unit_read_file(const char *path, size_t *ret_len);

/* A fresh directory, removed with all in it when the program ends; its path is the caller's to free(). */
char *unit_temp_dir(void);

/* Hex to bytes in fresh memory of exactly that size, so that a sanitizer sees a read past it; free() it. */
uint8_t *unit_hex(const char *hex, size_t *ret_len);

/*
 * A deterministic random source (not for anything but tests): random_test(&seed).fill gives the same bytes
 * for the same start value.  unit_rand() takes from the same generator.
 */
struct random_source unit_random(uint64_t *seed);
uint64_t unit_rand(uint64_t *seed);

/* The error by name in the failure message. */
#define assert_err(expr, expected) unit_assert_err((expr), (expected), #expr, __FILE__, __LINE__)
#define assert_ok(expr)            assert_err((expr), CHAT_OK)
void unit_assert_err(enum chat_err got, enum chat_err expected, const char *expr, const char *file, int line);

#define assert_bytes_equal(a, b) unit_assert_bytes_equal((a), (b), __FILE__, __LINE__)
void unit_assert_bytes_equal(struct bytes a, struct bytes b, const char *file, int line);

#endif
