/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sealed messages and re-wraps as they come from the server, and, in the same input, what a message holds
 * when it was opened: padding and protobuf, which the sender chooses. */

#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "group/content.h"
#include "group/padding.h"
#include "group/seal.h"

static void
message(struct bytes wire)
{
	static const struct epoch_key key;
	/* Of RFC 8032, 7.1, test 1; not of small order, which no card may have. */
	static const uint8_t pk[ED25519_PK_BYTES] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5,
	    0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf,
	    0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
	struct message m;
	struct buf plain = {0};
	struct bytes content;
	uint8_t header[MESSAGE_HEADER_BYTES];

	if (message_decode(wire, &m) != CHAT_OK)
		return;
	assert(wire.len <= MESSAGE_MAX_BYTES);
	assert(m.header_wire.len + m.salt.len + m.ct.len + m.sig.len == wire.len);
	assert(m.header_wire.data == wire.data && m.sig.data + m.sig.len == wire.data + wire.len);
	assert(padded_length_valid(m.ct.len - AEAD_TAG_BYTES, PADDING_MESSAGE_UNITS));
	message_header_encode(&m.header, header);
	assert(bytes_equal(BYTES_ARRAY(header), m.header_wire));
	assert(message_open(&key, &m, &plain, &content) == CHAT_ERR_CANNOT_OPEN);
	assert(!message_signature_good(&m, pk));
	buf_fini_secret(&plain);
}

static void
opened(struct bytes padded)
{
	struct bytes content, text;
	struct room_info info;

	if (padding_remove(padded, PADDING_MESSAGE_UNITS, &content) == CHAT_OK)
		assert(padded_length(content.len, PADDING_MESSAGE_UNITS) == padded.len);
	else
		content = padded;
	if (content_decode(content, &text) == CHAT_OK)
		assert(utf8_valid(text) && text.len <= content.len);
	if (room_info_decode(content, &info) == CHAT_OK)
		assert(utf8_valid(info.name) && utf8_valid(info.topic));
}

/* The keys of a bag: as many as were counted, all within. */
static void
bag(struct bytes wire)
{
	size_t count, at = 0;
	struct bytes key;

	if (bag_content_check(wire, &count) != CHAT_OK)
		return;
	while (bag_content_next(wire, &at, &key)) {
		assert(count-- > 0);
		assert(key.len == 0 || (key.data >= wire.data && key.data + key.len <= wire.data + wire.len));
	}
	assert(count == 0);
}

static void
rewrap(struct bytes wire)
{
	struct rewrap r;

	if (rewrap_decode(wire, &r) == CHAT_OK)
		assert(wire.len == REWRAP_BYTES && wire.data[0] == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = BYTES(data, size);

	message(in);
	opened(in);
	bag(in);
	rewrap(in);
	return 0;
}
