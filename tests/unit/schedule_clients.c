/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Of each subscription it is asked: the numbers from where it resumed on, each once, in order, to the head or
 * to the end of the stay; a message whole for who was joined when it was said and is still, and never whole
 * for who was no reader when its epoch opened.
 */

#include "schedule.h"

#include "proto/frame.h"

uint64_t
below(struct schedule *s, uint64_t n)
{
	return unit_rand(&s->w.seed) % n;
}

size_t
person_of(size_t conn)
{
	return conn / 2;
}

const struct roster_member *
member_of(const struct schedule *s, const struct model_room *room, size_t person)
{
	return roster_member(room->copy.roster, &s->people[person].identity.member_id);
}

uint8_t
who(const struct schedule *s, const struct model_room *room, bool (*is)(const struct roster_member *))
{
	uint8_t bits = 0;

	for (size_t i = 0; i < PEOPLE; i++)
		if (is(member_of(s, room, i)))
			bits |= (uint8_t)(1u << i);
	return bits;
}

/* ---- what clients check ---- */

static void
receive(struct schedule *s, size_t c, size_t r, uint64_t seq, bool whole)
{
	struct model_sub *sub = &s->conns[c].subs[r];
	const struct model_entry *entry = &s->rooms[r].entries[seq];
	uint8_t bit = (uint8_t)(1u << person_of(c));

	assert_int_equal(seq, sub->next);
	sub->next++;
	sub->queued++;
	s->seen.received++;
	if (!entry->message) {
		assert_true(whole);
		return;
	}
	if (whole)
		s->seen.whole++;
	else
		s->seen.stubs++;
	if (whole)
		assert_true(entry->entitled & bit);
	/* Joined when it was said, and the stay goes on: the text is owed. */
	if ((entry->joined & bit) && member_is_joined(member_of(s, &s->rooms[r], person_of(c))) &&
	    sub->joined_since != 0 && sub->joined_since <= seq)
		assert_true(whole);
}

/* ---- the server's side of a connection ---- */

void
sub_off(struct model_sub *sub)
{
	view_unref(sub->view);
	sub->view = NULL;
	sub->on = false;
	sub->reading = false;
	sub->queued = 0;
}

void
maybe_read(struct schedule *s, struct model_sub *sub)
{
	if (sub->on && sub->ended && !sub->reading && delivery_is_over(&sub->d)) {
		assert_int_equal(sub->next, sub->end_seq + 1);
		sub_off(
		    sub); /* as the server forgets it; the client may come again after another invitation */
	}
	if (!sub->on ||
	    !delivery_wants_read(&sub->d, sub->queued < QUEUE_MARK, &sub->read_from, &sub->read_to))
		return;
	delivery_read_started(&sub->d);
	sub->reading = true;
	s->seen.reads++;
}

struct read_ctx {
	struct schedule *s;
	size_t c, r;
	uint64_t limit;
};

static bool
on_read(void *ctx, const struct store_entry *entry)
{
	struct read_ctx *rc = ctx;
	struct model_sub *sub = &rc->s->conns[rc->c].subs[rc->r];
	bool whole = entry->kind == ENTRY_EVENT || view_allows(sub->view, entry->seq);

	assert_true(digest_equal(&entry->log_hash, &rc->s->rooms[rc->r].entries[entry->seq].L));
	assert_bytes_equal(entry->wire, buf_bytes(&rc->s->rooms[rc->r].entries[entry->seq].wire));
	if (delivery_offer_read(&sub->d, entry->seq) == DELIVERY_SEND)
		receive(rc->s, rc->c, rc->r, entry->seq, whole);
	return --rc->limit > 0;
}

void
step_read(struct schedule *s, size_t c, size_t r)
{
	struct model_sub *sub = &s->conns[c].subs[r];
	struct read_ctx rc = {.s = s, .c = c, .r = r, .limit = 1 + below(s, 8)};

	if (!sub->on || !sub->reading)
		return;
	assert_ok(store_reader_begin(s->reader));
	assert_ok(store_reader_range(s->reader, sub->room_no, sub->read_from, sub->read_to, on_read, &rc));
	store_reader_end(s->reader);
	sub->reading = false;
	delivery_read_done(&sub->d);
	maybe_read(s, sub);
}

static struct model_sub *
sub_by_no(struct model_conn *conn, uint64_t room_no, size_t *ret_r)
{
	for (size_t r = 0; r < ROOMS; r++) {
		if (conn->subs[r].on && conn->subs[r].room_no == room_no) {
			*ret_r = r;
			return &conn->subs[r];
		}
	}
	return NULL;
}

struct model_conn *
conn_of(struct schedule *s, struct conn_ref ref)
{
	for (size_t c = 0; c < CONNS; c++)
		if (s->conns[c].open && s->conns[c].ref.loop == ref.loop &&
		    s->conns[c].ref.slot == ref.slot && s->conns[c].ref.generation == ref.generation)
			return &s->conns[c];
	return NULL;
}

static void
on_subscribed(struct schedule *s, struct model_conn *conn, struct outcome *out)
{
	size_t r;

	for (r = 0; r < ROOMS; r++)
		if (digest_equal(&s->rooms[r].copy.room_id, &out->subscribed.room_id))
			break;
	assert_true(r < ROOMS);
	sub_off(&conn->subs[r]);
	conn->subs[r].on = true;
	conn->subs[r].resuming = false;
	conn->subs[r].ended = false;
	conn->subs[r].end_seq = 0;
	conn->subs[r].room_no = out->subscribed.room_no;
	conn->subs[r].view = out->subscribed.view;
	out->subscribed.view = NULL;
	assert_int_equal(conn->subs[r].next, out->subscribed.next_seq);
	delivery_init(&conn->subs[r].d, out->subscribed.next_seq, out->subscribed.head_seq);
	maybe_read(s, &conn->subs[r]);
}

static void
check_live(const struct model_entry *want, const struct entry_frames *frames, bool whole)
{
	const struct frame_ref *ref = whole ? frames->whole : frames->stub;
	const Chat__V1__ServerFrame *frame = NULL;
	struct arena arena;

	assert_non_null(ref);
	frame_arena_init(&arena);
	assert_ok(frame_decode_server(
	    BYTES(ref->data + FRAME_HEADER_BYTES, ref->len - FRAME_HEADER_BYTES), &arena, &frame));
	assert_int_equal(frame->entry->seq, frames->seq);
	assert_int_equal(frame->entry->server_time_ms, want->server_time_ms);
	if (whole)
		assert_bytes_equal(
		    BYTES(frame->entry->wire.data, frame->entry->wire.len), buf_bytes(&want->wire));
	else
		assert_int_equal(frame->entry->wire.len, 0);
	arena_fini(&arena);
}

static void
on_entries(struct schedule *s, uint16_t loop, const struct outcome *out)
{
	for (size_t c = 0; c < CONNS; c++) {
		struct model_conn *conn = &s->conns[c];
		struct model_sub *sub;
		size_t r;

		if (!conn->open || conn->ref.loop != loop)
			continue;
		sub = sub_by_no(conn, out->entries.room_no, &r);
		if (sub == NULL)
			continue;
		for (uint32_t i = 0; i < out->entries.count; i++) {
			const struct entry_frames *f = &out->entries.frames[i];
			bool whole = !s->rooms[r].entries[f->seq].message || view_allows(sub->view, f->seq);

			if (delivery_offer_live(&sub->d, f->seq, sub->queued < QUEUE_MARK) == DELIVERY_SEND) {
				check_live(&s->rooms[r].entries[f->seq], f, whole);
				receive(s, c, r, f->seq, whole);
			}
		}
		maybe_read(s, sub);
	}
}

void
step_mail(struct schedule *s, uint16_t loop)
{
	struct outcome *out = s->mail[loop];
	struct model_conn *conn;
	struct model_sub *sub;
	size_t r;

	if (out == NULL)
		return;
	s->mail[loop] = out->next;
	if (s->mail[loop] == NULL)
		s->mail_last[loop] = &s->mail[loop];
	out->next = NULL;
	conn = conn_of(s, out->to);
	if (out->type == OUT_ENTRIES) {
		on_entries(s, loop, out);
	} else if (conn == NULL) {
		/* a connection that ended meanwhile */
	} else if (out->type == OUT_SUBSCRIBED) {
		on_subscribed(s, conn, out);
	} else if (out->type == OUT_VIEW) {
		sub = sub_by_no(conn, out->view.room_no, &r);
		if (sub != NULL) {
			view_unref(sub->view);
			sub->view = out->view.view;
			out->view.view = NULL;
		}
	} else if (out->type == OUT_END) {
		sub = sub_by_no(conn, out->end.room_no, &r);
		if (sub != NULL) {
			delivery_end(&sub->d, out->end.end_seq);
			sub->ended = true;
			sub->end_seq = out->end.end_seq;
			maybe_read(s, sub);
		}
	}
	outcome_free(out);
}

/* ---- mail ---- */

void
send_mail(struct schedule *s)
{
	struct outcome *out = s->w.out;

	s->w.out = NULL;
	while (out != NULL) {
		struct outcome *next = out->next;

		out->next = NULL;
		*s->mail_last[out->to.loop] = out;
		s->mail_last[out->to.loop] = &out->next;
		out = next;
	}
}

void
drop_mail(struct schedule *s)
{
	for (uint16_t i = 0; i < WORLD_LOOPS; i++) {
		outcome_list_free(s->mail[i]);
		s->mail[i] = NULL;
		s->mail_last[i] = &s->mail[i];
	}
}

void
note_joined(struct schedule *s)
{
	for (size_t c = 0; c < CONNS; c++) {
		for (size_t r = 0; r < ROOMS; r++) {
			struct model_sub *sub = &s->conns[c].subs[r];
			bool joined =
			    s->rooms[r].made && member_is_joined(member_of(s, &s->rooms[r], person_of(c)));

			if (!joined || !sub->on)
				sub->joined_since = 0;
			else if (sub->joined_since == 0)
				sub->joined_since = s->rooms[r].head + 1;
		}
	}
}

void
settle(struct schedule *s)
{
	for (int i = 0; i < 20000; i++) {
		bool busy = false;

		for (uint16_t loop = 0; loop < WORLD_LOOPS; loop++) {
			busy = busy || s->mail[loop] != NULL;
			step_mail(s, loop);
		}
		for (size_t c = 0; c < CONNS; c++) {
			for (size_t r = 0; r < ROOMS; r++) {
				struct model_sub *sub = &s->conns[c].subs[r];

				busy = busy || sub->reading || sub->queued > 0;
				step_read(s, c, r);
				sub->queued = 0;
				maybe_read(s, sub);
			}
		}
		if (!busy)
			return;
	}
	fail_msg("it does not come to rest");
}

void
check_clients(struct schedule *s)
{
	for (size_t c = 0; c < CONNS; c++) {
		for (size_t r = 0; r < ROOMS; r++) {
			const struct model_sub *sub = &s->conns[c].subs[r];

			if (!sub->on)
				continue;
			if (sub->ended)
				assert_int_equal(sub->next, sub->end_seq + 1);
			else
				assert_int_equal(sub->next, s->rooms[r].head + 1);
		}
	}
}
