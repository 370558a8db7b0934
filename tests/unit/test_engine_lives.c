/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The whole lives of rooms from protocol-v1.json, posted to the engine by people who have published their
 * cards and logged in, with the store and the readers' numbers behind it: each step has the result, the
 * index, the `current` and the hashes that it has there, and in a second run also when the engine starts anew
 * before every step.
 *
 * What the vectors know nothing of changes some answers, and is said here:
 *   - who has no stay in the room is told `no_room`, unless the bytes are of no form;
 *   - a card that is not the published one is `conflict`, before the rules.  Cards are published as late as
 * can be: when the first invitation names them.
 */

#include "engine_world.h"

#include <sqlite3.h>
#include <stdio.h>

#include "group_vectors.h"

#define PEOPLE_MAX 8

struct actor {
	struct person person; /* its card is the published one */
	const char *name;
	const json_t *json;
	uint32_t serial; /* of that card; 0: nothing is published, or the account is another's by now */
	struct conn_ref conn;
};

struct life {
	struct vectors v;
	const json_t *room, *step;
	size_t step_index;
	struct world w;
	struct actor actors[PEOPLE_MAX];
	size_t actor_count;
	struct digest room_id; /* zero: it is not created yet */
	bool restart;
	size_t accepted, refused, no_rooms, unpublished;
};

#define WHERE    "room %s, step %zu (%s): "
#define where(l) vec_str((l)->room, "name"), (l)->step_index, vec_str((l)->step, "comment")

/* ---- people ---- */

static struct actor *
actor_of(struct life *l, const struct digest *member_id)
{
	for (size_t i = 0; i < l->actor_count; i++)
		if (digest_equal(&l->actors[i].person.identity.member_id, member_id))
			return &l->actors[i];
	return NULL;
}

/* One of them for sure. */
static struct actor *
known_actor(struct life *l, const struct digest *member_id)
{
	struct actor *a = actor_of(l, member_id);

	if (a == NULL)
		fail_msg("nobody is that member");
	return a != NULL ? a : &l->actors[0];
}

static void
set_card(struct life *l, struct actor *a, uint32_t serial)
{
	const json_t *card = json_array_get(vec_array(a->json, "cards"), serial - 1);
	struct bytes wire = vec_hex(&l->v, card, "wire");

	buf_clear(&a->person.card);
	assert_ok(buf_append(&a->person.card, wire.data, wire.len));
	assert_ok(card_decode_verify(buf_bytes(&a->person.card), &a->person.decoded));
	a->serial = serial;
}

static void
accounts(struct life *l)
{
	const struct person *list[PEOPLE_MAX];
	size_t count = 0;

	for (size_t i = 0; i < l->actor_count; i++)
		if (l->actors[i].serial > 0)
			list[count++] = &l->actors[i].person;
	world_accounts(&l->w, list, count, NULL);
}

static void
log_in(struct life *l, struct actor *a)
{
	world_turn(&l->w, cmd_key(&l->w, a->conn, &a->person));
	assert_answered(&l->w, OUT_LOGIN_OK, a->conn);
}

/* The first card; whoever had the account before is another one, and has no account now. */
static void
appear(struct life *l, struct actor *a)
{
	for (size_t i = 0; i < l->actor_count; i++)
		if (account_equal(&l->actors[i].person.identity.account, &a->person.identity.account))
			l->actors[i].serial = 0;
	set_card(l, a, 1);
	accounts(l);
	world_turn(&l->w, cmd_publish(&l->w, a->conn, &a->person));
	assert_answered(&l->w, OUT_OK, a->conn);
	log_in(l, a);
}

static void
people_make(struct life *l)
{
	const char *name;
	json_t *json;

	l->actor_count = 0;
	json_object_foreach(vec_object(l->room, "people"), name, json)
	{
		struct actor *a = &l->actors[l->actor_count];

		assert_true(l->actor_count < PEOPLE_MAX);
		*a = (struct actor){.name = name, .json = json};
		gv_person_identity(&l->v, json, &a->person.identity);
		a->conn = world_conn((uint16_t)(l->actor_count % WORLD_LOOPS), (uint32_t)l->actor_count);
		snprintf(a->person.id, sizeof a->person.id, "%016zx", l->actor_count + 1);
		l->actor_count++;
	}
	/* Of two with one account the first in the file comes first: the other one's turn is when it is
	 * invited. */
	for (size_t i = 0; i < l->actor_count; i++) {
		bool taken = false;

		for (size_t k = 0; k < i; k++)
			taken = taken || account_equal(&l->actors[k].person.identity.account,
					     &l->actors[i].person.identity.account);
		if (!taken)
			appear(l, &l->actors[i]);
	}
}

/* The card of that hash is published if it can be: as the next one, or as the first of a new identity. */
static void
publish_if_next(struct life *l, const struct card *card)
{
	struct actor *a = actor_of(l, &card->member_id);
	const json_t *known = a != NULL ? gv_person_card(a->json, &card->card_hash) : NULL;

	if (known == NULL)
		return;
	if (a->serial == 0 && card->serial == 1) {
		appear(l, a);
	} else if (a->serial > 0 && card->serial == a->serial + 1) {
		set_card(l, a, card->serial);
		world_turn(&l->w, cmd_card(&l->w, a->conn, &a->person));
		assert_answered(&l->w, OUT_OK, a->conn);
	}
}

static bool
is_published(struct life *l, const struct card *card)
{
	const struct actor *a = actor_of(l, &card->member_id);

	return a != NULL && a->serial > 0 && digest_equal(&a->person.decoded.card_hash, &card->card_hash);
}

/* ---- the room so far ---- */

static const json_t *
state_before(const struct life *l)
{
	for (size_t i = l->step_index; i-- > 0;) {
		const json_t *step = json_array_get(vec_array(l->room, "steps"), i);

		if (vec_has(step, "state"))
			return vec_object(step, "state");
	}
	return NULL;
}

static bool
is_reader(const struct life *l, const struct actor *a)
{
	const json_t *state = state_before(l), *name;
	size_t i;

	if (state == NULL || a == NULL)
		return false;
	json_array_foreach(vec_array(state, "readers"), i,
	    name) if (strcmp(json_string_value(name), a->name) == 0) return true;
	return false;
}

/* ---- what is expected ---- */

struct expected {
	enum chat_err err;
	uint64_t index;
	bool has_current;
	struct digest current;
};

static struct expected
expected_of(const struct life *l)
{
	struct expected e = {.err = gv_result(l->step)};

	if (vec_has(l->step, "index"))
		e.index = vec_u64(l->step, "index");
	e.has_current = vec_has(l->step, "current");
	if (e.has_current)
		e.current = vec_digest(l->step, "current");
	return e;
}

static bool
is_of_no_form(enum chat_err err)
{
	return err == CHAT_ERR_UNSUPPORTED || err == CHAT_ERR_MALFORMED;
}

static void
expect_no_room(struct life *l, struct expected *e)
{
	*e = (struct expected){.err = CHAT_ERR_NO_ROOM};
	l->no_rooms++;
}

/* ---- steps ---- */

static void
restart(struct life *l)
{
	world_restart(&l->w);
	accounts(l);
	for (size_t i = 0; i < l->actor_count; i++)
		if (l->actors[i].serial > 0)
			log_in(l, &l->actors[i]);
}

static void
post(struct life *l, struct command *cmd)
{
	outcome_list_free(l->w.out);
	l->w.out = NULL;
	l->w.now.mono_ms += 3600000; /* nothing is too often here */
	if (vec_has(l->step, "server_time_ms"))
		l->w.now.unix_ms = vec_u64(l->step, "server_time_ms");
	engine_turn_begin(l->w.engine, l->w.now);
	engine_apply(l->w.engine, cmd);
	world_commit(&l->w);
}

static void
check(struct life *l, struct conn_ref conn, const struct expected *e, size_t count)
{
	const struct outcome *error = find_out(l->w.out, OUT_ERROR, conn), *posted;

	if (e->err != CHAT_OK) {
		if (error == NULL)
			fail_msg(WHERE "no error, want %s", where(l), chat_err_name(e->err));
		if (error->error.err != e->err)
			fail_msg(WHERE "%s (%s), want %s", where(l), chat_err_name(error->error.err),
			    error->error.text, chat_err_name(e->err));
		assert_int_equal(error->error.index, e->index);
		assert_int_equal(error->error.has_current, e->has_current);
		if (e->has_current)
			assert_true(digest_equal(&error->error.current, &e->current));
		assert_null(l->w.out->next); /* nobody else hears of it */
		l->refused++;
		return;
	}
	if (error != NULL)
		fail_msg(WHERE "%s (%s)", where(l), chat_err_name(error->error.err), error->error.text);
	l->accepted++;
	if (count == 0) {
		assert_answered(&l->w, OUT_OK, conn);
		return;
	}
	posted = assert_answered(&l->w, OUT_POSTED, conn);
	assert_int_equal(posted->posted.count, count);
	assert_int_equal(posted->posted.first_seq + count - 1, vec_u64(vec_object(l->step, "state"), "seq"));
	assert_int_equal(posted->posted.server_time_ms, vec_u64(l->step, "server_time_ms"));
	{
		struct digest L = vec_digest(vec_object(l->step, "state"), "L");

		assert_true(digest_equal(&posted->posted.hash, &L));
	}
}

static struct wrap_set *
staged(struct life *l)
{
	struct wrap_set *list = NULL;
	const json_t *rekey, *item;
	size_t i, k;

	if (!vec_has(l->step, "rekeys"))
		return NULL;
	json_array_foreach(vec_array(l->step, "rekeys"), i, rekey)
	{
		const json_t *wraps = vec_array(rekey, "wraps");
		struct wrap_set *set = calloc(1, sizeof *set);
		struct wraps_hash hash;

		assert_non_null(set);
		set->count = (uint32_t)json_array_size(wraps);
		set->wraps = calloc(set->count + 1, WRAP_BYTES);
		wraps_hash_init(&hash, set->count);
		json_array_foreach(wraps, k, item)
		{
			struct bytes wrap = vec_hex_value(&l->v, item);
			struct digest one = hash_once(wrap);

			assert_int_equal(wrap.len, WRAP_BYTES);
			memcpy(set->wraps + k * WRAP_BYTES, wrap.data, WRAP_BYTES);
			wraps_hash_add(&hash, &one);
		}
		set->wraps_hash = wraps_hash_end(&hash);
		set->next = list;
		list = set;
	}
	return list;
}

/* As a loop does it: the key is that of who posts. */
static struct command *
events_command(struct life *l, const struct actor *poster)
{
	const json_t *events = vec_array(l->step, "events"), *item;
	size_t count = json_array_size(events), at = count * sizeof(struct command_event), len = at, i;
	struct command *cmd;

	json_array_foreach(events, i, item) len += vec_hex_value(&l->v, item).len;
	cmd = command_new(CMD_POST_EVENTS, poster->conn, ++l->w.next_id, len);
	cmd->events.events = (struct command_event *)(void *)cmd->body;
	cmd->events.count = (uint32_t)count;
	cmd->events.staged = staged(l);
	json_array_foreach(events, i, item)
	{
		struct bytes wire = vec_hex_value(&l->v, item);
		struct command_event *to = &cmd->events.events[i];
		struct event event;

		memcpy(cmd->body + at, wire.data, wire.len);
		to->wire = BYTES(cmd->body + at, wire.len);
		at += wire.len;
		to->signatures_good = event_decode(to->wire, &event) == CHAT_OK &&
				      event_signatures_good(&event, poster->person.identity.sign.pk);
	}
	return cmd;
}

static void
step_events(struct life *l)
{
	const json_t *events = vec_array(l->step, "events"), *item;
	struct expected e = expected_of(l);
	struct actor *poster = NULL;
	bool create = false;
	struct command *cmd;
	size_t i;

	json_array_foreach(events, i, item)
	{
		struct bytes wire = vec_hex_value(&l->v, item);
		bool later = e.err == CHAT_OK || i < e.index ||
			     (i == e.index && !is_of_no_form(e.err) && e.err != CHAT_ERR_ALREADY &&
				 e.err != CHAT_ERR_NO_ROOM && !(e.err == CHAT_ERR_CONFLICT && e.has_current));
		struct event event;

		if (event_decode(wire, &event) != CHAT_OK)
			continue;
		if (i == 0) {
			poster = actor_of(l, &event.actor);
			create = event.type == EVENT_CREATE;
		}
		if (event.type != EVENT_CREATE && event.type != EVENT_INVITE)
			continue;
		publish_if_next(l, &event.card);
		if (later && (!is_published(l, &event.card) ||
				 (event.type == EVENT_CREATE && event.create.kind == ROOM_DIRECT &&
				     !is_published(l, &event.peer_card)))) {
			/* Another's create is refused whatever is in it. */
			if (poster != NULL) {
				e = (struct expected){.err = CHAT_ERR_CONFLICT, .index = i};
				l->unpublished++;
			}
			break;
		}
	}
	/* What does not decode, or is by nobody of this server, is posted by the first of the people. */
	if (poster == NULL || poster->serial == 0)
		poster = &l->actors[0];
	if (!create && !is_of_no_form(e.err) && !is_reader(l, poster))
		expect_no_room(l, &e);
	cmd = events_command(l, poster);
	if (!create)
		cmd->room_id = l->room_id;
	post(l, cmd);
	check(l, poster->conn, &e, json_array_size(events));
	if (create && e.err == CHAT_OK)
		l->room_id = vec_digest(vec_object(l->step, "state"), "room_id");
}

static void
step_message(struct life *l)
{
	struct bytes wire = vec_hex(&l->v, l->step, "message");
	struct expected e = expected_of(l);
	struct actor *poster = &l->actors[0];
	struct command *cmd;
	struct message message;
	unsigned long expected;

	if (message_decode(wire, &message) == CHAT_OK) {
		poster = known_actor(l, &message.header.sender);
	}
	if (!is_of_no_form(e.err) && !is_reader(l, poster))
		expect_no_room(l, &e);
	cmd = command_new(CMD_POST_MESSAGE, poster->conn, ++l->w.next_id, wire.len);
	cmd->room_id = l->room_id;
	memcpy(cmd->body, wire.data, wire.len);
	cmd->message.wire = BYTES(cmd->body, wire.len);
	if (!is_of_no_form(e.err))
		cmd->message.entry_hash = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	post(l, cmd);
	check(l, poster->conn, &e, 1);
	if (e.err == CHAT_ERR_OUT_OF_ORDER && sscanf(vec_str(l->step, "why"), "expected %lu", &expected) == 1)
		assert_int_equal(find_out(l->w.out, OUT_ERROR, poster->conn)->error.number, expected);
}

static void
step_rewrap(struct life *l)
{
	struct bytes wire = vec_hex(&l->v, l->step, "rewrap");
	struct expected e = expected_of(l);
	struct actor *poster = &l->actors[0];
	struct command *cmd;
	struct rewrap rewrap;

	if (rewrap_decode(wire, &rewrap) == CHAT_OK)
		poster = known_actor(l, &rewrap.wrapper);
	cmd = command_new(
	    CMD_POST_REWRAPS, poster->conn, ++l->w.next_id, sizeof(struct command_event) + wire.len);
	cmd->room_id = l->room_id;
	cmd->rewraps.rewraps = (struct command_event *)(void *)cmd->body;
	cmd->rewraps.count = 1;
	memcpy(cmd->body + sizeof(struct command_event), wire.data, wire.len);
	cmd->rewraps.rewraps[0].wire = BYTES(cmd->body + sizeof(struct command_event), wire.len);
	cmd->rewraps.rewraps[0].signatures_good =
	    rewrap_decode(wire, &rewrap) == CHAT_OK &&
	    rewrap_signature_good(&rewrap, poster->person.identity.sign.pk);
	post(l, cmd);
	check(l, poster->conn, &e, 0);
}

/* ---- lives ---- */

/* A store makes its own realm; this one is the people's. */
static void
set_realm(struct life *l)
{
	struct bytes realm = vec_hex(&l->v, l->room, "realm");
	sqlite3_stmt *st = NULL;
	char path[512];
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/chat.db", l->w.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, "UPDATE meta SET value = ?1 WHERE key = 'realm'", -1, &st, NULL),
	    SQLITE_OK);
	sqlite3_bind_blob(st, 1, realm.data, (int)realm.len, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_DONE);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	world_restart(&l->w);
}

static void
live(struct life *l)
{
	world_start(&l->w, 1, NULL);
	set_realm(l);
	people_make(l);
	l->room_id = digest_zero;
	json_array_foreach(vec_array(l->room, "steps"), l->step_index, l->step)
	{
		if (l->restart)
			restart(l);
		if (vec_has(l->step, "events"))
			step_events(l);
		else if (vec_has(l->step, "message"))
			step_message(l);
		else
			step_rewrap(l);
	}
	for (size_t i = 0; i < l->actor_count; i++)
		person_end(&l->actors[i].person);
	world_end(&l->w);
}

static void
live_all(bool restart)
{
	struct life *l = calloc(1, sizeof *l);
	size_t i;

	assert_non_null(l);
	vec_open_published(&l->v, PROTOCOL_VECTORS);
	l->restart = restart;
	json_array_foreach(vec_array(l->v.root, "rooms"), i, l->room) live(l);
	printf("# %zu steps: %zu accepted, %zu refused; %zu of these no_room, %zu for a card that is not "
	       "published\n",
	    l->accepted + l->refused, l->accepted, l->refused, l->no_rooms, l->unpublished);
	assert_int_equal(l->accepted + l->refused, 286);
	/* Few answers are others than those of the vectors. */
	assert_int_equal(l->accepted, 107);
	assert_int_equal(l->no_rooms, 31);
	assert_int_equal(l->unpublished, 4);
	vec_close(&l->v);
	free(l);
}

TEST(rooms_live_as_the_vectors_say)
{
	live_all(false);
}

TEST(rooms_live_so_whenever_the_engine_starts_anew)
{
	live_all(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rooms_live_as_the_vectors_say),
	    cmocka_unit_test(rooms_live_so_whenever_the_engine_starts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
