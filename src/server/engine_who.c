/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is online: asked, not pushed. */

#include <stdlib.h>
#include <string.h>

#include "server/engine_impl.h"

/* So many fit a frame whatever the names. */
#define WHO_PAGE 1000

static int
compare_names(const void *a, const void *b)
{
	const struct account *x = *(struct account *const *)a, *y = *(struct account *const *)b;

	return strcmp(x->name.s, y->name.s);
}

void
finish_who(struct engine *engine, struct pending *p)
{
	Chat__V1__WhoOnline answer = CHAT__V1__WHO_ONLINE__INIT;
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__OnlineAccount *items = NULL, **list = NULL;
	struct account **online = NULL, *account;
	struct account_name after = {0};
	size_t count = 0, at = 0, page;

	if (p->cmd->page.after.len > 0 && account_name_set(p->cmd->page.after, &after) != CHAT_OK) {
		pending_refuse(p, CHAT_ERR_MALFORMED, "`after` is no account name", NULL);
		engine_out_error(engine, p);
		return;
	}
	online = calloc(engine->accounts.count + 1, sizeof(struct account *));
	if (online == NULL)
		goto out;
	while ((account = map_next(&engine->accounts, &at)) != NULL)
		if (account->session_count > 0 && strcmp(account->name.s, after.s) > 0)
			online[count++] = account;
	qsort(online, count, sizeof(struct account *), compare_names);
	page = count < WHO_PAGE ? count : WHO_PAGE;
	items = calloc(page + 1, sizeof *items);
	list = calloc(page + 1, sizeof(Chat__V1__OnlineAccount *));
	if (items == NULL || list == NULL)
		goto out;
	for (size_t i = 0; i < page; i++) {
		chat__v1__online_account__init(&items[i]);
		items[i].account = online[i]->name.s;
		items[i].sessions = online[i]->session_count;
		items[i].since_unix_ms = TAILQ_FIRST(&online[i]->sessions)->since_unix_ms;
		items[i].member_id.data = online[i]->member_id.b;
		items[i].member_id.len = DIGEST_BYTES;
		list[i] = &items[i];
	}
	answer.account = list;
	answer.n_account = page;
	answer.more = count > page;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_WHO_ONLINE;
	frame.who_online = &answer;
	engine_out_frame(engine, p->cmd->from, &frame, p->cmd->request_id);
out:
	free(online);
	free(items);
	free(list);
}
