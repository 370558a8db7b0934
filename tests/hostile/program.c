/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/unit.h"

#include "host.h"
#include "lines.h"

#define ARGS_MAX 24

struct program {
	pid_t pid; /* 0: ended */
	int pid_fd;
	int in_fd;
	struct lines *printed;
	char *dir;
	char *data_dir;
};

static void
write_password(const char *path, const char *user)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	FILE *to;

	assert_true(fd >= 0);
	to = fdopen(fd, "w");
	assert_non_null(to);
	fprintf(to, "%s\n", host_password(user));
	assert_int_equal(fclose(to), 0);
}

static void
be_client(const struct program *program, const char *const *argv, int in_fd, int out_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("HOME", program->dir, 1);
	setenv("TZ", "UTC", 1);
	unsetenv("XDG_DATA_HOME");
	unsetenv("XDG_STATE_HOME");
	if (dup2(in_fd, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
	    dup2(out_fd, STDERR_FILENO) < 0)
		_exit(126);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	perror(argv[0]);
	_exit(127);
}

struct program *
program_start(uint16_t port, const char *user, const char *data_dir, const char *const *args)
{
	struct program *program = calloc(1, sizeof(*program));
	const char *top = getenv("abs_top_builddir"), *argv[ARGS_MAX + 1] = {0};
	char path[512], password_path[512], port_text[8];
	size_t argc = 0;
	int in[2], out[2];

	assert_non_null(program);
	program->dir = unit_temp_dir();
	if (data_dir != NULL)
		program->data_dir = strdup(data_dir);
	else
		assert_true(asprintf(&program->data_dir, "%s/data", program->dir) > 0);
	snprintf(path, sizeof(path), "%s/src/client/chat-client", top != NULL ? top : ".");
	snprintf(password_path, sizeof(password_path), "%s/password", program->dir);
	snprintf(port_text, sizeof(port_text), "%u", port);
	write_password(password_path, user);
	argv[argc++] = path;
	argv[argc++] = "--plain";
	argv[argc++] = "--accept-new";
	argv[argc++] = "--data-dir";
	argv[argc++] = program->data_dir;
	argv[argc++] = "--password-file";
	argv[argc++] = password_path;
	argv[argc++] = "-u";
	argv[argc++] = user;
	for (; args != NULL && *args != NULL; args++)
		argv[argc++] = *args;
	argv[argc++] = "127.0.0.1";
	argv[argc++] = port_text;
	assert_true(argc <= ARGS_MAX);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	program->pid = fork();
	assert_true(program->pid >= 0);
	if (program->pid == 0)
		be_client(program, argv, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	program->pid_fd = (int)syscall(SYS_pidfd_open, program->pid, 0);
	assert_true(program->pid_fd >= 0);
	program->in_fd = in[1];
	program->printed = lines_open(out[0], "client");
	return program;
}

const char *
program_data_dir(const struct program *program)
{
	return program->data_dir;
}

void
program_type(struct program *program, const char *line)
{
	char *text = NULL;
	int len = asprintf(&text, "%s\n", line);

	assert_true(len > 0);
	assert_int_equal(write(program->in_fd, text, (size_t)len), len);
	free(text);
}

void
program_wait(struct program *program, size_t n, ...)
{
	va_list args;

	va_start(args, n);
	lines_wait(program->printed, n, host_patience_ms(), NULL, args);
	va_end(args);
}

size_t
program_count(struct program *program, ...)
{
	size_t found;
	va_list args;

	va_start(args, program);
	found = lines_count(program->printed, args);
	va_end(args);
	return found;
}

bool
program_said(struct program *program, const char *text)
{
	return lines_hold(program->printed, text);
}

int
program_wait_end(struct program *program)
{
	struct pollfd pfd = {.fd = program->pid_fd, .events = POLLIN};
	int status = -1;

	if (poll(&pfd, 1, (int)host_patience_ms()) != 1) {
		lines_show(program->printed);
		fail_msg("the client does not end");
	}
	assert_int_equal(waitpid(program->pid, &status, 0), program->pid);
	program->pid = 0;
	lines_wait_end(program->printed);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
program_quit(struct program *program, int expected)
{
	int status;

	program_type(program, "/quit");
	status = program_wait_end(program);
	if (status != expected)
		lines_show(program->printed);
	assert_int_equal(status, expected);
	program_free(program);
}

void
program_free(struct program *program)
{
	assert_int_equal(program->pid, 0);
	lines_close(program->printed);
	close(program->pid_fd);
	close(program->in_fd);
	free(program->data_dir);
	free(program->dir);
	free(program);
}
