/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

/* UTF-8 validation by RFC 3629 (no surrogates, no overlong forms, nothing above U+10FFFF).  Threads: any. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Decodes one character at the start of s.  Returns its length in bytes (1..4) and sets *ret_char; 0 if s is empty
 * or does not begin with a valid character (*ret_char untouched).
 */
size_t utf8_decode(struct bytes s, uint32_t *ret_char);
bool utf8_valid(struct bytes s);
size_t utf8_char_count(struct bytes s); /* of valid UTF-8 */
bool utf8_is_control(uint32_t c);       /* C0, DEL, C1, line and paragraph separators, bidi controls, BOM */

/* A room's name: 1 to 64 characters, no control characters, no white space at either end. */
bool room_name_valid(struct bytes name);
#define ROOM_NAME_MAX_CHARS 64

#endif
