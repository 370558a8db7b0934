/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Soundness: the part of sqlite_backup.h about it. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite_backup.h"
#include "store/sqlite_read.h"

#define FAULTS_MAX 20

struct check {
	struct sq_conn *conn;
	const struct store_check_options *options;
	struct buf *report;
	unsigned faults;
	enum chat_err err; /* what ends the check: not a fault of the data */
	/* the room under way */
	const struct store_room *room;
	struct log_head head; /* recomputed so far */
};

static void PRINTF_LIKE(2, 3) fault(struct check *check, const char *fmt, ...)
{
	char line[STORE_ERROR_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (check->faults++ < FAULTS_MAX && !check->err)
		check->err = buf_printf(check->report, "%s\n", line);
}

/* An error of a read: damage is a fault, the rest ends the check. */
static void
take_error(struct check *check, enum chat_err err)
{
	if (err == CHAT_ERR_CORRUPT)
		fault(check, "%s", check->conn->error);
	else if (err && !check->err)
		check->err = err;
}

static bool
more(const struct check *check)
{
	return !check->err && check->faults < FAULTS_MAX;
}

/* The database's own check of its pages. */
static void
check_pages(struct check *check)
{
	/* quick_check leaves out whether indexes and tables agree. */
	const char *sql = check->options->deep ? "PRAGMA integrity_check(20)" : "PRAGMA quick_check(20)";
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(check->conn->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	for (; rc == SQLITE_ROW; rc = sqlite3_step(st)) {
		struct bytes line = sq_col_bytes(st, 0);

		if (!bytes_equal(line, BYTES_STR("ok")))
			fault(check, "%.*s", (int)line.len, (const char *)line.data);
	}
	if (rc != SQLITE_DONE)
		take_error(check, sq_error(check->conn, rc));
	(void)sqlite3_finalize(st);
}

/* E behind an event, as its row says: L shows whether that is right. */
static enum chat_err
chain_of_event(struct sq_conn *conn, uint64_t room_no, uint64_t seq, struct digest *ret)
{
	sqlite3_stmt *st = conn->stmts[SQ_CHAIN_AT];
	bool row;
	enum chat_err err;

	sq_bind_u64(st, 1, room_no);
	sq_bind_u64(st, 2, seq);
	err = sq_next(conn, st, &row);
	if (err)
		return err;
	if (!row || !sq_col_digest(st, 0, ret))
		err = sq_corrupt(conn, "event %" PRIu64 " of room %" PRIu64 " is not listed", seq, room_no);
	sq_done(st);
	return err;
}

static bool
check_entry(void *ctx, const struct store_entry *entry)
{
	struct check *check = ctx;
	uint64_t room_no = check->room->room_no;
	struct log_preimage preimage = {.prev_L = check->head.L,
	    .seq = entry->seq,
	    .server_time_ms = entry->server_time_ms,
	    .entry_hash = entry->entry_hash,
	    .E = check->head.E};
	struct digest log_hash;

	if (entry->kind == ENTRY_EVENT)
		take_error(check, chain_of_event(check->conn, room_no, entry->seq, &preimage.E));
	log_hash = log_preimage_hash(&preimage);
	if (!digest_equal(&log_hash, &entry->log_hash))
		fault(check,
		    "entry %" PRIu64 " of room %" PRIu64 ": its hash does not follow from those before",
		    entry->seq, room_no);
	if (!entry->whole && (entry->kind == ENTRY_EVENT || entry->seq >= check->room->oldest_whole_seq))
		fault(check, "entry %" PRIu64 " of room %" PRIu64 ": its bytes are missing", entry->seq,
		    room_no);
	if (entry->whole && check->options->entry_good &&
	    !check->options->entry_good(check->options->ctx, entry))
		fault(check, "entry %" PRIu64 " of room %" PRIu64 ": its bytes are not those of its hash",
		    entry->seq, room_no);
	check->head = (struct log_head){.seq = entry->seq, .L = entry->log_hash, .E = preimage.E};
	return more(check);
}

static bool
check_room(void *ctx, const struct store_room *room)
{
	struct check *check = ctx;

	check->room = room;
	check->head = (struct log_head){0};
	take_error(check, sq_range(check->conn, room->room_no, 1, room->head.seq, false, check_entry, check));
	if (more(check) && !log_head_equal(&check->head, &room->head))
		fault(check,
		    "room %" PRIu64 ": its entries end at %" PRIu64
		    " with other hashes than its head %" PRIu64,
		    room->room_no, check->head.seq, room->head.seq);
	return more(check);
}

enum chat_err
sq_check(struct sq_conn *conn, const struct store_check_options *options, struct buf *report)
{
	struct check check = {.conn = conn, .options = options, .report = report};
	bool entered = false;
	enum chat_err err = sq_read_enter(conn, &entered);

	if (err)
		return err;
	check_pages(&check);
	if (options->deep && more(&check))
		take_error(&check, sq_rooms_each(conn, 0, check_room, &check));
	sq_read_leave(conn, entered);
	if (check.err)
		return check.err;
	return check.faults ? CHAT_ERR_CORRUPT : CHAT_OK;
}
