/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster_priv.h"

#include <assert.h>
#include <stdlib.h>

/* Above it the journal's memory is given back after a batch: a large batch is rare, and rooms are many. */
#define JOURNAL_KEEP (2 * UNDO_PER_EVENT)

enum chat_err
undo_reserve(struct roster *r)
{
	size_t want = r->journal_len + UNDO_PER_EVENT;
	size_t cap = r->journal_cap > 0 ? r->journal_cap : UNDO_PER_EVENT;
	struct undo *grown;

	if (!r->batch || want <= r->journal_cap)
		return CHAT_OK;
	while (cap < want)
		cap *= 2;
	grown = reallocarray(r->journal, cap, sizeof(*grown));
	if (grown == NULL)
		return CHAT_ERR_NOMEM;
	r->journal = grown;
	r->journal_cap = cap;
	return CHAT_OK;
}

/* NULL outside a batch. */
static struct undo *
note(struct roster *r, enum undo_kind kind)
{
	struct undo *undo;

	if (!r->batch)
		return NULL;
	assert(r->journal_len < r->journal_cap); /* undo_reserve() comes first */
	undo = &r->journal[r->journal_len++];
	undo->kind = kind;
	return undo;
}

void
undo_note_member(struct roster *r, struct roster_member *member)
{
	struct undo *undo = note(r, UNDO_MEMBER);

	if (undo != NULL) {
		undo->member.member = member;
		undo->member.was = *member;
	}
}

void
undo_note_member_new(struct roster *r)
{
	(void)note(r, UNDO_MEMBER_NEW);
}

void
undo_note_card(struct roster *r, struct roster_member *member)
{
	struct undo *undo = note(r, UNDO_CARD);

	if (undo != NULL) {
		undo->card.member = member;
		undo->card.was = member->card;
	} else
		roster_card_free(member->card);
	member->card = BYTES_EMPTY;
}

void
undo_note_epoch_new(struct roster *r)
{
	(void)note(r, UNDO_EPOCH_NEW);
}

void
undo_note_counter(struct roster *r, struct counter *counter)
{
	struct undo *undo = note(r, UNDO_COUNTER);

	if (undo != NULL) {
		undo->counter.counter = counter;
		undo->counter.last = counter->last;
		undo->counter.last_seq = counter->last_seq;
	}
}

void
undo_note_counter_new(struct roster *r, struct counter *counter)
{
	struct undo *undo = note(r, UNDO_COUNTER_NEW);

	if (undo != NULL)
		undo->counter.counter = counter;
}

static void
take_back_member(struct roster_member *member, const struct roster_member *was)
{
	struct roster_member now = *member;

	*member = *was;
	/* The array may have moved since.  (Cards are no matter: what was put in place of one is gone
	 * already.) */
	member->stays = now.stays;
	member->stay_cap = now.stay_cap;
	/* Of the stays kept, only the last can have changed: it was ended. */
	if (member->state != MEMBER_OUT)
		member->stays[member->stay_count - 1].to_seq = ROSTER_OPEN_END;
}

static void
take_back(struct roster *r, struct undo *undo)
{
	switch (undo->kind) {
	case UNDO_MEMBER:
		take_back_member(undo->member.member, &undo->member.was);
		break;
	case UNDO_MEMBER_NEW:
		roster_drop_last_member(r);
		break;
	case UNDO_CARD:
		roster_card_free(undo->card.member->card);
		undo->card.member->card = undo->card.was;
		break;
	case UNDO_EPOCH_NEW:
		roster_drop_last_epoch(r);
		break;
	case UNDO_COUNTER:
		undo->counter.counter->last = undo->counter.last;
		undo->counter.counter->last_seq = undo->counter.last_seq;
		break;
	case UNDO_COUNTER_NEW:
		roster_drop_counter(r, undo->counter.counter);
		break;
	}
}

static void
end_batch(struct roster *r)
{
	r->batch = false;
	r->journal_len = 0;
	if (r->journal_cap > JOURNAL_KEEP) {
		free(r->journal);
		r->journal = NULL;
		r->journal_cap = 0;
	}
}

void
roster_begin(struct roster *roster)
{
	assert(!roster->batch && !roster->headless);
	roster->batch = true;
	roster->batch_events = 0;
	roster->batch_start = roster->s;
}

void
roster_commit(struct roster *roster)
{
	assert(roster->batch);
	for (size_t i = 0; i < roster->journal_len; i++)
		if (roster->journal[i].kind == UNDO_CARD)
			roster_card_free(roster->journal[i].card.was);
	end_batch(roster);
}

void
roster_rollback(struct roster *roster)
{
	assert(roster->batch);
	while (roster->journal_len > 0)
		take_back(roster, &roster->journal[--roster->journal_len]);
	roster->s = roster->batch_start;
	end_batch(roster);
}
