/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/login_delay.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/account_name.h"
#include "base/map.h"
#include "proto/limits.h"

#define DOUBLINGS_MAX 16 /* of a second: far above any limit */

struct entry {
	TAILQ_ENTRY(entry) link; /* the longest since its last failure first */
	uint64_t failed_ms;
	uint32_t failures;
	uint32_t under_way; /* of an address; while it has any it is not forgotten */
	uint8_t key_len;
	uint8_t key[ACCOUNT_NAME_MAX_BYTES];
};

struct entries {
	struct map map; /* key -> struct entry, owned */
	TAILQ_HEAD(, entry) oldest;
};

struct login_delay {
	pthread_mutex_t delay_mtx;
	struct entries addresses; /* lock: delay_mtx */
	struct entries accounts;  /* lock: delay_mtx */
};

enum chat_err
login_delay_new(struct login_delay **ret)
{
	struct login_delay *ld = calloc(1, sizeof *ld);

	if (ld == NULL)
		return CHAT_ERR_NOMEM;
	pthread_mutex_init(&ld->delay_mtx, NULL);
	TAILQ_INIT(&ld->addresses.oldest);
	TAILQ_INIT(&ld->accounts.oldest);
	*ret = ld;
	return CHAT_OK;
}

static void
forget(struct entries *all, struct entry *entry)
{
	TAILQ_REMOVE(&all->oldest, entry, link);
	map_remove(&all->map, BYTES(entry->key, entry->key_len));
	free(entry);
}

static void
entries_fini(struct entries *all)
{
	while (!TAILQ_EMPTY(&all->oldest))
		forget(all, TAILQ_FIRST(&all->oldest));
	map_fini(&all->map);
}

void
login_delay_free(struct login_delay *ld)
{
	if (ld == NULL)
		return;
	entries_fini(&ld->addresses);
	entries_fini(&ld->accounts);
	pthread_mutex_destroy(&ld->delay_mtx);
	free(ld);
}

/* Makes room for one more.  False: everything there is under way. */
static bool
make_room(struct entries *all)
{
	struct entry *entry = TAILQ_FIRST(&all->oldest);

	if (all->map.count < LOGIN_FAIL_ENTRIES_MAX)
		return true;
	while (entry != NULL && entry->under_way > 0)
		entry = TAILQ_NEXT(entry, link);
	if (entry == NULL)
		return false;
	forget(all, entry);
	return true;
}

static struct entry *
get_or_make(struct entries *all, struct bytes key)
{
	struct entry *entry = map_get(&all->map, key);

	if (entry != NULL || !make_room(all))
		return entry;
	entry = calloc(1, sizeof *entry);
	if (entry == NULL)
		return NULL;
	assert(key.len <= sizeof entry->key);
	memcpy(entry->key, key.data, key.len);
	entry->key_len = (uint8_t)key.len;
	if (map_put(&all->map, BYTES(entry->key, entry->key_len), entry) != CHAT_OK) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&all->oldest, entry, link);
	return entry;
}

/* Counts one more failure and gives the delay that those before it earned. */
static uint64_t
count_failure(struct entries *all, struct bytes key, uint32_t free_count,
    const struct login_delay_limits *limits, uint64_t now_ms)
{
	struct entry *entry = get_or_make(all, key);
	uint64_t delay_ms = limits->base_ms;

	/* Nothing can be remembered of it: the longest delay, or a flood would make the table of no use. */
	if (entry == NULL)
		return limits->max_ms;
	if (entry->failures > 0 && now_ms - entry->failed_ms >= LOGIN_FAIL_FORGET_MS)
		entry->failures = 0;
	for (uint32_t i = free_count; i <= entry->failures && i < free_count + DOUBLINGS_MAX; i++)
		delay_ms *= 2;
	if (delay_ms > limits->max_ms)
		delay_ms = limits->max_ms;
	if (entry->failures < UINT32_MAX)
		entry->failures++;
	entry->failed_ms = now_ms;
	TAILQ_REMOVE(&all->oldest, entry, link);
	TAILQ_INSERT_TAIL(&all->oldest, entry, link);
	return delay_ms;
}

enum chat_err
login_delay_begin(
    struct login_delay *ld, const struct net_addr *peer, const struct login_delay_limits *limits)
{
	struct net_addr_key key = net_addr_key(peer);
	enum chat_err err = CHAT_OK;
	struct entry *entry;

	pthread_mutex_lock(&ld->delay_mtx);
	entry = get_or_make(&ld->addresses, BYTES_ARRAY(key.b));
	if (entry == NULL)
		err = CHAT_ERR_NOMEM;
	else if (entry->under_way >= limits->per_address)
		err = CHAT_ERR_BUSY;
	else
		entry->under_way++;
	pthread_mutex_unlock(&ld->delay_mtx);
	return err;
}

void
login_delay_end(struct login_delay *ld, const struct net_addr *peer)
{
	struct net_addr_key key = net_addr_key(peer);
	struct entry *entry;

	pthread_mutex_lock(&ld->delay_mtx);
	entry = map_get(&ld->addresses.map, BYTES_ARRAY(key.b));
	assert(entry != NULL && entry->under_way > 0);
	entry->under_way--;
	if (entry->under_way == 0 && entry->failures == 0)
		forget(&ld->addresses, entry);
	pthread_mutex_unlock(&ld->delay_mtx);
}

uint64_t
login_delay_failed(struct login_delay *ld, const struct net_addr *peer, struct bytes account,
    const struct login_delay_limits *limits, uint64_t now_mono_ms)
{
	struct net_addr_key key = net_addr_key(peer);
	uint64_t of_address, of_account;

	pthread_mutex_lock(&ld->delay_mtx);
	of_address =
	    count_failure(&ld->addresses, BYTES_ARRAY(key.b), LOGIN_DELAY_FREE_ADDRESS, limits, now_mono_ms);
	of_account = count_failure(&ld->accounts, account, LOGIN_DELAY_FREE_ACCOUNT, limits, now_mono_ms);
	pthread_mutex_unlock(&ld->delay_mtx);
	return of_address > of_account ? of_address : of_account;
}

void
login_delay_right(struct login_delay *ld, struct bytes account)
{
	struct entry *entry;

	pthread_mutex_lock(&ld->delay_mtx);
	entry = map_get(&ld->accounts.map, account);
	if (entry != NULL)
		forget(&ld->accounts, entry);
	pthread_mutex_unlock(&ld->delay_mtx);
}

uint32_t
login_delay_count(struct login_delay *ld)
{
	size_t count;

	pthread_mutex_lock(&ld->delay_mtx);
	count = ld->addresses.map.count + ld->accounts.map.count;
	pthread_mutex_unlock(&ld->delay_mtx);
	return (uint32_t)count;
}
