/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_LOOP_MAIL_H
#define SERVER_LOOP_MAIL_H

/*
 * What is posted to a loop's mailbox: the tag says which struct the mail is at the head of.
 *
 * Ownership: the mail, and all it points to, is the loop's once it is posted.
 */

#include <stdint.h>

#include "net/addr.h"
#include "net/mailbox.h"
#include "server/outcome.h"

struct server_limits;
struct loop_barrier;

enum loop_mail_tag {
	LOOP_MAIL_ACCEPT,   /* struct accept_mail, from main */
	LOOP_MAIL_OUTCOMES, /* struct outcomes_mail, from the engine thread */
	LOOP_MAIL_READ,     /* struct read_result, from a reader */
	LOOP_MAIL_KDF,      /* struct kdf_job, from a kdf thread */
	LOOP_MAIL_LIMITS,   /* struct limits_mail, from main */
	LOOP_MAIL_LOOK,     /* struct mail alone: look at the password file */
	LOOP_MAIL_BARRIER,  /* struct barrier_mail, from main: all posted before it was worked off */
	LOOP_MAIL_QUIET,    /* struct mail alone: read no more requests */
	LOOP_MAIL_FINISH,   /* struct mail alone: goodbye to all, then end */
};

struct accept_mail {
	struct mail mail;
	int fd; /* owned */
	struct net_addr peer;
};

struct outcomes_mail {
	struct mail mail;     /* bytes: of the frames in it */
	struct outcome *list; /* owned */
};

struct limits_mail {
	struct mail mail;
	struct server_limits *limits; /* a reference, owned */
};

struct barrier_mail {
	struct mail mail;
	struct loop_barrier *barrier; /* borrowed: main waits on it */
};

#endif
