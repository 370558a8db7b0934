/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

/*
 * One TLS connection on its loop: bytes in and out, its life and its deadlines.  What requests mean is
 * session.h's.
 *
 *   conn.c      state: what is waited for, until when; the beginning and the end
 *   conn_io.c   the handshake, frames in, frames out
 *
 * An idle connection has no buffers: what came of a frame that is not whole yet is kept only meanwhile, and
 * the queue out is empty.
 *
 * Threads: those of its loop.  Across threads a connection is a struct conn_ref.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "group/identity.h"
#include "net/addr.h"
#include "net/loop.h"
#include "proto/limits.h"
#include "proto/requests.h"
#include "server/conn_ref.h"
#include "server/frame_ref.h"
#include "server/outq.h"
#include "server/staging.h"

struct close_mail;
struct loop_thread;
struct sub;
struct tls_conn;

enum conn_state {
	CONN_HANDSHAKE,
	CONN_OPEN,    /* see phase */
	CONN_CLOSING, /* sends what is queued, then close_notify; reads nothing */
	CONN_LINGER,  /* all was sent; waits for the peer's end, so that nothing of it is lost on the way */
	CONN_GONE,    /* its struct is freed at the end of the turn */
};

/* A login, or a change of password, that is under way. */
enum login_kind { LOGIN_NONE, LOGIN_PASSWORD, LOGIN_KEY, LOGIN_CHANGE };
struct login_attempt {
	enum login_kind kind;
	bool counted; /* among those of its address */
	uint64_t request_id;
	uint64_t received_ms;
	uint64_t refuse_ms; /* it failed, and this is when that is said; else NEVER_MS */
};

/* A read of stored entries that is under way for a subscription. */
struct range_read {
	uint64_t serial; /* 0: none */
	struct sub *sub; /* NULL: it has ended meanwhile */
};

struct conn {
	struct loop_thread *lt;
	struct tls_conn *tls; /* owned */
	int fd;               /* owned */
	struct conn_ref ref;
	struct net_addr peer;
	TAILQ_ENTRY(conn) link;
	TAILQ_ENTRY(conn) handshake_link;

	/* state */
	enum conn_state state;
	enum phase phase;
	bool handshake_queued;
	bool wants_write;              /* the handshake, or a read, has to write first */
	struct close_mail *close_mail; /* owned; the engine knows of it, and is told of its end with this */
	uint64_t opened_ms;
	uint64_t since_ms; /* in this state and phase */
	uint64_t heard_ms; /* the peer was last heard, or took bytes while it was not read */
	const char *why;   /* it is being closed; static storage */
	struct wheel_timer timer;
	struct loop_fd lfd;
	struct loop_task flush_task; /* at the end of this turn */
	struct loop_task again_task; /* in the next one */

	/* in */
	struct buf in;      /* of a frame that is not whole yet, or was not taken yet */
	bool stalled;       /* there is something in it that was not taken, because of what is under way */
	uint32_t under_way; /* requests that are not answered yet */
	uint64_t read_ids[ANSWER_READS_PER_CONN]; /* those of them that readers answer; 0: none */
	int64_t units;                            /* of requests_cost() that are left */
	uint64_t units_ms;                        /* when they were counted */

	/* out */
	struct outq out;
	bool choked; /* the queue was above its high mark, and is not yet below its low one */

	/* who: after a password or a login */
	struct account_name account;
	char account_id[17];
	struct digest member_id; /* in PHASE_READY */
	union {
		struct digest proof;             /* in PHASE_PASSWORD */
		uint8_t ed_pk[ED25519_PK_BYTES]; /* in PHASE_READY */
	};
	struct login_attempt login;
	struct staging staging;

	/* subscriptions: sub.h */
	LIST_HEAD(, sub) subs;
	TAILQ_HEAD(, sub) wanting; /* a read, for which it is not their turn yet */
	struct range_read range_reads[RANGE_READS_PER_CONN];
	uint64_t range_retry_ms; /* a read failed: none before this; 0: now */
};

/* Takes fd over, also where it fails (which is logged): connection_ended is then called. */
void conn_open(struct loop_thread *lt, int fd, const struct net_addr *peer);
/* Ends it at once.  `why` (static) is for the log, unless a reason was given before.  The struct lives until
 * the end of the turn, in CONN_GONE. */
void conn_drop(struct conn *c, const char *why);
/* Says Goodbye, sends what is queued, closes.  Nothing more is read.  text may be NULL. */
void conn_goodbye(
    struct conn *c, enum chat_err reason, const char *text, uint64_t retry_after_ms, const char *why);
/* The peer broke the protocol: answers with the error, where `id` is not known 0, then says goodbye. */
void conn_fault(struct conn *c, uint64_t id, const char *request, enum chat_err err, const char *text);
void conn_set_phase(struct conn *c, enum phase phase);

/* Queues a frame; takes the reference over.  Nothing is sent before the end of the turn.  Out of memory, and
 * a queue above OUTBUF_CLOSE_BYTES, end the connection. */
void conn_send(struct conn *c, struct frame_ref *frame);
/* True if a subscription may queue more. */
bool conn_has_room(const struct conn *c);
/* Something changed that decides what is waited for, read or written: looked at once, at the end of the turn.
 */
void conn_touch(struct conn *c);

/* A request was answered, or will never be; id as it was asked. */
void conn_request_done(struct conn *c, uint64_t id);

/* ---- between conn.c and conn_io.c ---- */

/* Works out deadline and poll interest anew. */
void conn_update(struct conn *c);
void conn_change_state(struct conn *c, enum conn_state state);
/* May another request be taken now? */
bool conn_may_take(const struct conn *c);
void conn_on_fd(struct loop *loop, struct loop_fd *lfd, uint32_t events);
void conn_on_flush(struct loop *loop, struct loop_task *task);
void conn_on_handshakes(struct loop *loop, struct loop_task *task);
/* How long until the cost of what was asked for is paid; 0: it is. */
uint64_t conn_throttle_ms(const struct conn *c);

#endif
