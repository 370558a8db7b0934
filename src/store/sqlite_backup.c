/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite_schema.h"

static enum chat_err
file_error(struct sq_conn *conn, const char *path, const char *what)
{
	(void)snprintf(conn->error, STORE_ERROR_BYTES, "%s: %s: %s", path, what, strerror(errno));
	return CHAT_ERR_IO;
}

/* One step: in many, each write by another connection would begin the copy anew. */
static enum chat_err
copy(struct sq_conn *conn, const char *tmp)
{
	sqlite3 *to = NULL;
	sqlite3_backup *backup;
	enum chat_err err = CHAT_OK;
	int rc = sqlite3_open_v2(
	    tmp, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);

	/* The file is synced as a whole, and is of use to nobody before. */
	if (rc == SQLITE_OK)
		rc =
		    sqlite3_exec(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL, NULL);
	if (rc == SQLITE_OK) {
		backup = sqlite3_backup_init(to, "main", conn->db, "main");
		if (backup) {
			(void)sqlite3_backup_step(backup, -1);
			rc = sqlite3_backup_finish(backup);
		} else {
			rc = sqlite3_errcode(to);
		}
	}
	if (rc != SQLITE_OK) {
		(void)snprintf(conn->error, STORE_ERROR_BYTES, "backup to %s: %s", tmp, sqlite3_errstr(rc));
		err = (rc & 0xff) == SQLITE_NOMEM     ? CHAT_ERR_NOMEM
		      : (rc & 0xff) == SQLITE_CORRUPT ? CHAT_ERR_CORRUPT
						      : CHAT_ERR_IO;
	}
	(void)sqlite3_close(to);
	return err;
}

/* A rename is durable when the directory is. */
static enum chat_err
sync_dir_of(struct sq_conn *conn, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	enum chat_err err = CHAT_OK;
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (!dir)
		err = CHAT_ERR_NOMEM;
	else if (fd < 0 || fsync(fd) != 0)
		err = file_error(conn, dir, "cannot be synced");
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return err;
}

enum chat_err
sq_backup(struct sq_conn *conn, const char *path)
{
	char *tmp = NULL;
	enum chat_err err;
	int fd = -1;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		return CHAT_ERR_NOMEM;
	fd = mkostemp(tmp, O_CLOEXEC); /* 0600 */
	if (fd < 0) {
		err = file_error(conn, tmp, "cannot be made");
		goto out;
	}
	err = copy(conn, tmp);
	if (!err && schema_mark_backup(fd) != CHAT_OK)
		err = file_error(conn, tmp, "cannot be written");
	if (!err && fsync(fd) != 0)
		err = file_error(conn, tmp, "cannot be synced");
	if (!err && rename(tmp, path) != 0)
		err = file_error(conn, path, "cannot be renamed");
	if (err)
		(void)unlink(tmp);
	else
		err = sync_dir_of(conn, path);
out:
	if (fd >= 0)
		(void)close(fd);
	free(tmp);
	return err;
}
