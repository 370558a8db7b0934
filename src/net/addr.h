/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NET_ADDR_H
#define NET_ADDR_H

/*
 * Peer addresses: as text, and as the key under which a peer is counted.  IPv4 is counted by address, IPv6 by
 * /64, since whoever has one address of a /64 has all of them.  An IPv4 address mapped into IPv6 is IPv4.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <chat/err.h>

#include "base/compiler.h"
#include "base/map.h"

struct net_addr {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
};

#define NET_ADDR_CHARS 56 /* "[" IPv6 "]:" port, and the NUL */

struct net_addr_key {
	uint8_t b[16];
};

/* Threads of these: any.  False unless sa is AF_INET or AF_INET6. */
bool net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret) MUST_USE;
bool net_addr_is_v4(const struct net_addr *addr);
struct net_addr_key net_addr_key(const struct net_addr *addr);
/* "192.0.2.1" or "2001:db8::1". */
void net_addr_ip_text(const struct net_addr *addr, char ret[static NET_ADDR_CHARS]);
/* "192.0.2.1:8820" or "[2001:db8::1]:8820". */
void net_addr_text(const struct net_addr *addr, char ret[static NET_ADDR_CHARS]);

/* How many of something each address has: connections, say.  Memory only for those above zero.  Threads: any.
 */
struct addr_counts {
	pthread_mutex_t counts_mtx;
	struct map map; /* lock: counts_mtx */
	uint64_t total; /* lock: counts_mtx */
};

void addr_counts_init(struct addr_counts *counts);
void addr_counts_fini(struct addr_counts *counts);
/* Counts one more, unless the address has max already (0 = no limit): CHAT_ERR_LIMIT.  CHAT_ERR_NOMEM. */
enum chat_err
addr_counts_enter(struct addr_counts *counts, const struct net_addr *addr, uint32_t max) MUST_USE;
/* One less.  It was counted before (asserted). */
void addr_counts_leave(struct addr_counts *counts, const struct net_addr *addr);
uint32_t addr_counts_get(struct addr_counts *counts, const struct net_addr *addr);
uint64_t addr_counts_total(struct addr_counts *counts);

#endif
