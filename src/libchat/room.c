/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libchat/room.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group/seal.h"

/* ---- life ---- */

struct room *
rooms_add(struct chat_session *s, const struct digest *id)
{
	struct room *room = calloc(1, sizeof *room);

	if (room != NULL)
		room->roster = roster_new(&s->realm, true);
	if (room == NULL || room->roster == NULL) {
		free(room);
		(void)session_check(s, CHAT_ERR_NOMEM);
		return NULL;
	}
	room->s = s;
	room->id = *id;
	room->first_seq = 1;
	room->oldest_shown = 1;
	STAILQ_INIT(&room->in);
	STAILQ_INIT(&room->show);
	STAILQ_INIT(&room->jobs);
	TAILQ_INIT(&room->out);
	if (!session_check(s, map_put(&s->rooms, digest_bytes(&room->id), room))) {
		roster_free(room->roster);
		free(room);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&s->room_list, room, link);
	return room;
}

static void
drop_in_queue(struct room *room)
{
	struct in_entry *entry;

	while ((entry = STAILQ_FIRST(&room->in)) != NULL) {
		STAILQ_REMOVE_HEAD(&room->in, link);
		room->s->queued_bytes -= sizeof *entry + entry->len;
		free(entry);
	}
	room->in_count = 0;
	room->verify_work = 0;
}

void
room_dispose(struct room *room)
{
	drop_in_queue(room);
	show_fini(room);
	keys_fini(room);
	sender_fini(room);
	fetch_free(room);
	join_free(room->joining);
	roster_free(room->roster);
	buf_fini_secret(&room->name);
	buf_fini_secret(&room->topic);
	free(room->ring);
	free(room->early);
	free(room->wants);
	explicit_bzero(room, sizeof *room);
	free(room);
}

struct room *
room_find(const struct chat_session *s, const struct digest *id)
{
	return map_get(&s->rooms, digest_bytes(id));
}

/* ---- loading ---- */

struct load {
	struct room *room;
	struct stored_room *rooms; /* owned */
	size_t room_count, room_cap;
	uint64_t head_seq;
	enum chat_err err;
};

static bool
collect_room(void *ctx, const struct stored_room *stored)
{
	struct load *load = ctx;

	if (load->room_count == load->room_cap) {
		size_t cap = load->room_cap > 0 ? load->room_cap * 2 : 16;
		struct stored_room *grown = reallocarray(load->rooms, cap, sizeof *grown);

		if (grown == NULL) {
			load->err = CHAT_ERR_NOMEM;
			return false;
		}
		load->rooms = grown;
		load->room_cap = cap;
	}
	load->rooms[load->room_count++] = *stored;
	return true;
}

static bool
load_event(void *ctx, const struct stored_entry *entry)
{
	struct load *load = ctx;
	const struct roster_epoch *epoch;
	struct key_slot *slot;
	struct event event;

	if (entry->seq > load->head_seq)
		return false; /* another process is ahead: the server will send it here too */
	load->err = event_decode(entry->wire, &event);
	/* Signatures were verified before it was stored. */
	if (load->err == CHAT_OK)
		load->err = roster_load_event(load->room->roster, entry->seq, &event, true, NULL);
	if (load->err != CHAT_OK) {
		load->err = load->err == CHAT_ERR_NOMEM ? load->err : CHAT_ERR_CORRUPT;
		return false;
	}
	if (event.card_wire.len > 0)
		keys_note_card_of(load->room, entry->seq, &event);
	if (event.type == EVENT_REKEY) {
		epoch = roster_epoch(load->room->roster, &event.event_hash);
		slot = keys_slot(load->room, epoch);
		if (slot == NULL) {
			load->err = CHAT_ERR_NOMEM;
			return false;
		}
		slot->by_moderator = roster_member(load->room->roster, &event.actor)->role >= ROLE_MODERATOR;
		load->room->epoch_time_ms = entry->server_time_ms;
	}
	return true;
}

static bool
load_counter(void *ctx, const struct stored_counter *counter)
{
	struct load *load = ctx;

	load->err = roster_set_counter(load->room->roster, &counter->sender, &counter->device, counter->last);
	return load->err == CHAT_OK;
}

static enum chat_err
load_room(struct chat_session *s, const struct stored_room *stored)
{
	struct load load = {.head_seq = stored->head.seq};
	struct room *room = rooms_add(s, &stored->room_id);
	enum chat_err err;

	if (room == NULL)
		return CHAT_ERR_NOMEM;
	load.room = room;
	room->stored = true;
	room->gone = room->gone_said = stored->gone;
	room->first_seq = stored->first_seq;
	room->base_hash = stored->base_hash;
	room->shown_seq = room->emitted_seq = stored->shown_seq;
	room->oldest_shown = stored->shown_seq + 1;
	room->read_seq = stored->read_seq;
	room->added_said = stored->shown_seq > 0;
	strlcpy(room->label, stored->label, sizeof room->label);
	room->label_is_final = room->label[0] != '\0';
	err = s->st->ops->each_event(s->st, &room->id, load_event, &load);
	if (err == CHAT_OK)
		err = load.err;
	if (err == CHAT_OK)
		err = roster_set_head(room->roster, &stored->head);
	if (err == CHAT_OK)
		err = s->st->ops->each_counter(s->st, &room->id, load_counter, &load);
	if (err == CHAT_OK)
		err = load.err;
	if (err != CHAT_OK)
		return err;
	roster_set_blind(room->roster); /* there may have been stubs */
	room->emitted_seq = stored->head.seq;
	if (stored->shown_seq < stored->head.seq && !room->gone)
		show_job_add(room, stored->shown_seq + 1, stored->head.seq, 0, false, CHAT_FLAG_REPLAY, NULL);
	room_count_unread(room);
	label_load(room);
	room_wake(room);
	return CHAT_OK;
}

enum chat_err
rooms_load(struct chat_session *s)
{
	struct load load = {0};
	enum chat_err err;

	/* One transaction, so that another process does not change it in between. */
	err = s->st->ops->begin(s->st);
	if (err != CHAT_OK)
		return err;
	err = s->st->ops->each_room(s->st, collect_room, &load);
	if (err == CHAT_OK)
		err = load.err;
	for (size_t i = 0; err == CHAT_OK && i < load.room_count; i++)
		err = load_room(s, &load.rooms[i]);
	if (err == CHAT_OK)
		sender_load(s, &err);
	s->st->ops->rollback(s->st);
	free(load.rooms);
	return err;
}

/* ---- storing ---- */

void
room_put(struct room *room)
{
	struct chat_session *s = room->s;
	struct stored_room stored = {
	    .room_id = room->id,
	    .head = *room_head(room),
	    .first_seq = room->first_seq,
	    .base_hash = room->base_hash,
	    .shown_seq = room->shown_seq,
	    .read_seq = room->read_seq,
	    .gone = room->gone,
	};

	if (stored.head.seq == 0)
		return; /* nothing of it is known yet */
	if (room->label_is_final)
		strlcpy(stored.label, room->label, sizeof stored.label);
	tx_begin(s);
	if (s->in_tx && session_check(s, s->st->ops->put_room(s->st, &stored))) {
		room->stored = true;
		room->dirty = false;
	}
}

void
room_flush(struct room *room)
{
	if (room->dirty)
		room_put(room);
}

bool
room_note_shown(struct room *room, uint64_t seq)
{
	uint64_t was = room->shown_seq;

	assert(room->events_queued > 0);
	room->events_queued--;
	/* Entries behind it may have had nothing to show. */
	if (room->events_queued == 0 && room->emitted_seq > seq && STAILQ_EMPTY(&room->jobs))
		seq = room->emitted_seq;
	if (seq <= was)
		return false;
	room->shown_seq = seq;
	room->dirty = true;
	return true;
}

/* More than so many are not counted: a bot that never reads would make every start long. */
#define UNREAD_LOOKED_AT 10000

static bool
count_unread(void *ctx, const struct stored_entry *entry)
{
	struct room *room = ctx;
	struct message message;

	if (entry->kind == ENTRY_MESSAGE && entry->wire.len > 0 &&
	    message_decode(entry->wire, &message) == CHAT_OK && !room_is_self(room, &message.header.sender))
		room->unread_count++;
	return true;
}

void
room_count_unread(struct room *room)
{
	uint64_t head = room_head(room)->seq, from = room->read_seq + 1;

	room->unread_count = 0;
	if (head > UNREAD_LOOKED_AT && from < head - UNREAD_LOOKED_AT)
		from = head - UNREAD_LOOKED_AT;
	if (from <= head)
		(void)session_check(room->s,
		    room->s->st->ops->each_entry(room->s->st, &room->id, from, head, count_unread, room));
}

/* ---- asking ---- */

const struct log_head *
room_head(const struct room *room)
{
	return &roster_state(room->roster)->head;
}

bool
room_is_self(const struct room *room, const struct digest *member_id)
{
	return digest_equal(member_id, &room->s->identity.member_id);
}

const struct roster_member *
room_self(const struct room *room)
{
	return roster_member(room->roster, &room->s->identity.member_id);
}

bool
room_is_joined(const struct room *room)
{
	return !room->gone && member_is_joined(room_self(room));
}

bool
room_is_live(const struct room *room)
{
	return room->phase == ROOM_FOLLOWED && room->caught_up && !room->gone && session_ready(room->s);
}

const char *
room_name_of(const struct room *room, const struct digest *member_id)
{
	const struct roster_member *member = roster_member(room->roster, member_id);

	return member != NULL ? member->account.s : "somebody";
}

/* ---- following ---- */

void
room_wake(struct room *room)
{
	if (room->woken)
		return;
	room->woken = true;
	TAILQ_INSERT_TAIL(&room->s->woken, room, woken_link);
}

void
room_run(struct room *room)
{
	struct chat_session *s = room->s;

	if (room->phase == ROOM_KEPT && room->resume_again_ms != 0 && session_ready(s) &&
	    room->resume_again_ms <= s->now.mono_ms)
		room_follow(room);
	if (room->phase == ROOM_FOLLOWED && !s->ended)
		log_take(room);
	if (!s->ended)
		fetch_run(room);
	if (!s->ended)
		rewrap_run(room);
	if (!s->ended)
		show_run(room);
	if (!s->ended)
		rekey_run(room);
	if (!s->ended)
		sender_run(room);
	if (!s->ended)
		keys_run(room);
	if (room->dirty && s->flush_ms == 0)
		s->flush_ms = s->now.mono_ms + ROOM_FLUSH_AFTER_MS;
}

static void
history_changed(struct room *room, const struct refusal *refusal)
{
	const struct log_head *head = room_head(room);

	if (refusal->number < head->seq)
		session_warn(room->s, room, head->seq, "ask the administrator whether a backup was restored",
		    "The server's log of %s ends at %" PRIu64 "; here %" PRIu64 " entries were seen.",
		    room->label, refusal->number, head->seq);
	else
		session_warn(room->s, room, head->seq, "compare the log with another member: /audit",
		    "The server's log of %s up to %" PRIu64
		    " is not the one seen here (the server is at %" PRIu64 ").",
		    room->label, head->seq, refusal->number);
	room->history_differs = true;
	room_stop(room, false, CHAT_ERR_HISTORY_CHANGED, NULL, NULL);
}

static void
on_resumed(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct room *room = call->room;

	room_wake(room);
	if (room->phase != ROOM_RESUMING)
		return;
	if (refusal.err == CHAT_OK) {
		room->phase = ROOM_FOLLOWED;
		room->resumed_seq = answer->resumed->head_seq;
		room->oldest_whole_seq = answer->resumed->oldest_whole_seq;
		room->resumed_hash = wire_digest(answer->resumed->head_hash);
		room->resume_tries = 0;
		return;
	}
	if (refusal_is_passing(&refusal)) {
		room->phase = ROOM_KEPT;
		room->resume_again_ms = s->now.mono_ms + refusal_wait_ms(&refusal, room->resume_tries++);
	} else if (refusal.err == CHAT_ERR_HISTORY_CHANGED)
		history_changed(room, &refusal);
	else if (refusal.err == CHAT_ERR_NO_ROOM)
		room_leave(room, "The own stay ended meanwhile.");
	else
		room_stop(room, false, refusal.err, refusal.text, refusal.mend);
}

void
room_resume(struct room *room)
{
	Chat__V1__Resume resume = CHAT__V1__RESUME__INIT;
	const struct log_head *head = room_head(room);

	room->phase = ROOM_RESUMING;
	room->resume_again_ms = 0;
	room->caught_up = false;
	resume.room_id = wire_from_digest(&room->id);
	resume.next_seq = head->seq + 1;
	resume.hash = wire_from_digest(&head->L);
	call_make(room->s, CLIENT_FRAME(RESUME, resume, &resume), on_resumed, room, NULL, 0);
}

void
room_follow(struct room *room)
{
	if (room_head(room)->seq == 0 && room->since_seq > 1)
		join_begin(room);
	else
		room_resume(room);
}

void
room_entry(struct room *room, const Chat__V1__Entry *from)
{
	struct in_entry *entry;

	if (room->phase != ROOM_FOLLOWED && room->phase != ROOM_RESUMING)
		return;
	entry = calloc(1, sizeof *entry + from->wire.len);
	if (entry == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	entry->seq = from->seq;
	entry->server_time_ms = from->server_time_ms;
	entry->kind = from->kind == ENTRY_EVENT ? ENTRY_EVENT : ENTRY_MESSAGE;
	entry->len = from->wire.len;
	if (entry->len > 0)
		memcpy(entry->wire, from->wire.data, entry->len);
	else
		entry->entry_hash = wire_digest(from->entry_hash);
	STAILQ_INSERT_TAIL(&room->in, entry, link);
	room->in_count++;
	room->s->queued_bytes += sizeof *entry + entry->len;
	room_wake(room);
}

void
room_on_gap(struct room *room)
{
	drop_in_queue(room);
	room_resume(room);
}

void
room_stop(struct room *room, bool read_only, enum chat_err err, const char *text, const char *mend)
{
	struct chat_event *event;

	drop_in_queue(room);
	room->phase = ROOM_STOPPED;
	room->stop_err = err;
	snprintf(room->stop_text, sizeof room->stop_text, "%s",
	    text != NULL && text[0] != '\0' ? text : chat_strerror(err));
	if (!read_only)
		return;
	if (!room->read_only) {
		room->read_only = true;
		event = room_event(room, CHAT_EVENT_READ_ONLY);
		if (event != NULL) {
			event->seq = room_head(room)->seq + 1;
			event_set_error(event, err, text, mend);
		}
		session_emit(room->s, event);
	}
}

void
room_leave(struct room *room, const char *text)
{
	struct show_item *item;

	if (room->gone)
		return;
	room->gone = true;
	room->dirty = true;
	room->since_seq = 0;
	room->phase = ROOM_KEPT;
	room->resume_again_ms = 0;
	drop_in_queue(room);
	sender_fail_all(room, CHAT_ERR_NOT_ALLOWED, "You are not a member of this room any more.", NULL);
	item = show_item_new(0, room->s->now.unix_ms, BYTES_EMPTY);
	if (item != NULL)
		item->event = event_new(CHAT_EVENT_ROOM_GONE);
	if (item == NULL || item->event == NULL) {
		free(item);
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	if (text != NULL)
		event_set_text(item->event, BYTES_STR(text));
	show_add(room, item);
	room_wake(room);
}

void
room_on_disconnect(struct room *room)
{
	drop_in_queue(room);
	if (room->phase == ROOM_JOINING) {
		join_free(room->joining);
		room->joining = NULL;
	}
	room->phase = ROOM_KEPT;
	room->resume_again_ms = 0;
	room->resume_tries = room->gap_tries = 0;
	room->caught_up = false;
	room->since_seq = 0;
	room->history_differs = false;
	room->cursor_under_way = false;
	room->lease_until_ms = 0;
	room->closed_since_ms = 0;
	room->rekey_tries = 0;
	room->rewraps_under_way = false;
	keys_on_disconnect(room);
	fetch_on_disconnect(room);
	sender_on_disconnect(room);
	room_wake(room);
}

uint64_t
room_deadline_ms(const struct room *room)
{
	uint64_t deadline = rekey_deadline_ms(room);

	if (fetch_deadline_ms(room) < deadline)
		deadline = fetch_deadline_ms(room);
	if (room->resume_again_ms != 0 && room->resume_again_ms < deadline)
		deadline = room->resume_again_ms;
	if (room->keys_again_ms != 0 && room->keys_again_ms < deadline)
		deadline = room->keys_again_ms;
	if (TAILQ_EMPTY(&room->out))
		return deadline;
	if (room->out_pause_ms != 0 && room->out_pause_ms < deadline)
		deadline = room->out_pause_ms;
	if (room->stale_until_ms != 0 && room->stale_until_ms < deadline)
		deadline = room->stale_until_ms;
	return deadline;
}
