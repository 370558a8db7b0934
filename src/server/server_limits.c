/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/server_limits.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "proto/limits.h"
#include "server/engine.h"

struct server_limits *
server_limits_new(void)
{
	struct server_limits *limits = malloc(sizeof *limits);

	if (limits == NULL)
		return NULL;
	*limits = (struct server_limits){
	    .connections_max = CONNECTIONS_MAX,
	    .handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS,
	    .hello_timeout_ms = HELLO_TIMEOUT_MS,
	    .login_timeout_ms = LOGIN_TIMEOUT_MS,
	    .idle_timeout_ms = IDLE_TIMEOUT_MS,
	    .outbuf_high_bytes = OUTBUF_HIGH_BYTES,
	    .outbuf_low_bytes = OUTBUF_LOW_BYTES,
	    .request_units_per_ms = REQUEST_UNITS_PER_MS,
	    .request_units_burst = REQUEST_UNITS_BURST,
	    .kdf_queue_max = KDF_QUEUE_MAX,
	    .login_fail_delay_ms = LOGIN_FAIL_DELAY_MS,
	    .login_fail_delay_max_ms = LOGIN_FAIL_DELAY_MAX_MS,
	    .sessions_per_account = SESSIONS_PER_ACCOUNT,
	    .rooms_per_account = ROOMS_PER_ACCOUNT,
	    .room_readers_max = ROOM_READERS_MAX,
	};
	atomic_init(&limits->refs, 1);
	return limits;
}

struct server_limits *
server_limits_ref(struct server_limits *limits)
{
	atomic_fetch_add_explicit(&limits->refs, 1, memory_order_relaxed);
	return limits;
}

void
server_limits_unref(struct server_limits *limits)
{
	if (limits == NULL)
		return;
	if (atomic_fetch_sub_explicit(&limits->refs, 1, memory_order_acq_rel) == 1)
		free(limits);
}

struct engine_config
server_limits_engine(const struct server_limits *limits, uint16_t loop_count, uint32_t slots_per_loop)
{
	return (struct engine_config){
	    .loop_count = loop_count,
	    .slots_per_loop = slots_per_loop,
	    .sessions_per_account = limits->sessions_per_account,
	    .rooms_per_account = limits->rooms_per_account,
	    .room_readers_max = limits->room_readers_max,
	    .history_days = limits->history_days,
	    .history_entries = limits->history_entries,
	};
}
