/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/content.h"

#include <string.h>

#include "base/utf8.h"

/* Of protobuf's encoding (protobuf.dev, Encoding): a field is a tag, number << 3 | wire type, and a value. */
enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_LEN = 2,
	WIRE_FIXED32 = 5,
};

#define FIELD_CONTENT_TEXT    1
#define FIELD_ROOM_INFO_NAME  1
#define FIELD_ROOM_INFO_TOPIC 2
#define FIELD_BAG_RSA_KEY     1

#define FIELD_NUMBER_MAX ((1U << 29) - 1)
#define VARINT_MAX_BYTES 10

struct field {
	uint32_t number;
	enum wire_type type;
	struct bytes value; /* borrowed; of WIRE_LEN only */
};

static uint64_t
read_varint(struct reader *rd)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < VARINT_MAX_BYTES; i++) {
		const uint8_t b = rd_u8(rd);

		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if ((b & 0x80) == 0)
			return v;
	}
	rd->failed = true;
	return 0;
}

static struct bytes
read_len(struct reader *rd)
{
	const uint64_t len = read_varint(rd);

	if (len > rd->left) {
		rd->failed = true;
		return BYTES_EMPTY;
	}
	return rd_take(rd, (size_t)len);
}

/* The next field; false at the end and where the bytes are no field (then rd_done() is false). */
static bool
read_field(struct reader *rd, struct field *ret)
{
	uint64_t tag, number;

	if (rd->failed || rd->left == 0)
		return false;
	tag = read_varint(rd);
	number = tag >> 3;
	if (number == 0 || number > FIELD_NUMBER_MAX)
		rd->failed = true;
	*ret = (struct field){.number = (uint32_t)number};
	switch (tag & 7) {
	case WIRE_VARINT:
		ret->type = WIRE_VARINT;
		(void)read_varint(rd);
		break;
	case WIRE_FIXED64:
		ret->type = WIRE_FIXED64;
		(void)rd_u64(rd);
		break;
	case WIRE_LEN:
		ret->type = WIRE_LEN;
		ret->value = read_len(rd);
		break;
	case WIRE_FIXED32:
		ret->type = WIRE_FIXED32;
		(void)rd_u32(rd);
		break;
	default: /* groups, which proto3 does not have, and two that nobody has */
		rd->failed = true;
		break;
	}
	return !rd->failed;
}

static size_t
field_bytes(size_t len)
{
	size_t n = 2; /* the tag of a number below 16, and one byte of length */

	for (size_t left = len >> 7; left > 0; left >>= 7)
		n++;
	return n + len;
}

/* Gives where the next field goes. */
static uint8_t *
write_field(uint8_t *to, uint8_t number, struct bytes value)
{
	size_t left = value.len;

	*to++ = (uint8_t)(number << 3 | WIRE_LEN);
	for (; left >= 0x80; left >>= 7)
		*to++ = (uint8_t)(left | 0x80);
	*to++ = (uint8_t)left;
	if (value.len > 0)
		memcpy(to, value.data, value.len);
	return to + value.len;
}

/* proto3 does not write a single field that has its default value. */
static size_t
text_bytes(struct bytes text)
{
	return text.len == 0 ? 0 : field_bytes(text.len);
}

static uint8_t *
write_text(uint8_t *to, uint8_t number, struct bytes text)
{
	return text.len == 0 ? to : write_field(to, number, text);
}

size_t
content_encoded_bytes(struct bytes text)
{
	return text_bytes(text);
}

void
content_encode(struct bytes text, uint8_t *ret)
{
	write_text(ret, FIELD_CONTENT_TEXT, text);
}

enum chat_err
content_decode(struct bytes wire, struct bytes *ret_text)
{
	struct reader rd;
	struct field field;
	struct bytes text = BYTES_EMPTY;
	bool known = wire.len == 0;

	rd_init(&rd, wire);
	while (read_field(&rd, &field)) {
		if (field.number == FIELD_CONTENT_TEXT && field.type == WIRE_LEN) {
			text = field.value;
			known = true;
		}
	}
	if (!rd_done(&rd))
		return CHAT_ERR_MALFORMED;
	if (!known)
		return CHAT_ERR_UNSUPPORTED;
	if (!utf8_valid(text))
		return CHAT_ERR_MALFORMED;
	*ret_text = text;
	return CHAT_OK;
}

size_t
room_info_encoded_bytes(const struct room_info *info)
{
	return text_bytes(info->name) + text_bytes(info->topic);
}

void
room_info_encode(const struct room_info *info, uint8_t *ret)
{
	ret = write_text(ret, FIELD_ROOM_INFO_NAME, info->name);
	write_text(ret, FIELD_ROOM_INFO_TOPIC, info->topic);
}

enum chat_err
room_info_decode(struct bytes wire, struct room_info *ret)
{
	struct reader rd;
	struct field field;
	struct room_info info = {.name = BYTES_EMPTY, .topic = BYTES_EMPTY};

	rd_init(&rd, wire);
	while (read_field(&rd, &field)) {
		if (field.type != WIRE_LEN)
			continue;
		if (field.number == FIELD_ROOM_INFO_NAME)
			info.name = field.value;
		else if (field.number == FIELD_ROOM_INFO_TOPIC)
			info.topic = field.value;
	}
	if (!rd_done(&rd) || !utf8_valid(info.name) || !utf8_valid(info.topic))
		return CHAT_ERR_MALFORMED;
	*ret = info;
	return CHAT_OK;
}

size_t
bag_content_encoded_bytes(const struct bytes *keys, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += field_bytes(keys[i].len);
	return n;
}

void
bag_content_encode(const struct bytes *keys, size_t count, uint8_t *ret)
{
	for (size_t i = 0; i < count; i++)
		ret = write_field(ret, FIELD_BAG_RSA_KEY, keys[i]);
}

bool
bag_content_next(struct bytes wire, size_t *at, struct bytes *ret_key)
{
	struct reader rd;
	struct field field;

	if (*at >= wire.len)
		return false;
	rd_init(&rd, BYTES(wire.data + *at, wire.len - *at));
	while (read_field(&rd, &field)) {
		if (field.number == FIELD_BAG_RSA_KEY && field.type == WIRE_LEN) {
			*at = wire.len - rd.left;
			*ret_key = field.value;
			return true;
		}
	}
	*at = wire.len;
	return false;
}

enum chat_err
bag_content_check(struct bytes wire, size_t *ret_count)
{
	struct reader rd;
	struct field field;
	size_t count = 0;

	rd_init(&rd, wire);
	while (read_field(&rd, &field)) {
		if (field.number == FIELD_BAG_RSA_KEY && field.type == WIRE_LEN)
			count++;
	}
	if (!rd_done(&rd))
		return CHAT_ERR_MALFORMED;
	*ret_count = count;
	return CHAT_OK;
}
