/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The storage in SQLite as processes meet it: killed, several at once, copied, newer, open to others. */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "libchat/storage_sqlite.h"

static struct storage *
open_at(const char *dir)
{
	struct storage *st = NULL;
	char *text = NULL;

	assert_ok(storage_sqlite_open(dir, STORAGE_SLOT, &st, &text));
	return st;
}

static char *
path_in(const char *dir, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	return path;
}

static const struct digest room = {{0x42}};

static uint64_t
say(struct storage *st, const char *text)
{
	uint64_t id = 0;

	assert_ok(st->ops->add_outbox(st, &room, BYTES_STR(text), &id));
	return id;
}

/* The texts of the outbox, with a "!" behind those sealed: "one two! ". */
struct texts {
	char all[256];
};

static bool
add_text(void *ctx, const struct outbox_item *item)
{
	struct texts *texts = ctx;
	size_t len = strlen(texts->all);

	(void)snprintf(texts->all + len, sizeof(texts->all) - len, "%.*s%s ", (int)item->sealed_text.len,
	    (const char *)item->sealed_text.data, item->state == OUTBOX_SEALED ? "!" : "");
	return true;
}

static struct texts
outbox(struct storage *st)
{
	struct texts texts = {""};

	assert_ok(st->ops->each_outbox(st, add_text, &texts));
	return texts;
}

/* ---- a process that can be told to go on, and is killed ---- */

struct child {
	pid_t pid;
	int from, to; /* its ends are the others */
};

/* Runs fn in a child until it says "ready"; it then waits for a byte or its death. */
static struct child
child_start(const char *dir, void (*fn)(struct storage *st, int nth), int nth)
{
	int up[2], down[2];
	struct child child;
	char c;

	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(down), 0);
	(void)fflush(NULL);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		struct storage *st = NULL;

		close(up[0]);
		close(down[1]);
		if (storage_sqlite_open(dir, STORAGE_SLOT, &st, NULL) != CHAT_OK)
			_exit(3);
		fn(st, nth);
		if (write(up[1], "r", 1) != 1 || read(down[0], &c, 1) != 1)
			_exit(4);
		storage_sqlite_close(st);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	child.from = up[0];
	child.to = down[1];
	assert_int_equal(read(child.from, &c, 1), 1);
	return child;
}

static void
child_end(struct child *child, bool kill_it)
{
	int status;

	if (kill_it)
		assert_int_equal(kill(child->pid, SIGKILL), 0);
	else
		assert_int_equal(write(child->to, "x", 1), 1);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_true(kill_it ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(child->from);
	close(child->to);
}

static void
say_in_child(struct storage *st, int nth)
{
	char text[16];
	uint64_t id;

	(void)snprintf(text, sizeof(text), "c%d", nth);
	if (st->ops->add_outbox(st, &room, BYTES_STR(text), &id) != CHAT_OK)
		_exit(5);
}

static void
seal_in_child(struct storage *st, int nth)
{
	char text[16];
	uint64_t id;

	(void)snprintf(text, sizeof(text), "s%d", nth);
	if (st->ops->add_outbox(st, &room, BYTES_STR(text), &id) != CHAT_OK ||
	    st->ops->seal_outbox(st, id, 1, BYTES_STR("wire")) != CHAT_OK)
		_exit(5);
}

/* A sealed message, and behind it one that waits. */
static void
both_in_child(struct storage *st, int nth)
{
	seal_in_child(st, nth);
	say_in_child(st, nth);
}

/* Something committed, and a transaction that is not. */
static void
half_in_child(struct storage *st, int nth)
{
	struct stored_room r = {.room_id = room, .head.seq = 1, .first_seq = 1};
	uint64_t id;

	(void)nth;
	if (st->ops->add_outbox(st, &room, BYTES_STR("kept"), &id) != CHAT_OK ||
	    st->ops->begin(st) != CHAT_OK || st->ops->put_room(st, &r) != CHAT_OK ||
	    st->ops->add_outbox(st, &room, BYTES_STR("lost"), &id) != CHAT_OK)
		_exit(5);
}

static bool
count_room(void *ctx, const struct stored_room *r)
{
	(void)r;
	++*(int *)ctx;
	return true;
}

TEST(killed_in_a_transaction)
{
	char *dir = unit_temp_dir();
	struct child child = child_start(dir, half_in_child, 0);
	struct storage *st;
	int rooms = 0;

	child_end(&child, true);
	st = open_at(dir);
	assert_string_equal(outbox(st).all, "kept ");
	assert_ok(st->ops->each_room(st, count_room, &rooms));
	assert_int_equal(rooms, 0);
	storage_sqlite_close(st);
	free(dir);
}

static bool
look_for(void *ctx, const struct outbox_item *item)
{
	uint64_t *id = ctx;

	if (item->id == *id)
		*id = 0;
	return true;
}

static bool
drop_all(void *ctx, const struct outbox_item *item)
{
	*(uint64_t *)ctx = item->id;
	return false;
}

/* Killed at any moment, what add_outbox() had promised by then is there: the child says each id as it gets
 * it. */
TEST(killed_anywhere)
{
	char *dir = unit_temp_dir();

	for (int round = 0; round < 12; round++) {
		int up[2];
		uint64_t promised = 0, id;
		struct storage *st;
		pid_t pid;

		assert_int_equal(pipe(up), 0);
		(void)fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct storage *own = NULL;

			if (storage_sqlite_open(dir, STORAGE_SLOT, &own, NULL) != CHAT_OK)
				_exit(3);
			for (int i = 0;; i++) {
				char text[32];

				(void)snprintf(text, sizeof(text), "%d", i);
				if (own->ops->add_outbox(own, &room, BYTES_STR(text), &id) != CHAT_OK ||
				    write(up[1], &id, sizeof(id)) != (ssize_t)sizeof(id))
					_exit(4);
				if (i > 0 && own->ops->remove_outbox(own, id - 1) != CHAT_OK)
					_exit(5);
			}
		}
		close(up[1]);
		for (int i = 0; i <= round * 3; i++)
			assert_int_equal(read(up[0], &promised, sizeof(promised)), sizeof(promised));
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(up[0], &id, sizeof(id)) == (ssize_t)sizeof(id))
			promised = id;
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(up[0]);
		st = open_at(dir);
		assert_ok(st->ops->each_outbox(st, look_for, &promised));
		assert_int_equal(promised, 0); /* the last one promised is there */
		do {
			id = 0;
			assert_ok(st->ops->each_outbox(st, drop_all, &id));
			assert_ok(st->ops->remove_outbox(st, id));
		} while (id);
		assert_string_equal(outbox(st).all, "");
		storage_sqlite_close(st);
	}
	free(dir);
}

TEST(slots_of_two_processes)
{
	char *dir = unit_temp_dir();
	struct child child = child_start(dir, say_in_child, 1);
	struct storage *st = open_at(dir);
	struct device_id own, later;

	/* The other's outbox is not ours while it lives. */
	assert_string_equal(outbox(st).all, "");
	st->ops->get_device(st, &own);
	(void)say(st, "mine");
	child_end(&child, false);
	assert_string_equal(outbox(st).all, "mine ");
	storage_sqlite_close(st);

	/* Slot 0 is free again, is taken first, and takes over what waits in slot 1. */
	st = open_at(dir);
	st->ops->get_device(st, &later);
	assert_memory_not_equal(own.b, later.b, sizeof(own.b));
	assert_string_equal(outbox(st).all, "c1 mine ");
	storage_sqlite_close(st);
	free(dir);
}

TEST(orphans_are_adopted)
{
	char *dir = unit_temp_dir();
	struct child children[3];
	struct storage *st;

	for (int i = 0; i < 3; i++)
		children[i] = child_start(dir, say_in_child, i);
	child_end(&children[1], true);
	child_end(&children[2], true);
	/* Slot 0 is held, so slot 1 is taken as it is, and what slot 2 left is adopted. */
	st = open_at(dir);
	assert_string_equal(outbox(st).all, "c1 c2 ");
	child_end(&children[0], true);
	assert_string_equal(outbox(st).all, "c1 c2 ");
	storage_sqlite_close(st);
	st = open_at(dir);
	assert_string_equal(outbox(st).all, "c0 c1 c2 ");
	storage_sqlite_close(st);
	free(dir);
}

/* A sealed message can only be sent again under the device id that it has. */
TEST(sealed_orphans_keep_their_device)
{
	char *dir = unit_temp_dir();
	struct child plain = child_start(dir, say_in_child, 0);
	struct child sealed = child_start(dir, seal_in_child, 1);
	struct storage *st, *other;
	struct device_id device, other_device;

	child_end(&plain, true);
	child_end(&sealed, true);
	st = open_at(dir); /* slot 1, though 0 is free; what waits in 0 is adopted */
	assert_string_equal(outbox(st).all, "c0 s1! ");
	st->ops->get_device(st, &device);
	other = open_at(dir);
	other->ops->get_device(other, &other_device);
	assert_memory_not_equal(device.b, other_device.b, sizeof(device.b));
	assert_string_equal(outbox(other).all, "");
	storage_sqlite_close(other);
	storage_sqlite_close(st);
	free(dir);
}

/* What waits behind a sealed message is not said before it by somebody else. */
TEST(sealed_orphans_keep_their_order)
{
	char *dir = unit_temp_dir();
	struct child one = child_start(dir, seal_in_child, 1);
	struct child two = child_start(dir, both_in_child, 2);
	struct storage *st, *other;

	child_end(&one, true);
	child_end(&two, true);
	st = open_at(dir);
	assert_string_equal(outbox(st).all, "s1! ");
	other = open_at(dir);
	assert_string_equal(outbox(other).all, "s2! c2 ");
	storage_sqlite_close(other);
	storage_sqlite_close(st);
	free(dir);
}

TEST(both_write_at_once)
{
	char *dir = unit_temp_dir();
	struct storage *a = open_at(dir), *b = open_at(dir);
	struct stored_entry entry = {.seq = 1, .kind = ENTRY_EVENT, .wire = BYTES_STR("wire")};
	pid_t pid;
	int status;

	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Its own connection: a SQLite handle does not survive a fork. */
		struct storage *c = NULL;

		if (storage_sqlite_open(dir, STORAGE_SLOT, &c, NULL) != CHAT_OK)
			_exit(3);
		for (entry.seq = 1; entry.seq <= 200; entry.seq++) {
			if (c->ops->put_entry(c, &room, &entry) != CHAT_OK)
				_exit(4);
		}
		storage_sqlite_close(c);
		_exit(0);
	}
	for (uint64_t i = 1; i <= 200; i++) {
		entry.seq = i;
		assert_ok(a->ops->put_entry(a, &room, &entry));
		(void)say(b, "x");
		if (i > 1)
			continue;
		/* One waits while the other is in a transaction of its own. */
		assert_ok(a->ops->begin(a));
		assert_ok(a->ops->put_entry(a, &room, &entry));
		assert_ok(a->ops->commit(a));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	storage_sqlite_close(a);
	storage_sqlite_close(b);
	free(dir);
}

TEST(no_slot_for_a_look)
{
	char *dir = unit_temp_dir();
	struct storage *st = NULL, *look = NULL;
	struct stored_identity identity;
	struct device_id before, after;
	char *lock = path_in(dir, "slot-1.lock");

	st = open_at(dir);
	st->ops->get_device(st, &before);
	assert_ok(storage_sqlite_open(dir, STORAGE_NO_SLOT, &look, NULL));
	assert_err(look->ops->get_identity(look, &identity), CHAT_ERR_NOT_FOUND);
	storage_sqlite_close(look);
	assert_int_not_equal(access(lock, F_OK), 0);
	storage_sqlite_close(st);
	st = open_at(dir);
	st->ops->get_device(st, &after);
	assert_memory_equal(before.b, after.b, sizeof(before.b));
	storage_sqlite_close(st);
	free(lock);
	free(dir);
}

TEST(slots_run_out)
{
	char *dir = unit_temp_dir(), *text = NULL;
	struct storage *st[64], *more = NULL;

	for (size_t i = 0; i < ARRAY_LEN(st); i++)
		st[i] = open_at(dir);
	assert_err(storage_sqlite_open(dir, STORAGE_SLOT, &more, &text), CHAT_ERR_LOCKED);
	assert_non_null(strstr(text, dir));
	free(text);
	for (size_t i = 0; i < ARRAY_LEN(st); i++)
		storage_sqlite_close(st[i]);
	free(dir);
}

/* ---- files ---- */

TEST(files_are_private)
{
	static const char *const names[] = {
	    "chat.db", "chat.db-wal", "chat.db-shm", "slot-0.lock", "open.lock"};
	char *dir = unit_temp_dir();
	mode_t mask = umask(0);
	struct storage *st = open_at(dir);
	struct stat s;

	(void)say(st, "x");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = path_in(dir, names[i]);

		assert_int_equal(stat(path, &s), 0);
		assert_int_equal(s.st_mode & 0777, 0600);
		free(path);
	}
	(void)umask(mask);
	storage_sqlite_close(st);
	free(dir);
}

/* Opening fails like this, names the file, and changes nothing. */
static void
refused(const char *dir, enum chat_err expected, const char *in_text)
{
	struct storage *st = NULL;
	char *path = path_in(dir, "chat.db"), *text = NULL;
	size_t before_len = 0, after_len = 0;
	uint8_t *before = unit_read_file(path, &before_len), *after;

	assert_err(storage_sqlite_open(dir, STORAGE_SLOT, &st, &text), expected);
	assert_non_null(text);
	assert_non_null(strstr(text, path));
	assert_non_null(strstr(text, in_text));
	after = unit_read_file(path, &after_len);
	assert_int_equal(before_len, after_len);
	if (before)
		assert_memory_equal(before, after, before_len);
	free(before);
	free(after);
	free(text);
	free(path);
}

static void
sql(const char *dir, const char *statement)
{
	char *path = path_in(dir, "chat.db");
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(path);
}

TEST(others_can_read_it)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db");

	storage_sqlite_close(open_at(dir));
	assert_int_equal(chmod(path, 0640), 0);
	refused(dir, CHAT_ERR_PERMISSION, "chmod go=");
	assert_int_equal(chmod(path, 0600), 0);
	storage_sqlite_close(open_at(dir));
	free(path);
	free(dir);
}

TEST(newer_version)
{
	char *dir = unit_temp_dir();

	storage_sqlite_close(open_at(dir));
	sql(dir, "PRAGMA user_version = 2");
	refused(dir, CHAT_ERR_NEWER, "newer version");
	sql(dir, "PRAGMA user_version = 1");
	storage_sqlite_close(open_at(dir));
	free(dir);
}

TEST(newer_version_in_the_log_only)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db"), *text = NULL;
	struct storage *st = NULL;
	sqlite3 *db = NULL;

	storage_sqlite_close(open_at(dir));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	/* Held open, so that the change stays in the write-ahead log. */
	assert_err(storage_sqlite_open(dir, STORAGE_SLOT, &st, &text), CHAT_ERR_NEWER);
	assert_non_null(strstr(text, "newer version"));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(text);
	free(path);
	free(dir);
}

static void
write_file(const char *path, const void *from, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, from, n), n);
	close(fd);
}

TEST(not_ours)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db"), zeros[200] = {0};

	write_file(path, "hello\n", 6);
	refused(dir, CHAT_ERR_CORRUPT, "not a database of a secure-chat client");
	write_file(path, zeros, sizeof(zeros));
	refused(dir, CHAT_ERR_CORRUPT, "not a database of a secure-chat client");
	assert_int_equal(unlink(path), 0);
	sql(dir, "CREATE TABLE t (x)");
	assert_int_equal(chmod(path, 0600), 0);
	refused(dir, CHAT_ERR_CORRUPT, "not a database of a secure-chat client");
	free(path);
	free(dir);
}

TEST(damaged)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db");
	struct stored_identity identity = {.published = true};
	struct storage *st = open_at(dir);
	int fd;

	assert_ok(st->ops->put_identity(st, &identity));
	storage_sqlite_close(st);
	/* A row that contradicts its meaning. */
	sql(dir, "UPDATE identity SET ed_seed = x'00'");
	st = open_at(dir);
	assert_err(st->ops->get_identity(st, &identity), CHAT_ERR_CORRUPT);
	assert_non_null(strstr(storage_sqlite_error(st), "chat.db"));
	storage_sqlite_close(st);
	/* Pages that are none. */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t at = 4096; at < 64 * 1024; at += 4)
		assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, at), 4);
	close(fd);
	st = NULL;
	if (storage_sqlite_open(dir, STORAGE_SLOT, &st, NULL) == CHAT_OK) {
		assert_err(st->ops->get_identity(st, &identity), CHAT_ERR_CORRUPT);
		storage_sqlite_close(st);
	}
	free(path);
	free(dir);
}

/* A process was killed while it made the tables. */
TEST(made_halfway)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db");

	write_file(path, "", 0);
	storage_sqlite_close(open_at(dir));
	free(path);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed_in_a_transaction),
	    cmocka_unit_test(killed_anywhere),
	    cmocka_unit_test(slots_of_two_processes),
	    cmocka_unit_test(orphans_are_adopted),
	    cmocka_unit_test(sealed_orphans_keep_their_device),
	    cmocka_unit_test(sealed_orphans_keep_their_order),
	    cmocka_unit_test(both_write_at_once),
	    cmocka_unit_test(no_slot_for_a_look),
	    cmocka_unit_test(slots_run_out),
	    cmocka_unit_test(files_are_private),
	    cmocka_unit_test(others_can_read_it),
	    cmocka_unit_test(newer_version),
	    cmocka_unit_test(newer_version_in_the_log_only),
	    cmocka_unit_test(not_ours),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(made_halfway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
