/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/state_dir.h"

/* The default as user `uid` in a child; the exit status says whether it is `expected` (NULL: none is known).
 */
static void
check_default(uid_t uid, const char *xdg, const char *home, const char *expected)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		char *path = NULL;

		if ((uid != geteuid() && setresuid(uid, uid, uid) != 0) ||
		    (xdg != NULL ? setenv("XDG_STATE_HOME", xdg, 1) : unsetenv("XDG_STATE_HOME")) != 0 ||
		    (home != NULL ? setenv("HOME", home, 1) : unsetenv("HOME")) != 0)
			_exit(2);
		enum chat_err err = state_dir_default(&path);
		if (expected == NULL)
			_exit(err == CHAT_ERR_NOT_FOUND ? 0 : 1);
		_exit(err == CHAT_OK && strcmp(path, expected) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 0)
		fail_msg("uid %u, XDG_STATE_HOME %s, HOME %s: not %s", (unsigned)uid, xdg ? xdg : "unset",
		    home ? home : "unset", expected ? expected : "refused");
}

TEST(default_of_root)
{
	if (geteuid() != 0) {
		print_message("# only root can see root's default\n");
		skip();
	}
	check_default(0, "/elsewhere", "/root", "/var/lib/secure-chat");
}

TEST(default_of_a_user)
{
	/* A user without a passwd(5) entry, so that HOME is the last resort. */
	uid_t uid = geteuid() == 0 ? 54321 : geteuid();

	check_default(uid, "/state", "/home/u", "/state/secure-chat");
	check_default(uid, "/state/", "/home/u", "/state/secure-chat");
	check_default(uid, NULL, "/home/u", "/home/u/.local/state/secure-chat");
	check_default(uid, "", "/home/u", "/home/u/.local/state/secure-chat");
	check_default(uid, "relative", "/home/u", "/home/u/.local/state/secure-chat");
	if (geteuid() == 0) {
		check_default(uid, NULL, NULL, NULL);
		check_default(uid, "relative", "relative", NULL);
	}
}

TEST(file)
{
	char *path;

	assert_ok(state_dir_file("/x", STATE_PASSWD, &path));
	assert_string_equal(path, "/x/passwd");
	free(path);
	assert_ok(state_dir_file("./x/", STATE_CONTROL, &path));
	assert_string_equal(path, "./x/control");
	free(path);
}

TEST(make)
{
	char *top = unit_temp_dir(), *deep, *file;
	struct stat st;

	assert_ok(state_dir_file(top, "a//b/c", &deep));
	assert_ok(state_dir_make(deep));
	assert_int_equal(stat(deep, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);

	/* One that is there stays as it is. */
	assert_int_equal(chmod(deep, 0750), 0);
	assert_ok(state_dir_make(deep));
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);

	assert_ok(state_dir_file(deep, "file", &file));
	FILE *f = fopen(file, "wxe");
	assert_non_null(f);
	fclose(f);
	errno = 0;
	assert_err(state_dir_make(file), CHAT_ERR_IO);
	assert_int_equal(errno, ENOTDIR);
	free(deep);
	assert_ok(state_dir_file(file, "below", &deep));
	assert_err(state_dir_make(deep), CHAT_ERR_IO);
	assert_int_equal(errno, ENOTDIR);
	assert_err(state_dir_make(""), CHAT_ERR_IO);
	assert_int_equal(errno, ENOENT);
	free(deep);
	free(file);
	free(top);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(default_of_root),
	    cmocka_unit_test(default_of_a_user),
	    cmocka_unit_test(file),
	    cmocka_unit_test(make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
