/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * GnuTLS compares and writes the lines; the file as a whole is ours, for three reasons. gnutls_store_pubkey()
 * only appends, so that a key once pinned would stay good for ever; it does not tell when it could not write;
 * and gnutls_verify_stored_pubkey() takes a file that it cannot read for one without pins.
 */

#include "tls/tls_pins.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/crypto.h>

#include "base/buf.h"
#include "tls/tls_internal.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define HOST_MAX_CHARS 256

/* A server as the file names it: the host in lower case, for DNS knows no other, and the port as "service".
 */
struct pin_name {
	char host[HOST_MAX_CHARS];
	char service[8];
};

/* "*" would be a wildcard to GnuTLS, and "|" ends a field. */
static enum chat_err
pin_name_init(struct pin_name *name, const char *host, uint16_t port)
{
	size_t len = strlen(host);

	if (len == 0 || len >= sizeof(name->host))
		return CHAT_ERR_INVALID;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)host[i];

		if (c <= ' ' || c == 0x7f || c == '|' || c == '*')
			return CHAT_ERR_INVALID;
		name->host[i] = (char)tolower(c);
	}
	name->host[len] = '\0';
	snprintf(name->service, sizeof(name->service), "%u", port);
	return CHAT_OK;
}

/* True if the line (without its end) is a pin of this server: "|g0|host|port|...", or "|c0|..." for a
 * commitment. */
static bool
line_is_of(struct bytes line, const struct pin_name *name)
{
	char start[HOST_MAX_CHARS + 16];
	size_t len;

	if (line.len < 4 || line.data[0] != '|' || (line.data[1] != 'g' && line.data[1] != 'c'))
		return false;
	len = (size_t)snprintf(start, sizeof(start), "0|%s|%s|", name->host, name->service);
	return line.len - 2 >= len && memcmp(line.data + 2, start, len) == 0;
}

/* The next line of *rest, without its end, and *rest behind it.  False at the end. */
static bool
line_next(struct bytes *rest, struct bytes *ret_line)
{
	const uint8_t *end;
	size_t len;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, '\n', rest->len);
	len = end ? (size_t)(end - rest->data) : rest->len;
	*ret_line = BYTES(rest->data, len);
	len += end ? 1 : 0;
	*rest = BYTES(rest->data + len, rest->len - len);
	return true;
}

static bool
file_find(const gnutls_datum_t *file, const struct pin_name *name, struct bytes *ret_line)
{
	struct bytes rest = BYTES(file->data, file->size), line;

	while (line_next(&rest, &line)) {
		if (line_is_of(line, name)) {
			*ret_line = line;
			return true;
		}
	}
	return false;
}

static bool
file_names(const gnutls_datum_t *file, const struct pin_name *name)
{
	struct bytes line;

	return file_find(file, name, &line);
}

/* All lines but those of this server. */
static enum chat_err
file_without(const gnutls_datum_t *file, const struct pin_name *name, struct buf *into)
{
	struct bytes rest = BYTES(file->data, file->size), line;
	enum chat_err err = CHAT_OK;

	while (err == CHAT_OK && line_next(&rest, &line)) {
		if (line.len == 0 || line_is_of(line, name))
			continue;
		err = buf_append(into, line.data, line.len);
		if (err == CHAT_OK)
			err = buf_append(into, "\n", 1);
	}
	return err;
}

/* The peer's certificate, borrowed from the session; NULL if there is none. */
static const gnutls_datum_t *
peer_certificate(struct tls_conn *conn)
{
	const gnutls_datum_t *peers;
	unsigned count = 0;

	if (!conn->handshake_done || conn->is_server)
		return NULL;
	peers = gnutls_certificate_get_peers(conn->session, &count);
	return count > 0 ? peers : NULL;
}

static int
compare(const char *path, const struct pin_name *name, const gnutls_datum_t *cert)
{
	return gnutls_verify_stored_pubkey(path, NULL, name->host, name->service, GNUTLS_CRT_X509, cert, 0);
}

enum chat_err
tls_pins_check(const char *path, const char *host, uint16_t port, struct tls_conn *conn)
{
	const gnutls_datum_t *cert = peer_certificate(conn);
	gnutls_datum_t file = {.data = NULL, .size = 0};
	struct pin_name name;
	enum chat_err err;
	bool named;

	if (!cert)
		return CHAT_ERR_TLS;
	err = pin_name_init(&name, host, port);
	if (err != CHAT_OK)
		return err;
	err = tls_file_read(path, FILE_MAX_BYTES, &file, NULL);
	if (err == CHAT_ERR_NOT_FOUND)
		return CHAT_ERR_PEER_UNKNOWN;
	if (err != CHAT_OK)
		return err;
	named = file_names(&file, &name);
	tls_file_free(&file);
	/* Only a line that names this server makes it known or changed, whatever GnuTLS takes for a wildcard;
	 * and a line that names it is never "unknown", whatever GnuTLS cannot read in it. */
	if (!named)
		return CHAT_ERR_PEER_UNKNOWN;
	if (compare(path, &name, cert) != 0)
		return CHAT_ERR_PEER_CHANGED;
	tls_trust_peer(conn);
	return CHAT_OK;
}

/* An exclusive lock beside the file, which itself is replaced.  -1 with errno. */
static int
lock_open(const char *path)
{
	char *lock_path = NULL;
	int fd, saved;

	if (asprintf(&lock_path, "%s.lock", path) < 0)
		return -1;
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(lock_path);
	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret, saved;

	if (fd < 0)
		return -1;
	ret = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return ret;
}

/* A pin to be: a certificate's key, or a fingerprint, whichever is not NULL. */
struct pin_what {
	const gnutls_datum_t *cert;
	const struct digest *fingerprint;
};

/* The SHA-256 that a line stands for: "|g0|...|base64 of the SubjectPublicKeyInfo", or a commitment to it,
 * "|c0|...|expiry|algorithm|hex". */
static enum chat_err
line_fingerprint(struct bytes line, struct digest *ret)
{
	const uint8_t *last = memrchr(line.data, '|', line.len);
	struct bytes value;
	gnutls_datum_t text, spki = {.data = NULL, .size = 0};
	char hex[DIGEST_HEX_CHARS + 1];
	enum chat_err err = CHAT_OK;

	if (!last)
		return CHAT_ERR_SYNTAX;
	value = BYTES(last + 1, line.len - (size_t)(last + 1 - line.data));
	if (line.data[1] == 'c') {
		if (value.len != DIGEST_HEX_CHARS)
			return CHAT_ERR_SYNTAX;
		memcpy(hex, value.data, DIGEST_HEX_CHARS);
		hex[DIGEST_HEX_CHARS] = '\0';
		return hex_decode(hex, ret->b, DIGEST_BYTES) ? CHAT_OK : CHAT_ERR_SYNTAX;
	}
	text = (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)value.data, .size = (unsigned)value.len};
	if (value.len == 0 || gnutls_base64_decode2(&text, &spki) < 0)
		return CHAT_ERR_SYNTAX;
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.size, ret->b) < 0)
		err = CHAT_ERR_TLS;
	gnutls_free(spki.data);
	return err;
}

/* That the file now holds what it should, as GnuTLS or we read it. */
static bool
pin_is_in(const char *path, const struct pin_name *name, const struct pin_what *what)
{
	gnutls_datum_t file = {.data = NULL, .size = 0};
	struct digest found;
	struct bytes line;
	bool same;

	if (what->cert)
		return compare(path, name, what->cert) == 0;
	if (tls_file_read(path, FILE_MAX_BYTES, &file, NULL) != CHAT_OK)
		return false;
	same = file_find(&file, name, &line) && line_fingerprint(line, &found) == CHAT_OK &&
	       digest_equal(&found, what->fingerprint);
	tls_file_free(&file);
	return same;
}

static int
store_commitment(const char *path, const struct pin_name *name, const struct digest *fingerprint)
{
	gnutls_datum_t hash = {.data = (unsigned char *)(uintptr_t)fingerprint->b, .size = DIGEST_BYTES};

	return gnutls_store_commitment(
	    path, NULL, name->host, name->service, GNUTLS_DIG_SHA256, &hash, 0, 0);
}

/* GnuTLS appends its line to the file that is to be, and is then asked to find it there. */
static enum chat_err
append_pin(const char *temp, const struct pin_name *name, const struct pin_what *what)
{
	int rc;

	errno = 0;
	rc = what->cert ? gnutls_store_pubkey(
			      temp, NULL, name->host, name->service, GNUTLS_CRT_X509, what->cert, 0, 0)
			: store_commitment(temp, name, what->fingerprint);
	if (rc < 0 || !pin_is_in(temp, name, what)) {
		if (errno == 0)
			errno = EIO;
		return CHAT_ERR_IO;
	}
	return sync_file(temp) < 0 ? CHAT_ERR_IO : CHAT_OK;
}

/* Replaces the lines of a server by one for what, or by none if what is NULL. */
static enum chat_err
rewrite(const char *path, const struct pin_name *name, const struct pin_what *what)
{
	gnutls_datum_t file = {.data = NULL, .size = 0};
	struct buf kept = {0};
	char *temp = NULL;
	enum chat_err err;
	int lock_fd, saved;

	lock_fd = lock_open(path);
	if (lock_fd < 0 && errno == ENOENT && !what)
		return CHAT_ERR_NOT_FOUND; /* there is no directory yet */
	if (lock_fd < 0)
		return tls_file_err(errno) == CHAT_ERR_PERMISSION ? CHAT_ERR_PERMISSION : CHAT_ERR_IO;
	err = tls_file_read(path, FILE_MAX_BYTES, &file, NULL);
	if (err == CHAT_ERR_NOT_FOUND && what)
		err = CHAT_OK;
	if (err != CHAT_OK)
		goto out;
	if (!what && !file_names(&file, name)) {
		err = CHAT_ERR_NOT_FOUND;
		goto out;
	}
	err = file_without(&file, name, &kept);
	if (err != CHAT_OK)
		goto out;
	err = tls_file_write_temp(path, kept.data, kept.len, 0600, &temp);
	if (err != CHAT_OK)
		goto out;
	if (what) {
		err = append_pin(temp, name, what);
		if (err != CHAT_OK) {
			saved = errno;
			unlink(temp);
			errno = saved;
			goto out;
		}
	}
	err = tls_file_commit(temp, path, true);
out:
	saved = errno;
	free(temp);
	buf_fini(&kept);
	tls_file_free(&file);
	close(lock_fd);
	errno = saved;
	return err;
}

enum chat_err
tls_pins_add(const char *path, const char *host, uint16_t port, struct tls_conn *conn)
{
	const gnutls_datum_t *cert = peer_certificate(conn);
	struct pin_name name;
	enum chat_err err;

	if (!cert)
		return CHAT_ERR_TLS;
	err = pin_name_init(&name, host, port);
	if (err == CHAT_OK)
		err = rewrite(path, &name, &(struct pin_what){.cert = cert});
	if (err == CHAT_OK)
		tls_trust_peer(conn);
	return err;
}

enum chat_err
tls_pins_forget(const char *path, const char *host, uint16_t port)
{
	struct pin_name name;
	enum chat_err err;

	err = pin_name_init(&name, host, port);
	return err == CHAT_OK ? rewrite(path, &name, NULL) : err;
}

enum chat_err
tls_pins_get(const char *path, const char *host, uint16_t port, struct digest *ret_fingerprint)
{
	gnutls_datum_t file = {.data = NULL, .size = 0};
	struct pin_name name;
	struct bytes line;
	enum chat_err err;

	err = pin_name_init(&name, host, port);
	if (err == CHAT_OK)
		err = tls_file_read(path, FILE_MAX_BYTES, &file, NULL);
	if (err != CHAT_OK)
		return err;
	err = file_find(&file, &name, &line) ? line_fingerprint(line, ret_fingerprint) : CHAT_ERR_NOT_FOUND;
	tls_file_free(&file);
	return err;
}

enum chat_err
tls_pins_put(const char *path, const char *host, uint16_t port, const struct digest *fingerprint)
{
	struct pin_name name;
	enum chat_err err;

	err = pin_name_init(&name, host, port);
	return err == CHAT_OK ? rewrite(path, &name, &(struct pin_what){.fingerprint = fingerprint}) : err;
}

enum chat_err
tls_pins_demand(const struct digest *fingerprint, struct tls_conn *conn)
{
	struct digest peer;
	enum chat_err err;

	err = tls_peer_fingerprint(conn, &peer);
	if (err != CHAT_OK)
		return err;
	if (!digest_equal(fingerprint, &peer))
		return CHAT_ERR_PEER_CHANGED;
	tls_trust_peer(conn);
	return CHAT_OK;
}
