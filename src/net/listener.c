/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/listener.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/container.h"

#define SOCKETS_MAX 64
/* A turn of the loop takes this many at most: the connections that are there come first. */
#define ACCEPTS_A_TURN 64
/* With port 0 the first address gets a free port, which another address may not have free. */
#define PORT_TRIES 16

struct listen_socket {
	struct loop_fd lfd;
	struct listener *listener;
	struct net_addr addr;
	int fd; /* owned; -1: closed */
};

struct listener {
	/* immutable after listener_open() */
	void (*accepted)(void *ctx, int fd, const struct net_addr *peer);
	void (*refused)(void *ctx, enum listener_refusal why, const struct net_addr *peer, int errno_value);
	void *ctx;
	int backlog;
	size_t count;
	uint16_t port;

	/* owner: loop */
	struct listen_socket sockets[SOCKETS_MAX];
	struct loop *loop;
	struct wheel_timer pause;
	uint32_t max_per_address;
	uint32_t max_total;
	size_t releases; /* sockets that the loop still knows */
	bool freed;

	/* any thread */
	struct addr_counts counts;
};

static enum chat_err
why_say(char why[static LISTENER_WHY_CHARS], enum chat_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);

static enum chat_err
why_say(char why[static LISTENER_WHY_CHARS], enum chat_err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, LISTENER_WHY_CHARS, fmt, ap);
	va_end(ap);
	return err;
}

static enum chat_err
err_of(int errno_value)
{
	switch (errno_value) {
	case EADDRINUSE:
		return CHAT_ERR_EXISTS;
	case EACCES:
	case EPERM:
		return CHAT_ERR_PERMISSION;
	case ENOMEM:
	case ENOBUFS:
		return CHAT_ERR_NOMEM;
	default:
		return CHAT_ERR_IO;
	}
}

/* A listening socket, or -errno.  Nothing can be accepted from it before it is polled, but clients wait in
 * its queue. */
static int
socket_open(const struct addrinfo *ai, int backlog)
{
	int fd, saved, on = 1;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		goto fail;
	/* So that "::" and "0.0.0.0" can both be listened on, and counted each by its own rule. */
	if (ai->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		goto fail;
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, backlog) < 0)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	return -saved;
}

static bool
socket_addr(int fd, struct net_addr *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	       net_addr_from_sockaddr((const struct sockaddr *)&ss, ret);
}

static void
port_set(struct sockaddr *sa, uint16_t port)
{
	if (sa->sa_family == AF_INET)
		((struct sockaddr_in *)(void *)sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)sa)->sin6_port = htons(port);
}

/* The same address may come twice, by two names or from /etc/hosts. */
static bool
is_open(const struct listener *listener, const struct sockaddr *sa)
{
	struct net_addr addr;

	if (!net_addr_from_sockaddr(sa, &addr))
		return false;
	for (size_t i = 0; i < listener->count; i++) {
		if (memcmp(listener->sockets[i].addr.ip, addr.ip, sizeof(addr.ip)) == 0)
			return true;
	}
	return false;
}

/* Opens one address.  -errno, or 0. */
static int
address_open(struct listener *listener, struct addrinfo *ai)
{
	struct listen_socket *sock = &listener->sockets[listener->count];
	int fd;

	if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) || listener->count == SOCKETS_MAX)
		return -EAFNOSUPPORT;
	if (is_open(listener, ai->ai_addr))
		return 0;
	port_set(ai->ai_addr, listener->port);
	fd = socket_open(ai, listener->backlog);
	if (fd < 0)
		return fd;
	if (!socket_addr(fd, &sock->addr)) {
		close(fd);
		return -EAFNOSUPPORT;
	}
	*sock = (struct listen_socket){.listener = listener, .addr = sock->addr, .fd = fd};
	listener->port = sock->addr.port;
	listener->count++;
	return 0;
}

/* Opens all addresses of one name (NULL: of the machine). */
static enum chat_err
name_open(struct listener *listener, const char *name, char why[static LISTENER_WHY_CHARS])
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	enum chat_err err = CHAT_OK;
	int ret, last = 0;
	size_t works = 0;

	ret = getaddrinfo(name, "0", &hints, &list);
	if (ret != 0)
		return why_say(why, ret == EAI_MEMORY ? CHAT_ERR_NOMEM : CHAT_ERR_NOT_FOUND,
		    "cannot listen on %s: %s", name ? name : "any address",
		    ret == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(ret));
	for (struct addrinfo *ai = list; ai && err == CHAT_OK; ai = ai->ai_next) {
		ret = address_open(listener, ai);
		if (ret == 0)
			works++;
		else if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
			last = -ret; /* IPv6 or IPv4 is switched off here */
		else
			err = why_say(why, err_of(-ret), "cannot listen on %s port %u: %s",
			    name ? name : "any address", listener->port, strerrordesc_np(-ret));
	}
	if (err == CHAT_OK && works == 0)
		err = why_say(why, err_of(last), "cannot listen on %s port %u: %s",
		    name ? name : "any address", listener->port, strerrordesc_np(last));
	freeaddrinfo(list);
	return err;
}

static void
sockets_close(struct listener *listener)
{
	for (size_t i = 0; i < listener->count; i++) {
		struct listen_socket *sock = &listener->sockets[i];

		if (sock->fd >= 0)
			close(sock->fd);
		sock->fd = -1;
	}
}

static enum chat_err
names_open(
    struct listener *listener, const struct listener_config *config, char why[static LISTENER_WHY_CHARS])
{
	enum chat_err err = CHAT_OK;

	listener->port = config->port;
	listener->count = 0;
	if (config->address_count == 0)
		err = name_open(listener, NULL, why);
	for (size_t i = 0; i < config->address_count && err == CHAT_OK; i++)
		err = name_open(listener, config->addresses[i], why);
	if (err != CHAT_OK)
		sockets_close(listener);
	return err;
}

enum chat_err
listener_open(
    const struct listener_config *config, char why[static LISTENER_WHY_CHARS], struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	enum chat_err err = CHAT_ERR_EXISTS;

	if (!listener)
		return why_say(why, CHAT_ERR_NOMEM, "out of memory");
	listener->accepted = config->accepted;
	listener->refused = config->refused;
	listener->ctx = config->ctx;
	listener->backlog = config->backlog > 0 ? config->backlog : SOMAXCONN;
	for (int i = 0; i < (config->port == 0 ? PORT_TRIES : 1) && err == CHAT_ERR_EXISTS; i++)
		err = names_open(listener, config, why);
	if (err != CHAT_OK) {
		free(listener);
		return err;
	}
	addr_counts_init(&listener->counts);
	*ret_listener = listener;
	return CHAT_OK;
}

static void
free_now(struct listener *listener)
{
	addr_counts_fini(&listener->counts);
	free(listener);
}

static void
socket_released(struct loop *loop, struct loop_fd *lfd)
{
	struct listener *listener = CONTAINER_OF(lfd, struct listen_socket, lfd)->listener;

	(void)loop;
	assert(listener->releases > 0);
	if (--listener->releases == 0 && listener->freed)
		free_now(listener);
}

void
listener_stop(struct listener *listener)
{
	if (listener->loop) {
		wheel_cancel(loop_wheel(listener->loop), &listener->pause);
		for (size_t i = 0; i < listener->count; i++)
			loop_del(listener->loop, &listener->sockets[i].lfd, socket_released);
	}
	sockets_close(listener);
}

void
listener_free(struct listener *listener)
{
	if (!listener)
		return;
	listener_stop(listener);
	if (listener->releases == 0)
		free_now(listener);
	else
		listener->freed = true;
}

uint16_t
listener_port(const struct listener *listener)
{
	return listener->port;
}

size_t
listener_count(const struct listener *listener)
{
	return listener->count;
}

struct net_addr
listener_address(const struct listener *listener, size_t i)
{
	assert(i < listener->count);
	return listener->sockets[i].addr;
}

void
listener_set_limits(struct listener *listener, uint32_t max_per_address, uint32_t max_total)
{
	listener->max_per_address = max_per_address;
	listener->max_total = max_total;
}

static void
interest_set(struct listener *listener, uint32_t events)
{
	for (size_t i = 0; i < listener->count; i++) {
		if (loop_has(&listener->sockets[i].lfd))
			loop_mod(listener->loop, &listener->sockets[i].lfd, events);
	}
}

static void
pause_over(struct wheel_timer *timer)
{
	interest_set(CONTAINER_OF(timer, struct listener, pause), EPOLLIN);
}

/* The connections wait in the kernel's queue meanwhile; polled on, they would be reported without end. */
static void
pause_begin(struct listener *listener, int errno_value)
{
	interest_set(listener, 0);
	wheel_set(loop_wheel(listener->loop), &listener->pause,
	    loop_now(listener->loop).mono_ms + LISTENER_PAUSE_MS, pause_over);
	if (listener->refused)
		listener->refused(listener->ctx, LISTENER_PAUSED, NULL, errno_value);
}

static void
refuse(struct listener *listener, int fd, enum listener_refusal why, const struct net_addr *peer)
{
	close(fd);
	if (listener->refused)
		listener->refused(listener->ctx, why, peer, 0);
}

static void
take(struct listener *listener, int fd, const struct net_addr *peer)
{
	enum chat_err err;
	int on = 1;

	if (listener->max_total > 0 && addr_counts_total(&listener->counts) >= listener->max_total) {
		refuse(listener, fd, LISTENER_REFUSED_TOTAL, peer);
		return;
	}
	err = addr_counts_enter(&listener->counts, peer, listener->max_per_address);
	if (err != CHAT_OK) {
		refuse(listener, fd,
		    err == CHAT_ERR_LIMIT ? LISTENER_REFUSED_ADDRESS : LISTENER_REFUSED_TOTAL, peer);
		return;
	}
	/* Before the handshake: without it, it takes 20 to 44 ms longer. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	listener->accepted(listener->ctx, fd, peer);
}

/* True if the next one may be tried. */
static bool
accept_one(struct listen_socket *sock)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct net_addr peer;
	int fd;

	fd = accept4(sock->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		if (net_addr_from_sockaddr((const struct sockaddr *)&ss, &peer))
			take(sock->listener, fd, &peer);
		else
			close(fd);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		pause_begin(sock->listener, errno);
		return false;
	default: /* of this one connection only: accept(2), "Error handling" */
		return true;
	}
}

static void
socket_ready(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct listen_socket *sock = CONTAINER_OF(lfd, struct listen_socket, lfd);

	(void)loop;
	(void)events;
	/* A callback may stop the listener. */
	for (int i = 0; i < ACCEPTS_A_TURN && loop_has(lfd); i++) {
		if (!accept_one(sock))
			break;
	}
}

enum chat_err
listener_start(struct listener *listener, struct loop *loop)
{
	enum chat_err err = CHAT_OK;

	assert(!listener->loop);
	listener->loop = loop;
	for (size_t i = 0; i < listener->count && err == CHAT_OK; i++) {
		struct listen_socket *sock = &listener->sockets[i];

		err = loop_add(loop, &sock->lfd, sock->fd, EPOLLIN, socket_ready);
		if (err == CHAT_OK)
			listener->releases++;
	}
	return err;
}

void
listener_leave(struct listener *listener, const struct net_addr *peer)
{
	addr_counts_leave(&listener->counts, peer);
}

struct addr_counts *
listener_counts(struct listener *listener)
{
	return &listener->counts;
}
