/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "base/digest.h"

/*
 * cmocka 1.1.5 reports a skipped test as "not ok N # SKIP", which TAP takes for a failure.  It prints
 * through this function, and one of the program's own comes before that of a shared library.
 */
void __attribute__((visibility("default"))) print_message(const char *const format, ...)
{
	static const char wrong[] = "not ok %u # SKIP";
	const char *right = format;
	va_list args;

	if (strncmp(format, wrong, strlen(wrong)) == 0)
		right += strlen("not ");
	va_start(args, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vprintf(right, args);
#pragma GCC diagnostic pop
	va_end(args);
	fflush(stdout);
}

const char *
unit_srcdir(void)
{
	const char *dir = getenv("abs_top_srcdir");

	return dir ? dir : UNIT_SRCDIR;
}

uint8_t *
unit_read_file(const char *path, size_t *ret_len)
{
	uint8_t *data = NULL;
	size_t len = 0, cap = 0, got;
	FILE *f = fopen(path, "re");

	if (!f)
		return NULL;
	do {
		if (cap - len < 2) {
			cap = cap ? cap * 2 : 65536;
			data = realloc(data, cap);
			assert_non_null(data);
		}
		got = fread(data + len, 1, cap - len - 1, f);
		len += got;
	} while (got > 0);
	assert_false(ferror(f));
	fclose(f);
	data[len] = 0;
	*ret_len = len;
	return data;
}

static struct temp_dir {
	struct temp_dir *next;
	pid_t owner; /* a forked child must not remove its parent's */
	char path[];
} * temp_dirs;

static int
remove_one(const char *path, const struct stat *st __attribute__((unused)), int type __attribute__((unused)),
    struct FTW *ftw __attribute__((unused)))
{
	return remove(path);
}

static void
remove_temp_dirs(void)
{
	for (struct temp_dir *d = temp_dirs; d; d = d->next) {
		if (d->owner == getpid())
			nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
}

char *
unit_temp_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *path;
	struct temp_dir *d;

	assert_true(asprintf(&path, "%s/chat-unit-XXXXXX", base && *base ? base : "/tmp") > 0);
	assert_non_null(mkdtemp(path));
	d = malloc(sizeof(*d) + strlen(path) + 1);
	assert_non_null(d);
	memcpy(d->path, path, strlen(path) + 1);
	d->owner = getpid();
	if (!temp_dirs)
		atexit(remove_temp_dirs);
	d->next = temp_dirs;
	temp_dirs = d;
	return path;
}

uint8_t *
unit_hex(const char *hex, size_t *ret_len)
{
	size_t n = strlen(hex) / 2;
	uint8_t *data = malloc(n ? n : 1);

	assert_non_null(data);
	if (!hex_decode(hex, data, n))
		fail_msg("not hex: %s", hex);
	*ret_len = n;
	return data;
}

/* splitmix64: any start value is good, also 0. */
uint64_t
unit_rand(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
fill(void *ctx, void *ret, size_t n)
{
	uint8_t *p = ret;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(unit_rand(ctx) >> 56);
}

struct random_source
unit_random(uint64_t *seed)
{
	return (struct random_source){.fill = fill, .ctx = seed};
}

void
unit_assert_err(enum chat_err got, enum chat_err expected, const char *expr, const char *file, int line)
{
	if (got == expected)
		return;
	print_error("%s: %s, expected %s\n", expr, chat_err_name(got), chat_err_name(expected));
	_fail(file, line);
}

void
unit_assert_bytes_equal(struct bytes a, struct bytes b, const char *file, int line)
{
	char a_hex[2 * 64 + 1], b_hex[2 * 64 + 1];
	size_t at = 0, from;

	if (bytes_equal(a, b))
		return;
	while (at < a.len && at < b.len && a.data[at] == b.data[at])
		at++;
	/* What surrounds the first difference. */
	from = at > 8 ? at - 8 : 0;
	hex_encode(BYTES(a.data + (a.len ? from : 0), a.len - from < 64 ? a.len - from : 64), a_hex);
	hex_encode(BYTES(b.data + (b.len ? from : 0), b.len - from < 64 ? b.len - from : 64), b_hex);
	print_error("%zu and %zu bytes differ at %zu; from %zu on:\n  %s\n  %s\n", a.len, b.len, at, from,
	    a_hex, b_hex);
	_fail(file, line);
}
