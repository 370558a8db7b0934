/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/event.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"

#define EVENT_VERSION 1

const char *
event_type_name(enum event_type type)
{
	switch (type) {
	case EVENT_CREATE:
		return "create";
	case EVENT_INVITE:
		return "invite";
	case EVENT_JOIN:
		return "join";
	case EVENT_DECLINE:
		return "decline";
	case EVENT_LEAVE:
		return "leave";
	case EVENT_KICK:
		return "kick";
	case EVENT_ROLE:
		return "role";
	case EVENT_SETTINGS:
		return "settings";
	case EVENT_CARD:
		return "card";
	case EVENT_REKEY:
		return "rekey";
	}
	return "unknown";
}

/*
 * --- decoding ---
 */

/* Reads one byte that has to be between lo and hi: malformed if it is missing, unsupported if it is another.
 */
static enum chat_err
take_known(struct reader *rd, uint8_t lo, uint8_t hi, uint8_t *ret)
{
	uint8_t v = rd_u8(rd);

	if (rd->failed)
		return CHAT_ERR_MALFORMED;
	if (v < lo || v > hi)
		return CHAT_ERR_UNSUPPORTED;
	*ret = v;
	return CHAT_OK;
}

static enum chat_err
take_card(struct reader *rd, struct bytes *ret_wire, struct card *ret)
{
	struct bytes wire = rd_str16(rd);
	enum chat_err err;

	if (rd->failed)
		return CHAT_ERR_MALFORMED;
	err = card_decode(wire, ret);
	if (err == CHAT_OK)
		*ret_wire = wire;
	return err;
}

static enum chat_err
take_policies(struct reader *rd, enum invite_policy *ret_invite, enum history_policy *ret_history)
{
	uint8_t invite, history;
	enum chat_err err;

	err = take_known(rd, INVITE_MEMBERS, INVITE_MODERATORS, &invite);
	if (err != CHAT_OK)
		return err;
	err = take_known(rd, HISTORY_FROM_INVITATION, HISTORY_ALL, &history);
	if (err != CHAT_OK)
		return err;
	*ret_invite = (enum invite_policy)invite;
	*ret_history = (enum history_policy)history;
	return CHAT_OK;
}

static enum chat_err
take_create(struct reader *rd, struct event *event)
{
	uint8_t suite, kind;
	enum chat_err err;

	rd_copy(rd, event->create.nonce, EVENT_NONCE_BYTES);
	err = take_known(rd, SUITE_1, SUITE_1, &suite);
	if (err != CHAT_OK)
		return err;
	err = take_known(rd, ROOM_GROUP, ROOM_DIRECT, &kind);
	if (err != CHAT_OK)
		return err;
	event->create.kind = (enum room_kind)kind;
	err = take_policies(rd, &event->create.invite_policy, &event->create.history_policy);
	if (err != CHAT_OK)
		return err;
	rd_copy(rd, event->create.realm.b, REALM_BYTES);
	err = take_card(rd, &event->card_wire, &event->card);
	if (err == CHAT_OK && event->create.kind == ROOM_DIRECT)
		err = take_card(rd, &event->peer_card_wire, &event->peer_card);
	return err;
}

static enum chat_err
take_role(struct reader *rd, struct event *event)
{
	uint8_t role;
	enum chat_err err;

	rd_copy(rd, event->role.target.b, DIGEST_BYTES);
	err = take_known(rd, ROLE_MEMBER, ROLE_OWNER, &role);
	if (err == CHAT_OK)
		event->role.role = (enum member_role)role;
	return err;
}

static enum chat_err
take_settings(struct reader *rd, struct event *event)
{
	enum chat_err err;

	err = take_policies(rd, &event->settings.invite_policy, &event->settings.history_policy);
	event->settings.keep_days = rd_u32(rd);
	event->settings.keep_entries = rd_u64(rd);
	return err;
}

static enum chat_err
take_rekey(struct reader *rd, struct event *event)
{
	event->rekey.epoch = rd_u64(rd);
	rd_copy(rd, event->rekey.commitment.b, DIGEST_BYTES);
	rd_copy(rd, event->rekey.wraps_hash.b, DIGEST_BYTES);
	event->rekey.info_box = rd_str16(rd);
	if (rd->failed || !info_box_length_valid(event->rekey.info_box.len))
		return CHAT_ERR_MALFORMED;
	return CHAT_OK;
}

static enum chat_err
take_payload(struct reader *rd, struct event *event)
{
	switch (event->type) {
	case EVENT_CREATE:
		return take_create(rd, event);
	case EVENT_INVITE:
	case EVENT_CARD:
		return take_card(rd, &event->card_wire, &event->card);
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
		return CHAT_OK;
	case EVENT_KICK:
		rd_copy(rd, event->kick.target.b, DIGEST_BYTES);
		event->kick.reason_code = rd_u8(rd);
		return CHAT_OK;
	case EVENT_ROLE:
		return take_role(rd, event);
	case EVENT_SETTINGS:
		return take_settings(rd, event);
	case EVENT_REKEY:
		return take_rekey(rd, event);
	}
	return CHAT_ERR_UNSUPPORTED; /* not reached: the type was looked at before */
}

/* What stands behind the type: the same in every event. */
static enum chat_err
take_header(struct reader *rd, struct event *event)
{
	rd_copy(rd, event->room_id.b, DIGEST_BYTES);
	rd_copy(rd, event->actor.b, DIGEST_BYTES);
	rd_copy(rd, event->after.b, DIGEST_BYTES);
	event->seen_seq = rd_u64(rd);
	rd_copy(rd, event->seen_hash.b, DIGEST_BYTES);
	event->time_ms = rd_u64(rd);
	if (rd->failed)
		return CHAT_ERR_MALFORMED;
	if (event->type == EVENT_CREATE &&
	    (!digest_is_zero(&event->room_id) || !digest_is_zero(&event->after) || event->seen_seq != 0 ||
		!digest_is_zero(&event->seen_hash)))
		return CHAT_ERR_MALFORMED;
	return CHAT_OK;
}

enum chat_err
event_decode(struct bytes wire, struct event *ret)
{
	struct event event = {0};
	struct bytes body;
	struct reader rd;
	uint8_t version, type;
	enum chat_err err;

	/* Version and type first, so that what a newer program wrote is not called malformed for its length.
	 */
	rd_init(&rd, wire);
	err = take_known(&rd, EVENT_VERSION, EVENT_VERSION, &version);
	if (err != CHAT_OK)
		return err;
	err = take_known(&rd, EVENT_CREATE, EVENT_REKEY, &type);
	if (err != CHAT_OK)
		return err;
	event.type = (enum event_type)type;
	if (wire.len < EVENT_WIRE_MIN)
		return CHAT_ERR_MALFORMED;

	/* The payload ends where the signature begins: no field reads on into it. */
	body = BYTES(wire.data, wire.len - ED25519_SIG_BYTES);
	rd_init(&rd, BYTES(body.data + 2, body.len - 2));
	err = take_header(&rd, &event);
	if (err != CHAT_OK)
		return err;
	err = take_payload(&rd, &event);
	if (err != CHAT_OK)
		return err;
	if (!rd_done(&rd))
		return CHAT_ERR_MALFORMED;

	memcpy(event.sig, body.data + body.len, ED25519_SIG_BYTES);
	event.wire = wire;
	event.event_hash = hash_domain_once("event", body);
	if (event.type == EVENT_CREATE)
		event.room_id = event.event_hash;
	*ret = event;
	return CHAT_OK;
}

/*
 * --- signatures ---
 */

bool
event_signature_good(const struct event *event, const uint8_t actor_ed_pk[static ED25519_PK_BYTES])
{
	struct bytes body = BYTES(event->wire.data, event->wire.len - ED25519_SIG_BYTES);

	return ed25519_verify(actor_ed_pk, "event", body, event->sig);
}

bool
event_signatures_good(const struct event *event, const uint8_t actor_ed_pk[static ED25519_PK_BYTES])
{
	if (!event_signature_good(event, actor_ed_pk))
		return false;
	if (event->card_wire.len > 0 && !card_signature_good(&event->card))
		return false;
	return event->peer_card_wire.len == 0 || card_signature_good(&event->peer_card);
}

/*
 * --- building ---
 */

static void
put_payload(struct writer *wr, const struct event *draft)
{
	switch (draft->type) {
	case EVENT_CREATE:
		wr_bytes(wr, draft->create.nonce, EVENT_NONCE_BYTES);
		wr_u8(wr, SUITE_1);
		wr_u8(wr, (uint8_t)draft->create.kind);
		wr_u8(wr, (uint8_t)draft->create.invite_policy);
		wr_u8(wr, (uint8_t)draft->create.history_policy);
		wr_bytes(wr, draft->create.realm.b, REALM_BYTES);
		wr_str16(wr, draft->card_wire);
		if (draft->create.kind == ROOM_DIRECT)
			wr_str16(wr, draft->peer_card_wire);
		break;
	case EVENT_INVITE:
	case EVENT_CARD:
		wr_str16(wr, draft->card_wire);
		break;
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
		break;
	case EVENT_KICK:
		wr_bytes(wr, draft->kick.target.b, DIGEST_BYTES);
		wr_u8(wr, draft->kick.reason_code);
		break;
	case EVENT_ROLE:
		wr_bytes(wr, draft->role.target.b, DIGEST_BYTES);
		wr_u8(wr, (uint8_t)draft->role.role);
		break;
	case EVENT_SETTINGS:
		wr_u8(wr, (uint8_t)draft->settings.invite_policy);
		wr_u8(wr, (uint8_t)draft->settings.history_policy);
		wr_u32(wr, draft->settings.keep_days);
		wr_u64(wr, draft->settings.keep_entries);
		break;
	case EVENT_REKEY:
		wr_u64(wr, draft->rekey.epoch);
		wr_bytes(wr, draft->rekey.commitment.b, DIGEST_BYTES);
		wr_bytes(wr, draft->rekey.wraps_hash.b, DIGEST_BYTES);
		wr_str16(wr, draft->rekey.info_box);
		break;
	}
}

enum chat_err
event_build(
    const struct event *draft, const struct sign_key *key, struct buf *into, struct digest *ret_event_hash)
{
	bool create = draft->type == EVENT_CREATE;
	const struct digest *room_id = create ? &digest_zero : &draft->room_id;
	const struct digest *after = create ? &digest_zero : &draft->after;
	const struct digest *seen_hash = create ? &digest_zero : &draft->seen_hash;
	uint8_t wire[EVENT_WIRE_MAX];
	uint8_t sig[ED25519_SIG_BYTES];
	struct event check;
	struct bytes body;
	struct writer wr;
	enum chat_err err;

	wr_init(&wr, wire, sizeof(wire));
	wr_u8(&wr, EVENT_VERSION);
	wr_u8(&wr, (uint8_t)draft->type);
	wr_bytes(&wr, room_id->b, DIGEST_BYTES);
	wr_bytes(&wr, draft->actor.b, DIGEST_BYTES);
	wr_bytes(&wr, after->b, DIGEST_BYTES);
	wr_u64(&wr, create ? 0 : draft->seen_seq);
	wr_bytes(&wr, seen_hash->b, DIGEST_BYTES);
	wr_u64(&wr, draft->time_ms);
	put_payload(&wr, draft);
	if (!wr_done(&wr))
		return CHAT_ERR_INVALID;
	body = wr_bytes_written(&wr);
	ed25519_sign(key->seed, key->pk, "event", body, sig);
	wr_bytes(&wr, sig, sizeof(sig));
	if (!wr_done(&wr))
		return CHAT_ERR_INVALID;

	/* What we would not accept we do not say. */
	if (event_decode(BYTES(wire, wr.len), &check) != CHAT_OK)
		return CHAT_ERR_INVALID;
	err = buf_append(into, wire, wr.len);
	if (err == CHAT_OK && ret_event_hash != NULL)
		*ret_event_hash = check.event_hash;
	return err;
}
