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
	const char *text = p->text, *mend = NULL; /* said already by who found it */

	if (text == NULL && p->refusal.why != NULL && p->refusal.why[0] != '\0')
		text = p->refusal.why;
	if (err == CHAT_ERR_OUT_OF_ORDER || err == CHAT_ERR_ALREADY)
		p->number = p->refusal.expected;
	if (err == CHAT_ERR_STALE)
		mend = "rekey the room, seal again";
	if (err == CHAT_ERR_STORE_UNAVAILABLE)
		mend = "send the same again";
	pending_refuse(p, err, text, mend);
}

/* A device's first message makes one thing more that the room remembers for ever. */
static bool
is_device_too_many(const struct room *room, const struct message_header *header)
{
	const struct roster_member *sender;

	if (header->counter != 1 || roster_counter(room->roster, &header->sender, &header->device) != 0)
		return false;
	sender = roster_member(room->roster, &header->sender);
	return sender != NULL && sender->device_count >= DEVICES_PER_MEMBER;
}

static enum chat_err
post_to_roster(
    struct engine *engine, struct pending *p, struct room *room, const struct message_header *header)
{
	bool too_many = is_device_too_many(room, header);
	enum chat_err err;

	if (too_many)
		roster_begin(room->roster);
	err = roster_post_message(room->roster, header, &p->cmd->message.entry_hash,
	    &p->session->account->member_id, engine->now.unix_ms, &p->refusal);
	if (!too_many)
		return err;
	roster_rollback(room->roster);
	if (err == CHAT_OK) {
		p->text = "this member has used as many devices in the room as the server allows";
		err = CHAT_ERR_LIMIT;
	}
	return err;
}

void
judge_post_message(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct store_new_entry entry = {.kind = ENTRY_MESSAGE};
	struct message_header header;
	uint64_t expected_seq;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	err = message_decode_header(cmd->message.wire, &header);
	if (err == CHAT_OK)
		err = room_of_session(engine, p->session, &cmd->room_id, &room, &stay);
	if (err != CHAT_OK) {
		pending_refuse(p, err, NULL, NULL);
		return;
	}
	if (!room_turn_reserve(&room->turn)) {
		pending_refuse_by_rules(p, CHAT_ERR_NOMEM);
		return;
	}
	expected_seq = roster_state(room->roster)->head.seq;
	if (!room_touch(engine, room, expected_seq)) {
		pending_refuse_by_rules(p, CHAT_ERR_NOMEM);
		return;
	}
	err = post_to_roster(engine, p, room, &header);
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
	if (!room_turn_note_counter(&room->turn, &header))
		assert(false); /* there is room for it since grow() */
}

/* ---- events ---- */

/* Each set is for one rekey: keys are not used twice, and what is stored does not outgrow what was sent. */
static struct wrap_set *
take_staged(struct wrap_set **list, const struct digest *wraps_hash)
{
	for (struct wrap_set **at = list; *at != NULL; at = &(*at)->next) {
		struct wrap_set *set = *at;

		if (digest_equal(&set->wraps_hash, wraps_hash)) {
			*at = set->next;
			set->next = NULL;
			return set;
		}
	}
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
	struct command *cmd;
	struct turn_mark mark;
};

/* Whom an event brings into the room. */
struct newcomers {
	struct account *accounts[2]; /* of published cards; NULL: not the published one */
	uint32_t count;
};

static enum chat_err
find_newcomer(struct engine *engine, const struct card *card, struct newcomers *ret)
{
	struct account *account = NULL;
	enum chat_err err = account_get(engine, account_bytes(&card->account), &account);

	if (err == CHAT_OK)
		err = account_load_rooms(engine, account);
	if (err != CHAT_OK && err != CHAT_ERR_NOT_FOUND)
		return err == CHAT_ERR_NOMEM ? err : CHAT_ERR_STORE_UNAVAILABLE;
	/* That a published one is retired is for the rules to say. */
	if (err == CHAT_OK &&
	    (!digest_equal(&account->card_hash, &card->card_hash) ||
		account_entry(engine, account_bytes(&account->name), account->account_id) == NULL))
		account = NULL;
	ret->accounts[ret->count++] = account;
	return CHAT_OK;
}

static enum chat_err
find_newcomers(struct engine *engine, const struct event *event, struct newcomers *ret)
{
	enum chat_err err = CHAT_OK;

	*ret = (struct newcomers){.count = 0};
	if (event->type == EVENT_CREATE || event->type == EVENT_INVITE)
		err = find_newcomer(engine, &event->card, ret);
	if (err == CHAT_OK && event->type == EVENT_CREATE && event->create.kind == ROOM_DIRECT)
		err = find_newcomer(engine, &event->peer_card, ret);
	return err;
}

static bool
are_published(const struct newcomers *newcomers)
{
	for (uint32_t i = 0; i < newcomers->count; i++)
		if (newcomers->accounts[i] == NULL)
			return false;
	return true;
}

/* Asked when the rules have allowed the event: limits tell nobody more than rules would. */
static enum chat_err
check_room_limits(struct engine *engine, struct pending *p, const struct newcomers *newcomers)
{
	if (newcomers->count > 0 && roster_reader_count(p->room->roster) > engine->config.room_readers_max) {
		p->text = "the room has as many members and invitees as the server allows";
		return CHAT_ERR_LIMIT;
	}
	for (uint32_t i = 0; i < newcomers->count; i++) {
		const struct account *account = newcomers->accounts[i];

		/* One who was kicked in this very batch is counted still. */
		if (account_stay(account, &p->room->id) == NULL &&
		    account->rooms.count >= engine->config.rooms_per_account) {
			p->text = "the account is in as many rooms as the server allows";
			return CHAT_ERR_LIMIT;
		}
	}
	return CHAT_OK;
}

/* Voluntary rekeys (while the room is open) are slowed down, per member. */
static enum chat_err
check_rekey_rate(struct engine *engine, struct pending *p)
{
	const struct digest *member_id = &p->session->account->member_id;
	struct room *room = p->room;
	struct member_bucket *bucket = map_get(&room->rekey_buckets, digest_bytes(member_id));

	if (bucket == NULL) {
		bucket = calloc(1, sizeof *bucket);
		if (bucket == NULL)
			return CHAT_ERR_NOMEM;
		bucket->member_id = *member_id;
		if (map_put(&room->rekey_buckets, digest_bytes(&bucket->member_id), bucket) != CHAT_OK) {
			free(bucket);
			return CHAT_ERR_NOMEM;
		}
	}
	if (pending_take(engine, p, &bucket->bucket, REKEY_BURST, UINT64_C(60000) / REKEY_PER_MIN))
		return CHAT_OK;
	p->text = "rekeys of an open room are limited to one a minute";
	return CHAT_ERR_RATE;
}

static enum chat_err
post_one(struct engine *engine, struct pending *p, struct batch *batch, const struct command_event *from)
{
	struct room *room = batch->room;
	struct room_turn *turn = &room->turn;
	struct wrap_set *staged = NULL;
	struct roster_wraps wraps = {0};
	struct newcomers newcomers;
	struct roster_change change;
	struct wrap_list *list = NULL;
	struct store_new_entry entry = {.kind = ENTRY_EVENT};
	struct event event;
	enum chat_err err;

	err = event_decode(from->wire, &event);
	if (err == CHAT_OK)
		err = find_newcomers(engine, &event, &newcomers);
	if (err != CHAT_OK)
		return err;
	if (!room_turn_reserve(turn))
		return CHAT_ERR_NOMEM;
	if (event.type == EVENT_REKEY) {
		staged = take_staged(&batch->cmd->events.staged, &event.rekey.wraps_hash);
		wraps.staged = staged != NULL;
		wraps.count = staged != NULL ? staged->count : 0;
	}
	err = roster_post_event(room->roster,
	    &(const struct roster_post){
		.event = &event,
		.poster = &p->session->account->member_id,
		.wraps = &wraps,
		.server_time_ms = engine->now.unix_ms,
		.signatures_good = from->signatures_good,
		.cards_unpublished = !are_published(&newcomers),
	    },
	    &change, &p->refusal);
	if (err == CHAT_OK)
		err = check_room_limits(engine, p, &newcomers);
	if (err == CHAT_OK && change.voluntary)
		err = check_rekey_rate(engine, p);
	if (err == CHAT_OK && event.type == EVENT_REKEY) {
		list = list_wraps(room, &event, staged);
		if (list == NULL || !room_turn_note_wraps(turn, list)) {
			wrap_list_unref(list);
			err = CHAT_ERR_NOMEM;
		}
	}
	wrap_set_free_list(staged);
	if (err != CHAT_OK)
		return err;
	entry.rekey = event.type == EVENT_REKEY;
	entry.server_time_ms = engine->now.unix_ms;
	entry.wire = from->wire;
	entry.entry_hash = change.entry_hash;
	entry.event_hash = event.event_hash;
	room_turn_add_entry(turn, &entry, list);
	if (change.member != NULL && (change.old_state != change.new_state || change.member_new) &&
	    !room_turn_note_stay(turn, &batch->mark, change.member, change.seq))
		return CHAT_ERR_NOMEM;
	if (change.peer != NULL && !room_turn_note_stay(turn, &batch->mark, change.peer, change.seq))
		return CHAT_ERR_NOMEM;
	return CHAT_OK;
}

static enum chat_err
make_room(struct engine *engine, struct pending *p, const struct event *create)
{
	struct roster *roster = roster_new(store_realm(engine->store), false);
	enum chat_err err;

	if (roster == NULL)
		return CHAT_ERR_NOMEM;
	if (!digest_equal(&create->actor, &p->session->account->member_id)) {
		/* Another's create is refused, and whether there is that room makes no difference. */
		err = roster_judge_event(roster,
		    &(const struct roster_post){
			.event = create, .poster = &p->session->account->member_id, .signatures_good = true},
		    &p->refusal);
		assert(err != CHAT_OK);
	} else {
		err = account_load_rooms(engine, p->session->account);
		if (err == CHAT_OK)
			err = room_new(engine, &create->room_id, roster, &p->room);
		if (err != CHAT_OK && err != CHAT_ERR_ALREADY && err != CHAT_ERR_NOMEM)
			err = CHAT_ERR_STORE_UNAVAILABLE;
	}
	if (err != CHAT_OK)
		roster_free(roster);
	return err;
}

/* The room that the first event is for.  What does not decode is told before anything is looked up. */
static enum chat_err
find_or_make_room(struct engine *engine, struct pending *p, bool *ret_made)
{
	const struct command *cmd = p->cmd;
	struct event event;
	struct stay *stay;
	enum chat_err err;

	*ret_made = false;
	assert(cmd->events.count >= 1 && cmd->events.count <= POST_EVENTS_MAX);
	err = event_decode(cmd->events.events[0].wire, &event);
	if (err != CHAT_OK)
		return err;
	if (!digest_is_zero(&cmd->room_id))
		return room_of_session(engine, p->session, &cmd->room_id, &p->room, &stay);
	if (event.type != EVENT_CREATE)
		return CHAT_ERR_NO_ROOM;
	err = make_room(engine, p, &event);
	*ret_made = err == CHAT_OK;
	return err;
}

void
judge_post_events(struct engine *engine, struct pending *p)
{
	struct command *cmd = p->cmd;
	struct batch batch = {.cmd = cmd};
	struct room_turn *turn;
	uint32_t done = 0;
	uint64_t expected_seq;
	bool made;
	enum chat_err err;

	err = find_or_make_room(engine, p, &made);
	if (err != CHAT_OK) {
		p->room = NULL;
		pending_refuse_by_rules(p, err);
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
	turn->last_poster = cmd->from;
	room_turn_note_accounts(engine, p->room, &batch.mark);
out:
	if (err != CHAT_OK) {
		pending_refuse_by_rules(p, err);
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
