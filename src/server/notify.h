/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

/*
 * Tells a service manager how the server is: the socket protocol of sd_notify(3), without its library.
 * Without NOTIFY_SOCKET in the environment all of it is nothing, and a failure is nobody's: the manager will
 * see by its own timeouts.
 *
 * Threads: those that may read the environment; the server calls it from main's.
 */

#include "base/compiler.h"

/* status: a line for `systemctl status`. */
void notify_ready(const char *status);
void notify_reloading(void); /* followed by notify_ready() */
void notify_stopping(void);

#endif
