/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FAKE_SESSION_H
#define FAKE_SESSION_H

/*
 * A session without a protocol, to drive the client around it (libchat/client.h): link it before
 * libchat-core.  What the server says is one byte each:
 *
 *     'c'  logged in: CONNECTED, SYNCED          'p'  PASSWORD_NEEDED
 *     'm'  a MESSAGE in the one room             'j'  a JOINED there: one more member
 *     'd'  the oldest open request is done       'w'  an item of work; WARNING when it is done
 *     'g'  the connection ends, retry after 70 ms       'f'  it ends for good, login refused
 *     'i'  the stored identity is read; it ends for good, storage failed
 *
 * What the client says: "H" and the binding at the start of a connection, 'P' for a ping after 40 ms of
 * silence (after 80 the connection ends), "S" and the text for chat_send(), "R" for any other request, "W"
 * and the password.
 */

#include "base/digest.h"

/* The id of the one room, "hall", which is there from the start. */
extern const struct digest fake_room;

/* Set it before a client starts; at first an hour. */
extern uint64_t fake_ping_ms;

#endif
