/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "group/seal.h"
#include "libchat/outbox.h"
#include "libchat/room.h"

/*
 * What is said goes through these states: in the outbox; sealed, with a counter, its bytes stored; in flight;
 * settled, when the server has it; gone from the outbox, when it is seen in the log.  So after a crash at any
 * point the log or the stored bytes tell what became of it.
 */

#define IN_FLIGHT_MAX 16 /* of a room, so that one does not keep the others out */
#define SAY_TRIES_MAX 8
/* For how long a server may call stale what the own log calls current, before that is an error. */
#define STALE_WAIT_MS 5000

/* ---- items ---- */

static void
item_free(struct out_item *item)
{
	event_free(item->done);
	buf_fini(&item->sealed_text);
	buf_fini(&item->wire);
	free(item);
}

static void
say_done(struct room *room, struct out_item *item, uint64_t seq, enum chat_err err, const char *text,
    const char *mend)
{
	struct chat_event *done = item->done;

	if (done == NULL)
		return;
	item->done = NULL;
	event_set_room(done, &room->id, room->label);
	done->seq = seq;
	if (err != CHAT_OK)
		event_set_error(done, err, text, mend);
	session_emit(room->s, done);
}

static void
drop(struct room *room, struct out_item *item)
{
	struct out_item *later;

	/* Those behind it were numbered as if it came before them. */
	for (later = TAILQ_NEXT(item, link); later != NULL && !item->settled; later = TAILQ_NEXT(later, link))
		if (later->counter > item->counter)
			later->reseal = true;
	if (item->in_flight) {
		calls_forget(room->s, item);
		if (--room->out_in_flight == 0)
			room->out_hold = false;
	}
	TAILQ_REMOVE(&room->out, item, link);
	(void)session_check(room->s, room->s->st->ops->remove_outbox(room->s->st, item->id));
	item_free(item);
	room_wake(room);
}

static void
fail(struct room *room, struct out_item *item, enum chat_err err, const char *text, const char *mend)
{
	if (item->done == NULL && !item->settled)
		session_warn(room->s, room, 0, mend, "A message to %s from earlier was not sent: %s",
		    room->label, text != NULL && text[0] != '\0' ? text : chat_strerror(err));
	say_done(room, item, 0, err, text, mend);
	drop(room, item);
}

void
sender_fail_all(struct room *room, enum chat_err err, const char *text, const char *mend)
{
	struct out_item *item;

	while (!room->s->ended && (item = TAILQ_LAST(&room->out, out_list)) != NULL)
		fail(room, item, err, text, mend);
}

void
sender_abandon(struct room *room, enum chat_err err)
{
	struct out_item *item;

	TAILQ_FOREACH (item, &room->out, link)
		say_done(room, item, 0, err, "It is in the outbox, and is sent another time.", NULL);
}

void
sender_fini(struct room *room)
{
	struct out_item *item;

	while ((item = TAILQ_FIRST(&room->out)) != NULL) {
		TAILQ_REMOVE(&room->out, item, link);
		item_free(item);
	}
}

void
sender_on_disconnect(struct room *room)
{
	struct out_item *item;

	TAILQ_FOREACH (item, &room->out, link) {
		item->in_flight = false;
		item->tries = 0;
	}
	room->out_in_flight = 0;
	room->out_hold = false;
	room->out_pause_ms = 0;
	room->stale_seq = 0;
	room->stale_until_ms = 0;
}

/* ---- loading ---- */

/* Takes over what the wire says; false: it is none that can be sent. */
static bool
set_wire(struct out_item *item, struct bytes wire)
{
	struct message message;

	buf_clear(&item->wire);
	if (message_decode(wire, &message) != CHAT_OK ||
	    buf_append(&item->wire, wire.data, wire.len) != CHAT_OK)
		return false;
	item->epoch_id = message.header.epoch_id;
	item->device = message.header.device;
	item->counter = message.header.counter;
	item->entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	item->reseal = false;
	return true;
}

struct load_outbox {
	struct chat_session *s;
	enum chat_err err;
};

static bool
load_item(void *ctx, const struct outbox_item *stored)
{
	struct load_outbox *load = ctx;
	struct room *room = room_find(load->s, &stored->room_id);
	struct out_item *item;

	if (room == NULL)
		return true; /* kept until the room is known again */
	item = calloc(1, sizeof *item);
	if (item == NULL ||
	    buf_append(&item->sealed_text, stored->sealed_text.data, stored->sealed_text.len) != CHAT_OK) {
		if (item != NULL)
			item_free(item);
		load->err = CHAT_ERR_NOMEM;
		return false;
	}
	item->id = stored->id;
	if (stored->state == OUTBOX_SEALED && !set_wire(item, stored->wire))
		buf_clear(&item->wire); /* not bytes that were ever sent */
	TAILQ_INSERT_TAIL(&room->out, item, link);
	return true;
}

void
sender_load(struct chat_session *s, enum chat_err *err)
{
	struct load_outbox load = {.s = s};

	*err = s->st->ops->each_outbox(s->st, load_item, &load);
	if (*err == CHAT_OK)
		*err = load.err;
}

/* ---- taking in ---- */

void
sender_add(struct room *room, struct chat_event *done, struct bytes text)
{
	struct chat_session *s = room->s;
	struct chat_event *queued = event_new(CHAT_EVENT_QUEUED);
	struct out_item *item = calloc(1, sizeof *item);
	enum chat_err err = CHAT_ERR_NOMEM;

	if (queued == NULL || item == NULL)
		goto fail;
	err = outbox_seal(&s->identity, &room->id, text, &s->random, &item->sealed_text);
	if (err != CHAT_OK)
		goto fail;
	err = s->st->ops->add_outbox(s->st, &room->id, buf_bytes(&item->sealed_text), &item->id);
	if (err != CHAT_OK)
		goto fail;
	queued->token = done->token;
	event_set_room(queued, &room->id, room->label);
	session_emit(s, queued);
	item->done = done;
	TAILQ_INSERT_TAIL(&room->out, item, link);
	room_wake(room);
	return;
fail:
	/* Nothing is promised yet: the program hears that its text was not taken. */
	event_free(queued);
	if (item != NULL)
		item_free(item);
	done_now(s, done, err, "The text could not be kept in the outbox.", NULL);
}

/* ---- the log says ---- */

static void
settle(struct room *room, struct out_item *item, uint64_t seq)
{
	say_done(room, item, seq, CHAT_OK, NULL, NULL);
	item->settled = true;
	drop(room, item);
}

bool
sender_saw(struct room *room, const struct message *message, const struct digest *entry_hash)
{
	struct out_item *item;

	TAILQ_FOREACH (item, &room->out, link)
		if (item->wire.len > 0 && item->counter == message->header.counter &&
		    memcmp(&item->device, &message->header.device, sizeof item->device) == 0)
			break;
	if (item == NULL)
		return false;
	if (digest_equal(&item->entry_hash, entry_hash)) {
		settle(room, item, room_head(room)->seq);
		return true;
	}
	/* Its number is taken by another's bytes, so its own are not in the log and never will be. */
	item->reseal = true;
	item->settled = false;
	return false;
}

void
sender_saw_stub(struct room *room, const struct digest *entry_hash)
{
	struct out_item *item;

	TAILQ_FOREACH (item, &room->out, link)
		if (item->wire.len > 0 && digest_equal(&item->entry_hash, entry_hash)) {
			settle(room, item, room_head(room)->seq);
			return;
		}
}

/* ---- the server says ---- */

static void
on_stale(struct room *room, struct out_item *item)
{
	if (room->stale_until_ms != 0)
		return;
	room->stale_seq = room_head(room)->seq;
	room->stale_until_ms = room->s->now.mono_ms + STALE_WAIT_MS;
	item->tries++;
}

static void
on_refused(struct room *room, struct out_item *item, const struct refusal *refusal)
{
	room->out_hold = true;
	if (refusal_is_passing(refusal) || refusal->err == CHAT_ERR_SHUTDOWN) {
		room->out_pause_ms = room->s->now.mono_ms + refusal_wait_ms(refusal, item->tries++);
	} else if (refusal->err == CHAT_ERR_STALE)
		on_stale(room, item);
	else if (refusal->err == CHAT_ERR_OUT_OF_ORDER || refusal->err == CHAT_ERR_BAD_SEEN) {
		/* One before it was refused; it is sent again behind that. */
		if (item == TAILQ_FIRST(&room->out) && ++item->tries >= SAY_TRIES_MAX)
			fail(room, item, refusal->err, refusal->text, refusal->mend);
	} else
		fail(room, item, refusal->err, refusal->text, refusal->mend);
}

static void
on_posted(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct out_item *item = call->ctx;
	struct room *room = call->room;

	(void)s;
	item->in_flight = false;
	room->out_in_flight--;
	room_wake(room);
	if (refusal.err == CHAT_OK) {
		item->settled = true;
		say_done(room, item, answer->posted->first_seq, CHAT_OK, NULL, NULL);
	} else if (refusal.err == CHAT_ERR_ALREADY)
		/* Its number is in the log; the entry itself will say whether the bytes are these. */
		item->settled = !item->reseal;
	else
		on_refused(room, item, &refusal);
	if (room->out_in_flight == 0)
		room->out_hold = false;
}

/* ---- sealing ---- */

static uint64_t
next_counter(const struct room *room)
{
	const struct device_id *device = &room->s->device;
	uint64_t last = roster_counter(room->roster, &room->s->identity.member_id, device);
	const struct out_item *item;

	TAILQ_FOREACH (item, &room->out, link)
		if (item->wire.len > 0 && !item->reseal && item->counter > last &&
		    memcmp(&item->device, device, sizeof *device) == 0)
			last = item->counter;
	return last + 1;
}

/* There is another storage with this device's name: this one takes a new name, and numbers from 1. */
static void
renew_device(struct chat_session *s)
{
	s->device_is_copy = false;
	if (session_check(s, s->st->ops->renew_device(s->st, &s->device)))
		session_warn(s, NULL, 0, NULL,
		    "This data directory is a copy of another one, or was restored: it takes a new device "
		    "id.");
}

/* Seals the item for the epoch in force and stores the bytes, before anything of them is sent. */
static bool
seal(struct room *room, struct out_item *item, const struct epoch_key *key)
{
	struct chat_session *s = room->s;
	const struct roster_state *state = roster_state(room->roster);
	struct message_header header = {
	    .epoch_id = state->epoch_id,
	    .sender = s->identity.member_id,
	    .device = s->device,
	    .seen_seq = state->head.seq,
	    .seen_hash = state->head.L,
	    .time_ms = s->now.unix_ms,
	};
	struct buf text = {0}, wire = {0};
	enum chat_err err;
	bool sealed = false;

	/* A refused post used no number: it keeps the one it had. */
	header.counter =
	    item->wire.len > 0 && !item->reseal && memcmp(&item->device, &s->device, sizeof s->device) == 0
		? item->counter
		: next_counter(room);
	err = outbox_open(&s->identity, &room->id, buf_bytes(&item->sealed_text), &text);
	if (err == CHAT_OK)
		err = message_seal(key, &header, buf_bytes(&text), &s->identity.sign, &s->random, &wire);
	if (err == CHAT_ERR_NOMEM)
		(void)session_check(s, err);
	else if (err != CHAT_OK)
		fail(room, item, err, "The text in the outbox cannot be read.", NULL);
	else if (!set_wire(item, buf_bytes(&wire)))
		(void)session_check(s, CHAT_ERR_NOMEM);
	else
		sealed = session_check(
		    s, s->st->ops->seal_outbox(s->st, item->id, header.counter, buf_bytes(&item->wire)));
	buf_fini_secret(&text);
	buf_fini(&wire);
	return sealed;
}

/* The bytes that are there can be sent: of the epoch in force, or of unknown outcome. */
static bool
is_current(const struct room *room, const struct out_item *item)
{
	const struct roster_state *state = roster_state(room->roster);

	return item->wire.len > 0 && !item->reseal && state->open &&
	       digest_equal(&item->epoch_id, &state->epoch_id);
}

static void
post(struct room *room, struct out_item *item)
{
	Chat__V1__PostMessage request = CHAT__V1__POST_MESSAGE__INIT;

	request.room_id = wire_from_digest(&room->id);
	request.message = wire_from_bytes(buf_bytes(&item->wire));
	item->in_flight = true;
	room->out_in_flight++;
	call_make(room->s, CLIENT_FRAME(POST_MESSAGE, post_message, &request), on_posted, room, item, 0);
}

/* The server said stale.  True: the own log agrees by now, or the matter is over; false: wait for it. */
static bool
stale_is_settled(struct room *room)
{
	struct out_item *item = TAILQ_FIRST(&room->out);

	while (item != NULL && item->settled)
		item = TAILQ_NEXT(item, link);
	if (room->stale_until_ms == 0)
		return true;
	if (item == NULL || !is_current(room, item)) {
		room->stale_seq = room->stale_until_ms = 0;
		return true;
	}
	if (room_head(room)->seq > room->stale_seq && item->tries < SAY_TRIES_MAX) {
		room->stale_seq = room->stale_until_ms = 0; /* it may have been about what has come since */
		return true;
	}
	if (room->s->now.mono_ms < room->stale_until_ms)
		return false;
	room->stale_seq = room->stale_until_ms = 0;
	fail(room, item, CHAT_ERR_STALE,
	    "The server wants the room rekeyed first, but its log says nothing of a change.",
	    "tell the administrator of the server");
	return true;
}

/* True if it is on its way. */
static bool
send_item(struct room *room, struct out_item *item, const struct out_item *before)
{
	const struct roster_epoch *epoch;
	const struct epoch_key *key;

	if (!is_current(room, item)) {
		if (!rekey_open_for_saying(room))
			return false;
		epoch = roster_epoch(room->roster, &roster_state(room->roster)->epoch_id);
		key = epoch != NULL ? keys_get(room, epoch) : NULL;
		if (key == NULL || !seal(room, item, key))
			return false;
	}
	/* Two devices' numbers are not compared by the server: their order would be chance. */
	if (before != NULL && memcmp(&before->device, &item->device, sizeof item->device) != 0)
		return false;
	post(room, item);
	return !room->s->ended;
}

void
sender_run(struct room *room)
{
	struct out_item *item, *next, *before = NULL;

	if (room->out_pause_ms != 0 && room->out_pause_ms <= room->s->now.mono_ms)
		room->out_pause_ms = 0;
	if (room->s->device_is_copy)
		renew_device(room->s);
	if (TAILQ_EMPTY(&room->out) || room->s->ended)
		return;
	if (room->read_only) {
		sender_fail_all(room, CHAT_ERR_UNSUPPORTED, room->stop_text, NULL);
		return;
	}
	if (!room_is_live(room) || room->out_hold || room->out_pause_ms != 0)
		return;
	if (!room_is_joined(room)) {
		sender_fail_all(room, CHAT_ERR_NOT_ALLOWED, "You are not a member of this room.", NULL);
		return;
	}
	if (!stale_is_settled(room))
		return;
	TAILQ_FOREACH_SAFE (item, &room->out, link, next) {
		if (room->s->ended || room->out_in_flight >= IN_FLIGHT_MAX)
			return;
		if (item->settled)
			continue;
		if (!item->in_flight && !send_item(room, item, before))
			return;
		before = item;
	}
}
