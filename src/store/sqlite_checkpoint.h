/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_SQLITE_CHECKPOINT_H
#define STORE_SQLITE_CHECKPOINT_H

/*
 * Keeps the write-ahead log small.  Above a limit a thread of its own copies the log into the database while
 * the writer goes on (PASSIVE); then the writer, between turns, copies the little that came since and makes
 * the log begin anew (RESTART).  PASSIVE alone never lets it begin anew under load.
 *
 * Threads: everything here is called by the writer's, but sq_checkpoint_congested(), by any.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/sqlite_conn.h"
#include "store/store.h"

enum sq_checkpoint_state {
	SQ_CHECKPOINT_IDLE,
	SQ_CHECKPOINT_ASKED, /* the thread's turn */
	SQ_CHECKPOINT_READY, /* the writer's turn */
};

struct sq_checkpoint {
	uint64_t limit_bytes;       /* immutable after start */
	uint64_t congested_bytes;   /* immutable after start */
	uint64_t next_bytes;        /* owner: writer; when to ask again */
	_Atomic uint64_t wal_bytes; /* written by the writer */
	_Atomic enum sq_checkpoint_state state;
	struct sq_conn conn;           /* owner: the thread */
	char error[STORE_ERROR_BYTES]; /* owner: the thread */
	pthread_mutex_t checkpoint_mtx;
	pthread_cond_t wake;
	bool stop; /* lock: checkpoint_mtx */
	bool started;
	pthread_t thread;
};

/* *checkpoint is zeros, but for the two limits.  Holds nothing after a failure. */
enum chat_err sq_checkpoint_start(
    struct sq_checkpoint *checkpoint, const char *path, const char *vfs, char *error) MUST_USE;
void sq_checkpoint_stop(struct sq_checkpoint *checkpoint); /* also where it was not started */

/* The log's size after a commit. */
void sq_checkpoint_note(struct sq_checkpoint *checkpoint, uint64_t wal_bytes);
/* store_maintain() */
void sq_checkpoint_step(struct sq_checkpoint *checkpoint, struct sq_conn *writer);
bool sq_checkpoint_congested(const struct sq_checkpoint *checkpoint);

#endif
