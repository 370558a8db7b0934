/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum chat_err
check(int fd, const char *path, struct text *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		text_printf(why, "%s: %s", path, strerrordesc_np(errno));
		return CHAT_ERR_IO;
	}
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode)) {
		text_printf(why, "%s is not a file", path);
		return CHAT_ERR_INVALID;
	}
	if (st.st_mode & 077) {
		text_printf(why, "others than its owner can get at %s (mode %04o); type: chmod 600 %s", path,
		    (unsigned)(st.st_mode & 07777), path);
		return CHAT_ERR_PERMISSION;
	}
	return CHAT_OK;
}

/* Up to and with the first line feed; a byte more than allowed, so that too long is seen. */
static enum chat_err
read_line(int fd, const char *path, struct buf *secret, struct text *why)
{
	enum chat_err err = buf_reserve(secret, SECRET_MAX_BYTES + 2);

	if (err != CHAT_OK) {
		text_str(why, chat_strerror(err));
		return err;
	}
	while (secret->len < SECRET_MAX_BYTES + 2) {
		ssize_t n = read(fd, secret->data + secret->len, SECRET_MAX_BYTES + 2 - secret->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			text_printf(why, "%s: %s", path, strerrordesc_np(errno));
			return CHAT_ERR_IO;
		}
		if (n == 0)
			break;
		secret->len += (size_t)n;
		if (memchr(secret->data, '\n', secret->len))
			break;
	}
	return CHAT_OK;
}

enum chat_err
secret_read(const char *path, struct buf *secret, struct text *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	const uint8_t *nl;
	enum chat_err err;

	if (fd < 0) {
		text_printf(why, "%s: %s", path, strerrordesc_np(errno));
		return errno == ENOENT || errno == ENOTDIR ? CHAT_ERR_NOT_FOUND
		       : errno == EACCES                   ? CHAT_ERR_PERMISSION
							   : CHAT_ERR_IO;
	}
	err = check(fd, path, why);
	if (err == CHAT_OK)
		err = read_line(fd, path, secret, why);
	close(fd);
	if (err != CHAT_OK)
		return err;
	nl = secret->len > 0 ? memchr(secret->data, '\n', secret->len) : NULL;
	if (nl)
		secret->len = (size_t)(nl - secret->data);
	if (secret->len > 0 && secret->data[secret->len - 1] == '\r')
		secret->len--;
	if (secret->len == 0 || secret->len > SECRET_MAX_BYTES) {
		text_printf(why,
		    secret->len == 0 ? "%s: its first line is empty" : "%s: its first line is too long",
		    path);
		return CHAT_ERR_INVALID;
	}
	return CHAT_OK;
}
