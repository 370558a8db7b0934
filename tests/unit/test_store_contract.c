/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What any store must do with rooms: the contract of store.h, run once for each kind (store_kit.c). */

#include "store_kit.h"

#include "base/arena.h"

static void
compare(struct kit *kit, const struct model_room *room)
{
	struct store_reader *reader = kit_reader(kit);

	model_compare(room, reader);
	store_reader_close(reader);
}

TEST(empty_store)
{
	struct kit *kit = *state;
	const struct digest nobody = kit_digest("nobody", 1);
	struct realm realm = *store_realm(kit->store);
	const struct realm zero = {0};
	struct store_room room;
	struct store_status status;

	assert_false(realm_equal(&realm, &zero));
	assert_err(store_room_by_id(kit->store, &nobody, &room), CHAT_ERR_NOT_FOUND);
	assert_ok(store_commit(kit->store, kit->batch));
	assert_ok(store_status(kit->store, &status));
	assert_int_equal(status.rooms, 0);
	assert_int_equal(status.entries, 0);
	assert_false(status.failing);
	kit_reopen(kit);
	assert_true(realm_equal(&realm, store_realm(kit->store)));
}

TEST(numbers_have_no_gaps)
{
	struct kit *kit = *state;
	struct model_room room;
	uint64_t seed = 1;

	model_init(&room, 1);
	for (unsigned turn = 0; turn < 40; turn++) {
		struct store_op *ops[3];

		for (unsigned i = 0; i < 3; i++)
			ops[i] = model_append(kit, &room, 1 + (turn + i) % 5, &seed);
		kit_commit(kit);
		for (unsigned i = 0; i < 3; i++)
			model_stored(&room, ops[i]);
	}
	compare(kit, &room);
	kit_reopen(kit);
	compare(kit, &room);
	/* and it goes on where it was */
	struct store_op *op = model_append(kit, &room, 2, &seed);
	kit_commit(kit);
	model_stored(&room, op);
	compare(kit, &room);
	model_fini(&room);
}

TEST(conflict_undoes_only_itself)
{
	struct kit *kit = *state;
	struct model_room a, b;
	const struct digest member = kit_digest("member", 1);
	uint64_t seed = 2;
	struct store_op *op[8];
	struct store_new_entry entry = {.kind = ENTRY_EVENT, .wire = BYTES("stale", 5)};
	const struct store_counter counter = {.sender = member, .last = 7};
	const struct store_stay_change stay = {.member_id = member, .stay = STORE_JOINED, .since_seq = 1};

	model_init(&a, 1);
	model_init(&b, 2);
	op[0] = model_append(kit, &a, 3, &seed);
	op[1] = model_append(kit, &b, 2, &seed);
	kit_commit(kit);
	model_stored(&a, op[0]);
	model_stored(&b, op[1]);

	op[0] = model_append(kit, &a, 2, &seed);
	for (unsigned i = 1; i <= 3; i++) {
		/* too low, too high, and of a room that is there already */
		static const uint64_t expected[] = {0, 1, 9, 0};

		op[i] = kit_op(kit, STORE_APPEND);
		op[i]->append = (struct store_append){.room_id = b.room_id,
		    .expected_seq = expected[i],
		    .entries = &entry,
		    .entry_count = 1,
		    .counters = &counter,
		    .counter_count = 1,
		    .stays = &stay,
		    .stay_count = 1};
	}
	op[4] = kit_op(kit, STORE_APPEND);
	op[4]->append = op[1]->append;
	op[4]->append.room_id = kit_digest("room", 3);
	op[5] = model_append(kit, &b, 1, &seed);
	op[6] = model_append(kit, &a, 1, &seed);
	kit_commit(kit);
	model_stored(&a, op[0]);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(op[i]->result.outcome, i == 3 ? STORE_ALREADY : STORE_CONFLICT);
		assert_int_equal(op[i]->result.head.seq, 2);
		assert_int_equal(op[i]->result.room_no, b.room_no);
		assert_true(digest_equal(&op[i]->result.head.L, &b.entries[1].L));
		assert_true(digest_equal(&op[i]->result.head.E, &b.entries[1].E));
	}
	assert_int_equal(op[4]->result.outcome, STORE_CONFLICT);
	assert_int_equal(op[4]->result.head.seq, 0);
	model_stored(&b, op[5]);
	model_stored(&a, op[6]);
	compare(kit, &a);
	compare(kit, &b);

	struct store_room room;
	assert_err(store_room_by_id(kit->store, &op[4]->append.room_id, &room), CHAT_ERR_NOT_FOUND);
	model_fini(&a);
	model_fini(&b);
}

static bool
never_counter(void *ctx, const struct store_counter *counter)
{
	(void)ctx;
	(void)counter;
	fail_msg("a conflict left a counter");
	return false;
}

static bool
never_room(void *ctx, const struct store_member_room *room)
{
	(void)ctx;
	(void)room;
	fail_msg("a conflict left a stay");
	return false;
}

TEST(conflict_leaves_nothing)
{
	struct kit *kit = *state;
	struct model_room room;
	const struct digest member = kit_digest("member", 1);
	uint64_t seed = 3;
	struct store_op *op;
	struct store_new_entry entry = {.kind = ENTRY_EVENT, .rekey = true, .wire = BYTES("stale", 5)};
	const struct store_counter counter = {.sender = member, .last = 7};
	const struct store_stay_change stay = {.member_id = member, .stay = STORE_JOINED, .since_seq = 1};

	model_init(&room, 1);
	op = model_append(kit, &room, 3, &seed);
	kit_commit(kit);
	model_stored(&room, op);
	op = kit_op(kit, STORE_APPEND);
	op->append = (struct store_append){.room_id = room.room_id,
	    .expected_seq = 2,
	    .entries = &entry,
	    .entry_count = 1,
	    .counters = &counter,
	    .counter_count = 1,
	    .stays = &stay,
	    .stay_count = 1};
	kit_commit(kit);
	assert_int_equal(op->result.outcome, STORE_CONFLICT);
	assert_ok(store_counters_each(kit->store, room.room_no, never_counter, NULL));
	assert_ok(store_member_rooms_each(kit->store, &member, never_room, NULL));
	compare(kit, &room);
	model_fini(&room);
}

TEST(later_operations_see_earlier_ones)
{
	struct kit *kit = *state;
	struct model_room room;
	const struct digest member = kit_digest("member", 1);
	const struct store_stay_change stay = {.member_id = member, .stay = STORE_JOINED, .since_seq = 1};
	uint64_t seed = 4;
	struct store_op *op[6];

	model_init(&room, 1);
	op[0] = kit_op(kit, STORE_SET_CURSOR);
	op[0]->set_cursor = (struct store_set_cursor){.room_id = room.room_id, .member_id = member, .seq = 1};
	op[1] = model_append(kit, &room, 1, &seed);
	op[1]->append.stays = &stay;
	op[1]->append.stay_count = 1;
	op[2] = kit_op(kit, STORE_SET_CURSOR);
	op[2]->set_cursor = op[0]->set_cursor;
	op[3] = model_append(kit, &room, 4, &seed);
	op[4] = kit_op(kit, STORE_PUT_BAG);
	op[4]->put_bag = (struct store_put_bag){.account = BYTES_STR("alice"), .version = 1};
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_CONFLICT);
	model_stored(&room, op[1]);
	assert_int_equal(op[2]->result.outcome, STORE_STORED);
	model_stored(&room, op[3]);
	assert_int_equal(op[4]->result.outcome, STORE_CONFLICT);
	compare(kit, &room);
	model_fini(&room);
}

TEST(batch_keeps_addresses)
{
	struct kit *kit = *state;
	struct store_op *first = kit_op(kit, STORE_SET_PROOF), *last = NULL;
	uint8_t *memory = store_batch_alloc(kit->batch, 100);

	assert_non_null(memory);
	assert_int_equal((uintptr_t)memory % ARENA_ALIGN, 0);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(memory[i], 0);
	first->set_proof.account = BYTES_STR("nobody");
	first->token = kit;
	for (unsigned i = 0; i < 3000; i++) {
		last = kit_op(kit, STORE_SET_PROOF);
		last->set_proof.account = BYTES_STR("nobody");
		assert_non_null(store_batch_alloc(kit->batch, 1000));
	}
	assert_int_equal(store_batch_count(kit->batch), 3001);
	store_batch_drop_last(kit->batch);
	assert_int_equal(store_batch_count(kit->batch), 3000);
	assert_ptr_equal(store_batch_op(kit->batch, 0), first);
	assert_ptr_equal(first->token, kit);
	kit_commit(kit);
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal(store_batch_op(kit->batch, i)->result.outcome, STORE_CONFLICT);
	assert_int_equal(last->result.outcome, STORE_FAILED); /* dropped, never run */
}

/* Lengths around whole blocks of 64, however a store groups entries, appended one by one, all at once, and
 * with the store closed in between. */
TEST(lengths_around_blocks)
{
	static const unsigned lengths[] = {
	    1, 2, 62, 63, 64, 65, 66, 126, 127, 128, 129, 130, 191, 192, 193, 300};
	struct kit *kit = *state;
	struct model_room rooms[3 * ARRAY_LEN(lengths)];
	uint64_t seed = 5;

	for (size_t i = 0; i < ARRAY_LEN(rooms); i++)
		model_init(&rooms[i], i);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct store_op *op = model_append(kit, &rooms[3 * i], lengths[i], &seed);

		kit_commit(kit);
		model_stored(&rooms[3 * i], op);
		for (unsigned n = 0; n < lengths[i]; n++) {
			op = model_append(kit, &rooms[3 * i + 1], 1, &seed);
			if (n % 7 == 0)
				kit_commit(kit);
		}
		kit_commit(kit);
	}
	for (unsigned part = 0; part < 4; part++) {
		for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
			struct model_room *room = &rooms[3 * i + 2];
			unsigned n = part < 3 ? lengths[i] / 4 : lengths[i] - (unsigned)room->count;

			if (n > 0)
				(void)model_append(kit, room, n, &seed);
		}
		kit_commit(kit);
		kit_reopen(kit);
	}
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		struct store_room there;

		assert_int_equal(rooms[i].count, lengths[i / 3]);
		assert_ok(store_room_by_id(kit->store, &rooms[i].room_id, &there));
		rooms[i].room_no = there.room_no;
		compare(kit, &rooms[i]);
		model_fini(&rooms[i]);
	}
}

/* ---- edges of ranges ---- */

struct collected {
	const struct model_room *room;
	uint64_t seqs[400];
	size_t count;
	size_t stop_at; /* 0: never */
	bool stubs;
};

static bool
collect(void *ctx, const struct store_entry *entry)
{
	struct collected *c = ctx;

	model_compare_entry(c->room, entry, c->stubs);
	assert_true(c->count < ARRAY_LEN(c->seqs));
	c->seqs[c->count++] = entry->seq;
	return c->count != c->stop_at;
}

static void
expect(const struct collected *c, uint64_t first, size_t count, int step)
{
	assert_int_equal(c->count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(c->seqs[i], first + (uint64_t)((int64_t)i * step));
}

TEST(ranges_at_the_edges)
{
	static const struct {
		uint64_t from, to, first;
		size_t count;
	} cases[] = {{0, 0, 0, 0}, {0, 1, 1, 1}, {1, 1, 1, 1}, {1, 200, 1, 200}, {0, UINT64_MAX, 1, 200},
	    {63, 66, 63, 4}, {64, 64, 64, 1}, {65, 128, 65, 64}, {128, 129, 128, 2}, {192, 193, 192, 2},
	    {193, 200, 193, 8}, {200, 200, 200, 1}, {200, 201, 200, 1}, {201, 300, 0, 0}, {150, 149, 0, 0},
	    {UINT64_MAX, UINT64_MAX, 0, 0}};
	static const struct {
		uint64_t before, first;
		size_t count;
	} backs[] = {{0, 0, 0}, {1, 0, 0}, {2, 1, 1}, {65, 64, 64}, {66, 65, 65}, {200, 199, 199},
	    {201, 200, 200}, {202, 200, 200}, {UINT64_MAX, 200, 200}};
	struct kit *kit = *state;
	struct store_reader *reader = kit_reader(kit);
	struct model_room room;
	struct digest L;
	struct log_preimage preimage;
	uint64_t seed = 6;
	struct store_op *op;

	model_init(&room, 1);
	op = model_append(kit, &room, 200, &seed);
	kit_commit(kit);
	model_stored(&room, op);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct collected c = {.room = &room};

		assert_ok(store_reader_range(reader, room.room_no, cases[i].from, cases[i].to, collect, &c));
		expect(&c, cases[i].first, cases[i].count, 1);
		c = (struct collected){.room = &room, .stubs = true};
		assert_ok(store_reader_stubs(reader, room.room_no, cases[i].from, cases[i].to, collect, &c));
		expect(&c, cases[i].first, cases[i].count, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(backs); i++) {
		struct collected c = {.room = &room};

		assert_ok(store_reader_back(reader, room.room_no, backs[i].before, collect, &c));
		expect(&c, backs[i].first, backs[i].count, -1);
	}
	/* the callback ends it, wherever */
	for (size_t stop = 1; stop < 140; stop += 6) {
		struct collected c = {.room = &room, .stop_at = stop};

		assert_ok(store_reader_range(reader, room.room_no, 3, 199, collect, &c));
		expect(&c, 3, stop, 1);
		c = (struct collected){.room = &room, .stop_at = stop};
		assert_ok(store_reader_back(reader, room.room_no, 199, collect, &c));
		expect(&c, 198, stop, -1);
	}
	struct collected c = {.room = &room, .stop_at = 1};
	assert_ok(store_reader_events(reader, room.room_no, 0, collect, &c));
	expect(&c, 1, 1, 1);
	c = (struct collected){.room = &room};
	assert_ok(store_reader_events(reader, room.room_no, 201, collect, &c));
	expect(&c, 0, 0, 1);

	assert_ok(store_reader_log_hash(reader, room.room_no, 0, &L));
	assert_true(digest_is_zero(&L));
	assert_err(store_reader_log_hash(reader, room.room_no, 201, &L), CHAT_ERR_NOT_FOUND);
	assert_err(store_reader_preimage(reader, room.room_no, 0, &preimage), CHAT_ERR_NOT_FOUND);
	assert_err(store_reader_preimage(reader, room.room_no, 201, &preimage), CHAT_ERR_NOT_FOUND);
	assert_ok(store_log_hash(kit->store, room.room_no, 0, &L));
	assert_true(digest_is_zero(&L));
	assert_ok(store_log_hash(kit->store, room.room_no, 77, &L));
	assert_true(digest_equal(&L, &room.entries[76].L));
	assert_err(store_log_hash(kit->store, room.room_no, 201, &L), CHAT_ERR_NOT_FOUND);
	/* a room that is not there is empty */
	c = (struct collected){.room = &room};
	assert_ok(store_reader_range(reader, 999, 1, 10, collect, &c));
	assert_ok(store_reader_back(reader, 999, 10, collect, &c));
	assert_ok(store_reader_events(reader, 999, 1, collect, &c));
	expect(&c, 0, 0, 1);
	store_reader_close(reader);
	model_fini(&room);
}

TEST(engine_reads_a_room)
{
	struct kit *kit = *state;
	struct model_room room;
	struct store_room there;
	struct collected c = {.room = &room};
	uint64_t seed = 7, seq = 0;
	size_t events = 0;
	struct store_op *op;

	model_init(&room, 1);
	op = model_append(kit, &room, 300, &seed);
	kit_commit(kit);
	model_stored(&room, op);
	assert_ok(store_room_by_id(kit->store, &room.room_id, &there));
	assert_int_equal(there.room_no, room.room_no);
	assert_true(log_head_equal(&there.head, &room.head));
	assert_int_equal(there.oldest_whole_seq, 1);
	assert_ok(store_events_each(kit->store, room.room_no, collect, &c));
	for (size_t i = 0; i < room.count; i++)
		events += room.entries[i].kind == ENTRY_EVENT;
	assert_true(events > 5 && events < 100);
	assert_int_equal(c.count, events);
	for (size_t i = 1; i < c.count; i++)
		assert_true(c.seqs[i] > c.seqs[i - 1]);

	/* entry n is of base + (n - 1) * 1000 */
	assert_ok(store_seq_at_time(kit->store, room.room_no, 0, &seq));
	assert_int_equal(seq, 1);
	assert_ok(store_seq_at_time(kit->store, room.room_no, room.entries[99].server_time_ms, &seq));
	assert_int_equal(seq, 100);
	assert_ok(store_seq_at_time(kit->store, room.room_no, room.entries[99].server_time_ms + 1, &seq));
	assert_int_equal(seq, 101);
	assert_ok(store_seq_at_time(kit->store, room.room_no, UINT64_MAX, &seq));
	assert_int_equal(seq, 301);
	assert_err(store_seq_at_time(kit->store, 999, 0, &seq), CHAT_ERR_NOT_FOUND);
	model_fini(&room);
}

static bool
count_room(void *ctx, const struct store_room *room)
{
	uint64_t *last = ctx;

	assert_true(room->room_no > *last);
	*last = room->room_no;
	assert_int_equal(room->head.seq, 1);
	return true;
}

TEST(all_rooms)
{
	struct kit *kit = *state;
	uint64_t seed = 8, last = 0;
	struct store_status status;
	struct model_room room;

	for (unsigned i = 0; i < 20; i++) {
		model_init(&room, i);
		(void)model_append(kit, &room, 1, &seed);
		model_fini(&room);
	}
	kit_commit(kit);
	assert_ok(store_rooms_each(kit->store, 0, count_room, &last));
	assert_int_equal(last, 20);
	last = 20; /* count_room() wants them in order, so the first has to be behind it */
	assert_ok(store_rooms_each(kit->store, 21, count_room, &last));
	last = 7;
	assert_ok(store_rooms_each(kit->store, 8, count_room, &last));
	assert_int_equal(last, 20);
	assert_ok(store_status(kit->store, &status));
	assert_int_equal(status.rooms, 20);
	assert_int_equal(status.entries, 20);
}

/* More rooms in a turn, and several times over, than any store would remember. */
TEST(thousands_of_rooms)
{
	enum { ROOMS = 2500 };
	struct kit *kit = *state;
	struct model_room *rooms = calloc(ROOMS, sizeof(*rooms));
	struct store_op **ops = calloc(ROOMS * 3, sizeof(struct store_op *));
	size_t *which = calloc(ROOMS * 3, sizeof(*which));
	uint64_t seed = 11;

	assert_non_null(rooms);
	assert_non_null(ops);
	assert_non_null(which);
	for (size_t i = 0; i < ROOMS; i++)
		model_init(&rooms[i], i);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < ROOMS * 3; i++) {
			which[i] = turn == 0 && i < ROOMS ? i : unit_rand(&seed) % ROOMS;
			ops[i] = model_append(kit, &rooms[which[i]], 1, &seed);
		}
		kit_commit(kit);
		for (size_t i = 0; i < ROOMS * 3; i++)
			model_stored(&rooms[which[i]], ops[i]);
		if (turn == 1)
			kit_reopen(kit);
	}
	struct store_reader *reader = kit_reader(kit);
	for (size_t i = 0; i < ROOMS; i += 7)
		model_compare(&rooms[i], reader);
	store_reader_close(reader);
	for (size_t i = 0; i < ROOMS; i++)
		model_fini(&rooms[i]);
	free(rooms);
	free(ops);
	free(which);
}

/* ---- snapshots ---- */

static bool
no_wraps(void *ctx, const struct store_epoch_wraps *wraps)
{
	(void)ctx;
	assert_int_equal(wraps->wrap.len, 0);
	return true;
}

/* Every kind of read without a begin: each sees the newest state, so none leaves one behind. */
static void
read_newest(const struct model_room *room, struct store_reader *reader)
{
	struct collected c = {.room = room, .stop_at = 1};
	struct log_preimage preimage;
	struct digest L;

	assert_ok(store_reader_range(reader, room->room_no, room->count, UINT64_MAX, collect, &c));
	expect(&c, room->count, 1, 1);
	c.count = 0;
	assert_ok(store_reader_back(reader, room->room_no, UINT64_MAX, collect, &c));
	expect(&c, room->count, 1, -1);
	assert_ok(store_reader_log_hash(reader, room->room_no, room->count, &L));
	assert_ok(store_reader_preimage(reader, room->room_no, room->count, &preimage));
	assert_ok(store_reader_wraps(reader, room->room_no, &L, &L, 1, no_wraps, NULL));
	c.count = 0;
	assert_ok(store_reader_events(reader, room->room_no, 1, collect, &c));
	expect(&c, 1, 1, 1);
}

TEST(readers_see_one_state)
{
	struct kit *kit = *state;
	struct store_reader *old = kit_reader(kit), *fresh = kit_reader(kit);
	struct model_room room, before;
	struct store_room there;
	uint64_t seed = 9;
	struct store_op *op;

	model_init(&room, 1);
	op = model_append(kit, &room, 100, &seed);
	kit_commit(kit);
	model_stored(&room, op);
	before = room;

	assert_ok(store_reader_begin(old));
	assert_ok(store_reader_room(old, &room.room_id, &there));
	for (unsigned i = 0; i < 50; i++) {
		struct collected c = {.room = &room};

		op = model_append(kit, &room, 3, &seed);
		kit_commit(kit);
		model_stored(&room, op);
		store_maintain(kit->store);

		assert_ok(store_reader_room(old, &room.room_id, &there));
		assert_true(log_head_equal(&there.head, &before.head));
		assert_ok(store_reader_range(old, room.room_no, 90, UINT64_MAX, collect, &c));
		expect(&c, 90, 11, 1);
		assert_ok(store_reader_room(fresh, &room.room_id, &there));
		assert_true(log_head_equal(&there.head, &room.head));
		read_newest(&room, fresh);
	}
	store_reader_end(old);
	model_compare(&room, old);
	model_compare(&room, fresh);
	store_reader_close(old);
	store_reader_close(fresh);
	model_fini(&room);
}

/* ---- retention ---- */

static void
strip_model(struct model_room *room, uint64_t below)
{
	for (uint64_t seq = 1; seq < below; seq++) {
		if (room->entries[seq - 1].kind == ENTRY_MESSAGE)
			room->entries[seq - 1].whole = false;
	}
	room->whole_from = below;
}

static struct store_op *
strip(struct kit *kit, const struct model_room *room, uint64_t below, uint32_t max)
{
	struct store_op *op = kit_op(kit, STORE_STRIP);

	op->strip = (struct store_strip){.room_id = room->room_id, .below_seq = below, .max_entries = max};
	return op;
}

TEST(stripping_keeps_numbers_and_hashes)
{
	struct kit *kit = *state;
	struct model_room room, other;
	uint64_t seed = 10;
	struct store_op *op[4];

	model_init(&room, 1);
	model_init(&other, 2);
	for (unsigned i = 0; i < 30; i++) {
		(void)model_append(kit, &other, 9, &seed);
		op[0] = model_append(kit, &room, 10, &seed);
		kit_commit(kit);
		model_stored(&room, op[0]);
	}
	other.room_no = store_batch_op(kit->batch, 0)->result.room_no;

	op[0] = strip(kit, &room, 100, 1000);
	op[1] = strip(kit, &room, 100, 1000);
	op[2] = strip(kit, &room, 50, 1000);
	op[3] = strip(kit, &room, 280, 61);
	op[3]->strip.room_id = kit_digest("room", 3);
	kit_commit(kit);
	strip_model(&room, 100);
	assert_int_equal(op[0]->result.outcome, STORE_STORED);
	assert_int_equal(op[0]->result.first_seq, 100);
	assert_int_equal(op[1]->result.outcome, STORE_ALREADY);
	assert_int_equal(op[1]->result.first_seq, 100);
	assert_int_equal(op[2]->result.outcome, STORE_ALREADY);
	assert_int_equal(op[2]->result.first_seq, 100);
	assert_int_equal(op[3]->result.outcome, STORE_CONFLICT);
	compare(kit, &room);
	compare(kit, &other);

	/* a part at a time, beside new entries */
	op[0] = model_append(kit, &room, 5, &seed);
	op[1] = strip(kit, &room, 400, 61);
	op[2] = model_append(kit, &room, 5, &seed);
	kit_commit(kit);
	model_stored(&room, op[0]);
	model_stored(&room, op[2]);
	assert_int_equal(op[1]->result.first_seq, 161);
	strip_model(&room, 161);
	compare(kit, &room);
	kit_reopen(kit);
	compare(kit, &room);

	/* everything, and on */
	op[0] = strip(kit, &room, UINT64_MAX, 1000);
	kit_commit(kit);
	assert_int_equal(op[0]->result.first_seq, 311);
	strip_model(&room, 311);
	op[0] = model_append(kit, &room, 80, &seed);
	kit_commit(kit);
	model_stored(&room, op[0]);
	compare(kit, &room);
	compare(kit, &other);
	model_fini(&room);
	model_fini(&other);
}

/* An entry with a time of its own; the first is the create. */
static struct store_op *
append_at(struct kit *kit, struct model_room *room, uint64_t time_ms)
{
	struct store_op *op = kit_op(kit, STORE_APPEND);
	struct store_new_entry *entry = store_batch_alloc(kit->batch, sizeof(*entry));

	assert_non_null(entry);
	*entry = (struct store_new_entry){.kind = room->count == 0 ? ENTRY_EVENT : ENTRY_MESSAGE,
	    .server_time_ms = time_ms,
	    .wire = BYTES_STR("entry"),
	    .entry_hash = kit_digest("at", room->count),
	    .event_hash = kit_digest("at", room->count)};
	op->append = (struct store_append){
	    .room_id = room->room_id, .expected_seq = room->head.seq, .entries = entry, .entry_count = 1};
	model_take(room, entry);
	return op;
}

TEST(stripping_by_age_ends_at_the_first_that_is_younger)
{
	/* The clock was set back twice. */
	static const uint64_t times[] = {10, 20, 20, 30, 90, 25, 26, 40, 5, 50};
	static const struct {
		uint64_t before_ms;
		uint32_t max;
		uint64_t whole_from;
		uint32_t removed;
	} steps[] = {{10, 99, 1, 0}, {20, 99, 2, 0}, {21, 99, 4, 2}, {21, 99, 4, 0}, {60, 99, 5, 1},
	    {90, 99, 5, 0}, {91, 2, 7, 2}, {91, 99, 11, 4}, {91, 99, 11, 0}};
	struct kit *kit = *state;
	struct model_room room;
	uint64_t before = 1, seq = 0;

	model_init(&room, 1);
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		(void)append_at(kit, &room, times[i]);
	kit_commit(kit);
	room.room_no = store_batch_op(kit->batch, 0)->result.room_no;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct store_op *op = strip(kit, &room, UINT64_MAX, steps[i].max);

		op->strip.before_ms = steps[i].before_ms;
		kit_commit(kit);
		assert_int_equal(
		    op->result.outcome, steps[i].whole_from > before ? STORE_STORED : STORE_ALREADY);
		assert_int_equal(op->result.first_seq, steps[i].whole_from);
		assert_int_equal(op->result.removed, steps[i].removed);
		before = steps[i].whole_from;
		strip_model(&room, before);
		compare(kit, &room);
	}
	/* What finds the place by halving may be wrong where times fall, but not out of the room. */
	for (uint64_t ms = 0; ms < 100; ms++) {
		assert_ok(store_seq_at_time(kit->store, room.room_no, ms, &seq));
		assert_true(seq >= 1 && seq <= room.head.seq + 1);
	}
	model_fini(&room);
}

int
main(void)
{
	static const struct kit_test tests[] = {
	    KIT_TEST(empty_store),
	    KIT_TEST(numbers_have_no_gaps),
	    KIT_TEST(conflict_undoes_only_itself),
	    KIT_TEST(conflict_leaves_nothing),
	    KIT_TEST(later_operations_see_earlier_ones),
	    KIT_TEST(batch_keeps_addresses),
	    KIT_TEST(lengths_around_blocks),
	    KIT_TEST(ranges_at_the_edges),
	    KIT_TEST(engine_reads_a_room),
	    KIT_TEST(all_rooms),
	    KIT_TEST(thousands_of_rooms),
	    KIT_TEST(readers_see_one_state),
	    KIT_TEST(stripping_keeps_numbers_and_hashes),
	    KIT_TEST(stripping_by_age_ends_at_the_first_that_is_younger),
	};

	return kit_run(tests, ARRAY_LEN(tests));
}
