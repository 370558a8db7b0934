/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/signals.h"

#include <signal.h>
#include <sys/signalfd.h>

enum chat_err
signals_open(int *ret_fd)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_LEN(wanted); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return CHAT_ERR_IO;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return CHAT_ERR_IO;
	*ret_fd = fd;
	return CHAT_OK;
}
