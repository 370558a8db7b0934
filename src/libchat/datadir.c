/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/datadir.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state_dir.h"
#include "libchat/text.h"

#define HOME_FOLDER ".local/share/secure-chat"
#define PINS_FILE   "known_servers"

static enum chat_err
join(const char *dir, const char *name, char **ret_path)
{
	return state_dir_file(dir, name, ret_path);
}

enum chat_err
data_dir_default(char **ret_path)
{
	const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	struct passwd pw, *found = NULL;
	char names[1024]; /* of one line of passwd(5) */

	if (xdg && xdg[0] == '/')
		return join(xdg, "secure-chat", ret_path);
	if (!home || home[0] != '/') {
		home = NULL;
		if (getpwuid_r(geteuid(), &pw, names, sizeof(names), &found) == 0 && found)
			home = found->pw_dir;
	}
	if (!home || home[0] != '/')
		return CHAT_ERR_NOT_FOUND;
	return join(home, HOME_FOLDER, ret_path);
}

enum chat_err
data_dir_check_private(const char *path, char **ret_text)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		text_set(ret_text, "%s: %s", path, strerror(errno));
		return CHAT_ERR_IO;
	}
	if (st.st_uid != geteuid()) {
		text_set(ret_text, "%s: it belongs to another user; name a data directory of your own", path);
		return CHAT_ERR_PERMISSION;
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		text_set(ret_text, "%s: others have access to it; type: chmod go= '%s'", path, path);
		return CHAT_ERR_PERMISSION;
	}
	return CHAT_OK;
}

/* The folder, made with what is missing above it if asked to. */
static enum chat_err
look_private(const char *path, enum data_dir_use use, char **ret_text)
{
	enum chat_err err;

	if (use == DATA_DIR_LOOK && access(path, F_OK) != 0 && errno == ENOENT)
		return CHAT_ERR_NOT_FOUND;
	err = use == DATA_DIR_MAKE ? state_dir_make(path) : CHAT_OK;

	if (err == CHAT_ERR_IO) {
		text_set(ret_text, "%s: cannot be made: %s", path, strerror(errno));
		if (errno == EACCES || errno == EPERM || errno == EROFS)
			err = CHAT_ERR_PERMISSION;
	}
	return err ? err : data_dir_check_private(path, ret_text);
}

/* The root as configured, or the default. */
static enum chat_err
root_path(const char *root, char **ret_path)
{
	if (!root)
		return data_dir_default(ret_path);
	*ret_path = strdup(root);
	return *ret_path ? CHAT_OK : CHAT_ERR_NOMEM;
}

enum chat_err
data_dir_open(const char *root, enum data_dir_use use, const struct server_name *server,
    const struct account_name *account, struct data_dir *ret, char **ret_text)
{
	char shown[SERVER_NAME_CHARS], *server_dir = NULL;
	struct data_dir dir = {0};
	enum chat_err err;

	err = root_path(root, &dir.root);
	if (err == CHAT_ERR_NOT_FOUND)
		text_set(ret_text, "no home directory is known; name a data directory");
	if (err)
		goto out;
	server_name_show(server, shown);
	err = join(dir.root, PINS_FILE, &dir.pins);
	if (!err)
		err = join(dir.root, shown, &server_dir);
	if (!err)
		err = join(server_dir, account->s, &dir.account);
	if (!err)
		err = look_private(dir.root, use, ret_text);
	if (!err)
		err = look_private(server_dir, use, ret_text);
	if (!err)
		err = look_private(dir.account, use, ret_text);
	if (err)
		goto out;
	*ret = dir;
	dir = (struct data_dir){0};
out:
	free(server_dir);
	data_dir_fini(&dir);
	return err;
}

void
data_dir_fini(struct data_dir *dir)
{
	free(dir->root);
	free(dir->account);
	free(dir->pins);
	*dir = (struct data_dir){0};
}

enum chat_err
data_dir_pins(const char *root, char **ret_path)
{
	char *dir = NULL;
	enum chat_err err = root_path(root, &dir);

	if (!err)
		err = join(dir, PINS_FILE, ret_path);
	free(dir);
	return err;
}
