/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_DAEMON_IMPL_H
#define SERVER_DAEMON_IMPL_H

/*
 * The inside of the daemon, for its own files only:
 *
 *   daemon.c          start, signals, connections, the end
 *   daemon_reload.c   a new configuration
 *   daemon_control.c  what chatctl asks for
 *
 * Threads: all of it is main's, but connection_ended(), which any loop calls.
 */

#include <stdbool.h>
#include <stdint.h>

#include "net/listener.h"
#include "net/loop.h"
#include "server/config.h"
#include "server/control.h"
#include "server/server.h"
#include "server/start.h"
#include "server/upkeep.h"

struct daemon {
	const struct config_args *args; /* borrowed */
	struct config *config;          /* a reference */
	struct start start;
	struct loop *loop;
	struct listener *listener;
	struct control *control;
	struct server *server;
	struct upkeep *upkeep;
	struct loop_fd signal_lfd;
	int signal_fd;            /* owned */
	uint32_t connections_max; /* as many as there are open files for */
	const char *stop_reason;  /* static storage */
	char addresses[512];      /* that it listens on, for people */
	char check[600]; /* what became of the look at the database: "running", "ok", or a complaint */
};

/* Which commands the control socket has. */
extern const struct control_command daemon_commands[];

/*
 * Reads the configuration again.  CHAT_OK: text says what was changed and what waits for a restart.  Else
 * nothing is changed, and text says why.  It is logged either way.
 */
enum chat_err daemon_reload(struct daemon *daemon, struct buf *text) MUST_USE;
/* Opens the log anew. */
void daemon_reopen_log(struct daemon *daemon);
/* Ends the run: reason is for the log. */
void daemon_stop(struct daemon *daemon, const char *reason);

/* The mails that answer daemon_commands. */
void daemon_status_came(struct daemon *daemon, struct server_status_mail *mail);
void daemon_upkeep_came(struct daemon *daemon, struct upkeep_done *done);

#endif
