/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * --- memory ---
 */

struct roster *
roster_new(const struct realm *realm, bool keep_cards)
{
	struct roster *roster = calloc(1, sizeof(*roster));

	if (roster == NULL)
		return NULL;
	roster->realm = *realm;
	roster->keep_cards = keep_cards;
	return roster;
}

void
roster_card_free(struct bytes card)
{
	free((void *)(uintptr_t)card.data); /* ours, const only for those who look */
}

static void
member_free(struct roster_member *member)
{
	if (member == NULL)
		return;
	roster_card_free(member->card);
	free(member->stays);
	free(member);
}

void
roster_free(struct roster *roster)
{
	struct counter *counter;
	size_t iter = 0;

	if (roster == NULL)
		return;
	if (roster->batch)
		roster_rollback(roster);
	while ((counter = map_next(&roster->counter_map, &iter)) != NULL)
		free(counter);
	for (size_t i = 0; i < roster->member_count; i++)
		member_free(roster->members[i]);
	for (size_t i = 0; i < roster->epoch_count; i++)
		free(roster->epochs[i]);
	map_fini(&roster->counter_map);
	map_fini(&roster->member_map);
	map_fini(&roster->epoch_map);
	free(roster->members);
	free(roster->epochs);
	free(roster->journal);
	free(roster);
}

enum chat_err
roster_card_copy(const struct roster *roster, struct bytes wire, struct bytes *ret)
{
	uint8_t *copy;

	if (!roster->keep_cards) {
		*ret = BYTES_EMPTY;
		return CHAT_OK;
	}
	copy = malloc(wire.len);
	if (copy == NULL)
		return CHAT_ERR_NOMEM;
	memcpy(copy, wire.data, wire.len);
	*ret = BYTES(copy, wire.len);
	return CHAT_OK;
}

/* Room for one more pointer in an array of them.  False: out of memory. */
static bool
grow(void *array, size_t count, size_t *cap)
{
	size_t want = *cap > 0 ? *cap * 2 : 4;
	void *grown;
	void *old;

	if (count < *cap)
		return true;
	memcpy(&old, array, sizeof(old)); /* `array` points to some pointer to pointers */
	grown = reallocarray(old, want, sizeof(void *));
	if (grown == NULL)
		return false;
	memcpy(array, &grown, sizeof(grown));
	*cap = want;
	return true;
}

struct roster_member *
roster_add_member(struct roster *roster, const struct card *card, struct bytes card_wire)
{
	struct roster_member *member = calloc(1, sizeof(*member));

	if (member == NULL)
		return NULL;
	member->id = card->member_id;
	member->state = MEMBER_OUT;
	member->role = ROLE_MEMBER;
	member->card_hash = card->card_hash;
	member->serial = card->serial;
	member->account = card->account;
	memcpy(member->ed_pk, card->ed_pk, ED25519_PK_BYTES);
	member->stays = calloc(1, sizeof(*member->stays)); /* few come twice */
	member->stay_cap = 1;
	if (member->stays == NULL || roster_card_copy(roster, card_wire, &member->card) != CHAT_OK)
		goto fail;
	if (!grow(&roster->members, roster->member_count, &roster->member_cap))
		goto fail;
	if (map_put(&roster->member_map, digest_bytes(&member->id), member) != CHAT_OK)
		goto fail;
	roster->members[roster->member_count++] = member;
	return member;
fail:
	member_free(member);
	return NULL;
}

void
roster_drop_last_member(struct roster *roster)
{
	struct roster_member *member = roster->members[--roster->member_count];

	(void)map_remove(&roster->member_map, digest_bytes(&member->id));
	member_free(member);
}

struct roster_epoch *
roster_add_epoch(struct roster *roster, const struct roster_epoch *epoch)
{
	struct roster_epoch *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *epoch;
	if (!grow(&roster->epochs, roster->epoch_count, &roster->epoch_cap) ||
	    map_put(&roster->epoch_map, digest_bytes(&copy->id), copy) != CHAT_OK) {
		free(copy);
		return NULL;
	}
	roster->epochs[roster->epoch_count++] = copy;
	roster->history_all_count += copy->history_all;
	return copy;
}

void
roster_drop_last_epoch(struct roster *roster)
{
	struct roster_epoch *epoch = roster->epochs[--roster->epoch_count];

	roster->history_all_count -= epoch->history_all;
	(void)map_remove(&roster->epoch_map, digest_bytes(&epoch->id));
	free(epoch);
}

/*
 * --- members ---
 */

struct roster_member *
roster_find(const struct roster *roster, const struct digest *member_id)
{
	return map_get(&roster->member_map, digest_bytes(member_id));
}

const struct roster_state *
roster_state(const struct roster *roster)
{
	return &roster->s;
}

const struct roster_member *
roster_member(const struct roster *roster, const struct digest *member_id)
{
	return roster_find(roster, member_id);
}

size_t
roster_member_count(const struct roster *roster)
{
	return roster->member_count;
}

const struct roster_member *
roster_member_at(const struct roster *roster, size_t index)
{
	assert(index < roster->member_count);
	return roster->members[index];
}

const struct roster_member *
roster_peer(const struct roster *roster, const struct digest *self)
{
	if (roster->s.kind != ROOM_DIRECT || roster->member_count != 2)
		return NULL;
	if (digest_equal(&roster->members[0]->id, self))
		return roster->members[1];
	return digest_equal(&roster->members[1]->id, self) ? roster->members[0] : NULL;
}

bool
member_is_reader(const struct roster_member *member)
{
	return member != NULL && member->state != MEMBER_OUT;
}

bool
member_is_joined(const struct roster_member *member)
{
	return member != NULL && member->state == MEMBER_JOINED;
}

const uint8_t *
member_rsa_n(const struct roster_member *member)
{
	/* Behind rsa_n a card has a time and the signature; the card was decoded before it was kept. */
	assert(member->card.len >= CARD_MIN_BYTES);
	return member->card.data + member->card.len - ED25519_SIG_BYTES - 8 - RSA_BYTES;
}

uint32_t
roster_reader_count(const struct roster *roster)
{
	return roster->s.reader_count;
}

const struct roster_member *
roster_next_reader(const struct roster *roster, const struct roster_member *previous)
{
	return previous == NULL ? roster->s.first_reader : previous->next_reader;
}

bool
roster_needs_rekey(const struct roster *roster)
{
	return !roster->s.open && roster->s.joined_count > 0;
}

const struct digest *
event_subject(const struct event *event)
{
	switch (event->type) {
	case EVENT_CREATE:
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
	case EVENT_CARD:
		return &event->actor;
	case EVENT_INVITE:
		return &event->card.member_id;
	case EVENT_KICK:
		return &event->kick.target;
	case EVENT_ROLE:
		return &event->role.target;
	case EVENT_SETTINGS:
	case EVENT_REKEY:
		return NULL;
	}
	return NULL;
}

const struct digest *
roster_next_after(const struct roster *roster, enum event_type type, const struct digest *member_id)
{
	const struct roster_member *member;

	switch (type) {
	case EVENT_CREATE:
		return &digest_zero;
	case EVENT_SETTINGS:
		return &roster->s.settings_after;
	case EVENT_REKEY:
		return &roster->s.rekey_after;
	case EVENT_INVITE:
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
	case EVENT_KICK:
	case EVENT_ROLE:
	case EVENT_CARD:
		break;
	}
	assert(member_id != NULL);
	member = roster_find(roster, member_id);
	return member != NULL ? &member->after : &roster->s.room_id;
}

const uint8_t *
roster_actor_key(const struct roster *roster, const struct event *event)
{
	const struct roster_member *actor;

	if (event->type == EVENT_CREATE)
		return event->card.ed_pk;
	actor = roster_find(roster, &event->actor);
	return actor != NULL ? actor->ed_pk : NULL;
}

/*
 * --- size ---
 */

size_t
roster_bytes(const struct roster *roster)
{
	/* Two words a slot in tables that are half full, and malloc's word before each block. */
	const size_t per_entry = 4 * sizeof(void *) + sizeof(size_t);
	size_t member = sizeof(struct roster_member) + sizeof(struct roster_stay) + 2 * sizeof(size_t) +
			sizeof(void *) + per_entry;
	size_t epoch = sizeof(struct roster_epoch) + sizeof(void *) + per_entry;
	size_t counter = sizeof(struct counter) + per_entry;

	if (roster->keep_cards)
		member += CARD_MAX_BYTES;
	return sizeof(*roster) + roster->member_count * member + roster->epoch_count * epoch +
	       roster->counter_map.count * counter + roster->journal_cap * sizeof(struct undo);
}
