/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store_kit.h"

#include <assert.h>
#include <stdio.h>

#include "crypto/hash.h"

static enum chat_err
open_sqlite(const char *dir, struct store **ret, char error[static STORE_ERROR_BYTES])
{
	const struct store_options options = {0};
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/chat.db", dir);
	return store_open(path, &options, ret, error);
}

const struct store_kind store_kinds[] = {
    {"sqlite", open_sqlite},
};
const size_t store_kind_count = ARRAY_LEN(store_kinds);

/* ---- the kit ---- */

static void
open_it(struct kit *kit)
{
	char error[STORE_ERROR_BYTES] = "";
	enum chat_err err = kit->kind->open(kit->dir, &kit->store, error);

	if (err)
		fail_msg("%s: %s: %s", kit->kind->name, chat_err_name(err), error);
}

static int
setup(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	assert_non_null(kit);
	kit->kind = *state;
	kit->dir = unit_temp_dir();
	kit->batch = store_batch_new();
	assert_non_null(kit->batch);
	open_it(kit);
	*state = kit;
	return 0;
}

static int
teardown(void **state)
{
	struct kit *kit = *state;

	store_close(kit->store);
	store_batch_free(kit->batch);
	free(kit->dir);
	free(kit);
	return 0;
}

int
kit_run(const struct kit_test *tests, size_t count)
{
	struct CMUnitTest *runs = calloc(count * store_kind_count, sizeof(*runs));
	int failed;

	assert(runs);
	for (size_t k = 0; k < store_kind_count; k++) {
		for (size_t i = 0; i < count; i++) {
			struct CMUnitTest run = {
			    .test_func = tests[i].test, .setup_func = setup, .teardown_func = teardown};
			char *name = NULL;
			/* cmocka hands the kind to setup() as it came. */
			union {
				const struct store_kind *kind;
				void *state;
			} initial = {.kind = &store_kinds[k]};

			if (asprintf(&name, "%s: %s", store_kinds[k].name, tests[i].name) < 0)
				abort();
			run.name = name;
			run.initial_state = initial.state;
			memcpy(&runs[k * count + i], &run, sizeof(run));
		}
	}
	failed = _cmocka_run_group_tests("store", runs, count * store_kind_count, NULL, NULL);
	for (size_t i = 0; i < count * store_kind_count; i++)
		free((void *)(uintptr_t)runs[i].name);
	free(runs);
	return failed;
}

void
kit_reopen(struct kit *kit)
{
	store_close(kit->store);
	kit->store = NULL;
	open_it(kit);
}

struct store_op *
kit_op(struct kit *kit, enum store_op_type type)
{
	struct store_op *op;

	/* Results are looked at after the commit: the batch is emptied when the next one begins. */
	if (store_batch_count(kit->batch) > 0 &&
	    store_batch_op(kit->batch, 0)->result.outcome != STORE_FAILED)
		store_batch_reset(kit->batch);
	op = store_batch_add(kit->batch, type);
	assert_non_null(op);
	return op;
}

void
kit_commit(struct kit *kit)
{
	enum chat_err err = store_commit(kit->store, kit->batch);

	if (err)
		fail_msg("%s: %s", chat_err_name(err), store_error(kit->store));
}

struct store_reader *
kit_reader(struct kit *kit)
{
	struct store_reader *reader;

	assert_ok(store_reader_open(kit->store, &reader));
	return reader;
}

struct digest
kit_digest(const char *what, uint64_t n)
{
	struct hash h;

	hash_init_domain(&h, what);
	hash_u64(&h, n);
	return hash_end(&h);
}

/* ---- the model ---- */

void
model_init(struct model_room *room, uint64_t n)
{
	*room = (struct model_room){.room_id = kit_digest("room", n), .whole_from = 1};
}

void
model_fini(struct model_room *room)
{
	for (size_t i = 0; i < room->count; i++)
		free(room->entries[i].wire);
	free(room->entries);
	*room = (struct model_room){0};
}

void
model_take(struct model_room *room, const struct store_new_entry *entry)
{
	struct model_entry *e;

	if (room->count == room->cap) {
		room->cap = room->cap ? room->cap * 2 : 16;
		room->entries = reallocarray(room->entries, room->cap, sizeof(*room->entries));
		assert_non_null(room->entries);
	}
	e = &room->entries[room->count++];
	*e = (struct model_entry){.kind = entry->kind,
	    .server_time_ms = entry->server_time_ms,
	    .whole = true,
	    .wire_len = entry->wire.len,
	    .entry_hash = entry->entry_hash,
	    .event_hash = entry->event_hash};
	e->wire = malloc(e->wire_len + 1);
	assert_non_null(e->wire);
	memcpy(e->wire, entry->wire.data, e->wire_len);
	log_head_advance(
	    &room->head, e->server_time_ms, &e->entry_hash, e->kind == ENTRY_EVENT ? &e->event_hash : NULL);
	e->L = room->head.L;
	e->E = room->head.E;
}

/* Mostly short, sometimes longer than a page of any database, or as long as a message can be. */
static size_t
some_length(uint64_t *seed)
{
	uint64_t r = unit_rand(seed) % 64;

	return r == 0  ? MESSAGE_MAX_BYTES
	       : r < 4 ? 5000 + unit_rand(seed) % 20000
		       : 100 + unit_rand(seed) % 400;
}

static void
make_entry(struct kit *kit, const struct model_room *room, uint64_t *seed, struct store_new_entry *ret)
{
	size_t len = some_length(seed);
	uint8_t *wire = store_batch_alloc(kit->batch, len);
	uint64_t unique = unit_rand(seed);

	assert_non_null(wire);
	memset(wire, (int)(unique & 0xff), len);
	be64_put(wire, unique);
	ret->kind = room->count == 0 || unit_rand(seed) % 16 == 0 ? ENTRY_EVENT : ENTRY_MESSAGE;
	ret->server_time_ms = 1700000000000 + room->count * 1000;
	ret->wire = BYTES(wire, len);
	ret->entry_hash = kit_digest("entry", unique);
	if (ret->kind == ENTRY_EVENT)
		ret->event_hash = kit_digest("event", unique);
}

struct store_op *
model_append(struct kit *kit, struct model_room *room, unsigned n, uint64_t *seed)
{
	struct store_op *op = kit_op(kit, STORE_APPEND);

	op->append.room_id = room->room_id;
	op->append.expected_seq = room->head.seq;
	op->append.entry_count = n;
	op->append.entries = store_batch_alloc(kit->batch, n * sizeof(*op->append.entries));
	assert_non_null(op->append.entries);
	for (unsigned i = 0; i < n; i++) {
		make_entry(kit, room, seed, &op->append.entries[i]);
		model_take(room, &op->append.entries[i]);
	}
	return op;
}

void
model_stored(struct model_room *room, const struct store_op *op)
{
	const struct store_append *append = &op->append;

	assert_int_equal(op->result.outcome, STORE_STORED);
	assert_int_equal(op->result.first_seq, append->expected_seq + 1);
	assert_true(op->result.room_no > 0);
	if (room->room_no == 0)
		room->room_no = op->result.room_no;
	assert_int_equal(op->result.room_no, room->room_no);
	assert_int_equal(op->result.head.seq, append->expected_seq + append->entry_count);
	for (uint32_t i = 0; i < append->entry_count; i++) {
		const struct model_entry *e = &room->entries[append->expected_seq + i];

		assert_true(digest_equal(&append->entries[i].log_hash, &e->L));
		if (i + 1 == append->entry_count) {
			assert_true(digest_equal(&op->result.head.L, &e->L));
			assert_true(digest_equal(&op->result.head.E, &e->E));
		}
	}
}

void
model_compare_entry(const struct model_room *room, const struct store_entry *entry, bool stub)
{
	const struct model_entry *e;

	assert_in_range(entry->seq, 1, room->count);
	e = &room->entries[entry->seq - 1];
	assert_int_equal(entry->kind, e->kind);
	assert_int_equal(entry->server_time_ms, e->server_time_ms);
	assert_true(digest_equal(&entry->entry_hash, &e->entry_hash));
	assert_true(digest_equal(&entry->log_hash, &e->L));
	assert_int_equal(entry->whole, e->whole && !stub);
	if (entry->whole)
		assert_bytes_equal(entry->wire, BYTES(e->wire, e->wire_len));
	else
		assert_int_equal(entry->wire.len, 0);
}

struct comparing {
	const struct model_room *room;
	uint64_t next;
	bool stubs;
};

static bool
compare_next(void *ctx, const struct store_entry *entry)
{
	struct comparing *c = ctx;

	assert_int_equal(entry->seq, c->next);
	model_compare_entry(c->room, entry, c->stubs);
	c->next++;
	return true;
}

static bool
compare_previous(void *ctx, const struct store_entry *entry)
{
	struct comparing *c = ctx;

	assert_int_equal(entry->seq, c->next);
	model_compare_entry(c->room, entry, false);
	c->next--;
	return true;
}

/* The next event in the model. */
static bool
compare_event(void *ctx, const struct store_entry *entry)
{
	struct comparing *c = ctx;

	while (c->next <= c->room->count && c->room->entries[c->next - 1].kind != ENTRY_EVENT)
		c->next++;
	return compare_next(ctx, entry);
}

static void
compare_hashes(const struct model_room *room, struct store_reader *reader, uint64_t seq)
{
	const struct model_entry *e = &room->entries[seq - 1];
	struct log_preimage preimage;
	struct digest L;

	assert_ok(store_reader_log_hash(reader, room->room_no, seq, &L));
	assert_true(digest_equal(&L, &e->L));
	assert_ok(store_reader_preimage(reader, room->room_no, seq, &preimage));
	assert_int_equal(preimage.seq, seq);
	assert_true(digest_equal(&preimage.E, &e->E));
	L = log_preimage_hash(&preimage);
	assert_true(digest_equal(&L, &e->L));
}

void
model_compare(const struct model_room *room, struct store_reader *reader)
{
	struct comparing c = {.room = room, .next = 1};
	struct store_room there;

	assert_ok(store_reader_begin(reader));
	assert_ok(store_reader_room(reader, &room->room_id, &there));
	assert_int_equal(there.room_no, room->room_no);
	assert_true(digest_equal(&there.room_id, &room->room_id));
	assert_true(log_head_equal(&there.head, &room->head));
	assert_int_equal(there.oldest_whole_seq, room->whole_from);

	assert_ok(store_reader_range(reader, room->room_no, 1, UINT64_MAX, compare_next, &c));
	assert_int_equal(c.next, room->count + 1);
	c = (struct comparing){.room = room, .next = 1, .stubs = true};
	assert_ok(store_reader_stubs(reader, room->room_no, 1, room->count, compare_next, &c));
	assert_int_equal(c.next, room->count + 1);
	c = (struct comparing){.room = room, .next = room->count};
	assert_ok(store_reader_back(reader, room->room_no, room->count + 1, compare_previous, &c));
	assert_int_equal(c.next, 0);
	c = (struct comparing){.room = room, .next = 1};
	assert_ok(store_reader_events(reader, room->room_no, 1, compare_event, &c));
	for (; c.next <= room->count; c.next++)
		assert_int_equal(room->entries[c.next - 1].kind, ENTRY_MESSAGE);

	for (uint64_t seq = 1; seq <= room->count; seq += 1 + room->count / 50)
		compare_hashes(room, reader, seq);
	compare_hashes(room, reader, room->count);
	store_reader_end(reader);
}
