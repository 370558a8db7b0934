/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "client/complete.h"
#include "client/plain.h"

#define HISTORY_LINES 500

static struct {
	struct plain *p; /* NULL: not open */
	bool paused;
	bool hidden;
	char *text;     /* the prompt; owned */
	char *accepted; /* the line that Enter was pressed on; owned */
	char *kept;     /* what was being typed at a pause; owned */
	int kept_point;
} prompt;

/* ---- a line is complete ---- */

/* Enter.  The line goes off the screen: as a line of the chat it comes back when that is true. */
static int
accept_line(int count, int key)
{
	free(prompt.accepted);
	prompt.accepted = strdup(rl_line_buffer);
	rl_clear_visible_line();
	rl_delete_text(0, rl_end);
	rl_point = rl_end = 0;
	return rl_newline(count, key);
}

static bool
worth_keeping(const char *line)
{
	const HIST_ENTRY *last;

	if (*line == '\0')
		return false;
	using_history();
	last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
	return !last || strcmp(last->line, line) != 0;
}

/* readline's: NULL at the end of the input. */
static void
line_done(char *line)
{
	struct plain *p = prompt.p;
	char *accepted = prompt.accepted;

	prompt.accepted = NULL;
	if (!line) {
		/* At once, for readline would print another prompt. */
		rl_callback_handler_remove();
		prompt.paused = true;
		plain_leave(p, APP_LEAVE_MS);
	} else if (accepted) {
		if (worth_keeping(accepted))
			add_history(accepted);
		plain_typed(p, accepted, strlen(accepted));
	}
	free(accepted);
	free(line);
}

/* ---- completion ---- */

static struct completions found;

static char *
next_completion(const char *text __attribute__((unused)), int state)
{
	static size_t at;

	if (state == 0)
		at = 0;
	return at < found.count ? strdup(found.word[at++]) : NULL;
}

static char **
complete(const char *text, int start, int end)
{
	char *line = strndup(rl_line_buffer, (size_t)end);
	char **matches = NULL;

	rl_attempted_completion_over = 1; /* no names of files */
	if (!line)
		return NULL;
	complete_line(prompt.p, line, (size_t)start, &found);
	if (found.count > 0)
		matches = rl_completion_matches(text, next_completion);
	completions_fini(&found);
	free(line);
	return matches;
}

/* ---- coming and going ---- */

static void
install(void)
{
	rl_callback_handler_install(prompt.text ? prompt.text : "> ", line_done);
	prompt.hidden = false;
}

void
prompt_open(struct plain *p)
{
	prompt.p = p;
	rl_readline_name = "chat-client";
	rl_catch_signals = 0;
	rl_catch_sigwinch = 0;
	rl_erase_empty_line = 1;        /* see accept_line() */
	rl_completion_query_items = -1; /* never stops to ask */
	rl_completer_word_break_characters = (char *)(uintptr_t) " ";
	rl_attempted_completion_function = complete;
	rl_initialize();
	rl_variable_bind("page-completions", "off");
	rl_bind_key_in_map('\r', accept_line, emacs_standard_keymap);
	rl_bind_key_in_map('\n', accept_line, emacs_standard_keymap);
	rl_bind_key_in_map('\r', accept_line, vi_insertion_keymap);
	rl_bind_key_in_map('\n', accept_line, vi_insertion_keymap);
	rl_bind_key_in_map('\r', accept_line, vi_movement_keymap);
	rl_bind_key_in_map('\n', accept_line, vi_movement_keymap);
	using_history();
	stifle_history(HISTORY_LINES);
	install();
}

void
prompt_close(void)
{
	if (!prompt.p)
		return;
	if (!prompt.paused) {
		prompt_hide();
		rl_callback_handler_remove();
	}
	clear_history();
	free(prompt.text);
	free(prompt.accepted);
	free(prompt.kept);
	memset(&prompt, 0, sizeof(prompt));
}

void
prompt_set(const char *text)
{
	char *copy;

	if (!prompt.p || (prompt.text && strcmp(prompt.text, text) == 0) || !(copy = strdup(text)))
		return;
	free(prompt.text);
	prompt.text = copy;
	if (prompt.paused)
		return; /* it comes with the next prompt */
	if (!prompt.hidden)
		rl_clear_visible_line();
	rl_set_prompt(text);
	if (!prompt.hidden) {
		rl_on_new_line();
		rl_redisplay();
	}
}

void
prompt_hide(void)
{
	if (!prompt.p || prompt.paused || prompt.hidden)
		return;
	rl_clear_visible_line();
	fflush(rl_outstream);
	prompt.hidden = true;
}

void
prompt_show(void)
{
	if (!prompt.p || prompt.paused || !prompt.hidden)
		return;
	prompt.hidden = false;
	rl_on_new_line();
	rl_redisplay();
}

void
prompt_pause(void)
{
	if (!prompt.p || prompt.paused)
		return;
	prompt_hide();
	free(prompt.kept);
	prompt.kept = strdup(rl_line_buffer ? rl_line_buffer : "");
	prompt.kept_point = rl_point;
	rl_callback_handler_remove();
	prompt.paused = true;
}

void
prompt_resume(void)
{
	if (!prompt.p || !prompt.paused)
		return;
	prompt.paused = false;
	install();
	if (prompt.kept && *prompt.kept) {
		rl_insert_text(prompt.kept);
		rl_point = prompt.kept_point;
		rl_redisplay();
	}
	free(prompt.kept);
	prompt.kept = NULL;
}

void
prompt_input(void)
{
	if (!prompt.p || prompt.paused)
		return;
	prompt_show();
	rl_callback_read_char();
}

bool
prompt_clear_line(void)
{
	if (!prompt.p || prompt.paused || rl_end == 0)
		return false;
	prompt_hide();
	rl_delete_text(0, rl_end);
	rl_point = rl_end = 0;
	prompt_show();
	return true;
}

void
prompt_resize(void)
{
	if (prompt.p && !prompt.paused)
		rl_resize_terminal();
}
