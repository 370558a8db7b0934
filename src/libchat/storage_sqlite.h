/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_STORAGE_SQLITE_H
#define LIBCHAT_STORAGE_SQLITE_H

/*
 * struct storage on disk: a SQLite database with a write-ahead log, chat.db in the folder of an account.
 * Whatever was committed is on the disk, also after a power cut (synchronous=FULL).  Several processes may
 * have it open; each has a slot (storage_slot.h).
 *
 * A callback of an each_... function may read on; to write it needs a transaction around all of it.
 *
 * Threads: one at a time, as storage.h says.
 */

#include <chat/err.h>

#include "base/compiler.h"
#include "libchat/storage.h"

enum storage_use {
	STORAGE_SLOT,   /* a client: takes a slot */
	STORAGE_NO_SLOT /* for a look or the import of an identity: no device and no outbox (asserted) */
};

/*
 * Opens or makes it in dir, which is there and private (data_dir_open()).  CHAT_ERR_PERMISSION,
 * CHAT_ERR_NEWER, CHAT_ERR_CORRUPT, CHAT_ERR_LOCKED, CHAT_ERR_IO, CHAT_ERR_NOMEM; ret_text as in
 * chat_client_new().
 */
enum chat_err
storage_sqlite_open(const char *dir, enum storage_use use, struct storage **ret, char **ret_text) MUST_USE;
void storage_sqlite_close(struct storage *st); /* gives up an open transaction; NULL is allowed */

/* One line about the last failure of any of its functions; borrowed until the next call. */
const char *storage_sqlite_error(const struct storage *st);

#endif
