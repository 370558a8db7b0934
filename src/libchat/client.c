/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A client's birth and death; between them it belongs to its thread (client_loop.c). */

#include "libchat/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libchat/storage_sqlite.h"
#include "libchat/text.h"
#include "libchat/thread.h"
#include "tls/tls_pins.h"

#define SOFTWARE_DEFAULT "libchat " PACKAGE_VERSION

const struct client_tuning client_tuning_default = {
    .timing = {.resolve_ms = 20000, .connect_ms = 15000, .stagger_ms = 250, .handshake_ms = 10000},
    .calls = {getaddrinfo, freeaddrinfo},
    .random = {NULL, NULL},
    .trust_fresh_ms = 3000, /* the server waits 10 s for a hello */
    .goodbye_ms = 1000,
    .silence_ms = 20000,
};

static enum chat_err
copy_config(const struct chat_config *from, struct chat_config *ret)
{
	struct chat_config config = *from;

	config.data_dir = from->data_dir ? strdup(from->data_dir) : NULL;
	config.software = strdup(from->software ? from->software : SOFTWARE_DEFAULT);
	if (!config.software || (from->data_dir && !config.data_dir)) {
		free(config.data_dir);
		free(config.software);
		return CHAT_ERR_NOMEM;
	}
	*ret = config;
	return CHAT_OK;
}

/* Also of one that is half made. */
static void
client_destroy(struct chat_client *c)
{
	struct chat_event *event;

	worker_pool_fini(&c->workers);
	connector_free(c->connector);
	session_free(c->session);
	storage_sqlite_close(c->storage);
	while ((event = STAILQ_FIRST(&c->own))) {
		STAILQ_REMOVE_HEAD(&c->own, link);
		event_free(event);
	}
	event_free(c->failed_event);
	view_slot_fini(&c->view);
	event_box_fini(&c->box);
	request_queue_fini(&c->requests);
	data_dir_fini(&c->dir);
	free(c->config.data_dir);
	free(c->config.software);
	if (c->wake_fd >= 0)
		(void)close(c->wake_fd);
	freezero(c, sizeof(*c));
}

/* What needs no disk.  Everything is as client_destroy() wants it, whatever this returns. */
static enum chat_err
init_parts(struct chat_client *c, const struct chat_config *config, const struct client_tuning *tuning)
{
	enum chat_err err;

	c->tuning = *tuning;
	c->line.fd = -1;
	c->view_dirty = true;
	c->wake_fd = wake_fd_new();
	STAILQ_INIT(&c->own);
	atomic_init(&c->started, false);
	request_queue_init(&c->requests, c->wake_fd);
	view_slot_init(&c->view);
	worker_pool_init(&c->workers, c->wake_fd);
	backoff_init(&c->backoff, tuning->random.fill ? &tuning->random : &random_kernel);
	client_change_state(c, CLIENT_PAUSING, 0);
	server_name_show(&config->server, c->server_shown);
	c->readahead = (struct tls_readahead){.data = c->readahead_data, .cap = sizeof(c->readahead_data)};
	c->failed_event = event_new(CHAT_EVENT_FAILED);
	err = event_box_init(&c->box, config->event_limit, c->wake_fd);
	if (!err)
		err = copy_config(config, &c->config);
	return err || c->wake_fd < 0 || !c->failed_event ? CHAT_ERR_NOMEM : CHAT_OK;
}

static enum chat_err
open_session(struct chat_client *c, char **ret_text)
{
	struct session_config session = {
	    .account = c->config.account, .software = c->config.software, .random = random_kernel};
	enum chat_err err;

	err = data_dir_open(
	    c->config.data_dir, DATA_DIR_MAKE, &c->config.server, &c->config.account, &c->dir, ret_text);
	if (!err)
		err = storage_sqlite_open(c->dir.account, STORAGE_SLOT, &c->storage, ret_text);
	if (err)
		return err;
	session.storage = c->storage;
	err = session_new(&session, &c->session);
	if (err) {
		const char *line = storage_sqlite_error(c->storage);

		text_set(ret_text, "%s", *line ? line : chat_strerror(err));
		return err;
	}
	c->has_peer =
	    tls_pins_get(c->dir.pins, c->config.server.host, c->config.server.port, &c->peer) == CHAT_OK;
	return CHAT_OK;
}

enum chat_err
client_new(const struct chat_config *config, const struct client_tuning *tuning, struct chat_client **ret,
    char **ret_text)
{
	struct chat_client *c = NULL;
	struct connect_config connect;
	enum chat_err err;

	if (!config->has_account || !config->has_server)
		return CHAT_ERR_INVALID;
	c = calloc(1, sizeof(*c));
	if (!c)
		return CHAT_ERR_NOMEM;
	err = init_parts(c, config, tuning);
	if (!err)
		err = open_session(c, ret_text);
	if (err)
		goto out;
	connect = (struct connect_config){
	    .server = c->config.server,
	    .pins_path = c->dir.pins,
	    .fingerprint = c->config.has_fingerprint ? &c->config.fingerprint : NULL,
	    .accept_new = c->config.accept_new,
	    .timing = tuning->timing,
	    .calls = tuning->calls,
	    .readahead = &c->readahead,
	};
	err = connector_new(&connect, &c->connector);
	if (err)
		goto out;
	/* Before the first turn there is a view already: queries never find none. */
	c->stale.all = true;
	client_publish(c);
	if (!c->view.view)
		err = CHAT_ERR_NOMEM;
out:
	if (err)
		client_destroy(c);
	else
		*ret = c;
	return err;
}

enum chat_err
chat_client_new(const struct chat_config *config, struct chat_client **ret, char **ret_text)
{
	char *text = NULL;
	enum chat_err err = client_new(config, &client_tuning_default, ret, &text);

	if (err == CHAT_ERR_INVALID && !text)
		text_set(&text, "no account or no server was named");
	if (ret_text)
		*ret_text = text;
	else
		free(text);
	return err;
}

enum chat_err
chat_client_start(struct chat_client *c)
{
	enum chat_err err;

	if (atomic_exchange(&c->started, true))
		return CHAT_ERR_INVALID;
	err = thread_start(&c->thread, "chat", client_thread, c);
	if (err)
		atomic_store(&c->started, false);
	return err;
}

void
chat_client_free(struct chat_client *c)
{
	if (!c)
		return;
	if (atomic_load(&c->started)) {
		request_queue_stop(&c->requests);
		(void)pthread_join(c->thread, NULL);
	}
	client_destroy(c);
}
