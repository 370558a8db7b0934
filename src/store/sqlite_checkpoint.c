/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/sqlite_checkpoint.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define CACHE_KIB 256 /* a checkpoint copies page by page and needs none */
/* Reads last a millisecond or so; while a backup lasts, waiting longer would be no use. */
#define RESTART_WAIT_US 10000

static void *
checkpoint_main(void *arg)
{
	struct sq_checkpoint *checkpoint = arg;

	(void)pthread_mutex_lock(&checkpoint->checkpoint_mtx);
	while (!checkpoint->stop) {
		if (atomic_load(&checkpoint->state) != SQ_CHECKPOINT_ASKED) {
			(void)pthread_cond_wait(&checkpoint->wake, &checkpoint->checkpoint_mtx);
			continue;
		}
		(void)pthread_mutex_unlock(&checkpoint->checkpoint_mtx);
		/* Whether it could copy all, some or nothing: RESTART looks again, and reports by the log's
		 * size. */
		(void)sqlite3_wal_checkpoint_v2(
		    checkpoint->conn.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		atomic_store(&checkpoint->state, SQ_CHECKPOINT_READY);
		(void)pthread_mutex_lock(&checkpoint->checkpoint_mtx);
	}
	(void)pthread_mutex_unlock(&checkpoint->checkpoint_mtx);
	return NULL;
}

enum chat_err
sq_checkpoint_start(struct sq_checkpoint *checkpoint, const char *path, const char *vfs, char *error)
{
	sigset_t all, before;
	enum chat_err err;
	int rc;

	/* What is congested has to be mended. */
	if (checkpoint->limit_bytes > checkpoint->congested_bytes)
		checkpoint->limit_bytes = checkpoint->congested_bytes;
	checkpoint->next_bytes = checkpoint->limit_bytes;
	err = sq_conn_open(&checkpoint->conn, path, vfs, SQ_READ_WRITE, CACHE_KIB, checkpoint->error);
	if (err) {
		memcpy(error, checkpoint->error, STORE_ERROR_BYTES);
		return err;
	}
	(void)pthread_mutex_init(&checkpoint->checkpoint_mtx, NULL);
	(void)pthread_cond_init(&checkpoint->wake, NULL);
	/* Signals are for the program's own threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&checkpoint->thread, NULL, checkpoint_main, checkpoint);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		checkpoint->started = true;
		return CHAT_OK;
	}
	(void)pthread_mutex_destroy(&checkpoint->checkpoint_mtx);
	(void)pthread_cond_destroy(&checkpoint->wake);
	sq_conn_close(&checkpoint->conn);
	(void)strlcpy(error, "no thread for checkpoints can be made", STORE_ERROR_BYTES);
	return CHAT_ERR_NOMEM;
}

void
sq_checkpoint_stop(struct sq_checkpoint *checkpoint)
{
	if (!checkpoint->started)
		return;
	(void)pthread_mutex_lock(&checkpoint->checkpoint_mtx);
	checkpoint->stop = true;
	(void)pthread_cond_signal(&checkpoint->wake);
	(void)pthread_mutex_unlock(&checkpoint->checkpoint_mtx);
	(void)pthread_join(checkpoint->thread, NULL);
	(void)pthread_mutex_destroy(&checkpoint->checkpoint_mtx);
	(void)pthread_cond_destroy(&checkpoint->wake);
	sq_conn_close(&checkpoint->conn);
	checkpoint->started = false;
}

void
sq_checkpoint_note(struct sq_checkpoint *checkpoint, uint64_t wal_bytes)
{
	atomic_store_explicit(&checkpoint->wal_bytes, wal_bytes, memory_order_relaxed);
}

bool
sq_checkpoint_congested(const struct sq_checkpoint *checkpoint)
{
	return atomic_load_explicit(&checkpoint->wal_bytes, memory_order_relaxed) >
	       checkpoint->congested_bytes;
}

static void
restart(struct sq_checkpoint *checkpoint, struct sq_conn *writer)
{
	uint64_t wait_us = writer->busy_wait_us;
	int rc;

	writer->busy_wait_us = RESTART_WAIT_US;
	rc = sqlite3_wal_checkpoint_v2(writer->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	writer->busy_wait_us = wait_us;
	if (rc == SQLITE_OK) {
		sq_checkpoint_note(checkpoint, 0);
		checkpoint->next_bytes = checkpoint->limit_bytes;
	} else {
		/* A long read, or a full disk.  Not at every turn again, unless there is nothing else to do.
		 */
		uint64_t next = atomic_load(&checkpoint->wal_bytes) + checkpoint->limit_bytes / 4;

		checkpoint->next_bytes =
		    next < checkpoint->congested_bytes ? next : checkpoint->congested_bytes;
	}
}

void
sq_checkpoint_step(struct sq_checkpoint *checkpoint, struct sq_conn *writer)
{
	enum sq_checkpoint_state state = atomic_load(&checkpoint->state);

	if (state == SQ_CHECKPOINT_READY) {
		restart(checkpoint, writer);
		atomic_store(&checkpoint->state, SQ_CHECKPOINT_IDLE);
	} else if (state == SQ_CHECKPOINT_IDLE &&
		   atomic_load(&checkpoint->wal_bytes) >= checkpoint->next_bytes) {
		(void)pthread_mutex_lock(&checkpoint->checkpoint_mtx);
		atomic_store(&checkpoint->state, SQ_CHECKPOINT_ASKED);
		(void)pthread_cond_signal(&checkpoint->wake);
		(void)pthread_mutex_unlock(&checkpoint->checkpoint_mtx);
	}
}
