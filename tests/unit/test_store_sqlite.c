/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the SQLite store promises beside the contract: whose file it opens, the size of its log, backup and
 * check. */

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "store_kit.h"

static char *
path_in(const char *dir, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	return path;
}

static void
write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct store *
open_at(const char *path, const struct store_options *options)
{
	struct store *store;
	char error[STORE_ERROR_BYTES];

	if (store_open(path, options, &store, error))
		fail_msg("%s", error);
	return store;
}

static const struct store_options plain = {0};

/* ---- whose file it is ---- */

/* The file is refused with this error and words, by store_open() and store_check(), and stays as it is. */
static void
expect_refused(const char *path, enum chat_err expected, const char *words)
{
	const struct store_check_options deep = {.deep = true};
	char error[STORE_ERROR_BYTES] = "";
	struct store *store = NULL;
	struct buf report = {0};
	size_t len, len_after;
	uint8_t *before = unit_read_file(path, &len), *after;

	assert_non_null(before);
	assert_err(store_open(path, &plain, &store, error), expected);
	assert_null(store);
	assert_non_null(strstr(error, path));
	assert_non_null(strstr(error, words));
	assert_null(strchr(error, '\n'));
	assert_err(store_check(path, &plain, &deep, &report), expected);
	assert_ok(buf_append(&report, "", 1));
	assert_non_null(strstr((const char *)report.data, words));
	after = unit_read_file(path, &len_after);
	assert_bytes_equal(BYTES(after, len_after), BYTES(before, len));
	buf_fini(&report);
	free(before);
	free(after);
}

TEST(other_files_are_refused)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db");
	uint8_t zeros[8192] = {0};

	write_file(path, "alice:$y$j9T$\n", 14);
	expect_refused(path, CHAT_ERR_INVALID, "not a database of secure-chat");
	write_file(path, zeros, sizeof(zeros));
	expect_refused(path, CHAT_ERR_INVALID, "not a database of secure-chat");
	assert_int_equal(unlink(path), 0);
	run_sql(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	expect_refused(path, CHAT_ERR_INVALID, "not a database of secure-chat");
	run_sql(path, "PRAGMA application_id = 77; PRAGMA journal_mode = WAL; INSERT INTO t VALUES (2)");
	expect_refused(path, CHAT_ERR_INVALID, "not a database of secure-chat");
	free(path);
	free(dir);
}

TEST(newer_version_is_refused)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db");
	struct store *store = open_at(path, &plain);

	store_close(store);
	run_sql(path, "PRAGMA user_version = 2");
	expect_refused(path, CHAT_ERR_NEWER, "newer version");
	run_sql(path, "PRAGMA user_version = 1");
	store = open_at(path, &plain);
	store_close(store);
	free(path);
	free(dir);
}

/* The version is only in the log: the file's own header is not the last word. */
TEST(newer_version_in_the_log)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db"), *wal = path_in(dir, "chat.db-wal");
	char *copy = path_in(dir, "copy.db"), *copy_wal = path_in(dir, "copy.db-wal");
	char error[STORE_ERROR_BYTES] = "";
	struct store *store = open_at(path, &plain);
	size_t len, wal_len;
	uint8_t *data, *wal_data;
	sqlite3 *db;

	store_close(store);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL), SQLITE_OK);
	data = unit_read_file(path, &len);
	wal_data = unit_read_file(wal, &wal_len);
	assert_true(wal_len > 0);
	write_file(copy, data, len);
	write_file(copy_wal, wal_data, wal_len);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_err(store_open(copy, &plain, &store, error), CHAT_ERR_NEWER);
	free(wal_data);
	wal_data = unit_read_file(copy_wal, &len);
	assert_int_equal(len, wal_len); /* not even written back */
	free(data);
	free(wal_data);
	free(path);
	free(wal);
	free(copy);
	free(copy_wal);
	free(dir);
}

/* A database that no server has open is looked at without a file being made beside it, whatever it is called.
 */
TEST(check_makes_no_file)
{
	static const char *const names[] = {"chat.db", "a?b.db", "a#b.db", "a%41.db", "a b&c=d.db"};
	const struct store_check_options deep = {.deep = true};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *dir = unit_temp_dir(), *path = path_in(dir, names[i]);
		struct buf report = {0};
		struct dirent *entry;
		unsigned files = 0;
		DIR *listing;

		store_close(open_at(path, &plain));
		assert_ok(store_check(path, &plain, &deep, &report));
		listing = opendir(dir);
		assert_non_null(listing);
		while ((entry = readdir(listing)))
			if (entry->d_name[0] != '.') {
				assert_string_equal(entry->d_name, names[i]);
				files++;
			}
		assert_int_equal(files, 1);
		(void)closedir(listing);
		buf_fini(&report);
		free(path);
		free(dir);
	}
}

TEST(files_and_modes)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db"), *wal = path_in(dir, "chat.db-wal");
	const struct store_check_options deep = {.deep = true};
	char error[STORE_ERROR_BYTES] = "";
	struct buf report = {0};
	struct store *store;
	struct stat st;
	sqlite3 *db;
	sqlite3_stmt *stmt;

	assert_err(store_check(path, &plain, &deep, &report), CHAT_ERR_NOT_FOUND);
	assert_int_equal(stat(path, &st), -1);
	assert_err(store_open(dir, &plain, &store, error), CHAT_ERR_IO);
	buf_fini(&report);

	store = open_at(path, &plain);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	store_close(store);
	assert_int_equal(stat(wal, &st), -1); /* written back */

	/* an empty file is as good as none */
	assert_int_equal(unlink(path), 0);
	write_file(path, "", 0);
	store = open_at(path, &plain);
	store_close(store);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA auto_vacuum", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(stmt, 0), 2); /* incremental */
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(path);
	free(wal);
	free(dir);
}

/* ---- the log's size ---- */

static uint64_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* A reader that is never idle, as the pool's are while many members catch up. */
struct busy_reader {
	struct store_reader *reader;
	struct digest room_id;
	_Atomic bool stop;
	enum chat_err err;
};

static bool
pass_over(void *ctx, const struct store_entry *entry)
{
	(void)ctx;
	(void)entry;
	return true;
}

static void *
read_always(void *arg)
{
	struct busy_reader *b = arg;
	struct store_room there;

	while (!b->stop && !b->err) {
		b->err = store_reader_begin(b->reader);
		if (!b->err)
			b->err = store_reader_room(b->reader, &b->room_id, &there);
		if (!b->err) {
			uint64_t from = there.head.seq > 100 ? there.head.seq - 100 : 1;

			b->err =
			    store_reader_range(b->reader, there.room_no, from, UINT64_MAX, pass_over, NULL);
		}
		store_reader_end(b->reader);
	}
	return NULL;
}

/* Appends and maintains until `bytes` are written or the store is congested; the largest size of the log. */
static uint64_t
write_much(struct kit *kit, struct model_room *room, const char *wal, uint64_t bytes)
{
	uint64_t seed = 1, largest = 0;

	for (uint64_t written = 0; written < bytes && !store_is_congested(kit->store);) {
		struct store_op *op = model_append(kit, room, 20, &seed);

		kit_commit(kit);
		model_stored(room, op);
		for (uint32_t i = 0; i < 20; i++)
			written += op->append.entries[i].wire.len;
		store_maintain(kit->store);
		if (size_of(wal) > largest)
			largest = size_of(wal);
	}
	return largest;
}

#define PATIENCE_MS 60000

/* As the engine, which takes nothing in meanwhile. */
static void
wait_for_the_log(struct kit *kit)
{
	uint64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (store_is_congested(kit->store)) {
		assert_true(clock_mono_ms() < end_ms);
		store_maintain(kit->store);
		(void)sched_yield();
	}
}

TEST(checkpoints_bound_the_log)
{
	const struct store_options options = {
	    .wal_checkpoint_bytes = 256 * 1024, .wal_congested_bytes = 8 * 1024 * 1024};
	struct kit kit = {.dir = unit_temp_dir(), .batch = store_batch_new()};
	char *path = path_in(kit.dir, "chat.db"), *wal = path_in(kit.dir, "chat.db-wal");
	struct busy_reader busy[2];
	pthread_t threads[2];
	struct store_room there;
	struct model_room room;
	uint64_t largest = 0;

	kit.store = open_at(path, &options);
	model_init(&room, 1);
	(void)write_much(&kit, &room, wal, 10000);
	for (size_t i = 0; i < 2; i++) {
		busy[i] = (struct busy_reader){.reader = kit_reader(&kit), .room_id = room.room_id};
		assert_int_equal(pthread_create(&threads[i], NULL, read_always, &busy[i]), 0);
	}
	/* Readers that come and go do not keep it from beginning anew for long, even if all wait for a
	 * processor. */
	for (unsigned i = 0; i < 24; i++) {
		uint64_t size = write_much(&kit, &room, wal, 1024 * 1024);

		largest = size > largest ? size : largest;
		wait_for_the_log(&kit);
	}
	for (size_t i = 0; i < 2; i++) {
		busy[i].stop = true;
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_ok(busy[i].err);
	}
	print_message("# largest log: %llu KiB\n", (unsigned long long)largest / 1024);
	assert_true(largest < 9 * 1024 * 1024);

	/* a read that does not end keeps the log from beginning anew: the store says so, and recovers */
	assert_ok(store_reader_begin(busy[0].reader));
	assert_ok(store_reader_room(busy[0].reader, &room.room_id, &there));
	(void)write_much(&kit, &room, wal, 16 * 1024 * 1024);
	assert_true(store_is_congested(kit.store));
	store_reader_end(busy[0].reader);
	wait_for_the_log(&kit);
	(void)write_much(&kit, &room, wal, 10000);
	assert_false(store_is_congested(kit.store));
	model_compare(&room, busy[0].reader);
	for (size_t i = 0; i < 2; i++)
		store_reader_close(busy[i].reader);
	store_close(kit.store);
	store_batch_free(kit.batch);
	model_fini(&room);
	free(path);
	free(wal);
	free(kit.dir);
}

TEST(log_left_by_a_crash_counts)
{
	const struct store_options options = {.wal_congested_bytes = 64 * 1024};
	struct kit kit = {.dir = unit_temp_dir(), .batch = store_batch_new()};
	char *path = path_in(kit.dir, "chat.db"), *copy = path_in(kit.dir, "copy.db");
	char *wal = path_in(kit.dir, "chat.db-wal"), *copy_wal = path_in(kit.dir, "copy.db-wal");
	size_t len, wal_len;
	uint8_t *data, *wal_data;
	uint64_t seed = 2;
	struct model_room room;
	struct store_reader *reader;
	struct store_op *op;

	kit.store = open_at(path, &plain);
	model_init(&room, 1);
	op = model_append(&kit, &room, 400, &seed);
	kit_commit(&kit);
	model_stored(&room, op);
	/* the files as a crash would leave them */
	data = unit_read_file(path, &len);
	wal_data = unit_read_file(wal, &wal_len);
	write_file(copy, data, len);
	write_file(copy_wal, wal_data, wal_len);
	store_close(kit.store);
	kit.store = open_at(copy, &options);
	assert_true(store_is_congested(kit.store));
	reader = kit_reader(&kit);
	model_compare(&room, reader);
	for (unsigned i = 0; store_is_congested(kit.store); i++) {
		assert_true(i < 1000000);
		store_maintain(kit.store);
		(void)sched_yield();
	}
	model_compare(&room, reader);
	store_reader_close(reader);
	store_close(kit.store);
	store_batch_free(kit.batch);
	model_fini(&room);
	free(data);
	free(wal_data);
	free(path);
	free(copy);
	free(wal);
	free(copy_wal);
	free(kit.dir);
}

TEST(stripping_gives_space_back)
{
	struct kit kit = {.dir = unit_temp_dir(), .batch = store_batch_new()};
	char *path = path_in(kit.dir, "chat.db");
	struct store_status full, stripped, vacuumed;
	struct model_room rooms[10];
	uint64_t seed = 3, left = 1;
	unsigned steps = 0;

	kit.store = open_at(path, &plain);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		model_init(&rooms[i], i);
	for (unsigned turn = 0; turn < 40; turn++) {
		for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
			(void)model_append(&kit, &rooms[i], 4, &seed);
		kit_commit(&kit);
	}
	assert_ok(store_status(kit.store, &full));
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		kit_op(&kit, STORE_STRIP)->strip = (struct store_strip){
		    .room_id = rooms[i].room_id, .below_seq = UINT64_MAX, .max_entries = 100000};
	kit_commit(&kit);
	assert_ok(store_status(kit.store, &stripped));
	assert_true(stripped.free_bytes > full.database_bytes / 2);
	for (; left > 0; steps++) {
		uint64_t before = left;

		assert_ok(store_vacuum_step(kit.store, 50, &left));
		assert_true(steps == 0 || left + 50 >= before);
	}
	assert_true(steps > 3);
	assert_ok(store_status(kit.store, &vacuumed));
	assert_int_equal(vacuumed.free_bytes, 0);
	assert_true(vacuumed.database_bytes < full.database_bytes / 2);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		model_fini(&rooms[i]);
	store_close(kit.store);
	store_batch_free(kit.batch);
	free(path);
	free(kit.dir);
}

/* ---- backup ---- */

struct backups {
	struct store_reader *reader;
	const char *path;
	_Atomic unsigned done;
	_Atomic bool stop;
};

#define PAIR 2

/* A backup that was just made: sound, and both rooms as long as each other, for they are written together. */
static void
check_backup(const char *path, uint64_t *last_seq)
{
	const struct store_check_options deep = {.deep = true};
	struct buf report = {0};
	struct store *store;
	uint64_t seq[PAIR];

	if (store_check(path, &plain, &deep, &report))
		fail_msg("%.*s", (int)report.len, (const char *)report.data);
	buf_fini(&report);
	store = open_at(path, &plain);
	for (size_t i = 0; i < PAIR; i++) {
		struct digest room_id = kit_digest("room", i);
		struct store_room there;

		assert_ok(store_room_by_id(store, &room_id, &there));
		seq[i] = there.head.seq;
	}
	assert_int_equal(seq[0], seq[1]);
	assert_true(seq[0] >= *last_seq);
	*last_seq = seq[0];
	store_close(store);
}

static void *
make_backups(void *arg)
{
	struct backups *b = arg;

	while (!b->stop) {
		if (store_reader_backup(b->reader, b->path))
			break;
		b->done++;
	}
	return NULL;
}

TEST(a_backup_is_known_until_it_is_adopted)
{
	struct kit kit = {.dir = unit_temp_dir(), .batch = store_batch_new()};
	char *path = path_in(kit.dir, "chat.db"), *backup = path_in(kit.dir, "backup.db"),
	     *second = path_in(kit.dir, "second.db"), *wal = path_in(kit.dir, "backup.db-wal");
	char error[STORE_ERROR_BYTES];
	struct buf report = {0};
	struct store *refused = NULL;
	struct store_reader *reader;
	struct model_room room;
	uint64_t seed = 5;
	struct store_op *op;

	model_init(&room, 1);
	kit.store = open_at(path, &plain);
	(void)model_append(&kit, &room, 100, &seed);
	kit_commit(&kit);
	assert_false(store_is_backup(kit.store));
	reader = kit_reader(&kit);
	assert_ok(store_reader_backup(reader, backup));
	store_reader_close(reader);
	store_close(kit.store);
	kit.store = open_at(path, &plain);
	assert_false(store_is_backup(kit.store)); /* the one that it was made of */
	store_close(kit.store);

	/* The log of another database beside it would be taken for its own. */
	write_file(wal, "left over", 9);
	assert_err(store_open(backup, &plain, &refused, error), CHAT_ERR_INVALID);
	assert_non_null(strstr(error, "backup.db-wal is another database's"));
	assert_err(store_check(backup, &plain, &(struct store_check_options){0}, &report), CHAT_ERR_INVALID);
	assert_int_equal(unlink(wal), 0);
	buf_clear(&report);
	assert_ok(store_check(backup, &plain, &(struct store_check_options){.deep = true}, &report));

	/* It is written to, and closed, and is one still; and so is a backup of it. */
	for (unsigned i = 0; i < 2; i++) {
		kit.store = open_at(backup, &plain);
		assert_true(store_is_backup(kit.store));
		op = model_append(&kit, &room, 10, &seed);
		kit_commit(&kit);
		room.room_no = op->result.room_no;
		model_stored(&room, op);
		if (i == 1) {
			reader = kit_reader(&kit);
			assert_ok(store_reader_backup(reader, second));
			store_reader_close(reader);
			assert_ok(store_adopt_backup(kit.store));
			assert_false(store_is_backup(kit.store));
		}
		store_close(kit.store);
	}
	kit.store = open_at(backup, &plain);
	assert_false(store_is_backup(kit.store));
	reader = kit_reader(&kit);
	model_compare(&room, reader);
	store_reader_close(reader);
	store_close(kit.store);
	kit.store = open_at(second, &plain);
	assert_true(store_is_backup(kit.store));
	store_close(kit.store);
	store_batch_free(kit.batch);
	model_fini(&room);
	buf_fini(&report);
	free(path);
	free(backup);
	free(second);
	free(wal);
	free(kit.dir);
}

TEST(backup_while_writing)
{
	const struct store_options options = {.wal_checkpoint_bytes = 256 * 1024};
	struct kit kit = {.dir = unit_temp_dir(), .batch = store_batch_new()};
	char *path = path_in(kit.dir, "chat.db"), *backup = path_in(kit.dir, "backup.db"), *copy;
	struct backups b = {.path = backup};
	struct model_room rooms[PAIR];
	uint64_t seed = 4, last_seq = 0;
	struct stat st;
	pthread_t thread;

	kit.store = open_at(path, &options);
	b.reader = kit_reader(&kit);
	for (size_t i = 0; i < PAIR; i++)
		model_init(&rooms[i], i);
	for (size_t i = 0; i < PAIR; i++)
		(void)model_append(&kit, &rooms[i], 500, &seed);
	kit_commit(&kit);
	assert_int_equal(pthread_create(&thread, NULL, make_backups, &b), 0);
	while (b.done < 10) {
		for (size_t i = 0; i < PAIR; i++)
			(void)model_append(&kit, &rooms[i], 2, &seed);
		kit_commit(&kit);
		store_maintain(kit.store);
	}
	b.stop = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stat(backup, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	check_backup(backup, &last_seq);
	assert_true(last_seq > 500);

	/* the last state, over the older backup; it goes on from there */
	assert_ok(store_reader_backup(b.reader, backup));
	last_seq = rooms[0].head.seq;
	check_backup(backup, &last_seq);
	assert_int_equal(last_seq, rooms[0].head.seq);
	store_reader_close(b.reader);
	struct realm realm = *store_realm(kit.store);
	store_close(kit.store);
	kit.store = open_at(backup, &options);
	assert_true(realm_equal(&realm, store_realm(kit.store)));
	assert_true(store_is_backup(kit.store));
	struct store_op *op = model_append(&kit, &rooms[0], 3, &seed);
	kit_commit(&kit);
	rooms[0].room_no = op->result.room_no;
	model_stored(&rooms[0], op);
	b.reader = kit_reader(&kit);
	model_compare(&rooms[0], b.reader);

	/* where it cannot be written nothing is left */
	copy = path_in(kit.dir, "no/such/dir.db");
	assert_err(store_reader_backup(b.reader, copy), CHAT_ERR_IO);
	assert_non_null(strstr(store_reader_error(b.reader), "no/such"));
	store_reader_close(b.reader);
	store_close(kit.store);
	store_batch_free(kit.batch);
	for (size_t i = 0; i < PAIR; i++)
		model_fini(&rooms[i]);
	free(copy);
	free(path);
	free(backup);
	free(kit.dir);
}

/* ---- damage ---- */

/* For a message's hash, which the store cannot compute. */
static bool
wire_fill_is_even(void *ctx, const struct store_entry *entry)
{
	(void)ctx;
	/* model_append() fills the wire with one byte behind a number of 8 */
	for (size_t i = 9; i < entry->wire.len; i++) {
		if (entry->wire.data[i] != entry->wire.data[8])
			return false;
	}
	return true;
}

/* A database of a few rooms, closed: its bytes. */
static uint8_t *
sound_database(const char *path, struct model_room *room, size_t *ret_len)
{
	struct kit kit = {.batch = store_batch_new(), .store = open_at(path, &plain)};
	uint64_t seed = 5;
	struct store_op *op;

	model_init(room, 1);
	op = model_append(&kit, room, 300, &seed);
	kit_commit(&kit);
	model_stored(room, op);
	store_close(kit.store);
	store_batch_free(kit.batch);
	return unit_read_file(path, ret_len);
}

static enum chat_err
check_bytes(const char *path, const uint8_t *data, size_t len, bool is_deep, struct buf *report)
{
	const struct store_check_options deep = {.deep = true, .entry_good = wire_fill_is_even};
	const struct store_check_options quick = {0};
	struct buf lines = {0};
	size_t len_after;
	uint8_t *after;
	enum chat_err err;

	write_file(path, data, len);
	err = store_check(path, &plain, is_deep ? &deep : &quick, report ? report : &lines);
	after = unit_read_file(path, &len_after);
	assert_bytes_equal(BYTES(after, len_after), BYTES(data, len));
	free(after);
	buf_fini(&lines);
	return err;
}

static uint8_t *
find(uint8_t *data, size_t len, struct bytes what)
{
	uint8_t *p = memmem(data, len, what.data, what.len);

	assert_non_null(p);
	return p;
}

TEST(damage_is_found)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db"), *copy = path_in(dir, "copy.db");
	struct model_room room;
	struct buf report = {0};
	size_t len;
	uint8_t *data = sound_database(path, &room, &len), *p;
	unsigned found = 0;

	assert_ok(check_bytes(copy, data, len, false, NULL));
	assert_ok(check_bytes(copy, data, len, true, NULL));

	/* a page overwritten, each page in turn but the first and those that hold only the middle of a long
	 * entry */
	for (size_t page = 1; page < len / 4096; page++) {
		uint8_t saved[4096];

		memcpy(saved, data + page * 4096, 4096);
		memset(data + page * 4096, 0xa5, 4096);
		found += check_bytes(copy, data, len, true, NULL) == CHAT_ERR_CORRUPT;
		memcpy(data + page * 4096, saved, 4096);
	}
	assert_int_equal(found, len / 4096 - 1);

	/* one bit of a hash, of a message's bytes: the pages are sound, only the deep check sees it */
	p = find(data, len, digest_bytes(&room.entries[99].entry_hash));
	*p ^= 1;
	assert_ok(check_bytes(copy, data, len, false, NULL));
	assert_err(check_bytes(copy, data, len, true, &report), CHAT_ERR_CORRUPT);
	assert_ok(buf_append(&report, "", 1));
	assert_non_null(strstr((const char *)report.data, "entry 100 of room 1"));
	*p ^= 1;
	buf_clear(&report);
	p = find(data, len, BYTES(room.entries[149].wire, 100));
	p[50] ^= 1;
	assert_ok(check_bytes(copy, data, len, false, NULL));
	assert_err(check_bytes(copy, data, len, true, &report), CHAT_ERR_CORRUPT);
	assert_ok(buf_append(&report, "", 1));
	assert_non_null(strstr((const char *)report.data, "entry 150 of room 1"));
	p[50] ^= 1;

	/* cut short */
	assert_err(check_bytes(copy, data, len / 2, false, NULL), CHAT_ERR_CORRUPT);
	buf_fini(&report);
	free(data);
	model_fini(&room);
	free(path);
	free(copy);
	free(dir);
}

static bool
take_seq(void *ctx, const struct store_entry *entry)
{
	*(uint64_t *)ctx = entry->seq;
	return true;
}

/* Damage in one room is that room's: the others are served, and the engine is told what it is. */
TEST(damage_is_an_error_not_a_crash)
{
	char *dir = unit_temp_dir(), *path = path_in(dir, "chat.db"), *copy = path_in(dir, "copy.db");
	struct model_room room;
	struct store_batch *batch = store_batch_new();
	size_t len, damaged = 0, refused = 0;
	uint8_t *data = sound_database(path, &room, &len);

	for (size_t page = 1; page < len / 4096; page++) {
		struct store *store;
		struct store_reader *reader;
		char error[STORE_ERROR_BYTES];
		uint8_t saved[4096];
		enum chat_err err;
		uint64_t last;

		memcpy(saved, data + page * 4096, 4096);
		memset(data + page * 4096, (int)(page * 37), 4096);
		write_file(copy, data, len);
		memcpy(data + page * 4096, saved, 4096);
		err = store_open(copy, &plain, &store, error);
		if (err) {
			assert_err(err, CHAT_ERR_CORRUPT);
			damaged++;
			continue;
		}
		assert_ok(store_reader_open(store, &reader));
		err = store_reader_range(reader, room.room_no, 1, UINT64_MAX, take_seq, &last);
		if (err) {
			assert_err(err, CHAT_ERR_CORRUPT);
			assert_true(strlen(store_reader_error(reader)) > 0);
			damaged++;
		}
		store_reader_close(reader);

		/* A post that meets damage fails, and what is stored elsewhere goes on. */
		store_batch_reset(batch);
		store_batch_add(batch, STORE_APPEND)->append = (struct store_append){.room_id = room.room_id,
		    .expected_seq = room.head.seq,
		    .entries = &(struct store_new_entry){.kind = ENTRY_EVENT, .wire = BYTES_STR("event")},
		    .entry_count = 1};
		err = store_commit(store, batch);
		if (err) {
			assert_err(err, CHAT_ERR_CORRUPT);
			assert_int_equal(store_batch_op(batch, 0)->result.outcome, STORE_FAILED);
			store_batch_reset(batch);
			store_batch_add(batch, STORE_PUT_IDENTITY)->put_identity =
			    (struct store_put_identity){.account = BYTES_STR("alice")};
			refused += store_commit(store, batch) == CHAT_OK;
		}
		store_close(store);
	}
	assert_true(damaged > len / 4096 / 3);
	assert_true(refused > 3);
	store_batch_free(batch);
	free(data);
	model_fini(&room);
	free(path);
	free(copy);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(other_files_are_refused),
	    cmocka_unit_test(newer_version_is_refused),
	    cmocka_unit_test(newer_version_in_the_log),
	    cmocka_unit_test(check_makes_no_file),
	    cmocka_unit_test(files_and_modes),
	    cmocka_unit_test(checkpoints_bound_the_log),
	    cmocka_unit_test(log_left_by_a_crash_counts),
	    cmocka_unit_test(stripping_gives_space_back),
	    cmocka_unit_test(a_backup_is_known_until_it_is_adopted),
	    cmocka_unit_test(backup_while_writing),
	    cmocka_unit_test(damage_is_found),
	    cmocka_unit_test(damage_is_an_error_not_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
