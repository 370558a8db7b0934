/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/chat_passwd.h"

#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounts/passwd_edit.h"
#include "accounts/passwd_file.h"
#include "accounts/passwd_hash.h"
#include "accounts/passwd_why.h"
#include "base/digest.h"
#include "base/state_dir.h"
#include "tls/tls_identity.h"
#include "tools/ask_password.h"

void
complain(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("chat-passwd: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

static int
out_of_memory(void)
{
	complain("out of memory");
	return EXIT_FAILURE;
}

static int
complain_why(const struct passwd_why *why)
{
	complain("%s", why->text);
	return EXIT_FAILURE;
}

/* The options that name the same file again, as they can be typed.  Static storage, until the next call. */
static const char *
same_file(const struct options *opt)
{
	static char text[SHELL_WORD_BYTES + 8];
	char word[SHELL_WORD_BYTES];

	if (opt->file != NULL)
		(void)snprintf(text, sizeof(text), " -f %s", passwd_shell_word(opt->file, word));
	else if (opt->dir != NULL)
		(void)snprintf(text, sizeof(text), " -d %s", passwd_shell_word(opt->dir, word));
	else
		text[0] = '\0';
	return text;
}

static int
no_account(const struct options *opt)
{
	struct passwd_why why;

	passwd_why_set(&why, CHAT_ERR_NOT_FOUND, opt->file_path, 0,
	    "no account '%.80s'; those that there are: chat-passwd%s list", opt->name, same_file(opt));
	return complain_why(&why);
}

/* Reading passwords --------------------------------------------------------------- */

/* Says why a password was not had.  Returns false, for `return`. */
static bool
not_had(enum chat_err err, bool from_stdin)
{
	switch ((int)err) {
	case CHAT_ERR_NOT_FOUND:
		complain(
		    from_stdin
			? "no line on standard input, where the password should be"
			: "no terminal to ask for the password; with --stdin it is read from standard input");
		break;
	case CHAT_ERR_TOO_LONG:
		complain(
		    "the password is longer than %d bytes, which is the most", PASSWD_PASSWORD_MAX_BYTES);
		break;
	default:
		complain("the password cannot be read: %s", strerror(errno));
		break;
	}
	return false;
}

/* One password, as it comes; the caller wipes it. */
static bool
get_password(const struct options *opt, const char *question, struct password *ret_password)
{
	char prompt[ACCOUNT_NAME_MAX_BYTES + 64];
	enum chat_err err;

	(void)snprintf(prompt, sizeof(prompt), "%s for %s: ", question, opt->name);
	err = opt->from_stdin ? password_read_stdin(ret_password) : password_ask(prompt, ret_password);
	return err == CHAT_OK || not_had(err, opt->from_stdin);
}

/* A password that may be set: asked for twice on a terminal. */
static bool
get_new_password(const struct options *opt, struct password *ret_password)
{
	struct password again = {0};

	if (!get_password(opt, "New password", ret_password))
		return false;
	switch ((int)passwd_password_check(password_bytes(ret_password))) {
	case CHAT_OK:
		break;
	case CHAT_ERR_TOO_LONG:
		return not_had(CHAT_ERR_TOO_LONG, opt->from_stdin);
	default:
		complain(ret_password->len == 0
			     ? "an empty password will not do; nothing was changed"
			     : "a password is UTF-8 without control characters; nothing was changed");
		return false;
	}
	if (opt->from_stdin)
		return true;
	if (!get_password(opt, "The same password again", &again))
		return false;
	bool same = password_equal(ret_password, &again);
	password_wipe(&again);
	if (!same)
		complain("the two passwords are not the same; nothing was changed");
	return same;
}

/* Asks for a new password and hashes it. */
static bool
get_new_hash(const struct options *opt, char ret_hash[static PASSWD_HASH_MAX_BYTES])
{
	struct password password = {0};
	struct passwd_hasher *hasher = NULL;
	enum chat_err err;
	bool ok = get_new_password(opt, &password);

	if (!ok)
		goto out;
	err = passwd_hasher_new(&hasher);
	if (err == CHAT_OK)
		err = passwd_hash(hasher, password_bytes(&password), ret_hash);
	ok = err == CHAT_OK;
	if (!ok)
		complain(
		    "the password cannot be hashed, which takes 16 MiB of memory: %s", chat_strerror(err));
out:
	passwd_hasher_free(hasher);
	password_wipe(&password);
	return ok;
}

/* Commands: each returns the exit status ------------------------------------------ */

/* The fingerprint of the server whose state is in dir_path, in hex; false where it has none that can be read.
 */
static bool
find_fingerprint(const struct options *opt, char ret_hex[static DIGEST_HEX_CHARS + 1])
{
	char *key = NULL, *cert = NULL;
	char why[TLS_WHY_CHARS];
	struct tls_identity *identity = NULL;
	bool found = false;

	if (state_dir_file(opt->dir_path, STATE_TLS_KEY, &key) != CHAT_OK ||
	    state_dir_file(opt->dir_path, STATE_TLS_CERT, &cert) != CHAT_OK)
		goto out;
	enum chat_err err = tls_identity_load(key, cert, why, &identity);
	found = err == CHAT_OK;
	if (found)
		digest_hex(tls_identity_fingerprint(identity), ret_hex);
	else if (err != CHAT_ERR_NOT_FOUND)
		complain("the server's fingerprint is not in the line below: %s", why);
out:
	tls_identity_unref(identity);
	free(key);
	free(cert);
	return found;
}

/* Prints what the new user has to type. */
static void
print_line_for_user(const struct options *opt)
{
	char own_name[256] = "", hex[DIGEST_HEX_CHARS + 1];
	bool known = find_fingerprint(opt, hex);

	if (gethostname(own_name, sizeof(own_name) - 1) != 0 || own_name[0] == '\0')
		(void)snprintf(own_name, sizeof(own_name), "localhost");
	printf("chat-client -u %s%s%s %s %s\n", opt->name, known ? " --fingerprint " : "", known ? hex : "",
	    opt->host != NULL ? opt->host : own_name, opt->port != NULL ? opt->port : DEFAULT_PORT);
}

/* Whether the account is there, before a password is asked for; the edit decides. */
static enum chat_err
look_for_account(const struct options *opt, bool *ret_found, struct passwd_why *ret_why)
{
	struct passwd_table *table = NULL;
	enum chat_err err = passwd_table_load_as_admin(opt->file_path, &table, ret_why);

	if (err != CHAT_OK)
		return err;
	*ret_found = passwd_table_find(table, BYTES_STR(opt->name)) != NULL;
	passwd_table_unref(table);
	return CHAT_OK;
}

static int
exists_already(const struct options *opt)
{
	complain("%s: there is an account '%s'; for a new password: chat-passwd%s passwd %s", opt->file_path,
	    opt->name, same_file(opt), opt->name);
	return EXIT_FAILURE;
}

/* Before a password is asked for: whether the file can be made.  False: said why. */
static bool
directory_is_there(const struct options *opt)
{
	char word[SHELL_WORD_BYTES], *copy = strdup(opt->file_path);

	if (copy == NULL)
		return out_of_memory() == EXIT_SUCCESS;
	const char *dir = dirname(copy);
	bool ok = access(dir, W_OK | X_OK) == 0;
	if (!ok && errno == ENOENT)
		complain(
		    "%s: no such directory; type: mkdir -p -m 700 %s", dir, passwd_shell_word(dir, word));
	else if (!ok)
		complain("%s: no file can be made there: %s", dir, strerror(errno));
	free(copy);
	return ok;
}

int
cmd_add(const struct options *opt)
{
	int status = EXIT_FAILURE;
	bool found = false;
	char hash[PASSWD_HASH_MAX_BYTES];
	struct passwd_why why;
	struct passwd_edit *edit = NULL;
	enum chat_err err;

	if (!account_name_valid(BYTES_STR(opt->name))) {
		passwd_why_set(&why, CHAT_ERR_INVALID, NULL, 0,
		    "'%.80s' cannot be an account's name, which is " ACCOUNT_NAME_RULE, opt->name);
		return complain_why(&why);
	}
	/* A state directory is made; a directory of -f is not, since it may be misspelt. */
	if (opt->file == NULL && state_dir_make(opt->dir_path) != CHAT_OK) {
		complain("%s: the directory cannot be made: %s", opt->dir_path, strerror(errno));
		return EXIT_FAILURE;
	}
	err = look_for_account(opt, &found, &why);
	if (err != CHAT_OK && err != CHAT_ERR_NOT_FOUND)
		return complain_why(&why);
	if (found)
		return exists_already(opt);
	if (err == CHAT_ERR_NOT_FOUND && !directory_is_there(opt))
		return EXIT_FAILURE;
	if (!get_new_hash(opt, hash))
		return EXIT_FAILURE;

	err = passwd_edit_open(opt->file_path, PASSWD_EDIT_CREATE, &edit, &why);
	if (err != CHAT_OK) {
		status = complain_why(&why);
		goto out;
	}
	err = passwd_edit_add(edit, opt->name, hash);
	if (err == CHAT_ERR_EXISTS) {
		status = exists_already(opt);
		goto out;
	}
	if (err != CHAT_OK) {
		complain("%s: '%s' cannot be added: %s", opt->file_path, opt->name, chat_strerror(err));
		goto out;
	}
	if (passwd_edit_commit(edit, &why) != CHAT_OK) {
		status = complain_why(&why);
		goto out;
	}
	printf("Added %s to %s.  The line for %s to type:\n", opt->name, opt->file_path, opt->name);
	print_line_for_user(opt);
	status = EXIT_SUCCESS;
out:
	passwd_edit_free(edit);
	explicit_bzero(hash, sizeof(hash));
	return status;
}

/* Changes one account that is there.  CHAT_ERR_ALREADY from change() is fine, and said. */
static int
edit_account(const struct options *opt,
    enum chat_err (*change)(struct passwd_edit *edit, const char *name, const void *arg), const void *arg,
    const char *done)
{
	int status = EXIT_FAILURE;
	struct passwd_why why;
	struct passwd_edit *edit = NULL;
	enum chat_err err = passwd_edit_open(opt->file_path, 0, &edit, &why);

	if (err != CHAT_OK) {
		status = complain_why(&why);
		goto out;
	}
	err = change(edit, opt->name, arg);
	if (err == CHAT_ERR_NOT_FOUND) {
		status = no_account(opt);
		goto out;
	}
	if (err == CHAT_ERR_ALREADY) {
		printf("%s %s already.\n", opt->name, done);
		status = EXIT_SUCCESS;
		goto out;
	}
	if (err != CHAT_OK) {
		complain("%s: '%s' cannot be changed: %s", opt->file_path, opt->name, chat_strerror(err));
		goto out;
	}
	if (passwd_edit_commit(edit, &why) != CHAT_OK) {
		status = complain_why(&why);
		goto out;
	}
	printf("%s %s.\n", opt->name, done);
	status = EXIT_SUCCESS;
out:
	passwd_edit_free(edit);
	return status;
}

static enum chat_err
change_hash(struct passwd_edit *edit, const char *name, const void *hash)
{
	return passwd_edit_set_hash(edit, name, hash, NULL);
}

static enum chat_err
change_locked(struct passwd_edit *edit, const char *name, const void *locked)
{
	return passwd_edit_set_locked(edit, name, *(const bool *)locked);
}

static enum chat_err
change_delete(struct passwd_edit *edit, const char *name, const void *unused)
{
	(void)unused;
	return passwd_edit_delete(edit, name);
}

int
cmd_passwd(const struct options *opt)
{
	bool found = false;
	char hash[PASSWD_HASH_MAX_BYTES];
	struct passwd_why why;

	if (look_for_account(opt, &found, &why) != CHAT_OK)
		return complain_why(&why);
	if (!found)
		return no_account(opt);
	if (!get_new_hash(opt, hash))
		return EXIT_FAILURE;
	int status = edit_account(opt, change_hash, hash, "has the new password");
	explicit_bzero(hash, sizeof(hash));
	return status;
}

int
cmd_lock(const struct options *opt)
{
	return edit_account(opt, change_locked, &(const bool){true}, "is locked");
}

int
cmd_unlock(const struct options *opt)
{
	return edit_account(opt, change_locked, &(const bool){false}, "is unlocked");
}

int
cmd_del(const struct options *opt)
{
	return edit_account(opt, change_delete, NULL, "is deleted");
}

int
cmd_list(const struct options *opt)
{
	int width = 0;
	struct passwd_why why;
	struct passwd_table *table = NULL;

	if (passwd_table_load_as_admin(opt->file_path, &table, &why) != CHAT_OK)
		return complain_why(&why);
	size_t count = passwd_table_count(table);
	for (size_t i = 0; i < count; i++) {
		int len = (int)strlen(passwd_table_at(table, i)->name);
		width = len > width ? len : width;
	}
	for (size_t i = 0; i < count; i++) {
		const struct passwd_entry *entry = passwd_table_at(table, i);
		printf("%-*s  %-6s  %s\n", width, entry->name, entry->locked ? "locked" : "active",
		    passwd_hash_scheme(entry->hash));
	}
	passwd_table_unref(table);
	return EXIT_SUCCESS;
}

int
cmd_verify(const struct options *opt)
{
	int status = EXIT_FAILURE;
	struct password password = {0};
	struct passwd_why why;
	struct passwd_table *table = NULL;
	struct passwd_hasher *hasher = NULL;

	if (passwd_table_load_as_admin(opt->file_path, &table, &why) != CHAT_OK)
		return complain_why(&why);
	const struct passwd_entry *entry = passwd_table_find(table, BYTES_STR(opt->name));
	if (entry == NULL) {
		status = no_account(opt);
		goto out;
	}
	if (!get_password(opt, "Password", &password))
		goto out;
	if (passwd_hasher_new(&hasher) != CHAT_OK) {
		status = out_of_memory();
		goto out;
	}
	switch (passwd_verify(hasher, entry, password_bytes(&password))) {
	case PASSWD_RIGHT:
		printf("The password of %s is right.\n", opt->name);
		status = EXIT_SUCCESS;
		break;
	case PASSWD_LOCKED:
		complain(
		    "%s is locked; to unlock: chat-passwd%s unlock %s", opt->name, same_file(opt), opt->name);
		break;
	case PASSWD_FAILED:
		complain("the hash of %s cannot be computed: out of memory", opt->name);
		break;
	case PASSWD_NO_ACCOUNT:
	case PASSWD_WRONG:
		complain("wrong password for %s", opt->name);
		break;
	}
out:
	passwd_hasher_free(hasher);
	password_wipe(&password);
	passwd_table_unref(table);
	return status;
}
