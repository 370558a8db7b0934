/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_MAP_H
#define BASE_MAP_H

/*
 * A hash table from byte strings to pointers (open addressing, linear probing, a random seed per table so that
 * a peer who chooses keys cannot choose collisions).  Keys are borrowed: the value usually contains its key, and
 * must stay where it is while it is in the map.  Values are borrowed too.  Zero-initialised it is valid and empty.
 *
 * Threads: one at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct map_slot;

struct map {
	struct map_slot *slots; /* owned */
	size_t cap;             /* 0 or a power of two */
	size_t count;
	uint64_t seed;
};

void map_fini(struct map *map); /* frees the table, not the values */
void *map_get(const struct map *map, struct bytes key); /* NULL if absent */
/* CHAT_ERR_EXISTS if the key is there (nothing changes), CHAT_ERR_NOMEM. */
enum chat_err map_put(struct map *map, struct bytes key, void *value) MUST_USE;
void *map_remove(struct map *map, struct bytes key); /* the value, or NULL if absent */
void map_clear(struct map *map);

/* Visits every value in no order: start with *iter = 0; NULL at the end.  map_remove() of the value just
 * returned is allowed; any other change of the map is not. */
void *map_next(struct map *map, size_t *iter);

#endif
