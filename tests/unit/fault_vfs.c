/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "fault_vfs.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include <sqlite3.h>

static sqlite3_vfs *base;
static sqlite3_vfs vfs;
static _Atomic int armed;
static _Atomic uint64_t left;
static _Atomic int met;
static _Atomic uint64_t syncs;

struct fault_file {
	sqlite3_file file;
	uint64_t real[]; /* the real one's memory; SQLite aligns to 8 bytes */
};

static sqlite3_file *
real_of(sqlite3_file *file)
{
	return (sqlite3_file *)(void *)((struct fault_file *)(void *)file)->real;
}

void
fault_arm(enum fault fault, uint64_t after)
{
	atomic_store(&left, after);
	atomic_store(&met, 0);
	atomic_store(&armed, (int)fault);
}

int
fault_disarm(void)
{
	atomic_store(&armed, FAULT_NONE);
	return atomic_load(&met);
}

uint64_t
fault_syncs(void)
{
	return atomic_load(&syncs);
}

static int
fails(enum fault fault)
{
	uint64_t n = atomic_load(&left);

	if (atomic_load(&armed) != (int)fault)
		return 0;
	while (n > 0) {
		if (atomic_compare_exchange_weak(&left, &n, n - 1))
			return 0;
	}
	atomic_store(&met, 1);
	return 1;
}

static int
x_close(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);

	return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int
x_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	return fails(FAULT_READ) ? SQLITE_IOERR_READ
				 : real_of(file)->pMethods->xRead(real_of(file), to, n, at);
}

static int
x_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
	return fails(FAULT_WRITE) ? SQLITE_FULL : real_of(file)->pMethods->xWrite(real_of(file), from, n, at);
}

static int
x_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
x_sync(sqlite3_file *file, int flags)
{
	atomic_fetch_add(&syncs, 1);
	return fails(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
x_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
x_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
x_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
x_check_reserved_lock(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int
x_file_control(sqlite3_file *file, int op, void *arg)
{
	if (op == SQLITE_FCNTL_SIZE_HINT && fails(FAULT_WRITE))
		return SQLITE_FULL;
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int
x_sector_size(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
x_device_characteristics(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
x_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int
x_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void
x_shm_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
x_shm_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no mapped reads */
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_file_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_check_reserved_lock,
    .xFileControl = x_file_control,
    .xSectorSize = x_sector_size,
    .xDeviceCharacteristics = x_device_characteristics,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

static int
x_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	int rc = base->xOpen(base, name, real_of(file), flags, ret_flags);

	(void)self;
	file->pMethods = real_of(file)->pMethods ? &methods : NULL;
	return rc;
}

void
fault_vfs_register(void)
{
	int rc;

	if (base)
		return;
	base = sqlite3_vfs_find(NULL);
	assert(base);
	/* What takes a sqlite3_vfs besides xOpen gets the copy, which has all that the original has. */
	vfs = *base;
	vfs.pNext = NULL;
	vfs.zName = "fault";
	vfs.szOsFile = (int)sizeof(struct fault_file) + base->szOsFile;
	vfs.xOpen = x_open;
	rc = sqlite3_vfs_register(&vfs, 0);
	assert(rc == SQLITE_OK);
}
