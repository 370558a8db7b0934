/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/view.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct view *
view_new(const struct seq_range *ranges, uint32_t count)
{
	struct view *view;

	for (uint32_t i = 0; i < count; i++) {
		assert(ranges[i].from < ranges[i].to);
		assert(i == 0 || ranges[i - 1].to <= ranges[i].from);
	}
	view = malloc(sizeof *view + count * sizeof *ranges);
	if (view == NULL)
		return NULL;
	atomic_init(&view->refs, 1);
	view->count = count;
	if (count > 0)
		memcpy(view->ranges, ranges, count * sizeof *ranges);
	return view;
}

struct view *
view_ref(struct view *view)
{
	atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
	return view;
}

void
view_unref(struct view *view)
{
	if (view == NULL)
		return;
	if (atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) == 1)
		free(view);
}

bool
view_allows(const struct view *view, uint64_t seq)
{
	uint32_t low = 0, high = view->count;

	/* Live entries are the hot case, and fall in the last range. */
	if (high > 0 && seq >= view->ranges[high - 1].from)
		return seq < view->ranges[high - 1].to;
	/* The first range that does not end at or before seq. */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (view->ranges[mid].to <= seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low < view->count && seq >= view->ranges[low].from;
}
