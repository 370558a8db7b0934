/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/state_dir.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum chat_err
state_dir_default(char **ret_path)
{
	if (geteuid() == 0) {
		char *path = strdup(STATE_DIR_ROOT);
		if (path == NULL)
			return CHAT_ERR_NOMEM;
		*ret_path = path;
		return CHAT_OK;
	}

	const char *xdg = getenv("XDG_STATE_HOME");
	if (xdg != NULL && xdg[0] == '/')
		return state_dir_file(xdg, "secure-chat", ret_path);

	const char *home = getenv("HOME");
	if (home == NULL || home[0] != '/') {
		const struct passwd *pw = getpwuid(geteuid());
		home = pw != NULL ? pw->pw_dir : NULL;
	}
	if (home == NULL || home[0] != '/')
		return CHAT_ERR_NOT_FOUND;
	return state_dir_file(home, ".local/state/secure-chat", ret_path);
}

enum chat_err
state_dir_file(const char *dir, const char *name, char **ret_path)
{
	size_t len = strlen(dir);
	const char *slash = len > 0 && dir[len - 1] == '/' ? "" : "/";
	char *path;

	if (asprintf(&path, "%s%s%s", dir, slash, name) < 0)
		return CHAT_ERR_NOMEM;
	*ret_path = path;
	return CHAT_OK;
}

/* Makes one directory; one that is there is fine, something else of that name is not. */
static enum chat_err
make_one(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return CHAT_OK;
	if (errno != EEXIST)
		return CHAT_ERR_IO;
	if (stat(path, &st) != 0)
		return CHAT_ERR_IO;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return CHAT_ERR_IO;
	}
	return CHAT_OK;
}

enum chat_err
state_dir_make(const char *dir)
{
	enum chat_err err = CHAT_OK;
	char *path = strdup(dir);

	if (path == NULL)
		return CHAT_ERR_NOMEM;
	for (char *p = path + 1; err == CHAT_OK && path[0] != '\0' && *p != '\0'; p++) {
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		err = make_one(path);
		*p = '/';
	}
	if (err == CHAT_OK)
		err = make_one(path);
	int saved = errno;
	free(path);
	errno = saved;
	return err;
}
