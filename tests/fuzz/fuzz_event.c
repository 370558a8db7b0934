/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Room events: an event that decodes is built again, by whatever key, to the same body. */

#include "fuzz.h"

#include <assert.h>

#include "group/event.h"

static void
assert_within(struct bytes part, struct bytes whole)
{
	assert(part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of no consequence: only the bodies are compared. */
	static const uint8_t seed[ED25519_SEED_BYTES] = {1};
	struct bytes in = BYTES(data, size);
	struct event event;
	struct sign_key key;
	struct buf again = {0};
	struct digest hash;
	enum chat_err err;

	if (event_decode(in, &event) != CHAT_OK)
		return 0;
	assert(size >= EVENT_WIRE_MIN && size <= EVENT_WIRE_MAX);
	assert(event.type >= EVENT_CREATE && event.type <= EVENT_REKEY);
	assert(bytes_equal(event.wire, in));
	assert_within(event.card_wire, in);
	assert_within(event.peer_card_wire, in);
	if (event.type == EVENT_REKEY)
		assert_within(event.rekey.info_box, in);
	if (event.type == EVENT_CREATE)
		assert(digest_equal(&event.room_id, &event.event_hash));

	sign_key_init(seed, &key);
	err = event_build(&event, &key, &again, &hash);
	assert(err == CHAT_OK);
	assert(digest_equal(&hash, &event.event_hash));
	assert(again.len == size);
	assert(
	    bytes_equal(BYTES(again.data, size - ED25519_SIG_BYTES), BYTES(data, size - ED25519_SIG_BYTES)));
	buf_fini(&again);
	/* Whoever signed it: to look does no harm. */
	if (event_signatures_good(&event, key.pk))
		assert(event_signature_good(&event, key.pk));
	return 0;
}
