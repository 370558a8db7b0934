/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "store/store.h"

/*
 * Why the log is laid out so: a turn holds entries of many rooms.  Appended to one table they fill whole
 * pages; in order of (room, seq) each would be a page of its own to write.  500 rooms, turns of 512 entries,
 * CPU with the checkpoint: 4 us an entry, against 14 with (room, seq) as the key and 7 with an index on it.
 * So an entry is found by its id, and ids by `blocks`, one row for each 64 entries of a room; those of the
 * last, unfinished block by walking prev_id back from the room's head.
 *
 * Integers that are 64 bits wide and unsigned are kept as the signed one of the same bits.
 */
static const char schema_sql[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE rooms (room_no INTEGER PRIMARY KEY, room_id BLOB NOT NULL UNIQUE, head_seq INTEGER NOT "
    "NULL,"
    " head_id INTEGER NOT NULL,"     /* entry_id of the head */
    " head_hash BLOB NOT NULL,"      /* L there */
    " chain BLOB NOT NULL,"          /* E there */
    " whole_from INTEGER NOT NULL);" /* messages below have no wire bytes */

    "CREATE TABLE entries (entry_id INTEGER PRIMARY KEY, room_no INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " prev_id INTEGER NOT NULL," /* entry_id of seq - 1 of the room; 0 for the first */
    " server_time_ms INTEGER NOT NULL, kind INTEGER NOT NULL, entry_hash BLOB NOT NULL,"
    " log_hash BLOB NOT NULL," /* L at this entry */
    " wire BLOB);"             /* NULL: removed; last, so that a stub reads no overflow page */

    /* 64 entry_ids of 8 bytes, big-endian, for entries block_no * 64 + 1 and on */
    "CREATE TABLE blocks (block_key INTEGER PRIMARY KEY, entry_ids BLOB NOT NULL);"

    /* chain: E behind this event */
    "CREATE TABLE events (room_no INTEGER NOT NULL, seq INTEGER NOT NULL, entry_id INTEGER NOT NULL,"
    " chain BLOB NOT NULL, PRIMARY KEY (room_no, seq)) WITHOUT ROWID;"

    "CREATE TABLE counters (room_no INTEGER NOT NULL, sender BLOB NOT NULL, device BLOB NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY (room_no, sender, device)) WITHOUT ROWID;"

    "CREATE TABLE stays (member_id BLOB NOT NULL, room_no INTEGER NOT NULL, stay INTEGER NOT NULL,"
    " since_seq INTEGER NOT NULL, read_seq INTEGER NOT NULL, PRIMARY KEY (member_id, room_no)) WITHOUT ROWID;"

    /* seq: of the rekey */
    "CREATE TABLE epochs (epoch_no INTEGER PRIMARY KEY, epoch_id BLOB NOT NULL UNIQUE, room_no INTEGER NOT "
    "NULL,"
    " seq INTEGER NOT NULL);"
    "CREATE INDEX epochs_of_room ON epochs (room_no, seq);"

    "CREATE TABLE wraps (epoch_no INTEGER NOT NULL, member_id BLOB NOT NULL, wrap BLOB NOT NULL,"
    " PRIMARY KEY (epoch_no, member_id)) WITHOUT ROWID;"

    /* rank: rises with each put to the same epoch and recipient */
    "CREATE TABLE rewraps (epoch_no INTEGER NOT NULL, recipient BLOB NOT NULL, wrapper BLOB NOT NULL,"
    " rank INTEGER NOT NULL, wire BLOB NOT NULL, PRIMARY KEY (epoch_no, recipient, wrapper)) WITHOUT ROWID;"

    "CREATE TABLE accounts (account_no INTEGER PRIMARY KEY, account TEXT NOT NULL, account_id TEXT NOT NULL,"
    " retired INTEGER NOT NULL, member_id BLOB NOT NULL UNIQUE, card_hash BLOB NOT NULL, proof BLOB NOT NULL,"
    " bag_version INTEGER NOT NULL, card BLOB NOT NULL, bag BLOB NOT NULL, recovery BLOB NOT NULL);"
    "CREATE UNIQUE INDEX accounts_by_name ON accounts (account) WHERE retired = 0;";

#define HEADER_BYTES          100 /* SQLite file format, 1.3 */
#define HEADER_MAGIC          "SQLite format 3"
#define HEADER_FORMAT_WRITE   18 /* 1: with a rollback journal, 2: with a log */
#define HEADER_FORMAT_READ    19
#define HEADER_USER_VERSION   60
#define HEADER_APPLICATION_ID 68

static enum chat_err
judge(uint64_t application_id, uint64_t version, const char *path, char *error)
{
	if (application_id != SCHEMA_APPLICATION_ID) {
		(void)snprintf(error, STORE_ERROR_BYTES, "%s: this is not a database of secure-chat", path);
		return CHAT_ERR_INVALID;
	}
	if ((version & ~(uint64_t)SCHEMA_BACKUP) > SCHEMA_VERSION) {
		(void)snprintf(error, STORE_ERROR_BYTES,
		    "%s: written by a newer version of secure-chat (format %llu; this program knows %d)",
		    path, (unsigned long long)version, SCHEMA_VERSION);
		return CHAT_ERR_NEWER;
	}
	return CHAT_OK;
}

/* A backup has none, so one that is there is left from the database in whose place it was put. */
static enum chat_err
judge_log(const uint8_t *header, const char *path, char *error)
{
	char *log = NULL;
	struct stat st;
	enum chat_err err = CHAT_OK;

	if (header[HEADER_FORMAT_READ] != 1)
		return CHAT_OK;
	if (asprintf(&log, "%s-wal", path) < 0) {
		(void)strlcpy(error, "out of memory", STORE_ERROR_BYTES);
		return CHAT_ERR_NOMEM;
	}
	if (stat(log, &st) == 0 && st.st_size > 0) {
		(void)snprintf(error, STORE_ERROR_BYTES,
		    "%s: this is a backup, and %s is another database's: remove that one", path, log);
		err = CHAT_ERR_INVALID;
	}
	free(log);
	return err;
}

enum chat_err
schema_look(int fd, const char *path, char *error)
{
	uint8_t header[HEADER_BYTES];
	ssize_t n = pread(fd, header, sizeof(header), 0);
	enum chat_err err;

	if (n < 0) {
		(void)snprintf(error, STORE_ERROR_BYTES, "%s: cannot be read: %s", path, strerror(errno));
		return CHAT_ERR_IO;
	}
	if (n == 0)
		return CHAT_OK;
	if (n < HEADER_BYTES || memcmp(header, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0)
		return judge(0, 0, path, error);
	err = judge(
	    be32_get(header + HEADER_APPLICATION_ID), be32_get(header + HEADER_USER_VERSION), path, error);
	return err ? err : judge_log(header, path, error);
}

static enum chat_err
create(struct sq_conn *conn)
{
	struct realm realm;
	sqlite3_stmt *st = NULL;
	enum chat_err err;
	char sql[128];
	int rc;

	/* Before the first table, and outside the transaction; in a rollback journal, so that the file's own
	 * header says from its first byte on what it is. */
	err = sq_exec(conn, "PRAGMA auto_vacuum = INCREMENTAL; BEGIN EXCLUSIVE");
	if (err)
		return err;
	err = sq_exec(conn, schema_sql);
	if (err)
		goto out;
	(void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
	    SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	err = sq_exec(conn, sql);
	if (err)
		goto out;
	random_bytes(realm.b, sizeof(realm.b));
	rc =
	    sqlite3_prepare_v2(conn->db, "INSERT INTO meta (key, value) VALUES ('realm', ?1)", -1, &st, NULL);
	if (rc != SQLITE_OK) {
		err = sq_error(conn, rc);
		goto out;
	}
	sq_bind_bytes(st, 1, BYTES_ARRAY(realm.b));
	err = sq_run(conn, st);
	if (!err)
		err = sq_exec(conn, "COMMIT");
out:
	(void)sqlite3_finalize(st);
	if (err && !sqlite3_get_autocommit(conn->db))
		(void)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

enum chat_err
schema_check(struct sq_conn *conn, const char *path)
{
	uint64_t application_id, version;
	enum chat_err err = sq_query_u64(conn, "PRAGMA application_id", &application_id);

	if (!err)
		err = sq_query_u64(conn, "PRAGMA user_version", &version);
	return err ? err : judge(application_id, version, path, conn->error);
}

enum chat_err
schema_open(struct sq_conn *conn, const char *path)
{
	uint64_t pages;
	enum chat_err err = sq_query_u64(conn, "PRAGMA page_count", &pages);

	if (err)
		return err;
	return pages ? schema_check(conn, path) : create(conn);
}

enum chat_err
schema_realm(struct sq_conn *conn, struct realm *ret)
{
	sqlite3_stmt *st = NULL;
	enum chat_err err = CHAT_OK;
	bool row = false;
	int rc = sqlite3_prepare_v2(conn->db, "SELECT value FROM meta WHERE key = 'realm'", -1, &st, NULL);

	if (rc != SQLITE_OK)
		return sq_error(conn, rc);
	err = sq_next(conn, st, &row);
	if (!err) {
		struct bytes value = row ? sq_col_bytes(st, 0) : BYTES_EMPTY;

		if (value.len == REALM_BYTES)
			memcpy(ret->b, value.data, REALM_BYTES);
		else
			err = sq_corrupt(conn, "its realm is missing");
	}
	(void)sqlite3_finalize(st);
	return err;
}

/* ---- backups ---- */

/* In the file's header, so that it is known before SQLite looks for a log beside it. */
enum chat_err
schema_mark_backup(int fd)
{
	uint8_t header[HEADER_BYTES];
	uint32_t version;

	if (pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return CHAT_ERR_IO;
	version = be32_get(header + HEADER_USER_VERSION) | SCHEMA_BACKUP;
	be32_put(header + HEADER_USER_VERSION, version);
	header[HEADER_FORMAT_WRITE] = header[HEADER_FORMAT_READ] = 1;
	return pwrite(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) ? CHAT_OK : CHAT_ERR_IO;
}

enum chat_err
schema_is_backup(struct sq_conn *conn, bool *ret)
{
	uint64_t version;
	enum chat_err err = sq_query_u64(conn, "PRAGMA user_version", &version);

	if (!err)
		*ret = (version & SCHEMA_BACKUP) != 0;
	return err;
}

enum chat_err
schema_adopt_backup(struct sq_conn *conn)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA_VERSION);
	return sq_exec(conn, sql);
}
