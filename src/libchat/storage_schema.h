/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_STORAGE_SCHEMA_H
#define LIBCHAT_STORAGE_SCHEMA_H

/*
 * The tables of a client's database, their version, and the statements by name.
 *
 * An entry's key is its room's number and its own in one integer, so that a room's log lies together and
 * needs no second index; the events of a room have one of their own, for opening a room reads them alone.  A
 * room's number is never used for another, and stays when the room is removed.
 *
 * Threads: any; constants.
 */

#include <stdint.h>

#define SCHEMA_APPLICATION_ID 0x73636c31 /* "scl1": secure-chat's client */
#define SCHEMA_VERSION        1

extern const char schema_sql[];

/* A log has fewer entries than 2^41, so 22 bits are left for the room. */
#define ENTRY_KEY_BITS 41
#define ENTRY_SEQ_MAX  ((UINT64_C(1) << ENTRY_KEY_BITS) - 1)
#define ROOM_NO_MAX    ((UINT64_C(1) << (63 - ENTRY_KEY_BITS)) - 1)

enum db_stmt {
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	/* slots */
	DB_GET_DEVICE,
	DB_PUT_DEVICE,
	DB_SLOTS_SEALED,
	DB_SLOTS_WAITING,
	DB_ADOPT,
	/* the identity */
	DB_GET_IDENTITY,
	DB_PUT_IDENTITY,
	DB_GET_BAG,
	DB_PUT_BAG,
	/* rooms */
	DB_GET_ROOM_NO,
	DB_ADD_ROOM_NO,
	DB_EACH_ROOM,
	DB_PUT_ROOM,
	DB_REMOVE_ROOM,
	DB_REMOVE_ENTRIES,
	DB_REMOVE_COUNTERS,
	DB_REMOVE_WRAPS,
	DB_REMOVE_ROOM_OUTBOX,
	DB_REMOVE_ROOM_INVITES,
	DB_PUT_ENTRY,
	DB_EACH_ENTRY,
	DB_EACH_EVENT,
	DB_PUT_COUNTER,
	DB_EACH_COUNTER,
	DB_PUT_WRAP,
	DB_EACH_WRAP,
	/* the outbox */
	DB_ADD_OUTBOX,
	DB_SEAL_OUTBOX,
	DB_REMOVE_OUTBOX,
	DB_EACH_OUTBOX,
	DB_PUT_INVITE,
	DB_REMOVE_INVITE,
	DB_EACH_INVITE,
	DB_STMT_COUNT
};

extern const char *const db_sql[DB_STMT_COUNT];

#endif
