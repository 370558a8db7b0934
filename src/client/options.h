/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

/*
 * The command line of chat-client.  Options are rows of one table; --help is printed from it, and a test
 * holds the manual page to it.
 *
 * What it is not: files that an option names are opened by those who use them.
 *
 * Threads: the main one, once (getopt).
 */

#include <stdbool.h>
#include <stddef.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/account_name.h"
#include "base/compiler.h"
#include "client/text.h"

enum action {
	ACTION_CHAT,
	ACTION_IDENTITY_EXPORT,
	ACTION_IDENTITY_IMPORT,
	ACTION_SERVER_FORGET,
	ACTION_HELP,
	ACTION_VERSION
};

/* Strings are borrowed from argv and live as long, apart from default_user and default_port. */
struct options {
	enum action action;
	const char *user; /* a valid account name, where the action needs one */
	const char *host;
	const char *port;
	const char *file;            /* of identity export and import */
	const char *data_dir;        /* NULL: the library's default */
	const char *password_file;   /* NULL: ask */
	const char *passphrase_file; /* NULL: ask */
	const char *fingerprint;     /* NULL: none demanded */
	const char *room;            /* NULL: chosen at the start */
	bool accept_new;
	bool plain;
	bool json;
	bool no_reconnect;
	bool wait;
	bool stay;
	char default_user[ACCOUNT_NAME_MAX_BYTES + 1];
	char default_port[8];
};

struct option_row {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* what --help calls it; NULL: none */
	size_t offset; /* in struct options: of a const char * where there is an argument, else of a bool */
	const char *help;
};

/* --help and --version are rows with offset NO_OFFSET. */
#define NO_OFFSET ((size_t)-1)

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* CHAT_ERR_INVALID: why has a line that says what is wrong and what to do. *ret is then not to be used. */
enum chat_err options_parse(int argc, char **argv, struct options *ret, struct text *why) MUST_USE;

/* What --help prints. */
void options_help(struct text *out);

/* The configuration for libchat that they ask for; the caller's, until chat_config_free().  As
 * options_parse(). */
enum chat_err options_config(const struct options *opt, struct chat_config **ret, struct text *why) MUST_USE;

/* The line to type that forgets the pinned key of this server, quoted for a shell. */
void options_forget_line(const struct options *opt, struct text *out);

#endif
