/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_WRAP_H
#define CLIENT_WRAP_H

/*
 * Breaks a line into rows for a terminal of a known width, with all but the first indented: so no row of what
 * somebody wrote begins in the first column, where the program's own lines begin.
 *
 * Threads: any.
 */

#include "base/bytes.h"
#include "client/text.h"

/* Narrower than this nothing is broken. */
#define WRAP_COLUMNS_MIN 20

/*
 * Appends `line` (filtered: filter.h; no line feed in it) and a line feed.  Rows are shorter than `columns`;
 * a word that does not fit is broken between characters.  columns 0: one row, whatever its length.
 */
void wrap_append(struct text *out, struct bytes line, unsigned columns, unsigned indent);

#endif
