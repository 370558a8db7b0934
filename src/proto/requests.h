/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PROTO_REQUESTS_H
#define PROTO_REQUESTS_H

/*
 * The table of requests: what a client may ask, in which phase, how long it may be, what it costs, which
 * answer it gets, and what its fields have to look like.  requests_check() is the one place that holds a
 * frame to it, so a handler behind it sees valid requests only.
 *
 * What it is not: the handlers are the server's, in a table of its own:
 *     static const handler_fn handlers[] = { [REQUEST_HELLO] = on_hello, ... };
 *     static_assert(ARRAY_LEN(handlers) == REQUEST_TYPE_COUNT, "");
 * Fixed layouts inside bytes fields (cards, events, messages) are parsed by src/group; here only their
 * lengths are bounded.
 *
 * Threads: any; the table is constant.
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "proto/chat.pb-c.h"
#include "proto/limits.h"

/* Where a connection is: each phase is a bit, so that a row can name several. */
enum phase {
	PHASE_NEW = 1 << 0,      /* before hello */
	PHASE_HELLO = 1 << 1,    /* after it, nothing proved */
	PHASE_PASSWORD = 1 << 2, /* a password was right, the key is not proved */
	PHASE_READY = 1 << 3,    /* logged in */
};
#define PHASE_ANY (PHASE_NEW | PHASE_HELLO | PHASE_PASSWORD | PHASE_READY)

/* In the order of ClientFrame's oneof. */
enum request_type {
	REQUEST_HELLO,
	REQUEST_PASSWORD_LOGIN,
	REQUEST_KEY_LOGIN,
	REQUEST_PUBLISH_IDENTITY,
	REQUEST_GET_RECOVERY,
	REQUEST_GET_BAG,
	REQUEST_PUT_RECOVERY,
	REQUEST_PUT_BAG,
	REQUEST_PUBLISH_CARD,
	REQUEST_GET_CARD,
	REQUEST_CHANGE_PASSWORD,
	REQUEST_WHO,
	REQUEST_PING,
	REQUEST_GET_ROOMS,
	REQUEST_RESUME,
	REQUEST_GET_HISTORY,
	REQUEST_GET_ROSTER,
	REQUEST_GET_PREFIX,
	REQUEST_GET_WRAPS,
	REQUEST_STAGE_WRAPS,
	REQUEST_POST_EVENTS,
	REQUEST_POST_MESSAGE,
	REQUEST_POST_REWRAPS,
	REQUEST_ASK_REWRAP,
	REQUEST_SET_CURSOR,
	REQUEST_OFFER_ENTRIES,
	REQUEST_TYPE_COUNT
};

struct field_rule;

struct request_row {
	const char *name;   /* as in chat.proto: "post_message"; for logs and chat-protocol(7) */
	unsigned phases;    /* of enum phase */
	size_t max_bytes;   /* of the frame without its length */
	uint32_t cost;      /* for rate limits: 1 is about 10 microseconds of the server */
	uint32_t item_cost; /* and for each event, re-wrap, epoch or entry in it */
	Chat__V1__ServerFrame__BodyCase answer; /* what it is answered with, unless with an error */
	const struct field_rule *rules;         /* of its fields; internal, see rules.h */
};

/* REQUEST_TYPE_COUNT rows, indexed by enum request_type. */
extern const struct request_row request_table[];

/* What was wrong: the answer's code and its text (static storage). */
struct request_fault {
	enum chat_err err;
	const char *text;
};

/*
 * Judges a decoded frame; frame_bytes is the length of its protobuf.  In this order:
 *   CHAT_ERR_UNKNOWN_REQUEST  no request, or one that this version does not know
 *   CHAT_ERR_WRONG_PHASE      not now
 *   CHAT_ERR_TOO_LONG         longer than this request may be
 *   CHAT_ERR_MALFORMED        id 0, a field missing, of wrong length or out of range
 *   CHAT_ERR_UNSUPPORTED      another protocol version, or binding_type 2
 * With CHAT_OK *ret_type is what it is, else *ret_fault has what to answer; the other is untouched.
 */
enum chat_err requests_check(const Chat__V1__ClientFrame *frame, enum phase phase, size_t frame_bytes,
    enum request_type *ret_type, struct request_fault *ret_fault) MUST_USE;

/* The cost of a frame that was checked. */
uint32_t requests_cost(const Chat__V1__ClientFrame *frame);

#endif
