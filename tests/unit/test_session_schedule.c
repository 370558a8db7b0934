/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Several people with several programs, the real engine between them, and chance deciding who does what, in
 * which order bytes move and turns are taken, and where lines are cut, programs killed and the server
 * restarted.  When it has calmed down: nothing that was acknowledged is lost, doubled or in another order for
 * anybody, and everybody reads everything that they are entitled to.
 *
 * SESSION_SEEDS=from-to runs other schedules than the usual ones.
 */

#include "engine_pair.h"

#include <stdio.h>

#define PEERS     5 /* alice twice, bob, carol, dave */
#define ROOMS_MAX 4
#define TEXTS_MAX 600
#define SEQS_MAX  1000 /* entries of a room; what is above fails the test */

/* What somebody said, or tried to. */
struct said {
	char text[24];
	struct peer *peer;
	struct digest room;
	uint64_t token;
	bool queued;  /* QUEUED was told: it must not be lost */
	bool crashed; /* its program was killed since, so there is no DONE */
};

struct wanted {
	struct peer *peer;
	uint64_t token;
};

struct chaos {
	struct pair pair;
	struct peer *peers[PEERS];
	size_t run_from[PEERS]; /* what was told before is an earlier run's of the program */
	struct digest rooms[ROOMS_MAX];
	size_t room_count;
	struct said said[TEXTS_MAX];
	size_t said_count;
	struct wanted wanted[TEXTS_MAX];
	size_t wanted_count;
	uint64_t seed;
	size_t rooms_made;
	bool rough; /* lines are cut, programs killed, the server restarted */
};

static size_t
pick(struct chaos *c, size_t n)
{
	return (size_t)(unit_rand(&c->seed) % n);
}

static void
fail_at(struct chaos *c, const char *what, const struct peer *peer, const char *text)
{
	for (size_t i = 0; i < PEERS; i++)
		peer_print(c->peers[i]);
	fail_msg("%s: %s: %s", peer != NULL ? peer->account : "", what, text);
}

/* ---- what somebody does ---- */

static struct chat_event *
want(struct chaos *c, struct peer *peer)
{
	struct wanted *w = &c->wanted[c->wanted_count++];

	assert_true(c->wanted_count < TEXTS_MAX);
	w->peer = peer;
	return peer_done(peer, &w->token);
}

static void
say(struct chaos *c, struct peer *peer, const struct digest *room)
{
	struct said *said = &c->said[c->said_count];

	if (c->said_count == TEXTS_MAX)
		return;
	*said = (struct said){.peer = peer, .room = *room};
	snprintf(said->text, sizeof said->text, "%s %zu", peer->account, c->said_count);
	c->said_count++;
	said->token = peer_say(peer, room, said->text);
	for (size_t i = peer->told_count; i-- > 0;)
		if (peer->told[i].type == CHAT_EVENT_QUEUED && peer->told[i].token == said->token)
			said->queued = true;
}

static struct account_name
any_account(struct chaos *c)
{
	static const char *const names[] = {"alice", "bob", "carol", "dave"};
	const char *chosen = names[pick(c, ARRAY_LEN(names))];
	struct account_name name;

	assert_ok(account_name_set(BYTES_STR(chosen), &name));
	return name;
}

static void
new_room(struct chaos *c, struct peer *peer)
{
	if (c->rooms_made < ROOMS_MAX && c->wanted_count < TEXTS_MAX - 1 && ++c->rooms_made > 0)
		session_create(peer->s, want(c, peer), BYTES_STR("a room"), pair_now(&c->pair));
}

/* Rooms become known by the events that tell of them. */
static void
learn_rooms(struct chaos *c)
{
	for (size_t i = 0; i < PEERS; i++)
		for (size_t k = 0; k < c->peers[i]->told_count; k++) {
			const struct told *told = &c->peers[i]->told[k];
			size_t r;

			if (told->type != CHAT_EVENT_ROOM_ADDED)
				continue;
			for (r = 0; r < c->room_count; r++)
				if (digest_equal(&c->rooms[r], &told->room))
					break;
			if (r == c->room_count && r < ROOMS_MAX)
				c->rooms[c->room_count++] = told->room;
		}
}

static void
change_room(struct chaos *c, struct peer *peer, const struct digest *room)
{
	struct account_name account = any_account(c);
	struct now now = pair_now(&c->pair);
	char text[24];

	if (c->wanted_count >= TEXTS_MAX - 1)
		return;
	snprintf(text, sizeof text, "topic %zu", c->wanted_count);
	switch (pick(c, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		session_invite(peer->s, want(c, peer), room, &account, 1, now);
		break;
	case 4:
	case 5:
	case 6:
	case 12:
	case 13:
	case 14:
	case 15:
	case 16:
		session_accept(peer->s, want(c, peer), room, now);
		break;
	case 7:
	case 17:
		session_set_topic(peer->s, want(c, peer), room, BYTES_STR(text), now);
		break;
	case 8:
		session_kick(peer->s, want(c, peer), room, &account, now);
		break;
	case 9:
		session_leave(peer->s, want(c, peer), room, now);
		break;
	case 10:
	case 18:
		session_history(peer->s, want(c, peer), room, 1 + pick(c, 30), now);
		break;
	default:
		session_set_role(peer->s, want(c, peer), room, &account, 1 + (unsigned)pick(c, 3), now);
		break;
	}
}

static void
forget_tokens(struct chaos *c, const struct peer *peer)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->wanted_count; i++)
		if (c->wanted[i].peer != peer)
			c->wanted[kept++] = c->wanted[i];
	c->wanted_count = kept;
	for (size_t i = 0; i < c->said_count; i++)
		if (c->said[i].peer == peer)
			c->said[i].crashed = true;
}

/* In each run of a program a room's entries are shown once, apart from history; and in order, apart from what
 * happened in its absence and could only be read later, as what was said between an invitation and the join.
 */
static void
check_order(struct chaos *c, size_t i)
{
	const struct peer *peer = c->peers[i];

	for (size_t r = 0; r < c->room_count; r++) {
		bool shown[SEQS_MAX] = {false};
		uint64_t last = 0;

		for (size_t k = c->run_from[i]; k < peer->told_count; k++) {
			const struct told *told = &peer->told[k];

			if (told->type < CHAT_EVENT_MESSAGE || told->type >= CHAT_EVENT_TOPIC ||
			    (told->flags & CHAT_FLAG_HISTORY) != 0 ||
			    !digest_equal(&told->room, &c->rooms[r]))
				continue;
			assert_true(told->seq < SEQS_MAX);
			if (shown[told->seq])
				fail_at(c, "shown twice", peer, told->text);
			shown[told->seq] = true;
			if ((told->flags & CHAT_FLAG_REPLAY) != 0)
				continue;
			if (told->seq <= last)
				fail_at(c, "shown out of order", peer, told->text);
			last = told->seq;
		}
	}
}

static void
be_rough(struct chaos *c, size_t i)
{
	struct peer *peer = c->peers[i];

	switch (pick(c, 8)) {
	case 0:
		forget_tokens(c, peer);
		check_order(c, i);
		peer_crash(peer);
		c->run_from[i] = peer->told_count;
		break;
	case 1:
		if (pick(c, 4) == 0)
			pair_restart_server(&c->pair);
		break;
	case 2:
		pair_pass(&c->pair, pick(c, 8000));
		break;
	default:
		peer_cut(peer);
		break;
	}
}

static void
act(struct chaos *c)
{
	struct peer *peer = c->peers[pick(c, PEERS)];
	size_t steps = pick(c, 60);

	const struct digest *room;

	learn_rooms(c);
	if (peer->conn < 0 && pick(c, 3) > 0)
		peer_connect(peer);
	if (c->room_count == 0 || pick(c, 30) == 0) {
		new_room(c, peer);
		goto steps;
	}
	room = &c->rooms[pick(c, c->room_count)];
	for (size_t i = 0; i < c->room_count && pick(c, 10) > 0 && !session_knows_room(peer->s, room); i++)
		room = &c->rooms[i];
	if (pick(c, 10) < 7)
		say(c, peer, room);
	else
		change_room(c, peer, room);
steps:
	if (c->rough && pick(c, 8) == 0)
		be_rough(c, pick(c, PEERS));
	while (steps-- > 0 && pair_step(&c->pair))
		;
}

/* ---- what has to be true in the end ---- */

/* The server's log of a room, and the roster that it gives. */
struct truth {
	struct roster *roster;
	struct message_header *headers; /* by seq; seq 0 unused; counter 0: an event */
	uint64_t count;
};

static bool
take_truth(void *ctx, const struct store_entry *entry)
{
	struct truth *truth = ctx;
	struct roster_message_verdict verdict;
	struct message message;
	struct event event;

	truth->headers = reallocarray(truth->headers, entry->seq + 1, sizeof *truth->headers);
	assert_non_null(truth->headers);
	truth->headers[entry->seq] = (struct message_header){0};
	truth->count = entry->seq;
	if (entry->kind == ENTRY_EVENT) {
		const uint8_t *pk;

		assert_ok(event_decode(entry->wire, &event));
		pk = roster_actor_key(truth->roster, &event);
		assert_ok(roster_take_event(truth->roster, &event, event_signatures_good(&event, pk),
		    entry->server_time_ms, NULL, NULL));
	} else {
		assert_ok(message_decode(entry->wire, &message));
		assert_ok(roster_take_message(truth->roster, &message.header, &entry->entry_hash, true,
		    entry->server_time_ms, &verdict));
		assert_ok(verdict.err);
		assert_int_equal(verdict.gap, 0);
		truth->headers[entry->seq] = message.header;
	}
	return true;
}

static void
read_truth(struct chaos *c, const struct digest *room, struct truth *ret)
{
	struct store_room stored;

	*ret = (struct truth){.roster = roster_new(store_realm(c->pair.w.store), false)};
	assert_ok(store_room_by_id(c->pair.w.store, room, &stored));
	assert_ok(store_reader_range(c->pair.reader, stored.room_no, 1, stored.head.seq, take_truth, ret));
	assert_true(log_head_equal(&roster_state(ret->roster)->head, &stored.head));
}

static const struct roster_member *
member_of(const struct truth *truth, const struct peer *peer)
{
	struct digest id;

	return session_member_id(peer->s, &id) ? roster_member(truth->roster, &id) : NULL;
}

/* The texts at their numbers, by the word of everybody who saw them: they must agree. */
static void
read_texts(struct chaos *c, const char *texts[ROOMS_MAX][SEQS_MAX])
{
	for (size_t i = 0; i < PEERS; i++)
		for (size_t k = 0; k < c->peers[i]->told_count; k++) {
			const struct told *told = &c->peers[i]->told[k];
			size_t r = 0;

			if (told->type != CHAT_EVENT_MESSAGE)
				continue;
			while (r < c->room_count && !digest_equal(&told->room, &c->rooms[r]))
				r++;
			if (r == c->room_count)
				continue;
			assert_true(told->seq < SEQS_MAX);
			if (texts[r][told->seq] != NULL && strcmp(texts[r][told->seq], told->text) != 0)
				fail_at(c, "two texts at one place", c->peers[i], told->text);
			texts[r][told->seq] = told->text;
		}
}

static bool
has_seen(const struct peer *peer, const struct digest *room, uint64_t seq)
{
	for (size_t k = 0; k < peer->told_count; k++)
		if (peer->told[k].type == CHAT_EVENT_MESSAGE && peer->told[k].seq == seq &&
		    digest_equal(&peer->told[k].room, room))
			return true;
	return false;
}

/* Whoever is a member has the server's log, and was shown all of the present stay's messages that are
 * theirs to read. */
static void
check_reader(struct chaos *c, const struct digest *room, const struct truth *truth, const struct peer *peer)
{
	const struct roster_member *member = member_of(truth, peer);
	uint64_t seq = 1;
	char where[64];

	if (!member_is_joined(member))
		return;
	for (seq = member->stays[member->stay_count - 1].from_seq; seq <= truth->count; seq++) {
		const struct roster_epoch *epoch = roster_epoch(truth->roster, &truth->headers[seq].epoch_id);

		snprintf(where, sizeof where, "entry %llu", (unsigned long long)seq);
		if (truth->headers[seq].counter != 0 && roster_entitled(truth->roster, member, epoch) &&
		    !has_seen(peer, room, seq))
			fail_at(c, "did not see", peer, where);
	}
}

static void
check_heads(struct chaos *c, const struct digest *room, const struct truth *truth, const struct peer *peer)
{
	const struct roster_state *state = roster_state(truth->roster);
	struct chat_room_list *list;
	bool found = false;

	assert_ok(session_rooms(peer->s, &list));
	for (size_t i = 0; i < list->count; i++) {
		const struct chat_room_info *info = &list->room[i];

		if (memcmp(info->id.b, room->b, sizeof room->b) != 0)
			continue;
		found = true;
		if (info->head_seq != state->head.seq ||
		    memcmp(info->log_hash.b, state->head.L.b, DIGEST_BYTES) != 0)
			fail_at(c, "has another head", peer, info->label);
	}
	if (found != member_is_reader(member_of(truth, peer)))
		fail_at(c, found ? "lists a room that it is not in" : "does not list a room that it is in",
		    peer, "");
	chat_room_list_free(list);
}

/* What was said is there once, if it was acknowledged, and not if it was refused. */
static void
check_said(struct chaos *c)
{
	const char *texts[ROOMS_MAX][SEQS_MAX] = {{NULL}};

	read_texts(c, texts);
	for (size_t i = 0; i < c->said_count; i++) {
		const struct said *said = &c->said[i];
		const struct told *done = peer_done_of(said->peer, said->token);
		size_t places = 0;
		uint64_t at = 0;

		for (size_t r = 0; r < c->room_count; r++)
			for (uint64_t seq = 1; seq < SEQS_MAX; seq++) {
				const char *text = texts[r][seq];

				if (text != NULL && strcmp(text, said->text) == 0) {
					places++;
					at = seq;
				}
			}
		if (places > 1)
			fail_at(c, "said once, there twice", said->peer, said->text);
		if (done == NULL && !said->crashed)
			fail_at(c, "has no DONE", said->peer, said->text);
		if (done != NULL && done->err == CHAT_OK && (places != 1 || done->seq != at))
			fail_at(c, "acknowledged and not there", said->peer, said->text);
		if (done != NULL && done->err != CHAT_OK && places == 1 && done->err != CHAT_ERR_NOT_ALLOWED)
			fail_at(c, "refused and there", said->peer, said->text);
	}
}

static void
check_told(struct chaos *c, const struct peer *peer)
{
	for (size_t i = 0; i < peer->told_count; i++) {
		const struct told *told = &peer->told[i];

		if (told->type == CHAT_EVENT_UNREADABLE || told->type == CHAT_EVENT_READ_ONLY ||
		    (told->type == CHAT_EVENT_WARNING && strstr(told->text, "was not sent") == NULL &&
			strstr(told->text, "that was kept could not be sent") == NULL))
			fail_at(c, "was told", peer, told->text);
	}
}

static bool
all_done(const struct chaos *c)
{
	for (size_t i = 0; i < c->wanted_count; i++)
		if (peer_done_of(c->wanted[i].peer, c->wanted[i].token) == NULL)
			return false;
	return true;
}

/* ---- schedules ---- */

static void
run_chaos(uint64_t seed, bool rough, size_t actions)
{
	static const char *const accounts[PEERS] = {"alice", "alice", "bob", "carol", "dave"};
	struct chaos *c = calloc(1, sizeof *c);

	assert_non_null(c);
	c->seed = seed * 7919;
	c->rough = rough;
	pair_start(&c->pair, seed);
	c->peers[0] = peer_start(&c->pair, accounts[0], NULL);
	peer_connect(c->peers[0]);
	pair_settle(&c->pair);
	for (size_t i = 1; i < PEERS; i++) {
		/* The second alice is an import of the first. */
		c->peers[i] = peer_start(
		    &c->pair, accounts[i], i == 1 ? storage_memory_import(c->peers[0]->st, seed) : NULL);
		if (i < 4) /* dave comes when chance lets him: invitations wait for him */
			peer_connect(c->peers[i]);
	}
	pair_settle(&c->pair);
	if (pick(c, 4) > 0) { /* most begin in a common room */
		c->rooms_made++;
		c->rooms[c->room_count++] = peer_create(c->peers[0], "ops");
		peer_invite(c->peers[0], &c->rooms[0], "bob");
		peer_accept(c->peers[2], &c->rooms[0]);
		peer_invite(c->peers[2], &c->rooms[0], "carol");
		peer_accept(c->peers[3], &c->rooms[0]);
	}
	for (size_t i = 0; i < actions; i++)
		act(c);
	pair_heal(&c->pair);
	/* Rekeys of an open room are limited to one a minute, so a new topic may have to wait. */
	for (unsigned minutes = 0; minutes < 60 && !all_done(c); minutes++)
		pair_pass(&c->pair, 60000);
	learn_rooms(c);
	/* A last word of everybody everywhere. */
	for (size_t i = 0; i < PEERS; i++)
		for (size_t r = 0; r < c->room_count; r++)
			say(c, c->peers[i], &c->rooms[r]);
	pair_heal(&c->pair);
	for (size_t r = 0; r < c->room_count; r++) {
		struct truth truth;

		read_truth(c, &c->rooms[r], &truth);
		for (size_t i = 0; i < PEERS; i++) {
			check_reader(c, &c->rooms[r], &truth, c->peers[i]);
			check_heads(c, &c->rooms[r], &truth, c->peers[i]);
		}
		roster_free(truth.roster);
		free(truth.headers);
	}
	check_said(c);
	for (size_t i = 0; i < PEERS; i++) {
		check_told(c, c->peers[i]);
		check_order(c, i);
	}
	if (getenv("SESSION_STATS") != NULL) {
		for (size_t i = 0; i < PEERS; i++) {
			const struct peer *p = c->peers[i];
			size_t ok = 0, bad = 0;
			for (size_t k = 0; k < p->told_count; k++)
				if (p->told[k].type == CHAT_EVENT_DONE) {
					if (p->told[k].err == CHAT_OK)
						ok++;
					else {
						bad++;
						print_message("#    %s\n", p->told[k].text);
					}
				}
			print_message("# %s: done ok %zu bad %zu msgs %zu rekeyed %zu joined %zu kicked %zu "
				      "gone %zu warn %zu conn %zu\n",
			    p->account, ok, bad, peer_count(p, CHAT_EVENT_MESSAGE, NULL),
			    peer_count(p, CHAT_EVENT_REKEYED, NULL), peer_count(p, CHAT_EVENT_JOINED, NULL),
			    peer_count(p, CHAT_EVENT_KICKED, NULL), peer_count(p, CHAT_EVENT_ROOM_GONE, NULL),
			    peer_count(p, CHAT_EVENT_WARNING, NULL),
			    peer_count(p, CHAT_EVENT_CONNECTED, NULL));
		}
	}
	for (size_t i = 0; i < c->wanted_count; i++)
		if (peer_done_of(c->wanted[i].peer, c->wanted[i].token) == NULL)
			fail_at(c, "a request has no DONE", c->wanted[i].peer, "");
	pair_end(&c->pair);
	free(c);
}

static void
run_seeds(bool rough, uint64_t from, uint64_t to)
{
	const char *asked = getenv("SESSION_SEEDS");
	unsigned long long a, b;

	if (asked != NULL && sscanf(asked, "%llu-%llu", &a, &b) == 2) {
		from = a;
		to = b;
	}
	for (uint64_t seed = from; seed <= to; seed++) {
		print_message("# seed %llu\n", (unsigned long long)seed);
		run_chaos(seed, rough, 250);
	}
}

TEST(calm_schedules)
{
	run_seeds(false, 1, 6);
}

TEST(rough_schedules)
{
	run_seeds(true, 1, 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calm_schedules),
	    cmocka_unit_test(rough_schedules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
