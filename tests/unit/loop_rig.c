/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "loop_rig.h"

#include <stdatomic.h>
#include <sys/socket.h>

#include "server/kdf.h"
#include "server/login_delay.h"

static void
on_ended(void *ctx, const struct net_addr *peer)
{
	struct loop_rig *lr = ctx;

	(void)peer;
	lr->ended++;
}

void
loop_rig_start(struct loop_rig *lr)
{
	struct rig *rig = &lr->rig;
	struct passwd_table *table;
	struct passwd_why why;

	rig_write_passwd(rig, NULL, NULL);
	lr->shared = (struct loop_shared){
	    .identity = rig->identity,
	    .store = rig->w.store,
	    .software = "chat-server test",
	    .slot_count = rig->limits->connections_max,
	    .connection_ended = on_ended,
	    .ctx = lr,
	};
	assert_ok(passwd_watch_new(rig->passwd_path, &lr->shared.watch));
	assert_int_equal(passwd_watch_check(lr->shared.watch, &table, &why), PASSWD_NEW);
	passwd_table_unref(table);
	assert_ok(login_delay_new(&lr->shared.login_delay));
	assert_ok(loop_thread_new(&lr->shared, 0, rig->limits, &lr->lt));
	lr->boxes[0] = loop_mailbox(lr->lt->loop);
	assert_ok(readers_new(rig->w.store, lr->boxes, 1, &lr->shared.readers));
	assert_ok(engine_thread_new(
	    &(const struct engine_thread_config){
		.store = rig->w.store,
		.limits = rig->limits,
		.readers = lr->shared.readers,
		.loops = lr->boxes,
		.loop_count = 1,
		.slots_per_loop = lr->shared.slot_count,
	    },
	    &lr->shared.engine));
	assert_ok(kdf_start(&(const struct kdf_config){.passwd_path = rig->passwd_path,
				.thread_count = 1,
				.queue_max = 4,
				.loops = lr->boxes,
				.loop_count = 1},
	    &lr->shared.kdf));
}

void
loop_rig_end(struct loop_rig *lr)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&lr->lt->conns)) != NULL)
		conn_drop(c, "end");
	kdf_stop(lr->shared.kdf);
	readers_stop(lr->shared.readers);
	loop_thread_free(lr->lt);
	engine_thread_free(lr->shared.engine);
	readers_free(lr->shared.readers);
	kdf_free(lr->shared.kdf);
	login_delay_free(lr->shared.login_delay);
	passwd_watch_free(lr->shared.watch);
	assert_int_equal(lr->ended, lr->accepted);
	rig_end(&lr->rig);
}

void
loop_rig_turn(struct loop_rig *lr, int timeout_ms)
{
	assert_ok(loop_turn(lr->lt->loop, timeout_ms));
}

void
loop_rig_settle(struct loop_rig *lr)
{
	struct loop_stats before, after;
	unsigned quiet = 0;

	/* Tasks of the next turn are no events; so a few in which nothing came. */
	while (quiet < 4) {
		before = loop_stats(lr->lt->loop);
		loop_rig_turn(lr, 0);
		after = loop_stats(lr->lt->loop);
		quiet = before.events == after.events && before.mails == after.mails ? quiet + 1 : 0;
	}
}

int
loop_rig_connect(struct loop_rig *lr, uint8_t last)
{
	struct accept_mail *mail = calloc(1, sizeof *mail);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	lr->accepted++;
	atomic_fetch_add(&lr->lt->conn_count, 1);
	mail->mail.tag = LOOP_MAIL_ACCEPT;
	mail->fd = fds[0];
	mail->peer = rig_addr(last);
	assert_true(mailbox_post(lr->boxes[0], &mail->mail));
	return fds[1];
}

static void
turn_for_peer(struct peer *peer)
{
	loop_rig_turn(peer->ctx, 10);
}

struct conn *
loop_rig_open(struct loop_rig *lr, struct peer *peer, uint8_t last)
{
	struct conn *c;

	peer->rig = &lr->rig;
	peer->turn = turn_for_peer;
	peer->ctx = lr;
	peer_start(peer, loop_rig_connect(lr, last));
	c = TAILQ_LAST(&lr->lt->conns, conns_head);
	while (c->state == CONN_HANDSHAKE)
		loop_rig_turn(lr, 10);
	assert_int_equal(c->state, CONN_OPEN);
	return c;
}

struct conn *
loop_rig_ready(struct loop_rig *lr, struct peer *peer, uint8_t last)
{
	struct conn *c = loop_rig_open(lr, peer, last);

	conn_set_phase(c, PHASE_READY);
	assert_ok(account_name_set(BYTES_STR("alice"), &c->account));
	loop_rig_settle(lr);
	return c;
}

void
loop_rig_outcome(struct loop_rig *lr, struct outcome *outcome)
{
	struct outcomes_mail *mail = calloc(1, sizeof *mail);

	mail->mail.tag = LOOP_MAIL_OUTCOMES;
	mail->list = outcome;
	assert_true(mailbox_post(lr->boxes[0], &mail->mail));
}

struct frame_ref *
loop_rig_frame(size_t n)
{
	struct frame_ref *frame = frame_ref_new(n);

	/* Field 99, bytes, filling the rest: 2 bytes of tag, 4 of length. */
	assert_true(n >= 4 + 2 + 4 && n - 10 < (1u << 28));
	memset(frame->data, 0, n);
	be32_put(frame->data, (uint32_t)(n - 4));
	frame->data[4] = 0x9a;
	frame->data[5] = 0x06;
	for (unsigned i = 0; i < 4; i++)
		frame->data[6 + i] = (uint8_t)((n - 10) >> 7 * i & 0x7f) | (i < 3 ? 0x80 : 0);
	return frame;
}
