/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/readers.h"

#include <assert.h>
#include <stdlib.h>

#include "server/audit.h"
#include "server/read_run.h"
#include "server/work_queue.h"

struct readers {
	struct work_queue queue;
	struct mailbox *const *loops; /* immutable */
	uint16_t loop_count;          /* immutable */
	struct {
		struct store_reader *store;
		struct read_scratch scratch;
	} readers[READER_THREADS]; /* owner: the reader thread of that index */
};

static void
work(void *ctx, unsigned index, struct mail *mail)
{
	struct read_request *request = (struct read_request *)(void *)mail;
	struct readers *readers = ctx;
	struct store_reader *store = readers->readers[index].store;
	struct read_result *result = read_run(store, request, &readers->readers[index].scratch);

	if (result != NULL && result->err != CHAT_OK)
		audit_read_failed(result->err, store_reader_error(store));
	/* Without memory for an answer there is none: the peer's own timeout ends its waiting. */
	if (result != NULL && !mailbox_post(readers->loops[request->conn.loop], &result->mail))
		read_result_free(result);
	read_request_free(request);
}

enum chat_err
readers_new(struct store *store, struct mailbox *const *loops, uint16_t loop_count, struct readers **ret)
{
	struct readers *readers = calloc(1, sizeof *readers);
	enum chat_err err = CHAT_OK;

	if (readers == NULL)
		return CHAT_ERR_NOMEM;
	work_queue_init(&readers->queue, 0, work, readers);
	readers->loops = loops;
	readers->loop_count = loop_count;
	for (unsigned i = 0; i < READER_THREADS && err == CHAT_OK; i++) {
		err = read_scratch_init(&readers->readers[i].scratch);
		if (err == CHAT_OK)
			err = store_reader_open(store, &readers->readers[i].store);
	}
	if (err != CHAT_OK)
		readers_free(readers);
	else
		*ret = readers;
	return err;
}

enum chat_err
readers_start(struct readers *readers)
{
	return work_queue_start(&readers->queue, READER_THREADS, "reader");
}

void
readers_put(struct readers *readers, struct read_request *request)
{
	assert(request->conn.loop < readers->loop_count);
	if (work_queue_put(&readers->queue, &request->mail) != CHAT_OK)
		read_request_free(request);
}

size_t
readers_waiting(struct readers *readers)
{
	return work_queue_count(&readers->queue);
}

void
readers_stop(struct readers *readers)
{
	struct mail *left = work_queue_stop(&readers->queue, true);

	while (left != NULL) {
		struct mail *next = left->next;

		read_request_free((struct read_request *)(void *)left);
		left = next;
	}
}

void
readers_free(struct readers *readers)
{
	if (readers == NULL)
		return;
	work_queue_fini(&readers->queue);
	for (unsigned i = 0; i < READER_THREADS; i++) {
		store_reader_close(readers->readers[i].store);
		read_scratch_fini(&readers->readers[i].scratch);
	}
	free(readers);
}
