/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Cards of others: asking for one, and waiting for the first where there is none yet. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

void
push_card(struct engine *engine, struct conn_ref to, struct account *account)
{
	Chat__V1__CardPublished push = CHAT__V1__CARD_PUBLISHED__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;

	push.account = account->name.s;
	push.card.data = (uint8_t *)(uintptr_t)account->card.data;
	push.card.len = account->card.len;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_CARD_PUBLISHED;
	frame.card_published = &push;
	engine_out_frame(engine, to, &frame, 0);
}

/* ---- waiting ---- */

static void
watch_free(struct engine *engine, struct watch *watch)
{
	struct watched *watched = watch->watched;

	LIST_REMOVE(watch, session_link);
	LIST_REMOVE(watch, watched_link);
	watch->session->watch_count--;
	free(watch);
	if (LIST_EMPTY(&watched->watches)) {
		map_remove(&engine->watched, account_bytes(&watched->name));
		free(watched);
	}
}

void
session_end_watches(struct engine *engine, struct session *session)
{
	while (!LIST_EMPTY(&session->watches))
		watch_free(engine, LIST_FIRST(&session->watches));
}

void
watches_end(struct engine *engine, struct account *account)
{
	struct watched *watched = map_get(&engine->watched, account_bytes(&account->name));
	struct watch *watch, *next;

	if (watched == NULL)
		return;
	/* The last one takes `watched` along. */
	for (watch = LIST_FIRST(&watched->watches); watch != NULL; watch = next) {
		next = LIST_NEXT(watch, watched_link);
		push_card(engine, watch->session->conn, account);
		watch_free(engine, watch);
	}
}

/* NULL: out of memory. */
static struct watched *
get_watched(struct engine *engine, struct bytes name)
{
	struct watched *watched = map_get(&engine->watched, name);

	if (watched != NULL)
		return watched;
	watched = calloc(1, sizeof *watched);
	if (watched == NULL)
		return NULL;
	LIST_INIT(&watched->watches);
	if (account_name_set(name, &watched->name) != CHAT_OK ||
	    map_put(&engine->watched, account_bytes(&watched->name), watched) != CHAT_OK) {
		free(watched);
		return NULL;
	}
	return watched;
}

/* A full list of watches is no error: the client asks again when it next needs the card. */
static void
add_watch(struct engine *engine, struct session *session, struct bytes name)
{
	struct watched *watched;
	struct watch *watch;

	LIST_FOREACH (watch, &session->watches, session_link)
		if (bytes_equal(account_bytes(&watch->watched->name), name))
			return;
	if (session->watch_count >= WATCHES_PER_CONN)
		return;
	watch = calloc(1, sizeof *watch);
	watched = watch != NULL ? get_watched(engine, name) : NULL;
	if (watched == NULL) {
		free(watch);
		return;
	}
	watch->session = session;
	watch->watched = watched;
	LIST_INSERT_HEAD(&session->watches, watch, session_link);
	LIST_INSERT_HEAD(&watched->watches, watch, watched_link);
	session->watch_count++;
}

/* ---- asking ---- */

void
finish_get_card(struct engine *engine, struct pending *p)
{
	Chat__V1__Card answer = CHAT__V1__CARD__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct bytes name = p->cmd->get_card.account;
	const struct passwd_entry *entry = account_entry_any(engine, name);
	struct account *account;
	enum chat_err err;

	if (entry == NULL) {
		engine_refuse(engine, p, CHAT_ERR_NO_ACCOUNT, NULL);
		return;
	}
	err = account_get_as(engine, name, BYTES_STR(entry->id), &account);
	if (err == CHAT_ERR_NOT_FOUND) {
		if (p->cmd->get_card.watch)
			add_watch(engine, p->session, name);
		engine_refuse(engine, p, CHAT_ERR_NO_IDENTITY, NULL);
		return;
	}
	if (err != CHAT_OK) {
		engine_refuse(engine, p, CHAT_ERR_STORE_UNAVAILABLE, NULL);
		return;
	}
	answer.account = account->name.s;
	answer.card.data = (uint8_t *)(uintptr_t)account->card.data;
	answer.card.len = account->card.len;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_CARD;
	frame.card = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
}
