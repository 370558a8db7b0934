/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_CONN_H
#define STORE_SQLITE_CONN_H

/*
 * One connection to the SQLite database: opening with the settings that all need, its prepared statements
 * (made once, listed in sqlite_sql.c), binding, stepping, and errors as `enum chat_err` and a line.
 *
 * Bound bytes are not copied: they outlive the statement's use.  A statement is reset by whoever stepped it,
 * which sq_run() and sq_done() do; what its columns gave is valid until then.
 *
 * Threads: one at a time for each connection.
 */

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "store/sqlite_sql.h"

struct sq_conn {
	sqlite3 *db;                        /* owned */
	sqlite3_stmt *stmts[SQ_STMT_COUNT]; /* owned; NULL above those that were asked for */
	char *error;                        /* borrowed, STORE_ERROR_BYTES: the line about the last failure */
	int last_rc;                        /* and its result code */
	uint64_t busy_wait_us;              /* how long to wait for a lock of another connection */
	struct buf scratch;                 /* what a lookup gives out */
};

enum sq_access {
	SQ_READ_WRITE,
	SQ_READ_ONLY,
	SQ_UNUSED, /* read only, and nobody writes meanwhile: no lock is taken and no file is made beside it
		    */
};

/*
 * Opens without preparing anything; cache_kib of page cache.  *conn is zeros before, and holds nothing after
 * a failure.  error: the caller's, where lines go as long as the connection lives.
 */
enum chat_err sq_conn_open(struct sq_conn *conn, const char *path, const char *vfs, enum sq_access access,
    unsigned cache_kib, char *error) MUST_USE;
/* Prepares the statements up to but without `end`. */
enum chat_err sq_conn_prepare(struct sq_conn *conn, enum sq_stmt end) MUST_USE;
void sq_conn_close(struct sq_conn *conn);

/* The error for a result code of SQLite on this connection; writes its line. */
enum chat_err sq_error(struct sq_conn *conn, int rc) MUST_USE;
/* A fault that SQLite does not see: rows that contradict each other.  CHAT_ERR_CORRUPT. */
enum chat_err sq_corrupt(struct sq_conn *conn, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;

/* Statements without parameters and results, as text. */
enum chat_err sq_exec(struct sq_conn *conn, const char *sql) MUST_USE;
/* The first column of the first row of a query; 0 where there is none. */
enum chat_err sq_query_u64(struct sq_conn *conn, const char *sql, uint64_t *ret) MUST_USE;

/* In a transaction?  Begins one for reading if not, and says whether sq_read_leave() has to end it. */
enum chat_err sq_read_enter(struct sq_conn *conn, bool *ret_entered) MUST_USE;
void sq_read_leave(struct sq_conn *conn, bool entered);

/* ---- binding; the first parameter is 1 ---- */

void sq_bind_u64(sqlite3_stmt *st, int i, uint64_t v);
void sq_bind_bytes(sqlite3_stmt *st, int i, struct bytes b); /* an empty string too is not NULL */
void sq_bind_text(sqlite3_stmt *st, int i, struct bytes s);
void sq_bind_null(sqlite3_stmt *st, int i);
void sq_bind_digest(sqlite3_stmt *st, int i, const struct digest *d);

/* ---- stepping ---- */

/* One step; *ret_row says whether there is a row.  After a failure the statement is reset. */
enum chat_err sq_next(struct sq_conn *conn, sqlite3_stmt *st, bool *ret_row) MUST_USE;
/* The statement will be used again. */
void sq_done(sqlite3_stmt *st);
/* One step that gives no row, and the reset. */
enum chat_err sq_run(struct sq_conn *conn, sqlite3_stmt *st) MUST_USE;

/* ---- columns; the first is 0 ---- */

uint64_t sq_col_u64(sqlite3_stmt *st, int i);
struct bytes sq_col_bytes(sqlite3_stmt *st, int i);
bool sq_col_is_null(sqlite3_stmt *st, int i);
/* False if the column does not hold exactly 32 bytes. */
bool sq_col_digest(sqlite3_stmt *st, int i, struct digest *ret) MUST_USE;

#endif
