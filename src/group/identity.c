/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/identity.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"

bool
realm_equal(const struct realm *a, const struct realm *b)
{
	return memcmp(a->b, b->b, REALM_BYTES) == 0;
}

enum chat_err
account_name_set(struct bytes name, struct account_name *ret)
{
	if (!account_name_valid(name))
		return CHAT_ERR_INVALID;
	*ret = (struct account_name){.len = (uint8_t)name.len};
	memcpy(ret->s, name.data, name.len);
	return CHAT_OK;
}

struct bytes
account_bytes(const struct account_name *name)
{
	return BYTES(name->s, name->len);
}

bool
account_equal(const struct account_name *a, const struct account_name *b)
{
	return bytes_equal(account_bytes(a), account_bytes(b));
}

void
sign_key_init(const uint8_t seed[static ED25519_SEED_BYTES], struct sign_key *ret)
{
	memcpy(ret->seed, seed, ED25519_SEED_BYTES);
	ed25519_public_key(seed, ret->pk);
}

void
sign_key_fini(struct sign_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

void
identity_root_generate(const struct random_source *random, struct identity_root *ret)
{
	random->fill(random->ctx, ret->ed_seed, sizeof(ret->ed_seed));
	random->fill(random->ctx, ret->bag_key, sizeof(ret->bag_key));
}

void
identity_root_fini(struct identity_root *root)
{
	explicit_bzero(root, sizeof(*root));
}

void
identity_init(const struct identity_root *root, const struct realm *realm, const struct account_name *account,
    struct identity *ret)
{
	sign_key_init(root->ed_seed, &ret->sign);
	memcpy(ret->bag_key, root->bag_key, BAG_KEY_BYTES);
	ret->realm = *realm;
	ret->account = *account;
	ret->member_id = member_id_of(realm, account, ret->sign.pk);
}

void
identity_fini(struct identity *identity)
{
	explicit_bzero(identity, sizeof(*identity));
}

size_t
member_id_preimage(const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES], uint8_t ret[static MEMBER_PREIMAGE_MAX])
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct writer wr;

	wr_init(&wr, ret, MEMBER_PREIMAGE_MAX);
	wr_bytes(&wr, domain, domain_put("member", domain));
	wr_bytes(&wr, realm->b, REALM_BYTES);
	wr_str8(&wr, account_bytes(account));
	wr_bytes(&wr, ed_pk, ED25519_PK_BYTES);
	assert(wr_done(&wr));
	return wr.len;
}

struct digest
member_id_of(const struct realm *realm, const struct account_name *account,
    const uint8_t ed_pk[static ED25519_PK_BYTES])
{
	uint8_t preimage[MEMBER_PREIMAGE_MAX];
	const size_t len = member_id_preimage(realm, account, ed_pk, preimage);

	return hash_once(BYTES(preimage, len));
}

void
digest_digits(const struct digest *d, char ret[static DIGITS_CHARS + 1])
{
	for (size_t i = 0; i < DIGEST_BYTES / 4; i++) {
		uint32_t group = be32_get(d->b + 4 * i) % 100000;
		char *at = ret + 6 * i;

		for (size_t k = 5; k-- > 0; group /= 10)
			at[k] = (char)('0' + group % 10);
		at[5] = ' ';
	}
	ret[DIGITS_CHARS] = '\0';
}

#define QR_PREFIX       "secure-chat:1:"
#define QR_PREFIX_CHARS (sizeof(QR_PREFIX) - 1)

static const char base64url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
member_id_qr(const struct digest *member_id, char ret[static MEMBER_QR_CHARS + 1])
{
	char *to = ret + QR_PREFIX_CHARS;

	memcpy(ret, QR_PREFIX, QR_PREFIX_CHARS);
	/* 10 times 3 bytes as 4 characters, then 2 bytes as 3 (RFC 4648, 5) */
	for (size_t i = 0; i < DIGEST_BYTES; i += 3) {
		const uint32_t third = i + 2 < DIGEST_BYTES ? member_id->b[i + 2] : 0;
		const uint32_t bits =
		    (uint32_t)member_id->b[i] << 16 | (uint32_t)member_id->b[i + 1] << 8 | third;

		*to++ = base64url_alphabet[bits >> 18];
		*to++ = base64url_alphabet[bits >> 12 & 63];
		*to++ = base64url_alphabet[bits >> 6 & 63];
		if (i + 2 < DIGEST_BYTES)
			*to++ = base64url_alphabet[bits & 63];
	}
	assert(to == ret + MEMBER_QR_CHARS);
	*to = '\0';
}

size_t
login_signed(const struct login *login, uint8_t ret[static LOGIN_SIGNED_MAX])
{
	struct writer wr;

	wr_init(&wr, ret, LOGIN_SIGNED_MAX);
	wr_u8(&wr, login->binding_type);
	wr_bytes(&wr, login->realm.b, REALM_BYTES);
	wr_str8(&wr, account_bytes(&login->account));
	wr_bytes(&wr, login->member_id.b, DIGEST_BYTES);
	wr_bytes(&wr, login->binding, LOGIN_BINDING_BYTES);
	assert(wr_done(&wr));
	return wr.len;
}

static bool
binding_known(uint8_t type)
{
	return type == LOGIN_BINDING_TLS_EXPORTER || type == LOGIN_BINDING_ORIGIN;
}

void
login_sign(const struct sign_key *key, const struct login *login, uint8_t ret_sig[static ED25519_SIG_BYTES])
{
	uint8_t b[LOGIN_SIGNED_MAX];
	const size_t len = login_signed(login, b);

	assert(binding_known(login->binding_type));
	ed25519_sign(key->seed, key->pk, "login", BYTES(b, len), ret_sig);
}

enum chat_err
login_verify(const uint8_t ed_pk[static ED25519_PK_BYTES], const struct login *login,
    const uint8_t sig[static ED25519_SIG_BYTES])
{
	uint8_t b[LOGIN_SIGNED_MAX];
	const size_t len = login_signed(login, b);

	if (!binding_known(login->binding_type))
		return CHAT_ERR_UNSUPPORTED;
	return ed25519_verify(ed_pk, "login", BYTES(b, len), sig) ? CHAT_OK : CHAT_ERR_BAD_SIGNATURE;
}

enum chat_err
login_origin_binding(struct bytes origin, const uint8_t challenge[static LOGIN_CHALLENGE_BYTES],
    uint8_t ret_binding[static LOGIN_BINDING_BYTES])
{
	struct hash hash;
	uint8_t len[2];
	struct digest binding;

	if (origin.len > UINT16_MAX)
		return CHAT_ERR_RANGE;
	be16_put(len, (uint16_t)origin.len);
	hash_init_domain(&hash, "origin");
	hash_bytes(&hash, BYTES_ARRAY(len));
	hash_bytes(&hash, origin);
	hash_bytes(&hash, BYTES(challenge, LOGIN_CHALLENGE_BYTES));
	binding = hash_end(&hash);
	memcpy(ret_binding, binding.b, LOGIN_BINDING_BYTES);
	return CHAT_OK;
}
