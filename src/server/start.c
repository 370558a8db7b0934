/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/start.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts/passwd_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/state_dir.h"
#include "store/store.h"
#include "tls/tls_identity.h"

static enum chat_err
no_memory(struct passwd_why *ret_why)
{
	return passwd_why_set(ret_why, CHAT_ERR_NOMEM, NULL, 0, "out of memory");
}

const char *
start_mend(const struct start_mend *mends, enum chat_err err)
{
	while (mends->mend != NULL && mends->err != err)
		mends++;
	return mends->mend != NULL ? mends->mend : "";
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* ---- looking ---- */

static enum chat_err
look_at_state_dir(const char *dir, struct passwd_why *ret_why)
{
	struct stat st;

	if (stat(dir, &st) != 0) {
		if (errno == ENOENT)
			return CHAT_OK; /* start_open() makes it, or cannot */
		return passwd_why_set(ret_why, CHAT_ERR_IO, dir, 0,
		    "the state directory cannot be used: %s; name another one with -d", strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return passwd_why_set(
		    ret_why, CHAT_ERR_IO, dir, 0, "is not a directory; name the state directory with -d");
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		char word[SHELL_WORD_BYTES];

		return passwd_why_set(ret_why, CHAT_ERR_PERMISSION, dir, 0,
		    "others may write to the state directory; mend it with: chmod 700 %s",
		    passwd_shell_word(dir, word));
	}
	if (access(dir, R_OK | W_OK | X_OK) != 0)
		return passwd_why_set(ret_why, CHAT_ERR_PERMISSION, dir, 0,
		    "the state directory may not be written by this user (uid %u); "
		    "start the server as its owner, or name another one with -d",
		    (unsigned)geteuid());
	return CHAT_OK;
}

/* The other server's pid, which it has written into its lock. */
static void
who_holds(int fd, char *text, size_t size)
{
	char pid[16];
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

	text[0] = '\0';
	if (n <= 1)
		return;
	pid[n] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	(void)snprintf(text, size, " (pid %s)", pid);
}

/* flags: O_CREAT to make the file.  *ret_fd is -1 where there is none. */
static enum chat_err
lock(const char *dir, int flags, int *ret_fd, struct passwd_why *ret_why)
{
	enum chat_err err = CHAT_OK;
	char holder[32], *path;
	int fd = -1;

	if (state_dir_file(dir, STATE_LOCK, &path) != CHAT_OK)
		return no_memory(ret_why);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | flags, 0600);
	if (fd < 0) {
		if (errno != ENOENT || (flags & O_CREAT) != 0)
			err = passwd_why_set(ret_why, CHAT_ERR_IO, path, 0,
			    "the lock cannot be opened: %s; mend its owner or mode", strerror(errno));
		goto out;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		who_holds(fd, holder, sizeof holder);
		err =
		    errno == EWOULDBLOCK
			? passwd_why_set(ret_why, CHAT_ERR_LOCKED, dir, 0,
			      "another chat-server%s runs on this state directory; stop it, or name another "
			      "directory with -d",
			      holder)
			: passwd_why_set(
			      ret_why, CHAT_ERR_IO, path, 0, "cannot be locked: %s", strerror(errno));
		goto out;
	}
	*ret_fd = fd;
	fd = -1;
out:
	if (fd >= 0)
		(void)close(fd);
	free(path);
	return err;
}

static enum chat_err
look_at_passwords(const struct config *config, size_t *ret_count, struct passwd_why *ret_why)
{
	struct passwd_table *table = NULL;
	enum chat_err err = passwd_table_load(config->password_file, &table, ret_why);

	if (err == CHAT_ERR_NOT_FOUND) {
		*ret_count = 0;
		return CHAT_OK;
	}
	if (err != CHAT_OK)
		return err;
	*ret_count = passwd_table_count(table);
	passwd_table_unref(table);
	return CHAT_OK;
}

static enum chat_err
load_identity(const struct config *config, struct tls_identity **ret_identity, struct passwd_why *ret_why)
{
	char why[TLS_WHY_CHARS];
	enum chat_err err = tls_identity_load(config->tls_key, config->tls_cert, why, ret_identity);

	return err == CHAT_OK ? CHAT_OK : passwd_why_set(ret_why, err, NULL, 0, "%s", why);
}

static enum chat_err
make_identity(const struct config *config, bool *ret_made, struct passwd_why *ret_why)
{
	char why[TLS_WHY_CHARS];
	enum chat_err err =
	    tls_identity_ensure(config->tls_key, config->tls_cert, clock_unix_ms(), why, ret_made);

	return err == CHAT_OK ? CHAT_OK : passwd_why_set(ret_why, err, NULL, 0, "%s", why);
}

static enum chat_err
look_at_identity(const struct config *config, struct start *start, struct passwd_why *ret_why)
{
	bool key = exists(config->tls_key), cert = exists(config->tls_cert), made = false;

	if (key && cert)
		return load_identity(config, &start->identity, ret_why);
	/* A certificate without its key is refused, and nothing is made. */
	if (cert)
		return make_identity(config, &made, ret_why);
	return CHAT_OK;
}

/* Whether log_open() will work, as far as that can be told without making the file. */
static enum chat_err
look_at_log(const struct config *config, struct passwd_why *ret_why)
{
	const char *path = config->log_file;
	enum chat_err err = CHAT_OK;
	char *copy;

	if (path == NULL || access(path, W_OK) == 0)
		return CHAT_OK;
	if (errno != ENOENT)
		return passwd_why_set(ret_why, CHAT_ERR_IO, path, 0,
		    "the log may not be written: %s; mend its mode, or change log_file", strerror(errno));
	copy = strdup(path);
	if (copy == NULL)
		return no_memory(ret_why);
	if (access(dirname(copy), W_OK | X_OK) != 0 &&
	    (errno != ENOENT || strncmp(path, config->state_dir, strlen(config->state_dir)) != 0))
		err = passwd_why_set(ret_why, CHAT_ERR_IO, path, 0,
		    "the log cannot be made there: %s; make the directory, or change log_file",
		    strerror(errno));
	free(copy);
	return err;
}

enum chat_err
start_lock(const struct config *config, struct start *start, struct passwd_why *ret_why)
{
	enum chat_err err = look_at_state_dir(config->state_dir, ret_why);

	return err == CHAT_OK ? lock(config->state_dir, 0, &start->lock_fd, ret_why) : err;
}

enum chat_err
start_look(const struct config *config, struct start *start, struct passwd_why *ret_why)
{
	enum chat_err err = look_at_passwords(config, &start->accounts, ret_why);

	if (err == CHAT_OK)
		err = look_at_identity(config, start, ret_why);
	if (err == CHAT_OK)
		err = look_at_log(config, ret_why);
	return err;
}

/* ---- opening ---- */

static enum chat_err
make_state_dir(const char *dir, struct passwd_why *ret_why)
{
	if (state_dir_make(dir) == CHAT_OK)
		return CHAT_OK;
	return passwd_why_set(ret_why, CHAT_ERR_IO, dir, 0,
	    "the state directory cannot be made: %s; make it for this user, or name another one with -d",
	    strerror(errno));
}

/* For who wants to know who holds it; the lock is flock(2)'s and not the number's. */
static void
write_pid(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());

	if (ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
}

static const struct start_mend database_mends[] = {
    {CHAT_ERR_NEWER, "; start the newer chat-server, or restore a backup made by this one"},
    {CHAT_ERR_CORRUPT, "; chat-server --check says more; restore a backup"},
    {CHAT_ERR_INVALID, "; move it away, or name another state directory with -d"},
    {CHAT_ERR_PERMISSION, "; mend its owner or mode"},
    {CHAT_ERR_LOCKED, "; end the program that has it open"},
    {CHAT_OK, NULL},
};

static enum chat_err
open_database(const struct config *config, struct start *start, struct passwd_why *ret_why)
{
	const struct store_options options = {.vfs = NULL};
	char error[STORE_ERROR_BYTES], *path;
	enum chat_err err;

	if (state_dir_file(config->state_dir, STATE_DATABASE, &path) != CHAT_OK)
		return no_memory(ret_why);
	err = store_open(path, &options, &start->store, error);
	free(path);
	return err == CHAT_OK
		   ? CHAT_OK
		   : passwd_why_set(ret_why, err, NULL, 0, "%s%s", error, start_mend(database_mends, err));
}

static enum chat_err
open_identity(const struct config *config, struct start *start, struct passwd_why *ret_why)
{
	enum chat_err err;

	if (start->identity != NULL)
		return CHAT_OK;
	err = make_identity(config, &start->identity_made, ret_why);
	return err == CHAT_OK ? load_identity(config, &start->identity, ret_why) : err;
}

static enum chat_err
database_exists(const struct config *config, bool *ret, struct passwd_why *ret_why)
{
	char *path;

	if (state_dir_file(config->state_dir, STATE_DATABASE, &path) != CHAT_OK)
		return no_memory(ret_why);
	*ret = exists(path);
	free(path);
	return CHAT_OK;
}

enum chat_err
start_open(const struct config *config, struct start *start, struct passwd_why *ret_why)
{
	bool old_database = false;
	enum chat_err err = make_state_dir(config->state_dir, ret_why);

	if (err == CHAT_OK && start->lock_fd < 0)
		err = lock(config->state_dir, O_CREAT, &start->lock_fd, ret_why);
	if (err == CHAT_OK)
		err = database_exists(config, &old_database, ret_why);
	/* What is there may be refused; what is not there is made after that. */
	if (err == CHAT_OK && old_database)
		err = open_database(config, start, ret_why);
	if (err == CHAT_OK)
		err = open_identity(config, start, ret_why);
	if (err == CHAT_OK && !old_database)
		err = open_database(config, start, ret_why);
	if (err == CHAT_OK && log_open(config->log_file) != CHAT_OK)
		err = passwd_why_set(ret_why, CHAT_ERR_IO, config->log_file, 0,
		    "the log cannot be opened: %s; change log_file", strerror(errno));
	if (err == CHAT_OK)
		write_pid(start->lock_fd);
	return err;
}

void
start_fini(struct start *start)
{
	/* Whoever finds the lock taken from now on shall not be told this pid. */
	if (start->store != NULL)
		(void)!ftruncate(start->lock_fd, 0);
	store_close(start->store);
	tls_identity_unref(start->identity);
	if (start->lock_fd >= 0)
		(void)close(start->lock_fd);
	*start = (struct start){.lock_fd = -1};
}
