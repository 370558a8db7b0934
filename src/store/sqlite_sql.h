/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_SQL_H
#define STORE_SQLITE_SQL_H

/*
 * The prepared statements, by name.  Their text, with the parameters and columns, is in sqlite_sql.c.
 *
 * Threads: any; constants.
 */

enum sq_stmt {
	/* of every connection */
	SQ_BEGIN,
	SQ_ROLLBACK,
	SQ_ROOM_BY_ID,
	SQ_ROOM_BY_NO,
	SQ_ROOMS,
	SQ_PREV_ID,
	SQ_BLOCK,
	SQ_ENTRIES,
	SQ_STUBS,
	SQ_EVENTS,
	SQ_CHAIN_AT,
	SQ_WRAP,
	SQ_REWRAPS,
	SQ_READER_END,
	/* of the writer, looking */
	SQ_ACCOUNT_BY_NAME = SQ_READER_END,
	SQ_ACCOUNT_BY_MEMBER,
	SQ_ACCOUNTS,
	SQ_MEMBER_ROOMS,
	SQ_COUNTERS,
	SQ_LAST_ENTRY_ID,
	SQ_EPOCH_NO,
	/* of the writer, writing */
	SQ_BEGIN_WRITE,
	SQ_COMMIT,
	SQ_ADD_ROOM,
	SQ_SET_HEAD,
	SQ_ADD_ENTRY,
	SQ_ADD_BLOCK,
	SQ_ADD_EVENT,
	SQ_ADD_EPOCH,
	SQ_PUT_COUNTER,
	SQ_PUT_STAY,
	SQ_END_STAY,
	SQ_ADD_WRAP,
	SQ_PUT_REWRAP,
	SQ_DROP_OLD_REWRAPS,
	SQ_SET_CURSOR,
	SQ_ADD_ACCOUNT,
	SQ_SET_BAG,
	SQ_SET_CARD,
	SQ_SET_RECOVERY,
	SQ_SET_PROOF,
	SQ_RETIRE_ACCOUNT,
	SQ_STUB_AND_PREV,
	SQ_DELETE_ENTRY,
	SQ_SET_WHOLE_FROM,
	SQ_SPENT_EPOCHS,
	SQ_DROP_WRAPS,
	SQ_DROP_REWRAPS,
	SQ_DROP_EPOCH,
	SQ_STMT_COUNT
};

extern const char *const sq_sql[SQ_STMT_COUNT];

#endif
