/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

/*
 * The options of chat-server.conf(5) as rows: name, type, range, default, unit, help, and whether a reload is
 * enough.  What the file means, what the command line may override, the manual page's list and the example
 * file all come from these rows.
 *
 * What it is not: it opens no file and makes nothing of the values; that is config.h.
 *
 * Threads: any; the rows are constant, and a struct options belongs to one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "accounts/passwd_why.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"

enum option_type {
	OPTION_NUMBER,
	OPTION_SIZE,      /* bytes; in the file also with KiB, MiB, GiB */
	OPTION_DURATION,  /* milliseconds; in the file with ms, s, m, h, d */
	OPTION_CHOICE,    /* the index of a word */
	OPTION_PATH,      /* as in the file: not made absolute */
	OPTION_ADDRESSES, /* host names and numbers, separated by commas */
};

enum option_when {
	OPTION_RELOAD,  /* a reload puts a new value in force */
	OPTION_RESTART, /* only a new start does */
};

struct option_row {
	const char *name;
	enum option_type type;
	enum option_when when;
	size_t offset;              /* into struct options; of the value's field */
	uint64_t min, max, initial; /* of those with a number; both ends are allowed */
	const char *initial_text;   /* of paths and addresses */
	const char *const *words;   /* of a choice, NULL at the end */
	const char *special;        /* a value with a meaning of its own, and ... */
	const char *special_means;  /* ... what it means, or NULL */
	const char *unit;           /* of a number: what is counted */
	char flag;                  /* the command line's letter, '#' for its operand; 0: none */
	const char *section;        /* a heading before this row, or NULL */
	const char *help;           /* whole sentences, a line each */
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;
/* At least option_row_count; for arrays beside the rows. */
#define OPTION_ROWS_MAX 32

struct option_addresses {
	char **items; /* owned */
	size_t count; /* 0: every address of the machine */
};

/* One field for each row.  Numbers are of the row's unit, and within its range. */
struct options {
	struct option_addresses listen;
	uint64_t port;
	char *state_dir, *password_file, *tls_key, *tls_cert, *log_file; /* owned, never NULL */
	uint64_t log_level;                                              /* an enum log_level */
	uint64_t loops;
	uint64_t history_days, history_entries;
	uint64_t connections_max, connections_per_address;
	uint64_t handshake_timeout_ms, hello_timeout_ms, login_timeout_ms, idle_timeout_ms;
	uint64_t outbuf_high_bytes, outbuf_low_bytes;
	uint64_t request_units_per_ms, request_units_burst;
	uint64_t kdf_queue_max, login_fail_delay_ms, login_fail_delay_max_ms;
	uint64_t sessions_per_account, rooms_per_account, room_readers_max;
};

/* All at their defaults.  CHAT_ERR_NOMEM, after which there is nothing to end. */
enum chat_err options_init(struct options *ret) MUST_USE;
void options_fini(struct options *options);

/* NULL: no option has that name. */
const struct option_row *option_find(struct bytes name);
/* The one that the command line sets with this letter; NULL: none. */
const struct option_row *option_of_flag(char flag);

#define OPTION_WHY_CHARS 256

/*
 * Sets one option from its text in the file.  CHAT_ERR_SYNTAX or CHAT_ERR_RANGE: why says, after the option's
 * name, what is wrong and what would be right; CHAT_ERR_NOMEM.  On failure the option is as it was.
 */
enum chat_err option_set(struct options *options, const struct option_row *row, struct bytes value,
    char why[static OPTION_WHY_CHARS]) MUST_USE;
/* The same value as in `from`.  CHAT_ERR_NOMEM. */
enum chat_err
option_copy(struct options *options, const struct option_row *row, const struct options *from) MUST_USE;
bool option_equal(const struct option_row *row, const struct options *a, const struct options *b);
/* Appends the value as it stands in a file: option_set() understands it.  CHAT_ERR_NOMEM. */
enum chat_err
option_show(const struct options *options, const struct option_row *row, struct buf *text) MUST_USE;
/* Appends one number of the row's type, as "10s".  CHAT_ERR_NOMEM. */
enum chat_err option_show_number(const struct option_row *row, uint64_t value, struct buf *text) MUST_USE;

#define OPTIONS_FILE_MAX_BYTES (256 * 1024)

/* Without blanks at the ends; borrowed from text. */
struct bytes options_trim(struct bytes text);

/* Which line of a file set an option; 0: none did. */
struct options_lines {
	unsigned line[OPTION_ROWS_MAX];
};

/*
 * Sets what the text of a file says: `key = value` lines, comments from a # at the start of a line or behind
 * a space.  path is for messages only.  CHAT_ERR_SYNTAX, CHAT_ERR_RANGE, CHAT_ERR_NOMEM, *ret_why filled.
 * What came before a bad line is set then: the caller throws the options away.
 */
enum chat_err options_parse(struct options *options, struct bytes text, const char *path,
    struct options_lines *ret_lines, struct passwd_why *ret_why) MUST_USE;

/*
 * What no single row can say: values that contradict each other.  *ret_row is the one that is named in why,
 * as option_set() would.  CHAT_ERR_RANGE.
 */
enum chat_err options_check(const struct options *options, const struct option_row **ret_row,
    char why[static OPTION_WHY_CHARS]) MUST_USE;

#endif
