/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "group/content.h"
#include "group/seal.h"
#include "libchat/room.h"

/* ---- items ---- */

struct show_item *
show_item_new(uint64_t seq, uint64_t time_ms, struct bytes wire)
{
	struct show_item *item = calloc(1, sizeof *item + wire.len);

	if (item == NULL)
		return NULL;
	item->seq = seq;
	item->time_ms = time_ms;
	item->len = wire.len;
	if (wire.len > 0)
		memcpy(item->wire, wire.data, wire.len);
	return item;
}

static void job_free(struct show_job *job);

static void
item_free(struct show_item *item)
{
	event_free(item->event);
	free(item);
}

void
show_add(struct room *room, struct show_item *item)
{
	STAILQ_INSERT_TAIL(&room->show, item, link);
	room_wake(room);
}

void
show_fini(struct room *room)
{
	struct show_item *item;
	struct show_job *job;

	while ((item = STAILQ_FIRST(&room->show)) != NULL) {
		STAILQ_REMOVE_HEAD(&room->show, link);
		item_free(item);
	}
	while ((job = STAILQ_FIRST(&room->jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(&room->jobs, link);
		job_free(job);
	}
}

/* ---- what an event of the room says ---- */

static enum chat_event_type
type_of(enum event_type type)
{
	switch (type) {
	case EVENT_CREATE:
		return CHAT_EVENT_CREATED;
	case EVENT_INVITE:
		return CHAT_EVENT_INVITED;
	case EVENT_JOIN:
		return CHAT_EVENT_JOINED;
	case EVENT_DECLINE:
		return CHAT_EVENT_DECLINED;
	case EVENT_LEAVE:
		return CHAT_EVENT_LEFT;
	case EVENT_KICK:
		return CHAT_EVENT_KICKED;
	case EVENT_ROLE:
		return CHAT_EVENT_ROLE;
	case EVENT_SETTINGS:
		return CHAT_EVENT_SETTINGS;
	case EVENT_CARD:
		return CHAT_EVENT_CARD;
	case EVENT_REKEY:
		return CHAT_EVENT_REKEYED;
	}
	return CHAT_EVENT_WARNING; /* a decoded event has no other */
}

static void
set_actor(struct chat_event *to, const struct room *room, const struct digest *member_id)
{
	const struct roster_member *member = roster_member(room->roster, member_id);

	if (member != NULL)
		event_set_actor(to, &member->account);
	to->self = room_is_self(room, member_id);
}

static void
set_target(struct chat_event *to, const struct room *room, const struct digest *member_id)
{
	const struct roster_member *member = roster_member(room->roster, member_id);

	if (member != NULL)
		event_set_target(to, &member->account);
	to->target_self = room_is_self(room, member_id);
}

struct chat_event *
show_event_of(const struct room *room, const struct event *event, uint64_t seq, uint64_t time_ms)
{
	struct chat_event *to = event_new(type_of(event->type));

	if (to == NULL)
		return NULL;
	to->seq = seq;
	to->time_ms = time_ms;
	set_actor(to, room, &event->actor);
	if (event->type == EVENT_INVITE)
		set_target(to, room, &event->card.member_id);
	else if (event->type == EVENT_KICK)
		set_target(to, room, &event->kick.target);
	else if (event->type == EVENT_ROLE) {
		set_target(to, room, &event->role.target);
		to->number = (uint64_t)event->role.role;
	} else if (event->type == EVENT_CREATE && event->peer_card_wire.len > 0)
		set_target(to, room, &event->peer_card.member_id);
	else if (event->type == EVENT_CARD)
		to->number = event->card.retired ? 1 : 0;
	else if (event->type == EVENT_REKEY)
		to->number = event->rekey.epoch;
	return to;
}

/* ---- giving out ---- */

/* What one entry shows: how it is marked, and whether taking it counts as having seen it. */
struct showing {
	uint64_t seq, time_ms;
	uint32_t flags;
	const struct digest *hash; /* NULL: not known */
	bool counts;
};

static void
give_out(struct room *room, struct chat_event *event, const struct showing *how, bool last)
{
	if (event == NULL) {
		session_emit(room->s, NULL);
		return;
	}
	event_set_room(event, &room->id, room->label);
	event->seq = how->seq;
	event->time_ms = how->time_ms;
	event->flags |= how->flags;
	if (how->hash != NULL)
		event_set_hash(event, how->hash);
	if (last && how->counts) {
		event->shows_seq = how->seq;
		room->events_queued++;
	}
	session_emit(room->s, event);
}

static void
say_added(struct room *room)
{
	struct chat_event *event;

	if (room->added_said)
		return;
	room->added_said = true;
	event = room_event(room, CHAT_EVENT_ROOM_ADDED);
	session_emit(room->s, event);
}

/* "Since when, whose fault, and what mends it", once an epoch. */
static void
say_missing(
    struct room *room, const struct roster_epoch *epoch, struct key_slot *slot, const struct showing *how)
{
	struct chat_event *event;

	if (slot->told || !roster_entitled(room->roster, room_self(room), epoch))
		return;
	slot->told = true;
	event = event_new(CHAT_EVENT_UNREADABLE);
	if (event != NULL) {
		event->err = CHAT_ERR_CANNOT_OPEN;
		event->number = epoch->number;
		if (slot->had_wrap)
			event_printf(event,
			    "From entry %" PRIu64
			    " on %s cannot be read: the key that %s made for you does not open.",
			    epoch->seq, room->label, room_name_of(room, &epoch->actor));
		else
			event_printf(event,
			    "From entry %" PRIu64
			    " on %s cannot be read: the server did not deliver the key that %s "
			    "made.",
			    epoch->seq, room->label, room_name_of(room, &epoch->actor));
		event_set_mend(
		    event, "nothing to do: members who come online are asked for it by themselves");
	}
	give_out(room, event, &(const struct showing){.seq = how->seq, .time_ms = how->time_ms}, false);
}

static struct chat_event *
unreadable(struct room *room, const struct digest *sender, uint64_t seq, enum chat_err err)
{
	struct chat_event *event = event_new(CHAT_EVENT_UNREADABLE);

	if (event == NULL)
		return NULL;
	event->err = err;
	set_actor(event, room, sender);
	if (err == CHAT_ERR_UNSUPPORTED) {
		event_printf(event, "Entry %" PRIu64 " of %s needs a newer client.", seq, room->label);
		event_set_mend(event, "install a newer version");
	} else
		event_printf(event, "Entry %" PRIu64 " of %s cannot be read: %s sealed it wrongly.", seq,
		    room->label, room_name_of(room, sender));
	return event;
}

static struct chat_event *
open_message(struct room *room, const struct message *message, const struct epoch_key *key, uint64_t seq)
{
	struct chat_event *event = NULL;
	struct bytes content, text;
	struct buf plain = {0};
	enum chat_err err;

	err = message_open(key, message, &plain, &content);
	if (err == CHAT_OK)
		err = content_decode(content, &text);
	if (err == CHAT_OK) {
		event = event_new(CHAT_EVENT_MESSAGE);
		if (event != NULL) {
			set_actor(event, room, &message->header.sender);
			event_set_text(event, text);
		}
	} else if (err != CHAT_ERR_NOMEM)
		event = unreadable(room, &message->header.sender, seq, err);
	buf_fini_secret(&plain);
	return event;
}

/* ---- live ---- */

/* False: its key is on the way. */
static bool
show_message(struct room *room, struct show_item *item, const struct showing *how)
{
	const struct epoch_key *key = keys_get(room, item->epoch);
	struct key_slot *slot = keys_slot(room, item->epoch);
	struct message message;

	if (room->s->ended)
		return false;
	if (key == NULL && keys_are_pending(room, item->epoch))
		return false;
	if (key == NULL) {
		if (slot->skipped_from == 0)
			slot->skipped_from = item->seq;
		slot->skipped_to = item->seq;
		say_missing(room, item->epoch, slot, how);
		return true;
	}
	if (message_decode(BYTES(item->wire, item->len), &message) != CHAT_OK)
		return true; /* it was decoded when it was taken */
	give_out(room, open_message(room, &message, key, item->seq), how, true);
	return true;
}

static void
show_name(struct room *room, const struct digest *by, const struct showing *how, bool last)
{
	struct chat_event *event = event_new(CHAT_EVENT_NAME);

	if (event != NULL) {
		set_actor(event, room, by);
		event_set_text(event, buf_bytes(&room->name));
	}
	give_out(room, event, how, last);
}

static void
show_topic(struct room *room, const struct digest *by, const struct showing *how)
{
	struct chat_event *event = event_new(CHAT_EVENT_TOPIC);

	if (event != NULL) {
		set_actor(event, room, by);
		event_set_text(event, buf_bytes(&room->topic));
	}
	give_out(room, event, how, true);
}

static bool
show_rekey(struct room *room, struct show_item *item, const struct showing *how)
{
	const struct epoch_key *key = keys_get(room, item->epoch);
	struct key_slot *slot = keys_slot(room, item->epoch);
	bool name = false, topic = false;
	struct event event;

	if (room->s->ended || room->info_loading)
		return false;
	if (key == NULL && keys_are_pending(room, item->epoch))
		return false;
	if (key != NULL && event_decode(BYTES(item->wire, item->len), &event) == CHAT_OK)
		label_take_box(room, item->epoch, event.rekey.info_box, &name, &topic);
	if (name)
		(void)label_update(room);
	give_out(room, item->event, how, !name && !topic);
	item->event = NULL;
	if (name)
		show_name(room, &item->epoch->actor, how, !topic);
	if (topic)
		show_topic(room, &item->epoch->actor, how);
	if (key == NULL)
		say_missing(room, item->epoch, slot, how);
	return true;
}

static bool
show_item(struct room *room, struct show_item *item)
{
	const struct showing how = {
	    .seq = item->seq,
	    .time_ms = item->time_ms,
	    .flags = item->flags | (item->own_device ? CHAT_FLAG_OWN_SESSION : 0),
	    .hash = item->seq != 0 ? &item->hash : NULL,
	    .counts = item->seq != 0,
	};

	if (item->epoch != NULL && item->event == NULL && item->len > 0)
		return show_message(room, item, &how);
	if (item->epoch != NULL && item->event != NULL)
		return show_rekey(room, item, &how);
	if (item->event != NULL) {
		if (item->event->type == CHAT_EVENT_ROOM_GONE)
			room->gone_said = true;
		give_out(room, item->event, &how, true);
		item->event = NULL;
	}
	return true;
}

/* A room without a name yet is shown once the first box that can be opened is, or none is left to come. */
static bool
label_is_ready(struct room *room)
{
	struct show_item *item;

	if (room->label_is_final || label_update(room))
		return true;
	STAILQ_FOREACH (item, &room->show, link) {
		if (item->epoch == NULL || item->event == NULL)
			continue;
		if (keys_get(room, item->epoch) != NULL) {
			struct event event;

			if (event_decode(BYTES(item->wire, item->len), &event) == CHAT_OK &&
			    label_peek(room, item->epoch, event.rekey.info_box))
				return true;
		} else if (keys_are_pending(room, item->epoch))
			return false;
	}
	return room->gone || room->phase == ROOM_STOPPED || (room->phase == ROOM_FOLLOWED && room->caught_up);
}

/* ---- stored ranges ---- */

#define JOB_CHUNK 1000

static struct show_job *
add_job(struct room *room)
{
	struct show_job *job = calloc(1, sizeof *job);

	if (job == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return NULL;
	}
	STAILQ_INSERT_TAIL(&room->jobs, job, link);
	room_wake(room);
	return job;
}

static void
job_free(struct show_job *job)
{
	free(job->only);
	free(job);
}

void
show_job_of(struct room *room, uint64_t *seqs, size_t count)
{
	struct show_job *job = add_job(room);

	if (job == NULL) {
		free(seqs);
		return;
	}
	job->from_seq = seqs[0];
	job->to_seq = seqs[count - 1];
	job->messages = true;
	job->flags = CHAT_FLAG_REPLAY;
	job->only = seqs;
	job->only_count = count;
}

void
show_job_add(struct room *room, uint64_t from_seq, uint64_t to_seq, uint64_t epoch, bool messages,
    uint32_t flags, struct op *op)
{
	struct show_job *job = add_job(room);

	if (job == NULL)
		return;
	job->from_seq = from_seq;
	job->to_seq = to_seq;
	job->epoch = epoch;
	job->messages = messages;
	job->flags = flags;
	job->op = op;
}

void
show_skipped(struct room *room, const struct roster_epoch *epoch)
{
	struct key_slot *slot = keys_slot(room, epoch);

	show_job_add(room, slot->skipped_from, slot->skipped_to, epoch->number, true, CHAT_FLAG_REPLAY, NULL);
	slot->skipped_from = slot->skipped_to = 0;
}

struct range_walk {
	struct room *room;
	struct show_job *job;
	bool pending;
};

static int
compare_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A stored message of the job, its epoch known; false: nothing to show. */
static bool
job_message(const struct range_walk *walk, const struct stored_entry *entry, struct message *ret,
    const struct roster_epoch **ret_epoch)
{
	const struct show_job *job = walk->job;

	if (entry->kind != ENTRY_MESSAGE || entry->wire.len == 0 ||
	    message_decode(entry->wire, ret) != CHAT_OK)
		return false;
	if (job->only != NULL &&
	    bsearch(&entry->seq, job->only, job->only_count, sizeof *job->only, compare_seq) == NULL)
		return false;
	*ret_epoch = roster_epoch(walk->room->roster, &ret->header.epoch_id);
	return *ret_epoch != NULL && (job->epoch == 0 || (*ret_epoch)->number == job->epoch);
}

static bool
look_for_keys(void *ctx, const struct stored_entry *entry)
{
	struct range_walk *walk = ctx;
	const struct roster_epoch *epoch;
	struct message message;

	if (job_message(walk, entry, &message, &epoch) && keys_get(walk->room, epoch) == NULL &&
	    keys_are_pending(walk->room, epoch))
		walk->pending = true;
	return !walk->room->s->ended;
}

static void
show_stored_message(struct range_walk *walk, const struct stored_entry *entry, struct showing *how)
{
	struct room *room = walk->room;
	const struct roster_member *sender;
	const struct roster_epoch *epoch;
	const struct epoch_key *key;
	struct message message;

	if (!job_message(walk, entry, &message, &epoch))
		return;
	sender = roster_member(room->roster, &message.header.sender);
	/* Those from before this client's time were not judged by the roster. */
	if (sender == NULL || roster_epoch_of_seq(room->roster, entry->seq) != epoch ||
	    !message_signature_good(&message, sender->ed_pk))
		return;
	key = keys_get(room, epoch);
	if (key == NULL) {
		say_missing(room, epoch, keys_slot(room, epoch), how);
		return;
	}
	if (room_is_self(room, &message.header.sender) &&
	    memcmp(&message.header.device, &room->s->device, sizeof room->s->device) == 0)
		how->flags |= CHAT_FLAG_OWN_SESSION;
	give_out(room, open_message(room, &message, key, entry->seq), how, true);
	walk->job->count++;
}

static bool
show_stored(void *ctx, const struct stored_entry *entry)
{
	struct range_walk *walk = ctx;
	struct room *room = walk->room;
	struct showing how = {
	    .seq = entry->seq,
	    .time_ms = entry->server_time_ms,
	    .flags = walk->job->flags,
	    .counts = walk->job->op == NULL && !walk->job->messages,
	};
	struct event event;

	if (entry->kind == ENTRY_MESSAGE)
		show_stored_message(walk, entry, &how);
	else if (!walk->job->messages && event_decode(entry->wire, &event) == CHAT_OK) {
		give_out(room, show_event_of(room, &event, entry->seq, entry->server_time_ms), &how, true);
		walk->job->count++;
	}
	return !room->s->ended;
}

/* False: keys are on the way, or the session has ended. */
static bool
run_job(struct room *room, struct show_job *job)
{
	struct chat_session *s = room->s;
	struct range_walk walk = {.room = room, .job = job};

	while (job->from_seq <= job->to_seq) {
		uint64_t to =
		    job->to_seq - job->from_seq < JOB_CHUNK ? job->to_seq : job->from_seq + JOB_CHUNK - 1;

		if (!session_check(s,
			s->st->ops->each_entry(s->st, &room->id, job->from_seq, to, look_for_keys, &walk)) ||
		    s->ended || walk.pending)
			return false;
		if (!session_check(
			s, s->st->ops->each_entry(s->st, &room->id, job->from_seq, to, show_stored, &walk)) ||
		    s->ended)
			return false;
		job->from_seq = to + 1;
	}
	return true;
}

static void
note_emitted(struct room *room, uint64_t seq)
{
	if (seq > room->emitted_seq)
		room->emitted_seq = seq;
	if (room->events_queued == 0 && STAILQ_EMPTY(&room->jobs) && room->shown_seq < room->emitted_seq) {
		room->shown_seq = room->emitted_seq;
		room->dirty = true;
	}
}

void
show_run(struct room *room)
{
	struct show_item *item;
	struct show_job *job;

	while (!room->s->ended && (job = STAILQ_FIRST(&room->jobs)) != NULL) {
		if (!room->label_is_final)
			(void)label_update(room);
		if (!run_job(room, job))
			return;
		STAILQ_REMOVE_HEAD(&room->jobs, link);
		if (job->op != NULL)
			op_job_done(room->s, job->op, job->count);
		job_free(job);
		note_emitted(room, 0);
	}
	while (!room->s->ended && (item = STAILQ_FIRST(&room->show)) != NULL) {
		if (!label_is_ready(room))
			return;
		say_added(room);
		if (!show_item(room, item))
			return;
		STAILQ_REMOVE_HEAD(&room->show, link);
		note_emitted(room, item->seq);
		item_free(item);
	}
}
