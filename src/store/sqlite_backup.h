/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_BACKUP_H
#define STORE_SQLITE_BACKUP_H

/*
 * A copy of the database while it is written to, and looking whether a database is sound.
 *
 * Threads: as the connection.
 */

#include "store/sqlite_conn.h"
#include "store/store.h"

/* store_reader_backup() */
enum chat_err sq_backup(struct sq_conn *conn, const char *path) MUST_USE;
/* store_reader_check() */
enum chat_err
sq_check(struct sq_conn *conn, const struct store_check_options *options, struct buf *report) MUST_USE;

#endif
