/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

/*
 * Commands: what loops and main ask of the engine.  A command is made by one thread, handed over through the engine's
 * mailbox, and freed by the engine.  Frames are parsed, lengths checked and signatures verified before.
 *
 * Threads: a command belongs to one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "net/mailbox.h"
#include "server/conn_ref.h"

struct passwd_table;

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

/* What CMD_STATUS asks for. */
enum status_what {
	STATUS_SUMMARY,  /* key=value lines */
	STATUS_SESSIONS, /* a line of key=value pairs for each session */
	STATUS_ROOMS,    /* the same for each room */
};

/* One posted event or re-wrap: the wire bytes, and what the loop found of the signatures in it (its own and a carried
 * card's), by the key of this session's member. */
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
			enum status_what what;
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
void wrap_set_free_list(struct wrap_set *set); /* the whole list; NULL is allowed */

#endif
