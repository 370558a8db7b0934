/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/room.h"

/* After so much the *sender* rekeys before it says more (chat-protocol(7), Room events). */
#define REKEY_AFTER_MESSAGES 10000
#define REKEY_AFTER_MS       (UINT64_C(7) * 24 * 60 * 60 * 1000)
/* Whoever waits leaves the one who was asked so long. */
#define REKEY_WAIT_MS        REKEY_LEASE_MS
#define REKEY_RETRY_FIRST_MS 100
#define REKEY_TRIES_MAX      10
#define VOLUNTARY_PAUSE_MS   60000

static void
retry_later(struct room *room, uint64_t least_ms)
{
	uint64_t wait = (uint64_t)REKEY_RETRY_FIRST_MS << (room->rekey_tries < 6 ? room->rekey_tries : 6);

	room->rekey_tries++;
	room->rekey_not_before_ms = room->s->now.mono_ms + (wait > least_ms ? wait : least_ms);
}

static void
start(struct room *room, bool voluntary)
{
	const struct batch_plan plan = {
	    .rekey = true,
	    .voluntary = voluntary,
	    .name = buf_bytes(&room->name),
	    .topic = buf_bytes(&room->topic),
	};
	struct refusal refusal;
	struct batch *batch;

	refusal = batch_start(room->s, room, NULL, &plan, &batch);
	if (refusal.err != CHAT_OK)
		rekey_batch_ended(room, &refusal, voluntary, 0);
}

void
rekey_batch_ended(struct room *room, const struct refusal *refusal, bool voluntary, uint64_t last_seq)
{
	room_wake(room);
	if (refusal->err == CHAT_OK) {
		room->rekey_posted_seq = last_seq;
		room->rekey_tries = 0;
		return;
	}
	if (voluntary) {
		/* The room is open: what is to be said can be said in the old epoch. */
		room->voluntary_not_before_ms =
		    room->s->now.mono_ms + (refusal->retry_after_ms > VOLUNTARY_PAUSE_MS
						   ? refusal->retry_after_ms
						   : VOLUNTARY_PAUSE_MS);
		return;
	}
	retry_later(room, refusal->retry_after_ms);
	if (room->rekey_tries == REKEY_TRIES_MAX)
		session_warn(room->s, room, 0, NULL, "%s cannot be rekeyed: %s", room->label,
		    refusal->text != NULL && refusal->text[0] != '\0' ? refusal->text
								      : chat_strerror(refusal->err));
	if (room->rekey_tries >= REKEY_TRIES_MAX)
		room->lease_until_ms = 0;
}

void
rekey_wanted(struct room *room, uint32_t lease_ms)
{
	room->lease_until_ms = room->s->now.mono_ms + lease_ms;
	room_wake(room);
}

/* Nothing stands in the way of a batch by this client. */
static bool
may_start(const struct room *room)
{
	return room->batch == NULL && room_is_live(room) && room_is_joined(room) && !room->info_loading &&
	       room_head(room)->seq >= room->rekey_posted_seq;
}

/* When to rekey a room that is not open; NEVER_MS: not for now. */
static uint64_t
due_ms(const struct room *room)
{
	uint64_t due = NEVER_MS;

	if (!roster_needs_rekey(room->roster))
		return NEVER_MS;
	if (room->lease_until_ms > room->s->now.mono_ms)
		due = 0;
	else if (room->closed_since_ms != 0 && !TAILQ_EMPTY(&room->out))
		due = room->closed_since_ms + REKEY_WAIT_MS;
	if (due != NEVER_MS && due < room->rekey_not_before_ms)
		due = room->rekey_not_before_ms;
	return due;
}

void
rekey_run(struct room *room)
{
	if (may_start(room) && due_ms(room) <= room->s->now.mono_ms)
		start(room, false);
}

uint64_t
rekey_deadline_ms(const struct room *room)
{
	return may_start(room) ? due_ms(room) : NEVER_MS;
}

static bool
is_old(const struct room *room)
{
	const struct roster_state *state = roster_state(room->roster);

	return state->head.seq - state->epoch_seq >= REKEY_AFTER_MESSAGES ||
	       (room->epoch_time_ms != 0 && room->s->now.unix_ms > room->epoch_time_ms &&
		   room->s->now.unix_ms - room->epoch_time_ms >= REKEY_AFTER_MS);
}

bool
rekey_open_for_saying(struct room *room)
{
	const struct roster_state *state = roster_state(room->roster);
	const struct roster_epoch *epoch = roster_epoch(room->roster, &state->epoch_id);
	bool missing;

	if (!state->open) {
		if (room->closed_since_ms == 0)
			room->closed_since_ms = room->s->now.mono_ms > 0 ? room->s->now.mono_ms : 1;
		return false;
	}
	if (room->batch != NULL && room->batch->voluntary)
		return false;
	missing = epoch == NULL || keys_get(room, epoch) == NULL;
	if (missing && epoch != NULL && keys_are_pending(room, epoch))
		return false;
	if ((missing || is_old(room)) && may_start(room) &&
	    room->voluntary_not_before_ms <= room->s->now.mono_ms) {
		start(room, true);
		return !missing && room->batch == NULL;
	}
	return !missing;
}
