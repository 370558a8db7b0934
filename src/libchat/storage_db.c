/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/storage_db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libchat/datadir.h"

#define CACHE_KIB             2048
#define HEADER_BYTES          100 /* SQLite file format, 1.3 */
#define HEADER_MAGIC          "SQLite format 3"
#define HEADER_USER_VERSION   60
#define HEADER_APPLICATION_ID 68

enum chat_err
db_failed(struct db *db, int rc)
{
	const char *name = db->sqlite ? sqlite3_db_filename(db->sqlite, "main") : NULL;
	int sys = db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;
	bool io = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_FULL;

	(void)snprintf(db->error, sizeof(db->error), "%s: %s%s%s", name && *name ? name : "database",
	    db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(rc), io && sys ? ": " : "",
	    io && sys ? strerror(sys) : "");
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return CHAT_ERR_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return CHAT_ERR_CORRUPT;
	default:
		return CHAT_ERR_IO;
	}
}

enum chat_err
db_corrupt(struct db *db, const char *what)
{
	(void)snprintf(
	    db->error, sizeof(db->error), "%s: damaged: %s", sqlite3_db_filename(db->sqlite, "main"), what);
	return CHAT_ERR_CORRUPT;
}

static enum chat_err
judge(struct db *db, const char *path, uint64_t application_id, uint64_t version)
{
	if (application_id != SCHEMA_APPLICATION_ID) {
		(void)snprintf(db->error, sizeof(db->error),
		    "%s: it is not a database of a secure-chat client; move it away", path);
		return CHAT_ERR_CORRUPT;
	}
	if (version > SCHEMA_VERSION) {
		(void)snprintf(db->error, sizeof(db->error),
		    "%s: a newer version of secure-chat wrote it (format %llu; this one knows %d); use that "
		    "version",
		    path, (unsigned long long)version, SCHEMA_VERSION);
		return CHAT_ERR_NEWER;
	}
	return CHAT_OK;
}

/* The header of a file of ours says so from its first byte on, so that one of somebody else's is never
 * written to.  Beside a rollback journal, left by a crash while the database was made, it means nothing yet.
 */
static enum chat_err
judge_header(struct db *db, const char *path, int fd)
{
	uint8_t header[HEADER_BYTES] = {0};
	char *journal = NULL;
	bool made = true;
	ssize_t n;

	if (asprintf(&journal, "%s-journal", path) < 0)
		return CHAT_ERR_NOMEM;
	made = access(journal, F_OK) != 0;
	free(journal);
	n = pread(fd, header, sizeof(header), 0);
	if (n < 0) {
		(void)snprintf(db->error, sizeof(db->error), "%s: cannot be read: %s", path, strerror(errno));
		return CHAT_ERR_IO;
	}
	if (n == 0 || !made)
		return CHAT_OK;
	if (memcmp(header, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0)
		return judge(db, path, 0, 0);
	return judge(
	    db, path, be32_get(header + HEADER_APPLICATION_ID), be32_get(header + HEADER_USER_VERSION));
}

/* Makes the file if it is missing, and looks whether it may be ours. */
static enum chat_err
look_at_file(struct db *db, const char *path)
{
	enum chat_err err = CHAT_OK;
	char *text = NULL;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		(void)snprintf(
		    db->error, sizeof(db->error), "%s: cannot be opened: %s", path, strerror(errno));
		return errno == EACCES || errno == EPERM || errno == EROFS ? CHAT_ERR_PERMISSION
									   : CHAT_ERR_IO;
	}
	err = data_dir_check_private(path, &text);
	if (err) {
		(void)strlcpy(db->error, text ? text : chat_strerror(err), sizeof(db->error));
		goto out;
	}
	err = judge_header(db, path, fd);
out:
	free(text);
	(void)close(fd);
	return err;
}

static enum chat_err
exec(struct db *db, const char *sql)
{
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? CHAT_OK : db_failed(db, rc);
}

static enum chat_err
query_u64(struct db *db, const char *sql, uint64_t *ret)
{
	sqlite3_stmt *st = NULL;
	enum chat_err err = CHAT_OK;
	int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = db_col_u64(st, 0);
	else
		err = db_failed(db, rc);
	(void)sqlite3_finalize(st);
	return err;
}

/* In a rollback journal, so that the header of the file itself says at once what it is. */
static enum chat_err
create(struct db *db)
{
	char sql[128];
	enum chat_err err = exec(db, "BEGIN EXCLUSIVE");

	if (err)
		return err;
	(void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
	    SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	err = exec(db, schema_sql);
	if (!err)
		err = exec(db, sql);
	if (!err)
		err = exec(db, "COMMIT");
	if (err)
		db_rollback(db);
	return err;
}

/* Makes the tables, or looks at the versions once more, for a newer one may stand in the write-ahead log
 * only. */
static enum chat_err
open_schema(struct db *db, const char *path)
{
	uint64_t pages, application_id, version;
	enum chat_err err = query_u64(db, "PRAGMA page_count", &pages);

	if (err)
		return err;
	if (pages == 0)
		return create(db);
	err = query_u64(db, "PRAGMA application_id", &application_id);
	if (!err)
		err = query_u64(db, "PRAGMA user_version", &version);
	return err ? err : judge(db, path, application_id, version);
}

static enum chat_err
use_wal(struct db *db)
{
	sqlite3_stmt *st = NULL;
	enum chat_err err = CHAT_OK;
	int rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA journal_mode = WAL", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW) {
		err = db_failed(db, rc);
	} else if (!bytes_equal(db_col_bytes(st, 0), BYTES_STR("wal"))) {
		(void)snprintf(db->error, sizeof(db->error),
		    "%s: no write-ahead log can be kept here (a network file system?); name a data directory "
		    "elsewhere",
		    sqlite3_db_filename(db->sqlite, "main"));
		err = CHAT_ERR_IO;
	}
	(void)sqlite3_finalize(st);
	return err;
}

enum chat_err
db_open(struct db *db, const char *path, unsigned busy_ms)
{
	enum chat_err err;
	char sql[256];
	int rc;

	memset(db, 0, sizeof(*db));
	db->busy_ms = busy_ms;
	err = look_at_file(db, path);
	if (err)
		return err;
	rc = sqlite3_open_v2(
	    path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	if (rc != SQLITE_OK) {
		err = db_failed(db, rc);
		goto out;
	}
	(void)sqlite3_extended_result_codes(db->sqlite, 1);
	(void)sqlite3_busy_timeout(db->sqlite, (int)busy_ms);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* mmap stays off: an I/O error there is a SIGBUS. */
	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA cache_size = -%d; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
	    " PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST;",
	    CACHE_KIB);
	err = exec(db, sql);
	if (!err)
		err = open_schema(db, path);
	if (!err)
		err = use_wal(db);
out:
	if (err)
		db_close(db);
	return err;
}

void
db_close(struct db *db)
{
	int rc;

	for (size_t i = 0; i < DB_STMT_COUNT; i++) {
		(void)sqlite3_finalize(db->stmts[i]);
		db->stmts[i] = NULL;
	}
	rc = sqlite3_close(db->sqlite);
	assert(rc == SQLITE_OK); /* else a statement was left */
	db->sqlite = NULL;
}

/* ---- transactions ---- */

static enum chat_err
run_plain(struct db *db, enum db_stmt which)
{
	sqlite3_stmt *st;
	enum chat_err err = db_stmt(db, which, &st);

	return err ? err : db_run(db, which, st);
}

bool
db_in_transaction(const struct db *db)
{
	return !sqlite3_get_autocommit(db->sqlite);
}

enum chat_err
db_begin(struct db *db)
{
	assert(!db_in_transaction(db));
	return run_plain(db, DB_BEGIN);
}

enum chat_err
db_commit(struct db *db)
{
	enum chat_err err;

	if (!db_in_transaction(db)) {
		/* An error in between ended it: what was asked for since is not kept. */
		(void)snprintf(db->error, sizeof(db->error), "%s: the transaction was given up",
		    sqlite3_db_filename(db->sqlite, "main"));
		return CHAT_ERR_IO;
	}
	err = run_plain(db, DB_COMMIT);
	if (err)
		db_rollback(db);
	return err;
}

void
db_rollback(struct db *db)
{
	if (db_in_transaction(db))
		(void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- statements ---- */

enum chat_err
db_stmt(struct db *db, enum db_stmt which, sqlite3_stmt **ret)
{
	sqlite3_stmt *st = NULL;
	bool keep = !db->stmts[which];
	int rc;

	if (!keep && !sqlite3_stmt_busy(db->stmts[which])) {
		*ret = db->stmts[which];
		return CHAT_OK;
	}
	rc = sqlite3_prepare_v3(
	    db->sqlite, db_sql[which], -1, keep ? SQLITE_PREPARE_PERSISTENT : 0, &st, NULL);
	if (rc != SQLITE_OK)
		return db_failed(db, rc);
	if (keep)
		db->stmts[which] = st;
	*ret = st;
	return CHAT_OK;
}

void
db_done(struct db *db, enum db_stmt which, sqlite3_stmt *st)
{
	if (st == db->stmts[which]) {
		(void)sqlite3_reset(st);
		(void)sqlite3_clear_bindings(st);
	} else {
		(void)sqlite3_finalize(st);
	}
}

enum chat_err
db_step(struct db *db, sqlite3_stmt *st, bool *ret_row)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_failed(db, rc);
	*ret_row = rc == SQLITE_ROW;
	return CHAT_OK;
}

enum chat_err
db_run(struct db *db, enum db_stmt which, sqlite3_stmt *st)
{
	bool row;
	enum chat_err err = db_step(db, st, &row);

	db_done(db, which, st);
	return err;
}

/* Binding fails only for a parameter that is not there or a statement that runs: our own mistakes. */

void
db_bind_u64(sqlite3_stmt *st, int i, uint64_t v)
{
	int rc = sqlite3_bind_int64(st, i, (sqlite3_int64)v);

	assert(rc == SQLITE_OK);
}

void
db_bind_bytes(sqlite3_stmt *st, int i, struct bytes b)
{
	int rc = sqlite3_bind_blob64(st, i, b.len ? (const void *)b.data : "", b.len, SQLITE_STATIC);

	assert(rc == SQLITE_OK);
}

void
db_bind_text(sqlite3_stmt *st, int i, const char *s)
{
	int rc = sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);

	assert(rc == SQLITE_OK);
}

void
db_bind_null(sqlite3_stmt *st, int i)
{
	int rc = sqlite3_bind_null(st, i);

	assert(rc == SQLITE_OK);
}

void
db_bind_digest(sqlite3_stmt *st, int i, const struct digest *d)
{
	db_bind_bytes(st, i, digest_bytes(d));
}

uint64_t
db_col_u64(sqlite3_stmt *st, int i)
{
	return (uint64_t)sqlite3_column_int64(st, i);
}

struct bytes
db_col_bytes(sqlite3_stmt *st, int i)
{
	const void *data = sqlite3_column_blob(st, i); /* before the length: it converts */

	return BYTES(data, (size_t)sqlite3_column_bytes(st, i));
}

bool
db_col_copy(sqlite3_stmt *st, int i, void *ret, size_t n)
{
	struct bytes b = db_col_bytes(st, i);

	if (b.len != n)
		return false;
	memcpy(ret, b.data, n);
	return true;
}
