/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Small files, read whole and replaced whole: keys, certificates, pins. */

#include "tls/tls_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum chat_err
tls_file_err(int errno_value)
{
	switch (errno_value) {
	case ENOENT:
		return CHAT_ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return CHAT_ERR_PERMISSION;
	case ENOMEM:
		return CHAT_ERR_NOMEM;
	case EEXIST:
		return CHAT_ERR_EXISTS;
	default:
		return CHAT_ERR_IO;
	}
}

void
tls_file_free(gnutls_datum_t *data)
{
	if (data->data)
		explicit_bzero(data->data, data->size);
	free(data->data);
	data->data = NULL;
	data->size = 0;
}

/* Closes fd (if any) and keeps the errno of what came before. */
static void
close_keep(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

enum chat_err
tls_file_read(const char *path, size_t max, gnutls_datum_t *ret_data, unsigned *ret_mode)
{
	gnutls_datum_t data = {.data = NULL, .size = 0};
	enum chat_err err = CHAT_OK;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err = tls_file_err(errno);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		err = CHAT_ERR_IO;
		goto out;
	}
	if ((size_t)st.st_size > max) {
		errno = EFBIG;
		err = CHAT_ERR_RANGE;
		goto out;
	}
	data.data = malloc((size_t)st.st_size + 1);
	if (!data.data) {
		err = CHAT_ERR_NOMEM;
		goto out;
	}
	while (data.size < (size_t)st.st_size) {
		ssize_t got = read(fd, data.data + data.size, (size_t)st.st_size - data.size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err = tls_file_err(errno);
			goto out;
		}
		if (got == 0)
			break;
		data.size += (unsigned)got;
	}
	data.data[data.size] = '\0';
	*ret_data = data;
	data.data = NULL;
	if (ret_mode)
		*ret_mode = st.st_mode;
out:
	close_keep(fd);
	if (err != CHAT_OK) {
		int saved = errno;

		tls_file_free(&data);
		errno = saved;
	}
	return err;
}

static int
write_all(int fd, const uint8_t *from, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, from, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		from += put;
		n -= (size_t)put;
	}
	return 0;
}

enum chat_err
tls_file_write_temp(const char *path, const void *from, size_t n, unsigned mode, char **ret_temp)
{
	char *temp = NULL;
	int fd = -1;

	if (asprintf(&temp, "%s.XXXXXX", path) < 0)
		return CHAT_ERR_NOMEM;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0) {
		free(temp);
		return tls_file_err(errno);
	}
	if (write_all(fd, from, n) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0) {
		close_keep(fd);
		goto fail;
	}
	if (close(fd) < 0)
		goto fail;
	*ret_temp = temp;
	return CHAT_OK;
fail : {
	int saved = errno;

	unlink(temp);
	free(temp);
	errno = saved;
	return tls_file_err(saved);
}
}

static int
sync_folder_of(const char *path)
{
	char *copy = strdup(path);
	int fd, ret = -1;

	if (!copy)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -1;
	ret = fsync(fd);
	close_keep(fd);
	return ret;
}

enum chat_err
tls_file_commit(const char *temp, const char *path, bool replace)
{
	int saved;

	/* link() fails where rename() would replace. */
	if (replace ? rename(temp, path) < 0 : link(temp, path) < 0) {
		saved = errno;
		unlink(temp);
		errno = saved;
		return tls_file_err(saved);
	}
	if (!replace)
		unlink(temp);
	return sync_folder_of(path) < 0 ? tls_file_err(errno) : CHAT_OK;
}
