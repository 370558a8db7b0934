/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a session asks of its rooms: which there are, following them, reading them. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

void
finish_resume(struct engine *engine, struct pending *p)
{
	const struct command *cmd = p->cmd;
	const struct log_head *head;
	struct digest before = digest_zero;
	struct outcome *out;
	struct view *view;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &cmd->room_id, &room, &stay);
	if (err != CHAT_OK) {
		engine_refuse(engine, p, err, NULL);
		return;
	}
	head = &roster_state(room->roster)->head;
	p->number = head->seq;
	p->refusal.has_current = true;
	p->refusal.current = head->L;
	if (cmd->resume.next_seq > head->seq + 1) {
		engine_refuse(
		    engine, p, CHAT_ERR_HISTORY_CHANGED, "the server's log is shorter than what was seen");
		return;
	}
	if (cmd->resume.next_seq == head->seq + 1)
		before = head->L;
	else if (cmd->resume.next_seq > 1)
		err = store_log_hash(engine->store, room->room_no, cmd->resume.next_seq - 1, &before);
	if (err != CHAT_OK) {
		engine_refuse(engine, p, CHAT_ERR_STORE_UNAVAILABLE, NULL);
		return;
	}
	if (!digest_equal(&before, &cmd->resume.hash)) {
		engine_refuse(engine, p, CHAT_ERR_HISTORY_CHANGED, NULL);
		return;
	}
	view = room_view(room, &p->session->account->member_id);
	if (view == NULL || room_subscribe(engine, room, p->session) != CHAT_OK) {
		view_unref(view);
		engine_refuse(engine, p, CHAT_ERR_NOMEM, NULL);
		return;
	}
	out = engine_out(engine, OUT_SUBSCRIBED, cmd->from, cmd->request_id);
	if (out == NULL) {
		view_unref(view);
		return;
	}
	out->subscribed.room_id = room->id;
	out->subscribed.room_no = room->room_no;
	out->subscribed.next_seq = cmd->resume.next_seq;
	out->subscribed.head_seq = head->seq;
	out->subscribed.head_hash = head->L;
	out->subscribed.oldest_whole_seq = room->oldest_whole_seq;
	out->subscribed.view = view;
	if (stay->stay == STORE_JOINED) {
		room_lend_rekey(engine, room, cmd->from);
		room_push_asks(engine, room, p->session);
	}
}

/* ---- lists ---- */

#define ROOMS_PAGE 1000 /* 150 bytes each: far below a frame's limit */

void
fill_room_summary(const struct room *room, const struct stay *stay, Chat__V1__RoomSummary *ret)
{
	const struct log_head *head = &roster_state(room->roster)->head;

	chat__v1__room_summary__init(ret);
	ret->room_id.data = (uint8_t *)(uintptr_t)room->id.b;
	ret->room_id.len = DIGEST_BYTES;
	ret->stay = (Chat__V1__Stay)stay->stay;
	ret->head_seq = head->seq;
	ret->head_hash.data = (uint8_t *)(uintptr_t)head->L.b;
	ret->head_hash.len = DIGEST_BYTES;
	ret->since_seq = stay->since_seq;
	ret->read_seq = stay->read_seq;
}

struct rooms_page {
	struct digest after;
	struct store_member_room *rooms;
	size_t count, cap;
	bool more;
};

static bool
collect_room(void *ctx, const struct store_member_room *room)
{
	struct rooms_page *page = ctx;

	if (digest_compare(&room->room_id, &page->after) <= 0)
		return true;
	if (page->count == page->cap) {
		page->more = true;
		return false;
	}
	page->rooms[page->count++] = *room;
	return true;
}

void
finish_get_rooms(struct engine *engine, struct pending *p)
{
	Chat__V1__Rooms answer = CHAT__V1__ROOMS__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__RoomSummary *items = NULL, **list = NULL;
	struct rooms_page page = {0};
	enum chat_err err;

	if (p->cmd->page.after.len > 0 && !digest_from_bytes(p->cmd->page.after, &page.after)) {
		engine_refuse(engine, p, CHAT_ERR_MALFORMED, "`after` is no room_id");
		return;
	}
	err = account_load_rooms(engine, p->session->account);
	if (err != CHAT_OK)
		goto out;
	err = CHAT_ERR_NOMEM;
	page.cap = p->session->account->rooms.count;
	if (page.cap > ROOMS_PAGE)
		page.cap = ROOMS_PAGE;
	page.rooms = calloc(page.cap + 1, sizeof *page.rooms);
	items = calloc(page.cap + 1, sizeof *items);
	list = calloc(page.cap + 1, sizeof(Chat__V1__RoomSummary *));
	if (page.rooms == NULL || items == NULL || list == NULL)
		goto out;
	err = store_member_rooms_each(engine->store, &p->session->account->member_id, collect_room, &page);
	if (err != CHAT_OK)
		goto out;
	for (size_t i = 0; i < page.count; i++) {
		struct store_member_room *room = &page.rooms[i];
		const struct stay *stay = account_stay(p->session->account, &room->room_id);

		chat__v1__room_summary__init(&items[i]);
		items[i].room_id.data = room->room_id.b;
		items[i].room_id.len = DIGEST_BYTES;
		items[i].stay = (Chat__V1__Stay)room->stay;
		items[i].head_seq = room->head.seq;
		items[i].head_hash.data = room->head.L.b;
		items[i].head_hash.len = DIGEST_BYTES;
		items[i].since_seq = room->since_seq;
		/* The cursor in memory may be ahead of the stored one. */
		items[i].read_seq = stay != NULL ? stay->read_seq : room->read_seq;
		list[i] = &items[i];
	}
	answer.room = list;
	answer.n_room = page.count;
	answer.more = page.more;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ROOMS;
	frame.rooms = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
out:
	if (err != CHAT_OK)
		engine_refuse(engine, p, CHAT_ERR_STORE_UNAVAILABLE, NULL);
	free(page.rooms);
	free(items);
	free(list);
}

/* ---- what readers do ---- */

static enum chat_err
fill_read(
    const struct command *cmd, const struct room *room, const struct stay *stay, struct read_request *read)
{
	uint64_t head_seq = roster_state(room->roster)->head.seq;

	read->to_seq = head_seq;
	if (cmd->type == CMD_GET_HISTORY) {
		read->kind = READ_HISTORY;
		read->from_seq = cmd->history.before_seq <= head_seq ? cmd->history.before_seq : head_seq + 1;
		read->limit = cmd->history.limit;
	} else if (cmd->type == CMD_GET_ROSTER) {
		read->kind = READ_ROSTER;
		read->from_seq = cmd->forward.from_seq;
	} else if (cmd->type == CMD_GET_PREFIX) {
		read->kind = READ_PREFIX;
		read->from_seq = cmd->forward.from_seq;
		read->to_seq = stay->since_seq;
	} else {
		assert(cmd->type == CMD_GET_WRAPS);
		read->kind = READ_WRAPS;
		read->epoch_ids = calloc(cmd->epochs.count, sizeof *read->epoch_ids);
		if (read->epoch_ids == NULL)
			return CHAT_ERR_NOMEM;
		memcpy(read->epoch_ids, cmd->epochs.epoch_ids, cmd->epochs.count * sizeof *read->epoch_ids);
		read->epoch_count = cmd->epochs.count;
	}
	return CHAT_OK;
}

void
finish_read(struct engine *engine, struct pending *p)
{
	struct read_request *read = NULL;
	struct outcome *out;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &p->cmd->room_id, &room, &stay);
	if (err != CHAT_OK)
		goto fail;
	err = CHAT_ERR_NOMEM;
	read = calloc(1, sizeof *read);
	if (read == NULL)
		goto fail;
	read->conn = p->cmd->from;
	read->request_id = p->cmd->request_id;
	read->room_id = room->id;
	read->room_no = room->room_no;
	read->member_id = p->session->account->member_id;
	read->view = room_view(room, &read->member_id);
	if (read->view == NULL || fill_read(p->cmd, room, stay, read) != CHAT_OK)
		goto fail;
	out = engine_out(engine, OUT_READ, p->cmd->from, p->cmd->request_id);
	if (out == NULL)
		goto fail;
	out->read = read;
	return;
fail:
	read_request_free(read);
	engine_refuse(engine, p, err, NULL);
}
