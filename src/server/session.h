/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

/*
 * What requests mean: checked frames become commands of the engine, its outcomes become frames.  The
 * signatures of events and cards and the proofs of logins are verified here, on the loop.
 *
 *   session.c          the table of handlers; outcomes
 *   session_answer.c   answers that are made here
 *   session_login.c    hello, login, the own password
 *   session_account.c  the own identity, cards, who is online
 *   session_rooms.c    rooms: asking and posting
 *
 * Threads: those of the connection's loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "proto/requests.h"
#include "server/conn.h"

struct command;
struct kdf_job;
struct outcome;
struct read_result;

/* A frame that requests_check() has passed; it lives until the return. */
void session_request(struct conn *c, enum request_type type, const Chat__V1__ClientFrame *frame);
/* What came of something that the connection asked for.  They stay the caller's to free; what is taken over
 * is set to NULL. */
void session_outcome(struct conn *c, struct outcome *outcome);
void session_read_done(struct conn *c, struct read_result *result);
void session_kdf_done(struct conn *c, const struct kdf_job *job);

/* When something of the session's is due next (NEVER_MS: nothing), and doing it. */
uint64_t session_next_ms(const struct conn *c);
void session_tick(struct conn *c, uint64_t now_ms);
/* The connection is gone. */
void session_end(struct conn *c);

/* ---- session_answer.c ---- */

/* Encodes and queues; frame->id is set from id (0: a push). */
void session_send(struct conn *c, uint64_t id, Chat__V1__ServerFrame *frame);
void session_send_ok(struct conn *c, uint64_t id);
/* text NULL: the code's own sentence. */
void session_send_error(struct conn *c, uint64_t id, enum chat_err err, const char *text);
void session_send_busy(struct conn *c, uint64_t id, uint64_t retry_after_ms);
void session_send_goodbye(struct conn *c, enum chat_err reason, const char *text, uint64_t retry_after_ms);
/* Of the engine. */
void session_send_outcome_error(struct conn *c, const struct outcome *outcome);
void session_send_posted(struct conn *c, const struct outcome *outcome);
void session_send_resumed(struct conn *c, const struct outcome *outcome);

/* ---- between the files ---- */

typedef void (*request_fn)(struct conn *c, const Chat__V1__ClientFrame *frame);

/* A command of this connection with room for body_len bytes; if it is NULL the connection is gone (out of
 * memory). */
struct command *
session_command(struct conn *c, enum command_type type, const Chat__V1__ClientFrame *frame, size_t body_len) MUST_USE;
/* Takes the command over: it is under way now, or was answered `busy`. */
bool session_post(struct conn *c, struct command *cmd);
/* The same for what writes: not while the store has to catch up. */
bool session_post_write(struct conn *c, struct command *cmd);
/* Appends to the command's body, of which *at is used; returns where it lies. */
struct bytes session_put(struct command *cmd, size_t *at, struct bytes from);

void session_hello(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_password_login(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_key_login(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_change_password(struct conn *c, const Chat__V1__ClientFrame *frame);
/* Outcomes of a login; true if it was one. */
bool session_login_outcome(struct conn *c, struct outcome *outcome);
void session_login_tick(struct conn *c, uint64_t now_ms);
void session_login_end(struct conn *c);
/* Before the key is proved: true if the password file still knows the account; else it was told and is being
 * closed. */
bool session_password_holds(struct conn *c, uint64_t id);

void session_publish_identity(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_recovery(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_bag(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_put_recovery(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_put_bag(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_publish_card(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_card(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_who(struct conn *c, const Chat__V1__ClientFrame *frame);

void session_get_rooms(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_resume(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_history(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_roster(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_prefix(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_get_wraps(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_stage_wraps(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_post_events(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_post_message(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_post_rewraps(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_ask_rewrap(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_set_cursor(struct conn *c, const Chat__V1__ClientFrame *frame);
void session_offer_entries(struct conn *c, const Chat__V1__ClientFrame *frame);

#endif
