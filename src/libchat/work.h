/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_WORK_H
#define LIBCHAT_WORK_H

/*
 * Long work: what takes a CPU so long that the thread of the connection must not do it: making an RSA key,
 * wrapping an epoch's key for a room, opening wraps, verifying a long replay.  The session makes an item and
 * goes on; its owner runs it (work_run(), on any thread) and hands it back (session_work_done()).
 *
 *     session_next_work() -> work_run() on a worker's thread -> session_work_done() on the session's
 *
 * An item holds copies of all it needs and touches nothing of the session, so it may still run when the
 * session is gone; then work_free() ends it.  Items may be run in any order and several at once.
 *
 * Threads: an item belongs to one thread at a time.  The random source in it must bear being called on that
 * thread.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/random.h"
#include "crypto/ed25519.h"
#include "crypto/rsa_oaep.h"
#include "group/epoch.h"

enum work_type {
	WORK_KEYGEN, /* one RSA key; 0.1 to 1 s */
	WORK_WRAP,   /* an epoch's key for many members; 31 us each */
	WORK_UNWRAP, /* candidate wraps of one epoch, until one opens; 2.6 ms each */
	WORK_VERIFY, /* signatures; 65 us each */
};

#define WORK_CANDIDATES_MAX 3 /* wraps tried per epoch and reader (chat-protocol(7), Epochs) */

/* One member to wrap for. */
struct work_wrap_target {
	struct wrap_target target;
	uint8_t rsa_n[RSA_BYTES];
};

/* A wrap to try with every key. */
struct work_candidate {
	struct wrap_target target;
	uint8_t wrap[WRAP_BYTES];
	bool listed; /* the rekey's own, not a re-wrap */
};

/* A signature over D(domain) || what. */
struct work_signature {
	const char *domain; /* static storage */
	uint8_t pk[ED25519_PK_BYTES];
	uint8_t sig[ED25519_SIG_BYTES];
	struct bytes what; /* inside the item's `body` */
	bool good;         /* result */
};

struct rsa_key_ref; /* a counted rsa_key: keyring.h */

struct work {
	STAILQ_ENTRY(work) link; /* of whoever holds it */
	enum work_type type;
	uint64_t id;           /* the session's */
	struct digest room_id; /* zero: of no room */
	struct random_source random;
	enum chat_err err; /* result */
	union {
		struct {
			struct rsa_key *key; /* result, owned */
		} keygen;
		struct {
			struct epoch_context context;
			struct digest commitment;
			struct epoch_key key;             /* secret */
			struct work_wrap_target *targets; /* owned */
			uint32_t count;
			uint8_t *wraps;           /* result, owned: count * WRAP_BYTES */
			struct digest wraps_hash; /* result, of the list as it is */
		} wrap;
		struct {
			struct epoch_context context;
			struct digest commitment;
			struct digest epoch_id;
			struct work_candidate candidates[WORK_CANDIDATES_MAX];
			uint32_t count;
			struct rsa_key_ref **keys; /* owned references */
			uint32_t key_count;
			uint32_t opened;      /* result: index of the one that opened, or count */
			struct epoch_key key; /* result, secret */
		} unwrap;
		struct {
			uint8_t *body;                     /* owned */
			struct work_signature *signatures; /* owned */
			uint32_t count;
		} verify;
	};
};

STAILQ_HEAD(work_queue, work);

/* Does it.  The outcome is in err and the fields called results. */
void work_run(struct work *work);
/* Overwrites its secrets; NULL is allowed. */
void work_free(struct work *work);

#endif
