/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_CLIENT_H
#define LIBCHAT_CLIENT_H

/*
 * The inside of struct chat_client: the thread that connects, reads and writes, and what the program's
 * threads share with it.  The public functions around it are in chat_api.c.
 *
 *     program's threads                       the client's thread (client_loop.c, client_line.c)
 *       request_queue_add() ── request_queue ──> session, storage, socket: nobody else touches them
 *       event_box_take()   <── event_box ──────  events
 *       view_slot_get()    <── view_slot ──────  what is known now
 *                                  worker_pool: long work
 *
 * One turn of the thread: wait; take requests, answers and finished work; read; let the session's time pass;
 * write; publish what changed; give out events.  The wait ends by wake_fd, the socket, or the nearest
 * deadline.
 *
 * Threads and ownership: as each group of fields says.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/random.h"
#include "libchat/backoff.h"
#include "libchat/config.h"
#include "libchat/connect.h"
#include "libchat/datadir.h"
#include "libchat/event_box.h"
#include "libchat/request.h"
#include "libchat/session.h"
#include "libchat/storage.h"
#include "libchat/view.h"
#include "libchat/worker.h"

#define CLIENT_READ_BYTES (16 * 1024) /* one TLS record */

/* What tests set otherwise. */
struct client_tuning {
	struct connect_timing timing;
	struct resolve_calls calls;
	struct random_source random; /* of the back-off */
	uint64_t trust_fresh_ms;     /* an answer that took longer finds the server gone: connect anew */
	uint64_t goodbye_ms;         /* how long the last bytes may take */
	/* While nothing is read because the program takes no events, the server's silence means nothing: the session is
	 * told that there was something, after its ping (15 s) and before it gives up (30 s). */
	uint64_t silence_ms;
};
extern const struct client_tuning client_tuning_default;

enum client_state {
	CLIENT_PAUSING, /* until next_attempt_ms, and until there is room for events */
	CLIENT_CONNECTING,
	CLIENT_ASKING, /* the program, whether to trust the server */
	CLIENT_ONLINE,
	CLIENT_CLOSING, /* the last bytes go out */
	CLIENT_FAILING, /* what is left of the session's events, FAILED, then the DONE of open requests */
	CLIENT_ENDED,
};

struct chat_client {
	/* immutable after client_new() */
	struct chat_config config; /* its strings are ours */
	struct client_tuning tuning;
	struct data_dir dir;
	char server_shown[SERVER_NAME_CHARS];
	int wake_fd;

	/* any thread: each has its own lock */
	struct request_queue requests;
	struct event_box box;
	struct view_slot view;
	atomic_bool started;

	pthread_t thread; /* owner: who calls chat_client_start(), then chat_client_free() */

	/* owner: the client's thread, once it runs; before and after it whoever creates or frees */
	struct storage *storage;
	struct chat_session *session;
	struct connector *connector;
	struct worker_pool workers;
	struct backoff backoff;
	enum client_state state;
	uint64_t deadline_ms;       /* of the state; NEVER_MS: none */
	struct connect_line line;   /* CLIENT_ONLINE and CLIENT_CLOSING; fd -1: none */
	uint64_t asked_ms;          /* since when the program is asked */
	uint64_t ready_ms;          /* since when logged in; 0: it is not */
	uint64_t heard_ms;          /* when session_receive() was called last */
	bool starved;               /* no room for events: nothing is read */
	bool write_blocked;         /* the transport took less than all */
	bool write_broken;          /* it takes nothing more; what the server said last is still read */
	bool failed_told;           /* FAILED is in the box */
	struct connect_failure end; /* why CLIENT_CLOSING, CLIENT_FAILING */
	uint64_t end_retry_ms;
	struct chat_event *failed_event; /* made at the start, so that it cannot fail to come */
	struct event_queue own;          /* events of ours that wait to be given out */
	bool view_dirty;
	struct view_stale stale;
	bool has_peer;
	struct digest peer; /* the server's key */
	struct tls_readahead readahead;
	uint8_t readahead_data[CLIENT_READ_BYTES];
	uint8_t in[CLIENT_READ_BYTES];
};

/* As chat_client_new(). */
enum chat_err client_new(const struct chat_config *config, const struct client_tuning *tuning,
    struct chat_client **ret, char **ret_text) MUST_USE;

/* client_loop.c: the thread; arg is the client. */
void *client_thread(void *arg);
/* Makes a view and publishes it, if anything changed.  Where memory is short the old one stands, until the
 * next turn. */
void client_publish(struct chat_client *c);
void client_change_state(struct chat_client *c, enum client_state state, uint64_t deadline_ms);
/* An event of the client's own; NULL is passed over. */
void client_emit(struct chat_client *c, struct chat_event *event);
/* The end: the client fails once what the session has to say is out. */
void client_fail(struct chat_client *c, enum chat_err err, const char *text, const char *mend);
/* The connection is gone, or could not be made: waits for the next attempt, or fails. */
void client_lost(struct chat_client *c, enum chat_err err, bool final, const char *text, const char *mend,
    uint64_t retry_ms);

/* client_line.c: the connection while it stands. */
void client_line_begin(struct chat_client *c, struct now now);
void client_line_read(struct chat_client *c);
void client_line_write(struct chat_client *c);
void client_line_check_end(struct chat_client *c);
/* Whether reading may go on, and what to wait for; 0: for nothing. */
bool client_line_reads(const struct chat_client *c);
short client_line_interest(const struct chat_client *c);
/* Closes it, if there is one, and tells the session. */
void client_line_close(struct chat_client *c);

#endif
