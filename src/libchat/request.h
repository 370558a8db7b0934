/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_REQUEST_H
#define LIBCHAT_REQUEST_H

/*
 * What the program asks for, on its way from any of its threads to the client's: a bounded queue, which gives
 * tokens, and the answers to the two questions that a client may ask (whether to trust a server, and for a
 * password).
 *
 * A request is open from request_queue_add() until its DONE was given to the program: request_queue_ended().
 *
 * Threads: request_queue_add(), _answer_trust() and _answer_password() any; the others the client's.
 */

#include <sys/queue.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "group/identity.h"
#include "libchat/event.h"
#include "libchat/session.h"

#define REQUESTS_OPEN_MAX 1024 /* at most 16 MiB of text in memory */

enum request_type {
	REQUEST_SEND,
	REQUEST_CREATE,
	REQUEST_INVITE,
	REQUEST_ACCEPT,
	REQUEST_DECLINE,
	REQUEST_LEAVE,
	REQUEST_KICK,
	REQUEST_SET_ROLE,
	REQUEST_SET_TOPIC,
	REQUEST_SET_NAME,
	REQUEST_DIRECT,
	REQUEST_HISTORY,
	REQUEST_WHO,
	REQUEST_CHANGE_PASSWORD,
	REQUEST_MARK_READ, /* has no token and no DONE */
};

/* One allocation with its text behind it; freed with all of it overwritten. */
struct request {
	STAILQ_ENTRY(request) link;
	enum request_type type;
	struct chat_event *done; /* owned; NULL for REQUEST_MARK_READ, or when the session took it */
	struct digest room_id;
	struct account_name *accounts; /* owned */
	size_t account_count;
	uint64_t number;           /* role, count or seq */
	struct bytes text, second; /* both in the request's own memory */
	size_t size;
};

STAILQ_HEAD(request_list, request);

/* Copies the texts; either may be empty.  NULL: out of memory. */
struct request *request_new(enum request_type type, struct bytes text, struct bytes second) MUST_USE;
void request_free(struct request *request); /* NULL is allowed */
/* Gives it to the session, and frees what is left. */
void request_run(struct request *request, struct chat_session *session, struct now now);

struct request_queue {
	int wake_fd; /* borrowed; immutable; set when there is something to take */

	pthread_mutex_t mtx;
	struct request_list list;                    /* lock: mtx */
	size_t queued;                               /* lock: mtx */
	size_t open;                                 /* lock: mtx; with a token */
	uint64_t last_token;                         /* lock: mtx */
	bool closed;                                 /* lock: mtx */
	bool stopped;                                /* lock: mtx */
	bool trust_asked, trust_given, trust_agreed; /* lock: mtx */
	bool password_asked;                         /* lock: mtx */
	uint8_t *password;                           /* lock: mtx; owned; NULL: none given */
	size_t password_len;                         /* lock: mtx */
};

void request_queue_init(struct request_queue *q, int wake_fd);
void request_queue_fini(struct request_queue *q);

/* Takes the request over and gives it a token and a DONE.  CHAT_ERR_LIMIT, CHAT_ERR_CLOSED, CHAT_ERR_NOMEM:
 * it is freed. */
enum chat_err
request_queue_add(struct request_queue *q, struct request *request, uint64_t *ret_token) MUST_USE;
/* All that wait, in order, appended to ret. */
void request_queue_take(struct request_queue *q, struct request_list *ret);
void request_queue_ended(struct request_queue *q, size_t count); /* so many DONE were given out */
/* From now on requests are refused with CHAT_ERR_CLOSED; those queued before can still be taken. */
void request_queue_close(struct request_queue *q);

/* The client is being freed. */
void request_queue_stop(struct request_queue *q);
bool request_queue_stopped(struct request_queue *q);

/* The client asks, just before the program hears of it; asked false takes it back. */
void request_queue_ask_trust(struct request_queue *q);
void request_queue_ask_password(struct request_queue *q, bool asked);
/* The program answers.  CHAT_ERR_INVALID: nothing was asked. */
enum chat_err request_queue_answer_trust(struct request_queue *q, bool agree) MUST_USE;
enum chat_err request_queue_answer_password(struct request_queue *q, struct bytes password) MUST_USE;
/* The client takes an answer; false: there is none yet.  The password is the caller's to freezero(). */
bool request_queue_take_trust(struct request_queue *q, bool *ret_agree) MUST_USE;
bool request_queue_take_password(struct request_queue *q, uint8_t **ret, size_t *ret_len) MUST_USE;

#endif
