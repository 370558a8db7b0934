/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ACCOUNTS_PASSWD_FILE_H
#define ACCOUNTS_PASSWD_FILE_H

/*
 * The password file, read: `name:hash[:flags]` lines (chat-passwd(5)) become an immutable table, and a file
 * becomes a parsed table only if every line of it parses.  A watch sees that the file has changed.
 *
 * It does not hash (passwd_hash.h) and does not write (passwd_edit.h).  It decides nothing about sessions:
 * the server compares the table that it last acted upon with the new one.
 *
 * Threads: tables are immutable and counted, for any thread.  A watch is for any thread too; no lock is held
 * over a system call.  Who gets a table from a function here owns one reference and ends it with
 * passwd_table_unref().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/account_name.h"
#include "base/bytes.h"
#include "base/compiler.h"

#define PASSWD_LINE_MAX_BYTES 1024               /* name 64, hash at most 383 (crypt(3)), flags */
#define PASSWD_FILE_MAX_BYTES (16 * 1024 * 1024) /* over 100,000 accounts; bounds what one look may cost */
#define PASSWD_ID_CHARS       16

/*
 * Why something was refused: one line for people, naming the file, the line, what is wrong and the mend.  It
 * never quotes a hash or a password, and holds printable characters only.  No full stop or newline at its
 * end.
 */
struct passwd_why {
	enum chat_err err;
	unsigned line; /* counted from 1; 0 where it is not about one line */
	char text[1024];
};

/* Borrowed from its table, and valid as long as that is. */
struct passwd_entry {
	const char *name;
	const char *hash;
	const char *id; /* 16 lower-case hex digits, given by `chat-passwd add`; "" where the line has none */
	bool locked;
	unsigned line;
};

/*
 * True if both are the same account: the same name and the same id.  A line that was deleted and added again
 * by chat-passwd has another id, and so is another account, even if nobody looked in between.  (Lines without
 * an id have only their name: deleting and adding such a line shows only to who looks in between.)
 */
bool passwd_entry_same_account(const struct passwd_entry *a, const struct passwd_entry *b);

struct passwd_table;

/*
 * Parses text.  path is for the messages only.  CHAT_ERR_SYNTAX (*ret_why filled), CHAT_ERR_NOMEM (*ret_why
 * filled too).  On success *ret_why is untouched.
 */
enum chat_err passwd_table_parse(struct bytes text, const char *path, struct passwd_table **ret_table,
    struct passwd_why *ret_why) MUST_USE;

/*
 * Reads and parses the file.  *ret_why is filled on every failure.  CHAT_ERR_NOT_FOUND; CHAT_ERR_PERMISSION:
 * group or others have any right to it, or its owner is neither this process's user nor root, or it may not
 * be read; CHAT_ERR_SYNTAX; CHAT_ERR_IO; CHAT_ERR_NOMEM.
 */
enum chat_err
passwd_table_load(const char *path, struct passwd_table **ret_table, struct passwd_why *ret_why) MUST_USE;

/*
 * The same for the tools of an administrator: root may read a file that belongs to another user (of the
 * service).
 */
enum chat_err passwd_table_load_as_admin(
    const char *path, struct passwd_table **ret_table, struct passwd_why *ret_why) MUST_USE;

struct passwd_table *passwd_table_ref(struct passwd_table *table); /* returns table */
void passwd_table_unref(struct passwd_table *table);               /* NULL is fine */

/* NULL if there is no such account. */
const struct passwd_entry *passwd_table_find(const struct passwd_table *table, struct bytes name);

size_t passwd_table_count(const struct passwd_table *table);
/* In the order of the file; i < count. */
const struct passwd_entry *passwd_table_at(const struct passwd_table *table, size_t i);

/*
 * A number that a watch gives to each table it puts in force: 1, 2, 3 ...; 0 for the empty table that is in
 * force before the first good look, and for tables that come from no watch.
 */
uint64_t passwd_table_serial(const struct passwd_table *table);

enum passwd_look {
	PASSWD_SAME, /* nothing new: the table in force is as it was (also while a complaint stands) */
	PASSWD_NEW,  /* this look has put a new table in force */
	PASSWD_BAD,  /* the file is no longer good, or no longer there; the table in force stays */
};

struct passwd_watch;

/* Looks at nothing yet: an empty table is in force.  path is copied.  CHAT_ERR_NOMEM. */
enum chat_err passwd_watch_new(const char *path, struct passwd_watch **ret_watch) MUST_USE;
void passwd_watch_free(struct passwd_watch *watch); /* NULL is fine; no other thread may still use it */

/*
 * One look: a stat(2), and where that shows a change, reading and parsing.  *ret_table is always set to the
 * table in force after the look, with a reference for the caller.  Where several threads look at once, one
 * gets PASSWD_NEW (or PASSWD_BAD) for a change and the others PASSWD_SAME: to act once on each table, compare
 * passwd_table_serial().
 *
 * PASSWD_BAD is returned, and *ret_why filled, once for each complaint and not at every look; else *ret_why
 * is untouched.  A first look that finds no file is PASSWD_BAD with CHAT_ERR_NOT_FOUND.
 */
enum passwd_look passwd_watch_check(
    struct passwd_watch *watch, struct passwd_table **ret_table, struct passwd_why *ret_why) MUST_USE;

/* The table in force, with a reference for the caller.  No system call. */
struct passwd_table *passwd_watch_table(struct passwd_watch *watch);

/* True, *ret_why filled, while the last look at the file ended in a complaint (for `chatctl status`). */
bool passwd_watch_complaint(struct passwd_watch *watch, struct passwd_why *ret_why);

#endif
