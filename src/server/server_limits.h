/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_SERVER_LIMITS_H
#define SERVER_SERVER_LIMITS_H

/*
 * The limits that an administrator may change, as one snapshot.  Made with the defaults of proto/limits.h,
 * filled in by its maker, and shared from then on: a reload makes a new one and gives it to server_reload().
 *
 * Threads: any; immutable once it is shared, the count is atomic.  Who holds a reference gives it back once.
 */

#include <stdint.h>

#include "base/compiler.h"

struct engine_config;

struct server_limits {
	_Atomic uint32_t refs;

	/* connections */
	uint32_t connections_max; /* taken at the start only: the slots of every loop */
	uint32_t handshake_timeout_ms;
	uint32_t hello_timeout_ms;
	uint32_t login_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t outbuf_high_bytes; /* above it a subscription falls behind, and requests are not read */
	uint32_t outbuf_low_bytes;  /* below it they go on */

	/* What requests cost, in units of about 10 microseconds (requests_cost()): a connection that asks for
	 * more is read more slowly.  The burst is what may be asked for at once. */
	uint32_t request_units_per_ms;
	uint32_t request_units_burst;

	/* login */
	uint32_t kdf_queue_max; /* taken at the start only */
	uint32_t login_fail_delay_ms;
	uint32_t login_fail_delay_max_ms;

	/* accounts and rooms */
	uint32_t sessions_per_account;
	uint32_t rooms_per_account;
	uint32_t room_readers_max;
	uint32_t history_days;    /* 0: for ever */
	uint64_t history_entries; /* 0: all */
};

/* The defaults, one reference.  NULL: out of memory. */
struct server_limits *server_limits_new(void) MUST_USE;
struct server_limits *server_limits_ref(struct server_limits *limits); /* returns limits */
void server_limits_unref(struct server_limits *limits);                /* NULL is allowed */

/* What of them is the engine's. */
struct engine_config
server_limits_engine(const struct server_limits *limits, uint16_t loop_count, uint32_t slots_per_loop);

#endif
