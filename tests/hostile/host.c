/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit/unit.h"

#include "base/buf.h"

#define NEEDLES_MAX 8
#define SHOWN_BYTES 4096 /* of the log, when something went wrong */
/* Stands in everything that is secret or said in these tests, so that a log can be searched for it. */
#define SECRET_MARK "hush"

struct host {
	pid_t pid; /* 0: ended */
	uint16_t port;
	char *dir;
	char *state_dir;
	struct realm realm;

	pthread_t log_thread;
	int log_fd;
	pthread_mutex_t log_mtx;
	pthread_cond_t log_cond;
	struct buf log; /* lock: log_mtx */
	bool log_ended; /* lock: log_mtx */
};

/* ---- time ---- */

bool
host_is_sanitized(void)
{
	const char *sanitizer = getenv("CHAT_SANITIZER");

	return sanitizer != NULL && sanitizer[0] != '\0' && strcmp(sanitizer, "no") != 0;
}

unsigned
host_patience_ms(void)
{
	return host_is_sanitized() ? 120000 : 30000;
}

uint64_t
host_now_ms(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- files ---- */

const char *
host_password(const char *account)
{
	static char password[128];

	snprintf(password, sizeof(password), SECRET_MARK " the password of %s", account);
	return password;
}

static void
put_account(FILE *to, const char *account, const char *flags)
{
	struct crypt_data data = {0};
	/* The cheapest that crypt(5) has: what a good hash costs is measured elsewhere. */
	const char *hash =
	    crypt_rn(host_password(account), "$5$rounds=1000$hostile$", &data, (int)sizeof(data));

	assert_non_null(hash);
	fprintf(to, "%s:%s%s\n", account, hash, flags);
}

void
host_write_passwords(struct host *host, const char *const *accounts, const char *const *locked)
{
	char path[512], aside[512];
	FILE *to;
	int fd;

	snprintf(path, sizeof(path), "%s/passwd", host->state_dir);
	snprintf(aside, sizeof(aside), "%s/passwd.new", host->state_dir);
	fd = open(aside, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	to = fdopen(fd, "w");
	assert_non_null(to);
	for (; accounts != NULL && *accounts != NULL; accounts++)
		put_account(to, *accounts, "");
	for (; locked != NULL && *locked != NULL; locked++)
		put_account(to, *locked, ":locked");
	assert_int_equal(fclose(to), 0);
	assert_int_equal(rename(aside, path), 0);
}

static char *
write_conf(const struct host *host, const char *conf)
{
	char *path = NULL;
	FILE *to;

	assert_true(asprintf(&path, "%s/chat-server.conf", host->dir) > 0);
	to = fopen(path, "we");
	assert_non_null(to);
	if (conf != NULL)
		fputs(conf, to);
	assert_int_equal(fclose(to), 0);
	return path;
}

/* ---- the process ---- */

static void
be_server(const struct host *host, const char *conf_path, int out_fd, int err_fd)
{
	const char *dir = getenv("abs_top_builddir");
	char path[512];

	snprintf(path, sizeof(path), "%s/src/server/chat-server", dir != NULL ? dir : ".");
	/* If this test dies, so does the server. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(out_fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
		_exit(126);
	unsetenv("NOTIFY_SOCKET");
	execl(path, path, "-c", conf_path, "-d", host->state_dir, "-l", "127.0.0.1", "0", (char *)NULL);
	perror(path);
	_exit(127);
}

static void *
collect_log(void *arg)
{
	struct host *host = arg;
	char chunk[4096];
	ssize_t n;

	while ((n = read(host->log_fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		pthread_mutex_lock(&host->log_mtx);
		if (buf_append(&host->log, chunk, (size_t)n) != CHAT_OK)
			abort();
		pthread_cond_broadcast(&host->log_cond);
		pthread_mutex_unlock(&host->log_mtx);
	}
	pthread_mutex_lock(&host->log_mtx);
	host->log_ended = true;
	pthread_cond_broadcast(&host->log_cond);
	pthread_mutex_unlock(&host->log_mtx);
	return NULL;
}

/* The end of it. */
static void
show_log(struct host *host)
{
	pthread_mutex_lock(&host->log_mtx);
	for (size_t at = host->log.len > SHOWN_BYTES ? host->log.len - SHOWN_BYTES : 0; at < host->log.len;) {
		const char *line = (const char *)host->log.data + at;
		size_t left = host->log.len - at;
		const char *end = memchr(line, '\n', left);
		size_t len = end != NULL ? (size_t)(end - line) : left;

		fprintf(stderr, "# server: %.*s\n", (int)len, line);
		at += len + 1;
	}
	pthread_mutex_unlock(&host->log_mtx);
}

static uint16_t
wait_ready(int out_fd)
{
	char text[1024];
	size_t len = 0;
	const char *at, *colon;
	unsigned port = 0;

	do {
		ssize_t n = read(out_fd, text + len, sizeof(text) - 1 - len);

		if (n <= 0)
			return 0;
		len += (size_t)n;
		text[len] = '\0';
		at = strstr(text, "listening on ");
	} while ((at == NULL || strchr(at, '\n') == NULL) && len < sizeof(text) - 1);
	colon = at != NULL ? strchr(at + strlen("listening on "), ':') : NULL;
	if (colon == NULL || sscanf(colon, ":%u", &port) != 1)
		return 0;
	return (uint16_t)port;
}

struct host *
host_start(const char *conf, const char *const *accounts)
{
	struct host *host = calloc(1, sizeof(*host));
	int out[2], err[2];
	char *conf_path;

	assert_non_null(host);
	host->dir = unit_temp_dir();
	assert_true(asprintf(&host->state_dir, "%s/state", host->dir) > 0);
	assert_int_equal(mkdir(host->state_dir, 0700), 0);
	host_write_passwords(host, accounts, NULL);
	conf_path = write_conf(host, conf);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	host->pid = fork();
	assert_true(host->pid >= 0);
	if (host->pid == 0)
		be_server(host, conf_path, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	free(conf_path);
	host->log_fd = err[0];
	pthread_mutex_init(&host->log_mtx, NULL);
	pthread_cond_init(&host->log_cond, NULL);
	assert_int_equal(pthread_create(&host->log_thread, NULL, collect_log, host), 0);
	host->port = wait_ready(out[0]);
	close(out[0]);
	if (host->port == 0) {
		host_log_wait(host, 1, "", NULL);
		show_log(host);
		fail_msg("the server did not start");
	}
	return host;
}

static bool
log_holds(struct host *host, const char *text)
{
	bool found;

	pthread_mutex_lock(&host->log_mtx);
	found = host->log.len > 0 && memmem(host->log.data, host->log.len, text, strlen(text)) != NULL;
	pthread_mutex_unlock(&host->log_mtx);
	return found;
}

void
host_stop(struct host *host)
{
	int status = -1;
	bool said_secret;

	assert_int_equal(kill(host->pid, SIGTERM), 0);
	while (waitpid(host->pid, &status, 0) < 0 && errno == EINTR)
		;
	pthread_join(host->log_thread, NULL);
	said_secret = log_holds(host, SECRET_MARK);
	if (status != 0 || said_secret)
		show_log(host);
	close(host->log_fd);
	pthread_mutex_destroy(&host->log_mtx);
	pthread_cond_destroy(&host->log_cond);
	buf_fini(&host->log);
	free(host->state_dir);
	free(host->dir);
	free(host);
	assert_int_equal(status, 0);
	assert_false(said_secret);
}

uint16_t
host_port(const struct host *host)
{
	return host->port;
}

pid_t
host_pid(const struct host *host)
{
	return host->pid;
}

const char *
host_state_dir(const struct host *host)
{
	return host->state_dir;
}

const struct realm *
host_realm(const struct host *host)
{
	return &host->realm;
}

void
host_set_realm(struct host *host, const struct realm *realm)
{
	host->realm = *realm;
}

size_t
host_rss_bytes(const struct host *host)
{
	char path[64];
	unsigned long total = 0, resident = 0;
	FILE *from;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)host->pid);
	from = fopen(path, "re");
	assert_non_null(from);
	assert_int_equal(fscanf(from, "%lu %lu", &total, &resident), 2);
	fclose(from);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

uint64_t
host_status(const struct host *host, const char *key)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t key_len = strlen(key);
	uint64_t value = 0;
	bool found = false;
	char line[1024];
	FILE *from;

	assert_true(fd >= 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/control", host->state_dir);
	assert_int_equal(connect(fd, (const void *)&to, sizeof(to)), 0);
	assert_int_equal(write(fd, "status\n", 7), 7);
	from = fdopen(fd, "r");
	assert_non_null(from);
	while (fgets(line, (int)sizeof(line), from) != NULL) {
		if (strncmp(line, key, key_len) == 0 && line[key_len] == '=') {
			value = strtoull(line + key_len + 1, NULL, 10);
			found = true;
		}
	}
	fclose(from);
	if (!found)
		fail_msg("the status does not tell %s", key);
	return value;
}

/* ---- the log ---- */

struct needles {
	const char *texts[NEEDLES_MAX];
	size_t count;
};

static struct needles
take_needles(va_list args)
{
	struct needles needles = {.count = 0};
	const char *text;

	while ((text = va_arg(args, const char *)) != NULL) {
		assert_true(needles.count < NEEDLES_MAX);
		needles.texts[needles.count++] = text;
	}
	return needles;
}

static bool
line_has(const char *line, size_t len, const struct needles *needles)
{
	for (size_t i = 0; i < needles->count; i++)
		if (memmem(line, len, needles->texts[i], strlen(needles->texts[i])) == NULL)
			return false;
	return true;
}

/* The lines that have them; *ret_line, unless NULL, is the n-th, owned by the caller. */
static size_t
scan_locked(struct host *host, const struct needles *needles, size_t n, char **ret_line)
{
	size_t found = 0;

	for (size_t at = 0; at < host->log.len;) {
		const char *line = (const char *)host->log.data + at;
		const char *end = memchr(line, '\n', host->log.len - at);

		if (end == NULL)
			break;
		if (line_has(line, (size_t)(end - line), needles) && ++found == n && ret_line != NULL)
			*ret_line = strndup(line, (size_t)(end - line));
		at += (size_t)(end - line) + 1;
	}
	return found;
}

size_t
host_log_count(struct host *host, ...)
{
	struct needles needles;
	size_t found;
	va_list args;

	va_start(args, host);
	needles = take_needles(args);
	va_end(args);
	pthread_mutex_lock(&host->log_mtx);
	found = scan_locked(host, &needles, 0, NULL);
	pthread_mutex_unlock(&host->log_mtx);
	return found;
}

static bool
wait_for(struct host *host, const struct needles *needles, size_t n, char **ret_line)
{
	struct timespec until;
	int waited = 0;
	bool found;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(host_patience_ms() / 1000);
	pthread_mutex_lock(&host->log_mtx);
	while (!(found = scan_locked(host, needles, n, ret_line) >= n) && !host->log_ended && waited == 0)
		waited = pthread_cond_timedwait(&host->log_cond, &host->log_mtx, &until);
	pthread_mutex_unlock(&host->log_mtx);
	return found;
}

static void
must_find(struct host *host, const struct needles *needles, size_t n, char **ret_line)
{
	if (wait_for(host, needles, n, ret_line))
		return;
	show_log(host);
	for (size_t i = 0; i < needles->count; i++)
		fprintf(stderr, "# wanted %zu lines with: %s\n", n, needles->texts[i]);
	fail_msg("the log does not say so");
}

void
host_log_wait(struct host *host, size_t n, ...)
{
	struct needles needles;
	va_list args;

	va_start(args, n);
	needles = take_needles(args);
	va_end(args);
	must_find(host, &needles, n, NULL);
}

char *
host_log_line(struct host *host, size_t n, ...)
{
	struct needles needles;
	char *line = NULL;
	va_list args;

	va_start(args, n);
	needles = take_needles(args);
	va_end(args);
	must_find(host, &needles, n, &line);
	assert_non_null(line);
	return line;
}

uint64_t
host_log_number(const char *line, const char *key)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), " %s=", key);
	at = strstr(line, wanted);
	if (at == NULL)
		fail_msg("no %s in: %s", key, line);
	return strtoull(at + strlen(wanted), NULL, 10);
}
