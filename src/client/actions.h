/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_ACTIONS_H
#define CLIENT_ACTIONS_H

/*
 * Commands that ask the server for something; as rows of command_table name them.
 *
 * Threads: the main one.
 */

#include <stddef.h>

struct plain;

/* What is said in the current room. */
void action_say(struct plain *p, const char *text, size_t len);

void action_create(struct plain *p, char *const *args, size_t count);
void action_invite(struct plain *p, char *const *args, size_t count);
void action_accept(struct plain *p, char *const *args, size_t count);
void action_decline(struct plain *p, char *const *args, size_t count);
void action_msg(struct plain *p, char *const *args, size_t count);
void action_leave(struct plain *p, char *const *args, size_t count);
void action_topic(struct plain *p, char *const *args, size_t count);
void action_name(struct plain *p, char *const *args, size_t count);
void action_history(struct plain *p, char *const *args, size_t count);
void action_passwd(struct plain *p, char *const *args, size_t count);
void action_quit(struct plain *p, char *const *args, size_t count);

#endif
