/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* PIPE_BUF of Linux: a write of this much to a pipe is never mixed with another. */
#define LINE_MAX_BYTES 4096

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

static _Atomic int current_level = LOG_INFO;
/* A number of our own is kept for ever once taken, and a new file is put under it by dup3(): no thread can
 * write to a number that another has just closed. */
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic uint64_t lost; /* lines that could not be written, since the last that could */

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	bool cut;
};

static const char cut_mark[] = " truncated=yes";
/* What a line always ends with: the closing quote of a value, the mark, the newline. */
#define LINE_RESERVE (sizeof(cut_mark) + 1)

/* All of s, or nothing of it and the line is cut there. */
static void
put(struct line *line, const char *s, size_t n)
{
	if (line->cut || n > sizeof(line->text) - LINE_RESERVE - line->len) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->len, s, n);
	line->len += n;
}

PRINTF_LIKE(2, 3)
static void
put_fmt(struct line *line, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof(text));
	put(line, text, (size_t)n);
}

static bool
is_plain(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static void
put_text(struct line *line, struct bytes s)
{
	bool quoted = s.len == 0;

	for (size_t i = 0; i < s.len && !quoted; i++)
		quoted = !is_plain(s.data[i]);
	if (!quoted) {
		/* Byte by byte, so that of a value too long the beginning is kept. */
		for (size_t i = 0; i < s.len && !line->cut; i++)
			put(line, (const char *)&s.data[i], 1);
		return;
	}
	if (line->cut)
		return;
	put(line, "\"", 1);
	if (line->cut)
		return;
	for (size_t i = 0; i < s.len && !line->cut; i++) {
		uint8_t c = s.data[i];

		if (c == '"' || c == '\\')
			put_fmt(line, "\\%c", c);
		else if (c == '\n')
			put(line, "\\n", 2);
		else if (c == '\t')
			put(line, "\\t", 2);
		else if (c < ' ' || c >= 0x7f)
			put_fmt(line, "\\x%02x", c);
		else
			put(line, (const char *)&c, 1);
	}
	/* From the reserve, so that a value that was cut is closed too. */
	line->text[line->len++] = '"';
}

static void
put_pair(struct line *line, const struct log_pair *pair)
{
	size_t start = line->len;

	put(line, " ", 1);
	put(line, pair->key, strlen(pair->key));
	put(line, "=", 1);
	if (line->cut) {
		line->len = start;
		return;
	}
	switch (pair->value.type) {
	case LOG_VALUE_STR:
		put_text(line, pair->value.str ? BYTES_STR(pair->value.str) : BYTES_EMPTY);
		break;
	case LOG_VALUE_BYTES:
		put_text(line, pair->value.bytes);
		break;
	case LOG_VALUE_UINT:
		put_fmt(line, "%" PRIu64, pair->value.u);
		break;
	case LOG_VALUE_INT:
		put_fmt(line, "%" PRId64, pair->value.i);
		break;
	}
}

static void
put_time(struct line *line)
{
	uint64_t unix_ms = clock_unix_ms();
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;
	char text[40];

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	put_fmt(line, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
}

void
log_write(enum log_level level, const char *event, const struct log_pair *pairs, size_t count)
{
	struct line line = {.len = 0};
	int saved_errno = errno;
	uint64_t lost_before;
	ssize_t wrote;

	if ((int)level > atomic_load_explicit(&current_level, memory_order_relaxed))
		return;
	put_time(&line);
	put_fmt(&line, " %s ", level_names[level]);
	put(&line, event, strlen(event));
	lost_before = atomic_exchange(&lost, 0);
	if (lost_before > 0)
		put_pair(&line, &LOG_UINT("lost_lines", lost_before));
	for (size_t i = 0; i < count && !line.cut; i++)
		put_pair(&line, &pairs[i]);
	if (line.cut) {
		memcpy(line.text + line.len, cut_mark, sizeof(cut_mark) - 1);
		line.len += sizeof(cut_mark) - 1;
	}
	line.text[line.len++] = '\n';
	do
		wrote = write(atomic_load(&log_fd), line.text, line.len);
	while (wrote < 0 && errno == EINTR);
	/* There is nobody to tell but the next line. */
	if (wrote < 0)
		atomic_fetch_add(&lost, lost_before + 1);
	errno = saved_errno;
}

void
log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

enum chat_err
log_open(const char *path)
{
	enum chat_err err = CHAT_ERR_IO;
	int current = atomic_load(&log_fd);
	int fd = -1;

	if (path)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	else
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		goto out;
	if (current == STDERR_FILENO) {
		atomic_store(&log_fd, fd);
		fd = -1;
	} else if (dup3(fd, current, O_CLOEXEC) < 0) {
		goto out;
	}
	err = CHAT_OK;
out:
	if (fd >= 0) {
		int saved_errno = errno;

		close(fd);
		errno = saved_errno;
	}
	return err;
}

bool
log_limit_pass(struct log_limit *limit, uint64_t mono_ms, uint64_t *ret_suppressed)
{
	/* The generic cell rate algorithm: each line moves the theoretical arrival time of the next by the
	 * interval, and passes if it comes no more than burst - 1 intervals before its own. */
	uint64_t interval_ms, tolerance_ms, tat_ms, start_ms;

	assert(limit->burst > 0 && limit->per_min > 0);
	interval_ms = 60000 / limit->per_min;
	tolerance_ms = (limit->burst - 1) * interval_ms;
	tat_ms = atomic_load(&limit->tat_ms);
	do {
		start_ms = tat_ms > mono_ms ? tat_ms : mono_ms;
		if (start_ms - mono_ms > tolerance_ms) {
			atomic_fetch_add(&limit->suppressed, 1);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&limit->tat_ms, &tat_ms, start_ms + interval_ms));
	*ret_suppressed = atomic_exchange(&limit->suppressed, 0);
	return true;
}
