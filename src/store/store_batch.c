/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The batch: operations at stable addresses, and memory that ends with them. */

#include "store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* Kept between turns: a turn of 512 messages with what the engine takes for them. */
#define BATCH_KEEP_BYTES (512 * 1024)
#define BATCH_FIRST_OPS  512

struct store_batch {
	struct arena arena;
	struct store_op **ops; /* owned; what they point to is in the arena */
	size_t count;
	size_t cap;
};

struct store_batch *
store_batch_new(void)
{
	struct store_batch *batch = calloc(1, sizeof(*batch));

	if (batch)
		arena_init(&batch->arena, BATCH_KEEP_BYTES, SIZE_MAX / 4);
	return batch;
}

void
store_batch_free(struct store_batch *batch)
{
	if (!batch)
		return;
	arena_fini(&batch->arena);
	free(batch->ops);
	free(batch);
}

void
store_batch_reset(struct store_batch *batch)
{
	arena_reset(&batch->arena);
	batch->count = 0;
}

void *
store_batch_alloc(struct store_batch *batch, size_t size)
{
	void *p = arena_alloc(&batch->arena, size);

	return p ? memset(p, 0, size) : NULL;
}

struct store_op *
store_batch_add(struct store_batch *batch, enum store_op_type type)
{
	struct store_op *op;

	if (batch->count == batch->cap) {
		size_t cap = batch->cap ? batch->cap * 2 : BATCH_FIRST_OPS;
		struct store_op **ops = reallocarray(batch->ops, cap, sizeof(struct store_op *));

		if (!ops)
			return NULL;
		batch->ops = ops;
		batch->cap = cap;
	}
	op = store_batch_alloc(batch, sizeof(*op));
	if (!op)
		return NULL;
	op->type = type;
	batch->ops[batch->count++] = op;
	return op;
}

void
store_batch_drop_last(struct store_batch *batch)
{
	assert(batch->count > 0);
	batch->count--;
}

size_t
store_batch_count(const struct store_batch *batch)
{
	return batch->count;
}

struct store_op *
store_batch_op(struct store_batch *batch, size_t i)
{
	assert(i < batch->count);
	return batch->ops[i];
}
