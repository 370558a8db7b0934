/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <string.h>

#include "group/epoch.h"
#include "group/event.h"
#include "group/loghash.h"
#include "group/seal.h"
#include "proto/wire.h"
#include "server/command.h"
#include "server/loop_thread.h"
#include "server/session.h"

/* ---- asking ---- */

static struct command *
room_command(struct conn *c, enum command_type type, const Chat__V1__ClientFrame *frame,
    ProtobufCBinaryData room_id, size_t body_len)
{
	struct command *cmd = session_command(c, type, frame, body_len);

	if (cmd != NULL && room_id.len > 0)
		cmd->room_id = wire_digest(room_id);
	return cmd;
}

/* A reader will answer it: of these few are under way at a time, for each may be 64 KiB. */
static void
post_read(struct conn *c, struct command *cmd)
{
	uint64_t id = cmd->request_id;

	if (!session_post(c, cmd))
		return;
	for (size_t i = 0; i < ANSWER_READS_PER_CONN; i++) {
		if (c->read_ids[i] == 0) {
			c->read_ids[i] = id;
			return;
		}
	}
	assert(false); /* conn_may_take() */
}

static void
put_epochs(struct command *cmd, const ProtobufCBinaryData *ids, size_t count)
{
	cmd->epochs.epoch_ids = (struct digest *)(void *)cmd->body;
	cmd->epochs.count = (uint32_t)count;
	for (size_t i = 0; i < count; i++)
		cmd->epochs.epoch_ids[i] = wire_digest(ids[i]);
}

void
session_get_rooms(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct bytes after = wire_bytes(frame->get_rooms->after);
	struct command *cmd = session_command(c, CMD_GET_ROOMS, frame, after.len);
	size_t at = 0;

	if (cmd == NULL)
		return;
	cmd->page.after = session_put(cmd, &at, after);
	session_post(c, cmd);
}

void
session_resume(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = room_command(c, CMD_RESUME, frame, frame->resume->room_id, 0);

	if (cmd == NULL)
		return;
	cmd->resume.next_seq = frame->resume->next_seq;
	cmd->resume.hash = wire_digest(frame->resume->hash);
	session_post(c, cmd);
}

void
session_get_history(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = room_command(c, CMD_GET_HISTORY, frame, frame->get_history->room_id, 0);

	if (cmd == NULL)
		return;
	cmd->history.before_seq = frame->get_history->before_seq;
	cmd->history.limit = frame->get_history->limit;
	post_read(c, cmd);
}

void
session_get_roster(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = room_command(c, CMD_GET_ROSTER, frame, frame->get_roster->room_id, 0);

	if (cmd == NULL)
		return;
	cmd->forward.from_seq = frame->get_roster->from_seq;
	post_read(c, cmd);
}

void
session_get_prefix(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = room_command(c, CMD_GET_PREFIX, frame, frame->get_prefix->room_id, 0);

	if (cmd == NULL)
		return;
	cmd->forward.from_seq = frame->get_prefix->from_seq;
	post_read(c, cmd);
}

void
session_get_wraps(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__GetWraps *request = frame->get_wraps;
	struct command *cmd = room_command(
	    c, CMD_GET_WRAPS, frame, request->room_id, request->n_epoch_id * sizeof(struct digest));

	if (cmd == NULL)
		return;
	put_epochs(cmd, request->epoch_id, request->n_epoch_id);
	post_read(c, cmd);
}

void
session_ask_rewrap(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__AskRewrap *request = frame->ask_rewrap;
	struct command *cmd = room_command(
	    c, CMD_ASK_REWRAP, frame, request->room_id, request->n_epoch_id * sizeof(struct digest));

	if (cmd == NULL)
		return;
	put_epochs(cmd, request->epoch_id, request->n_epoch_id);
	session_post(c, cmd);
}

void
session_set_cursor(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = room_command(c, CMD_SET_CURSOR, frame, frame->set_cursor->room_id, 0);

	if (cmd == NULL)
		return;
	cmd->cursor.seq = frame->set_cursor->seq;
	session_post(c, cmd);
}

/* ---- posting ---- */

void
session_stage_wraps(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__StageWraps *request = frame->stage_wraps;
	struct digest wraps_hash = wire_digest(request->wraps_hash);
	enum chat_err err;

	err = staging_put(&c->staging, &wraps_hash, request->count, request->first,
	    wire_bytes(request->wraps), loop_now(c->lt->loop).mono_ms + STAGED_TTL_MS);
	if (err == CHAT_OK)
		session_send_ok(c, frame->id);
	else if (err == CHAT_ERR_CONFLICT)
		session_send_error(
		    c, frame->id, CHAT_ERR_MALFORMED, "count is not what it was for these wraps before");
	else if (err == CHAT_ERR_BAD_WRAPS)
		session_send_error(c, frame->id, err, "The wraps are not those that wraps_hash names.");
	else
		session_send_busy(c, frame->id, STAGED_TTL_MS / 2);
	conn_touch(c);
}

/* The wraps that a rekey names go along with it, once, if they are all there. */
static enum chat_err
add_staged(struct conn *c, struct command *cmd, const struct digest *wraps_hash)
{
	struct wrap_set *set;
	enum chat_err err;

	for (set = cmd->events.staged; set != NULL; set = set->next)
		if (digest_equal(&set->wraps_hash, wraps_hash))
			return CHAT_OK;
	err = staging_copy(&c->staging, wraps_hash, &set);
	if (err != CHAT_OK)
		return err == CHAT_ERR_NOT_FOUND ? CHAT_OK : err;
	staging_use(&c->staging, wraps_hash, cmd->request_id);
	set->next = cmd->events.staged;
	cmd->events.staged = set;
	cmd->mail.bytes += set->count * WRAP_BYTES;
	return CHAT_OK;
}

static size_t
wire_bytes_of(const ProtobufCBinaryData *list, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += list[i].len;
	return bytes;
}

/*
 * An event that does not decode goes along as it is: which refusal comes first is the engine's to find.  The
 * key is this session's in any case: of another actor's event the rules say something else before they ask
 * for its signature.
 */
void
session_post_events(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PostEvents *request = frame->post_events;
	size_t at = request->n_event * sizeof(struct command_event);
	struct command *cmd = room_command(c, CMD_POST_EVENTS, frame, request->room_id,
	    at + wire_bytes_of(request->event, request->n_event));
	enum chat_err err = CHAT_OK;
	struct event event;

	if (cmd == NULL)
		return;
	cmd->events.events = (struct command_event *)(void *)cmd->body;
	cmd->events.count = (uint32_t)request->n_event;
	for (size_t i = 0; i < request->n_event && err == CHAT_OK; i++) {
		struct command_event *to = &cmd->events.events[i];

		to->wire = session_put(cmd, &at, wire_bytes(request->event[i]));
		to->signatures_good = false;
		if (event_decode(to->wire, &event) != CHAT_OK)
			continue;
		to->signatures_good = event_signatures_good(&event, c->ed_pk);
		if (event.type == EVENT_REKEY)
			err = add_staged(c, cmd, &event.rekey.wraps_hash);
	}
	if (err != CHAT_OK) {
		command_free(cmd);
		conn_drop(c, "nomem");
		return;
	}
	session_post_write(c, cmd);
}

void
session_post_message(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct bytes wire = wire_bytes(frame->post_message->message);
	struct message message;
	struct command *cmd;
	size_t at = 0;
	enum chat_err err;

	err = message_decode(wire, &message);
	if (err != CHAT_OK) {
		session_send_error(c, frame->id, err, NULL);
		return;
	}
	cmd = room_command(c, CMD_POST_MESSAGE, frame, frame->post_message->room_id, wire.len);
	if (cmd == NULL)
		return;
	cmd->message.wire = session_put(cmd, &at, wire);
	cmd->message.entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	session_post_write(c, cmd);
}

/* As of events: of another's re-wrap the rules say something else before they ask for its signature. */
void
session_post_rewraps(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PostRewraps *request = frame->post_rewraps;
	size_t at = request->n_rewrap * sizeof(struct command_event);
	struct command *cmd = room_command(c, CMD_POST_REWRAPS, frame, request->room_id,
	    at + wire_bytes_of(request->rewrap, request->n_rewrap));

	if (cmd == NULL)
		return;
	cmd->rewraps.rewraps = (struct command_event *)(void *)cmd->body;
	cmd->rewraps.count = (uint32_t)request->n_rewrap;
	for (size_t i = 0; i < request->n_rewrap; i++) {
		struct command_event *to = &cmd->rewraps.rewraps[i];
		struct rewrap rewrap;

		to->wire = session_put(cmd, &at, wire_bytes(request->rewrap[i]));
		to->signatures_good =
		    rewrap_decode(to->wire, &rewrap) == CHAT_OK && rewrap_signature_good(&rewrap, c->ed_pk);
	}
	session_post_write(c, cmd);
}

/* ---- healing ---- */

/* Anyone's entries: whose key it is has to be known for their signatures, so the engine looks at these. */
static bool
hash_offered(uint32_t kind, struct bytes wire, struct digest *ret)
{
	struct message message;
	struct event event;

	if (kind == ENTRY_EVENT && event_decode(wire, &event) == CHAT_OK) {
		*ret = log_entry_hash(ENTRY_EVENT, &event.event_hash, event.sig);
		return true;
	}
	if (kind == ENTRY_MESSAGE && message_decode(wire, &message) == CHAT_OK) {
		*ret = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
		return true;
	}
	return false;
}

void
session_offer_entries(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__OfferEntries *request = frame->offer_entries;
	size_t at = request->n_entry * sizeof(struct offered_entry), bytes = at;
	struct command *cmd;

	for (size_t i = 0; i < request->n_entry; i++)
		bytes += request->entry[i]->wire.len;
	cmd = room_command(c, CMD_OFFER_ENTRIES, frame, request->room_id, bytes);
	if (cmd == NULL)
		return;
	cmd->offer.entries = (struct offered_entry *)(void *)cmd->body;
	cmd->offer.count = (uint32_t)request->n_entry;
	for (size_t i = 0; i < request->n_entry; i++) {
		const Chat__V1__Entry *from = request->entry[i];
		struct offered_entry *to = &cmd->offer.entries[i];

		*to = (struct offered_entry){
		    .seq = from->seq, .server_time_ms = from->server_time_ms, .kind = (uint8_t)from->kind};
		to->wire = session_put(cmd, &at, wire_bytes(from->wire));
		if (!hash_offered(from->kind, to->wire, &to->entry_hash)) {
			command_free(cmd);
			session_send_error(c, frame->id, CHAT_ERR_MALFORMED, "an entry is not of its form");
			return;
		}
	}
	session_post_write(c, cmd);
}
