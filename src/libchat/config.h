/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_CONFIG_H
#define LIBCHAT_CONFIG_H

/*
 * The inside of struct chat_config.  Its setters are in chat.h.
 *
 * Threads: one at a time.
 */

#include <stdbool.h>
#include <stddef.h>

#include <chat/chat.h>

#include "base/digest.h"
#include "group/identity.h"
#include "libchat/server_name.h"

#define EVENT_LIMIT_DEFAULT 1024
#define EVENT_LIMIT_MIN     16
#define EVENT_LIMIT_MAX     1000000

struct chat_config {
	bool has_account, has_server, has_fingerprint;
	struct account_name account;
	struct server_name server;
	struct digest fingerprint;
	char *data_dir; /* owned; NULL: the default */
	char *software; /* owned; NULL: the library's own name */
	bool accept_new, no_reconnect;
	size_t event_limit;
};

#endif
