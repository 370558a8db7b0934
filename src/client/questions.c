/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/questions.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/plain.h"
#include "client/prompt.h"

#define PASSWORD_TRIES 3

void
questions_fini(struct questions *q)
{
	ask_stop(&q->ask);
	buf_fini_secret(&q->old_password);
	buf_fini_secret(&q->new_password);
}

/* Straight to the output: the lines that wait in p->text come after the answer.  Where that is no terminal
 * the question goes to the one that is asked on. */
static void
print(struct plain *p, struct text *t)
{
	if (p->editing)
		out_text(&p->app->out, t);
	else if (write(p->app->in_fd, text_cstr(t), t->buf.len) < 0)
		fputs(text_cstr(t), stderr);
	text_fini(t);
}

static void
print_line(struct plain *p, const char *line)
{
	struct text t = {0};

	text_str(&t, line);
	text_char(&t, '\n');
	print(p, &t);
}

static void
close_question(struct plain *p)
{
	struct questions *q = &p->questions;

	if (q->now == QUESTION_NONE)
		return;
	ask_stop(&q->ask);
	q->now = QUESTION_NONE;
}

static void
open_question(struct plain *p, enum question question, bool hidden, struct text *words)
{
	struct questions *q = &p->questions;
	enum chat_err err;

	/* What stands on the screen and what was said until now comes first. */
	prompt_pause();
	out_text(&p->app->out, &p->text);
	q->now = question;
	if (q->ask.active && q->ask.hidden == hidden) {
		ask_next(&q->ask);
		print(p, words);
		return;
	}
	ask_stop(&q->ask);
	err = ask_start(&q->ask, p->app->in_fd, hidden);
	if (err != CHAT_OK) {
		close_question(p);
		app_fail(p->app, EXIT_FAILED, "the terminal cannot be read", NULL);
	}
	print(p, words);
}

/* ---- is it the right server ---- */

static void
ask_trust(struct plain *p, const struct chat_event *event)
{
	const struct options *opt = p->app->opt;
	struct text words = {0}, line = {0};

	if (!p->terminal) {
		text_printf(&words, "%s %s is a server never seen before.  The fingerprint of its key is ",
		    opt->host, opt->port);
		text_name(&words, chat_event_text(event));
		app_fail(p->app, EXIT_CONNECT, text_cstr(&words),
		    "If that is the right one, add --fingerprint and these digits, or --accept-new.");
		text_fini(&words);
		return;
	}
	text_printf(&line,
	    "First contact with %s %s.  Compare the fingerprint of its key with the one that you were given "
	    "with your account:",
	    opt->host, opt->port);
	lines_plain(&p->lines, &words, text_cstr(&line), 0);
	text_str(&words, "\n    ");
	text_name(&words, chat_event_text(event));
	text_str(&words, "\n\nIs it the same? (yes/no) ");
	text_fini(&line);
	open_question(p, QUESTION_TRUST, false, &words);
}

static bool
answer_is(const struct buf *answer, const char *word)
{
	return answer->len == strlen(word) && strncasecmp((const char *)answer->data, word, answer->len) == 0;
}

static void
answer_trust(struct plain *p)
{
	const struct buf *answer = &p->questions.ask.answer;
	bool yes = answer_is(answer, "yes"), no = answer_is(answer, "no");
	struct text again = {0};

	if (!yes && !no) {
		text_str(&again, "Please type yes or no: ");
		open_question(p, QUESTION_TRUST, false, &again);
		return;
	}
	close_question(p);
	p->app->asked = 0;
	/* Refused: the question is out of date, and a new one will come. */
	if (chat_trust_server(p->app->client, yes) != CHAT_OK)
		return;
	if (no)
		app_fail(p->app, EXIT_CONNECT, "the server is not trusted", NULL);
}

/* ---- passwords ---- */

static void
ask_login(struct plain *p, const struct chat_event *event)
{
	const struct options *opt = p->app->opt;
	struct questions *q = &p->questions;
	struct text words = {0};

	if (app_password(p->app, event))
		return;
	if (!p->terminal) {
		app_fail(p->app, EXIT_LOGIN,
		    "the server wants the password, and there is no terminal to ask on",
		    "Put it into a file that only you can read and add --password-file FILE.");
		return;
	}
	if (chat_event_err(event) == CHAT_ERR_LOGIN_REFUSED) {
		if (++q->refused >= PASSWORD_TRIES) {
			app_fail(p->app, EXIT_LOGIN, "the account or the password is not right", NULL);
			return;
		}
		text_str(&words, "The account or the password is not right.\n");
	} else if (chat_event_err(event) == CHAT_ERR_PASSWORD_REQUIRED) {
		text_str(&words, "The password of this account was changed; the new one is needed once.\n");
	}
	text_printf(&words, "Password of %s at %s: ", opt->user, opt->host);
	open_question(p, QUESTION_LOGIN, true, &words);
}

static void
answer_login(struct plain *p)
{
	const struct buf *answer = &p->questions.ask.answer;
	struct text again = {0};
	enum chat_err err;

	if (answer->len == 0) {
		text_str(&again, "\nIt is not empty.  Password: ");
		open_question(p, QUESTION_LOGIN, true, &again);
		return;
	}
	err = chat_give_password(p->app->client, (const char *)answer->data, answer->len);
	p->app->asked = 0;
	close_question(p);
	print_line(p, "");
	if (err != CHAT_OK && err != CHAT_ERR_INVALID)
		app_fail(p->app, EXIT_FAILED, chat_strerror(err), NULL);
}

static void
ask_step(struct plain *p, enum question question, const char *words)
{
	struct text t = {0};

	text_str(&t, words);
	open_question(p, question, true, &t);
}

void
questions_passwd(struct plain *p)
{
	ask_step(p, QUESTION_OLD, "The password until now: ");
}

static bool
keep(struct buf *to, const struct buf *answer)
{
	buf_fini_secret(to);
	return buf_append(to, answer->data, answer->len) == CHAT_OK;
}

static void
end_passwd(struct plain *p, const char *why)
{
	buf_fini_secret(&p->questions.old_password);
	buf_fini_secret(&p->questions.new_password);
	close_question(p);
	print_line(p, "");
	if (why)
		plain_error(p, NULL, "the password is as it was: %s", why);
}

static void
password_changed(struct plain *p, const struct request *request __attribute__((unused)),
    const struct chat_event *done __attribute__((unused)))
{
	plain_notice(p, "the password is changed");
}

static void
change_password(struct plain *p)
{
	const struct buf *old = &p->questions.old_password, *new = &p->questions.new_password;
	uint64_t token;
	struct request *request;
	enum chat_err err = chat_change_password(
	    p->app->client, (const char *)old->data, old->len, (const char *)new->data, new->len, &token);

	request = err == CHAT_OK ? requests_add(&p->requests, token, "/passwd", NULL, NULL, 0) : NULL;
	end_passwd(p, request ? NULL : err != CHAT_OK ? chat_strerror(err) : chat_strerror(CHAT_ERR_NOMEM));
	if (!request)
		return;
	request->end = password_changed;
	requests_set_gate(&p->requests, request);
}

static void
answer_passwd(struct plain *p)
{
	struct questions *q = &p->questions;
	const struct buf *answer = &q->ask.answer;

	if (answer->len == 0) {
		end_passwd(p, "nothing was typed");
	} else if (q->now < QUESTION_AGAIN) {
		bool old = q->now == QUESTION_OLD;

		if (!keep(old ? &q->old_password : &q->new_password, answer))
			end_passwd(p, chat_strerror(CHAT_ERR_NOMEM));
		else if (old)
			ask_step(p, QUESTION_NEW, "\nThe new one: ");
		else
			ask_step(p, QUESTION_AGAIN, "\nThe new one again: ");
	} else if (answer->len != q->new_password.len ||
		   memcmp(answer->data, q->new_password.data, answer->len) != 0) {
		end_passwd(p, "the two new ones differ");
	} else {
		change_password(p);
	}
}

/* ---- coming and going ---- */

void
questions_event(struct plain *p, const struct chat_event *event)
{
	if (p->questions.now >= QUESTION_OLD)
		end_passwd(p, "the connection was lost");
	if (chat_event_type(event) == CHAT_EVENT_SERVER_UNKNOWN)
		ask_trust(p, event);
	else
		ask_login(p, event);
}

void
questions_withdraw(struct plain *p)
{
	if (p->questions.now == QUESTION_TRUST || p->questions.now == QUESTION_LOGIN) {
		close_question(p);
		print_line(p, "");
	}
}

/* No answer: what the question stood in the way of does not happen. */
static void
give_up(struct plain *p)
{
	enum question question = p->questions.now;

	if (question >= QUESTION_OLD) {
		end_passwd(p, "interrupted");
		return;
	}
	close_question(p);
	print_line(p, "");
	if (question == QUESTION_TRUST)
		app_fail(p->app, EXIT_CONNECT, "the server is not trusted", NULL);
	else
		app_fail(p->app, EXIT_LOGIN, "no password was given", NULL);
}

void
questions_input(struct plain *p)
{
	switch (ask_input(&p->questions.ask)) {
	case ASK_MORE:
		return;
	case ASK_END:
		give_up(p);
		return;
	case ASK_ANSWER:
		break;
	}
	if (p->questions.now == QUESTION_TRUST)
		answer_trust(p);
	else if (p->questions.now == QUESTION_LOGIN)
		answer_login(p);
	else
		answer_passwd(p);
}

bool
questions_interrupt(struct plain *p)
{
	if (p->questions.now == QUESTION_NONE)
		return false;
	give_up(p);
	return true;
}
