/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tls/tls_identity.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/crypto.h>

#include "tls/tls_internal.h"

#define PEM_MAX_BYTES (256 * 1024)
#define YEARS         10
#define SECONDS_A_DAY (24 * 60 * 60)
#define CHAIN_MAX     8
/* Others may not read the key, nor the group write it; a group that may read it (ssl-cert) is the owner's
 * choice. */
#define KEY_MODE_BAD 0037

static enum chat_err
why_say(char why[static TLS_WHY_CHARS], enum chat_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Says why and passes err on, so that a failure is one statement. */
static enum chat_err
why_say(char why[static TLS_WHY_CHARS], enum chat_err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, TLS_WHY_CHARS, fmt, ap);
	va_end(ap);
	return err;
}

static enum chat_err
why_gnutls(char why[static TLS_WHY_CHARS], int code, enum chat_err err, const char *path, const char *what)
{
	if (code == GNUTLS_E_MEMORY_ERROR)
		err = CHAT_ERR_NOMEM;
	return why_say(why, err, "%s: %s: %s", path, what, gnutls_strerror(code));
}

/* Reads the key file, after a look at its mode. */
static enum chat_err
key_load(const char *path, char why[static TLS_WHY_CHARS], gnutls_x509_privkey_t *ret_key)
{
	gnutls_datum_t pem = {.data = NULL, .size = 0};
	gnutls_x509_privkey_t key = NULL;
	unsigned mode = 0;
	enum chat_err err;
	int code;

	err = tls_file_read(path, PEM_MAX_BYTES, &pem, &mode);
	if (err != CHAT_OK)
		return why_say(why, err, "%s: cannot read the key: %s", path, strerrordesc_np(errno));
	if (mode & KEY_MODE_BAD) {
		err = why_say(why, CHAT_ERR_PERMISSION,
		    "%s: the key's mode is %04o, others could take it: chmod 600 %s", path, mode & 07777,
		    path);
		goto out;
	}
	code = gnutls_x509_privkey_init(&key);
	if (code >= 0)
		code = gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (code < 0) {
		err = why_gnutls(
		    why, code, CHAT_ERR_SYNTAX, path, "no private key in PEM form without a password");
		goto out;
	}
	*ret_key = key;
	key = NULL;
out:
	if (key)
		gnutls_x509_privkey_deinit(key);
	tls_file_free(&pem);
	return err;
}

static enum chat_err
write_new(const char *path, const gnutls_datum_t *pem, unsigned mode, char why[static TLS_WHY_CHARS])
{
	char *temp = NULL;
	enum chat_err err;

	err = tls_file_write_temp(path, pem->data, pem->size, mode, &temp);
	if (err == CHAT_OK)
		err = tls_file_commit(temp, path, false);
	free(temp);
	return err == CHAT_OK ? CHAT_OK
			      : why_say(why, err, "%s: cannot write it: %s", path, strerrordesc_np(errno));
}

static enum chat_err
key_make(const char *path, char why[static TLS_WHY_CHARS], gnutls_x509_privkey_t *ret_key)
{
	gnutls_datum_t pem = {.data = NULL, .size = 0};
	gnutls_x509_privkey_t key = NULL;
	enum chat_err err;
	int code;

	code = gnutls_x509_privkey_init(&key);
	if (code >= 0)
		code = gnutls_x509_privkey_generate(
		    key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (code >= 0)
		code = gnutls_x509_privkey_export2_pkcs8(
		    key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	if (code < 0) {
		err = why_gnutls(why, code, CHAT_ERR_CRYPTO, path, "cannot make a key");
		goto out;
	}
	err = write_new(path, &pem, 0600, why);
	if (err != CHAT_OK)
		goto out;
	*ret_key = key;
	key = NULL;
out:
	if (pem.data)
		gnutls_memset(pem.data, 0, pem.size);
	gnutls_free(pem.data);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return err;
}

/* The name in it means nothing: clients pin the key.  It begins a day ago, for clocks that are wrong. */
static int
crt_fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, time_t now)
{
	static const char dn[] = "CN=secure-chat server";
	uint8_t serial[16], key_id[32];
	size_t key_id_size = sizeof(key_id);
	int code;

	code = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and always as long */
	if (code >= 0)
		code = gnutls_x509_crt_set_version(crt, 3);
	if (code >= 0)
		code = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (code >= 0)
		code = gnutls_x509_crt_set_dn(crt, dn, NULL);
	if (code >= 0)
		code = gnutls_x509_crt_set_activation_time(crt, now - SECONDS_A_DAY);
	if (code >= 0)
		code = gnutls_x509_crt_set_expiration_time(crt, now + (time_t)YEARS * 365 * SECONDS_A_DAY);
	if (code >= 0)
		code = gnutls_x509_crt_set_key(crt, key);
	if (code >= 0)
		code = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (code >= 0)
		code = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (code >= 0)
		code = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (code >= 0)
		code = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, key_id, &key_id_size);
	if (code >= 0)
		code = gnutls_x509_crt_set_subject_key_id(crt, key_id, 20);
	if (code >= 0)
		code = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return code;
}

static enum chat_err
crt_make(const char *path, gnutls_x509_privkey_t key, uint64_t unix_ms, char why[static TLS_WHY_CHARS])
{
	gnutls_datum_t pem = {.data = NULL, .size = 0};
	gnutls_x509_crt_t crt = NULL;
	enum chat_err err;
	int code;

	code = gnutls_x509_crt_init(&crt);
	if (code >= 0)
		code = crt_fill(crt, key, (time_t)(unix_ms / 1000));
	if (code >= 0)
		code = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
	if (code < 0)
		err = why_gnutls(why, code, CHAT_ERR_CRYPTO, path, "cannot make a certificate");
	else
		err = write_new(path, &pem, 0644, why);
	gnutls_free(pem.data);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	return err;
}

/* CHAT_OK, CHAT_ERR_NOT_FOUND, or why it cannot be told. */
static enum chat_err
look_for(const char *path, char why[static TLS_WHY_CHARS])
{
	struct stat st;

	if (stat(path, &st) == 0)
		return CHAT_OK;
	if (errno == ENOENT)
		return CHAT_ERR_NOT_FOUND;
	return why_say(why, tls_file_err(errno), "%s: %s", path, strerrordesc_np(errno));
}

enum chat_err
tls_identity_ensure(const char *key_path, const char *cert_path, uint64_t unix_ms,
    char why[static TLS_WHY_CHARS], bool *ret_made)
{
	gnutls_x509_privkey_t key = NULL;
	enum chat_err have_key, have_crt, err;

	have_key = look_for(key_path, why);
	if (have_key != CHAT_OK && have_key != CHAT_ERR_NOT_FOUND)
		return have_key;
	have_crt = look_for(cert_path, why);
	if (have_crt != CHAT_OK && have_crt != CHAT_ERR_NOT_FOUND)
		return have_crt;
	if (have_crt == CHAT_OK && have_key != CHAT_OK)
		return why_say(why, CHAT_ERR_NOT_FOUND,
		    "%s: the key is missing, but its certificate %s is there: put the key back, or remove "
		    "the "
		    "certificate for a new identity, which clients will ask about",
		    key_path, cert_path);
	if (have_crt == CHAT_OK) {
		*ret_made = false;
		return CHAT_OK;
	}
	err = have_key == CHAT_OK ? key_load(key_path, why, &key) : key_make(key_path, why, &key);
	if (err != CHAT_OK)
		return err;
	err = crt_make(cert_path, key, unix_ms, why);
	gnutls_x509_privkey_deinit(key);
	if (err == CHAT_OK)
		*ret_made = true;
	return err;
}

static enum chat_err
chain_load(
    const char *path, char why[static TLS_WHY_CHARS], gnutls_x509_crt_t *ret_chain, unsigned *ret_count)
{
	gnutls_datum_t pem = {.data = NULL, .size = 0};
	unsigned count = CHAIN_MAX;
	enum chat_err err;
	int code;

	err = tls_file_read(path, PEM_MAX_BYTES, &pem, NULL);
	if (err != CHAT_OK)
		return why_say(why, err, "%s: cannot read the certificate: %s", path, strerrordesc_np(errno));
	code = gnutls_x509_crt_list_import(
	    ret_chain, &count, &pem, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	tls_file_free(&pem);
	if (code < 0)
		return why_gnutls(why, code, CHAT_ERR_SYNTAX, path, "no certificate in PEM form");
	if (code == 0)
		return why_say(why, CHAT_ERR_SYNTAX, "%s: no certificate in PEM form", path);
	*ret_count = (unsigned)code;
	return CHAT_OK;
}

static enum chat_err
crt_fingerprint(gnutls_x509_crt_t crt, struct digest *ret)
{
	size_t size = DIGEST_BYTES;
	struct digest id;

	if (gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id.b, &size) < 0 || size != DIGEST_BYTES)
		return CHAT_ERR_TLS;
	*ret = id;
	return CHAT_OK;
}

enum chat_err
tls_cert_fingerprint(const gnutls_datum_t *der, struct digest *ret)
{
	gnutls_x509_crt_t crt;
	enum chat_err err = CHAT_ERR_TLS;

	if (gnutls_x509_crt_init(&crt) < 0)
		return CHAT_ERR_NOMEM;
	if (gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0)
		err = crt_fingerprint(crt, ret);
	gnutls_x509_crt_deinit(crt);
	return err;
}

static enum chat_err
credentials_new(gnutls_x509_crt_t *chain, unsigned count, gnutls_x509_privkey_t key,
    gnutls_certificate_credentials_t *ret_credentials)
{
	gnutls_certificate_credentials_t credentials;

	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return CHAT_ERR_NOMEM;
	if (gnutls_certificate_set_x509_key(credentials, chain, (int)count, key) < 0) {
		gnutls_certificate_free_credentials(credentials);
		return CHAT_ERR_INVALID;
	}
	*ret_credentials = credentials;
	return CHAT_OK;
}

enum chat_err
tls_identity_load(const char *key_path, const char *cert_path, char why[static TLS_WHY_CHARS],
    struct tls_identity **ret_identity)
{
	struct tls_identity *identity = NULL;
	gnutls_x509_crt_t chain[CHAIN_MAX];
	gnutls_x509_privkey_t key = NULL;
	struct digest of_key;
	size_t size = DIGEST_BYTES;
	unsigned count = 0;
	enum chat_err err;

	err = key_load(key_path, why, &key);
	if (err != CHAT_OK)
		goto out;
	err = chain_load(cert_path, why, chain, &count);
	if (err != CHAT_OK)
		goto out;
	identity = calloc(1, sizeof(*identity));
	if (!identity) {
		err = why_say(why, CHAT_ERR_NOMEM, "out of memory");
		goto out;
	}
	if (crt_fingerprint(chain[0], &identity->fingerprint) != CHAT_OK ||
	    gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, of_key.b, &size) < 0 ||
	    !digest_equal(&of_key, &identity->fingerprint)) {
		err = why_say(why, CHAT_ERR_INVALID,
		    "%s: the certificate is not of the key in %s: remove it to have one "
		    "made for the key, or put the right one there",
		    cert_path, key_path);
		goto out;
	}
	err = credentials_new(chain, count, key, &identity->credentials);
	if (err != CHAT_OK) {
		why_say(why, err, "%s: the certificate cannot be used: %s", cert_path, chat_strerror(err));
		goto out;
	}
	atomic_init(&identity->refs, 1);
	*ret_identity = identity;
	identity = NULL;
out:
	free(identity);
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return err;
}

struct tls_identity *
tls_identity_ref(struct tls_identity *identity)
{
	atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
	return identity;
}

void
tls_identity_unref(struct tls_identity *identity)
{
	if (!identity || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1)
		return;
	gnutls_certificate_free_credentials(identity->credentials);
	free(identity);
}

const struct digest *
tls_identity_fingerprint(const struct tls_identity *identity)
{
	return &identity->fingerprint;
}

bool
tls_fingerprint_parse(const char *text, struct digest *ret)
{
	char hex[DIGEST_HEX_CHARS + 1];
	size_t n = 0;

	while (isspace((unsigned char)*text))
		text++;
	if (strncasecmp(text, "sha256:", 7) == 0)
		text += 7;
	for (; *text; text++) {
		if (*text == ':' || *text == '-' || isspace((unsigned char)*text))
			continue;
		if (!isxdigit((unsigned char)*text) || n == DIGEST_HEX_CHARS)
			return false;
		hex[n++] = *text;
	}
	hex[n] = '\0';
	return n == DIGEST_HEX_CHARS && hex_decode(hex, ret->b, DIGEST_BYTES);
}
