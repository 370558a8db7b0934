/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef LIBCHAT_SESSION_H
#define LIBCHAT_SESSION_H

/*
 * The core of a client, without I/O: bytes in, bytes out, `now` in, the next deadline out, events out.  What
 * is kept goes through `struct storage`, long work through `struct work`.  It logs in, follows rooms, holds
 * their keys, says what is in the outbox, and carries a request through everything that may come between it
 * and its end: a lost race, a rekey, a lost connection.
 *
 *     session_new()
 *     session_connected() -> { session_output() / session_receive() / session_tick() } ->
 * session_disconnected()
 *     ... as often as there are connections ...                                          session_free()
 *
 * What it is not: it connects to nothing, trusts no server (TLS and pins are the client's), decides when to
 * reconnect, and runs no thread.  CHAT_EVENT_CONNECTING, _SERVER_UNKNOWN, _DISCONNECTED and _FAILED are made
 * by its owner; all other events are made here.
 *
 * After every call that takes `now` the owner looks at: session_output(), session_next_event(),
 * session_next_work(), session_end(), session_next_deadline_ms().
 *
 * Threads: one, whichever drives it.  Ownership as each function says; what is borrowed must live during the
 * call only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/random.h"
#include "group/identity.h"
#include "libchat/event.h"
#include "libchat/storage.h"
#include "libchat/work.h"

struct chat_session;

struct session_config {
	struct account_name account;
	const char *software;    /* name and version of the program; copied and cut to what a frame takes */
	struct storage *storage; /* borrowed; outlives the session */
	struct random_source
	    random; /* goes into work items too: with worker threads it has to be random_kernel */
};

/* Loads what is stored.  CHAT_ERR_IO, CHAT_ERR_CORRUPT, CHAT_ERR_NOMEM. */
enum chat_err session_new(const struct session_config *config, struct chat_session **ret) MUST_USE;
/* Writes what is only in memory yet (how far was shown), overwrites secrets.  Open requests end without a
 * DONE: call session_abandon() before where they are to have one.  NULL is allowed. */
void session_free(struct chat_session *s);

/* ---- the connection ---- */

/* A new connection stands; binding is its TLS exporter (RFC 9266).  The session begins with its hello. */
void
session_connected(struct chat_session *s, const uint8_t binding[static LOGIN_BINDING_BYTES], struct now now);
/* It is gone, for whatever reason.  Requests that wait for an answer will be made again on the next one. */
void session_disconnected(struct chat_session *s, struct now now);

/* What came, in any pieces.  A frame that breaks the protocol ends the connection: session_end(). */
void session_receive(struct chat_session *s, struct bytes in, struct now now);
/* Verifying is behind what came: do not call session_receive() (nor read from the server) until it has caught
 * up, which session_work_done() brings about. */
bool session_is_full(const struct chat_session *s);
/* What is to be sent; borrowed until the next call of any function here.  Empty: nothing. */
struct bytes session_output(const struct chat_session *s);
void session_sent(struct chat_session *s, size_t bytes); /* that many from the front were taken */

/* Call session_tick() at or after this time; NEVER_MS: nothing waits. */
uint64_t session_next_deadline_ms(const struct chat_session *s);
void session_tick(struct chat_session *s, struct now now);

/* Why the connection is to be closed, once what session_output() holds is sent. */
struct session_end {
	enum chat_err err;
	bool final;              /* connecting again would not help: the client has failed */
	const char *text;        /* one sentence; never NULL */
	const char *mend;        /* or NULL */
	uint64_t retry_after_ms; /* what the server asked for; 0: nothing */
};
/* NULL: go on.  Borrowed until the next session_connected() or session_free(). */
const struct session_end *session_end(const struct chat_session *s);

/* Logged in, and not disconnected since. */
bool session_ready(const struct chat_session *s);
/* Answers CHAT_EVENT_PASSWORD_NEEDED.  CHAT_ERR_INVALID: none was asked for, or its length is not 1 to
 * PASSWORD_MAX_BYTES; CHAT_ERR_NOMEM.  The session overwrites its copy after use; the caller its own. */
enum chat_err session_give_password(struct chat_session *s, struct bytes password, struct now now) MUST_USE;

/* ---- events and work ---- */

/* The next event, the caller's from now on; NULL: none.  What is taken counts as shown: it is not told again
 * after a restart.  There is no bound here; an owner whose own queue is full stops calling session_receive().
 */
struct chat_event *session_next_event(struct chat_session *s);
/* The next piece of work, the caller's until session_work_done() takes it back; NULL: none. */
struct work *session_next_work(struct chat_session *s);
void session_work_done(struct chat_session *s, struct work *work, struct now now);

/* ---- requests ---- */

/*
 * `done` is the event that ends the request (event_new_done()); the session takes it over and gives it back
 * through session_next_event(), filled in, exactly once.  Whatever is wrong, with the arguments too, is said
 * by it. They may be called at any time; without a connection they wait for one.
 */
void session_send(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes text, struct now now);
void session_create(struct chat_session *s, struct chat_event *done, struct bytes name, struct now now);
void session_invite(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *accounts, size_t count, struct now now);
void
session_accept(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now);
void session_decline(
    struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now);
void
session_leave(struct chat_session *s, struct chat_event *done, const struct digest *room_id, struct now now);
void session_kick(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *account, struct now now);
void session_set_role(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    const struct account_name *account, unsigned role, struct now now);
void session_set_topic(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes topic, struct now now);
void session_set_name(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    struct bytes name, struct now now);
void session_direct(
    struct chat_session *s, struct chat_event *done, const struct account_name *account, struct now now);
void session_history(struct chat_session *s, struct chat_event *done, const struct digest *room_id,
    size_t count, struct now now);
void session_who(struct chat_session *s, struct chat_event *done, struct now now);
void session_change_password(struct chat_session *s, struct chat_event *done, struct bytes old_password,
    struct bytes new_password, struct now now);
/* No event ends it; an unknown room is passed over. */
void session_mark_read(struct chat_session *s, const struct digest *room_id, uint64_t seq, struct now now);

/* Ends every open request with this error.  What is in the outbox stays there, and is sent another time. */
void session_abandon(struct chat_session *s, enum chat_err err);

/* ---- what is known now ---- */

/* As chat_rooms(), chat_members() and chat_find_room() say; each list is one allocation, ended by its
 * chat_..._free(). */
enum chat_err session_rooms(const struct chat_session *s, struct chat_room_list **ret) MUST_USE;
enum chat_err session_members(
    const struct chat_session *s, const struct digest *room_id, struct chat_member_list **ret) MUST_USE;
enum chat_err session_find_room(const struct chat_session *s, const char *label, struct digest *ret) MUST_USE;
bool session_knows_room(const struct chat_session *s, const struct digest *room_id);

/* False: there is no identity yet. */
bool session_member_id(const struct chat_session *s, struct digest *ret);
/* The realm of the server of this connection or of the stored identity.  False: not known yet. */
bool session_realm(const struct chat_session *s, struct realm *ret);

#endif
