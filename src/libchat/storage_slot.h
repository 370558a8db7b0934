/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_STORAGE_SLOT_H
#define LIBCHAT_STORAGE_SLOT_H

/*
 * Device slots: several processes of one account share a database, and each has a slot of its own, which has
 * a device id and an outbox.  A slot is held by a lock on slot-N.lock, so that it is free again when its
 * process ends, however it ends.
 *
 * Message counters belong to a device id (chat-protocol(7), Messages).  So a slot that was left is taken as
 * it is, with its device id, and one that has messages sealed, which the server may or may not have, is taken
 * before others: only under its own device id can they be sent again without coming twice.  What a left slot
 * has not sealed yet is moved to the slot of whoever starts.
 *
 * Threads: one at a time.
 */

#include <chat/err.h>

#include "base/compiler.h"
#include "group/seal.h"
#include "libchat/storage_db.h"

#define SLOTS_MAX 64 /* processes of one account on one machine; a server takes 16 sessions */

struct slot {
	unsigned number;
	int lock_fd; /* owned */
	struct device_id device;
};

/* An exclusive lock on a file, made 0600 if missing, waited for up to wait_ms.  CHAT_ERR_LOCKED, CHAT_ERR_IO
 * with errno, CHAT_ERR_NOMEM; *ret_fd is the caller's to close(), which ends the lock. */
enum chat_err slot_lock_file(const char *dir, const char *name, unsigned wait_ms, int *ret_fd) MUST_USE;

/* Takes a slot of the database in dir, and adopts.  CHAT_ERR_LOCKED: all are taken.  CHAT_ERR_IO,
 * CHAT_ERR_CORRUPT, CHAT_ERR_NOMEM; the line is in db->error. */
enum chat_err slot_take(struct db *db, const char *dir, struct slot *ret) MUST_USE;
void slot_leave(struct slot *slot);

enum chat_err slot_renew_device(struct slot *slot, struct db *db) MUST_USE;

#endif
