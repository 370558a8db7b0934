/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/frame.h"

#include <assert.h>
#include <string.h>

#include "crypto/rsa_oaep.h"
#include "proto/wire.h"

/* ---- splitting ---- */

enum chat_err
frame_split(struct bytes in, size_t max_body_bytes, struct bytes *ret_body, size_t *ret_bytes)
{
	if (in.len < FRAME_HEADER_BYTES) {
		*ret_bytes = FRAME_HEADER_BYTES;
		return CHAT_ERR_AGAIN;
	}
	size_t body_len = be32_get(in.data);
	if (body_len > max_body_bytes)
		return CHAT_ERR_TOO_LONG;
	*ret_bytes = FRAME_HEADER_BYTES + body_len;
	if (in.len - FRAME_HEADER_BYTES < body_len)
		return CHAT_ERR_AGAIN;
	*ret_body = BYTES(in.data + FRAME_HEADER_BYTES, body_len);
	return CHAT_OK;
}

/* ---- decoding ---- */

void
frame_arena_init(struct arena *arena)
{
	arena_init(arena, FRAME_ARENA_KEEP_BYTES, FRAME_ARENA_MAX_BYTES);
}

static void *
alloc_in_arena(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void
leave_in_arena(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

static enum chat_err
decode(const ProtobufCMessageDescriptor *type, struct bytes body, struct arena *arena, ProtobufCMessage **ret)
{
	ProtobufCAllocator allocator = {
	    .alloc = alloc_in_arena, .free = leave_in_arena, .allocator_data = arena};

	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, body.len, body.data);
	if (message == NULL) {
		if (arena->full)
			return CHAT_ERR_TOO_LONG;
		return arena->failed ? CHAT_ERR_NOMEM : CHAT_ERR_MALFORMED;
	}
	*ret = message;
	return CHAT_OK;
}

enum chat_err
frame_decode_client(struct bytes body, struct arena *arena, const Chat__V1__ClientFrame **ret_frame)
{
	ProtobufCMessage *message = NULL;

	enum chat_err err = decode(&chat__v1__client_frame__descriptor, body, arena, &message);
	if (err == CHAT_OK)
		*ret_frame = (const Chat__V1__ClientFrame *)message;
	return err;
}

enum chat_err
frame_decode_server(struct bytes body, struct arena *arena, const Chat__V1__ServerFrame **ret_frame)
{
	ProtobufCMessage *message = NULL;

	enum chat_err err = decode(&chat__v1__server_frame__descriptor, body, arena, &message);
	if (err == CHAT_OK)
		*ret_frame = (const Chat__V1__ServerFrame *)message;
	return err;
}

/* ---- encoding ---- */

static void
put(const ProtobufCMessage *message, uint8_t *ret, size_t frame_bytes)
{
	be32_put(ret, (uint32_t)(frame_bytes - FRAME_HEADER_BYTES));
	size_t written = protobuf_c_message_pack(message, ret + FRAME_HEADER_BYTES);
	assert(written == frame_bytes - FRAME_HEADER_BYTES);
}

static enum chat_err
encode(const ProtobufCMessage *message, struct buf *into)
{
	size_t body_len = protobuf_c_message_get_packed_size(message);
	if (body_len > FRAME_MAX_AFTER_LOGIN)
		return CHAT_ERR_TOO_LONG;
	enum chat_err err = buf_reserve(into, FRAME_HEADER_BYTES + body_len);
	if (err != CHAT_OK)
		return err;
	put(message, into->data + into->len, FRAME_HEADER_BYTES + body_len);
	into->len += FRAME_HEADER_BYTES + body_len;
	return CHAT_OK;
}

enum chat_err
frame_encode_client(const Chat__V1__ClientFrame *frame, struct buf *into)
{
	return encode(&frame->base, into);
}

enum chat_err
frame_encode_server(const Chat__V1__ServerFrame *frame, struct buf *into)
{
	return encode(&frame->base, into);
}

size_t
frame_server_bytes(const Chat__V1__ServerFrame *frame)
{
	return FRAME_HEADER_BYTES + protobuf_c_message_get_packed_size(&frame->base);
}

void
frame_server_put(const Chat__V1__ServerFrame *frame, uint8_t *ret, size_t frame_bytes)
{
	put(&frame->base, ret, frame_bytes);
}

enum chat_err
frame_encode_error(uint64_t id, enum chat_err err, const char *text, struct buf *into)
{
	Chat__V1__Error error = CHAT__V1__ERROR__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	assert(err != CHAT_OK);
	error.code = error_to_wire(err);
	error.text = wire_from_str(text != NULL ? text : chat_strerror(err));
	frame.id = id;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
	frame.error = &error;
	return frame_encode_server(&frame, into);
}

enum chat_err
frame_encode_ok(uint64_t id, struct buf *into)
{
	Chat__V1__Ok ok = CHAT__V1__OK__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	frame.id = id;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_OK;
	frame.ok = &ok;
	return frame_encode_server(&frame, into);
}
