/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/roster.h"

#include <stdio.h>

#include "unit.h"

#include "room_kit.h"

/*
 * Random walks: six people post what comes to their minds, in batches that are kept or taken back.  A refused
 * post changes nothing; a batch taken back leaves no trace; order of readers and entitlement agree with lists
 * that the test keeps in the plainest way; a client that reads the log, and a roster loaded from its events,
 * are equal to the server's.
 *
 * ROSTER_WALKS is the number of rooms (12), ROSTER_SEED the first one's seed.
 */

#define STEPS     250
#define BATCH_MAX 5
#define LOG_MAX   (STEPS * BATCH_MAX + 1)
#define PEOPLE    6

/* What the plain lists say. */
struct model {
	unsigned readers[PEOPLE]; /* indexes of people, in order */
	size_t reader_count;
	unsigned rekeyed_to[LOG_MAX]; /* of each epoch: a bit for each reader then */
	bool history_all[LOG_MAX];    /* of each epoch: opened under it */
	size_t epoch_count;
	bool all_now;
};

struct logged {
	bool is_event;
	struct built built;
	struct message_header header;
	uint64_t time_ms;
};

struct walk {
	uint64_t seed;
	struct roster *client;
	struct model model;
	struct logged log[LOG_MAX];
	size_t log_len;
	unsigned accepted[EVENT_REKEY + 1], refused[EVENT_REKEY + 1]; /* [0] are messages */
	unsigned kept, taken_back;
};

static unsigned
pick(struct walk *w, unsigned n)
{
	return (unsigned)(unit_rand(&w->seed) % n);
}

static unsigned
index_of(const struct digest *id)
{
	for (unsigned i = 0; i < PEOPLE; i++)
		if (digest_equal(person_id(people[i]), id))
			return i;
	fail_msg("nobody");
	return 0;
}

/*
 * --- the plain lists ---
 */

static void
model_remove(struct model *m, unsigned who)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->reader_count; i++)
		if (m->readers[i] != who)
			m->readers[kept++] = m->readers[i];
	assert_int_equal(kept, m->reader_count - 1);
	m->reader_count = kept;
}

static unsigned
model_readers(const struct model *m)
{
	unsigned bits = 0;

	for (size_t i = 0; i < m->reader_count; i++)
		bits |= 1U << m->readers[i];
	return bits;
}

static void
model_apply(struct model *m, const struct event *e)
{
	switch (e->type) {
	case EVENT_CREATE:
		m->all_now = e->create.history_policy == HISTORY_ALL;
		m->readers[m->reader_count++] = index_of(&e->actor);
		break;
	case EVENT_INVITE:
		m->readers[m->reader_count++] = index_of(&e->card.member_id);
		break;
	case EVENT_DECLINE:
	case EVENT_LEAVE:
		model_remove(m, index_of(&e->actor));
		break;
	case EVENT_KICK:
		model_remove(m, index_of(&e->kick.target));
		break;
	case EVENT_CARD:
		if (e->card.retired)
			model_remove(m, index_of(&e->actor));
		break;
	case EVENT_SETTINGS:
		m->all_now = e->settings.history_policy == HISTORY_ALL;
		break;
	case EVENT_REKEY:
		m->rekeyed_to[m->epoch_count] = model_readers(m);
		m->history_all[m->epoch_count++] = m->all_now;
		break;
	case EVENT_JOIN:
	case EVENT_ROLE:
		break;
	}
}

static bool
model_entitled(const struct model *m, unsigned who, size_t epoch_index)
{
	return (model_readers(m) >> who & 1) &&
	       (m->history_all[epoch_index] || (m->rekeyed_to[epoch_index] >> who & 1));
}

static bool
in_ranges(uint64_t seq, const struct roster_range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ranges[i].from_seq <= seq && seq < ranges[i].to_seq)
			return true;
	return false;
}

/* The roster agrees with the lists. */
static void
check_model(const struct walk *w)
{
	const struct model *m = &w->model;
	const struct roster_member *reader = NULL;

	assert_int_equal(roster_reader_count(room), m->reader_count);
	for (size_t i = 0; i < m->reader_count; i++) {
		reader = roster_next_reader(room, reader);
		assert_int_equal(index_of(&reader->id), m->readers[i]);
	}
	assert_int_equal(roster_epoch_count(room), m->epoch_count);
	for (unsigned who = 0; who < PEOPLE; who++) {
		const struct roster_member *member = roster_member(room, person_id(people[who]));
		struct roster_range *ranges;
		size_t count;

		assert_ok(roster_read_ranges(room, member, &ranges, &count));
		for (size_t i = 0; i < m->epoch_count; i++) {
			const struct roster_epoch *epoch = roster_epoch_at(room, i + 1);
			bool entitled = model_entitled(m, who, i);

			assert_int_equal(roster_entitled(room, member, epoch), entitled);
			assert_int_equal(
			    in_ranges(epoch->seq, ranges, count), entitled && member_is_joined(member));
		}
		for (size_t i = 1; i < count; i++)
			assert_true(ranges[i - 1].to_seq < ranges[i].from_seq);
		free(ranges);
	}
}

/*
 * --- posting ---
 */

static void
spoil(struct walk *w, struct event *draft)
{
	const struct logged *earlier = &w->log[pick(w, (unsigned)w->log_len)];

	switch (pick(w, 4)) {
	case 0:
		if (earlier->is_event)
			draft->after = earlier->built.event.event_hash;
		break;
	case 1:
		draft->seen_seq += 1 + pick(w, 3);
		break;
	case 2:
		draft->actor = *person_id(people[pick(w, PEOPLE)]);
		break;
	default:
		if (draft->type == EVENT_REKEY)
			draft->rekey.epoch += 2;
		else
			draft->room_id = *person_id(&alice);
		break;
	}
}

static struct event
random_event(struct walk *w, struct person *actor, enum event_type type)
{
	struct person *about = actor;
	struct event draft;

	if (type == EVENT_INVITE || type == EVENT_KICK || type == EVENT_ROLE)
		about = people[pick(w, PEOPLE)];
	draft = kit_event(room, type, actor, about);
	if (type == EVENT_ROLE)
		draft.role.role = (enum member_role)(1 + pick(w, 3));
	if (type == EVENT_SETTINGS) {
		draft.settings.invite_policy = pick(w, 4) == 0 ? INVITE_MODERATORS : INVITE_MEMBERS;
		draft.settings.history_policy = pick(w, 3) == 0 ? HISTORY_ALL : HISTORY_FROM_INVITATION;
	}
	if (pick(w, 8) == 0)
		spoil(w, &draft);
	return draft;
}

/* What people do often, and what makes sense, is often here; the rest too. */
static enum event_type
random_type(struct walk *w, const struct person *actor)
{
	static const enum event_type types[] = {EVENT_INVITE, EVENT_INVITE, EVENT_INVITE, EVENT_JOIN,
	    EVENT_DECLINE, EVENT_LEAVE, EVENT_KICK, EVENT_ROLE, EVENT_ROLE, EVENT_ROLE, EVENT_SETTINGS,
	    EVENT_CARD, EVENT_REKEY, EVENT_REKEY};
	const struct roster_member *member = roster_member(room, person_id(actor));
	enum event_type type = types[pick(w, ARRAY_LEN(types))];

	if (member != NULL && member->state == MEMBER_INVITED && pick(w, 2) == 0)
		return EVENT_JOIN;
	if (roster_needs_rekey(room) && member_is_joined(member) && pick(w, 2) == 0)
		return EVENT_REKEY;
	if (type == EVENT_LEAVE && w->model.reader_count == 1 && pick(w, 40) != 0)
		return EVENT_INVITE; /* the end of the room comes early enough */
	return type;
}

static enum chat_err
post_event(struct walk *w, struct person *actor)
{
	enum event_type type = random_type(w, actor);
	struct logged *entry = &w->log[w->log_len];
	size_t cards = actor->card_count;
	struct event draft;
	enum chat_err err;

	if (type == EVENT_CARD) {
		const struct roster_member *member = roster_member(room, person_id(actor));

		if (cards == PERSON_CARDS_MAX || (member != NULL && member->retired))
			return CHAT_ERR_NOT_ALLOWED; /* there is none to post */
		person_rotate(actor, w->model.reader_count > 1 && pick(w, 12) == 0);
	}
	draft = random_event(w, actor, type);
	err = kit_post(room, &draft, actor, NULL, NULL);
	if (err == CHAT_OK) {
		entry->is_event = true;
		entry->time_ms = 1700000000000 + w->log_len;
		built_init(&entry->built, &draft, actor);
		w->log_len++;
		w->accepted[type]++;
		model_apply(&w->model, &entry->built.event);
	} else {
		w->refused[type]++;
		while (actor->card_count > cards)
			buf_fini(&actor->cards[--actor->card_count]);
	}
	return err;
}

static enum chat_err
post_message(struct walk *w, struct person *actor)
{
	struct logged *entry = &w->log[w->log_len];
	enum chat_err err;

	if (pick(w, 8) == 0)
		actor->counter += pick(w, 3) - 1;
	entry->is_event = false;
	entry->header = kit_header(room, actor);
	entry->time_ms = 1700000000001 + w->log_len;
	err = kit_say(room, actor, NULL);
	if (err != CHAT_OK)
		actor->counter = roster_counter(room, person_id(actor), &actor->device);
	w->accepted[0] += err == CHAT_OK;
	w->refused[0] += err != CHAT_OK;
	w->log_len += err == CHAT_OK;
	return err;
}

static enum chat_err
post_something(struct walk *w, struct person *actor)
{
	char *before = roster_dump(room);
	enum chat_err err = pick(w, 3) == 0 ? post_message(w, actor) : post_event(w, actor);

	if (err != CHAT_OK)
		assert_roster_is(room, before);
	assert_roster_sane(room);
	free(before);
	return err;
}

static struct person *
random_actor(struct walk *w)
{
	if (w->model.reader_count > 0 && pick(w, 8) != 0)
		return people[w->model.readers[pick(w, (unsigned)w->model.reader_count)]];
	return people[pick(w, PEOPLE)];
}

/* One batch: kept if nothing in it was refused, now and then not even then. */
static void
step(struct walk *w)
{
	struct person *actor = random_actor(w);
	size_t len = w->log_len, cards = actor->card_count;
	uint64_t counter = actor->counter;
	struct model *before_model = malloc(sizeof(*before_model));
	char *before = roster_dump(room);
	enum chat_err err = CHAT_OK;

	assert_non_null(before_model);
	*before_model = w->model;
	roster_begin(room);
	for (unsigned n = 1 + pick(w, pick(w, 2) ? 1 : BATCH_MAX); n > 0 && err == CHAT_OK; n--)
		err = post_something(w, actor);
	check_model(w);
	if (err == CHAT_OK && pick(w, 6) != 0) {
		roster_commit(room);
		w->kept++;
	} else {
		roster_rollback(room);
		assert_roster_is(room, before);
		w->model = *before_model;
		while (w->log_len > len)
			if (w->log[--w->log_len].is_event)
				built_fini(&w->log[w->log_len].built);
		while (actor->card_count > cards)
			buf_fini(&actor->cards[--actor->card_count]);
		actor->counter = counter;
		w->taken_back++;
	}
	assert_roster_sane(room);
	check_model(w);
	free(before_model);
	free(before);
}

/*
 * --- readers of the log ---
 */

static void
client_reads_on(struct walk *w)
{
	uint64_t seq = roster_state(w->client)->head.seq;

	for (; seq < w->log_len; seq++) {
		const struct logged *entry = &w->log[seq];
		struct roster_message_verdict verdict;
		struct digest hash = kit_entry(seq + 1);

		if (entry->is_event) {
			const uint8_t *key = roster_actor_key(w->client, &entry->built.event);

			assert_non_null(key);
			assert_true(event_signatures_good(&entry->built.event, key));
			assert_ok(roster_take_event(
			    w->client, &entry->built.event, true, entry->time_ms, NULL, NULL));
		} else {
			assert_ok(roster_take_message(
			    w->client, &entry->header, &hash, true, entry->time_ms, &verdict));
			assert_int_equal(verdict.err, CHAT_OK);
			assert_int_equal(verdict.gap, 0);
		}
	}
}

static struct roster *
load(const struct walk *w)
{
	struct roster *loaded = roster_new(&kit_realm, true);
	struct roster_counter counter;
	size_t iter = 0;

	assert_non_null(loaded);
	for (size_t i = 0; i < w->log_len; i++)
		if (w->log[i].is_event)
			assert_ok(roster_load_event(loaded, i + 1, &w->log[i].built.event, true, NULL));
	assert_ok(roster_set_head(loaded, &roster_state(room)->head));
	while (roster_next_counter(room, &iter, &counter))
		assert_ok(roster_set_counter(loaded, &counter.sender, &counter.device, counter.last));
	return loaded;
}

static void
compare_readers(struct walk *w)
{
	struct roster *loaded = load(w);
	char *dump = roster_dump(room);

	client_reads_on(w);
	assert_roster_is(w->client, dump);
	assert_roster_is(loaded, dump);
	free(dump);
	/* The room goes on in the one that was loaded. */
	roster_free(room);
	room = loaded;
}

static void
one_walk(struct walk *w)
{
	struct event draft;

	roster_free(room);
	room = roster_new(&kit_realm, true);
	w->client = roster_new(&kit_realm, true);
	assert_true(room != NULL && w->client != NULL);
	w->log_len = 0;
	memset(&w->model, 0, sizeof(w->model));
	draft = kit_create(&alice, NULL);
	draft.create.nonce[0] = (uint8_t)w->seed;
	assert_ok(kit_post(room, &draft, &alice, NULL, NULL));
	w->log[0].is_event = true;
	w->log[0].time_ms = 1700000000000;
	built_init(&w->log[0].built, &draft, &alice);
	w->log_len = 1;
	model_apply(&w->model, &w->log[0].built.event);
	for (unsigned i = 0; i < STEPS && !roster_state(room)->over; i++) {
		step(w);
		if (i % 50 == 49)
			compare_readers(w);
	}
	compare_readers(w);
	for (size_t i = 0; i < w->log_len; i++)
		if (w->log[i].is_event)
			built_fini(&w->log[i].built);
	roster_free(w->client);
}

static uint64_t
number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

TEST(walks)
{
	uint64_t first = number_from("ROSTER_SEED", 1), count = number_from("ROSTER_WALKS", 12);
	struct walk *w = calloc(1, sizeof(*w));
	unsigned accepted = 0, refused = 0;
	void *none = NULL;

	assert_non_null(w);
	for (uint64_t seed = first; seed < first + count; seed++) {
		printf("# walk %ju\n", (uintmax_t)seed);
		kit_set_up(&none);
		w->seed = seed;
		one_walk(w);
		kit_tear_down(&none);
	}
	for (int type = 0; type <= EVENT_REKEY; type++) {
		printf("# %s: %u accepted, %u refused\n",
		    type == 0 ? "message" : event_type_name((enum event_type)type), w->accepted[type],
		    w->refused[type]);
		accepted += w->accepted[type];
		refused += w->refused[type];
		/* A walk that never got there proves nothing. */
		if (type != EVENT_CREATE && count >= 12)
			assert_true(w->accepted[type] > 0 && w->refused[type] > 0);
	}
	printf("# %u accepted, %u refused; %u batches kept, %u taken back\n", accepted, refused, w->kept,
	    w->taken_back);
	free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(walks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
