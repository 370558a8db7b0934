/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kdf pool with real hashes; and the work queue beneath it. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "server/kdf.h"
#include "server/work_queue.h"

#define PASSWORD "correct horse"

struct bench {
	char *dir, path[512];
	struct mailbox box;
	struct mailbox *boxes[1];
	struct passwd_table *table;
	struct kdf *kdf;
};

static void
write_passwd(struct bench *b)
{
	char hash[PASSWD_HASH_MAX_BYTES];
	struct passwd_hasher *hasher;
	struct passwd_why why;
	FILE *file;

	assert_ok(passwd_hasher_new(&hasher));
	assert_ok(passwd_hash(hasher, BYTES_STR(PASSWORD), hash));
	passwd_hasher_free(hasher);
	file = fdopen(open(b->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "w");
	fprintf(file, "# people\nalice:%s\nbob:%s:locked\n", hash, hash);
	assert_int_equal(fclose(file), 0);
	passwd_table_unref(b->table);
	assert_ok(passwd_table_load(b->path, &b->table, &why));
}

static void
bench_start(struct bench *b, unsigned threads, uint32_t queue_max)
{
	*b = (struct bench){.dir = unit_temp_dir()};
	snprintf(b->path, sizeof b->path, "%s/passwd", b->dir);
	write_passwd(b);
	assert_ok(mailbox_init(&b->box, 0, 0));
	b->boxes[0] = &b->box;
	assert_ok(kdf_start(&(const struct kdf_config){.passwd_path = b->path,
				.thread_count = threads,
				.queue_max = queue_max,
				.loops = b->boxes,
				.loop_count = 1},
	    &b->kdf));
}

static void
bench_end(struct bench *b)
{
	kdf_free(b->kdf);
	mailbox_fini(&b->box);
	passwd_table_unref(b->table);
	free(b->dir);
}

static struct kdf_job *
job_of(struct bench *b, const char *name, const char *password, const char *new_password)
{
	struct account_name account;

	assert_ok(account_name_set(BYTES_STR(name), &account));
	return kdf_job_new((struct conn_ref){.generation = 1}, 5, b->table, &account, BYTES_STR(password),
	    BYTES_STR(new_password));
}

static struct kdf_job *
take(struct bench *b)
{
	struct mail *mail;

	while ((mail = mailbox_next(&b->box)) == NULL)
		(void)mailbox_wait(&b->box, -1);
	return (struct kdf_job *)(void *)mail;
}

/* One job, waited for; the number of hashes it took. */
static uint64_t
run(struct bench *b, const char *name, const char *password, const char *new_password, struct kdf_job **ret)
{
	uint64_t before = kdf_hash_count(b->kdf);

	assert_ok(kdf_put(b->kdf, job_of(b, name, password, new_password)));
	*ret = take(b);
	assert_int_equal((*ret)->request_id, 5);
	/* Nothing of a password is left in what goes back. */
	for (size_t i = 0; i < sizeof(*ret)->password; i++)
		assert_int_equal((*ret)->password[i] | (*ret)->new_password[i], 0);
	return kdf_hash_count(b->kdf) - before;
}

TEST(one_hash_whatever_the_reason)
{
	static const struct {
		const char *name, *password;
		enum passwd_verdict verdict;
	} cases[] = {
	    {"alice", PASSWORD, PASSWD_RIGHT},
	    {"alice", "wrong", PASSWD_WRONG},
	    {"bob", PASSWORD, PASSWD_LOCKED},
	    {"bob", "wrong", PASSWD_LOCKED},
	    {"carol", PASSWORD, PASSWD_NO_ACCOUNT},
	};
	struct kdf_job *job;
	struct bench b;

	bench_start(&b, 2, 64);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(run(&b, cases[i].name, cases[i].password, "", &job), 1);
		assert_int_equal(job->verdict, cases[i].verdict);
		if (job->verdict == PASSWD_RIGHT) {
			struct digest proof =
			    hash_once(BYTES_STR(passwd_table_find(b.table, BYTES_STR("alice"))->hash));

			assert_true(digest_equal(&job->proof, &proof));
		}
		kdf_job_free(job);
	}
	kdf_stop(b.kdf);
	bench_end(&b);
}

TEST(changes_a_password)
{
	struct passwd_why why;
	struct kdf_job *job;
	struct digest proof;
	struct bench b;

	bench_start(&b, 1, 64);
	/* Wrong old one: one hash, and the file stays. */
	assert_int_equal(run(&b, "alice", "wrong", "new one", &job), 1);
	assert_int_equal(job->verdict, PASSWD_WRONG);
	kdf_job_free(job);

	assert_int_equal(run(&b, "alice", PASSWORD, "new one", &job), 2);
	assert_int_equal(job->verdict, PASSWD_RIGHT);
	assert_ok(job->err);
	proof = job->proof;
	kdf_job_free(job);

	/* By the table of before somebody was faster. */
	assert_int_equal(run(&b, "alice", PASSWORD, "third", &job), 2);
	assert_err(job->err, CHAT_ERR_CONFLICT);
	kdf_job_free(job);

	passwd_table_unref(b.table);
	assert_ok(passwd_table_load(b.path, &b.table, &why));
	assert_int_equal(run(&b, "alice", "new one", "", &job), 1);
	assert_int_equal(job->verdict, PASSWD_RIGHT);
	assert_true(digest_equal(&job->proof, &proof));
	kdf_job_free(job);

	/* A file that is gone is a failure that says why. */
	assert_int_equal(unlink(b.path), 0);
	assert_int_equal(run(&b, "alice", "new one", "fourth", &job), 2);
	assert_err(job->err, CHAT_ERR_NOT_FOUND);
	assert_true(job->why.text[0] != '\0');
	kdf_job_free(job);
	kdf_stop(b.kdf);
	bench_end(&b);
}

TEST(queue_is_bounded_and_its_rest_goes_back)
{
	enum { QUEUE = 3 };
	unsigned accepted = 0, done = 0, refused = 0;
	struct kdf_job *job;
	struct bench b;

	bench_start(&b, 1, QUEUE);
	/* One is being hashed, or not yet; more than that and the queue it does not take. */
	for (unsigned i = 0; i < 20; i++) {
		job = job_of(&b, "alice", "wrong", "");
		if (kdf_put(b.kdf, job) == CHAT_OK) {
			accepted++;
		} else {
			kdf_job_free(job);
			refused++;
		}
	}
	assert_true(refused > 0 && accepted >= QUEUE);
	kdf_stop(b.kdf);
	job = job_of(&b, "alice", "wrong", "");
	assert_err(kdf_put(b.kdf, job), CHAT_ERR_CLOSED);
	kdf_job_free(job);
	for (unsigned i = 0; i < accepted; i++) {
		job = take(&b);
		if (job->err == CHAT_ERR_SHUTDOWN)
			assert_int_equal(job->verdict, PASSWD_FAILED);
		else
			done++;
		kdf_job_free(job);
	}
	assert_int_equal(kdf_hash_count(b.kdf), done);
	bench_end(&b);
}

TEST(a_closed_mailbox_loses_no_memory)
{
	struct bench b;

	bench_start(&b, 1, 4);
	mailbox_close(&b.box);
	assert_ok(kdf_put(b.kdf, job_of(&b, "alice", "wrong", "")));
	kdf_stop(b.kdf);
	bench_end(&b);
}

/* ---- the queue ---- */

struct tally {
	pthread_mutex_t tally_mtx;
	pthread_cond_t tally_cond;
	bool open;             /* lock: tally_mtx; work may go on */
	unsigned began;        /* lock: tally_mtx */
	unsigned seen[1000];   /* lock: tally_mtx */
	unsigned by_thread[4]; /* lock: tally_mtx */
};

static void
tally_work(void *ctx, unsigned index, struct mail *work)
{
	struct tally *t = ctx;

	pthread_mutex_lock(&t->tally_mtx);
	t->began++;
	pthread_cond_broadcast(&t->tally_cond);
	while (!t->open)
		pthread_cond_wait(&t->tally_cond, &t->tally_mtx);
	t->seen[work->tag]++;
	t->by_thread[index]++;
	pthread_mutex_unlock(&t->tally_mtx);
}

TEST(each_piece_of_work_is_done_once)
{
	static struct mail work[1000];
	struct tally t = {.tally_mtx = PTHREAD_MUTEX_INITIALIZER, .tally_cond = PTHREAD_COND_INITIALIZER};
	struct work_queue q;

	work_queue_init(&q, 0, tally_work, &t);
	assert_ok(work_queue_start(&q, 4, "test"));
	for (unsigned i = 0; i < 1000; i++) {
		work[i].tag = i;
		assert_ok(work_queue_put(&q, &work[i]));
	}
	/* All four are at it before any may go on, so work is shared. */
	pthread_mutex_lock(&t.tally_mtx);
	while (t.began < 4)
		pthread_cond_wait(&t.tally_cond, &t.tally_mtx);
	t.open = true;
	pthread_cond_broadcast(&t.tally_cond);
	pthread_mutex_unlock(&t.tally_mtx);
	assert_null(work_queue_stop(&q, true));
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(t.seen[i], 1);
	for (unsigned i = 0; i < 4; i++)
		assert_true(t.by_thread[i] >= 1);
	work_queue_fini(&q);
}

TEST(stopping_gives_the_rest_back)
{
	struct tally t = {
	    .tally_mtx = PTHREAD_MUTEX_INITIALIZER, .tally_cond = PTHREAD_COND_INITIALIZER, .open = true};
	struct mail work[3] = {0}, *left;
	struct work_queue q;

	work_queue_init(&q, 2, tally_work, &t);
	assert_ok(work_queue_put(&q, &work[0]));
	assert_ok(work_queue_put(&q, &work[1]));
	assert_err(work_queue_put(&q, &work[2]), CHAT_ERR_BUSY);
	assert_int_equal(work_queue_count(&q), 2);
	left = work_queue_stop(&q, false);
	assert_ptr_equal(left, &work[0]);
	assert_ptr_equal(left->next, &work[1]);
	assert_err(work_queue_put(&q, &work[2]), CHAT_ERR_CLOSED);
	work_queue_fini(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_hash_whatever_the_reason),
	    cmocka_unit_test(changes_a_password),
	    cmocka_unit_test(queue_is_bounded_and_its_rest_goes_back),
	    cmocka_unit_test(a_closed_mailbox_loses_no_memory),
	    cmocka_unit_test(each_piece_of_work_is_done_once),
	    cmocka_unit_test(stopping_gives_the_rest_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
