/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "client/options.h"
#include "fake_chat.h"

#define ARGS_MAX 16

/* Splits at single spaces; the words are leaked into `line'. */
static enum chat_err
parse(char *line, struct options *ret, struct text *why)
{
	char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t) "chat-client"};
	int argc = 1;

	for (char *word; (word = strsep(&line, " "));) {
		assert_true(argc <= ARGS_MAX);
		argv[argc++] = word;
	}
	return options_parse(argc, argv, ret, why);
}

static void
wrong(const char *line, const char *expected)
{
	char *copy = strdup(line);
	struct text why = {0};
	struct options opt = {.user = "untouched"};

	assert_err(parse(copy, &opt, &why), CHAT_ERR_INVALID);
	if (!strstr(text_cstr(&why), expected))
		fail_msg("%s: \"%s\" does not say \"%s\"", line, text_cstr(&why), expected);
	assert_string_equal(opt.user, "untouched");
	text_fini(&why);
	free(copy);
}

/* The words of opt are in *ret_line, for the caller to free(). */
static struct options
right(const char *line, char **ret_line)
{
	struct text why = {0};
	struct options opt;

	*ret_line = strdup(line);
	if (parse(*ret_line, &opt, &why) != CHAT_OK)
		fail_msg("%s: %s", line, text_cstr(&why));
	/* What is the default's moved with the struct. */
	if (*opt.default_port && strcmp(opt.port, opt.default_port) == 0)
		opt.port = "8820";
	return opt;
}

TEST(servers)
{
	char *line;
	struct options opt = right("-u alice localhost", &line);

	assert_int_equal(opt.action, ACTION_CHAT);
	assert_string_equal(opt.user, "alice");
	assert_string_equal(opt.host, "localhost");
	assert_string_equal(opt.port, "8820");
	assert_false(opt.json || opt.plain || opt.accept_new || opt.wait || opt.stay || opt.no_reconnect);
	free(line);
	opt = right("chat.example.org 1 --user=bob", &line);
	assert_string_equal(opt.user, "bob");
	assert_string_equal(opt.port, "1");
	free(line);
	opt = right("-ubob -- ::1 65535", &line);
	assert_string_equal(opt.host, "::1");
	assert_string_equal(opt.port, "65535");
	free(line);
	wrong("-u alice", "name the server");
	wrong("-u alice ", "name the server");
	wrong("-u alice localhost 0", "\"0\" is no port");
	wrong("-u alice localhost 65536", "no port");
	wrong("-u alice localhost 88200000000000000000", "no port");
	wrong("-u alice localhost chat", "no port");
	wrong("-u alice localhost -1", "not an option");
	wrong("-u alice localhost 8820 more", "\"more\" is one word too many");
	wrong("-u Alice localhost", "\"Alice\" is no account name: 1 to 64 of a-z");
	wrong("-u .a localhost", "no account name");
}

TEST(all_options)
{
	char *line;
	struct options opt =
	    right("-u a --data-dir d --password-file p --accept-new --fingerprint f --room r --plain "
		  "--wait --stay h",
		&line);

	assert_string_equal(opt.data_dir, "d");
	assert_string_equal(opt.password_file, "p");
	assert_string_equal(opt.fingerprint, "f");
	assert_string_equal(opt.room, "r");
	assert_true(opt.accept_new && opt.plain && !opt.no_reconnect && opt.wait && opt.stay && !opt.json);
	free(line);
	opt = right("-u a --json h", &line);
	assert_true(opt.json && !opt.plain);
	free(line);
	wrong("-u a --frobnicate h", "--frobnicate is not an option; chat-client --help");
	wrong("-u a -x h", "-x is not an option");
	wrong("-u a --json=yes h", "--json=yes is not an option");
	wrong("h -u", "-u needs an argument");
	wrong("h --data-dir", "--data-dir needs an argument");
	opt = right("-u a --no-reconnect h", &line);
	assert_true(opt.no_reconnect);
	free(line);
	wrong("-u a --json --plain h", "exclude each other");
	wrong("-u a --wait --no-reconnect h", "exclude each other");
	wrong("-u a --json --room r h", "--room is of no use");
	wrong("-u a --passphrase-file p h", "identity export and import");
}

TEST(help_needs_nothing_else)
{
	char *line;
	struct options opt = right("--help", &line);

	assert_int_equal(opt.action, ACTION_HELP);
	free(line);
	opt = right("-h --json --plain", &line);
	assert_int_equal(opt.action, ACTION_HELP);
	free(line);
	opt = right("-V", &line);
	assert_int_equal(opt.action, ACTION_VERSION);
	free(line);
}

TEST(subcommands)
{
	char *line;
	struct options opt = right("identity export my.id -u alice localhost 99 --passphrase-file p", &line);

	assert_int_equal(opt.action, ACTION_IDENTITY_EXPORT);
	assert_string_equal(opt.file, "my.id");
	assert_string_equal(opt.host, "localhost");
	assert_string_equal(opt.port, "99");
	assert_string_equal(opt.passphrase_file, "p");
	free(line);
	opt = right("-u alice identity import my.id localhost", &line);
	assert_int_equal(opt.action, ACTION_IDENTITY_IMPORT);
	free(line);
	opt = right("server forget -u alice localhost", &line);
	assert_int_equal(opt.action, ACTION_SERVER_FORGET);
	assert_string_equal(opt.host, "localhost");
	free(line);
	/* A host may have any name. */
	opt = right("-u alice server", &line);
	assert_int_equal(opt.action, ACTION_CHAT);
	assert_string_equal(opt.host, "server");
	free(line);
	opt = right("-u alice identity 8820", &line);
	assert_string_equal(opt.host, "identity");
	free(line);
	wrong("identity export", "name the file");
	wrong("identity export f -u a", "name the server");
	wrong("server forget -u a", "name the server");
	wrong("identity export f -u a --password-file p h", "see --passphrase-file");
}

TEST(configuration)
{
	char *line;
	struct options opt = right("-u alice --data-dir d --accept-new --no-reconnect localhost", &line);
	struct chat_config *config;
	struct chat_client *client;
	struct text why = {0};
	char *text;

	fake_reset();
	assert_ok(options_config(&opt, &config, &why));
	assert_ok(chat_client_new(config, &client, &text));
	assert_string_equal(fake_calls(), "new alice localhost 8820 data=d accept-new no-reconnect\n");
	chat_client_free(client);
	chat_config_free(config);
	opt.fingerprint = "12";
	assert_err(options_config(&opt, &config, &why), CHAT_ERR_INVALID);
	assert_non_null(strstr(text_cstr(&why), "--fingerprint takes the 64"));
	text_fini(&why);
	free(line);
}

TEST(the_line_that_forgets)
{
	struct options opt = {.user = "alice", .host = "localhost", .port = "8820", .default_port = "8820"};
	struct text t = {0};

	options_forget_line(&opt, &t);
	assert_string_equal(text_cstr(&t), "chat-client server forget -u alice localhost");
	opt.port = "99";
	opt.data_dir = "/home/a b/it's";
	text_clear(&t);
	options_forget_line(&opt, &t);
	assert_string_equal(
	    text_cstr(&t), "chat-client server forget --data-dir '/home/a b/it'\\''s' -u alice localhost 99");
	text_fini(&t);
}

TEST(help_and_manual_have_every_option)
{
	char path[4096], item[128];
	struct text help = {0};
	uint8_t *page;
	size_t len;

	options_help(&help);
	snprintf(path, sizeof(path), "%s/man/chat-client.1", unit_srcdir());
	page = unit_read_file(path, &len);
	assert_non_null(page);
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		snprintf(item, sizeof(item), "--%s", row->name);
		assert_non_null(strstr(text_cstr(&help), item));
		assert_non_null(strstr(text_cstr(&help), row->help));
		if (row->letter)
			snprintf(item, sizeof(item), ".It Fl %c , Fl -%s%s%s\n", row->letter, row->name,
			    row->argument ? " Ar " : "", row->argument ? row->argument : "");
		else
			snprintf(item, sizeof(item), ".It Fl -%s%s%s\n", row->name,
			    row->argument ? " Ar " : "", row->argument ? row->argument : "");
		if (!strstr((const char *)page, item))
			fail_msg("chat-client(1) has no %s", item);
	}
	text_fini(&help);
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(servers),
	    cmocka_unit_test(all_options),
	    cmocka_unit_test(help_needs_nothing_else),
	    cmocka_unit_test(subcommands),
	    cmocka_unit_test(configuration),
	    cmocka_unit_test(the_line_that_forgets),
	    cmocka_unit_test(help_and_manual_have_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
