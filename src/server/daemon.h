/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

/*
 * chat-server as a process: what main's thread does from the configuration to the last line of the log.  It
 * listens, accepts, answers the control socket and signals (SIGTERM and SIGINT end it, SIGHUP reloads,
 * SIGUSR1 opens the log anew), and keeps a struct server running.
 *
 * Threads: main's; it blocks the signals it serves, so it comes before every other thread.
 */

#include "base/compiler.h"
#include "server/config.h"

/*
 * Runs until a signal or `chatctl drain` ends it.  The exit status: 0; or 1 where it could not start, with
 * one line on standard error and nothing changed.
 */
int daemon_run(const struct config_args *args) MUST_USE;

#endif
