/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limits_table.h"

#include "group/content.h"
#include "proto/limits.h"

#define FIXED(NAME, text)                                                                                    \
	{                                                                                                    \
#NAME, NAME, text, false                                                                     \
	}
#define OPTION(NAME, text)                                                                                   \
	{                                                                                                    \
#NAME, NAME, text, true                                                                      \
	}
#define OWN(NAME)                                                                                            \
	{                                                                                                    \
#NAME, NAME, NULL, false                                                                     \
	}

const struct limit_row limits_table[] = {
    /* frames */
    OWN(FRAME_HEADER_BYTES),
    OWN(PROTOCOL_VERSION),
    FIXED(FRAME_MAX_BEFORE_LOGIN, "frame before the login, bytes"),
    FIXED(FRAME_MAX_AFTER_LOGIN, "frame after it, bytes"),
    OWN(FRAME_ARENA_KEEP_BYTES),
    OWN(FRAME_ARENA_MAX_BYTES),
    FIXED(SOFTWARE_MAX_BYTES, "software in hello, bytes"),
    FIXED(PASSWORD_MAX_BYTES, "password, bytes"),
    FIXED(ANSWER_TEXT_MAX_BYTES, "text or mend of an error, bytes"),
    FIXED(REQUESTS_UNDER_WAY, "requests under way on a connection"),

    /* what one request may hold */
    FIXED(POST_EVENTS_MAX, "events in a batch"),
    FIXED(REWRAPS_MAX, "re-wraps in a request"),
    FIXED(EPOCHS_ASKED_MAX, "epochs in a request"),
    FIXED(OFFER_ENTRIES_MAX, "entries offered in a request"),
    FIXED(HISTORY_LIMIT_MAX, "entries in an answer"),
    FIXED(READ_CHUNK_BYTES, "entries in an answer, bytes"),
    FIXED(EVENT_MAX_BYTES, "event, bytes"),
    FIXED(MESSAGE_TEXT_MAX, "text of a message, bytes"),
    FIXED(MESSAGE_FRAME_MAX_BYTES, "message as it is posted, bytes"),
    FIXED(BAG_FIRST_MAX_BYTES, "first bag, bytes"),
    FIXED(BAG_MAX_BYTES, "bag, bytes"),
    FIXED(RECOVERY_BYTES, "recovery blob, bytes exactly"),

    /* rooms */
    OPTION(ROOM_READERS_MAX, "readers of a room"),
    FIXED(ROOM_ENTRIES_MAX, "entries of a room"),
    OPTION(ROOMS_PER_ACCOUNT, "rooms of an account"),
    FIXED(STAGED_WRAPS_PER_CONN, "staged sets of wraps on a connection"),
    FIXED(STAGED_TTL_MS, "a staged set is kept for (ms)"),
    FIXED(REWRAPS_PER_EPOCH_READER, "wraps that a client tries for an epoch"),
    FIXED(DEVICES_PER_MEMBER, "devices of a member that have said something in a room"),
    FIXED(REWRAP_ASKS_PER_ROOM, "members of a room waiting for re-wraps"),
    FIXED(REKEY_LEASE_MS, "lease of a rekey (ms)"),
    FIXED(REKEY_PER_MIN, "rekeys of an open room by a member, a minute"),
    FIXED(REKEY_BURST, "and at once"),
    FIXED(CARDS_PER_HOUR, "cards of an identity, an hour"),

    /* connections */
    OPTION(SESSIONS_PER_ACCOUNT, "sessions of an account"),
    FIXED(WATCHES_PER_CONN, "accounts watched by a connection"),
    OPTION(HANDSHAKE_TIMEOUT_MS, "TLS handshake done within (ms)"),
    OPTION(HELLO_TIMEOUT_MS, "hello said within (ms)"),
    OPTION(LOGIN_TIMEOUT_MS, "login done within (ms)"),
    OPTION(IDLE_TIMEOUT_MS, "a connection not heard is closed after (ms)"),
    FIXED(CLIENT_PING_AFTER_MS, "a client pings after (ms)"),
    FIXED(CLIENT_DEAD_AFTER_MS, "and gives up after (ms)"),
    OPTION(LOGIN_FAIL_DELAY_MS, "a failed login is answered after (ms)"),
    OPTION(LOGIN_FAIL_DELAY_MAX_MS, "and when there were many, after (ms)"),
    FIXED(LOGINS_PER_ADDRESS, "logins under way from an address"),
    OWN(CONNECTIONS_MAX),
    OWN(CONNECTIONS_PER_ADDRESS),
    OWN(HANDSHAKES_PER_TURN),
    OWN(OUTBUF_HIGH_BYTES),
    OWN(OUTBUF_LOW_BYTES),
    OWN(OUT_GATHER_BYTES),
    OWN(OUTBUF_CLOSE_BYTES),
    OWN(RANGE_READS_PER_CONN),
    OWN(ANSWER_READS_PER_CONN),
    OWN(REQUEST_UNITS_PER_MS),
    OWN(REQUEST_UNITS_BURST),
    OWN(CLOSING_TIMEOUT_MS),
    OWN(KDF_THREADS),
    OWN(KDF_QUEUE_MAX),
    OWN(LOGIN_FAIL_FORGET_MS),
    OWN(LOGIN_FAIL_ENTRIES_MAX),
    OWN(TURN_COMMANDS_MAX),
    OWN(TURN_BYTES_MAX),
    OWN(TURN_US_MAX),
    OWN(ENGINE_MAILBOX_MAX),
    OWN(LOOP_FRAMES_HIGH_BYTES),
    OWN(IDLE_ROOMS_KEPT),
    OWN(IDLE_ROOM_BYTES_KEPT),
    OWN(IDLE_ACCOUNTS_KEPT),
    OWN(IDLE_STAYS_KEPT),
};
const size_t limits_table_count = sizeof(limits_table) / sizeof(limits_table[0]);
