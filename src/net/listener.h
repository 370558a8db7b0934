/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

/*
 * Listening sockets: opens them on a list of addresses, accepts, counts per address, and hands each new
 * connection (non-blocking, close-on-exec, TCP_NODELAY set) to its owner.  It knows no protocol and logs
 * nothing.
 *
 * Threads: the loop's, except listener_leave().
 */

#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "net/addr.h"
#include "net/loop.h"

struct listener;

#define LISTENER_WHY_CHARS 256
#define LISTENER_PAUSE_MS  500 /* how long accepting rests when the process has no more fds or memory */

enum listener_refusal {
	LISTENER_REFUSED_ADDRESS, /* the address has its limit; the connection was closed */
	LISTENER_REFUSED_TOTAL,   /* the server has its limit; the connection was closed */
	LISTENER_PAUSED, /* no more fds or memory (errno_value); nothing was accepted, peer is NULL */
};

struct listener_config {
	const char *const *addresses; /* names or numbers, without port; none: every address of the machine */
	size_t address_count;
	uint16_t port; /* 0: any free one, the same for all addresses */
	int backlog;   /* 0: SOMAXCONN */

	/* A new connection: fd is the callee's, and so is the duty to call listener_leave() with peer when it
	 * ends. */
	void (*accepted)(void *ctx, int fd, const struct net_addr *peer);
	/* For the log.  May be NULL. */
	void (*refused)(void *ctx, enum listener_refusal why, const struct net_addr *peer, int errno_value);
	void *ctx; /* borrowed */
};

/*
 * Opens and binds; nothing is accepted before listener_start().  An address family that the machine lacks is
 * left out as long as another address of the same name works.  On failure why holds one sentence with address
 * and port. CHAT_ERR_NOT_FOUND (the name), CHAT_ERR_EXISTS (port in use), CHAT_ERR_PERMISSION, CHAT_ERR_IO,
 * CHAT_ERR_NOMEM.
 */
enum chat_err listener_open(const struct listener_config *config, char why[static LISTENER_WHY_CHARS],
    struct listener **ret_listener) MUST_USE;
/* Closes the sockets; frees at the end of the loop's turn, so before loop_free().  NULL is fine. */
void listener_free(struct listener *listener);

uint16_t listener_port(const struct listener *listener); /* the real one */
size_t listener_count(const struct listener *listener);  /* sockets */
struct net_addr listener_address(const struct listener *listener, size_t i);

/* 0 = no limit.  Holds for connections accepted from now on. */
void listener_set_limits(struct listener *listener, uint32_t max_per_address, uint32_t max_total);

/* Starts accepting on the loop.  CHAT_ERR_IO with errno set, CHAT_ERR_NOMEM. */
enum chat_err listener_start(struct listener *listener, struct loop *loop) MUST_USE;
/* Stops accepting and closes the sockets, so that new clients are refused; counting goes on. */
void listener_stop(struct listener *listener);

/* Any thread: a connection from there has ended. */
void listener_leave(struct listener *listener, const struct net_addr *peer);
/* Any thread: the counts, for chatctl. */
struct addr_counts *listener_counts(struct listener *listener);

#endif
