/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

/*
 * The tables of the SQLite store, their version, and whether a file is one of ours.
 *
 * Threads: one, while the store is opened.
 */

#include <chat/err.h>

#include "base/compiler.h"
#include "group/identity.h"
#include "store/sqlite_conn.h"

#define SCHEMA_APPLICATION_ID 0x53634301 /* "ScC" and 1; in the file's header at byte 68 */
#define SCHEMA_VERSION        1
#define SCHEMA_BACKUP         0x10000 /* this bit of user_version: the file was written as a backup */

/* entries that one row of `blocks` lists */
#define BLOCK_ENTRIES 64
/* block_key = room_no << BLOCK_NO_BITS | block number, from 0; with 40 bits for entries and 29 for rooms */
#define BLOCK_NO_BITS 34
#define ROOM_NO_MAX   ((UINT64_C(1) << 29) - 1)

/*
 * Looks at the first bytes of a file before SQLite does, so that a file that is refused stays as it is.  An
 * empty file passes; a backup does not with a log beside it, for that is not its own.  CHAT_ERR_INVALID,
 * CHAT_ERR_NEWER, CHAT_ERR_IO, with the line in error.
 */
enum chat_err schema_look(int fd, const char *path, char *error) MUST_USE;

/* Makes the tables where the database is empty, and else looks whether they are ours and of this version. The
 * errors of schema_look(), and those of the store. */
enum chat_err schema_open(struct sq_conn *conn, const char *path) MUST_USE;
/* The same without making anything. */
enum chat_err schema_check(struct sq_conn *conn, const char *path) MUST_USE;

enum chat_err schema_realm(struct sq_conn *conn, struct realm *ret) MUST_USE;

/* Marks the file, which nobody has open, as a backup.  CHAT_ERR_IO with errno set. */
enum chat_err schema_mark_backup(int fd) MUST_USE;
enum chat_err schema_is_backup(struct sq_conn *conn, bool *ret) MUST_USE;
enum chat_err schema_adopt_backup(struct sq_conn *conn) MUST_USE;

#endif
