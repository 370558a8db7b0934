/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "libchat/op.h"
#include "libchat/room.h"

/*
 * Invitations: a card for each account, then an event for each and one rekey, in as few batches as hold them.
 * An account without an identity is kept in the storage; the op for it is made again when the server
 * announces its card, or at a later login.
 */

enum target_state {
	TARGET_NEW,
	TARGET_ASKED,  /* its card is asked for */
	TARGET_CARD,   /* and here */
	TARGET_POSTED, /* in the batch under way */
	TARGET_INVITED,
	TARGET_ALREADY,     /* in the room before */
	TARGET_NO_IDENTITY, /* kept for later */
	TARGET_NO_ACCOUNT,
	TARGET_BAD_CARD,
};

struct target {
	struct account_name account;
	enum target_state state;
	struct buf card; /* owned */
};

struct invite_op {
	struct op op;
	bool kept;              /* made from what is kept, nobody waits for it */
	struct target *targets; /* owned */
	size_t count;
	uint64_t posted_seq; /* what was posted is in the log up to here */
};

static struct invite_op *
invite_of(struct op *op)
{
	return (struct invite_op *)(void *)op;
}

static void
invite_fini(struct op *op)
{
	struct invite_op *own = invite_of(op);

	for (size_t i = 0; i < own->count; i++)
		buf_fini(&own->targets[i].card);
	free(own->targets);
}

static size_t
count_state(const struct invite_op *own, enum target_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < own->count; i++)
		count += own->targets[i].state == state;
	return count;
}

static void
change_state(struct invite_op *own, enum target_state from, enum target_state to)
{
	for (size_t i = 0; i < own->count; i++)
		if (own->targets[i].state == from)
			own->targets[i].state = to;
}

/* ---- the end ---- */

static void
forget_kept(struct chat_session *s, const struct digest *room_id, const struct account_name *account)
{
	enum chat_err err = s->st->ops->remove_invite(s->st, room_id, account_bytes(account));

	if (err != CHAT_ERR_NOT_FOUND)
		(void)session_check(s, err);
}

static bool
name_targets(const struct invite_op *own, enum target_state state, struct buf *text, const char *what)
{
	bool first = true;

	for (size_t i = 0; i < own->count; i++) {
		if (own->targets[i].state != state)
			continue;
		if (buf_printf(text, "%s%s", first ? (text->len > 0 ? " " : "") : ", ",
			own->targets[i].account.s) != CHAT_OK)
			return false;
		first = false;
	}
	return first || buf_append_str(text, what) == CHAT_OK;
}

static void
end_invite(struct chat_session *s, struct op *op)
{
	struct invite_op *own = invite_of(op);
	const char *mend = NULL;
	struct buf text = {0};
	enum chat_err err = CHAT_OK;
	bool good;

	if (count_state(own, TARGET_BAD_CARD) > 0) {
		err = CHAT_ERR_BAD_SIGNATURE;
		mend = "tell the administrator of the server";
	} else if (count_state(own, TARGET_NO_ACCOUNT) > 0)
		err = CHAT_ERR_NO_ACCOUNT;
	else if (count_state(own, TARGET_NO_IDENTITY) > 0) {
		err = CHAT_ERR_NO_IDENTITY;
		mend = "nothing to do: it is sent as soon as they have logged in and this client is online";
	} else if (count_state(own, TARGET_ALREADY) == own->count)
		err = CHAT_ERR_ALREADY;
	good = name_targets(
		   own, TARGET_BAD_CARD, &text, ": the server gave a card that is not this account's.") &&
	       name_targets(own, TARGET_NO_ACCOUNT, &text, ": no such account on this server.") &&
	       name_targets(own, TARGET_NO_IDENTITY, &text,
		   ": never logged in yet; the invitation is kept and sent when they have.") &&
	       (err != CHAT_ERR_ALREADY ||
		   name_targets(own, TARGET_ALREADY, &text, ": in the room or invited already.")) &&
	       buf_append(&text, "", 1) == CHAT_OK;
	op_end(s, op, err, good && err != CHAT_OK ? (const char *)text.data : NULL, mend);
	buf_fini(&text);
}

/* It cannot be: what is kept for it is forgotten, for it never could. */
static void
give_up(struct chat_session *s, struct op *op, const struct refusal *refusal)
{
	struct invite_op *own = invite_of(op);

	if (own->kept) {
		for (size_t i = 0; i < own->count && !s->ended; i++)
			forget_kept(s, &op->room->id, &own->targets[i].account);
		if (!op->room->gone)
			session_warn(s, op->room, 0, NULL,
			    "An invitation to %s that was kept could not be sent: %s", op->room->label,
			    refusal->text != NULL && refusal->text[0] != '\0' ? refusal->text
									      : chat_strerror(refusal->err));
	}
	op_refused(s, op, refusal, NULL);
}

/* ---- cards ---- */

static void
on_card(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal refusal = refusal_of(answer);
	struct op *op = call->ctx;
	struct target *target = &invite_of(op)->targets[call->number];

	if (refusal.err == CHAT_OK) {
		buf_clear(&target->card);
		if (!op_card_good(s, &target->account, wire_bytes(answer->card->card)))
			target->state = TARGET_BAD_CARD;
		else if (session_check(
			     s, buf_append(&target->card, answer->card->card.data, answer->card->card.len)))
			target->state = TARGET_CARD;
	} else if (refusal.err == CHAT_ERR_NO_IDENTITY) {
		target->state = TARGET_NO_IDENTITY;
		(void)session_check(
		    s, s->st->ops->put_invite(s->st, &op->room->id, account_bytes(&target->account)));
	} else if (refusal.err == CHAT_ERR_NO_ACCOUNT)
		target->state = TARGET_NO_ACCOUNT;
	else {
		target->state = TARGET_NEW;
		if (count_state(invite_of(op), TARGET_ASKED) == 0)
			op_batch_ended(s, op, &refusal);
		return;
	}
	if (count_state(invite_of(op), TARGET_ASKED) == 0)
		op->waiting = false;
}

static void
ask_cards(struct chat_session *s, struct op *op)
{
	struct invite_op *own = invite_of(op);
	Chat__V1__GetCard get = CHAT__V1__GET_CARD__INIT;

	op->waiting = true;
	get.watch = true;
	for (size_t i = 0; i < own->count && !s->ended; i++) {
		if (own->targets[i].state != TARGET_NEW)
			continue;
		own->targets[i].state = TARGET_ASKED;
		get.account = own->targets[i].account.s;
		call_make(s, CLIENT_FRAME(GET_CARD, get_card, &get), on_card, NULL, op, i);
	}
}

/* ---- the batch ---- */

static void
invite_ended(struct chat_session *s, struct op *op, const struct refusal *refusal)
{
	struct invite_op *own = invite_of(op);

	if (refusal->err == CHAT_OK) {
		own->posted_seq = op->wait_seq;
		op->wait_seq = 0; /* there may be more to post */
		for (size_t i = 0; i < own->count && !s->ended; i++)
			if (own->targets[i].state == TARGET_POSTED) {
				own->targets[i].state = TARGET_INVITED;
				forget_kept(s, &op->room->id, &own->targets[i].account);
			}
		return;
	}
	/* A conflict may be about a card that is not the published one any more. */
	change_state(own, TARGET_POSTED, TARGET_NEW);
	change_state(own, TARGET_CARD, TARGET_NEW);
	if (refusal->err == CHAT_ERR_CONFLICT || refusal->err == CHAT_ERR_BAD_WRAPS ||
	    refusal->err == CHAT_ERR_BAD_SEEN || refusal->err == CHAT_ERR_SHUTDOWN ||
	    refusal_is_passing(refusal))
		op_again(s, op, refusal);
	else
		give_up(s, op, refusal);
}

static void
start_batch(struct chat_session *s, struct op *op)
{
	struct invite_op *own = invite_of(op);
	struct event drafts[POST_EVENTS_MAX - 1];
	struct batch_plan plan = {
	    .drafts = drafts,
	    .rekey = true,
	    .name = buf_bytes(&op->room->name),
	    .topic = buf_bytes(&op->room->topic),
	};
	struct refusal refusal;
	struct batch *batch;

	memset(drafts, 0, sizeof drafts);
	for (size_t i = 0; i < own->count && plan.count < ARRAY_LEN(drafts); i++) {
		struct target *target = &own->targets[i];

		if (target->state != TARGET_CARD)
			continue;
		drafts[plan.count].type = EVENT_INVITE;
		drafts[plan.count++].card_wire = buf_bytes(&target->card);
		target->state = TARGET_POSTED;
	}
	refusal = batch_start(s, op->room, op, &plan, &batch);
	if (refusal.err != CHAT_OK && !s->ended)
		give_up(s, op, &refusal);
}

/* ---- run ---- */

/* Who is a reader by now needs no invitation: by an earlier try of this op, or somebody else's. */
static void
look_who_is_there(struct chat_session *s, struct op *op)
{
	struct invite_op *own = invite_of(op);

	for (size_t i = 0; i < own->count && !s->ended; i++) {
		struct target *target = &own->targets[i];

		if ((target->state != TARGET_NEW && target->state != TARGET_CARD) ||
		    !member_is_reader(op_find_member(op->room, &target->account)))
			continue;
		target->state = op->tried || own->kept ? TARGET_INVITED : TARGET_ALREADY;
		forget_kept(s, &op->room->id, &target->account);
	}
}

static bool
may_invite(const struct room *room)
{
	const struct roster_state *state = roster_state(room->roster);
	const struct roster_member *self = room_self(room);

	return member_is_joined(self) && state->kind == ROOM_GROUP &&
	       (state->invite_policy == INVITE_MEMBERS || self->role >= ROLE_MODERATOR);
}

static void
run_invite(struct chat_session *s, struct op *op)
{
	struct invite_op *own = invite_of(op);
	struct refusal refusal = {.err = CHAT_ERR_NOT_ALLOWED, .mend = ""};
	const struct room *room = op->room;

	if (room->gone || room->phase == ROOM_STOPPED) {
		refusal.text = "";
		if (own->kept && room->gone)
			give_up(s, op, &refusal);
		else
			(void)op_room_ready(s, op);
		return;
	}
	if (!op_room_ready(s, op) || room_head(room)->seq < own->posted_seq ||
	    room->emitted_seq < own->posted_seq)
		return;
	if (!may_invite(room)) {
		refusal.text = roster_state(room->roster)->kind == ROOM_DIRECT ? "a direct room is of two"
									       : "you may not invite to it";
		give_up(s, op, &refusal);
		return;
	}
	look_who_is_there(s, op);
	if (s->ended)
		return;
	if (count_state(own, TARGET_NEW) > 0)
		ask_cards(s, op);
	else if (count_state(own, TARGET_CARD) > 0)
		start_batch(s, op);
	else
		end_invite(s, op);
}

static void
invite_disconnected(struct chat_session *s, struct op *op)
{
	struct invite_op *own = invite_of(op);

	(void)s;
	change_state(own, TARGET_ASKED, TARGET_NEW);
	change_state(own, TARGET_CARD, TARGET_NEW);
	change_state(own, TARGET_POSTED, TARGET_NEW);
}

static const struct op_type invite_type = {
    .run = run_invite,
    .batch_ended = invite_ended,
    .disconnected = invite_disconnected,
    .fini = invite_fini,
};

/* NULL: out of memory. */
static struct invite_op *
new_invite(const struct account_name *accounts, size_t count)
{
	struct invite_op *own = calloc(1, sizeof *own);

	if (own != NULL)
		own->targets = calloc(count, sizeof *own->targets);
	if (own == NULL || own->targets == NULL) {
		free(own);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		size_t k;

		for (k = 0; k < own->count; k++)
			if (account_equal(&own->targets[k].account, &accounts[i]))
				break;
		if (k == own->count)
			own->targets[own->count++].account = accounts[i];
	}
	return own;
}

void
session_invite(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *accounts, size_t count, struct now now)
{
	struct invite_op *own;
	struct room *room;

	session_begin(s, now);
	room = op_room(s, done, room_id);
	if (room != NULL && count == 0)
		done_now(s, done, CHAT_ERR_INVALID, "Nobody was named.", NULL);
	else if (room != NULL) {
		own = new_invite(accounts, count);
		if (own == NULL)
			done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
		else
			op_start(s, &own->op, &invite_type, done, room);
	}
	session_run(s);
}

/* ---- what is kept ---- */

struct kept_invite {
	struct digest room_id;
	struct account_name account;
};

struct kept_list {
	struct kept_invite *list; /* owned */
	size_t count, cap;
	enum chat_err err;
};

static bool
collect_kept(void *ctx, const struct digest *room_id, struct bytes account)
{
	struct kept_list *kept = ctx;

	if (kept->count == kept->cap) {
		size_t cap = kept->cap > 0 ? 2 * kept->cap : 16;
		struct kept_invite *grown = reallocarray(kept->list, cap, sizeof *grown);

		if (grown == NULL) {
			kept->err = CHAT_ERR_NOMEM;
			return false;
		}
		kept->list = grown;
		kept->cap = cap;
	}
	kept->list[kept->count].room_id = *room_id;
	if (account_name_set(account, &kept->list[kept->count].account) == CHAT_OK)
		kept->count++;
	return true;
}

static bool
is_at_it(const struct chat_session *s, const struct room *room, const struct account_name *account)
{
	struct op *op;

	TAILQ_FOREACH (op, &s->ops, link) {
		if (op->type != &invite_type || op->room != room)
			continue;
		for (size_t i = 0; i < invite_of(op)->count; i++)
			if (account_equal(&invite_of(op)->targets[i].account, account))
				return true;
	}
	return false;
}

/* account NULL: all of them. */
static void
start_kept(struct chat_session *s, const struct account_name *account)
{
	struct kept_list kept = {0};
	struct account_name *names = NULL;

	if (!session_check(s, s->st->ops->each_invite(s->st, collect_kept, &kept)) ||
	    !session_check(s, kept.err))
		goto out;
	names = calloc(kept.count + 1, sizeof *names);
	if (!session_check(s, names == NULL ? CHAT_ERR_NOMEM : CHAT_OK))
		goto out;
	for (size_t i = 0; i < kept.count && !s->ended; i++) {
		struct room *room = room_find(s, &kept.list[i].room_id);
		struct invite_op *own;
		size_t count = 0;

		if (room == NULL || room->gone) {
			forget_kept(s, &kept.list[i].room_id, &kept.list[i].account);
			continue;
		}
		/* All of the room at once; those behind it in the list are then at it. */
		for (size_t k = i; k < kept.count; k++)
			if (digest_equal(&kept.list[k].room_id, &room->id) &&
			    (account == NULL || account_equal(&kept.list[k].account, account)) &&
			    !is_at_it(s, room, &kept.list[k].account))
				names[count++] = kept.list[k].account;
		if (count == 0)
			continue;
		own = new_invite(names, count);
		if (!session_check(s, own == NULL ? CHAT_ERR_NOMEM : CHAT_OK))
			break;
		own->kept = true;
		op_start(s, &own->op, &invite_type, NULL, room);
	}
out:
	free(names);
	free(kept.list);
}

void
invites_resume(struct chat_session *s)
{
	start_kept(s, NULL);
}

void
invites_card_published(struct chat_session *s, const struct account_name *account)
{
	start_kept(s, account);
}
