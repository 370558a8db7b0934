/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Posts: messages and events against the rules of the room. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/event.h"
#include "group/seal.h"
#include "server/engine_impl.h"

/* ---- messages ---- */

void
pending_refuse_by_rules(struct pending *p, enum chat_err err)
{
	if (err == CHAT_ERR_NOMEM)
		err = CHAT_ERR_BUSY;
	pending_refuse(p, err, NULL, NULL);
	p->number = p->refusal.expected;
	if (p->refusal.why != NULL && p->refusal.why[0] != '\0')
		p->text = p->refusal.why;
	if (err == CHAT_ERR_STALE)
		p->mend = "rekey the room, seal again";
}

void
judge_post_message(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct store_new_entry entry = {.kind = ENTRY_MESSAGE};
	struct message message;
	uint64_t expected_seq;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &cmd->room_id, &room, &stay);
	if (err == CHAT_OK)
		err = message_decode(cmd->message.wire, &message);
	if (err != CHAT_OK) {
		pending_refuse(p, err, NULL, NULL);
		return;
	}
	if (!room_turn_reserve(&room->turn)) {
		pending_refuse(p, CHAT_ERR_BUSY, NULL, NULL);
		return;
	}
	expected_seq = roster_state(room->roster)->head.seq;
	if (!room_touch(engine, room, expected_seq)) {
		pending_refuse(p, CHAT_ERR_BUSY, NULL, NULL);
		return;
	}
	err = roster_post_message(room->roster, &message.header, &cmd->message.entry_hash,
	    &p->session->account->member_id, engine->now.unix_ms, &p->refusal);
	if (err != CHAT_OK) {
		room_untouch(engine, room);
		pending_refuse_by_rules(p, err);
		return;
	}
	entry.server_time_ms = engine->now.unix_ms;
	entry.wire = cmd->message.wire;
	entry.entry_hash = cmd->message.entry_hash;
	p->room = room;
	p->first_entry = room->turn.entry_count;
	p->entry_count = 1;
	room_turn_add_entry(&room->turn, &entry, NULL);
	if (!room_turn_note_counter(&room->turn, &message.header))
		assert(false); /* there is room for it since grow() */
}

/* ---- events ---- */

static const struct wrap_set *
find_staged(const struct wrap_set *set, const struct digest *wraps_hash)
{
	for (; set != NULL; set = set->next)
		if (digest_equal(&set->wraps_hash, wraps_hash))
			return set;
	return NULL;
}

/* The wraps are in the order of the readers at this place. */
static struct wrap_list *
list_wraps(const struct room *room, const struct event *event, const struct wrap_set *set)
{
	struct wrap_list *list = wrap_list_new(set->count);
	const struct roster_member *reader = NULL;
	uint32_t i = 0;

	if (list == NULL)
		return NULL;
	list->room_id = room->id;
	list->epoch_id = event->event_hash;
	while ((reader = roster_next_reader(room->roster, reader)) != NULL) {
		assert(i < set->count);
		list->items[i].member_id = reader->id;
		memcpy(list->items[i].wrap, set->wraps + (size_t)i * WRAP_BYTES, WRAP_BYTES);
		i++;
	}
	assert(i == set->count);
	wrap_list_seal(list);
	return list;
}

/* A batch on its way: what it adds stands in the turn, and is cut off again if one of its events is refused.
 */
struct batch {
	struct room *room;
	const struct command *cmd;
	struct turn_mark mark;
	bool closed;
};

static bool
is_published(struct engine *engine, const struct card *card)
{
	struct account *account;

	return account_get(engine, account_bytes(&card->account), &account) == CHAT_OK &&
	       digest_equal(&account->card_hash, &card->card_hash) && !account->card_retired;
}

static bool
cards_published(struct engine *engine, const struct event *event)
{
	switch (event->type) {
	case EVENT_CREATE:
		return is_published(engine, &event->card) &&
		       (event->create.kind != ROOM_DIRECT || is_published(engine, &event->peer_card));
	case EVENT_INVITE:
		return is_published(engine, &event->card);
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
	case EVENT_KICK:
	case EVENT_ROLE:
	case EVENT_SETTINGS:
	case EVENT_CARD:
	case EVENT_REKEY:
		return true;
	}
	return true;
}

/* The account's rooms are counted when somebody brings it into one more. */
static enum chat_err
check_room_limits(struct engine *engine, struct pending *p, const struct event *event)
{
	const struct roster_member *member;
	struct account *account;

	if (event->type == EVENT_INVITE &&
	    roster_reader_count(p->room->roster) >= engine->config.room_readers_max) {
		p->text = "the room has as many members and invitees as the server allows";
		return CHAT_ERR_LIMIT;
	}
	if (event->type != EVENT_CREATE && event->type != EVENT_INVITE)
		return CHAT_OK;
	if (account_get(engine, account_bytes(&event->card.account), &account) != CHAT_OK ||
	    account_load_rooms(engine, account) != CHAT_OK)
		return CHAT_OK; /* not published: the rules say conflict */
	member = roster_member(p->room->roster, &account->member_id);
	if (!member_is_reader(member) && account->reading_count >= engine->config.rooms_per_account) {
		p->text = "the account is in as many rooms as the server allows";
		return CHAT_ERR_LIMIT;
	}
	return CHAT_OK;
}

/* Voluntary rekeys (while the room is open) are slowed down, per member. */
static bool
rekey_too_often(struct engine *engine, struct pending *p, const struct event *event)
{
	struct room *room = p->room;
	struct member_bucket *bucket;

	if (event->type != EVENT_REKEY || !roster_state(room->roster)->open)
		return false;
	bucket = map_get(&room->rekey_buckets, digest_bytes(&p->session->account->member_id));
	if (bucket == NULL) {
		bucket = calloc(1, sizeof *bucket);
		if (bucket != NULL)
			bucket->member_id = p->session->account->member_id;
		if (bucket == NULL ||
		    map_put(&room->rekey_buckets, digest_bytes(&bucket->member_id), bucket) != CHAT_OK) {
			free(bucket);
			return false;
		}
	}
	return !pending_take(engine, p, &bucket->bucket, REKEY_BURST, UINT64_C(60000) / REKEY_PER_MIN);
}

static enum chat_err
post_one(struct engine *engine, struct pending *p, struct batch *batch, const struct command_event *from)
{
	struct room *room = batch->room;
	struct room_turn *turn = &room->turn;
	const struct wrap_set *staged = NULL;
	struct roster_wraps wraps = {0};
	struct roster_change change;
	struct wrap_list *list = NULL;
	struct store_new_entry entry = {.kind = ENTRY_EVENT};
	struct event event;
	enum chat_err err;

	err = event_decode(from->wire, &event);
	if (err != CHAT_OK)
		return err;
	if (event.type == EVENT_REKEY) {
		staged = find_staged(batch->cmd->events.staged, &event.rekey.wraps_hash);
		wraps.staged = staged != NULL;
		wraps.count = staged != NULL ? staged->count : 0;
	}
	err = check_room_limits(engine, p, &event);
	if (err != CHAT_OK)
		return err;
	if (!room_turn_reserve(turn))
		return CHAT_ERR_NOMEM;
	err = roster_post_event(room->roster,
	    &(const struct roster_post){
		.event = &event,
		.poster = &p->session->account->member_id,
		.wraps = &wraps,
		.server_time_ms = engine->now.unix_ms,
		.signatures_good = from->signatures_good,
		.cards_unpublished = !cards_published(engine, &event),
	    },
	    &change, &p->refusal);
	if (err != CHAT_OK)
		return err;
	if (change.voluntary && rekey_too_often(engine, p, &event)) {
		p->text = "rekeys of an open room are limited to one a minute";
		return CHAT_ERR_RATE;
	}
	if (event.type == EVENT_REKEY) {
		list = list_wraps(room, &event, staged);
		if (list == NULL || !room_turn_note_wraps(turn, list)) {
			wrap_list_unref(list);
			return CHAT_ERR_NOMEM;
		}
	}
	entry.rekey = event.type == EVENT_REKEY;
	entry.server_time_ms = engine->now.unix_ms;
	entry.wire = from->wire;
	entry.entry_hash = change.entry_hash;
	entry.event_hash = event.event_hash;
	room_turn_add_entry(turn, &entry, list);
	batch->closed = entry.rekey ? false : batch->closed || change.closed;
	if (change.member != NULL && (change.old_state != change.new_state || change.member_new) &&
	    !room_turn_note_stay(turn, &batch->mark, change.member, change.seq))
		return CHAT_ERR_NOMEM;
	if (change.peer != NULL && !room_turn_note_stay(turn, &batch->mark, change.peer, change.seq))
		return CHAT_ERR_NOMEM;
	return CHAT_OK;
}

static enum chat_err
find_or_make_room(struct engine *engine, struct pending *p, bool *ret_new)
{
	const struct command *cmd = p->cmd;
	struct roster *roster;
	struct event event;
	struct stay *stay;
	enum chat_err err;

	*ret_new = false;
	if (!digest_is_zero(&cmd->room_id))
		return room_of_session(engine, p->session, &cmd->room_id, &p->room, &stay);
	err = event_decode(cmd->events.events[0].wire, &event);
	if (err != CHAT_OK)
		return err;
	if (event.type != EVENT_CREATE)
		return CHAT_ERR_NO_ROOM;
	roster = roster_new(store_realm(engine->store), false);
	if (roster == NULL)
		return CHAT_ERR_NOMEM;
	err = account_load_rooms(engine, p->session->account);
	if (err == CHAT_OK)
		err = room_new(engine, &event.room_id, roster, &p->room);
	if (err != CHAT_OK) {
		roster_free(roster);
		return err == CHAT_ERR_ALREADY ? err : CHAT_ERR_STORE_UNAVAILABLE;
	}
	*ret_new = true;
	return CHAT_OK;
}

void
judge_post_events(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct batch batch = {.cmd = cmd};
	struct room_turn *turn;
	uint32_t done = 0;
	uint64_t expected_seq;
	bool made;
	enum chat_err err;

	err = find_or_make_room(engine, p, &made);
	if (err != CHAT_OK) {
		p->room = NULL;
		pending_refuse(p, err, NULL, NULL);
		return;
	}
	batch.room = p->room;
	turn = &p->room->turn;
	room_turn_mark(turn, &batch.mark);
	expected_seq = roster_state(p->room->roster)->head.seq;

	roster_begin(p->room->roster);
	for (; done < cmd->events.count && err == CHAT_OK; done++)
		err = post_one(engine, p, &batch, &cmd->events.events[done]);
	if (err == CHAT_OK && !room_touch(engine, p->room, expected_seq))
		err = CHAT_ERR_NOMEM;
	if (err != CHAT_OK) {
		pending_give_back(p);
		roster_rollback(p->room->roster);
		room_turn_cut(turn, &batch.mark);
		goto out;
	}
	roster_commit(p->room->roster);
	p->first_entry = batch.mark.entry_count;
	p->entry_count = cmd->events.count;
	turn->closed_by_change = batch.closed;
	turn->last_poster = cmd->from;
	room_turn_note_accounts(engine, p->room, &batch.mark);
out:
	if (err != CHAT_OK) {
		const char *text = p->text;

		pending_refuse_by_rules(p, err);
		if (text != NULL)
			p->text = text;
		if (done > 0)
			p->refusal.index = done - 1;
		if (made)
			room_free(engine, p->room);
		else
			room_note_idle(engine, p->room);
		p->room = NULL;
	}
}

void
finish_post(struct engine *engine, struct pending *p)
{
	const struct room_turn *turn = &p->room->turn;
	struct outcome *out = engine_out(engine, OUT_POSTED, p->cmd->from, p->cmd->request_id);

	if (out == NULL)
		return;
	out->posted.first_seq = turn->op->result.first_seq + p->first_entry;
	out->posted.count = p->entry_count;
	out->posted.server_time_ms = turn->entries[p->first_entry].server_time_ms;
	out->posted.hash = turn->entries[p->first_entry + p->entry_count - 1].log_hash;
}

/* ---- healing ---- */

void
judge_offer_entries(struct engine *engine, struct pending *p)
{
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	/* The bytes are settled; taking entries back after a restore is not offered by this version. */
	err = room_of_session(engine, p->session, &p->cmd->room_id, &room, &stay);
	pending_refuse(p, err != CHAT_OK ? err : CHAT_ERR_UNSUPPORTED,
	    err != CHAT_OK ? NULL : "this server does not take entries back yet", NULL);
}
