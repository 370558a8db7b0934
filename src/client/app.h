/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_APP_H
#define CLIENT_APP_H

/*
 * What the plain mode and --json share: one client of libchat, the loop over its events, the input, the
 * output and signals, and how the program ends.  The loop never waits for the network, a key or a reader of
 * its output alone.
 *
 * A mode is a `struct app_mode`; the loop calls it and it calls back, all in the main thread.
 *
 * What it is not: it does not know what commands there are, and prints nothing to standard output by itself.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "client/options.h"
#include "client/out.h"
#include "client/text.h"

/* Exit codes, by cause. */
enum {
	EXIT_FAILED =
	    1, /* a command of the input (not of a terminal), memory, the data directory, the output */
	EXIT_USAGE = 2,
	EXIT_CONNECT = 3, /* the server cannot be reached, or is not trusted */
	EXIT_LOGIN = 4,
	EXIT_CHANGED = 5, /* the server's identity is another one */
	EXIT_LOST = 6     /* the connection was lost, or something was not acknowledged before the end */
};

/* At the end of the input everything said has this long to be acknowledged. */
#define APP_DRAIN_MS 30000
/* When asked to go at once: to reach the outbox, or the server where there is a connection. */
#define APP_LEAVE_MS 3000

struct app {
	const struct options *opt;  /* borrowed */
	struct chat_client *client; /* owned */
	struct out out;
	int in_fd;
	int signal_fd;
	struct buf password; /* of --password-file, until it is used; secret */
	bool connected;      /* now */
	bool was_connected;  /* ever */
	bool synced;         /* once since the start */
	enum chat_event_type
	    asked;    /* SERVER_UNKNOWN, PASSWORD_NEEDED: a question of the library is open; 0: none */
	bool closing; /* ends as soon as nothing is open */
	bool ended;   /* the loop stops */
	uint64_t close_deadline_ms; /* mono_ms */
	int exit_code;
	struct text last_words; /* for standard error, when the screen is in order again */
};

struct app_mode {
	/* One event; the app has looked at it before. */
	void (*event)(void *mode, const struct chat_event *event);
	/* Whether input is wanted now, and that there is some (or its end) on in_fd. */
	bool (*wants_input)(void *mode);
	void (*input)(void *mode);
	/* SIGINT (true: it was for the mode), SIGTSTP, SIGCONT, SIGWINCH. */
	bool (*signal)(void *mode, int signo);
	/* After each turn: what is due by now is done; returns when it wants to be called next (NEVER_MS). */
	uint64_t (*tick)(void *mode, uint64_t mono_ms);
	/* Around what is written. */
	void (*before_output)(void *mode);
	void (*after_output)(void *mode);
	/* Requests that have not ended. */
	size_t (*open_count)(void *mode);
};

/*
 * Opens the client and blocks the signals that the loop takes; the library's threads, which app_run() starts,
 * inherit that.  Not CHAT_OK: last_words says why, exit_code is set.  Call app_fini() in any case.
 */
enum chat_err app_init(struct app *app, const struct options *opt, int in_fd, int out_fd) MUST_USE;
void app_fini(struct app *app);
/* Writes what is left of the output; exit_code is final behind it. */
void app_end_output(struct app *app);

/* Runs until the end; exit_code is then final.  The mode's terminal is its own to restore. */
void app_run(struct app *app, const struct app_mode *mode, void *mode_ctx);

/* Ends as soon as no request is open, and at the latest after this time. */
void app_close(struct app *app, uint64_t wait_ms);
/* Ends with this code and a line on standard error; the first one counts.  mend NULL or "": none. */
void app_fail(struct app *app, int exit_code, const char *text, const char *mend);

/* PASSWORD_NEEDED where there is a --password-file: answers it, or ends.  False: there is none. */
bool app_password(struct app *app, const struct chat_event *event);

#endif
