/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CHAT_CHAT_H
#define CHAT_CHAT_H

/*
 * libchat: a secure-chat client without a user interface, for bots, bridges and chat-client.
 *
 * A `struct chat_client` is one account on one server: its identity, its keys, its local log and outbox under a data
 * directory, and at most one connection, which a thread of the library's own keeps up (it reconnects by itself).
 * The program asks with functions that return at once and hears with events:
 *
 *     chat_client_new() -> chat_client_start() -> chat_next_event() ... -> chat_client_free()
 *
 * Requests give a token (never 0); exactly one CHAT_EVENT_DONE with that token ends each, with its error or result,
 * before chat_client_free() is called or never.  What a request asks for is durable on the server when its DONE says
 * CHAT_OK.  A text is in the outbox on disk, sealed, when CHAT_EVENT_QUEUED says so, which is before it is first sent: from
 * then on it is sent after a reconnect, and after a restart of the program.
 *
 * Threads: functions on one client may be called from any thread at any time, except chat_client_free(), which must
 * be the last.  One thread at a time reads events.  There are no callbacks.
 *
 * Ownership: what a function returns through a pointer of type `struct chat_event *`, `struct chat_room_list *`, ... is
 * the caller's until the _free() of its type.  Strings inside are NUL-terminated UTF-8 and live as long as it does; they
 * may hold whatever other members wrote: filter before showing them on a terminal.
 *
 * The library never touches signals, locale, stdio or exit().  It sends with MSG_NOSIGNAL.
 *
 * Event types, error codes and flags may be added in later versions: ignore what you do not know.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#ifdef __cplusplus
extern "C" {
#endif
/* The library is compiled with everything hidden; what its headers declare is not. */
#pragma GCC visibility push(default)

#if defined(__GNUC__)
#define CHAT_MUST_USE __attribute__((warn_unused_result))
#else
#define CHAT_MUST_USE
#endif

#define CHAT_ID_BYTES     32    /* room ids, member ids, hashes */
#define CHAT_TEXT_MAX     16384 /* bytes of UTF-8 in one message */
#define CHAT_DEFAULT_PORT 8820

/* "secure-chat 0.1.0" */
const char *chat_version(void);

struct chat_id {
	uint8_t b[CHAT_ID_BYTES];
};

/* ---- configuration ----------------------------------------------------------------------------------------------- */

struct chat_config;

/* The caller's until chat_config_free(); a client copies what it needs.  CHAT_ERR_NOMEM. */
enum chat_err chat_config_new(struct chat_config **ret) CHAT_MUST_USE;
void chat_config_free(struct chat_config *config);

/* Each copies its string.  CHAT_ERR_INVALID for a value that cannot be right, CHAT_ERR_NOMEM. */
enum chat_err chat_config_set_account(struct chat_config *config, const char *account) CHAT_MUST_USE;
enum chat_err chat_config_set_server(struct chat_config *config, const char *host, const char *port) CHAT_MUST_USE;
/* Where identities, pins and logs live; made 0700 if missing.  Default: $XDG_DATA_HOME/secure-chat, else
 * ~/.local/share/secure-chat. */
enum chat_err chat_config_set_data_dir(struct chat_config *config, const char *dir) CHAT_MUST_USE;
/* Name and version of the program, told to the server. */
enum chat_err chat_config_set_software(struct chat_config *config, const char *software) CHAT_MUST_USE;
/* Demand this server key: SHA-256 of its public key in hex; colons and case do not count. */
enum chat_err chat_config_set_fingerprint(struct chat_config *config, const char *hex) CHAT_MUST_USE;
/* Agree by itself to a server never seen before (never to a changed one). */
void chat_config_set_accept_new(struct chat_config *config, bool accept);
/* Events not yet read, at most; when it is full the library stops reading from the server.  Default 1,024, least 16. */
enum chat_err chat_config_set_event_limit(struct chat_config *config, size_t limit) CHAT_MUST_USE;
/* false: give up at the first lost connection or failed connect instead of reconnecting.  Default true. */
void chat_config_set_reconnect(struct chat_config *config, bool reconnect);

/* ---- the client --------------------------------------------------------------------------------------------------- */

struct chat_client;

/*
 * Opens the data directory; no network yet.  CHAT_ERR_INVALID: no account or server was set; CHAT_ERR_PERMISSION:
 * others can read the directory; CHAT_ERR_LOCKED: 64 processes have it open; CHAT_ERR_NOT_FOUND: no home directory;
 * CHAT_ERR_IO, CHAT_ERR_CORRUPT, CHAT_ERR_NEWER, CHAT_ERR_NOMEM.  Where ret_text is not
 * NULL it gets a sentence that names the file and the mend (owned by the caller: free()), or NULL.
 */
enum chat_err chat_client_new(const struct chat_config *config, struct chat_client **ret, char **ret_text) CHAT_MUST_USE;
/* Starts the thread, which connects.  CHAT_ERR_NOMEM, CHAT_ERR_INVALID if it was started before. */
enum chat_err chat_client_start(struct chat_client *client) CHAT_MUST_USE;
/* Says goodbye, ends the thread, waits for it, frees; NULL is allowed.  The outbox stays on disk. */
void chat_client_free(struct chat_client *client);

/*
 * Answers to CHAT_EVENT_SERVER_UNKNOWN and CHAT_EVENT_PASSWORD_NEEDED; the connection waits for them.
 * CHAT_ERR_INVALID where nothing was asked.  The password is overwritten in the library after use.
 */
enum chat_err chat_trust_server(struct chat_client *client, bool agree) CHAT_MUST_USE;
enum chat_err chat_give_password(struct chat_client *client, const char *password, size_t len) CHAT_MUST_USE;

/* ---- events ------------------------------------------------------------------------------------------------------------ */

enum chat_event_type {
	/* the connection */
	CHAT_EVENT_CONNECTING = 1,      /* text: host and port */
	CHAT_EVENT_SERVER_UNKNOWN = 2,  /* text: fingerprint; answer with chat_trust_server() */
	CHAT_EVENT_PASSWORD_NEEDED = 3, /* err: CHAT_OK first login, PASSWORD_REQUIRED changed, LOGIN_REFUSED wrong */
	CHAT_EVENT_CONNECTED = 4,       /* logged in; number: sessions of this account */
	CHAT_EVENT_SYNCED = 5,          /* every room is caught up; comes once after each CONNECTED */
	CHAT_EVENT_DISCONNECTED = 6,    /* err, text; number: milliseconds until the next attempt */
	CHAT_EVENT_FAILED = 7,          /* the end: err, text, mend; nothing but DONE of open requests follows */
	CHAT_EVENT_PROGRESS = 8,        /* long work: text says what; number of total, total 0: unknown */
	/* the end of a request */
	CHAT_EVENT_DONE = 9,            /* token, err, text, mend, and the result that the request names */
	CHAT_EVENT_QUEUED = 10,         /* token: the text of chat_send() is in the outbox on disk; DONE comes later */
	/* rooms: room, label, seq, time_ms, actor (account name), self (it was this account) */
	CHAT_EVENT_MESSAGE = 20,        /* text */
	CHAT_EVENT_CREATED = 21,
	CHAT_EVENT_INVITED = 22,        /* target: the account invited; target_self: it is this account */
	CHAT_EVENT_JOINED = 23,
	CHAT_EVENT_DECLINED = 24,
	CHAT_EVENT_LEFT = 25,
	CHAT_EVENT_KICKED = 26,         /* target */
	CHAT_EVENT_ROLE = 27,           /* target, number: the role */
	CHAT_EVENT_SETTINGS = 28,
	CHAT_EVENT_CARD = 29,           /* a member changed its RSA key; number 1: retired its identity */
	CHAT_EVENT_REKEYED = 30,        /* number: the epoch */
	CHAT_EVENT_TOPIC = 31,          /* text: the topic, after the REKEYED that brought it */
	CHAT_EVENT_NAME = 32,           /* text: the room's name; label is the new one */
	/* rooms: not entries of the log */
	CHAT_EVENT_ROOM_ADDED = 40,     /* a room is known from now on */
	CHAT_EVENT_ROOM_GONE = 41,      /* own stay ended */
	CHAT_EVENT_UNREADABLE = 42,     /* seq, err, text, mend: which entry or epoch, whose fault, since when */
	CHAT_EVENT_WARNING = 43,        /* text: one plain line; mend */
	CHAT_EVENT_READ_ONLY = 44,      /* the room needs a newer client, or its log broke the rules: text says */
	CHAT_EVENT_CURSOR = 45          /* seq: another session of this account read up to here */
};

enum chat_event_flag {
	CHAT_FLAG_HISTORY = 1 << 0,  /* answers chat_history(): older than what was shown before */
	CHAT_FLAG_REPLAY = 1 << 1,   /* happened while this data directory was away */
	CHAT_FLAG_OWN_SESSION = 1 << 2 /* sent by this very client */
};

struct chat_event;

/* Waits up to timeout_ms (-1: for ever, 0: not at all) for the next event.  CHAT_ERR_TIMEOUT; CHAT_ERR_CLOSED behind
 * the last event after CHAT_EVENT_FAILED. */
enum chat_err chat_next_event(struct chat_client *client, int timeout_ms, struct chat_event **ret) CHAT_MUST_USE;
/* Readable while an event waits, and for ever once chat_next_event() answers CHAT_ERR_CLOSED.  The client's own: do not
 * close it, do not read from it. */
int chat_event_fd(const struct chat_client *client);
void chat_event_free(struct chat_event *event);

/* What an event carries; 0, false, NULL or "" where its type does not. */
enum chat_event_type chat_event_type(const struct chat_event *event);
const char *chat_event_type_name(const struct chat_event *event); /* "message", "joined", ...: as --json prints it */
uint64_t chat_event_token(const struct chat_event *event);
enum chat_err chat_event_err(const struct chat_event *event);
const char *chat_event_text(const struct chat_event *event);
size_t chat_event_text_len(const struct chat_event *event); /* a text may hold NUL */
const char *chat_event_mend(const struct chat_event *event);
const struct chat_id *chat_event_room(const struct chat_event *event); /* NULL where there is none */
const char *chat_event_label(const struct chat_event *event);
const char *chat_event_actor(const struct chat_event *event);
const char *chat_event_target(const struct chat_event *event);
bool chat_event_self(const struct chat_event *event);
bool chat_event_target_self(const struct chat_event *event);
uint64_t chat_event_seq(const struct chat_event *event);
uint64_t chat_event_time_ms(const struct chat_event *event); /* the server's, Unix milliseconds */
uint64_t chat_event_number(const struct chat_event *event);
uint64_t chat_event_total(const struct chat_event *event);
uint32_t chat_event_flags(const struct chat_event *event);
const struct chat_id *chat_event_hash(const struct chat_event *event); /* L at seq */

/* The list in the DONE of chat_who(); NULL in others.  Borrowed from the event. */
struct chat_online {
	const char *account;
	uint32_t sessions;
	uint64_t since_unix_ms;
};
const struct chat_online *chat_event_online(const struct chat_event *event, size_t *ret_count);

/* ---- requests ------------------------------------------------------------------------------------------------------------ */

/*
 * All return at once: CHAT_OK and a token, or CHAT_ERR_INVALID (an argument), CHAT_ERR_NOT_FOUND (no such room here),
 * CHAT_ERR_TOO_LONG, CHAT_ERR_LIMIT (too many requests open),
 * CHAT_ERR_CLOSED (after CHAT_EVENT_FAILED), CHAT_ERR_NOMEM; then there is no token and no DONE.  Requests made before the
 * connection stands wait for it.  ret_token may be NULL.
 */

/* Says text (1 to CHAT_TEXT_MAX bytes of UTF-8) in a room.  DONE: seq. */
enum chat_err chat_send(struct chat_client *client, const struct chat_id *room, const char *text, size_t len,
    uint64_t *ret_token) CHAT_MUST_USE;
/* Makes a group room; name: 1 to 64 characters.  DONE: room, label. */
enum chat_err chat_create(struct chat_client *client, const char *name, uint64_t *ret_token) CHAT_MUST_USE;
/* Invites `count` accounts at once, one event in the log each and one rekey.  An account without an identity yet is kept and
 * invited when it has one; DONE then says CHAT_ERR_NO_IDENTITY and text names it, after the others were invited. */
enum chat_err chat_invite(struct chat_client *client, const struct chat_id *room, const char *const *accounts,
    size_t count, uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_accept(struct chat_client *client, const struct chat_id *room, uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_decline(struct chat_client *client, const struct chat_id *room, uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_leave(struct chat_client *client, const struct chat_id *room, uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_kick(struct chat_client *client, const struct chat_id *room, const char *account,
    uint64_t *ret_token) CHAT_MUST_USE;
/* role: 1 member, 2 moderator, 3 owner */
enum chat_err chat_set_role(struct chat_client *client, const struct chat_id *room, const char *account,
    unsigned role, uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_set_topic(struct chat_client *client, const struct chat_id *room, const char *topic,
    uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_set_name(struct chat_client *client, const struct chat_id *room, const char *name,
    uint64_t *ret_token) CHAT_MUST_USE;
/* The direct room with an account, found or made.  DONE: room, label. */
enum chat_err chat_direct(struct chat_client *client, const char *account, uint64_t *ret_token) CHAT_MUST_USE;
/* Gives up to `count` (1 to 1,000) entries before the oldest shown, as events with CHAT_FLAG_HISTORY in ascending
 * order, then DONE; number: how many.  text says where older entries were removed. */
enum chat_err chat_history(struct chat_client *client, const struct chat_id *room, size_t count,
    uint64_t *ret_token) CHAT_MUST_USE;
/* Who is online.  DONE: chat_event_online(). */
enum chat_err chat_who(struct chat_client *client, uint64_t *ret_token) CHAT_MUST_USE;
enum chat_err chat_change_password(struct chat_client *client, const char *old_password, size_t old_len,
    const char *new_password, size_t new_len, uint64_t *ret_token) CHAT_MUST_USE;
/* The program has shown everything up to seq. */
enum chat_err chat_mark_read(struct chat_client *client, const struct chat_id *room, uint64_t seq) CHAT_MUST_USE;

/* ---- what is known now ----------------------------------------------------------------------------------------------------- */

enum chat_stay { CHAT_STAY_OUT = 0, CHAT_STAY_INVITED = 1, CHAT_STAY_JOINED = 2 };

struct chat_room_info {
	struct chat_id id;
	const char *label;   /* local and unique: "ops", "ops~2" */
	const char *name;    /* as its members named it */
	const char *topic;
	const char *inviter; /* account name, while invited */
	enum chat_stay stay;
	bool direct;
	bool read_only;
	unsigned role;       /* own: 1 member, 2 moderator, 3 owner */
	size_t member_count; /* joined */
	uint64_t head_seq;
	uint64_t read_seq;
	uint64_t unread_count; /* messages of others behind read_seq, as far as they are known here */
	struct chat_id log_hash; /* L at head_seq */
	uint64_t epoch;
};

struct chat_member_info {
	struct chat_id member_id;
	const char *account;
	enum chat_stay stay;
	unsigned role;
	bool self;
};

struct chat_room_list {
	size_t count;
	struct chat_room_info room[];
};

struct chat_member_list {
	size_t count;
	struct chat_member_info member[];
};

/* The rooms of this account (invited or joined), by label.  CHAT_ERR_NOMEM. */
enum chat_err chat_rooms(struct chat_client *client, struct chat_room_list **ret) CHAT_MUST_USE;
void chat_room_list_free(struct chat_room_list *list);
/* Members and invitees in order of their invitation.  CHAT_ERR_NOT_FOUND, CHAT_ERR_NOMEM. */
enum chat_err chat_members(struct chat_client *client, const struct chat_id *room, struct chat_member_list **ret)
    CHAT_MUST_USE;
void chat_member_list_free(struct chat_member_list *list);
/* A room by its label, or by the first hex digits of its id, at least 4, if only one room has them.
 * CHAT_ERR_NOT_FOUND. */
enum chat_err chat_find_room(struct chat_client *client, const char *label, struct chat_id *ret) CHAT_MUST_USE;

struct chat_whoami {
	const char *account;
	const char *server;      /* host:port */
	const char *fingerprint; /* of the server's key, hex; "" before the first connection */
	const char *digits;      /* own member id, 8 groups of 5 digits; "" before there is an identity */
	const char *data_dir;
	struct chat_id member_id;
	bool connected;
};
/* CHAT_ERR_NOMEM */
enum chat_err chat_whoami(struct chat_client *client, struct chat_whoami **ret) CHAT_MUST_USE;
void chat_whoami_free(struct chat_whoami *whoami);

/* ---- moving an identity ------------------------------------------------------------------------------------------------------ */

/*
 * Writes the identity (root and server pin) of the configuration's account and server to `path` (0600, must not exist),
 * sealed under a passphrase of 1 to 511 bytes without NUL (yescrypt, AES-256-GCM).  CHAT_ERR_NOT_FOUND: there is none
 * that the server knows yet; CHAT_ERR_INVALID: the passphrase; CHAT_ERR_EXISTS, CHAT_ERR_PERMISSION, CHAT_ERR_IO,
 * CHAT_ERR_CRYPTO (no memory for yescrypt), CHAT_ERR_NOMEM.  No client need be running.  ret_text as in
 * chat_client_new().
 */
enum chat_err chat_identity_export(const struct chat_config *config, const char *path, const char *passphrase,
    size_t len, char **ret_text) CHAT_MUST_USE;
/* The reverse, into the configuration's data directory.  CHAT_ERR_EXISTS: there is an identity already;
 * CHAT_ERR_CANNOT_OPEN: another passphrase or a damaged file; CHAT_ERR_CONFLICT: it is for another account or server, or
 * the server's pin in it is not the one here; CHAT_ERR_NEWER, CHAT_ERR_NOT_FOUND (no such file). */
enum chat_err chat_identity_import(const struct chat_config *config, const char *path, const char *passphrase,
    size_t len, char **ret_text) CHAT_MUST_USE;
/* Forgets the pinned key of the configuration's server, after a change that was expected.  CHAT_ERR_NOT_FOUND. */
enum chat_err chat_forget_server(const struct chat_config *config) CHAT_MUST_USE;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
