/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/digest.h"

#include <string.h>

const struct digest digest_zero;

bool
digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

bool
digest_is_zero(const struct digest *d)
{
	return digest_equal(d, &digest_zero);
}

int
digest_compare(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, DIGEST_BYTES);
}

struct bytes
digest_bytes(const struct digest *d)
{
	return BYTES(d->b, DIGEST_BYTES);
}

void
digest_hex(const struct digest *d, char ret[static DIGEST_HEX_CHARS + 1])
{
	hex_encode(digest_bytes(d), ret);
}

bool
digest_from_bytes(struct bytes b, struct digest *ret)
{
	if (b.len != DIGEST_BYTES)
		return false;
	memcpy(ret->b, b.data, DIGEST_BYTES);
	return true;
}

void
hex_encode(struct bytes b, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < b.len; i++) {
		*ret++ = digits[b.data[i] >> 4];
		*ret++ = digits[b.data[i] & 15];
	}
	*ret = '\0';
}

/* -1 for anything else, also for the NUL: so a short string ends the loop below. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
hex_decode(const char *hex, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(hex[2 * i]);
		int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return hex[2 * n] == '\0';
}
