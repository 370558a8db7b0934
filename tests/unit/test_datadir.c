/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libchat/datadir.h"

static struct account_name
account(const char *s)
{
	struct account_name name;

	assert_ok(account_name_set(BYTES_STR(s), &name));
	return name;
}

static struct server_name
server(const char *host, const char *port)
{
	struct server_name name;

	assert_ok(server_name_set(host, port, &name));
	return name;
}

static void
set_env(const char *name, const char *value)
{
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void
expect_default(const char *xdg, const char *home, const char *expected)
{
	char *path = NULL;

	set_env("XDG_DATA_HOME", xdg);
	set_env("HOME", home);
	assert_ok(data_dir_default(&path));
	assert_string_equal(path, expected);
	free(path);
}

TEST(default_folder)
{
	char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL, *path = NULL;

	expect_default("/x/data", "/home/h", "/x/data/secure-chat");
	expect_default("", "/home/h", "/home/h/.local/share/secure-chat");
	expect_default(NULL, "/home/h", "/home/h/.local/share/secure-chat");
	expect_default("relative", "/home/h/", "/home/h/.local/share/secure-chat");
	set_env("HOME", NULL); /* then the password file's */
	assert_ok(data_dir_default(&path));
	assert_int_equal(path[0], '/');
	free(path);
	set_env("HOME", home);
	free(home);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

TEST(folders_are_made_private)
{
	struct account_name alice = account("alice");
	struct server_name name = server("Chat.Example", NULL), v6 = server("[::1]", "99");
	char *base = unit_temp_dir(), *root = NULL, *expected = NULL, *text = NULL;
	struct data_dir dir;
	mode_t mask = umask(0);

	assert_true(asprintf(&root, "%s/a/b", base) > 0);
	assert_ok(data_dir_open(root, DATA_DIR_MAKE, &name, &alice, &dir, &text));
	assert_null(text);
	assert_true(asprintf(&expected, "%s/chat.example:8820/alice", root) > 0);
	assert_string_equal(dir.account, expected);
	assert_int_equal(mode_of(dir.root), 0700);
	assert_int_equal(mode_of(dir.account), 0700);
	free(expected);
	assert_true(asprintf(&expected, "%s/known_servers", root) > 0);
	assert_string_equal(dir.pins, expected);
	free(expected);
	data_dir_fini(&dir);
	assert_ok(data_dir_open(root, DATA_DIR_MAKE, &name, &alice, &dir, &text)); /* once more */
	data_dir_fini(&dir);
	assert_ok(data_dir_open(root, DATA_DIR_MAKE, &v6, &alice, &dir, &text));
	assert_true(asprintf(&expected, "%s/[::1]:99/alice", root) > 0);
	assert_string_equal(dir.account, expected);
	free(expected);
	data_dir_fini(&dir);
	(void)umask(mask);
	free(root);
	free(base);
}

TEST(others_may_not_enter)
{
	static const char *const parts[] = {"", "/h:1", "/h:1/alice"};
	struct account_name alice = account("alice");
	struct server_name name = server("h", "1");
	char *root = unit_temp_dir();
	struct data_dir dir;

	assert_ok(data_dir_open(root, DATA_DIR_MAKE, &name, &alice, &dir, NULL));
	data_dir_fini(&dir);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		char *path = NULL, *text = NULL;

		assert_true(asprintf(&path, "%s%s", root, parts[i]) > 0);
		for (mode_t bit = 1; bit <= 040; bit <<= 1) {
			assert_int_equal(chmod(path, 0700 | bit), 0);
			assert_err(data_dir_open(root, DATA_DIR_MAKE, &name, &alice, &dir, &text),
			    CHAT_ERR_PERMISSION);
			assert_non_null(text);
			assert_non_null(strstr(text, path));
			assert_non_null(strstr(text, "chmod go="));
		}
		assert_int_equal(chmod(path, 0700), 0);
		free(text);
		free(path);
	}
	assert_ok(data_dir_open(root, DATA_DIR_MAKE, &name, &alice, &dir, NULL));
	data_dir_fini(&dir);
	free(root);
}

TEST(something_in_the_way)
{
	struct account_name alice = account("alice");
	struct server_name name = server("h", "1");
	char *base = unit_temp_dir(), *path = NULL, *text = NULL;
	struct data_dir dir;
	FILE *f;

	assert_true(asprintf(&path, "%s/file", base) > 0);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_err(data_dir_open(path, DATA_DIR_MAKE, &name, &alice, &dir, &text), CHAT_ERR_IO);
	assert_non_null(text);
	assert_non_null(strstr(text, path));
	free(text);
	free(path);
	free(base);
}

/* ---- names of servers ---- */

TEST(server_names)
{
	static const char *const bad_hosts[] = {
	    "", ".", "..", "-x", ".x", "a/b", "a b", "a|b", "a*", "[x]", "[", "[]", "a\n", "h\xc3\xa4"};
	static const char *const bad_ports[] = {
	    "0", "65536", "99999999999999999999", "-1", "+1", " 1", "1 ", "http", "0x10"};
	char shown[SERVER_NAME_CHARS], port[SERVER_PORT_CHARS], longest[300];
	struct server_name name, other;

	name = server("LOCALHOST", "8820");
	server_name_show(&name, shown);
	assert_string_equal(shown, "localhost:8820");
	other = server("localhost", "");
	assert_true(server_name_equal(&name, &other));
	other = server("localhost", "8821");
	assert_false(server_name_equal(&name, &other));
	name = server("::1", "65535");
	server_name_show(&name, shown);
	assert_string_equal(shown, "[::1]:65535");
	server_name_port(&name, port);
	assert_string_equal(port, "65535");
	other = server("[::1]", "065535");
	assert_true(server_name_equal(&name, &other));
	(void)server("fe80::1%eth0", NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad_hosts); i++)
		assert_err(server_name_set(bad_hosts[i], NULL, &name), CHAT_ERR_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(bad_ports); i++)
		assert_err(server_name_set("h", bad_ports[i], &name), CHAT_ERR_INVALID);
	assert_err(server_name_set(NULL, NULL, &name), CHAT_ERR_INVALID);
	memset(longest, 'a', sizeof(longest));
	longest[254] = '\0';
	assert_err(server_name_set(longest, NULL, &name), CHAT_ERR_INVALID);
	longest[253] = '\0';
	assert_ok(server_name_set(longest, "65535", &name));
	server_name_show(&name, shown);
	assert_int_equal(strlen(shown), 253 + 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(default_folder),
	    cmocka_unit_test(folders_are_made_private),
	    cmocka_unit_test(others_may_not_enter),
	    cmocka_unit_test(something_in_the_way),
	    cmocka_unit_test(server_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
