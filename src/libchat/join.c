/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "group/newcomer.h"
#include "libchat/room.h"

/*
 * A room that was never seen here, by an invitation: all of its events up to that, then what the inviter
 * signed as seen, then the stubs from there.  Signatures are verified apart; the rules and the hashes when
 * these are known.
 */

struct joined_event {
	uint64_t seq, server_time_ms;
	size_t at, len;     /* in wires */
	struct event event; /* once all have come */
	uint32_t first_sig, sig_count;
};

struct member_key {
	struct digest id;
	uint8_t pk[ED25519_PK_BYTES];
};

struct joining {
	struct buf wires;
	struct joined_event *events; /* owned */
	size_t count, cap;
	bool has_preimage;
	uint8_t preimage[LOG_PREIMAGE_BYTES];
	size_t preimage_len;
	struct newcomer_stub *stubs; /* owned */
	size_t stub_count, stub_cap;
	uint64_t work_id;
};

static void get_roster(struct room *room, uint64_t from_seq);
static void get_prefix(struct room *room, uint64_t from_seq);
static void verify(struct room *room);

void
join_free(struct joining *joining)
{
	if (joining == NULL)
		return;
	buf_fini(&joining->wires);
	free(joining->events);
	free(joining->stubs);
	free(joining);
}

static void
end_joining(struct room *room)
{
	join_free(room->joining);
	room->joining = NULL;
}

/* True if the answer is an error, which was seen to. */
static bool
join_refused(struct room *room, const struct refusal *refusal)
{
	if (refusal->err == CHAT_OK)
		return false;
	end_joining(room);
	if (refusal_is_passing(refusal)) {
		room->phase = ROOM_KEPT;
		room->resume_again_ms = room->s->now.mono_ms + refusal_wait_ms(refusal, room->resume_tries++);
	} else if (refusal->err == CHAT_ERR_NO_ROOM)
		room->phase = ROOM_KEPT; /* the invitation was withdrawn meanwhile */
	else
		room_stop(room, false, refusal->err, refusal->text, refusal->mend);
	room_wake(room);
	return true;
}

/* ---- the events ---- */

/* Grows a list by one. */
static bool
grow(void *list, size_t *cap, size_t count, size_t item_bytes)
{
	void **at = list;
	size_t more = *cap == 0 ? 64 : *cap * 2;
	void *grown;

	if (count < *cap)
		return true;
	grown = reallocarray(*at, more, item_bytes);
	if (grown == NULL)
		return false;
	*at = grown;
	*cap = more;
	return true;
}

static bool
add_event(struct joining *joining, const Chat__V1__Entry *entry)
{
	struct joined_event *event;
	size_t at = joining->wires.len;

	if (!grow(&joining->events, &joining->cap, joining->count, sizeof *joining->events) ||
	    buf_append(&joining->wires, entry->wire.data, entry->wire.len) != CHAT_OK)
		return false;
	event = &joining->events[joining->count++];
	memset(event, 0, sizeof *event);
	event->seq = entry->seq;
	event->server_time_ms = entry->server_time_ms;
	event->at = at;
	event->len = entry->wire.len;
	return true;
}

static void
on_roster(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct room *room = call->room;
	const Chat__V1__RosterEvents *page;
	struct joining *joining = room->joining;
	uint64_t last = 0;

	if (room->phase != ROOM_JOINING || joining == NULL || join_refused(room, &refusal))
		return;
	page = answer->roster_events;
	for (size_t i = 0; i < page->n_entry; i++) {
		const Chat__V1__Entry *entry = page->entry[i];

		last = entry->seq;
		if (entry->seq > room->since_seq)
			break; /* these come by Resume */
		if (joining->count > 0 && entry->seq <= joining->events[joining->count - 1].seq) {
			session_fail(
			    s, CHAT_ERR_MALFORMED, false, "The server repeats a page of events.", NULL);
			return;
		}
		if (!add_event(joining, entry)) {
			(void)session_check(s, CHAT_ERR_NOMEM);
			return;
		}
	}
	if (page->more && last < room->since_seq)
		get_roster(room, last + 1);
	else
		get_prefix(room, 0);
}

static void
get_roster(struct room *room, uint64_t from_seq)
{
	Chat__V1__GetRoster get = CHAT__V1__GET_ROSTER__INIT;

	get.room_id = wire_from_digest(&room->id);
	get.from_seq = from_seq;
	call_make(room->s, CLIENT_FRAME(GET_ROSTER, get_roster, &get), on_roster, room, room, 0);
}

/* ---- the prefix ---- */

static bool
add_stub(struct joining *joining, const Chat__V1__Entry *entry)
{
	if (!grow(&joining->stubs, &joining->stub_cap, joining->stub_count, sizeof *joining->stubs))
		return false;
	joining->stubs[joining->stub_count++] = (struct newcomer_stub){
	    .seq = entry->seq,
	    .server_time_ms = entry->server_time_ms,
	    .entry_hash = wire_digest(entry->entry_hash),
	};
	return true;
}

static void
on_prefix(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct room *room = call->room;
	struct joining *joining = room->joining;
	const Chat__V1__Prefix *page;

	if (room->phase != ROOM_JOINING || joining == NULL || join_refused(room, &refusal))
		return;
	page = answer->prefix;
	if (!joining->has_preimage) {
		joining->has_preimage = true;
		joining->preimage_len = page->preimage.len;
		if (page->preimage.len > 0)
			memcpy(joining->preimage, page->preimage.data, page->preimage.len);
	}
	for (size_t i = 0; i < page->n_stub; i++) {
		if (page->stub[i]->seq > room->since_seq)
			break;
		if (!add_stub(joining, page->stub[i])) {
			(void)session_check(s, CHAT_ERR_NOMEM);
			return;
		}
	}
	if (page->more && joining->stub_count > 0 &&
	    joining->stubs[joining->stub_count - 1].seq < room->since_seq)
		get_prefix(room, joining->stubs[joining->stub_count - 1].seq);
	else
		verify(room);
}

static void
get_prefix(struct room *room, uint64_t from_seq)
{
	Chat__V1__GetPrefix get = CHAT__V1__GET_PREFIX__INIT;

	get.room_id = wire_from_digest(&room->id);
	get.from_seq = from_seq;
	call_make(room->s, CLIENT_FRAME(GET_PREFIX, get_prefix, &get), on_prefix, room, room, 0);
}

/* ---- signatures ---- */

static void
prefix_is_bad(struct room *room, enum chat_err err)
{
	struct roster *fresh = roster_new(&room->s->realm, true);

	end_joining(room);
	if (fresh == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	roster_free(room->roster);
	room->roster = fresh;
	keys_fini(room);
	(void)label_update(room);
	if (err == CHAT_ERR_UNSUPPORTED)
		room_stop(room, true, err, "This room needs a newer client than this one.",
		    "install a newer version");
	else
		room_stop(room, true, err,
		    "The log before the invitation is not the one that the inviter saw, or breaks the rules "
		    "of rooms.",
		    "ask the inviter, and tell the administrator of the server");
}

/* The keys of all who appear, by their cards: a member id is made of its key, so a card proves it. */
static bool
add_key(struct map *keys, struct member_key *list, size_t *count, const struct card *card)
{
	struct member_key *key = &list[*count];
	enum chat_err err;

	key->id = card->member_id;
	memcpy(key->pk, card->ed_pk, sizeof key->pk);
	err = map_put(keys, digest_bytes(&key->id), key);
	if (err == CHAT_OK)
		(*count)++;
	return err != CHAT_ERR_NOMEM;
}

static void
add_signature(struct work *work, const char *domain, const uint8_t *pk, struct bytes what, const uint8_t *sig)
{
	struct work_signature *to = &work->verify.signatures[work->verify.count++];

	to->domain = domain;
	to->what = what;
	memcpy(to->pk, pk, sizeof to->pk);
	memcpy(to->sig, sig, sizeof to->sig);
}

/* The item owns a copy of the wires; what is signed lies in it. */
static void
add_signatures(struct work *work, struct joined_event *from, const struct map *keys)
{
	const struct event *event = &from->event;
	const struct card *cards[2] = {&event->card, &event->peer_card};
	const struct bytes wires[2] = {event->card_wire, event->peer_card_wire};
	const uint8_t *wire = work->verify.body + from->at;
	const struct member_key *key = map_get(keys, digest_bytes(&event->actor));

	from->first_sig = work->verify.count;
	if (key != NULL)
		add_signature(work, "event", key->pk, BYTES(wire, from->len - ED25519_SIG_BYTES), event->sig);
	for (size_t i = 0; i < ARRAY_LEN(cards) && key != NULL; i++)
		if (wires[i].len > 0)
			add_signature(work, "card", cards[i]->ed_pk,
			    BYTES(wire + (cards[i]->body.data - event->wire.data), cards[i]->body.len),
			    cards[i]->sig.data);
	from->sig_count = work->verify.count - from->first_sig;
}

static enum chat_err
decode_events(struct joining *joining, struct map *keys, struct member_key *list)
{
	size_t key_count = 0;

	for (size_t i = 0; i < joining->count; i++) {
		struct joined_event *e = &joining->events[i];
		enum chat_err err = event_decode(BYTES(joining->wires.data + e->at, e->len), &e->event);

		if (err != CHAT_OK)
			return err;
		if ((e->event.card_wire.len > 0 && !add_key(keys, list, &key_count, &e->event.card)) ||
		    (e->event.peer_card_wire.len > 0 &&
			!add_key(keys, list, &key_count, &e->event.peer_card)))
			return CHAT_ERR_NOMEM;
	}
	return CHAT_OK;
}

static void
verify(struct room *room)
{
	struct joining *joining = room->joining;
	struct member_key *list = calloc(2 * joining->count + 1, sizeof *list);
	struct work *work = session_new_work(room->s, WORK_VERIFY, room);
	struct map keys = {0};
	enum chat_err err = CHAT_ERR_NOMEM;

	if (list == NULL || work == NULL)
		goto out;
	work->verify.body = malloc(joining->wires.len + 1);
	work->verify.signatures = calloc(3 * joining->count + 1, sizeof *work->verify.signatures);
	if (work->verify.body == NULL || work->verify.signatures == NULL)
		goto out;
	if (joining->wires.len > 0)
		memcpy(work->verify.body, joining->wires.data, joining->wires.len);
	err = decode_events(joining, &keys, list);
	if (err != CHAT_OK)
		goto out;
	for (size_t i = 0; i < joining->count; i++)
		add_signatures(work, &joining->events[i], &keys);
	joining->work_id = work->id;
	session_add_work(room->s, work);
	work = NULL;
out:
	map_fini(&keys);
	free(list);
	work_free(work);
	if (err == CHAT_ERR_NOMEM)
		(void)session_check(room->s, err);
	else if (err != CHAT_OK)
		prefix_is_bad(room, err);
}

/* ---- the rules and the hashes ---- */

static enum chat_err
check_prefix(const struct room *room, struct log_head *ret_head)
{
	const struct joining *joining = room->joining;
	struct newcomer_event *events = calloc(joining->count + 1, sizeof *events);
	enum chat_err err;

	if (events == NULL)
		return CHAT_ERR_NOMEM;
	for (size_t i = 0; i < joining->count; i++)
		events[i] = (struct newcomer_event){joining->events[i].seq, &joining->events[i].event};
	err = newcomer_check(events, joining->count, BYTES(joining->preimage, joining->preimage_len),
	    joining->stubs, joining->stub_count, ret_head);
	free(events);
	return err;
}

static enum chat_err
load_events(struct room *room, const struct work *work)
{
	const struct joining *joining = room->joining;

	for (size_t i = 0; i < joining->count; i++) {
		const struct joined_event *e = &joining->events[i];
		struct key_slot *slot;
		bool good = e->sig_count > 0;
		enum chat_err err;

		for (uint32_t k = 0; k < e->sig_count; k++)
			good = good && work->verify.signatures[e->first_sig + k].good;
		if (!digest_equal(&e->event.room_id, &room->id))
			return CHAT_ERR_BAD_PREFIX;
		err = roster_load_event(room->roster, e->seq, &e->event, good, NULL);
		if (err != CHAT_OK)
			return err;
		if (e->event.card_wire.len > 0)
			keys_note_card_of(room, e->seq, &e->event);
		if (e->event.type != EVENT_REKEY)
			continue;
		slot = keys_slot(room, roster_epoch(room->roster, &e->event.event_hash));
		if (slot == NULL)
			return CHAT_ERR_NOMEM;
		slot->by_moderator = roster_member(room->roster, &e->event.actor)->role >= ROLE_MODERATOR;
	}
	return CHAT_OK;
}

static void
store_prefix(struct room *room)
{
	struct chat_session *s = room->s;
	const struct joining *joining = room->joining;
	struct stored_entry entry;
	size_t next = 0;

	tx_begin(s);
	for (size_t i = 0; s->in_tx && i < joining->count; i++) {
		const struct joined_event *e = &joining->events[i];

		entry = (struct stored_entry){
		    .seq = e->seq,
		    .server_time_ms = e->server_time_ms,
		    .kind = ENTRY_EVENT,
		    .wire = e->event.wire,
		    .entry_hash = log_entry_hash(ENTRY_EVENT, &e->event.event_hash, e->event.sig),
		};
		if (!session_check(s, s->st->ops->put_entry(s->st, &room->id, &entry)))
			break;
	}
	for (size_t i = 0; s->in_tx && !s->ended && i < joining->stub_count; i++) {
		const struct newcomer_stub *stub = &joining->stubs[i];

		while (next < joining->count && joining->events[next].seq < stub->seq)
			next++;
		if (next < joining->count && joining->events[next].seq == stub->seq)
			continue;
		entry = (struct stored_entry){
		    .seq = stub->seq,
		    .server_time_ms = stub->server_time_ms,
		    .kind = ENTRY_MESSAGE,
		    .entry_hash = stub->entry_hash,
		};
		(void)session_check(s, s->st->ops->put_entry(s->st, &room->id, &entry));
	}
	if (!s->ended)
		room_put(room);
	tx_commit(s);
}

static void
show_invitation(struct room *room, const struct joined_event *e)
{
	struct show_item *item = show_item_new(e->seq, e->server_time_ms, BYTES_EMPTY);

	if (item == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	item->hash = room_head(room)->L;
	item->event = show_event_of(room, &e->event, e->seq, e->server_time_ms);
	show_add(room, item);
}

void
join_verified(struct room *room, struct work *work)
{
	struct joining *joining = room->joining;
	const struct joined_event *last;
	struct log_head head;
	enum chat_err err;

	if (room->phase != ROOM_JOINING || joining == NULL || work->id != joining->work_id)
		return;
	err = joining->count > 0 ? check_prefix(room, &head) : CHAT_ERR_BAD_PREFIX;
	if (err == CHAT_OK && joining->events[joining->count - 1].seq != room->since_seq)
		err = CHAT_ERR_BAD_PREFIX;
	if (err == CHAT_OK)
		err = load_events(room, work);
	if (err == CHAT_OK)
		err = roster_set_head(room->roster, &head);
	if (err == CHAT_OK && !member_is_reader(room_self(room)))
		err = CHAT_ERR_BAD_PREFIX;
	if (err == CHAT_ERR_NOMEM) {
		(void)session_check(room->s, err);
		return;
	}
	if (err != CHAT_OK) {
		prefix_is_bad(room, err);
		return;
	}
	last = &joining->events[joining->count - 1];
	room->first_seq = last->event.seen_seq + 1;
	room->base_hash = last->event.seen_hash;
	room->shown_seq = room->emitted_seq = last->seq - 1;
	room->oldest_shown = last->seq;
	store_prefix(room);
	if (room->s->ended)
		return;
	show_invitation(room, last);
	end_joining(room);
	room_resume(room);
}

void
room_restart_join(struct room *room)
{
	calls_forget(room->s, room);
	end_joining(room);
	room->phase = ROOM_KEPT;
}

void
join_begin(struct room *room)
{
	room->phase = ROOM_JOINING;
	room->resume_again_ms = 0;
	room->joining = calloc(1, sizeof *room->joining);
	if (room->joining == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	get_roster(room, 1);
}
