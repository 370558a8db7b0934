/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Frames: splitting, decoding, the rules of requests and answers.  The input is a frame's protobuf. */

#include "fuzz.h"

#include <assert.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "proto/answers.h"
#include "proto/frame.h"
#include "proto/requests.h"

/* What a frame splits into lies inside of the input, and the same input a byte shorter is not enough. */
static void
split(struct bytes in)
{
	struct bytes body = BYTES_EMPTY;
	size_t n = 0;

	switch ((int)frame_split(in, FRAME_MAX_BEFORE_LOGIN, &body, &n)) {
	case CHAT_OK:
		assert(
		    n == FRAME_HEADER_BYTES + body.len && n <= in.len && body.len <= FRAME_MAX_BEFORE_LOGIN);
		assert(
		    frame_split(BYTES(in.data, n - 1), FRAME_MAX_BEFORE_LOGIN, &body, &n) == CHAT_ERR_AGAIN);
		break;
	case CHAT_ERR_AGAIN:
		assert(n > in.len && n <= FRAME_HEADER_BYTES + FRAME_MAX_BEFORE_LOGIN);
		break;
	default:
		break;
	}
}

/* protobuf-c keeps fields that it does not know, and may write their tags otherwise than they came: such a
 * frame is not encoded again, here or anywhere. */
static bool
has_unknown_fields(const ProtobufCMessage *message)
{
	if (message->n_unknown_fields > 0)
		return true;
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const char *base = (const char *)message, *at = base + field->offset,
			   *counter = base + field->quantifier_offset;

		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)(const void *)at;

			for (size_t j = 0; j < *(const size_t *)(const void *)counter; j++) {
				if (has_unknown_fields(list[j]))
					return true;
			}
			continue;
		}
		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		    *(const uint32_t *)(const void *)counter != field->id)
			continue;
		if (*(ProtobufCMessage *const *)(const void *)at &&
		    has_unknown_fields(*(ProtobufCMessage *const *)(const void *)at))
			return true;
	}
	return false;
}

/* A request that passes the check passes it again after it was encoded. */
static void
client(struct bytes in, struct arena *arena)
{
	const Chat__V1__ClientFrame *frame;
	enum request_type type = REQUEST_TYPE_COUNT, again;
	struct request_fault fault = {CHAT_OK, NULL};
	struct buf encoded = {0};
	struct bytes body;
	size_t n;

	if (frame_decode_client(in, arena, &frame) != CHAT_OK)
		return;
	for (unsigned phase = PHASE_NEW; phase <= PHASE_READY; phase <<= 1) {
		if (requests_check(frame, (enum phase)phase, in.len, &type, &fault) != CHAT_OK) {
			assert(fault.err != CHAT_OK && fault.text);
			continue;
		}
		assert(type < REQUEST_TYPE_COUNT && (request_table[type].phases & phase));
		assert(in.len <= request_table[type].max_bytes);
		assert(requests_cost(frame) > 0);
		if (!has_unknown_fields(&frame->base) && frame_encode_client(frame, &encoded) == CHAT_OK) {
			assert(frame_split(buf_bytes(&encoded), FRAME_MAX_AFTER_LOGIN, &body, &n) == CHAT_OK);
			assert(frame_decode_client(body, arena, &frame) == CHAT_OK);
			assert(requests_check(frame, (enum phase)phase, body.len, &again, &fault) == CHAT_OK);
			assert(again == type);
		}
		break;
	}
	buf_fini(&encoded);
}

static void
server(struct bytes in, struct arena *arena)
{
	const Chat__V1__ServerFrame *frame;
	struct request_fault fault = {CHAT_OK, NULL};
	struct buf encoded = {0};
	struct bytes body;
	size_t n;

	if (frame_decode_server(in, arena, &frame) != CHAT_OK)
		return;
	if (answers_check(frame, &fault) != CHAT_OK) {
		assert(fault.err != CHAT_OK && fault.text);
	} else if (!has_unknown_fields(&frame->base) && frame_encode_server(frame, &encoded) == CHAT_OK) {
		assert(encoded.len == frame_server_bytes(frame));
		assert(frame_split(buf_bytes(&encoded), FRAME_MAX_AFTER_LOGIN, &body, &n) == CHAT_OK);
		assert(frame_decode_server(body, arena, &frame) == CHAT_OK);
		assert(answers_check(frame, &fault) == CHAT_OK);
	}
	buf_fini(&encoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = BYTES(data, size);
	struct arena arena;

	split(in);
	frame_arena_init(&arena);
	client(in, &arena);
	arena_reset(&arena);
	server(in, &arena);
	arena_fini(&arena);
	return 0;
}
