/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The rows of options.h.  After a change: make update-options. */

#include <assert.h>

#include "base/log.h"
#include "proto/limits.h"
#include "server/options.h"

static const char *const level_words[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
    NULL,
};

#define HOUR_MS     UINT64_C(3600000)
#define KIB         UINT64_C(1024)
#define FIELD(f)    .offset = offsetof(struct options, f)
#define NO_LIMIT    .special = "0", .special_means = "no limit"
#define RANGE(a, b) .min = (a), .max = (b)

const struct option_row option_rows[] = {
    {
	.section = "Where it listens",
	.name = "listen",
	.type = OPTION_ADDRESSES,
	.when = OPTION_RESTART,
	FIELD(listen),
	.initial_text = "*",
	.special = "*",
	.special_means = "every address of the machine",
	.flag = 'l',
	.help = "Addresses or host names to listen on, separated by commas.",
    },
    {
	.name = "port",
	.type = OPTION_NUMBER,
	.when = OPTION_RESTART,
	FIELD(port),
	RANGE(0, 65535),
	.initial = 8820,
	.special = "0",
	.special_means = "any free one, which is printed",
	.flag = '#',
	.help = "The TCP port.",
    },
    {
	.section = "Files",
	.name = "state_dir",
	.type = OPTION_PATH,
	.when = OPTION_RESTART,
	FIELD(state_dir),
	.initial_text = "default",
	.special = "default",
	.special_means = "/var/lib/secure-chat for root, and for others\n"
			 "$XDG_STATE_HOME/secure-chat,\n"
			 "or ~/.local/state/secure-chat where that is not set",
	.flag = 'd',
	.help = "The folder of the database, the lock and the control socket;\n"
		"made with mode 0700 if missing.\n"
		"The relative paths below start there.",
    },
    {
	.name = "password_file",
	.type = OPTION_PATH,
	.when = OPTION_RESTART,
	FIELD(password_file),
	.initial_text = "passwd",
	.flag = 'p',
	.help = "The accounts; chat-passwd keeps the file, and the server follows it.",
    },
    {
	.name = "tls_key",
	.type = OPTION_PATH,
	.when = OPTION_RESTART,
	FIELD(tls_key),
	.initial_text = "tls-key.pem",
	.help = "The private key of the server; made on the first start.\n"
		"Clients pin it: with another key they refuse to connect.",
    },
    {
	.name = "tls_cert",
	.type = OPTION_PATH,
	.when = OPTION_RESTART,
	FIELD(tls_cert),
	.initial_text = "tls-cert.pem",
	.help = "The certificate of that key; made if missing.",
    },
    {
	.section = "Log",
	.name = "log_file",
	.type = OPTION_PATH,
	.when = OPTION_RELOAD,
	FIELD(log_file),
	.initial_text = "stderr",
	.special = "stderr",
	.special_means = "no file",
	.help = "Where the log goes; opened anew at SIGUSR1 and at a reload.",
    },
    {
	.name = "log_level",
	.type = OPTION_CHOICE,
	.when = OPTION_RELOAD,
	FIELD(log_level),
	.initial = LOG_INFO,
	.words = level_words,
	.help = "Lines that are less urgent are left out.",
    },
    {
	.section = "History",
	.name = "history_days",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(history_days),
	RANGE(0, 36500),
	.initial = 0,
	NO_LIMIT,
	.unit = "days",
	.help = "How long messages are kept.\n"
		"Older ones are removed, but for their numbers and hashes.\n"
		"A room may keep less by its own settings.",
    },
    {
	.name = "history_entries",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(history_entries),
	RANGE(0, ROOM_ENTRIES_MAX),
	.initial = 0,
	NO_LIMIT,
	.unit = "entries of a room",
	.help = "How many of the newest entries of a room are kept; and not many more.\n"
		"A room may keep less by its own settings.",
    },
    {
	.section = "Accounts and rooms",
	.name = "sessions_per_account",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(sessions_per_account),
	RANGE(1, 1000),
	.initial = SESSIONS_PER_ACCOUNT,
	.unit = "sessions",
	.help = "How often an account may be logged in at once;\n"
		"one more login is refused.",
    },
    {
	.name = "rooms_per_account",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(rooms_per_account),
	RANGE(1, 100000),
	.initial = ROOMS_PER_ACCOUNT,
	.unit = "rooms",
	.help = "In how many rooms an account may be, invitations included.",
    },
    {
	.name = "room_readers_max",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(room_readers_max),
	RANGE(2, ROOM_READERS_MAX),
	.initial = ROOM_READERS_MAX,
	.unit = "members",
	.help = "How many members and invited ones a room may have.",
    },
    {
	.section = "Connections",
	.name = "loops",
	.type = OPTION_NUMBER,
	.when = OPTION_RESTART,
	FIELD(loops),
	RANGE(0, 64),
	.initial = 0,
	.special = "0",
	.special_means = "one for each processor",
	.unit = "threads",
	.help = "Threads that serve connections.",
    },
    {
	.name = "connections_max",
	.type = OPTION_NUMBER,
	.when = OPTION_RESTART,
	FIELD(connections_max),
	RANGE(1, 1000000),
	.initial = CONNECTIONS_MAX,
	.unit = "connections",
	.help = "How many connections there may be; more are closed at once.\n"
		"The process needs as many open files, and a few.",
    },
    {
	.name = "connections_per_address",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(connections_per_address),
	RANGE(0, 1000000),
	.initial = CONNECTIONS_PER_ADDRESS,
	NO_LIMIT,
	.unit = "connections",
	.help = "How many of them one address may have; of IPv6 one network of 64 bits.",
    },
    {
	.name = "handshake_timeout",
	.type = OPTION_DURATION,
	.when = OPTION_RELOAD,
	FIELD(handshake_timeout_ms),
	RANGE(1000, HOUR_MS),
	.initial = HANDSHAKE_TIMEOUT_MS,
	.help = "A connection is closed unless its TLS handshake is done by then.",
    },
    {
	.name = "hello_timeout",
	.type = OPTION_DURATION,
	.when = OPTION_RELOAD,
	FIELD(hello_timeout_ms),
	RANGE(1000, HOUR_MS),
	.initial = HELLO_TIMEOUT_MS,
	.help = "The time for the first request after the handshake.",
    },
    {
	.name = "login_timeout",
	.type = OPTION_DURATION,
	.when = OPTION_RELOAD,
	FIELD(login_timeout_ms),
	RANGE(1000, HOUR_MS),
	.initial = LOGIN_TIMEOUT_MS,
	.help = "The time for the login after that; somebody may have to type a password.",
    },
    {
	.name = "idle_timeout",
	.type = OPTION_DURATION,
	.when = OPTION_RELOAD,
	FIELD(idle_timeout_ms),
	/* Clients send a ping after CLIENT_PING_AFTER_MS. */
	RANGE(CLIENT_PING_AFTER_MS + 5000, 24 * HOUR_MS),
	.initial = IDLE_TIMEOUT_MS,
	.help = "A session that sends nothing for so long is closed;\n"
		"clients send a ping every 15 seconds.",
    },
    {
	.section = "Slow and busy clients",
	.name = "outbuf_high",
	.type = OPTION_SIZE,
	.when = OPTION_RELOAD,
	FIELD(outbuf_high_bytes),
	RANGE(16 * KIB, OUTBUF_CLOSE_BYTES / 2),
	.initial = OUTBUF_HIGH_BYTES,
	.help = "When more than this waits to be sent to a client, new entries are no\n"
		"longer queued: it gets them from the database when it has caught up.",
    },
    {
	.name = "outbuf_low",
	.type = OPTION_SIZE,
	.when = OPTION_RELOAD,
	FIELD(outbuf_low_bytes),
	RANGE(4 * KIB, OUTBUF_CLOSE_BYTES / 4),
	.initial = OUTBUF_LOW_BYTES,
	.help = "It has caught up when less than this waits; less than outbuf_high.",
    },
    {
	.name = "request_units_per_ms",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(request_units_per_ms),
	RANGE(1, 10000),
	.initial = REQUEST_UNITS_PER_MS,
	.unit = "times 10 microseconds of work a millisecond",
	.help = "How much work one connection may ask for;\n"
		"the requests of one that asks for more wait.\n"
		"A message is 3, a login 1400.",
    },
    {
	.name = "request_units_burst",
	.type = OPTION_NUMBER,
	.when = OPTION_RELOAD,
	FIELD(request_units_burst),
	/* The dearest request, an offer of 1,000 entries, is 10,010. */
	RANGE(20000, 100000000),
	.initial = REQUEST_UNITS_BURST,
	.unit = "times 10 microseconds of work",
	.help = "How much of it may come at once, after a rest.",
    },
    {
	.section = "Logins",
	.name = "kdf_queue_max",
	.type = OPTION_NUMBER,
	.when = OPTION_RESTART,
	FIELD(kdf_queue_max),
	RANGE(1, 4096),
	.initial = KDF_QUEUE_MAX,
	.unit = "passwords",
	.help = "How many passwords may wait to be verified;\n"
		"further ones are told to try again later.",
    },
    {
	.name = "login_fail_delay",
	.type = OPTION_DURATION,
	.when = OPTION_RELOAD,
	FIELD(login_fail_delay_ms),
	RANGE(100, 60000),
	.initial = LOGIN_FAIL_DELAY_MS,
	.help = "A refused password is answered after this time, whatever was wrong.",
    },
    {
	.name = "login_fail_delay_max",
	.type = OPTION_DURATION,
	.when = OPTION_RELOAD,
	FIELD(login_fail_delay_max_ms),
	RANGE(100, 600000),
	.initial = LOGIN_FAIL_DELAY_MAX_MS,
	.help = "The time grows with the refusals of an address or account, up to this.",
    },
};

const size_t option_row_count = ARRAY_LEN(option_rows);
static_assert(ARRAY_LEN(option_rows) <= OPTION_ROWS_MAX, "OPTION_ROWS_MAX");
