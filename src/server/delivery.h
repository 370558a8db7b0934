/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_DELIVERY_H
#define SERVER_DELIVERY_H

/*
 * Delivery of one room's log to one connection, as one state for live, resuming, slow and lossy alike: a position.
 *
 * A subscription is LIVE while next_seq is the head + 1: new entries are queued as they come.  Otherwise it is BEHIND:
 * stored entries are read in ranges, one at a time, until next_seq meets the head.  Nothing is sent twice and nothing
 * is left out because an entry is sent exactly when its number is next_seq, whoever offers it; and because the commit
 * precedes the mailbox, an entry that was not offered live can be read.
 *
 * This module decides; it holds no frames, does no I/O, and knows no connection.
 *
 * Threads: those of its loop; in tests, one.
 */

#include <stdbool.h>
#include <stdint.h>

struct delivery {
	uint64_t next_seq;  /* the number to send next */
	uint64_t head_seq;  /* the highest number known to exist */
	uint64_t end_seq;   /* the last to be sent (a kick's own number); UINT64_MAX while the stay goes on */
	bool read_underway; /* one read of at most READ_CHUNK_BYTES */
};

enum delivery_verdict {
	DELIVERY_SEND,   /* queue it; next_seq has moved past it */
	DELIVERY_DROP,   /* it was sent before, lies behind the end, or will be read later */
};

/* next_seq >= 1; head_seq is the head at the moment the engine subscribed it. */
void delivery_init(struct delivery *d, uint64_t next_seq, uint64_t head_seq);

/*
 * An entry is offered, live or from a read.  `room_left`: the connection's queue is below its mark.  A live entry is
 * sent only if it is next_seq and there is room; one from a read whenever it is next_seq.  A live entry cannot be
 * next_seq while a read is under way: the read starts there, and numbers that are live lie behind the read's end.
 */
enum delivery_verdict delivery_offer_live(struct delivery *d, uint64_t seq, bool room_left);
enum delivery_verdict delivery_offer_read(struct delivery *d, uint64_t seq);
/* The room's head is now seq though no frame came (a loop with a long mailbox gets numbers). */
void delivery_head_moved(struct delivery *d, uint64_t seq);
/* Nothing behind end_seq is sent. */
void delivery_end(struct delivery *d, uint64_t end_seq);

bool delivery_is_live(const struct delivery *d);
bool delivery_is_over(const struct delivery *d); /* everything up to end_seq was sent */

/* True if a read is to be started now; the caller then starts one at *ret_from for at most up to *ret_to (the head or
 * the end), never beyond, and calls delivery_read_done() once, after it offered what came. */
bool delivery_wants_read(const struct delivery *d, bool room_left, uint64_t *ret_from, uint64_t *ret_to);
void delivery_read_started(struct delivery *d);
void delivery_read_done(struct delivery *d);

#endif
