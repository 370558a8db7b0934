/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What readers give, against a plain list of what was posted. */
#include "read_room.h"

#include "proto/frame.h"
#include "proto/wire.h"

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
	read_room_strip(120);
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
	return cmocka_run_group_tests(tests, read_room_build, read_room_tear_down);
}
