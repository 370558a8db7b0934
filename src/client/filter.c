/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/filter.h"

#include <wchar.h>

#include "base/compiler.h"
#include "base/utf8.h"

#define TAB_SPACES 4

struct range {
	uint32_t first, last;
};

/* Besides what utf8_is_control() has: characters that draw nothing or stand for nothing, whoever writes them.
 */
static const struct range never[] = {
    {0x180e, 0x180e},   /* Mongolian vowel separator */
    {0x206a, 0x206f},   /* deprecated format characters */
    {0xfff9, 0xfffb},   /* interlinear annotation */
    {0x1bca0, 0x1bca3}, /* shorthand format controls */
    {0x1d173, 0x1d17a}, /* musical format controls */
    {0xe0000, 0xe001f}, /* tags: the language tag, and unassigned */
    {0xe0080, 0xe00ff}, /* unassigned, ignored where they are drawn */
};

/* Invisible too, but with a job inside a text. */
static const struct range not_in_names[] = {
    {0x00a0, 0x00a0},                                     /* looks like a space */
    {0x00ad, 0x00ad},                                     /* soft hyphen */
    {0x034f, 0x034f},                                     /* combining grapheme joiner */
    {0x115f, 0x1160}, {0x3164, 0x3164}, {0xffa0, 0xffa0}, /* Hangul fillers */
    {0x17b4, 0x17b5},                                     /* Khmer inherent vowels */
    {0x180b, 0x180f},                                     /* Mongolian variation selectors */
    {0x2000, 0x200d},                                     /* spaces of other widths, zero width, joiners */
    {0x202f, 0x202f}, {0x205f, 0x2064}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0xfe00, 0xfe0f},
    {0xe0020, 0xe007f}, /* tags, as in the flags of regions */
    {0xe0100, 0xe01ef}, /* variation selectors */
};

static bool ascii_only;

void
filter_ascii_only(void)
{
	ascii_only = true;
}

static bool
within(const struct range *ranges, size_t count, uint32_t c)
{
	for (size_t i = 0; i < count; i++) {
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	}
	return false;
}

static bool
is_noncharacter(uint32_t c)
{
	return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

static bool
passes(uint32_t c, enum filter_kind kind)
{
	if (c >= 0x20 && c < 0x7f)
		return true;
	if (ascii_only || utf8_is_control(c) || is_noncharacter(c) || within(never, ARRAY_LEN(never), c))
		return false;
	return kind == FILTER_BODY || !within(not_in_names, ARRAY_LEN(not_in_names), c);
}

static void
show(struct text *out, uint32_t c, enum filter_kind kind)
{
	if (c == '\t' && kind == FILTER_BODY)
		text_spaces(out, TAB_SPACES);
	else if (c < 0x20 || c == 0x7f)
		text_printf(out, "^%c", (char)(c ^ 0x40));
	else
		text_printf(out, "<U+%04X>", (unsigned)c);
}

unsigned
filter_char_columns(uint32_t c)
{
	int columns;

	if (c < 0x7f)
		return 1;
	columns = wcwidth((wchar_t)c);
	/* Unknown to the locale, as a new emoji: most of what is still being added is wide. */
	return columns < 0 ? 2 : (unsigned)columns;
}

size_t
filter_columns(struct bytes filtered)
{
	size_t columns = 0, n;
	uint32_t c;

	while ((n = utf8_decode(filtered, &c)) > 0) {
		columns += filter_char_columns(c);
		filtered = BYTES(filtered.data + n, filtered.len - n);
	}
	return columns;
}

/* One character or bad byte from the front of *in.  True: it passes, and is the n bytes at the old front. */
static bool
next(struct bytes *in, enum filter_kind kind, unsigned *marks, uint32_t *ret_char, size_t *ret_n)
{
	*ret_n = utf8_decode(*in, ret_char);
	if (*ret_n == 0)
		return false;
	*marks = *ret_char >= 0x300 && filter_char_columns(*ret_char) == 0 ? *marks + 1 : 0;
	return passes(*ret_char, kind) && *marks <= FILTER_MARKS_MAX;
}

void
filter_append(struct text *out, struct bytes in, enum filter_kind kind)
{
	unsigned marks = 0;

	while (in.len > 0) {
		uint32_t c = 0;
		size_t n;

		if (next(&in, kind, &marks, &c, &n)) {
			text_bytes(out, BYTES(in.data, n));
		} else if (n == 0) {
			text_printf(out, "<%02X>", in.data[0]);
			n = 1;
		} else {
			show(out, c, kind);
		}
		in = BYTES(in.data + n, in.len - n);
	}
}

bool
filter_clean(struct bytes in, enum filter_kind kind)
{
	unsigned marks = 0;
	uint32_t c;
	size_t n;

	while (in.len > 0) {
		if (!next(&in, kind, &marks, &c, &n))
			return false;
		in = BYTES(in.data + n, in.len - n);
	}
	return true;
}
