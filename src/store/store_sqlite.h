/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_STORE_SQLITE_H
#define STORE_STORE_SQLITE_H

/*
 * The store in one SQLite database in WAL mode; behind store.h.
 *
 * Threads: as store.h.
 */

#include "store/store_ops.h"

/* store_open() */
enum chat_err store_sqlite_open(const char *path, const struct store_options *options, struct store **ret,
    char error[static STORE_ERROR_BYTES]) MUST_USE;
/* store_check() */
enum chat_err store_sqlite_check(const char *path, const struct store_options *options,
    const struct store_check_options *check, struct buf *report) MUST_USE;

#endif
