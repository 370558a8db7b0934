/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "client_run.h"

#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/app.h"
#include "client/json.h"
#include "client/plain.h"

#define ARGS_MAX 16

/* Every time of day becomes HH:MM, lines with a date go: the clock is the machine's. */
static char *
without_time(char *s)
{
	char *from = s, *to = s;

	while (*from) {
		size_t len = strcspn(from, "\n");

		len += from[len] == '\n';
		if (strncmp(from, "=== ", 4) != 0) {
			if (isdigit((unsigned char)from[0]) && from[2] == ':')
				memcpy(from, "HH:MM", 5);
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	*to = '\0';
	return s;
}

static int
memory_file(const char *content)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static char *
content_of(int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	char *s = malloc((size_t)len + 1);

	assert_non_null(s);
	assert_int_equal(pread(fd, s, (size_t)len, 0), len);
	s[len] = '\0';
	return s;
}

struct client_run
client_run(const char *args, const char *input)
{
	char *copy, *rest, *word, *argv[ARGS_MAX + 2];
	struct client_run run;
	struct options opt;
	struct text why = {0};
	struct app app;
	int argc = 0, in = memory_file(input), out = memory_file("");

	assert_true(asprintf(&copy, "chat-client -u alice%s%s localhost", *args ? " " : "", args) > 0);
	for (rest = copy; (word = strsep(&rest, " ")) && argc < ARGS_MAX;)
		argv[argc++] = word;
	argv[argc] = NULL;
	assert_ok(options_parse(argc, argv, &opt, &why));
	if (app_init(&app, &opt, in, out) == CHAT_OK) {
		if (opt.json)
			json_run(&app);
		else
			plain_run(&app, in, out);
	}
	app_end_output(&app);
	run.exit_code = app.exit_code;
	run.out = without_time(content_of(out));
	run.last_words = strdup(text_cstr(&app.last_words));
	assert_non_null(run.last_words);
	app_fini(&app);
	close(in);
	close(out);
	free(copy);
	text_fini(&why);
	return run;
}

void
client_run_fini(struct client_run *run)
{
	free(run->out);
	free(run->last_words);
}
