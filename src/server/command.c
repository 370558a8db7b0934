/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/command.h"

#include <stdlib.h>

#include "accounts/passwd_file.h"

struct command *
command_new(enum command_type type, struct conn_ref from, uint64_t request_id, size_t body_len)
{
	struct command *cmd = calloc(1, sizeof *cmd);

	if (cmd == NULL)
		return NULL;
	if (body_len > 0) {
		cmd->body = malloc(body_len);
		if (cmd->body == NULL) {
			free(cmd);
			return NULL;
		}
	}
	cmd->type = type;
	cmd->from = from;
	cmd->request_id = request_id;
	cmd->body_len = body_len;
	cmd->mail.bytes = (uint32_t)(sizeof *cmd + body_len);
	return cmd;
}

void
wrap_set_free_list(struct wrap_set *set)
{
	while (set != NULL) {
		struct wrap_set *next = set->next;

		free(set->wraps);
		free(set);
		set = next;
	}
}

void
command_free(struct command *cmd)
{
	if (cmd == NULL)
		return;
	if (cmd->type == CMD_ACCOUNTS)
		passwd_table_unref(cmd->accounts.table);
	if (cmd->type == CMD_POST_EVENTS)
		wrap_set_free_list(cmd->events.staged);
	free(cmd->body);
	free(cmd);
}
