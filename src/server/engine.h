/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

/*
 * The engine: the only writer.  It takes commands, checks each against its memory (a cache of the store),
 * gathers their effects into one store batch, commits it, and only then says what came of each command and
 * what everybody else is to be told.  It knows no sockets, no threads, no clocks: `now` comes in, outcomes go
 * out.
 *
 * A turn:
 *     engine_turn_begin(engine, now);
 *     engine_apply(engine, command) ...      takes the command over
 *     engine_turn_commit(engine) -> outcomes the caller delivers them in order, then outcome_list_free()
 *
 * What it is not: it parses no frames and verifies no signatures (loops did, and say so in the command),
 * reads no history (readers do, with the view that the engine hands them), and encodes only what is encoded
 * once for many.
 *
 * Requests on rooms look only among the rooms of the session's own member: a room that does not exist and a
 * room that is not the asker's are one path and one answer, CHAT_ERR_NO_ROOM.
 *
 * Threads: one, whichever calls; engine_thread.c in the server, the test itself in tests.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "server/command.h"
#include "server/outcome.h"

struct store;

struct engine_config {
	uint16_t loop_count;
	uint32_t slots_per_loop;
	uint32_t sessions_per_account;
	uint32_t rooms_per_account;
	uint32_t room_readers_max;
	uint32_t history_days;
	uint64_t history_entries;
};

struct engine;

/* The store is borrowed and must outlive the engine. */
enum chat_err
engine_new(const struct engine_config *config, struct store *store, struct engine **ret) MUST_USE;
void engine_free(struct engine *engine);
/* Takes new limits at a reload. */
void engine_reconfigure(struct engine *engine, const struct engine_config *config);

void engine_turn_begin(struct engine *engine, struct now now);
/* Takes cmd over.  Its effects and answers come with the commit. */
void engine_apply(struct engine *engine, struct command *cmd);
/* Commits and gives the turn's outcomes, a list that the caller owns; NULL if there are none. */
struct outcome *engine_turn_commit(struct engine *engine);

/* After a failed commit turns are of one command until one succeeds. */
bool engine_is_cautious(const struct engine *engine);
/* When to send the next CMD_TICK; NEVER_MS if nothing waits. */
uint64_t engine_next_deadline_ms(const struct engine *engine);
/* Between turns, when the outcomes are on their way: what nobody waits for. */
void engine_upkeep(struct engine *engine);
/* Before the end: what is written lazily is due now.  The caller sends CMD_TICK until the deadline is in the
 * future. */
void engine_write_out(struct engine *engine);

#endif
