/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "group/newcomer.h"

#include "unit.h"

#include "room_kit.h"
#include "vectors.h"

/*
 * --- the published vectors ---
 */

#define PREFIX_MAX 64

struct prefix {
	struct event decoded[PREFIX_MAX];
	struct newcomer_event events[PREFIX_MAX];
	size_t event_count;
	struct newcomer_stub stubs[PREFIX_MAX];
	size_t stub_count;
};

static void
read_prefix(struct vectors *v, const json_t *test, struct prefix *p)
{
	const json_t *item;
	size_t i;

	json_array_foreach(vec_array(test, "events"), i, item)
	{
		assert_true(i < PREFIX_MAX);
		assert_ok(event_decode(vec_hex(v, item, "event"), &p->decoded[i]));
		p->events[i] = (struct newcomer_event){vec_u64(item, "seq"), &p->decoded[i]};
	}
	p->event_count = i;
	json_array_foreach(vec_array(test, "stubs"), i, item)
	{
		assert_true(i < PREFIX_MAX);
		p->stubs[i].seq = vec_u64(item, "seq");
		p->stubs[i].server_time_ms = vec_u64(item, "server_time_ms");
		p->stubs[i].entry_hash = vec_digest(item, "entry_hash");
	}
	p->stub_count = i;
}

TEST(protocol_vectors)
{
	struct prefix *p;
	struct vec_count count = {0};
	struct vectors v;
	json_t *test;
	size_t i;

	vec_open_published(&v, "protocol-v1.json");
	p = calloc(1, sizeof(*p));
	assert_non_null(p);
	json_array_foreach(vec_array(v.root, "newcomer"), i, test)
	{
		struct log_head head = {.seq = 12345};
		enum chat_err err;

		read_prefix(&v, test, p);
		err = newcomer_check(
		    p->events, p->event_count, vec_hex(&v, test, "preimage"), p->stubs, p->stub_count, &head);
		if (strcmp(chat_err_name(err), vec_str(test, "result")) != 0)
			fail_msg("case %zu, %s: got %s, want %s", i, vec_str(test, "comment"),
			    chat_err_name(err), vec_str(test, "result"));
		if (err == CHAT_OK) {
			struct digest L = vec_digest(test, "L"), E = vec_digest(test, "E");

			assert_int_equal(head.seq, p->events[p->event_count - 1].seq);
			assert_true(digest_equal(&head.L, &L));
			assert_true(digest_equal(&head.E, &E));
			count.accepted++;
		} else {
			assert_int_equal(head.seq, 12345);
			count.refused++;
		}
	}
	vec_count_print("newcomer", &count);
	assert_true(count.accepted >= 8 && count.refused >= 14);
	vec_close(&v);
	free(p);
}

/*
 * --- our own: one log, and invitations that saw it up to each of its places ---
 */

#define LOG_LEN 9

static struct {
	struct person alice, bob;
	struct roster *roster;
	struct built built[LOG_LEN + 2]; /* the events; by number */
	bool is_event[LOG_LEN + 2];
	struct log_head heads[LOG_LEN + 2]; /* behind each number */
	struct log_preimage preimages[LOG_LEN + 2];
} w;

/* Room for the next entry was made; tells what it was. */
static void
note_entry(uint64_t seq, uint64_t time_ms, const struct digest *entry)
{
	w.heads[seq] = roster_state(w.roster)->head;
	assert_int_equal(w.heads[seq].seq, seq);
	w.preimages[seq] = (struct log_preimage){
	    .prev_L = w.heads[seq - 1].L,
	    .seq = seq,
	    .server_time_ms = time_ms,
	    .entry_hash = *entry,
	    .E = w.heads[seq].E,
	};
}

static void
post(const struct event *draft)
{
	uint64_t seq = roster_state(w.roster)->head.seq + 1;
	struct roster_change change;

	built_init(&w.built[seq], draft, &w.alice);
	w.is_event[seq] = true;
	assert_ok(roster_take_event(w.roster, &w.built[seq].event, true, 1000 + seq, &change, NULL));
	note_entry(seq, 1000 + seq, &change.entry_hash);
}

static void
say(void)
{
	uint64_t seq = roster_state(w.roster)->head.seq + 1;
	struct digest entry = kit_entry(seq);

	assert_ok(kit_say(w.roster, &w.alice, NULL));
	note_entry(seq, 1700000000000 + seq, &entry);
}

/* create, rekey, message, message, settings, message, rekey, message, message: then the invitation */
static int
set_up(void **state)
{
	struct event draft;

	(void)state;
	person_init(&w.alice, "alice", 1);
	person_init(&w.bob, "bob", 2);
	w.roster = roster_new(&kit_realm, false);
	assert_non_null(w.roster);
	draft = kit_create(&w.alice, NULL);
	post(&draft);
	draft = kit_event(w.roster, EVENT_REKEY, &w.alice, NULL);
	post(&draft);
	say();
	say();
	draft = kit_event(w.roster, EVENT_SETTINGS, &w.alice, NULL);
	post(&draft);
	say();
	draft = kit_event(w.roster, EVENT_REKEY, &w.alice, NULL);
	post(&draft);
	say();
	say();
	assert_int_equal(roster_state(w.roster)->head.seq, LOG_LEN);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(w.built); i++)
		if (w.is_event[i])
			built_fini(&w.built[i]);
	roster_free(w.roster);
	person_fini(&w.alice);
	person_fini(&w.bob);
	return 0;
}

struct newcomer {
	struct newcomer_event events[LOG_LEN + 1];
	size_t event_count;
	uint8_t preimage[LOG_PREIMAGE_BYTES];
	size_t preimage_len;
	struct newcomer_stub stubs[LOG_LEN + 1];
	size_t stub_count;
	struct log_head want;
};

/* The invitation that saw the log up to `seen`, at the end of it, and what the invitee gets. */
static void
invite_having_seen(uint64_t seen, struct newcomer *ret)
{
	const uint64_t last = LOG_LEN + 1;
	struct event draft = kit_event(w.roster, EVENT_INVITE, &w.alice, &w.bob);
	struct roster_change change;

	memset(ret, 0, sizeof(*ret));
	draft.seen_seq = seen;
	draft.seen_hash = w.heads[seen].L;
	if (w.is_event[last])
		built_fini(&w.built[last]);
	built_init(&w.built[last], &draft, &w.alice);
	w.is_event[last] = true;
	roster_begin(w.roster);
	assert_ok(roster_take_event(w.roster, &w.built[last].event, true, 7777, &change, NULL));
	note_entry(last, 7777, &change.entry_hash);
	ret->want = w.heads[last];
	roster_rollback(w.roster);

	for (uint64_t seq = 1; seq <= last; seq++) {
		if (w.is_event[seq])
			ret->events[ret->event_count++] = (struct newcomer_event){seq, &w.built[seq].event};
		if (seq > seen)
			ret->stubs[ret->stub_count++] = (struct newcomer_stub){
			    seq, w.preimages[seq].server_time_ms, w.preimages[seq].entry_hash};
	}
	if (seen > 0) {
		log_preimage_encode(&w.preimages[seen], ret->preimage);
		ret->preimage_len = LOG_PREIMAGE_BYTES;
	}
}

static enum chat_err
check(const struct newcomer *n, struct log_head *ret_head)
{
	return newcomer_check(n->events, n->event_count, BYTES(n->preimage, n->preimage_len), n->stubs,
	    n->stub_count, ret_head);
}

TEST(seen_up_to_anywhere)
{
	for (uint64_t seen = 0; seen <= LOG_LEN; seen++) {
		struct newcomer n;
		struct log_head head;

		invite_having_seen(seen, &n);
		assert_ok(check(&n, &head));
		assert_true(log_head_equal(&head, &n.want));
	}
}

TEST(another_preimage)
{
	for (uint64_t seen = 0; seen <= LOG_LEN; seen++) {
		struct newcomer n;
		struct log_head head;

		invite_having_seen(seen, &n);
		for (size_t i = 0; i < n.preimage_len; i++) {
			n.preimage[i] ^= 1;
			assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
			n.preimage[i] ^= 1;
		}
		n.preimage_len = LOG_PREIMAGE_BYTES - n.preimage_len; /* where there is none one, and none */
		assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
	}
}

/* A stub of a message can be anything, but the hash of the log is another then. */
TEST(another_stub)
{
	for (uint64_t seen = 0; seen <= LOG_LEN; seen++) {
		struct newcomer n;
		struct log_head head;

		invite_having_seen(seen, &n);
		for (size_t i = 0; i < n.stub_count; i++) {
			bool event = w.is_event[n.stubs[i].seq];

			n.stubs[i].entry_hash.b[31] ^= 1;
			if (event)
				assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
			else {
				assert_ok(check(&n, &head));
				assert_false(digest_equal(&head.L, &n.want.L));
			}
			n.stubs[i].entry_hash.b[31] ^= 1;
			n.stubs[i].server_time_ms++;
			assert_ok(check(&n, &head));
			assert_false(digest_equal(&head.L, &n.want.L));
			n.stubs[i].server_time_ms--;
			n.stubs[i].seq++;
			assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
			n.stubs[i].seq--;
		}
		n.stub_count--;
		assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
	}
}

/* An event that is missing, or stands elsewhere. */
TEST(another_event)
{
	for (uint64_t seen = 0; seen <= LOG_LEN; seen++) {
		struct newcomer n;
		struct log_head head;

		invite_having_seen(seen, &n);
		for (size_t i = 0; i + 1 < n.event_count; i++) {
			struct newcomer with = n;
			bool pinned = n.events[i].seq <= seen;

			memmove(&with.events[i], &with.events[i + 1],
			    (n.event_count - i - 1) * sizeof(with.events[0]));
			with.event_count--;
			if (i == 0 || pinned)
				assert_err(check(&with, &head), CHAT_ERR_BAD_PREFIX);
			else { /* taken for a message */
				assert_ok(check(&with, &head));
				assert_false(digest_equal(&head.L, &n.want.L));
			}
			with = n;
			with.events[i].seq = n.events[i + 1].seq;
			assert_err(check(&with, &head), CHAT_ERR_BAD_PREFIX);
			with = n;
			with.events[i].event = n.events[i + 1].event;
			assert_err(check(&with, &head), CHAT_ERR_BAD_PREFIX);
		}
	}
}

TEST(nothing_at_all)
{
	struct newcomer n;
	struct log_head head;

	invite_having_seen(LOG_LEN, &n);
	assert_err(newcomer_check(NULL, 0, BYTES_EMPTY, NULL, 0, &head), CHAT_ERR_BAD_PREFIX);
	assert_err(newcomer_check(n.events, n.event_count, BYTES(n.preimage, n.preimage_len), NULL, 0, &head),
	    CHAT_ERR_BAD_PREFIX);
	/* A create that is not the first entry: all else stands behind what was seen, and moves with it. */
	n.events[0].seq = 2;
	n.events[1].seq = 3;
	assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
	n.events[0].seq = 1;
	assert_ok(check(&n, &head)); /* places that far back are the server's word */
	n.events[1].seq = 2;
	/* An invitation that claims to have seen itself. */
	n.events[n.event_count - 1].seq = LOG_LEN;
	n.stub_count = 0;
	assert_err(check(&n, &head), CHAT_ERR_BAD_PREFIX);
}

/* The same event under another signature is another entry. */
TEST(another_signature)
{
	for (uint64_t seen = 0; seen <= LOG_LEN; seen++) {
		struct newcomer n;
		struct log_head head;

		invite_having_seen(seen, &n);
		for (size_t i = 0; i < n.event_count; i++) {
			struct event other = *n.events[i].event;
			struct newcomer with = n;

			other.sig[0] ^= 1;
			with.events[i].event = &other;
			/* Further back only its hash counts; who reads the events verifies them anyway. */
			assert_err(
			    check(&with, &head), n.events[i].seq >= seen ? CHAT_ERR_BAD_PREFIX : CHAT_OK);
		}
	}
}

/* To the peer of a direct room the create is the invitation. */
TEST(direct_room)
{
	struct event draft = kit_create(&w.alice, &w.bob);
	struct built create;
	struct newcomer_event event = {.seq = 1};
	struct newcomer_stub stub = {.seq = 1, .server_time_ms = 5};
	struct log_head head, want = {0};

	built_init(&create, &draft, &w.alice);
	event.event = &create.event;
	stub.entry_hash = log_entry_hash(ENTRY_EVENT, &create.event.event_hash, create.event.sig);
	assert_ok(newcomer_check(&event, 1, BYTES_EMPTY, &stub, 1, &head));
	log_head_advance(&want, 5, &stub.entry_hash, &create.event.event_hash);
	assert_true(log_head_equal(&head, &want));
	built_fini(&create);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(protocol_vectors),
	    cmocka_unit_test(seen_up_to_anywhere),
	    cmocka_unit_test(another_preimage),
	    cmocka_unit_test(another_stub),
	    cmocka_unit_test(another_event),
	    cmocka_unit_test(another_signature),
	    cmocka_unit_test(nothing_at_all),
	    cmocka_unit_test(direct_room),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
