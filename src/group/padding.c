/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/padding.h"

#include <assert.h>
#include <string.h>

/* The series 1, 2, 3, 4, 6, 8, 12, ...: powers of two, and halfway between each and the next. */
static size_t
units_next(size_t units)
{
	if (units == 1)
		return 2;
	if ((units & (units - 1)) == 0)
		return units + units / 2;
	return units / 3 * 4;
}

size_t
padded_length(size_t content_bytes, size_t max_units)
{
	const size_t max_bytes = max_units * PADDING_UNIT_BYTES;

	if (max_bytes < PADDING_LENGTH_BYTES || content_bytes > max_bytes - PADDING_LENGTH_BYTES)
		return 0;
	for (size_t units = 1; units <= max_units; units = units_next(units)) {
		if (content_bytes + PADDING_LENGTH_BYTES <= units * PADDING_UNIT_BYTES)
			return units * PADDING_UNIT_BYTES;
	}
	return 0;
}

bool
padded_length_valid(size_t padded_bytes, size_t max_units)
{
	return padded_bytes >= PADDING_UNIT_BYTES &&
	       padded_length(padded_bytes - PADDING_LENGTH_BYTES, max_units) == padded_bytes;
}

void
padding_finish(uint8_t *ret, size_t content_bytes, size_t padded_bytes)
{
	assert(content_bytes <= UINT32_MAX && content_bytes + PADDING_LENGTH_BYTES <= padded_bytes);
	be32_put(ret, (uint32_t)content_bytes);
	memset(ret + PADDING_LENGTH_BYTES + content_bytes, 0,
	    padded_bytes - PADDING_LENGTH_BYTES - content_bytes);
}

enum chat_err
padding_remove(struct bytes padded, size_t max_units, struct bytes *ret_content)
{
	struct reader rd;
	struct bytes content;
	uint8_t other = 0;

	rd_init(&rd, padded);
	content = rd_take(&rd, rd_u32(&rd));
	if (rd.failed || padded_length(content.len, max_units) != padded.len)
		return CHAT_ERR_MALFORMED;
	for (struct bytes zeros = rd_rest(&rd); zeros.len > 0; zeros.len--)
		other |= zeros.data[zeros.len - 1];
	if (other != 0)
		return CHAT_ERR_MALFORMED;
	*ret_content = content;
	return CHAT_OK;
}
