/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"

#include <assert.h>
#include <string.h>

#define DOMAIN_PREFIX "secure-chat "
#define DOMAIN_SUFFIX " v1" /* its NUL is the 00 byte that ends D(x) */

_Static_assert(SHA256_DIGEST_SIZE == DIGEST_BYTES, "a digest is what SHA-256 gives");

size_t
domain_put(const char *x, uint8_t ret[static DOMAIN_MAX_BYTES])
{
	const size_t prefix = strlen(DOMAIN_PREFIX), n = strlen(x);
	uint8_t *p = ret;

	assert(n <= DOMAIN_MAX_BYTES - prefix - sizeof(DOMAIN_SUFFIX));
	memcpy(p, DOMAIN_PREFIX, prefix);
	p += prefix;
	memcpy(p, x, n);
	p += n;
	memcpy(p, DOMAIN_SUFFIX, sizeof(DOMAIN_SUFFIX));
	p += sizeof(DOMAIN_SUFFIX);
	return (size_t)(p - ret);
}

void
hash_init(struct hash *h)
{
	sha256_init(&h->ctx);
}

void
hash_init_domain(struct hash *h, const char *x)
{
	uint8_t domain[DOMAIN_MAX_BYTES];
	size_t len = domain_put(x, domain);

	sha256_init(&h->ctx);
	sha256_update(&h->ctx, len, domain);
}

void
hash_bytes(struct hash *h, struct bytes b)
{
	/* Empty bytes may have no address, and nettle would hand that to memcpy. */
	if (b.len > 0)
		sha256_update(&h->ctx, b.len, b.data);
}

void
hash_digest(struct hash *h, const struct digest *d)
{
	sha256_update(&h->ctx, sizeof(d->b), d->b);
}

void
hash_u8(struct hash *h, uint8_t v)
{
	sha256_update(&h->ctx, 1, &v);
}

void
hash_u32(struct hash *h, uint32_t v)
{
	uint8_t b[4];

	be32_put(b, v);
	sha256_update(&h->ctx, sizeof(b), b);
}

void
hash_u64(struct hash *h, uint64_t v)
{
	uint8_t b[8];

	be64_put(b, v);
	sha256_update(&h->ctx, sizeof(b), b);
}

struct digest
hash_end(struct hash *h)
{
	struct digest d;

	sha256_digest(&h->ctx, sizeof(d.b), d.b);
	return d;
}

struct digest
hash_once(struct bytes b)
{
	struct hash h;

	hash_init(&h);
	hash_bytes(&h, b);
	return hash_end(&h);
}

struct digest
hash_domain_once(const char *x, struct bytes b)
{
	struct hash h;

	hash_init_domain(&h, x);
	hash_bytes(&h, b);
	return hash_end(&h);
}
