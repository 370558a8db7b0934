/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two pushes that every message and every rekey makes, written field by field.  Tags are (number << 3 |
 * wire type) of chat.proto; a unit test holds the bytes to what the generated code writes.
 */
#include <assert.h>
#include <string.h>

#include "crypto/rsa_oaep.h"
#include "proto/frame.h"

static_assert(FRAME_WRAP_PUSH_WRAP_BYTES == RSA_BYTES, "a wrap is one RSA-3072 block");

#define TAG_VARINT(number) ((number) << 3)
#define TAG_BYTES(number)  ((number) << 3 | 2)

static size_t
varint_bytes(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static uint8_t *
put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

/* A number that is 0 is left out, as proto3 has it. */
static size_t
number_bytes(uint64_t v)
{
	return v == 0 ? 0 : 1 + varint_bytes(v);
}

static uint8_t *
put_number(uint8_t *p, unsigned field, uint64_t v)
{
	if (v == 0)
		return p;
	*p++ = (uint8_t)TAG_VARINT(field);
	return put_varint(p, v);
}

static size_t
string_bytes(struct bytes b)
{
	return b.len == 0 ? 0 : 1 + varint_bytes(b.len) + b.len;
}

static uint8_t *
put_string(uint8_t *p, unsigned field, struct bytes b)
{
	if (b.len == 0)
		return p;
	*p++ = (uint8_t)TAG_BYTES(field);
	p = put_varint(p, b.len);
	memcpy(p, b.data, b.len);
	return p + b.len;
}

static struct bytes
entry_hash_of(const struct entry_push *push)
{
	return push->entry_hash == NULL ? BYTES_EMPTY : digest_bytes(push->entry_hash);
}

/* The Entry inside, without its tag and length. */
static size_t
entry_bytes(const struct entry_push *push)
{
	return string_bytes(digest_bytes(push->room_id)) + number_bytes(push->seq) +
	       number_bytes(push->server_time_ms) + number_bytes(push->kind) + string_bytes(push->wire) +
	       string_bytes(entry_hash_of(push));
}

size_t
frame_entry_bytes(const struct entry_push *push)
{
	size_t n = entry_bytes(push);

	return FRAME_HEADER_BYTES + 2 + varint_bytes(n) + n;
}

void
frame_entry_put(const struct entry_push *push, uint8_t *ret, size_t frame_bytes)
{
	uint8_t *p = ret + FRAME_HEADER_BYTES;

	be32_put(ret, (uint32_t)(frame_bytes - FRAME_HEADER_BYTES));
	p = put_varint(p, TAG_BYTES(30));
	p = put_varint(p, entry_bytes(push));
	p = put_string(p, 1, digest_bytes(push->room_id));
	p = put_number(p, 2, push->seq);
	p = put_number(p, 3, push->server_time_ms);
	p = put_number(p, 4, push->kind);
	p = put_string(p, 5, push->wire);
	p = put_string(p, 6, entry_hash_of(push));
	assert(p == ret + frame_bytes);
}

void
frame_wrap_push_put(const struct digest *room_id, const struct digest *epoch_id,
    const uint8_t wrap[static FRAME_WRAP_PUSH_WRAP_BYTES], uint8_t ret[static FRAME_WRAP_PUSH_BYTES])
{
	struct bytes room = digest_bytes(room_id), epoch = digest_bytes(epoch_id);
	struct bytes block = BYTES(wrap, FRAME_WRAP_PUSH_WRAP_BYTES);
	size_t epoch_wraps = string_bytes(epoch) + string_bytes(block);
	size_t wraps = string_bytes(room) + 1 + varint_bytes(epoch_wraps) + epoch_wraps;
	uint8_t *p = ret + FRAME_HEADER_BYTES;

	be32_put(ret, FRAME_WRAP_PUSH_BYTES - FRAME_HEADER_BYTES);
	p = put_varint(p, TAG_BYTES(31));
	p = put_varint(p, wraps);
	p = put_string(p, 1, room);
	*p++ = TAG_BYTES(2);
	p = put_varint(p, epoch_wraps);
	p = put_string(p, 1, epoch);
	p = put_string(p, 2, block);
	assert(p == ret + FRAME_WRAP_PUSH_BYTES);
}
