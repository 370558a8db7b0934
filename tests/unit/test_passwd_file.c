/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts/passwd_file.h"
#include "accounts/passwd_why.h"
#include "base/buf.h"
#include "failalloc.h"

/* DES of "pw": the shortest hash there is. */
#define HASH "IpfJRRlgBPGWs"
#define SHA  "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"

static struct passwd_table *
parse(const char *text)
{
	struct passwd_table *table = NULL;
	struct passwd_why why = {.text = "no reason"};

	if (passwd_table_parse(BYTES_STR(text), "FILE", &table, &why) != CHAT_OK)
		fail_msg("refused: %s", why.text);
	return table;
}

TEST(nothing_in_it)
{
	static const char *const texts[] = {"", "\n", "\n\n\n", "# a comment", "  # another\n\t\n \t#x\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct passwd_table *table = parse(texts[i]);

		assert_int_equal(passwd_table_count(table), 0);
		assert_null(passwd_table_find(table, BYTES_STR("alice")));
		assert_int_equal(passwd_table_serial(table), 0);
		passwd_table_unref(table);
	}
}

TEST(lines)
{
	struct passwd_table *table = parse("# accounts\n"
					   "zoe:" SHA "\n"
					   "\n"
					   "alice:" HASH ":locked\n"
					   "b.o-b_2:" HASH ":id=0123456789abcdef,locked\n"
					   "9:" HASH ":id=fedcba9876543210\n"
					   "dora:" HASH ":\n"
					   "last:" HASH);
	static const struct {
		const char *name, *hash, *id;
		bool locked;
		unsigned line;
	} expected[] = {
	    {"zoe", SHA, "", false, 2},
	    {"alice", HASH, "", true, 4},
	    {"b.o-b_2", HASH, "0123456789abcdef", true, 5},
	    {"9", HASH, "fedcba9876543210", false, 6},
	    {"dora", HASH, "", false, 7},
	    {"last", HASH, "", false, 8},
	};

	assert_int_equal(passwd_table_count(table), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const struct passwd_entry *entry = passwd_table_at(table, i);

		assert_string_equal(entry->name, expected[i].name);
		assert_string_equal(entry->hash, expected[i].hash);
		assert_string_equal(entry->id, expected[i].id);
		assert_int_equal(entry->locked, expected[i].locked);
		assert_int_equal(entry->line, expected[i].line);
		assert_ptr_equal(passwd_table_find(table, BYTES_STR(expected[i].name)), entry);
	}
	static const char *const absent[] = {"", "al", "alicee", "Alice", "bob", "#", "zz", "0"};
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		assert_null(passwd_table_find(table, BYTES_STR(absent[i])));
	assert_null(passwd_table_find(table, BYTES("alice\0", 6)));
	assert_null(passwd_table_find(table, BYTES_EMPTY));
	passwd_table_unref(table);
}

/* The part of the message after its place; the place is checked here. */
static void
check_refused(struct bytes text, unsigned line, const char *part)
{
	struct passwd_table *table = NULL;
	struct passwd_why why = {.text = ""};
	char place[32];

	assert_err(passwd_table_parse(text, "FILE", &table, &why), CHAT_ERR_SYNTAX);
	assert_null(table);
	assert_int_equal(why.err, CHAT_ERR_SYNTAX);
	assert_int_equal(why.line, line);
	(void)snprintf(place, sizeof(place), "FILE:%u: ", line);
	if (strncmp(why.text, place, strlen(place)) != 0 || strstr(why.text, part) == NULL)
		fail_msg("'%s' has not '%s' and '%s'", why.text, place, part);
	if (strstr(why.text, HASH) != NULL)
		fail_msg("the hash is in '%s'", why.text);
}

TEST(refusals)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *part;
	} cases[] = {
	    {"alice", 1, "no ':'"},
	    {"alice:" HASH "\nbob\n", 2, "no ':'"},
	    {":" HASH, 1, "'' cannot be an account's name"},
	    {"Alice:" HASH, 1, "'Alice' cannot be an account's name"},
	    {" alice:" HASH, 1, "' alice' cannot be"},
	    {"al ice:" HASH, 1, "cannot be an account's name"},
	    {"-a:" HASH, 1, "cannot be an account's name"},
	    {"\x1b[31mred:" HASH, 1, "'?[31mred' cannot be"},
	    {"\xff\xfe:" HASH, 1, "'\?\?' cannot be"},
	    {"\xef\xbb\xbf"
	     "alice:" HASH,
		1, "cannot be an account's name"},
	    {"alice:", 1, "the hash of 'alice' is empty"},
	    {"alice::locked", 1, "the hash of 'alice' is empty"},
	    {"alice:hunter2", 1, "no scheme"},
	    {"alice:!" HASH, 1, "lock mark"},
	    {"alice:*", 1, "lock mark"},
	    {"alice:$6$salt", 1, "cut short"},
	    {"alice: " HASH, 1, "holds a character"},
	    {"alice:" HASH " ", 1, "holds a character"},
	    {"alice:" HASH ":::", 1, "more than three fields"},
	    {"alice:" SHA ":19000:0:99999:7:::", 1, "more than three fields"},
	    {"alice:" HASH ":lockd", 1, "'lockd' is not a flag"},
	    {"alice:" HASH ":locked ", 1, "'locked ' is not a flag"},
	    {"alice:" HASH ":Locked", 1, "'Locked' is not a flag"},
	    {"alice:" HASH ":,", 1, "'' is not a flag"},
	    {"alice:" HASH ":locked,", 1, "'' is not a flag"},
	    {"alice:" HASH ":locked,locked", 1, "twice"},
	    {"alice:" HASH ":id=", 1, "the id of 'alice'"},
	    {"alice:" HASH ":id=0123456789abcde", 1, "the id of 'alice'"},
	    {"alice:" HASH ":id=0123456789abcdef0", 1, "the id of 'alice'"},
	    {"alice:" HASH ":id=0123456789ABCDEF", 1, "the id of 'alice'"},
	    {"alice:" HASH ":id=0123456789abcdef,id=0123456789abcdef", 1, "twice"},
	    {"alice:" HASH "\r\n", 1, "carriage return"},
	    {"alice:" HASH "\n\n# again\nalice:" SHA "\n", 4, "'alice' is already in line 1"},
	    {"z:" HASH "\nb:" HASH "\na:" HASH "\nb:" HASH "\na:" HASH "\nb:" HASH, 4,
		"'b' is already in line 2"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_refused(BYTES_STR(cases[i].text), cases[i].line, cases[i].part);
	static const char nul[] = "# x\nalice:" HASH "\0:locked\n";
	check_refused(BYTES(nul, sizeof(nul) - 1), 2, "NUL byte");
	static const char nul_in_comment[] = "# \0x\n";
	check_refused(BYTES(nul_in_comment, sizeof(nul_in_comment) - 1), 1, "NUL byte");
}

TEST(limits)
{
	struct buf text = {0};
	struct passwd_table *table = NULL;
	struct passwd_why why;

	/* A line of the most bytes is looked at, one more is refused for its length alone. */
	for (size_t i = 0; i < PASSWD_LINE_MAX_BYTES; i++)
		assert_ok(buf_append(&text, "a", 1));
	check_refused(buf_bytes(&text), 1, "no ':'");
	assert_ok(buf_append(&text, "a", 1));
	check_refused(buf_bytes(&text), 1, "1025 bytes in the line");

	/* Comments may be as long as they like. */
	text.data[0] = '#';
	assert_ok(passwd_table_parse(buf_bytes(&text), "FILE", &table, &why));
	passwd_table_unref(table);
	buf_clear(&text);

	assert_ok(buf_reserve(&text, PASSWD_FILE_MAX_BYTES + 1));
	memset(text.data, '\n', PASSWD_FILE_MAX_BYTES + 1);
	text.len = PASSWD_FILE_MAX_BYTES;
	assert_ok(passwd_table_parse(buf_bytes(&text), "FILE", &table, &why));
	passwd_table_unref(table);
	text.len++;
	table = NULL;
	assert_err(passwd_table_parse(buf_bytes(&text), "FILE", &table, &why), CHAT_ERR_SYNTAX);
	assert_non_null(strstr(why.text, "more than 16777216 bytes"));
	assert_null(table);
	buf_fini(&text);
}

TEST(many_accounts)
{
	struct buf text = {0};
	char name[32];

	/* Neither sorted nor reversed. */
	for (unsigned i = 0; i < 5000; i++)
		assert_ok(buf_printf(&text, "u%u:" HASH "\n", i * 7919 % 5000));
	assert_ok(buf_append(&text, "", 1));
	struct passwd_table *table = parse((const char *)text.data);
	assert_int_equal(passwd_table_count(table), 5000);
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "u%u", i * 7919 % 5000);
		const struct passwd_entry *entry = passwd_table_find(table, BYTES_STR(name));
		assert_non_null(entry);
		assert_int_equal(entry->line, i + 1);
	}
	assert_null(passwd_table_find(table, BYTES_STR("u5000")));
	passwd_table_unref(table);
	buf_fini(&text);
}

TEST(same_account)
{
	const struct passwd_entry a = {.name = "alice", .hash = HASH, .id = "0123456789abcdef"};
	const struct passwd_entry moved = {
	    .name = "alice", .hash = SHA, .id = "0123456789abcdef", .locked = true, .line = 7};
	const struct passwd_entry again = {.name = "alice", .hash = HASH, .id = "fedcba9876543210"};
	const struct passwd_entry without = {.name = "alice", .hash = HASH, .id = ""};
	const struct passwd_entry other = {.name = "bob", .hash = HASH, .id = "0123456789abcdef"};

	assert_true(passwd_entry_same_account(&a, &moved));
	assert_true(passwd_entry_same_account(&without, &without));
	assert_false(passwd_entry_same_account(&a, &again));
	assert_false(passwd_entry_same_account(&a, &without));
	assert_false(passwd_entry_same_account(&without, &a));
	assert_false(passwd_entry_same_account(&a, &other));
}

TEST(references)
{
	struct passwd_table *table = parse("alice:" HASH "\n");

	assert_ptr_equal(passwd_table_ref(table), table);
	passwd_table_unref(table);
	assert_string_equal(passwd_table_at(table, 0)->name, "alice");
	passwd_table_unref(table);
	passwd_table_unref(NULL);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
check_load(const char *path, enum chat_err expected, const char *part)
{
	struct passwd_table *table = NULL;
	struct passwd_why why = {.err = CHAT_OK, .text = ""};

	assert_err(passwd_table_load(path, &table, &why), expected);
	passwd_table_unref(table);
	assert_int_equal(why.err, expected);
	if (expected != CHAT_OK && (strstr(why.text, path) != why.text || strstr(why.text, part) == NULL))
		fail_msg("'%s' has not '%s' and '%s'", why.text, path, part);
}

TEST(load)
{
	char *dir = unit_temp_dir(), path[256];

	(void)snprintf(path, sizeof(path), "%s/passwd", dir);
	check_load(path, CHAT_ERR_NOT_FOUND, "no such file");
	write_file(path, "alice:" HASH "\n", 0600);
	check_load(path, CHAT_OK, "");
	check_load(dir, CHAT_ERR_PERMISSION, "not a regular file");
	write_file(path, "alice\n", 0600);
	check_load(path, CHAT_ERR_SYNTAX, ":1: no ':'");

	/* A file's bytes behind the limit are not read into memory. */
	assert_int_equal(truncate(path, (off_t)1 << 40), 0);
	check_load(path, CHAT_ERR_SYNTAX, "more than 16777216 bytes");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	check_load(path, CHAT_ERR_PERMISSION, "not a regular file");
	(void)snprintf(path, sizeof(path), "%s/nowhere/passwd", dir);
	check_load(path, CHAT_ERR_NOT_FOUND, "no such file");
	free(dir);
}

TEST(modes)
{
	char *dir = unit_temp_dir(), path[256], mend[300];

	(void)snprintf(path, sizeof(path), "%s/passwd", dir);
	(void)snprintf(mend, sizeof(mend), "; type: chmod 600 %s", path);
	for (mode_t bit = 01; bit <= 040; bit <<= 1) {
		write_file(path, "alice:" HASH "\n", 0600 | bit);
		check_load(path, CHAT_ERR_PERMISSION, mend);
	}
	write_file(path, "alice:" HASH "\n", 0400);
	check_load(path, CHAT_OK, "");
	write_file(path, "alice:" HASH "\n", 0700);
	check_load(path, CHAT_OK, "");
	free(dir);
}

TEST(owners)
{
	char *dir = unit_temp_dir(), path[256];

	if (geteuid() != 0) {
		print_message("# only root can give a file away\n");
		skip();
	}
	(void)snprintf(path, sizeof(path), "%s/passwd", dir);
	write_file(path, "alice:" HASH "\n", 0600);
	assert_int_equal(chown(path, 54321, (gid_t)-1), 0);
	check_load(path, CHAT_ERR_PERMISSION, "; as root, type: chown 0 ");

	struct passwd_table *table = NULL;
	struct passwd_why why;
	assert_ok(passwd_table_load_as_admin(path, &table, &why));
	passwd_table_unref(table);
	table = NULL;
	assert_int_equal(chmod(path, 0604), 0);
	assert_err(passwd_table_load_as_admin(path, &table, &why), CHAT_ERR_PERMISSION);
	free(dir);
}

TEST(out_of_memory)
{
	char *dir = unit_temp_dir(), path[256];
	struct buf text = {0};
	unsigned n;

	(void)snprintf(path, sizeof(path), "%s/passwd", dir);
	for (unsigned i = 0; i < 100; i++)
		assert_ok(buf_printf(&text, "u%u:" HASH "\n", i));
	assert_ok(buf_append(&text, "", 1));
	write_file(path, (const char *)text.data, 0600);
	for (n = 0;; n++) {
		struct passwd_table *table = NULL;
		struct passwd_why why = {.text = ""};

		failalloc_arm(n);
		enum chat_err err = passwd_table_load(path, &table, &why);
		if (!failalloc_disarm()) {
			assert_ok(err);
			passwd_table_unref(table);
			break;
		}
		assert_err(err, CHAT_ERR_NOMEM);
		assert_null(table);
		assert_non_null(strstr(why.text, "out of memory"));
	}
	assert_true(n >= 5); /* text, copy, table, entries grown, index */
	buf_fini(&text);
	free(dir);
}

TEST(messages)
{
	struct passwd_why why;
	char word[SHELL_WORD_BYTES], path[2000];

	assert_err(passwd_why_set(&why, CHAT_ERR_IO, "a\nb\x1b", 3, "x\ty %s", "z\xc2\x85"), CHAT_ERR_IO);
	assert_string_equal(why.text, "a?b?:3: x?y z?");
	assert_err(passwd_why_set(&why, CHAT_ERR_IO, "/p\xc3\xa4th", 0, "it is so"), CHAT_ERR_IO);
	assert_string_equal(why.text, "/p\xc3\xa4th: it is so");
	assert_err(passwd_why_set(&why, CHAT_ERR_IO, NULL, 0, "it is so"), CHAT_ERR_IO);
	assert_string_equal(why.text, "it is so");

	memset(path, 'p', sizeof(path));
	memcpy(path + sizeof(path) - 5, "/end", 5);
	assert_err(passwd_why_set(&why, CHAT_ERR_IO, path, 0, "%s", "the sentence"), CHAT_ERR_IO);
	assert_non_null(strstr(why.text, "/end: the sentence"));
	assert_int_equal(strncmp(why.text, "...pp", 5), 0);
	assert_err(passwd_why_set(&why, CHAT_ERR_IO, path, 0, "%s%s", path, path), CHAT_ERR_IO);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);

	assert_string_equal(passwd_shell_word("/var/lib/x-1_.y", word), "/var/lib/x-1_.y");
	assert_string_equal(passwd_shell_word("a b", word), "'a b'");
	assert_string_equal(passwd_shell_word("it's", word), "'it'\\''s'");
	assert_string_equal(passwd_shell_word("$(reboot)", word), "'$(reboot)'");
	assert_string_equal(passwd_shell_word("", word), "''");
	assert_string_equal(passwd_shell_word("a\nb", word), "FILE");
	assert_string_equal(passwd_shell_word(path, word), "FILE");
	memset(path, '\'', sizeof(path) - 1);
	assert_string_equal(passwd_shell_word(path, word), "FILE");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_in_it),
	    cmocka_unit_test(lines),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(many_accounts),
	    cmocka_unit_test(same_account),
	    cmocka_unit_test(references),
	    cmocka_unit_test(load),
	    cmocka_unit_test(modes),
	    cmocka_unit_test(owners),
	    cmocka_unit_test(out_of_memory),
	    cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
