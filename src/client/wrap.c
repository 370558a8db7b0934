/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/wrap.h"

#include "base/utf8.h"
#include "client/filter.h"

/* How many bytes of `line` go into a row of `room` columns; *ret_skip: the spaces at the break, which are not
 * shown. */
static size_t
row_bytes(struct bytes line, size_t room, size_t *ret_skip)
{
	size_t at = 0, columns = 0, after_space = 0;
	uint32_t c;

	*ret_skip = 0;
	while (at < line.len) {
		size_t n = utf8_decode(BYTES(line.data + at, line.len - at), &c);

		if (n == 0) /* cannot be: it was filtered */
			return line.len;
		columns += filter_char_columns(c);
		if (columns > room)
			break;
		at += n;
		if (c == ' ')
			after_space = at;
	}
	if (at == line.len)
		return at;
	if (line.data[at] == ' ') { /* the word just fits */
		while (at + *ret_skip < line.len && line.data[at + *ret_skip] == ' ')
			(*ret_skip)++;
		return at;
	}
	/* Not for the sake of a space far to the left. */
	if (after_space * 3 > at) {
		size_t shown = after_space;

		while (shown > 0 && line.data[shown - 1] == ' ')
			shown--;
		*ret_skip = after_space - shown;
		if (shown > 0)
			return shown;
		*ret_skip = 0;
	}
	return at;
}

void
wrap_append(struct text *out, struct bytes line, unsigned columns, unsigned indent)
{
	/* The last column stays free: terminals differ in what a character there does. */
	size_t room = columns > 0 ? columns - 1 : 0;
	bool first = true;

	if (columns < WRAP_COLUMNS_MIN || indent > columns / 2) {
		text_bytes(out, line);
		text_char(out, '\n');
		return;
	}
	do {
		size_t skip, n = row_bytes(line, first ? room : room - indent, &skip);

		if (!first)
			text_spaces(out, indent);
		text_bytes(out, BYTES(line.data, n));
		text_char(out, '\n');
		line = BYTES(line.data + n + skip, line.len - n - skip);
		first = false;
	} while (line.len > 0);
}
