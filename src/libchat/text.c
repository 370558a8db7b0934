/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void
text_set(char **ret_text, const char *fmt, ...)
{
	int saved = errno;
	char *text = NULL;
	va_list ap;

	if (!ret_text)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	free(*ret_text);
	*ret_text = text;
	errno = saved;
}
