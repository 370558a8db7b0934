/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

/*
 * The slots are cap places that a hash can name, and `spill` more behind them: a probe never wraps around. So
 * removal moves entries towards the front only, and a walk from the back to the front sees each entry once
 * even when the one just seen is removed.
 */
struct map_slot {
	const uint8_t *key;
	uint32_t key_len;
	uint32_t hash;
	void *value; /* NULL: the slot is empty */
};

#define MAP_MIN_CAP 4

/*
 * At 3/4 full the number of entries pushed past a given place falls by a factor of 1.7 for each further one,
 * so more than 64 at the end do not happen (10^-15), and if they do, the table grows.
 */
#define MAP_MAX_SPILL 64

static size_t
slot_count(size_t cap)
{
	if (cap == 0)
		return 0;
	return cap + (cap < MAP_MAX_SPILL ? cap : MAP_MAX_SPILL);
}

static uint64_t
rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012), little-endian as defined there, the seed in both halves of its
 * key. Not a plain multiplicative hash with a seed: of those, collisions for every seed at once are known,
 * and account names are chosen by peers.
 */
static uint32_t
hash_key(uint64_t seed, struct bytes key)
{
	uint64_t v[4] = {seed ^ 0x736f6d6570736575u, seed ^ 0x646f72616e646f6du, seed ^ 0x6c7967656e657261u,
	    seed ^ 0x7465646279746573u};
	uint64_t word = 0;
	size_t i;

	for (i = 0; i < key.len; i++) {
		word |= (uint64_t)key.data[i] << (i % 8 * 8);
		if (i % 8 == 7) {
			v[3] ^= word;
			sip_round(v);
			v[0] ^= word;
			word = 0;
		}
	}
	word |= (uint64_t)key.len << 56;
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

/* The slot of key, or the empty one where it belongs, or NULL: absent and no room before the end. */
static struct map_slot *
find(const struct map *map, struct bytes key, uint32_t hash)
{
	struct map_slot *end = map->slots + slot_count(map->cap);

	for (struct map_slot *s = map->slots + (hash & (map->cap - 1)); s < end; s++) {
		if (!s->value || (s->hash == hash && bytes_equal(BYTES(s->key, s->key_len), key)))
			return s;
	}
	return NULL;
}

/* Places an entry that is not there; false if that runs past the end. */
static bool
place(const struct map *map, struct map_slot entry)
{
	struct map_slot *s = find(map, BYTES(entry.key, entry.key_len), entry.hash);

	if (!s)
		return false;
	*s = entry;
	return true;
}

static enum chat_err
grow(struct map *map)
{
	struct map bigger = *map;
	size_t i, n = slot_count(map->cap);

	if (map->cap == 0)
		random_bytes(&bigger.seed, sizeof(bigger.seed));
	for (;;) {
		/* A hash has 32 bits. */
		if (bigger.cap > UINT32_MAX / 2)
			return CHAT_ERR_NOMEM;
		bigger.cap = bigger.cap ? bigger.cap * 2 : MAP_MIN_CAP;
		bigger.slots = calloc(slot_count(bigger.cap), sizeof(*bigger.slots));
		if (!bigger.slots)
			return CHAT_ERR_NOMEM;
		for (i = 0; i < n; i++) {
			if (map->slots[i].value && !place(&bigger, map->slots[i]))
				break;
		}
		if (i == n)
			break;
		free(bigger.slots);
	}
	free(map->slots);
	*map = bigger;
	return CHAT_OK;
}

void
map_fini(struct map *map)
{
	free(map->slots);
	*map = (struct map){0};
}

void *
map_get(const struct map *map, struct bytes key)
{
	struct map_slot *s;

	if (map->count == 0)
		return NULL;
	s = find(map, key, hash_key(map->seed, key));
	return s ? s->value : NULL;
}

enum chat_err
map_put(struct map *map, struct bytes key, void *value)
{
	struct map_slot entry = {.key = key.data, .key_len = (uint32_t)key.len, .value = value};
	struct map_slot *s;
	enum chat_err err;

	assert(value && key.len <= UINT32_MAX);
	if (map->cap == 0) {
		err = grow(map);
		if (err)
			return err;
	}
	entry.hash = hash_key(map->seed, key);
	s = find(map, key, entry.hash);
	if (s && s->value)
		return CHAT_ERR_EXISTS;
	/* Full at 3/4: linear probing then looks at 8.5 slots for an absent key, on average. */
	while (!s || map->count >= map->cap / 4 * 3) {
		err = grow(map);
		if (err)
			return err;
		s = find(map, key, entry.hash);
	}
	*s = entry;
	map->count++;
	return CHAT_OK;
}

void *
map_remove(struct map *map, struct bytes key)
{
	struct map_slot *hole, *end = map->slots + slot_count(map->cap);
	void *value;

	if (map->count == 0)
		return NULL;
	hole = find(map, key, hash_key(map->seed, key));
	if (!hole || !hole->value)
		return NULL;
	value = hole->value;
	/* Fill the hole with what may stand there, up to the next empty slot, so that no probe ends early. */
	for (struct map_slot *s = hole + 1; s < end && s->value; s++) {
		if ((s->hash & (map->cap - 1)) <= (size_t)(hole - map->slots)) {
			*hole = *s;
			hole = s;
		}
	}
	*hole = (struct map_slot){0};
	map->count--;
	return value;
}

void
map_clear(struct map *map)
{
	if (map->count > 0)
		memset(map->slots, 0, slot_count(map->cap) * sizeof(*map->slots));
	map->count = 0;
}

void *
map_next(struct map *map, size_t *iter)
{
	/* *iter slots at the back have been visited. */
	for (size_t n = slot_count(map->cap); *iter < n;) {
		void *value = map->slots[n - ++*iter].value;

		if (value)
			return value;
	}
	return NULL;
}
