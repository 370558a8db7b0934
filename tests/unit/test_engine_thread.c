/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread around the engine: what it takes, in which order, and where its outcomes go. */
#include "engine_world.h"

#include <stdio.h>
#include <sys/stat.h>

#include "accounts/passwd_file.h"
#include "base/log.h"
#include "proto/limits.h"
#include "server/engine_thread.h"
#include "server/loop_mail.h"
#include "server/read_run.h"
#include "server/readers.h"
#include "server/server.h"

#define LOOPS 2

static struct world w; /* people and drafts; its own engine is not used */
static struct person alice, bob;
static struct mailbox boxes[LOOPS], main_box;
static struct mailbox *box_list[LOOPS] = {&boxes[0], &boxes[1]};
static struct readers *readers;
static struct server_limits *limits;
static struct engine_thread *et;
static struct outcome *lists[LOOPS]; /* taken from a mail, not yet looked at */

static int
set_up(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	world_start(&w, 5, NULL);
	person_make(&w, &alice, "alice");
	person_make(&w, &bob, "bob");
	for (unsigned i = 0; i < LOOPS; i++)
		assert_ok(mailbox_init(&boxes[i], 0, 0));
	assert_ok(mailbox_init(&main_box, 0, 0));
	limits = server_limits_new();
	assert_ok(readers_new(w.store, box_list, LOOPS, &readers));
	assert_ok(engine_thread_new(
	    &(const struct engine_thread_config){
		.store = w.store,
		.limits = limits,
		.readers = readers,
		.loops = box_list,
		.loop_count = LOOPS,
		.slots_per_loop = WORLD_SLOTS,
		.main_mailbox = &main_box,
	    },
	    &et));
	return 0;
}

static void
free_mail(struct mail *mail)
{
	if (mail->tag == LOOP_MAIL_OUTCOMES) {
		outcome_list_free(((struct outcomes_mail *)(void *)mail)->list);
		free(mail);
	} else {
		assert_int_equal(mail->tag, LOOP_MAIL_READ);
		read_result_free((struct read_result *)(void *)mail);
	}
}

static int
tear_down(void **state)
{
	struct mail *mail;

	(void)state;
	engine_thread_stop(et);
	readers_stop(readers);
	engine_thread_free(et);
	readers_free(readers);
	for (unsigned i = 0; i < LOOPS; i++) {
		outcome_list_free(lists[i]);
		lists[i] = NULL;
		mailbox_collect(&boxes[i]);
		while ((mail = mailbox_next(&boxes[i])) != NULL)
			free_mail(mail);
		mailbox_fini(&boxes[i]);
	}
	mailbox_collect(&main_box);
	while ((mail = mailbox_next(&main_box)) != NULL)
		server_status_free((struct server_status_mail *)(void *)mail);
	mailbox_fini(&main_box);
	server_limits_unref(limits);
	person_end(&alice);
	person_end(&bob);
	world_end(&w);
	return 0;
}

/* The next outcome for a loop; waits for it.  The mail it came in is freed with its last. */
static struct outcome *
next_outcome(unsigned loop)
{
	struct outcome *outcome;
	struct mail *mail;

	while (lists[loop] == NULL) {
		while ((mail = mailbox_next(&boxes[loop])) == NULL)
			(void)mailbox_wait(&boxes[loop], -1);
		assert_int_equal(mail->tag, LOOP_MAIL_OUTCOMES);
		lists[loop] = ((struct outcomes_mail *)(void *)mail)->list;
		free(mail);
	}
	outcome = lists[loop];
	lists[loop] = outcome->next;
	outcome->next = NULL;
	return outcome;
}

/* Skips to the first of that type. */
static struct outcome *
await(unsigned loop, enum outcome_type type)
{
	struct outcome *outcome;

	while ((outcome = next_outcome(loop))->type != type) {
		if (outcome->type == OUT_ERROR)
			fail_msg("%s: %s", chat_err_name(outcome->error.err), outcome->error.text);
		outcome_free(outcome);
	}
	return outcome;
}

static void
post(struct command *cmd)
{
	assert_ok(engine_thread_post(et, cmd));
}

/* A table of a watch, with the serial that this gives it. */
static struct command *
accounts(struct passwd_watch *watch)
{
	struct command *cmd = command_new(CMD_ACCOUNTS, (struct conn_ref){0}, 0, 0);

	cmd->accounts.table = passwd_watch_table(watch);
	return cmd;
}

#define ANY_HASH                                                                                             \
	"$6$saltsaltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"                                    \
	"jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0kt"                                                             \
	"L3nh/"

static struct passwd_watch *
watch_with(bool with_bob)
{
	char path[600];
	struct passwd_watch *watch;
	struct passwd_table *table;
	struct passwd_why why;
	FILE *file;

	snprintf(path, sizeof path, "%s/passwd", w.dir);
	file = fopen(path, "w");
	fprintf(file, "alice:%s:id=%s\n", ANY_HASH, alice.id);
	if (with_bob)
		fprintf(file, "bob:%s:id=%s\n", ANY_HASH, bob.id);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_ok(passwd_watch_new(path, &watch));
	assert_int_equal(passwd_watch_check(watch, &table, &why), PASSWD_NEW);
	passwd_table_unref(table);
	return watch;
}

static void
log_in(struct person *p, struct conn_ref conn)
{
	post(cmd_publish(&w, conn, p));
	outcome_free(await(conn.loop, OUT_OK));
	post(cmd_key(&w, conn, p));
	outcome_free(await(conn.loop, OUT_LOGIN_OK));
}

static struct passwd_watch *
both_in(void)
{
	struct passwd_watch *watch = watch_with(true);

	engine_thread_post_always(et, accounts(watch));
	assert_ok(engine_thread_start(et));
	log_in(&alice, world_conn(0, 1));
	log_in(&bob, world_conn(1, 1));
	return watch;
}

static void
make_room(struct copy *room)
{
	struct draft d = {0};

	copy_init(&w, room);
	draft_create(&w, &d, &alice, room);
	draft_invite(&w, &d, &alice, room, &bob);
	draft_rekey(&w, &d, &alice, room);
	post(draft_command(&w, &d, world_conn(0, 1), NULL));
	outcome_free(await(0, OUT_POSTED));
	draft_simple(&w, &d, &bob, room, EVENT_JOIN);
	post(draft_command(&w, &d, world_conn(1, 1), &room->room_id));
	outcome_free(await(1, OUT_POSTED));
}

TEST(outcomes_go_to_their_loops_in_order)
{
	struct passwd_watch *watch = both_in();
	struct outcome *outcome;
	struct copy room;
	uint64_t next = 5;

	make_room(&room);
	for (unsigned i = 0; i < 2; i++) {
		post(cmd_resume(&w, world_conn((uint16_t)i, 1), &room.room_id, 1, &digest_zero));
		outcome_free(await(i, OUT_SUBSCRIBED));
	}
	for (unsigned i = 0; i < 300; i++)
		post(cmd_message(&w, world_conn(0, 1), &alice, &room));
	/* Both loops get all entries in order; the answers come behind the entries they are about, or with
	 * them. */
	for (unsigned loop = 0; loop < 2; loop++) {
		unsigned posted = 0;

		for (next = 5; next < 305 || (loop == 0 && posted < 300);) {
			outcome = next_outcome(loop);
			if (outcome->type == OUT_ENTRIES) {
				assert_int_equal(outcome->entries.loop, loop);
				for (uint32_t i = 0; i < outcome->entries.count; i++) {
					assert_int_equal(outcome->entries.frames[i].seq, next++);
					assert_non_null(outcome->entries.frames[i].whole);
				}
			} else if (outcome->type == OUT_POSTED) {
				assert_int_equal(loop, 0);
				assert_int_equal(outcome->posted.first_seq, 5 + posted);
				assert_true(outcome->posted.first_seq < next);
				posted++;
			}
			outcome_free(outcome);
		}
	}
	copy_fini(&room);
	passwd_watch_free(watch);
}

/* A loop that does not take its mail gets numbers from its limit on: what waits for it is bounded. */
TEST(a_long_mailbox_gets_numbers)
{
	struct passwd_watch *watch = both_in();
	struct outcome *outcome;
	struct copy room;
	uint64_t next = 5, bare = 0;
	unsigned posted = 0;

	make_room(&room);
	post(cmd_resume(&w, world_conn(1, 1), &room.room_id, 1, &digest_zero));
	outcome_free(await(1, OUT_SUBSCRIBED));
	/* An entry's frame has some 400 bytes: of so many the limit holds not all. */
	while (next < 5 + LOOP_FRAMES_HIGH_BYTES / 300) {
		for (unsigned i = 0; i < 500; i++, next++)
			post(cmd_message(&w, world_conn(0, 1), &alice, &room));
		for (unsigned i = 0; i < 500; i++, posted++)
			outcome_free(await(0, OUT_POSTED));
		assert_true(mailbox_stats(&boxes[1]).bytes <= LOOP_FRAMES_HIGH_BYTES);
	}
	for (uint64_t seq = 5; seq < next;) {
		outcome = await(1, OUT_ENTRIES);
		for (uint32_t i = 0; i < outcome->entries.count; i++) {
			assert_int_equal(outcome->entries.frames[i].seq, seq++);
			bare += outcome->entries.frames[i].whole == NULL;
		}
		outcome_free(outcome);
	}
	assert_true(bare > 0 && bare < next - 5);
	copy_fini(&room);
	passwd_watch_free(watch);
}

/* A table that another loop has overtaken must not bring back what is gone. */
TEST(tables_do_not_go_back)
{
	struct passwd_watch *watch = watch_with(true);
	struct command *old = accounts(watch), *again = accounts(watch);
	struct passwd_table *table;
	struct passwd_why why;
	struct outcome *outcome;
	char path[600];
	FILE *file;

	engine_thread_post_always(et, old);
	assert_ok(engine_thread_start(et));
	log_in(&bob, world_conn(1, 1));
	snprintf(path, sizeof path, "%s/passwd", w.dir);
	file = fopen(path, "a");
	fprintf(file, "carol:%s\n", ANY_HASH);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(passwd_watch_check(watch, &table, &why), PASSWD_NEW);
	passwd_table_unref(table);
	engine_thread_post_always(et, accounts(watch));
	engine_thread_post_always(et, again);
	/* Of carol only the newer table knows. */
	{
		struct command *get = command_new(CMD_GET_CARD, world_conn(1, 1), 99, 5);

		memcpy(get->body, "carol", 5);
		get->get_card.account = BYTES(get->body, 5);
		post(get);
	}
	while ((outcome = next_outcome(1))->type != OUT_ERROR)
		outcome_free(outcome);
	assert_err(outcome->error.err, CHAT_ERR_NO_IDENTITY);
	outcome_free(outcome);
	passwd_watch_free(watch);
}

TEST(reads_go_to_the_readers)
{
	struct passwd_watch *watch = both_in();
	struct command *get;
	struct copy room;
	struct mail *mail;

	make_room(&room);
	get = command_new(CMD_GET_HISTORY, world_conn(0, 1), 7, 0);
	get->room_id = room.room_id;
	get->history.before_seq = 5;
	get->history.limit = 10;
	assert_ok(readers_start(readers));
	post(get);
	for (;;) {
		while ((mail = mailbox_next(&boxes[0])) == NULL)
			(void)mailbox_wait(&boxes[0], -1);
		if (mail->tag == LOOP_MAIL_READ)
			break;
		free_mail(mail);
	}
	assert_int_equal(((struct read_result *)(void *)mail)->request_id, 7);
	assert_ok(((struct read_result *)(void *)mail)->err);
	free_mail(mail);
	copy_fini(&room);
	passwd_watch_free(watch);
}

TEST(status_goes_to_main)
{
	struct passwd_watch *watch = both_in();
	struct command *ask = command_new(CMD_STATUS, (struct conn_ref){0}, 0, 0);
	struct server_status_mail *status;
	struct mail *mail;

	ask->status.token = &w;
	ask->status.what = STATUS_SESSIONS;
	post(ask);
	while ((mail = mailbox_next(&main_box)) == NULL)
		(void)mailbox_wait(&main_box, -1);
	status = (struct server_status_mail *)(void *)mail;
	assert_int_equal(mail->tag, SERVER_MAIL_STATUS);
	assert_ptr_equal(status->token, &w);
	assert_ok(status->err);
	assert_ok(buf_append(&status->text, "", 1));
	assert_non_null(strstr((char *)status->text.data, "account=alice"));
	assert_non_null(strstr((char *)status->text.data, "account=bob"));
	server_status_free(status);
	passwd_watch_free(watch);
}

/* Bounded: what does not fit is told so at once; what must not be lost is taken all the same. */
TEST(the_mailbox_is_bounded)
{
	struct close_mail *last = close_mail_new(world_conn(0, 1));
	struct command *cmd;

	for (unsigned i = 0; i < ENGINE_MAILBOX_MAX; i++)
		post(command_new(CMD_SESSION_CLOSE, world_conn(0, 1), 0, 0));
	cmd = command_new(CMD_SESSION_CLOSE, world_conn(0, 1), 0, 0);
	assert_err(engine_thread_post(et, cmd), CHAT_ERR_BUSY);
	engine_thread_post_always(et, cmd);
	engine_thread_close(et, last);
	assert_int_equal(engine_thread_waiting(et), ENGINE_MAILBOX_MAX + 2);
}

/* What was posted before the end is done, what comes after it is refused. */
TEST(the_end_empties_it)
{
	struct passwd_watch *watch = both_in();
	struct command *late;
	struct copy room;

	make_room(&room);
	for (unsigned i = 0; i < 200; i++)
		post(cmd_message(&w, world_conn(0, 1), &alice, &room));
	assert_ok(engine_thread_reconfigure(et, limits));
	engine_thread_stop(et);
	for (unsigned i = 0; i < 200; i++)
		outcome_free(await(0, OUT_POSTED));
	late = command_new(CMD_SESSION_CLOSE, world_conn(0, 1), 0, 0);
	assert_err(engine_thread_post(et, late), CHAT_ERR_CLOSED);
	engine_thread_post_always(et, late);
	assert_err(engine_thread_reconfigure(et, limits), CHAT_ERR_CLOSED);
	copy_fini(&room);
	passwd_watch_free(watch);
}

/* Leases end by time without anybody posting anything: the thread ticks by itself. */
TEST(time_passes)
{
	struct passwd_watch *watch = both_in();
	struct draft d = {0};
	struct copy room;
	struct outcome *outcome;
	unsigned wanted = 0;

	make_room(&room);
	for (unsigned i = 0; i < 2; i++) {
		post(cmd_resume(&w, world_conn((uint16_t)i, 1), &room.room_id, 1, &digest_zero));
		outcome_free(await(i, OUT_SUBSCRIBED));
	}
	/* A kick closes the room; alice is asked to rekey, does not, and is asked again after the lease. */
	draft_kick(&w, &d, &alice, &room, &bob);
	post(draft_command(&w, &d, world_conn(0, 1), &room.room_id));
	while (wanted < 2) {
		outcome = await(0, OUT_FRAME);
		wanted +=
		    outcome->frame->len > 4 && outcome->frame->data[4] == 0x92; /* rekey_wanted, field 34 */
		outcome_free(outcome);
	}
	copy_fini(&room);
	passwd_watch_free(watch);
}

#define TEST_CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_CASE(outcomes_go_to_their_loops_in_order),
	    TEST_CASE(a_long_mailbox_gets_numbers),
	    TEST_CASE(tables_do_not_go_back),
	    TEST_CASE(reads_go_to_the_readers),
	    TEST_CASE(status_goes_to_main),
	    TEST_CASE(the_mailbox_is_bounded),
	    TEST_CASE(the_end_empties_it),
	    TEST_CASE(time_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
