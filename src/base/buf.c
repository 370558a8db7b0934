/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MIN_BYTES 64 /* the first allocation: most frames and rows fit */

void
buf_fini(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void
buf_fini_secret(struct buf *buf)
{
	freezero(buf->data, buf->cap);
	*buf = (struct buf){0};
}

enum chat_err
buf_reserve(struct buf *buf, size_t n)
{
	size_t cap;
	uint8_t *data;

	if (n <= buf->cap - buf->len)
		return CHAT_OK;
	/* Half of the address space is never available, and doubling below cannot overflow. */
	if (n > SIZE_MAX / 2 - buf->len)
		return CHAT_ERR_NOMEM;
	cap = buf->cap ? buf->cap : BUF_MIN_BYTES;
	while (cap < buf->len + n)
		cap *= 2;
	/* Not realloc(): it would leave the old bytes, which may be a secret, in memory that is free. */
	data = malloc(cap);
	if (!data)
		return CHAT_ERR_NOMEM;
	if (buf->len > 0)
		memcpy(data, buf->data, buf->len);
	freezero(buf->data, buf->cap);
	buf->data = data;
	buf->cap = cap;
	return CHAT_OK;
}

enum chat_err
buf_append(struct buf *buf, const void *from, size_t n)
{
	enum chat_err err;

	if (n == 0)
		return CHAT_OK;
	err = buf_reserve(buf, n);
	if (err)
		return err;
	memcpy(buf->data + buf->len, from, n);
	buf->len += n;
	return CHAT_OK;
}

enum chat_err
buf_append_str(struct buf *buf, const char *s)
{
	return buf_append(buf, s, strlen(s));
}

enum chat_err
buf_printf(struct buf *buf, const char *fmt, ...)
{
	enum chat_err err;
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		err = CHAT_ERR_RANGE;
		goto out;
	}
	/* vsnprintf() wants a place for its NUL, which is not part of the content. */
	err = buf_reserve(buf, (size_t)n + 1);
	if (err)
		goto out;
	vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, again);
	buf->len += (size_t)n;
out:
	va_end(again);
	return err;
}

void
buf_drop(struct buf *buf, size_t n)
{
	assert(n <= buf->len);
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
}

void
buf_clear(struct buf *buf)
{
	buf->len = 0;
}

struct bytes
buf_bytes(const struct buf *buf)
{
	return BYTES(buf->data, buf->len);
}

void
buf_steal(struct buf *buf, uint8_t **ret_data, size_t *ret_len)
{
	*ret_data = buf->data;
	*ret_len = buf->len;
	*buf = (struct buf){0};
}
