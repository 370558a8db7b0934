/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/app.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/secret.h"
#include "client/signals.h"

#define EVENTS_PER_TURN 256
#define FAILED_WAIT_MS  5000 /* for the DONE of requests that are open when the client failed */
#define LAST_WRITE_MS   2000 /* for a reader of the output that is slow, at the end */
#define FORGET_COMMAND  "chat-client server forget"

/* ---- how it ends ---- */

void
app_close(struct app *app, uint64_t wait_ms)
{
	uint64_t deadline = clock_mono_ms() + wait_ms;

	if (!app->closing || deadline < app->close_deadline_ms)
		app->close_deadline_ms = deadline;
	app->closing = true;
}

void
app_fail(struct app *app, int exit_code, const char *text, const char *mend)
{
	app->ended = true;
	if (app->exit_code != 0)
		return;
	app->exit_code = exit_code;
	text_body(&app->last_words, text);
	if (mend && *mend) {
		text_str(&app->last_words, "\n");
		text_body(&app->last_words, mend);
	}
}

static int
exit_code_of(const struct app *app, enum chat_err err)
{
	switch ((int)err) {
	case CHAT_ERR_PEER_CHANGED:
		return EXIT_CHANGED;
	case CHAT_ERR_LOGIN_REFUSED:
	case CHAT_ERR_PASSWORD_REQUIRED:
	case CHAT_ERR_NO_ACCOUNT:
	case CHAT_ERR_EVICTED:
		return EXIT_LOGIN;
	case CHAT_ERR_NOMEM:
	case CHAT_ERR_LOCKED:
	case CHAT_ERR_CORRUPT:
	case CHAT_ERR_NEWER:
	case CHAT_ERR_PERMISSION:
		return EXIT_FAILED;
	default:
		return app->was_connected ? EXIT_LOST : EXIT_CONNECT;
	}
}

/* The client has failed.  What is still open ends before the queue says that it is closed. */
static void
failed(struct app *app, const struct chat_event *event)
{
	enum chat_err err = chat_event_err(event);
	const char *text = chat_event_text(event);
	struct text mend = {0};

	text_str(&mend, chat_event_mend(event));
	/* Only of a pinned key that changed: what forgets it, with the options that this program was started with.
	 * Another key than the one demanded, and another server with the same key, are not mended by that. */
	if (strncmp(chat_event_mend(event), FORGET_COMMAND, strlen(FORGET_COMMAND)) == 0) {
		text_clear(&mend);
		text_str(&mend, "If that was expected, type: ");
		options_forget_line(app->opt, &mend);
	}
	app_fail(app, exit_code_of(app, err), *text ? text : chat_strerror(err), text_cstr(&mend));
	text_fini(&mend);
	app->ended = false;
	app_close(app, FAILED_WAIT_MS);
}

/* No connection was ever there: more attempts are for those who ask for them. */
static void
disconnected(struct app *app, const struct chat_event *event)
{
	enum chat_err err = chat_event_err(event);
	const char *text = chat_event_text(event);

	app->connected = false;
	app->asked = 0;
	if (app->was_connected || app->opt->wait)
		return;
	if (err == CHAT_ERR_CONNECT || err == CHAT_ERR_IO || err == CHAT_ERR_TLS || err == CHAT_ERR_TIMEOUT ||
	    err == CHAT_ERR_CLOSED)
		app_fail(app, EXIT_CONNECT, *text ? text : chat_strerror(err), chat_event_mend(event));
	else if (err == CHAT_ERR_LIMIT)
		app_fail(app, EXIT_LOGIN, *text ? text : chat_strerror(err), chat_event_mend(event));
}

static void
look_at(struct app *app, const struct chat_event *event)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (chat_event_type(event)) {
	case CHAT_EVENT_SERVER_UNKNOWN:
	case CHAT_EVENT_PASSWORD_NEEDED:
		app->asked = chat_event_type(event);
		break;
	case CHAT_EVENT_CONNECTED:
		app->connected = app->was_connected = true;
		app->asked = 0;
		break;
	case CHAT_EVENT_SYNCED:
		app->synced = true;
		break;
	case CHAT_EVENT_DISCONNECTED:
		disconnected(app, event);
		break;
	case CHAT_EVENT_FAILED:
		failed(app, event);
		break;
	default:
		break;
	}
#pragma GCC diagnostic pop
}

bool
app_password(struct app *app, const struct chat_event *event)
{
	struct text why = {0};

	if (!app->opt->password_file)
		return false;
	if (chat_event_err(event) == CHAT_ERR_LOGIN_REFUSED) {
		text_printf(&why, "the server refuses %s with the password in %s", app->opt->user,
		    app->opt->password_file);
		app_fail(app, EXIT_LOGIN, text_cstr(&why), NULL);
	} else if (app->password.len == 0 &&
		   secret_read(app->opt->password_file, &app->password, &why) != CHAT_OK) {
		app_fail(app, EXIT_LOGIN, text_cstr(&why), NULL);
	} else {
		/* Nothing asked any more: the connection went meanwhile, and the question comes again. */
		(void)!chat_give_password(app->client, (const char *)app->password.data, app->password.len);
		buf_fini_secret(&app->password);
		app->asked = 0;
	}
	text_fini(&why);
	return true;
}

/* ---- the loop ---- */

static void
take_signals(struct app *app, const struct app_mode *mode, void *ctx)
{
	struct signalfd_siginfo info;

	while (read(app->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int signo = (int)info.ssi_signo;

		if (mode->signal(ctx, signo))
			continue;
		if (signo == SIGTSTP)
			kill(getpid(), SIGSTOP);
		else if (signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT) {
			/* Asked twice: go. */
			if (app->closing)
				app->ended = true;
			app_close(app, APP_LEAVE_MS);
		}
	}
}

static void
take_events(struct app *app, const struct app_mode *mode, void *ctx)
{
	for (unsigned i = 0; i < EVENTS_PER_TURN && !app->ended; i++) {
		struct chat_event *event;
		enum chat_err err = chat_next_event(app->client, 0, &event);

		if (err == CHAT_ERR_CLOSED)
			app->ended = true;
		if (err != CHAT_OK)
			return;
		look_at(app, event);
		mode->event(ctx, event);
		chat_event_free(event);
	}
}

static void
flush(struct app *app, const struct app_mode *mode, void *ctx)
{
	if (!out_pending(&app->out))
		return;
	mode->before_output(ctx);
	out_flush(&app->out);
	if (!out_pending(&app->out))
		mode->after_output(ctx);
	if (app->out.failed)
		app_fail(app, EXIT_FAILED, strerrordesc_np(app->out.error), NULL);
}

static int
poll_timeout(uint64_t deadline_ms, uint64_t now_ms)
{
	if (deadline_ms == NEVER_MS)
		return -1;
	if (deadline_ms <= now_ms)
		return 0;
	return deadline_ms - now_ms < 60000 ? (int)(deadline_ms - now_ms) : 60000;
}

/* Waits for whatever comes first, and takes it. */
static void
wait_and_take(struct app *app, const struct app_mode *mode, void *ctx, uint64_t deadline_ms)
{
	bool stuck = out_pending(&app->out); /* then nothing is read that would make more output */
	bool input = !stuck && !app->closing && mode->wants_input(ctx);
	struct pollfd fds[] = {
	    {.fd = app->signal_fd, .events = POLLIN},
	    {.fd = stuck ? app->out.fd : -1, .events = POLLOUT},
	    {.fd = stuck ? -1 : chat_event_fd(app->client), .events = POLLIN},
	    {.fd = input ? app->in_fd : -1, .events = POLLIN},
	};

	if (app->closing && app->close_deadline_ms < deadline_ms)
		deadline_ms = app->close_deadline_ms;
	if (poll(fds, ARRAY_LEN(fds), poll_timeout(deadline_ms, clock_mono_ms())) < 0 && errno != EINTR) {
		app_fail(app, EXIT_FAILED, strerrordesc_np(errno), NULL);
		return;
	}
	if (fds[0].revents)
		take_signals(app, mode, ctx);
	if (fds[2].revents)
		take_events(app, mode, ctx);
	if (fds[3].revents && !app->ended)
		mode->input(ctx);
}

static bool
finished(const struct app *app, const struct app_mode *mode, void *ctx)
{
	return app->ended ||
	       (app->closing && (mode->open_count(ctx) == 0 || clock_mono_ms() >= app->close_deadline_ms));
}

void
app_run(struct app *app, const struct app_mode *mode, void *ctx)
{
	enum chat_err err = chat_client_start(app->client);

	if (err != CHAT_OK)
		app_fail(app, EXIT_FAILED, chat_strerror(err), NULL);
	for (;;) {
		uint64_t deadline_ms = mode->tick(ctx, clock_mono_ms());

		flush(app, mode, ctx);
		if (finished(app, mode, ctx))
			break;
		wait_and_take(app, mode, ctx, deadline_ms);
	}
	if (app->exit_code == 0 && mode->open_count(ctx) > 0)
		app_fail(app, EXIT_LOST, "not everything that was said was acknowledged", NULL);
}

/* ---- beginning and end ---- */

enum chat_err
app_init(struct app *app, const struct options *opt, int in_fd, int out_fd)
{
	struct chat_config *config = NULL;
	struct text why = {0};
	char *text = NULL;
	enum chat_err err;
	int code = EXIT_USAGE;

	*app = (struct app){.opt = opt, .in_fd = in_fd, .signal_fd = -1};
	out_init(&app->out, out_fd);
	err = options_config(opt, &config, &why);
	if (err == CHAT_OK && opt->password_file)
		err = secret_read(opt->password_file, &app->password, &why);
	if (err != CHAT_OK)
		goto out;
	code = EXIT_FAILED;
	err = signals_open(&app->signal_fd);
	if (err == CHAT_OK)
		err = chat_client_new(config, &app->client, &text);
	if (err != CHAT_OK)
		text_str(&why, text ? text : chat_strerror(err));
out:
	if (err != CHAT_OK)
		app_fail(app, code, text_cstr(&why), NULL);
	chat_config_free(config);
	free(text);
	text_fini(&why);
	return err;
}

void
app_end_output(struct app *app)
{
	uint64_t deadline_ms = clock_mono_ms() + LAST_WRITE_MS;

	/* What was said is to be read, unless nobody does. */
	while (out_pending(&app->out) && clock_mono_ms() < deadline_ms) {
		struct pollfd p = {.fd = app->out.fd, .events = POLLOUT};

		if (poll(&p, 1, (int)LAST_WRITE_MS) < 0 && errno != EINTR)
			break;
		out_flush(&app->out);
	}
	if (app->out.failed && app->exit_code == 0)
		app_fail(app, EXIT_FAILED, strerrordesc_np(app->out.error), NULL);
}

void
app_fini(struct app *app)
{
	chat_client_free(app->client);
	if (app->signal_fd >= 0)
		close(app->signal_fd);
	buf_fini_secret(&app->password);
	out_fini(&app->out);
	text_fini(&app->last_words);
	app->client = NULL;
}
