/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_STORE_H
#define STORE_STORE_H

/*
 * Durable state: rooms' logs, keys and stays, accounts, read cursors.  This is the contract that any store
 * keeps; the first is SQLite, and tests/unit/test_store_contract.c is the same contract as a program.
 *
 * The store hands out numbers.  The engine gathers operations in a batch; store_commit() runs them in order
 * in one transaction, durable when it returns, and says of each what came of it.  An operation names its key
 * (a room, an account) and what it expects there; where that is not so, it alone is undone.  Numbers of a
 * room run 1, 2, 3 ... without gaps.  Later operations of a batch see earlier ones.
 *
 * What it is not: it verifies nothing, knows no rules of rooms, and reads no wire bytes.  It does compute the
 * running hashes of the logs.
 *
 * Threads: a `struct store` and its batches belong to one thread, the engine's; exceptions are marked "any
 * thread". A `struct store_reader` belongs to the one thread that uses it, and any number of them may read
 * while the engine writes.  Ownership: what an operation points at is borrowed until store_commit() has
 * returned; what a lookup or a callback gives is borrowed from the handle until the next call on the same
 * handle, or the callback's return.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "group/epoch.h"
#include "group/identity.h"
#include "group/loghash.h"
#include "group/seal.h"

struct store;
struct store_batch;
struct store_reader;

/* ---- opening ---- */

#define STORE_ERROR_BYTES 256 /* room for one line of text, with its NUL */

/* All zeros: the defaults.  The limits are there for tests. */
struct store_options {
	const char *vfs;               /* SQLite: name of the VFS */
	uint64_t wal_checkpoint_bytes; /* 0: 16 MiB; from here on the log file is written back */
	uint64_t wal_congested_bytes;  /* 0: 256 MiB */
	uint32_t max_pages;            /* 0: no limit; the database does not grow above */
};

/*
 * Opens the database file `path`, making it (mode 0600) and its realm where it is missing; reads nothing of
 * rooms. On failure error holds one line that says what and where, without a newline: CHAT_ERR_NEWER (written
 * by a newer version), CHAT_ERR_INVALID (a database, or a file, of something else; or a backup beside the log
 * of the database that it took the place of), CHAT_ERR_CORRUPT, CHAT_ERR_LOCKED, CHAT_ERR_PERMISSION,
 * CHAT_ERR_IO, CHAT_ERR_NOMEM.  A file that is refused is not changed.
 */
enum chat_err store_open(const char *path, const struct store_options *options, struct store **ret,
    char error[static STORE_ERROR_BYTES]) MUST_USE;
/* Readers are closed before.  Writes the log file back.  NULL is allowed. */
void store_close(struct store *store);

/* Valid until store_close().  Any thread. */
const struct realm *store_realm(const struct store *store);

/*
 * Opened on what store_reader_backup() wrote, so that what was stored after that is lost; until
 * store_adopt_backup().  Both by the engine.
 */
bool store_is_backup(const struct store *store);
/* It is a database like others from now on.  In a turn of its own.  The errors of store_commit(). */
enum chat_err store_adopt_backup(struct store *store) MUST_USE;

/* ---- writing ---- */

/* The numbers are those of `Stay` in chat.proto. */
enum store_stay {
	STORE_OUT = 0,
	STORE_INVITED = 1,
	STORE_JOINED = 2,
};

struct store_new_entry {
	enum entry_kind kind;
	bool rekey; /* opens an epoch, named by event_hash: wraps and re-wraps can be put to it */
	uint64_t server_time_ms;
	struct bytes wire;
	struct digest entry_hash;
	struct digest event_hash; /* of an event */
	struct digest log_hash;   /* out: L at this entry, where stored */
};

/* The last counter that a sender's device has used. */
struct store_counter {
	struct digest sender;
	struct device_id device;
	uint64_t last;
};

/* A wrap that a rekey lists. */
struct store_wrap {
	struct digest epoch_id;
	struct digest member_id;
	const uint8_t *wrap; /* WRAP_BYTES */
};

/*
 * What became of a member's stay.  One that has ended is forgotten, for others could make them more and more;
 * a member who comes back begins another, with its cursor at 0.
 */
struct store_stay_change {
	struct digest member_id;
	enum store_stay stay; /* STORE_OUT: it has ended */
	uint64_t since_seq;   /* the create or invite that began it */
};

/*
 * Entries behind a room's head.  expected_seq is that head; 0: the room is not there, and is made.
 *   conflict: another head, in `head` (all zeros: no such room);  already: expected_seq is 0 and the room is
 * there.
 */
struct store_append {
	struct digest room_id;
	uint64_t expected_seq;
	struct store_new_entry *entries; /* at least 1 */
	uint32_t entry_count;
	const struct store_counter *counters; /* each device once */
	uint32_t counter_count;
	const struct store_wrap *wraps; /* of the rekeys among the entries; others are ignored */
	uint32_t wrap_count;
	const struct store_stay_change *stays;
	uint32_t stay_count;
};

/*
 * A new account.  conflict: a record of this name is there, its member in `current`, or the member is another
 * record's; already: it is this very card.
 */
struct store_put_identity {
	struct bytes account;
	struct bytes account_id; /* may be empty */
	struct digest member_id;
	struct digest card_hash;
	struct bytes card, bag, recovery; /* recovery may be empty */
	uint64_t bag_version;
	struct digest proof;
};

/* conflict: another version, in `version` (0: no account);  already: `version` is there with these bytes. */
struct store_put_bag {
	struct bytes account;
	uint64_t expected_version;
	uint64_t version;
	struct bytes bag;
};

/* conflict: another card, its hash in `current` (zeros: no account);  already: this card is there. */
struct store_put_card {
	struct bytes account;
	struct digest expected_hash;
	struct digest card_hash;
	struct bytes card;
};

/* conflict: no account.  An empty blob removes it. */
struct store_put_recovery {
	struct bytes account;
	struct bytes recovery;
};

/* The account's hash field at the last password proof.  conflict: no account. */
struct store_set_proof {
	struct bytes account;
	struct digest proof;
};

/* The name becomes free; the record stays under its member_id, marked.  conflict: no account. */
struct store_retire_account {
	struct bytes account;
};

/*
 * A wrap of a stored epoch that is not there yet.  conflict: no such epoch in the room;  already: there is
 * one, which is kept.
 */
struct store_put_wrap {
	struct digest room_id;
	struct store_wrap wrap;
};

/*
 * Replaces the wrapper's earlier one; of one epoch and recipient the REWRAPS_KEPT newest stay.
 *   conflict: no such epoch in the room.
 */
#define REWRAPS_KEPT 3
struct store_put_rewrap {
	struct digest room_id;
	struct digest epoch_id, recipient, wrapper;
	const uint8_t *wire; /* REWRAP_BYTES */
};

/* A member's read cursor; it may go back.  conflict: the member has no stay in the room. */
struct store_set_cursor {
	struct digest room_id;
	struct digest member_id;
	uint64_t seq;
};

/*
 * Retention: messages below below_seq lose their wire bytes and keep number, time and hashes; wraps and
 * re-wraps of epochs whose messages are all gone go too, some at a time, but not of the last epoch.  Looks at
 * max_entries at most, and no further than the first entry that is not older than before_ms; `first_seq` of
 * the result is where whole entries begin now.  Ask again until it is `already`.
 *   conflict: no such room;  already: there was nothing to do.
 */
struct store_strip {
	struct digest room_id;
	uint64_t below_seq;
	uint32_t max_entries;
	uint64_t before_ms; /* 0: whatever their time */
};

enum store_op_type {
	STORE_APPEND,
	STORE_PUT_IDENTITY,
	STORE_PUT_BAG,
	STORE_PUT_CARD,
	STORE_PUT_RECOVERY,
	STORE_SET_PROOF,
	STORE_RETIRE_ACCOUNT,
	STORE_PUT_WRAP,
	STORE_PUT_REWRAP,
	STORE_SET_CURSOR,
	STORE_STRIP,
	STORE_OP_TYPE_COUNT
};

enum store_outcome {
	STORE_FAILED, /* not known to be stored; also before store_commit() */
	STORE_STORED,
	STORE_ALREADY,  /* it is there as asked; nothing was changed */
	STORE_CONFLICT, /* something else is there; nothing was changed */
};

struct store_result {
	enum store_outcome outcome;
	uint64_t room_no;      /* append stored or already: the store's number of the room, never reused */
	uint64_t first_seq;    /* append stored: number of its first entry */
	struct log_head head;  /* append: the room's head now; behind its last entry where stored */
	uint64_t version;      /* put_bag: the version there now */
	uint32_t removed;      /* strip stored: messages that lost their bytes */
	struct digest current; /* put_identity: the member, put_card: the card_hash, there now */
};

struct store_op {
	enum store_op_type type;
	void *token; /* the caller's */
	union {
		struct store_append append;
		struct store_put_identity put_identity;
		struct store_put_bag put_bag;
		struct store_put_card put_card;
		struct store_put_recovery put_recovery;
		struct store_set_proof set_proof;
		struct store_retire_account retire_account;
		struct store_put_wrap put_wrap;
		struct store_put_rewrap put_rewrap;
		struct store_set_cursor set_cursor;
		struct store_strip strip;
	};
	struct store_result result; /* out */
};

/* A batch is made once and used for every turn.  NULL: out of memory. */
struct store_batch *store_batch_new(void) MUST_USE;
void store_batch_free(struct store_batch *batch); /* NULL is allowed */
/* Forgets operations and what was taken by store_batch_alloc(); keeps the memory for the next turn. */
void store_batch_reset(struct store_batch *batch);
/* Zeroed memory that lives until store_batch_reset(), aligned for anything.  NULL: out of memory. */
void *store_batch_alloc(struct store_batch *batch, size_t size) MUST_USE;
/* A new, zeroed operation at the end; its address stays until store_batch_reset().  NULL: out of memory. */
struct store_op *store_batch_add(struct store_batch *batch, enum store_op_type type) MUST_USE;
/* Takes the last operation back (the caller found that it cannot be). */
void store_batch_drop_last(struct store_batch *batch);
size_t store_batch_count(const struct store_batch *batch);
struct store_op *store_batch_op(struct store_batch *batch, size_t i); /* i < count */

/*
 * One transaction, and one sync of the disk; none for an empty batch.  CHAT_OK: all that has the outcome
 * `stored` is durable.  Else every outcome is `failed` and it is not known whether anything is stored:
 * CHAT_ERR_STORE_UNAVAILABLE (disk full, I/O error, read-only), CHAT_ERR_CORRUPT, CHAT_ERR_NOMEM;
 * store_error() says why.  The store stays usable: what is asked next is answered from what is on the disk,
 * and a later commit works when the cause is gone.
 */
enum chat_err store_commit(struct store *store, struct store_batch *batch) MUST_USE;

/* One line about the last failure of a call on this handle; valid until the next call.  Never NULL. */
const char *store_error(const struct store *store);

/* ---- upkeep ---- */

/*
 * Between turns, by the engine: ends a write-back that the store's own thread has prepared, so that the log
 * file is used again from its start.  Nothing to do: no system call.  Waits for readers some milliseconds at
 * most.
 */
void store_maintain(struct store *store);
/* The log file is above its limit: answer `busy` and go on calling store_maintain().  Any thread. */
bool store_is_congested(const struct store *store);
/* Gives at most max_pages free pages back to the file system; *ret_left is how many remain.  In a turn of its
 * own. */
enum chat_err store_vacuum_step(struct store *store, uint32_t max_pages, uint64_t *ret_left) MUST_USE;

struct store_status {
	uint64_t rooms;
	uint64_t entries; /* ever stored */
	uint64_t database_bytes;
	uint64_t wal_bytes;
	uint64_t free_bytes;     /* inside the database, to be used again */
	uint64_t failed_commits; /* since the start */
	bool failing;            /* the last commit failed */
};
enum chat_err store_status(struct store *store, struct store_status *ret) MUST_USE;

/* ---- lookups by the engine ---- */

/*
 * They see what was committed.  All may give CHAT_ERR_STORE_UNAVAILABLE, CHAT_ERR_CORRUPT or CHAT_ERR_NOMEM.
 * A callback that returns false ends the walk, which is no error.  A callback must not call the same handle.
 */

struct store_account {
	struct bytes account;
	struct bytes account_id;
	bool retired;
	struct digest member_id;
	struct digest card_hash;
	struct digest proof;
	uint64_t bag_version;
	struct bytes card, bag, recovery;
};

/* The one of that name that is not retired.  CHAT_ERR_NOT_FOUND. */
enum chat_err
store_account_by_name(struct store *store, struct bytes account, struct store_account *ret) MUST_USE;
/* Retired ones too.  CHAT_ERR_NOT_FOUND. */
enum chat_err store_account_by_member(
    struct store *store, const struct digest *member_id, struct store_account *ret) MUST_USE;
/* All that are not retired, by name. */
typedef bool (*store_account_fn)(
    void *ctx, struct bytes account, struct bytes account_id, const struct digest *member_id);
enum chat_err store_accounts_each(struct store *store, store_account_fn fn, void *ctx) MUST_USE;

struct store_room {
	struct digest room_id;
	uint64_t room_no;
	struct log_head head;
	uint64_t oldest_whole_seq; /* messages below are stubs; 1 at first */
};

/* CHAT_ERR_NOT_FOUND. */
enum chat_err
store_room_by_id(struct store *store, const struct digest *room_id, struct store_room *ret) MUST_USE;
/* All rooms from from_no on, by room_no. */
typedef bool (*store_room_fn)(void *ctx, const struct store_room *room);
enum chat_err store_rooms_each(struct store *store, uint64_t from_no, store_room_fn fn, void *ctx) MUST_USE;

struct store_member_room {
	struct digest room_id;
	uint64_t room_no;
	enum store_stay stay;
	uint64_t since_seq;
	uint64_t read_seq;
	struct log_head head;
};

/* Every room in which the member has a stay, by room_id. */
typedef bool (*store_member_room_fn)(void *ctx, const struct store_member_room *room);
enum chat_err store_member_rooms_each(
    struct store *store, const struct digest *member_id, store_member_room_fn fn, void *ctx) MUST_USE;

struct store_entry {
	uint64_t seq;
	uint64_t server_time_ms;
	enum entry_kind kind;
	bool whole; /* false: a stub, without wire */
	struct bytes wire;
	struct digest entry_hash;
	struct digest log_hash; /* L at seq */
};
typedef bool (*store_entry_fn)(void *ctx, const struct store_entry *entry);

/* All events of the room in order. */
enum chat_err store_events_each(struct store *store, uint64_t room_no, store_entry_fn fn, void *ctx) MUST_USE;
typedef bool (*store_counter_fn)(void *ctx, const struct store_counter *counter);
enum chat_err
store_counters_each(struct store *store, uint64_t room_no, store_counter_fn fn, void *ctx) MUST_USE;
/* L at seq; zeros for 0.  CHAT_ERR_NOT_FOUND above the head. */
enum chat_err
store_log_hash(struct store *store, uint64_t room_no, uint64_t seq, struct digest *ret) MUST_USE;
/*
 * The first entry not older than unix_ms, or head + 1.  Found by halving: where a clock was set back, so that
 * times of a room do not rise, it is one of the places where older ones end.
 */
enum chat_err
store_seq_at_time(struct store *store, uint64_t room_no, uint64_t unix_ms, uint64_t *ret) MUST_USE;

/* ---- readers ---- */

/* Call it on the engine's thread, or before that starts; use it on any one.  Its store outlives it. */
enum chat_err store_reader_open(struct store *store, struct store_reader **ret) MUST_USE;
void store_reader_close(struct store_reader *reader); /* NULL is allowed */
const char *store_reader_error(const struct store_reader *reader);

/*
 * Between these all reads see one state, the last one committed at the first read.  Keep it short: the log
 * file cannot be used again meanwhile.  Reads outside see each its own.
 */
enum chat_err store_reader_begin(struct store_reader *reader) MUST_USE;
void store_reader_end(struct store_reader *reader);

/* Errors as of the lookups above.  A room_no that does not exist reads as an empty room. */
enum chat_err store_reader_room(struct store_reader *reader, const struct digest *room_id,
    struct store_room *ret) MUST_USE; /* CHAT_ERR_NOT_FOUND */

/* Entries from_seq .. to_seq in order, as far as they exist. */
enum chat_err store_reader_range(struct store_reader *reader, uint64_t room_no, uint64_t from_seq,
    uint64_t to_seq, store_entry_fn fn, void *ctx) MUST_USE;
/* The same, all as stubs: wire bytes are not read. */
enum chat_err store_reader_stubs(struct store_reader *reader, uint64_t room_no, uint64_t from_seq,
    uint64_t to_seq, store_entry_fn fn, void *ctx) MUST_USE;
/* Entries before_seq - 1, before_seq - 2 ... down to 1. */
enum chat_err store_reader_back(struct store_reader *reader, uint64_t room_no, uint64_t before_seq,
    store_entry_fn fn, void *ctx) MUST_USE;
/* Events from from_seq on, in order. */
enum chat_err store_reader_events(
    struct store_reader *reader, uint64_t room_no, uint64_t from_seq, store_entry_fn fn, void *ctx) MUST_USE;

/* As store_log_hash(). */
enum chat_err store_reader_log_hash(
    struct store_reader *reader, uint64_t room_no, uint64_t seq, struct digest *ret) MUST_USE;
/* What L at seq is the hash of.  CHAT_ERR_NOT_FOUND for 0 and above the head. */
enum chat_err store_reader_preimage(
    struct store_reader *reader, uint64_t room_no, uint64_t seq, struct log_preimage *ret) MUST_USE;

struct store_epoch_wraps {
	struct digest epoch_id;
	struct bytes wrap;                  /* WRAP_BYTES, or empty */
	struct bytes rewraps[REWRAPS_KEPT]; /* REWRAP_BYTES each, the oldest first */
	uint32_t rewrap_count;
};
typedef bool (*store_wraps_fn)(void *ctx, const struct store_epoch_wraps *wraps);

/* What is there for the member, once per epoch_id as asked, also where there is nothing; epochs of other
 * rooms have nothing. */
enum chat_err
store_reader_wraps(struct store_reader *reader, uint64_t room_no, const struct digest *member_id,
    const struct digest *epoch_ids, uint32_t epoch_count, store_wraps_fn fn, void *ctx) MUST_USE;

/* ---- backup and check ---- */

/*
 * Writes the last committed state to path, marked as a backup: a temporary file beside it, synced, renamed
 * over it.  CHAT_ERR_IO, CHAT_ERR_STORE_UNAVAILABLE (the source), CHAT_ERR_NOMEM; path is untouched then.
 */
enum chat_err store_reader_backup(struct store_reader *reader, const char *path) MUST_USE;

/* All zeros: only the structure of the database. */
struct store_check_options {
	bool deep; /* every room's numbers, places and hashes from its first entry on */
	/* With deep: whether an entry's wire bytes give its entry_hash, which the store cannot know; may be
	 * NULL. */
	store_entry_fn entry_good;
	void *ctx;
};

/* Whether what is stored is sound.  CHAT_ERR_CORRUPT: *report has a line for each fault, the first 20 of
 * them. */
enum chat_err store_reader_check(
    struct store_reader *reader, const struct store_check_options *options, struct buf *report) MUST_USE;

/*
 * The same for a database that no server has open; it is not changed.  Also the errors of store_open(), with
 * their line in *report, and CHAT_ERR_NOT_FOUND where there is none.
 */
enum chat_err store_check(const char *path, const struct store_options *options,
    const struct store_check_options *check, struct buf *report) MUST_USE;

#endif
