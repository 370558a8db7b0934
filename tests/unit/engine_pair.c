/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine_pair_priv.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "accounts/passwd_file.h"
#include "group/seal.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "server/frame_ref.h"
#include "server/wrap_list.h"

static struct pair_conn *
conn_of(struct pair *pair, struct conn_ref ref)
{
	struct pair_conn *conn = &pair->conns[ref.slot];

	assert_true(ref.slot < PAIR_PEERS);
	return conn->open && conn->ref.generation == ref.generation ? conn : NULL;
}

/* ---- to the client ---- */

/* Takes the frame over. */
static void
conn_put(struct pair *pair, struct pair_conn *conn, struct frame_ref *frame)
{
	assert_non_null(frame);
	if (pair->tamper == NULL || pair->tamper(pair, conn, &frame))
		assert_ok(buf_append(&conn->out, frame->data, frame->len));
	frame_ref_unref(frame);
}

static void
answer(struct pair *pair, struct pair_conn *conn, uint64_t id, Chat__V1__ServerFrame *frame)
{
	struct frame_ref *ref;
	size_t len;

	frame->id = id;
	len = frame_server_bytes(frame);
	ref = frame_ref_new(len);
	assert_non_null(ref);
	frame_server_put(frame, ref->data, len);
	conn_put(pair, conn, ref);
}

static void
answer_error(struct pair *pair, struct pair_conn *conn, uint64_t id, enum chat_err err, const char *text)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Error body = CHAT__V1__ERROR__INIT;

	body.code = error_to_wire(err);
	body.text = wire_from_str(text != NULL ? text : chat_strerror(err));
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
	frame.error = &body;
	answer(pair, conn, id, &frame);
}

static void
answer_busy(struct pair *pair, struct pair_conn *conn, uint64_t id)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Error body = CHAT__V1__ERROR__INIT;

	body.code = error_to_wire(CHAT_ERR_BUSY);
	body.retry_after_ms = 700;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
	frame.error = &body;
	answer(pair, conn, id, &frame);
}

static void
answer_ok(struct pair *pair, struct pair_conn *conn, uint64_t id)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Ok body = CHAT__V1__OK__INIT;

	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_OK;
	frame.ok = &body;
	answer(pair, conn, id, &frame);
}

/* ---- requests ---- */

void
pair_mail(struct pair *pair, struct command *cmd)
{
	struct pair_mail *item = calloc(1, sizeof *item);

	assert_non_null(item);
	assert_non_null(cmd);
	item->cmd = cmd;
	STAILQ_INSERT_TAIL(&pair->mailbox, item, link);
}

static struct bytes
put(struct command *cmd, size_t *at, struct bytes from)
{
	struct bytes to = BYTES(cmd->body + *at, from.len);

	assert_true(from.len <= cmd->body_len - *at);
	if (from.len > 0)
		memcpy(cmd->body + *at, from.data, from.len);
	*at += from.len;
	return to;
}

static struct command *
command(struct pair_conn *conn, enum command_type type, const Chat__V1__ClientFrame *frame, size_t body_len)
{
	return command_new(type, conn->ref, frame->id, body_len);
}

static struct command *
room_command(struct pair_conn *conn, enum command_type type, const Chat__V1__ClientFrame *frame,
    ProtobufCBinaryData room_id, size_t body_len)
{
	struct command *cmd = command(conn, type, frame, body_len);

	if (room_id.len > 0)
		cmd->room_id = wire_digest(room_id);
	return cmd;
}

struct pair_account *
pair_account_of(struct pair *pair, struct bytes name)
{
	for (size_t i = 0; i < PAIR_ACCOUNTS; i++)
		if (bytes_equal(BYTES_STR(pair->accounts[i].name), name))
			return &pair->accounts[i];
	return NULL;
}

static void
do_hello(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	Chat__V1__ServerFrame out = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__HelloOk body = CHAT__V1__HELLO_OK__INIT;
	Chat__V1__Limits limits = CHAT__V1__LIMITS__INIT;

	limits.text_bytes = MESSAGE_TEXT_MAX;
	limits.frame_bytes = FRAME_MAX_AFTER_LOGIN;
	limits.room_readers = ROOM_READERS_MAX;
	limits.rooms_per_account = ROOMS_PER_ACCOUNT;
	limits.requests_under_way = REQUESTS_UNDER_WAY;
	limits.idle_ms = IDLE_TIMEOUT_MS;
	body.version = PROTOCOL_VERSION;
	body.realm = wire_from_bytes(BYTES_ARRAY(store_realm(pair->w.store)->b));
	body.unix_ms = pair->w.now.unix_ms;
	body.limits = &limits;
	out.body_case = CHAT__V1__SERVER_FRAME__BODY_HELLO_OK;
	out.hello_ok = &body;
	conn->phase = PHASE_HELLO;
	answer(pair, conn, frame->id, &out);
}

static void
do_password(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	struct pair_account *account = pair_account_of(pair, wire_str(frame->password_login->account));
	struct command *cmd;
	size_t at = 0;

	pair->hashes++;
	if (pair->busy > 0) {
		pair->busy--;
		answer_busy(pair, conn, frame->id);
		return;
	}
	if (account == NULL || account->locked ||
	    !bytes_equal(BYTES_STR(account->password), wire_bytes(frame->password_login->password))) {
		answer_error(pair, conn, frame->id, CHAT_ERR_LOGIN_REFUSED, NULL);
		return;
	}
	conn->account = account;
	cmd = command(conn, CMD_PASSWORD_PROVED, frame, 128);
	cmd->password_proved.account = put(cmd, &at, BYTES_STR(account->name));
	cmd->password_proved.account_id = put(cmd, &at, BYTES_STR(account->id));
	cmd->password_proved.proof = account->proof;
	pair_mail(pair, cmd);
}

static void
do_key(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__KeyLogin *request = frame->key_login;
	struct pair_account *account = pair_account_of(pair, wire_str(request->account));
	struct login login = {
	    .binding_type = LOGIN_BINDING_TLS_EXPORTER,
	    .realm = *store_realm(pair->w.store),
	};
	struct command *cmd;
	size_t at = 0;

	assert_ok(account_name_set(wire_str(request->account), &login.account));
	login.member_id = member_id_of(&login.realm, &login.account, request->ed_pk.data);
	memcpy(login.binding, conn->binding, sizeof login.binding);
	if (account == NULL || account->locked ||
	    login_verify(request->ed_pk.data, &login, request->signature.data) != CHAT_OK) {
		answer_error(pair, conn, frame->id, CHAT_ERR_LOGIN_REFUSED, NULL);
		return;
	}
	conn->account = account;
	cmd = command(conn, CMD_KEY_PROVED, frame, 128);
	cmd->key_proved.account = put(cmd, &at, BYTES_STR(account->name));
	cmd->key_proved.account_id = put(cmd, &at, BYTES_STR(account->id));
	cmd->key_proved.addr = put(cmd, &at, BYTES_STR("pair"));
	cmd->key_proved.proof = account->proof;
	cmd->key_proved.member_id = login.member_id;
	pair_mail(pair, cmd);
}

static void
do_publish(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PublishIdentity *request = frame->publish_identity;
	struct command *cmd = command(conn, CMD_PUBLISH_IDENTITY, frame,
	    128 + request->card.len + request->bag.len + request->recovery.len);
	struct card card;
	size_t at = 0;

	assert_ok(card_decode_verify(wire_bytes(request->card), &card));
	cmd->publish_identity.account = put(cmd, &at, BYTES_STR(conn->account->name));
	cmd->publish_identity.account_id = put(cmd, &at, BYTES_STR(conn->account->id));
	cmd->publish_identity.proof = conn->account->proof;
	cmd->publish_identity.card = put(cmd, &at, wire_bytes(request->card));
	cmd->publish_identity.bag = put(cmd, &at, wire_bytes(request->bag));
	cmd->publish_identity.recovery = put(cmd, &at, wire_bytes(request->recovery));
	pair_mail(pair, cmd);
}

/* In these tests the password file is a list in memory. */
static void
do_change_password(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__ChangePassword *request = frame->change_password;
	struct command *cmd;
	size_t at = 0;

	pair->hashes++;
	if (!bytes_equal(BYTES_STR(conn->account->password), wire_bytes(request->old_password))) {
		answer_error(pair, conn, frame->id, CHAT_ERR_LOGIN_REFUSED, NULL);
		return;
	}
	conn->account->password = "changed";
	assert_true(bytes_equal(BYTES_STR("changed"), wire_bytes(request->new_password)));
	conn->account->proof.b[0]++;
	cmd = command(conn, CMD_PASSWORD_CHANGED, frame, 128);
	cmd->password_changed.account = put(cmd, &at, BYTES_STR(conn->account->name));
	cmd->password_changed.account_id = put(cmd, &at, BYTES_STR(conn->account->id));
	cmd->password_changed.proof = conn->account->proof;
	pair_mail(pair, cmd);
}

static void
do_stage(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__StageWraps *request = frame->stage_wraps;
	struct digest wraps_hash = wire_digest(request->wraps_hash);
	enum chat_err err = staging_put(&conn->staging, &wraps_hash, request->count, request->first,
	    wire_bytes(request->wraps), pair->w.now.mono_ms + STAGED_TTL_MS);

	if (err == CHAT_OK)
		answer_ok(pair, conn, frame->id);
	else
		answer_error(pair, conn, frame->id, err, NULL);
}

static void
add_staged(struct pair_conn *conn, struct command *cmd, const struct digest *wraps_hash)
{
	struct wrap_set *set;

	if (staging_copy(&conn->staging, wraps_hash, &set) != CHAT_OK)
		return;
	set->next = cmd->events.staged;
	cmd->events.staged = set;
}

static size_t
bytes_in(const ProtobufCBinaryData *list, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += list[i].len;
	return n;
}

static void
do_post_events(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PostEvents *request = frame->post_events;
	size_t at = request->n_event * sizeof(struct command_event);
	struct command *cmd = room_command(
	    conn, CMD_POST_EVENTS, frame, request->room_id, at + bytes_in(request->event, request->n_event));
	struct event event;

	cmd->events.events = (struct command_event *)(void *)cmd->body;
	cmd->events.count = (uint32_t)request->n_event;
	for (size_t i = 0; i < request->n_event; i++) {
		struct command_event *to = &cmd->events.events[i];

		to->wire = put(cmd, &at, wire_bytes(request->event[i]));
		assert_ok(event_decode(to->wire, &event));
		to->signatures_good = event_signatures_good(&event, conn->ed_pk);
		assert_true(to->signatures_good);
		if (event.type == EVENT_REKEY)
			add_staged(conn, cmd, &event.rekey.wraps_hash);
	}
	pair_mail(pair, cmd);
}

static void
do_post_message(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	struct bytes wire = wire_bytes(frame->post_message->message);
	struct command *cmd =
	    room_command(conn, CMD_POST_MESSAGE, frame, frame->post_message->room_id, wire.len);
	struct message message;
	size_t at = 0;

	assert_ok(message_decode(wire, &message));
	cmd->message.wire = put(cmd, &at, wire);
	cmd->message.entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	pair_mail(pair, cmd);
}

static void
do_post_rewraps(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PostRewraps *request = frame->post_rewraps;
	size_t at = request->n_rewrap * sizeof(struct command_event);
	struct command *cmd = room_command(conn, CMD_POST_REWRAPS, frame, request->room_id,
	    at + bytes_in(request->rewrap, request->n_rewrap));

	cmd->rewraps.rewraps = (struct command_event *)(void *)cmd->body;
	cmd->rewraps.count = (uint32_t)request->n_rewrap;
	for (size_t i = 0; i < request->n_rewrap; i++) {
		struct command_event *to = &cmd->rewraps.rewraps[i];
		struct rewrap rewrap;

		to->wire = put(cmd, &at, wire_bytes(request->rewrap[i]));
		assert_ok(rewrap_decode(to->wire, &rewrap));
		to->signatures_good = rewrap_signature_good(&rewrap, conn->ed_pk);
		assert_true(to->signatures_good);
	}
	pair_mail(pair, cmd);
}

static void
do_epochs(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame,
    enum command_type type, ProtobufCBinaryData room_id, const ProtobufCBinaryData *ids, size_t count)
{
	struct command *cmd = room_command(conn, type, frame, room_id, count * sizeof(struct digest));

	cmd->epochs.epoch_ids = (struct digest *)(void *)cmd->body;
	cmd->epochs.count = (uint32_t)count;
	for (size_t i = 0; i < count; i++)
		cmd->epochs.epoch_ids[i] = wire_digest(ids[i]);
	pair_mail(pair, cmd);
}

static void
do_page(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame, enum command_type type,
    struct bytes after)
{
	struct command *cmd = command(conn, type, frame, after.len + 1);
	size_t at = 0;

	cmd->page.after = put(cmd, &at, after);
	pair_mail(pair, cmd);
}

static void
do_get_card(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	struct bytes name = wire_str(frame->get_card->account);
	struct command *cmd = command(conn, CMD_GET_CARD, frame, name.len);
	size_t at = 0;

	cmd->get_card.account = put(cmd, &at, name);
	cmd->get_card.watch = frame->get_card->watch;
	pair_mail(pair, cmd);
}

static void
do_get_bag(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = command(conn, CMD_GET_BAG, frame, 128);
	size_t at = 0;

	cmd->account.account = put(cmd, &at, BYTES_STR(conn->account->name));
	pair_mail(pair, cmd);
}

static void
do_ping(struct pair *pair, struct pair_conn *conn, const Chat__V1__ClientFrame *frame)
{
	Chat__V1__ServerFrame out = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Pong body = CHAT__V1__PONG__INIT;

	out.body_case = CHAT__V1__SERVER_FRAME__BODY_PONG;
	out.pong = &body;
	answer(pair, conn, frame->id, &out);
}

static void
do_room_request(
    struct pair *pair, struct pair_conn *conn, enum request_type type, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = NULL;

	if (type == REQUEST_RESUME) {
		cmd = room_command(conn, CMD_RESUME, frame, frame->resume->room_id, 0);
		cmd->resume.next_seq = frame->resume->next_seq;
		cmd->resume.hash = wire_digest(frame->resume->hash);
	} else if (type == REQUEST_GET_HISTORY) {
		cmd = room_command(conn, CMD_GET_HISTORY, frame, frame->get_history->room_id, 0);
		cmd->history.before_seq = frame->get_history->before_seq;
		cmd->history.limit = frame->get_history->limit;
	} else if (type == REQUEST_GET_ROSTER) {
		cmd = room_command(conn, CMD_GET_ROSTER, frame, frame->get_roster->room_id, 0);
		cmd->forward.from_seq = frame->get_roster->from_seq;
	} else if (type == REQUEST_GET_PREFIX) {
		cmd = room_command(conn, CMD_GET_PREFIX, frame, frame->get_prefix->room_id, 0);
		cmd->forward.from_seq = frame->get_prefix->from_seq;
	} else if (type == REQUEST_SET_CURSOR) {
		cmd = room_command(conn, CMD_SET_CURSOR, frame, frame->set_cursor->room_id, 0);
		cmd->cursor.seq = frame->set_cursor->seq;
	} else
		fail_msg("a request of a type that clients do not use: %s", request_table[type].name);
	pair_mail(pair, cmd);
}

static void
do_request(
    struct pair *pair, struct pair_conn *conn, enum request_type type, const Chat__V1__ClientFrame *frame)
{
	if (type == REQUEST_HELLO)
		do_hello(pair, conn, frame);
	else if (type == REQUEST_PASSWORD_LOGIN)
		do_password(pair, conn, frame);
	else if (type == REQUEST_KEY_LOGIN)
		do_key(pair, conn, frame);
	else if (type == REQUEST_PUBLISH_IDENTITY)
		do_publish(pair, conn, frame);
	else if (type == REQUEST_GET_BAG)
		do_get_bag(pair, conn, frame);
	else if (type == REQUEST_GET_CARD)
		do_get_card(pair, conn, frame);
	else if (type == REQUEST_CHANGE_PASSWORD)
		do_change_password(pair, conn, frame);
	else if (type == REQUEST_WHO)
		do_page(pair, conn, frame, CMD_WHO, wire_str(frame->who->after));
	else if (type == REQUEST_PING)
		do_ping(pair, conn, frame);
	else if (type == REQUEST_GET_ROOMS)
		do_page(pair, conn, frame, CMD_GET_ROOMS, wire_bytes(frame->get_rooms->after));
	else if (type == REQUEST_GET_WRAPS)
		do_epochs(pair, conn, frame, CMD_GET_WRAPS, frame->get_wraps->room_id,
		    frame->get_wraps->epoch_id, frame->get_wraps->n_epoch_id);
	else if (type == REQUEST_ASK_REWRAP)
		do_epochs(pair, conn, frame, CMD_ASK_REWRAP, frame->ask_rewrap->room_id,
		    frame->ask_rewrap->epoch_id, frame->ask_rewrap->n_epoch_id);
	else if (type == REQUEST_STAGE_WRAPS)
		do_stage(pair, conn, frame);
	else if (type == REQUEST_POST_EVENTS)
		do_post_events(pair, conn, frame);
	else if (type == REQUEST_POST_MESSAGE)
		do_post_message(pair, conn, frame);
	else if (type == REQUEST_POST_REWRAPS)
		do_post_rewraps(pair, conn, frame);
	else
		do_room_request(pair, conn, type, frame);
}

/* One frame of what has come, if it is whole. */
bool
pair_take_request(struct pair *pair, struct pair_conn *conn)
{
	const Chat__V1__ClientFrame *frame;
	struct request_fault fault;
	enum request_type type;
	struct arena arena;
	struct bytes body;
	size_t n;

	if (frame_split(buf_bytes(&conn->in), FRAME_MAX_AFTER_LOGIN, &body, &n) != CHAT_OK)
		return false;
	frame_arena_init(&arena);
	assert_ok(frame_decode_client(body, &arena, &frame));
	if (requests_check(frame, conn->phase, body.len, &type, &fault) != CHAT_OK)
		fail_msg("a client's request is refused: %s", fault.text);
	pair->requests[type]++;
	do_request(pair, conn, type, frame);
	arena_fini(&arena);
	if (conn->open)
		buf_drop(&conn->in, n);
	return true;
}

/* ---- subscriptions ---- */

static struct pair_sub *
find_sub(struct pair_conn *conn, uint64_t room_no)
{
	for (size_t i = 0; i < PAIR_SUBS; i++)
		if (conn->subs[i].used && conn->subs[i].room_no == room_no)
			return &conn->subs[i];
	return NULL;
}

static void
end_sub(struct pair_sub *sub)
{
	view_unref(sub->view);
	*sub = (struct pair_sub){0};
}

static void
settle_sub(struct pair *pair, struct pair_conn *conn, struct pair_sub *sub)
{
	struct pair_read *read;
	uint64_t from, to;

	if (delivery_is_over(&sub->delivery)) {
		end_sub(sub);
		return;
	}
	if (!delivery_wants_read(&sub->delivery, conn->out.len < pair->live_limit, &from, &to))
		return;
	read = calloc(1, sizeof *read);
	assert_non_null(read);
	read->request = calloc(1, sizeof *read->request);
	assert_non_null(read->request);
	*read->request = (struct read_request){
	    .kind = READ_RANGE,
	    .conn = conn->ref,
	    .room_id = sub->room_id,
	    .room_no = sub->room_no,
	    .member_id = conn->member_id,
	    .view = view_ref(sub->view),
	    .from_seq = from,
	    .to_seq = to,
	};
	delivery_read_started(&sub->delivery);
	STAILQ_INSERT_TAIL(&pair->reads, read, link);
}

static void
start_sub(struct pair *pair, struct pair_conn *conn, struct outcome *out)
{
	struct pair_sub *sub = find_sub(conn, out->subscribed.room_no);
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	Chat__V1__Resumed body = CHAT__V1__RESUMED__INIT;

	body.head_seq = out->subscribed.head_seq;
	body.head_hash = wire_from_digest(&out->subscribed.head_hash);
	body.oldest_whole_seq = out->subscribed.oldest_whole_seq;
	frame.body_case = CHAT__V1__SERVER_FRAME__BODY_RESUMED;
	frame.resumed = &body;
	answer(pair, conn, out->request_id, &frame);
	if (sub != NULL)
		end_sub(sub);
	for (sub = conn->subs; sub->used; sub++)
		assert_true(sub < &conn->subs[PAIR_SUBS - 1]);
	sub->used = true;
	sub->room_no = out->subscribed.room_no;
	sub->room_id = out->subscribed.room_id;
	sub->view = out->subscribed.view;
	out->subscribed.view = NULL;
	delivery_init(&sub->delivery, out->subscribed.next_seq, out->subscribed.head_seq);
	settle_sub(pair, conn, sub);
}

static void
offer(struct pair *pair, struct pair_conn *conn, struct pair_sub *sub, const struct entry_frames *entry)
{
	struct frame_ref *frame =
	    entry->event || view_allows(sub->view, entry->seq) ? entry->whole : entry->stub;
	const uint8_t *wrap;

	if (frame == NULL) {
		delivery_head_moved(&sub->delivery, entry->seq);
		return;
	}
	if (delivery_offer_live(&sub->delivery, entry->seq, conn->out.len < pair->live_limit) !=
	    DELIVERY_SEND)
		return;
	wrap = entry->wraps != NULL ? wrap_list_find(entry->wraps, &conn->member_id) : NULL;
	if (wrap != NULL) {
		struct frame_ref *push = frame_ref_new(FRAME_WRAP_PUSH_BYTES);

		frame_wrap_push_put(&entry->wraps->room_id, &entry->wraps->epoch_id, wrap, push->data);
		conn_put(pair, conn, push);
	}
	conn_put(pair, conn, frame_ref_ref(frame));
}

static void
new_entries(struct pair *pair, const struct outcome *out)
{
	for (size_t i = 0; i < PAIR_PEERS; i++) {
		struct pair_conn *conn = &pair->conns[i];
		struct pair_sub *sub;

		if (!conn->open || conn->ref.loop != out->entries.loop)
			continue;
		sub = find_sub(conn, out->entries.room_no);
		for (uint32_t k = 0; sub != NULL && k < out->entries.count; k++)
			offer(pair, conn, sub, &out->entries.frames[k]);
		if (sub != NULL)
			settle_sub(pair, conn, sub);
	}
}

/* ---- reads ---- */

static void
range_read_done(struct pair *pair, struct pair_conn *conn, struct read_result *result)
{
	struct pair_sub *sub = find_sub(conn, result->room_no);
	uint32_t count = 0;

	if (sub == NULL || !sub->delivery.read_underway)
		return;
	while (count < result->count &&
	       delivery_offer_read(&sub->delivery, result->first_seq + count) == DELIVERY_SEND)
		count++;
	delivery_read_done(&sub->delivery);
	if (count > 0) {
		/* A frame at a time, as tampering wants them. */
		struct bytes all = BYTES(result->frames->data, result->ends[count - 1]), body;
		size_t n;

		while (all.len > 0) {
			struct frame_ref *one;

			assert_ok(frame_split(all, FRAME_MAX_AFTER_LOGIN, &body, &n));
			one = frame_ref_new(n);
			memcpy(one->data, all.data, n);
			conn_put(pair, conn, one);
			all = BYTES(all.data + n, all.len - n);
		}
	}
	settle_sub(pair, conn, sub);
}

void
pair_run_read(struct pair *pair)
{
	struct pair_read *read = STAILQ_FIRST(&pair->reads);
	struct pair_conn *conn = conn_of(pair, read->request->conn);
	struct read_result *result;

	STAILQ_REMOVE_HEAD(&pair->reads, link);
	result = read_run(pair->reader, read->request, &pair->scratch);
	assert_non_null(result);
	assert_ok(result->err);
	if (conn != NULL && result->kind == READ_RANGE)
		range_read_done(pair, conn, result);
	else if (conn != NULL) {
		conn_put(pair, conn, result->frames);
		result->frames = NULL;
	}
	read_result_free(result);
	read_request_free(read->request);
	free(read);
}

/* ---- outcomes ---- */

void
pair_conn_close(struct pair *pair, struct pair_conn *conn)
{
	if (!conn->open)
		return;
	pair_mail(pair, command_new(CMD_SESSION_CLOSE, conn->ref, 0, 0));
	for (size_t i = 0; i < PAIR_SUBS; i++)
		if (conn->subs[i].used)
			end_sub(&conn->subs[i]);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	staging_fini(&conn->staging);
	*conn = (struct pair_conn){0};
}

void
pair_conn_drained(struct pair *pair, struct pair_conn *conn)
{
	for (size_t i = 0; i < PAIR_SUBS; i++)
		if (conn->subs[i].used)
			settle_sub(pair, conn, &conn->subs[i]);
}

static void
take_outcome(struct pair *pair, struct outcome *out)
{
	Chat__V1__ServerFrame frame = CHAT__V1__SERVER_FRAME__INIT;
	struct pair_conn *conn;
	struct pair_sub *sub;

	if (out->type == OUT_ENTRIES) {
		new_entries(pair, out);
		return;
	}
	if (out->type == OUT_READ) {
		struct pair_read *read = calloc(1, sizeof *read);

		assert_non_null(read);
		read->request = out->read;
		out->read = NULL;
		STAILQ_INSERT_TAIL(&pair->reads, read, link);
		return;
	}
	conn = conn_of(pair, out->to);
	if (conn == NULL)
		return;
	switch (out->type) {
	case OUT_ERROR: {
		Chat__V1__Error body = CHAT__V1__ERROR__INIT;

		body.code = error_to_wire(out->error.err);
		body.text = wire_from_str(out->error.text);
		body.mend = wire_from_str(out->error.mend);
		body.index = out->error.index;
		if (out->error.has_current)
			body.current = wire_from_digest(&out->error.current);
		body.retry_after_ms = out->error.retry_after_ms;
		body.number = out->error.number;
		frame.body_case = CHAT__V1__SERVER_FRAME__BODY_ERROR;
		frame.error = &body;
		answer(pair, conn, out->request_id, &frame);
		break;
	}
	case OUT_OK:
		answer_ok(pair, conn, out->request_id);
		break;
	case OUT_POSTED: {
		Chat__V1__Posted body = CHAT__V1__POSTED__INIT;

		body.first_seq = out->posted.first_seq;
		body.count = out->posted.count;
		body.server_time_ms = out->posted.server_time_ms;
		body.hash = wire_from_digest(&out->posted.hash);
		frame.body_case = CHAT__V1__SERVER_FRAME__BODY_POSTED;
		frame.posted = &body;
		answer(pair, conn, out->request_id, &frame);
		break;
	}
	case OUT_FRAME:
		conn_put(pair, conn, frame_ref_ref(out->frame));
		break;
	case OUT_PASSWORD_OK: {
		Chat__V1__PasswordOk body = CHAT__V1__PASSWORD_OK__INIT;

		body.has_identity = out->password_ok.has_identity;
		body.has_recovery = out->password_ok.has_recovery;
		body.card = wire_from_bytes(out->password_ok.card);
		frame.body_case = CHAT__V1__SERVER_FRAME__BODY_PASSWORD_OK;
		frame.password_ok = &body;
		conn->phase = PHASE_PASSWORD;
		answer(pair, conn, out->request_id, &frame);
		break;
	}
	case OUT_LOGIN_OK: {
		Chat__V1__LoginOk body = CHAT__V1__LOGIN_OK__INIT;

		body.card = wire_from_bytes(out->login_ok.card);
		body.bag_version = out->login_ok.bag_version;
		body.sessions = out->login_ok.sessions;
		frame.body_case = CHAT__V1__SERVER_FRAME__BODY_LOGIN_OK;
		frame.login_ok = &body;
		conn->phase = PHASE_READY;
		conn->member_id = out->login_ok.member_id;
		memcpy(conn->ed_pk, out->login_ok.ed_pk, sizeof conn->ed_pk);
		answer(pair, conn, out->request_id, &frame);
		break;
	}
	case OUT_SUBSCRIBED:
		start_sub(pair, conn, out);
		break;
	case OUT_VIEW:
		sub = find_sub(conn, out->view.room_no);
		if (sub != NULL) {
			view_unref(sub->view);
			sub->view = out->view.view;
			out->view.view = NULL;
		}
		break;
	case OUT_END:
		sub = find_sub(conn, out->end.room_no);
		if (sub != NULL) {
			delivery_end(&sub->delivery, out->end.end_seq);
			settle_sub(pair, conn, sub);
		}
		break;
	case OUT_CLOSE: {
		Chat__V1__Goodbye body = CHAT__V1__GOODBYE__INIT;

		body.reason = error_to_wire(out->close.reason);
		frame.body_case = CHAT__V1__SERVER_FRAME__BODY_GOODBYE;
		frame.goodbye = &body;
		answer(pair, conn, 0, &frame);
		break;
	}
	case OUT_READ:
	case OUT_ENTRIES:
	case OUT_STATUS:
		break;
	}
}

void
pair_take_turn(struct pair *pair, size_t count)
{
	struct outcome *out;

	engine_turn_begin(pair->w.engine, pair->w.now);
	while (count-- > 0 && !STAILQ_EMPTY(&pair->mailbox)) {
		struct pair_mail *item = STAILQ_FIRST(&pair->mailbox);

		STAILQ_REMOVE_HEAD(&pair->mailbox, link);
		engine_apply(pair->w.engine, item->cmd);
		free(item);
	}
	out = engine_turn_commit(pair->w.engine);
	for (struct outcome *at = out; at != NULL; at = at->next)
		take_outcome(pair, at);
	outcome_list_free(out);
}

/* ---- lies ---- */

const Chat__V1__ServerFrame *
tamper_decode(struct arena *arena, const struct frame_ref *frame)
{
	const Chat__V1__ServerFrame *decoded;

	frame_arena_init(arena);
	assert_ok(frame_decode_server(
	    BYTES(frame->data + FRAME_HEADER_BYTES, frame->len - FRAME_HEADER_BYTES), arena, &decoded));
	return decoded;
}

void
tamper_replace(struct frame_ref **frame, const Chat__V1__ServerFrame *with)
{
	size_t len = frame_server_bytes(with);
	struct frame_ref *other = frame_ref_new(len);

	assert_non_null(other);
	frame_server_put(with, other->data, len);
	frame_ref_unref(*frame);
	*frame = other;
}

struct peer *
tamper_peer(struct pair *pair, const struct pair_conn *conn)
{
	return &pair->peers[conn - pair->conns];
}

/* ---- the pair ---- */

#define ANY_HASH                                                                                             \
	"$6$saltsaltsaltsalt$"                                                                               \
	"qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

void
pair_accounts(struct pair *pair)
{
	struct command *cmd = command_new(CMD_ACCOUNTS, (struct conn_ref){0}, 0, 0);
	struct passwd_why why = {0};
	struct buf text = {0};

	for (size_t i = 0; i < PAIR_ACCOUNTS; i++)
		assert_ok(buf_printf(&text, "%s:%s:%sid=%s\n", pair->accounts[i].name, ANY_HASH,
		    pair->accounts[i].locked ? "locked," : "", pair->accounts[i].id));
	if (passwd_table_parse(buf_bytes(&text), "passwd", &cmd->accounts.table, &why) != CHAT_OK)
		fail_msg("%s", why.text);
	buf_fini(&text);
	pair_mail(pair, cmd);
}

static void
open_reader(struct pair *pair)
{
	assert_ok(store_reader_open(pair->w.store, &pair->reader));
}

void
pair_start(struct pair *pair, uint64_t seed)
{
	static const char *const names[] = {"alice", "bob", "carol", "dave"};

	*pair = (struct pair){.seed = seed, .live_limit = 256 * 1024};
	STAILQ_INIT(&pair->mailbox);
	STAILQ_INIT(&pair->reads);
	world_start(&pair->w, seed, NULL);
	assert_ok(read_scratch_init(&pair->scratch));
	open_reader(pair);
	for (size_t i = 0; i < PAIR_ACCOUNTS; i++) {
		pair->accounts[i].name = names[i];
		pair->accounts[i].password = "open sesame";
		snprintf(pair->accounts[i].id, sizeof pair->accounts[i].id, "%016zx", i + 1);
	}
	pair_accounts(pair);
	pair_take_turn(pair, 1);
}

static void
drop_server_work(struct pair *pair)
{
	while (!STAILQ_EMPTY(&pair->reads))
		pair_run_read(pair);
	while (!STAILQ_EMPTY(&pair->mailbox))
		pair_take_turn(pair, 64);
}

static void
stop_server(struct pair *pair)
{
	for (size_t i = 0; i < pair->peer_count; i++)
		peer_cut(&pair->peers[i]);
	drop_server_work(pair);
	store_reader_close(pair->reader);
}

static void
start_server(struct pair *pair)
{
	open_reader(pair);
	pair_accounts(pair);
	pair_take_turn(pair, 1);
}

void
pair_restart_server(struct pair *pair)
{
	stop_server(pair);
	world_restart(&pair->w);
	start_server(pair);
}

static void
path_of(const struct pair *pair, const char *name, char ret[static 600])
{
	snprintf(ret, 600, "%s/%s", pair->w.dir, name);
}

void
pair_backup(struct pair *pair)
{
	char path[600];

	path_of(pair, "backup.db", path);
	assert_ok(store_reader_backup(pair->reader, path));
}

void
pair_restore(struct pair *pair)
{
	char error[STORE_ERROR_BYTES], from[600], to[600], wal[600];

	stop_server(pair);
	engine_free(pair->w.engine);
	store_close(pair->w.store);
	path_of(pair, "backup.db", from);
	path_of(pair, "chat.db", to);
	path_of(pair, "chat.db-wal", wal);
	(void)unlink(wal);
	assert_int_equal(rename(from, to), 0);
	assert_ok(store_open(to, &(const struct store_options){0}, &pair->w.store, error));
	assert_ok(engine_new(&pair->w.config, pair->w.store, &pair->w.engine));
	start_server(pair);
}

void
pair_end(struct pair *pair)
{
	for (size_t i = 0; i < pair->peer_count; i++) {
		struct peer *peer = &pair->peers[i];

		peer_cut(peer);
		session_free(peer->s);
		peer_drop_works(peer);
		storage_memory_free(peer->st);
		free(peer->told);
	}
	drop_server_work(pair);
	read_scratch_fini(&pair->scratch);
	store_reader_close(pair->reader);
	world_end(&pair->w);
}
