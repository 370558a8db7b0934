/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/resolve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libchat/thread.h"

struct resolve {
	/* immutable after resolve_start() */
	struct resolve_calls calls;
	char host[SERVER_HOST_CHARS];
	char port[SERVER_PORT_CHARS];
	int wake_fd;
	bool threaded;
	pthread_t thread; /* owner: the caller */

	pthread_mutex_t mtx;
	bool done;      /* lock: mtx */
	bool abandoned; /* lock: mtx; whoever comes second frees */

	/* the thread's until done, then the caller's */
	int rc;
	struct addrinfo *list;
};

const struct resolve_calls resolve_system = {getaddrinfo, freeaddrinfo};

static void
destroy(struct resolve *r)
{
	if (r->list)
		r->calls.release(r->list);
	if (r->wake_fd >= 0)
		(void)close(r->wake_fd);
	(void)pthread_mutex_destroy(&r->mtx);
	free(r);
}

static void
look_up(struct resolve *r, int flags)
{
	const struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};

	r->rc = r->calls.lookup(r->host, r->port, &hints, &r->list);
	if (r->rc != 0)
		r->list = NULL;
}

static void *
resolve_thread(void *arg)
{
	struct resolve *r = arg;
	bool abandoned;

	look_up(r, 0);
	(void)pthread_mutex_lock(&r->mtx);
	r->done = true;
	abandoned = r->abandoned;
	(void)pthread_mutex_unlock(&r->mtx);
	if (abandoned)
		destroy(r);
	else
		wake_fd_set(r->wake_fd); /* its owner joins before it closes this */
	return NULL;
}

enum chat_err
resolve_start(const struct server_name *server, const struct resolve_calls *calls, struct resolve **ret)
{
	struct resolve *r = calloc(1, sizeof(*r));
	enum chat_err err = CHAT_OK;

	if (!r)
		return CHAT_ERR_NOMEM;
	r->calls = *calls;
	(void)pthread_mutex_init(&r->mtx, NULL);
	memcpy(r->host, server->host, sizeof(r->host));
	server_name_port(server, r->port);
	r->wake_fd = wake_fd_new();
	if (r->wake_fd < 0) {
		err = CHAT_ERR_NOMEM;
		goto out;
	}
	look_up(r, AI_NUMERICHOST);
	if (r->rc == EAI_NONAME) {
		r->threaded = true;
		err = thread_start(&r->thread, "chat-resolve", resolve_thread, r);
	} else {
		r->done = true;
		wake_fd_set(r->wake_fd);
	}
	if (!err)
		*ret = r;
out:
	if (err)
		destroy(r);
	return err;
}

int
resolve_fd(const struct resolve *r)
{
	return r->wake_fd;
}

bool
resolve_result(struct resolve *r, int *ret_rc, const struct addrinfo **ret_list)
{
	bool done;

	(void)pthread_mutex_lock(&r->mtx);
	done = r->done;
	(void)pthread_mutex_unlock(&r->mtx);
	if (done) {
		*ret_rc = r->rc;
		*ret_list = r->list;
	}
	return done;
}

void
resolve_free(struct resolve *r)
{
	bool done;

	if (!r)
		return;
	(void)pthread_mutex_lock(&r->mtx);
	done = r->done;
	/* While its lock is held, for behind it the struct may be gone. */
	if (!done) {
		r->abandoned = true;
		(void)pthread_detach(r->thread);
	}
	(void)pthread_mutex_unlock(&r->mtx);
	if (!done)
		return;
	if (r->threaded)
		(void)pthread_join(r->thread, NULL);
	destroy(r);
}
