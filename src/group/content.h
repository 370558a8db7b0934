/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_CONTENT_H
#define GROUP_CONTENT_H

/*
 * The protobuf messages that are sealed, never seen by the server: Content (a message's text), RoomInfo (a
 * room's name and topic) and Bag (private keys).  chat.proto is their schema.
 *
 * They are read in place instead of through generated code, for what is in them are secrets, and text of any
 * characters: nothing is copied to the heap and left there, and a text with a NUL in it stays whole.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define MESSAGE_TEXT_MAX 16384 /* bytes of UTF-8 in one message */

/* The length of Content with this text, and the writing of it: ret has room for that many bytes.  An empty
 * text is written as no field, as protobuf's proto3 has it. */
size_t content_encoded_bytes(struct bytes text);
void content_encode(struct bytes text, uint8_t *ret);

/*
 * The text, borrowed from `wire`; no bytes at all are an empty text.  Unknown fields are skipped.
 * CHAT_ERR_UNSUPPORTED: there are fields, but none that is known ("needs a newer client").
 * CHAT_ERR_MALFORMED: not protobuf, or not UTF-8.  How long a text may be is the sender's rule; what fits in
 * a message is read.
 */
enum chat_err content_decode(struct bytes wire, struct bytes *ret_text) MUST_USE;

struct room_info {
	struct bytes name;  /* UTF-8, borrowed; empty: none */
	struct bytes topic; /* likewise */
};

size_t room_info_encoded_bytes(const struct room_info *info);
void room_info_encode(const struct room_info *info, uint8_t *ret);
/* Unknown fields are skipped.  CHAT_ERR_MALFORMED: not protobuf or not UTF-8. */
enum chat_err room_info_decode(struct bytes wire, struct room_info *ret) MUST_USE;

size_t bag_content_encoded_bytes(const struct bytes *keys, size_t count);
void bag_content_encode(const struct bytes *keys, size_t count, uint8_t *ret);
/* Checks the form and counts the keys.  CHAT_ERR_MALFORMED: not protobuf. */
enum chat_err bag_content_check(struct bytes wire, size_t *ret_count) MUST_USE;
/* Visits the keys of a Bag that was checked: start with *at = 0; false at the end. */
bool bag_content_next(struct bytes wire, size_t *at, struct bytes *ret_key);

#endif
