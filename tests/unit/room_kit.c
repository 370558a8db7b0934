/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "room_kit.h"

#include <stdio.h>

#include "unit.h"

#include "crypto/hash.h"

const struct realm kit_realm = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/*
 * --- people ---
 */

void
person_init_at(struct person *person, const char *account, uint64_t seed, const struct realm *realm)
{
	struct identity_root root;
	struct account_name name;
	struct random_source random = unit_random(&person->seed);

	memset(person, 0, sizeof(*person));
	person->seed = seed;
	identity_root_generate(&random, &root);
	assert_ok(account_name_set(BYTES_STR(account), &name));
	identity_init(&root, realm, &name, &person->identity);
	random.fill(random.ctx, person->device.b, DEVICE_ID_BYTES);
	person_rotate(person, false);
}

void
person_init(struct person *person, const char *account, uint64_t seed)
{
	person_init_at(person, account, seed, &kit_realm);
}

void
person_fini(struct person *person)
{
	for (size_t i = 0; i < person->card_count; i++)
		buf_fini(&person->cards[i]);
}

void
person_rotate(struct person *person, bool retired)
{
	struct random_source random = unit_random(&person->seed);
	uint8_t rsa_n[RSA_BYTES];
	struct card prev;

	assert_true(person->card_count < PERSON_CARDS_MAX);
	random.fill(random.ctx, rsa_n, sizeof(rsa_n));
	rsa_n[0] |= 0x80;
	rsa_n[RSA_BYTES - 1] |= 1;
	if (person->card_count > 0)
		assert_ok(card_decode(person_card(person), &prev));
	assert_ok(card_build(&person->identity, person->card_count > 0 ? &prev : NULL, retired, rsa_n,
	    1700000000000, &person->cards[person->card_count]));
	person->card_count++;
}

struct bytes
person_card(const struct person *person)
{
	return buf_bytes(&person->cards[person->card_count - 1]);
}

const struct digest *
person_id(const struct person *person)
{
	return &person->identity.member_id;
}

/*
 * --- events ---
 */

struct event
kit_draft(
    const struct roster *roster, enum event_type type, const struct person *actor, const struct person *about)
{
	const struct roster_state *state = roster_state(roster);
	struct event draft = {.type = type};

	draft.room_id = state->room_id;
	draft.actor = *person_id(actor);
	draft.after = *roster_next_after(roster, type, person_id(about != NULL ? about : actor));
	draft.seen_seq = state->head.seq;
	draft.seen_hash = state->head.L;
	draft.time_ms = 1700000000000;
	return draft;
}

struct event
kit_event(
    const struct roster *roster, enum event_type type, const struct person *actor, const struct person *about)
{
	static const uint8_t box[64 + AEAD_TAG_BYTES];
	const struct roster_state *state = roster_state(roster);
	struct event draft = kit_draft(roster, type, actor, about);

	if (about == NULL)
		about = actor;
	switch (type) {
	case EVENT_CREATE:
		return kit_create(actor, about != actor ? about : NULL);
	case EVENT_INVITE:
	case EVENT_CARD:
		draft.card_wire = person_card(about);
		break;
	case EVENT_KICK:
		draft.kick.target = *person_id(about);
		break;
	case EVENT_ROLE:
		draft.role.target = *person_id(about);
		draft.role.role = ROLE_OWNER;
		break;
	case EVENT_SETTINGS:
		draft.settings.invite_policy = state->invite_policy;
		draft.settings.history_policy = state->history_policy;
		break;
	case EVENT_REKEY:
		draft.rekey.epoch = state->epoch + 1;
		draft.rekey.commitment = kit_entry(state->epoch + 1000000);
		draft.rekey.info_box = BYTES_ARRAY(box);
		break;
	case EVENT_JOIN:
	case EVENT_DECLINE:
	case EVENT_LEAVE:
		break;
	}
	return draft;
}

struct event
kit_create(const struct person *creator, const struct person *peer)
{
	struct event draft = {.type = EVENT_CREATE};

	draft.actor = *person_id(creator);
	draft.time_ms = 1700000000000;
	draft.create.kind = peer != NULL ? ROOM_DIRECT : ROOM_GROUP;
	draft.create.realm = creator->identity.realm;
	draft.card_wire = person_card(creator);
	if (peer != NULL)
		draft.peer_card_wire = person_card(peer);
	return draft;
}

void
built_init(struct built *built, const struct event *draft, const struct person *signer)
{
	memset(built, 0, sizeof(*built));
	assert_ok(event_build(draft, &signer->identity.sign, &built->wire, NULL));
	assert_ok(event_decode(buf_bytes(&built->wire), &built->event));
}

void
built_fini(struct built *built)
{
	buf_fini(&built->wire);
}

enum chat_err
kit_post(struct roster *roster, const struct event *draft, const struct person *signer,
    struct roster_change *ret_change, struct roster_refusal *ret_refusal)
{
	const struct roster_wraps wraps = {.staged = true, .count = roster_reader_count(roster)};
	struct built built;
	struct roster_post post;
	enum chat_err err;

	built_init(&built, draft, signer);
	post = (struct roster_post){
	    .event = &built.event,
	    .poster = person_id(signer),
	    .wraps = &wraps,
	    .server_time_ms = 1700000000000 + roster_state(roster)->head.seq,
	    .signatures_good = true,
	};
	err = roster_post_event(roster, &post, ret_change, ret_refusal);
	built_fini(&built);
	return err;
}

enum chat_err
kit_do(struct roster *roster, enum event_type type, const struct person *actor, const struct person *about)
{
	struct event draft = kit_event(roster, type, actor, about);

	return kit_post(roster, &draft, actor, NULL, NULL);
}

void
kit_rekey(struct roster *roster, const struct person *actor)
{
	assert_ok(kit_do(roster, EVENT_REKEY, actor, NULL));
	assert_true(roster_state(roster)->open);
}

/*
 * --- messages ---
 */

struct message_header
kit_header(const struct roster *roster, const struct person *sender)
{
	const struct roster_state *state = roster_state(roster);

	return (struct message_header){
	    .epoch_id = state->epoch_id,
	    .sender = *person_id(sender),
	    .device = sender->device,
	    .counter = sender->counter + 1,
	    .seen_seq = state->head.seq,
	    .seen_hash = state->head.L,
	};
}

struct digest
kit_entry(uint64_t seq)
{
	uint8_t b[8];

	be64_put(b, seq);
	return hash_once(BYTES_ARRAY(b));
}

enum chat_err
kit_say(struct roster *roster, struct person *sender, struct roster_refusal *ret_refusal)
{
	struct message_header header = kit_header(roster, sender);
	uint64_t seq = roster_state(roster)->head.seq + 1;
	struct digest entry = kit_entry(seq);
	enum chat_err err;

	err =
	    roster_post_message(roster, &header, &entry, person_id(sender), 1700000000000 + seq, ret_refusal);
	if (err == CHAT_OK)
		sender->counter++;
	return err;
}

/*
 * --- the room ---
 */

struct person alice, bob, carol, dave, erin, frank;
struct person *const people[] = {&alice, &bob, &carol, &dave, &erin, &frank};
struct roster *room;

int
kit_set_up(void **state)
{
	static const char *const names[] = {"alice", "bob", "carol", "dave", "erin", "frank"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(people); i++)
		person_init(people[i], names[i], i + 1);
	room = roster_new(&kit_realm, true);
	assert_non_null(room);
	assert_ok(kit_do(room, EVENT_CREATE, &alice, NULL));
	for (size_t i = 1; i <= 3; i++)
		assert_ok(kit_do(room, EVENT_INVITE, &alice, people[i]));
	assert_ok(kit_do(room, EVENT_JOIN, &bob, NULL));
	assert_ok(kit_do(room, EVENT_JOIN, &carol, NULL));
	kit_rekey(room, &alice);
	return 0;
}

int
kit_tear_down(void **state)
{
	(void)state;
	assert_roster_sane(room);
	roster_free(room);
	room = NULL;
	for (size_t i = 0; i < ARRAY_LEN(people); i++)
		person_fini(people[i]);
	return 0;
}

const struct roster_member *
the(const struct person *person)
{
	const struct roster_member *member = roster_member(room, person_id(person));

	assert_non_null(member);
	return member;
}

enum chat_err
set_role(const struct person *actor, const struct person *target, enum member_role role)
{
	struct event draft = kit_event(room, EVENT_ROLE, actor, target);

	draft.role.role = role;
	return kit_post(room, &draft, actor, NULL, NULL);
}

enum chat_err
set_policies(const struct person *actor, enum invite_policy invite, enum history_policy history)
{
	struct event draft = kit_event(room, EVENT_SETTINGS, actor, NULL);

	draft.settings.invite_policy = invite;
	draft.settings.history_policy = history;
	return kit_post(room, &draft, actor, NULL, NULL);
}

void
refused(enum event_type type, const struct person *actor, const struct person *about)
{
	char *before = roster_dump(room);

	assert_err(kit_do(room, type, actor, about), CHAT_ERR_NOT_ALLOWED);
	assert_roster_is(room, before);
	free(before);
}

/*
 * --- writing out ---
 */

static void
put_digest(FILE *to, const char *name, const struct digest *d)
{
	char hex[DIGEST_HEX_CHARS + 1];

	digest_hex(d, hex);
	fprintf(to, "%s %.16s\n", name, hex);
}

static void
dump_state(FILE *to, const struct roster_state *s)
{
	fprintf(to,
	    "seq %ju kind %d policies %d %d keep %ju %ju created %d open %d over %d epoch %ju at %ju\n",
	    (uintmax_t)s->head.seq, s->kind, s->invite_policy, s->history_policy, (uintmax_t)s->keep_days,
	    (uintmax_t)s->keep_entries, s->created, s->open, s->over, (uintmax_t)s->epoch,
	    (uintmax_t)s->epoch_seq);
	fprintf(to, "readers %u joined %u owners %u\n", s->reader_count, s->joined_count, s->owner_count);
	put_digest(to, "room_id", &s->room_id);
	put_digest(to, "epoch_id", &s->epoch_id);
	put_digest(to, "L", &s->head.L);
	put_digest(to, "E", &s->head.E);
	put_digest(to, "settings_after", &s->settings_after);
	put_digest(to, "rekey_after", &s->rekey_after);
}

static void
dump_member(FILE *to, const struct roster *roster, const struct roster_member *m)
{
	fprintf(to, "member %s state %d role %d place %ju %u owner_since %ju serial %u retired %d\n",
	    m->account.s, m->state, m->role, (uintmax_t)m->place_seq, m->place_peer,
	    (uintmax_t)m->owner_since, m->serial, m->retired);
	put_digest(to, " id", &m->id);
	put_digest(to, " after", &m->after);
	put_digest(to, " card", &m->card_hash);
	if (m->card.len > 0) {
		struct digest hash = hash_once(m->card);

		put_digest(to, " wire", &hash);
	}
	fprintf(to, " ed_pk %02x%02x%02x%02x, next %s, prev %s\n", m->ed_pk[0], m->ed_pk[1], m->ed_pk[2],
	    m->ed_pk[3], m->next_reader != NULL ? m->next_reader->account.s : "-",
	    m->prev_reader != NULL ? m->prev_reader->account.s : "-");
	for (size_t i = 0; i < m->stay_count; i++)
		fprintf(
		    to, " stay %ju %ju\n", (uintmax_t)m->stays[i].from_seq, (uintmax_t)m->stays[i].to_seq);
	fprintf(to, " entitled");
	for (uint64_t n = 1; n <= roster_epoch_count(roster); n++)
		if (roster_entitled(roster, m, roster_epoch_at(roster, n)))
			fprintf(to, " %ju", (uintmax_t)n);
	fprintf(to, "\n");
}

/* The map has no order; the dump has: counters are few here. */
static void
dump_counters(FILE *to, const struct roster *roster)
{
	struct roster_counter one, least = {0}, done = {0};
	bool first = true;

	for (;;) {
		bool found = false;
		size_t iter = 0;

		while (roster_next_counter(roster, &iter, &one)) {
			if (!first && memcmp(&one, &done, offsetof(struct roster_counter, last)) <= 0)
				continue;
			if (!found || memcmp(&one, &least, offsetof(struct roster_counter, last)) < 0)
				least = one;
			found = true;
		}
		if (!found)
			return;
		assert_int_equal(roster_counter(roster, &least.sender, &least.device), least.last);
		put_digest(to, "counter of", &least.sender);
		fprintf(to, " device %02x%02x%02x%02x last %ju\n", least.device.b[0], least.device.b[1],
		    least.device.b[2], least.device.b[3], (uintmax_t)least.last);
		done = least;
		first = false;
	}
}

char *
roster_dump(const struct roster *roster)
{
	const struct roster_member *reader = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	dump_state(to, roster_state(roster));
	fprintf(to, "order");
	while ((reader = roster_next_reader(roster, reader)) != NULL)
		fprintf(to, " %s", reader->account.s);
	fprintf(to, "\n");
	for (size_t i = 0; i < roster_member_count(roster); i++)
		dump_member(to, roster, roster_member_at(roster, i));
	for (uint64_t n = 1; n <= roster_epoch_count(roster); n++) {
		const struct roster_epoch *epoch = roster_epoch_at(roster, n);

		fprintf(to, "epoch %ju seq %ju all %d found %d\n", (uintmax_t)epoch->number,
		    (uintmax_t)epoch->seq, epoch->history_all, roster_epoch(roster, &epoch->id) == epoch);
		put_digest(to, " id", &epoch->id);
		put_digest(to, " after", &epoch->after);
		put_digest(to, " actor", &epoch->actor);
		put_digest(to, " commitment", &epoch->commitment);
	}
	dump_counters(to, roster);
	assert_int_equal(fclose(to), 0);
	return text;
}

void
assert_dumps_equal(const char *got, const char *want)
{
	while (*got != '\0' || *want != '\0') {
		size_t g = strcspn(got, "\n"), w = strcspn(want, "\n");

		if (g != w || memcmp(got, want, g) != 0)
			fail_msg("got \"%.*s\", want \"%.*s\"", (int)g, got, (int)w, want);
		got += g + (got[g] == '\n');
		want += w + (want[w] == '\n');
	}
}

void
assert_roster_is(const struct roster *roster, const char *want)
{
	char *got = roster_dump(roster);

	assert_dumps_equal(got, want);
	free(got);
}

void
assert_roster_sane(const struct roster *roster)
{
	const struct roster_state *s = roster_state(roster);
	const struct roster_member *m, *prev = NULL;
	uint32_t readers = 0, joined = 0, owners = 0, listed = 0;

	for (size_t i = 0; i < roster_member_count(roster); i++) {
		m = roster_member_at(roster, i);
		assert_ptr_equal(roster_member(roster, &m->id), m);
		readers += member_is_reader(m);
		joined += member_is_joined(m);
		owners += m->role == ROLE_OWNER;
		assert_true(m->role != ROLE_OWNER || (member_is_joined(m) && m->owner_since > 0));
		assert_true(m->role == ROLE_OWNER || m->owner_since == 0);
		assert_true(m->role == ROLE_MEMBER || member_is_joined(m));
		assert_false(m->retired && member_is_reader(m));
		assert_true(member_is_reader(m) || (m->next_reader == NULL && m->prev_reader == NULL));
		assert_true(m->stay_count > 0 && m->stay_count <= m->stay_cap);
		for (size_t j = 0; j < m->stay_count; j++) {
			assert_true(m->stays[j].from_seq < m->stays[j].to_seq);
			assert_true(j == 0 || m->stays[j - 1].to_seq < m->stays[j].from_seq);
		}
		assert_int_equal(m->stays[m->stay_count - 1].from_seq, m->place_seq);
		assert_int_equal(m->stays[m->stay_count - 1].to_seq == ROSTER_OPEN_END, member_is_reader(m));
	}
	assert_int_equal(s->reader_count, readers);
	assert_int_equal(s->joined_count, joined);
	assert_int_equal(s->owner_count, owners);
	for (m = roster_next_reader(roster, NULL); m != NULL; prev = m, m = roster_next_reader(roster, m)) {
		assert_true(member_is_reader(m));
		assert_ptr_equal(m->prev_reader, prev);
		assert_true(prev == NULL || prev->place_seq < m->place_seq ||
			    (prev->place_seq == m->place_seq && prev->place_peer < m->place_peer));
		assert_true(++listed <= readers);
	}
	assert_ptr_equal(s->last_reader, prev);
	assert_int_equal(listed, readers);
	assert_int_equal(s->over, s->created && readers == 0);
	assert_int_equal(s->epoch, roster_epoch_count(roster));
	assert_int_equal(roster_needs_rekey(roster), !s->open && joined > 0);
}
