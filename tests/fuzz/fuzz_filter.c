/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What others wrote, on its way to a terminal: the filter, and the breaking of lines.  The input is a text. */

#include "fuzz.h"

#include <assert.h>
#include <locale.h>
#include <string.h>

#include "base/utf8.h"
#include "client/filter.h"
#include "client/wrap.h"

static void
check_harmless(struct bytes out)
{
	uint32_t c;

	assert(utf8_valid(out));
	while (out.len > 0) {
		size_t n = utf8_decode(out, &c);

		assert(!utf8_is_control(c));
		out = BYTES(out.data + n, out.len - n);
	}
}

/* No row but the first begins in the first column or is too wide, and nothing but spaces gets lost. */
static void
check_rows(struct bytes line, unsigned columns)
{
	struct text rows = {0};
	struct bytes left;
	size_t shown = 0, had = 0;

	wrap_append(&rows, line, columns, 8);
	assert(!rows.failed && rows.buf.len > 0 && rows.buf.data[rows.buf.len - 1] == '\n');
	left = buf_bytes(&rows.buf);
	while (left.len > 0) {
		const uint8_t *nl = memchr(left.data, '\n', left.len);
		struct bytes row = BYTES(left.data, (size_t)(nl - left.data));

		assert(left.data == rows.buf.data || (row.len >= 8 && memcmp(row.data, "        ", 8) == 0));
		assert(filter_columns(row) < columns);
		for (size_t i = 0; i < row.len; i++)
			shown += row.data[i] != ' ';
		left = BYTES(nl + 1, left.len - row.len - 1);
	}
	for (size_t i = 0; i < line.len; i++)
		had += line.data[i] != ' ';
	assert(shown == had);
	text_fini(&rows);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = BYTES(data, size);

	setlocale(LC_CTYPE, "C.UTF-8");
	for (enum filter_kind kind = FILTER_BODY; kind <= FILTER_NAME; kind++) {
		struct text once = {0};

		filter_append(&once, in, kind);
		assert(!once.failed);
		check_harmless(buf_bytes(&once.buf));
		assert(filter_clean(buf_bytes(&once.buf), kind));
		assert(filter_clean(in, kind) == bytes_equal(in, buf_bytes(&once.buf)));
		check_rows(buf_bytes(&once.buf), 20);
		check_rows(buf_bytes(&once.buf), 80);
		text_fini(&once);
	}
	return 0;
}
