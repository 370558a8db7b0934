/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_LOOP_THREAD_H
#define SERVER_LOOP_THREAD_H

/*
 * One loop of the server and its thread: the connections that live and die there, what they share, and the
 * mail that comes for them from main, the engine, readers and kdf threads.
 *
 * Threads: each group of fields says.  The functions belong to the loop's thread, but for those of the owner
 * (server.c).
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <chat/err.h>

#include "accounts/passwd_file.h"
#include "base/arena.h"
#include "base/compiler.h"
#include "base/map.h"
#include "net/addr.h"
#include "net/loop.h"
#include "server/command.h"
#include "server/conn_ref.h"
#include "server/outq.h"
#include "server/server_limits.h"
#include "tls/tls.h"

struct conn;
struct engine_thread;
struct kdf;
struct login_delay;
struct readers;
struct store;
struct tls_identity;

/* What all loops use.  Immutable once they run; all of it is borrowed. */
struct loop_shared {
	struct engine_thread *engine;
	struct readers *readers;
	struct kdf *kdf;
	struct login_delay *login_delay;
	struct passwd_watch *watch;
	struct tls_identity *identity;
	struct store *store; /* for store_realm() and store_is_congested() */
	const char *software;
	uint32_t slot_count;
	void (*connection_ended)(void *ctx, const struct net_addr *peer); /* may be NULL */
	void *ctx;
};

struct conn_slot {
	struct conn *conn;   /* NULL: free */
	uint32_t generation; /* of the connection that is or was last there; never 0 */
	uint32_t next_free;
};

struct loop_thread {
	/* immutable after start */
	const struct loop_shared *shared;
	struct loop *loop;
	uint16_t index;
	pthread_t thread;
	bool started; /* owner: server */

	/* any thread */
	_Atomic uint32_t conn_count; /* also those on their way here */

	/* owner: loop */
	struct server_limits *limits; /* a reference */
	struct passwd_table *table;   /* a reference; what this loop last saw in force */
	struct conn_slot *slots;
	uint32_t first_free;
	TAILQ_HEAD(conns_head, conn) conns;
	TAILQ_HEAD(, conn) handshakes; /* that have a step to do */
	struct loop_task handshake_task;
	struct map sub_rooms; /* room_no -> struct sub_room, see sub.h */
	uint64_t sub_serial;
	struct outq_pool outq_pool;
	struct arena arena; /* for decoding, one frame at a time */
	struct tls_readahead readahead;
	uint8_t *in;                   /* LOOP_IN_BYTES, for one tls_read() */
	uint8_t *out;                  /* OUT_GATHER_BYTES, for one tls_write() */
	struct wheel_timer look_timer; /* of the loop that watches the password file */
	struct wheel_timer finish_timer;
	bool quiet;     /* no more requests are read */
	bool finishing; /* it ends when the last connection is gone */
};

#define LOOP_IN_BYTES        (64 * 1024)
#define LOOP_READAHEAD_BYTES (64 * 1024)
#define LOOK_INTERVAL_MS     500 /* so that what the password file says is in force within a second */

/* Owner.  The mailbox works from now on.  CHAT_ERR_NOMEM, CHAT_ERR_IO with errno set. */
enum chat_err loop_thread_new(const struct loop_shared *shared, uint16_t index, struct server_limits *limits,
    struct loop_thread **ret) MUST_USE;
/* Owner.  The first loop watches the password file.  CHAT_ERR_IO with errno set. */
enum chat_err loop_thread_start(struct loop_thread *lt) MUST_USE;
/* Owner.  Waits until the thread has ended, which LOOP_MAIL_FINISH makes it do. */
void loop_thread_join(struct loop_thread *lt);
/* Owner.  Joined, or never started; NULL is allowed. */
void loop_thread_free(struct loop_thread *lt);

/* NULL: that connection is gone. */
struct conn *loop_thread_conn(const struct loop_thread *lt, struct conn_ref ref);
/* Takes a free slot; false: there is none. */
bool loop_thread_enter(struct loop_thread *lt, struct conn *conn) MUST_USE;
void loop_thread_leave(struct loop_thread *lt, struct conn *conn);

/*
 * Looks at the password file and gives the table in force, borrowed: valid until the next look of this loop.
 * The engine has been told of it before any command that is posted from now on.
 */
const struct passwd_table *loop_thread_look(struct loop_thread *lt);

/* What main waits on until every loop has got so far. */
struct loop_barrier {
	pthread_mutex_t barrier_mtx;
	pthread_cond_t barrier_cond;
	unsigned missing; /* lock: barrier_mtx */
};

#endif
