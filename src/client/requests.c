/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/requests.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/plain.h"

/* A text that takes longer than this is shown as waiting: the longest that a slow line and a slow disk need.
 */
#define MARK_AFTER_MS 3000

void
requests_init(struct requests *r)
{
	*r = (struct requests){0};
	TAILQ_INIT(&r->list);
}

static void
request_free(struct request *request)
{
	if (!request)
		return;
	free(request->label);
	if (request->text)
		freezero(request->text, request->len);
	free(request);
}

static void
open_gate(struct requests *r, struct request *request)
{
	r->gates -= request->gate;
	request->gate = false;
}

static void
take_out(struct requests *r, struct request *request)
{
	open_gate(r, request);
	r->said -= request->said;
	r->count--;
	TAILQ_REMOVE(&r->list, request, link);
}

void
requests_fini(struct requests *r)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&r->list))) {
		take_out(r, request);
		request_free(request);
	}
}

struct request *
requests_add(
    struct requests *r, uint64_t token, const char *name, const char *label, const char *text, size_t len)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->token = token;
	request->name = name;
	request->since_mono_ms = clock_mono_ms();
	request->label = label ? strdup(label) : NULL;
	request->text = text ? malloc(len + 1) : NULL;
	if ((label && !request->label) || (text && !request->text)) {
		request_free(request);
		return NULL;
	}
	if (request->text) {
		memcpy(request->text, text, len);
		request->text[len] = '\0';
		request->len = len;
	}
	TAILQ_INSERT_TAIL(&r->list, request, link);
	r->count++;
	return request;
}

void
requests_set_gate(struct requests *r, struct request *request)
{
	r->gates += !request->gate;
	request->gate = true;
}

void
requests_set_said(struct requests *r, struct request *request)
{
	r->said += !request->said;
	request->said = true;
}

void
requests_open_gates(struct requests *r)
{
	struct request *request;

	TAILQ_FOREACH (request, &r->list, link)
		open_gate(r, request);
}

static struct request *
find(struct requests *r, uint64_t token)
{
	struct request *request;

	TAILQ_FOREACH (request, &r->list, link) {
		if (request->token == token)
			return request;
	}
	return NULL;
}

static void
not_said(struct plain *p, const struct request *request, const struct chat_event *done)
{
	plain_refused(p, "not sent", chat_event_err(done), chat_event_text(done), chat_event_mend(done));
	lines_pending(&p->lines, clock_unix_ms(), &p->text, request->label,
	    BYTES(request->text, request->len), "not sent");
}

/* No failure: the invitation will be sent. */
static void
kept(struct plain *p, const struct chat_event *done)
{
	struct text body = {0};

	text_body(&body, chat_event_text(done));
	plain_notice(p, "%s", text_cstr(&body));
	text_fini(&body);
}

void
requests_event(struct plain *p, const struct chat_event *event)
{
	struct request *request = find(&p->requests, chat_event_token(event));

	if (!request)
		return;
	if (chat_event_type(event) == CHAT_EVENT_QUEUED) {
		request->queued = true;
		return;
	}
	take_out(&p->requests, request);
	if (chat_event_err(event) == CHAT_OK) {
		if (request->end)
			request->end(p, request, event);
	} else if (chat_event_err(event) == CHAT_ERR_NO_IDENTITY) {
		kept(p, event);
	} else if (request->said) {
		not_said(p, request, event);
	} else {
		plain_refused(
		    p, request->name, chat_event_err(event), chat_event_text(event), chat_event_mend(event));
	}
	request_free(request);
}

uint64_t
requests_tick(struct plain *p, uint64_t mono_ms)
{
	uint64_t next_ms = NEVER_MS;
	struct request *request;

	TAILQ_FOREACH (request, &p->requests.list, link) {
		uint64_t due_ms = p->app->connected ? request->since_mono_ms + MARK_AFTER_MS : mono_ms;

		if (!request->said || request->marked || (!p->app->connected && !request->queued))
			continue;
		if (due_ms <= mono_ms) {
			lines_pending(&p->lines, clock_unix_ms(), &p->text, request->label,
			    BYTES(request->text, request->len), "waiting to be sent");
			request->marked = true;
		} else if (due_ms < next_ms) {
			next_ms = due_ms;
		}
	}
	return next_ms;
}

size_t
requests_unsaved(const struct requests *r)
{
	const struct request *request;
	size_t count = 0;

	TAILQ_FOREACH (request, &r->list, link)
		count += request->said && !request->queued;
	return count;
}
