/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine_pair_priv.h"

#include <stdio.h>

/* ---- peers ---- */

struct now
pair_now(const struct pair *pair)
{
	return pair->w.now;
}

static void
note_event(struct peer *peer, const struct chat_event *event)
{
	struct told *told;
	const struct chat_id *room = chat_event_room(event);

	if (peer->told_count == peer->told_cap) {
		peer->told_cap = peer->told_cap > 0 ? 2 * peer->told_cap : 64;
		peer->told = reallocarray(peer->told, peer->told_cap, sizeof *peer->told);
		assert_non_null(peer->told);
	}
	told = &peer->told[peer->told_count++];
	*told = (struct told){
	    .type = chat_event_type(event),
	    .flags = chat_event_flags(event),
	    .err = chat_event_err(event),
	    .token = chat_event_token(event),
	    .seq = chat_event_seq(event),
	    .number = chat_event_number(event),
	    .self = chat_event_self(event),
	    .target_self = chat_event_target_self(event),
	};
	if (room != NULL)
		memcpy(told->room.b, room->b, sizeof told->room.b);
	snprintf(told->label, sizeof told->label, "%s", chat_event_label(event));
	snprintf(told->actor, sizeof told->actor, "%s", chat_event_actor(event));
	snprintf(told->target, sizeof told->target, "%s", chat_event_target(event));
	snprintf(told->text, sizeof told->text, "%s", chat_event_text(event));
	snprintf(told->mend, sizeof told->mend, "%s", chat_event_mend(event));
}

void
peer_take_events(struct peer *peer)
{
	struct chat_event *event;
	struct pair_account *account = pair_account_of(peer->pair, BYTES_STR(peer->account));
	struct work *work;

	while (!peer->deaf && (event = session_next_event(peer->s)) != NULL) {
		enum chat_event_type type = chat_event_type(event);
		enum chat_err why = chat_event_err(event);

		note_event(peer, event);
		chat_event_free(event);
		if (type == CHAT_EVENT_PASSWORD_NEEDED && !peer->no_password && why != CHAT_ERR_LOGIN_REFUSED)
			assert_ok(
			    session_give_password(peer->s, BYTES_STR(account->password), peer->pair->w.now));
	}
	while ((work = session_next_work(peer->s)) != NULL)
		STAILQ_INSERT_TAIL(&peer->works, work, link);
}

/* The connection ended from the client's side, if it wants that. */
static void
look_at_end(struct peer *peer)
{
	if (peer->conn >= 0 && session_end(peer->s) != NULL && session_output(peer->s).len == 0)
		peer_cut(peer);
}

void
peer_after_call(struct peer *peer)
{
	peer_take_events(peer);
	look_at_end(peer);
}

static void
open_session(struct peer *peer)
{
	struct session_config config = {
	    .software = "pair 1",
	    .storage = peer->st,
	    .random = peer->pair->w.random,
	};

	assert_ok(account_name_set(BYTES_STR(peer->account), &config.account));
	assert_ok(session_new(&config, &peer->s));
	peer_after_call(peer);
}

struct peer *
peer_start(struct pair *pair, const char *account, struct storage *st)
{
	struct peer *peer = &pair->peers[pair->peer_count++];

	assert_true(pair->peer_count <= PAIR_PEERS);
	*peer = (struct peer){.pair = pair, .account = account, .conn = -1};
	STAILQ_INIT(&peer->works);
	peer->st = st != NULL ? st : storage_memory_new(pair->w.seed + pair->peer_count);
	open_session(peer);
	return peer;
}

void
peer_connect(struct peer *peer)
{
	struct pair *pair = peer->pair;
	struct pair_conn *conn;

	if (peer->conn >= 0)
		return;
	peer->conn = (int)(peer - pair->peers);
	conn = &pair->conns[peer->conn];
	assert_false(conn->open);
	*conn = (struct pair_conn){
	    .open = true,
	    .ref = {.slot = (uint32_t)peer->conn,
		.loop = (uint16_t)((uint32_t)peer->conn % WORLD_LOOPS),
		.generation = ++pair->generation},
	    .phase = PHASE_NEW,
	};
	pair->w.random.fill(pair->w.random.ctx, conn->binding, sizeof conn->binding);
	session_connected(peer->s, conn->binding, pair->w.now);
	peer_after_call(peer);
}

void
peer_cut(struct peer *peer)
{
	if (peer->conn < 0)
		return;
	pair_conn_close(peer->pair, &peer->pair->conns[peer->conn]);
	peer->conn = -1;
	session_disconnected(peer->s, peer->pair->w.now);
	peer_take_events(peer);
}

void
peer_drop_works(struct peer *peer)
{
	struct work *work;

	while ((work = STAILQ_FIRST(&peer->works)) != NULL) {
		STAILQ_REMOVE_HEAD(&peer->works, link);
		work_free(work);
	}
}

void
peer_crash(struct peer *peer)
{
	struct storage *kept;

	/* What was stored at this moment; what session_free() would still write is lost, as by a kill. */
	storage_memory_crash(peer->st);
	kept = storage_memory_copy(peer->st);
	if (peer->conn >= 0)
		pair_conn_close(peer->pair, &peer->pair->conns[peer->conn]);
	peer->conn = -1;
	session_free(peer->s);
	peer_drop_works(peer);
	storage_memory_free(peer->st);
	peer->st = kept;
	open_session(peer);
}

static int
index_of(const char *account)
{
	static const char *const names[] = {"alice", "bob", "carol", "dave"};

	for (int i = 0; i < (int)ARRAY_LEN(names); i++)
		if (strcmp(names[i], account) == 0)
			return i;
	fail_msg("no fixture key for %s", account);
	return 0;
}

/* Making a key takes a second: the fixtures' are there. */
static void
fixture_key(struct peer *peer, struct work *work)
{
	static const char *const files[] = {"rsa-alice.der", "rsa-bob.der", "rsa-carol.der", "rsa-dave.der"};
	char path[512];
	uint8_t *der;
	size_t len;

	snprintf(path, sizeof path, "%s/tests/fixtures/%s", unit_srcdir(), files[index_of(peer->account)]);
	der = unit_read_file(path, &len);
	assert_non_null(der);
	work->err = rsa_key_from_pkcs8(BYTES(der, len), &work->keygen.key);
	assert_ok(work->err);
	free(der);
}

void
peer_run_work(struct peer *peer)
{
	struct work *work = STAILQ_FIRST(&peer->works);

	STAILQ_REMOVE_HEAD(&peer->works, link);
	if (work->type == WORK_KEYGEN)
		fixture_key(peer, work);
	else
		work_run(work);
	session_work_done(peer->s, work, peer->pair->w.now);
	peer_after_call(peer);
}

/* ---- looking ---- */

struct chat_event *
peer_done(struct peer *peer, uint64_t *ret_token)
{
	struct chat_event *done = event_new_done(++peer->last_token);

	assert_non_null(done);
	*ret_token = peer->last_token;
	return done;
}

const struct told *
peer_told_text(const struct peer *peer, enum chat_event_type type, const char *text)
{
	for (size_t i = peer->told_count; i-- > 0;)
		if (peer->told[i].type == type && (text == NULL || strcmp(peer->told[i].text, text) == 0))
			return &peer->told[i];
	return NULL;
}

const struct told *
peer_told(const struct peer *peer, enum chat_event_type type)
{
	return peer_told_text(peer, type, NULL);
}

const struct told *
peer_done_of(const struct peer *peer, uint64_t token)
{
	const struct told *found = NULL;

	for (size_t i = 0; i < peer->told_count; i++) {
		if (peer->told[i].type != CHAT_EVENT_DONE || peer->told[i].token != token)
			continue;
		if (found != NULL)
			fail_msg("%s has two DONEs of %llu", peer->account, (unsigned long long)token);
		found = &peer->told[i];
	}
	return found;
}

size_t
peer_count(const struct peer *peer, enum chat_event_type type, const char *text)
{
	size_t count = 0;

	for (size_t i = 0; i < peer->told_count; i++)
		count +=
		    peer->told[i].type == type && (text == NULL || strcmp(peer->told[i].text, text) == 0);
	return count;
}

void
peer_forget(struct peer *peer)
{
	peer->told_count = 0;
}

void
peer_print(const struct peer *peer)
{
	const struct session_end *end = session_end(peer->s);

	print_message("# %s, %s%s%s\n", peer->account, peer->conn >= 0 ? "connected" : "not connected",
	    end != NULL ? ", ended: " : "", end != NULL ? end->text : "");
	for (size_t i = 0; i < peer->told_count; i++) {
		const struct told *told = &peer->told[i];
		struct chat_event event = {.type = told->type};

		print_message("#   %s %s #%llu %s>%s n=%llu token=%llu %s%s%s \"%s\" [%s]\n",
		    chat_event_type_name(&event), told->label, (unsigned long long)told->seq, told->actor,
		    told->target, (unsigned long long)told->number, (unsigned long long)told->token,
		    chat_err_name(told->err), told->flags & CHAT_FLAG_REPLAY ? " replay" : "",
		    told->flags & CHAT_FLAG_HISTORY ? " history" : "", told->text, told->mend);
	}
}

const struct told *
pair_assert_done(struct peer *peer, uint64_t token, enum chat_err err, const char *file, int line)
{
	const struct told *done = peer_done_of(peer, token);

	if (done == NULL || done->err != err) {
		for (size_t i = 0; i < peer->pair->peer_count; i++)
			peer_print(&peer->pair->peers[i]);
		print_error("token %llu of %s: %s\n", (unsigned long long)token, peer->account,
		    done == NULL ? "not done" : done->text);
		_fail(file, line);
	}
	return done;
}

/* ---- the usual ---- */

struct digest
peer_create(struct peer *peer, const char *name)
{
	const struct told *done;
	uint64_t token;

	session_create(peer->s, peer_done(peer, &token), BYTES_STR(name), peer->pair->w.now);
	peer_take_events(peer);
	pair_settle(peer->pair);
	done = assert_done(peer, token, CHAT_OK);
	return done->room;
}

void
peer_invite(struct peer *peer, const struct digest *room, const char *account)
{
	struct account_name name;
	uint64_t token;

	assert_ok(account_name_set(BYTES_STR(account), &name));
	session_invite(peer->s, peer_done(peer, &token), room, &name, 1, peer->pair->w.now);
	peer_take_events(peer);
	pair_settle(peer->pair);
	(void)assert_done(peer, token, CHAT_OK);
}

void
peer_accept(struct peer *peer, const struct digest *room)
{
	uint64_t token;

	session_accept(peer->s, peer_done(peer, &token), room, peer->pair->w.now);
	peer_take_events(peer);
	pair_settle(peer->pair);
	(void)assert_done(peer, token, CHAT_OK);
}

uint64_t
peer_say(struct peer *peer, const struct digest *room, const char *text)
{
	uint64_t token;

	session_send(peer->s, peer_done(peer, &token), room, BYTES_STR(text), peer->pair->w.now);
	peer_take_events(peer);
	return token;
}

struct digest
pair_room(struct pair *pair, struct peer **peers, size_t count)
{
	struct digest room;

	for (size_t i = 0; i < count; i++)
		peer_connect(peers[i]);
	pair_settle(pair);
	room = peer_create(peers[0], "ops");
	for (size_t i = 1; i < count; i++) {
		peer_invite(peers[0], &room, peers[i]->account);
		peer_accept(peers[i], &room);
	}
	return room;
}
