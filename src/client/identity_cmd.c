/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/identity_cmd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chat/chat.h>

#include "client/app.h"
#include "client/ask.h"
#include "client/secret.h"
#include "client/signals.h"

static int
complain(int code, const char *what, const char *why)
{
	struct text line = {0};

	text_str(&line, "chat-client: ");
	if (what) {
		text_body(&line, what);
		text_str(&line, ": ");
	}
	text_body(&line, why);
	fprintf(stderr, "%s\n", text_cstr(&line));
	text_fini(&line);
	return code;
}

/* ---- the passphrase ---- */

static void
stop_here(struct ask *ask, int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP) {
		ask_suspend(ask);
		kill(getpid(), SIGSTOP);
	} else if (info.ssi_signo == SIGCONT) {
		ask_resume(ask);
	} else if (info.ssi_signo != SIGWINCH) {
		ask_stop(ask);
		fputs("\n", stderr);
		exit(EXIT_FAILED);
	}
}

/* One answer without echo; it is appended to `secret'.  False: there was none. */
static bool
ask_hidden(int signal_fd, const char *words, struct buf *secret)
{
	struct ask ask = {0};
	bool answered = false, end = false;

	if (ask_start(&ask, STDIN_FILENO, true) != CHAT_OK)
		return false;
	fputs(words, stderr);
	while (!answered && !end) {
		struct pollfd fds[] = {
		    {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};

		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			stop_here(&ask, signal_fd);
		if (fds[0].revents) {
			enum ask_result got = ask_input(&ask);

			answered = got == ASK_ANSWER;
			end = got == ASK_END;
		}
	}
	if (answered)
		answered = buf_append(secret, ask.answer.data, ask.answer.len) == CHAT_OK;
	ask_stop(&ask);
	fputs("\n", stderr);
	return answered;
}

/* Twice for an export: a mistake would show only when the file is needed. */
static int
ask_passphrase(bool twice, struct buf *secret)
{
	struct buf again = {0};
	int signal_fd, code = 0;

	if (!isatty(STDIN_FILENO))
		return complain(
		    EXIT_USAGE, NULL, "the passphrase is asked on a terminal, or add --passphrase-file FILE");
	if (signals_open(&signal_fd) != CHAT_OK)
		return complain(EXIT_FAILED, NULL, strerrordesc_np(errno));
	if (!ask_hidden(signal_fd, "Passphrase for the file: ", secret) || secret->len == 0)
		code = complain(EXIT_FAILED, NULL, "no passphrase, nothing was done");
	else if (twice && !ask_hidden(signal_fd, "The same again: ", &again))
		code = complain(EXIT_FAILED, NULL, "no passphrase, nothing was done");
	else if (twice && !bytes_equal(buf_bytes(secret), buf_bytes(&again)))
		code = complain(EXIT_FAILED, NULL, "the two differ, nothing was done");
	buf_fini_secret(&again);
	close(signal_fd);
	return code;
}

static int
get_passphrase(const struct options *opt, struct buf *secret)
{
	struct text why = {0};
	int code = 0;

	if (!opt->passphrase_file)
		return ask_passphrase(opt->action == ACTION_IDENTITY_EXPORT, secret);
	if (secret_read(opt->passphrase_file, secret, &why) != CHAT_OK)
		code = complain(EXIT_USAGE, NULL, text_cstr(&why));
	text_fini(&why);
	return code;
}

/* ---- what is done ---- */

static int
move_identity(const struct options *opt, const struct chat_config *config)
{
	bool out = opt->action == ACTION_IDENTITY_EXPORT;
	struct buf secret = {0};
	char *text = NULL;
	int code = get_passphrase(opt, &secret);
	enum chat_err err;

	if (code != 0)
		goto out;
	err = (out ? chat_identity_export : chat_identity_import)(
	    config, opt->file, (const char *)secret.data, secret.len, &text);
	if (err != CHAT_OK) {
		code = complain(EXIT_FAILED, NULL, text ? text : chat_strerror(err));
		goto out;
	}
	printf(out ? "The identity of %s is in %s.  Who has that file and its passphrase is %s.\n"
		   : "The identity of %s from %s is here now; %s logs in with it.\n",
	    opt->user, opt->file, opt->user);
out:
	free(text);
	buf_fini_secret(&secret);
	return code;
}

static int
forget_server(const struct options *opt, const struct chat_config *config)
{
	enum chat_err err = chat_forget_server(config);

	if (err == CHAT_ERR_NOT_FOUND)
		return complain(EXIT_FAILED, opt->host, "no key of this server is kept here");
	if (err != CHAT_OK)
		return complain(EXIT_FAILED, opt->host, chat_strerror(err));
	printf("The key of %s %s is forgotten; the next contact is a first one.\n", opt->host, opt->port);
	return 0;
}

int
identity_cmd_run(const struct options *opt)
{
	struct chat_config *config = NULL;
	struct text why = {0};
	int code;

	if (options_config(opt, &config, &why) != CHAT_OK)
		code = complain(EXIT_USAGE, NULL, text_cstr(&why));
	else if (opt->action == ACTION_SERVER_FORGET)
		code = forget_server(opt, config);
	else
		code = move_identity(opt, config);
	chat_config_free(config);
	text_fini(&why);
	return code;
}
