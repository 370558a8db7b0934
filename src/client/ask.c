/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/ask.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES 4096 /* what a terminal collects at most */

static bool
apply(const struct ask *ask, int when)
{
	struct termios t = ask->saved;

	t.c_lflag |= ICANON | ISIG | ECHO;
	t.c_iflag |= ICRNL;
	if (ask->hidden)
		t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	return tcsetattr(ask->fd, when, &t) == 0;
}

enum chat_err
ask_start(struct ask *ask, int fd, bool hidden)
{
	struct ask a = {.fd = fd, .active = true, .hidden = hidden};

	/* All at once, for a secret is not copied around when a buffer grows. */
	if (buf_reserve(&a.answer, ANSWER_MAX_BYTES) != CHAT_OK)
		return CHAT_ERR_NOMEM;
	if (tcgetattr(fd, &a.saved) != 0 || !apply(&a, TCSAFLUSH)) {
		buf_fini(&a.answer);
		return CHAT_ERR_IO;
	}
	*ask = a;
	return CHAT_OK;
}

void
ask_next(struct ask *ask)
{
	explicit_bzero(ask->answer.data, ask->answer.cap);
	buf_clear(&ask->answer);
}

enum ask_result
ask_input(struct ask *ask)
{
	size_t room = ANSWER_MAX_BYTES - ask->answer.len;
	ssize_t n = room > 0 ? read(ask->fd, ask->answer.data + ask->answer.len, room) : 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ASK_MORE;
	if (n <= 0)
		return ASK_END;
	ask->answer.len += (size_t)n;
	if (ask->answer.data[ask->answer.len - 1] != '\n')
		return ASK_MORE; /* ended by the end-of-file key within the line */
	ask->answer.len--;
	return ASK_ANSWER;
}

void
ask_stop(struct ask *ask)
{
	if (!ask->active)
		return;
	tcsetattr(ask->fd, TCSADRAIN, &ask->saved);
	buf_fini_secret(&ask->answer);
	ask->active = false;
}

void
ask_suspend(struct ask *ask)
{
	if (ask->active)
		tcsetattr(ask->fd, TCSADRAIN, &ask->saved);
}

void
ask_resume(struct ask *ask)
{
	if (ask->active)
		(void)apply(ask, TCSADRAIN);
}
