/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "accounts/passwd_file.h"
#include "base/clock.h"

#define HASH  "IpfJRRlgBPGWs"
#define HASH2 "abzlUXK5ed5rs" /* of the same length */

/* The wall clock that the watch sees, as an offset from the real one, and how often it has read the file. */
static _Atomic int64_t offset_ms;
static _Atomic unsigned loads;
/* What happens between a look's reading and its end, once. */
static _Thread_local void (*after_load)(void);

uint64_t __real_clock_unix_ms(void);
uint64_t __wrap_clock_unix_ms(void);
uint64_t
__wrap_clock_unix_ms(void)
{
	return (uint64_t)((int64_t)__real_clock_unix_ms() + atomic_load(&offset_ms));
}

enum chat_err __real_passwd_table_load(const char *path, struct passwd_table **ret, struct passwd_why *why);
enum chat_err __wrap_passwd_table_load(const char *path, struct passwd_table **ret, struct passwd_why *why);
enum chat_err
__wrap_passwd_table_load(const char *path, struct passwd_table **ret, struct passwd_why *why)
{
	atomic_fetch_add(&loads, 1);
	enum chat_err err = __real_passwd_table_load(path, ret, why);
	void (*hook)(void) = after_load;
	after_load = NULL;
	if (hook != NULL)
		hook();
	return err;
}

struct fixture {
	char *dir;
	char path[256];
	struct passwd_watch *watch;
	struct passwd_why why;
};

static void
open_fixture(struct fixture *f)
{
	*f = (struct fixture){.dir = unit_temp_dir()};
	(void)snprintf(f->path, sizeof(f->path), "%s/passwd", f->dir);
	assert_ok(passwd_watch_new(f->path, &f->watch));
	atomic_store(&offset_ms, 0);
}

static void
close_fixture(struct fixture *f)
{
	passwd_watch_free(f->watch);
	free(f->dir);
}

static void
write_in_place(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(ftruncate(fd, (off_t)strlen(text)), 0);
	close(fd);
}

static void
replace(const char *path, const char *text)
{
	char tmp[300];

	(void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	write_in_place(tmp, text);
	assert_int_equal(rename(tmp, path), 0);
}

/* One look: its result, the serial after it, and that the text of `why` is there only with PASSWD_BAD. */
static void
look(struct fixture *f, enum passwd_look expected, uint64_t serial, size_t count)
{
	struct passwd_table *table = NULL, *now;

	struct passwd_why why = {.text = "untouched"};
	enum passwd_look got = passwd_watch_check(f->watch, &table, &why);
	if (got != expected)
		fail_msg("look %d, expected %d: %s", (int)got, (int)expected, why.text);
	assert_int_equal(strcmp(why.text, "untouched") != 0, got == PASSWD_BAD);
	assert_int_equal(passwd_table_serial(table), serial);
	assert_int_equal(passwd_table_count(table), count);
	now = passwd_watch_table(f->watch);
	assert_ptr_equal(now, table);
	passwd_table_unref(now);
	passwd_table_unref(table);
	f->why = why;
}

TEST(life)
{
	struct fixture f;
	struct passwd_why why;

	open_fixture(&f);
	assert_false(passwd_watch_complaint(f.watch, &why));
	look(&f, PASSWD_BAD, 0, 0);
	assert_int_equal(f.why.err, CHAT_ERR_NOT_FOUND);
	assert_true(passwd_watch_complaint(f.watch, &why));
	assert_string_equal(why.text, f.why.text);
	look(&f, PASSWD_SAME, 0, 0); /* said once */

	replace(f.path, ""); /* empty, but there */
	look(&f, PASSWD_NEW, 1, 0);
	assert_false(passwd_watch_complaint(f.watch, &why));
	look(&f, PASSWD_SAME, 1, 0);
	replace(f.path, "alice:" HASH "\nbob:" HASH "\n");
	look(&f, PASSWD_NEW, 2, 2);
	replace(f.path, "# a comment changes nothing\nalice:" HASH "\nbob:" HASH "\n");
	look(&f, PASSWD_SAME, 2, 2);

	replace(f.path, "alice:" HASH "\nbob\n");
	look(&f, PASSWD_BAD, 2, 2);
	assert_int_equal(f.why.err, CHAT_ERR_SYNTAX);
	assert_int_equal(f.why.line, 2);
	look(&f, PASSWD_SAME, 2, 2);
	assert_true(passwd_watch_complaint(f.watch, &why));
	replace(f.path, "alice\n");
	look(&f, PASSWD_BAD, 2, 2); /* another complaint */
	assert_int_equal(f.why.line, 1);
	replace(f.path, "alice:" HASH "\nbob:" HASH "\n");
	look(&f, PASSWD_NEW, 3, 2); /* good again: worth a word though the accounts are the old ones */
	assert_false(passwd_watch_complaint(f.watch, &why));

	assert_int_equal(unlink(f.path), 0);
	look(&f, PASSWD_BAD, 3, 2);
	assert_int_equal(f.why.err, CHAT_ERR_NOT_FOUND);
	look(&f, PASSWD_SAME, 3, 2);
	replace(f.path, "alice:" HASH ":locked\n");
	look(&f, PASSWD_NEW, 4, 1);

	assert_int_equal(chmod(f.path, 0640), 0);
	look(&f, PASSWD_BAD, 4, 1);
	assert_int_equal(f.why.err, CHAT_ERR_PERMISSION);
	look(&f, PASSWD_SAME, 4, 1);
	assert_int_equal(chmod(f.path, 0600), 0);
	look(&f, PASSWD_NEW, 5, 1);
	close_fixture(&f);
}

/* Each kind of difference between two tables is one. */
TEST(differences)
{
	static const char *const steps[] = {
	    "a:" HASH "\nb:" HASH "\n",
	    "b:" HASH "\na:" HASH "\n",
	    "b:" HASH "\na:" HASH ":locked\n",
	    "b:" HASH "\na:" HASH2 ":locked\n",
	    "b:" HASH "\na:" HASH2 ":locked,id=0123456789abcdef\n",
	    "b:" HASH "\na:" HASH2 ":locked,id=0123456789abcdee\n",
	    "b:" HASH "\nc:" HASH2 ":locked,id=0123456789abcdee\n",
	};
	struct fixture f;

	open_fixture(&f);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		replace(f.path, steps[i]);
		look(&f, PASSWD_NEW, i + 1, 2);
		look(&f, PASSWD_SAME, i + 1, 2);
	}
	close_fixture(&f);
}

static const char *
hash_of_alice(struct fixture *f)
{
	static char hash[64];
	struct passwd_table *table = passwd_watch_table(f->watch);

	(void)snprintf(hash, sizeof(hash), "%s", passwd_table_find(table, BYTES_STR("alice"))->hash);
	passwd_table_unref(table);
	return hash;
}

/* The same size, and the modification time put back: the inode or the change time tells. */
TEST(same_size_and_mtime)
{
	struct fixture f;
	struct stat st;

	open_fixture(&f);
	replace(f.path, "alice:" HASH "\n");
	atomic_store(&offset_ms, 60000); /* settled from the first look on */
	look(&f, PASSWD_NEW, 1, 1);
	assert_int_equal(stat(f.path, &st), 0);
	const struct timespec times[] = {st.st_atim, st.st_mtim};

	replace(f.path, "alice:" HASH2 "\n");
	assert_int_equal(utimensat(AT_FDCWD, f.path, times, 0), 0);
	look(&f, PASSWD_NEW, 2, 1);
	assert_string_equal(hash_of_alice(&f), HASH2);
	close_fixture(&f);
}

/* Within two seconds of a change each look reads, for a second change in the same tick would not show. */
TEST(second_change_in_one_tick)
{
	struct fixture f;

	open_fixture(&f);
	for (unsigned i = 0; i < 500; i++) {
		write_in_place(f.path, i % 2 == 0 ? "alice:" HASH "\n" : "alice:" HASH2 "\n");
		look(&f, PASSWD_NEW, i + 1, 1);
		assert_string_equal(hash_of_alice(&f), i % 2 == 0 ? HASH : HASH2);
	}
	close_fixture(&f);
}

TEST(settled_file_is_not_read)
{
	struct fixture f;

	open_fixture(&f);
	replace(f.path, "alice:" HASH "\n");
	unsigned before = atomic_load(&loads);
	look(&f, PASSWD_NEW, 1, 1);
	look(&f, PASSWD_SAME, 1, 1);
	assert_int_equal(atomic_load(&loads) - before, 2);
	atomic_store(&offset_ms, 2500);
	look(&f, PASSWD_SAME, 1, 1); /* once more, for what happened in its last tick */
	assert_int_equal(atomic_load(&loads) - before, 3);
	for (unsigned i = 0; i < 10; i++)
		look(&f, PASSWD_SAME, 1, 1);
	assert_int_equal(atomic_load(&loads) - before, 3);

	/* A clock that was set back does not make it read for ever. */
	atomic_store(&offset_ms, -3600000);
	replace(f.path, "alice:" HASH2 "\n");
	look(&f, PASSWD_NEW, 2, 1);
	look(&f, PASSWD_SAME, 2, 1);
	assert_int_equal(atomic_load(&loads) - before, 4);

	/* A file that is wrong is not read again either, and none that is not there is opened. */
	atomic_store(&offset_ms, 60000);
	replace(f.path, "alice\n");
	look(&f, PASSWD_BAD, 2, 1);
	assert_int_equal(atomic_load(&loads) - before, 5);
	look(&f, PASSWD_SAME, 2, 1);
	assert_int_equal(atomic_load(&loads) - before, 5);
	assert_int_equal(unlink(f.path), 0);
	look(&f, PASSWD_BAD, 2, 1);
	look(&f, PASSWD_SAME, 2, 1);
	assert_int_equal(atomic_load(&loads) - before, 6);
	close_fixture(&f);
}

static struct fixture *overtaken;

static void
change_and_look(void)
{
	replace(overtaken->path, "alice:" HASH2 "\n");
	look(overtaken, PASSWD_NEW, 2, 1);
}

static void
change_and_complain(void)
{
	replace(overtaken->path, "alice\n");
	look(overtaken, PASSWD_BAD, 3, 2);
}

/* A look that has read an old version while another one read a newer does not put the old one in force. */
TEST(overtaken_look)
{
	struct fixture f;

	open_fixture(&f);
	overtaken = &f;
	replace(f.path, "alice:" HASH "\n");
	look(&f, PASSWD_NEW, 1, 1);
	replace(f.path, "alice:" HASH ":locked\n");
	after_load = change_and_look;
	look(&f, PASSWD_SAME, 2, 1);
	assert_string_equal(hash_of_alice(&f), HASH2);

	/* Nor does it end a newer complaint. */
	replace(f.path, "alice:" HASH "\nbob:" HASH "\n");
	look(&f, PASSWD_NEW, 3, 2);
	replace(f.path, "alice:" HASH "\n");
	after_load = change_and_complain;
	look(&f, PASSWD_SAME, 3, 2);
	assert_true(passwd_watch_complaint(f.watch, &f.why));
	close_fixture(&f);
}

#define LOOKERS  4
#define VERSIONS 300

struct race {
	struct fixture f;
	_Atomic bool stop;
	_Atomic unsigned news, bads;
};

/* No thread ever sees a version after a later one, nor one whose look it did not at least begin. */
static void *
look_on(void *arg)
{
	struct race *race = arg;
	uint64_t last_serial = 0;
	size_t last_count = 0;

	for (bool last = false; !last;) {
		struct passwd_table *table = NULL;
		struct passwd_why why;

		last = atomic_load(&race->stop); /* one more look after the end */
		enum passwd_look got = passwd_watch_check(race->f.watch, &table, &why);
		if (got == PASSWD_NEW)
			atomic_fetch_add(&race->news, 1);
		if (got == PASSWD_BAD)
			atomic_fetch_add(&race->bads, 1);
		assert(passwd_table_serial(table) >= last_serial);
		assert(passwd_table_count(table) >= last_count);
		assert(!last || passwd_table_count(table) == VERSIONS);
		last_serial = passwd_table_serial(table);
		last_count = passwd_table_count(table);
		passwd_table_unref(table);
	}
	return NULL;
}

TEST(many_threads)
{
	static struct race race;
	pthread_t threads[LOOKERS];
	char *text = calloc(VERSIONS, 32), *end = text;

	assert_non_null(text);
	open_fixture(&race.f);
	replace(race.f.path, "");
	for (size_t i = 0; i < LOOKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_on, &race), 0);
	for (unsigned i = 0; i < VERSIONS; i++) {
		end += snprintf(end, 32, "u%u:" HASH "\n", i);
		replace(race.f.path, text);
	}
	atomic_store(&race.stop, true);
	for (size_t i = 0; i < LOOKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);

	/* Each new table was announced to one thread. */
	struct passwd_table *table = passwd_watch_table(race.f.watch);
	assert_int_equal(passwd_table_count(table), VERSIONS);
	assert_int_equal(passwd_table_serial(table), atomic_load(&race.news));
	assert_int_equal(atomic_load(&race.bads), 0);
	passwd_table_unref(table);
	close_fixture(&race.f);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(life),
	    cmocka_unit_test(differences),
	    cmocka_unit_test(same_size_and_mtime),
	    cmocka_unit_test(second_change_in_one_tick),
	    cmocka_unit_test(settled_file_is_not_read),
	    cmocka_unit_test(overtaken_look),
	    cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
