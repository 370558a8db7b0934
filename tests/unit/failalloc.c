/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct {
	bool armed;
	bool failed;
	unsigned left;
} state;

void
failalloc_arm(unsigned n)
{
	state.armed = true;
	state.failed = false;
	state.left = n;
}

bool
failalloc_disarm(void)
{
	state.armed = false;
	return state.failed;
}

static bool
fails(void)
{
	if (!state.armed || state.failed)
		return false;
	if (state.left > 0) {
		state.left--;
		return false;
	}
	state.failed = true;
	errno = ENOMEM;
	return true;
}

/* The linker's --wrap gives these names; a test without it never calls them, and its linker drops this file's
 * second half only if the real ones exist, hence weak. */
#define WRAP(type, name, params, args)                                                                       \
	type __real_##name params __attribute__((weak));                                                     \
	type __wrap_##name params;                                                                           \
	type __wrap_##name params                                                                            \
	{                                                                                                    \
		return fails() ? NULL : __real_##name args;                                                  \
	}

WRAP(void *, malloc, (size_t n), (n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t n), (p, n))
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))
