/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster.h"

#include "unit.h"

#include "room_kit.h"

/* The rules at their edges, in the kit's room. */

/*
 * --- the order of refusals ---
 */

/* Everything is wrong with it; mended from the front, each mend shows the next refusal. */
TEST(order_of_refusals)
{
	struct roster_wraps wraps = {.staged = false, .count = 4};
	struct event draft = kit_event(room, EVENT_REKEY, &bob, NULL);
	struct digest after = draft.after;
	struct roster_refusal refusal;
	struct roster_post post = {.poster = person_id(&alice), .wraps = &wraps};
	struct built built;
	char *before = roster_dump(room);

#define ANSWERS(expected)                                                                                    \
	do {                                                                                                 \
		built_init(&built, &draft, &bob);                                                            \
		post.event = &built.event;                                                                   \
		refusal.err = CHAT_OK;                                                                       \
		assert_err(roster_judge_event(room, &post, &refusal), (expected));                           \
		assert_int_equal(refusal.err, (expected));                                                   \
		assert_err(roster_judge_event(room, &post, NULL), (expected));                               \
		assert_err(roster_post_event(room, &post, NULL, NULL), (expected));                          \
		refusal.err = CHAT_OK;                                                                       \
		assert_err(roster_post_event(room, &post, NULL, &refusal), (expected));                      \
		assert_int_equal(refusal.err, (expected));                                                   \
		assert_int_equal(refusal.has_current, (expected) == CHAT_ERR_CONFLICT);                      \
		assert_int_equal(refusal.index, 0);                                                          \
		assert_roster_is(room, before);                                                              \
		built_fini(&built);                                                                          \
	} while (0)

	draft.room_id = draft.after = *person_id(&alice);
	draft.actor = *person_id(&erin);
	draft.rekey.epoch = 7;
	draft.seen_seq = roster_state(room)->head.seq + 1;
	ANSWERS(CHAT_ERR_NO_ROOM);
	draft.room_id = roster_state(room)->room_id;
	ANSWERS(CHAT_ERR_CONFLICT);
	assert_true(digest_equal(&refusal.current, &after));
	draft.after = after;
	ANSWERS(CHAT_ERR_NOT_ALLOWED); /* an unknown actor */
	assert_string_equal(refusal.why, "unknown actor");
	draft.actor = *person_id(&bob);
	ANSWERS(CHAT_ERR_NOT_ALLOWED); /* another's event */
	assert_string_equal(refusal.why, "another's event");
	post.poster = person_id(&bob);
	ANSWERS(CHAT_ERR_BAD_SIGNATURE);
	post.signatures_good = true;
	ANSWERS(CHAT_ERR_NOT_ALLOWED); /* not the next epoch */
	draft.rekey.epoch = 2;
	ANSWERS(CHAT_ERR_BAD_SEEN);
	draft.seen_seq--;
	ANSWERS(CHAT_ERR_BAD_WRAPS);
	wraps.staged = true;
	wraps.count = 3;
	ANSWERS(CHAT_ERR_BAD_WRAPS);
	wraps.count = 5;
	ANSWERS(CHAT_ERR_BAD_WRAPS);
	wraps.count = 4;
#undef ANSWERS
	built_init(&built, &draft, &bob);
	post.event = &built.event;
	assert_ok(roster_judge_event(room, &post, &refusal));
	assert_roster_is(room, before);
	assert_ok(roster_post_event(room, &post, NULL, &refusal));
	built_fini(&built);
	free(before);
}

TEST(unpublished_card)
{
	struct event draft = kit_event(room, EVENT_INVITE, &alice, &erin);
	struct roster_post post = {.signatures_good = true, .cards_unpublished = true};
	struct roster *other = roster_new(&kit_realm, false);
	struct roster_refusal refusal;
	struct built built;

	assert_non_null(other);
	built_init(&built, &draft, &alice);
	post.event = &built.event;
	assert_err(roster_post_event(room, &post, NULL, &refusal), CHAT_ERR_CONFLICT);
	assert_false(refusal.has_current);
	post.cards_unpublished = false;
	assert_ok(roster_post_event(room, &post, NULL, &refusal));
	built_fini(&built);

	draft = kit_create(&alice, NULL);
	built_init(&built, &draft, &alice);
	post.event = &built.event;
	post.cards_unpublished = true;
	assert_err(roster_post_event(other, &post, NULL, &refusal), CHAT_ERR_CONFLICT);
	built_fini(&built);
	roster_free(other);

	/* A card event publishes nothing and joins carry none. */
	draft = kit_event(room, EVENT_JOIN, &dave, NULL);
	built_init(&built, &draft, &dave);
	post.event = &built.event;
	assert_ok(roster_post_event(room, &post, NULL, &refusal));
	built_fini(&built);
}

TEST(create)
{
	struct realm elsewhere = {{9}};
	struct event draft = kit_create(&alice, NULL);
	struct roster *other = roster_new(&kit_realm, false);
	struct roster_change change;
	struct person stranger;

	assert_non_null(other);
	assert_err(kit_do(other, EVENT_JOIN, &alice, NULL), CHAT_ERR_NO_ROOM);
	assert_err(kit_say(other, &alice, NULL), CHAT_ERR_NOT_ALLOWED);
	assert_err(kit_post(room, &draft, &alice, NULL, NULL), CHAT_ERR_ALREADY);
	draft.create.nonce[0] ^= 1;
	assert_err(kit_post(room, &draft, &alice, NULL, NULL), CHAT_ERR_NO_ROOM);
	draft.actor = *person_id(&bob);
	assert_err(kit_post(other, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft = kit_create(&alice, NULL);
	draft.create.realm = elsewhere;
	assert_err(kit_post(other, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	person_init_at(&stranger, "alice", 9, &elsewhere);
	draft = kit_create(&stranger, NULL);
	draft.create.realm = kit_realm;
	assert_err(kit_post(other, &draft, &stranger, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft = kit_create(&alice, &stranger);
	assert_err(kit_post(other, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft = kit_create(&alice, &alice);
	assert_err(kit_post(other, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	person_rotate(&carol, true);
	draft = kit_create(&carol, NULL);
	assert_err(kit_post(other, &draft, &carol, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft = kit_create(&alice, &carol);
	assert_err(kit_post(other, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);

	draft = kit_create(&alice, NULL);
	draft.create.invite_policy = INVITE_MODERATORS;
	draft.create.history_policy = HISTORY_ALL;
	assert_ok(kit_post(other, &draft, &alice, &change, NULL));
	assert_int_equal(roster_state(other)->invite_policy, INVITE_MODERATORS);
	assert_int_equal(roster_state(other)->history_policy, HISTORY_ALL);
	assert_true(roster_needs_rekey(other));
	assert_true(change.member_new && change.member == change.actor && change.peer == NULL);
	assert_ok(kit_do(other, EVENT_INVITE, &alice, &bob));
	assert_null(roster_peer(other, person_id(&alice))); /* two in a group are no pair */
	assert_int_equal(change.old_state, MEMBER_OUT);
	assert_int_equal(change.old_role, ROLE_MEMBER);
	assert_int_equal(change.new_state, MEMBER_JOINED);
	assert_int_equal(change.new_role, ROLE_OWNER);
	roster_free(other);
	person_fini(&stranger);
}

/*
 * --- who may ---
 */

/* What those may who are not joined: an invitee answers and changes its card, a stranger nothing. */
TEST(not_joined)
{
	refused(EVENT_INVITE, &dave, &erin);
	refused(EVENT_LEAVE, &dave, NULL);
	refused(EVENT_KICK, &dave, &bob);
	refused(EVENT_ROLE, &dave, &bob);
	refused(EVENT_SETTINGS, &dave, NULL);
	refused(EVENT_REKEY, &dave, NULL);
	for (int type = EVENT_INVITE; type <= EVENT_REKEY; type++)
		refused((enum event_type)type, &erin, NULL);
	refused(EVENT_KICK, &erin, &bob);
	person_rotate(&dave, false);
	assert_ok(kit_do(room, EVENT_CARD, &dave, NULL));
	assert_ok(kit_do(room, EVENT_JOIN, &dave, NULL));
	refused(EVENT_JOIN, &dave, NULL);
	refused(EVENT_DECLINE, &dave, NULL);
}

TEST(invite_policy)
{
	assert_ok(kit_do(room, EVENT_INVITE, &bob, &erin));
	assert_ok(set_policies(&alice, INVITE_MODERATORS, HISTORY_FROM_INVITATION));
	refused(EVENT_INVITE, &bob, &frank);
	assert_ok(set_role(&alice, &bob, ROLE_MODERATOR));
	assert_ok(kit_do(room, EVENT_INVITE, &bob, &frank));
	refused(EVENT_INVITE, &alice, &frank); /* twice */
	refused(EVENT_INVITE, &alice, &bob);
	refused(EVENT_INVITE, &alice, &alice);
}

TEST(invite_by_which_card)
{
	struct event draft;

	person_rotate(&bob, false);
	assert_ok(kit_do(room, EVENT_CARD, &bob, NULL));
	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	draft = kit_event(room, EVENT_INVITE, &alice, &bob);
	draft.card_wire = buf_bytes(&bob.cards[0]); /* an older one */
	assert_err(kit_post(room, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &bob)); /* the one in the chain */
	assert_ok(kit_do(room, EVENT_DECLINE, &bob, NULL));
	/* Two changes happened while bob was out. */
	person_rotate(&bob, false);
	person_rotate(&bob, false);
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &bob));
	assert_int_equal(the(&bob)->serial, 4);
	assert_memory_equal(member_rsa_n(the(&bob)),
	    the(&bob)->card.data + the(&bob)->card.len - ED25519_SIG_BYTES - 8 - RSA_BYTES, RSA_BYTES);
	assert_bytes_equal(the(&bob)->card, person_card(&bob));
}

TEST(card_must_follow)
{
	struct event draft;

	person_rotate(&bob, false);
	person_rotate(&bob, false);
	refused(EVENT_CARD, &bob, NULL); /* skips one */
	draft = kit_event(room, EVENT_CARD, &bob, NULL);
	draft.card_wire = buf_bytes(&bob.cards[0]); /* the same again */
	assert_err(kit_post(room, &draft, &bob, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.card_wire = buf_bytes(&bob.cards[1]);
	draft.actor = *person_id(&carol); /* another's */
	draft.after = the(&carol)->after;
	assert_err(kit_post(room, &draft, &carol, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.actor = *person_id(&bob);
	draft.after = the(&bob)->after;
	assert_ok(kit_post(room, &draft, &bob, NULL, NULL));
	assert_ok(kit_do(room, EVENT_CARD, &bob, NULL));
	assert_int_equal(the(&bob)->serial, 3);
}

/* The signer's last card with another serial and predecessor, well signed all the same. */
static struct bytes
forge_card(const struct person *signer, uint32_t serial, const struct digest *prev_card, uint8_t *ret)
{
	struct bytes card = person_card(signer);
	size_t at = 3 + REALM_BYTES + 1 + signer->identity.account.len + ED25519_PK_BYTES;
	struct bytes body = BYTES(ret, card.len - ED25519_SIG_BYTES);

	memcpy(ret, card.data, card.len);
	be32_put(ret + at, serial);
	memcpy(ret + at + 4, prev_card->b, DIGEST_BYTES);
	ed25519_sign(signer->identity.sign.seed, signer->identity.sign.pk, "card", body, ret + body.len);
	return BYTES(ret, card.len);
}

TEST(card_must_follow_in_everything)
{
	const struct digest *prev = &the(&bob)->card_hash;
	struct event draft = kit_event(room, EVENT_CARD, &bob, NULL);
	uint8_t card[CARD_MAX_BYTES];

	person_rotate(&bob, false);
	draft.card_wire = forge_card(&bob, 3, prev, card);
	assert_err(kit_post(room, &draft, &bob, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.card_wire = forge_card(&bob, 2, person_id(&bob), card);
	assert_err(kit_post(room, &draft, &bob, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	/* A card of carol's that claims to follow bob's. */
	draft.card_wire = forge_card(&carol, 2, prev, card);
	assert_err(kit_post(room, &draft, &bob, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.card_wire = forge_card(&bob, 2, prev, card);
	assert_ok(kit_post(room, &draft, &bob, NULL, NULL));
	/* To invite, the same serial with other bytes will not do, a higher one will, whatever it follows. */
	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	draft = kit_event(room, EVENT_INVITE, &alice, &bob);
	draft.card_wire = forge_card(&bob, 2, person_id(&bob), card);
	assert_err(kit_post(room, &draft, &alice, NULL, NULL), CHAT_ERR_NOT_ALLOWED);
	draft.card_wire = forge_card(&bob, 3, person_id(&bob), card);
	assert_ok(kit_post(room, &draft, &alice, NULL, NULL));
}

TEST(retired_card)
{
	struct event draft = kit_event(room, EVENT_CARD, &alice, NULL);
	struct roster_change change;

	person_rotate(&alice, true);
	draft.card_wire = person_card(&alice);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL)); /* the only owner, and others remain */
	assert_true(change.retired && change.card_changed && change.closed && !change.over);
	assert_int_equal(change.old_state, MEMBER_JOINED);
	assert_int_equal(change.old_role, ROLE_OWNER);
	assert_int_equal(change.new_state, MEMBER_OUT);
	assert_int_equal(roster_state(room)->owner_count, 0);
	refused(EVENT_INVITE, &bob, &alice);
	refused(EVENT_CARD, &alice, NULL);
	kit_rekey(room, &bob);
	/* An invitee may retire too, and so declines for ever. */
	person_rotate(&dave, true);
	assert_ok(kit_do(room, EVENT_CARD, &dave, NULL));
	refused(EVENT_JOIN, &dave, NULL);
	refused(EVENT_INVITE, &bob, &dave);
	/* One whose retired card was never here. */
	person_rotate(&erin, true);
	refused(EVENT_INVITE, &bob, &erin);
}

TEST(moderators)
{
	assert_ok(set_role(&alice, &bob, ROLE_MODERATOR));
	refused(EVENT_KICK, &carol, &dave);
	refused(EVENT_KICK, &bob, &alice);
	refused(EVENT_KICK, &bob, &bob);
	refused(EVENT_KICK, &bob, &erin);
	refused(EVENT_ROLE, &bob, &carol);
	assert_ok(kit_do(room, EVENT_KICK, &bob, &dave)); /* an invitee: the invitation is withdrawn */
	refused(EVENT_KICK, &bob, &dave);
	assert_ok(set_role(&alice, &carol, ROLE_MODERATOR));
	refused(EVENT_KICK, &bob, &carol);
	assert_ok(kit_do(room, EVENT_KICK, &alice, &carol));
	/* The next stay begins as member. */
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &carol));
	assert_ok(kit_do(room, EVENT_JOIN, &carol, NULL));
	assert_int_equal(the(&carol)->role, ROLE_MEMBER);
}

TEST(only_owner)
{
	assert_err(set_role(&alice, &alice, ROLE_MEMBER), CHAT_ERR_NOT_ALLOWED);
	refused(EVENT_LEAVE, &alice, NULL);
	refused(EVENT_ROLE, &alice, &dave);  /* an invitee */
	refused(EVENT_ROLE, &alice, &alice); /* the role it has */
	assert_ok(set_role(&alice, &bob, ROLE_OWNER));
	assert_ok(kit_do(room, EVENT_LEAVE, &alice, NULL));
	refused(EVENT_LEAVE, &bob, NULL);
	assert_ok(kit_do(room, EVENT_LEAVE, &carol, NULL));
	refused(EVENT_LEAVE, &bob, NULL); /* an invitee is left */
	assert_ok(kit_do(room, EVENT_DECLINE, &dave, NULL));
	assert_false(roster_state(room)->over);
	assert_ok(kit_do(room, EVENT_LEAVE, &bob, NULL));
	assert_true(roster_state(room)->over);
	assert_false(roster_needs_rekey(room));
	for (size_t i = 0; i < ARRAY_LEN(people); i++) {
		for (int type = EVENT_INVITE; type <= EVENT_REKEY; type++)
			refused((enum event_type)type, people[i], NULL);
		refused(EVENT_INVITE, people[i], &frank);
		refused(EVENT_KICK, people[i], &carol);
	}
}

TEST(later_owners)
{
	assert_ok(set_role(&alice, &bob, ROLE_OWNER));
	assert_ok(set_role(&bob, &carol, ROLE_OWNER));
	refused(EVENT_KICK, &carol, &bob);
	refused(EVENT_KICK, &bob, &alice);
	assert_err(set_role(&carol, &bob, ROLE_MEMBER), CHAT_ERR_NOT_ALLOWED);
	assert_err(set_role(&bob, &alice, ROLE_MEMBER), CHAT_ERR_NOT_ALLOWED);
	/* Who is made owner once more is a later one. */
	assert_ok(set_role(&alice, &bob, ROLE_MODERATOR));
	assert_int_equal(the(&bob)->owner_since, 0);
	assert_ok(set_role(&carol, &bob, ROLE_OWNER));
	assert_true(the(&bob)->owner_since > the(&carol)->owner_since);
	assert_ok(kit_do(room, EVENT_KICK, &carol, &bob));
	assert_ok(set_role(&carol, &carol, ROLE_MEMBER)); /* not the only one */
	assert_err(set_role(&alice, &alice, ROLE_MODERATOR), CHAT_ERR_NOT_ALLOWED);
}

TEST(settings)
{
	struct event draft = kit_event(room, EVENT_SETTINGS, &alice, NULL);
	struct roster_change change;

	refused(EVENT_SETTINGS, &bob, NULL);
	draft.settings.keep_days = 30;
	draft.settings.keep_entries = UINT64_MAX;
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(!change.closed && !change.policies_changed && change.member == NULL);
	assert_int_equal(roster_state(room)->keep_days, 30);
	assert_int_equal(roster_state(room)->keep_entries, UINT64_MAX);
	assert_true(roster_state(room)->open);
	assert_err(kit_post(room, &draft, &alice, NULL, NULL), CHAT_ERR_CONFLICT);
	assert_ok(set_policies(&alice, INVITE_MODERATORS, HISTORY_FROM_INVITATION));
	assert_true(roster_state(room)->open);
	assert_ok(set_policies(&alice, INVITE_MODERATORS, HISTORY_ALL));
	assert_false(roster_state(room)->open);
	kit_rekey(room, &alice);
	assert_ok(set_policies(&alice, INVITE_MODERATORS, HISTORY_ALL)); /* as it was */
	assert_true(roster_state(room)->open);
}

TEST(direct_room)
{
	struct event draft = kit_create(&alice, &bob);
	struct roster *group = room;
	struct roster_change change;

	room = roster_new(&kit_realm, true);
	assert_non_null(room);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_ptr_equal(change.peer, the(&bob));
	assert_ptr_equal(roster_peer(room, person_id(&alice)), the(&bob));
	assert_ptr_equal(roster_peer(room, person_id(&bob)), the(&alice));
	assert_null(roster_peer(room, person_id(&carol)));
	assert_null(roster_peer(group, person_id(&alice)));
	assert_string_equal(the(&bob)->account.s, "bob");
	assert_memory_equal(the(&bob)->ed_pk, bob.identity.sign.pk, ED25519_PK_BYTES);
	assert_int_equal(the(&bob)->owner_since, 1);
	assert_ptr_equal(roster_next_reader(room, NULL), the(&alice));
	refused(EVENT_INVITE, &alice, &carol);
	refused(EVENT_KICK, &alice, &bob);
	refused(EVENT_ROLE, &alice, &bob);
	refused(EVENT_SETTINGS, &alice, NULL);
	refused(EVENT_JOIN, &bob, NULL);
	refused(EVENT_DECLINE, &bob, NULL);
	kit_rekey(room, &bob);
	assert_ok(kit_say(room, &alice, NULL));
	assert_ok(kit_do(room, EVENT_LEAVE, &alice, NULL));
	refused(EVENT_INVITE, &bob, &alice);
	person_rotate(&bob, true);
	assert_ok(kit_do(room, EVENT_CARD, &bob, NULL));
	assert_true(roster_state(room)->over);
	roster_free(group);
}

/*
 * --- after, and what closes a room ---
 */

/* What happens to one member, or to the settings, leaves alone what the others' events must name. */
TEST(subjects_are_apart)
{
	struct event join = kit_event(room, EVENT_JOIN, &dave, NULL);
	struct event rekey = kit_event(room, EVENT_REKEY, &bob, NULL);
	struct event role = kit_event(room, EVENT_ROLE, &alice, &carol);

	assert_ok(set_role(&alice, &bob, ROLE_MODERATOR));
	assert_ok(set_policies(&alice, INVITE_MODERATORS, HISTORY_FROM_INVITATION));
	assert_ok(kit_post(room, &join, &dave, NULL, NULL));
	assert_ok(kit_post(room, &role, &alice, NULL, NULL));
	assert_ok(kit_post(room, &rekey, &bob, NULL, NULL)); /* none of these asked for another */
	assert_err(kit_post(room, &rekey, &bob, NULL, NULL), CHAT_ERR_CONFLICT);
	assert_err(kit_post(room, &role, &alice, NULL, NULL), CHAT_ERR_CONFLICT);
	assert_err(kit_post(room, &join, &dave, NULL, NULL), CHAT_ERR_CONFLICT);
	/* One who was never here is named by the room. */
	assert_true(digest_equal(
	    roster_next_after(room, EVENT_INVITE, person_id(&erin)), &roster_state(room)->room_id));
}

/* Each event that closes the room also takes the ground from a rekey made before it. */
TEST(what_closes)
{
	static const struct {
		enum event_type type;
		struct person *actor, *about;
		bool closes;
	} rows[] = {
	    {EVENT_INVITE, &alice, &erin, true},
	    {EVENT_JOIN, &dave, NULL, false},
	    {EVENT_DECLINE, &erin, NULL, true},
	    {EVENT_ROLE, &alice, &dave, false},
	    {EVENT_SETTINGS, &alice, NULL, false},
	    {EVENT_CARD, &bob, NULL, true},
	    {EVENT_LEAVE, &carol, NULL, true},
	    {EVENT_KICK, &alice, &bob, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct event rekey, draft;
		struct roster_change change;

		if (!roster_state(room)->open)
			kit_rekey(room, &alice);
		if (rows[i].type == EVENT_CARD)
			person_rotate(rows[i].actor, false);
		rekey = kit_event(room, EVENT_REKEY, &alice, NULL);
		draft = kit_event(room, rows[i].type, rows[i].actor, rows[i].about);
		assert_ok(kit_post(room, &draft, rows[i].actor, &change, NULL));
		assert_int_equal(change.closed, rows[i].closes);
		assert_int_equal(roster_state(room)->open, !rows[i].closes);
		assert_int_equal(roster_needs_rekey(room), rows[i].closes);
		assert_err(
		    kit_post(room, &rekey, &alice, NULL, NULL), rows[i].closes ? CHAT_ERR_CONFLICT : CHAT_OK);
	}
}

/* What the server tells others, and a client prints. */
TEST(changes)
{
	struct event draft = kit_event(room, EVENT_JOIN, &dave, NULL);
	struct roster_change change;

	assert_ok(kit_post(room, &draft, &dave, &change, NULL));
	assert_int_equal(change.type, EVENT_JOIN);
	assert_int_equal(change.seq, roster_state(room)->head.seq);
	assert_true(change.actor == the(&dave) && change.member == the(&dave));
	assert_int_equal(change.old_state, MEMBER_INVITED);
	assert_int_equal(change.new_state, MEMBER_JOINED);
	assert_false(change.member_new || change.card_changed || change.retired || change.over);

	draft = kit_event(room, EVENT_ROLE, &alice, &dave);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(change.actor == the(&alice) && change.member == the(&dave));
	assert_int_equal(change.old_role, ROLE_MEMBER);
	assert_int_equal(change.new_role, ROLE_OWNER);

	person_rotate(&bob, false);
	draft = kit_event(room, EVENT_CARD, &bob, NULL);
	assert_ok(kit_post(room, &draft, &bob, &change, NULL));
	assert_true(change.card_changed && change.closed && !change.retired && !change.member_new);

	draft = kit_event(room, EVENT_KICK, &alice, &bob);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(!change.card_changed && !change.closed); /* it was closed before */
	assert_int_equal(change.new_state, MEMBER_OUT);

	draft = kit_event(room, EVENT_INVITE, &alice, &erin);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(change.member_new && change.card_changed);
	draft = kit_event(room, EVENT_INVITE, &alice, &bob);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(!change.member_new && !change.card_changed);

	draft = kit_event(room, EVENT_SETTINGS, &alice, NULL);
	draft.settings.invite_policy = INVITE_MODERATORS;
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(change.policies_changed && change.member == NULL && change.actor == the(&alice));
	draft = kit_event(room, EVENT_SETTINGS, &alice, NULL);
	draft.settings.history_policy = HISTORY_ALL;
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(change.policies_changed);

	for (size_t i = 1; i < ARRAY_LEN(people); i++)
		if (member_is_reader(roster_member(room, person_id(people[i])))) {
			draft = kit_event(room, EVENT_KICK, &alice, people[i]);
			assert_ok(kit_post(room, &draft, &alice, &change, NULL));
			assert_false(change.over);
		}
	draft = kit_event(room, EVENT_LEAVE, &alice, NULL);
	assert_ok(kit_post(room, &draft, &alice, &change, NULL));
	assert_true(change.over);
}

/*
 * --- re-wraps ---
 */

static enum chat_err
rewrap(const struct person *wrapper, const struct person *recipient, uint64_t epoch,
    const struct digest *card_hash, const struct person *poster, bool spoil)
{
	static const uint8_t wrap[WRAP_BYTES];
	const struct roster_epoch *of = roster_epoch_at(room, epoch);
	struct rewrap draft = {
	    .epoch_id = of != NULL ? of->id : digest_zero,
	    .recipient = *person_id(recipient),
	    .card_hash = *card_hash,
	    .wrapper = *person_id(wrapper),
	    .wrap = BYTES_ARRAY(wrap),
	};
	const struct digest *poster_id = poster != NULL ? person_id(poster) : NULL;
	struct roster_refusal refusal;
	uint8_t wire[REWRAP_BYTES];
	enum chat_err err;
	bool good;

	rewrap_build(&wrapper->identity.sign, &draft, wire);
	wire[REWRAP_BYTES - 1] ^= spoil;
	assert_ok(rewrap_decode(BYTES_ARRAY(wire), &draft));
	good = rewrap_signature_good(&draft, wrapper->identity.sign.pk);
	assert_int_equal(good, !spoil);
	assert_err(roster_judge_rewrap(room, &draft, poster_id, good, &refusal),
	    roster_judge_rewrap(room, &draft, poster_id, good, NULL));
	err = roster_judge_rewrap(room, &draft, poster_id, good, &refusal);
	if (err == CHAT_ERR_CONFLICT)
		assert_true(digest_equal(&refusal.current, &the(recipient)->card_hash));
	return err;
}

TEST(rewraps)
{
	struct digest old = the(&dave)->card_hash;
	const struct digest *card = &the(&dave)->card_hash;

	assert_ok(rewrap(&bob, &dave, 1, card, &bob, false)); /* to an invitee */
	assert_ok(rewrap(&bob, &bob, 1, &the(&bob)->card_hash, NULL, false));
	assert_err(rewrap(&bob, &dave, 1, card, &bob, true), CHAT_ERR_BAD_SIGNATURE);
	assert_err(rewrap(&bob, &dave, 1, card, &carol, false), CHAT_ERR_NOT_ALLOWED);
	assert_err(rewrap(&bob, &dave, 2, card, &bob, false), CHAT_ERR_NOT_ALLOWED);
	assert_err(rewrap(&dave, &bob, 1, &the(&bob)->card_hash, &dave, false), CHAT_ERR_NOT_ALLOWED);
	assert_err(rewrap(&erin, &bob, 1, &the(&bob)->card_hash, &erin, false), CHAT_ERR_NOT_ALLOWED);
	assert_err(rewrap(&bob, &erin, 1, card, &bob, false), CHAT_ERR_NOT_ALLOWED);
	person_rotate(&dave, false);
	assert_ok(kit_do(room, EVENT_CARD, &dave, NULL));
	assert_err(rewrap(&bob, &dave, 1, &old, &bob, true), CHAT_ERR_CONFLICT);
	assert_ok(rewrap(&bob, &dave, 1, &the(&dave)->card_hash, &bob, false));
	assert_ok(kit_do(room, EVENT_INVITE, &alice, &erin));
	assert_err(rewrap(&bob, &erin, 1, &the(&erin)->card_hash, &bob, false), CHAT_ERR_NOT_ALLOWED);
	kit_rekey(room, &bob);
	assert_ok(rewrap(&bob, &erin, 2, &the(&erin)->card_hash, &bob, false));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    KIT_TEST(order_of_refusals),
	    KIT_TEST(unpublished_card),
	    KIT_TEST(create),
	    KIT_TEST(not_joined),
	    KIT_TEST(invite_policy),
	    KIT_TEST(invite_by_which_card),
	    KIT_TEST(card_must_follow),
	    KIT_TEST(card_must_follow_in_everything),
	    KIT_TEST(retired_card),
	    KIT_TEST(moderators),
	    KIT_TEST(only_owner),
	    KIT_TEST(later_owners),
	    KIT_TEST(settings),
	    KIT_TEST(direct_room),
	    KIT_TEST(subjects_are_apart),
	    KIT_TEST(what_closes),
	    KIT_TEST(changes),
	    KIT_TEST(rewraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
