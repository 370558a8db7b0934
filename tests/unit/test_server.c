/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole server, end to end in one process: people log in, make a room, talk, and it ends in order. */
#include "server_rig.h"

#include "proto/wire.h"

TEST(starts_and_ends)
{
	struct rig rig;

	rig_init(&rig, 1);
	rig.loops = 3;
	rig_start(&rig);
	rig_end(&rig);
}

TEST(two_people_talk)
{
	struct rig rig;
	struct person alice, bob;
	struct peer a = {0}, b = {0};
	struct person *const members[] = {&alice, &bob};
	struct peer *const peers[] = {&a, &b};
	const Chat__V1__ServerFrame *frame;
	struct copy c;

	rig_init(&rig, 2);
	rig.loops = 2;
	rig_person(&rig, &alice, "alice");
	rig_person(&rig, &bob, "bob");
	rig_start(&rig);
	rig_publish(&rig, &alice);
	rig_publish(&rig, &bob);
	peer_login(&rig, &a, &alice, 1);
	peer_login(&rig, &b, &bob, 2);
	rig_room(&rig, &c, peers, members, 2);

	peer_expect(&b, peer_resume(&b, &c.room_id, 1, &digest_zero), CHAT__V1__SERVER_FRAME__BODY_RESUMED);
	for (uint64_t seq = 1; seq <= 4; seq++) {
		frame = peer_next(&b);
		if (seq == 4) {
			assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_WRAPS_PUSH);
			frame = peer_next(&b);
		}
		assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ENTRY);
		assert_int_equal(frame->entry->seq, seq);
	}
	peer_expect(&a, peer_say(&a, &alice, &c), CHAT__V1__SERVER_FRAME__BODY_POSTED);
	frame = peer_next(&b);
	assert_int_equal(frame->body_case, CHAT__V1__SERVER_FRAME__BODY_ENTRY);
	assert_int_equal(frame->entry->seq, 5);
	assert_int_equal(frame->entry->kind, ENTRY_MESSAGE);
	assert_true(frame->entry->wire.len > 0);

	rig_drain(&rig);
	peer_expect_goodbye(&a, CHAT_ERR_SHUTDOWN);
	peer_expect_goodbye(&b, CHAT_ERR_SHUTDOWN);
	peer_close(&a);
	peer_close(&b);
	copy_fini(&c);
	person_end(&alice);
	person_end(&bob);
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(starts_and_ends),
	    cmocka_unit_test(two_people_talk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
