/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/delivery.h"

#include <assert.h>

void
delivery_init(struct delivery *d, uint64_t next_seq, uint64_t head_seq)
{
	assert(next_seq >= 1 && next_seq <= head_seq + 1);
	*d = (struct delivery){.next_seq = next_seq, .head_seq = head_seq, .end_seq = UINT64_MAX};
}

void
delivery_head_moved(struct delivery *d, uint64_t seq)
{
	if (seq > d->head_seq)
		d->head_seq = seq;
}

static enum delivery_verdict
send_if_next(struct delivery *d, uint64_t seq)
{
	if (seq != d->next_seq || seq > d->end_seq)
		return DELIVERY_DROP;
	d->next_seq++;
	return DELIVERY_SEND;
}

enum delivery_verdict
delivery_offer_live(struct delivery *d, uint64_t seq, bool room_left)
{
	/* Known to exist from now on, so if it is not sent here a read will bring it. */
	delivery_head_moved(d, seq);
	if (!room_left)
		return DELIVERY_DROP;
	return send_if_next(d, seq);
}

enum delivery_verdict
delivery_offer_read(struct delivery *d, uint64_t seq)
{
	assert(d->read_underway);
	/* A read is bounded by the head that this loop knew: one that ran ahead of the mailbox could also run
	 * ahead of the word that the stay has ended. */
	assert(seq <= d->head_seq);
	return send_if_next(d, seq);
}

void
delivery_end(struct delivery *d, uint64_t end_seq)
{
	assert(end_seq >= 1);
	d->end_seq = end_seq;
}

static uint64_t
last_wanted(const struct delivery *d)
{
	return d->end_seq < d->head_seq ? d->end_seq : d->head_seq;
}

bool
delivery_is_live(const struct delivery *d)
{
	return d->next_seq == d->head_seq + 1;
}

bool
delivery_is_over(const struct delivery *d)
{
	return d->next_seq > d->end_seq;
}

bool
delivery_wants_read(const struct delivery *d, bool room_left, uint64_t *ret_from, uint64_t *ret_to)
{
	if (d->read_underway || !room_left || d->next_seq > last_wanted(d))
		return false;
	*ret_from = d->next_seq;
	*ret_to = last_wanted(d);
	return true;
}

void
delivery_read_started(struct delivery *d)
{
	assert(!d->read_underway);
	d->read_underway = true;
}

void
delivery_read_done(struct delivery *d)
{
	assert(d->read_underway);
	d->read_underway = false;
}
