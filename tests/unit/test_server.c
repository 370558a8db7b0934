/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole server, end to end in one process: people log in, make a room, talk, and it ends in order. */
#include "server_rig.h"

#include <unistd.h>

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

/* What was taken is answered, and what was answered is there after a restart; no more, no less. */
TEST(draining_loses_and_adds_nothing)
{
	for (unsigned pause = 0; pause < 4; pause++) {
		struct rig rig;
		struct person alice;
		struct peer a = {0};
		struct peer *const peers[] = {&a};
		struct person *const members[] = {&alice};
		const Chat__V1__ServerFrame *frame;
		uint64_t first = 0, last = 0, posted = 0;
		struct store_room stored;
		struct copy c;

		rig_init(&rig, 3);
		rig_person(&rig, &alice, "alice");
		rig_start(&rig);
		rig_publish(&rig, &alice);
		peer_login(&rig, &a, &alice, 1);
		rig_room(&rig, &c, peers, members, 1);
		for (unsigned i = 0; i < 200; i++) {
			last = peer_say(&a, &alice, &c);
			first = first == 0 ? last : first;
			if (i == 50 * pause)
				rig_drain(&rig);
		}
		while ((frame = peer_next(&a)) != NULL) {
			if (frame->body_case == CHAT__V1__SERVER_FRAME__BODY_POSTED) {
				assert_int_equal(frame->id, first + posted);
				posted++;
				assert_int_equal(frame->posted->first_seq, 2 + posted);
			}
		}
		assert_true(a.clean_end);
		peer_close(&a);
		rig_stop(&rig);
		assert_ok(store_room_by_id(rig.w.store, &c.room_id, &stored));
		assert_int_equal(stored.head.seq, 2 + posted);
		rig_start(&rig);
		peer_login(&rig, &a, &alice, 1);
		frame = peer_expect(&a, peer_resume(&a, &c.room_id, 3 + posted, &stored.head.L),
		    CHAT__V1__SERVER_FRAME__BODY_RESUMED);
		assert_int_equal(frame->resumed->head_seq, 2 + posted);
		peer_close(&a);
		copy_fini(&c);
		person_end(&alice);
		rig_end(&rig);
	}
}

/* Whoever comes too late is sent away, and counted out. */
TEST(no_more_after_the_end)
{
	struct rig rig;
	uint8_t byte;
	int fd;

	rig_init(&rig, 4);
	rig_start(&rig);
	server_drain(rig.server);
	fd = rig_connect_raw(&rig, 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	assert_err(server_status(rig.server, STATUS_SUMMARY, NULL), CHAT_ERR_CLOSED);
	rig_end(&rig);
}

/* A login that is being hashed when the end comes does not hold it up. */
TEST(ends_in_the_middle_of_a_login)
{
	struct rig rig;
	struct person alice;
	struct peer peers[6] = {{0}};

	rig_init(&rig, 5);
	rig_person(&rig, &alice, "alice");
	rig_start(&rig);
	for (unsigned i = 0; i < 6; i++) {
		peer_open(&rig, &peers[i], (uint8_t)i);
		peer_expect(&peers[i], peer_hello(&peers[i]), CHAT__V1__SERVER_FRAME__BODY_HELLO_OK);
		peer_password(&peers[i], "alice", i % 2 == 0 ? RIG_PASSWORD : "wrong");
	}
	rig_drain(&rig);
	for (unsigned i = 0; i < 6; i++) {
		peer_expect_goodbye(&peers[i], CHAT_ERR_SHUTDOWN);
		peer_close(&peers[i]);
	}
	person_end(&alice);
	rig_end(&rig);
}

/* Limits that change reach the connections that exist, on every loop. */
TEST(reloads)
{
	struct rig rig;
	struct peer peers[9] = {{0}};
	struct server_limits *limits;

	rig_init(&rig, 6);
	rig.loops = 3;
	rig_start(&rig);
	for (unsigned i = 0; i < 9; i++)
		peer_open(&rig, &peers[i], (uint8_t)i);
	assert_int_equal(server_connection_count(rig.server), 9);
	limits = server_limits_new();
	limits->hello_timeout_ms = 100;
	limits->connections_max = rig.limits->connections_max;
	server_reload(rig.server, limits);
	server_limits_unref(limits);
	for (unsigned i = 0; i < 9; i++) {
		peer_expect_goodbye(&peers[i], CHAT_OK);
		peer_close(&peers[i]);
	}
	rig_end(&rig);
}

TEST(tells_its_status)
{
	struct rig rig;
	struct person alice;
	struct peer a = {0};
	struct mail *mail;
	struct server_status_mail *status;
	struct buf queues = {0};

	rig_init(&rig, 7);
	rig_person(&rig, &alice, "alice");
	rig_start(&rig);
	rig_publish(&rig, &alice);
	peer_login(&rig, &a, &alice, 1);
	assert_ok(server_status(rig.server, STATUS_SUMMARY, &rig));
	while ((mail = mailbox_next(&rig.main_box)) == NULL)
		(void)mailbox_wait(&rig.main_box, -1);
	status = (struct server_status_mail *)(void *)mail;
	assert_ptr_equal(status->token, &rig);
	assert_ok(buf_append(&status->text, "", 1));
	assert_non_null(strstr((char *)status->text.data, "sessions=1\n"));
	server_status_free(status);
	assert_ok(server_append_queues(rig.server, &queues));
	assert_ok(buf_append(&queues, "", 1));
	assert_non_null(strstr((char *)queues.data, "engine_queue=0\n"));
	buf_fini(&queues);
	peer_close(&a);
	person_end(&alice);
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(starts_and_ends),
	    cmocka_unit_test(two_people_talk),
	    cmocka_unit_test(draining_loses_and_adds_nothing),
	    cmocka_unit_test(no_more_after_the_end),
	    cmocka_unit_test(ends_in_the_middle_of_a_login),
	    cmocka_unit_test(reloads),
	    cmocka_unit_test(tells_its_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
