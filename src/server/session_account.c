/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "group/bag.h"
#include "group/card.h"
#include "proto/wire.h"
#include "server/command.h"
#include "server/loop_thread.h"
#include "server/session.h"
#include "store/store.h"

/* ---- before the key is proved, too ---- */

static void
get_blob(struct conn *c, const Chat__V1__ClientFrame *frame, enum command_type type)
{
	struct command *cmd;
	size_t at = 0;

	if (!session_password_holds(c, frame->id))
		return;
	cmd = session_command(c, type, frame, c->account.len);
	if (cmd == NULL)
		return;
	cmd->account.account = session_put(cmd, &at, account_bytes(&c->account));
	session_post(c, cmd);
}

void
session_get_recovery(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	get_blob(c, frame, CMD_GET_RECOVERY);
}

void
session_get_bag(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	get_blob(c, frame, CMD_GET_BAG);
}

/* CHAT_OK: the card is signed, and is of this realm and account. */
static enum chat_err
check_own_card(const struct conn *c, struct bytes wire, struct card *ret)
{
	enum chat_err err = card_decode_verify(wire, ret);

	if (err != CHAT_OK)
		return err;
	if (!realm_equal(&ret->realm, store_realm(c->lt->shared->store)) ||
	    !account_equal(&ret->account, &c->account))
		return CHAT_ERR_NOT_ALLOWED;
	return CHAT_OK;
}

/* u8 1 || u64 version || ...: of a first bag the version is 1. */
static enum chat_err
check_first_bag(struct bytes bag)
{
	struct reader rd;
	uint8_t format;
	uint64_t version;

	rd_init(&rd, bag);
	format = rd_u8(&rd);
	version = rd_u64(&rd);
	if (rd.failed || bag.len < BAG_OVERHEAD_BYTES)
		return CHAT_ERR_MALFORMED;
	if (format != 1)
		return CHAT_ERR_UNSUPPORTED;
	return version == 1 ? CHAT_OK : CHAT_ERR_MALFORMED;
}

void
session_publish_identity(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	const Chat__V1__PublishIdentity *request = frame->publish_identity;
	struct card card;
	struct command *cmd;
	size_t at = 0;
	enum chat_err err;

	if (!session_password_holds(c, frame->id))
		return;
	err = check_own_card(c, wire_bytes(request->card), &card);
	if (err == CHAT_OK)
		err = check_first_bag(wire_bytes(request->bag));
	if (err != CHAT_OK) {
		session_send_error(c, frame->id, err, NULL);
		return;
	}
	cmd = session_command(c, CMD_PUBLISH_IDENTITY, frame,
	    c->account.len + strlen(c->account_id) + request->card.len + request->bag.len +
		request->recovery.len);
	if (cmd == NULL)
		return;
	cmd->publish_identity.account = session_put(cmd, &at, account_bytes(&c->account));
	cmd->publish_identity.account_id = session_put(cmd, &at, BYTES_STR(c->account_id));
	cmd->publish_identity.card = session_put(cmd, &at, wire_bytes(request->card));
	cmd->publish_identity.bag = session_put(cmd, &at, wire_bytes(request->bag));
	cmd->publish_identity.recovery = session_put(cmd, &at, wire_bytes(request->recovery));
	cmd->publish_identity.proof = c->proof;
	session_post_write(c, cmd);
}

/* ---- logged in ---- */

void
session_put_recovery(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = session_command(c, CMD_PUT_RECOVERY, frame, frame->put_recovery->blob.len);
	size_t at = 0;

	if (cmd == NULL)
		return;
	cmd->blob.blob = session_put(cmd, &at, wire_bytes(frame->put_recovery->blob));
	session_post_write(c, cmd);
}

void
session_put_bag(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct command *cmd = session_command(c, CMD_PUT_BAG, frame, frame->put_bag->blob.len);
	size_t at = 0;

	if (cmd == NULL)
		return;
	cmd->blob.blob = session_put(cmd, &at, wire_bytes(frame->put_bag->blob));
	cmd->blob.expected_version = frame->put_bag->expected_version;
	session_post_write(c, cmd);
}

void
session_publish_card(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct bytes wire = wire_bytes(frame->publish_card->card);
	struct card card;
	struct command *cmd;
	size_t at = 0;
	enum chat_err err;

	err = check_own_card(c, wire, &card);
	if (err == CHAT_OK && !digest_equal(&card.member_id, &c->member_id))
		err = CHAT_ERR_NOT_ALLOWED;
	if (err != CHAT_OK) {
		session_send_error(c, frame->id, err, NULL);
		return;
	}
	cmd = session_command(c, CMD_PUBLISH_CARD, frame, wire.len);
	if (cmd == NULL)
		return;
	cmd->publish_card.card = session_put(cmd, &at, wire);
	session_post_write(c, cmd);
}

void
session_get_card(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct bytes account = wire_str(frame->get_card->account);
	struct command *cmd = session_command(c, CMD_GET_CARD, frame, account.len);
	size_t at = 0;

	if (cmd == NULL)
		return;
	cmd->get_card.account = session_put(cmd, &at, account);
	cmd->get_card.watch = frame->get_card->watch;
	session_post(c, cmd);
}

void
session_who(struct conn *c, const Chat__V1__ClientFrame *frame)
{
	struct bytes after = wire_str(frame->who->after);
	struct command *cmd = session_command(c, CMD_WHO, frame, after.len);
	size_t at = 0;

	if (cmd == NULL)
		return;
	cmd->page.after = session_put(cmd, &at, after);
	session_post(c, cmd);
}
