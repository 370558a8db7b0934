/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/container.h"
#include "server/upkeep.h"
#include "store/store.h"

struct world {
	char *dir, path[4096];
	struct store *store;
	struct mailbox box;
	struct upkeep *upkeep;
};

static void
world_open(struct world *w)
{
	char error[STORE_ERROR_BYTES];
	struct store_reader *reader;

	*w = (struct world){.dir = unit_temp_dir()};
	(void)snprintf(w->path, sizeof w->path, "%s/chat.db", w->dir);
	if (store_open(w->path, &(struct store_options){0}, &w->store, error) != CHAT_OK)
		fail_msg("%s", error);
	assert_ok(mailbox_init(&w->box, 0, 0));
	assert_ok(store_reader_open(w->store, &reader));
	assert_ok(upkeep_new(reader, &w->box, &w->upkeep));
}

static void
world_close(struct world *w)
{
	upkeep_free(w->upkeep);
	store_close(w->store);
	mailbox_fini(&w->box);
	free(w->dir);
}

static struct upkeep_done *
wait_done(struct world *w)
{
	struct mail *mail;

	while (!mailbox_wait(&w->box, -1))
		continue;
	mail = mailbox_next(&w->box);
	if (mail == NULL)
		abort(); /* as an assertion would, but known to the compiler */
	assert_int_equal(mail->tag, UPKEEP_MAIL);
	return CONTAINER_OF(mail, struct upkeep_done, mail);
}

TEST(check)
{
	struct world w;
	struct upkeep_done *done;
	int token;

	world_open(&w);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_CHECK, NULL, &token));
	done = wait_done(&w);
	assert_int_equal(done->job, UPKEEP_CHECK);
	assert_ptr_equal(done->token, &token);
	assert_ok(done->err);
	upkeep_end(w.upkeep, done);
	world_close(&w);
}

TEST(check_of_a_damaged_database)
{
	struct world w;
	struct upkeep_done *done;
	char page[4096];
	int fd;

	world_open(&w);
	fd = open(w.path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	memset(page, 0xa5, sizeof page);
	for (off_t at = 4 * 4096; at < 12 * 4096; at += 4096)
		assert_int_equal(pwrite(fd, page, sizeof page, at), (ssize_t)sizeof page);
	close(fd);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_CHECK, NULL, NULL));
	done = wait_done(&w);
	assert_err(done->err, CHAT_ERR_CORRUPT);
	assert_string_not_equal(done->text, "");
	assert_null(strchr(done->text, '\n'));
	upkeep_end(w.upkeep, done);
	world_close(&w);
}

TEST(backup)
{
	struct world w;
	struct upkeep_done *done;
	char path[4200];
	struct buf report = {.len = 0};

	world_open(&w);
	(void)snprintf(path, sizeof path, "%s/backup", w.dir);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_BACKUP, path, NULL));
	done = wait_done(&w);
	assert_int_equal(done->job, UPKEEP_BACKUP);
	assert_ok(done->err);
	assert_string_equal(done->text, path);
	assert_ok(store_check(
	    path, &(struct store_options){0}, &(struct store_check_options){.deep = true}, &report));
	upkeep_end(w.upkeep, done);
	buf_fini(&report);

	(void)snprintf(path, sizeof path, "%s/none/backup", w.dir);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_BACKUP, path, NULL));
	done = wait_done(&w);
	assert_err(done->err, CHAT_ERR_IO);
	assert_string_not_equal(done->text, "");
	upkeep_end(w.upkeep, done);
	world_close(&w);
}

TEST(one_at_a_time)
{
	struct world w;
	struct upkeep_done *done;

	world_open(&w);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_CHECK, NULL, NULL));
	assert_err(upkeep_begin(w.upkeep, UPKEEP_BACKUP, "/x", NULL), CHAT_ERR_BUSY);
	done = wait_done(&w);
	/* Done is it when its mail was taken. */
	assert_err(upkeep_begin(w.upkeep, UPKEEP_BACKUP, "/x", NULL), CHAT_ERR_BUSY);
	upkeep_end(w.upkeep, done);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_CHECK, NULL, NULL));
	upkeep_end(w.upkeep, wait_done(&w));
	world_close(&w);
}

/* Freed with a job under way: it is waited for, and its mail is there afterwards. */
TEST(freed_at_work)
{
	struct world w;

	world_open(&w);
	assert_ok(upkeep_begin(w.upkeep, UPKEEP_CHECK, NULL, NULL));
	upkeep_free(w.upkeep);
	w.upkeep = NULL;
	assert_int_equal(mailbox_stats(&w.box).count, 1);
	upkeep_end(NULL, wait_done(&w));
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(check),
	    cmocka_unit_test(check_of_a_damaged_database),
	    cmocka_unit_test(backup),
	    cmocka_unit_test(one_at_a_time),
	    cmocka_unit_test(freed_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
