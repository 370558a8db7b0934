/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_OP_H
#define LIBCHAT_OP_H

/*
 * What the program asked for, until its DONE; and batches, by which events get into a room's log.
 *
 *     op.c          the list of them; waiting, repeating, ending
 *     op_room.c     accept, decline, leave, kick, role, topic, name
 *     op_create.c   create, direct
 *     op_invite.c   invite
 *     op_account.c  who, password, history
 *     batch.c       events and their rekey: built, judged by the own roster, wrapped, staged, posted
 *
 * An op is asked to run() whenever something may have changed and it does not wait for an answer.  It looks
 * at the room as it is then: so what was done before a connection was lost is found done, and what was lost
 * is done again.
 *
 * Internal to the session; threads: its own.
 */

#include "base/buf.h"
#include "group/event.h"
#include "group/roster.h"
#include "libchat/session_impl.h"

struct op;

struct op_type {
	void (*run)(struct chat_session *s, struct op *op);
	/* Its batch was refused (err), or is in the log up to op->wait_seq (CHAT_OK); NULL: the general way,
	 * op_batch_ended(). */
	void (*batch_ended)(struct chat_session *s, struct op *op, const struct refusal *refusal);
	/* The connection is gone; NULL: nothing to forget. */
	void (*disconnected)(struct chat_session *s, struct op *op);
	void (*fini)(struct op *op); /* NULL: nothing of its own */
};

/* First member of each kind's own struct, which op_free() frees. */
struct op {
	TAILQ_ENTRY(op) link;
	const struct op_type *type;
	struct chat_event *done; /* owned; NULL: nobody asked, the session itself did */
	struct room *room;       /* NULL: none (yet) */
	bool waiting;            /* for an answer, a batch or a job: run() is not called */
	bool tried;              /* something was posted: that it is so now may be by this op */
	uint64_t not_before_ms;  /* 0: now */
	uint64_t wait_seq;       /* done when the room's log is here so far; 0: not posted */
	unsigned tries;
};

#define OP_TRIES_MAX 10
#define OPS_MAX      1000

/* Takes over op and done, and runs it when it can be. */
void op_start(struct chat_session *s, struct op *op, const struct op_type *type, struct chat_event *done,
    struct room *room);
/* Ends a request that did not become an op. */
void done_now(
    struct chat_session *s, struct chat_event *done, enum chat_err err, const char *text, const char *mend);
/* Its DONE, and the end of op. */
void op_end(struct chat_session *s, struct op *op, enum chat_err err, const char *text, const char *mend);
/* Run again after a refusal that may pass, with a bound; otherwise its end.  `may_pass`: a conflict. */
void op_again(struct chat_session *s, struct op *op, const struct refusal *refusal);
void op_batch_ended(struct chat_session *s, struct op *op, const struct refusal *refusal);
/* What it had asked to be shown (show_job_add()) or fetched (fetch_range()) is. */
void op_job_done(struct chat_session *s, struct op *op, uint64_t count);
void op_fetched(struct chat_session *s, struct op *op, const struct refusal *refusal);
void op_free(struct chat_session *s, struct op *op); /* without a DONE */
void ops_run(struct chat_session *s);
void ops_on_disconnect(struct chat_session *s);
/* The op's room is there, followed and not at work: its batch may start.  Ends the op where it never will be.
 */
bool op_room_ready(struct chat_session *s, struct op *op);

/* Ends it by what the own roster refused. */
void op_refused(struct chat_session *s, struct op *op, const struct refusal *refusal, const char *mend);
/* The room, or NULL, and then done has ended. */
struct room *op_room(struct chat_session *s, struct chat_event *done, const struct digest *room_id);
/* The one of that name; a reader before others.  NULL: never in this room. */
const struct roster_member *op_find_member(const struct room *room, const struct account_name *account);
/* A card that the server gave for an account: well signed, of this account and server. */
bool op_card_good(const struct chat_session *s, const struct account_name *account, struct bytes wire);

#define ROOM_NAME_RULE                                                                                       \
	"A room's name has 1 to 64 characters, no control characters, and no space at its ends."

/* ---- op_invite.c: invitations that wait for an identity ---- */

void invites_resume(struct chat_session *s); /* all of them, after a login */
/* The account has an identity now. */
void invites_card_published(struct chat_session *s, const struct account_name *account);

/* ---- batches ---- */

enum batch_state {
	BATCH_WRAPPING,
	BATCH_READY, /* a create that has to be posted again */
	BATCH_POSTING
};

struct batch {
	TAILQ_ENTRY(batch) link;
	enum batch_state state;
	struct op *op;     /* whose; NULL: a rekey for the room's own sake */
	struct room *room; /* NULL: a create */
	struct digest room_id;
	struct buf wires; /* of all events, one behind the other */
	size_t ends[POST_EVENTS_MAX];
	uint32_t count;
	bool rekeys;
	bool voluntary;
	struct epoch_key key; /* secret */
	struct epoch_context context;
	struct digest commitment, wraps_hash;
	struct log_head seen;
	struct buf info; /* the encoded RoomInfo */
	uint8_t *wraps;  /* owned */
	uint32_t wrap_count;
	uint64_t work_id;
	struct digest epoch_id; /* of its rekey, once it is built */
};

/* What is to be posted, by oneself.  after, seen, actor and room are filled in by batch_start(). */
struct batch_plan {
	struct event *drafts;
	uint32_t count;
	bool rekey; /* one at the end */
	bool voluntary;
	struct bytes name, topic; /* for the box: RoomInfo with these */
};

/*
 * Judges the plan by the room's roster (a create's by an empty one) and starts it.  A refusal is as the
 * server's would be, and nothing was started.  The end is told to op (type->batch_ended), or to the room
 * (rekey.c).
 */
struct refusal batch_start(struct chat_session *s, struct room *room, struct op *op,
    const struct batch_plan *plan, struct batch **ret);
/* Posts the same once more, after a lost connection: for a create, whose room must not be made twice. */
void batch_repost(struct chat_session *s, struct batch *batch);
void batch_wrapped(struct chat_session *s, struct work *work);
void batch_free(struct chat_session *s, struct batch *batch);

/* The most readers that a room may have after the plan; more is `limit`. */
#define STAGE_CHUNK_WRAPS (512 * 1024 / WRAP_BYTES)

#endif
