/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "group/seal.h"
#include "libchat/room.h"

/*
 * Older entries, read backwards page by page: those before the first that is kept, which must lead to the
 * hash that is held there, and messages kept as stubs that may be read by now, which must have the hash of
 * the stub.
 */

struct fetch {
	uint64_t from_seq, to_seq; /* what is wanted; to_seq goes down with each page */
	struct op *op;             /* told; NULL: late stubs, to be shown */
	bool under_way;
	unsigned tries;
	uint64_t again_ms;
	uint64_t *got; /* owned: numbers of messages that are whole now and were not, descending by pages */
	size_t got_count, got_cap;
};

void
fetch_free(struct room *room)
{
	if (room->fetch == NULL)
		return;
	free(room->fetch->got);
	free(room->fetch);
	room->fetch = NULL;
}

void
fetch_forget(struct room *room, const struct op *op)
{
	if (room->fetch == NULL || room->fetch->op != op)
		return;
	calls_forget(room->s, room->fetch);
	fetch_free(room);
}

static int
compare_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
end_fetch(struct room *room, const struct refusal *refusal)
{
	struct fetch *fetch = room->fetch;
	struct op *op = fetch->op;

	if (op == NULL) {
		room->late_fetch = false;
		if (fetch->got_count > 0) {
			qsort(fetch->got, fetch->got_count, sizeof *fetch->got, compare_seq);
			show_job_of(room, fetch->got, fetch->got_count);
			fetch->got = NULL;
		}
	}
	fetch_free(room);
	if (op != NULL)
		op_fetched(room->s, op, refusal);
	room_wake(room);
}

/* ---- what is needed ---- */

struct need {
	struct room *room;
	uint64_t lowest, highest; /* of stubs that can be read now; 0: none */
};

static bool
look_for_stub(void *ctx, const struct stored_entry *entry)
{
	struct need *need = ctx;
	struct room *room = need->room;

	if (entry->kind != ENTRY_MESSAGE || entry->wire.len > 0 || entry->seq < room->oldest_whole_seq ||
	    !roster_may_read_messages(
		room->roster, room_self(room), roster_epoch_of_seq(room->roster, entry->seq)))
		return true;
	if (need->lowest == 0)
		need->lowest = entry->seq;
	need->highest = entry->seq;
	return true;
}

/* Narrows what is wanted to what is missing.  False: nothing is. */
static bool
find_need(struct room *room, struct fetch *fetch)
{
	struct need need = {.room = room};
	uint64_t from = fetch->from_seq > room->first_seq ? fetch->from_seq : room->first_seq;

	if (from <= fetch->to_seq &&
	    !session_check(room->s, room->s->st->ops->each_entry(
					room->s->st, &room->id, from, fetch->to_seq, look_for_stub, &need)))
		return false;
	if (fetch->from_seq < room->first_seq) {
		fetch->to_seq = need.highest != 0 ? need.highest : room->first_seq - 1;
		return true;
	}
	if (need.lowest == 0)
		return false;
	fetch->from_seq = need.lowest;
	fetch->to_seq = need.highest;
	return true;
}

/* ---- a page ---- */

/* An entry of a page: its hash, and its bytes where it is whole and can be shown. */
struct page_entry {
	uint64_t seq, server_time_ms;
	enum entry_kind kind;
	struct bytes wire; /* borrowed */
	struct digest entry_hash, event_hash;
};

static bool
read_entry(const Chat__V1__Entry *from, struct page_entry *ret)
{
	struct message message;
	struct event event;

	*ret = (struct page_entry){
	    .seq = from->seq,
	    .server_time_ms = from->server_time_ms,
	    .kind = from->kind == ENTRY_EVENT ? ENTRY_EVENT : ENTRY_MESSAGE,
	    .wire = wire_bytes(from->wire),
	};
	if (ret->kind == ENTRY_EVENT) {
		if (event_decode(ret->wire, &event) != CHAT_OK)
			return false;
		ret->event_hash = event.event_hash;
		ret->entry_hash = log_entry_hash(ENTRY_EVENT, &event.event_hash, event.sig);
	} else if (ret->wire.len == 0)
		ret->entry_hash = wire_digest(from->entry_hash);
	else if (message_decode(ret->wire, &message) == CHAT_OK)
		ret->entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	else
		return false;
	return true;
}

struct chain {
	uint64_t before_seq;
	struct digest E;
};

static bool
add_to_chain(void *ctx, const struct stored_entry *entry)
{
	struct chain *chain = ctx;
	struct event event;

	if (entry->seq >= chain->before_seq)
		return false;
	if (event_decode(entry->wire, &event) == CHAT_OK)
		chain->E = log_chain_next(&chain->E, &event.event_hash);
	return true;
}

/* Entries before the first kept: from the hash that the server names for the place before them to the one
 * held here. */
static bool
leads_here(struct room *room, const struct page_entry *entries, size_t count, const struct digest *before)
{
	struct chain chain = {.before_seq = entries[0].seq};
	struct log_head head = {.seq = entries[0].seq - 1, .L = *before};
	size_t i;

	if (!session_check(
		room->s, room->s->st->ops->each_event(room->s->st, &room->id, add_to_chain, &chain)))
		return false;
	head.E = chain.E;
	for (i = 0; i < count && entries[i].seq < room->first_seq; i++)
		log_head_advance(&head, entries[i].server_time_ms, &entries[i].entry_hash,
		    entries[i].kind == ENTRY_EVENT ? &entries[i].event_hash : NULL);
	return head.seq + 1 == room->first_seq && digest_equal(&head.L, &room->base_hash);
}

static void
note_got(struct room *room, uint64_t seq)
{
	struct fetch *fetch = room->fetch;
	uint64_t *grown;

	if (fetch->op != NULL)
		return;
	if (fetch->got_count == fetch->got_cap) {
		size_t cap = fetch->got_cap > 0 ? 2 * fetch->got_cap : 64;

		grown = reallocarray(fetch->got, cap, sizeof *grown);
		if (grown == NULL) {
			(void)session_check(room->s, CHAT_ERR_NOMEM);
			return;
		}
		fetch->got = grown;
		fetch->got_cap = cap;
	}
	fetch->got[fetch->got_count++] = seq;
}

struct compare {
	struct room *room;
	const struct page_entry *entries;
	size_t count;
	bool agrees;
};

/* A stored stub or message against the page's entry of the same number. */
static bool
compare_stored(void *ctx, const struct stored_entry *stored)
{
	struct compare *c = ctx;
	const struct page_entry *entry = &c->entries[stored->seq - c->entries[0].seq];

	if (!digest_equal(&stored->entry_hash, &entry->entry_hash)) {
		c->agrees = false;
		return false;
	}
	if (stored->wire.len == 0 && entry->wire.len > 0)
		note_got(c->room, entry->seq);
	return true;
}

static void
store_page(struct room *room, const struct page_entry *entries, size_t count, const struct digest *before)
{
	struct chat_session *s = room->s;

	tx_begin(s);
	for (size_t i = 0; s->in_tx && !s->ended && i < count; i++) {
		const struct stored_entry stored = {
		    .seq = entries[i].seq,
		    .server_time_ms = entries[i].server_time_ms,
		    .kind = entries[i].kind,
		    .wire = entries[i].wire,
		    .entry_hash = entries[i].entry_hash,
		};

		(void)session_check(s, s->st->ops->put_entry(s->st, &room->id, &stored));
	}
	if (!s->ended && entries[0].seq < room->first_seq) {
		room->first_seq = entries[0].seq;
		room->base_hash = *before;
		room_put(room);
	}
	tx_commit(s);
}

/* False: it is not of this room's log. */
static bool
take_page(struct room *room, const Chat__V1__History *page)
{
	struct page_entry *entries = calloc(page->n_entry, sizeof *entries);
	struct digest before = wire_digest(page->before_hash);
	struct compare compare = {.room = room, .entries = entries, .count = page->n_entry, .agrees = true};
	bool good = true;

	if (entries == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return false;
	}
	for (size_t i = 0; i < page->n_entry && good; i++)
		good = read_entry(page->entry[i], &entries[i]);
	if (good && entries[0].seq < room->first_seq)
		good = leads_here(room, entries, page->n_entry, &before);
	if (good && entries[page->n_entry - 1].seq >= room->first_seq)
		good = session_check(
			   room->s, room->s->st->ops->each_entry(room->s->st, &room->id,
					entries[0].seq > room->first_seq ? entries[0].seq : room->first_seq,
					entries[page->n_entry - 1].seq, compare_stored, &compare)) &&
		       compare.agrees;
	if (good)
		store_page(room, entries, page->n_entry, &before);
	free(entries);
	return good && !room->s->ended;
}

/* ---- page by page ---- */

static void
on_history(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct room *room = call->room;
	struct fetch *fetch = room->fetch;
	const Chat__V1__History *page;

	if (fetch == NULL || fetch != call->ctx)
		return;
	fetch->under_way = false;
	room_wake(room);
	if (refusal.err != CHAT_OK) {
		if (refusal_is_passing(&refusal) && fetch->tries < OP_TRIES_MAX)
			fetch->again_ms = s->now.mono_ms + refusal_wait_ms(&refusal, fetch->tries++);
		else
			end_fetch(room, &refusal);
		return;
	}
	page = answer->history;
	if (page->n_entry > 0 &&
	    (page->entry[page->n_entry - 1]->seq != fetch->to_seq || !take_page(room, page))) {
		if (s->ended)
			return;
		session_warn(s, room, fetch->to_seq, "tell the administrator of the server",
		    "The server's older entries of %s (up to %" PRIu64 ") do not lead to what is kept here.",
		    room->label, fetch->to_seq);
		refusal = (struct refusal){.err = CHAT_ERR_HISTORY_CHANGED, .text = "", .mend = ""};
		end_fetch(room, &refusal);
		return;
	}
	if (page->n_entry == 0 || !page->more || page->entry[0]->seq <= fetch->from_seq) {
		end_fetch(room, &refusal);
		return;
	}
	fetch->to_seq = page->entry[0]->seq - 1;
}

static void
send_get(struct room *room)
{
	struct fetch *fetch = room->fetch;
	Chat__V1__GetHistory get = CHAT__V1__GET_HISTORY__INIT;
	uint64_t limit = fetch->to_seq - fetch->from_seq + 1;

	get.room_id = wire_from_digest(&room->id);
	get.before_seq = fetch->to_seq + 1;
	get.limit = limit < HISTORY_LIMIT_MAX ? (uint32_t)limit : HISTORY_LIMIT_MAX;
	fetch->under_way = true;
	fetch->again_ms = 0;
	call_make(room->s, CLIENT_FRAME(GET_HISTORY, get_history, &get), on_history, room, fetch, 0);
}

static void
begin(struct room *room, uint64_t from_seq, uint64_t to_seq, struct op *op)
{
	const struct refusal nothing = {.text = "", .mend = ""};

	room->fetch = calloc(1, sizeof *room->fetch);
	if (room->fetch == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	room->fetch->from_seq = from_seq;
	room->fetch->to_seq = to_seq;
	room->fetch->op = op;
	if (!find_need(room, room->fetch) && !room->s->ended)
		end_fetch(room, &nothing);
}

void
fetch_range(struct room *room, uint64_t from_seq, uint64_t to_seq, struct op *op)
{
	begin(room, from_seq, to_seq, op);
	room_wake(room);
}

void
fetch_late(struct room *room, uint64_t from_seq, uint64_t to_seq)
{
	room->late_fetch = true;
	room->late_from = from_seq;
	room->late_to = to_seq;
	room_wake(room);
}

void
fetch_run(struct room *room)
{
	if (!room_is_live(room))
		return;
	if (room->fetch == NULL && room->late_fetch)
		begin(room, room->late_from, room->late_to, NULL);
	if (room->fetch != NULL && !room->fetch->under_way && room->fetch->again_ms <= room->s->now.mono_ms)
		send_get(room);
}

uint64_t
fetch_deadline_ms(const struct room *room)
{
	return room->fetch != NULL && room->fetch->again_ms != 0 ? room->fetch->again_ms : NEVER_MS;
}

void
fetch_on_disconnect(struct room *room)
{
	/* Its op begins again by itself; late stubs stay wanted. */
	fetch_free(room);
}
