/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server_rig.h"

#include <poll.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/wire.h"
#include "tls/tls.h"

#define PATIENCE_MS 30000

/* ---- a peer's connection ---- */

/* False: nothing for so long. */
static bool
wait_for(struct peer *peer, short events, int timeout_ms)
{
	struct pollfd pfd = {.fd = peer->fd, .events = events};
	uint64_t end_ms = clock_mono_ms() + (uint64_t)timeout_ms;

	if (peer->turn == NULL)
		return poll(&pfd, 1, timeout_ms) > 0;
	do {
		peer->turn(peer);
		if (poll(&pfd, 1, 0) > 0)
			return true;
	} while (clock_mono_ms() < end_ms);
	return false;
}

static void
wait_patiently(struct peer *peer, enum tls_result result)
{
	if (!wait_for(peer, result == TLS_WANT_WRITE ? POLLOUT : POLLIN, PATIENCE_MS))
		fail_msg("the server is silent");
}

void
peer_start(struct peer *peer, int fd)
{
	struct tls_transport transport = tls_transport_fd(fd);
	enum tls_result result;

	*peer = (struct peer){
	    .rig = peer->rig, .turn = peer->turn, .on_push = peer->on_push, .ctx = peer->ctx, .fd = fd};
	frame_arena_init(&peer->arena);
	assert_ok(tls_client_new(&transport, NULL, &peer->tls));
	while ((result = tls_handshake(peer->tls)) != TLS_OK) {
		assert_true(result == TLS_WANT_READ || result == TLS_WANT_WRITE);
		wait_patiently(peer, result);
	}
	tls_trust_peer(peer->tls);
}

void
peer_open(struct rig *rig, struct peer *peer, uint8_t last)
{
	peer->rig = rig;
	peer_start(peer, rig_connect_raw(rig, last));
}

void
peer_close(struct peer *peer)
{
	tls_conn_free(peer->tls);
	close(peer->fd);
	buf_fini(&peer->in);
	arena_fini(&peer->arena);
}

void
peer_send_bytes(struct peer *peer, const void *from, size_t n)
{
	const uint8_t *at = from;
	size_t accepted;
	enum tls_result result;

	while (n > 0 && !peer->ended) {
		accepted = n;
		result = tls_write(peer->tls, at, n, &accepted);
		if (result == TLS_CLOSED || result == TLS_FAILED) {
			peer->ended = true;
			return;
		}
		at += accepted;
		n -= accepted;
		if (result == TLS_WANT_WRITE)
			wait_patiently(peer, result);
	}
	while (!peer->ended && tls_has_unsent(peer->tls) && tls_flush(peer->tls) == TLS_WANT_WRITE)
		wait_patiently(peer, TLS_WANT_WRITE);
}

uint64_t
peer_send(struct peer *peer, Chat__V1__ClientFrame *frame)
{
	struct buf out = {0};

	frame->id = ++peer->next_id;
	assert_ok(frame_encode_client(frame, &out));
	peer_send_bytes(peer, out.data, out.len);
	buf_fini(&out);
	return frame->id;
}

/* The frame at the front of what has come; NULL: not all of it is there. */
static const Chat__V1__ServerFrame *
take_frame(struct peer *peer)
{
	const Chat__V1__ServerFrame *frame;
	struct bytes body;
	size_t n;

	if (frame_split(buf_bytes(&peer->in), FRAME_MAX_AFTER_LOGIN, &body, &n) != CHAT_OK)
		return NULL;
	arena_reset(&peer->arena);
	assert_ok(frame_decode_server(body, &peer->arena, &frame));
	buf_drop(&peer->in, n);
	return frame;
}

const Chat__V1__ServerFrame *
peer_next_within(struct peer *peer, int timeout_ms)
{
	const Chat__V1__ServerFrame *frame;
	uint8_t chunk[16384];
	size_t n;

	while ((frame = take_frame(peer)) == NULL && !peer->ended) {
		enum tls_result result = tls_read(peer->tls, chunk, sizeof chunk, &n);

		if (result == TLS_OK) {
			assert_ok(buf_append(&peer->in, chunk, n));
		} else if (result == TLS_WANT_READ || result == TLS_WANT_WRITE) {
			if (!wait_for(peer, result == TLS_WANT_WRITE ? POLLOUT : POLLIN, timeout_ms))
				return NULL;
		} else {
			peer->ended = true;
			peer->clean_end = tls_failure(peer->tls) == TLS_FAILURE_GOODBYE;
		}
	}
	return frame;
}

const Chat__V1__ServerFrame *
peer_next(struct peer *peer)
{
	const Chat__V1__ServerFrame *frame = peer_next_within(peer, PATIENCE_MS);

	if (frame == NULL && !peer->ended)
		fail_msg("the server is silent");
	return frame;
}

const Chat__V1__ServerFrame *
peer_answer(struct peer *peer, uint64_t id)
{
	const Chat__V1__ServerFrame *frame;

	while ((frame = peer_next(peer)) != NULL) {
		if (frame->id == id)
			return frame;
		if (frame->id == 0 && peer->on_push != NULL)
			peer->on_push(peer, frame);
	}
	return NULL;
}

const Chat__V1__ServerFrame *
peer_expect_at(
    struct peer *peer, uint64_t id, Chat__V1__ServerFrame__BodyCase body_case, const char *file, int line)
{
	const Chat__V1__ServerFrame *frame = peer_answer(peer, id);

	if (frame == NULL || frame->body_case != body_case) {
		print_error("answer %d instead of %d: %s\n", frame == NULL ? -1 : (int)frame->body_case,
		    (int)body_case,
		    frame != NULL && frame->body_case == CHAT__V1__SERVER_FRAME__BODY_ERROR
			? frame->error->text
			: "");
		_fail(file, line);
	}
	return frame;
}

const Chat__V1__Error *
peer_refused_at(struct peer *peer, uint64_t id, enum chat_err err, const char *file, int line)
{
	const Chat__V1__ServerFrame *frame =
	    peer_expect_at(peer, id, CHAT__V1__SERVER_FRAME__BODY_ERROR, file, line);

	unit_assert_err(error_from_wire(frame->error->code), err, frame->error->text, file, line);
	return frame->error;
}

void
peer_expect_goodbye_at(struct peer *peer, enum chat_err err, const char *file, int line)
{
	const Chat__V1__ServerFrame *frame;

	while ((frame = peer_next(peer)) != NULL && frame->body_case != CHAT__V1__SERVER_FRAME__BODY_GOODBYE)
		;
	if (frame == NULL) {
		print_error("no goodbye\n");
		_fail(file, line);
		return;
	}
	unit_assert_err(error_from_wire(frame->goodbye->reason), err, frame->goodbye->text, file, line);
	if (peer_next(peer) != NULL || !peer->clean_end) {
		print_error("goodbye, but no proper end\n");
		_fail(file, line);
	}
}

/* ---- requests ---- */

#define FRAME(request, CASE, Type, INIT)                                                                     \
	Chat__V1__ClientFrame frame = CHAT__V1__CLIENT_FRAME__INIT;                                          \
	Type body = INIT;                                                                                    \
	frame.request_case = CHAT__V1__CLIENT_FRAME__REQUEST_##CASE;                                         \
	frame.request = &body

uint64_t
peer_hello(struct peer *peer)
{
	FRAME(hello, HELLO, Chat__V1__Hello, CHAT__V1__HELLO__INIT);

	body.version = PROTOCOL_VERSION;
	body.software = wire_from_str("test");
	return peer_send(peer, &frame);
}

uint64_t
peer_password(struct peer *peer, const char *account, const char *password)
{
	FRAME(password_login, PASSWORD_LOGIN, Chat__V1__PasswordLogin, CHAT__V1__PASSWORD_LOGIN__INIT);

	body.account = wire_from_str(account);
	body.password = wire_from_bytes(BYTES_STR(password));
	return peer_send(peer, &frame);
}

uint64_t
peer_publish(struct peer *peer, const struct person *p)
{
	uint8_t bag[64] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
	FRAME(
	    publish_identity, PUBLISH_IDENTITY, Chat__V1__PublishIdentity, CHAT__V1__PUBLISH_IDENTITY__INIT);

	body.card = wire_from_bytes(buf_bytes(&p->card));
	body.bag = wire_from_bytes(BYTES_ARRAY(bag));
	return peer_send(peer, &frame);
}

static uint64_t
send_key(struct peer *peer, const struct person *p, char spoil, struct tls_conn *bound_to)
{
	struct login login = {
	    .binding_type = LOGIN_BINDING_TLS_EXPORTER,
	    .realm = p->identity.realm,
	    .account = p->identity.account,
	    .member_id = p->identity.member_id,
	};
	uint8_t sig[ED25519_SIG_BYTES], ed_pk[ED25519_PK_BYTES];
	struct digest member_id = p->identity.member_id;
	FRAME(key_login, KEY_LOGIN, Chat__V1__KeyLogin, CHAT__V1__KEY_LOGIN__INIT);

	assert_ok(tls_export_binding(bound_to, login.binding));
	if (spoil == 'b')
		login.binding[0] ^= 1;
	login_sign(&p->identity.sign, &login, sig);
	memcpy(ed_pk, p->identity.sign.pk, sizeof ed_pk);
	if (spoil == 's')
		sig[0] ^= 1;
	if (spoil == 'm')
		member_id.b[0] ^= 1;
	if (spoil == 'k')
		memset(ed_pk, 0, sizeof ed_pk);
	body.account = wire_from_str(p->identity.account.s);
	body.member_id = wire_from_digest(&member_id);
	body.binding_type = 1;
	body.signature = wire_from_bytes(BYTES_ARRAY(sig));
	body.ed_pk = wire_from_bytes(BYTES_ARRAY(ed_pk));
	return peer_send(peer, &frame);
}

uint64_t
peer_key(struct peer *peer, const struct person *p, char spoil)
{
	return send_key(peer, p, spoil, peer->tls);
}

uint64_t
peer_key_bound(struct peer *peer, const struct person *p, struct tls_conn *bound_to)
{
	return send_key(peer, p, 0, bound_to);
}

uint64_t
peer_ping(struct peer *peer)
{
	FRAME(ping, PING, Chat__V1__Ping, CHAT__V1__PING__INIT);

	return peer_send(peer, &frame);
}

uint64_t
peer_resume(struct peer *peer, const struct digest *room_id, uint64_t next_seq, const struct digest *hash)
{
	FRAME(resume, RESUME, Chat__V1__Resume, CHAT__V1__RESUME__INIT);

	body.room_id = wire_from_digest(room_id);
	body.next_seq = next_seq;
	body.hash = wire_from_digest(hash);
	return peer_send(peer, &frame);
}

uint64_t
peer_history(struct peer *peer, const struct digest *room_id, uint64_t before_seq, uint32_t limit)
{
	FRAME(get_history, GET_HISTORY, Chat__V1__GetHistory, CHAT__V1__GET_HISTORY__INIT);

	body.room_id = wire_from_digest(room_id);
	body.before_seq = before_seq;
	body.limit = limit;
	return peer_send(peer, &frame);
}

uint64_t
peer_stage(struct peer *peer, const struct wrap_set *set, uint32_t first, uint32_t n)
{
	FRAME(stage_wraps, STAGE_WRAPS, Chat__V1__StageWraps, CHAT__V1__STAGE_WRAPS__INIT);

	body.wraps_hash = wire_from_digest(&set->wraps_hash);
	body.count = set->count;
	body.first = first;
	body.wraps = wire_from_bytes(BYTES(set->wraps + (size_t)first * WRAP_BYTES, (size_t)n * WRAP_BYTES));
	return peer_send(peer, &frame);
}

uint64_t
peer_post(struct peer *peer, struct draft *d, const struct digest *room_id)
{
	ProtobufCBinaryData events[ARRAY_LEN(d->wires)];
	uint64_t id;
	FRAME(post_events, POST_EVENTS, Chat__V1__PostEvents, CHAT__V1__POST_EVENTS__INIT);

	if (d->staged != NULL)
		peer_expect(
		    peer, peer_stage(peer, d->staged, 0, d->staged->count), CHAT__V1__SERVER_FRAME__BODY_OK);
	if (room_id != NULL)
		body.room_id = wire_from_digest(room_id);
	for (size_t i = 0; i < d->count; i++)
		events[i] = wire_from_bytes(buf_bytes(&d->wires[i]));
	body.event = events;
	body.n_event = d->count;
	id = peer_send(peer, &frame);
	for (size_t i = 0; i < d->count; i++)
		buf_fini(&d->wires[i]);
	wrap_set_free_list(d->staged);
	*d = (struct draft){0};
	return id;
}

uint64_t
peer_say(struct peer *peer, const struct person *p, struct copy *c)
{
	struct command *cmd = cmd_message(&peer->rig->w, (struct conn_ref){0}, p, c);
	uint64_t id;
	FRAME(post_message, POST_MESSAGE, Chat__V1__PostMessage, CHAT__V1__POST_MESSAGE__INIT);

	body.room_id = wire_from_digest(&c->room_id);
	body.message = wire_from_bytes(cmd->message.wire);
	id = peer_send(peer, &frame);
	command_free(cmd);
	return id;
}
