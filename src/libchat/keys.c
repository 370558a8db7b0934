/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libchat/room.h"

/* ---- slots ---- */

struct key_slot *
keys_slot(struct room *room, const struct roster_epoch *epoch)
{
	size_t cap = room->slot_cap > 0 ? room->slot_cap : 4;
	struct key_slot *grown;

	assert(epoch != NULL && epoch->number >= 1);
	while (cap < epoch->number)
		cap *= 2;
	if (cap > room->slot_cap) {
		/* By hand: realloc() would leave the old keys behind. */
		grown = calloc(cap, sizeof *grown);
		if (grown == NULL) {
			(void)session_check(room->s, CHAT_ERR_NOMEM);
			return NULL;
		}
		if (room->slot_count > 0)
			memcpy(grown, room->slots, room->slot_count * sizeof *grown);
		if (room->slots != NULL)
			freezero(room->slots, room->slot_cap * sizeof *room->slots);
		room->slots = grown;
		room->slot_cap = cap;
	}
	if (room->slot_count < epoch->number)
		room->slot_count = (size_t)epoch->number;
	return &room->slots[epoch->number - 1];
}

void
keys_fini(struct room *room)
{
	if (room->slots != NULL)
		freezero(room->slots, room->slot_cap * sizeof *room->slots);
	room->slots = NULL;
	room->slot_count = room->slot_cap = 0;
	room->own_card_count = 0;
	explicit_bzero(room->fresh, sizeof room->fresh);
}

void
keys_note_card_of(struct room *room, uint64_t seq, const struct event *event)
{
	const struct card *card = &event->card;

	if (event->peer_card_wire.len > 0 && room_is_self(room, &event->peer_card.member_id))
		card = &event->peer_card;
	if (!room_is_self(room, &card->member_id))
		return;
	if (event->type == EVENT_INVITE || event->type == EVENT_CREATE) {
		room->has_inviter = true;
		room->inviter = event->actor;
	}
	if (room->own_card_count > 0 &&
	    digest_equal(&room->own_cards[room->own_card_count - 1].card_hash, &card->card_hash))
		return;
	if (room->own_card_count == ARRAY_LEN(room->own_cards)) {
		memmove(&room->own_cards[0], &room->own_cards[1],
		    sizeof room->own_cards - sizeof room->own_cards[0]);
		room->own_card_count--;
	}
	room->own_cards[room->own_card_count].from_seq = seq;
	room->own_cards[room->own_card_count++].card_hash = card->card_hash;
}

/* The own card that a rekey at seq was made for. */
static const struct digest *
own_card_at(const struct room *room, uint64_t seq)
{
	for (uint32_t i = room->own_card_count; i-- > 0;)
		if (room->own_cards[i].from_seq < seq || i == 0)
			return &room->own_cards[i].card_hash;
	return &room->s->card_hash;
}

static void
set_missing(struct room *room, const struct roster_epoch *epoch, struct key_slot *slot)
{
	slot->state = KEY_MISSING;
	if (!slot->rewrap_asked && roster_entitled(room->roster, room_self(room), epoch))
		room->rewraps_to_ask = true;
	room_wake(room);
}

static void
set_have(
    struct room *room, const struct roster_epoch *epoch, struct key_slot *slot, const struct epoch_key *key)
{
	slot->state = KEY_HAVE;
	slot->key = *key;
	if (slot->skipped_from != 0)
		show_skipped(room, epoch);
	if (slot->told || room->info_loading)
		label_load(room);
	room_wake(room);
}

/* ---- opening ---- */

struct gather {
	struct room *room;
	const struct roster_epoch *epoch;
	struct work_candidate listed;
	bool has_listed;
	struct work_candidate rewraps[WORK_CANDIDATES_MAX]; /* the newest last */
	uint32_t rewrap_count;
};

static bool
rewrap_is_good(const struct room *room, const struct digest *epoch_id, struct bytes wire, struct rewrap *ret)
{
	const struct roster_member *wrapper;

	if (rewrap_decode(wire, ret) != CHAT_OK || !digest_equal(&ret->epoch_id, epoch_id) ||
	    !room_is_self(room, &ret->recipient))
		return false;
	wrapper = roster_member(room->roster, &ret->wrapper);
	return wrapper != NULL && rewrap_signature_good(ret, wrapper->ed_pk);
}

static bool
gather_wrap(void *ctx, const struct stored_wrap *stored)
{
	struct gather *g = ctx;
	struct work_candidate *to;
	struct rewrap rewrap;

	if (stored->source == WRAP_LISTED) {
		if (stored->wire.len != WRAP_BYTES)
			return true;
		g->has_listed = true;
		g->listed.listed = true;
		g->listed.target.member_id = g->room->s->identity.member_id;
		g->listed.target.card_hash = *own_card_at(g->room, g->epoch->seq);
		memcpy(g->listed.wrap, stored->wire.data, WRAP_BYTES);
		return true;
	}
	if (!rewrap_is_good(g->room, &g->epoch->id, stored->wire, &rewrap))
		return true;
	if (g->rewrap_count == ARRAY_LEN(g->rewraps)) {
		memmove(&g->rewraps[0], &g->rewraps[1], sizeof g->rewraps - sizeof g->rewraps[0]);
		g->rewrap_count--;
	}
	to = &g->rewraps[g->rewrap_count++];
	to->listed = false;
	to->target = (struct wrap_target){.member_id = rewrap.recipient, .card_hash = rewrap.card_hash};
	memcpy(to->wrap, rewrap.wrap.data, WRAP_BYTES);
	return true;
}

/* The listed one, and the newest of the others: never more than three. */
static void
fill_candidates(struct work *work, const struct gather *g)
{
	if (g->has_listed)
		work->unwrap.candidates[work->unwrap.count++] = g->listed;
	for (uint32_t i = g->rewrap_count; i-- > 0 && work->unwrap.count < WORK_CANDIDATES_MAX;)
		work->unwrap.candidates[work->unwrap.count++] = g->rewraps[i];
}

/* False: there is no wrap here.  Otherwise a worker tries what there is. */
static bool
open_stored(struct room *room, const struct roster_epoch *epoch, struct key_slot *slot)
{
	struct chat_session *s = room->s;
	struct gather g = {.room = room, .epoch = epoch};
	struct work *work;

	if (!session_check(s, s->st->ops->each_wrap(s->st, &room->id, &epoch->id, gather_wrap, &g)))
		return false;
	if ((!g.has_listed && g.rewrap_count == 0) || s->keyring.count == 0)
		return false;
	work = session_new_work(s, WORK_UNWRAP, room);
	if (work != NULL)
		work->unwrap.keys = calloc(s->keyring.count, sizeof(struct rsa_key_ref *));
	if (work == NULL || work->unwrap.keys == NULL) {
		work_free(work);
		(void)session_check(s, CHAT_ERR_NOMEM);
		return false;
	}
	for (; work->unwrap.key_count < s->keyring.count; work->unwrap.key_count++)
		work->unwrap.keys[work->unwrap.key_count] =
		    rsa_key_ref_ref(s->keyring.keys[work->unwrap.key_count]);
	work->unwrap.context = roster_epoch_context(room->roster, epoch);
	work->unwrap.commitment = epoch->commitment;
	work->unwrap.epoch_id = epoch->id;
	fill_candidates(work, &g);
	slot->state = KEY_OPENING;
	slot->work_id = work->id;
	slot->had_wrap = slot->had_wrap || g.has_listed;
	session_add_work(s, work);
	return true;
}

const struct epoch_key *
keys_get(struct room *room, const struct roster_epoch *epoch)
{
	struct key_slot *slot = keys_slot(room, epoch);

	if (slot == NULL)
		return NULL;
	if (slot->state == KEY_HAVE)
		return &slot->key;
	if (slot->state != KEY_UNKNOWN)
		return NULL;
	if (open_stored(room, epoch, slot))
		return NULL;
	if (room->gone || !roster_entitled(room->roster, room_self(room), epoch)) {
		set_missing(room, epoch, slot);
		return NULL;
	}
	slot->state = KEY_WANTED;
	room->keys_wanted = true;
	return NULL;
}

bool
keys_are_pending(const struct room *room, const struct roster_epoch *epoch)
{
	enum key_state state =
	    epoch->number <= room->slot_count ? room->slots[epoch->number - 1].state : KEY_UNKNOWN;

	return state == KEY_WANTED || state == KEY_ASKED || state == KEY_OPENING;
}

void
keys_opened(struct room *room, struct work *work)
{
	const struct roster_epoch *epoch = roster_epoch(room->roster, &work->unwrap.epoch_id);
	struct key_slot *slot = epoch != NULL ? keys_slot(room, epoch) : NULL;

	if (slot == NULL || slot->state != KEY_OPENING || slot->work_id != work->id)
		return;
	if (work->err == CHAT_OK)
		set_have(room, epoch, slot, &work->unwrap.key);
	else if (slot->server_asked || room->gone)
		set_missing(room, epoch, slot);
	else {
		slot->state = KEY_WANTED; /* the server may have another */
		room->keys_wanted = true;
		room_wake(room);
	}
}

/* ---- wraps that come ---- */

static void
store_wrap(struct room *room, const struct digest *epoch_id, enum wrap_source source, struct bytes wire)
{
	const struct stored_wrap stored = {.epoch_id = *epoch_id, .source = source, .wire = wire};

	(void)session_check(room->s, room->s->st->ops->put_wrap(room->s->st, &room->id, &stored));
}

static void
keep_early(struct room *room, const struct digest *epoch_id, enum wrap_source source, struct bytes wire)
{
	struct early_wrap *early;

	if (room->early == NULL) {
		room->early = calloc(EARLY_WRAPS_MAX, sizeof *room->early);
		if (room->early == NULL) {
			(void)session_check(room->s, CHAT_ERR_NOMEM);
			return;
		}
	}
	if (room->early_count == EARLY_WRAPS_MAX) {
		memmove(&room->early[0], &room->early[1], (EARLY_WRAPS_MAX - 1) * sizeof *room->early);
		room->early_count--;
	}
	early = &room->early[room->early_count++];
	early->epoch_id = *epoch_id;
	early->source = source;
	early->len = wire.len;
	memcpy(early->wire, wire.data, wire.len);
}

static void
take_wrap(struct room *room, const struct roster_epoch *epoch, const struct digest *epoch_id,
    enum wrap_source source, struct bytes wire)
{
	struct rewrap rewrap;

	if (wire.len == 0 || wire.len != (source == WRAP_LISTED ? WRAP_BYTES : REWRAP_BYTES))
		return;
	if (epoch == NULL)
		keep_early(room, epoch_id, source, wire);
	else if (source == WRAP_LISTED || rewrap_is_good(room, epoch_id, wire, &rewrap))
		store_wrap(room, epoch_id, source, wire);
}

void
keys_take_wraps(struct room *room, const Chat__V1__EpochWraps *wraps)
{
	struct digest epoch_id = wire_digest(wraps->epoch_id);
	const struct roster_epoch *epoch = roster_epoch(room->roster, &epoch_id);
	struct key_slot *slot = epoch != NULL ? keys_slot(room, epoch) : NULL;

	if (slot != NULL && slot->state == KEY_HAVE && slot->had_wrap)
		return;
	take_wrap(room, epoch, &epoch_id, WRAP_LISTED, wire_bytes(wraps->wrap));
	for (size_t i = 0; i < wraps->n_rewrap && i < REWRAPS_PER_EPOCH_READER; i++)
		take_wrap(room, epoch, &epoch_id, WRAP_REWRAP, wire_bytes(wraps->rewrap[i]));
	/* Asked for, it is looked at when the whole answer is in. */
	if (slot != NULL && (slot->state == KEY_MISSING || slot->state == KEY_WANTED))
		(void)open_stored(room, epoch, slot);
}

void
keys_remember(struct room *room, const struct digest *epoch_id, const struct epoch_key *key)
{
	struct fresh_key *to = &room->fresh[room->fresh_next++ % ARRAY_LEN(room->fresh)];

	to->epoch_id = *epoch_id;
	to->key = *key;
}

void
keys_epoch_opened(struct room *room, const struct roster_epoch *epoch)
{
	struct key_slot *slot = keys_slot(room, epoch);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < room->early_count; i++) {
		struct early_wrap *early = &room->early[i];

		if (digest_equal(&early->epoch_id, &epoch->id))
			take_wrap(room, epoch, &epoch->id, early->source, BYTES(early->wire, early->len));
		else
			room->early[kept++] = *early;
	}
	room->early_count = kept;
	for (size_t i = 0; slot != NULL && i < ARRAY_LEN(room->fresh); i++) {
		if (!digest_equal(&room->fresh[i].epoch_id, &epoch->id))
			continue;
		if (slot->state == KEY_UNKNOWN)
			set_have(room, epoch, slot, &room->fresh[i].key);
		explicit_bzero(&room->fresh[i], sizeof room->fresh[i]);
	}
}

/* ---- asking the server, and others ---- */

static void
on_wraps(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct room *room = call->room;

	room->wraps_under_way = false;
	if (refusal.err == CHAT_OK)
		for (size_t i = 0; i < answer->wraps->n_epoch && !s->ended; i++)
			keys_take_wraps(room, answer->wraps->epoch[i]);
	for (size_t i = 0; i < room->slot_count && !s->ended; i++) {
		const struct roster_epoch *epoch = roster_epoch_at(room->roster, i + 1);
		struct key_slot *slot = &room->slots[i];

		if (slot->state != KEY_ASKED)
			continue;
		if (refusal_is_passing(&refusal)) {
			slot->state = KEY_WANTED;
			room->keys_wanted = true;
			room->keys_again_ms = s->now.mono_ms + refusal_wait_ms(&refusal, 1);
			continue;
		}
		slot->server_asked = true;
		if (refusal.err != CHAT_OK || !open_stored(room, epoch, slot))
			set_missing(room, epoch, slot);
	}
	room_wake(room);
}

/* Collects the epochs of which `pick` says so; at most EPOCHS_ASKED_MAX. */
static size_t
collect(struct room *room, bool (*pick)(struct room *, const struct roster_epoch *, struct key_slot *),
    ProtobufCBinaryData *ids, bool *ret_more)
{
	size_t count = 0;

	*ret_more = false;
	for (size_t i = 0; i < room->slot_count; i++) {
		const struct roster_epoch *epoch = roster_epoch_at(room->roster, i + 1);

		if (count == EPOCHS_ASKED_MAX) {
			*ret_more = true;
			break;
		}
		if (epoch != NULL && pick(room, epoch, &room->slots[i]))
			ids[count++] = wire_from_digest(&epoch->id);
	}
	return count;
}

static bool
pick_wanted(struct room *room, const struct roster_epoch *epoch, struct key_slot *slot)
{
	(void)room;
	(void)epoch;
	if (slot->state != KEY_WANTED)
		return false;
	slot->state = KEY_ASKED;
	return true;
}

static bool
pick_missing(struct room *room, const struct roster_epoch *epoch, struct key_slot *slot)
{
	if (slot->state != KEY_MISSING || slot->rewrap_asked ||
	    !roster_entitled(room->roster, room_self(room), epoch))
		return false;
	slot->rewrap_asked = true;
	return true;
}

static void
on_asked(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	/* Refused or not: the next connection asks again. */
	(void)s;
	(void)call;
	(void)answer;
}

static void
give_up_wanted(struct room *room)
{
	for (size_t i = 0; i < room->slot_count; i++)
		if (room->slots[i].state == KEY_WANTED)
			set_missing(room, roster_epoch_at(room->roster, i + 1), &room->slots[i]);
	room->keys_wanted = false;
}

void
keys_run(struct room *room)
{
	struct chat_session *s = room->s;
	ProtobufCBinaryData ids[EPOCHS_ASKED_MAX];
	Chat__V1__GetWraps get = CHAT__V1__GET_WRAPS__INIT;
	Chat__V1__AskRewrap ask = CHAT__V1__ASK_REWRAP__INIT;

	if (room->keys_wanted && room->gone)
		give_up_wanted(room);
	if (!session_ready(s) || room->phase != ROOM_FOLLOWED)
		return;
	if (room->keys_again_ms != 0 && s->now.mono_ms >= room->keys_again_ms)
		room->keys_again_ms = 0;
	if (room->keys_wanted && !room->wraps_under_way && room->keys_again_ms == 0) {
		get.room_id = wire_from_digest(&room->id);
		get.epoch_id = ids;
		get.n_epoch_id = collect(room, pick_wanted, ids, &room->keys_wanted);
		if (get.n_epoch_id > 0) {
			room->wraps_under_way = true;
			call_make(s, CLIENT_FRAME(GET_WRAPS, get_wraps, &get), on_wraps, room, NULL, 0);
		}
	}
	while (room->rewraps_to_ask && room->caught_up && !s->ended) {
		ask.room_id = wire_from_digest(&room->id);
		ask.epoch_id = ids;
		ask.n_epoch_id = collect(room, pick_missing, ids, &room->rewraps_to_ask);
		if (ask.n_epoch_id > 0)
			call_make(s, CLIENT_FRAME(ASK_REWRAP, ask_rewrap, &ask), on_asked, room, NULL, 0);
	}
}

void
keys_on_disconnect(struct room *room)
{
	room->wraps_under_way = false;
	room->early_count = 0;
	room->keys_again_ms = 0;
	for (size_t i = 0; i < room->slot_count; i++) {
		struct key_slot *slot = &room->slots[i];

		slot->server_asked = false;
		slot->rewrap_asked = false;
		/* Another member's re-wrap may wait on the server by then. */
		if (slot->state == KEY_ASKED || (slot->state == KEY_MISSING && !room->gone)) {
			slot->state = KEY_WANTED;
			room->keys_wanted = true;
		}
	}
}
