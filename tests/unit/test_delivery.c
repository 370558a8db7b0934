/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Delivery under random schedules.  The model is a plain list: what a connection must have received is the numbers
 * from where it resumed to the end, each once, in order.  Between the engine and the connection stand what the server
 * has: a mailbox that keeps order but delays, and may lose the frame and keep the number; a read that answers late; a
 * queue that fills up and drains.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/delivery.h"

#define QUEUE_MARK 8 /* entries; above it there is no room */

/* xorshift64*: the schedule of a seed is the same everywhere. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static uint64_t
below(uint64_t *state, uint64_t n)
{
	return next_random(state) % n;
}

enum item_type { ITEM_ENTRY, ITEM_NUMBER, ITEM_END };

struct mailbox_item {
	enum item_type type;
	uint64_t seq;
};

struct world {
	uint64_t random;
	uint64_t head;           /* what the engine committed */
	uint64_t end;            /* 0: no kick yet */
	struct delivery d;
	struct mailbox_item mail[4096];
	size_t mail_first, mail_count;
	bool read_underway;
	uint64_t read_from, read_to;
	uint64_t queued;         /* in the connection's queue, not yet sent */
	uint64_t got[8192];
	size_t got_count;
	size_t reads;
};

static void
receive(struct world *w, uint64_t seq)
{
	assert_true(w->got_count < sizeof w->got / sizeof w->got[0]);
	w->got[w->got_count++] = seq;
	w->queued++;
}

static void
post_mail(struct world *w, enum item_type type, uint64_t seq)
{
	size_t at = (w->mail_first + w->mail_count) % (sizeof w->mail / sizeof w->mail[0]);

	assert_true(w->mail_count < sizeof w->mail / sizeof w->mail[0]);
	w->mail[at].type = type;
	w->mail[at].seq = seq;
	w->mail_count++;
}

static bool
has_room(const struct world *w)
{
	return w->queued < QUEUE_MARK;
}

static void
maybe_read(struct world *w)
{
	uint64_t from, to;

	if (!delivery_wants_read(&w->d, has_room(w), &from, &to))
		return;
	assert_false(w->read_underway);
	assert_true(from <= to);
	assert_true(to <= w->head); /* nothing is read that does not exist */
	w->read_underway = true;
	w->read_from = from;
	w->read_to = to;
	w->reads++;
	delivery_read_started(&w->d);
}

static void
step_mail(struct world *w)
{
	struct mailbox_item item;

	if (w->mail_count == 0)
		return;
	item = w->mail[w->mail_first];
	w->mail_first = (w->mail_first + 1) % (sizeof w->mail / sizeof w->mail[0]);
	w->mail_count--;
	switch (item.type) {
	case ITEM_ENTRY:
		if (delivery_offer_live(&w->d, item.seq, has_room(w)) == DELIVERY_SEND)
			receive(w, item.seq);
		break;
	case ITEM_NUMBER:
		delivery_head_moved(&w->d, item.seq);
		break;
	case ITEM_END:
		delivery_end(&w->d, item.seq);
		break;
	}
	maybe_read(w);
}

static void
step_read(struct world *w)
{
	uint64_t to;

	if (!w->read_underway)
		return;
	/* A range is cut where it is too large. */
	to = w->read_from + below(&w->random, 6);
	if (to > w->read_to)
		to = w->read_to;
	for (uint64_t seq = w->read_from; seq <= to; seq++)
		if (delivery_offer_read(&w->d, seq) == DELIVERY_SEND)
			receive(w, seq);
	w->read_underway = false;
	delivery_read_done(&w->d);
	maybe_read(w);
}

static void
step_drain(struct world *w)
{
	w->queued -= below(&w->random, w->queued + 1);
	maybe_read(w);
}

static void
run(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);
	uint64_t first, last, entries;
	bool kick;

	assert_non_null(w);
	w->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	w->head = below(&w->random, 50);
	first = 1 + below(&w->random, w->head + 1);
	entries = below(&w->random, 400);
	kick = below(&w->random, 3) == 0;
	delivery_init(&w->d, first, w->head);
	maybe_read(w);

	for (uint64_t left = entries; left > 0;) {
		switch (below(&w->random, 6)) {
		case 0:
		case 1:
			w->head++;
			left--;
			if (w->end == 0) {
				bool lost = below(&w->random, 8) == 0;

				post_mail(w, lost ? ITEM_NUMBER : ITEM_ENTRY, w->head);
				if (kick && below(&w->random, 100) == 0) {
					w->end = w->head;
					post_mail(w, ITEM_END, w->end);
				}
			}
			break;
		case 2:
		case 3:
			step_mail(w);
			break;
		case 4:
			step_read(w);
			break;
		case 5:
			step_drain(w);
			break;
		}
	}
	/* The world stands still; everything that was under way comes in. */
	for (size_t i = 0; i < 100000 && (w->mail_count > 0 || w->read_underway || w->queued > 0); i++) {
		step_mail(w);
		step_read(w);
		step_drain(w);
	}
	assert_int_equal(w->mail_count, 0);
	assert_false(w->read_underway);

	last = w->end != 0 ? w->end : w->head;
	assert_int_equal(w->got_count, last + 1 - first);
	for (size_t i = 0; i < w->got_count; i++)
		assert_int_equal(w->got[i], first + i);
	assert_int_equal(delivery_is_over(&w->d), w->end != 0);
	if (w->end == 0)
		assert_true(delivery_is_live(&w->d));
	free(w);
}

static void
random_schedules_deliver_everything_once_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++)
		run(seed);
}

static void
live_entries_need_no_read(void **state)
{
	struct delivery d;
	uint64_t from, to;

	(void)state;
	delivery_init(&d, 8, 7);
	for (uint64_t seq = 8; seq < 1000; seq++) {
		assert_true(delivery_is_live(&d));
		assert_int_equal(delivery_offer_live(&d, seq, true), DELIVERY_SEND);
		assert_false(delivery_wants_read(&d, true, &from, &to));
	}
}

static void
an_entry_offered_twice_is_sent_once(void **state)
{
	struct delivery d;

	(void)state;
	delivery_init(&d, 1, 0);
	assert_int_equal(delivery_offer_live(&d, 1, true), DELIVERY_SEND);
	assert_int_equal(delivery_offer_live(&d, 1, true), DELIVERY_DROP);
}

static void
a_gap_makes_it_behind_and_is_read(void **state)
{
	struct delivery d;
	uint64_t from = 0, to = 0;

	(void)state;
	delivery_init(&d, 1, 0);
	assert_int_equal(delivery_offer_live(&d, 3, true), DELIVERY_DROP);
	assert_false(delivery_is_live(&d));
	assert_true(delivery_wants_read(&d, true, &from, &to));
	assert_int_equal(from, 1);
	assert_int_equal(to, 3);
}

static void
a_full_queue_stops_reading_and_sending(void **state)
{
	struct delivery d;
	uint64_t from, to;

	(void)state;
	delivery_init(&d, 1, 0);
	assert_int_equal(delivery_offer_live(&d, 1, false), DELIVERY_DROP);
	assert_false(delivery_wants_read(&d, false, &from, &to));
	assert_true(delivery_wants_read(&d, true, &from, &to));
}

static void
nothing_behind_the_end_is_sent(void **state)
{
	struct delivery d;
	uint64_t from, to;

	(void)state;
	delivery_init(&d, 5, 9);
	delivery_end(&d, 6);
	assert_true(delivery_wants_read(&d, true, &from, &to));
	assert_int_equal(to, 6);
	delivery_read_started(&d);
	assert_int_equal(delivery_offer_read(&d, 5), DELIVERY_SEND);
	assert_int_equal(delivery_offer_read(&d, 6), DELIVERY_SEND);
	assert_int_equal(delivery_offer_read(&d, 7), DELIVERY_DROP);
	delivery_read_done(&d);
	assert_true(delivery_is_over(&d));
	assert_false(delivery_wants_read(&d, true, &from, &to));
	assert_int_equal(delivery_offer_live(&d, 10, true), DELIVERY_DROP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_schedules_deliver_everything_once_in_order),
	    cmocka_unit_test(live_entries_need_no_read),
	    cmocka_unit_test(an_entry_offered_twice_is_sent_once),
	    cmocka_unit_test(a_gap_makes_it_behind_and_is_read),
	    cmocka_unit_test(a_full_queue_stops_reading_and_sending),
	    cmocka_unit_test(nothing_behind_the_end_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
