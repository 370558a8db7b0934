/* SPDX-License-Identifier: GPL-3.0-or-later */

/* chat-server --check: the part of start.h about it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/state_dir.h"
#include "group/event.h"
#include "group/loghash.h"
#include "group/seal.h"
#include "server/start.h"
#include "store/store.h"

/* Whether the stored bytes are those whose hash is in the log. */
static bool
entry_good(void *ctx, const struct store_entry *entry)
{
	struct digest hash;

	(void)ctx;
	if (entry->kind == ENTRY_EVENT) {
		struct event event;

		if (event_decode(entry->wire, &event) != CHAT_OK)
			return false;
		hash = log_entry_hash(ENTRY_EVENT, &event.event_hash, event.sig);
	} else {
		struct message message;

		if (message_decode(entry->wire, &message) != CHAT_OK)
			return false;
		hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	}
	return digest_equal(&hash, &entry->entry_hash);
}

/* Prints what was found, a line each, and passes err on with the first of them. */
static enum chat_err
report_faults(enum chat_err err, struct buf *report, const char *path, struct passwd_why *ret_why)
{
	size_t first = 0;

	while (first < report->len && report->data[first] != '\n')
		first++;
	if (err == CHAT_ERR_CORRUPT && report->len > 0)
		(void)printf("%.*s", (int)report->len, (const char *)report->data);
	if (err == CHAT_ERR_CORRUPT)
		return passwd_why_set(ret_why, err, path, 0,
		    "the database is damaged; restore a backup made by chatctl backup");
	return passwd_why_set(ret_why, err, NULL, 0, "%.*s", (int)first, (const char *)report->data);
}

static enum chat_err
check_database(const struct config *config, struct passwd_why *ret_why)
{
	const struct store_options options = {.vfs = NULL};
	const struct store_check_options deep = {.deep = true, .entry_good = entry_good};
	struct buf report = {.len = 0};
	enum chat_err err;
	char *path;

	if (state_dir_file(config->state_dir, STATE_DATABASE, &path) != CHAT_OK)
		return passwd_why_set(ret_why, CHAT_ERR_NOMEM, NULL, 0, "out of memory");
	err = store_check(path, &options, &deep, &report);
	if (err == CHAT_OK) {
		(void)printf("%s: the database is sound\n", path);
	} else if (err == CHAT_ERR_NOT_FOUND) {
		(void)printf("%s: there is no database yet\n", path);
		err = CHAT_OK;
	} else {
		err = report_faults(err, &report, path, ret_why);
	}
	buf_fini(&report);
	free(path);
	return err;
}

enum chat_err
start_check(const struct config *config, struct passwd_why *ret_why)
{
	struct start start = {.lock_fd = -1};
	enum chat_err err = start_lock(config, &start, ret_why);
	bool runs = err == CHAT_ERR_LOCKED;

	if (runs)
		(void)printf("%s: a server runs here, so the database is left to it\n", config->state_dir);
	if (err == CHAT_OK || runs)
		err = start_look(config, &start, ret_why);
	if (err == CHAT_OK)
		(void)printf("%s: %zu account%s\n", config->password_file, start.accounts,
		    start.accounts == 1 ? "" : "s");
	if (err == CHAT_OK && !runs)
		err = check_database(config, ret_why);
	start_fini(&start);
	return err;
}
