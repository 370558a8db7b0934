/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accounts/passwd_hash.h"

#include <assert.h>
#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static_assert(PASSWD_PASSWORD_MAX_BYTES == CRYPT_MAX_PASSPHRASE_SIZE - 1, "the limit is libcrypt's");
static_assert(PASSWD_HASH_MAX_BYTES == CRYPT_OUTPUT_SIZE, "the limit is libcrypt's");

#define NEW_HASH_PREFIX "$y$"
#define NEW_HASH_COST   0 /* libcrypt's default for yescrypt: 5, 16 MiB */

struct passwd_hasher {
	struct crypt_data data;
	uint64_t count;
	/*
	 * What a new account's hash would begin with: a salt of the usual cost and no hash, so that nothing
	 * equals it.
	 */
	char dummy_setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char phrase[CRYPT_MAX_PASSPHRASE_SIZE]; /* the password, NUL-terminated; wiped after each call */
};

enum chat_err
passwd_password_check(struct bytes password)
{
	if (password.len == 0)
		return CHAT_ERR_INVALID;
	if (password.len > PASSWD_PASSWORD_MAX_BYTES)
		return CHAT_ERR_TOO_LONG;
	for (size_t i = 0; i < password.len;) {
		uint32_t c;
		size_t n = utf8_decode(BYTES(password.data + i, password.len - i), &c);
		if (n == 0 || utf8_is_control(c))
			return CHAT_ERR_INVALID;
		i += n;
	}
	return CHAT_OK;
}

enum chat_err
passwd_hasher_new(struct passwd_hasher **ret_hasher)
{
	struct passwd_hasher *hasher = calloc(1, sizeof(*hasher));

	if (hasher == NULL)
		return CHAT_ERR_NOMEM;
	if (crypt_gensalt_rn(NEW_HASH_PREFIX, NEW_HASH_COST, NULL, 0, hasher->dummy_setting,
		(int)sizeof(hasher->dummy_setting)) == NULL) {
		passwd_hasher_free(hasher);
		return CHAT_ERR_CRYPTO;
	}
	*ret_hasher = hasher;
	return CHAT_OK;
}

void
passwd_hasher_free(struct passwd_hasher *hasher)
{
	freezero(hasher, sizeof(*hasher));
}

uint64_t
passwd_hasher_count(const struct passwd_hasher *hasher)
{
	return hasher->count;
}

/* hasher->phrase under setting; NULL if libcrypt cannot.  The result is in hasher->data, until the next call.
 */
static const char *
run(struct passwd_hasher *hasher, const char *setting)
{
	const char *out = crypt_rn(hasher->phrase, setting, &hasher->data, (int)sizeof(hasher->data));

	if (out != NULL)
		hasher->count++;
	return out;
}

static void
wipe(struct passwd_hasher *hasher)
{
	explicit_bzero(hasher->phrase, sizeof(hasher->phrase));
	explicit_bzero(hasher->data.output, sizeof(hasher->data.output));
}

enum chat_err
passwd_hash(struct passwd_hasher *hasher, struct bytes password, char ret_hash[static PASSWD_HASH_MAX_BYTES])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	enum chat_err err = passwd_password_check(password);

	if (err != CHAT_OK)
		return err;
	if (crypt_gensalt_rn(NEW_HASH_PREFIX, NEW_HASH_COST, NULL, 0, setting, (int)sizeof(setting)) == NULL)
		return CHAT_ERR_CRYPTO;
	memcpy(hasher->phrase, password.data, password.len);
	hasher->phrase[password.len] = '\0';
	const char *hash = run(hasher, setting);
	if (hash == NULL)
		err = CHAT_ERR_CRYPTO;
	else
		memcpy(ret_hash, hash, strlen(hash) + 1); /* fits: CRYPT_OUTPUT_SIZE bounds it */
	wipe(hasher);
	return err;
}

/* Equal strings, in time that depends on their lengths only; the length of a hash is no secret. */
static bool
equal_constant_time(const char *a, const char *b)
{
	size_t len = strlen(a);
	volatile unsigned char diff = 0; /* volatile: the compiler may not stop at the first difference */

	if (strlen(b) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		diff = (unsigned char)(diff | (a[i] ^ b[i]));
	return diff == 0;
}

enum passwd_verdict
passwd_verify(struct passwd_hasher *hasher, const struct passwd_entry *entry, struct bytes password)
{
	/* A password that libcrypt cannot take is hashed as far as it goes, and is wrong. */
	bool possible = password.len <= PASSWD_PASSWORD_MAX_BYTES &&
			(password.len == 0 || memchr(password.data, '\0', password.len) == NULL);
	size_t len = password.len <= PASSWD_PASSWORD_MAX_BYTES ? password.len : PASSWD_PASSWORD_MAX_BYTES;

	if (len > 0)
		memcpy(hasher->phrase, password.data, len);
	hasher->phrase[len] = '\0';

	bool equal = false;
	const char *hash = entry != NULL ? run(hasher, entry->hash) : NULL;
	if (hash != NULL) {
		equal = equal_constant_time(hash, entry->hash);
	} else {
		/* No such account, or a hash that this libcrypt cannot compute: refused before it cost
		 * anything. */
		hash = run(hasher, hasher->dummy_setting);
	}
	bool failed = hash == NULL;
	wipe(hasher);

	if (failed)
		return PASSWD_FAILED;
	if (entry == NULL)
		return PASSWD_NO_ACCOUNT;
	if (entry->locked)
		return PASSWD_LOCKED;
	return equal && possible ? PASSWD_RIGHT : PASSWD_WRONG;
}

const char *
passwd_verdict_name(enum passwd_verdict verdict)
{
	switch (verdict) {
	case PASSWD_RIGHT:
		return "ok";
	case PASSWD_WRONG:
		return "wrong_password";
	case PASSWD_LOCKED:
		return "locked";
	case PASSWD_NO_ACCOUNT:
		return "no_account";
	case PASSWD_FAILED:
		return "hash_failed";
	}
	return "unknown";
}

/*
 * What a whole hash looks like: crypt_checksalt() accepts a setting without its hash, or one cut short, which
 * no password would ever match.  Schemes that a later libcrypt adds are taken as they come.
 */
static const struct scheme {
	const char *prefix;
	const char *name; /* crypt(5) */
	unsigned dollars_min;
	size_t total_len; /* 0: see last_len */
	size_t last_len;  /* of the part behind the last '$' */
} schemes[] = {
    {"$y$", "yescrypt", 4, 0, 43},
    {"$gy$", "gost-yescrypt", 4, 0, 43},
    {"$7$", "scrypt", 3, 0, 43},
    {"$2a$", "bcrypt", 3, 60, 0},
    {"$2b$", "bcrypt", 3, 60, 0},
    {"$2x$", "bcrypt", 3, 60, 0},
    {"$2y$", "bcrypt", 3, 60, 0},
    {"$6$", "sha512crypt", 3, 0, 86},
    {"$5$", "sha256crypt", 3, 0, 43},
    {"$sha1$", "sha1crypt", 4, 0, 28},
    {"$md5", "SunMD5", 3, 0, 22},
    {"$1$", "md5crypt", 3, 0, 22},
    {"$3$", "NT", 3, 0, 32},
};

static const struct scheme *
find_scheme(const char *hash)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (strncmp(hash, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	}
	return NULL;
}

const char *
passwd_hash_scheme(const char *hash)
{
	const struct scheme *scheme = find_scheme(hash);

	if (hash[0] == '_')
		return "bsdicrypt";
	if (hash[0] != '$')
		return strlen(hash) == 13 ? "descrypt" : "bigcrypt";
	return scheme != NULL ? scheme->name : "other";
}

static bool
whole(const char *hash)
{
	size_t len = strlen(hash);

	if (hash[0] == '_')
		return len == 20; /* BSDi's extended DES */
	if (hash[0] != '$')
		return len >= 13 && (len - 13) % 11 == 0; /* DES; bigcrypt adds 11 for every 8 characters */

	const struct scheme *scheme = find_scheme(hash);
	if (scheme == NULL)
		return true;
	unsigned dollars = 0;
	for (const char *p = hash; *p != '\0'; p++)
		dollars += *p == '$';
	if (dollars < scheme->dollars_min)
		return false;
	return scheme->total_len != 0 ? len == scheme->total_len
				      : strlen(strrchr(hash, '$') + 1) == scheme->last_len;
}

const char *
passwd_hash_field_fault(const char *hash)
{
	if (hash[0] == '\0')
		return "is empty";
	if (hash[0] == '!' || hash[0] == '*')
		return "begins with a lock mark of shadow(5); a locked account has the flag 'locked' instead";
	if (strlen(hash) >= PASSWD_HASH_MAX_BYTES)
		return "is too long";
	for (const char *p = hash; *p != '\0'; p++) {
		/* What crypt(5) excludes from every hash. */
		if (*p <= ' ' || *p > '~' || strchr(":;*!\\", *p) != NULL)
			return "holds a character that no hash holds";
	}
	int check = crypt_checksalt(hash);
	/* Without a '$' nearly everything begins like a DES hash, so one of another length is none. */
	bool odd_des = hash[0] != '$' && hash[0] != '_' && !whole(hash);
	if (check == CRYPT_SALT_INVALID || check == CRYPT_SALT_METHOD_DISABLED || odd_des)
		return "is of no scheme that crypt(5) on this machine knows";
	return whole(hash) ? NULL : "is cut short";
}
