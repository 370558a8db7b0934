/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/sub.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "server/loop_thread.h"
#include "server/read_run.h"
#include "server/readers.h"

#define RETRY_MS 1000 /* after a read that failed: the disk may be well again */

static uint64_t
now_ms(const struct conn *c)
{
	return loop_now(c->lt->loop).mono_ms;
}

/* ---- which there are ---- */

static struct bytes
key_of(const uint64_t *room_no)
{
	return BYTES(room_no, sizeof *room_no);
}

/* NULL: out of memory. */
static struct sub_room *
room_get(struct loop_thread *lt, uint64_t room_no, const struct digest *room_id)
{
	struct sub_room *room = map_get(&lt->sub_rooms, key_of(&room_no));

	if (room != NULL)
		return room;
	room = calloc(1, sizeof *room);
	if (room == NULL)
		return NULL;
	room->room_no = room_no;
	room->room_id = *room_id;
	LIST_INIT(&room->subs);
	if (map_put(&lt->sub_rooms, key_of(&room->room_no), room) != CHAT_OK) {
		free(room);
		return NULL;
	}
	return room;
}

static struct sub *
sub_find(const struct conn *c, uint64_t room_no)
{
	struct sub *sub;

	LIST_FOREACH (sub, &c->subs, conn_link)
		if (sub->room->room_no == room_no)
			return sub;
	return NULL;
}

static void
sub_free(struct sub *sub)
{
	struct conn *c = sub->conn;
	struct sub_room *room = sub->room;

	for (size_t i = 0; i < RANGE_READS_PER_CONN; i++)
		if (c->range_reads[i].sub == sub)
			c->range_reads[i].sub = NULL;
	if (sub->wanting)
		TAILQ_REMOVE(&c->wanting, sub, want_link);
	LIST_REMOVE(sub, conn_link);
	LIST_REMOVE(sub, room_link);
	view_unref(sub->view);
	free(sub);
	if (LIST_EMPTY(&room->subs)) {
		map_remove(&c->lt->sub_rooms, key_of(&room->room_no));
		free(room);
	}
}

void
sub_end_all(struct conn *c)
{
	while (!LIST_EMPTY(&c->subs))
		sub_free(LIST_FIRST(&c->subs));
}

/* ---- what was missed ---- */

/* After anything that moved it: over, or behind and to be read, or neither. */
static void
sub_settle(struct sub *sub)
{
	uint64_t from, to;

	if (delivery_is_over(&sub->delivery)) {
		sub_free(sub);
		return;
	}
	/* Whether there is room is asked when it is its turn. */
	if (!sub->wanting && delivery_wants_read(&sub->delivery, true, &from, &to)) {
		TAILQ_INSERT_TAIL(&sub->conn->wanting, sub, want_link);
		sub->wanting = true;
		conn_touch(sub->conn);
	}
}

/* False: no memory for it; later. */
static bool
start_read(struct sub *sub, struct range_read *slot, uint64_t from, uint64_t to)
{
	struct conn *c = sub->conn;
	struct read_request *request = calloc(1, sizeof *request);

	if (request == NULL)
		return false;
	request->kind = READ_RANGE;
	request->conn = c->ref;
	request->request_id = ++c->lt->sub_serial;
	request->room_id = sub->room->room_id;
	request->room_no = sub->room->room_no;
	request->member_id = c->member_id;
	request->view = view_ref(sub->view);
	request->from_seq = from;
	request->to_seq = to;
	slot->serial = request->request_id;
	slot->sub = sub;
	delivery_read_started(&sub->delivery);
	readers_put(c->lt->shared->readers, request);
	return true;
}

static struct range_read *
free_slot(struct conn *c)
{
	for (size_t i = 0; i < RANGE_READS_PER_CONN; i++)
		if (c->range_reads[i].serial == 0)
			return &c->range_reads[i];
	return NULL;
}

void
sub_pump(struct conn *c)
{
	struct range_read *slot;
	struct sub *sub;
	uint64_t from, to;

	if (c->range_retry_ms > now_ms(c))
		return;
	c->range_retry_ms = 0;
	while (
	    (sub = TAILQ_FIRST(&c->wanting)) != NULL && conn_has_room(c) && (slot = free_slot(c)) != NULL) {
		if (delivery_wants_read(&sub->delivery, true, &from, &to) &&
		    !start_read(sub, slot, from, to)) {
			c->range_retry_ms = now_ms(c) + RETRY_MS;
			return;
		}
		TAILQ_REMOVE(&c->wanting, sub, want_link);
		sub->wanting = false;
	}
}

uint64_t
sub_next_ms(const struct conn *c)
{
	return c->range_retry_ms > 0 && !TAILQ_EMPTY(&c->wanting) ? c->range_retry_ms : NEVER_MS;
}

/* How many of the entries read are to be sent: those from the first on, up to where the stay ended. */
static uint32_t
offer_read(struct sub *sub, const struct read_result *result)
{
	uint32_t count = 0;

	while (count < result->count &&
	       delivery_offer_read(&sub->delivery, result->first_seq + count) == DELIVERY_SEND)
		count++;
	return count;
}

static struct frame_ref *
first_bytes(const struct frame_ref *frames, uint32_t len)
{
	struct frame_ref *copy = frame_ref_new(len);

	if (copy != NULL)
		memcpy(copy->data, frames->data, len);
	return copy;
}

void
sub_read_done(struct conn *c, struct read_result *result)
{
	struct range_read *slot = NULL;
	struct sub *sub;
	uint32_t count;

	for (size_t i = 0; i < RANGE_READS_PER_CONN; i++)
		if (c->range_reads[i].serial == result->request_id)
			slot = &c->range_reads[i];
	if (slot == NULL)
		return;
	sub = slot->sub;
	*slot = (struct range_read){0};
	conn_touch(c);
	if (sub == NULL)
		return;
	/* The entries are there, or the read would not have been asked for: none is a failure like others. */
	if (result->count == 0) {
		c->range_retry_ms = now_ms(c) + RETRY_MS;
		delivery_read_done(&sub->delivery);
		sub_settle(sub);
		return;
	}
	count = offer_read(sub, result);
	delivery_read_done(&sub->delivery);
	sub_settle(sub);
	if (count == result->count) {
		conn_send(c, result->frames);
		result->frames = NULL;
	} else if (count > 0) {
		struct frame_ref *part = first_bytes(result->frames, result->ends[count - 1]);

		if (part == NULL)
			conn_drop(c, "nomem");
		else
			conn_send(c, part);
	}
}

/* ---- what is new ---- */

/* False: the connection is gone, and the subscription with it. */
static bool
send_wrap(struct sub *sub, const struct wrap_list *wraps)
{
	const uint8_t *wrap = wraps == NULL ? NULL : wrap_list_find(wraps, &sub->conn->member_id);
	struct conn *c = sub->conn;
	struct frame_ref *frame;

	if (wrap == NULL)
		return true;
	frame = frame_ref_new(FRAME_WRAP_PUSH_BYTES);
	if (frame == NULL) {
		conn_drop(c, "nomem");
		return false;
	}
	frame_wrap_push_put(&wraps->room_id, &wraps->epoch_id, wrap, frame->data);
	conn_send(c, frame);
	return c->state == CONN_OPEN;
}

/* False: as above. */
static bool
offer_live(struct sub *sub, const struct entry_frames *frames)
{
	bool whole = frames->event || view_allows(sub->view, frames->seq);
	struct frame_ref *frame = whole ? frames->whole : frames->stub;
	struct conn *c = sub->conn;

	/* Without a frame only the number is known, and a read will bring it. */
	if (frame == NULL) {
		delivery_head_moved(&sub->delivery, frames->seq);
		return true;
	}
	if (delivery_offer_live(&sub->delivery, frames->seq, conn_has_room(c)) != DELIVERY_SEND)
		return true;
	if (!send_wrap(sub, frames->wraps))
		return false;
	conn_send(c, frame_ref_ref(frame));
	return c->state == CONN_OPEN;
}

void
sub_entries(struct loop_thread *lt, const struct outcome *outcome)
{
	struct sub_room *room = map_get(&lt->sub_rooms, key_of(&outcome->entries.room_no));
	struct sub *sub, *next;

	if (room == NULL)
		return;
	/* What happens to one connection leaves the next one's subscription where it is; the room may go with
	 * the last. */
	LIST_FOREACH_SAFE(sub, &room->subs, room_link, next)
	{
		bool alive = true;

		for (uint32_t i = 0; i < outcome->entries.count && alive; i++)
			alive = offer_live(sub, &outcome->entries.frames[i]);
		if (alive)
			sub_settle(sub);
	}
}

/* ---- beginning, changing, ending ---- */

void
sub_start(struct conn *c, struct outcome *outcome)
{
	struct sub_room *room;
	struct sub *sub = sub_find(c, outcome->subscribed.room_no);

	if (sub != NULL)
		sub_free(sub);
	sub = calloc(1, sizeof *sub);
	room =
	    sub == NULL ? NULL : room_get(c->lt, outcome->subscribed.room_no, &outcome->subscribed.room_id);
	if (room == NULL) {
		free(sub);
		conn_drop(c, "nomem");
		return;
	}
	sub->conn = c;
	sub->room = room;
	sub->view = outcome->subscribed.view;
	outcome->subscribed.view = NULL;
	delivery_init(&sub->delivery, outcome->subscribed.next_seq, outcome->subscribed.head_seq);
	LIST_INSERT_HEAD(&c->subs, sub, conn_link);
	LIST_INSERT_HEAD(&room->subs, sub, room_link);
	sub_settle(sub);
}

void
sub_set_view(struct conn *c, struct outcome *outcome)
{
	struct sub *sub = sub_find(c, outcome->view.room_no);

	if (sub == NULL)
		return;
	view_unref(sub->view);
	sub->view = outcome->view.view;
	outcome->view.view = NULL;
}

void
sub_set_end(struct conn *c, const struct outcome *outcome)
{
	struct sub *sub = sub_find(c, outcome->end.room_no);

	if (sub == NULL)
		return;
	delivery_end(&sub->delivery, outcome->end.end_seq);
	sub_settle(sub);
}
