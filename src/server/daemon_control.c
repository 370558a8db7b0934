/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/daemon_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/limits.h"
#include "tls/tls_identity.h"

/* ---- status, sessions, rooms: asked of the engine ---- */

static void
ask(struct daemon *daemon, struct control_request *request, enum status_what what)
{
	enum chat_err err = server_status(daemon->server, what, request);

	if (err != CHAT_OK)
		control_refuse(request, chat_strerror(err));
}

static void
on_status(void *ctx, struct control_request *request, const char *argument)
{
	(void)argument;
	ask(ctx, request, STATUS_SUMMARY);
}

static void
on_sessions(void *ctx, struct control_request *request, const char *argument)
{
	(void)argument;
	ask(ctx, request, STATUS_SESSIONS);
}

static void
on_rooms(void *ctx, struct control_request *request, const char *argument)
{
	(void)argument;
	ask(ctx, request, STATUS_ROOMS);
}

/* What the engine does not know. */
static enum chat_err
append_summary(const struct daemon *daemon, struct buf *text)
{
	const struct config *config = daemon->config;
	char fingerprint[DIGEST_HEX_CHARS + 1];
	enum chat_err err;

	digest_hex(tls_identity_fingerprint(daemon->start.identity), fingerprint);
	err = buf_printf(text,
	    "version=" PACKAGE_VERSION
	    "\nprotocol=%d\npid=%d\nlistening=%s\nfingerprint=%s\nstate_dir=%s\nconfiguration=%s\n"
	    "password_file=%s\nwaiting_for_restart=%s\ndatabase_check=%s\nloops=%u\nconnections_max=%" PRIu32
	    "\n",
	    PROTOCOL_VERSION, (int)getpid(), daemon->addresses, fingerprint, config->state_dir,
	    daemon->args->file != NULL ? daemon->args->file : "", config->password_file, config->waiting,
	    daemon->check, (unsigned)config->loop_count, daemon->connections_max);
	return err == CHAT_OK ? server_append_queues(daemon->server, text) : err;
}

void
daemon_status_came(struct daemon *daemon, struct server_status_mail *mail)
{
	enum chat_err err = mail->err;

	/* At the end the control socket goes first, and its requests with it. */
	if (daemon->control == NULL)
		goto out;
	if (err == CHAT_OK && mail->what == STATUS_SUMMARY)
		err = append_summary(daemon, &mail->text);
	if (err == CHAT_OK)
		control_answer(mail->token, buf_bytes(&mail->text));
	else
		control_refuse(mail->token, chat_strerror(err));
out:
	server_status_free(mail);
}

/* ---- backup ---- */

/* The last part of a path may be new; what is before it has to be there. */
static bool
same_file(const char *a, const char *b)
{
	struct stat in_a, in_b;

	return stat(a, &in_a) == 0 && stat(b, &in_b) == 0 && in_a.st_dev == in_b.st_dev &&
	       in_a.st_ino == in_b.st_ino;
}

/*
 * A backup is renamed over what has its name.  In the state directory that could be the database or the key,
 * and a restored state directory would hold its own backup: so nothing there at all.
 */
static bool
in_state_dir(const struct daemon *daemon, const char *path)
{
	char *copy = strdup(path);
	bool inside = copy == NULL || same_file(dirname(copy), daemon->config->state_dir);

	free(copy);
	return inside || same_file(path, daemon->config->password_file) ||
	       same_file(path, daemon->config->tls_key) || same_file(path, daemon->config->tls_cert);
}

static void
on_backup(void *ctx, struct control_request *request, const char *path)
{
	struct daemon *daemon = ctx;
	enum chat_err err;

	if (path[0] != '/') {
		control_refuse(request, "the path of a backup begins with a slash");
		return;
	}
	if (in_state_dir(daemon, path)) {
		control_refuse(request, "a backup may not replace files of the server; name a path outside "
					"of its state directory");
		return;
	}
	err = upkeep_begin(daemon->upkeep, UPKEEP_BACKUP, path, request);
	if (err == CHAT_ERR_BUSY)
		control_refuse(request,
		    "a backup, or the look at the database after the start, is under way; try again later");
	else if (err != CHAT_OK)
		control_refuse(request, chat_strerror(err));
}

static void
backup_came(struct daemon *daemon, const struct upkeep_done *done)
{
	if (done->err == CHAT_OK)
		log_event(LOG_INFO, "backup_made", LOG_STR("file", done->text));
	else
		log_event(LOG_ERROR, "backup_failed", LOG_STR("reason", done->text));
	if (daemon->control == NULL)
		return;
	if (done->err == CHAT_OK)
		control_answer(done->token, BYTES_EMPTY);
	else
		control_refuse(done->token, done->text);
}

static void
check_came(struct daemon *daemon, const struct upkeep_done *done)
{
	if (done->err == CHAT_OK) {
		(void)strlcpy(daemon->check, "ok", sizeof daemon->check);
		return;
	}
	(void)snprintf(daemon->check, sizeof daemon->check, "%s: %s", chat_err_name(done->err), done->text);
	log_event(LOG_ERROR, done->err == CHAT_ERR_CORRUPT ? "database_damaged" : "database_not_checked",
	    LOG_ERR(done->err), LOG_STR("reason", done->text));
}

void
daemon_upkeep_came(struct daemon *daemon, struct upkeep_done *done)
{
	if (done->job == UPKEEP_CHECK)
		check_came(daemon, done);
	else
		backup_came(daemon, done);
	upkeep_end(daemon->upkeep, done);
}

/* ---- reload, drain ---- */

static void
on_reload(void *ctx, struct control_request *request, const char *argument)
{
	struct buf text = {.len = 0};
	enum chat_err err = daemon_reload(ctx, &text);

	(void)argument;
	if (err == CHAT_OK) {
		control_answer(request, buf_bytes(&text));
	} else if (buf_append(&text, "", 1) == CHAT_OK) {
		control_refuse(request, (const char *)text.data);
	} else {
		control_refuse(request, chat_strerror(CHAT_ERR_NOMEM));
	}
	buf_fini(&text);
}

static void
on_drain(void *ctx, struct control_request *request, const char *argument)
{
	(void)argument;
	control_answer_and_hold(request, BYTES_EMPTY);
	daemon_stop(ctx, "chatctl");
}

const struct control_command daemon_commands[] = {
    {"status", false, on_status},
    {"sessions", false, on_sessions},
    {"rooms", false, on_rooms},
    {"reload", false, on_reload},
    {"backup", true, on_backup},
    {"drain", false, on_drain},
    {NULL, false, NULL},
};
