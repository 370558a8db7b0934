/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ACCOUNTS_PASSWD_IMPL_H
#define ACCOUNTS_PASSWD_IMPL_H

/* What the sources of src/accounts share and nobody else includes. */

#include <sys/stat.h>

#include "accounts/passwd_file.h"
#include "base/buf.h"

/* Only before the table is shared. */
void passwd_table_set_serial(struct passwd_table *table, uint64_t serial);

/* The same accounts in the same order, with the same hashes and flags; comments do not count. */
bool passwd_table_equal(const struct passwd_table *a, const struct passwd_table *b);

enum passwd_read_flags {
	PASSWD_READ_ROOT_ANY_OWNER = 1 << 0, /* root may use a file that belongs to another user */
};

/* Opens for reading, and refuses a file whose kind, mode or owner is not safe.  The caller closes *ret_fd. */
enum chat_err passwd_open(
    const char *path, unsigned flags, int *ret_fd, struct stat *ret_st, struct passwd_why *ret_why) MUST_USE;

/* Appends the whole file to text; of one that is too long, only a little too much.  The caller wipes text. */
enum chat_err
passwd_read_all(int fd, const char *path, struct buf *text, struct passwd_why *ret_why) MUST_USE;

#endif
