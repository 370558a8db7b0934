/* SPDX-License-Identifier: GPL-3.0-or-later */

/* chat-client: the command line, and the mode it asks for. */

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/filter.h"
#include "client/identity_cmd.h"
#include "client/json.h"
#include "client/options.h"
#include "client/plain.h"

/* Only the character set: dates and messages are English.  Without any setting it is UTF-8, as what is sent
 * is. */
static void
set_locale(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		filter_ascii_only();
}

static int
chat(const struct options *opt)
{
	struct app app;
	int code;

	if (app_init(&app, opt, STDIN_FILENO, STDOUT_FILENO) == CHAT_OK) {
		if (opt->json)
			json_run(&app);
		else
			plain_run(&app, STDIN_FILENO, STDOUT_FILENO);
	}
	app_end_output(&app);
	code = app.exit_code;
	if (app.last_words.buf.len > 0)
		fprintf(stderr, "chat-client: %s\n", text_cstr(&app.last_words));
	app_fini(&app);
	return code;
}

int
main(int argc, char **argv)
{
	struct options opt;
	struct text text = {0};
	int code = 0;

	set_locale();
	if (options_parse(argc, argv, &opt, &text) != CHAT_OK) {
		fprintf(stderr, "chat-client: %s\n", text_cstr(&text));
		code = EXIT_USAGE;
	} else if (opt.action == ACTION_HELP) {
		options_help(&text);
		fputs(text_cstr(&text), stdout);
	} else if (opt.action == ACTION_VERSION) {
		printf("chat-client, %s\n", chat_version());
	} else if (opt.action == ACTION_CHAT) {
		code = chat(&opt);
	} else {
		code = identity_cmd_run(&opt);
	}
	text_fini(&text);
	if (fflush(stdout) != 0 && code == 0)
		code = EXIT_FAILED;
	return code;
}
