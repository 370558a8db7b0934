/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory runs out at each allocation in turn, while a loop does each of the things it does: the connection
 * goes on, or it is closed, and nothing is lost or kept.  (Leaks are the address sanitizer's to find.)
 */
#include "loop_rig.h"

#include <unistd.h>

#include "failalloc.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "server/read_run.h"
#include "server/sub.h"
#include "server/wrap_list.h"
#include "tls/tls.h"

static struct loop_rig lr;
static struct person alice;
static struct peer peer;
static struct conn *c;
static struct copy room;

static void
ready(void)
{
	c = loop_rig_ready(&lr, &peer, 1);
	c->account = alice.identity.account;
	c->member_id = alice.identity.member_id;
	memcpy(c->ed_pk, alice.identity.sign.pk, sizeof c->ed_pk);
}

/* ---- what a loop does; each leaves it to the next turns ---- */

static int raw_fd = -1;

static void
a_connection_comes(void)
{
	raw_fd = loop_rig_connect(&lr, 1);
}

static void
hello_comes(void)
{
	c = loop_rig_open(&lr, &peer, 1);
	peer_hello(&peer);
}

static void
a_password_comes(void)
{
	c = loop_rig_open(&lr, &peer, 1);
	conn_set_phase(c, PHASE_HELLO);
	peer_password(&peer, "alice", RIG_PASSWORD);
}

static void
a_key_comes(void)
{
	c = loop_rig_open(&lr, &peer, 1);
	conn_set_phase(c, PHASE_HELLO);
	peer_key(&peer, &alice, 0);
}

static void
a_bad_key_comes(void)
{
	c = loop_rig_open(&lr, &peer, 1);
	conn_set_phase(c, PHASE_HELLO);
	peer_key(&peer, &alice, 's');
}

static void
half_a_frame_comes(void)
{
	static const uint8_t half[] = {0, 0, 1, 0, 1, 2, 3};

	ready();
	peer_send_bytes(&peer, half, sizeof half);
}

static void
a_fault_comes(void)
{
	static const uint8_t fault[] = {0, 0, 0, 1, 0xff};

	ready();
	peer_send_bytes(&peer, fault, sizeof fault);
}

static void
wraps_come(void)
{
	struct draft d = {0};

	ready();
	draft_rekey(&lr.rig.w, &d, &alice, &room);
	peer_stage(&peer, d.staged, 0, d.staged->count);
	buf_fini(&d.wires[0]);
	wrap_set_free_list(d.staged);
}

static void
a_rekey_comes(void)
{
	struct draft d = {0};
	ProtobufCBinaryData event;
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;
	Chat__V1__PostEvents body = CHAT__V1__POST_EVENTS__INIT;

	ready();
	draft_rekey(&lr.rig.w, &d, &alice, &room);
	peer_expect(&peer, peer_stage(&peer, d.staged, 0, d.staged->count), CHAT__V1__SERVER_FRAME__BODY_OK);
	event = wire_from_bytes(buf_bytes(&d.wires[0]));
	body.room_id = wire_from_digest(&room.room_id);
	body.event = &event;
	body.n_event = 1;
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_POST_EVENTS;
	frame.post_events = &body;
	peer_send(&peer, &frame);
	buf_fini(&d.wires[0]);
	wrap_set_free_list(d.staged);
}

static void
a_history_is_asked_for(void)
{
	ready();
	peer_history(&peer, &room.room_id, 5, 5);
}

static void
outcome(enum outcome_type type, void (*fill)(struct outcome *))
{
	struct outcome *out = outcome_new(type);

	out->to = c->ref;
	fill(out);
	loop_rig_outcome(&lr, out);
}

static void
fill_subscribed(struct outcome *out)
{
	out->request_id = 3;
	out->subscribed.room_no = 9;
	out->subscribed.next_seq = 1;
	out->subscribed.head_seq = 2;
	out->subscribed.view = view_new(NULL, 0);
}

static void
a_subscription_begins(void)
{
	ready();
	outcome(OUT_SUBSCRIBED, fill_subscribed);
}

static void
fill_live(struct outcome *out)
{
	struct wrap_list *wraps = wrap_list_new(1);

	wraps->items[0].member_id = alice.identity.member_id;
	wrap_list_seal(wraps);
	out->entries.room_no = 9;
	out->entries.count = 1;
	out->entries.frames = calloc(1, sizeof *out->entries.frames);
	out->entries.frames[0] =
	    (struct entry_frames){.seq = 3, .event = true, .whole = loop_rig_frame(50), .wraps = wraps};
}

static void
fill_subscribed_live(struct outcome *out)
{
	fill_subscribed(out);
	out->subscribed.next_seq = 3;
}

static void
a_rekey_is_delivered(void)
{
	ready();
	outcome(OUT_SUBSCRIBED, fill_subscribed_live);
	loop_rig_settle(&lr);
	outcome(OUT_ENTRIES, fill_live);
}

static void
fill_end(struct outcome *out)
{
	out->end.room_no = 9;
	out->end.end_seq = 1;
}

static void
a_read_goes_beyond_the_end(void)
{
	struct read_result *result = calloc(1, sizeof *result);

	ready();
	outcome(OUT_SUBSCRIBED, fill_subscribed);
	loop_rig_settle(&lr);
	outcome(OUT_END, fill_end);
	result->mail.tag = LOOP_MAIL_READ;
	result->kind = READ_RANGE;
	result->conn = c->ref;
	result->request_id = lr.lt->sub_serial;
	result->first_seq = 1;
	result->count = 2;
	result->ends = calloc(2, sizeof *result->ends);
	result->ends[0] = 50;
	result->ends[1] = 100;
	result->frames = loop_rig_frame(100);
	assert_true(mailbox_post(lr.boxes[0], &result->mail));
}

static void
fill_login_ok(struct outcome *out)
{
	out->request_id = peer.next_id;
	out->login_ok.sessions = 1;
	out->login_ok.bag_version = 1;
}

static void
a_login_succeeds(void)
{
	a_key_comes();
	loop_rig_settle(&lr);
	outcome(OUT_LOGIN_OK, fill_login_ok);
}

static const struct {
	const char *name;
	void (*prepare)(void);
} deeds[] = {
    {"a connection comes", a_connection_comes},
    {"hello comes", hello_comes},
    {"a password comes", a_password_comes},
    {"a key comes", a_key_comes},
    {"a bad key comes", a_bad_key_comes},
    {"half a frame comes", half_a_frame_comes},
    {"a fault comes", a_fault_comes},
    {"wraps come", wraps_come},
    {"a rekey comes", a_rekey_comes},
    {"a history is asked for", a_history_is_asked_for},
    {"a subscription begins", a_subscription_begins},
    {"a rekey is delivered", a_rekey_is_delivered},
    {"a read goes beyond the end", a_read_goes_beyond_the_end},
    {"a login succeeds", a_login_succeeds},
};

/* True if an allocation failed. */
static bool
do_with(size_t deed, unsigned allocations)
{
	struct draft d = {0};
	bool failed;

	lr = (struct loop_rig){.accepted = 0};
	peer = (struct peer){.fd = -1};
	rig_init(&lr.rig, 1);
	rig_person(&lr.rig, &alice, "alice");
	loop_rig_start(&lr);
	copy_init(&lr.rig.w, &room);
	draft_create(&lr.rig.w, &d, &alice, &room);
	buf_fini(&d.wires[0]);

	deeds[deed].prepare();
	failalloc_arm(allocations);
	loop_rig_settle(&lr);
	failed = failalloc_disarm();
	loop_rig_settle(&lr);
	assert_true(lr.ended <= 1);
	if (lr.ended == 1)
		assert_true(TAILQ_EMPTY(&lr.lt->conns));

	if (raw_fd >= 0)
		close(raw_fd);
	raw_fd = -1;
	if (peer.fd >= 0)
		peer_close(&peer);
	copy_fini(&room);
	loop_rig_end(&lr);
	person_end(&alice);
	return failed;
}

TEST(each_allocation_fails_once)
{
	for (size_t deed = 0; deed < ARRAY_LEN(deeds); deed++) {
		unsigned n = 0;

		while (do_with(deed, n))
			n++;
		print_message("# %s: %u allocations\n", deeds[deed].name, n);
		assert_true(n < 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
