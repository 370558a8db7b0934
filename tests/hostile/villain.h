/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HOSTILE_VILLAIN_H
#define HOSTILE_VILLAIN_H

/*
 * A server that lies: a real one, in this process, with its store, its threads and TLS over TCP, which a test
 * can make say something else to one account than it would, and not hear what that account asks.  To
 * everybody else it is honest, so people and rooms are made in the usual way (crowd.h).
 *
 * It works by standing in front of two functions of the server, conn_send() and session_request(): a program
 * that uses it is linked with villain_ldflags.
 *
 * Threads: the test's own, but the lies are told on the loops' threads; one at a time, and none any more when
 * villain_lie() has returned.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "host.h"
#include "proto/chat.pb-c.h"

struct villain;

/* What is said in place of a frame, or of doing what was asked for. */
struct mouth;
void mouth_say(struct mouth *mouth, const Chat__V1__ServerFrame *frame);
void mouth_say_bytes(struct mouth *mouth, struct bytes b); /* any; a frame has to bring its length */
/* The connection is cut behind that. */
void mouth_cut(struct mouth *mouth);

/* False: the frame goes as it is, or the request is done. */
typedef bool (*tongue_fn)(void *ctx, const Chat__V1__ServerFrame *frame, struct mouth *mouth);
typedef bool (*ear_fn)(void *ctx, const Chat__V1__ClientFrame *frame, struct mouth *mouth);

/* accounts: as host_start()'s. */
struct villain *villain_start(const char *const *accounts);
/* Where peers and clients find it; borrowed. */
struct host *villain_host(struct villain *villain);
/* From now on to this account ("": to whom is not logged in yet); NULL for what is not changed. */
void villain_lie(struct villain *villain, const char *account, tongue_fn tongue, ear_fn ear, void *ctx);
void villain_be_honest(struct villain *villain);
/* Ends it in good order. */
void villain_stop(struct villain *villain);

#endif
