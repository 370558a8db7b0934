/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster_priv.h"

#include <assert.h>
#include <stdlib.h>

/*
 * Everything that can fail comes first in each of these functions; then the journal is written; then the
 * state changes.
 */

/*
 * --- readers ---
 */

/* Makes an outsider a reader, behind all others.  There is room for the stay. */
static void
start_stay(struct roster *r, struct roster_member *member, enum member_state state, uint64_t seq)
{
	struct roster_member *last = r->s.last_reader;

	assert(member->state == MEMBER_OUT && member->role == ROLE_MEMBER && member->next_reader == NULL);
	assert(member->stay_count < member->stay_cap);
	member->state = state;
	member->place_seq = seq;
	member->place_peer = 0;
	member->stays[member->stay_count++] = (struct roster_stay){seq, ROSTER_OPEN_END};
	member->prev_reader = last;
	if (last != NULL) {
		undo_note_member(r, last);
		last->next_reader = member;
	} else
		r->s.first_reader = member;
	r->s.last_reader = member;
	r->s.reader_count++;
	r->s.joined_count += state == MEMBER_JOINED;
}

static void
set_role(struct roster *r, struct roster_member *member, enum member_role role, uint64_t seq)
{
	r->s.owner_count -= member->role == ROLE_OWNER;
	r->s.owner_count += role == ROLE_OWNER;
	member->role = role;
	member->owner_since = role == ROLE_OWNER ? seq : 0;
}

/* The end of a stay at place seq, in whichever way.  The member is noted already. */
static void
end_stay(struct roster *r, struct roster_member *member, uint64_t seq)
{
	struct roster_member *prev = member->prev_reader, *next = member->next_reader;

	assert(member->state != MEMBER_OUT);
	set_role(r, member, ROLE_MEMBER, seq);
	r->s.reader_count--;
	r->s.joined_count -= member->state == MEMBER_JOINED;
	member->state = MEMBER_OUT;
	member->stays[member->stay_count - 1].to_seq = seq;
	member->prev_reader = NULL;
	member->next_reader = NULL;
	if (prev != NULL) {
		undo_note_member(r, prev);
		prev->next_reader = next;
	} else
		r->s.first_reader = next;
	if (next != NULL) {
		undo_note_member(r, next);
		next->prev_reader = prev;
	} else
		r->s.last_reader = prev;
}

/* Takes `copy` over. */
static void
set_card(struct roster *r, struct roster_member *member, const struct card *card, struct bytes copy)
{
	undo_note_card(r, member);
	member->card = copy;
	member->card_hash = card->card_hash;
	member->serial = card->serial;
	member->retired = card->retired;
}

static enum chat_err
reserve_stay(struct roster_member *member)
{
	struct roster_stay *grown;

	if (member->stay_count < member->stay_cap)
		return CHAT_OK;
	grown = reallocarray(member->stays, member->stay_cap * 2, sizeof(*grown));
	if (grown == NULL)
		return CHAT_ERR_NOMEM;
	member->stays = grown;
	member->stay_cap *= 2;
	return CHAT_OK;
}

/*
 * --- the events ---
 */

static enum chat_err
apply_create(struct roster *r, const struct event *e, uint64_t seq)
{
	bool direct = e->create.kind == ROOM_DIRECT;
	struct roster_member *creator, *peer = NULL;

	creator = roster_add_member(r, &e->card, e->card_wire);
	if (creator == NULL)
		return CHAT_ERR_NOMEM;
	if (direct) {
		peer = roster_add_member(r, &e->peer_card, e->peer_card_wire);
		if (peer == NULL) {
			roster_drop_last_member(r);
			return CHAT_ERR_NOMEM;
		}
		undo_note_member_new(r);
	}
	undo_note_member_new(r);

	r->s.created = true;
	r->s.room_id = e->event_hash;
	r->s.kind = e->create.kind;
	r->s.invite_policy = e->create.invite_policy;
	r->s.history_policy = e->create.history_policy;
	r->s.settings_after = e->event_hash;
	start_stay(r, creator, MEMBER_JOINED, seq);
	set_role(r, creator, ROLE_OWNER, seq);
	if (peer != NULL) {
		start_stay(r, peer, MEMBER_JOINED, seq);
		set_role(r, peer, ROLE_OWNER, seq);
		peer->place_peer = 1;
		peer->after = e->event_hash;
	}
	return CHAT_OK;
}

static enum chat_err
apply_invite(struct roster *r, const struct event *e, struct roster_member *member, uint64_t seq)
{
	struct bytes card;

	if (member == NULL) {
		member = roster_add_member(r, &e->card, e->card_wire);
		if (member == NULL)
			return CHAT_ERR_NOMEM;
		undo_note_member_new(r);
	} else {
		if (reserve_stay(member) != CHAT_OK || roster_card_copy(r, e->card_wire, &card) != CHAT_OK)
			return CHAT_ERR_NOMEM;
		undo_note_member(r, member);
		set_card(r, member, &e->card, card);
	}
	start_stay(r, member, MEMBER_INVITED, seq);
	return CHAT_OK;
}

static enum chat_err
apply_card(struct roster *r, const struct event *e, struct roster_member *member, uint64_t seq)
{
	struct bytes card;

	if (roster_card_copy(r, e->card_wire, &card) != CHAT_OK)
		return CHAT_ERR_NOMEM;
	undo_note_member(r, member);
	set_card(r, member, &e->card, card);
	if (e->card.retired)
		end_stay(r, member, seq);
	return CHAT_OK;
}

static void
apply_settings(struct roster *r, const struct event *e)
{
	r->s.invite_policy = e->settings.invite_policy;
	r->s.history_policy = e->settings.history_policy;
	r->s.keep_days = e->settings.keep_days;
	r->s.keep_entries = e->settings.keep_entries;
	r->s.settings_after = e->event_hash;
}

static enum chat_err
apply_rekey(struct roster *r, const struct event *e, uint64_t seq)
{
	const struct roster_epoch epoch = {
	    .id = e->event_hash,
	    .number = e->rekey.epoch,
	    .seq = seq,
	    .after = e->after,
	    .actor = e->actor,
	    .commitment = e->rekey.commitment,
	    .history_all = r->s.history_policy == HISTORY_ALL,
	};

	if (roster_add_epoch(r, &epoch) == NULL)
		return CHAT_ERR_NOMEM;
	undo_note_epoch_new(r);
	r->s.open = true;
	r->s.epoch = e->rekey.epoch;
	r->s.epoch_seq = seq;
	r->s.epoch_id = e->event_hash;
	r->s.rekey_after = e->event_hash;
	return CHAT_OK;
}

static enum chat_err
apply_payload(struct roster *r, const struct event *e, struct roster_member *member, uint64_t seq)
{
	switch (e->type) {
	case EVENT_CREATE:
		return apply_create(r, e, seq);
	case EVENT_INVITE:
		return apply_invite(r, e, member, seq);
	case EVENT_JOIN:
		undo_note_member(r, member);
		member->state = MEMBER_JOINED;
		r->s.joined_count++;
		return CHAT_OK;
	case EVENT_DECLINE:
	case EVENT_LEAVE:
	case EVENT_KICK:
		undo_note_member(r, member);
		end_stay(r, member, seq);
		return CHAT_OK;
	case EVENT_ROLE:
		undo_note_member(r, member);
		set_role(r, member, e->role.role, seq);
		return CHAT_OK;
	case EVENT_SETTINGS:
		apply_settings(r, e);
		return CHAT_OK;
	case EVENT_CARD:
		return apply_card(r, e, member, seq);
	case EVENT_REKEY:
		return apply_rekey(r, e, seq);
	}
	return CHAT_OK;
}

/* Which events ask for a rekey: those after which the set of readers, or of keys that they use, is another.
 */
static bool
closes_room(const struct event *e, bool history_changed)
{
	switch (e->type) {
	case EVENT_CREATE:
	case EVENT_INVITE:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
	case EVENT_KICK:
	case EVENT_CARD:
		return true;
	case EVENT_SETTINGS:
		return history_changed;
	case EVENT_JOIN:
	case EVENT_ROLE:
	case EVENT_REKEY:
		return false;
	}
	return false;
}

enum chat_err
roster_apply(struct roster *r, const struct event *e, uint64_t seq, struct roster_change *ret_change)
{
	const struct digest *subject_id = event_subject(e);
	struct roster_member *member = subject_id != NULL ? roster_find(r, subject_id) : NULL;
	const struct roster_state was = r->s;
	struct roster_change change = {.type = e->type, .seq = seq};
	struct digest old_card = digest_zero;
	enum chat_err err;

	change.old_role = ROLE_MEMBER;
	if (member != NULL) {
		change.old_state = member->state;
		change.old_role = member->role;
		old_card = member->card_hash;
	}
	err = undo_reserve(r);
	if (err == CHAT_OK)
		err = apply_payload(r, e, member, seq);
	if (err != CHAT_OK)
		return err;

	if (closes_room(e, r->s.history_policy != was.history_policy)) {
		r->s.open = false;
		r->s.rekey_after = e->event_hash;
	}
	r->s.over = r->s.reader_count == 0;
	if (subject_id != NULL) {
		change.member_new = member == NULL;
		member = roster_find(r, subject_id);
		member->after = e->event_hash;
		change.member = member;
		change.new_state = member->state;
		change.new_role = member->role;
		change.card_changed = !digest_equal(&old_card, &member->card_hash);
	}
	change.actor = roster_find(r, &e->actor);
	if (e->type == EVENT_CREATE)
		change.peer = roster_peer(r, &e->actor);
	change.retired = e->type == EVENT_CARD && e->card.retired;
	change.closed = was.open && !r->s.open;
	change.voluntary = e->type == EVENT_REKEY && was.open;
	change.policies_changed =
	    r->s.invite_policy != was.invite_policy || r->s.history_policy != was.history_policy;
	change.over = r->s.over;
	if (e->type == EVENT_REKEY)
		change.epoch = r->epochs[r->epoch_count - 1];
	*ret_change = change;
	return CHAT_OK;
}
