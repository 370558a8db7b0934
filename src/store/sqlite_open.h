/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_OPEN_H
#define STORE_SQLITE_OPEN_H

/*
 * The SQLite store and its readers as objects: opening and closing.
 *
 * Threads: as store.h.
 */

#include "store/sqlite_checkpoint.h"
#include "store/sqlite_conn.h"
#include "store/sqlite_rooms.h"
#include "store/store_ops.h"

struct store_sqlite {
	struct store base;
	struct sq_conn conn; /* the writer's */
	struct sq_rooms rooms;
	struct sq_checkpoint checkpoint;
	char *path;           /* owned */
	char *vfs;            /* owned; NULL: the default */
	uint64_t frame_bytes; /* of one page in the log */
	uint64_t failed_commits;
	bool failing;
};

struct store_sqlite_reader {
	struct store_reader base;
	struct sq_conn conn;
};

extern const struct store_ops store_sqlite_ops;

void store_sqlite_close(struct store *store);
enum chat_err store_sqlite_reader_open(struct store *store, struct store_reader **ret) MUST_USE;
void store_sqlite_reader_close(struct store_reader *reader);

#endif
