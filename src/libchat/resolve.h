/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_RESOLVE_H
#define LIBCHAT_RESOLVE_H

/*
 * The addresses of a host.  getaddrinfo(3) may block for as long as a name server pleases, so it runs on a
 * thread of its own; an address in digits needs none.
 *
 * Threads: one at a time for each lookup.
 */

#include <netdb.h>
#include <stdbool.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "libchat/server_name.h"

struct resolve;

/* As getaddrinfo() and freeaddrinfo(), which they are but for tests. */
struct resolve_calls {
	int (*lookup)(
	    const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
	void (*release)(struct addrinfo *list);
};
extern const struct resolve_calls resolve_system;

/* CHAT_ERR_NOMEM. */
enum chat_err resolve_start(
    const struct server_name *server, const struct resolve_calls *calls, struct resolve **ret) MUST_USE;

/* Readable once resolve_result() has one. */
int resolve_fd(const struct resolve *r);

/* False: not yet.  *ret_rc is getaddrinfo()'s; *ret_list, NULL unless that is 0, is borrowed until
 * resolve_free(). */
bool resolve_result(struct resolve *r, int *ret_rc, const struct addrinfo **ret_list) MUST_USE;

/* Does not wait: a lookup that still runs ends by itself later.  NULL is allowed. */
void resolve_free(struct resolve *r);

#endif
