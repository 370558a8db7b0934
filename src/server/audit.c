/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/audit.h"

#include <assert.h>
#include <string.h>

#include "accounts/passwd_file.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/log.h"
#include "tls/tls.h"

#define PAIRS_MAX  8
#define ROOM_CHARS 16

/* A line being put together. */
struct line {
	struct log_pair pairs[PAIRS_MAX + 1]; /* and one for `suppressed` */
	size_t count;
	char peer[NET_ADDR_CHARS];
	char room[DIGEST_HEX_CHARS + 1];
};

static void
add(struct line *line, struct log_pair pair)
{
	assert(line->count < PAIRS_MAX);
	line->pairs[line->count++] = pair;
}

static void
add_peer(struct line *line, const struct net_addr *peer)
{
	if (peer == NULL)
		return;
	net_addr_text(peer, line->peer);
	add(line, LOG_STR("addr", line->peer));
}

static void
add_account(struct line *line, const char *key, struct bytes account)
{
	if (account.len > 0)
		add(line, LOG_BYTES(key, account));
}

static void
add_room(struct line *line, const struct digest *room_id)
{
	digest_hex(room_id, line->room);
	line->room[ROOM_CHARS] = '\0';
	add(line, LOG_STR("room", line->room));
}

static void
write_line(struct log_limit *limit, enum log_level level, const char *event, struct line *line)
{
	uint64_t suppressed = 0;

	if (limit != NULL && !log_limit_pass(limit, clock_mono_ms(), &suppressed))
		return;
	if (suppressed > 0)
		line->pairs[line->count++] = LOG_UINT("suppressed", suppressed);
	log_write(level, event, line->pairs, line->count);
}

/* What honest use causes gets room for a busy morning; what only an attack or a mistake does gets less. */
#define USE_LIMIT                                                                                            \
	{                                                                                                    \
		.burst = 500, .per_min = 1200                                                                \
	}
#define FAULT_LIMIT                                                                                          \
	{                                                                                                    \
		.burst = 50, .per_min = 60                                                                   \
	}

/* ---- connections ---- */

void
audit_connected(const struct net_addr *peer, const struct tls_info *info)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add(&line, LOG_STR("tls", info->version));
	add(&line, LOG_STR("cipher", info->cipher));
	add(&line, LOG_STR("kx", info->kx));
	write_line(&limit, LOG_INFO, "connected", &line);
}

void
audit_handshake_failed(const struct net_addr *peer, const char *failure, const char *text)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add(&line, LOG_STR("reason", failure));
	add(&line, LOG_STR("text", text));
	write_line(&limit, LOG_WARN, "handshake_failed", &line);
}

void
audit_disconnected(const struct net_addr *peer, struct bytes account, const char *why, uint64_t seconds)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	add(&line, LOG_STR("reason", why));
	add(&line, LOG_UINT("seconds", seconds));
	write_line(&limit, LOG_INFO, "disconnected", &line);
}

void
audit_protocol_error(const struct net_addr *peer, struct bytes account, const char *request,
    enum chat_err err, const char *text)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	if (request != NULL)
		add(&line, LOG_STR("request", request));
	add(&line, LOG_ERR(err));
	if (text != NULL)
		add(&line, LOG_STR("text", text));
	write_line(&limit, LOG_WARN, "protocol_error", &line);
}

void
audit_limit(const struct net_addr *peer, struct bytes account, const char *what)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	add(&line, LOG_STR("limit", what));
	write_line(&limit, LOG_WARN, "limit_hit", &line);
}

/* ---- logins ---- */

void
audit_login(const struct net_addr *peer, struct bytes account, uint32_t sessions)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	add(&line, LOG_UINT("sessions", sessions));
	write_line(&limit, LOG_INFO, "login", &line);
}

void
audit_password_right(const struct net_addr *peer, struct bytes account)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	write_line(&limit, LOG_INFO, "password_right", &line);
}

void
audit_login_refused(
    const struct net_addr *peer, struct bytes account, const char *how, const char *why, uint64_t delay_ms)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	add(&line, LOG_STR("by", how));
	add(&line, LOG_STR("reason", why));
	add(&line, LOG_UINT("delay_ms", delay_ms));
	write_line(&limit, LOG_WARN, "login_refused", &line);
}

void
audit_password_changed(const struct net_addr *peer, struct bytes account)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_peer(&line, peer);
	add_account(&line, "account", account);
	write_line(&limit, LOG_INFO, "password_changed", &line);
}

void
audit_passwords_loaded(uint64_t accounts)
{
	log_event(LOG_INFO, "passwords_loaded", LOG_UINT("accounts", accounts));
}

void
audit_passwords_bad(const struct passwd_why *why)
{
	log_event(LOG_ERROR, "passwords_bad", LOG_ERR(why->err), LOG_STR("text", why->text));
}

/* ---- accounts and rooms ---- */

void
audit_identity_published(struct bytes account, const struct digest *member_id)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};
	char hex[DIGEST_HEX_CHARS + 1];

	digest_hex(member_id, hex);
	add_account(&line, "account", account);
	add(&line, LOG_STR("member", hex));
	write_line(&limit, LOG_INFO, "identity_published", &line);
}

void
audit_card_published(struct bytes account, uint32_t serial, bool retired)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_account(&line, "account", account);
	add(&line, LOG_UINT("serial", serial));
	if (retired)
		add(&line, LOG_STR("retired", "yes"));
	write_line(&limit, LOG_INFO, "card_published", &line);
}

void
audit_account_retired(struct bytes account)
{
	log_event(LOG_INFO, "account_retired", LOG_BYTES("account", account));
}

void
audit_sessions_ended(struct bytes account, uint32_t sessions, const char *why)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_account(&line, "account", account);
	add(&line, LOG_UINT("sessions", sessions));
	add(&line, LOG_STR("reason", why));
	write_line(&limit, LOG_INFO, "sessions_ended", &line);
}

void
audit_room_created(const struct digest *room_id, struct bytes account, bool direct)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_room(&line, room_id);
	add_account(&line, "account", account);
	add(&line, LOG_STR("kind", direct ? "direct" : "group"));
	write_line(&limit, LOG_INFO, "room_created", &line);
}

void
audit_invited(const struct digest *room_id, struct bytes by, struct bytes account)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_room(&line, room_id);
	add_account(&line, "by", by);
	add_account(&line, "account", account);
	write_line(&limit, LOG_INFO, "invited", &line);
}

void
audit_stay(const struct digest *room_id, const char *event, struct bytes by, struct bytes account)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_room(&line, room_id);
	add(&line, LOG_STR("event", event));
	add_account(&line, "by", by);
	add_account(&line, "account", account);
	write_line(&limit, LOG_INFO, "stay", &line);
}

void
audit_rekeyed(const struct digest *room_id, struct bytes by, uint64_t epoch, uint32_t readers)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_room(&line, room_id);
	add_account(&line, "by", by);
	add(&line, LOG_UINT("epoch", epoch));
	add(&line, LOG_UINT("readers", readers));
	write_line(&limit, LOG_INFO, "rekeyed", &line);
}

void
audit_room_over(const struct digest *room_id)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_room(&line, room_id);
	write_line(&limit, LOG_INFO, "room_over", &line);
}

void
audit_history_removed(const struct digest *room_id, uint64_t messages, uint64_t whole_from)
{
	static struct log_limit limit = USE_LIMIT;
	struct line line = {.count = 0};

	add_room(&line, room_id);
	add(&line, LOG_UINT("messages", messages));
	add(&line, LOG_UINT("whole_from", whole_from));
	write_line(&limit, LOG_INFO, "history_removed", &line);
}

void
audit_retention_failed(enum chat_err err, const char *text)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add(&line, LOG_ERR(err));
	add(&line, LOG_STR("text", text));
	write_line(&limit, LOG_ERROR, "retention_failed", &line);
}

void
audit_commit_failed(enum chat_err err, const char *text)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add(&line, LOG_ERR(err));
	add(&line, LOG_STR("text", text));
	write_line(&limit, LOG_ERROR, "commit_failed", &line);
}

void
audit_commit_works_again(void)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add(&line, LOG_STR("store", "ok"));
	write_line(&limit, LOG_INFO, "commit_works_again", &line);
}

void
audit_read_failed(enum chat_err err, const char *text)
{
	static struct log_limit limit = FAULT_LIMIT;
	struct line line = {.count = 0};

	add(&line, LOG_ERR(err));
	add(&line, LOG_STR("text", text));
	write_line(&limit, LOG_ERROR, "read_failed", &line);
}
