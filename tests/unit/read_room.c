/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "read_room.h"

#include "base/log.h"
#include "proto/frame.h"
#include "proto/wire.h"

struct world w;
struct person people[PEOPLE];
struct copy room;
struct told told[ENTRIES_MAX + 1]; /* by seq */
uint64_t head;
uint64_t room_no;
struct store_reader *reader;
struct read_scratch scratch;
uint64_t seed = 11;

/* ---- posting, and remembering ---- */

static void
remember(enum entry_kind kind, struct bytes wire, uint64_t server_time_ms)
{
	struct told *t = &told[head + 1];
	struct message message;
	struct event event;

	assert_true(head < ENTRIES_MAX);
	t->kind = kind;
	t->server_time_ms = server_time_ms;
	assert_ok(buf_append(&t->wire, wire.data, wire.len));
	t->head = told[head].head;
	if (kind == ENTRY_EVENT) {
		assert_ok(event_decode(wire, &event));
		t->entry_hash = log_entry_hash(kind, &event.event_hash, event.sig);
		t->epoch_id = event.event_hash;
		log_head_advance(&t->head, server_time_ms, &t->entry_hash, &event.event_hash);
	} else {
		assert_ok(message_decode(wire, &message));
		t->entry_hash = log_entry_hash(kind, &message.msg_hash, message.sig.data);
		log_head_advance(&t->head, server_time_ms, &t->entry_hash, NULL);
	}
	head++;
}

static void
post_draft(struct draft *d, unsigned actor, bool first)
{
	struct wrap_set *wraps = NULL;
	const struct roster_member *next = NULL;
	uint64_t before = head, time_ms = w.now.unix_ms + 1;
	struct bytes wires[ARRAY_LEN(d->wires)];
	size_t count = d->count;
	struct command *cmd;

	if (d->staged != NULL) {
		wraps = calloc(1, sizeof *wraps);
		wraps->count = d->staged->count;
		wraps->wraps = malloc((size_t)wraps->count * WRAP_BYTES);
		memcpy(wraps->wraps, d->staged->wraps, (size_t)wraps->count * WRAP_BYTES);
	}
	cmd = draft_command(&w, d, world_conn(0, actor), first ? NULL : &room.room_id);
	for (size_t i = 0; i < count; i++)
		wires[i] = cmd->events.events[i].wire;
	for (size_t i = 0; i < count; i++)
		remember(ENTRY_EVENT, wires[i], time_ms);
	if (wraps != NULL) {
		told[head].wraps = wraps;
		for (uint32_t i = 0; (next = roster_next_reader(room.roster, next)) != NULL; i++)
			told[head].reader[i] = next->id;
	}
	world_turn(&w, cmd);
	assert_int_equal(assert_answered(&w, OUT_POSTED, world_conn(0, actor))->posted.first_seq, before + 1);
	assert_int_equal(
	    assert_answered(&w, OUT_POSTED, world_conn(0, actor))->posted.server_time_ms, time_ms);
}

static void
say(unsigned actor)
{
	struct command *cmd = cmd_message(&w, world_conn(0, actor), &people[actor], &room);

	remember(ENTRY_MESSAGE, cmd->message.wire, w.now.unix_ms + 1);
	world_turn(&w, cmd);
	assert_answered(&w, OUT_POSTED, world_conn(0, actor));
}

static void
rekey(unsigned actor)
{
	struct draft d = {0};

	w.now.mono_ms += 120000; /* not too often */
	draft_rekey(&w, &d, &people[actor], &room);
	post_draft(&d, actor, false);
}

static void
add_rewrap(uint64_t seq, unsigned recipient, unsigned wrapper)
{
	struct store_batch *batch = store_batch_new();
	struct store_op *op = store_batch_add(batch, STORE_PUT_REWRAP);
	uint8_t wire[REWRAP_BYTES];

	w.random.fill(w.random.ctx, wire, sizeof wire);
	op->put_rewrap.room_id = room.room_id;
	op->put_rewrap.epoch_id = told[seq].epoch_id;
	op->put_rewrap.recipient = people[recipient].identity.member_id;
	op->put_rewrap.wrapper = people[wrapper].identity.member_id;
	op->put_rewrap.wire = wire;
	assert_ok(store_commit(w.store, batch));
	assert_int_equal(op->result.outcome, STORE_STORED);
	store_batch_free(batch);
	assert_ok(buf_append(&told[seq].rewraps[recipient], wire, sizeof wire));
}

/* Keys to messages that are all gone go too, but for the last epoch's. */
static void
forget_epochs(void)
{
	uint64_t rekey_seq = 0;
	bool whole = true;

	for (uint64_t seq = 1; seq <= head; seq++) {
		if (told[seq].wraps == NULL) {
			whole = whole || (told[seq].kind == ENTRY_MESSAGE && !told[seq].stripped);
			continue;
		}
		if (!whole) {
			wrap_set_free_list(told[rekey_seq].wraps);
			told[rekey_seq].wraps = NULL;
			for (unsigned i = 0; i < PEOPLE; i++)
				buf_fini(&told[rekey_seq].rewraps[i]);
		}
		rekey_seq = seq;
		whole = false;
	}
}

void
read_room_strip(uint64_t below_seq)
{
	struct store_batch *batch = store_batch_new();
	struct store_op *op = store_batch_add(batch, STORE_STRIP);

	op->strip.room_id = room.room_id;
	op->strip.below_seq = below_seq;
	op->strip.max_entries = ENTRIES_MAX;
	assert_ok(store_commit(w.store, batch));
	store_batch_free(batch);
	for (uint64_t seq = 1; seq < below_seq; seq++)
		told[seq].stripped = told[seq].kind == ENTRY_MESSAGE;
	forget_epochs();
}

/* An invitation whose inviter saw the log long ago. */
static void
stale_invite(unsigned who, uint64_t seen_seq)
{
	struct event event = {.type = EVENT_INVITE, .room_id = room.room_id}, decoded;
	struct draft d = {.count = 1};

	event.actor = people[0].identity.member_id;
	event.after = *roster_next_after(room.roster, EVENT_INVITE, &people[who].identity.member_id);
	event.seen_seq = seen_seq;
	event.seen_hash = told[seen_seq].head.L;
	event.card_wire = buf_bytes(&people[who].card);
	assert_ok(event_build(&event, &people[0].identity.sign, &d.wires[0], NULL));
	assert_ok(event_decode(buf_bytes(&d.wires[0]), &decoded));
	assert_ok(roster_post_event(room.roster,
	    &(const struct roster_post){
		.event = &decoded, .server_time_ms = w.now.unix_ms + 1, .signatures_good = true},
	    NULL, NULL));
	post_draft(&d, 0, false);
}

/* A room of a few with a long life: rekeys all over, runs of messages, blocks that are full and one that is
 * not. */
int
read_room_build(void **state)
{
	static const char *const names[PEOPLE] = {"alice", "bob", "carol", "dave"};
	const struct person *all[PEOPLE];
	struct store_room stored;
	struct draft d = {0};

	(void)state;
	log_set_level(LOG_ERROR);
	world_start(&w, 3, NULL);
	for (unsigned i = 0; i < PEOPLE; i++) {
		person_make(&w, &people[i], names[i]);
		all[i] = &people[i];
	}
	world_accounts(&w, all, PEOPLE, NULL);
	for (unsigned i = 0; i < PEOPLE; i++)
		world_login(&w, world_conn(0, i), &people[i]);
	copy_init(&w, &room);
	draft_create(&w, &d, &people[0], &room);
	draft_invite(&w, &d, &people[0], &room, &people[1]);
	draft_rekey(&w, &d, &people[0], &room);
	post_draft(&d, 0, true);
	draft_simple(&w, &d, &people[1], &room, EVENT_JOIN);
	post_draft(&d, 1, false);
	for (unsigned i = 0; i < 100; i++)
		say(i % 2);
	draft_invite(&w, &d, &people[0], &room, &people[2]);
	draft_rekey(&w, &d, &people[0], &room);
	post_draft(&d, 0, false);
	for (unsigned i = 0; i < 150; i++)
		say(i % 2);
	draft_simple(&w, &d, &people[2], &room, EVENT_JOIN);
	post_draft(&d, 2, false);
	for (unsigned i = 0; i < 30; i++) {
		if (i % 7 == 3)
			rekey(i % 3);
		say(i % 3);
	}
	/* More than a page: of stubs before an invitation, of events. */
	for (unsigned i = 0; i < 900; i++)
		say(i % 3);
	for (unsigned i = 0; i < 70; i++) {
		stale_invite(3, 2);
		draft_kick(&w, &d, &people[0], &room, &people[3]);
		post_draft(&d, 0, false);
	}
	assert_ok(store_room_by_id(w.store, &room.room_id, &stored));
	room_no = stored.room_no;
	assert_int_equal(stored.head.seq, head);
	assert_true(digest_equal(&stored.head.L, &told[head].head.L));
	for (uint64_t seq = 1; seq <= head; seq++) {
		if (told[seq].wraps != NULL && seq % 2 == 0) {
			add_rewrap(seq, 2, 0);
			add_rewrap(seq, 2, 1);
		}
	}
	assert_ok(store_reader_open(w.store, &reader));
	assert_ok(read_scratch_init(&scratch));
	return 0;
}

int
read_room_tear_down(void **state)
{
	(void)state;
	read_scratch_fini(&scratch);
	store_reader_close(reader);
	for (uint64_t seq = 1; seq <= head; seq++) {
		buf_fini(&told[seq].wire);
		wrap_set_free_list(told[seq].wraps);
		for (unsigned i = 0; i < PEOPLE; i++)
			buf_fini(&told[seq].rewraps[i]);
	}
	copy_fini(&room);
	for (unsigned i = 0; i < PEOPLE; i++)
		person_end(&people[i]);
	world_end(&w);
	return 0;
}

/* ---- asking, and comparing ---- */

struct read_request
request_of(enum read_kind kind, unsigned member, struct view *view)
{
	return (struct read_request){
	    .kind = kind,
	    .conn = world_conn(1, 5),
	    .request_id = 77,
	    .room_id = room.room_id,
	    .room_no = room_no,
	    .member_id = people[member].identity.member_id,
	    .view = view,
	};
}

struct view *
random_view(void)
{
	struct seq_range ranges[4];
	uint32_t count = (uint32_t)(unit_rand(&seed) % 5);
	uint64_t at = 1;

	for (uint32_t i = 0; i < count; i++) {
		ranges[i].from = at + unit_rand(&seed) % 80;
		ranges[i].to = ranges[i].from + 1 + unit_rand(&seed) % 80;
		at = ranges[i].to;
	}
	if (count > 0 && unit_rand(&seed) % 2 == 0)
		ranges[count - 1].to = UINT64_MAX;
	return view_new(ranges, count);
}

void
check_entry(const Chat__V1__Entry *entry, uint64_t seq, const struct view *view, bool only_stub)
{
	const struct told *t = &told[seq];
	bool whole = !only_stub && !t->stripped && (t->kind == ENTRY_EVENT || view_allows(view, seq));

	assert_int_equal(entry->seq, seq);
	assert_int_equal(entry->kind, t->kind);
	assert_int_equal(entry->server_time_ms, t->server_time_ms);
	if (whole) {
		assert_bytes_equal(wire_bytes(entry->wire), buf_bytes(&t->wire));
		assert_int_equal(entry->entry_hash.len, 0);
	} else {
		assert_int_equal(entry->wire.len, 0);
		assert_bytes_equal(wire_bytes(entry->entry_hash), digest_bytes(&t->entry_hash));
	}
}

struct bytes
wrap_of(const struct told *t, unsigned member)
{
	for (uint32_t i = 0; t->wraps != NULL && i < t->wraps->count; i++)
		if (digest_equal(&t->reader[i], &people[member].identity.member_id))
			return BYTES(t->wraps->wraps + (size_t)i * WRAP_BYTES, WRAP_BYTES);
	return BYTES_EMPTY;
}

void
check_epoch(const Chat__V1__EpochWraps *epoch, const struct told *t, unsigned member)
{
	struct bytes rewraps = buf_bytes(&t->rewraps[member]);

	assert_bytes_equal(wire_bytes(epoch->epoch_id), digest_bytes(&t->epoch_id));
	assert_bytes_equal(wire_bytes(epoch->wrap), wrap_of(t, member));
	assert_int_equal(epoch->n_rewrap, rewraps.len / REWRAP_BYTES);
	for (size_t i = 0; i < epoch->n_rewrap; i++)
		assert_bytes_equal(
		    wire_bytes(epoch->rewrap[i]), BYTES(rewraps.data + i * REWRAP_BYTES, REWRAP_BYTES));
}

const Chat__V1__ServerFrame *
answer_of(const struct read_result *result, struct arena *arena)
{
	const Chat__V1__ServerFrame *frame;
	struct bytes body;
	size_t n;

	assert_ok(result->err);
	assert_ok(
	    frame_split(BYTES(result->frames->data, result->frames->len), FRAME_MAX_AFTER_LOGIN, &body, &n));
	assert_int_equal(n, result->frames->len);
	frame_arena_init(arena);
	assert_ok(frame_decode_server(body, arena, &frame));
	assert_int_equal(frame->id, 77);
	return frame;
}
