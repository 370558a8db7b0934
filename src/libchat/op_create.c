/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "libchat/op.h"
#include "libchat/room.h"

/*
 * A new room: its create and its first rekey in one batch.  The bytes are kept until the server has answered,
 * so that a lost connection does not make two rooms.
 */

struct create_op {
	struct op op;
	bool direct;
	struct account_name account; /* direct: of the peer */
	struct buf name;             /* owned */
	struct buf peer_card;        /* owned; empty: not fetched yet */
	struct batch *batch;         /* until it ends */
};

static struct create_op *
create_op_of(struct op *op)
{
	return (struct create_op *)(void *)op;
}

static void
create_fini(struct op *op)
{
	buf_fini_secret(&create_op_of(op)->name);
	buf_fini(&create_op_of(op)->peer_card);
}

static void
create_ended(struct chat_session *s, struct op *op, const struct refusal *refusal)
{
	create_op_of(op)->batch = NULL;
	/* A conflict: a card is not the published one any more. */
	buf_clear(&create_op_of(op)->peer_card);
	op_batch_ended(s, op, refusal);
}

static void
start_create(struct chat_session *s, struct op *op)
{
	struct create_op *own = create_op_of(op);
	struct event draft = {
	    .type = EVENT_CREATE,
	    .create =
		{
		    .kind = own->direct ? ROOM_DIRECT : ROOM_GROUP,
		    .invite_policy = INVITE_MEMBERS,
		    .history_policy = HISTORY_FROM_INVITATION,
		    .realm = s->realm,
		},
	    .card_wire = buf_bytes(&s->card),
	    .peer_card_wire = buf_bytes(&own->peer_card),
	};
	const struct batch_plan plan = {
	    .drafts = &draft,
	    .count = 1,
	    .rekey = true,
	    .name = buf_bytes(&own->name),
	};
	struct refusal refusal;

	s->random.fill(s->random.ctx, draft.create.nonce, sizeof draft.create.nonce);
	refusal = batch_start(s, NULL, op, &plan, &own->batch);
	if (refusal.err != CHAT_OK && !s->ended)
		op_refused(s, op, &refusal, NULL);
}

/* ---- the other one of a direct room ---- */

/* The direct room with the account, if there is one: of two the lower. */
static struct room *
find_direct(struct chat_session *s, const struct account_name *account)
{
	struct room *room, *found = NULL;

	TAILQ_FOREACH (room, &s->room_list, link) {
		const struct roster_member *peer = roster_peer(room->roster, &s->identity.member_id);

		if (peer == NULL || room->gone || !account_equal(&peer->account, account))
			continue;
		if (found == NULL || digest_compare(&room->id, &found->id) < 0)
			found = room;
	}
	return found;
}

bool
op_card_good(const struct chat_session *s, const struct account_name *account, struct bytes wire)
{
	struct card card;

	return card_decode_verify(wire, &card) == CHAT_OK && account_equal(&card.account, account) &&
	       realm_equal(&card.realm, &s->realm);
}

static void
on_peer_card(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct op *op = call->ctx;
	struct create_op *own = create_op_of(op);
	char text[160];

	op->waiting = false;
	if (refusal.err == CHAT_ERR_NO_IDENTITY) {
		snprintf(text, sizeof text, "%s has never logged in, so there is no key to talk to.",
		    own->account.s);
		op_end(s, op, refusal.err, text, "try again when they have");
	} else if (refusal.err == CHAT_ERR_NO_ACCOUNT) {
		snprintf(text, sizeof text, "There is no account %s on this server.", own->account.s);
		op_end(s, op, refusal.err, text, NULL);
	} else if (refusal.err != CHAT_OK)
		op_batch_ended(s, op, &refusal);
	else if (!op_card_good(s, &own->account, wire_bytes(answer->card->card)))
		op_end(s, op, CHAT_ERR_BAD_SIGNATURE, "The server gave a card that is not this account's.",
		    "tell the administrator of the server");
	else if (session_check(
		     s, buf_append(&own->peer_card, answer->card->card.data, answer->card->card.len)))
		start_create(s, op);
}

static void
get_peer_card(struct chat_session *s, struct op *op)
{
	Chat__V1__GetCard get = CHAT__V1__GET_CARD__INIT;

	get.account = create_op_of(op)->account.s;
	op->waiting = true;
	call_make(s, CLIENT_FRAME(GET_CARD, get_card, &get), on_peer_card, NULL, op, 0);
}

/* ---- run ---- */

static void
run_create(struct chat_session *s, struct op *op)
{
	struct create_op *own = create_op_of(op);
	struct room *room;

	if (own->batch != NULL) {
		if (own->batch->state == BATCH_READY)
			batch_repost(s, own->batch);
		return;
	}
	if (own->direct) {
		/* Which rooms there are is known for sure when all are caught up. */
		room = find_direct(s, &own->account);
		if (room != NULL) {
			op->room = room;
			op_end(s, op, CHAT_OK, NULL, NULL);
			return;
		}
		if (!s->synced)
			return;
		if (own->peer_card.len == 0) {
			get_peer_card(s, op);
			return;
		}
	}
	start_create(s, op);
}

static void
create_disconnected(struct chat_session *s, struct op *op)
{
	(void)s;
	if (create_op_of(op)->batch == NULL)
		buf_clear(&create_op_of(op)->peer_card);
}

static const struct op_type create_type = {
    .run = run_create,
    .batch_ended = create_ended,
    .disconnected = create_disconnected,
    .fini = create_fini,
};

void
session_create(struct chat_session *s, struct chat_event *done, struct bytes name, struct now now)
{
	struct create_op *own;

	session_begin(s, now);
	own = calloc(1, sizeof *own);
	if (!room_name_valid(name)) {
		free(own);
		done_now(s, done, CHAT_ERR_INVALID, ROOM_NAME_RULE, NULL);
	} else if (own == NULL || buf_append(&own->name, name.data, name.len) != CHAT_OK) {
		free(own);
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
	} else
		op_start(s, &own->op, &create_type, done, NULL);
	session_run(s);
}

void
session_direct(
    struct chat_session *s, struct chat_event *done, const struct account_name *account, struct now now)
{
	struct create_op *own;

	session_begin(s, now);
	own = calloc(1, sizeof *own);
	if (own == NULL)
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
	else if (account_equal(account, &s->account)) {
		free(own);
		done_now(s, done, CHAT_ERR_INVALID, "That is your own account.", NULL);
	} else {
		own->direct = true;
		own->account = *account;
		op_start(s, &own->op, &create_type, done, NULL);
	}
	session_run(s);
}
