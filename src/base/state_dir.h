/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_STATE_DIR_H
#define BASE_STATE_DIR_H

/*
 * Where a server keeps its state, and the names of the files in it: what chat-server, chatctl and chat-passwd
 * have to agree on.  What is in the files is the business of those who write them.
 *
 * Threads: any; state_dir_default() reads the environment.
 */

#include <chat/err.h>

#include "base/compiler.h"

#define STATE_DIR_ROOT "/var/lib/secure-chat" /* the default for root */

/* Names inside a state directory. */
#define STATE_PASSWD   "passwd"
#define STATE_TLS_CERT "tls-cert.pem"
#define STATE_TLS_KEY  "tls-key.pem"
#define STATE_DATABASE "chat.db"
#define STATE_CONTROL  "control"
#define STATE_LOCK     "lock"

/*
 * The default: STATE_DIR_ROOT for root; for a user $XDG_STATE_HOME/secure-chat, or ~/.local/state/secure-chat
 * where that variable is unset, empty or (as the XDG specification demands) not absolute.  The caller frees
 * *ret_path. CHAT_ERR_NOT_FOUND: no home directory is known; CHAT_ERR_NOMEM.
 */
enum chat_err state_dir_default(char **ret_path) MUST_USE;

/* dir/name; the caller frees *ret_path.  CHAT_ERR_NOMEM. */
enum chat_err state_dir_file(const char *dir, const char *name, char **ret_path) MUST_USE;

/*
 * Makes dir with mode 0700, and those above it that are missing.  CHAT_OK also when it is there; its mode is
 * then left alone.  CHAT_ERR_IO with errno set; CHAT_ERR_NOMEM.
 */
enum chat_err state_dir_make(const char *dir) MUST_USE;

#endif
