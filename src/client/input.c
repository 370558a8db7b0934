/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 16384

void
input_fini(struct input *in)
{
	buf_fini_secret(&in->buf); /* with --json a password may have been in it */
}

static void
compact(struct input *in)
{
	buf_drop(&in->buf, in->taken);
	in->searched -= in->taken;
	in->taken = 0;
}

void
input_read(struct input *in, int fd)
{
	ssize_t n;

	if (in->end)
		return;
	compact(in);
	if (buf_reserve(&in->buf, READ_BYTES) != CHAT_OK) {
		in->end = in->failed = true;
		return;
	}
	n = read(fd, in->buf.data + in->buf.len, READ_BYTES);
	if (n > 0)
		in->buf.len += (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		in->end = true;
		in->failed = n < 0;
	}
}

/* Length of the line at the front, its line feed not counted; false: it is not complete. */
static bool
find_line(const struct input *in, size_t *ret_len, size_t *ret_behind)
{
	size_t left = in->buf.len - in->taken;
	const uint8_t *start = left > 0 ? in->buf.data + in->taken : NULL;
	size_t skip = in->searched - in->taken;
	const uint8_t *nl = left > skip ? memchr(start + skip, '\n', left - skip) : NULL;

	if (nl) {
		*ret_len = (size_t)(nl - start);
		*ret_behind = 1;
		return true;
	}
	*ret_len = left;
	*ret_behind = 0;
	return in->end && left > 0;
}

enum input_result
input_next(struct input *in, struct bytes *ret_line)
{
	size_t len, behind, at;
	bool was_skipping;

	for (;;) {
		bool complete = find_line(in, &len, &behind);

		was_skipping = in->skipping;
		if (!complete && len > in->max_bytes) { /* it may be endless: drop it as it comes */
			in->skipping = true;
			in->taken = in->searched = in->buf.len;
			if (was_skipping)
				return INPUT_NONE;
			in->line++;
			return INPUT_TOO_LONG;
		}
		if (!complete) {
			in->searched = in->buf.len;
			return INPUT_NONE;
		}
		at = in->taken;
		in->taken = in->searched = at + len + behind;
		in->skipping = false;
		if (was_skipping)
			continue; /* the rest of it */
		in->line++;
		if (len > in->max_bytes)
			return INPUT_TOO_LONG;
		*ret_line = BYTES(in->buf.data + at, len);
		return INPUT_LINE;
	}
}

bool
input_empty(const struct input *in)
{
	size_t len, behind;

	return !find_line(in, &len, &behind) && len <= in->max_bytes;
}
