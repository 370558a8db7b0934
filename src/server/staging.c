/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/staging.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/hash.h"
#include "group/epoch.h"

struct staged_set {
	struct digest wraps_hash;
	uint32_t count;
	uint32_t missing;
	uint64_t expires_ms;
	uint64_t request_id; /* that uses it; 0: none */
	uint8_t have[(ROOM_READERS_MAX + 7) / 8];
	uint8_t wraps[]; /* count * WRAP_BYTES */
};

#define NOT_THERE STAGED_WRAPS_PER_CONN

static size_t
find(const struct staging *staging, const struct digest *wraps_hash)
{
	for (size_t i = 0; i < STAGED_WRAPS_PER_CONN && staging->sets[i] != NULL; i++)
		if (digest_equal(&staging->sets[i]->wraps_hash, wraps_hash))
			return i;
	return NOT_THERE;
}

/* Those behind move up, so that the oldest stays first. */
static void
drop(struct staging *staging, size_t i)
{
	free(staging->sets[i]);
	for (; i + 1 < STAGED_WRAPS_PER_CONN; i++)
		staging->sets[i] = staging->sets[i + 1];
	staging->sets[i] = NULL;
}

static bool
hash_is_right(const struct staged_set *set)
{
	struct wraps_hash wh;
	struct digest all;

	wraps_hash_init(&wh, set->count);
	for (uint32_t i = 0; i < set->count; i++) {
		struct digest one = hash_once(BYTES(set->wraps + (size_t)i * WRAP_BYTES, WRAP_BYTES));

		wraps_hash_add(&wh, &one);
	}
	all = wraps_hash_end(&wh);
	return digest_equal(&all, &set->wraps_hash);
}

/* The place of the new set; NOT_THERE: out of memory. */
static size_t
begin(struct staging *staging, const struct digest *wraps_hash, uint32_t count)
{
	struct staged_set *set;
	size_t i = 0;

	assert(count > 0 && count <= ROOM_READERS_MAX);
	set = malloc(sizeof *set + (size_t)count * WRAP_BYTES);
	if (set == NULL)
		return NOT_THERE;
	memset(set, 0, sizeof *set);
	set->wraps_hash = *wraps_hash;
	set->count = set->missing = count;
	if (staging->sets[STAGED_WRAPS_PER_CONN - 1] != NULL)
		drop(staging, 0);
	while (staging->sets[i] != NULL)
		i++;
	staging->sets[i] = set;
	return i;
}

enum chat_err
staging_put(struct staging *staging, const struct digest *wraps_hash, uint32_t count, uint32_t first,
    struct bytes wraps, uint64_t expires_ms)
{
	uint32_t n = (uint32_t)(wraps.len / WRAP_BYTES);
	size_t at = find(staging, wraps_hash);
	struct staged_set *set;

	assert(wraps.len % WRAP_BYTES == 0 && first <= count && n <= count - first);
	if (at == NOT_THERE)
		at = begin(staging, wraps_hash, count);
	if (at == NOT_THERE)
		return CHAT_ERR_NOMEM;
	set = staging->sets[at];
	if (set->count != count)
		return CHAT_ERR_CONFLICT;
	set->expires_ms = expires_ms;
	/* Of a set that is complete the right bytes are known, and they are there. */
	if (set->missing == 0)
		return CHAT_OK;
	memcpy(set->wraps + (size_t)first * WRAP_BYTES, wraps.data, wraps.len);
	for (uint32_t i = first; i < first + n; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		if ((set->have[i / 8] & bit) == 0)
			set->missing--;
		set->have[i / 8] |= bit;
	}
	if (set->missing > 0 || hash_is_right(set))
		return CHAT_OK;
	drop(staging, at);
	return CHAT_ERR_BAD_WRAPS;
}

enum chat_err
staging_copy(const struct staging *staging, const struct digest *wraps_hash, struct wrap_set **ret)
{
	size_t at = find(staging, wraps_hash);
	const struct staged_set *set;
	struct wrap_set *copy;
	size_t n;

	if (at == NOT_THERE || staging->sets[at]->missing > 0)
		return CHAT_ERR_NOT_FOUND;
	set = staging->sets[at];
	n = (size_t)set->count * WRAP_BYTES;
	copy = calloc(1, sizeof *copy);
	if (copy == NULL)
		return CHAT_ERR_NOMEM;
	copy->wraps = malloc(n);
	if (copy->wraps == NULL) {
		free(copy);
		return CHAT_ERR_NOMEM;
	}
	memcpy(copy->wraps, set->wraps, n);
	copy->wraps_hash = set->wraps_hash;
	copy->count = set->count;
	*ret = copy;
	return CHAT_OK;
}

void
staging_use(struct staging *staging, const struct digest *wraps_hash, uint64_t request_id)
{
	size_t at = find(staging, wraps_hash);

	if (at != NOT_THERE)
		staging->sets[at]->request_id = request_id;
}

void
staging_posted(struct staging *staging, uint64_t request_id)
{
	for (size_t i = 0; i < STAGED_WRAPS_PER_CONN;) {
		if (staging->sets[i] != NULL && staging->sets[i]->request_id == request_id)
			drop(staging, i);
		else
			i++;
	}
}

uint64_t
staging_next_ms(const struct staging *staging)
{
	uint64_t next = NEVER_MS;

	for (size_t i = 0; i < STAGED_WRAPS_PER_CONN && staging->sets[i] != NULL; i++)
		if (staging->sets[i]->expires_ms < next)
			next = staging->sets[i]->expires_ms;
	return next;
}

void
staging_expire(struct staging *staging, uint64_t now_ms)
{
	for (size_t i = 0; i < STAGED_WRAPS_PER_CONN;) {
		if (staging->sets[i] != NULL && staging->sets[i]->expires_ms <= now_ms)
			drop(staging, i);
		else
			i++;
	}
}

void
staging_fini(struct staging *staging)
{
	while (staging->sets[0] != NULL)
		drop(staging, 0);
}
