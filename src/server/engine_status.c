/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `chatctl status`, `sessions` and `rooms` show of the engine.  Each walk is bounded: it is a turn. */

#include <inttypes.h>

#include "server/engine_impl.h"

/* At 2 microseconds a room the longest listing is a turn of 20 ms. */
#define ROOMS_LISTED_MAX 10000

static enum chat_err
summary(struct engine *engine, struct buf *text)
{
	struct store_status store = {0};
	enum chat_err err = store_status(engine->store, &store);

	if (err != CHAT_OK)
		return err;
	err = buf_printf(text,
	    "uptime_s=%" PRIu64 "\nsessions=%" PRIu32 "\nrooms=%" PRIu64
	    "\nrooms_in_memory=%zu\naccounts_in_memory=%zu\n"
	    "entries=%" PRIu64 "\nentries_since_start=%" PRIu64 "\nturns=%" PRIu64 "\ncommands=%" PRIu64
	    "\ndatabase_bytes=%" PRIu64 "\nfree_bytes=%" PRIu64 "\nwal_bytes=%" PRIu64
	    "\nfailed_commits=%" PRIu64 "\nstore=%s\n",
	    (engine->now.mono_ms - engine->started_mono_ms) / 1000, engine->session_count, store.rooms,
	    engine->rooms.count, engine->accounts.count, store.entries, engine->entries, engine->turns,
	    engine->commands, store.database_bytes, store.free_bytes, store.wal_bytes, engine->failed_commits,
	    store.failing ? store_error(engine->store) : "ok");
	return err == CHAT_OK ? retention_append(engine, text) : err;
}

static enum chat_err
list_sessions(struct engine *engine, struct buf *text)
{
	const struct session *session;

	for (uint32_t i = 0; i < engine->online_count; i++) {
		const struct account *account = engine->online[i];

		TAILQ_FOREACH (session, &account->sessions, account_link) {
			uint64_t now = engine->now.unix_ms, since = session->since_unix_ms;
			enum chat_err err;

			err = buf_printf(text,
			    "account=%.*s addr=%s since_s=%" PRIu64 " following=%" PRIu32 "\n",
			    (int)account->name.len, account->name.s, session->addr,
			    now > since ? (now - since) / 1000 : 0, session->subscriber_count);
			if (err != CHAT_OK)
				return err;
		}
	}
	return CHAT_OK;
}

struct room_listing {
	struct engine *engine;
	struct buf *text;
	uint64_t listed;
	enum chat_err err;
};

static bool
list_room(void *ctx, const struct store_room *stored)
{
	struct room_listing *listing = ctx;
	const struct room *room = map_get(&listing->engine->rooms, digest_bytes(&stored->room_id));
	char hex[DIGEST_HEX_CHARS + 1];

	if (listing->listed == ROOMS_LISTED_MAX)
		return false;
	listing->listed++;
	digest_hex(&stored->room_id, hex);
	listing->err =
	    buf_printf(listing->text, "room=%s entries=%" PRIu64 " whole_from=%" PRIu64 " sessions=%" PRIu32,
		hex, stored->head.seq, stored->oldest_whole_seq, room != NULL ? room->subscriber_count : 0);
	/* Of a room that nobody has used for a while only the store knows, and it knows no members. */
	if (listing->err == CHAT_OK && room != NULL && room->roster != NULL) {
		const struct roster_state *state = roster_state(room->roster);

		listing->err = buf_printf(listing->text,
		    " joined=%" PRIu32 " invited=%" PRIu32 " epoch=%" PRIu64 " kind=%s", state->joined_count,
		    state->reader_count - state->joined_count, state->epoch,
		    state->kind == ROOM_DIRECT ? "direct" : "group");
		if (listing->err == CHAT_OK && (state->keep_days > 0 || state->keep_entries > 0))
			listing->err =
			    buf_printf(listing->text, " keep_days=%" PRIu32 " keep_entries=%" PRIu64,
				state->keep_days, state->keep_entries);
	}
	if (listing->err == CHAT_OK)
		listing->err = buf_append_str(listing->text, "\n");
	return listing->err == CHAT_OK;
}

static enum chat_err
list_rooms(struct engine *engine, struct buf *text)
{
	struct room_listing listing = {.engine = engine, .text = text};
	struct store_status store = {0};
	enum chat_err err = store_rooms_each(engine->store, 0, list_room, &listing);

	if (err == CHAT_OK)
		err = listing.err;
	if (err != CHAT_OK || listing.listed < ROOMS_LISTED_MAX)
		return err;
	err = store_status(engine->store, &store);
	if (err == CHAT_OK && store.rooms > listing.listed)
		err = buf_printf(text, "not_listed=%" PRIu64 "\n", store.rooms - listing.listed);
	return err;
}

void
finish_status(struct engine *engine, struct pending *p)
{
	struct outcome *out = engine_out(engine, OUT_STATUS, p->cmd->from, p->cmd->request_id);
	enum chat_err err = CHAT_OK;

	if (out == NULL)
		return;
	out->status.token = p->cmd->status.token;
	out->status.what = p->cmd->status.what;
	switch (out->status.what) {
	case STATUS_SUMMARY:
		err = summary(engine, &out->status.text);
		break;
	case STATUS_SESSIONS:
		err = list_sessions(engine, &out->status.text);
		break;
	case STATUS_ROOMS:
		err = list_rooms(engine, &out->status.text);
		break;
	}
	out->status.err = err;
	if (err != CHAT_OK)
		buf_clear(&out->status.text);
}
