/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Re-wraps, and who is asked for them. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

#define SPENT_TEXT "no message of this epoch is kept any more"

/* ---- posting ---- */

/* Retention has dropped the keys of epochs whose messages are all gone. */
static bool
is_spent(const struct room *room, const struct digest *epoch_id)
{
	const struct roster_epoch *epoch = roster_epoch(room->roster, epoch_id);
	const struct roster_epoch *next = roster_epoch_at(room->roster, epoch->number + 1);

	return next != NULL && next->seq <= room->oldest_whole_seq;
}

static enum chat_err
judge_rewrap(struct pending *p, const struct command_event *from)
{
	struct rewrap rewrap;
	enum chat_err err = rewrap_decode(from->wire, &rewrap);

	if (err == CHAT_OK)
		err = roster_judge_rewrap(p->room->roster, &rewrap, &p->session->account->member_id,
		    from->signatures_good, &p->refusal);
	if (err == CHAT_OK && is_spent(p->room, &rewrap.epoch_id)) {
		p->text = SPENT_TEXT;
		err = CHAT_ERR_NOT_ALLOWED;
	}
	return err;
}

static bool
add_rewrap(struct engine *engine, const struct room *room, struct bytes wire)
{
	struct store_op *op = store_batch_add(engine->batch, STORE_PUT_REWRAP);
	struct rewrap rewrap;

	if (op == NULL)
		return false;
	if (rewrap_decode(wire, &rewrap) != CHAT_OK)
		assert(false); /* it was judged */
	op->put_rewrap.room_id = room->id;
	op->put_rewrap.epoch_id = rewrap.epoch_id;
	op->put_rewrap.recipient = rewrap.recipient;
	op->put_rewrap.wrapper = rewrap.wrapper;
	op->put_rewrap.wire = wire.data;
	return true;
}

void
judge_post_rewraps(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &cmd->room_id, &p->room, &stay);
	if (err != CHAT_OK) {
		pending_refuse_by_rules(p, err);
		return;
	}
	for (uint32_t i = 0; i < cmd->rewraps.count; i++) {
		err = judge_rewrap(p, &cmd->rewraps.rewraps[i]);
		if (err != CHAT_OK) {
			pending_refuse_by_rules(p, err);
			p->refusal.index = i;
			return;
		}
	}
	/* Only when all are good: they are stored together. */
	p->first_op = store_batch_count(engine->batch);
	for (uint32_t i = 0; i < cmd->rewraps.count; i++) {
		if (!add_rewrap(engine, p->room, cmd->rewraps.rewraps[i].wire)) {
			while (i-- > 0)
				store_batch_drop_last(engine->batch);
			pending_refuse_by_rules(p, CHAT_ERR_NOMEM);
			return;
		}
	}
}

static void
push_rewrap(struct engine *engine, const struct room *room, const struct rewrap *rewrap, struct bytes wire)
{
	const struct account *account = account_of_member(engine, &rewrap->recipient);
	Chat__V1__Wraps push = CHAT__V1__WRAPS__INIT;
	Chat__V1__EpochWraps epoch = CHAT__V1__EPOCH_WRAPS__INIT, *list[] = {&epoch};
	ProtobufCBinaryData data = {.data = (uint8_t *)(uintptr_t)wire.data, .len = wire.len};
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	const struct session *session;

	if (account == NULL)
		return;
	push.room_id.data = (uint8_t *)(uintptr_t)room->id.b;
	push.room_id.len = DIGEST_BYTES;
	epoch.epoch_id.data = (uint8_t *)(uintptr_t)rewrap->epoch_id.b;
	epoch.epoch_id.len = DIGEST_BYTES;
	epoch.rewrap = &data;
	epoch.n_rewrap = 1;
	push.epoch = list;
	push.n_epoch = 1;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH;
	frame.wraps_push = &push;
	TAILQ_FOREACH (session, &account->sessions, account_link)
		engine_out_frame(engine, session->conn, &frame, 0);
}

/* ---- asks ---- */

static void
ask_free(struct room *room, struct rewrap_ask *ask)
{
	TAILQ_REMOVE(&room->asks, ask, link);
	room->ask_count--;
	free(ask);
}

static struct rewrap_ask *
find_ask(const struct room *room, const struct digest *member_id)
{
	struct rewrap_ask *ask;

	TAILQ_FOREACH (ask, &room->asks, link)
		if (digest_equal(&ask->member_id, member_id))
			return ask;
	return NULL;
}

void
room_end_ask(struct room *room, const struct digest *member_id)
{
	struct rewrap_ask *ask = find_ask(room, member_id);

	if (ask != NULL)
		ask_free(room, ask);
}

/* An ask whose epochs were all answered is done. */
static void
note_answered(struct room *room, const struct rewrap *rewrap)
{
	struct rewrap_ask *ask = find_ask(room, &rewrap->recipient);

	if (ask == NULL)
		return;
	for (uint32_t i = 0; i < ask->epoch_count;) {
		if (digest_equal(&ask->epoch_ids[i], &rewrap->epoch_id))
			ask->epoch_ids[i] = ask->epoch_ids[--ask->epoch_count];
		else
			i++;
	}
	if (ask->epoch_count == 0)
		ask_free(room, ask);
}

void
finish_post_rewraps(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct rewrap rewrap;

	for (uint32_t i = 0; i < cmd->rewraps.count; i++) {
		struct bytes wire = cmd->rewraps.rewraps[i].wire;

		/* The rules know an epoch of which the store has dropped the keys, for none of its messages
		 * is left. */
		if (store_batch_op(engine->batch, p->first_op + i)->result.outcome != STORE_STORED) {
			p->refusal.index = i;
			engine_refuse(engine, p, CHAT_ERR_NOT_ALLOWED, SPENT_TEXT);
			return;
		}
		if (rewrap_decode(wire, &rewrap) != CHAT_OK)
			assert(false);
		push_rewrap(engine, p->room, &rewrap, wire);
		note_answered(p->room, &rewrap);
	}
	engine_out(engine, OUT_OK, cmd->from, cmd->request_id);
}

/* ---- asking ---- */

/* Two members are asked at a time, for one may not have the key; more come to hear of it as they follow the
 * room, but not all of a large one: who asks asks again. */
#define REWRAPPERS_ASKED     2
#define REWRAPPERS_ASKED_MAX 8

static void
push_ask(struct engine *engine, struct room *room, struct rewrap_ask *ask, struct conn_ref to)
{
	Chat__V1__RewrapWanted push = CHAT__V1__REWRAP_WANTED__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	ProtobufCBinaryData epochs[EPOCHS_ASKED_MAX];

	for (uint32_t i = 0; i < ask->epoch_count; i++)
		epochs[i] = (ProtobufCBinaryData){.data = ask->epoch_ids[i].b, .len = DIGEST_BYTES};
	push.room_id.data = room->id.b;
	push.room_id.len = DIGEST_BYTES;
	push.member_id.data = ask->member_id.b;
	push.member_id.len = DIGEST_BYTES;
	push.epoch_id = epochs;
	push.n_epoch_id = ask->epoch_count;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_REWRAP_WANTED;
	frame.rewrap_wanted = &push;
	engine_out_frame(engine, to, &frame, 0);
	ask->passed_on++;
}

void
room_push_asks(struct engine *engine, struct room *room, const struct session *to)
{
	struct rewrap_ask *ask;

	TAILQ_FOREACH (ask, &room->asks, link)
		if (ask->passed_on < REWRAPPERS_ASKED_MAX &&
		    !digest_equal(&to->account->member_id, &ask->member_id))
			push_ask(engine, room, ask, to->conn);
}

/* The one that was asked for something the longest ago, of a member that is none of the two. */
static struct subscriber *
choose_rewrapper(const struct room *room, const struct digest *one, const struct digest *other)
{
	struct subscriber *subscriber;

	TAILQ_FOREACH (subscriber, &room->subscribers, room_link) {
		const struct digest *member_id = &subscriber->session->account->member_id;

		if (session_is_joined(room, subscriber->session) && !digest_equal(member_id, one) &&
		    !digest_equal(member_id, other))
			return subscriber;
	}
	return NULL;
}

static void
pass_on(struct engine *engine, struct room *room, struct rewrap_ask *ask)
{
	struct digest last = ask->member_id;

	for (uint32_t i = 0; i < REWRAPPERS_ASKED; i++) {
		struct subscriber *subscriber = choose_rewrapper(room, &ask->member_id, &last);

		if (subscriber == NULL)
			return;
		last = subscriber->session->account->member_id;
		push_ask(engine, room, ask, subscriber->session->conn);
		room_asked(room, subscriber);
	}
}

/* Of the epochs that are asked for those that the member may have.  NULL: out of memory. */
static struct rewrap_ask *
new_ask(const struct room *room, const struct digest *member_id, const struct command *cmd)
{
	const struct roster_member *member = roster_member(room->roster, member_id);
	struct rewrap_ask *ask = calloc(1, sizeof *ask + cmd->epochs.count * sizeof ask->epoch_ids[0]);

	if (ask == NULL)
		return NULL;
	ask->member_id = *member_id;
	for (uint32_t i = 0; i < cmd->epochs.count; i++)
		if (roster_entitled(
			room->roster, member, roster_epoch(room->roster, &cmd->epochs.epoch_ids[i])))
			ask->epoch_ids[ask->epoch_count++] = cmd->epochs.epoch_ids[i];
	return ask;
}

/* They are kept while the room is in memory: who comes to follow it hears of them.  One for each member: a
 * new one takes the old one's place. */
void
finish_ask_rewrap(struct engine *engine, struct pending *p)
{
	const struct digest *member_id = &p->session->account->member_id;
	struct rewrap_ask *ask = NULL;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	assert(p->cmd->epochs.count <= EPOCHS_ASKED_MAX);
	err = room_of_session(engine, p->session, &p->cmd->room_id, &room, &stay);
	if (err == CHAT_OK) {
		ask = new_ask(room, member_id, p->cmd);
		if (ask == NULL)
			err = CHAT_ERR_NOMEM;
		else if (ask->epoch_count == 0)
			err = CHAT_ERR_NOT_ALLOWED;
		else if (find_ask(room, member_id) == NULL && room->ask_count >= REWRAP_ASKS_PER_ROOM)
			err = CHAT_ERR_LIMIT;
	}
	if (err != CHAT_OK) {
		free(ask);
		engine_refuse(engine, p, err, NULL);
		return;
	}
	room_end_ask(room, member_id);
	TAILQ_INSERT_TAIL(&room->asks, ask, link);
	room->ask_count++;
	engine_out(engine, OUT_OK, p->cmd->from, p->cmd->request_id);
	pass_on(engine, room, ask);
}
