/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounts/passwd_edit.h"
#include "base/buf.h"
#include "failalloc.h"

#define HASH  "IpfJRRlgBPGWs"
#define HASH2 "abzlUXK5ed5rs"
#define SHA   "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"

/* System calls that fail, or at which something happens, on demand. */
static enum fault {
	NO_FAULT,
	FAIL_WRITE,
	SHORT_WRITES,
	FAIL_FILE_SYNC,
	FAIL_DIR_SYNC,
	FAIL_RENAME,
	DIE_AT_RENAME
} fault;
static void (*at_flock)(void);

ssize_t __real_write(int fd, const void *data, size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t n);
ssize_t
__wrap_write(int fd, const void *data, size_t n)
{
	if (fault == FAIL_WRITE && fd > 2) {
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, data, fault == SHORT_WRITES && fd > 2 && n > 7 ? 7 : n);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int
__wrap_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	if (fault == (S_ISDIR(st.st_mode) ? FAIL_DIR_SYNC : FAIL_FILE_SYNC)) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int
__wrap_rename(const char *from, const char *to)
{
	if (fault == DIE_AT_RENAME)
		(void)raise(SIGKILL);
	if (fault == FAIL_RENAME) {
		errno = EROFS;
		return -1;
	}
	return __real_rename(from, to);
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int
__wrap_flock(int fd, int operation)
{
	void (*hook)(void) = at_flock;

	at_flock = NULL;
	if (hook != NULL)
		hook();
	return __real_flock(fd, operation);
}

static char *dir;
static char path[256];

static int
setup(void **state)
{
	(void)state;
	dir = unit_temp_dir();
	(void)snprintf(path, sizeof(path), "%s/passwd", dir);
	fault = NO_FAULT;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(dir);
	return 0;
}

static void
put(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
check_file(const char *expected)
{
	size_t len;
	uint8_t *text = unit_read_file(path, &len);

	assert_non_null(text);
	assert_string_equal((const char *)text, expected);
	assert_int_equal(len, strlen(expected));
	free(text);
}

/* Nothing but the password file is in the directory. */
static void
check_alone(void)
{
	char tmp[300];

	(void)snprintf(tmp, sizeof(tmp), "%s/.passwd.new", dir);
	assert_int_not_equal(access(tmp, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* only an empty one goes */
	assert_int_equal(mkdir(dir, 0700), 0);
}

static struct passwd_edit *
begin(unsigned flags)
{
	struct passwd_edit *edit = NULL;
	struct passwd_why why;

	if (passwd_edit_open(path, flags, &edit, &why) != CHAT_OK)
		fail_msg("%s", why.text);
	return edit;
}

static void
commit(struct passwd_edit *edit)
{
	struct passwd_why why;

	if (passwd_edit_commit(edit, &why) != CHAT_OK)
		fail_msg("%s", why.text);
	passwd_edit_free(edit);
}

static const char original[] = "# Accounts of the office.\n"
			       "\n"
			       "zoe:" SHA "\n"
			       "  # \xc3\xa4, tabs\tand blanks at the end  \n"
			       "alice:" HASH ":id=0123456789abcdef\n"
			       "carol:" HASH ":id=fedcba9876543210,locked\n"
			       "bob:" HASH ":\n"
			       "# the end, without a newline";

TEST(other_lines_survive)
{
	struct passwd_edit *edit;

	put(original);
	edit = begin(0);
	assert_int_equal(passwd_table_count(passwd_edit_table(edit)), 4);
	assert_ok(passwd_edit_set_hash(edit, "alice", HASH2, NULL));
	assert_ok(passwd_edit_set_hash(edit, "zoe", HASH2, SHA));
	assert_ok(passwd_edit_set_locked(edit, "alice", true));
	assert_ok(passwd_edit_set_locked(edit, "bob", true));
	assert_ok(passwd_edit_set_locked(edit, "carol", false));
	check_file(original); /* nothing yet */
	commit(edit);
	check_file("# Accounts of the office.\n"
		   "\n"
		   "zoe:" HASH2 "\n"
		   "  # \xc3\xa4, tabs\tand blanks at the end  \n"
		   "alice:" HASH2 ":locked,id=0123456789abcdef\n"
		   "carol:" HASH ":id=fedcba9876543210\n"
		   "bob:" HASH ":locked\n"
		   "# the end, without a newline");

	edit = begin(0);
	assert_ok(passwd_edit_set_locked(edit, "bob", false));
	assert_ok(passwd_edit_delete(edit, "zoe"));
	assert_ok(passwd_edit_delete(edit, "carol"));
	commit(edit);
	check_file("# Accounts of the office.\n"
		   "\n"
		   "  # \xc3\xa4, tabs\tand blanks at the end  \n"
		   "alice:" HASH2 ":locked,id=0123456789abcdef\n"
		   "bob:" HASH "\n"
		   "# the end, without a newline");
	check_alone();
}

/* The text in front of the id that passwd_edit_add() has made up, which is copied to ret_id. */
static void
check_added(const char *before, const char *after, char ret_id[static PASSWD_ID_CHARS + 1])
{
	size_t len;
	uint8_t *text = unit_read_file(path, &len);

	assert_non_null(text);
	assert_int_equal(len, strlen(before) + PASSWD_ID_CHARS + strlen(after));
	assert_memory_equal(text, before, strlen(before));
	memcpy(ret_id, text + strlen(before), PASSWD_ID_CHARS);
	ret_id[PASSWD_ID_CHARS] = '\0';
	assert_int_equal(strspn(ret_id, "0123456789abcdef"), PASSWD_ID_CHARS);
	assert_string_equal((const char *)text + strlen(before) + PASSWD_ID_CHARS, after);
	free(text);
}

TEST(add)
{
	char id[PASSWD_ID_CHARS + 1], again[PASSWD_ID_CHARS + 1];
	struct passwd_edit *edit;

	put("# no newline at the end");
	edit = begin(0);
	assert_ok(passwd_edit_add(edit, "alice", HASH));
	assert_string_equal(passwd_table_at(passwd_edit_table(edit), 0)->name, "alice");
	assert_err(passwd_edit_add(edit, "alice", HASH), CHAT_ERR_EXISTS);
	commit(edit);
	check_added("# no newline at the end\nalice:" HASH ":id=", "\n", id);

	/* Deleted and added again within one edit it is another account. */
	edit = begin(0);
	assert_ok(passwd_edit_delete(edit, "alice"));
	assert_ok(passwd_edit_add(edit, "alice", HASH));
	commit(edit);
	check_added("# no newline at the end\nalice:" HASH ":id=", "\n", again);
	assert_string_not_equal(id, again);
}

TEST(refusals_change_nothing)
{
	struct passwd_edit *edit;

	put(original);
	edit = begin(0);
	assert_err(passwd_edit_add(edit, "alice", HASH), CHAT_ERR_EXISTS);
	assert_err(passwd_edit_add(edit, "Dora", HASH), CHAT_ERR_INVALID);
	assert_err(passwd_edit_add(edit, "dora:x", HASH), CHAT_ERR_INVALID);
	assert_err(passwd_edit_add(edit, "dora", "hunter2"), CHAT_ERR_INVALID);
	assert_err(passwd_edit_add(edit, "dora", HASH "\nmallory:" HASH), CHAT_ERR_INVALID);
	assert_err(passwd_edit_set_hash(edit, "dora", HASH, NULL), CHAT_ERR_NOT_FOUND);
	assert_err(passwd_edit_set_hash(edit, "alice", HASH ":locked", NULL), CHAT_ERR_INVALID);
	assert_err(passwd_edit_set_hash(edit, "alice", HASH2, HASH2), CHAT_ERR_CONFLICT);
	assert_err(passwd_edit_set_locked(edit, "dora", true), CHAT_ERR_NOT_FOUND);
	assert_err(passwd_edit_set_locked(edit, "alice", false), CHAT_ERR_ALREADY);
	assert_err(passwd_edit_set_locked(edit, "carol", true), CHAT_ERR_ALREADY);
	assert_err(passwd_edit_delete(edit, "dora"), CHAT_ERR_NOT_FOUND);
	assert_err(passwd_edit_delete(edit, ""), CHAT_ERR_NOT_FOUND);
	commit(edit);
	check_file(original);
}

TEST(create)
{
	struct passwd_edit *edit = NULL;
	struct passwd_why why;
	char id[PASSWD_ID_CHARS + 1];
	struct stat st;
	mode_t old;

	assert_err(passwd_edit_open(path, 0, &edit, &why), CHAT_ERR_NOT_FOUND);
	assert_int_not_equal(access(path, F_OK), 0);

	/* Without a commit it is gone again, whatever was changed. */
	edit = begin(PASSWD_EDIT_CREATE);
	assert_ok(passwd_edit_add(edit, "alice", HASH));
	passwd_edit_free(edit);
	assert_int_not_equal(access(path, F_OK), 0);

	old = umask(0777);
	edit = begin(PASSWD_EDIT_CREATE);
	assert_ok(passwd_edit_add(edit, "alice", HASH));
	commit(edit);
	umask(old);
	check_added("alice:" HASH ":id=", "\n", id);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	/* One that was there stays. */
	put("");
	edit = begin(PASSWD_EDIT_CREATE);
	passwd_edit_free(edit);
	check_file("");
	check_alone();
}

TEST(mode_and_owner)
{
	bool root = geteuid() == 0;
	struct stat st;
	struct passwd_edit *edit;

	/* 0400 is safe, and becomes 0600. */
	put(original);
	assert_int_equal(chmod(path, 0400), 0);
	if (root)
		assert_int_equal(chown(path, 54321, 54322), 0);
	edit = begin(0);
	assert_ok(passwd_edit_delete(edit, "zoe"));
	commit(edit);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (!root) {
		print_message("# only root can give a file away: owners not tried\n");
		return;
	}
	assert_int_equal(st.st_uid, 54321);
	assert_int_equal(st.st_gid, 54322);

	/* A new file in the directory of a service's user is that user's. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(chown(dir, 54323, 54324), 0);
	edit = begin(PASSWD_EDIT_CREATE);
	assert_ok(passwd_edit_add(edit, "alice", HASH));
	commit(edit);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 54323);
	assert_int_equal(st.st_gid, 54324);
	assert_int_equal(st.st_mode & 07777, 0600);
}

TEST(unsafe_files)
{
	struct passwd_edit *edit = NULL;
	struct passwd_why why;

	put(original);
	assert_int_equal(chmod(path, 0640), 0);
	assert_err(passwd_edit_open(path, PASSWD_EDIT_CREATE, &edit, &why), CHAT_ERR_PERMISSION);
	assert_non_null(strstr(why.text, "chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	put("alice\n");
	assert_err(passwd_edit_open(path, PASSWD_EDIT_CREATE, &edit, &why), CHAT_ERR_SYNTAX);
	assert_int_equal(why.line, 1);
	check_file("alice\n");
}

TEST(symbolic_link)
{
	char link[300];
	struct stat st;
	struct passwd_edit *edit = NULL;
	struct passwd_why why;

	put("alice:" HASH "\n");
	(void)snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("passwd", link), 0);
	assert_ok(passwd_edit_open(link, 0, &edit, &why));
	assert_ok(passwd_edit_set_hash(edit, "alice", HASH2, NULL));
	commit(edit);
	check_file("alice:" HASH2 "\n");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));

	/* One that leads nowhere is not written through. */
	assert_int_equal(unlink(path), 0);
	edit = NULL;
	assert_err(passwd_edit_open(link, PASSWD_EDIT_CREATE, &edit, &why), CHAT_ERR_IO);
	assert_int_not_equal(access(path, F_OK), 0);
}

TEST(lock)
{
	struct passwd_edit *first, *second = NULL;
	struct passwd_why why;

	put(original);
	first = begin(0);
	assert_err(passwd_edit_open(path, PASSWD_EDIT_NOWAIT, &second, &why), CHAT_ERR_LOCKED);
	passwd_edit_free(first);
	second = begin(PASSWD_EDIT_NOWAIT);
	passwd_edit_free(second);
	check_file(original);
}

static struct passwd_edit *holder;

static void
commit_holder(void)
{
	commit(holder);
}

static void
drop_holder(void)
{
	passwd_edit_free(holder);
}

/* Who opened the file and then waited for a writer gets the lock of a file that is no longer the one. */
TEST(file_replaced_while_waiting)
{
	struct passwd_edit *edit;

	put("a:" HASH "\n");
	holder = begin(0);
	assert_ok(passwd_edit_set_hash(holder, "a", HASH2, NULL));
	at_flock = commit_holder;
	edit = begin(0);
	assert_null(at_flock);
	assert_string_equal(passwd_table_at(passwd_edit_table(edit), 0)->hash, HASH2);
	assert_ok(passwd_edit_set_locked(edit, "a", true));
	commit(edit);
	check_file("a:" HASH2 ":locked\n");

	/* The same with a file that its maker takes away again. */
	assert_int_equal(unlink(path), 0);
	holder = begin(PASSWD_EDIT_CREATE);
	at_flock = drop_holder;
	edit = begin(PASSWD_EDIT_CREATE);
	assert_null(at_flock);
	passwd_edit_free(edit);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* Somebody edits without the lock: theirs stays. */
TEST(changed_by_others)
{
	struct passwd_edit *edit;
	struct passwd_why why;

	put(original);
	edit = begin(0);
	assert_ok(passwd_edit_delete(edit, "zoe"));
	put("mallory:" HASH "\n");
	assert_err(passwd_edit_commit(edit, &why), CHAT_ERR_CONFLICT);
	assert_int_equal(why.err, CHAT_ERR_CONFLICT);
	passwd_edit_free(edit);
	check_file("mallory:" HASH "\n");

	edit = begin(0);
	assert_int_equal(unlink(path), 0);
	assert_err(passwd_edit_commit(edit, &why), CHAT_ERR_CONFLICT);
	passwd_edit_free(edit);
	assert_int_not_equal(access(path, F_OK), 0);
}

TEST(disk_faults)
{
	static const struct {
		enum fault fault;
		bool replaced;
	} cases[] = {
	    {FAIL_WRITE, false}, {FAIL_FILE_SYNC, false}, {FAIL_RENAME, false}, {FAIL_DIR_SYNC, true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct passwd_edit *edit;
		struct passwd_why why = {.err = CHAT_OK};

		put("a:" HASH "\n");
		edit = begin(0);
		assert_ok(passwd_edit_set_locked(edit, "a", true));
		fault = cases[i].fault;
		assert_err(passwd_edit_commit(edit, &why), CHAT_ERR_IO);
		fault = NO_FAULT;
		assert_int_equal(why.err, CHAT_ERR_IO);
		passwd_edit_free(edit);
		check_file(cases[i].replaced ? "a:" HASH ":locked\n" : "a:" HASH "\n");
		check_alone();
	}

	put(original);
	struct passwd_edit *edit = begin(0);
	fault = SHORT_WRITES;
	commit(edit);
	check_file(original);
}

/* Killed with the new file written and not yet renamed: the old one is whole, and the next writer is not
 * disturbed. */
TEST(killed_before_rename)
{
	int status;
	char tmp[300];
	struct passwd_edit *edit;

	put(original);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fault = DIE_AT_RENAME;
		edit = begin(0);
		if (passwd_edit_delete(edit, "zoe") == CHAT_OK)
			commit(edit);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_file(original);
	(void)snprintf(tmp, sizeof(tmp), "%s/.passwd.new", dir);
	assert_int_equal(access(tmp, F_OK), 0); /* so it was killed where it should be */

	edit = begin(PASSWD_EDIT_NOWAIT);
	assert_ok(passwd_edit_set_locked(edit, "zoe", true));
	commit(edit);
	edit = begin(PASSWD_EDIT_NOWAIT);
	assert_ok(passwd_edit_set_locked(edit, "zoe", false));
	commit(edit);
	check_file(original);
	check_alone();
}

#define WRITERS 6
#define EDITS   40

/* One process of several at once: adds its accounts, one edit each, and deletes every other one again. */
static int
write_many(unsigned writer)
{
	for (unsigned i = 0; i < EDITS; i++) {
		char name[32];
		struct passwd_why why;
		struct passwd_edit *edit = NULL;

		(void)snprintf(name, sizeof(name), "w%u.%u", writer, i);
		for (int step = 0; step < 1 + (int)(i % 2); step++) {
			if (passwd_edit_open(path, PASSWD_EDIT_CREATE, &edit, &why) != CHAT_OK ||
			    (step == 0 ? passwd_edit_add(edit, name, HASH)
				       : passwd_edit_delete(edit, name)) != CHAT_OK ||
			    passwd_edit_commit(edit, &why) != CHAT_OK)
				return 1;
			passwd_edit_free(edit);
		}
	}
	return 0;
}

TEST(concurrent_writers)
{
	int start[2], status;
	pid_t pids[WRITERS];

	/* All begin when the last one is there: they read to the end of a pipe. */
	assert_int_equal(pipe2(start, O_CLOEXEC), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			char byte;

			close(start[1]);
			_exit(read(start[0], &byte, 1) == 0 ? write_many(i) : 1);
		}
	}
	close(start[1]);
	close(start[0]);
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}

	struct passwd_edit *edit = begin(0);
	const struct passwd_table *table = passwd_edit_table(edit);
	assert_int_equal(passwd_table_count(table), WRITERS * EDITS / 2);
	for (unsigned writer = 0; writer < WRITERS; writer++) {
		unsigned last = 0;

		for (unsigned i = 0; i < EDITS; i += 2) {
			char name[32];

			(void)snprintf(name, sizeof(name), "w%u.%u", writer, i);
			const struct passwd_entry *entry = passwd_table_find(table, BYTES_STR(name));
			assert_non_null(entry);
			assert_true(entry->line > last); /* in the order in which they were added */
			last = entry->line;
		}
	}
	passwd_edit_free(edit);
	check_alone();
}

TEST(out_of_memory)
{
	unsigned n;

	for (n = 0;; n++) {
		struct passwd_edit *edit = NULL;
		struct passwd_why why;

		put(original);
		failalloc_arm(n);
		enum chat_err err = passwd_edit_open(path, 0, &edit, &why);
		if (err == CHAT_OK)
			err = passwd_edit_add(edit, "dora", HASH);
		if (err == CHAT_OK)
			err = passwd_edit_set_locked(edit, "alice", true);
		if (err == CHAT_OK)
			err = passwd_edit_commit(edit, &why);
		bool failed = failalloc_disarm();
		passwd_edit_free(edit);
		if (!failed) {
			assert_ok(err);
			break;
		}
		assert_err(err, CHAT_ERR_NOMEM);
		check_file(original);
	}
	assert_true(n > 10);
	check_alone();
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_DIR(other_lines_survive),
	    WITH_DIR(add),
	    WITH_DIR(refusals_change_nothing),
	    WITH_DIR(create),
	    WITH_DIR(mode_and_owner),
	    WITH_DIR(unsafe_files),
	    WITH_DIR(symbolic_link),
	    WITH_DIR(lock),
	    WITH_DIR(file_replaced_while_waiting),
	    WITH_DIR(changed_by_others),
	    WITH_DIR(disk_faults),
	    WITH_DIR(killed_before_rename),
	    WITH_DIR(concurrent_writers),
	    WITH_DIR(out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
