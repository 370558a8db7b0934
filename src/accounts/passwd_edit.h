/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ACCOUNTS_PASSWD_EDIT_H
#define ACCOUNTS_PASSWD_EDIT_H

/*
 * The password file, rewritten: open (takes the lock, reads), change in memory, commit (replaces the file
 * atomically), free (gives the lock back).  Nothing on disk changes before the commit, and a crash at any
 * moment leaves the old file or the new one.  What a change does not name survives byte for byte: comments,
 * order, spacing, other lines.
 *
 * The lock is flock(2) on the file itself, held from open to free, so that of two writers none loses what the
 * other wrote.  Ask for passwords and hash them before opening.  Readers take no lock.
 *
 * Threads: any; an edit belongs to one thread at a time.  Locks exclude threads of one process as well.
 */

#include <stdbool.h>

#include <chat/err.h>

#include "accounts/passwd_file.h"
#include "base/compiler.h"

struct passwd_edit;

enum passwd_edit_flags {
	PASSWD_EDIT_CREATE = 1 << 0, /* makes the file (0600, empty) where it is missing */
	PASSWD_EDIT_NOWAIT = 1 << 1, /* CHAT_ERR_LOCKED instead of waiting for another writer */
};

/*
 * *ret_why is filled on every failure: what passwd_table_load() says, and CHAT_ERR_LOCKED.  A symbolic link
 * is followed, and what it points to is replaced.  Root may edit a file that belongs to another user, who
 * keeps it.
 */
enum chat_err passwd_edit_open(
    const char *path, unsigned flags, struct passwd_edit **ret_edit, struct passwd_why *ret_why) MUST_USE;

/* Ends the edit and gives the lock back; without a commit nothing has changed.  NULL is fine. */
void passwd_edit_free(struct passwd_edit *edit);

/* The file as it is with the changes made so far.  Borrowed: valid until the next change or free. */
const struct passwd_table *passwd_edit_table(const struct passwd_edit *edit);

/*
 * Changes.  Each checks its arguments, and after a failure the edit is as it was.  Names are NUL-terminated.
 * CHAT_ERR_INVALID: no valid name, or not a hash; CHAT_ERR_NOMEM.
 */

/* Appends a line with a new random id.  CHAT_ERR_EXISTS. */
enum chat_err passwd_edit_add(struct passwd_edit *edit, const char *name, const char *hash) MUST_USE;
/*
 * CHAT_ERR_NOT_FOUND.  With expected_hash (else NULL), CHAT_ERR_CONFLICT if the account's hash is no longer
 * that one: for who verified an old password first.
 */
enum chat_err passwd_edit_set_hash(
    struct passwd_edit *edit, const char *name, const char *hash, const char *expected_hash) MUST_USE;
/* CHAT_ERR_NOT_FOUND, CHAT_ERR_ALREADY: it is as asked. */
enum chat_err passwd_edit_set_locked(struct passwd_edit *edit, const char *name, bool locked) MUST_USE;
/* CHAT_ERR_NOT_FOUND. */
enum chat_err passwd_edit_delete(struct passwd_edit *edit, const char *name) MUST_USE;

/*
 * Replaces the file: a new one beside it (0600, owner and group kept), fsync, rename, fsync of the directory.
 * Once per edit.  CHAT_OK: it is durable.  *ret_why is filled on failure: CHAT_ERR_CONFLICT: somebody wrote
 * to the file without the lock meanwhile, nothing was changed; CHAT_ERR_IO; CHAT_ERR_NOMEM.
 */
enum chat_err passwd_edit_commit(struct passwd_edit *edit, struct passwd_why *ret_why) MUST_USE;

#endif
