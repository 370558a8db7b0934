/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_QUERIES_H
#define CLIENT_QUERIES_H

/*
 * Commands that show what is known; as rows of command_table name them.
 *
 * Threads: the main one.
 */

#include <stddef.h>

#include <chat/chat.h>

#include "client/text.h"

struct plain;

void query_rooms(struct plain *p, char *const *args, size_t count);
void query_switch(struct plain *p, char *const *args, size_t count);
void query_who(struct plain *p, char *const *args, size_t count);
void query_members(struct plain *p, char *const *args, size_t count);
void query_whoami(struct plain *p, char *const *args, size_t count);
void query_audit(struct plain *p, char *const *args, size_t count);
void query_help(struct plain *p, char *const *args, size_t count);

void query_topic(struct plain *p, const struct chat_id *room);
/* A hash as 8 groups of 5 digits (chat-protocol(7), Identity). */
void query_digits(struct text *out, const struct chat_id *hash);

#endif
