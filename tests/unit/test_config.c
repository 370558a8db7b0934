/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failalloc.h"
#include "server/config.h"
#include "server/server_limits.h"

static char path[4096]; /* of the file that write_file() wrote last */

static const char *
write_file(const char *dir, const char *text)
{
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/chat-server.conf", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
	return path;
}

static struct config *
load(const struct config_args *args, const struct config *running)
{
	struct config *config = NULL;
	struct passwd_why why = {.text = "no reason"};

	if (config_load(args, running, &config, &why) != CHAT_OK)
		fail_msg("refused: %s", why.text);
	return config;
}

static void
assert_load_fails(
    const struct config_args *args, const struct config *running, enum chat_err expected, const char *said)
{
	struct config *config = NULL;
	struct passwd_why why = {.text = "no reason"};

	assert_err(config_load(args, running, &config, &why), expected);
	assert_null(config);
	assert_int_equal(why.err, expected);
	if (strcmp(why.text, said) != 0)
		fail_msg("said \"%s\" instead of \"%s\"", why.text, said);
}

TEST(nothing_given)
{
	struct config *config;

	assert_int_equal(setenv("XDG_STATE_HOME", "/xdg", 1), 0);
	config = load(&(struct config_args){.file = NULL}, NULL);
	assert_string_equal(config->state_dir, geteuid() == 0 ? "/var/lib/secure-chat" : "/xdg/secure-chat");
	assert_int_equal(config->options.port, 8820);
	assert_null(config->log_file);
	assert_true(config->loop_count >= 1);
	assert_string_equal(config->waiting, "");
	config_unref(config);
}

TEST(paths)
{
	char *dir = unit_temp_dir(), cwd[4096], expected[8192];
	struct config_args args = {.file = write_file(dir, "state_dir = /srv/chat/\n"
							   "tls_key = keys/k.pem\n"
							   "tls_cert = /etc/c.pem\n"
							   "log_file = log\n")};
	struct config *config = load(&args, NULL);

	assert_string_equal(config->state_dir, "/srv/chat/");
	assert_string_equal(config->password_file, "/srv/chat/passwd");
	assert_string_equal(config->tls_key, "/srv/chat/keys/k.pem");
	assert_string_equal(config->tls_cert, "/etc/c.pem");
	assert_string_equal(config->log_file, "/srv/chat/log");
	config_unref(config);

	/* What is typed is meant from where it is typed. */
	assert_non_null(getcwd(cwd, sizeof cwd));
	args.state_dir = "state";
	args.password_file = "accounts";
	config = load(&args, NULL);
	(void)snprintf(expected, sizeof expected, "%s/state", cwd);
	assert_string_equal(config->state_dir, expected);
	(void)snprintf(expected, sizeof expected, "%s/accounts", cwd);
	assert_string_equal(config->password_file, expected);
	(void)snprintf(expected, sizeof expected, "%s/state/keys/k.pem", cwd);
	assert_string_equal(config->tls_key, expected);
	config_unref(config);
	free(dir);
}

TEST(command_line_comes_first)
{
	char *dir = unit_temp_dir();
	struct config_args args = {.file = write_file(dir, "port = 1\nlisten = ::1\nstate_dir = /srv\n"),
	    .port = "0",
	    .listen = "127.0.0.1,localhost"};
	struct config *config = load(&args, NULL);

	assert_int_equal(config->options.port, 0);
	assert_int_equal(config->options.listen.count, 2);
	assert_string_equal(config->options.listen.items[1], "localhost");
	config_unref(config);

	args.port = "65536";
	assert_load_fails(&args, NULL, CHAT_ERR_RANGE,
	    "command line: the port \"65536\" is out of range; it may be 0 to 65535");
	args.port = "http";
	assert_load_fails(
	    &args, NULL, CHAT_ERR_SYNTAX, "command line: the port \"http\" has to be a whole number");
	args.port = NULL;
	args.listen = "a b";
	assert_load_fails(&args, NULL, CHAT_ERR_SYNTAX,
	    "command line: -l \"a b\" has to be addresses or host names without port, separated by commas, "
	    "or *");
	args.listen = NULL;
	args.state_dir = "";
	assert_load_fails(&args, NULL, CHAT_ERR_SYNTAX,
	    "command line: -d \"\" is empty; leave it out for the default");
	free(dir);
}

TEST(limits)
{
	char *dir = unit_temp_dir();
	struct config_args args = {.state_dir = "/srv",
	    .file = write_file(dir,
		"connections_max = 11\nhandshake_timeout = 12s\nhello_timeout = 13s\nlogin_timeout = 14s\n"
		"idle_timeout = 25s\noutbuf_high = 64KiB\noutbuf_low = 16KiB\nrequest_units_per_ms = 17\n"
		"request_units_burst = 20018\nkdf_queue_max = 19\nlogin_fail_delay = 200ms\n"
		"login_fail_delay_max = 21s\nsessions_per_account = 22\nrooms_per_account = 23\n"
		"room_readers_max = 24\nhistory_days = 25\nhistory_entries = 26\nloops = 3\n")};
	struct config *config = load(&args, NULL);
	const struct server_limits *limits = config->limits;

	assert_int_equal(limits->connections_max, 11);
	assert_int_equal(limits->handshake_timeout_ms, 12000);
	assert_int_equal(limits->hello_timeout_ms, 13000);
	assert_int_equal(limits->login_timeout_ms, 14000);
	assert_int_equal(limits->idle_timeout_ms, 25000);
	assert_int_equal(limits->outbuf_high_bytes, 65536);
	assert_int_equal(limits->outbuf_low_bytes, 16384);
	assert_int_equal(limits->request_units_per_ms, 17);
	assert_int_equal(limits->request_units_burst, 20018);
	assert_int_equal(limits->kdf_queue_max, 19);
	assert_int_equal(limits->login_fail_delay_ms, 200);
	assert_int_equal(limits->login_fail_delay_max_ms, 21000);
	assert_int_equal(limits->sessions_per_account, 22);
	assert_int_equal(limits->rooms_per_account, 23);
	assert_int_equal(limits->room_readers_max, 24);
	assert_int_equal(limits->history_days, 25);
	assert_int_equal(limits->history_entries, 26);
	assert_int_equal(config->loop_count, 3);
	config_unref(config);
	free(dir);
}

/* The defaults of the rows are those of proto/limits.h, which server_limits_new() has too. */
TEST(default_limits)
{
	struct config *config = load(&(struct config_args){.state_dir = "/srv"}, NULL);
	struct server_limits *limits = server_limits_new();

	limits->refs = config->limits->refs;
	assert_memory_equal(limits, config->limits, sizeof *limits);
	server_limits_unref(limits);
	config_unref(config);
}

TEST(reload)
{
	char *dir = unit_temp_dir(), said[8192];
	struct config_args args = {
	    .file = write_file(dir, "state_dir = /srv\nlog_level = warn\nport = 1\nloops = 1\n")};
	struct config *old = load(&args, NULL), *new;
	struct buf names = {.len = 0};

	new = load(&args, old);
	assert_string_equal(new->waiting, "");
	assert_ok(config_changes(old, new, &names));
	assert_int_equal(names.len, 0);
	config_unref(new);

	/* What a reload may change is changed, the rest waits. */
	write_file(dir,
	    "state_dir = /elsewhere\nlog_level = debug\nport = 2\nloops = 1\nhistory_days = 1\nlisten = ::1\n"
	    "log_file = log\n");
	new = load(&args, old);
	assert_string_equal(new->waiting, "listen, port, state_dir");
	assert_int_equal(new->options.port, 1);
	assert_int_equal(new->options.listen.count, 0);
	assert_string_equal(new->state_dir, "/srv");
	assert_string_equal(new->log_file, "/srv/log");
	assert_int_equal(new->options.log_level, 3);
	assert_int_equal(new->limits->history_days, 1);
	assert_ok(config_changes(old, new, &names));
	assert_ok(buf_append(&names, "", 1));
	assert_string_equal((char *)names.data, "log_file, log_level, history_days");
	config_unref(old);

	/* And still waits at the next, unless it is taken back. */
	old = new;
	new = load(&args, old);
	assert_string_equal(new->waiting, "listen, port, state_dir");
	config_unref(old);
	old = new;
	write_file(dir, "state_dir = /srv\nport = 1\nloops = 1\n");
	new = load(&args, old);
	assert_string_equal(new->waiting, "");
	config_unref(old);
	buf_fini(&names);

	write_file(dir, "port = 1\nport = 1\n");
	(void)snprintf(
	    said, sizeof said, "%s:2: port was already set in line 1; remove one of the two", path);
	assert_load_fails(&args, new, CHAT_ERR_SYNTAX, said);
	config_unref(new);
	free(dir);
}

TEST(contradictions)
{
	char *dir = unit_temp_dir(), said[8192];
	struct config_args args = {.state_dir = "/srv", .file = write_file(dir, "\n\noutbuf_low = 1MiB\n")};

	(void)snprintf(said, sizeof said, "%s:3: outbuf_low has to be less than outbuf_high", path);
	assert_load_fails(&args, NULL, CHAT_ERR_RANGE, said);
	args.state_dir = NULL;
	write_file(dir, "state_dir = srv\n");
	(void)snprintf(
	    said, sizeof said, "%s: state_dir has to be a path from / on, or the word default", path);
	assert_load_fails(&args, NULL, CHAT_ERR_SYNTAX, said);
	free(dir);
}

TEST(unreadable)
{
	char *dir = unit_temp_dir(), said[8192];
	struct config_args args = {.state_dir = "/srv", .file = path};

	(void)snprintf(path, sizeof path, "%s/none", dir);
	(void)snprintf(said, sizeof said,
	    "%s: there is no such file; name the right one with -c, or leave -c out", path);
	assert_load_fails(&args, NULL, CHAT_ERR_NOT_FOUND, said);

	(void)snprintf(path, sizeof path, "%s", dir);
	(void)snprintf(said, sizeof said, "%s: is not a file; name the configuration file with -c", path);
	assert_load_fails(&args, NULL, CHAT_ERR_IO, said);

	/* A pipe that nobody writes to does not hold it up. */
	(void)snprintf(path, sizeof path, "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(said, sizeof said, "%s: is not a file; name the configuration file with -c", path);
	assert_load_fails(&args, NULL, CHAT_ERR_IO, said);
	free(dir);
}

/* Root may read everything by two capabilities, which are given back afterwards. */
static void
read_everything(bool may)
{
	static const uint32_t both = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	assert_int_equal(syscall(SYS_capget, &header, sets), 0);
	if (may)
		sets[0].effective |= both & sets[0].permitted;
	else
		sets[0].effective &= ~both;
	assert_int_equal(syscall(SYS_capset, &header, sets), 0);
}

TEST(not_ours_to_read)
{
	char *dir = unit_temp_dir(), said[8192];
	struct config_args args = {.state_dir = "/srv", .file = write_file(dir, "")};

	assert_int_equal(chmod(path, 0), 0);
	(void)snprintf(said, sizeof said, "%s: may not be read by this user; mend its owner or mode", path);
	read_everything(false);
	assert_load_fails(&args, NULL, CHAT_ERR_PERMISSION, said);
	read_everything(true);
	free(dir);
}

TEST(no_memory)
{
	char *dir = unit_temp_dir();
	struct config_args args = {.file = write_file(dir, "state_dir = /srv\nport = 1\nlisten = a,b\n"),
	    .password_file = "accounts"};
	struct config *running = load(&args, NULL), *config;
	bool failed = true;

	write_file(dir, "state_dir = /srv\nport = 2\nlisten = c\nlog_file = log\n");
	for (unsigned n = 0; failed; n++) {
		struct passwd_why why;
		enum chat_err err;

		config = NULL;
		failalloc_arm(n);
		err = config_load(&args, running, &config, &why);
		failed = failalloc_disarm();
		assert_err(err, failed ? CHAT_ERR_NOMEM : CHAT_OK);
		assert_true(failed == (config == NULL));
		assert_true(failed || n > 20);
	}
	config_unref(config);
	config_unref(running);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_given),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(command_line_comes_first),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(default_limits),
	    cmocka_unit_test(reload),
	    cmocka_unit_test(contradictions),
	    cmocka_unit_test(unreadable),
	    cmocka_unit_test(not_ours_to_read),
	    cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
