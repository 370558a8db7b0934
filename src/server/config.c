/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state_dir.h"
#include "server/server_limits.h"

/* Above this the engine, which is one thread, has long been the limit. */
#define LOOPS_MAX_AUTOMATIC 16

static enum chat_err
no_memory(struct passwd_why *ret_why)
{
	return passwd_why_set(ret_why, CHAT_ERR_NOMEM, NULL, 0, "out of memory");
}

/* ---- the file ---- */

static enum chat_err
file_error(struct passwd_why *ret_why, const char *path)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return passwd_why_set(ret_why, CHAT_ERR_NOT_FOUND, path, 0,
		    "there is no such file; name the right one with -c, or leave -c out");
	case EACCES:
	case EPERM:
		return passwd_why_set(ret_why, CHAT_ERR_PERMISSION, path, 0,
		    "may not be read by this user; mend its owner or mode");
	default:
		return passwd_why_set(ret_why, CHAT_ERR_IO, path, 0, "cannot be read: %s", strerror(errno));
	}
}

static enum chat_err
read_file(const char *path, struct buf *text, struct passwd_why *ret_why)
{
	/* Non-blocking: a fifo without a writer would hold up the start for ever. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum chat_err err = CHAT_OK;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return file_error(ret_why, path);
	if (fstat(fd, &st) != 0) {
		err = file_error(ret_why, path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err = passwd_why_set(
		    ret_why, CHAT_ERR_IO, path, 0, "is not a file; name the configuration file with -c");
		goto out;
	}
	do {
		/* One byte more than allowed is enough for options_parse() to refuse it. */
		size_t room = OPTIONS_FILE_MAX_BYTES + 1 - text->len;

		if (buf_reserve(text, room < 4096 ? room : 4096) != CHAT_OK) {
			err = no_memory(ret_why);
			goto out;
		}
		got = read(fd, text->data + text->len, room < 4096 ? room : 4096);
		if (got < 0 && errno != EINTR) {
			err = file_error(ret_why, path);
			goto out;
		}
		text->len += got > 0 ? (size_t)got : 0;
	} while (got != 0 && text->len <= OPTIONS_FILE_MAX_BYTES);
out:
	(void)close(fd);
	return err;
}

/* ---- the command line ---- */

static enum chat_err
absolute(const char *path, char **ret, struct passwd_why *ret_why)
{
	char cwd[PATH_MAX];

	if (path[0] == '/') {
		*ret = strdup(path);
		return *ret != NULL ? CHAT_OK : no_memory(ret_why);
	}
	if (getcwd(cwd, sizeof cwd) == NULL)
		return passwd_why_set(ret_why, CHAT_ERR_IO, path, 0,
		    "the working directory has no path (%s); name it with a path from /", strerror(errno));
	return state_dir_file(cwd, path, ret) == CHAT_OK ? CHAT_OK : no_memory(ret_why);
}

static enum chat_err
set_from_flag(struct options *options, char flag, const char *value, struct passwd_why *ret_why)
{
	const struct option_row *row = option_of_flag(flag);
	char why[OPTION_WHY_CHARS], *path = NULL;
	enum chat_err err;

	assert(row != NULL);
	if (value == NULL)
		return CHAT_OK;
	/* What is typed in a shell is meant from where it is typed; there "default" is a name like any. */
	if (row->type == OPTION_PATH && value[0] != '\0') {
		err = absolute(value, &path, ret_why);
		if (err != CHAT_OK)
			return err;
		value = path;
	}
	err = option_set(options, row, BYTES_STR(value), why);
	if (err == CHAT_ERR_NOMEM)
		(void)no_memory(ret_why);
	else if (err != CHAT_OK && flag == '#')
		(void)passwd_why_set(ret_why, err, NULL, 0, "command line: the port \"%s\" %s", value, why);
	else if (err != CHAT_OK)
		(void)passwd_why_set(ret_why, err, NULL, 0, "command line: -%c \"%s\" %s", flag, value, why);
	free(path);
	return err;
}

static enum chat_err
set_from_args(struct options *options, const struct config_args *args, struct passwd_why *ret_why)
{
	const struct {
		char flag;
		const char *value;
	} given[] = {
	    {'d', args->state_dir}, {'p', args->password_file}, {'l', args->listen}, {'#', args->port}};

	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		enum chat_err err = set_from_flag(options, given[i].flag, given[i].value, ret_why);

		if (err != CHAT_OK)
			return err;
	}
	return CHAT_OK;
}

/* ---- the whole ---- */

static enum chat_err
add_name(struct buf *names, const char *name)
{
	enum chat_err err = names->len > 0 ? buf_append_str(names, ", ") : CHAT_OK;

	return err == CHAT_OK ? buf_append_str(names, name) : err;
}

/* What needs a restart stays as it is. */
static enum chat_err
keep_running(struct config *config, const struct config *running, struct passwd_why *ret_why)
{
	struct buf names = {.len = 0};
	enum chat_err err = CHAT_OK;
	uint8_t *text;
	size_t len;

	for (size_t i = 0; i < option_row_count && running != NULL && err == CHAT_OK; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->when != OPTION_RESTART || option_equal(row, &config->options, &running->options))
			continue;
		err = add_name(&names, row->name);
		if (err == CHAT_OK)
			err = option_copy(&config->options, row, &running->options);
	}
	if (err == CHAT_OK)
		err = buf_append(&names, "", 1);
	if (err == CHAT_OK) {
		buf_steal(&names, &text, &len);
		config->waiting = (char *)text;
	}
	buf_fini(&names);
	return err == CHAT_OK ? CHAT_OK : no_memory(ret_why);
}

static enum chat_err
below_state_dir(const struct config *config, const char *path, char **ret)
{
	if (path[0] != '/')
		return state_dir_file(config->state_dir, path, ret);
	*ret = strdup(path);
	return *ret != NULL ? CHAT_OK : CHAT_ERR_NOMEM;
}

static enum chat_err
find_state_dir(struct config *config, const struct config_args *args, struct passwd_why *ret_why)
{
	const char *given = config->options.state_dir;
	enum chat_err err;

	if (strcmp(given, "default") == 0) {
		err = state_dir_default(&config->state_dir);
		if (err == CHAT_ERR_NOT_FOUND)
			return passwd_why_set(ret_why, err, NULL, 0,
			    "there is no home directory to keep the server's state in; name a folder with "
			    "-d");
		return err == CHAT_OK ? CHAT_OK : no_memory(ret_why);
	}
	if (given[0] != '/')
		return passwd_why_set(ret_why, CHAT_ERR_SYNTAX, args->file, 0,
		    "state_dir has to be a path from / on, or the word default");
	config->state_dir = strdup(given);
	return config->state_dir != NULL ? CHAT_OK : no_memory(ret_why);
}

static enum chat_err
find_paths(struct config *config, struct passwd_why *ret_why)
{
	const struct options *options = &config->options;
	enum chat_err err = below_state_dir(config, options->password_file, &config->password_file);

	if (err == CHAT_OK)
		err = below_state_dir(config, options->tls_key, &config->tls_key);
	if (err == CHAT_OK)
		err = below_state_dir(config, options->tls_cert, &config->tls_cert);
	if (err == CHAT_OK && strcmp(options->log_file, "stderr") != 0)
		err = below_state_dir(config, options->log_file, &config->log_file);
	return err == CHAT_OK ? CHAT_OK : no_memory(ret_why);
}

static uint16_t
processors(void)
{
	cpu_set_t set;
	int count = 1;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		count = CPU_COUNT(&set);
	return (uint16_t)(count < LOOPS_MAX_AUTOMATIC ? count : LOOPS_MAX_AUTOMATIC);
}

/* The ranges of the rows hold each in its type. */
static enum chat_err
make_limits(struct config *config, struct passwd_why *ret_why)
{
	const struct options *options = &config->options;
	struct server_limits *limits = server_limits_new();

	if (limits == NULL)
		return no_memory(ret_why);
	limits->connections_max = (uint32_t)options->connections_max;
	limits->handshake_timeout_ms = (uint32_t)options->handshake_timeout_ms;
	limits->hello_timeout_ms = (uint32_t)options->hello_timeout_ms;
	limits->login_timeout_ms = (uint32_t)options->login_timeout_ms;
	limits->idle_timeout_ms = (uint32_t)options->idle_timeout_ms;
	limits->outbuf_high_bytes = (uint32_t)options->outbuf_high_bytes;
	limits->outbuf_low_bytes = (uint32_t)options->outbuf_low_bytes;
	limits->request_units_per_ms = (uint32_t)options->request_units_per_ms;
	limits->request_units_burst = (uint32_t)options->request_units_burst;
	limits->kdf_queue_max = (uint32_t)options->kdf_queue_max;
	limits->login_fail_delay_ms = (uint32_t)options->login_fail_delay_ms;
	limits->login_fail_delay_max_ms = (uint32_t)options->login_fail_delay_max_ms;
	limits->sessions_per_account = (uint32_t)options->sessions_per_account;
	limits->rooms_per_account = (uint32_t)options->rooms_per_account;
	limits->room_readers_max = (uint32_t)options->room_readers_max;
	limits->history_days = (uint32_t)options->history_days;
	limits->history_entries = options->history_entries;
	config->limits = limits;
	config->loop_count = options->loops > 0 ? (uint16_t)options->loops : processors();
	return CHAT_OK;
}

static enum chat_err
set_options(struct config *config, const struct config_args *args, struct passwd_why *ret_why)
{
	struct options_lines lines = {.line = {0}};
	const struct option_row *row = NULL;
	struct buf text = {.len = 0};
	char why[OPTION_WHY_CHARS];
	enum chat_err err = CHAT_OK;

	if (args->file != NULL) {
		err = read_file(args->file, &text, ret_why);
		if (err == CHAT_OK)
			err = options_parse(&config->options, buf_bytes(&text), args->file, &lines, ret_why);
	}
	buf_fini(&text);
	if (err == CHAT_OK)
		err = set_from_args(&config->options, args, ret_why);
	if (err != CHAT_OK)
		return err;
	err = options_check(&config->options, &row, why);
	if (err != CHAT_OK)
		return passwd_why_set(
		    ret_why, err, args->file, lines.line[row - option_rows], "%s %s", row->name, why);
	return CHAT_OK;
}

enum chat_err
config_load(const struct config_args *args, const struct config *running, struct config **ret_config,
    struct passwd_why *ret_why)
{
	struct config *config = calloc(1, sizeof *config);
	enum chat_err err;

	if (config == NULL || options_init(&config->options) != CHAT_OK) {
		free(config);
		return no_memory(ret_why);
	}
	atomic_init(&config->refs, 1);
	err = set_options(config, args, ret_why);
	if (err == CHAT_OK)
		err = keep_running(config, running, ret_why);
	if (err == CHAT_OK)
		err = find_state_dir(config, args, ret_why);
	if (err == CHAT_OK)
		err = find_paths(config, ret_why);
	if (err == CHAT_OK)
		err = make_limits(config, ret_why);
	if (err != CHAT_OK) {
		config_unref(config);
		return err;
	}
	*ret_config = config;
	return CHAT_OK;
}

struct config *
config_ref(struct config *config)
{
	atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
	return config;
}

void
config_unref(struct config *config)
{
	if (config == NULL || atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) != 1)
		return;
	options_fini(&config->options);
	server_limits_unref(config->limits);
	free(config->state_dir);
	free(config->password_file);
	free(config->tls_key);
	free(config->tls_cert);
	free(config->log_file);
	free(config->waiting);
	free(config);
}

enum chat_err
config_changes(const struct config *from, const struct config *to, struct buf *names)
{
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (!option_equal(row, &from->options, &to->options)) {
			enum chat_err err = add_name(names, row->name);

			if (err != CHAT_OK)
				return err;
		}
	}
	return CHAT_OK;
}
