/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_SIGNALS_H
#define CLIENT_SIGNALS_H

/*
 * Signals as something to poll for, so that none comes in between and the terminal can be put in order first.
 *
 * Threads: the main one, before any other is started (they inherit what is blocked).
 */

#include <chat/err.h>

#include "base/compiler.h"

/* Blocks SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT and SIGWINCH, and gives a signalfd(2) for them,
 * which does not block.  SIGPIPE is ignored.  CHAT_ERR_IO. */
enum chat_err signals_open(int *ret_fd) MUST_USE;

#endif
