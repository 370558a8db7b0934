/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * chat-passwd(1): the accounts in a password file.  Here is the command line; the commands are in
 * chat_passwd_commands.c, and what they know about the file is in src/accounts.
 */

#include "tools/chat_passwd.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/state_dir.h"

#define EXIT_USAGE 2

static const struct command {
	const char *name;
	bool wants_account;
	int (*run)(const struct options *opt);
	const char *help;
} commands[] = {
    {"add", true, cmd_add, "add an account, making the file if there is none"},
    {"passwd", true, cmd_passwd, "give it a new password"},
    {"lock", true, cmd_lock, "refuse its logins and end its sessions"},
    {"unlock", true, cmd_unlock, "the reverse of lock"},
    {"del", true, cmd_del, "delete it; one added later under this name is a new account"},
    {"verify", true, cmd_verify, "tell whether a password is right (exit status 0) or not (1)"},
    {"list", false, cmd_list, "print the accounts: name, state, scheme of the hash"},
};

enum { OPT_STDIN = 256, OPT_HOST, OPT_PORT };

static const struct option long_options[] = {
    {"file", required_argument, NULL, 'f'},
    {"state-dir", required_argument, NULL, 'd'},
    {"stdin", no_argument, NULL, OPT_STDIN},
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {0},
};

static void
print_help(FILE *to)
{
	(void)fputs(
	    "usage: chat-passwd [-f FILE | -d STATE_DIR] [--stdin] COMMAND [NAME]\n\ncommands:\n", to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(to, "  %-6s %s  %s\n", commands[i].name,
		    commands[i].wants_account ? "NAME" : "    ", commands[i].help);
	(void)fputs(
	    "\noptions:\n"
	    "  -f, --file FILE      the password file (default: passwd in STATE_DIR)\n"
	    "  -d, --state-dir DIR  the server's state directory\n"
	    "  --stdin              read the password from the first line of standard input\n"
	    "  --host HOST          what add prints as the server's address (default: this host's name)\n"
	    "  --port PORT          and as its port (default: " DEFAULT_PORT ")\n"
	    "  -h, --help           print this\n"
	    "  -V, --version        print the version\n"
	    "\nA password is never given on the command line, where others could see it.\n",
	    to);
}

/* Fills the two paths.  False: said why. */
static bool
find_paths(struct options *opt)
{
	enum chat_err err = CHAT_OK;

	if (opt->dir != NULL) {
		opt->dir_path = strdup(opt->dir);
	} else if (opt->file != NULL) {
		char *copy = strdup(opt->file);
		opt->dir_path = copy != NULL ? strdup(dirname(copy)) : NULL;
		free(copy);
	} else {
		err = state_dir_default(&opt->dir_path);
	}
	if (err == CHAT_ERR_NOT_FOUND) {
		complain("no home directory to look for the server's state in; name it with -d, or the file "
			 "with -f");
		return false;
	}
	if (opt->dir_path != NULL) {
		if (opt->file != NULL)
			opt->file_path = strdup(opt->file);
		else if (state_dir_file(opt->dir_path, STATE_PASSWD, &opt->file_path) != CHAT_OK)
			opt->file_path = NULL;
	}
	if (opt->dir_path == NULL || opt->file_path == NULL) {
		complain("out of memory");
		return false;
	}
	return true;
}

static bool
is_port(const char *s)
{
	char *end;
	unsigned long port = strtoul(s, &end, 10);

	return *s >= '0' && *s <= '9' && *end == '\0' && port >= 1 && port <= 65535;
}

static int
usage_error(void)
{
	complain("see: chat-passwd --help");
	return EXIT_USAGE;
}

/* The command that is asked for; NULL: said why. */
static const struct command *
find_command(int argc, char **argv, struct options *opt)
{
	if (argc == 0) {
		complain("no command");
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *command = &commands[i];
		if (strcmp(argv[0], command->name) != 0)
			continue;
		if (argc - 1 < command->wants_account) {
			complain("%s: the account's name is missing", command->name);
			return NULL;
		}
		if (argc - 1 > command->wants_account) {
			complain("%s: too many arguments (a password is asked for, or read with --stdin)",
			    command->name);
			return NULL;
		}
		opt->name = command->wants_account ? argv[1] : NULL;
		return command;
	}
	complain("no command '%s'", argv[0]);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct options opt = {0};
	int status = EXIT_FAILURE, c;

	/* A dump of a crash would hold passwords. */
	(void)setrlimit(RLIMIT_CORE, &(const struct rlimit){0, 0});
	(void)umask(077);
	while ((c = getopt_long(argc, argv, "f:d:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'f':
			opt.file = optarg;
			break;
		case 'd':
			opt.dir = optarg;
			break;
		case OPT_STDIN:
			opt.from_stdin = true;
			break;
		case OPT_HOST:
			opt.host = optarg;
			break;
		case OPT_PORT:
			opt.port = optarg;
			if (is_port(optarg))
				break;
			complain("'%s' is no port: a number from 1 to 65535", optarg);
			return usage_error();
		case 'h':
			print_help(stdout);
			return EXIT_SUCCESS;
		case 'V':
			printf("chat-passwd (secure-chat) %s\n", PACKAGE_VERSION);
			return EXIT_SUCCESS;
		default:
			return usage_error();
		}
	}
	const struct command *command = find_command(argc - optind, argv + optind, &opt);
	if (command == NULL)
		return usage_error();
	if (!find_paths(&opt))
		goto out;
	status = command->run(&opt);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("standard output cannot be written: %s", strerror(errno));
		status = EXIT_FAILURE;
	}
out:
	free(opt.file_path);
	free(opt.dir_path);
	return status;
}
