/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TOOLS_CHAT_PASSWD_H
#define TOOLS_CHAT_PASSWD_H

/*
 * The commands of chat-passwd(1), behind its command line.  Each asks what it has to, says on standard output
 * what it did or on standard error why not, and returns the exit status.
 *
 * Threads: one.
 */

#include <stdbool.h>

#include "base/compiler.h"

#define DEFAULT_PORT "8820"

struct options {
	const char *file; /* -f */
	const char *dir;  /* -d */
	const char *host; /* --host */
	const char *port; /* --port */
	bool from_stdin;  /* --stdin */
	const char *name; /* the account; NULL for commands without one */
	/* made of the above; owned */
	char *file_path;
	char *dir_path; /* where the server's certificate may be */
};

int cmd_add(const struct options *opt);
int cmd_passwd(const struct options *opt);
int cmd_lock(const struct options *opt);
int cmd_unlock(const struct options *opt);
int cmd_del(const struct options *opt);
int cmd_list(const struct options *opt);
int cmd_verify(const struct options *opt);

/* One line on standard error, with the program's name in front. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
