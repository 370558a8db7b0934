/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_ROOMS_H
#define CLIENT_ROOMS_H

/*
 * Rooms as people name them, and the current room of the plain mode.
 *
 * Threads: the main one.
 */

#include <stdbool.h>

#include <chat/chat.h>

#include "base/compiler.h"

struct plain;

/* Which stays are meant. */
enum rooms_which { ROOMS_JOINED, ROOMS_INVITED, ROOMS_ANY };

/*
 * Finds a room by its label, by the beginning of its label where only one has it, or by the first digits of
 * its id. False: the user was told why not, and which there are.  The id and the label (PLAIN_LABEL_BYTES)
 * are copies.
 */
bool rooms_find(struct plain *p, const char *name, enum rooms_which which, bool whole, struct chat_id *ret_id,
    char *ret_label) MUST_USE;
/* The only one of its kind, for commands without an argument.  False: there are none or several, and the user
 * was told. */
bool
rooms_find_only(struct plain *p, enum rooms_which which, struct chat_id *ret_id, char *ret_label) MUST_USE;

/* The room in which things are said now.  False: there is none, and the user was told. */
bool rooms_here(struct plain *p, struct chat_id *ret_id) MUST_USE;

/* Goes there.  label NULL: nowhere. */
void rooms_enter(struct plain *p, const struct chat_id *id, const char *label);
/* At the start: the one that --room names, or the only one. */
void rooms_enter_first(struct plain *p);
/* What an event may mean for the current room: another label, its end. */
void rooms_event(struct plain *p, const struct chat_event *event);

bool room_id_equal(const struct chat_id *a, const struct chat_id *b);

#endif
