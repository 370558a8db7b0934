/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_OUTQ_H
#define SERVER_OUTQ_H

/*
 * What a connection has yet to send: a queue of references to encoded frames, and how far into the first of
 * them it is. An empty queue holds no memory; the blocks that a full one needs come from its loop's pool.
 *
 * Threads: those of its loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "server/frame_ref.h"

#define OUTQ_BLOCK_FRAMES 30 /* a block is 256 bytes */

struct outq_block {
	struct outq_block *next;
	uint16_t first; /* frames[first .. end) are queued */
	uint16_t end;
	struct frame_ref *frames[OUTQ_BLOCK_FRAMES];
};

/* Blocks that are not in use, for the next that needs one. */
struct outq_pool {
	struct outq_block *free;
	uint32_t count;
};

/* Zero-initialised it is empty. */
struct outq {
	struct outq_block *head, *tail;
	size_t bytes;   /* still to be sent */
	uint32_t start; /* of the first frame, what was sent already */
};

void outq_pool_fini(struct outq_pool *pool);

/* Takes the reference over, also on failure (which is out of memory): false. */
bool outq_push(struct outq *q, struct outq_pool *pool, struct frame_ref *frame) MUST_USE;
/* Copies what comes next, at most cap bytes, and returns how many; they stay queued. */
size_t outq_gather(const struct outq *q, uint8_t *ret, size_t cap);
/* The next n bytes were sent; n <= bytes. */
void outq_consume(struct outq *q, struct outq_pool *pool, size_t n);
void outq_clear(struct outq *q, struct outq_pool *pool);

#endif
