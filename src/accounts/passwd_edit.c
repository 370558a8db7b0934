/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accounts/passwd_edit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts/passwd_hash.h"
#include "accounts/passwd_impl.h"
#include "accounts/passwd_why.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/random.h"

struct passwd_edit {
	char *path; /* owned: without symbolic links, so that rename(2) replaces the file and not a link */
	int fd;     /* of the file that was read; holds the lock */
	struct stat st; /* of the file when it was read */
	bool made;      /* by this edit: an empty file that goes again if there is no commit */
	bool committed;
	struct buf text;            /* the file as it will be */
	struct passwd_table *table; /* text, parsed */
};

/* Makes an empty file where there is none.  CHAT_OK, *ret_made false, if another process was quicker. */
static enum chat_err
make_file(const char *path, bool *ret_made, struct passwd_why *ret_why)
{
	enum chat_err err = CHAT_OK;
	struct stat dir_st;
	char *copy = NULL;
	int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST) {
		struct stat st;
		if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			return passwd_why_set(ret_why, CHAT_ERR_IO, path, 0,
			    "a symbolic link that leads to no file; remove it");
		*ret_made = false;
		return CHAT_OK;
	}
	if (fd < 0)
		return passwd_why_set(ret_why, errno == EACCES ? CHAT_ERR_PERMISSION : CHAT_ERR_IO, path, 0,
		    "cannot be made: %s", strerrordesc_np(errno));
	*ret_made = true;
	if (fchmod(fd, 0600) != 0) /* whatever the umask is */
		goto fail;
	if (geteuid() == 0) {
		/* In the state directory of a service's own user, that user has to be able to read it. */
		copy = strdup(path);
		if (copy == NULL) {
			err = passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
			goto out;
		}
		if (stat(dirname(copy), &dir_st) != 0)
			goto fail;
		if (dir_st.st_uid != 0 && fchown(fd, dir_st.st_uid, dir_st.st_gid) != 0)
			goto fail;
	}
	goto out;
fail:
	err = passwd_why_set(ret_why, CHAT_ERR_IO, path, 0, "cannot be made: %s", strerrordesc_np(errno));
out:
	if (err != CHAT_OK)
		(void)unlink(path); /* it was ours and empty */
	free(copy);
	close(fd);
	return err;
}

static enum chat_err
lock(int fd, unsigned flags, const char *path, struct passwd_why *ret_why)
{
	while (flock(fd, LOCK_EX | (flags & PASSWD_EDIT_NOWAIT ? LOCK_NB : 0)) != 0) {
		if (errno == EWOULDBLOCK)
			return passwd_why_set(
			    ret_why, CHAT_ERR_LOCKED, path, 0, "another program is writing it; try again");
		if (errno != EINTR)
			return passwd_why_set(
			    ret_why, CHAT_ERR_IO, path, 0, "cannot be locked: %s", strerrordesc_np(errno));
	}
	return CHAT_OK;
}

static bool
stat_equal(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

/*
 * Opens and locks the file that has the name *while* the lock is held: who waited for the lock may have got
 * that of a file which the holder has replaced meanwhile.
 */
static enum chat_err
open_locked(struct passwd_edit *edit, unsigned flags, struct passwd_why *ret_why)
{
	for (;;) {
		struct stat named;
		enum chat_err err =
		    passwd_open(edit->path, PASSWD_READ_ROOT_ANY_OWNER, &edit->fd, &edit->st, ret_why);
		if (err == CHAT_ERR_NOT_FOUND && flags & PASSWD_EDIT_CREATE) {
			err = make_file(edit->path, &edit->made, ret_why);
			if (err != CHAT_OK)
				return err;
			continue;
		}
		if (err != CHAT_OK)
			return err;
		err = lock(edit->fd, flags, edit->path, ret_why);
		if (err != CHAT_OK)
			return err;
		if (fstat(edit->fd, &edit->st) == 0 && stat(edit->path, &named) == 0 &&
		    named.st_dev == edit->st.st_dev && named.st_ino == edit->st.st_ino)
			return CHAT_OK;
		close(edit->fd);
		edit->fd = -1;
		edit->made = false; /* what this edit made is not what is there now */
	}
}

enum chat_err
passwd_edit_open(const char *path, unsigned flags, struct passwd_edit **ret_edit, struct passwd_why *ret_why)
{
	enum chat_err err;
	struct passwd_edit *edit = calloc(1, sizeof(*edit));

	if (edit == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory");
	edit->fd = -1;
	edit->path = realpath(path, NULL);
	if (edit->path == NULL && errno == ENOENT)
		edit->path = strdup(path);
	if (edit->path == NULL) {
		err = errno == ENOMEM
			  ? passwd_why_set(ret_why, CHAT_ERR_NOMEM, path, 0, "out of memory")
			  : passwd_why_set(ret_why, errno == EACCES ? CHAT_ERR_PERMISSION : CHAT_ERR_IO, path,
				0, "cannot be found: %s", strerrordesc_np(errno));
		goto out;
	}
	err = open_locked(edit, flags, ret_why);
	if (err != CHAT_OK)
		goto out;
	err = passwd_read_all(edit->fd, edit->path, &edit->text, ret_why);
	if (err != CHAT_OK)
		goto out;
	err = passwd_table_parse(buf_bytes(&edit->text), path, &edit->table, ret_why);
	if (err != CHAT_OK)
		goto out;
	*ret_edit = edit;
	edit = NULL;
out:
	passwd_edit_free(edit);
	return err;
}

void
passwd_edit_free(struct passwd_edit *edit)
{
	struct stat now;

	if (edit == NULL)
		return;
	if (edit->made && !edit->committed && edit->fd >= 0 && stat(edit->path, &now) == 0 &&
	    now.st_ino == edit->st.st_ino && now.st_dev == edit->st.st_dev && now.st_size == 0)
		(void)unlink(edit->path); /* nothing has changed, as promised; an empty file left does no harm
					     either */
	if (edit->fd >= 0)
		close(edit->fd); /* and with it the lock */
	passwd_table_unref(edit->table);
	buf_fini_secret(&edit->text);
	free(edit->path);
	free(edit);
}

const struct passwd_table *
passwd_edit_table(const struct passwd_edit *edit)
{
	return edit->table;
}

/* Where a line is in the text: from start, len bytes without its newline; next is where the following one
 * starts. */
struct span {
	size_t start, len, next;
};

static struct span
find_line(const struct buf *text, unsigned line)
{
	struct span span = {0};

	for (unsigned number = 1;; number++) {
		const uint8_t *from = text->data + span.start;
		const uint8_t *newline = memchr(from, '\n', text->len - span.start);
		span.len = newline != NULL ? (size_t)(newline - from) : text->len - span.start;
		span.next = span.start + span.len + (newline != NULL);
		if (number == line)
			return span;
		assert(newline != NULL); /* the number came from parsing this text */
		span.start = span.next;
	}
}

/* Puts `with` in place of len bytes at start, if the result parses. */
static enum chat_err
replace(struct passwd_edit *edit, size_t start, size_t len, struct bytes with)
{
	struct buf text = {0};
	struct passwd_table *table = NULL;
	struct passwd_why why;

	enum chat_err err = buf_append(&text, edit->text.data, start);
	if (err == CHAT_OK)
		err = buf_append(&text, with.data, with.len);
	if (err == CHAT_OK)
		err = buf_append(&text, edit->text.data + start + len, edit->text.len - start - len);
	if (err != CHAT_OK)
		goto out;
	err = passwd_table_parse(buf_bytes(&text), edit->path, &table, &why);
	if (err == CHAT_ERR_SYNTAX)
		err = CHAT_ERR_TOO_LONG; /* its parts were checked, so it can only be the whole */
	if (err != CHAT_OK)
		goto out;
	passwd_table_unref(edit->table);
	edit->table = table;
	struct buf old = edit->text;
	edit->text = text;
	text = old;
out:
	buf_fini_secret(&text);
	return err;
}

enum chat_err
passwd_edit_add(struct passwd_edit *edit, const char *name, const char *hash)
{
	struct buf line = {0};
	uint8_t id[PASSWD_ID_CHARS / 2];
	char id_hex[PASSWD_ID_CHARS + 1];

	if (!account_name_valid(BYTES_STR(name)) || passwd_hash_field_fault(hash) != NULL)
		return CHAT_ERR_INVALID;
	if (passwd_table_find(edit->table, BYTES_STR(name)) != NULL)
		return CHAT_ERR_EXISTS;
	random_bytes(id, sizeof(id));
	hex_encode(BYTES_ARRAY(id), id_hex);
	bool unended = edit->text.len > 0 && edit->text.data[edit->text.len - 1] != '\n';
	enum chat_err err = buf_printf(&line, "%s%s:%s:id=%s\n", unended ? "\n" : "", name, hash, id_hex);
	if (err == CHAT_OK)
		err = replace(edit, edit->text.len, 0, buf_bytes(&line));
	buf_fini_secret(&line);
	return err;
}

enum chat_err
passwd_edit_set_hash(struct passwd_edit *edit, const char *name, const char *hash, const char *expected_hash)
{
	const struct passwd_entry *entry = passwd_table_find(edit->table, BYTES_STR(name));

	if (passwd_hash_field_fault(hash) != NULL)
		return CHAT_ERR_INVALID;
	if (entry == NULL)
		return CHAT_ERR_NOT_FOUND;
	if (expected_hash != NULL && strcmp(expected_hash, entry->hash) != 0)
		return CHAT_ERR_CONFLICT;
	size_t start = find_line(&edit->text, entry->line).start + strlen(entry->name) + 1;
	return replace(edit, start, strlen(entry->hash), BYTES_STR(hash));
}

/* Writes the flags field with its colon: "" where no flag is left. */
static enum chat_err
write_flags(struct buf *field, bool locked, const char *id)
{
	const char *parts[2];
	size_t count = 0;
	char id_flag[3 + PASSWD_ID_CHARS + 1];
	enum chat_err err = CHAT_OK;

	if (locked)
		parts[count++] = "locked";
	if (id[0] != '\0') {
		(void)snprintf(
		    id_flag, sizeof(id_flag), "id=%s", id); /* fits: the parser checked its length */
		parts[count++] = id_flag;
	}
	for (size_t i = 0; i < count && err == CHAT_OK; i++)
		err = buf_printf(field, "%c%s", i == 0 ? ':' : ',', parts[i]);
	return err;
}

enum chat_err
passwd_edit_set_locked(struct passwd_edit *edit, const char *name, bool locked)
{
	const struct passwd_entry *entry = passwd_table_find(edit->table, BYTES_STR(name));
	struct buf field = {0};

	if (entry == NULL)
		return CHAT_ERR_NOT_FOUND;
	if (entry->locked == locked)
		return CHAT_ERR_ALREADY;
	struct span line = find_line(&edit->text, entry->line);
	size_t before = strlen(entry->name) + 1 + strlen(entry->hash);
	enum chat_err err = write_flags(&field, locked, entry->id);
	if (err == CHAT_OK)
		err = replace(edit, line.start + before, line.len - before, buf_bytes(&field));
	buf_fini(&field);
	return err;
}

enum chat_err
passwd_edit_delete(struct passwd_edit *edit, const char *name)
{
	const struct passwd_entry *entry = passwd_table_find(edit->table, BYTES_STR(name));

	if (entry == NULL)
		return CHAT_ERR_NOT_FOUND;
	struct span line = find_line(&edit->text, entry->line);
	return replace(edit, line.start, line.next - line.start, BYTES_EMPTY);
}

static bool
write_all(int fd, struct bytes from)
{
	while (from.len > 0) {
		ssize_t n = write(fd, from.data, from.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		from.data += n;
		from.len -= (size_t)n;
	}
	return true;
}

/* Makes tmp with the new content, safe on disk.  False with errno set; tmp may be there then. */
static bool
write_new(const struct passwd_edit *edit, const char *tmp)
{
	/* What a killed writer left: only who holds the lock gets here. */
	if (unlink(tmp) != 0 && errno != ENOENT)
		return false;
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	bool ok = fchmod(fd, 0600) == 0 &&
		  (edit->st.st_uid == geteuid() || fchown(fd, edit->st.st_uid, (gid_t)-1) == 0);
	/* The group has no rights to it, so one that cannot be given does not matter. */
	if (ok && fchown(fd, (uid_t)-1, edit->st.st_gid) != 0 && errno != EPERM)
		ok = false;
	ok = ok && write_all(fd, buf_bytes(&edit->text)) && fsync(fd) == 0;
	int saved = errno;
	if (close(fd) != 0 && ok)
		return false;
	errno = saved;
	return ok;
}

static bool
sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	bool ok = fsync(fd) == 0;
	int saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

enum chat_err
passwd_edit_commit(struct passwd_edit *edit, struct passwd_why *ret_why)
{
	enum chat_err err = CHAT_ERR_NOMEM;
	struct stat now;
	char *tmp = NULL, *dir_copy = strdup(edit->path), *base_copy = strdup(edit->path);

	assert(!edit->committed);
	if (dir_copy == NULL || base_copy == NULL)
		goto out_of_memory;
	const char *dir = dirname(dir_copy), *name = basename(base_copy);
	if (asprintf(&tmp, "%s/.%s.new", dir, name) < 0) {
		tmp = NULL;
		goto out_of_memory;
	}
	if (stat(edit->path, &now) != 0 || !stat_equal(&now, &edit->st)) {
		err = passwd_why_set(ret_why, CHAT_ERR_CONFLICT, edit->path, 0,
		    "was changed by another program meanwhile; nothing was written, so try again");
		goto out;
	}
	if (!write_new(edit, tmp) || rename(tmp, edit->path) != 0) {
		int saved = errno;
		(void)unlink(tmp);
		err = passwd_why_set(ret_why, saved == EACCES ? CHAT_ERR_PERMISSION : CHAT_ERR_IO, edit->path,
		    0, "cannot be replaced, and is as it was: %s", strerrordesc_np(saved));
		goto out;
	}
	edit->committed = true;
	if (!sync_dir(dir)) {
		err = passwd_why_set(ret_why, CHAT_ERR_IO, edit->path, 0,
		    "was replaced, but may be the old one after a power failure: %s", strerrordesc_np(errno));
		goto out;
	}
	err = CHAT_OK;
	goto out;
out_of_memory:
	err = passwd_why_set(ret_why, CHAT_ERR_NOMEM, edit->path, 0, "out of memory");
out:
	free(tmp);
	free(dir_copy);
	free(base_copy);
	return err;
}
