/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

/*
 * Between protobuf-c's types and ours: bytes, digests, error codes.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "proto/chat.pb-c.h"

/* Borrowed from the message. */
static inline struct bytes
wire_bytes(ProtobufCBinaryData b)
{
	return BYTES(b.data, b.len);
}

/* A string of a decoded message, never NULL there; borrowed. */
struct bytes wire_str(const char *s);

/* For a message to encode: borrows b, which encoding does not change. */
static inline ProtobufCBinaryData
wire_from_bytes(struct bytes b)
{
	/* protobuf-c has one type for reading and writing, hence no const in it. */
	return (ProtobufCBinaryData){.len = b.len, .data = (uint8_t *)(uintptr_t)b.data};
}

static inline ProtobufCBinaryData
wire_from_digest(const struct digest *d)
{
	return wire_from_bytes(BYTES(d->b, DIGEST_BYTES));
}

/* For a message to encode: borrows s. */
static inline char *
wire_from_str(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* A field that a check has found to be 32 bytes long (asserted). */
struct digest wire_digest(ProtobufCBinaryData b);
/* False, *ret untouched, unless b is 32 bytes. */
bool wire_digest_maybe(ProtobufCBinaryData b, struct digest *ret) MUST_USE;

/*
 * The numbers are the same (asserted where this is compiled), the sets are not: a local cause (below 100) is
 * INTERNAL on the wire, but CHAT_OK is ERROR_NONE; a code that this program does not know is
 * CHAT_ERR_UNSUPPORTED.
 */
Chat__V1__ErrorCode error_to_wire(enum chat_err err);
enum chat_err error_from_wire(Chat__V1__ErrorCode code);

#endif
