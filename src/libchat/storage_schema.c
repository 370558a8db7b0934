/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/storage_schema.h"

/* One identity and one bag: their key can only be 1. */
const char schema_sql[] =
    "CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), realm BLOB NOT NULL, ed_seed BLOB NOT "
    "NULL,"
    " bag_key BLOB NOT NULL, bag_version INTEGER NOT NULL, published INTEGER NOT NULL);"
    "CREATE TABLE bag (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, blob BLOB NOT "
    "NULL);"
    "CREATE TABLE slots (slot INTEGER PRIMARY KEY, device BLOB NOT NULL);"
    "CREATE TABLE room_ids (room_no INTEGER PRIMARY KEY, room_id BLOB NOT NULL UNIQUE);"
    "CREATE TABLE rooms (room_no INTEGER PRIMARY KEY, head_seq INTEGER NOT NULL, head_l BLOB NOT NULL,"
    " head_e BLOB NOT NULL, first_seq INTEGER NOT NULL, base_hash BLOB NOT NULL, shown_seq INTEGER NOT NULL,"
    " read_seq INTEGER NOT NULL, gone INTEGER NOT NULL, label TEXT NOT NULL);"
    /* wire is NULL for a stub */
    "CREATE TABLE entries (entry_key INTEGER PRIMARY KEY, server_time_ms INTEGER NOT NULL, kind INTEGER NOT "
    "NULL,"
    " entry_hash BLOB NOT NULL, wire BLOB);"
    "CREATE INDEX events ON entries (entry_key) WHERE kind = 1;"
    "CREATE TABLE counters (room_no INTEGER NOT NULL, sender BLOB NOT NULL, device BLOB NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY (room_no, sender, device)) WITHOUT ROWID;"
    "CREATE TABLE wraps (wrap_no INTEGER PRIMARY KEY, room_no INTEGER NOT NULL, epoch_id BLOB NOT NULL,"
    " source INTEGER NOT NULL, wire BLOB NOT NULL);"
    "CREATE INDEX wraps_by_epoch ON wraps (room_no, epoch_id);"
    /* AUTOINCREMENT: an id is not used twice, also when the newest was removed */
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, slot INTEGER NOT NULL, room_id BLOB NOT NULL,"
    " state INTEGER NOT NULL, sealed_text BLOB NOT NULL, counter INTEGER NOT NULL, wire BLOB NOT NULL);"
    "CREATE INDEX outbox_by_slot ON outbox (slot, id);"
    "CREATE TABLE invites (room_id BLOB NOT NULL, account BLOB NOT NULL, PRIMARY KEY (room_id, account))"
    " WITHOUT ROWID;";

#define ENTRY_COLUMNS "entry_key, server_time_ms, kind, entry_hash, wire"

const char *const db_sql[DB_STMT_COUNT] = {
    [DB_BEGIN] = "BEGIN IMMEDIATE",
    [DB_COMMIT] = "COMMIT",
    [DB_ROLLBACK] = "ROLLBACK",

    [DB_GET_DEVICE] = "SELECT device FROM slots WHERE slot = ?1",
    [DB_PUT_DEVICE] = "INSERT INTO slots (slot, device) VALUES (?1, ?2)"
		      " ON CONFLICT (slot) DO UPDATE SET device = excluded.device",
    [DB_SLOTS_SEALED] = "SELECT DISTINCT slot FROM outbox WHERE state <> 0 ORDER BY slot",
    [DB_SLOTS_WAITING] = "SELECT slot FROM outbox GROUP BY slot HAVING max(state) = 0 ORDER BY slot",
    [DB_ADOPT] = "UPDATE outbox SET slot = ?2 WHERE slot = ?1",

    [DB_GET_IDENTITY] = "SELECT realm, ed_seed, bag_key, bag_version, published FROM identity",
    [DB_PUT_IDENTITY] =
	"INSERT OR REPLACE INTO identity (one, realm, ed_seed, bag_key, bag_version, published)"
	" VALUES (1, ?1, ?2, ?3, ?4, ?5)",
    [DB_GET_BAG] = "SELECT blob FROM bag",
    [DB_PUT_BAG] = "INSERT OR REPLACE INTO bag (one, version, blob) VALUES (1, ?1, ?2)",

    [DB_GET_ROOM_NO] = "SELECT room_no FROM room_ids WHERE room_id = ?1",
    [DB_ADD_ROOM_NO] = "INSERT INTO room_ids (room_id) VALUES (?1) ON CONFLICT DO NOTHING",
    [DB_EACH_ROOM] =
	"SELECT i.room_id, r.head_seq, r.head_l, r.head_e, r.first_seq, r.base_hash, r.shown_seq,"
	" r.read_seq, r.gone, r.label FROM rooms r JOIN room_ids i USING (room_no) ORDER BY room_no",
    [DB_PUT_ROOM] =
	"INSERT INTO rooms (room_no, head_seq, head_l, head_e, first_seq, base_hash, shown_seq, read_seq, "
	"gone, label)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (room_no) DO UPDATE SET"
	" head_l = iif(excluded.head_seq > head_seq, excluded.head_l, head_l),"
	" head_e = iif(excluded.head_seq > head_seq, excluded.head_e, head_e),"
	" head_seq = max(head_seq, excluded.head_seq),"
	" base_hash = iif(excluded.first_seq < first_seq, excluded.base_hash, base_hash),"
	" first_seq = min(first_seq, excluded.first_seq),"
	" shown_seq = max(shown_seq, excluded.shown_seq), read_seq = excluded.read_seq, gone = excluded.gone,"
	" label = iif(excluded.label = '', label, excluded.label)",
    [DB_REMOVE_ROOM] = "DELETE FROM rooms WHERE room_no = ?1",
    [DB_REMOVE_ENTRIES] = "DELETE FROM entries WHERE entry_key BETWEEN ?1 AND ?2",
    [DB_REMOVE_COUNTERS] = "DELETE FROM counters WHERE room_no = ?1",
    [DB_REMOVE_WRAPS] = "DELETE FROM wraps WHERE room_no = ?1",
    [DB_REMOVE_ROOM_OUTBOX] = "DELETE FROM outbox WHERE room_id = ?1",
    [DB_REMOVE_ROOM_INVITES] = "DELETE FROM invites WHERE room_id = ?1",
    [DB_PUT_ENTRY] = "INSERT INTO entries (" ENTRY_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5)"
		     " ON CONFLICT (entry_key) DO UPDATE SET server_time_ms = excluded.server_time_ms,"
		     " kind = excluded.kind, entry_hash = excluded.entry_hash, wire = excluded.wire"
		     " WHERE entries.wire IS NULL AND excluded.wire IS NOT NULL",
    [DB_EACH_ENTRY] =
	"SELECT " ENTRY_COLUMNS " FROM entries WHERE entry_key BETWEEN ?1 AND ?2 ORDER BY entry_key",
    [DB_EACH_EVENT] = "SELECT " ENTRY_COLUMNS " FROM entries INDEXED BY events"
		      " WHERE kind = 1 AND entry_key BETWEEN ?1 AND ?2 ORDER BY entry_key",
    [DB_PUT_COUNTER] = "INSERT INTO counters (room_no, sender, device, last) VALUES (?1, ?2, ?3, ?4)"
		       " ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
    [DB_EACH_COUNTER] = "SELECT sender, device, last FROM counters WHERE room_no = ?1",
    [DB_PUT_WRAP] =
	"INSERT INTO wraps (room_no, epoch_id, source, wire) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
	" (SELECT 1 FROM wraps WHERE room_no = ?1 AND epoch_id = ?2 AND source = ?3 AND wire = ?4)",
    [DB_EACH_WRAP] =
	"SELECT source, wire FROM wraps WHERE room_no = ?1 AND epoch_id = ?2 ORDER BY source, wrap_no",

    [DB_ADD_OUTBOX] = "INSERT INTO outbox (slot, room_id, state, sealed_text, counter, wire)"
		      " VALUES (?1, ?2, 0, ?3, 0, x'')",
    [DB_SEAL_OUTBOX] = "UPDATE outbox SET state = 1, counter = ?2, wire = ?3 WHERE id = ?1",
    [DB_REMOVE_OUTBOX] = "DELETE FROM outbox WHERE id = ?1",
    [DB_EACH_OUTBOX] =
	"SELECT id, room_id, state, sealed_text, counter, wire FROM outbox WHERE slot = ?1 ORDER BY id",
    [DB_PUT_INVITE] = "INSERT INTO invites (room_id, account) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [DB_REMOVE_INVITE] = "DELETE FROM invites WHERE room_id = ?1 AND account = ?2",
    [DB_EACH_INVITE] = "SELECT room_id, account FROM invites ORDER BY room_id, account",
};
