/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "libchat/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libchat/thread.h"

struct request *
request_new(enum request_type type, struct bytes text, struct bytes second)
{
	size_t size = sizeof(struct request) + text.len + second.len;
	struct request *request = calloc(1, size);
	uint8_t *at;

	if (!request)
		return NULL;
	request->type = type;
	request->size = size;
	at = (uint8_t *)(request + 1);
	if (text.len)
		memcpy(at, text.data, text.len);
	if (second.len)
		memcpy(at + text.len, second.data, second.len);
	request->text = BYTES(at, text.len);
	request->second = BYTES(at + text.len, second.len);
	return request;
}

void
request_free(struct request *request)
{
	if (!request)
		return;
	event_free(request->done);
	free(request->accounts);
	freezero(request, request->size);
}

void
request_run(struct request *r, struct chat_session *s, struct now now)
{
	struct chat_event *done = r->done;

	r->done = NULL;
	switch (r->type) {
	case REQUEST_SEND:
		session_send(s, done, &r->room_id, r->text, now);
		break;
	case REQUEST_CREATE:
		session_create(s, done, r->text, now);
		break;
	case REQUEST_INVITE:
		session_invite(s, done, &r->room_id, r->accounts, r->account_count, now);
		break;
	case REQUEST_ACCEPT:
		session_accept(s, done, &r->room_id, now);
		break;
	case REQUEST_DECLINE:
		session_decline(s, done, &r->room_id, now);
		break;
	case REQUEST_LEAVE:
		session_leave(s, done, &r->room_id, now);
		break;
	case REQUEST_KICK:
		session_kick(s, done, &r->room_id, r->accounts, now);
		break;
	case REQUEST_SET_ROLE:
		session_set_role(s, done, &r->room_id, r->accounts, (unsigned)r->number, now);
		break;
	case REQUEST_SET_TOPIC:
		session_set_topic(s, done, &r->room_id, r->text, now);
		break;
	case REQUEST_SET_NAME:
		session_set_name(s, done, &r->room_id, r->text, now);
		break;
	case REQUEST_DIRECT:
		session_direct(s, done, r->accounts, now);
		break;
	case REQUEST_HISTORY:
		session_history(s, done, &r->room_id, (size_t)r->number, now);
		break;
	case REQUEST_WHO:
		session_who(s, done, now);
		break;
	case REQUEST_CHANGE_PASSWORD:
		session_change_password(s, done, r->text, r->second, now);
		break;
	case REQUEST_MARK_READ:
		session_mark_read(s, &r->room_id, r->number, now);
		break;
	}
	request_free(r);
}

void
request_queue_init(struct request_queue *q, int wake_fd)
{
	*q = (struct request_queue){.wake_fd = wake_fd};
	STAILQ_INIT(&q->list);
	(void)pthread_mutex_init(&q->mtx, NULL);
}

static void
drop_password(struct request_queue *q)
{
	freezero(q->password, q->password_len);
	q->password = NULL;
	q->password_len = 0;
}

void
request_queue_fini(struct request_queue *q)
{
	struct request *request;

	while ((request = STAILQ_FIRST(&q->list))) {
		STAILQ_REMOVE_HEAD(&q->list, link);
		request_free(request);
	}
	drop_password(q);
	(void)pthread_mutex_destroy(&q->mtx);
}

enum chat_err
request_queue_add(struct request_queue *q, struct request *request, uint64_t *ret_token)
{
	bool with_token = request->type != REQUEST_MARK_READ;
	enum chat_err err = CHAT_OK;
	uint64_t token = 0;

	if (with_token && !(request->done = event_new_done(0))) {
		request_free(request);
		return CHAT_ERR_NOMEM;
	}
	(void)pthread_mutex_lock(&q->mtx);
	if (q->closed)
		err = CHAT_ERR_CLOSED;
	else if (with_token ? q->open >= REQUESTS_OPEN_MAX : q->queued >= 2 * REQUESTS_OPEN_MAX)
		err = CHAT_ERR_LIMIT;
	if (!err) {
		if (with_token) {
			token = ++q->last_token;
			request->done->token = token;
			q->open++;
		}
		STAILQ_INSERT_TAIL(&q->list, request, link);
		q->queued++;
	}
	(void)pthread_mutex_unlock(&q->mtx);
	if (err) {
		request_free(request);
		return err;
	}
	wake_fd_set(q->wake_fd);
	if (ret_token)
		*ret_token = token;
	return CHAT_OK;
}

void
request_queue_take(struct request_queue *q, struct request_list *ret)
{
	(void)pthread_mutex_lock(&q->mtx);
	STAILQ_CONCAT(ret, &q->list);
	q->queued = 0;
	(void)pthread_mutex_unlock(&q->mtx);
}

void
request_queue_ended(struct request_queue *q, size_t count)
{
	(void)pthread_mutex_lock(&q->mtx);
	assert(count <= q->open);
	q->open -= count;
	(void)pthread_mutex_unlock(&q->mtx);
}

void
request_queue_close(struct request_queue *q)
{
	(void)pthread_mutex_lock(&q->mtx);
	q->closed = true;
	q->trust_asked = false;
	q->password_asked = false;
	(void)pthread_mutex_unlock(&q->mtx);
}

void
request_queue_stop(struct request_queue *q)
{
	(void)pthread_mutex_lock(&q->mtx);
	q->stopped = true;
	(void)pthread_mutex_unlock(&q->mtx);
	wake_fd_set(q->wake_fd);
}

bool
request_queue_stopped(struct request_queue *q)
{
	bool stopped;

	(void)pthread_mutex_lock(&q->mtx);
	stopped = q->stopped;
	(void)pthread_mutex_unlock(&q->mtx);
	return stopped;
}

/* ---- questions ---- */

void
request_queue_ask_trust(struct request_queue *q)
{
	(void)pthread_mutex_lock(&q->mtx);
	q->trust_asked = true;
	q->trust_given = false;
	(void)pthread_mutex_unlock(&q->mtx);
}

void
request_queue_ask_password(struct request_queue *q, bool asked)
{
	(void)pthread_mutex_lock(&q->mtx);
	q->password_asked = asked;
	drop_password(q);
	(void)pthread_mutex_unlock(&q->mtx);
}

enum chat_err
request_queue_answer_trust(struct request_queue *q, bool agree)
{
	bool asked;

	(void)pthread_mutex_lock(&q->mtx);
	asked = q->trust_asked;
	if (asked) {
		q->trust_asked = false;
		q->trust_given = true;
		q->trust_agreed = agree;
	}
	(void)pthread_mutex_unlock(&q->mtx);
	if (!asked)
		return CHAT_ERR_INVALID;
	wake_fd_set(q->wake_fd);
	return CHAT_OK;
}

enum chat_err
request_queue_answer_password(struct request_queue *q, struct bytes password)
{
	uint8_t *copy = malloc(password.len);
	bool asked;

	if (!copy)
		return CHAT_ERR_NOMEM;
	memcpy(copy, password.data, password.len);
	(void)pthread_mutex_lock(&q->mtx);
	asked = q->password_asked;
	if (asked) {
		q->password_asked = false;
		drop_password(q);
		q->password = copy;
		q->password_len = password.len;
		copy = NULL;
	}
	(void)pthread_mutex_unlock(&q->mtx);
	freezero(copy, password.len);
	if (!asked)
		return CHAT_ERR_INVALID;
	wake_fd_set(q->wake_fd);
	return CHAT_OK;
}

bool
request_queue_take_trust(struct request_queue *q, bool *ret_agree)
{
	bool given;

	(void)pthread_mutex_lock(&q->mtx);
	given = q->trust_given;
	if (given)
		*ret_agree = q->trust_agreed;
	q->trust_given = false;
	(void)pthread_mutex_unlock(&q->mtx);
	return given;
}

bool
request_queue_take_password(struct request_queue *q, uint8_t **ret, size_t *ret_len)
{
	bool given;

	(void)pthread_mutex_lock(&q->mtx);
	given = q->password != NULL;
	if (given) {
		*ret = q->password;
		*ret_len = q->password_len;
		q->password = NULL;
		q->password_len = 0;
	}
	(void)pthread_mutex_unlock(&q->mtx);
	return given;
}
