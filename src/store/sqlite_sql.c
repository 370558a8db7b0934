/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_sql.h"

/* CROSS JOIN keeps the order of the tables: without statistics SQLite would sometimes begin at the large one.
 */

#define ROOM_COLUMNS "room_no, room_id, head_seq, head_id, head_hash, chain, whole_from"
#define STUB_COLUMNS "entry_id, room_no, seq, server_time_ms, kind, entry_hash, log_hash"
#define ACCOUNT_COLUMNS                                                                                      \
	"account, account_id, retired, member_id, card_hash, proof, bag_version, card, bag, recovery"

const char *const sq_sql[SQ_STMT_COUNT] = {
    [SQ_BEGIN] = "BEGIN",
    [SQ_ROLLBACK] = "ROLLBACK",
    [SQ_ROOM_BY_ID] = "SELECT " ROOM_COLUMNS " FROM rooms WHERE room_id = ?1",
    [SQ_ROOM_BY_NO] = "SELECT " ROOM_COLUMNS " FROM rooms WHERE room_no = ?1",
    [SQ_ROOMS] = "SELECT " ROOM_COLUMNS " FROM rooms WHERE room_no >= ?1 ORDER BY room_no",
    [SQ_PREV_ID] = "SELECT prev_id, room_no, seq FROM entries WHERE entry_id = ?1",
    [SQ_BLOCK] = "SELECT entry_ids FROM blocks WHERE block_key = ?1",
    [SQ_ENTRIES] =
	"SELECT " STUB_COLUMNS ", wire FROM entries WHERE entry_id BETWEEN ?1 AND ?2 ORDER BY entry_id",
    [SQ_STUBS] = "SELECT " STUB_COLUMNS " FROM entries WHERE entry_id BETWEEN ?1 AND ?2 ORDER BY entry_id",
    [SQ_EVENTS] =
	"SELECT e.entry_id, e.room_no, e.seq, e.server_time_ms, e.kind, e.entry_hash, e.log_hash, e.wire "
	"FROM events v CROSS JOIN entries e ON e.entry_id = v.entry_id "
	"WHERE v.room_no = ?1 AND v.seq >= ?2 ORDER BY v.seq",
    [SQ_CHAIN_AT] = "SELECT chain FROM events WHERE room_no = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1",
    [SQ_WRAP] = "SELECT w.wrap FROM epochs e CROSS JOIN wraps w ON w.epoch_no = e.epoch_no "
		"WHERE e.epoch_id = ?1 AND e.room_no = ?2 AND w.member_id = ?3",
    [SQ_REWRAPS] = "SELECT r.wire FROM epochs e CROSS JOIN rewraps r ON r.epoch_no = e.epoch_no "
		   "WHERE e.epoch_id = ?1 AND e.room_no = ?2 AND r.recipient = ?3 ORDER BY r.rank",

    [SQ_ACCOUNT_BY_NAME] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE account = ?1 AND retired = 0",
    [SQ_ACCOUNT_BY_MEMBER] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE member_id = ?1",
    [SQ_ACCOUNTS] = "SELECT account, account_id, member_id FROM accounts WHERE retired = 0 ORDER BY account",
    [SQ_MEMBER_ROOMS] =
	"SELECT r.room_id, r.room_no, s.stay, s.since_seq, s.read_seq, r.head_seq, r.head_hash, "
	"r.chain FROM stays s CROSS JOIN rooms r ON r.room_no = s.room_no "
	"WHERE s.member_id = ?1 ORDER BY r.room_id",
    [SQ_COUNTERS] = "SELECT sender, device, last FROM counters WHERE room_no = ?1",
    [SQ_LAST_ENTRY_ID] = "SELECT max(entry_id) FROM entries",
    [SQ_EPOCH_NO] = "SELECT epoch_no FROM epochs WHERE epoch_id = ?1 AND room_no = ?2",

    [SQ_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQ_COMMIT] = "COMMIT",
    [SQ_ADD_ROOM] = "INSERT INTO rooms (room_id, head_seq, head_id, head_hash, chain, whole_from) "
		    "VALUES (?1, 0, 0, zeroblob(32), zeroblob(32), 1)",
    [SQ_SET_HEAD] =
	"UPDATE rooms SET head_seq = ?2, head_id = ?3, head_hash = ?4, chain = ?5 WHERE room_no = ?1",
    [SQ_ADD_ENTRY] =
	"INSERT INTO entries (entry_id, room_no, seq, prev_id, server_time_ms, kind, entry_hash, log_hash, "
	"wire) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQ_ADD_BLOCK] = "INSERT INTO blocks (block_key, entry_ids) VALUES (?1, ?2)",
    [SQ_ADD_EVENT] = "INSERT INTO events (room_no, seq, entry_id, chain) VALUES (?1, ?2, ?3, ?4)",
    [SQ_ADD_EPOCH] = "INSERT INTO epochs (epoch_id, room_no, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [SQ_PUT_COUNTER] = "INSERT INTO counters (room_no, sender, device, last) VALUES (?1, ?2, ?3, ?4) "
		       "ON CONFLICT DO UPDATE SET last = excluded.last",
    [SQ_PUT_STAY] =
	"INSERT INTO stays (member_id, room_no, stay, since_seq, read_seq) VALUES (?1, ?2, ?3, ?4, 0) "
	"ON CONFLICT DO UPDATE SET stay = excluded.stay, since_seq = excluded.since_seq, "
	"read_seq = CASE WHEN since_seq = excluded.since_seq THEN read_seq ELSE 0 END",
    [SQ_END_STAY] = "DELETE FROM stays WHERE member_id = ?1 AND room_no = ?2",
    [SQ_ADD_WRAP] =
	"INSERT INTO wraps (epoch_no, member_id, wrap) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    [SQ_PUT_REWRAP] =
	"INSERT INTO rewraps (epoch_no, recipient, wrapper, rank, wire) VALUES (?1, ?2, ?3, "
	"(SELECT ifnull(max(rank), 0) + 1 FROM rewraps WHERE epoch_no = ?1 AND recipient = ?2), ?4) "
	"ON CONFLICT DO UPDATE SET rank = excluded.rank, wire = excluded.wire",
    [SQ_DROP_OLD_REWRAPS] =
	"DELETE FROM rewraps WHERE epoch_no = ?1 AND recipient = ?2 AND rank <= (SELECT rank "
	"FROM rewraps WHERE epoch_no = ?1 AND recipient = ?2 ORDER BY rank DESC LIMIT 1 OFFSET ?3)",
    [SQ_SET_CURSOR] = "UPDATE stays SET read_seq = ?3 WHERE member_id = ?1 AND room_no = ?2",
    [SQ_ADD_ACCOUNT] =
	"INSERT INTO accounts (" ACCOUNT_COLUMNS ") VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQ_SET_BAG] = "UPDATE accounts SET bag_version = ?2, bag = ?3 WHERE account = ?1 AND retired = 0",
    [SQ_SET_CARD] = "UPDATE accounts SET card_hash = ?2, card = ?3 WHERE account = ?1 AND retired = 0",
    [SQ_SET_RECOVERY] = "UPDATE accounts SET recovery = ?2 WHERE account = ?1 AND retired = 0",
    [SQ_SET_PROOF] = "UPDATE accounts SET proof = ?2 WHERE account = ?1 AND retired = 0",
    [SQ_RETIRE_ACCOUNT] = "UPDATE accounts SET retired = 1 WHERE account = ?1 AND retired = 0",
    [SQ_STUB_AND_PREV] =
	"SELECT room_no, seq, prev_id, server_time_ms, kind, entry_hash, log_hash, wire IS NOT NULL "
	"FROM entries WHERE entry_id = ?1",
    [SQ_DELETE_ENTRY] = "DELETE FROM entries WHERE entry_id = ?1",
    [SQ_SET_WHOLE_FROM] = "UPDATE rooms SET whole_from = ?2 WHERE room_no = ?1",
    /* All messages of an epoch are gone when the next one begins at or below whole_from. */
    [SQ_SPENT_EPOCHS] =
	"SELECT epoch_no FROM epochs e WHERE room_no = ?1 AND seq < ?2 AND EXISTS (SELECT 1 FROM epochs "
	"n WHERE n.room_no = ?1 AND n.seq > e.seq AND n.seq <= ?2) ORDER BY seq LIMIT ?3",
    [SQ_DROP_WRAPS] = "DELETE FROM wraps WHERE epoch_no = ?1",
    [SQ_DROP_REWRAPS] = "DELETE FROM rewraps WHERE epoch_no = ?1",
    [SQ_DROP_EPOCH] = "DELETE FROM epochs WHERE epoch_no = ?1",
};
