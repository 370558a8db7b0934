/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FAULT_VFS_H
#define FAULT_VFS_H

/*
 * A VFS for SQLite, named "fault", over the default one: files work until a fault is armed.
 *
 *	fault_vfs_register();
 *	fault_arm(FAULT_WRITE, 3);	the fourth write from now on fails, and all later ones
 *	fault_disarm();			space is back
 *
 * Threads: any; there is one fault for the process.
 */

#include <stdint.h>

enum fault {
	FAULT_NONE,
	FAULT_WRITE, /* SQLITE_FULL, as of a full disk; growing a file by other means fails too */
	FAULT_SYNC,  /* SQLITE_IOERR_FSYNC */
	FAULT_READ,  /* SQLITE_IOERR_READ */
};

void fault_vfs_register(void);
void fault_arm(enum fault fault, uint64_t after);
/* Whether the fault was met since it was armed. */
int fault_disarm(void);

/* Calls since the start of the program. */
uint64_t fault_syncs(void);

#endif
