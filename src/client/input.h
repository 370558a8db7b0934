/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_INPUT_H
#define CLIENT_INPUT_H

/*
 * Lines from a file descriptor that is polled: read what is there, then take the lines it completed.
 *
 * Threads: one at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"

struct input {
	size_t max_bytes; /* of a line; the caller's to set, before the first use */
	struct buf buf;
	size_t taken;    /* from the front of buf */
	size_t searched; /* no line feed before this */
	uint64_t line;   /* number of the line last given out, from 1 */
	bool skipping;   /* inside of a line that was too long */
	bool end;        /* nothing more will come */
	bool failed;     /* reading failed or memory ran out: the end too */
};

enum input_result { INPUT_NONE, INPUT_LINE, INPUT_TOO_LONG };

void input_fini(struct input *in);
/* One read(2): call it when the descriptor is readable. */
void input_read(struct input *in, int fd);
/*
 * The next line, without its line feed; what stands behind the last line feed is one too once the end came.
 * INPUT_TOO_LONG: there was one and it is dropped.  *ret_line is borrowed until the next call of any function
 * here.
 */
enum input_result input_next(struct input *in, struct bytes *ret_line) MUST_USE;
/* True if input_next() would give INPUT_NONE now. */
bool input_empty(const struct input *in);

#endif
