/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_RECOVERY_H
#define GROUP_RECOVERY_H

/*
 * The recovery blob: an identity's root, sealed under a code of 128 random bits that the user writes down,
 * for the server to keep (chat-protocol(7), Identity).
 *
 * Threads: any.  Codes and roots are secrets: the caller overwrites its copies.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "group/identity.h"

#define RECOVERY_CODE_BYTES 16
#define RECOVERY_KEY_BYTES  32
#define RECOVERY_BLOB_BYTES (1 + AEAD_NONCE_BYTES + ED25519_SEED_BYTES + BAG_KEY_BYTES + AEAD_TAG_BYTES)

struct recovery_code {
	uint8_t b[RECOVERY_CODE_BYTES];
};

void recovery_code_generate(const struct random_source *random, struct recovery_code *ret);

/* 26 characters of base32 (RFC 4648), a hyphen after every 4th, and a NUL. */
#define RECOVERY_CODE_CHARS 32
void recovery_code_format(const struct recovery_code *code, char ret[static RECOVERY_CODE_CHARS + 1]);

/* Reads what a person typed: case, spaces and hyphens do not count.  CHAT_ERR_MALFORMED, *ret untouched. */
enum chat_err recovery_code_parse(struct bytes text, struct recovery_code *ret) MUST_USE;

/* The key that the code gives, for the worked examples; the two functions below derive it themselves. */
void recovery_key(const struct recovery_code *code, const struct realm *realm,
    const struct account_name *account, uint8_t ret_key[static RECOVERY_KEY_BYTES]);

/* The 12 bytes of the nonce come from `random`. */
void recovery_seal(const struct recovery_code *code, const struct identity *identity,
    const struct random_source *random, uint8_t ret_blob[static RECOVERY_BLOB_BYTES]);

/*
 * Opens a blob for the identity with this public key.  CHAT_ERR_UNSUPPORTED: another version.
 * CHAT_ERR_MALFORMED: another length.  CHAT_ERR_CANNOT_OPEN: another code, realm, account or key, or other
 * bytes; *ret untouched.
 */
enum chat_err
recovery_open(const struct recovery_code *code, const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES], struct bytes blob, struct identity_root *ret) MUST_USE;

#endif
