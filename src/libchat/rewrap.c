/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "libchat/room.h"

/* Keys for others: only whom the chain entitles, only to the card in the chain, whoever asks. */

#define WANTS_MAX 4096

void
rewrap_want(struct room *room, const struct digest *member_id, uint64_t epoch)
{
	struct rewrap_want *grown;

	if (room->want_count >= WANTS_MAX)
		return; /* whoever needs it asks again */
	for (size_t i = 0; i < room->want_count; i++)
		if (room->wants[i].epoch == epoch && digest_equal(&room->wants[i].member_id, member_id))
			return;
	if (room->want_count == room->want_cap) {
		size_t cap = room->want_cap > 0 ? room->want_cap * 2 : 16;

		grown = reallocarray(room->wants, cap, sizeof *room->wants);
		if (grown == NULL) {
			(void)session_check(room->s, CHAT_ERR_NOMEM);
			return;
		}
		room->wants = grown;
		room->want_cap = cap;
	}
	room->wants[room->want_count++] = (struct rewrap_want){.member_id = *member_id, .epoch = epoch};
	room_wake(room);
}

void
rewrap_for_invitee(struct room *room, const struct roster_member *invitee)
{
	if (roster_state(room->roster)->history_policy != HISTORY_ALL)
		return;
	for (uint64_t n = roster_epoch_count(room->roster); n >= 1; n--)
		if (roster_entitled(room->roster, invitee, roster_epoch_at(room->roster, n)))
			rewrap_want(room, &invitee->id, n);
}

static void
on_rewrapped(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	/* Refused (a new card, gone meanwhile): who still needs it asks again. */
	(void)s;
	(void)answer;
	call->room->rewraps_under_way = false;
	room_wake(call->room);
}

enum outcome { DONE, LATER, NEVER };

static enum outcome
make(struct room *room, const struct rewrap_want *want, uint8_t ret_wire[static REWRAP_BYTES])
{
	const struct roster_member *member = roster_member(room->roster, &want->member_id);
	const struct roster_epoch *epoch = roster_epoch_at(room->roster, want->epoch);
	const struct epoch_key *key;
	struct epoch_context context;
	uint8_t wrap[WRAP_BYTES];

	if (epoch == NULL || room_is_self(room, &want->member_id) ||
	    !roster_entitled(room->roster, member, epoch))
		return NEVER;
	key = keys_get(room, epoch);
	if (key == NULL)
		return keys_are_pending(room, epoch) ? LATER : NEVER;
	context = roster_epoch_context(room->roster, epoch);
	if (wrap_seal(&context, &epoch->commitment,
		&(const struct wrap_target){.member_id = member->id, .card_hash = member->card_hash},
		member_rsa_n(member), key, &room->s->random, wrap) != CHAT_OK)
		return NEVER;
	rewrap_build(&room->s->identity.sign,
	    &(const struct rewrap){
		.epoch_id = epoch->id,
		.recipient = member->id,
		.card_hash = member->card_hash,
		.wrapper = room->s->identity.member_id,
		.wrap = BYTES_ARRAY(wrap),
	    },
	    ret_wire);
	return DONE;
}

void
rewrap_run(struct room *room)
{
	Chat__V1__PostRewraps post = CHAT__V1__POST_REWRAPS__INIT;
	ProtobufCBinaryData list[REWRAPS_MAX];
	uint8_t *wires;
	size_t kept = 0;

	if (room->want_count == 0 || room->rewraps_under_way || !room_is_live(room) || !room_is_joined(room))
		return;
	wires = reallocarray(NULL, REWRAPS_MAX, REWRAP_BYTES);
	if (wires == NULL) {
		(void)session_check(room->s, CHAT_ERR_NOMEM);
		return;
	}
	for (size_t i = 0; i < room->want_count; i++) {
		uint8_t *wire = wires + post.n_rewrap * REWRAP_BYTES;
		enum outcome outcome = LATER;

		if (post.n_rewrap < REWRAPS_MAX)
			outcome = make(room, &room->wants[i], wire);
		if (outcome == DONE)
			list[post.n_rewrap++] = wire_from_bytes(BYTES(wire, REWRAP_BYTES));
		else if (outcome == LATER)
			room->wants[kept++] = room->wants[i];
	}
	room->want_count = kept;
	if (post.n_rewrap > 0) {
		post.room_id = wire_from_digest(&room->id);
		post.rewrap = list;
		room->rewraps_under_way = true;
		call_make(
		    room->s, CLIENT_FRAME(POST_REWRAPS, post_rewraps, &post), on_rewrapped, room, NULL, 0);
	}
	free(wires);
}
