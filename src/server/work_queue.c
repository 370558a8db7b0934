/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/work_queue.h"

#include <assert.h>
#include <errno.h>

void
work_queue_init(struct work_queue *q, size_t max_count, work_fn fn, void *ctx)
{
	*q = (struct work_queue){.max_count = max_count, .fn = fn, .ctx = ctx};
	q->tail = &q->head;
	pthread_mutex_init(&q->work_mtx, NULL);
	pthread_cond_init(&q->work_cond, NULL);
}

static struct mail *
take(struct work_queue *q)
{
	struct mail *work;

	pthread_mutex_lock(&q->work_mtx);
	while (q->head == NULL && !q->ending)
		pthread_cond_wait(&q->work_cond, &q->work_mtx);
	work = q->head;
	if (work != NULL) {
		q->head = work->next;
		if (q->head == NULL)
			q->tail = &q->head;
		q->count--;
	}
	pthread_mutex_unlock(&q->work_mtx);
	return work;
}

static void *
run(void *arg)
{
	const struct work_thread *self = arg;
	struct mail *work;

	while ((work = take(self->queue)) != NULL)
		self->queue->fn(self->queue->ctx, self->index, work);
	return NULL;
}

enum chat_err
work_queue_start(struct work_queue *q, unsigned thread_count, const char *name)
{
	assert(thread_count >= 1 && thread_count <= WORK_THREADS_MAX && q->thread_count == 0);
	for (unsigned i = 0; i < thread_count; i++) {
		struct work_thread *thread = &q->threads[i];
		int failed;

		thread->queue = q;
		thread->index = i;
		failed = pthread_create(&thread->thread, NULL, run, thread);
		if (failed != 0) {
			struct mail *none = work_queue_stop(q, true);

			assert(none == NULL);
			errno = failed;
			return CHAT_ERR_IO;
		}
		pthread_setname_np(thread->thread, name);
		q->thread_count++;
	}
	return CHAT_OK;
}

enum chat_err
work_queue_put(struct work_queue *q, struct mail *work)
{
	enum chat_err err = CHAT_OK;

	pthread_mutex_lock(&q->work_mtx);
	if (q->ending) {
		err = CHAT_ERR_CLOSED;
	} else if (q->max_count > 0 && q->count >= q->max_count) {
		err = CHAT_ERR_BUSY;
	} else {
		work->next = NULL;
		*q->tail = work;
		q->tail = &work->next;
		q->count++;
		pthread_cond_signal(&q->work_cond);
	}
	pthread_mutex_unlock(&q->work_mtx);
	return err;
}

size_t
work_queue_count(struct work_queue *q)
{
	size_t count;

	pthread_mutex_lock(&q->work_mtx);
	count = q->count;
	pthread_mutex_unlock(&q->work_mtx);
	return count;
}

struct mail *
work_queue_stop(struct work_queue *q, bool all)
{
	struct mail *left = NULL;

	pthread_mutex_lock(&q->work_mtx);
	q->ending = true;
	if (!all || q->thread_count == 0) {
		left = q->head;
		q->head = NULL;
		q->tail = &q->head;
		q->count = 0;
	}
	pthread_cond_broadcast(&q->work_cond);
	pthread_mutex_unlock(&q->work_mtx);
	for (unsigned i = 0; i < q->thread_count; i++)
		pthread_join(q->threads[i].thread, NULL);
	q->thread_count = 0;
	return left;
}

void
work_queue_fini(struct work_queue *q)
{
	assert(q->thread_count == 0 && q->head == NULL);
	pthread_cond_destroy(&q->work_cond);
	pthread_mutex_destroy(&q->work_mtx);
}
