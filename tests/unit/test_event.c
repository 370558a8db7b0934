/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/event.h"

#include "unit.h"

#include "room_kit.h"
#include "vectors.h"

/*
 * --- the published vectors ---
 */

static enum chat_err
decode_and_verify(struct bytes wire, const uint8_t pk[static ED25519_PK_BYTES], struct event *ret)
{
	enum chat_err err = event_decode(wire, ret);

	if (err != CHAT_OK)
		return err;
	return event_signature_good(ret, pk) ? CHAT_OK : CHAT_ERR_BAD_SIGNATURE;
}

static void
check_valid(struct vectors *v, const json_t *test, const struct event *event)
{
	struct digest room_id = vec_digest(test, "room_id"), hash = vec_digest(test, "event_hash");
	struct digest actor = vec_digest(test, "actor"), after = vec_digest(test, "after");
	struct digest seen_hash = vec_digest(test, "seen_hash"), entry = vec_digest(test, "entry_hash");
	struct digest our_entry = log_entry_hash(ENTRY_EVENT, &event->event_hash, event->sig);
	struct bytes payload = BYTES(event->wire.data + EVENT_HEADER_BYTES, event->wire.len - EVENT_WIRE_MIN);

	assert_int_equal(event->type, vec_u64(test, "type"));
	assert_true(digest_equal(&event->room_id, &room_id));
	assert_true(digest_equal(&event->event_hash, &hash));
	assert_true(digest_equal(&event->actor, &actor));
	assert_true(digest_equal(&event->after, &after));
	assert_int_equal(event->seen_seq, vec_u64(test, "seen_seq"));
	assert_true(digest_equal(&event->seen_hash, &seen_hash));
	assert_int_equal(event->time_ms, vec_u64(test, "time_ms"));
	assert_true(digest_equal(&our_entry, &entry));
	vec_assert_bytes(test, "payload", payload, vec_hex(v, test, "payload"));
}

TEST(protocol_vectors)
{
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open_published(&v, "protocol-v1.json");
	json_array_foreach(vec_array(v.root, "event"), i, test)
	{
		struct bytes wire = vec_hex(&v, test, "event"), pk = vec_hex(&v, test, "ed_pk");
		struct event event;
		enum chat_err err = decode_and_verify(wire, pk.data, &event);

		if (strcmp(chat_err_name(err), vec_str(test, "result")) != 0)
			fail_msg("case %zu, %s: got %s, want %s", i, vec_str(test, "comment"),
			    chat_err_name(err), vec_str(test, "result"));
		if (err == CHAT_OK) {
			check_valid(&v, test, &event);
			count.accepted++;
		} else
			count.refused++;
	}
	vec_count_print("event", &count);
	assert_true(count.accepted >= 10 && count.refused >= 50);
	vec_close(&v);
}

/*
 * --- our own ---
 */

static const enum event_type all_types[] = {EVENT_CREATE, EVENT_INVITE, EVENT_JOIN, EVENT_DECLINE,
    EVENT_LEAVE, EVENT_KICK, EVENT_ROLE, EVENT_SETTINGS, EVENT_CARD, EVENT_REKEY};

TEST(what_was_built_is_read)
{
	struct buf into = {0};
	struct event again;
	struct digest hash;

	for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
		struct event draft = kit_event(room, all_types[i], &alice, &erin);
		struct built built;

		draft.time_ms = UINT64_MAX;
		built_init(&built, &draft, &alice);
		assert_int_equal(built.event.type, all_types[i]);
		assert_true(digest_equal(&built.event.actor, person_id(&alice)));
		assert_true(digest_equal(&built.event.after, &draft.after));
		assert_int_equal(built.event.seen_seq, draft.seen_seq);
		assert_int_equal(built.event.time_ms, UINT64_MAX);
		assert_bytes_equal(built.event.card_wire, draft.card_wire);
		assert_bytes_equal(built.event.peer_card_wire, draft.peer_card_wire);
		assert_true(event_signatures_good(&built.event, alice.identity.sign.pk));
		assert_false(event_signatures_good(&built.event, bob.identity.sign.pk));
		assert_string_not_equal(event_type_name(all_types[i]), "unknown");
		built_fini(&built);
		assert_ok(event_build(&draft, &alice.identity.sign, &into, &hash));
		assert_ok(event_decode(buf_bytes(&into), &again));
		assert_true(digest_equal(&again.event_hash, &hash));
		buf_clear(&into);
	}
	buf_fini(&into);
	assert_string_equal(event_type_name((enum event_type)11), "unknown");
}

TEST(payloads_come_back)
{
	struct event draft = kit_draft(room, EVENT_SETTINGS, &alice, NULL);
	struct built built;

	draft.settings.invite_policy = INVITE_MODERATORS;
	draft.settings.history_policy = HISTORY_ALL;
	draft.settings.keep_days = UINT32_MAX;
	draft.settings.keep_entries = UINT64_MAX;
	built_init(&built, &draft, &alice);
	assert_int_equal(built.event.settings.invite_policy, INVITE_MODERATORS);
	assert_int_equal(built.event.settings.history_policy, HISTORY_ALL);
	assert_int_equal(built.event.settings.keep_days, UINT32_MAX);
	assert_int_equal(built.event.settings.keep_entries, UINT64_MAX);
	built_fini(&built);

	draft = kit_event(room, EVENT_KICK, &alice, &bob);
	draft.kick.reason_code = 255;
	built_init(&built, &draft, &alice);
	assert_true(digest_equal(&built.event.kick.target, person_id(&bob)));
	assert_int_equal(built.event.kick.reason_code, 255);
	built_fini(&built);
}

/* Every length but the right one is malformed; each wire lies in memory of its own size. */
TEST(truncated_anywhere)
{
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
		struct event draft = kit_event(room, all_types[i], &alice, &erin);
		struct built built;

		built_init(&built, &draft, &alice);
		for (size_t len = 0; len < built.wire.len; len++) {
			uint8_t *copy = malloc(len > 0 ? len : 1);
			struct event event;

			assert_non_null(copy);
			memcpy(copy, built.wire.data, len);
			assert_err(event_decode(BYTES(copy, len), &event), CHAT_ERR_MALFORMED);
			free(copy);
		}
		built_fini(&built);
	}
}

/* No bit can change without being noticed. */
TEST(flipped_anywhere)
{
	for (size_t i = 0; i < ARRAY_LEN(all_types); i++) {
		struct event draft = kit_event(room, all_types[i], &alice, &erin);
		struct built built;
		struct event event;

		built_init(&built, &draft, &alice);
		for (size_t at = 0; at < built.wire.len; at += 7) {
			built.wire.data[at] ^= 0x10;
			if (event_decode(buf_bytes(&built.wire), &event) == CHAT_OK)
				assert_false(event_signature_good(&event, alice.identity.sign.pk));
			built.wire.data[at] ^= 0x10;
		}
		built_fini(&built);
	}
}

TEST(largest)
{
	struct event draft = kit_event(room, EVENT_REKEY, &alice, NULL);
	uint8_t box[INFO_BOX_MAX_BYTES] = {0};
	struct built built;

	draft.rekey.info_box = BYTES_ARRAY(box);
	built_init(&built, &draft, &alice);
	assert_int_equal(built.wire.len, EVENT_WIRE_MAX);
	assert_int_equal(built.event.rekey.info_box.len, sizeof(box));
	built_fini(&built);
}

TEST(what_does_not_fit_is_not_built)
{
	static const uint8_t much[70000];
	struct buf into = {0};
	struct event draft;

#define REFUSED() assert_err(event_build(&draft, &alice.identity.sign, &into, NULL), CHAT_ERR_INVALID)
	draft = kit_event(room, EVENT_REKEY, &alice, NULL);
	draft.rekey.info_box.len = 79;
	REFUSED();
	draft.rekey.info_box = BYTES_ARRAY(much);
	REFUSED();
	draft = kit_event(room, EVENT_INVITE, &alice, &bob);
	draft.card_wire.len--;
	REFUSED();
	draft.card_wire = BYTES_EMPTY;
	REFUSED();
	draft = kit_event(room, EVENT_ROLE, &alice, &bob);
	draft.role.role = (enum member_role)4;
	REFUSED();
	draft.type = (enum event_type)11;
	REFUSED();
	draft = kit_create(&alice, &bob);
	draft.peer_card_wire = BYTES_EMPTY;
	REFUSED();
#undef REFUSED
	assert_int_equal(into.len, 0);
	buf_fini(&into);
}

/* A create has no room, after or seen of its own, whatever the draft says; its room is its hash. */
TEST(create_names_itself)
{
	struct event draft = kit_create(&alice, NULL);
	struct built built;

	draft.room_id = draft.after = draft.seen_hash = *person_id(&bob);
	draft.seen_seq = 7;
	built_init(&built, &draft, &alice);
	assert_true(digest_equal(&built.event.room_id, &built.event.event_hash));
	assert_true(digest_is_zero(&built.event.after));
	assert_int_equal(built.event.seen_seq, 0);
	built_fini(&built);
}

/* The carried card's own signature counts, and the peer's. */
TEST(signatures_of_cards)
{
	struct event draft = kit_create(&alice, &bob);
	uint8_t card[CARD_MAX_BYTES];
	struct built built;

	memcpy(card, person_card(&bob).data, person_card(&bob).len);
	card[person_card(&bob).len - 1] ^= 1;
	draft.peer_card_wire = BYTES(card, person_card(&bob).len);
	built_init(&built, &draft, &alice);
	assert_true(event_signature_good(&built.event, alice.identity.sign.pk));
	assert_false(event_signatures_good(&built.event, alice.identity.sign.pk));
	built_fini(&built);

	draft = kit_event(room, EVENT_INVITE, &alice, &bob);
	draft.card_wire = BYTES(card, person_card(&bob).len);
	built_init(&built, &draft, &alice);
	assert_true(event_signature_good(&built.event, alice.identity.sign.pk));
	assert_false(event_signatures_good(&built.event, alice.identity.sign.pk));
	built_fini(&built);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(protocol_vectors),
	    KIT_TEST(what_was_built_is_read),
	    KIT_TEST(payloads_come_back),
	    KIT_TEST(truncated_anywhere),
	    KIT_TEST(flipped_anywhere),
	    KIT_TEST(largest),
	    KIT_TEST(what_does_not_fit_is_not_built),
	    KIT_TEST(create_names_itself),
	    KIT_TEST(signatures_of_cards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
