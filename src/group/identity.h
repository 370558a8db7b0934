/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_IDENTITY_H
#define GROUP_IDENTITY_H

/*
 * Who somebody is: realm, account name, signing key, and the member id that binds the three; the secret root
 * of an identity; how ids are shown; and the signature that logs in (chat-protocol(7), Identity and Login).
 *
 * Not here: cards (card.h), and where a root is kept.
 *
 * Threads: any.  All structs are plain values without memory of their own; end those with secrets by _fini().
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/account_name.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/random.h"
#include "crypto/ed25519.h"

#define REALM_BYTES       16
#define ACCOUNT_MAX_BYTES ACCOUNT_NAME_MAX_BYTES
#define BAG_KEY_BYTES     32

/* Random bytes made with the server's state directory: one server's accounts are nobody on another. */
struct realm {
	uint8_t b[REALM_BYTES];
};

bool realm_equal(const struct realm *a, const struct realm *b);

/* A valid account name, and a NUL behind it. */
struct account_name {
	uint8_t len;
	char s[ACCOUNT_MAX_BYTES + 1];
};

/* CHAT_ERR_INVALID, *ret untouched, for a name that account_name_valid() refuses. */
enum chat_err account_name_set(struct bytes name, struct account_name *ret) MUST_USE;
struct bytes account_bytes(const struct account_name *name); /* borrowed */
bool account_equal(const struct account_name *a, const struct account_name *b);

/* An Ed25519 key pair: the public half is computed once, for signing needs it every time. */
struct sign_key {
	uint8_t seed[ED25519_SEED_BYTES]; /* secret */
	uint8_t pk[ED25519_PK_BYTES];
};

void sign_key_init(const uint8_t seed[static ED25519_SEED_BYTES], struct sign_key *ret);
void sign_key_fini(struct sign_key *key); /* overwrites it */

/* The secret root of an identity: all that has to be kept, and it never changes. */
struct identity_root {
	uint8_t ed_seed[ED25519_SEED_BYTES];
	uint8_t bag_key[BAG_KEY_BYTES];
};

void identity_root_generate(const struct random_source *random, struct identity_root *ret);
void identity_root_fini(struct identity_root *root); /* overwrites it */

/* A root at work: with its place (realm and account) and what follows from both. */
struct identity {
	struct sign_key sign;
	uint8_t bag_key[BAG_KEY_BYTES];
	struct realm realm;
	struct account_name account;
	struct digest member_id;
};

void identity_init(const struct identity_root *root, const struct realm *realm,
    const struct account_name *account, struct identity *ret);
void identity_fini(struct identity *identity); /* overwrites it */

/*
 * The member id.  The preimage, which begins with D("member"), is for worked examples; it is
 * MEMBER_PREIMAGE_MAX bytes at most, and its length is returned.
 */
#define MEMBER_PREIMAGE_MAX (22 + REALM_BYTES + 1 + ACCOUNT_MAX_BYTES + ED25519_PK_BYTES)
struct digest member_id_of(const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES]);
size_t member_id_preimage(const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES], uint8_t ret[static MEMBER_PREIMAGE_MAX]);

/* An id or a log hash to be read aloud: 8 groups of 5 digits with a space between, and a NUL. */
#define DIGITS_CHARS 47
void digest_digits(const struct digest *d, char ret[static DIGITS_CHARS + 1]);

/* The text of a member's QR code, "secure-chat:1:" and base64url without padding, and a NUL. */
#define MEMBER_QR_CHARS 57
void member_id_qr(const struct digest *member_id, char ret[static MEMBER_QR_CHARS + 1]);

/* What a login signs: who, where, and the connection it is for. */
enum login_binding {
	LOGIN_BINDING_TLS_EXPORTER = 1, /* RFC 9266; native clients use and accept only this */
	LOGIN_BINDING_ORIGIN = 2,       /* login_origin_binding(); kept for browsers */
};

#define LOGIN_BINDING_BYTES   32
#define LOGIN_CHALLENGE_BYTES 32

struct login {
	uint8_t binding_type; /* enum login_binding, or what came */
	struct realm realm;
	struct account_name account;
	struct digest member_id;
	uint8_t binding[LOGIN_BINDING_BYTES];
};

/* The bytes under the signature, without D("login"); their length is returned. */
#define LOGIN_SIGNED_MAX (1 + REALM_BYTES + 1 + ACCOUNT_MAX_BYTES + DIGEST_BYTES + LOGIN_BINDING_BYTES)
size_t login_signed(const struct login *login, uint8_t ret[static LOGIN_SIGNED_MAX]);

/* binding_type is one of the two (asserted). */
void
login_sign(const struct sign_key *key, const struct login *login, uint8_t ret_sig[static ED25519_SIG_BYTES]);

/* CHAT_ERR_UNSUPPORTED for another binding type; CHAT_ERR_BAD_SIGNATURE.  The caller puts its own realm,
 * member id and binding in `login`, never the peer's word. */
enum chat_err login_verify(const uint8_t ed_pk[static ED25519_PK_BYTES], const struct login *login,
    const uint8_t sig[static ED25519_SIG_BYTES]) MUST_USE;

/* The binding of type 2.  CHAT_ERR_RANGE if origin is longer than 65,535 bytes. */
enum chat_err login_origin_binding(struct bytes origin, const uint8_t challenge[static LOGIN_CHALLENGE_BYTES],
    uint8_t ret_binding[static LOGIN_BINDING_BYTES]) MUST_USE;

#endif
