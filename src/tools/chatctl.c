/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * chatctl: asks a running server over its control socket, STATE/control.  The protocol is in
 * server/control.h: a line there, an answer of `ok LENGTH` and text, or `error REASON`, back.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/state_dir.h"
#include "tools/ctl_show.h"

#define USAGE "usage: chatctl [-d STATE_DIR] [--plain] COMMAND\n"

static const char help[] =
    USAGE "\n"
	  "Asks the running chat-server of STATE_DIR; the default is that of chat-server.\n"
	  "\n"
	  "  status        how it is: uptime, sessions, rooms, entries, queues, database, versions\n"
	  "  sessions      who is logged in, from where, since when\n"
	  "  rooms         the rooms, by id: the server does not know their names\n"
	  "  reload        read configuration and accounts again\n"
	  "  backup FILE   write the database, as it is now, to FILE\n"
	  "  drain         end the server as SIGTERM does, and wait for that\n"
	  "\n"
	  "  -d, --state-dir DIR  the server's state directory\n"
	  "      --plain          key=value lines, for scripts\n"
	  "  -V, --version        print the version\n"
	  "  -h, --help           print this\n";

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

typedef void (*show_fn)(struct bytes text);

static const struct command {
	const char *name;
	bool file;      /* takes the name of one */
	bool until_end; /* it is done when the server has ended */
	show_fn show;   /* for people */
	const char *done;
} commands[] = {
    {"status", false, false, ctl_show_status, NULL},
    {"sessions", false, false, ctl_show_table, NULL},
    {"rooms", false, false, ctl_show_table, NULL},
    {"reload", false, false, ctl_show_text, NULL},
    {"backup", true, false, ctl_show_text, "backup written"},
    {"drain", false, true, ctl_show_text, "the server has ended"},
};

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int PRINTF_LIKE(1, 2) complain(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("chatctl: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return EXIT_REFUSED;
}

/* ---- the socket ---- */

static int
no_server(const char *dir)
{
	switch (errno) {
	case ENOENT:
	case ECONNREFUSED:
		return complain(
		    "no server runs on %s; start chat-server, or name its state directory with -d", dir);
	case EACCES:
	case EPERM:
		return complain(
		    "%s is another user's: run chatctl as the user who runs the server, or as root", dir);
	default:
		return complain("the server on %s cannot be reached: %s", dir, strerror(errno));
	}
}

/* The socket's path may be too long for its address: see server/control.c. */
static int
connect_to(const char *dir, int *ret_fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1, status = 0;

	if (dir_fd < 0)
		return no_server(dir);
	(void)snprintf(sun.sun_path, sizeof sun.sun_path, "/proc/self/fd/%d/" STATE_CONTROL, dir_fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sun, sizeof sun) != 0) {
		status = no_server(dir);
		if (fd >= 0)
			(void)close(fd);
	} else {
		*ret_fd = fd;
	}
	(void)close(dir_fd);
	return status;
}

static bool
send_all(int fd, struct bytes text)
{
	while (text.len > 0) {
		ssize_t n = send(fd, text.data, text.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			text = BYTES(text.data + n, text.len - (size_t)n);
	}
	return true;
}

/* Reads to the end of the connection. */
static bool
receive_all(int fd, struct buf *text)
{
	ssize_t n;

	do {
		if (buf_reserve(text, 65536) != CHAT_OK)
			return false;
		n = recv(fd, text->data + text->len, 65536, 0);
		text->len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0;
}

/* ---- a command ---- */

static enum chat_err
make_line(const struct command *command, const char *file, struct buf *line)
{
	char cwd[PATH_MAX];
	enum chat_err err = buf_append_str(line, command->name);

	if (err == CHAT_OK && command->file) {
		/* Meant from here, and not from where the server was started. */
		if (file[0] != '/' && getcwd(cwd, sizeof cwd) == NULL)
			return CHAT_ERR_IO;
		err = buf_printf(line, " %s%s%s", file[0] != '/' ? cwd : "", file[0] != '/' ? "/" : "", file);
	}
	return err == CHAT_OK ? buf_append_str(line, "\n") : err;
}

static int
show_answer(const struct command *command, struct bytes text, bool plain)
{
	static const char ok[] = "ok ", error[] = "error ";
	const uint8_t *newline = memchr(text.data, '\n', text.len);
	size_t len = newline != NULL ? (size_t)(newline - text.data) : 0;
	unsigned long expected;

	if (len > strlen(error) && memcmp(text.data, error, strlen(error)) == 0)
		return complain("%.*s", (int)(len - strlen(error)), (const char *)text.data + strlen(error));
	if (len <= strlen(ok) || memcmp(text.data, ok, strlen(ok)) != 0)
		return complain(
		    "the server ended, or is too busy, before it had answered; its log says more");
	expected = strtoul((const char *)text.data + strlen(ok), NULL, 10); /* ends at the newline */
	text = BYTES(newline + 1, text.len - len - 1);
	if (text.len != expected)
		return complain("the server ended before its answer did");
	(plain ? ctl_show_text : command->show)(text);
	if (command->done != NULL && !plain)
		(void)printf("%s\n", command->done);
	return 0;
}

static int
run(const struct command *command, const char *dir, const char *file, bool plain)
{
	struct buf line = {.len = 0}, text = {.len = 0};
	int fd = -1, status = connect_to(dir, &fd);

	if (status != 0)
		return status;
	if (make_line(command, file, &line) != CHAT_OK)
		status = complain("the working directory has no path; name the file with a path from /");
	else if (!send_all(fd, buf_bytes(&line)) || !receive_all(fd, &text))
		status = complain("the connection to the server broke: %s", strerror(errno));
	else
		status = show_answer(command, buf_bytes(&text), plain);
	(void)close(fd);
	buf_fini(&line);
	buf_fini(&text);
	return status;
}

/* ---- the command line ---- */

static int
usage(void)
{
	(void)fputs(USAGE "chatctl --help lists the commands\n", stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
	    {"state-dir", required_argument, NULL, 'd'},
	    {"plain", no_argument, NULL, 'P'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	const struct command *command;
	char *dir = NULL, *given = NULL;
	bool plain = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "d:Vh", long_options, NULL)) != -1) {
		switch (c) {
		case 'd':
			given = optarg;
			break;
		case 'P':
			plain = true;
			break;
		case 'V':
			(void)printf("chatctl (secure-chat) " PACKAGE_VERSION "\n");
			return 0;
		case 'h':
			(void)fputs(help, stdout);
			return 0;
		default:
			return usage();
		}
	}
	command = optind < argc ? find_command(argv[optind]) : NULL;
	if (command == NULL || argc - optind != (command->file ? 2 : 1))
		return usage();
	if (given == NULL && state_dir_default(&dir) != CHAT_OK)
		return complain("there is no home directory; name the server's state directory with -d");
	status = run(command, given != NULL ? given : dir, argv[argc - 1], plain);
	free(dir);
	if (fflush(stdout) != 0)
		return complain("cannot write: %s", strerror(errno));
	return status;
}
