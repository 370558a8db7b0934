/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_LOGIN_DELAY_H
#define SERVER_LOGIN_DELAY_H

/*
 * How much later a failed login is answered the more of them there were, per address (net_addr_key) and per
 * account name, and how many from one address may be under way at once, late answers counted in.  Names that
 * are no account's count like the others, so the delay tells nothing.
 *
 * Bounded: LOGIN_FAIL_ENTRIES_MAX of each are remembered; the one whose last failure is the longest ago goes
 * first.
 *
 * It knows no clock and sends nothing.  Threads: any.
 */

#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "net/addr.h"

struct login_delay;

struct login_delay_limits {
	uint32_t base_ms; /* of the first failures */
	uint32_t max_ms;
	uint32_t per_address; /* under way at once */
};

/* The first failures of an account, and of an address, which may be many people's, are not delayed more than
 * base_ms. */
#define LOGIN_DELAY_FREE_ACCOUNT 3
#define LOGIN_DELAY_FREE_ADDRESS 10

/* CHAT_ERR_NOMEM. */
enum chat_err login_delay_new(struct login_delay **ret) MUST_USE;
void login_delay_free(struct login_delay *ld); /* NULL is allowed */

/* A login begins.  CHAT_ERR_BUSY: too many from there are under way; CHAT_ERR_NOMEM.  Otherwise
 * login_delay_end() ends it. */
enum chat_err login_delay_begin(
    struct login_delay *ld, const struct net_addr *peer, const struct login_delay_limits *limits) MUST_USE;
/* It was answered, or its connection is gone. */
void login_delay_end(struct login_delay *ld, const struct net_addr *peer);

/* It failed: how long after its receipt that is to be answered.  The next failure may be answered later. */
uint64_t login_delay_failed(struct login_delay *ld, const struct net_addr *peer, struct bytes account,
    const struct login_delay_limits *limits, uint64_t now_mono_ms);
/* The account's password or key was right: its failures are forgotten, those of the address are not. */
void login_delay_right(struct login_delay *ld, struct bytes account);

/* How many addresses and accounts are remembered. */
uint32_t login_delay_count(struct login_delay *ld);

#endif
