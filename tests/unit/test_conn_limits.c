/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a connection may take, of time, requests and memory: a turn at a time, with real TLS and without an
 * engine. */
#include "loop_rig.h"

#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/wheel.h"
#include "proto/frame.h"
#include "proto/wire.h"

static struct loop_rig lr;

static int
set_up(void **state)
{
	(void)state;
	lr = (struct loop_rig){.accepted = 0};
	rig_init(&lr.rig, 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	loop_rig_end(&lr);
	return 0;
}

/* Time can be made to pass at once (--wrap in server.mk). */
static _Atomic uint64_t passed_ms;

uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);
struct now __real_clock_now(void);
struct now __wrap_clock_now(void);

uint64_t
__wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + passed_ms;
}

struct now
__wrap_clock_now(void)
{
	struct now now = __real_clock_now();

	now.mono_ms += passed_ms;
	return now;
}

static void
pass_ms(uint64_t ms)
{
	passed_ms += ms;
	loop_rig_settle(&lr);
}

static size_t
posted(void)
{
	return engine_thread_waiting(lr.shared.engine);
}

static void
put_ping(struct buf *out, uint64_t id)
{
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__Ping ping = CHAT__V1__PING__INIT;

	frame.id = id;
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_PING;
	frame.ping = &ping;
	assert_ok(frame_encode_client(&frame, out));
}

static void
expect_pongs(struct peer *peer, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		const Chat__V1__ServerFrame *frame = peer_next(peer);

		assert_non_null(frame);
		assert_int_equal(frame->id, id);
		assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_PONG);
	}
}

/* ---- deadlines ---- */

#define LIMIT_MS 60000
#define EARLY_MS (LIMIT_MS - 10000) /* as much earlier as a slow machine may need for the test itself */

/* It is closed at the limit from now, and not before. */
static void
expect_limit(const struct conn *c, struct peer *peer)
{
	pass_ms(EARLY_MS);
	assert_int_equal(c->state, CONN_OPEN);
	pass_ms(LIMIT_MS - EARLY_MS + WHEEL_TICK_MS);
	assert_int_equal(c->state, CONN_LINGER);
	peer_expect_goodbye(peer, CHAT_OK);
	peer_close(peer);
}

TEST(deadlines)
{
	struct peer peer = {0};
	struct conn *c;
	int fd;

	lr.rig.limits->handshake_timeout_ms = LIMIT_MS;
	lr.rig.limits->hello_timeout_ms = LIMIT_MS;
	lr.rig.limits->login_timeout_ms = LIMIT_MS;
	lr.rig.limits->idle_timeout_ms = LIMIT_MS;
	loop_rig_start(&lr);

	fd = loop_rig_connect(&lr, 1);
	loop_rig_settle(&lr);
	pass_ms(EARLY_MS);
	assert_int_equal(lr.ended, 0);
	pass_ms(LIMIT_MS - EARLY_MS + WHEEL_TICK_MS);
	assert_int_equal(lr.ended, 1);
	close(fd);

	c = loop_rig_open(&lr, &peer, 1);
	expect_limit(c, &peer);

	c = loop_rig_open(&lr, &peer, 1);
	pass_ms(EARLY_MS);
	peer_expect(&peer, peer_hello(&peer), CHAT__V1__SERVER_FRAME__BODY_HELLO_OK);
	expect_limit(c, &peer);

	/* Whoever says something is not idle. */
	c = loop_rig_ready(&lr, &peer, 1);
	for (unsigned i = 0; i < 5; i++) {
		pass_ms(EARLY_MS);
		peer_expect(&peer, peer_ping(&peer), CHAT__V1__SERVER_FRAME__BODY_PONG);
	}
	expect_limit(c, &peer);
}

/* ---- what is under way ---- */

static void
send_many(struct peer *peer, unsigned count, bool history)
{
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__GetRooms rooms = CHAT__V1__GET_ROOMS__INIT;
	Chat__V1__GetHistory get = CHAT__V1__GET_HISTORY__INIT;
	struct buf out = {0};

	get.room_id = wire_from_digest(&digest_zero);
	get.before_seq = 1;
	get.limit = 1;
	for (unsigned i = 1; i <= count; i++) {
		frame.id = i;
		frame.request_case = history ? CHAT__V1__CLIENT_FRAME__REQUEST_GET_HISTORY
					     : CHAT__V1__CLIENT_FRAME__REQUEST_GET_ROOMS;
		if (history)
			frame.get_history = &get;
		else
			frame.get_rooms = &rooms;
		assert_ok(frame_encode_client(&frame, &out));
	}
	peer_send_bytes(peer, out.data, out.len);
	buf_fini(&out);
}

static void
answer(struct conn *c, uint64_t id)
{
	struct outcome *outcome = outcome_new(OUT_OK);

	outcome->to = c->ref;
	outcome->request_id = id;
	loop_rig_outcome(&lr, outcome);
}

static void
check_under_way(bool history, unsigned limit)
{
	struct peer peer = {0};
	struct conn *c;

	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	send_many(&peer, 100, history);
	loop_rig_settle(&lr);
	assert_int_equal(posted(), limit);
	assert_int_equal(c->under_way, limit);
	/* The rest is not read, whatever comes. */
	peer.next_id = 1000;
	peer_ping(&peer);
	loop_rig_settle(&lr);
	assert_int_equal(posted(), limit);
	/* One answered, one more taken. */
	for (unsigned i = 1; i <= 100; i++) {
		answer(c, i);
		loop_rig_settle(&lr);
		assert_int_equal(posted(), i + limit < 100 ? i + limit : 100);
		peer_expect(&peer, i, CHAT__V1__SERVER_FRAME__BODY_OK);
	}
	assert_int_equal(c->under_way, 0);
	assert_null(c->in.data);
	peer_close(&peer);
}

TEST(sixty_four_requests_under_way)
{
	check_under_way(false, REQUESTS_UNDER_WAY);
}

TEST(few_reads_under_way)
{
	check_under_way(true, ANSWER_READS_PER_CONN);
}

/* Slowed, not cut: all is answered in the end, and not all at once. */
TEST(too_much_is_asked)
{
	struct peer peer = {0};
	struct buf out = {0};
	struct conn *c;

	lr.rig.limits->request_units_per_ms = 1;
	lr.rig.limits->request_units_burst = 50;
	loop_rig_start(&lr);
	c = loop_rig_open(&lr, &peer, 1);
	for (unsigned i = 1; i <= 150; i++)
		put_ping(&out, i);
	peer_send_bytes(&peer, out.data, out.len);
	loop_rig_settle(&lr);
	assert_true(c->stalled);
	assert_true(c->units < 0);
	expect_pongs(&peer, 1, 150);
	buf_fini(&out);
	peer_close(&peer);
}

/* ---- slow readers ---- */

TEST(a_full_queue_stops_reading)
{
	const size_t high = lr.rig.limits->outbuf_high_bytes;
	struct peer peer = {0};
	struct conn *c;
	unsigned sent = 0, got = 0;
	size_t most;

	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	while (conn_has_room(c)) {
		conn_send(c, loop_rig_frame(10000));
		sent++;
		loop_rig_turn(&lr, 0);
	}
	most = c->out.bytes;
	assert_true(most >= high && most < high + 10000);
	peer_ping(&peer);
	loop_rig_settle(&lr);
	assert_int_equal(c->out.bytes, most);
	/* It goes on only below the low mark. */
	while (got < sent) {
		assert_int_equal(peer_next(&peer)->id, 0);
		got++;
		if (conn_has_room(c))
			assert_true(c->out.bytes <= lr.rig.limits->outbuf_low_bytes);
		else
			assert_true(c->out.bytes > lr.rig.limits->outbuf_low_bytes);
	}
	assert_int_equal(peer_next(&peer)->body_case, CHAT__V1__SERVER_FRAME__BODY_PONG);
	assert_null(c->out.head);
	peer_close(&peer);
}

/* What nobody can stop, stops at a last limit. */
TEST(far_too_slow)
{
	struct peer peer = {0};
	struct conn *c;

	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	for (unsigned i = 0; i < 200 && c->state == CONN_OPEN; i++) {
		assert_true(c->out.bytes <= OUTBUF_CLOSE_BYTES);
		conn_send(c, loop_rig_frame(100000));
	}
	assert_int_equal(c->state, CONN_GONE);
	assert_int_equal(lr.ended, 1);
	loop_rig_turn(&lr, 0);
	peer_close(&peer);
}

/* More than the peer's socket takes. */
static void
overfill(struct conn *c)
{
	do {
		while (conn_has_room(c))
			conn_send(c, loop_rig_frame(1000));
		loop_rig_settle(&lr);
	} while (conn_has_room(c));
}

/* Who takes what is sent is alive though nothing is heard of it, for it is not read. */
TEST(slow_is_not_dead)
{
	struct peer peer = {0};
	struct conn *c;
	size_t waiting;

	lr.rig.limits->idle_timeout_ms = LIMIT_MS;
	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	for (unsigned i = 0; i < 5; i++) {
		overfill(c);
		pass_ms(EARLY_MS);
		assert_int_equal(c->state, CONN_OPEN);
		waiting = c->out.bytes;
		while (c->out.bytes == waiting)
			assert_non_null(peer_next(&peer));
	}
	/* Nothing is taken any more. */
	overfill(c);
	pass_ms(EARLY_MS);
	assert_int_equal(c->state, CONN_OPEN);
	pass_ms(LIMIT_MS - EARLY_MS + WHEEL_TICK_MS);
	assert_int_equal(c->state, CONN_CLOSING);
	peer_close(&peer);
}

/* ---- idle ones, and the end ---- */

TEST(an_idle_connection_is_small)
{
	struct peer peer = {0};
	struct conn *c;

	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	for (unsigned i = 0; i < 10; i++)
		peer_expect(&peer, peer_ping(&peer), CHAT__V1__SERVER_FRAME__BODY_PONG);
	loop_rig_settle(&lr);
	assert_null(c->in.data);
	assert_null(c->out.head);
	print_message("# a connection: %zu bytes, its slot %zu, its last word %zu\n", malloc_usable_size(c),
	    sizeof(struct conn_slot), sizeof(struct close_mail));
	/* With what the engine has of it, and with malloc's own, below 1 KiB. */
	assert_true(malloc_usable_size(c) + sizeof(struct conn_slot) + sizeof(struct close_mail) <= 750);
	peer_close(&peer);
}

/* Goodbye, then the end: all that was queued before comes first, and the server waits for the peer's end. */
TEST(goodbye_comes_last)
{
	struct peer peer = {0};
	unsigned frames = 0;
	const Chat__V1__ServerFrame *frame;
	struct conn *c;

	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	for (unsigned i = 0; i < 30; i++)
		conn_send(c, loop_rig_frame(20000));
	conn_goodbye(c, CHAT_ERR_SHUTDOWN, NULL, 1234, "test");
	conn_send(c, loop_rig_frame(20000)); /* too late */
	peer_ping(&peer);                    /* too late as well */
	while ((frame = peer_next(&peer)) != NULL) {
		frames++;
		if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_GOODBYE) {
			assert_err(error_from_wire(frame->goodbye->reason), CHAT_ERR_SHUTDOWN);
			assert_int_equal(frame->goodbye->retry_after_ms, 1234);
		}
	}
	assert_int_equal(frames, 31);
	assert_true(peer.clean_end);
	assert_int_equal(c->state, CONN_LINGER);
	assert_int_equal(lr.ended, 0);
	peer_close(&peer);
	loop_rig_settle(&lr);
	assert_int_equal(lr.ended, 1);
}

/* An outcome for a connection that is gone does not reach the one that has its slot now. */
TEST(slots_have_generations)
{
	struct peer peer = {0};
	struct conn_ref old;
	struct conn *c;

	lr.rig.limits->connections_max = 1;
	loop_rig_start(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	old = c->ref;
	peer_close(&peer);
	loop_rig_settle(&lr);
	c = loop_rig_ready(&lr, &peer, 1);
	assert_int_equal(c->ref.slot, old.slot);
	assert_int_not_equal(c->ref.generation, old.generation);
	assert_null(loop_thread_conn(lr.lt, old));
	assert_ptr_equal(loop_thread_conn(lr.lt, c->ref), c);
	c->ref = old;
	answer(c, 5);
	c->ref = (struct conn_ref){.generation = old.generation + 1};
	answer(c, 6);
	peer_expect(&peer, 6, CHAT__V1__SERVER_FRAME__BODY_OK);
	peer_close(&peer);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(deadlines),
	    TEST_CASE(sixty_four_requests_under_way),
	    TEST_CASE(few_reads_under_way),
	    TEST_CASE(too_much_is_asked),
	    TEST_CASE(a_full_queue_stops_reading),
	    TEST_CASE(far_too_slow),
	    TEST_CASE(slow_is_not_dead),
	    TEST_CASE(an_idle_connection_is_small),
	    TEST_CASE(goodbye_comes_last),
	    TEST_CASE(slots_have_generations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
