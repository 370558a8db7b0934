/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_STAGING_H
#define SERVER_STAGING_H

/*
 * The wraps that a connection has sent up for a rekey that is still to come: sets named by their wraps_hash,
 * filled in pieces, believed only once the hash over all of them is right (chat-protocol(7), Epochs, wraps).
 *
 * A set stays until it ends by its time or by staging_forget(), so that a rekey whose fate is not known can
 * be sent again. One too many pushes the oldest out.
 *
 * Threads: those of its loop.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "proto/limits.h"
#include "server/command.h"

struct staged_set;

/* Zero-initialised it is empty. */
struct staging {
	struct staged_set *sets[STAGED_WRAPS_PER_CONN]; /* the oldest first */
};

/*
 * Wraps [first, first + n) of the `count` that wraps_hash names; the request was checked: first + n <= count,
 * n > 0, whole wraps.  CHAT_ERR_CONFLICT: the set was begun with another count.  CHAT_ERR_BAD_WRAPS: it is
 * complete now, and it is not what the hash says; the set is gone.  CHAT_ERR_NOMEM.
 */
enum chat_err staging_put(struct staging *staging, const struct digest *wraps_hash, uint32_t count,
    uint32_t first, struct bytes wraps, uint64_t expires_ms) MUST_USE;
/* A copy of the set of that name, the caller's to free with wrap_set_free_list().  CHAT_ERR_NOT_FOUND: there
 * is none, or it is not complete.  CHAT_ERR_NOMEM. */
enum chat_err
staging_copy(const struct staging *staging, const struct digest *wraps_hash, struct wrap_set **ret) MUST_USE;
/* The request with this id uses the set: once it is answered well, staging_posted() ends it. */
void staging_use(struct staging *staging, const struct digest *wraps_hash, uint64_t request_id);
void staging_posted(struct staging *staging, uint64_t request_id);

/* When the first set ends by its time; NEVER_MS if there is none.  And: ends those whose time has come. */
uint64_t staging_next_ms(const struct staging *staging);
void staging_expire(struct staging *staging, uint64_t now_ms);
void staging_fini(struct staging *staging);

#endif
