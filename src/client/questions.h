/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_QUESTIONS_H
#define CLIENT_QUESTIONS_H

/*
 * What the plain mode asks its user: whether a server is the right one, the password, and for /passwd the old
 * one and twice the new one.  Where there is no terminal it says what to do instead, and ends the program.
 *
 * While a question stands on the screen other lines wait.
 *
 * Threads: the main one.
 */

#include <stdbool.h>

#include <chat/chat.h>

#include "base/buf.h"
#include "client/ask.h"

struct plain;

enum question {
	QUESTION_NONE,
	QUESTION_TRUST,
	QUESTION_LOGIN,
	QUESTION_OLD, /* of /passwd */
	QUESTION_NEW,
	QUESTION_AGAIN
};

struct questions {
	enum question now;
	unsigned refused; /* passwords */
	struct ask ask;
	struct buf old_password; /* secret */
	struct buf new_password; /* secret */
};

/* Restores the terminal and forgets what was typed. */
void questions_fini(struct questions *q);

/* SERVER_UNKNOWN and PASSWORD_NEEDED. */
void questions_event(struct plain *p, const struct chat_event *event);
/* The connection is gone, and its question with it. */
void questions_withdraw(struct plain *p);
void questions_passwd(struct plain *p);

/* The terminal is readable while a question is open. */
void questions_input(struct plain *p);
/* SIGINT: true if there was a question. */
bool questions_interrupt(struct plain *p);

#endif
