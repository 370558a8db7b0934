/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_LIMITS_TABLE_H
#define TESTS_UNIT_LIMITS_TABLE_H

/*
 * All of proto/limits.h, and what chat-protocol(7) says of each.  A new limit gets a row here, or a test
 * fails.
 *
 * Threads: any; constant.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limit_row {
	const char *name; /* of the macro */
	uint64_t value;
	const char *text; /* in the page; NULL: the server's own matter, no client has to know it */
	bool option;      /* an administrator may set another value */
};

extern const struct limit_row limits_table[];
extern const size_t limits_table_count;

#endif
