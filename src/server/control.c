/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/container.h"
#include "base/state_dir.h"
#include "net/loop.h"

enum request_state {
	REQUEST_READING,   /* until the line is there */
	REQUEST_WAITING,   /* for its owner's answer */
	REQUEST_ANSWERING, /* until it is written */
	REQUEST_HELD,      /* answered; ends with the server */
	REQUEST_ENDED,     /* in the loop no more; freed when it is nobody's */
};

struct control_request {
	LIST_ENTRY(control_request) link;
	struct control *control; /* NULL: it has gone before */
	struct loop_fd lfd;
	struct wheel_timer timer;
	enum request_state state;
	bool hold;
	bool waited_for; /* its owner still has it */
	bool released;   /* the loop does not */
	int fd;          /* owned */
	struct buf in, out;
	size_t written;
};

struct control {
	struct loop *loop;
	const struct control_command *commands;
	void *ctx;
	char *path;
	int fd; /* owned */
	struct loop_fd lfd;
	bool in_loop; /* the loop still knows lfd */
	bool freed;   /* by its owner */
	LIST_HEAD(, control_request) requests;
	size_t count; /* of those not ended */
};

/* ---- the life of a request ---- */

static void
free_unless_used(struct control_request *request)
{
	if (request->waited_for || !request->released)
		return;
	if (request->control != NULL)
		LIST_REMOVE(request, link);
	buf_fini(&request->in);
	buf_fini(&request->out);
	free(request);
}

static void
request_released(struct loop *loop, struct loop_fd *lfd)
{
	struct control_request *request = CONTAINER_OF(lfd, struct control_request, lfd);

	(void)loop;
	request->released = true;
	free_unless_used(request);
}

static uint32_t
interest(enum request_state state)
{
	return state == REQUEST_READING ? EPOLLIN : state == REQUEST_ANSWERING ? EPOLLOUT : 0;
}

static void
change_state(struct control_request *request, enum request_state state)
{
	struct control *control = request->control;

	request->state = state;
	if (state != REQUEST_READING)
		wheel_cancel(loop_wheel(control->loop), &request->timer);
	if (state != REQUEST_ENDED) {
		loop_mod(control->loop, &request->lfd, interest(state));
		return;
	}
	loop_del(control->loop, &request->lfd, request_released);
	(void)close(request->fd);
	control->count--;
	if (control->count == CONTROL_CONNECTIONS_MAX - 1 && loop_has(&control->lfd))
		loop_mod(control->loop, &control->lfd, EPOLLIN);
}

/* ---- writing ---- */

static void
write_answer(struct control_request *request)
{
	while (request->written < request->out.len) {
		ssize_t n = send(request->fd, request->out.data + request->written,
		    request->out.len - request->written, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			change_state(request, REQUEST_ENDED);
			return;
		}
		request->written += (size_t)n;
	}
	change_state(request, request->hold ? REQUEST_HELD : REQUEST_ENDED);
}

/* Takes it back from its owner, who has the answer.  False if nobody waits for that any more. */
static bool
take_back(struct control_request *request)
{
	assert(request->waited_for);
	request->waited_for = false;
	if (request->state == REQUEST_ENDED) {
		free_unless_used(request);
		return false;
	}
	return true;
}

static void
answer(struct control_request *request, enum chat_err err)
{
	/* Without memory for an answer it is cut, which chatctl can tell from a whole one. */
	if (err != CHAT_OK) {
		change_state(request, REQUEST_ENDED);
		return;
	}
	change_state(request, REQUEST_ANSWERING);
	write_answer(request);
}

void
control_answer(struct control_request *request, struct bytes text)
{
	enum chat_err err;

	if (!take_back(request))
		return;
	err = buf_printf(&request->out, "ok %zu\n", text.len);
	if (err == CHAT_OK)
		err = buf_append(&request->out, text.data, text.len);
	answer(request, err);
}

void
control_refuse(struct control_request *request, const char *why)
{
	if (take_back(request))
		answer(request, buf_printf(&request->out, "error %s\n", why));
}

void
control_answer_and_hold(struct control_request *request, struct bytes text)
{
	request->hold = true;
	control_answer(request, text);
}

/* ---- reading ---- */

static void
run_line(struct control_request *request, char *line)
{
	const struct control_command *command = request->control->commands;
	char *argument = strchr(line, ' ');

	if (argument != NULL)
		*argument++ = '\0';
	else
		argument = line + strlen(line);
	while (command->name != NULL && strcmp(command->name, line) != 0)
		command++;
	change_state(request, REQUEST_WAITING);
	request->waited_for = true;
	if (command->name == NULL)
		control_refuse(request, "no such command; is chatctl of the same version?");
	else if (command->has_argument != (argument[0] != '\0'))
		control_refuse(request, command->has_argument ? "the command needs an argument"
							      : "the command takes no argument");
	else
		command->fn(request->control->ctx, request, argument);
}

static void
read_line(struct control_request *request)
{
	struct buf *in = &request->in;
	uint8_t *newline;
	ssize_t n;

	if (buf_reserve(in, CONTROL_LINE_MAX_BYTES - in->len) != CHAT_OK) {
		change_state(request, REQUEST_ENDED);
		return;
	}
	n = recv(request->fd, in->data + in->len, CONTROL_LINE_MAX_BYTES - in->len, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		change_state(request, REQUEST_ENDED);
		return;
	}
	in->len += (size_t)n;
	newline = memchr(in->data, '\n', in->len);
	if (newline == NULL && in->len < CONTROL_LINE_MAX_BYTES)
		return;
	if (newline == NULL || newline != in->data + in->len - 1 || memchr(in->data, '\0', in->len) != NULL) {
		change_state(request, REQUEST_WAITING);
		request->waited_for = true;
		control_refuse(request, "not one line");
		return;
	}
	*newline = '\0';
	run_line(request, (char *)in->data);
}

static void
request_ready(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct control_request *request = CONTAINER_OF(lfd, struct control_request, lfd);

	(void)loop;
	if (request->state == REQUEST_READING && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		read_line(request);
	else if (request->state == REQUEST_ANSWERING && (events & EPOLLOUT) != 0)
		write_answer(request);
	else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		change_state(request, REQUEST_ENDED);
}

static void
line_late(struct wheel_timer *timer)
{
	change_state(CONTAINER_OF(timer, struct control_request, timer), REQUEST_ENDED);
}

/* ---- accepting ---- */

static bool
peer_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == geteuid() || cred.uid == 0);
}

static void
take(struct control *control, int fd)
{
	struct control_request *request = NULL;

	if (!peer_allowed(fd))
		goto fail;
	request = calloc(1, sizeof *request);
	if (request == NULL)
		goto fail;
	request->control = control;
	request->fd = fd;
	if (loop_add(control->loop, &request->lfd, fd, EPOLLIN, request_ready) != CHAT_OK)
		goto fail;
	LIST_INSERT_HEAD(&control->requests, request, link);
	wheel_set(loop_wheel(control->loop), &request->timer,
	    loop_now(control->loop).mono_ms + CONTROL_LINE_MS, line_late);
	if (++control->count == CONTROL_CONNECTIONS_MAX)
		loop_mod(control->loop, &control->lfd, 0);
	return;
fail:
	free(request);
	(void)close(fd);
}

static void
socket_ready(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct control *control = CONTAINER_OF(lfd, struct control, lfd);
	int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)loop;
	(void)events;
	if (fd >= 0)
		take(control, fd);
}

/* ---- the socket ---- */

/*
 * A socket's address holds 107 characters and a path may have 4,095: from below /proc it is short whatever
 * the directory is called.  chatctl does the same.
 */
static enum chat_err
bind_in(int fd, const char *dir)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), ret;
	mode_t mask;

	if (dir_fd < 0)
		return CHAT_ERR_IO;
	(void)snprintf(sun.sun_path, sizeof sun.sun_path, "/proc/self/fd/%d/" STATE_CONTROL, dir_fd);
	/* Nobody else may connect, not even before a chmod. */
	mask = umask(0177);
	ret = bind(fd, (const struct sockaddr *)&sun, sizeof sun);
	(void)umask(mask);
	if (ret != 0)
		ret = -errno;
	(void)close(dir_fd);
	errno = -ret;
	return ret == 0 ? CHAT_OK : CHAT_ERR_IO;
}

static enum chat_err
make_socket(struct control *control, const char *dir)
{
	struct stat st;

	/* Only a socket is a left-over; anything else of that name makes bind() fail, and is named. */
	if (lstat(control->path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(control->path);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return CHAT_ERR_IO;
	if (bind_in(control->fd, dir) != CHAT_OK) {
		(void)close(control->fd);
		control->fd = -1;
		return CHAT_ERR_IO;
	}
	if (listen(control->fd, CONTROL_CONNECTIONS_MAX) != 0)
		return CHAT_ERR_IO;
	if (loop_add(control->loop, &control->lfd, control->fd, EPOLLIN, socket_ready) != CHAT_OK)
		return CHAT_ERR_IO;
	control->in_loop = true;
	return CHAT_OK;
}

enum chat_err
control_open(const char *dir, struct loop *loop, const struct control_command *commands, void *ctx,
    struct control **ret_control, struct passwd_why *ret_why)
{
	struct control *control = calloc(1, sizeof *control);
	enum chat_err err;

	if (control == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_NOMEM, NULL, 0, "out of memory");
	control->loop = loop;
	control->commands = commands;
	control->ctx = ctx;
	control->fd = -1;
	LIST_INIT(&control->requests);
	if (state_dir_file(dir, STATE_CONTROL, &control->path) != CHAT_OK) {
		free(control);
		return passwd_why_set(ret_why, CHAT_ERR_NOMEM, NULL, 0, "out of memory");
	}
	err = make_socket(control, dir);
	if (err != CHAT_OK) {
		(void)passwd_why_set(ret_why, err, control->path, 0,
		    "the control socket cannot be made: %s; remove what is there", strerror(errno));
		control_free(control);
		return err;
	}
	*ret_control = control;
	return CHAT_OK;
}

static void
control_released(struct loop *loop, struct loop_fd *lfd)
{
	struct control *control = CONTAINER_OF(lfd, struct control, lfd);

	(void)loop;
	control->in_loop = false;
	if (control->freed)
		free(control);
}

void
control_stop(struct control *control)
{
	if (control->fd < 0)
		return;
	loop_del(control->loop, &control->lfd, control_released);
	(void)close(control->fd);
	(void)unlink(control->path);
	control->fd = -1;
}

/* The loop frees what it still knows at its next turn's end, or at its own. */
void
control_free(struct control *control)
{
	struct control_request *request, *next;

	if (control == NULL)
		return;
	LIST_FOREACH_SAFE(request, &control->requests, link, next)
	{
		request->waited_for = false;
		if (request->state != REQUEST_ENDED)
			change_state(request, REQUEST_ENDED);
		else
			free_unless_used(request);
	}
	LIST_FOREACH (request, &control->requests, link)
		request->control = NULL;
	control_stop(control);
	free(control->path);
	control->path = NULL;
	control->freed = true;
	if (!control->in_loop)
		free(control);
}
