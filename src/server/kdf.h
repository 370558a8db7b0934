/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_KDF_H
#define SERVER_KDF_H

/*
 * The kdf pool: the threads on which passwords are hashed, verified and changed, so that no loop ever waits
 * 14 ms.  It alone runs crypt_rn.  The queue is bounded; what does not fit is refused before any hash.
 *
 * A verification runs exactly one hash, whatever the reason of a refusal.  When a failure is answered is its
 * asker's business.
 *
 * Threads: kdf_put() and the counts on any; the others on the owner's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "accounts/passwd_file.h"
#include "accounts/passwd_hash.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "group/identity.h"
#include "net/mailbox.h"
#include "server/conn_ref.h"

struct kdf;

struct kdf_job {
	struct mail mail;
	/* what is asked */
	struct conn_ref conn;
	uint64_t request_id;
	struct passwd_table *table; /* a reference, owned: the one in force when it was asked */
	struct account_name account;
	uint8_t password[PASSWD_PASSWORD_MAX_BYTES];
	uint8_t new_password[PASSWD_PASSWORD_MAX_BYTES];
	uint16_t password_len;
	uint16_t new_password_len; /* 0: only verify */
	/* What came of it.  Not right: nothing was changed. */
	enum passwd_verdict verdict;
	enum chat_err err;     /* of a change; CHAT_ERR_SHUTDOWN: nothing was done */
	struct digest proof;   /* right: SHA-256 of the hash field, the new one after a change */
	struct passwd_why why; /* of err, for the log */
};

/* The passwords are 1 to PASSWD_PASSWORD_MAX_BYTES long (asserted); new_password may be empty.  NULL: out of
 * memory. */
struct kdf_job *kdf_job_new(struct conn_ref conn, uint64_t request_id, struct passwd_table *table,
    const struct account_name *account, struct bytes password, struct bytes new_password) MUST_USE;
void kdf_job_free(struct kdf_job *job); /* overwrites it; NULL is allowed */

/* The proof that goes with an account's entry. */
struct digest kdf_proof_of(const struct passwd_entry *entry);

struct kdf_config {
	const char *passwd_path; /* copied */
	unsigned thread_count;
	uint32_t queue_max;
	struct mailbox *const
	    *loops; /* borrowed, by conn_ref.loop: where jobs go back to, as LOOP_MAIL_KDF */
	uint16_t loop_count;
};

/* Threads run.  CHAT_ERR_NOMEM, CHAT_ERR_CRYPTO, CHAT_ERR_IO with errno set. */
enum chat_err kdf_start(const struct kdf_config *config, struct kdf **ret) MUST_USE;
/* Takes the job over.  CHAT_ERR_BUSY, CHAT_ERR_CLOSED: it is the caller's still. */
enum chat_err kdf_put(struct kdf *kdf, struct kdf_job *job) MUST_USE;
/* Ends the threads after what they are at; jobs that nobody began go back with CHAT_ERR_SHUTDOWN. */
void kdf_stop(struct kdf *kdf);
void kdf_free(struct kdf *kdf); /* stopped; NULL is allowed */

uint64_t kdf_hash_count(const struct kdf *kdf); /* hashes run so far */
size_t kdf_waiting(struct kdf *kdf);

#endif
