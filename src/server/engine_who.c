/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who is online: asked, not pushed.  The list is kept in order, so that an answer costs what is in it and not
 * what there is; a login moves what stands behind its place, 80 KB for 10,000 accounts.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

/* About 60 microseconds of the engine, which is what the request is said to cost (requests_cost()). */
#define WHO_PAGE 250

/* Where the first stands whose name is behind this one, or (after = false) is this one or behind it. */
static uint32_t
find_place(const struct engine *engine, const char *name, bool after)
{
	uint32_t low = 0, high = engine->online_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = strcmp(engine->online[mid]->name.s, name);

		if (order < 0 || (after && order == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool
who_reserve(struct engine *engine)
{
	uint32_t cap = engine->online_cap == 0 ? 64 : engine->online_cap * 2;
	struct account **online;

	if (engine->online_count < engine->online_cap)
		return true;
	online = reallocarray(engine->online, cap, sizeof(struct account *));
	if (online == NULL)
		return false;
	engine->online = online;
	engine->online_cap = cap;
	return true;
}

void
who_add(struct engine *engine, struct account *account)
{
	uint32_t at = find_place(engine, account->name.s, false);

	assert(engine->online_count < engine->online_cap);
	memmove(engine->online + at + 1, engine->online + at,
	    (engine->online_count - at) * sizeof(struct account *));
	engine->online[at] = account;
	engine->online_count++;
}

void
who_remove(struct engine *engine, struct account *account)
{
	uint32_t at = find_place(engine, account->name.s, false);

	assert(at < engine->online_count && engine->online[at] == account);
	engine->online_count--;
	memmove(engine->online + at, engine->online + at + 1,
	    (engine->online_count - at) * sizeof(struct account *));
}

void
finish_who(struct engine *engine, struct pending *p)
{
	Chat__V1__WhoOnline answer = CHAT__V1__WHO_ONLINE__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__OnlineAccount *items, **list;
	struct account_name after = {0};
	uint32_t first, count;

	if (p->cmd->page.after.len > 0 && account_name_set(p->cmd->page.after, &after) != CHAT_OK) {
		engine_refuse(engine, p, CHAT_ERR_MALFORMED, "`after` is no account name");
		return;
	}
	first = find_place(engine, after.s, true);
	count = engine->online_count - first;
	answer.more = count > WHO_PAGE;
	if (answer.more)
		count = WHO_PAGE;
	items = calloc(count + 1, sizeof *items);
	list = calloc(count + 1, sizeof(Chat__V1__OnlineAccount *));
	if (items == NULL || list == NULL) {
		engine_refuse(engine, p, CHAT_ERR_NOMEM, NULL);
		goto out;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct account *account = engine->online[first + i];

		chat__v1__online_account__init(&items[i]);
		items[i].account = account->name.s;
		items[i].sessions = account->session_count;
		items[i].since_unix_ms = TAILQ_FIRST(&account->sessions)->since_unix_ms;
		items[i].member_id.data = account->member_id.b;
		items[i].member_id.len = DIGEST_BYTES;
		list[i] = &items[i];
	}
	answer.account = list;
	answer.n_account = count;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WHO_ONLINE;
	frame.who_online = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
out:
	free(items);
	free(list);
}
