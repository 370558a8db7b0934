/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

/*
 * Text under construction.  Every step may run out of memory; like a `struct writer` it remembers the
 * failure, so one look at the end, at `failed`, is enough.  Zero-initialised it is valid and empty.
 *
 * What others wrote goes in through text_name() or text_body(), never through the others: see filter.h.
 *
 * Threads: one at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"

struct text {
	struct buf buf;
	bool failed; /* out of memory: what is in buf is incomplete */
};

void text_fini(struct text *t);
void text_clear(struct text *t);
void text_bytes(struct text *t, struct bytes b);
void text_str(struct text *t, const char *s);
void text_char(struct text *t, char c);
void text_printf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_spaces(struct text *t, size_t n);
void text_name(struct text *t, const char *name); /* FILTER_NAME */
void text_body(struct text *t, const char *body); /* FILTER_BODY */

/* With a NUL behind it; borrowed until the next call that changes t.  "" where memory ran out. */
const char *text_cstr(struct text *t);

#endif
