/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/plain.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/actions.h"
#include "client/commands.h"
#include "client/filter.h"
#include "client/prompt.h"
#include "client/queries.h"
#include "client/rooms.h"

#define LINE_MAX_BYTES                                                                                       \
	(4 * CHAT_TEXT_MAX) /* what is longer is dropped; what is longer than a text is refused with its     \
			       length */
#define TEXTS_UNDER_WAY 32  /* of input that is no terminal: below what libchat takes */
#define PROMPT_COLUMNS  24  /* of a label in the prompt */

/* ---- printing ---- */

void
plain_notice(struct plain *p, const char *fmt, ...)
{
	va_list args;
	char *body;

	va_start(args, fmt);
	if (vasprintf(&body, fmt, args) >= 0) {
		lines_notice(&p->lines, clock_unix_ms(), &p->text, body);
		free(body);
	}
	va_end(args);
}

void
plain_error(struct plain *p, const char *mend, const char *fmt, ...)
{
	va_list args;
	char *body;

	p->failed = true;
	va_start(args, fmt);
	if (vasprintf(&body, fmt, args) >= 0) {
		lines_error(&p->lines, clock_unix_ms(), &p->text, NULL, body, mend);
		free(body);
	}
	va_end(args);
}

void
plain_refused(struct plain *p, const char *name, enum chat_err err, const char *text, const char *mend)
{
	struct text why = {0};

	if (err == CHAT_ERR_LIMIT && !text) {
		text_str(&why, "too much is under way");
		mend = "wait a moment and type it again";
	} else {
		text_body(&why, text && *text ? text : chat_strerror(err));
	}
	plain_error(p, mend, "%s: %s", name, text_cstr(&why));
	text_fini(&why);
}

void
plain_row(struct plain *p, struct text *row, unsigned indent)
{
	lines_plain(&p->lines, &p->text, text_cstr(row), indent);
	text_clear(row);
}

/* The beginning of a label, if it is long. */
static void
put_short_label(struct text *out, const char *label)
{
	struct text shown = {0};

	lines_label(&shown, label);
	if (filter_columns(buf_bytes(&shown.buf)) > PROMPT_COLUMNS) {
		size_t cut = shown.buf.len;

		do { /* a character less */
			while (cut > 0 && (shown.buf.data[--cut] & 0xc0) == 0x80)
				;
		} while (filter_columns(BYTES(shown.buf.data, cut)) > PROMPT_COLUMNS - 2);
		shown.buf.len = cut;
		text_str(&shown, "..");
	}
	text_str(out, text_cstr(&shown));
	text_fini(&shown);
}

void
plain_update_prompt(struct plain *p)
{
	struct text prompt = {0};

	if (*p->progress)
		text_printf(&prompt, "(%s) ", p->progress);
	else if (!p->app->connected)
		text_str(&prompt, p->lines.lost ? "(no connection) " : "(connecting) ");
	if (p->in_room)
		put_short_label(&prompt, p->label);
	text_str(&prompt, "> ");
	prompt_set(text_cstr(&prompt));
	text_fini(&prompt);
}

/* ---- events ---- */

static void
progress(struct plain *p, const struct chat_event *event)
{
	struct text shown = {0};
	uint64_t number = chat_event_number(event), total = chat_event_total(event);

	*p->progress = '\0';
	if (total == 0 || number < total) {
		text_body(&shown, chat_event_text(event));
		if (total > 0)
			text_printf(&shown, " %u%%",
			    (unsigned)(number >= UINT64_MAX / 100 ? 0 : number * 100 / total));
		snprintf(p->progress, sizeof(p->progress), "%s", text_cstr(&shown));
		text_fini(&shown);
	}
}

static void
start(struct plain *p)
{
	if (p->started)
		return;
	p->started = true;
	if (p->terminal)
		query_rooms(p, NULL, 0);
	rooms_enter_first(p);
	if (p->editing)
		plain_notice(p, "/help lists what you can type");
}

static void
connecting(struct plain *p, const struct chat_event *event)
{
	struct text where = {0};

	if (!p->connecting && p->terminal) {
		text_body(&where, chat_event_text(event));
		plain_notice(p, "connecting to %s", text_cstr(&where));
		text_fini(&where);
	}
	p->connecting = true;
}

static void
on_event(void *ctx, const struct chat_event *event)
{
	struct plain *p = ctx;
	enum chat_event_type type = chat_event_type(event);

	if (type != CHAT_EVENT_PROGRESS)
		*p->progress = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (type) {
	case CHAT_EVENT_SERVER_UNKNOWN:
	case CHAT_EVENT_PASSWORD_NEEDED:
		questions_event(p, event);
		break;
	case CHAT_EVENT_DONE:
	case CHAT_EVENT_QUEUED:
		requests_event(p, event);
		break;
	case CHAT_EVENT_CONNECTING:
		connecting(p, event);
		break;
	case CHAT_EVENT_PROGRESS:
		progress(p, event);
		break;
	case CHAT_EVENT_DISCONNECTED:
	case CHAT_EVENT_FAILED:
		questions_withdraw(p);
		if (p->app->ended)
			break; /* the last words say it */
			       /* fall through */
	default:
		lines_event(&p->lines, event, clock_unix_ms(), &p->text);
		break;
	}
#pragma GCC diagnostic pop
	if (type == CHAT_EVENT_SYNCED)
		start(p);
	if (type == CHAT_EVENT_MESSAGE && !(chat_event_flags(event) & CHAT_FLAG_HISTORY) &&
	    chat_event_room(event))
		(void)!chat_mark_read(p->app->client, chat_event_room(event), chat_event_seq(event));
	rooms_event(p, event);
	if (p->editing)
		plain_update_prompt(p);
}

/* ---- lines of the input ---- */

static void
run_line(struct plain *p, const char *line, size_t len)
{
	struct command_line cl;
	struct text why = {0}, mend = {0};
	enum chat_err err = command_parse(line, len, &cl, &why, &mend);

	if (err == CHAT_ERR_NOMEM) {
		plain_error(p, NULL, "%s", chat_strerror(err));
	} else if (err != CHAT_OK) {
		plain_error(p, text_cstr(&mend), "%s", text_cstr(&why));
	} else {
		if (cl.command)
			cl.command->run(p, cl.args, cl.count);
		else if (cl.text_len > 0)
			action_say(p, cl.text, cl.text_len);
		command_line_fini(&cl);
	}
	text_fini(&why);
	text_fini(&mend);
}

void
plain_typed(struct plain *p, const char *line, size_t len)
{
	struct typed *typed = malloc(sizeof(*typed) + len + 1);

	if (!typed) {
		plain_error(p, NULL, "%s", chat_strerror(CHAT_ERR_NOMEM));
		return;
	}
	memcpy(typed->line, line, len);
	typed->line[len] = '\0';
	typed->len = len;
	STAILQ_INSERT_TAIL(&p->typed, typed, link);
}

/* /help and /quit do not wait for what is under way. */
static bool
goes_at_once(const struct typed *typed)
{
	struct command_line cl;
	struct text why = {0}, mend = {0};
	bool at_once = false;

	if (command_parse(typed->line, typed->len, &cl, &why, &mend) == CHAT_OK) {
		at_once = cl.command && cl.command->at_once;
		command_line_fini(&cl);
	}
	text_fini(&why);
	text_fini(&mend);
	return at_once;
}

static bool
is_command(const struct typed *typed)
{
	return typed->line[0] == '/' && typed->line[1] != '/';
}

static bool
may_run(const struct plain *p, const struct typed *typed)
{
	if (p->questions.now != QUESTION_NONE || p->app->closing || p->app->ended)
		return false;
	if (p->terminal && goes_at_once(typed))
		return true;
	if (p->requests.gates > 0)
		return false;
	/* What comes from a file or a pipe means the rooms as they are on the server; a person sees how they
	 * are here. */
	if (p->terminal)
		return true;
	return p->requests.said < (is_command(typed) ? 1 : TEXTS_UNDER_WAY);
}

/* One line at a time moves from the input to where it waits. */
static void
take_line(struct plain *p)
{
	struct bytes line;

	switch (input_next(&p->input, &line)) {
	case INPUT_LINE:
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		plain_typed(p, (const char *)line.data, line.len);
		break;
	case INPUT_TOO_LONG:
		plain_error(p, NULL, "line %llu is longer than %d bytes and was dropped",
		    (unsigned long long)p->input.line, LINE_MAX_BYTES);
		break;
	case INPUT_NONE:
		break;
	}
}

static void
run_lines(struct plain *p)
{
	for (;;) {
		struct typed *typed;

		if (STAILQ_EMPTY(&p->typed) && !p->editing)
			take_line(p);
		typed = STAILQ_FIRST(&p->typed);
		if (!typed && input_empty(&p->input))
			break;
		if (!typed)
			continue;
		if (!may_run(p, typed))
			break;
		STAILQ_REMOVE_HEAD(&p->typed, link);
		run_line(p, typed->line, typed->len);
		freezero(typed, sizeof(*typed) + typed->len);
	}
	/* Behind one that waits. */
	if (p->editing && p->requests.gates > 0) {
		struct typed *typed, *next;

		STAILQ_FOREACH_SAFE(typed, &p->typed, link, next)
		{
			if (!may_run(p, typed))
				continue;
			STAILQ_REMOVE(&p->typed, typed, typed, link);
			run_line(p, typed->line, typed->len);
			freezero(typed, sizeof(*typed) + typed->len);
		}
	}
}

void
plain_leave(struct plain *p, uint64_t wait_ms)
{
	if (p->terminal && p->requests.said > 0)
		plain_notice(
		    p, "what is not on the server yet stays in the outbox and is sent the next time");
	p->end = true;
	app_close(p->app, wait_ms);
}

/* ---- what the loop asks ---- */

static bool
wants_input(void *ctx)
{
	struct plain *p = ctx;

	if (p->questions.now != QUESTION_NONE)
		return true;
	if (p->editing)
		return !p->end;
	/* What comes from a file or a pipe means the rooms as they are on the server; a person sees how they
	 * are here. */
	return !p->input.end && STAILQ_EMPTY(&p->typed) && input_empty(&p->input) &&
	       (p->terminal || p->app->synced);
}

static void
on_input(void *ctx)
{
	struct plain *p = ctx;

	if (p->questions.now != QUESTION_NONE)
		questions_input(p);
	else if (p->editing)
		prompt_input();
	else
		input_read(&p->input, p->app->in_fd);
}

/* Only behind all that was to be printed, for readline writes past our output. */
static void
show_prompt(struct plain *p)
{
	if (p->questions.now != QUESTION_NONE || p->app->closing || p->app->ended)
		return;
	prompt_resume();
	prompt_show();
}

static void
set_columns(struct plain *p)
{
	struct winsize size;

	p->lines.columns = 0;
	if (isatty(p->app->out.fd))
		p->lines.columns =
		    ioctl(p->app->out.fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static bool
interrupted(struct plain *p)
{
	if (questions_interrupt(p) || prompt_clear_line())
		return true;
	if (p->editing && p->requests.gates > 0) {
		requests_open_gates(&p->requests);
		plain_notice(p, "not waiting any longer; what was asked for may still happen");
		return true;
	}
	return false;
}

static bool
on_signal(void *ctx, int signo)
{
	struct plain *p = ctx;

	switch (signo) {
	case SIGINT:
		return interrupted(p);
	case SIGTSTP:
		prompt_pause();
		ask_suspend(&p->questions.ask);
		return false;
	case SIGCONT:
		if (p->questions.now != QUESTION_NONE)
			ask_resume(&p->questions.ask);
		else {
			/* The shell may have changed the terminal, also where the stop did not come from it.
			 */
			prompt_pause();
			prompt_resume();
		}
		return true;
	case SIGWINCH:
		set_columns(p);
		prompt_resize();
		return true;
	default:
		return false;
	}
}

static uint64_t
on_tick(void *ctx, uint64_t mono_ms)
{
	struct plain *p = ctx;
	uint64_t next_ms;

	run_lines(p);
	next_ms = requests_tick(p, mono_ms);
	if (!p->editing && p->input.end && !p->end && STAILQ_EMPTY(&p->typed) && input_empty(&p->input)) {
		p->end = true;
		if (!p->app->opt->stay)
			plain_leave(p, p->terminal ? APP_LEAVE_MS : APP_DRAIN_MS);
	}
	if (p->questions.now == QUESTION_NONE)
		out_text(&p->app->out, &p->text);
	if (!out_pending(&p->app->out))
		show_prompt(p);
	return next_ms;
}

static void
before_output(void *ctx __attribute__((unused)))
{
	prompt_hide();
}

static void
after_output(void *ctx)
{
	show_prompt(ctx);
}

static size_t
open_count(void *ctx)
{
	const struct plain *p = ctx;

	/* A person need not wait for a server that is not there: the outbox is on the disk. */
	return p->terminal && !p->app->connected ? requests_unsaved(&p->requests) : p->requests.count;
}

/* ---- beginning and end ---- */

void
plain_run(struct app *app, int in_fd, int out_fd)
{
	static const struct app_mode mode = {
	    .event = on_event,
	    .wants_input = wants_input,
	    .input = on_input,
	    .signal = on_signal,
	    .tick = on_tick,
	    .before_output = before_output,
	    .after_output = after_output,
	    .open_count = open_count,
	};
	struct plain p = {.app = app, .terminal = isatty(in_fd), .input = {.max_bytes = LINE_MAX_BYTES}};
	struct typed *typed;

	/* readline has descriptors of its own. */
	p.editing = p.terminal && isatty(out_fd) && in_fd == STDIN_FILENO && out_fd == STDOUT_FILENO;
	STAILQ_INIT(&p.typed);
	requests_init(&p.requests);
	set_columns(&p);
	if (p.editing)
		prompt_open(&p);
	plain_update_prompt(&p);
	app_run(app, &mode, &p);
	prompt_close();
	if (p.questions.now != QUESTION_NONE)
		text_char(&p.text, '\n'); /* behind the question */
	questions_fini(&p.questions);
	out_text(&app->out, &p.text);
	if (app->exit_code == 0 && p.failed && !p.terminal)
		app->exit_code = EXIT_FAILED;
	while ((typed = STAILQ_FIRST(&p.typed))) {
		STAILQ_REMOVE_HEAD(&p.typed, link);
		freezero(typed, sizeof(*typed) + typed->len);
	}
	requests_fini(&p.requests);
	input_fini(&p.input);
	text_fini(&p.text);
}
