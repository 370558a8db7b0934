/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/container.h"
#include "net/loop.h"

/* An eventfd in the loop, and what happened to it. */
struct item {
	struct loop_fd lfd;
	struct loop_task task;
	int fd;
	unsigned calls;
	unsigned released;
	unsigned task_calls;
	struct item *others; /* what its callback removes */
	size_t other_count;
	struct reuse *reuse;
};

static void
item_released(struct loop *loop, struct loop_fd *lfd)
{
	(void)loop;
	CONTAINER_OF(lfd, struct item, lfd)->released++;
}

static void
item_ready(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct item *item = CONTAINER_OF(lfd, struct item, lfd);
	uint64_t value;

	assert_true(events & EPOLLIN);
	assert_int_equal(item->released, 0);
	item->calls++;
	assert_int_equal(read(item->fd, &value, sizeof(value)), sizeof(value));
	for (size_t i = 0; i < item->other_count; i++) {
		struct item *other = &item->others[i];

		if (!loop_has(&other->lfd))
			continue;
		loop_del(loop, &other->lfd, item_released);
		close(other->fd);
		other->fd = -1;
		assert_int_equal(other->released, 0); /* not yet */
		assert_false(loop_has(&other->lfd));
	}
}

static void
item_fire(struct item *item)
{
	uint64_t one = 1;

	assert_int_equal(write(item->fd, &one, sizeof(one)), sizeof(one));
}

static void
item_init(struct item *item, struct loop *loop)
{
	*item = (struct item){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	assert_true(item->fd >= 0);
	assert_ok(loop_add(loop, &item->lfd, item->fd, EPOLLIN, item_ready));
	assert_true(loop_has(&item->lfd));
}

static void
item_fini(struct item *item, struct loop *loop)
{
	loop_del(loop, &item->lfd, item_released);
	if (item->fd >= 0)
		close(item->fd);
}

TEST(events)
{
	struct loop *loop = NULL;
	struct item item;

	assert_ok(loop_new(NULL, NULL, &loop));
	item_init(&item, loop);
	assert_ok(loop_turn(loop, 0));
	assert_int_equal(item.calls, 0);
	item_fire(&item);
	assert_ok(loop_turn(loop, -1));
	assert_int_equal(item.calls, 1);
	loop_mod(loop, &item.lfd, 0);
	item_fire(&item);
	assert_ok(loop_turn(loop, 0));
	assert_int_equal(item.calls, 1);
	loop_mod(loop, &item.lfd, EPOLLIN);
	loop_mod(loop, &item.lfd, EPOLLIN);
	assert_ok(loop_turn(loop, -1));
	assert_int_equal(item.calls, 2);
	assert_int_equal(loop_stats(loop).turns, 4);
	assert_int_equal(loop_stats(loop).events, 2);

	/* Removed from outside of a turn: released by the next one; then it may come back. */
	loop_del(loop, &item.lfd, item_released);
	loop_del(loop, &item.lfd, item_released);
	assert_int_equal(item.released, 0);
	item_fire(&item);
	assert_ok(loop_turn(loop, 0));
	assert_int_equal(item.released, 1);
	assert_int_equal(item.calls, 2);
	item.released = 0;
	assert_ok(loop_add(loop, &item.lfd, item.fd, EPOLLIN, item_ready));
	assert_ok(loop_turn(loop, -1));
	assert_int_equal(item.calls, 3);
	item_fini(&item, loop);
	loop_free(loop);
	assert_int_equal(item.released, 1);
	loop_free(NULL);
}

TEST(an_fd_that_cannot_be_polled)
{
	struct loop_fd lfd = {.fn = NULL};
	struct loop *loop = NULL;

	assert_ok(loop_new(NULL, NULL, &loop));
	assert_err(loop_add(loop, &lfd, -1, EPOLLIN, item_ready), CHAT_ERR_IO);
	assert_false(loop_has(&lfd));
	loop_free(loop);
}

/* All are ready in one batch; the first to be called removes and closes all, itself among them. */
TEST(removal_in_the_batch)
{
	enum { COUNT = 20 };
	struct loop *loop = NULL;
	struct item items[COUNT];
	unsigned calls = 0;

	assert_ok(loop_new(NULL, NULL, &loop));
	for (size_t i = 0; i < COUNT; i++)
		item_init(&items[i], loop);
	for (size_t i = 0; i < COUNT; i++) {
		items[i].others = items;
		items[i].other_count = COUNT;
		item_fire(&items[i]);
	}
	assert_ok(loop_turn(loop, -1));
	assert_int_equal(loop_stats(loop).events, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		calls += items[i].calls;
		assert_int_equal(items[i].released, 1);
	}
	assert_int_equal(calls, 1);
	loop_free(loop);
}

/* An fd number that is taken again in the same batch does not get the old one's events. */
struct reuse {
	struct item old[2];
	struct item fresh;
	bool done;
};

static void
reuse_ready(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct item *item = CONTAINER_OF(lfd, struct item, lfd);
	struct reuse *reuse = item->reuse;
	struct item *other = item == &reuse->old[0] ? &reuse->old[1] : &reuse->old[0];
	int number = other->fd;

	(void)events;
	assert_false(reuse->done);
	reuse->done = true;
	loop_del(loop, &other->lfd, item_released);
	close(other->fd);
	reuse->fresh = (struct item){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	other->fd = -1;
	assert_int_equal(reuse->fresh.fd, number);
	assert_ok(loop_add(loop, &reuse->fresh.lfd, reuse->fresh.fd, EPOLLIN, item_ready));
	loop_del(loop, &item->lfd, item_released);
}

TEST(fd_numbers_taken_again)
{
	struct loop *loop = NULL;
	struct reuse reuse = {.done = false};

	assert_ok(loop_new(NULL, NULL, &loop));
	for (size_t i = 0; i < 2; i++) {
		reuse.old[i].fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		reuse.old[i].reuse = &reuse;
		assert_ok(loop_add(loop, &reuse.old[i].lfd, reuse.old[i].fd, EPOLLIN, reuse_ready));
	}
	assert_ok(loop_turn(loop, -1));
	assert_true(reuse.done);
	assert_int_equal(reuse.fresh.calls, 0);
	item_fire(&reuse.fresh);
	assert_ok(loop_turn(loop, -1));
	assert_int_equal(reuse.fresh.calls, 1);
	item_fini(&reuse.fresh, loop);
	item_fini(&reuse.old[0], loop);
	item_fini(&reuse.old[1], loop);
	loop_free(loop);
}

/* Tasks write down when they ran. */
static char trace[32];

static void
trace_add(char c)
{
	size_t len = strlen(trace);

	assert_true(len + 1 < sizeof(trace));
	trace[len] = c;
	trace[len + 1] = '\0';
}

struct step {
	struct loop_task task;
	struct wheel_timer timer;
	struct loop_fd lfd;
	struct mail mail;
	char name;
	struct step *then; /* what it queues, at the end of the turn or for the next */
	bool then_next;
};

static void
step_run(struct loop *loop, struct loop_task *task)
{
	struct step *step = CONTAINER_OF(task, struct step, task);

	trace_add(step->name);
	if (step->then && step->then_next)
		loop_next_turn(loop, &step->then->task, step_run);
	else if (step->then)
		loop_defer(loop, &step->then->task, step_run);
}

static void
step_ready(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	(void)events;
	trace_add('f');
	loop_mod(loop, lfd, 0);
}

static void
step_timer(struct wheel_timer *timer)
{
	(void)timer;
	trace_add('t');
}

static void
step_mail(struct loop *loop, struct mail *mail, void *ctx)
{
	(void)loop;
	(void)mail;
	(void)ctx;
	trace_add('m');
}

static void
step_released(struct loop *loop, struct loop_fd *lfd)
{
	(void)loop;
	(void)lfd;
	trace_add('r');
}

TEST(order_of_a_turn)
{
	struct step next = {.name = 'n'}, deferred = {.name = 'd'}, mail = {.name = 'm'}, fd = {.name = 'f'};
	struct loop *loop = NULL;
	struct item gone;
	int efd = eventfd(1, EFD_CLOEXEC);

	trace[0] = '\0';
	assert_ok(loop_new(step_mail, NULL, &loop));
	item_init(&gone, loop);
	loop_del(loop, &gone.lfd, step_released);
	loop_defer(loop, &deferred.task, step_run);
	wheel_set(loop_wheel(loop), &next.timer, 0, step_timer);
	assert_true(mailbox_post(loop_mailbox(loop), &mail.mail));
	assert_ok(loop_add(loop, &fd.lfd, efd, EPOLLIN, step_ready));
	/* A timer's tick has to come first. */
	while (!strchr(trace, 't')) {
		trace[0] = '\0';
		if (!loop_has(&gone.lfd) && gone.lfd.fn == NULL) {
			assert_ok(loop_add(loop, &gone.lfd, gone.fd, EPOLLIN, item_ready));
			loop_del(loop, &gone.lfd, step_released);
			loop_defer(loop, &deferred.task, step_run);
			loop_mod(loop, &fd.lfd, EPOLLIN);
			assert_true(mailbox_post(loop_mailbox(loop), &mail.mail));
		}
		loop_next_turn(loop, &next.task, step_run);
		assert_ok(loop_turn(loop, -1));
	}
	assert_string_equal(trace, "nfmtdr");
	loop_del(loop, &fd.lfd, NULL);
	loop_free(loop);
	close(efd);
	close(gone.fd);
}

TEST(tasks)
{
	struct step a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
	struct loop *loop = NULL;

	assert_ok(loop_new(NULL, NULL, &loop));
	trace[0] = '\0';
	loop_defer(loop, &a.task, step_run);
	loop_defer(loop, &b.task, step_run);
	loop_defer(loop, &a.task, step_run); /* once */
	loop_defer(loop, &c.task, step_run);
	loop_cancel(loop, &b.task);
	loop_cancel(loop, &b.task);
	assert_ok(loop_turn(loop, 0));
	assert_string_equal(trace, "ac");
	assert_ok(loop_turn(loop, 0));
	assert_string_equal(trace, "ac");

	/* One deferred by a deferred one runs in the same turn; one for the next turn in the next, which does
	 * not wait. */
	trace[0] = '\0';
	a.then = &b;
	b.then = &c;
	b.then_next = true;
	loop_defer(loop, &a.task, step_run);
	assert_ok(loop_turn(loop, 0));
	assert_string_equal(trace, "ab");
	assert_ok(loop_turn(loop, -1));
	assert_string_equal(trace, "abc");

	/* One that asks for the next turn again and again does not keep the loop in one turn. */
	trace[0] = '\0';
	a.then = &a;
	a.then_next = true;
	loop_next_turn(loop, &a.task, step_run);
	for (int i = 0; i < 3; i++)
		assert_ok(loop_turn(loop, -1));
	assert_string_equal(trace, "aaa");
	loop_cancel(loop, &a.task);
	assert_ok(loop_turn(loop, 0));
	assert_string_equal(trace, "aaa");

	/* The other queue takes it over. */
	a.then = NULL;
	loop_next_turn(loop, &a.task, step_run);
	loop_defer(loop, &a.task, step_run);
	assert_ok(loop_turn(loop, 0));
	assert_ok(loop_turn(loop, 0));
	assert_string_equal(trace, "aaaa");
	loop_free(loop);
}

struct end {
	struct wheel_timer timer;
	struct loop *loop;
};

static void
stops(struct wheel_timer *timer)
{
	trace_add('t');
	loop_stop(CONTAINER_OF(timer, struct end, timer)->loop);
}

TEST(a_timer_ends_the_wait)
{
	struct end end = {.loop = NULL};
	struct loop *loop = NULL;
	uint64_t before;

	assert_ok(loop_new(NULL, NULL, &loop));
	trace[0] = '\0';
	end.loop = loop;
	before = clock_mono_ms();
	wheel_set(loop_wheel(loop), &end.timer, before + 300, stops);
	assert_ok(loop_run(loop));
	assert_string_equal(trace, "t");
	assert_true(loop_stopping(loop));
	assert_true(loop_now(loop).mono_ms >= before + 300);
	assert_true(loop_stats(loop).turns <= 3); /* it slept meanwhile */
	loop_free(loop);
}

/* Two loops on two threads pass a message back and forth, each with a mailbox only. */
enum { ROUNDS = 3000 };

struct ball {
	struct mail mail;
	unsigned rounds;
};

struct side {
	struct loop *loop, *other;
	pthread_t thread;
	unsigned got;
	unsigned ended; /* balls that it did not pass on */
};

static void
side_mail(struct loop *loop, struct mail *mail, void *ctx)
{
	struct side *side = ctx;
	struct ball *ball = CONTAINER_OF(mail, struct ball, mail);

	loop_assert_owner(loop);
	side->got++;
	if (!side->other) {
		side->ended++; /* the game is over */
	} else if (++ball->rounds >= ROUNDS) {
		side->ended++;
		loop_stop(side->other);
		loop_stop(loop);
	} else if (!mailbox_post(loop_mailbox(side->other), mail)) {
		abort();
	}
}

static void *
side_main(void *arg)
{
	struct side *side = arg;

	return loop_run(side->loop) == CHAT_OK ? NULL : arg;
}

TEST(loops_on_threads)
{
	struct side sides[2] = {0};
	struct ball balls[3] = {0};
	void *failed = NULL;
	unsigned got = 0;

	for (int i = 0; i < 2; i++)
		assert_ok(loop_new(side_mail, &sides[i], &sides[i].loop));
	for (int i = 0; i < 2; i++)
		sides[i].other = sides[1 - i].loop;
	assert_true(mailbox_post(loop_mailbox(sides[0].loop), &balls[0].mail)); /* before it runs */
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&sides[i].thread, NULL, side_main, &sides[i]), 0);
	for (size_t i = 1; i < ARRAY_LEN(balls); i++)
		assert_true(mailbox_post(loop_mailbox(sides[1].loop), &balls[i].mail));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(sides[i].thread, &failed), 0);
		assert_null(failed);
		got += sides[i].got;
	}
	assert_true(got >= ROUNDS);
	/* Balls still in the air come down when the loops go. */
	sides[0].other = sides[1].other = NULL;
	loop_free(sides[0].loop);
	loop_free(sides[1].loop);
	assert_int_equal(sides[0].ended + sides[1].ended, ARRAY_LEN(balls));
}

static void *
runs(void *arg)
{
	return loop_run(arg) == CHAT_OK ? NULL : arg;
}

static bool
is_asleep(struct mailbox *box)
{
	bool asleep;

	pthread_mutex_lock(&box->box_mtx);
	asleep = box->asleep;
	pthread_mutex_unlock(&box->box_mtx);
	return asleep;
}

TEST(stop_from_another_thread)
{
	for (int i = 0; i < 100; i++) {
		struct loop *loop = NULL;
		pthread_t thread;

		assert_ok(loop_new(NULL, NULL, &loop));
		assert_int_equal(pthread_create(&thread, NULL, runs, loop), 0);
		/* At any moment, and while it waits for ever. */
		while (i % 2 && !is_asleep(loop_mailbox(loop)))
			sched_yield();
		loop_stop(loop);
		assert_int_equal(pthread_join(thread, NULL), 0);
		loop_free(loop);
	}
}

static void
touch(struct loop *loop)
{
	struct loop_task task = {.fn = NULL};

	loop_defer(loop, &task, step_run);
}

TEST(owner_is_asserted)
{
	struct rlimit no_core = {0, 0};
	struct loop *loop = NULL;
	pthread_t thread;
	int status = 0;
	pid_t child;

	assert_ok(loop_new(NULL, NULL, &loop));
	loop_assert_owner(loop);
	assert_int_equal(pthread_create(&thread, NULL, runs, loop), 0);
	loop_stop(loop);
	assert_int_equal(pthread_join(thread, NULL), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		touch(loop);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(events),
	    cmocka_unit_test(an_fd_that_cannot_be_polled),
	    cmocka_unit_test(removal_in_the_batch),
	    cmocka_unit_test(fd_numbers_taken_again),
	    cmocka_unit_test(order_of_a_turn),
	    cmocka_unit_test(tasks),
	    cmocka_unit_test(a_timer_ends_the_wait),
	    cmocka_unit_test(loops_on_threads),
	    cmocka_unit_test(stop_from_another_thread),
	    cmocka_unit_test(owner_is_asserted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
