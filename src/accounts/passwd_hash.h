/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ACCOUNTS_PASSWD_HASH_H
#define ACCOUNTS_PASSWD_HASH_H

/*
 * Password hashes: making them (yescrypt, libcrypt's default cost: 14 ms and 16 MiB) and verifying them
 * (whatever scheme crypt(5) names).  A hasher holds the 32 KiB that libcrypt works in, and counts.
 *
 * Verifying runs exactly one hash whatever the reason of a refusal: for an unknown account the one that a new
 * account would have.  It does not hide how long that took: hashes of other tools cost what they cost, and
 * the server answers failures at a fixed time.
 *
 * Threads: any; a hasher belongs to one thread at a time (each kdf thread owns one).
 */

#include <stdint.h>

#include <chat/err.h>

#include "accounts/passwd_file.h"
#include "base/bytes.h"
#include "base/compiler.h"

#define PASSWD_PASSWORD_MAX_BYTES 511 /* CRYPT_MAX_PASSPHRASE_SIZE less the NUL */
#define PASSWD_HASH_MAX_BYTES     384 /* CRYPT_OUTPUT_SIZE: with the final NUL */

/*
 * Whether a password may be set: 1 to 511 bytes of UTF-8 without control characters.  CHAT_ERR_INVALID
 * (empty, not UTF-8, or with a control character), CHAT_ERR_TOO_LONG.  Verifying does not ask this: an old
 * password is right if it is right.
 */
enum chat_err passwd_password_check(struct bytes password) MUST_USE;

struct passwd_hasher;

/* CHAT_ERR_NOMEM; CHAT_ERR_CRYPTO if this libcrypt has no yescrypt. */
enum chat_err passwd_hasher_new(struct passwd_hasher **ret_hasher) MUST_USE;
void passwd_hasher_free(struct passwd_hasher *hasher); /* wipes it; NULL is fine */

/* How many hashes were computed so far: one for each call below that got that far. */
uint64_t passwd_hasher_count(const struct passwd_hasher *hasher);

/*
 * Hashes a new password with a new salt.  What passwd_password_check() says; CHAT_ERR_CRYPTO: libcrypt
 * failed, as it does when its 16 MiB cannot be had.
 */
enum chat_err passwd_hash(struct passwd_hasher *hasher, struct bytes password,
    char ret_hash[static PASSWD_HASH_MAX_BYTES]) MUST_USE;

/* The reason is for the log and for chat-passwd(1); a client is told only "refused". */
enum passwd_verdict {
	PASSWD_RIGHT,
	PASSWD_WRONG,
	PASSWD_LOCKED,     /* the account is locked; whether the password was right is not said */
	PASSWD_NO_ACCOUNT, /* entry was NULL */
	PASSWD_FAILED,     /* libcrypt could not compute it (out of memory): neither right nor wrong */
};

/*
 * entry: borrowed for the call; NULL for an account that does not exist.  Any bytes may be given as the
 * password. Compares in constant time.
 */
enum passwd_verdict
passwd_verify(struct passwd_hasher *hasher, const struct passwd_entry *entry, struct bytes password) MUST_USE;

/* Static storage, as "wrong_password", for the log. */
const char *passwd_verdict_name(enum passwd_verdict verdict);

/*
 * What is wrong with the hash field of a line, as a clause ("is empty"), or NULL where it is a whole hash of
 * a scheme that this libcrypt knows.  Static storage.  The parser asks it; nothing is computed.
 */
const char *passwd_hash_field_fault(const char *hash);

/* The name of the scheme as in crypt(5), "yescrypt"; "other" for one that came after this was written. Static
 * storage. */
const char *passwd_hash_scheme(const char *hash);

#endif
