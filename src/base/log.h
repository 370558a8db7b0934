/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * The server's log: one line per event, `time level event key=value ...`, on stderr or in a file.  Values are
 * quoted where they hold spaces, quotes or bytes outside printable ASCII (then escaped), so a line cannot be forged
 * from a value.  Libraries never log.  Secrets and message text are never logged.
 *
 * Threads: any; a line is written by one write(2), so lines never mix.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_value {
	enum { LOG_VALUE_STR, LOG_VALUE_UINT, LOG_VALUE_INT, LOG_VALUE_BYTES } type;
	union {
		const char *str;
		uint64_t u;
		int64_t i;
		struct bytes bytes;
	};
};

struct log_pair {
	const char *key;
	struct log_value value;
};

#define LOG_STR(k, v)   ((struct log_pair){(k), {.type = LOG_VALUE_STR, .str = (v)}})
#define LOG_UINT(k, v)  ((struct log_pair){(k), {.type = LOG_VALUE_UINT, .u = (v)}})
#define LOG_INT(k, v)   ((struct log_pair){(k), {.type = LOG_VALUE_INT, .i = (v)}})
#define LOG_BYTES(k, v) ((struct log_pair){(k), {.type = LOG_VALUE_BYTES, .bytes = (v)}}) /* text, not terminated */
#define LOG_ERR(v)      LOG_STR("error", chat_err_name(v))

/* log_event(LOG_INFO, "login", LOG_BYTES("account", name), LOG_UINT("sessions", n)); at least one pair. */
#define log_event(level, event, ...)                                                                                   \
	log_write((level), (event), (const struct log_pair[]){__VA_ARGS__},                                            \
	    sizeof((const struct log_pair[]){__VA_ARGS__}) / sizeof(struct log_pair))

void log_write(enum log_level level, const char *event, const struct log_pair *pairs, size_t count);

/* Lines less urgent than level are dropped.  The start value is LOG_INFO. */
void log_set_level(enum log_level level);
/* Appends to path from now on (created 0640); NULL: stderr, the start value.  Call again to reopen after rotation.
 * CHAT_ERR_IO with errno set; the log then goes where it went before. */
enum chat_err log_open(const char *path) MUST_USE;

/*
 * For lines that a peer can cause: true if the line may be written now (at most `burst` at once, then `per_min` a
 * minute), false if it is to be dropped.  The next line let through says how many were dropped ("suppressed"),
 * through *ret_suppressed.  Lock-free; zero-initialise apart from the two limits.
 */
struct log_limit {
	uint32_t burst;
	uint32_t per_min;
	_Atomic uint64_t tat_ms; /* theoretical arrival time of the next line */
	_Atomic uint64_t suppressed;
};
bool log_limit_pass(struct log_limit *limit, uint64_t mono_ms, uint64_t *ret_suppressed);

#endif
