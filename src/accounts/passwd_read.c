/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accounts/passwd_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts/passwd_why.h"
#include "base/buf.h"

/* Says why a file that is there must not be used, or CHAT_OK. */
static enum chat_err
check_safe(const struct stat *st, const char *path, unsigned flags, struct passwd_why *ret_why)
{
	char word[SHELL_WORD_BYTES];

	if (!S_ISREG(st->st_mode))
		return passwd_why_set(
		    ret_why, CHAT_ERR_PERMISSION, path, 0, "not a regular file; name another");
	if (st->st_mode & 077)
		return passwd_why_set(ret_why, CHAT_ERR_PERMISSION, path, 0,
		    "others than its owner can get at it (mode %04o); type: chmod 600 %s",
		    (unsigned)(st->st_mode & 07777), passwd_shell_word(path, word));
	if (st->st_uid != geteuid() && st->st_uid != 0 &&
	    !((flags & PASSWD_READ_ROOT_ANY_OWNER) && geteuid() == 0))
		return passwd_why_set(ret_why, CHAT_ERR_PERMISSION, path, 0,
		    "its owner (uid %u) is neither root nor this user (uid %u); as root, type: chown %u %s",
		    (unsigned)st->st_uid, (unsigned)geteuid(), (unsigned)geteuid(),
		    passwd_shell_word(path, word));
	return CHAT_OK;
}

enum chat_err
passwd_open(const char *path, unsigned flags, int *ret_fd, struct stat *ret_st, struct passwd_why *ret_why)
{
	enum chat_err err;
	struct stat st;
	/* O_NONBLOCK: the name may be a pipe's, which must be refused and not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return passwd_why_set(
		    ret_why, CHAT_ERR_NOT_FOUND, path, 0, "no such file; chat-passwd(1) makes it");
	if (fd < 0)
		return passwd_why_set(ret_why, errno == EACCES ? CHAT_ERR_PERMISSION : CHAT_ERR_IO, path, 0,
		    "cannot be opened: %s", strerrordesc_np(errno));
	if (fstat(fd, &st) != 0) {
		err = passwd_why_set(
		    ret_why, CHAT_ERR_IO, path, 0, "cannot be looked at: %s", strerrordesc_np(errno));
		goto out;
	}
	err = check_safe(&st, path, flags, ret_why);
	if (err != CHAT_OK)
		goto out;
	*ret_fd = fd;
	*ret_st = st;
	fd = -1;
out:
	if (fd >= 0)
		close(fd);
	return err;
}

enum chat_err
passwd_read_all(int fd, const char *path, struct buf *text, struct passwd_why *ret_why)
{
	for (;;) {
		if (buf_reserve(text, 64 * 1024) != CHAT_OK)
			return passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
		ssize_t n = read(fd, text->data + text->len, 64 * 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return passwd_why_set(
			    ret_why, CHAT_ERR_IO, path, 0, "cannot be read: %s", strerrordesc_np(errno));
		if (n == 0)
			return CHAT_OK;
		text->len += (size_t)n;
		if (text->len > PASSWD_FILE_MAX_BYTES)
			return CHAT_OK; /* the parser refuses it; no need to read what follows */
	}
}

static enum chat_err
load(const char *path, unsigned flags, struct passwd_table **ret_table, struct passwd_why *ret_why)
{
	struct buf text = {0};
	struct stat st;
	int fd = -1;

	enum chat_err err = passwd_open(path, flags, &fd, &st, ret_why);
	if (err != CHAT_OK)
		return err;
	err = passwd_read_all(fd, path, &text, ret_why);
	if (err == CHAT_OK)
		err = passwd_table_parse(buf_bytes(&text), path, ret_table, ret_why);
	buf_fini_secret(&text);
	close(fd);
	return err;
}

enum chat_err
passwd_table_load(const char *path, struct passwd_table **ret_table, struct passwd_why *ret_why)
{
	return load(path, 0, ret_table, ret_why);
}

enum chat_err
passwd_table_load_as_admin(const char *path, struct passwd_table **ret_table, struct passwd_why *ret_why)
{
	return load(path, PASSWD_READ_ROOT_ANY_OWNER, ret_table, ret_why);
}
