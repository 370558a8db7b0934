/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/worker.h"

#include "libchat/thread.h"

void
worker_pool_init(struct worker_pool *pool, int done_fd)
{
	*pool = (struct worker_pool){.done_fd = done_fd};
	STAILQ_INIT(&pool->waiting);
	STAILQ_INIT(&pool->done);
	(void)pthread_mutex_init(&pool->mtx, NULL);
	(void)pthread_cond_init(&pool->changed, NULL);
}

static void
free_all(struct work_queue *queue)
{
	struct work *work;

	while ((work = STAILQ_FIRST(queue))) {
		STAILQ_REMOVE_HEAD(queue, link);
		work_free(work);
	}
}

void
worker_pool_fini(struct worker_pool *pool)
{
	(void)pthread_mutex_lock(&pool->mtx);
	pool->stop = true;
	(void)pthread_cond_broadcast(&pool->changed);
	(void)pthread_mutex_unlock(&pool->mtx);
	for (unsigned i = 0; i < pool->thread_count; i++)
		(void)pthread_join(pool->threads[i], NULL);
	free_all(&pool->waiting);
	free_all(&pool->done);
	(void)pthread_cond_destroy(&pool->changed);
	(void)pthread_mutex_destroy(&pool->mtx);
}

static void *
worker_thread(void *arg)
{
	struct worker_pool *pool = arg;
	struct work *work;

	(void)pthread_mutex_lock(&pool->mtx);
	for (;;) {
		pool->idle++;
		while (!pool->stop && STAILQ_EMPTY(&pool->waiting))
			(void)pthread_cond_wait(&pool->changed, &pool->mtx);
		pool->idle--;
		if (pool->stop)
			break;
		work = STAILQ_FIRST(&pool->waiting);
		STAILQ_REMOVE_HEAD(&pool->waiting, link);
		pool->waiting_count--;
		(void)pthread_mutex_unlock(&pool->mtx);
		work_run(work);
		(void)pthread_mutex_lock(&pool->mtx);
		STAILQ_INSERT_TAIL(&pool->done, work, link);
		wake_fd_set(pool->done_fd);
	}
	(void)pthread_mutex_unlock(&pool->mtx);
	return NULL;
}

void
worker_pool_add(struct worker_pool *pool, struct work *work)
{
	bool more;

	(void)pthread_mutex_lock(&pool->mtx);
	STAILQ_INSERT_TAIL(&pool->waiting, work, link);
	pool->waiting_count++;
	more = pool->waiting_count > pool->idle && pool->thread_count < WORKERS_MAX;
	(void)pthread_cond_signal(&pool->changed);
	(void)pthread_mutex_unlock(&pool->mtx);
	if (more &&
	    thread_start(&pool->threads[pool->thread_count], "chat-work", worker_thread, pool) == CHAT_OK)
		pool->thread_count++;
	if (pool->thread_count > 0)
		return;
	/* No thread is to be had: done here, late rather than never. */
	STAILQ_REMOVE_HEAD(&pool->waiting, link);
	pool->waiting_count--;
	work_run(work);
	STAILQ_INSERT_TAIL(&pool->done, work, link);
	wake_fd_set(pool->done_fd);
}

struct work *
worker_pool_take(struct worker_pool *pool)
{
	struct work *work;

	(void)pthread_mutex_lock(&pool->mtx);
	work = STAILQ_FIRST(&pool->done);
	if (work)
		STAILQ_REMOVE_HEAD(&pool->done, link);
	(void)pthread_mutex_unlock(&pool->mtx);
	return work;
}
