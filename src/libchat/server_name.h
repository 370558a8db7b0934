/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_SERVER_NAME_H
#define LIBCHAT_SERVER_NAME_H

/*
 * Which server: a host name or address, and a port.  One spelling for one name (lower case, as DNS knows no
 * other; no brackets around an IPv6 address), so that it can name a folder and a pin.
 *
 * What it is not: it resolves nothing.  Two names of one machine are two servers here.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define SERVER_HOST_CHARS 254 /* RFC 1035, 2.3.4: 253, and a NUL */
#define SERVER_PORT_CHARS 6
#define SERVER_NAME_CHARS (SERVER_HOST_CHARS + 2 + 1 + SERVER_PORT_CHARS)

struct server_name {
	char host[SERVER_HOST_CHARS];
	uint16_t port;
};

/*
 * host: letters, digits and . - _ : %, the first not . or -; an IPv6 address may stand in brackets.  port: 1
 * to 65535 in digits; NULL or "": the default.  CHAT_ERR_INVALID, *ret untouched.
 */
enum chat_err server_name_set(const char *host, const char *port, struct server_name *ret) MUST_USE;
bool server_name_equal(const struct server_name *a, const struct server_name *b);
void server_name_port(const struct server_name *name, char ret[static SERVER_PORT_CHARS]);
/* "chat.example:8820", "[::1]:8820": for people, and a folder's name. */
void server_name_show(const struct server_name *name, char ret[static SERVER_NAME_CHARS]);

#endif
