/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

uint16_t
be16_get(const uint8_t p[static 2])
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t
be32_get(const uint8_t p[static 4])
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

uint64_t
be64_get(const uint8_t p[static 8])
{
	return (uint64_t)be32_get(p) << 32 | be32_get(p + 4);
}

void
be16_put(uint8_t p[static 2], uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void
be32_put(uint8_t p[static 4], uint32_t v)
{
	be16_put(p, (uint16_t)(v >> 16));
	be16_put(p + 2, (uint16_t)v);
}

void
be64_put(uint8_t p[static 8], uint64_t v)
{
	be32_put(p, (uint32_t)(v >> 32));
	be32_put(p + 4, (uint32_t)v);
}

void
rd_init(struct reader *rd, struct bytes from)
{
	*rd = (struct reader){.pos = from.data, .left = from.len};
}

/* The next n bytes, or NULL after a failure.  For n = 0 the result may be NULL too and is not to be read. */
static const uint8_t *
rd_next(struct reader *rd, size_t n)
{
	const uint8_t *p = rd->pos;

	if (rd->failed || n > rd->left) {
		rd->failed = true;
		return NULL;
	}
	if (n > 0)
		rd->pos += n;
	rd->left -= n;
	return p;
}

uint8_t
rd_u8(struct reader *rd)
{
	const uint8_t *p = rd_next(rd, 1);

	return p ? *p : 0;
}

uint16_t
rd_u16(struct reader *rd)
{
	const uint8_t *p = rd_next(rd, 2);

	return p ? be16_get(p) : 0;
}

uint32_t
rd_u32(struct reader *rd)
{
	const uint8_t *p = rd_next(rd, 4);

	return p ? be32_get(p) : 0;
}

uint64_t
rd_u64(struct reader *rd)
{
	const uint8_t *p = rd_next(rd, 8);

	return p ? be64_get(p) : 0;
}

void
rd_copy(struct reader *rd, void *ret, size_t n)
{
	const uint8_t *p = rd_next(rd, n);

	if (n == 0)
		return;
	if (p)
		memcpy(ret, p, n);
	else
		memset(ret, 0, n);
}

struct bytes
rd_take(struct reader *rd, size_t n)
{
	const uint8_t *p = rd_next(rd, n);

	return p ? BYTES(p, n) : BYTES_EMPTY;
}

struct bytes
rd_str8(struct reader *rd)
{
	return rd_take(rd, rd_u8(rd));
}

struct bytes
rd_str16(struct reader *rd)
{
	return rd_take(rd, rd_u16(rd));
}

struct bytes
rd_rest(struct reader *rd)
{
	return rd_take(rd, rd->left);
}

bool
rd_done(const struct reader *rd)
{
	return !rd->failed && rd->left == 0;
}

void
wr_init(struct writer *wr, void *into, size_t cap)
{
	*wr = (struct writer){.start = into, .cap = cap};
}

/* Room for n > 0 bytes, or NULL after a failure. */
static uint8_t *
wr_next(struct writer *wr, size_t n)
{
	uint8_t *p;

	if (wr->failed || n > wr->cap - wr->len) {
		wr->failed = true;
		return NULL;
	}
	p = wr->start + wr->len;
	wr->len += n;
	return p;
}

void
wr_u8(struct writer *wr, uint8_t v)
{
	uint8_t *p = wr_next(wr, 1);

	if (p)
		*p = v;
}

void
wr_u16(struct writer *wr, uint16_t v)
{
	uint8_t *p = wr_next(wr, 2);

	if (p)
		be16_put(p, v);
}

void
wr_u32(struct writer *wr, uint32_t v)
{
	uint8_t *p = wr_next(wr, 4);

	if (p)
		be32_put(p, v);
}

void
wr_u64(struct writer *wr, uint64_t v)
{
	uint8_t *p = wr_next(wr, 8);

	if (p)
		be64_put(p, v);
}

void
wr_bytes(struct writer *wr, const void *from, size_t n)
{
	uint8_t *p;

	if (n == 0)
		return;
	p = wr_next(wr, n);
	if (p)
		memcpy(p, from, n);
}

void
wr_str8(struct writer *wr, struct bytes s)
{
	if (s.len > UINT8_MAX)
		wr->failed = true;
	wr_u8(wr, (uint8_t)s.len);
	wr_bytes(wr, s.data, s.len);
}

void
wr_str16(struct writer *wr, struct bytes s)
{
	if (s.len > UINT16_MAX)
		wr->failed = true;
	wr_u16(wr, (uint16_t)s.len);
	wr_bytes(wr, s.data, s.len);
}

struct bytes
wr_bytes_written(const struct writer *wr)
{
	assert(!wr->failed);
	return BYTES(wr->start, wr->len);
}

bool
wr_done(const struct writer *wr)
{
	return !wr->failed;
}
