/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_OUTCOME_H
#define SERVER_OUTCOME_H

/*
 * Outcomes: what the engine wants done after a commit, in order.  The caller of engine_turn_commit() hands each to the loop
 * or reader that it is for.
 *
 * Threads: an outcome belongs to one thread at a time.  The frames, views and wrap lists in it are counted and shared.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "net/mailbox.h"
#include "server/command.h"
#include "server/conn_ref.h"
#include "server/frame_ref.h"
#include "server/view.h"
#include "server/wrap_list.h"

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
	OUT_STATUS,       /* to main */
};

/* One new entry, encoded once for everybody: whole, and as the stub for those who may not read it. */
struct entry_frames {
	uint64_t seq;
	bool event;              /* every subscriber gets it whole */
	struct frame_ref *whole; /* references owned by the outcome; NULL: to be read */
	struct frame_ref *stub;  /* of a message, where somebody needs it */
	struct wrap_list *wraps; /* of a rekey: each reader gets its own right before the entry; else NULL */
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
			void *token;
			enum status_what what;
			enum chat_err err;       /* else text is empty */
			struct buf text;         /* owned: lines for chatctl, see enum status_what */
		} status;
	};
};

/* A zeroed outcome.  NULL: out of memory. */
struct outcome *outcome_new(enum outcome_type type);
/* Frees one, with everything it still owns; the taker NULLs what it took over.  NULL is allowed. */
void outcome_free(struct outcome *outcome);
void outcome_list_free(struct outcome *list);
void read_request_free(struct read_request *request); /* NULL is allowed */

#endif
