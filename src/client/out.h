/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_OUT_H
#define CLIENT_OUT_H

/*
 * What is to be written to standard output, written without ever waiting for its reader: poll for POLLOUT
 * while out_pending().  A program that finds its output stuck can so still hear signals.
 *
 * Threads: the main one.
 */

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "client/text.h"

struct out {
	int fd; /* borrowed */
	struct buf buf;
	size_t written; /* of buf */
	bool failed;    /* its reader is gone, or memory ran out; error says which */
	int error;      /* errno */
};

void out_init(struct out *out, int fd);
void out_fini(struct out *out);
/* Takes what is in t, and empties it. */
void out_text(struct out *out, struct text *t);
/* Writes what can be written at once. */
void out_flush(struct out *out);
bool out_pending(const struct out *out);

#endif
