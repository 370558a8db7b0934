/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_STORAGE_H
#define LIBCHAT_STORAGE_H

/*
 * What one account's client keeps on disk for one server: its identity, the log of its rooms as sealed as it came, wraps,
 * the outbox.  The session asks through a table of functions, so that tests and the bench can give it another storage;
 * the real one is SQLite (storage_sqlite.c) below the data directory, with one lock per device slot.
 *
 * Calls are synchronous and belong to the thread that drives the session.  Several processes of one user may share the
 * same database: puts of something that is there already with the same bytes are fine.
 *
 * A transaction collects changes; what was committed survives a kill.  Every call outside a transaction is one of its
 * own.  Errors: CHAT_ERR_IO, CHAT_ERR_CORRUPT, CHAT_ERR_NOMEM; CHAT_ERR_NOT_FOUND where a thing may be absent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "group/identity.h"
#include "group/loghash.h"
#include "group/seal.h"

struct stored_identity {
	struct realm realm;
	struct identity_root root; /* secret */
	uint64_t bag_version;      /* the highest ever seen; 0: no bag yet */
	bool published;            /* the server acknowledged the first card */
};

struct stored_room {
	struct digest room_id;
	struct log_head head;      /* of the last entry kept without a hole from first_seq on */
	uint64_t first_seq;        /* the lowest number from which entries are kept without a hole (events: all, always) */
	struct digest base_hash;   /* L at first_seq - 1: what older entries, fetched later, must lead to */
	uint64_t shown_seq;        /* given to the program as events up to here */
	uint64_t read_seq;         /* read by the user */
	bool gone;                 /* the own stay ended; kept for reading */
	char label[80];            /* local name, unique among rooms that are not gone; "" until the name is known */
};

/* One entry as it is kept: an event or message on the wire, or a stub. */
struct stored_entry {
	uint64_t seq;
	uint64_t server_time_ms;
	enum entry_kind kind;
	struct bytes wire; /* empty: a stub */
	struct digest entry_hash;
};

/* The last counter of a device of a sender, as the entries up to the head say. */
struct stored_counter {
	struct digest sender;
	struct device_id device;
	uint64_t last;
};

enum wrap_source { WRAP_LISTED, WRAP_REWRAP };

struct stored_wrap {
	struct digest epoch_id;
	enum wrap_source source;
	struct bytes wire; /* 384 bytes, or a whole re-wrap */
};

enum outbox_state { OUTBOX_WAITING, OUTBOX_SEALED };

/* Something said that is not acknowledged yet. */
struct outbox_item {
	uint64_t id; /* ascending; 0 is none */
	struct digest room_id;
	enum outbox_state state;
	struct bytes sealed_text; /* under the identity: outbox.h */
	uint64_t counter;         /* OUTBOX_SEALED: the one used */
	struct bytes wire;        /* OUTBOX_SEALED: the last attempt, sent or about to be */
};

struct storage;

/* Entries come in ascending order; what is borrowed is valid during the call.  Return false to stop. */
typedef bool (*storage_entry_fn)(void *ctx, const struct stored_entry *entry);
typedef bool (*storage_room_fn)(void *ctx, const struct stored_room *room);
typedef bool (*storage_counter_fn)(void *ctx, const struct stored_counter *counter);
typedef bool (*storage_wrap_fn)(void *ctx, const struct stored_wrap *wrap);
typedef bool (*storage_outbox_fn)(void *ctx, const struct outbox_item *item);
typedef bool (*storage_invite_fn)(void *ctx, const struct digest *room_id, struct bytes account);

struct storage_ops {
	enum chat_err (*begin)(struct storage *st);
	enum chat_err (*commit)(struct storage *st);
	void (*rollback)(struct storage *st);

	enum chat_err (*get_identity)(struct storage *st, struct stored_identity *ret);
	enum chat_err (*put_identity)(struct storage *st, const struct stored_identity *identity); /* also replaces */
	enum chat_err (*get_bag)(struct storage *st, struct buf *ret_blob); /* appends */
	enum chat_err (*put_bag)(struct storage *st, struct bytes blob, uint64_t version);

	/* The id of this process's slot; renew makes another, for a storage that turned out to be a copy. */
	void (*get_device)(struct storage *st, struct device_id *ret);
	enum chat_err (*renew_device)(struct storage *st, struct device_id *ret);

	enum chat_err (*each_room)(struct storage *st, storage_room_fn fn, void *ctx);
	/*
	 * Two processes may put the same room, one of them behind.  So what is there already is never taken back: head and
	 * shown_seq are the higher of the two, first_seq with its base_hash the lower; read_seq, gone and label are replaced
	 * (an empty label keeps what is there).
	 */
	enum chat_err (*put_room)(struct storage *st, const struct stored_room *room);
	enum chat_err (*remove_room)(struct storage *st, const struct digest *room_id); /* with all of it */

	/* A whole entry replaces a stub of the same number; never the reverse. */
	enum chat_err (*put_entry)(
	    struct storage *st, const struct digest *room_id, const struct stored_entry *entry);
	enum chat_err (*each_entry)(struct storage *st, const struct digest *room_id, uint64_t from_seq,
	    uint64_t to_seq, storage_entry_fn fn, void *ctx);
	enum chat_err (*each_event)(
	    struct storage *st, const struct digest *room_id, storage_entry_fn fn, void *ctx);

	/* The higher stays.  Without them opening a room would mean reading all of its messages. */
	enum chat_err (*put_counter)(
	    struct storage *st, const struct digest *room_id, const struct stored_counter *counter);
	enum chat_err (*each_counter)(
	    struct storage *st, const struct digest *room_id, storage_counter_fn fn, void *ctx);

	enum chat_err (*put_wrap)(
	    struct storage *st, const struct digest *room_id, const struct stored_wrap *wrap);
	enum chat_err (*each_wrap)(struct storage *st, const struct digest *room_id,
	    const struct digest *epoch_id, storage_wrap_fn fn, void *ctx);

	/* Durable on return: it is what chat_send() promises. */
	enum chat_err (*add_outbox)(struct storage *st, const struct digest *room_id,
	    struct bytes sealed_text, uint64_t *ret_id);
	enum chat_err (*seal_outbox)(struct storage *st, uint64_t id, uint64_t counter, struct bytes wire);
	enum chat_err (*remove_outbox)(struct storage *st, uint64_t id);
	enum chat_err (*each_outbox)(struct storage *st, storage_outbox_fn fn, void *ctx); /* this slot's, by id */

	/* Invitations that wait for the account's identity. */
	enum chat_err (*put_invite)(struct storage *st, const struct digest *room_id, struct bytes account);
	enum chat_err (*remove_invite)(struct storage *st, const struct digest *room_id, struct bytes account);
	enum chat_err (*each_invite)(struct storage *st, storage_invite_fn fn, void *ctx);
};

/* First member of every implementation's own struct. */
struct storage {
	const struct storage_ops *ops;
};

#endif
