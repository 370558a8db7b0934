/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_VIEW_H
#define LIBCHAT_VIEW_H

/*
 * What is known now, for the program's threads: the client's thread makes an immutable, counted view of its
 * session after changes and publishes it; a query takes a reference, so nobody waits for anybody.  Lists of
 * members that did not change are shared from one view to the next.
 *
 * Threads: view_ref() and view_unref() any; a view may be read by any that holds a reference.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "group/identity.h"
#include "libchat/session.h"

struct view_members; /* counted */

struct view {
	atomic_uint refs;
	/* immutable after view_make() */
	struct chat_room_list *rooms;  /* owned; by label */
	struct view_members **members; /* owned references; of the same index; NULL: none to be had */
	bool connected;
	bool has_fingerprint;
	struct digest fingerprint; /* of the server's key */
	bool has_member_id;
	struct digest member_id;
};

/* Which members' lists are out of date. */
#define VIEW_STALE_MAX 16
struct view_stale {
	bool all;
	size_t count;
	struct chat_id rooms[VIEW_STALE_MAX];
};
void view_stale_add(struct view_stale *stale, const struct chat_id *room);

/* previous may be NULL.  Server and connection are set by the caller before it publishes.  CHAT_ERR_NOMEM. */
enum chat_err view_make(const struct chat_session *session, const struct view *previous,
    const struct view_stale *stale, struct view **ret) MUST_USE;

struct view *view_ref(struct view *view);
void view_unref(struct view *view); /* NULL is allowed */

/* Where the newest one hangs. */
struct view_slot {
	pthread_mutex_t mtx;
	struct view *view; /* lock: mtx; a reference; NULL before the first */
};

void view_slot_init(struct view_slot *slot);
void view_slot_fini(struct view_slot *slot);
void view_slot_put(struct view_slot *slot, struct view *view); /* takes the reference over */
struct view *view_slot_get(struct view_slot *slot);            /* a reference of the caller's */

/* ---- queries ---- */

bool view_knows_room(const struct view *view, const struct chat_id *room);
/* Copies for the program, each one allocation.  CHAT_ERR_NOMEM, CHAT_ERR_NOT_FOUND. */
enum chat_err view_copy_rooms(const struct view *view, struct chat_room_list **ret) MUST_USE;
enum chat_err view_copy_members(
    const struct view *view, const struct chat_id *room, struct chat_member_list **ret) MUST_USE;
/* By label, or by the first hex digits of the id, at least 4, if only one room has them.  CHAT_ERR_NOT_FOUND.
 */
enum chat_err view_find_room(const struct view *view, const char *label, struct chat_id *ret) MUST_USE;

#endif
