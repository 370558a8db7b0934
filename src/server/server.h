/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

/*
 * A whole server but its sockets that listen: loops, engine thread, readers, password hashing and the watch
 * over the password file, wired together.  main accepts connections and gives them here; tests give it one
 * end of a socketpair.
 *
 * What it is not: it reads no configuration, opens no store, handles no signal and prints nothing.
 *
 *     server_start()            threads run
 *     server_accept() ...       a connection is given away, for good
 *     server_drain()            SIGTERM: everything accepted is answered, everybody is told goodbye, threads
 * have ended server_free()
 *
 * Threads: all functions on one thread, main's, unless they say otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <chat/err.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "net/addr.h"
#include "net/mailbox.h"
#include "server/command.h"
#include "server/server_limits.h"

struct server;
struct store;
struct tls_identity;
struct loop_thread;

/* What comes back to main's mailbox: a struct mail with this tag, at the head of the struct below. */
#define SERVER_MAIL_STATUS 0x5354u

/* The answer to server_status().  The receiver frees it with server_status_free(). */
struct server_status_mail {
	struct mail mail;
	void *token;
	enum status_what what;
	enum chat_err err; /* else text is empty */
	struct buf text;   /* lines, see enum status_what */
};
void server_status_free(struct server_status_mail *status); /* NULL is allowed */

struct server_config {
	struct server_limits *limits;  /* the server takes references of its own; the caller keeps its one */
	struct store *store;           /* borrowed; open, and nobody else's until server_free() */
	struct tls_identity *identity; /* likewise a reference is taken */
	const char *passwd_path;       /* copied by who needs it */
	const char *software;          /* for HelloOk, as "chat-server 0.1.0"; static storage */
	uint16_t loop_count;           /* at least 1 */
	/* For answers to server_status(); borrowed, may be NULL if that is never called. */
	struct mailbox *main_mailbox;
	/* On a loop's thread: a connection that server_accept() was given has ended.  May be NULL. */
	void (*connection_ended)(void *ctx, const struct net_addr *peer);
	void *ctx;
};

/*
 * Looks at the password file once (a bad or missing one is logged, and no account is then in force), starts
 * all threads. CHAT_ERR_NOMEM, CHAT_ERR_IO (no thread, no epoll; errno says), CHAT_ERR_CRYPTO (libcrypt),
 * what the store says.
 */
enum chat_err server_start(const struct server_config *config, struct server **ret) MUST_USE;

/*
 * Gives a connected, non-blocking socket to the loop with the fewest.  The fd is the server's from now on,
 * whatever happens, and connection_ended is called once for it, perhaps before this returns.
 */
void server_accept(struct server *server, int fd, const struct net_addr *peer);

/* Puts new limits in force: for what exists, too, as far as it looks at them from now on. */
void server_reload(struct server *server, struct server_limits *limits);
/* Looks at the password file now, and not within a second. */
void server_look_at_passwords(struct server *server);

/* Asks for the status; a server_status_mail comes, with the token.  CHAT_ERR_NOMEM, CHAT_ERR_CLOSED. */
enum chat_err server_status(struct server *server, enum status_what what, void *token) MUST_USE;

/* How many connections there are, in all loops.  Any thread. */
uint32_t server_connection_count(const struct server *server);

/* How many password hashes were run.  Any thread. */
uint64_t server_hash_count(const struct server *server);
/* Appends what of a summary the engine does not know: accounts, the complaint about their file, connections,
 * and what waits where.  CHAT_ERR_NOMEM. */
enum chat_err server_append_queues(const struct server *server, struct buf *text) MUST_USE;

#define SERVER_DRAIN_MS 5000
/*
 * Ends it: reads no more requests, answers those it has, says Goodbye{shutdown} to all and closes.  Returns
 * when all threads have ended: after SERVER_DRAIN_MS of waiting for peers at most, and what the last commit
 * takes.
 */
void server_drain(struct server *server);
/* Drains first, unless that was done; NULL is allowed. */
void server_free(struct server *server);

#endif
