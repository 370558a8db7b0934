/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

/*
 * The --json mode: commands in, events out, an object to a line (chat-client(1), JSON).  Every line that
 * comes in and is not blank is answered by exactly one `done' with the id it had.
 *
 * What goes out is ASCII: other characters are escaped, so it is harmless on a terminal.
 *
 * json_commands.c has the table of commands, json_event.c says events as objects.
 *
 * Threads: the main one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <chat/chat.h>
#include <chat/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "client/app.h"

void json_run(struct app *app);

/* ---- events ---- */

/* The caller's; NULL: out of memory. */
json_t *json_event(const struct chat_event *event) MUST_USE;
/* A string of what may be no UTF-8: what is not becomes U+FFFD.  NULL: out of memory. */
json_t *json_text(struct bytes text) MUST_USE;
json_t *json_id(const struct chat_id *id) MUST_USE; /* as hex */

/* ---- commands ---- */

/* How a line is read (jansson). */
#define JSON_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY)

/* What a command came to. */
struct json_result {
	enum chat_err err;
	uint64_t token;  /* not 0: its end comes as an event */
	json_t *fields;  /* to be put into the `done'; owned; NULL: none */
	const char *cmd; /* its name in the table; NULL: it has none there */
	bool quit;
};

/* Does it.  Where err is not CHAT_OK, why has a sentence if there is more to say than chat_strerror(). */
void json_command(struct app *app, const json_t *command, struct json_result *ret, struct text *why);
void json_result_fini(struct json_result *result);

/* The names and fields, for the test that compares the manual page: NULL behind the last one. */
const char *json_command_name(size_t i);
const char *json_command_field(size_t i, size_t field);

#endif
