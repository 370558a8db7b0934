/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the engine says, and how often somebody may ask. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "server/engine_impl.h"

/* What a client waits that asked when there was no memory. */
#define BUSY_RETRY_MS 1000

/* ---- outcomes ---- */

static void
add_out(struct engine *engine, struct outcome *out)
{
	*engine->out_last = out;
	engine->out_last = &out->next;
}

struct outcome *
engine_out(struct engine *engine, enum outcome_type type, struct conn_ref to, uint64_t request_id)
{
	struct outcome *out = outcome_new(type);

	if (out == NULL) {
		engine_lose(engine, to);
		return NULL;
	}
	out->to = to;
	out->request_id = request_id;
	add_out(engine, out);
	return out;
}

struct outcome *
engine_out_entries(struct engine *engine, uint16_t loop, uint32_t count)
{
	struct outcome *out = outcome_new(OUT_ENTRIES);

	if (out == NULL)
		return NULL;
	out->entries.loop = loop;
	out->entries.frames = calloc(count, sizeof *out->entries.frames);
	if (out->entries.frames == NULL) {
		outcome_free(out);
		return NULL;
	}
	out->entries.count = count;
	out->to.loop = loop;
	add_out(engine, out);
	return out;
}

void
engine_out_error(struct engine *engine, const struct pending *p)
{
	struct outcome *out = engine_out(engine, OUT_ERROR, p->cmd->from, p->cmd->request_id);

	if (out == NULL)
		return;
	out->error.err = p->err;
	strlcpy(out->error.text, p->text != NULL ? p->text : chat_strerror(p->err), sizeof out->error.text);
	strlcpy(out->error.mend, p->mend != NULL ? p->mend : "", sizeof out->error.mend);
	out->error.index = p->refusal.index;
	out->error.has_current = p->refusal.has_current;
	out->error.current = p->refusal.current;
	out->error.retry_after_ms = p->retry_after_ms;
	out->error.number = p->number;
}

void
engine_out_frame(struct engine *engine, struct conn_ref to, Chat__V1__ServerFrame *frame, uint64_t request_id)
{
	struct outcome *out;
	struct frame_ref *ref;
	size_t len;

	frame->id = request_id;
	len = frame_server_bytes(frame);
	ref = frame_ref_new(len);
	if (ref == NULL) {
		engine_lose(engine, to);
		return;
	}
	frame_server_put(frame, ref->data, len);
	out = engine_out(engine, OUT_FRAME, to, request_id);
	if (out == NULL) {
		frame_ref_unref(ref);
		return;
	}
	out->frame = ref;
}

/* ---- connections that miss something ---- */

void
engine_lose(struct engine *engine, struct conn_ref conn)
{
	uint32_t *lost;

	if (conn.generation == 0)
		return; /* main's */
	assert(conn.loop < engine->config.loop_count && conn.slot < engine->config.slots_per_loop);
	lost = &engine->lost[conn.loop][conn.slot];
	if (*lost == 0)
		engine->lost_count++;
	*lost = conn.generation;
}

/* They are closed before they hear anything else of the turn.  What finds no memory for that either waits for
 * the next. */
void
engine_close_lost(struct engine *engine)
{
	for (uint16_t loop = 0; engine->lost_count > 0 && loop < engine->config.loop_count; loop++) {
		for (uint32_t slot = 0; slot < engine->config.slots_per_loop; slot++) {
			uint32_t *lost = &engine->lost[loop][slot];
			struct outcome *out;

			if (*lost == 0)
				continue;
			out = outcome_new(OUT_CLOSE);
			if (out == NULL)
				return;
			out->to = (struct conn_ref){.loop = loop, .slot = slot, .generation = *lost};
			out->close.reason = CHAT_ERR_BUSY;
			out->next = engine->out_first;
			engine->out_first = out;
			if (engine->out_last == &engine->out_first)
				engine->out_last = &out->next;
			*lost = 0;
			engine->lost_count--;
		}
	}
}

/* ---- refusals ---- */

void
pending_refuse(struct pending *p, enum chat_err err, const char *text, const char *mend)
{
	assert(err != CHAT_OK);
	if (err == CHAT_ERR_NOMEM) {
		err = CHAT_ERR_BUSY;
		p->retry_after_ms = BUSY_RETRY_MS;
	}
	p->err = err;
	p->text = text;
	p->mend = mend;
}

void
pending_unknown(struct pending *p)
{
	pending_give_back(p);
	p->refusal = (struct roster_refusal){0};
	p->number = 0;
	p->retry_after_ms = 0;
	pending_refuse(p, CHAT_ERR_STORE_UNAVAILABLE, NULL, "send the same again");
}

void
engine_refuse(struct engine *engine, struct pending *p, enum chat_err err, const char *text)
{
	pending_refuse(p, err, text, NULL);
	engine_out_error(engine, p);
}

/* ---- rates ---- */

static bool
bucket_take(struct bucket *bucket, uint64_t now_ms, uint32_t burst, uint64_t refill_ms, uint64_t *ret_wait_ms)
{
	uint64_t refills;

	if (bucket->burst == 0)
		*bucket = (struct bucket){.since_ms = now_ms, .left = burst, .burst = burst};
	refills = (now_ms - bucket->since_ms) / refill_ms;
	if (refills > 0) {
		bucket->left = refills >= burst - bucket->left ? burst : bucket->left + (uint32_t)refills;
		bucket->since_ms += refills * refill_ms;
	}
	if (bucket->left == 0) {
		*ret_wait_ms = bucket->since_ms + refill_ms - now_ms;
		return false;
	}
	bucket->left--;
	return true;
}

bool
pending_take(
    struct engine *engine, struct pending *p, struct bucket *bucket, uint32_t burst, uint64_t refill_ms)
{
	if (!bucket_take(bucket, engine->now.mono_ms, burst, refill_ms, &p->retry_after_ms))
		return false;
	assert(p->taken == NULL || p->taken == bucket);
	p->taken = bucket;
	p->taken_count++;
	return true;
}

void
pending_give_back(struct pending *p)
{
	for (; p->taken_count > 0; p->taken_count--)
		if (p->taken->left < p->taken->burst)
			p->taken->left++;
	p->taken = NULL;
}
