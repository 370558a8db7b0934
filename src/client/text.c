/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/filter.h"

void
text_fini(struct text *t)
{
	buf_fini(&t->buf);
	t->failed = false;
}

void
text_clear(struct text *t)
{
	buf_clear(&t->buf);
	t->failed = false;
}

void
text_bytes(struct text *t, struct bytes b)
{
	if (!t->failed && buf_append(&t->buf, b.data, b.len) != CHAT_OK)
		t->failed = true;
}

void
text_str(struct text *t, const char *s)
{
	text_bytes(t, BYTES_STR(s));
}

void
text_char(struct text *t, char c)
{
	text_bytes(t, BYTES(&c, 1));
}

void
text_printf(struct text *t, const char *fmt, ...)
{
	char *s;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&s, fmt, args) < 0) {
		t->failed = true;
	} else {
		text_str(t, s);
		free(s);
	}
	va_end(args);
}

void
text_spaces(struct text *t, size_t n)
{
	while (n-- > 0)
		text_char(t, ' ');
}

void
text_name(struct text *t, const char *name)
{
	filter_append(t, BYTES_STR(name), FILTER_NAME);
}

void
text_body(struct text *t, const char *body)
{
	filter_append(t, BYTES_STR(body), FILTER_BODY);
}

const char *
text_cstr(struct text *t)
{
	if (!t->failed && buf_reserve(&t->buf, 1) != CHAT_OK)
		t->failed = true;
	if (t->failed)
		return "";
	t->buf.data[t->buf.len] = '\0';
	return (const char *)t->buf.data;
}
