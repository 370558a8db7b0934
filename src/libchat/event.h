/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_EVENT_H
#define LIBCHAT_EVENT_H

/*
 * The inside of struct chat_event, and how one is made.  What programs see of it are the accessors of chat.h,
 * which event.c implements too.
 *
 * What it is not: the queue that chat_next_event() reads; that is the client's.  `link` is for whoever holds
 * the event.
 *
 * Threads: an event belongs to one thread at a time.
 * Ownership: everything in it is its own copy; event_free() ends it (chat_event_free() is the same).
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "group/identity.h"

#define LABEL_CHARS 80 /* of a room's local name, with its NUL; a name of 64 characters is cut to fit */

struct chat_event {
	STAILQ_ENTRY(chat_event) link;
	enum chat_event_type type;
	uint32_t flags; /* of enum chat_event_flag */
	enum chat_err err;
	bool failed; /* a setter ran out of memory: the event is not to be shown */
	bool has_room, has_hash, self, target_self;
	uint64_t shows_seq; /* once it is taken, the room is shown up to here; 0: says nothing of it */
	uint64_t token;
	uint64_t seq, time_ms, number, total;
	struct chat_id room, hash;
	char label[LABEL_CHARS];
	char actor[ACCOUNT_MAX_BYTES + 1];
	char target[ACCOUNT_MAX_BYTES + 1];
	char *text; /* owned, NUL behind it; NULL: none */
	size_t text_len;
	char *mend;                 /* owned; NULL: none */
	struct chat_online *online; /* owned: one allocation with the names behind it */
	size_t online_count;
};

STAILQ_HEAD(event_queue, chat_event);

/* NULL: out of memory. */
struct chat_event *event_new(enum chat_event_type type) MUST_USE;
/* The DONE of a request, made before the request is given to the session: so it cannot fail to come. */
struct chat_event *event_new_done(uint64_t token) MUST_USE;
void event_free(struct chat_event *event); /* overwrites its text; NULL is allowed */

/* Each copies.  Where memory is short `failed` is set and the rest does nothing. */
void event_set_room(struct chat_event *event, const struct digest *room_id, const char *label);
void event_set_hash(struct chat_event *event, const struct digest *hash);
void event_set_text(struct chat_event *event, struct bytes text);
void event_printf(struct chat_event *event, const char *fmt, ...) PRINTF_LIKE(2, 3);
void event_set_mend(struct chat_event *event, const char *mend); /* NULL is allowed */
void event_set_actor(struct chat_event *event, const struct account_name *account);
void event_set_target(struct chat_event *event, const struct account_name *account);
/* The error of a DONE, with its sentence and the line that mends it; text NULL: chat_strerror(err). */
void event_set_error(struct chat_event *event, enum chat_err err, const char *text, const char *mend);

#endif
