/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client/options.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(struct options, field)

const struct option_row option_rows[] = {
    {"user", 'u', "USER", AT(user), "the account; else the name of the user who runs it"},
    {"data-dir", 0, "DIR", AT(data_dir), "where identity, pins and the local log are kept"},
    {"password-file", 0, "FILE", AT(password_file),
	"the password is its first line; only its owner may read it"},
    {"accept-new", 0, NULL, AT(accept_new), "trust a server never seen before without asking"},
    {"fingerprint", 0, "HEX", AT(fingerprint), "trust only the server whose key has this fingerprint"},
    {"room", 0, "ROOM", AT(room), "the room to talk in at the start"},
    {"plain", 0, NULL, AT(plain), "lines of text, without a screen"},
    {"json", 0, NULL, AT(json), "commands in and events out as JSON, one a line"},
    {"no-reconnect", 0, NULL, AT(no_reconnect), "end where the connection is lost"},
    {"wait", 0, NULL, AT(wait), "where the server cannot be reached at the start, keep trying"},
    {"stay", 0, NULL, AT(stay), "go on listening behind the end of the input"},
    {"passphrase-file", 0, "FILE", AT(passphrase_file), "the passphrase of identity export and import"},
    {"help", 'h', NULL, NO_OFFSET, "print this"},
    {"version", 'V', NULL, NO_OFFSET, "print the version"},
};
const size_t option_row_count = ARRAY_LEN(option_rows);

static enum chat_err
wrong(struct text *why, const char *fmt, const char *what)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	text_printf(why, fmt, what);
#pragma GCC diagnostic pop
	return CHAT_ERR_INVALID;
}

/* ---- words that are no options ---- */

static enum chat_err
set_user(struct options *opt, struct text *why)
{
	const struct passwd *pw;

	if (!opt->user) {
		pw = getpwuid(geteuid());
		if (!pw || !account_name_valid(BYTES_STR(pw->pw_name)))
			return wrong(why, "%s", "name the account: -u USER");
		snprintf(opt->default_user, sizeof(opt->default_user), "%s", pw->pw_name);
		opt->user = opt->default_user;
	}
	if (!account_name_valid(BYTES_STR(opt->user)))
		return wrong(why, "\"%s\" is no account name: " ACCOUNT_NAME_RULE, opt->user);
	return CHAT_OK;
}

static bool
port_valid(const char *s)
{
	unsigned long port = 0;

	for (size_t i = 0; s[i] != '\0'; i++) {
		if (i == 5 || s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(s[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

static enum chat_err
set_server(struct options *opt, char **words, size_t count, struct text *why)
{
	if (count < 1 || *words[0] == '\0')
		return wrong(why, "%s", "name the server: chat-client [-u USER] HOST [PORT]");
	if (count > 2)
		return wrong(why, "\"%s\" is one word too many", words[2]);
	opt->host = words[0];
	if (count == 2 && !port_valid(words[1]))
		return wrong(why, "\"%s\" is no port: a number from 1 to 65535", words[1]);
	snprintf(opt->default_port, sizeof(opt->default_port), "%d", CHAT_DEFAULT_PORT);
	opt->port = count == 2 ? words[1] : opt->default_port;
	return CHAT_OK;
}

/* A host may be called `identity' or `server' too: only two words make a subcommand. */
static enum action
find_action(char **words, size_t count)
{
	if (count < 2)
		return ACTION_CHAT;
	if (strcmp(words[0], "identity") == 0 && strcmp(words[1], "export") == 0)
		return ACTION_IDENTITY_EXPORT;
	if (strcmp(words[0], "identity") == 0 && strcmp(words[1], "import") == 0)
		return ACTION_IDENTITY_IMPORT;
	if (strcmp(words[0], "server") == 0 && strcmp(words[1], "forget") == 0)
		return ACTION_SERVER_FORGET;
	return ACTION_CHAT;
}

static enum chat_err
set_words(struct options *opt, char **words, size_t count, struct text *why)
{
	enum chat_err err;

	opt->action = find_action(words, count);
	if (opt->action != ACTION_CHAT) {
		words += 2;
		count -= 2;
	}
	if (opt->action == ACTION_IDENTITY_EXPORT || opt->action == ACTION_IDENTITY_IMPORT) {
		if (count < 1)
			return wrong(
			    why, "%s", "name the file: chat-client identity export|import FILE HOST [PORT]");
		opt->file = words[0];
		words++;
		count--;
	}
	err = set_server(opt, words, count, why);
	return err != CHAT_OK ? err : set_user(opt, why);
}

/* ---- options ---- */

static enum chat_err
check_together(const struct options *opt, struct text *why)
{
	if (opt->json && opt->plain)
		return wrong(why, "%s", "--json and --plain exclude each other");
	if (opt->no_reconnect && opt->wait)
		return wrong(why, "%s", "--no-reconnect and --wait exclude each other");
	if (opt->json && opt->room)
		return wrong(why, "%s", "--room is of no use with --json: commands name their room");
	if (opt->action == ACTION_CHAT && opt->passphrase_file)
		return wrong(why, "%s", "--passphrase-file is for identity export and import");
	if (opt->action != ACTION_CHAT && opt->password_file)
		return wrong(why, "%s", "--password-file is for talking; see --passphrase-file");
	return CHAT_OK;
}

static const struct option_row *
find_row(int letter)
{
	for (size_t i = 0; i < option_row_count; i++) {
		if (option_rows[i].letter == letter)
			return &option_rows[i];
	}
	return NULL;
}

static void
set_value(struct options *opt, const struct option_row *row, const char *value)
{
	char *at = (char *)opt + row->offset;

	if (row->offset == NO_OFFSET)
		opt->action = strcmp(row->name, "help") == 0 ? ACTION_HELP : ACTION_VERSION;
	else if (row->argument)
		memcpy(at, &value, sizeof(value));
	else
		*(bool *)(void *)at = true;
}

/* What getopt() stumbled over, as it was typed. */
static enum chat_err
bad_option(char **argv, int got, struct text *why)
{
	char letter[3] = {'-', (char)optopt, '\0'};
	const char *typed = optopt == 0 || optopt >= 256 ? argv[optind - 1] : letter;

	if (got == ':')
		return wrong(why, "%s needs an argument", typed);
	if (optopt != 0 && find_row(optopt)) /* a long option, known, that got a value it does not take */
		typed = argv[optind - 1];
	return wrong(why, "%s is not an option; chat-client --help lists them", typed);
}

enum chat_err
options_parse(int argc, char **argv, struct options *ret, struct text *why)
{
	struct option longs[ARRAY_LEN(option_rows) + 1] = {0};
	char shorts[2 * ARRAY_LEN(option_rows) + 2] = ":";
	size_t n = 1;
	struct options opt = {.action = ACTION_CHAT};
	int got, index;
	enum chat_err err;

	for (size_t i = 0; i < option_row_count; i++) {
		longs[i].name = option_rows[i].name;
		longs[i].has_arg = option_rows[i].argument ? required_argument : no_argument;
		longs[i].val = 256 + (int)i;
		if (option_rows[i].letter) {
			shorts[n++] = option_rows[i].letter;
			if (option_rows[i].argument)
				shorts[n++] = ':';
		}
	}
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((got = getopt_long(argc, argv, shorts, longs, &index)) != -1) {
		const struct option_row *row = got >= 256 ? &option_rows[got - 256] : find_row(got);

		if (got == '?' || got == ':' || !row)
			return bad_option(argv, got, why);
		set_value(&opt, row, optarg);
		if (opt.action != ACTION_CHAT) {
			*ret = opt;
			return CHAT_OK;
		}
	}
	err = set_words(&opt, argv + optind, (size_t)(argc - optind), why);
	if (err == CHAT_OK)
		err = check_together(&opt, why);
	if (err != CHAT_OK)
		return err;
	*ret = opt;
	/* The defaults moved with the struct. */
	if (opt.user == opt.default_user)
		ret->user = ret->default_user;
	if (opt.port == opt.default_port)
		ret->port = ret->default_port;
	return CHAT_OK;
}

void
options_help(struct text *out)
{
	text_str(out, "usage: chat-client [-u USER] [OPTIONS] HOST [PORT]\n"
		      "       chat-client identity export|import FILE [-u USER] [OPTIONS] HOST [PORT]\n"
		      "       chat-client server forget [OPTIONS] HOST [PORT]\n\n");
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", row->letter ? '-' : ' ',
		    row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
		    row->argument ? " " : "", row->argument ? row->argument : "");
		text_printf(out, "  %-28s %s\n", left, row->help);
	}
	text_str(out, "\nIn the chat: /help.  Everything: man chat-client.\n");
}

/* ---- what they mean for libchat ---- */

enum chat_err
options_config(const struct options *opt, struct chat_config **ret, struct text *why)
{
	struct chat_config *config = NULL;
	enum chat_err err = chat_config_new(&config);

	if (err != CHAT_OK)
		goto out;
	err = chat_config_set_account(config, opt->user);
	if (err == CHAT_OK)
		err = chat_config_set_software(config, "chat-client " PACKAGE_VERSION);
	if (err == CHAT_OK && opt->data_dir &&
	    (err = chat_config_set_data_dir(config, opt->data_dir)) != CHAT_OK)
		text_printf(why, "--data-dir %s: ", opt->data_dir);
	if (err == CHAT_OK && (err = chat_config_set_server(config, opt->host, opt->port)) != CHAT_OK)
		text_printf(why, "%s %s: ", opt->host, opt->port);
	if (err == CHAT_OK && opt->fingerprint &&
	    (err = chat_config_set_fingerprint(config, opt->fingerprint)) != CHAT_OK)
		text_str(why, "--fingerprint takes the 64 hexadecimal digits that the server prints: ");
	if (err != CHAT_OK)
		goto out;
	chat_config_set_accept_new(config, opt->accept_new);
	chat_config_set_reconnect(config, !opt->no_reconnect);
	*ret = config;
	config = NULL;
out:
	if (err != CHAT_OK)
		text_str(why, chat_strerror(err));
	chat_config_free(config);
	return err;
}

static void
put_word(struct text *out, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=";

	text_char(out, ' ');
	if (*word && strspn(word, safe) == strlen(word)) {
		text_str(out, word);
		return;
	}
	text_char(out, '\'');
	for (const char *p = word; *p; p++) {
		if (*p == '\'')
			text_str(out, "'\\''");
		else
			text_char(out, *p);
	}
	text_char(out, '\'');
}

void
options_forget_line(const struct options *opt, struct text *out)
{
	text_str(out, "chat-client server forget");
	if (opt->data_dir) {
		text_str(out, " --data-dir");
		put_word(out, opt->data_dir);
	}
	text_str(out, " -u");
	put_word(out, opt->user);
	put_word(out, opt->host);
	if (strcmp(opt->port, opt->default_port) != 0)
		put_word(out, opt->port);
}
