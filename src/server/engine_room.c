/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms in memory: loading, forgetting, finding; who follows them, and what a member may read. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/event.h"
#include "server/engine_impl.h"

/* ---- loading ---- */

struct load_roster {
	struct roster *roster;
	enum chat_err err;
};

static bool
load_event(void *ctx, const struct store_entry *entry)
{
	struct load_roster *load = ctx;
	struct event event;

	load->err = event_decode(entry->wire, &event);
	/* Signatures were verified when it was posted; the store is our own. */
	if (load->err == CHAT_OK)
		load->err = roster_load_event(load->roster, entry->seq, &event, true, NULL);
	return load->err == CHAT_OK;
}

static bool
load_counter(void *ctx, const struct store_counter *counter)
{
	struct load_roster *load = ctx;

	load->err = roster_set_counter(load->roster, &counter->sender, &counter->device, counter->last);
	return load->err == CHAT_OK;
}

static enum chat_err
load_roster(struct engine *engine, struct room *room)
{
	struct load_roster load = {.roster = roster_new(store_realm(engine->store), false)};
	struct store_room stored;
	enum chat_err err;

	if (load.roster == NULL)
		return CHAT_ERR_NOMEM;
	err = store_room_by_id(engine->store, &room->id, &stored);
	if (err == CHAT_OK)
		err = store_events_each(engine->store, stored.room_no, load_event, &load);
	if (err == CHAT_OK && load.err == CHAT_OK)
		err = roster_set_head(load.roster, &stored.head);
	if (err == CHAT_OK && load.err == CHAT_OK)
		err = store_counters_each(engine->store, stored.room_no, load_counter, &load);
	/* What the rules say of a stored event is no answer to anybody: the store is damaged. */
	if (err == CHAT_OK && load.err != CHAT_OK)
		err = load.err == CHAT_ERR_NOMEM ? load.err : CHAT_ERR_CORRUPT;
	if (err != CHAT_OK) {
		roster_free(load.roster);
		return err;
	}
	room->room_no = stored.room_no;
	room->oldest_whole_seq = stored.oldest_whole_seq;
	room->roster = load.roster;
	return CHAT_OK;
}

/* ---- coming and going ---- */

static enum chat_err
room_make(struct engine *engine, const struct digest *room_id, struct room **ret)
{
	struct room *room = calloc(1, sizeof *room);

	if (room == NULL)
		return CHAT_ERR_NOMEM;
	room->id = *room_id;
	room->oldest_whole_seq = 1;
	TAILQ_INIT(&room->subscribers);
	TAILQ_INIT(&room->asks);
	room->loop_subscribers = calloc(engine->config.loop_count, sizeof *room->loop_subscribers);
	if (room->loop_subscribers == NULL ||
	    map_put(&engine->rooms, digest_bytes(&room->id), room) != CHAT_OK) {
		free(room->loop_subscribers);
		free(room);
		return CHAT_ERR_NOMEM;
	}
	*ret = room;
	return CHAT_OK;
}

void
room_note_busy(struct engine *engine, struct room *room)
{
	if (!room->idle)
		return;
	TAILQ_REMOVE(&engine->idle_rooms, room, idle_link);
	engine->idle_count--;
	engine->idle_bytes -= room->idle_bytes;
	room->idle = false;
}

void
room_note_idle(struct engine *engine, struct room *room)
{
	if (room->subscriber_count > 0 || room->turn.op != NULL)
		return;
	if (room->leased)
		room_end_lease(engine, room);
	room_note_busy(engine, room);
	TAILQ_INSERT_TAIL(&engine->idle_rooms, room, idle_link);
	room->idle_bytes = sizeof *room + (room->roster != NULL ? roster_bytes(room->roster) : 0);
	engine->idle_count++;
	engine->idle_bytes += room->idle_bytes;
	room->idle = true;
}

void
room_free(struct engine *engine, struct room *room)
{
	struct rewrap_ask *ask;
	struct member_bucket *bucket;
	size_t at = 0;

	assert(room->subscriber_count == 0);
	room_note_busy(engine, room);
	if (room->leased)
		room_end_lease(engine, room);
	retention_forget_room(engine, room);
	map_remove(&engine->rooms, digest_bytes(&room->id));
	while ((ask = TAILQ_FIRST(&room->asks)) != NULL) {
		TAILQ_REMOVE(&room->asks, ask, link);
		free(ask);
	}
	while ((bucket = map_next(&room->rekey_buckets, &at)) != NULL)
		free(bucket);
	map_fini(&room->rekey_buckets);
	room_turn_fini(&room->turn);
	roster_free(room->roster);
	free(room->loop_subscribers);
	free(room);
}

void
rooms_evict_idle(struct engine *engine)
{
	while (engine->idle_count > IDLE_ROOMS_KEPT || engine->idle_bytes > IDLE_ROOM_BYTES_KEPT)
		room_free(engine, TAILQ_FIRST(&engine->idle_rooms));
}

void
room_forget(struct engine *engine, struct room *room)
{
	roster_free(room->roster);
	room->roster = NULL;
	if (room->subscriber_count == 0)
		room_free(engine, room);
}

/* ---- finding ---- */

enum chat_err
room_get(struct engine *engine, const struct digest *room_id, struct room **ret)
{
	struct room *room = map_get(&engine->rooms, digest_bytes(room_id));
	enum chat_err err;

	if (room == NULL) {
		err = room_make(engine, room_id, &room);
		if (err != CHAT_OK)
			return err;
	}
	if (room->roster == NULL) {
		err = load_roster(engine, room);
		if (err != CHAT_OK) {
			if (room->subscriber_count == 0)
				room_free(engine, room);
			return err == CHAT_ERR_NOT_FOUND ? CHAT_ERR_NO_ROOM : err;
		}
	}
	room_note_idle(engine, room); /* not while somebody follows it; else it is the one used last */
	*ret = room;
	return CHAT_OK;
}

enum chat_err
room_new(struct engine *engine, const struct digest *room_id, struct roster *roster, struct room **ret)
{
	struct store_room stored;
	enum chat_err err;

	if (map_get(&engine->rooms, digest_bytes(room_id)) != NULL)
		return CHAT_ERR_ALREADY;
	err = store_room_by_id(engine->store, room_id, &stored);
	if (err != CHAT_ERR_NOT_FOUND)
		return err == CHAT_OK ? CHAT_ERR_ALREADY : err;
	err = room_make(engine, room_id, ret);
	if (err == CHAT_OK)
		(*ret)->roster = roster;
	return err;
}

enum chat_err
room_of_session(struct engine *engine, const struct session *session, const struct digest *room_id,
    struct room **ret_room, struct stay **ret_stay)
{
	struct stay *stay;
	enum chat_err err;

	err = account_load_rooms(engine, session->account);
	if (err != CHAT_OK)
		return CHAT_ERR_STORE_UNAVAILABLE;
	stay = account_stay(session->account, room_id);
	if (stay == NULL)
		return CHAT_ERR_NO_ROOM;
	err = room_get(engine, room_id, ret_room);
	if (err != CHAT_OK)
		return err == CHAT_ERR_NO_ROOM ? err : CHAT_ERR_STORE_UNAVAILABLE;
	*ret_stay = stay;
	return CHAT_OK;
}

struct view *
room_view(const struct room *room, const struct digest *member_id)
{
	const struct roster_member *member = roster_member(room->roster, member_id);
	struct roster_range *ranges = NULL;
	struct seq_range *copy = NULL;
	struct view *view = NULL;
	size_t count = 0;

	if (member != NULL && roster_read_ranges(room->roster, member, &ranges, &count) != CHAT_OK)
		return NULL;
	copy = calloc(count + 1, sizeof *copy);
	if (copy != NULL) {
		for (size_t i = 0; i < count; i++)
			copy[i] = (struct seq_range){.from = ranges[i].from_seq, .to = ranges[i].to_seq};
		/* Who is joined reads what is said from now on, also if there was no rekey yet since the
		 * invitation: a message needs an epoch, and of all that open from now on this member is a
		 * reader. Views are made again when a stay changes, not at each rekey. */
		if (member_is_joined(member) && (count == 0 || copy[count - 1].to != UINT64_MAX))
			copy[count++] = (struct seq_range){
			    .from = roster_state(room->roster)->head.seq + 1, .to = UINT64_MAX};
		view = view_new(copy, (uint32_t)count);
	}
	free(ranges);
	free(copy);
	return view;
}

/* ---- who follows ---- */

/* The shorter list is searched: neither the many rooms of one session nor the many sessions of one room count
 * alone. */
struct subscriber *
room_subscriber(const struct room *room, const struct session *session)
{
	struct subscriber *subscriber;

	if (session->subscriber_count <= room->subscriber_count) {
		LIST_FOREACH (subscriber, &session->subscribers, session_link)
			if (subscriber->room == room)
				return subscriber;
	} else {
		TAILQ_FOREACH (subscriber, &room->subscribers, room_link)
			if (subscriber->session == session)
				return subscriber;
	}
	return NULL;
}

void
room_asked(struct room *room, struct subscriber *subscriber)
{
	TAILQ_REMOVE(&room->subscribers, subscriber, room_link);
	TAILQ_INSERT_TAIL(&room->subscribers, subscriber, room_link);
}

void
subscriber_remove(struct engine *engine, struct subscriber *subscriber)
{
	struct room *room = subscriber->room;
	struct conn_ref conn = subscriber->session->conn;

	LIST_REMOVE(subscriber, session_link);
	TAILQ_REMOVE(&room->subscribers, subscriber, room_link);
	subscriber->session->subscriber_count--;
	room->subscriber_count--;
	room->loop_subscribers[conn.loop]--;
	free(subscriber);
	if (room->leased && room->lease.loop == conn.loop && room->lease.slot == conn.slot &&
	    room->lease.generation == conn.generation) {
		room_end_lease(engine, room);
		room_lend_rekey(engine, room, (struct conn_ref){0});
	}
	room_note_idle(engine, room);
}

enum chat_err
room_subscribe(struct engine *engine, struct room *room, struct session *session)
{
	struct subscriber *subscriber;

	if (room_subscriber(room, session) != NULL)
		return CHAT_OK;
	subscriber = calloc(1, sizeof *subscriber);
	if (subscriber == NULL)
		return CHAT_ERR_NOMEM;
	subscriber->session = session;
	subscriber->room = room;
	LIST_INSERT_HEAD(&session->subscribers, subscriber, session_link);
	session->subscriber_count++;
	TAILQ_INSERT_HEAD(&room->subscribers, subscriber, room_link);
	room->subscriber_count++;
	room->loop_subscribers[session->conn.loop]++;
	room_note_busy(engine, room);
	return CHAT_OK;
}
