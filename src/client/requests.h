/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_REQUESTS_H
#define CLIENT_REQUESTS_H

/*
 * Requests of the plain mode that have not ended: what is to be done at the end, and which texts are not on
 * the server yet.
 *
 * Threads: the main one.
 */

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/chat.h>

#include "base/compiler.h"

struct plain;
struct request;

/* Called with the DONE of a request that succeeded; text is what request_add() was given. */
typedef void request_end(struct plain *p, const struct request *request, const struct chat_event *done);

struct request {
	TAILQ_ENTRY(request) link;
	uint64_t token;
	const char *name; /* of its command, for messages; static */
	request_end *end; /* NULL: nothing to do */
	bool gate;        /* the lines behind wait for it */
	bool said;        /* it is a text that is being said */
	bool queued;      /* and it is in the outbox */
	bool marked;      /* and the user has been told that it waits */
	uint64_t since_mono_ms;
	struct chat_id room; /* where `end' wants it */
	char *label;         /* of the room; owned; NULL: none */
	char *text;          /* owned; NULL: none */
	size_t len;
};

struct requests {
	TAILQ_HEAD(, request) list;
	size_t count;
	size_t said; /* of them texts */
	size_t gates;
};

void requests_init(struct requests *r);
void requests_fini(struct requests *r);

/* Copies label and text.  NULL: out of memory (nobody will hear of the end then). */
struct request *requests_add(struct requests *r, uint64_t token, const char *name, const char *label,
    const char *text, size_t len) MUST_USE;
void requests_set_gate(struct requests *r, struct request *request);
void requests_set_said(struct requests *r, struct request *request);
/* Nobody waits for any of them any longer; they go on. */
void requests_open_gates(struct requests *r);

/* DONE and QUEUED. */
void requests_event(struct plain *p, const struct chat_event *event);
/* Marks texts that wait for long, or for a connection; returns when to look again. */
uint64_t requests_tick(struct plain *p, uint64_t mono_ms);
/* Texts that are on no disk yet. */
size_t requests_unsaved(const struct requests *r);

#endif
