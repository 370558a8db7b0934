/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/limits.h"
#include "tls/tls.h"

enum chat_err
chat_config_new(struct chat_config **ret)
{
	struct chat_config *config = calloc(1, sizeof(*config));

	if (!config)
		return CHAT_ERR_NOMEM;
	config->event_limit = EVENT_LIMIT_DEFAULT;
	*ret = config;
	return CHAT_OK;
}

void
chat_config_free(struct chat_config *config)
{
	if (!config)
		return;
	free(config->data_dir);
	free(config->software);
	free(config);
}

enum chat_err
chat_config_set_account(struct chat_config *config, const char *account)
{
	enum chat_err err;

	if (!account)
		return CHAT_ERR_INVALID;
	err = account_name_set(BYTES_STR(account), &config->account);
	if (!err)
		config->has_account = true;
	return err;
}

enum chat_err
chat_config_set_server(struct chat_config *config, const char *host, const char *port)
{
	enum chat_err err = server_name_set(host, port, &config->server);

	if (!err)
		config->has_server = true;
	return err;
}

static enum chat_err
replace(char **where, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return CHAT_ERR_NOMEM;
	free(*where);
	*where = copy;
	return CHAT_OK;
}

enum chat_err
chat_config_set_data_dir(struct chat_config *config, const char *dir)
{
	if (!dir || !*dir)
		return CHAT_ERR_INVALID;
	return replace(&config->data_dir, dir);
}

enum chat_err
chat_config_set_software(struct chat_config *config, const char *software)
{
	if (!software || !*software || strlen(software) > SOFTWARE_MAX_BYTES ||
	    !utf8_valid(BYTES_STR(software)))
		return CHAT_ERR_INVALID;
	return replace(&config->software, software);
}

enum chat_err
chat_config_set_fingerprint(struct chat_config *config, const char *hex)
{
	struct digest fingerprint;

	if (!hex || !tls_fingerprint_parse(hex, &fingerprint))
		return CHAT_ERR_INVALID;
	config->fingerprint = fingerprint;
	config->has_fingerprint = true;
	return CHAT_OK;
}

void
chat_config_set_accept_new(struct chat_config *config, bool accept)
{
	config->accept_new = accept;
}

enum chat_err
chat_config_set_event_limit(struct chat_config *config, size_t limit)
{
	if (limit < EVENT_LIMIT_MIN || limit > EVENT_LIMIT_MAX)
		return CHAT_ERR_INVALID;
	config->event_limit = limit;
	return CHAT_OK;
}

void
chat_config_set_reconnect(struct chat_config *config, bool reconnect)
{
	config->no_reconnect = !reconnect;
}
