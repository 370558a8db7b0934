/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_conn.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/store.h"

#define BUSY_POLL_US 200
#define BUSY_WAIT_US 2000000 /* for others than our own threads: an administrator's sqlite3 */

static pthread_once_t sqlite_once = PTHREAD_ONCE_INIT;

static void
configure_sqlite(void)
{
	/* The statistics cost a process-wide lock at each allocation.  Refused, and no matter, if SQLite runs
	 * already. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int
wait_for_lock(void *ctx, int tries)
{
	const struct sq_conn *conn = ctx;
	const struct timespec poll = {.tv_nsec = BUSY_POLL_US * 1000L};

	if ((uint64_t)tries * BUSY_POLL_US >= conn->busy_wait_us)
		return 0;
	(void)nanosleep(&poll, NULL);
	return 1;
}

static enum chat_err
err_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return CHAT_ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return CHAT_ERR_CORRUPT;
	default:
		return CHAT_ERR_STORE_UNAVAILABLE;
	}
}

enum chat_err
sq_error(struct sq_conn *conn, int rc)
{
	const char *name = conn->db ? sqlite3_db_filename(conn->db, "main") : NULL;
	int sys = conn->db ? sqlite3_system_errno(conn->db) : 0;
	int ext = conn->db ? sqlite3_extended_errcode(conn->db) : rc;
	bool io = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_FULL;

	conn->last_rc = rc;
	(void)snprintf(conn->error, STORE_ERROR_BYTES, "%s: %s (SQLite %d)%s%s",
	    name && *name ? name : "database", conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc), ext,
	    io && sys ? ": " : "", io && sys ? strerror(sys) : "");
	return err_of(rc);
}

enum chat_err
sq_corrupt(struct sq_conn *conn, const char *fmt, ...)
{
	char what[STORE_ERROR_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)snprintf(
	    conn->error, STORE_ERROR_BYTES, "%s: damaged: %s", sqlite3_db_filename(conn->db, "main"), what);
	return CHAT_ERR_CORRUPT;
}

/* The file as a URI (sqlite.org/uri.html), which can say that nobody writes to it; sqlite3_free() it. */
static char *
uri_of_unused(const char *path)
{
	sqlite3_str *uri = sqlite3_str_new(NULL);

	sqlite3_str_appendall(uri, "file:");
	for (const char *p = path; *p != '\0'; p++)
		if (*p == '%' || *p == '?' || *p == '#')
			sqlite3_str_appendf(uri, "%%%02x", (unsigned char)*p);
		else
			sqlite3_str_appendchar(uri, 1, *p);
	sqlite3_str_appendall(uri, "?immutable=1");
	return sqlite3_str_finish(uri);
}

enum chat_err
sq_conn_open(struct sq_conn *conn, const char *path, const char *vfs, enum sq_access access,
    unsigned cache_kib, char *error)
{
	int flags = access == SQ_READ_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	char *uri = NULL;
	enum chat_err err;
	char sql[256];
	int rc;

	(void)pthread_once(&sqlite_once, configure_sqlite);
	memset(conn, 0, sizeof(*conn));
	conn->error = error;
	conn->busy_wait_us = BUSY_WAIT_US;
	if (access == SQ_UNUSED) {
		uri = uri_of_unused(path);
		if (uri == NULL) {
			err = sq_error(conn, SQLITE_NOMEM);
			goto out;
		}
		flags |= SQLITE_OPEN_URI;
	}
	rc = sqlite3_open_v2(
	    uri != NULL ? uri : path, &conn->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, vfs);
	if (rc != SQLITE_OK) {
		err = sq_error(conn, rc);
		goto out;
	}
	(void)sqlite3_extended_result_codes(conn->db, 1);
	(void)sqlite3_busy_handler(conn->db, wait_for_lock, conn);
	(void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/*
	 * The first of these is the first to read the file.  mmap stays off: an I/O error there is a SIGBUS.
	 * FAST secure_delete overwrites what retention removes wherever that writes no page more.
	 */
	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA cache_size = -%u; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA "
	    "cell_size_check = ON;"
	    "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = FAST;",
	    cache_kib);
	err = sq_exec(conn, sql);
out:
	sqlite3_free(uri);
	if (err)
		sq_conn_close(conn);
	return err;
}

enum chat_err
sq_conn_prepare(struct sq_conn *conn, enum sq_stmt end)
{
	for (int i = 0; i < (int)end; i++) {
		int rc = sqlite3_prepare_v3(
		    conn->db, sq_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &conn->stmts[i], NULL);

		if (rc != SQLITE_OK)
			return sq_error(conn, rc);
	}
	return CHAT_OK;
}

void
sq_conn_close(struct sq_conn *conn)
{
	int rc;

	for (size_t i = 0; i < SQ_STMT_COUNT; i++) {
		(void)sqlite3_finalize(conn->stmts[i]);
		conn->stmts[i] = NULL;
	}
	rc = sqlite3_close(conn->db);
	assert(rc == SQLITE_OK); /* else a statement or a backup was left */
	conn->db = NULL;
	buf_fini(&conn->scratch);
}

enum chat_err
sq_exec(struct sq_conn *conn, const char *sql)
{
	int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? CHAT_OK : sq_error(conn, rc);
}

enum chat_err
sq_query_u64(struct sq_conn *conn, const char *sql, uint64_t *ret)
{
	sqlite3_stmt *st = NULL;
	enum chat_err err = CHAT_OK;
	int rc = sqlite3_prepare_v2(conn->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sq_col_u64(st, 0);
	else if (rc == SQLITE_DONE)
		*ret = 0;
	else
		err = sq_error(conn, rc);
	(void)sqlite3_finalize(st);
	return err;
}

enum chat_err
sq_read_enter(struct sq_conn *conn, bool *ret_entered)
{
	enum chat_err err;

	if (!sqlite3_get_autocommit(conn->db)) {
		*ret_entered = false;
		return CHAT_OK;
	}
	err = sq_run(conn, conn->stmts[SQ_BEGIN]);
	if (!err)
		*ret_entered = true;
	return err;
}

void
sq_read_leave(struct sq_conn *conn, bool entered)
{
	/* An error can have ended it already. */
	if (entered && !sqlite3_get_autocommit(conn->db)) {
		(void)sqlite3_step(conn->stmts[SQ_ROLLBACK]);
		(void)sqlite3_reset(conn->stmts[SQ_ROLLBACK]);
	}
}

/* Binding fails only for a parameter that is not there or a statement that runs: our own mistakes. */

void
sq_bind_u64(sqlite3_stmt *st, int i, uint64_t v)
{
	int rc = sqlite3_bind_int64(st, i, (sqlite3_int64)v);

	assert(rc == SQLITE_OK);
}

void
sq_bind_bytes(sqlite3_stmt *st, int i, struct bytes b)
{
	int rc = sqlite3_bind_blob64(st, i, b.len ? (const void *)b.data : "", b.len, SQLITE_STATIC);

	assert(rc == SQLITE_OK);
}

void
sq_bind_text(sqlite3_stmt *st, int i, struct bytes s)
{
	const char *text = s.len ? (const void *)s.data : "";
	int rc = sqlite3_bind_text64(st, i, text, s.len, SQLITE_STATIC, SQLITE_UTF8);

	assert(rc == SQLITE_OK);
}

void
sq_bind_null(sqlite3_stmt *st, int i)
{
	int rc = sqlite3_bind_null(st, i);

	assert(rc == SQLITE_OK);
}

void
sq_bind_digest(sqlite3_stmt *st, int i, const struct digest *d)
{
	sq_bind_bytes(st, i, digest_bytes(d));
}

enum chat_err
sq_next(struct sq_conn *conn, sqlite3_stmt *st, bool *ret_row)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		*ret_row = rc == SQLITE_ROW;
		return CHAT_OK;
	}
	enum chat_err err = sq_error(conn, rc);
	(void)sqlite3_reset(st);
	return err;
}

void
sq_done(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st);
}

enum chat_err
sq_run(struct sq_conn *conn, sqlite3_stmt *st)
{
	bool row;
	enum chat_err err = sq_next(conn, st, &row);

	if (!err)
		sq_done(st);
	return err;
}

uint64_t
sq_col_u64(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

struct bytes
sq_col_bytes(sqlite3_stmt *st, int i)
{
	const void *data = sqlite3_column_blob(st, i); /* before the length: it converts */

	return BYTES(data, (size_t)sqlite3_column_bytes(st, i));
}

bool
sq_col_is_null(sqlite3_stmt *st, int i)
{
	return sqlite3_column_type(st, i) == SQLITE_NULL;
}

bool
sq_col_digest(sqlite3_stmt *st, int i, struct digest *ret)
{
	return digest_from_bytes(sq_col_bytes(st, i), ret);
}
