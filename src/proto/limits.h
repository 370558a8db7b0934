/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

/*
 * Every thing that a peer can make grow, with its limit and the reason.  Limits that an administrator may change are
 * options (chat-server.conf(5)); the number here is their default, and where two are given the second is the
 * largest that the option takes.  Each has a test at its edge.
 */

/* frames */
#define FRAME_HEADER_BYTES        4
#define FRAME_MAX_BEFORE_LOGIN    (16 * 1024)        /* a card, bag and blob fit; a stranger costs no more */
#define FRAME_MAX_AFTER_LOGIN     (1024 * 1024)      /* 2,000 wraps fit in one */
#define FRAME_ARENA_KEEP_BYTES    (64 * 1024)        /* decoding most frames takes no malloc; one per loop */
#define FRAME_ARENA_MAX_BYTES     (8 * 1024 * 1024)  /* 1 MiB of honest stubs fits; of 2-byte fields it would take 128 */
#define PROTOCOL_VERSION          1
#define SOFTWARE_MAX_BYTES        64
#define PASSWORD_MAX_BYTES        511                /* crypt(5): CRYPT_MAX_PASSPHRASE_SIZE less the NUL */

/* what one request may hold */
#define POST_EVENTS_MAX           64
#define REWRAPS_MAX               64
#define EPOCHS_ASKED_MAX          64
#define HISTORY_LIMIT_MAX         1000
#define READ_CHUNK_BYTES          (64 * 1024)        /* one read of a log: bounds memory per slow reader */
#define EVENT_MAX_BYTES           2048               /* the longest, a rekey with a full info_box, has 1,836 */
#define MESSAGE_FRAME_MAX_BYTES   (49 * 1024)        /* a message of 768 units of padding has 49,377 */
#define OFFER_ENTRIES_MAX         1000
#define ANSWER_TEXT_MAX_BYTES     1024               /* text and mend of an Error, text of a Goodbye */
#define BAG_FIRST_MAX_BYTES       (14 * 1024)        /* published before login: one RSA key, and room to spare */
#define BAG_MAX_BYTES             (256 * 1024)       /* 140 RSA keys: a rotation every month for ten years */
#define RECOVERY_BYTES            93

/* rooms */
#define ROOM_READERS_MAX          2000
#define ROOM_ENTRIES_MAX          (UINT64_C(1) << 40)
#define ROOMS_PER_ACCOUNT         1000
#define DEVICES_PER_MEMBER        4096               /* in a room, for ever: a new one each day for eleven years */
#define STAGED_WRAPS_PER_CONN     2                  /* one rekey under way, and one after a lost race */
#define STAGED_TTL_MS             60000
#define REWRAPS_PER_EPOCH_READER  3                  /* candidates that a client ever tries */

/* connections */
#define REQUESTS_UNDER_WAY        64                 /* more are not read: what bounds the answers */
#define SESSIONS_PER_ACCOUNT      16
#define CONNECTIONS_MAX           16000
#define CONNECTIONS_PER_ADDRESS   1000
#define HANDSHAKES_PER_TURN       4                  /* of a loop; a handshake step is 0.1 ms */
#define HANDSHAKE_TIMEOUT_MS      10000
#define HELLO_TIMEOUT_MS          10000
#define LOGIN_TIMEOUT_MS          120000             /* a person types a password */
#define IDLE_TIMEOUT_MS           75000
#define CLIENT_PING_AFTER_MS      15000
#define CLIENT_DEAD_AFTER_MS      30000
#define OUTBUF_HIGH_BYTES         (256 * 1024)       /* above it a subscription falls BEHIND */
#define OUTBUF_LOW_BYTES          (64 * 1024)
#define OUT_GATHER_BYTES          (16 * 1024)        /* one TLS record, one system call */
#define OUTBUF_CLOSE_BYTES        (4 * 1024 * 1024)  /* only pushes that nobody can stop come this far: it is closed */
#define WATCHES_PER_CONN          64                 /* GetCard with watch */
#define RANGE_READS_PER_CONN      2                  /* stored entries for subscriptions, each READ_CHUNK_BYTES */
#define ANSWER_READS_PER_CONN     4                  /* requests under way that a reader answers; more are not read */
#define REQUEST_UNITS_PER_MS      100                /* of requests_cost(): one connection may keep one core busy */
#define REQUEST_UNITS_BURST       200000             /* two seconds of it, for a client that catches up */
#define CLOSING_TIMEOUT_MS        5000               /* for the last bytes and the peer's end of the connection */

/* login */
#define KDF_THREADS               2
#define KDF_QUEUE_MAX             64                 /* at 14 ms each: under half a second of waiting */
#define LOGIN_FAIL_DELAY_MS       1000               /* from receipt to answer, whatever the reason */
#define LOGIN_FAIL_DELAY_MAX_MS   30000              /* grown by repetition, per address and account */
#define LOGIN_FAIL_FORGET_MS      600000             /* the last failure is forgotten after this long */
#define LOGIN_FAIL_ENTRIES_MAX    4096               /* remembered, of addresses and of accounts each; the oldest go */
#define LOGINS_PER_ADDRESS        16                 /* passwords under way, answered late ones too; then busy */

/* engine */
#define TURN_COMMANDS_MAX         512
#define TURN_BYTES_MAX            (1024 * 1024)
#define TURN_US_MAX               2000
#define ENGINE_MAILBOX_MAX        65536
#define LOOP_FRAMES_HIGH_BYTES    (8 * 1024 * 1024)  /* a loop behind by more gets numbers instead of frames */
#define REKEY_LEASE_MS            5000
#define REKEY_PER_MIN             1                  /* voluntary ones, per member */
#define REKEY_BURST               3
#define CARDS_PER_HOUR            1
#define REWRAP_ASKS_PER_ROOM      256
#define IDLE_ROOMS_KEPT           1024               /* in memory though nobody follows them; the longest idle go */
#define IDLE_ROOM_BYTES_KEPT      (64 * 1024 * 1024) /* and as much: a room of 2,000 takes 1 MiB */
#define IDLE_ACCOUNTS_KEPT        4096               /* the same of accounts without sessions, 1 KiB each */
#define IDLE_STAYS_KEPT           65536              /* and of the rooms that these are in, 150 bytes each */

#endif
