/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine_people.h"

void
people_start(struct people *t, uint64_t seed, const struct store_options *options)
{
	const struct person *all[] = {&t->alice, &t->bob, &t->carol};

	world_start(&t->w, seed, options);
	person_make(&t->w, &t->alice, "alice");
	person_make(&t->w, &t->bob, "bob");
	person_make(&t->w, &t->carol, "carol");
	world_accounts(&t->w, all, ARRAY_LEN(all), NULL);
}

void
people_end(struct people *t)
{
	person_end(&t->alice);
	person_end(&t->bob);
	person_end(&t->carol);
	world_end(&t->w);
}

void
people_accounts(struct people *t)
{
	world_accounts(&t->w, (const struct person *[]){&t->alice, &t->bob, &t->carol}, 3, NULL);
}

void
people_login(struct people *t)
{
	world_login(&t->w, ALICE, &t->alice);
	world_login(&t->w, BOB, &t->bob);
	world_login(&t->w, CAROL, &t->carol);
}

void
room_with_bob(struct people *t, struct copy *c)
{
	struct draft d = {0};
	const struct outcome *posted;

	copy_init(&t->w, c);
	draft_create(&t->w, &d, &t->alice, c);
	draft_invite(&t->w, &d, &t->alice, c, &t->bob);
	draft_rekey(&t->w, &d, &t->alice, c);
	world_turn(&t->w, draft_command(&t->w, &d, ALICE, NULL));
	posted = assert_answered(&t->w, OUT_POSTED, ALICE);
	assert_int_equal(posted->posted.first_seq, 1);
	assert_int_equal(posted->posted.count, 3);
	assert_true(digest_equal(&posted->posted.hash, &roster_state(c->roster)->head.L));
}

void
resume_all(struct people *t, const struct copy *c, struct conn_ref conn)
{
	world_turn(&t->w, cmd_resume(&t->w, conn, &c->room_id, 1, &digest_zero));
	assert_answered(&t->w, OUT_SUBSCRIBED, conn);
}

void
bob_joins(struct people *t, struct copy *c)
{
	struct draft d = {0};

	draft_simple(&t->w, &d, &t->bob, c, EVENT_JOIN);
	world_turn(&t->w, draft_command(&t->w, &d, BOB, &c->room_id));
	assert_answered(&t->w, OUT_POSTED, BOB);
}

void
room_of_three(struct people *t, struct copy *c)
{
	struct draft d = {0};

	room_with_bob(t, c);
	bob_joins(t, c);
	draft_invite(&t->w, &d, &t->alice, c, &t->carol);
	draft_rekey(&t->w, &d, &t->alice, c);
	world_turn(&t->w, draft_command(&t->w, &d, ALICE, &c->room_id));
	assert_answered(&t->w, OUT_POSTED, ALICE);
	draft_simple(&t->w, &d, &t->carol, c, EVENT_JOIN);
	world_turn(&t->w, draft_command(&t->w, &d, CAROL, &c->room_id));
	assert_answered(&t->w, OUT_POSTED, CAROL);
}

uint64_t
head_of(struct people *t, const struct digest *room_id)
{
	world_turn(&t->w, cmd_resume(&t->w, ALICE, room_id, 1, &digest_zero));
	return assert_answered(&t->w, OUT_SUBSCRIBED, ALICE)->subscribed.head_seq;
}

const Chat__V1__ServerFrame *
decode(const struct outcome *out, struct arena *arena)
{
	const Chat__V1__ServerFrame *frame = NULL;

	assert_non_null(out);
	frame_arena_init(arena);
	assert_ok(frame_decode_server(
	    BYTES(out->frame->data + FRAME_HEADER_BYTES, out->frame->len - FRAME_HEADER_BYTES), arena,
	    &frame));
	return frame;
}

size_t
count_pushed(struct world *w, struct conn_ref to, Chat__V1__ServerFrame__BodyCase what)
{
	size_t count = 0;

	for (const struct outcome *out = w->out; out != NULL; out = out->next) {
		struct arena arena;

		if (out->type != OUT_FRAME || out->to.loop != to.loop || out->to.slot != to.slot)
			continue;
		count += decode(out, &arena)->body_case == what;
		arena_fini(&arena);
	}
	return count;
}

bool
was_pushed(struct world *w, struct conn_ref to, Chat__V1__ServerFrame__BodyCase what)
{
	return count_pushed(w, to, what) > 0;
}

const Chat__V1__ServerFrame *
get_pushed(struct world *w, struct conn_ref to, Chat__V1__ServerFrame__BodyCase what, struct arena *arena)
{
	for (const struct outcome *out = w->out; out != NULL; out = out->next) {
		const Chat__V1__ServerFrame *frame;

		if (out->type != OUT_FRAME || out->to.loop != to.loop || out->to.slot != to.slot)
			continue;
		frame = decode(out, arena);
		if (frame->body_case == what)
			return frame;
		arena_fini(arena);
	}
	fail_msg("no such frame was sent");
	return NULL;
}
