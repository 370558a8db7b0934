/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster_priv.h"

#include <assert.h>

/* One event under judgement. */
struct trial {
	const struct roster *roster;
	const struct event *event;
	const struct roster_member *actor;   /* NULL for create */
	const struct roster_member *subject; /* NULL: never in this room, or the event is about no member */
};

/*
 * --- who may: each returns NULL, or why not ---
 */

static const char *
may_create(const struct trial *t)
{
	const struct event *e = t->event;
	const struct realm *realm = &t->roster->realm;

	if (!realm_equal(&e->create.realm, realm) || !realm_equal(&e->card.realm, realm))
		return "another realm";
	if (e->card.retired)
		return "a retired identity";
	if (e->create.kind == ROOM_GROUP)
		return NULL;
	if (!realm_equal(&e->peer_card.realm, realm))
		return "another realm";
	if (e->peer_card.retired)
		return "a retired identity";
	if (digest_equal(&e->peer_card.member_id, &e->actor))
		return "a direct room with oneself";
	return NULL;
}

static const char *
may_invite(const struct trial *t)
{
	const struct card *card = &t->event->card;

	if (!member_is_joined(t->actor))
		return "not joined";
	if (t->roster->s.invite_policy == INVITE_MODERATORS && t->actor->role < ROLE_MODERATOR)
		return "not a moderator";
	if (!realm_equal(&card->realm, &t->roster->realm))
		return "another realm";
	if (member_is_reader(t->subject))
		return "already a reader";
	if (card->retired || (t->subject != NULL && t->subject->retired))
		return "a retired identity";
	if (t->subject == NULL || card->serial > t->subject->serial)
		return NULL;
	if (card->serial == t->subject->serial && digest_equal(&card->card_hash, &t->subject->card_hash))
		return NULL;
	return "an older card than the one in the chain";
}

static const char *
may_answer(const struct trial *t) /* join, decline */
{
	return t->actor->state == MEMBER_INVITED ? NULL : "no invitation";
}

static bool
is_only_owner(const struct trial *t)
{
	return t->actor->role == ROLE_OWNER && t->roster->s.owner_count == 1;
}

static const char *
may_leave(const struct trial *t)
{
	if (!member_is_joined(t->actor))
		return "not joined";
	if (is_only_owner(t) && t->roster->s.reader_count > 1)
		return "the only owner";
	return NULL;
}

/* A later owner never decides over an earlier one, nor over itself. */
static bool
is_later_owner(const struct roster_member *subject, const struct roster_member *actor)
{
	return subject->owner_since > actor->owner_since;
}

static const char *
may_kick(const struct trial *t)
{
	if (!member_is_joined(t->actor))
		return "not joined";
	if (!member_is_reader(t->subject))
		return "no such member";
	switch (t->subject->role) { /* an invitee has ROLE_MEMBER */
	case ROLE_MEMBER:
		return t->actor->role >= ROLE_MODERATOR ? NULL : "not a moderator";
	case ROLE_MODERATOR:
		return t->actor->role == ROLE_OWNER ? NULL : "not an owner";
	case ROLE_OWNER:
		if (t->actor->role != ROLE_OWNER)
			return "not an owner";
		return is_later_owner(t->subject, t->actor) ? NULL : "an owner of no later date";
	}
	return "no such member";
}

static const char *
may_set_role(const struct trial *t)
{
	if (!member_is_joined(t->actor) || t->actor->role != ROLE_OWNER)
		return "not an owner";
	if (!member_is_joined(t->subject))
		return "no such member";
	if (t->subject->role == t->event->role.role)
		return "has that role";
	if (t->subject == t->actor)
		return is_only_owner(t) ? "the only owner" : NULL;
	if (t->subject->role == ROLE_OWNER && !is_later_owner(t->subject, t->actor))
		return "an owner of no later date";
	return NULL;
}

static const char *
may_set(const struct trial *t) /* settings */
{
	return member_is_joined(t->actor) && t->actor->role == ROLE_OWNER ? NULL : "not an owner";
}

static const char *
may_change_card(const struct trial *t)
{
	const struct card *card = &t->event->card;

	if (!member_is_reader(t->actor))
		return "not a reader";
	/* A retired identity is no reader, so nothing has to be said here about what follows a retired card.
	 */
	if (!digest_equal(&card->member_id, &t->actor->id) || t->actor->serial == UINT32_MAX ||
	    card->serial != t->actor->serial + 1 || !digest_equal(&card->prev_card, &t->actor->card_hash))
		return "a card that does not follow the one in the chain";
	return NULL;
}

static const char *
may_rekey(const struct trial *t)
{
	if (!member_is_joined(t->actor))
		return "not joined";
	return t->event->rekey.epoch == t->roster->s.epoch + 1 ? NULL : "not the next epoch";
}

static const struct rule {
	const char *(*may)(const struct trial *trial);
	bool group_only; /* never in a direct room */
} rules[] = {
    [EVENT_CREATE] = {may_create, false},
    [EVENT_INVITE] = {may_invite, true},
    [EVENT_JOIN] = {may_answer, false},
    [EVENT_DECLINE] = {may_answer, false},
    [EVENT_LEAVE] = {may_leave, false},
    [EVENT_KICK] = {may_kick, true},
    [EVENT_ROLE] = {may_set_role, true},
    [EVENT_SETTINGS] = {may_set, true},
    [EVENT_CARD] = {may_change_card, false},
    [EVENT_REKEY] = {may_rekey, false},
};

/*
 * --- the order of refusals ---
 */

enum chat_err
refuse(struct roster_refusal *ret_refusal, enum chat_err err, const char *why)
{
	ret_refusal->err = err;
	ret_refusal->why = why;
	return err;
}

/* Is it an event for this room, at this point of a batch? */
static enum chat_err
judge_room(const struct roster *r, const struct event *e, struct roster_refusal *ret_refusal)
{
	bool same_room = r->s.created && digest_equal(&e->room_id, &r->s.room_id);

	if (r->batch && r->batch_events > 0) {
		if (!digest_equal(&e->actor, &r->batch_actor))
			return refuse(ret_refusal, CHAT_ERR_MALFORMED, "two actors in a batch");
		if (!same_room || e->type == EVENT_CREATE)
			return refuse(ret_refusal, CHAT_ERR_MALFORMED, "two rooms in a batch");
	}
	if (e->type == EVENT_CREATE) {
		if (same_room)
			return refuse(ret_refusal, CHAT_ERR_ALREADY, "the room exists");
		if (!r->s.created)
			return CHAT_OK;
	}
	return same_room ? CHAT_OK : refuse(ret_refusal, CHAT_ERR_NO_ROOM, "another room");
}

static enum chat_err
judge_conflict(const struct roster *r, const struct roster_post *post, struct roster_refusal *ret_refusal)
{
	const struct event *e = post->event;
	const struct digest *current = roster_next_after(r, e->type, event_subject(e));

	if (!digest_equal(&e->after, current)) {
		ret_refusal->has_current = true;
		ret_refusal->current = *current;
		return refuse(ret_refusal, CHAT_ERR_CONFLICT, "after");
	}
	if (post->cards_unpublished && (e->type == EVENT_CREATE || e->type == EVENT_INVITE))
		return refuse(ret_refusal, CHAT_ERR_CONFLICT, "not the published card");
	return CHAT_OK;
}

static bool
actor_is_known(const struct roster *r, const struct event *e)
{
	if (e->type == EVENT_CREATE)
		return digest_equal(&e->card.member_id, &e->actor);
	return roster_find(r, &e->actor) != NULL;
}

enum chat_err
roster_judge(
    const struct roster *r, const struct roster_post *post, uint64_t seq, struct roster_refusal *ret_refusal)
{
	const struct event *e = post->event;
	const struct digest *subject_id = event_subject(e);
	struct trial trial = {.roster = r, .event = e};
	const char *why;
	enum chat_err err;

	assert(e->type >= EVENT_CREATE && e->type <= EVENT_REKEY);
	*ret_refusal = (struct roster_refusal){.index = r->batch ? r->batch_events : 0, .why = ""};

	err = judge_room(r, e, ret_refusal);
	if (err == CHAT_OK)
		err = judge_conflict(r, post, ret_refusal);
	if (err != CHAT_OK)
		return err;
	if (!actor_is_known(r, e))
		return refuse(ret_refusal, CHAT_ERR_NOT_ALLOWED, "unknown actor");
	if (post->poster != NULL && !digest_equal(post->poster, &e->actor))
		return refuse(ret_refusal, CHAT_ERR_NOT_ALLOWED, "another's event");
	if (!post->signatures_good)
		return refuse(ret_refusal, CHAT_ERR_BAD_SIGNATURE, "event");

	trial.actor = roster_find(r, &e->actor);
	trial.subject = subject_id != NULL ? roster_find(r, subject_id) : NULL;
	if (rules[e->type].group_only && r->s.kind == ROOM_DIRECT)
		return refuse(ret_refusal, CHAT_ERR_NOT_ALLOWED, "a direct room");
	why = rules[e->type].may(&trial);
	if (why != NULL)
		return refuse(ret_refusal, CHAT_ERR_NOT_ALLOWED, why);

	if (e->seen_seq >= seq)
		return refuse(ret_refusal, CHAT_ERR_BAD_SEEN, "seen_seq is not before it");
	if (e->type == EVENT_REKEY && post->wraps != NULL &&
	    (!post->wraps->staged || post->wraps->count != r->s.reader_count))
		return refuse(ret_refusal, CHAT_ERR_BAD_WRAPS, "not one wrap for each reader");
	return CHAT_OK;
}

enum chat_err
roster_judge_event(
    const struct roster *roster, const struct roster_post *post, struct roster_refusal *ret_refusal)
{
	struct roster_refusal refusal;
	enum chat_err err = roster_judge(roster, post, roster->s.head.seq + 1, &refusal);

	if (err != CHAT_OK && ret_refusal != NULL)
		*ret_refusal = refusal;
	return err;
}

enum chat_err
roster_judge_rewrap(const struct roster *roster, const struct rewrap *rewrap, const struct digest *poster,
    bool signature_good, struct roster_refusal *ret_refusal)
{
	const struct roster_epoch *epoch = roster_epoch(roster, &rewrap->epoch_id);
	const struct roster_member *wrapper = roster_find(roster, &rewrap->wrapper);
	const struct roster_member *recipient = roster_find(roster, &rewrap->recipient);
	struct roster_refusal refusal = {.why = ""};
	enum chat_err err;

	if (epoch == NULL || !member_is_joined(wrapper))
		err = refuse(&refusal, CHAT_ERR_NOT_ALLOWED, "unknown epoch, or the wrapper is not joined");
	else if (poster != NULL && !digest_equal(poster, &wrapper->id))
		err = refuse(&refusal, CHAT_ERR_NOT_ALLOWED, "another's re-wrap");
	else if (!roster_entitled(roster, recipient, epoch))
		err = refuse(&refusal, CHAT_ERR_NOT_ALLOWED, "the recipient is not entitled");
	else if (!digest_equal(&rewrap->card_hash, &recipient->card_hash)) {
		refusal.has_current = true;
		refusal.current = recipient->card_hash;
		err = refuse(&refusal, CHAT_ERR_CONFLICT, "not the card in the chain");
	} else if (!signature_good)
		err = refuse(&refusal, CHAT_ERR_BAD_SIGNATURE, "re-wrap");
	else
		err = CHAT_OK;
	if (err != CHAT_OK && ret_refusal != NULL)
		*ret_refusal = refusal;
	return err;
}
