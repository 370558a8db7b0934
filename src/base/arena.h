/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

/*
 * A bump allocator: memory for things that end together.  The arena keeps one block of `keep_bytes` for ever,
 * so what fits there costs no malloc; what does not takes blocks of its own, which the next reset gives back.
 * It never holds more than `max_bytes`, whatever a peer sends.
 *
 * What it is not: memory is not given back one by one, and is not zeroed.
 *
 * Threads: one at a time; every loop and every session has its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define ARENA_ALIGN 16

struct arena_block;

struct arena {
	uint8_t *pos; /* next free byte of the newest block */
	uint8_t *end;
	struct arena_block *blocks; /* owned; newest first, the last is the kept one */
	size_t keep_bytes;
	size_t max_bytes;
	size_t held_bytes; /* in blocks */
	bool failed;       /* an allocation failed since the last reset: see arena_alloc() */
	bool full;         /* and the cause was max_bytes, not the system */
};

/* Takes no memory yet.  keep_bytes <= max_bytes. */
void arena_init(struct arena *arena, size_t keep_bytes, size_t max_bytes);
void arena_fini(struct arena *arena);

/*
 * n bytes aligned for anything, n = 0 included; valid until the next reset.  NULL: no memory, or max_bytes
 * reached; `failed` then stays set until the reset, so one look after many allocations is enough.
 */
void *arena_alloc(struct arena *arena, size_t n) MUST_USE;
/* A copy of b in the arena; *ret_copy is untouched on failure. */
bool arena_copy(struct arena *arena, struct bytes b, struct bytes *ret_copy) MUST_USE;

/* Everything that was allocated is gone; the first block is kept. */
void arena_reset(struct arena *arena);
/* The same, and overwrites what was used: for what may have held a secret. */
void arena_reset_secret(struct arena *arena);

#endif
