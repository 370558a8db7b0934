/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_START_H
#define SERVER_START_H

/*
 * What a server needs before its threads run: the state directory and its lock, the password file, the TLS
 * identity, the database.  Whatever is not as it has to be is found before anything is made or changed, as
 * far as it can be found at all, and is one line: what, where, and the mend.
 *
 * Threads: main's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <chat/err.h>

#include "accounts/passwd_why.h"
#include "base/compiler.h"
#include "server/config.h"

struct store;
struct tls_identity;

/* What to do about an error, to be put behind a complaint: "; do this".  A table ends with a NULL. */
struct start_mend {
	enum chat_err err;
	const char *mend;
};
/* "" where the table has none. */
const char *start_mend(const struct start_mend *mends, enum chat_err err);

/* Zero-initialise but for lock_fd = -1. */
struct start {
	int lock_fd; /* held until start_fini() */
	struct tls_identity *identity;
	struct store *store;
	size_t accounts;    /* in the password file */
	bool identity_made; /* now, for the first time or because the certificate was missing */
};

/*
 * Takes the lock if the state directory has one; looks at the directory.  Neither has to exist.
 * CHAT_ERR_LOCKED: another server runs.
 */
enum chat_err
start_lock(const struct config *config, struct start *start, struct passwd_why *ret_why) MUST_USE;
/* Looks without touching at the password file, the TLS identity and the log's place.  None has to exist. */
enum chat_err
start_look(const struct config *config, struct start *start, struct passwd_why *ret_why) MUST_USE;
/* Makes what is missing and opens it.  After these two, with the port already taken. */
enum chat_err
start_open(const struct config *config, struct start *start, struct passwd_why *ret_why) MUST_USE;
/* Gives back in the reverse order, the lock last. */
void start_fini(struct start *start);

/*
 * `chat-server --check`: the password file, the TLS files, and every hash of the database, each a line on
 * standard output.  Changes nothing.  Where a server runs on the database, that is left out and said.
 * ret_why: the first thing that is wrong.
 */
enum chat_err start_check(const struct config *config, struct passwd_why *ret_why) MUST_USE;

#endif
