/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/identity_file.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "libchat/text.h"

static_assert(PASSPHRASE_MAX_BYTES == CRYPT_MAX_PASSPHRASE_SIZE - 1, "the limit is libcrypt's");

#define FILE_VERSION      1
#define DOMAIN_NAME  "identity-file"
#define SALT_BYTES   16
#define HEADER_BYTES (1 + 1 + SALT_BYTES + AEAD_NONCE_BYTES)
#define BODY_MAX                                                                                             \
	(REALM_BYTES + ED25519_SEED_BYTES + BAG_KEY_BYTES + 8 + 1 + ACCOUNT_MAX_BYTES + 1 +                  \
	    SERVER_HOST_CHARS + 2 + 1 + DIGEST_BYTES)

void
identity_export_fini(struct identity_export *id)
{
	explicit_bzero(id, sizeof(*id));
}

/* The key that a passphrase gives. */
static enum chat_err
derive(struct bytes passphrase, unsigned cost, const uint8_t salt[static SALT_BYTES],
    uint8_t ret_key[static AES256_KEY_BYTES])
{
	char phrase[PASSPHRASE_MAX_BYTES + 1], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	uint8_t domain[DOMAIN_MAX_BYTES];
	struct crypt_data *data = NULL;
	enum chat_err err = CHAT_OK;
	const char *hash;
	size_t n;

	if (passphrase.len == 0 || passphrase.len > PASSPHRASE_MAX_BYTES ||
	    memchr(passphrase.data, '\0', passphrase.len))
		return CHAT_ERR_INVALID;
	data = calloc(1, sizeof(*data));
	if (!data)
		return CHAT_ERR_NOMEM;
	memcpy(phrase, passphrase.data, passphrase.len);
	phrase[passphrase.len] = '\0';
	if (!crypt_gensalt_rn("$y$", cost, (const char *)salt, SALT_BYTES, setting, (int)sizeof(setting))) {
		err = CHAT_ERR_CRYPTO;
		goto out;
	}
	hash = crypt_rn(phrase, setting, data, (int)sizeof(*data));
	if (!hash) {
		err = CHAT_ERR_CRYPTO;
		goto out;
	}
	n = domain_put(DOMAIN_NAME, domain);
	hkdf_sha256(BYTES_STR(hash), BYTES(salt, SALT_BYTES), BYTES(domain, n), ret_key, AES256_KEY_BYTES);
out:
	explicit_bzero(phrase, sizeof(phrase));
	freezero(data, sizeof(*data));
	return err;
}

static size_t
aad_put(const uint8_t header[static HEADER_BYTES], uint8_t ret[static DOMAIN_MAX_BYTES + HEADER_BYTES])
{
	size_t n = domain_put(DOMAIN_NAME, ret);

	memcpy(ret + n, header, HEADER_BYTES);
	return n + HEADER_BYTES;
}

static struct bytes
body_put(const struct identity_export *id, uint8_t body[static BODY_MAX])
{
	struct writer wr;
	bool fits;

	wr_init(&wr, body, BODY_MAX);
	wr_bytes(&wr, id->realm.b, REALM_BYTES);
	wr_bytes(&wr, id->root.ed_seed, ED25519_SEED_BYTES);
	wr_bytes(&wr, id->root.bag_key, BAG_KEY_BYTES);
	wr_u64(&wr, id->bag_version);
	wr_str8(&wr, account_bytes(&id->account));
	wr_str8(&wr, BYTES_STR(id->server.host));
	wr_u16(&wr, id->server.port);
	wr_u8(&wr, id->has_pin);
	wr_bytes(&wr, id->has_pin ? id->pin.b : digest_zero.b, DIGEST_BYTES);
	fits = wr_done(&wr);
	assert(fits);
	return wr_bytes_written(&wr);
}

static bool
body_read(struct bytes body, struct identity_export *ret)
{
	struct identity_export id;
	struct bytes account, host;
	char host_text[SERVER_HOST_CHARS], port_text[SERVER_PORT_CHARS];
	struct reader rd;
	uint8_t has_pin;
	bool good;

	memset(&id, 0, sizeof(id));
	rd_init(&rd, body);
	rd_copy(&rd, id.realm.b, REALM_BYTES);
	rd_copy(&rd, id.root.ed_seed, ED25519_SEED_BYTES);
	rd_copy(&rd, id.root.bag_key, BAG_KEY_BYTES);
	id.bag_version = rd_u64(&rd);
	account = rd_str8(&rd);
	host = rd_str8(&rd);
	id.server.port = rd_u16(&rd);
	has_pin = rd_u8(&rd);
	id.has_pin = has_pin == 1;
	rd_copy(&rd, id.pin.b, DIGEST_BYTES);
	good = rd_done(&rd) && has_pin <= 1 && account_name_set(account, &id.account) == CHAT_OK &&
	       host.len < sizeof(host_text);
	if (good) {
		if (host.len)
			memcpy(host_text, host.data, host.len);
		host_text[host.len] = '\0';
		server_name_port(&id.server, port_text);
		good = server_name_set(host_text, port_text, &id.server) == CHAT_OK;
	}
	if (good)
		*ret = id;
	identity_export_fini(&id);
	return good;
}

enum chat_err
identity_file_seal(const struct identity_export *id, struct bytes passphrase, unsigned cost,
    const struct random_source *random, struct buf *ret)
{
	uint8_t header[HEADER_BYTES], key[AES256_KEY_BYTES], body[BODY_MAX],
	    sealed[BODY_MAX + AEAD_TAG_BYTES];
	uint8_t aad[DOMAIN_MAX_BYTES + HEADER_BYTES];
	struct bytes plain;
	enum chat_err err;
	size_t aad_len;

	assert(cost >= 1 && cost <= IDENTITY_FILE_COST_MAX);
	header[0] = FILE_VERSION;
	header[1] = (uint8_t)cost;
	random->fill(random->ctx, header + 2, SALT_BYTES + AEAD_NONCE_BYTES);
	err = derive(passphrase, cost, header + 2, key);
	if (err)
		return err;
	plain = body_put(id, body);
	aad_len = aad_put(header, aad);
	aead_seal(BYTES_ARRAY(key), header + 2 + SALT_BYTES, BYTES(aad, aad_len), plain, sealed);
	err = buf_reserve(ret, HEADER_BYTES + plain.len + AEAD_TAG_BYTES);
	if (!err)
		err = buf_append(ret, header, HEADER_BYTES);
	if (!err)
		err = buf_append(ret, sealed, plain.len + AEAD_TAG_BYTES);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(body, sizeof(body));
	return err;
}

enum chat_err
identity_file_open(struct bytes file, struct bytes passphrase, struct identity_export *ret)
{
	uint8_t key[AES256_KEY_BYTES], body[BODY_MAX], aad[DOMAIN_MAX_BYTES + HEADER_BYTES];
	struct bytes sealed;
	enum chat_err err;
	size_t aad_len;

	if (file.len < 1)
		return CHAT_ERR_CANNOT_OPEN;
	if (file.data[0] != FILE_VERSION)
		return CHAT_ERR_NEWER;
	if (file.len < HEADER_BYTES + AEAD_TAG_BYTES ||
	    file.len > HEADER_BYTES + sizeof(body) + AEAD_TAG_BYTES || file.data[1] < 1 ||
	    file.data[1] > IDENTITY_FILE_COST_MAX)
		return CHAT_ERR_CANNOT_OPEN;
	err = derive(passphrase, file.data[1], file.data + 2, key);
	if (err)
		return err;
	sealed = BYTES(file.data + HEADER_BYTES, file.len - HEADER_BYTES);
	aad_len = aad_put(file.data, aad);
	err = aead_open(BYTES_ARRAY(key), file.data + 2 + SALT_BYTES, BYTES(aad, aad_len), sealed, body);
	if (!err && !body_read(BYTES(body, sealed.len - AEAD_TAG_BYTES), ret))
		err = CHAT_ERR_CANNOT_OPEN;
	explicit_bzero(key, sizeof(key));
	explicit_bzero(body, sizeof(body));
	return err;
}

static enum chat_err
file_error(const char *path, char **ret_text)
{
	int e = errno;

	text_set(ret_text, "%s: %s", path,
	    e == EEXIST ? "there is a file of this name already; name another" : strerror(e));
	return e == EEXIST                               ? CHAT_ERR_EXISTS
	       : e == ENOENT                             ? CHAT_ERR_NOT_FOUND
	       : e == EACCES || e == EPERM || e == EROFS ? CHAT_ERR_PERMISSION
							 : CHAT_ERR_IO;
}

enum chat_err
identity_file_write(const char *path, struct bytes file, char **ret_text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum chat_err err;
	size_t done = 0;

	if (fd < 0) {
		err = file_error(path, ret_text);
		return err == CHAT_ERR_NOT_FOUND ? CHAT_ERR_IO : err; /* of the folder */
	}
	while (done < file.len) {
		ssize_t n = write(fd, file.data + done, file.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto fail;
		done += (size_t)n;
	}
	if (fsync(fd) < 0)
		goto fail;
	(void)close(fd);
	return CHAT_OK;
fail:
	err = file_error(path, ret_text);
	(void)close(fd);
	(void)unlink(path);
	return err;
}

enum chat_err
identity_file_read(const char *path, struct buf *ret, char **ret_text)
{
	uint8_t data[IDENTITY_FILE_MAX + 1];
	enum chat_err err = CHAT_OK;
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return file_error(path, ret_text);
	do {
		n = read(fd, data + len, sizeof(data) - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < sizeof(data)) || (n < 0 && errno == EINTR));
	if (n < 0) {
		err = file_error(path, ret_text);
	} else if (len > IDENTITY_FILE_MAX) {
		text_set(ret_text, "%s: it is too long for an exported identity", path);
		err = CHAT_ERR_CANNOT_OPEN;
	} else {
		err = buf_append(ret, data, len);
	}
	(void)close(fd);
	return err;
}
