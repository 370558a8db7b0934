/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster.h"

#include "unit.h"

#include "room_kit.h"
#include "vectors.h"

/*
 * Whole lives of rooms from protocol-v1.json.  Each step is done
 *   - as the server does it, then taken back and compared with before, then done again;
 *   - as a client does it that reads the log;
 *   - and after it the room is loaded anew from its events;
 * and after each step, accepted or refused, the complete state is compared.
 */

#define STEP_EVENTS_MAX 8
#define LOG_MAX         256

/* One entry of the room's log, as the store would keep it. */
struct entry {
	struct bytes wire; /* of an event; borrowed from the vectors */
	bool is_event;
	struct digest epoch_id; /* of a message */
};

struct life {
	struct vectors v;
	const json_t *room;
	const json_t *step;
	size_t step_index;
	const json_t *state; /* the last one given; NULL: no room yet */
	struct roster *server;
	struct roster *client;
	char *dump; /* of the server's roster after the step before */
	struct entry log[LOG_MAX];
	size_t log_len;
	size_t accepted, refused, rolled_back, refused_by_client, loads;
};

#define WHERE    "room %s, step %zu (%s): "
#define where(l) vec_str((l)->room, "name"), (l)->step_index, vec_str((l)->step, "comment")

static const char *
life_result(const struct life *l)
{
	return vec_str(l->step, "result");
}

static struct digest
id_of(const struct life *l, const char *name)
{
	const json_t *person = json_object_get(vec_object(l->room, "people"), name);

	assert_non_null(person);
	return vec_digest(person, "member_id");
}

/*
 * --- the state ---
 */

static void
check_digest(const struct life *l, const json_t *obj, const char *key, const struct digest *got)
{
	struct digest want = vec_digest(obj, key);
	char hex[DIGEST_HEX_CHARS + 1];

	digest_hex(got, hex);
	if (!digest_equal(got, &want))
		fail_msg(WHERE "%s is %s, want %s", where(l), key, hex, vec_str(obj, key));
}

static void
check_number(const struct life *l, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		fail_msg(WHERE "%s is %ju, want %ju", where(l), what, (uintmax_t)got, (uintmax_t)want);
}

static bool
list_has(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) if (strcmp(json_string_value(item), name) == 0) return true;
	return false;
}

static void
check_member(struct life *l, const struct roster *r, const char *name, const json_t *want)
{
	static const char *const states[] = {"out", "invited", "joined"};
	struct digest id = id_of(l, name);
	const struct roster_member *m = roster_member(r, &id);
	const json_t *place = vec_array(want, "place");
	const json_t *person = json_object_get(vec_object(l->room, "people"), name);

	if (m == NULL)
		fail_msg(WHERE "no member %s", where(l), name);
	if (!vec_is(want, "state", states[m->state]))
		fail_msg(WHERE "%s is %s", where(l), name, states[m->state]);
	assert_bytes_equal(account_bytes(&m->account), vec_str_bytes(person, "account"));
	assert_bytes_equal(BYTES_ARRAY(m->ed_pk), vec_hex(&l->v, person, "ed_pk"));
	check_number(l, "role", m->role, vec_u64(want, "role"));
	check_number(l, "owner_since", m->owner_since, vec_u64(want, "owner_since"));
	check_number(l, "place", m->place_seq, (uint64_t)json_integer_value(json_array_get(place, 0)));
	check_number(l, "place_peer", m->place_peer, (uint64_t)json_integer_value(json_array_get(place, 1)));
	check_number(l, "serial", m->serial, vec_u64(want, "serial"));
	check_digest(l, want, "card_hash", &m->card_hash);
	check_digest(l, want, "after", &m->after);
	assert_ptr_equal(roster_next_after(r, EVENT_KICK, &id), &m->after);
}

static void
check_readers(const struct life *l, const struct roster *r)
{
	const struct roster_member *reader = NULL;
	const json_t *name;
	size_t i;

	json_array_foreach(vec_array(l->state, "readers"), i, name)
	{
		struct digest id = id_of(l, json_string_value(name));

		reader = roster_next_reader(r, reader);
		if (reader == NULL || !digest_equal(&reader->id, &id))
			fail_msg(WHERE "reader %zu is not %s", where(l), i, json_string_value(name));
	}
	check_number(l, "readers", roster_reader_count(r), i);
	assert_null(i > 0 ? roster_next_reader(r, reader) : r == NULL ? NULL : roster_next_reader(r, NULL));
}

static void
check_entitled(const struct life *l, const struct roster *r)
{
	const char *hex, *name;
	json_t *names, *person;

	check_number(l, "epochs", roster_epoch_count(r), json_object_size(vec_object(l->state, "entitled")));
	json_object_foreach(vec_object(l->state, "entitled"), hex, names)
	{
		const struct roster_epoch *epoch;
		struct digest epoch_id;

		assert_true(hex_decode(hex, epoch_id.b, DIGEST_BYTES));
		epoch = roster_epoch(r, &epoch_id);
		assert_non_null(epoch);
		json_object_foreach(vec_object(l->room, "people"), name, person)
		{
			struct digest id = vec_digest(person, "member_id");

			if (roster_entitled(r, roster_member(r, &id), epoch) != list_has(names, name))
				fail_msg(WHERE "%s and epoch %s", where(l), name, hex);
		}
	}
}

static void
check_counters(const struct life *l, const struct roster *r)
{
	struct roster_counter ignored;
	size_t i, iter = 0, count = 0;
	const json_t *want;

	json_array_foreach(vec_array(l->state, "counters"), i, want)
	{
		struct digest sender = id_of(l, vec_str(want, "sender"));
		struct device_id device;

		assert_true(hex_decode(vec_str(want, "device"), device.b, DEVICE_ID_BYTES));
		check_number(l, "counter", roster_counter(r, &sender, &device), vec_u64(want, "last"));
	}
	while (roster_next_counter(r, &iter, &ignored))
		count++;
	check_number(l, "counters", count, i);
}

static void
check_state(struct life *l, const struct roster *r)
{
	const struct roster_state *s = roster_state(r);
	const char *name;
	json_t *member;

	assert_roster_sane(r);
	if (l->state == NULL) {
		assert_false(s->created);
		check_number(l, "seq", s->head.seq, 0);
		check_number(l, "members", roster_member_count(r), 0);
		return;
	}
	check_number(l, "seq", s->head.seq, vec_u64(l->state, "seq"));
	check_digest(l, l->state, "L", &s->head.L);
	check_digest(l, l->state, "E", &s->head.E);
	check_digest(l, l->state, "room_id", &s->room_id);
	check_digest(l, l->state, "epoch_id", &s->epoch_id);
	check_digest(l, l->state, "next_settings_after", roster_next_after(r, EVENT_SETTINGS, NULL));
	check_digest(l, l->state, "next_rekey_after", roster_next_after(r, EVENT_REKEY, NULL));
	check_number(l, "kind", s->kind, vec_u64(l->state, "kind"));
	check_number(l, "open", s->open, json_is_true(json_object_get(l->state, "open")));
	check_number(l, "epoch", s->epoch, vec_u64(l->state, "epoch"));
	check_number(l, "invite_policy", s->invite_policy, vec_u64(l->state, "invite_policy"));
	check_number(l, "history_policy", s->history_policy, vec_u64(l->state, "history_policy"));
	check_number(l, "keep_days", s->keep_days, vec_u64(l->state, "keep_days"));
	check_number(l, "keep_entries", s->keep_entries, vec_u64(l->state, "keep_entries"));
	check_readers(l, r);
	check_number(l, "members", roster_member_count(r), json_object_size(vec_object(l->state, "members")));
	json_object_foreach(vec_object(l->state, "members"), name, member) check_member(l, r, name, member);
	check_entitled(l, r);
	check_counters(l, r);
	check_number(l, "fields of a state", json_object_size(l->state), 18);
}

/* The hash and the preimage of a new entry, the i-th of this step. */
static void
check_entry(struct life *l, size_t i, const struct digest *entry_hash, const struct log_head *before,
    const struct log_head *after)
{
	const json_t *want = json_array_get(vec_array(l->step, "entries"), i);
	struct log_preimage preimage = {
	    .prev_L = before->L,
	    .seq = after->seq,
	    .server_time_ms = vec_u64(l->step, "server_time_ms"),
	    .entry_hash = *entry_hash,
	    .E = after->E,
	};
	uint8_t bytes[LOG_PREIMAGE_BYTES];

	assert_non_null(want);
	check_number(l, "seq of an entry", after->seq, vec_u64(want, "seq"));
	check_digest(l, want, "entry_hash", entry_hash);
	check_digest(l, want, "L", &after->L);
	check_digest(l, want, "E", &after->E);
	log_preimage_encode(&preimage, bytes);
	vec_assert_bytes(want, "preimage", BYTES_ARRAY(bytes), vec_hex(&l->v, want, "preimage"));
}

/*
 * --- a step of events ---
 */

/* The wraps that go with the n-th rekey of the step, staged as the server does: by the hash over them. */
static struct roster_wraps
staged_wraps(struct life *l, size_t n, const struct event *rekey)
{
	const json_t *list = vec_array(json_array_get(vec_array(l->step, "rekeys"), n), "wraps");
	struct roster_wraps wraps = {.staged = true, .count = (uint32_t)json_array_size(list)};
	struct wraps_hash hash;
	struct digest digest;
	const json_t *item;
	size_t i;

	wraps_hash_init(&hash, wraps.count);
	json_array_foreach(list, i, item)
	{
		struct bytes wrap = vec_hex_value(&l->v, item);

		digest = hash_once(wrap);
		wraps_hash_add(&hash, &digest);
		wraps.staged = wraps.staged && wrap.len == WRAP_BYTES;
	}
	digest = wraps_hash_end(&hash);
	wraps.staged = wraps.staged && digest_equal(&digest, &rekey->rekey.wraps_hash);
	return wraps;
}

static bool
signatures_good(const struct roster *r, const struct event *event)
{
	const uint8_t *key = roster_actor_key(r, event);

	return key != NULL && event_signatures_good(event, key);
}

/* Posts the step's events into a batch that has begun. */
static enum chat_err
post_batch(struct life *l, struct roster *r, bool as_server, struct roster_refusal *ret_refusal)
{
	const json_t *list = vec_array(l->step, "events"), *item;
	struct digest poster = digest_zero;
	size_t i, rekeys = 0;

	json_array_foreach(list, i, item)
	{
		struct log_head before = roster_state(r)->head;
		struct roster_wraps wraps;
		struct roster_post post = {.server_time_ms = vec_u64(l->step, "server_time_ms")};
		struct roster_change change;
		struct event event;
		enum chat_err err = event_decode(vec_hex_value(&l->v, item), &event);

		*ret_refusal = (struct roster_refusal){.err = err, .index = (uint32_t)i, .why = "decoding"};
		if (err != CHAT_OK)
			return err;
		if (i == 0)
			poster = event.actor;
		if (event.type == EVENT_REKEY)
			wraps = staged_wraps(l, rekeys++, &event);
		post.event = &event;
		post.signatures_good = signatures_good(r, &event);
		if (as_server) {
			post.poster = &poster;
			post.wraps = event.type == EVENT_REKEY ? &wraps : NULL;
			err = roster_post_event(r, &post, &change, ret_refusal);
		} else
			err = roster_take_event(
			    r, &event, post.signatures_good, post.server_time_ms, &change, ret_refusal);
		if (err != CHAT_OK)
			return err;
		if (vec_is(l->step, "result", "ok"))
			check_entry(l, i, &change.entry_hash, &before, &roster_state(r)->head);
	}
	return CHAT_OK;
}

static void
check_refusal(const struct life *l, enum chat_err err, const struct roster_refusal *refusal)
{
	if (strcmp(chat_err_name(err), life_result(l)) != 0)
		fail_msg(
		    WHERE "%s (%s), want %s", where(l), chat_err_name(err), refusal->why, life_result(l));
	if (err == CHAT_OK)
		return;
	assert_int_equal(refusal->err, err);
	assert_non_null(refusal->why);
	if (vec_has(l->step, "index"))
		check_number(l, "index", refusal->index, vec_u64(l->step, "index"));
	check_number(l, "has_current", refusal->has_current, vec_has(l->step, "current"));
	if (refusal->has_current)
		check_digest(l, l->step, "current", &refusal->current);
}

static void
events_on_server(struct life *l)
{
	struct roster_refusal refusal;
	enum chat_err err;

	roster_begin(l->server);
	err = post_batch(l, l->server, true, &refusal);
	check_refusal(l, err, &refusal);
	roster_rollback(l->server);
	assert_roster_is(l->server, l->dump);
	l->rolled_back++;
	if (err != CHAT_OK)
		return;

	roster_begin(l->server);
	assert_ok(post_batch(l, l->server, true, &refusal));
	roster_commit(l->server);
}

/* A client knows the same rules; it cannot see whether every wrap was there. */
static void
events_on_client(struct life *l)
{
	struct roster_refusal refusal;
	bool ok = vec_is(l->step, "result", "ok");
	enum chat_err err;

	roster_begin(l->client);
	err = post_batch(l, l->client, false, &refusal);
	if (ok) {
		assert_ok(err);
		roster_commit(l->client);
		return;
	}
	if (vec_is(l->step, "result", "bad_wraps"))
		assert_ok(err);
	else
		check_refusal(l, err, &refusal);
	l->refused_by_client += err != CHAT_OK;
	roster_rollback(l->client);
	assert_roster_is(l->client, l->dump);
}

static void
step_events(struct life *l)
{
	const json_t *item;
	size_t i;

	events_on_server(l);
	events_on_client(l);
	if (!vec_is(l->step, "result", "ok"))
		return;
	json_array_foreach(vec_array(l->step, "events"), i, item)
	{
		assert_true(l->log_len < LOG_MAX);
		l->log[l->log_len++] = (struct entry){.wire = vec_hex_value(&l->v, item), .is_event = true};
	}
}

/*
 * --- a step of a message ---
 */

static void
message_on_client(struct life *l, const struct message *message, const struct digest *entry)
{
	const struct roster_member *sender = roster_member(l->client, &message->header.sender);
	bool good = sender != NULL && message_signature_good(message, sender->ed_pk);
	uint64_t time_ms = vec_u64(l->step, "server_time_ms");
	struct roster_message_verdict verdict;
	const char *want = life_result(l);

	if (vec_is(l->step, "result", "ok")) {
		if (vec_has(l->step, "members"))
			want = vec_str(l->step, "members");
		assert_ok(roster_take_message(l->client, &message->header, entry, good, time_ms, &verdict));
		check_number(l, "gap", verdict.gap, 0);
	} else {
		/* A server that let it into the log all the same. */
		roster_begin(l->client);
		assert_ok(roster_take_message(l->client, &message->header, entry, good, time_ms, &verdict));
		roster_rollback(l->client);
		assert_roster_is(l->client, l->dump);
		if (vec_is(l->step, "result", "out_of_order")) {
			/* A gap does not block: something else is wrong with it, or it is shown. */
			assert_true(verdict.err != CHAT_OK || verdict.gap > 0);
			return;
		}
		l->refused_by_client++;
	}
	if (strcmp(chat_err_name(verdict.err), want) != 0)
		fail_msg(WHERE "a client finds %s, want %s", where(l), chat_err_name(verdict.err), want);
}

static void
step_message(struct life *l)
{
	struct bytes wire = vec_hex(&l->v, l->step, "message");
	struct log_head before = roster_state(l->server)->head;
	uint64_t time_ms = vec_u64(l->step, "server_time_ms");
	struct roster_refusal refusal = {.why = "decoding"};
	struct message message;
	struct digest entry;
	enum chat_err err = message_decode(wire, &message);

	if (err != CHAT_OK) {
		refusal.err = err;
		check_refusal(l, err, &refusal);
		return;
	}
	entry = log_entry_hash(ENTRY_MESSAGE, &message.msg_hash, message.sig.data);
	roster_begin(l->server);
	err = roster_post_message(
	    l->server, &message.header, &entry, &message.header.sender, time_ms, &refusal);
	check_refusal(l, err, &refusal);
	roster_rollback(l->server);
	assert_roster_is(l->server, l->dump);
	l->rolled_back++;
	if (err == CHAT_OK) {
		assert_ok(roster_post_message(
		    l->server, &message.header, &entry, &message.header.sender, time_ms, &refusal));
		check_entry(l, 0, &entry, &before, &roster_state(l->server)->head);
		assert_true(l->log_len < LOG_MAX);
		l->log[l->log_len++] = (struct entry){.wire = wire, .epoch_id = message.header.epoch_id};
	}
	message_on_client(l, &message, &entry);
}

static bool
rewrap_good(const struct roster *r, const struct rewrap *rewrap)
{
	const struct roster_member *wrapper = roster_member(r, &rewrap->wrapper);

	return wrapper != NULL && rewrap_signature_good(rewrap, wrapper->ed_pk);
}

static void
step_rewrap(struct life *l)
{
	struct roster_refusal refusal = {.why = "decoding"};
	struct rewrap rewrap;
	enum chat_err err = rewrap_decode(vec_hex(&l->v, l->step, "rewrap"), &rewrap);

	if (err != CHAT_OK)
		refusal.err = err;
	else
		err = roster_judge_rewrap(
		    l->server, &rewrap, &rewrap.wrapper, rewrap_good(l->server, &rewrap), &refusal);
	check_refusal(l, err, &refusal);
	if (refusal.err == CHAT_OK || strcmp(refusal.why, "decoding") != 0) {
		struct roster_refusal again;

		assert_err(roster_judge_rewrap(l->client, &rewrap, NULL, rewrap_good(l->client, &rewrap), &again),
		    err);
	}
}

/*
 * --- loading ---
 */

static void
load_counters(const struct roster *from, struct roster *into)
{
	struct roster_counter counter;
	size_t iter = 0;

	while (roster_next_counter(from, &iter, &counter))
		assert_ok(roster_set_counter(into, &counter.sender, &counter.device, counter.last));
}

static void
check_loading(struct life *l)
{
	struct realm realm;
	struct roster *loaded;
	struct event event;
	struct digest entry;

	memcpy(realm.b, vec_hex(&l->v, l->room, "realm").data, REALM_BYTES);
	loaded = roster_new(&realm, true);
	assert_non_null(loaded);
	for (size_t i = 0; i < l->log_len; i++)
		if (l->log[i].is_event) {
			assert_ok(event_decode(l->log[i].wire, &event));
			assert_ok(roster_load_event(loaded, i + 1, &event, true, NULL));
		}
	assert_ok(roster_set_head(loaded, &roster_state(l->server)->head));
	load_counters(l->server, loaded);
	assert_roster_is(loaded, l->dump);
	/* It goes on where the other does. */
	entry = kit_entry(1);
	roster_take_stub(loaded, 1, &entry);
	check_number(l, "seq", roster_state(loaded)->head.seq, l->log_len + 1);
	roster_free(loaded);
	l->loads++;
}

/*
 * --- reading ---
 */

static bool
in_ranges(uint64_t seq, const struct roster_range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ranges[i].from_seq <= seq && seq < ranges[i].to_seq)
			return true;
	return false;
}

static void
check_may_read(struct life *l, const struct roster *r)
{
	const char *name;
	json_t *numbers;

	json_object_foreach(vec_object(l->room, "may_read"), name, numbers)
	{
		struct digest id = id_of(l, name);
		const struct roster_member *member = roster_member(r, &id);
		struct roster_range *ranges;
		size_t range_count, next = 0;

		assert_ok(roster_read_ranges(r, member, &ranges, &range_count));
		for (size_t i = 1; i < range_count; i++)
			assert_true(ranges[i - 1].to_seq < ranges[i].from_seq);
		for (uint64_t seq = 1; seq <= l->log_len; seq++) {
			const struct entry *entry = &l->log[seq - 1];
			const struct roster_epoch *epoch = roster_epoch_of_seq(r, seq);
			bool may, want = (uint64_t)json_integer_value(json_array_get(numbers, next)) == seq;

			if (entry->is_event)
				may = roster_may_read_events(r, member);
			else {
				assert_ptr_equal(epoch, roster_epoch(r, &entry->epoch_id));
				may = roster_may_read_messages(r, member, epoch);
				check_number(l, "in ranges", in_ranges(seq, ranges, range_count), may);
			}
			if (may != want)
				fail_msg(WHERE "%s and entry %ju", where(l), name, (uintmax_t)seq);
			next += may;
		}
		check_number(l, "entries to read", next, json_array_size(numbers));
		free(ranges);
	}
}

/*
 * --- a life ---
 */

static void
do_step(struct life *l)
{
	free(l->dump);
	l->dump = roster_dump(l->server);
	if (vec_has(l->step, "events"))
		step_events(l);
	else if (vec_has(l->step, "message"))
		step_message(l);
	else
		step_rewrap(l);
	if (vec_is(l->step, "result", "ok")) {
		l->accepted++;
		if (!vec_has(l->step, "rewrap")) /* which leaves it as it was */
			l->state = vec_object(l->step, "state");
	} else {
		l->refused++;
		assert_roster_is(l->server, l->dump);
	}
	free(l->dump);
	l->dump = roster_dump(l->server);
	check_state(l, l->server);
	check_state(l, l->client);
	assert_roster_is(l->client, l->dump);
	if (l->state != NULL && vec_is(l->step, "result", "ok"))
		check_loading(l);
}

static void
live(struct life *l)
{
	struct realm realm;

	memcpy(realm.b, vec_hex(&l->v, l->room, "realm").data, REALM_BYTES);
	l->server = roster_new(&realm, true);
	l->client = roster_new(&realm, true);
	assert_true(l->server != NULL && l->client != NULL);
	l->state = NULL;
	l->log_len = 0;
	json_array_foreach(vec_array(l->room, "steps"), l->step_index, l->step) do_step(l);
	l->step = json_array_get(vec_array(l->room, "steps"), l->step_index - 1);
	check_may_read(l, l->server);
	check_may_read(l, l->client);
	free(l->dump);
	l->dump = NULL;
	roster_free(l->server);
	roster_free(l->client);
}

TEST(rooms)
{
	struct life l = {0};
	size_t i;

	vec_open_published(&l.v, "protocol-v1.json");
	json_array_foreach(vec_array(l.v.root, "rooms"), i, l.room) live(&l);
	printf("# rooms: %zu, steps: %zu (%zu accepted, %zu refused), %zu taken back, "
	       "%zu refused by a client too, %zu loads\n",
	    i, l.accepted + l.refused, l.accepted, l.refused, l.rolled_back, l.refused_by_client, l.loads);
	assert_int_equal(i, 4);
	assert_int_equal(l.accepted + l.refused, 286);
	vec_close(&l.v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rooms)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
