/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_WRAP_LIST_H
#define SERVER_WRAP_LIST_H

/*
 * The wraps that one rekey lists, by member, for the loops to send each reader its own.
 *
 * Threads: any; immutable after it is made, the count is atomic.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "group/epoch.h"

struct wrap_list_item {
	struct digest member_id;
	uint8_t wrap[WRAP_BYTES];
};

struct wrap_list {
	_Atomic uint32_t refs;
	uint32_t count;
	struct digest room_id;
	struct digest epoch_id;
	struct wrap_list_item items[]; /* by member_id once wrap_list_seal() was called */
};

/* One reference; the maker fills the items, then calls wrap_list_seal().  NULL: out of memory. */
struct wrap_list *wrap_list_new(uint32_t count) MUST_USE;
void wrap_list_seal(struct wrap_list *list);
struct wrap_list *wrap_list_ref(struct wrap_list *list);
void wrap_list_unref(struct wrap_list *list); /* NULL is allowed */
/* NULL: the member is no reader of this epoch. */
const uint8_t *wrap_list_find(const struct wrap_list *list, const struct digest *member_id);

#endif
