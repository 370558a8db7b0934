/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The SQLite store when the disk does not do what it should, and when the program is killed. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_vfs.h"
#include "store_kit.h"

static char *
path_in(const char *dir)
{
	char *path = NULL;

	if (asprintf(&path, "%s/chat.db", dir) < 0)
		abort();
	return path;
}

/* A kit whose store is on the faulty disk; the caller's options otherwise. */
static void
kit_open(struct kit *kit, const struct store_options *options)
{
	char error[STORE_ERROR_BYTES];
	char *path;

	fault_vfs_register();
	*kit = (struct kit){.dir = unit_temp_dir(), .batch = store_batch_new()};
	assert_non_null(kit->batch);
	path = path_in(kit->dir);
	if (store_open(path, options, &kit->store, error))
		fail_msg("%s", error);
	free(path);
}

static void
kit_close(struct kit *kit)
{
	store_close(kit->store);
	store_batch_free(kit->batch);
	free(kit->dir);
}

static const struct store_options faulty = {.vfs = "fault"};

static void
expect_all_failed(struct kit *kit)
{
	for (size_t i = 0; i < store_batch_count(kit->batch); i++)
		assert_int_equal(store_batch_op(kit->batch, i)->result.outcome, STORE_FAILED);
}

static void
compare(struct kit *kit, const struct model_room *room)
{
	struct store_reader *reader = kit_reader(kit);

	model_compare(room, reader);
	store_reader_close(reader);
}

/* Each write and each sync of a commit in turn fails: nothing of it is there, all outcomes are `failed`, and
 * the same batch is stored when the fault is gone. */
static void
every_point_fails(enum fault fault, unsigned *ret_points)
{
	struct kit kit;
	struct model_room rooms[3];
	uint64_t seed = 1;
	unsigned points = 0;

	kit_open(&kit, &faulty);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		struct store_op *op;

		model_init(&rooms[i], i);
		op = model_append(&kit, &rooms[i], 60, &seed);
		kit_commit(&kit);
		model_stored(&rooms[i], op);
	}
	for (;; points++) {
		struct model_room before[ARRAY_LEN(rooms)];
		struct store_op *ops[ARRAY_LEN(rooms)];
		struct store_status status;
		enum chat_err err;
		int met;

		memcpy(before, rooms, sizeof(rooms));
		store_batch_reset(kit.batch);
		for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
			ops[i] = model_append(&kit, &rooms[i], 3, &seed);
		fault_arm(fault, points);
		err = store_commit(kit.store, kit.batch);
		met = fault_disarm();
		if (!met) {
			assert_ok(err);
			break;
		}
		assert_err(err, CHAT_ERR_STORE_UNAVAILABLE);
		assert_true(strlen(store_error(kit.store)) > 0);
		expect_all_failed(&kit);
		assert_ok(store_status(kit.store, &status));
		assert_true(status.failing);
		for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
			struct store_room there;

			assert_ok(store_room_by_id(kit.store, &rooms[i].room_id, &there));
			assert_true(log_head_equal(&there.head, &before[i].head));
		}
		/* space is back */
		assert_ok(store_commit(kit.store, kit.batch));
		for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
			model_stored(&rooms[i], ops[i]);
			compare(&kit, &rooms[i]);
		}
		assert_ok(store_status(kit.store, &status));
		assert_false(status.failing);
		assert_int_equal(status.failed_commits, points + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		compare(&kit, &rooms[i]);
		model_fini(&rooms[i]);
	}
	kit_close(&kit);
	*ret_points = points;
}

TEST(full_disk_at_every_write)
{
	unsigned points;

	every_point_fails(FAULT_WRITE, &points);
	assert_true(points >= 10); /* the pages of three rooms, twice for each frame */
}

TEST(failed_sync)
{
	unsigned points;

	every_point_fails(FAULT_SYNC, &points);
	assert_int_equal(points, 1); /* one sync for the whole commit */
}

TEST(one_sync_for_a_commit)
{
	struct kit kit;
	struct model_room rooms[100];
	uint64_t seed = 2, before;

	kit_open(&kit, &faulty);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		model_init(&rooms[i], i);
		(void)model_append(&kit, &rooms[i], 1, &seed);
	}
	kit_commit(&kit); /* the first after opening writes the log's header too */
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		(void)model_append(&kit, &rooms[i], 1, &seed);
	before = fault_syncs();
	kit_commit(&kit);
	assert_int_equal(fault_syncs() - before, 1);
	/* nothing is written, nothing is synced: a turn of conflicts */
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		kit_op(&kit, STORE_APPEND)->append = (struct store_append){.room_id = rooms[i].room_id};
	before = fault_syncs();
	kit_commit(&kit);
	assert_int_equal(fault_syncs() - before, 0);
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		model_fini(&rooms[i]);
	kit_close(&kit);
}

/* The limit of the database's size stands for a disk that stays full; what is there can still be read. */
TEST(full_database)
{
	const struct store_options small = {.vfs = "fault", .max_pages = 200};
	struct kit kit;
	struct model_room room;
	uint64_t seed = 3;
	enum chat_err err = CHAT_OK;
	char *path;
	char error[STORE_ERROR_BYTES];

	kit_open(&kit, &small);
	model_init(&room, 1);
	for (unsigned turns = 0; !err && turns < 10000; turns++) {
		struct model_room before = room;
		struct store_op *op = model_append(&kit, &room, 1, &seed);

		err = store_commit(kit.store, kit.batch);
		if (!err) {
			model_stored(&room, op);
		} else {
			/* the model forgets it */
			free(room.entries[before.count].wire);
			room.count = before.count;
			room.head = before.head;
			store_batch_reset(kit.batch);
		}
	}
	assert_err(err, CHAT_ERR_STORE_UNAVAILABLE);
	assert_true(room.count > 50);
	compare(&kit, &room);
	store_close(kit.store);
	path = path_in(kit.dir);
	if (store_open(path, &faulty, &kit.store, error))
		fail_msg("%s", error);
	compare(&kit, &room);
	struct store_op *op = model_append(&kit, &room, 100, &seed);
	kit_commit(&kit);
	model_stored(&room, op);
	compare(&kit, &room);
	free(path);
	model_fini(&room);
	kit_close(&kit);
}

static bool
take_all(void *ctx, const struct store_entry *entry)
{
	*(uint64_t *)ctx = entry->seq;
	return true;
}

TEST(failed_read)
{
	struct kit kit;
	struct model_room room;
	struct store_reader *reader;
	uint64_t seed = 4, last = 0;
	unsigned failures = 0;
	struct store_op *op;

	kit_open(&kit, &faulty);
	model_init(&room, 1);
	for (unsigned i = 0; i < 5; i++) {
		op = model_append(&kit, &room, 100, &seed);
		kit_commit(&kit);
		model_stored(&room, op);
	}
	for (;;) {
		enum chat_err err;

		/* a fresh one has no page in its cache */
		reader = kit_reader(&kit);
		fault_arm(FAULT_READ, failures);
		err = store_reader_range(reader, room.room_no, 1, UINT64_MAX, take_all, &last);
		if (!fault_disarm()) {
			assert_ok(err);
			break;
		}
		if (err) {
			assert_err(err, CHAT_ERR_STORE_UNAVAILABLE);
			assert_true(strlen(store_reader_error(reader)) > 0);
		}
		/* the same reader goes on when the disk does */
		if (failures % 8 == 0)
			model_compare(&room, reader);
		store_reader_close(reader);
		failures++;
	}
	assert_int_equal(last, room.count);
	assert_true(failures > 20);
	store_reader_close(reader);
	model_fini(&room);
	kit_close(&kit);
}

TEST(database_cannot_be_made)
{
	char error[STORE_ERROR_BYTES] = "";
	struct store *store;
	struct stat st;
	char *dir = unit_temp_dir(), *path = path_in(dir);

	fault_vfs_register();
	/* wherever it fails, the next start makes it */
	for (unsigned n = 0;; n++) {
		enum chat_err err;

		fault_arm(FAULT_WRITE, n);
		err = store_open(path, &faulty, &store, error);
		if (!fault_disarm()) {
			assert_ok(err);
			assert_true(n > 5);
			break;
		}
		if (!err) {
			/* met where it does not matter */
			store_close(store);
			assert_int_equal(unlink(path), 0);
			continue;
		}
		assert_err(err, CHAT_ERR_IO);
		assert_non_null(strstr(error, path));
		assert_int_equal(stat(path, &st), -1);
		assert_int_equal(errno, ENOENT);
	}
	store_close(store);
	free(path);
	free(dir);
}

/* ---- kill -9 ---- */

#define KILL_ROOMS 5

/* Appends to all rooms in each turn, and writes the turn's number into the pipe when it is acknowledged. */
static void
child_writes(const char *path, int fd)
{
	const struct store_options options = {.wal_checkpoint_bytes = 128 * 1024};
	struct store_batch *batch = store_batch_new();
	struct model_room rooms[KILL_ROOMS];
	struct kit kit = {.batch = batch};
	char error[STORE_ERROR_BYTES];
	uint64_t seed = 5;

	if (!batch || store_open(path, &options, &kit.store, error))
		_exit(1);
	for (size_t i = 0; i < KILL_ROOMS; i++) {
		struct store_room there;

		model_init(&rooms[i], i);
		if (store_room_by_id(kit.store, &rooms[i].room_id, &there) == CHAT_OK)
			rooms[i].head = there.head;
	}
	for (;;) {
		uint64_t turn = rooms[0].head.seq + 1;

		for (size_t i = 0; i < KILL_ROOMS; i++) {
			struct store_op *op = kit_op(&kit, STORE_APPEND);
			struct store_new_entry *entry = store_batch_alloc(batch, sizeof(*entry));

			if (!entry)
				_exit(1);
			*entry = (struct store_new_entry){.kind = ENTRY_MESSAGE,
			    .server_time_ms = turn,
			    .wire = BYTES_STR("a message of some length, so that pages fill"),
			    .entry_hash = kit_digest("killed", unit_rand(&seed))};
			op->append = (struct store_append){.room_id = rooms[i].room_id,
			    .expected_seq = rooms[i].head.seq,
			    .entries = entry,
			    .entry_count = 1};
		}
		if (store_commit(kit.store, batch))
			_exit(2);
		for (size_t i = 0; i < KILL_ROOMS; i++)
			rooms[i].head = store_batch_op(batch, i)->result.head;
		if (write(fd, &turn, sizeof(turn)) != (ssize_t)sizeof(turn))
			_exit(3);
		store_maintain(kit.store);
	}
}

TEST(killed_while_writing)
{
	const struct store_check_options deep = {.deep = true};
	char *dir = unit_temp_dir(), *path = path_in(dir);
	uint64_t acknowledged = 0;

	for (unsigned run = 0; run < 6; run++) {
		struct buf report = {0};
		struct store *store;
		char error[STORE_ERROR_BYTES];
		uint64_t stop = acknowledged + 1 + run * 97, turn, head_seq = 0;
		int fds[2], status;
		pid_t pid;

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			child_writes(path, fds[1]);
		(void)close(fds[1]);
		while (acknowledged < stop) {
			assert_int_equal(read(fds[0], &turn, sizeof(turn)), sizeof(turn));
			acknowledged = turn;
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		/* what it had acknowledged besides */
		while (read(fds[0], &turn, sizeof(turn)) == (ssize_t)sizeof(turn))
			acknowledged = turn;
		(void)close(fds[0]);

		if (store_open(path, &(struct store_options){0}, &store, error))
			fail_msg("%s", error);
		for (size_t i = 0; i < KILL_ROOMS; i++) {
			struct digest room_id = kit_digest("room", i);
			struct store_room there;

			assert_ok(store_room_by_id(store, &room_id, &there));
			/* each acknowledged turn, and at most the one under way, whole */
			assert_in_range(there.head.seq, acknowledged, acknowledged + 1);
			if (i == 0)
				head_seq = there.head.seq;
			assert_int_equal(there.head.seq, head_seq);
		}
		store_close(store);
		if (store_check(path, &(struct store_options){0}, &deep, &report))
			fail_msg("%.*s", (int)report.len, (const char *)report.data);
		buf_fini(&report);
	}
	free(path);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(full_disk_at_every_write),
	    cmocka_unit_test(failed_sync),
	    cmocka_unit_test(one_sync_for_a_commit),
	    cmocka_unit_test(full_database),
	    cmocka_unit_test(failed_read),
	    cmocka_unit_test(database_cannot_be_made),
	    cmocka_unit_test(killed_while_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
