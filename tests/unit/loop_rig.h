/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_LOOP_RIG_H
#define TESTS_UNIT_LOOP_RIG_H

/*
 * One loop of the server whose turns the test takes itself, in its own thread: so it may look at the
 * connections, and nothing happens behind its back.  The engine's and the readers' threads do not run: what
 * is posted to them is counted and stays, and the test posts the outcomes it likes.
 */

#include "server_rig.h"

#include "server/conn.h"
#include "server/engine_thread.h"
#include "server/loop_mail.h"
#include "server/loop_thread.h"
#include "server/readers.h"

struct loop_rig {
	struct rig rig; /* store, people, identity; its server is not started */
	struct loop_shared shared;
	struct loop_thread *lt;
	struct mailbox *boxes[1];
	unsigned accepted, ended;
};

void loop_rig_start(struct loop_rig *lr);
void loop_rig_end(struct loop_rig *lr);

void loop_rig_turn(struct loop_rig *lr, int timeout_ms);
/* A new connection's other end; it is accepted in the next turn. */
int loop_rig_connect(struct loop_rig *lr, uint8_t last);
/* The same, with the handshake done; returns the connection. */
struct conn *loop_rig_open(struct loop_rig *lr, struct peer *peer, uint8_t last);
/* Logged in, as far as the loop knows. */
struct conn *loop_rig_ready(struct loop_rig *lr, struct peer *peer, uint8_t last);
/* Hands one outcome to the loop, as the engine thread would; taken in the next turn. */
void loop_rig_outcome(struct loop_rig *lr, struct outcome *outcome);
/* A made-up frame of n bytes, length in front: a push of no known sort, which peers skip. */
struct frame_ref *loop_rig_frame(size_t n);
/* Turns until nothing more happens at once. */
void loop_rig_settle(struct loop_rig *lr);

#endif
