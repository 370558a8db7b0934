/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_SUB_H
#define SERVER_SUB_H

/*
 * Subscriptions: which connection gets which room's entries, from where on.  Each is a position (delivery.h)
 * and a view; new entries find a room's subscriptions through the loop's index, without looking at other
 * connections.  What was missed is read by the reader pool, RANGE_READS_PER_CONN at a time for each
 * connection, and only while its queue has room.
 *
 * Threads: those of the loop.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/digest.h"
#include "server/conn.h"
#include "server/delivery.h"
#include "server/outcome.h"
#include "server/view.h"

struct read_result;

/* A room that somebody on this loop follows. */
struct sub_room {
	uint64_t room_no;
	struct digest room_id;
	LIST_HEAD(, sub) subs;
};

struct sub {
	struct conn *conn;
	struct sub_room *room;
	struct delivery delivery;
	struct view *view; /* a reference */
	bool wanting;      /* in conn->wanting */
	LIST_ENTRY(sub) conn_link;
	LIST_ENTRY(sub) room_link;
	TAILQ_ENTRY(sub) want_link;
};

/* OUT_SUBSCRIBED; takes the view.  One to the same room takes the old one's place.  Out of memory ends the
 * connection. */
void sub_start(struct conn *c, struct outcome *outcome);
/* OUT_VIEW; takes the view. */
void sub_set_view(struct conn *c, struct outcome *outcome);
/* OUT_END. */
void sub_set_end(struct conn *c, const struct outcome *outcome);
/* OUT_ENTRIES, for all connections of the loop. */
void sub_entries(struct loop_thread *lt, const struct outcome *outcome);
/* Of a READ_RANGE; takes the frames. */
void sub_read_done(struct conn *c, struct read_result *result);

/* Starts the reads that are wanted and for which there is room. */
void sub_pump(struct conn *c);
/* When sub_pump() is to be called because a read failed; NEVER_MS: not. */
uint64_t sub_next_ms(const struct conn *c);
void sub_end_all(struct conn *c);

#endif
