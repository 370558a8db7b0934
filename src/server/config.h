/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

/*
 * The configuration in force: defaults, then the file, then the command line, checked as a whole and made
 * into paths and limits.  A reload makes a new one from the same places, or leaves the old one alone and says
 * why.
 *
 * What it is not: it makes no file or folder, and opens none but the configuration file.
 *
 * Threads: any; a configuration is immutable and counted.  config_load() reads the environment and the
 * working directory.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "server/options.h"

struct server_limits;

/* What the command line gives; borrowed, NULL where it is silent.  The same at every reload. */
struct config_args {
	const char *file;
	const char *state_dir;
	const char *password_file;
	const char *listen; /* several: with commas */
	const char *port;
};

struct config {
	_Atomic uint32_t refs;
	struct options options;
	/* Absolute; owned. */
	char *state_dir;
	char *password_file, *tls_key, *tls_cert;
	char *log_file; /* NULL: stderr */
	uint16_t loop_count;
	struct server_limits *limits; /* a reference */
	/* Names of options whose new value waits for a restart, "port, loops"; empty if there are none.
	 * Owned. */
	char *waiting;
};

/*
 * running: the configuration in force, NULL at the start.  Of a reload the options that need a restart keep
 * the values in force, and are named in `waiting` where they were changed.
 *
 * On failure *ret_why has the line: file and line or the command line, what is wrong and the mend.
 * CHAT_ERR_SYNTAX, CHAT_ERR_RANGE, CHAT_ERR_NOT_FOUND, CHAT_ERR_PERMISSION, CHAT_ERR_IO, CHAT_ERR_NOMEM.
 */
enum chat_err config_load(const struct config_args *args, const struct config *running,
    struct config **ret_config, struct passwd_why *ret_why) MUST_USE;

struct config *config_ref(struct config *config); /* returns config */
void config_unref(struct config *config);         /* NULL is allowed */

/* Appends "name, name" of the options that differ.  CHAT_ERR_NOMEM. */
enum chat_err config_changes(const struct config *from, const struct config *to, struct buf *names) MUST_USE;

#endif
