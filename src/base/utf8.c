/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/utf8.h"

#include "base/compiler.h"

/* RFC 3629, section 4: a row per range of the first byte, with that of the second; the others are 80..BF. */
static const struct form {
	uint8_t first_min, first_max;
	uint8_t len;
	uint8_t second_min, second_max;
} forms[] = {
    {0x00, 0x7f, 1, 0, 0}, {0xc2, 0xdf, 2, 0x80, 0xbf},       /* C0 and C1 would be overlong */
    {0xe0, 0xe0, 3, 0xa0, 0xbf},                              /* below A0: overlong */
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, /* above 9F: surrogates */
    {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf}, /* below 90: overlong */
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f}, /* above 8F: beyond U+10FFFF */
};

size_t
utf8_decode(struct bytes s, uint32_t *ret_char)
{
	const struct form *form = NULL;
	uint32_t c;

	if (s.len == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (s.data[0] >= forms[i].first_min && s.data[0] <= forms[i].first_max) {
			form = &forms[i];
			break;
		}
	}
	if (!form || form->len > s.len)
		return 0;
	if (form->len == 1) {
		*ret_char = s.data[0];
		return 1;
	}
	if (s.data[1] < form->second_min || s.data[1] > form->second_max)
		return 0;
	/* The first byte of n holds 7 - n bits of the character. */
	c = s.data[0] & (0x7fu >> form->len);
	for (size_t i = 1; i < form->len; i++) {
		if ((s.data[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s.data[i] & 0x3f);
	}
	*ret_char = c;
	return form->len;
}

static struct bytes
skip(struct bytes s, size_t n)
{
	return BYTES(s.data + n, s.len - n);
}

bool
utf8_valid(struct bytes s)
{
	uint32_t c;

	while (s.len > 0) {
		size_t n = utf8_decode(s, &c);

		if (n == 0)
			return false;
		s = skip(s, n);
	}
	return true;
}

size_t
utf8_char_count(struct bytes s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.len; i++)
		count += (s.data[i] & 0xc0) != 0x80;
	return count;
}

bool
utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0x061c ||
	       c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       c == 0xfeff;
}

/* White_Space of the Unicode database, without what utf8_is_control() has. */
static bool
is_space(uint32_t c)
{
	return c == 0x20 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

bool
room_name_valid(struct bytes name)
{
	uint32_t c;
	size_t count = 0;

	while (name.len > 0) {
		size_t n = utf8_decode(name, &c);
		bool at_end = count == 0 || n == name.len;

		if (n == 0 || ++count > ROOM_NAME_MAX_CHARS || utf8_is_control(c) || (at_end && is_space(c)))
			return false;
		name = skip(name, n);
	}
	return count > 0;
}
