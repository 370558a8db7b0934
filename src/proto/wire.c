/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

/* The codes of chat.proto are the refusals of err.h; that no list has more than the other is a unit test's.
 */
#define SAME_NUMBER(name)                                                                                    \
	static_assert((int)CHAT__V1__ERROR_CODE__##name == (int)CHAT_ERR_##name, #name " differs")
SAME_NUMBER(UNSUPPORTED);
SAME_NUMBER(MALFORMED);
SAME_NUMBER(ALREADY);
SAME_NUMBER(NO_ROOM);
SAME_NUMBER(CONFLICT);
SAME_NUMBER(NOT_ALLOWED);
SAME_NUMBER(BAD_SIGNATURE);
SAME_NUMBER(BAD_SEEN);
SAME_NUMBER(BAD_WRAPS);
SAME_NUMBER(OUT_OF_ORDER);
SAME_NUMBER(STALE);
SAME_NUMBER(STORE_UNAVAILABLE);
SAME_NUMBER(BUSY);
SAME_NUMBER(NO_IDENTITY);
SAME_NUMBER(PASSWORD_REQUIRED);
SAME_NUMBER(LOGIN_REFUSED);
SAME_NUMBER(HISTORY_CHANGED);
SAME_NUMBER(WRONG_PHASE);
SAME_NUMBER(TOO_LONG);
SAME_NUMBER(UNKNOWN_REQUEST);
SAME_NUMBER(LIMIT);
SAME_NUMBER(RATE);
SAME_NUMBER(SHUTDOWN);
SAME_NUMBER(NO_ACCOUNT);
SAME_NUMBER(INTERNAL);
SAME_NUMBER(EVICTED);

struct bytes
wire_str(const char *s)
{
	return BYTES_STR(s);
}

bool
wire_digest_maybe(ProtobufCBinaryData b, struct digest *ret)
{
	return digest_from_bytes(wire_bytes(b), ret);
}

struct digest
wire_digest(ProtobufCBinaryData b)
{
	struct digest d;

	assert(b.len == DIGEST_BYTES);
	memcpy(d.b, b.data, DIGEST_BYTES);
	return d;
}

/* Whether err.h has this number, and as a refusal that goes over the wire. */
static bool
is_refusal(int number)
{
	switch (number) {
#define CASE(constant, value, name, sentence)                                                                \
	case value:                                                                                          \
		return (value) >= 100;
		CHAT_ERRORS(CASE)
#undef CASE
	default:
		return false;
	}
}

Chat__V1__ErrorCode
error_to_wire(enum chat_err err)
{
	if (err == CHAT_OK)
		return CHAT__V1__ERROR_CODE__ERROR_NONE;
	return is_refusal((int)err) ? (Chat__V1__ErrorCode)err : CHAT__V1__ERROR_CODE__INTERNAL;
}

enum chat_err
error_from_wire(Chat__V1__ErrorCode code)
{
	if (code == CHAT__V1__ERROR_CODE__ERROR_NONE)
		return CHAT_OK;
	return is_refusal((int)code) ? (enum chat_err)code : CHAT_ERR_UNSUPPORTED;
}
