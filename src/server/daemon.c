/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "accounts/passwd_why.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "server/audit.h"
#include "server/daemon_impl.h"
#include "server/notify.h"
#include "server/server_limits.h"
#include "store/store.h"
#include "tls/tls_identity.h"

/* Besides those of connections: three a database connection, two a loop, the log, the sockets that listen. */
#define FILES_RESERVED 256

#define SOFTWARE "chat-server " PACKAGE_VERSION

/* ---- signals ---- */

void
daemon_stop(struct daemon *daemon, const char *reason)
{
	daemon->stop_reason = reason;
	loop_stop(daemon->loop);
}

static void
signal_came(struct loop *loop, struct loop_fd *lfd, uint32_t events)
{
	struct daemon *daemon = CONTAINER_OF(lfd, struct daemon, signal_lfd);
	struct signalfd_siginfo info;
	struct buf text = {.len = 0};

	(void)loop;
	(void)events;
	if (read(daemon->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		/* The log has said how it went. */
		(void)!daemon_reload(daemon, &text);
		buf_fini(&text);
		break;
	case SIGUSR1:
		daemon_reopen_log(daemon);
		break;
	default:
		daemon_stop(daemon, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
		break;
	}
}

/* Before any thread, so that all inherit the mask. */
static enum chat_err
block_signals(struct daemon *daemon, struct passwd_why *ret_why)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGUSR1);
	(void)signal(SIGPIPE, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) == 0)
		daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signal_fd < 0)
		return passwd_why_set(ret_why, CHAT_ERR_IO, NULL, 0, "no signals: %s", strerror(errno));
	return CHAT_OK;
}

/* ---- connections ---- */

static void
accepted(void *ctx, int fd, const struct net_addr *peer)
{
	struct daemon *daemon = ctx;

	server_accept(daemon->server, fd, peer);
}

static void
refused(void *ctx, enum listener_refusal why, const struct net_addr *peer, int errno_value)
{
	(void)ctx;
	switch (why) {
	case LISTENER_REFUSED_ADDRESS:
		audit_limit(peer, BYTES_EMPTY, "connections_per_address");
		break;
	case LISTENER_REFUSED_TOTAL:
		audit_limit(peer, BYTES_EMPTY, "connections_max");
		break;
	case LISTENER_PAUSED:
		audit_limit(NULL, BYTES_EMPTY,
		    errno_value == EMFILE || errno_value == ENFILE ? "open_files" : "memory");
		break;
	}
}

/* On a loop's thread. */
static void
connection_ended(void *ctx, const struct net_addr *peer)
{
	struct daemon *daemon = ctx;

	listener_leave(daemon->listener, peer);
}

static void
mail_came(struct loop *loop, struct mail *mail, void *ctx)
{
	struct daemon *daemon = ctx;

	(void)loop;
	if (mail->tag == SERVER_MAIL_STATUS)
		daemon_status_came(daemon, CONTAINER_OF(mail, struct server_status_mail, mail));
	else
		daemon_upkeep_came(daemon, CONTAINER_OF(mail, struct upkeep_done, mail));
}

/* ---- the start ---- */

static const struct start_mend listen_mends[] = {
    {CHAT_ERR_EXISTS, "; end what listens there, or name another port"},
    {CHAT_ERR_PERMISSION, "; a port below 1024 takes root or CAP_NET_BIND_SERVICE, name a higher one"},
    {CHAT_ERR_NOT_FOUND, "; mend -l or the option listen"},
    {CHAT_ERR_IO, "; mend -l or the option listen"},
    {CHAT_OK, NULL},
};

static enum chat_err
open_listener(struct daemon *daemon, struct passwd_why *ret_why)
{
	const struct options *options = &daemon->config->options;
	const struct listener_config config = {
	    .addresses = (const char *const *)options->listen.items,
	    .address_count = options->listen.count,
	    .port = (uint16_t)options->port,
	    .accepted = accepted,
	    .refused = refused,
	    .ctx = daemon,
	};
	char why[LISTENER_WHY_CHARS];
	size_t used = 0;
	enum chat_err err = listener_open(&config, why, &daemon->listener);

	if (err != CHAT_OK)
		return passwd_why_set(ret_why, err, NULL, 0, "%s%s", why, start_mend(listen_mends, err));
	for (size_t i = 0; i < listener_count(daemon->listener); i++) {
		struct net_addr addr = listener_address(daemon->listener, i);
		char text[NET_ADDR_CHARS];

		net_addr_text(&addr, text);
		used += (size_t)snprintf(daemon->addresses + used, sizeof daemon->addresses - used, "%s%s",
		    i > 0 ? " " : "", text);
		if (used >= sizeof daemon->addresses)
			break; /* it is for people: cut */
	}
	return CHAT_OK;
}

/* Raises the limit to what is needed, and serves fewer connections where it cannot be raised so far. */
static void
raise_open_files(struct daemon *daemon)
{
	rlim_t needed = (rlim_t)daemon->config->options.connections_max + FILES_RESERVED;
	struct rlimit limit;

	daemon->connections_max = (uint32_t)daemon->config->options.connections_max;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return;
	daemon->connections_max = limit.rlim_cur > 2 * FILES_RESERVED
				      ? (uint32_t)(limit.rlim_cur - FILES_RESERVED)
				      : FILES_RESERVED;
	log_event(LOG_WARN, "open_files_short", LOG_UINT("needed", needed),
	    LOG_UINT("allowed", limit.rlim_cur), LOG_UINT("connections", daemon->connections_max),
	    LOG_STR("mend", "raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower connections_max"));
}

static enum chat_err
start_upkeep(struct daemon *daemon, struct passwd_why *ret_why)
{
	struct store_reader *reader = NULL;
	enum chat_err err = store_reader_open(daemon->start.store, &reader);

	if (err != CHAT_OK)
		return passwd_why_set(ret_why, err, NULL, 0, "%s", store_error(daemon->start.store));
	err = upkeep_new(reader, loop_mailbox(daemon->loop), &daemon->upkeep);
	if (err != CHAT_OK) {
		store_reader_close(reader);
		return passwd_why_set(ret_why, err, NULL, 0, "out of memory");
	}
	return CHAT_OK;
}

static enum chat_err
start_server(struct daemon *daemon, struct passwd_why *ret_why)
{
	const struct server_config config = {
	    .limits = daemon->config->limits,
	    .store = daemon->start.store,
	    .identity = daemon->start.identity,
	    .passwd_path = daemon->config->password_file,
	    .software = SOFTWARE,
	    .loop_count = daemon->config->loop_count,
	    .main_mailbox = loop_mailbox(daemon->loop),
	    .connection_ended = connection_ended,
	    .ctx = daemon,
	};
	enum chat_err err = server_start(&config, &daemon->server);

	if (err == CHAT_OK)
		return CHAT_OK;
	return passwd_why_set(ret_why, err, NULL, 0, "the threads of the server cannot start: %s",
	    err == CHAT_ERR_IO ? strerror(errno) : chat_strerror(err));
}

static enum chat_err
start_accepting(struct daemon *daemon, struct passwd_why *ret_why)
{
	enum chat_err err;

	listener_set_limits(daemon->listener, (uint32_t)daemon->config->options.connections_per_address,
	    daemon->connections_max);
	err = loop_add(daemon->loop, &daemon->signal_lfd, daemon->signal_fd, EPOLLIN, signal_came);
	if (err == CHAT_OK)
		err = listener_start(daemon->listener, daemon->loop);
	if (err == CHAT_OK)
		err = upkeep_begin(daemon->upkeep, UPKEEP_CHECK, NULL, NULL);
	if (err != CHAT_OK)
		return passwd_why_set(ret_why, err, NULL, 0, "cannot begin to listen: %s",
		    err == CHAT_ERR_IO ? strerror(errno) : chat_strerror(err));
	(void)strlcpy(daemon->check, "running", sizeof daemon->check);
	return CHAT_OK;
}

static enum chat_err
start(struct daemon *daemon, struct passwd_why *ret_why)
{
	enum chat_err err = config_load(daemon->args, NULL, &daemon->config, ret_why);

	if (err == CHAT_OK)
		err = block_signals(daemon, ret_why);
	if (err == CHAT_OK)
		err = start_lock(daemon->config, &daemon->start, ret_why);
	if (err == CHAT_OK)
		err = start_look(daemon->config, &daemon->start, ret_why);
	if (err == CHAT_OK && loop_new(mail_came, daemon, &daemon->loop) != CHAT_OK)
		err = passwd_why_set(ret_why, CHAT_ERR_IO, NULL, 0, "no event loop: %s", strerror(errno));
	if (err == CHAT_OK)
		err = open_listener(daemon, ret_why);
	/* Up to here nothing is made. */
	if (err == CHAT_OK)
		err = start_open(daemon->config, &daemon->start, ret_why);
	if (err != CHAT_OK)
		return err;
	log_set_level((enum log_level)daemon->config->options.log_level);
	raise_open_files(daemon);
	err = start_upkeep(daemon, ret_why);
	if (err == CHAT_OK)
		err = control_open(daemon->config->state_dir, daemon->loop, daemon_commands, daemon,
		    &daemon->control, ret_why);
	if (err == CHAT_OK)
		err = start_server(daemon, ret_why);
	if (err == CHAT_OK)
		err = start_accepting(daemon, ret_why);
	return err;
}

/* ---- what it says of itself ---- */

static void
announce(const struct daemon *daemon)
{
	char fingerprint[DIGEST_HEX_CHARS + 1], status[sizeof daemon->addresses + 32];
	char word[SHELL_WORD_BYTES];

	digest_hex(tls_identity_fingerprint(daemon->start.identity), fingerprint);
	if (daemon->start.identity_made)
		log_event(LOG_INFO, "tls_identity_made", LOG_STR("fingerprint", fingerprint),
		    LOG_STR("key", daemon->config->tls_key));
	log_event(LOG_INFO, "started", LOG_STR("version", PACKAGE_VERSION), LOG_INT("pid", getpid()),
	    LOG_STR("listening", daemon->addresses), LOG_STR("fingerprint", fingerprint),
	    LOG_UINT("accounts", daemon->start.accounts), LOG_UINT("loops", daemon->config->loop_count));
	if (daemon->start.accounts == 0)
		(void)fprintf(stderr,
		    "chat-server: no accounts yet; add one with: chat-passwd -f %s add NAME\n",
		    passwd_shell_word(daemon->config->password_file, word));
	/* Whoever has closed it, or filled its disk, does not want to know. */
	(void)printf("listening on %s, fingerprint %s\n", daemon->addresses, fingerprint);
	(void)fflush(stdout);
	(void)snprintf(status, sizeof status, "Listening on %s", daemon->addresses);
	notify_ready(status);
}

/* ---- the end ---- */

static void
drain(struct daemon *daemon, uint64_t started_ms)
{
	log_event(LOG_INFO, "stopping", LOG_STR("reason", daemon->stop_reason),
	    LOG_UINT("connections", server_connection_count(daemon->server)));
	notify_stopping();
	listener_stop(daemon->listener);
	server_drain(daemon->server);
	log_event(LOG_INFO, "stopped", LOG_STR("reason", daemon->stop_reason),
	    LOG_UINT("uptime_s", (clock_mono_ms() - started_ms) / 1000));
}

static void
fini(struct daemon *daemon)
{
	/* The requests that still wait end here: mail that comes for them is thrown away. */
	struct control *control = daemon->control;

	daemon->control = NULL;
	if (daemon->server != NULL)
		server_free(daemon->server);
	daemon->server = NULL;
	upkeep_free(daemon->upkeep);
	daemon->upkeep = NULL;
	listener_free(daemon->listener);
	/* The socket is removed under the lock, for after that it may be the next server's.  chatctl drain
	 * sees the end of its connection after the lock was given back, when all is done. */
	if (control != NULL)
		control_stop(control);
	start_fini(&daemon->start);
	control_free(control);
	loop_free(daemon->loop);
	if (daemon->signal_fd >= 0)
		(void)close(daemon->signal_fd);
	config_unref(daemon->config);
}

int
daemon_run(const struct config_args *args)
{
	struct daemon daemon = {.args = args, .start = {.lock_fd = -1}, .signal_fd = -1, .stop_reason = ""};
	uint64_t started_ms = clock_mono_ms();
	struct passwd_why why;
	enum chat_err err = start(&daemon, &why);

	if (err != CHAT_OK) {
		(void)fprintf(stderr, "chat-server: %s\n", why.text);
		fini(&daemon);
		return 1;
	}
	announce(&daemon);
	err = loop_run(daemon.loop);
	if (err != CHAT_OK) {
		log_event(LOG_ERROR, "loop_failed", LOG_STR("reason", strerror(errno)));
		daemon.stop_reason = "failure";
	}
	drain(&daemon, started_ms);
	fini(&daemon);
	return err == CHAT_OK ? 0 : 1;
}
