/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What every struct storage does (libchat/storage.h), for each kind of it that there is. */

#include "unit.h"

#include <stdio.h>

#include "libchat/storage.h"
#include "libchat/storage_sqlite.h"
#include "storage_memory.h"

/* One kind: how to open it, and to open it once more as a program does that is started again. */
struct kind {
	struct storage *(*open)(const char *dir);
	struct storage *(*reopen)(struct storage *st, const char *dir);
	void (*close)(struct storage *st);
};

static struct storage *
open_sqlite(const char *dir)
{
	struct storage *st = NULL;
	char *text = NULL;

	assert_ok(storage_sqlite_open(dir, STORAGE_SLOT, &st, &text));
	assert_null(text);
	return st;
}

static struct storage *
reopen_sqlite(struct storage *st, const char *dir)
{
	storage_sqlite_close(st);
	return open_sqlite(dir);
}

static struct storage *
open_memory(const char *dir)
{
	(void)dir;
	return storage_memory_new(1);
}

/* It does not outlive the program; an open transaction does not either. */
static struct storage *
reopen_memory(struct storage *st, const char *dir)
{
	(void)dir;
	storage_memory_crash(st);
	return st;
}

static struct kind sqlite_kind = {open_sqlite, reopen_sqlite, storage_sqlite_close};
static struct kind memory_kind = {open_memory, reopen_memory, storage_memory_free};

struct world {
	const struct kind *kind;
	char *dir;
	struct storage *st;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->kind = *state;
	w->dir = unit_temp_dir();
	w->st = w->kind->open(w->dir);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	w->kind->close(w->st);
	free(w->dir);
	free(w);
	return 0;
}

static void
reopen(struct world *w)
{
	w->st = w->kind->reopen(w->st, w->dir);
}

#define CONTRACT(name) static void name(void **state)

static struct digest
digest_of(uint8_t first)
{
	struct digest d = {{first, 0xd1}};

	return d;
}

/* ---- what a callback sees ---- */

#define SEEN_MAX 32

struct seen {
	size_t count, stop_at; /* stop_at 0: never */
	struct stored_room room[SEEN_MAX];
	struct stored_entry entry[SEEN_MAX];
	struct stored_counter counter[SEEN_MAX];
	struct stored_wrap wrap[SEEN_MAX];
	struct outbox_item item[SEEN_MAX];
	struct digest room_id[SEEN_MAX];
	char bytes[SEEN_MAX][64]; /* a copy of what was borrowed */
	char more[SEEN_MAX][64];
};

static bool
go_on(struct seen *seen)
{
	assert_true(seen->count < SEEN_MAX);
	seen->count++;
	return seen->count != seen->stop_at;
}

static void
keep(char *into, struct bytes b)
{
	assert_true(b.len < 64);
	memset(into, 0, 64);
	if (b.len)
		memcpy(into, b.data, b.len);
}

static bool
see_room(void *ctx, const struct stored_room *room)
{
	struct seen *seen = ctx;

	seen->room[seen->count] = *room;
	return go_on(seen);
}

static bool
see_entry(void *ctx, const struct stored_entry *entry)
{
	struct seen *seen = ctx;

	seen->entry[seen->count] = *entry;
	keep(seen->bytes[seen->count], entry->wire);
	return go_on(seen);
}

static bool
see_counter(void *ctx, const struct stored_counter *counter)
{
	struct seen *seen = ctx;

	seen->counter[seen->count] = *counter;
	return go_on(seen);
}

static bool
see_wrap(void *ctx, const struct stored_wrap *wrap)
{
	struct seen *seen = ctx;

	seen->wrap[seen->count] = *wrap;
	keep(seen->bytes[seen->count], wrap->wire);
	return go_on(seen);
}

static bool
see_item(void *ctx, const struct outbox_item *item)
{
	struct seen *seen = ctx;

	seen->item[seen->count] = *item;
	keep(seen->bytes[seen->count], item->sealed_text);
	keep(seen->more[seen->count], item->wire);
	return go_on(seen);
}

static bool
see_invite(void *ctx, const struct digest *room_id, struct bytes account)
{
	struct seen *seen = ctx;

	seen->room_id[seen->count] = *room_id;
	keep(seen->bytes[seen->count], account);
	return go_on(seen);
}

static size_t
room_count(struct storage *st)
{
	struct seen seen = {0};

	assert_ok(st->ops->each_room(st, see_room, &seen));
	return seen.count;
}

static struct stored_room
room_get(struct storage *st, size_t i)
{
	struct seen seen = {0};

	assert_ok(st->ops->each_room(st, see_room, &seen));
	assert_true(i < seen.count);
	return seen.room[i];
}

static size_t
outbox_count(struct storage *st)
{
	struct seen seen = {0};

	assert_ok(st->ops->each_outbox(st, see_item, &seen));
	return seen.count;
}

static void
entries(struct storage *st, const struct digest *room, uint64_t from, uint64_t to, struct seen *ret)
{
	*ret = (struct seen){0};
	assert_ok(st->ops->each_entry(st, room, from, to, see_entry, ret));
}

static struct stored_entry
entry_of(uint64_t seq, enum entry_kind kind, const char *wire)
{
	return (struct stored_entry){.seq = seq,
	    .server_time_ms = 1000 + seq,
	    .kind = kind,
	    .wire = BYTES_STR(wire),
	    .entry_hash = digest_of((uint8_t)seq)};
}

static void
put(struct storage *st, const struct digest *room, uint64_t seq, enum entry_kind kind, const char *wire)
{
	struct stored_entry entry = entry_of(seq, kind, wire);

	assert_ok(st->ops->put_entry(st, room, &entry));
}

/* ---- the identity ---- */

CONTRACT(identity_is_kept_and_replaced)
{
	struct world *w = *state;
	struct stored_identity put_one, got;

	assert_err(w->st->ops->get_identity(w->st, &got), CHAT_ERR_NOT_FOUND);
	memset(&put_one, 0, sizeof(put_one));
	memset(put_one.realm.b, 0x11, sizeof(put_one.realm.b));
	memset(put_one.root.ed_seed, 0x22, sizeof(put_one.root.ed_seed));
	memset(put_one.root.bag_key, 0x33, sizeof(put_one.root.bag_key));
	assert_ok(w->st->ops->put_identity(w->st, &put_one));
	put_one.bag_version = 7;
	put_one.published = true;
	assert_ok(w->st->ops->put_identity(w->st, &put_one));
	reopen(w);
	assert_ok(w->st->ops->get_identity(w->st, &got));
	assert_memory_equal(got.realm.b, put_one.realm.b, sizeof(got.realm.b));
	assert_memory_equal(&got.root, &put_one.root, sizeof(got.root));
	assert_int_equal(got.bag_version, 7);
	assert_true(got.published);
}

CONTRACT(bag_is_kept_and_replaced)
{
	struct world *w = *state;
	struct buf blob = {0};

	assert_err(w->st->ops->get_bag(w->st, &blob), CHAT_ERR_NOT_FOUND);
	assert_ok(w->st->ops->put_bag(w->st, BYTES_STR("the first one"), 1));
	assert_ok(w->st->ops->put_bag(w->st, BYTES_STR("second"), 2));
	reopen(w);
	assert_ok(w->st->ops->get_bag(w->st, &blob));
	assert_bytes_equal(buf_bytes(&blob), BYTES_STR("second"));
	assert_ok(w->st->ops->get_bag(w->st, &blob));
	assert_bytes_equal(buf_bytes(&blob), BYTES_STR("secondsecond"));
	buf_fini(&blob);
}

CONTRACT(device_stays_until_renewed)
{
	struct world *w = *state;
	struct device_id first, again, renewed;

	w->st->ops->get_device(w->st, &first);
	reopen(w);
	w->st->ops->get_device(w->st, &again);
	assert_memory_equal(first.b, again.b, sizeof(first.b));
	assert_ok(w->st->ops->renew_device(w->st, &renewed));
	assert_memory_not_equal(first.b, renewed.b, sizeof(first.b));
	w->st->ops->get_device(w->st, &again);
	assert_memory_equal(renewed.b, again.b, sizeof(again.b));
	reopen(w);
	w->st->ops->get_device(w->st, &again);
	assert_memory_equal(renewed.b, again.b, sizeof(again.b));
}

/* ---- rooms ---- */

static struct stored_room
room_of(uint8_t n, uint64_t head, uint64_t first)
{
	struct stored_room room = {.room_id = digest_of(n), .head.seq = head, .first_seq = first};

	room.head.L = digest_of((uint8_t)head);
	room.head.E = digest_of((uint8_t)(head + 100));
	room.base_hash = digest_of((uint8_t)(first + 200));
	return room;
}

CONTRACT(room_goes_forward_only)
{
	struct world *w = *state;
	struct stored_room ahead = room_of(1, 10, 4), behind = room_of(1, 8, 6), got;

	ahead.shown_seq = 9;
	ahead.read_seq = 9;
	(void)strlcpy(ahead.label, "ops", sizeof(ahead.label));
	behind.shown_seq = 3;
	behind.read_seq = 2;
	behind.gone = true;
	assert_ok(w->st->ops->put_room(w->st, &ahead));
	assert_ok(w->st->ops->put_room(w->st, &behind));
	reopen(w);
	assert_int_equal(room_count(w->st), 1);
	got = room_get(w->st, 0);
	assert_true(digest_equal(&got.room_id, &ahead.room_id));
	assert_true(log_head_equal(&got.head, &ahead.head));
	assert_int_equal(got.first_seq, 4);
	assert_true(digest_equal(&got.base_hash, &ahead.base_hash));
	assert_int_equal(got.shown_seq, 9);
	/* These are as they were put last. */
	assert_int_equal(got.read_seq, 2);
	assert_true(got.gone);
	assert_string_equal(got.label, "ops");

	/* The other way round: the first is behind. */
	struct stored_room further = room_of(1, 12, 2);

	further.shown_seq = 11;
	(void)strlcpy(further.label, "ops~2", sizeof(further.label));
	assert_ok(w->st->ops->put_room(w->st, &further));
	got = room_get(w->st, 0);
	assert_true(log_head_equal(&got.head, &further.head));
	assert_int_equal(got.first_seq, 2);
	assert_true(digest_equal(&got.base_hash, &further.base_hash));
	assert_int_equal(got.shown_seq, 11);
	assert_false(got.gone);
	assert_string_equal(got.label, "ops~2");
}

CONTRACT(room_is_removed_with_all_of_it)
{
	struct world *w = *state;
	struct stored_room one = room_of(1, 2, 1), two = room_of(2, 2, 1);
	const struct digest epoch = digest_of(77);
	struct stored_counter counter = {.sender = digest_of(5), .last = 3};
	struct stored_wrap wrap = {.epoch_id = epoch, .source = WRAP_LISTED, .wire = BYTES_STR("wrap")};
	struct seen seen = {0};
	uint64_t id;

	for (int i = 0; i < 2; i++) {
		const struct stored_room *room = i ? &two : &one;

		assert_ok(w->st->ops->put_room(w->st, room));
		put(w->st, &room->room_id, 1, ENTRY_EVENT, "event");
		put(w->st, &room->room_id, 2, ENTRY_MESSAGE, "message");
		assert_ok(w->st->ops->put_counter(w->st, &room->room_id, &counter));
		assert_ok(w->st->ops->put_wrap(w->st, &room->room_id, &wrap));
		assert_ok(w->st->ops->add_outbox(w->st, &room->room_id, BYTES_STR("text"), &id));
		assert_ok(w->st->ops->put_invite(w->st, &room->room_id, BYTES_STR("bob")));
	}
	assert_ok(w->st->ops->remove_room(w->st, &one.room_id));
	assert_ok(w->st->ops->remove_room(w->st, &one.room_id)); /* once more is no error */
	reopen(w);
	assert_int_equal(room_count(w->st), 1);
	for (int i = 0; i < 2; i++) {
		const struct digest *room = i ? &two.room_id : &one.room_id;
		size_t each = i ? 1 : 0;

		entries(w->st, room, 1, 100, &seen);
		assert_int_equal(seen.count, 2 * each);
		seen.count = 0;
		assert_ok(w->st->ops->each_event(w->st, room, see_entry, &seen));
		assert_int_equal(seen.count, each);
		seen.count = 0;
		assert_ok(w->st->ops->each_counter(w->st, room, see_counter, &seen));
		assert_int_equal(seen.count, each);
		seen.count = 0;
		assert_ok(w->st->ops->each_wrap(w->st, room, &epoch, see_wrap, &seen));
		assert_int_equal(seen.count, each);
	}
	seen.count = 0;
	assert_ok(w->st->ops->each_outbox(w->st, see_item, &seen));
	assert_int_equal(seen.count, 1);
	assert_true(digest_equal(&seen.item[0].room_id, &two.room_id));
	seen.count = 0;
	assert_ok(w->st->ops->each_invite(w->st, see_invite, &seen));
	assert_int_equal(seen.count, 1);
}

/* ---- entries ---- */

CONTRACT(entries_come_in_order_and_in_range)
{
	struct world *w = *state;
	const struct digest room = digest_of(1), other = digest_of(2);
	static const uint64_t order[] = {5, 2, 9, 3};
	struct seen seen;

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		put(w->st, &room, order[i], order[i] % 2 ? ENTRY_EVENT : ENTRY_MESSAGE,
		    order[i] == 3 ? "" : "x");
	put(w->st, &other, 4, ENTRY_EVENT, "y");
	reopen(w);
	entries(w->st, &room, 1, 9, &seen);
	assert_int_equal(seen.count, 4);
	assert_int_equal(seen.entry[0].seq, 2);
	assert_int_equal(seen.entry[1].seq, 3);
	assert_int_equal(seen.entry[2].seq, 5);
	assert_int_equal(seen.entry[3].seq, 9);
	assert_int_equal(seen.entry[2].kind, ENTRY_EVENT);
	assert_int_equal(seen.entry[0].kind, ENTRY_MESSAGE);
	assert_int_equal(seen.entry[2].server_time_ms, 1005);
	assert_int_equal(seen.entry[2].entry_hash.b[0], 5);
	assert_int_equal(seen.entry[1].wire.len, 0);
	assert_string_equal(seen.bytes[2], "x");
	/* Both ends are in it. */
	entries(w->st, &room, 3, 5, &seen);
	assert_int_equal(seen.count, 2);
	entries(w->st, &room, 6, 8, &seen);
	assert_int_equal(seen.count, 0);
	entries(w->st, &room, 1, UINT64_MAX, &seen);
	assert_int_equal(seen.count, 4);
	seen = (struct seen){.stop_at = 2};
	assert_ok(w->st->ops->each_entry(w->st, &room, 1, 9, see_entry, &seen));
	assert_int_equal(seen.count, 2);
	seen = (struct seen){0};
	assert_ok(w->st->ops->each_event(w->st, &room, see_entry, &seen));
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.entry[0].seq, 3);
	assert_int_equal(seen.entry[2].seq, 9);
	/* A room that was never heard of. */
	const struct digest unknown = digest_of(99);

	entries(w->st, &unknown, 1, 9, &seen);
	assert_int_equal(seen.count, 0);
}

CONTRACT(entry_replaces_a_stub_only)
{
	struct world *w = *state;
	const struct digest room = digest_of(1);
	struct seen seen;

	put(w->st, &room, 1, ENTRY_MESSAGE, "");
	entries(w->st, &room, 1, 1, &seen);
	assert_int_equal(seen.entry[0].wire.len, 0);
	for (int i = 0; i < 2; i++) {
		put(w->st, &room, 1, ENTRY_MESSAGE, "whole");
		entries(w->st, &room, 1, 1, &seen);
		assert_int_equal(seen.count, 1);
		assert_string_equal(seen.bytes[0], "whole");
		put(w->st, &room, 1, ENTRY_MESSAGE, "");
		entries(w->st, &room, 1, 1, &seen);
		assert_int_equal(seen.count, 1);
		assert_string_equal(seen.bytes[0], "whole");
	}
}

struct nested {
	struct storage *st;
	const struct digest *room;
	size_t outer, inner;
};

static bool
count_inner(void *ctx, const struct stored_entry *entry)
{
	struct nested *nested = ctx;

	assert_int_equal(entry->wire.len, 3);
	nested->inner++;
	return true;
}

static bool
count_outer(void *ctx, const struct stored_entry *entry)
{
	struct nested *nested = ctx;

	assert_ok(nested->st->ops->each_entry(nested->st, nested->room, 1, 9, count_inner, ctx));
	assert_bytes_equal(entry->wire, BYTES_STR(entry->seq == 1 ? "one" : "two"));
	nested->outer++;
	return true;
}

CONTRACT(callback_may_read_on)
{
	struct world *w = *state;
	const struct digest room = digest_of(1);
	struct nested nested = {.st = w->st, .room = &room};

	put(w->st, &room, 1, ENTRY_EVENT, "one");
	put(w->st, &room, 2, ENTRY_EVENT, "two");
	assert_ok(w->st->ops->each_entry(w->st, &room, 1, 9, count_outer, &nested));
	assert_int_equal(nested.outer, 2);
	assert_int_equal(nested.inner, 4);
}

/* ---- counters and wraps ---- */

CONTRACT(counter_keeps_the_higher)
{
	struct world *w = *state;
	const struct digest room = digest_of(1);
	struct stored_counter counter = {.sender = digest_of(5), .device.b = {1, 2, 3}, .last = 4};
	struct seen seen = {0};

	assert_ok(w->st->ops->put_counter(w->st, &room, &counter));
	counter.last = 9;
	assert_ok(w->st->ops->put_counter(w->st, &room, &counter));
	counter.last = 6;
	assert_ok(w->st->ops->put_counter(w->st, &room, &counter));
	counter.device.b[0] = 2;
	assert_ok(w->st->ops->put_counter(w->st, &room, &counter));
	reopen(w);
	assert_ok(w->st->ops->each_counter(w->st, &room, see_counter, &seen));
	assert_int_equal(seen.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(digest_equal(&seen.counter[i].sender, &counter.sender));
		assert_int_equal(seen.counter[i].last, seen.counter[i].device.b[0] == 1 ? 9 : 6);
	}
}

CONTRACT(wraps_of_an_epoch)
{
	struct world *w = *state;
	const struct digest room = digest_of(1), epoch = digest_of(7), other = digest_of(8);
	struct stored_wrap wrap = {.epoch_id = epoch, .source = WRAP_REWRAP, .wire = BYTES_STR("re-wrap")};
	struct seen seen = {0};
	size_t listed = 0;

	assert_ok(w->st->ops->put_wrap(w->st, &room, &wrap));
	assert_ok(w->st->ops->put_wrap(w->st, &room, &wrap)); /* the same again is one */
	wrap = (struct stored_wrap){.epoch_id = epoch, .source = WRAP_LISTED, .wire = BYTES_STR("listed")};
	assert_ok(w->st->ops->put_wrap(w->st, &room, &wrap));
	wrap.epoch_id = other;
	assert_ok(w->st->ops->put_wrap(w->st, &room, &wrap));
	reopen(w);
	assert_ok(w->st->ops->each_wrap(w->st, &room, &epoch, see_wrap, &seen));
	assert_int_equal(seen.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(digest_equal(&seen.wrap[i].epoch_id, &epoch));
		assert_string_equal(seen.bytes[i], seen.wrap[i].source == WRAP_LISTED ? "listed" : "re-wrap");
		listed += seen.wrap[i].source == WRAP_LISTED;
	}
	assert_int_equal(listed, 1);
}

/* ---- the outbox ---- */

CONTRACT(outbox_keeps_its_order)
{
	struct world *w = *state;
	const struct digest room = digest_of(1);
	uint64_t first = 0, second = 0, third = 0;
	struct seen seen = {0};

	assert_ok(w->st->ops->add_outbox(w->st, &room, BYTES_STR("one"), &first));
	assert_ok(w->st->ops->add_outbox(w->st, &room, BYTES_STR("two"), &second));
	assert_true(first > 0 && second > first);
	assert_ok(w->st->ops->seal_outbox(w->st, first, 41, BYTES_STR("sealed")));
	assert_ok(w->st->ops->seal_outbox(w->st, first, 41, BYTES_STR("resealed")));
	assert_err(w->st->ops->seal_outbox(w->st, 12345, 1, BYTES_STR("x")), CHAT_ERR_NOT_FOUND);
	reopen(w);
	assert_ok(w->st->ops->each_outbox(w->st, see_item, &seen));
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.item[0].id, first);
	assert_int_equal(seen.item[0].state, OUTBOX_SEALED);
	assert_int_equal(seen.item[0].counter, 41);
	assert_string_equal(seen.more[0], "resealed");
	assert_string_equal(seen.bytes[0], "one");
	assert_true(digest_equal(&seen.item[0].room_id, &room));
	assert_int_equal(seen.item[1].id, second);
	assert_int_equal(seen.item[1].state, OUTBOX_WAITING);
	assert_string_equal(seen.bytes[1], "two");
	assert_ok(w->st->ops->remove_outbox(w->st, second));
	assert_ok(w->st->ops->remove_outbox(w->st, second)); /* once more is no error */
	reopen(w);
	assert_int_equal(outbox_count(w->st), 1);
	/* An id is not given twice. */
	assert_ok(w->st->ops->add_outbox(w->st, &room, BYTES_STR("three"), &third));
	assert_true(third > second);
}

CONTRACT(invites_wait)
{
	struct world *w = *state;
	const struct digest room = digest_of(1), other = digest_of(2);
	struct seen seen = {0};

	assert_ok(w->st->ops->put_invite(w->st, &room, BYTES_STR("bob")));
	assert_ok(w->st->ops->put_invite(w->st, &room, BYTES_STR("bob")));
	assert_ok(w->st->ops->put_invite(w->st, &room, BYTES_STR("eve")));
	assert_ok(w->st->ops->put_invite(w->st, &other, BYTES_STR("bob")));
	assert_ok(w->st->ops->remove_invite(w->st, &room, BYTES_STR("bob")));
	assert_ok(w->st->ops->remove_invite(w->st, &room, BYTES_STR("nobody")));
	reopen(w);
	assert_ok(w->st->ops->each_invite(w->st, see_invite, &seen));
	assert_int_equal(seen.count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(seen.bytes[i], digest_equal(&seen.room_id[i], &room) ? "eve" : "bob");
}

/* ---- transactions ---- */

CONTRACT(transaction_is_whole_or_nothing)
{
	struct world *w = *state;
	const struct digest room = digest_of(1);
	struct stored_room stored = room_of(1, 1, 1);
	struct seen seen;

	assert_ok(w->st->ops->begin(w->st));
	assert_ok(w->st->ops->put_room(w->st, &stored));
	put(w->st, &room, 1, ENTRY_EVENT, "event");
	w->st->ops->rollback(w->st);
	assert_int_equal(room_count(w->st), 0);
	entries(w->st, &room, 1, 9, &seen);
	assert_int_equal(seen.count, 0);
	assert_ok(w->st->ops->begin(w->st));
	assert_ok(w->st->ops->put_room(w->st, &stored));
	put(w->st, &room, 1, ENTRY_EVENT, "event");
	assert_int_equal(room_count(w->st), 1); /* inside it can be seen */
	assert_ok(w->st->ops->commit(w->st));
	w->st->ops->rollback(w->st); /* of nothing */
	reopen(w);
	assert_int_equal(room_count(w->st), 1);
	entries(w->st, &room, 1, 9, &seen);
	assert_int_equal(seen.count, 1);
}

static bool
is_wire(void *ctx, const struct stored_entry *entry)
{
	struct bytes *expected = ctx;

	assert_bytes_equal(entry->wire, *expected);
	expected->len = 0; /* seen */
	return true;
}

CONTRACT(large_values_come_back)
{
	struct world *w = *state;
	const struct digest room = digest_of(1);
	size_t len = 50000;
	uint8_t *wire = malloc(len);
	struct stored_entry entry = entry_of(1, ENTRY_MESSAGE, "");
	struct buf blob = {0};

	assert_non_null(wire);
	for (size_t i = 0; i < len; i++)
		wire[i] = (uint8_t)(i * 7);
	entry.wire = BYTES(wire, len);
	assert_ok(w->st->ops->put_entry(w->st, &room, &entry));
	assert_ok(w->st->ops->put_bag(w->st, BYTES(wire, len), 1));
	reopen(w);
	assert_ok(w->st->ops->get_bag(w->st, &blob));
	assert_bytes_equal(buf_bytes(&blob), BYTES(wire, len));
	assert_ok(w->st->ops->each_entry(w->st, &room, 1, 1, is_wire, &entry.wire));
	assert_int_equal(entry.wire.len, 0);
	buf_fini(&blob);
	free(wire);
}

#define OF_KIND(name, kind)                                                                                  \
	{                                                                                                    \
		"storage_" #kind ": " #name, name, setup, teardown, &kind##_kind                             \
	}
#define OF_EACH(name) OF_KIND(name, sqlite), OF_KIND(name, memory)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    OF_EACH(identity_is_kept_and_replaced),
	    OF_EACH(bag_is_kept_and_replaced),
	    OF_EACH(device_stays_until_renewed),
	    OF_EACH(room_goes_forward_only),
	    OF_EACH(room_is_removed_with_all_of_it),
	    OF_EACH(entries_come_in_order_and_in_range),
	    OF_EACH(entry_replaces_a_stub_only),
	    OF_EACH(callback_may_read_on),
	    OF_EACH(counter_keeps_the_higher),
	    OF_EACH(wraps_of_an_epoch),
	    OF_EACH(outbox_keeps_its_order),
	    OF_EACH(invites_wait),
	    OF_EACH(transaction_is_whole_or_nothing),
	    OF_EACH(large_values_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
