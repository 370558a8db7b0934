/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The contract of store.h for what stands beside the logs: counters, stays, cursors, wraps, accounts. */

#include "store_kit.h"

/* ---- counters ---- */

struct counters {
	struct store_counter list[64];
	size_t count;
};

static bool
take_counter(void *ctx, const struct store_counter *counter)
{
	struct counters *c = ctx;

	assert_true(c->count < ARRAY_LEN(c->list));
	c->list[c->count++] = *counter;
	return true;
}

static uint64_t
counter_of(const struct counters *c, const struct digest *sender, uint8_t device)
{
	for (size_t i = 0; i < c->count; i++) {
		if (digest_equal(&c->list[i].sender, sender) && c->list[i].device.b[7] == device)
			return c->list[i].last;
	}
	return 0;
}

TEST(counters)
{
	struct kit *kit = *state;
	struct model_room rooms[2];
	const struct digest alice = kit_digest("member", 1), bob = kit_digest("member", 2);
	struct store_counter first[] = {
	    {alice, {{[7] = 1}}, 5}, {alice, {{[7] = 2}}, 1}, {bob, {{[7] = 1}}, 9}};
	struct store_counter second[] = {{alice, {{[7] = 1}}, 6}, {bob, {{[7] = 3}}, UINT64_MAX}};
	struct counters c = {.count = 0};
	uint64_t seed = 1;
	struct store_op *op[3];

	model_init(&rooms[0], 1);
	model_init(&rooms[1], 2);
	op[0] = model_append(kit, &rooms[0], 1, &seed);
	op[0]->append.counters = first;
	op[0]->append.counter_count = ARRAY_LEN(first);
	op[1] = model_append(kit, &rooms[1], 1, &seed);
	op[2] = model_append(kit, &rooms[0], 1, &seed);
	op[2]->append.counters = second;
	op[2]->append.counter_count = ARRAY_LEN(second);
	kit_commit(kit);
	model_stored(&rooms[0], op[0]);
	model_stored(&rooms[1], op[1]);
	for (unsigned again = 0; again < 2; again++) {
		c.count = 0;
		assert_ok(store_counters_each(kit->store, rooms[0].room_no, take_counter, &c));
		assert_int_equal(c.count, 4);
		assert_int_equal(counter_of(&c, &alice, 1), 6);
		assert_int_equal(counter_of(&c, &alice, 2), 1);
		assert_int_equal(counter_of(&c, &bob, 1), 9);
		assert_true(counter_of(&c, &bob, 3) == UINT64_MAX);
		c.count = 0;
		assert_ok(store_counters_each(kit->store, rooms[1].room_no, take_counter, &c));
		assert_int_equal(c.count, 0);
		kit_reopen(kit);
	}
	model_fini(&rooms[0]);
	model_fini(&rooms[1]);
}

/* ---- stays and cursors ---- */

#define ROOMS 12

struct member_rooms {
	struct store_member_room list[ROOMS];
	size_t count;
};

static bool
take_member_room(void *ctx, const struct store_member_room *room)
{
	struct member_rooms *m = ctx;

	assert_true(m->count < ROOMS);
	if (m->count > 0)
		assert_true(digest_compare(&m->list[m->count - 1].room_id, &room->room_id) < 0);
	m->list[m->count++] = *room;
	return true;
}

static struct member_rooms
rooms_of(struct kit *kit, const struct digest *member)
{
	struct member_rooms m = {.count = 0};

	assert_ok(store_member_rooms_each(kit->store, member, take_member_room, &m));
	return m;
}

static struct store_member_room
find_room(const struct member_rooms *m, const struct model_room *room)
{
	for (size_t i = 0; i < m->count; i++) {
		if (digest_equal(&m->list[i].room_id, &room->room_id))
			return m->list[i];
	}
	fail_msg("the member is not in the room");
	return (struct store_member_room){0};
}

TEST(stays_and_cursors)
{
	struct kit *kit = *state;
	struct model_room rooms[ROOMS];
	const struct digest alice = kit_digest("member", 1), bob = kit_digest("member", 2);
	const struct store_stay_change both[] = {{alice, STORE_JOINED, 1}, {bob, STORE_INVITED, 2}};
	const struct store_stay_change bob_joins[] = {{bob, STORE_JOINED, 2}};
	const struct store_stay_change bob_is_back[] = {{bob, STORE_OUT, 2}, {bob, STORE_INVITED, 5}};
	const struct store_stay_change bob_comes_again[] = {{bob, STORE_INVITED, 7}};
	const struct store_stay_change bob_goes[] = {{bob, STORE_OUT, 7}};
	struct member_rooms m;
	struct log_head head;
	uint64_t seed = 2;
	struct store_op *op[4];

	for (size_t i = 0; i < ROOMS; i++) {
		model_init(&rooms[i], i);
		op[0] = model_append(kit, &rooms[i], 2, &seed);
		op[0]->append.stays = both;
		op[0]->append.stay_count = i % 3 ? 1 : 2;
	}
	kit_commit(kit);
	m = rooms_of(kit, &alice);
	assert_int_equal(m.count, ROOMS);
	m = rooms_of(kit, &bob);
	assert_int_equal(m.count, ROOMS / 3);
	assert_int_equal(find_room(&m, &rooms[3]).stay, STORE_INVITED);
	assert_int_equal(find_room(&m, &rooms[3]).since_seq, 2);
	assert_int_equal(find_room(&m, &rooms[3]).read_seq, 0);

	op[0] = model_append(kit, &rooms[3], 1, &seed);
	op[0]->append.stays = bob_joins;
	op[0]->append.stay_count = 1;
	op[1] = kit_op(kit, STORE_SET_CURSOR);
	op[1]->set_cursor = (struct store_set_cursor){rooms[3].room_id, bob, 3};
	op[2] = kit_op(kit, STORE_SET_CURSOR);
	op[2]->set_cursor = (struct store_set_cursor){rooms[1].room_id, bob, 3};
	kit_commit(kit);
	assert_int_equal(op[1]->result.outcome, STORE_STORED);
	assert_int_equal(op[2]->result.outcome, STORE_CONFLICT);
	m = rooms_of(kit, &bob);
	assert_int_equal(m.count, ROOMS / 3);
	assert_int_equal(find_room(&m, &rooms[3]).stay, STORE_JOINED);
	assert_int_equal(find_room(&m, &rooms[3]).read_seq, 3);
	assert_int_equal(find_room(&m, &rooms[3]).head.seq, 3);
	head = find_room(&m, &rooms[3]).head;
	assert_true(log_head_equal(&head, &rooms[3].head));
	m = rooms_of(kit, &alice);
	assert_int_equal(find_room(&m, &rooms[3]).read_seq, 0);

	/* a new stay has a new cursor, also where the end of the last one was in the same append */
	op[0] = model_append(kit, &rooms[3], 2, &seed);
	op[0]->append.stays = bob_is_back;
	op[0]->append.stay_count = 2;
	kit_commit(kit);
	m = rooms_of(kit, &bob);
	assert_int_equal(find_room(&m, &rooms[3]).stay, STORE_INVITED);
	assert_int_equal(find_room(&m, &rooms[3]).since_seq, 5);
	assert_int_equal(find_room(&m, &rooms[3]).read_seq, 0);
	/* a cursor may go back */
	for (int i = 0; i < 2; i++) {
		uint64_t seq = i == 0 ? 4 : 1;

		op[1] = kit_op(kit, STORE_SET_CURSOR);
		op[1]->set_cursor = (struct store_set_cursor){rooms[3].room_id, bob, seq};
		kit_commit(kit);
		m = rooms_of(kit, &bob);
		assert_int_equal(find_room(&m, &rooms[3]).read_seq, seq);
	}
	kit_reopen(kit);
	m = rooms_of(kit, &bob);
	assert_int_equal(find_room(&m, &rooms[3]).read_seq, 1);

	/* the same where only the last of it was said */
	op[0] = model_append(kit, &rooms[3], 2, &seed);
	op[0]->append.stays = bob_comes_again;
	op[0]->append.stay_count = 1;
	kit_commit(kit);
	m = rooms_of(kit, &bob);
	assert_int_equal(find_room(&m, &rooms[3]).since_seq, 7);
	assert_int_equal(find_room(&m, &rooms[3]).read_seq, 0);

	/* an ended stay is forgotten */
	op[0] = model_append(kit, &rooms[3], 1, &seed);
	op[0]->append.stays = bob_goes;
	op[0]->append.stay_count = 1;
	kit_commit(kit);
	m = rooms_of(kit, &bob);
	assert_int_equal(m.count, ROOMS / 3 - 1);
	op[1] = kit_op(kit, STORE_SET_CURSOR);
	op[1]->set_cursor = (struct store_set_cursor){rooms[3].room_id, bob, 1};
	kit_commit(kit);
	assert_int_equal(op[1]->result.outcome, STORE_CONFLICT);
	for (size_t i = 0; i < ROOMS; i++)
		model_fini(&rooms[i]);
}

/* ---- wraps ---- */

struct wraps {
	uint32_t count;
	bool has_wrap[4];
	uint8_t wrap[4][WRAP_BYTES];
	uint32_t rewrap_count[4];
	uint8_t rewraps[4][REWRAPS_KEPT]; /* their first bytes */
	struct digest epoch_id[4];
};

static bool
take_wraps(void *ctx, const struct store_epoch_wraps *wraps)
{
	struct wraps *w = ctx;

	assert_true(w->count < 4);
	w->epoch_id[w->count] = wraps->epoch_id;
	w->has_wrap[w->count] = wraps->wrap.len > 0;
	if (wraps->wrap.len > 0) {
		assert_int_equal(wraps->wrap.len, WRAP_BYTES);
		memcpy(w->wrap[w->count], wraps->wrap.data, WRAP_BYTES);
	}
	w->rewrap_count[w->count] = wraps->rewrap_count;
	for (uint32_t i = 0; i < wraps->rewrap_count; i++) {
		assert_int_equal(wraps->rewraps[i].len, REWRAP_BYTES);
		for (size_t b = 1; b < REWRAP_BYTES; b++)
			assert_int_equal(wraps->rewraps[i].data[b], wraps->rewraps[i].data[0]);
		w->rewraps[w->count][i] = wraps->rewraps[i].data[0];
	}
	w->count++;
	return true;
}

static struct wraps
wraps_of(
    struct kit *kit, uint64_t room_no, const struct digest *member, const struct digest *epochs, uint32_t n)
{
	struct store_reader *reader = kit_reader(kit);
	struct wraps w = {.count = 0};

	assert_ok(store_reader_wraps(reader, room_no, member, epochs, n, take_wraps, &w));
	assert_int_equal(w.count, n);
	for (uint32_t i = 0; i < n; i++)
		assert_true(digest_equal(&w.epoch_id[i], &epochs[i]));
	store_reader_close(reader);
	return w;
}

static uint8_t *
filled(struct kit *kit, size_t n, uint8_t with)
{
	uint8_t *p = store_batch_alloc(kit->batch, n);

	assert_non_null(p);
	return memset(p, with, n);
}

/* Appends a rekey with a wrap for each of `count` members, 1 and on; wrap bytes are `with` + member. */
static struct store_op *
append_rekey(
    struct kit *kit, struct model_room *room, const struct digest *epoch_id, uint32_t count, uint8_t with)
{
	struct store_op *op = kit_op(kit, STORE_APPEND);
	struct store_new_entry *entry = store_batch_alloc(kit->batch, sizeof(*entry));
	struct store_wrap *wraps = store_batch_alloc(kit->batch, count * sizeof(*wraps));

	assert_non_null(entry);
	assert_non_null(wraps);
	*entry = (struct store_new_entry){.kind = ENTRY_EVENT,
	    .rekey = true,
	    .wire = BYTES_STR("rekey"),
	    .entry_hash = *epoch_id,
	    .event_hash = *epoch_id};
	for (uint32_t i = 0; i < count; i++)
		wraps[i] = (struct store_wrap){
		    *epoch_id, kit_digest("member", i + 1), filled(kit, WRAP_BYTES, (uint8_t)(with + i + 1))};
	op->append = (struct store_append){.room_id = room->room_id,
	    .expected_seq = room->head.seq,
	    .entries = entry,
	    .entry_count = 1,
	    .wraps = wraps,
	    .wrap_count = count};
	model_take(room, entry);
	return op;
}

TEST(wraps)
{
	struct kit *kit = *state;
	struct model_room room, other;
	const struct digest epochs[] = {
	    kit_digest("epoch", 1), kit_digest("epoch", 2), kit_digest("epoch", 3)};
	const struct digest alice = kit_digest("member", 1), bob = kit_digest("member", 2),
			    carol = kit_digest("member", 3);
	struct wraps w;
	uint64_t seed = 3;
	struct store_op *op[6];
	struct store_wrap stray;

	model_init(&room, 1);
	model_init(&other, 2);
	op[0] = model_append(kit, &room, 3, &seed);
	op[1] = append_rekey(kit, &room, &epochs[0], 2, 10);
	op[2] = append_rekey(kit, &room, &epochs[1], 3, 20);
	op[3] = model_append(kit, &other, 1, &seed);
	/* of no rekey among its entries: ignored */
	stray = (struct store_wrap){epochs[0], carol, filled(kit, WRAP_BYTES, 99)};
	op[3]->append.wraps = &stray;
	op[3]->append.wrap_count = 1;
	kit_commit(kit);
	for (unsigned i = 0; i < 3; i++)
		model_stored(&room, op[i]);
	model_stored(&other, op[3]);

	w = wraps_of(kit, room.room_no, &bob, epochs, 3);
	assert_true(w.has_wrap[0] && w.has_wrap[1] && !w.has_wrap[2]);
	for (size_t i = 0; i < WRAP_BYTES; i++) {
		assert_int_equal(w.wrap[0][i], 12);
		assert_int_equal(w.wrap[1][i], 22);
	}
	w = wraps_of(kit, room.room_no, &carol, epochs, 3);
	assert_true(!w.has_wrap[0] && w.has_wrap[1] && !w.has_wrap[2]);
	w = wraps_of(kit, other.room_no, &alice, epochs, 3);
	assert_true(!w.has_wrap[0] && !w.has_wrap[1] && !w.has_wrap[2]);

	/* one that was missing is put later; one that is there stays */
	op[0] = kit_op(kit, STORE_PUT_WRAP);
	op[0]->put_wrap =
	    (struct store_put_wrap){room.room_id, {epochs[0], carol, filled(kit, WRAP_BYTES, 13)}};
	op[1] = kit_op(kit, STORE_PUT_WRAP);
	op[1]->put_wrap =
	    (struct store_put_wrap){room.room_id, {epochs[0], carol, filled(kit, WRAP_BYTES, 77)}};
	op[2] = kit_op(kit, STORE_PUT_WRAP);
	op[2]->put_wrap =
	    (struct store_put_wrap){other.room_id, {epochs[0], carol, filled(kit, WRAP_BYTES, 77)}};
	op[3] = kit_op(kit, STORE_PUT_WRAP);
	op[3]->put_wrap =
	    (struct store_put_wrap){room.room_id, {epochs[2], carol, filled(kit, WRAP_BYTES, 77)}};
	op[4] = kit_op(kit, STORE_PUT_WRAP);
	op[4]->put_wrap = (struct store_put_wrap){epochs[0], {epochs[0], carol, filled(kit, WRAP_BYTES, 77)}};
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_STORED);
	assert_int_equal(op[1]->result.outcome, STORE_ALREADY);
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(op[i]->result.outcome, STORE_CONFLICT);
	kit_reopen(kit);
	w = wraps_of(kit, room.room_no, &carol, epochs, 2);
	assert_true(w.has_wrap[0]);
	assert_int_equal(w.wrap[0][0], 13);
	model_fini(&room);
	model_fini(&other);
}

TEST(rekey_of_a_large_room)
{
	struct kit *kit = *state;
	struct model_room room;
	const struct digest epoch = kit_digest("epoch", 1);
	uint64_t seed = 4;
	struct store_op *op[2];

	model_init(&room, 1);
	op[0] = model_append(kit, &room, 1, &seed);
	op[1] = append_rekey(kit, &room, &epoch, 2000, 0);
	kit_commit(kit);
	model_stored(&room, op[0]);
	model_stored(&room, op[1]);
	for (unsigned i = 1; i <= 2000; i += 111) {
		struct digest member = kit_digest("member", i);
		struct wraps w = wraps_of(kit, room.room_no, &member, &epoch, 1);

		assert_true(w.has_wrap[0]);
		assert_int_equal(w.wrap[0][WRAP_BYTES - 1], i & 0xff);
	}
	model_fini(&room);
}

static struct store_op *
put_rewrap(struct kit *kit, const struct model_room *room, const struct digest *epoch, unsigned wrapper,
    uint8_t with)
{
	struct store_op *op = kit_op(kit, STORE_PUT_REWRAP);

	op->put_rewrap = (struct store_put_rewrap){.room_id = room->room_id,
	    .epoch_id = *epoch,
	    .recipient = kit_digest("member", 1),
	    .wrapper = kit_digest("member", wrapper),
	    .wire = filled(kit, REWRAP_BYTES, with)};
	return op;
}

static void
expect_rewraps(struct kit *kit, const struct model_room *room, const struct digest *epoch, const char *bytes)
{
	struct digest member = kit_digest("member", 1);
	struct wraps w = wraps_of(kit, room->room_no, &member, epoch, 1);

	assert_int_equal(w.rewrap_count[0], strlen(bytes));
	assert_memory_equal(w.rewraps[0], bytes, strlen(bytes));
}

TEST(rewraps)
{
	struct kit *kit = *state;
	struct model_room room, other;
	const struct digest epochs[] = {
	    kit_digest("epoch", 1), kit_digest("epoch", 2), kit_digest("epoch", 3)};
	const struct digest bob = kit_digest("member", 2);
	struct wraps w;
	uint64_t seed = 5;
	struct store_op *op[3];

	model_init(&room, 1);
	model_init(&other, 2);
	op[0] = model_append(kit, &room, 1, &seed);
	op[1] = append_rekey(kit, &room, &epochs[0], 2, 10);
	(void)append_rekey(kit, &room, &epochs[1], 2, 10);
	(void)model_append(kit, &other, 1, &seed);
	kit_commit(kit);
	model_stored(&room, op[0]);

	(void)put_rewrap(kit, &room, &epochs[0], 2, 'a');
	(void)put_rewrap(kit, &room, &epochs[0], 3, 'b');
	kit_commit(kit);
	expect_rewraps(kit, &room, &epochs[0], "ab");
	expect_rewraps(kit, &room, &epochs[1], "");
	/* a wrapper's new one replaces the earlier one, and is the newest */
	(void)put_rewrap(kit, &room, &epochs[0], 2, 'c');
	kit_commit(kit);
	expect_rewraps(kit, &room, &epochs[0], "bc");
	(void)put_rewrap(kit, &room, &epochs[0], 4, 'd');
	kit_commit(kit);
	expect_rewraps(kit, &room, &epochs[0], "bcd");
	/* three stay */
	(void)put_rewrap(kit, &room, &epochs[0], 5, 'e');
	(void)put_rewrap(kit, &room, &epochs[1], 5, 'x');
	kit_commit(kit);
	expect_rewraps(kit, &room, &epochs[0], "cde");
	(void)put_rewrap(kit, &room, &epochs[0], 4, 'f');
	(void)put_rewrap(kit, &room, &epochs[0], 6, 'g');
	(void)put_rewrap(kit, &room, &epochs[0], 3, 'h');
	kit_commit(kit);
	kit_reopen(kit);
	expect_rewraps(kit, &room, &epochs[0], "fgh");
	expect_rewraps(kit, &room, &epochs[1], "x");
	/* they are the recipient's alone */
	w = wraps_of(kit, room.room_no, &bob, epochs, 2);
	assert_int_equal(w.rewrap_count[0], 0);
	assert_true(w.has_wrap[0]);

	op[0] = put_rewrap(kit, &room, &epochs[2], 2, 'z');
	op[1] = put_rewrap(kit, &other, &epochs[0], 2, 'z');
	op[2] = put_rewrap(kit, &room, &epochs[1], 2, 'y');
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_CONFLICT);
	assert_int_equal(op[1]->result.outcome, STORE_CONFLICT);
	assert_int_equal(op[2]->result.outcome, STORE_STORED);
	expect_rewraps(kit, &room, &epochs[0], "fgh");
	expect_rewraps(kit, &room, &epochs[1], "xy");
	model_fini(&room);
	model_fini(&other);
}

TEST(stripping_drops_spent_wraps)
{
	struct kit *kit = *state;
	struct model_room room;
	const struct digest epochs[] = {
	    kit_digest("epoch", 1), kit_digest("epoch", 2), kit_digest("epoch", 3)};
	const struct digest alice = kit_digest("member", 1);
	struct wraps w;
	uint64_t seed = 6;
	struct store_op *op;

	/* 1 create, 2 rekey, 3..12, 13 rekey, 14..23, 24 rekey, 25..34 */
	model_init(&room, 1);
	op = model_append(kit, &room, 1, &seed);
	for (size_t i = 0; i < 3; i++) {
		(void)append_rekey(kit, &room, &epochs[i], 2, 10);
		(void)model_append(kit, &room, 10, &seed);
		(void)put_rewrap(kit, &room, &epochs[i], 2, 'a');
	}
	kit_commit(kit);
	model_stored(&room, op);
	static const struct {
		uint64_t below;
		bool left[3];
	} steps[] = {{12, {true, true, true}}, {13, {false, true, true}}, {20, {false, true, true}},
	    {24, {false, false, true}}, {100, {false, false, true}}};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		op = kit_op(kit, STORE_STRIP);
		op->strip = (struct store_strip){
		    .room_id = room.room_id, .below_seq = steps[i].below, .max_entries = 1000};
		kit_commit(kit);
		assert_int_equal(op->result.outcome, STORE_STORED);
		w = wraps_of(kit, room.room_no, &alice, epochs, 3);
		for (size_t e = 0; e < 3; e++) {
			assert_int_equal(w.has_wrap[e], steps[i].left[e]);
			assert_int_equal(w.rewrap_count[e], steps[i].left[e]);
		}
	}
	op = put_rewrap(kit, &room, &epochs[0], 2, 'a');
	kit_commit(kit);
	assert_int_equal(op->result.outcome, STORE_CONFLICT);
	model_fini(&room);
}

TEST(wraps_of_many_epochs_go_in_several_steps)
{
	enum { EPOCHS = 40, READERS = 200 };
	struct kit *kit = *state;
	struct model_room room;
	struct digest epochs[EPOCHS];
	const struct digest alice = kit_digest("member", 1);
	unsigned steps = 0, left = EPOCHS;
	uint64_t seed = 9;
	struct store_op *op;

	model_init(&room, 1);
	(void)model_append(kit, &room, 1, &seed);
	for (size_t i = 0; i < EPOCHS; i++) {
		epochs[i] = kit_digest("epoch", i + 1);
		(void)append_rekey(kit, &room, &epochs[i], READERS, 10);
	}
	kit_commit(kit);
	room.room_no = store_batch_op(kit->batch, 0)->result.room_no;
	do {
		struct wraps w;
		unsigned now = 0;

		op = kit_op(kit, STORE_STRIP);
		op->strip = (struct store_strip){
		    .room_id = room.room_id, .below_seq = UINT64_MAX, .max_entries = 1000};
		kit_commit(kit);
		for (size_t i = 0; i < EPOCHS; i++) {
			w = wraps_of(kit, room.room_no, &alice, &epochs[i], 1);
			now += w.has_wrap[0];
		}
		assert_true(now <= left && left - now <= 8); /* some at a time */
		left = now;
		steps++;
	} while (op->result.outcome == STORE_STORED);
	assert_int_equal(op->result.outcome, STORE_ALREADY);
	assert_int_equal(left, 1); /* the last epoch's stay */
	assert_true(steps > EPOCHS / 8);
	model_fini(&room);
}

/* ---- accounts ---- */

static struct store_op *
put_identity(struct kit *kit, const char *account, const char *account_id, uint64_t n)
{
	struct store_op *op = kit_op(kit, STORE_PUT_IDENTITY);

	op->put_identity = (struct store_put_identity){.account = BYTES_STR(account),
	    .account_id = BYTES_STR(account_id),
	    .member_id = kit_digest("member", n),
	    .card_hash = kit_digest("card", n),
	    .card = BYTES(filled(kit, 600, (uint8_t)n), 600),
	    .bag = BYTES(filled(kit, 14000, (uint8_t)(n + 1)), 14000),
	    .recovery = BYTES(filled(kit, 93, (uint8_t)(n + 2)), n % 2 ? 93 : 0),
	    .bag_version = 1,
	    .proof = kit_digest("proof", n)};
	return op;
}

static void
expect_account(const struct store_account *a, const char *account, const char *account_id, uint64_t n)
{
	struct digest member = kit_digest("member", n), card = kit_digest("card", n),
		      proof = kit_digest("proof", n);

	assert_bytes_equal(a->account, BYTES_STR(account));
	assert_bytes_equal(a->account_id, BYTES_STR(account_id));
	assert_true(digest_equal(&a->member_id, &member));
	assert_true(digest_equal(&a->card_hash, &card));
	assert_true(digest_equal(&a->proof, &proof));
	assert_int_equal(a->bag_version, 1);
	assert_int_equal(a->card.len, 600);
	assert_int_equal(a->card.data[599], (uint8_t)n);
	assert_int_equal(a->bag.len, 14000);
	assert_int_equal(a->bag.data[13999], (uint8_t)(n + 1));
	assert_int_equal(a->recovery.len, n % 2 ? 93 : 0);
}

struct names {
	char text[256];
};

static bool
take_name(void *ctx, struct bytes account, struct bytes account_id, const struct digest *member_id)
{
	struct names *names = ctx;
	size_t len = strlen(names->text);

	assert_false(digest_is_zero(member_id));
	(void)snprintf(names->text + len, sizeof(names->text) - len, "%.*s/%.*s ", (int)account.len,
	    (const char *)account.data, (int)account_id.len, (const char *)account_id.data);
	return true;
}

static void
expect_names(struct kit *kit, const char *expected)
{
	struct names names = {.text = ""};

	assert_ok(store_accounts_each(kit->store, take_name, &names));
	assert_string_equal(names.text, expected);
}

TEST(identities)
{
	struct kit *kit = *state;
	struct store_account a;
	struct digest member, expected;
	struct store_op *op[5];

	op[0] = put_identity(kit, "bob", "", 2);
	op[1] = put_identity(kit, "alice", "7f", 1);
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_STORED);
	assert_int_equal(op[1]->result.outcome, STORE_STORED);

	op[0] = put_identity(kit, "alice", "7f", 1); /* the same again, after an answer that was lost */
	op[1] = put_identity(kit, "alice", "7f", 3); /* the name is taken */
	op[2] = put_identity(kit, "carol", "", 2);   /* the member is bob's */
	op[3] = put_identity(kit, "carol", "", 3);
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_ALREADY);
	assert_int_equal(op[1]->result.outcome, STORE_CONFLICT);
	expected = kit_digest("member", 1);
	assert_true(digest_equal(&op[1]->result.current, &expected));
	assert_int_equal(op[2]->result.outcome, STORE_CONFLICT);
	expected = kit_digest("member", 2);
	assert_true(digest_equal(&op[2]->result.current, &expected));
	assert_int_equal(op[3]->result.outcome, STORE_STORED);

	for (unsigned again = 0; again < 2; again++) {
		assert_ok(store_account_by_name(kit->store, BYTES_STR("alice"), &a));
		expect_account(&a, "alice", "7f", 1);
		assert_false(a.retired);
		member = kit_digest("member", 2);
		assert_ok(store_account_by_member(kit->store, &member, &a));
		expect_account(&a, "bob", "", 2);
		assert_err(store_account_by_name(kit->store, BYTES_STR("dave"), &a), CHAT_ERR_NOT_FOUND);
		assert_err(store_account_by_name(kit->store, BYTES_STR("ALICE"), &a), CHAT_ERR_NOT_FOUND);
		assert_err(store_account_by_name(kit->store, BYTES_STR("alic"), &a), CHAT_ERR_NOT_FOUND);
		member = kit_digest("member", 9);
		assert_err(store_account_by_member(kit->store, &member, &a), CHAT_ERR_NOT_FOUND);
		expect_names(kit, "alice/7f bob/ carol/ ");
		kit_reopen(kit);
	}
}

static struct store_op *
put_bag(struct kit *kit, const char *account, uint64_t expected, uint64_t version, uint8_t with)
{
	struct store_op *op = kit_op(kit, STORE_PUT_BAG);

	op->put_bag = (struct store_put_bag){
	    BYTES_STR(account), expected, version, BYTES(filled(kit, 5000, with), 5000)};
	return op;
}

TEST(bag_is_compare_and_swap)
{
	struct kit *kit = *state;
	struct store_account a;
	struct store_op *op[6];

	(void)put_identity(kit, "alice", "", 1);
	kit_commit(kit);
	op[0] = put_bag(kit, "alice", 1, 2, 'a');
	op[1] = put_bag(kit, "alice", 1, 2, 'a'); /* again */
	op[2] = put_bag(kit, "alice", 1, 2, 'b'); /* lost the race */
	op[3] = put_bag(kit, "alice", 3, 4, 'c');
	op[4] = put_bag(kit, "bob", 0, 1, 'd');
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_STORED);
	assert_int_equal(op[0]->result.version, 2);
	assert_int_equal(op[1]->result.outcome, STORE_ALREADY);
	for (unsigned i = 2; i < 4; i++) {
		assert_int_equal(op[i]->result.outcome, STORE_CONFLICT);
		assert_int_equal(op[i]->result.version, 2);
	}
	assert_int_equal(op[4]->result.outcome, STORE_CONFLICT);
	assert_int_equal(op[4]->result.version, 0);
	assert_ok(store_account_by_name(kit->store, BYTES_STR("alice"), &a));
	assert_int_equal(a.bag_version, 2);
	assert_int_equal(a.bag.len, 5000);
	assert_int_equal(a.bag.data[4999], 'a');
	assert_int_equal(a.card.len, 600);
}

static struct store_op *
put_card(struct kit *kit, const char *account, uint64_t expected, uint64_t next)
{
	struct store_op *op = kit_op(kit, STORE_PUT_CARD);

	op->put_card = (struct store_put_card){BYTES_STR(account), kit_digest("card", expected),
	    kit_digest("card", next), BYTES(filled(kit, 700, (uint8_t)next), 700)};
	return op;
}

TEST(card_is_compare_and_swap)
{
	struct kit *kit = *state;
	struct store_account a;
	struct digest card1 = kit_digest("card", 1), card2 = kit_digest("card", 2);
	struct store_op *op[4];

	(void)put_identity(kit, "alice", "", 1);
	kit_commit(kit);
	op[0] = put_card(kit, "alice", 3, 2);
	op[1] = put_card(kit, "alice", 1, 2);
	op[2] = put_card(kit, "alice", 1, 2);
	op[3] = put_card(kit, "bob", 1, 2);
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_CONFLICT);
	assert_true(digest_equal(&op[0]->result.current, &card1));
	assert_int_equal(op[1]->result.outcome, STORE_STORED);
	assert_int_equal(op[2]->result.outcome, STORE_ALREADY);
	assert_true(digest_equal(&op[2]->result.current, &card2));
	assert_int_equal(op[3]->result.outcome, STORE_CONFLICT);
	assert_true(digest_is_zero(&op[3]->result.current));
	assert_ok(store_account_by_name(kit->store, BYTES_STR("alice"), &a));
	assert_true(digest_equal(&a.card_hash, &card2));
	assert_int_equal(a.card.len, 700);
	assert_int_equal(a.card.data[0], 2);
}

TEST(recovery_proof_and_retirement)
{
	struct kit *kit = *state;
	struct store_account a;
	struct digest member = kit_digest("member", 1), proof = kit_digest("proof", 77);
	struct store_op *op[6];

	(void)put_identity(kit, "alice", "1", 1);
	kit_commit(kit);
	op[0] = kit_op(kit, STORE_PUT_RECOVERY);
	op[0]->put_recovery = (struct store_put_recovery){BYTES_STR("alice"), BYTES_STR("blob")};
	op[1] = kit_op(kit, STORE_SET_PROOF);
	op[1]->set_proof = (struct store_set_proof){BYTES_STR("alice"), proof};
	op[2] = kit_op(kit, STORE_PUT_RECOVERY);
	op[2]->put_recovery = (struct store_put_recovery){BYTES_STR("bob"), BYTES_STR("blob")};
	op[3] = kit_op(kit, STORE_SET_PROOF);
	op[3]->set_proof = (struct store_set_proof){BYTES_STR("bob"), proof};
	op[4] = kit_op(kit, STORE_RETIRE_ACCOUNT);
	op[4]->retire_account = (struct store_retire_account){BYTES_STR("bob")};
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_STORED);
	assert_int_equal(op[1]->result.outcome, STORE_STORED);
	for (unsigned i = 2; i < 5; i++)
		assert_int_equal(op[i]->result.outcome, STORE_CONFLICT);
	assert_ok(store_account_by_name(kit->store, BYTES_STR("alice"), &a));
	assert_bytes_equal(a.recovery, BYTES_STR("blob"));
	assert_true(digest_equal(&a.proof, &proof));
	op[0] = kit_op(kit, STORE_PUT_RECOVERY);
	op[0]->put_recovery = (struct store_put_recovery){BYTES_STR("alice"), BYTES_EMPTY};
	kit_commit(kit);
	assert_ok(store_account_by_name(kit->store, BYTES_STR("alice"), &a));
	assert_int_equal(a.recovery.len, 0);

	/* the name is free, the record stays with its member, and a new one inherits nothing */
	op[0] = kit_op(kit, STORE_RETIRE_ACCOUNT);
	op[0]->retire_account = (struct store_retire_account){BYTES_STR("alice")};
	op[1] = put_bag(kit, "alice", 1, 2, 'a');
	op[2] = put_identity(kit, "alice", "2", 1);
	op[3] = put_identity(kit, "alice", "2", 5);
	op[4] = kit_op(kit, STORE_RETIRE_ACCOUNT);
	op[4]->retire_account = (struct store_retire_account){BYTES_STR("alice")};
	op[5] = put_identity(kit, "alice", "3", 7);
	kit_commit(kit);
	assert_int_equal(op[0]->result.outcome, STORE_STORED);
	assert_int_equal(op[1]->result.outcome, STORE_CONFLICT);
	assert_int_equal(op[2]->result.outcome, STORE_CONFLICT);
	assert_true(digest_equal(&op[2]->result.current, &member));
	for (unsigned i = 3; i < 6; i++)
		assert_int_equal(op[i]->result.outcome, STORE_STORED);
	kit_reopen(kit);
	assert_ok(store_account_by_name(kit->store, BYTES_STR("alice"), &a));
	expect_account(&a, "alice", "3", 7);
	assert_ok(store_account_by_member(kit->store, &member, &a));
	assert_true(a.retired);
	assert_bytes_equal(a.account, BYTES_STR("alice"));
	assert_bytes_equal(a.account_id, BYTES_STR("1"));
	expect_names(kit, "alice/3 ");
}

int
main(void)
{
	static const struct kit_test tests[] = {
	    KIT_TEST(counters),
	    KIT_TEST(stays_and_cursors),
	    KIT_TEST(wraps),
	    KIT_TEST(rekey_of_a_large_room),
	    KIT_TEST(rewraps),
	    KIT_TEST(stripping_drops_spent_wraps),
	    KIT_TEST(wraps_of_many_epochs_go_in_several_steps),
	    KIT_TEST(identities),
	    KIT_TEST(bag_is_compare_and_swap),
	    KIT_TEST(card_is_compare_and_swap),
	    KIT_TEST(recovery_proof_and_retirement),
	};

	return kit_run(tests, ARRAY_LEN(tests));
}
