/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Under the address sanitizer only what was handed out may be touched, and nothing after a reset. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#define GAP_BYTES      ARENA_ALIGN /* between two allocations, so that one running over is seen */
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define GAP_BYTES      0
#endif

struct arena_block {
	struct arena_block *older;
	size_t size; /* of data */
	_Alignas(ARENA_ALIGN) uint8_t data[];
};

void
arena_init(struct arena *arena, size_t keep_bytes, size_t max_bytes)
{
	assert(keep_bytes > 0 && keep_bytes <= max_bytes && max_bytes <= SIZE_MAX / 4);
	*arena = (struct arena){.keep_bytes = keep_bytes, .max_bytes = max_bytes};
}

static void
free_block(struct arena *arena, struct arena_block *block)
{
	arena->held_bytes -= block->size;
	UNPOISON(block->data, block->size);
	free(block);
}

void
arena_fini(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;
		arena->blocks = block->older;
		free_block(arena, block);
	}
	arena_init(arena, arena->keep_bytes, arena->max_bytes);
}

/* Makes `block` the one to allocate from, from its start. */
static void
use_block(struct arena *arena, struct arena_block *block)
{
	arena->pos = block->data;
	arena->end = block->data + block->size;
	POISON(block->data, block->size);
}

/* A new newest block with room for n bytes.  What is left of the one before is lost until the reset. */
static bool
add_block(struct arena *arena, size_t n)
{
	size_t left = arena->max_bytes - arena->held_bytes;
	size_t size = arena->blocks == NULL ? arena->keep_bytes : 2 * arena->blocks->size;

	if (n > left) {
		arena->failed = true;
		arena->full = true;
		return false;
	}
	/* Doubling keeps the number of mallocs logarithmic; the first block is never larger than what is
	 * kept. */
	if (arena->blocks != NULL && size < n)
		size = n;
	if (size > left)
		size = left;
	struct arena_block *block = malloc(sizeof(*block) + size);
	if (block == NULL) {
		arena->failed = true;
		return false;
	}
	block->size = size;
	block->older = arena->blocks;
	arena->blocks = block;
	arena->held_bytes += size;
	use_block(arena, block);
	return true;
}

void *
arena_alloc(struct arena *arena, size_t n)
{
	if (n > arena->max_bytes) {
		arena->failed = true;
		arena->full = true;
		return NULL;
	}
	size_t need = (n + GAP_BYTES + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (need == 0)
		need = ARENA_ALIGN;
	/* Twice: the first block may turn out too small for what comes first. */
	while ((size_t)(arena->end - arena->pos) < need) {
		if (!add_block(arena, need))
			return NULL;
	}
	void *p = arena->pos;
	arena->pos += need;
	UNPOISON(p, n);
	return p;
}

bool
arena_copy(struct arena *arena, struct bytes b, struct bytes *ret_copy)
{
	uint8_t *copy = arena_alloc(arena, b.len);
	if (copy == NULL)
		return false;
	if (b.len > 0)
		memcpy(copy, b.data, b.len);
	*ret_copy = BYTES(copy, b.len);
	return true;
}

static void
reset(struct arena *arena, bool secret)
{
	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;
		if (secret) {
			/* Of the newest only what is in front of pos was handed out, of the others maybe all.
			 */
			size_t used = block->data + block->size == arena->end
					  ? (size_t)(arena->pos - block->data)
					  : block->size;
			UNPOISON(block->data, block->size);
			explicit_bzero(block->data, used);
		}
		if (block->older == NULL)
			break;
		arena->blocks = block->older;
		free_block(arena, block);
	}
	if (arena->blocks != NULL)
		use_block(arena, arena->blocks);
	arena->failed = false;
	arena->full = false;
}

void
arena_reset(struct arena *arena)
{
	reset(arena, false);
}

void
arena_reset_secret(struct arena *arena)
{
	reset(arena, true);
}
