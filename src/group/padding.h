/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GROUP_PADDING_H
#define GROUP_PADDING_H

/*
 * Padding of what is sealed: u32 length, the content, zeros up to the least fit of 64 * {1, 2, 3, 4, 6, 8,
 * 12, ...}, so that a length tells little (chat-protocol(7), Messages).
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define PADDING_UNIT_BYTES    64
#define PADDING_MESSAGE_UNITS 768 /* of a message: 49,152 bytes */
#define PADDING_INFO_UNITS    24  /* of an info box: 1,536 bytes */

#define PADDING_LENGTH_BYTES 4

/* The padded length of content_bytes of content; 0 if it does not fit in max_units. */
size_t padded_length(size_t content_bytes, size_t max_units);

/* Whether padded content can be this long. */
bool padded_length_valid(size_t padded_bytes, size_t max_units) MUST_USE;

/* Writes the length in front of content that lies at ret + PADDING_LENGTH_BYTES already, and the zeros behind
 * it; padded_bytes is what padded_length() gave. */
void padding_finish(uint8_t *ret, size_t content_bytes, size_t padded_bytes);

/* The content, borrowed from `padded`.  CHAT_ERR_MALFORMED unless it is padded exactly as it must be. */
enum chat_err padding_remove(struct bytes padded, size_t max_units, struct bytes *ret_content) MUST_USE;

#endif
