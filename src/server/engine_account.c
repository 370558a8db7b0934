/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts in memory: a cache of the store, with what only lives here. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "group/card.h"
#include "server/engine_impl.h"

enum chat_err
owned_copy(struct bytes from, struct bytes *to)
{
	uint8_t *copy = NULL;

	if (from.len > 0) {
		copy = malloc(from.len);
		if (copy == NULL)
			return CHAT_ERR_NOMEM;
		memcpy(copy, from.data, from.len);
	}
	free((void *)(uintptr_t)to->data);
	*to = BYTES(copy, from.len);
	return CHAT_OK;
}

void
owned_free(struct bytes *b)
{
	free((void *)(uintptr_t)b->data);
	*b = BYTES_EMPTY;
}

/* ---- idle accounts ---- */

static void
note_busy(struct engine *engine, struct account *account)
{
	if (!account->idle)
		return;
	TAILQ_REMOVE(&engine->idle_accounts, account, idle_link);
	engine->idle_account_count--;
	engine->idle_stay_count -= account->idle_stay_count;
	account->idle = false;
}

void
account_touch(struct engine *engine, struct account *account)
{
	note_busy(engine, account);
	if (account->session_count > 0 || account->dirty_count > 0)
		return;
	TAILQ_INSERT_TAIL(&engine->idle_accounts, account, idle_link);
	account->idle = true;
	account->idle_stay_count = account->rooms.count;
	engine->idle_account_count++;
	engine->idle_stay_count += account->idle_stay_count;
}

void
accounts_evict_idle(struct engine *engine)
{
	while (engine->idle_account_count > IDLE_ACCOUNTS_KEPT || engine->idle_stay_count > IDLE_STAYS_KEPT)
		account_drop(engine, TAILQ_FIRST(&engine->idle_accounts));
}

/* ---- coming and going ---- */

static void
account_free(struct engine *engine, struct account *account)
{
	assert(TAILQ_EMPTY(&account->sessions));
	note_busy(engine, account);
	account_forget_rooms(engine, account);
	map_fini(&account->rooms);
	owned_free(&account->account_id);
	owned_free(&account->card);
	free(account);
}

void
account_drop(struct engine *engine, struct account *account)
{
	map_remove(&engine->members, digest_bytes(&account->member_id));
	map_remove(&engine->accounts, account_bytes(&account->name));
	account_free(engine, account);
}

void
account_lose(struct engine *engine, struct account *account)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&account->sessions)) != NULL) {
		engine_lose(engine, session->conn);
		session_close(engine, session);
	}
	account_drop(engine, account);
}

void
account_fini_all(struct engine *engine)
{
	struct account *account;
	size_t at = 0;

	while ((account = map_next(&engine->accounts, &at)) != NULL)
		account_free(engine, account);
	map_fini(&engine->accounts);
	map_fini(&engine->members);
}

enum chat_err
account_take_card(struct account *account, struct bytes wire)
{
	struct card card;
	enum chat_err err;

	err = card_decode(wire, &card);
	if (err != CHAT_OK)
		return CHAT_ERR_CORRUPT; /* it was checked before it was stored */
	err = owned_copy(wire, &account->card);
	if (err != CHAT_OK)
		return err;
	account->card_hash = card.card_hash;
	memcpy(account->ed_pk, card.ed_pk, sizeof account->ed_pk);
	return CHAT_OK;
}

enum chat_err
account_get(struct engine *engine, struct bytes name, struct account **ret)
{
	struct account *account = map_get(&engine->accounts, name);
	struct store_account stored;
	enum chat_err err;

	if (account != NULL) {
		account_touch(engine, account);
		*ret = account;
		return CHAT_OK;
	}
	err = store_account_by_name(engine->store, name, &stored);
	if (err != CHAT_OK)
		return err;
	account = calloc(1, sizeof *account);
	if (account == NULL)
		return CHAT_ERR_NOMEM;
	TAILQ_INIT(&account->sessions);
	account->member_id = stored.member_id;
	account->proof = stored.proof;
	account->bag_version = stored.bag_version;
	account->has_recovery = stored.recovery.len > 0;
	err = account_name_set(stored.account, &account->name);
	if (err == CHAT_OK)
		err = owned_copy(stored.account_id, &account->account_id);
	if (err == CHAT_OK)
		err = account_take_card(account, stored.card);
	if (err == CHAT_OK)
		err = map_put(&engine->accounts, account_bytes(&account->name), account);
	if (err != CHAT_OK)
		goto out;
	err = map_put(&engine->members, digest_bytes(&account->member_id), account);
	if (err != CHAT_OK) {
		map_remove(&engine->accounts, account_bytes(&account->name));
		goto out;
	}
	account_touch(engine, account);
	*ret = account;
	account = NULL;
out:
	if (account != NULL)
		account_free(engine, account);
	return err;
}

enum chat_err
account_get_as(struct engine *engine, struct bytes name, struct bytes account_id, struct account **ret)
{
	struct account *account = NULL;
	enum chat_err err = account_get(engine, name, &account);

	if (err == CHAT_OK && !bytes_equal(account->account_id, account_id))
		return CHAT_ERR_NOT_FOUND;
	if (err == CHAT_OK)
		*ret = account;
	return err;
}

struct account *
account_of_member(const struct engine *engine, const struct digest *member_id)
{
	return map_get(&engine->members, digest_bytes(member_id));
}

/* ---- the rooms it is in: those with a stay, and no others ---- */

static void
stay_free(struct engine *engine, struct stay *stay)
{
	cursor_forget(engine, stay);
	free(stay);
}

void
account_forget_rooms(struct engine *engine, struct account *account)
{
	struct stay *stay;
	size_t at = 0;

	while ((stay = map_next(&account->rooms, &at)) != NULL)
		stay_free(engine, stay);
	map_clear(&account->rooms);
	account->rooms_loaded = false;
}

struct load_rooms {
	struct account *account;
	enum chat_err err;
};

static bool
load_room(void *ctx, const struct store_member_room *from)
{
	struct load_rooms *load = ctx;
	struct stay *stay = calloc(1, sizeof *stay);

	if (stay == NULL) {
		load->err = CHAT_ERR_NOMEM;
		return false;
	}
	stay->account = load->account;
	stay->room_id = from->room_id;
	stay->stay = from->stay;
	stay->since_seq = from->since_seq;
	stay->read_seq = from->read_seq;
	load->err = map_put(&load->account->rooms, digest_bytes(&stay->room_id), stay);
	if (load->err != CHAT_OK)
		free(stay);
	return load->err == CHAT_OK;
}

enum chat_err
account_load_rooms(struct engine *engine, struct account *account)
{
	struct load_rooms load = {.account = account};
	enum chat_err err;

	if (account->rooms_loaded)
		return CHAT_OK;
	err = store_member_rooms_each(engine->store, &account->member_id, load_room, &load);
	if (err == CHAT_OK)
		err = load.err;
	if (err != CHAT_OK) {
		account_forget_rooms(engine, account);
		return err;
	}
	account->rooms_loaded = true;
	account_touch(engine, account);
	return CHAT_OK;
}

struct stay *
account_stay(const struct account *account, const struct digest *room_id)
{
	return map_get(&account->rooms, digest_bytes(room_id));
}

static struct stay *
add_stay(struct account *account, const struct digest *room_id)
{
	struct stay *stay = calloc(1, sizeof *stay);

	if (stay == NULL)
		return NULL;
	stay->account = account;
	stay->room_id = *room_id;
	if (map_put(&account->rooms, digest_bytes(&stay->room_id), stay) != CHAT_OK) {
		free(stay);
		return NULL;
	}
	return stay;
}

void
account_note_stay(struct engine *engine, struct account *account, const struct room *room,
    const struct store_stay_change *change)
{
	struct stay *stay = account_stay(account, &room->id);

	if (!account->rooms_loaded)
		return;
	if (change->stay == STORE_OUT) {
		if (stay != NULL) {
			map_remove(&account->rooms, digest_bytes(&stay->room_id));
			stay_free(engine, stay);
		}
		account_touch(engine, account);
		return;
	}
	if (stay == NULL)
		stay = add_stay(account, &room->id);
	if (stay == NULL) {
		account_forget_rooms(engine, account); /* loaded again when next needed */
		return;
	}
	stay->stay = change->stay;
	if (stay->since_seq != change->since_seq) {
		/* Another stay than before, as the store sees it, too. */
		cursor_forget(engine, stay);
		stay->since_seq = change->since_seq;
		stay->read_seq = 0;
	}
	account_touch(engine, account);
}
