/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * A growable byte buffer that owns its memory.  Zero-initialised it is valid and empty.
 * A buffer that may have held secrets is ended with buf_fini_secret().
 *
 * Threads: one at a time.
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct buf {
	uint8_t *data; /* owned; NULL while cap is 0 */
	size_t len;
	size_t cap;
};

void buf_fini(struct buf *buf);
void buf_fini_secret(struct buf *buf); /* the same, and overwrites the memory first */

/* Makes room for n more bytes behind len.  CHAT_ERR_NOMEM; the content is untouched then. */
enum chat_err buf_reserve(struct buf *buf, size_t n) MUST_USE;
enum chat_err buf_append(struct buf *buf, const void *from, size_t n) MUST_USE;
enum chat_err buf_append_str(struct buf *buf, const char *s) MUST_USE;
enum chat_err buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;
/* Removes n bytes from the front by moving the rest down; n <= len. */
void buf_drop(struct buf *buf, size_t n);
void buf_clear(struct buf *buf); /* len = 0, memory kept */
/* Borrowed: valid until the next call that changes the buffer. */
struct bytes buf_bytes(const struct buf *buf);
/* Hands the memory over: *ret_data is the caller's to free(); the buffer is empty afterwards. */
void buf_steal(struct buf *buf, uint8_t **ret_data, size_t *ret_len);

#endif
