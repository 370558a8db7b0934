/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "storage_memory.h"

#include "unit.h"

/* ---- what is kept ---- */

struct blob {
	uint8_t *data; /* owned */
	size_t len;
};

struct mem_entry {
	struct stored_entry head; /* its wire is in `wire` */
	struct blob wire;
};

struct mem_wrap {
	struct digest epoch_id;
	enum wrap_source source;
	struct blob wire;
};

struct mem_room {
	struct digest id;
	bool put; /* put_room() was called */
	struct stored_room room;
	struct mem_entry *entries; /* ascending */
	size_t entry_count;
	struct stored_counter *counters;
	size_t counter_count;
	struct mem_wrap *wraps;
	size_t wrap_count;
};

struct mem_out {
	struct outbox_item head;
	struct blob text, wire;
};

struct mem_invite {
	struct digest room_id;
	struct blob account;
};

struct mem {
	bool has_identity, has_bag;
	struct stored_identity identity;
	struct blob bag;
	uint64_t bag_version;
	struct device_id device;
	struct mem_room *rooms;
	size_t room_count;
	struct mem_out *out;
	size_t out_count;
	uint64_t last_out_id;
	struct mem_invite *invites;
	size_t invite_count;
};

struct storage_memory {
	struct storage base;
	struct mem now;
	struct mem before; /* at begin() */
	bool in_tx;
	uint64_t seed;
	unsigned fail_after;
	bool failing;
};

/* ---- copying ---- */

static void *
copy_bytes(const void *from, size_t n)
{
	void *to = malloc(n + 1);

	assert_non_null(to);
	if (n > 0)
		memcpy(to, from, n);
	return to;
}

static struct blob
blob_of(struct bytes b)
{
	return (struct blob){.data = copy_bytes(b.data, b.len), .len = b.len};
}

static struct bytes
bytes_of(const struct blob *blob)
{
	return BYTES(blob->data, blob->len);
}

static void
blob_copy(struct blob *blob)
{
	*blob = blob_of(bytes_of(blob));
}

static struct mem
mem_copy(const struct mem *from)
{
	struct mem to = *from;

	blob_copy(&to.bag);
	to.rooms = copy_bytes(from->rooms, from->room_count * sizeof *to.rooms);
	for (size_t i = 0; i < to.room_count; i++) {
		struct mem_room *room = &to.rooms[i];

		room->entries = copy_bytes(room->entries, room->entry_count * sizeof *room->entries);
		for (size_t k = 0; k < room->entry_count; k++)
			blob_copy(&room->entries[k].wire);
		room->counters = copy_bytes(room->counters, room->counter_count * sizeof *room->counters);
		room->wraps = copy_bytes(room->wraps, room->wrap_count * sizeof *room->wraps);
		for (size_t k = 0; k < room->wrap_count; k++)
			blob_copy(&room->wraps[k].wire);
	}
	to.out = copy_bytes(from->out, from->out_count * sizeof *to.out);
	for (size_t i = 0; i < to.out_count; i++) {
		blob_copy(&to.out[i].text);
		blob_copy(&to.out[i].wire);
	}
	to.invites = copy_bytes(from->invites, from->invite_count * sizeof *to.invites);
	for (size_t i = 0; i < to.invite_count; i++)
		blob_copy(&to.invites[i].account);
	return to;
}

static void
room_fini(struct mem_room *room)
{
	for (size_t k = 0; k < room->entry_count; k++)
		free(room->entries[k].wire.data);
	for (size_t k = 0; k < room->wrap_count; k++)
		free(room->wraps[k].wire.data);
	free(room->entries);
	free(room->counters);
	free(room->wraps);
}

static void
mem_fini(struct mem *mem)
{
	free(mem->bag.data);
	for (size_t i = 0; i < mem->room_count; i++)
		room_fini(&mem->rooms[i]);
	free(mem->rooms);
	for (size_t i = 0; i < mem->out_count; i++) {
		free(mem->out[i].text.data);
		free(mem->out[i].wire.data);
	}
	free(mem->out);
	for (size_t i = 0; i < mem->invite_count; i++)
		free(mem->invites[i].account.data);
	free(mem->invites);
	*mem = (struct mem){0};
}

static struct storage_memory *
memory_of(struct storage *st)
{
	return (struct storage_memory *)(void *)st;
}

static struct mem *
now_of(struct storage *st)
{
	return &memory_of(st)->now;
}

/* Makes room for one more at the end of a list. */
static void *
grow(void *list, size_t count, size_t size)
{
	void *grown = reallocarray(list, count + 1, size);

	assert_non_null(grown);
	memset((char *)grown + count * size, 0, size);
	return grown;
}

static enum chat_err
change(struct storage *st)
{
	struct storage_memory *m = memory_of(st);

	if (m->fail_after > 0 && --m->fail_after == 0)
		m->failing = true;
	return m->failing ? CHAT_ERR_IO : CHAT_OK;
}

/* ---- transactions ---- */

static enum chat_err
mem_begin(struct storage *st)
{
	struct storage_memory *m = memory_of(st);

	assert_false(m->in_tx);
	m->before = mem_copy(&m->now);
	m->in_tx = true;
	return CHAT_OK;
}

static enum chat_err
mem_commit(struct storage *st)
{
	struct storage_memory *m = memory_of(st);

	assert_true(m->in_tx);
	if (m->failing) {
		storage_memory_crash(st);
		return CHAT_ERR_IO;
	}
	mem_fini(&m->before);
	m->in_tx = false;
	return CHAT_OK;
}

void
storage_memory_crash(struct storage *st)
{
	struct storage_memory *m = memory_of(st);

	if (!m->in_tx)
		return;
	mem_fini(&m->now);
	m->now = m->before;
	m->before = (struct mem){0};
	m->in_tx = false;
}

/* ---- identity ---- */

static enum chat_err
get_identity(struct storage *st, struct stored_identity *ret)
{
	if (!now_of(st)->has_identity)
		return CHAT_ERR_NOT_FOUND;
	*ret = now_of(st)->identity;
	return CHAT_OK;
}

static enum chat_err
put_identity(struct storage *st, const struct stored_identity *identity)
{
	enum chat_err err = change(st);

	if (err != CHAT_OK)
		return err;
	now_of(st)->has_identity = true;
	now_of(st)->identity = *identity;
	return CHAT_OK;
}

static enum chat_err
get_bag(struct storage *st, struct buf *ret_blob)
{
	if (!now_of(st)->has_bag)
		return CHAT_ERR_NOT_FOUND;
	return buf_append(ret_blob, now_of(st)->bag.data, now_of(st)->bag.len);
}

static enum chat_err
put_bag(struct storage *st, struct bytes blob, uint64_t version)
{
	enum chat_err err = change(st);

	if (err != CHAT_OK)
		return err;
	free(now_of(st)->bag.data);
	now_of(st)->has_bag = true;
	now_of(st)->bag = blob_of(blob);
	now_of(st)->bag_version = version;
	return CHAT_OK;
}

static void
get_device(struct storage *st, struct device_id *ret)
{
	*ret = now_of(st)->device;
}

static enum chat_err
renew_device(struct storage *st, struct device_id *ret)
{
	struct random_source random = unit_random(&memory_of(st)->seed);
	enum chat_err err = change(st);

	if (err != CHAT_OK)
		return err;
	random.fill(random.ctx, now_of(st)->device.b, DEVICE_ID_BYTES);
	*ret = now_of(st)->device;
	return CHAT_OK;
}

/* ---- rooms ---- */

/* NULL: none such. */
static struct mem_room *
find_room(struct storage *st, const struct digest *id)
{
	struct mem *mem = now_of(st);

	for (size_t i = 0; i < mem->room_count; i++)
		if (digest_equal(&mem->rooms[i].id, id))
			return &mem->rooms[i];
	return NULL;
}

static struct mem_room *
the_room(struct storage *st, const struct digest *id)
{
	struct mem_room *room = find_room(st, id);
	struct mem *mem = now_of(st);

	if (room != NULL)
		return room;
	mem->rooms = grow(mem->rooms, mem->room_count, sizeof *mem->rooms);
	room = &mem->rooms[mem->room_count++];
	room->id = *id;
	return room;
}

static enum chat_err
each_room(struct storage *st, storage_room_fn fn, void *ctx)
{
	struct mem *mem = now_of(st);

	for (size_t i = 0; i < mem->room_count; i++)
		if (mem->rooms[i].put && !fn(ctx, &mem->rooms[i].room))
			break;
	return CHAT_OK;
}

static enum chat_err
put_room(struct storage *st, const struct stored_room *from)
{
	enum chat_err err = change(st);
	struct stored_room was;
	struct mem_room *room;

	if (err != CHAT_OK)
		return err;
	room = the_room(st, &from->room_id);
	was = room->room;
	room->room = *from;
	if (room->put) {
		if (was.head.seq > from->head.seq)
			room->room.head = was.head;
		if (was.shown_seq > from->shown_seq)
			room->room.shown_seq = was.shown_seq;
		if (was.first_seq < from->first_seq) {
			room->room.first_seq = was.first_seq;
			room->room.base_hash = was.base_hash;
		}
		if (from->label[0] == '\0')
			memcpy(room->room.label, was.label, sizeof was.label);
	}
	room->put = true;
	return CHAT_OK;
}

static enum chat_err
put_entry(struct storage *st, const struct digest *room_id, const struct stored_entry *entry)
{
	enum chat_err err = change(st);
	struct mem_room *room;
	size_t at;

	if (err != CHAT_OK)
		return err;
	room = the_room(st, room_id);
	for (at = room->entry_count; at > 0 && room->entries[at - 1].head.seq >= entry->seq; at--)
		;
	if (at < room->entry_count && room->entries[at].head.seq == entry->seq) {
		if (room->entries[at].wire.len > 0 || entry->wire.len == 0)
			return CHAT_OK;
		free(room->entries[at].wire.data);
	} else {
		room->entries = grow(room->entries, room->entry_count, sizeof *room->entries);
		memmove(&room->entries[at + 1], &room->entries[at],
		    (room->entry_count - at) * sizeof *room->entries);
		room->entry_count++;
	}
	room->entries[at] = (struct mem_entry){.head = *entry, .wire = blob_of(entry->wire)};
	return CHAT_OK;
}

static enum chat_err
walk(struct storage *st, const struct digest *room_id, uint64_t from_seq, uint64_t to_seq, bool events_only,
    storage_entry_fn fn, void *ctx)
{
	struct mem_room *room = find_room(st, room_id);

	for (size_t i = 0; room != NULL && i < room->entry_count; i++) {
		struct stored_entry entry = room->entries[i].head;

		if (entry.seq < from_seq || entry.seq > to_seq || (events_only && entry.kind != ENTRY_EVENT))
			continue;
		entry.wire = bytes_of(&room->entries[i].wire);
		if (!fn(ctx, &entry))
			break;
	}
	return CHAT_OK;
}

static enum chat_err
each_entry(struct storage *st, const struct digest *room_id, uint64_t from_seq, uint64_t to_seq,
    storage_entry_fn fn, void *ctx)
{
	return walk(st, room_id, from_seq, to_seq, false, fn, ctx);
}

static enum chat_err
each_event(struct storage *st, const struct digest *room_id, storage_entry_fn fn, void *ctx)
{
	return walk(st, room_id, 0, UINT64_MAX, true, fn, ctx);
}

static enum chat_err
put_counter(struct storage *st, const struct digest *room_id, const struct stored_counter *counter)
{
	struct mem_room *room = the_room(st, room_id);

	for (size_t i = 0; i < room->counter_count; i++) {
		struct stored_counter *have = &room->counters[i];

		if (!digest_equal(&have->sender, &counter->sender) ||
		    memcmp(&have->device, &counter->device, sizeof have->device) != 0)
			continue;
		if (have->last < counter->last)
			have->last = counter->last;
		return change(st);
	}
	room->counters = grow(room->counters, room->counter_count, sizeof *room->counters);
	room->counters[room->counter_count++] = *counter;
	return change(st);
}

static enum chat_err
each_counter(struct storage *st, const struct digest *room_id, storage_counter_fn fn, void *ctx)
{
	struct mem_room *room = find_room(st, room_id);

	for (size_t i = 0; room != NULL && i < room->counter_count; i++)
		if (!fn(ctx, &room->counters[i]))
			break;
	return CHAT_OK;
}

static enum chat_err
put_wrap(struct storage *st, const struct digest *room_id, const struct stored_wrap *wrap)
{
	struct mem_room *room = the_room(st, room_id);

	for (size_t i = 0; i < room->wrap_count; i++)
		if (digest_equal(&room->wraps[i].epoch_id, &wrap->epoch_id) &&
		    bytes_equal(bytes_of(&room->wraps[i].wire), wrap->wire))
			return CHAT_OK;
	room->wraps = grow(room->wraps, room->wrap_count, sizeof *room->wraps);
	room->wraps[room->wrap_count++] = (struct mem_wrap){
	    .epoch_id = wrap->epoch_id, .source = wrap->source, .wire = blob_of(wrap->wire)};
	return change(st);
}

static enum chat_err
each_wrap(struct storage *st, const struct digest *room_id, const struct digest *epoch_id, storage_wrap_fn fn,
    void *ctx)
{
	struct mem_room *room = find_room(st, room_id);

	for (size_t i = 0; room != NULL && i < room->wrap_count; i++) {
		const struct mem_wrap *wrap = &room->wraps[i];
		const struct stored_wrap stored = {
		    .epoch_id = wrap->epoch_id, .source = wrap->source, .wire = bytes_of(&wrap->wire)};

		if (digest_equal(&wrap->epoch_id, epoch_id) && !fn(ctx, &stored))
			break;
	}
	return CHAT_OK;
}

/* ---- outbox and invitations ---- */

static enum chat_err
add_outbox(struct storage *st, const struct digest *room_id, struct bytes sealed_text, uint64_t *ret_id)
{
	struct mem *mem = now_of(st);
	enum chat_err err = change(st);

	if (err != CHAT_OK)
		return err;
	mem->out = grow(mem->out, mem->out_count, sizeof *mem->out);
	mem->out[mem->out_count].head = (struct outbox_item){.id = ++mem->last_out_id, .room_id = *room_id};
	mem->out[mem->out_count].text = blob_of(sealed_text);
	mem->out_count++;
	*ret_id = mem->last_out_id;
	return CHAT_OK;
}

static enum chat_err
seal_outbox(struct storage *st, uint64_t id, uint64_t counter, struct bytes wire)
{
	struct mem *mem = now_of(st);
	enum chat_err err = change(st);

	if (err != CHAT_OK)
		return err;
	for (size_t i = 0; i < mem->out_count; i++) {
		if (mem->out[i].head.id != id)
			continue;
		free(mem->out[i].wire.data);
		mem->out[i].wire = blob_of(wire);
		mem->out[i].head.counter = counter;
		mem->out[i].head.state = OUTBOX_SEALED;
		return CHAT_OK;
	}
	return CHAT_ERR_NOT_FOUND;
}

static enum chat_err
remove_outbox(struct storage *st, uint64_t id)
{
	struct mem *mem = now_of(st);
	enum chat_err err = change(st);

	if (err != CHAT_OK)
		return err;
	for (size_t i = 0; i < mem->out_count; i++) {
		if (mem->out[i].head.id != id)
			continue;
		free(mem->out[i].text.data);
		free(mem->out[i].wire.data);
		memmove(&mem->out[i], &mem->out[i + 1], (--mem->out_count - i) * sizeof *mem->out);
		return CHAT_OK;
	}
	return CHAT_OK;
}

static enum chat_err
each_outbox(struct storage *st, storage_outbox_fn fn, void *ctx)
{
	struct mem *mem = now_of(st);

	for (size_t i = 0; i < mem->out_count; i++) {
		struct outbox_item item = mem->out[i].head;

		item.sealed_text = bytes_of(&mem->out[i].text);
		item.wire = bytes_of(&mem->out[i].wire);
		if (!fn(ctx, &item))
			break;
	}
	return CHAT_OK;
}

static enum chat_err
put_invite(struct storage *st, const struct digest *room_id, struct bytes account)
{
	struct mem *mem = now_of(st);

	for (size_t i = 0; i < mem->invite_count; i++)
		if (digest_equal(&mem->invites[i].room_id, room_id) &&
		    bytes_equal(bytes_of(&mem->invites[i].account), account))
			return CHAT_OK;
	mem->invites = grow(mem->invites, mem->invite_count, sizeof *mem->invites);
	mem->invites[mem->invite_count++] =
	    (struct mem_invite){.room_id = *room_id, .account = blob_of(account)};
	return change(st);
}

static enum chat_err
remove_invite(struct storage *st, const struct digest *room_id, struct bytes account)
{
	struct mem *mem = now_of(st);

	for (size_t i = 0; i < mem->invite_count; i++) {
		if (!digest_equal(&mem->invites[i].room_id, room_id) ||
		    !bytes_equal(bytes_of(&mem->invites[i].account), account))
			continue;
		free(mem->invites[i].account.data);
		mem->invites[i] = mem->invites[--mem->invite_count];
		return change(st);
	}
	return CHAT_OK;
}

static enum chat_err
each_invite(struct storage *st, storage_invite_fn fn, void *ctx)
{
	struct mem *mem = now_of(st);

	for (size_t i = 0; i < mem->invite_count; i++)
		if (!fn(ctx, &mem->invites[i].room_id, bytes_of(&mem->invites[i].account)))
			break;
	return CHAT_OK;
}

/* With what is said and done in it later. */
static enum chat_err
remove_room(struct storage *st, const struct digest *room_id)
{
	struct mem_room *room = find_room(st, room_id);
	struct mem *mem = now_of(st);
	enum chat_err err = CHAT_OK;

	for (size_t i = mem->out_count; i > 0 && !err; i--)
		if (digest_equal(&mem->out[i - 1].head.room_id, room_id))
			err = remove_outbox(st, mem->out[i - 1].head.id);
	for (size_t i = mem->invite_count; i > 0 && !err; i--)
		if (digest_equal(&mem->invites[i - 1].room_id, room_id))
			err = remove_invite(st, room_id, bytes_of(&mem->invites[i - 1].account));
	if (err || room == NULL)
		return err;
	room_fini(room);
	*room = mem->rooms[--mem->room_count];
	return CHAT_OK;
}

/* ---- the storage ---- */

static const struct storage_ops memory_ops = {
    .begin = mem_begin,
    .commit = mem_commit,
    .rollback = storage_memory_crash,
    .get_identity = get_identity,
    .put_identity = put_identity,
    .get_bag = get_bag,
    .put_bag = put_bag,
    .get_device = get_device,
    .renew_device = renew_device,
    .each_room = each_room,
    .put_room = put_room,
    .remove_room = remove_room,
    .put_entry = put_entry,
    .each_entry = each_entry,
    .each_event = each_event,
    .put_counter = put_counter,
    .each_counter = each_counter,
    .put_wrap = put_wrap,
    .each_wrap = each_wrap,
    .add_outbox = add_outbox,
    .seal_outbox = seal_outbox,
    .remove_outbox = remove_outbox,
    .each_outbox = each_outbox,
    .put_invite = put_invite,
    .remove_invite = remove_invite,
    .each_invite = each_invite,
};

struct storage *
storage_memory_new(uint64_t seed)
{
	struct storage_memory *m = calloc(1, sizeof *m);

	assert_non_null(m);
	m->base.ops = &memory_ops;
	m->seed = seed;
	assert_ok(renew_device(&m->base, &m->now.device));
	return &m->base;
}

struct storage *
storage_memory_copy(const struct storage *st)
{
	const struct storage_memory *from = (const struct storage_memory *)(const void *)st;
	struct storage_memory *to = calloc(1, sizeof *to);

	assert_non_null(to);
	to->base.ops = &memory_ops;
	to->seed = from->seed + 1;
	to->now = mem_copy(from->in_tx ? &from->before : &from->now);
	return &to->base;
}

struct storage *
storage_memory_import(struct storage *st, uint64_t seed)
{
	struct storage *to = storage_memory_new(seed ^ UINT64_C(0x9e3779b97f4a7c15));
	struct stored_identity identity;

	assert_ok(st->ops->get_identity(st, &identity));
	identity.bag_version = 0;
	assert_ok(to->ops->put_identity(to, &identity));
	return to;
}

void
storage_memory_free(struct storage *st)
{
	storage_memory_crash(st);
	mem_fini(now_of(st));
	free(memory_of(st));
}

void
storage_memory_fail_after(struct storage *st, unsigned n)
{
	memory_of(st)->fail_after = n;
	memory_of(st)->failing = false;
}

size_t
storage_memory_outbox_count(struct storage *st)
{
	return now_of(st)->out_count;
}

static bool
blob_contains(const struct blob *blob, struct bytes what)
{
	return blob->len > 0 && memmem(blob->data, blob->len, what.data, what.len) != NULL;
}

bool
storage_memory_contains(const struct storage *st, struct bytes what)
{
	const struct mem *mem = &((const struct storage_memory *)(const void *)st)->now;

	for (size_t i = 0; i < mem->room_count; i++)
		for (size_t k = 0; k < mem->rooms[i].entry_count; k++)
			if (blob_contains(&mem->rooms[i].entries[k].wire, what))
				return true;
	for (size_t i = 0; i < mem->out_count; i++)
		if (blob_contains(&mem->out[i].text, what) || blob_contains(&mem->out[i].wire, what))
			return true;
	return false;
}
