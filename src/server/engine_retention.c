/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Retention: messages that were kept long enough lose their bytes, of one room after the other, a part in
 * each turn with a CMD_TICK; space that becomes free goes back to the file system between turns.
 *
 * All rooms are walked once an hour, while there is a limit at all.  Those whose limits changed, and those
 * that are well above them, do not wait for that.
 */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "group/event.h"
#include "server/audit.h"
#include "server/engine_impl.h"

#define DAY_MS UINT64_C(86400000)

#define WALK_EVERY_MS  3600000
#define WALK_AGAIN_MS  600000 /* after a failed commit, which disturbs all who are in it */
#define RETRY_MS       60000  /* the next step after a failure */
#define ROOMS_PER_LOOK 16     /* at up to 0.1 ms each, where there are millions of entries */
/* At 4 microseconds each; and as many more as came in since the step before, so that it is not outrun. */
#define STRIP_ENTRIES     256
#define STRIP_ENTRIES_MAX 1024
#define STEP_PAUSE_MS     10
/* A room is looked at ahead of time when it has so many entries above its limit, or this part of it. */
#define ABOVE_MIN  64
#define ABOVE_PART 16
/* At 20 microseconds each.  Free pages that are kept are soon used again: 1 MiB, or this part of all. */
#define VACUUM_PAGES    32
#define VACUUM_PAUSE_MS 20
#define FREE_KEPT_BYTES (1024 * 1024)
#define FREE_KEPT_PART  16

#define EVENT_TYPE_AT 1 /* of an event's bytes */

/* ---- limits ---- */

/* What is kept of a room; 0: all. */
struct keep {
	uint32_t days;
	uint64_t entries;
};

/* A room with limits of its own. */
struct room_keep {
	struct digest room_id;
	struct keep keep;
};

static bool
keeps_all(struct keep keep)
{
	return keep.days == 0 && keep.entries == 0;
}

static uint64_t
tighter(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static struct keep
keep_of(const struct engine *engine, struct keep own)
{
	return (struct keep){.days = (uint32_t)tighter(engine->config.history_days, own.days),
	    .entries = tighter(engine->config.history_entries, own.entries)};
}

static struct keep
settings_of(const struct room *room)
{
	const struct roster_state *state = roster_state(room->roster);

	return (struct keep){.days = state->keep_days, .entries = state->keep_entries};
}

static void
note_keep(struct engine *engine, const struct digest *room_id, struct keep keep)
{
	struct retention *r = &engine->retention;
	struct room_keep *known = map_get(&r->keeps, digest_bytes(room_id));

	if (keeps_all(keep)) {
		if (known != NULL)
			map_remove(&r->keeps, digest_bytes(room_id));
		free(known);
		return;
	}
	if (known == NULL) {
		known = calloc(1, sizeof *known);
		if (known != NULL)
			known->room_id = *room_id;
		if (known == NULL || map_put(&r->keeps, digest_bytes(&known->room_id), known) != CHAT_OK) {
			free(known);
			r->known_to = 0; /* they are all read again at the next walk */
			return;
		}
	}
	known->keep = keep;
}

static bool
has_limits(const struct engine *engine)
{
	return engine->config.history_days != 0 || engine->config.history_entries != 0 ||
	       engine->retention.keeps.count > 0;
}

/* ---- what is to be done, and when ---- */

static bool
any_room(void *ctx, const struct store_room *room)
{
	(void)room;
	*(bool *)ctx = true;
	return false;
}

void
retention_init(struct engine *engine)
{
	struct retention *r = &engine->retention;
	bool any = false;

	TAILQ_INIT(&r->rooms);
	r->vacuum_due_ms = NEVER_MS;
	r->due_ms = NEVER_MS;
	/* What the settings of rooms are is only known after a walk. */
	if (store_rooms_each(engine->store, 0, any_room, &any) != CHAT_OK || any || has_limits(engine)) {
		r->walking = true;
		r->due_ms = 0;
	}
}

void
retention_fini(struct engine *engine)
{
	struct retention *r = &engine->retention;
	struct room_keep *known;
	size_t at = 0;

	while ((known = map_next(&r->keeps, &at)) != NULL)
		free(known);
	map_fini(&r->keeps);
}

uint64_t
retention_due_ms(const struct engine *engine)
{
	const struct retention *r = &engine->retention;

	return r->vacuum_due_ms < r->due_ms ? r->vacuum_due_ms : r->due_ms;
}

static void
step_now(struct engine *engine)
{
	if (engine->retention.due_ms > engine->now.mono_ms)
		engine->retention.due_ms = engine->now.mono_ms;
}

void
retention_reconfigured(struct engine *engine)
{
	struct retention *r = &engine->retention;

	if (!has_limits(engine))
		return;
	r->walking = true;
	r->walk_no = 0;
	step_now(engine);
}

void
retention_stop(struct engine *engine)
{
	engine->retention.due_ms = NEVER_MS;
	engine->retention.vacuum_due_ms = NEVER_MS;
}

void
retention_forget_room(struct engine *engine, struct room *room)
{
	if (!room->strip_due)
		return;
	TAILQ_REMOVE(&engine->retention.rooms, room, strip_link);
	room->strip_due = false;
}

static void
look_soon(struct engine *engine, struct room *room)
{
	if (!room->strip_due) {
		TAILQ_INSERT_TAIL(&engine->retention.rooms, room, strip_link);
		room->strip_due = true;
	}
	if (!engine->retention.waiting)
		step_now(engine);
}

void
retention_note(struct engine *engine, struct room *room)
{
	const struct room_turn *turn = &room->turn;
	struct keep own = settings_of(room), keep = keep_of(engine, own);
	uint64_t whole = roster_state(room->roster)->head.seq + 1 - room->oldest_whole_seq, above;

	for (uint32_t i = 0; i < turn->entry_count; i++) {
		if (turn->entries[i].kind == ENTRY_EVENT &&
		    turn->entries[i].wire.data[EVENT_TYPE_AT] == EVENT_SETTINGS) {
			note_keep(engine, &room->id, own);
			look_soon(engine, room);
			return;
		}
	}
	above = keep.entries / ABOVE_PART > ABOVE_MIN ? keep.entries / ABOVE_PART : ABOVE_MIN;
	if (keep.entries != 0 && whole > keep.entries && whole - keep.entries > above)
		look_soon(engine, room);
}

/* ---- one room ---- */

static void
failed(struct engine *engine, enum chat_err err)
{
	audit_retention_failed(err, store_error(engine->store));
}

/* Entries above their number go first, and then those that are too old. */
static bool
begin_by_age(struct engine *engine)
{
	struct retention *r = &engine->retention;
	uint64_t age_ms = r->days * DAY_MS, seq = 0;
	enum chat_err err;

	r->by_age = true;
	if (r->days == 0 || engine->now.unix_ms <= age_ms)
		return false;
	r->before_ms = engine->now.unix_ms - age_ms;
	err = store_seq_at_time(engine->store, r->room_no, r->before_ms, &seq);
	if (err != CHAT_OK)
		failed(engine, err);
	r->below_seq = seq;
	return err == CHAT_OK && seq > r->whole_from;
}

/* False: nothing of the room is to be removed. */
static bool
begin_room(struct engine *engine, const struct store_room *stored, struct keep keep)
{
	struct retention *r = &engine->retention;

	r->room_id = stored->room_id;
	r->room_no = stored->room_no;
	r->whole_from = stored->oldest_whole_seq;
	r->days = keep.days;
	r->room_removed = 0;
	r->entries_seen = engine->entries;
	r->by_age = false;
	r->before_ms = 0;
	r->below_seq = 0;
	if (keep.entries != 0 && stored->head.seq > keep.entries)
		r->below_seq = stored->head.seq - keep.entries + 1;
	r->busy = r->below_seq > r->whole_from || begin_by_age(engine);
	return r->busy;
}

struct last_settings {
	struct keep keep;
	enum chat_err err;
};

static bool
take_settings(void *ctx, const struct store_entry *entry)
{
	struct last_settings *last = ctx;
	struct event event;

	if (entry->wire.len <= EVENT_TYPE_AT || entry->wire.data[EVENT_TYPE_AT] != EVENT_SETTINGS)
		return true;
	last->err = event_decode(entry->wire, &event);
	if (last->err == CHAT_OK)
		last->keep =
		    (struct keep){.days = event.settings.keep_days, .entries = event.settings.keep_entries};
	return last->err == CHAT_OK;
}

/* What the room's own settings are, where that is not known: by its events, without judging them again. */
static enum chat_err
read_settings(struct engine *engine, const struct store_room *stored)
{
	struct last_settings last = {.err = CHAT_OK};
	enum chat_err err = store_events_each(engine->store, stored->room_no, take_settings, &last);

	if (err == CHAT_OK)
		err = last.err;
	if (err == CHAT_OK)
		note_keep(engine, &stored->room_id, last.keep);
	return err;
}

static bool
look_at_room(struct engine *engine, const struct store_room *stored)
{
	struct retention *r = &engine->retention;
	const struct room *room = map_get(&engine->rooms, digest_bytes(&stored->room_id));
	const struct room_keep *known;
	struct keep own = {0};
	enum chat_err err = CHAT_OK;

	if (stored->room_no > r->known_to) {
		if (room != NULL && room->roster != NULL)
			note_keep(engine, &stored->room_id, settings_of(room));
		else
			err = read_settings(engine, stored);
		if (err != CHAT_OK) {
			failed(engine, err);
			return false;
		}
		r->known_to = stored->room_no;
	}
	known = map_get(&r->keeps, digest_bytes(&stored->room_id));
	if (known != NULL)
		own = known->keep;
	return begin_room(engine, stored, keep_of(engine, own));
}

/* ---- the next room ---- */

/* Those that were noted: their rows say what was committed. */
static bool
look_at_noted(struct engine *engine)
{
	struct room *room;

	for (size_t i = 0; i < ROOMS_PER_LOOK && (room = TAILQ_FIRST(&engine->retention.rooms)) != NULL;
	     i++) {
		struct store_room stored;
		enum chat_err err = store_room_by_id(engine->store, &room->id, &stored);

		retention_forget_room(engine, room);
		if (err != CHAT_OK)
			failed(engine, err);
		else if (room->roster != NULL &&
			 begin_room(engine, &stored, keep_of(engine, settings_of(room))))
			return true;
	}
	return false;
}

struct walk {
	struct store_room rooms[ROOMS_PER_LOOK];
	size_t count;
};

static bool
take_room(void *ctx, const struct store_room *room)
{
	struct walk *walk = ctx;

	walk->rooms[walk->count++] = *room;
	return walk->count < ROOMS_PER_LOOK;
}

/* The next few of the walk. */
static void
look_at_next(struct engine *engine)
{
	struct retention *r = &engine->retention;
	struct walk walk = {.count = 0};
	enum chat_err err = store_rooms_each(engine->store, r->walk_no, take_room, &walk);

	if (err != CHAT_OK) {
		failed(engine, err);
		r->waiting = true;
		return;
	}
	for (size_t i = 0; i < walk.count; i++) {
		r->walk_no = walk.rooms[i].room_no + 1;
		if (look_at_room(engine, &walk.rooms[i]))
			return;
	}
	if (walk.count < ROOMS_PER_LOOK) {
		r->walking = false;
		r->walk_no = 0;
		r->walk_due_ms = engine->now.mono_ms + WALK_EVERY_MS;
	}
}

/* ---- steps ---- */

static void
add_step(struct engine *engine)
{
	struct retention *r = &engine->retention;
	uint64_t came = engine->entries - r->entries_seen;
	struct store_op *op = store_batch_add(engine->batch, STORE_STRIP);

	if (op == NULL)
		return;
	op->strip.room_id = r->room_id;
	op->strip.below_seq = r->below_seq;
	op->strip.before_ms = r->before_ms;
	op->strip.max_entries =
	    STRIP_ENTRIES +
	    (came < STRIP_ENTRIES_MAX - STRIP_ENTRIES ? (uint32_t)came : STRIP_ENTRIES_MAX - STRIP_ENTRIES);
	r->entries_seen = engine->entries;
	r->op = op;
}

/* When the next step is due. */
static void
wait_on(struct engine *engine)
{
	struct retention *r = &engine->retention;
	uint64_t now = engine->now.mono_ms;

	if (r->waiting)
		r->due_ms = now + RETRY_MS;
	else if (r->busy || r->walking || !TAILQ_EMPTY(&r->rooms))
		r->due_ms = now + STEP_PAUSE_MS;
	else
		r->due_ms = has_limits(engine) ? r->walk_due_ms : NEVER_MS;
}

void
retention_judge(struct engine *engine)
{
	struct retention *r = &engine->retention;

	r->op = NULL;
	if (engine->now.mono_ms < r->due_ms)
		return;
	r->waiting = engine->cautious; /* a store that does not work is left alone */
	if (!r->waiting && !r->busy && !look_at_noted(engine)) {
		if (has_limits(engine) && engine->now.mono_ms >= r->walk_due_ms)
			r->walking = true;
		if (r->walking)
			look_at_next(engine);
	}
	if (!r->waiting && r->busy)
		add_step(engine);
	wait_on(engine);
}

static void
take_result(struct engine *engine, const struct store_result *result)
{
	struct retention *r = &engine->retention;
	struct room *room = map_get(&engine->rooms, digest_bytes(&r->room_id));

	if (result->outcome == STORE_STORED) {
		r->whole_from = result->first_seq;
		r->room_removed += result->removed;
		r->removed += result->removed;
		r->freed = true;
		if (room != NULL)
			room->oldest_whole_seq = result->first_seq;
		return;
	}
	if (result->outcome == STORE_ALREADY && !r->by_age && begin_by_age(engine))
		return;
	r->busy = false;
	if (r->room_removed > 0)
		audit_history_removed(&r->room_id, r->room_removed, r->whole_from);
	if (r->freed && r->vacuum_due_ms == NEVER_MS)
		r->vacuum_due_ms = engine->now.mono_ms + VACUUM_PAUSE_MS;
	r->freed = false;
}

void
retention_finish(struct engine *engine)
{
	struct retention *r = &engine->retention;

	if (r->op == NULL)
		return;
	take_result(engine, &r->op->result);
	r->op = NULL;
	wait_on(engine);
}

/* It may be the room's pages that are damaged: others first. */
void
retention_failed(struct engine *engine)
{
	struct retention *r = &engine->retention;

	if (r->op == NULL)
		return;
	r->op = NULL;
	r->busy = false;
	r->waiting = true;
	if (!r->walking)
		r->walk_due_ms = engine->now.mono_ms + WALK_AGAIN_MS;
	wait_on(engine);
}

/* ---- space ---- */

static enum chat_err
vacuum(struct engine *engine)
{
	struct retention *r = &engine->retention;
	struct store_status status = {0};
	uint64_t kept, left_pages;
	enum chat_err err = store_status(engine->store, &status);

	if (err != CHAT_OK)
		return err;
	kept = status.database_bytes / FREE_KEPT_PART;
	if (kept < FREE_KEPT_BYTES)
		kept = FREE_KEPT_BYTES;
	/* Less is not worth the writing. */
	if (!r->vacuuming)
		kept *= 2;
	r->vacuuming = status.free_bytes > kept;
	return r->vacuuming ? store_vacuum_step(engine->store, VACUUM_PAGES, &left_pages) : CHAT_OK;
}

void
engine_upkeep(struct engine *engine)
{
	struct retention *r = &engine->retention;
	uint64_t now = engine->now.mono_ms;
	enum chat_err err;

	if (now < r->vacuum_due_ms)
		return;
	r->vacuum_due_ms = now + RETRY_MS;
	if (engine->cautious)
		return;
	err = vacuum(engine);
	if (err != CHAT_OK)
		failed(engine, err);
	else
		r->vacuum_due_ms = r->vacuuming ? now + VACUUM_PAUSE_MS : NEVER_MS;
}

/* ---- what chatctl shows ---- */

enum chat_err
retention_append(const struct engine *engine, struct buf *text)
{
	const struct retention *r = &engine->retention;
	char hex[DIGEST_HEX_CHARS + 1];
	enum chat_err err;

	err = buf_printf(text,
	    "history_days=%" PRIu32 "\nhistory_entries=%" PRIu64
	    "\nrooms_with_limits=%zu\nmessages_removed=%" PRIu64 "\nretention=",
	    engine->config.history_days, engine->config.history_entries, r->keeps.count, r->removed);
	if (err != CHAT_OK)
		return err;
	if (r->waiting)
		return buf_append_str(text, "waits for the database\n");
	if (r->busy) {
		digest_hex(&r->room_id, hex);
		return buf_printf(text, "room %.16s from %" PRIu64 " to %" PRIu64 "\n", hex, r->whole_from,
		    r->below_seq - 1);
	}
	return buf_append_str(text, r->walking           ? "looks at rooms\n"
				    : has_limits(engine) ? "idle\n"
							 : "off\n");
}
