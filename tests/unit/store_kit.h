/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STORE_KIT_H
#define STORE_KIT_H

/*
 * For tests of stores: a store of any kind in a directory of its own, batches in one line, and a plain model
 * of a room to compare with.  Written against store.h alone.
 *
 * Threads: one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "unit.h"

/* A second kind of store adds a row to store_kinds[] in store_kit.c. */
struct store_kind {
	const char *name;
	enum chat_err (*open)(const char *dir, struct store **ret, char error[static STORE_ERROR_BYTES]);
};
extern const struct store_kind store_kinds[];
extern const size_t store_kind_count;

struct kit {
	const struct store_kind *kind;
	char *dir;
	struct store *store;
	struct store_batch *batch;
};

/* A test that is run once for each kind, with a kit as its state. */
struct kit_test {
	const char *name;
	CMUnitTestFunction test;
};
#define KIT_TEST(name)                                                                                       \
	{                                                                                                    \
#name, name                                                                                  \
	}
int kit_run(const struct kit_test *tests, size_t count);

/* Closes and opens again. */
void kit_reopen(struct kit *kit);
/* Commits what was added; the next kit_op() begins a new batch, so take memory from the batch after it. */
void kit_commit(struct kit *kit);
struct store_op *kit_op(struct kit *kit, enum store_op_type type);
struct store_reader *kit_reader(struct kit *kit);

/* A value that is different for each n and the same in each run. */
struct digest kit_digest(const char *what, uint64_t n);

/* ---- a room as a list ---- */

struct model_entry {
	enum entry_kind kind;
	uint64_t server_time_ms;
	bool whole;
	uint8_t *wire; /* owned */
	size_t wire_len;
	struct digest entry_hash, event_hash, L, E;
};

struct model_room {
	struct digest room_id;
	uint64_t room_no; /* 0: not stored yet */
	uint64_t whole_from;
	struct log_head head;
	struct model_entry *entries; /* owned; number n at n - 1 */
	size_t count, cap;
};

void model_init(struct model_room *room, uint64_t n);
void model_fini(struct model_room *room);

/*
 * Adds to the kit's batch n new entries of the room, of the length and kind that `seed` gives, each 16th an
 * event and the first of the room too; the model has them at once.  model_stored() compares the result with
 * the model.
 */
struct store_op *model_append(struct kit *kit, struct model_room *room, unsigned n, uint64_t *seed);
void model_stored(struct model_room *room, const struct store_op *op);

/* Takes an entry that model_append() would not make. */
void model_take(struct model_room *room, const struct store_new_entry *entry);

/* Everything that a reader can see of the log is as in the model. */
void model_compare(const struct model_room *room, struct store_reader *reader);
/* One entry is. */
void model_compare_entry(const struct model_room *room, const struct store_entry *entry, bool stub);

#endif
