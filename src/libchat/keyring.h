/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_KEYRING_H
#define LIBCHAT_KEYRING_H

/*
 * The RSA private keys of the own identity, as the bag holds them: the newest last.
 *
 * Each key is counted, for work items on other threads hold some too; what they do with one only reads it.
 *
 * Threads: the keyring's owner's; references may be given back on any thread.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "crypto/rsa_oaep.h"
#include "group/bag.h"

struct rsa_key_ref {
	_Atomic uint32_t refs;
	struct rsa_key *key;  /* owned */
	uint8_t n[RSA_BYTES]; /* its modulus, as in cards */
};

/* Takes key over, also on failure.  One reference.  NULL: out of memory. */
struct rsa_key_ref *rsa_key_ref_new(struct rsa_key *key) MUST_USE;
struct rsa_key_ref *rsa_key_ref_ref(struct rsa_key_ref *ref);
void rsa_key_ref_unref(struct rsa_key_ref *ref); /* NULL is allowed */

#define KEYRING_MAX 16 /* a bag of BAG_MAX_BYTES holds 7 */

struct keyring {
	struct rsa_key_ref *keys[KEYRING_MAX]; /* owned references; the newest last */
	uint32_t count;
};

void keyring_fini(struct keyring *ring); /* empty afterwards */
/* CHAT_ERR_NOMEM; CHAT_ERR_MALFORMED: a key that is none of ours; the ring is as it was then. */
enum chat_err keyring_load(struct keyring *ring, const struct bag *bag) MUST_USE;

#endif
