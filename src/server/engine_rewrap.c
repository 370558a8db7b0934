/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Re-wraps, and who is asked for them. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

void
judge_post_rewraps(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct rewrap rewrap;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &cmd->room_id, &p->room, &stay);
	if (err != CHAT_OK) {
		pending_refuse(p, err, NULL, NULL);
		return;
	}
	for (uint32_t i = 0; i < cmd->rewraps.count; i++) {
		err = rewrap_decode(cmd->rewraps.rewraps[i].wire, &rewrap);
		if (err == CHAT_OK)
			err = roster_judge_rewrap(
			    p->room->roster, &rewrap, &p->session->account->member_id, &p->refusal);
		if (err != CHAT_OK) {
			pending_refuse_by_rules(p, err);
			p->refusal.index = i;
			return;
		}
	}
	/* Only when all are good: they are stored together. */
	for (uint32_t i = 0; i < cmd->rewraps.count; i++) {
		struct store_op *op = store_batch_add(engine->batch, STORE_PUT_REWRAP);

		if (op == NULL || rewrap_decode(cmd->rewraps.rewraps[i].wire, &rewrap) != CHAT_OK) {
			pending_refuse(p, CHAT_ERR_BUSY, NULL, NULL);
			return;
		}
		op->put_rewrap.room_id = p->room->id;
		op->put_rewrap.epoch_id = rewrap.epoch_id;
		op->put_rewrap.recipient = rewrap.recipient;
		op->put_rewrap.wrapper = rewrap.wrapper;
		op->put_rewrap.wire = cmd->rewraps.rewraps[i].wire.data;
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

/* An ask whose epochs were all answered is done. */
static void
end_ask(struct room *room, const struct rewrap *rewrap)
{
	struct rewrap_ask *ask, *next;

	TAILQ_FOREACH_SAFE (ask, &room->asks, link, next) {
		if (!digest_equal(&ask->member_id, &rewrap->recipient))
			continue;
		for (uint32_t i = 0; i < ask->epoch_count;) {
			if (digest_equal(&ask->epoch_ids[i], &rewrap->epoch_id))
				ask->epoch_ids[i] = ask->epoch_ids[--ask->epoch_count];
			else
				i++;
		}
		if (ask->epoch_count == 0) {
			TAILQ_REMOVE(&room->asks, ask, link);
			room->ask_count--;
			free(ask);
		}
	}
}

void
finish_post_rewraps(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct rewrap rewrap;

	engine_out(engine, OUT_OK, cmd->from, cmd->request_id);
	for (uint32_t i = 0; i < cmd->rewraps.count; i++) {
		if (rewrap_decode(cmd->rewraps.rewraps[i].wire, &rewrap) != CHAT_OK)
			continue;
		push_rewrap(engine, p->room, &rewrap, cmd->rewraps.rewraps[i].wire);
		end_ask(p->room, &rewrap);
	}
}

/* ---- asking ---- */

/* Two members are asked at a time: one may not have the key. */
#define REWRAPPERS_ASKED 2

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
}

void
room_push_asks(struct engine *engine, struct room *room, const struct session *to)
{
	struct rewrap_ask *ask;
	struct subscriber *subscriber;

	TAILQ_FOREACH (ask, &room->asks, link) {
		uint32_t asked = 0;

		if (to != NULL) {
			if (!digest_equal(&to->account->member_id, &ask->member_id))
				push_ask(engine, room, ask, to->conn);
			continue;
		}
		TAILQ_FOREACH (subscriber, &room->subscribers, room_link) {
			if (digest_equal(&subscriber->session->account->member_id, &ask->member_id) ||
			    !session_is_joined(room, subscriber->session))
				continue;
			push_ask(engine, room, ask, subscriber->session->conn);
			if (++asked == REWRAPPERS_ASKED)
				break;
		}
	}
}

void
finish_ask_rewrap(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	struct rewrap_ask *ask;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &cmd->room_id, &room, &stay);
	if (err == CHAT_OK && room->ask_count >= REWRAP_ASKS_PER_ROOM)
		err = CHAT_ERR_LIMIT;
	if (err != CHAT_OK) {
		pending_refuse(p, err, NULL, NULL);
		engine_out_error(engine, p);
		return;
	}
	/* One ask per member: a new one takes the old one's place. */
	TAILQ_FOREACH (ask, &room->asks, link)
		if (digest_equal(&ask->member_id, &p->session->account->member_id))
			break;
	if (ask == NULL) {
		ask = calloc(1, sizeof *ask);
		if (ask == NULL) {
			pending_refuse(p, CHAT_ERR_BUSY, NULL, NULL);
			engine_out_error(engine, p);
			return;
		}
		ask->member_id = p->session->account->member_id;
		TAILQ_INSERT_TAIL(&room->asks, ask, link);
		room->ask_count++;
	}
	ask->epoch_count = cmd->epochs.count;
	memcpy(ask->epoch_ids, cmd->epochs.epoch_ids, cmd->epochs.count * sizeof *ask->epoch_ids);
	engine_out(engine, OUT_OK, cmd->from, cmd->request_id);
	room_push_asks(engine, room, NULL);
}
