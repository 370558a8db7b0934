/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accounts/passwd_why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define PATH_SHOWN_BYTES 400 /* leaves room for the sentence */

/* In place; what is replaced never gets longer. */
static void
make_harmless(char *text)
{
	size_t left = strlen(text);
	char *to = text;

	for (const char *from = text; left > 0;) {
		uint32_t c;
		size_t n = utf8_decode(BYTES(from, left), &c);
		if (n == 0 || utf8_is_control(c)) {
			*to++ = '?';
			n = n == 0 ? 1 : n;
		} else {
			memmove(to, from, n);
			to += n;
		}
		from += n;
		left -= n;
	}
	*to = '\0';
}

enum chat_err
passwd_why_set(
    struct passwd_why *why, enum chat_err err, const char *path, unsigned line, const char *fmt, ...)
{
	size_t used = 0;
	va_list ap;

	why->err = err;
	why->line = line;
	why->text[0] = '\0';
	if (path != NULL) {
		size_t len = strlen(path);
		bool cut = len > PATH_SHOWN_BYTES;
		int n = snprintf(why->text, sizeof(why->text), "%s%s:", cut ? "..." : "",
		    cut ? path + (len - PATH_SHOWN_BYTES) : path);
		used = (size_t)n; /* fits: PATH_SHOWN_BYTES is far below the size */
		n = line > 0 ? snprintf(why->text + used, sizeof(why->text) - used, "%u: ", line)
			     : snprintf(why->text + used, sizeof(why->text) - used, " ");
		used += (size_t)n;
	}
	va_start(ap, fmt);
	(void)vsnprintf(why->text + used, sizeof(why->text) - used, fmt, ap); /* cut if too long, as said */
	va_end(ap);
	make_harmless(why->text);
	return err;
}

static bool
shell_safe(const char *s)
{
	return s[0] != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
					   "/._-+,@%=")] == '\0';
}

const char *
passwd_shell_word(const char *path, char ret[static SHELL_WORD_BYTES])
{
	size_t used = 0;
	bool plain = shell_safe(path);

	if (!plain)
		ret[used++] = '\'';
	for (const char *p = path; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		if (used + 6 > SHELL_WORD_BYTES || c < 0x20 || c == 0x7f) {
			memcpy(ret, "FILE", sizeof("FILE"));
			return ret;
		}
		if (c == '\'') {
			memcpy(ret + used, "'\\''", 4);
			used += 4;
		} else {
			ret[used++] = *p;
		}
	}
	if (!plain)
		ret[used++] = '\'';
	ret[used] = '\0';
	return ret;
}
