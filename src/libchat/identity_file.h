/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_IDENTITY_FILE_H
#define LIBCHAT_IDENTITY_FILE_H

/*
 * An identity in a file under a passphrase, to take it to another machine: its root, and which server it is
 * of, with the server's pin.  Rooms, RSA keys and the log are not in it: the other machine fetches them from
 * the server.
 *
 *     file   = u8 1 || u8 cost || salt[16] || nonce[12] || AES-256-GCM(key, nonce, aad = D("identity-file")
 * || the 30 bytes before, body) || tag[16] body   = realm[16] || ed_seed[32] || bag_key[32] || u64
 * bag_version || str8 account || str8 host || u16 port
 *              || u8 has_pin (0 or 1) || pin[32] (zeros without)
 *     key    = HKDF(yescrypt, salt, D("identity-file"), 32), where yescrypt is the whole text that crypt(5)
 * gives for the passphrase under the scheme $y$ with this cost (1 to 11: 1 MiB to 1 GiB) and salt
 *
 * Integers, str8, D and HKDF as in chat-protocol(7).
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/random.h"
#include "group/identity.h"
#include "libchat/server_name.h"

#define IDENTITY_FILE_COST     7 /* 64 MiB and 50 ms: four times what the server takes for a password */
#define IDENTITY_FILE_COST_MAX 11
#define IDENTITY_FILE_MAX      4096 /* bytes; the longest has 570 */
#define PASSPHRASE_MAX_BYTES   511  /* crypt(5): CRYPT_MAX_PASSPHRASE_SIZE less the NUL */

struct identity_export {
	struct realm realm;
	struct identity_root root; /* secret */
	uint64_t bag_version;
	struct account_name account;
	struct server_name server;
	bool has_pin;
	struct digest pin;
};

void identity_export_fini(struct identity_export *id); /* overwrites it */

/* Appends the file's bytes to ret.  CHAT_ERR_INVALID: the passphrase is empty, too long, or holds a NUL;
 * CHAT_ERR_CRYPTO: libcrypt could not (as when its memory cannot be had); CHAT_ERR_NOMEM. */
enum chat_err identity_file_seal(const struct identity_export *id, struct bytes passphrase, unsigned cost,
    const struct random_source *random, struct buf *ret) MUST_USE;

/* The reverse.  CHAT_ERR_CANNOT_OPEN: another passphrase, or other bytes; CHAT_ERR_NEWER: another version;
 * the others as above.  *ret is untouched then; its _fini() otherwise. */
enum chat_err
identity_file_open(struct bytes file, struct bytes passphrase, struct identity_export *ret) MUST_USE;

/* Writes a file that is not there yet, 0600, synced.  CHAT_ERR_EXISTS, CHAT_ERR_PERMISSION, CHAT_ERR_IO;
 * ret_text as in chat_client_new(). */
enum chat_err identity_file_write(const char *path, struct bytes file, char **ret_text) MUST_USE;
/* Reads it into ret.  CHAT_ERR_NOT_FOUND, CHAT_ERR_PERMISSION, CHAT_ERR_CANNOT_OPEN (too long for one),
 * CHAT_ERR_IO, CHAT_ERR_NOMEM. */
enum chat_err identity_file_read(const char *path, struct buf *ret, char **ret_text) MUST_USE;

#endif
