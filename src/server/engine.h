/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

/*
 * The engine: the only writer.  It takes commands, checks each against its memory (a cache of the store), gathers
 * their effects into one store batch, commits it, and only then says what came of each command and what everybody
 * else is to be told.  It knows no sockets, no threads, no clocks: `now` comes in, outcomes go out.
 *
 * A turn:
 *     engine_turn_begin(engine, now);
 *     engine_apply(engine, command) ...      takes the command over
 *     engine_turn_commit(engine) -> outcomes the caller delivers them in order, then engine_outcomes_free()
 *
 * What it is not: it parses no frames and verifies no signatures (loops did, and say so in the command), reads no
 * history (readers do, with the view that the engine hands them), and encodes only what is encoded once for many.
 *
 * Requests on rooms look only among the rooms of the session's own member: a room that does not exist and a room
 * that is not the asker's are one path and one answer, CHAT_ERR_NO_ROOM.
 *
 * Threads: one, whichever calls; engine_thread.c in the server, the test itself in tests.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "group/identity.h"
#include "net/mailbox.h"
#include "server/frame_ref.h"
#include "server/view.h"

struct passwd_table;
struct store;

/* A connection's name across threads: never a file descriptor, never a pointer. */
struct conn_ref {
	uint32_t slot;
	uint32_t generation; /* of the slot; 0 is no connection */
	uint16_t loop;
};

/* ---- commands: what loops, readers and main ask ------------------------------------------------------------------ */

enum command_type {
	/* accounts and sessions */
	CMD_ACCOUNTS,         /* main: a new password table is in force */
	CMD_PASSWORD_PROVED,  /* the account's password was right */
	CMD_PUBLISH_IDENTITY,
	CMD_KEY_PROVED,       /* the login signature was right: open a session */
	CMD_SESSION_CLOSE,    /* the connection is gone */
	CMD_GET_RECOVERY,
	CMD_PUT_RECOVERY,
	CMD_GET_BAG,
	CMD_PUT_BAG,
	CMD_PUBLISH_CARD,
	CMD_GET_CARD,
	CMD_WHO,
	CMD_PASSWORD_CHANGED, /* the own password was replaced by this connection: a new proof */
	/* rooms */
	CMD_GET_ROOMS,
	CMD_RESUME,
	CMD_GET_HISTORY,
	CMD_GET_ROSTER,
	CMD_GET_PREFIX,
	CMD_GET_WRAPS,
	CMD_POST_EVENTS,
	CMD_POST_MESSAGE,
	CMD_POST_REWRAPS,
	CMD_ASK_REWRAP,
	CMD_SET_CURSOR,
	CMD_OFFER_ENTRIES,
	/* main: the answer goes to the control socket */
	CMD_STATUS,
	CMD_TICK,             /* time passed: leases, lazily written cursors */
	COMMAND_TYPE_COUNT
};

/* One posted event: the wire bytes, and what the loop found of the signatures in it (its own and a carried card's). */
struct command_event {
	struct bytes wire; /* inside the command's body */
	bool signatures_good;
};

/* A complete set of staged wraps: count * RSA_BYTES bytes whose wraps_hash was computed by the loop. */
struct wrap_set {
	struct digest wraps_hash;
	uint32_t count;
	uint8_t *wraps; /* owned, count * RSA_BYTES */
	struct wrap_set *next;
};

/*
 * Owned by its maker until it is handed to the engine's mailbox or to engine_apply().  `body` holds every byte string
 * that the parts below point into.
 */
struct command {
	struct mail mail;
	enum command_type type;
	struct conn_ref from;
	uint64_t request_id;
	struct digest room_id;
	uint8_t *body; /* owned */
	size_t body_len;
	union {
		struct {
			struct passwd_table *table; /* a reference, owned */
		} accounts;
		struct {
			struct bytes account;
			struct bytes account_id;  /* the password file's id= of it, may be empty */
			struct digest proof;      /* SHA-256 of the account's hash field */
		} password_proved, password_changed;
		struct {
			struct bytes account;
			struct bytes account_id;
			struct digest proof;
			struct digest member_id;
			struct bytes addr;        /* for `chatctl sessions` */
		} key_proved;
		struct {
			struct bytes account;     /* the one whose password was proved on this connection */
			struct bytes account_id;
			struct digest proof;
			struct bytes card, bag, recovery; /* card: decoded and its signature verified by the loop */
		} publish_identity;
		struct {
			struct bytes account;     /* get_recovery, get_bag: a password session has no member yet */
		} account;
		struct {
			struct bytes blob;
			uint64_t expected_version; /* put_bag */
		} blob;                            /* put_recovery, put_bag */
		struct {
			struct bytes card;
		} publish_card;
		struct {
			struct bytes account;
			bool watch;
		} get_card;
		struct {
			struct bytes after;
		} page;                            /* who, get_rooms */
		struct {
			uint64_t next_seq;
			struct digest hash;
		} resume;
		struct {
			uint64_t before_seq;
			uint32_t limit;
		} history;
		struct {
			uint64_t from_seq;
		} forward;                         /* get_roster, get_prefix */
		struct {
			struct digest *epoch_ids;  /* inside body */
			uint32_t count;
		} epochs;                          /* get_wraps, ask_rewrap */
		struct {
			struct command_event *events; /* inside body */
			uint32_t count;
			struct wrap_set *staged;   /* owned list, may be NULL */
		} events;
		struct {
			struct bytes wire;         /* of the right form: decoded once by the loop */
			struct digest entry_hash;
		} message;
		struct {
			struct command_event *rewraps;
			uint32_t count;
		} rewraps;
		struct {
			uint64_t seq;
		} cursor;
		struct {
			struct offered_entry *entries; /* inside body */
			uint32_t count;
		} offer;
		struct {
			void *token;               /* given back in the outcome */
		} status;
	};
};

struct offered_entry {
	uint64_t seq;
	uint64_t server_time_ms;
	uint8_t kind;
	bool signature_good;
	struct bytes wire;
	struct digest entry_hash;
};

/* Makes a zeroed command with room for body_len bytes in `body`.  NULL: out of memory. */
struct command *command_new(enum command_type type, struct conn_ref from, uint64_t request_id, size_t body_len);
void command_free(struct command *cmd); /* with everything it owns; NULL is allowed */

/* ---- outcomes: what is to be done, in this order --------------------------------------------------------------------- */

enum outcome_type {
	OUT_ERROR,        /* to one connection: a request failed */
	OUT_OK,           /* to one connection: done */
	OUT_POSTED,       /* to one connection: its entries are durable */
	OUT_FRAME,        /* to one connection: an encoded frame, answer or push */
	OUT_PASSWORD_OK,  /* to one connection: the loop moves to PHASE_PASSWORD and answers */
	OUT_LOGIN_OK,     /* to one connection: the loop moves to PHASE_READY and answers */
	OUT_SUBSCRIBED,   /* to one connection: make the subscription, answer Resumed */
	OUT_VIEW,         /* to one connection: its member's rights in a room changed, from a number on */
	OUT_END,          /* to one connection: its subscription ends behind end_seq */
	OUT_CLOSE,        /* to one connection: say Goodbye and close */
	OUT_READ,         /* to the reader pool: read stored entries for one connection */
	OUT_ENTRIES,      /* to one loop: new entries of a room, for all its subscriptions there */
	OUT_WRAPS,        /* to one loop: the wraps of a rekey, before the entry that names them */
	OUT_STATUS,       /* to main */
};

/* One new entry, encoded once for everybody: whole, and as the stub for those who may not read it. */
struct entry_frames {
	uint64_t seq;
	struct frame_ref *whole; /* references owned by the outcome */
	struct frame_ref *stub;  /* NULL for an event: every subscriber gets it whole */
};

enum read_kind { READ_RANGE, READ_HISTORY, READ_ROSTER, READ_PREFIX, READ_WRAPS };

/* What a reader needs; it never looks at the engine's memory. */
struct read_request {
	struct mail mail;
	enum read_kind kind;
	struct conn_ref conn;
	uint64_t request_id;     /* 0 for READ_RANGE, which answers no request */
	struct digest room_id;
	uint64_t room_no;        /* the store's number of the room */
	struct digest member_id;
	struct view *view;       /* a reference, owned */
	uint64_t from_seq;       /* first entry wanted (READ_HISTORY: the one behind the last wanted) */
	uint64_t to_seq;         /* last entry wanted */
	uint32_t limit;
	struct digest *epoch_ids; /* owned; READ_WRAPS */
	uint32_t epoch_count;
};

struct outcome {
	struct outcome *next;
	enum outcome_type type;
	struct conn_ref to;       /* where it goes to one connection */
	uint64_t request_id;
	union {
		struct {
			enum chat_err err;
			char text[160];
			char mend[80];
			uint32_t index;
			bool has_current;
			struct digest current;
			uint64_t retry_after_ms;
			uint64_t number;
		} error;
		struct {
			uint64_t first_seq, server_time_ms;
			uint32_t count;
			struct digest hash;
		} posted;
		struct frame_ref *frame; /* a reference, owned */
		struct {
			bool has_identity, has_recovery;
			struct bytes card;       /* owned: free() its data */
		} password_ok;
		struct {
			struct bytes card;       /* owned: free() its data */
			uint64_t bag_version;
			uint32_t sessions;
			struct digest member_id;
			uint8_t ed_pk[32];       /* the loop verifies this member's events with it */
		} login_ok;
		struct {
			struct digest room_id, head_hash;
			uint64_t room_no, next_seq, head_seq, oldest_whole_seq;
			struct view *view;       /* a reference, owned */
		} subscribed;
		struct {
			uint64_t room_no;
			struct view *view;       /* a reference, owned */
		} view;
		struct {
			uint64_t room_no, end_seq;
		} end;
		struct {
			enum chat_err reason;
		} close;
		struct read_request *read; /* owned */
		struct {
			uint16_t loop;
			uint64_t room_no;
			uint32_t count;
			struct entry_frames *frames; /* owned array */
		} entries;
		struct {
			uint16_t loop;
			uint64_t room_no;
			uint64_t rekey_seq;
			struct wrap_frames *wraps; /* a reference, owned: frames by member */
		} wraps;
		struct {
			void *token;
			struct buf text;         /* owned: key=value lines for chatctl */
		} status;
	};
};

/* ---- the engine ----------------------------------------------------------------------------------------------------- */

struct engine_config {
	struct realm realm;
	uint16_t loop_count;
	uint32_t slots_per_loop;
	uint32_t sessions_per_account;
	uint32_t rooms_per_account;
	uint32_t room_readers_max;
	uint32_t history_days;
	uint64_t history_entries;
};

struct engine;

/* The store is borrowed and must outlive the engine. */
enum chat_err engine_new(const struct engine_config *config, struct store *store, struct engine **ret) MUST_USE;
void engine_free(struct engine *engine);
/* Takes new limits at a reload. */
void engine_reconfigure(struct engine *engine, const struct engine_config *config);

void engine_turn_begin(struct engine *engine, struct now now);
/* Takes cmd over.  Its effects and answers come with the commit. */
void engine_apply(struct engine *engine, struct command *cmd);
/* Commits and gives the turn's outcomes, a list that the caller owns; NULL if there are none. */
struct outcome *engine_turn_commit(struct engine *engine);
/* Frees a list, also what its outcomes still own; the caller NULLs what it took over. */
void engine_outcomes_free(struct outcome *list);

/* After a failed commit turns are of one command until one succeeds. */
bool engine_is_cautious(const struct engine *engine);
/* When to send the next CMD_TICK; NEVER_MS if nothing waits. */
uint64_t engine_next_deadline_ms(const struct engine *engine);

#endif
