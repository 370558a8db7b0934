/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Read cursors: kept in memory and written lazily, so a crash may set one back by some seconds. */

#include <assert.h>

#include "server/engine_impl.h"

/* They are written this long after the first one moved, or failed to be written; */
#define CURSOR_FLUSH_MS 5000
/* and so many to a turn, at about 5 microseconds each: the others in the next. */
#define CURSORS_PER_TURN 256

/* ---- moving ---- */

static void
note_dirty(struct engine *engine, struct stay *stay)
{
	if (stay->read_dirty)
		return;
	if (TAILQ_EMPTY(&engine->dirty_stays))
		engine->cursors_due_ms = engine->now.mono_ms + CURSOR_FLUSH_MS;
	stay->read_dirty = true;
	stay->read_writing = false;
	stay->account->dirty_count++;
	TAILQ_INSERT_TAIL(&engine->dirty_stays, stay, dirty_link);
}

void
cursor_forget(struct engine *engine, struct stay *stay)
{
	if (!stay->read_dirty)
		return;
	TAILQ_REMOVE(&engine->dirty_stays, stay, dirty_link);
	stay->read_dirty = false;
	stay->account->dirty_count--;
}

void
finish_set_cursor(struct engine *engine, struct pending *p)
{
	Chat__V1__CursorMoved push = CHAT__V1__CURSOR_MOVED__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct session *session;
	struct room *room;
	struct stay *stay;
	enum chat_err err;

	err = room_of_session(engine, p->session, &p->cmd->room_id, &room, &stay);
	if (err != CHAT_OK) {
		engine_refuse(engine, p, err, NULL);
		return;
	}
	if (p->cmd->cursor.seq > roster_state(room->roster)->head.seq) {
		engine_refuse(engine, p, CHAT_ERR_MALFORMED, "the room has no such number yet");
		return;
	}
	engine_out(engine, OUT_OK, p->cmd->from, p->cmd->request_id);
	if (stay->read_seq == p->cmd->cursor.seq)
		return;
	stay->read_seq = p->cmd->cursor.seq;
	note_dirty(engine, stay);
	push.room_id.data = room->id.b;
	push.room_id.len = DIGEST_BYTES;
	push.seq = stay->read_seq;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_CURSOR_MOVED;
	frame.cursor_moved = &push;
	TAILQ_FOREACH (session, &p->session->account->sessions, account_link)
		if (session != p->session)
			engine_out_frame(engine, session->conn, &frame, 0);
}

void
cursors_hurry(struct engine *engine, const struct account *account)
{
	if (account == NULL || account->dirty_count > 0)
		engine->cursors_due_ms = engine->now.mono_ms;
}

/* ---- writing ---- */

uint64_t
cursors_due_ms(const struct engine *engine)
{
	return TAILQ_EMPTY(&engine->dirty_stays) ? NEVER_MS : engine->cursors_due_ms;
}

void
cursors_judge(struct engine *engine)
{
	uint32_t count = 0;
	struct stay *stay;

	if (engine->now.mono_ms < cursors_due_ms(engine))
		return;
	TAILQ_FOREACH (stay, &engine->dirty_stays, dirty_link) {
		struct store_op *op;

		if (count++ == CURSORS_PER_TURN ||
		    (op = store_batch_add(engine->batch, STORE_SET_CURSOR)) == NULL)
			return;
		op->set_cursor.room_id = stay->room_id;
		op->set_cursor.member_id = stay->account->member_id;
		op->set_cursor.seq = stay->read_seq;
		stay->read_writing = true;
		stay->read_written = stay->read_seq;
	}
}

/* Those being written are the first of the list.  One that has moved since goes to its end. */
void
cursors_finish(struct engine *engine)
{
	struct stay *stay;

	while ((stay = TAILQ_FIRST(&engine->dirty_stays)) != NULL && stay->read_writing) {
		cursor_forget(engine, stay);
		if (stay->read_seq != stay->read_written)
			note_dirty(engine, stay);
		account_touch(engine, stay->account);
	}
}

void
cursors_failed(struct engine *engine)
{
	struct stay *stay;

	TAILQ_FOREACH (stay, &engine->dirty_stays, dirty_link) {
		if (!stay->read_writing)
			break;
		stay->read_writing = false;
		engine->cursors_due_ms = engine->now.mono_ms + CURSOR_FLUSH_MS;
	}
}
