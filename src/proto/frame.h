/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

/*
 * Frames: splitting a stream of bytes into them, decoding and encoding (chat-protocol(7), Frames).  A frame
 * is a 4-byte big-endian length and that many bytes of protobuf: a ClientFrame from the client, a ServerFrame
 * from the server.  Bytes in, bytes out; no I/O, and nothing is kept between calls.
 *
 * What it is not: it does not judge what a frame holds.  A decoded frame goes to requests_check() (server) or
 * answers_check() (client) before anybody reads its fields.
 *
 * Threads: any; arena and buffer belong to the caller's thread.
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "proto/chat.pb-c.h"
#include "proto/limits.h"

/* ---- splitting ---- */

/*
 * Looks at the front of `in`, which is what has come and was not consumed yet.  max_body_bytes is the phase's
 * limit on the protobuf part (FRAME_MAX_BEFORE_LOGIN or FRAME_MAX_AFTER_LOGIN).
 *
 * CHAT_OK: *ret_body is the frame's protobuf, borrowed from `in`, perhaps empty; consume *ret_bytes.
 * CHAT_ERR_AGAIN: not all of it is there; *ret_bytes of it are wanted, counted from the front of `in` (4
 * until the length is known, then the whole frame); *ret_body is untouched. CHAT_ERR_TOO_LONG: longer than
 * the limit, known from the length alone; the stream is beyond use.
 */
enum chat_err
frame_split(struct bytes in, size_t max_body_bytes, struct bytes *ret_body, size_t *ret_bytes) MUST_USE;

/* ---- decoding ---- */

/* An arena for decoding frames, one at a time: FRAME_ARENA_KEEP_BYTES are kept, FRAME_ARENA_MAX_BYTES
 * allowed. */
void frame_arena_init(struct arena *arena);

/*
 * The frame and all it points to live in the arena, until its next reset; they do not borrow from body. Reset
 * the arena between frames, with arena_reset_secret() where the frame may hold a password.  Unknown fields
 * are skipped. A frame with no request or body set, or an unknown one, decodes: its id is needed for the
 * answer.
 *
 * CHAT_ERR_MALFORMED: not protobuf.  CHAT_ERR_TOO_LONG: decoded it would be larger than the arena may be.
 * CHAT_ERR_NOMEM.
 */
enum chat_err
frame_decode_client(struct bytes body, struct arena *arena, const Chat__V1__ClientFrame **ret_frame) MUST_USE;
enum chat_err
frame_decode_server(struct bytes body, struct arena *arena, const Chat__V1__ServerFrame **ret_frame) MUST_USE;

/* ---- encoding ---- */

/*
 * Appends the whole frame, length in front: one reservation, then written in place.  CHAT_ERR_TOO_LONG: the
 * protobuf part would be longer than FRAME_MAX_AFTER_LOGIN.  CHAT_ERR_NOMEM.  `into` is unchanged on failure.
 */
enum chat_err frame_encode_client(const Chat__V1__ClientFrame *frame, struct buf *into) MUST_USE;
enum chat_err frame_encode_server(const Chat__V1__ServerFrame *frame, struct buf *into) MUST_USE;

/*
 * The same into the caller's memory: the size of the whole frame, and the writing of exactly that many bytes.
 * The size may be more than a frame may have: FRAME_HEADER_BYTES + FRAME_MAX_AFTER_LOGIN.
 */
size_t frame_server_bytes(const Chat__V1__ServerFrame *frame);
void frame_server_put(const Chat__V1__ServerFrame *frame, uint8_t *ret, size_t frame_bytes);

/* ---- the most frequent frames, without a struct of protobuf-c in between ---- */

/* The push of one entry.  With `wire` it is whole; with wire empty it is a stub and entry_hash is set. */
struct entry_push {
	const struct digest *room_id;
	uint64_t seq;
	uint64_t server_time_ms;
	uint32_t kind; /* 1 event, 2 message */
	struct bytes wire;
	const struct digest *entry_hash; /* NULL where wire is given */
};

/* The same bytes as frame_server_put() would write. */
size_t frame_entry_bytes(const struct entry_push *push);
void frame_entry_put(const struct entry_push *push, uint8_t *ret, size_t frame_bytes);

/* The push of one reader's own wrap of a rekey, which goes right before the rekey's entry.  The size is
 * always FRAME_WRAP_PUSH_BYTES, so a loop can write it straight into its scratch. */
#define FRAME_WRAP_PUSH_WRAP_BYTES 384
#define FRAME_WRAP_PUSH_BYTES      (FRAME_HEADER_BYTES + 4 + 34 + 3 + 34 + 3 + FRAME_WRAP_PUSH_WRAP_BYTES)
void frame_wrap_push_put(const struct digest *room_id, const struct digest *epoch_id,
    const uint8_t wrap[static FRAME_WRAP_PUSH_WRAP_BYTES], uint8_t ret[static FRAME_WRAP_PUSH_BYTES]);

/* Answers to request `id`; 0 where the frame could not be read.  An error's text is `text`, or
 * chat_strerror(err) where that is NULL.  For what else an Error can say, fill one and use
 * frame_encode_server(). */
enum chat_err frame_encode_error(uint64_t id, enum chat_err err, const char *text, struct buf *into) MUST_USE;
enum chat_err frame_encode_ok(uint64_t id, struct buf *into) MUST_USE;

#endif
