/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/upkeep.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/store.h"

struct upkeep {
	struct store_reader *reader; /* owner: the job's thread while busy */
	struct mailbox *mailbox;     /* immutable */
	/* owner: main */
	bool busy;
	pthread_t thread;
	char *path;               /* owned; immutable while busy */
	struct upkeep_done *done; /* the job's thread's while busy, then the mailbox's */
};

static void
check(struct store_reader *reader, struct upkeep_done *done)
{
	struct buf report = {.len = 0};
	size_t line = 0;

	done->err = store_reader_check(reader, &(struct store_check_options){.deep = false}, &report);
	while (line < report.len && report.data[line] != '\n')
		line++;
	if (done->err == CHAT_ERR_CORRUPT)
		(void)snprintf(done->text, sizeof done->text, "%.*s", (int)line, (const char *)report.data);
	else if (done->err != CHAT_OK)
		(void)strlcpy(done->text, store_reader_error(reader), sizeof done->text);
	buf_fini(&report);
}

static void *
run(void *arg)
{
	struct upkeep *upkeep = arg;
	struct upkeep_done *done = upkeep->done;

	switch (done->job) {
	case UPKEEP_CHECK:
		check(upkeep->reader, done);
		break;
	case UPKEEP_BACKUP:
		done->err = store_reader_backup(upkeep->reader, upkeep->path);
		(void)strlcpy(done->text,
		    done->err == CHAT_OK ? upkeep->path : store_reader_error(upkeep->reader),
		    sizeof done->text);
		break;
	}
	/* main's mailbox is never closed. */
	if (!mailbox_post(upkeep->mailbox, &done->mail))
		assert(false);
	return NULL;
}

enum chat_err
upkeep_new(struct store_reader *reader, struct mailbox *mailbox, struct upkeep **ret_upkeep)
{
	struct upkeep *upkeep = calloc(1, sizeof *upkeep);

	if (upkeep == NULL)
		return CHAT_ERR_NOMEM;
	upkeep->reader = reader;
	upkeep->mailbox = mailbox;
	*ret_upkeep = upkeep;
	return CHAT_OK;
}

static void
join(struct upkeep *upkeep)
{
	(void)pthread_join(upkeep->thread, NULL);
	free(upkeep->path);
	upkeep->path = NULL;
	upkeep->busy = false;
}

void
upkeep_free(struct upkeep *upkeep)
{
	if (upkeep == NULL)
		return;
	if (upkeep->busy)
		join(upkeep);
	store_reader_close(upkeep->reader);
	free(upkeep);
}

enum chat_err
upkeep_begin(struct upkeep *upkeep, enum upkeep_job job, const char *path, void *token)
{
	struct upkeep_done *done = NULL;
	char *copy = NULL;

	if (upkeep->busy)
		return CHAT_ERR_BUSY;
	done = calloc(1, sizeof *done);
	copy = path != NULL ? strdup(path) : NULL;
	if (done == NULL || (path != NULL && copy == NULL)) {
		free(done);
		free(copy);
		return CHAT_ERR_NOMEM;
	}
	done->mail.tag = UPKEEP_MAIL;
	done->job = job;
	done->token = token;
	upkeep->done = done;
	upkeep->path = copy;
	if (pthread_create(&upkeep->thread, NULL, run, upkeep) != 0) {
		free(done);
		free(copy);
		upkeep->path = NULL;
		return CHAT_ERR_IO;
	}
	upkeep->busy = true;
	return CHAT_OK;
}

void
upkeep_end(struct upkeep *upkeep, struct upkeep_done *done)
{
	if (upkeep != NULL)
		join(upkeep);
	free(done);
}
