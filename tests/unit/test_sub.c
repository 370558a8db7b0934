/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Subscriptions on a loop whose turns the test takes, fed by hand: what is queued, what is read, and how much
 * of it. */
#include "loop_rig.h"

#include "proto/frame.h"
#include "server/read_run.h"
#include "server/sub.h"

#define ROOM_NO 42

static struct loop_rig lr;
static struct peer peer;
static struct conn *c;
static const struct digest room_id = {{7}};

static int
set_up(void **state)
{
	(void)state;
	lr = (struct loop_rig){.accepted = 0};
	rig_init(&lr.rig, 1);
	lr.rig.limits->outbuf_high_bytes = 20000;
	lr.rig.limits->outbuf_low_bytes = 5000;
	loop_rig_start(&lr);
	peer = (struct peer){0};
	c = loop_rig_ready(&lr, &peer, 1);
	c->member_id = (struct digest){{1}};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	peer_close(&peer);
	loop_rig_end(&lr);
	return 0;
}

static struct view *
all(void)
{
	return view_new(&(const struct seq_range){.from = 1, .to = UINT64_MAX}, 1);
}

static void
subscribe(uint64_t room_no, uint64_t next_seq, uint64_t head_seq, struct view *view)
{
	struct outcome *out = outcome_new(OUT_SUBSCRIBED);

	out->to = c->ref;
	out->request_id = 5;
	out->subscribed.room_id = room_id;
	out->subscribed.room_no = room_no;
	out->subscribed.next_seq = next_seq;
	out->subscribed.head_seq = head_seq;
	out->subscribed.view = view;
	loop_rig_outcome(&lr, out);
	loop_rig_turn(&lr, 0);
}

static struct frame_ref *
entry_frame(uint64_t seq, bool whole, size_t wire_len)
{
	struct digest hash = {{9}};
	uint8_t *wire = calloc(1, wire_len + 1);
	struct entry_push push = {.room_id = &room_id, .seq = seq, .server_time_ms = 1, .kind = 2};
	struct frame_ref *frame;

	if (whole)
		push.wire = BYTES(wire, wire_len);
	else
		push.entry_hash = &hash;
	frame = frame_ref_new(frame_entry_bytes(&push));
	frame_entry_put(&push, frame->data, frame->len);
	free(wire);
	return frame;
}

/* New entries from..to; `kind`: 'm'essages, with stubs, 'e'vents, 'n'umbers without frames. */
static void
entries(uint64_t room_no, uint64_t from, uint64_t to, char kind, size_t wire_len)
{
	struct outcome *out = outcome_new(OUT_ENTRIES);

	out->entries.room_no = room_no;
	out->entries.count = (uint32_t)(to - from + 1);
	out->entries.frames = calloc(out->entries.count, sizeof *out->entries.frames);
	for (uint32_t i = 0; i < out->entries.count; i++) {
		struct entry_frames *f = &out->entries.frames[i];

		f->seq = from + i;
		f->event = kind == 'e';
		if (kind != 'n')
			f->whole = entry_frame(f->seq, true, wire_len);
		if (kind == 'm')
			f->stub = entry_frame(f->seq, false, 0);
	}
	loop_rig_outcome(&lr, out);
	loop_rig_turn(&lr, 0);
}

static struct sub *
the_sub(void)
{
	return LIST_FIRST(&c->subs);
}

/* What a reader would post: entries from..from+count-1, or a failure. */
static void
read_result(uint64_t serial, uint64_t from, uint32_t count, size_t wire_len)
{
	struct read_result *result = calloc(1, sizeof *result);
	struct buf bytes = {0};

	result->mail.tag = LOOP_MAIL_READ;
	result->kind = READ_RANGE;
	result->conn = c->ref;
	result->request_id = serial;
	result->room_no = ROOM_NO;
	result->first_seq = from;
	result->count = count;
	result->err = count == 0 ? CHAT_ERR_STORE_UNAVAILABLE : CHAT_OK;
	result->ends = calloc(count + 1, sizeof *result->ends);
	for (uint32_t i = 0; i < count; i++) {
		struct frame_ref *frame = entry_frame(from + i, true, wire_len);

		assert_ok(buf_append(&bytes, frame->data, frame->len));
		result->ends[i] = (uint32_t)bytes.len;
		frame_ref_unref(frame);
	}
	if (count > 0) {
		result->frames = frame_ref_new(bytes.len);
		memcpy(result->frames->data, bytes.data, bytes.len);
	}
	buf_fini(&bytes);
	assert_true(mailbox_post(lr.boxes[0], &result->mail));
	loop_rig_turn(&lr, 0);
}

/* The entries that the peer gets next are these; and no more come. */
static void
expect(uint64_t from, uint64_t to, bool whole)
{
	const Chat__V1__ServerFrame *frame;

	for (uint64_t seq = from; seq <= to; seq++) {
		do
			frame = peer_next(&peer);
		while (frame->body_case != CHAT__V1__SERVER_FRAME__BODY_ENTRY);
		assert_int_equal(frame->entry->seq, seq);
		assert_int_equal(frame->entry->wire.len > 0, whole);
	}
}

static void
expect_nothing(void)
{
	const Chat__V1__ServerFrame *frame;
	uint64_t id = peer_ping(&peer);

	while ((frame = peer_next(&peer))->id != id)
		assert_int_not_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ENTRY);
}

TEST(live)
{
	subscribe(ROOM_NO, 11, 10, all());
	assert_int_equal(readers_waiting(lr.shared.readers), 0);
	entries(ROOM_NO, 11, 13, 'm', 100);
	expect(11, 13, true);
	entries(ROOM_NO, 14, 14, 'e', 100);
	expect(14, 14, true);
	/* Another room's are not for it. */
	entries(ROOM_NO + 1, 15, 15, 'e', 100);
	expect_nothing();
	assert_int_equal(readers_waiting(lr.shared.readers), 0);
}

TEST(by_view)
{
	struct outcome *out = outcome_new(OUT_VIEW);

	subscribe(ROOM_NO, 1, 0, view_new(&(const struct seq_range){.from = 3, .to = 5}, 1));
	entries(ROOM_NO, 1, 6, 'm', 100);
	expect(1, 2, false);
	expect(3, 4, true);
	expect(5, 6, false);
	entries(ROOM_NO, 7, 7, 'e', 100);
	expect(7, 7, true);
	out->to = c->ref;
	out->view.room_no = ROOM_NO;
	out->view.view = all();
	loop_rig_outcome(&lr, out);
	entries(ROOM_NO, 8, 9, 'm', 100);
	expect(8, 9, true);
}

/* A message without the stub that it would have to be: its number alone, and it is read. */
TEST(a_missing_stub_is_read)
{
	struct outcome *out = outcome_new(OUT_ENTRIES);

	subscribe(ROOM_NO, 1, 0, view_new(NULL, 0));
	out->entries.room_no = ROOM_NO;
	out->entries.count = 1;
	out->entries.frames = calloc(1, sizeof *out->entries.frames);
	out->entries.frames[0] = (struct entry_frames){.seq = 1, .whole = entry_frame(1, true, 10)};
	loop_rig_outcome(&lr, out);
	loop_rig_settle(&lr);
	expect_nothing();
	assert_int_equal(readers_waiting(lr.shared.readers), 1);
}

TEST(each_reader_gets_its_own_wrap)
{
	static const uint8_t mark[] = {1, 2};
	struct wrap_list *wraps = wrap_list_new(2);
	struct outcome *out = outcome_new(OUT_ENTRIES);
	const Chat__V1__ServerFrame *frame;

	wraps->room_id = room_id;
	wraps->epoch_id = (struct digest){{77}};
	for (unsigned i = 0; i < 2; i++) {
		wraps->items[i].member_id = (struct digest){{mark[i]}};
		memset(wraps->items[i].wrap, 100 + mark[i], WRAP_BYTES);
	}
	wrap_list_seal(wraps);
	subscribe(ROOM_NO, 1, 0, all());
	out->entries.room_no = ROOM_NO;
	out->entries.count = 1;
	out->entries.frames = calloc(1, sizeof *out->entries.frames);
	out->entries.frames[0] =
	    (struct entry_frames){.seq = 1, .event = true, .whole = entry_frame(1, true, 10), .wraps = wraps};
	loop_rig_outcome(&lr, out);
	while ((frame = peer_next(&peer))->body_case != CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH)
		assert_int_not_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ENTRY);
	assert_int_equal(frame->wraps_push->epoch[0]->epoch_id.data[0], 77);
	assert_int_equal(frame->wraps_push->epoch[0]->wrap.data[0], 101);
	expect(1, 1, true);
}

TEST(behind_is_read)
{
	subscribe(ROOM_NO, 1, 10, all());
	assert_int_equal(readers_waiting(lr.shared.readers), 1);
	/* What is new meanwhile is not sent yet. */
	entries(ROOM_NO, 11, 12, 'm', 100);
	expect_nothing();
	read_result(lr.lt->sub_serial, 1, 4, 100);
	expect(1, 4, true);
	assert_int_equal(readers_waiting(lr.shared.readers), 2);
	read_result(lr.lt->sub_serial, 5, 8, 100);
	expect(5, 12, true);
	assert_int_equal(readers_waiting(lr.shared.readers), 2);
	entries(ROOM_NO, 13, 13, 'm', 100);
	expect(13, 13, true);
}

/* However much comes: the queue stays below its mark and one entry, and one read is asked for when it has
 * drained. */
TEST(the_queue_is_bounded)
{
	uint64_t next = 1;
	size_t most = 0;

	subscribe(ROOM_NO, 1, 0, all());
	for (; next < 2000; next++) {
		entries(ROOM_NO, next, next, 'm', 1000);
		most = c->out.bytes > most ? c->out.bytes : most;
	}
	assert_true(most >= 20000 && most < 20000 + 1200);
	assert_int_equal(readers_waiting(lr.shared.readers), 0);
	assert_true(the_sub()->delivery.next_seq < next);
	expect(1, the_sub()->delivery.next_seq - 1, true);
	loop_rig_settle(&lr);
	assert_int_equal(readers_waiting(lr.shared.readers), 1);
	/* No second one while the first is under way. */
	entries(ROOM_NO, next, next, 'm', 1000);
	loop_rig_settle(&lr);
	assert_int_equal(readers_waiting(lr.shared.readers), 1);
}

/* Many rooms at once: few reads at a time, each in its turn. */
TEST(reads_take_turns)
{
	enum { ROOMS = 20 };
	bool done[ROOMS + 1] = {false};

	for (uint64_t i = 1; i <= ROOMS; i++)
		subscribe(i, 1, 5, all());
	assert_int_equal(readers_waiting(lr.shared.readers), RANGE_READS_PER_CONN);
	for (unsigned i = 1; i <= ROOMS; i++) {
		struct range_read *slot = &c->range_reads[0];
		struct sub *sub = slot->sub;

		assert_non_null(sub);
		assert_false(done[sub->room->room_no]);
		done[sub->room->room_no] = true;
		read_result(slot->serial, 1, 5, 10);
		assert_true(delivery_is_live(&sub->delivery));
		expect(1, 5, true);
		/* The other slot stays with its read, but for the last. */
		assert_int_equal(readers_waiting(lr.shared.readers),
		    i + RANGE_READS_PER_CONN < ROOMS ? i + RANGE_READS_PER_CONN : ROOMS);
		if (slot->sub == NULL)
			c->range_reads[0] = c->range_reads[1];
	}
}

TEST(numbers_alone)
{
	subscribe(ROOM_NO, 1, 0, all());
	entries(ROOM_NO, 1, 3, 'n', 0);
	expect_nothing();
	assert_int_equal(readers_waiting(lr.shared.readers), 1);
	/* What comes behind the read goes on from there. */
	read_result(lr.lt->sub_serial, 1, 3, 10);
	entries(ROOM_NO, 4, 4, 'm', 10);
	expect(1, 4, true);
}

static void
end_at(uint64_t seq)
{
	struct outcome *out = outcome_new(OUT_END);

	out->to = c->ref;
	out->end.room_no = ROOM_NO;
	out->end.end_seq = seq;
	loop_rig_outcome(&lr, out);
	loop_rig_turn(&lr, 0);
}

TEST(a_stay_ends)
{
	subscribe(ROOM_NO, 1, 0, all());
	end_at(2);
	entries(ROOM_NO, 1, 5, 'e', 10);
	expect(1, 2, true);
	expect_nothing();
	assert_null(the_sub());
	assert_int_equal(lr.lt->sub_rooms.count, 0);
	/* Nothing was missed: it is over at once. */
	subscribe(ROOM_NO, 6, 5, all());
	end_at(5);
	assert_null(the_sub());
}

/* The end came while a read was under way that goes beyond it: its first part counts. */
TEST(a_read_beyond_the_end)
{
	subscribe(ROOM_NO, 1, 10, all());
	end_at(4);
	read_result(lr.lt->sub_serial, 1, 10, 10);
	expect(1, 4, true);
	expect_nothing();
	assert_null(the_sub());
}

/* Subscribed anew while a read is under way: what that brings is nobody's any more. */
TEST(again_from_elsewhere)
{
	uint64_t old;

	subscribe(ROOM_NO, 1, 10, all());
	old = lr.lt->sub_serial;
	subscribe(ROOM_NO, 8, 10, all());
	assert_int_equal(readers_waiting(lr.shared.readers), 2);
	read_result(old, 1, 10, 10);
	expect_nothing();
	read_result(lr.lt->sub_serial, 8, 3, 10);
	expect(8, 10, true);
	assert_non_null(the_sub());
	assert_null(LIST_NEXT(the_sub(), conn_link));
}

/* A read that fails is tried again, later, and not at once. */
TEST(a_read_that_fails)
{
	subscribe(ROOM_NO, 1, 3, all());
	read_result(lr.lt->sub_serial, 1, 0, 0);
	loop_rig_settle(&lr);
	assert_int_equal(readers_waiting(lr.shared.readers), 1);
	while (readers_waiting(lr.shared.readers) == 1)
		loop_rig_turn(&lr, 100);
	read_result(lr.lt->sub_serial, 1, 3, 10);
	expect(1, 3, true);
}

/* A connection that goes away takes all with it; what was being read for it is dropped. */
TEST(gone_with_its_connection)
{
	struct peer other = {0};
	struct conn_ref ref;
	struct conn *old = c;

	subscribe(ROOM_NO, 1, 10, all());
	subscribe(ROOM_NO + 1, 1, 0, all());
	ref = c->ref;
	conn_drop(c, "test");
	assert_int_equal(lr.lt->sub_rooms.count, 0);
	loop_rig_turn(&lr, 0);
	c = loop_rig_ready(&lr, &other, 2);
	assert_int_equal(c->ref.slot, ref.slot);
	(void)old;
	subscribe(ROOM_NO, 11, 10, all());
	{
		struct conn_ref now = c->ref;

		c->ref = ref;
		read_result(1, 1, 10, 10);
		c->ref = now;
	}
	peer_close(&peer);
	peer = other;
	expect_nothing();
	entries(ROOM_NO, 11, 11, 'm', 10);
	expect(11, 11, true);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(live),
	    TEST_CASE(by_view),
	    TEST_CASE(a_missing_stub_is_read),
	    TEST_CASE(each_reader_gets_its_own_wrap),
	    TEST_CASE(behind_is_read),
	    TEST_CASE(the_queue_is_bounded),
	    TEST_CASE(reads_take_turns),
	    TEST_CASE(numbers_alone),
	    TEST_CASE(a_stay_ends),
	    TEST_CASE(a_read_beyond_the_end),
	    TEST_CASE(again_from_elsewhere),
	    TEST_CASE(a_read_that_fails),
	    TEST_CASE(gone_with_its_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
