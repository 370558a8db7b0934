/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_PEER_H
#define HOSTILE_PEER_H

/*
 * A client of the protocol that can be told to break it at any step: bytes on the socket, bytes inside TLS,
 * frames, requests.  Nothing is done by itself: no pings, no resuming, no rekeys.
 *
 * What comes unasked is followed: of each room that the peer has resumed, the entries have to come one after
 * the other, and their hashes are computed as they come (struct peer_room).
 *
 * Every function waits for what it is there for, at most host_patience_ms(), and fails the test otherwise.
 *
 * Threads: the test's own.  A peer is ended with peer_close(), at any point of its life.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "group/loghash.h"
#include "host.h"
#include "proto/chat.pb-c.h"
#include "tls/tls.h"
#include "unit/room_kit.h"

#define PEER_ROOMS_MAX  4
#define PEER_PUSHES_MAX 64 /* above the numbers of chat.proto's ServerFrame */

/* A room that the peer follows. */
struct peer_room {
	struct digest room_id;
	struct log_head head; /* of the last entry that came */
	uint64_t stubs;       /* how many came as hashes only */
};

struct peer {
	struct host *host; /* borrowed */
	int fd;            /* -1: closed */
	struct tls_conn *tls;
	struct buf in; /* frames that were not taken yet */
	struct arena arena;
	const struct person *person; /* borrowed; who is logged in */
	uint64_t last_id;

	bool dribble; /* one byte a packet */
	bool ended;
	enum tls_failure how; /* it ended */

	struct peer_room rooms[PEER_ROOMS_MAX];
	size_t room_count;
	unsigned pushes[PEER_PUSHES_MAX]; /* how many came of each body */
	Chat__V1__ErrorCode goodbye;      /* the reason given, if one came */
};

/* ---- the line ---- */

/* TCP only; `from` is the loopback address to come from, or NULL. */
void peer_connect(struct peer *peer, struct host *host, const char *from);
void peer_handshake(struct peer *peer);
/* Both. */
void peer_open(struct peer *peer, struct host *host);
/* A small receive buffer, set before the connection is made: what the peer does not read, the server holds.
 */
void peer_open_narrow(struct peer *peer, struct host *host);
void peer_close(struct peer *peer);
/* The same with a reset instead of an end. */
void peer_reset(struct peer *peer);

/* Past TLS, straight into the socket.  What the server does not want any more is not an error. */
void peer_send_tcp(struct peer *peer, struct bytes b);
/* Inside TLS, straight into the stream of frames; likewise. */
void peer_send_bytes(struct peer *peer, struct bytes b);
/* As much as goes without waiting; how much that was. */
size_t peer_send_what_goes(struct peer *peer, struct bytes b);
/* Waits for the end of the TCP connection and says how many bytes came before it. */
size_t peer_wait_tcp_end(struct peer *peer);
/* True if there is something to read, or comes within so many milliseconds. */
bool peer_readable(struct peer *peer, int timeout_ms);

/* ---- frames ---- */

/* A frame with these bytes as its protobuf; and one that only says how long it is. */
void peer_send_frame(struct peer *peer, struct bytes body);
void peer_send_frame_header(struct peer *peer, uint32_t body_bytes);

/* Sends the request (a Chat__V1__ClientFrame__RequestCase and its message); its id. */
uint64_t peer_send(struct peer *peer, int request_case, const ProtobufCMessage *message);
/* The frame that does it, appended to `into`; its id. */
uint64_t peer_encode(struct peer *peer, int request_case, const ProtobufCMessage *message, struct buf *into);

/* The next frame, pushes included; NULL: the connection has ended.  Valid until the next frame. */
const Chat__V1__ServerFrame *peer_next(struct peer *peer);
/* The next that is no push; NULL likewise. */
const Chat__V1__ServerFrame *peer_next_answer(struct peer *peer);
/* The next answer, which has to be to this. */
const Chat__V1__ServerFrame *peer_answer(struct peer *peer, uint64_t id);
/* Sends and waits for the answer. */
const Chat__V1__ServerFrame *peer_ask(struct peer *peer, int request_case, const ProtobufCMessage *message);
/* CHAT_OK, or what the answer's Error says. */
enum chat_err answer_err(const Chat__V1__ServerFrame *answer);
/* The answer is of that body; fails with the error by name where it is one. */
void assert_answer(const Chat__V1__ServerFrame *answer, Chat__V1__ServerFrame__BodyCase body);

#define REQUEST(NAME)         CHAT__V1__CLIENT_FRAME__REQUEST_##NAME
#define ASK(peer, NAME, body) peer_ask((peer), REQUEST(NAME), &(body).base)
#define ANSWER(NAME)          CHAT__V1__SERVER_FRAME__BODY_##NAME

/* Ping, and its answer: the connection works. */
void peer_ping(struct peer *peer);
/*
 * The server has had enough: an Error to `id` with this code, then Goodbye with the same, then a clean end of
 * the connection.
 */
void peer_expect_fault(struct peer *peer, uint64_t id, enum chat_err err);
/* Only Goodbye and a clean end. */
void peer_expect_goodbye(struct peer *peer, enum chat_err reason);
/* An end without a word, however clean. */
void peer_expect_end(struct peer *peer);

/* Waits until the room that is followed has got so far. */
void peer_wait_entries(struct peer *peer, const struct digest *room_id, uint64_t seq);
/* Which has to be followed. */
struct peer_room *peer_room(struct peer *peer, const struct digest *room_id);

#endif
