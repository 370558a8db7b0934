/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/outq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define POOL_KEEPS 1024 /* blocks: 256 KiB a loop */

static struct outq_block *
take_block(struct outq_pool *pool)
{
	struct outq_block *block = pool->free;

	if (block != NULL) {
		pool->free = block->next;
		pool->count--;
	} else {
		block = malloc(sizeof *block);
		if (block == NULL)
			return NULL;
	}
	block->next = NULL;
	block->first = block->end = 0;
	return block;
}

static void
give_block(struct outq_pool *pool, struct outq_block *block)
{
	if (pool->count >= POOL_KEEPS) {
		free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->count++;
}

void
outq_pool_fini(struct outq_pool *pool)
{
	while (pool->free != NULL) {
		struct outq_block *next = pool->free->next;

		free(pool->free);
		pool->free = next;
	}
	pool->count = 0;
}

bool
outq_push(struct outq *q, struct outq_pool *pool, struct frame_ref *frame)
{
	if (q->tail == NULL || q->tail->end == OUTQ_BLOCK_FRAMES) {
		struct outq_block *block = take_block(pool);

		if (block == NULL) {
			frame_ref_unref(frame);
			return false;
		}
		if (q->tail != NULL)
			q->tail->next = block;
		else
			q->head = block;
		q->tail = block;
	}
	q->tail->frames[q->tail->end++] = frame;
	q->bytes += frame->len;
	return true;
}

size_t
outq_gather(const struct outq *q, uint8_t *ret, size_t cap)
{
	size_t got = 0, skip = q->start;

	for (const struct outq_block *block = q->head; block != NULL; block = block->next) {
		for (uint16_t i = block->first; i < block->end; i++) {
			const struct frame_ref *frame = block->frames[i];
			size_t n = frame->len - skip;

			if (n > cap - got)
				n = cap - got;
			memcpy(ret + got, frame->data + skip, n);
			got += n;
			if (got == cap)
				return got;
			skip = 0;
		}
	}
	return got;
}

void
outq_consume(struct outq *q, struct outq_pool *pool, size_t n)
{
	assert(n <= q->bytes);
	q->bytes -= n;
	n += q->start;
	while (q->head != NULL) {
		struct outq_block *block = q->head;

		while (block->first < block->end) {
			struct frame_ref *frame = block->frames[block->first];

			if (n < frame->len) {
				q->start = (uint32_t)n;
				return;
			}
			n -= frame->len;
			frame_ref_unref(frame);
			block->first++;
		}
		q->head = block->next;
		give_block(pool, block);
	}
	q->tail = NULL;
	q->start = 0;
	assert(n == 0 && q->bytes == 0);
}

void
outq_clear(struct outq *q, struct outq_pool *pool)
{
	outq_consume(q, pool, q->bytes);
}
