/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/eme_oaep.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"

_Static_assert(OAEP_SEED_BYTES == DIGEST_BYTES, "the seed is as long as the hash");

/*
 * Masks for arithmetic without branches: all ones for true, zero for false.  The barrier keeps the compiler
 * from seeing that a value can only be one of the two and making a branch of it.
 */
static inline size_t
barrier(size_t x)
{
	__asm__("" : "+r"(x));
	return x;
}

static inline size_t
mask_from_top_bit(size_t x)
{
	return (size_t)0 - barrier(x >> (8 * sizeof(x) - 1));
}

static inline size_t
mask_is_zero(size_t x)
{
	return mask_from_top_bit(~x & (x - 1));
}

/* a < b, for values below half of SIZE_MAX */
static inline size_t
mask_less(size_t a, size_t b)
{
	return mask_from_top_bit(a - b);
}

/* MGF1 (RFC 8017, B.2.1), xored over target. */
static void
mgf1_xor(struct bytes seed, uint8_t *target, size_t len)
{
	struct hash h;
	struct digest block;
	uint32_t counter = 0;

	for (size_t done = 0; done < len;) {
		hash_init(&h);
		hash_bytes(&h, seed);
		hash_u32(&h, counter++);
		block = hash_end(&h);
		for (size_t i = 0; i < sizeof(block.b) && done < len; i++)
			target[done++] ^= block.b[i];
	}
	explicit_bzero(&block, sizeof(block));
	explicit_bzero(&h, sizeof(h));
}

/*
 * em = 00 || maskedSeed[32] || maskedDB
 * DB = lHash[32] || 00 ... || 01 || plain
 */

void
eme_oaep_encode(struct bytes label, struct bytes plain, const uint8_t seed[static OAEP_SEED_BYTES],
    uint8_t *ret_em, size_t em_len)
{
	uint8_t *masked_seed = ret_em + 1;
	uint8_t *db = masked_seed + OAEP_SEED_BYTES;
	size_t db_len = em_len - OAEP_SEED_BYTES - 1;
	struct digest lhash = hash_once(label);

	assert(em_len >= EME_OVERHEAD && em_len <= EME_BYTES_MAX);
	assert(plain.len <= em_len - EME_OVERHEAD);

	memset(ret_em, 0, em_len);
	memcpy(db, lhash.b, sizeof(lhash.b));
	db[db_len - plain.len - 1] = 0x01;
	if (plain.len > 0)
		memcpy(db + db_len - plain.len, plain.data, plain.len);
	memcpy(masked_seed, seed, OAEP_SEED_BYTES);
	mgf1_xor(BYTES(masked_seed, OAEP_SEED_BYTES), db, db_len);
	mgf1_xor(BYTES(db, db_len), masked_seed, OAEP_SEED_BYTES);
}

bool
eme_oaep_decode(
    struct bytes label, uint8_t *em, size_t em_len, uint8_t *ret_plain, size_t cap, size_t *ret_len)
{
	uint8_t *seed = em + 1;
	uint8_t *db = seed + OAEP_SEED_BYTES;
	size_t db_len = em_len - OAEP_SEED_BYTES - 1;
	struct digest lhash = hash_once(label);
	size_t bad, searching, start, len;

	assert(em_len >= EME_OVERHEAD && em_len <= EME_BYTES_MAX);

	mgf1_xor(BYTES(db, db_len), seed, OAEP_SEED_BYTES);
	mgf1_xor(BYTES(seed, OAEP_SEED_BYTES), db, db_len);

	bad = em[0];
	for (size_t i = 0; i < sizeof(lhash.b); i++)
		bad |= (size_t)(db[i] ^ lhash.b[i]);

	/* The first 01 ends the zeros; anything else before it is wrong. */
	searching = ~(size_t)0;
	start = 0;
	for (size_t i = sizeof(lhash.b); i < db_len; i++) {
		size_t is_one = mask_is_zero((size_t)db[i] ^ 0x01);

		start |= searching & is_one & (i + 1);
		bad |= searching & ~is_one & db[i];
		searching &= ~is_one;
	}
	bad |= searching;
	len = db_len - start;
	if (cap < db_len) /* cap is no secret */
		bad |= mask_less(cap, len);

	/* Here the answer is known, and the caller will act on it: from here on it may show. */
	if (barrier(bad) != 0)
		return false;
	if (len > 0)
		memcpy(ret_plain, db + start, len);
	*ret_len = len;
	return true;
}
