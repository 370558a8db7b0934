/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/out.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

void
out_init(struct out *out, int fd)
{
	*out = (struct out){.fd = fd};
}

void
out_fini(struct out *out)
{
	buf_fini(&out->buf);
}

static void
fail(struct out *out, int error)
{
	out->failed = true;
	out->error = error;
	out->written = 0;
	buf_clear(&out->buf);
}

void
out_text(struct out *out, struct text *t)
{
	if (!out->failed && (t->failed || buf_append(&out->buf, t->buf.data, t->buf.len) != CHAT_OK))
		fail(out, ENOMEM);
	text_clear(t);
}

/* The file may be shared with other programs, so it stays in blocking mode: where poll() finds room in a pipe
 * it is enough for PIPE_BUF bytes. */
void
out_flush(struct out *out)
{
	while (out_pending(out)) {
		struct pollfd p = {.fd = out->fd, .events = POLLOUT};
		size_t left = out->buf.len - out->written;
		ssize_t n;

		if (poll(&p, 1, 0) <= 0)
			return;
		n = write(out->fd, out->buf.data + out->written, left < PIPE_BUF ? left : PIPE_BUF);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (n < 0) {
			fail(out, errno);
			return;
		}
		out->written += (size_t)n;
	}
	buf_clear(&out->buf);
	out->written = 0;
}

bool
out_pending(const struct out *out)
{
	return out->written < out->buf.len;
}
