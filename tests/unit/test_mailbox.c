/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/container.h"
#include "net/mailbox.h"

struct note {
	struct mail mail;
	unsigned from;
	unsigned number;
};

static struct note *
note_new(unsigned from, unsigned number)
{
	struct note *note = calloc(1, sizeof(*note));

	assert_non_null(note);
	*note = (struct note){.mail.bytes = 10, .from = from, .number = number};
	return note;
}

static void
post(struct mailbox *box, unsigned number)
{
	assert_true(mailbox_post(box, &note_new(0, number)->mail));
}

/* The next note's number, which is freed; UINT_MAX if there is none. */
static unsigned
next(struct mailbox *box)
{
	struct mail *mail = mailbox_next(box);
	unsigned number;

	if (!mail)
		return UINT32_MAX;
	assert_null(mail->next);
	number = CONTAINER_OF(mail, struct note, mail)->number;
	free(CONTAINER_OF(mail, struct note, mail));
	return number;
}

static bool
was_woken(struct mailbox *box)
{
	struct pollfd pfd = {.fd = box->event_fd, .events = POLLIN};
	uint64_t wakes;

	if (poll(&pfd, 1, 0) == 0)
		return false;
	assert_int_equal(read(box->event_fd, &wakes, sizeof(wakes)), sizeof(wakes));
	assert_int_equal(wakes, 1);
	return true;
}

TEST(order)
{
	struct mailbox box;

	assert_ok(mailbox_init(&box, 0, 0));
	assert_false(mailbox_collect(&box));
	assert_null(mailbox_next(&box));
	for (unsigned i = 0; i < 5; i++)
		post(&box, i);
	assert_null(mailbox_next(&box)); /* only what was collected */
	assert_true(mailbox_collect(&box));
	assert_int_equal(next(&box), 0);
	assert_int_equal(next(&box), 1);
	post(&box, 5);
	assert_true(mailbox_collect(&box)); /* behind what was not taken yet */
	for (unsigned i = 2; i < 6; i++)
		assert_int_equal(next(&box), i);
	assert_null(mailbox_next(&box));
	assert_false(mailbox_collect(&box));
	post(&box, 6);
	assert_true(mailbox_collect(&box));
	assert_int_equal(next(&box), 6);
	mailbox_fini(&box);
}

TEST(stats)
{
	struct mailbox box;

	assert_ok(mailbox_init(&box, 0, 0));
	for (unsigned i = 0; i < 3; i++)
		post(&box, i);
	assert_int_equal(mailbox_stats(&box).count, 3);
	assert_int_equal(mailbox_stats(&box).bytes, 30);
	/* What is collected and not worked off still waits. */
	assert_true(mailbox_collect(&box));
	assert_int_equal(mailbox_stats(&box).count, 3);
	(void)next(&box);
	assert_int_equal(mailbox_stats(&box).count, 2);
	assert_int_equal(mailbox_stats(&box).bytes, 20);
	(void)next(&box);
	(void)next(&box);
	assert_int_equal(mailbox_stats(&box).count, 0);
	assert_int_equal(mailbox_stats(&box).bytes, 0);
	mailbox_fini(&box);
}

TEST(limits)
{
	struct note *note = note_new(0, 9);
	struct mailbox box;

	assert_ok(mailbox_init(&box, 2, 0));
	assert_ok(mailbox_try_post(&box, &note_new(0, 0)->mail));
	assert_ok(mailbox_try_post(&box, &note_new(0, 1)->mail));
	assert_err(mailbox_try_post(&box, &note->mail), CHAT_ERR_BUSY);
	post(&box, 2); /* what must not be lost goes in all the same */
	assert_true(mailbox_collect(&box));
	assert_err(mailbox_try_post(&box, &note->mail), CHAT_ERR_BUSY); /* collected is not done */
	(void)next(&box);
	assert_err(mailbox_try_post(&box, &note->mail), CHAT_ERR_BUSY);
	(void)next(&box);
	assert_ok(mailbox_try_post(&box, &note->mail));
	assert_int_equal(next(&box), 2);
	assert_true(mailbox_collect(&box));
	assert_int_equal(next(&box), 9);
	mailbox_fini(&box);

	assert_ok(mailbox_init(&box, 0, 15));
	note = note_new(0, 1);
	note->mail.bytes = 1000;
	assert_ok(mailbox_try_post(&box, &note->mail)); /* alone it always fits */
	note = note_new(0, 2);
	assert_err(mailbox_try_post(&box, &note->mail), CHAT_ERR_BUSY);
	assert_true(mailbox_collect(&box));
	assert_int_equal(next(&box), 1);
	assert_ok(mailbox_try_post(&box, &note->mail));
	assert_ok(mailbox_try_post(&box, &note_new(0, 3)->mail));
	note = note_new(0, 4);
	assert_err(mailbox_try_post(&box, &note->mail), CHAT_ERR_BUSY);
	free(note);
	assert_true(mailbox_collect(&box));
	assert_int_equal(next(&box), 2);
	assert_int_equal(next(&box), 3);
	mailbox_fini(&box);
}

TEST(closed)
{
	struct note *note = note_new(0, 1);
	struct mailbox box;

	assert_ok(mailbox_init(&box, 0, 0));
	post(&box, 0);
	mailbox_close(&box);
	assert_false(mailbox_post(&box, &note->mail));
	assert_err(mailbox_try_post(&box, &note->mail), CHAT_ERR_CLOSED);
	free(note);
	assert_true(mailbox_collect(&box));
	assert_int_equal(next(&box), 0);
	mailbox_fini(&box);
}

TEST(woken_once_and_only_when_asleep)
{
	struct mailbox box;

	assert_ok(mailbox_init(&box, 0, 0));
	post(&box, 0);
	assert_false(was_woken(&box)); /* it runs */
	assert_false(mailbox_may_sleep(&box));
	assert_true(mailbox_collect(&box));
	assert_false(mailbox_may_sleep(&box)); /* one is left */
	(void)next(&box);
	assert_true(mailbox_may_sleep(&box));
	for (unsigned i = 0; i < 100; i++)
		post(&box, i);
	assert_true(was_woken(&box));
	assert_false(was_woken(&box));
	assert_true(mailbox_collect(&box));
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(next(&box), i);

	/* A wake-up without mail, before and while it sleeps. */
	mailbox_wake(&box);
	assert_false(was_woken(&box));
	assert_false(mailbox_may_sleep(&box));
	assert_true(mailbox_may_sleep(&box));
	mailbox_wake(&box);
	mailbox_wake(&box);
	assert_true(was_woken(&box));
	assert_false(mailbox_collect(&box));
	mailbox_fini(&box);
}

TEST(wait_with_a_timeout)
{
	struct mailbox box;

	assert_ok(mailbox_init(&box, 0, 0));
	assert_false(mailbox_wait(&box, 0));
	assert_false(mailbox_wait(&box, 1));
	mailbox_wake(&box);
	assert_false(mailbox_wait(&box, -1));
	post(&box, 7);
	assert_true(mailbox_wait(&box, -1));
	assert_int_equal(next(&box), 7);
	mailbox_fini(&box);
}

/* Many posters, one consumer: nothing lost, nothing doubled, each poster's in order, and the consumer never
 * hangs. */
enum { POSTERS = 4, NOTES = 20000 };

struct crowd {
	struct mailbox box;
	pthread_barrier_t start;
};

struct poster {
	struct crowd *crowd;
	unsigned number;
	unsigned busy;
};

static void *
poster_main(void *arg)
{
	struct poster *poster = arg;
	struct mailbox *box = &poster->crowd->box;
	uint64_t seed = poster->number + 1;

	pthread_barrier_wait(&poster->crowd->start);
	for (unsigned i = 0; i < NOTES; i++) {
		struct note *note = calloc(1, sizeof(*note));

		if (!note)
			abort();
		*note = (struct note){.mail.bytes = 1, .from = poster->number, .number = i};
		while (unit_rand(&seed) % 2 ? !mailbox_post(box, &note->mail)
					    : mailbox_try_post(box, &note->mail) != CHAT_OK)
			poster->busy++;
	}
	return NULL;
}

TEST(many_posters)
{
	struct crowd crowd;
	struct poster posters[POSTERS];
	unsigned expected[POSTERS] = {0}, got = 0;
	pthread_t threads[POSTERS];

	assert_ok(mailbox_init(&crowd.box, 1000, 0));
	pthread_barrier_init(&crowd.start, NULL, POSTERS + 1);
	for (unsigned i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){.crowd = &crowd, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
	}
	pthread_barrier_wait(&crowd.start);
	while (got < POSTERS * NOTES) {
		struct mail *mail;

		assert_true(mailbox_wait(&crowd.box, -1));
		while ((mail = mailbox_next(&crowd.box))) {
			struct note *note = CONTAINER_OF(mail, struct note, mail);

			assert_int_equal(note->number, expected[note->from]);
			expected[note->from]++;
			got++;
			free(note);
			if (got % 777 == 0)
				break; /* a turn may stop early */
		}
	}
	for (unsigned i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(mailbox_stats(&crowd.box).count, 0);
	assert_int_equal(mailbox_stats(&crowd.box).bytes, 0);
	assert_false(mailbox_collect(&crowd.box));
	pthread_barrier_destroy(&crowd.start);
	mailbox_fini(&crowd.box);
}

/* One message at a time there and back: every single wake-up is needed. */
static void *
echo_main(void *arg)
{
	struct mailbox *boxes = arg;

	for (;;) {
		struct mail *mail;

		(void)mailbox_wait(&boxes[0], -1);
		while ((mail = mailbox_next(&boxes[0]))) {
			unsigned number = CONTAINER_OF(mail, struct note, mail)->number;

			if (!mailbox_post(&boxes[1], mail))
				abort();
			if (number == 0)
				return NULL;
		}
	}
}

TEST(ping_pong)
{
	struct mailbox boxes[2];
	pthread_t thread;

	assert_ok(mailbox_init(&boxes[0], 0, 0));
	assert_ok(mailbox_init(&boxes[1], 0, 0));
	assert_int_equal(pthread_create(&thread, NULL, echo_main, boxes), 0);
	for (unsigned i = 5000; i-- > 0;) {
		post(&boxes[0], i);
		while (!mailbox_wait(&boxes[1], -1))
			continue;
		assert_int_equal(next(&boxes[1]), i);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	mailbox_fini(&boxes[0]);
	mailbox_fini(&boxes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(order),
	    cmocka_unit_test(stats),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(closed),
	    cmocka_unit_test(woken_once_and_only_when_asleep),
	    cmocka_unit_test(wait_with_a_timeout),
	    cmocka_unit_test(many_posters),
	    cmocka_unit_test(ping_pong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
