/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group_vectors.h"

#include "crypto/hash.h"
#include "group/loghash.h"
#include "group/seal.h"

TEST(an_entry_hash_tells_kind_content_and_signature)
{
	struct digest own = {{1}}, a, b;
	uint8_t sig[ED25519_SIG_BYTES] = {2};

	a = log_entry_hash(ENTRY_EVENT, &own, sig);
	b = log_entry_hash(ENTRY_MESSAGE, &own, sig);
	assert_false(digest_equal(&a, &b));
	sig[63] ^= 1;
	b = log_entry_hash(ENTRY_EVENT, &own, sig);
	assert_false(digest_equal(&a, &b));
	sig[63] ^= 1;
	own.b[31] ^= 1;
	b = log_entry_hash(ENTRY_EVENT, &own, sig);
	assert_false(digest_equal(&a, &b));
}

TEST(a_message_leaves_the_chain_of_events)
{
	struct log_head head = {0}, before;
	struct digest entry = {{1}}, event = {{2}}, want;

	log_head_advance(&head, 1000, &entry, &event);
	assert_int_equal(head.seq, 1);
	want = log_chain_next(&digest_zero, &event);
	assert_true(digest_equal(&head.E, &want));
	before = head;
	log_head_advance(&head, 1001, &entry, NULL);
	assert_int_equal(head.seq, 2);
	assert_true(digest_equal(&head.E, &before.E));
	assert_false(digest_equal(&head.L, &before.L));
	assert_false(log_head_equal(&head, &before));
	log_head_advance(&before, 1001, &entry, NULL);
	assert_true(log_head_equal(&head, &before));
	/* server time counts */
	log_head_advance(&head, 1002, &entry, NULL);
	log_head_advance(&before, 1003, &entry, NULL);
	assert_false(digest_equal(&head.L, &before.L));
}

TEST(a_preimage_is_what_the_head_hashes)
{
	struct log_head head = {.seq = 6, .L = {{1}}, .E = {{2}}};
	struct log_preimage preimage = {
	    .prev_L = head.L, .seq = 7, .server_time_ms = 1234567890123, .entry_hash = {{3}}, .E = head.E};
	struct log_preimage got = {.seq = 77};
	uint8_t wire[LOG_PREIMAGE_BYTES + 1] = {0};
	struct digest hash;

	log_head_advance(&head, 1234567890123, &preimage.entry_hash, NULL);
	hash = log_preimage_hash(&preimage);
	assert_true(digest_equal(&hash, &head.L));
	log_preimage_encode(&preimage, wire);
	assert_err(log_preimage_decode(BYTES(wire, 111), &got), CHAT_ERR_MALFORMED);
	assert_err(log_preimage_decode(BYTES(wire, 113), &got), CHAT_ERR_MALFORMED);
	assert_err(log_preimage_decode(BYTES_EMPTY, &got), CHAT_ERR_MALFORMED);
	assert_int_equal(got.seq, 77);
	assert_ok(log_preimage_decode(BYTES(wire, 112), &got));
	assert_int_equal(got.seq, 7);
	assert_int_equal(got.server_time_ms, 1234567890123);
	assert_true(digest_equal(&got.prev_L, &preimage.prev_L));
	assert_true(digest_equal(&got.entry_hash, &preimage.entry_hash));
	assert_true(digest_equal(&got.E, &preimage.E));
}

/* One entry that was taken: its hashes, and the head behind it. */
static void
check_entry(struct vectors *v, const json_t *want, uint64_t server_time_ms, const struct digest *entry,
    const struct digest *event_hash, struct log_head *head)
{
	struct log_preimage preimage;
	uint8_t again[LOG_PREIMAGE_BYTES];
	struct digest hash;

	vec_assert_bytes(want, "entry_hash", digest_bytes(entry), vec_hex(v, want, "entry_hash"));
	assert_ok(log_preimage_decode(vec_hex(v, want, "preimage"), &preimage));
	assert_int_equal(preimage.seq, vec_u64(want, "seq"));
	assert_int_equal(preimage.server_time_ms, server_time_ms);
	vec_assert_bytes(want, "L before", digest_bytes(&preimage.prev_L), digest_bytes(&head->L));
	log_preimage_encode(&preimage, again);
	vec_assert_bytes(want, "preimage", BYTES_ARRAY(again), vec_hex(v, want, "preimage"));
	hash = log_preimage_hash(&preimage);
	vec_assert_bytes(want, "H(preimage)", digest_bytes(&hash), vec_hex(v, want, "L"));

	log_head_advance(head, server_time_ms, entry, event_hash);
	assert_int_equal(head->seq, vec_u64(want, "seq"));
	vec_assert_bytes(want, "L", digest_bytes(&head->L), vec_hex(v, want, "L"));
	vec_assert_bytes(want, "E", digest_bytes(&head->E), vec_hex(v, want, "E"));
}

TEST(logs_of_published_rooms)
{
	struct vectors v;
	struct vec_count count = {0};
	size_t i, k, e;
	json_t *room, *step, *event;

	vec_open_published(&v, PROTOCOL_VECTORS);
	json_array_foreach(vec_array(v.root, "rooms"), i, room)
	{
		struct log_head head = {0};

		json_array_foreach(vec_array(room, "steps"), k, step)
		{
			const json_t *entries = json_object_get(step, "entries");
			size_t taken = 0;

			if (entries == NULL)
				continue;
			if (vec_has(step, "message")) {
				struct message message;
				struct digest entry;

				assert_ok(message_decode(vec_hex(&v, step, "message"), &message));
				entry = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
				check_entry(&v, json_array_get(entries, taken++),
				    vec_u64(step, "server_time_ms"), &entry, NULL, &head);
			} else {
				json_array_foreach(vec_array(step, "events"), e, event)
				{
					struct bytes wire = vec_hex_value(&v, event);
					size_t body_len = wire.len - ED25519_SIG_BYTES;
					struct digest own =
					    hash_domain_once("event", BYTES(wire.data, body_len));
					struct digest entry =
					    log_entry_hash(ENTRY_EVENT, &own, wire.data + body_len);

					check_entry(&v, json_array_get(entries, taken++),
					    vec_u64(step, "server_time_ms"), &entry, &own, &head);
				}
			}
			assert_int_equal(taken, json_array_size(entries));
			count.accepted += (unsigned)taken;
		}
	}
	vec_count_print("log entries of rooms", &count);
	vec_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_entry_hash_tells_kind_content_and_signature),
	    cmocka_unit_test(a_message_leaves_the_chain_of_events),
	    cmocka_unit_test(a_preimage_is_what_the_head_hashes),
	    cmocka_unit_test(logs_of_published_rooms),
	};

	return cmocka_run_group_tests_name("loghash", tests, NULL, NULL);
}
