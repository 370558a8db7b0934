/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_FILTER_H
#define CLIENT_FILTER_H

/*
 * What others wrote, made harmless for a terminal: the one way into it for texts, topics, names, labels, and
 * also for the sentences of a server.  What comes out is valid UTF-8 without control characters, so no escape
 * sequence is in it, and without what changes the direction of the text around it; what was there is shown,
 * not dropped:
 *
 *     control characters      ^[ ^G ^?       and C1 as <U+009B>
 *     bidi controls, BOM, ... <U+202E>
 *     bytes that are no UTF-8 <FF>
 *
 * It is one line: a line feed comes out as ^J.  Who wants lines splits before.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "client/text.h"

enum filter_kind {
	FILTER_BODY, /* texts: tabs become spaces; joiners and variation selectors, which scripts and emoji
			need, stay */
	FILTER_NAME  /* what tells who or where: nothing that cannot be seen stays, so that no two names look
			alike by it */
};

/* More marks than this on one character (no script needs them) are shown as code points: they would paint
 * over the lines around. */
#define FILTER_MARKS_MAX 8

/*
 * From now on what is not ASCII is shown as code points: for a terminal of another character set, where a
 * byte inside of a UTF-8 character may be a control character.  Once, before anything else; for the whole
 * process.
 */
void filter_ascii_only(void);

void filter_append(struct text *out, struct bytes in, enum filter_kind kind);
/* True if it would pass unchanged. */
bool filter_clean(struct bytes in, enum filter_kind kind);

/* Columns on a terminal of one character that passed the filter: 0 to 2.  Uses the locale's table. */
unsigned filter_char_columns(uint32_t c);
/* The same of a line that passed the filter. */
size_t filter_columns(struct bytes filtered);

#endif
