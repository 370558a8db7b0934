/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_READ_ROOM_H
#define TESTS_UNIT_READ_ROOM_H

/*
 * For tests of readers: a room with a long life, as it was posted and as a plain list of what was posted, and
 * the comparing of answers with that list.  One room to a program.
 */

#include "engine_world.h"

#include "base/arena.h"
#include "group/loghash.h"
#include "proto/limits.h"
#include "server/read_run.h"

#define ENTRIES_MAX 2000
#define PEOPLE      4

/* One entry as it was posted. */
struct told {
	uint64_t server_time_ms;
	enum entry_kind kind;
	struct buf wire;
	struct digest entry_hash;
	bool stripped;
	struct log_head head;   /* behind it */
	struct wrap_set *wraps; /* of a rekey: in the order of reader[] */
	struct digest epoch_id;
	struct digest reader[PEOPLE];
	struct buf rewraps[PEOPLE]; /* by person: whole re-wraps, one behind the other */
};

extern struct world w;
extern struct person people[PEOPLE];
extern struct copy room;
extern struct told told[ENTRIES_MAX + 1]; /* by seq */
extern uint64_t head;
extern uint64_t room_no;
extern struct store_reader *reader;
extern struct read_scratch scratch;
extern uint64_t seed;

/* For cmocka: the group's. */
int read_room_build(void **state);
int read_room_tear_down(void **state);
/* Retention: messages below are stubs from now on. */
void read_room_strip(uint64_t below_seq);

struct read_request request_of(enum read_kind kind, unsigned member, struct view *view);
/* Ranges of numbers in any number; view_unref() it. */
struct view *random_view(void);
/* The entry is the one of that number, whole if it may be. */
void check_entry(const Chat__V1__Entry *entry, uint64_t seq, const struct view *view, bool only_stub);
/* What the rekey lists for the member; empty: nothing. */
struct bytes wrap_of(const struct told *t, unsigned member);
void check_epoch(const Chat__V1__EpochWraps *epoch, const struct told *t, unsigned member);
/* Decodes the answer into an arena that this initialises; arena_fini() it. */
const Chat__V1__ServerFrame *answer_of(const struct read_result *result, struct arena *arena);

#endif
