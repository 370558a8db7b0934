/* SPDX-License-Identifier: GPL-3.0-or-later */

/* After a commit: what everybody is told of a room, and what the log says of it. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/event.h"
#include "proto/frame.h"
#include "server/audit.h"
#include "server/engine_impl.h"

/* ---- frames of new entries: each once, whoever and however many read it ---- */

static struct frame_ref *
encode_entry(const struct room *room, uint64_t seq, const struct store_new_entry *entry, bool whole)
{
	const struct entry_push push = {
	    .room_id = &room->id,
	    .seq = seq,
	    .server_time_ms = entry->server_time_ms,
	    .kind = entry->kind,
	    .wire = whole ? entry->wire : BYTES_EMPTY,
	    .entry_hash = whole ? NULL : &entry->entry_hash,
	};
	size_t len = frame_entry_bytes(&push);
	struct frame_ref *frame = frame_ref_new(len);

	if (frame != NULL)
		frame_entry_put(&push, frame->data, len);
	return frame;
}

/* True if some subscriber may not read messages: only then is a stub needed. */
static bool
has_invitees(const struct room *room)
{
	const struct roster_state *state = roster_state(room->roster);

	return state->joined_count < state->reader_count;
}

/* They do not even hear of the numbers, and would wait for the next entry. */
static void
lose_followers(struct engine *engine, const struct room *room, uint16_t loop)
{
	const struct subscriber *subscriber;

	TAILQ_FOREACH (subscriber, &room->subscribers, room_link)
		if (subscriber->session->conn.loop == loop)
			engine_lose(engine, subscriber->session->conn);
}

/* A frame that could not be made is left out: it is read. */
static void
encode_entries(const struct room *room, struct entry_frames *frames)
{
	const struct room_turn *turn = &room->turn;
	bool stubs = has_invitees(room) || turn->stay_count > 0;

	for (uint32_t i = 0; i < turn->entry_count; i++) {
		const struct store_new_entry *entry = &turn->entries[i];
		uint64_t seq = turn->op->result.first_seq + i;

		frames[i].seq = seq;
		frames[i].event = entry->kind == ENTRY_EVENT;
		frames[i].whole = encode_entry(room, seq, entry, true);
		if (stubs && entry->kind == ENTRY_MESSAGE)
			frames[i].stub = encode_entry(room, seq, entry, false);
		if (turn->wraps[i] != NULL)
			frames[i].wraps = wrap_list_ref(turn->wraps[i]);
	}
}

static void
share_entries(const struct entry_frames *from, struct entry_frames *to, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		to[i] = from[i];
		if (to[i].whole != NULL)
			frame_ref_ref(to[i].whole);
		if (to[i].stub != NULL)
			frame_ref_ref(to[i].stub);
		if (to[i].wraps != NULL)
			wrap_list_ref(to[i].wraps);
	}
}

static void
announce_entries(struct engine *engine, struct room *room)
{
	const struct room_turn *turn = &room->turn;
	const struct outcome *first = NULL;

	engine->entries += turn->entry_count;
	for (uint16_t loop = 0; loop < engine->config.loop_count; loop++) {
		struct outcome *out;

		if (room->loop_subscribers[loop] == 0)
			continue;
		out = engine_out_entries(engine, loop, turn->entry_count);
		if (out == NULL) {
			lose_followers(engine, room, loop);
			continue;
		}
		out->entries.room_no = room->room_no;
		if (first == NULL)
			encode_entries(room, out->entries.frames);
		else
			share_entries(first->entries.frames, out->entries.frames, turn->entry_count);
		first = out;
	}
}

/* ---- changed stays ---- */

static void
announce_end(struct engine *engine, struct room *room, struct session *session, uint64_t end_seq)
{
	struct subscriber *subscriber = room_subscriber(room, session);
	struct outcome *out;

	if (subscriber == NULL)
		return;
	out = engine_out(engine, OUT_END, session->conn, 0);
	if (out != NULL) {
		out->end.room_no = room->room_no;
		out->end.end_seq = end_seq;
	}
}

static void
announce_view(struct engine *engine, struct room *room, struct session *session)
{
	struct outcome *out;
	struct view *view;

	if (room_subscriber(room, session) == NULL)
		return;
	view = room_view(room, &session->account->member_id);
	if (view == NULL) {
		engine_lose(engine, session->conn);
		return;
	}
	out = engine_out(engine, OUT_VIEW, session->conn, 0);
	if (out == NULL) {
		view_unref(view);
		return;
	}
	out->view.room_no = room->room_no;
	out->view.view = view;
}

static void
push_room_added(struct engine *engine, struct room *room, const struct stay *stay, struct conn_ref to)
{
	Chat__V1__RoomAdded push = CHAT__V1__ROOM_ADDED__INIT;
	Chat__V1__RoomSummary summary;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	fill_room_summary(room, stay, &summary);
	push.room = &summary;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED;
	frame.room_added = &push;
	engine_out_frame(engine, to, &frame, 0);
}

/*
 * Before the entries go out: subscriptions of who went end at the number of that event, and rights of who
 * stayed are those of the new state, by number, so the order of the two does not matter.
 */
static void
announce_stay(struct engine *engine, struct room *room, uint32_t i)
{
	const struct store_stay_change *change = &room->turn.stays[i];
	struct account *account = account_of_member(engine, &change->member_id);
	struct session *session;

	if (account == NULL)
		return;
	TAILQ_FOREACH (session, &account->sessions, account_link) {
		if (room->turn.out_seq[i] != 0)
			announce_end(engine, room, session, room->turn.out_seq[i]);
		else
			announce_view(engine, room, session);
	}
}

/* Afterwards: the ended subscriptions are forgotten, and new stays are told of. */
static void
settle_stay(struct engine *engine, struct room *room, uint32_t i)
{
	const struct store_stay_change *change = &room->turn.stays[i];
	struct account *account = account_of_member(engine, &change->member_id);
	bool began = change->stay != STORE_OUT && change->since_seq >= room->turn.op->result.first_seq;
	struct session *session;
	struct stay *stay;

	if (room->turn.out_seq[i] != 0)
		room_end_ask(room, &change->member_id);
	if (account == NULL)
		return;
	/* It may have been loaded in this turn, before the commit. */
	account_note_stay(engine, account, room, change);
	stay = account_stay(account, &room->id);
	TAILQ_FOREACH (session, &account->sessions, account_link) {
		struct subscriber *subscriber = room_subscriber(room, session);

		if (room->turn.out_seq[i] != 0 && subscriber != NULL)
			subscriber_remove(engine, subscriber);
		if (!began)
			continue;
		if (stay != NULL)
			push_room_added(engine, room, stay, session->conn);
		else
			engine_lose(engine, session->conn);
	}
}

/* ---- the log ---- */

static struct bytes
account_in_room(const struct room *room, const struct digest *member_id)
{
	const struct roster_member *member = roster_member(room->roster, member_id);

	return member == NULL ? BYTES_EMPTY : account_bytes(&member->account);
}

static void
audit_event(const struct room *room, const struct event *event)
{
	struct bytes actor = account_in_room(room, &event->actor);

	switch (event->type) {
	case EVENT_CREATE:
		audit_room_created(&room->id, actor, event->create.kind == ROOM_DIRECT);
		break;
	case EVENT_INVITE:
		audit_invited(&room->id, actor, account_bytes(&event->card.account));
		break;
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
		audit_stay(&room->id, event_type_name(event->type), actor, actor);
		break;
	case EVENT_KICK:
		audit_stay(&room->id, event_type_name(event->type), actor,
		    account_in_room(room, &event->kick.target));
		break;
	case EVENT_REKEY:
		audit_rekeyed(&room->id, actor, event->rekey.epoch, roster_reader_count(room->roster));
		break;
	case EVENT_ROLE:
	case EVENT_SETTINGS:
	case EVENT_CARD:
		break;
	}
}

/* Read again from the bytes that were stored: events are rare, and nothing has to be carried along for this.
 */
static void
audit_events(const struct room *room)
{
	struct event event;

	for (uint32_t i = 0; i < room->turn.entry_count; i++)
		if (room->turn.entries[i].kind == ENTRY_EVENT &&
		    event_decode(room->turn.entries[i].wire, &event) == CHAT_OK)
			audit_event(room, &event);
	if (roster_state(room->roster)->over)
		audit_room_over(&room->id);
}

void
room_announce(struct engine *engine, struct room *room)
{
	struct room_turn *turn = &room->turn;

	assert(digest_equal(&turn->op->result.head.L, &roster_state(room->roster)->head.L));
	room->room_no = turn->op->result.room_no;
	audit_events(room);
	for (uint32_t i = 0; i < turn->stay_count; i++)
		announce_stay(engine, room, i);
	announce_entries(engine, room);
	for (uint32_t i = 0; i < turn->stay_count; i++)
		settle_stay(engine, room, i);
	if (roster_state(room->roster)->open)
		room_end_lease(engine, room);
	else
		room_lend_rekey(engine, room, turn->last_poster);
	retention_note(engine, room);
}
