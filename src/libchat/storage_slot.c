/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/storage_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "base/state_dir.h"

#define LOCK_POLL_MS 5

enum chat_err
slot_lock_file(const char *dir, const char *name, unsigned wait_ms, int *ret_fd)
{
	const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
	unsigned waited_ms = 0;
	char *path = NULL;
	enum chat_err err;
	int fd = -1, saved;

	err = state_dir_file(dir, name, &path);
	if (err)
		return err;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = fd < 0 ? CHAT_ERR_IO : CHAT_OK;
	while (!err && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK) {
			err = CHAT_ERR_IO;
		} else if (waited_ms >= wait_ms) {
			err = CHAT_ERR_LOCKED;
		} else {
			(void)nanosleep(&pause, NULL);
			waited_ms += LOCK_POLL_MS;
		}
	}
	saved = errno;
	free(path);
	if (err && fd >= 0)
		(void)close(fd);
	errno = saved;
	if (!err)
		*ret_fd = fd;
	return err;
}

/* CHAT_ERR_LOCKED: another process has it. */
static enum chat_err
lock_slot(struct db *db, const char *dir, uint64_t number, int *ret_fd)
{
	char name[32];
	enum chat_err err;

	(void)snprintf(name, sizeof(name), "slot-%llu.lock", (unsigned long long)number);
	err = slot_lock_file(dir, name, 0, ret_fd);
	if (err && err != CHAT_ERR_LOCKED)
		(void)snprintf(db->error, sizeof(db->error), "%s/%s: cannot be locked: %s", dir, name,
		    err == CHAT_ERR_NOMEM ? chat_strerror(err) : strerror(errno));
	return err;
}

/* What a statement lists, up to the number of slots there can be. */
static enum chat_err
list_slots(struct db *db, enum db_stmt which, uint64_t ret[static SLOTS_MAX], size_t *ret_count)
{
	sqlite3_stmt *st;
	size_t count = 0;
	bool row = false;
	enum chat_err err = db_stmt(db, which, &st);

	if (err)
		return err;
	while (count < SLOTS_MAX && !(err = db_step(db, st, &row)) && row)
		ret[count++] = db_col_u64(st, 0);
	db_done(db, which, st);
	if (!err)
		*ret_count = count;
	return err;
}

/* The lowest free slot with sealed messages, else the lowest free one. */
static enum chat_err
choose(struct db *db, const char *dir, struct slot *slot)
{
	uint64_t sealed[SLOTS_MAX];
	size_t count;
	enum chat_err err = list_slots(db, DB_SLOTS_SEALED, sealed, &count);

	if (err)
		return err;
	for (uint64_t i = 0; i < count + SLOTS_MAX; i++) {
		uint64_t number = i < count ? sealed[i] : i - count;

		err = lock_slot(db, dir, number, &slot->lock_fd);
		if (err == CHAT_ERR_LOCKED)
			continue;
		if (!err)
			slot->number = (unsigned)number;
		return err;
	}
	(void)snprintf(
	    db->error, sizeof(db->error), "%s: %d processes use it already; end one of them", dir, SLOTS_MAX);
	return CHAT_ERR_LOCKED;
}

static enum chat_err
put_device(struct db *db, unsigned slot, const struct device_id *device)
{
	sqlite3_stmt *st;
	enum chat_err err = db_stmt(db, DB_PUT_DEVICE, &st);

	if (err)
		return err;
	db_bind_u64(st, 1, slot);
	db_bind_bytes(st, 2, BYTES_ARRAY(device->b));
	return db_run(db, DB_PUT_DEVICE, st);
}

/* The slot's own; the first of a new slot. */
static enum chat_err
get_device(struct db *db, struct slot *slot)
{
	sqlite3_stmt *st;
	bool row = false;
	enum chat_err err = db_stmt(db, DB_GET_DEVICE, &st);

	if (err)
		return err;
	db_bind_u64(st, 1, slot->number);
	err = db_step(db, st, &row);
	if (!err && row && !db_col_copy(st, 0, slot->device.b, sizeof(slot->device.b)))
		err = db_corrupt(db, "a device id of a wrong length");
	db_done(db, DB_GET_DEVICE, st);
	if (err || row)
		return err;
	random_bytes(slot->device.b, sizeof(slot->device.b));
	return put_device(db, slot->number, &slot->device);
}

/* Moves what was left unsealed in slots that nobody holds.  A slot with anything sealed keeps all: its order
 * counts. */
static enum chat_err
adopt(struct db *db, const char *dir, const struct slot *slot)
{
	uint64_t waiting[SLOTS_MAX];
	size_t count;
	enum chat_err err = list_slots(db, DB_SLOTS_WAITING, waiting, &count);

	for (size_t i = 0; !err && i < count; i++) {
		sqlite3_stmt *st;
		int fd = -1;

		if (waiting[i] == slot->number)
			continue;
		err = lock_slot(db, dir, waiting[i], &fd);
		if (err == CHAT_ERR_LOCKED) {
			err = CHAT_OK;
			continue;
		}
		if (!err)
			err = db_stmt(db, DB_ADOPT, &st);
		if (!err) {
			db_bind_u64(st, 1, waiting[i]);
			db_bind_u64(st, 2, slot->number);
			err = db_run(db, DB_ADOPT, st);
		}
		if (fd >= 0)
			(void)close(fd);
	}
	return err;
}

enum chat_err
slot_take(struct db *db, const char *dir, struct slot *ret)
{
	struct slot slot = {.lock_fd = -1};
	enum chat_err err = choose(db, dir, &slot);

	if (!err)
		err = get_device(db, &slot);
	if (!err)
		err = adopt(db, dir, &slot);
	if (err)
		slot_leave(&slot);
	else
		*ret = slot;
	return err;
}

void
slot_leave(struct slot *slot)
{
	if (slot->lock_fd >= 0)
		(void)close(slot->lock_fd);
	slot->lock_fd = -1;
}

enum chat_err
slot_renew_device(struct slot *slot, struct db *db)
{
	struct device_id device;
	enum chat_err err;

	random_bytes(device.b, sizeof(device.b));
	err = put_device(db, slot->number, &device);
	if (!err)
		slot->device = device;
	return err;
}
