/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_IDENTITY_CMD_H
#define CLIENT_IDENTITY_CMD_H

/*
 * What chat-client does without talking: `identity export', `identity import', `server forget'.
 *
 * Threads: the main one.
 */

#include "base/compiler.h"
#include "client/options.h"

/* The exit code; what there is to say goes to standard output and standard error. */
int identity_cmd_run(const struct options *opt) MUST_USE;

#endif
