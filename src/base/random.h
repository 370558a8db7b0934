/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

/*
 * Randomness for keys and nonces: the kernel's, through getrandom(2).  It cannot fail after boot; if it does, the
 * program aborts, for going on would be worse.
 *
 * A core that must be driven step by step in tests takes a `struct random_source` instead of calling
 * random_bytes(); random_kernel is the real one.
 *
 * Threads: any.
 */

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *ret, size_t n);

struct random_source {
	void (*fill)(void *ctx, void *ret, size_t n);
	void *ctx;
};

extern const struct random_source random_kernel;

#endif
