/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_UPKEEP_H
#define SERVER_UPKEEP_H

/*
 * What takes long and no connection waits for: the look at the database after the start, and backups.  One
 * job at a time, each on a thread of its own, over one reader of the store.
 *
 * Threads: the functions are main's; what was done comes to main's mailbox.
 */

#include <chat/err.h>

#include "base/compiler.h"
#include "net/mailbox.h"

struct upkeep;
struct store_reader;

#define UPKEEP_MAIL 0x554bu

enum upkeep_job {
	UPKEEP_CHECK,  /* of the database's structure */
	UPKEEP_BACKUP, /* of all that is committed, to a file */
};

/* A job is done.  The receiver gives it to upkeep_end(). */
struct upkeep_done {
	struct mail mail; /* with the tag UPKEEP_MAIL */
	enum upkeep_job job;
	void *token;
	enum chat_err err;
	char text[512]; /* of a failure: one line; of damage the first thing found; of a backup its path */
};

/* The reader is taken over on success; the mailbox is borrowed.  CHAT_ERR_NOMEM. */
enum chat_err
upkeep_new(struct store_reader *reader, struct mailbox *mailbox, struct upkeep **ret_upkeep) MUST_USE;
/* Waits for the job under way, whose mail is then still in the mailbox.  NULL is allowed. */
void upkeep_free(struct upkeep *upkeep);

/* path: of a backup; copied.  CHAT_ERR_BUSY: another job is under way; CHAT_ERR_NOMEM, CHAT_ERR_IO. */
enum chat_err
upkeep_begin(struct upkeep *upkeep, enum upkeep_job job, const char *path, void *token) MUST_USE;
/* Frees what came; upkeep may be NULL when it has gone already. */
void upkeep_end(struct upkeep *upkeep, struct upkeep_done *done);

#endif
