/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool
net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *ret)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof(in4));
		memcpy(ret->ip, v4_prefix, sizeof(v4_prefix));
		memcpy(ret->ip + sizeof(v4_prefix), &in4.sin_addr, 4);
		ret->port = ntohs(in4.sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		memcpy(ret->ip, &in6.sin6_addr, 16);
		ret->port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}

bool
net_addr_is_v4(const struct net_addr *addr)
{
	return memcmp(addr->ip, v4_prefix, sizeof(v4_prefix)) == 0;
}

struct net_addr_key
net_addr_key(const struct net_addr *addr)
{
	struct net_addr_key key = {{0}};

	memcpy(key.b, addr->ip, net_addr_is_v4(addr) ? 16 : 8);
	return key;
}

void
net_addr_ip_text(const struct net_addr *addr, char ret[static NET_ADDR_CHARS])
{
	const char *text = net_addr_is_v4(addr) ? inet_ntop(AF_INET, addr->ip + 12, ret, NET_ADDR_CHARS)
						: inet_ntop(AF_INET6, addr->ip, ret, NET_ADDR_CHARS);

	assert(text); /* it fits */
}

void
net_addr_text(const struct net_addr *addr, char ret[static NET_ADDR_CHARS])
{
	char ip[NET_ADDR_CHARS];

	net_addr_ip_text(addr, ip);
	if (net_addr_is_v4(addr))
		snprintf(ret, NET_ADDR_CHARS, "%.15s:%u", ip, addr->port);
	else
		snprintf(ret, NET_ADDR_CHARS, "[%.45s]:%u", ip, addr->port);
}

struct addr_count {
	struct net_addr_key key; /* the map borrows it */
	uint32_t count;
};

void
addr_counts_init(struct addr_counts *counts)
{
	*counts = (struct addr_counts){.total = 0};
	pthread_mutex_init(&counts->counts_mtx, NULL);
}

void
addr_counts_fini(struct addr_counts *counts)
{
	struct addr_count *entry;
	size_t iter = 0;

	while ((entry = map_next(&counts->map, &iter)))
		free(entry);
	map_fini(&counts->map);
	pthread_mutex_destroy(&counts->counts_mtx);
}

static enum chat_err
enter_locked(struct addr_counts *counts, const struct net_addr_key *key, uint32_t max)
{
	struct addr_count *entry = map_get(&counts->map, BYTES_ARRAY(key->b));
	enum chat_err err;

	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return CHAT_ERR_NOMEM;
		entry->key = *key;
		err = map_put(&counts->map, BYTES_ARRAY(entry->key.b), entry);
		if (err != CHAT_OK) {
			free(entry);
			return err;
		}
	}
	if (max > 0 && entry->count >= max)
		return CHAT_ERR_LIMIT;
	entry->count++;
	counts->total++;
	return CHAT_OK;
}

enum chat_err
addr_counts_enter(struct addr_counts *counts, const struct net_addr *addr, uint32_t max)
{
	struct net_addr_key key = net_addr_key(addr);
	enum chat_err err;

	pthread_mutex_lock(&counts->counts_mtx);
	err = enter_locked(counts, &key, max);
	pthread_mutex_unlock(&counts->counts_mtx);
	return err;
}

void
addr_counts_leave(struct addr_counts *counts, const struct net_addr *addr)
{
	struct net_addr_key key = net_addr_key(addr);
	struct addr_count *entry, *done = NULL;

	pthread_mutex_lock(&counts->counts_mtx);
	entry = map_get(&counts->map, BYTES_ARRAY(key.b));
	assert(entry && entry->count > 0);
	counts->total--;
	if (--entry->count == 0)
		done = map_remove(&counts->map, BYTES_ARRAY(key.b));
	pthread_mutex_unlock(&counts->counts_mtx);
	free(done);
}

uint32_t
addr_counts_get(struct addr_counts *counts, const struct net_addr *addr)
{
	struct net_addr_key key = net_addr_key(addr);
	struct addr_count *entry;
	uint32_t count;

	pthread_mutex_lock(&counts->counts_mtx);
	entry = map_get(&counts->map, BYTES_ARRAY(key.b));
	count = entry ? entry->count : 0;
	pthread_mutex_unlock(&counts->counts_mtx);
	return count;
}

uint64_t
addr_counts_total(struct addr_counts *counts)
{
	uint64_t total;

	pthread_mutex_lock(&counts->counts_mtx);
	total = counts->total;
	pthread_mutex_unlock(&counts->counts_mtx);
	return total;
}
