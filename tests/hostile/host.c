/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
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

#include "lines.h"

/* Stands in everything that is secret or said in these tests, so that a log can be searched for it. */
#define SECRET_MARK "hush"

struct host {
	pid_t pid; /* 0: ended */
	uint16_t port;
	char *dir;
	char *state_dir;
	struct realm realm;
	struct lines *log; /* owned; NULL where it is not ours */
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
host_write_passwords_to(const char *path, const char *const *accounts, const char *const *locked)
{
	char *aside = NULL;
	FILE *to;
	int fd;

	assert_true(asprintf(&aside, "%s.new", path) > 0);
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
	free(aside);
}

void
host_write_passwords(struct host *host, const char *const *accounts, const char *const *locked)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/passwd", host->state_dir) > 0);
	host_write_passwords_to(path, accounts, locked);
	free(path);
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
	host->log = lines_open(err[0], "server");
	host->port = wait_ready(out[0]);
	close(out[0]);
	if (host->port == 0) {
		host_log_wait(host, 1, "", NULL);
		lines_show(host->log);
		fail_msg("the server did not start");
	}
	return host;
}

void
host_stop(struct host *host)
{
	int status = -1;
	bool said_secret;

	assert_int_equal(kill(host->pid, SIGTERM), 0);
	while (waitpid(host->pid, &status, 0) < 0 && errno == EINTR)
		;
	lines_wait_end(host->log);
	said_secret = lines_hold(host->log, SECRET_MARK);
	if (status != 0 || said_secret)
		lines_show(host->log);
	lines_close(host->log);
	free(host->state_dir);
	free(host->dir);
	free(host);
	assert_int_equal(status, 0);
	assert_false(said_secret);
}

struct host *
host_at(uint16_t port)
{
	struct host *host = calloc(1, sizeof(*host));

	assert_non_null(host);
	host->port = port;
	return host;
}

void
host_forget(struct host *host)
{
	free(host);
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

size_t
host_log_count(struct host *host, ...)
{
	size_t found;
	va_list args;

	va_start(args, host);
	found = lines_count(host->log, args);
	va_end(args);
	return found;
}

void
host_log_wait(struct host *host, size_t n, ...)
{
	va_list args;

	va_start(args, n);
	lines_wait(host->log, n, host_patience_ms(), NULL, args);
	va_end(args);
}

char *
host_log_line(struct host *host, size_t n, ...)
{
	char *line = NULL;
	va_list args;

	va_start(args, n);
	lines_wait(host->log, n, host_patience_ms(), &line, args);
	va_end(args);
	assert_non_null(line);
	return line;
}

void
host_log_show(struct host *host)
{
	if (host->log != NULL)
		lines_show(host->log);
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
