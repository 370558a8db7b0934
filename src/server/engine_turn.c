/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a turn adds to a room: gathered by posts, handed to the store at the commit. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

/* Arrays that are longer are given back after a turn: a crowded turn is rare, and rooms are many. */
#define TURN_ITEMS_KEPT 64

static void
free_arrays(struct room_turn *turn)
{
	free(turn->entries);
	free(turn->wraps);
	free(turn->counters);
	free(turn->store_wraps);
	free(turn->stays);
	free(turn->out_seq);
	*turn = (struct room_turn){0};
}

void
room_turn_reset(struct room_turn *turn)
{
	for (uint32_t i = 0; i < turn->entry_count; i++) {
		wrap_list_unref(turn->wraps[i]);
		turn->wraps[i] = NULL;
	}
	turn->op = NULL;
	turn->entry_count = 0;
	turn->counter_count = 0;
	turn->wrap_count = 0;
	turn->stay_count = 0;
	turn->last_poster = (struct conn_ref){0};
	if (turn->entry_cap > TURN_ITEMS_KEPT || turn->counter_cap > TURN_ITEMS_KEPT ||
	    turn->wrap_cap > TURN_ITEMS_KEPT || turn->stay_cap > TURN_ITEMS_KEPT)
		free_arrays(turn);
}

void
room_turn_fini(struct room_turn *turn)
{
	room_turn_reset(turn);
	free_arrays(turn);
}

void
room_turn_close(struct room *room)
{
	struct room_turn *turn = &room->turn;
	struct store_append *append = &turn->op->append;

	append->entries = turn->entries;
	append->entry_count = turn->entry_count;
	append->counters = turn->counters;
	append->counter_count = turn->counter_count;
	append->wraps = turn->store_wraps;
	append->wrap_count = turn->wrap_count;
	append->stays = turn->stays;
	append->stay_count = turn->stay_count;
}

/* Makes room for one more in an array; the array is as it was on failure. */
static bool
grow(void *array, uint32_t *cap, uint32_t count, size_t item)
{
	void **at = array;
	uint32_t more = *cap == 0 ? 8 : *cap * 2;
	void *new;

	if (count < *cap)
		return true;
	new = reallocarray(*at, more, item);
	if (new == NULL)
		return false;
	*at = new;
	*cap = more;
	return true;
}

bool
room_turn_reserve(struct room_turn *turn)
{
	uint32_t cap = turn->entry_cap;

	return grow(&turn->entries, &cap, turn->entry_count, sizeof *turn->entries) &&
	       grow(&turn->wraps, &turn->entry_cap, turn->entry_count, sizeof *turn->wraps) &&
	       grow(&turn->counters, &turn->counter_cap, turn->counter_count, sizeof *turn->counters);
}

static bool
grow_stays(struct room_turn *turn)
{
	uint32_t cap = turn->stay_cap;

	return grow(&turn->stays, &cap, turn->stay_count, sizeof *turn->stays) &&
	       grow(&turn->out_seq, &turn->stay_cap, turn->stay_count, sizeof *turn->out_seq);
}

bool
room_touch(struct engine *engine, struct room *room, uint64_t expected_seq)
{
	if (room->turn.op != NULL)
		return true;
	room->turn.op = store_batch_add(engine->batch, STORE_APPEND);
	if (room->turn.op == NULL)
		return false;
	room->turn.op->append.room_id = room->id;
	room->turn.op->append.expected_seq = expected_seq;
	TAILQ_INSERT_TAIL(&engine->touched, room, touched_link);
	room_note_busy(engine, room);
	return true;
}

void
room_untouch(struct engine *engine, struct room *room)
{
	if (room->turn.op == NULL || room->turn.entry_count > 0)
		return;
	assert(store_batch_op(engine->batch, store_batch_count(engine->batch) - 1) == room->turn.op);
	store_batch_drop_last(engine->batch);
	room->turn.op = NULL;
	TAILQ_REMOVE(&engine->touched, room, touched_link);
	room_note_idle(engine, room);
}

void
room_turn_add_entry(struct room_turn *turn, const struct store_new_entry *entry, struct wrap_list *wraps)
{
	turn->entries[turn->entry_count] = *entry;
	turn->wraps[turn->entry_count] = wraps;
	turn->entry_count++;
}

bool
room_turn_note_counter(struct room_turn *turn, const struct message_header *header)
{
	/* From the newest: a busy device is the one that was last. */
	for (uint32_t i = turn->counter_count; i-- > 0;) {
		struct store_counter *counter = &turn->counters[i];

		if (memcmp(counter->device.b, header->device.b, DEVICE_ID_BYTES) == 0 &&
		    digest_equal(&counter->sender, &header->sender)) {
			counter->last = header->counter;
			return true;
		}
	}
	if (!grow(&turn->counters, &turn->counter_cap, turn->counter_count, sizeof *turn->counters))
		return false;
	turn->counters[turn->counter_count++] = (struct store_counter){
	    .sender = header->sender, .device = header->device, .last = header->counter};
	return true;
}

bool
room_turn_note_wraps(struct room_turn *turn, const struct wrap_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (!grow(&turn->store_wraps, &turn->wrap_cap, turn->wrap_count, sizeof *turn->store_wraps))
			return false;
		turn->store_wraps[turn->wrap_count++] = (struct store_wrap){
		    .epoch_id = list->epoch_id,
		    .member_id = list->items[i].member_id,
		    .wrap = list->items[i].wrap,
		};
	}
	return true;
}

/* ---- stays, and taking a batch back ---- */

void
room_turn_mark(const struct room_turn *turn, struct turn_mark *ret)
{
	ret->entry_count = turn->entry_count;
	ret->wrap_count = turn->wrap_count;
	ret->stay_count = turn->stay_count;
	ret->change_count = 0;
}

void
room_turn_cut(struct room_turn *turn, const struct turn_mark *mark)
{
	for (uint32_t i = mark->entry_count; i < turn->entry_count; i++) {
		wrap_list_unref(turn->wraps[i]);
		turn->wraps[i] = NULL;
	}
	turn->entry_count = mark->entry_count;
	turn->wrap_count = mark->wrap_count;
	for (uint32_t k = 0; k < mark->change_count; k++) {
		turn->stays[mark->changes[k].i] = mark->changes[k].stay;
		turn->out_seq[mark->changes[k].i] = mark->changes[k].out_seq;
	}
	turn->stay_count = mark->stay_count;
}

/* The i-th stay is about to change. */
static void
note_change(const struct room_turn *turn, struct turn_mark *mark, uint32_t i)
{
	for (uint32_t k = 0; k < mark->change_count; k++)
		if (mark->changes[k].i == i)
			return;
	assert(mark->change_count < ARRAY_LEN(mark->changes));
	mark->changes[mark->change_count].i = i;
	mark->changes[mark->change_count].stay = turn->stays[i];
	mark->changes[mark->change_count].out_seq = turn->out_seq[i];
	mark->change_count++;
}

bool
room_turn_note_stay(
    struct room_turn *turn, struct turn_mark *mark, const struct roster_member *member, uint64_t seq)
{
	static const enum store_stay stays[] = {
	    [MEMBER_OUT] = STORE_OUT, [MEMBER_INVITED] = STORE_INVITED, [MEMBER_JOINED] = STORE_JOINED};
	uint32_t i;

	for (i = 0; i < turn->stay_count; i++)
		if (digest_equal(&turn->stays[i].member_id, &member->id))
			break;
	if (i == turn->stay_count) {
		if (!grow_stays(turn))
			return false;
		turn->stays[i] = (struct store_stay_change){.member_id = member->id};
		turn->out_seq[i] = 0;
		turn->stay_count++;
	}
	note_change(turn, mark, i);
	turn->stays[i].stay = stays[member->state];
	turn->stays[i].since_seq = member->place_seq;
	/* The first time: what a subscription from before still gets. */
	if (member->state == MEMBER_OUT && turn->out_seq[i] == 0)
		turn->out_seq[i] = seq;
	return true;
}

void
room_turn_note_accounts(struct engine *engine, struct room *room, const struct turn_mark *mark)
{
	for (uint32_t k = 0; k < mark->change_count; k++) {
		const struct store_stay_change *change = &room->turn.stays[mark->changes[k].i];
		struct account *account = account_of_member(engine, &change->member_id);

		if (account != NULL)
			account_note_stay(engine, account, room, change);
	}
}
