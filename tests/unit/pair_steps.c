/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine_pair_priv.h"

/* ---- steps ---- */

/* Some bytes from the client to the server. */
static bool
move_up(struct peer *peer, size_t n)
{
	struct bytes out = session_output(peer->s);

	if (peer->conn < 0 || out.len == 0)
		return false;
	if (n > out.len)
		n = out.len;
	assert_ok(buf_append(&peer->pair->conns[peer->conn].in, out.data, n));
	session_sent(peer->s, n);
	peer_after_call(peer);
	return true;
}

static bool
move_down(struct peer *peer, size_t n)
{
	struct pair_conn *conn;
	uint8_t *piece;

	if (peer->conn < 0 || session_is_full(peer->s))
		return false;
	conn = &peer->pair->conns[peer->conn];
	if (conn->out.len == 0)
		return false;
	if (n > conn->out.len)
		n = conn->out.len;
	piece = malloc(n);
	assert_non_null(piece);
	memcpy(piece, conn->out.data, n);
	buf_drop(&conn->out, n);
	pair_conn_drained(peer->pair, conn);
	session_receive(peer->s, BYTES(piece, n), peer->pair->w.now);
	free(piece);
	peer_after_call(peer);
	return true;
}

static bool
tick_due(struct peer *peer)
{
	if (peer->s == NULL || session_next_deadline_ms(peer->s) > peer->pair->w.now.mono_ms)
		return false;
	session_tick(peer->s, peer->pair->w.now);
	peer_after_call(peer);
	return true;
}

static bool
engine_tick_due(struct pair *pair)
{
	if (engine_next_deadline_ms(pair->w.engine) > pair->w.now.mono_ms)
		return false;
	pair_mail(pair, command_new(CMD_TICK, (struct conn_ref){0}, 0, 0));
	return true;
}

/* Bytes come as one, a few, or all. */
static size_t
some_bytes(struct pair *pair)
{
	switch (unit_rand(&pair->seed) % 4) {
	case 0:
		return 1 + unit_rand(&pair->seed) % 16;
	case 1:
		return 1 + unit_rand(&pair->seed) % 1000;
	default:
		return 64 * 1024;
	}
}

static bool
step_kind(struct pair *pair, unsigned kind, size_t who)
{
	struct peer *peer = &pair->peers[who];

	switch (kind) {
	case 0:
		return move_up(peer, some_bytes(pair));
	case 1:
		return move_down(peer, some_bytes(pair));
	case 2:
		return peer->conn >= 0 && pair_take_request(pair, &pair->conns[peer->conn]);
	case 3:
		peer_take_events(peer); /* a request by the test itself may have made some */
		if (STAILQ_EMPTY(&peer->works))
			return false;
		peer_run_work(peer);
		return true;
	case 4:
		return tick_due(peer);
	case 5:
		if (STAILQ_EMPTY(&pair->mailbox))
			return false;
		pair_take_turn(pair, 1 + unit_rand(&pair->seed) % 8);
		return true;
	default:
		if (STAILQ_EMPTY(&pair->reads))
			return false;
		pair_run_read(pair);
		return true;
	}
}

#define STEP_KINDS 7

bool
pair_step(struct pair *pair)
{
	unsigned first = (unsigned)(unit_rand(&pair->seed) % STEP_KINDS);
	size_t who = unit_rand(&pair->seed) % pair->peer_count;

	(void)engine_tick_due(pair);
	for (unsigned i = 0; i < STEP_KINDS; i++)
		for (size_t k = 0; k < pair->peer_count; k++)
			if (step_kind(pair, (first + i) % STEP_KINDS, (who + k) % pair->peer_count))
				return true;
	return false;
}

void
pair_settle(struct pair *pair)
{
	unsigned steps = 0;

	while (pair_step(pair))
		if (++steps > 200000) {
			for (size_t i = 0; i < pair->peer_count; i++)
				peer_print(&pair->peers[i]);
			fail_msg("it does not come to rest");
		}
}

static void
go_on(struct pair *pair, uint64_t ms)
{
	pair->w.now.mono_ms += ms;
	pair->w.now.unix_ms += ms;
}

void
pair_pass(struct pair *pair, uint64_t ms)
{
	uint64_t until = pair->w.now.mono_ms + ms;

	for (;;) {
		uint64_t next = until;

		pair_settle(pair);
		for (size_t i = 0; i < pair->peer_count; i++) {
			uint64_t deadline = session_next_deadline_ms(pair->peers[i].s);

			if (deadline < next)
				next = deadline;
		}
		if (engine_next_deadline_ms(pair->w.engine) < next)
			next = engine_next_deadline_ms(pair->w.engine);
		if (pair->w.now.mono_ms >= until)
			break;
		go_on(pair, next > pair->w.now.mono_ms ? next - pair->w.now.mono_ms : 1);
	}
}

void
pair_heal(struct pair *pair)
{
	for (unsigned round = 0; round < 40; round++) {
		bool well = true;

		for (size_t i = 0; i < pair->peer_count; i++)
			peer_connect(&pair->peers[i]);
		pair_pass(pair, 1000);
		for (size_t i = 0; i < pair->peer_count; i++)
			well = well && session_ready(pair->peers[i].s) &&
			       storage_memory_outbox_count(pair->peers[i].st) == 0;
		if (well && round > 0)
			return;
	}
	for (size_t i = 0; i < pair->peer_count; i++)
		peer_print(&pair->peers[i]);
	fail_msg("it does not heal");
}
