/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "libchat/op.h"
#include "libchat/room.h"

/* ---- which rooms there are ---- */

static void get_rooms(struct chat_session *s, const struct digest *after);

/* What the server lists: a stay that goes on. */
static void
take_summary(struct chat_session *s, const Chat__V1__RoomSummary *summary)
{
	struct digest id = wire_digest(summary->room_id);
	struct room *room;

	if (summary->stay == CHAT__V1__STAY__STAY_OUT)
		return;
	sync_room_known(s, &id, summary->since_seq);
	room = room_find(s, &id);
	if (room != NULL && summary->read_seq > room->read_seq) {
		room->read_seq = summary->read_seq;
		room->dirty = true;
		if (room_head(room)->seq > 0)
			room_count_unread(room);
	}
}

void
sync_room_known(struct chat_session *s, const struct digest *room_id, uint64_t since_seq)
{
	struct room *room = room_find(s, room_id);

	if (room == NULL)
		room = rooms_add(s, room_id);
	if (room == NULL || s->ended)
		return;
	if (room->gone) {
		room->gone = room->gone_said = false;
		room->added_said = false;
		room->dirty = true;
		/* Its label may be another's by now. */
		room->label_is_final = false;
		(void)label_update(room);
	}
	if (room->phase == ROOM_JOINING && room->since_seq != since_seq)
		room_restart_join(room);
	room->since_seq = since_seq;
	if (room->phase == ROOM_KEPT)
		room_follow(room);
	room_wake(room);
}

static void
on_rooms(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	const Chat__V1__Rooms *page;
	struct digest last;
	struct room *room;

	(void)call;
	if (refusal.err != CHAT_OK) {
		session_fail(s, refusal.err, false, refusal.text, refusal.mend);
		s->end.retry_after_ms = refusal.retry_after_ms;
		return;
	}
	page = answer->rooms;
	for (size_t i = 0; i < page->n_room && !s->ended; i++)
		take_summary(s, page->room[i]);
	if (page->more && page->n_room > 0) {
		last = wire_digest(page->room[page->n_room - 1]->room_id);
		get_rooms(s, &last);
		return;
	}
	s->rooms_listed = true;
	/* Those that are kept here and not listed: the stay ended while this client was away. */
	TAILQ_FOREACH (room, &s->room_list, link)
		if (room->since_seq == 0 && !room->gone && room->stored)
			room_leave(room, "The own stay ended while this client was away.");
	invites_resume(s);
}

static void
get_rooms(struct chat_session *s, const struct digest *after)
{
	Chat__V1__GetRooms get = CHAT__V1__GET_ROOMS__INIT;

	if (after != NULL)
		get.after = wire_from_digest(after);
	call_make(s, CLIENT_FRAME(GET_ROOMS, get_rooms, &get), on_rooms, NULL, NULL, 0);
}

void
sync_begin(struct chat_session *s)
{
	get_rooms(s, NULL);
}

/* ---- who is caught up ---- */

static bool
room_is_settled(const struct room *room)
{
	if (room->phase == ROOM_JOINING || room->phase == ROOM_RESUMING)
		return false;
	if (room->phase == ROOM_KEPT)
		return room->gone || room->since_seq == 0 || room->resume_again_ms == 0;
	if (room->phase == ROOM_STOPPED)
		return true;
	return room->caught_up && STAILQ_EMPTY(&room->show) && STAILQ_EMPTY(&room->jobs);
}

void
sync_check(struct chat_session *s)
{
	struct room *room;

	if (s->synced || !s->rooms_listed || !session_ready(s))
		return;
	TAILQ_FOREACH (room, &s->room_list, link)
		if (!room_is_settled(room))
			return;
	s->synced = true;
	session_emit(s, event_new(CHAT_EVENT_SYNCED));
	TAILQ_FOREACH (room, &s->room_list, link)
		sync_cursor(room);
}

/* ---- pushes ---- */

static void
take_wraps(struct chat_session *s, const Chat__V1__Wraps *wraps)
{
	struct digest id = wire_digest(wraps->room_id);
	struct room *room = room_find(s, &id);

	if (room == NULL)
		return;
	for (size_t i = 0; i < wraps->n_epoch && !s->ended; i++)
		keys_take_wraps(room, wraps->epoch[i]);
	room_wake(room);
}

static void
take_rewrap_wanted(struct chat_session *s, const Chat__V1__RewrapWanted *wanted)
{
	struct digest id = wire_digest(wanted->room_id), member = wire_digest(wanted->member_id), epoch_id;
	struct room *room = room_find(s, &id);
	const struct roster_epoch *epoch;

	for (size_t i = 0; room != NULL && i < wanted->n_epoch_id; i++) {
		epoch_id = wire_digest(wanted->epoch_id[i]);
		epoch = roster_epoch(room->roster, &epoch_id);
		if (epoch != NULL)
			rewrap_want(room, &member, epoch->number);
	}
}

static void
take_cursor(struct chat_session *s, const Chat__V1__CursorMoved *moved)
{
	struct digest id = wire_digest(moved->room_id);
	struct room *room = room_find(s, &id);
	struct chat_event *event;

	if (room == NULL || room->cursor_dirty || moved->seq == room->read_seq)
		return;
	room->read_seq = moved->seq;
	room->dirty = true;
	room_count_unread(room);
	event = room_event(room, CHAT_EVENT_CURSOR);
	if (event != NULL)
		event->seq = moved->seq;
	session_emit(s, event);
	room_wake(room);
}

static void
take_card(struct chat_session *s, const Chat__V1__CardPublished *published)
{
	struct account_name account;

	if (account_name_set(wire_str(published->account), &account) != CHAT_OK)
		return;
	if (account_equal(&account, &s->account))
		login_card_changed(s, wire_bytes(published->card));
	else if (s->rooms_listed)
		invites_card_published(s, &account);
}

static void
take_goodbye(struct chat_session *s, const Chat__V1__Goodbye *goodbye)
{
	enum chat_err err = error_from_wire(goodbye->reason);

	if (err == CHAT_OK)
		err = CHAT_ERR_CLOSED;
	session_fail(s, err, err == CHAT_ERR_EVICTED, goodbye->text, NULL);
	s->end.retry_after_ms = goodbye->retry_after_ms;
}

void
sync_push(struct chat_session *s, const Chat__V1__ServerFrame *frame)
{
	struct digest id;
	struct room *room;

	if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_GOODBYE) {
		take_goodbye(s, frame->goodbye);
		return;
	}
	if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ERROR) {
		session_fail(
		    s, error_from_wire(frame->error->code), false, frame->error->text, frame->error->mend);
		s->end.retry_after_ms = frame->error->retry_after_ms;
		return;
	}
	if (s->login != LOGIN_READY) {
		session_fail(s, CHAT_ERR_MALFORMED, false,
		    "The server broke the protocol: a push before login.", NULL);
		return;
	}
	/* Other cases of the oneof are answers; answers_check() lets none of them be a push. */
	if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ENTRY) {
		id = wire_digest(frame->entry->room_id);
		room = room_find(s, &id);
		if (room != NULL)
			room_entry(room, frame->entry);
	} else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH)
		take_wraps(s, frame->wraps_push);
	else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ROOM_ADDED)
		take_summary(s, frame->room_added->room);
	else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED)
		take_card(s, frame->card_published);
	else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_REWRAP_WANTED)
		take_rewrap_wanted(s, frame->rewrap_wanted);
	else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_CURSOR_MOVED)
		take_cursor(s, frame->cursor_moved);
	else if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_REKEY_WANTED) {
		id = wire_digest(frame->rekey_wanted->room_id);
		room = room_find(s, &id);
		if (room != NULL)
			rekey_wanted(room, frame->rekey_wanted->lease_ms);
	}
}

/* ---- the read cursor ---- */

static void
on_cursor(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	(void)s;
	(void)answer;
	call->room->cursor_under_way = false;
	sync_cursor(call->room);
}

void
sync_cursor(struct room *room)
{
	Chat__V1__SetCursor set = CHAT__V1__SET_CURSOR__INIT;

	if (!room->cursor_dirty || room->cursor_under_way || !room_is_live(room))
		return;
	room->cursor_dirty = false;
	room->cursor_under_way = true;
	set.room_id = wire_from_digest(&room->id);
	set.seq = room->read_seq;
	call_make(room->s, CLIENT_FRAME(SET_CURSOR, set_cursor, &set), on_cursor, room, NULL, 0);
}

void
session_mark_read(struct chat_session *s, const struct digest *room_id, uint64_t seq, struct now now)
{
	struct room *room = room_find(s, room_id);

	session_begin(s, now);
	if (room != NULL && !s->ended && seq > room->read_seq && seq <= room_head(room)->seq) {
		room->read_seq = seq;
		room->dirty = true;
		room->cursor_dirty = true;
		room_count_unread(room);
		sync_cursor(room);
		room_wake(room);
	}
	session_run(s);
}
