/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_AUDIT_H
#define SERVER_AUDIT_H

/*
 * The log lines that an operator wants to read: one function for each thing that happens, so that the same
 * thing is always said with the same keys.  What a peer can cause is limited in rate, line by line; the next
 * line let through says how many were not ("suppressed").
 *
 * Never secrets, never text, and of rooms only their id's first 16 hex digits: names are not known here.
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "net/addr.h"

struct tls_info;
struct passwd_why;

/* ---- connections; account is empty before a login ---- */

void audit_connected(const struct net_addr *peer, const struct tls_info *info);
void audit_handshake_failed(const struct net_addr *peer, const char *failure, const char *text);
void audit_disconnected(const struct net_addr *peer, struct bytes account, const char *why, uint64_t seconds);
/* The peer broke the protocol; `request` is NULL where it is not known. */
void audit_protocol_error(const struct net_addr *peer, struct bytes account, const char *request,
    enum chat_err err, const char *text);
/* A limit was hit: "connections", "requests", "outbuf", "kdf_queue" ...; peer may be NULL. */
void audit_limit(const struct net_addr *peer, struct bytes account, const char *what);

/* ---- logins ---- */

void audit_login(const struct net_addr *peer, struct bytes account, uint32_t sessions);
void audit_password_right(const struct net_addr *peer, struct bytes account);
/* how: "password", "key"; why: "wrong_password", "no_account", "locked", "bad_signature" ... */
void audit_login_refused(
    const struct net_addr *peer, struct bytes account, const char *how, const char *why, uint64_t delay_ms);
void audit_password_changed(const struct net_addr *peer, struct bytes account);
void audit_passwords_loaded(uint64_t accounts);
void audit_passwords_bad(const struct passwd_why *why);

/* ---- accounts and rooms: called by the engine, after the commit ---- */

void audit_identity_published(struct bytes account, const struct digest *member_id);
void audit_card_published(struct bytes account, uint32_t serial, bool retired);
void audit_account_retired(struct bytes account);
void audit_sessions_ended(struct bytes account, uint32_t sessions, const char *why);
void audit_room_created(const struct digest *room_id, struct bytes account, bool direct);
void audit_invited(const struct digest *room_id, struct bytes by, struct bytes account);
/* The other events by which a stay begins or ends: "join", "decline", "leave", "kick".  `account` is whose.
 */
void audit_stay(const struct digest *room_id, const char *event, struct bytes by, struct bytes account);
void audit_rekeyed(const struct digest *room_id, struct bytes by, uint64_t epoch, uint32_t readers);
void audit_room_over(const struct digest *room_id);
/* Retention: so many messages of the room; those from whole_from on are kept. */
void audit_history_removed(const struct digest *room_id, uint64_t messages, uint64_t whole_from);
/* Retention could not look at a room, or give space back. */
void audit_retention_failed(enum chat_err err, const char *text);
/* A batch could not be committed; the commands of its turn were answered store_unavailable. */
void audit_commit_failed(enum chat_err err, const char *text);
void audit_commit_works_again(void);
/* A reader could not read; who asked is told store_unavailable, or is read for again. */
void audit_read_failed(enum chat_err err, const char *text);

#endif
