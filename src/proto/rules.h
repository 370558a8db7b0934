/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PROTO_RULES_H
#define PROTO_RULES_H

/*
 * What the fields of a decoded message have to look like, as data: one row a field.  Requests and answers are
 * both held to such rows, and by the same walk.
 *
 * The macros below make rows and refuse, at compile time, a field of another type than the row is for.  A
 * text says which field and what it has to be; it goes to the peer.
 *
 * Internal to src/proto.  Threads: any; rules are constant.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/account_name.h"
#include "base/digest.h"
#include "crypto/ed25519.h"
#include "crypto/rsa_oaep.h"
#include "proto/chat.pb-c.h"
#include "proto/limits.h"

/* Lengths of the fixed layouts, which src/group defines and this layer, below it, cannot include. */
#define WIRE_REALM_BYTES    16
#define WIRE_CARD_MIN_BYTES (480 + 1 + ED25519_SIG_BYTES)
#define WIRE_CARD_MAX_BYTES (480 + ACCOUNT_NAME_MAX_BYTES + ED25519_SIG_BYTES)
#define WIRE_BAG_MIN_BYTES  (1 + 8 + 12 + 16 + 1)
#define WIRE_REWRAP_BYTES   (1 + 4 * DIGEST_BYTES + RSA_BYTES + ED25519_SIG_BYTES)
#define WIRE_PREIMAGE_BYTES 112

enum rule_kind {
	RULE_END,
	RULE_BYTES,        /* length in [min, max] */
	RULE_TEXT,         /* UTF-8 of [min, max] bytes */
	RULE_ACCOUNT,      /* an account's name; min 0: may be empty */
	RULE_PASSWORD,     /* bytes, length in [min, max], without NUL, which crypt(3) would end at */
	RULE_U32,          /* value in [min, max] */
	RULE_U64,          /* likewise */
	RULE_ENUM,         /* likewise */
	RULE_BYTES_LIST,   /* count in [min_count, max_count], each as RULE_BYTES */
	RULE_MESSAGE,      /* present, and as `sub` says */
	RULE_MESSAGE_LIST, /* count in [min_count, max_count], each as `sub` says */
	RULE_WHOLE,        /* not a field: `judge` looks at the message, after the rows above it passed */
};

struct field_rule {
	enum rule_kind kind;
	bool or_empty; /* RULE_BYTES: empty is right too */
	size_t offset;
	size_t count_offset; /* of a list's n_field */
	uint64_t min, max;
	size_t min_count, max_count;
	const struct field_rule *sub; /* ends with RULE_END */
	/* NULL if the message is right, else the text to say. */
	const char *(*judge)(const ProtobufCMessage *message);
	const char *text;
};

#define RULE_FIELD(T, f)        (((T *)0)->f)
#define RULE_OFFSET_OF(T, f, C) (offsetof(T, f) + 0 * sizeof(char[_Generic(RULE_FIELD(T, f), C : 1)]))

#define FIELD_BYTES(T, f, lo, hi, said)                                                                      \
	{                                                                                                    \
		.kind = RULE_BYTES, .offset = RULE_OFFSET_OF(T, f, ProtobufCBinaryData), .min = (lo),        \
		.max = (hi), .text = (said)                                                                  \
	}
#define FIELD_BYTES_OR_EMPTY(T, f, lo, hi, said)                                                             \
	{                                                                                                    \
		.kind = RULE_BYTES, .or_empty = true, .offset = RULE_OFFSET_OF(T, f, ProtobufCBinaryData),   \
		.min = (lo), .max = (hi), .text = (said)                                                     \
	}
#define FIELD_NO_BYTES(T, f, said) FIELD_BYTES(T, f, 0, 0, said)
#define FIELD_CARD(T, f)                                                                                     \
	FIELD_BYTES(T, f, WIRE_CARD_MIN_BYTES, WIRE_CARD_MAX_BYTES, #f " has to be 545 to 608 bytes")
#define FIELD_SEQ(T, f) FIELD_U64(T, f, 1, ROOM_ENTRIES_MAX, #f " is not the number of an entry")
#define FIELD_ID(T, f)  FIELD_BYTES(T, f, 32, 32, #f " has to be 32 bytes")
#define FIELD_PASSWORD(T, f)                                                                                 \
	{                                                                                                    \
		.kind = RULE_PASSWORD, .offset = RULE_OFFSET_OF(T, f, ProtobufCBinaryData), .min = 1,        \
		.max = PASSWORD_MAX_BYTES, .text = #f " has to be 1 to 511 bytes without NUL"                \
	}
#define FIELD_TEXT(T, f, lo, hi, said)                                                                       \
	{                                                                                                    \
		.kind = RULE_TEXT, .offset = RULE_OFFSET_OF(T, f, char *), .min = (lo), .max = (hi),         \
		.text = (said)                                                                               \
	}
#define FIELD_ACCOUNT(T, f, lo, said)                                                                        \
	{                                                                                                    \
		.kind = RULE_ACCOUNT, .offset = RULE_OFFSET_OF(T, f, char *), .min = (lo), .text = (said)    \
	}
#define FIELD_U32(T, f, lo, hi, said)                                                                        \
	{                                                                                                    \
		.kind = RULE_U32, .offset = RULE_OFFSET_OF(T, f, uint32_t), .min = (lo), .max = (hi),        \
		.text = (said)                                                                               \
	}
#define FIELD_U64(T, f, lo, hi, said)                                                                        \
	{                                                                                                    \
		.kind = RULE_U64, .offset = RULE_OFFSET_OF(T, f, uint64_t), .min = (lo), .max = (hi),        \
		.text = (said)                                                                               \
	}
#define FIELD_ENUM(T, f, E, lo, hi, said)                                                                    \
	{                                                                                                    \
		.kind = RULE_ENUM, .offset = RULE_OFFSET_OF(T, f, E), .min = (lo), .max = (hi),              \
		.text = (said)                                                                               \
	}
#define FIELD_BYTES_LIST(T, f, lo_count, hi_count, lo, hi, said)                                             \
	{                                                                                                    \
		.kind = RULE_BYTES_LIST, .offset = RULE_OFFSET_OF(T, f, ProtobufCBinaryData *),              \
		.count_offset = offsetof(T, n_##f), .min = (lo), .max = (hi), .min_count = (lo_count),       \
		.max_count = (hi_count), .text = (said)                                                      \
	}
#define FIELD_MESSAGE(T, f, S, rules, said)                                                                  \
	{                                                                                                    \
		.kind = RULE_MESSAGE, .offset = RULE_OFFSET_OF(T, f, S *), .sub = (rules), .text = (said)    \
	}
#define FIELD_MESSAGE_LIST(T, f, S, lo_count, hi_count, rules, said)                                         \
	{                                                                                                    \
		.kind = RULE_MESSAGE_LIST, .offset = RULE_OFFSET_OF(T, f, S **),                             \
		.count_offset = offsetof(T, n_##f), .min_count = (lo_count), .max_count = (hi_count),        \
		.sub = (rules), .text = (said)                                                               \
	}
#define WHOLE_MESSAGE(function)                                                                              \
	{                                                                                                    \
		.kind = RULE_WHOLE, .judge = (function)                                                      \
	}
#define RULES_END                                                                                            \
	{                                                                                                    \
		.kind = RULE_END                                                                             \
	}

/* NULL if the message keeps all rules, in order, else the text of the first that it breaks.  Static storage.
 */
const char *rules_check(const struct field_rule *rules, const ProtobufCMessage *message);

/* How many elements the lists of the message hold together. */
size_t rules_count_items(const struct field_rule *rules, const ProtobufCMessage *message);

/* True if the entries' numbers go up, one by one where `dense`. */
bool entries_ascend(Chat__V1__Entry *const *entries, size_t count, bool dense);

/* Rules that both sides need. */
extern const struct field_rule epoch_wraps_rules[];

#endif
