/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/json.h"

#include <sys/queue.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/input.h"

/* Enough for a text of CHAT_TEXT_MAX with every byte escaped, and for an invitation of 2,000 accounts. */
#define LINE_MAX_BYTES (256 * 1024)
/* With so many commands open the input is left where it is; fewer than the library takes. */
#define OPEN_MAX 512

/* A command whose end is still to come. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	uint64_t token;
	const char *cmd;
	json_t *id; /* owned; NULL: it had none */
};

struct json {
	struct app *app;
	struct input input;
	TAILQ_HEAD(, waiting) waiting;
	size_t waiting_count;
	bool end; /* of the input */
};

/* ---- memory: a password may be in it ---- */

#define HEADER_BYTES 16 /* keeps the alignment of malloc() */

static void *
secret_malloc(size_t n)
{
	unsigned char *p = n <= SIZE_MAX - HEADER_BYTES ? malloc(n + HEADER_BYTES) : NULL;

	if (!p)
		return NULL;
	memcpy(p, &n, sizeof(n));
	return p + HEADER_BYTES;
}

static void
secret_free(void *at)
{
	unsigned char *p = at;
	size_t n;

	if (!p)
		return;
	p -= HEADER_BYTES;
	memcpy(&n, p, sizeof(n));
	freezero(p, n + HEADER_BYTES);
}

/* ---- output ---- */

/* Takes over object; NULL: it could not be made. */
static void
print(struct json *j, json_t *object)
{
	char *s = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	struct text line = {0};

	if (s) {
		text_str(&line, s);
		text_char(&line, '\n');
	}
	line.failed |= s == NULL;
	out_text(&j->app->out, &line);
	text_fini(&line);
	secret_free(s); /* jansson's */
	json_decref(object);
}

/* Adds what says whose end this is. */
static void
put_origin(json_t *object, const char *cmd, json_t *id)
{
	if (object && cmd)
		(void)json_object_set_new(object, "cmd", json_string(cmd));
	if (object && id)
		(void)json_object_set(object, "id", id);
}

/* The `done' of what ended without the library. */
static void
print_done(struct json *j, const char *cmd, json_t *id, enum chat_err err, const char *why, json_t *fields)
{
	json_t *object = json_pack("{ss ss}", "event", "done", "err", chat_err_name(err));

	put_origin(object, cmd, id);
	if (object && err != CHAT_OK)
		(void)json_object_set_new(
		    object, "text", json_text(BYTES_STR(*why ? why : chat_strerror(err))));
	if (object && fields)
		(void)json_object_update(object, fields);
	print(j, object);
}

/* ---- commands that wait ---- */

static void
forget(struct json *j, struct waiting *w)
{
	TAILQ_REMOVE(&j->waiting, w, link);
	j->waiting_count--;
	json_decref(w->id);
	free(w);
}

static struct waiting *
find(struct json *j, uint64_t token)
{
	struct waiting *w;

	TAILQ_FOREACH (w, &j->waiting, link) {
		if (w->token == token)
			return w;
	}
	return NULL;
}

static void
wait_for(struct json *j, const struct json_result *result, json_t *id)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		print_done(j, result->cmd, id, CHAT_ERR_NOMEM, "", NULL);
		return;
	}
	w->token = result->token;
	w->cmd = result->cmd;
	w->id = json_incref(id);
	TAILQ_INSERT_TAIL(&j->waiting, w, link);
	j->waiting_count++;
}

/* ---- events ---- */

/* The input has ended: a question of the library will stay open. */
static void
nobody_answers(struct json *j)
{
	if (j->app->asked == CHAT_EVENT_PASSWORD_NEEDED)
		app_fail(j->app, EXIT_LOGIN, "the server wants the password, and nobody is there to give it",
		    NULL);
	else if (j->app->asked == CHAT_EVENT_SERVER_UNKNOWN)
		app_fail(
		    j->app, EXIT_CONNECT, "nobody is there to say whether the server is the right one", NULL);
}

static void
on_event(void *ctx, const struct chat_event *event)
{
	struct json *j = ctx;
	enum chat_event_type type = chat_event_type(event);
	json_t *object = json_event(event);
	bool ends = type == CHAT_EVENT_DONE;
	struct waiting *w = ends || type == CHAT_EVENT_QUEUED ? find(j, chat_event_token(event)) : NULL;

	if (w)
		put_origin(object, w->cmd, w->id);
	print(j, object);
	if (w && ends)
		forget(j, w);
	if (type == CHAT_EVENT_PASSWORD_NEEDED)
		(void)!app_password(j->app, event);
	if (j->end)
		nobody_answers(j);
}

/* ---- input ---- */

static bool
is_blank(struct bytes line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
			return false;
	}
	return true;
}

static void
bad_line(struct json *j, enum chat_err err, const char *what)
{
	struct text why = {0};

	text_printf(&why, "line %llu: %s", (unsigned long long)j->input.line, what);
	print_done(j, NULL, NULL, err, text_cstr(&why), NULL);
	text_fini(&why);
}

static void
run_command(struct json *j, const json_t *command)
{
	struct json_result result;
	struct text why = {0};
	json_t *id = json_object_get(command, "id");

	json_command(j->app, command, &result, &why);
	if (result.err == CHAT_OK && result.token != 0)
		wait_for(j, &result, id);
	else
		print_done(j, result.cmd, id, result.err, text_cstr(&why), result.fields);
	if (result.quit) {
		j->end = true;
		app_close(j->app, APP_DRAIN_MS);
	}
	json_result_fini(&result);
	text_fini(&why);
}

static void
run_line(struct json *j, struct bytes line)
{
	json_error_t error;
	json_t *command;

	if (is_blank(line))
		return;
	command = json_loadb((const char *)line.data, line.len, JSON_FLAGS, &error);
	if (!command)
		bad_line(j, CHAT_ERR_SYNTAX, error.text);
	else if (!json_is_object(command))
		bad_line(j, CHAT_ERR_SYNTAX, "a command is an object: {\"cmd\":...}");
	else
		run_command(j, command);
	json_decref(command);
}

/* Who writes faster than the server answers waits.  Not with a question open: a later line may answer it. */
static bool
is_full(const struct json *j)
{
	return j->waiting_count >= OPEN_MAX && j->app->asked == 0;
}

static void
run_lines(struct json *j)
{
	while (!j->end && !is_full(j)) {
		struct bytes line;
		enum input_result got = input_next(&j->input, &line);

		if (got == INPUT_NONE)
			break;
		if (got == INPUT_TOO_LONG)
			bad_line(j, CHAT_ERR_TOO_LONG, "the line is too long");
		else
			run_line(j, line);
	}
	if (!j->input.end || j->end || !input_empty(&j->input))
		return;
	j->end = true;
	nobody_answers(j);
	if (!j->app->opt->stay)
		app_close(j->app, APP_DRAIN_MS);
}

static void
on_input(void *ctx)
{
	struct json *j = ctx;

	input_read(&j->input, j->app->in_fd);
	run_lines(j);
}

/* ---- what the loop asks ---- */

static bool
wants_input(void *ctx)
{
	const struct json *j = ctx;

	return !j->end && !j->input.end && !is_full(j);
}

static bool
on_signal(void *ctx __attribute__((unused)), int signo)
{
	return signo == SIGCONT || signo == SIGWINCH;
}

/* The lines that were read and had to wait. */
static uint64_t
on_tick(void *ctx, uint64_t mono_ms __attribute__((unused)))
{
	struct json *j = ctx;

	if (!j->app->closing && !j->app->ended)
		run_lines(j);
	return NEVER_MS;
}

static void
around_output(void *ctx __attribute__((unused)))
{
}

static size_t
open_count(void *ctx)
{
	const struct json *j = ctx;

	return j->waiting_count;
}

void
json_run(struct app *app)
{
	static const struct app_mode mode = {
	    .event = on_event,
	    .wants_input = wants_input,
	    .input = on_input,
	    .signal = on_signal,
	    .tick = on_tick,
	    .before_output = around_output,
	    .after_output = around_output,
	    .open_count = open_count,
	};
	struct json j = {.app = app, .input = {.max_bytes = LINE_MAX_BYTES}};
	struct waiting *w;

	json_set_alloc_funcs(secret_malloc, secret_free);
	TAILQ_INIT(&j.waiting);
	app_run(app, &mode, &j);
	/* Whose end nobody will tell any more. */
	while ((w = TAILQ_FIRST(&j.waiting))) {
		print_done(&j, w->cmd, w->id, app->closing ? CHAT_ERR_TIMEOUT : CHAT_ERR_CLOSED, "", NULL);
		forget(&j, w);
	}
	input_fini(&j.input);
}
