/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_STORAGE_DB_H
#define LIBCHAT_STORAGE_DB_H

/*
 * The connection to the SQLite database of one account: opening it with the settings that all need,
 * statements that are prepared once, binding and columns, and errors as `enum chat_err` and a line.
 *
 * A statement may be asked for while it is in use (a callback that reads on): a second one is then made for
 * the occasion.  So db_stmt() and db_done() come in pairs.
 *
 * What is bound is not copied: it outlives the use.  What a column gives is valid until the next step or
 * db_done().
 *
 * Threads: one at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "libchat/storage_schema.h"

#define DB_ERROR_CHARS 512

struct db {
	sqlite3 *sqlite;                    /* owned */
	sqlite3_stmt *stmts[DB_STMT_COUNT]; /* owned; NULL until first used */
	unsigned busy_ms;                   /* how long to wait for another process */
	char error[DB_ERROR_CHARS];         /* about the last failure; "" before the first */
};

/*
 * Opens the file, making it 0600 if it is missing; one that others can read, that is not ours or that a newer
 * version wrote is refused before SQLite touches it.  The caller keeps other processes from doing the same
 * meanwhile. CHAT_ERR_PERMISSION, CHAT_ERR_NEWER, CHAT_ERR_CORRUPT, CHAT_ERR_IO, CHAT_ERR_NOMEM; the line is
 * in db->error, and nothing is held.
 */
enum chat_err db_open(struct db *db, const char *path, unsigned busy_ms) MUST_USE;
void db_close(struct db *db);

/* The error for a result code of SQLite; writes the line. */
enum chat_err db_failed(struct db *db, int rc) MUST_USE;
/* A fault that SQLite does not see. */
enum chat_err db_corrupt(struct db *db, const char *what) MUST_USE;

enum chat_err db_begin(struct db *db) MUST_USE;  /* to write; waits for other writers */
enum chat_err db_commit(struct db *db) MUST_USE; /* after a failure there is no transaction either */
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);

/* NULL in *ret never comes with CHAT_OK. */
enum chat_err db_stmt(struct db *db, enum db_stmt which, sqlite3_stmt **ret) MUST_USE;
void db_done(struct db *db, enum db_stmt which, sqlite3_stmt *st);
/* One step.  After a failure or the last row the statement still needs its db_done(). */
enum chat_err db_step(struct db *db, sqlite3_stmt *st, bool *ret_row) MUST_USE;
/* One step without a row, and db_done(). */
enum chat_err db_run(struct db *db, enum db_stmt which, sqlite3_stmt *st) MUST_USE;

/* The first parameter is 1, the first column 0. */
void db_bind_u64(sqlite3_stmt *st, int i, uint64_t v);
void db_bind_bytes(sqlite3_stmt *st, int i, struct bytes b); /* empty: an empty blob, not NULL */
void db_bind_text(sqlite3_stmt *st, int i, const char *s);
void db_bind_null(sqlite3_stmt *st, int i);
void db_bind_digest(sqlite3_stmt *st, int i, const struct digest *d);
uint64_t db_col_u64(sqlite3_stmt *st, int i);
struct bytes db_col_bytes(sqlite3_stmt *st, int i);
/* Copies a column of exactly n bytes; false for another length. */
bool db_col_copy(sqlite3_stmt *st, int i, void *ret, size_t n) MUST_USE;

#endif
