/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_DATADIR_H
#define LIBCHAT_DATADIR_H

/*
 * Where a user's client keeps things:
 *
 *     DATA_DIR/known_servers                    pins of all servers (tls_pins.h)
 *     DATA_DIR/chat.example:8820/alice/chat.db  one account on one server (storage_sqlite.h)
 *     DATA_DIR/chat.example:8820/alice/...      its locks
 *
 * Folders are made 0700.  One that others can enter, or that is another user's, is refused, for secrets are
 * below it.
 *
 * Threads: any; data_dir_default() reads the environment.
 */

#include <chat/err.h>

#include "base/compiler.h"
#include "group/identity.h"
#include "libchat/server_name.h"

/*
 * $XDG_DATA_HOME/secure-chat, or ~/.local/share/secure-chat where that variable is unset, empty or (as the
 * XDG specification demands) not absolute.  The caller frees *ret_path.  CHAT_ERR_NOT_FOUND: no home
 * directory is known; CHAT_ERR_NOMEM.
 */
enum chat_err data_dir_default(char **ret_path) MUST_USE;

struct data_dir {
	char *root;    /* all owned */
	char *account; /* the folder of the account */
	char *pins;    /* the file; may not be there yet */
};

enum data_dir_use {
	DATA_DIR_MAKE, /* what is missing is made */
	DATA_DIR_LOOK, /* nothing is made: CHAT_ERR_NOT_FOUND */
};

/*
 * Looks at the folders, and makes them if asked to.  root NULL: the default.  CHAT_ERR_PERMISSION,
 * CHAT_ERR_IO, CHAT_ERR_NOT_FOUND (no home), CHAT_ERR_NOMEM; ret_text as in chat_client_new().
 */
enum chat_err data_dir_open(const char *root, enum data_dir_use use, const struct server_name *server,
    const struct account_name *account, struct data_dir *ret, char **ret_text) MUST_USE;
void data_dir_fini(struct data_dir *dir);

/* The pin file alone, where no account is needed: makes nothing.  Errors of data_dir_default(). */
enum chat_err data_dir_pins(const char *root, char **ret_path) MUST_USE;

/* That a folder or file is this user's and closed to all others.  CHAT_ERR_PERMISSION, CHAT_ERR_IO with errno
 * set. */
enum chat_err data_dir_check_private(const char *path, char **ret_text) MUST_USE;

#endif
