/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lines.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "unit/unit.h"

#include "base/buf.h"

#define NEEDLES_MAX 8
#define SHOWN_BYTES 4096

struct lines {
	const char *name;
	int fd;
	pthread_t thread;
	pthread_mutex_t lines_mtx;
	pthread_cond_t lines_cond;
	struct buf text; /* lock: lines_mtx */
	bool ended;      /* lock: lines_mtx */
};

static void *
collect(void *arg)
{
	struct lines *lines = arg;
	char chunk[4096];
	ssize_t n;

	while ((n = read(lines->fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		pthread_mutex_lock(&lines->lines_mtx);
		if (buf_append(&lines->text, chunk, (size_t)n) != CHAT_OK)
			abort();
		pthread_cond_broadcast(&lines->lines_cond);
		pthread_mutex_unlock(&lines->lines_mtx);
	}
	pthread_mutex_lock(&lines->lines_mtx);
	lines->ended = true;
	pthread_cond_broadcast(&lines->lines_cond);
	pthread_mutex_unlock(&lines->lines_mtx);
	return NULL;
}

struct lines *
lines_open(int fd, const char *name)
{
	struct lines *lines = calloc(1, sizeof(*lines));

	assert_non_null(lines);
	lines->fd = fd;
	lines->name = name;
	pthread_mutex_init(&lines->lines_mtx, NULL);
	pthread_cond_init(&lines->lines_cond, NULL);
	assert_int_equal(pthread_create(&lines->thread, NULL, collect, lines), 0);
	return lines;
}

void
lines_wait_end(struct lines *lines)
{
	pthread_join(lines->thread, NULL);
}

void
lines_close(struct lines *lines)
{
	close(lines->fd);
	pthread_mutex_destroy(&lines->lines_mtx);
	pthread_cond_destroy(&lines->lines_cond);
	buf_fini(&lines->text);
	free(lines);
}

void
lines_show(struct lines *lines)
{
	size_t at;

	pthread_mutex_lock(&lines->lines_mtx);
	at = lines->text.len > SHOWN_BYTES ? lines->text.len - SHOWN_BYTES : 0;
	while (at < lines->text.len) {
		const char *line = (const char *)lines->text.data + at;
		size_t left = lines->text.len - at;
		const char *end = memchr(line, '\n', left);
		size_t len = end != NULL ? (size_t)(end - line) : left;

		fprintf(stderr, "# %s: %.*s\n", lines->name, (int)len, line);
		at += len + 1;
	}
	pthread_mutex_unlock(&lines->lines_mtx);
}

bool
lines_hold(struct lines *lines, const char *text)
{
	bool found;

	pthread_mutex_lock(&lines->lines_mtx);
	found = lines->text.len > 0 && memmem(lines->text.data, lines->text.len, text, strlen(text)) != NULL;
	pthread_mutex_unlock(&lines->lines_mtx);
	return found;
}

/* ---- looking for some ---- */

struct needles {
	const char *texts[NEEDLES_MAX];
	size_t count;
};

static struct needles
take_needles(va_list args)
{
	struct needles needles = {.count = 0};
	const char *text;

	while ((text = va_arg(args, const char *)) != NULL) {
		assert_true(needles.count < NEEDLES_MAX);
		needles.texts[needles.count++] = text;
	}
	return needles;
}

static bool
line_has(const char *line, size_t len, const struct needles *needles)
{
	for (size_t i = 0; i < needles->count; i++)
		if (memmem(line, len, needles->texts[i], strlen(needles->texts[i])) == NULL)
			return false;
	return true;
}

/* The lines that have them; *ret_line, unless NULL, is the n-th, owned by the caller. */
static size_t
scan_locked(struct lines *lines, const struct needles *needles, size_t n, char **ret_line)
{
	size_t found = 0;

	for (size_t at = 0; at < lines->text.len;) {
		const char *line = (const char *)lines->text.data + at;
		const char *end = memchr(line, '\n', lines->text.len - at);

		if (end == NULL)
			break;
		if (line_has(line, (size_t)(end - line), needles) && ++found == n && ret_line != NULL)
			*ret_line = strndup(line, (size_t)(end - line));
		at += (size_t)(end - line) + 1;
	}
	return found;
}

size_t
lines_count(struct lines *lines, va_list texts)
{
	struct needles needles = take_needles(texts);
	size_t found;

	pthread_mutex_lock(&lines->lines_mtx);
	found = scan_locked(lines, &needles, 0, NULL);
	pthread_mutex_unlock(&lines->lines_mtx);
	return found;
}

void
lines_wait(struct lines *lines, size_t n, unsigned patience_ms, char **ret_line, va_list texts)
{
	struct needles needles = take_needles(texts);
	struct timespec until;
	int waited = 0;
	bool found;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(patience_ms / 1000);
	pthread_mutex_lock(&lines->lines_mtx);
	while (!(found = scan_locked(lines, &needles, n, ret_line) >= n) && !lines->ended && waited == 0)
		waited = pthread_cond_timedwait(&lines->lines_cond, &lines->lines_mtx, &until);
	pthread_mutex_unlock(&lines->lines_mtx);
	if (found)
		return;
	lines_show(lines);
	for (size_t i = 0; i < needles.count; i++)
		fprintf(stderr, "# wanted %zu lines with: %s\n", n, needles.texts[i]);
	fail_msg("%s does not say so", lines->name);
}
