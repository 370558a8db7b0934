/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/daemon_impl.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "server/notify.h"

static enum chat_err
load(struct daemon *daemon, struct config **ret_config, struct passwd_why *ret_why)
{
	struct config *config = NULL;
	enum chat_err err = config_load(daemon->args, daemon->config, &config, ret_why);

	if (err != CHAT_OK)
		return err;
	/* Opened anew also where its name is the same: it may have been rotated. */
	if (log_open(config->log_file) != CHAT_OK) {
		err = passwd_why_set(ret_why, CHAT_ERR_IO, config->log_file, 0,
		    "the log cannot be opened: %s; mend its mode, or change log_file", strerror(errno));
		config_unref(config);
		return err;
	}
	*ret_config = config;
	return CHAT_OK;
}

/* What a person wants to hear, without a newline; also the NUL. */
static enum chat_err
describe(const struct config *old, const struct config *new, struct buf *text, struct buf *changed)
{
	enum chat_err err = config_changes(old, new, changed);

	if (err == CHAT_OK)
		err = buf_append(changed, "", 1);
	if (err == CHAT_OK)
		err = buf_printf(
		    text, changed->len > 1 ? "changed: %s" : "nothing changed", (const char *)changed->data);
	if (err == CHAT_OK && new->waiting[0] != '\0')
		err = buf_printf(text, "; waiting for a restart: %s", new->waiting);
	return err == CHAT_OK ? buf_append(text, "\n", 1) : err;
}

static void
take(struct daemon *daemon, struct config *config)
{
	config_unref(daemon->config);
	daemon->config = config;
	log_set_level((enum log_level)config->options.log_level);
	listener_set_limits(
	    daemon->listener, (uint32_t)config->options.connections_per_address, daemon->connections_max);
	server_reload(daemon->server, config->limits);
	server_look_at_passwords(daemon->server);
}

enum chat_err
daemon_reload(struct daemon *daemon, struct buf *text)
{
	struct buf changed = {.len = 0};
	struct config *config = NULL;
	struct passwd_why why;
	enum chat_err err;

	notify_reloading();
	err = load(daemon, &config, &why);
	if (err == CHAT_OK) {
		err = describe(daemon->config, config, text, &changed);
		if (err != CHAT_OK)
			(void)passwd_why_set(&why, err, NULL, 0, "out of memory");
	}
	if (err == CHAT_OK) {
		take(daemon, config);
		log_event(LOG_INFO, "reloaded", LOG_STR("changed", (const char *)changed.data),
		    LOG_STR("waiting_for_restart", config->waiting));
		config = NULL;
	} else {
		log_event(LOG_ERROR, "reload_refused", LOG_STR("reason", why.text));
		buf_clear(text);
		/* Without memory for the reason there is none. */
		(void)!buf_append_str(text, why.text);
	}
	notify_ready(err == CHAT_OK ? "Reloaded" : "Reload refused, the old configuration is in force");
	config_unref(config);
	buf_fini(&changed);
	return err;
}

void
daemon_reopen_log(struct daemon *daemon)
{
	if (log_open(daemon->config->log_file) != CHAT_OK)
		log_event(LOG_ERROR, "log_not_reopened", LOG_STR("reason", strerror(errno)));
	else
		log_event(LOG_INFO, "log_reopened", LOG_STR("file", daemon->config->log_file));
}
