/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/content.h"
#include "libchat/op.h"
#include "libchat/room.h"

static const struct refusal no_refusal = {.err = CHAT_OK, .text = "", .mend = ""};

static struct refusal
refusal(enum chat_err err, const char *text)
{
	return (struct refusal){.err = err, .text = text, .mend = ""};
}

void
batch_free(struct chat_session *s, struct batch *batch)
{
	calls_forget(s, batch);
	TAILQ_REMOVE(&s->batches, batch, link);
	if (batch->room != NULL && batch->room->batch == batch)
		batch->room->batch = NULL;
	buf_fini(&batch->wires);
	buf_fini_secret(&batch->info);
	free(batch->wraps);
	explicit_bzero(batch, sizeof *batch);
	free(batch);
}

static void
end_batch(struct chat_session *s, struct batch *batch, const struct refusal *why, uint64_t first_seq)
{
	struct op *op = batch->op;
	struct room *room = batch->room;
	uint64_t last_seq = first_seq + batch->count - 1;
	bool voluntary = batch->voluntary;

	if (why->err == CHAT_OK && batch->rekeys && room == NULL) {
		/* The room of a create: it may have been announced already. */
		sync_room_known(s, &batch->room_id, 1);
		room = room_find(s, &batch->room_id);
		if (room != NULL)
			keys_remember(room, &batch->epoch_id, &batch->key);
	}
	batch_free(s, batch);
	if (s->ended)
		return;
	if (room != NULL)
		room_wake(room);
	if (op == NULL) {
		rekey_batch_ended(room, why, voluntary, last_seq);
		return;
	}
	op->waiting = false;
	if (why->err == CHAT_OK) {
		op->room = room;
		op->wait_seq = last_seq;
	}
	if (op->type->batch_ended != NULL)
		op->type->batch_ended(s, op, why);
	else
		op_batch_ended(s, op, why);
}

/* ---- building and judging ---- */

static enum chat_err
add_wire(struct batch *batch, const struct event *draft, const struct sign_key *key, struct event *ret_event)
{
	size_t start = batch->wires.len;
	enum chat_err err;

	if (batch->count == POST_EVENTS_MAX)
		return CHAT_ERR_TOO_LONG;
	err = event_build(draft, key, &batch->wires, NULL);
	if (err != CHAT_OK)
		return err;
	batch->ends[batch->count++] = batch->wires.len;
	return event_decode(BYTES(batch->wires.data + start, batch->wires.len - start), ret_event);
}

/* Whom the event is about, as roster_next_after() wants to know. */
static enum chat_err
find_subject(const struct chat_session *s, const struct event *draft, struct digest *ret, bool *ret_has)
{
	struct card card;
	enum chat_err err;

	*ret_has = true;
	switch (draft->type) {
	case EVENT_INVITE:
		err = card_decode(draft->card_wire, &card);
		if (err == CHAT_OK)
			*ret = card.member_id;
		return err;
	case EVENT_KICK:
		*ret = draft->kick.target;
		return CHAT_OK;
	case EVENT_ROLE:
		*ret = draft->role.target;
		return CHAT_OK;
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
	case EVENT_CARD:
		*ret = s->identity.member_id;
		return CHAT_OK;
	case EVENT_CREATE:
	case EVENT_SETTINGS:
	case EVENT_REKEY:
		*ret_has = false;
		return CHAT_OK;
	}
	return CHAT_ERR_INVALID;
}

/* Fills in what follows from the roster, builds the event, and applies it to the roster. */
static struct refusal
add_event(struct chat_session *s, struct batch *batch, struct roster *roster, struct event *draft)
{
	struct roster_refusal refused = {.why = ""};
	const struct digest *after;
	struct digest subject;
	struct event event;
	bool has_subject;
	enum chat_err err;

	draft->actor = s->identity.member_id;
	draft->time_ms = s->now.unix_ms;
	err = find_subject(s, draft, &subject, &has_subject);
	if (err != CHAT_OK)
		return refusal(err, "");
	if (draft->type != EVENT_CREATE) {
		draft->room_id = batch->room_id;
		draft->seen_seq = batch->seen.seq;
		draft->seen_hash = batch->seen.L;
		after = roster_next_after(roster, draft->type, has_subject ? &subject : NULL);
		if (after == NULL)
			return refusal(CHAT_ERR_NOT_ALLOWED, "");
		draft->after = *after;
	}
	err = add_wire(batch, draft, &s->identity.sign, &event);
	if (err != CHAT_OK)
		return refusal(err, "");
	if (draft->type == EVENT_CREATE)
		batch->room_id = event.room_id;
	err = roster_post_event(roster,
	    &(const struct roster_post){
		.event = &event,
		.poster = &s->identity.member_id,
		.server_time_ms = s->now.unix_ms,
		.signatures_good = true,
	    },
	    NULL, &refused);
	return refusal(err, err == CHAT_OK ? "" : refused.why);
}

/* The readers as they will be, and a work item that wraps a fresh key for them. */
static struct refusal
begin_rekey(
    struct chat_session *s, struct batch *batch, const struct roster *roster, const struct batch_plan *plan)
{
	const struct room_info info = {.name = plan->name, .topic = plan->topic};
	const struct roster_state *state = roster_state(roster);
	const struct roster_member *reader = NULL;
	struct work *work;
	struct digest salt;

	if (!member_is_joined(roster_member(roster, &s->identity.member_id)))
		return refusal(CHAT_ERR_NOT_ALLOWED, "not joined");
	work = session_new_work(s, WORK_WRAP, batch->room);
	if (work != NULL)
		work->wrap.targets = calloc(state->reader_count, sizeof *work->wrap.targets);
	if (work == NULL || work->wrap.targets == NULL ||
	    buf_reserve(&batch->info, room_info_encoded_bytes(&info) + 1) != CHAT_OK) {
		work_free(work);
		return refusal(CHAT_ERR_NOMEM, "");
	}
	room_info_encode(&info, batch->info.data);
	batch->info.len = room_info_encoded_bytes(&info);
	while ((reader = roster_next_reader(roster, reader)) != NULL) {
		struct work_wrap_target *to = &work->wrap.targets[work->wrap.count++];

		to->target.member_id = reader->id;
		to->target.card_hash = reader->card_hash;
		memcpy(to->rsa_n, member_rsa_n(reader), sizeof to->rsa_n);
	}
	epoch_key_generate(&s->random, &batch->key);
	batch->context = (struct epoch_context){
	    .room_id = batch->room_id,
	    .number = state->epoch + 1,
	    .after = *roster_next_after(roster, EVENT_REKEY, NULL),
	    .actor = s->identity.member_id,
	};
	salt = epoch_salt(&batch->context);
	batch->commitment = epoch_commitment(&batch->key, &salt);
	work->wrap.context = batch->context;
	work->wrap.commitment = batch->commitment;
	work->wrap.key = batch->key;
	batch->rekeys = true;
	batch->state = BATCH_WRAPPING;
	batch->work_id = work->id;
	session_add_work(s, work);
	return no_refusal;
}

static void post(struct chat_session *s, struct batch *batch);

struct refusal
batch_start(struct chat_session *s, struct room *room, struct op *op, const struct batch_plan *plan,
    struct batch **ret)
{
	struct roster *roster = room != NULL ? room->roster : roster_new(&s->realm, true);
	struct batch *batch = calloc(1, sizeof *batch);
	struct refusal why = no_refusal;

	if (roster == NULL || batch == NULL) {
		if (room == NULL)
			roster_free(roster);
		free(batch);
		(void)session_check(s, CHAT_ERR_NOMEM);
		return refusal(CHAT_ERR_NOMEM, "");
	}
	TAILQ_INSERT_TAIL(&s->batches, batch, link);
	batch->op = op;
	batch->room = room;
	batch->voluntary = plan->voluntary;
	batch->seen = roster_state(roster)->head;
	if (room != NULL)
		batch->room_id = room->id;
	roster_begin(roster);
	for (uint32_t i = 0; i < plan->count && why.err == CHAT_OK; i++) {
		why = add_event(s, batch, roster, &plan->drafts[i]);
		why.index = i;
	}
	if (why.err == CHAT_OK && plan->rekey)
		why = begin_rekey(s, batch, roster, plan);
	roster_rollback(roster);
	if (room == NULL)
		roster_free(roster);
	if (why.err != CHAT_OK) {
		batch_free(s, batch);
		if (why.err == CHAT_ERR_NOMEM)
			(void)session_check(s, CHAT_ERR_NOMEM);
		return why;
	}
	if (room != NULL)
		room->batch = batch;
	if (op != NULL) {
		op->waiting = true;
		op->tried = true;
	}
	*ret = batch;
	if (!plan->rekey)
		post(s, batch);
	return no_refusal;
}

/* ---- the rekey at its end ---- */

static enum chat_err
add_rekey(struct chat_session *s, struct batch *batch)
{
	struct event draft = {
	    .type = EVENT_REKEY,
	    .room_id = batch->room_id,
	    .actor = s->identity.member_id,
	    .after = batch->context.after,
	    .seen_seq = batch->seen.seq,
	    .seen_hash = batch->seen.L,
	    .time_ms = s->now.unix_ms,
	    .rekey =
		{
		    .epoch = batch->context.number,
		    .commitment = batch->commitment,
		    .wraps_hash = batch->wraps_hash,
		},
	};
	struct digest salt = epoch_salt(&batch->context);
	struct info_key info_key;
	struct buf box = {0};
	struct event event;
	enum chat_err err;

	info_key_derive(&batch->key, &salt, &info_key);
	err = info_box_seal(&info_key, &batch->room_id, batch->context.number, buf_bytes(&batch->info), &box);
	info_key_fini(&info_key);
	if (err == CHAT_OK) {
		draft.rekey.info_box = buf_bytes(&box);
		err = add_wire(batch, &draft, &s->identity.sign, &event);
	}
	if (err == CHAT_OK)
		batch->epoch_id = event.event_hash;
	buf_fini(&box);
	return err;
}

void
batch_wrapped(struct chat_session *s, struct work *work)
{
	struct refusal why;
	struct batch *batch;
	enum chat_err err = work->err;

	TAILQ_FOREACH (batch, &s->batches, link)
		if (batch->work_id == work->id && batch->state == BATCH_WRAPPING)
			break;
	if (batch == NULL)
		return; /* the connection it was for is gone */
	if (err == CHAT_OK) {
		batch->wraps = work->wrap.wraps;
		batch->wrap_count = work->wrap.count;
		batch->wraps_hash = work->wrap.wraps_hash;
		work->wrap.wraps = NULL;
		err = add_rekey(s, batch);
	}
	if (err == CHAT_ERR_NOMEM) {
		(void)session_check(s, err);
		return;
	}
	if (err != CHAT_OK) {
		why = refusal(
		    err, err == CHAT_ERR_RANGE ? "The name and the topic together are too long." : "");
		end_batch(s, batch, &why, 0);
		return;
	}
	if (batch->room != NULL)
		keys_remember(batch->room, &batch->epoch_id, &batch->key);
	batch->state = BATCH_READY;
	if (session_ready(s) && s->rooms_listed)
		post(s, batch);
}

/* ---- posting ---- */

static void
on_staged(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	/* What was wrong with it is said once more, by the refusal of the rekey. */
	(void)s;
	(void)call;
	(void)answer;
}

static void
stage(struct chat_session *s, struct batch *batch)
{
	Chat__V1__StageWraps request = CHAT__V1__STAGE_WRAPS__INIT;

	request.wraps_hash = wire_from_digest(&batch->wraps_hash);
	request.count = batch->wrap_count;
	for (uint32_t first = 0; first < batch->wrap_count; first += STAGE_CHUNK_WRAPS) {
		uint32_t n = batch->wrap_count - first;

		if (n > STAGE_CHUNK_WRAPS)
			n = STAGE_CHUNK_WRAPS;
		request.first = first;
		request.wraps =
		    wire_from_bytes(BYTES(batch->wraps + (size_t)first * WRAP_BYTES, (size_t)n * WRAP_BYTES));
		call_make(
		    s, CLIENT_FRAME(STAGE_WRAPS, stage_wraps, &request), on_staged, batch->room, batch, 0);
	}
}

static void
on_posted(struct chat_session *s, struct call *call, const Chat__V1__ServerFrame *answer)
{
	struct refusal why = refusal_of(answer);
	struct batch *batch = call->ctx;
	uint64_t first_seq = why.err == CHAT_OK ? answer->posted->first_seq : 0;

	if (why.err == CHAT_ERR_ALREADY && batch->room == NULL) {
		/* The same create: the answer to it was lost. */
		why = no_refusal;
		first_seq = 1;
	}
	end_batch(s, batch, &why, first_seq);
}

static void
post(struct chat_session *s, struct batch *batch)
{
	Chat__V1__PostEvents request = CHAT__V1__POST_EVENTS__INIT;
	ProtobufCBinaryData events[POST_EVENTS_MAX];
	size_t start = 0;

	batch->state = BATCH_POSTING;
	if (batch->rekeys)
		stage(s, batch);
	for (uint32_t i = 0; i < batch->count; i++) {
		events[i] = wire_from_bytes(BYTES(batch->wires.data + start, batch->ends[i] - start));
		start = batch->ends[i];
	}
	if (batch->room != NULL)
		request.room_id = wire_from_digest(&batch->room_id);
	request.event = events;
	request.n_event = batch->count;
	call_make(s, CLIENT_FRAME(POST_EVENTS, post_events, &request), on_posted, batch->room, batch, 0);
}

void
batch_repost(struct chat_session *s, struct batch *batch)
{
	assert(batch->room == NULL && batch->state == BATCH_READY);
	batch->op->waiting = true;
	post(s, batch);
}
