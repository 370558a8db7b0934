/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "libchat/op.h"
#include "libchat/room.h"

/* accept, decline, leave, kick, role, topic, name: one event, or one rekey, in one room. */

enum verb { VERB_ACCEPT, VERB_DECLINE, VERB_LEAVE, VERB_KICK, VERB_ROLE, VERB_TOPIC, VERB_NAME };

struct room_op {
	struct op op;
	enum verb verb;
	struct account_name account;
	enum member_role role;
	struct buf text; /* owned: the topic or name */
};

static struct room_op *
room_op_of(struct op *op)
{
	return (struct room_op *)(void *)op;
}

void
op_refused(struct chat_session *s, struct op *op, const struct refusal *refusal, const char *mend)
{
	char text[200];

	if (refusal->err == CHAT_ERR_NOT_ALLOWED && refusal->text != NULL && refusal->text[0] != '\0') {
		snprintf(text, sizeof text, "The rules of the room do not allow it: %s.", refusal->text);
		op_end(s, op, refusal->err, text, mend);
	} else
		op_end(s, op, refusal->err, refusal->text, mend);
}

const struct roster_member *
op_find_member(const struct room *room, const struct account_name *account)
{
	const struct roster_member *found = NULL;

	/* An account that was made anew is another member of the same name: the one who is here counts. */
	for (size_t i = 0; i < roster_member_count(room->roster); i++) {
		const struct roster_member *member = roster_member_at(room->roster, i);

		if (account_equal(&member->account, account) && (found == NULL || member_is_reader(member)))
			found = member;
	}
	return found;
}

static void
start_one(struct chat_session *s, struct op *op, struct event *draft, bool rekey, const char *mend)
{
	const struct batch_plan plan = {
	    .drafts = draft,
	    .count = draft != NULL ? 1 : 0,
	    .rekey = rekey,
	    .name = buf_bytes(&op->room->name),
	    .topic = buf_bytes(&op->room->topic),
	};
	struct batch *batch;
	struct refusal refusal = batch_start(s, op->room, op, &plan, &batch);

	if (refusal.err != CHAT_OK && !s->ended)
		op_refused(s, op, &refusal, mend);
}

/* ---- about oneself ---- */

static void
run_own(struct chat_session *s, struct op *op)
{
	struct event draft = {0};
	const struct roster_member *self;
	enum verb verb = room_op_of(op)->verb;

	/* That is what was wanted, whoever brought it about. */
	if (op->room->gone && verb != VERB_ACCEPT) {
		op_end(s, op, op->tried ? CHAT_OK : CHAT_ERR_NOT_ALLOWED,
		    op->tried ? NULL : "You are not a member of this room.", NULL);
		return;
	}
	if (!op_room_ready(s, op))
		return;
	self = room_self(op->room);
	if (verb == VERB_ACCEPT && member_is_joined(self)) {
		op_end(s, op, op->tried ? CHAT_OK : CHAT_ERR_ALREADY,
		    op->tried ? NULL : "You have joined this room.", NULL);
		return;
	}
	if (verb == VERB_DECLINE && member_is_joined(self)) {
		op_end(s, op, CHAT_ERR_NOT_ALLOWED, "You have joined this room.", "/leave");
		return;
	}
	draft.type = verb == VERB_ACCEPT ? EVENT_JOIN : verb == VERB_DECLINE ? EVENT_DECLINE : EVENT_LEAVE;
	start_one(s, op, &draft, false,
	    verb != VERB_LEAVE       ? NULL
	    : member_is_joined(self) ? "make somebody else an owner first: /role USER owner"
				     : "/decline");
}

/* ---- about another ---- */

static void
run_other(struct chat_session *s, struct op *op)
{
	struct room_op *own = room_op_of(op);
	const struct roster_member *target;
	struct event draft = {0};
	char text[160];

	if (!op_room_ready(s, op))
		return;
	target = op_find_member(op->room, &own->account);
	if (!member_is_reader(target)) {
		if (op->tried && own->verb == VERB_KICK) {
			op_end(s, op, CHAT_OK, NULL, NULL);
			return;
		}
		snprintf(text, sizeof text, "%s is not in this room.", own->account.s);
		op_end(s, op, CHAT_ERR_NOT_FOUND, text, NULL);
		return;
	}
	if (own->verb == VERB_KICK) {
		draft.type = EVENT_KICK;
		draft.kick.target = target->id;
	} else {
		if (target->role == own->role) {
			snprintf(text, sizeof text, "%s has that role already.", own->account.s);
			op_end(s, op, op->tried ? CHAT_OK : CHAT_ERR_ALREADY, op->tried ? NULL : text, NULL);
			return;
		}
		draft.type = EVENT_ROLE;
		draft.role.target = target->id;
		draft.role.role = own->role;
	}
	start_one(s, op, &draft, own->verb == VERB_KICK, NULL);
}

/* ---- name and topic: a rekey with a new box ---- */

static void
run_box(struct chat_session *s, struct op *op)
{
	struct room_op *own = room_op_of(op);
	struct room *room = op->room;
	const struct buf *now = own->verb == VERB_TOPIC ? &room->topic : &room->name;
	struct batch_plan plan = {
	    .rekey = true, .name = buf_bytes(&room->name), .topic = buf_bytes(&room->topic)};
	const struct roster_member *self;
	struct refusal refusal;
	struct batch *batch;

	if (!op_room_ready(s, op))
		return;
	self = room_self(room);
	if (op->tried && bytes_equal(buf_bytes(now), buf_bytes(&own->text))) {
		op_end(s, op, CHAT_OK, NULL, NULL);
		return;
	}
	if (roster_state(room->roster)->kind == ROOM_DIRECT) {
		op_end(s, op, CHAT_ERR_NOT_ALLOWED, "A direct room has neither name nor topic.", NULL);
		return;
	}
	if (!member_is_joined(self) || self->role < ROLE_MODERATOR) {
		op_end(s, op, CHAT_ERR_NOT_ALLOWED,
		    "Only moderators and owners change the name and the topic.",
		    "ask an owner: /members shows who is one");
		return;
	}
	if (own->verb == VERB_TOPIC)
		plan.topic = buf_bytes(&own->text);
	else
		plan.name = buf_bytes(&own->text);
	plan.voluntary = roster_state(room->roster)->open;
	refusal = batch_start(s, room, op, &plan, &batch);
	if (refusal.err != CHAT_OK && !s->ended)
		op_refused(s, op, &refusal, NULL);
}

static void
room_op_fini(struct op *op)
{
	buf_fini_secret(&room_op_of(op)->text);
}

static const struct op_type own_type = {.run = run_own, .fini = room_op_fini};
static const struct op_type other_type = {.run = run_other, .fini = room_op_fini};
static const struct op_type box_type = {.run = run_box, .fini = room_op_fini};

/* ---- entry ---- */

struct room *
op_room(struct chat_session *s, struct chat_event *done, const struct digest *room_id)
{
	struct room *room = room_find(s, room_id);

	if (room == NULL)
		done_now(s, done, CHAT_ERR_NOT_FOUND, "No such room is known here.", "/rooms lists them");
	return room;
}

/* NULL: it has ended already. */
static struct room_op *
new_op(struct chat_session *s, struct chat_event *done, const struct digest *room_id, enum verb verb,
    struct room **ret_room)
{
	struct room_op *own;

	*ret_room = op_room(s, done, room_id);
	if (*ret_room == NULL)
		return NULL;
	own = calloc(1, sizeof *own);
	if (own == NULL) {
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
		return NULL;
	}
	own->verb = verb;
	return own;
}

static void
begin(struct chat_session *s, struct chat_event *done, const struct digest *room_id, enum verb verb,
    struct now now)
{
	struct room_op *own;
	struct room *room;

	session_begin(s, now);
	own = new_op(s, done, room_id, verb, &room);
	if (own != NULL)
		op_start(s, &own->op, &own_type, done, room);
	session_run(s);
}

void
session_accept(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now)
{
	begin(s, done, room_id, VERB_ACCEPT, now);
}

void
session_decline(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now)
{
	begin(s, done, room_id, VERB_DECLINE, now);
}

void
session_leave(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now)
{
	begin(s, done, room_id, VERB_LEAVE, now);
}

void
session_kick(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *account, struct now now)
{
	struct room_op *own;
	struct room *room;

	session_begin(s, now);
	own = new_op(s, done, room_id, VERB_KICK, &room);
	if (own != NULL) {
		own->account = *account;
		op_start(s, &own->op, &other_type, done, room);
	}
	session_run(s);
}

void
session_set_role(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *account, unsigned role, struct now now)
{
	struct room_op *own;
	struct room *room;

	session_begin(s, now);
	if (role < ROLE_MEMBER || role > ROLE_OWNER) {
		done_now(
		    s, done, CHAT_ERR_INVALID, "A role is 1 (member), 2 (moderator) or 3 (owner).", NULL);
		session_run(s);
		return;
	}
	own = new_op(s, done, room_id, VERB_ROLE, &room);
	if (own != NULL) {
		own->account = *account;
		own->role = (enum member_role)role;
		op_start(s, &own->op, &other_type, done, room);
	}
	session_run(s);
}

static void
begin_box(struct chat_session *s, struct chat_event *done, const struct digest *room_id, enum verb verb,
    struct bytes text)
{
	struct room_op *own;
	struct room *room;

	own = new_op(s, done, room_id, verb, &room);
	if (own == NULL)
		return;
	if (buf_append(&own->text, text.data, text.len) != CHAT_OK) {
		free(own);
		done_now(s, done, CHAT_ERR_NOMEM, NULL, NULL);
		return;
	}
	op_start(s, &own->op, &box_type, done, room);
}

#define TOPIC_MAX_BYTES 1024 /* with the longest name it fits a box */

void
session_set_topic(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes topic, struct now now)
{
	session_begin(s, now);
	if (topic.len > TOPIC_MAX_BYTES)
		done_now(s, done, CHAT_ERR_TOO_LONG, "A topic has at most 1,024 bytes.", NULL);
	else if (!utf8_valid(topic))
		done_now(s, done, CHAT_ERR_INVALID, "The topic is not UTF-8.", NULL);
	else
		begin_box(s, done, room_id, VERB_TOPIC, topic);
	session_run(s);
}

void
session_set_name(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes name, struct now now)
{
	session_begin(s, now);
	if (!room_name_valid(name))
		done_now(s, done, CHAT_ERR_INVALID, ROOM_NAME_RULE, NULL);
	else
		begin_box(s, done, room_id, VERB_NAME, name);
	session_run(s);
}

void
session_send(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct bytes text,
    struct now now)
{
	struct room *room;

	session_begin(s, now);
	if (text.len == 0 || !utf8_valid(text))
		done_now(s, done, CHAT_ERR_INVALID, "A message is UTF-8 text of at least one byte.", NULL);
	else if (text.len > CHAT_TEXT_MAX)
		done_now(s, done, CHAT_ERR_TOO_LONG, "A message has at most 16,384 bytes.", NULL);
	else if ((room = op_room(s, done, room_id)) == NULL)
		;
	else if (room->read_only)
		done_now(s, done, CHAT_ERR_UNSUPPORTED, room->stop_text, NULL);
	else if (!room_is_joined(room))
		done_now(s, done, CHAT_ERR_NOT_ALLOWED, "You have not joined this room.",
		    !room->gone && member_is_reader(room_self(room)) ? "/accept" : NULL);
	else
		sender_add(room, done, text);
	session_run(s);
}
