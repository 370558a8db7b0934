/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Posts, several to a turn: what is refused, in which order, and that nothing of it stays. */

#include "engine_people.h"

#define LOOP(n) ((struct conn_ref){.loop = (n)})

TEST(a_refused_message_adds_nothing_to_the_turn)
{
	struct people t;
	struct message_header header;
	struct copy c;

	people_start(&t, 1, NULL);
	people_login(&t);
	room_with_bob(&t, &c);
	resume_all(&t, &c, ALICE);
	header = header_next(&t.w, &t.alice, &c);
	header.counter++;
	world_turn(&t.w, cmd_message_of(&t.w, ALICE, &t.alice, &c.room_id, &header));
	assert_refused(&t.w, ALICE, CHAT_ERR_OUT_OF_ORDER);
	assert_int_equal(find_out(t.w.out, OUT_ERROR, ALICE)->error.number, header.counter - 1);
	assert_null(t.w.out->next); /* no entries for anybody */
	/* And the room goes on. */
	world_turn(&t.w, cmd_message(&t.w, ALICE, &t.alice, &c));
	assert_int_equal(assert_answered(&t.w, OUT_POSTED, ALICE)->posted.first_seq, 4);
	assert_int_equal(find_out(t.w.out, OUT_ENTRIES, LOOP(0))->entries.count, 1);
	copy_fini(&c);
	people_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_refused_message_adds_nothing_to_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
