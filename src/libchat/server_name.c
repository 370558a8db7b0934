/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/server_name.h"

#include <stdio.h>
#include <string.h>

#include <chat/chat.h>

/* ASCII only, whatever the locale says. */
static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static enum chat_err
port_parse(const char *port, uint16_t *ret)
{
	uint32_t v = 0;

	for (const char *p = port; *p; p++) {
		if (*p < '0' || *p > '9' || v > UINT16_MAX)
			return CHAT_ERR_INVALID;
		v = v * 10 + (uint32_t)(*p - '0');
	}
	if (v == 0 || v > UINT16_MAX)
		return CHAT_ERR_INVALID;
	*ret = (uint16_t)v;
	return CHAT_OK;
}

enum chat_err
server_name_set(const char *host, const char *port, struct server_name *ret)
{
	struct server_name name = {.port = CHAT_DEFAULT_PORT};
	size_t len = host ? strlen(host) : 0;

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
		if (!memchr(host, ':', len))
			return CHAT_ERR_INVALID;
	}
	if (len == 0 || len >= sizeof(name.host) || host[0] == '.' || host[0] == '-')
		return CHAT_ERR_INVALID;
	for (size_t i = 0; i < len; i++) {
		char c = host[i];

		if (!is_alnum(c) && !strchr(".-_:%", c))
			return CHAT_ERR_INVALID;
		name.host[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	if (port && *port && port_parse(port, &name.port) != CHAT_OK)
		return CHAT_ERR_INVALID;
	*ret = name;
	return CHAT_OK;
}

bool
server_name_equal(const struct server_name *a, const struct server_name *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

void
server_name_port(const struct server_name *name, char ret[static SERVER_PORT_CHARS])
{
	(void)snprintf(ret, SERVER_PORT_CHARS, "%u", name->port);
}

void
server_name_show(const struct server_name *name, char ret[static SERVER_NAME_CHARS])
{
	bool v6 = strchr(name->host, ':') != NULL;

	(void)snprintf(
	    ret, SERVER_NAME_CHARS, "%s%s%s:%u", v6 ? "[" : "", name->host, v6 ? "]" : "", name->port);
}
