/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SERVER_VIEW_H
#define SERVER_VIEW_H

/*
 * What one member may read of a room's messages: sorted, disjoint ranges of numbers, the last perhaps without end.
 * The engine makes a new one whenever it changes; loops and readers only look.  Events are for every reader.
 *
 * Threads: any; immutable after it is made, the count is atomic.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct seq_range {
	uint64_t from; /* first */
	uint64_t to;   /* behind the last; UINT64_MAX: without end */
};

struct view {
	_Atomic uint32_t refs;
	uint32_t count;
	struct seq_range ranges[];
};

/* Copies the ranges; one reference.  NULL: out of memory. */
struct view *view_new(const struct seq_range *ranges, uint32_t count) MUST_USE;
struct view *view_ref(struct view *view);
void view_unref(struct view *view); /* NULL is allowed */
bool view_allows(const struct view *view, uint64_t seq);

#endif
