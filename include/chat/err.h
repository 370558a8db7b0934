/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CHAT_ERR_H
#define CHAT_ERR_H

/*
 * The one error type of secure-chat: what a function of libchat returns, and what a server answers.
 *
 * Numbers below 100 are local causes.  Numbers from 100 on are refusals of the protocol; they are the same
 * numbers as `ErrorCode` in chat.proto and never change meaning.  Names (`chat_err_name()`) are stable too, and
 * are what logs, transcripts and chat-protocol(7) print.
 *
 * Threads: any.
 */

#ifdef __cplusplus
extern "C" {
#endif
/* The library is compiled with everything hidden; what its headers declare is not. */
#pragma GCC visibility push(default)

/* X(constant, number, stable name, sentence) */
#define CHAT_ERRORS(X)                                                                                                 \
	X(CHAT_OK, 0, "ok", "Success.")                                                                                \
	X(CHAT_ERR_NOMEM, 1, "nomem", "Out of memory.")                                                                \
	X(CHAT_ERR_IO, 2, "io", "Reading or writing a file or a connection failed.")                                   \
	X(CHAT_ERR_NOT_FOUND, 3, "not_found", "No such file or object.")                                               \
	X(CHAT_ERR_EXISTS, 4, "exists", "It exists already.")                                                          \
	X(CHAT_ERR_PERMISSION, 5, "permission", "The file's owner or mode is not safe, or access was denied.")         \
	X(CHAT_ERR_LOCKED, 6, "locked", "Another process holds the lock.")                                             \
	X(CHAT_ERR_INVALID, 7, "invalid", "An argument is out of range or of the wrong form.")                         \
	X(CHAT_ERR_RANGE, 8, "range", "The value does not fit.")                                                       \
	X(CHAT_ERR_SYNTAX, 9, "syntax", "The text does not parse.")                                                    \
	X(CHAT_ERR_CORRUPT, 10, "corrupt", "Stored data is damaged.")                                                  \
	X(CHAT_ERR_NEWER, 11, "newer", "The data was written by a newer version.")                                     \
	X(CHAT_ERR_AGAIN, 12, "again", "Nothing to do yet; wait and call again.")                                      \
	X(CHAT_ERR_CLOSED, 13, "closed", "The connection is closed.")                                                  \
	X(CHAT_ERR_TLS, 14, "tls", "The TLS connection failed.")                                                       \
	X(CHAT_ERR_PEER_CHANGED, 15, "peer_changed", "The server's identity is not the one that was pinned.")          \
	X(CHAT_ERR_PEER_UNKNOWN, 16, "peer_unknown", "The server's identity is not known yet.")                        \
	X(CHAT_ERR_CANNOT_OPEN, 17, "cannot_open", "It does not open with this key.")                                  \
	X(CHAT_ERR_BAD_PREFIX, 18, "bad_prefix", "The log before the invitation is not the one the inviter saw.")      \
	X(CHAT_ERR_CONNECT, 19, "connect", "The server cannot be reached.")                                            \
	X(CHAT_ERR_TIMEOUT, 20, "timeout", "The time allowed ran out.")                                                \
	X(CHAT_ERR_CRYPTO, 21, "crypto", "A cryptographic operation failed.")                                          \
	X(CHAT_ERR_UNSUPPORTED, 100, "unsupported", "An unknown version, type or suite; a newer program is needed.")   \
	X(CHAT_ERR_MALFORMED, 101, "malformed", "The bytes are not of the required form.")                             \
	X(CHAT_ERR_ALREADY, 102, "already", "It was accepted before.")                                                 \
	X(CHAT_ERR_NO_ROOM, 103, "no_room", "No such room.")                                                           \
	X(CHAT_ERR_CONFLICT, 104, "conflict", "Somebody else was first; look again and repeat.")                       \
	X(CHAT_ERR_NOT_ALLOWED, 105, "not_allowed", "The rules of the room do not allow it.")                          \
	X(CHAT_ERR_BAD_SIGNATURE, 106, "bad_signature", "A signature does not verify.")                                \
	X(CHAT_ERR_BAD_SEEN, 107, "bad_seen", "The position claimed as seen cannot be right.")                         \
	X(CHAT_ERR_BAD_WRAPS, 108, "bad_wraps", "The wraps of the rekey are missing or are not those it names.")       \
	X(CHAT_ERR_OUT_OF_ORDER, 109, "out_of_order", "A message before this one is missing.")                         \
	X(CHAT_ERR_STALE, 110, "stale", "The room has to be rekeyed first.")                                           \
	X(CHAT_ERR_STORE_UNAVAILABLE, 111, "store_unavailable", "The server cannot store now; the outcome is unknown.") \
	X(CHAT_ERR_BUSY, 112, "busy", "The server is busy; try again after the time it names.")                        \
	X(CHAT_ERR_NO_IDENTITY, 113, "no_identity", "The account has not published an identity yet.")                  \
	X(CHAT_ERR_PASSWORD_REQUIRED, 114, "password_required", "The password has to be given once more.")             \
	X(CHAT_ERR_LOGIN_REFUSED, 115, "login_refused", "The account or the password or the key is not right.")        \
	X(CHAT_ERR_HISTORY_CHANGED, 116, "history_changed", "The server's log is not the one that was seen before.")   \
	X(CHAT_ERR_WRONG_PHASE, 117, "wrong_phase", "The request is not allowed before or after login.")               \
	X(CHAT_ERR_TOO_LONG, 118, "too_long", "The frame or a field is longer than allowed.")                          \
	X(CHAT_ERR_UNKNOWN_REQUEST, 119, "unknown_request", "The request is of an unknown type.")                      \
	X(CHAT_ERR_LIMIT, 120, "limit", "A limit of the server is reached.")                                           \
	X(CHAT_ERR_RATE, 121, "rate", "Too often; wait the time it names.")                                            \
	X(CHAT_ERR_SHUTDOWN, 122, "shutdown", "The server is going down.")                                             \
	X(CHAT_ERR_NO_ACCOUNT, 123, "no_account", "No such account.")                                                  \
	X(CHAT_ERR_INTERNAL, 124, "internal", "The server made a mistake; its log says more.")                         \
	X(CHAT_ERR_EVICTED, 125, "evicted", "The session was ended: the account was locked or deleted.")

enum chat_err {
#define CHAT_ERR_ENUM(constant, number, name, sentence) constant = number,
	CHAT_ERRORS(CHAT_ERR_ENUM)
#undef CHAT_ERR_ENUM
};

/* One English sentence for people.  Static storage; never NULL, also for a number that is not listed. */
const char *chat_strerror(enum chat_err err);

/* The stable name, as "conflict".  Static storage; "unknown" for a number that is not listed. */
const char *chat_err_name(enum chat_err err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
