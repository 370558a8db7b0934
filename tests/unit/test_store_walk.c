/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The contract of store.h under a random walk: many rooms, written in turns of many operations, right and
 * wrong ones, read between, closed and opened; a plain list of each room must agree.  STORE_SEED repeats a
 * walk, STORE_TURNS makes it longer.
 */

#include <stdio.h>

#include "store_kit.h"

#define ROOMS    60
#define TURN_OPS 24
#define COUNTERS 3

/* One sender's device counters of a room, as the last stored append said. */
struct walk_room {
	struct model_room model;
	uint64_t counters[COUNTERS];
	uint64_t read_seq;
	bool created;
};

struct walk {
	struct kit *kit;
	struct walk_room rooms[ROOMS];
	uint64_t seed;
	unsigned stored, refused, stripped;
};

static uint64_t
pick(struct walk *w, uint64_t n)
{
	return unit_rand(&w->seed) % n;
}

static uint64_t
from_env(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static const struct digest *
member(void)
{
	static struct digest d;

	d = kit_digest("member", 1);
	return &d;
}

/* ---- a turn ---- */

/* What the operation must give. */
struct expected {
	struct store_op *op;
	struct walk_room *room;
	enum store_outcome outcome;
	uint64_t head_seq;
};

static struct expected
good_append(struct walk *w, struct walk_room *room)
{
	unsigned n = pick(w, 8) == 0 ? (unsigned)pick(w, 150) + 1 : (unsigned)pick(w, 3) + 1;
	unsigned count = (unsigned)pick(w, COUNTERS + 1);
	struct store_counter *counters = store_batch_alloc(w->kit->batch, COUNTERS * sizeof(*counters));
	struct store_stay_change *stay = store_batch_alloc(w->kit->batch, sizeof(*stay));
	struct store_op *op;

	assert_non_null(counters);
	assert_non_null(stay);
	*stay = (struct store_stay_change){*member(), STORE_JOINED, 1};
	for (unsigned i = 0; i < count; i++) {
		room->counters[i] += pick(w, 5) + 1;
		counters[i] = (struct store_counter){
		    .sender = *member(), .device.b[0] = (uint8_t)i, .last = room->counters[i]};
	}
	op = model_append(w->kit, &room->model, n, &w->seed);
	op->append.counters = counters;
	op->append.counter_count = count;
	op->append.stays = stay;
	op->append.stay_count = !room->created;
	room->created = true;
	return (struct expected){op, room, STORE_STORED, room->model.head.seq};
}

/* Another head than the room's: a conflict, or `already`, and nothing else. */
static struct expected
bad_append(struct walk *w, struct walk_room *room)
{
	static struct store_new_entry entry = {.kind = ENTRY_EVENT, .wire = {(const uint8_t *)"bad", 3}};
	static const struct store_counter counter = {.last = 99};
	struct store_op *op = kit_op(w->kit, STORE_APPEND);
	uint64_t expected = pick(w, room->model.head.seq + 5);

	if (expected == room->model.head.seq)
		expected++;
	op->append = (struct store_append){.room_id = room->model.room_id,
	    .expected_seq = expected,
	    .entries = &entry,
	    .entry_count = 1,
	    .counters = &counter,
	    .counter_count = 1};
	return (struct expected){
	    op, room, room->created && expected == 0 ? STORE_ALREADY : STORE_CONFLICT, room->model.head.seq};
}

static struct expected
set_cursor(struct walk *w, struct walk_room *room)
{
	struct store_op *op = kit_op(w->kit, STORE_SET_CURSOR);
	uint64_t seq = pick(w, room->model.head.seq + 1);

	op->set_cursor = (struct store_set_cursor){room->model.room_id, *member(), seq};
	if (room->created)
		room->read_seq = seq;
	return (struct expected){op, room, room->created ? STORE_STORED : STORE_CONFLICT, 0};
}

static struct expected
strip_some(struct walk *w, struct walk_room *room)
{
	struct model_room *m = &room->model;
	struct store_op *op = kit_op(w->kit, STORE_STRIP);
	uint64_t below = m->whole_from + pick(w, 30), max = pick(w, 40), end = below;

	op->strip =
	    (struct store_strip){.room_id = m->room_id, .below_seq = below, .max_entries = (uint32_t)max};
	if (!room->created)
		return (struct expected){op, room, STORE_CONFLICT, 0};
	if (end > m->head.seq + 1)
		end = m->head.seq + 1;
	if (end > m->whole_from + max)
		end = m->whole_from + max;
	if (end <= m->whole_from)
		return (struct expected){op, room, STORE_ALREADY, 0};
	for (; m->whole_from < end; m->whole_from++) {
		if (m->entries[m->whole_from - 1].kind == ENTRY_MESSAGE)
			m->entries[m->whole_from - 1].whole = false;
	}
	w->stripped++;
	return (struct expected){op, room, STORE_STORED, 0};
}

static void
turn(struct walk *w)
{
	struct expected expected[TURN_OPS];
	unsigned n = (unsigned)pick(w, TURN_OPS) + 1;

	store_batch_reset(w->kit->batch);
	for (unsigned i = 0; i < n; i++) {
		/* Some rooms are busier than others. */
		struct walk_room *room = &w->rooms[pick(w, pick(w, ROOMS) + 1)];
		uint64_t what = pick(w, 20);

		expected[i] = what < 12   ? good_append(w, room)
			      : what < 15 ? bad_append(w, room)
			      : what < 18 ? set_cursor(w, room)
					  : strip_some(w, room);
	}
	kit_commit(w->kit);
	for (unsigned i = 0; i < n; i++) {
		const struct expected *e = &expected[i];
		const struct store_result *result = &e->op->result;

		assert_int_equal(result->outcome, e->outcome);
		if (e->outcome == STORE_STORED)
			w->stored++;
		else
			w->refused++;
		if (e->op->type != STORE_APPEND)
			continue;
		assert_int_equal(result->head.seq, e->head_seq);
		if (e->outcome == STORE_STORED)
			model_stored(&e->room->model, e->op);
	}
	store_maintain(w->kit->store);
}

/* ---- looking ---- */

static bool
check_counter(void *ctx, const struct store_counter *counter)
{
	struct walk_room *room = ctx;

	assert_true(digest_equal(&counter->sender, member()));
	assert_in_range(counter->device.b[0], 0, COUNTERS - 1);
	assert_int_equal(counter->last, room->counters[counter->device.b[0]]);
	return true;
}

static bool
check_member_room(void *ctx, const struct store_member_room *there)
{
	struct walk *w = ctx;

	for (size_t i = 0; i < ROOMS; i++) {
		if (digest_equal(&there->room_id, &w->rooms[i].model.room_id)) {
			assert_int_equal(there->room_no, w->rooms[i].model.room_no);
			assert_int_equal(there->read_seq, w->rooms[i].read_seq);
			assert_true(log_head_equal(&there->head, &w->rooms[i].model.head));
			return true;
		}
	}
	fail_msg("a room that nobody made");
	return false;
}

static void
look_at(struct walk *w, struct walk_room *room, struct store_reader *reader)
{
	struct store_room there;

	if (!room->created) {
		assert_err(store_room_by_id(w->kit->store, &room->model.room_id, &there), CHAT_ERR_NOT_FOUND);
		return;
	}
	model_compare(&room->model, reader);
	assert_ok(store_counters_each(w->kit->store, room->model.room_no, check_counter, room));
}

TEST(walk)
{
	struct walk *w = calloc(1, sizeof(*w));
	uint64_t turns = from_env("STORE_TURNS", 300), seed = 0;
	struct store_reader *reader;

	assert_non_null(w);
	w->kit = *state;
	random_bytes(&seed, sizeof(seed));
	w->seed = from_env("STORE_SEED", seed);
	print_message(
	    "# STORE_SEED=%llu STORE_TURNS=%llu\n", (unsigned long long)w->seed, (unsigned long long)turns);
	for (size_t i = 0; i < ROOMS; i++)
		model_init(&w->rooms[i].model, i);

	reader = kit_reader(w->kit);
	for (uint64_t t = 0; t < turns; t++) {
		turn(w);
		if (pick(w, 8) == 0)
			look_at(w, &w->rooms[pick(w, ROOMS)], reader);
		if (pick(w, 40) == 0) {
			store_reader_close(reader);
			kit_reopen(w->kit);
			reader = kit_reader(w->kit);
		}
	}
	for (size_t i = 0; i < ROOMS; i++)
		look_at(w, &w->rooms[i], reader);
	assert_ok(store_member_rooms_each(w->kit->store, member(), check_member_room, w));
	print_message("# stored %u, refused %u, stripped %u\n", w->stored, w->refused, w->stripped);
	assert_true(w->stored > turns && w->refused > turns / 2 && w->stripped > turns / 4);
	store_reader_close(reader);
	for (size_t i = 0; i < ROOMS; i++)
		model_fini(&w->rooms[i].model);
	free(w);
}

int
main(void)
{
	static const struct kit_test tests[] = {KIT_TEST(walk)};

	return kit_run(tests, ARRAY_LEN(tests));
}
