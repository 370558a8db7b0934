/* SPDX-License-Identifier: GPL-3.0-or-later */

/* chat-server: the command line.  The rest is daemon.c and, for --check, check.c. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/start.h"

#define USAGE "usage: chat-server [-c FILE] [-d STATE_DIR] [-p PASSWORD_FILE] [-l ADDR]... [--check] [PORT]\n"

static const char help[] = USAGE
    "\n"
    "Serves secure-chat on PORT (8820), in the foreground.  Nothing has to be configured.\n"
    "\n"
    "  -c, --config FILE         read options from FILE, see chat-server.conf(5)\n"
    "  -d, --state-dir DIR       keep database, keys and control socket in DIR\n"
    "  -p, --password-file FILE  the accounts, see chat-passwd(1); passwd in the state directory by default\n"
    "  -l, --listen ADDR         listen on this address or host name only; may be repeated\n"
    "      --check               look at configuration, accounts and database, and end\n"
    "  -V, --version             print the version\n"
    "  -h, --help                print this\n"
    "\n"
    "PORT 0 is any free one.  SIGTERM ends it, SIGHUP reloads, SIGUSR1 opens the log anew.\n";

enum mode { MODE_RUN, MODE_CHECK, MODE_VERSION, MODE_HELP };

struct command_line {
	enum mode mode;
	struct config_args args;
	struct buf listen; /* what args.listen points to */
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"state-dir", required_argument, NULL, 'd'},
    {"password-file", required_argument, NULL, 'p'},
    {"listen", required_argument, NULL, 'l'},
    {"check", no_argument, NULL, 'C'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static enum chat_err
add_address(struct buf *listen, const char *address)
{
	enum chat_err err = listen->len > 0 ? buf_append_str(listen, ",") : CHAT_OK;

	return err == CHAT_OK ? buf_append_str(listen, address) : err;
}

static enum chat_err
bad_option(int c, char **argv, struct passwd_why *ret_why)
{
	/* getopt(3): a short option is in optopt; a long one is the word before optind. */
	if (c == ':')
		return passwd_why_set(ret_why, CHAT_ERR_INVALID, NULL, 0,
		    "the option %s needs a value; chat-server --help lists all options", argv[optind - 1]);
	if (optopt > 0 && optopt < 128 && strchr("CVh", optopt) == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_INVALID, NULL, 0,
		    "unknown option -%c; chat-server --help lists all options", optopt);
	return passwd_why_set(ret_why, CHAT_ERR_INVALID, NULL, 0,
	    "unknown option %s; chat-server --help lists all options", argv[optind - 1]);
}

static enum chat_err
parse(int argc, char **argv, struct command_line *ret, struct passwd_why *ret_why)
{
	enum chat_err err = CHAT_OK;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:d:p:l:Vh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			ret->args.file = optarg;
			break;
		case 'd':
			ret->args.state_dir = optarg;
			break;
		case 'p':
			ret->args.password_file = optarg;
			break;
		case 'l':
			err = add_address(&ret->listen, optarg);
			break;
		case 'C':
			ret->mode = MODE_CHECK;
			break;
		case 'V':
			ret->mode = MODE_VERSION;
			break;
		case 'h':
			ret->mode = MODE_HELP;
			break;
		default:
			return bad_option(c, argv, ret_why);
		}
	}
	if (optind < argc)
		ret->args.port = argv[optind++];
	if (optind < argc)
		return passwd_why_set(ret_why, CHAT_ERR_INVALID, NULL, 0,
		    "\"%s\" is too much: there is one port; chat-server --help says more", argv[optind]);
	if (err == CHAT_OK && ret->listen.len > 0) {
		err = buf_append(&ret->listen, "", 1);
		ret->args.listen = (const char *)ret->listen.data;
	}
	if (err != CHAT_OK)
		return passwd_why_set(ret_why, err, NULL, 0, "out of memory");
	return CHAT_OK;
}

static enum chat_err
check(const struct config_args *args, struct passwd_why *ret_why)
{
	struct config *config = NULL;
	enum chat_err err = config_load(args, NULL, &config, ret_why);

	if (err != CHAT_OK)
		return err;
	(void)printf("%s: the configuration is good\n", args->file != NULL ? args->file : "no file");
	err = start_check(config, ret_why);
	config_unref(config);
	return err;
}

int
main(int argc, char **argv)
{
	struct command_line line = {.mode = MODE_RUN};
	struct passwd_why why;
	enum chat_err err = parse(argc, argv, &line, &why);
	int status = 0;

	if (err == CHAT_OK) {
		switch (line.mode) {
		case MODE_RUN:
			status = daemon_run(&line.args);
			break;
		case MODE_CHECK:
			err = check(&line.args, &why);
			break;
		case MODE_VERSION:
			(void)printf("chat-server (secure-chat) " PACKAGE_VERSION "\n");
			break;
		case MODE_HELP:
			(void)fputs(help, stdout);
			break;
		}
	}
	buf_fini(&line.listen);
	if (fflush(stdout) != 0 && line.mode != MODE_RUN)
		status = 1;
	if (err == CHAT_OK)
		return status;
	(void)fprintf(stderr, "chat-server: %s\n", why.text);
	return 1;
}
