/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite_backup.h"
#include "store/sqlite_schema.h"
#include "store/store_sqlite.h"

#define WRITER_CACHE_KIB       16384
#define READER_CACHE_KIB       8192 /* the inner pages of 10,000,000 entries */
#define WAL_CHECKPOINT_BYTES   (UINT64_C(16) * 1024 * 1024)
#define WAL_CONGESTED_BYTES    (UINT64_C(256) * 1024 * 1024)
#define WAL_FRAME_HEADER_BYTES 24                 /* SQLite file format, 4.1 */
#define WAL_KEEP_BYTES         (64 * 1024 * 1024) /* a log file that grew larger is cut when it begins anew */

/* What an open can fail with, in the words of store_open(). */
static enum chat_err
open_error(const struct sq_conn *conn, enum chat_err err)
{
	int rc = conn->last_rc & 0xff;

	if (err != CHAT_ERR_STORE_UNAVAILABLE)
		return err;
	return rc == SQLITE_BUSY || rc == SQLITE_LOCKED     ? CHAT_ERR_LOCKED
	       : rc == SQLITE_READONLY || rc == SQLITE_PERM ? CHAT_ERR_PERMISSION
							    : CHAT_ERR_IO;
}

static enum chat_err
file_error(const char *path, const char *what, char *error)
{
	int e = errno;

	(void)snprintf(error, STORE_ERROR_BYTES, "%s: %s: %s", path, what, strerror(e));
	return e == ENOENT                               ? CHAT_ERR_NOT_FOUND
	       : e == EACCES || e == EPERM || e == EROFS ? CHAT_ERR_PERMISSION
							 : CHAT_ERR_IO;
}

/* Opens or makes the file, and looks whether it may be ours, before SQLite touches it. */
static enum chat_err
look_at_file(const char *path, int flags, bool *ret_made, char *error)
{
	char *journal = NULL;
	enum chat_err err = CHAT_OK;
	bool made = false;
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENOENT && flags != O_RDONLY) {
		fd = open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		made = fd >= 0;
	}
	if (fd < 0) {
		err = file_error(path, "cannot be opened", error);
		return err == CHAT_ERR_NOT_FOUND && flags != O_RDONLY ? CHAT_ERR_IO : err;
	}
	/* Beside a rollback journal, left by a crash while the database was made, the file means nothing yet.
	 */
	if (asprintf(&journal, "%s-journal", path) < 0) {
		(void)strlcpy(error, "out of memory", STORE_ERROR_BYTES);
		err = CHAT_ERR_NOMEM;
		goto out;
	}
	if (access(journal, F_OK) != 0)
		err = schema_look(fd, path, error);
out:
	free(journal);
	(void)close(fd);
	if (!err)
		*ret_made = made;
	return err;
}

static enum chat_err
use_wal(struct sq_conn *conn, const struct store_options *options)
{
	sqlite3_stmt *st = NULL;
	enum chat_err err;
	char sql[96];
	int rc = sqlite3_prepare_v2(conn->db, "PRAGMA journal_mode = WAL", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW) {
		err = sq_error(conn, rc);
	} else if (!bytes_equal(sq_col_bytes(st, 0), BYTES_STR("wal"))) {
		(void)snprintf(conn->error, STORE_ERROR_BYTES,
		    "%s: no write-ahead log can be kept here (a network file system?)",
		    sqlite3_db_filename(conn->db, "main"));
		err = CHAT_ERR_STORE_UNAVAILABLE;
	} else {
		err = CHAT_OK;
	}
	(void)sqlite3_finalize(st);
	if (err)
		return err;
	(void)snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit = %d", WAL_KEEP_BYTES);
	err = sq_exec(conn, sql);
	if (!err && options->max_pages) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %u", options->max_pages);
		err = sq_exec(conn, sql);
	}
	return err;
}

static int
note_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct store_sqlite *s = ctx;

	(void)db;
	(void)name;
	sq_checkpoint_note(&s->checkpoint, (uint64_t)pages * s->frame_bytes);
	return SQLITE_OK;
}

/* A log left by a crash counts from the start. */
static uint64_t
wal_file_bytes(const char *path)
{
	char *wal = NULL;
	struct stat st;
	uint64_t size = 0;

	if (asprintf(&wal, "%s-wal", path) >= 0 && stat(wal, &st) == 0)
		size = (uint64_t)st.st_size;
	free(wal);
	return size;
}

/*
 * Whether a log or a journal belongs to the file, which SQLite then has to read with it, and for that makes
 * an index beside it.
 */
static bool
left_by_crash(const char *path)
{
	char *journal = NULL;
	bool left = asprintf(&journal, "%s-journal", path) < 0 || access(journal, F_OK) == 0;

	free(journal);
	return left || wal_file_bytes(path) > 0;
}

/* The writer's connection, up to being usable. */
static enum chat_err
open_writer(struct store_sqlite *s, const struct store_options *options)
{
	struct sq_conn *conn = &s->conn;
	uint64_t page_bytes;
	enum chat_err err =
	    sq_conn_open(conn, s->path, s->vfs, SQ_READ_WRITE, WRITER_CACHE_KIB, s->base.error);

	if (err)
		return open_error(conn, err);
	/* Until it is known to be ours a file that has a log keeps it. */
	(void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	err = schema_open(conn, s->path);
	if (err)
		goto out;
	(void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	err = use_wal(conn, options);
	if (!err)
		err = schema_realm(conn, &s->base.realm);
	if (!err)
		err = schema_is_backup(conn, &s->base.is_backup);
	if (!err)
		err = sq_query_u64(conn, "PRAGMA page_size", &page_bytes);
	if (!err)
		err = sq_conn_prepare(conn, SQ_STMT_COUNT);
	if (err)
		goto out;
	s->frame_bytes = page_bytes + WAL_FRAME_HEADER_BYTES;
	(void)sqlite3_wal_hook(conn->db, note_wal, s);
out:
	if (err) {
		err = open_error(conn, err);
		sq_conn_close(conn);
	}
	return err;
}

static void
free_store(struct store_sqlite *s)
{
	free(s->path);
	free(s->vfs);
	free(s);
}

enum chat_err
store_sqlite_open(const char *path, const struct store_options *options, struct store **ret,
    char error[static STORE_ERROR_BYTES])
{
	struct store_sqlite *s = calloc(1, sizeof(*s));
	bool made = false, writer = false, rooms = false;
	enum chat_err err;

	if (!s || !(s->path = strdup(path)) || (options->vfs && !(s->vfs = strdup(options->vfs)))) {
		(void)strlcpy(error, "out of memory", STORE_ERROR_BYTES);
		err = CHAT_ERR_NOMEM;
		goto out;
	}
	s->base.ops = &store_sqlite_ops;
	s->checkpoint.limit_bytes =
	    options->wal_checkpoint_bytes ? options->wal_checkpoint_bytes : WAL_CHECKPOINT_BYTES;
	s->checkpoint.congested_bytes =
	    options->wal_congested_bytes ? options->wal_congested_bytes : WAL_CONGESTED_BYTES;
	err = look_at_file(path, O_RDWR, &made, s->base.error);
	if (err)
		goto out;
	err = open_writer(s, options);
	if (err)
		goto out;
	writer = true;
	err = sq_rooms_init(&s->rooms, &s->conn);
	if (err)
		goto out;
	rooms = true;
	sq_checkpoint_note(&s->checkpoint, wal_file_bytes(path));
	err = sq_checkpoint_start(&s->checkpoint, path, s->vfs, s->base.error);
	if (err)
		goto out;
	*ret = &s->base;
	s = NULL;
out:
	if (s) {
		(void)strlcpy(error, s->base.error, STORE_ERROR_BYTES);
		if (rooms)
			sq_rooms_fini(&s->rooms);
		if (writer)
			sq_conn_close(&s->conn);
		if (made)
			(void)unlink(path);
		free_store(s);
	}
	return err;
}

void
store_sqlite_close(struct store *store)
{
	struct store_sqlite *s = (struct store_sqlite *)(void *)store;

	sq_checkpoint_stop(&s->checkpoint);
	sq_rooms_fini(&s->rooms);
	sq_conn_close(&s->conn); /* the last connection: SQLite writes the log back and removes it */
	free_store(s);
}

enum chat_err
store_sqlite_reader_open(struct store *store, struct store_reader **ret)
{
	struct store_sqlite *s = (struct store_sqlite *)(void *)store;
	struct store_sqlite_reader *reader = calloc(1, sizeof(*reader));
	enum chat_err err;

	if (!reader)
		return CHAT_ERR_NOMEM;
	reader->base.ops = &store_sqlite_ops;
	err =
	    sq_conn_open(&reader->conn, s->path, s->vfs, SQ_READ_ONLY, READER_CACHE_KIB, reader->base.error);
	if (err) {
		(void)strlcpy(store->error, reader->base.error, STORE_ERROR_BYTES);
		free(reader);
		return err;
	}
	err = sq_conn_prepare(&reader->conn, SQ_READER_END);
	if (err) {
		(void)strlcpy(store->error, reader->base.error, STORE_ERROR_BYTES);
		store_sqlite_reader_close(&reader->base);
		return err;
	}
	*ret = &reader->base;
	return CHAT_OK;
}

void
store_sqlite_reader_close(struct store_reader *reader)
{
	struct store_sqlite_reader *r = (struct store_sqlite_reader *)(void *)reader;

	sq_conn_close(&r->conn);
	free(r);
}

enum chat_err
store_sqlite_check(const char *path, const struct store_options *options,
    const struct store_check_options *check, struct buf *report)
{
	char error[STORE_ERROR_BYTES] = "";
	struct sq_conn conn = {0};
	bool made, opened = false;
	enum chat_err err = look_at_file(path, O_RDONLY, &made, error);

	if (err)
		goto out;
	err = sq_conn_open(&conn, path, options->vfs, left_by_crash(path) ? SQ_READ_ONLY : SQ_UNUSED,
	    READER_CACHE_KIB, error);
	if (err) {
		err = open_error(&conn, err);
		goto out;
	}
	opened = true;
	err = schema_check(&conn, path);
	if (!err)
		err = sq_conn_prepare(&conn, SQ_READER_END);
	if (!err) {
		err = sq_check(&conn, check, report);
		if (err == CHAT_ERR_CORRUPT)
			error[0] = '\0'; /* the report says it */
	}
out:
	if (opened) {
		err = open_error(&conn, err);
		sq_conn_close(&conn);
	}
	if (err && error[0] && buf_printf(report, "%s\n", error))
		err = CHAT_ERR_NOMEM;
	return err;
}
