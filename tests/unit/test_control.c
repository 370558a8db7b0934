/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The control socket without a server: a loop, a table of commands, and clients that behave or not. */

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/state_dir.h"
#include "net/loop.h"
#include "server/control.h"

/* A socket in a directory of its own, and what its commands have seen. */
struct place {
	char *dir, *path;
	struct loop *loop;
	struct control *control;
	struct control_request *later[4]; /* requests that were not answered yet */
	size_t later_count;
	char argument[CONTROL_LINE_MAX_BYTES];
};

static void
on_now(void *ctx, struct control_request *request, const char *argument)
{
	struct place *place = ctx;

	(void)strlcpy(place->argument, argument, sizeof place->argument);
	control_answer(request, BYTES_STR("here\nyou are\n"));
}

static void
on_later(void *ctx, struct control_request *request, const char *argument)
{
	struct place *place = ctx;

	(void)argument;
	place->later[place->later_count++] = request;
}

static void
on_no(void *ctx, struct control_request *request, const char *argument)
{
	(void)ctx;
	(void)argument;
	control_refuse(request, "no");
}

static void
on_hold(void *ctx, struct control_request *request, const char *argument)
{
	(void)ctx;
	(void)argument;
	control_answer_and_hold(request, BYTES_EMPTY);
}

#define BIG_BYTES (4 * 1024 * 1024) /* more than a socket takes at once */

static void
on_big(void *ctx, struct control_request *request, const char *argument)
{
	char *text = malloc(BIG_BYTES);

	(void)ctx;
	(void)argument;
	assert_non_null(text);
	memset(text, 'x', BIG_BYTES);
	control_answer(request, BYTES(text, BIG_BYTES));
	free(text);
}

static const struct control_command commands[] = {
    {"now", false, on_now},
    {"with", true, on_now},
    {"later", false, on_later},
    {"no", false, on_no},
    {"hold", false, on_hold},
    {"big", false, on_big},
    {NULL, false, NULL},
};

static void
place_open(struct place *place)
{
	struct passwd_why why = {.text = ""};

	*place = (struct place){.dir = unit_temp_dir()};
	assert_ok(state_dir_file(place->dir, STATE_CONTROL, &place->path));
	assert_ok(loop_new(NULL, NULL, &place->loop));
	if (control_open(place->dir, place->loop, commands, place, &place->control, &why) != CHAT_OK)
		fail_msg("%s", why.text);
}

static void
place_close(struct place *place)
{
	control_free(place->control);
	loop_free(place->loop);
	assert_int_equal(access(place->path, F_OK), -1);
	free(place->path);
	free(place->dir);
}

/* So many turns that whatever could happen has happened. */
static void
turns(struct place *place)
{
	for (int i = 0; i < 64; i++)
		assert_ok(loop_turn(place->loop, 0));
}

static int
client(const struct place *place)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_true(strlcpy(sun.sun_path, place->path, sizeof sun.sun_path) < sizeof sun.sun_path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What there is to read now; *ret_end tells whether the connection has ended. */
static size_t
heard(int fd, char *ret, size_t size, bool *ret_end)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, ret + len, size - len, 0)) > 0)
		len += (size_t)n;
	assert_true(n == 0 || errno == EAGAIN || errno == ECONNRESET);
	*ret_end = n == 0 || errno == ECONNRESET;
	return len;
}

static void
assert_hears(struct place *place, int fd, const char *expected, bool end)
{
	char text[4096];
	bool ended;
	size_t len;

	turns(place);
	len = heard(fd, text, sizeof text - 1, &ended);
	text[len] = '\0';
	assert_string_equal(text, expected);
	assert_int_equal(ended, end);
}

TEST(answers)
{
	static const struct {
		const char *line, *answer;
	} cases[] = {
	    {"now\n", "ok 13\nhere\nyou are\n"},
	    {"no\n", "error no\n"},
	    {"with it\n", "ok 13\nhere\nyou are\n"},
	    {"with\n", "error the command needs an argument\n"},
	    {"with \n", "error the command needs an argument\n"},
	    {"now it\n", "error the command takes no argument\n"},
	    {"other\n", "error no such command; is chatctl of the same version?\n"},
	    {"nowx\n", "error no such command; is chatctl of the same version?\n"},
	    {"now\nnow\n", "error not one line\n"},
	};
	struct place place;

	place_open(&place);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int fd = client(&place);

		say(fd, cases[i].line);
		assert_hears(&place, fd, cases[i].answer, true);
		close(fd);
	}
	place_close(&place);
}

TEST(arguments_are_the_rest_of_the_line)
{
	struct place place;
	int fd;

	place_open(&place);
	fd = client(&place);
	say(fd, "with a file = of mine \n");
	turns(&place);
	assert_string_equal(place.argument, "a file = of mine ");
	close(fd);
	place_close(&place);
}

TEST(byte_by_byte)
{
	struct place place;
	const char *line = "now";
	int fd;

	place_open(&place);
	fd = client(&place);
	for (size_t i = 0; i < strlen(line); i++) {
		say(fd, (const char[]){line[i], '\0'});
		assert_hears(&place, fd, "", false);
	}
	say(fd, "\n");
	assert_hears(&place, fd, "ok 13\nhere\nyou are\n", true);
	close(fd);
	place_close(&place);
}

/* The longest line is taken, one byte more is not. */
TEST(longest_line)
{
	struct place place;
	char line[CONTROL_LINE_MAX_BYTES + 2];
	int fd;

	place_open(&place);
	memset(line, 'x', sizeof line);
	memcpy(line, "with ", 5);
	line[CONTROL_LINE_MAX_BYTES - 1] = '\n';
	line[CONTROL_LINE_MAX_BYTES] = '\0';
	fd = client(&place);
	say(fd, line);
	assert_hears(&place, fd, "ok 13\nhere\nyou are\n", true);
	assert_int_equal(strlen(place.argument), CONTROL_LINE_MAX_BYTES - 6);
	close(fd);

	line[CONTROL_LINE_MAX_BYTES - 1] = 'x';
	line[CONTROL_LINE_MAX_BYTES] = '\n';
	line[CONTROL_LINE_MAX_BYTES + 1] = '\0';
	fd = client(&place);
	say(fd, line);
	assert_hears(&place, fd, "error not one line\n", true);
	close(fd);
	place_close(&place);
}

TEST(later)
{
	struct place place;
	int a, b;

	place_open(&place);
	a = client(&place);
	b = client(&place);
	say(a, "later\n");
	assert_hears(&place, a, "", false);
	say(b, "later\n");
	assert_hears(&place, b, "", false);
	assert_int_equal(place.later_count, 2);
	control_refuse(place.later[1], "after all");
	assert_hears(&place, b, "error after all\n", true);
	control_answer(place.later[0], BYTES_EMPTY);
	assert_hears(&place, a, "ok 0\n", true);
	close(a);
	close(b);
	place_close(&place);
}

/* The answer comes when nobody is there any more: it is thrown away. */
TEST(gone_before_the_answer)
{
	struct place place;
	int fd;

	place_open(&place);
	fd = client(&place);
	say(fd, "later\n");
	turns(&place);
	close(fd);
	turns(&place);
	assert_int_equal(place.later_count, 1);
	control_answer(place.later[0], BYTES_STR("too late"));
	turns(&place);
	place_close(&place);
}

/* Requests that are still open when the server ends: read, waiting, held. */
TEST(ended_with_requests)
{
	struct place place;
	int silent, waiting, held, gone;

	place_open(&place);
	silent = client(&place);
	waiting = client(&place);
	held = client(&place);
	gone = client(&place);
	say(waiting, "later\n");
	say(held, "hold\n");
	say(gone, "later\n");
	assert_hears(&place, held, "ok 0\n", false);
	close(gone);
	turns(&place);
	control_stop(place.control);
	assert_int_equal(access(place.path, F_OK), -1);
	assert_hears(&place, held, "", false);
	control_free(place.control);
	place.control = NULL;
	assert_hears(&place, silent, "", true);
	assert_hears(&place, waiting, "", true);
	assert_hears(&place, held, "", true);
	close(silent);
	close(waiting);
	close(held);
	place_close(&place);
}

TEST(an_answer_larger_than_the_socket)
{
	struct place place;
	char *text = malloc(BIG_BYTES + 64);
	size_t len = 0;
	bool end = false;
	int fd;

	place_open(&place);
	assert_non_null(text);
	fd = client(&place);
	say(fd, "big\n");
	while (!end) {
		turns(&place);
		len += heard(fd, text + len, BIG_BYTES + 64 - len, &end);
	}
	assert_int_equal(len, strlen("ok 4194304\n") + BIG_BYTES);
	assert_memory_equal(text, "ok 4194304\n", 11);
	close(fd);
	free(text);
	place_close(&place);
}

/* Of an answer that is not read to its end nothing is left. */
TEST(gone_in_the_answer)
{
	struct place place;
	int fd;

	place_open(&place);
	fd = client(&place);
	say(fd, "big\n");
	turns(&place);
	close(fd);
	turns(&place);
	place_close(&place);
}

/* So many are served at once; the next one is when one of them has ended. */
TEST(as_many_as_allowed)
{
	struct place place;
	int fds[CONTROL_CONNECTIONS_MAX], over;

	place_open(&place);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = client(&place);
		turns(&place);
	}
	over = client(&place);
	say(over, "now\n");
	assert_hears(&place, over, "", false);
	say(fds[3], "now\n");
	assert_hears(&place, fds[3], "ok 13\nhere\nyou are\n", true);
	assert_hears(&place, over, "ok 13\nhere\nyou are\n", true);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	close(over);
	turns(&place);
	place_close(&place);
}

TEST(in_place_of_what_is_left)
{
	struct place place;
	struct passwd_why why = {.text = ""};
	struct control *second;
	struct stat st;
	mode_t mask = umask(0);
	int fd;

	place_open(&place);
	assert_int_equal(stat(place.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	(void)umask(mask);
	/* A socket that is left is replaced: here of a server that lives, for who asks holds the lock. */
	assert_ok(control_open(place.dir, place.loop, commands, &place, &second, &why));
	fd = client(&place);
	say(fd, "no\n");
	assert_hears(&place, fd, "error no\n", true);
	close(fd);
	control_free(second);

	/* Anything else is not. */
	fd = open(place.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_err(control_open(place.dir, place.loop, commands, &place, &second, &why), CHAT_ERR_IO);
	assert_non_null(strstr(why.text, "the control socket cannot be made: Address already in use"));
	place_close(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers),
	    cmocka_unit_test(arguments_are_the_rest_of_the_line),
	    cmocka_unit_test(byte_by_byte),
	    cmocka_unit_test(longest_line),
	    cmocka_unit_test(later),
	    cmocka_unit_test(gone_before_the_answer),
	    cmocka_unit_test(ended_with_requests),
	    cmocka_unit_test(an_answer_larger_than_the_socket),
	    cmocka_unit_test(gone_in_the_answer),
	    cmocka_unit_test(as_many_as_allowed),
	    cmocka_unit_test(in_place_of_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
