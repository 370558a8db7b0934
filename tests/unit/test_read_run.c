/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What readers give, against a plain list of what was posted. */
#include "engine_world.h"

#include "base/log.h"
#include "group/loghash.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "proto/wire.h"
#include "server/read_run.h"

#define ENTRIES_MAX 2000
#define PEOPLE      4

/* One entry as it was posted. */
struct told {
	uint64_t server_time_ms;
	enum entry_kind kind;
	struct buf wire;
	struct digest entry_hash;
	bool stripped;
	struct log_head head;   /* behind it */
	struct wrap_set *wraps; /* of a rekey: in the order of reader[] */
	struct digest epoch_id;
	struct digest reader[PEOPLE];
	struct buf rewraps[PEOPLE]; /* by person: whole re-wraps, one behind the other */
};

static struct world w;
static struct person people[PEOPLE];
static struct copy room;
static struct told told[ENTRIES_MAX + 1]; /* by seq */
static uint64_t head;
static uint64_t room_no;
static struct store_reader *reader;
static struct read_scratch scratch;
static uint64_t seed = 11;

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

static void
strip(uint64_t below_seq)
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
static int
build(void **state)
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

static int
tear_down(void **state)
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

static struct read_request
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

static struct view *
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

static void
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

static struct bytes
wrap_of(const struct told *t, unsigned member)
{
	for (uint32_t i = 0; t->wraps != NULL && i < t->wraps->count; i++)
		if (digest_equal(&t->reader[i], &people[member].identity.member_id))
			return BYTES(t->wraps->wraps + (size_t)i * WRAP_BYTES, WRAP_BYTES);
	return BYTES_EMPTY;
}

static void
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

/* Walks the frames of a range; returns how many entries there were. */
static uint64_t
check_range(
    const struct read_result *result, uint64_t from, uint64_t to, unsigned member, const struct view *view)
{
	struct bytes in =
	    result->frames != NULL ? BYTES(result->frames->data, result->frames->len) : BYTES_EMPTY;
	uint64_t seq = from;
	bool wraps_seen = false;
	size_t at = 0, n;
	struct arena arena;

	assert_ok(result->err);
	frame_arena_init(&arena);
	while (at < in.len) {
		const Chat__V1__ServerFrame *frame;
		struct bytes body;

		assert_ok(frame_split(BYTES(in.data + at, in.len - at), FRAME_MAX_AFTER_LOGIN, &body, &n));
		at += n;
		arena_reset(&arena);
		assert_ok(frame_decode_server(body, &arena, &frame));
		assert_int_equal(frame->id, 0);
		if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH) {
			assert_false(wraps_seen);
			wraps_seen = true;
			assert_bytes_equal(
			    wire_bytes(frame->wraps_push->room_id), digest_bytes(&room.room_id));
			assert_int_equal(frame->wraps_push->n_epoch, 1);
			check_epoch(frame->wraps_push->epoch[0], &told[seq], member);
			continue;
		}
		assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ENTRY);
		assert_bytes_equal(wire_bytes(frame->entry->room_id), digest_bytes(&room.room_id));
		check_entry(frame->entry, seq, view, false);
		/* A Wraps push where there is something, and right before its rekey. */
		assert_int_equal(wraps_seen,
		    told[seq].wraps != NULL &&
			(wrap_of(&told[seq], member).len > 0 || told[seq].rewraps[member].len > 0));
		wraps_seen = false;
		assert_int_equal(result->ends[seq - from], at);
		seq++;
	}
	assert_false(wraps_seen);
	assert_int_equal(result->count, seq - from);
	assert_true(seq <= to + 1);
	arena_fini(&arena);
	return seq - from;
}

TEST(ranges)
{
	for (unsigned i = 0; i < 120; i++) {
		unsigned member = (unsigned)(unit_rand(&seed) % PEOPLE);
		struct view *view = random_view();
		struct read_request request = request_of(READ_RANGE, member, view);
		struct read_result *result;
		uint64_t count;

		request.from_seq = unit_rand(&seed) % head + 1;
		request.to_seq = request.from_seq + unit_rand(&seed) % (head - request.from_seq + 1);
		result = read_run(reader, &request, &scratch);
		assert_int_equal(result->kind, READ_RANGE);
		assert_int_equal(result->conn.slot, 5);
		count = check_range(result, request.from_seq, request.to_seq, member, view);
		assert_true(count >= 1);
		/* Less than asked for only where the chunk was full: one more message would not have fitted.
		 */
		if (count < request.to_seq - request.from_seq + 1 && count < READ_PAGE_ITEMS)
			assert_true(result->frames->len > READ_CHUNK_BYTES - 2048);
		assert_true(result->frames->len <= READ_CHUNK_BYTES + 10 * 2048);
		read_result_free(result);
		view_unref(view);
	}
}

/* Read on and on from where the last one ended, it is the whole log. */
TEST(chunk_by_chunk)
{
	struct view *view = view_new(&(const struct seq_range){.from = 1, .to = UINT64_MAX}, 1);
	uint64_t next = 1;
	unsigned reads = 0;

	while (next <= head) {
		struct read_request request = request_of(READ_RANGE, 1, view);
		struct read_result *result;

		request.from_seq = next;
		request.to_seq = head;
		result = read_run(reader, &request, &scratch);
		next += check_range(result, next, head, 1, view);
		read_result_free(result);
		reads++;
	}
	assert_true(reads >= 2);
	view_unref(view);
}

static const Chat__V1__ServerFrame *
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

TEST(history)
{
	for (unsigned i = 0; i < 240; i++) {
		struct view *view = random_view();
		struct read_request request = request_of(READ_HISTORY, 0, view);
		const Chat__V1__History *history;
		struct read_result *result;
		struct arena arena;
		uint64_t first;

		/* Half of them at the very beginning. */
		request.from_seq = unit_rand(&seed) % (i < 120 ? 12 : head + 1) + 1;
		request.limit = (uint32_t)(unit_rand(&seed) % (i % 2 == 0 ? 20 : HISTORY_LIMIT_MAX) + 1);
		result = read_run(reader, &request, &scratch);
		history = answer_of(result, &arena)->history;
		first = request.from_seq - history->n_entry;
		for (size_t j = 0; j < history->n_entry; j++) {
			check_entry(history->entry[j], first + j, view, false);
			assert_int_equal(history->entry[j]->room_id.len, 0);
		}
		if (history->n_entry > 0)
			assert_bytes_equal(
			    wire_bytes(history->before_hash), digest_bytes(&told[first - 1].head.L));
		assert_int_equal(history->more, first > 1);
		assert_true(history->n_entry <= request.limit);
		if (history->n_entry < request.limit && first > 1)
			assert_true(result->frames->len > READ_CHUNK_BYTES / 2);
		assert_true(result->frames->len < READ_CHUNK_BYTES + 2048);
		arena_fini(&arena);
		read_result_free(result);
		view_unref(view);
	}
}

/* Asked again behind the last until there is no more, it is all events up to to_seq. */
static unsigned
check_roster(uint64_t from, uint64_t to)
{
	struct view *view = view_new(NULL, 0);
	uint64_t seq = from;
	unsigned pages = 0;
	bool more = true;

	while (more) {
		struct read_request request = request_of(READ_ROSTER, 0, view);
		const Chat__V1__RosterEvents *events;
		struct read_result *result;
		struct arena arena;

		request.from_seq = seq;
		request.to_seq = to;
		result = read_run(reader, &request, &scratch);
		assert_true(result->frames->len < READ_CHUNK_BYTES + 2048);
		events = answer_of(result, &arena)->roster_events;
		more = events->more;
		for (size_t i = 0; i < events->n_entry; seq++)
			if (told[seq].kind == ENTRY_EVENT)
				check_entry(events->entry[i++], seq, view, false);
		pages++;
		arena_fini(&arena);
		read_result_free(result);
	}
	for (; seq <= to; seq++)
		assert_int_not_equal(told[seq].kind, ENTRY_EVENT);
	view_unref(view);
	return pages;
}

TEST(roster)
{
	for (uint64_t to = 1; to <= head; to += 161)
		for (uint64_t from = 1; from <= to; from += 113)
			check_roster(from, to);
	assert_int_equal(check_roster(1, 4), 1);
	assert_true(check_roster(1, head) >= 2);
}

/* From what the inviter saw to the invitation, page by page. */
static unsigned
check_prefix(uint64_t since_seq)
{
	struct view *view = view_new(NULL, 0);
	struct event event;
	uint64_t next, from = 0;
	unsigned page = 0;
	bool more = true;

	assert_ok(event_decode(buf_bytes(&told[since_seq].wire), &event));
	next = event.seen_seq + 1;
	for (; more; page++) {
		struct read_request request = request_of(READ_PREFIX, 2, view);
		const Chat__V1__Prefix *prefix;
		struct read_result *result;
		struct arena arena;

		request.from_seq = from;
		request.to_seq = since_seq;
		result = read_run(reader, &request, &scratch);
		prefix = answer_of(result, &arena)->prefix;
		if (event.type == EVENT_CREATE) {
			assert_int_equal(prefix->preimage.len + prefix->n_stub, 0);
			next = since_seq + 1;
		} else if (page == 0 && event.seen_seq > 0) {
			struct log_preimage preimage;
			struct digest L;

			assert_ok(log_preimage_decode(wire_bytes(prefix->preimage), &preimage));
			L = log_preimage_hash(&preimage);
			assert_true(digest_equal(&L, &told[event.seen_seq].head.L));
		} else {
			assert_int_equal(prefix->preimage.len, 0);
		}
		for (size_t i = 0; i < prefix->n_stub; i++)
			check_entry(prefix->stub[i], next++, view, true);
		from = next - 1;
		more = prefix->more;
		arena_fini(&arena);
		read_result_free(result);
	}
	assert_int_equal(next, since_seq + 1);
	view_unref(view);
	return page;
}

TEST(prefix)
{
	unsigned most = 0;

	for (uint64_t seq = 1; seq <= head; seq++) {
		if (told[seq].kind == ENTRY_EVENT) {
			unsigned pages = check_prefix(seq);

			most = pages > most ? pages : most;
		}
	}
	assert_true(most >= 2);
}

TEST(wraps)
{
	struct view *view = view_new(NULL, 0);

	for (unsigned member = 0; member < PEOPLE; member++) {
		struct read_request request = request_of(READ_WRAPS, member, view);
		struct digest ids[EPOCHS_ASKED_MAX];
		const struct told *expected[EPOCHS_ASKED_MAX];
		const Chat__V1__Wraps *answer;
		struct read_result *result;
		struct arena arena;
		uint32_t count = 0;

		for (uint64_t seq = 1; seq <= head; seq++) {
			if (told[seq].wraps != NULL) {
				expected[count] = &told[seq];
				ids[count++] = told[seq].epoch_id;
			}
		}
		ids[count++] = digest_zero; /* no such epoch: nothing, but said */
		request.epoch_ids = ids;
		request.epoch_count = count;
		result = read_run(reader, &request, &scratch);
		answer = answer_of(result, &arena)->wraps;
		assert_int_equal(answer->n_epoch, count);
		for (uint32_t i = 0; i + 1 < count; i++)
			check_epoch(answer->epoch[i], expected[i], member);
		assert_int_equal(answer->epoch[count - 1]->wrap.len + answer->epoch[count - 1]->n_rewrap, 0);
		arena_fini(&arena);
		read_result_free(result);
	}
	view_unref(view);
}

/* The rest over again once retention has been there. */
TEST(after_retention)
{
	strip(120);
	ranges(NULL);
	chunk_by_chunk(NULL);
	history(NULL);
	roster(NULL);
	prefix(NULL);
}

TEST(a_room_that_is_not_there)
{
	struct view *view = view_new(NULL, 0);
	struct read_request request = request_of(READ_RANGE, 0, view);
	struct read_result *result;

	request.room_no = room_no + 1000;
	request.from_seq = 1;
	request.to_seq = 10;
	result = read_run(reader, &request, &scratch);
	assert_ok(result->err);
	assert_int_equal(result->count, 0);
	assert_null(result->frames);
	read_result_free(result);
	request.kind = READ_PREFIX;
	result = read_run(reader, &request, &scratch);
	assert_err(result->err, CHAT_ERR_CORRUPT);
	assert_null(result->frames);
	read_result_free(result);
	view_unref(view);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ranges),
	    cmocka_unit_test(chunk_by_chunk),
	    cmocka_unit_test(history),
	    cmocka_unit_test(roster),
	    cmocka_unit_test(prefix),
	    cmocka_unit_test(wraps),
	    cmocka_unit_test(a_room_that_is_not_there),
	    cmocka_unit_test(after_retention),
	};
	return cmocka_run_group_tests(tests, build, tear_down);
}
