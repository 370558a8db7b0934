/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

void
random_bytes(void *ret, size_t n)
{
	uint8_t *p = ret;

	while (n > 0) {
		/* A signal may cut a request of more than 256 bytes short. */
		ssize_t got = getrandom(p, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
}

static void
fill_from_kernel(void *ctx, void *ret, size_t n)
{
	(void)ctx;
	random_bytes(ret, n);
}

const struct random_source random_kernel = {.fill = fill_from_kernel};
