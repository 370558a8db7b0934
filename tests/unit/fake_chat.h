/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FAKE_CHAT_H
#define FAKE_CHAT_H

/*
 * A libchat of the tests' own: chat.h without a server, for the client program.  A test says which rooms
 *there are and what happens; every call is written down; a request is answered as by a friendly server, or as
 *the test says.
 *
 *	fake_reset();
 *	fake_room("ops", CHAT_STAY_JOINED);
 *	... run the client with the input "hello" ...
 *	assert_string_equal(fake_calls(), "start\nsend ops hello\nread ops 2\nfree\n");
 *
 * chat_client_start() gives CONNECTING, CONNECTED, SYNCED, unless fake_on_start() says otherwise.  One client
 *at a time; threads: one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/chat.h>

#include "base/compiler.h"

/* All fields are the test's to set; strings are copied by fake_push(). */
struct fake_event {
	enum chat_event_type type;
	uint64_t token;
	enum chat_err err;
	const char *text;
	size_t text_len; /* 0: strlen(text) */
	const char *mend;
	const char *room;  /* a label that fake_room() made; NULL: none */
	const char *label; /* NULL: that of room */
	const char *actor, *target;
	bool self, target_self;
	uint64_t seq, time_ms, number, total;
	uint32_t flags;
	bool has_hash;
	const struct chat_online *online;
	size_t online_count;
};

void fake_reset(void);

/* The event waits in the queue. */
void fake_push(struct fake_event event);
#define fake_event(...) fake_push((struct fake_event){__VA_ARGS__})
/* Behind the last event the queue is closed, as after FAILED. */
void fake_close(void);
/* One event, not in a queue; the caller's to free with chat_event_free(). */
struct chat_event *fake_make(struct fake_event event);
#define fake_make_event(...) fake_make((struct fake_event){__VA_ARGS__})

struct chat_room_info *fake_room(const char *label, enum chat_stay stay);
void fake_member(const char *room, const char *account, enum chat_stay stay, unsigned role);

/* What was called until now, one line for each call; borrowed until the next call of anything. */
const char *fake_calls(void);

/* Instead of CONNECTING, CONNECTED, SYNCED. */
void fake_on_start(void (*start)(void));
/* Called for each request instead of answering it, with the line that fake_calls() has for it. */
void fake_on_request(void (*request)(const char *call, uint64_t token));
/* The next call that may fail does. */
void fake_fail(enum chat_err err);
/* As a friendly server answers. */
void fake_answer(const char *call, uint64_t token);

#endif
