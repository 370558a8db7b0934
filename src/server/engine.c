/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "server/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/audit.h"
#include "server/engine_impl.h"

typedef void (*pass_fn)(struct engine *engine, struct pending *p);

/* ---- the passing of time ---- */

static void
judge_tick(struct engine *engine, struct pending *p)
{
	(void)p;
	if (engine->retire_at_ms <= engine->now.mono_ms)
		retire_judge(engine);
	cursors_judge(engine);
	retention_judge(engine);
}

static void
finish_tick(struct engine *engine, struct pending *p)
{
	(void)p;
	retire_finish(engine);
	cursors_finish(engine);
	retention_finish(engine);
	leases_end_due(engine);
}

static void
failed_tick(struct engine *engine, struct pending *p)
{
	(void)p;
	retire_failed(engine);
	cursors_failed(engine);
	retention_failed(engine);
	leases_end_due(engine);
}

/* ---- commands ---- */

/* One row per command: what looks at it before the commit, what answers it afterwards, who may send it. */
static const struct command_row {
	pass_fn judge; /* NULL: it only looks */
	pass_fn finish;
	pass_fn
	    failed;   /* in place of finish after a failed commit; NULL: `store_unavailable` is the answer */
	bool session; /* only from a session; anybody else is gone, and needs no answer */
} command_table[COMMAND_TYPE_COUNT] = {
    [CMD_ACCOUNTS] = {judge_accounts, finish_accounts, failed_accounts, false},
    [CMD_PASSWORD_PROVED] = {judge_password_proved, finish_password_proved, NULL, false},
    [CMD_PUBLISH_IDENTITY] = {judge_publish_identity, finish_publish_identity, NULL, false},
    [CMD_KEY_PROVED] = {NULL, finish_key_proved, NULL, false},
    [CMD_SESSION_CLOSE] = {NULL, finish_session_close, NULL, false},
    [CMD_GET_RECOVERY] = {NULL, finish_get_recovery, NULL, false},
    [CMD_PUT_RECOVERY] = {judge_put_recovery, finish_put_recovery, NULL, true},
    [CMD_GET_BAG] = {NULL, finish_get_bag, NULL, false},
    [CMD_PUT_BAG] = {judge_put_bag, finish_put_bag, NULL, true},
    [CMD_PUBLISH_CARD] = {judge_publish_card, finish_publish_card, NULL, true},
    [CMD_GET_CARD] = {NULL, finish_get_card, NULL, true},
    [CMD_WHO] = {NULL, finish_who, NULL, true},
    [CMD_PASSWORD_CHANGED] = {judge_password_changed, finish_password_changed, NULL, true},
    [CMD_GET_ROOMS] = {NULL, finish_get_rooms, NULL, true},
    [CMD_RESUME] = {NULL, finish_resume, NULL, true},
    [CMD_GET_HISTORY] = {NULL, finish_read, NULL, true},
    [CMD_GET_ROSTER] = {NULL, finish_read, NULL, true},
    [CMD_GET_PREFIX] = {NULL, finish_read, NULL, true},
    [CMD_GET_WRAPS] = {NULL, finish_read, NULL, true},
    [CMD_POST_EVENTS] = {judge_post_events, finish_post, NULL, true},
    [CMD_POST_MESSAGE] = {judge_post_message, finish_post, NULL, true},
    [CMD_POST_REWRAPS] = {judge_post_rewraps, finish_post_rewraps, NULL, true},
    [CMD_ASK_REWRAP] = {NULL, finish_ask_rewrap, NULL, true},
    [CMD_SET_CURSOR] = {NULL, finish_set_cursor, NULL, true},
    [CMD_OFFER_ENTRIES] = {judge_offer_entries, finish_post, NULL, true},
    [CMD_STATUS] = {NULL, finish_status, NULL, false},
    [CMD_TICK] = {judge_tick, finish_tick, failed_tick, false},
};

/* ---- life ---- */

/* Memory that was short may be there again. */
#define LOST_RETRY_MS 100

/* So many commands come in a turn, and a CMD_TICK. */
#define POOL_COUNT (TURN_COMMANDS_MAX + 1)

static bool
alloc_slots(struct engine *engine)
{
	const struct engine_config *config = &engine->config;

	engine->sessions = calloc(config->loop_count, sizeof *engine->sessions);
	engine->lost = calloc(config->loop_count, sizeof *engine->lost);
	if (engine->sessions == NULL || engine->lost == NULL)
		return false;
	for (uint16_t i = 0; i < config->loop_count; i++) {
		engine->sessions[i] = calloc(config->slots_per_loop, sizeof **engine->sessions);
		engine->lost[i] = calloc(config->slots_per_loop, sizeof **engine->lost);
		if (engine->sessions[i] == NULL || engine->lost[i] == NULL)
			return false;
	}
	return true;
}

enum chat_err
engine_new(const struct engine_config *config, struct store *store, struct engine **ret)
{
	struct engine *engine = calloc(1, sizeof *engine);

	if (engine == NULL)
		return CHAT_ERR_NOMEM;
	engine->config = *config;
	engine->store = store;
	TAILQ_INIT(&engine->dirty_stays);
	engine->retire_at_ms = NEVER_MS;
	TAILQ_INIT(&engine->leased_rooms);
	TAILQ_INIT(&engine->idle_rooms);
	TAILQ_INIT(&engine->idle_accounts);
	TAILQ_INIT(&engine->touched);
	STAILQ_INIT(&engine->pendings);
	STAILQ_INIT(&engine->free_pendings);
	engine->out_last = &engine->out_first;
	engine->batch = store_batch_new();
	engine->pool = calloc(POOL_COUNT, sizeof *engine->pool);
	if (engine->batch == NULL || engine->pool == NULL || !alloc_slots(engine)) {
		engine_free(engine);
		return CHAT_ERR_NOMEM;
	}
	for (uint32_t i = 0; i < POOL_COUNT; i++)
		STAILQ_INSERT_TAIL(&engine->free_pendings, &engine->pool[i], link);
	retention_init(engine);
	*ret = engine;
	return CHAT_OK;
}

/* All tables stay until the last session is gone: closing one looks for another to lend its rekey to. */
static void
close_all(struct engine *engine)
{
	for (uint16_t i = 0; engine->sessions != NULL && i < engine->config.loop_count; i++)
		for (uint32_t slot = 0; engine->sessions[i] != NULL && slot < engine->config.slots_per_loop;
		     slot++)
			if (engine->sessions[i][slot] != NULL)
				session_close(engine, engine->sessions[i][slot]);
}

void
engine_free(struct engine *engine)
{
	struct room *room;
	size_t at = 0;

	if (engine == NULL)
		return;
	assert(STAILQ_EMPTY(&engine->pendings));
	close_all(engine);
	for (uint16_t i = 0; i < engine->config.loop_count; i++) {
		if (engine->sessions != NULL)
			free(engine->sessions[i]);
		if (engine->lost != NULL)
			free(engine->lost[i]);
	}
	free(engine->sessions);
	free(engine->lost);
	map_fini(&engine->watched);
	free(engine->online);
	while ((room = map_next(&engine->rooms, &at)) != NULL)
		room_free(engine, room);
	map_fini(&engine->rooms);
	retention_fini(engine);
	account_fini_all(engine);
	outcome_list_free(engine->out_first);
	store_batch_free(engine->batch);
	passwd_table_unref(engine->table);
	free(engine->pool);
	free(engine);
}

void
engine_reconfigure(struct engine *engine, const struct engine_config *config)
{
	bool history = config->history_days != engine->config.history_days ||
		       config->history_entries != engine->config.history_entries;

	assert(config->loop_count == engine->config.loop_count);
	assert(config->slots_per_loop == engine->config.slots_per_loop);
	engine->config = *config;
	if (history)
		retention_reconfigured(engine);
}

/* ---- the turn ---- */

void
engine_turn_begin(struct engine *engine, struct now now)
{
	assert(STAILQ_EMPTY(&engine->pendings));
	engine->now = now;
	if (engine->started_unix_ms == 0) {
		engine->started_unix_ms = now.unix_ms;
		engine->started_mono_ms = now.mono_ms;
	}
	engine->turns++;
}

/* Of the pool, unless the turn is longer than it should be.  NULL: out of memory. */
static struct pending *
pending_new(struct engine *engine)
{
	struct pending *p = STAILQ_FIRST(&engine->free_pendings);

	if (p == NULL)
		return calloc(1, sizeof *p);
	STAILQ_REMOVE_HEAD(&engine->free_pendings, link);
	memset(p, 0, sizeof *p);
	return p;
}

static void
pending_free(struct engine *engine, struct pending *p)
{
	command_free(p->cmd);
	if (p >= engine->pool && p < engine->pool + POOL_COUNT)
		STAILQ_INSERT_HEAD(&engine->free_pendings, p, link);
	else
		free(p);
}

void
engine_apply(struct engine *engine, struct command *cmd)
{
	const struct command_row *row = &command_table[cmd->type];
	struct pending *p;

	p = pending_new(engine);
	if (p == NULL) {
		if (cmd->request_id != 0)
			engine_lose(engine, cmd->from);
		command_free(cmd);
		return;
	}
	engine->commands++;
	p->cmd = cmd;
	STAILQ_INSERT_TAIL(&engine->pendings, p, link);
	if (row->session) {
		p->session = engine_session(engine, cmd->from);
		if (p->session == NULL)
			return;
	}
	if (row->judge != NULL)
		row->judge(engine, p);
}

/* What was gathered for the room may not be believed: it is loaded again when it is next needed. */
static void
forget_room(struct engine *engine, struct room *room)
{
	struct pending *p;

	TAILQ_REMOVE(&engine->touched, room, touched_link);
	for (uint32_t i = 0; i < room->turn.stay_count; i++) {
		struct account *account = account_of_member(engine, &room->turn.stays[i].member_id);

		if (account != NULL) {
			account_forget_rooms(engine, account);
			account_touch(engine, account);
		}
	}
	STAILQ_FOREACH (p, &engine->pendings, link) {
		if (p->room == room) {
			p->room = NULL;
			pending_unknown(p);
		}
	}
	room_turn_reset(&room->turn);
	room_forget(engine, room);
}

static void
take_commit(struct engine *engine)
{
	struct room *room, *next;

	if (engine->cautious && store_batch_count(engine->batch) > 0) {
		engine->cautious = false;
		audit_commit_works_again();
	}
	TAILQ_FOREACH_SAFE (room, &engine->touched, touched_link, next) {
		/* There is one engine, so nobody else can have been first; if somebody was, the room is to be
		 * looked at again. */
		if (room->turn.op->result.outcome == STORE_STORED)
			room_announce(engine, room);
		else
			forget_room(engine, room);
	}
}

static void
take_failure(struct engine *engine, enum chat_err err)
{
	struct room *room;

	audit_commit_failed(err, store_error(engine->store));
	engine->failed_commits++;
	engine->cautious = true;
	while ((room = TAILQ_FIRST(&engine->touched)) != NULL)
		forget_room(engine, room);
}

static void
finish(struct engine *engine, struct pending *p, bool failed)
{
	const struct command_row *row = &command_table[p->cmd->type];

	if (row->session) {
		if (p->session == NULL)
			return;
		/* Looked up again: an earlier command of the turn may have ended it. */
		p->session = engine_session(engine, p->cmd->from);
		if (p->session == NULL)
			return;
	}
	/* Whatever was said of it before: what it was compared with is not there. */
	if (failed && row->failed != NULL) {
		row->failed(engine, p);
		return;
	}
	if (failed && row->judge != NULL)
		pending_unknown(p);
	if (p->err == CHAT_OK)
		row->finish(engine, p);
	else if (p->cmd->request_id != 0)
		engine_out_error(engine, p);
}

static void
end_turn(struct engine *engine)
{
	struct pending *p;
	struct room *room;

	while ((room = TAILQ_FIRST(&engine->touched)) != NULL) {
		TAILQ_REMOVE(&engine->touched, room, touched_link);
		room_turn_reset(&room->turn);
		room_note_idle(engine, room);
	}
	while ((p = STAILQ_FIRST(&engine->pendings)) != NULL) {
		STAILQ_REMOVE_HEAD(&engine->pendings, link);
		pending_free(engine, p);
	}
	store_batch_reset(engine->batch);
	rooms_evict_idle(engine);
	accounts_evict_idle(engine);
}

struct outcome *
engine_turn_commit(struct engine *engine)
{
	struct pending *p;
	struct outcome *list;
	struct room *room;
	enum chat_err err;

	TAILQ_FOREACH (room, &engine->touched, touched_link)
		room_turn_close(room);
	err = store_commit(engine->store, engine->batch);
	if (err == CHAT_OK)
		take_commit(engine);
	else
		take_failure(engine, err);
	STAILQ_FOREACH (p, &engine->pendings, link)
		finish(engine, p, err != CHAT_OK);
	end_turn(engine);
	engine_close_lost(engine);

	list = engine->out_first;
	engine->out_first = NULL;
	engine->out_last = &engine->out_first;
	return list;
}

bool
engine_is_cautious(const struct engine *engine)
{
	return engine->cautious;
}

uint64_t
engine_next_deadline_ms(const struct engine *engine)
{
	const struct room *room = TAILQ_FIRST(&engine->leased_rooms);
	/* Leases are all equally long, so the first one given ends first. */
	const uint64_t deadlines[] = {engine->retire_at_ms, cursors_due_ms(engine), retention_due_ms(engine),
	    room != NULL ? room->lease_until_ms : NEVER_MS,
	    engine->lost_count > 0 ? engine->now.mono_ms + LOST_RETRY_MS : NEVER_MS};
	uint64_t deadline = NEVER_MS;

	for (size_t i = 0; i < ARRAY_LEN(deadlines); i++)
		if (deadlines[i] < deadline)
			deadline = deadlines[i];
	return deadline;
}

void
engine_write_out(struct engine *engine)
{
	cursors_hurry(engine, NULL);
	retention_stop(engine);
}
