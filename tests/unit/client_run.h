/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_RUN_H
#define CLIENT_RUN_H

/*
 * The whole client program in the test's own process, on fake_chat.h: input from memory, output to memory.
 */

#include "base/compiler.h"

struct client_run {
	int exit_code;
	char *out;        /* all that was printed; times are HH:MM, dates and the first === line are gone */
	char *last_words; /* for standard error */
};

/* args: options between `chat-client -u alice' and `localhost', separated by spaces; input: all of standard
 * input. */
struct client_run client_run(const char *args, const char *input);
void client_run_fini(struct client_run *run);

#endif
